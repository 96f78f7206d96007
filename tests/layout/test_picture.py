"""The SVG shows every element of the diagram, with the marks by which its kind is told."""

from __future__ import annotations

import pytest
from lxml import etree

from engine.layout import UnreadableDiagram, lay_out
from engine.layout.picture import draw_svg
from tests.layout.cases import CASES
from tests.layout.sketch import Sketch

_SVG = "{http://www.w3.org/2000/svg}"


def _svg(process: Sketch, after: str = "") -> etree._Element:
    return etree.fromstring(draw_svg(lay_out(process.xml(after=after), 0)))


def _group(svg: etree._Element, id_: str) -> str:
    for g in svg.iter(f"{_SVG}g"):
        if g.get("data-element-id") == id_:
            return etree.tostring(g, encoding="unicode")
    raise AssertionError(f"{id_} is not in the picture")


@pytest.mark.parametrize("name", CASES)
def test_everything_drawn_is_in_the_picture(name: str) -> None:
    drawn = lay_out(CASES[name]().xml(), 0)

    svg = etree.fromstring(draw_svg(drawn))

    shown = {g.get("data-element-id") for g in svg.iter(f"{_SVG}g") if g.get("data-element-id")}
    di = "{http://www.omg.org/spec/BPMN/20100524/DI}"
    assert shown == {el.get("bpmnElement") for el in etree.fromstring(drawn).iter(f"{di}BPMNShape", f"{di}BPMNEdge")}
    assert draw_svg(drawn) == draw_svg(drawn)


def test_texts_are_escaped_and_colours_kept() -> None:
    drawn = lay_out(Sketch().nodes("user a <b>&\"'").xml()).replace(
        b'bpmnElement="a"',
        b'bpmnElement="a" xmlns:bioc="http://bpmn.io/schema/bpmn/biocolor/1.0" bioc:fill="#ffcdd2&quot;/&gt;"',
    )

    svg = etree.fromstring(draw_svg(drawn))

    assert "".join(str(t) for t in svg.itertext()).split() == ["<b>&\"'"]
    assert 'fill="#ffcdd2&quot;/&gt;"' in _group(svg, "a")


def test_kinds_are_told_apart() -> None:
    kinds = ["user", "service", "script", "rule", "send", "receive", "manualTask", "task", "call", "subProcess"]
    gateways = ["xor", "and", "or", "eventBasedGateway", "complexGateway"]
    definitions = [
        "message",
        "timer",
        "error",
        "escalation",
        "signal",
        "conditional",
        "link",
        "compensate",
        "cancel",
        "terminate",
    ]
    lines = [f"{kind} n{k}" for k, kind in enumerate(kinds + gateways)]
    lines += [f"end!{definition} e{k}" for k, definition in enumerate(definitions)]
    lines += ["start s1", "start~!timer s2", "catch!timer s3", "end s4"]

    svg = _svg(Sketch().nodes("\n".join(lines)))

    bodies = []
    for id_ in [line.split()[1] for line in lines]:
        group = etree.fromstring(_group(svg, id_))
        bodies.append(
            "".join(etree.tostring(el, encoding="unicode") for el in group.iter(f"{_SVG}path", f"{_SVG}circle", f"{_SVG}rect"))
        )
    shapes = [etree.fromstring(f"<g>{body}</g>") for body in bodies]
    told = [
        "|".join(el.get("d", el.get("r", "")) + el.get("stroke-width", "") + el.get("stroke-dasharray", "") for el in g)
        for g in shapes
    ]
    assert len(set(told)) >= len(lines) - 1


def test_default_conditional_message_and_association_lines_have_their_marks() -> None:
    process = Sketch("甲", ["道"]).nodes("start a @道\nxor b\nuser c\nuser d\nend e")
    process.flows("a > b\nb > c : 是\nb > d : 否\nc > e\nd > e")
    process.raw(
        '<textAnnotation id="n"><text>注</text></textAnnotation><association id="t" sourceRef="d" targetRef="n"/>'
        '<dataObject id="o"/><dataObjectReference id="r" dataObjectRef="o" name="标书"/>'
    )
    xml = (
        process.xml()
        .replace(b'id="b"', b'id="b" default="flow_3"')
        .replace(b'targetRef="e"/>', b'targetRef="e"><conditionExpression/></sequenceFlow>')
    )
    xml = xml.replace(
        b"</collaboration>",
        b'<participant id="other" name="B"/><messageFlow id="m" sourceRef="c" targetRef="other"/></collaboration>',
    )

    svg = etree.fromstring(draw_svg(lay_out(xml)))

    assert _group(svg, "flow_3").count("<path") == 3
    assert _group(svg, "flow_2").count("<path") == 2
    assert _group(svg, "flow_4").count("<path") == 3
    assert "stroke-dasharray" in _group(svg, "m")
    assert "<circle" in _group(svg, "m")
    assert "stroke-dasharray" in _group(svg, "t")
    assert "<path" in _group(svg, "r")


def test_event_sub_processes_are_dotted_and_nothing_is_outside_the_frame() -> None:
    svg = _svg(CASES["presale"]())

    assert "stroke-dasharray" in _group(svg, "cancel")
    _, _, width, height = (float(v) for v in str(svg.get("viewBox")).split())
    assert width > 1000
    assert height > 500


def test_a_file_without_a_diagram_is_refused() -> None:
    with pytest.raises(UnreadableDiagram, match="no diagram"):
        draw_svg(Sketch().nodes("start a").xml())
