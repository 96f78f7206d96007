"""What the checker says of the runs of a diagram is what the core does in them: every run of small diagrams is gone through."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import pytest

from engine.bpmn import advance, compile_definition, open_elements
from engine.bpmn import state as states
from engine.bpmn.check import check
from engine.bpmn.check.document import CheckContext, Document
from engine.bpmn.check.soundness import games
from engine.bpmn.check.token_game import STATES
from engine.bpmn.xml import read_diagram
from engine.model import CompleteUserTask, Finding, InstanceStatus, Severity, Source, StartInstance, TokenId
from tests.bpmn.build import (
    TERMINATE,
    boundary,
    catch,
    diagram,
    end,
    event,
    event_sub,
    exclusive,
    inclusive,
    parallel,
    process,
    script,
    start,
    sub,
    task,
    throw,
    timer,
    user,
)
from tests.bpmn.play import MONDAY
from tests.bpmn.test_walks import Writer


def told(*parts: str) -> list[Finding]:
    """Findings about runs."""
    rules = {"FLOW-DEADLOCK", "FLOW-STARVED", "FLOW-MERGE-TWICE", "FLOW-ENDLESS"}
    return [each for each in check({"a.bpmn": diagram(process(*parts))}) if each.rule in rules]


def short(*parts: str) -> list[tuple[str, str | None, str]]:
    """(rule, element, severity, or whether it is so in every run)."""
    return [(each.rule, each.element, "always" if " always " in each.en else each.severity.value) for each in told(*parts)]


# ------------------------------------------------------------------------------------------------------------------ deadlocks
def test_a_join_that_no_run_gets_past_is_told_as_such_wherever_the_split_stands() -> None:
    outer = (start(), exclusive("g"), exclusive("h"), parallel("j"), user("a"), user("b"), user("c"), exclusive("m"), end())

    assert short(*outer, "s>g", "g>h: x = 1", "g>c!", "h>a: y = 1", "h>b!", "a>j", "b>j", "j>m", "c>m", "m>e") == [
        ("FLOW-DEADLOCK", "j", "always")]


def test_a_join_that_some_runs_get_past_is_a_warning_with_split_and_way() -> None:
    (found,) = told(
        start(), parallel("f"), exclusive("g"), user("a"), user("b"), user("c"), parallel("j"), end(), end("z"), "s>f", "f>a",
        "f>g", "g>b: x = 1", "g>c!", "a>j", "b>j", "c>z", "j>e")

    assert (found.rule, found.element, found.severity) == ("FLOW-DEADLOCK", "j", Severity.WARNING)
    assert "b_j" in found.en
    assert 'split at "g"' in found.en
    assert "g→g_c" in found.en
    assert "“g”" in found.zh
    assert "可能永远" in found.zh


def test_a_deadlock_in_the_second_turn_of_a_loop_is_found() -> None:
    parts = (start(), exclusive("m"), parallel("f"), user("a"), user("b"), parallel("j"), exclusive("x"), end(), "s>m", "m>f", "f>a",
             "f>b", "b>j", "a>j", "j>x", "x>e!")

    assert short(*parts, "x>m: again = 1") == []
    assert short(*parts, "x>a: again = 1") == [("FLOW-DEADLOCK", "j", "warning")]


def test_the_split_of_an_event_gateway_or_a_boundary_event_into_a_parallel_join_is_found() -> None:
    assert short(
        start(), user("a"), boundary("b", "a", timer("timeDuration", "PT1H")), user("c"), parallel("j"), end(), "s>a", "a>j",
        "b>c", "c>j", "j>e") == [("FLOW-DEADLOCK", "j", "always")]
    assert short(
        start(), '<eventBasedGateway id="g"/>', catch("a", event("message", "mA")), catch("b", event("signal", "sA")), parallel("j"),
        end(), "s>g", "g>a", "g>b", "a>j", "b>j", "j>e") == [("FLOW-DEADLOCK", "j", "always")]


def test_a_join_that_waits_because_another_one_does_is_not_told() -> None:
    assert short(
        start(), parallel("f"), exclusive("g"), user("a"), user("b"), user("c"), parallel("j"), parallel("k"), end(), "s>f", "f>g",
        "f>c", "g>a: x = 1", "g>b!", "a>j", "b>j", "j>k", "c>k", "k>e") == [("FLOW-DEADLOCK", "j", "always")]


def test_an_inclusive_join_waits_for_what_can_still_come_only() -> None:
    parts = (start(), inclusive("g"), user("a"), user("b"), user("c"), inclusive("j"), end(), "s>g", "g>a: x = 1", "g>b: y = 1", "g>c!",
             "a>j", "b>j", "c>j", "j>e")

    assert short(*parts) == []


def test_two_inclusive_joins_that_wait_for_each_other_are_told() -> None:
    found = short(
        start(), parallel("f"), inclusive("i"), inclusive("j"), user("a"), user("b"), user("c"), user("d"), exclusive("x"), exclusive("y"),
        end(), "s>f", "f>i", "f>j", "i>a", "j>b", "a>x", "b>y", "x>c!", "c>j", "y>d!", "d>i", "x>e: p = 1", "y>e: q = 1")

    assert {(rule, element) for rule, element, _ in found if rule == "FLOW-DEADLOCK"} == {("FLOW-DEADLOCK", "i"), ("FLOW-DEADLOCK", "j")}


def test_an_end_that_terminates_frees_what_waits() -> None:
    parts = (start(), parallel("f"), exclusive("g"), user("a"), user("b"), user("c"), parallel("j"), end(), "s>f", "f>a", "f>g", "g>b: x = 1",
             "g>c!", "a>j", "b>j", "c>z", "j>e")

    assert short(*parts, end("z", TERMINATE)) == []


def test_a_scope_that_an_event_sub_process_may_end_is_never_certain() -> None:
    parts = (start(), exclusive("g"), user("a"), user("b"), parallel("j"), end(), "s>g", "g>a: x = 1", "g>b!", "a>j", "b>j", "j>e")
    rescue = event_sub("q", start("qs", event("message", "mA")), user("u"), "qs>u")

    assert short(*parts) == [("FLOW-DEADLOCK", "j", "always")]
    assert short(*parts, rescue) == [("FLOW-DEADLOCK", "j", "warning")]


def test_a_deadlock_within_a_sub_process_is_told_there_only() -> None:
    inner = sub("sp", start("s1"), exclusive("g"), user("a"), user("b"), parallel("j"), end("e1"), "s1>g", "g>a: x = 1", "g>b!", "a>j",
                "b>j", "j>e1")

    assert short(start(), inner, end(), "s>sp", "sp>e") == [("FLOW-DEADLOCK", "j", "always")]


def test_tokens_that_go_over_a_link_are_followed() -> None:
    link = '<linkEventDefinition name="L"/>'
    parts = (start(), parallel("f"), user("a"), throw("t", link), catch("c", link), user("b"), parallel("j"), end(), "s>f", "f>a", "f>t",
             "c>b", "a>j", "b>j", "j>e")

    assert short(*parts) == []


# ------------------------------------------------------------------------------------------------------- several tokens, loops
def test_branches_that_meet_without_a_join_are_told_once_where_they_meet() -> None:
    assert short(
        start(), parallel("f"), user("a"), user("b"), exclusive("m"), user("c"), user("d"), end(), "s>f", "f>a", "f>b", "a>m", "b>m",
        "m>c", "c>d", "d>e") == [("FLOW-MERGE-TWICE", "m", "warning")]
    assert short(start(), parallel("f"), user("a"), user("b"), end(), "s>f", "f>a", "f>b", "a>e", "b>e") == []


def test_what_a_non_interrupting_event_sends_besides_may_come_again_and_again() -> None:
    assert short(
        start(), user("a"), boundary("b", "a", timer("timeCycle", "R/PT1H"), cancelActivity="false"),
        boundary("c", "a", event("message", "mA"), cancelActivity="false"), task("remind"), end(), "s>a", "a>e", "b>remind", "c>remind") == []


def test_a_loop_that_nothing_leads_out_of_is_told() -> None:
    assert short(start(), script("a"), exclusive("m"), end(), "s>m", "m>a", "a>m", "a>e") == [("FLOW-ENDLESS", "a", "draft")]


def test_a_loop_that_a_condition_leaves_is_told_when_nothing_in_it_changes_data() -> None:
    parts = (start(), exclusive("m"), exclusive("x"), end(), "s>m", "a>x", "m>a", "x>m: n = 1", "x>e!")

    assert short(*parts, task("a")) == [("FLOW-ENDLESS", "m", "warning")]
    assert short(*parts, script("a")) == []
    assert short(*parts, user("a")) == []


# ------------------------------------------------------------------------------------------------------------------------ laws
def tangle(rnd: random.Random) -> tuple[bytes, dict[str, list[str]]]:
    """A small process whose flows lead anywhere; every flow leads over a user task. Gives also the choices of each gateway."""
    n = rnd.randrange(3, 6)
    kinds = [rnd.choice(["x", "x", "p", "p", "i"]) for _ in range(n)]
    parts = [start(), end()]
    flows: list[str] = []
    choices: dict[str, list[str]] = {}
    edges = 0

    def edge(source: str, target: str, rest: str = "") -> None:
        nonlocal edges
        edges += 1
        parts.append(user(f"u{edges}"))
        flows.extend([f"{source}>u{edges}{rest}", f"u{edges}>{target}"])

    edge("s", "n0")
    for i, kind in enumerate(kinds):
        make = {"x": exclusive, "p": parallel, "i": inclusive}[kind]
        parts.append(make(f"n{i}"))
        ahead = list(range(i + 1, n)) + ([rnd.randrange(i + 1)] if kind == "x" and rnd.random() < 0.4 else [])
        targets = [f"n{t}" for t in rnd.sample(ahead, k=min(len(ahead), rnd.choice([1, 2, 2])))]
        targets += ["e"] if not targets or rnd.random() < 0.3 else []
        if len(targets) > 1 and kind == "x":
            choices[f"n{i}"] = [str(k) for k in range(len(targets))]
        if len(targets) > 1 and kind == "i":
            choices[f"n{i}"] = ["".join(c) for size in range(1, len(targets) + 1) for c in combinations("012"[:len(targets)], size)]
        for k, target in enumerate(targets):
            edge(f"n{i}", target, f': contains(n{i}, "{k}")' if f"n{i}" in choices else "")
    return diagram(process(*parts, *flows)), choices


class TooMany(Exception):
    """More markings than a test waits for."""


def stuck_runs(xml: bytes, choices: dict[str, list[str]], limit: int = 120) -> tuple[set[str], bool]:
    """Run the core over every choice: return (joins at which a run gets stuck, whether a run gets to its end)."""
    definition = compile_definition("p", [Source(key="p", version=1, xml=xml)])
    values: list[dict[str, Any]] = [dict(zip(choices, made, strict=True)) for made in product(*choices.values())]
    begin = advance(definition, None, StartInstance(variables=values[0]), MONDAY)
    seen: set[tuple[tuple[str, str], ...]] = set()
    stuck: set[str] = set()
    ended = False
    todo = [begin]
    while todo:
        step = todo.pop()
        if step.status is InstanceStatus.COMPLETED:
            ended = True
            continue
        assert step.state is not None
        there = open_elements(definition, step.state)
        tokens = states.load(definition, step.state, MONDAY).tokens()
        arrived = {token.id: token.internal_data["flow"] for token in tokens if "flow" in token.internal_data}
        marking = tuple(sorted((each.element, arrived.get(each.token, "")) for each in there))
        if marking in seen:
            continue
        seen.add(marking)
        if len(seen) > limit or len(there) > 9:
            raise TooMany
        stuck |= {each.element for each in there if each.state == "stuck"}
        ready = {each.element: each.token for each in there if each.kind == "userTask"}
        for token in ready.values():
            for chosen in values:
                todo.append(advance(definition, step.state, CompleteUserTask(token=TokenId(token), values=chosen), MONDAY))
    return stuck, ended


@pytest.mark.parametrize("seed", [*range(34), *range(35, 51)])  # 34 has more runs than anybody waits for
def test_the_checker_tells_a_deadlock_where_a_run_of_the_core_gets_stuck_and_nowhere_else(seed: int) -> None:
    xml, choices = tangle(random.Random(seed))
    document = Document(read_diagram(xml), "a.bpmn", CheckContext())
    (game,) = games(document)
    assert not game.result.given_up
    stuck, ended = stuck_runs(xml, choices)

    joins = {game.elements[each.join].get("id") for each in game.result.stuck}

    assert joins <= stuck
    assert bool(joins) == bool(stuck)
    assert game.result.ends == ended


@pytest.mark.parametrize("seed", range(40))
def test_what_is_drawn_in_blocks_has_no_deadlock_and_leaves_little_to_look_at(seed: int) -> None:
    xml = Writer(random.Random(seed)).process()

    found = [each for each in check({"a.bpmn": xml}) if each.rule in ("FLOW-DEADLOCK", "FLOW-STARVED")]
    played = games(Document(read_diagram(xml), "a.bpmn", CheckContext()))

    assert found == []
    assert max(game.result.states for game in played) <= 40


def wide(branches: int) -> Iterator[str]:
    """Parallel branches that exchange tokens, so that nothing can be folded away."""
    yield from (start(), end(), parallel("f"), parallel("j"), "s>f", "j>e")
    for n in range(branches):
        yield from (exclusive(f"x{n}"), exclusive(f"m{n}"), parallel(f"p{n}"), parallel(f"q{n}"), f"f>x{n}", f"x{n}>p{n}: a = {n}",
                    f"x{n}>m{n}!", f"p{n}>m{n}", f"p{n}>q{n}", f"m{n}>q{(n + 1) % branches}", f"q{n}>j")


def test_beyond_its_budget_the_analysis_is_silent() -> None:
    document = Document(read_diagram(diagram(process(*wide(40)))), "a.bpmn", CheckContext())

    (game,) = games(document)

    assert game.result.given_up
    assert game.result.states <= STATES + 1
    assert not game.result.stuck
    assert not game.result.twice
