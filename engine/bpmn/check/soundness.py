"""What can be seen of a run without running it: steps nothing leads to, loops without a way out, joins that wait for ever."""

from __future__ import annotations

from engine.bpmn.check.document import GATEWAYS, Document, Element
from engine.bpmn.check.rule import DRAFT, WARNING, Hits, hit, label, rule

_CHOICES = frozenset({"exclusiveGateway", "eventBasedGateway"})


def reached(document: Document, scope: Element) -> set[Element]:
    """Return the nodes of a scope that a token can come to; links and compensation count."""
    content = document.content[scope]
    todo = [
        node
        for node in content
        if document.kind(node) == "startEvent"
        or node.get("instantiate") == "true"
        or (not document.incoming[node] and document.kind(node) != "boundaryEvent")
    ]
    todo += [target for node in content for target in document.associated[node] if document.is_compensation(target)]
    seen: set[Element] = set()
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += document.successors(node)
    return seen


def _begins(document: Document, scope: Element) -> bool:
    starts = any(document.kind(node) == "startEvent" for node in document.content[scope])
    return starts and document.kind(scope) != "adHocSubProcess"


@rule(
    "FLOW-UNREACHABLE", WARNING,
    zh="从开始事件到不了“{name}”", en='"{name}" cannot be reached from any start',
    mend_zh="请从前面的步骤连线过来，或删除它", mend_en="Connect it from an earlier step, or delete it",
)
def unreachable(document: Document) -> Hits:
    for scope in document.scopes:
        if not _begins(document, scope):
            continue
        seen = reached(document, scope)
        for node in document.content[scope]:
            loose = document.kind(node) == "boundaryEvent" and document.find(node.get("attachedToRef")) is None
            if node not in seen and not loose:
                yield hit(node)


@rule(
    "FLOW-NO-EXIT", WARNING,
    zh="从“{name}”出发到不了任何结束，流程会一直循环",
    en='No end can be reached from "{name}"; the process would go round for ever',
    mend_zh="请在循环中画一条通向结束事件的路径", mend_en="Draw a way out of the loop to an end event",
)
def no_exit(document: Document) -> Hits:
    for scope in document.scopes:
        if not _begins(document, scope):
            continue
        content = document.content[scope]
        backwards: dict[Element, list[Element]] = {}
        for node in content:
            for target in document.successors(node):
                backwards.setdefault(target, []).append(node)
        todo = [node for node in content if not document.successors(node)]
        leaves: set[Element] = set()
        while todo:
            node = todo.pop()
            if node not in leaves:
                leaves.add(node)
                todo += backwards.get(node, [])
        seen = reached(document, scope)
        stuck = [node for node in content if node not in leaves and node in seen]
        interrupted = any(document.is_event_sub_process(node) for node in content)
        if stuck and not interrupted:  # one finding for the loop, at its first node
            yield hit(stuck[0])


def _split_before(document: Document, flow: Element) -> Element | None:
    """Return the gateway that a branch comes from when nothing joins or splits on the way, else None."""
    node, steps = document.source[flow], 0
    while node is not None and document.kind(node) not in GATEWAYS and steps < 500:
        if len(document.incoming[node]) != 1 or len(document.outgoing[node]) != 1:
            return None
        node, steps = document.source[document.incoming[node][0]], steps + 1
    return node


@rule(
    "FLOW-DEADLOCK", DRAFT,
    zh="并行汇聚“{name}”等待来自“{split}”的 {n} 条分支，而那里只会走一条，流程将永远停在这里",
    en='Parallel join "{name}" waits for {n} branches of "{split}", of which only one is taken: it waits for ever',
    mend_zh="请改用排他网关汇聚", mend_en="Join with an exclusive gateway",
)
def deadlock(document: Document) -> Hits:
    for join in document.each("parallelGateway"):
        branches: dict[Element, int] = {}
        for flow in document.incoming[join]:
            split = _split_before(document, flow)
            if split is not None and document.kind(split) in _CHOICES and len(document.outgoing[split]) > 1:
                branches[split] = branches.get(split, 0) + 1
        for split, count in branches.items():
            if count > 1:
                certain = count == len(document.incoming[join])
                yield hit(join, None if certain else WARNING, split=label(split), n=count)


@rule(
    "FLOW-STARVED", DRAFT,
    zh="并行汇聚“{name}”等待“{source}”，而那里永远不会走到",
    en='Parallel join "{name}" waits for "{source}", which is never reached',
    mend_zh="请连通该分支，或删除这条线", mend_en="Connect that branch, or delete the flow",
)
def starved(document: Document) -> Hits:
    for scope in document.scopes:
        if not _begins(document, scope):
            continue
        seen: set[Element] | None = None
        for join in document.content[scope]:
            if document.kind(join) != "parallelGateway" or len(document.incoming[join]) < 2:
                continue
            seen = reached(document, scope) if seen is None else seen
            for flow in document.incoming[join]:
                source = document.source[flow]
                if source is not None and source not in seen and join in seen:
                    yield hit(join, source=label(source))


@rule(
    "FLOW-MERGE-TWICE", WARNING,
    zh="并行分支在“{name}”直接汇合（没有并行网关）,它之后的步骤会执行多次",
    en='Parallel branches of "{split}" meet at "{name}" without a parallel gateway; what follows runs once for each',
    mend_zh="请在前面加并行汇聚网关", mend_en="Join them with a parallel gateway first",
)
def merged_twice(document: Document) -> Hits:
    for node in document.nodes:
        if len(document.incoming[node]) < 2 or document.kind(node) in {"parallelGateway", "inclusiveGateway", "complexGateway"}:
            continue
        if document.kind(node) == "endEvent":
            continue
        splits = [_split_before(document, flow) for flow in document.incoming[node]]
        for split in dict.fromkeys(each for each in splits if each is not None):
            if document.kind(split) == "parallelGateway" and len(document.outgoing[split]) > 1 and splits.count(split) > 1:
                yield hit(node, split=label(split))
