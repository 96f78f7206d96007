"""When a timer is due: ISO 8601 dates, durations and cycles, cron expressions, and the FEEL values that stand for them.

A plan is plain JSON data kept with the waiting token::

    {"due": "2026-12-01T01:30:00+00:00",      # UTC
     "from": "…",                              # a duration counts from here
     "every": "P7D" | "cron": "0 0 9 ? * 1-5", # of a cycle
     "day": 31,                                # of a monthly cycle that began late in a month: the day it returns to
     "clock": "02:30:00",                      # of a cycle of days: the time of day it returns to after a change of clocks
     "left": 3}                                # turns left, this one included; absent: without end
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from engine.bpmn import cron
from engine.feel import YearsMonths
from engine.model import Value

Plan = dict[str, Any]

_DURATION = re.compile(
    r"(?P<sign>-)?P(?!$)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?"
)
_CYCLE = re.compile(r"R(-1|\d*)/(.+)", re.I)
#: A text that is a time by itself, not an expression.
BARE = re.compile(r"-?P[\dT]|R(-1|\d*)/|\d{4}-\d\d|\d{8}T|@[a-z]+$|[\d*][\d*/,\-]* +\S+ +\S+ +\S+ +\S+")


class BadTime(ValueError):
    """A value that is no time of the kind asked for."""


def parse_duration(text: str) -> tuple[int, timedelta]:
    """Return (months, rest) of an ISO 8601 duration.

    Raises:
        BadTime: it is none.
    """
    months, days, rest = _parts(text)
    return months, timedelta(days=days) + rest


@lru_cache(1024)
def _parts(text: str) -> tuple[int, int, timedelta]:
    """Months and days are those of the calendar, the rest is exact."""
    match = _DURATION.fullmatch(text.strip().upper())
    if match is None:
        raise BadTime(f"{text!r} is not an ISO 8601 duration (PT24H, P7D)")
    part = {name: value or "0" for name, value in match.groupdict().items() if name != "sign"}
    sign = -1 if match["sign"] else 1
    rest = timedelta(
        hours=int(part["hours"]), minutes=int(part["minutes"]), seconds=float(part["seconds"].replace(",", ".")))
    days = 7 * int(part["weeks"]) + int(part["days"])
    timedelta(days=days)  # too long for any calendar: OverflowError
    return sign * (12 * int(part["years"]) + int(part["months"])), sign * days, sign * rest


def add_duration(at: datetime, duration: str, zone: ZoneInfo, times: int = 1, day: int | None = None, clock: time | None = None) -> datetime:
    """Return `at` plus `times` durations, UTC.

    Months and days are calendar ones of `zone`: the 31st becomes the last day of a shorter month, and a day keeps the time of day when
    clocks change; hours, minutes and seconds are exact.

    Args:
        day: of the month to return to where the month has it.
        clock: time of day to return to.
    """
    months, days, rest = _parts(duration)
    if months or days:
        local = at.astimezone(zone)
        if months:
            count = local.year * 12 + local.month - 1 + months * times
            year, month = divmod(count, 12)
            last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
            local = local.replace(year=year, month=month + 1, day=min(day or local.day, last))
        at = local + timedelta(days=days * times)
        if clock is not None:
            at = at.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=clock.microsecond, fold=0)
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
        whole = value // timedelta(seconds=1)  # exact: a FEEL duration has no calendar days
        return f"{sign}PT{whole}.{value.microseconds:06d}S"
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
        if cron.SHAPE.fullmatch(text):
            return {"due": next_cron(text, at, zone).isoformat(), "cron": text, "text": text}
        raise BadTime(f"{text!r} is not a cycle (R/P7D, R3/PT1H) nor a cron expression")
    count = None if match[1] in ("", "-1") else int(match[1])
    if count == 0:
        raise BadTime(f"the cycle {text!r} never fires")
    first, _, second = match[2].partition("/")
    return _cycle(text, count, first, second, at, zone)


def _cycle(text: str, count: int | None, first: str, second: str, at: datetime, zone: ZoneInfo) -> Plan:
    """``P`` from now on, ``start/P`` from the start on, ``start/end`` with what lies between, ``P/end`` so that the last is the end."""
    end: datetime | None = None
    if not second:
        every, due = first, add_duration(at, first, zone)
    elif second.upper().startswith("P"):
        every, due = second, instant(first, zone)
    elif not first.upper().startswith("P"):
        due = instant(first, zone)
        every = duration_text(instant(second, zone) - due)
    else:
        every, end = first, instant(second, zone)
        due = end
    months, rest = parse_duration(every)
    if months < 0 or rest < timedelta() or (not months and rest < timedelta(seconds=1)):
        raise BadTime(f"the cycle {text!r} has no length of at least a second")
    if end is not None:
        if end < at:
            raise BadTime(f"the end of the cycle {text!r} is over")
        back = 0
        if not months:
            back = (end - at) // rest  # a day of the calendar may be an hour longer or shorter
            while back and add_duration(end, every, zone, -back) <= at:
                back -= 1
        while (count is None or back + 1 < count) and (earlier := add_duration(end, every, zone, -back - 1)) > at:
            due, back = earlier, back + 1
        if count is not None:
            back = min(back, count - 1)
        due, count = add_duration(end, every, zone, -back), back + 1
    made: Plan = {"due": due.isoformat(), "every": every, "text": text}
    day = due.astimezone(zone).day
    if months and day > 28:
        made["day"] = day
    if count is not None:
        made["left"] = count
    return made


def due_at(made: Plan) -> datetime:
    return datetime.fromisoformat(made["due"])


def turn(made: Plan, at: datetime, zone: ZoneInfo) -> tuple[int, Plan | None]:
    """Return how many further turns were missed by `at`, and the plan of the turn after those (None: that was the last)."""
    skipped, due, left = 0, due_at(made), made.get("left")
    if "cron" in made:
        try:
            due = next_cron(made["cron"], due, zone)
            while due <= at:
                due, skipped = next_cron(made["cron"], due, zone), skipped + 1
        except BadTime:  # of years that are over
            return skipped, None
        return skipped, {**made, "due": due.isoformat()}
    months, days, rest = _parts(made["every"])
    limit = None if left is None else left - 1
    if months or days:  # of the calendar: no two need be of one length
        clock = None if rest else time.fromisoformat(made["clock"]) if "clock" in made else due.astimezone(zone).time()
        due = add_duration(due, made["every"], zone, 1, made.get("day"), clock)
        while due <= at and (limit is None or skipped < limit):
            due, skipped = add_duration(due, made["every"], zone, 1, made.get("day"), clock), skipped + 1
        if clock is not None and due.astimezone(zone).time() != clock:  # left out by a change of clocks, on that day only
            made = {**made, "clock": clock.isoformat()}
    else:
        missed = max(0, (at - due) // rest)
        skipped = missed if limit is None else min(missed, limit)
        due += rest * (skipped + 1)
    if left is None:
        return skipped, {**made, "due": due.isoformat()}
    left -= 1 + skipped
    return skipped, {**made, "due": due.isoformat(), "left": left} if left > 0 else None


def next_cron(text: str, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant after `after` that a cron expression names in `zone`.

    Raises:
        BadTime: the expression is not understood or never comes.
    """
    try:
        return cron.next_at(text, after, zone)
    except ValueError as exc:
        raise BadTime(str(exc)) from exc


def check_bare(kind: str, text: str, zone: ZoneInfo) -> None:
    """Raise `BadTime` when a literal time of a diagram is none."""
    plan(kind, text, datetime(2026, 1, 1, tzinfo=UTC), zone)


def _shown(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
