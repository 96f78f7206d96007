"""Expressions of Camunda 7 mean in FEEL what they mean there."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from engine.bpmn.check import check
from engine.bpmn.reader import translated
from engine.feel import compile_expression
from engine.model import Severity
from tests.bpmn.build import call, diagram, process, receive, start
from tests.bpmn.play import Play

_AT = datetime(2026, 1, 1, tzinfo=UTC)


def value(text: str, **variables: Any) -> Any:
    given = {name: Decimal(each) if type(each) is int else each for name, each in variables.items()}
    return compile_expression(translated(text), frozenset(given)).evaluate(given, _AT).value


@pytest.mark.parametrize(("text", "variables", "expected"), [
    ("${!x}", {"x": False}, True),
    ("${x && !y || z}", {"x": True, "y": True, "z": False}, False),
    ("${!(a == 1 && (b == 2 || b == 3))}", {"a": 1, "b": 3}, False),
    ("${a gt 3 and b le 2}", {"a": 4, "b": 2}, True),
    ("#{a ne 1}", {"a": 1}, False),
    ("${a == b == true}", {"a": 1, "b": 1}, True),
    ("${1 - (2 - 3)}", {}, 2),
    ("${-a}", {"a": 3}, -3),
    ("${x == null}", {"x": None}, True),
])  # fmt: skip
def test_operators_bind_as_in_juel(text: str, variables: dict[str, Any], expected: object) -> None:
    assert value(text, **variables) == expected


@pytest.mark.parametrize(("text", "variables", "expected"), [
    ("${a > b ? 'x' : 'y'}", {"a": 2, "b": 1}, "x"),
    ("${a ? 'x' : b ? 'y' : 'z'}", {"a": False, "b": True}, "y"),
    ("${a==1?b:c}", {"a": 2, "b": 5, "c": 6}, 6),
    ("${(a ? 1 : 2) + 1}", {"a": True}, 2),
])  # fmt: skip
def test_a_choice_is_an_if(text: str, variables: dict[str, Any], expected: object) -> None:
    assert value(text, **variables) == expected


@pytest.mark.parametrize(("given", "expected"), [
    (None, True), ("", True), ([], True), ({}, True), ("a", False), ([None], False), (0, False),
])  # fmt: skip
def test_empty_is_true_of_null_and_of_empty_texts_and_lists(given: object, expected: bool) -> None:
    assert value("${empty x}", x=given) is expected
    assert value("${not empty x && true}", x=given) is not expected


@pytest.mark.parametrize(("a", "b", "expected"), [(7, 3, 1), (-7, 3, -1), (7, -3, 1), (-7, -3, -1)])
def test_a_remainder_has_the_sign_of_the_dividend(a: int, b: int, expected: int) -> None:
    assert value("${a % b}", a=a, b=b) == expected
    assert value("${a mod b}", a=a, b=b) == expected


def test_texts_keep_what_looks_like_an_operator() -> None:
    assert value("${name == 'a && b == !c'}", name="a && b == !c") is True
    assert value(r"${name == 'it\'s'}", name="it's") is True
    assert value("""${name == 'say "}"'}""", name='say "}"') is True


@pytest.mark.parametrize(("text", "variables", "expected"), [
    ("${list[0]}", {"list": [Decimal(7)]}, 7),
    ("${list[i]}", {"list": [Decimal(7), Decimal(8)], "i": 1}, 8),
    ("${list.get(1)}", {"list": [Decimal(7), Decimal(8)]}, 8),
    ("${map['a b']}", {"map": {"a b": "v"}}, "v"),
    ("${map[key]}", {"map": {"k": "v"}, "key": "k"}, "v"),
    ("${order.customer.name}", {"order": {"customer": {"name": "n"}}}, "n"),
])  # fmt: skip
def test_items_are_counted_from_nought_and_entries_found_by_name(text: str, variables: dict[str, Any], expected: object) -> None:
    assert value(text, **variables) == expected


@pytest.mark.parametrize(("text", "given", "expected"), [
    ("${x.size() > 1}", [Decimal(1), Decimal(2)], True),
    ("${x.size()}", {"a": None}, 1),
    ("${x.isEmpty()}", [], True),
    ("${!x.isEmpty()}", "a", True),
    ("${x.contains('a')}", ["a"], True),
    ("${x.contains('a')}", "cab", True),
    ("${x.length() == 3}", "abc", True),
    ("${x.equals('abc')}", "abc", True),
    ("${x.equalsIgnoreCase('ABC')}", "abc", True),
    ("${x.toUpperCase().startsWith('AB') && x.endsWith('c')}", "abc", True),
    ("${execution.getVariable('x') == 'abc'}", "abc", True),
    ("${execution.hasVariable('x')}", None, False),
])  # fmt: skip
def test_methods_of_texts_lists_and_the_execution_have_a_feel_meaning(text: str, given: object, expected: object) -> None:
    assert value(text, x=given) == expected


def test_a_text_around_expressions_is_joined() -> None:
    assert value("order ${n} of ${name}", n=4, name="li") == "order 4 of li"


@pytest.mark.parametrize("text", [
    "${bean.ask(1)}", "${ask()}", "${fn:ask(1)}", "${execution.id}", "${execution.getVariable(x)}", "${a +}", "${a b}", "${}", "${in == 1}",
    "${a = 1}", "${list.stream()}",
])  # fmt: skip
def test_what_calls_java_or_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"FEEL has|cannot be read"):
        translated(text)


def test_a_called_process_that_is_given_the_business_key_has_its_callers() -> None:
    key = '<extensionElements><camunda:in businessKey="#{execution.processBusinessKey}"/></extensionElements>'
    inner = process(start("qs"), receive("y", "mA"), "qs>y", id="q")
    xml = diagram(process(start(), call("c", "q", key), "s>c"), inner)
    p = Play(xml, business_key="T-7")

    assert not [each for each in check({"a.bpmn": xml}) if each.severity is not Severity.WARNING]
    [(_, waiting)] = p.subscriptions("mA")
    assert waiting.correlation_key == "T-7"
