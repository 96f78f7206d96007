"""Cron expressions, the dialect that Spring and Camunda 8 speak: when one comes next.

    second minute hour day month weekday year     the second (0) and the year (every) may be left out

Each is ``*``, a number, a range, a list of these, or either with ``/step``. Months are also JAN to DEC, weekdays SUN to SAT; as numbers
weekdays are 0 to 7, Sunday being both 0 and 7 (Quartz counts from 1: write names). Of day and weekday both must hold; the one that does
not matter may be ``?``. A day may also be ``L`` (the last), ``L-2`` (two before it), ``15W`` (the working day, Monday to Friday, nearest
to the 15th of the month), ``LW`` (the last working day); a weekday ``FRIL`` or ``5L`` (the last Friday), ``MON#2`` (the second Monday).
``@yearly @monthly @weekly @daily @hourly`` are the usual ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_USUAL = {
    "@yearly": "0 0 0 1 1 *", "@annually": "0 0 0 1 1 *", "@monthly": "0 0 0 1 * *", "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *", "@midnight": "0 0 0 * * *", "@hourly": "0 0 * * * *",
}
_MONTHS = {name: n for n, name in enumerate(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1)}
_WEEKDAYS = {name: n for n, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])}
#: A text that can be nothing but a cron expression.
SHAPE = re.compile(r"@[a-z]+|[\d*][\d*/,\-]*( +\S+){4,6}")
_YEARS = 40  #: so far ahead an instant is looked for; a 29 February that is a given weekday comes every 28 years

Rule = Callable[[date], bool]


@dataclass(frozen=True, slots=True)
class _Cron:
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: tuple[Rule, ...]
    months: frozenset[int]
    weekdays: tuple[Rule, ...]
    years: frozenset[int]

    def on(self, day: date) -> bool:
        return any(rule(day) for rule in self.days) and any(rule(day) for rule in self.weekdays)


def next_at(text: str, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant after `after`, UTC, that the expression names in `zone`.

    A local time that a change of clocks leaves out comes that much later; one that comes twice counts once, the first time.

    Raises:
        ValueError: the expression is not understood, or names no instant within forty years.
    """
    cron = _read(text)
    local = after.astimezone(zone)
    at = local.replace(microsecond=0, tzinfo=None) + timedelta(seconds=1)
    last = at.year + _YEARS
    while at.year <= last:
        if at.year not in cron.years or at.month not in cron.months:
            at = datetime.combine(date(at.year + at.month // 12, at.month % 12 + 1, 1), time())
        elif not cron.on(at.date()):
            at = datetime.combine(at.date() + timedelta(days=1), time())
        elif at.hour not in cron.hours:
            at = at.replace(minute=0, second=0) + timedelta(hours=1)
        elif at.minute not in cron.minutes:
            at = at.replace(second=0) + timedelta(minutes=1)
        elif at.second not in cron.seconds:
            at += timedelta(seconds=1)
        else:
            found = at.replace(tzinfo=zone).astimezone(UTC)
            if found > after:
                return found
            at += timedelta(seconds=1)
    raise ValueError(f"cron expression {text!r} never comes")


@lru_cache(256)
def _read(text: str) -> _Cron:
    fields = _USUAL.get(text.strip().lower(), text).upper().split()
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) == 6:
        fields.append("*")
    if len(fields) != 7:
        raise ValueError(f"cron expression {text!r}: five to seven fields are expected (second minute hour day month weekday year)")
    try:
        return _Cron(
            seconds=_numbers(fields[0], 0, 59), minutes=_numbers(fields[1], 0, 59), hours=_numbers(fields[2], 0, 23),
            days=tuple(map(_day, fields[3].split(","))), months=_numbers(fields[4], 1, 12, _MONTHS),
            weekdays=tuple(map(_weekday, fields[5].split(","))), years=_numbers(fields[6], 1970, 2199))
    except ValueError as exc:
        raise ValueError(f"cron expression {text!r}: {exc}") from exc


def _numbers(words: str, low: int, high: int, names: dict[str, int] = {}) -> frozenset[int]:  # noqa: B006
    found: set[int] = set()
    for word in words.split(","):
        part, slash, step = word.partition("/")
        if slash and not (step.isdecimal() and int(step)):
            raise ValueError(f"{word!r} is not understood")
        first, last = low, high
        if part != "*":
            begin, dash, end = part.partition("-")
            first = _number(begin, names, word)
            last = _number(end, names, word) if dash else high if slash else first
        if not (low <= first <= high and low <= last <= high):
            raise ValueError(f"{word!r} is not within {low} to {high}")
        span = [*range(first, last + 1)] if first <= last else [*range(first, high + 1), *range(low, last + 1)]  # FRI-MON
        found.update(span[:: int(step or 1)])
    return frozenset(found)


def _number(text: str, names: dict[str, int], word: str) -> int:
    if text in names:
        return names[text]
    if not text.isdecimal():
        raise ValueError(f"{word!r} is not understood")
    return int(text)


def _last_of(day: date) -> date:
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return following - timedelta(days=1)


def _working_day(day: date) -> date:
    """The nearest Monday to Friday in the same month."""
    if day.weekday() == 5:
        return day - timedelta(days=1) if day.day > 1 else day + timedelta(days=2)
    if day.weekday() == 6:
        return day + timedelta(days=1) if day != _last_of(day) else day - timedelta(days=2)
    return day


def _day(word: str) -> Rule:
    if word == "?":
        return lambda day: True
    if word == "LW":
        return lambda day: day == _last_of(day) - timedelta(days=max(0, _last_of(day).weekday() - 4))
    match = re.fullmatch(r"L(?:-(\d+))?", word)
    if match is not None:
        before = int(match[1] or 0)
        if before > 30:
            raise ValueError(f"{word!r} is not within a month")
        return lambda day: (_last_of(day) - day).days == before
    match = re.fullmatch(r"(\d+)W", word)
    if match is not None:
        wanted = int(match[1])
        if not 1 <= wanted <= 31:
            raise ValueError(f"{word!r} is not within 1 to 31")
        return lambda day: wanted <= _last_of(day).day and day == _working_day(day.replace(day=wanted))
    numbers = _numbers(word, 1, 31)
    return lambda day: day.day in numbers


def _weekday(word: str) -> Rule:
    if word == "?":
        return lambda day: True
    match = re.fullmatch(r"(\w{3}|[0-7])(L|#([1-5]))", word)
    if match is not None:
        [wanted] = {n % 7 for n in _numbers(match[1], 0, 7, _WEEKDAYS)}
        if match[3] is None:
            return lambda day: day.isoweekday() % 7 == wanted and (_last_of(day) - day).days < 7
        nth = int(match[3])
        return lambda day: day.isoweekday() % 7 == wanted and (day.day - 1) // 7 + 1 == nth
    begin, dash, end = word.partition("-")
    if begin in _WEEKDAYS and dash and _WEEKDAYS.get(end.partition("/")[0]) == 0:  # MON-SUN
        word = f"{begin}-7{end[3:]}"
    numbers = {n % 7 for n in _numbers(word, 0, 7, _WEEKDAYS)}
    return lambda day: day.isoweekday() % 7 in numbers
