"""Working time in China: which days are worked, with the State Council's holidays and make-up days.

The data comes from the package `chinesecalendar`, year by year as the State Council announces it (usually in November for the
next year). A year without data is never guessed for a date that binds anyone; internal due dates, which only inform, may ask
for Monday to Friday with `assume=True`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import chinese_calendar

from engine.errors import EngineError


class CalendarTooShort(EngineError):
    """The holidays of a year are not announced or not installed yet."""

    code = "calendar_too_short"
    zh = "{year} 年的节假日安排尚未公布或尚未更新，无法计算工作日。公布后请更新日历数据。"
    en = "The holidays of {year} are not announced yet, so working days cannot be counted. Update the calendar data once they are."


def is_known(year: int) -> bool:
    """True if the holidays of a year are in the data."""
    try:
        is_working_day(date(year, 1, 1))
    except CalendarTooShort:
        return False
    return True


@lru_cache(4096)
def is_working_day(day: date, *, assume: bool = False) -> bool:
    """Return whether `day` is worked in China.

    Raises:
        CalendarTooShort: no data for that year and not `assume`.
    """
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        if assume:
            return day.isoweekday() <= 5
        raise CalendarTooShort(year=day.year) from None


def add_working_days(at: datetime, days: int, zone: str = "Asia/Shanghai", *, assume: bool = True) -> datetime:
    """Return the same local time of day, `days` working days after `at` (before, if negative); aware UTC.

    The day of `at` itself does not count. With 0 days, `at` itself when it falls on a working day, else the next one.

    Raises:
        CalendarTooShort: a year without data is met and not `assume`.
    """
    local = at.astimezone(ZoneInfo(zone))
    day = day_after(local.date(), days, assume=assume)
    return datetime.combine(day, local.timetz()).astimezone(UTC)


@lru_cache(4096)
def day_after(day: date, days: int, *, assume: bool = False) -> date:
    """Return the day `days` working days after `day` (before, if negative), which does not count itself; with 0 days, `day` itself
    when it is worked, else the next one that is.

    Raises:
        CalendarTooShort: a year without data is met and not `assume`.
    """
    step = timedelta(days=1 if days >= 0 else -1)
    left = abs(days)
    while left or not is_working_day(day, assume=assume):
        day += step
        if is_working_day(day, assume=assume) and left:
            left -= 1
    return day
