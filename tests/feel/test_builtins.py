"""Each built-in function at least once, and what it does not take."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine import calendar
from engine.feel import FeelLimit, YearsMonths, compile_expression
from engine.feel.builtins import BUILTINS

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)

CASES: list[tuple[str, Any]] = [
    # conversion
    ('date("2026-12-01")', date(2026, 12, 1)),
    ("date(2026, 12, 1)", date(2026, 12, 1)),
    ('date(date and time("2026-12-01T10:00:00"))', date(2026, 12, 1)),
    ('date("20261201")', None),
    ('date and time("2026-12-01T10:00:00Z")', datetime(2026, 12, 1, 10, tzinfo=UTC)),
    ('date and time(date("2026-12-01"), time("10:00:00Z"))', datetime(2026, 12, 1, 10, tzinfo=UTC)),
    ('date and time(@"2026-12-01T10:00:00", "Z")', datetime(2026, 12, 1, 10, tzinfo=UTC)),
    ('date and time(@"2026-12-01T10:00:00", "+garbage")', None),
    ('time("10:30:00")', time(10, 30)),
    ("time(10, 30, 15.5)", time(10, 30, 15, 500_000)),
    ('time(10, 30, 0, duration("PT0S"))', time(10, 30, tzinfo=UTC)),
    ('time(@"2026-12-01T10:30:00")', time(10, 30)),
    ('number("1,234.5", ",", ".")', Decimal("1234.5")),
    ('number("1.234,5", ".", ",")', Decimal("1234.5")),
    ('number("１２")', None),
    ("number(7)", 7),
    ("string(1.50)", "1.50"),
    ('string([1, "a", null])', '[1, "a", null]'),
    ("string(null)", None),
    ('string(@"P1DT2H")', "P1DT2H"),
    ('duration("P1DT2H")', timedelta(days=1, hours=2)),
    ('duration("P1Y2M")', YearsMonths(14)),
    ('years and months duration(@"2025-01-31", @"2026-03-30")', YearsMonths(13)),
    ('years and months duration("P1Y")', None),
    # boolean
    ("not(true)", False),
    ("not(null)", None),
    ('is(@"10:00:00Z", @"10:00:00+00:00")', True),
    ('is(@"10:00:00Z", @"11:00:00+01:00")', False),
    # string
    ('substring("招标文件", 2, 2)', "标文"),
    ('substring("foobar", -2)', "ar"),
    ('substring("foobar", 3, 1000000000000000000000)', "obar"),
    ('string length("招标")', 2),
    ('upper case("aB")', "AB"),
    ('lower case("aB")', "ab"),
    ('substring before("a-b-c", "-")', "a"),
    ('substring after("a-b-c", "-")', "b-c"),
    ('contains("foobar", "oob")', True),
    ('starts with("PSM010", "PSM")', True),
    ('ends with("a.pdf", ".pdf")', True),
    (r'matches("PSM010", "^PSM\d{3}$")', True),
    ('matches("abc", "A.C", "i")', True),
    ('matches("abc", "(?=a)")', None),
    (r'replace("2026-12-01", "(\d+)-(\d+)-(\d+)", "$3.$2.$1")', "01.12.2026"),
    ('replace("abc", "x*", "-")', None),
    ('replace("a.b", ".", "-", "q")', "a-b"),
    ('replace("aaa", "a", "$")', None),
    ('split("a;b;;c", ";")', ["a", "b", "", "c"]),
    ('string join(["a", null, "b"], "-")', "a-b"),
    ('string join(["a", "b"])', "ab"),
    ('string join(["a", "b"], "-", "prefix")', None),
    ('string join(["a", 1])', None),
    # list
    ("list contains([1, null], null)", True),
    ('list contains([{a: 1}], {a: 1})', True),
    ("count([1, null])", 2),
    ("count()", None),
    ("min(3, 1, 2)", 1),
    ('max(["a", "c", "b"])', "c"),
    ("max([])", None),
    ('max(1, "a")', None),
    ("sum([1, 2, 3])", 6),
    ("sum([])", None),
    ('sum(@"P1D", @"PT12H")', timedelta(days=1, hours=12)),
    ("product([2, 3, 4])", 24),
    ("mean(1, 2)", Decimal("1.5")),
    ("median([8, 2, 5, 3, 4])", 4),
    ("median(1, 2, 3, 4)", Decimal("2.5")),
    ("stddev([2, 4, 7, 5])", Decimal("2.081665999466132735282297706979931")),
    ("mode([6, 3, 9, 6, 6])", [6]),
    ("mode([])", []),
    ("all([true, null])", None),
    ("all([false, null])", False),
    ("all([])", True),
    ("any([true, null])", True),
    ("any([])", False),
    ("sublist([4, 5, 6], 1, 2)", [4, 5]),
    ("sublist([4, 5, 6], -1)", [6]),
    ("append([1], 2, null)", [1, 2, None]),
    ("append(list: [1], item: 2)", [1, 2]),
    ("concatenate([1], [2, 3])", [1, 2, 3]),
    ("union([1, 2], [2, 3])", [1, 2, 3]),
    ("distinct values([1, 2, 1, null, null])", [1, 2, None]),
    ("insert before([1, 3], 2, 2)", [1, 2, 3]),
    ("remove([1, 2, 3], 2)", [1, 3]),
    ("remove([1], 2)", None),
    ("list replace([2, 4], 2, 8)", [2, 8]),
    ("list replace([2, 4, 7], function(item, newItem) item < newItem, 5)", [5, 5, 7]),
    ("reverse([1, 2])", [2, 1]),
    ("index of([1, 2, 1], 1)", [1, 3]),
    ("flatten([[1, [2]], 3])", [1, 2, 3]),
    ("sort([3, 1, 2])", [1, 2, 3]),
    ("sort([3, 1, 2], function(x, y) x > y)", [3, 2, 1]),
    ('sort([1, "a"])', None),
    # number
    ("decimal(1/3, 2)", Decimal("0.33")),
    ("decimal(1, 100000)", None),
    ("round up(5.5, 0)", 6),
    ("round down(-5.5, 0)", -5),
    ("round half up(5.5, 0)", 6),
    ("round half down(5.5, 0)", 5),
    ("floor(1.56, 1)", Decimal("1.5")),
    ("ceiling(1.2)", 2),
    ("abs(-3)", 3),
    ('abs(@"-P1D")', timedelta(days=1)),
    ("modulo(-12, 5)", 3),
    ("modulo(1, 0)", None),
    ("sqrt(16)", 4),
    ("log(10)", Decimal("2.302585092994045684017991454684364")),
    ("exp(0)", 1),
    ("odd(5)", True),
    ("even(5.5)", None),
    # date and time
    ('day of year(@"2026-12-01")', 335),
    ('day of week(@"2026-12-01")', "Tuesday"),
    ('month of year(@"2026-12-01")', "December"),
    ('week of year(@"2027-01-01")', 53),
    ("now()", NOW),
    ("today()", date(2026, 12, 1)),
    # context
    ('get value({a: 1}, "a")', 1),
    ('get value({a: 1}, "b")', None),
    ("get entries({a: 1})", [{"key": "a", "value": 1}]),
    ('context([{key: "a", value: 1}])', {"a": 1}),
    ('context([{key: "a", value: 1}, {key: "a", value: 2}])', None),
    ('context put({a: 1}, "b", 2)', {"a": 1, "b": 2}),
    ('context put({a: {b: 1}}, ["a", "b"], 2)', {"a": {"b": 2}}),
    ("context merge([{a: 1}, {a: 2, b: 3}])", {"a": 2, "b": 3}),
    # ranges
    ("before(1, [2..3])", True),
    ("before([1..2), [2..3])", True),
    ("after([5..6], 4)", True),
    ("meets([1..5], [5..10])", True),
    ("met by([5..10], [1..5])", True),
    ("overlaps([1..5], [3..8])", True),
    ("overlaps before([1..5], [3..8])", True),
    ("overlaps after([3..8], [1..5])", True),
    ("finishes(10, [1..10])", True),
    ("finished by([1..10], [5..10])", True),
    ("includes([1..10], 5)", True),
    ("includes([1..10], [1..10])", True),
    ("during(5, [1..10])", True),
    ("starts(1, [1..10])", True),
    ("started by([1..10], [1..5])", True),
    ("coincides([1..5], [1..5])", True),
    ("coincides(point1: 5, point2: 5)", True),
    ('range("[1..3]").end', 3),
    # working days: the National Day holidays of 2026 are 1 to 7 October, 20 September and 10 October are made up
    ('is working day(@"2026-10-01")', False),
    ('is working day(@"2026-10-10")', True),
    ('is working day(@"2026-09-30T17:00:00Z")', False),
    ('is working day(@"9999999-01-01")', None),
    ('add working days(@"2026-09-29", 2)', date(2026, 10, 8)),
    ('add working days(@"2026-10-08", -2)', date(2026, 9, 29)),
    ('add working days(@"2026-10-03", 0)', date(2026, 10, 8)),
    ('add working days(from: @"2026-10-09", days: 1)', date(2026, 10, 10)),
    ('add working days(@"2026-09-29T17:00:00Z", 1)', datetime(2026, 10, 7, 17, tzinfo=UTC)),
    ('add working days(@"2026-09-30T09:00:00", 1)', datetime(2026, 10, 8, 9)),
    ('add working days(now(), 1)', datetime(2026, 12, 2, 9, 30, tzinfo=ZoneInfo("Asia/Shanghai"))),
    ('add working days(@"2026-12-30", 1.5)', None),
    ('range("[3..1]")', None),
]


@pytest.mark.parametrize(("text", "value"), CASES, ids=[text for text, _ in CASES])
def test_the_function_gives(text: str, value: Any) -> None:
    result = compile_expression(text).evaluate({}, NOW, calendar=calendar)

    assert result.value == value
    assert type(result.value) is type(value)


def test_every_function_has_a_case() -> None:
    texts = "\n".join(text for text, _ in CASES)

    assert [name for name in BUILTINS if f"{name}(" not in texts] == []


@pytest.mark.parametrize("text", [text for text, value in CASES if value is None and "null" not in text])
def test_a_function_without_a_value_says_so(text: str) -> None:
    [reason] = compile_expression(text).evaluate({}, NOW).reasons

    assert "()" in reason


@pytest.mark.parametrize("name", BUILTINS)
def test_no_function_fails_on_nulls_and_odd_arguments(name: str) -> None:
    for arguments in ("null", "{}, {}", "[], []", '"x", -1', "function(x) x", "1, 2, 3, 4, 5, 6", "(< 5), (> 3)", "nope: 1"):
        compile_expression(f"{name}({arguments})").evaluate({}, NOW)


def test_distinct_values_tells_kinds_apart_and_is_quick() -> None:
    def value(text: str) -> Any:
        return compile_expression(text).evaluate({}, NOW).value

    assert value('distinct values([1, "1", true, 1.0, null, null, @"2026-01-01", date("2026-01-01"), [1], [1.0]])') == [
        1, "1", True, None, date(2026, 1, 1), [1]]
    assert len(value("distinct values(for i in 1..50000 return i)")) == 50_000


@pytest.mark.parametrize("text", ['add working days(@"2026-12-30", 5)', 'is working day(@"2027-01-04")'])
def test_a_year_that_is_not_announced_is_neither_guessed_nor_null(text: str) -> None:
    with pytest.raises(FeelLimit, match="holidays of 2027") as stopped:
        compile_expression(text).evaluate({}, NOW, calendar=calendar)
    assert "2027 年的节假日安排尚未公布" in stopped.value.zh

    with pytest.raises(FeelLimit, match="no calendar"):
        compile_expression(text).evaluate({}, NOW)
