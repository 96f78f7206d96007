"""What a reader would dislike in a drawing, measured from its BPMN DI alone: nothing of how we draw is used here.

Lengths are in the diagram's units (CSS pixels at scale 1); a touch of less than a unit is none.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from engine.layout.source import BPMN, children, local, read_source, reference

_Box = tuple[float, float, float, float]  # x, y, width, height
_Segment = tuple[float, float, float, float]  # x1, y1, x2, y2

_SUBPROCESSES = ("subProcess", "transaction", "adHocSubProcess")
_DATA = ("dataObjectReference", "dataStoreReference")
_EDGES = ("sequenceFlow", "messageFlow", "association", "dataInputAssociation", "dataOutputAssociation")

_TEXTS = {
    "shape_overlap": ("图形 {0} 与 {1} 重叠", "The shapes {0} and {1} overlap"),
    "label_on_label": ("{0} 与 {1} 的文字重叠", "The labels of {0} and {1} overlap"),
    "label_on_shape": ("{0} 的文字压在图形 {1} 上", "The label of {0} lies on the shape {1}"),
    "label_on_edge": ("{0} 的文字压在连线 {1} 上", "The label of {0} lies on the edge {1}"),
    "label_hidden": ("{0} 的文字显示不全", "The label of {0} does not fit into its place"),
    "label_unplaced": ("{0} 的文字没有位置", "The label of {0} has no place"),
    "edge_through_shape": ("连线 {0} 穿过图形 {1}", "The edge {0} runs through the shape {1}"),
    "edge_on_edge": ("互不相关的连线 {0} 与 {1} 走在同一条线上", "The unrelated edges {0} and {1} share a line"),
    "edge_loose": ("连线 {0} 没有接到 {1}", "The edge {0} does not touch {1}"),
    "edge_slanted": ("连线 {0} 有斜线段", "The edge {0} has a slanted segment"),
    "outside_lane": ("{0} 不在其泳道 {1} 之内", "{0} is not inside its lane {1}"),
    "outside_parent": ("{0} 不在 {1} 之内", "{0} is not inside {1}"),
    "boundary_off_host": ("边界事件 {0} 不在 {1} 的边上", "The boundary event {0} is not on the border of {1}"),
    "not_drawn": ("{0} 没有画出来", "{0} is not drawn"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing a reader would dislike. `elements`: ids, the one to blame first; `where`: x, y, width, height."""

    kind: str
    elements: tuple[str, ...]
    where: tuple[float, float, float, float]
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """How a drawing reads. Shares are 0 to 1 of the sequence flows; `width` and `height` include labels."""

    nodes: int
    edges: int
    crossings: int
    bends_per_flow: float
    rightward_share: float
    straight_share: float
    width: float
    height: float


def faults(xml: bytes) -> tuple[Fault, ...]:
    """Return everything wrong with the drawing of the BPMN file `xml`, in a stable order; empty for a clean one.

    Raises:
        UnreadableDiagram: not well-formed, not BPMN 2.0, or with a DOCTYPE.
    """
    root = read_source(xml).root
    elements = {el.get("id") or "": el for el in root.iter(etree.Element) if el.get("id")}
    planes = [_Plane(diagram, elements) for diagram in children(root, "BPMNDiagram")]
    found: list[Fault] = []
    for plane in planes:
        for check in _CHECKS:
            found.extend(check(plane))
    drawn = {id_ for plane in planes for id_ in (*plane.shapes, *plane.edges)}
    found.extend(_fault("not_drawn", (0, 0, 0, 0), elements, id_) for id_ in _drawable(root) if id_ not in drawn)
    return tuple(found)


def measures(xml: bytes) -> Measures:
    """Return how the drawings of the BPMN file `xml` read, all its planes together.

    Raises:
        UnreadableDiagram: not well-formed, not BPMN 2.0, or with a DOCTYPE.
    """
    root = read_source(xml).root
    elements = {el.get("id") or "": el for el in root.iter(etree.Element) if el.get("id")}
    planes = [_Plane(diagram, elements) for diagram in children(root, "BPMNDiagram")]
    flows = bends = rightward = straight = 0
    for plane in planes:
        for id_, line in plane.edges.items():
            src, dst = plane.nodes.get(line.source), plane.nodes.get(line.target)
            if local(elements[id_]) != "sequenceFlow" or src is None or dst is None:
                continue
            flows += 1
            bends += max(len(line.points) - 2, 0)
            straight += len(line.points) == 2
            rightward += dst[0] + dst[2] / 2 > src[0] + src[2] / 2
    sizes = [plane.size() for plane in planes]
    return Measures(
        nodes=sum(len(plane.nodes) for plane in planes),
        edges=sum(len(plane.edges) for plane in planes),
        crossings=sum(plane.crossings() for plane in planes),
        bends_per_flow=bends / max(flows, 1),
        rightward_share=rightward / max(flows, 1),
        straight_share=straight / max(flows, 1),
        width=max((w for w, _ in sizes), default=0),
        height=max((h for _, h in sizes), default=0),
    )


@dataclass
class _Line:
    source: str
    target: str
    points: list[tuple[float, float]]
    segments: list[_Segment] = field(init=False)

    def __post_init__(self) -> None:
        self.segments = [(*a, *b) for a, b in itertools.pairwise(self.points) if a != b]


class _Plane:
    """The shapes, labels and edges of one diagram, with what the semantic part says of them."""

    def __init__(self, diagram: etree._Element, elements: dict[str, etree._Element]) -> None:
        self.elements = elements
        self.shapes: dict[str, _Box] = {}
        self.labels: dict[str, _Box] = {}
        self.edges: dict[str, _Line] = {}
        self.collapsed: set[str] = set()
        for di in diagram.iter(etree.Element):
            id_ = reference(di.get("bpmnElement"))
            if id_ not in elements or local(di) not in ("BPMNShape", "BPMNEdge"):
                continue
            if local(di) == "BPMNShape" and (box := _box(di)):
                self.shapes[id_] = box
                if di.get("isExpanded") != "true":
                    self.collapsed.add(id_)
            elif local(di) == "BPMNEdge":
                points = [(float(w.get("x") or 0), float(w.get("y") or 0)) for w in children(di, "waypoint")]
                self.edges[id_] = _Line(*_ends(elements[id_]), points)
            for label in children(di, "BPMNLabel"):
                if (box := _box(label)) and _name(elements[id_]):
                    self.labels[id_] = box
        containers = ("participant", "lane", "group")
        self.nodes = {id_: box for id_, box in self.shapes.items() if local(elements[id_]) not in containers}
        self.hosts = {id_: elements[id_].get("attachedToRef") or "" for id_ in self.nodes}
        self.families = {id_: self.family(id_) for id_ in self.nodes}

    def family(self, id_: str) -> set[str]:
        """The element and everything around it."""
        found = set()
        el = self.elements.get(id_)
        while el is not None:
            found.add(el.get("id") or "")
            el = el.getparent()
        return found

    def kin(self, a: str, b: str) -> bool:
        """One target, or one port of one source: such edges may share a line."""
        e, f = self.edges[a], self.edges[b]
        return e.target == f.target or (e.source == f.source and e.points[:1] == f.points[:1])

    def lines(self) -> list[tuple[str, _Segment]]:
        return [(id_, segment) for id_, line in self.edges.items() for segment in line.segments]

    def crossings(self) -> int:
        flat = [(e, s) for e, s in self.lines() if s[1] == s[3]]
        steep = [(e, s) for e, s in self.lines() if s[0] == s[2]]
        return sum(
            e != f and min(h[0], h[2]) + 1 < v[0] < max(h[0], h[2]) - 1 and min(v[1], v[3]) + 1 < h[1] < max(v[1], v[3]) - 1
            for e, h in flat
            for f, v in steep
        )

    def size(self) -> tuple[float, float]:
        boxes = [*self.shapes.values(), *self.labels.values()]
        if not boxes:
            return 0, 0
        left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
        return max(b[0] + b[2] for b in boxes) - left, max(b[1] + b[3] for b in boxes) - top


# ------------------------------------------------------------------------------------------------------------- the checks
def _shape_overlaps(plane: _Plane) -> Iterator[Fault]:
    for (a, p), (b, q) in itertools.combinations(plane.nodes.items(), 2):
        if not _overlap(p, q) or a in plane.families[b] or b in plane.families[a]:
            continue
        host_a, host_b = plane.hosts[a], plane.hosts[b]
        if (host_a and host_a in plane.families[b]) or (host_b and host_b in plane.families[a]):
            continue
        yield _fault("shape_overlap", _common(p, q), plane.elements, a, b)


def _labels(plane: _Plane) -> Iterator[Fault]:
    for (a, p), (b, q) in itertools.combinations(plane.labels.items(), 2):
        if _overlap(p, q):
            yield _fault("label_on_label", _common(p, q), plane.elements, a, b)
    for a, p in plane.labels.items():
        around = plane.family(a)
        for b, q in plane.nodes.items():
            if b not in around and _overlap(p, q):
                yield _fault("label_on_shape", _common(p, q), plane.elements, a, b)
        for b, line in plane.edges.items():
            if any(_through(s, p, 1) for s in line.segments):
                yield _fault("label_on_edge", p, plane.elements, a, b)


def _label_room(plane: _Plane) -> Iterator[Fault]:
    for id_, box in plane.shapes.items():
        el = plane.elements[id_]
        name, tag = _name(el), local(el)
        if not name:
            continue
        if id_ in plane.labels:
            if not _fits(name, plane.labels[id_], 11):
                yield _fault("label_hidden", plane.labels[id_], plane.elements, id_)
        elif tag.endswith(("Event", "Gateway")) or tag in (*_DATA, "group"):
            yield _fault("label_unplaced", box, plane.elements, id_)
        elif tag in ("participant", "lane"):
            if not _fits(name, (0, 0, box[3], 30), 12):
                yield _fault("label_hidden", box, plane.elements, id_)
        elif not _fits(name, (0, 0, box[2] - 14, box[3] - 8), 12):
            yield _fault("label_hidden", box, plane.elements, id_)
    for id_, line in plane.edges.items():
        name = _name(plane.elements[id_])
        if name and id_ not in plane.labels:
            yield _fault("label_unplaced", _around(line), plane.elements, id_)
        elif name and not _fits(name, plane.labels[id_], 11):
            yield _fault("label_hidden", plane.labels[id_], plane.elements, id_)


def _edges_through_shapes(plane: _Plane) -> Iterator[Fault]:
    for id_, line in plane.edges.items():
        src, dst = line.source, line.target
        around_src, around_dst = plane.family(src), plane.family(dst)
        hosts = {plane.hosts.get(src), plane.hosts.get(dst)}
        for node, box in plane.nodes.items():
            if node not in around_src | around_dst | hosts and any(_through(s, box) for s in line.segments):
                yield _fault("edge_through_shape", box, plane.elements, id_, node)
        for node in dict.fromkeys((src, dst, plane.hosts.get(src, ""))):  # it may touch its own ends, not run through them
            if node not in plane.nodes or node in around_src & around_dst or node == plane.hosts.get(dst):
                continue
            if any(_through(s, plane.nodes[node], 4) for s in line.segments):
                yield _fault("edge_through_shape", plane.nodes[node], plane.elements, id_, node)


def _edge_lines(plane: _Plane) -> Iterator[Fault]:
    seen = set()
    for (a, p), (b, q) in itertools.combinations(plane.lines(), 2):
        if a == b or (a, b) in seen or plane.kin(a, b):
            continue
        for along, across in ((0, 1), (1, 0)):
            if p[across] == p[across + 2] and q[across] == q[across + 2] and abs(p[across] - q[across]) < 2:
                low = max(min(p[along], p[along + 2]), min(q[along], q[along + 2]))
                high = min(max(p[along], p[along + 2]), max(q[along], q[along + 2]))
                if high - low > 2:
                    seen.add((a, b))
                    yield _fault("edge_on_edge", _common(_span(p), _span(q)), plane.elements, a, b)
                    break


def _edge_shapes(plane: _Plane) -> Iterator[Fault]:
    for id_, line in plane.edges.items():
        if local(plane.elements[id_]) == "association":
            continue
        if any(abs(x1 - x2) > 0.5 and abs(y1 - y2) > 0.5 for x1, y1, x2, y2 in line.segments):
            yield _fault("edge_slanted", _around(line), plane.elements, id_)
        for node, point in ((line.source, line.points[:1]), (line.target, line.points[-1:])):
            box = plane.shapes.get(node)
            if box and point and not _touches(point[0], box):
                yield _fault("edge_loose", (*point[0], 0, 0), plane.elements, id_, node)


def _places(plane: _Plane) -> Iterator[Fault]:
    for id_, box in plane.shapes.items():
        el = plane.elements[id_]
        if local(el) == "lane" and not any(True for _ in children(el, "childLaneSet")):
            for ref in children(el, "flowNodeRef"):
                node = reference(ref.text)
                if node in plane.nodes and not plane.hosts[node] and not _inside(plane.nodes[node], box):
                    yield _fault("outside_lane", plane.nodes[node], plane.elements, node, id_)
        if local(el) == "participant":
            process = plane.elements.get(reference(el.get("processRef")))
            members = [] if process is None else [c.get("id") or "" for c in process if c.get("id") in plane.nodes]
            for node in members:
                if not _inside(plane.nodes[node], box):
                    yield _fault("outside_parent", plane.nodes[node], plane.elements, node, id_)
        if local(el) in _SUBPROCESSES and id_ not in plane.collapsed:
            for node in (c.get("id") or "" for c in el if c.get("id") in plane.nodes):
                if not _inside(plane.nodes[node], box):
                    yield _fault("outside_parent", plane.nodes[node], plane.elements, node, id_)
    for id_, host in plane.hosts.items():
        if host in plane.nodes:
            x, y, w, h = plane.nodes[id_]
            hx, hy, hw, hh = plane.nodes[host]
            cx, cy = x + w / 2, y + h / 2
            off = min(abs(cx - hx), abs(cx - hx - hw), abs(cy - hy), abs(cy - hy - hh))
            if off > 12 or not _inside((cx, cy, 0, 0), plane.nodes[host], 12):
                yield _fault("boundary_off_host", plane.nodes[id_], plane.elements, id_, host)


_CHECKS = (_shape_overlaps, _labels, _label_room, _edges_through_shapes, _edge_lines, _edge_shapes, _places)


# --------------------------------------------------------------------------------------------------- what is to be drawn
def _drawable(root: etree._Element) -> Iterator[str]:
    """Ids of everything in processes and collaborations that BPMN gives a shape or an edge."""
    shapes = ("participant", "lane", "textAnnotation", "group", "callActivity", *_SUBPROCESSES, *_DATA)
    for scope in children(root, "process", "collaboration"):
        for el in scope.iter(etree.Element):
            tag, id_ = local(el), el.get("id")
            if not id_ or not str(el.tag).startswith(f"{{{BPMN}}}"):
                continue
            if (
                tag in shapes
                or tag.endswith(("Event", "Gateway", "Task"))
                or tag == "task"
                or tag in ("sequenceFlow", "messageFlow", "association")
            ):
                yield id_


def _ends(el: etree._Element) -> tuple[str, str]:
    refs = {local(c): reference(c.text) for c in children(el, "sourceRef", "targetRef")}
    parent = el.getparent()
    owner = (parent.get("id") or "") if parent is not None else ""
    if local(el) == "dataInputAssociation":
        return refs.get("sourceRef", owner), owner
    if local(el) == "dataOutputAssociation":
        return owner, refs.get("targetRef", owner)
    return reference(el.get("sourceRef")), reference(el.get("targetRef"))


def _name(el: etree._Element) -> str:
    if local(el) == "textAnnotation":
        return "".join(str(part) for text in children(el, "text") for part in text.itertext()).strip()
    if local(el) == "group":
        value = reference(el.get("categoryValueRef"))
        return next(
            (v.get("value") or "" for v in el.getroottree().iter(f"{{{BPMN}}}categoryValue") if v.get("id") == value), ""
        )
    return el.get("name") or ""


def _fault(kind: str, where: _Box, elements: dict[str, etree._Element], *ids: str) -> Fault:
    def said(id_: str, left: str, right: str) -> str:
        name = " ".join(_name(elements[id_]).split()) if id_ in elements else ""
        return f"{left}{name}{right}({id_})" if name else id_

    zh, en = _TEXTS[kind]
    return Fault(
        kind=kind,
        elements=ids,
        where=where,
        zh=zh.format(*(said(i, "“", "”") for i in ids)),
        en=en.format(*(said(i, "“", "” ") for i in ids)),
    )


# -------------------------------------------------------------------------------------------------------------- geometry
def _box(el: etree._Element) -> _Box | None:
    for b in children(el, "Bounds"):
        x, y, w, h = (float(b.get(key) or 0) for key in ("x", "y", "width", "height"))
        return x, y, w, h
    return None


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] + 1 < b[0] + b[2] and b[0] + 1 < a[0] + a[2] and a[1] + 1 < b[1] + b[3] and b[1] + 1 < a[1] + a[3]


def _inside(a: _Box, b: _Box, slack: float = 1.5) -> bool:
    right, bottom = b[0] + b[2] + slack, b[1] + b[3] + slack
    return a[0] >= b[0] - slack and a[1] >= b[1] - slack and a[0] + a[2] <= right and a[1] + a[3] <= bottom


def _common(a: _Box, b: _Box) -> _Box:
    x, y = max(a[0], b[0]), max(a[1], b[1])
    return x, y, max(min(a[0] + a[2], b[0] + b[2]) - x, 0), max(min(a[1] + a[3], b[1] + b[3]) - y, 0)


def _span(s: _Segment) -> _Box:
    return min(s[0], s[2]), min(s[1], s[3]), abs(s[0] - s[2]), abs(s[1] - s[3])


def _around(line: _Line) -> _Box:
    xs, ys = [x for x, _ in line.points] or [0], [y for _, y in line.points] or [0]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _touches(point: tuple[float, float], box: _Box) -> bool:
    """Is the point on or in the box, or within two units of it?"""
    return _inside((*point, 0, 0), box, 2)


def _through(segment: _Segment, box: _Box, inset: float = 1.5) -> bool:
    """Does the segment pass the inside of the box (Liang-Barsky), made smaller by `inset` on all sides?"""
    x1, y1, x2, y2 = segment
    low, high = 0.0, 1.0
    for p, q in (
        (x1 - x2, x1 - box[0] - inset),
        (x2 - x1, box[0] + box[2] - inset - x1),
        (y1 - y2, y1 - box[1] - inset),
        (y2 - y1, box[1] + box[3] - inset - y1),
    ):
        if p == 0:
            if q <= 0:
                return False
        elif p < 0:
            low = max(low, q / p)
        else:
            high = min(high, q / p)
    return low < high - 1e-9


def _fits(text: str, box: _Box, size: float) -> bool:
    """Is there room for the text, set in lines of the box's width? Bounds how ill any breaker of lines may do by a line."""
    lines = 0
    for part in text.split("\n"):
        width = size * sum(1.0 if unicodedata.east_asian_width(ch) in "WF" else 0.5 for ch in part)
        lines += max(1, math.ceil((width - 4) / max(box[2], 1)))
    return lines * size * 1.2 <= box[3] + 3
