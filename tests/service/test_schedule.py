"""Processes that begin at a time by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import AccessDenied, InvalidDiagram
from engine.model import SYSTEM, Actor
from tests.bpmn.build import diagram, end, event, process, start, timer, user
from tests.service.house import ANN, EVE, MONDAY, OWNER, House


def timed(kind: str, value: str, name: str = "a") -> bytes:
    return diagram(process(start("s", timer(kind, value)), user(name), end(), f"s>{name}", f"{name}>e"))


def started(house: House) -> int:
    house.engine.jobs.run_due()
    return len(house.engine.instances.list(SYSTEM, limit=500).items)


def test_a_process_begins_by_itself_when_its_time_has_come_and_not_before(house: House) -> None:
    house.deploy(timed("timeDuration", "PT2H"))

    assert [(s.key, s.element, s.due_at) for s in house.engine.deployments.scheduled(OWNER)] == [("p", "s", MONDAY + timedelta(hours=2))]
    house.moved.advance(hours=1, minutes=59)
    assert started(house) == 0
    house.moved.advance(minutes=1)
    assert started(house) == 1

    (instance,) = house.engine.instances.list(SYSTEM).items
    assert set(house.open_tasks(instance.id)) == {"a"}
    assert instance.started_by == SYSTEM.id
    assert house.engine.deployments.scheduled(OWNER) == ()
    assert house.engine.jobs.next_due_at() is None or started(house) == 1


def test_a_cycle_begins_an_instance_at_every_turn_and_one_for_all_that_were_missed(house: House) -> None:
    house.deploy(timed("timeCycle", "R4/P1D"))

    house.moved.advance(days=1)
    assert started(house) == 1
    house.moved.advance(days=1, hours=30)  # the second turn and a bit
    assert started(house) == 2
    house.moved.advance(days=9)
    assert started(house) == 3
    house.moved.advance(days=9)
    assert started(house) == 3


def test_a_cron_expression_and_a_date_mean_the_time_of_the_house(house: House) -> None:
    house.deploy(timed("timeCycle", "0 30 8 ? * 1-5"), timed("timeDate", "2026-03-05T09:00:00").replace(b'id="p"', b'id="q"'))

    assert {s.key: s.due_at for s in house.engine.deployments.scheduled(OWNER)} == {
        "p": datetime(2026, 3, 3, 0, 30, tzinfo=UTC), "q": datetime(2026, 3, 5, 1, 0, tzinfo=UTC)
    }


def test_a_date_that_has_passed_begins_the_process_once_and_not_again_with_every_version(house: House) -> None:
    house.deploy(timed("timeDate", "2026-03-01T09:00:00"))
    assert started(house) == 1

    house.deploy(timed("timeDate", "2026-03-01T09:00:00", name="b"))

    assert started(house) == 1


def test_a_new_version_leaves_a_timer_that_stays_as_it_was_alone_and_begins_as_drawn_now(house: House) -> None:
    house.deploy(timed("timeDuration", "PT2H"))
    house.moved.advance(hours=1)
    house.deploy(timed("timeDuration", "PT2H", name="b"))
    house.moved.advance(hours=1)

    assert started(house) == 1
    assert set(house.open_tasks(house.engine.instances.list(SYSTEM).items[0].id)) == {"b"}


def test_a_new_version_with_another_time_or_none_takes_the_old_timer_away(house: House) -> None:
    house.deploy(timed("timeDuration", "PT2H"))
    house.deploy(timed("timeDuration", "PT5H"))
    assert [s.due_at for s in house.engine.deployments.scheduled(OWNER)] == [MONDAY + timedelta(hours=5)]

    house.deploy(diagram(process(start(), user("a"), end(), "s>a", "a>e")))

    assert house.engine.deployments.scheduled(OWNER) == ()


def test_a_start_event_with_several_times_begins_at_each(house: House) -> None:
    both = start("s", timer("timeDuration", "PT1H") + timer("timeDuration", "PT3H") + event("signal", "sA"))
    house.deploy(diagram(process(both, user("a"), end(), "s>a", "a>e")))

    house.moved.advance(hours=1)
    assert started(house) == 1
    house.engine.messages.broadcast(SYSTEM, "sA")
    house.moved.advance(hours=2)
    assert started(house) == 3


def test_a_time_that_cannot_be_computed_is_not_deployed(house: House) -> None:
    with pytest.raises(InvalidDiagram) as refused:
        house.deploy(timed("timeDate", '= date and time("never")'))

    assert refused.value.findings[0].element == "s"  # type: ignore[attr-defined]
    assert house.engine.deployments.definitions(OWNER) == ()


def test_two_processes_that_see_the_same_time_begin_one_instance(house: House) -> None:
    house.deploy(timed("timeDuration", "PT2H"))
    other = house.beside()
    house.moved.advance(hours=2)

    house.engine.jobs.run_due()
    other.engine.jobs.run_due()

    assert started(house) == 1
    other.close()


def test_who_sees_processes_sees_when_they_begin(house: House) -> None:
    house.deploy(timed("timeDuration", "PT2H"))

    assert len(house.engine.deployments.scheduled(ANN)) == len(house.engine.deployments.scheduled(EVE)) == 1
    with pytest.raises(AccessDenied):
        house.engine.deployments.scheduled(Actor(id="nobody"))
