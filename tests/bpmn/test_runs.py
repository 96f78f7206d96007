"""A run of several commands: loaded once, stored once, and nothing else is different. `Watched` keeps one through all its walks."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine import events as log
from engine.bpmn import Answer, Definition, Run, Serve, advance, open_elements
from engine.errors import EngineError, NotFound, TaskNotOpen, TaskSuspended, WrongState
from engine.model import (
    Command,
    CompleteJob,
    CompleteUserTask,
    CorrelateMessage,
    FireTimers,
    InstanceStatus,
    NewJob,
    RetryElement,
    SetVariables,
    StartInstance,
    Step,
    SubscriptionKind,
    SuspendInstance,
    ThrowBpmnError,
    TokenId,
)
from tests.bpmn.build import boundary, diagram, end, event, exclusive, parallel, process, script, service, start, timer, user
from tests.bpmn.play import MONDAY, Play
from tests.bpmn.test_walks import Writer

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


# --------------------------------------------------------------------------------------- jobs whose work is done within the command
def completed(**values: Any) -> Serve:
    """Every job is done and gave this."""
    return lambda job: Answer(command=CompleteJob(token=job.token, values=values))


def by_commands(run: Run, command: Command, serve: Serve) -> tuple[Step, list[log.Event], list[NewJob]]:
    """Give a command, then for each job what `serve` says as a command of its own; return the last step, all events, the jobs left."""
    events: list[Any] = []
    left: list[NewJob] = []

    def give(command: Command) -> None:
        step = run.do(command)
        events.extend(step.events)
        for job in step.jobs:
            if not any(isinstance(event, log.JobCancelled) and event.token == job.token for event in events):
                found = serve(job)
                if found is None or found.command is None:
                    left.append(job)
                else:
                    give(found.command)

    give(command)
    return run.look(), events, left


@pytest.mark.parametrize("seed", range(120))
def test_jobs_done_within_a_command_lead_where_commands_of_their_own_lead(seed: int) -> None:
    rnd = random.Random(seed)
    xml = Writer(rnd).process()
    if seed % 2:  # machines do most of it
        xml = xml.replace(b"<userTask ", b'<sendTask camunda:type="external" camunda:topic="work" ').replace(b"</userTask>", b"</sendTask>")
    of = Play(xml, None).definition("p")

    def serve(job: NewJob) -> Answer | None:
        luck = random.Random(f"{seed} {job.token}")
        n = luck.randrange(10)
        if n < 2:
            return None
        thrown = ThrowBpmnError(token=job.token, code="no")
        return Answer(command=thrown if n == 2 else CompleteJob(token=job.token, values={"n": luck.randrange(9)}))

    within, single, at = Run(of, None, MONDAY), Run(of, None, MONDAY), MONDAY
    command: Command = StartInstance(variables={"n": 0})
    open_jobs: list[TokenId] = []
    for _ in range(30):
        step = within.do(command, serve)
        stands, events, left = by_commands(single, command, serve)

        assert step.state == stands.state
        assert list(step.events) == events
        assert list(step.jobs) == left
        if step.status is not InstanceStatus.ACTIVE:
            break
        cancelled = {event.token for event in events if isinstance(event, log.JobCancelled)}
        open_jobs = [token for token in (*open_jobs, *(job.token for job in left)) if token not in cancelled]
        choices: list[Any] = [CompleteJob(token=token, values={"n": 1}) for token in open_jobs]
        choices += [
            CompleteUserTask(token=found.token, values={"n": rnd.randrange(9)}) for found in open_elements(of, step.state)
            if (found.kind, found.state) == ("userTask", "ready")]
        choices += [CorrelateMessage(name=s.name, token=s.token) for s in step.subscriptions if s.kind is SubscriptionKind.MESSAGE]
        if step.timers and (not choices or rnd.random() < 0.3):
            at = max(at, step.timers[0].due_at + timedelta(seconds=rnd.choice([0, 5])))
            command = FireTimers()
        elif choices:
            command = rnd.choice(choices)
            if isinstance(command, CompleteJob):
                open_jobs.remove(command.token)
        else:
            break
        within.go_on(step.state, at)
        single.go_on(stands.state, at)


def test_what_is_told_of_a_job_stands_before_what_it_leads_to() -> None:
    def serve(job: NewJob) -> Answer:
        fact = log.JobCompleted(process=job.process, element=job.element, token=job.token, job_type=job.type, attempt=1, values={})
        return Answer(command=CompleteJob(token=job.token, values={}), facts=[fact, fact] if job.element == "a" else [fact])

    step = Run(definition(WORK), None, MONDAY).do(StartInstance(variables={"m": 1}), serve)

    assert step.status is InstanceStatus.COMPLETED
    told = [step.events[n] for n in step.told]
    assert [(type(event).__name__, event.element) for event in told] == [  # type: ignore[attr-defined]
        ("JobCompleted", "a"), ("JobCompleted", "a"), ("JobCompleted", "b")]
    kinds = [(type(event).__name__, getattr(event, "element", None)) for event in step.events]
    assert kinds.index(("JobCreated", "a")) < step.told[0] < kinds.index(("ActivityCompleted", "a"))


def test_whoever_gave_a_value_cannot_change_it_while_the_command_goes_on() -> None:
    gave: list[int] = []
    seen: list[Any] = []

    def serve(job: NewJob) -> Answer:
        gave.append(len(gave))
        seen.append(job.values.get("gave"))
        return Answer(command=CompleteJob(token=job.token, values={"gave": gave} if job.element == "a" else {}))

    run = Run(definition(process(start(), service("a"), service("b"), service("c"), end(), "s>a", "a>b", "b>c", "c>e")), None, MONDAY)
    run.do(StartInstance(), serve)

    assert seen == [None, [0], [0]]


def test_a_job_that_the_answer_to_another_one_cancels_is_nobodys() -> None:
    race = process(
        start(), parallel("f"), service("a"), service("b"), end("t", event("terminate")), user("u"), end(), "s>f", "f>a", "f>b", "a>t",
        "b>u", "u>e")
    asked: list[str] = []

    def serve(job: NewJob) -> Answer:
        asked.append(job.element)
        return Answer(command=CompleteJob(token=job.token, values={}))

    step = Run(definition(race), None, MONDAY).do(StartInstance(), serve)

    assert (asked, step.jobs, step.status) == (["a"], (), InstanceStatus.COMPLETED)
    assert [event.element for event in step.events if isinstance(event, log.JobCancelled)] == ["b"]


def test_nobody_is_asked_twice_when_an_element_fails_and_the_command_is_run_again() -> None:
    broken = process(start(), service("a"), service("b"), user("u", camunda_priority="= rank"), end(), "s>a", "a>b", "b>u", "u>e")
    asked: list[str] = []

    def serve(job: NewJob) -> Answer:
        asked.append(job.element)
        return Answer(command=CompleteJob(token=job.token, values={"m": len(asked)}))

    run = Run(definition(broken), None, MONDAY)
    step = run.do(StartInstance(), serve)
    for command in (SetVariables(values={"rank": 7}), RetryElement(token=TokenId(4))):
        last = run.do(command, serve)

    assert [event.element for event in step.events if isinstance(event, log.IncidentOpened)] == ["u"]
    assert asked == ["a", "b"]
    assert [(task.name, task.priority) for task in last.events if isinstance(task, log.UserTaskCreated)] == [("u", 7)]


def test_when_many_elements_fail_the_other_jobs_are_left_for_later() -> None:
    many = process(
        start(), parallel("f"), *(service(f"a{n}") for n in range(60)),
        *(user(f"u{n}", camunda_priority="= rank") for n in range(60)), end(), "s>f", *(f"f>a{n}" for n in range(60)),
        *(f"a{n}>u{n}" for n in range(60)), *(f"u{n}>e" for n in range(60)))
    asked: list[str] = []

    def serve(job: NewJob) -> Answer:
        asked.append(job.element)
        return Answer(command=CompleteJob(token=job.token, values={}))

    step = Run(definition(many), None, MONDAY).do(StartInstance(), serve)

    failed = [event.element for event in step.events if isinstance(event, log.IncidentOpened)]
    assert failed == [element.replace("a", "u") for element in asked]
    assert len(failed) == 21
    assert len(step.jobs) == 60 - 21


def test_an_instance_that_is_loaded_anew_does_what_was_done_without_asking() -> None:
    run = Run(definition(WORK), None, MONDAY)
    run.do(StartInstance(variables={"m": 1}), lambda job: completed(m=4)(job) if job.element == "a" else None)
    with pytest.raises(NotFound):
        run.do(CompleteJob(token=TokenId(9), values={}))  # leaves it half done: what follows begins with what is stored
    last = run.do(CompleteJob(token=TokenId(4), values={}))

    other = one_by_one(
        definition(WORK), StartInstance(variables={"m": 1}), CompleteJob(token=TokenId(2), values={"m": 4}),
        CompleteJob(token=TokenId(4), values={}))
    assert last.standing == other[-1].standing


def test_what_a_server_raises_gives_up_the_command() -> None:
    def serve(job: NewJob) -> Answer:
        if job.element == "b":
            raise OSError("gone")
        return Answer(command=CompleteJob(token=job.token, values={}))

    run = Run(definition(WORK), None, MONDAY)
    with pytest.raises(OSError, match="gone"):
        run.do(StartInstance(variables={"m": 1}), serve)

    assert run.do(StartInstance(variables={"m": 1}), completed()).status is InstanceStatus.COMPLETED


def test_a_timer_that_is_over_before_it_began_does_not_interrupt_work_that_is_done_at_once() -> None:
    late = process(
        start(), service("a"), boundary("late", "a", timer("timeDate", "2020-01-01T00:00:00Z")), user("b"), end(), end("x"), "s>a", "a>b",
        "late>x", "b>e")

    step = Run(definition(late), None, MONDAY).do(StartInstance(), completed())

    assert step.refused is None
    assert not [event for event in step.events if isinstance(event, log.TimerFired)]


def test_a_join_is_said_stuck_only_when_all_work_of_the_command_is_done() -> None:
    """One of the branches ends the sub-process, whose join can never fire: the incident would open and close in one breath."""
    race = process(
        start(), parallel("f"), parallel("j"), service("a"), end("t", event("terminate")), user("u"), end(), "s>f", "f>j", "f>a", "a>t",
        "u>j", "j>e")

    step = Run(definition(race), None, MONDAY).do(StartInstance(), completed())

    assert step.status is InstanceStatus.COMPLETED
    assert not [event for event in step.events if isinstance(event, log.IncidentOpened)]
