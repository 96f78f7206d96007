"""The cost of a step and the size of the state follow what is open, not what has happened. Counted, not timed."""

from __future__ import annotations

from typing import Any

import pytest

from engine.bpmn import Definition, advance, compile_definition, open_elements, workflow
from engine.bpmn.specs import Formula
from engine.bpmn.workflow import Token
from engine.feel import codec
from engine.model import Command, CompleteUserTask, Source, StartInstance, Step
from tests.bpmn.build import (
    COMPENSATE,
    boundary,
    call,
    diagram,
    end,
    event,
    exclusive,
    inclusive,
    many,
    parallel,
    process,
    script,
    start,
    sub,
    throw,
    timer,
    undone_by,
    user,
)
from tests.bpmn.play import MONDAY, Instance

LOOPS = {
    "user task": (user("a"), "m>a", "a>g"),
    "fork and join": (parallel("f"), user("a"), script("b"), parallel("j"), "m>f", "f>a", "f>b", "a>j", "b>j", "j>g"),
    "a branch that ends": (parallel("f"), user("a"), script("b"), end("x"), "m>f", "f>a", "f>b", "b>x", "a>g"),
    "inclusive": (
        inclusive("f"), user("a"), script("b"), inclusive("j"), "m>f", "f>a: true", "f>b: true", "a>j", "b>j", "j>g"),
    "sub-process": (sub("sp", start("s1"), user("a"), "s1>a"), "m>sp", "sp>g"),
    "multi-instance": (sub("sp", start("s1"), script("b"), "s1>b", inner=many("3")), user("a"), "m>sp", "sp>a", "a>g"),
    "call": (call("k", "q"), user("a"), "m>k", "k>a", "a>g"),
    "boundary timer": (user("a"), boundary("t", "a", timer("timeDuration", "P9D")), user("l"), "m>a", "a>g", "t>l"),
    "boundary message": (
        user("a"), boundary("t", "a", event("message", "mA"), cancelActivity="false"), user("l"), "m>a", "a>g", "t>l"),
}


@pytest.mark.parametrize("kind", LOOPS)
def test_a_turn_costs_the_same_at_10_and_at_2000(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    xml = diagram(
        process(start(), exclusive("m"), exclusive("g"), end(), "s>m", *LOOPS[kind], "g>m: n < 100000", "g>e!"),
        process(start(), script("d", "{seen: 1}"), "s>d", id="q"))
    instance = Instance(compile_definition("p", [Source(key=key, version=1, xml=xml) for key in ("p", "q")]))
    made: list[int] = []
    plain: Any = Token.__init__

    def counting(self: Token, *args: Any, **kwargs: Any) -> None:
        made.append(1)
        plain(self, *args, **kwargs)

    monkeypatch.setattr(Token, "__init__", counting)
    sizes: dict[int, tuple[int, int, int]] = {}
    instance.advance(StartInstance(variables={"n": 0}), MONDAY)
    for turn in range(1, 2001):
        instance.events.clear()
        made.clear()
        token = next(t for name, t in instance.user_tasks() if name == "a")
        instance.advance(CompleteUserTask(token=token, values={}), MONDAY)
        assert instance.state is not None
        if turn in (10, 2000):
            sizes[turn] = len(instance.state), len(made), len(instance.events)

    digits = 2 * instance.state.count(b"[")  # numbers of tokens get longer
    assert sizes[2000][0] <= sizes[10][0] + digits
    assert sizes[2000][1:] == sizes[10][1:]


def test_what_a_compensation_may_still_undo_stays_and_nothing_else() -> None:
    xml = diagram(process(
        start(), script("a"), script("ua", isForCompensation="true"), undone_by("a", "ua"),
        sub("sp", start("s1"), script("b"), script("c"), script("uc", isForCompensation="true"), undone_by("c", "uc"), "s1>b",
            "b>c"),
        sub("sq", start("s2"), script("d"), "s2>d"), user("z"), throw("t", COMPENSATE), "s>a", "a>sp", "sp>sq", "sq>z", "z>t"))
    instance = Instance(compile_definition("p", [Source(key="p", version=1, xml=xml)]))

    instance.advance(StartInstance(), MONDAY)

    assert instance.state is not None
    names = {name for name in ("a", "sp", "b", "c", "sq", "d", "s") if f'"{name}"'.encode() in instance.state}
    assert names == {"a", "sp", "c"}


def test_nothing_is_kept_where_nothing_can_be_undone() -> None:
    xml = diagram(process(
        start(), script("a"), script("ua", isForCompensation="true"), undone_by("a", "ua"), user("z"), "s>a", "a>z"))
    instance = Instance(compile_definition("p", [Source(key="p", version=1, xml=xml)]))

    instance.advance(StartInstance(), MONDAY)

    assert instance.state is not None
    assert b'"a"' not in instance.state


class Counted:
    """What a command did: tokens woken or made, tokens that the indexes looked at, expressions, values decoded and encoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count: dict[str, int] = {}
        self._watch(monkeypatch, Token, "__init__", "tokens")
        self._watch(monkeypatch, workflow, "facts", "looks")
        self._watch(monkeypatch, Formula, "evaluate", "expressions")
        self._watch(monkeypatch, codec, "load", "decoded")
        self._watch(monkeypatch, codec, "dump", "encoded")

    def _watch(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, what: str) -> None:
        plain = getattr(where, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.count[what] = self.count.get(what, 0) + 1
            return plain(*args, **kwargs)

        monkeypatch.setattr(where, name, counting)

    def of(self, definition: Definition, state: bytes, command: Command) -> tuple[dict[str, int], Step]:
        self.count = {}
        step = advance(definition, state, command, MONDAY)
        return dict(self.count), step


def branches(count: int) -> bytes:
    """Parallel user tasks with boundary timers, joined."""
    parts = [start(), parallel("f"), parallel("j"), end(), "s>f", "j>e"]
    for n in range(count):
        parts += [user(f"u{n}"), boundary(f"b{n}", f"u{n}", timer("timeDuration", "P9D")), end(f"x{n}"), f"f>u{n}", f"u{n}>j",
                  f"b{n}>x{n}"]
    return diagram(process(*parts))


def children(count: int, *, one_by_one: bool = False, nested: bool = False) -> bytes:
    """A multi-instance activity over a collection with an output and a condition."""
    gather = '<extensionElements/><loopDataOutputRef>out</loopDataOutputRef><outputDataItem id="o" name="result"/>'
    each = many(collection=f"for i in 1..{count} return i", item="x", one_by_one=one_by_one, inner=gather,
                until="nrOfCompletedInstances >= 1000000")
    one = sub("a", start("s1"), user("u"), "s1>u", inner=each) if nested else user("a", each)
    return diagram(process(start(), one, end(), "s>a", "a>e"))


GROWING = {
    "branches": branches,
    "instances": children,
    "instances one by one": lambda count: children(count, one_by_one=True),
    "instances of a sub-process": lambda count: children(count, nested=True),
}


@pytest.mark.parametrize("kind", GROWING)
def test_a_completion_looks_at_as_many_tokens_when_300_are_open_as_when_30_are(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    seen = []
    for size in (30, 300):
        xml = GROWING[kind](size)
        definition = compile_definition("p", [Source(key="p", version=1, xml=xml)])
        state = advance(definition, None, StartInstance(), MONDAY).state
        each = []
        for _ in range(12):
            token = next(e.token for e in open_elements(definition, state) if e.kind == "userTask" and e.state == "ready")
            count, step = counted.of(definition, state, CompleteUserTask(token=token, values={"result": 1}))
            state = step.state
            each.append(count)
        seen.append(each)

    assert seen[0] == seen[1]
    assert all(count["tokens"] <= 8 for count in seen[0])
