"""What a deployment says of decision tables: contradictions keep it out, gaps and dead rows are told."""

import pytest

from engine.bpmn.check import check_decisions
from engine.errors import InvalidDiagram
from engine.feel.dmn import load_decisions
from engine.model import Finding, Severity
from tests.service.house import House


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.close()


def table(*rows: tuple[str, str], policy: str = "UNIQUE", reads: str = "amount", top: str = "") -> bytes:
    """A decision `d` of one number; `rows`: ``(test, output)``."""
    made = "\n".join(
        f"<rule><inputEntry><text><![CDATA[{test}]]></text></inputEntry><outputEntry><text>{output}</text></outputEntry></rule>"
        for test, output in rows)
    return f"""<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="x" name="x" namespace="urn:x">{top}
<decision id="d" name="d"><decisionTable hitPolicy="{policy}">
<input><inputExpression typeRef="number"><text>{reads}</text></inputExpression></input><output name="o"/>
{made}
</decisionTable></decision></definitions>""".encode()


def told(xml: bytes) -> list[tuple[str, Severity]]:
    return [(each.rule, each.severity) for each in check_decisions(load_decisions(xml), "a.dmn")]


COMPLETE = (("<= 10", '"a"'), ("> 10", '"b"'))


def test_a_sound_table_has_nothing_to_mend():
    assert told(table(*COMPLETE)) == []


def test_rows_that_match_together_are_refused_under_unique_and_told_under_any():
    rows = ("<= 10", '"a"'), (">= 10", '"b"')

    assert told(table(*rows)) == [("DECISION-OVERLAP", Severity.DRAFT)]
    assert told(table(*rows, policy="ANY")) == [("DECISION-OVERLAP", Severity.WARNING)]
    assert told(table(*rows, policy="FIRST")) == []


def test_a_case_without_a_row_and_a_row_that_never_decides_are_told():
    assert told(table(("< 10", '"a"'), ("> 10", '"b"'))) == [("DECISION-GAP", Severity.WARNING)]
    assert told(table(("-", '"a"'), ("> 10", '"b"'), policy="FIRST")) == [("DECISION-MASKED", Severity.WARNING)]


def test_a_cell_that_computes_is_said_not_to_be_analysed():
    assert ("DECISION-NOT-ANALYSED", Severity.WARNING) in told(table(("> 10 * limit", '"a"'), ("-", '"b"'), policy="FIRST"))


def test_a_name_that_nothing_gives_is_told():
    declared = '<inputData id="amount" name="amount"/>'

    assert ("DECISION-NAME", Severity.WARNING) in told(table(*COMPLETE, reads="amont", top=declared))


def test_finding_names_the_decision_its_line_and_an_example_in_both_languages():
    (found,) = check_decisions(load_decisions(table(("< 10", '"a"'), ("> 10", '"b"'))), "a.dmn")

    assert isinstance(found, Finding)
    assert (found.file, found.element, found.line > 0) == ("a.dmn", "d", True)
    assert "amount = 10" in found.zh
    assert "amount = 10" in found.en
    assert found.mend_zh
    assert found.mend_en


def test_a_deployment_with_a_contradicting_table_is_refused_and_one_with_a_gap_is_not(house: House):
    with pytest.raises(InvalidDiagram) as refused:
        house.deploy(files={"d.dmn": table(("<= 10", '"a"'), (">= 10", '"b"'))})
    made = house.deploy(files={"d.dmn": table(("< 10", '"a"'), ("> 10", '"b"'))})

    assert [(each.rule, each.file) for each in refused.value.findings] == [("DECISION-OVERLAP", "d.dmn")]
    assert [(each.rule, each.severity) for each in made.findings] == [("DECISION-GAP", Severity.WARNING)]
