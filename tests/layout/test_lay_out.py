"""What `lay_out` promises of the file: only the diagram changes, always to the same bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from engine.errors import EngineError
from engine.layout import UnreadableDiagram, faults, lay_out
from tests.layout.cases import CASES
from tests.layout.sketch import Sketch

_ROOT = Path(__file__).parents[2]
_DI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
_DC = "{http://www.omg.org/spec/DD/20100524/DC}"


def _small() -> Sketch:
    return (
        Sketch("小流程")
        .nodes("start a 开始\nuser b 填写\nxor c 通过?\nend d 完成\nend e")
        .flows("a > b > c\nc > d : 是\nc > e : 否")
    )


def _without_diagram(xml: bytes) -> bytes:
    root = etree.fromstring(xml)
    for diagram in root.findall(f"{_DI}BPMNDiagram"):
        root.remove(diagram)
    return etree.tostring(root, method="c14n", with_comments=True)


def _bounds(xml: bytes, id_: str) -> tuple[float, float, float, float]:
    shape = etree.fromstring(xml).find(f".//{_DI}BPMNShape[@bpmnElement='{id_}']")
    assert shape is not None
    box = shape.find(f"{_DC}Bounds")
    assert box is not None
    x, y, w, h = (float(box.get(key) or 0) for key in ("x", "y", "width", "height"))
    return x, y, w, h


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_drawing_again_gives_the_same_bytes(case: Callable[[], Sketch]) -> None:
    drawn = lay_out(case().xml(), 5)

    assert lay_out(drawn, 5) == drawn


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_semantic_part_stays_as_it_is(case: Callable[[], Sketch]) -> None:
    xml = case().xml()

    drawn = lay_out(xml, 0)

    assert _without_diagram(drawn).split() == _without_diagram(xml).split()
    start, end = (
        drawn.index(b"  <bpmndi:BPMNDiagram"),
        drawn.index(b"</bpmndi:BPMNDiagram>\n") + len(b"</bpmndi:BPMNDiagram>\n"),
    )
    assert drawn[:start] + drawn[end:] == xml


def test_comments_formatting_line_ends_and_other_roots_are_kept_byte_for_byte() -> None:
    xml = _small().xml(after="<!-- 保留 &lt; -->\n  <message   id='m'  name = \"a&gt;b\"/>").replace(b"\n", b"\r\n")
    with_diagram = xml.replace(
        b"</definitions>",
        b'<x:BPMNDiagram xmlns:x="http://www.omg.org/spec/BPMN/20100524/DI" id="old" name="a>b"/><!-- after --></definitions>',
    )

    drawn = lay_out(with_diagram)

    before, _, rest = drawn.partition(b"<bpmndi:BPMNDiagram")
    diagram, _, after = rest.rpartition(b"</bpmndi:BPMNDiagram>")
    assert before == xml[: xml.index(b"</definitions>")]
    assert after == b"<!-- after --></definitions>\r\n"
    assert diagram.count(b"\n") == diagram.count(b"\r\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_the_encoding_of_the_file_is_kept(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = _small().xml().decode().replace('encoding="UTF-8"', f'encoding="{declared}"')

    drawn = lay_out(text.encode(encoding))

    assert "小流程" in drawn.decode(encoding)
    assert drawn.decode(encoding).startswith(text[:200])
    assert lay_out(drawn) == drawn


def test_prefixes_of_the_file_are_used_and_every_diagram_but_one_goes() -> None:
    declared = b'<definitions xmlns:bi="http://www.omg.org/spec/BPMN/20100524/DI" '
    xml = _small().xml().replace(b"<definitions ", declared)
    two = b'<bi:BPMNDiagram id="one"/>\n  <bi:BPMNDiagram id="two"></bi:BPMNDiagram>\n</definitions>'

    drawn = lay_out(xml.replace(b"</definitions>", two))

    assert drawn.count(b"<bi:BPMNDiagram") == 1
    assert b"xmlns:bpmndi" not in drawn
    assert lay_out(drawn) == drawn


def test_colours_and_label_styles_of_the_author_are_kept() -> None:
    drawn = lay_out(_small().xml()).decode()
    coloured = drawn.replace(
        'bpmnElement="b"',
        'bpmnElement="b" bioc:stroke="#831311" bioc:fill="#ffcdd2" xmlns:bioc="http://bpmn.io/schema/bpmn/biocolor/1.0"',
    ).replace("<bpmndi:BPMNLabel>", '<bpmndi:BPMNLabel labelStyle="bold">')
    style = (
        '<bpmndi:BPMNLabelStyle id="bold"><dc:Font name="Arial" isBold="true"/></bpmndi:BPMNLabelStyle></bpmndi:BPMNDiagram>'
    )
    coloured = coloured.replace("</bpmndi:BPMNDiagram>", style)

    again = lay_out(coloured.encode())

    shape = etree.fromstring(again).find(f".//{_DI}BPMNShape[@bpmnElement='b']")
    assert shape is not None
    assert shape.get("{http://bpmn.io/schema/bpmn/biocolor/1.0}fill") == "#ffcdd2"
    assert again.count(b'labelStyle="bold"') == drawn.count("<bpmndi:BPMNLabel>")
    assert b'isBold="true"' in again
    assert lay_out(again) == again


def test_lanes_keep_the_order_of_the_author() -> None:
    drawn = lay_out(CASES["bidding"]().xml(), 0)

    tops = [_bounds(drawn, f"lane_{name}")[1] for name in CASES["bidding"]().lanes]

    assert tops == sorted(tops)


def test_lanes_without_a_pool_are_drawn_and_no_pool_is_invented() -> None:
    xml = re.sub(rb"<collaboration.*</collaboration>", b"", CASES["preparation"]().xml())

    drawn = lay_out(xml, 0)

    assert b"collaboration" not in drawn
    assert faults(drawn) == ()


def test_an_id_of_the_file_is_never_used_twice() -> None:
    xml = _small().xml().replace(b'id="e"', b'id="b_di"').replace(b'targetRef="e"', b'targetRef="b_di"')

    ids = [el.get("id") for el in etree.fromstring(lay_out(xml)).iter() if el.get("id")]

    assert len(ids) == len(set(ids))


def test_hash_seeds_do_not_matter() -> None:
    program = (
        "import sys, hashlib; from engine.layout import lay_out; from tests.layout.cases import CASES\n"
        "print([hashlib.sha256(lay_out(case().xml(), 3)).hexdigest() for case in CASES.values()])"
    )

    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(_ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(answers) == 1


def test_groups_stay_around_what_they_held() -> None:
    category = '<category id="k"><categoryValue id="v" value="评审"/></category>'
    process = _small().raw('<group id="g" categoryValueRef="v"/>')
    drawn = lay_out(process.xml(after=category)).decode()
    x, y, w, h = _bounds(drawn.encode(), "b")
    around = f'x="{x - 5:.0f}" y="{y - 5:.0f}" width="{w + 10:.0f}" height="{h + 10:.0f}"'
    moved = re.sub(r'(bpmnElement="g">\s*<dc:Bounds) [^/]*/', rf"\1 {around} /", drawn)

    again = lay_out(moved.encode())

    gx, gy, gw, gh = _bounds(again, "g")
    assert gx < x
    assert gy < y
    assert x + w < gx + gw < _bounds(again, "c")[0]
    assert y + h < gy + gh
    assert lay_out(again) == again
    assert faults(again) == ()


def test_groups_hold_what_their_category_names_without_a_diagram() -> None:
    category = '<category id="k"><categoryValue id="v" value="评审"/></category>'
    process = _small().raw('<group id="g" categoryValueRef="v"/>')
    xml = process.xml(after=category)
    xml = re.sub(rb'(<userTask id="b"[^>]*>)', rb"\1<categoryValueRef>v</categoryValueRef>", xml)

    drawn = lay_out(xml)

    gx, _, gw, _ = _bounds(drawn, "g")
    x, _, w, _ = _bounds(drawn, "b")
    assert gx < x < x + w < gx + gw


def test_notes_on_nodes_and_on_flows_are_tied_to_them() -> None:
    notes = """
        <textAnnotation id="n1"><text>填写前请先核对招标文件的全部条款</text></textAnnotation>
        <textAnnotation id="n2"><text>两人通过才算</text></textAnnotation>
        <association id="t1" sourceRef="b" targetRef="n1"/>
        <association id="t2" sourceRef="n2" targetRef="flow_3"/>
    """

    drawn = lay_out(_small().raw(notes).xml())

    assert faults(drawn) == ()
    assert drawn.count(b"<bpmndi:BPMNEdge") == 6


def test_a_sub_process_without_content_is_a_box_of_a_task() -> None:
    process = Sketch().nodes("start a\nsubProcess b 待细化\nend c").flows("a > b > c")

    drawn = lay_out(process.xml())

    assert _bounds(drawn, "b")[2:] == (100, 80)


def test_processes_without_a_pool_beside_a_collaboration_get_a_plane_of_their_own() -> None:
    xml = CASES["preparation"]().xml(after='\n  <process id="other"><task id="alone" name="单独"/></process>')

    drawn = lay_out(xml, 0)

    assert drawn.count(b"<bpmndi:BPMNPlane") == 2
    assert faults(drawn) == ()
    assert lay_out(drawn, 0) == drawn


def test_a_file_without_process_is_left_alone() -> None:
    xml = b'<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>'

    assert lay_out(xml) == xml


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"<!DOCTYPE d [<!ENTITY a 'b'>]><d>&a;</d>", "DOCTYPE"),
        (b"<!DOCTYPE d SYSTEM 'file:///etc/passwd'><d/>", "DOCTYPE"),
        (b"<definitions>", "well-formed"),
        (b"not xml", "well-formed"),
        (b"", "well-formed"),
        (b"<definitions/>", "root"),
        (b"<?xml version='1.0' encoding='nonsense'?><a/>", "nonsense"),
        (b"\xff<a/>", "utf-8"),
        (_small().xml().replace(b'id="e"', b'id="d"'), "have id d"),
    ],
)
@pytest.mark.parametrize("function", [lay_out, faults])
def test_what_is_no_safe_bpmn_file_is_refused_in_both_languages(
    function: Callable[[bytes], object], xml: bytes, reason: str
) -> None:
    with pytest.raises(UnreadableDiagram, match=reason) as refused:
        function(xml)

    assert isinstance(refused.value, EngineError)
    assert refused.value.text("zh").startswith("无法读取流程图文件：")
