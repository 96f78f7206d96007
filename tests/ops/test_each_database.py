"""What those ask who watch and keep the house is answered alike by SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.clock import MovableClock
from engine.service.doctor import Code
from engine.service.upkeep import Upkeep
from tests.bpmn.build import boundary, catch, diagram, end, event, process, start, timer, user
from tests.databases import on_each as on_each
from tests.ops.test_watching import numbers, value
from tests.service.house import FOR_ENGINEERS, MONDAY, House

WAITS = diagram(process(
    start(), user("a", **FOR_ENGINEERS), boundary("late", "a", timer("timeDuration", "P9D")), catch("m", event("message", "mA")), end(),
    end("e2"), "s>a", "a>m", "m>e", "late>e2",
))  # fmt: skip
#: What a scratch server of the tests and an unencrypted scratch folder are found to be.
ASIDE = {Code.SYNCHRONOUS, Code.BACKUP_OLD, Code.DISPATCHER}


@pytest.fixture
def standing(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "data", MovableClock(MONDAY), smtp="smtp://mail.example.com", base_url="https://psm.example.com")
    house.folder.chmod(0o700)
    house.add_people()
    house.deploy(WAITS)
    house.start(idempotency_key="k")
    house.complete(house.start().id, "a")
    yield house
    house.close()


def test_the_numbers_are_the_same(standing: House) -> None:
    standing.moved.advance(days=9, minutes=1)

    found = numbers(standing.engine.audit.metrics())

    assert value(found, "psmflow_database_up") == 1
    assert value(found, "psmflow_lag_seconds", kind="timer") == 60
    assert value(found, "psmflow_tasks_open", state="open") == 1
    assert value(found, "psmflow_instances_open", status="active") == 2


def test_health_knows_schema_and_dispatcher(standing: House) -> None:
    upkeep = Upkeep(standing.engine._runtime)
    upkeep.look()
    standing.moved.advance(seconds=31)
    upkeep.look()

    found = standing.engine.audit.health()

    assert (found.ok, found.schema, found.dispatcher_seen_at) == (True, True, standing.clock.now())


def test_old_keys_are_forgotten(standing: House) -> None:
    standing.moved.advance(days=40)

    assert Upkeep(standing.engine._runtime).daily() == 1
    assert standing.rows("select count(*) from idempotency_key") == [(0,)]


def test_the_doctor_finds_and_mends_the_same(standing: House) -> None:
    assert {a.code for a in standing.engine.audit.examine()} <= ASIDE

    standing.change("delete from subscription")
    standing.change("delete from user_task_candidate")
    standing.change("delete from job where kind = 'timer'")
    standing.change("delete from user_task where state = 'open'")
    assert Code.TABLES in {a.code for a in standing.engine.audit.examine()}
    mended = [a for a in standing.engine.audit.examine(fix=True) if a.code is Code.TABLES]

    assert mended
    assert all(a.fixed for a in mended)
    assert {a.code for a in standing.engine.audit.examine()} <= ASIDE
    assert standing.engine.audit.verify() == standing.engine.audit.cross_check() == ()
    standing.moved.advance(days=10)
    standing.engine.jobs.run_due()
    assert standing.rows("select count(*) from instance where status = 'completed'") == [(1,)]


def test_the_doctor_knows_when_the_last_backup_was(standing: House, tmp_path: Path) -> None:
    def old() -> list[str]:
        return [a.en for a in standing.engine.audit.examine() if a.code is Code.BACKUP_OLD]

    assert old() == ["there was never a backup"]

    assert standing.engine.audit.backup(tmp_path / "one.zip").manifest.instance_count == 2
    assert old() == []

    standing.moved.advance(days=8)
    assert old() == ["the last backup is of 2026-03-02"]


def test_work_that_waits_is_named(standing: House) -> None:
    standing.moved.advance(days=9, hours=1)

    found = {a.code: a for a in standing.engine.audit.examine()}

    assert "60" in found[Code.WORK_LATE].en
