"""ISO 8601 texts as timers write them, and cron expressions."""

from __future__ import annotations

import re

_DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-4]):[0-5]\d(:[0-5]\d([.,]\d+)?)?"
_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?)?"
_DATE = re.compile(rf"{_DAY}([T ]{_TIME}{_ZONE})?|\d{{8}}T\d{{4}}(\d\d)?{_ZONE}")
# Fractions of seconds only: what half a month is, nobody can say.
_DURATION = re.compile(r"-?P(?=[\dT])(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?", re.I)
_CRON = re.compile(r"[\d*?/,\-A-Za-z#]+(\s+[\d*?/,\-A-Za-z#]+){4,6}")
_NUMERIC_CRON = re.compile(r"[\d*][\d*/,\-]*(\s+[\d*?/,\-]+){4,6}")
_REPEAT = re.compile(r"R\d*")


def is_duration(text: str) -> bool:
    return _DURATION.fullmatch(text) is not None


def is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None


def is_cycle(text: str) -> bool:
    if _CRON.fullmatch(text):
        return True
    parts = text.split("/")
    if parts[0][:1] == "R":
        parts = parts[1:] if _REPEAT.fullmatch(parts[0]) else ["?"]
    elif len(parts) < 2:
        return is_duration(text)
    if not 1 <= len(parts) <= 3 or not all(is_duration(part) or is_date(part) for part in parts):
        return False
    return any(is_duration(part) or len(parts) == 2 for part in parts)


def is_cron(text: str) -> bool:
    return _CRON.fullmatch(text) is not None


def is_numeric_cron(text: str) -> bool:
    """Whether a cron expression uses numbers, `*`, `?`, `/`, `,` and `-` only, as the engine's timers do."""
    return _NUMERIC_CRON.fullmatch(text) is not None


def is_retries(text: str) -> bool:
    """Whether it is `R5/PT10M`, a duration, or a comma list of durations."""
    if re.fullmatch(r"R\d+/P.*", text):
        return is_duration(text.split("/", 1)[1])
    return all(is_duration(part.strip()) for part in text.split(","))
