"""Which track of its gap each straight piece of an edge takes: parallel pieces side by side, kin together, few crossings."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from engine.layout.model import Edge


@dataclass(eq=False)
class Run:
    """A straight piece of an edge on one grid line."""

    edge: Edge
    vertical: bool
    line: int
    ends: tuple[int, int]  # crossing line indices, in path order
    turns: tuple[int, int] = (0, 0)  # at ends: -1 towards lower index, +1 higher, 0 port
    sides: tuple[Run | None, Run | None] = (None, None)
    at: float = 0.0

    @property
    def lo(self) -> int:
        """Index of its first crossing line."""
        return min(self.ends)

    @property
    def hi(self) -> int:
        """Index of its last crossing line."""
        return max(self.ends)


def runs_of(e: Edge) -> list[Run]:
    """Return the straight pieces of an edge, first to last."""
    runs: list[Run] = []
    for a, b in itertools.pairwise(e.path):
        vertical = a[0] == b[0]
        along = (a[1], b[1]) if vertical else (a[0], b[0])
        line = a[0] if vertical else a[1]
        if runs and runs[-1].vertical == vertical:
            runs[-1].ends = (runs[-1].ends[0], along[1])
        else:
            runs.append(Run(e, vertical, line, along))
    for before, run, after in zip([None, *runs], runs, [*runs[1:], None], strict=False):
        first = (1 if before.ends[0] > before.ends[1] else -1) if before else 0
        last = (1 if after.ends[1] > after.ends[0] else -1) if after else 0
        run.turns, run.sides = (first, last), (before, after)
    return runs


def tracks(runs: list[Run], place: list[float]) -> tuple[list[list[Run]], dict[int, int], int]:
    """Groups the runs in one gap into shared tracks and orders these for few crossings.

    Args:
        place: positions of the crossing grid lines, for run ends at a port.

    Returns:
        The groups, each group's track and the number of tracks.
    """

    def ends(run: Run) -> list[float]:
        return [side.at if side else place[i] for side, i in zip(run.sides, run.ends, strict=True)]

    groups: list[list[Run]] = []
    for run in sorted(runs, key=lambda r: (r.lo, r.hi)):
        for group in groups:
            same = all(run.edge.dst is g.edge.dst for g in group) or all(
                run.edge.src is g.edge.src and run.edge.related(g.edge) for g in group
            )
            if same and any(run.lo <= g.hi and g.lo <= run.hi for g in group):
                group.append(run)
                break
        else:
            groups.append([run])
    n = len(groups)
    span = [(min(r.lo for r in g), max(r.hi for r in g)) for g in groups]
    reach = [(min(min(ends(r)) for r in g), max(max(ends(r)) for r in g)) for g in groups]
    over = [[i != j and span[i][0] <= span[j][1] and span[j][0] <= span[i][1] for j in range(n)] for i in range(n)]

    corners = [{(at, turn) for r in g for at, turn in zip(ends(r), r.turns, strict=True)} for g in groups]

    def clash(i: int, j: int) -> float:
        """Crossings if group i lies before group j."""
        total = 0.0
        for a, b, sign in ((i, j, 1), (j, i, -1)):
            lo, hi = reach[b]
            for at, turn in corners[a]:
                if turn == sign and lo <= at <= hi:
                    total += 1 if lo < at < hi else 0.5
        if not groups[i][0].edge.related(groups[j][0].edge):  # towards each other on one line: they would lie on each other
            total += 6 * len({at for at, turn in corners[i] if turn == 1} & {at for at, turn in corners[j] if turn == -1})
        return total

    table = [[clash(i, j) if over[i][j] else 0.0 for j in range(n)] for i in range(n)]
    order = list(range(n))
    for _ in range(n):
        before = order
        for i in before:
            rest = [j for j in order if j != i]
            prices = [sum(table[j][i] for j in rest[:p]) + sum(table[i][j] for j in rest[p:]) for p in range(n)]
            here = order.index(i)
            p = min(range(n), key=lambda p: (prices[p], abs(p - here)))
            order = [*rest[:p], i, *rest[p:]]
        if order == before:
            break
    track: dict[int, int] = {}
    for i in order:
        track[i] = max((track[j] + 1 for j in track if over[i][j]), default=0)
    return groups, track, 1 + max(track.values(), default=-1)
