from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.calendar import CalendarTooShort, add_working_days, is_working_day

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def test_a_make_up_saturday_is_worked():
    assert is_working_day(date(2026, 10, 10))


def test_national_day_is_not_worked():
    assert not is_working_day(date(2026, 10, 1))


def test_a_year_without_data_is_never_guessed_for_a_binding_date():
    with pytest.raises(CalendarTooShort, match="2090"):
        is_working_day(date(2090, 1, 4))


def test_an_internal_due_date_may_assume_monday_to_friday():
    assert add_working_days(at("2090-01-05T10:00"), 2).astimezone(SHANGHAI).date() == date(2090, 1, 9)


def test_two_working_days_from_friday_end_on_tuesday_at_the_same_local_time():
    assert add_working_days(at("2026-03-06T17:30"), 2) == at("2026-03-10T17:30")


def test_working_days_skip_the_spring_festival():
    assert add_working_days(at("2026-02-13T09:00"), 2) == at("2026-02-24T09:00")


def test_zero_days_from_a_holiday_is_the_next_working_day():
    assert add_working_days(at("2026-10-01T09:00"), 0).astimezone(SHANGHAI).date() == date(2026, 10, 8)


@given(st.datetimes(datetime(2024, 1, 1), datetime(2026, 11, 30)), st.integers(1, 15))
def test_counting_the_days_added_gives_them_back(start, days):
    begin = start.replace(tzinfo=UTC)

    end = add_working_days(begin, days)

    first, last = begin.astimezone(SHANGHAI).date(), end.astimezone(SHANGHAI).date()
    assert sum(is_working_day(first + timedelta(days=n)) for n in range(1, (last - first).days + 1)) == days
    assert is_working_day(end.astimezone(SHANGHAI).date())
