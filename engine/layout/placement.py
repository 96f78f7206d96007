"""Coordinates: every gap exactly as wide as the edges and labels in it need."""

from __future__ import annotations

import itertools

from engine.layout.labels import label_side
from engine.layout.model import COL_GAP, HEADER, LANE_PAD, LEFT, ROW_GAP, TRACK, UP, Drawing, Lane, Node, Point, direction
from engine.layout.routing import Grid
from engine.layout.text import TASK_FONT, label_size, text_width
from engine.layout.tracks import Run, runs_of, tracks

_OUTER_GAP = 28.0  #: left of the first column and right of the last
_POOL_GAP = 30.0  #: between two pools
_SHAFT = 32.0, 36.0  #: a gap with one track, between columns and between rows: room for an arrow with a shaft


def set_coordinates(d: Drawing, grid: Grid, wider: dict[int, float]) -> None:
    """Give every node, lane, pool and edge of `d` its place.

    Args:
        wider: ``{number of a gap between columns: its least width}``.
    """
    _Coordinates(d, grid, wider).set()


class _Coordinates:
    """The positions of the grid's lines, found in rounds: where tracks lie depends on the lines that cross them."""

    def __init__(self, d: Drawing, grid: Grid, wider: dict[int, float]) -> None:
        self._d, self._grid, self._wider = d, grid, wider
        self._xs, self._ys = list(grid.vpos), list(grid.hpos)
        self._runs = {e: runs_of(e) for e in d.edges}
        self._flat = [run for runs in self._runs.values() for run in runs]
        for run in self._flat:
            run.at = grid.vpos[run.line] if run.vertical else grid.hpos[run.line]
        deepest = max((lane.depth + 1 for lane in d.lanes if lane.id), default=0)
        self._header = HEADER * bool(d.pools) + HEADER * deepest
        self._left, self._right = [0.0] * grid.ncols, [0.0] * grid.ncols
        self._up, self._down = [20.0] * len(grid.rows), [20.0] * len(grid.rows)
        for n in d.nodes:
            self._make_room(n)

    def set(self) -> None:
        d = self._d
        for _ in range(3):
            d.w = self._place_columns()
            d.h = self._place_rows()
        for n in d.nodes:
            if not n.host:
                self._place(n)
        for lane in d.lanes:
            lane.box = (*lane.box[:2], d.w - lane.box[0], lane.box[3])
        for n in d.nodes:
            if n.host:
                middle = self._xs[self._grid.vmid[n.col]] if n.host.span > 1 else n.host.cx + _slot(n, n.host)
                n.x, n.y = middle - n.w / 2, (n.host.y if n.above else n.host.y + n.host.h) - n.h / 2
        d.pool_boxes = []
        for p in range(len(d.pools)):
            boxes = [lane.box for lane in d.lanes if lane.pool == p]
            d.pool_boxes.append((0, boxes[0][1], d.w, boxes[-1][1] + boxes[-1][3] - boxes[0][1]))
        for e, runs in self._runs.items():
            if e.src.host:
                runs[0].at = e.src.cx
            e.points = [_border(e.src, runs[0], direction(*e.path[:2]))]
            e.points += [(a.at, b.at) if a.vertical else (b.at, a.at) for a, b in itertools.pairwise(runs)]
            e.points.append(_border(e.dst, runs[-1], (direction(*e.path[-2:]) + 2) % 4))

    def _make_room(self, n: Node) -> None:
        """Count `n` and its label in the sizes of its columns and its row."""
        w = 0.0 if n.host or n.annex or n.kind == "pool" else n.column_w
        above = below = n.rep.h / 2 + (n.h / 2 if n.host else 0)
        if n.labelled:
            label_w, label_h = label_size(n.name)
            w = max(w, label_w - 26) if not n.host else 0
            if label_side(n, self._grid) == "above":
                above += label_h + 4
            else:
                below += label_h + 4
        if n.host:
            above, below = (below, 0.0) if n.above else (0.0, below)
        for c in range(n.rep.col, n.rep.last_col + 1) if not n.host else ():
            self._left[c], self._right[c] = max(self._left[c], w / 2), max(self._right[c], w / 2)
        row = n.rep.row
        self._up[row], self._down[row] = max(self._up[row], above), max(self._down[row], below)

    def _place_columns(self) -> float:
        """Set the vertical lines and their tracks; return the right end."""
        grid, x = self._grid, self._header
        for v, (kind, c) in enumerate(grid.v):
            if kind == "gap":
                groups, track, count = tracks([r for r in self._flat if r.vertical and r.line == v], self._ys)
                inner = 0 < c < grid.ncols
                need = _SHAFT[0] + (count - 1) * TRACK if count else 0
                width = max(COL_GAP if inner else _OUTER_GAP, need, self._wider.get(c, 0))
                _put(groups, track, x + (width - (count - 1) * TRACK) / 2 - (2 if inner else 0))
                self._xs[v] = x + width / 2
                x += width + (self._left[c] if c < grid.ncols else 0)
            elif kind == "mid":
                self._xs[v] = x
                x += self._right[c]
        for (
            run
        ) in self._flat:  # centre lines and boundary events have no tracks; what ends on them is ordered by where they are
            if run.vertical and grid.v[run.line][0] == "mid":
                run.at = self._xs[run.line]
            elif run.vertical and grid.v[run.line][0] == "slot" and run.edge.src.host:
                run.at = self._xs[grid.vmid[run.edge.src.host.col]] + _slot(run.edge.src, run.edge.src.host)
        return x

    def _place_rows(self) -> float:
        """Set the horizontal lines, their tracks and the lanes' heights; return the lower end."""
        d, grid, y = self._d, self._grid, 0.0
        for i, lane in enumerate(d.lanes):
            top = y = y + (_POOL_GAP if i and lane.pool != d.lanes[i - 1].pool else 0)
            mine = [k for k, row in enumerate(grid.rows) if row[0] == i]
            lines = range(grid.hmid[mine[0]] - 1, grid.hmid[mine[-1]] + 2)
            found, sizes = {}, {}
            for h in lines:
                if grid.h[h][0] == "gap":
                    found[h] = tracks([r for r in self._flat if not r.vertical and r.line == h], self._xs)
                    count = found[h][2]
                    least = LANE_PAD if h in (lines[0], lines[-1]) else ROW_GAP
                    sizes[h] = max(least, _SHAFT[1] + (count - 1) * TRACK if count else 0)
            tall = sum(sizes.values()) + sum(self._up[k] + self._down[k] for k in mine)
            spare = max(self._title_height(lane) - tall, 0) / 2
            for h in lines:
                kind, k = grid.h[h]
                if kind == "gap":
                    groups, track, count = found[h]
                    size = sizes[h] + (spare if h in (lines[0], lines[-1]) else 0)
                    _put(groups, track, y + (size - (count - 1) * TRACK) / 2)
                    self._ys[h] = y + size / 2
                    y += size
                else:
                    self._ys[h] = y + self._up[k]
                    y += self._up[k] + self._down[k]
            x = HEADER * bool(d.pools) + HEADER * lane.depth
            lane.box = (x, top, d.w - x, y - top)
        for run in self._flat:
            if not run.vertical and grid.h[run.line][0] == "mid":
                run.at = self._ys[run.line]
        return y

    def _title_height(self, lane: Lane) -> float:
        """What the upright names of a lane and its pool need; they may take two lines."""
        if not lane.id and not self._d.pools:
            return 0.0
        pool = self._d.pools[lane.pool][1] if self._d.pools else ""
        return max(30 + text_width(name, TASK_FONT) / 2 for name in (lane.name, pool))

    def _place(self, n: Node) -> None:
        d, grid, xs = self._d, self._grid, self._xs
        n.x, n.y = xs[grid.vmid[n.col]] - n.w / 2, self._ys[grid.hmid[n.row]] - n.h / 2
        if n.kind == "pool":
            n.x, n.w = 0, d.w
        elif n.annex:
            n.x = xs[grid.vmid[n.col]] - self._left[n.col] + n.offset
            d.w = max(d.w, n.x + n.w + 24)
        elif n.span > 1:
            n.x = xs[grid.vmid[n.col]] - self._left[n.col]
            n.w = xs[grid.vmid[n.last_col]] + self._right[n.last_col] - n.x


def _put(groups: list[list[Run]], track: dict[int, int], first: float) -> None:
    """Place the groups of runs in one gap, the first track at `first`."""
    for i, group in enumerate(groups):
        for run in group:
            run.at = first + track[i] * TRACK


def _slot(n: Node, host: Node) -> float:
    """How far right of its host's middle a boundary event stands; the rightmost has slot 0."""
    pitch = min((host.w - 44) / max(n.slots - 1, 1), 110)
    return host.w / 2 - 22 - n.slot * pitch


def _border(n: Node, run: Run, side: int) -> Point:
    """Where `run` meets the border of `n`."""
    if run.vertical:
        return run.at, n.y if side == UP else n.y + n.h
    return n.x if side == LEFT else n.x + n.w, run.at
