"""What is put around and onto a finished drawing: groups, and lines that end on an edge, a pool or inside a sub-process."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from engine.layout.model import Box, Drawing, Edge, Node, Point
from engine.layout.text import label_size

_PAD = 12.0


@dataclass(frozen=True, kw_only=True)
class Tie:
    """An association or message flow between elements that no route joins; `straight`: in one line, slanted if need be."""

    id: str
    source: str
    target: str
    straight: bool = True


@dataclass(kw_only=True)
class Group:
    """A frame. `members`: ids that its category names; else what stood inside it in the old diagram stays inside."""

    id: str
    name: str
    category: str
    members: list[str] = field(default_factory=list)


def finish(d: Drawing, ties: Iterable[Tie], groups: Iterable[Group], old: dict[str, Box]) -> None:
    """Add `groups` and `ties` to the drawing `d`, which is complete but for them."""
    nodes = {n.id: n for n in _all_nodes(d)}
    boxes = {id_: n.box for id_, n in nodes.items()}
    places = dict(boxes)
    for lane in d.lanes:
        places |= {lane.id: lane.box} if lane.id else {}
    places |= {id_: box for (id_, _), box in zip(d.pools, d.pool_boxes, strict=True)}
    for group in groups:
        frame, label = _frame(group, boxes, old, d)
        d.group_boxes[group.id] = (frame, label)
        places[group.id] = frame
    lines = {e.id: e.points for e in _all_edges(d)}
    for tie in ties:
        ends = [places.get(id_) or (_point(lines[id_]) if id_ in lines else None) for id_ in (tie.source, tie.target)]
        if ends[0] and ends[1]:
            edge = Edge(tie.id, Node(tie.source, "note", "", 0, 0), Node(tie.target, "note", "", 0, 0), "", "link")
            edge.points = _line(ends[0], ends[1]) if tie.straight else _angled(ends[0], ends[1])
            d.edges.append(edge)


def _all_nodes(d: Drawing) -> Iterator[Node]:
    for n in d.nodes:
        yield n
        if n.inner:
            yield from _all_nodes(n.inner)


def _all_edges(d: Drawing) -> Iterator[Edge]:
    yield from d.edges
    for n in d.nodes:
        if n.inner:
            yield from _all_edges(n.inner)


def _frame(group: Group, boxes: dict[str, Box], old: dict[str, Box], d: Drawing) -> tuple[Box, Box | None]:
    w, h = label_size(group.name) if group.name else (0.0, 0.0)
    head = h + 6 if h else 0.0
    inside = {id_ for id_ in group.members if id_ in boxes}
    if not inside and group.id in old:
        inside = {id_ for id_ in boxes if id_ in old and _holds(old[group.id], old[id_])}
    if inside:
        grown: set[str] = set()
        while grown != inside:  # what the frame holds by accident belongs to it from now on: drawn again, it stays the same
            grown = inside
            left, top = min(boxes[i][0] for i in grown) - _PAD, min(boxes[i][1] for i in grown) - _PAD - head
            right = max(boxes[i][0] + boxes[i][2] for i in grown) + _PAD
            bottom = max(boxes[i][1] + boxes[i][3] for i in grown) + _PAD
            frame: Box = (left, top, right - left, bottom - top)
            inside = grown | {i for i in boxes if _holds(frame, boxes[i])}
    else:
        frame = (0, d.h + 30 + 110 * len(d.group_boxes), max(140, w + 20), 80)
    x, y = frame[0] + (frame[2] - w) / 2, frame[1] + 4
    return frame, (x, y, w, h) if group.name else None


def _holds(outer: Box, inner: Box) -> bool:
    right, bottom = outer[0] + outer[2], outer[1] + outer[3]
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[0] + inner[2] <= right and inner[1] + inner[3] <= bottom


def _point(points: list[Point]) -> Box:
    """The middle of the longest piece of an edge, as an empty box."""
    (x1, y1), (x2, y2) = max(itertools.pairwise(points), key=lambda p: abs(p[0][0] - p[1][0]) + abs(p[0][1] - p[1][1]))
    return (x1 + x2) / 2, (y1 + y2) / 2, 0, 0


def _line(a: Box, b: Box) -> list[Point]:
    """A line between the nearest sides of two boxes; upright or level where they face each other."""
    (x1, x2), (y1, y2) = _nearest(a[0], a[2], b[0], b[2]), _nearest(a[1], a[3], b[1], b[3])
    return [(x1, y1), (x2, y2)]


def _nearest(a: float, a_size: float, b: float, b_size: float) -> tuple[float, float]:
    low, high = max(a, b), min(a + a_size, b + b_size)
    if low <= high:
        return (low + high) / 2, (low + high) / 2
    return (a + a_size, b) if a < b else (a, b + b_size)


def _angled(a: Box, b: Box) -> list[Point]:
    """From the lower or upper side of `a` to that of `b`, in level and upright pieces."""
    down = a[1] + a[3] / 2 < b[1] + b[3] / 2
    start = (a[0] + a[2] / 2, a[1] + a[3] if down else a[1])
    end = (b[0] + b[2] / 2, b[1] if down else b[1] + b[3])
    if start[0] == end[0]:
        return [start, end]
    middle = (start[1] + end[1]) / 2
    return [start, (start[0], middle), (end[0], middle), end]
