"""Timers, handlers, retries, incidents, reminders, notifications."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.errors import AccessDenied, BpmnError, WrongState
from engine.handler import Job
from engine.model import SYSTEM, Actor, InstanceId
from engine.service import reminders
from engine.service.retries import Retries, retries_of
from tests.bpmn.build import (
    boundary,
    catch,
    diagram,
    end,
    event,
    exclusive,
    parallel,
    process,
    properties,
    script,
    service,
    start,
    sub,
    timer,
    user,
)
from tests.service.house import ANN, EVE, FOR_ENGINEERS, MONDAY, OWNER, House
from tests.service.laws import require_agreement

WORK = diagram(process(start(), service("w", "work"), user("after"), end(), "s>w", "w>after", "after>e"))
RETRIED = "<extensionElements><camunda:failedJobRetryTimeCycle>R2/PT10M</camunda:failedJobRetryTimeCycle></extensionElements>"


def test_a_handler_runs_after_the_commit_and_its_values_become_variables(house: House) -> None:
    seen: list[Job] = []

    @house.handler("work")
    def work(job: Job) -> dict[str, Any]:
        """Work."""
        seen.append(job)
        return {"answer": job.values["n"] + 1}

    house.deploy(WORK)
    started = house.start(variables={"n": 41}, title="T", business_key="B")
    assert not seen

    assert house.engine.jobs.run_due() == 1

    (job,) = seen
    assert (job.attempt, job.instance_id, job.title, job.business_key, job.element) == (1, started.id, "T", "B", "w")
    assert house.engine.instances.variables(SYSTEM, started.id)["answer"] == 42
    assert set(house.open_tasks(started.id)) == {"after"}
    assert house.rows("select count(*) from job") == [(0,)]
    assert house.engine.jobs.run_due() == 0


def test_a_failing_handler_is_tried_again_under_the_same_key_then_becomes_an_incident_that_a_person_mends(house: House) -> None:
    keys: list[str] = []

    @house.handler("work", retries=9)
    def work(job: Job) -> dict[str, Any]:
        """Work."""
        keys.append(job.key)
        if not job.values.get("mended"):
            raise OSError("no route to host")
        return {"done": True}

    house.deploy(diagram(process(start(), service("w", "work", RETRIED, name="发送"), end(), "s>w", "w>e")))
    started = house.start()
    for _ in range(3):
        assert house.engine.jobs.run_due() == 1
        assert house.engine.jobs.run_due() == 0
        house.moved.advance(minutes=45)
    assert house.engine.jobs.run_due() == 0

    failures = house.events(started.id, "JobFailed")
    assert [f.attempt for f in failures] == [1, 2, 3]
    assert [f.retry_at is None for f in failures] == [False, False, True]
    (incident,) = house.engine.jobs.incidents(OWNER)
    assert (incident.kind, incident.element_name, incident.job_id is not None) == ("handler", "发送", True)
    assert "no route to host" in incident.message
    assert house.engine.instances.get(SYSTEM, started.id).open_incident_count == 1
    with pytest.raises(AccessDenied):
        house.engine.jobs.retry(ANN, incident.id)

    house.engine.jobs.retry(OWNER, incident.id, {"mended": True}, "cable plugged in")
    # the job keeps the values that it was made with: what an author reads does not change between attempts
    assert house.engine.jobs.incidents(OWNER) == ()
    assert house.events(started.id, "IncidentResolved")[0].reason == "cable plugged in"
    assert house.events(started.id, "DataMended")[0].names == ("mended",)
    with pytest.raises(WrongState):
        house.engine.jobs.retry(OWNER, incident.id)
    assert house.engine.jobs.run_due() == 1
    assert len(set(keys)) == 1


def test_waits_between_attempts_double_up_to_an_hour_and_differ_between_jobs() -> None:
    retries = Retries(10, timedelta(minutes=10))
    waits = [retries.next_at(MONDAY, n, "1") for n in range(1, 12)]

    minutes = [(at - MONDAY) / timedelta(minutes=1) if at is not None else None for at in waits]
    for wait, nominal in zip(minutes[:10], [10, 20, 40, 60, 60, 60, 60, 60, 60, 60], strict=True):
        assert wait is not None
        assert nominal * 0.9 <= wait <= nominal * 1.1
    assert minutes[10] is None
    assert retries.next_at(MONDAY, 1, "1") != retries.next_at(MONDAY, 1, "2")
    assert retries_of("R5/P1DT2H", None) == Retries(5, timedelta(days=1, hours=2))


def test_a_missing_handler_is_an_incident_and_not_silence(house: House) -> None:
    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""

    house.deploy(WORK)
    started = house.start()
    house.handlers._handlers.clear()

    house.engine.jobs.run_due()

    (incident,) = house.engine.jobs.of_instance(OWNER, started.id)
    assert "work" in incident.message


def test_a_bpmn_error_takes_the_path_that_catches_it_else_it_is_an_incident(house: House) -> None:
    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""
        raise BpmnError("eA", "no stock")

    caught = boundary("caught", "w", event("error", "eA"))
    house.deploy(
        diagram(process(start(), service("w"), caught, user("sorry"), end(), "s>w", "w>e", "caught>sorry", "sorry>e", id="p")),
        diagram(process(start(), service("w"), end(), "s>w", "w>e", id="q")),
    )
    good, bad = house.start("p"), house.start("q")

    house.engine.jobs.run_due()

    assert set(house.open_tasks(good.id)) == {"sorry"}
    (incident,) = house.engine.jobs.incidents(OWNER)
    assert (incident.instance_id, incident.kind) == (bad.id, "bpmn_error")
    house.engine.jobs.retry(OWNER, incident.id)
    assert house.engine.jobs.run_due() == 1


@pytest.mark.parametrize("effect", ["none", "database"])
def test_a_handler_without_outside_effect_runs_within_the_command_exactly_once_and_without_a_job(
    house: House, effect: Any
) -> None:
    @house.handler("work", effect=effect)
    def work(job: Job) -> dict[str, Any]:
        """Work."""
        job.outside.notice(job.outside.people(users=["ann"])[0], "subject", "body", job.outside.link())
        return {"answer": 1}

    house.deploy(WORK)
    started = house.start()

    assert set(house.open_tasks(started.id)) == {"after"}
    assert house.engine.instances.variables(SYSTEM, started.id)["answer"] == 1
    assert house.rows("select count(*) from job") == [(0,)]
    (notice,) = house.engine.people.notices(ANN)
    assert (notice.subject, notice.link) == ("subject", f"/instance/{started.id}")
    assert house.events(started.id, "NotificationSent")[0].recipients == ("ann",)
    assert house.events(started.id, "JobCompleted")[0].values == {"answer": 1}


def test_a_handler_that_fails_within_the_command_is_tried_again_as_a_job(house: House) -> None:
    calls: list[int] = []

    @house.handler("work", effect="none", retries=1, backoff=timedelta(minutes=1))
    def work(job: Job) -> dict[str, Any]:
        """Work."""
        calls.append(job.attempt)
        if len(calls) == 1:
            raise RuntimeError("not yet")
        return {}

    house.deploy(WORK)
    started = house.start()
    assert house.open_tasks(started.id) == {}

    house.moved.advance(minutes=2)
    house.engine.jobs.run_due()

    assert calls == [1, 2]
    assert set(house.open_tasks(started.id)) == {"after"}


COUNTED = diagram(process(
    start(), exclusive("m"), service("w", "count"), exclusive("x"), user("after"), end(), "s>m", "m>w", "w>x", "x>m: n < top", "x>after!",
    "after>e"))


def test_a_loop_of_handlers_within_the_command_may_be_long(house: House) -> None:
    @house.handler("count", effect="none")
    def count(job: Job) -> dict[str, Any]:
        """Count."""
        return {"n": job.values["n"] + 1}

    house.deploy(COUNTED)
    started = house.start(variables={"n": 0, "top": 2_000})

    assert house.engine.instances.variables(SYSTEM, started.id)["n"] == 2_000
    assert set(house.open_tasks(started.id)) == {"after"}
    assert len(house.events(started.id, "JobCompleted")) == 2_000
    assert house.rows("select count(*) from job") == [(0,)]
    assert house.engine.audit.verify() == ()


def test_a_loop_of_handlers_without_end_becomes_an_incident(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.bpmn.workflow.STEP_LIMIT", 500)
    calls: list[int] = []

    @house.handler("count", effect="none")
    def count(job: Job) -> dict[str, Any]:
        """Count."""
        calls.append(1)
        return {"n": 0}

    house.deploy(COUNTED)
    house.start(variables={"n": 0, "top": 1})

    (incident,) = house.engine.jobs.incidents(OWNER)
    assert incident.kind == "endless"
    assert 100 < len(calls) < 500
    assert house.rows("select count(*) from job") == [(0,)]


@pytest.mark.parametrize("around", [True, False])
def test_the_incident_of_a_job_that_the_same_command_cancels_is_resolved(house: House, around: bool) -> None:
    @house.handler("bad", effect="none", retries=0)
    def bad(job: Job) -> None:
        """Fail."""
        raise OSError("down")

    @house.handler("good", effect="none")
    def good(job: Job) -> None:
        """Do nothing."""

    inner = (
        parallel("f"), service("w", "bad"), service("v", "good"), end("stop", event("terminate")), user("a"), end("ie"), "f>w", "f>v",
        "v>stop", "w>a", "a>ie",
    )  # fmt: skip
    house.deploy(diagram(
        process(start(), sub("z", start("is"), *inner, "is>f"), user("u"), end(), "s>z", "z>u", "u>e") if around
        else process(start(), *inner, "s>f")))  # fmt: skip

    id = house.start().id

    assert house.status(id) == ("active" if around else "completed")
    assert (house.rows("select id from job"), house.engine.jobs.incidents(OWNER)) == ([], ())
    assert [e.reason for e in house.events(id, "IncidentResolved")] == ["cancelled"]
    require_agreement(house)


def test_what_handlers_within_a_command_do_is_the_engines_and_all_else_the_persons(house: House) -> None:
    @house.handler("count", effect="none")
    def count(job: Job) -> dict[str, Any]:
        """Count."""
        return {"n": job.values["n"] + 1}

    house.deploy(diagram(process(
        start(), user("u", **FOR_ENGINEERS), service("w", "count"), service("v", "count"), end(), "s>u", "u>w", "w>v", "v>e")))
    started = house.start(variables={"n": 0})
    house.engine.tasks.complete(ANN, house.task(started.id, "u").id, {})

    by = {type(r.event).__name__: r.actor for r in house.history(started.id)}
    assert len(house.events(started.id, "JobCompleted")) == 2
    assert (by["JobCompleted"], by["JobCreated"], by["InstanceCompleted"]) == ("system", "ann", "ann")


def test_a_handler_that_gives_what_no_variable_can_hold_fails_as_any_other(house: House) -> None:
    @house.handler("work", retries=0)
    def work(job: Job) -> dict[str, Any]:
        """Work."""
        return {"x": object()}

    house.deploy(WORK)
    house.start()

    house.engine.jobs.run_due()

    assert "object" in house.engine.jobs.incidents(OWNER)[0].message


# ---------------------------------------------------------------------------------------------------------------- leases and fences
def test_a_job_of_a_dead_worker_is_offered_again_and_its_late_finish_does_not_count(house: House) -> None:
    started: list[InstanceId] = []
    late: list[bool] = []
    other = house.beside()

    @house.handler("work", timeout=timedelta(minutes=1))
    def work(job: Job) -> dict[str, Any]:
        """Work."""
        if job.attempt == 1:  # while this worker sleeps past its lease, another one takes over and finishes
            house.moved.advance(minutes=2)
            late.append(other.engine.jobs.run_due() == 1)
        return {"by_attempt": job.attempt}

    house.deploy(WORK)
    started.append(house.start().id)

    house.engine.jobs.run_due()
    other.close()

    assert late == [True]
    assert house.engine.instances.variables(SYSTEM, started[0])["by_attempt"] == 2
    assert len(house.events(started[0], "JobCompleted")) == 1
    assert len(house.open_tasks(started[0])) == 1


def test_a_handler_that_finishes_after_its_instance_was_cancelled_changes_nothing(house: House) -> None:
    ids: list[InstanceId] = []

    @house.handler("work")
    def work(job: Job) -> dict[str, Any]:
        """Work."""
        house.engine.instances.cancel(OWNER, ids[0], "no bid")
        return {"answer": 1}

    house.deploy(WORK)
    ids.append(house.start().id)

    house.engine.jobs.run_due()

    assert house.status(ids[0]) == "cancelled"
    assert house.events(ids[0], "JobCompleted") == []
    assert house.rows("select count(*) from job") == [(0,)]
    assert house.engine.audit.verify() == ()


def test_work_of_a_suspended_instance_waits_until_it_is_resumed(house: House) -> None:
    runs: list[int] = []

    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""
        runs.append(job.attempt)

    house.deploy(WORK)
    started = house.start()
    house.engine.instances.suspend(OWNER, started.id, "wait")
    house.engine.jobs.run_due()
    assert runs == []

    house.engine.instances.resume(OWNER, started.id)
    house.engine.jobs.run_due()

    assert runs == [1]


# --------------------------------------------------------------------------------------------------------------------------- timers
LATE = diagram(
    process(
        start(), user("a"), boundary("late", "a", timer("timeDuration", "PT2H")), user("chase"), end(), "s>a", "a>e", "late>chase", "chase>e",
    )
)  # fmt: skip


def test_a_timer_fires_when_its_time_has_come_and_not_before(house: House) -> None:
    house.deploy(LATE)
    started = house.start()
    assert house.engine.jobs.next_due_at() == MONDAY + timedelta(hours=2)
    house.moved.advance(hours=1.9)
    assert house.engine.jobs.run_due() == 0

    house.moved.advance(hours=0.2)
    assert house.engine.jobs.run_due() == 1

    assert set(house.open_tasks(started.id)) == {"chase"}
    assert house.engine.jobs.run_due() == 0


def test_a_timer_that_is_due_at_once_can_be_left_for_later(house: House) -> None:
    house.deploy(diagram(process(start(), catch("c", timer("timeDuration", "PT0S")), user("after"), end(), "s>c", "c>after", "after>e")))
    id = house.start().id

    assert house.engine.jobs.run_quick(timers=False) == 0
    assert house.open_tasks(id) == {}
    assert house.engine.jobs.run_quick() == 1
    assert set(house.open_tasks(id)) == {"after"}


def test_an_event_that_waits_for_two_times_fires_at_each_of_them(house: House) -> None:
    both = timer("timeDuration", "PT2H") + timer("timeDuration", "PT1H")
    house.deploy(diagram(process(
        start(), user("a"), boundary("late", "a", both, cancelActivity="false"), user("chase"), "s>a", "late>chase")))
    started = house.start()
    for hours in (1, 2):
        (waiting,) = house.engine.instances.timers(SYSTEM, started.id)
        assert waiting.due_at == MONDAY + timedelta(hours=hours)
        house.moved.advance(minutes=61)
        house.engine.jobs.run_due()
        assert house.engine.audit.cross_check(started.id) == ()

    assert house.engine.instances.timers(SYSTEM, started.id) == ()
    assert [t.element for t in house.engine.tasks.of_instance(SYSTEM, started.id)] == ["a", "chase", "chase"]


def test_a_completed_task_takes_its_timer_with_it(house: House) -> None:
    house.deploy(LATE)
    started = house.start()
    assert [t.element for t in house.engine.instances.timers(SYSTEM, started.id)] == ["late"]

    house.complete(started.id)

    assert house.rows("select count(*) from job") == [(0,)]


def test_a_timer_moves_when_the_variable_that_it_reads_changes(house: House) -> None:
    until = boundary("late", "a", timer("timeDate", "= deadline"))
    house.deploy(diagram(process(start(), user("a"), until, user("chase"), end(), "s>a", "a>e", "late>chase", "chase>e")))
    started = house.start(variables={"deadline": MONDAY + timedelta(hours=1)})

    house.engine.instances.set_variables(OWNER, started.id, {"deadline": MONDAY + timedelta(hours=5)}, "buyer moved it")

    assert [t.due_at for t in house.engine.instances.timers(SYSTEM, started.id)] == [MONDAY + timedelta(hours=5)]
    assert house.engine.jobs.next_due_at() == MONDAY + timedelta(hours=5)
    house.moved.advance(hours=2)
    assert house.engine.jobs.run_due() == 0
    assert house.events(started.id, "DataMended")[0].reason == "buyer moved it"


def test_a_suspended_instance_lets_no_timer_fire_and_its_durations_stand_still(house: House) -> None:
    house.deploy(LATE)
    started = house.start()
    house.moved.advance(hours=1)
    house.engine.instances.suspend(OWNER, started.id, "wait")
    house.moved.advance(hours=9)
    assert house.engine.jobs.run_due() == 0

    house.engine.instances.resume(OWNER, started.id)

    assert house.engine.jobs.run_due() == 0
    assert [t.due_at for t in house.engine.instances.timers(SYSTEM, started.id)] == [MONDAY + timedelta(hours=11)]


def test_a_cycle_fires_again_and_again(house: House) -> None:
    cycle = boundary("tick", "a", timer("timeCycle", "R3/PT1H"), cancelActivity="false")
    house.deploy(diagram(process(start(), user("a"), cycle, script("t"), end(), "s>a", "a>e", "tick>t", "t>e")))
    started = house.start()
    for _ in range(5):
        house.moved.advance(hours=1)
        house.engine.jobs.run_due()

    assert len(house.events(started.id, "TimerFired")) == 3
    assert house.rows("select count(*) from job") == [(0,)]


# ------------------------------------------------------------------------------------------------------------------------ incidents
def test_an_element_that_fails_is_parked_and_goes_on_when_its_data_is_mended(house: House) -> None:
    gate = diagram(
        process(
            start(), user("a"), "<exclusiveGateway id='g'/>", user("x"), user("y"), end(), "s>a", "a>g", "g>x: n > 1", "g>y: n < 0", "x>e", "y>e"
        )
    )  # fmt: skip
    house.deploy(gate)
    started = house.start(variables={"n": 1})
    house.complete(started.id, "a")
    (incident,) = house.engine.jobs.incidents(OWNER)
    assert (incident.kind, incident.element, incident.job_id) == ("no_flow", "g", None)

    house.engine.jobs.retry(OWNER, incident.id, {"n": 5}, "typo")

    assert set(house.open_tasks(started.id)) == {"x"}
    assert house.engine.jobs.incidents(OWNER) == ()
    assert house.events(started.id, "IncidentResolved")[0].reason == "typo"


def test_a_cancelled_instance_leaves_no_open_incident(house: House) -> None:
    @house.handler("work", retries=0)
    def work(job: Job) -> None:
        """Work."""
        raise RuntimeError("?")

    house.deploy(WORK)
    started = house.start()
    house.engine.jobs.run_due()
    assert len(house.engine.jobs.incidents(OWNER)) == 1

    house.engine.instances.cancel(OWNER, started.id, "no bid")

    assert house.engine.jobs.incidents(OWNER) == ()
    assert house.rows("select count(*) from job") == [(0,)]


def test_a_handlers_incident_goes_when_its_token_is_interrupted(house: House) -> None:
    @house.handler("work", retries=0)
    def work(job: Job) -> None:
        """Work."""
        raise RuntimeError("?")

    late = boundary("late", "w", timer("timeDuration", "PT2H"))
    house.deploy(diagram(process(start(), service("w"), late, user("chase"), end(), "s>w", "w>e", "late>chase", "chase>e")))
    started = house.start()
    house.engine.jobs.run_due()
    house.moved.advance(hours=3)

    house.engine.jobs.run_due()

    assert set(house.open_tasks(started.id)) == {"chase"}
    assert house.engine.jobs.incidents(OWNER) == ()
    assert house.view(started.id).incidents == {}
    assert house.rows("select count(*) from job") == [(0,)]


# ------------------------------------------------------------------------------------------------------------------------ reminders
REMINDED = diagram(process(start(), user("a", camunda_dueDate="= due", name="编制标书", **FOR_ENGINEERS), end(), "s>a", "a>e"))


def stages(house: House, id: InstanceId) -> list[tuple[str, bool]]:
    return [(r.stage, r.late) for r in house.events(id, "UserTaskReminded")]


def test_people_are_reminded_at_each_stage_once(house: House) -> None:
    house.deploy(REMINDED)
    started = house.start(variables={"due": MONDAY + timedelta(days=2)})
    for hours in (24, 20, 4, 24):  # half-way on Tuesday, four hours before, due on Wednesday, a working day later
        assert house.engine.jobs.run_due() == 0
        house.moved.advance(hours=hours)
        assert house.engine.jobs.run_due() == 1

    assert stages(house, started.id) == [("half", False), ("due_soon", False), ("overdue", False), ("overdue_owner", False)]
    told = [r.recipients for r in house.events(started.id, "UserTaskReminded")]
    assert told == [("ann", "bob"), ("ann", "bob"), ("ann", "bob", "manager"), ("owner",)]
    assert [n.subject for n in house.engine.people.notices(ANN)][-1] == "【p】任务时间已过半：编制标书"
    assert house.engine.people.unread_count(ANN) == 3
    house.engine.people.read_notice(ANN, house.engine.people.notices(ANN)[0].id)
    assert house.engine.people.unread_count(ANN) == 2
    assert house.engine.jobs.next_due_at() is None


def test_after_a_standstill_only_the_latest_reminder_is_told_and_marked_late(house: House) -> None:
    house.deploy(REMINDED)
    started = house.start(variables={"due": MONDAY + timedelta(days=2)})
    house.engine.tasks.claim(ANN, house.task(started.id).id)

    house.moved.advance(days=2, hours=2)
    house.engine.jobs.run_due()

    assert stages(house, started.id) == [("overdue", True)]
    assert house.events(started.id, "UserTaskReminded")[0].recipients == ("ann", "manager")


def test_a_task_that_is_done_or_suspended_reminds_nobody(house: House) -> None:
    house.deploy(REMINDED)
    one, two = (house.start(variables={"due": MONDAY + timedelta(days=2)}) for _ in range(2))
    house.complete(one.id)
    house.engine.instances.suspend(OWNER, two.id, "wait")

    house.moved.advance(days=9)

    assert house.engine.jobs.run_due() == 0


def test_a_new_due_date_moves_the_reminders(house: House) -> None:
    house.deploy(REMINDED)
    started = house.start(variables={"due": MONDAY + timedelta(days=2)})

    house.engine.instances.set_variables(OWNER, started.id, {"due": MONDAY + timedelta(days=20)}, "extended")

    assert house.task(started.id).due_at == MONDAY + timedelta(days=20)
    assert house.engine.jobs.next_due_at() == MONDAY + timedelta(days=10)


def test_short_tasks_have_no_half_way() -> None:
    found = tuple(reminders.schedule(MONDAY, MONDAY + timedelta(hours=6), "Asia/Shanghai"))

    assert [r.stage for r in found] == ["due_soon", "overdue", "overdue_owner"]
    assert tuple(reminders.schedule(MONDAY, None, "Asia/Shanghai")) == ()
    assert [r.stage for r in reminders.schedule(MONDAY, MONDAY + timedelta(hours=1), "Asia/Shanghai")] == [
        "overdue",
        "overdue_owner",
    ]


def test_strangers_see_no_incidents(house: House) -> None:
    with pytest.raises(AccessDenied):
        house.engine.jobs.incidents(EVE)
    assert house.engine.jobs.incidents(Actor(id="x", groups=frozenset({"process_owner"}))) == ()


def test_properties_reach_the_handler(house: House) -> None:
    seen: list[Any] = []

    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""
        seen.append(dict(job.properties))

    house.deploy(
        diagram(process(start(), service("w", "work", properties(subject="= title", plain="text")), end(), "s>w", "w>e"))
    )
    house.start(variables={"title": "hello"})
    house.engine.jobs.run_due()

    assert seen == [{"subject": "hello", "plain": "text"}]


def test_a_job_that_goes_with_its_token_is_not_run_within_the_command(house: House) -> None:
    ran: list[str] = []

    @house.handler("work", effect="none")
    def work(job: Job) -> dict[str, Any]:
        """Work."""
        ran.append(job.element)
        return {}

    house.deploy(diagram(process(
        start(), parallel("f"), service("a"), service("b"), end("over", "<terminateEventDefinition/>"), end(),
        "s>f", "f>a", "f>b", "a>over", "b>e")))
    started = house.start()

    assert house.status(started.id) == "completed"
    assert ran == ["a"]
    assert [e.element for e in house.events(started.id, "JobCancelled")] == ["b"]
