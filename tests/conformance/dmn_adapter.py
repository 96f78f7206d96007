"""Drives the project's decisions for the runner of the DMN TCK (`shared/conformance/run_dmn.py`).

The TCK calls a few Java functions; a fixed table of pure functions stands for them here. The product has none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from lxml import etree

from engine.feel.dmn import DecisionModel, load_decisions
from engine.feel.temporal import (
    Date,
    DateTime,
    DaysTime,
    Time,
    YearsMonths,
    parse_date,
    parse_date_time,
    parse_duration,
    parse_time,
)
from engine.feel.types import is_function
from engine.feel.values import Range, number_text

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)
_PARSE: dict[str, Callable[[str], Any]] = {
    "date": parse_date, "time": parse_time, "dateTime": parse_date_time, "duration": parse_duration,
}  # fmt: skip
_WORDS = {Date: "date", Time: "time", DateTime: "dateTime", DaysTime: "duration", YearsMonths: "duration"}


def _typed(function: Callable[..., Any], *types: type) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        if len(arguments) != len(types) or not all(isinstance(a, t) for a, t in zip(arguments, types, strict=True)):
            return None
        return function(*arguments)

    return call


def _real(function: Callable[..., float], count: int) -> Callable[..., Any]:
    return _typed(lambda *a: Decimal(repr(function(*map(float, a)))), *[Decimal] * count)


def _format(template: str, *arguments: Any) -> str:
    rest = iter(arguments)
    return re.sub("%s", lambda found: str(next(rest)), template)


def _java() -> dict[str, Callable[..., Any]]:
    table: dict[str, Callable[..., Any]] = {
        f"java.lang.Math.{f.__name__ if name is None else name}({', '.join(['double'] * count)})": _real(f, count)
        for name, f, count in (
            ("cos", math.cos, 1), ("sin", math.sin, 1), ("tan", math.tan, 1), ("sqrt", math.sqrt, 1), ("abs", abs, 1),
            ("max", max, 2), ("min", min, 2), ("pow", math.pow, 2),
        )
    }
    for kind in ("int", "long", "float"):
        table[f"java.lang.Math.max({kind}, {kind})"] = _typed(max, Decimal, Decimal)
        table[f"java.lang.Math.min({kind}, {kind})"] = _typed(min, Decimal, Decimal)
    for box, kind in (
        ("Short", "short"), ("Byte", "byte"), ("Integer", "int"), ("Long", "long"), ("Float", "float"), ("Double", "double"),
    ):  # fmt: skip
        table[f"java.lang.{box}.valueOf({kind})"] = _typed(lambda x: x, Decimal)
        table[f"java.lang.{box}.valueOf(java.lang.String)"] = _typed(Decimal, str)
        table[f"java.lang.String.valueOf({kind})"] = _typed(number_text, Decimal)
    table["java.lang.String.valueOf(char)"] = _typed(lambda s: s if len(s) == 1 else None, str)
    table["java.lang.String.format(java.lang.String, [Ljava.lang.Object;)"] = _typed(_format, str, object)
    return table


_JAVA = _java()


@lru_cache(8)
def _load(main: bytes, others: tuple[tuple[str, bytes], ...]) -> DecisionModel:
    return load_decisions(main, dict(others), strict=False, external=_JAVA)


class DecisionAdapter:
    """See the runner's docstring: the folder's files by name, one of them the main one; FEEL values both ways."""

    def load(self, files: dict[str, bytes], main: str) -> None:
        name = (
            next((n for n in files if main in (n, n.rsplit(".", 1)[0])), None)
            or next((n for n, xml in files.items() if etree.fromstring(xml).get("name") == main), None)
            or next(iter(files))
        )
        others = tuple(sorted((other, xml) for other, xml in files.items() if other != name))
        self._model = _load(files[name], others)

    def evaluate(self, name: str, inputs: dict[str, Any], *, service: bool = False) -> Any:
        given = {key: _inward(value) for key, value in inputs.items()}
        return _outward(self._model.decide_in_feel(name, given, NOW, is_service=service))


def _inward(value: Any) -> Any:
    if isinstance(value, dict):
        if "@type" in value:
            return _PARSE[value["@type"]](value["@value"])
        return {key: _inward(part) for key, part in value.items()}
    return [_inward(part) for part in value] if isinstance(value, list) else value


def _outward(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _outward(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_outward(part) for part in value]
    if type(value) in _WORDS:
        return {"@type": _WORDS[type(value)], "@value": str(value)}
    return None if isinstance(value, Range) or is_function(value) else value
