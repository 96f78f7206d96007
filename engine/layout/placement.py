"""Coordinates: every gap exactly as wide as the edges and labels in it need."""

from __future__ import annotations

import itertools

from engine.layout.labels import label_side
from engine.layout.model import COL_GAP, HEADER, LANE_PAD, LEFT, ROW_GAP, TRACK, UP, Drawing, Node, Point, direction
from engine.layout.routing import Grid
from engine.layout.text import label_size, text_width
from engine.layout.tracks import Run, runs_of, tracks


def set_coordinates(d: Drawing, grid: Grid, wider: dict[int, float]) -> None:
    """Gives every node, lane and edge its place; `wider` holds the least width of single column gaps."""
    runs = {e: runs_of(e) for e in d.edges}
    flat = [r for rs in runs.values() for r in rs]
    for r in flat:
        r.at = grid.vpos[r.line] if r.vertical else grid.hpos[r.line]
    header = HEADER * (len(d.pools) > 0) + HEADER * max((lane.depth + 1 for lane in d.lanes if lane.id), default=0)
    left, right = [0.0] * grid.ncols, [0.0] * grid.ncols
    up, down = [20.0] * len(grid.rows), [20.0] * len(grid.rows)
    for n in d.nodes:
        if n.host or n.kind == "pool":
            w, h, row = 0.0, n.h, n.rep.row
        else:
            w, h, row = (0 if n.annex else n.column_w), n.h, n.row
        above = below = n.rep.h / 2 + (h / 2 if n.host else 0)
        if n.labelled:
            lw, lh = label_size(n.name)
            w = max(w, lw - 26) if not n.host else 0
            if label_side(n, grid) == "above":
                above += lh + 4
            else:
                below += lh + 4
        if n.host:
            above, below = (below, 0) if n.above else (0, below)
        for c in range(n.rep.col, n.rep.last_col + 1) if not n.host else ():
            left[c], right[c] = max(left[c], w / 2), max(right[c], w / 2)
        up[row], down[row] = max(up[row], above), max(down[row], below)
    xs, ys = list(grid.vpos), list(grid.hpos)
    d.pool_boxes = []
    for _ in range(3):
        x = header
        for v, (kind, c) in enumerate(grid.v):
            if kind == "gap":
                groups, track, count = tracks([r for r in flat if r.vertical and r.line == v], ys)
                inner = 0 < c < grid.ncols
                width = max(COL_GAP if inner else 28, 32 + (count - 1) * TRACK if count else 0, wider.get(c, 0))
                first = x + (width - (count - 1) * TRACK) / 2 - (2 if inner else 0)
                for i, group in enumerate(groups):
                    for r in group:
                        r.at = first + track[i] * TRACK
                xs[v] = x + width / 2
                x += width + (left[c] if c < grid.ncols else 0)
            elif kind == "mid":
                xs[v] = x
                x += right[c]
        for r in flat:  # centre lines and boundary events have no tracks; what ends on them is ordered by where they are
            if r.vertical and grid.v[r.line][0] == "mid":
                r.at = xs[r.line]
            elif r.vertical and grid.v[r.line][0] == "slot" and r.edge.src.host:
                r.at = xs[grid.vmid[r.edge.src.host.col]] + _slot(r.edge.src, r.edge.src.host)
        y, top = 0.0, 0.0
        for i, lane in enumerate(d.lanes):
            top = y = y + (30 if i and lane.pool != d.lanes[i - 1].pool else 0)
            need = (
                max(
                    (30 + text_width(name, 12) / 2 for name in (lane.name, d.pools[lane.pool][1] if d.pools else "")), default=0
                )
                if lane.id or d.pools
                else 0
            )
            mine = [k for k, row in enumerate(grid.rows) if row[0] == i]
            lines = range(grid.hmid[mine[0]] - 1, grid.hmid[mine[-1]] + 2)
            sizes = {}
            for h in lines:
                if grid.h[h][0] == "gap":
                    found = tracks([r for r in flat if not r.vertical and r.line == h], xs)
                    outer = h in (lines[0], lines[-1])
                    sizes[h] = (found, max(LANE_PAD if outer else ROW_GAP, 36 + (found[2] - 1) * TRACK if found[2] else 0))
            tall = sum(s for _, s in sizes.values()) + sum(up[k] + down[k] for k in mine)
            spare = max(need - tall, 0) / 2
            for h in lines:
                if grid.h[h][0] == "gap":
                    (groups, track, count), size = sizes[h]
                    size += spare if h in (lines[0], lines[-1]) else 0
                    first = y + (size - (count - 1) * TRACK) / 2
                    for k, group in enumerate(groups):
                        for r in group:
                            r.at = first + track[k] * TRACK
                    ys[h] = y + size / 2
                    y += size
                else:
                    k = grid.h[h][1]
                    y += up[k]
                    ys[h] = y
                    y += down[k]
            lane.box = (
                HEADER * bool(d.pools) + HEADER * lane.depth,
                top,
                x - HEADER * bool(d.pools) - HEADER * lane.depth,
                y - top,
            )
        for r in flat:
            if not r.vertical and grid.h[r.line][0] == "mid":
                r.at = ys[r.line]
    d.w, d.h = x, y
    for n in d.nodes:
        if not n.host:
            n.x, n.y = xs[grid.vmid[n.col]] - n.w / 2, ys[grid.hmid[n.row]] - n.h / 2
            if n.kind == "pool":
                n.x, n.w = 0, d.w
            elif n.annex:
                n.x = xs[grid.vmid[n.col]] - left[n.col] + n.offset
                d.w = max(d.w, n.x + n.w + 24)
            elif n.span > 1:
                n.x = xs[grid.vmid[n.col]] - left[n.col]
                n.w = xs[grid.vmid[n.last_col]] + right[n.last_col] - n.x
    for lane in d.lanes:
        lane.box = (*lane.box[:2], d.w - lane.box[0], lane.box[3])
    for n in d.nodes:
        if n.host:
            host = n.host
            middle = xs[grid.vmid[n.col]] if host.span > 1 else host.cx + _slot(n, host)
            n.x = middle - n.w / 2
            n.y = (host.y if n.above else host.y + host.h) - n.h / 2
    for p in range(len(d.pools)):
        boxes = [lane.box for lane in d.lanes if lane.pool == p]
        d.pool_boxes.append((0, boxes[0][1], d.w, boxes[-1][1] + boxes[-1][3] - boxes[0][1]))
    for e, rs in runs.items():
        if e.src.host:
            rs[0].at = e.src.cx
        e.points = [border(e.src, rs[0], direction(*e.path[:2]))]
        for a, b in itertools.pairwise(rs):
            e.points.append((a.at, b.at) if a.vertical else (b.at, a.at))
        e.points.append(border(e.dst, rs[-1], (direction(*e.path[-2:]) + 2) % 4))


def _slot(n: Node, host: Node) -> float:
    """How far right of its host's middle a boundary event stands; the rightmost has slot 0."""
    pitch = min((host.w - 44) / max(n.slots - 1, 1), 110)
    return host.w / 2 - 22 - n.slot * pitch


def border(n: Node, run: Run, side: int) -> Point:
    if run.vertical:
        return run.at, n.y if side == UP else n.y + n.h
    return n.x if side == LEFT else n.x + n.w, run.at
