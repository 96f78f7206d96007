"""Every event where it may stand: on a boundary, at the start of an event sub-process, between flows; interrupting and not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from engine import events as log
from engine.bpmn import DiagramCannotRun
from engine.model import InstanceStatus
from tests.bpmn.build import (
    boundary,
    call,
    catch,
    condition,
    diagram,
    element,
    end,
    event,
    event_sub,
    exclusive,
    many,
    mapping,
    parallel,
    process,
    properties,
    receive,
    script,
    service,
    start,
    sub,
    task,
    throw,
    timer,
    user,
)
from tests.bpmn.play import MONDAY
from tests.bpmn.watched import KeptPlay as Play

HOUR = 3600


def play(*processes: str, start: str | None = "p", **variables: object) -> Play:
    return Play(diagram(*processes), start, variables)


#: Events that come from outside the activity: (what is waited for, how it happens).
KINDS: dict[str, tuple[str, Callable[[Play], object]]] = {
    "message": (event("message", "mA"), lambda p: p.message("mA")),
    "signal": (event("signal", "sA"), lambda p: p.signal("sA")),
    "timer": (timer("timeDuration", "PT1H"), lambda p: p.wait(HOUR)),
    "date": (timer("timeDate", "2026-01-05T10:00:00"), lambda p: p.wait(HOUR)),
    "cycle": (timer("timeCycle", "R1/PT1H"), lambda p: p.wait(HOUR)),
    "condition": (condition("v > 5"), lambda p: p.set(v=9)),
    "multiple": (event("message", "mA") + event("signal", "sB"), lambda p: p.signal("sB")),
}
#: Activities that are open for a while: (parts, what is open in them).
HOSTS: dict[str, tuple[tuple[str, ...], str]] = {
    "user task": ((user("a"),), "a"),
    "service task": ((service("a"),), ""),
    "receive task": ((receive("a", "mC"),), "a"),
    "sub-process": ((sub("a", start("s1"), user("in"), "s1>in"),), "in"),
    "transaction": ((sub("a", start("s1"), user("in"), "s1>in", tag="transaction"),), "in"),
    "ad-hoc sub-process": ((sub("a", user("in"), user("in2"), tag="adHocSubProcess"),), "in in2"),
    "call activity": ((call("a", "q"),), "in"),
    "loop": ((user("a", "<standardLoopCharacteristics loopMaximum='3'/>"),), "a"),
    "parallel instances": ((user("a", many("3")),), "a a a"),
    "sequential instances": ((user("a", many("3", one_by_one=True)),), "a"),
    "instances of a sub-process": ((sub("a", start("s1"), user("in"), "s1>in", inner=many("2")),), "in in"),
    "instances of a call": ((call("a", "q", many("2")),), "in in"),
}
CALLED = process(start("s2"), user("in"), "s2>in", id="q")


def words(*names: str) -> str:
    return " ".join(sorted(" ".join(names).split()))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupting_boundary_event_ends_its_activity_and_goes_its_own_way(host: str, kind: str) -> None:
    (parts, inside), (waits, happen) = HOSTS[host], KINDS[kind]
    p = play(
        process(start(), *parts, boundary("b", "a", waits), user("y"), user("z"), end(), "s>a", "a>z", "b>y", "y>e"), CALLED, v=0)
    p.check(inside, False)
    happen(p)
    p.check("y", False)
    happen(p)
    p.check("y").do("y").check("", True)
    assert not p.first.jobs


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_non_interrupting_boundary_event_goes_its_own_way_beside_its_activity(host: str, kind: str) -> None:
    (parts, inside), (waits, happen) = HOSTS[host], KINDS[kind]
    p = play(
        process(start(), *parts, boundary("b", "a", waits, cancelActivity="false"), user("y"), user("z"), end(), "s>a", "a>z", "b>y",
                "y>e"),
        CALLED, v=0)
    happen(p)
    p.check(words(inside, "y")).do("y").check(inside, False)
    if kind in ("message", "signal", "multiple"):
        happen(p)
        p.check(words(inside, "y"))


@pytest.mark.parametrize("scope", ["process", "sub-process", "called process", "instances"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("interrupting", [True, False])
def test_an_event_sub_process_of_each_start_in_each_scope(scope: str, kind: str, interrupting: bool) -> None:
    waits, happen = KINDS[kind]
    scoped = (
        start(), parallel("f"), user("a"), sub("sp", start("s1"), user("b"), "s1>b"), "s>f", "f>a", "f>sp",
        event_sub("ev", start("s3", waits, isInterrupting=str(interrupting).lower()), user("h"), "s3>h"))
    p = play(*{
        "process": [process(*scoped)],
        "sub-process": [process(start("s0"), sub("scope", *scoped), user("z"), "s0>scope", "scope>z")],
        "called process": [process(*scoped, id="q"), process(start("s0"), call("k", "q"), user("z"), "s0>k", "k>z")],
        "instances": [process(start("s0"), sub("scope", *scoped, inner=many("1")), user("z"), "s0>scope", "scope>z")],
    }[scope], v=0)
    p.check("a b", False)

    if scope == "called process" and kind == "condition":
        return  # the caller's variable is not seen there
    happen(p)
    p.check("h" if interrupting else "a b h", False)
    if not interrupting and kind in ("message", "signal", "multiple"):
        happen(p)
        p.check("a b h h").do("h")
    if not interrupting:
        p.do("a", "b").check("h", False)
    p.do("h").check("" if scope == "process" else "z", scope == "process")
    assert p.first.step
    assert not p.first.step.subscriptions
    assert not p.first.step.timers


# ---------------------------------------------------------------------------------------------------- catching between flows
@pytest.mark.parametrize("kind", KINDS)
def test_a_catching_event_waits_and_goes_on(kind: str) -> None:
    waits, happen = KINDS[kind]
    p = play(process(start(), catch("c", waits), user("z"), "s>c", "c>z"), v=0).check("c")
    happen(p)
    p.check("z")


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_event_with_a_trigger_waits_for_it_when_a_person_starts_the_process(kind: str) -> None:
    waits, happen = KINDS[kind]
    p = play(process(start(inner=waits), user("z"), "s>z"), v=0).check("")
    happen(p)
    assert p.first.waits() == ["z"]


def test_a_start_event_with_a_trigger_waits_for_it_when_the_process_is_called() -> None:
    called = process(start(inner=timer("timeDuration", "PT1H")), user("a"), "s>a", id="q")
    play(called, process(start(), call("k", "q"), user("z"), "s>k", "k>z")).check("").wait(HOUR).check("a").do("a").check("z")


def test_of_several_triggers_at_the_start_the_first_counts() -> None:
    xml = process(
        start("s1", event("message", "mA")), start("s2", timer("timeDuration", "PT1H")), user("a"), user("b"), "s1>a", "s2>b")
    play(xml).message("mA").wait(2 * HOUR).check("a").do("a").check("", True)
    play(xml).wait(HOUR).message("mA").check("b a")  # the message starts an instance of its own
    assert play(xml).wait(HOUR).first.user_tasks()[0][0] == "b"


def test_the_event_that_starts_an_instance_is_not_waited_for_again_nor_are_the_others() -> None:
    xml = diagram(process(start("s1", event("message", "mA")), start("s2", event("message", "mB")), user("a"), user("b"), "s1>a", "s2>b"))
    p = Play(xml, None)
    p.message("mB", offer=1).check("b", offer=1)
    assert p.first.step
    assert not p.first.step.subscriptions


def test_a_condition_that_holds_already_is_noticed_at_once_wherever_it_is_waited_for() -> None:
    play(process(start(), catch("c", condition("v > 5")), user("z"), "s>c", "c>z"), v=9).check("z")
    play(process(start(), user("a"), boundary("b", "a", condition("v > 5")), user("y"), "s>a", "b>y"), v=9).check("y")
    play(process(start(), user("a"), "s>a", event_sub("q", start("s1", condition("v > 5")), user("h"), "s1>h")), v=9).check("h")


def test_a_condition_is_looked_at_whoever_writes_its_variable() -> None:
    xml = process(start(), parallel("f"), catch("c", condition("v > 5")), user("a"), service("w"), user("z"), "s>f", "f>c", "f>a", "f>w", "c>z")
    play(xml, v=0).do("a", v=9).check("z")
    play(xml, v=0).work("w", v=9).check("a z")
    play(xml, v=0).set(v=9).check("a z")
    play(xml, v=0).do("a", v=None).check("c")


def test_a_non_interrupting_condition_happens_each_time_it_becomes_true() -> None:
    p = play(
        process(start(), user("a"), "s>a",
                event_sub("q", start("s1", condition("v > 5"), isInterrupting="false"), user("h"), "s1>h")), v=0)
    p.set(v=6).check("a h").wait(60).set(v=7).check("a h").set(v=5).check("a h").set(v=6).check("a h h")


def test_a_parallel_multiple_event_waits_for_all_wherever_it_stands() -> None:
    both = event("message", "mA") + timer("timeDuration", "PT1H")
    p = play(process(start(), user("a"), boundary("b", "a", both, parallelMultiple="true"), user("y"), "s>a", "b>y"))
    p.wait(HOUR).check("a").message("mA").check("y")
    p = play(process(start(), user("a"), "s>a", event_sub("q", start("s1", both, parallelMultiple="true"), user("h"), "s1>h")))
    p.message("mA").check("a").wait(HOUR).check("h")


def test_a_parallel_multiple_event_keeps_every_payload() -> None:
    p = play(process(start(), catch("c", event("message", "mA") + event("message", "mB"), parallelMultiple="true"), user("z"), "s>c", "c>z"))
    p.message("mA", a=1).check("c").message("mB", b=2).check("z", a=1, b=2)


def test_one_message_twice_is_not_both_messages_of_a_parallel_multiple_event() -> None:
    p = play(process(start(), catch("c", event("message", "mA") + event("message", "mB"), parallelMultiple="true"), user("z"), "s>c", "c>z"))
    p.message("mA")
    assert p.subscriptions("mA") == []
    p.check("c").message("mB").check("z")


def test_a_receive_task_maps_what_it_receives() -> None:
    p = play(process(start(), receive("r", "mA", mapping(outputs={"offer": "price * 2"})), user("z"), "s>r", "r>z"))
    p.message("mA", price=4).check("z", offer=8, price=None)


def test_a_receive_task_without_a_message_takes_one_of_its_own_name() -> None:
    play(process(start(), element("receiveTask", "answer"), user("z"), "s>answer", "answer>z")).message("answer", ok=True).check("z", ok=True)


@pytest.mark.parametrize("order", [0, 1])
def test_each_instance_of_a_receive_task_takes_a_message_of_its_own(order: int) -> None:
    p = play(
        process(start(), receive("r", "mA", many(collection="lots", item="lot") + properties(correlationKey="lot")), user("z"), "s>r", "r>z"),
        lots=["A", "B"])
    p.message("mA", key="AB"[order]).check("r").message("mA", key="AB"[1 - order]).check("z")


def test_shared_event_definitions_are_used_where_they_are_referred_to() -> None:
    xml = diagram(
        '<messageEventDefinition id="shared" messageRef="mA"/>',
        process(start(), catch("c", "<eventDefinitionRef>shared</eventDefinitionRef>"), user("z"), "s>c", "c>z"))
    Play(xml, "p").check("c").message("mA").check("z")


# --------------------------------------------------------------------------------------------------------------------- throwing
CATCHERS = (
    parallel("f"), catch("c", event("signal", "sA")), user("y"), user("a"), boundary("b", "a", event("signal", "sA")), user("x"),
    user("w"), "s>f", "f>c", "f>a", "f>w", "c>y", "b>x",
    event_sub("q", start("s1", event("signal", "sA"), isInterrupting="false"), user("h"), "s1>h"))


@pytest.mark.parametrize("thrower", [
    throw("t", event("signal", "sA")), end("t", event("signal", "sA")),
    sub("t", start("s2"), end("e2", event("signal", "sA")), "s2>e2")])
def test_a_thrown_signal_reaches_everyone_who_waits_in_the_instance(thrower: str) -> None:
    play(process(start(), *CATCHERS, thrower, "w>t")).check("a c w").do("w").check("h x y")


def test_a_signal_thrown_in_a_called_process_reaches_the_caller_and_the_other_way_round() -> None:
    called = process(
        start(), parallel("f"), user("a"), throw("t", event("signal", "sA")), catch("d", event("signal", "sB")), user("y"), "s>f",
        "f>a", "a>t", "f>d", "d>y", id="q")
    caller = process(
        start(), parallel("f"), call("k", "q"), catch("c", event("signal", "sA")), throw("u", event("signal", "sB")), "s>f", "f>k",
        "f>c", "c>u")
    play(called, caller).check("a c d").do("a").check("y")


@pytest.mark.parametrize("thrower", [
    throw("t", event("message", "mA")), end("t", event("message", "mA")), element("sendTask", "t", messageRef="mA")])
def test_a_thrown_message_reaches_one_who_waits_inside_and_no_other(thrower: str) -> None:
    p = play(process(
        start(), parallel("f"), catch("c1", event("message", "mA")), catch("c2", event("message", "mA")), user("y1"), user("y2"),
        user("w"), "s>f", "f>c1", "f>c2", "f>w", "c1>y1", "c2>y2", "w>t", thrower))
    p.do("w").check("c2 y1")
    assert p.first.step
    assert not p.first.step.thrown


def test_every_event_of_a_multiple_throwing_event_is_thrown() -> None:
    p = play(process(
        start(), parallel("f"), catch("c1", event("signal", "sA")), catch("c2", event("message", "mA")), user("y1"), user("y2"),
        user("w"), end("t", event("signal", "sA") + event("message", "mA")), "s>f", "f>c1", "f>c2", "f>w", "c1>y1", "c2>y2", "w>t"))
    p.do("w").check("y1 y2")


def test_a_throwing_event_without_anything_to_throw_goes_on() -> None:
    play(process(start(), throw("t"), user("z"), "s>t", "t>z")).check("z")


def test_several_links_lead_to_one_target_and_back_into_a_loop() -> None:
    link = '<linkEventDefinition name="L"/>'
    p = play(
        process(
            start(), exclusive("g"), throw("t1", link), throw("t2", link), catch("c", link), user("a"), exclusive("m"), throw("t3", link),
            end(), "s>g", "g>t1: first", "g>t2!", "c>a", "a>m", "m>t3: again", "m>e!"),
        first=True, again=True)
    p.check("a").do("a").check("a").do("a", again=False).check("", True)
    play(process(start(), throw("t1", link), throw("t2", link), catch("c", link), user("a"), task("x"), "s>t2", "c>a", "x>t1")).check("a")


# --------------------------------------------------------------------------------------------------------- errors, escalations
def thrower_in(scope: str, throws: str) -> list[str]:
    """A thrower inside something that has the boundary event b: returns the parts of processes q and p."""
    inside = (start("s1"), parallel("f1"), user("a"), user("other"), throws, "s1>f1", "f1>a", "f1>other", "a>t")
    host = {
        "sub-process": sub("k", *inside), "transaction": sub("k", *inside, tag="transaction"), "called process": call("k", "q"),
        "instance": sub("k", *inside, inner=many("1")), "instance of a call": call("k", "q", many("1")),
        "sub-process in a sub-process": sub("k", start("s2"), sub("deep", *inside), "s2>deep"),
        "event sub-process": sub("k", start("s2"), user("idle"), "s2>idle", event_sub(
            "ev", start("s1", event("signal", "sC")), *inside[1:])),
    }[scope]
    return [process(*inside, id="q"), host]


SCOPES = [
    "sub-process", "transaction", "called process", "instance", "instance of a call", "sub-process in a sub-process", "event sub-process"]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("code", ["eA", ""])
def test_an_error_ends_the_activity_whose_boundary_catches_it(scope: str, code: str) -> None:
    called, host = thrower_in(scope, end("t", event("error", "eA")))
    p = play(process(
        start(), host, boundary("b", "k", event("error", code)), user("y"), user("z"), end(), "s>k", "k>z", "b>y", "y>e"), called)
    if scope == "event sub-process":
        p.signal("sC")
    p.check("a other").do("a").check("y", False).do("y").check("", True)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("interrupting", [True, False])
@pytest.mark.parametrize("throws", [throw("t", event("escalation", "xA")), end("t", event("escalation", "xA"))])
def test_an_escalation_reaches_the_boundary_and_interrupts_only_when_told_to(scope: str, interrupting: bool, throws: str) -> None:
    called, host = thrower_in(scope, throws)
    p = play(process(
        start(), host, boundary("b", "k", event("escalation", "xA"), cancelActivity=str(interrupting).lower()), user("y"), user("z"), end(),
        "s>k", "k>z", "b>y", "y>e"), called)
    if scope == "event sub-process":
        p.signal("sC")
    p.check("a other").do("a").check("y" if interrupting else "other y")
    if not interrupting:
        p.do("other").check("y z")


@pytest.mark.parametrize("kind", ["error", "escalation"])
def test_the_innermost_catcher_of_a_code_takes_it(kind: str) -> None:
    letter = kind[0] if kind == "error" else "x"
    inner = sub("i", start("s2"), end("t", event(kind, f"{letter}A")), "s2>t")
    p = play(process(
        start(),
        sub("o", start("s1"), inner, boundary("b1", "i", event(kind, f"{letter}B")), user("wrong"), boundary("b2", "i", event(kind, f"{letter}A")),
            user("right"), "s1>i", "b1>wrong", "b2>right"),
        boundary("b3", "o", event(kind, f"{letter}A")), user("far"), "s>o", "b3>far"))
    p.check("right")
    p = play(process(
        start(),
        sub("o", start("s1"), inner, boundary("b1", "i", event(kind, f"{letter}B")), user("wrong"), "s1>i", "b1>wrong"),
        boundary("b3", "o", event(kind)), user("far"), "s>o", "b3>far"))
    p.check("far")


def test_an_escalation_that_nobody_catches_changes_nothing() -> None:
    p = play(process(start(), sub("sp", start("s1"), throw("t", event("escalation", "xA")), user("a"), "s1>t", "t>a"), user("z"), "s>sp", "sp>z"))
    p.check("a").do("a").check("z")
    assert p.seen(log.EscalationThrown)[0].caught_by is None
    play(process(start(), end("e", event("escalation", "xA")), "s>e")).check("", True)


@pytest.mark.parametrize("interrupting", [True, False])
def test_an_escalation_reaches_an_event_sub_process_of_the_scope(interrupting: bool) -> None:
    p = play(process(
        start(), parallel("f"), user("a"), user("w"), throw("t", event("escalation", "xA")), user("z"), "s>f", "f>a", "f>w", "w>t", "t>z",
        event_sub("q", start("s1", '<escalationEventDefinition escalationRef="xA" camunda:escalationCodeVariable="code"/>',
                             isInterrupting=str(interrupting).lower()), user("h"), "s1>h")))
    p.do("w").check("h" if interrupting else "a h z")
    assert p.variables(p.first.user_tasks()[-1 if interrupting else 1][1])["code"] == "xA"


@pytest.mark.parametrize("words", [{"isInterrupting": "false"}, {}])
def test_an_event_sub_process_for_an_error_always_interrupts(words: dict[str, str]) -> None:
    p = play(process(
        start(), parallel("f"), user("a"), user("w"), end("t", event("error", "eA")), "s>f", "f>a", "f>w", "w>t",
        event_sub("q", start("s1", event("error", "eA"), **words), user("h"), "s1>h")))
    p.do("w").check("h").do("h").check("", True)


@pytest.mark.parametrize("words", [{"cancelActivity": "false"}, {}])
def test_a_boundary_event_for_an_error_always_interrupts(words: dict[str, str]) -> None:
    p = play(process(
        start(), sub("sp", start("s1"), parallel("f"), user("a"), user("w"), end("t", event("error", "eA")), "s1>f", "f>a", "f>w", "w>t"),
        boundary("b", "sp", event("error", "eA"), **words), user("y"), "s>sp", "b>y"))
    p.do("w").check("y").do("y").check("", True)


def test_an_error_in_the_handling_of_an_error_is_not_handled_by_the_same() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), end("t", event("error", "eA")), "s1>t",
                     event_sub("q", start("s2", event("error", "eA")), end("t2", event("error", "eA")), "s2>t2")),
        boundary("b", "sp", event("error", "eA")), user("y"), "s>sp", "b>y"))
    p.check("y")


def test_an_error_of_a_handler_inside_a_called_process_reaches_the_caller() -> None:
    p = play(
        process(start(), service("w"), "s>w", id="q"),
        process(start(), call("k", "q"), boundary("b", "k", event("error", "eA")), user("y"), "s>k", "b>y"))
    p.fail("w", "eA").check("y")


def test_an_error_of_one_instance_reaches_the_boundary_of_the_activity() -> None:
    p = play(process(start(), service("w", "work", many("3")), boundary("b", "w", event("error", "eA")), user("y"), user("z"), "s>w", "b>y", "w>z"))
    p.work("w").fail("w", "eA").check("y")
    assert not p.first.jobs


def test_an_uncaught_error_inside_a_sub_process_waits_there_with_an_incident() -> None:
    p = play(process(start(), sub("sp", start("s1"), end("t", event("error", "eA")), "s1>t"), boundary("b", "sp", event("error", "eB")),
                     user("y"), "s>sp", "b>y"))
    assert p.incidents == [("t", "bpmn_error")]
    assert p.first.status is InstanceStatus.ACTIVE


def test_an_error_end_event_in_a_process_without_a_code_is_refused() -> None:
    with pytest.raises(DiagramCannotRun):
        play(process(start(), end("e", event("error")), "s>e"))


# ---------------------------------------------------------------------------------------------------------------------- timers
def due(p: Play) -> list[datetime]:
    assert p.first.step
    return [t.due_at for t in p.first.step.timers]


def test_a_cycle_with_a_start_has_its_first_turn_then() -> None:
    p = play(process(
        start(), user("a"), boundary("b", "a", timer("timeCycle", "R2/2026-01-05T12:00:00+08:00/PT2H"), cancelActivity="false"), user("z"),
        "s>a", "b>z"))
    assert due(p) == [MONDAY + timedelta(hours=3)]
    p.wait(3 * HOUR).check("a z")
    assert due(p) == [MONDAY + timedelta(hours=5)]
    p.wait(99 * HOUR).check("a z z")


def test_a_cycle_on_a_catching_event_gives_a_token_each_turn() -> None:
    p = play(process(start(), catch("c", timer("timeCycle", "R3/PT1H")), user("z"), end(), "s>c", "c>z", "z>e"))
    p.wait(HOUR).check("c z").wait(HOUR).check("c z z").wait(99 * HOUR).check("z z z").do("z", "z", "z").check("", True)


def test_a_cycle_starts_an_event_sub_process_as_often_as_it_says() -> None:
    p = play(process(start(), user("a"), "s>a", event_sub(
        "q", start("s1", timer("timeCycle", "R2/PT1H"), isInterrupting="false"), user("h"), "s1>h")))
    p.wait(HOUR).check("a h").wait(99 * HOUR).check("a h h").do("a", "h", "h").check("", True)


def test_a_cycle_that_interrupts_happens_once() -> None:
    play(process(start(), user("a"), boundary("b", "a", timer("timeCycle", "R3/PT1H")), user("y"), "s>a", "b>y")).wait(99 * HOUR).check("y")


def test_a_duration_counts_from_its_beginning_when_its_variable_changes() -> None:
    p = play(process(start(), user("a"), boundary("b", "a", timer("timeDuration", "= limit")), user("y"), "s>a", "b>y"), limit="PT4H")
    p.wait(HOUR).set(limit="PT3H")
    assert due(p) == [MONDAY + timedelta(hours=3)]
    p.wait(2 * HOUR).check("y")


def test_a_timer_that_comes_to_be_while_others_fire_is_for_the_next_command() -> None:
    p = play(process(
        start(), catch("c1", timer("timeDate", "2026-01-05T10:00:00")), catch("c2", timer("timeDate", "2026-01-05T11:00:00")), user("z"),
        "s>c1", "c1>c2", "c2>z"))
    p.sleep(5 * HOUR).check("c2").sleep(0).check("z")


def test_months_are_those_of_the_house_zone() -> None:
    p = play(process(start(), user("w"), catch("c", timer("timeDuration", "P1M")), "s>w", "w>c"))
    p.at = datetime(2026, 1, 30, 20, 0, tzinfo=UTC)  # the 31st in Shanghai
    p.do("w")
    assert due(p) == [datetime(2026, 2, 27, 20, 0, tzinfo=UTC)]


def test_a_timer_counts_from_the_arrival_at_its_element() -> None:
    p = play(process(start(), user("w"), user("a"), boundary("b", "a", timer("timeDuration", "PT1H")), "s>w", "w>a", user("y"), "b>y"))
    p.wait(9 * HOUR).check("w").do("w").wait(HOUR - 1).check("a").wait(1).check("y")


def test_each_turn_of_a_loop_has_a_timer_of_its_own() -> None:
    p = play(process(
        start(), exclusive("m"), user("a"), boundary("b", "a", timer("timeDuration", "PT2H")), user("y"), "s>m", "m>a", "a>m", "b>y"))
    p.wait(HOUR).do("a").wait(HOUR).check("a").wait(HOUR).check("y")


def test_a_script_that_fails_does_not_fire_what_is_not_due() -> None:
    p = play(process(start(), parallel("f"), script("bad", "1"), user("a"), boundary("b", "a", timer("timeDuration", "PT1H")), user("y"),
                     "s>f", "f>bad", "f>a", "b>y"))
    assert p.open == "a"
    assert p.wait(HOUR).open == "y"


# ------------------------------------------------------------------------------------------------------ events of one another
def test_an_interrupting_event_sub_process_ends_those_that_run_and_those_that_wait() -> None:
    p = play(process(
        start(), user("a"), "s>a",
        event_sub("q1", start("s1", event("message", "mA"), isInterrupting="false"), user("h1"), "s1>h1"),
        event_sub("q2", start("s2", event("message", "mB")), user("h2"), "s2>h2"),
        event_sub("q3", start("s3", event("message", "mC")), user("h3"), "s3>h3")))
    p.message("mA").check("a h1").message("mB").check("h2").message("mA").message("mC").check("h2").do("h2").check("", True)


def test_an_interrupted_sub_process_takes_its_event_sub_processes_along() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), user("a"), "s1>a", event_sub(
            "q", start("s2", event("message", "mB"), isInterrupting="false"), user("h"), "s2>h")),
        boundary("b", "sp", event("message", "mA")), user("y"), "s>sp", "b>y"))
    p.message("mB").check("a h").message("mA").check("y").message("mB").check("y").do("y").check("", True)


def test_the_path_of_a_non_interrupting_event_goes_on_when_its_activity_is_interrupted() -> None:
    p = play(process(
        start(), user("a"), boundary("b", "a", event("message", "mA"), cancelActivity="false"), user("y"),
        boundary("c", "a", event("message", "mB")), user("x"), end(), "s>a", "b>y", "c>x", "x>e"))
    p.message("mA").message("mB").check("x y").do("x").check("y", False).do("y").check("", True)


def test_a_boundary_event_waits_only_while_its_activity_is_open() -> None:
    p = play(process(start(), user("w"), user("a"), boundary("b", "a", event("message", "mA")), user("y"), user("z"), "s>w", "w>a", "a>z", "b>y"))
    p.message("mA").check("w").do("w").check("a").do("a").message("mA").check("z")


def test_a_boundary_event_on_a_turn_of_a_loop_starts_over_with_the_next_turn_round_it() -> None:
    p = play(process(
        start(), exclusive("m"), user("a"), boundary("b", "a", event("message", "mA")), user("y"), "s>m", "m>a", "b>y", "y>m"))
    p.message("mA").check("y").do("y").check("a").message("mA").check("y")


def test_messages_and_signals_may_be_named_by_an_expression() -> None:
    names = '<message id="md" name="= &quot;offer-&quot; + lot"/><signal id="sd" name="= &quot;stop-&quot; + lot"/>'
    xml = process(start(), parallel("f"), catch("c", event("message", "md")), catch("d", event("signal", "sd")), user("y"), user("z"),
                  "s>f", "f>c", "f>d", "c>y", "d>z")
    p = Play(diagram(names, xml), "p", {"lot": "A"})
    p.message("offer-B").check("c d").message("offer-A").check("d y").signal("stop-B").check("d y").signal("stop-A").check("y z")


def test_a_message_goes_to_the_token_whose_key_it_has() -> None:
    waits = properties(correlationKey="lot") + event("message", "mA")
    p = play(
        process(start(), sub("sp", start("s1"), catch("c", waits), user("y"), "s1>c", "c>y", inner=many(collection="lots", item="lot")), "s>sp"),
        lots=["A", "B"])
    p.message("mA", key="B").check("c y")
    [(_, token)] = p.first.user_tasks()
    assert p.variables(token)["lot"] == "B"


def test_a_correlation_key_follows_its_variable() -> None:
    p = play(process(start(), parallel("f"), catch("c", properties(correlationKey="lot") + event("message", "mA")), user("a"), user("z"),
                     "s>f", "f>c", "f>a", "c>z"), lot="A")
    p.do("a", lot="B")
    assert [s.correlation_key for _, s in p.subscriptions("mA")] == ["B"]


def test_what_is_thrown_before_anybody_waits_is_not_kept_inside() -> None:
    p = play(process(start(), throw("t", event("signal", "sA")), catch("c", event("signal", "sA")), user("z"), "s>t", "t>c", "c>z"))
    p.check("c").signal("sA").check("z")


@pytest.mark.parametrize("kind", ["error", "escalation"])
def test_errors_and_escalations_are_matched_by_code_not_by_id(kind: str) -> None:
    declared = "".join(f'<{kind} id="{id}" {kind}Code="{code}"/>' for id, code in (("one", "late"), ("two", "late"), ("late", "other")))
    p = Play(diagram(declared, process(
        start(), sub("sp", start("s1"), end("t", event(kind, "one")), "s1>t"), boundary("b", "sp", event(kind, "late")), user("wrong"),
        boundary("c", "sp", event(kind, "two")), user("right"), "s>sp", "b>wrong", "c>right")), "p")
    p.check("right")


def test_a_cron_expression_names_hours_of_the_house_zone() -> None:
    p = play(process(start(), catch("c", timer("timeCycle", "0 0 9 ? * 1-5")), "s>c"))
    assert due(p) == [MONDAY + timedelta(days=1)]
