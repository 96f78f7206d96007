"""Differences between two versions of a diagram."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from web.difference import Attribute, Kind, differences

_HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn" '
    'xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" id="d" '
    'targetNamespace="t"><process id="p" isExecutable="true">'
)


def diagram(body: str, x: int = 0) -> bytes:
    drawing = f'<bpmndi:BPMNShape id="s" bpmnElement="t1"><dc:Bounds x="{x}" y="0" width="100" height="80"/></bpmndi:BPMNShape>'
    return f"{_HEAD}{body}</process><bpmndi:BPMNDiagram id='di'><bpmndi:BPMNPlane id='pl' bpmnElement='p'>{drawing}</bpmndi:BPMNPlane></bpmndi:BPMNDiagram></definitions>".encode()


def task(name: str = "编制标书", **attributes: str) -> str:
    return f'<userTask id="t1" name="{name}" ' + " ".join(f'camunda:{k}="{v}"' for k, v in attributes.items()) + "/>"


def boundary(duration: str) -> str:
    return (
        f'{task()}<boundaryEvent id="b1" attachedToRef="t1"><timerEventDefinition id="te"><timeDuration>{duration}</timeDuration>'
        "</timerEventDefinition></boundaryEvent>"
    )


def test_two_equal_diagrams_have_no_difference() -> None:
    assert differences(diagram(task()), diagram(task())) == ()


def test_a_changed_timer_is_told_with_its_path_and_both_values() -> None:
    (change,) = differences(diagram(boundary("PT12H")), diagram(boundary("PT1H")))

    assert (change.kind, change.id, change.type) == (Kind.CHANGED, "b1", "boundaryEvent")
    assert change.attributes == (Attribute(path="timerEventDefinition/timeDuration", old="PT12H", new="PT1H"),)


def test_extension_fields_are_told_with_their_prefix() -> None:
    (change,) = differences(diagram(task(assignee="wang")), diagram(task(candidateGroups="bid_manager")))

    assert {(a.path, a.old, a.new) for a in change.attributes} == {
        ("camunda:assignee", "wang", None), ("camunda:candidateGroups", None, "bid_manager"),
    }


def test_a_property_is_addressed_by_its_name_so_that_a_new_first_one_does_not_change_the_others() -> None:
    def with_properties(*pairs: tuple[str, str]) -> str:
        inner = "".join(f'<camunda:property name="{n}" value="{v}"/>' for n, v in pairs)
        return f'<userTask id="t1"><extensionElements><camunda:properties>{inner}</camunda:properties></extensionElements></userTask>'

    (change,) = differences(
        diagram(with_properties(("deadline", "= closes_at"))), diagram(with_properties(("workingDue", "3"), ("deadline", "= closes_at")))
    )

    assert {a.path.split("/")[2] for a in change.attributes} == {"camunda:property[workingDue]"}


def test_conditions_of_flows_are_compared() -> None:
    def flow(condition: str) -> str:
        return f'<sequenceFlow id="f" sourceRef="a" targetRef="b"><conditionExpression>{condition}</conditionExpression></sequenceFlow>'

    (change,) = differences(diagram(flow("amount &gt; 1")), diagram(flow("amount &gt; 2")))

    assert change.attributes == (Attribute(path="conditionExpression", old="amount > 1", new="amount > 2"),)


def test_what_only_moved_is_told_apart() -> None:
    (change,) = differences(diagram(task(), x=0), diagram(task(), x=50))

    assert (change.kind, change.id) == (Kind.LAYOUT, "t1")


def test_an_element_that_changed_its_type_is_one_change() -> None:
    (change,) = differences(diagram('<userTask id="t1"/>'), diagram('<serviceTask id="t1"/>'))

    assert change.attributes == (Attribute(path="type", old="userTask", new="serviceTask"),)


def test_added_and_removed_elements_come_first() -> None:
    changes = differences(diagram('<userTask id="t1" name="a"/><task id="x"/>'), diagram('<userTask id="t1" name="b"/><task id="y"/>'))

    assert [(c.kind, c.id) for c in changes] == [(Kind.REMOVED, "x"), (Kind.ADDED, "y"), (Kind.CHANGED, "t1")]


def test_comments_and_spaces_mean_nothing() -> None:
    assert differences(diagram("<userTask id='t1'/>"), diagram("<!-- why -->\n <userTask   id='t1'><!-- x --></userTask>")) == ()


def test_entities_are_not_read() -> None:
    hostile = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///nowhere">]>' + diagram(task()).replace("编制标书".encode(), b"&x;")

    with pytest.raises(etree.XMLSyntaxError):
        differences(diagram(task()), hostile)


_BODIES = st.lists(
    st.tuples(st.sampled_from(["userTask", "serviceTask", "task"]), st.integers(0, 5), st.text("abc", max_size=3)), max_size=6,
    unique_by=lambda e: e[1],
).map(lambda elements: diagram("".join(f'<{tag} id="e{n}" name="{name}"/>' for tag, n, name in elements)))


@given(_BODIES, _BODIES)
def test_the_way_back_has_the_same_changes_turned_round(a: bytes, b: bytes) -> None:
    turned = {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED}

    there = {(turned.get(c.kind, c.kind), c.id, tuple((x.path, x.new, x.old) for x in c.attributes)) for c in differences(a, b)}
    back = {(c.kind, c.id, tuple((x.path, x.old, x.new) for x in c.attributes)) for c in differences(b, a)}

    assert there == back
