"""Pools, message flows, lanes and what only illustrates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from engine.bpmn.check.document import Document, Element
from engine.bpmn.check.rule import DRAFT, ERROR, WARNING, Hits, hit, label, rule
from engine.bpmn.collaboration import holders


@rule(
    "POOL-MULTIPLICITY", ERROR,
    zh="泳池“{name}”的参与者数量不合法({min}..{max})", en='Multiplicity of pool "{name}" is not valid ({min}..{max})',
    mend_zh="最小值不小于 0,最大值不小于 1 且不小于最小值", mend_en="minimum >= 0, maximum >= 1 and >= minimum",
)
def multiplicity(document: Document) -> Hits:
    for element in document.each("participantMultiplicity"):
        pool, low, high = element.getparent(), element.get("minimum", "0"), element.get("maximum", "1")
        if pool is None or not all(re.fullmatch(r"\s*-?\d{1,9}\s*", each) for each in (low, high)):
            continue
        if int(low) < 0 or int(high) < 1 or int(low) > int(high):
            yield hit(pool, min=low, max=high)


def _pool(document: Document, node: Element | None) -> Element | None:
    if node is not None and document.kind(node) == "participant":
        process = document.find(node.get("processRef"))
        return process if process is not None else node
    return document.process(node)


@rule(
    "MSG-SAME-POOL", ERROR,
    zh="消息流“{id}”的两端在同一个泳池内", en='Message flow "{id}" stays within one pool',
    mend_zh="同一泳池内请用顺序流", mend_en="Use a sequence flow inside a pool",
)
def same_pool(document: Document) -> Hits:
    for flow in document.each("messageFlow"):
        source, target = (_pool(document, document.find(flow.get(end))) for end in ("sourceRef", "targetRef"))
        if source is not None and source is target:
            yield hit(flow)


def _ends(document: Document, *sides: str) -> Iterator[tuple[Element, Element]]:
    for side in sides:
        for flow in document.each("messageFlow"):
            node = document.find(flow.get(side))
            if node is not None:
                yield flow, node


@rule(
    "MSG-SOURCE", ERROR,
    zh="{what}“{node}”不能发出消息流", en='A {what} cannot send a message flow ("{node}")',
    mend_zh="请从任务、抛出事件或结束事件发出", mend_en="Send from a task, a throwing or an end event",
)
def message_source(document: Document) -> Hits:
    for flow, node in _ends(document, "sourceRef"):
        if document.kind(node) in ("startEvent", "intermediateCatchEvent", "boundaryEvent", "receiveTask"):
            yield hit(flow, what=document.kind(node), node=label(node))


@rule(
    "MSG-TARGET", ERROR,
    zh="{what}“{node}”不能接收消息流", en='A {what} cannot receive a message flow ("{node}")',
    mend_zh="请指向任务、开始事件或捕获事件", mend_en="Point at a task, a start or a catching event",
)
def message_target(document: Document) -> Hits:
    for flow, node in _ends(document, "targetRef"):
        kind = document.kind(node)
        if kind in ("endEvent", "intermediateThrowEvent", "sendTask"):
            yield hit(flow, DRAFT if kind == "sendTask" else None, what=kind, node=label(node))


@rule(
    "MSG-EVENT", DRAFT,
    zh="事件“{node}”连着消息流，却不是消息事件", en='Event "{node}" has a message flow but is no message event',
    mend_zh="请把事件类型改为消息", mend_en="Make it a message event",
)
def message_event(document: Document) -> Hits:
    for flow, node in _ends(document, "sourceRef", "targetRef"):
        if document.kind(node).lower().endswith("event") and "message" not in document.events(node):
            yield hit(flow, node=label(node))


@rule(
    "MSG-MANY", WARNING,
    zh="“{name}”连着多条消息流", en='"{name}" has several message flows',
    mend_zh="每个消息事件只对应一条消息流", mend_en="One message flow per message event",
)
def several_messages(document: Document) -> Hits:
    counted = Counter(node for _, node in _ends(document, "sourceRef", "targetRef"))
    for node, count in counted.items():
        if count > 1 and document.kind(node).lower().endswith("event"):
            yield hit(node)


@rule(
    "MSG-UNHEARD", DRAFT,
    zh="消息流“{id}”送来消息“{message}”，对方流程中没有元素等待它(等待的是：{waits})",
    en='Message flow "{id}" brings the message "{message}", for which nothing in the other process waits (it waits for: {waits})',
    mend_zh="请让两端选用同一消息", mend_en="Choose the same message at both ends",
)
def unheard(document: Document) -> Hits:
    for flow in document.flows_between.all:
        found = document.flows_between.unheard(flow)
        if found is not None:
            yield hit(flow, message=found[0], waits=", ".join(sorted(found[1])) or "-")


@rule(
    "MSG-NAMES", DRAFT,
    zh="连到“{name}”的消息流带来不同的消息({messages})，而它自己没有选择消息",
    en='The message flows of "{name}" carry different messages ({messages}), and it names none itself',
    mend_zh="请为它选择消息", mend_en="Choose its message",
)
def different_names(document: Document) -> Hits:
    for node, _, names in document.flows_between.unnamed():
        if len(names) > 1 and document.is_executable(node):
            yield hit(node, messages=", ".join(sorted(names)))


@rule(
    "MSG-FLOW-NAME", WARNING,
    zh="消息流“{id}”上的消息是“{message}”，“{node}”用的却是“{own}”",
    en='Message flow "{id}" carries the message "{message}", but "{node}" names "{own}"',
    mend_zh="以元素上的消息为准；请改为同一消息", mend_en="What the element names counts; choose the same message",
)
def flow_name(document: Document) -> Hits:
    flows = document.flows_between
    for side in ("sourceRef", "targetRef"):
        for flow in flows.all:
            message, node = flows.message(flow.get("messageRef")), flows.end(flow, side)
            names = flows.given_names(node)
            if message is not None and names and message not in names and node is not None and flows.process(node) is not None:
                yield hit(flow, message=message, node=label(node), own=", ".join(sorted(names)))


@rule(
    "MSG-IDLE", WARNING,
    zh="消息流“{id}”只作图示：“{node}”自己不收发消息", en='Message flow "{id}" only illustrates: "{node}" neither sends nor receives by itself',
    mend_zh="请连到发送或接收消息的事件、发送任务或接收任务",
    mend_en="Draw it from or to an event that throws or catches a message, a send task or a receive task",
)
def idle_flow(document: Document) -> Hits:
    flows = document.flows_between
    for flow in flows.all:
        ends = [flows.end(flow, side) for side in ("sourceRef", "targetRef")]
        if any(flows.process(node) is None for node in ends):
            continue  # people and machines talk to the world outside in many ways
        for node in ends:
            if node is not None and document.kind(node) in _IDLE:
                yield hit(flow, node=label(node))


#: Ends of a message flow that the engine does nothing with; a job's handler may well send.
_IDLE = frozenset({
    "participant", "task", "userTask", "manualTask", "scriptTask", "businessRuleTask", "subProcess", "transaction", "adHocSubProcess",
    "callActivity",
})


@rule(
    "MSG-TYPE", WARNING,
    zh="消息流“{id}”两端的消息类型不同({types})", en='The messages at the ends of message flow "{id}" have different types ({types})',
    mend_zh="请为两端的消息选用同一数据项定义", mend_en="Give both messages the same item definition",
)
def message_type(document: Document) -> Hits:
    flows = document.flows_between
    for flow in flows.all:
        references = [holder.get("messageRef") for side in ("sourceRef", "targetRef") if (node := flows.end(flow, side)) is not None
                      for holder in holders(node)]
        messages = [message for each in (*references, flow.get("messageRef")) if (message := document.find(each)) is not None]
        same = {message.get("name") for message in messages}
        types = {message.get("itemRef") or "" for message in messages} - {""}
        if len(types) > 1 and len(same) == 1:
            yield hit(flow, types=", ".join(sorted(types)))


@rule(
    "CORR-PATH", WARNING,
    zh="关联属性“{name}”没有从消息中取值的表达式，关联键不起作用", en='The correlation property "{name}" has no retrieval expression; keys with it have no effect',
    mend_zh="请为会话中的每个消息给出 correlationPropertyRetrievalExpression",
    mend_en="Give it a correlationPropertyRetrievalExpression for each message of the conversation",
)
def no_path(document: Document) -> Hits:
    for property in document.each("correlationProperty"):
        if document.child(property, "correlationPropertyRetrievalExpression") is None:
            yield hit(property)


@rule(
    "CORR-PATH-EMPTY", DRAFT,
    zh="关联属性“{name}”的 messagePath 为空或没有消息", en='A messagePath of the correlation property "{name}" is empty or has no message',
    mend_zh="请写对消息内容求值的 FEEL，并选择消息", mend_en="Write FEEL over the payload, and choose the message",
)
def empty_path(document: Document) -> Hits:
    for retrieval in document.each("correlationPropertyRetrievalExpression"):
        property = retrieval.getparent()
        if property is not None and (
            not retrieval.get("messageRef") or not document.text(document.child(retrieval, "messagePath"))
        ):
            yield hit(property)


@rule(
    "CORR-BINDING", DRAFT,
    zh="流程“{name}”的关联订阅没有绑定属性：{properties}", en='The correlation subscription of process "{name}" does not bind: {properties}',
    mend_zh="请选择关联键，并为它的每个属性给出 dataPath(对流程变量求值的 FEEL)",
    mend_en="Choose its correlation key, and give a dataPath (FEEL over the variables) for each of its properties",
)
def binding(document: Document) -> Hits:
    for subscription in document.each("correlationSubscription"):
        process, key = subscription.getparent(), document.find(subscription.get("correlationKeyRef"))
        if process is None or not document.is_executable(process):
            continue
        if key is None or document.kind(key) != "correlationKey":
            yield hit(process, properties="correlationKeyRef")
            continue
        bound = {
            document.find(each.get("correlationPropertyRef")) for each in document.children(subscription, "correlationPropertyBinding")
            if document.text(document.child(each, "dataPath"))
        }
        wanted = {each.text: document.find(each.text) for each in document.children(key, "correlationPropertyRef")}
        missing = [name or "-" for name, property in wanted.items() if property is None or property not in bound]
        if missing:
            yield hit(process, properties=", ".join(missing))


@rule(
    "LANE-TWICE", WARNING,
    zh="“{name}”属于多个泳道", en='"{name}" stands in several lanes',
    mend_zh="请只放在一个泳道中", mend_en="Put it into one lane",
)
def lane_twice(document: Document) -> Hits:
    seen: dict[tuple[Element, Element | None], Element | None] = {}
    for reference in document.each("flowNodeRef"):
        node, lane = document.find(reference.text), reference.getparent()
        if node is None or lane is None:
            continue
        if seen.setdefault((node, lane.getparent()), lane) is not lane:
            yield hit(node)


@rule(
    "ARTIFACT-FORMAT", WARNING,
    zh="注释的 textFormat“{format}”不是 MIME 类型", en='textFormat "{format}" of an annotation is not a MIME type',
    mend_zh="例：text/plain", mend_en="E.g. text/plain",
)
def text_format(document: Document) -> Hits:
    for note in document.each("textAnnotation", "documentation"):
        value = note.get("textFormat")
        if value and not re.match(r"[\w.+-]+/[\w.+-]+", value):
            yield hit(note, format=value)


@rule(
    "GLOBAL-CONTENT", DRAFT,
    zh="{kind}“{name}”不能包含 {what}", en='{kind} "{name}" cannot contain {what}',
    mend_zh="请移到协作图中", mend_en="Move it into a collaboration",
)
def global_content(document: Document) -> Hits:
    misplaced = {"textAnnotation", "group", "association", "messageFlow"}
    for element in document.each("globalConversation", "choreography"):
        conversation = document.kind(element) == "globalConversation"
        for child in element:
            kind = document.kind(child)
            if kind == "choreographyRef" or (conversation and kind in misplaced):
                yield hit(element, what=kind)
                break


@rule(
    "IMPORT", WARNING,
    zh="引用的外部文件“{location}”不会自动读取", en='The imported file "{location}" is not read',
    mend_zh="请把所需定义放在同一文件中", mend_en="Put the definitions into this file",
)
def imports(document: Document) -> Hits:
    for element in document.each("import"):
        yield hit(element, location=element.get("location") or "")
