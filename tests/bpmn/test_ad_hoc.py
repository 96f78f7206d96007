"""Ad-hoc sub-processes (section 13.3.5): what is enabled, in which order, and what ends them."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from engine import events as log
from engine.bpmn import DiagramCannotRun
from tests.bpmn.build import (
    COMPENSATE,
    boundary,
    catch,
    diagram,
    end,
    event,
    event_sub,
    many,
    mapping,
    parallel,
    process,
    properties,
    script,
    service,
    start,
    sub,
    throw,
    timer,
    undone_by,
    user,
)
from tests.bpmn.watched import KeptPlay as Play


def ad_hoc(*parts: str, until: str = "", active: str = "", inner: str = "", **attributes: str) -> str:
    """`until`: completion condition."""
    last = (f"<completionCondition>{escape(until)}</completionCondition>",) if until else ()
    before = (properties(activeElements=active) if active else "") + inner
    return sub("x", *parts, *last, tag="adHocSubProcess", inner=before, **attributes)


def play(*parts: str, **variables: object) -> Play:
    """start > x > z, with what stands beside."""
    return Play(diagram(process(start(), *parts, user("z"), "s>x", "x>z")), "p", variables)


# ------------------------------------------------------------------------------------------------------ without a condition
def test_activities_without_incoming_flow_are_enabled_together_and_flows_are_followed() -> None:
    p = play(ad_hoc(user("a"), user("b"), user("c"), "b>c"))

    p.check("a b").do("b").check("a c").do("c").check("a").do("a").check("z")


def test_one_after_the_other_goes_in_the_order_drawn() -> None:
    p = play(ad_hoc(user("b"), user("a"), user("c"), ordering="Sequential"))

    p.check("b").do("b").check("a").do("a").check("c").do("c").check("z")


def test_one_after_the_other_what_follows_over_a_flow_takes_its_turn_as_well() -> None:
    p = play(ad_hoc(user("a"), user("b"), user("c"), user("d"), "a>c", "a>d", ordering="Sequential"))

    p.check("a").do("a").check("b").do("b").check("c").do("c").check("d").do("d").check("z")


def test_an_interrupted_activity_gives_its_turn_to_the_next() -> None:
    p = play(ad_hoc(
        user("a"), boundary("t", "a", timer("timeDuration", "PT1H")), user("y"), user("b"), "t>y", ordering="Sequential"))

    p.check("a").wait(3601).check("y").do("y").check("b").do("b").check("z")


def test_an_activity_that_fails_on_arrival_keeps_its_turn() -> None:
    p = play(ad_hoc(
        script("a", "{n: 1}"), user("b", camunda_priority="high"), user("c"), ordering="Sequential"), n=0)
    assert p.incidents == [("b", "expression")]
    assert p.variables()["n"] == 1
    assert p.open == ""

    p.set(high=60).retry("b").check("b").do("b").check("c").do("c").check("z")


def test_loops_and_instances_have_one_turn() -> None:
    p = play(ad_hoc(user("a", many("2")), user("b"), ordering="Sequential"))

    p.check("a a").do("a").check("a").do("a").check("b").do("b").check("z")


def test_gateways_join_inside() -> None:
    p = play(ad_hoc(user("a"), user("b"), parallel("j"), user("c"), "a>j", "b>j", "j>c"))

    p.do("a").check("b").do("b").check("c").do("c").check("z")


def test_a_start_quantity_is_met_inside() -> None:
    p = play(ad_hoc(user("a", completionQuantity="2"), user("b", startQuantity="2"), "a>b", ordering="Sequential"))

    p.do("a").check("b").do("b").check("z")


# ---------------------------------------------------------------------------------------------------------- with a condition
def test_once_the_condition_holds_the_rest_is_cancelled() -> None:
    p = play(ad_hoc(user("a"), user("b"), user("c"), "b>c", until="ok"))

    p.do("a", ok=False).check("b").do("b", ok=True).check("z")
    p = play(ad_hoc(user("a"), user("b"), until="ok")).do("a", ok=True).check("z")
    assert [e.element for e in p.seen(log.UserTaskCancelled)] == ["b"]


def test_without_cancelling_what_runs_may_end_but_nothing_begins() -> None:
    p = play(ad_hoc(
        user("a"), user("b"), user("c"), sub("sp", start("s1"), user("d"), user("e1"), "s1>d", "d>e1"), "b>c", until="ok",
        cancelRemainingInstances="false"))

    p.do("a", ok=True).check("b d").do("b").check("d").do("d").check("e1").do("e1").check("z")


def test_without_cancelling_a_boundary_path_begins_nothing_either() -> None:
    p = play(ad_hoc(
        user("a"), user("b"), boundary("t", "b", timer("timeDuration", "PT1H")), user("y"), "t>y", until="ok",
        cancelRemainingInstances="false"))

    p.do("a", ok=True).check("b").wait(3601).check("z")


def test_one_after_the_other_the_condition_ends_it_before_the_next() -> None:
    p = play(ad_hoc(user("a"), user("b"), ordering="Sequential", until="ok", cancelRemainingInstances="false"))

    p.do("a", ok=True).check("z")


def test_all_is_enabled_anew_while_the_condition_does_not_hold() -> None:
    p = play(ad_hoc(user("a"), user("b"), until="ok"))

    p.do("a", "b").check("a b").do("b").check("a").do("a", ok=True).check("z")


def test_work_without_a_person_repeats_until_the_condition_holds() -> None:
    p = play(ad_hoc(script("a", "{n: n + 1}"), script("b", "{n: n + 10}"), until="n > 20", ordering="Sequential"), n=0)

    p.check("z", n=22)


def test_work_that_repeats_without_end_is_an_incident() -> None:
    p = play(ad_hoc(script("a", "{n: 1}"), until="n > 20"), n=0)

    assert p.incidents == [("a", "endless")]


def test_a_list_says_what_is_enabled_in_each_round() -> None:
    p = play(
        ad_hoc(user("plan"), user("a"), user("b"), user("c"), active='if next = null then ["plan"] else next', until="done"))

    p.check("plan").do("plan", next=["c", "a"]).check("a c").do("a", next=["plan"]).do("c").check("plan")
    p.do("plan", done=True).check("z")


def test_a_list_without_a_condition_enables_once() -> None:
    play(ad_hoc(user("a"), user("b"), active='["b"]')).check("b").do("b").check("z")
    play(ad_hoc(user("a"), user("b"), active="[]")).check("z")


def test_a_list_that_names_nothing_that_may_be_enabled_is_an_incident() -> None:
    p = play(ad_hoc(user("a"), user("b"), "a>b", active='["b"]'))
    assert p.incidents == [("x", "expression")]

    p = play(ad_hoc(user("a"), active="wanted", until="done"), wanted=["a"]).do("a", wanted=[])
    assert p.incidents == [("x", "expression")]
    p.set(wanted=["a"]).retry("x").check("a").do("a", done=True).check("z")


def test_a_condition_that_fails_is_an_incident_and_is_asked_again() -> None:
    p = play(ad_hoc(user("a"), user("b"), until="ok and 1 < limit"), limit="x").do("a")
    p.check("b").set(limit=5, ok=True).do("b").check("z")


# -------------------------------------------------------------------------------------------------------- events and nesting
def test_an_event_without_incoming_flow_happens_any_number_of_times_and_holds_nothing_open() -> None:
    p = play(ad_hoc(user("a"), catch("c", event("message", "mA")), user("b"), "c>b"))

    p.message("mA").message("mA").check("a b b").do("b", "a").check("b").message("mA").check("b b").do("b", "b").check("z")
    assert p.subscriptions("mA") == []


def test_an_interrupting_event_sub_process_takes_the_place_of_all() -> None:
    p = play(ad_hoc(
        user("a"), event_sub("q", start("s1", event("message", "mA")), user("h"), "s1>h"), until="ok"))

    p.message("mA").check("h").do("h").check("z")


def test_a_boundary_event_interrupts_all() -> None:
    p = play(
        ad_hoc(user("a"), user("b"), ordering="Sequential"), boundary("t", "x", event("signal", "sA")), user("y"), "t>y")

    p.do("a").check("b").signal("sA").check("y")


def test_instances_of_an_ad_hoc_sub_process_decide_for_themselves() -> None:
    p = play(ad_hoc(user("a"), user("b"), until="ok", inner=many("2")))

    p.do("a", ok=True).check("a b").do("a").check("b").do("b", ok=True).check("z")


def test_an_ad_hoc_sub_process_in_instances_in_an_ad_hoc_sub_process() -> None:
    middle = sub(
        "m", start("s1"), sub("y", user("a"), user("b"), "<completionCondition>ok</completionCondition>", tag="adHocSubProcess",
                              ordering="Sequential"),
        "s1>y", inner=many("2"))
    p = play(ad_hoc(middle, user("c"), until="finished"))

    p.check("a a c").do("a").check("a b c").do("a", ok=True).check("b c").do("b").check("a c").do("c", finished=True).check("z")


def test_completed_activities_are_compensated() -> None:
    p = Play(diagram(process(
        start(), ad_hoc(user("a"), user("b"), script("ua", isForCompensation="true"), undone_by("a", "ua")), throw("t", COMPENSATE),
        end(), "s>x", "x>t", "t>e")))

    p.do("a", "b").check("", True, "ua")


def test_jobs_that_the_condition_makes_needless_are_cancelled() -> None:
    p = play(ad_hoc(service("a", "work", mapping({"q": "1"})), user("b"), until="ok")).do("b", ok=True)

    p.check("z")
    assert [e.element for e in p.seen(log.JobCancelled)] == ["a"]


@pytest.mark.parametrize(("part", "word"), [(start("s1"), "start"), (end("e1"), "start")])
def test_start_and_end_events_do_not_belong_inside(part: str, word: str) -> None:
    with pytest.raises(DiagramCannotRun, match=word):
        play(ad_hoc(user("a"), part))


def test_an_unknown_ordering_is_refused() -> None:
    with pytest.raises(DiagramCannotRun, match="Shuffled"):
        play(ad_hoc(user("a"), ordering="Shuffled"))
