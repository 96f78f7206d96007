"""Each rule speaks up at its bad diagram and is silent at the good one."""

import re

import pytest

from engine.bpmn.check import LENIENT, RULES, STRICT, CheckContext, check, line_of
from engine.model import Severity
from tests.check.cases import CASES


def told(case, rule):
    policy = {rule: STRICT.get(rule, RULES[rule].severity)} if rule in LENIENT else {}
    context = CheckContext(**{**{name: getattr(case.context, name) for name in case.context.__slots__}, "policy": policy})
    return [finding for finding in check({"a.bpmn": case.xml, **case.beside}, context) if finding.rule == rule]


def test_every_rule_has_a_pair_of_cases():
    assert CASES.keys() == RULES.keys()


@pytest.mark.parametrize("rule", CASES)
def test_rule_tells_the_bad_diagram(rule):
    found = told(CASES[rule][0], rule)

    assert found


@pytest.mark.parametrize("rule", CASES)
def test_rule_is_silent_at_the_good_diagram(rule):
    assert not told(CASES[rule][1], rule)


@pytest.mark.parametrize("rule", CASES)
def test_finding_names_element_line_and_mending_in_both_languages(rule):
    finding = told(CASES[rule][0], rule)[0]

    assert finding.line >= 1
    assert finding.element or rule in {"IMPORT", "IMPORT-TYPE", "EXTENSION-MUST"}  # nothing around them that a modeler shows
    for text in (finding.zh, finding.en, finding.mend_zh, finding.mend_en):
        assert text.strip()
        assert not re.search(r"\{\w+\}", text)  # a fact that the rule did not give
    for language in ("zh", "en"):
        assert "\n" not in line_of(finding, language)
        assert finding.rule in line_of(finding, language)


def test_policy_changes_a_severity_and_silences_a_rule():
    bad = {"a.bpmn": CASES["EV-NO-END"][0].xml}

    assert [each.severity for each in check(bad) if each.rule == "EV-NO-END"] == [Severity.WARNING]
    strict = check(bad, CheckContext(policy=STRICT))
    assert [each.severity for each in strict if each.rule == "EV-NO-END"] == [Severity.DRAFT]
    assert not [each for each in check(bad, CheckContext(policy={"EV-NO-END": None})) if each.rule == "EV-NO-END"]
