"""Which column each node stands in: longest path from the starts once the loops are cut."""

from __future__ import annotations

from collections import defaultdict

from engine.layout.model import Edge, Node


def assign_columns(nodes: list[Node], edges: list[Edge]) -> None:
    """Longest path from the starts; edges that close a loop (depth first, document order) are `back`."""
    for n in nodes:
        n.col = 0
    for e in edges:
        e.back = e.spine = False
    order = {n: i for i, n in enumerate(nodes)}
    core = [n for n in nodes if not n.host and not n.annex and n.kind in ("task", "event", "gateway", "sub")]
    flows = [e for e in edges if e.kind == "flow" and not e.src.rep.annex and not e.dst.annex]
    out: dict[Node, list[Edge]] = defaultdict(list)
    into: dict[Node, int] = defaultdict(int)
    for e in flows:
        out[e.src.rep].append(e)
        into[e.dst.rep] += 1
    for n in core:  # boundary paths last: the normal path defines the direction
        out[n].sort(key=lambda e: e.src.host is not None)
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
    forward = [e for e in flows if not e.back]
    length: dict[Node, tuple[float, Edge | None]] = {}
    for n in finished:  # children come first
        best: tuple[float, Edge | None] = (0, None)
        for i, e in enumerate(e for e in out[n] if not e.back):
            weight = length[e.dst.rep][0] + (1 if not e.src.host else -3) - i * 0.01
            if best[1] is None or weight > best[0]:
                best = (weight, e)
        length[n] = best
    for n in reversed(finished):
        for e in out[n]:
            if not e.back:
                e.dst.rep.col = max(e.dst.rep.col, n.col + (not e.fold))
    for n in finished:  # late starts move next to what they feed
        later = [e.dst.rep.col for e in out[n] if not e.back]
        if later and not into[n]:
            n.col = min(later) - 1
    starts = [n for n in core if not into[n] and out[n]]
    at = max(starts, key=lambda n: length[n][0], default=None)
    while at and (step := length[at][1]):
        step.spine, at = True, step.dst.rep
    busy = {n for e in forward for n in (e.src.rep, e.dst.rep)}
    loose = [n for n in core if n not in busy]
    last = max((n.col for n in core), default=0)
    for i, n in enumerate(loose):
        n.col = i % (last + 1) if last else i % max(1, round(len(loose) ** 0.6))
    for n in nodes:
        if n.kind in ("data", "note"):
            ends = [
                f
                for e in edges
                for f in (e.src, e.dst)
                if n in (e.src, e.dst) and f is not n and f.kind not in ("data", "note")
            ]
            if n.near:
                ends.append(n.near)
            if ends:
                n.col, n.lane = ends[0].rep.col, ends[0].rep.lane
