"""What starts processes by itself: timers from their deployment, messages, signals; and several ways to begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import AmbiguousStart, InvalidDiagram, NotFound
from engine.model import SYSTEM
from tests.bpmn.build import (
    catch,
    condition,
    diagram,
    element,
    end,
    event,
    process,
    properties,
    receive,
    start,
    throw,
    timer,
    user,
)
from tests.service.house import MONDAY, OWNER, House


def timed(kind: str, value: str, label: str = "a") -> bytes:
    return diagram(process(start("s", timer(kind, value)), user(label), end(), f"s>{label}", f"{label}>e"))


def started(house: House) -> list[str]:
    """What each instance waits for, oldest instance first."""
    ids = [row[0] for row in house.rows("select id from instance order by id")]
    return [" ".join(sorted(house.open_tasks(id))) for id in ids]


def test_a_date_starts_one_instance_when_it_comes(house: House) -> None:
    house.deploy(timed("timeDate", (MONDAY + timedelta(days=2)).isoformat()))

    house.moved.advance(days=1)
    house.engine.jobs.run_due()
    assert started(house) == []
    house.moved.advance(days=1)
    house.engine.jobs.run_due()
    house.moved.advance(days=30)
    house.engine.jobs.run_due()

    assert started(house) == ["a"]
    assert house.engine.deployments.start_timers(SYSTEM) == ()


def test_a_duration_counts_from_the_deployment(house: House) -> None:
    house.moved.advance(hours=5)
    house.deploy(timed("timeDuration", "PT2H"))

    [waiting] = house.engine.deployments.start_timers(OWNER)
    assert (waiting.process, waiting.version, waiting.element) == ("p", 1, "s")
    assert waiting.due_at == MONDAY + timedelta(hours=7)
    assert house.engine.jobs.next_due_at() == waiting.due_at

    house.moved.advance(hours=2)
    assert house.engine.jobs.run_due() == 1
    assert started(house) == ["a"]


def test_a_cycle_starts_an_instance_at_each_turn_and_missed_turns_are_one_with_a_mark(house: House) -> None:
    house.deploy(timed("timeCycle", "R/P1D"))

    for _ in range(2):
        house.moved.advance(days=1)
        house.engine.jobs.run_due()
        house.engine.jobs.run_due()
    assert started(house) == ["a", "a"]
    house.moved.advance(days=3, hours=1)
    house.engine.jobs.run_due()

    assert started(house) == ["a", "a", "a"]
    last = house.rows("select max(id) from instance")[0][0]
    [fired] = house.events(last, "TimerFired")
    assert (fired.element, fired.due_at, fired.late, fired.skipped) == ("s", MONDAY + timedelta(days=3), True, 2)
    [waiting] = house.engine.deployments.start_timers(SYSTEM)
    assert waiting.due_at == MONDAY + timedelta(days=6)


def test_a_cycle_ends_after_its_last_turn(house: House) -> None:
    house.deploy(timed("timeCycle", "R2/PT1H"))

    for _ in range(4):
        house.moved.advance(hours=1)
        house.engine.jobs.run_due()

    assert started(house) == ["a", "a"]


def test_the_timer_of_a_new_version_replaces_that_of_the_old_one(house: House) -> None:
    house.deploy(timed("timeCycle", "R/P1D"))
    house.moved.advance(hours=23)
    house.deploy(timed("timeCycle", "R/P2D", "b"))

    house.moved.advance(hours=25)
    house.engine.jobs.run_due()
    assert started(house) == []
    house.moved.advance(hours=23)
    house.engine.jobs.run_due()

    assert started(house) == ["b"]


def test_a_new_version_without_a_timer_starts_no_more_by_itself(house: House) -> None:
    house.deploy(timed("timeCycle", "R/P1D"))
    house.deploy(diagram(process(start(), user("a"), end(), "s>a", "a>e")))

    house.moved.advance(days=3)
    house.engine.jobs.run_due()

    assert started(house) == []
    assert house.engine.jobs.next_due_at() is None


def test_deploying_the_same_diagram_again_leaves_its_timer_alone(house: House) -> None:
    house.deploy(timed("timeDuration", "PT2H"))
    house.moved.advance(hours=1)
    house.deploy(timed("timeDuration", "PT2H"))

    [waiting] = house.engine.deployments.start_timers(SYSTEM)

    assert waiting.due_at == MONDAY + timedelta(hours=2)


def test_a_date_that_is_over_and_turns_that_are_over_start_nothing(house: House) -> None:
    house.deploy(timed("timeDate", (MONDAY - timedelta(days=1)).isoformat()))
    assert house.engine.deployments.start_timers(SYSTEM) == ()

    first = (MONDAY - timedelta(days=3, hours=-1)).isoformat().replace("+00:00", "Z")
    house.deploy(timed("timeCycle", f"R/{first}/P1D"))
    [waiting] = house.engine.deployments.start_timers(SYSTEM)
    assert waiting.due_at == MONDAY + timedelta(hours=1)


def test_a_worker_that_dies_after_the_start_starts_nothing_twice(house: House) -> None:
    house.deploy(timed("timeDuration", "PT1H"))
    house.moved.advance(hours=1)
    house.engine.jobs.run_due()
    id, key = house.rows("select answer, key from idempotency_key where scope = 'timer'")[0]

    again = house.engine.instances.begin(SYSTEM, "p", {}, start_event="s", trigger="timer", idempotency_key=key, scope="timer")

    assert again == id
    assert started(house) == ["a"]


def test_a_start_timer_in_feel_is_computed_at_deployment_and_one_that_needs_variables_is_refused(house: House) -> None:
    house.deploy(timed("timeDate", '= date and time("2099-03-01T09:00:00+08:00")'))
    [waiting] = house.engine.deployments.start_timers(SYSTEM)
    assert waiting.due_at == datetime(2099, 3, 1, 1, tzinfo=UTC)

    with pytest.raises(InvalidDiagram):
        house.deploy(timed("timeDate", "= submission_deadline", "b"))


def test_a_process_that_begins_with_a_condition_waits_for_it_once_somebody_started_it(house: House) -> None:
    made = house.deploy(diagram(process(start("s", condition("v > 1")), user("a"), end(), "s>a", "a>e")))
    assert "EV-START-CONDITION" in {f.rule for f in made.findings}

    waiting, going = house.start(variables={"v": 1}), house.start(variables={"v": 2})

    assert (house.open_tasks(waiting.id), [*house.open_tasks(going.id)]) == ({}, ["a"])
    house.engine.instances.set_variables(SYSTEM, waiting.id, {"v": 3}, "改正")
    assert [*house.open_tasks(waiting.id)] == ["a"]


def test_a_message_starts_an_instance_at_an_instantiating_receive_task(house: House) -> None:
    house.deploy(diagram(process(receive("r", "mA", instantiate="true"), user("a"), end(), "r>a", "a>e")))

    house.engine.messages.correlate(SYSTEM, "mA", {"n": 5}, correlation_key="K")

    assert started(house) == ["a"]
    [found] = house.rows("select id, business_key from instance")
    assert found[1] == "K"
    assert house.engine.instances.variables(SYSTEM, found[0])["n"] == 5


def test_all_messages_of_a_parallel_start_come_to_one_instance(house: House) -> None:
    house.deploy(diagram(process(
        element("eventBasedGateway", "g", instantiate="true", eventGatewayType="Parallel"), catch("c1", event("message", "mA")),
        catch("c2", event("message", "mB")), user("a"), user("b"), end(), end("e2"), "g>c1", "g>c2", "c1>a", "c2>b", "a>e", "b>e2")))

    house.engine.messages.correlate(SYSTEM, "mB", correlation_key="K")
    assert started(house) == ["b"]
    house.engine.messages.correlate(SYSTEM, "mA", correlation_key="K")

    assert started(house) == ["a b"]


def test_a_parallel_multiple_start_event_begins_its_work_when_all_its_messages_are_there(house: House) -> None:
    house.deploy(diagram(process(
        start("s", event("message", "mA") + event("message", "mB"), parallelMultiple="true"), user("a"), end(), "s>a", "a>e")))

    house.engine.messages.correlate(SYSTEM, "mB", {"n": 1}, correlation_key="K")
    assert started(house) == [""]
    house.engine.messages.correlate(SYSTEM, "mA", {"m": 2}, correlation_key="K")

    assert started(house) == ["a"]


def test_a_signal_starts_an_instance_at_each_start_event_with_its_payload(house: House) -> None:
    thrower = diagram(process(
        start(), throw("t", properties(payload="{rate: 7}") + event("signal", "sA")), end(), "s>t", "t>e", id="thrower"))
    house.deploy(thrower, diagram(process(
        start("s1", event("signal", "sA")), start("s2", event("signal", "sA")), user("a"), user("b"), end(), end("e2"), "s1>a", "s2>b",
        "a>e", "b>e2")))

    house.start("thrower")
    house.engine.jobs.run_due()
    house.engine.jobs.run_due()

    assert started(house) == ["", "a", "b"]
    last = house.rows("select max(id) from instance")[0][0]
    assert house.engine.instances.variables(SYSTEM, last)["rate"] == 7


def test_who_starts_a_process_with_several_none_start_events_says_which(house: House) -> None:
    house.deploy(diagram(process(
        start("s1"), start("s2"), start("s3", event("message", "mA")), user("a"), user("b"), user("c"), end(), end("e2"), end("e3"),
        "s1>a", "s2>b", "s3>c", "a>e", "b>e2", "c>e3")))

    with pytest.raises(AmbiguousStart):
        house.engine.instances.start(SYSTEM, "p")
    with pytest.raises(NotFound):
        house.engine.instances.start(SYSTEM, "p", start_event="s4")
    house.engine.instances.start(SYSTEM, "p", start_event="s2")

    assert started(house) == ["b"]
