"""What the completion of each instance of a multi-instance activity throws, counts and writes (sections 10.3.8 and 13.3.7)."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from engine import events as log
from engine.model import SubscriptionKind
from tests.bpmn.build import (
    TERMINATE,
    boundary,
    diagram,
    end,
    event,
    event_sub,
    exclusive,
    many,
    parallel,
    process,
    properties,
    script,
    service,
    start,
    sub,
    user,
)
from tests.bpmn.watched import KeptPlay as Play

#: Event definitions that a behaviour refers to.
SHARED = (
    '<signalEventDefinition id="throw_signal" signalRef="sA"/><messageEventDefinition id="throw_message" messageRef="mA"/>'
    '<escalationEventDefinition id="throw_escalation" escalationRef="xA"/><errorEventDefinition id="throw_error" errorRef="eA"/>')
KINDS = {"signal": "sA", "message": "mA", "escalation": "xA"}


def play(*processes: str, **variables: object) -> Play:
    return Play(diagram(SHARED, *processes), "p", variables)


def throwing(behavior: str, kind: str = "signal", count: str = "3", *, one_by_one: bool = False, until: str = "") -> str:
    words = f'behavior="{behavior}" {behavior.lower()}BehaviorEventRef="throw_{kind}" isSequential="{str(one_by_one).lower()}"'
    condition = f"<completionCondition>{escape(until)}</completionCondition>" if until else ""
    return (
        f"<multiInstanceLoopCharacteristics {words}><loopCardinality>{count}</loopCardinality>{condition}"
        "</multiInstanceLoopCharacteristics>")


def complex_(*definitions: tuple[str, str], count: str = "3", one_by_one: bool = False) -> str:
    made = "".join(
        f"<complexBehaviorDefinition><condition>{escape(condition)}</condition>" + (f"<event>{thrown}</event>" if thrown else "")
        + "</complexBehaviorDefinition>" for condition, thrown in definitions)
    return (
        f'<multiInstanceLoopCharacteristics behavior="Complex" isSequential="{str(one_by_one).lower()}"><loopCardinality>{count}'
        f"</loopCardinality>{made}</multiInstanceLoopCharacteristics>")


# ----------------------------------------------------------------------------------------------------------- None and One
@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_each_completion_throws_the_event_of_behaviour_none_to_the_boundary(kind: str, one_by_one: bool) -> None:
    p = play(process(
        start(), user("a", throwing("None", kind, one_by_one=one_by_one)), boundary("b", "a", event(kind, KINDS[kind])),
        script("n", "{n: n + 1}"), user("z"), "s>a", "a>z", "b>n"), n=0)

    p.do("a").check(n=1).do("a").check(n=2).do("a").check("z", n=3)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_the_first_completion_throws_the_event_of_behaviour_one_once(one_by_one: bool) -> None:
    p = play(process(
        start(), user("a", throwing("One", one_by_one=one_by_one)), boundary("b", "a", event("signal", "sA")), user("y"),
        user("z"), "s>a", "a>z", "b>y"))

    p.do("a").check("a y" if one_by_one else "a a y").do("a", "a").check("y z")


def test_the_most_special_boundary_event_catches_an_implicit_escalation() -> None:
    p = play(process(
        start(), user("a", throwing("One", "escalation")), boundary("all", "a", event("escalation")),
        boundary("b", "a", event("escalation", "xA")), user("x"), user("y"), "s>a", "all>x", "b>y"))

    p.do("a").check("a a y")


def test_an_implicit_error_interrupts_the_activity_at_its_boundary() -> None:
    p = play(process(
        start(), user("a", throwing("One", "error")), boundary("b", "a", event("error", "eA")), user("y"), user("z"), "s>a",
        "a>z", "b>y"))

    p.do("a").check("y")


def test_an_implicit_escalation_that_the_boundary_does_not_catch_reaches_the_scope_around() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), user("a", throwing("None", "escalation")), "s1>a"),
        boundary("b", "sp", event("escalation", "xA"), cancelActivity="false"), user("y"), "s>sp", "b>y"))

    p.do("a").check("a a y").do("a").check("a y y")


def test_an_implicit_error_interrupts_the_scope_around_when_the_boundary_does_not_catch_it() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), user("a", throwing("None", "error")), "s1>a"),
        boundary("b", "sp", event("error", "eA")), user("y"), user("z"), "s>sp", "sp>z", "b>y"))

    p.do("a").check("y")


def test_an_implicit_error_that_nobody_catches_is_an_incident_at_the_instance() -> None:
    p = play(process(start(), user("a", throwing("None", "error")), user("z"), "s>a", "a>z")).do("a")

    assert p.incidents == [("a", "bpmn_error")]
    assert p.open == "a a"


@pytest.mark.parametrize("kind", ["signal", "message"])
def test_an_implicit_event_that_nobody_catches_leaves_the_instance(kind: str) -> None:
    p = play(process(start(), user("a", throwing("One", kind)), "s>a"))
    p.do("a")

    assert p.first.step
    [thrown] = p.first.step.thrown
    assert (thrown.kind, thrown.name) == (SubscriptionKind(kind), KINDS[kind])


def test_an_implicit_message_is_caught_elsewhere_in_the_instance() -> None:
    p = play(process(
        start(), user("a", throwing("One", "message")), "s>a",
        event_sub("q", start("s1", event("message", "mA"), isInterrupting="false"), user("h"), "s1>h")))

    p.do("a").check("a a h")


def test_an_instance_that_a_boundary_event_interrupted_throws_nothing() -> None:
    p = play(process(
        start(), user("a", throwing("None")), boundary("b", "a", event("signal", "sA")),
        boundary("stop", "a", event("message", "mB")), script("n", "{n: n + 1}"), user("y"), "s>a", "b>n", "stop>y"), n=0)

    p.do("a").message("mB").check("y", n=1)


def test_instances_in_instances_throw_to_their_own_boundary() -> None:
    p = play(process(
        start(),
        sub("outer", start("s1"),
            sub("middle", start("s2"), user("a", throwing("None", count="2")), boundary("b", "a", event("signal", "sA")),
                script("n", "{n: n + 1}"), "s2>a", "b>n"),
            "s1>middle", inner=throwing("None", "message", "2")),
        boundary("c", "outer", event("message", "mA")), script("m", "{m: m + 1}"), user("z"), "s>outer", "outer>z", "c>m"),
        n=0, m=0)

    p.do("a").check("a a a", n=1, m=0).do("a", "a").check("a", n=3, m=1).do("a").check("z", n=4, m=2)


# ---------------------------------------------------------------------------------------------------------------- complex
@pytest.mark.parametrize("kind", KINDS)
def test_a_complex_behaviour_throws_its_event_and_ends_the_activity_once_its_condition_holds(kind: str) -> None:
    p = play(process(
        start(), user("a", complex_(("nrOfCompletedInstances = 2", event(kind, KINDS[kind])), count="4")),
        boundary("b", "a", event(kind, KINDS[kind])), user("y"), user("z"), "s>a", "a>z", "b>y"))

    p.do("a").check("a a a").do("a").check("y z")
    assert len(p.seen(log.UserTaskCancelled)) == 2


def test_every_complex_definition_whose_condition_holds_throws_its_event() -> None:
    p = play(process(
        start(), user("a", complex_(
            ("ok", event("signal", "sA")), ("ok and nrOfActiveInstances = 2", event("escalation", "xA")),
            ("not(ok)", event("message", "mA")), one_by_one=False)),
        boundary("b1", "a", event("signal", "sA")), boundary("b2", "a", event("escalation", "xA")),
        boundary("b3", "a", event("message", "mA")), user("x"), user("y"), user("w"), user("z"), "s>a", "a>z", "b1>x", "b2>y",
        "b3>w"))

    p.do("a", ok=True).check("x y z")


def test_a_complex_condition_reads_what_the_instance_that_completes_wrote() -> None:
    p = play(process(
        start(), user("a", complex_(('verdict = "veto"', event("error", "eA")), one_by_one=True)),
        boundary("b", "a", event("error", "eA")), user("y"), user("z"), "s>a", "a>z", "b>y"))

    p.do("a", verdict="yes").check("a").do("a", verdict="veto").check("y")


def test_a_complex_definition_without_an_event_ends_the_activity() -> None:
    p = play(process(start(), service("a", "work", complex_(("done", ""))), user("z"), "s>a", "a>z"))

    p.work("a", done=False).check("").work("a", done=True).check("z")
    assert not p.first.jobs


def test_without_a_condition_that_holds_a_complex_activity_ends_with_its_last_instance() -> None:
    p = play(process(start(), user("a", complex_(("false", event("signal", "sA")))), user("z"), "s>a", "a>z"))

    p.do("a", "a").check("a").do("a").check("z")


# --------------------------------------------------------------------------------------------------------------- counters
def counters(p: Play) -> list[tuple[str, int]]:
    [(_, token), *_] = p.first.user_tasks()
    return [(name[4:-9], value) for name, value in sorted(p.variables(token).items()) if name.startswith("nrOf")]


def test_an_instance_that_ends_by_termination_counts_as_terminated() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), user("a"), exclusive("g"), end("t", TERMINATE), end("e1"), "s1>a", "a>g", "g>t: stop",
            "g>e1: not(stop)", inner=many("4", until="nrOfTerminatedInstances = 2")),
        user("z"), "s>sp", "sp>z"))

    p.do("a", stop=True)
    assert counters(p) == [("Active", 3), ("Completed", 0), ("", 4), ("Terminated", 1)]
    p.do("a", stop=False).check("a a").do("a", stop=True).check("z")


def test_terminated_and_completed_instances_together_end_the_activity() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), parallel("f"), user("a"), user("b"), end("t", TERMINATE), "s1>f", "f>a", "f>b", "a>t",
            inner=many("2")),
        user("z"), "s>sp", "sp>z"))

    p.do("a").check("a b").do("a").check("z")


# -------------------------------------------------------------------------------------------------------------- conflicts
def test_instances_that_write_different_values_to_one_variable_conflict() -> None:
    p = play(process(start(), user("a", many("3")), user("z"), "s>a", "a>z"), total=0, same=0)
    p.do("a", total=5, same=1, own=1).do("a", total=7, same=1, own=2).do("a", total=7, same=1, own=3)

    assert [(e.element, e.name) for e in p.seen(log.WriteConflicted)] == [("a", "total")]
    p.check("z", total=7, own=None)


def test_instances_one_after_the_other_do_not_conflict() -> None:
    p = play(process(start(), user("a", many("2", one_by_one=True)), user("z"), "s>a", "a>z"), total=0)
    p.do("a", total=5).do("a", total=7).check("z")

    assert not p.seen(log.WriteConflicted)


def test_what_is_written_deep_inside_instances_conflicts_too() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), sub("inner", start("s2"), user("a", many("1")), "s2>a"), "s1>inner", inner=many("2")),
        user("z"), "s>sp", "sp>z"), total=0)
    p.do("a", total=5).do("a", total=7).check("z")

    assert [(e.element, e.name) for e in p.seen(log.WriteConflicted)] == [("sp", "total")]


def test_inputs_of_two_branches_do_not_conflict() -> None:
    inputs = '<extensionElements><camunda:inputOutput><camunda:inputParameter name="q">{}</camunda:inputParameter>' \
             "</camunda:inputOutput></extensionElements>"
    p = play(process(
        start(), parallel("f"), user("a", inputs.format(1)), user("b", inputs.format(2)), parallel("j"), user("z"), "s>f", "f>a",
        "f>b", "a>j", "b>j", "j>z"))
    p.do("a", "b").check("z")

    assert not p.seen(log.WriteConflicted)


def test_the_gathered_list_is_written_where_the_activity_ends() -> None:
    gathered = properties(outputCollection="scores", outputElement="score")
    p = play(process(
        start(), parallel("f"), user("a", gathered + many("2")), user("b"), parallel("j"), user("z"), "s>f", "f>a", "f>b", "a>j",
        "b>j", "j>z"))
    p.do("a", score=1).do("a", score=2).do("b", scores=[]).check("z")

    assert [(e.element, e.name) for e in p.seen(log.WriteConflicted)] == [("j", "scores")]
