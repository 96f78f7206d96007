"""Events of every kind at every place: what starts, catches, interrupts, throws, and how far it reaches."""

from __future__ import annotations

import pytest

from engine import events as log
from engine.bpmn import DiagramCannotRun, compile_definition, describe
from engine.bpmn.reader import starters
from engine.errors import AmbiguousStart
from engine.model import CorrelateMessage, Source, StartInstance
from tests.bpmn.build import (
    TERMINATE,
    boundary,
    call,
    catch,
    condition,
    diagram,
    element,
    end,
    event,
    event_sub,
    events,
    exclusive,
    loop,
    many,
    parallel,
    process,
    properties,
    receive,
    script,
    service,
    start,
    sub,
    throw,
    timer,
    user,
)
from tests.bpmn.play import MONDAY, Instance, Play


def play(*processes: str, start: str | None = "p", **variables: object) -> Play:
    return Play(diagram(*processes), start, variables)


def refused(*parts: str, key: str = "p", others: tuple[str, ...] = ()) -> DiagramCannotRun:
    xml = diagram(process(*parts), *others)
    with pytest.raises(DiagramCannotRun) as info:
        compile_definition(key, [Source(key=i.key, version=1, xml=xml) for i in describe(xml)])
    return info.value


# -------------------------------------------------------------------------------------------------------------------- starts
def test_each_of_several_none_start_events_is_another_beginning_and_has_to_be_named() -> None:
    xml = diagram(process(start("s1"), start("s2"), user("a"), user("b"), "s1>a", "s2>b"))
    p = Play(xml, None)

    with pytest.raises(AmbiguousStart, match="s1, s2"):
        p.definition("p") and Instance(p.definition("p")).advance(StartInstance(), MONDAY)
    p.start("p", {}, start_event="s2")

    p.check("b")


def test_a_call_of_a_process_with_several_none_start_events_is_refused() -> None:
    callee = process(start("s1"), start("s2"), user("a"), "s1>a", "s2>a", id="q")

    assert refused(start(), call("k", "q"), "s>k", others=(callee,)).findings[0].element == "k"


def test_a_process_begins_with_a_person_or_with_each_of_its_triggers_alone() -> None:
    xml = diagram(process(
        start("s0"), start("s1", event("message", "mA")), start("s2", event("signal", "sA")), start("s3", timer("timeDate", "2026-02-01")),
        user("a"), user("b"), user("c"), user("d"), "s0>a", "s1>b", "s2>c", "s3>d"))
    p = Play(xml, "p")

    p.message("mA", v=1).signal("sA")
    p.start("p", {}, start_event="s3")

    assert [i.waits() for i in p.instances] == [["a"], ["b"], ["c"], ["d"]]
    assert starters(xml, "p") == (("s1", "message", "mA"), ("s2", "signal", "sA"), ("s3", "timer", ""))


def test_a_multiple_start_event_starts_with_any_of_its_triggers() -> None:
    xml = diagram(process(start("s1", event("message", "mA") + event("signal", "sA")), user("a"), "s1>a"))
    p = Play(xml, None)

    p.message("mA").signal("sA")

    p.check("a a")


def test_a_parallel_multiple_start_event_starts_with_the_first_and_waits_for_the_others() -> None:
    xml = diagram(process(
        start("s1", event("message", "mA") + event("message", "mB") + event("signal", "sA"), parallelMultiple="true"), user("a"),
        "s1>a"))
    p = Play(xml, None)
    instance = p.start("p", {}, start_event="s1")
    assert instance.waits() == []

    p = Play(xml, None)
    instance = Instance(p.definition("p"))
    p.instances.append(instance)
    p.send(instance, StartInstance(start_event="s1", trigger="mB"))
    assert sorted(s.name for s in instance.step.subscriptions) == ["mA", "sA"]  # type: ignore[union-attr]

    p.message("mA").check("").signal("sA").check("a")


def test_a_start_event_with_several_flows_begins_several_paths() -> None:
    play(process(start(), user("a"), user("b"), "s>a", "s>b")).check("a b")


def test_an_instantiating_receive_task_starts_an_instance_with_its_message() -> None:
    xml = diagram(process(
        receive("r", "mA", instantiate="true"), receive("r2", "mB", instantiate="true"), user("a"), user("b"), "r>a", "r2>b"))
    p = Play(xml, None)

    instance = p.start("p", {"v": 1}, start_event="r")

    assert instance.waits() == ["a"]
    [info] = describe(xml)
    assert (info.startable, info.start_messages) == (False, {"mA", "mB"})


def test_an_instantiating_event_gateway_starts_with_one_of_its_events() -> None:
    xml = diagram(process(
        element("eventBasedGateway", "g", instantiate="true"), catch("c1", event("message", "mA")), catch("c2", event("signal", "sA")),
        user("a"), user("b"), "g>c1", "g>c2", "c1>a", "c2>b"))
    assert starters(xml, "p") == (("c1", "message", "mA"), ("c2", "signal", "sA"))
    p = Play(xml, None)

    instance = p.start("p", {}, start_event="c2", )

    assert instance.waits() == ["b"]
    assert instance.step is not None
    assert instance.step.subscriptions == ()


def test_a_parallel_instantiating_event_gateway_waits_for_all_its_events_in_one_instance() -> None:
    xml = diagram(process(
        element("eventBasedGateway", "g", instantiate="true", eventGatewayType="Parallel"), catch("c1", event("message", "mA")),
        catch("c2", event("message", "mB")), user("a"), user("b"), parallel("j"), end(), "g>c1", "g>c2", "c1>a", "c2>b", "a>j", "b>j",
        "j>e"))
    p = Play(xml, None)

    p.start("p", {}, start_event="c1")

    p.check("a c2").do("a").check("c2", False).message("mB").check("b").do("b").check("", True)


def test_a_parallel_event_gateway_that_does_not_begin_the_process_is_refused() -> None:
    error = refused(
        start(), element("eventBasedGateway", "g", eventGatewayType="Parallel"), catch("c1", event("message", "mA")),
        catch("c2", event("message", "mB")), "s>g", "g>c1", "g>c2")

    assert error.findings[0].element == "g"


# ------------------------------------------------------------------------------------------------------- event-based gateways
def test_an_event_gateway_chooses_among_all_kinds_of_events() -> None:
    def xml(*targets: str) -> str:
        return process(start(), events("g"), *targets, "s>g", *(f"g>c{n}" for n in range(4)), *(f"c{n}>u{n}" for n in range(4)),
                       *(user(f"u{n}") for n in range(4)))

    drawn = xml(catch("c0", timer("timeDuration", "PT1H")), catch("c1", event("signal", "sA")), catch("c2", condition("v > 5")),
                receive("c3", "mA"))
    play(drawn, v=0).wait(3600).check("u0")
    play(drawn, v=0).signal("sA").check("u1")
    play(drawn, v=0).set(v=6).check("u2")
    play(drawn, v=9).check("u2")
    play(drawn, v=0).message("mA").check("u3").wait(9999).signal("sA").set(v=7).check("u3")


def test_an_event_gateway_in_a_loop_waits_anew_each_time() -> None:
    p = play(process(
        start(), exclusive("m"), events("g"), catch("c", event("message", "mA")), catch("t", timer("timeDuration", "PT1H")), user("z"),
        "s>m", "m>g", "g>c", "g>t", "c>m", "t>z"))

    p.wait(1800).message("mA").wait(1800).check("c t").wait(1800).check("z")


def test_a_receive_task_behind_an_event_gateway_has_no_boundary_events() -> None:
    error = refused(
        start(), events("g"), receive("r", "mA"), catch("c", event("signal", "sA")), boundary("b", "r", timer("timeDuration", "PT1H")),
        user("y"), "s>g", "g>r", "g>c", "b>y")

    assert error.findings[0].element == "r"


def test_an_event_behind_an_event_gateway_has_no_other_way_in() -> None:
    error = refused(
        start(), parallel("f"), events("g"), receive("r", "mA"), catch("c", event("signal", "sA")), "s>f", "f>g", "f>c", "g>r", "g>c")

    assert error.findings[0].element == "c"


# ------------------------------------------------------------------------------------------------- multiple, parallel multiple
def test_a_parallel_multiple_event_waits_for_a_timer_a_message_and_a_condition() -> None:
    p = play(
        process(
            start(), catch("c", timer("timeDuration", "PT1H") + event("message", "mA") + condition("v > 5"), parallelMultiple="true"),
            user("z"), "s>c", "c>z"),
        v=0)

    p.wait(3600).check("c").message("mA").check("c").set(v=6).check("z")


def test_a_multiple_boundary_event_repeats_with_each_of_its_events() -> None:
    p = play(process(
        start(), user("a"),
        boundary("b", "a", timer("timeCycle", "R2/PT1H") + event("message", "mA") + event("signal", "sA"), cancelActivity="false"),
        user("y"), "s>a", "b>y"))

    p.message("mA").check("a y").signal("sA").check("a y y")
    p.wait(3600).check("a y y y").wait(3600).check("a y y y y").wait(9999).check("a y y y y")
    p.message("mA").check("a y y y y y")


def test_a_timer_of_a_multiple_boundary_event_runs_on_when_another_of_its_events_happens() -> None:
    p = play(process(
        start(), user("a"), boundary("b", "a", timer("timeDuration", "PT1H") + event("message", "mA"), cancelActivity="false"), user("y"),
        "s>a", "b>y"))

    p.wait(1800).message("mA").check("a y").wait(1800).check("a y y").wait(9999).check("a y y").message("mA").check("a y y y")


def test_a_parallel_multiple_boundary_event_interrupts_when_all_has_happened() -> None:
    p = play(process(
        start(), user("a"), boundary("b", "a", event("signal", "sA") + event("message", "mA"), parallelMultiple="true"), user("y"),
        "s>a", "b>y"))

    p.signal("sA").signal("sA").check("a").message("mA").check("y")


def test_a_multiple_start_of_an_event_sub_process() -> None:
    p = play(process(
        start(), user("a"), "s>a",
        event_sub("q", start("s1", event("signal", "sA") + event("message", "mA"), isInterrupting="false"), user("h"), "s1>h"),
        event_sub("r", start("s2", event("signal", "sB") + event("message", "mB"), parallelMultiple="true"), user("i"), "s2>i")))

    p.signal("sA").message("mA").check("a h h").message("mB").check("a h h").signal("sB").check("i")


# -------------------------------------------------------------------------------------------------- boundary, event sub-processes
@pytest.mark.parametrize("kind", ["message", "signal", "escalation", "condition", "timer"])
def test_a_non_interrupting_start_of_an_event_sub_process_leaves_the_rest_alone(kind: str) -> None:
    definition = {
        "message": event("message", "mA"), "signal": event("signal", "sA"), "escalation": event("escalation", "xA"),
        "condition": condition("v > 5"), "timer": timer("timeDuration", "PT1H"),
    }[kind]
    p = play(
        process(
            start(), user("a"), throw("t", event("escalation", "xA")), user("b"), "s>a", "a>t", "t>b",
            event_sub("q", start("s1", definition, isInterrupting="false"), user("h"), "s1>h")),
        v=0)

    {"message": lambda: p.message("mA"), "signal": lambda: p.signal("sA"), "escalation": lambda: p.do("a"),
     "condition": lambda: p.set(v=6), "timer": lambda: p.wait(3600)}[kind]()

    p.check("b h" if kind == "escalation" else "a h")


def test_event_sub_processes_nest_and_the_inner_one_is_heard_first() -> None:
    p = play(process(
        start(), user("a"), "s>a",
        event_sub("q", start("s1", event("message", "mA"), isInterrupting="false"), user("h"), service("w"), "s1>h", "h>w",
                  event_sub("r", start("s2", event("error", "eA")), user("i"), "s2>i")),
        event_sub("o", start("s3", event("error", "eA")), user("j"), "s3>j")))

    p.message("mA").do("h").fail("w", "eA").check("a i")


def test_a_conditional_boundary_event_happens_at_each_change_from_false_to_true() -> None:
    p = play(
        process(start(), user("a"), boundary("b", "a", condition("v > 5"), cancelActivity="false"), user("y"), "s>a", "b>y"), v=0)

    p.set(v=6).check("a y").set(v=7).check("a y").set(v=1).check("a y").set(v=8).check("a y y")


def test_a_conditional_event_sub_process_happens_at_each_change_from_false_to_true() -> None:
    p = play(
        process(
            start(), user("a"), "s>a", event_sub("q", start("s1", condition("v > 5"), isInterrupting="false"), user("h"), "s1>h")), v=0)

    p.set(v=6).check("a h").set(v=7).check("a h").set(v=1).set(v=8).check("a h h")


def test_a_conditional_boundary_event_that_is_true_from_the_start_happens_at_once() -> None:
    play(process(start(), user("a"), boundary("b", "a", condition("v > 5")), user("y"), "s>a", "b>y"), v=9).check("y")


def test_a_boundary_event_on_a_sub_process_ends_what_its_event_sub_processes_do() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), user("a"), "s1>a",
            event_sub("q", start("s2", event("message", "mA"), isInterrupting="false"), user("h"), "s2>h")),
        boundary("b", "sp", event("signal", "sA")), user("y"), "s>sp", "b>y"))

    p.message("mA").message("mA").check("a h h").signal("sA").check("y").do("y").check("", True)


# ------------------------------------------------------------------------------------------------------------ errors, escalations
def test_a_catch_all_takes_every_error_and_tells_its_code() -> None:
    code = '<errorEventDefinition camunda:errorCodeVariable="code"/>'
    play(process(
        start(), sub("sp", start("s1"), end("e1", event("error", "eB")), "s1>e1"), boundary("b", "sp", code), user("y"), "s>sp", "b>y",
    )).check("y", code="eB")


def test_an_error_thrown_again_behind_a_boundary_event_goes_to_the_next_scope() -> None:
    play(process(
        start(),
        sub("outer", start("s1"), service("w", "error.eA"), boundary("b", "w", event("error", "eA")), end("again", event("error", "eA")),
            "s1>w", "b>again"),
        boundary("c", "outer", event("error", "eA")), user("y"), "s>outer", "c>y")).check("y")


def test_an_error_thrown_again_inside_its_event_sub_process_goes_out() -> None:
    play(process(
        start(),
        sub("sp", start("s1"), end("e1", event("error", "eA")), "s1>e1",
            event_sub("q", start("s2", event("error", "eA")), script("h"), end("e2", event("error", "eA")), "s2>h", "h>e2")),
        boundary("b", "sp", event("error", "eA")), user("y"), "s>sp", "b>y")).check("y", trace="h")


def test_an_escalation_goes_on_while_it_is_heard_and_its_flow_continues() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), throw("t", event("escalation", "xA")), user("a"), "s1>t", "t>a"),
        boundary("b", "sp", event("escalation", "xA"), cancelActivity="false"), user("y"), user("z"), "s>sp", "b>y", "sp>z"))

    p.check("a y").do("a").check("y z")


def test_an_escalation_of_an_event_sub_process_is_not_heard_by_itself() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), throw("t", event("escalation", "xA")), user("a"), "s1>t", "t>a",
            event_sub("q", start("s2", event("escalation", "xA"), isInterrupting="false"), throw("t2", event("escalation", "xA")), user("h"),
                      "s2>t2", "t2>h")),
        boundary("b", "sp", event("escalation", "xA"), cancelActivity="false"), user("y"), "s>sp", "b>y"))

    p.check("a h y")


def test_an_escalation_nobody_hears_is_recorded_and_the_flow_goes_on() -> None:
    p = play(process(start(), throw("t", event("escalation", "xA")), user("a"), end("e", event("escalation", "xB")), "s>t", "t>a", "a>e"))

    p.do("a").check("", True)
    assert [(e.code, e.caught_by) for e in p.seen(log.EscalationThrown)] == [("xA", None), ("xB", None)]


def test_an_escalation_reaches_its_hearer_through_calls_and_instances() -> None:
    callee = process(start("s2"), throw("t", event("escalation", "xA")), user("a"), "s2>t", "t>a", id="q")
    p = play(callee, process(
        start(), call("k", "q", many("2")), boundary("b", "k", event("escalation", "xA"), cancelActivity="false"), user("y"), "s>k",
        "b>y"))

    p.check("a a y y")


def test_an_interrupting_escalation_ends_all_instances() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), user("a"), throw("t", event("escalation", "xA")), user("b"), "s1>a", "a>t", "t>b",
                     inner=many("3")),
        boundary("c", "sp", event("escalation", "xA")), user("y"), "s>sp", "c>y"))

    p.check("a a a").do("a").check("y")


def test_the_exact_code_of_an_escalation_is_preferred_to_a_catch_all() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), throw("t", event("escalation", "xA")), throw("t2", event("escalation", "xB")), user("a"),
                     "s1>t", "t>t2", "t2>a"),
        boundary("any", "sp", event("escalation"), cancelActivity="false"), boundary("b", "sp", event("escalation", "xA"),
                                                                                  cancelActivity="false"),
        user("y"), user("z"), "s>sp", "any>z", "b>y"))

    p.check("a y z")


# -------------------------------------------------------------------------------------------------------------------- terminate
def test_terminate_in_one_instance_ends_that_instance_only() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), parallel("f"), user("a"), user("b"), end("x", TERMINATE), "s1>f", "f>a", "f>b", "a>x",
                     inner=many("2")),
        user("z"), "s>sp", "sp>z"))

    p.check("a a b b").do("a").check("a b").do("a").check("z")


def test_terminate_in_a_called_process_and_in_an_event_sub_process_ends_that_scope() -> None:
    callee = process(start("s2"), parallel("f"), user("a"), user("b"), end("x", TERMINATE), "s2>f", "f>a", "f>b", "a>x", id="q")
    play(callee, process(start(), call("k", "q"), user("z"), "s>k", "k>z")).do("a").check("z")

    p = play(process(
        start(), user("w"), "s>w",
        event_sub("q", start("s1", event("message", "mA"), isInterrupting="false"), parallel("f"), user("a"), user("b"),
                  end("x", TERMINATE), "s1>f", "f>a", "f>b", "a>x")))
    p.message("mA").message("mA").do("a").check("a b w")


# ---------------------------------------------------------------------------------------------------------------------- signals
def test_a_signal_carries_its_payload_to_all_who_catch_it() -> None:
    data = properties(payload='{rate: base * 2, who: "bank"}')
    catcher = process(start("s2", event("signal", "sA")), user("b"), "s2>b", id="q")
    p = play(
        process(
            start(), parallel("f"), catch("c", event("signal", "sA")), user("w"), throw("t", data + event("signal", "sA")), user("z"),
            "s>f", "f>c", "f>w", "w>t", "c>z"),
        catcher, base=2)

    p.do("w").check("z b", rate=4, who="bank")

    assert p.first.step is not None
    assert p.first.step.thrown[0].payload == {"rate": 4, "who": "bank"}
    [thrown] = p.seen(log.SignalThrown)
    assert thrown.values == {"rate": 4, "who": "bank"}


def test_a_signal_end_event_reaches_its_own_process_and_others() -> None:
    p = play(process(
        start(), parallel("f"), end("e", event("signal", "sA")), catch("c", event("signal", "sA")), user("z"), "s>f", "f>c", "f>e",
        "c>z"))

    p.check("z")


# ------------------------------------------------------------------------------------------------------------- messages that go out
def test_send_tasks_and_message_end_events_send_payload_and_key() -> None:
    told = properties(payload="{n: n + 1}", correlationKey="order")
    p = play(process(
        start(), element("sendTask", "send", told, messageRef="mA"), end("e", told + event("message", "mB")), "s>send", "send>e"),
        n=1, order="A-7")

    assert p.first.step is not None
    assert [(t.name, t.correlation_key, t.payload) for t in p.first.step.thrown] == [
        ("mA", "A-7", {"n": 2}), ("mB", "A-7", {"n": 2})]


def test_a_message_thrown_in_a_loop_of_catchers_reaches_the_one_with_its_key() -> None:
    keyed = properties(correlationKey="bidder")
    p = play(
        process(start(), receive("r", "mA", keyed + many(collection="bidders", item="bidder")), user("z"), "s>r", "r>z"),
        bidders=["x", "y"])
    [(instance, found)] = [(i, s) for i, s in p.subscriptions("mA") if s.correlation_key == "y"]

    p.send(instance, CorrelateMessage(name="mA", token=found.token, payload={}))

    assert [s.correlation_key for _, s in p.subscriptions("mA")] == ["x"]


# ------------------------------------------------------------------------------------------------------------------------ links
def test_several_throwing_links_lead_to_one_target_in_each_scope_of_its_own() -> None:
    def link(name: str) -> str:
        return f'<linkEventDefinition name="{name}"/>'

    p = play(process(
        start(), parallel("f"), throw("t1", link("L")), throw("t2", link("L")), catch("c", link("L")), script("a"),
        sub("sp", start("s1"), throw("t3", link("L")), catch("c3", link("L")), script("b"), "s1>t3", "c3>b", inner=loop(maximum="2")),
        "s>f", "f>t1", "f>t2", "f>sp", "c>a"))

    p.check("", True)
    assert sorted(p.trace.split()) == ["a", "a", "b", "b"]
