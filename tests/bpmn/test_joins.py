"""Joins in loops, in every order in which the branches can finish."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from engine import events as log
from tests.bpmn.build import diagram, end, exclusive, inclusive, parallel, process, script, start, user
from tests.bpmn.play import Play


def looping(gateway: str, branches: str) -> bytes:
    """A loop of two turns around a fork and a join."""
    make = parallel if gateway == "parallel" else inclusive
    condition = "" if gateway == "parallel" else ": true"
    return diagram(process(
        start(), exclusive("m"), make("f"), *(user(b) for b in branches), make("j"), script("t", "{n: n + 1}"), exclusive("g"),
        end(), "s>m", "m>f", *(f"f>{b}{condition}" for b in branches), *(f"{b}>j" for b in branches), "j>t", "t>g",
        "g>m: n < 2", "g>e!"))


ORDERS = [(g, first, second) for g in ("parallel", "inclusive") for first, second in product(permutations("ab"), repeat=2)]
ORDERS += [(g, first, second) for g in ("parallel", "inclusive") for first, second in product(permutations("abc"), repeat=2)]


@pytest.mark.parametrize(("gateway", "first", "second"), ORDERS)
def test_a_join_in_a_loop_fires_once_a_turn(gateway: str, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    p = Play(looping(gateway, "".join(sorted(first))), "p", {"n": 0})

    for turn, order in enumerate((first, second)):
        for done, branch in enumerate(order):
            p.check(" ".join(sorted(order[done:])), False, n=turn)
            p.do(branch)

    p.check("", True, n=2)
    assert len(p.seen(log.TokenJoined)) == 2 * (len(first) - 1)


def test_an_inclusive_join_behind_a_rework_loop_waits_for_the_rework() -> None:
    p = Play(diagram(process(
        start(), inclusive("f"), user("draft"), exclusive("m"), user("review"), exclusive("g"), user("other"), inclusive("j"),
        user("z"), "s>f", "f>m: true", "f>other: true", "m>draft", "draft>review", "review>g", "g>m: rework", "g>j!", "other>j",
        "j>z")), "p", {"rework": False})

    p.do("other").check("draft").do("draft").do("review", rework=True).check("draft")
    p.do("draft").do("review", rework=True).check("draft").do("draft").do("review", rework=False).check("z")


def test_a_branch_that_joins_and_one_that_reworks_do_not_mix_turns() -> None:
    p = Play(diagram(process(
        start(), exclusive("m"), parallel("f"), user("a"), user("b"), exclusive("x"), parallel("j"), user("z"), exclusive("xm"),
        "s>m", "m>f", "f>a", "f>xm", "xm>b", "b>x", "x>xm: again", "x>j!", "a>j", "j>z")), "p", {"again": True})

    p.do("a").check("b").do("b").check("b").do("b", again=False).check("z")
