"""Boxed expressions: a node of the file to a closure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from engine.feel.compiler import NoDomain, external_function, invoke, iterate, traced
from engine.feel.definitions import Definitions, XmlNode, expression_in, part, parts, tag
from engine.feel.parser import normal_name
from engine.feel.run import Closure, Run, Scope, Value
from engine.feel.syntax import TypeText
from engine.feel.tables import checked, read_table
from engine.feel.types import ItemType
from engine.feel.values import Function

Names = frozenset[str]


def null(scope: Scope) -> Value:
    return None


def compile_boxed(node: XmlNode | None, names: Names, file: Definitions) -> Closure:
    """Return the closure of an expression node, its value conforming to the node's own type."""
    if node is None:
        return null
    closure = _BOXED[tag(node)](node, names, file)
    type_ = file.type_of(node)
    if file.is_tracing and tag(node) in _TRACED:
        closure = traced(closure, _TRACED[tag(node)])
    if type_ is None or tag(node) == "functionDefinition":
        return closure
    return lambda scope: checked(closure(scope), type_, scope[None], file.name or "value")


#: How a trace calls the boxed expressions that have no text of their own; a table tells of itself, a literal is its text.
_TRACED = {
    "context": "{…}", "list": "[…]", "relation": "[{…}]", "invocation": "f(…)", "conditional": "if … then … else …",
    "filter": "…[…]", "for": "for … return …", "some": "some … satisfies …", "every": "every … satisfies …",
}  # fmt: skip


def _inside(node: XmlNode | None, names: Names, file: Definitions) -> Closure:
    return compile_boxed(expression_in(node), names, file)


def _literal(node: XmlNode, names: Names, file: Definitions) -> Closure:
    return file.feel(node, names) or null


def _table(node: XmlNode, names: Names, file: Definitions) -> Closure:
    table = read_table(node, names, file)
    file.tables.append(table)
    return table


def _context(node: XmlNode, names: Names, file: Definitions) -> Closure:
    entries: list[tuple[str, Closure, Any]] = []
    result: Closure | None = None
    for entry in parts(node, "contextEntry"):
        variable, closure = part(entry, "variable"), _inside(entry, names, file)
        if variable is None:
            result = closure
            continue
        name = normal_name(variable.get("name"))
        if any(name == other for other, _, _ in entries):
            file.problem(entry, f"the context has two entries `{name}`", f"上下文中有两个名为“{name}”的项")
            return null
        entries.append((name, traced(closure, name) if file.is_tracing else closure, file.type_of(variable)))
        names = names | {name}

    def build(scope: Scope) -> Value:
        scope = dict(scope)
        context: dict[str, Value] = {}
        for name, closure, type_ in entries:
            value = closure(scope)
            if type_ is not None and type(value) is not Function:
                value = checked(value, type_, scope[None], name)
            context[name] = scope[name] = value
        return result(scope) if result is not None else context

    return build


def _list(node: XmlNode, names: Names, file: Definitions) -> Closure:
    items = [compile_boxed(item, names, file) for item in node if tag(item) in _BOXED]
    return lambda scope: [item(scope) for item in items]


def _relation(node: XmlNode, names: Names, file: Definitions) -> Closure:
    columns = [normal_name(column.get("name")) for column in parts(node, "column")]
    rows = [[compile_boxed(cell, names, file) for cell in row if tag(cell) in _BOXED] for row in parts(node, "row")]
    return lambda scope: [{name: cell(scope) for name, cell in zip(columns, row, strict=False)} for row in rows]


def _invocation(node: XmlNode, names: Names, file: Definitions) -> Closure:
    function = _inside(node, names, file)
    bindings = [(_name_of(part(binding, "parameter")), _inside(binding, names, file)) for binding in parts(node, "binding")]
    given = [name for name, _ in bindings]

    def call(scope: Scope) -> Value:
        target = function(scope)
        return invoke(target, [argument(scope) for _, argument in bindings], given, scope[None])

    return call


def _name_of(node: XmlNode | None) -> str:
    return normal_name(node.get("name")) if node is not None else ""


def compile_function(node: XmlNode, names: Names, file: Definitions, result: TypeText = None) -> Closure:
    """Return the closure that gives the function. `result`: type of its value, unless the node names one."""
    formal = parts(node, "formalParameter")
    params, types = [_name_of(p) for p in formal], [file.type_of(p) for p in formal]
    kind, own = node.get("kind", "FEEL"), file.type_of(node)
    body = _inside(node, names | set(params), file)
    if own is not None and not (isinstance(own, ItemType) and isinstance(own.base, tuple) and own.base[0] == "function"):
        result = own
    if kind != "FEEL":
        if kind != "Java":
            file.problem(node, f"functions of the kind {kind} are not run here", f"不支持 {kind} 类型的函数")
        return lambda scope: external_function(params, types, {"java": body(scope)} if kind == "Java" else None, scope[None])
    name = file.current.name if file.current is not None and tag(node) == "encapsulatedLogic" else "function"

    def define(scope: Scope) -> Value:
        def apply(arguments: dict[str, Value]) -> Value:
            inner: Scope = dict(scope)
            inner.update(arguments)
            return body(inner)

        return Function(params, types, apply, name, result)

    return define


def _conditional(node: XmlNode, names: Names, file: Definitions) -> Closure:
    condition, then, otherwise = (_inside(part(node, name), names, file) for name in ("if", "then", "else"))

    def choose(scope: Scope) -> Value:
        answer = condition(scope)
        if answer is True:
            return then(scope)
        if answer is None or answer is False:
            return otherwise(scope)
        scope[None].note("the condition of a boxed `if` is no boolean", "盒式 if 的条件不是布尔值")
        return None

    return choose


def _filter(node: XmlNode, names: Names, file: Definitions) -> Closure:
    source = _inside(part(node, "in"), names, file)
    match = _inside(part(node, "match"), names | file.pool | {"item"}, file)

    def select(scope: Scope) -> Value:
        value, run = source(scope), scope[None]
        if value is None:
            return None
        items = value if type(value) is list else [value]
        kept = []
        for item in items:
            run.step()
            inner = {**scope, "item": item}
            if type(item) is dict:
                inner.update(item)
            answer = match(inner)
            if type(answer) is Decimal:
                place = int(answer) if abs(answer) <= len(items) else 0
                return items[place - 1 if place > 0 else place] if place else None
            if type(answer) is not bool:
                run.note("the condition of a boxed filter is no boolean", "盒式筛选的条件不是布尔值")
                return None
            if answer:
                kept.append(item)
        return kept

    return select


_Passes = Callable[[Scope, list[Value] | None], Iterator[Value]]


def _passes(node: XmlNode, names: Names, file: Definitions, what: str) -> _Passes:
    """Return a generator over the values that the part `what` has for each pass of the iterator."""
    variable = normal_name(node.get("iteratorVariable"))
    source = _inside(part(node, "in"), names, file)
    body = _inside(part(node, what), names | {variable, "partial"}, file)

    def values(scope: Scope, partial: list[Value] | None) -> Iterator[Value]:
        run: Run = scope[None]
        for item in iterate(source(scope)):
            run.step()
            inner = {**scope, variable: item}
            if partial is not None:
                run.charge(partial)
                inner["partial"] = partial[:]
            yield body(inner)

    return values


def _for(node: XmlNode, names: Names, file: Definitions) -> Closure:
    values = _passes(node, names, file, "return")

    def each(scope: Scope) -> Value:
        found: list[Value] = []
        try:
            for value in values(scope, found):
                found.append(value)
        except NoDomain:
            scope[None].note("a boxed `for` has nothing to iterate over", "盒式 for 没有可遍历的内容")
            return None
        return found

    return each


def _quantified(decisive: bool) -> Callable[[XmlNode, Names, Definitions], Closure]:
    def compile_quantified(node: XmlNode, names: Names, file: Definitions) -> Closure:
        values = _passes(node, names, file, "satisfies")

        def quantify(scope: Scope) -> Value:
            try:
                for answer in values(scope, None):
                    if answer is decisive:
                        return decisive
                    if type(answer) is not bool:
                        scope[None].note("a boxed `some` or `every` met no boolean", "盒式 some/every 遇到了非布尔值")
                        return None
            except NoDomain:
                scope[None].note("a boxed `some` or `every` has nothing to iterate over", "盒式 some/every 没有可遍历的内容")
                return None
            return not decisive

        return quantify

    return compile_quantified


_BOXED: dict[str, Callable[[XmlNode, Names, Definitions], Closure]] = {
    "literalExpression": _literal,
    "decisionTable": _table,
    "context": _context,
    "list": _list,
    "relation": _relation,
    "invocation": _invocation,
    "functionDefinition": compile_function,
    "conditional": _conditional,
    "filter": _filter,
    "for": _for,
    "some": _quantified(True),
    "every": _quantified(False),
}
