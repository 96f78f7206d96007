"""The settings of the product: one frozen record, read from the environment here and nowhere else."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from engine.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where things lie and how the engine behaves. Each field is read from `PSMFLOW_<NAME>`.

    Attributes:
        data: folder of the database, the uploaded files and the secret key; made on first start, mode 700.
        database: SQLite file, by default ``<data>/psmflow.db``.
        database_url: ``postgresql://user:password@host:port/name?sslmode=require``; empty: the SQLite file. Read from
            `PSMFLOW_DATABASE_URL`, else from `DATABASE_URL`. Letters such as ``@`` in user and password are written ``%40``.
        synchronous: durability, ``FULL`` (default) or ``NORMAL`` (may lose the last commits on power failure).
        busy_seconds: so long does a write wait for others that write; then it is refused.
        demo: demo users exist; the server then listens on loopback alone.
        base_url: how the pages are reached from mails, e.g. ``https://psm.example.com``.
        smtp: ``smtp://user:password@host:port`` (STARTTLS when the server offers it; a password is never sent without),
            ``smtps://…`` (TLS from the start), ``smtp+plain://…`` (never encrypted, for a server inside the house); empty: no
            mail is sent. Letters such as ``@`` or ``/`` in user and password are written ``%40``, ``%2F``.
        mail_from: sender of mails.
        robots: apprise addresses (``dingtalk://…``, ``wecombot://…``, ``feishu://…``), separated by blanks; empty: none.
        time_zone: of the house; what pages show and naive local times mean.
        dispatch: who tells that jobs are due: ``local`` (default), each process looks by itself; ``procrastinate``, its workers on
            PostgreSQL.
        worker_threads: handlers that run at once in one process.
        stop_seconds: so long may handlers that run go on when the process is told to stop; then their jobs are given back.
        upload_limit: bytes of one uploaded file.
        diagram_limit: bytes of one diagram.
        secret_key: signs sessions; by default made once and kept in ``<data>/secret.key``, mode 600.
        sealing_key_file: file of the key that sealed prices are encrypted with, mode 600; by default ``<data>/sealing.key``, made when
            the first price is sealed. Processes on several machines need the same key.
        log: ``text`` or ``json``, how server and worker write their lines on standard error.
        metrics_token: whoever sends it as ``Authorization: Bearer …`` may read ``/metrics``; empty: this machine alone.
        known_instances: so many instances, with their open user tasks, does a process remember as it has written them last, so that
            the next command reads nothing; 0: none.
        keys_kept_days: idempotency keys are forgotten after this; a command repeated later is carried out again.
        keep_closed: instances that ended longer ago than this (``P2Y``, ``P18M``, ``P90D``; whole months) are moved into archive
            files by the daily run; empty: never.
        heads_to: where each signed head file is copied to: folders (absolute paths) and mail addresses.
    """

    data: Path
    database: Path
    database_url: str = field(default="", repr=False)
    synchronous: str = "FULL"
    busy_seconds: int = 30
    demo: bool = False
    base_url: str = "http://127.0.0.1:8000"
    smtp: str = field(default="", repr=False)
    mail_from: str = "psmflow@localhost"
    robots: tuple[str, ...] = field(default=(), repr=False)
    time_zone: str = "Asia/Shanghai"
    dispatch: str = "local"
    worker_threads: int = 4
    stop_seconds: int = 30
    upload_limit: int = 20 * 1024 * 1024
    diagram_limit: int = 4 * 1024 * 1024
    secret_key: str = field(default="", repr=False)
    sealing_key_file: str = ""
    log: str = "text"
    metrics_token: str = field(default="", repr=False)
    known_instances: int = 256
    keys_kept_days: int = 30
    keep_closed: str = ""
    heads_to: tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str] | None = None, **changes: object) -> Settings:
    """Return the settings from `environ` (default: the process's), with `changes` on top.

    Who names a `database` file means that file, whatever server the environment names.

    Raises:
        SettingsError: a value cannot be read; names the variable.
    """
    env = os.environ if environ is None else environ

    def text(name: str, default: str) -> str:
        return env.get(f"PSMFLOW_{name}", default).strip()

    def number(name: str, default: int, *, least: int = 0) -> int:
        value = text(name, str(default))
        if not value.isdecimal() or int(value) < least:
            raise SettingsError(name=f"PSMFLOW_{name}", reason=f"{value!r}: {least}, {least + 1}, {least + 2}, …")
        return int(value)

    data = Path(str(changes.pop("data", None) or text("DATA", "var"))).absolute()
    synchronous = text("SYNCHRONOUS", "FULL").upper()
    if synchronous not in ("FULL", "NORMAL"):
        raise SettingsError(name="PSMFLOW_SYNCHRONOUS", reason=f"{synchronous!r}: FULL, NORMAL")
    log = text("LOG", "text").lower()
    if log not in ("text", "json"):
        raise SettingsError(name="PSMFLOW_LOG", reason=f"{log!r}: text, json")
    smtp = text("SMTP", "")
    if smtp and not _is_mail_server(smtp):
        # the value itself is not repeated: a password stands in it
        raise SettingsError(name="PSMFLOW_SMTP", reason="smtp://user:password@host:port, smtps://…, smtp+plain://…")
    database_url = "" if "database" in changes else text("DATABASE_URL", "") or env.get("DATABASE_URL", "").strip()
    if database_url and not _is_database_server(database_url):
        name = "PSMFLOW_DATABASE_URL" if text("DATABASE_URL", "") else "DATABASE_URL"
        raise SettingsError(name=name, reason="postgresql://user:password@host:port/name")  # without its value: see above
    keep_closed = text("KEEP_CLOSED", "").upper()
    if keep_closed and not re.fullmatch(r"P(?=.)(\d{1,3}Y)?(\d{1,4}M)?(\d{1,4}W)?(\d{1,5}D)?", keep_closed, re.ASCII):
        raise SettingsError(name="PSMFLOW_KEEP_CLOSED", reason=f"{keep_closed!r}: P2Y, P18M, P90D")
    heads_to = tuple(text("HEADS_TO", "").split())
    for place in heads_to:
        if not (place.startswith("/") or re.fullmatch(r"[^@\s<>,;/]+@[^@\s<>,;/]+", place)):
            raise SettingsError(name="PSMFLOW_HEADS_TO", reason=f"{place!r}: /mnt/audit, audit@example.com")
        if not place.startswith("/") and not smtp:
            raise SettingsError(name="PSMFLOW_HEADS_TO", reason=f"{place}: PSMFLOW_SMTP?")
    dispatch = text("DISPATCH", "local")
    if dispatch not in ("local", "procrastinate"):
        raise SettingsError(name="PSMFLOW_DISPATCH", reason=f"{dispatch!r}: local, procrastinate")
    if dispatch == "procrastinate" and not (database_url or changes.get("database_url")):
        raise SettingsError(name="PSMFLOW_DISPATCH", reason="procrastinate: 需要 PostgreSQL (it needs PostgreSQL): PSMFLOW_DATABASE_URL")
    busy_seconds = number("BUSY_SECONDS", 30)
    if not busy_seconds:
        raise SettingsError(name="PSMFLOW_BUSY_SECONDS", reason="0: 1, 2, 3, …")
    values: dict[str, object] = dict(
        data=data,
        database_url=database_url,
        database=Path(text("DATABASE", str(data / "psmflow.db"))).absolute(),
        synchronous=synchronous,
        busy_seconds=busy_seconds,
        demo=text("DEMO", "") in ("1", "true", "yes"),
        base_url=text("BASE_URL", "http://127.0.0.1:8000").rstrip("/"),
        smtp=smtp,
        mail_from=text("MAIL_FROM", "psmflow@localhost"),
        robots=tuple(text("ROBOTS", "").split()),
        time_zone=text("TIME_ZONE", "Asia/Shanghai"),
        dispatch=dispatch,
        worker_threads=number("WORKER_THREADS", 4, least=1),
        stop_seconds=number("STOP_SECONDS", 30),
        upload_limit=number("UPLOAD_LIMIT", 20 * 1024 * 1024),
        diagram_limit=number("DIAGRAM_LIMIT", 4 * 1024 * 1024),
        secret_key=text("SECRET_KEY", ""),
        sealing_key_file=text("SEALING_KEY_FILE", ""),
        log=log,
        metrics_token=text("METRICS_TOKEN", ""),
        known_instances=number("KNOWN_INSTANCES", 256),
        keys_kept_days=number("KEYS_KEPT_DAYS", 30),
        keep_closed=keep_closed,
        heads_to=heads_to,
    )
    values.update(changes)
    return Settings(**values)  # type: ignore[arg-type]


def _is_mail_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("smtp", "smtps", "smtp+plain") and bool(parts.hostname) and parts.port != 0 and parts.path in ("", "/")
    except ValueError:
        return False


def _is_database_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("postgresql", "postgres") and parts.port != 0 and len(parts.path) > 1 and "/" not in parts.path[1:]
    except ValueError:
        return False


def kept_secret(data: Path) -> str:
    """Return the secret key kept in `data`, made on first use and readable by its owner alone."""
    path = data / "secret.key"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text("ascii").strip()
