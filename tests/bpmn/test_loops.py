"""Standard loops and multi-instance activities: how often, in which order, what each instance sees and gives."""

from __future__ import annotations

import pytest

from engine import events as log
from tests.bpmn.build import (
    boundary,
    call,
    diagram,
    event,
    event_sub,
    loop,
    many,
    process,
    properties,
    receive,
    script,
    service,
    start,
    sub,
    user,
)
from tests.bpmn.play import Play


def play(*processes: str, start: str | None = "p", **variables: object) -> Play:
    return Play(diagram(*processes), start, variables)


def flow(activity: str, *more: str) -> str:
    return process(start(), activity, user("z"), "s>a", "a>z", *more)


# ---------------------------------------------------------------------------------------------------------- standard loops
def test_a_loop_runs_at_least_once_and_as_long_as_its_condition_holds() -> None:
    play(flow(script("a", "{n: n + 1}", loop("n < 4"))), n=0).check("z", n=4)
    play(flow(script("a", "{n: n + 1}", loop("n < 4"))), n=9).check("z", n=10)


def test_a_loop_that_tests_first_may_not_run_at_all() -> None:
    play(flow(script("a", "{n: n + 1}", loop("n < 4", test_before=True))), n=9).check("z", n=9)
    play(flow(script("a", "{n: n + 1}", loop("n < 4", test_before=True))), n=2).check("z", n=4)


def test_a_loop_runs_as_often_as_its_maximum_says_and_no_more() -> None:
    play(flow(user("a", loop(maximum="2")))).do("a").check("a").do("a").check("z")
    play(flow(user("a", loop("again", maximum="3"))), again=True).do("a").check("a").do("a", again=False).check("z")
    play(flow(user("a", loop(maximum="0", test_before=True)))).check("z")


def test_each_turn_of_a_loop_sees_its_number() -> None:
    play(flow(script("a", "{log: append(log, loopCounter)}", loop(maximum="3"))), log=[]).check("z", log=[1, 2, 3], loopCounter=None)


def test_a_null_loop_condition_ends_the_loop() -> None:
    play(flow(user("a", loop("unknown > 1")))).do("a").check("z")


def test_a_sub_process_and_a_call_may_loop() -> None:
    play(flow(sub("a", start("s1"), user("in"), "s1>in", inner=loop(maximum="2")))).do("in").check("in").do("in").check("z")
    called = process(start(), user("in"), "s>in", id="q")
    play(called, flow(call("a", "q", loop(maximum="2")))).do("in").check("in").do("in").check("z")


# ----------------------------------------------------------------------------------------------------------- multi-instance
KINDS = {
    "user task": (user, "a"), "receive task": (lambda id, inner: receive(id, "mA", inner), "a"),
    "sub-process": (lambda id, inner: sub(id, start("s1"), user("in"), "s1>in", inner=inner), "in"),
    "transaction": (lambda id, inner: sub(id, start("s1"), user("in"), "s1>in", inner=inner, tag="transaction"), "in"),
    "call activity": (lambda id, inner: call(id, "q", inner), "in"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("one_by_one", [True, False])
def test_every_kind_of_activity_runs_in_instances(kind: str, one_by_one: bool) -> None:
    make, inside = KINDS[kind]
    p = play(flow(make("a", many("3", one_by_one=one_by_one))), process(start(), user("in"), "s>in", id="q"))
    for left in (3, 2, 1):
        p.check(" ".join([inside] * (1 if one_by_one else left)), False)
        p.message("mA") if kind == "receive task" else p.do(inside)
    p.check("z")


def test_an_empty_collection_and_no_instances_go_on_at_once() -> None:
    play(flow(user("a", many(collection="lots"))), lots=[]).check("z")
    play(flow(user("a", many("0")))).check("z")
    play(flow(user("a", many(collection="lots", one_by_one=True))), lots=[]).check("z")
    gathered = properties(outputCollection="found", outputElement="x")
    play(flow(user("a", gathered + many(collection="lots"))), lots=[]).check("z", found=[])


@pytest.mark.parametrize("one_by_one", [True, False])
def test_each_instance_sees_its_item_and_its_number(one_by_one: bool) -> None:
    play(
        flow(script("a", "{log: append(log, [loopCounter, lot, nrOfInstances])}", many(collection="lots", item="lot", one_by_one=one_by_one))),
        lots=["A", "B", "C"], log=[],
    ).check("z", log=[[1, "A", 3], [2, "B", 3], [3, "C", 3]], lot=None, loopCounter=None)


def test_results_stand_in_the_order_of_the_collection_whoever_is_first() -> None:
    gathered = properties(outputCollection="prices", outputElement="price")
    p = play(flow(user("a", gathered + many(collection="lots", item="lot"))), lots=["A", "B", "C"])
    tokens = {p.variables(token)["lot"]: token for _, token in p.first.user_tasks()}
    assert len(tokens) == 3
    from engine.model import CompleteUserTask

    for lot, price in (("C", 3), ("A", 1), ("B", 2)):
        p.send(p.first, CompleteUserTask(token=tokens[lot], values={"price": price}))
    p.check("z", prices=[1, 2, 3], price=None)


def test_results_that_are_missing_when_the_rest_is_cancelled_are_null() -> None:
    gathered = properties(outputCollection="prices", outputElement="price")
    p = play(flow(user("a", gathered + many("3", until="nrOfCompletedInstances = 1"))))
    p.do("a", price=5).check("z", prices=[5, None, None])


def test_the_completion_condition_counts_what_is_done_and_what_is_open() -> None:
    play(flow(user("a", many("4", until="nrOfActiveInstances = 1")))).do("a", "a").check("a a").do("a").check("z")
    play(flow(user("a", many("4", until="nrOfCompletedInstances / nrOfInstances >= 0.5")))).do("a").check("a a a").do("a").check("z")
    play(flow(user("a", many("4", one_by_one=True, until="nrOfCompletedInstances = 2")))).do("a").check("a").do("a").check("z")
    play(flow(user("a", many("4", until="agreed"))), agreed=False).do("a").check("a a a").do("a", agreed=True).check("z")


def test_a_null_completion_condition_does_not_complete() -> None:
    play(flow(user("a", many("2", until="unknown > 1")))).do("a").check("a").do("a").check("z")


def test_a_completion_condition_cancels_jobs_and_called_processes_too() -> None:
    p = play(flow(service("a", "work", many("3", until="nrOfCompletedInstances = 1")))).work("a").check("z")
    assert not p.first.jobs
    assert len(p.seen(log.JobCancelled)) == 2
    called = process(start(), user("in"), "s>in", id="q")
    play(called, flow(call("a", "q", many("3", until="nrOfCompletedInstances = 1")))).do("in").check("z").do("z").check("", True)


def test_instances_in_instances_have_their_own_counters() -> None:
    inner = script("b", "{log: append(log, [row, loopCounter, cell])}", many(collection="row", item="cell", one_by_one=True))
    play(
        flow(sub("a", start("s1"), inner, "s1>b", inner=many(collection="rows", item="row", one_by_one=True))), rows=[[7, 8], [9]], log=[],
    ).check("z", log=[[[7, 8], 1, 7], [[7, 8], 2, 8], [[9], 1, 9]])


def test_each_instance_of_a_sub_process_has_its_own_events() -> None:
    p = play(flow(sub(
        "a", start("s1"), user("in"), boundary("b", "in", event("message", "mA")), user("y"), "s1>in", "b>y",
        event_sub("q", start("s2", event("message", "mB"), isInterrupting="false"), user("h"), "s2>h"), inner=many("2"))))
    p.message("mA").check("in y").message("mB").check("h in y").do("y", "h").check("in").do("in").check("z")


def test_an_instance_that_is_interrupted_inside_counts_as_done() -> None:
    p = play(flow(sub("a", start("s1"), user("in"), "s1>in", event_sub("q", start("s2", event("message", "mB")), user("h"), "s2>h"), inner=many("2"))))
    p.message("mB").check("h in").do("h").check("in").do("in").check("z")


SIGNALS = '<signalEventDefinition id="ed" signalRef="sA"/>'


def notified(behavior: str, reference: str, interrupting: str) -> Play:
    several = (
        f'<multiInstanceLoopCharacteristics behavior="{behavior}" {reference}="ed"><loopCardinality>3</loopCardinality>'
        "</multiInstanceLoopCharacteristics>")
    return play(SIGNALS, flow(user("a", several), boundary("b", "a", event("signal", "sA"), cancelActivity=interrupting), user("y"), "b>y"))


@pytest.mark.parametrize("interrupting", ["true", "false"])
def test_the_event_of_behaviour_none_reaches_the_boundary_after_each_instance_and_interrupts_nothing(interrupting: str) -> None:
    p = notified("None", "noneBehaviorEventRef", interrupting).check("a a a")
    p.do("a").check("a a y").do("a").check("a y y").do("a").check("y y y z")


@pytest.mark.parametrize("interrupting", ["true", "false"])
def test_the_event_of_behaviour_one_reaches_the_boundary_after_the_first_instance_only(interrupting: str) -> None:
    notified("One", "oneBehaviorEventRef", interrupting).do("a").check("a a y").do("a").check("a y").do("a").check("y z")


def test_without_an_event_the_boundary_hears_nothing_of_instances() -> None:
    play(flow(user("a", many("2")), boundary("b", "a", event("signal", "sA")), user("y"), "b>y")).do("a").check("a").do("a").check("z")
