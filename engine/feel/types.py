"""FEEL types: does a value conform, and the implicit conversions of the standard.

A type is ``'number'`` …, ``('list', t)``, ``('range', t)``, ``('context', {name: t})``, ``('function', [t], t)``, an
`ItemType`, or the name of one that `Run.resolve` finds.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.feel.run import Run, Value
from engine.feel.temporal import Date, DateTime, DaysTime, Time, YearsMonths
from engine.feel.values import Function, Range

if TYPE_CHECKING:
    from engine.feel.compiler import CompiledTests

Type = Any

_BASE: dict[str, type] = {
    "number": Decimal,
    "string": str,
    "boolean": bool,
    "date": Date,
    "time": Time,
    "date and time": DateTime,
    "dateTime": DateTime,
    "days and time duration": DaysTime,
    "dayTimeDuration": DaysTime,
    "day time duration": DaysTime,
    "years and months duration": YearsMonths,
    "yearMonthDuration": YearsMonths,
    "year month duration": YearsMonths,
}
#: Every type name that needs no item definition.
NAMES = frozenset(_BASE) | {"Any", "Null", "duration", "list", "context", "function", "range"}


class ItemType:
    """An item definition.

    Attributes:
        allowed: passes a single value, `allowed_list` a whole collection; None: everything.
        allowed_tests: the tests behind `allowed`, for checks.
        is_list: a collection of `base`.
    """

    __slots__ = ("allowed", "allowed_list", "allowed_tests", "base", "is_list", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.base: Type = None
        self.is_list = False
        self.allowed: Callable[[Value, Run], bool] | None = None
        self.allowed_tests: CompiledTests | None = None
        self.allowed_list: Callable[[Value, Run], bool] | None = None


def is_instance(value: Value, type_: Type, run: Run) -> bool:
    """Return what ``value instance of type`` says: the type alone, not its allowed values (TCK 0070)."""
    if type_ == "Any":
        return value is not None
    if value is None:
        return bool(type_ == "Null")
    run.charge_whole(value)
    return conforms(value, type_, run, allowed_values=False)


def conforms(value: Value, type_: Type, run: Run, *, allowed_values: bool = True) -> bool:
    """Return whether the value is of the type; null is of every type."""
    if value is None or type_ is None or type_ == "Any":
        return True
    if isinstance(type_, str):
        base = _BASE.get(type_)
        if base is not None:
            return type(value) is base
        if type_ in ("Null", "duration", "list", "context", "function", "range"):
            return {
                "Null": False,
                "duration": type(value) in (DaysTime, YearsMonths),
                "list": type(value) is list,
                "context": type(value) is dict,
                "function": is_function(value),
                "range": type(value) is Range,
            }[type_]
        found = run.resolve(type_) if run.resolve is not None else None
        return found is not None and conforms(value, found, run, allowed_values=allowed_values)
    if isinstance(type_, ItemType):
        if not type_.is_list:
            return _item_conforms(value, type_, run, allowed_values)
        if type(value) is not list or not all(_item_conforms(x, type_, run, allowed_values) for x in value):
            return False
        return not allowed_values or type_.allowed_list is None or type_.allowed_list(value, run)
    return _built_type(value, type_, run, allowed_values)


def _built_type(value: Value, type_: Type, run: Run, allowed_values: bool) -> bool:
    def fits(part: Value, of: Type) -> bool:
        return conforms(part, of, run, allowed_values=allowed_values)

    kind = type_[0]
    if kind == "list":
        return type(value) is list and all(fits(x, type_[1]) for x in value)
    if kind == "context":
        return type(value) is dict and all(n in value and fits(value[n], t) for n, t in type_[1].items())
    if kind == "range":
        return type(value) is Range and fits(value.start, type_[1]) and fits(value.end, type_[1])
    if not is_function(value) or len(value.params) != len(type_[1]):
        return False
    own = value.types or [None] * len(value.params)
    params_fit = all(a is None or a == b or b == "Any" for a, b in zip(own, type_[1], strict=False))
    return params_fit and (type_[2] == "Any" or value.result is None or value.result == type_[2])


def is_function(value: Value) -> bool:
    from engine.feel.builtins import Builtin

    return isinstance(value, Function | Builtin)


def _item_conforms(value: Value, type_: ItemType, run: Run, allowed_values: bool) -> bool:
    if not conforms(value, type_.base, run, allowed_values=allowed_values):
        return False
    return not allowed_values or value is None or type_.allowed is None or type_.allowed(value, run)


def _is_list_type(type_: Type, run: Run) -> bool:
    if isinstance(type_, str):
        if type_ == "list":
            return True
        type_ = run.resolve(type_) if run.resolve is not None and type_ not in NAMES else None
    if isinstance(type_, ItemType):
        return type_.is_list or _is_list_type(type_.base, run)
    return isinstance(type_, tuple) and type_[0] == "list"


def coerce(value: Value, type_: Type, run: Run) -> Value:
    """Return the value as one of the type: as it is, unwrapped from or wrapped in a list, a date as its midnight; else null."""
    if value is None or type_ is None:
        return value
    run.charge_whole(value)
    if conforms(value, type_, run):
        return value
    if type(value) is list and len(value) == 1 and not _is_list_type(type_, run):
        return coerce(value[0], type_, run)
    if type(value) is not list and _is_list_type(type_, run) and conforms([value], type_, run):
        return [value]
    if type(value) is Date and _base_name(type_, run) in ("date and time", "dateTime"):
        return DateTime(value, Time(0, 0))
    return None


def _base_name(type_: Type, run: Run) -> Type:
    for _ in range(100):
        if isinstance(type_, ItemType):
            type_ = type_.base
        elif isinstance(type_, str) and type_ not in NAMES and run.resolve is not None:
            found = run.resolve(type_)
            if found is None:
                return type_
            type_ = found
        else:
            return type_
    return None


def describe(type_: Type) -> str:
    """Return the type as a reader writes it."""
    if isinstance(type_, ItemType):
        return type_.name
    if isinstance(type_, tuple):
        return f"{type_[0]}<…>"
    return str(type_)
