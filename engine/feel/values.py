"""FEEL's values: numbers of 34 digits, ranges, functions, three-valued equality, order, text, and Python's types at the edge.

null is None, boolean bool, number Decimal, string str, list list, context dict; temporals are in `temporal`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any

from engine.feel.run import Run, Value
from engine.feel.temporal import (
    NS,
    Date,
    DateTime,
    DaysTime,
    Time,
    YearsMonths,
    from_datetime,
    from_time,
    from_timedelta,
    to_python,
)

#: FEEL's numbers: IEEE 754-2008 decimal128.
NUMBER = Context(
    prec=34, rounding=ROUND_HALF_EVEN, Emin=-6143, Emax=6144, capitals=1, traps=[InvalidOperation, DivisionByZero, Overflow]
)
#: For intermediates that need more digits than the answer.
WIDE = Context(
    prec=200, rounding=ROUND_HALF_EVEN, Emin=-99_999, Emax=99_999, traps=[InvalidOperation, DivisionByZero, Overflow]
)
#: Whole numbers of up to so many digits are handed out as int; Python refuses to print ints of 4,301.
MAX_INT_DIGITS = 300


class Range:
    """An interval; an end that is None is unbounded.

    Attributes:
        is_test: written as ``(< 5)``, where a missing end means unbounded; ``(null..5]`` contains nothing that can be known.
    """

    __slots__ = ("end", "end_included", "is_test", "start", "start_included")

    def __init__(self, start_included: bool, start: Value, end: Value, end_included: bool, *, is_test: bool = False) -> None:
        self.start_included, self.start, self.end, self.end_included = start_included, start, end, end_included
        self.is_test = is_test

    @property
    def key(self) -> tuple[Value, ...]:
        return self.start_included, self.start, self.end, self.end_included, self.is_test

    def __eq__(self, other: object) -> bool:
        return type(other) is Range and self.key == other.key

    def __hash__(self) -> int:
        return hash((self.start_included, str(self.start), str(self.end), self.end_included))

    def __repr__(self) -> str:
        return feel_text(self)


class EqualityTest:
    """A unary test that no range can say: ``= x`` and ``!= x``."""

    __slots__ = ("operator", "value")

    def __init__(self, operator: str, value: Value) -> None:
        self.operator, self.value = operator, value


class Function:
    """A function value of the expression or the model. `body` takes ``{parameter: value}``."""

    __slots__ = ("body", "name", "params", "result", "types")

    def __init__(
        self, params: list[str], types: list[Any], body: Callable[[dict[str, Value]], Value], name: str = "function",
        result: Any = None,
    ) -> None:
        self.params, self.types, self.body, self.name, self.result = params, types, body, name, result

    def __repr__(self) -> str:
        return f"<{self.name}({', '.join(self.params)})>"


# ------------------------------------------------------------------------------------------------------ equality and order
def equal(a: Value, b: Value) -> bool | None:
    """Return whether two values are equal; None when they cannot be compared."""
    if a is None or b is None:
        return a is b
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False if {kind, type(b)} == {EqualityTest, Range} else None
    if kind is list:
        return _all_equal(zip(a, b, strict=True)) if len(a) == len(b) else False
    if kind is dict:
        return _all_equal((a[k], b[k]) for k in a) if a.keys() == b.keys() else False
    if kind is Range:
        return (
            (a.start_included, a.end_included, a.is_test) == (b.start_included, b.end_included, b.is_test)
            and equal(a.start, b.start) is True
            and equal(a.end, b.end) is True
        )
    if kind is EqualityTest:
        return equal(a.value, b.value) if a.operator == b.operator else False
    if kind is Time or kind is DateTime:
        # The TCK compares times to the second (0068: time_005, datetime_003_a); order does not.
        return (a.zone is None) == (b.zone is None) and a.instant() // NS == b.instant() // NS
    return bool(a == b)


def _all_equal(pairs: Any) -> bool | None:
    answer: bool | None = True
    for x, y in pairs:
        same = equal(x, y)
        if same is False:
            return False
        if same is None:
            answer = None
    return answer


def order(a: Value, b: Value) -> int | None:
    """Return -1, 0 or 1; None when the two cannot be ordered."""
    kind = type(a)
    if kind is not type(b):
        return None
    if kind is Decimal or kind is str:
        pass
    elif kind is Date:
        a, b = a.key, b.key
    elif kind is DateTime or kind is Time:
        if (a.zone is None) != (b.zone is None):
            return None
        a, b = a.instant(), b.instant()
    elif kind is DaysTime:
        a, b = a.ns, b.ns
    elif kind is YearsMonths:
        a, b = a.months, b.months
    else:
        return None
    return int(a > b) - int(a < b)


def contains(interval: Range, value: Value) -> bool | None:
    """Return whether `value` lies in the range; None when that cannot be known."""
    if value is None or (not interval.is_test and (interval.start is None or interval.end is None)):
        return None
    if interval.start is not None:
        place = order(value, interval.start)
        if place is None:
            return None
        if place < 0 or (place == 0 and not interval.start_included):
            return False
    if interval.end is not None:
        place = order(value, interval.end)
        if place is None:
            return None
        if place > 0 or (place == 0 and not interval.end_included):
            return False
    return True


def matches_test(value: Value, test: Value) -> bool | None:
    """Return whether `value` passes one evaluated unary test: a range, ``= x``, a list of tests, or a value to equal."""
    kind = type(test)
    if kind is Range:
        return equal(value, test) if type(value) is Range else contains(test, value)
    if kind is EqualityTest:
        same = equal(value, test.value)
        return same if same is None or test.operator == "=" else not same
    if kind is list:
        if type(value) is list and equal(value, test):
            return True
        return any(matches_test(value, part) is True for part in test)
    return equal(value, test)


# -------------------------------------------------------------------------------------------------------------------- text
_PLAIN_KEY = re.compile(r"[^\W\d][\w ]*")


def number_text(value: Decimal) -> str:
    return "0" if value == 0 else format(value, "f")


def feel_text(value: Value, *, top: bool = False) -> str:
    """Return the value as FEEL writes it; at the `top` a string stands without quotes."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    kind = type(value)
    if kind is str:
        return str(value) if top else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if kind is Decimal:
        return number_text(value)
    if kind is list:
        return "[" + ", ".join(map(feel_text, value)) + "]"
    if kind is dict:
        return "{" + ", ".join(f"{_key_text(k)}: {feel_text(x)}" for k, x in value.items()) + "}"
    if kind is Range:
        if value.start is None and value.end is not None:
            return f"({'<=' if value.end_included else '<'} {feel_text(value.end)})"
        if value.end is None and value.start is not None:
            return f"({'>=' if value.start_included else '>'} {feel_text(value.start)})"
        opening, closing = "[" if value.start_included else "(", "]" if value.end_included else ")"
        return f"{opening}{feel_text(value.start)}..{feel_text(value.end)}{closing}"
    if kind is EqualityTest:
        return f"({value.operator} {feel_text(value.value)})"
    return str(value)


def _key_text(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


_TYPE_WORDS: dict[type, tuple[str, str]] = {
    type(None): ("null", "空值"),
    bool: ("boolean", "布尔值"),
    Decimal: ("number", "数字"),
    str: ("string", "文本"),
    list: ("list", "列表"),
    dict: ("context", "上下文"),
    Date: ("date", "日期"),
    Time: ("time", "时间"),
    DateTime: ("date and time", "日期时间"),
    DaysTime: ("days and time duration", "天时时长"),
    YearsMonths: ("years and months duration", "年月时长"),
    Range: ("range", "区间"),
    EqualityTest: ("range", "区间"),
}


def type_words(value: Value) -> tuple[str, str]:
    """Return the name of a value's type, English and Chinese."""
    return _TYPE_WORDS.get(type(value), ("function", "函数"))


def short_text(value: Value, length: int = 40) -> str:
    """Return the value in about `length` characters at most, for messages; quick even for huge values."""
    kind = type(value)
    if kind is str:
        return feel_text(value if len(value) <= length else value[:length] + "…")
    if kind in (list, dict) and (len(value) > 5 or length < 5):
        return f"list of {len(value)}" if kind is list else f"context of {len(value)}"
    if kind is list:
        return "[" + ", ".join(short_text(part, length // 2) for part in value) + "]"
    if kind is dict:
        entries = (f"{_key_text(key[:length])}: {short_text(part, length // 2)}" for key, part in value.items())
        return "{" + ", ".join(entries) + "}"
    if kind is Range:
        return f"{short_text(value.start, length // 2)}..{short_text(value.end, length // 2)}"
    text = feel_text(value)
    return text if len(text) <= length else text[:length] + "…"


# ------------------------------------------------------------------------------------------------------------ Python's edge
def from_float(value: float) -> Decimal:
    """Return the number that `repr` shows.

    Raises:
        ValueError: NaN or infinite.
    """
    number = Decimal(repr(value))
    if not number.is_finite():
        raise ValueError(f"{value} is no FEEL number")
    return number


def _same(value: Value) -> Value:
    return value


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError(f"{value} is no FEEL number")
    return value


def _list(value: Any) -> Value:
    return [to_feel(x) for x in value]


def _dict(value: Mapping[Any, Any]) -> Value:
    return {str(k): to_feel(x) for k, x in value.items()}


_INWARD: dict[type, Callable[[Any], Value]] = {
    **dict.fromkeys((type(None), bool, str, Date, Time, DateTime, DaysTime, YearsMonths, Range, EqualityTest, Function), _same),
    int: Decimal,
    Decimal: _finite,
    float: from_float,
    list: _list,
    tuple: _list,
    dict: _dict,
    datetime: from_datetime,
    date: lambda v: Date(v.year, v.month, v.day),
    time: from_time,
    timedelta: from_timedelta,
}
_INWARD_BASES = (bool, int, float, Decimal, datetime, date, time, timedelta, list, tuple)


def to_feel(value: Any) -> Value:
    """Return the FEEL value of a Python value, deep.

    Raises:
        TypeError: FEEL has no such value.
        ValueError: NaN, infinity, or a zone that has no offset.
    """
    convert = _INWARD.get(type(value))
    if convert is not None:
        return convert(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return _dict(value)
    for base in _INWARD_BASES:
        if isinstance(value, base):
            return _INWARD[base](value)
    if hasattr(value, "overloads"):  # a built-in function that is handed on as a value
        return value
    raise TypeError(f"FEEL has no value for {type(value).__name__}")


def to_native(value: Value, run: Run) -> Any:
    """Return the Python value of a FEEL value, deep: int when whole, standard library temporals.

    What Python cannot say (a year past 9999) becomes None with a reason. Ranges and functions stay as they are.
    """
    kind = type(value)
    if kind is Decimal:
        if value == value.to_integral_value() and value.adjusted() < MAX_INT_DIGITS:
            return int(value)
        return value
    if kind is list:
        return [to_native(x, run) for x in value]
    if kind is dict:
        return {k: to_native(x, run) for k, x in value.items()}
    if kind in (Date, Time, DateTime, DaysTime):
        try:
            return to_python(value)
        except (ValueError, OverflowError):
            run.note(f"{value} lies outside the years 1 to 9999", f"{value} 超出公元 1 年至 9999 年的范围")
            return None
    return value
