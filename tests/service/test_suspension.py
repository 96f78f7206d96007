"""What stands still: a scope that an event sub-process suspends, an instance that a person suspends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.errors import TaskSuspended
from engine.model import SYSTEM, InstanceId, TaskState
from tests.bpmn.build import (
    boundary,
    call,
    catch,
    condition,
    diagram,
    end,
    event,
    event_sub,
    parallel,
    process,
    properties,
    service,
    start,
    throw,
    timer,
    user,
)
from tests.service.house import ANN, FOR_ENGINEERS, MONDAY, OWNER, House
from tests.service.laws import require_agreement

HOLD = event_sub(
    "hold", start("held", properties(candidateGroups="presale_engineer") + event("message", "mC"), isInterrupting="false"),
    user("release", **FOR_ENGINEERS), end("released"), "held>release", "release>released", inner=properties(suspends="true"),
)  # fmt: skip
HELD = diagram(
    process(
        start(), parallel("f"), user("a", camunda_dueDate='= duration("P2D")', **FOR_ENGINEERS), call("k", "inner"), end(), "s>f", "f>a", "f>k",
        "a>e", HOLD,
    ),
    process(start("s2"), user("b", camunda_assignee="ann", camunda_dueDate="= closing_at"), "s2>b", id="inner"),
)  # fmt: skip


def states(house: House, id: InstanceId) -> dict[str, str]:
    return {element: task.state.value for element, task in house.open_tasks(id).items()}


def inbox(house: House) -> list[str]:
    return sorted(task.element for task in house.engine.tasks.inbox(ANN).items)


def test_tasks_of_a_suspended_scope_leave_the_inbox_and_come_back_with_their_due_dates_moved(house: House) -> None:
    house.deploy(HELD)
    id = house.start(variables={"closing_at": MONDAY + timedelta(days=5)}).id
    assert inbox(house) == ["a", "b"]
    house.moved.advance(hours=10)
    house.engine.messages.correlate(ANN, "mC", instance_id=id)

    assert states(house, id) == {"a": "suspended", "b": "suspended", "release": "open"}
    assert inbox(house) == ["release"]
    assert house.engine.tasks.counts(ANN)["all"] == 1
    for element in ("a", "b"):
        task = house.task(id, element)
        with pytest.raises(TaskSuspended):
            house.engine.tasks.complete(ANN, task.id, {})
        with pytest.raises(TaskSuspended):
            house.engine.tasks.claim(ANN, task.id)
        assert house.engine.tasks.get(ANN, task.id).state is TaskState.SUSPENDED
    require_agreement(house)

    house.moved.advance(hours=20)
    house.complete(id, "release", by=ANN)
    assert states(house, id) == {"a": "open", "b": "open"}
    assert inbox(house) == ["a", "b"]
    assert house.task(id, "a").due_at == MONDAY + timedelta(days=2, hours=20)
    assert house.task(id, "b").due_at == MONDAY + timedelta(days=5)
    require_agreement(house)


def test_nobody_is_reminded_of_a_suspended_task_and_its_reminders_follow_its_new_due_date(house: House) -> None:
    house.deploy(HELD)
    id = house.start(variables={"closing_at": None}).id
    house.engine.messages.correlate(ANN, "mC", instance_id=id)
    house.complete(id, "release", by=ANN)
    house.engine.messages.correlate(ANN, "mC", instance_id=id)

    house.moved.advance(days=9)
    house.engine.jobs.run_due()
    assert [r.element for r in house.events(id, "UserTaskReminded") if r.element != "release"] == []

    house.complete(id, "release")
    house.engine.jobs.run_due()
    assert [r.element for r in house.events(id, "UserTaskReminded") if r.element != "release"] == []
    house.moved.advance(days=1, hours=20)
    house.engine.jobs.run_due()
    told = [(r.element, r.stage, r.late) for r in house.events(id, "UserTaskReminded") if r.element != "release"]
    assert told == [("a", "due_soon", False)]


def test_a_scope_stays_suspended_when_the_whole_instance_was_suspended_and_resumed_meanwhile(house: House) -> None:
    house.deploy(HELD)
    id = house.start(variables={"closing_at": None}).id
    house.engine.messages.correlate(ANN, "mC", instance_id=id)

    house.engine.instances.suspend(OWNER, id, "wait")
    assert set(states(house, id).values()) == {"suspended"}
    house.engine.instances.resume(OWNER, id)

    assert states(house, id) == {"a": "suspended", "b": "suspended", "release": "open"}
    require_agreement(house)


def test_a_task_that_comes_to_be_in_a_suspended_instance_is_suspended(house: House) -> None:
    watch = catch("c", condition("go = true"))
    house.deploy(diagram(process(start(), watch, user("a", **FOR_ENGINEERS), end(), "s>c", "c>a", "a>e")))
    id = house.start(variables={"go": False}).id
    house.engine.instances.suspend(OWNER, id, "wait")
    house.engine.instances.set_variables(OWNER, id, {"go": True}, "asked")

    assert states(house, id) == {"a": "suspended"}
    assert inbox(house) == []
    house.engine.instances.resume(OWNER, id)
    assert inbox(house) == ["a"]
    require_agreement(house)


def test_what_a_suspended_instance_throws_goes_out(house: House) -> None:
    watch = catch("c", condition("go = true"))
    house.deploy(
        diagram(process(start(), watch, throw("t", event("message", "mA")), user("z"), "s>c", "c>t", "t>z")),
        diagram(process(start(), catch("r", event("message", "mA")), user("after"), "s>r", "r>after", id="q")),
    )
    waiting, thrower = house.start("q", business_key="K"), house.start("p", {"go": False}, business_key="K")
    house.engine.instances.suspend(OWNER, thrower.id, "wait")
    house.engine.instances.set_variables(OWNER, thrower.id, {"go": True}, "asked")

    house.engine.jobs.run_due()

    assert set(house.open_tasks(waiting.id)) == {"after"}


def test_the_machine_goes_on_in_a_suspended_scope_but_its_people_do_not(house: House) -> None:
    @house.handler("work")
    def work(job: object) -> None:
        """Work."""

    house.deploy(diagram(process(start(), service("w"), user("a", **FOR_ENGINEERS), "s>w", "w>a", HOLD)))
    id = house.start().id
    house.engine.messages.correlate(ANN, "mC", instance_id=id)
    house.engine.jobs.run_due()

    assert states(house, id) == {"a": "suspended", "release": "open"}
    house.complete(id, "release", by=SYSTEM)
    assert states(house, id) == {"a": "open"}
    require_agreement(house)


def test_durations_that_stand_still_are_no_disagreement(house: House) -> None:
    late = boundary("late", "a", timer("timeDuration", "PT5H"))
    house.deploy(diagram(process(start(), user("a"), late, end(), "s>a", "a>e", "late>e", HOLD)))
    id = house.start().id
    house.engine.messages.correlate(ANN, "mC", instance_id=id)
    require_agreement(house)
    house.engine.instances.suspend(OWNER, id, "wait")
    require_agreement(house)
    house.engine.instances.resume(OWNER, id)
    house.complete(id, "release")
    require_agreement(house)
