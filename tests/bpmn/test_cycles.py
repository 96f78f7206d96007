"""Cycles, cron expressions and the calendar: when each turn comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events as log
from engine.bpmn import DiagramCannotRun, compile_definition, cron, timers
from engine.model import Source
from tests.bpmn.build import boundary, catch, diagram, end, event_sub, process, start, timer, user
from tests.bpmn.play import MONDAY, Play

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
HOUR = 3600


def turns(text: str, count: int, after: datetime = MONDAY, zone: ZoneInfo = SHANGHAI, form: str = "%m-%d %H:%M") -> list[str]:
    """The first turns of a cycle, in local time."""
    plan: timers.Plan | None = timers.plan("timeCycle", text, after, zone)
    found: list[str] = []
    while plan is not None and len(found) < count:
        due = timers.due_at(plan)
        found.append(due.astimezone(zone).strftime(form))
        skipped, plan = timers.turn(plan, due, zone)
        assert skipped == 0
    return found


def play(*parts: str, **variables: object) -> Play:
    return Play(diagram(process(*parts)), "p", variables)


# ------------------------------------------------------------------------------------------------------------------- cycles
def test_a_cycle_with_a_start_begins_there_and_one_with_a_count_ends() -> None:
    assert turns("R/2026-02-01T09:00:00/P1D", 3) == ["02-01 09:00", "02-02 09:00", "02-03 09:00"]
    assert turns("R2/2026-02-01T09:00:00/P1D", 9) == ["02-01 09:00", "02-02 09:00"]
    assert turns("R-1/PT1H", 2) == turns("R/PT1H", 2) == ["01-05 10:00", "01-05 11:00"]


def test_a_cycle_between_two_instants_repeats_what_lies_between() -> None:
    assert turns("R3/2026-02-01T09:00:00/2026-02-01T11:30:00", 9) == ["02-01 09:00", "02-01 11:30", "02-01 14:00"]


def test_a_cycle_with_an_end_has_its_last_turn_there() -> None:
    assert turns("R/PT4H/2026-01-05T20:00:00", 9) == ["01-05 12:00", "01-05 16:00", "01-05 20:00"]
    assert turns("R2/PT4H/2026-01-05T20:00:00", 9) == ["01-05 16:00", "01-05 20:00"]
    assert turns("R/P1M/2026-03-31T09:00:00", 9) == ["01-31 09:00", "02-28 09:00", "03-31 09:00"]
    with pytest.raises(timers.BadTime, match="over"):
        timers.plan("timeCycle", "R/PT4H/2026-01-05T08:00:00", MONDAY, SHANGHAI)


def test_a_monthly_cycle_returns_to_its_day() -> None:
    assert turns("R/2026-01-31T09:00:00/P1M", 4) == ["01-31 09:00", "02-28 09:00", "03-31 09:00", "04-30 09:00"]


def test_a_day_keeps_its_time_when_clocks_change_and_hours_are_exact() -> None:
    before = datetime(2026, 3, 28, 8, 0, tzinfo=UTC)  # nine in Berlin, clocks go forward on the 29th

    assert turns("R/P1D", 2, before, BERLIN) == ["03-29 09:00", "03-30 09:00"]
    assert turns("R/PT24H", 2, before, BERLIN) == ["03-29 10:00", "03-30 10:00"]
    assert timers.plan("timeDuration", "P1W", before, BERLIN)["due"] == "2026-04-04T07:00:00+00:00"
    assert timers.plan("timeDuration", timedelta(days=1), before, BERLIN)["due"] == "2026-03-29T08:00:00+00:00"


@given(st.integers(0, 400), st.sampled_from(["R/P1D", "R/P1W", "R/P1M", "R/P1DT2H", "R5/P1D", "R3/P1M"]))
def test_a_cycle_of_the_calendar_loses_no_turn(asleep: int, text: str) -> None:
    first = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
    plan = timers.plan("timeCycle", text, first, BERLIN)
    at = timers.due_at(plan) + timedelta(days=asleep)
    one_by_one, passed = dict(plan), 0
    while (step := timers.turn(one_by_one, timers.due_at(one_by_one), BERLIN)[1]) is not None and timers.due_at(step) <= at:
        one_by_one, passed = step, passed + 1

    skipped, following = timers.turn(plan, at, BERLIN)

    assert skipped == passed
    assert following == step


def test_a_daily_cycle_returns_to_its_time_after_the_day_that_leaves_it_out() -> None:
    before = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)  # half past two in Berlin

    assert turns("R/2026-03-28T02:30:00/P1D", 4, before, BERLIN) == ["03-28 02:30", "03-29 03:30", "03-30 02:30", "03-31 02:30"]


def test_a_repeating_cycle_of_three_after_a_long_sleep_fires_once_and_is_used_up() -> None:
    p = play(start(), user("a"), boundary("b", "a", timer("timeCycle", "R3/PT1H"), cancelActivity="false"), user("z"), "s>a", "b>z")

    p.sleep(100 * HOUR).check("a z")

    [fired] = p.seen(log.TimerFired)
    assert (fired.skipped, fired.late) == (2, True)
    p.wait(100 * HOUR).check("a z")


def test_a_cycle_that_starts_an_event_sub_process_repeats_and_folds_what_was_missed() -> None:
    p = play(start(), user("a"), "s>a", event_sub("q", start("s1", timer("timeCycle", "R/PT1H"), isInterrupting="false"), user("h"), "s1>h"))

    p.wait(2 * HOUR).check("a h h").sleep(5 * HOUR).check("a h h h").wait(HOUR).check("a h h h h")


def test_a_cycle_on_an_intermediate_event_comes_as_often_as_it_says_and_once_without_a_number() -> None:
    xml = (start(), user("z"), "s>c", "c>z")

    play(*xml, catch("c", timer("timeCycle", "R4/PT1H"))).wait(9 * HOUR).check("z z z z")
    play(*xml, catch("c", timer("timeCycle", "R/PT1H"))).wait(9 * HOUR).check("z")
    play(*xml, catch("c", timer("timeCycle", "0 0 9 * * *"))).wait(99 * HOUR).check("z")


@pytest.mark.parametrize("where", ["boundary", "event sub-process", "intermediate"])
def test_a_cycle_whose_start_is_moved_comes_at_the_new_time(where: str) -> None:
    definition = timer("timeCycle", '= "R/" + first + "/P1D"')
    p = play(*{
        "boundary": (start(), user("a"), boundary("b", "a", definition, cancelActivity="false"), user("h"), "s>a", "b>h"),
        "event sub-process": (start(), user("a"), "s>a", event_sub("q", start("s1", definition, isInterrupting="false"), user("h"), "s1>h")),
        "intermediate": (start(), catch("c", definition), user("h"), "s>c", "c>h"),
    }[where], first="2026-01-06T09:00:00")

    p.wait(HOUR).set(first="2026-01-07T09:00:00")

    p.wait(46 * HOUR)
    assert "h" not in p.open.split()
    p.wait(HOUR)
    assert "h" in p.open.split()
    [moved] = p.seen(log.TimerMoved)
    assert (moved.was, moved.due_at) == (MONDAY + timedelta(days=1), MONDAY + timedelta(days=2))


# --------------------------------------------------------------------------------------------------------------------- cron
@pytest.mark.parametrize(("text", "expected"), [
    ("0 0 9 ? * MON-FRI", ["Mon 01-05 09:00", "Tue 01-06 09:00", "Wed 01-07 09:00", "Thu 01-08 09:00", "Fri 01-09 09:00",
                           "Mon 01-12 09:00"]),
    ("0 9 * * 1-5", ["Mon 01-05 09:00", "Tue 01-06 09:00"]),
    ("0 0 9 ? * 0,7", ["Sun 01-11 09:00", "Sun 01-18 09:00"]),
    ("0 0 9 * * fri-mon", ["Mon 01-05 09:00", "Fri 01-09 09:00", "Sat 01-10 09:00", "Sun 01-11 09:00", "Mon 01-12 09:00"]),
    ("0 0 9 ? * MON-SUN/2", ["Mon 01-05 09:00", "Wed 01-07 09:00", "Fri 01-09 09:00", "Sun 01-11 09:00", "Mon 01-12 09:00"]),
    ("0 0 0 L * ?", ["Sat 01-31 00:00", "Sat 02-28 00:00", "Tue 03-31 00:00"]),
    ("0 0 0 L-2 * ?", ["Thu 01-29 00:00", "Thu 02-26 00:00"]),
    ("0 0 0 LW * ?", ["Fri 01-30 00:00", "Fri 02-27 00:00", "Tue 03-31 00:00"]),
    ("0 0 0 15W * ?", ["Thu 01-15 00:00", "Mon 02-16 00:00", "Mon 03-16 00:00"]),
    ("0 0 0 1W * ?", ["Mon 02-02 00:00", "Mon 03-02 00:00", "Wed 04-01 00:00"]),
    ("*/30 0 9 * * *", ["Mon 01-05 09:00", "Mon 01-05 09:00", "Tue 01-06 09:00"]),
    ("0 0 0 1W 8 ?", ["Mon 08-03 00:00", "Mon 08-02 00:00"]), ("0 0 0 31W 5 ?", ["Fri 05-29 00:00", "Mon 05-31 00:00"]),
    ("0 0 0 31W * ?", ["Fri 01-30 00:00", "Tue 03-31 00:00"]),
    ("0 0 12 ? * FRIL", ["Fri 01-30 12:00", "Fri 02-27 12:00"]),
    ("0 0 12 ? * 5L", ["Fri 01-30 12:00", "Fri 02-27 12:00"]),
    ("0 0 12 ? * MON#2", ["Mon 01-12 12:00", "Mon 02-09 12:00"]),
    ("0 0 12 ? * MON#5", ["Mon 03-30 12:00", "Mon 06-29 12:00"]),
    ("0 0 12 1,L JAN,MAR ?", ["Sat 01-31 12:00", "Sun 03-01 12:00", "Tue 03-31 12:00"]),
    ("0 0 9 1 1 ? 2028", ["Sat 01-01 09:00"]),
    ("0 0 0 29 2 ?", ["Tue 02-29 00:00"]),
    ("0 0/20 9-10 * * *", ["Mon 01-05 09:20", "Mon 01-05 09:40", "Mon 01-05 10:00", "Mon 01-05 10:20", "Mon 01-05 10:40",
                           "Tue 01-06 09:00"]),
    ("0 0 22-2/2 * * *", ["Mon 01-05 22:00", "Tue 01-06 00:00", "Tue 01-06 02:00"]),
    ("0 0 9 13 * FRI", ["Fri 02-13 09:00", "Fri 03-13 09:00"]),
    ("@monthly", ["Sun 02-01 00:00", "Sun 03-01 00:00"]), ("@daily", ["Tue 01-06 00:00"]),
])  # fmt: skip
def test_a_cron_expression_comes_when_it_says(text: str, expected: list[str]) -> None:
    after = MONDAY if text.startswith("0 0/20") else MONDAY - timedelta(seconds=1)

    assert turns(text, len(expected), after, form="%a %m-%d %H:%M") == expected


@pytest.mark.parametrize("text", [
    "0 0 25 * * *", "0 0 9 ? * MONDAY", "0 0 9 L-40 * ?", "0 0 9 ? * L", "0 0 9 ? FOO ?", "0 0 9 ? * 8", "0 0 9 32W * ?",
    "0 0 9 ? * MON#6", "0 0/0 9 * * *", "0 0 9 31 2 ?", "? 0 9 * * *", "0 0 9 * * * 1969", "@often", "* * * *",
])  # fmt: skip
def test_a_cron_expression_that_is_wrong_or_never_comes_is_refused_at_its_element(text: str) -> None:
    xml = diagram(process(start(), user("a"), boundary("b", "a", timer("timeCycle", text)), end(), "s>a", "a>e", "b>e"))

    with pytest.raises(DiagramCannotRun) as refused:
        compile_definition("p", [Source(key="p", version=1, xml=xml)])

    assert refused.value.findings[0].element == "b"
    assert refused.value.findings[0].line


def test_a_local_time_that_clocks_leave_out_comes_later_and_one_that_comes_twice_counts_once() -> None:
    spring, autumn = datetime(2026, 3, 28, 12, 0, tzinfo=UTC), datetime(2026, 10, 24, 12, 0, tzinfo=UTC)

    assert turns("0 30 2 * * *", 2, spring, BERLIN) == ["03-29 03:30", "03-30 02:30"]
    assert turns("0 30 2 * * *", 2, autumn, BERLIN) == ["10-25 02:30", "10-26 02:30"]
    between = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # 02:00 for the second time
    assert turns("0 30 2 * * *", 1, between, BERLIN) == ["10-26 02:30"]


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.sampled_from(["0 0 * * * *", "0 30 2 * * *", "*/7 * * * * *"]))
def test_a_cron_expression_always_comes_later_than_asked(at: datetime, text: str) -> None:
    after = at.replace(tzinfo=UTC)

    assert cron.next_at(text, after, BERLIN) > after
