"""`faults` finds each kind of fault in a drawing that has just that one, and none in a clean drawing."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from engine.layout import faults, lay_out, measures
from tests.layout.sketch import Sketch

_PROCESS = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI"
  xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" xmlns:di="http://www.omg.org/spec/DD/20100524/DI" targetNamespace="t">
  <collaboration id="col"><participant id="pool" name="池" processRef="p"/></collaboration>
  <process id="p">
    <laneSet id="ls"><lane id="lane" name="道"><flowNodeRef>a</flowNodeRef></lane></laneSet>
    <startEvent id="a" name="开始"/><task id="b" name="填写"/><task id="c"/>
    <boundaryEvent id="e" attachedToRef="b"><timerEventDefinition/></boundaryEvent>
    <subProcess id="s"><task id="in"/></subProcess>
    <sequenceFlow id="f" name="是" sourceRef="a" targetRef="b"/><sequenceFlow id="g" sourceRef="b" targetRef="c"/>
  </process>
  <bpmndi:BPMNDiagram id="d"><bpmndi:BPMNPlane id="pl" bpmnElement="col">%s</bpmndi:BPMNPlane></bpmndi:BPMNDiagram>
</definitions>"""

_CLEAN = {
    "pool": (0, 0, 800, 400),
    "lane": (30, 0, 770, 400),
    "a": (60, 82, 36, 36, (60, 122, 36, 14)),
    "b": (160, 60, 100, 80),
    "c": (360, 60, 100, 80),
    "e": (182, 122, 36, 36),
    "s": (500, 40, 200, 200),
    "in": (550, 80, 100, 80),
    "f": ([(96, 100), (160, 100)], (110, 84, 20, 14)),
    "g": ([(260, 100), (360, 100)], None),
}


def _drawn(changes: Mapping[str, object]) -> bytes:
    shapes = []
    for id_, place in {**_CLEAN, **changes}.items():
        if place is None:
            continue
        assert isinstance(place, tuple)
        label = next((p for p in place[1:] if isinstance(p, tuple)), None)
        named = ""
        if label:
            named = f"<bpmndi:BPMNLabel>{_bounds(label)}</bpmndi:BPMNLabel>"
        if isinstance(place[0], list):
            points = "".join(f'<di:waypoint x="{x}" y="{y}"/>' for x, y in place[0])
            shapes.append(f'<bpmndi:BPMNEdge id="{id_}_di" bpmnElement="{id_}">{points}{named}</bpmndi:BPMNEdge>')
        else:
            more = ' isExpanded="true"' if id_ == "s" else ""
            shapes.append(
                f'<bpmndi:BPMNShape id="{id_}_di" bpmnElement="{id_}"{more}>{_bounds(place)}{named}</bpmndi:BPMNShape>'
            )
    return (_PROCESS % "".join(shapes)).encode()


def _bounds(box: tuple[object, ...]) -> str:
    return '<dc:Bounds x="{}" y="{}" width="{}" height="{}"/>'.format(*box[:4])


def test_a_clean_drawing_has_no_faults() -> None:
    assert faults(_drawn({})) == ()


@pytest.mark.parametrize(
    ("changes", "kind", "elements"),
    [
        ({"c": (240, 60, 100, 80), "g": ([(260, 100), (240, 100)], None)}, "shape_overlap", ("b", "c")),
        ({"f": ([(96, 100), (160, 100)], (80, 124, 20, 14))}, "label_on_label", ("a", "f")),
        (
            {"f": ([(96, 100), (160, 100)], (500, 300, 20, 14)), "a": (60, 82, 36, 36, (370, 70, 36, 14))},
            "label_on_shape",
            ("a", "c"),
        ),
        ({"a": (60, 82, 36, 36, (290, 94, 36, 14))}, "label_on_edge", ("a", "g")),
        ({"a": (60, 82, 36, 36, (60, 122, 8, 14))}, "label_hidden", ("a",)),
        ({"b": (160, 60, 30, 30), "e": (182, 72, 36, 36)}, "label_hidden", ("b",)),
        ({"a": (60, 82, 36, 36)}, "label_unplaced", ("a",)),
        ({"f": ([(96, 100), (160, 100)], None)}, "label_unplaced", ("f",)),
        (
            {"g": ([(260, 100), (300, 100), (300, 200), (600, 200), (600, 50), (410, 50), (410, 60)], None)},
            "edge_through_shape",
            ("g", "s"),
        ),
        ({"g": ([(200, 60), (200, 110), (360, 110)], None)}, "edge_through_shape", ("g", "b")),
        ({"g": ([(96, 100), (80, 100), (150, 100), (150, 50), (360, 50), (360, 60)], None)}, "edge_on_edge", ("f", "g")),
        ({"g": ([(300, 100), (360, 100)], None)}, "edge_loose", ("g", "b")),
        ({"g": ([(260, 90), (360, 110)], None)}, "edge_slanted", ("g",)),
        ({"lane": (30, 200, 770, 200)}, "outside_lane", ("a", "lane")),
        ({"c": (750, 60, 100, 80), "g": ([(260, 20), (260, 60)], None)}, "outside_parent", ("c", "pool")),
        ({"in": (650, 80, 100, 80)}, "outside_parent", ("in", "s")),
        ({"e": (192, 82, 36, 36)}, "boundary_off_host", ("e", "b")),
        ({"c": None}, "not_drawn", ("c",)),
        ({"g": None}, "not_drawn", ("g",)),
        ({"lane": None}, "not_drawn", ("lane",)),
    ],
)
def test_each_kind_of_fault_is_found(changes: dict[str, object], kind: str, elements: tuple[str, ...]) -> None:
    found = faults(_drawn(changes))

    assert (kind, elements) in [(fault.kind, fault.elements) for fault in found]


def test_a_fault_says_what_and_where_in_both_languages() -> None:
    (fault,) = faults(_drawn({"a": (60, 82, 36, 36, (60, 122, 8, 14))}))

    assert fault.zh == "“开始”(a) 的文字显示不全"
    assert fault.en == "The label of “开始” (a) does not fit into its place"
    assert fault.where == (60, 122, 8, 14)


def test_a_file_without_a_diagram_has_everything_still_to_be_drawn() -> None:
    found = faults(Sketch("甲", ["道"]).nodes("start a @道\nend b").flows("a > b").xml())

    assert {fault.kind for fault in found} == {"not_drawn"}
    assert {fault.elements[0] for fault in found} == {"a", "b", "flow_1", "lane_道", "pool"}


def test_edges_may_share_a_line_towards_one_target_or_from_one_port() -> None:
    shared = {
        "f": ([(78, 118), (78, 170), (210, 170), (210, 140)], (90, 150, 20, 14)),
        "e": None,
        "a": (60, 82, 36, 36, (60, 64, 36, 14)),
    }
    to_same = {**shared, "g": ([(360, 170), (210, 170), (210, 140)], None), "c": (360, 130, 100, 80)}
    xml = _drawn(to_same).replace(b'sourceRef="b" targetRef="c"', b'sourceRef="c" targetRef="b"')

    assert [fault.kind for fault in faults(xml)] == ["not_drawn"]


def test_crossings_and_bends_are_counted() -> None:
    crossing = {"g": ([(210, 60), (210, 20), (130, 20), (130, 200), (410, 200), (410, 140)], None)}

    measured = measures(_drawn(crossing))

    assert measured.crossings == 1
    assert measured.bends_per_flow == 2
    assert measured.straight_share == 0.5
    assert measured.rightward_share == 1
    assert (measured.width, measured.height) == (800, 400)
    assert (measured.nodes, measured.edges) == (6, 2)


def test_every_plane_is_measured_for_itself() -> None:
    drawn = lay_out(Sketch().nodes("start a\nend b").flows("a > b").xml()).decode()
    more = re.sub(r'bpmnElement="(\w+)"', r'bpmnElement="\1_2"', re.search(r"<bpmndi:BPMNDiagram.*Diagram>", drawn, re.S)[0])  # type: ignore[index]
    second = re.sub(r'="(a|b|flow_1|process)"', r'="\1_2"', re.search(r"<process.*process>", drawn, re.S)[0])  # type: ignore[index]

    both = drawn.replace("</definitions>", f"{second}{more}</definitions>").encode()

    assert faults(both) == ()
    assert measures(both).nodes == 4
