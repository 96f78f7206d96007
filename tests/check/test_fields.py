"""The table of fields, the page that explains them, and what the panel is given agree."""

import json
import re
from pathlib import Path

from engine.bpmn import fields
from engine.bpmn.check import as_markdown
from engine.bpmn.fields import FIELDS, GROUPS, Form, ValueKind

DOCS = Path(__file__).parents[2] / "docs"


def named_in_the_page() -> set[str]:
    """Field names of the hand-written table: the second column's words in backticks."""
    rows = re.findall(r"^\|(?!--)(?! where)([^|]*)\|([^|]*)\|([^|]*)\|$", (DOCS / "diagrams.md").read_text("utf-8"), re.M)
    found = set()
    for _, column, _ in rows:
        for word in re.findall(r"`([^`]+)`", column):
            found.add(word.removeprefix("camunda:").split("=")[0])
    return found


def test_every_field_stands_in_the_page():
    assert {field.name for field in FIELDS} <= named_in_the_page()


def test_every_name_of_the_page_is_a_field():
    parts = {part for field in FIELDS for part in field.parts}
    values = {choice for field in FIELDS for choice in field.choices} | {"true"}

    assert named_in_the_page() <= {field.name for field in FIELDS} | parts | values


def test_page_carries_the_generated_table():
    assert fields.as_markdown() in (DOCS / "diagrams.md").read_text("utf-8")


def test_page_of_rules_is_in_step():
    assert as_markdown() in (DOCS / "checks.md").read_text("utf-8")


def test_no_field_is_written_twice_for_one_place():
    seen = [(field.name, field.form, place) for field in FIELDS for place in field.places]

    assert len(seen) == len(set(seen))


def test_every_field_has_texts_a_heading_and_choices_where_it_offers_some():
    headings = {group.id for group in GROUPS}
    for field in FIELDS:
        assert all((field.zh, field.en, field.help_zh, field.help_en))
        assert field.group in headings
        assert bool(field.choices) == (field.value is ValueKind.CHOICE)
        assert bool(field.parts) == (field.value is ValueKind.MAPPING)
    assert headings == {field.group for field in FIELDS}


def test_panel_is_given_everything_as_json():
    table = json.loads(json.dumps(fields.as_json()))

    assert table["namespace"] == "http://camunda.org/schema/1.0/bpmn"
    assert len(table["fields"]) == len(FIELDS)
    due = next(each for each in table["fields"] if each["name"] == "workingDue")
    assert due["form"] == "property"
    assert due["places"] == [{"kind": "userTask", "event": ""}, {"kind": "globalUserTask", "event": ""}]
    assert due["label"]["zh"]


def test_a_field_applies_to_an_event_by_its_definition():
    form = next(field for field in FIELDS if field.name == "formKey")

    assert form.applies_to("startEvent")
    assert not form.applies_to("startEvent", frozenset({"message"}))
    assert form.form is Form.ATTRIBUTE
    assert [field.name for field in fields.fields_of("receiveTask")] == ["correlationKey", "candidateGroups", "form"]
