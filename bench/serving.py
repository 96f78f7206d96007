"""The serving process, started as a user would: what it holds in memory after some pages."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar
from pathlib import Path

from bench.measure import Plan, Results, resident_bytes

_ROOT = Path(__file__).resolve().parent.parent
_PAGES = ("/", "/?view=mine", "/instances", "/start", "/definitions", "/definitions/psm050_bidding", "/incidents", "/ready")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _command() -> list[str]:
    beside = Path(sys.executable).with_name("psmflow")
    if beside.exists():
        return [str(beside)]
    found = shutil.which("psmflow")
    return [found] if found else [sys.executable, "-m", "engine.cli"]


def serve(plan: Plan, results: Results) -> None:
    """Start `psmflow serve` with demo users and the processes of the house, ask some pages, read its memory, stop it."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PSMFLOW_") and name != "DATABASE_URL"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [*_command(), "serve", "--demo", "--port", str(port), "--data", str(plan.made("serve")), "--processes", str(_ROOT / "processes")],
        env=environ, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _await(f"{base}/ready", process)
        results.add("serve.ready_after", time.perf_counter() - began, "s, processes deployed")
        results.add("serve.resident_when_ready", resident_bytes(process.pid) / 1e6, "MB")
        opener = _logged_in(base)
        seconds = list[float]()
        for _ in range(10):
            for page in _PAGES:
                at = time.perf_counter()
                with opener.open(base + page, timeout=30) as answer:
                    answer.read()
                seconds.append(time.perf_counter() - at)
        results.add("serve.resident", resident_bytes(process.pid) / 1e6, "MB", target=("≤", 100))
        results.add("serve.page", sum(seconds) / len(seconds) * 1e3, "ms on average")
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise RuntimeError(f"psmflow serve ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError("psmflow serve does not get ready")


def _logged_in(base: str) -> urllib.request.OpenerDirector:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(f"{base}/login", timeout=30) as answer:
        page = answer.read().decode()
    hidden = dict(re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page))
    form = {**hidden, "user": "process_owner", "password": "demo"}
    opener.open(f"{base}/login", urllib.parse.urlencode(form).encode(), timeout=30).close()
    return opener


#: ``{what --only takes: (title, measure)}``.
BENCHES: Mapping[str, tuple[str, Callable[[Plan, Results], None]]] = {"serve": ("the serving process", serve)}
