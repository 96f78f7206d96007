"""What the program says on standard error: one line an event, for people or as JSON for programs.

A line says what happened to which instance, who asked, how long it took; it never holds what people typed, variables or secrets.
So of an exception its type and where it was raised are told, and its words only when the machine said them (`OSError`).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from engine.clock import token
from engine.errors import EngineError

#: Of the request or job that this thread works on; "" outside of both.
request_id: ContextVar[str] = ContextVar("request_id", default="")
_GIVEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{3,63}")


@contextmanager
def within_request(given: str | None = None) -> Iterator[str]:
    """Let every line of this block carry a request id: the one `given` if it is one, else a new one."""
    chosen = given if given is not None and _GIVEN.fullmatch(given) else token()[:16]
    before = request_id.set(chosen)
    try:
        yield chosen
    finally:
        request_id.reset(before)


def tell(log: logging.Logger, level: int, event: str, error: BaseException | None = None, **facts: object) -> None:
    """Write a line about an event. Facts that are None are left out."""
    if log.isEnabledFor(level):
        known = {name: value for name, value in facts.items() if value is not None}
        log.log(level, event, extra={"facts": known}, exc_info=error)


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts = dict(getattr(record, "facts", {}))
    if request := request_id.get():
        facts["request"] = request
    if record.exc_info and record.exc_info[1] is not None:
        facts |= _said(record.exc_info[1])
    return facts


def _said(error: BaseException) -> dict[str, Any]:
    told: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, EngineError):
        told["code"] = error.code
    elif isinstance(error, OSError):
        told["reason"] = error.strerror or type(error).__name__
    told["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    if error.__cause__ is not None:
        told["cause"] = _said(error.__cause__)
    return told


class JsonLines(logging.Formatter):
    """``{"time", "level", "logger", "event", …facts, "request", "error", "trace"}``; times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "level": record.levelname.lower(), "logger": record.name, "event": record.getMessage(), **_facts(record)}
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """``2026-11-22T01:40:00.123Z INFO command command=task.complete outcome=done …``, a trace on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        facts = _facts(record)
        trace = facts.pop("trace", [])
        facts.pop("cause", None)
        words = " ".join(f"{name}={_word(value)}" for name, value in facts.items())
        lines = "".join(f"\n    {_one_line(place)}" for place in trace)
        return f"{at} {record.levelname} {_one_line(record.getMessage())} {words}".rstrip() + lines


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _word(value: object) -> str:
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)


def configure(form: str, stream: TextIO | None = None) -> logging.Handler:
    """Write every line of this process to `stream` (default: standard error), ``text`` or ``json``; return the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("apscheduler", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return handler
