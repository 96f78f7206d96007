"""A run of several commands: loaded once, stored once, and nothing else is different. `Watched` keeps one through all its walks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine import events as log
from engine.bpmn import Definition, Run, advance
from engine.errors import EngineError, NotFound, TaskNotOpen, TaskSuspended, WrongState
from engine.model import (
    Command,
    CompleteJob,
    CompleteUserTask,
    InstanceStatus,
    RetryElement,
    SetVariables,
    StartInstance,
    Step,
    SuspendInstance,
    TokenId,
)
from tests.bpmn.build import diagram, end, exclusive, process, script, service, start, user
from tests.bpmn.play import MONDAY, Play

WORK = process(start(), service("a"), script("f", "{n: m + 1}"), service("b"), end(), "s>a", "a>f", "f>b", "b>e")
GIVEN = {"price": Decimal("2.50"), "lots": [{"no": 1}, {"no": 2}]}


def definition(*processes: str) -> Definition:
    return Play(diagram(*processes), None).definition("p")


def one_by_one(of: Definition, *commands: Command) -> list[Step]:
    steps: list[Step] = []
    for command in commands:
        steps.append(advance(of, steps[-1].state if steps else None, command, MONDAY))
    return steps


def in_one_run(of: Definition, *commands: Command) -> list[Step]:
    """Do them without looking at the state in between, which only the last step has."""
    run = Run(of, None, MONDAY)
    return [run.do(command) for command in commands]


def same(run: list[Step], single: list[Step]) -> None:
    assert [(s.events, s.jobs, s.thrown, s.status, s.outcome) for s in run] == [
        (s.events, s.jobs, s.thrown, s.status, s.outcome) for s in single]
    assert run[-1].standing == single[-1].standing


def test_commands_of_one_run_give_what_they_give_one_by_one() -> None:
    commands = [
        StartInstance(variables={"m": 1, **GIVEN}), CompleteJob(token=TokenId(2), values={"lots": [{"no": 3}]}),
        SetVariables(values={"price": Decimal("2.5")}), CompleteJob(token=TokenId(4), values={})]

    same(in_one_run(definition(WORK), *commands), one_by_one(definition(WORK), *commands))


def test_an_element_that_fails_late_in_a_run_is_parked_as_it_would_be_alone() -> None:
    gate = process(start(), service("a"), exclusive("g"), end("low"), end("high"), "s>a", "a>g", "g>high: m > 1", "g>low!")
    commands = [
        StartInstance(variables={"n": 1}), SetVariables(values={"n": 2}), CompleteJob(token=TokenId(2), values={"x": [1]}),
        SetVariables(values={"m": 5}), RetryElement(token=TokenId(3))]

    run, single = in_one_run(definition(gate), *commands), one_by_one(definition(gate), *commands)

    same(run, single)
    assert [e.element for step in run for e in step.events if isinstance(e, log.IncidentOpened)] == ["g"]
    assert run[-1].outcome == "high"


def test_a_command_that_does_not_fit_leaves_the_run_as_it_was() -> None:
    of = definition(process(start(), user("a"), user("b"), end(), "s>a", "a>b", "b>e"))
    run = Run(of, None, MONDAY)
    begin = StartInstance(variables=GIVEN)
    done = CompleteUserTask(token=TokenId(2), values={"n": 1})

    with pytest.raises(WrongState):
        run.do(done)
    run.do(begin)
    for token, error in ((7, TaskNotOpen), (1, TaskNotOpen)):
        with pytest.raises(error):
            run.do(CompleteUserTask(token=TokenId(token), values={}))
    with pytest.raises(NotFound):
        run.do(CompleteJob(token=TokenId(2), values={}))
    step = run.do(done)

    assert step == one_by_one(of, begin, done)[-1]


def test_what_a_refused_command_had_begun_is_taken_back() -> None:
    of = definition(process(start(), user("a"), end(), "s>a", "a>e"))
    commands = [StartInstance(), SuspendInstance(reason="wait")]
    run = Run(of, None, MONDAY)
    _, last = [run.do(command) for command in commands]

    refused: list[EngineError] = []
    for _ in range(2):
        with pytest.raises(TaskSuspended) as found:
            run.do(CompleteUserTask(token=TokenId(2), values={"n": 1}))
        refused.append(found.value)
    standing = last.timers, last.state
    step = run.do(SetVariables(values={"n": 2}))

    assert standing == (one_by_one(of, *commands)[-1].timers, one_by_one(of, *commands)[-1].state)
    assert [str(error) for error in refused] == [str(refused[0])] * 2
    assert step == one_by_one(of, *commands, SetVariables(values={"n": 2}))[-1]
    assert step.status is InstanceStatus.SUSPENDED


def test_a_step_is_asked_where_the_instance_stands_before_the_next_command() -> None:
    run = Run(definition(WORK), None, MONDAY)
    asked = run.do(StartInstance(variables={"m": 1}))
    state = asked.state
    late = run.do(SetVariables(values={"m": 2}))

    run.do(CompleteJob(token=TokenId(2), values={}))

    assert asked.state == state
    with pytest.raises(RuntimeError, match="has gone on"):
        _ = late.state


def test_whoever_holds_a_value_of_a_job_or_gave_it_cannot_change_a_variable() -> None:
    begin, after = StartInstance(variables={"m": 1, **GIVEN}), SetVariables(values={"x": 1})
    run = Run(definition(WORK), None, MONDAY)
    lots: Any = run.do(begin).jobs[0].values["lots"]
    gave = [1]

    lots[0]["no"] = "handler"
    lots.append("handler")
    run.do(CompleteJob(token=TokenId(2), values={"gave": gave}))
    gave.append(2)
    last = run.do(after)

    assert last.state == one_by_one(
        definition(WORK), begin, CompleteJob(token=TokenId(2), values={"gave": [1]}), after)[-1].state
