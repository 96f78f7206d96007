"""A real server on loopback, a real Chromium, the processes of the house, demo users."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import waitress.server
from playwright.sync_api import Browser, Page

import handlers  # noqa: F401  registers
from engine import SYSTEM, Engine, SystemClock, open_engine, read_settings
from engine.clock import Clock
from engine.rehearsal import read_library
from web import create_app

PROCESSES = Path(__file__).parents[2] / "processes"


@dataclass(frozen=True)
class House:
    url: str
    engine: Engine


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The product as `make run` starts it, on a free port."""
    with serving(tmp_path_factory.mktemp("house")) as found:
        yield found


@contextmanager
def serving(data: Path, clock: Clock | None = None, library: Mapping[str, bytes] | None = None) -> Iterator[House]:
    """Serve the product with demo users and the processes of the house, or those of `library`; with a clock that is moved, its jobs run when a test says so."""
    settings = read_settings({}, data=data, demo=True, synchronous="NORMAL")
    engine = open_engine(settings, clock=clock or SystemClock(), dispatching=clock is None)
    engine.deployments.deploy(SYSTEM, library or read_library(PROCESSES), "processes")
    server = waitress.server.create_server(create_app(engine, settings), host="127.0.0.1", port=0, threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield House(url=f"http://127.0.0.1:{server.effective_port}", engine=engine)
    server.close()
    thread.join(10)
    engine.close()


class Desk:
    """One window, in which people log in one after the other."""

    def __init__(self, house: House, page: Page) -> None:
        self.house, self.page = house, page
        self.complaints: list[str] = []  #: console errors, page errors, requests that left the house
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("request", lambda request: self._leaves(request.url))

    def _note(self, kind: str, text: str) -> None:
        # A refused form answers 422; the browser writes that down as if a file were missing.
        if kind == "error" and "422" not in text:
            self.complaints.append(text)

    def _leaves(self, url: str) -> None:
        if not url.startswith((self.house.url, "data:", "blob:")):
            self.complaints.append(f"request to {url}")

    def open(self, path: str) -> None:
        self.page.goto(self.house.url + path)

    def log_in(self, user: str) -> None:
        self.page.goto("about:blank")  # what the page before still asks for must not bring its cookie back
        self.page.context.clear_cookies()
        self.open("/login")
        self.page.fill("#user", user)
        self.page.fill("#password", "demo")
        self.page.get_by_role("button", name="登录", exact=True).click()
        self.page.wait_for_url(self.house.url + "/")

    def submit(self) -> None:
        self.page.locator(".form-actions button[name=_submit]").click()
        self.page.wait_for_load_state()

    def fill(self, values: dict[str, Any], files: dict[str, Any] | None = None, prefix: str = "") -> None:
        """Type `values` into the form as a person would: texts, answers, ticks, rows."""
        for key, value in values.items():
            self._fill(prefix + key, value)
        for key, names in (files or {}).items():
            wanted = names if isinstance(names, list) else [names]
            self.page.set_input_files(
                f'[name="{key}"]', [{"name": n, "mimeType": "application/pdf", "buffer": b"%PDF-1.4\n" + n.encode()} for n in wanted]
            )

    def _fill(self, name: str, value: Any) -> None:
        field = self.page.locator(f'[name="{name}"]')
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for number, row in enumerate(value):
                if not self.page.locator(f'[name^="{name}.{number}."]').count():
                    self.page.locator(f'button[name=_add][value="{name}"]').click()
                self.fill(row, prefix=f"{name}.{number}.")
            return
        kind = field.first.evaluate("e => e.tagName === 'INPUT' ? e.type : e.tagName.toLowerCase()")
        if kind in ("checkbox", "radio"):
            chosen = [value] if not isinstance(value, list) else value
            if value is True or value is False:
                field.first.set_checked(value)
            else:
                for answer in chosen:
                    self.page.locator(f'[name="{name}"][value="{answer}"]').check()
        elif kind == "select":
            field.select_option(str(value))
        elif kind == "datetime-local":
            field.fill(str(value)[:16])
        else:
            field.fill(str(value))

    def config(self) -> dict[str, Any]:
        """Return what the page told its script."""
        found: dict[str, Any] = json.loads(self.page.locator("#config").first.text_content() or "{}")
        return found


@pytest.fixture
def desk(house: House, chromium: Browser) -> Iterator[Desk]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN", timezone_id="Asia/Shanghai")
    yield Desk(house, context.new_page())
    context.close()
