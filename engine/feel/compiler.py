"""Syntax tree to Python closures.

A closure takes the scope. Nothing of Python can be named from an expression: a name is looked up in the scope and then among
FEEL's functions, a dot reads a context's entry or one of a few fixed properties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any, ClassVar

from engine.feel.arithmetic import OPERATORS, negate, property_of
from engine.feel.builtins import BUILTINS, Builtin
from engine.feel.errors import FeelLimit, FeelSyntaxError
from engine.feel.parser import composed, parse_expression, parse_unary_tests
from engine.feel.run import Closure, Run, Scope, Trace, Value
from engine.feel.syntax import (
    Arithmetic,
    Between,
    Call,
    Comparison,
    Context,
    Filter,
    For,
    FreeNames,
    FunctionDefinition,
    Group,
    If,
    In,
    InstanceOf,
    Interval,
    Iteration,
    ListOf,
    Literal,
    Logic,
    Name,
    Negation,
    Node,
    Path,
    Quantified,
    UnaryTest,
    UnaryTests,
    free_names,
    walk,
)
from engine.feel.temporal import Date, DateTime, DaysTime, Time, YearsMonths
from engine.feel.types import coerce, describe, is_function, is_instance
from engine.feel.values import (
    EqualityTest,
    Function,
    Range,
    contains,
    equal,
    matches_test,
    order,
    short_text,
    type_words,
)

_ORDERED = (Decimal, str, Date, Time, DateTime, DaysTime, YearsMonths)
_LONG_TEXT = 255  # beyond which comparing costs steps
_MOST_PASSES = 12  # of a loop, in a trace: parts of the first few
_STEPS_OF_POWER = 20  # a broken exponent takes as long as so many loop passes


@dataclass(frozen=True, slots=True)
class Traced:
    """The value of one part, as `explain` collects it; `children` are the parts evaluated for it, a loop's first few."""

    text: str
    value: Value
    children: tuple[Traced, ...]


def traced(closure: Closure, text: str, *most: int) -> Closure:
    """Return the closure that also tells `Run.trace` its value and what was evaluated for it."""

    def tracing(scope: Scope) -> Value:
        run: Run = scope[None]
        outer = run.trace
        if outer is None:
            return closure(scope)
        is_kept = len(outer) < outer.most
        inner = run.trace = Trace(*most) if is_kept else None
        try:
            value = closure(scope)
        finally:
            run.trace = outer
        if inner is not None:
            outer.append(Traced(text, value, tuple(inner)))
        return value

    return tracing


class NoDomain(Exception):
    """What is to be iterated is no list and no range of whole numbers or dates."""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "…"


class _Compiler:
    """Compiles the nodes of one text. `is_tracing`: every closure tells `Run.trace` its value; `variables`: names that hide functions."""

    def __init__(self, source: str, *, is_tracing: bool = False, variables: frozenset[str] = frozenset()) -> None:
        self.variables = variables
        self.source = source
        self.is_tracing = is_tracing

    def text(self, node: Node) -> str:
        return _short(self.source[node.start : node.end])

    def compile(self, node: Node) -> Closure:
        closure = self._COMPILE[type(node)](self, node)
        if not self.is_tracing or isinstance(node, Literal | Group):
            return closure
        is_loop = isinstance(node, For | Quantified | Filter)
        return traced(closure, self.text(node), *([_MOST_PASSES] if is_loop else []))

    # ------------------------------------------------------------------------------------------------ names and values
    def literal(self, node: Literal) -> Closure:
        value = node.value
        return lambda scope: value

    def name(self, node: Name) -> Closure:
        name = node.name
        builtin = BUILTINS.get(name)
        if builtin is not None and name not in self.variables:
            return lambda scope: scope.get(name, builtin)

        def read(scope: Scope) -> Value:
            try:
                return scope[name]
            except KeyError:
                scope[None].note(f"unknown name `{name}`", f"未知的名称“{name}”")
                return None

        return read

    def group(self, node: Group) -> Closure:
        return self.compile(node.inner)

    def list_of(self, node: ListOf) -> Closure:
        items = [self.compile(item) for item in node.items]
        return lambda scope: [item(scope) for item in items]

    def context(self, node: Context) -> Closure:
        entries = [(key, self.compile(value)) for key, value in node.entries]
        keys = [key for key, _ in entries]
        if len(set(keys)) != len(keys):
            return self._null("a context names an entry twice", "上下文中有重复的名称")

        def build(scope: Scope) -> Value:
            scope = dict(scope)
            context: dict[str, Value] = {}
            for key, value in entries:
                context[key] = scope[key] = value(scope)
            return context

        return build

    @staticmethod
    def _null(en: str, zh: str) -> Closure:
        def null(scope: Scope) -> Value:
            scope[None].note(en, zh)
            return None

        return null

    # -------------------------------------------------------------------------------------------- comparison and logic
    def comparison(self, node: Comparison) -> Closure:
        left, right = self.compile(node.left), self.compile(node.right)
        text = self.text(node)
        if node.operator in ("=", "!="):
            wanted = node.operator == "="

            def equality(scope: Scope) -> Value:
                a, b = left(scope), right(scope)
                run: Run
                if type(a) is type(b) and type(a) in (str, bool, Decimal):
                    if type(a) is str and len(a) > _LONG_TEXT:
                        run = scope[None]
                        run.charge(a)
                    return (a == b) is wanted
                run = scope[None]
                run.charge_whole(a)
                same = equal(a, b)
                if same is None:
                    _note_incomparable(run, a, b, text)
                    return None
                return same is wanted

            return equality
        return _ordering(left, right, text, _PLACES[node.operator])

    def between(self, node: Between) -> Closure:
        value, low, high = self.compile(node.value), self.compile(node.low), self.compile(node.high)
        text = self.text(node)

        def between(scope: Scope) -> Value:
            v, a, b = value(scope), low(scope), high(scope)
            above, below = order(v, a), order(v, b)
            if (above is not None and above < 0) or (below is not None and below > 0):
                return False  # `v >= a and v <= b`: one side that is false settles it
            if above is None or below is None:
                _note_incomparable(scope[None], v, a if above is None else b, text)
                return None
            return True

        return between

    def in_tests(self, node: In) -> Closure:
        value = self.compile(node.value)
        tests = [self.compile(test) for test in node.tests]
        text = self.text(node)

        def is_in(scope: Scope) -> Value:
            v = value(scope)
            run: Run = scope[None]
            unknown = False
            for test in tests:
                wanted = test(scope)
                run.charge_whole(wanted.value if type(wanted) is EqualityTest else wanted)
                answer = matches_test(v, wanted)
                if answer is True:
                    return True
                if answer is None:
                    unknown = True
            if unknown:
                run.note_null(text)
                return None
            return False

        return is_in

    def unary_test(self, node: UnaryTest) -> Closure:
        operator, operand = node.operator, self.compile(node.operand)
        text = self.text(node)
        if operator in ("=", "!="):
            return lambda scope: EqualityTest(operator, operand(scope))
        is_upper, included = operator[0] == "<", len(operator) == 2

        def test(scope: Scope) -> Value:
            v = operand(scope)
            if type(v) not in _ORDERED:
                if v is None:
                    scope[None].note_null(text)
                else:
                    _note_unordered(scope[None], v, text)
                return None
            return Range(False, None, v, included, is_test=True) if is_upper else Range(included, v, None, False, is_test=True)

        return test

    def interval(self, node: Interval) -> Closure:
        low, high = self.compile(node.low), self.compile(node.high)
        start_included, end_included, text = node.start_included, node.end_included, self.text(node)

        def interval(scope: Scope) -> Value:
            a, b = low(scope), high(scope)
            if a is None and b is None:
                scope[None].note_null(text)
                return None
            if a is not None and b is not None:
                place = order(a, b)
                if place is None:
                    _note_incomparable(scope[None], a, b, text)
                    return None
                if place > 0:
                    scope[None].note(f"the range `{text}` starts after its end", f"区间“{text}”的起点大于终点")
                    return None
            return Range(a is not None and start_included, a, b, b is not None and end_included)

        return interval

    def logic(self, node: Logic) -> Closure:
        decisive = node.operator == "or"  # the value that settles it: true for or, false for and
        text, operator = self.text(node), node.operator

        def unknown(run: Run, value: Value) -> None:
            if value is None:
                run.note_null(text)
            else:
                en, zh = type_words(value)
                run.note(f"`{operator}` needs booleans, not a {en}, in `{text}`",
                         f"“{text}”中 {operator} 需要布尔值,而不是{zh}")  # fmt: skip

        if len(node.terms) == 2:
            first, second = map(self.compile, node.terms)

            def both(scope: Scope) -> Value:
                a = first(scope)
                if a is decisive:
                    return decisive
                b = second(scope)
                if b is decisive:
                    return decisive
                if type(a) is bool and type(b) is bool:
                    return not decisive
                unknown(scope[None], b if type(a) is bool else a)
                return None

            return both
        terms = [self.compile(term) for term in node.terms]

        def each(scope: Scope) -> Value:
            is_known = True
            for term in terms:
                value = term(scope)
                if value is decisive:
                    return decisive
                if type(value) is not bool:
                    is_known = False
                    unknown(scope[None], value)
            return not decisive if is_known else None

        return each

    def conditional(self, node: If) -> Closure:
        condition, then, otherwise = self.compile(node.condition), self.compile(node.then), self.compile(node.otherwise)
        return lambda scope: then(scope) if condition(scope) is True else otherwise(scope)

    def instance_of(self, node: InstanceOf) -> Closure:
        value, type_ = self.compile(node.value), node.type
        return lambda scope: is_instance(value(scope), type_, scope[None])

    # ------------------------------------------------------------------------------------------------------ arithmetic
    def arithmetic(self, node: Arithmetic) -> Closure:
        closure = self.compile(node.first)
        if len(node.rest) == 1:
            operator, operand = node.rest[0]
            return _operation(operator, closure, self.compile(operand), self.text(node))
        rest = [(OPERATORS[op], op, self.compile(operand)) for op, operand in node.rest]
        text = self.text(node)

        def chain(scope: Scope) -> Value:
            value = closure(scope)
            for function, operator, operand in rest:
                value = _operate(function, operator, value, operand(scope), scope[None], text)
            return value

        return chain

    def negation(self, node: Negation) -> Closure:
        operand, text = self.compile(node.operand), self.text(node)

        def negative(scope: Scope) -> Value:
            value = operand(scope)
            answer = negate(value)
            if answer is None:
                run: Run = scope[None]
                if value is None:
                    run.note_null(text)
                else:
                    en, zh = type_words(value)
                    run.note(f"a {en} has no negative in `{text}`", f"“{text}”中{zh}不能取负")
            return answer

        return negative

    # ----------------------------------------------------------------------------------------------- paths and filters
    def path(self, node: Path) -> Closure:
        base, name = self.compile(node.base), node.name

        def step(scope: Scope) -> Value:
            value = base(scope)
            if type(value) is dict and name in value:
                return value[name]
            return _member(value, name, scope[None])

        return step

    def filter(self, node: Filter) -> Closure:
        base, condition = self.compile(node.base), self.compile(node.condition)
        inner = node.condition
        index = inner.value if isinstance(inner, Literal) and type(inner.value) is Decimal else None
        text = self.text(node)

        def select(scope: Scope) -> Value:
            value = base(scope)
            run: Run = scope[None]
            items: list[Value] = [] if value is None else value if type(value) is list else [value]
            if value is None:
                run.note_null(text)
            if index is not None:
                return _at(items, index, run, text)
            scope = dict(scope)
            scope["item"] = None
            if not items:
                if type(condition(scope)) is Decimal:
                    run.note(f"no such item in `{text}`", f"“{text}”中没有这一项")
                    return None
                return []
            kept = []
            for count, item in enumerate(items):
                run.step()
                inside = scope
                if type(item) is dict:
                    inside = dict(scope)
                    inside["item"] = item
                    inside.update(item)
                else:
                    scope["item"] = item
                answer = condition(inside)
                if count == 0:
                    if type(answer) is Decimal:
                        return _at(items, answer, run, text)
                    if answer is not None and type(answer) is not bool:
                        en, zh = type_words(answer)
                        run.note(f"a filter needs a boolean or a number, not a {en}, in `{text}`",
                                 f"“{text}”的筛选条件应为布尔值或数字,而不是{zh}")  # fmt: skip
                        return None
                if answer is True:
                    kept.append(item)
            return kept

        return select

    # ----------------------------------------------------------------------------------------------------------- loops
    def _domains(self, iterations: tuple[Iteration, ...]) -> list[tuple[str, Closure]]:
        def domain(step: Iteration) -> Closure:
            source = self.compile(step.domain)
            if step.to is None:
                return lambda scope: iterate(source(scope))
            to = self.compile(step.to)
            return lambda scope: span(source(scope), to(scope))

        return [(step.name, domain(step)) for step in iterations]

    def loop(self, node: For) -> Closure:
        domains, body, text = self._domains(node.iterations), self.compile(node.body), self.text(node)
        needs_partial = any(isinstance(part, Name) and part.name == "partial" for part in walk(node.body))

        def each(scope: Scope) -> Value:
            found: list[Value] = []
            run: Run = scope[None]
            try:
                for inner in _scopes(domains, dict(scope), run):
                    if needs_partial:
                        run.charge(found)
                        inner["partial"] = found[:]
                    found.append(body(inner))
            except NoDomain:
                _note_no_domain(run, text)
                return None
            return found

        return each

    def quantified(self, node: Quantified) -> Closure:
        decisive, domains, body, text = node.some, self._domains(node.iterations), self.compile(node.body), self.text(node)

        def quantify(scope: Scope) -> Value:
            run: Run = scope[None]
            unknown = False
            try:
                for inner in _scopes(domains, scope, run):
                    answer = body(inner)
                    if answer is decisive:
                        return decisive
                    if type(answer) is not bool:
                        unknown = True
            except NoDomain:
                _note_no_domain(run, text)
                return None
            if unknown:
                run.note_null(text)
                return None
            return not decisive

        return quantify

    # ------------------------------------------------------------------------------------------------------- functions
    def function(self, node: FunctionDefinition) -> Closure:
        params, types, body = list(node.params), list(node.types), self.compile(node.body)
        if node.external:
            return lambda scope: external_function(params, types, body(scope), scope[None])

        def define(scope: Scope) -> Value:
            def apply(arguments: dict[str, Value]) -> Value:
                inner: Scope = dict(scope)
                inner.update(arguments)
                return body(inner)

            return Function(params, types, apply)

        return define

    def call(self, node: Call) -> Closure:
        arguments = [self.compile(argument) for argument in node.arguments]
        names = list(node.names) if node.names is not None else None
        function = self.compile(node.function)
        called = node.function.name if isinstance(node.function, Name) else None
        builtin = BUILTINS.get(called) if called is not None else None
        text = self.text(node.function)

        if builtin is not None and called is not None:

            def call_builtin(scope: Scope) -> Value:
                # A variable named like a function (`date`, `count`) does not hide it where it is called.
                own = scope.get(called)
                target = own if own is not None and is_function(own) else builtin
                return invoke(target, [argument(scope) for argument in arguments], names, scope[None])

            return call_builtin

        def call(scope: Scope) -> Value:
            target = function(scope)
            run: Run = scope[None]
            if not is_function(target):
                if target is not None:
                    run.note(f"`{text}` is no function", f"“{text}”不是函数")
                return None
            return invoke(target, [argument(scope) for argument in arguments], names, run)

        return call

    _COMPILE: ClassVar[dict[type[Node], Callable[[Any, Any], Closure]]] = {
        Literal: literal,
        Name: name,
        Group: group,
        Comparison: comparison,
        Between: between,
        In: in_tests,
        UnaryTest: unary_test,
        Interval: interval,
        Arithmetic: arithmetic,
        Negation: negation,
        Logic: logic,
        If: conditional,
        For: loop,
        Quantified: quantified,
        FunctionDefinition: function,
        Call: call,
        Path: path,
        Filter: filter,
        ListOf: list_of,
        Context: context,
        InstanceOf: instance_of,
    }


# ------------------------------------------------------------------------------------------------------------- operations
_PLACES: dict[str, tuple[int, ...]] = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (1, 0)}


def _ordering(left: Closure, right: Closure, text: str, places: tuple[int, ...]) -> Closure:
    compare: Callable[[Any, Any], bool] = {
        (-1,): lt, (-1, 0): le, (1,): gt, (1, 0): ge,
    }[places]  # fmt: skip

    def ordering(scope: Scope) -> Value:
        a, b = left(scope), right(scope)
        if type(a) is Decimal and type(b) is Decimal:
            return compare(a, b)
        if type(a) is str and len(a) > _LONG_TEXT:
            scope[None].charge(a)
        place = order(a, b)
        if place is None:
            _note_incomparable(scope[None], a, b, text)
            return None
        return place in places

    return ordering


def _note_incomparable(run: Run, a: Value, b: Value, text: str) -> None:
    if a is None or b is None:
        run.note_null(text)
        return
    if type(a) is type(b) and isinstance(a, DateTime | Time) and (a.zone is None) != (b.zone is None):
        run.note(f"one side of `{text}` has a time zone, the other has none", f"“{text}”一侧有时区,另一侧没有时区")
        return
    (a_en, a_zh), (b_en, b_zh) = type_words(a), type_words(b)
    run.note(f"a {a_en} cannot be compared with a {b_en} in `{text}`", f"“{text}”中{a_zh}不能与{b_zh}比较")


def _note_unordered(run: Run, value: Value, text: str) -> None:
    en, zh = type_words(value)
    run.note(f"a {en} has no order in `{text}`", f"“{text}”中{zh}不能比较大小")


def _note_no_domain(run: Run, text: str) -> None:
    run.note(f"nothing to iterate over in `{text}`: a list or a range of whole numbers or dates is needed",
             f"“{text}”中没有可遍历的内容:需要列表,或整数、日期的区间")  # fmt: skip


def _operation(operator: str, left: Closure, right: Closure, text: str) -> Closure:
    function = OPERATORS[operator]
    return lambda scope: _operate(function, operator, left(scope), right(scope), scope[None], text)


def _operate(function: Callable[[Value, Value], Value], operator: str, a: Value, b: Value, run: Run, text: str) -> Value:
    if a is None or b is None:
        run.note_null(text)
        return None
    if operator == "**":
        run.step(_STEPS_OF_POWER)
    try:
        answer = function(a, b)
    except ZeroDivisionError:
        run.note(f"division by zero in `{text}`", f"“{text}”中除数为零")
        return None
    except (ArithmeticError, ValueError):
        run.note(f"the result of `{text}` is out of range", f"“{text}”的结果超出范围")
        return None
    if answer is None:
        (a_en, a_zh), (b_en, b_zh) = type_words(a), type_words(b)
        run.note(f"`{operator}` does not take a {a_en} and a {b_en} in `{text}`",
                 f"“{text}”中“{operator}”不能用于{a_zh}和{b_zh}")  # fmt: skip
    elif type(answer) is str:
        run.charge(answer)
    return answer


def _member(value: Value, name: str, run: Run) -> Value:
    if type(value) is dict:
        if name in value:
            return value[name]
        run.note(f"no entry `{name}`", f"没有名为“{name}”的项")
        return None
    if type(value) is list:
        run.charge(value)
        return [_member(item, name, run) for item in value]
    if value is None:
        run.note_null(f"….{name}")
        return None
    try:
        return property_of(value, name)
    except KeyError:
        en, zh = type_words(value)
        run.note(f"a {en} has no `{name}`", f"{zh}没有“{name}”")
        return None


def _at(items: list[Value], index: Decimal, run: Run, text: str) -> Value:
    if index == index.to_integral_value() and index and abs(index) <= len(items):
        place = int(index)
        return items[place - 1 if place > 0 else place]
    run.note(f"no item {short_text(index)} in `{text}`: the list has {len(items)}",
             f"“{text}”中没有第 {short_text(index)} 项:列表共 {len(items)} 项")  # fmt: skip
    return None


def iterate(value: Value) -> Iterator[Value]:
    """Return what a loop passes over: a list's items, a range's members, or the lone value.

    Raises:
        NoDomain: null, or a range without ends or of other things than whole numbers and dates.
    """
    if type(value) is list:
        return iter(value)
    if type(value) is Range:
        if value.start is None or value.end is None:
            raise NoDomain
        return (member for member in span(value.start, value.end) if contains(value, member))
    if value is None:
        raise NoDomain
    return iter([value])


def span(start: Value, end: Value) -> Iterator[Value]:
    """Return the whole numbers or dates from `start` to `end`, up or down."""
    if type(start) is Decimal and type(end) is Decimal:
        if start != start.to_integral_value() or end != end.to_integral_value():
            raise NoDomain
        return map(Decimal, _count(int(start), int(end)))
    if type(start) is Date and type(end) is Date:
        return map(Date.of_ordinal, _count(start.ordinal, end.ordinal))
    raise NoDomain


def _count(start: int, end: int) -> range:
    return range(start, end + 1) if start <= end else range(start, end - 1, -1)


def _scopes(domains: list[tuple[str, Closure]], scope: Scope, run: Run, depth: int = 0) -> Iterator[Scope]:
    """Yield the scope of every pass of a loop over one or more domains."""
    if depth == len(domains):
        yield scope
        return
    name, domain = domains[depth]
    for value in domain(scope):
        run.step()
        inner = dict(scope)
        inner[name] = value
        yield from _scopes(domains, inner, run, depth + 1)


# -------------------------------------------------------------------------------------------------------------- functions
def invoke(function: Value, arguments: list[Value], names: list[str] | None, run: Run) -> Value:
    """Call a function value or a built-in one, by place (`names` None) or by name; null with a reason when it does not fit."""
    run.step()
    run.depth -= 1
    if run.depth < 0:
        raise FeelLimit("calls are nested too deep", "函数调用嵌套过深")
    try:
        if isinstance(function, Builtin):
            return function.call(arguments, names, run)
        if type(function) is not Function:
            return None
        return _invoke_function(function, arguments, names, run)
    finally:
        run.depth += 1


def _invoke_function(function: Function, arguments: list[Value], names: list[str] | None, run: Run) -> Value:
    given = function.params if names is None else names
    if len(arguments) != len(function.params) or set(given) != set(function.params):
        wanted = ", ".join(function.params)
        run.note(f"{function.name}({wanted}) was called with other arguments", f"调用 {function.name}({wanted}) 的参数不符")
        return None
    bound = dict(zip(given, arguments, strict=True))
    for param, type_ in zip(function.params, function.types, strict=True):
        if type_ is not None:
            value = coerce(bound[param], type_, run)
            if value is None and bound[param] is not None:
                run.note(f"the parameter `{param}` of {function.name} must be {describe(type_)}",
                         f"{function.name} 的参数“{param}”应为 {describe(type_)}")  # fmt: skip
                return None
            bound[param] = value
    try:
        answer = function.body(bound)
    except (ArithmeticError, ValueError, TypeError):
        run.note(f"{function.name} has no value for these arguments", f"{function.name} 对这些参数没有值")
        return None
    return coerce(answer, function.result, run) if function.result is not None else answer


def external_function(params: list[str], types: list[Any], spec: Value, run: Run) -> Value:
    """Return the function that stands for ``{java: {class, method signature}}``; null when the run knows none."""
    java = spec.get("java") if type(spec) is dict else None
    if type(java) is dict:
        signature = ", ".join(part.strip() for part in str(java.get("method signature", "")).split(","))
        found = (run.external or {}).get(f"{java.get('class')}.{signature}")
        if found is not None:
            return Function(params, types, lambda arguments: found(*(arguments[p] for p in params)), "external")
    run.note("external functions are not available", "不支持外部函数")
    return None


# ------------------------------------------------------------------------------------------------------------- whole texts
@dataclass(frozen=True, slots=True)
class Compiled:
    """A text, ready to run: its closure, its tree and the names it reads."""

    text: str
    closure: Closure
    tree: Node
    free: FreeNames


def _too_deep() -> FeelSyntaxError:
    return FeelSyntaxError("the expression is nested too deep", 1, 1, zh="表达式嵌套过深")


@lru_cache(8192)
def compile_text(
    text: str, names: frozenset[str] = frozenset(), members: frozenset[str] = frozenset(), is_tracing: bool = False
) -> Compiled:
    """Parse and compile an expression, once; its text is composed first (Unicode's NFC), names and literals with it.

    Args:
        names: of variables; they hide functions of their name also while they are not there.

    Raises:
        FeelSyntaxError: with line and column.
    """
    text = composed(text)
    try:
        tree = parse_expression(text, names, members)
        return Compiled(text, _Compiler(text, is_tracing=is_tracing, variables=names).compile(tree), tree, free_names(tree))
    except RecursionError:
        raise _too_deep() from None


@dataclass(frozen=True, slots=True, eq=False)
class CompiledTests:
    """Unary tests, ready to run; the value under test is ``scope['?']``."""

    text: str
    closure: Closure
    tree: UnaryTests


@lru_cache(8192)
def compile_tests(text: str, names: frozenset[str] = frozenset(), members: frozenset[str] = frozenset()) -> CompiledTests:
    """Parse and compile the unary tests of a decision table's cell, once; composed like an expression.

    Raises:
        FeelSyntaxError: with line and column.
    """
    text = composed(text)
    try:
        tree = parse_unary_tests(text, names, members)
        return CompiledTests(text, _tests_closure(text, tree), tree)
    except RecursionError:
        raise _too_deep() from None


def is_constant(node: Node) -> bool:
    """Return whether the node is a literal, a range or a test of literals."""
    if isinstance(node, Negation):
        return is_constant(node.operand)
    if isinstance(node, Group):
        return is_constant(node.inner)
    if isinstance(node, UnaryTest):
        return is_constant(node.operand)
    if isinstance(node, Interval):
        return is_constant(node.low) and is_constant(node.high)
    return isinstance(node, Literal)


#: For constants, which do not ask for the time.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def constant_value(node: Node) -> Value:
    """Return the value of a node that `is_constant`."""
    return _Compiler("").compile(node)({None: Run(EPOCH)})


def _tests_closure(text: str, tree: UnaryTests) -> Closure:
    if tree.any:
        return lambda scope: True
    if not tree.negated and len(tree.tests) == 1 and is_constant(tree.tests[0]):
        return _constant_test(constant_value(tree.tests[0]))
    compiler = _Compiler(text)
    tests = [(compiler.compile(test), _uses_question(test)) for test in tree.tests]
    negated = tree.negated

    def passes(scope: Scope) -> Value:
        value = scope["?"]
        answer: bool | None = False
        for test, uses_question in tests:
            wanted = test(scope)
            passed: bool | None
            if uses_question and type(wanted) is bool:
                passed = wanted
            else:
                scope[None].charge_whole(wanted.value if type(wanted) is EqualityTest else wanted)
                passed = matches_test(value, wanted)
                if passed is not True and wanted is True and type(value) is not bool and not uses_question:
                    passed = True
            if passed is True:
                answer = True
                break
            if passed is None:
                answer = None
        return (None if answer is None else not answer) if negated else answer

    return passes


def _uses_question(node: Node) -> bool:
    return any(isinstance(part, Name) and part.name == "?" for part in walk(node))


def _constant_test(wanted: Value) -> Closure:
    """Return the closure of one unary test whose value is known; numbers and texts are the hot cells of a table."""
    kind = type(wanted)
    if kind in (Decimal, str):

        def equals(scope: Scope) -> Value:
            value = scope["?"]
            return value == wanted if type(value) is kind else matches_test(value, wanted)

        return equals
    if kind is Range:
        return _constant_range(wanted)
    if wanted is True:
        return lambda scope: scope["?"] if type(scope["?"]) is bool else True
    return lambda scope: matches_test(scope["?"], wanted)


def _constant_range(wanted: Range) -> Closure:
    ends = (wanted.start, wanted.end)
    is_number = all(end is None or type(end) is Decimal for end in ends) and (wanted.is_test or None not in ends)
    if not is_number:
        return lambda scope: matches_test(scope["?"], wanted)
    low = wanted.start if wanted.start is not None else Decimal("-Infinity")
    high = wanted.end if wanted.end is not None else Decimal("Infinity")
    low_included = wanted.start_included or wanted.start is None
    high_included = wanted.end_included or wanted.end is None

    def inside(scope: Scope) -> Value:
        value = scope["?"]
        if type(value) is not Decimal:
            return matches_test(value, wanted)
        if low < value < high:
            return True
        return (low_included and value == low) or (high_included and value == high)

    return inside
