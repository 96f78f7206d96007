"""Canonical JSON: nothing is lost, and a value has one text."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.feel import YearsMonths, compile_expression
from engine.feel.codec import NotEncodable, check, dump, from_json, load, to_json
from tests.feel.values import values

PARIS = ZoneInfo("Europe/Paris")
TABLE: list[tuple[Any, bytes]] = [
    (None, b"null"),
    (True, b"true"),
    (1, b"1"),
    ("文\"@\":", '"文\\"@\\":"'.encode()),
    ({"b": 1, "a": [None, {}]}, b'{"a":[null,{}],"b":1}'),
    (2**63, b"9223372036854775808"),
    (2**64, b'{"#":"18446744073709551616"}'),
    (-(2**63) - 1, b'{"#":"-9223372036854775809"}'),
    (10**30, b'{"#":"1E+30"}'),
    (Decimal("12.50"), b'{"#":"12.5"}'),
    (Decimal("1E-10"), b'{"#":"1E-10"}'),
    (date(2026, 12, 1), b'{"@":"2026-12-01"}'),
    (time(9, 30), b'{"@":"09:30:00"}'),
    (time(9, 30, tzinfo=PARIS), b'{"@":"09:30:00@Europe/Paris"}'),
    (datetime(2026, 12, 1, 9, 30), b'{"@":"2026-12-01T09:30:00"}'),
    (datetime(2026, 12, 1, 9, 30, 0, 5, tzinfo=UTC), b'{"@":"2026-12-01T09:30:00.000005Z"}'),
    (datetime(2026, 12, 1, 9, 30, tzinfo=timezone(timedelta(hours=8))), b'{"@":"2026-12-01T09:30:00+08:00"}'),
    (datetime(2026, 12, 1, 9, 30, tzinfo=PARIS), b'{"@":"2026-12-01T09:30:00@Europe/Paris"}'),
    (datetime(2021, 10, 31, 2, 30, tzinfo=PARIS, fold=1), b'{"@":"2021-10-31T02:30:00+01:00@Europe/Paris"}'),
    (timedelta(days=3, hours=2), b'{"@":"P3DT2H"}'),
    (-timedelta(microseconds=5), b'{"@":"-PT0.000005S"}'),
    (YearsMonths(-14), b'{"@":"-P1Y2M"}'),
    ({"@": "x"}, b'{"=":{"@":"x"}}'),
    ({"#": Decimal("0.5")}, b'{"=":{"#":{"#":"0.5"}}}'),
    ({"=": {"=": 1}}, b'{"=":{"=":{"=":{"=":1}}}}'),
    ({"@": 1, "a": 2}, b'{"@":1,"a":2}'),
    ({"#": 1, "=": date(2026, 1, 1)}, b'{"#":1,"=":{"@":"2026-01-01"}}'),
]


@pytest.mark.parametrize(("value", "data"), TABLE, ids=[data.decode()[:40] for _, data in TABLE])
def test_a_value_has_its_text_and_comes_back(value: Any, data: bytes) -> None:
    assert dump(value) == data
    assert load(data) == value
    assert type(load(data)) is type(value)


@pytest.mark.parametrize(
    ("a", "b"),
    [(Decimal("12.50"), Decimal("12.5")), (Decimal("100"), 100), (Decimal("1E+2"), 100), (Decimal("-0"), 0), (2.0, 2),
     (0.1, Decimal("0.1")), (10**40, Decimal("1E+40")), (Decimal("1E+5"), 100_000), ((1, 2), [1, 2])],
)  # fmt: skip
def test_equal_numbers_are_one_text(a: Any, b: Any) -> None:
    assert dump(a) == dump(b)
    assert dump({"n": [a]}) == dump({"n": [b]})


def test_a_fold_comes_back() -> None:
    second = datetime(2021, 10, 31, 2, 30, tzinfo=PARIS, fold=1)

    assert load(dump(second)).utcoffset() == second.utcoffset() == timedelta(hours=1)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity"), pytest.param(object(), id="object"), b"x", {1}, {1: 2}, "\ud800", {"\ud800": 1},
     compile_expression("[1..2]").evaluate({}, datetime(2026, 1, 1, tzinfo=UTC)).value,
     compile_expression("function(a) a").evaluate({}, datetime(2026, 1, 1, tzinfo=UTC)).value, Decimal("1E+999999"),
     datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=1)))],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"a": {"b": v}}], ids=["bare", "list", "dict"])
def test_what_is_no_value_is_refused(value: Any, wrap: Any) -> None:
    with pytest.raises(NotEncodable):
        dump(wrap(value))


def test_a_value_without_end_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    deep: Any = 1
    for _ in range(600):
        deep = [deep]

    for value in (ring, deep):
        with pytest.raises(NotEncodable):
            dump(value)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"#":"x"}', b'{"#":1}', b'{"@":"yesterday"}', b'{"@":""}', b'{"@":"2026-13-01"}', b'{"=":1}',
             b'{"#":"NaN"}', b'{"@":"10000-01-01"}', b'{"@":"P99999999999D"}'],
)  # fmt: skip
def test_bytes_that_say_nothing_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        load(data)


def test_a_float_in_a_document_from_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="not whole"):
        from_json(orjson.loads(b'{"a":[1.5]}'))


@given(values())
def test_every_value_comes_back(value: Any) -> None:
    assert load(dump(value)) == value


@given(values())
def test_the_bytes_are_canonical(value: Any) -> None:
    assert dump(load(dump(value))) == dump(value)


@given(values())
def test_within_a_bigger_document_a_value_has_the_same_text(value: Any) -> None:
    document = orjson.dumps({"v": to_json(value)}, option=orjson.OPT_SORT_KEYS)

    assert document == b'{"v":' + dump(value) + b"}"
    assert from_json(orjson.loads(document)["v"]) == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), st.integers(0, 9), max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert dump(value) == dump(dict(reversed(value.items())))


@given(values())
def test_dumping_leaves_the_value_alone(value: Any) -> None:
    before = repr(value)
    dump(value)

    assert repr(value) == before


def refusal(call: Any, value: Any) -> str | None:
    try:
        call(value)
    except NotEncodable as error:
        return str(error)
    return None


@given(st.dictionaries(st.one_of(st.text(max_size=3), st.just("\ud800"), st.integers()), st.one_of(values(), st.integers(), st.sampled_from(["\ud800", 1e400, object(), 2**63])), max_size=3))
def test_a_check_refuses_what_could_not_be_written_and_nothing_else(given: dict[Any, Any]) -> None:
    assert refusal(check, given) == refusal(dump, given)
