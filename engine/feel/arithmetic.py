"""FEEL's operators on numbers, texts, dates and durations, and the properties that follow a dot."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.feel.run import MAX_SIZE, Value
from engine.feel.temporal import DAY_NS, NS, Date, DateTime, DaysTime, Time, YearsMonths
from engine.feel.values import NUMBER, WIDE, EqualityTest, Range

_MAX_DIGITS: Final = 40


def add(a: Value, b: Value) -> Value:
    """Return ``a + b``, None when the types do not fit.

    Raises:
        ArithmeticError, ValueError: the result cannot be said.
    """
    left, right = type(a), type(b)
    if left is Decimal:
        return NUMBER.add(a, b) if right is Decimal else None
    if left is str:
        return a + b if right is str and len(a) + len(b) <= MAX_SIZE else None
    if right in (Date, DateTime, Time) and left in (DaysTime, YearsMonths):
        a, b, left, right = b, a, right, left
    if left is Date:
        if right is YearsMonths:
            return a.plus_months(b.months)
        if right is DaysTime:
            return DateTime(a, Time(0)).plus_ns(b.ns).date
    elif left is DateTime:
        if right is YearsMonths:
            return a.plus_months(b.months)
        if right is DaysTime:
            return a.plus_ns(b.ns)
    elif left is Time and right is DaysTime:
        return Time((a.ns + b.ns) % DAY_NS, a.zone)
    elif left is DaysTime and right is DaysTime:
        return DaysTime(a.ns + b.ns)
    elif left is YearsMonths and right is YearsMonths:
        return YearsMonths(a.months + b.months)
    return None


def subtract(a: Value, b: Value) -> Value:
    left, right = type(a), type(b)
    if left is Decimal:
        return NUMBER.subtract(a, b) if right is Decimal else None
    if left in (Date, DateTime) and right in (Date, DateTime):
        zone = None if left is right else 0  # a date beside a date and time is midnight UTC
        a = DateTime(a, Time(0, zone)) if left is Date else a
        b = DateTime(b, Time(0, zone)) if right is Date else b
    if (left in (Date, DateTime) and right in (Date, DateTime)) or (left is Time and right is Time):
        return DaysTime(a.instant() - b.instant()) if (a.zone is None) == (b.zone is None) else None
    if right is DaysTime:
        return add(a, DaysTime(-b.ns)) if left is not YearsMonths else None
    if right is YearsMonths:
        return add(a, YearsMonths(-b.months)) if left is not DaysTime else None
    return None


def _whole(number: Decimal) -> int:
    if number.adjusted() > _MAX_DIGITS:
        raise OverflowError
    return int(number)


def multiply(a: Value, b: Value) -> Value:
    left, right = type(a), type(b)
    if left is Decimal and right is Decimal:
        return NUMBER.multiply(a, b)
    if right in (DaysTime, YearsMonths):
        a, b, left, right = b, a, right, left
    if right is Decimal:
        if left is DaysTime:
            return DaysTime(_whole(WIDE.multiply(Decimal(a.ns), b)))
        if left is YearsMonths:
            return YearsMonths(_whole(WIDE.multiply(Decimal(a.months), b)))
    return None


def divide(a: Value, b: Value) -> Value:
    """Return ``a / b``.

    Raises:
        ZeroDivisionError: `b` is nothing.
    """
    left, right = type(a), type(b)
    if left is Decimal and right is Decimal:
        return NUMBER.divide(a, _divisor(b))
    if left is DaysTime:
        if right is Decimal:
            return DaysTime(_whole(WIDE.divide(Decimal(a.ns), _divisor(b))))
        if right is DaysTime:
            return NUMBER.divide(Decimal(a.ns), _divisor(Decimal(b.ns)))
    if left is YearsMonths:
        if right is Decimal:
            return YearsMonths(_whole(WIDE.divide(Decimal(a.months), _divisor(b))))
        if right is YearsMonths:
            return NUMBER.divide(Decimal(a.months), _divisor(Decimal(b.months)))
    return None


def _divisor(number: Decimal) -> Decimal:
    if not number:
        raise ZeroDivisionError
    return number


def power(a: Value, b: Value) -> Value:
    if type(a) is not Decimal or type(b) is not Decimal:
        return None
    if not a and b < 0:
        raise ZeroDivisionError  # decimal would say Infinity
    return NUMBER.power(a, b) if a or b else Decimal(1)


def negate(a: Value) -> Value:
    if type(a) is Decimal:
        return NUMBER.minus(a)
    if type(a) is DaysTime:
        return DaysTime(-a.ns)
    if type(a) is YearsMonths:
        return YearsMonths(-a.months)
    return None


OPERATORS: Final = {"+": add, "-": subtract, "*": multiply, "/": divide, "**": power}


#: The properties of each type.
PROPERTIES: Final[dict[type, tuple[str, ...]]] = {
    Date: ("year", "month", "day", "weekday"),
    Time: ("hour", "minute", "second", "time offset", "timezone"),
    DateTime: ("year", "month", "day", "weekday", "hour", "minute", "second", "time offset", "timezone"),
    DaysTime: ("days", "hours", "minutes", "seconds"),
    YearsMonths: ("years", "months"),
    Range: ("start", "end", "start included", "end included"),
}


def property_of(value: Value, name: str) -> Value:
    """Return the property, None when it is absent (no time zone).

    Raises:
        KeyError: the type has no such property.
    """
    kind = type(value)
    if kind is EqualityTest and value.operator == "=":
        value, kind = Range(True, value.value, value.value, True), Range
    if name not in PROPERTIES.get(kind, ()):
        raise KeyError(name)
    if kind is DateTime:
        if name == "time offset":
            return None if value.zone is None else DaysTime(value.offset() * NS)
        kind = Date if name in PROPERTIES[Date] else Time
        value = value.date if kind is Date else value.time
    if kind is Date:
        return Decimal(getattr(value, name))
    if kind is Time:
        if name == "time offset":
            return None if value.zone is None else DaysTime(value.offset() * NS)
        if name == "timezone":
            return value.zone if isinstance(value.zone, str) else None
        return Decimal(getattr(value, name))
    if kind is DaysTime:
        return value.part(name)
    if kind is YearsMonths:
        sign = -1 if value.months < 0 else 1
        return Decimal(sign * (abs(value.months) // 12 if name == "years" else abs(value.months) % 12))
    if name == "start":
        return value.start
    if name == "end":
        return value.end
    if name == "start included":
        return bool(value.start_included) if value.start is not None else False
    return bool(value.end_included) if value.end is not None else False
