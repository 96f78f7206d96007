"""Which row of its lane each node stands in: local search over a cheap sketch of all edges."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator

from engine.layout.model import Edge, Node, Point


class Rows:
    """Chooses each node's level inside its lane: a cheap sketch of every edge, improved by local search."""

    def __init__(self, nodes: list[Node], edges: list[Edge], lane_count: int) -> None:
        self.nodes, self.edges, self.lane_count = nodes, edges, lane_count
        self.links: dict[Node, list[Edge]] = defaultdict(list)
        for e in edges:
            self.links[e.src.rep].append(e)
            self.links[e.dst.rep].append(e)
        self.spine = {n for e in edges if e.spine for n in (e.src.rep, e.dst.rep)}
        taken: set[tuple[int, int, int]] = set()
        for n in sorted(nodes, key=lambda n: (n not in self.spine, n.col)):
            before = [p.level for e in self.links[n] if (p := e.src.rep).lane == n.lane and p.col < n.col]
            want = before[0] if before and n not in self.spine else 0
            tried = (level for d in itertools.count() for level in (want + d, want - d))
            n.level = next(level for level in tried if not taken & {(n.lane, *cell) for cell in _cells(n, level)})
            taken |= {(n.lane, *cell) for cell in _cells(n, n.level)}
        budget, best, improved = 60_000 // (1 + len(edges)), self.cost(), True
        while improved and budget > 0:
            improved = False
            for group in self.groups():
                for move in self.moves(group):
                    budget -= 1
                    undo = apply(move)
                    if budget > 0 and (price := self.cost()) < best - 1e-6:
                        best, improved = price, True
                        break
                    apply(undo)

    def keys(self) -> list[tuple[int, int]]:
        """Lane and level of every row of the drawing, top to bottom."""
        used = {(n.lane, n.level) for n in self.nodes}
        return sorted(used | {(i, 0) for i in set(range(self.lane_count)) - {lane for lane, _ in used}})

    def cost(self) -> float:
        """Return the price of the present levels: rows, the sketched edges, and their crossings."""
        keys = self.keys()
        index = {k: i for i, k in enumerate(keys)}
        self.at = {n: (n.col, index[n.lane, n.level]) for n in self.nodes}
        self.cell = {(c, self.at[n][1]) for n in self.nodes for c in range(n.col, n.last_col + 1)}
        total = 2.5 * len(keys) + sum(0.12 * abs(n.level) + (0.3 if n.level < 0 else 0) for n in self.nodes)
        lines: list[tuple[Edge, list[Point]]] = []
        for e in self.edges:
            price, points = self.sketch(e)
            total += price * (1.5 if e.spine else 1 if e.kind == "flow" else 0.5)
            lines.append((e, points))
        flat, up = [], []
        for e, pts in lines:
            for (x1, y1), (x2, y2) in itertools.pairwise(pts):
                if y1 == y2 and x1 != x2:
                    flat.append((e, y1, min(x1, x2), max(x1, x2)))
                elif y1 != y2:
                    up.append((e, x1, min(y1, y2), max(y1, y2)))
        return total + 1.6 * sum(1 for f, y, a, b in flat for u, x, c, d in up if a < x < b and c < y < d and f is not u)

    def blocked(self, a: tuple[float, float], b: tuple[float, float]) -> int:
        """Nodes strictly between two cells of one row or column."""
        if a[1] == b[1]:
            lo, hi = sorted((a[0], b[0]))
            return sum((c, a[1]) in self.cell for c in range(int(lo) + 1, int(hi)))
        lo, hi = sorted((a[1], b[1]))
        return sum((a[0], r) in self.cell for r in range(int(lo) + 1, int(hi)))

    def sketch(self, e: Edge) -> tuple[float, list[Point]]:
        """Price of the best simple shape of `e`, and that shape in cells."""
        (c1, r1), (c2, r2) = s, t = (e.src.exit_col, self.at[e.src.rep][1]), self.at[e.dst.rep]
        far = 0.5 * abs(r1 - r2)
        if e.kind != "flow" or (e.fold and c1 == c2):
            return far + 4.0 * self.blocked(s, t) if c1 == c2 else far + 4, []
        if e.back or c2 <= c1:
            return 2 + far + (0 if c1 != c2 else 3), []
        if r1 == r2:
            return (4.0, []) if e.src.host else (4.0 * self.blocked(s, t), [s, t])
        corner = (c1, r2)
        hit = self.blocked(s, corner) + (corner in self.cell) + self.blocked(corner, t)
        options: list[tuple[float, list[Point]]] = [
            (1 + (0 if e.src.kind == "gateway" or e.src.host else 1) + 3 * hit, [s, corner, t])
        ]
        if not e.src.host:
            corner = (c2, r1)
            hit = self.blocked(s, corner) + (corner in self.cell) + self.blocked(corner, t)
            options.append((1 + (0 if e.dst.kind == "gateway" else 1.2) + 3 * hit, [s, corner, t]))
            options.append((2 + 3 * self.blocked((c1, r2), t), [s, (c1 + 0.5, r1), (c1 + 0.5, r2), t]))
            options.append((2 + 3 * self.blocked(s, (c2, r1)), [s, (c2 - 0.5, r1), (c2 - 0.5, r2), t]))
        price, points = min(options, key=lambda o: o[0])
        return price + far, points

    def groups(self) -> list[list[Node]]:
        """Plain chains inside a lane, longest first, then single nodes: the units that move."""
        free = [n for n in self.nodes if n not in self.spine]
        after: dict[Node, Node] = {}
        for n in free:
            outs = [e.dst for e in self.links[n] if e.src is n and e.kind == "flow" and not e.back]
            if len(outs) == 1 and outs[0] in free and outs[0].lane == n.lane:
                after[n] = outs[0]
        chains = []
        for n in free:
            chain = [n]
            while chain[-1] in after and after[chain[-1]] not in chain:
                chain.append(after[chain[-1]])
            chains += [chain[:k] for k in range(len(chain), 1, -1)]
        return chains + [[n] for n in free]

    def moves(self, group: list[Node]) -> Iterator[dict[Node, int]]:
        """Every way to put `group` on one other level of its lane; who is in the way changes places."""
        lane = group[0].lane
        others = [n for n in self.nodes if n.lane == lane and n not in group]
        holder = {cell: n for n in others for cell in _cells(n, n.level)}
        levels = {n.level for n in self.nodes if n.lane == lane}
        old = {n: n.level for n in group}
        for level in range(min(levels) - 1, max(levels) + 2):
            guests = {holder[cell]: old[n] for n in group for cell in _cells(n, level) if cell in holder}
            move = {**dict.fromkeys(group, level), **guests}
            if move == old or self.spine & guests.keys():
                continue
            landed = [cell for n, to in move.items() for cell in _cells(n, to)]
            free = all(cell not in holder or holder[cell] in move for cell in landed)
            if free and len(set(landed)) == len(landed):
                yield move


def _cells(n: Node, level: int) -> list[tuple[int, int]]:
    """Column and level of every place that `n` takes on `level`."""
    return [(c, level) for c in range(n.col, n.last_col + 1)]


def apply(move: dict[Node, int]) -> dict[Node, int]:
    """Set levels; returns the move that takes them back."""
    undo = {n: n.level for n in move}
    for n, level in move.items():
        n.level = level
    return undo
