"""Timers and dates: when they fire, when they move, when they stand still."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import calendar
from engine import events as log
from engine.bpmn import timers
from engine.errors import TaskNotOpen, TaskSuspended, TaskTooLate, WrongState
from engine.model import CompleteUserTask, InstanceStatus, ResumeInstance, SuspendInstance, TokenId
from tests.bpmn.build import (
    boundary,
    call,
    catch,
    diagram,
    end,
    event,
    event_sub,
    parallel,
    process,
    properties,
    service,
    start,
    sub,
    timer,
    user,
)
from tests.bpmn.folds import fold
from tests.bpmn.play import MONDAY
from tests.bpmn.watched import KeptPlay as Play

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR = 3600


def play(*processes: str, **variables: object) -> Play:
    return Play(diagram(*processes), "p", variables)


DEADLINE = process(
    start(), user("a"), boundary("b", "a", timer("timeDate", "= closing_at")), user("late"), end(), "s>a", "a>e", "b>late")


def due(p: Play) -> list[datetime]:
    assert p.first.step
    return [t.due_at for t in p.first.step.timers]


def test_a_deadline_that_is_moved_while_waited_for_fires_at_the_new_time_only() -> None:
    p = play(DEADLINE, closing_at=MONDAY + timedelta(hours=2))

    p.set(closing_at=MONDAY + timedelta(hours=5))
    assert due(p) == [MONDAY + timedelta(hours=5)]
    assert [(e.was, e.due_at) for e in p.seen(log.TimerMoved)] == [(MONDAY + timedelta(hours=2), MONDAY + timedelta(hours=5))]
    p.wait(3 * HOUR).check("a")
    p.wait(2 * HOUR).check("late")


def test_a_deadline_that_is_moved_forward_into_the_past_fires_next() -> None:
    p = play(DEADLINE, closing_at=MONDAY + timedelta(hours=2)).wait(HOUR)

    p.set(closing_at=MONDAY).wait(1).check("late")


def test_a_deadline_that_becomes_null_stands() -> None:
    p = play(DEADLINE, closing_at=MONDAY + timedelta(hours=2)).set(closing_at=None)

    assert due(p) == [MONDAY + timedelta(hours=2)]


def test_a_boundary_timer_waits_for_its_time_to_become_known() -> None:
    p = play(DEADLINE)
    assert due(p) == []
    assert [e.element for e in p.seen(log.ExpressionWasNull)] == ["b"]

    p.set(closing_at=MONDAY + timedelta(hours=2))
    assert due(p) == [MONDAY + timedelta(hours=2)]
    assert [e.due_at for e in p.seen(log.TimerScheduled)] == [MONDAY + timedelta(hours=2)]
    p.wait(2 * HOUR).check("late")


def test_a_timer_that_never_got_a_time_leaves_nothing_behind() -> None:
    p = play(DEADLINE).do("a").check("", True)

    assert not p.seen(log.TimerCancelled)


def test_a_task_completion_moves_a_timer_elsewhere() -> None:
    p = play(
        process(
            start(), parallel("f"), user("amend"), catch("c", timer("timeDate", "= closing_at - duration(\"PT1H\")")), user("z"),
            "s>f", "f>amend", "f>c", "c>z"),
        closing_at=MONDAY + timedelta(hours=2),
    )

    p.do("amend", closing_at=MONDAY + timedelta(hours=9))
    assert due(p) == [MONDAY + timedelta(hours=8)]


def test_a_late_completion_is_told_so_and_the_deadline_path_is_taken() -> None:
    p = play(DEADLINE, closing_at=MONDAY + timedelta(hours=2))
    [(_, token)] = p.first.user_tasks()
    p.at = MONDAY + timedelta(hours=3)

    step = p.send(p.first, CompleteUserTask(token=token, values={"price": 1}))

    assert isinstance(step.refused, TaskTooLate)
    p.check("late")
    assert "price" not in p.variables()
    [fired] = p.seen(log.TimerFired)
    assert fired.late
    with pytest.raises(TaskNotOpen):
        p.send(p.first, CompleteUserTask(token=token, values={}))


def test_a_completion_at_the_very_deadline_is_in_time() -> None:
    p = play(DEADLINE, closing_at=MONDAY + timedelta(hours=2))
    p.at = MONDAY + timedelta(hours=2)

    p.do("a").check("", True)


def test_a_task_that_never_was_open_is_refused_and_nothing_is_written() -> None:
    p = play(DEADLINE, closing_at=MONDAY + timedelta(hours=2))

    with pytest.raises(TaskNotOpen) as refusal:
        p.send(p.first, CompleteUserTask(token=TokenId(99), values={}))
    assert not isinstance(refusal.value, TaskTooLate)


def test_missed_turns_of_a_cycle_are_folded_into_one() -> None:
    xml = process(
        start(), user("a"), boundary("b", "a", timer("timeCycle", "R5/PT1H"), cancelActivity="false"), user("z"), "s>a", "b>z")
    p = play(xml).sleep(3 * HOUR + 60).check("a z")

    [fired] = p.seen(log.TimerFired)
    assert (fired.skipped, fired.late) == (2, True)
    assert due(p) == [MONDAY + timedelta(hours=4)]
    p.wait(9 * HOUR).check("a z z z")  # five turns in all, two of them folded


def test_several_overdue_timers_fire_in_the_order_of_their_due_dates() -> None:
    p = play(process(
        start(), parallel("f"), catch("c2", timer("timeDuration", "PT2H")), catch("c1", timer("timeDuration", "PT1H")), user("y"),
        user("z"), "s>f", "f>c2", "f>c1", "c2>y", "c1>z")).sleep(5 * HOUR)

    assert [e.element for e in p.seen(log.TimerFired)] == ["c1", "c2"]


def test_a_local_date_means_the_house_zone() -> None:
    p = play(process(start(), catch("c", timer("timeDate", "2026-01-05T12:00:00")), user("z"), "s>c", "c>z"))

    assert due(p) == [datetime(2026, 1, 5, 4, 0, tzinfo=UTC)]


def test_a_date_alone_is_its_midnight() -> None:
    p = play(process(start(), catch("c", timer("timeDate", "= day")), user("z"), "s>c", "c>z"), day=date(2026, 3, 1))

    assert due(p) == [datetime(2026, 2, 28, 16, 0, tzinfo=UTC)]


def test_months_are_calendar_months() -> None:
    at = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)

    assert timers.add_duration(at, "P1M", SHANGHAI) == datetime(2026, 2, 28, 2, 0, tzinfo=UTC)
    assert timers.add_duration(at, "P1Y1M", SHANGHAI) == datetime(2027, 2, 28, 2, 0, tzinfo=UTC)
    assert timers.add_duration(at, "P11M", SHANGHAI) == datetime(2026, 12, 31, 2, 0, tzinfo=UTC)


@given(
    every=st.integers(1, 10_000), count=st.integers(1, 50) | st.none(), asleep=st.integers(0, 200_000))
def test_a_cycle_loses_no_turn(every: int, count: int | None, asleep: int) -> None:
    text = f"R{'' if count is None else count}/PT{every}S"
    plan = timers.plan("timeCycle", text, MONDAY, SHANGHAI)
    at = max(timers.due_at(plan), MONDAY + timedelta(seconds=asleep))

    skipped, following = timers.turn(plan, at, SHANGHAI)

    passed = (at - MONDAY) // timedelta(seconds=every)
    assert 1 + skipped == (passed if count is None else min(passed, count))
    if following is None:
        assert count is not None
        assert passed >= count
    else:
        assert timers.due_at(following) > at
        assert count is None or following["left"] == count - 1 - skipped


@given(st.text(max_size=12) | st.from_regex(r"P\d?Y?\d?M?T?\d?H?", fullmatch=True))
def test_a_bad_duration_is_refused_and_nothing_else(text: str) -> None:
    try:
        months, rest = timers.parse_duration(text)
    except timers.BadTime:
        return
    assert isinstance(months, int)
    assert isinstance(rest, timedelta)


SUSPENDING = process(
    start(), user("a"), boundary("b", "a", timer("timeDuration", "PT10H")),
    boundary("d", "a", timer("timeDate", "= MONDAY"), cancelActivity="false"), user("late"), user("dated"), end(), "s>a", "a>e",
    "b>late", "d>dated")


def test_durations_stand_still_while_the_instance_is_suspended_and_dates_do_not() -> None:
    p = play(SUSPENDING, MONDAY=MONDAY + timedelta(hours=6)).wait(4 * HOUR)

    p.send(p.first, SuspendInstance(reason="investigation"))
    assert p.first.status is InstanceStatus.SUSPENDED
    assert due(p) == [MONDAY + timedelta(hours=6)]
    p.wait(20 * HOUR).check("a dated")
    with pytest.raises(TaskSuspended):
        p.do("a")

    p.send(p.first, ResumeInstance())
    assert due(p) == [MONDAY + timedelta(hours=30)]
    [moved] = p.seen(log.TimerMoved)
    assert moved.due_at - moved.was == timedelta(hours=20)
    p.wait(6 * HOUR + 1).check("dated late")


def test_an_instance_is_not_suspended_twice_nor_resumed_when_it_runs() -> None:
    p = play(SUSPENDING, MONDAY=MONDAY + timedelta(hours=6))

    with pytest.raises(WrongState):
        p.send(p.first, ResumeInstance())
    p.send(p.first, SuspendInstance(reason=""))
    with pytest.raises(WrongState):
        p.send(p.first, SuspendInstance(reason=""))


def test_an_event_sub_process_suspends_the_rest_of_its_scope() -> None:
    hold = event_sub(
        "hold", start("s1", event("message", "mA"), isInterrupting="false"), user("clarify"), end("e1"), "s1>clarify",
        "clarify>e1", inner=properties(suspends="true"))
    p = play(process(
        start(), user("a"), boundary("b", "a", timer("timeDuration", "PT10H")), user("late"), end(), "s>a", "a>e", "b>late", hold))
    p.wait(HOUR).message("mA")

    assert due(p) == []
    with pytest.raises(TaskSuspended):
        p.do("a")
    p.wait(50 * HOUR).check("a clarify")
    p.do("clarify").check("a")
    assert due(p) == [MONDAY + timedelta(hours=60)]
    p.do("a").check("", True)


def test_two_suspensions_at_once_count_once() -> None:
    hold = event_sub(
        "hold", start("s1", event("message", "mA"), isInterrupting="false"), user("clarify"), "s1>clarify",
        inner=properties(suspends="true"))
    p = play(process(
        start(), user("a"), boundary("b", "a", timer("timeDuration", "PT10H")), user("late"), end(), "s>a", "a>e", "b>late", hold))
    p.message("mA").wait(HOUR).message("mA")

    p.wait(HOUR).do("clarify")
    assert due(p) == []
    p.do("clarify")
    assert due(p) == [MONDAY + timedelta(hours=12)]


def test_dates_of_user_tasks_follow_their_variables() -> None:
    p = play(
        process(
            start(), parallel("f"),
            user("a", properties(deadline="= closing_at"), camunda_dueDate='= closing_at - duration("P1D")'), user("b"), "s>f",
            "f>a", "f>b"),
        closing_at=MONDAY + timedelta(days=9),
    )
    created = next(e for e in p.seen(log.UserTaskCreated) if e.element == "a")
    assert (created.due_at, created.deadline_at) == (MONDAY + timedelta(days=8), MONDAY + timedelta(days=9))

    p.do("b", closing_at=MONDAY + timedelta(days=19))
    [moved] = p.seen(log.UserTaskRescheduled)
    assert (moved.due_at, moved.deadline_at) == (MONDAY + timedelta(days=18), MONDAY + timedelta(days=19))
    p.do("a")
    assert p.seen(log.UserTaskCompleted)[-1].due_at == MONDAY + timedelta(days=18)


def held(p: Play) -> list[str]:
    """Elements of the user tasks that stand still."""
    assert p.first.step
    tasks = dict((token, element) for element, token in p.first.user_tasks())
    return [tasks[token] for token in p.first.step.suspended]


HOLD = event_sub(
    "hold", start("s1", event("message", "mA"), isInterrupting="false"), user("clarify"), end("e1"), "s1>clarify", "clarify>e1",
    inner=properties(suspends="true"))


def test_what_runs_inside_a_suspended_scope_stands_still_and_what_suspends_it_does_not() -> None:
    p = play(
        process(
            start(), parallel("f"), user("a"), sub("sp", start("s2"), user("b"), "s2>b", HOLD.replace("mA", "mB").replace("hold", "inner")
            .replace("clarify", "ask").replace("s1", "s3").replace("e1", "e3")), call("k", "called"), end(), "s>f", "f>a", "f>sp", "f>k",
            HOLD),
        process(start("cs"), user("c"), "cs>c", id="called"))

    p.message("mB")
    assert held(p) == ["b"]
    assert [(e.element, e.scope is None) for e in p.seen(log.ScopeSuspended)] == [("inner", False)]
    p.message("mA")
    assert sorted(held(p)) == ["a", "ask", "b", "c"]
    for element in ("a", "ask", "b", "c"):
        with pytest.raises(TaskSuspended):
            p.do(element)

    p.do("clarify")
    assert held(p) == ["b"]
    p.do("a", "ask")
    assert held(p) == []
    assert [e.element for e in p.seen(log.ScopeResumed)] == ["hold", "inner"]
    fold(p.first.events)


def test_a_task_that_comes_to_be_in_a_suspended_scope_stands_still_from_the_start() -> None:
    p = play(process(start(), service("w"), user("a", camunda_dueDate='= duration("PT10H")'), "s>w", "w>a", HOLD)).message("mA")

    p.wait(HOUR).work("w")
    assert held(p) == ["a"]
    p.wait(2 * HOUR).do("clarify")

    assert held(p) == []
    [moved] = p.seen(log.UserTaskRescheduled)
    assert moved.due_at == MONDAY + timedelta(hours=13)


def test_due_dates_counted_from_the_beginning_move_by_the_suspension_and_dates_do_not() -> None:
    p = play(
        process(
            start(), parallel("f"), user("hours", camunda_dueDate='= duration("PT30H")'), user("days", properties(workingDue="2")),
            user("usual"), user("dated", camunda_dueDate="= closing_at"),
            user("hard", properties(deadline="= closing_at"), camunda_dueDate='= "P1D"'), "s>f", "f>hours", "f>days", "f>usual",
            "f>dated", "f>hard", HOLD),
        closing_at=MONDAY + timedelta(days=3))
    before = {e.element: (e.due_at, e.deadline_at) for e in p.seen(log.UserTaskCreated)}
    p.wait(HOUR).message("mA").wait(24 * HOUR).do("clarify")

    moved = {e.element: (e.due_at, e.deadline_at) for e in p.seen(log.UserTaskRescheduled)}
    assert {name: due - before[name][0] for name, (due, _) in moved.items()} == {
        name: timedelta(days=1) for name in ("hours", "days", "usual", "hard")}
    assert moved["hard"][1] == before["hard"][1] == MONDAY + timedelta(days=3)

    p.send(p.first, SuspendInstance(reason="")) and p.wait(24 * HOUR)
    p.send(p.first, ResumeInstance())
    assert p.seen(log.UserTaskRescheduled)[-4].due_at == before["hours"][0] + timedelta(days=2)
    p.set(closing_at=MONDAY + timedelta(days=9))
    assert p.seen(log.UserTaskRescheduled)[-1].due_at == moved["hard"][0] + timedelta(days=1)


def test_working_days_move_to_a_working_day() -> None:
    p = play(process(start(), user("a", properties(workingDue="2")), "s>a", HOLD))
    p.wait(4 * 24 * HOUR).message("mA").wait(24 * HOUR).do("clarify")  # Friday to Saturday

    [moved] = p.seen(log.UserTaskRescheduled)
    assert moved.due_at == MONDAY + timedelta(days=3)  # two working days from Tuesday


def test_a_scope_that_is_interrupted_while_it_is_suspended_is_resumed_in_the_log() -> None:
    stop = event_sub("stop", start("s9", event("message", "mC")), user("wind_up"), "s9>wind_up")
    p = play(process(start(), user("a"), "s>a", HOLD, stop)).message("mA").message("mC").check("wind_up")

    assert held(p) == []
    assert [type(e) for e in p.first.events if isinstance(e, log.ScopeSuspended | log.ScopeResumed)] == [
        log.ScopeSuspended, log.ScopeResumed]


def test_a_timer_that_interrupts_a_task_is_its_deadline_and_takes_it_along() -> None:
    p = play(DEADLINE, closing_at=MONDAY + timedelta(hours=2))
    [created] = p.seen(log.UserTaskCreated)
    assert created.deadline_at == MONDAY + timedelta(hours=2)
    assert p.seen(log.UserTaskRescheduled) == []

    p.set(closing_at=MONDAY + timedelta(hours=5))
    [moved] = p.seen(log.UserTaskRescheduled)
    assert (moved.due_at, moved.deadline_at) == (created.due_at, MONDAY + timedelta(hours=5))


def test_a_deadline_follows_its_timer_through_a_suspension() -> None:
    p = play(process(start(), user("a"), boundary("b", "a", timer("timeDuration", "PT4H")), user("late"), end(), "s>a", "a>e", "b>late"))

    p.send(p.first, SuspendInstance(reason="?"))
    p.wait(HOUR)
    p.send(p.first, ResumeInstance())

    assert p.seen(log.UserTaskRescheduled)[-1].deadline_at == MONDAY + timedelta(hours=5)


def test_the_earliest_timer_that_interrupts_counts_and_a_named_deadline_stands() -> None:
    timers_of_a = (
        boundary("b", "a", timer("timeDuration", "PT4H")), boundary("c", "a", timer("timeDuration", "PT3H")),
        boundary("d", "a", timer("timeDuration", "PT1H"), cancelActivity="false"), user("late"), end(), "s>a", "a>e", "b>late", "c>late",
        "d>late",
    )

    plain = play(process(start(), user("a"), *timers_of_a))
    named = play(process(start(), user("a", properties(deadline="= closing_at")), *timers_of_a), closing_at=MONDAY + timedelta(hours=9))

    assert [e.deadline_at for e in plain.seen(log.UserTaskCreated)] == [MONDAY + timedelta(hours=3)]
    assert [e.deadline_at for e in named.seen(log.UserTaskCreated)] == [MONDAY + timedelta(hours=9)]


def test_the_timer_of_several_instances_is_the_deadline_of_each() -> None:
    several = '<multiInstanceLoopCharacteristics><loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics>'
    p = play(process(start(), user("a", several), boundary("b", "a", timer("timeDuration", "PT4H")), user("late"), end(), "s>a", "a>e", "b>late"))

    assert [e.deadline_at for e in p.seen(log.UserTaskCreated)] == [MONDAY + timedelta(hours=4)] * 3


def after_working_days(days: int) -> str:
    return process(
        start(), user("a"),
        boundary("b", "a", timer("timeDuration", f"= add working days(now(), {days}) - now()"), cancelActivity="false"), user("late"), end(),
        "s>a", "a>e", "b>late",
    )  # fmt: skip


def test_a_timer_counts_working_days_by_the_calendar_of_the_house() -> None:
    """From Monday, 5 January 2026: New Year's Saturday is over, Spring Festival is 15 to 23 February, with two Saturdays made up."""
    assert due(play(after_working_days(5))) == [MONDAY + timedelta(days=7)]
    assert due(play(after_working_days(30))) == [datetime(2026, 2, 14, 1, tzinfo=UTC)]
    assert due(play(after_working_days(31))) == [datetime(2026, 2, 24, 1, tzinfo=UTC)]
    assert due(play(after_working_days(35))) == [datetime(2026, 2, 28, 1, tzinfo=UTC)]


def test_a_timer_into_a_year_that_is_not_announced_is_an_incident_beside_its_task_and_runs_after_a_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    p = play(after_working_days(300))

    [incident] = p.seen(log.IncidentOpened)
    assert incident.element == "b"
    assert "2027 年的节假日安排尚未公布" in incident.message
    assert p.open == "a"

    monkeypatch.setattr(calendar, "day_after", lambda day, days: date(2027, 3, 1))  # as the data of 2027 come
    p.retry("b").check("a")
    assert due(p) == [datetime(2027, 3, 1, 1, tzinfo=UTC)]
