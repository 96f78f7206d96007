"""FEEL's built-in functions.

A signature is text: ``"string: string, start position: number, length: number?"``. Types: string number boolean list context
function time day (a date or a date and time) any; ``?`` may be left out, ``~`` takes null. A null or a value of
another type gives null before the function is called; a lone value stands for a list and a list of one for its item.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Decimal,
)
from functools import cmp_to_key
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from engine.errors import EngineError
from engine.feel import patterns
from engine.feel.errors import FeelLimit, FeelSyntaxError
from engine.feel.run import Run, Value, WorkingDays
from engine.feel.syntax import Call, Interval, Literal, Name, Negation, Node, UnaryTest
from engine.feel.temporal import (
    NS,
    Date,
    DateTime,
    DaysTime,
    Time,
    YearsMonths,
    from_datetime,
    parse_date,
    parse_date_time,
    parse_duration,
    parse_time,
    parse_zone,
    to_python,
)
from engine.feel.values import NUMBER, WIDE, Function, Range, contains, equal, feel_text, order, short_text, type_words

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "number": (Decimal,), "boolean": (bool,), "list": (list,), "context": (dict,), "function": (Function,),
    "time": (Time,), "day": (Date, DateTime), "any": (object,),
}  # fmt: skip


class _Parameter:
    __slots__ = ("is_optional", "kind", "name", "takes_null", "types")

    def __init__(self, text: str) -> None:
        name, _, kind = text.partition(":")
        self.name = name.strip()
        self.is_optional, self.takes_null = "?" in kind, "~" in kind
        self.kind = kind.strip(" ?~")
        self.types = _TYPES[self.kind]


class _Missing:
    """Stands for an argument that was not given."""


_MISSING = _Missing()


class _Overload:
    __slots__ = ("function", "is_variadic", "parameters", "wants_run")

    def __init__(self, signature: str, function: Callable[..., Value], is_variadic: bool, wants_run: bool) -> None:
        self.parameters = [_Parameter(part) for part in signature.split(",") if part.strip()]
        self.function, self.is_variadic, self.wants_run = function, is_variadic, wants_run

    def bind(self, arguments: list[Value], names: list[str] | None) -> list[Value] | None:
        """Return the arguments by parameter and converted; None when they do not fit."""
        parameters = self.parameters
        bound: list[Value]
        if names is not None:
            given = dict(zip(names, arguments, strict=True))
            if len(given) != len(names) or not given.keys() <= {p.name for p in parameters}:
                return None
            bound = [given.get(p.name, _MISSING) for p in parameters]
        elif self.is_variadic and arguments and not (len(arguments) == 1 and type(arguments[0]) is list):
            return [list(arguments)]
        elif len(arguments) > len(parameters):
            return None
        else:
            bound = arguments + [_MISSING] * (len(parameters) - len(arguments))
        for place, (value, parameter) in enumerate(zip(bound, parameters, strict=True)):
            if value is _MISSING:
                if not parameter.is_optional:
                    return None
                bound[place] = None
            elif value is None:
                if not parameter.takes_null:
                    return None
            elif parameter.kind == "any" or type(value) in parameter.types:
                pass
            elif parameter.kind == "list":
                bound[place] = [value]
            elif parameter.kind == "function" and isinstance(value, Builtin):
                pass
            elif type(value) is list and len(value) == 1 and type(value[0]) in parameter.types:
                bound[place] = value[0]
            else:
                return None
        return bound


class Builtin:
    """A built-in function: one name, one or more signatures."""

    __slots__ = ("name", "overloads")
    types: tuple[Any, ...] = ()
    result = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.overloads: list[_Overload] = []

    @property
    def params(self) -> list[str]:
        return [p.name for p in self.overloads[0].parameters]

    def call(self, arguments: list[Value], names: list[str] | None, run: Run) -> Value:
        """Return the function's value; null with a reason when the arguments do not fit or there is no value."""
        for argument in arguments:
            run.charge(argument)
        for overload in self.overloads:
            bound = overload.bind(arguments, names)
            if bound is None:
                continue
            try:
                answer = overload.function(run, *bound) if overload.wants_run else overload.function(*bound)
            except (ArithmeticError, ValueError):
                answer = None
            if answer is None:
                self._note(run, arguments, "has no value for", "对以下参数没有值:")
            else:
                run.charge(answer)
            return answer
        self._note(run, arguments, "does not take", "不接受参数:", types=True)
        return None

    def _note(self, run: Run, arguments: list[Value], en: str, zh: str, *, types: bool = False) -> None:
        if any(argument is None for argument in arguments) and run.reasons:
            return  # the null came from somewhere that has said why
        if types:
            words = [type_words(argument) for argument in arguments]
            run.note(f"{self.name}() {en} ({', '.join(w[0] for w in words)})",
                     f"{self.name}() {zh}({', '.join(w[1] for w in words)})")  # fmt: skip
        else:
            shown = ", ".join(short_text(argument) for argument in arguments)
            run.note(f"{self.name}() {en} ({shown})", f"{self.name}() {zh}({shown})")

    def __repr__(self) -> str:
        return f"<{self.name}>"


#: ``{name: function}``.
BUILTINS: dict[str, Builtin] = {}
_Function = Callable[..., Value]


def _builtin(name: str, signature: str, *, variadic: bool = False, run: bool = False) -> Callable[[_Function], _Function]:
    """Register the decorated function. `variadic`: loose arguments make the one list; `run`: it wants the Run first."""

    def register(function: _Function) -> _Function:
        BUILTINS.setdefault(name, Builtin(name)).overloads.append(_Overload(signature, function, variadic, run))
        return function

    return register


def _index(position: Decimal, length: int) -> int | None:
    """Return the index of a FEEL position (from 1, or from the end when negative); None when there is none such."""
    if abs(position) > length:
        return None
    place = int(position)
    if not place:
        return None
    return place - 1 if place > 0 else length + place


def _whole(number: Decimal) -> int | None:
    return int(number) if number == number.to_integral_value() else None


# ------------------------------------------------------------------------------------------------------------- conversion
_builtin("date", "from: string")(parse_date)


@_builtin("date", "from: day")
def _date(day: Date | DateTime) -> Value:
    return day if isinstance(day, Date) else day.date


@_builtin("date", "year: number, month: number, day: number")
def _date_of_parts(year: Decimal, month: Decimal, day: Decimal) -> Value:
    parts = [_whole(part) for part in (year, month, day)]
    return None if None in parts else Date(*[part for part in parts if part is not None])


_builtin("date and time", "from: string")(parse_date_time)


@_builtin("date and time", "from: any")
def _date_and_time(value: Value) -> Value:
    if type(value) is Date:
        return DateTime(value, Time(0, 0))
    return value if type(value) is DateTime else None


@_builtin("date and time", "date: day, time: time")
def _date_and_time_of_parts(day: Date | DateTime, at: Time) -> Value:
    return DateTime(_day(day), at)


@_builtin("date and time", "date: day, timezone: string")
def _date_and_time_in_zone(day: Date | DateTime, zone: str) -> Value:
    if not isinstance(day, DateTime):
        return None
    if zone[:1] in "+-" and not re.fullmatch(r"[+-]\d\d:\d\d(:\d\d)?", zone):
        return None
    return DateTime(day.date, Time(day.time.ns, parse_zone(zone if zone[:1] in "Z+-@" else "@" + zone)))


@_builtin("time", "from: string")
def _time_of_text(text: str) -> Value:
    return parse_time(text[1:] if text.startswith("T") else text)


@_builtin("time", "from: any")
def _time(value: Value) -> Value:
    if type(value) is DateTime:
        return value.time
    if type(value) is Date:
        return Time(0, 0)
    return value if type(value) is Time else None


@_builtin("time", "hour: number, minute: number, second: number, offset: any?~")
def _time_of_parts(hour: Decimal, minute: Decimal, second: Decimal, offset: Value) -> Value:
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        return None
    if offset is not None and (type(offset) is not DaysTime or abs(offset.ns) > 18 * 3600 * NS):
        return None
    ns = (int(hour) * 60 + int(minute)) * 60 * NS + int(second * NS)
    return Time(ns, None if offset is None else offset.ns // NS)


@_builtin("number", "from: string, grouping separator: string?~, decimal separator: string?~")
def _number_of_text(text: str, grouping: str | None, point: str | None) -> Value:
    if grouping is not None and (grouping not in (" ", ",", ".") or grouping == point):
        return None
    if point is not None and point not in (",", "."):
        return None
    if grouping:
        text = text.replace(grouping, "")
    if point:
        text = text.replace(point, ".")
    is_number = re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text, re.A)
    return NUMBER.create_decimal(text) if is_number else None


@_builtin("number", "from: number")
def _number(number: Decimal) -> Value:
    return number


@_builtin("string", "from: any", run=True)
def _string(run: Run, value: Value) -> Value:
    run.charge_whole(value)
    return feel_text(value, top=True)


@_builtin("duration", "from: string")
def _duration_of_text(text: str) -> Value:
    return parse_duration(text)


@_builtin("duration", "from: any")
def _duration(value: Value) -> Value:
    return value if type(value) in (DaysTime, YearsMonths) else None


@_builtin("years and months duration", "from: day, to: day")
def _years_and_months_between(start: Value, end: Value) -> Value:
    if type(start) is not type(end):
        if type(start) is Date:
            start = DateTime(start, Time(0, end.zone))
        else:
            end = DateTime(end, Time(0, start.zone))
    first, last = _day(start), _day(end)
    if type(start) is Date:
        first_rest, last_rest = (first.day, 0), (last.day, 0)
    else:
        first_rest, last_rest = (first.day, start.time.ns), (last.day, end.time.ns)
    months = (last.year - first.year) * 12 + last.month - first.month
    if months > 0 and last_rest < first_rest:
        months -= 1
    elif months < 0 and last_rest > first_rest:
        months += 1
    return YearsMonths(months)


# ---------------------------------------------------------------------------------------------------------------- boolean
@_builtin("not", "negand: any~")
def _not(value: Value) -> Value:
    return not value if type(value) is bool else None


@_builtin("is", "value1: any?~, value2: any?~", run=True)
def _is(run: Run, a: Value, b: Value) -> Value:
    """Sameness: unlike ``=``, the zone and the fraction of a second count."""
    run.charge_whole(a)
    if type(a) is not type(b):
        return False
    if type(a) is Time:
        return (a.ns, a.zone) == (b.ns, b.zone)
    if type(a) is DateTime:
        return (a.date, a.time.ns, a.zone) == (b.date, b.time.ns, b.zone)
    return equal(a, b) is True


# ----------------------------------------------------------------------------------------------------------------- string
@_builtin("substring", "string: string, start position: number, length: number?")
def _substring(text: str, position: Decimal, length: Decimal | None) -> Value:
    start = _index(position, len(text))
    if start is None or (length is not None and length < 1):
        return None
    return text[start:] if length is None else text[start : start + int(min(length, Decimal(len(text))))]


@_builtin("string length", "string: string")
def _string_length(text: str) -> Value:
    return Decimal(len(text))


@_builtin("upper case", "string: string")
def _upper_case(text: str) -> Value:
    return text.upper()


@_builtin("lower case", "string: string")
def _lower_case(text: str) -> Value:
    return text.lower()


@_builtin("substring before", "string: string, match: string")
def _substring_before(text: str, match: str) -> Value:
    at = text.find(match)
    return text[:at] if at >= 0 else ""


@_builtin("substring after", "string: string, match: string")
def _substring_after(text: str, match: str) -> Value:
    at = text.find(match)
    return text[at + len(match) :] if at >= 0 else ""


@_builtin("contains", "string: string, match: string")
def _contains(text: str, match: str) -> Value:
    return match in text


@_builtin("starts with", "string: string, match: string")
def _starts_with(text: str, match: str) -> Value:
    return text.startswith(match)


@_builtin("ends with", "string: string, match: string")
def _ends_with(text: str, match: str) -> Value:
    return text.endswith(match)


@_builtin("matches", "input: string, pattern: string, flags: string?~", run=True)
def _matches(run: Run, text: str, pattern: str, flags: str | None) -> Value:
    return patterns.matches(run, text, pattern, flags or "")


@_builtin("replace", "input: string, pattern: string, replacement: string, flags: string?~", run=True)
def _replace(run: Run, text: str, pattern: str, replacement: str, flags: str | None) -> Value:
    return patterns.replace(run, text, pattern, replacement, flags or "")


@_builtin("split", "string: string, delimiter: string", run=True)
def _split(run: Run, text: str, delimiter: str) -> Value:
    return patterns.split(run, text, delimiter)


@_builtin("string join", "list: list, delimiter: string?~", run=True)
def _string_join(run: Run, parts: list[Value], delimiter: str | None) -> Value:
    if any(part is not None and type(part) is not str for part in parts):
        return None
    between = delimiter or ""
    texts = [part for part in parts if part is not None]
    run.step((sum(map(len, texts)) + len(between) * len(texts)) >> 6)
    return between.join(texts)


# ------------------------------------------------------------------------------------------------------------------- list
def _all_of(values: list[Value], kind: type = Decimal) -> bool:
    return all(type(value) is kind for value in values)


@_builtin("list contains", "list: list, element: any~", run=True)
def _list_contains(run: Run, values: list[Value], element: Value) -> Value:
    return bool(_index_of(run, values, element))


@_builtin("index of", "list: list, match: any~", run=True)
def _index_of(run: Run, values: list[Value], element: Value) -> Value:
    if type(element) in (list, dict):
        run.charge_whole(values)
    return [Decimal(place) for place, value in enumerate(values, 1) if equal(value, element) is True]


@_builtin("count", "list: list")
def _count(values: list[Value]) -> Value:
    return Decimal(len(values))


def _extreme(sign: int) -> Callable[[list[Value]], Value]:
    def extreme(values: list[Value]) -> Value:
        if not values or order(values[0], values[0]) is None:
            return None
        best = values[0]
        for value in values[1:]:
            if _compare(value, best) * sign > 0:
                best = value
        return best

    return extreme


_builtin("min", "list: list", variadic=True)(_extreme(-1))
_builtin("max", "list: list", variadic=True)(_extreme(1))


@_builtin("sum", "list: list", variadic=True)
def total(values: list[Value]) -> Value:
    """Return the sum of numbers or of durations of one kind; None of nothing."""
    if not values:
        return None
    if _all_of(values):
        result = Decimal(0)
        for value in values:
            result = NUMBER.add(result, value)
        return result
    if _all_of(values, DaysTime):
        return DaysTime(sum(value.ns for value in values))
    if _all_of(values, YearsMonths):
        return YearsMonths(sum(value.months for value in values))
    return None


@_builtin("product", "list: list", variadic=True)
def _product(values: list[Value]) -> Value:
    if not values or not _all_of(values):
        return None
    result = Decimal(1)
    for value in values:
        result = NUMBER.multiply(result, value)
    return result


@_builtin("mean", "list: list", variadic=True)
def _mean(values: list[Value]) -> Value:
    return NUMBER.divide(total(values), Decimal(len(values))) if values and _all_of(values) else None


@_builtin("median", "list: list", variadic=True)
def _median(values: list[Value]) -> Value:
    if not values or not _all_of(values):
        return None
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return NUMBER.divide(NUMBER.add(ordered[middle - 1], ordered[middle]), Decimal(2))


@_builtin("stddev", "list: list", variadic=True)
def _stddev(values: list[Value]) -> Value:
    if len(values) < 2 or not _all_of(values):
        return None
    mean, squares = _mean(values), Decimal(0)
    for value in values:
        squares = WIDE.add(squares, WIDE.power(WIDE.subtract(value, mean), 2))
    return NUMBER.sqrt(WIDE.divide(squares, Decimal(len(values) - 1)))


@_builtin("mode", "list: list", variadic=True)
def _mode(values: list[Value]) -> Value:
    if not _all_of(values):
        return None
    counts: dict[Decimal, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    most = max(counts.values(), default=0)
    return sorted(value for value, count in counts.items() if count == most)


@_builtin("all", "list: list", variadic=True)
def _all(values: list[Value]) -> Value:
    if any(value is False for value in values):
        return False
    return True if all(value is True for value in values) else None


@_builtin("any", "list: list", variadic=True)
def _any(values: list[Value]) -> Value:
    if any(value is True for value in values):
        return True
    return False if all(value is False for value in values) else None


@_builtin("sublist", "list: list, start position: number, length: number?")
def _sublist(values: list[Value], position: Decimal, length: Decimal | None) -> Value:
    start = _index(position, len(values))
    if start is None:
        return None
    if length is None:
        return values[start:]
    if length < 1 or start + length.to_integral_value(ROUND_DOWN) > len(values):
        return None
    return values[start : start + int(length)]


class _Joiner(Builtin):
    """append, concatenate and union: any number of arguments, each a list or a lone value."""

    __slots__ = ("function", "has_head")

    def __init__(self, name: str, has_head: bool, function: Callable[[Run, list[Value]], Value]) -> None:
        super().__init__(name)
        self.has_head, self.function = has_head, function
        self.overloads = [_Overload("list: list, item: any~" if has_head else "list: list", self._apply, not has_head, True)]

    def _apply(self, run: Run, *arguments: Value) -> Value:
        return self.function(run, list(arguments))

    def call(self, arguments: list[Value], names: list[str] | None, run: Run) -> Value:
        if names is not None:
            if self.has_head and set(names) == {"list", "item"} and len(names) == 2:
                arguments = [arguments[names.index("list")], arguments[names.index("item")]]
            elif not self.has_head and names == ["list"]:
                arguments = arguments[0] if type(arguments[0]) is list else arguments
            else:
                self._note(run, arguments, "does not take", "不接受参数:", types=True)
                return None
        for argument in arguments:
            run.charge(argument)
        answer = self.function(run, arguments) if arguments else None
        if answer is None:
            self._note(run, arguments, "does not take", "不接受参数:", types=True)
        else:
            run.charge(answer)
        return answer


def _as_list(value: Value) -> list[Value]:
    return value if type(value) is list else [value]


def _append(run: Run, arguments: list[Value]) -> Value:
    return None if arguments[0] is None else _as_list(arguments[0]) + arguments[1:]


def _concatenate(run: Run, arguments: list[Value]) -> Value:
    return None if None in arguments else [value for part in arguments for value in _as_list(part)]


def _union(run: Run, arguments: list[Value]) -> Value:
    joined = _concatenate(run, arguments)
    return None if joined is None else _distinct_values(run, joined)


for _name, _has_head, _joins in (("append", True, _append), ("concatenate", False, _concatenate), ("union", False, _union)):
    BUILTINS[_name] = _Joiner(_name, _has_head, _joins)


@_builtin("distinct values", "list: list", run=True)
def _distinct_values(run: Run, values: list[Value]) -> Value:
    run.charge_whole(values)
    found: list[Value] = []
    plain: set[tuple[type, Value]] = set()
    others: dict[type, list[Value]] = {}  # values of different types are never equal
    for value in values:
        kind = type(value)
        run.step()
        if kind in _HASHABLE:
            if (kind, value) not in plain:
                plain.add((kind, value))
                found.append(value)
            continue
        alike = others.setdefault(kind, [])
        run.step(len(alike))
        if not any(equal(value, other) is True for other in alike):
            alike.append(value)
            found.append(value)
    return found


#: Types of which Python's equality is FEEL's.
_HASHABLE = frozenset({Decimal, str, bool, type(None)})


@_builtin("insert before", "list: list, position: number, newItem: any~")
def _insert_before(values: list[Value], position: Decimal, item: Value) -> Value:
    at = _index(position, len(values))
    return None if at is None else [*values[:at], item, *values[at:]]


@_builtin("remove", "list: list, position: number")
def _remove(values: list[Value], position: Decimal) -> Value:
    at = _index(position, len(values))
    return None if at is None else values[:at] + values[at + 1 :]


@_builtin("list replace", "list: list, position: number, newItem: any~")
def _list_replace(values: list[Value], position: Decimal, item: Value) -> Value:
    at = _index(position, len(values))
    return None if at is None else [*values[:at], item, *values[at + 1 :]]


@_builtin("list replace", "list: list, match: function, newItem: any~", run=True)
def _list_replace_matching(run: Run, values: list[Value], match: Value, item: Value) -> Value:
    from engine.feel.compiler import invoke

    if len(match.params) != 2:
        return None
    replaced = []
    for value in values:
        is_match = invoke(match, [value, item], None, run)
        if type(is_match) is not bool:
            return None
        replaced.append(item if is_match else value)
    return replaced


@_builtin("reverse", "list: list")
def _reverse(values: list[Value]) -> Value:
    return values[::-1]


@_builtin("flatten", "list: list", run=True)
def _flatten(run: Run, values: list[Value]) -> Value:
    run.charge_whole(values)
    return _flat(values)


def _flat(values: list[Value]) -> list[Value]:
    found: list[Value] = []
    for value in values:
        if type(value) is list:
            found.extend(_flat(value))
        else:
            found.append(value)
    return found


@_builtin("sort", "list: list, precedes: function?~", run=True)
def _sort(run: Run, values: list[Value], precedes: Value) -> Value:
    from engine.feel.compiler import invoke

    if precedes is None:
        run.step(len(values))
        return sorted(values, key=cmp_to_key(_compare))
    if len(precedes.params) != 2:
        return None

    def compare(a: Value, b: Value) -> int:
        first = invoke(precedes, [a, b], None, run)
        if type(first) is not bool:
            raise ValueError("`precedes` gave no boolean")
        if first:
            return -1
        return 1 if invoke(precedes, [b, a], None, run) is True else 0

    return sorted(values, key=cmp_to_key(compare))


# ----------------------------------------------------------------------------------------------------------------- number
def _rounding(mode: str) -> Callable[..., Value]:
    def rounded(number: Decimal, scale: Decimal | None = None) -> Value:
        digits = int(scale) if scale is not None and abs(scale) < 10_000 else 0 if scale is None else 10_000
        if not -6111 <= digits <= 6176:
            return None
        exponent = number.as_tuple().exponent
        if digits >= 0 and isinstance(exponent, int) and exponent >= -digits:
            return number
        return NUMBER.plus(number.quantize(Decimal(1).scaleb(-digits), rounding=mode, context=WIDE))

    return rounded


for _name, _mode_of_rounding in (
    ("decimal", ROUND_HALF_EVEN), ("round up", ROUND_UP), ("round down", ROUND_DOWN), ("round half up", ROUND_HALF_UP),
    ("round half down", ROUND_HALF_DOWN),
):  # fmt: skip
    _builtin(_name, "n: number, scale: number")(_rounding(_mode_of_rounding))
_builtin("floor", "n: number, scale: number?")(_rounding(ROUND_FLOOR))
_builtin("ceiling", "n: number, scale: number?")(_rounding(ROUND_CEILING))


@_builtin("abs", "n: any")
def _abs(value: Value) -> Value:
    if type(value) is list and len(value) == 1:
        value = value[0]
    if type(value) is DaysTime:
        return DaysTime(abs(value.ns))
    if type(value) is YearsMonths:
        return YearsMonths(abs(value.months))
    return abs(value) if type(value) is Decimal else None


@_builtin("modulo", "dividend: number, divisor: number")
def _modulo(dividend: Decimal, divisor: Decimal) -> Value:
    if not divisor:
        return None
    quotient = WIDE.divide(dividend, divisor).to_integral_value(rounding=ROUND_FLOOR, context=WIDE)
    return NUMBER.plus(WIDE.subtract(dividend, WIDE.multiply(divisor, quotient)))


@_builtin("sqrt", "number: number")
def _sqrt(number: Decimal) -> Value:
    return NUMBER.sqrt(number) if number >= 0 else None


@_builtin("log", "number: number", run=True)
def _log(run: Run, number: Decimal) -> Value:
    run.step(10)
    return NUMBER.ln(number) if number > 0 else None


@_builtin("exp", "number: number")
def _exp(number: Decimal) -> Value:
    return NUMBER.exp(number)


@_builtin("odd", "number: number")
def _odd(number: Decimal) -> Value:
    whole = _whole(number)
    return None if whole is None else whole % 2 == 1


@_builtin("even", "number: number")
def _even(number: Decimal) -> Value:
    whole = _whole(number)
    return None if whole is None else whole % 2 == 0


# ---------------------------------------------------------------------------------------------------------- date and time
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def _day(value: Date | DateTime) -> Date:
    return value if isinstance(value, Date) else value.date


@_builtin("day of year", "date: day")
def _day_of_year(value: Date | DateTime) -> Value:
    day = _day(value)
    return Decimal(day.ordinal - Date(day.year, 1, 1).ordinal + 1)


@_builtin("day of week", "date: day")
def _day_of_week(value: Date | DateTime) -> Value:
    return _WEEKDAYS[_day(value).weekday - 1]


@_builtin("month of year", "date: day")
def _month_of_year(value: Date | DateTime) -> Value:
    return _MONTHS[_day(value).month - 1]


@_builtin("week of year", "date: day")
def _week_of_year(value: Date | DateTime) -> Value:
    day = _day(value)
    thursday = day.plus_days(4 - day.weekday)  # ISO 8601: it decides which year the week belongs to
    return Decimal((thursday.ordinal - Date(thursday.year, 1, 1).ordinal) // 7 + 1)


@_builtin("now", "", run=True)
def _now(run: Run) -> Value:
    at = from_datetime(run.house_time())
    offset = at.offset()
    return DateTime(at.date, Time(at.time.ns, offset))


@_builtin("today", "", run=True)
def _today(run: Run) -> Value:
    return from_datetime(run.house_time()).date


# ----------------------------------------------------------------------------------------------------------- working days
_Day = TypeVar("_Day")


def _python_day(day: Date) -> datetime.date:
    """Raises: ValueError: years that no calendar has."""
    return datetime.date(day.year, day.month, day.day)


def _of_calendar(run: Run, ask: Callable[[WorkingDays], _Day]) -> _Day:
    """Return what the calendar says.

    Raises:
        FeelLimit: there is none, or it does not go so far: null would be taken for a date that is not known yet, and nobody told.
    """
    if run.calendar is None:
        raise FeelLimit("no calendar of working days is at hand here", "此处没有工作日历")
    try:
        return ask(run.calendar)
    except EngineError as error:
        raise FeelLimit(error.text("en"), error.text("zh")) from error


def _house_day(run: Run, value: Date | DateTime) -> Date:
    """Return the day that the house's clock shows at a moment; of one without a zone, its own."""
    if isinstance(value, Date) or value.zone is None:
        return _day(value)
    at = to_python(value)
    assert isinstance(at, datetime.datetime)
    return from_datetime(at.astimezone(ZoneInfo(run.zone))).date


@_builtin("is working day", "date: day", run=True)
def _is_working_day(run: Run, value: Date | DateTime) -> Value:
    day = _python_day(_house_day(run, value))
    return _of_calendar(run, lambda calendar: calendar.is_working_day(day))


@_builtin("add working days", "from: day, days: number", run=True)
def _add_working_days(run: Run, value: Date | DateTime, days: Decimal) -> Value:
    """The same time of day so many working days later, or earlier; the day itself does not count."""
    count = _whole(days)
    if count is None:
        return None
    run.step(abs(count))
    start = _house_day(run, value)
    day = _python_day(start)
    found = _of_calendar(run, lambda calendar: calendar.day_after(day, count))
    moved = Date(found.year, found.month, found.day)
    if isinstance(value, Date):
        return moved
    # moved by whole days, it keeps the zone in which it was given
    return DateTime(Date.of_ordinal(value.date.ordinal + moved.ordinal - start.ordinal), value.time)


# ---------------------------------------------------------------------------------------------------------------- context
@_builtin("get value", "m: context, key: string")
@_builtin("get value", "context: context, key: string")
def _get_value(context: dict[str, Value], key: str) -> Value:
    return context.get(key)


@_builtin("get entries", "m: context")
@_builtin("get entries", "context: context")
def _get_entries(context: dict[str, Value]) -> Value:
    return [{"key": key, "value": value} for key, value in context.items()]


@_builtin("context", "entries: list")
def _context(entries: list[Value]) -> Value:
    built: dict[str, Value] = {}
    for entry in entries:
        if type(entry) is not dict or not entry.keys() >= {"key", "value"}:
            return None
        if type(entry["key"]) is not str or entry["key"] in built:
            return None
        built[entry["key"]] = entry["value"]
    return built


@_builtin("context put", "context: context, key: string, value: any~")
def _context_put(context: dict[str, Value], key: str, value: Value) -> Value:
    return {**context, key: value}


@_builtin("context put", "context: context, keys: list, value: any~")
def _context_put_deep(context: dict[str, Value], keys: list[Value], value: Value) -> Value:
    if not keys or type(keys[0]) is not str:
        return None
    if len(keys) == 1:
        return {**context, keys[0]: value}
    inner = context.get(keys[0])
    changed = _context_put_deep(inner, keys[1:], value) if type(inner) is dict else None
    return None if changed is None else {**context, keys[0]: changed}


@_builtin("context merge", "contexts: list")
def _context_merge(contexts: list[Value]) -> Value:
    if not _all_of(contexts, dict):
        return None
    merged: dict[str, Value] = {}
    for context in contexts:
        merged.update(context)
    return merged


# ----------------------------------------------------------------------------------------------------------------- ranges
def _compare(a: Value, b: Value) -> int:
    place = order(a, b)
    if place is None:
        raise ValueError("not comparable")
    return place


def _compare_starts(a: Range, b: Range) -> int:
    place = _compare(a.start, b.start)
    return place if place or a.start_included == b.start_included else (-1 if a.start_included else 1)


def _compare_ends(a: Range, b: Range) -> int:
    place = _compare(a.end, b.end)
    return place if place or a.end_included == b.end_included else (1 if a.end_included else -1)


def _before(a: Value, b: Value) -> bool:
    if isinstance(a, Range):
        other, included = (b.start, b.start_included) if isinstance(b, Range) else (b, True)
        place = _compare(a.end, other)
        return place < 0 or (place == 0 and not (a.end_included and included))
    if isinstance(b, Range):
        place = _compare(a, b.start)
        return place < 0 or (place == 0 and not b.start_included)
    return _compare(a, b) < 0


def _meets(a: Value, b: Value) -> bool:
    return a.end_included and b.start_included and _compare(a.end, b.start) == 0


def _overlaps(a: Value, b: Value) -> bool:
    return not _before(a, b) and not _before(b, a)


def _overlaps_before(a: Value, b: Value) -> bool:
    return _compare_starts(a, b) < 0 and _overlaps(a, b) and _compare_ends(a, b) <= 0


def _overlaps_after(a: Value, b: Value) -> bool:
    return _compare_starts(b, a) <= 0 and _overlaps(a, b) and _compare_ends(a, b) > 0


def _finishes(a: Value, b: Range) -> bool:
    if not isinstance(a, Range):
        return b.end_included and _compare(a, b.end) == 0
    return _compare_ends(a, b) == 0 and _compare_starts(a, b) >= 0


def _starts(a: Value, b: Range) -> bool:
    if not isinstance(a, Range):
        return b.start_included and _compare(a, b.start) == 0
    return _compare_starts(a, b) == 0 and _compare_ends(a, b) <= 0


def _includes(a: Range, b: Value) -> bool | None:
    if not isinstance(b, Range):
        return contains(a, b)
    return _compare_starts(a, b) <= 0 and _compare_ends(a, b) >= 0


def _coincides(a: Value, b: Value) -> bool:
    if isinstance(a, Range):
        return _compare_starts(a, b) == 0 and _compare_ends(a, b) == 0
    return _compare(a, b) == 0


def _relation(name: str, function: Callable[[Any, Any], Value], *forms: str) -> None:
    """Register a relation of points and ranges. A form is ``"point range"``: what each of the two must be."""
    for form in forms:
        kinds = form.split()
        names = [kind + str(place) for place, kind in enumerate(kinds, 1)] if kinds[0] == kinds[1] else kinds

        def related(a: Value, b: Value, kinds: list[str] = kinds) -> Value:
            fits = [isinstance(value, Range) == (kind == "range") for value, kind in zip((a, b), kinds, strict=True)]
            return function(a, b) if all(fits) else NotImplemented

        BUILTINS.setdefault(name, _Relation(name)).overloads.append(
            _Overload(f"{names[0]}: any, {names[1]}: any", related, False, False)
        )


class _Relation(Builtin):
    """Tries its signatures in turn: which one is meant depends on which argument is a range."""

    __slots__ = ()

    def call(self, arguments: list[Value], names: list[str] | None, run: Run) -> Value:
        for overload in self.overloads:
            bound = overload.bind(arguments, names)
            if bound is None:
                continue
            try:
                answer = overload.function(*bound)
            except ValueError:
                answer = None
            if answer is not NotImplemented:
                if answer is None:
                    self._note(run, arguments, "has no value for", "对以下参数没有值:")
                return answer
        self._note(run, arguments, "does not take", "不接受参数:", types=True)
        return None


def _swapped(function: Callable[[Any, Any], Value]) -> Callable[[Any, Any], Value]:
    return lambda a, b: function(b, a)


_ANY_PAIR = ("point point", "point range", "range point", "range range")
_relation("before", _before, *_ANY_PAIR)
_relation("after", _swapped(_before), *_ANY_PAIR)
_relation("meets", _meets, "range range")
_relation("met by", _swapped(_meets), "range range")
_relation("overlaps", _overlaps, "range range")
_relation("overlaps before", _overlaps_before, "range range")
_relation("overlaps after", _overlaps_after, "range range")
_relation("finishes", _finishes, "point range", "range range")
_relation("finished by", _swapped(_finishes), "range point", "range range")
_relation("includes", _includes, "range point", "range range")
_relation("during", _swapped(_includes), "point range", "range range")
_relation("starts", _starts, "point range", "range range")
_relation("started by", _swapped(_starts), "range point", "range range")
_relation("coincides", _coincides, "point point", "range range")


#: A range that is open where it has no end: ``(..5]``, ``[2..)`` (DMN 1.5, table of conversion functions).
_ENDLESS = re.compile(r"\s*(?:(?P<no_start>[(\]]\s*)(?=\.\.)|[(\[\]]).*?(?:(?<=\.\.)(?P<no_end>\s*[)\[])|[)\]\[])\s*", re.S)


@_builtin("range", "from: string", run=True)
def _range(run: Run, text: str) -> Value:
    """A range of literals, or of date and time functions of literals; ``[2..)`` is ``>= 2``, ``(..2)`` is ``< 2``."""
    from engine.feel.compiler import compile_text
    from engine.feel.parser import parse_expression

    endless = _ENDLESS.fullmatch(text)
    has_start = has_end = True
    if endless is not None:
        has_start, has_end = endless["no_start"] is None, endless["no_end"] is None
        if not has_start:
            text = "(null" + text[endless.end("no_start"):]
        elif not has_end:
            text = text[: endless.start("no_end")] + "null)"
    try:
        tree = parse_expression(text)
    except FeelSyntaxError:
        return None
    if isinstance(tree, Interval) and (_is_simple(tree.low) or not has_start) and (_is_simple(tree.high) or not has_end):
        value = compile_text(text).closure({None: Run(run.now)})  # literals only; the reason for a null is told once, by `call`
        if type(value) is not Range or (has_start and has_end):
            return value
        return Range(value.start_included, value.start, value.end, value.end_included, is_test=True)
    if isinstance(tree, UnaryTest) and tree.operator != "!=" and _is_simple(tree.operand):
        return compile_text(text).closure({None: run})
    return None


def _is_simple(node: Node) -> bool:
    if isinstance(node, Literal):
        return node.value is not None
    if isinstance(node, Negation):
        return _is_simple(node.operand)
    return (
        isinstance(node, Call)
        and isinstance(node.function, Name)
        and node.function.name in ("date", "time", "date and time", "duration")
        and all(map(_is_simple, node.arguments))
    )


#: The names that the parser must know, as they are no plain words.
NAMES_OF_WORDS = frozenset(name for name in BUILTINS if " " in name)
