"""Legal windows that a decision table of the library computes: reminders never come too late, nothing is closed too early."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine import calendar
from engine.feel import FeelLimit, load_decisions

TABLE = Path(__file__).parents[2] / "processes" / "bid_objection" / "decisions" / "dmn_objection_window.dmn"
MODEL = load_decisions(TABLE.read_bytes())
HOUSE = ZoneInfo("Asia/Shanghai")
AT = datetime(2026, 3, 2, 15, tzinfo=HOUSE)
#: A year with its holidays, and the weekends that are worked instead.
DAYS = [datetime(2026, 1, 1, 15, tzinfo=HOUSE) + timedelta(days=n) for n in range(330)]


def window(stage: str, **known: Any) -> dict[str, Any]:
    value = MODEL.decide("dmn_objection_window", {"stage": stage, **known}, AT, calendar=calendar).value
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(("stage", "days"), [("gov_query", 7), ("gov_complaint", 15)])
def test_working_days_of_the_law_are_those_of_the_calendar(stage, days):
    for at in DAYS[::3]:
        found, last = window(stage, known_at=at), calendar.add_working_days(at, days, assume=False).astimezone(HOUSE)

        assert found["deadline"] == last
        assert found["expires"] == datetime.combine(last.date() + timedelta(days=1), time(), HOUSE)


def test_a_window_into_a_year_that_is_not_announced_is_not_guessed():
    with pytest.raises(FeelLimit, match="2027"):
        window("gov_query", known_at=datetime(2026, 12, 28, 15, tzinfo=HOUSE))


def test_ten_days_may_end_later_on_a_holiday():
    """民法典 art. 203: a last day that is a holiday moves to the next working day."""
    found = window("complaint", known_at=AT)

    last = [calendar.add_working_days(at + timedelta(days=10), 0) - at for at in DAYS]

    assert found["deadline"] - AT <= min(last)
    assert max(last) < found["expires"] - AT


def test_the_other_windows_follow_their_dates():
    deadline = datetime(2026, 4, 20, 9, 30, tzinfo=HOUSE)

    assert window("tender_document", submission_deadline=deadline)["deadline"] == deadline - timedelta(days=10)
    assert window("result", publicity_end=date(2026, 3, 5))["deadline"] == datetime(2026, 3, 5, 17, tzinfo=HOUSE)
    assert window("opening", known_at=AT)["deadline"].date() == AT.date()


def test_without_its_date_a_window_is_unknown():
    assert window("result")["deadline"] is None
