"""The tree of a FEEL text: what the parser makes and the compiler, the checks and `explain` read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: ``'number'``, ``('list', t)``, ``('range', t)``, ``('context', {name: t})``, ``('function', [t], t)`` or a model's name.
TypeText = Any


@dataclass(frozen=True, slots=True)
class Node:
    """`start` and `end` count characters of the text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Group(Node):
    inner: Node


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Between(Node):
    value: Node
    low: Node
    high: Node


@dataclass(frozen=True, slots=True)
class In(Node):
    value: Node
    tests: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class UnaryTest(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Interval(Node):
    start_included: bool
    low: Node
    high: Node
    end_included: bool


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """A chain of one precedence, from left to right: ``first op node op node``."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Negation(Node):
    operand: Node


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """``and`` or ``or`` of two or more terms."""

    operator: str
    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Iteration:
    """One ``name in domain`` or ``name in domain..to``."""

    name: str
    domain: Node
    to: Node | None


@dataclass(frozen=True, slots=True)
class For(Node):
    iterations: tuple[Iteration, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Quantified(Node):
    """`some`: True for some … satisfies, False for every … satisfies."""

    some: bool
    iterations: tuple[Iteration, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class FunctionDefinition(Node):
    params: tuple[str, ...]
    types: tuple[TypeText, ...]
    body: Node
    external: bool


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`names`: parameter names when called by name."""

    function: Node
    arguments: tuple[Node, ...]
    names: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Path(Node):
    base: Node
    name: str


@dataclass(frozen=True, slots=True)
class Filter(Node):
    base: Node
    condition: Node


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Context(Node):
    entries: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class InstanceOf(Node):
    value: Node
    type: TypeText


@dataclass(frozen=True, slots=True)
class UnaryTests:
    """`any`: the test ``-``. `negated`: ``not(…)``."""

    any: bool
    negated: bool
    tests: tuple[Node, ...]


def children(node: Node) -> Iterator[Node]:
    """Yield the direct parts of a node, in the order of the text."""
    for name in node.__dataclass_fields__:
        part = getattr(node, name)
        if isinstance(part, Node):
            yield part
        elif isinstance(part, tuple):
            for item in part:
                if isinstance(item, Node):
                    yield item
                elif isinstance(item, Iteration):
                    yield item.domain
                    if item.to is not None:
                        yield item.to
                elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], Node):
                    yield item[1]


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and every part of it, without recursion."""
    stack = [node]
    while stack:
        part = stack.pop()
        yield part
        stack.extend(children(part))


def entry_names(node: Node) -> frozenset[str] | None:
    """Return the entries that the context may have which `node` gives; None when they cannot be told before it runs."""
    if isinstance(node, Context):
        return frozenset(key for key, _ in node.entries)
    if isinstance(node, Literal) and node.value is None:
        return frozenset()
    if isinstance(node, If):
        then, otherwise = entry_names(node.then), entry_names(node.otherwise)
        return None if then is None or otherwise is None else then | otherwise
    if isinstance(node, Call) and isinstance(node.function, Name) and node.names is None:
        match node.function.name, node.arguments:
            case "context merge", (ListOf(items=parts),):
                merged = [entry_names(part) for part in parts]
                return None if None in merged else frozenset[str]().union(*(part for part in merged if part is not None))
            case "context put", (base, Literal(value=str(key)), _):
                before = entry_names(base)
                return None if before is None else before | {key}
    return None


@dataclass(slots=True)
class FreeNames:
    """The names an expression looks up outside itself, each with its first place ``{name: start}``.

    Attributes:
        certain: read as variables, whatever the data.
        members: read only inside a filter, where they may be entries of the list's items.
        called: called as functions.
    """

    certain: dict[str, int] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    called: dict[str, int] = field(default_factory=dict)


def free_names(node: Node) -> FreeNames:
    """Return the names that `node` reads and does not bind itself."""
    found = FreeNames()
    _collect(node, frozenset({"?"}), False, found)
    for name in found.certain:
        found.members.pop(name, None)
    return found


def _collect(node: Node, bound: frozenset[str], in_filter: bool, found: FreeNames) -> None:
    if isinstance(node, Name):
        if node.name not in bound:
            (found.members if in_filter else found.certain).setdefault(node.name, node.start)
    elif isinstance(node, Call) and isinstance(node.function, Name):
        if node.function.name not in bound:
            found.called.setdefault(node.function.name, node.function.start)
        for argument in node.arguments:
            _collect(argument, bound, in_filter, found)
    elif isinstance(node, For | Quantified):
        for step in node.iterations:
            _collect(step.domain, bound, in_filter, found)
            if step.to is not None:
                _collect(step.to, bound, in_filter, found)
            bound = bound | {step.name}
        _collect(node.body, bound | {"partial"} if isinstance(node, For) else bound, in_filter, found)
    elif isinstance(node, FunctionDefinition):
        if not node.external:
            _collect(node.body, bound | set(node.params), in_filter, found)
    elif isinstance(node, Context):
        for key, value in node.entries:
            # an entry may call itself: a function's own name is bound within it
            _collect(value, bound | {key} if isinstance(value, FunctionDefinition) else bound, in_filter, found)
            bound = bound | {key}
    elif isinstance(node, Filter):
        _collect(node.base, bound, in_filter, found)
        _collect(node.condition, bound | {"item"}, True, found)
    else:
        for part in children(node):
            _collect(part, bound, in_filter, found)
