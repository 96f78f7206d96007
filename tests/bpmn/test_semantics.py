"""What BPMN means where engines differ: joins in loops, inclusive joins, interruption, compensation, loops, events.

Each case is a diagram and a walk through it; `Play` starts every command from the stored bytes.
"""

from __future__ import annotations

import itertools

from engine.model import InstanceStatus
from tests.bpmn.build import (
    CANCEL,
    COMPENSATE,
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
    inclusive,
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
    task,
    throw,
    timer,
    undone_by,
    user,
)
from tests.bpmn.watched import KeptPlay as Play


def play(*processes: str, start: str | None = "p", **variables: object) -> Play:
    return Play(diagram(*processes), start, variables)


# ----------------------------------------------------------------------------------------------------------------- gateways
def test_parallel_join_in_a_loop_joins_every_turn() -> None:
    play(
        process(
            start(), exclusive("m"), parallel("f"), script("a", "{x: x + 1}"), script("b", "{y: y + 1}"), parallel("j"),
            exclusive("g"), end(), "s>m", "m>f", "f>a", "f>b", "a>j", "b>j", "j>g", "g>m: x < 5", "g>e: x >= 5"),
        x=0, y=0,
    ).check("", True, x=5, y=5)


def test_parallel_join_keeps_excess_tokens_for_the_next_time() -> None:
    p = play(
        process(
            start(), parallel("f"), exclusive("m"), parallel("j"), user("u"), user("w"), end(), script("t", "{n: n + 1}"),
            "s>f", "f>a", "f>b", "f>u", script("a"), script("b"), "a>m", "b>m", "m>j", "u>j", "j>t", "t>e", "f>w", "w>j2",
            parallel("j2"), "j2>u"),
        n=0,
    )
    p.check("u w", n=0).do("u").check("w", False, n=1).do("w").check("u", n=1).do("u").check("", True, n=2)


def test_a_stuck_parallel_join_does_not_complete_the_instance() -> None:
    p = play(process(
        start(), exclusive("g"), parallel("j"), end(), script("a"), script("b"), "s>g", "g>a: true", "g>b: false", "a>j", "b>j",
        "j>e"))

    assert p.first.status is InstanceStatus.ACTIVE
    assert p.incidents == [("j", "stuck")]


def test_inclusive_join_waits_only_for_what_can_reach_it() -> None:
    p = play(
        process(
            start(), inclusive("f"), user("a"), user("b"), exclusive("g"), inclusive("j"), user("z"), end(), end("e2"), "s>f",
            "f>a: true", "f>b: true", "a>j", "b>g", "g>j: go", "g>e2: not(go)", "j>z", "z>e"),
        go=True,
    )
    p.do("a").check("b").do("b", go=False).check("z").do("z").check("", True)


def test_inclusive_join_in_a_loop_of_three_turns() -> None:
    p = play(
        process(
            start(), exclusive("m"), inclusive("f"), user("a"), user("b"), inclusive("j"), script("t", "{n: n + 1}"),
            exclusive("g"), end(), "s>m", "m>f", "f>a: true", "f>b: n > 0", "a>j", "b>j", "j>t", "t>g", "g>m: n < 3",
            "g>e: n >= 3"),
        n=0,
    )
    p.check("a").do("a").check("a b", n=1).do("b").check("a", n=1).do("a").check("a b", n=2).do("a", "b").check("", True, n=3)


def test_inclusive_join_sees_paths_over_boundary_events() -> None:
    xml = process(
        start(), parallel("f"), sub("sp", start("s1"), user("in"), end("e1"), "s1>in", "in>e1"),
        boundary("bt", "sp", event("message", "mA")), user("a"), inclusive("j"), user("z"), end(), end("e2"), "s>f", "f>sp",
        "f>a", "a>j", "bt>j", "sp>e2", "j>z", "z>e")
    play(xml).do("a").check("in").do("in").check("z")
    play(xml).do("a").message("mA").check("z").do("z").check("", True)


def test_inclusive_join_is_not_held_up_by_an_event_sub_process() -> None:
    p = play(process(
        start(), inclusive("f"), user("a"), user("b"), inclusive("j"), user("z"), end(), "s>f", "f>a: true", "f>b: true", "a>j",
        "b>j", "j>z", "z>e",
        event_sub("q", start("s1", event("message", "mA"), isInterrupting="false"), user("h"), end("e1"), "s1>h", "h>e1")))
    p.message("mA").do("a", "b").check("h z").do("z").check("h", False).do("h").check("", True)


def test_two_of_three_complex_join_in_a_loop() -> None:
    p = play(
        process(
            start(), exclusive("m"), parallel("f"), user("a"), user("b"), user("c"),
            element("complexGateway", "j", "<activationCondition>activationCount &gt;= 2</activationCondition>"),
            script("t", "{n: n + 1}"), user("z"), exclusive("g"), end(), "s>m", "m>f", "f>a", "f>b", "f>c", "a>j", "b>j",
            "c>j", "j>t", "t>z", "z>g", "g>m: n < 2", "g>e: n >= 2"),
        n=0,
    )
    p.do("a").check("b c", n=0).do("c").check("b z", n=1).do("b").check("z").do("z").check("a b c")
    p.do("b", "c").check("a z", n=2).do("a", "z").check("", True, n=2)


def test_event_gateway_with_two_timers_and_a_message() -> None:
    xml = process(
        start(), events("g"), catch("t1", timer("timeDuration", "PT1H")), catch("t2", timer("timeDuration", "PT1M")),
        receive("r", "mA"), user("a"), user("b"), user("c"), "s>g", "g>t1", "g>t2", "g>r", "t1>a", "t2>b", "r>c")
    play(xml).wait(90).check("b")
    play(xml).message("mA").wait(9000).check("c").do("c").check("", True)


def test_inclusive_join_does_not_wait_for_what_may_come_over_a_marked_flow() -> None:
    xml = process(
        start(), parallel("f"), user("a"), user("c"), exclusive("m"), exclusive("g"), inclusive("j"), user("z"), end(), "s>f",
        "f>a", "f>c", "a>m", "m>j", "c>g", "g>m: go", "g>j: not(go)", "j>z", "z>e")
    play(xml, go=True).do("a").check("c z").do("c").check("z z").do("z", "z").check("", True)


# ------------------------------------------------------------------------------------------------------------------- events
def test_parallel_multiple_event_waits_for_all() -> None:
    xml = process(
        start(), catch("c", event("signal", "sA") + event("message", "mA"), parallelMultiple="true"), user("z"), "s>c", "c>z")
    play(xml).signal("sA").check("c").message("mA").check("z")


def test_multiple_events_catch_and_throw_any_and_all() -> None:
    play(process(
        start(), user("a"), boundary("b", "a", event("signal", "sA") + timer("timeDuration", "PT1H")), user("z"), "s>a",
        "b>z")).wait(4000).check("z")
    play(process(
        start(), parallel("f"), catch("c1", event("signal", "sA")), catch("c2", event("signal", "sB")), user("w"),
        throw("t", event("signal", "sA") + event("signal", "sB")), user("y"), user("z"), "s>f", "f>c1", "f>c2", "f>w", "w>t",
        "c1>y", "c2>z")).do("w").check("y z")


def test_non_interrupting_boundary_event_happens_again_and_again() -> None:
    p = play(process(
        start(), user("a"), boundary("b", "a", event("message", "mA"), cancelActivity="false"), user("z"), end(), "s>a", "b>z",
        "a>e")).message("mA").message("mA").message("mA").check("a z z z")
    p.do("a").check("z z z").message("mA").check("z z z").do("z", "z", "z").check("", True)


def test_cycle_on_a_boundary_leaves_its_tasks_when_the_host_completes() -> None:
    xml = process(
        start(), user("a"), boundary("b", "a", timer("timeCycle", "R3/PT1H"), cancelActivity="false"), user("z"), end(), "s>a",
        "b>z", "a>e")
    play(xml).wait(3700).check("a z").do("a").wait(99999).check("z").do("z").check("", True)
    play(xml).wait(99999).check("a z z z")


def test_event_sub_process_runs_again_and_has_its_own() -> None:
    inner = event_sub("q2", start("s2", event("message", "mB")), user("h2"), "s2>h2")
    p = play(process(
        start(), user("a"), end(), "s>a", "a>e",
        event_sub("q", start("s1", event("message", "mA"), isInterrupting="false"), user("h"), "s1>h", inner)))
    p.message("mA").message("mA").check("a h h").do("a").check("h h", False).message("mB").check("h h2")
    p.do("h", "h2").check("", True)


def test_interrupting_event_sub_process_ends_the_rest_of_its_scope() -> None:
    p = play(process(
        start(),
        sub("sp", start("s0"), parallel("f"), user("a"), user("b"), "s0>f", "f>a", "f>b",
            event_sub("q", start("s1", timer("timeDuration", "PT1H")), user("h"), "s1>h")),
        user("z"), end(), "s>sp", "sp>z", "z>e"))
    p.check("a b").wait(4000).check("h").do("h").check("z").do("z").check("", True)


def test_error_reaches_the_event_sub_process_before_the_boundary() -> None:
    p = play(process(
        start(),
        sub("sp", start("s0"), user("a"), end("e0", event("error", "eA")), "s0>a", "a>e0",
            event_sub("q", start("s1", event("error", "eA")), user("h"), "s1>h")),
        boundary("b", "sp", event("error", "eA")), user("y"), user("z"), "s>sp", "sp>z", "b>y"))
    p.do("a").check("h").do("h").check("z")


def test_error_from_an_event_sub_process_goes_out() -> None:
    p = play(process(
        start(),
        sub("sp", start("s0"), user("a"), end("e0", event("error", "eA")), "s0>a", "a>e0",
            event_sub("q", start("s1", event("error", "eA")), script("h"), end("e1", event("error", "eB")), "s1>h", "h>e1")),
        boundary("b", "sp", event("error", "eB")), user("y"), user("z"), "s>sp", "sp>z", "b>y"))
    p.do("a").check("y", trace="h")


def test_the_exact_error_code_is_preferred_at_each_level() -> None:
    def xml(code: str) -> str:
        return process(
            start(),
            sub("o", start("s1"),
                sub("i", start("s2"), service("a", f"error.{code}"), "s2>a"),
                boundary("b2", "i", event("error")), script("h2"), boundary("b1", "i", event("error", "eA")), script("h1"),
                "s1>i", "b1>h1", "b2>h2"),
            script("n"), "s>o", "o>n")

    play(xml("eA")).check("", True, "h1 n")
    play(xml("eZ")).check("", True, "h2 n")


def test_error_in_one_instance_cancels_all_instances() -> None:
    p = play(
        process(
            start(),
            sub("sp", start("s1"), user("a"), exclusive("g"), end("e1"), end("e2", event("error", "eA")), "s1>a", "a>g",
                "g>e2: bad", "g>e1!", inner=many("3")),
            boundary("b", "sp", event("error", "eA")), user("y"), user("z"), "s>sp", "sp>z", "b>y"),
        bad=False,
    )
    p.check("a a a").do("a").check("a a").do("a", bad=True).check("y").do("y").check("", True)


def test_escalations_from_instances_do_not_interrupt() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), throw("t", event("escalation", "xA")), user("a"), "s1>t", "t>a", inner=many("3")),
        boundary("b", "sp", event("escalation", "xA"), cancelActivity="false"), user("y"), user("z"), "s>sp", "sp>z", "b>y"))
    p.check("a a a y y y").do("a", "a", "a").check("y y y z")


def test_terminate_ends_its_scope_only() -> None:
    p = play(process(
        start(), parallel("f"),
        sub("sp", start("s1"), parallel("f1"), user("a"), user("b"), end("e1", TERMINATE), "s1>f1", "f1>a", "f1>b", "a>e1"),
        user("c"), user("z"), end(), "s>f", "f>sp", "f>c", "sp>z", "z>e", "c>e"))
    p.check("a b c").do("a").check("c z").do("c", "z").check("", True)
    p = play(process(
        start(), user("a"), end(), "s>a", "a>e",
        event_sub("q", start("s1", event("signal", "sA"), isInterrupting="false"), parallel("f"), user("h"), user("k"),
                  end("e1", TERMINATE), "s1>f", "f>h", "f>k", "h>e1")))
    p.signal("sA").check("a h k").do("h").check("a").do("a").check("", True)


def test_signal_end_event_interrupts_its_own_sub_process() -> None:
    play(process(
        start(), sub("sp", start("s1"), parallel("f"), user("a"), user("b"), end("e1", event("signal", "sA")), "s1>f", "f>a",
                     "f>b", "a>e1"),
        boundary("b1", "sp", event("signal", "sA")), user("y"), user("z"), "s>sp", "sp>z", "b1>y")).do("a").check("y")


def test_signal_reaches_other_instances_and_start_events() -> None:
    p = play(
        process(start(), user("a"), throw("t", event("signal", "sA")), user("z"), "s>a", "a>t", "t>z"),
        process(start("s2", event("signal", "sA")), user("y"), "s2>y", id="q"),
        process(start("s3"), catch("c", event("signal", "sA")), user("w"), "s3>c", "c>w", id="r"))
    p.start("r", {})
    p.start("r", {})
    p.do("a").check("z w w y")


def test_message_goes_to_one_catcher() -> None:
    play(process(
        start(), parallel("f"), catch("a", event("message", "mA")), catch("b", event("message", "mA")), user("y"), user("z"),
        "s>f", "f>a", "f>b", "a>y", "b>z")).message("mA").check("b y").message("mA").check("y z")


def test_message_start_and_timer_start() -> None:
    xml = process(start(), start("s2", event("message", "mA")), user("a"), user("b"), "s>a", "s2>b")
    play(xml, start=None).message("mA").check("b")
    play(xml).check("a").do("a").check("", True)
    play(process(start("s", timer("timeDuration", "PT1H")), user("a"), "s>a")).check("").wait(4000).check("a")


def test_cron_cycle_follows_local_days() -> None:
    play(process(
        start(), user("a"), boundary("b", "a", timer("timeCycle", "0 0 9 ? * 1-5"), cancelActivity="false"), user("z"), "s>a",
        "b>z")).wait(86400 * 7 - 1).check("a z z z z")


def test_link_inside_a_sub_process() -> None:
    play(process(
        start(), sub("sp", start("s1"), throw("t", '<linkEventDefinition name="L"/>'),
                     catch("c", '<linkEventDefinition name="L"/>'), user("a"), "s1>t", "c>a"),
        user("z"), "s>sp", "sp>z")).do("a").check("z")


def test_interrupting_timer_beats_a_late_completion() -> None:
    play(process(
        start(), user("a"), boundary("b", "a", timer("timeDuration", "PT1H")), user("y"), user("z"), "s>a", "a>z",
        "b>y")).wait(3600.5).check("y")


def test_interruption_ends_the_other_boundary_events() -> None:
    p = play(process(
        start(), user("a"), boundary("b", "a", event("message", "mA")), boundary("c", "a", timer("timeDuration", "PT1H")),
        user("y"), user("x"), "s>a", "b>y", "c>x"))
    p.message("mA").wait(9999).check("y").do("y").check("", True)


def test_conditional_boundary_event_happens_when_it_becomes_true() -> None:
    p = play(process(
        start(), user("a"), boundary("b", "a", condition("v > 5"), cancelActivity="false"), user("z"), "s>a", "b>z"))
    p.set(v=9).check("a z").set(v=10).check("a z").set(v=1).set(v=7).check("a z z")


def test_conditional_event_sub_process_sees_what_a_script_writes() -> None:
    play(
        process(
            start(), script("a", "{v: 9}"), user("b"), "s>a", "a>b",
            event_sub("q", start("s1", condition("v > 5")), user("h"), "s1>h")),
        v=0,
    ).check("h")


# ------------------------------------------------------------------------------------------------------------- compensation
def test_compensation_runs_in_reverse_order_and_once() -> None:
    play(process(
        start(), script("a"), script("b"), script("ua", isForCompensation="true"), script("ub", isForCompensation="true"),
        undone_by("a", "ua"), undone_by("b", "ub"), throw("t", COMPENSATE), throw("t2", COMPENSATE), end(), "s>a", "a>b", "b>t",
        "t>t2", "t2>e")).check("", True, "a b ub ua")


def test_compensation_of_each_turn_of_a_loop() -> None:
    play(
        process(
            start(), exclusive("m"), script("a", "{n: n + 1}"),
            script("ua", "{log: append(log, n), n: n - 1}", isForCompensation="true"), undone_by("a", "ua"), exclusive("g"),
            throw("t", COMPENSATE), end(), "s>m", "m>a", "a>g", "g>m: n < 3", "g>t: n >= 3", "t>e"),
        n=0, log=[],
    ).check("", True, "a a a ua ua ua", log=[3, 2, 1])


def test_nested_compensation_in_order_with_people_as_handlers() -> None:
    xml = process(
        start(),
        sub("sp", start("s1"), script("a"), script("b"), user("ua", isForCompensation="true"),
            user("ub", isForCompensation="true"), undone_by("a", "ua"), undone_by("b", "ub"), "s1>a", "a>b"),
        script("c"), user("uc", isForCompensation="true"), undone_by("c", "uc"), throw("t", COMPENSATE), user("z"), "s>sp",
        "sp>c", "c>t", "t>z")
    play(xml).check("uc").do("uc").check("ub").do("ub").check("ua").do("ua").check("z").do("z").check("", True)


def test_compensation_of_one_named_activity() -> None:
    play(process(
        start(), script("a"), script("b"), script("ua", isForCompensation="true"), script("ub", isForCompensation="true"),
        undone_by("a", "ua"), undone_by("b", "ub"), throw("t", '<compensateEventDefinition activityRef="a"/>'), user("z"),
        "s>a", "a>b", "b>t", "t>z")).check("z", trace="a b ua")


def test_compensation_from_an_error_event_sub_process() -> None:
    play(process(
        start(), script("a"), script("ua", isForCompensation="true"), undone_by("a", "ua"), end("e1", event("error", "eA")),
        "s>a", "a>e1",
        event_sub("q", start("s1", event("error", "eA")), throw("t", COMPENSATE), script("h"), "s1>t", "t>h"),
    )).check("", True, "a ua h")


def test_a_handler_may_be_a_sub_process_and_undo_a_sub_process() -> None:
    play(process(
        start(), sub("sp", start("s1"), script("a"), script("ua", isForCompensation="true"), undone_by("a", "ua"), "s1>a"),
        sub("usp", start("s2"), script("h1"), user("h2"), "s2>h1", "h1>h2", isForCompensation="true"), undone_by("sp", "usp"),
        end("e", COMPENSATE), "s>sp", "sp>e")).check("h2", trace="a h1").do("h2").check("", True)


def test_cancelled_transaction_undoes_every_instance() -> None:
    xml = process(
        start(),
        sub("tx", start("s1"), user("a", many("3", one_by_one=True)),
            script("ua", "{log: append(log, 1)}", isForCompensation="true"), undone_by("a", "ua"), parallel("f"), user("b"),
            user("c"), end("e1", CANCEL), "s1>a", "a>f", "f>b", "f>c", "b>e1", tag="transaction"),
        boundary("bc", "tx", CANCEL), user("y"), user("z"), "s>tx", "tx>z", "bc>y")
    p = play(xml, log=[]).do("a", "a", "a").check("b c").do("b")
    p.check("y", trace="ua ua ua", log=[1, 1, 1]).do("y").check("", True)


def test_a_completed_transaction_can_be_undone_later() -> None:
    play(process(
        start(),
        sub("tx", start("s1"), script("a"), script("ua", isForCompensation="true"), undone_by("a", "ua"), "s1>a",
            tag="transaction"),
        user("w"), throw("t", COMPENSATE), "s>tx", "tx>w", "w>t")).do("w").check("", True, "a ua")


def test_a_cancelled_sub_process_is_not_undone() -> None:
    play(process(
        start(),
        sub("sp", start("s1"), script("a"), user("w"), script("ua", isForCompensation="true"), undone_by("a", "ua"), "s1>a",
            "a>w"),
        boundary("b", "sp", event("message", "mA")), throw("t", COMPENSATE), user("z"), "s>sp", "b>t", "t>z",
    )).message("mA").check("z", trace="a")


def test_the_handler_of_an_instance_sees_what_that_instance_saw() -> None:
    p = play(
        process(
            start(), user("a", many(collection="bonds", item="bond", one_by_one=True)),
            sub("ua", start("s1"), user("return"), script("note", "{log: append(log, bond)}"), "s1>return", "return>note",
                isForCompensation="true"),
            undone_by("a", "ua"), user("w"), throw("t", COMPENSATE), user("z"), "s>a", "a>w", "w>t", "t>z"),
        bonds=["A", "B"], log=[])
    p.do("a", "a", "w").check("return").do("return").check("return").do("return").check("z", log=["B", "A"])


# ------------------------------------------------------------------------------------------------- loops and multi-instance
def test_standard_loops_with_boundary_and_condition_first() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), user("a"), "s1>a", inner=loop(maximum="3")),
        boundary("b", "sp", event("message", "mA")), user("y"), user("z"), "s>sp", "sp>z", "b>y"))
    p.do("a", "a").check("a").message("mA").check("y")
    play(process(start(), script("a", "{n: n + 1}", loop("n < 4", test_before=True)), "s>a"), n=0).check("", True, n=4)


def test_multi_instance_items_and_nesting() -> None:
    play(
        process(
            start(),
            sub("sp", start("s1"), script("a", "{log: append(log, [i, j])}", many(collection="i", item="j")), "s1>a",
                inner=many(one_by_one=True, collection="rows", item="i")),
            "s>sp"),
        rows=[[1, 2], [3]], log=[],
    ).check("", True, log=[[[1, 2], 1], [[1, 2], 2], [[3], 3]])


def test_multi_instance_gathers_results() -> None:
    inner = (
        "<loopDataInputRef>rows</loopDataInputRef><loopDataOutputRef>outs</loopDataOutputRef>"
        '<inputDataItem id="i1" name="i"/><outputDataItem id="o1" name="r"/>')
    play(
        process(start(), script("a", "{r: i * 10}", many(one_by_one=True, inner=inner)), "s>a"), rows=[1, 2, 3],
    ).check("", True, outs=[10, 20, 30], i=None, r=None)
    gathered = properties(outputCollection="scores", outputElement="score + loopCounter")
    p = play(process(start(), user("a", gathered + many(collection="bidders", item="bidder")), "s>a"), bidders=["x", "y"])
    p.do("a", score=10).do("a", score=20).check("", True, scores=[11, 22], score=None, bidder=None)


def test_multi_instance_quorum_cancels_the_rest() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), user("a"), boundary("b", "a", timer("timeDuration", "PT1H"), cancelActivity="false"), user("y"),
            "s1>a", "b>y", inner=many("5", until="nrOfCompletedInstances >= 2")),
        user("z"), "s>sp", "sp>z"))
    p.do("a", "a").check("z").wait(9999).check("z").do("z").check("", True)


def test_boundary_on_a_multi_instance_task_interrupts_all() -> None:
    play(process(
        start(), user("a", many("3")), boundary("b", "a", event("signal", "sA")), user("y"), user("z"), "s>a", "a>z",
        "b>y")).do("a").signal("sA").check("y")


def test_multi_instance_of_calls_without_mapping_writes_out() -> None:
    play(
        process(start("s2"), script("d", "{n: n + 1}"), "s2>d", id="q"),
        process(start(), call("k", "q", many("4")), user("z"), "s>k", "k>z"), n=0,
    ).check("z", trace="d d d d", n=1)


# --------------------------------------------------------------------------------------------------- scopes, calls, the rest
def test_parallel_branches_share_variables() -> None:
    play(
        process(
            start(), parallel("f"), script("a", "{v: v + 1, l: append(l, 1)}"), script("b", "{q: q + 1, l: append(l, 2)}"),
            parallel("j"), script("t", "{w: v + q}"), "s>f", "f>a", "f>b", "a>j", "b>j", "j>t"),
        v=1, q=1, l=[],
    ).check("", True, v=2, q=2, l=[1, 2], w=4)


def test_ids_that_a_library_could_reserve_are_free() -> None:
    p = play(process(start("Start"), user("Root"), end("End"), task("x"), "Start>Root", "Root>x", "x>End"))
    p.check("Root").do("Root").check("", True)


def test_recursive_calls_and_an_error_through_all_of_them() -> None:
    callee = process(
        start(), exclusive("g"), user("a"), call("c", "p"), end("e1", event("error", "eA")), end("e2"),
        script("d", "{n: n + 1}"), "s>d", "d>g", "g>c: n < 4", "g>a: n >= 4", "c>e2", "a>e1")
    top = process(start(), call("k", "p"), boundary("b", "k", event("error", "eA")), user("y"), "s>k", "b>y", id="top")
    play(callee, top, start="top", n=0).check("a").do("a").check("y").do("y").check("", True)


def test_interrupting_a_call_activity_cancels_what_it_called() -> None:
    callee = process(
        start(), parallel("f"), user("a"), sub("sp", start("s1"), user("b"), "s1>b", inner=many("2")), "s>f", "f>a", "f>sp",
        id="q")
    caller = process(
        start(), call("k", "q"), boundary("b", "k", timer("timeDuration", "PT1H")), user("y"), "s>k", "b>y")
    play(callee, caller).check("a b b").wait(4000).check("y").do("y").check("", True)


def test_two_jobs_at_once_and_the_error_of_one() -> None:
    p = play(process(
        start(), parallel("f"), service("a"), service("b"), boundary("e1", "b", event("error", "eA")), user("y"), parallel("j"),
        user("z"), "s>f", "f>a", "f>b", "a>j", "b>j", "e1>y", "j>z"))
    assert sorted(job.element for job in p.first.jobs.values()) == ["a", "b"]
    p.work("a", v=1).check("", False, v=1)
    p.fail("b", "eA").check("y", False)


def test_a_loop_of_thousands_of_turns_and_a_chain_of_thousands_of_nodes() -> None:
    play(
        process(
            start(), exclusive("m"), script("a", "{n: n + 1}"), exclusive("g"), end(), "s>m", "m>a", "a>g", "g>m: n < 3000",
            "g>e: n >= 3000"),
        n=0,
    ).check("", True, n=3000)
    names = [f"a{n}" for n in range(3000)]
    flows = [f"{a}>{b}" for a, b in itertools.pairwise(names)]
    play(process(start(), *(script(name) for name in names), "s>a0", *flows)).check("", True)
