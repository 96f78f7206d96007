"""The examples of the documentation run as it says."""

from pathlib import Path

import pytest

from engine import rehearsal
from engine.bpmn.check import check
from engine.layout import faults
from engine.model import Severity

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
COLLABORATION = EXAMPLES / "tender_collaboration"


def test_the_example_of_two_pools_is_sound_and_drawn_well() -> None:
    xml = (COLLABORATION / "tender_collaboration.bpmn").read_bytes()

    assert [f for f in check({"tender_collaboration.bpmn": xml}) if f.severity is not Severity.WARNING] == []
    assert faults(xml) == ()


def test_both_pools_of_the_example_run_to_their_ends() -> None:
    report = rehearsal.rehearse(EXAMPLES, rehearsal.find_scenarios(COLLABORATION))

    assert [run.failure for run in report.runs] == ["", ""]
    assert report.coverage.missing == ()


@pytest.mark.parametrize(("step", "says"), [
    ({"in": "tender_nobody", "expect": {}}, "0 instances were started"),
    ({"in": ["tender_bidder", 2], "expect": {}}, "1 instances were started"),
    ({"in": ["tender_bidder", 1], "expect": {"open": ["tender_buyer.publish"]}}, "tender_buyer.publish should be open"),
])  # fmt: skip
def test_a_scenario_that_looks_for_a_pool_that_is_not_there_fails(tmp_path: Path, step: dict[str, object], says: str) -> None:
    scenario = rehearsal.read_scenario(COLLABORATION / "scenarios" / "lost.json")
    changed = rehearsal.Scenario(
        file=tmp_path, name="changed", title="", clock=scenario.clock, start=scenario.start, steps=(scenario.steps[0], step), expect={})

    (run,) = rehearsal.rehearse(EXAMPLES, (changed,)).runs

    assert says in run.failure


def test_the_page_on_diagrams_names_its_example() -> None:
    assert "examples/tender_collaboration" in (EXAMPLES.parent / "diagrams.md").read_text("utf-8")
