"""Hostile texts: nothing of Python is reachable, and time, memory and depth have bounds."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.feel import FeelLimit, FeelSyntaxError, compile_expression, compile_unary_tests
from engine.feel.parser import KEYWORDS
from engine.feel.patterns import compile_pattern

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)


def outcome(text: str, variables: dict[str, Any] | None = None) -> Any:
    """Return the value, or the name of the documented refusal."""
    try:
        return compile_expression(text).evaluate(variables or {}, NOW).value
    except (FeelSyntaxError, FeelLimit) as refusal:
        return type(refusal).__name__


def doubled(times: int, last: str) -> str:
    """Return a context in which a list of two ones is put into a list of two, again and again: 2**times values."""
    names = [f"n{i}" for i in range(times)]
    entries = [f"{names[0]}: [1, 1]"] + [f"{b}: [{a}, {a}]" for a, b in pairwise(names)]
    return "{" + ", ".join([*entries, last.format(names[-1])]) + "}.r"


def twins(times: int, last: str) -> str:
    """Return two such contexts side by side, equal and yet not the same."""
    one, two = doubled(times, "r: {0}"), doubled(times, "r: {0}")
    return f"{{a: {one}, b: {two}, r: {last.format('a', 'b')}}}.r"


LIMIT, SYNTAX = "FeelLimit", "FeelSyntaxError"
HOSTILE: list[tuple[str, Any]] = [
    ("().__class__", SYNTAX),
    ('"a".__class__', None),
    ('__import__("os")', None),
    ("{a:1}.__class__", None),
    ('open("/etc/passwd")', None),
    ("[1,2].append", [None, None]),
    ('date("2020-01-01").ord', None),
    ('date("2020-01-01").plus_days', None),
    ("now().instant", None),
    ("for i in 1..1000000000 return i", LIMIT),
    ("count(for i in 1..1000 return for j in 1..1000 return i*j)", LIMIT),
    ("{f: function(n) f(n+1), r: f(1)}.r", LIMIT),
    ("{f: function(n) if n<50 then f(n+1) else n, r: f(1)}.r", 50),
    ('{f: function(s) if string length(s) > 100000000 then s else f(s+s), r: f("aaaaaaaaaaaa")}.r', LIMIT),
    ("+".join(["1"] * 3000), 3000),
    ("(" * 50 + "1" + ")" * 50, 1),
    ("(" * 500 + "1" + ")" * 500, SYNTAX),
    ("-" * 50 + "1", 1),
    ("-" * 500 + "1", SYNTAX),
    ("9**9**9**9**9**9", None),
    ('duration("P1D")*10**6000', None),
    ("string length(string(10**6000))", 6001),
    ("exp(10**6000)", None),
    (doubled(22, "r: {0}"), LIMIT),
    (doubled(22, "r: string({0})"), LIMIT),
    (doubled(60, "r: flatten({0})"), LIMIT),
    (doubled(60, "r: {0} = [{0}, {0}]"), LIMIT),
    (doubled(60, "r: {0} in [{0}]"), LIMIT),
    (doubled(60, "r: distinct values([{0}, {0}])"), LIMIT),
    (doubled(60, "r: list contains([{0}], {0})"), LIMIT),
    (twins(60, "{0} = {1}"), LIMIT),
    (twins(60, "{0} in (= {1})"), LIMIT),
    (twins(60, "is({0}, {1})"), LIMIT),
    (twins(60, "index of([{0}], {1})"), LIMIT),
    (doubled(25, "r: {0} instance of " + "list<" * 25 + "number" + ">" * 25), LIMIT),
    (doubled(25, "r: (function(x: " + "list<" * 25 + "number" + ">" * 25 + ") 1)({0})"), LIMIT),
    ("count(for i in 1..100000 return 1.7 ** 0.3)", LIMIT),
    ("distinct values(for i in 1..100000 return i)", LIMIT),
    ('matches("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "^(a|aa)+$")', LIMIT),
    ('split("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "(a|aa)+$")', LIMIT),
    ('for i in 1..1000 return matches("aaaaaaaaaaaaaaaaaaaaaa!", "^(a|aa)+$")', LIMIT),
    ('replace("aaaaaaaaaa", "a", "$0")', "aaaaaaaaaa"),
    ('for i in 1..100000 return {s: string join(for j in 1..30 return "aaaaaaaaaaaaaaaaaaaa"), t: s + s + s}.t', LIMIT),
    ("for i in 1..10000 return [partial]", LIMIT),
    ("a" + ".a" * 5000, SYNTAX),
    ("a" + "()" * 5000, SYNTAX),
    ("1" + " < 1" * 5000, SYNTAX),
    ("a" * 30_000, SYNTAX),
    ("[" * 300, SYNTAX),
    ("{a:" * 300, SYNTAX),
    ("not(" * 300, SYNTAX),
    ("if a then " * 300, SYNTAX),
    ("1 instance of " + "list<" * 300, SYNTAX),
    ('matches("a", "' + "(" * 900 + ")" * 900 + '")', None),
    ('"\\UFFFFFF"', "\ufffd"),
    ('@"99999999999999999999999999999999-01-01"', None),
    ('date("999999999-12-31") + duration("P999999999D")', None),
    ('@"P' + "9" * 5000 + 'D"', None),
    ("1e999999999999999999999", SYNTAX),
]


@pytest.mark.parametrize(("text", "wanted"), HOSTILE, ids=[text[:50] for text, _ in HOSTILE])
def test_a_hostile_text_is_answered_or_refused(text: str, wanted: Any) -> None:
    assert outcome(text) == wanted


def test_deep_and_cyclic_variables_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    ring: list[Any] = []
    ring.append(ring)

    assert outcome("x", {"x": deep}) == LIMIT
    assert outcome("x", {"x": ring}) == LIMIT


def test_the_budget_is_the_callers() -> None:
    expression = compile_expression("for i in 1..1000 return i")

    with pytest.raises(FeelLimit):
        expression.evaluate({}, NOW, steps=999)
    assert len(expression.evaluate({}, NOW, steps=1000).value) == 1000


def test_a_refusal_is_told_in_chinese_too() -> None:
    with pytest.raises(FeelLimit) as refused:
        compile_expression("for i in 1..1000 return i").evaluate({}, NOW, steps=10)

    assert refused.value.zh == "表达式计算步数超过上限"


def test_threads_share_an_expression() -> None:
    expression = compile_expression("sum(for i in 1..n return i) + count(xs[item > n])")
    wrong: list[Any] = []

    def work(n: int) -> None:
        for _ in range(50):
            value = expression.evaluate({"n": n, "xs": [1, 5, 9]}, NOW).value
            if value != n * (n + 1) // 2 + sum(x > n for x in (1, 5, 9)):
                wrong.append((n, value))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


# ------------------------------------------------------------------------------------------------------------------ fuzzing
PIECES = st.one_of(
    st.sampled_from([*sorted(KEYWORDS), "+", "-", "*", "/", "**", "(", ")", "[", "]", "{", "}", ",", ":", "..", ".", "<", ">",
                     "=", "!=", "?", "@", '"', '"a"', "a", "b", "1", "0", "1.5", "not(", "count", "item", "partial",
                     "function(x)", "date(", '"2026-12-01"', "duration(", '"P1D"', "sort(", "金额", " ",
                     "\n", "//", "/*", "in", "null"]),
    st.text(max_size=3),
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=25).map(" ".join)
VARIABLES: dict[str, Any] = {"a": 1, "b": [{"x": 1}, {"x": None}], "金额": "文"}


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_any_text_is_evaluated_or_refused_as_documented(text: str) -> None:
    outcome(text, VARIABLES)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_any_unary_tests_are_evaluated_or_refused_as_documented(text: str) -> None:
    try:
        assert compile_unary_tests(text).evaluate(1, VARIABLES, NOW).value in (True, False, None)
    except (FeelSyntaxError, FeelLimit):
        return


SIDES = st.sampled_from(['1', '"a"', "null", "true", "[1, 2]", "{a: 1}", '@"2026-12-01"', '@"10:00:00"', '@"P1D"',
                         '@"P1Y"', "[1..5]", "(< 3)", "function(x) x", "count",
                         '@"2026-12-01T10:00:00Z"', "0", "-1.5", "[]"])  # fmt: skip
OPERATORS = st.sampled_from(["+", "-", "*", "/", "**", "=", "!=", "<", ">=", "and", "or", "in", "instance of", "."])


@settings(max_examples=400, deadline=None)
@given(SIDES, OPERATORS, SIDES, OPERATORS, SIDES)
def test_any_operation_on_any_types_has_a_value(a: str, first: str, b: str, second: str, c: str) -> None:
    outcome(f"{a} {first} {b} {second} {c}")
    outcome(f"({a} {first} {b})[{c}]")
    outcome(f"for x in {a} return x {first} {b}")


@pytest.mark.parametrize("pattern", ["(a{9999}){9999}", "((a{999}){999}){999}", "((a|b){99,9999}){99}"])
def test_a_pattern_that_would_compile_for_ever_is_no_pattern(pattern: str) -> None:
    assert compile_pattern(pattern, "") is None
    assert compile_pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}", "") is not None
