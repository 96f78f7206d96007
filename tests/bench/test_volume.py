"""Copies made in SQL are instances like any other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import volume, workloads
from bench.psmflow import ANNA, Psmflow, registry
from engine import SYSTEM, Actor, open_engine
from engine.access import GROUPS
from engine.store.database import micros


def test_a_filled_inbox_offers_tasks_to_every_group(tmp_path: Path) -> None:
    arm = Psmflow(tmp_path, synchronous="NORMAL")

    volume.fill_inbox(arm, 100)

    everybody = Actor(id="nobody_special", groups=frozenset(GROUPS))
    counts = arm.engine.tasks.counts(everybody)
    assert counts["mine"] == 0
    assert 850 < counts["claimable"] < 950  # a tenth of the 1,000 is claimed; ten are the original's
    assert 0 < counts["overdue"] < counts["claimable"] / 2
    for group in GROUPS:
        assert arm.engine.tasks.inbox(Actor(id="x", groups=frozenset({group}))).items, group
    arm.close()


def test_a_copied_instance_goes_on_like_its_original(tmp_path: Path) -> None:
    arm = Psmflow(tmp_path, synchronous="NORMAL")
    original = arm.start("w1", workloads.START)
    volume.copy_instances(arm, original, 3, {})
    copy = original + 2 * volume._STEP

    for turn in (1, 2):
        ((_, task),) = arm.open_tasks(copy)
        arm.engine.tasks.complete(SYSTEM, task, workloads.answer(turn))

    assert arm.is_finished(copy)
    assert not arm.is_finished(original)
    assert arm.engine.instances.get(ANNA, original).title == arm.engine.instances.get(SYSTEM, copy).title
    arm.close()


def test_copied_timers_fire_each_in_its_own_instance(tmp_path: Path) -> None:
    settings = volume._with_timers(tmp_path, 7, 1)

    with open_engine(settings, volume.Ahead(timedelta(days=2)), registry()) as engine:
        while engine.jobs.run_quick():
            pass

    volume._all_fired(settings, 7)


def test_timers_of_one_instance_are_all_due_at_once(tmp_path: Path) -> None:
    settings = volume._with_timers(tmp_path, 1, 30)

    with open_engine(settings) as engine, engine._database.reading() as session:
        now = micros(datetime.now(UTC))
        (due,) = session.rows("select count(*), max(due_at) - min(due_at) from job where kind = 'timer' and due_at <= ?", (now,))

    assert due[0] == 30
    assert 0 < due[1] < 1_000_000
