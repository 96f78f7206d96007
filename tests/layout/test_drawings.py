"""How drawings turn out: without faults, the main path straight to the right, and no random process breaks that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from engine.layout import faults, lay_out, measures
from tests.layout.cases import CASES
from tests.layout.sketch import Sketch

_FILES = Path(__file__).parents[2].parent / "shared" / "conformance" / "files"
_DI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
_DC = "{http://www.omg.org/spec/DD/20100524/DC}"
_FAULTY_FILES = 18  #: of the conformance files, all of which BPMN itself refuses; may sink, not rise
_CROSSINGS = {"presale": 4, "preparation": 0, "watch": 1, "bidding": 0, "wide_sub": 1}  #: as measured; may sink, not rise


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_processes_like_ours_are_drawn_without_faults(case: Callable[[], Sketch]) -> None:
    drawn = lay_out(case().xml(), 10)

    assert faults(drawn) == ()
    assert measures(drawn).crossings <= _CROSSINGS[case.__name__] + 1


@pytest.mark.parametrize("name", CASES)
def test_the_flow_reads_to_the_right_with_few_bends(name: str) -> None:
    measured = measures(lay_out(CASES[name]().xml(), 10))

    assert measured.rightward_share > 0.8
    assert measured.bends_per_flow < 0.8
    assert measured.straight_share > 0.5


def test_the_conformance_files_are_drawn() -> None:
    faulty = []
    for path in sorted(_FILES.rglob("*.bpmn*")):
        if path.name == "EXT002_1_Fail_duplicate_ID.bpmn":
            continue
        drawn = lay_out(path.read_bytes(), 0)
        if faults(drawn):
            faulty.append(path.name)

    assert len(faulty) <= _FAULTY_FILES, faulty


_KINDS = ["user", "service", "call", "xor", "and", "catch!timer", "end"]
_NAMES = (
    st.text(alphabet="编制投标文件并复核 abcXYZ、(9)", min_size=0, max_size=24)
    .map(str.strip)
    .map(lambda s: s.replace(" ", "_"))
)


@st.composite
def _processes(draw: st.DrawFn, depth: int = 0, prefix: str = "n") -> Sketch:
    lanes = draw(st.lists(st.sampled_from(["甲", "乙", "丙"]), unique=True, max_size=3)) if depth == 0 else []
    process = Sketch("随机", lanes)
    count = draw(st.integers(1, 9))
    ids: list[str] = []
    for k in range(count):
        id_ = f"{prefix}{k}"
        lane = f" @{draw(st.sampled_from(lanes))}" if lanes else ""
        kind = draw(st.sampled_from(_KINDS))
        hosts = [one for one in ids if one.startswith("task")]
        shape = draw(st.integers(0, 9))
        if shape == 0 and depth < 2:
            inside = draw(_processes(depth=depth + 1, prefix=f"{prefix}{k}_"))
            process.sub(id_, draw(_NAMES), inside, lane.strip(" @"), event=draw(st.booleans()))
        elif shape == 1 and hosts:
            process.nodes(
                f"boundary!timer?{draw(st.sampled_from(['', '~']))}{draw(st.sampled_from(hosts))} {id_} {draw(_NAMES)}{lane}"
            )
        else:
            id_ = f"task{id_}" if kind in ("user", "service", "call") else id_
            process.nodes(f"{kind} {id_} {draw(_NAMES)}{lane}")
        ids.append(id_)
    pairs = st.tuples(st.sampled_from(ids), st.sampled_from(ids))
    for a, b in draw(st.lists(pairs, max_size=count + 3, unique=True)):
        name = draw(_NAMES)
        process.flows(f"{a} > {b} : {name}" if name else f"{a} > {b}")
    return process


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_processes())
def test_any_process_is_drawn_without_overlap_and_again_the_same(process: Sketch) -> None:
    drawn = lay_out(process.xml(), 2)

    kinds = {fault.kind for fault in faults(drawn)}
    assert not kinds & {"shape_overlap", "outside_lane", "outside_parent", "not_drawn", "edge_slanted", "boundary_off_host"}
    assert lay_out(drawn, 2) == drawn


def _boxes(xml: bytes) -> dict[str, tuple[float, float, float, float]]:
    found = {}
    for shape in etree.fromstring(xml).iter(f"{_DI}BPMNShape"):
        box = shape.find(f"{_DC}Bounds")
        assert box is not None
        x, y, w, h = (float(box.get(key) or 0) for key in ("x", "y", "width", "height"))
        found[str(shape.get("bpmnElement"))] = (x, y, w, h)
    return found


def _points(xml: bytes, source: str, target: str) -> list[tuple[float, float]]:
    root = etree.fromstring(xml)
    flow = next(el for el in root.iter() if el.get("sourceRef") == source and el.get("targetRef") == target)
    edge = root.find(f".//{_DI}BPMNEdge[@bpmnElement='{flow.get('id')}']")
    assert edge is not None
    return [(float(p.get("x") or 0), float(p.get("y") or 0)) for p in edge]


def test_the_main_path_inside_a_lane_is_one_straight_line() -> None:
    boxes = _boxes(lay_out(CASES["bidding"]().xml(), 10))

    levels = {
        boxes[id_][1] + boxes[id_][3] / 2 for id_ in ("purchase", "split", "join", "merge", "submit", "clarify", "won", "done")
    }

    assert len(levels) == 1


def test_event_sub_processes_leave_the_lines_of_splits_and_joins_straight() -> None:
    drawn = lay_out(CASES["bidding"]().xml(), 10)

    for lane in ("commercial", "technical", "price", "clauses"):
        assert len(_points(drawn, "split", lane)) == 3


def test_handlers_of_a_big_sub_process_stand_above_or_below_it() -> None:
    boxes = _boxes(lay_out(CASES["watch"]().xml(), 10))
    x, y, w, h = boxes["watch"]

    assert x < boxes["clear"][0] < x + w
    assert boxes["clear"][1] > y + h


def test_answers_of_one_question_leave_by_lines_of_their_own() -> None:
    drawn = lay_out(CASES["presale"]().xml(), 10)

    for gateway, targets in (
        ("worth", ("initiation", "tracking", "closure")),
        ("outcome", ("psm060", "psm050", "closure")),
        ("negotiation", ("psm070", "psm040", "closure")),
    ):
        assert len({_points(drawn, gateway, target)[0] for target in targets}) == 3


def test_edges_that_meet_on_one_centre_line_do_not_lie_on_each_other() -> None:
    process = Sketch("甲", ["甲", "乙"])
    process.nodes("user a @甲\nuser b @乙\nuser c @甲\nuser d @乙\nuser e @甲\nboundary!timer?a f @甲")
    process.flows("a > b\na > d\nb > c\nb > d")

    assert faults(lay_out(process.xml(), 2)) == ()


def test_a_flow_from_a_task_to_itself_has_a_way_round() -> None:
    drawn = lay_out(Sketch().nodes("start a\nuser b\nend c\nboundary!timer?b t").flows("a > b > c\nb > b\nt > b").xml())

    assert faults(drawn) == ()


def test_labels_of_boundary_events_find_room_beside_lines_that_pass() -> None:
    process = Sketch("交流", ["甲", "乙", "丙"])
    process.nodes("""
        start a @甲
        user visit 现场交流
        user minutes 填写交流纪要 @丙
        user confirm 确认纪要 @甲
        xor ok 纪要确认?
        end done
        boundary!timer?~minutes late 超过_2_天 @丙
        service escalate 升级主管 @乙
        end escalated
    """)
    process.flows("a > visit > minutes > confirm > ok > done\nok > minutes : 退回\nlate > escalate > escalated")

    assert faults(lay_out(process.xml(), 10)) == ()
