"""Variables live in scopes, not in tokens: what a token sees is its scope and the scopes around it.

`task.data` of every live token *is* the `Scope` it runs in, so there is nothing to copy from token to token and nothing to merge
at a join. A scope keeps its stored bytes until somebody asks for a value: a command pays only for the scopes it touches.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from engine.feel import codec
from engine.model import Value, Values

#: What loops and gateways put into their local scopes; never copied into or out of a called process.
LOOP_NAMES = frozenset(
    {
        "loopCounter", "nrOfInstances", "nrOfActiveInstances", "nrOfCompletedInstances", "nrOfTerminatedInstances",
        "activationCount",
    }
)


class Scope:
    """The variables of one process, sub-process, loop instance or task; 0 is the process instance.

    Attributes:
        id: token of the sub-process, call activity, loop instance or task; 0 for the process instance.
        parent: the enclosing scope, None for the process instance and for a called process (nothing leaks in or out).
        keeps_new: a name that no scope knows yet is created here (process, called process, loop instance), not further out.
        is_past: values as they were once, for who undoes what was done with them: read here, written where they live now.
    """

    __slots__ = ("_raw", "_values", "changed", "id", "is_past", "keeps_new", "parent")

    def __init__(
        self, id: int, parent: Scope | None, *, keeps_new: bool, is_past: bool = False, values: dict[str, Value] | None = None
    ) -> None:
        self.id, self.parent, self.keeps_new, self.is_past = id, parent, keeps_new, is_past
        self._raw: bytes | None = None
        self._values: dict[str, Value] | None = {} if values is None else values
        self.changed = values is not None

    @property
    def values(self) -> dict[str, Value]:
        """The scope's own variables; change them through `put` only."""
        if self._values is None:
            loaded = codec.load(self._raw or b"{}")
            self._values = dict(loaded)
        return self._values

    def load(self, raw: bytes) -> None:
        """Take the stored bytes; they are decoded when first needed."""
        self._raw, self._values, self.changed = raw, None, False

    def dump(self) -> bytes:
        """Return canonical bytes, the stored ones when nothing was changed."""
        if self._raw is None or self.changed:
            self._raw, self.changed = codec.dump(self.values), False
        return self._raw

    def is_empty(self) -> bool:
        return not self._values if self._values is not None else self._raw in (None, b"{}")

    def put(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Set `values` here and return those that are new or different."""
        own = self.values
        news = {name: value for name, value in values.items() if name not in own or not same(own[name], value)}
        if news:
            own.update(news)
            self.changed = True
        return news

    def holder(self, name: str) -> Scope:
        """The scope that a write to `name` goes to: the nearest that has it, else the nearest that keeps new names."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values and not scope.is_past:
                return scope
            scope = scope.parent
        scope = self
        while not scope.keeps_new and scope.parent is not None:
            scope = scope.parent
        return scope

    def forget_past(self, values: Mapping[str, Value], target: Scope) -> None:
        """`values` are written in `target`: from here they are seen as they are now."""
        scope: Scope | None = self
        while scope is not None and scope is not target:
            if scope.is_past and not values.keys().isdisjoint(scope.values):
                scope._values = {name: value for name, value in scope.values.items() if name not in values}
                scope.changed = True
            scope = scope.parent

    def visible(self) -> dict[str, Value]:
        """Every variable that is visible here; not to be changed (it may be the scope's own dict)."""
        if self.parent is None:
            return self.values
        outer = self.parent.visible()
        own = self.values
        return {**outer, **own} if own else outer


def same(a: Value, b: Value) -> bool:
    """True when the two are the same value of the same kind (1, true and 1.0 are three)."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, Decimal):
        return str(a) == str(b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def without_loop_names(values: Values) -> dict[str, Value]:
    return {name: value for name, value in values.items() if name not in LOOP_NAMES}
