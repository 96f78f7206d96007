"""A join that can never fire says so; one that can never does."""

from __future__ import annotations

import random

import pytest

from engine import events as log
from engine.bpmn import open_elements
from engine.errors import NotFound
from engine.model import InstanceStatus, RetryElement
from tests.bpmn.build import (
    boundary,
    diagram,
    element,
    end,
    event,
    event_sub,
    exclusive,
    inclusive,
    parallel,
    process,
    properties,
    script,
    service,
    start,
    sub,
    timer,
    user,
)
from tests.bpmn.folds import check_against, fold
from tests.bpmn.test_walks import Writer, act
from tests.bpmn.watched import KeptPlay as Play


def play(*processes: str, **variables: object) -> Play:
    return Play(diagram(*processes), "p", variables)


#: Only one of two branches is taken, the join wants both.
XOR_AND = process(
    start(), exclusive("g"), user("a"), user("b", name="报价"), parallel("j"), user("z"), end(), "s>g", "g>a!", "g>b: false", "a>j", "b>j",
    "j>z", "z>e")


def test_a_join_whose_other_branch_was_never_taken_is_an_incident_that_names_the_branch() -> None:
    p = play(XOR_AND)
    assert p.incidents == []
    p.do("a")

    assert p.incidents == [("j", "stuck")]
    [opened] = p.seen(log.IncidentOpened)
    assert "“报价”(b_j)" in opened.message
    assert "nothing comes from “报价” (b_j)" in opened.message
    assert "a_j" not in opened.message
    check_against(fold(p.first.events), p.first.definition, p.first.state or b"")


def test_a_retry_lets_the_join_go_on_with_what_has_arrived() -> None:
    p = play(XOR_AND).do("a").retry("j").check("z")

    assert [e.kind for e in p.seen(log.IncidentResolved)] == ["stuck"]
    p.do("z").check("", True)


def test_as_long_as_anything_may_still_happen_in_the_scope_nothing_is_said() -> None:
    p = play(process(
        start(), parallel("f"), user("a"), user("elsewhere"), service("w"), parallel("j"), end("e1"), end("e2"), exclusive("g"), end(),
        "s>f", "f>a", "f>elsewhere", "f>w", "a>j", "elsewhere>e1", "w>g", "g>e2!", "g>j: false", "j>e"))
    p.do("a").check("elsewhere").do("elsewhere").check("")
    p.work("w")

    assert p.incidents == [("j", "stuck")]


def test_a_join_inside_a_sub_process_is_found_while_others_go_on() -> None:
    p = play(process(
        start(), parallel("f"), user("x"),
        sub("sp", start("s1"), exclusive("g"), script("a"), script("b"), parallel("j"), "s1>g", "g>a!", "g>b: false", "a>j", "b>j"),
        boundary("late", "sp", timer("timeDuration", "PT1H")), end(), "s>f", "f>x", "f>sp", "sp>e", "late>e"))
    assert p.incidents == [("j", "stuck")]
    assert p.open == "x"

    p.wait(3601).do("x").check("", True)
    assert p.seen(log.IncidentResolved)[-1].reason == "cancelled"


def test_two_inclusive_joins_that_wait_for_each_other_are_both_told_and_one_retry_frees_both() -> None:
    p = play(process(
        start(), parallel("f"), inclusive("i"), inclusive("k"), exclusive("x"), exclusive("y"), user("z"), end(), end("e2"),
        "s>f", "f>i", "f>k", "i>x", "x>z!", "x>k: again", "k>y", "y>e2!", "y>i: again", "z>e"), again=False)
    assert sorted(p.incidents) == [("i", "stuck"), ("k", "stuck")]

    p.retry("i").check("z")
    assert [e.element for e in p.seen(log.IncidentResolved)] == ["i", "k"]
    p.do("z").check("", True)


def test_a_complex_gateway_whose_condition_will_not_hold_is_told_with_its_condition() -> None:
    gateway = element("complexGateway", "c", "<activationCondition>activationCount &gt;= 3</activationCondition>")
    p = play(process(start(), parallel("f"), user("a"), user("b"), gateway, user("z"), "s>f", "f>a", "f>b", "a>c", "b>c", "c>z"))
    p.do("a").check("b").do("b")

    assert p.incidents == [("c", "stuck")]
    assert "activationCount >= 3" in p.seen(log.IncidentOpened)[0].message
    p.retry("c").check("z").do("z").check("", True)


def test_several_tokens_of_one_flow_go_through_one_at_a_time() -> None:
    p = play(process(
        start(), parallel("f"), exclusive("m"), exclusive("g"), user("b"), parallel("j"), user("z"), "s>f", "f>m", "f>g", "g>m!", "g>b: false",
        "m>j", "b>j", "j>z"))
    assert p.incidents == [("j", "stuck")]

    p.retry("j")
    assert p.open == "z"
    p.do("z")
    assert p.incidents == [("j", "stuck")]
    p.retry("j").check("z").do("z").check("", True)


def test_an_open_event_sub_process_is_waited_for_and_one_that_begins_later_changes_nothing() -> None:
    watch = event_sub(
        "w", start("s1", event("message", "mA"), isInterrupting="false"), user("h"), "s1>h", inner=properties(suspends="false"))
    p = play(XOR_AND.replace("</process>", watch + "</process>")).message("mA").do("a")
    assert p.incidents == []
    p.do("h")
    assert p.incidents == [("j", "stuck")]

    p.message("mA").do("h")
    assert len(p.seen(log.IncidentOpened)) == 1


def test_a_stuck_join_that_was_retried_is_no_target_any_more() -> None:
    p = play(XOR_AND).do("a")
    token = p.seen(log.IncidentOpened)[0].token
    p.retry("j").do("z")

    with pytest.raises(NotFound):
        p.send(p.first, RetryElement(token=token))


# ------------------------------------------------------------------------------------------------------------------------ laws
def tangle(rnd: random.Random) -> bytes:
    """A process whose flows lead anywhere ahead, some back: forks, joins of every kind, dead ends."""
    n = rnd.randrange(4, 12)
    makers = [user, user, script, service, exclusive, parallel, parallel, inclusive, inclusive]
    flows: dict[tuple[str, str], str] = {("s", "n0"): ""}
    nodes = []
    for i in range(n):
        make = rnd.choice(makers)
        nodes.append(make(f"n{i}"))  # type: ignore[operator]
        ahead = range(0 if make is exclusive else i + 1, n)
        targets = [f"n{t}" for t in rnd.sample(ahead, k=min(len(ahead), rnd.choice([1, 2, 2, 3])))] or ["e"]
        chooses = make in (exclusive, inclusive) and len(targets) > 1
        for k, target in enumerate(targets):
            flows[f"n{i}", target] = f": n > {rnd.randrange(9)}" if chooses and k else "!" if chooses else ""
    return diagram(process(start(), end(), *nodes, *(f"{a}>{b}{rest}" for (a, b), rest in flows.items())))


@pytest.mark.parametrize("seed", range(70))
def test_no_join_is_called_stuck_that_fires_and_no_instance_is_silent_that_is(
    seed: int, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.bpmn.workflow.STEP_LIMIT", 200)  # some loops have no end
    rnd = random.Random(seed)
    p = Play(tangle(rnd), "p", {"n": rnd.randrange(9)})
    instance = p.first
    retried: set[int] = set()
    for _ in range(40):
        assert instance.state is not None
        assert instance.step
        folded = fold(instance.events)
        live = [e for e in open_elements(instance.definition, instance.state) if not e.is_subscription]
        check_against(folded, instance.definition, instance.state)
        if instance.status is not InstanceStatus.ACTIVE or len(live) > 30:
            break
        # no silence: something can be done, or an incident says why not
        assert instance.user_tasks() or instance.jobs or folded.incidents or instance.step.timers or instance.step.subscriptions
        stuck = {e.token: e for e in live if e.state == "stuck"}
        # no false alarm: besides joins nothing is open in their scope
        for found in stuck.values():
            assert all(e.state in ("waiting", "stuck") and "ateway" in e.kind for e in live if e.scope == found.scope)
        before = set(stuck)
        since = len(instance.events)
        choose_from = [RetryElement(token=t) for t in sorted(stuck)]
        if choose_from and rnd.random() < 0.5:
            command = rnd.choice(choose_from)
            retried.add(command.token)
            p.send(instance, command)
        elif not act(p, instance, rnd):
            break
        else:
            continue
        gone = {e.token for e in instance.events[since:] if isinstance(e, log.IncidentResolved)}
        assert before & gone, "a retry resolves what it retries"


@pytest.mark.parametrize("seed", range(30))
def test_what_is_drawn_in_blocks_is_never_stuck(seed: int) -> None:
    rnd = random.Random(1000 + seed)
    p = Play(Writer(rnd).process(), "p", {"n": 0})
    for _ in range(60):
        if p.first.status is not InstanceStatus.ACTIVE or not act(p, p.first, rnd):
            break
    assert not [e for e in p.seen(log.IncidentOpened) if e.kind == "stuck"]
