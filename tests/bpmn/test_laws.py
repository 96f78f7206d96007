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
from engine.model import InstanceStatus
from tests.bpmn.build import (
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
    timer,
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


@law(60)
@given(st.data())
def test_whatever_happens_in_a_structured_diagram_the_state_the_log_and_the_indexes_agree(data: st.DataObject) -> None:
    rnd = Drawn(data.draw)
    walk(structured(rnd), rnd, 30)


@law(120)
@given(st.data())
def test_whatever_happens_in_any_graph_the_state_the_log_and_the_indexes_agree(data: st.DataObject) -> None:
    rnd = Drawn(data.draw)
    walk(unstructured(rnd), rnd, 30)


@pytest.mark.parametrize("seed", range(_LONG or 25))
def test_long_walks_agree_too(seed: int) -> None:
    rnd = random.Random(seed)
    walk(unstructured(rnd), rnd, 80)
