"""What BPMN has and this engine does not run, by the table of `engine.bpmn.elements`; and what an element cannot run without."""

from __future__ import annotations

from engine.bpmn import elements
from engine.bpmn.check.document import NODES, Document
from engine.bpmn.check.rule import DRAFT, WARNING, Hits, hit, rule


@rule(
    "NOT-RUN", DRAFT,
    zh="{what_zh}（{kind}）", en="{what} ({kind})",
    mend_zh="请换一种画法，见 docs/bpmn.md", mend_en="Draw it another way, see docs/bpmn.md",
)
def not_run(document: Document) -> Hits:
    for element in document.all:
        kind = document.kind(element)
        told = [(row.does_zh, row.does_en) for row in elements.refused(element, kind)]
        if kind not in elements.KNOWN:
            told.append(("不认识的元素，无法执行", "An element that nobody here knows how to run"))
        if told and document.is_executable(element):
            yield from (hit(element, what=en, what_zh=zh) for zh, en in told)


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
        if not document.message_names(task) and not task.get("operationRef"):
            yield hit(task)
