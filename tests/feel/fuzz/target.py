"""What a text may do: be refused as no FEEL, pass a limit, or have a value of FEEL's kinds, within a second; nothing else.

`run` is given to the fuzzer, and to every text of the corpus by a test. While a text is compiled and evaluated, an audit hook
of Python watches for what no expression may ever cause: files opened, modules imported, code compiled, processes, sockets.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.feel import FeelLimit, FeelSyntaxError, compile_expression, compile_unary_tests, expression_problems
from engine.feel.builtins import Builtin
from engine.feel.temporal import YearsMonths
from engine.feel.values import EqualityTest, Function, Range

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)
VARIABLES: dict[str, Any] = {
    "a": 5, "b": Decimal("0.12"), "s": "投标文件", "flag": True, "nothing": None, "count of bids": 3,
    "投标 截止 时间": datetime(2026, 12, 10, 1, 30, tzinfo=UTC), "day": date(2026, 2, 28), "wait": timedelta(hours=36),
    "term": YearsMonths(14), "bids": [{"name": "甲", "price": 980}, {"name": "乙", "price": 1020}], "list": [3, 1, 2],
    "customer": {"name": "华东", "grade": "A"}, "毛利率(%)": 12,
}  # fmt: skip
NAMES = frozenset(VARIABLES)
SECONDS = 1.0
_SLOWED = 4 if "atheris" in sys.modules else 1  # counting branches takes its time

_KINDS = (bool, int, Decimal, str, datetime, date, type(datetime.min.time()), timedelta, YearsMonths, Range, EqualityTest, Function)  # fmt: skip
_FORBIDDEN = ("open", "exec", "compile", "import", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.", "marshal.", "pickle.")
_watching = False
_seen: list[str] = []


class Escape(AssertionError):
    """A text did what no text may do."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event.startswith(_FORBIDDEN) and not _is_zone_data(arguments):
        _seen.append(f"{event} {arguments!r:.200}")


def _is_zone_data(arguments: tuple[Any, ...]) -> bool:
    """A time with the name of a zone reads that zone's rules, from the system or the package `tzdata`."""
    words = " ".join(str(argument) for argument in arguments)
    return "zoneinfo" in words or "tzdata" in words or "importlib" in words


sys.addaudithook(_watch)


def run(text: str) -> None:
    """Try a text in every way in which one is used.

    Raises:
        Escape: it took longer than a second, reached outside, or had a value that is none of FEEL's.
        Exception: one that is not documented.
    """
    global _watching
    _seen.clear()
    started = time.process_time()
    _watching = True
    try:
        values = [*_as_expression(text), *_as_tests(text)]
        expression_problems(text, NAMES)
    finally:
        _watching = False
    taken = time.process_time() - started
    if _seen:
        raise Escape(f"{text!r} caused {_seen[0]}")
    if taken > 3 * SECONDS * _SLOWED:  # evaluated three times: a second each is the promise
        raise Escape(f"{text!r} took {taken:.1f} s")
    for value in values:
        _check(value, text)


def _as_expression(text: str) -> list[Any]:
    try:
        expression = compile_expression(text, NAMES)
        result = expression.evaluate(VARIABLES, NOW)
        if not all(reason and reason.zh for reason in result.reasons):
            raise Escape(f"{text!r} gives an empty reason")
        return [result.value, expression.explain(VARIABLES, NOW).value]
    except (FeelSyntaxError, FeelLimit):
        return []


def _as_tests(text: str) -> list[Any]:
    try:
        return [compile_unary_tests(text, NAMES).evaluate(5, VARIABLES, NOW).value]
    except (FeelSyntaxError, FeelLimit):
        return []


def _check(value: Any, text: str) -> None:
    todo, seen = [value], 0
    while todo and seen < 10_000:
        part, seen = todo.pop(), seen + 1
        if type(part) is list:
            todo += part
        elif type(part) is dict:
            if not all(type(name) is str for name in part):
                raise Escape(f"{text!r} gives a context with other names than texts")
            todo += part.values()
        elif part is not None and type(part) not in _KINDS and not isinstance(part, Builtin):
            raise Escape(f"{text!r} gives a {type(part).__name__}")
