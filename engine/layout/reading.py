"""What a BPMN file asks to be drawn: nodes, edges, lanes and pools from its semantic part."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from engine.layout.drawing import draw
from engine.layout.model import EVENT, GATEWAY, Drawing, Edge, Lane, Node
from engine.layout.source import children, local, reference
from engine.layout.text import LEADING, TASK_FONT, TASK_H, TASK_W, task_size, wrap

_SUBPROCESSES = ("subProcess", "transaction", "adHocSubProcess")
_NOTE_W, _NOTE_PAD = 140.0, 12.0


def read_drawing(root: etree._Element, effort: int) -> tuple[Drawing, str]:
    """Return the whole file drawn from (0, 0), and the id of the element that its plane shows.

    Pools are those of the first collaboration; without one every process shares the plane.
    """
    processes = {p.get("id") or "": p for p in children(root, "process")}
    collaboration = next(children(root, "collaboration"), None)
    members: list[etree._Element] = [] if collaboration is None else list(children(collaboration, "participant"))
    if not any(reference(m.get("processRef")) in processes for m in members):
        members = []
    nodes: list[Node] = []
    edges: list[Edge] = []
    lanes: list[Lane] = []
    pools: list[tuple[str, str]] = []

    def add(scopes: list[etree._Element]) -> None:
        own, flows = read_flow(scopes, effort)
        for n in own:
            n.lane = -1
        start = len(lanes)
        lanes.extend(read_lanes(scopes, max(len(pools) - 1, 0), {n.id: n for n in own}, start))
        fill_lanes(own, flows, start, len(lanes) - 1)
        nodes.extend(own)
        edges.extend(flows)

    for member in members:
        pools.append((member.get("id") or "", member.get("name") or ""))
        process = processes.get(reference(member.get("processRef")))
        if process is not None:
            add([process])
        else:
            nodes.append(Node(pools[-1][0], "pool", pools[-1][1], 100, 60, lane=len(lanes)))
            lanes.append(Lane(None, "", len(pools) - 1))
    if not members:
        add(list(processes.values()))
    by_id = {n.id: n for n in nodes}
    if collaboration is not None and members:
        for el in children(collaboration, "messageFlow"):
            a, b = by_id.get(reference(el.get("sourceRef"))), by_id.get(reference(el.get("targetRef")))
            if a and b and not b.host:
                edges.append(Edge(el.get("id") or "", a, b, el.get("name") or "", "message"))
        plane = collaboration.get("id") or ""
    else:
        plane = next(iter(processes), "")
    return draw(nodes, edges, lanes, pools, effort), plane


def read_flow(scopes: Iterable[etree._Element], effort: int) -> tuple[list[Node], list[Edge]]:
    """Return the nodes and edges directly inside `scopes`, in document order."""
    nodes: dict[str, Node] = {}
    elements = [el for scope in scopes for el in scope]
    for el in elements:
        if node := make_node(el, effort):
            nodes[node.id] = node
    edges: list[Edge] = []
    defaults = {el.get("default") for el in elements}
    for el in elements:
        id_ = el.get("id") or ""
        if id_ in nodes and (host := nodes.get(el.get("attachedToRef", ""))):
            nodes[id_].host = host
        src, dst = el.get("sourceRef", ""), el.get("targetRef", "")
        if local(el) in ("sequenceFlow", "association") and src in nodes and dst in nodes:
            kind = "flow" if local(el) == "sequenceFlow" else "link"
            edges.append(Edge(id_, nodes[src], nodes[dst], el.get("name") or "", kind))
            edges[-1].default = id_ in defaults
        for tie in children(el, "dataInputAssociation", "dataOutputAssociation"):
            refs = [nodes.get((r.text or "").strip()) for r in children(tie, "sourceRef", "targetRef")]
            end = next((n for n in refs if n and n.kind == "data"), None)
            if end and id_ in nodes and (tie_id := tie.get("id")):
                first, second = (end, nodes[id_]) if local(tie) == "dataInputAssociation" else (nodes[id_], end)
                edges.append(Edge(tie_id, first, second, "", "link"))
    return list(nodes.values()), edges


def make_node(el: etree._Element, effort: int) -> Node | None:
    """Return the node that `el` is drawn as, sub-processes with what is in them; None if it is drawn otherwise or not at all."""
    tag, id_, name = local(el), el.get("id"), el.get("name") or ""
    if not id_:
        return None
    if tag in _SUBPROCESSES and any(c.get("id") and local(c) not in ("sequenceFlow", "ioSpecification") for c in el):
        return _expanded(el, id_, name, effort)
    if tag.endswith(("Task", "task", "rocess", "transaction")) or tag in ("callActivity", "subChoreography"):
        marked = not tag.endswith("ask") or _looped(el)
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


def _expanded(el: etree._Element, id_: str, name: str, effort: int) -> Node:
    inner = draw(*read_flow([el], effort), lanes=[Lane(None, "", 0)], pools=[], effort=effort)
    title = len(wrap(name, max(inner.w - 14, 60), TASK_FONT)) if name else 0
    head = 16 + TASK_FONT * LEADING * title if title else 14
    foot = 16 if _looped(el) or local(el) == "adHocSubProcess" else 2
    w, h = max(inner.w + 8, TASK_W + 20), max(inner.h + head + foot, TASK_H)
    inner.shift((w - inner.w) / 2, head)
    return Node(id_, "sub", name, w, h, inner=inner, annex=el.get("triggeredByEvent") == "true")


def _looped(el: etree._Element) -> bool:
    return any(local(c).endswith("LoopCharacteristics") for c in el)


def read_lanes(scopes: list[etree._Element], pool: int, nodes: dict[str, Node], at: int) -> list[Lane]:
    """Return the innermost lanes of the first process that has any, in the author's order, and put `nodes` into them.

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
                if node := nodes.get((ref.text or "").strip()):
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
        n.lane = n.lane if n.lane >= 0 else first
