"""Types that are seen before anything runs: what is inferred is what comes, and what is called a mistake gives null."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from engine.feel import FeelLimit, FeelSyntaxError, YearsMonths, compile_expression, expression_problems
from engine.feel.compiler import compile_text
from engine.feel.infer import Type, infer, kind, type_of_value
from engine.feel.values import to_feel
from tests.feel.fuzz.target import VARIABLES
from tests.feel.test_builtins import CASES
from tests.feel.test_corpus import TEXTS

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)
TYPES: dict[str, Type] = {
    "amount": "number", "title": "string", "urgent": "boolean", "day": "date", "closes": "date and time",
    "wait": "days and time duration", "bids": ("list", ("context", {"price": "number", "name": "string"})), "unknown": None,
}  # fmt: skip
SAMPLES: dict[str, Any] = {
    "n": Decimal("1.5"), "s": "a", "b": True, "d": date(2026, 1, 2), "t": time(9, 30), "dt": datetime(2026, 1, 2, tzinfo=UTC),
    "dd": timedelta(days=1), "ym": YearsMonths(3), "l": [1, 2], "c": {"a": 1},
}  # fmt: skip


def said(text: str) -> list[tuple[int, str]]:
    return [(p.column, p.zh) for p in expression_problems(text, types=TYPES) if p.rule == "type"]


@pytest.mark.parametrize(("text", "column", "zh"), [
    ('amount > "1000"', 1, "数字不能与文本比较"),
    ("title + 1", 9, "“+”不能用于文本和数字"),
    ("closes - 3 > now()", 10, "“-”不能用于日期时间和数字"),
    ("urgent > 1", 1, "布尔值不能比较大小"),
    ("amount and urgent", 1, "“and”需要布尔值，而不是数字"),
    ("if title then 1 else 2", 4, "“if”需要布尔值，而不是文本"),
    ("bids.preis", 1, "没有名为“preis”的项（已有：price, name）"),
    ('bids[price > "9"].name', 6, "数字不能与文本比较"),
    ("some b in bids satisfies b.price", 26, "“some”需要布尔值，而不是数字"),
    ("amount.days", 1, "数字没有“days”"),
    ("string length(amount)", 1, "string length() 不接受参数（数字）"),
    ("for b in bids return b.name * 2", 31, "“*”不能用于文本和数字"),
    ("-title", 1, "文本不能取负"),
    ('amount in ("a", "b")', 12, "数字不能与文本比较"),
    ('amount between 1 and "9"', 22, "数字不能与文本比较"),
    ("day = closes", 1, "日期不能与日期时间比较"),
    ("{a: amount, b: a + title}.b", 20, "“+”不能用于数字和文本"),
])  # fmt: skip
def test_a_mistake_of_types_is_told_with_its_place(text: str, column: int, zh: str) -> None:
    assert said(text)[0] == (column, zh)


@pytest.mark.parametrize("text", [
    "amount > 1000 and not(urgent)", 'closes - duration("P3D") > now()', "day + wait", "unknown > 3 and unknown.a",
    "sum(bids.price) / count(bids)", "bids[1].price + 1", "bids[item.price > 3].name", "if urgent then null else amount + 1",
    "amount in [1..10]", 'title in ("a", "b")', "amount = null", 'string(amount) + "元"', "unknown + title", "(closes - now()).days > 3",
    "every b in bids satisfies b.price > 0 and b.name != null", "sort(bids, function(a, b) a.price < b.price)[1].name", "max(bids.price)",
    'date and time(day, time("09:30:00"))', 'matches(title, "^a")', "today() <= day", "{f: function(x) x + 1, r: f(amount)}.r > 1",
])  # fmt: skip
def test_what_fits_is_let_pass(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "**", "=", "<", ">="])
def test_an_operator_is_a_mistake_just_where_it_gives_null(operator: str) -> None:
    for a, b in product(SAMPLES, repeat=2):
        text = f"{a} {operator} {b}"
        value = compile_expression(text).evaluate(SAMPLES, NOW).value
        type_, mistakes = infer(compile_text(text).tree, {name: type_of_value(to_feel(v)) for name, v in SAMPLES.items()})
        assert bool(mistakes) == (value is None), text
        if value is not None:
            assert type_ is None or kind(type_) == kind(type_of_value(to_feel(value))), text


@pytest.mark.parametrize("text", [*[case[0] for case in CASES], *TEXTS])
def test_the_type_that_is_inferred_is_the_type_that_comes(text: str) -> None:
    types = {name: type_of_value(to_feel(value)) for name, value in VARIABLES.items()}
    try:
        tree = compile_text(text, frozenset(VARIABLES)).tree
        value = compile_expression(text, frozenset(VARIABLES)).evaluate(VARIABLES, NOW).value
    except (FeelSyntaxError, FeelLimit):
        return

    type_, mistakes = infer(tree, types)

    if value is not None and kind(type_) is not None and kind(type_of_value(to_feel(value))) is not None:
        assert kind(type_) == kind(type_of_value(to_feel(value))), json.dumps(mistakes, default=str)
