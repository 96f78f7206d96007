"""Events: which kind may stand where, what they refer to, boundary events, links, compensation."""

from __future__ import annotations

from collections.abc import Iterator

from engine.bpmn.check.document import ACTIVITIES, NODES, SUB_PROCESSES, Document, Element
from engine.bpmn.check.rule import DRAFT, ERROR, WARNING, Hits, hit, label, rule
from engine.bpmn.elements import Position, events_at
from engine.model import Severity

_START = events_at(Position.START)
_EVENT_SUB_PROCESS, _REPEATED_START = events_at(Position.INTERRUPTING_START), events_at(Position.REPEATED_START)
_BOUNDARY, _REPEATED_BOUNDARY = events_at(Position.INTERRUPTING_BOUNDARY), events_at(Position.REPEATED_BOUNDARY)
_END, _CATCH, _THROW = events_at(Position.END), events_at(Position.CATCH), events_at(Position.THROW)

_MEND_ZH, _MEND_EN = "请选择允许的事件类型：{allowed}", "Choose a permitted event type: {allowed}"


def _forbidden(document: Document, event: Element, allowed: frozenset[str], needed: bool = False) -> str:
    """Return the event kinds that may not stand here, ``"none"`` when one is needed and missing, ``""`` when all is well."""
    kinds = document.events(event)
    return " ".join(sorted(set(kinds) - allowed)) or ("none" if needed and not kinds else "")


def _as_draft(what: str) -> Severity | None:
    """A modeler creates events without a type first: unfinished, not wrong."""
    return DRAFT if what == "none" else None


@rule(
    "EV-START-KIND", ERROR,
    zh="流程的开始事件“{name}”不能是 {what}", en='Start event "{name}" of a process cannot be {what}',
    mend_zh=_MEND_ZH, mend_en=_MEND_EN,
)
def start_kind(document: Document) -> Hits:
    for event in document.each("startEvent"):
        what = _forbidden(document, event, _START)
        if what and document.kind(document.scope(event)) == "process":
            yield hit(event, what=what, allowed=", ".join(sorted(_START)))


@rule(
    "EV-SUB-START", ERROR,
    zh="子流程“{sub}”内的开始事件必须是空白开始事件", en='The start event inside sub-process "{sub}" must be a none start',
    mend_zh="请去掉事件类型，或改为事件子流程", mend_en="Remove the event type or make it an event sub-process",
)
def sub_process_start(document: Document) -> Hits:
    for scope in document.each(*SUB_PROCESSES):
        for event in document.content[scope]:
            typed = document.kind(event) == "startEvent" and document.events(event)
            if typed and not document.is_event_sub_process(scope):
                yield hit(event, sub=label(scope))


@rule(
    "EV-SUB-STARTS", DRAFT,
    zh="子流程“{name}”有多个开始事件", en='Sub-process "{name}" has several start events',
    mend_zh="请只保留一个", mend_en="Keep one",
)
def sub_process_starts(document: Document) -> Hits:
    for scope in document.each(*SUB_PROCESSES):
        if sum(document.kind(event) == "startEvent" for event in document.content[scope]) > 1:
            yield hit(scope, None if document.is_event_sub_process(scope) else WARNING)


@rule(
    "EV-ESP-START", ERROR,
    zh="事件子流程“{sub}”的开始事件不能是 {what}", en='The start of event sub-process "{sub}" cannot be {what}',
    mend_zh=_MEND_ZH, mend_en=_MEND_EN,
)
def event_sub_process_start(document: Document) -> Hits:
    for scope in document.each(*SUB_PROCESSES):
        if not document.is_event_sub_process(scope):
            continue
        starts = [event for event in document.content[scope] if document.kind(event) == "startEvent"]
        if not starts:
            yield hit(scope, DRAFT, sub=label(scope), what="missing", allowed=", ".join(sorted(_EVENT_SUB_PROCESS)))
        for event in starts:
            interrupting = event.get("isInterrupting", "true") == "true"
            allowed = _EVENT_SUB_PROCESS if interrupting else _REPEATED_START
            what = _forbidden(document, event, allowed, needed=True)
            if what:
                yield hit(event, _as_draft(what), sub=label(scope), what=what, allowed=", ".join(sorted(allowed)))


@rule(
    "EV-ESP-FLOW", ERROR,
    zh="事件子流程“{name}”不能有流入或流出线", en='Event sub-process "{name}" cannot have incoming or outgoing flows',
    mend_zh="请删除连线；它由自己的开始事件触发", mend_en="Delete the flows; its own start event triggers it",
)
def event_sub_process_flow(document: Document) -> Hits:
    for scope in document.each(*SUB_PROCESSES):
        if document.is_event_sub_process(scope) and (document.incoming[scope] or document.outgoing[scope]):
            yield hit(scope)


def _listed(document: Document, event: Element, tag: str) -> bool:
    """Whether it lists a flow; some tools list message flows here, which do not count."""
    referred = (document.find(child.text) for child in document.children(event, tag))
    return any(flow is None or document.kind(flow) != "messageFlow" for flow in referred)


@rule(
    "EV-START-IN", ERROR,
    zh="开始事件“{name}”不能有流入线", en='Start event "{name}" cannot have incoming flows',
    mend_zh="请删除流入线；要回到开头请在其后加网关", mend_en="Delete the incoming flow; to come back, use a gateway behind it",
)
def start_incoming(document: Document) -> Hits:
    for event in document.each("startEvent"):
        if document.incoming[event] or _listed(document, event, "incoming"):
            yield hit(event)


@rule(
    "EV-START-OUT", DRAFT,
    zh="开始事件“{name}”没有流出线", en='Start event "{name}" has no outgoing flow',
    mend_zh="请连到第一步", mend_en="Connect it to the first step",
)
def start_outgoing(document: Document) -> Hits:
    yield from (hit(event) for event in document.each("startEvent") if not document.outgoing[event])


@rule(
    "EV-END-OUT", ERROR,
    zh="结束事件“{name}”不能有流出线", en='End event "{name}" cannot have outgoing flows',
    mend_zh="请删除流出线，或改为中间事件", mend_en="Delete the outgoing flow or use an intermediate event",
)
def end_outgoing(document: Document) -> Hits:
    for event in document.each("endEvent"):
        if document.outgoing[event] or _listed(document, event, "outgoing"):
            yield hit(event)


@rule(
    "EV-END-KIND", ERROR,
    zh="结束事件“{name}”不能是 {what}", en='End event "{name}" cannot be {what}', mend_zh=_MEND_ZH, mend_en=_MEND_EN,
)
def end_kind(document: Document) -> Hits:
    for event in document.each("endEvent"):
        what = _forbidden(document, event, _END)
        if what:
            yield hit(event, what=what, allowed=", ".join(sorted(_END)))


@rule(
    "EV-NO-START", DRAFT,
    zh="“{name}”有结束事件但没有开始事件", en='"{name}" has an end event but no start',
    mend_zh="请画一个开始事件", mend_en="Draw a start event",
)
def no_start(document: Document) -> Hits:
    for scope in document.scopes:
        kinds = {document.kind(node) for node in document.content[scope]}
        starts = "startEvent" in kinds or any(node.get("instantiate") == "true" for node in document.content[scope])
        if "endEvent" in kinds and not starts and document.kind(scope) != "adHocSubProcess":
            yield hit(scope)


@rule(
    "EV-NO-END", WARNING,
    zh="“{name}”有开始事件但没有结束事件", en='"{name}" has a start event but no end event',
    mend_zh="请画结束事件，说明流程以什么结局结束", mend_en="Draw end events that say how it ends",
)
def no_end(document: Document) -> Hits:
    for scope in document.scopes:
        kinds = {document.kind(node) for node in document.content[scope]}
        if "startEvent" in kinds and "endEvent" not in kinds:
            yield hit(scope)


def _transaction(document: Document, event: Element) -> Element | None:
    """Return the transaction that the event is drawn in, directly or in a sub-process inside it."""
    scope = document.scope(event)
    while scope is not None and document.kind(scope) in ("subProcess", "adHocSubProcess"):
        scope = document.scope(scope)
    return scope if document.kind(scope) == "transaction" else None


@rule(
    "EV-CANCEL-END", ERROR,
    zh="取消结束事件“{name}”只能用在事务子流程中", en='Cancel end event "{name}" belongs into a transaction only',
    mend_zh="请改为普通结束事件，或把子流程设为事务", mend_en="Use another end event or make it a transaction",
)
def cancel_end(document: Document) -> Hits:
    for event in document.each("endEvent"):
        if "cancel" in document.events(event) and _transaction(document, event) is None:
            yield hit(event)


@rule(
    "EV-CANCEL-BOUNDARY", ERROR,
    zh="取消边界事件“{name}”只能附着在事务上", en='Cancel boundary event "{name}" belongs onto a transaction only',
    mend_zh="请改附着到事务子流程", mend_en="Attach it to a transaction",
)
def cancel_boundary(document: Document) -> Hits:
    for event in document.each("boundaryEvent"):
        host = document.find(event.get("attachedToRef"))
        if "cancel" in document.events(event) and host is not None and document.kind(host) != "transaction":
            yield hit(event)


@rule(
    "EV-CANCEL-NONE", WARNING,
    zh="事务“{name}”有取消结束事件，却没有取消边界事件",
    en='Transaction "{name}" can be cancelled but has no cancel boundary event',
    mend_zh="请画取消边界事件，并连到取消之后的步骤", mend_en="Draw a cancel boundary event and connect what follows",
)
def cancel_unheard(document: Document) -> Hits:
    for scope in document.each("transaction"):
        cancels = any("cancel" in document.events(event) for event in document.each("endEvent") if _transaction(document, event) is scope)
        if cancels and not any("cancel" in document.events(event) for event in document.boundaries.get(scope, ())):
            yield hit(scope)


@rule(
    "EV-BOUNDARY-KIND", ERROR,
    zh="边界事件“{name}”不能是 {what}", en='Boundary event "{name}" cannot be {what}', mend_zh=_MEND_ZH, mend_en=_MEND_EN,
)
def boundary_kind(document: Document) -> Hits:
    for event in document.each("boundaryEvent"):
        interrupting = event.get("cancelActivity", "true") == "true"
        allowed = _BOUNDARY if interrupting else _REPEATED_BOUNDARY | {"compensate"}  # what interrupts nothing: EV-COMP-BOUNDARY
        what = _forbidden(document, event, allowed, needed=True)
        if what:
            yield hit(event, _as_draft(what), what=what, allowed=", ".join(sorted(allowed)))


@rule(
    "EV-BOUNDARY-IN", ERROR,
    zh="边界事件“{name}”不能有流入线", en='Boundary event "{name}" cannot have incoming flows',
    mend_zh="请删除流入线", mend_en="Delete the incoming flow",
)
def boundary_incoming(document: Document) -> Hits:
    yield from (hit(event) for event in document.each("boundaryEvent") if document.incoming[event])


@rule(
    "EV-BOUNDARY-OUT", DRAFT,
    zh="边界事件“{name}”没有流出线", en='Boundary event "{name}" has no outgoing flow',
    mend_zh="请连到处理步骤", mend_en="Connect it to the step that handles it",
)
def boundary_outgoing(document: Document) -> Hits:
    for event in document.each("boundaryEvent"):
        if not document.outgoing[event] and "compensate" not in document.events(event):
            yield hit(event)


@rule(
    "EV-BOUNDARY-HOST", ERROR,
    zh="边界事件“{name}”与它附着的活动不在同一层", en='Boundary event "{name}" and its host are not in the same scope',
    mend_zh="请重新附着", mend_en="Attach it again",
)
def boundary_host(document: Document) -> Hits:
    for host, events in document.boundaries.items():
        yield from (hit(event) for event in events if document.scope(event) is not document.scope(host))


@rule(
    "EV-BOUNDARY-ESP", WARNING,
    zh="事件子流程“{name}”不能带边界事件", en='Event sub-process "{name}" cannot carry boundary events',
    mend_zh="请移到普通活动上", mend_en="Move it to an ordinary activity",
)
def boundary_on_event_sub_process(document: Document) -> Hits:
    yield from (hit(host) for host in document.boundaries if document.is_event_sub_process(host))


@rule(
    "EV-COMP-BOUNDARY", DRAFT,
    zh="补偿边界事件“{name}”不能是非中断的", en='Compensation boundary event "{name}" cannot be non-interrupting',
    mend_zh="请删除 cancelActivity", mend_en="Remove cancelActivity",
)
def compensation_not_interrupting(document: Document) -> Hits:
    for event in document.each("boundaryEvent"):
        if event.get("cancelActivity") == "false" and "compensate" in document.events(event):
            yield hit(event)


@rule(
    "EV-COMP-OUT", ERROR,
    zh="补偿边界事件“{name}”不能有流出线", en='Compensation boundary event "{name}" cannot have outgoing flows',
    mend_zh="请用关联线连到补偿活动", mend_en="Connect the handler with an association",
)
def compensation_outgoing(document: Document) -> Hits:
    for event in document.each("boundaryEvent"):
        if "compensate" in document.events(event) and document.outgoing[event]:
            yield hit(event)


@rule(
    "EV-COMP-HANDLER", ERROR,
    zh="补偿边界事件“{name}”的处理活动“{handler}”没有标为补偿活动",
    en='Handler "{handler}" of compensation event "{name}" is not marked as compensation activity',
    mend_zh="请在该活动上勾选“补偿”", mend_en="Mark the activity as compensation activity",
)
def compensation_handler(document: Document) -> Hits:
    beside = {"textAnnotation", "dataObjectReference", "group", "dataStoreReference", "dataObject"}
    for event in document.each("boundaryEvent"):
        if "compensate" not in document.events(event):
            continue
        for target in document.associated[event]:
            if document.kind(target) not in beside and not document.is_compensation(target):
                yield hit(event, handler=label(target))


@rule(
    "EV-COMP-NONE", DRAFT,
    zh="补偿边界事件“{name}”没有补偿活动", en='Compensation event "{name}" has no handler',
    mend_zh="请用关联线连接一个补偿活动", mend_en="Associate a compensation activity",
)
def compensation_unhandled(document: Document) -> Hits:
    for event in document.each("boundaryEvent"):
        if "compensate" not in document.events(event) or document.outgoing[event]:
            continue
        if not any(document.is_compensation(target) for target in document.associated[event]):
            yield hit(event)


@rule(
    "EV-COMP-MANY", DRAFT,
    zh="“{name}”有 {n} 个补偿处理，只能有一个", en='"{name}" has {n} compensation handlers; it can have one',
    mend_zh="请只保留一个；需要多个步骤时放进一个补偿子流程",
    mend_en="Keep one; put several steps into one sub-process for compensation",
)
def compensated_twice(document: Document) -> Hits:
    for host in document.each(*ACTIVITIES):
        undoing = [event for event in document.boundaries.get(host, ()) if "compensate" in document.events(event)]
        handlers = {target for event in undoing for target in document.associated[event] if document.is_compensation(target)}
        inner = [
            sub
            for sub in document.content.get(host, ())
            if document.is_event_sub_process(sub) and any("compensate" in document.events(node) for node in document.content[sub]
                                                          if document.kind(node) == "startEvent")
        ]
        n = max(len(undoing), len(handlers)) + len(inner)
        if n > 1:
            yield hit(host, n=n)


@rule(
    "EV-COMP-LONELY", DRAFT,
    zh="补偿活动“{name}”没有连到同一层的补偿边界事件，永远不会执行",
    en='Compensation activity "{name}" is joined to no compensation boundary event of its scope and will never run',
    mend_zh="请用关联线从补偿边界事件连到它，或取消“补偿”标记",
    mend_en="Associate a compensation boundary event with it, or take away the compensation mark",
)
def compensation_lonely(document: Document) -> Hits:
    for node in document.nodes:
        if not document.is_compensation(node) or document.is_event_sub_process(node):
            continue
        joined = [each for each in document.associated[node] if document.kind(each) == "boundaryEvent"]
        if not any("compensate" in document.events(each) and document.scope(each) is document.scope(node) for each in joined):
            yield hit(node)


@rule(
    "EV-COMP-FLOW", ERROR,
    zh="补偿活动“{name}”不能有顺序流", en='Compensation activity "{name}" cannot have sequence flows',
    mend_zh="请删除顺序流", mend_en="Delete the flows",
)
def compensation_flow(document: Document) -> Hits:
    for node in document.nodes:
        if document.is_compensation(node) and (document.incoming[node] or document.outgoing[node]):
            yield hit(node)


@rule(
    "EV-COMP-TARGET", DRAFT,
    zh="补偿事件“{name}”指向的“{target}”没有补偿处理",
    en='Compensation event "{name}" points at "{target}", which has no compensation handler',
    mend_zh="请给该活动画补偿边界事件", mend_en="Draw a compensation boundary event on it",
)
def compensation_target(document: Document) -> Hits:
    for definition in document.each("compensateEventDefinition"):
        target, event = document.find(definition.get("activityRef")), definition.getparent()
        if target is None or event is None:
            continue
        if document.kind(event) in NODES and document.process(target) is not document.process(event):
            yield hit(event, target=label(target))
        if document.kind(target) in SUB_PROCESSES | {"callActivity"}:
            continue
        if not any("compensate" in document.events(boundary) for boundary in document.boundaries.get(target, ())):
            yield hit(event, target=label(target))


@rule(
    "EV-CATCH-KIND", ERROR,
    zh="中间捕获事件“{name}”不能是 {what}", en='Intermediate catch event "{name}" cannot be {what}',
    mend_zh=_MEND_ZH, mend_en=_MEND_EN,
)
def catch_kind(document: Document) -> Hits:
    for event in document.each("intermediateCatchEvent"):
        what = _forbidden(document, event, _CATCH, needed=True)
        if what:
            yield hit(event, _as_draft(what), what=what, allowed=", ".join(sorted(_CATCH)))


@rule(
    "EV-THROW-KIND", ERROR,
    zh="中间抛出事件“{name}”不能是 {what}", en='Intermediate throw event "{name}" cannot be {what}',
    mend_zh=_MEND_ZH, mend_en=_MEND_EN,
)
def throw_kind(document: Document) -> Hits:
    for event in document.each("intermediateThrowEvent"):
        what = _forbidden(document, event, _THROW)
        if what:
            yield hit(event, what=what, allowed=", ".join(sorted(_THROW)))


@rule(
    "EV-MID-FLOW", DRAFT,
    zh="中间事件“{name}”缺少流入线或流出线", en='Intermediate event "{name}" lacks an incoming or outgoing flow',
    mend_zh="请补画连线", mend_en="Draw the missing flow",
)
def intermediate_flow(document: Document) -> Hits:
    for event in document.each("intermediateCatchEvent", "intermediateThrowEvent"):
        link, catch = "link" in document.events(event), document.kind(event) == "intermediateCatchEvent"
        in_ad_hoc = document.kind(document.scope(event)) == "adHocSubProcess"
        lacks_in = not document.incoming[event] and not (link and catch) and not in_ad_hoc
        lacks_out = not document.outgoing[event] and not (link and not catch)
        if lacks_in or lacks_out:
            yield hit(event)


@rule(
    "EV-LINK-FLOW", ERROR,
    zh="链接事件“{name}”的连线方向不对", en='Link event "{name}" has a flow on the wrong side',
    mend_zh="链接抛出只有流入线，链接捕获只有流出线",
    mend_en="A throwing link has only incoming, a catching link only outgoing flows",
)
def link_flow(document: Document) -> Hits:
    for event in document.definitions:
        catch = document.kind(event) == "intermediateCatchEvent"
        if "link" in document.events(event) and (document.incoming[event] if catch else document.outgoing[event]):
            yield hit(event)


def _links(document: Document, kind: str) -> list[tuple[Element, str]]:
    """Return (event, name of the link: its own, else that of the event)."""
    return [
        (event, definition.get("name") or event.get("name") or "")
        for event in document.each(kind)
        for definition in document.definitions[event]
        if document.kind(definition) == "linkEventDefinition"
    ]


@rule(
    "EV-LINK-PAIR", ERROR,
    zh="链接事件“{name}”在同一层内没有对应的{side}",
    en='Link event "{name}" has no {side_en} with the same name in the same scope',
    mend_zh="请在同一层画出同名的另一端", mend_en="Draw its other end with the same name in the same scope",
)
def link_pair(document: Document) -> Hits:
    throws, catches = _links(document, "intermediateThrowEvent"), _links(document, "intermediateCatchEvent")
    for mine, others, zh, en in ((throws, catches, "捕获端", "catching end"), (catches, throws, "抛出端", "throwing end")):
        for event, name in mine:
            scope = document.scope(event)
            found = {other for other, its in others if its == name and document.scope(other) is scope}
            if not found or not name.strip():
                yield hit(event, DRAFT, side=zh, side_en=en)
            elif mine is throws and len(found) > 1:
                yield hit(event, side="唯一捕获端", side_en="single catching end")


@rule(
    "EV-DEF-REF", ERROR,
    zh="“{name}”引用的事件定义属于另一个事件", en='"{name}" refers to an event definition that belongs to another event',
    mend_zh="请引用顶层的事件定义", mend_en="Refer to a top-level event definition",
)
def shared_definition(document: Document) -> Hits:
    for reference in document.each("eventDefinitionRef"):
        definition, event = document.find(reference.text), reference.getparent()
        if definition is not None and event is not None and document.kind(definition.getparent()) != "definitions":
            yield hit(event)


def _with_definition(document: Document, *kinds: str) -> Iterator[tuple[Element, Element, str]]:
    """Yield (event, definition, kind) of the executable events with such a definition."""
    for event, definitions in document.definitions.items():
        for definition in definitions:
            kind = document.kind(definition)[:-15]
            if kind in kinds and document.is_executable(event):
                yield event, definition, kind


@rule(
    "EV-MESSAGE", DRAFT,
    zh="消息事件“{name}”没有选择消息", en='Message event "{name}" has no message',
    mend_zh="请选择或新建消息，或用消息流连到有消息的一方", mend_en="Choose or create a message, or draw its message flow",
)
def no_message(document: Document) -> Hits:
    for event, definition, _ in _with_definition(document, "message"):
        if not document.message_names(definition):
            yield hit(event)


@rule(
    "EV-MESSAGE-NAME", WARNING,
    zh="消息“{id}”没有名称", en='Message "{id}" has no name',
    mend_zh="请填写消息名称，发送方按名称发送", mend_en="Give it a name; senders address it by name",
)
def message_name(document: Document) -> Hits:
    yield from (hit(message) for message in document.each("message") if not message.get("name"))


@rule(
    "EV-OPERATION", WARNING,
    zh="消息事件“{name}”没有操作引用", en='Message event "{name}" has no operationRef',
    mend_zh="仅在使用接口定义时需要，可不理会", mend_en="Only needed with interface definitions; nothing depends on it",
)
def no_operation(document: Document) -> Hits:
    for event, definition, _ in _with_definition(document, "message"):
        if document.child(definition, "operationRef") is None:
            yield hit(event)


@rule(
    "EV-REF-MISSING", DRAFT,
    zh="{what} 事件“{name}”没有选择 {what}", en='{what} event "{name}" names no {what}',
    mend_zh="请选择或新建", mend_en="Choose or create one",
)
def no_reference(document: Document) -> Hits:
    for event, definition, kind in _with_definition(document, "signal", "error", "escalation"):
        throws = document.kind(event) in ("endEvent", "intermediateThrowEvent")
        if not definition.get(f"{kind}Ref") and (kind == "signal" or throws):
            yield hit(event, what=kind)


@rule(
    "EV-CODE-MISSING", DRAFT,
    zh="{kind}“{name}”没有代码，没有人能捕获它", en='{kind} "{name}" has no code, so nobody can catch it by one',
    mend_zh="请填写代码", mend_en="Give it a code",
)
def no_code(document: Document) -> Hits:
    for event, definition, kind in _with_definition(document, "error", "escalation"):
        target = document.find(definition.get(f"{kind}Ref"))
        throws = document.kind(event) in ("endEvent", "intermediateThrowEvent")
        if target is not None and throws and not target.get(f"{kind}Code"):
            yield hit(target)


@rule(
    "EV-CONDITION", DRAFT,
    zh="条件事件“{name}”没有条件", en='Conditional event "{name}" has no condition',
    mend_zh="请填写 FEEL 条件", mend_en="Fill in a FEEL condition",
)
def no_condition(document: Document) -> Hits:
    for event, definitions in document.definitions.items():
        for definition in definitions:
            if document.kind(definition) != "conditionalEventDefinition":
                continue
            if not document.text(document.child(definition, "condition")):
                yield hit(event)


def timers(document: Document) -> Iterator[tuple[Element, list[Element]]]:
    """Yield (timer definition, its times)."""
    for definition in document.each("timerEventDefinition"):
        yield definition, [child for child in definition if document.kind(child) in ("timeDate", "timeDuration", "timeCycle")]


@rule(
    "TIMER-ONE", ERROR,
    zh="定时器应恰好填写一种时间（现有 {n} 种）", en="A timer needs exactly one of date, duration, cycle (has {n})",
    mend_zh="请只保留一种", mend_en="Keep exactly one",
)
def timer_one(document: Document) -> Hits:
    for definition, times in timers(document):
        if len(times) != 1:
            yield hit(definition, None if times else DRAFT, n=len(times))


@rule(
    "TIMER-EMPTY", DRAFT,
    zh="定时器的时间为空", en="The time of the timer is empty",
    mend_zh="请填写时间，如 PT2H 或 = submission_deadline", mend_en="Fill it in, such as PT2H or = submission_deadline",
)
def timer_empty(document: Document) -> Hits:
    for definition, times in timers(document):
        yield from (hit(definition) for time in times if not document.text(time) and not len(time))
