"""The table of a job's states and moves: each move happens, and no other, whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from engine.handler import Job
from engine.model import SYSTEM, JobState
from engine.store import jobs
from engine.store.database import Session
from engine.store.jobs import JobRow
from tests.bpmn.build import boundary, diagram, end, process, service, start, timer, user
from tests.service.house import OWNER, House
from tests.service.moves import SEEN, F, Move, R, W, seen, watch

WORK = diagram(process(start(), service("w", "work"), user("after"), end(), "s>w", "w>after", "after>e"))
LATE = diagram(
    process(start(), user("a"), boundary("late", "a", timer("timeDate", "= until")), user("chase"), end(), "s>a", "a>e", "late>chase", "chase>e")
)
ROW = JobRow(
    id=1, kind="service", instance_id=None, token=7, process="p", element="w", type="work", due_at=100, attempts=1, retries=3, backoff=0, fence=4,
    body=None,
)  # fmt: skip

#: ``{name: (statement, the moves it makes)}``. The job is leased as `a.1` under the fence 5 until 300 if it runs at all.
MINE: dict[str, tuple[Callable[[Session], Any], set[Move]]] = {
    "claim": (lambda tx: jobs.claim(tx, ["service"], now=200, lease_until=400, lease="a.2", limit=9), {(W, R)}),
    "claim_type": (lambda tx: jobs.claim_type(tx, "work", now=200, lease_until=400, lease="a.2", limit=9), {(W, R)}),
    "renew": (lambda tx: jobs.renew(tx, 1, 5, 900), set()),
    "finish": (lambda tx: jobs.finish(tx, 1, 5), {(R, None)}),
    "finish_all": (lambda tx: jobs.finish_all(tx, [1], "a.1"), {(R, None)}),
    "put_off": (lambda tx: jobs.put_off(tx, [1], "a.1", due_at=500), {(R, W)}),
    "retry_at": (lambda tx: jobs.retry_at(tx, 1, 5, due_at=500, error="e"), {(R, W)}),
    "give_back": (lambda tx: jobs.give_back(tx, 1, 5), {(R, W)}),
    "fail": (lambda tx: jobs.fail(tx, 1, 5, "e"), {(R, F)}),
    "set_start_timer": (lambda tx: jobs.set_start_timer(tx, 1, 5, due_at=500, body=b""), {(R, W)}),
    "reap": (lambda tx: jobs.reap(tx, 350, 9_000), {(R, W)}),
    "make_due": (lambda tx: jobs.make_due(tx, 1, 200), {(F, W)}),
    "hold": (lambda tx: jobs.hold(tx, 1, True), set()),
}
#: What a worker may not do whose lease was over and given to another.
OTHERS: dict[str, Callable[[Session], Any]] = {
    "renew": lambda tx: jobs.renew(tx, 1, 4, 900),
    "finish": lambda tx: jobs.finish(tx, 1, 4),
    "finish_all": lambda tx: jobs.finish_all(tx, [1], "b.1"),
    "put_off": lambda tx: jobs.put_off(tx, [1], "b.1", due_at=500),
    "retry_at": lambda tx: jobs.retry_at(tx, 1, 4, due_at=500, error="e"),
    "give_back": lambda tx: jobs.give_back(tx, 1, 4),
    "fail": lambda tx: jobs.fail(tx, 1, 4, "e"),
    "set_start_timer": lambda tx: jobs.set_start_timer(tx, 1, 4, due_at=500, body=b""),
    "reap": lambda tx: jobs.reap(tx, 250, 9_000),
}


def put(house: House, state: JobState) -> None:
    with house.engine._database.writing() as tx:
        tx.run("delete from job")
        jobs.insert(tx, [ROW], held=False)
        tx.run("update job set state = ?, fence = 5, worker = 'a.1', lease_until = ?", (state.value, 300 if state is R else None))
    watch(house)
    house.change("delete from job_move")


@pytest.mark.parametrize("name", MINE)
def test_a_statement_makes_its_move_and_no_other(house: House, name: str) -> None:
    statement, expected = MINE[name]
    made = set[Move]()
    for state in (W, R, F):
        put(house, state)
        with house.engine._database.writing() as tx:
            statement(tx)
        made |= seen(house)

    assert made == expected
    assert made <= SEEN


@pytest.mark.parametrize("name", OTHERS)
def test_a_lease_that_is_somebody_elses_allows_no_move(house: House, name: str) -> None:
    for state in (W, R, F):
        put(house, state)
        with house.engine._database.writing() as tx:
            OTHERS[name](tx)

        assert seen(house) == set()


def test_a_lease_that_a_clock_gave_that_had_run_ahead_is_over(house: House) -> None:
    put(house, R)
    house.change("update job set lease_until = 10000")
    with house.engine._database.writing() as tx:
        assert jobs.any_expired(tx, 250, 9_000)
        assert jobs.reap(tx, 250, 9_000) == 1

    assert seen(house) == {(R, W)}


def test_every_move_of_the_table_happens_in_the_life_of_jobs_and_no_other(house: House) -> None:
    @house.handler("work", retries=1, backoff=timedelta(minutes=1))
    def work(job: Job) -> None:
        """Work."""
        if job.values["do"] == "die":
            raise SystemExit
        if job.values["do"] == "cancel":
            house.engine.instances.cancel(OWNER, job.instance_id, "no bid")
        elif job.values["do"] == "fail":
            raise OSError("down")

    @house.handler("inside", retries=0, effect="none")
    def inside(job: Job) -> None:
        """Fail within the command."""
        raise OSError("down")

    house.deploy(
        WORK, diagram(process(start(), service("i", "inside"), end(), "s>i", "i>e", id="q")), LATE.replace(b'id="p"', b'id="r"'),
    )  # fmt: skip
    watch(house)

    house.start(variables={"do": "finish"})
    failing = house.start(variables={"do": "fail"})
    house.start(variables={"do": "cancel"})
    waiting = house.start(variables={"do": "finish"})
    house.engine.instances.cancel(OWNER, waiting.id, "no bid")
    house.engine.jobs.run_due()
    house.moved.advance(minutes=5)
    house.engine.jobs.run_due()  # its last attempt
    (incident,) = house.engine.jobs.incidents(OWNER)
    house.engine.jobs.retry(OWNER, incident.id)
    house.engine.jobs.run_due()
    house.moved.advance(minutes=5)
    house.engine.jobs.run_due()
    house.engine.instances.cancel(OWNER, failing.id, "no bid")  # while it has failed
    house.start("q")
    died = house.start(variables={"do": "die"})
    with pytest.raises(SystemExit):
        house.engine.jobs.run_due()
    house.moved.advance(minutes=10)
    with pytest.raises(SystemExit):
        house.engine.jobs.run_due()
    house.engine.instances.cancel(OWNER, died.id, "no bid")
    moved = house.start("r", variables={"until": house.clock.now()})
    house.engine.instances.set_variables(OWNER, moved.id, {"until": house.moved.now() + timedelta(days=1)}, "moved")
    house.moved.advance(days=2)
    house.engine.jobs.run_due()

    assert seen(house) == SEEN
    assert set(house.open_tasks(moved.id)) == {"chase"}
    assert house.engine.instances.work(SYSTEM, died.id) == ()
