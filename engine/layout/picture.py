"""A laid-out diagram as an SVG picture, in the manner of bpmn-js: for documents and export, without a browser.

Reads the BPMN DI of the file alone, so it shows what any modeler would, wherever the places come from. Presentation attributes
only, no style sheet and no script, so that a strict Content-Security-Policy lets it pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

from lxml import etree

from engine.layout.icons import event_icon, gateway_icon, marker_icon, task_icon
from engine.layout.model import Box, Point
from engine.layout.source import UnreadableDiagram, children, local, read_source, reference
from engine.layout.text import LABEL_FONT, LEADING, TASK_FONT, wrap

_INK, _PAPER = "#22242a", "#ffffff"
_FONT = "Arial, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
_BIOC = "http://bpmn.io/schema/bpmn/biocolor/1.0"
_COLOR = "http://www.omg.org/spec/BPMN/non-normative/color/1.0"
_MARGIN = 12.0
_ROUND = 5.0  #: radius of an edge's bends
_SUBPROCESSES = ("subProcess", "transaction", "adHocSubProcess")


def draw_svg(xml: bytes) -> bytes:
    """Return the first diagram of the BPMN file `xml` as an SVG document, UTF-8; each shape and edge carries `data-element-id`.

    Raises:
        UnreadableDiagram: not well-formed, not BPMN 2.0, with a DOCTYPE, or without a diagram (`lay_out` draws one).
    """
    root = read_source(xml).root
    diagram = next(children(root, "BPMNDiagram"), None)
    if diagram is None:
        raise UnreadableDiagram(reason="文件中没有图形信息，请先自动排版", reason_en="it has no diagram; lay it out first")
    return _Picture(root, diagram).svg()


@dataclass(frozen=True, kw_only=True)
class _Look:
    ink: str
    paper: str


class _Picture:
    def __init__(self, root: etree._Element, diagram: etree._Element) -> None:
        self._elements = {el.get("id") or "": el for el in root.iter(etree.Element) if el.get("id")}
        self._values = {
            v.get("id"): v.get("value") or "" for c in children(root, "category") for v in children(c, "categoryValue")
        }
        defaults = {el.get("default") for el in self._elements.values()}
        self._defaults = {id_ for id_ in defaults if id_}
        self._title = ""
        self._back: list[str] = []  # pools and lanes
        self._middle: list[str] = []  # sub-processes and edges
        self._front: list[str] = []  # everything else
        self._labels: list[str] = []
        self._left = self._top = float("inf")
        self._right = self._bottom = float("-inf")
        for di in diagram.iter(etree.Element):
            element = self._elements.get(reference(di.get("bpmnElement")))
            if element is None:
                continue
            if local(di) == "BPMNPlane":
                self._title = element.get("name") or element.get("id") or ""
            elif local(di) == "BPMNShape":
                self._shape(element, di)
            elif local(di) == "BPMNEdge":
                self._edge(element, di)

    def svg(self) -> bytes:
        if self._left > self._right:
            self._left = self._top = self._right = self._bottom = 0
        x, y = self._left - _MARGIN, self._top - _MARGIN
        w, h = self._right - self._left + 2 * _MARGIN, self._bottom - self._top + 2 * _MARGIN
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(w)}" height="{_n(h)}"'
            f' viewBox="{_n(x)} {_n(y)} {_n(w)} {_n(h)}" font-family="{_FONT}" role="img" aria-label="{escape(self._title)}">',
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}" fill="{_PAPER}"/>',
            *self._back,
            *self._middle,
            *self._front,
            *self._labels,
            "</svg>",
        ]
        return "\n".join(lines).encode()

    # ------------------------------------------------------------------------------------------------------------ shapes
    def _shape(self, el: etree._Element, di: etree._Element) -> None:
        box = _box(di)
        if box is None:
            return
        self._reach(box)
        look, tag, name = _look(di), local(el), el.get("name") or ""
        if tag in ("participant", "lane"):
            self._back.append(_group(el, _band(el, box, name, look, di.get("isHorizontal") != "false")))
        elif tag in _SUBPROCESSES and di.get("isExpanded") == "true":
            self._middle.append(_group(el, _activity(el, box, name, look, expanded=True)))
        elif tag in (*_SUBPROCESSES, "callActivity", "task") or tag.endswith("Task"):
            self._front.append(_group(el, _activity(el, box, name, look, expanded=False)))
        elif tag.endswith("Event"):
            self._front.append(_group(el, _event(el, box, look)))
        elif tag.endswith("Gateway"):
            shown = tag != "exclusiveGateway" or di.get("isMarkerVisible") == "true"
            self._front.append(_group(el, _gateway(tag, box, look, shown)))
        elif tag in ("dataObjectReference", "dataStoreReference", "dataInput", "dataOutput"):
            collection = self._elements.get(el.get("dataObjectRef") or "", el).get("isCollection") == "true"
            self._front.append(_group(el, _data(tag, box, look, collection)))
        elif tag == "textAnnotation":
            text = "".join(str(part) for one in children(el, "text") for part in one.itertext()).strip()
            self._front.append(_group(el, _note(text, box, look)))
        elif tag == "group":
            name = self._values.get(reference(el.get("categoryValueRef")), "")
            frame = _rect(box, "none", look.ink, 1.5, radius=10, dash="10 6 1 6")
            self._middle.append(_group(el, frame))
        if tag.endswith(("Event", "Gateway", "Reference")) or tag == "group":
            self._label(di, name, (box[0] + box[2] / 2 - 45, box[1] + box[3] + 4, 90, 0), look)

    def _label(self, di: etree._Element, name: str, usual: Box, look: _Look) -> None:
        if not name:
            return
        box = next((b for label in children(di, "BPMNLabel") if (b := _box(label))), usual)
        lines = wrap(name, max(box[2], LABEL_FONT), LABEL_FONT)
        self._reach((box[0], box[1], box[2], len(lines) * LABEL_FONT * LEADING))
        self._labels.append(_text(lines, box[0] + box[2] / 2, box[1], LABEL_FONT, look.ink))

    def _reach(self, box: Box) -> None:
        self._left, self._top = min(self._left, box[0]), min(self._top, box[1])
        self._right, self._bottom = max(self._right, box[0] + box[2]), max(self._bottom, box[1] + box[3])

    # ------------------------------------------------------------------------------------------------------------- edges
    def _edge(self, el: etree._Element, di: etree._Element) -> None:
        points = [(float(w.get("x") or 0), float(w.get("y") or 0)) for w in children(di, "waypoint")]
        points = [p for i, p in enumerate(points) if i == 0 or p != points[i - 1]]
        if len(points) < 2:
            return
        for x, y in points:
            self._reach((x, y, 0, 0))
        look, tag = _look(di), local(el)
        body = ""
        if tag == "sequenceFlow":
            body = _line(points, look.ink, 1.5, short=9) + _arrow(points, look.ink, look.ink)
            source = self._elements.get(reference(el.get("sourceRef")))
            if el.get("id") in self._defaults:
                body += _slash(points, look.ink)
            elif next(children(el, "conditionExpression"), None) is not None and source is not None:
                body += "" if local(source).endswith("Gateway") else _diamond(points, look)
        elif tag == "messageFlow":
            (x, y), _ = points[0], points[1]
            body = _line(points, look.ink, 1.5, short=10, dash="8 6") + _arrow(points, look.ink, look.paper)
            body += f'<circle cx="{_n(x)}" cy="{_n(y)}" r="4" fill="{look.paper}" stroke="{look.ink}" stroke-width="1.3"/>'
        else:
            body = _line(points, look.ink, 1.5, dash="0.5 5")
            if tag.startswith("data") or el.get("associationDirection") in ("One", "Both"):
                body += _open_arrow(points, look.ink)
        self._middle.append(_group(el, body))
        self._label(di, el.get("name") or "", (*_middle(points), 90, 0), look)


# ------------------------------------------------------------------------------------------------------------ single shapes
def _activity(el: etree._Element, box: Box, name: str, look: _Look, *, expanded: bool) -> str:
    tag = local(el)
    x, y, w, h = box
    dash = "1 4" if el.get("triggeredByEvent") == "true" else ""
    width = 5.0 if tag == "callActivity" else 2.0 if not dash else 2.5
    body = _rect(box, look.paper, look.ink, width, radius=10, dash=dash)
    if tag == "transaction":
        body += _rect((x + 3, y + 3, w - 6, h - 6), "none", look.ink, 1.5, radius=8)
    marks = list(_markers(el, tag, expanded))
    if expanded:
        lines = wrap(name, max(w - 14, TASK_FONT), TASK_FONT)
        body += _text(lines, x + w / 2, y + 7, TASK_FONT, look.ink) if name else ""
    else:
        lines = wrap(name, max(w - 14, TASK_FONT), TASK_FONT)
        body += _text(lines, x + w / 2, y + (h - len(lines) * TASK_FONT * LEADING) / 2, TASK_FONT, look.ink) if name else ""
        if icon := task_icon(tag, look.ink, look.paper):
            body += f'<g transform="translate({_n(x + 15)} {_n(y + 14)})">{icon}</g>'
    for k, mark in enumerate(marks):
        cx = x + w / 2 + (k - (len(marks) - 1) / 2) * 18
        body += f'<g transform="translate({_n(cx)} {_n(y + h - 11)})">{marker_icon(mark, look.ink, look.paper)}</g>'
    return body


def _markers(el: etree._Element, tag: str, expanded: bool) -> Iterator[str]:
    if el.get("isForCompensation") == "true":
        yield "compensation"
    for loop in children(el, "multiInstanceLoopCharacteristics", "standardLoopCharacteristics"):
        if local(loop) == "standardLoopCharacteristics":
            yield "loop"
        else:
            yield "sequential" if loop.get("isSequential") == "true" else "parallel"
    if tag in (*_SUBPROCESSES, "callActivity") and not expanded:
        yield "plus"
    if tag == "adHocSubProcess":
        yield "adhoc"


def _event(el: etree._Element, box: Box, look: _Look) -> str:
    tag = local(el)
    cx, cy, r = box[0] + box[2] / 2, box[1] + box[3] / 2, box[2] / 2
    dash = "5 4" if el.get("cancelActivity") == "false" or el.get("isInterrupting") == "false" else ""
    width = {"startEvent": 2.0, "endEvent": 4.0}.get(tag, 1.5)
    body = _circle(cx, cy, r, look, width, dash)
    if tag not in ("startEvent", "endEvent"):
        body += _circle(cx, cy, r - 3.5, look, width, dash)
    kinds = [local(c) for c in el if local(c).endswith("EventDefinition")]
    kind = (
        kinds[0]
        if len(kinds) == 1
        else "parallelMultiple"
        if el.get("parallelMultiple") == "true"
        else "multiple"
        if kinds
        else ""
    )
    icon = event_icon(kind, look.ink, look.paper, thrown=tag in ("endEvent", "intermediateThrowEvent"))
    return body + (f'<g transform="translate({_n(cx)} {_n(cy)}) scale({_n(r / 18)})">{icon}</g>' if icon else "")


def _circle(cx: float, cy: float, r: float, look: _Look, width: float, dash: str) -> str:
    stroke = f'stroke="{look.ink}" stroke-width="{width}"' + (f' stroke-dasharray="{dash}"' if dash else "")
    return f'<circle cx="{_n(cx)}" cy="{_n(cy)}" r="{_n(r - width / 2 + 0.5)}" fill="{look.paper}" {stroke}/>'


def _gateway(tag: str, box: Box, look: _Look, shown: bool) -> str:
    x, y, w, h = box
    diamond = f"M{_n(x + w / 2)} {_n(y)}L{_n(x + w)} {_n(y + h / 2)}L{_n(x + w / 2)} {_n(y + h)}L{_n(x)} {_n(y + h / 2)}Z"
    body = f'<path d="{diamond}" fill="{look.paper}" stroke="{look.ink}" stroke-width="2" stroke-linejoin="round"/>'
    place = f'<g transform="translate({_n(x + w / 2)} {_n(y + h / 2)}) scale({_n(w / 50)})">'
    return body + (f"{place}{gateway_icon(tag, look.ink, look.paper)}</g>" if shown else "")


def _data(tag: str, box: Box, look: _Look, collection: bool) -> str:
    x, y, w, h = box
    line = f'stroke="{look.ink}" stroke-width="1.5" stroke-linejoin="round"'
    stroke = f'fill="{look.paper}" {line}'
    if tag == "dataStoreReference":
        r = h * 0.14
        arc = f"A{_n(w / 2)} {_n(r)} 0 0 "
        body = f'<path d="M{_n(x)} {_n(y + r)}V{_n(y + h - r)}{arc}0 {_n(x + w)} {_n(y + h - r)}V{_n(y + r)}" {stroke}/>'
        for k in (0, 5, 10):
            body += f'<path d="M{_n(x)} {_n(y + r + k)}{arc}0 {_n(x + w)} {_n(y + r + k)}" fill="none" {line}/>'
        return body + f'<path d="M{_n(x)} {_n(y + r)}{arc}1 {_n(x + w)} {_n(y + r)}" fill="none" {line}/>'
    fold = w * 0.3
    page = f"M{_n(x)} {_n(y)}H{_n(x + w - fold)}L{_n(x + w)} {_n(y + fold)}V{_n(y + h)}H{_n(x)}Z"
    body = f'<path d="{page}" {stroke}/>'
    body += f'<path d="M{_n(x + w - fold)} {_n(y)}V{_n(y + fold)}H{_n(x + w)}" {stroke}/>'
    if collection:
        body += f'<g transform="translate({_n(x + w / 2)} {_n(y + h - 8)})">{marker_icon("parallel", look.ink, look.paper)}</g>'
    return body


def _note(text: str, box: Box, look: _Look) -> str:
    x, y, w, h = box
    bracket = (
        f'<path d="M{_n(x + 10)} {_n(y)}H{_n(x)}V{_n(y + h)}H{_n(x + 10)}" fill="none" stroke="{look.ink}" stroke-width="1.5"/>'
    )
    return bracket + _text(wrap(text, max(w - 12, TASK_FONT), TASK_FONT), x + 7, y + 5, TASK_FONT, look.ink, anchor="start")


def _band(el: etree._Element, box: Box, name: str, look: _Look, horizontal: bool) -> str:
    x, y, w, h = box
    body = _rect(box, look.paper if local(el) == "participant" else "none", look.ink, 1.5)
    open_pool = local(el) == "lane" or el.get("processRef")
    if open_pool and horizontal:
        body += (
            f'<path d="M{_n(x + 30)} {_n(y)}V{_n(y + h)}" stroke="{look.ink}" stroke-width="1.5"/>'
            if local(el) == "participant"
            else ""
        )
        lines = wrap(name, max(h - 14, TASK_FONT), TASK_FONT)
        place = f"translate({_n(x + 15)} {_n(y + h / 2)}) rotate(-90)"
        body += f'<g transform="{place}">{_text(lines, 0, -len(lines) * TASK_FONT * LEADING / 2, TASK_FONT, look.ink)}</g>'
    elif open_pool:
        body += _text([name], x + w / 2, y + 8, TASK_FONT, look.ink)
    else:
        lines = wrap(name, max(w - 14, TASK_FONT), TASK_FONT)
        body += _text(lines, x + w / 2, y + h / 2 - len(lines) * TASK_FONT * LEADING / 2, TASK_FONT, look.ink)
    return body


# ------------------------------------------------------------------------------------------------------------ lines and ends
def _line(points: list[Point], ink: str, width: float, *, short: float = 0.0, dash: str = "") -> str:
    """A polyline with rounded bends; it ends `short` of its last point, where the arrow's base is."""
    line = [*points[:-1], _towards(points[-1], points[-2], short)]
    d = f"M{_n(line[0][0])} {_n(line[0][1])}"
    for before, here, after in zip(line, line[1:], line[2:], strict=False):
        r = min(_ROUND, _length(before, here) / 2, _length(here, after) / 2)
        (ax, ay), (bx, by) = _towards(here, before, r), _towards(here, after, r)
        d += f"L{_n(ax)} {_n(ay)}Q{_n(here[0])} {_n(here[1])} {_n(bx)} {_n(by)}"
    d += f"L{_n(line[-1][0])} {_n(line[-1][1])}"
    dashes = f' stroke-dasharray="{dash}" stroke-linecap="round"' if dash else ""
    return f'<path d="{d}" fill="none" stroke="{ink}" stroke-width="{width}"{dashes}/>'


def _arrow(points: list[Point], ink: str, fill: str) -> str:
    (x, y), (ux, uy) = points[-1], _unit(points[-2], points[-1])
    back = (x - 10 * ux, y - 10 * uy)
    a, b = (back[0] - 4 * uy, back[1] + 4 * ux), (back[0] + 4 * uy, back[1] - 4 * ux)
    corners = f"M{_n(x)} {_n(y)}L{_n(a[0])} {_n(a[1])}L{_n(b[0])} {_n(b[1])}Z"
    return f'<path d="{corners}" fill="{fill}" stroke="{ink}" stroke-width="1" stroke-linejoin="round"/>'


def _open_arrow(points: list[Point], ink: str) -> str:
    (x, y), (ux, uy) = points[-1], _unit(points[-2], points[-1])
    back = (x - 8 * ux, y - 8 * uy)
    a, b = (back[0] - 5 * uy, back[1] + 5 * ux), (back[0] + 5 * uy, back[1] - 5 * ux)
    corners = f"M{_n(a[0])} {_n(a[1])}L{_n(x)} {_n(y)}L{_n(b[0])} {_n(b[1])}"
    return f'<path d="{corners}" fill="none" stroke="{ink}" stroke-width="1.5"/>'


def _slash(points: list[Point], ink: str) -> str:
    (x, y), (ux, uy) = _towards(points[0], points[1], 9), _unit(points[0], points[1])
    dx, dy = 3 * ux + 5 * uy, 3 * uy - 5 * ux
    return f'<path d="M{_n(x - dx)} {_n(y - dy)}L{_n(x + dx)} {_n(y + dy)}" stroke="{ink}" stroke-width="1.5"/>'


def _diamond(points: list[Point], look: _Look) -> str:
    (x, y), (ux, uy) = points[0], _unit(points[0], points[1])
    corners = [(0.0, 0.0), (8.0, 4.5), (16.0, 0.0), (8.0, -4.5)]
    d = "M" + "L".join(f"{_n(x + a * ux - b * uy)} {_n(y + a * uy + b * ux)}" for a, b in corners) + "Z"
    return f'<path d="{d}" fill="{look.paper}" stroke="{look.ink}" stroke-width="1.2"/>'


def _length(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def _unit(a: Point, b: Point) -> Point:
    length = _length(a, b)
    return (b[0] - a[0]) / length, (b[1] - a[1]) / length


def _towards(a: Point, b: Point, distance: float) -> Point:
    ux, uy = _unit(a, b)
    return a[0] + ux * distance, a[1] + uy * distance


def _middle(points: list[Point]) -> Point:
    (x1, y1), (x2, y2) = points[(len(points) - 1) // 2], points[(len(points) - 1) // 2 + 1]
    return (x1 + x2) / 2, (y1 + y2) / 2


# ------------------------------------------------------------------------------------------------------------ SVG
def _group(el: etree._Element, body: str) -> str:
    return f'<g data-element-id="{escape(el.get("id") or "")}">{body}</g>'


def _rect(box: Box, fill: str, ink: str, width: float, *, radius: float = 0.0, dash: str = "") -> str:
    x, y, w, h = (_n(v) for v in box)
    more = (f' rx="{_n(radius)}"' if radius else "") + (f' stroke-dasharray="{dash}" stroke-linecap="round"' if dash else "")
    return f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="{fill}" stroke="{ink}" stroke-width="{width}"{more}/>'


def _text(lines: Iterable[str], x: float, top: float, size: float, ink: str, anchor: str = "middle") -> str:
    """Lines of text, the first line's box beginning at `top`."""
    spans = "".join(
        f'<tspan x="{_n(x)}" y="{_n(top + (k + 0.82) * size * LEADING)}">{escape(line)}</tspan>' for k, line in enumerate(lines)
    )
    return f'<text font-size="{_n(size)}" text-anchor="{anchor}" fill="{ink}">{spans}</text>'


def _box(di: etree._Element) -> Box | None:
    for b in children(di, "Bounds"):
        x, y, w, h = (float(b.get(key) or 0) for key in ("x", "y", "width", "height"))
        return x, y, w, h
    return None


def _look(di: etree._Element) -> _Look:
    ink = di.get(f"{{{_COLOR}}}border-color") or di.get(f"{{{_BIOC}}}stroke") or _INK
    paper = di.get(f"{{{_COLOR}}}background-color") or di.get(f"{{{_BIOC}}}fill") or _PAPER
    return _Look(ink=escape(ink), paper=escape(paper))


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
