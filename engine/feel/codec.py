"""Canonical JSON of values: one value, one text, byte for byte; nothing is lost.

| value | JSON |
|---|---|
| None, bool, str, list, dict | as they are; keys sorted by code point, no blanks, UTF-8 |
| int from -2**63 to 2**64 - 1 | a number |
| other numbers | ``{"#": "12.5"}``: no trailing zeros; a whole number beyond 64 bits in scientific form |
| date, time, datetime, timedelta, YearsMonths | ``{"@": "2026-12-01T09:30:00+08:00"}``, ``{"@": "P3DT2H"}``, as in FEEL |
| a dict whose only key is ``#``, ``@`` or ``=`` | ``{"=": {...}}`` around it, so that it is no tag |

A float becomes the Decimal that `repr` shows (2.0 becomes 2); NaN and the infinities are refused, as are ranges, functions and
whatever else FEEL's data does not have. Offsets and zone names are part of a date and time: two that are the same instant in
different zones are two texts. Numbers that are equal are one text, whatever their type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from engine.feel.temporal import (
    YearsMonths,
    from_datetime,
    from_time,
    from_timedelta,
    parse_temporal,
    to_python,
)
from engine.feel.values import MAX_INT_DIGITS, from_float

#: Types whose values are written and read as they are.
PLAIN: Final = frozenset([type(None), bool, int, str])
_MAY_HOLD_INTS: Final = frozenset([int, dict, list])
_MAX_NUMBER_DIGITS: Final = 4000
_EXACT = Context(prec=_MAX_NUMBER_DIGITS, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999)
#: An offset beside a zone's name: the second of the two times that a clock shows when it is set back.
_FOLDED = re.compile(r"(.*)([+-]\d\d:\d\d(?::\d\d)?|Z)(@.+)")


class NotEncodable(TypeError):
    """The value is none of FEEL's data, or no text can say it."""


def dump(value: Any) -> bytes:
    """Return the canonical bytes.

    Raises:
        NotEncodable: a type that is not in the table, NaN, a key that is no str, half a surrogate pair, too deep a nesting.
    """
    try:
        document = value if type(value) in PLAIN else _to_json(value)
        try:
            return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # perhaps for an int that is too big, which only orjson notices quickly
            return orjson.dumps(_tag_big_ints(document), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise NotEncodable(str(error)) from error
    except RecursionError:
        raise NotEncodable("the value is nested too deep") from None


def check(values: dict[str, Any]) -> None:
    """Raise what `dump` would; the usual few plain values are seen to be right without writing them.

    Raises:
        NotEncodable
    """
    for key, value in values.items():
        kind = type(value)
        if type(key) is not str or not key.isascii() or not (value is None or kind is bool or (kind is int and -_SMALL < value < _SMALL) or (kind is str and value.isascii())):
            dump(values)
            return


_SMALL: Final = 1 << 62


def load(data: bytes) -> Any:
    """Return the value of which `dump` made the bytes. A document from elsewhere is read by ``from_json(orjson.loads(…))``.

    Raises:
        ValueError: the bytes are no JSON, or hold a tag that says nothing.
    """
    document = orjson.loads(data)
    if type(document) in PLAIN:
        return document
    if b'{"#":' in data or b'{"@":' in data or b'{"=":' in data:
        return from_json(document)
    return document


def to_json(value: Any) -> Any:
    """Return what stands for `value` within a bigger JSON document; parts that need no change are the same objects.

    Raises:
        NotEncodable: see `dump`.
    """
    try:
        return _tag_big_ints(_to_json(value))
    except RecursionError:
        raise NotEncodable("the value is nested too deep") from None


def _to_json(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        if not PLAIN.issuperset(map(type, value.values())):
            value = {key: part if type(part) in PLAIN else _to_json(part) for key, part in value.items()}
        if len(value) == 1 and not _TAGS.isdisjoint(value):
            return {"=": value}
        return value
    if kind is list:
        if PLAIN.issuperset(map(type, value)):
            return value
        return [part if type(part) in PLAIN else _to_json(part) for part in value]
    return value if kind in PLAIN else _scalar(value)


_TAGS: Final = frozenset("#@=")


def _tag_big_ints(document: Any) -> Any:
    """Return the document with ints beyond 64 bits as tags; parts without one are the same objects."""
    kind = type(document)
    if kind is int:
        return document if _is_json_int(document) else _tagged_number(Decimal(document))
    if kind is dict:
        changed = {key: _tag_big_ints(part) for key, part in document.items() if type(part) in _MAY_HOLD_INTS}
        return {**document, **changed} if any(document[key] is not part for key, part in changed.items()) else document
    if kind is list:
        parts = [_tag_big_ints(part) if type(part) in _MAY_HOLD_INTS else part for part in document]
        return parts if any(a is not b for a, b in zip(parts, document, strict=True)) else document
    return document


def _is_json_int(number: int) -> bool:
    return -(1 << 63) <= number < 1 << 64


def _tagged_number(number: Decimal) -> Any:
    if not number.is_finite():
        raise NotEncodable(f"{number} is no number of FEEL")
    digits = number.as_tuple().digits
    if len(digits) > _MAX_NUMBER_DIGITS or abs(number.adjusted()) > 900_000:
        raise NotEncodable("a number has too many digits")
    if not number:
        return 0
    number = number.normalize(_EXACT)
    if number.adjusted() < 20 and number == number.to_integral_value() and _is_json_int(int(number)):
        return int(number)
    return {"#": str(number)}


def _scalar(value: Any) -> Any:
    try:
        if isinstance(value, bool | str):
            return bool(value) if isinstance(value, bool) else str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, Decimal):
            return _tagged_number(value)
        if isinstance(value, float):
            return _tagged_number(from_float(value))
        if isinstance(value, datetime | date | time | timedelta | YearsMonths):
            return {"@": _temporal_text(value)}
        if isinstance(value, Mapping):
            return _to_json(dict(value))
        if isinstance(value, list | tuple):
            return [_to_json(part) for part in value]
    except (ValueError, ArithmeticError) as error:
        raise NotEncodable(str(error)) from error
    raise NotEncodable(f"a {type(value).__name__} is no value of FEEL")


def _temporal_text(value: datetime | date | time | timedelta | YearsMonths) -> str:
    if isinstance(value, datetime):
        text = str(from_datetime(value))
        if isinstance(value.tzinfo, ZoneInfo) and "@" not in text and value.tzinfo.key:
            return f"{text}@{value.tzinfo.key}"
        return text
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return str(from_time(value))
    return str(from_timedelta(value)) if isinstance(value, timedelta) else str(value)


def from_json(document: Any) -> Any:
    """Return the value that `to_json` was given.

    Raises:
        ValueError: a float, or a tag that says nothing.
    """
    kind = type(document)
    if kind is list:
        return [part if type(part) in PLAIN else from_json(part) for part in document]
    if kind is dict:
        if len(document) == 1:
            [(key, part)] = document.items()
            if key == "#" and type(part) is str:
                return _number_of(part)
            if key == "@" and type(part) is str:
                return _temporal_of(part)
            if key == "=" and type(part) is dict:
                return {name: inner if type(inner) in PLAIN else from_json(inner) for name, inner in part.items()}
            if key in _TAGS:
                raise ValueError(f"no value is written {document!r}")
        return {name: part if type(part) in PLAIN else from_json(part) for name, part in document.items()}
    if kind is float:
        raise ValueError(f"a number that is not whole must be written {{\"#\": …}}, not {document!r}")
    return document


def _number_of(text: str) -> int | Decimal:
    try:
        number = Decimal(text)
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite() or len(text) > _MAX_NUMBER_DIGITS + 20:
        raise ValueError(f"no number is written {text!r}")
    if number.adjusted() < MAX_INT_DIGITS and number == number.to_integral_value():
        return int(number)
    return number


def _temporal_of(text: str) -> Any:
    folded = _FOLDED.fullmatch(text)
    parsed = parse_temporal(folded[1] + folded[3] if folded else text) if text else None
    if parsed is None:
        raise ValueError(f"no date, time or duration is written {text!r}")
    try:
        value = to_python(parsed)
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error
    return value.replace(fold=1) if folded and isinstance(value, datetime) else value
