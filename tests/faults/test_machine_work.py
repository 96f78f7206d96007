"""What goes wrong with machine work costs that work alone, and somebody is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from engine.handler import Job
from engine.model import InstanceId
from tests.bpmn.build import boundary, diagram, end, process, script, service, start, timer, user
from tests.service.house import ANN, FOR_ENGINEERS, OWNER, House
from tests.service.laws import require_agreement

WORK = diagram(process(start(), service("w", "work"), user("after"), end(), "s>w", "w>after", "after>e"))
LATE = diagram(
    process(
        start(), user("a", **FOR_ENGINEERS), boundary("late", "a", timer("timeDate", "= until")), user("chase"), end(), "s>a", "a>e",
        "late>chase", "chase>e",
    )
)  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "data")
    made.add_people()
    yield made
    made.close()


def spoil(house: House, id: InstanceId) -> None:
    """Make an instance unreadable."""
    assert house.change("update instance_state set body = x'7800' where instance_id = ?", id)


# ------------------------------------------------------------------------------------------------------------------------ handlers
@pytest.mark.parametrize("given", [["a", "list"], 7, {"x": object()}, {1: "a key that is no text"}])
def test_a_handler_within_the_command_that_gives_no_variables_fails_as_a_job_and_not_the_command(house: House, given: Any) -> None:
    @house.handler("work", effect="none", retries=0)
    def work(job: Job) -> Any:
        """Work."""
        return given

    house.deploy(WORK)
    started = house.start()

    (incident,) = house.engine.jobs.incidents(OWNER)
    assert incident.kind == "handler"
    assert house.open_tasks(started.id) == {}


@pytest.mark.parametrize("given", [["a", "list"], 7, {1: "a key that is no text"}])
def test_a_handler_that_gives_no_variables_is_an_incident(house: House, given: Any) -> None:
    @house.handler("work", retries=0)
    def work(job: Job) -> Any:
        """Work."""
        return given

    house.deploy(WORK)
    house.start()
    house.engine.jobs.run_due()

    assert [i.kind for i in house.engine.jobs.incidents(OWNER)] == ["handler"]


def test_a_job_over_which_workers_die_again_and_again_is_an_incident(house: House) -> None:
    deaths: list[int] = []

    @house.handler("work", retries=1)
    def work(job: Job) -> None:
        """Work."""
        deaths.append(job.attempt)
        raise SystemExit

    house.deploy(WORK)
    started = house.start()
    for _ in range(30):
        try:
            house.engine.jobs.run_due()
        except SystemExit:
            house.moved.advance(hours=1)

    assert len(deaths) == 7
    (incident,) = house.engine.jobs.incidents(OWNER)
    assert "7" in incident.message
    require_agreement(house)
    house.engine.jobs.retry(OWNER, incident.id)
    with pytest.raises(SystemExit):
        house.engine.jobs.run_due()
    assert house.status(started.id) == "active"


def test_a_run_that_ends_in_a_suspended_instance_costs_no_attempt_and_tells_nobody_twice(house: House) -> None:
    ids: list[InstanceId] = []
    attempts: list[int] = []

    @house.handler("work", retries=0)
    def work(job: Job) -> None:
        """Work."""
        attempts.append(job.attempt)
        job.outside.notice(job.outside.people(users=["ann"])[0], "subject", "body")
        if len(attempts) == 1:
            house.engine.instances.suspend(OWNER, ids[0], "wait")

    house.deploy(WORK)
    ids.append(house.start().id)
    house.engine.jobs.run_due()
    assert len(house.events(ids[0], "NotificationSent")) == 1
    house.engine.instances.resume(OWNER, ids[0])
    house.engine.jobs.run_due()

    assert attempts == [1, 1]
    assert set(house.open_tasks(ids[0])) == {"after"}
    assert len(house.engine.people.notices(ANN)) == 1
    require_agreement(house)


# -------------------------------------------------------------------------------------------------------------------------- timers
def test_after_three_days_without_a_server_every_timer_fires_once_late_and_missed_turns_are_one(house: House) -> None:
    cycle = boundary("tick", "a", timer("timeCycle", "R/PT12H"), cancelActivity="false")
    once = boundary("once", "a", timer("timeDuration", "P2D"), cancelActivity="false")
    house.deploy(
        diagram(process(start(), user("a"), cycle, once, script("t"), script("o"), end(), "s>a", "a>e", "tick>t", "t>e", "once>o", "o>e"))
    )
    id = house.start().id

    house.moved.advance(days=3, minutes=5)
    house.engine.jobs.run_due()

    fired = [(f.element, f.late, f.skipped) for f in house.events(id, "TimerFired")]
    assert sorted(fired) == [("once", True, 0), ("tick", True, 5)]
    assert [t.due_at - house.clock.now() for t in house.engine.instances.timers(OWNER, id)] == [timedelta(hours=11, minutes=55)]
    assert house.engine.jobs.run_due() == 0


def test_an_instance_that_cannot_be_read_keeps_no_other_timer_from_firing_and_is_told(house: House) -> None:
    house.deploy(LATE)
    bad, good = (house.start(variables={"until": house.clock.now() + timedelta(hours=1)}).id for _ in range(2))
    spoil(house, bad)
    house.moved.advance(hours=2)
    house.change("update job set attempts = 100 where instance_id = ?", bad)  # the last attempt

    with pytest.raises(Exception, match="decompress"):
        house.engine.jobs.run_due()

    assert set(house.open_tasks(good)) == {"chase"}


def timer_incident(house: House, id: InstanceId) -> Any:
    """Let the timer of an instance fail for good."""
    house.change("update job set attempts = 100 where instance_id = ? and kind = 'timer'", id)
    house.engine.jobs.run_due()
    (incident,) = house.engine.jobs.incidents(OWNER)
    assert incident.kind == "timer"
    return incident


def test_a_timer_that_failed_fires_when_it_is_retried(house: House) -> None:
    house.deploy(LATE)
    id = house.start(variables={"until": house.clock.now()}).id
    house.moved.advance(hours=1)
    incident = timer_incident(house, id)
    require_agreement(house)

    house.engine.jobs.retry(OWNER, incident.id, reason="mended")
    house.engine.jobs.run_due()

    assert set(house.open_tasks(id)) == {"chase"}
    require_agreement(house)


def test_the_incident_of_a_timer_is_resolved_when_it_fires_after_all_or_is_cancelled(house: House) -> None:
    house.deploy(LATE)
    for end_it in ("moved", "completed"):
        id = house.start(variables={"until": house.clock.now()}).id
        house.moved.advance(hours=1)
        timer_incident(house, id)
        if end_it == "moved":
            later = house.clock.now() + timedelta(hours=1)
            house.engine.instances.set_variables(OWNER, id, {"until": later}, "buyer moved it")
        else:
            house.engine.instances.cancel(OWNER, id, "no bid")
        house.moved.advance(hours=2)
        house.engine.jobs.run_due()

        assert house.engine.jobs.incidents(OWNER) == ()
        assert house.view(id).incidents == {}


def test_a_retry_of_a_timer_that_runs_again_already_resolves_its_incident(house: House) -> None:
    house.deploy(LATE)
    id = house.start(variables={"until": house.clock.now() + timedelta(hours=1)}).id
    house.moved.advance(hours=2)
    incident = timer_incident(house, id)
    house.change("update job set state = 'waiting', attempts = 0 where instance_id = ? and kind = 'timer'", id)

    house.engine.jobs.retry(OWNER, incident.id)

    assert house.engine.jobs.incidents(OWNER) == ()
    require_agreement(house)


# ----------------------------------------------------------------------------------------------------------------------- reminders
DUE = diagram(process(start(), user("a", camunda_dueDate="= due", **FOR_ENGINEERS), end(), "s>a", "a>e"))


def test_a_reminder_that_another_process_told_meanwhile_is_left_alone(house: House) -> None:
    house.deploy(DUE)
    id = house.start(variables={"due": house.clock.now() + timedelta(days=2)}).id
    task = house.task(id)
    [(was,)] = house.rows("select remind_at from user_task")
    house.moved.advance(days=1)
    house.engine.jobs.run_due()
    seq = len(house.history(id))

    jobs = house.engine.jobs  # the slower one read the list before
    jobs._runtime.command(OWNER, id, lambda turn: jobs._remind_of(task.id, was, turn))

    assert len(house.history(id)) == seq


def test_a_reminder_that_cannot_be_told_keeps_no_other_from_being_told(house: House) -> None:
    house.deploy(DUE)
    bad, good = (house.start(variables={"due": house.clock.now() + timedelta(days=2)}).id for _ in range(2))
    spoil(house, bad)
    house.moved.advance(days=1)

    with pytest.raises(Exception, match="decompress"):
        house.engine.jobs.run_due()

    assert len(house.events(good, "UserTaskReminded")) == 1
    assert house.engine.jobs.run_due() == 0


# ---------------------------------------------------------------------------------------------------------------------------- mail
class Choosy:
    """A mail server that knows everybody but Bob."""

    def __init__(self) -> None:
        self.got: list[list[str]] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"smtp://127.0.0.1:{port}"
        self.controller = Controller(self, hostname="127.0.0.1", port=port)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address.startswith("bob"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.got.append(list(envelope.rcpt_tos))
        return "250 OK"


@pytest.mark.parametrize("effect", ["outside", "database"])
def test_a_mail_that_is_refused_for_one_reaches_the_others_once_and_the_history_says_who_missed_it(tmp_path: Path, effect: Any) -> None:
    server = Choosy()
    server.controller.start()
    house = House(tmp_path / "data", smtp=server.address)
    house.add_people()

    @house.handler("work", effect=effect)
    def work(job: Job) -> None:
        """Work."""
        job.outside.mail(job.outside.people(users=["ann", "bob", "owner"]), "subject", "body")

    house.change("update person set mail = '' where id = 'owner'")
    house.deploy(WORK)
    id = house.start().id
    for _ in range(3):
        house.engine.jobs.run_due()
        house.moved.advance(hours=1)
    server.controller.stop()

    assert server.got == [["ann@example.com"]]
    assert [e.recipients for e in house.events(id, "NotificationSent")] == [("ann",)]
    failed = {e.recipients: e.message for e in house.events(id, "NotificationFailed")}
    assert set(failed) == {("bob",), ("owner",)}
    assert "550 no such user" in failed["bob",]
    assert house.rows("select count(*) from job") == [(0,)]
    house.close()
