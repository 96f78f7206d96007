"""Claiming, finishing and giving back many jobs with one statement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.clock import MovableClock
from engine.settings import read_settings
from engine.store import jobs
from engine.store.database import Database
from engine.store.jobs import JobRow
from tests import databases
from tests.service.house import MONDAY

COUNT = 1203  # more than two statements name


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = databases.address(tmp_path, {})
    made = Database(read_settings({}, data=tmp_path, **({"database_url": url} if url else {})), MovableClock(MONDAY))
    with made.writing() as tx:
        jobs.insert(tx, [a_job(n) for n in range(1, COUNT + 1)], held=False)
    yield made
    made.close()


def a_job(n: int) -> JobRow:
    return JobRow(
        id=n, kind="timer", instance_id=None, token=None, process="p", element="t", type="", due_at=n, attempts=0, retries=0, backoff=0,
        fence=0, body=None,
    )  # fmt: skip


def claimed(database: Database, lease: str, limit: int, *, until: int = 10_000, now: int = 5_000) -> list[int]:
    with database.writing() as tx:
        return [j.id for j in jobs.claim(tx, ["timer"], now=now, lease_until=until, lease=lease, limit=limit)]


def states(database: Database) -> dict[str, int]:
    with database.reading() as session:
        return dict(session.rows("select state, count(*) from job group by state"))


def test_the_oldest_are_claimed_first_and_nobody_gets_one_twice(database: Database) -> None:
    assert claimed(database, "a.1", 700) == list(range(1, 701))
    assert claimed(database, "b.1", 700) == list(range(701, COUNT + 1))
    assert claimed(database, "a.2", 700) == []


def test_all_of_a_claim_are_finished_with_one_call(database: Database) -> None:
    ids = claimed(database, "a.1", COUNT - 1)
    with database.writing() as tx:
        jobs.finish_all(tx, ids, "a.1")
        jobs.finish_all(tx, [], "a.1")

    assert states(database) == {"waiting": 1}


def test_what_somebody_else_claimed_meanwhile_is_neither_finished_nor_put_off(database: Database) -> None:
    ids = claimed(database, "a.1", 600, until=1)
    with database.writing() as tx:
        jobs.reap(tx, 6_000, 20_000)
    others = claimed(database, "b.1", 200)

    with database.writing() as tx:
        jobs.put_off(tx, ids[:300], "a.1", due_at=9_000)
        jobs.finish_all(tx, ids, "a.1")
    assert states(database) == {"waiting": COUNT - 200, "running": 200}
    with database.reading() as session:
        assert session.value("select max(due_at) from job") == COUNT

    with database.writing() as tx:
        jobs.finish_all(tx, others, "b.1")
    assert states(database) == {"waiting": COUNT - 200}


def test_what_is_put_off_waits_until_then_and_no_less_than_before(database: Database) -> None:
    ids = claimed(database, "a.1", 2)
    with database.writing() as tx:
        tx.run("update job set due_at = 8000 where id = 2")
        jobs.put_off(tx, ids, "a.1", due_at=7_000)
        assert tx.rows("select due_at, state, lease_until from job where id < 3 order by id") == [
            (7000, "waiting", None),
            (8000, "waiting", None),
        ]
