"""BPMN DI out of a drawing: how shapes, edges and labels are written, and what of the old diagram is kept (colours, styles)."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from lxml import etree

from engine.layout.model import HEADER, Box, Drawing
from engine.layout.reading import Plane
from engine.layout.source import BPMNDI, DC, DI, children, local, reference

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
_OWN = {"bpmndi": BPMNDI, "dc": DC, "di": DI}


@dataclass
class Kept:
    """What the author put on shapes, edges and labels beyond places: attributes of other namespaces, label styles.

    Keys are element ids; values are ``{attribute name in Clark notation: value}``. `boxes`: where the shapes were.
    """

    shapes: dict[str, dict[str, str]] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    styles: list[etree._Element] = field(default_factory=list)
    prefixes: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)


def read_kept(root: etree._Element) -> Kept:
    """Return what the diagrams of `root` say about looks."""
    kept = Kept()
    for diagram in children(root, "BPMNDiagram"):
        kept.styles.extend(children(diagram, "BPMNLabelStyle"))
        for el in diagram.iter(f"{{{BPMNDI}}}BPMNShape", f"{{{BPMNDI}}}BPMNEdge"):
            id_ = reference(el.get("bpmnElement"))
            _keep(kept, kept.shapes, id_, el)
            for box in children(el, "Bounds"):
                x, y, w, h = (float(box.get(key) or 0) for key in ("x", "y", "width", "height"))
                kept.boxes[id_] = (x, y, w, h)
            for label in children(el, "BPMNLabel"):
                _keep(kept, kept.labels, id_, label)
    return kept


def _keep(kept: Kept, book: dict[str, dict[str, str]], id_: str, el: etree._Element) -> None:
    found = {str(k): str(v) for k, v in el.attrib.items() if str(k).startswith("{") or k == "labelStyle"}
    if found:
        book[id_] = found
        uris = {key[1:].split("}")[0] for key in found if key.startswith("{")}
        kept.prefixes.update({uri: prefix for prefix, uri in el.nsmap.items() if prefix and uri in uris})


class Writer:
    """Writes one diagram as text, with the prefixes that the file itself uses."""

    def __init__(self, root: etree._Element, kept: Kept, indent: str, line_end: str) -> None:
        self._kept = kept
        self._indent, self._line_end = indent, line_end
        self._taken = {str(el.get("id")) for el in _semantic(root) if el.get("id")}
        inherited = {uri: prefix for prefix, uri in root.nsmap.items() if prefix}
        wanted = {uri: prefix for prefix, uri in _OWN.items()} | kept.prefixes
        self._prefix = {uri: inherited.get(uri, prefix) for uri, prefix in wanted.items()}
        self._declare = {f"xmlns:{prefix}": uri for uri, prefix in self._prefix.items() if uri not in inherited}
        self._lines: list[str] = []

    def write(self, planes: list[Plane]) -> str:
        """Return the text of the BPMNDiagram elements that show `planes`."""
        diagram = self._name("BPMNDiagram")
        for plane in planes:
            self._open(0, diagram, {**self._declare, "id": self._id("diagram")})
            self._open(1, self._name("BPMNPlane"), {"id": self._id("plane"), "bpmnElement": plane.element})
            self._pools(plane.drawing)
            self._drawing(plane.drawing)
            self._groups(plane.drawing)
            self._lines.append(f"{self._indent}  </{self._name('BPMNPlane')}>")
            for style in self._kept.styles if plane is planes[0] else ():
                alone = deepcopy(style)
                etree.cleanup_namespaces(alone)
                alone.tail = None
                self._lines.append(f"{self._indent}  {etree.tostring(alone, encoding='unicode')}")
            self._lines.append(f"{self._indent}</{diagram}>")
        return self._line_end.join(self._lines).lstrip()

    def _groups(self, d: Drawing) -> None:
        for id_, (box, label) in d.group_boxes.items():
            self._shape(id_, box, label, {})

    def _pools(self, d: Drawing) -> None:
        closed = {n.id for n in d.nodes if n.kind == "pool"}
        for (id_, _), box in zip(d.pools, d.pool_boxes, strict=True):
            self._shape(id_, box, None, {"isHorizontal": "true"})
        drawn = set(closed)
        for lane in d.lanes:
            for depth, (id_, _) in enumerate(lane.parents):
                if id_ not in drawn:
                    drawn.add(id_)
                    family = [one.box for one in d.lanes if (id_, _) in one.parents]
                    x = HEADER * bool(d.pools) + HEADER * depth + d.origin[0]
                    right, bottom = family[0][0] + family[0][2], family[-1][1] + family[-1][3]
                    self._shape(id_, (x, family[0][1], right - x, bottom - family[0][1]), None, {"isHorizontal": "true"})
            if lane.id:
                self._shape(lane.id, lane.box, None, {"isHorizontal": "true"})

    def _drawing(self, d: Drawing) -> None:
        for n in d.nodes:
            if n.kind == "pool":
                continue
            more = {"isExpanded": "true"} if n.inner else {"isMarkerVisible": "true"} if n.marker else {}
            self._shape(n.id, n.box, n.label, more)
            if n.inner:
                self._drawing(n.inner)
        for e in d.edges:
            attributes = {"id": self._id(f"{e.id}_di"), "bpmnElement": e.id}
            self._open(2, self._name("BPMNEdge"), attributes | self._looks(self._kept.shapes.get(e.id, {})))
            for x, y in e.points:
                self._empty(3, f"{self._prefix[DI]}:waypoint", {"x": f"{round(x)}", "y": f"{round(y)}"})
            self._label(e.id, e.label)
            self._lines.append(f"{self._indent}    </{self._name('BPMNEdge')}>")

    def _shape(self, id_: str, box: Box, label: Box | None, more: dict[str, str]) -> None:
        attributes = {"id": self._id(f"{id_}_di"), "bpmnElement": id_} | more
        self._open(2, self._name("BPMNShape"), attributes | self._looks(self._kept.shapes.get(id_, {})))
        self._bounds(3, box)
        self._label(id_, label)
        self._lines.append(f"{self._indent}    </{self._name('BPMNShape')}>")

    def _label(self, id_: str, box: Box | None) -> None:
        looks = self._looks(self._kept.labels.get(id_, {}))
        if box:
            self._open(3, self._name("BPMNLabel"), looks)
            self._bounds(4, box)
            self._lines.append(f"{self._indent}      </{self._name('BPMNLabel')}>")
        elif looks:
            self._empty(3, self._name("BPMNLabel"), looks)

    def _bounds(self, depth: int, box: Box) -> None:
        x, y = round(box[0]), round(box[1])
        size = {"width": f"{round(box[0] + box[2] - x)}", "height": f"{round(box[1] + box[3] - y)}"}
        self._empty(depth, f"{self._prefix[DC]}:Bounds", {"x": f"{x}", "y": f"{y}"} | size)

    def _looks(self, attributes: dict[str, str]) -> dict[str, str]:
        named = {}
        for key, value in attributes.items():
            uri, _, name = key[1:].partition("}") if key.startswith("{") else ("", "", key)
            named[f"{self._prefix[uri]}:{name}" if uri else name] = value
        return named

    def _name(self, name: str) -> str:
        return f"{self._prefix[BPMNDI]}:{name}"

    def _id(self, wish: str) -> str:
        while wish in self._taken:
            wish += "_"
        self._taken.add(wish)
        return wish

    def _open(self, depth: int, name: str, attributes: dict[str, str]) -> None:
        self._lines.append(f"{self._indent}{'  ' * depth}<{name}{_written(attributes)}>")

    def _empty(self, depth: int, name: str, attributes: dict[str, str]) -> None:
        self._lines.append(f"{self._indent}{'  ' * depth}<{name}{_written(attributes)} />")


def _written(attributes: dict[str, str]) -> str:
    return "".join(f' {key}="{value.translate(_ESCAPES)}"' for key, value in attributes.items())


def _semantic(root: etree._Element) -> Iterator[etree._Element]:
    for el in root:
        if local(el) != "BPMNDiagram":
            yield from el.iter(etree.Element)
    yield root
