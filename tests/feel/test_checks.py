"""What is said of expressions and tables before anything runs; what is said of tables is true of their evaluation."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.feel.check import TableProblem, expression_problems, table_problems
from engine.feel.dmn import load_decisions
from tests.feel.tables import table

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)


# ------------------------------------------------------------------------------------------------------------ expressions
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("amount > 1", []),
        ("amout > 1", [("unknown_name", 1, 1, "amout")]),
        ("amount >\n  limt", [("unknown_name", 2, 3, "limt")]),
        ("cout(items) + amout", [("unknown_function", 1, 1, "cout"), ("unknown_name", 1, 15, "amout")]),
        ("items[price > 1]", []),
        ("for x in items return x.price + y", [("unknown_name", 1, 33, "y")]),
        ("报价 金额 > 1", []),
        ("= amount >", [("syntax", 1, 11, "")]),
        ("{f: function(n) f(n - 1), r: f(amount)}", []),
        ("sort(items, count)", []),
    ],
)
def test_the_problems_of_an_expression_are_found(text: str, found: list[tuple[str, int, int, str]]) -> None:
    problems = expression_problems(text, ["amount", "items", "报价 金额"])

    assert [(p.rule, p.line, p.column, p.name) for p in problems] == found
    assert all(problem.zh != problem.en for problem in problems)


def test_without_declared_names_only_syntax_and_functions_are_checked() -> None:
    assert expression_problems("a + b") == []
    assert [p.rule for p in expression_problems("a + f(b)")] == ["unknown_function"]


# ----------------------------------------------------------------------------------------------------------------- tables
def problems(inputs: dict[str, str], rules: list[list[str]], **options: Any) -> list[TableProblem]:
    return table_problems(load_decisions(table(inputs, rules, **options)))


def said(found: list[TableProblem]) -> list[tuple[str, tuple[int, ...], dict[str, Any]]]:
    return [(problem.rule, problem.rows, dict(problem.example)) for problem in found]


def test_a_gap_between_numbers_is_found_with_an_example() -> None:
    assert said(problems({"a": "number"}, [["< 10", "1"], ["> 10", "2"]])) == [("gap", (), {"a": 10})]
    assert said(problems({"a": "number"}, [["< 10", "1"], [">= 11", "2"]])) == [("gap", (), {"a": 10})]


def test_a_gap_between_days_is_a_day() -> None:
    rules = [['< date("2026-01-01")', "1"], ['> date("2026-01-02")', "2"], ['date("2026-01-01")', "3"]]

    assert said(problems({"d": "date"}, rules)) == [("gap", (), {"d": date(2026, 1, 2)})]


def test_days_in_a_row_leave_no_gap() -> None:
    assert problems({"d": "date"}, [['<= @"2026-01-01"', "1"], ['>= @"2026-01-02"', "2"]]) == []


def test_a_text_that_no_row_names_is_a_gap() -> None:
    assert said(problems({"r": "string"}, [['"北"', "1"], ['"南"', "2"]])) == [("gap", (), {"r": "其他"})]


def test_input_values_limit_what_a_gap_can_be() -> None:
    assert problems({"r": "string"}, [['"北"', "1"], ['"南"', "2"]], allowed={"r": '"北","南"'}) == []
    assert said(problems({"n": "number"}, [["< 5", "1"]], allowed={"n": "[0..5]"})) == [("gap", (), {"n": 5})]


def test_a_boolean_has_two_values() -> None:
    assert problems({"b": "boolean"}, [["true", "1"], ["false", "2"]]) == []
    assert said(problems({"b": "boolean"}, [["true", "1"]])) == [("gap", (), {"b": False})]


def test_a_default_output_leaves_no_gap() -> None:
    assert problems({"a": "number"}, [["< 10", "1"]], defaults=["0"]) == []


@pytest.mark.parametrize("policy", ["COLLECT", "RULE ORDER"])
def test_lists_may_be_empty_and_rows_may_meet(policy: str) -> None:
    assert problems({"a": "number"}, [["< 10", "1"], ["< 5", "2"]], policy=policy) == []


def test_an_overlap_is_found_with_an_example() -> None:
    found = problems({"a": "number", "b": "string"}, [["<= 10", "-", "1"], [">= 10", '"x"', "2"], ["> 10", 'not("x")', "3"]])

    assert said(found) == [("overlap", (1, 2), {"a": 10, "b": "x"})]
    assert found[0].en == 'rows 1 and 2 both match when a = 10, b = "x"'
    assert found[0].zh == '第 1 行与第 2 行同时匹配,例如 a = 10, b = "x"'


def test_rows_that_agree_may_meet_under_any() -> None:
    assert problems({"a": "number"}, [["<= 10", "1"], [">= 10", "1"]], policy="ANY") == []
    assert [p.rule for p in problems({"a": "number"}, [["<= 10", "1"], [">= 10", "2"]], policy="ANY")] == ["overlap"]


def test_a_masked_row_is_found_under_first() -> None:
    rules = [["< 10", "-", "1"], [">= 10", "true", "2"], ["[3..5]", "-", "3"], ["> 20", "-", "4"], ["-", "-", "5"]]

    assert said(problems({"a": "number", "b": "boolean"}, rules, policy="FIRST")) == [("masked", (3,), {"a": 3, "b": True})]


def test_a_last_row_for_everything_else_is_not_masked_for_it_takes_nulls() -> None:
    assert problems({"a": "number"}, [["< 10", "1"], [">= 10", "2"], ["-", "3"]], policy="FIRST") == []


def test_a_cell_that_computes_is_not_analysed_and_nothing_uncertain_is_said() -> None:
    rules = [["< 10", "1"], ["> limit", "2"]]

    found = problems({"a": "number"}, rules, declare_inputs=False)

    assert said(found) == [("not_analysed", (2,), {})]


def test_texts_in_ranges_are_not_analysed() -> None:
    assert [p.rule for p in problems({"t": "string"}, [['< "b"', "1"], ['>= "b"', "2"]])] == ["not_analysed"]


def test_a_table_that_is_too_large_says_so() -> None:
    rules = [[str(number), "1"] for number in range(1001)]

    assert said(problems({"a": "number"}, rules)) == [("not_analysed", (), {})]


def test_a_table_with_many_columns_is_looked_through_or_says_so() -> None:
    inputs = {f"c{i}": "number" for i in range(10)}
    rules = [[f"< {row * 7 % 13 + column}" for column in range(10)] + [str(row)] for row in range(30)]

    assert {problem.rule for problem in problems(inputs, rules, policy="FIRST")} <= {"gap", "masked", "not_analysed"}


CELLS = st.sampled_from(
    ["-", "< 3", "<= 3", "> 5", ">= 5", "[3..5]", "(3..5)", "4", "1, 9", "not(4)", "not([2..6])", "null", "> 3, < 1"]
)
TEXTS = st.sampled_from(["-", '"x"', '"y"', '"x", "y"', 'not("x")'])
SAMPLES = [Decimal(n) / 2 for n in range(-2, 25)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELLS, TEXTS), min_size=1, max_size=5), st.sampled_from(["UNIQUE", "FIRST"]))
def test_what_is_said_of_a_table_is_what_it_does(cells: list[tuple[str, str]], policy: str) -> None:
    rules = [[a, b, str(number)] for number, (a, b) in enumerate(cells, 1)]
    xml = table({"a": "number", "b": "string"}, rules, policy=policy)
    model = load_decisions(xml)
    found = table_problems(model)
    collected = load_decisions(table({"a": "number", "b": "string"}, rules, policy="RULE ORDER"))

    def hits(example: dict[str, Any]) -> list[int]:
        return list(collected.decide("rating", {"a": 0, "b": "x", **example}, NOW).value)

    everything = [hits({"a": a, "b": b}) for a in SAMPLES for b in ("x", "y", "其他")]
    for problem in found:
        if problem.rule == "gap":
            assert hits(dict(problem.example)) == []
        if problem.rule == "overlap":
            assert set(problem.rows) <= set(hits(dict(problem.example)))
        if problem.rule == "masked":
            assert all(row[0] != problem.rows[0] for row in everything if row)
    rules_found = {problem.rule for problem in found}
    assert ("gap" in rules_found) is any(not row for row in everything)
    if policy == "UNIQUE":
        assert ("overlap" in rules_found) is any(len(row) > 1 for row in everything)


@pytest.mark.parametrize("policy", ["UNIQUE", "FIRST", "ANY"])
def test_a_thousand_rows_are_looked_through_with_a_bounded_number_of_steps(policy: str) -> None:
    rules = [[f"[{row}..{row + 500}]", f"> {row * 7 % 1000}", f'"k{row % 50}"', str(row)] for row in range(1000)]
    found = problems({"a": "number", "b": "number", "c": "string"}, rules, policy=policy)

    for kind in {problem.rule for problem in found}:
        assert 1 <= sum(problem.rule == kind for problem in found) <= 20
