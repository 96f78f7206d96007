"""The table of bid calendars: a fold of the histories, written with the command, cleaned and moved out with its instance."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.errors import AccessDenied
from engine.handler import Job, Variables
from engine.model import SYSTEM, BidCalendar, InstanceId
from engine.service.doctor import Code
from tests.bpmn.build import diagram, end, process, service, start, user
from tests.service.house import ANN, EVE, FOR_ENGINEERS, OWNER, House

WORK = diagram(process(start(), user("a", **FOR_ENGINEERS), user("b", **FOR_ENGINEERS), end(), "s>a", "a>b", "b>e"))


def given(day: int, was: int | None = None) -> dict[str, Any]:
    """What the handler gives: one date, on that day of December, which `was` on another one before."""

    def at(day: int) -> datetime:
        return datetime(2026, 12, day, 1, 30, tzinfo=UTC)

    return {
        "entries": [{
            "id": "submit", "name": "递交截止", "article": "第 28 条", "kind": "law", "at": at(day), "whole_day": False, "state": "ok",
            "counting": "递交截止",
        }],
        "warnings": [], "unknown_years": [2028],
        "changes": [] if was is None else [{"id": "submit", "name": "递交截止", "was": at(was), "became": at(day)}],
    }  # fmt: skip


@pytest.fixture
def house(house: House) -> House:
    house.deploy(WORK)
    return house


def told(found: BidCalendar | None) -> tuple[int, list[int]]:
    """The day of the one date, and the days that it was on before."""
    assert found is not None
    (date,) = found.dates
    assert date.at is not None
    return date.at.day, [at.day for at in found.moved.values() if at]


def dated(house: House, *, done: bool = False) -> InstanceId:
    id = house.start(title="医院集成").id
    house.complete(id, "a", by=ANN, bid_calendar=given(5), note="x")
    if done:
        house.complete(id, "b", by=ANN, bid_calendar=given(10, was=5))
    return id


def test_the_latest_calendar_is_written_with_its_command_and_says_what_moved(house: House) -> None:
    id = dated(house)
    assert told(house.engine.instances.bid_calendar(ANN, id)) == (5, [])

    house.moved.advance(days=1)
    house.engine.instances.set_variables(OWNER, id, {"bid_calendar": given(10, was=5)}, "改期")

    found = house.engine.instances.bid_calendar(ANN, id)
    assert told(found) == (10, [5])
    assert found is not None
    assert (found.computed_at, found.unknown_years) == (house.moved.now(), (2028,))
    assert house.rows("select count(*) from bid_calendar") == [(1,)]
    assert house.engine.audit.cross_check() == ()


def test_only_active_instances_that_a_person_sees_are_listed(house: House) -> None:
    mine, over, paused = dated(house), dated(house, done=True), dated(house)
    house.engine.instances.suspend(SYSTEM, paused, "wait")
    house.start()

    assert [c.instance_id for c in house.engine.instances.bid_calendars(ANN)] == [mine]
    assert [c.instance_id for c in house.engine.instances.bid_calendars(OWNER)] == [mine]
    assert house.engine.instances.bid_calendars(EVE) == ()
    with pytest.raises(AccessDenied):
        house.engine.instances.bid_calendar(EVE, mine)
    assert told(house.engine.instances.bid_calendar(ANN, over)) == (10, [5])


@pytest.mark.parametrize("value", [None, "2026-12-05", {"entries": []}, {**given(5), "entries": [{"id": "x"}]}])
def test_a_variable_of_that_name_with_something_else_in_it_is_no_calendar(house: House, value: Any) -> None:
    id = house.start().id
    house.complete(id, "a", by=ANN, bid_calendar=value)

    assert house.engine.instances.bid_calendar(ANN, id) is None
    assert house.engine.audit.cross_check() == ()


@pytest.mark.parametrize("damage", ["delete from bid_calendar", "update bid_calendar set computed_at = computed_at - 1"])
def test_the_doctor_finds_a_row_that_is_not_as_the_history_says_and_writes_it_anew(house: House, damage: str) -> None:
    ids = [dated(house), dated(house, done=True)]
    assert house.change(damage) == 2

    found = [a for a in house.engine.audit.examine() if a.code is Code.TABLES]
    assert {a.instance_id for a in found} == set(ids)
    assert all("bid_calendar" in a.en for a in found)
    assert all(a.fixed for a in house.engine.audit.examine(fix=True) if a.code is Code.TABLES)

    assert [a for a in house.engine.audit.examine() if a.code is Code.TABLES] == []
    assert told(house.engine.instances.bid_calendar(ANN, ids[0])) == (5, [])


def test_an_archived_instance_takes_its_calendar_along(house: House) -> None:
    id = dated(house, done=True)
    house.moved.advance(days=400)

    house.engine.keep.archive("P1Y")

    assert house.rows("select * from bid_calendar") == []
    found = house.engine.instances.bid_calendar(ANN, id)
    assert told(found) == (10, [5])
    assert found is not None
    assert (found.instance_id, found.title) == (id, "医院集成")


@pytest.mark.parametrize(("erased", "left"), [
    ({"fields": ["note"]}, True), ({"fields": ["bid_calendar"]}, False), ({"fields": ["counting"]}, False), ({"everything": True}, False),
])  # fmt: skip
def test_an_erasure_reaches_the_table(house: House, erased: dict[str, Any], left: bool) -> None:
    id = dated(house, done=True)

    house.engine.keep.erase(OWNER, id, "法定期限已过", **erased)

    assert (house.engine.instances.bid_calendar(ANN, id) is not None) == left
    assert house.rows("select count(*) from bid_calendar") == [(int(left),)]
    assert house.engine.audit.cross_check() == ()


def test_histories_older_than_the_table_are_folded_once_when_the_engine_opens(house: House) -> None:
    """As a database is after the migration: instances, and an empty table."""

    @house.handler("bid.calendar", effect="none")
    def calendar(job: Job) -> Variables:
        """Give a calendar."""
        return {"bid_calendar": given(5)}

    house.deploy(diagram(process(start(), service("calc", "bid.calendar"), user("b"), end(), "s>calc", "calc>b", "b>e", id="tender")))
    running, over, other = house.start("tender").id, house.start("tender").id, house.start().id
    house.complete(over, "b")
    house.change("delete from bid_calendar")
    house.change("insert into meta (name, value) values ('calendars_to_fold', '1')")

    beside = house.beside()

    try:
        assert [told(beside.engine.instances.bid_calendar(SYSTEM, id)) for id in (running, over)] == [(5, [])] * 2
        assert beside.engine.instances.bid_calendar(SYSTEM, other) is None
        assert house.rows("select * from meta where name = 'calendars_to_fold'") == []
        assert house.engine.audit.cross_check() == ()
    finally:
        beside.close()
