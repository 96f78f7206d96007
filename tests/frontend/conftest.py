"""A Chromium, and a small server that hands out the bundle and keeps one draft: enough to use the scripts as a person does."""

from __future__ import annotations

import hashlib
import html
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

DIST = Path(__file__).parents[2] / "web" / "static" / "dist"
DIAGRAMS = Path(__file__).parent / "diagrams"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2", ".html": "text/html; charset=utf-8"}


def diagram(name: str) -> str:
    return (DIAGRAMS / f"{name}.bpmn").read_text(encoding="utf-8")


@dataclass
class Desk:
    """What the server has: pages by path, one draft, and what it was asked."""

    pages: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    draft: bytes = b""
    findings: list[dict[str, Any]] = field(default_factory=list)
    lay_out: Callable[[str], str] = lambda text: text
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.draft).hexdigest()

    def page(
        self,
        path: str,
        body: str,
        *,
        tool: str = "",
        config: Any = None,
        lang: str = "zh-CN",
        kind: str = "page",
        now: str = "",
    ) -> str:
        """Put a page on the desk and return its address; `tool`: the script, in an element of the same id."""
        manifest = json.loads((DIST / "manifest.json").read_text())
        head = [f'<link rel="stylesheet" href="/dist/{manifest[n]}">' for n in ("site.css", f"{tool}.css") if n in manifest]
        scripts = [f'<script src="/dist/{manifest[n]}" defer></script>' for n in ("app.js", f"{tool}.js") if n in manifest]
        data = json.dumps(config, ensure_ascii=False).replace("<", "\\u003c")
        settings = f'<script type="application/json" id="config">{data}</script>' if tool else ""
        stamp = f' data-now="{html.escape(now)}"' if now else ""
        self.pages[path] = (
            f'<!doctype html><html lang="{lang}"{stamp}><head><meta charset="utf-8"><title>页</title>'
            '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
            f'{"".join(head)}</head><body class="{kind}">{body}{settings}{"".join(scripts)}</body></html>'
        )
        return self.url + path


@pytest.fixture(scope="session")
def office() -> Iterator[list[Desk]]:
    """One server for all tests, so that the browser keeps the bundle; it serves the last desk of the list."""
    desks = [Desk()]

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def answer(self, status: int, body: bytes, kind: str, **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header(
                "Content-Security-Policy",
                POLICY + ("; style-src-attr 'unsafe-inline'" if self.path.startswith("/modeler") else ""),
            )
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def json(self, status: int, body: object) -> None:
            self.answer(status, json.dumps(body).encode(), "application/json")

        def handle_any(self) -> None:
            desk = desks[-1]
            path = self.path.split("?")[0]
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            desk.asked.append((self.command, path))
            if path in desk.pages:
                self.answer(200, desk.pages[path].encode(), _TYPES[".html"])
            elif path in desk.data:
                self.json(200, desk.data[path])
            elif path.startswith("/dist/") and re.fullmatch(r"[\w.-]+", path[6:]):
                file = DIST / path[6:]
                self.answer(200, file.read_bytes(), _TYPES[file.suffix], **{"Cache-Control": "max-age=31536000, immutable"})
            elif path.startswith("/xml/") and re.fullmatch(r"\w+", path[5:]):
                self.answer(200, diagram(path[5:]).encode(), "application/xml")
            elif path == "/stay":
                self.answer(204, b"", "text/plain")
            elif path == "/draft":
                self.keep(body)
            elif path == "/check":
                self.json(200, {"findings": desk.findings})
            elif path == "/layout":
                self.answer(200, desk.lay_out(body.decode()).encode(), "application/xml")
            elif path == "/deploy":
                refused = [f for f in desk.findings if f["severity"] != "warning"]
                self.json(
                    *(
                        (422, {"error": "有问题", "findings": refused})
                        if refused
                        else (200, {"version": 4, "findings": desk.findings})
                    )
                )
            else:
                self.json(404, {"message": "没有"})

        def keep(self, body: bytes) -> None:
            desk = desks[-1]
            if self.command == "PUT":
                if self.headers.get("X-CSRF-Token") != "token":
                    return self.json(400, {"message": "没有令牌"})
                if self.headers.get("If-Match") != f'"{desk.sha256}"':
                    return self.json(412, {"message": "别人已保存"})
                desk.draft = body
                return self.json(200, {"sha256": desk.sha256, "findings": desk.findings})
            return self.answer(200, desk.draft, "application/xml", ETag=f'"{desk.sha256}"')

        do_GET = do_POST = do_PUT = handle_any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    desks[0].url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield desks
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def desk(office: list[Desk]) -> Desk:
    office.append(Desk(draft=diagram("bid").encode(), url=office[0].url))
    return office[-1]


@pytest.fixture(scope="session")
def person(chromium: Browser) -> Iterator[BrowserContext]:
    """Somebody in another time zone, whose browser speaks Chinese and remembers what it has loaded."""
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, timezone_id="America/New_York", locale="zh-CN")
    yield context
    context.close()


@pytest.fixture
def page(person: BrowserContext, desk: Desk) -> Iterator[Page]:
    """A page of 1280 by 860 that fails its test for any error in the console, broken policy, or request to another host."""
    page = person.new_page()
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: wrong.append(f"error: {e}"))
    page.on("request", lambda r: wrong.append(f"asked {r.url}") if not r.url.startswith((desk.url, "data:", "blob:")) else None)
    page.set_default_timeout(15_000)
    yield page
    page.close()
    expected = desk.data.get("expected in the console", "\0")
    assert [w for w in wrong if expected not in w] == []


def is_ready(page: Page) -> None:
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.evaluate("document.documentElement.dataset.ready") == "1"
