"""Mistakes of types are told with the place, as far as forms and decisions say the types."""

import json
from dataclasses import replace

import pytest

from engine.bpmn.check import CheckContext, DecisionNames, FormNames, check
from engine.model import Severity
from tests.bpmn.build import (
    catch,
    diagram,
    element,
    end,
    exclusive,
    many,
    mapping,
    process,
    script,
    service,
    start,
    timer,
    user,
)
from tests.service.house import House

WORLD = CheckContext(
    form_names={
        "f": FormNames(
            writes=frozenset({"amount", "title", "closes", "rows"}), reads=(("amount", "amount > title", frozenset()),),
            types={"amount": "number", "title": "string", "closes": "date and time", "rows": ("list", ("context", {"n": "number"}))}),
        "g": FormNames(writes=frozenset({"amount"}), types={"amount": "string"}),
    },
    decision_names={"d": DecisionNames(writes=frozenset({"route", "level"}), types={"route": "string", "level": "number"})},
    job_outputs={"work": {"amount": "string"}, "any": {"amount": None}},
)


def told(*parts: str, context: CheckContext = WORLD) -> list[str]:
    xml = diagram(process(start("b", camunda_formKey="f"), *parts))
    return [each.zh for each in check({"a.bpmn": xml}, context) if each.rule == "EXPR-TYPE" and "表单" not in each.zh]


def reading(text: str) -> tuple[str, ...]:
    return script("x", text, camunda_resultVariable="y"), "b>x"


def deciding(condition: str) -> tuple[str, ...]:
    return exclusive("g"), end("e1"), end("e2"), "b>g", f"g>e1: {condition}", "g>e2!"


def test_a_condition_that_compares_a_number_with_a_text_is_told_with_its_place():
    assert told(*deciding('amount > "1000"')) == ['表达式“amount > "1000"”第 1 行第 1 列：数字不能与文本比较']


@pytest.mark.parametrize("condition", ["amount > 1000", 'title = "a"', "closes > now()", "rows[1].n > 3", "unknown > 3"])
def test_a_condition_of_fitting_types_is_let_pass(condition):
    assert told(*deciding(condition)) == []


@pytest.mark.parametrize(("parts", "wanted"), [
    (deciding("amount + 1"), "结果是数字，而这里需要布尔值"),
    ((catch("t", timer("timeDate", "amount")), "b>t"), "结果是数字，而这里需要日期或日期时间或文本"),
    ((catch("t", timer("timeDuration", "closes")), "b>t"), "结果是日期时间，而这里需要天时长度或文本或年月长度"),
    ((user("t", many("title")), "b>t"), "结果是文本，而这里需要数字"),
])
def test_a_value_of_another_kind_than_the_place_needs_is_told(parts, wanted):
    assert [each.rpartition("：")[2] for each in told(*parts)] == [wanted]


@pytest.mark.parametrize("writer", [
    user("w", camunda_formKey="g"), service("w", "work"), service("w", "any"), script("w", "1", camunda_resultVariable="amount"),
    service("w", "quiet", mapping({}, {"amount": "1"})),
])
def test_a_variable_that_others_write_too_may_be_anything(writer):
    assert told(writer, *reading('amount > "1000"')) == []


def test_the_columns_of_a_decision_have_types():
    rule = element("businessRuleTask", "r", camunda_decisionRef="d")

    assert [each.rpartition("：")[2] for each in told(rule, *reading("route * level"))] == ["“*”不能用于文本和数字"]


def test_what_a_handler_declares_has_a_type():
    context = replace(WORLD, job_outputs={"work": {"made": "date"}})

    assert [each.rpartition("：")[2] for each in told(service("w", "work"), *reading("made * 2"), context=context)] == [
        "“*”不能用于日期和数字"]


def test_the_rules_of_a_form_are_checked_where_it_is_used():
    found = check({"a.bpmn": diagram(process(start("b", camunda_formKey="f"), end(), "b>e"))}, WORLD)

    assert [(each.element, each.severity) for each in found if each.rule == "EXPR-TYPE"] == [("b", Severity.WARNING)]


def test_a_deployment_knows_the_types_of_its_own_forms_and_tables(tmp_path):
    house = House(tmp_path)
    form = {"id": "p.b", "type": "default", "components": [
        {"type": "number", "key": "amount", "label": "金额"}, {"type": "datetime", "key": "closes", "subtype": "datetime", "label": "截止"}]}
    xml = diagram(process(start("b", camunda_formKey="p.b"), *deciding("amount > closes")))

    found = house.engine.deployments.check({"p.bpmn": xml, "p.b.form": json.dumps(form).encode()})

    assert ["数字不能与日期时间比较" in each.zh for each in found if each.rule == "EXPR-TYPE"] == [True]
    house.close()
