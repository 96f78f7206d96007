"""Variables live in scopes, not in tokens: what a token sees is its scope and the scopes around it.

`task.data` of every live token *is* the `Scope` it runs in, so there is nothing to copy from token to token and nothing to merge
at a join. Every variable keeps its stored bytes until somebody asks for its value, and goes back as it came when it was not
written: a command pays for the variables that it reads and writes, not for those that are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from engine.feel import codec
from engine.feel.codec import PLAIN
from engine.model import Value, Values

#: What loops and gateways put into their local scopes; never copied into or out of a called process.
LOOP_NAMES = frozenset(
    {
        "loopCounter", "nrOfInstances", "nrOfActiveInstances", "nrOfCompletedInstances", "nrOfTerminatedInstances",
        "activationCount",
    }
)

#: Variables by scope and name.
Written = list[tuple["Scope", str]]

#: Between the stored variables of a scope, and before each item of one that is stored in items: JSON holds neither of them.
_NEXT, _ITEM = b"\x1e", b"\x1f"


class Scope(Mapping[str, Value]):
    """The variables of one process, sub-process, loop instance or task; 0 is the process instance.

    As a mapping it is what is visible here: its own variables over those of the scopes around it.

    Attributes:
        id: token of the sub-process, call activity, loop instance or task; 0 for the process instance.
        parent: the enclosing scope, None for the process instance and for a called process (nothing leaks in or out).
        keeps_new: a name that no scope knows yet is created here (process, called process, loop instance), not further out.
        written: what was written in all scopes of the instance since `store_written`; of a scope for one expression a list of its own.
        is_past: values as they were once, for who undoes what was done with them: read here, written where they live now.
    """

    __slots__ = ("_items", "_raw", "_values", "id", "is_past", "keeps_new", "parent", "written")

    def __init__(
        self, id: int, parent: Scope | None, *, keeps_new: bool, is_past: bool = False, values: Values | None = None,
        written: Written | None = None,
    ) -> None:
        self.id, self.parent, self.keeps_new, self.is_past = id, parent, keeps_new, is_past
        self.written: Written = written if written is not None else parent.written if parent is not None else []
        self._raw: dict[str, bytes] = {}  #: stored, and still the same
        self._values: dict[str, Value] = {}
        self._items: dict[str, list[bytes]] = {}  #: lists that are stored item by item
        if values:
            self._set(values)

    # ------------------------------------------------------------------------------------------------------------ reading
    def __getitem__(self, name: str) -> Value:
        scope: Scope | None = self
        while scope is not None:
            if name in scope._values:
                return scope._values[name]
            if name in scope._raw or name in scope._items:
                return scope.own(name)
            scope = scope.parent
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        scope: Scope | None = self
        while scope is not None:
            if scope.has(name):
                return True
            scope = scope.parent
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(self.visible())

    def __len__(self) -> int:
        return len(self.visible())

    def has(self, name: object) -> bool:
        """True if the variable is the scope's own."""
        return name in self._values or name in self._raw or name in self._items

    def own(self, name: str) -> Value:
        """Return the value of a variable of its own."""
        values = self._values
        if name not in values:
            raw = self._raw.get(name)
            values[name] = codec.load(raw if raw is not None else b"[" + b",".join(self._items[name]) + b"]")
        return values[name]

    @property
    def values(self) -> dict[str, Value]:  # type: ignore[override]
        """The scope's own variables; change them through `put` only."""
        values, raw = self._values, self._raw
        if not raw.keys() <= values.keys() or self._items:
            for name, stored in raw.items():
                if name not in values:
                    values[name] = codec.load(stored)
            for name in self._items:
                self.own(name)
        return values

    def forget_past(self, values: Mapping[str, Value], target: Scope) -> None:
        """`values` are written in `target`: from here they are seen as they are now."""
        scope: Scope | None = self
        while scope is not None and scope is not target:
            if scope.is_past:
                for stored in (scope._values, scope._raw, scope._items):
                    for name in values.keys() & stored.keys():
                        del stored[name]
            scope = scope.parent

    def visible(self) -> dict[str, Value]:
        """Every variable that is visible here; not to be changed (it may be the scope's own dict)."""
        if self.parent is None:
            return self.values
        outer = self.parent.visible()
        own = self.values
        return {**outer, **own} if own else outer

    def holder(self, name: str) -> Scope:
        """The scope that a write to `name` goes to: the nearest that has it, else the nearest that keeps new names."""
        scope: Scope | None = self
        while scope is not None:
            if scope.has(name) and not scope.is_past:
                return scope
            scope = scope.parent
        scope = self
        while not scope.keeps_new and scope.parent is not None:
            scope = scope.parent
        return scope

    # ------------------------------------------------------------------------------------------------------------ writing
    def put(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Set `values` here and return those that are new or different."""
        known, raw, items = self._values, self._raw, self._items
        news = {}
        for name, value in values.items():
            if name in known:
                if same(known[name], value):
                    continue
                raw.pop(name, None)
                items.pop(name, None)
            elif name in raw:
                if (codec.dump(value) == raw[name]) if type(value) in PLAIN else same(self.own(name), value):
                    continue
                del raw[name]
            elif name in items:
                if same(self.own(name), value):
                    continue
                del items[name]
            news[name] = known[name] = value
            if type(value) not in PLAIN:
                self.written.append((self, name))
        return news

    def _set(self, values: Values) -> None:
        self._values.update(values)
        for name, value in values.items():
            if type(value) not in PLAIN:
                self.written.append((self, name))

    def _store(self, name: str) -> None:
        """Turn a value into its bytes: it is read from them again."""
        if name in self._values and name not in self._raw and name not in self._items:
            self._raw[name] = codec.dump(self._values.pop(name))

    # --------------------------------------------------------------------------------------- lists that grow item by item
    def put_items(self, name: str, values: list[Value]) -> None:
        """Set a list here of which single items are read and written: that costs no more however long the list is."""
        self._raw.pop(name, None)
        self._values.pop(name, None)
        self._items[name] = [codec.dump(value) for value in values]

    def item(self, name: str, n: int) -> Value:
        """Return item `n` of a list of its own."""
        items = self._items.get(name)
        value: Value = codec.load(items[n]) if items is not None else self.own(name)[n]
        return value

    def put_item(self, name: str, n: int, value: Value) -> None:
        """Set item `n` of a list of its own."""
        if name not in self._items:  # somebody has written the list as a whole
            self.put_items(name, self.own(name))
        self._items[name][n] = codec.dump(value)
        self._values.pop(name, None)

    # ------------------------------------------------------------------------------------------------------------ storing
    def dump(self) -> tuple[list[str], bytes]:
        """Return the names and the canonical bytes of the own variables; stored bytes where nothing was written."""
        raw, items = self._raw, self._items
        for name in self._values.keys() - raw.keys():
            if name not in items:
                raw[name] = codec.dump(self._values[name])
        if not items:
            names = sorted(raw)
            return names, _NEXT.join(map(raw.__getitem__, names))
        names = sorted([*raw, *items])
        return names, _NEXT.join([raw[name] if name in raw else _ITEM + _ITEM.join(items[name]) for name in names])

    def load(self, names: list[str], stored: bytes) -> None:
        """Take the stored bytes; they are decoded when first needed."""
        self._raw, self._values, self._items = {}, {}, {}
        if _ITEM not in stored:
            self._raw = dict(zip(names, stored.split(_NEXT), strict=True))
            return
        for name, part in zip(names, stored.split(_NEXT), strict=True):
            if part[:1] == _ITEM:
                self._items[name] = part[1:].split(_ITEM)
            else:
                self._raw[name] = part


def store_written(written: Written) -> None:
    """At the end of a command: a variable is what its bytes say, and nobody else holds an object in it."""
    for scope, name in written:
        scope._store(name)
    written.clear()


def own_copy(value: Value) -> Value:
    """Return a value that may be changed without changing a variable."""
    if isinstance(value, dict):
        made = value.copy()
        if not PLAIN.issuperset(map(type, made.values())):
            for key, part in value.items():
                if type(part) not in PLAIN:
                    made[key] = own_copy(part)
        return made
    if isinstance(value, list):
        return value.copy() if PLAIN.issuperset(map(type, value)) else [own_copy(part) for part in value]
    return value


def same(a: Value, b: Value) -> bool:
    """True when the two are the same value of the same kind (1, true and 1.0 are three)."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if type(a) in PLAIN:
        return bool(a == b)
    if isinstance(a, Decimal):
        return str(a) == str(b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def without_loop_names(values: Values) -> dict[str, Value]:
    return {name: value for name, value in values.items() if name not in LOOP_NAMES}
