"""Serves the pages with waitress."""

from __future__ import annotations

import ipaddress

import click

from engine import Engine, Settings
from engine.errors import SettingsError
from web import create_app
from web.guard import FILES_AT_ONCE, FORM_LIMIT

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

    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    click.echo(f"请在浏览器打开 {address} ,按 Ctrl-C 停止 (open it in a browser; Ctrl-C stops)")
    waitress.serve(
        create_app(engine, settings), host=host, port=port, threads=THREADS, ident="psmflow",
        max_request_body_size=settings.upload_limit * FILES_AT_ONCE + FORM_LIMIT + 1, clear_untrusted_proxy_headers=True,
    )


def is_loopback(host: str) -> bool:
    """True if only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
