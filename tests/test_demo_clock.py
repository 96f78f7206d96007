"""The clock of a demo: the machine's, put forward by what a file says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clock import DEMO_CLOCK, FURTHEST, DemoClock, MovableClock, OutOfReach

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / DEMO_CLOCK


def test_it_is_the_machine_s_clock_until_it_is_put_forward(file: Path) -> None:
    machine = MovableClock(MONDAY)
    clock = DemoClock(file, machine)
    assert (clock.now(), clock.ahead, file.exists()) == (MONDAY, timedelta(), False)

    assert clock.put_forward(MONDAY + 30 * HOUR) == MONDAY + 30 * HOUR
    machine.advance(minutes=5)

    assert clock.now() == MONDAY + 30 * HOUR + timedelta(minutes=5)
    assert clock.ahead == 30 * HOUR


def test_it_goes_on_after_a_new_start(file: Path) -> None:
    DemoClock(file, MovableClock(MONDAY)).put_forward(MONDAY + HOUR)

    assert DemoClock(file, MovableClock(MONDAY + HOUR)).now() == MONDAY + 2 * HOUR
    assert [path.name for path in file.parent.iterdir()] == [DEMO_CLOCK]


def test_another_process_sees_it_put_forward_and_never_back(file: Path) -> None:
    ours, theirs = DemoClock(file, MovableClock(MONDAY)), DemoClock(file, MovableClock(MONDAY))
    theirs.put_forward(MONDAY + 2 * HOUR)

    ours._look_at = 0  # a second later
    assert ours.now() == MONDAY + 2 * HOUR
    file.unlink()
    ours._look_at = 0
    assert ours.now() == MONDAY + 2 * HOUR


def test_who_has_not_looked_yet_does_not_put_back_what_another_put_forward(file: Path) -> None:
    ours, theirs = DemoClock(file, MovableClock(MONDAY)), DemoClock(file, MovableClock(MONDAY))
    theirs.put_forward(MONDAY + 2 * HOUR)

    with pytest.raises(OutOfReach):
        ours.put_forward(MONDAY + HOUR)


@pytest.mark.parametrize("to", [timedelta(), -HOUR, -FURTHEST, FURTHEST + timedelta(seconds=1), 3 * FURTHEST], ids=str)
def test_it_is_neither_put_back_nor_too_far(file: Path, to: timedelta) -> None:
    clock = DemoClock(file, MovableClock(MONDAY))

    with pytest.raises(OutOfReach) as refused:
        clock.put_forward(MONDAY + to)

    assert (refused.value.earliest, refused.value.latest) == (MONDAY, MONDAY + FURTHEST)
    assert clock.now() == MONDAY
    assert not file.exists()
    assert clock.put_forward(MONDAY + FURTHEST) == MONDAY + FURTHEST


def test_an_instant_without_a_zone_is_no_instant(file: Path) -> None:
    with pytest.raises(ValueError, match="time zone"):
        DemoClock(file).put_forward(MONDAY.replace(tzinfo=None))


@given(st.lists(st.timedeltas(timedelta(-3), timedelta(400)), max_size=8))
def test_it_never_goes_back_and_never_falls_short(tmp_path_factory: pytest.TempPathFactory, steps: list[timedelta]) -> None:
    machine = MovableClock(MONDAY)
    clock = DemoClock(tmp_path_factory.mktemp("demo") / DEMO_CLOCK, machine)
    for step in steps:
        before = clock.now()
        try:
            assert timedelta() <= clock.put_forward(before + step) - (before + step) < timedelta(seconds=1)
        except OutOfReach:
            assert clock.now() == before
        assert clock.now() >= before
        assert timedelta() <= clock.ahead <= FURTHEST


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "9" * 9, "1" * 5000, "١٢"])
def test_a_file_that_holds_no_such_number_is_told(file: Path, text: str) -> None:
    file.write_text(text, "utf-8")

    with pytest.raises(ValueError):  # noqa: PT011  a decoding error is one, too
        DemoClock(file)


def test_a_file_that_is_damaged_while_it_runs_changes_nothing(file: Path) -> None:
    clock = DemoClock(file, MovableClock(MONDAY))
    clock.put_forward(MONDAY + HOUR)
    file.write_text("damaged")
    clock._look_at = 0

    assert clock.now() == MONDAY + HOUR


def test_a_disk_that_refuses_leaves_the_clock_as_it_is(tmp_path: Path) -> None:
    clock = DemoClock(tmp_path / "gone" / DEMO_CLOCK, MovableClock(MONDAY))

    with pytest.raises(OSError, match="gone"):
        clock.put_forward(MONDAY + HOUR)

    assert clock.now() == MONDAY
