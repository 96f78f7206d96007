"""The route of every edge: shortest paths over a grid of centre lines and gaps, with prices for what the eye dislikes."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from typing import Any

from engine.layout.model import DOWN, LEFT, RIGHT, STEP, UP, Drawing, Edge, Node, Vertex, direction


class Grid:
    """Centre lines and gaps as a graph; edges are routed one by one, then again until quiet."""

    def __init__(self, d: Drawing, rows: list[tuple[int, int]], passes: int) -> None:
        self.d, self.rows = d, rows
        self.ncols = 1 + max((n.col + n.span - 1 for n in d.nodes), default=0)
        slots = [0] * self.ncols
        for n in d.nodes:
            if n.host:
                slots[n.host.col] = max(slots[n.host.col], n.slots)
        self.v: list[tuple[str, int]] = []
        self.vpos: list[float] = []
        self.vgap: list[int] = []
        self.vmid: list[int] = []
        self.vslot: list[list[int]] = []
        at = 0.0
        for c in range(self.ncols):
            self.vgap.append(self._line(self.v, self.vpos, "gap", c, at))
            left = [self._line(self.v, self.vpos, "slot", c, at + 30 + 8 * k) for k in range(slots[c] - 1)]
            self.vmid.append(self._line(self.v, self.vpos, "mid", c, at + 70))
            right = [self._line(self.v, self.vpos, "slot", c, at + 98)] if slots[c] else []
            self.vslot.append(right + left[::-1])
            at += 140
        self.vgap.append(self._line(self.v, self.vpos, "gap", self.ncols, at))
        self.h: list[tuple[str, int]] = []
        self.hpos: list[float] = []
        self.hmid: list[int] = []
        at, gap = 0.0, 0
        for i, (lane, _) in enumerate(rows):
            self._line(self.h, self.hpos, "gap", gap, at)
            self.hmid.append(self._line(self.h, self.hpos, "mid", i, at + 60))
            at, gap = at + 120, gap + 1
            if i + 1 == len(rows) or rows[i + 1][0] != lane:
                self._line(self.h, self.hpos, "gap", gap, at)
                at, gap = at + 10, gap + 1
        self.owner: dict[Vertex, Node] = {}
        for n in d.nodes:
            if not n.host:
                for c in range(n.col, n.col + n.span):
                    for v in (self.vmid[c], *self.vslot[c], *([self.vgap[c]] if c > n.col else [])):
                        self.owner[v, self.hmid[n.row]] = n
        self.users: dict[tuple[int, int, int], list[Edge]] = defaultdict(list)
        self.straight: dict[tuple[int, int, int], list[Edge]] = defaultdict(list)
        self.sides: dict[tuple[Node, int], list[tuple[Edge, bool]]] = defaultdict(list)
        self.outs: dict[Node, int] = defaultdict(int)
        for e in d.edges:
            self.outs[e.src] += 1
        order = sorted(
            d.edges,
            key=lambda e: (
                e.kind != "flow",
                e.back,
                not e.spine,
                abs(e.src.rep.col - e.dst.rep.col) + 2 * abs(e.src.rep.row - e.dst.rep.row),
            ),
        )
        for e in order:
            e.path = []
        for turn in range(passes):
            before = [e.path for e in order]
            for e in order:
                self._mark(e, add=False)
                e.path = self.route(e)
                self._mark(e, add=True)
            if turn and before == [e.path for e in order]:
                break

    @staticmethod
    def _line(lines: list[tuple[str, int]], pos: list[float], kind: str, index: int, at: float) -> int:
        lines.append((kind, index))
        pos.append(at)
        return len(lines) - 1

    def _mark(self, e: Edge, add: bool) -> None:
        if not e.path:
            return

        def put(book: Any, key: object, item: object) -> None:
            book[key].append(item) if add else book[key].remove(item)

        steps = [direction(a, b) for a, b in itertools.pairwise(e.path)]
        for (v, h), d in zip(e.path, steps, strict=False):
            dv, dh = STEP[d]
            put(self.users, (min(v, v + dv), min(h, h + dh), d % 2), e)
        for (v, h), d, d2 in zip(e.path[1:], steps, steps[1:], strict=False):
            if d == d2:
                put(self.straight, (v, h, d % 2), e)
        if not e.src.host:
            put(self.sides, (e.src, steps[0]), (e, True))
        put(self.sides, (e.dst.rep, (steps[-1] + 2) % 4), (e, False))

    def port_cost(self, e: Edge, node: Node, side: int, leaving: bool) -> float:
        if e.kind != "flow":
            return 0.0 if side in (UP, DOWN) else 1.5
        base = [0.0, 1.4, 3.0, 1.4] if leaving else [3.0, 1.4, 0.0, 1.4]
        if node.kind == "gateway":  # a split is entered on the left, a join left on the right
            turn = 0.1 if (self.outs[node] > 1) == leaving else 0.9
            base = [0.0, turn, 2.5, turn] if leaving else [2.5, turn, 0.0, turn]
        if node.col == (e.src if not leaving else e.dst).rep.col:
            base[UP] = base[DOWN] = 0.0
        if e.back:
            base = [0.6, 0.3, 2.5, 0.3] if leaving else [3.0, 0.2, 0.4, 0.2]
        cost = base[side]
        uses = {out for _, out in self.sides[node, side]}
        if (not leaving) in uses:
            cost += 4.0
        if leaving in uses and node.kind == "gateway":
            cost += (3.0 if self.outs[node] < 4 else 0.5) if leaving else 0.7
        return cost

    def route(self, e: Edge) -> list[Vertex]:
        src, dst = e.src, e.dst.rep
        heap: list[tuple[float, int, float, Vertex, int, int]] = []
        count = itertools.count()
        arrived = 4  # added to the direction in which the target is entered: a loop ends where it began
        best: dict[tuple[Vertex, int], float] = {}
        came: dict[tuple[Vertex, int], tuple[Vertex, int] | None] = {}
        tx = [self.vpos[self.vmid[c]] for c in range(dst.col, dst.col + dst.span)]
        ty = self.hpos[self.hmid[dst.row]]

        def push(at: Vertex, d: int, cost: float, parent: tuple[Vertex, int] | None, side: int) -> None:
            if cost < best.get((at, d), 9e9):
                best[at, d], came[at, d] = cost, parent
                rest = (max(tx[0] - self.vpos[at[0]], self.vpos[at[0]] - tx[-1], 0) + abs(self.hpos[at[1]] - ty)) * 0.0015
                heapq.heappush(heap, (cost + rest, next(count), cost, at, d, side))

        row = self.hmid[src.rep.row]
        if src.host:
            side = UP if src.above else DOWN
            push((self.vslot[src.host.col][src.slot], row), side, 0, None, side)
        else:
            for d in range(4):
                cols = range(src.col, src.col + src.span)
                cols = {RIGHT: cols[-1:], LEFT: cols[:1]}.get(d, cols)
                for c in cols:
                    push((self.vmid[c], row), d, self.port_cost(e, src, d, True), None, d)
        while heap:
            _, _, cost, at, d, side = heapq.heappop(heap)
            if cost > best[at, d]:
                continue
            if d >= arrived:
                state: tuple[Vertex, int] | None = (at, d)
                path = []
                while state:
                    path.append(state[0])
                    state = came[state]
                return path[::-1]
            inside = self.owner.get(at) is src.rep
            for nd in (d,) if inside else (d, (d + 1) % 4, (d + 3) % 4):
                step = self.step_cost(e, at, d, nd, inside, side)
                if step is not None:
                    to = (at[0] + STEP[nd][0], at[1] + STEP[nd][1])
                    heading = nd
                    if self.owner.get(to) is dst and not inside:
                        heading += arrived
                        if nd % 2 and self.v[to[0]][0] != "mid":
                            continue
                        step += self.port_cost(e, dst, (nd + 2) % 4, False)
                    push(to, heading, cost + step, (at, d), side)
        raise RuntimeError(f"no route for {e.id}")

    def step_cost(self, e: Edge, at: Vertex, d: int, nd: int, inside: bool, side: int) -> float | None:
        to = (at[0] + STEP[nd][0], at[1] + STEP[nd][1])
        if not (0 <= to[0] < len(self.v) and 0 <= to[1] < len(self.h)):
            return None
        owner = self.owner.get(to)
        if owner and owner is not e.dst.rep and not (inside and owner is e.src.rep):
            return None
        line = self.v[at[0]][0] if nd % 2 else self.h[at[1]][0]
        if line == "slot" and not (e.src.host and at[0] in self.vslot[e.src.host.col][e.src.slot : e.src.slot + 1]):
            return None
        length = abs(self.vpos[to[0]] - self.vpos[at[0]]) + abs(self.hpos[to[1]] - self.hpos[at[1]])
        users = self.users.get((min(at[0], to[0]), min(at[1], to[1]), nd % 2), ())
        kin = [u for u in users if u.dst is e.dst or (u.src is e.src and direction(*u.path[:2]) == side)]
        cost: float = length * (0.0015 if kin else 0.0025)
        cost += (len(users) - len(kin)) * (30 if line != "gap" else 0.1)
        if inside:
            return cost
        if nd == d:  # siblings, too, cross for the eye
            return cost + 2.0 * len({u.dst for u in self.straight.get((*at, 1 - d % 2), ())})
        beside = {
            u.dst for axis in (0, 1) for u in self.straight.get((*at, axis), ()) if u.dst is not e.dst and u.src is not e.src
        }
        return cost + 1.0 + 0.5 * len(beside)
