"""Serves the pages with waitress."""

from __future__ import annotations

import logging

from engine import Engine, Settings
from engine.errors import SettingsError
from engine.logs import tell
from web import create_app
from web.guard import FILES_AT_ONCE, FORM_LIMIT, is_loopback

_log = logging.getLogger("psmflow.serve")
#: SQLite takes one writer at a time; more threads than this only wait for each other.
THREADS = 8


def serve(engine: Engine, settings: Settings, host: str, port: int) -> None:
    """Serve until the process is told to stop.

    Raises:
        SettingsError: demo mode, whose passwords everybody knows, on an address that others can reach.
    """
    if settings.demo and not is_loopback(host):
        raise SettingsError(name="host", reason=f"{host}: demo 模式只能监听本机地址 (demo mode listens on loopback alone)")
    import waitress

    server = waitress.create_server(
        create_app(engine, settings), host=host, port=port, threads=THREADS, ident="psmflow",
        max_request_body_size=settings.upload_limit * FILES_AT_ONCE + FORM_LIMIT + 1, clear_untrusted_proxy_headers=True,
    )
    tell(_log, logging.INFO, "ready: open it in a browser", url=settings.base_url, host=host, port=port)
    server.run()
