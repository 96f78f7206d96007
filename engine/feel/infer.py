"""The type that an expression will have, and the mistakes that can be seen without running it.

What is reported is a mistake whatever the values are: the part is null, or a text stands where only a boolean decides. What is not
known is `None` and excuses everything it touches; so does null, for any value may be null.

Operators are not told twice: each is tried on sample values of the two types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from engine.feel.arithmetic import OPERATORS, PROPERTIES, negate, property_of
from engine.feel.builtins import BUILTINS, Builtin
from engine.feel.parser import parse_expression
from engine.feel.syntax import (
    Arithmetic,
    Between,
    Call,
    Comparison,
    Context,
    Filter,
    For,
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
)
from engine.feel.temporal import DAY_NS, Date, DateTime, DaysTime, Time, YearsMonths
from engine.feel.values import Range

#: ``'number'`` …, ``('list', t)``, ``('range', t)``, ``('context', {name: t})``, ``('function', t of its value)``; None: not known.
Type = Any

NUMBER: Final = "number"
STRING: Final = "string"
BOOLEAN: Final = "boolean"
DATE: Final = "date"
TIME: Final = "time"
DATE_TIME: Final = "date and time"
DAYS: Final = "days and time duration"
MONTHS: Final = "years and months duration"

_SAMPLES: Final[dict[str, tuple[Any, ...]]] = {
    NUMBER: (Decimal(1),),
    STRING: ("a",),
    BOOLEAN: (True,),
    DATE: (Date(2026, 1, 2),),
    TIME: (Time(DAY_NS // 2), Time(DAY_NS // 2, 0)),
    DATE_TIME: (DateTime(Date(2026, 1, 2), Time(0)), DateTime(Date(2026, 1, 2), Time(0, 0))),
    DAYS: (DaysTime(DAY_NS),),
    MONTHS: (YearsMonths(1),),
}
_OF_CLASS: Final[dict[type, str]] = {type(samples[0]): name for name, samples in _SAMPLES.items()}
_ORDERED: Final = frozenset({NUMBER, STRING, DATE, TIME, DATE_TIME, DAYS, MONTHS})
_NAMES_ZH: Final = {
    NUMBER: "数字", STRING: "文本", BOOLEAN: "布尔值", DATE: "日期", TIME: "时间", DATE_TIME: "日期时间", DAYS: "天时长度",
    MONTHS: "年月长度", "list": "列表", "context": "上下文", "range": "区间", "function": "函数",
}  # fmt: skip
#: Other names of the types, as item definitions and modelers write them.
_ALIASES: Final = {
    "dateTime": DATE_TIME, "dayTimeDuration": DAYS, "yearMonthDuration": MONTHS, "day time duration": DAYS,
    "year month duration": MONTHS, "integer": NUMBER, "long": NUMBER, "double": NUMBER,
}  # fmt: skip


def kind(type_: Type) -> str | None:
    """Return the outermost word of a type; None when it is not known."""
    word: str | None = type_[0] if isinstance(type_, tuple) else type_
    return word


def words(type_: Type) -> tuple[str, str]:
    """Return a known type as a reader calls it, English and Chinese."""
    word = kind(type_) or "?"
    return word, _NAMES_ZH.get(word, word)


def type_of_value(value: Any) -> Type:
    """Return the type of a FEEL value."""
    if type(value) is list:
        return "list", _same(type_of_value(item) for item in value)
    if type(value) is dict:
        return "context", {name: type_of_value(part) for name, part in value.items()}
    if type(value) is Range:
        return "range", type_of_value(value.start if value.start is not None else value.end)
    return _OF_CLASS.get(type(value))


def declared(name: Any) -> Type:
    """Return the type of a type's name; None for one that is not built in, and for an item definition."""
    if not isinstance(name, str):
        return None
    name = _ALIASES.get(name, name)
    if name in _SAMPLES:
        return name
    return (name, None) if name in ("list", "range", "context") else None


def type_named(text: str) -> Type:
    """Return the type that a text of FEEL's type grammar means, e.g. ``context<a: list<number>>``; None for ``Any``.

    Raises:
        FeelSyntaxError: it is no type.
    """
    node = parse_expression(f"x instance of {text}")
    return _declared_type(node.type) if isinstance(node, InstanceOf) else None


def _same(types: Iterable[Type]) -> Type:
    found = list(types)
    return found[0] if found and all(type_ == found[0] for type_ in found) else None


@dataclass(frozen=True, slots=True)
class Mistake:
    """`start`: place in the text, from 0."""

    start: int
    en: str
    zh: str


@dataclass(slots=True)
class _Inference:
    mistakes: list[Mistake] = field(default_factory=list)

    def tell(self, node: Node, en: str, zh: str) -> None:
        self.mistakes.append(Mistake(node.start, en, zh))

    # ------------------------------------------------------------------------------------------------------------- nodes
    def of(self, node: Node, scope: Mapping[str, Type]) -> Type:
        match node:
            case Literal(value=value):
                return type_of_value(value)
            case Name(name=name):
                if name in scope:
                    return scope[name]
                return ("function", None) if name in BUILTINS else None
            case Group(inner=grouped):
                return self.of(grouped, scope)
            case Arithmetic():
                return self.arithmetic(node, scope)
            case Negation(operand=operand):
                type_ = self.of(operand, scope)
                if kind(type_) is not None and (kind(type_) not in _SAMPLES or negate(_SAMPLES[type_][0]) is None):
                    self.tell(node, f"a {words(type_)[0]} has no negative", f"{words(type_)[1]}不能取负")
                    return None
                return type_
            case Comparison():
                return self.comparison(node, scope)
            case Between(value=value, low=low, high=high):
                tested = self.of(value, scope)
                for end in (low, high):
                    self.ordered(end, tested, self.of(end, scope))
                return BOOLEAN
            case Logic(operator=operator, terms=terms):
                for term in terms:
                    self.boolean(term, self.of(term, scope), f"`{operator}`", f"“{operator}”")
                return BOOLEAN
            case If(condition=condition, then=then, otherwise=otherwise):
                self.boolean(condition, self.of(condition, scope), "`if`", "“if”")
                return _same([self.of(branch, scope) for branch in (then, otherwise) if not _is_null(branch)])
            case In():
                return self.membership(node, scope)
            case Interval(low=low, high=high):
                first, last = self.of(low, scope), self.of(high, scope)
                self.ordered(high, first, last)
                return "range", first if first is not None else last
            case UnaryTest(operand=operand):
                self.of(operand, scope)
                return None
            case ListOf(items=items):
                return "list", _same([self.of(item, scope) for item in items])
            case Context(entries=entries):
                made: dict[str, Type] = {}
                for key, value in entries:
                    made[key] = self.of(value, {**scope, **made})
                return "context", made
            case Path(base=base, name=name):
                return self.member(node, self.of(base, scope), name)
            case Filter():
                return self.filter(node, scope)
            case For(iterations=iterations, body=body):
                return "list", self.of(body, {**self.iterated(iterations, scope), "partial": ("list", None)})
            case Quantified(some=some, iterations=iterations, body=body):
                word = "some" if some else "every"
                self.boolean(body, self.of(body, self.iterated(iterations, scope)), f"`{word}`", f"“{word}”")
                return BOOLEAN
            case FunctionDefinition(params=params, types=types, body=body, external=external):
                given = {p: _declared_type(t) for p, t in zip(params, types, strict=True)}
                return "function", None if external else self.of(body, {**scope, **given})
            case InstanceOf(value=value):
                self.of(value, scope)
                return BOOLEAN
            case Call():
                return self.call(node, scope)
        return None

    def iterated(self, iterations: tuple[Iteration, ...], scope: Mapping[str, Type]) -> dict[str, Type]:
        inner = dict(scope)
        for step in iterations:
            domain = self.of(step.domain, inner)
            if step.to is not None:
                self.of(step.to, inner)
                inner[step.name] = domain
            else:
                inner[step.name] = domain[1] if kind(domain) in ("list", "range") else domain
        return inner

    # --------------------------------------------------------------------------------------------------------- operators
    def boolean(self, node: Node, type_: Type, en: str, zh: str) -> None:
        if kind(type_) not in (None, BOOLEAN):
            self.tell(node, f"{en} needs a boolean, not a {words(type_)[0]}", f"{zh}需要布尔值，而不是{words(type_)[1]}")

    def ordered(self, node: Node, a: Type, b: Type) -> None:
        for type_ in (a, b):
            if kind(type_) is not None and kind(type_) not in _ORDERED:
                self.tell(node, f"a {words(type_)[0]} has no order", f"{words(type_)[1]}不能比较大小")
                return
        self.comparable(node, a, b)

    def comparable(self, node: Node, a: Type, b: Type) -> None:
        if kind(a) is not None and kind(b) is not None and kind(a) != kind(b):
            (a_en, a_zh), (b_en, b_zh) = words(a), words(b)
            self.tell(node, f"a {a_en} cannot be compared with a {b_en}", f"{a_zh}不能与{b_zh}比较")

    def comparison(self, node: Comparison, scope: Mapping[str, Type]) -> Type:
        a, b = self.of(node.left, scope), self.of(node.right, scope)
        if node.operator in ("=", "!="):
            self.comparable(node, a, b)
        else:
            self.ordered(node, a, b)
        return BOOLEAN

    def membership(self, node: In, scope: Mapping[str, Type]) -> Type:
        tested = self.of(node.value, scope)
        for test in node.tests:
            type_ = self.of(test.operand if isinstance(test, UnaryTest) else test, scope)
            inner = type_[1] if kind(type_) in ("list", "range") and kind(tested) != kind(type_) else type_
            self.comparable(test, tested, inner)
        return BOOLEAN

    def arithmetic(self, node: Arithmetic, scope: Mapping[str, Type]) -> Type:
        type_ = self.of(node.first, scope)
        for operator, operand in node.rest:
            other = self.of(operand, scope)
            if type_ is None or other is None:
                type_ = None
                continue
            found = _operated(operator, type_, other) if isinstance(type_, str) and isinstance(other, str) else ()
            if not found:
                (a_en, a_zh), (b_en, b_zh) = words(type_), words(other)
                self.tell(operand, f"`{operator}` does not take a {a_en} and a {b_en}", f"“{operator}”不能用于{a_zh}和{b_zh}")
            type_ = found[0] if len(found) == 1 else None
        return type_

    # ---------------------------------------------------------------------------------------------------- paths and lists
    def member(self, node: Path, type_: Type, name: str) -> Type:
        word = kind(type_)
        if word == "list":
            return "list", self.member(node, type_[1], name)
        if word == "context":
            entries = type_[1]
            if entries is None:
                return None
            if name not in entries:
                known = ", ".join(entries) or "—"
                self.tell(node, f"there is no entry `{name}` (there are: {known})", f"没有名为“{name}”的项（已有：{known}）")
                return None
            return entries[name]
        if word == "range":
            return {"start": type_[1], "end": type_[1]}.get(name, BOOLEAN)
        if word is None or word == "function":
            return None
        found = []
        for sample in _SAMPLES[word]:
            if name in PROPERTIES.get(type(sample), ()):
                found.append(type_of_value(property_of(sample, name)))
        if not found:
            self.tell(node, f"a {words(type_)[0]} has no `{name}`", f"{words(type_)[1]}没有“{name}”")
        return next((each for each in found if each is not None), None)

    def filter(self, node: Filter, scope: Mapping[str, Type]) -> Type:
        base = self.of(node.base, scope)
        item = base[1] if kind(base) == "list" else base
        inner = {**scope, "item": item}
        if kind(item) == "context" and item[1] is not None:
            inner.update(item[1])
        elif kind(item) is None or kind(item) == "context":
            inner = {"item": item}  # any name may be an entry
        condition = self.of(node.condition, inner)
        if kind(condition) not in (None, NUMBER, BOOLEAN):
            self.tell(node.condition, f"a filter needs a boolean or a number, not a {words(condition)[0]}",
                      f"筛选条件应为布尔值或数字，而不是{words(condition)[1]}")  # fmt: skip
        if kind(base) is None:
            return None
        return item if condition == NUMBER else ("list", item) if condition == BOOLEAN else None

    # -------------------------------------------------------------------------------------------------------------- calls
    def call(self, node: Call, scope: Mapping[str, Type]) -> Type:
        types = [self.of(argument, scope) for argument in node.arguments]
        if not isinstance(node.function, Name):
            function = self.of(node.function, scope)
            return function[1] if kind(function) == "function" else None
        name = node.function.name
        if kind(scope.get(name)) == "function":
            return scope[name][1]
        builtin = BUILTINS.get(name)
        if builtin is None:
            return None
        if None not in types and not _takes(builtin, types, node.names):
            given = ", ".join(words(type_)[0] for type_ in types)
            given_zh = "、".join(words(type_)[1] for type_ in types)
            self.tell(node, f"{name}() does not take ({given})", f"{name}() 不接受参数（{given_zh}）")
            return None
        return _result(name, types)


def _is_null(node: Node) -> bool:
    return isinstance(node, Literal) and node.value is None


@lru_cache(512)
def _operated(operator: str, a: str, b: str) -> tuple[str, ...]:
    """Return the types that ``a operator b`` may have; empty when it is null whatever the values."""
    found: dict[str, None] = {}
    for left in _SAMPLES[a]:
        for right in _SAMPLES[b]:
            try:
                value = OPERATORS[operator](left, right)
            except (ArithmeticError, ValueError):
                continue
            word = _OF_CLASS.get(type(value))
            if word is not None:
                found[word] = None
    return tuple(found)


def _declared_type(type_: Any) -> Type:
    if isinstance(type_, str):
        return declared(type_)
    if isinstance(type_, tuple) and type_[0] in ("list", "range"):
        return type_[0], _declared_type(type_[1])
    if isinstance(type_, tuple) and type_[0] == "context":
        return "context", {name: _declared_type(part) for name, part in type_[1].items()}
    return None


_PARAMETER_KINDS: Final[dict[str, frozenset[str]]] = {
    "string": frozenset({STRING}), "number": frozenset({NUMBER}), "boolean": frozenset({BOOLEAN}), "context": frozenset({"context"}),
    "function": frozenset({"function"}), "time": frozenset({TIME}), "day": frozenset({DATE, DATE_TIME}),
}  # fmt: skip


def _takes(builtin: Builtin, types: list[Type], names: tuple[str, ...] | None) -> bool:
    """Return whether some signature may take arguments of these (known) types."""
    if not builtin.overloads:
        return True
    for overload in builtin.overloads:
        parameters = overload.parameters
        if names is not None:
            by_name = {parameter.name: parameter for parameter in parameters}
            if not set(names) <= by_name.keys():
                continue
            pairs = [(by_name[name], type_) for name, type_ in zip(names, types, strict=True)]
            wanted = {parameter.name for parameter in parameters if not parameter.is_optional}
            if not wanted <= set(names):
                continue
        elif overload.is_variadic:
            return True
        elif len(types) > len(parameters) or any(not p.is_optional for p in parameters[len(types):]):
            continue
        else:
            pairs = list(zip(parameters, types, strict=False))
        if all(_fits(parameter.kind, type_) for parameter, type_ in pairs):
            return True
    return False


def _fits(parameter: str, type_: Type) -> bool:
    kinds = _PARAMETER_KINDS.get(parameter)
    if kinds is None:  # any, and list, to which a single value is made
        return True
    return kind(type_) in kinds or (kind(type_) == "list" and kind(type_[1]) in (None, *kinds))


_RESULTS: Final[dict[str, Type]] = {
    **dict.fromkeys((
        "string length", "count", "product", "mean", "median", "stddev", "modulo", "sqrt", "log", "exp",
        "decimal", "floor", "ceiling", "round up", "round down", "round half up", "round half down", "number", "day of year",
        "week of year"), NUMBER),
    **dict.fromkeys((
        "string", "substring", "substring before", "substring after", "upper case", "lower case", "replace", "string join",
        "day of week", "month of year"), STRING),
    **dict.fromkeys((
        "not", "contains", "starts with", "ends with", "matches", "list contains", "all", "any", "odd", "even", "is", "before", "after",
        "meets", "met by", "overlaps", "overlaps before", "overlaps after", "finishes", "finished by", "includes", "during", "starts",
        "started by", "coincides", "is working day"), BOOLEAN),
    "date": DATE, "time": TIME, "date and time": DATE_TIME, "now": DATE_TIME, "today": DATE,
    "years and months duration": MONTHS,
    "split": ("list", STRING), "index of": ("list", NUMBER), "mode": ("list", NUMBER), "range": ("range", None),
    "get entries": ("list", ("context", {"key": STRING, "value": None})), "context": ("context", None),
    "context put": ("context", None), "context merge": ("context", None),
}  # fmt: skip
_LIKE_THEIR_LIST: Final = frozenset({"sublist", "distinct values", "remove", "reverse", "sort"})


def _result(name: str, types: list[Type]) -> Type:
    if name in ("min", "max", "sum"):
        of = types[0][1] if len(types) == 1 and kind(types[0]) == "list" else _same(types)
        return of if kind(of) in _ORDERED else None
    if name in _LIKE_THEIR_LIST:
        return types[0] if types and kind(types[0]) == "list" else ("list", None)
    if name in ("append", "concatenate", "union", "insert before", "list replace", "flatten"):
        return "list", None
    if name == "abs":
        return types[0] if types and isinstance(types[0], str) else None
    if name == "add working days":
        return types[0] if types and types[0] in (DATE, DATE_TIME) else None
    if name == "duration":
        return None  # of days or of months, as the text says
    return _RESULTS.get(name)


def infer(tree: Node, types: Mapping[str, Type]) -> tuple[Type, list[Mistake]]:
    """Return the type of an expression (None: not known) over variables of these types, and what it gets wrong, in order.

    Args:
        types: ``{name: type}`` of the variables of which it is known.
    """
    inference = _Inference()
    type_ = inference.of(tree, types)
    return type_, sorted(dict.fromkeys(inference.mistakes), key=lambda mistake: mistake.start)
