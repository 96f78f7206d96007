"""What a BPMN file asks to be drawn: nodes, edges, lanes and pools from its semantic part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from engine.layout.artifacts import Group, Tie, finish
from engine.layout.drawing import draw
from engine.layout.model import EVENT, GATEWAY, Box, Drawing, Edge, EdgeKind, Lane, Node
from engine.layout.source import children, local, reference
from engine.layout.text import LEADING, TASK_FONT, TASK_H, TASK_W, task_size, wrap

_SUBPROCESSES = ("subProcess", "transaction", "adHocSubProcess")
_FLOW_NODES = ("callActivity", "subChoreography", *_SUBPROCESSES)
_NOTE_W, _NOTE_PAD = 140.0, 12.0


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One diagram: `element` is the id of the process or collaboration that it shows."""

    element: str
    drawing: Drawing


def read_planes(root: etree._Element, effort: int, old: dict[str, Box]) -> list[Plane]:
    """Return everything in the file, drawn from (0, 0): the first collaboration, and each process that has no pool in it.

    Processes of a file without collaboration share one plane.

    Args:
        old: ``{element id: box}`` of the present diagram; tells what stands inside a group.
    """
    processes = {p.get("id") or "": p for p in children(root, "process")}
    collaboration = next(children(root, "collaboration"), None)
    members = [] if collaboration is None else list(children(collaboration, "participant"))
    values = {v.get("id") or "": v.get("value") or "" for c in children(root, "category") for v in children(c, "categoryValue")}
    planes = []
    if collaboration is not None and members:
        reader = _Reader(effort, values)
        reader.collaboration(collaboration, processes)
        planes.append(Plane(element=collaboration.get("id") or "", drawing=reader.drawn(old)))
        for ref in {reference(m.get("processRef")) for m in members} & processes.keys():
            del processes[ref]
    alone = [[p] for p in processes.values()] if planes else [list(processes.values())]
    for scopes in alone:
        if scopes:
            reader = _Reader(effort, values)
            reader.process(scopes)
            planes.append(Plane(element=scopes[0].get("id") or "", drawing=reader.drawn(old)))
    return planes


class _Reader:
    """Gathers what stands on one plane."""

    def __init__(self, effort: int, values: dict[str, str]) -> None:
        self._effort, self._values = effort, values
        self._nodes: list[Node] = []
        self._edges: list[Edge] = []
        self._lanes: list[Lane] = []
        self._pools: list[tuple[str, str]] = []
        self._ties: list[Tie] = []
        self._groups: list[Group] = []
        self._categories: dict[str, list[str]] = {}

    def drawn(self, old: dict[str, Box]) -> Drawing:
        drawing = draw(self._nodes, self._edges, self._lanes, self._pools, self._effort)
        for group in self._groups:
            group.members = self._categories.get(group.category, [])
        finish(drawing, self._ties, self._groups, old)
        return drawing

    def collaboration(self, collaboration: etree._Element, processes: dict[str, etree._Element]) -> None:
        left = dict(processes)
        for member in children(collaboration, "participant"):
            self._pools.append((member.get("id") or "", member.get("name") or ""))
            process = left.pop(reference(member.get("processRef")), None)
            if process is not None:
                self.process([process])
            else:
                self._nodes.append(Node(self._pools[-1][0], "pool", self._pools[-1][1], 100, 60, lane=len(self._lanes)))
                self._lanes.append(Lane(None, "", len(self._pools) - 1))
        known = {n.id: n for n in self._nodes}
        more, links = self._flow([collaboration], known)
        for n in more:
            n.lane = -1
        fill_lanes(more, links, 0, 0)
        self._nodes += more
        self._edges += links
        for el in children(collaboration, "messageFlow"):
            src, dst = reference(el.get("sourceRef")), reference(el.get("targetRef"))
            a, b = known.get(src), known.get(dst)
            if a and b and not b.host:
                self._edges.append(Edge(el.get("id") or "", a, b, el.get("name") or "", "message"))
            elif el.get("id"):
                self._ties.append(Tie(id=el.get("id") or "", source=src, target=dst, straight=False))

    def process(self, scopes: list[etree._Element]) -> None:
        nodes, edges = self._flow(scopes, {})
        for n in nodes:
            n.lane = -1
        start = len(self._lanes)
        self._lanes += read_lanes(scopes, max(len(self._pools) - 1, 0), {n.id: n for n in nodes}, start)
        fill_lanes(nodes, edges, start, len(self._lanes) - 1)
        self._nodes += nodes
        self._edges += edges

    def _flow(self, scopes: Iterable[etree._Element], known: dict[str, Node]) -> tuple[list[Node], list[Edge]]:
        """The nodes and edges directly inside `scopes`, in document order; edges may end at `known` nodes, too."""
        elements = [el for scope in scopes for el in scope]
        own = {node.id: node for el in elements if (node := self._node(el))}
        nodes = {**known, **own}
        sources = {el.get("id"): nodes.get(el.get("sourceRef") or "") for el in elements if local(el) == "sequenceFlow"}
        defaults = {el.get("default") for el in elements}
        edges: list[Edge] = []
        for el in elements:
            id_, tag = el.get("id") or "", local(el)
            if id_ in own and (host := own.get(el.get("attachedToRef", ""))):
                own[id_].host = host
            if tag in ("sequenceFlow", "association"):
                src, dst = reference(el.get("sourceRef")), reference(el.get("targetRef"))
                if src in nodes and dst in nodes:
                    kind: EdgeKind = "flow" if tag == "sequenceFlow" else "link"
                    name = el.get("name") or ""
                    edges.append(Edge(id_, nodes[src], nodes[dst], name, kind, default=id_ in defaults))
                elif id_:
                    self._ties.append(Tie(id=id_, source=src, target=dst))
                    for note, other in ((own.get(src), dst), (own.get(dst), src)):
                        if note and note.kind == "note":
                            note.near = sources.get(other)
            if tag == "group" and id_:
                name = self._values.get(reference(el.get("categoryValueRef")), "")
                self._groups.append(Group(id=id_, name=name, category=reference(el.get("categoryValueRef"))))
            for ref in children(el, "categoryValueRef"):
                self._categories.setdefault(reference(ref.text), []).append(id_)
            for tie in children(el, "dataInputAssociation", "dataOutputAssociation"):
                refs = [nodes.get(reference(r.text)) for r in children(tie, "sourceRef", "targetRef")]
                end = next((n for n in refs if n and n.kind == "data"), None)
                if end and id_ in nodes and (tie_id := tie.get("id")):
                    ends = (end, nodes[id_]) if local(tie) == "dataInputAssociation" else (nodes[id_], end)
                    edges.append(Edge(tie_id, *ends, "", "link"))
        return list(own.values()), edges

    def _node(self, el: etree._Element) -> Node | None:
        """The node that `el` is drawn as, sub-processes with what is in them; None if it is none."""
        tag, id_, name = local(el), el.get("id"), el.get("name") or ""
        if not id_:
            return None
        if tag in _SUBPROCESSES and any(c.get("id") and local(c) not in ("sequenceFlow", "ioSpecification") for c in el):
            return self._expanded(el, id_, name)
        if tag in _FLOW_NODES or tag.endswith(("Task", "task")):
            marked = tag in _FLOW_NODES or _looped(el)
            return Node(id_, "task", name, *task_size(name, 2 if marked else 3), annex=el.get("triggeredByEvent") == "true")
        if tag.endswith("Event"):
            return Node(id_, "event", name, EVENT, EVENT)
        if tag.endswith("Gateway"):
            return Node(id_, "gateway", name, GATEWAY, GATEWAY, marker=tag == "exclusiveGateway")
        if tag == "dataObjectReference":
            return Node(id_, "data", name, 36, 50)
        if tag == "dataStoreReference":
            return Node(id_, "data", name, 50, 50)
        if tag == "textAnnotation":
            text = "".join(str(part) for t in children(el, "text") for part in t.itertext()).strip()
            lines = wrap(text, _NOTE_W - _NOTE_PAD, TASK_FONT)
            return Node(id_, "note", text, _NOTE_W, max(30, 10 + 15 * len(lines)))
        return None

    def _expanded(self, el: etree._Element, id_: str, name: str) -> Node:
        inner = draw(*self._flow([el], {}), lanes=[Lane(None, "", 0)], pools=[], effort=self._effort)
        title = len(wrap(name, max(inner.w - 14, 60), TASK_FONT)) if name else 0
        head = 16 + TASK_FONT * LEADING * title if title else 14
        foot = 16 if _looped(el) or local(el) == "adHocSubProcess" else 2
        w, h = max(inner.w + 8, TASK_W + 20), max(inner.h + head + foot, TASK_H)
        inner.shift((w - inner.w) / 2, head)
        return Node(id_, "sub", name, w, h, inner=inner, annex=el.get("triggeredByEvent") == "true")


def _looped(el: etree._Element) -> bool:
    return any(local(c).endswith("LoopCharacteristics") for c in el)


def read_lanes(scopes: list[etree._Element], pool: int, nodes: dict[str, Node], at: int) -> list[Lane]:
    """Return the innermost lanes of `scopes`, in the author's order, and put `nodes` into them.

    Args:
        at: number of the first lane returned.
    """
    lanes: list[Lane] = []

    def visit(el: etree._Element, depth: int, parents: tuple[tuple[str, str], ...]) -> None:
        here = (el.get("id") or "", el.get("name") or "")
        inner = [lane for s in children(el, "childLaneSet") for lane in children(s, "lane")]
        for lane in inner:
            visit(lane, depth + 1, (*parents, here))
        if not inner:
            for ref in children(el, "flowNodeRef"):
                if node := nodes.get(reference(ref.text)):
                    node.lane = at + len(lanes)
            lanes.append(Lane(*here, pool, depth, parents))

    for scope in scopes:
        for lane_set in children(scope, "laneSet"):
            for el in children(lane_set, "lane"):
                visit(el, 0, ())
    return lanes or [Lane(None, "", pool)]


def fill_lanes(nodes: list[Node], edges: list[Edge], first: int, last: int) -> None:
    """Give nodes that no lane names their neighbour's lane; event sub-processes go into the last."""
    for n in nodes:
        if n.annex and n.lane < 0:
            n.lane = last
    for _ in nodes:
        for e in edges:
            for a, b in ((e.src.rep, e.dst.rep), (e.dst.rep, e.src.rep)):
                if b.lane < 0 <= a.lane:
                    b.lane = a.lane
    for n in nodes:
        if n.lane < 0 and n.near:
            n.lane = n.near.rep.lane
        n.lane = n.lane if n.lane >= 0 else first
