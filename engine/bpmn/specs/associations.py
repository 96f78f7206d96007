"""What data associations move, when an activity or event begins and when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.bpmn import timers
from engine.bpmn.specs.values import Formula, shown_value
from engine.bpmn.workflow import Workflow
from engine.model import Value, Values


@dataclass(frozen=True, slots=True)
class Move:
    """One value that goes to the variable `name`, or to an entry inside it (`path`).

    `formula` gives it; without one it is copied from the item that goes by one of the names `item`. `is_local`: the variable is the
    activity's own.
    """

    name: str
    path: tuple[str, ...] = ()
    formula: Formula | None = None
    item: tuple[str, ...] = ()
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """The data of an activity or event.

    Attributes:
        properties: its own variables, null when it begins.
        inputs, outputs: what moves before and after its work.
        carried: data inputs that something moves into: what goes with a job or with an event that is thrown.
        consumed: data outputs that something moves on: they do not become variables besides.
    """

    properties: tuple[str, ...] = ()
    inputs: tuple[Move, ...] = ()
    outputs: tuple[Move, ...] = ()
    carried: tuple[str, ...] = ()
    consumed: frozenset[str] = frozenset()


def moved(moves: Iterable[Move], top: Workflow, visible: Values, items: Values) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return what the associations write: the activity's own variables, and those outside.

    An item that is copied must be among `items`: one that has no value yet moves nothing.
    """
    seen, known = dict(visible), dict(items)
    own: dict[str, Value] = {}
    outer: dict[str, Value] = {}
    for move in moves:
        if move.formula is not None:
            value = move.formula.evaluate(seen, top).value
        else:
            source = next((name for name in move.item if name in known), None)
            if source is None:
                continue
            value = known[source]
        value = placed(seen.get(move.name), (move.name, *move.path), 1, value)
        seen[move.name] = value
        (own if move.is_local else outer)[move.name] = value
    return own, outer


def placed(whole: Value, path: tuple[str, ...], depth: int, value: Value) -> Value:
    """Return `whole` with `value` at the entry that `path` names from `depth` on; contexts that lack are made."""
    if depth == len(path):
        return value
    if whole is not None and not isinstance(whole, Mapping):
        raise timers.BadTime(f"{'.'.join(path[:depth])} is {shown_value(whole)}, not a context with an entry {path[depth]}")
    entries: dict[str, Value] = dict(whole or {})
    entries[path[depth]] = placed(entries.get(path[depth]), path, depth + 1, value)
    return entries
