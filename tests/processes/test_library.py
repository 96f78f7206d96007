"""The processes of the house: drawn without faults, checked without problems, rehearsed without gaps."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from lxml import etree

import handlers  # noqa: F401  registers
from engine import rehearsal
from engine.access import GROUPS
from engine.assembly import open_engine
from engine.forms import read_form
from engine.layout import faults
from engine.model import Severity
from engine.settings import read_settings

PROCESSES = Path(__file__).parents[2] / "processes"
BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
#: Drawn in full; every other process of the library is a stub that a person completes.
DRAWN = (
    "psm_presale",
    "psm010_onsite_communication",
    "psm020_onsite_survey",
    "psm030_solution",
    "psm040_quotation",
    "psm050_bidding",
    "psm060_negotiation",
    "psm070_contract_text",
    "psm080_contract_signing",
    "bid_amendment_handling",
    "bid_bond",
    "bid_bond_refund",
    "bid_clarification",
    "bid_commercial_response",
    "bid_compliance_gate",
    "bid_confidentiality",
    "bid_consortium",
    "bid_deadline_watch",
    "bid_debrief",
    "bid_deviation_table",
    "bid_evaluation_clarification",
    "bid_go_nogo",
    "bid_group_authorization",
    "bid_objection",
    "bid_opening_defense",
    "bid_preparation",
    "bid_presentation_prep",
    "bid_pricing",
    "bid_qualification_check",
    "bid_result_handling",
    "bid_sealing",
    "bid_submission",
    "bid_team_setup",
    "bid_technical_response",
    "bid_tender_analysis",
    "bid_withdrawal",
)
ALL = sorted(diagram.parent.name for diagram in PROCESSES.glob("*/*.bpmn"))
STUBS = sorted(set(ALL) - set(DRAWN))


def root(key: str) -> etree._Element:
    return etree.fromstring((PROCESSES / key / f"{key}.bpmn").read_bytes())


def test_what_is_drawn_is_there():
    assert set(DRAWN) <= set(ALL)


@pytest.mark.parametrize("key", ALL)
def test_a_diagram_is_drawn_without_a_fault(key):
    assert faults((PROCESSES / key / f"{key}.bpmn").read_bytes()) == ()


@pytest.mark.parametrize("key", ALL)
def test_a_diagram_is_a_pool_with_lanes_named_in_chinese(key):
    document = root(key)

    names = [e.get("name", "") for e in document.iter(f"{BPMN}participant", f"{BPMN}lane", f"{BPMN}userTask", f"{BPMN}callActivity")]

    assert len(list(document.iter(f"{BPMN}participant"))) == 1
    assert all(re.search("[\u4e00-\u9fff]", name) for name in names), names


@pytest.mark.parametrize("key", DRAWN)
def test_every_branch_of_a_split_is_labelled(key):
    document = root(key)
    flows = {f.get("id"): f for f in document.iter(f"{BPMN}sequenceFlow")}

    for gateway in document.iter(f"{BPMN}exclusiveGateway", f"{BPMN}inclusiveGateway"):
        out = [flows[(e.text or "").strip()] for e in gateway.findall(f"{BPMN}outgoing")]
        if len(out) > 1:
            assert gateway.get("name"), gateway.get("id")
            assert all(f.get("name") for f in out), gateway.get("id")


@pytest.mark.parametrize("key", DRAWN)
def test_no_branch_of_what_is_drawn_is_taken_by_default(key):
    """An unknown value becomes an incident, it never slides down a branch."""
    split = [e.get("id") for e in root(key).iter() if isinstance(e.tag, str) and e.get("default")]

    assert split == []


@pytest.mark.parametrize("key", STUBS)
def test_a_stub_says_that_it_is_one_and_a_person_completes_it(key):
    document = root(key)
    tasks = list(document.iter(f"{BPMN}userTask"))

    assert "占位" in next(document.iter(f"{BPMN}participant")).get("name", "")
    assert len(tasks) == 1
    assert "占位" in tasks[0].get("name", "")


@pytest.mark.parametrize("file", sorted(PROCESSES.rglob("*.form")), ids=lambda f: f"{f.parent.parent.name}.{f.stem}")
def test_a_form_is_read_and_is_named_by_its_place(file):
    form = read_form(file.read_bytes(), file.name)

    owner = file.parent.parent if file.parent.name == "forms" else file.parent  # a register is a form and nothing else
    assert form.id == f"{owner.name}.{file.stem}"
    assert all(c.label for c in form.inputs() if c.type != "checkbox")


@pytest.mark.parametrize("key", ALL)
def test_the_work_is_offered_to_roles_of_the_house(key):
    named = {g.strip() for task in root(key).iter(f"{BPMN}userTask") for g in task.get(f"{CAMUNDA}candidateGroups", "").split(",") if g.strip()}

    assert {g for g in named if not g.startswith("=")} <= set(GROUPS)


def test_files_are_read_by_people_too():
    """Chinese stands in them as Chinese, not as numbers."""
    files = [f for f in PROCESSES.rglob("*") if f.suffix in (".bpmn", ".form", ".dmn", ".json")]

    assert [f.name for f in files if re.search(r"&#\d{4,};|\\u[0-9a-f]{4}", f.read_text("utf-8"))] == []


def test_the_checker_finds_nothing(tmp_path):
    engine = open_engine(read_settings({}, data=tmp_path), dispatching=False)
    try:
        found = engine.deployments.check(rehearsal.read_library(PROCESSES))
    finally:
        engine.close()

    assert [(f.file, f.element, f.rule, f.en) for f in found if f.severity is not Severity.WARNING] == []
    assert [(f.file, f.element, f.rule, f.en) for f in found] == []


@pytest.fixture(scope="module")
def runs() -> list[rehearsal.Run]:
    """Every scenario of the library, run once."""
    return list(rehearsal.rehearse(PROCESSES, rehearsal.find_scenarios(PROCESSES), workers=os.cpu_count() or 1).runs)


def test_every_scenario_passes(runs):
    assert {f"{r.process}/{r.name}": r.failure for r in runs if not r.passed} == {}


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("won", "won"), ("lost", "lost"), ("deadline_missed", "lost"), ("deadline_missed_at_the_counter", "lost"), ("deadline_extended", "won"), ("abandoned", "abandoned"),
     ("review_twice", "won"), ("direct_purchase", "won")],
)
def test_the_stories_that_matter_are_told(runs, name, outcome):
    (run,) = [r for r in runs if (r.process, r.name) == ("psm_presale", name)]

    assert run.outcome == outcome


def test_every_node_and_flow_of_what_is_drawn_is_covered(runs):
    coverage = rehearsal.coverage_of({n: d for n, d in rehearsal.read_library(PROCESSES).items()}, runs)

    assert [m for m in coverage.missing if m.split(".")[0] in DRAWN] == []


def test_after_the_deadline_nothing_can_be_submitted():
    """The missed tender's own scenario says so; this keeps it from being taken out."""
    scenario = json.loads((PROCESSES / "psm_presale" / "scenarios" / "deadline_missed_at_the_counter.json").read_text("utf-8"))

    refused = [s for s in scenario["steps"] if s.get("refused") in ("task_not_open", "task_too_late")]

    assert any(s["complete"].startswith("bid_submission.") for s in refused)


def test_no_diagram_negotiates_before_the_award():
    """招标投标法 art. 43. The checker knows the rule; this shows that it bites on a damaged copy of our own diagram."""
    from engine.bpmn.check import CheckContext, check

    text = (PROCESSES / "psm_presale" / "psm_presale.bpmn").read_text("utf-8")
    damaged = text.replace('= "won"', '!= ""', 1) if '= "won"' in text else text.replace("won", "lost", 1)

    found = check({"psm_presale.bpmn": damaged.encode()}, CheckContext())

    assert damaged != text
    assert "LAW-NEGOTIATION" in {f.rule for f in found}
