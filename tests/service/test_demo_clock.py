"""Putting the clock of a demo forward: what becomes due runs, other houses refuse, and what a demo left is known by its clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine import SYSTEM, open_engine
from engine.assembly import restore
from engine.clock import DEMO_CLOCK, FURTHEST, DemoClock, MovableClock, SystemClock
from engine.errors import ClockOutOfReach, ClockPutForward, NotADemo, SettingsError
from engine.settings import Settings, read_settings
from tests.bpmn.build import boundary, diagram, end, process, start, timer, user
from tests.service.house import ANN, MONDAY, House

MONTH = timedelta(days=30)
#: Until a month is over somebody is reminded daily; then there is a last task.
DIAGRAM = diagram(process(
    start(), user("work"), boundary("month", "work", timer("timeDuration", "P30D")), user("ended"), end(), "s>work", "work>e", "month>ended",
    "ended>e", boundary("daily", "work", timer("timeCycle", "R/P1D"), cancelActivity="false"), end("told"), "daily>told",
))  # fmt: skip


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[House]:
    folder = tmp_path / "data"
    folder.mkdir()
    made = House(folder, DemoClock(folder / DEMO_CLOCK, MovableClock(MONDAY)), demo=True)
    yield made
    made.close()


def settings_of(folder: Path, **more: object) -> Settings:
    return read_settings({}, data=folder, synchronous="NORMAL", **more)


def test_a_timer_that_becomes_due_fires_at_once_and_missed_turns_are_one(demo: House, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.deploy(DIAGRAM)
    id = demo.start().id
    fired, look = threading.Event(), demo.engine.jobs.run_quick

    def looked(most: int) -> int:
        done = look(most)
        if "ended" in {t.element for t in demo.engine.tasks.of_instance(SYSTEM, id)}:
            fired.set()
        return done

    monkeypatch.setattr(demo.engine.jobs, "run_quick", looked)
    demo.engine.dispatch()
    assert demo.events(id, "TimerFired") == []

    assert demo.engine.put_clock_forward(ANN, MONDAY + MONTH) == MONDAY + MONTH

    assert fired.wait(60)
    assert {(e.element, e.due_at, e.skipped) for e in demo.events(id, "TimerFired")} == {
        ("month", MONDAY + MONTH, 0), ("daily", MONDAY + timedelta(days=1), 29),
    }  # fmt: skip


def test_who_put_the_clock_forward_is_logged(demo: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "psmflow.clock"):
        demo.engine.put_clock_forward(ANN, MONDAY + MONTH)

    (record,) = [r for r in caplog.records if r.message == "clock_put_forward"]
    assert record.facts == {"actor": "ann", "now": "2026-04-01T01:00:00+00:00", "ahead": "30 days, 0:00:00"}  # type: ignore[attr-defined]
    assert demo.engine.ahead == MONTH


@pytest.mark.parametrize("to", [timedelta(), timedelta(days=-1), FURTHEST + timedelta(days=1)], ids=str)
def test_what_is_not_ahead_or_too_far_is_refused_in_the_time_of_the_house(demo: House, to: timedelta) -> None:
    with pytest.raises(ClockOutOfReach) as refused:
        demo.engine.put_clock_forward(ANN, MONDAY + to)

    assert "2026-03-02 09:00 之后、2028-03-01 09:00 之前" in refused.value.text("zh")
    assert "after 2026-03-02 09:00" in refused.value.text("en")
    assert demo.engine.clock.now() == MONDAY


def test_a_house_in_which_people_work_has_no_such_clock(house: House, tmp_path: Path) -> None:
    for clock in (house.clock, DemoClock(tmp_path / DEMO_CLOCK)):
        with open_engine(house.settings, clock) as engine:
            assert engine.ahead is None
            with pytest.raises(NotADemo) as refused:
                engine.put_clock_forward(SYSTEM, engine.clock.now() + MONTH)
            assert "--demo" in refused.value.text("zh")
            assert "--demo" in refused.value.text("en")
    with open_engine(house.settings) as engine:
        assert isinstance(engine.clock, SystemClock)
    assert list(tmp_path.rglob(DEMO_CLOCK)) == []


def test_a_demo_goes_on_with_its_clock_and_whoever_looks_at_it_uses_it_too(tmp_path: Path) -> None:
    with open_engine(settings_of(tmp_path, demo=True)) as engine:
        engine.put_clock_forward(SYSTEM, engine.clock.now() + MONTH)

    for demo in (True, False):
        with open_engine(settings_of(tmp_path, demo=demo)) as engine:
            assert isinstance(engine.clock, DemoClock)
            assert engine.clock.ahead == MONTH
            assert engine.ahead == (MONTH if demo else None)


def test_nobody_works_where_the_clock_was_put_forward(tmp_path: Path) -> None:
    with open_engine(settings_of(tmp_path, demo=True)) as engine:
        engine.put_clock_forward(SYSTEM, engine.clock.now() + MONTH)

    with pytest.raises(ClockPutForward) as refused:
        open_engine(settings_of(tmp_path), dispatching=True)
    assert str(tmp_path) in refused.value.text("zh")

    open_engine(settings_of(tmp_path, demo=True), dispatching=True).close()


def test_a_damaged_file_keeps_the_demo_from_starting_and_is_named(tmp_path: Path) -> None:
    (tmp_path / DEMO_CLOCK).write_text("tomorrow")

    with pytest.raises(SettingsError, match=DEMO_CLOCK):
        open_engine(settings_of(tmp_path, demo=True))


def test_a_backup_of_a_demo_brings_its_clock_and_another_does_not_keep_it(tmp_path: Path) -> None:
    with open_engine(settings_of(tmp_path / "demo", demo=True)) as engine:
        engine.put_clock_forward(SYSTEM, engine.clock.now() + MONTH)
        of_demo = engine.audit.backup(tmp_path / "demo.zip").path
    with open_engine(settings_of(tmp_path / "real")) as engine:
        of_real = engine.audit.backup(tmp_path / "real.zip").path

    restored = settings_of(tmp_path / "restored")
    assert restore(restored, of_demo).breaks == ()
    assert (restored.data / DEMO_CLOCK).read_text() == "2592000\n"
    again = restore(restored, of_real, force=True)

    assert any((Path(place) / DEMO_CLOCK).exists() for place in again.aside)
    assert not (restored.data / DEMO_CLOCK).exists()
