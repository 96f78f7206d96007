"""Puts the labels of events, gateways and edges on free spots."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from engine.layout.model import DOWN, UP, Box, Drawing, Edge, Node
from engine.layout.routing import Grid
from engine.layout.text import label_size


def label_side(n: Node, grid: Grid) -> str:
    """Return where the label of `n` goes if there is room: ``above`` or ``below``, the side without edges."""
    if n.host:
        return "above" if n.above else "below"
    top, bottom = bool(grid.sides[n, UP]), bool(grid.sides[n, DOWN])
    if n.kind == "gateway":
        return "above" if not top or bottom else "below"
    return "above" if bottom and not top else "below"


def hits(a: Box, b: Box, pad: float = 0.0) -> bool:
    """Do the boxes overlap, the first made larger by `pad`?"""
    return a[0] < b[0] + b[2] + pad and b[0] < a[0] + a[2] + pad and a[1] < b[1] + b[3] + pad and b[1] < a[1] + a[3] + pad


def segment_boxes(e: Edge) -> list[Box]:
    """Return the pieces of an edge as boxes without width or height."""
    return [(min(x1, x2), min(y1, y2), abs(x1 - x2), abs(y1 - y2)) for (x1, y1), (x2, y2) in itertools.pairwise(e.points)]


def set_labels(d: Drawing, grid: Grid) -> tuple[list[Edge], list[Node]]:
    """Puts external labels on free spots; returns the edges and the nodes whose label found none."""
    solid = [n.box for n in d.nodes]
    lines = [(e, box) for e in d.edges for box in segment_boxes(e)]
    rules = [(lane.box[0], lane.box[1], lane.box[2], 0.0) for lane in d.lanes if lane.id] + [
        (0, b[1], b[2], 0.0) for b in d.pool_boxes
    ]
    placed: list[Box] = []
    crowded: list[Node] = []

    def price(box: Box, own: Edge | None) -> float:
        cost = 60.0 * sum(hits(box, s, 1) for s in solid) + 60.0 * sum(hits(box, p, 2) for p in placed)
        cost += sum(25.0 for e, line in lines if hits(box, line, 1 if e is not own else -0.5))
        return cost + 20.0 * sum(hits(box, r, 1) for r in rules)

    def choose(boxes: Iterable[tuple[float, Box]], own: Edge | None = None) -> tuple[float, Box]:
        return min(((taste + price(b, own), b) for taste, b in boxes), key=lambda c: c[0])

    returning = {e.src for e in d.edges if e.back}

    def rightward(n: Node) -> bool:
        """Does the label of a boundary event go to its right? There it is out of the way of a line to the left."""
        if n.host and n.host.span > 1:
            return n in returning
        return not n.slot and n.slots > 1

    for n in sorted(d.nodes, key=lambda n: n.host is None):
        if not n.labelled:
            continue
        w, h = label_size(n.name)
        over, under = n.y - h - 3, n.y + n.h + 3
        spots = {"above": (n.cx - w / 2, over), "below": (n.cx - w / 2, under)}
        sides = [(n.cx - w - 7, over if n.above else under), (n.cx + 7, over if n.above else under)]
        if n.host:
            order = [(x, y, w, h) for x, y in (sides[::-1] if rightward(n) else sides)]
            w, h = label_size(n.name, 30, 44)
            y = n.y - h - 3 if n.above else under
            order += [(x, y, w, h) for x in (n.cx + 5, n.cx - w - 5)]
        else:
            first = label_side(n, grid)
            order = [(*spots[side], w, h) for side in (first, "below" if first == "above" else "above")]
            w, h = label_size(n.name, 50, 60)
            order += [(x, y, w, h) for y in (n.y - h - 1, n.y + n.h + 1) for x in (n.cx - w - 5, n.cx + 5)]
        cost, n.label = choose(enumerate(order))
        if cost >= 20:
            crowded.append(n)
        placed.append(n.label)
    failed = []
    for e in sorted(d.edges, key=lambda e: len(e.points)):
        if not e.name:
            continue
        w, h = label_size(e.name)
        cost, e.label = choose(edge_spots(e, w, h, [o for o in d.edges if o is not e and o.related(e)]), e)
        placed.append(e.label)
        if cost >= 20:
            failed.append(e)
    return failed, crowded


def edge_spots(e: Edge, w: float, h: float, family: list[Edge]) -> Iterator[tuple[float, Box]]:
    """Places for an edge's label, dearest last: on its own part, near its source, above the line."""
    others = [box for o in family for box in segment_boxes(o)]
    trunk = any(o.src is e.src and o.path[:2] == e.path[:2] for o in family)
    for i, ((x1, y1), (x2, y2)) in enumerate(itertools.pairwise(e.points)):
        size = abs(x1 - x2) + abs(y1 - y2)
        for at in (0.0, 0.15, 0.35, 0.7, 1.0):
            taste = 2.0 * i + 1.5 * at + (6 if trunk and i < len(e.points) - 2 else 0)
            lead = 14 if e.default and i == 0 else 4
            if y1 == y2:
                room = size - w - 12 - lead
                start = lead + room * at if room > 0 else max((size - w) / 2, lead if i == 0 else -99)
                x = x1 + start if x2 > x1 else x1 - start - w
                spots = [(0.0, (x, y1 - h - 2, w, h)), (0.8, (x, y1 + 3, w, h))]
                shared: Box = (x, y1 - 1, w, 2.0)
                taste += 6 if room < 0 else 0
            else:
                room = size - h - 6 - lead
                start = lead + max(room, 0) * at
                y = y1 + start if y2 > y1 else y1 - start - h
                spots = [(0.5, (x1 + 5, y, w, h)), (1.0, (x1 - 5 - w, y, w, h))]
                shared = (x1 - 1, y, 2, h)
                taste += 6 if room < 0 else 0
            if any(hits(shared, box) for box in others):
                taste += 8
            for extra, box in spots:
                yield taste + extra, box
