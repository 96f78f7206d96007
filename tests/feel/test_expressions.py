"""Expressions over Python's values: names, types both ways, time, reasons for nulls, explanations."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given

from engine.feel import (
    Expression,
    FeelSyntaxError,
    YearsMonths,
    compile_expression,
    compile_unary_tests,
)
from tests.feel.values import values

NOW = datetime(2026, 11, 30, 17, 30, tzinfo=UTC)  # 01:30 of 1 December in Shanghai


def evaluate(text: str, variables: dict[str, Any] | None = None) -> Any:
    variables = variables or {}
    return compile_expression(text, frozenset(variables)).evaluate(variables, NOW).value


def reasons(text: str, **variables: Any) -> tuple[str, ...]:
    result = compile_expression(text, frozenset(variables)).evaluate(variables, NOW)
    assert all(reason.zh for reason in result.reasons)
    return result.reasons


# ---------------------------------------------------------------------------------------------------------------- entries
@pytest.mark.parametrize(("text", "entries"), [
    ("{a: 1, b: {c: 2}}", {"a", "b"}), ("if x then {a: 1} else {b: 2}", {"a", "b"}), ("if x then {a: 1} else null", {"a"}),
    ('context put({a: 1}, "b", 2)', {"a", "b"}), ("context merge([{a: 1}, {b: 2}])", {"a", "b"}), ("null", set()),
    ("x", None), ("if x then {a: 1} else y", None), ("context put(x, \"b\", 2)", None), ("context put({a: 1}, k, 2)", None),
    ("context merge(xs)", None), ("context merge([{a: 1}, x])", None), ("[{a: 1}]", None), ("1", None),
])  # fmt: skip
def test_entries_of_a_context_are_told_where_they_are_certain(text: str, entries: set[str] | None) -> None:
    assert compile_expression(text).entries == (None if entries is None else frozenset(entries))


# ------------------------------------------------------------------------------------------------------------------ names
@pytest.mark.parametrize(
    ("text", "variables", "value"),
    [
        ('if 报价金额 > 1000000 and 毛利率 < 0.15 then "总经理" else "经理"', {"报价金额": 2_000_000, "毛利率": 0.1}, "总经理"),
        ('投标 截止 时间 - duration("P3D")', {"投标 截止 时间": date(2026, 12, 4)}, date(2026, 12, 1)),
        ("count of bids + 1", {"count of bids": 4}, 5),
        ("毛利率(%) / 100", {"毛利率(%)": 15}, Decimal("0.15")),
        ("a-b", {"a-b": 1, "a": 5, "b": 3}, 1),
        ("a - b", {"a": 5, "b": 3}, 2),
        ("报价.含税 金额", {"报价": {"含税 金额": 7}, "含税 金额": 0}, 7),
        ("日期.year", {"日期": date(2026, 12, 1)}, 2026),
        ("= 1 + 1", {}, 2),
        ("  =  amount > 3", {"amount": 4}, True),
    ],
)
def test_names_may_be_chinese_and_hold_blanks_and_signs(text: str, variables: dict[str, Any], value: Any) -> None:
    assert evaluate(text, variables) == value


@pytest.mark.parametrize(("text", "value"), [
    ("count", None), ("count = null", True), ("string(count)", None), ("duration > 3 or count([1]) = 1", True), ("sort([3, 1], before)", [1, 3]),
])  # fmt: skip
def test_a_variable_named_like_a_function_that_is_not_there_is_null_and_not_the_function(text: str, value: Any) -> None:
    assert compile_expression(text).evaluate({}, NOW).value == value


def test_a_variable_named_like_a_function_is_read_and_the_function_is_still_called() -> None:
    assert evaluate("count(date) + count", {"date": [1, 2], "count": 10}) == 12
    assert evaluate("duration > 5", {"duration": 6}) is True


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a + b.c", {"a", "b"}),
        ("for x in xs return x + y", {"xs", "y"}),
        ("some x in xs satisfies x > y", {"xs", "y"}),
        ("{a: 1, b: a + c}.b", {"c"}),
        ("function(n) n + m", {"m"}),
        ("items[price > limit]", {"items", "price", "limit"}),
        ("count(xs) > 1", {"xs"}),
        ("own(xs)", {"own", "xs"}),
        ("for i in xs return partial", {"xs"}),
        ("items[item > 1]", {"items"}),
        ("today()", set()),
    ],
)
def test_the_names_an_expression_reads_are_known_beforehand(text: str, names: set[str]) -> None:
    assert compile_expression(text).names == names


def test_names_within_a_filter_are_not_certain_to_be_variables() -> None:
    expression = compile_expression("items[price > limit]")

    assert expression.certain_names == {"items"}


def test_the_same_text_is_compiled_once_whatever_plain_names_there_are() -> None:
    assert compile_expression("a + 1", frozenset({"a"})) is compile_expression("a + 1", frozenset({"b", "c"}))
    assert compile_expression("a + 1").text == "a + 1"


# ------------------------------------------------------------------------------------------------------------ Python's types
@pytest.mark.parametrize(
    ("given_", "got"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2.0, 2),
        (0.1, Decimal("0.1")),
        (Decimal("12.50"), Decimal("12.5")),
        (Decimal("100"), 100),
        ("文", "文"),
        (date(2026, 12, 1), date(2026, 12, 1)),
        (time(9, 30), time(9, 30)),
        (time(9, 30, tzinfo=UTC), time(9, 30, tzinfo=UTC)),
        (datetime(2026, 12, 1, 9, 30), datetime(2026, 12, 1, 9, 30)),
        (NOW, NOW),
        (timedelta(days=1, microseconds=3), timedelta(days=1, microseconds=3)),
        (YearsMonths(14), YearsMonths(14)),
        ((1, 2), [1, 2]),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    ],
)
def test_values_pass_both_ways(given_: Any, got: Any) -> None:
    value = evaluate("x", {"x": given_})

    assert value == got
    assert type(value) is type(got)


class Level(StrEnum):
    HIGH = "high"


def test_an_enumerated_text_is_a_text() -> None:
    assert evaluate('x = "high"', {"x": Level.HIGH}) is True


def test_a_boolean_is_no_number() -> None:
    assert evaluate("x = 1", {"x": True}) is None
    assert evaluate("x = true", {"x": True}) is True


def test_a_named_zone_is_kept() -> None:
    shanghai = datetime(2026, 12, 1, 9, 30, tzinfo=ZoneInfo("Asia/Shanghai"))

    assert evaluate("x.timezone", {"x": shanghai}) == "Asia/Shanghai"
    assert evaluate('x + duration("P1D")', {"x": shanghai}).tzinfo == ZoneInfo("Asia/Shanghai")


def test_whole_results_are_ints_and_others_decimals() -> None:
    assert type(evaluate("10 / 2")) is int
    assert evaluate("1 / 3") == Decimal("0.3333333333333333333333333333333333")


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, b"x"])
def test_what_feel_does_not_have_is_refused_loudly(value: Any) -> None:
    with pytest.raises(TypeError):
        evaluate("x", {"x": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN")])
def test_what_is_no_number_is_refused_loudly(value: Any) -> None:
    with pytest.raises(ValueError, match="no FEEL number"):
        evaluate("x", {"x": value})


def test_a_year_that_python_cannot_say_is_null_with_a_reason() -> None:
    assert reasons('date("9999-12-31") + duration("P1D")') == ("10000-01-01 lies outside the years 1 to 9999",)


def instants(value: Any) -> Any:
    """The value with offsets in place of zones: Python calls an hour that comes twice unequal to itself in another zone."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None, fold=0), value.utcoffset()
    if isinstance(value, list):
        return [instants(part) for part in value]
    return {name: instants(part) for name, part in value.items()} if isinstance(value, dict) else value


@given(values())
@example(datetime(1988, 9, 11, 1, 0, fold=1, tzinfo=ZoneInfo("Asia/Shanghai")))
def test_every_value_comes_back_as_it_went_in(value: Any) -> None:
    assert instants(evaluate("x", {"x": value})) == instants(value)


@given(values())
def test_every_value_that_is_not_null_equals_itself(value: Any) -> None:
    assert evaluate("x = x", {"x": value}) is True


# ------------------------------------------------------------------------------------------------------------------- time
def test_now_is_the_given_instant_on_the_houses_clock() -> None:
    assert evaluate("now()") == NOW
    assert evaluate("now().hour") == 1
    assert evaluate("date(now()) = today()") is True


def test_today_is_the_houses_day() -> None:
    assert evaluate("today()") == date(2026, 12, 1)
    assert compile_expression("today()").evaluate({}, NOW, zone="UTC").value == date(2026, 11, 30)


def test_moments_in_different_zones_compare_by_instant() -> None:
    there = datetime(2026, 12, 1, 1, 30, tzinfo=timezone(timedelta(hours=8)))

    assert evaluate("x = y and not(x < y) and not(x > y)", {"x": NOW, "y": there}) is True


# ------------------------------------------------------------------------------------------------------------ why it is null
NO_DOMAIN = ": a list or a range of whole numbers or dates is needed"


@pytest.mark.parametrize(
    ("text", "variables", "reason"),
    [
        ("amout > 1", {"amount": 2}, "unknown name `amout`"),
        ("a + b", {"a": 1, "b": "x"}, "`+` does not take a number and a string in `a + b`"),
        ("1 / 0", {}, "division by zero in `1 / 0`"),
        ('duration("P1D") / 0', {}, 'division by zero in `duration("P1D") / 0`'),
        ("0 ** -1.5", {}, "division by zero in `0 ** -1.5`"),
        ("10 ** 7000", {}, "the result of `10 ** 7000` is out of range"),
        ("a.b", {"a": {"c": 1}}, "no entry `b`"),
        ("a.b", {"a": 1}, "a number has no `b`"),
        ("a.b", {"a": None}, "a part of `….b` is null"),
        ("a > 1", {"a": None}, "a part of `a > 1` is null"),
        ('a < "x"', {"a": 1}, 'a number cannot be compared with a string in `a < "x"`'),
        ("a = b", {"a": 1, "b": "x"}, "a number cannot be compared with a string in `a = b`"),
        ("a < b", {"a": NOW, "b": datetime(2026, 1, 1)}, "one side of `a < b` has a time zone, the other has none"),
        ("a between 1 and 2", {"a": "x"}, "a string cannot be compared with a number in `a between 1 and 2`"),
        ("a and true", {"a": 1}, "`and` needs booleans, not a number, in `a and true`"),
        ("a or b or c", {"a": False, "b": 1, "c": False}, "`or` needs booleans, not a number, in `a or b or c`"),
        ("-a", {"a": "x"}, "a string has no negative in `-a`"),
        ("xs[5]", {"xs": [1, 2]}, "no item 5 in `xs[5]`: the list has 2"),
        ("xs[0]", {"xs": [1, 2]}, "no item 0 in `xs[0]`: the list has 2"),
        ('xs["a"]', {"xs": [1]}, 'a filter needs a boolean or a number, not a string, in `xs["a"]`'),
        ("[1..\"a\"]", {}, 'a number cannot be compared with a string in `[1.."a"]`'),
        ("for x in 1.5..2 return x", {}, f"nothing to iterate over in `for x in 1.5..2 return x`{NO_DOMAIN}"),
        ("some x in null satisfies x", {}, f"nothing to iterate over in `some x in null satisfies x`{NO_DOMAIN}"),
        ("every x in [1] satisfies x", {}, "a part of `every x in [1] satisfies x` is null"),
        ("nope(1)", {}, "unknown name `nope`"),
        ("a(1)", {"a": 1}, "`a` is no function"),
        ('upper case(1)', {}, "upper case() does not take (number)"),
        ('date("2026-02-30")', {}, 'date() has no value for ("2026-02-30")'),
        ("sqrt(-1)", {}, "sqrt() has no value for (-1)"),
        ("meets(1, 2)", {}, "meets() does not take (number, number)"),
        ("concatenate([1], null)", {}, "concatenate() does not take (list, null)"),
        ("{f: function(x: number) x}.f(\"a\")", {}, "the parameter `x` of function must be number"),
        ("{f: function(x) x}.f()", {}, "function(x) was called with other arguments"),
        ("{a: 1, a: 2}", {}, "a context names an entry twice"),
        ("(<= null)", {}, "a part of `(<= null)` is null"),
        ("(< true)", {}, "a boolean has no order in `(< true)`"),
        ("null in (> 5)", {}, "a part of `null in (> 5)` is null"),
        ("{f: function(x) external {java: {class: \"java.lang.Math\", method signature: \"abs(double)\"}}}.f(1)", {},
         "external functions are not available"),
    ],
)  # fmt: skip
def test_a_null_says_why(text: str, variables: dict[str, Any], reason: str) -> None:
    assert reason in reasons(text, **variables)


@pytest.mark.parametrize("text", ["null", "x", "x = null", "if x = null then 1 else 2", "[null]", '{"a": null}.a'])
def test_a_null_that_was_meant_has_no_reason(text: str) -> None:
    assert reasons(text, x=None) == ()


def test_reasons_are_in_the_order_of_evaluation_and_each_once() -> None:
    assert reasons("[a, b, a]") == ("unknown name `a`", "unknown name `b`")


def test_there_are_at_most_twenty_reasons() -> None:
    assert len(reasons(" + ".join(f"n{i}" for i in range(50)))) == 20


def test_a_reason_is_told_in_chinese_too() -> None:
    [reason] = compile_expression("金额").evaluate({}, NOW).reasons

    assert reason.zh == "未知的名称“金额”"


# ------------------------------------------------------------------------------------------------------------------ syntax
@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("1 +", 1, 4),
        ("a ==1", 1, 3),
        ("(1", 1, 3),
        ('a\n and "b', 2, 6),
        ("[1, 2", 1, 6),
        ("if a then b", 1, 12),
        ("a b", 1, 3),
        ("金额＞100", 1, 3),
        ("{a 1}", 1, 2),
        ("for x of y return x", 1, 4),
        ("f(a: 1, 2)", 1, 8),
        ("", 1, 1),
        ("1 # 2", 1, 3),
    ],
)
def test_a_text_that_is_no_feel_is_refused_with_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(FeelSyntaxError) as refused:
        compile_expression(text)

    assert (refused.value.line, refused.value.column) == (line, column)
    assert refused.value.zh


@pytest.mark.parametrize(("sign", "half"), [("，", ","), ("（", "("), ("＞", ">"), ("“", '"'), ("；", ";")])
def test_a_full_width_sign_is_named(sign: str, half: str) -> None:
    with pytest.raises(FeelSyntaxError) as refused:
        compile_expression(f"a {sign} 1")

    assert refused.value.zh == f"“{sign}”是全角符号,请改用半角“{half}”"


# ------------------------------------------------------------------------------------------------------------ traps of FEEL
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2 ** 2", 4),
        ("2 ** 3 ** 2", 64),
        ("null and false", False),
        ("null or true", True),
        ("if null then 1 else 2", 2),
        ("[1, 2, 3][-1]", 3),
        ("[1, 2, 3][item > 1]", [2, 3]),
        ('[{a: 1}, {a: 2}].a', [1, 2]),
        ("5 in (1, 2, [4..6])", True),
        ("5 in (> 6)", False),
        ("5 in [1..10[", True),
        ("10 in [1..10[", False),
        ("for i in 1..3 return i * 2", [2, 4, 6]),
        ("for i in 3..1 return i", [3, 2, 1]),
        ("for i in [2..4] return i", [2, 3, 4]),
        ("for i in 1..4 return if i = 1 then 1 else partial[-1] * i", [1, 2, 6, 24]),
        ("{fac: function(n) if n < 2 then 1 else n * fac(n - 1), r: fac(20)}.r", 2432902008176640000),
        ('"a" + "b"', "ab"),
        ('@"P1Y2M" + @"P3M"', YearsMonths(17)),
        ('@"2026-01-31" + @"P1M"', date(2026, 2, 28)),
        ('@"2026-12-01T10:00:00@Asia/Shanghai".timezone', "Asia/Shanghai"),
        ('date and time("2026-12-01T24:00:00")', datetime(2026, 12, 2)),
        ("1 instance of number", True),
        ('[1, 2] instance of list<number>', True),
        ("{a: 1} instance of context<a: number>", True),
        ("// a remark\n1 + /* within */ 1", 2),
        ("0.1 + 0.2 = 0.3", True),
        ("decimal(2.5, 0)", 2),
    ],
)
def test_the_language_is_read_as_the_standard_says(text: str, value: Any) -> None:
    assert evaluate(text) == value


# -------------------------------------------------------------------------------------------------------------- unary tests
@pytest.mark.parametrize(
    ("text", "value", "passes"),
    [
        ("-", None, True),
        ("< 10", 5, True),
        ("[5..10)", 10, False),
        ('"A", "B"', "B", True),
        ('not("A", "B")', "C", True),
        ("not(> 5)", 3, True),
        ("null", None, True),
        ("> 5", None, None),
        ("? > 3 and ? < limit", 4, True),
        ("limit", 9, True),
        ("> limit", 10, True),
        ('starts with(?, "PSM")', "PSM010", True),
        ("true", True, True),
        ('date("2026-12-01")', date(2026, 12, 1), True),
    ],
)
def test_unary_tests_pass_or_not(text: str, value: Any, passes: bool | None) -> None:
    assert compile_unary_tests(text).evaluate(value, {"limit": 9}, NOW).value is passes


def test_unary_tests_name_what_they_read() -> None:
    assert compile_unary_tests("> limit, ? < 3").names == {"limit"}


# ------------------------------------------------------------------------------------------------------------- explanations
def test_an_explanation_shows_each_part_with_its_value() -> None:
    tree = compile_expression('a > 1 and b.c = "x"').explain({"a": 2, "b": {"c": "y"}}, NOW)

    assert (tree.text, tree.value) == ('a > 1 and b.c = "x"', False)
    assert [(part.text, part.value) for part in tree.children] == [("a > 1", True), ('b.c = "x"', False)]
    assert [(part.text, part.value) for part in tree.children[1].children] == [("b.c", "y")]


def test_an_explanation_leaves_out_what_was_not_evaluated() -> None:
    tree = compile_expression("if a then b else c").explain({"a": True, "b": 1, "c": 2}, NOW)

    assert [part.text for part in tree.children] == ["a", "b"]


def test_an_explanation_of_a_loop_shows_its_first_passes() -> None:
    tree = compile_expression("for i in 1..1000 return i * 2").explain({}, NOW)

    assert [part.text for part in tree.children][:2] == ["i * 2", "i * 2"]
    assert len(tree.children) < 20


@pytest.mark.parametrize("text", ["1", "(1)", "a", "count of bids + 1", "items[price > 1].name"])
def test_an_explanation_has_the_expressions_value(text: str) -> None:
    variables = {"a": 3, "count of bids": 2, "items": [{"price": 2, "name": "x"}]}
    expression: Expression = compile_expression(text, frozenset(variables))

    assert expression.explain(variables, NOW).value == expression.evaluate(variables, NOW).value


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(("written", "named"), [(COMPOSED, COMPOSED), (DECOMPOSED, COMPOSED), (DECOMPOSED, DECOMPOSED)])
def test_a_name_is_read_however_its_accents_are_written_in_the_text(written: str, named: str) -> None:
    assert compile_expression(f"{written} + 1").evaluate({named: 1}, NOW).value == 2
    assert compile_expression(f"{written} + 1").explain({named: 1}, NOW).value == 2
    assert compile_unary_tests(f"> {written}").evaluate(2, {named: 1}, NOW).value is True


def test_texts_that_look_the_same_are_equal_when_written_in_an_expression() -> None:
    assert compile_expression(f'"{COMPOSED}" = "{DECOMPOSED}"').evaluate({}, NOW).value is True
    assert compile_expression(f'string length("{DECOMPOSED}")').evaluate({}, NOW).value == 4
    assert compile_expression('string length("cafe\\u0301")').evaluate({}, NOW).value == 5


def test_a_name_of_several_words_is_known_however_it_is_written() -> None:
    expression = compile_expression(f"le {DECOMPOSED} + 1", frozenset([f"le {DECOMPOSED}"]))

    assert expression.evaluate({f"le {DECOMPOSED}": 1}, NOW).value == 2
