"""Sequence flows: borders, default and conditional flows, what is not connected."""

from __future__ import annotations

from engine.bpmn.check.document import ACTIVITIES, EVENTS, Document, Element
from engine.bpmn.check.rule import DRAFT, ERROR, WARNING, Hits, hit, label, rule

_SPLITS = frozenset({"exclusiveGateway", "inclusiveGateway", "complexGateway"})


@rule(
    "FLOW-BORDER", ERROR,
    zh="顺序流“{id}”跨越了泳池或子流程边界", en='Sequence flow "{id}" crosses the border of a pool or sub-process',
    mend_zh="跨泳池请用消息流；子流程内外请用子流程边线连接",
    mend_en="Use a message flow between pools; connect the sub-process itself",
)
def border(document: Document) -> Hits:
    for flow, source in document.source.items():
        target = document.target[flow]
        if source is None or target is None:
            continue
        if document.scope(source) is not document.scope(target):
            yield hit(flow)
        elif not (flow.getparent() is source.getparent() is target.getparent()):  # drawn right, filed in another place
            yield hit(flow, DRAFT)


@rule(
    "FLOW-DEFAULT", ERROR,
    zh="默认流不是从“{name}”出发的", en='The default flow does not leave "{name}"',
    mend_zh="请从该元素的流出线中选择默认流", mend_en="Choose one of its own outgoing flows",
)
def default_elsewhere(document: Document) -> Hits:
    for node in document.nodes:
        flow = document.find(node.get("default"))
        if flow is not None and document.kind(flow) == "sequenceFlow" and document.source.get(flow) is not node:
            yield hit(node)


@rule(
    "FLOW-DEFAULT-COND", WARNING,
    zh="默认流“{id}”不应有条件，其条件不会被看", en='The default flow "{id}" carries a condition, which is not looked at',
    mend_zh="请删除条件", mend_en="Remove the condition",
)
def default_with_condition(document: Document) -> Hits:
    for node in document.nodes:
        flow = document.find(node.get("default"))
        if flow is not None and document.kind(flow) == "sequenceFlow" and document.condition(flow) is not None:
            yield hit(flow)


@rule(
    "FLOW-DEFAULT-OWNER", ERROR,
    zh="{kind}“{name}”不能有默认流", en='A {kind} cannot have a default flow ("{name}")',
    mend_zh="请删除默认流标记", mend_en="Remove the default mark",
)
def default_owner(document: Document) -> Hits:
    for node in document.nodes:
        if node.get("default") and document.kind(node) not in _SPLITS | ACTIVITIES:
            yield hit(node)


@rule(
    "FLOW-COND-LONELY", DRAFT,
    zh="“{name}”只有一条带条件的流出线，条件不成立时流程会停住",
    en='"{name}" has a single, conditional outgoing flow; the token is lost when it is false',
    mend_zh="请再画一条默认流", mend_en="Add another flow, best a default one",
)
def lonely_condition(document: Document) -> Hits:
    for node in document.each(*ACTIVITIES):
        flows = document.outgoing[node]
        if len(flows) == 1 and document.condition(flows[0]) is not None:
            yield hit(node)


@rule(
    "FLOW-COND-PLACE", ERROR,
    zh="从 {kind}“{name}”出发的顺序流不能有条件", en='A flow leaving {kind} "{name}" cannot carry a condition',
    mend_zh="请删除条件，或改用排他网关", mend_en="Remove the condition or use an exclusive gateway",
)
def condition_out_of_place(document: Document) -> Hits:
    for node in document.each(*EVENTS, "parallelGateway", "eventBasedGateway"):
        if any(document.condition(flow) is not None for flow in document.outgoing[node]):
            severity = {"eventBasedGateway": None, "parallelGateway": DRAFT}.get(document.kind(node), WARNING)
            yield hit(node, severity)


@rule(
    "FLOW-COND-EMPTY", DRAFT,
    zh="顺序流“{id}”的条件为空", en='The condition of flow "{id}" is empty',
    mend_zh="请填写条件或设为默认流", mend_en="Fill the condition or make it the default flow",
)
def empty_condition(document: Document) -> Hits:
    for condition in document.each("conditionExpression"):
        flow = condition.getparent()
        if flow is not None and not document.text(condition) and not len(condition):
            yield hit(flow)


def _stands_free(document: Document, node: Element) -> bool:
    """Whether a node needs no flows: compensation, event sub-process, boundary event, or anything in an ad-hoc sub-process."""
    in_ad_hoc = document.kind(document.scope(node)) == "adHocSubProcess"
    on_border = document.kind(node) == "boundaryEvent"
    return on_border or in_ad_hoc or document.is_compensation(node) or document.is_event_sub_process(node)


@rule(
    "FLOW-IN-MISSING", DRAFT,
    zh="“{name}”没有流入线，永远不会执行", en='"{name}" has no incoming flow and will never run',
    mend_zh="请从前一步连线到它，或删除它", mend_en="Connect it from the step before, or delete it",
)
def no_incoming(document: Document) -> Hits:
    for scope in document.scopes:
        if not any(document.kind(node) == "startEvent" for node in document.content[scope]):
            continue
        for node in document.content[scope]:
            starts = document.kind(node) == "startEvent" or node.get("instantiate") == "true"
            if document.incoming[node] or starts or _stands_free(document, node) or "link" in document.events(node):
                continue
            yield hit(node)


@rule(
    "FLOW-OUT-MISSING", WARNING,
    zh="“{name}”没有流出线，到此即结束，但流程画了结束事件",
    en='"{name}" has no outgoing flow, so its path ends there, although the process has an end event',
    mend_zh="请连线到下一步或结束事件", mend_en="Connect it to the next step or an end event",
)
def no_outgoing(document: Document) -> Hits:
    for scope in document.scopes:
        if not any(document.kind(node) == "endEvent" for node in document.content[scope]):
            continue
        for node in document.content[scope]:
            ends = document.kind(node) == "endEvent" or "link" in document.events(node)
            if not (document.outgoing[node] or ends or _stands_free(document, node)):
                yield hit(node)


@rule(
    "FLOW-IMMEDIATE", DRAFT,
    zh="可执行流程的顺序流“{id}”不能设 isImmediate=false",
    en='isImmediate="false" of flow "{id}" is not allowed in an executable process',
    mend_zh="请删除该属性", mend_en="Remove the attribute",
)
def immediate(document: Document) -> Hits:
    for flow in document.each("sequenceFlow"):
        if flow.get("isImmediate") == "false" and document.is_executable(flow):
            yield hit(flow)


@rule(
    "FLOW-LABEL", WARNING,
    zh="“{name}”的分支“{flow}”没有文字，看图的人不知道何时走这条线",
    en='The branch "{flow}" of "{name}" has no label; readers cannot tell when it is taken',
    mend_zh="请给每条分支写上答案，如“通过”“退回”", mend_en="Write the answer on every branch, such as “passed”, “returned”",
)
def unlabelled_branch(document: Document) -> Hits:
    for gateway in document.each("exclusiveGateway", "inclusiveGateway"):
        flows = document.outgoing[gateway]
        if len(flows) < 2:
            continue
        for flow in flows:
            if not (flow.get("name") or "").strip():
                yield hit(flow, name=label(gateway), flow=flow.get("id") or "-")


#: Words that `outcome` takes where an end is no success.
_BAD_OUTCOMES = frozenset({
    "lost", "missed", "abandoned", "disqualified", "withdrawn", "cancelled", "buyer_cancelled", "failed", "rejected",
})


def _ends_badly(document: Document, end: Element) -> bool:
    bad_event = set(document.events(end)) & {"error", "terminate", "cancel"}
    outcome = document.property(end, "outcome").lstrip("= ").strip('" ')
    return bool(bad_event) or outcome in _BAD_OUTCOMES


@rule(
    "FLOW-DEFAULT-BAD", WARNING,
    zh="“{name}”的默认流“{flow}”只通向失败的结局；条件写错时，好的情况也会落到这里",
    en='The default flow "{flow}" of "{name}" leads to bad ends only; whatever no condition foresees would end there',
    mend_zh="请给坏的分支写上条件，把默认留给正常或复核的路径",
    mend_en="Put a condition on the bad branch; let the default be the ordinary path or a review",
)
def default_to_bad_end(document: Document) -> Hits:
    for node in document.nodes:
        flow = document.find(node.get("default"))
        if flow is None or document.source.get(flow) is not node or document.target[flow] is None:
            continue
        seen: set[Element] = set()
        todo = [document.target[flow]]
        while todo:
            current = todo.pop()
            if current is not None and current not in seen:
                seen.add(current)
                todo += document.successors(current)
        ends = [each for each in seen if not document.outgoing[each]]
        if ends and node not in seen and all(document.kind(end) == "endEvent" and _ends_badly(document, end) for end in ends):
            yield hit(flow, name=label(node), flow=label(flow))
