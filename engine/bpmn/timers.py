"""When a timer is due: ISO 8601 dates, durations and cycles, cron expressions, and the FEEL values that stand for them.

A plan is plain JSON data kept with the waiting token::

    {"due": "2026-12-01T01:30:00+00:00",      # UTC
     "from": "…",                              # a duration counts from here
     "every": "P7D" | "cron": "0 0 9 ? * 1-5", # of a cycle
     "left": 3}                                # turns left, this one included; absent: without end
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from engine.feel import YearsMonths
from engine.model import Value

Plan = dict[str, Any]

_DURATION = re.compile(
    r"(?P<sign>-)?P(?!$)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?"
)
_CYCLE = re.compile(r"R(\d*)/(.+)", re.I)
_CRON = re.compile(r"[\d*][\d*/,\-]*( +\S+){4,6}")
#: A text that is a time by itself, not an expression.
BARE = re.compile(r"-?P[\dT]|R\d*/|\d{4}-\d\d|\d{8}T|[\d*][\d*/,\-]* +\S+ +\S+ +\S+ +\S+")


class BadTime(ValueError):
    """A value that is no time of the kind asked for."""


@lru_cache(1024)
def parse_duration(text: str) -> tuple[int, timedelta]:
    """Return (months, rest) of an ISO 8601 duration.

    Raises:
        BadTime: it is none.
    """
    match = _DURATION.fullmatch(text.strip().upper())
    if match is None:
        raise BadTime(f"{text!r} is not an ISO 8601 duration (PT24H, P7D)")
    part = {name: value or "0" for name, value in match.groupdict().items() if name != "sign"}
    sign = -1 if match["sign"] else 1
    rest = timedelta(
        weeks=int(part["weeks"]), days=int(part["days"]), hours=int(part["hours"]), minutes=int(part["minutes"]),
        seconds=float(part["seconds"].replace(",", ".")),
    )
    return sign * (12 * int(part["years"]) + int(part["months"])), sign * rest


def add_duration(at: datetime, duration: str, zone: ZoneInfo, times: int = 1) -> datetime:
    """Return `at` plus `times` durations, UTC. Months are calendar months of `zone`: the 31st becomes the last day."""
    months, rest = parse_duration(duration)
    if months:
        local = at.astimezone(zone)
        count = local.year * 12 + local.month - 1 + months * times
        year, month = divmod(count, 12)
        last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        at = local.replace(year=year, month=month + 1, day=min(local.day, last))
    return at.astimezone(UTC) + rest * times


def instant(value: Value, zone: ZoneInfo) -> datetime:
    """Return a date or date and time as a UTC instant; a local one means `zone`, a date its midnight.

    Raises:
        BadTime: it is neither.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as exc:
            raise BadTime(f"{value!r} is not an ISO 8601 date and time (2026-12-01T09:30:00+08:00)") from exc
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise BadTime(f"{_shown(value)} is not a date and time")
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    at: datetime = value.astimezone(UTC)
    return at


def duration_text(value: Value) -> str:
    """Return a duration as ISO 8601 text.

    Raises:
        BadTime: it is none.
    """
    if isinstance(value, timedelta):
        sign, value = ("-", -value) if value < timedelta() else ("", value)
        seconds = value.seconds + value.microseconds / 1_000_000
        return f"{sign}P{value.days}DT{seconds:f}S"
    if isinstance(value, YearsMonths):
        value = str(value)
    if isinstance(value, str):
        parse_duration(value)
        return value
    raise BadTime(f"{_shown(value)} is not a duration")


def plan(kind: str, value: Value, at: datetime, zone: ZoneInfo) -> Plan:
    """Return the plan of a new timer.

    Args:
        kind: ``timeDate``, ``timeDuration`` or ``timeCycle``.
        value: what the diagram's text or expression gave.
        at: the instant at which it starts to run.

    Raises:
        BadTime: the value is no time of this kind.
    """
    if value is None:
        raise BadTime("the time is null")
    if kind == "timeDate":
        return {"due": instant(value, zone).isoformat()}
    if kind == "timeDuration":
        return {"due": add_duration(at, duration_text(value), zone).isoformat(), "from": at.isoformat()}
    if isinstance(value, timedelta | YearsMonths) or (isinstance(value, str) and value.strip().upper().startswith("P")):
        return {"due": add_duration(at, duration_text(value), zone).isoformat(), "every": duration_text(value), "left": 1,
                "text": duration_text(value)}
    if not isinstance(value, str):
        raise BadTime(f"{_shown(value)} is not a cycle (R/P7D)")
    text = value.strip()
    match = _CYCLE.fullmatch(text)
    if match is None:
        if _CRON.fullmatch(text):
            return {"due": next_cron(text, at, zone).isoformat(), "cron": text, "text": text}
        raise BadTime(f"{text!r} is not a cycle (R/P7D, R3/PT1H) nor a cron expression")
    first, _, second = match[2].partition("/")
    if not second:
        every, due = first, add_duration(at, first, zone)
    elif second.upper().startswith("P"):
        every, due = second, instant(first, zone)
    else:
        every, due = first, add_duration(instant(second, zone), first, zone, -1)
    months, rest = parse_duration(every)
    if months < 0 or rest < timedelta() or (not months and rest < timedelta(seconds=1)):
        raise BadTime(f"the cycle {text!r} has no length of at least a second")
    made: Plan = {"due": due.isoformat(), "every": every, "text": text}
    if match[1]:
        made["left"] = int(match[1])
        if made["left"] < 1:
            raise BadTime(f"the cycle {text!r} never fires")
    return made


def due_at(made: Plan) -> datetime:
    return datetime.fromisoformat(made["due"])


def turn(made: Plan, at: datetime, zone: ZoneInfo) -> tuple[int, Plan | None]:
    """Return how many further turns were missed by `at`, and the plan of the turn after those (None: that was the last)."""
    skipped, due, left = 0, due_at(made), made.get("left")
    if "cron" in made:
        due = next_cron(made["cron"], due, zone)
        while due <= at:
            due, skipped = next_cron(made["cron"], due, zone), skipped + 1
        return skipped, {**made, "due": due.isoformat()}
    months, rest = parse_duration(made["every"])
    limit = None if left is None else left - 1
    if not months:
        missed = max(0, (at - due) // rest)
        skipped = missed if limit is None else min(missed, limit)
        due += rest * (skipped + 1)
    else:
        following = add_duration(due, made["every"], zone)
        while following <= at and (limit is None or skipped < limit):
            skipped += 1
            following = add_duration(due, made["every"], zone, skipped + 1)
        due = following
    if left is None:
        return skipped, {**made, "due": due.isoformat()}
    left -= 1 + skipped
    return skipped, {**made, "due": due.isoformat(), "left": left} if left > 0 else None


@lru_cache(256)
def _cron(text: str) -> tuple[frozenset[int], ...]:
    fields = text.split()
    if len(fields) == 5:
        fields = ["0", *fields]
    spans = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7))

    def allowed(words: str, low: int, high: int) -> frozenset[int]:
        values: set[int] = set()
        for word in words.split(","):
            part, _, step = word.partition("/")
            try:
                if part in ("*", "?"):
                    first, last = low, high
                elif "-" in part:
                    first, last = (int(x) for x in part.split("-"))
                else:
                    first, last = int(part), high if step else int(part)
                values.update(range(first, last + 1, int(step or 1)))
            except ValueError as exc:
                raise BadTime(f"cron expression {text!r}: {word!r} is not understood (numbers, * ? , - / only)") from exc
        if not values or min(values) < low or max(values) > high:
            raise BadTime(f"cron expression {text!r}: {words!r} is not within {low} to {high}")
        return frozenset(values)

    return tuple(allowed(words, low, high) for words, (low, high) in zip(fields[:6], spans, strict=True))


def next_cron(text: str, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant after `after` that a cron expression (second minute hour day month weekday) names in `zone`.

    Raises:
        BadTime: the expression is not understood or names no instant within eight years.
    """
    second, minute, hour, day, month, weekday = _cron(text)
    at = after.astimezone(zone).replace(microsecond=0, tzinfo=None) + timedelta(seconds=1)
    end = at + timedelta(days=8 * 366)
    while at < end:
        if at.month not in month or at.day not in day or not {at.isoweekday(), at.isoweekday() % 7} & weekday:
            at = datetime.combine(at.date() + timedelta(days=1), time())
        elif at.hour not in hour:
            at = at.replace(minute=0, second=0) + timedelta(hours=1)
        elif at.minute not in minute:
            at = at.replace(second=0) + timedelta(minutes=1)
        elif at.second not in second:
            at += timedelta(seconds=1)
        else:
            return at.replace(tzinfo=zone).astimezone(UTC)
    raise BadTime(f"cron expression {text!r} never comes")


def check_bare(kind: str, text: str, zone: ZoneInfo) -> None:
    """Raise `BadTime` when a literal time of a diagram is none."""
    plan(kind, text, datetime(2026, 1, 1, tzinfo=UTC), zone)


def _shown(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
