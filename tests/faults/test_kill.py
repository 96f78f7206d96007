"""kill -9 at any moment: what was acknowledged is there, once, and everything agrees."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.model import SYSTEM, InstanceId
from tests.bpmn.build import boundary, catch, diagram, end, event, exclusive, parallel, process, service, start, timer, user
from tests.databases import on_each as on_each
from tests.faults.work import REGISTRY
from tests.service.house import House

#: A task with a timer beside machine work and a message, then a task; so every kind of row is written all the time.
DIAGRAM = diagram(
    process(
        start(), parallel("f"), user("a"), boundary("late", "a", timer("timeDuration", "PT1H")), service("w"), catch("heard", event("message", "mA")),
        exclusive("or"), parallel("j"), user("b"), end(), "s>f", "f>a", "f>w", "f>heard", "a>or", "late>or", "or>j", "heard>j", "w>j", "j>b", "b>e",
    )
)  # fmt: skip
ROUNDS = 4
THREADS = 4


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_when_the_process_is_killed(tmp_path: Path, on_each: str) -> None:
    house = House(tmp_path / "data", handlers=REGISTRY, synchronous="FULL")
    house.deploy(DIAGRAM)
    house.close()
    chance = random.Random(7)
    started: dict[str, int] = {}
    completed: list[tuple[int, int]] = []
    correlated: list[int] = []

    for _ in range(ROUNDS):
        # two at once, as a server and a worker on one database
        victims = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.faults.work", str(tmp_path / "data"), str(THREADS)],
                cwd=Path(__file__).parents[2],
                env={**os.environ, "PSMFLOW_DATABASE_URL": house.settings.database_url},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,  # what a buffer held, `communicate` would not see
            )
            for _ in range(2)
        ]
        lines = []
        for victim in victims:
            assert victim.stdout is not None
            lines += [victim.stdout.readline() for _ in range(chance.randint(1, 60))]
            victim.send_signal(signal.SIGKILL)
            rest, complaints = victim.communicate()
            lines.append(rest)
            assert complaints == b"", complaints.decode()
            assert victim.returncode == -signal.SIGKILL
        for line in b"".join(lines).decode().splitlines():
            what, one, other = line.split()
            if what == "started":
                started[one] = int(other)
            elif what == "correlated":
                correlated.append(int(one))
            else:
                completed.append((int(one), int(other)))

    house = House(tmp_path / "data", handlers=REGISTRY)
    assert len(started) > ROUNDS
    assert len(correlated) > ROUNDS
    assert house.engine.audit.verify() == ()
    assert house.engine.audit.cross_check() == ()
    if on_each == "sqlite":
        assert house.rows("pragma integrity_check") == [("ok",)]
    _every_acknowledged_command_is_there_once(house, started, completed)
    for id in correlated:
        assert len(house.events(InstanceId(id), "MessageCorrelated")) == 1
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
    assert house.engine.audit.cross_check() == ()
