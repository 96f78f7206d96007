"""The conformance cases of others, run as their runners do, through the façade. `docs/conformance.md` says what is left and why."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from engine.bpmn.check import STRICT, CheckContext, check
from engine.model import Finding, Severity
from tests.conformance.suite import CONFORMANCE, PAGE, failing, figures, known, results

pytestmark = pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="the cases of others are not beside this folder")


def refusals(policy: Mapping[str, Severity | None]) -> dict[str, list[Finding]]:
    """Return ``{constraint case: findings that refuse its diagram}``."""
    from translate import translate_betsy

    from tests.conformance.foreign import DIALECT, prepared  # not before it is known that the cases are there

    found: dict[str, list[Finding]] = {}
    for case in json.loads((CONFORMANCE / "betsy.json").read_text("utf-8"))["constraints"]:
        xml = (CONFORMANCE / "files/betsy" / case["file"]).read_bytes()
        file = prepared(translate_betsy(xml, DIALECT)[0]).xml
        told = check({case["id"]: file}, CheckContext(policy=policy))
        found[case["id"]] = [f for f in told if f.severity is not Severity.WARNING]
    return found


def test_what_fails_is_what_the_page_lists() -> None:
    left = {id for suite in ("betsy", "Camunda", "DMN TCK") for id in failing(results(suite))}

    assert left == known().keys()


def test_the_page_has_the_figures() -> None:
    assert figures() in PAGE.read_text("utf-8"), "run python -m tests.conformance.suite"


def test_the_figures_do_not_fall() -> None:
    betsy = [each for each in results("betsy") if each["category"] != "constraints"]

    assert (len(betsy), len(results("Camunda")), len(results("DMN TCK"))) == (91, 76, 2461)
    assert len(failing(betsy)) <= 2
    assert len(failing(results("betsy"))) - len(failing(betsy)) <= 146 - 134
    assert len(failing(results("Camunda"))) <= 1
    assert not failing(results("DMN TCK"))


def test_no_case_gives_a_wrong_result_without_an_error_being_shown() -> None:
    silent = {
        each["id"] for suite in ("betsy", "Camunda") for each in results(suite)
        if not each["ok"] and each.get("deployed") and each.get("state") != "error"
    }

    assert silent == {id for id, why in known().items() if why.kind == "case"}


def test_every_diagram_that_breaks_a_rule_of_the_standard_is_refused_by_an_element() -> None:
    default, strict = refusals({}), refusals(STRICT)

    assert {id for id, told in default.items() if not told} == {id for id, why in known().items() if why.kind == "not refused"}
    assert [id for id, told in strict.items() if not told] == []
    for told in (default, strict):
        assert [id for id, each in told.items() if each and not any(f.element for f in each)] == []


def test_no_valid_diagram_is_refused_but_those_the_page_lists() -> None:
    refused = {each["id"] for suite in ("betsy", "Camunda") for each in results(suite) if each.get("deployed") is False}
    wanted = {
        each["id"] for each in results("betsy")
        if each["category"] != "constraints" and {"ERROR", "ERROR_deployment"} & set(each["expected"])
    }

    assert refused - wanted == {id for id, why in known().items() if why.kind == "refused"}
