"""One scope drawn: columns, rows, routes and coordinates put together, then the most promising other rows tried.

Deterministic: budgets count work, never time, so that a file looks the same from every machine.
"""

from __future__ import annotations

import itertools
from collections import defaultdict

from engine.layout.annexes import place_annexes
from engine.layout.columns import assign_columns
from engine.layout.labels import segment_boxes, set_labels
from engine.layout.model import COL_GAP, Box, Drawing, Edge, Lane, Node
from engine.layout.placement import set_coordinates
from engine.layout.routing import Grid
from engine.layout.rows import Rows, apply
from engine.layout.text import label_size
from engine.layout.tracks import runs_of

_FOLD = 1.0  #: what a drawing may lose for being narrower by a column


def draw(
    nodes: list[Node],
    edges: list[Edge],
    lanes: list[Lane],
    pools: list[tuple[str, str]],
    effort: int = 40,
    widest: float = 1850,
) -> Drawing:
    """Lay out one scope.

    Args:
        effort: complete drawings tried beyond the first.
        widest: where the drawing is wider, steps into another lane are folded under their predecessor.
    """
    d = Drawing(nodes, edges, lanes, pools)

    def sketched() -> float:
        assign_columns(nodes, edges)
        return search(d, 0)

    best = sketched()
    for e in foldable(d):
        if d.w > widest:
            e.fold = True
            score = sketched()
            if score < best + _FOLD:
                best = score
            else:
                e.fold = False
                sketched()
    for n in delayable(d)[:effort]:
        n.delay = 1
        score = sketched()
        if score < best - 0.5:
            best = score
        else:
            n.delay = 0
            sketched()
    search(d, effort)
    for n in nodes:
        if n.inner:
            n.inner.shift(n.x + (n.w - n.base_w) / 2, n.y)
    return d


def delayable(d: Drawing) -> list[Node]:
    """Nodes that an edge reaches by detours: one column later, they may have a free way."""
    crooked = [e for e in d.edges if e.kind == "flow" and not e.back and len(e.points) > 5]
    return list(dict.fromkeys(e.dst.rep for e in crooked if not e.dst.annex))


def foldable(d: Drawing) -> list[Edge]:
    """Edges of the main path whose target may stand right below or above its source, in another lane."""
    forward: dict[Node, list[Edge]] = defaultdict(list)
    outs: dict[Node, int] = defaultdict(int)
    hosts = {n.host for n in d.nodes if n.host}
    for e in d.edges:
        if e.kind == "flow":
            outs[e.src] += 1
            if not e.back:
                forward[e.dst].append(e)
    found: list[Edge] = []
    used: set[Node] = set()
    for e in sorted((e for e in d.edges if e.spine), key=lambda e: e.src.col):
        plain = e.src.kind == "gateway" or (e.src.kind == "task" and outs[e.src] == 1 and e.src not in hosts)
        way = e.dst.lane > e.src.lane
        clear = all(
            o is e or o.back or o.dst.lane == e.src.lane or (o.dst.lane > o.src.lane) != way for o in d.edges if o.src is e.src
        )
        if (
            plain
            and clear
            and e.dst.kind == "task"
            and e.src.lane != e.dst.lane
            and len(forward[e.dst]) == 1
            and not {e.src, e.dst} & used
        ):
            found.append(e)
            used |= {e.src, e.dst}
    return found


def search(d: Drawing, effort: int) -> float:
    """Place `d`, then try the most promising moves with complete drawings; return the price of the best."""
    core = [n for n in d.nodes if not n.host and not n.annex and n.kind != "pool"]
    known = set(core)
    rows = Rows(core, [e for e in d.edges if e.src.rep in known and e.dst.rep in known], len(d.lanes))
    best = compose(d, rows)
    effort = min(effort, 20_000 // (1 + len(d.edges)))
    tried: set[tuple[tuple[str, int], ...]] = set()
    while effort > 0:
        ideas: list[tuple[float, int, tuple[tuple[str, int], ...], dict[Node, int]]] = []
        for group in rows.groups():
            for move in rows.moves(group):
                undo = apply(move)
                state = tuple((n.id, n.level) for n in core)
                if state not in tried:
                    ideas.append((rows.cost(), len(ideas), state, move))
                apply(undo)
        for _, _, state, move in sorted(ideas, key=lambda idea: idea[:2]):
            effort -= 1
            tried.add(state)
            undo = apply(move)
            if (score := compose(d, rows)) < best - 0.01:
                best = score
                break
            apply(undo)
            if effort <= 0:
                break
        else:
            break
    score = compose(d, rows, passes=4)
    return score if score <= best else compose(d, rows)


def compose(d: Drawing, rows: Rows, passes: int = 2) -> float:
    """One complete drawing from columns and levels; returns its price."""
    keys = rows.keys()
    for n in rows.nodes:
        n.row = keys.index((n.lane, n.level))
    place_annexes(d.nodes, d.edges, keys)
    exits = {e.src: e for e in d.edges}
    by_host: dict[tuple[Node, bool], list[Node]] = defaultdict(list)
    for n in d.nodes:
        if n.host:
            n.col, n.row, n.lane = n.exit_col, n.host.row, n.host.lane
            n.above = n in exits and exits[n].dst.rep.row < n.host.row
            by_host[n.host, n.above].append(n)
    for (host, _), group in by_host.items():  # right: the nearest handler; left: the way back
        group.sort(key=lambda n: (exits[n].back, abs(exits[n].dst.rep.row - host.row)) if n in exits else (False, 0))
        host.w = max(host.w, 46.0 * len(group) + 8)
        for i, n in enumerate(group):
            n.slot, n.slots = i, len(group)
    grid = Grid(d, keys, passes)
    wider: dict[int, float] = {}
    for e in d.edges:
        if e.name and len(runs_of(e)) == 1 and e.dst.rep.col == e.src.exit_col + 1:
            wider[e.dst.rep.col] = max(wider.get(e.dst.rep.col, 0), label_size(e.name)[0] + (30 if e.default else 20))
    for _ in range(4):
        set_coordinates(d, grid, wider)
        failed, crowded = set_labels(d, grid)
        tight = [e.src for e in failed] + [n for n in crowded if n.host]
        if not tight:
            break
        for n in tight:
            c = min(n.exit_col + 1, grid.ncols)
            wider[c] = max(wider.get(c, 0), COL_GAP) + 16
    return price(d) + 12 * (len(failed) + len(crowded))


def price(d: Drawing) -> float:
    """What a reader pays: bends, crossings, lines on lines, long ways, height."""
    total = d.h / 60 + d.w / 400
    exits: dict[Node, list[Edge]] = defaultdict(list)
    for e in d.edges:
        if e.src.kind == "gateway" and e.kind == "flow":
            exits[e.src].append(e)
    for leaving in exits.values():
        if len(leaving) < 4:  # two answers that leave by one line are hard to tell apart
            total += 3 * (len(leaving) - len({tuple(e.path[:2]) for e in leaving}))
    flat: list[tuple[Edge, Box]] = []
    up: list[tuple[Edge, Box]] = []
    for e in d.edges:
        total += (len(e.points) - 2) * (1.6 if e.spine else 1.0 if e.kind == "flow" else 0.4)
        for box in segment_boxes(e):
            total += (box[2] + box[3]) / 400
            (up if box[2] == 0 else flat).append((e, box))
    for e, (x, y, w, _) in flat:
        total += sum(2.5 for f, (a, b, _, h) in up if x + 1 < a < x + w - 1 and b + 1 < y < b + h - 1 and e is not f)
    for lines, across, along in ((flat, 1, 0), (up, 0, 1)):
        for (e, p), (f, q) in itertools.combinations(lines, 2):
            if abs(p[across] - q[across]) < 3 and not e.related(f):
                shared = min(p[along] + p[along + 2], q[along] + q[along + 2]) - max(p[along], q[along])
                total += 8 if shared > 2 else 0
    return total
