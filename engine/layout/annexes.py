"""Where event sub-processes and closed pools stand: in free space of their lane, out of the way of the flow."""

from __future__ import annotations

from dataclasses import dataclass

from engine.layout.model import COL_GAP, Edge, Node

_BLOCKED, _BLOCKED_SPINE = 4.0, 8.0  #: price of standing in the way of an edge, in bends
_NEW_ROW, _HEIGHT, _WIDTH = 1.0, 60.0, 60.0  #: price of a row, and how many units of height or width cost one bend


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A free place; `row` is a place in the list of rows before which, if `new`, a row is put in."""

    row: int
    new: bool
    level: int
    col: int
    offset: float
    span: int


def place_annexes(nodes: list[Node], edges: list[Edge], keys: list[tuple[int, int]]) -> None:
    """Give event sub-processes and closed pools their rows and columns; a row that has to be made is put into `keys`.

    Args:
        keys: lane and level of every row, top to bottom.
    """
    flow = [n for n in nodes if not n.host and not n.annex and n.kind != "pool"]
    last = max((n.last_col for n in flow), default=0)
    for n in nodes:
        if n.kind == "pool":
            n.row, n.col, n.span = keys.index((n.lane, 0)), 0, last + 1
    annexes = [n for n in nodes if n.annex]
    if annexes:
        space = _Space(flow, [e for e in edges if e.kind != "link" and not e.src.rep.annex and not e.dst.rep.annex], keys)
        placed: list[Node] = []
        for n in annexes:
            best = min(space.places(n), key=lambda one: one[0])[1]
            if best.new:
                keys.insert(best.row, (n.lane, best.level))
                for other in nodes:
                    if not other.host and other.row >= best.row and (not other.annex or other in placed):
                        other.row += 1
                space.insert(best.row)
            n.row, n.col, n.span, n.offset = best.row, best.col, best.span, best.offset
            placed.append(n)
            space.take(n)


class _Space:
    """What is still free in each row, right of the flow."""

    def __init__(self, flow: list[Node], edges: list[Edge], keys: list[tuple[int, int]]) -> None:
        self._keys, self._edges = keys, edges
        self._last = max((n.last_col for n in flow), default=0)
        self._widths = [COL_GAP] * (self._last + 1)
        for n in flow:
            for c in range(n.col, n.last_col + 1):
                self._widths[c] = max(self._widths[c], n.column_w + COL_GAP)
        self._heights = [max((n.h for n in flow if n.row == i), default=0.0) for i in range(len(keys))]
        self._free = [(1 + max((n.last_col for n in flow if n.row == i), default=-1), 0.0) for i in range(len(keys))]
        for e in edges:  # the way to the next step stays open
            if e.kind == "flow":
                row = e.src.rep.row
                self._free[row] = max(self._free[row], (e.dst.rep.col + 1, 0.0))

    def places(self, n: Node) -> list[tuple[float, _Place]]:
        """Every place where `n` may stand, with its price."""
        own = [i for i, (lane, _) in enumerate(self._keys) if lane == n.lane]
        found = []
        for row in own:
            price = max(n.h - self._heights[row], 0) / _HEIGHT
            found += self._in_row(n, row, False, self._keys[row][1], self._free[row], price)
        for row, level, price in (
            (own[-1] + 1, self._keys[own[-1]][1] + 1, 0.0),
            (own[0], self._keys[own[0]][1] - 1, 0.2),
        ):
            found += self._in_row(n, row, True, level, (0, 0.0), price + _NEW_ROW + n.h / _HEIGHT)
        return found

    def _in_row(
        self, n: Node, row: int, new: bool, level: int, free: tuple[int, float], price: float
    ) -> list[tuple[float, _Place]]:
        crossing = [e for e in self._edges if _crosses(e, row, new)]
        found = []
        for col in range(free[0], self._last + 2):
            offset = free[1] if col == free[0] else 0.0
            span, room = 1, self._widths[col] if col <= self._last else 0.0
            while room < offset + n.w + COL_GAP and col + span <= self._last:
                room += self._widths[col + span]
                span += 1
            over = max(offset + n.w + COL_GAP - room, 0) / _WIDTH
            blocked = sum((_BLOCKED_SPINE if e.spine else _BLOCKED) * _blocks(e, col, col + span) for e in crossing)
            place = _Place(row=row, new=new, level=level, col=min(col, self._last + 1), offset=offset, span=span)
            found.append((price + over + blocked + 0.02 * col, place))
        return found

    def insert(self, row: int) -> None:
        self._free.insert(row, (0, 0.0))
        self._heights.insert(row, 0.0)

    def take(self, n: Node) -> None:
        self._heights[n.row] = max(self._heights[n.row], n.h)
        end, col = n.offset + n.w + COL_GAP, n.col
        while col <= self._last and end >= self._widths[col]:
            end -= self._widths[col]
            col += 1
        self._free[n.row] = (col, max(end, 0.0) if col <= self._last else n.offset * (n.col > self._last) + n.w + COL_GAP)


def _crosses(e: Edge, row: int, new: bool) -> bool:
    """Does the edge come from above the row and go below it, or the other way round?"""
    top, bottom = sorted((e.src.rep.row, e.dst.rep.row))
    return top < row <= bottom if new else top < row < bottom


def _blocks(e: Edge, first: int, end: int) -> float:
    """How much of the edge's natural ways up or down is taken by the columns from `first` to before `end`: 0 to 1."""
    c1, c2 = e.src.exit_col, e.dst.rep.col
    at_source, at_target = first <= c1 < end, first <= c2 < end
    if c1 == c2:
        return float(at_source)
    if e.src.kind == "gateway" or e.src.host:
        return float(at_source)
    if e.dst.kind == "gateway" or e.back or c2 < c1:
        return float(at_target)
    return float(first <= c1 and c2 < end)
