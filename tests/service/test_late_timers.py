"""Nobody was there when timers were due, or the clock was set: each fires once, with what it missed, and goes on in its rhythm."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.events import TimerFired
from engine.model import SYSTEM, InstanceId
from tests.bpmn.build import boundary, catch, diagram, end, event_sub, process, script, start, timer, user
from tests.service.house import MONDAY, OWNER, House
from tests.service.laws import require_agreement

DAY = timedelta(days=1)
EVERY = timer("timeCycle", "R/P1D")
AFTER = timer("timeDuration", "P1D")

#: ``{where: (what starts by itself, parts of the process)}``: `x` fires, `t` follows.
PLACES: dict[str, tuple[str, ...]] = {
    "boundary": (
        start(), user("a"), boundary("x", "a", EVERY, cancelActivity="false"), script("t"), end(), "s>a", "a>e", "x>t", "t>e",
    ),
    "event sub-process": (
        start(), user("a"), end(), "s>a", "a>e",
        event_sub("h", start("x", EVERY, isInterrupting="false"), script("t"), end("f"), "x>t", "t>f"),
    ),
}  # fmt: skip
ONCE: dict[str, tuple[str, ...]] = {
    "boundary": (start(), user("a"), boundary("x", "a", AFTER), script("t"), end(), "s>a", "a>e", "x>t", "t>e"),
    "intermediate": (start(), catch("x", AFTER), script("t"), end(), "s>x", "x>t", "t>e"),
    "event sub-process": (
        start(), user("a"), end(), "s>a", "a>e", event_sub("h", start("x", AFTER), script("t"), end("f"), "x>t", "t>f"),
    ),
}  # fmt: skip


def fired(house: House, id: InstanceId) -> list[tuple[datetime, bool, int]]:
    found: list[TimerFired] = house.events(id, "TimerFired")
    assert {f.element for f in found} <= {"x"}
    return [(f.due_at, f.late, f.skipped) for f in found]


def run(house: House) -> None:
    while house.engine.jobs.run_due():
        pass


@pytest.mark.parametrize("place", PLACES)
def test_missed_turns_of_a_cycle_are_one_that_says_how_many_and_the_rhythm_stays(house: House, place: str) -> None:
    house.deploy(diagram(process(*PLACES[place])))
    id = house.start().id
    house.moved.advance(days=1)
    run(house)
    assert fired(house, id) == [(MONDAY + DAY, False, 0)]

    house.moved.advance(days=4, hours=3)
    run(house)

    assert fired(house, id)[1:] == [(MONDAY + 2 * DAY, True, 3)]
    assert [t.due_at for t in house.engine.instances.timers(SYSTEM, id)] == [MONDAY + 6 * DAY]
    house.moved.move_to(MONDAY + 6 * DAY)
    run(house)
    assert fired(house, id)[2:] == [(MONDAY + 6 * DAY, False, 0)]
    require_agreement(house)


@pytest.mark.parametrize("place", ONCE)
def test_a_timer_that_fires_late_says_so_and_one_that_is_a_minute_late_does_not(house: House, place: str) -> None:
    house.deploy(diagram(process(*ONCE[place])))
    late = house.start().id
    house.moved.advance(days=3)
    run(house)
    soon = house.start().id
    house.moved.advance(days=1, minutes=1)
    run(house)

    assert fired(house, late) == [(MONDAY + DAY, True, 0)]
    assert fired(house, soon) == [(MONDAY + 4 * DAY, False, 0)]
    assert [house.status(id) for id in (late, soon)] == ["completed"] * 2
    require_agreement(house)


def test_a_start_timer_that_missed_turns_starts_one_instance_that_says_how_many(house: House) -> None:
    house.deploy(diagram(process(start("x", EVERY), user("a"), end(), "x>a", "a>e")))

    house.moved.advance(days=5, hours=3)
    run(house)

    [[id]] = house.rows("select id from instance")
    assert fired(house, id) == [(MONDAY + DAY, True, 4)]
    [waiting] = house.engine.deployments.start_timers(SYSTEM)
    assert waiting.due_at == MONDAY + 6 * DAY


def test_a_cycle_with_a_last_turn_counts_those_that_it_missed(house: House) -> None:
    ticking = boundary("x", "a", timer("timeCycle", "R4/P1D"), cancelActivity="false")
    house.deploy(diagram(process(start(), user("a"), ticking, script("t"), end(), "s>a", "a>e", "x>t", "t>e")))
    id = house.start().id
    house.moved.advance(days=3)
    run(house)
    house.moved.advance(days=9)
    run(house)

    assert fired(house, id) == [(MONDAY + DAY, True, 2), (MONDAY + 4 * DAY, True, 0)]
    assert house.engine.instances.timers(SYSTEM, id) == ()


# --------------------------------------------------------------------------------------------------------------------- clocks that jump
@pytest.mark.parametrize("place", PLACES)
def test_a_clock_that_jumps_ahead_and_back_fires_no_turn_twice(house: House, place: str) -> None:
    house.deploy(diagram(process(*PLACES[place])))
    id = house.start().id

    house.moved.advance(days=3, hours=1)  # somebody set it wrongly
    run(house)
    house.moved.advance(days=-3)
    run(house)
    for _ in range(2):
        house.moved.advance(days=1)
        run(house)
    assert fired(house, id) == [(MONDAY + DAY, True, 2)]
    house.moved.advance(days=2)
    run(house)

    assert fired(house, id)[1:] == [(MONDAY + 4 * DAY, True, 0)]
    house.complete(id)
    assert house.status(id) == "completed"
    require_agreement(house)


def test_a_clock_that_goes_back_lets_no_timer_fire_early_and_loses_none(house: House) -> None:
    house.deploy(diagram(process(*ONCE["intermediate"])))
    id = house.start().id

    house.moved.advance(hours=23)
    house.moved.advance(days=-10)
    run(house)
    assert fired(house, id) == []
    house.moved.move_to(MONDAY + DAY)
    run(house)

    assert fired(house, id) == [(MONDAY + DAY, False, 0)]
    require_agreement(house)


def test_what_a_worker_had_leased_whose_clock_ran_ahead_when_it_died_is_offered_again_soon(house: House) -> None:
    attempts: list[int] = []

    @house.handler("work", timeout=timedelta(minutes=5))
    def work(job: Any) -> None:
        """Work."""
        attempts.append(job.attempt)
        if job.attempt == 1:
            raise SystemExit

    house.deploy(diagram(process(start(), '<serviceTask id="w" camunda:type="external" camunda:topic="work"/>', end(), "s>w", "w>e")))
    id = house.start().id
    house.moved.advance(days=30)
    with pytest.raises(SystemExit):
        house.engine.jobs.run_due()
    house.moved.advance(days=-30)
    run(house)

    assert attempts == [1, 2]
    assert house.status(id) == "completed"


def test_a_start_timer_starts_nothing_twice_when_the_clock_jumps(house: House) -> None:
    house.deploy(diagram(process(start("x", EVERY), user("a"), end(), "x>a", "a>e")))
    house.moved.advance(days=1)
    run(house)
    house.moved.advance(days=-1)
    run(house)
    house.moved.advance(days=1)
    run(house)

    assert house.rows("select count(*) from instance") == [(1,)]
    [waiting] = house.engine.deployments.start_timers(OWNER)
    assert waiting.due_at == MONDAY + 2 * DAY
