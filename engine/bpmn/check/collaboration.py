"""Pools, message flows, lanes and what only illustrates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from engine.bpmn.check.document import Document, Element
from engine.bpmn.check.rule import DRAFT, ERROR, WARNING, Hits, hit, label, rule


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
