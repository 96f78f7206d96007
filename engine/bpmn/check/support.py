"""What BPMN has and this engine does not run: the one list. Refused with element and line, never ignored in silence."""

from __future__ import annotations

from collections.abc import Iterator

from engine.bpmn.check.document import CHOREOGRAPHY, NODES, Document, Element
from engine.bpmn.check.rule import DRAFT, WARNING, Hits, hit, rule


def _unsupported(document: Document) -> Iterator[tuple[Element, str, str]]:
    """Yield (element, what, in Chinese)."""
    for node in document.each(*CHOREOGRAPHY):
        if document.process(node) is not None:
            yield node, "choreographies", "编排"
    for event in document.each("implicitThrowEvent", "event"):
        if document.kind(event.getparent()) != "complexBehaviorDefinition":
            yield event, f"the element {document.kind(event)}", f"元素 {document.kind(event)}"


@rule(
    "NOT-RUN", DRAFT,
    zh="尚不支持执行：{what_zh}", en="Not run by this engine: {what}",
    mend_zh="请换一种画法，见 docs/diagrams.md", mend_en="Draw it another way, see docs/diagrams.md",
)
def unsupported(document: Document) -> Hits:
    for element, en, zh in _unsupported(document):
        if document.is_executable(element):
            yield hit(element, what=en, what_zh=zh)


@rule(
    "PROCESS-EMPTY", DRAFT,
    zh="流程“{name}”是空的", en='The process "{name}" is empty',
    mend_zh="请画开始事件和步骤", mend_en="Draw a start event and steps",
)
def empty(document: Document) -> Hits:
    for process in document.each("process"):
        if process.get("isExecutable") == "true" and not any(document.kind(node) in NODES for node in process):
            yield hit(process)


@rule(
    "ACT-LOOP-BOUND", DRAFT,
    zh="循环“{name}”既没有条件也没有最大次数", en='The loop "{name}" has neither a condition nor a maximum',
    mend_zh="请填写循环条件或最大次数", mend_en="Give it a condition or a maximum",
)
def unbounded_loop(document: Document) -> Hits:
    for loop in document.each("standardLoopCharacteristics"):
        activity = loop.getparent()
        if activity is not None and not loop.get("loopMaximum") and not document.text(document.child(loop, "loopCondition")):
            yield hit(activity)


@rule(
    "RECEIVE-MESSAGE", WARNING,
    zh="接收任务“{name}”没有选择消息，收不到任何消息", en='Receive task "{name}" names no message, so none reaches it',
    mend_zh="请选择消息", mend_en="Choose a message",
)
def receive_without_message(document: Document) -> Hits:
    for task in document.each("receiveTask"):
        if not task.get("messageRef") and not task.get("operationRef"):
            yield hit(task)
