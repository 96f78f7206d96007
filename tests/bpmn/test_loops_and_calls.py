"""Quantities, loops, global tasks and the events around them, on every kind of activity (sections 13.3.2, 13.3.4 and 13.3.6)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import events as log
from engine.bpmn import DiagramCannotRun
from engine.model import RetryElement
from tests.bpmn.build import (
    boundary,
    call,
    diagram,
    element,
    end,
    event,
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
    timer,
    user,
)
from tests.bpmn.play import MONDAY
from tests.bpmn.watched import KeptPlay as Play

CALLEE = process(start(), user("w"), "s>w", id="q")
#: ``{kind: (how it is drawn with something inside and attributes, how its work is done)}``
KINDS = {
    "user": (lambda inner, **more: user("a", inner, **more), lambda p: p.do("a")),
    "service": (lambda inner, **more: service("a", "work", inner, **more), lambda p: p.work("a")),
    "receive": (lambda inner, **more: receive("a", "mA", inner, **more), lambda p: p.message("mA")),
    "sub": (lambda inner, **more: sub("a", start("s1"), user("w"), "s1>w", inner=inner, **more), lambda p: p.do("w")),
    "transaction": (
        lambda inner, **more: sub("a", start("s1"), user("w"), "s1>w", tag="transaction", inner=inner, **more), lambda p: p.do("w")),
    "ad-hoc": (lambda inner, **more: sub("a", user("w"), tag="adHocSubProcess", inner=inner, **more), lambda p: p.do("w")),
    "call": (lambda inner, **more: call("a", "q", inner, **more), lambda p: p.do("w")),
}
LOOPS = {"once": ("", 1), "loop": (loop(maximum="2"), 2), "one by one": (many("2", one_by_one=True), 2), "side by side": (many("2"), 2)}


def drawn(kind: str, inner: str = "", *parts: str, **more: str) -> Play:
    """start > a > z."""
    made = KINDS[kind][0](inner, **more)
    return Play(diagram(CALLEE, process(start(), made, user("z"), "a>z", *(parts or ("s>a",)))))


@pytest.mark.parametrize("repeat", LOOPS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_activity_starts_once_for_so_many_tokens_and_puts_so_many_on_its_flow(kind: str, repeat: str) -> None:
    inner, times = LOOPS[repeat]
    p = drawn(
        kind, inner, parallel("f"), user("x"), user("y"), user("v"), user("u"), "s>f", "f>x", "f>y", "f>u", "f>v", "x>a", "y>a",
        "u>a", "v>a", startQuantity="2", completionQuantity="3")

    begun = [e for e in p.do("x").seen(log.ActivityStarted) if e.element == "a"]
    assert not begun
    p.do("y")
    p.do("u", "v")  # more tokens, while the first run waits for its own work
    for _ in range(2 * times):
        KINDS[kind][1](p)
    p.check("z z z z z z")


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_tests_its_condition_first_or_last_and_counts_its_turns(kind: str) -> None:
    drawn(kind, loop("false", test_before=True)).check("z")
    p = drawn(kind, loop("false"))
    KINDS[kind][1](p)
    p.check("z")
    p = drawn(kind, loop("loopCounter < 2", maximum="5"))
    KINDS[kind][1](p)
    assert "z" not in p.open
    KINDS[kind][1](p)
    p.check("z")
    assert "loopCounter" not in p.variables()


@pytest.mark.parametrize("repeat", LOOPS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_timer_on_the_boundary_interrupts_all_turns_and_instances(kind: str, repeat: str) -> None:
    p = drawn(kind, LOOPS[repeat][0], boundary("t", "a", timer("timeDuration", "PT1H")), user("y"), "s>a", "t>y")

    p.wait(3601).check("y")
    assert not p.first.jobs
    assert p.first.step
    assert not p.first.step.subscriptions


@pytest.mark.parametrize("repeat", LOOPS)
@pytest.mark.parametrize("inside", ["sub", "call"])
def test_errors_and_escalations_from_inside_reach_the_boundary(inside: str, repeat: str) -> None:
    body = (start("s1"), user("w"), element("intermediateThrowEvent", "t", event("escalation", "xA")), end("e1", event("error", "eA")),
            "s1>w", "w>t", "t>e1")
    inner = LOOPS[repeat][0]
    made = sub("a", *body, inner=inner) if inside == "sub" else call("a", "c", inner)
    xml = diagram(process(*body, id="c"), process(
        start(), made, boundary("x", "a", event("escalation", "xA"), cancelActivity="false"), user("n"),
        boundary("e", "a", event("error", "eA")), user("y"), user("z"), "s>a", "a>z", "x>n", "e>y"))

    Play(xml).do("w").check("n y")


@pytest.mark.parametrize(("tag", "inner", "words", "waits"), [
    ("globalTask", "", {}, ""), ("globalManualTask", "", {}, ""),
    ("globalScriptTask", "<script>{seen: 1}</script>", {"scriptFormat": "feel"}, ""),
    ("globalUserTask", "", {"camunda_formKey": "g.form", "camunda_candidateGroups": "legal", "camunda_assignee": "= who"}, "g"),
    ("globalBusinessRuleTask", "", {"camunda_type": "external", "camunda_topic": "rate"}, "")])
@pytest.mark.parametrize("repeat", LOOPS)
def test_a_global_task_runs_when_called_in_every_turn(
    tag: str, inner: str, words: dict[str, str], waits: str, repeat: str
) -> None:
    loops, times = LOOPS[repeat]
    p = Play(diagram(element(tag, "g", inner, **words), process(
        start(), call("a", "g", loops), boundary("t", "a", timer("timeDuration", "PT1H")), user("y"), user("z"), "s>a", "a>z", "t>y")),
        "p", {"who": "li"}, business_key="PSM-1")

    if tag == "globalUserTask":
        first = p.seen(log.UserTaskCreated)[0]
        assert (first.form, first.candidate_groups, first.assignee) == ("g.form", ("legal",), "li")
    for _ in range(times):
        if tag == "globalUserTask":
            p.do("g")
        elif tag == "globalBusinessRuleTask":
            p.work("g")
    p.check("z")


def test_a_called_process_has_the_business_key_that_is_mapped_and_its_own_scope() -> None:
    mapped = '<extensionElements><camunda:in businessKey="key"/></extensionElements>'
    p = Play(diagram(
        process(start(), receive("r", "mA"), "s>r", id="q"), process(start(), call("a", "q", mapped), user("z"), "s>a", "a>z")), "p",
        {"key": "LOT-7"}, business_key="PSM-1")

    assert p.first.step
    assert [s.correlation_key for s in p.first.step.subscriptions] == ["LOT-7"]
    p.message("mA").check("z")


def test_a_task_without_work_keeps_its_quantities_in_a_loop() -> None:
    p = Play(diagram(process(
        start(), parallel("f"), task("a", loop(maximum="2"), startQuantity="2", completionQuantity="2"), script("n", "{n: n + 1}"),
        user("z"), "s>f", "f>a", "f>a", "a>n", "n>z")), "p", {"n": 0})

    p.check("z z", n=2)


# -------------------------------------------------------------------------------------------- a call that an expression names
def chosen(called: str, *extra: str, choices: str = "") -> bytes:
    return diagram(
        process(start(), call("c", called, *((properties(choices=choices),) if choices else ())), user("z"), "s>c", "c>z", *extra),
        process(start(), user("x"), "s>x", id="q"), process(start(), user("y"), "s>y", id="r"))


@pytest.mark.parametrize("called", ["= which", "${which}"])
def test_an_expression_names_the_called_process_each_time(called: str) -> None:
    Play(chosen(called), "p", {"which": "q"}).check("x").do("x").check("z")
    Play(chosen(called), "p", {"which": "r"}).check("y").do("y").check("z")


def test_only_a_process_that_may_be_called_is_called_and_the_data_can_be_mended() -> None:
    p = Play(chosen("= which", choices="q"), "p", {"which": "r"})
    [incident] = [event for event in p.first.events if isinstance(event, log.IncidentOpened)]
    assert (incident.element, "what may be called is q" in incident.message) == ("c", True)

    p.set(which="q")
    p.send(p.first, RetryElement(token=incident.token))

    assert p.open == "x"


def test_choices_that_do_not_exist_are_refused() -> None:
    with pytest.raises(DiagramCannotRun, match="nowhere"):
        Play(chosen("= which", choices="q, nowhere"), "p", {"which": "q"})


# --------------------------------------------------------------------------------------------------- what is passed in and follows
def passed(*pairs: str, live: str) -> str:
    """``source>target`` pairs."""
    made = "".join(f'<camunda:in source="{a}" target="{b}"/>' for a, _, b in (pair.partition(">") for pair in pairs))
    return f"<extensionElements>{made}<camunda:properties><camunda:property name=\"live\" value=\"{live}\"/></camunda:properties></extensionElements>"


WATCHED = process(
    start(), user("w"), boundary("b", "w", timer("timeDate", "= closing_at")), user("late"), end("x"), "s>w", "w>x", "b>late", id="q")


def following(live: str, *pairs: str, **variables: object) -> Play:
    return Play(
        diagram(WATCHED, process(start(), call("c", "q", passed(*(pairs or ("closing_at>closing_at", "n>n")), live=live)), user("z"), "s>c", "c>z")),
        "p", {"closing_at": MONDAY + timedelta(hours=2), "n": 1, **variables})


def test_a_live_variable_follows_the_callers_and_takes_the_timer_along() -> None:
    p = following("closing_at")

    p.set(closing_at=MONDAY + timedelta(hours=5))

    assert [t.due_at for t in p.first.step.timers] == [MONDAY + timedelta(hours=5)]
    p.wait(3 * 3600).check("w").wait(3 * 3600).check("late")


def test_what_is_not_live_stays_as_it_was_passed() -> None:
    p = following("n")

    p.set(closing_at=MONDAY + timedelta(hours=5))

    assert [t.due_at for t in p.first.step.timers] == [MONDAY + timedelta(hours=2)]


def test_a_live_variable_follows_through_calls_in_calls() -> None:
    inner = process(start(), call("d", "q", passed("closing_at>closing_at", live="closing_at")), "s>d", id="m")
    outer = process(start(), call("c", "m", passed("t>closing_at", live="closing_at")), user("z"), "s>c", "c>z")
    p = Play(diagram(WATCHED, inner, outer), "p", {"t": MONDAY + timedelta(hours=2)})

    p.set(t=MONDAY + timedelta(hours=5))

    assert [t.due_at for t in p.first.step.timers] == [MONDAY + timedelta(hours=5)]


def test_every_instance_of_a_called_process_follows() -> None:
    p = Play(
        diagram(WATCHED, process(start(), call("c", "q", passed("closing_at>closing_at", live="closing_at") + many("3")), user("z"), "s>c", "c>z")),
        "p", {"closing_at": MONDAY + timedelta(hours=2)})

    p.set(closing_at=MONDAY + timedelta(hours=5))

    assert {t.due_at for t in p.first.step.timers} == {MONDAY + timedelta(hours=5)}
    assert len(p.first.step.timers) == 3


def test_after_the_called_process_ended_nothing_follows() -> None:
    p = following("closing_at").do("w").check("z")

    p.set(closing_at=MONDAY + timedelta(hours=5)).check("z")

    assert p.first.step.timers == ()


def test_what_the_called_process_changed_itself_stays_until_the_caller_changes_its_own() -> None:
    setter = process(start(), script("g", "{n: 7}"), user("w"), "s>g", "g>w", id="q")
    p = Play(
        diagram(setter, process(start(), call("c", "q", passed("n>n", live="n")), user("z"), "s>c", "c>z")), "p", {"n": 1})

    (inside,) = [token for name, token in p.first.user_tasks() if name == "w"]

    p.set(other=1)
    assert p.variables(inside)["n"] == 7
    p.set(n=2)
    assert p.variables(inside)["n"] == 2


def test_a_live_name_that_is_not_passed_in_is_refused() -> None:
    with pytest.raises(DiagramCannotRun, match="closing"):
        following("closing")
