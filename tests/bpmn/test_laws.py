"""Laws that hold for every diagram and every order of what happens. Failing examples shrink to small diagrams.

`PSMFLOW_LAWS=1000` tries so many examples of each law, new ones each time; without it they are few and always the same.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import events as log
from engine.model import CancelInstance, InstanceStatus
from tests.bpmn.build import (
    COMPENSATE,
    boundary,
    catch,
    diagram,
    end,
    event,
    event_sub,
    events,
    exclusive,
    inclusive,
    many,
    parallel,
    process,
    script,
    service,
    start,
    sub,
    throw,
    timer,
    undone_by,
    user,
)
from tests.bpmn.test_walks import Writer, act
from tests.bpmn.watched import WatchedPlay

Thing = TypeVar("Thing")
_LONG = int(os.environ.get("PSMFLOW_LAWS", "0"))


def law(examples: int) -> Callable[[Any], Any]:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]
    return settings(max_examples=_LONG or examples, derandomize=not _LONG, deadline=None, database=None, suppress_health_check=quiet)


class Drawn:
    """What `random.Random` does, drawn by hypothesis: what comes first is the simplest."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def choice(self, things: Sequence[Thing]) -> Thing:
        return things[self._draw(st.integers(0, len(things) - 1))]

    def random(self) -> float:
        return 0.9 - self._draw(st.integers(0, 8)) / 10

    def randrange(self, *bounds: int) -> int:
        low, high = (0, *bounds) if len(bounds) == 1 else bounds
        return int(self._draw(st.integers(low, high - 1)))


def graph(rnd: Any, nest: int = 1, prefix: str = "") -> list[str]:
    """Parts of a scope: any activities and gateways with any flows between them.

    Flows lead back only from where somebody or something is waited for, so nothing turns for ever by itself.
    """
    kinds = ["user", "script", "exclusive", "parallel", "inclusive", "service", "catch", "race"] + ["sub"] * nest
    count = rnd.randrange(1, 8)
    names = [f"{prefix}n{n}" for n in range(count)]
    waits: set[str] = set()
    parts = [start(f"{prefix}s"), f"{prefix}s>{names[0]}"]

    def target(n: int) -> str | None:
        """A node further on, or, where something is waited for, any one."""
        found = names if names[n] in waits else names[n + 1:]
        return rnd.choice(found) if found else None

    for n, name in enumerate(names):
        kind = rnd.choice(kinds)
        if kind in ("user", "service", "catch", "race"):
            waits.add(name)
        if kind == "user":
            extra = rnd.choice(["", "", "", many("2"), many("3", one_by_one=True)])
            parts.append(user(name, extra))
            if rnd.random() < 0.3:
                trigger = rnd.choice([event("message", "mA"), timer("timeDuration", "PT1H"), timer("timeCycle", "R2/PT1H")])
                parts.append(boundary(f"{name}_b", name, trigger, cancelActivity=rnd.choice(["true", "false"])))
                to = target(n)
                if to is not None:
                    parts.append(f"{name}_b>{to}")
        elif kind == "script":
            parts.append(script(name, f"{{{name}: 1, n: n + 1}}"))
        elif kind == "service":
            parts.append(service(name))
        elif kind == "catch":
            parts.append(catch(name, rnd.choice([event("message", "mB"), timer("timeDuration", "PT2H"), event("signal", "sA")])))
        elif kind == "race":
            parts += [events(name), catch(f"{name}_1", event("message", "mC")), catch(f"{name}_2", timer("timeDuration", "PT3H")),
                      f"{name}>{name}_1", f"{name}>{name}_2"]
            for way in ("1", "2"):
                to = target(n)
                if to is not None:
                    parts.append(f"{name}_{way}>{to}")
            continue
        elif kind == "sub":
            parts.append(sub(name, *graph(rnd, nest - 1, f"{name}_"), inner=rnd.choice(["", "", many("2")])))
        else:
            parts.append({"exclusive": exclusive, "parallel": parallel, "inclusive": inclusive}[kind](name))
        flows = list(dict.fromkeys(to for to in (target(n) for _ in range(rnd.choice([1, 2, 2]))) if to is not None))
        conditional = kind in ("exclusive", "inclusive")
        for i, to in enumerate(flows):
            condition = rnd.choice(["n > 3", "n < 5", "true"])
            parts.append(f"{name}>{to}" + ("!" if conditional and i == len(flows) - 1 else f": {condition}" if conditional else ""))
    if rnd.random() < 0.3:
        trigger = rnd.choice([event("message", "mA"), timer("timeDuration", "PT5H"), event("signal", "sA")])
        begin = start(f"{prefix}qs", trigger, isInterrupting=rnd.choice(["true", "false"]))
        parts.append(event_sub(f"{prefix}q", begin, user(f"{prefix}qu"), f"{prefix}qs>{prefix}qu"))
    return parts


def unstructured(rnd: Any) -> bytes:
    return diagram(process(*graph(rnd)))


def structured(rnd: Any) -> bytes:
    return Writer(rnd).process()


def walk(xml: bytes, rnd: Any, steps: int) -> WatchedPlay:
    """Play a diagram; each command is watched. It ends when tokens multiply: a signal may double them each time."""
    play = WatchedPlay(xml, "p", {"n": 0})
    for _ in range(steps):
        instance = play.first
        if instance.status is not InstanceStatus.ACTIVE or len(instance.made) - len(instance.ended) > 40:
            break
        if not act(play, instance, rnd):
            break
    return play


@law(40)
@given(st.data())
def test_whatever_happens_in_a_structured_diagram_the_state_the_log_and_the_indexes_agree(data: st.DataObject) -> None:
    rnd = Drawn(data.draw)
    walk(structured(rnd), rnd, 30)


@law(80)
@given(st.data())
def test_whatever_happens_in_any_graph_the_state_the_log_and_the_indexes_agree(data: st.DataObject) -> None:
    rnd = Drawn(data.draw)
    walk(unstructured(rnd), rnd, 30)


@pytest.mark.parametrize("seed", range(_LONG or 25))
def test_long_walks_agree_too(seed: int) -> None:
    rnd = random.Random(seed)
    walk(unstructured(rnd), rnd, 80)


def forked(kind: str, branches: int, turns: int) -> bytes:
    """A loop of `turns` turns; in each a gateway of `kind` forks into user tasks ``u0 u1 …`` that a gateway of the kind joins."""
    gateway = {"parallel": parallel, "inclusive": inclusive}[kind]
    parts = [start(), exclusive("m"), gateway("f"), gateway("j"), script("after", "{n: n + 1}"), exclusive("g"), end(),
             "s>m", "m>f", "j>after", "after>g", f"g>m: n < {turns}", "g>e!"]
    for n in range(branches):
        condition = f": list contains(chosen, {n})" if kind == "inclusive" else ""
        parts += [user(f"u{n}"), f"f>u{n}{condition}", f"u{n}>j"]
    return diagram(process(*parts))


def joins_once_each_turn(kind: str, branches: int, chosen: Sequence[int], orders: Sequence[Sequence[int]]) -> None:
    play = WatchedPlay(forked(kind, branches, len(orders)), "p", {"n": 0, "chosen": list(chosen)})
    for turn, order in enumerate(orders, start=1):
        for left, n in enumerate(order):
            assert play.variables()["n"] == turn - 1, f"joined before {order[left:]} came in"
            play.do(f"u{n}")
        assert play.variables()["n"] == turn
    assert [e.element for e in play.seen(log.ActivityStarted)].count("j") == len(orders)
    assert len(play.seen(log.TokenJoined)) == sum(len(order) - 1 for order in orders)
    play.check(ended=True)


@pytest.mark.parametrize("branches", [2, 3, 4, 5])
def test_a_parallel_join_fires_once_each_turn_in_whatever_order_its_branches_come_in(branches: int) -> None:
    orders = list(permutations(range(branches)))
    for n in range(0, len(orders), 12):
        joins_once_each_turn("parallel", branches, range(branches), orders[n: n + 12])


@pytest.mark.parametrize("branches", [2, 3, 4])
def test_an_inclusive_join_fires_once_each_turn_for_each_choice_and_order(branches: int) -> None:
    for size in range(1, branches + 1):
        for chosen in combinations(range(branches), size):
            joins_once_each_turn("inclusive", branches, chosen, list(permutations(chosen))[:12])


@law(15)
@given(st.data())
def test_a_join_of_many_branches_fires_once_each_turn_in_any_order(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["parallel", "inclusive"]))
    branches = data.draw(st.integers(6, 9))
    chosen = list(range(branches))
    if kind == "inclusive":
        chosen = sorted(data.draw(st.sets(st.sampled_from(chosen), min_size=1)))
    joins_once_each_turn(kind, branches, chosen, [data.draw(st.permutations(chosen)) for _ in range(2)])


def test_any_graph_gives_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib, random; from tests.bpmn.test_laws import unstructured, walk\n"
        "rnd = random.Random(11); made = hashlib.sha256()\n"
        "for _ in range(15):\n"
        "    play = walk(unstructured(rnd), rnd, 15)\n"
        "    made.update(play.first.state); made.update(repr(play.first.events).encode())\n"
        "print(made.hexdigest())")
    root = Path(__file__).resolve().parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}, cwd=root,
            capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_cancelled_instance_forgets_the_scopes_inside_a_sub_process_that_nobody_asked_for() -> None:
    inner = sub("b", start("s2"), script("c"), script("uc", isForCompensation="true"), undone_by("c", "uc"), "s2>c")
    outer = sub("a", start("s1"), inner, user("u"), "s1>b", "b>u")
    play = WatchedPlay(diagram(process(start(), outer, throw("t", COMPENSATE), "s>a", "a>t")), "p", {})

    play.send(play.first, CancelInstance(reason="over"))

    assert play.first.status is InstanceStatus.CANCELLED
