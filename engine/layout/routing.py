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
        self.ncols = 1 + max((n.last_col for n in d.nodes), default=0)
        slots = [0] * self.ncols
        for n in d.nodes:
            if n.host and n.host.span == 1:
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
        self.turns: dict[Vertex, list[Edge]] = defaultdict(list)
        self.sides: dict[tuple[Node, int], list[tuple[Edge, bool]]] = defaultdict(list)
        self.outs: dict[Node, int] = defaultdict(int)
        self.boundary = {(n.host, n.exit_col, UP if n.above else DOWN) for n in d.nodes if n.host and n.host.span > 1}
        for e in d.edges:
            self.outs[e.src] += 1
        order = sorted(
            d.edges,
            key=lambda e: (
                e.kind != "flow",
                e.back,
                not e.spine,
                abs(e.src.exit_col - e.dst.rep.col) + 2 * abs(e.src.rep.row - e.dst.rep.row),
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

    def boundary_line(self, event: Node, host: Node) -> int:
        """The vertical line on which a boundary event stands."""
        return self.vmid[event.exit_col] if host.span > 1 else self.vslot[host.col][event.slot]

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
            else:
                put(self.turns, (v, h), e)
        if not e.src.host:
            put(self.sides, (e.src, steps[0]), (e, True))
        put(self.sides, (e.dst.rep, (steps[-1] + 2) % 4), (e, False))

    def port_cost(self, e: Edge, node: Node, side: int, leaving: bool) -> float:
        """Return the price of `e` leaving `node` by `side`, or else entering it there."""
        if e.kind != "flow":
            return 0.0 if side in (UP, DOWN) else 1.5
        base = [0.0, 1.4, 3.0, 1.4] if leaving else [3.0, 1.4, 0.0, 1.4]
        if node.kind == "gateway":  # a split is entered on the left, a join left on the right
            turn = 0.1 if (self.outs[node] > 1) == leaving else 0.9
            base = [0.0, turn, 2.5, turn] if leaving else [2.5, turn, 0.0, turn]
        other = e.dst.rep if leaving else e.src.rep
        if node.col <= other.last_col and other.col <= node.last_col:
            base[UP] = base[DOWN] = 0.0
        if e.back:
            base = [0.6, 0.3, 2.5, 0.3] if leaving else [3.0, 0.2, 0.4, 0.2]
        cost = base[side]
        uses = {out for _, out in self.sides[node, side]}
        if (not leaving) in uses:
            cost += 4.0
        if leaving in uses and node.kind == "gateway":
            cost += (4.5 if self.outs[node] < 4 else 0.5) if leaving else 0.7
        return cost

    def route(self, e: Edge) -> list[Vertex]:
        """Return the cheapest path from `e`'s source to its target (A*): turns, length, crossings, ports."""
        src, dst = e.src, e.dst.rep
        owner, hpos, vpos = self.owner, self.hpos, self.vpos
        heap: list[tuple[float, int, float, Vertex, int, int]] = []
        count = itertools.count()
        arrived = 4  # added to the direction in which the target is entered: a loop ends where it began
        best: dict[tuple[Vertex, int], float] = {}
        came: dict[tuple[Vertex, int], tuple[Vertex, int] | None] = {}
        left, right, level = vpos[self.vmid[dst.col]], vpos[self.vmid[dst.last_col]], hpos[self.hmid[dst.row]]

        def push(at: Vertex, d: int, cost: float, parent: tuple[Vertex, int] | None, side: int) -> None:
            key = (at, d)
            if cost < best.get(key, 9e9):
                best[key], came[key] = cost, parent
                if d < arrived:  # what at least remains: the way, and the turns that lead to it from this heading
                    x, y = vpos[at[0]], hpos[at[1]]
                    dx, dy = left - x if x < left else right - x if x > right else 0.0, level - y
                    ahead, aside = (
                        ((dx, dy) if d == RIGHT else (-dx, dy)) if d % 2 == 0 else ((dy, dx) if d == DOWN else (-dy, dx))
                    )
                    turns = 2 if ahead < 0 else 1 if aside else 0
                    rest = (abs(dx) + abs(dy)) * 0.0015 + turns
                else:
                    rest = 0.0
                heapq.heappush(heap, (cost + rest, next(count), cost, at, d, side))

        row = self.hmid[src.rep.row]
        line = self.boundary_line(src, src.host) if src.host else -1
        if src.host:
            side = UP if src.above else DOWN
            push((line, row), side, 0, None, side)
        else:
            for d in range(4):
                cols = range(src.col, src.col + src.span)
                cols = {RIGHT: cols[-1:], LEFT: cols[:1]}.get(d, cols)
                for c in cols:
                    if (src, c, d) not in self.boundary:
                        push((self.vmid[c], row), d, self.port_cost(e, src, d, True), None, d)
        entry = [self.port_cost(e, dst, d, False) for d in range(4)]
        while heap:
            _, _, cost, at, d, side = heapq.heappop(heap)
            if cost > best[at, d]:
                continue
            if d >= arrived:
                return _path((at, d), came)
            inside = owner.get(at) is src.rep
            for nd in (d,) if inside else (d, (d + 1) % 4, (d + 3) % 4):
                to = (at[0] + STEP[nd][0], at[1] + STEP[nd][1])
                if not (0 <= to[0] < len(vpos) and 0 <= to[1] < len(hpos)):
                    continue
                if nd % 2 and self.v[at[0]][0] == "slot" and at[0] != line:
                    continue
                there, heading, price = owner.get(to), nd, cost
                if there is dst and not inside:
                    if nd % 2 and (self.v[to[0]][0] != "mid" or (dst, self.v[to[0]][1], (nd + 2) % 4) in self.boundary):
                        continue
                    heading += arrived
                    price += entry[(nd + 2) % 4]
                elif there is not None and there is not dst and not (inside and there is src.rep):
                    continue
                push(to, heading, price + self.step_cost(e, at, to, d, nd, inside, side), (at, d), side)
        raise RuntimeError(f"no route for {e.id}")

    def step_cost(self, e: Edge, at: Vertex, to: Vertex, d: int, nd: int, inside: bool, side: int) -> float:
        """Price of the step from `at`, reached in direction `d`, in direction `nd`; the edge left its source on `side`."""
        upright = nd % 2
        length = abs(self.vpos[to[0]] - self.vpos[at[0]]) + abs(self.hpos[to[1]] - self.hpos[at[1]])
        users = self.users.get((min(at[0], to[0]), min(at[1], to[1]), upright))
        if users:
            kin = sum(u.dst is e.dst or (u.src is e.src and direction(*u.path[:2]) == side) for u in users)
            gap = (self.v[at[0]] if upright else self.h[at[1]])[0] == "gap"
            cost = length * (0.0015 if kin else 0.0025) + (len(users) - kin) * (0.1 if gap else 30)
        else:
            cost = length * 0.0025
        if inside:
            return cost
        if nd == d:  # siblings, too, cross for the eye
            across = self.straight.get((*at, 1 - d % 2))
            return cost + 2.0 * len({u.dst for u in across}) if across else cost
        beside = {
            u.dst for axis in (0, 1) for u in self.straight.get((*at, axis), ()) if u.dst is not e.dst and u.src is not e.src
        }
        turning = self.turns.get(at)
        if turning and "mid" in (self.v[at[0]][0], self.h[at[1]][0]):  # no track tells two apart that turn on a centre line
            cost += 1.2 * sum(u.dst is not e.dst and u.src is not e.src for u in turning)
        return cost + 1.0 + 0.5 * len(beside)


def _path(end: tuple[Vertex, int], came: dict[tuple[Vertex, int], tuple[Vertex, int] | None]) -> list[Vertex]:
    state: tuple[Vertex, int] | None = end
    path = []
    while state:
        path.append(state[0])
        state = came[state]
    return path[::-1]
