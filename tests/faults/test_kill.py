"""kill -9 at any moment: what was acknowledged is there, once, and everything agrees."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.bpmn import open_elements
from engine.history import fold
from engine.model import SYSTEM, InstanceId
from engine.store import instances
from tests.bpmn.build import boundary, diagram, end, parallel, process, service, start, timer, user
from tests.faults.work import REGISTRY
from tests.service.house import House

#: A task with a timer beside machine work, then a task; so every kind of row is written all the time.
DIAGRAM = diagram(
    process(
        start(), parallel("f"), user("a"), boundary("late", "a", timer("timeDuration", "PT1H")), service("w"), parallel("j"), user("b"), end(),
        "s>f", "f>a", "f>w", "a>j", "late>j", "w>j", "j>b", "b>e",
    )
)  # fmt: skip
KILLS = 10


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_when_the_process_is_killed(tmp_path: Path) -> None:
    house = House(tmp_path / "data", handlers=REGISTRY, synchronous="FULL")
    house.deploy(DIAGRAM)
    house.close()
    chance = random.Random(7)
    started: dict[str, int] = {}
    completed: list[tuple[int, int]] = []

    for _ in range(KILLS):
        victim = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.work", str(tmp_path / "data"), "3"],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        )
        assert victim.stdout is not None
        lines = [victim.stdout.readline() for _ in range(chance.randint(1, 60))]
        victim.send_signal(signal.SIGKILL)
        rest = victim.stdout.read()
        victim.stdout.close()
        assert victim.wait() == -signal.SIGKILL
        for line in b"".join([*lines, rest]).decode().splitlines():
            what, one, other = line.split()
            if what == "started":
                started[one] = int(other)
            else:
                completed.append((int(one), int(other)))

    house = House(tmp_path / "data", handlers=REGISTRY)
    assert len(started) > KILLS
    assert house.engine.audit.verify() == ()
    assert house.rows("pragma integrity_check") == [("ok",)]
    _every_acknowledged_command_is_there_once(house, started, completed)
    _every_row_agrees_with_state_and_history(house)
    _what_was_leased_is_finished_by_others(house)
    house.close()


def _every_acknowledged_command_is_there_once(house: House, started: dict[str, int], completed: list[tuple[int, int]]) -> None:
    keys = [v["key"] for (id,) in house.rows("select id from instance") if (v := house.view(id).variables[None])]
    assert len(keys) == len(set(keys))
    for key, id in started.items():
        assert house.view(InstanceId(id)).variables[None]["key"] == key
        assert house.start("p", {"key": key}, idempotency_key=key).id == id
    done = dict(house.rows("select id, state from user_task"))
    assert all(done[task] == "completed" for task, _ in completed)
    for id in {id for _, id in completed}:
        ends = [e.token for e in house.events(InstanceId(id), "UserTaskCompleted")]
        assert len(ends) == len(set(ends))


def _every_row_agrees_with_state_and_history(house: House) -> None:
    with house.engine._database.reading() as session:
        for (id,) in house.rows("select id from instance"):
            row = instances.load(session, id)
            assert row is not None
            definition = house.engine._runtime.definitions.compiled(session, row.bundle_id).definition
            live = open_elements(definition, row.state) if row.state is not None else ()
            view = fold(house.history(id))
            tasks = {t for (t,) in house.rows("select token from user_task where instance_id = ? and ended_at is null", id)}
            timers = {t for (t,) in house.rows("select token from job where instance_id = ? and kind = 'timer'", id)}
            assert tasks == set(view.tasks) == {e.token for e in live if e.kind == "userTask" and e.state == "ready"}
            assert timers == set(view.timers)
            assert view.status.value == row.status
            assert view.seq == row.seq


def _what_was_leased_is_finished_by_others(house: House) -> None:
    house.moved.move_to(
        max(house.moved.now(), *(r.at for (id,) in house.rows("select id from instance") for r in house.history(id)[-1:]))
    )
    house.moved.advance(minutes=30)
    while house.engine.jobs.run_due():
        pass
    assert house.rows("select count(*) from job where kind = 'service'") == [(0,)]
    assert house.engine.jobs.incidents(SYSTEM) == ()
    assert house.engine.audit.verify() == ()
