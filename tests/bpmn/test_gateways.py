"""Which flows are taken and which tokens are joined: every gateway, and activities with several flows, quantities, no start event."""

from __future__ import annotations

import pytest

from engine import events as log
from tests.bpmn.build import (
    TERMINATE,
    boundary,
    catch,
    condition,
    diagram,
    element,
    end,
    event,
    event_sub,
    events,
    exclusive,
    inclusive,
    many,
    parallel,
    process,
    receive,
    script,
    start,
    sub,
    task,
    throw,
    timer,
    undone_by,
    user,
)
from tests.bpmn.watched import KeptPlay as Play


def play(*processes: str, start: str | None = "p", **variables: object) -> Play:
    return Play(diagram(*processes), start, variables)


# --------------------------------------------------------------------------------------------------------- which flows
@pytest.mark.parametrize("condition", [
    "${not empty list}", "${!empty list}", "${empty nothing && empty none && not empty name}", "${n % 2 == 1}", "${n mod 2 eq 1 and not off}",
    "${name == 'a and b == c'}", "${n gt 4 ? true : off}", "#{n != null && (off || name ne '')}",
])
def test_an_expression_of_camunda_7_means_what_it_meant_there(condition: str) -> None:
    xml = process(start(), exclusive("g"), user("a"), user("b"), "s>g", "g>b!", f"g>a: {condition}")
    play(xml, n=5, list=[1], nothing=None, none=[], off=False, name="a and b == c").check("a")


def test_an_exclusive_gateway_takes_the_first_flow_whose_condition_holds() -> None:
    xml = process(start(), exclusive("g"), user("a"), user("b"), user("c"), "s>g", "g>c!", "g>a: n > 1", "g>b: n > 0")
    play(xml, n=5).check("a")
    play(xml, n=1).check("b")
    play(xml, n=0).check("c")


def test_an_inclusive_gateway_takes_every_flow_whose_condition_holds_and_the_default_when_none_does() -> None:
    xml = process(
        start(), inclusive("g"), user("a"), user("b"), user("c"), inclusive("j"), user("z"), "s>g", "g>a: n > 0", "g>b: n > 1",
        "g>c!", "a>j", "b>j", "c>j", "j>z")
    play(xml, n=5).check("a b").do("b").check("a").do("a").check("z")
    play(xml, n=1).check("a").do("a").check("z")
    play(xml, n=0).check("c").do("c").check("z")


def test_only_true_is_true_in_a_condition() -> None:
    play(process(start(), exclusive("g"), user("y"), user("z"), "s>g", "g>y: n", "g>z!"), n=5).check("z")
    play(process(start(), exclusive("g"), user("y"), user("z"), "s>g", "g>y: n", "g>z!"), n="true").check("z")


def test_several_flows_out_of_an_activity_are_all_taken() -> None:
    play(process(start(), task("t"), user("a"), user("b"), "s>t", "t>a", "t>b")).check("a b")


def test_an_activity_takes_its_plain_flows_its_true_flows_and_the_default_when_no_condition_holds() -> None:
    xml = process(
        start(), task("t"), user("a"), user("b"), user("c"), user("d"), "s>t", "t>a", "t>b: n > 0", "t>c: n > 1", "t>d!")
    play(xml, n=5).check("a b c")
    play(xml, n=1).check("a b")
    play(xml, n=0).check("a d")


def test_an_event_takes_its_plain_flows_its_true_flows_and_the_default_when_no_condition_holds() -> None:
    xml = process(start(), user("a"), user("b"), user("c"), user("d"), "s>a", "s>b: n > 0", "s>c: n > 1", "s>d!")
    play(xml, n=5).check("a b c")
    play(xml, n=1).check("a b")
    play(xml, n=0).check("a d")


def test_flows_that_meet_at_an_activity_do_not_join() -> None:
    p = play(process(start(), parallel("f"), task("a"), task("b"), user("z"), end(), "s>f", "f>a", "f>b", "a>z", "b>z", "z>e"))
    p.check("z z").do("z").check("z", False).do("z").check("", True)


def test_an_exclusive_gateway_lets_every_token_through() -> None:
    p = play(process(
        start(), parallel("f"), user("a"), user("b"), exclusive("m"), user("z"), "s>f", "f>a", "f>b", "a>m", "b>m", "m>z"))
    p.do("a").check("b z").do("b").check("z z")


# ---------------------------------------------------------------------------------------------------------------- joins
def test_a_parallel_join_wants_one_token_of_each_flow_not_as_many_tokens_as_flows() -> None:
    p = play(process(
        start(), parallel("f"), user("a"), user("b"), user("c"), exclusive("m"), parallel("j"), user("z"), "s>f", "f>a", "f>b",
        "f>c", "a>m", "b>m", "m>j", "c>j", "j>z"))
    p.do("a").do("b").check("c").do("c").check("z")


def test_inclusive_joins_that_are_not_nested_wait_for_what_can_reach_each_of_them() -> None:
    xml = process(
        start(), inclusive("f"), user("a"), user("b"), user("c"), inclusive("j1"), user("y"), inclusive("j2"), user("z"), "s>f",
        "f>a: a", "f>b: b", "f>c: c", "a>j1", "b>j1", "j1>y", "y>j2", "c>j2", "j2>z")
    play(xml, a=True, b=True, c=True).do("c").check("a b").do("a").check("b").do("b").check("y").do("y").check("z")
    play(xml, a=True, b=False, c=True).do("a").check("c y").do("y").check("c").do("c").check("z")
    play(xml, a=False, b=False, c=True).do("c").check("z")


def test_an_inclusive_join_inside_a_sub_process_does_not_look_outside() -> None:
    p = play(process(
        start(), parallel("f"), user("x"),
        sub("sp", start("s1"), inclusive("f1"), user("a"), user("b"), inclusive("j1"), user("y"), "s1>f1", "f1>a: true",
            "f1>b: false", "a>j1", "b>j1", "j1>y"),
        inclusive("j"), user("z"), "s>f", "f>x", "f>sp", "x>j", "sp>j", "j>z"))
    p.check("a x").do("a").check("x y").do("x").check("y").do("y").check("z")


def test_an_inclusive_join_takes_one_token_of_each_flow_and_the_next_ones_later() -> None:
    p = play(
        process(
            start(), parallel("f"), script("a"), script("b"), exclusive("m"), user("u"), inclusive("j"), script("t", "{n: n + 1}"),
            end(), "s>f", "f>a", "f>b", "f>u", "a>m", "b>m", "m>j", "u>j", "j>t", "t>e"),
        n=0)
    p.check("u", n=0).do("u").check("", True, n=2)


def test_an_inclusive_join_waits_for_a_token_that_loops_before_it() -> None:
    p = play(
        process(
            start(), inclusive("f"), user("a"), exclusive("m"), user("b"), exclusive("g"), inclusive("j"), user("z"), "s>f",
            "f>a: true", "f>m: true", "m>b", "b>g", "g>m: again", "g>j!", "a>j", "j>z"),
        again=True)
    p.do("a").check("b").do("b").check("b").do("b", again=False).check("z")


# -------------------------------------------------------------------------------------------------------------- complex
def discriminator(count: int) -> str:
    return element("complexGateway", "j", f"<activationCondition>activationCount &gt;= {count}</activationCondition>")


@pytest.mark.parametrize("order", ["abc", "bca", "cab"])
def test_the_first_of_three_goes_on_and_the_others_end_at_the_complex_gateway(order: str) -> None:
    p = play(process(
        start(), parallel("f"), user("a"), user("b"), user("c"), discriminator(1), user("z"), end(), "s>f", "f>a", "f>b", "f>c", "a>j",
        "b>j", "c>j", "j>z", "z>e"))
    p.do(order[0]).check(" ".join(sorted([*order[1:], "z"])))
    p.do(order[1]).check(f"{order[2]} z").do("z").check(order[2], False).do(order[2]).check("", True)


def test_a_token_that_comes_early_for_the_next_turn_of_a_complex_gateway_waits_until_it_is_ready_again() -> None:
    p = play(process(
        start(), parallel("f"), user("a1"), user("a2"), user("b"), exclusive("m"), discriminator(1), user("z"), end(), "s>f", "f>a1",
        "f>a2", "f>b", "a1>m", "a2>m", "m>j", "b>j", "j>z", "z>e"))
    p.do("a1").check("a2 b z").do("a2").check("b z")
    p.do("b").check("z z").do("z", "z").check("", True)


def test_a_complex_gateway_takes_one_token_of_each_flow() -> None:
    p = play(process(
        start(), parallel("f"), user("a1"), user("a2"), user("b"), exclusive("m"), discriminator(3), user("z"), end(), "s>f", "f>a1",
        "f>a2", "f>b", "a1>m", "a2>m", "m>j", "b>j", "j>z", "z>e"))
    p.do("a1").do("a2").check("b").do("b").check("z")
    assert len(p.seen(log.TokenJoined)) == 1
    assert p.do("z").incidents == [("j", "stuck")]


def test_a_complex_gateway_without_a_condition_joins_as_an_inclusive_one_does() -> None:
    p = play(process(
        start(), inclusive("f"), user("a"), user("b"), user("c"), element("complexGateway", "j"), user("z"), "s>f", "f>a: true",
        "f>b: true", "f>c: false", "a>j", "b>j", "c>j", "j>z"))
    p.do("a").check("b").do("b").check("z")


def test_a_complex_gateway_splits_as_an_inclusive_one_does() -> None:
    xml = process(
        start(), element("complexGateway", "g"), user("a"), user("b"), user("c"), "s>g", "g>a: n > 0", "g>b: n > 1", "g>c!")
    play(xml, n=5).check("a b")
    play(xml, n=0).check("c")


def test_a_null_activation_condition_does_not_fire() -> None:
    gateway = element("complexGateway", "j", "<activationCondition>wanted = activationCount</activationCondition>")
    p = play(process(start(), parallel("f"), user("a"), user("b"), gateway, user("z"), "s>f", "f>a", "f>b", "a>j", "b>j", "j>z"))
    p.do("a").check("b")


# -------------------------------------------------------------------------------------------------------- event gateway
EVENTS = process(
    start(), events("g"), catch("m", event("message", "mA")), catch("s1", event("signal", "sA")), catch("c", condition("v > 5")),
    catch("t", timer("timeDuration", "PT1H")), receive("r", "mB"), user("z"), end(), "s>g",
    *(f"g>{name}" for name in ("m", "s1", "c", "t", "r")), "m>zm", "s1>zs", "c>zc", "t>zt", "r>zr",
    *(user(f"z{name}") for name in "msctr"))


def test_the_first_event_behind_an_event_gateway_ends_all_the_others() -> None:
    happen = {
        "m": lambda p: p.message("mA"), "s": lambda p: p.signal("sA"), "c": lambda p: p.set(v=9), "t": lambda p: p.wait(3600),
        "r": lambda p: p.message("mB")}
    for first, act in happen.items():
        p = play(EVENTS.replace("z>", ""), v=0)
        act(p)
        p.check(f"z{first}")
        for other in happen.values():
            other(p)
        p.check(f"z{first}").do(f"z{first}").check("", True)


def test_two_event_gateways_at_once_do_not_disturb_each_other() -> None:
    p = play(process(
        start(), parallel("f"), events("g1"), events("g2"), catch("a1", event("message", "mA")), catch("b1", event("message", "mB")),
        catch("a2", event("signal", "sA")), catch("b2", event("signal", "sB")), user("y"), user("z"), "s>f", "f>g1", "f>g2", "g1>a1",
        "g1>b1", "g2>a2", "g2>b2", "a1>y", "b1>y", "a2>z", "b2>z"))
    p.message("mA").check("a2 b2 y").signal("sB").check("y z")


def test_an_event_gateway_in_a_loop_waits_anew_each_turn() -> None:
    p = play(process(
        start(), exclusive("m"), events("g"), catch("a", event("message", "mA")), catch("b", event("message", "mB")), end(), "s>m",
        "m>g", "g>a", "g>b", "a>m", "b>e"))
    p.message("mA").check("a b").message("mA").check("a b").message("mB").check("", True)


# ----------------------------------------------------------------------------------------------- quantities, no start event
def test_start_quantity_waits_for_that_many_tokens_and_leaves_the_rest() -> None:
    p = play(process(
        start(), parallel("f"), user("a"), user("b"), user("c"), user("d"), task("t", startQuantity="2"), user("z"), end(), "s>f",
        "f>a", "f>b", "f>c", "f>d", "a>t", "b>t", "c>t", "d>t", "t>z", "z>e"))
    p.do("a").check("b c d").do("b").check("c d z").do("c").check("d z").do("z").check("d", False)
    p.do("d").check("z").do("z").check("", True)


def test_of_tokens_that_come_together_start_quantity_takes_as_many_as_it_says() -> None:
    p = play(process(
        start(), parallel("f"), task("a", completionQuantity="2"), user("b"), task("t", startQuantity="3"), user("z"), "s>f", "f>a",
        "f>b", "a>t", "b>x", task("x", completionQuantity="3"), "x>t", "t>z"))
    p.check("b").do("b")
    assert p.open == "z"
    assert p.do("z").incidents == [("t", "stuck")]


def test_completion_quantity_puts_that_many_tokens_on_each_flow() -> None:
    p = play(process(start(), task("t", completionQuantity="3"), user("y"), user("z"), end(), "s>t", "t>y", "t>z", "z>e"))
    p.check("y y y z z z").do("z", "z", "z", "y", "y", "y").check("", True)


def test_without_a_start_event_everything_without_an_incoming_flow_starts() -> None:
    play(process(user("a"), user("b"), user("c"), "b>c")).check("a b").do("a").check("b").do("b").do("c").check("", True)
    p = play(process(start(), sub("sp", user("a"), user("b")), user("z"), "s>sp", "sp>z"))
    p.check("a b").do("a").check("b").do("b").check("z")


def test_handlers_event_sub_processes_and_boundary_events_do_not_start_with_a_scope_that_has_no_start_event() -> None:
    p = play(process(
        start(),
        sub("sp", user("a"), boundary("b", "a", event("message", "mA")), user("y"), "b>y", user("undo", isForCompensation="true"),
            undone_by("a", "undo"), event_sub("q", start("s2", event("message", "mB")), user("h"), "s2>h")),
        throw("t", "<compensateEventDefinition/>"), user("z"), "s>sp", "sp>t", "t>z"))
    assert len(p.subscriptions("mB")) == len(p.subscriptions("mA")) == 1
    p.check("a").do("a").check("undo").do("undo").check("z")


def test_an_ad_hoc_sub_process_runs_its_activities_side_by_side_and_completes_with_the_last() -> None:
    p = play(process(
        start(), sub("sp", user("a"), user("b"), user("c"), "b>c", tag="adHocSubProcess"), user("z"), "s>sp", "sp>z"))
    p.check("a b").do("b").check("a c").do("a").do("c").check("z")


# ------------------------------------------------------------------------------------------------------------ terminate
def test_terminate_in_one_instance_of_a_sub_process_leaves_the_others() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), parallel("f"), user("a"), user("b"), end("e1", TERMINATE), "s1>f", "f>a", "f>b", "a>e1",
                     inner=many("2")),
        user("z"), "s>sp", "sp>z"))
    p.check("a a b b").do("a").check("a b").do("a").check("z")


def test_terminate_of_a_called_process_leaves_its_caller() -> None:
    p = play(
        process(start(), parallel("f"), user("a"), user("b"), end("e1", TERMINATE), "s>f", "f>a", "f>b", "a>e1", id="q"),
        process(start(), parallel("f"), element("callActivity", "k", calledElement="q"), user("c"), user("z"), "s>f", "f>k", "f>c", "k>z"))
    p.check("a b c").do("a").check("c z")


def test_terminate_ends_sub_processes_event_sub_processes_and_what_is_subscribed() -> None:
    p = play(process(
        start(), parallel("f"), user("a"), sub("sp", start("s1"), user("b"), "s1>b"), catch("c", timer("timeDuration", "PT1H")),
        end("e1", TERMINATE), "s>f", "f>a", "f>sp", "f>c", "a>e1",
        event_sub("q", start("s2", event("message", "mA"), isInterrupting="false"), user("h"), "s2>h")))
    p.message("mA").check("a b c h").do("a").check("", True)
    assert p.first.step
    assert not p.first.step.timers
    assert sorted(e.element for e in p.seen(log.UserTaskCancelled)) == ["b", "h"]
