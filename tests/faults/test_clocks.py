"""Clocks that jump by hours, and clocks of two servers that differ: no timer is lost or fires twice, ids stay unique, deadlines hold."""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from engine.clock import MovableClock
from engine.errors import TaskNotOpen, TaskTooLate
from engine.handler import Job
from engine.model import SYSTEM, InstanceId
from tests.bpmn.build import boundary, catch, diagram, end, parallel, process, script, service, start, timer, user
from tests.databases import on_each as on_each
from tests.service.house import MONDAY, House
from tests.service.laws import require_agreement

#: Two timers that always fire, one that fires unless the task is completed before, and a handler.
RUN = diagram(
    process(
        start(), parallel("f"), catch("short", timer("timeDuration", "PT20M")), catch("long", timer("timeDuration", "PT5H")), service("w", "work"),
        user("a"), boundary("late", "a", timer("timeDuration", "PT2H")), script("t"), end(), "s>f", "f>short", "f>long", "f>w", "f>a", "short>e", "long>e",
        "w>e", "a>e", "late>t", "t>e",
    )
)  # fmt: skip
DEADLINE = diagram(
    process(start(), user("a"), boundary("late", "a", timer("timeDate", "= until")), user("chase"), end(), "s>a", "a>e", "late>chase", "chase>e")
)


def test_with_clocks_that_jump_and_differ_each_timer_fires_once_and_no_id_comes_twice(tmp_path: Path) -> None:
    seed = 7 if os.environ.get("CI") else random.randrange(1 << 30)
    chance = random.Random(seed)
    one = House(tmp_path / "data", MovableClock(MONDAY))
    other_clock = MovableClock(MONDAY + timedelta(minutes=7))

    @one.handler("work", retries=50)
    def work(job: Job) -> dict[str, str]:
        """Work during which the clocks may jump, and another server look for what to do."""
        if chance.random() < 0.4:
            jump()
        if chance.random() < 0.4:
            chance.choice(both).engine.jobs.run_quick()
        return {"worked": job.key}

    other = one.beside(other_clock)
    both = (one, other)

    def jump() -> None:
        by = timedelta(hours=chance.choice((-6, -1, -0.2, 0.1, 0.5, 1, 3)))
        one.moved.move_to(one.moved.now() + by)
        other_clock.move_to(one.moved.now() + timedelta(minutes=chance.uniform(-8, 8)))

    one.deploy(RUN)
    started: list[InstanceId] = []
    done: set[InstanceId] = set()
    for _ in range(120):
        house = chance.choice(both)
        what = chance.random()
        if what < 0.15:
            started.append(house.start().id)
        elif what < 0.35 and started:
            id = chance.choice(started)
            with suppress(TaskNotOpen):
                for task in house.engine.tasks.of_instance(SYSTEM, id):
                    if task.ended_at is None:
                        house.engine.tasks.complete(SYSTEM, task.id, {})
                        done.add(id)
        elif what < 0.7:
            jump()
        else:
            house.engine.jobs.run_due()
    latest = max(r.at for id in started for r in one.history(id))
    for _ in range(3):
        latest += timedelta(hours=12)
        for house in both:
            house.moved.move_to(latest)
            while house.engine.jobs.run_due():
                pass

    for id in started:
        fired = Counter(e.element for e in one.events(id, "TimerFired"))
        assert fired == {"short": 1, "long": 1, **({} if id in done else {"late": 1})}, (seed, id)
        assert len(one.events(id, "JobCompleted")) == 1, (seed, id)
        assert one.status(id) == "completed", (seed, id)
    assert one.engine.jobs.incidents(SYSTEM) == ()
    ids = [id for table in ("instance", "user_task", "deployment") for (id,) in one.rows(f"select id from {table}")]
    assert len(ids) == len(set(ids))
    require_agreement(one)
    other.close()
    one.close()


def test_a_deadline_is_kept_by_the_clock_of_the_server_that_is_asked(tmp_path: Path) -> None:
    behind = House(tmp_path / "data")
    ahead = behind.beside(MovableClock(MONDAY + timedelta(minutes=10)))
    behind.deploy(DEADLINE)
    until = {"until": MONDAY + timedelta(minutes=5)}
    in_time, late = behind.start(variables=until).id, behind.start(variables=until).id

    behind.complete(in_time, "a")
    with pytest.raises(TaskTooLate):
        ahead.complete(late, "a")
    with pytest.raises(TaskNotOpen):
        behind.engine.tasks.complete(SYSTEM, next(t.id for t in behind.engine.tasks.of_instance(SYSTEM, late) if t.element == "a"), {})

    assert behind.status(in_time) == "completed"
    assert set(behind.open_tasks(late)) == {"chase"}
    require_agreement(behind)
    ahead.close()
    behind.close()


def test_a_timer_that_has_fired_does_not_fire_again_when_the_clock_goes_back(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    house.deploy(DEADLINE)
    id = house.start(variables={"until": MONDAY + timedelta(hours=1)}).id
    house.moved.advance(hours=2)
    house.engine.jobs.run_due()
    house.moved.advance(hours=-6)
    house.engine.jobs.run_due()
    house.moved.advance(hours=8)
    house.engine.jobs.run_due()

    assert len(house.events(id, "TimerFired")) == 1
    house.complete(id, "chase")
    assert house.status(id) == "completed"
    require_agreement(house)
    house.close()


def test_a_lease_taken_by_a_clock_that_ran_hours_ahead_keeps_nobody_waiting_for_hours(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    deaths: list[str] = []

    @house.handler("work")
    def work(job: Job) -> None:
        """Die at first, with the lease of a clock that runs ahead."""
        deaths.append(job.key)
        if len(deaths) == 1:
            raise SystemExit

    house.deploy(diagram(process(start(), service("w", "work"), end(), "s>w", "w>e")))
    house.moved.advance(hours=10)
    id = house.start().id
    with pytest.raises(SystemExit):
        house.engine.jobs.run_due()
    house.moved.advance(hours=-10)  # somebody has set it right
    house.change("update job set due_at = 0")
    house.engine.jobs.run_due()

    assert deaths == [deaths[0]] * 2
    assert house.status(id) == "completed"
    require_agreement(house)
    house.close()
