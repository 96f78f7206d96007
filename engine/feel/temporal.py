"""Dates, times and durations as FEEL has them: years to ±999,999,999, whole nanoseconds, zones by offset or by name.

`datetime` stops at the year 9999 and at microseconds, so the arithmetic is done here on day numbers (0 is 1970-01-01) and
nanoseconds. A zone is None (local), an int (offset in seconds) or a str (IANA name).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import total_ordering
from zoneinfo import ZoneInfo, available_timezones

NS = 1_000_000_000
DAY_NS = 86_400 * NS
MAX_YEAR = 999_999_999
ZONES = frozenset(available_timezones())

Zone = None | int | str


def ordinal(year: int, month: int, day: int) -> int:
    """Return the day number of a civil date."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def civil(days: int) -> tuple[int, int, int]:
    """Return year, month and day of a day number."""
    days += 719_468
    era = days // 146_097
    day_of_era = days - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + (3 if shifted < 10 else -9)
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


class Date:
    __slots__ = ("day", "month", "year")

    def __init__(self, year: int, month: int, day: int) -> None:
        if not (-MAX_YEAR <= year <= MAX_YEAR and 1 <= month <= 12 and 1 <= day <= month_days(year, month)):
            raise ValueError("no such date")
        self.year, self.month, self.day = year, month, day

    @classmethod
    def of_ordinal(cls, days: int) -> Date:
        if abs(days) > 366_000_000_000:
            raise ValueError("no such date")
        return cls(*civil(days))

    @property
    def ordinal(self) -> int:
        return ordinal(self.year, self.month, self.day)

    @property
    def weekday(self) -> int:
        """1 is Monday, 7 is Sunday."""
        return (self.ordinal + 3) % 7 + 1

    @property
    def key(self) -> tuple[int, int, int]:
        return self.year, self.month, self.day

    def plus_months(self, months: int) -> Date:
        """Move by whole months; a day past the end of the month becomes its last day."""
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Date(year, month + 1, min(self.day, month_days(year, month + 1)))

    def plus_days(self, days: int) -> Date:
        return Date.of_ordinal(self.ordinal + days)

    def __eq__(self, other: object) -> bool:
        return type(other) is Date and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{'-' if self.year < 0 else ''}{abs(self.year):04d}-{self.month:02d}-{self.day:02d}"

    __repr__ = __str__


def zone_offset(zone: str, days: int | None = None, ns: int = 0) -> int:
    """Return the offset in seconds of a named zone at a local day number and nanosecond of the day."""
    year, month, day = civil(days) if days is not None else (2000, 1, 1)
    year = min(max(year, 2), 9998)
    seconds = ns // NS
    local = datetime(
        year, month, min(day, month_days(year, month)), seconds // 3600, seconds // 60 % 60, seconds % 60, tzinfo=ZoneInfo(zone)
    )
    offset = local.utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def zone_text(zone: Zone) -> str:
    if zone is None:
        return ""
    if isinstance(zone, str):
        return "@" + zone
    if zone == 0:
        return "Z"
    size = abs(zone)
    text = f"{'-' if zone < 0 else '+'}{size // 3600:02d}:{size // 60 % 60:02d}"
    return text + (f":{size % 60:02d}" if size % 60 else "")


class Time:
    """Nanosecond of the day and a zone."""

    __slots__ = ("ns", "zone")

    def __init__(self, ns: int, zone: Zone = None) -> None:
        self.ns, self.zone = ns, zone

    @property
    def hour(self) -> int:
        return self.ns // (3600 * NS)

    @property
    def minute(self) -> int:
        return self.ns // (60 * NS) % 60

    @property
    def second(self) -> Decimal:
        return Decimal(self.ns // NS % 60) if self.ns % NS == 0 else Decimal(self.ns % (60 * NS)) / NS

    def offset(self) -> int | None:
        return zone_offset(self.zone) if isinstance(self.zone, str) else self.zone

    def instant(self) -> int:
        """Nanoseconds since midnight UTC (since local midnight without a zone)."""
        return self.ns - (self.offset() or 0) * NS

    def __eq__(self, other: object) -> bool:
        return type(other) is Time and (self.zone is None) == (other.zone is None) and self.instant() == other.instant()

    def __hash__(self) -> int:
        return hash(self.instant())

    def __str__(self) -> str:
        seconds, fraction = divmod(self.ns, NS)
        text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + zone_text(self.zone)

    __repr__ = __str__


class DateTime:
    __slots__ = ("date", "time")

    def __init__(self, date: Date, time: Time) -> None:
        self.date, self.time = date, time

    @property
    def zone(self) -> Zone:
        return self.time.zone

    def offset(self) -> int | None:
        zone = self.time.zone
        return zone_offset(zone, self.date.ordinal, self.time.ns) if isinstance(zone, str) else zone

    def instant(self) -> int:
        """Nanoseconds since 1970-01-01T00:00Z (since local midnight without a zone)."""
        return self.date.ordinal * DAY_NS + self.time.ns - (self.offset() or 0) * NS

    def plus_ns(self, ns: int) -> DateTime:
        zone = self.zone
        if isinstance(zone, str):
            total = self.instant() + ns
            days, rest = divmod(total + (self.offset() or 0) * NS, DAY_NS)
            days, rest = divmod(total + zone_offset(zone, days, rest) * NS, DAY_NS)
        else:
            days, rest = divmod(self.date.ordinal * DAY_NS + self.time.ns + ns, DAY_NS)
        return DateTime(Date.of_ordinal(days), Time(rest, zone))

    def plus_months(self, months: int) -> DateTime:
        return DateTime(self.date.plus_months(months), self.time)

    def __eq__(self, other: object) -> bool:
        return type(other) is DateTime and (self.zone is None) == (other.zone is None) and self.instant() == other.instant()

    def __hash__(self) -> int:
        return hash(self.instant())

    def __str__(self) -> str:
        return f"{self.date}T{self.time}"

    __repr__ = __str__


class DaysTime:
    """A days and time duration: whole nanoseconds."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def part(self, name: str) -> Decimal:
        """Return ``days``, ``hours``, ``minutes`` or ``seconds``, each with the sign of the whole."""
        size, sign = abs(self.ns), -1 if self.ns < 0 else 1
        seconds = size // NS
        if name == "days":
            return Decimal(sign * (seconds // 86_400))
        if name == "hours":
            return Decimal(sign * (seconds // 3600 % 24))
        if name == "minutes":
            return Decimal(sign * (seconds // 60 % 60))
        return sign * (Decimal(seconds % 60) + (Decimal(size % NS) / NS if size % NS else 0))

    def __eq__(self, other: object) -> bool:
        return type(other) is DaysTime and self.ns == other.ns

    def __hash__(self) -> int:
        return hash(("days", self.ns))

    def __str__(self) -> str:
        if not self.ns:
            return "PT0S"
        total, fraction = divmod(abs(self.ns), NS)
        days, hours, minutes, seconds = total // 86_400, total // 3600 % 24, total // 60 % 60, total % 60
        clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
        if seconds or fraction:
            clock += f"{seconds}" + (f".{fraction:09d}".rstrip("0") if fraction else "") + "S"
        return ("-" if self.ns < 0 else "") + "P" + (f"{days}D" if days else "") + ("T" + clock if clock else "")

    __repr__ = __str__


@total_ordering
class YearsMonths:
    """A years and months duration: whole months. Python has no such type, so this one is handed out as it is."""

    __slots__ = ("months",)

    def __init__(self, months: int) -> None:
        self.months = months

    def __eq__(self, other: object) -> bool:
        return type(other) is YearsMonths and self.months == other.months

    def __lt__(self, other: YearsMonths) -> bool:
        return self.months < other.months

    def __hash__(self) -> int:
        return hash(("months", self.months))

    def __str__(self) -> str:
        years, months = divmod(abs(self.months), 12)
        sign = "-" if self.months < 0 else ""
        return sign + "P" + (f"{years}Y" if years else "") + (f"{months}M" if months or not years else "")

    def __repr__(self) -> str:
        return f"YearsMonths({self.months})"


Temporal = Date | Time | DateTime | DaysTime | YearsMonths

# ------------------------------------------------------------------------------------------------------------- from text
_DATE = re.compile(r"(-?)([1-9]\d{4,8}|\d{4})-(\d\d)-(\d\d)", re.A)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d(?::\d\d)?|@[A-Za-z0-9_+\-/]+)?", re.A)
_DAYS = re.compile(r"(-?)P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d*))?S)?)?", re.A)
_MONTHS = re.compile(r"(-?)P(?=.)(?:(\d+)Y)?(?:(\d+)M)?", re.A)
_MAX_TEXT = 200  # no temporal text is longer; keeps int() of hostile digits away


def parse_date(text: str) -> Date | None:
    found = _DATE.fullmatch(text)
    if not found:
        return None
    try:
        return Date(int(found[1] + found[2]), int(found[3]), int(found[4]))
    except ValueError:
        return None


def parse_zone(text: str | None) -> Zone:
    """Return the zone of ``Z``, ``+08:00`` or ``@Asia/Shanghai``; None of nothing.

    Raises:
        ValueError: there is no such zone.
    """
    if not text:
        return None
    if text == "Z":
        return 0
    if text[0] == "@":
        if text[1:] not in ZONES:
            raise ValueError("no such zone")
        return text[1:]
    parts = [int(p) for p in text[1:].split(":")]
    hours, minutes, seconds = parts[0], parts[1], parts[2] if len(parts) > 2 else 0
    if hours > 18 or minutes > 59 or seconds > 59:
        raise ValueError("no such offset")
    return (-1 if text[0] == "-" else 1) * (hours * 3600 + minutes * 60 + seconds)


def _nanoseconds(digits: str | None) -> int:
    return int((digits or "0")[:9].ljust(9, "0"))


def parse_time(text: str) -> Time | None:
    found = _TIME.fullmatch(text) if len(text) < _MAX_TEXT else None
    if not found:
        return None
    hour, minute, second = int(found[1]), int(found[2]), int(found[3])
    if (hour, minute, second, _nanoseconds(found[4])) == (24, 0, 0, 0):
        hour = 0  # the end of the day, as XML Schema writes it
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        zone = parse_zone(found[5])
    except ValueError:
        return None
    return Time(((hour * 60 + minute) * 60 + second) * NS + _nanoseconds(found[4]), zone)


def parse_date_time(text: str) -> DateTime | None:
    """Return a date and time; a bare date is its midnight, ``24:00:00`` the midnight after."""
    day_text, separator, clock = text.partition("T")
    day = parse_date(day_text)
    if day is None:
        return None
    if not separator:
        return DateTime(day, Time(0))
    if clock.startswith("24:00:00"):
        midnight = parse_time("00" + clock[2:])
        return None if midnight is None or midnight.ns else DateTime(day.plus_days(1), midnight)
    at = parse_time(clock)
    return None if at is None else DateTime(day, at)


def parse_duration(text: str) -> DaysTime | YearsMonths | None:
    if len(text) >= _MAX_TEXT:
        return None
    found = _MONTHS.fullmatch(text)
    if found and (found[2] or found[3]):
        months = int(found[2] or 0) * 12 + int(found[3] or 0)
        return YearsMonths(-months if found[1] else months)
    found = _DAYS.fullmatch(text)
    if found and any(found[i] for i in (2, 3, 4, 5)):
        days, hours, minutes, seconds = (int(found[i] or 0) for i in (2, 3, 4, 5))
        ns = (days * 86_400 + hours * 3600 + minutes * 60 + seconds) * NS + _nanoseconds(found[6])
        return DaysTime(-ns if found[1] else ns)
    return None


def parse_temporal(text: str) -> Temporal | None:
    """Return what an ``@"…"`` literal says."""
    if "P" in text[:2]:
        return parse_duration(text)
    if "T" in text and text[0] != "T":
        at = parse_date_time(text)
        if at is not None:
            return at
    return parse_date(text) or parse_time(text)


# ------------------------------------------------------------------------------------------------------------ from Python
def _zone_of(value: datetime | time, zone: tzinfo) -> Zone:
    if isinstance(zone, ZoneInfo) and zone.key in ZONES and not (value.fold and _ambiguous(value)):
        return zone.key
    offset = value.utcoffset()
    if offset is None:
        raise ValueError(f"a time in the zone {zone} has no offset")
    if offset.microseconds:
        raise ValueError("an offset must be whole seconds")
    return int(offset.total_seconds())


def _ambiguous(value: datetime | time) -> bool:
    return value.replace(fold=0).utcoffset() != value.replace(fold=1).utcoffset()


def from_datetime(value: datetime) -> DateTime:
    return DateTime(Date(value.year, value.month, value.day), from_time(value))


def from_time(value: datetime | time) -> Time:
    ns = ((value.hour * 60 + value.minute) * 60 + value.second) * NS + value.microsecond * 1000
    return Time(ns, None if value.tzinfo is None else _zone_of(value, value.tzinfo))


def from_timedelta(value: timedelta) -> DaysTime:
    return DaysTime((value.days * 86_400 + value.seconds) * NS + value.microseconds * 1000)


# -------------------------------------------------------------------------------------------------------------- to Python
def _python_zone(zone: Zone) -> tzinfo | None:
    if zone is None:
        return None
    if isinstance(zone, str):
        return ZoneInfo(zone)
    return UTC if zone == 0 else timezone(timedelta(seconds=zone))


def to_python(value: Temporal) -> date | time | datetime | timedelta | YearsMonths:
    """Return the standard library's value, cut to microseconds.

    Raises:
        ValueError, OverflowError: the value lies outside what Python can say (years 1 to 9999).
    """
    if type(value) is Date:
        return date(value.year, value.month, value.day)
    if type(value) is DaysTime:
        return timedelta(microseconds=value.ns // 1000)
    if type(value) is YearsMonths:
        return value
    at = value.time if type(value) is DateTime else value
    assert type(at) is Time
    seconds, ns = divmod(at.ns, NS)
    clock = time(seconds // 3600, seconds // 60 % 60, seconds % 60, ns // 1000, tzinfo=_python_zone(at.zone))
    if type(value) is DateTime:
        return datetime.combine(date(value.date.year, value.date.month, value.date.day), clock)
    return clock
