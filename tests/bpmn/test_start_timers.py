"""What a deployed process is started by when nobody asks: the timers of its start events, each with its plan."""

from __future__ import annotations

from datetime import datetime

import pytest

from engine import events as log
from engine.bpmn import DiagramCannotRun, compile_definition, start_timers
from engine.model import Source, StartInstance
from tests.bpmn.build import diagram, end, event_sub, process, start, timer, user
from tests.bpmn.play import MONDAY, Instance


def starting(kind: str, value: str, *more: str) -> bytes:
    return diagram(process(start("s", timer(kind, value)), user("u"), end(), "s>u", "u>e", *more))


def dues(kind: str, value: str, at: datetime = MONDAY, zone: str = "Asia/Shanghai") -> list[str]:
    return [plan["due"] for _, plan in start_timers(starting(kind, value), "p", at, zone)]


def test_a_duration_and_a_cycle_count_from_the_deployment() -> None:
    assert dues("timeDuration", "PT2H") == ["2026-01-05T03:00:00+00:00"]
    assert dues("timeCycle", "R3/PT4H") == ["2026-01-05T05:00:00+00:00"]


def test_a_date_starts_at_its_time_in_the_zone_and_one_that_is_over_not_at_all() -> None:
    assert dues("timeDate", "2026-02-01T09:00:00") == ["2026-02-01T01:00:00+00:00"]
    assert dues("timeDate", "2026-02-01T09:00:00", zone="Europe/Berlin") == ["2026-02-01T08:00:00+00:00"]
    assert dues("timeDate", "2026-01-05T08:59:59") == []


def test_of_a_cycle_that_began_before_the_deployment_the_next_turn_starts_and_turns_that_are_over_do_not() -> None:
    [(element, plan)] = start_timers(starting("timeCycle", "R9/2026-01-01T08:00:00/P1D"), "p", MONDAY)

    assert (element, plan["due"], plan["left"]) == ("s", "2026-01-06T00:00:00+00:00", 4)
    assert dues("timeCycle", "R3/2026-01-01T08:00:00/P1D") == []


def test_an_expression_is_computed_at_the_deployment_and_one_that_needs_variables_is_refused() -> None:
    assert dues("timeDuration", 'duration("PT" + string(1 + 1) + "H")') == ["2026-01-05T03:00:00+00:00"]
    with pytest.raises(DiagramCannotRun, match=r"the time is null|start timer"):
        dues("timeDate", "opening")


def test_a_timer_of_an_event_sub_process_starts_no_process() -> None:
    inner = event_sub("es", start("t", timer("timeDuration", "PT1H")), end("ee"), "t>ee")

    assert [element for element, _ in start_timers(starting("timeDuration", "PT2H", inner), "p", MONDAY)] == ["s"]


def test_the_log_of_an_instance_says_which_turn_began_it_and_how_many_it_stands_for() -> None:
    xml = starting("timeCycle", "R/PT1H")
    instance = Instance(compile_definition("p", [Source(key="p", version=1, xml=xml)]))
    instance.advance(StartInstance(start_event="s", trigger="timer", due_at=MONDAY, skipped=3), MONDAY)

    assert [e.skipped for e in instance.events if isinstance(e, log.TimerFired) and e.due_at == MONDAY] == [3]
    assert instance.user_tasks()[0][0] == "u"
