"""What a step costs as an instance grows: the pure core alone, in processor time, as ratios of medians.

    python -m bench.growth [--rounds 5] [--json growth.json]

Each curve has a small and a large size. Every round measures each size once, small and large in turn, so what the machine does
meanwhile falls on both. A command always starts from the stored bytes: loading and storing are part of its cost.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.bpmn import Definition, advance, compile_definition, open_elements
from engine.bpmn.workflow import Token, Workflow
from engine.model import CompleteUserTask, CorrelateMessage, Source, StartInstance, Step, SubscriptionKind, TokenId, Values

AT = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
#: How often a single command is repeated in a round; its median counts.
_REPEATS = 25


def diagram(*parts: str) -> bytes:
    return (
        '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="urn:psmflow:bench"'
        ' xmlns:camunda="http://camunda.org/schema/1.0/bpmn"><message id="m" name="m"/>'
        f'<process id="p" isExecutable="true"><startEvent id="s"/>{"".join(parts)}</process></definitions>').encode()


def flow(source: str, target: str, condition: str = "") -> str:
    inner = f"<conditionExpression>{condition}</conditionExpression>" if condition else ""
    return f'<sequenceFlow id="{source}_{target}" sourceRef="{source}" targetRef="{target}">{inner}</sequenceFlow>'


def turning(inner: str) -> bytes:
    """A loop around element ``a`` that ends when `n` is no longer below `limit`."""
    return diagram(
        '<exclusiveGateway id="m"/><exclusiveGateway id="g" default="g_e"/><endEvent id="e"/>', inner, flow("s", "m"), flow("m", "a"),
        flow("a", "g"), flow("g", "m", "n &lt; limit"), flow("g", "e"))


PERSON = turning('<userTask id="a"/>')
MACHINE = turning('<scriptTask id="a" scriptFormat="feel"><script>{n: n + 1}</script></scriptTask>')


def branches(count: int) -> bytes:
    return diagram(
        '<parallelGateway id="f"/><parallelGateway id="j"/><endEvent id="e"/>', flow("s", "f"), flow("j", "e"),
        *(f'<userTask id="u{n}"/><boundaryEvent id="b{n}" attachedToRef="u{n}"><timerEventDefinition><timeDuration>P9D</timeDuration>'
          f'</timerEventDefinition></boundaryEvent><endEvent id="x{n}"/>' + flow("f", f"u{n}") + flow(f"u{n}", "j") + flow(f"b{n}", f"x{n}")
          for n in range(count)))


def instances(*, one_by_one: bool = False, nested: bool = False) -> bytes:
    each = (
        f'<multiInstanceLoopCharacteristics isSequential="{str(one_by_one).lower()}" camunda:collection="items"'
        ' camunda:elementVariable="item"><loopDataOutputRef>out</loopDataOutputRef><outputDataItem id="o" name="result"/>'
        '<completionCondition>nrOfCompletedInstances &gt; 1000000</completionCondition></multiInstanceLoopCharacteristics>')
    inside = '<startEvent id="si"/><userTask id="u"/>' + flow("si", "u")
    one = f'<subProcess id="a">{each}{inside}</subProcess>' if nested else f'<userTask id="a">{each}</userTask>'
    return diagram(one, '<endEvent id="e"/>', flow("s", "a"), flow("a", "e"))


def subscribed(count: int) -> bytes:
    return diagram(
        '<userTask id="a"/>', flow("s", "a"),
        *(f'<subProcess id="q{n}" triggeredByEvent="true"><startEvent id="t{n}" isInterrupting="false">'
          f'<messageEventDefinition messageRef="m"/></startEvent><userTask id="u{n}"/>{flow(f"t{n}", f"u{n}")}</subProcess>'
          for n in range(count)))


def chain(count: int) -> bytes:
    return diagram(
        *('<userTask id="n0"/>' if n == 0 else f'<scriptTask id="n{n}" scriptFormat="feel"><script>{{n: {n}}}</script></scriptTask>'
          if n == 1 else f'<userTask id="n{n}"/>' for n in range(count)),
        flow("s", "n0"), *(flow(f"n{n}", f"n{n + 1}") for n in range(count - 1)))


def compiled(xml: bytes) -> Definition:
    return compile_definition("p", [Source(key="p", version=1, xml=xml)])


def begun(definition: Definition, **variables: object) -> Step:
    return advance(definition, None, StartInstance(variables=variables), AT)


def open_tasks(definition: Definition, state: bytes) -> list[TokenId]:
    return [e.token for e in open_elements(definition, state) if e.kind == "userTask" and e.state == "ready"]


def complete(definition: Definition, state: bytes, token: TokenId, values: Values) -> Step:
    return advance(definition, state, CompleteUserTask(token=token, values=values), AT)


def ran(definition: Definition, state: bytes, count: int, values: Values) -> bytes:
    """Complete so many user tasks, whichever is open."""
    waiting: list[TokenId] = []
    for _ in range(count):
        waiting = waiting or open_tasks(definition, state)
        state = complete(definition, state, waiting.pop(0), values).state
    return state


def drained(definition: Definition, items: int) -> float:
    """Start with so many items and complete every user task until none is left; return the processor seconds of the commands."""
    began = time.process_time()
    state = begun(definition, items=list(range(items))).state
    taken = time.process_time() - began
    while waiting := open_tasks(definition, state):
        began = time.process_time()
        for token in waiting:
            state = complete(definition, state, token, {"result": 1}).state
        taken += time.process_time() - began
    return taken


def seconds(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Return the median processor seconds of one call."""
    found = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return statistics.median(found)


def turn_seconds(definition: Definition, count: int) -> list[float]:
    """Return the processor seconds of each of so many turns of the automatic loop, all in one command."""
    begins: list[float] = []
    plain = Workflow.step

    def stamped(workflow: Workflow, token: Token) -> None:
        if token.task_spec.bpmn_id == "a":
            begins.append(time.process_time())
        plain(workflow, token)

    Workflow.step = stamped  # type: ignore[method-assign]
    try:
        begun(definition, n=0, limit=count)
    finally:
        Workflow.step = plain  # type: ignore[method-assign]
    return [later - begin for begin, later in pairwise(begins)]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """`small` and `large`: what to time at either size; each gives seconds by unit (a step, a turn, an instance)."""

    name: str
    sizes: tuple[int, int]
    small: Callable[[], float]
    large: Callable[[], float]
    state_bytes: tuple[int, int] | None = None


def step_curve(name: str, sizes: tuple[int, int], made: Callable[[int], tuple[Definition, bytes]], values: Values) -> Curve:
    """One completion in a state of either size."""
    def at(size: int) -> tuple[Callable[[], float], int]:
        definition, state = made(size)
        token = open_tasks(definition, state)[0]
        return lambda: seconds(lambda: complete(definition, state, token, values)), len(state)

    (small, few), (large, many) = map(at, sizes)
    return Curve(name=name, sizes=sizes, small=small, large=large, state_bytes=(few, many))


def curves() -> Iterator[Curve]:
    person, machine = compiled(PERSON), compiled(MACHINE)
    yield step_curve(
        "a turn of a loop with a user task, cold", (10, 10_000),
        lambda size: (person, ran(person, begun(person, n=0, limit=10**9).state, size, {"n": 1})), {"n": 1})

    def turns(count: int) -> Callable[[], float]:
        return lambda: seconds(lambda: begun(machine, n=0, limit=count), 1 if count > 1000 else 40) / count

    yield Curve(
        name="a turn of an automatic loop, of all in one command", sizes=(100, 10_000), small=turns(100), large=turns(10_000))
    yield Curve(  # the median leaves out the turns in which Python collects what the events of all turns hold
        name="turns 10 to 60 and the last fifty of an automatic loop, warm", sizes=(10, 10_000),
        small=lambda: statistics.median(turn_seconds(machine, 10_000)[10:60]),
        large=lambda: statistics.median(turn_seconds(machine, 10_000)[-50:]))

    def parallel(size: int) -> tuple[Definition, bytes]:
        definition = compiled(branches(size))
        return definition, begun(definition).state

    yield step_curve("a completion among parallel branches with timers", (10, 500), parallel, {})

    def last(size: int) -> tuple[Definition, bytes]:
        definition = compiled(branches(size))
        return definition, ran(definition, begun(definition).state, size - 10, {})

    yield step_curve("the same, ten of them left", (20, 500), last, {})

    def start_of(xml: Callable[[int], bytes], size: int, **variables: object) -> Callable[[], float]:
        definition = compiled(xml(size))
        return lambda: seconds(lambda: begun(definition, **variables), 3) / size

    yield Curve(
        name="start of a parallel branch with a timer", sizes=(10, 500), small=start_of(branches, 10), large=start_of(branches, 500))
    for title, xml in (
        ("parallel instances", instances()), ("instances one by one", instances(one_by_one=True)),
        ("instances of a sub-process", instances(nested=True)),
    ):
        definition = compiled(xml)
        yield step_curve(
            f"a completion among {title}", (10, 1000),
            lambda size, d=definition: (d, begun(d, items=list(range(size))).state), {"result": 1})  # type: ignore[misc]

        def whole(size: int, definition: Definition = definition) -> Callable[[], float]:
            return lambda: drained(definition, size) / size

        yield Curve(name=f"start and all completions of {title}, by instance", sizes=(100, 1000), small=whole(100), large=whole(1000))

    def drawn(size: int) -> tuple[Definition, bytes]:
        definition = compiled(chain(size))
        return definition, begun(definition).state

    yield step_curve("a completion in a big diagram", (20, 600), drawn, {})

    def compiling(size: int) -> Callable[[], float]:
        xml = chain(size)
        return lambda: seconds(lambda: compiled(xml), 3) / size

    yield Curve(name="compiling a diagram, by node", sizes=(60, 600), small=compiling(60), large=compiling(600))

    def message(size: int) -> Callable[[], float]:
        definition = compiled(subscribed(size))
        step = begun(definition)
        token = [s.token for s in step.subscriptions if s.kind is SubscriptionKind.MESSAGE][size // 2]
        return lambda: seconds(lambda: advance(definition, step.state, CorrelateMessage(name="m", token=token, payload={}), AT))

    yield Curve(name="a message among waiting event sub-processes", sizes=(10, 200), small=message(10), large=message(200))


def figures(rounds: int) -> Iterator[dict[str, Any]]:
    """Measure every curve in every round and give what was found, one by one."""
    measured = [(curve, list[float](), list[float]()) for curve in curves()]
    for _ in range(rounds):
        for curve, small, large in measured:
            small.append(curve.small())
            large.append(curve.large())
    for curve, small, large in measured:
        yield {
            "curve": curve.name, "sizes": curve.sizes, "microseconds": [round(statistics.median(s) * 1e6) for s in (small, large)],
            "ratio": round(statistics.median(b / a for a, b in zip(small, large, strict=True)), 2), "state_bytes": curve.state_bytes,
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = list[dict[str, Any]]()
    for figure in figures(options.rounds):
        found.append(figure)
        print(json.dumps(figure))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
