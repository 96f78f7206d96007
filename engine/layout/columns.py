"""Which column each node stands in: longest path from the starts once the loops are cut.

A big sub-process spans several columns, so that the handlers of its boundary events find room above and below it.
"""

from __future__ import annotations

from collections import defaultdict

from engine.layout.model import COL_GAP, Edge, Node

_SPANNED = 150.0  #: width of a big sub-process for each column that it spans


def assign_columns(nodes: list[Node], edges: list[Edge]) -> None:
    """Set the columns of `nodes`, and which of `edges` close a loop (`back`) and make up the main path (`spine`)."""
    for n in nodes:
        n.col = n.attach = 0
        if n.kind == "sub" and not n.annex:
            n.span = max(1, round((n.base_w + COL_GAP) / _SPANNED), *_hosted(nodes, n)) if n.base_w > 2 * _SPANNED else 1
    core = [n for n in nodes if not n.host and not n.annex and n.kind in ("task", "event", "gateway", "sub")]
    flows = [e for e in edges if e.kind == "flow" and not e.src.rep.annex and not e.dst.annex]
    out: dict[Node, list[Edge]] = defaultdict(list)
    into: dict[Node, int] = defaultdict(int)
    for e in flows:
        e.back = e.spine = False
        out[e.src.rep].append(e)
        into[e.dst.rep] += 1
    for n in core:  # boundary paths last: the normal path defines the direction
        out[n].sort(key=lambda e: e.src.host is not None)
    finished = _cut_loops(core, out, into)
    _find_spine(core, finished, out, into)
    for n in core:
        if n.span > 1:
            _attach(n, [b for b in nodes if b.host is n], out, into)
    for n in reversed(finished):
        for e in out[n]:
            if not e.back:
                step = 0 if e.fold else e.src.attach + 1 if e.src.host else n.span
                e.dst.rep.col = max(e.dst.rep.col, n.col + step + e.dst.rep.delay)
    for n in finished:  # late starts move next to what they feed
        later = [e.dst.rep.col for e in out[n] if not e.back]
        if later and not into[n]:
            n.col = max(min(later) - n.span, 0)
    _spread_loose(core, [e for e in flows if not e.back])
    for n in nodes:
        if n.kind in ("data", "note"):
            beside = _partner(n, edges)
            if beside:
                n.col, n.lane = beside.rep.col, beside.rep.lane


def _hosted(nodes: list[Node], host: Node) -> tuple[int]:
    return (sum(n.host is host for n in nodes),)


def _cut_loops(core: list[Node], out: dict[Node, list[Edge]], into: dict[Node, int]) -> list[Node]:
    """Mark the edges that close a loop, depth first in document order; return the nodes, children first."""
    order = {n: i for i, n in enumerate(core)}
    state: dict[Node, int] = {}
    finished: list[Node] = []
    for root in sorted(core, key=lambda n: (into[n] > 0, order[n])):
        stack = [(root, iter(out[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            node, rest = stack[-1]
            for e in rest:
                if state.get(e.dst.rep) == 1:
                    e.back = True
                elif e.dst.rep not in state:
                    state[e.dst.rep] = 1
                    stack.append((e.dst.rep, iter(out[e.dst.rep])))
                    break
            else:
                state[node] = 2
                finished.append(stack.pop()[0])
    return finished


def _find_spine(core: list[Node], finished: list[Node], out: dict[Node, list[Edge]], into: dict[Node, int]) -> None:
    """Mark the longest path from a start; boundary paths pay for being none, and the first flow wins a tie."""
    length: dict[Node, tuple[float, Edge | None]] = {}
    for n in finished:
        best: tuple[float, Edge | None] = (0, None)
        for i, e in enumerate(e for e in out[n] if not e.back):
            weight = length[e.dst.rep][0] + (1 if not e.src.host else -3) - i * 0.01
            if best[1] is None or weight > best[0]:
                best = (weight, e)
        length[n] = best
    starts = [n for n in core if not into[n] and out[n]]
    at = max(starts, key=lambda n: length[n][0], default=None)
    while at and (step := length[at][1]):
        step.spine, at = True, step.dst.rep


def _attach(host: Node, events: list[Node], out: dict[Node, list[Edge]], into: dict[Node, int]) -> None:
    """Spread the boundary events of a big sub-process over its columns: room right of each for its handlers, if there is."""
    exits = {e.src: e for e in out[host] if e.src.host}
    rooms = {b: _chain(exits[b], out, into) if b in exits and not exits[b].back else 0 for b in events}
    above = [b for b in events if b in exits and exits[b].dst.rep.lane < host.lane]
    for side in (above, [b for b in events if b not in above]):
        side.sort(key=lambda b: b not in exits or not exits[b].back)  # what goes back leaves on the left
        at = host.span - 1
        roomy = sum(rooms[b] + 1 for b in side[:-1]) + 1 <= host.span
        for b in reversed(side):
            at -= rooms[b] if roomy and b is not side[-1] else 0
            b.attach = at
            at -= 1


def _chain(first: Edge, out: dict[Node, list[Edge]], into: dict[Node, int]) -> int:
    """How many nodes follow one after the other before the path ends, forks or joins another."""
    count, e = 0, first
    while into[e.dst.rep] == 1:
        count += e.dst.rep.span
        if len(out[e.dst.rep]) != 1 or out[e.dst.rep][0].back:
            break
        e = out[e.dst.rep][0]
    return count


def _spread_loose(core: list[Node], forward: list[Edge]) -> None:
    busy = {n for e in forward for n in (e.src.rep, e.dst.rep)}
    loose = [n for n in core if n not in busy]
    last = max((n.last_col for n in core), default=0)
    for i, n in enumerate(loose):
        n.col = i % (last + 1) if last else i % max(1, round(len(loose) ** 0.6))


def _partner(n: Node, edges: list[Edge]) -> Node | None:
    """The node beside which a note or data object stands."""
    ends = [f for e in edges for f in (e.src, e.dst) if n in (e.src, e.dst) and f is not n and f.kind not in ("data", "note")]
    return ends[0] if ends else n.near
