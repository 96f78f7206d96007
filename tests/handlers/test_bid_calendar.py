"""The dates of a tender: law, arithmetic, what a notice breaks, what an addendum moves."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import handlers  # noqa: F401  registers
from engine.feel import load_decisions
from engine.handler import REGISTRY, Job

CHINA = ZoneInfo("Asia/Shanghai")
TABLE = (Path(__file__).parents[2] / "processes" / "psm050_bidding" / "decisions" / "dmn_bid_dates.dmn").read_bytes()


MODEL = load_decisions(TABLE)


def rules(regime):
    return MODEL.decide("dmn_bid_dates", {"regime": regime}, datetime(2026, 9, 18, tzinfo=UTC)).value


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


NOTICE = {
    "issued_on": date(2026, 9, 18), "sale_until": date(2026, 9, 23), "clarify_deadline": at("2026-09-25T17:00"),
    "submission_deadline": at("2026-10-15T09:30"), "opening_time": at("2026-10-15T09:30"), "bond_deadline": at("2026-10-13T17:00"),
    "budget": Decimal(5_000_000), "bond_amount": Decimal(100_000), "validity_days": 90, "started_at": at("2026-09-18T09:00"),
}  # fmt: skip


def calendar(regime="tender_law", **changed):
    return run({"rules": rules(regime), **NOTICE, **changed})


def run(values):
    job = Job(
        key="7:3", type="bid.calendar", attempt=1, instance_id=7, business_key="ZB-1", title="政务云二期", process="psm050_bidding",
        element="calc_calendar", element_name="计算投标日历", values=values, properties={}, at=at("2026-09-18T10:00"), outside=None,
    )  # fmt: skip
    return REGISTRY["bid.calendar"].run(job)["bid_calendar"]


def entry(found, id):
    (one,) = [e for e in found["entries"] if e["id"] == id]
    return one


def local(found, id):
    return entry(found, id)["at"].astimezone(CHINA)


def test_twenty_days_from_the_notice_do_not_count_the_first_day():
    found = calendar()

    assert local(found, "time_to_bid").date() == date(2026, 10, 8)
    assert found["warnings"] == []


def test_a_notice_that_gives_less_than_twenty_days_breaks_the_law_and_is_named_with_its_article():
    found = calendar(submission_deadline=at("2026-10-07T09:30"))

    (warning,) = found["warnings"]
    assert "第 24 条" in warning
    assert "2026-10-08" in warning
    assert "可依法提出异议" in warning


def test_a_deadline_on_the_earliest_day_is_lawful():
    assert calendar(submission_deadline=at("2026-10-08T09:30"))["warnings"] == []


def test_a_bond_above_two_per_cent_is_noticed_without_telling_the_amounts():
    (warning,) = calendar(bond_amount=Decimal(100_001))["warnings"]

    assert "2%" in warning
    assert "100001" not in warning.replace(",", "")


def test_five_working_days_pass_over_the_national_holiday():
    """2026-10-01 to 07 are days off, 10-10 (Saturday) is worked."""
    found = calendar("government", issued_on=date(2026, 9, 29), sale_until=date(2026, 10, 12), submission_deadline=at("2026-10-20T09:30"))

    assert local(found, "documents_on_sale_gov").date() == date(2026, 10, 12)


def test_a_period_that_ends_on_a_holiday_ends_with_the_next_working_day():
    found = calendar(candidates_published_on=date(2026, 9, 30))

    assert local(found, "object_result").date() == date(2026, 10, 8)
    assert "顺延" in entry(found, "object_result")["counting"]


def test_what_is_counted_back_from_the_deadline_is_never_moved_towards_it():
    found = calendar(submission_deadline=at("2026-10-13T09:30"))

    assert local(found, "object_documents") == at("2026-10-03T09:30")  # in the holiday


def test_a_year_without_announced_holidays_is_never_guessed():
    found = calendar(submission_deadline=at("2031-01-20T09:30"), issued_on=date(2030, 12, 20), award_notice_on=date(2031, 1, 30))

    unknown = [e["id"] for e in found["entries"] if e["state"] == "unknown_year"]
    assert "start_writing" in unknown
    assert "sign" in unknown
    assert all(entry(found, id)["at"] is None for id in unknown)
    assert 2031 in found["unknown_years"]
    assert entry(found, "submit")["at"] == at("2031-01-20T09:30")


def test_what_waits_for_the_award_says_so():
    assert entry(calendar(), "sign") | {"name": "", "article": ""} == {
        "id": "sign", "name": "", "article": "", "kind": "law", "at": None, "whole_day": True, "state": "waiting", "counting": "待中标通知书发出后算出",
    }  # fmt: skip


def test_an_addendum_shows_what_moved():
    before = calendar()
    found = calendar(submission_deadline=at("2026-10-20T09:30"), before=before)

    moved = {c["id"]: (c["was"], c["became"]) for c in found["changes"]}
    assert moved["submit"] == (at("2026-10-15T09:30"), at("2026-10-20T09:30"))
    assert moved["final"][1] - moved["final"][0] == timedelta(days=5)
    assert "ask" not in moved


def test_the_first_reckoning_changes_nothing():
    assert calendar()["changes"] == []


def test_entries_come_by_time_and_those_without_last():
    times = [e["at"] for e in calendar()["entries"]]
    known = [t for t in times if t is not None]

    assert times[: len(known)] == sorted(known)


def test_without_rules_it_fails_and_says_why():
    with pytest.raises(ValueError, match="dmn_bid_dates"):
        run({**NOTICE, "rules": []})


@pytest.mark.parametrize("regime", ["tender_law", "government", "other"])
def test_every_kind_of_procurement_has_the_deadline_and_the_internal_dates(regime):
    ids = {e["id"] for e in calendar(regime)["entries"]}

    assert {"submit", "opening", "final", "checked", "start_writing"} <= ids


def test_ids_of_one_kind_of_procurement_are_unique():
    for regime in ("tender_law", "government", "other"):
        ids = [r["id"] for r in rules(regime)]
        assert len(ids) == len(set(ids))


@given(st.datetimes(datetime(2026, 1, 20), datetime(2026, 12, 1)), st.integers(1, 40))
def test_moving_the_deadline_moves_what_hangs_on_it_by_as_much(deadline, days):
    """Law: hours and days before the deadline keep their distance from it."""
    one = calendar(submission_deadline=deadline.replace(tzinfo=UTC))
    two = calendar(submission_deadline=(deadline + timedelta(days=days)).replace(tzinfo=UTC))

    for id in ("final", "checked", "price_decided", "leave", "withdraw", "object_documents", "buyer_may_change"):
        assert entry(two, id)["at"] - entry(one, id)["at"] == timedelta(days=days)
