"""Pools, message flows, lanes and what only illustrates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from engine.bpmn.check.document import ACTIVITIES, CHOREOGRAPHY, NODES, Document, Element
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


_NODES_OF_CONVERSATION = frozenset({"conversation", "subConversation", "callConversation"})
_CONVERSATION_PARTS = _NODES_OF_CONVERSATION | {
    "conversationAssociation", "participantAssociation", "messageFlowAssociation", "conversationLink",
}


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
    "MSG-POOL", DRAFT,
    zh="消息流“{id}”的一端“{node}”不在任何泳池中", en='Message flow "{id}" ends at "{node}", which stands in no pool of its collaboration',
    mend_zh="请为该流程画泳池(participant 的 processRef)，或重新连接",
    mend_en="Give its process a pool (processRef of a participant), or connect the flow again",
)
def outside_pools(document: Document) -> Hits:
    for collaboration in document.each("collaboration", "choreography", "globalConversation", "globalChoreographyTask"):
        pools = document.children(collaboration, "participant")
        processes = {document.find(each.get("processRef")) for each in pools}
        for flow in document.children(collaboration, "messageFlow"):
            for end in ("sourceRef", "targetRef"):
                node = document.find(flow.get(end))
                own = node in pools or document.process(node) in processes
                if node is not None and not own and document.kind(node) in NODES | {"participant"}:
                    yield hit(flow, node=label(node))


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
    "LANE-TWICE", DRAFT,
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
    "LANE-FOREIGN", DRAFT,
    zh="泳道“{name}”列出了其他流程或子流程的“{node}”", en='Lane "{name}" lists "{node}", which belongs to another process',
    mend_zh="请从该泳道中删除", mend_en="Take it out of the lane",
)
def lane_of_another(document: Document) -> Hits:
    for reference in document.each("flowNodeRef"):
        node, lane = document.find(reference.text), reference.getparent()
        if node is None or lane is None or document.kind(node) not in NODES:
            continue
        if document.scope(lane) not in list(node.iterancestors()):
            yield hit(lane, node=label(node))


@rule(
    "ARTIFACT-FORMAT", DRAFT,
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
    misplaced = {"textAnnotation", "group", "association", "messageFlow"} | _CONVERSATION_PARTS
    for element in document.each("globalConversation", "choreography", "globalChoreographyTask"):
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


@rule(
    "CONV-LINK", DRAFT,
    zh="会话连接“{id}”应连接一个会话与一个参与者", en='Conversation link "{id}" must join a conversation and a participant',
    mend_zh="请重新连接", mend_en="Connect it again",
)
def conversation_link(document: Document) -> Hits:
    for link in document.each("conversationLink"):
        ends = [document.find(link.get(end)) for end in ("sourceRef", "targetRef")]
        conversations = sum(document.kind(end) in _NODES_OF_CONVERSATION for end in ends)
        if None not in ends and conversations != 1:
            yield hit(link)


@rule(
    "CONV-PARTICIPANTS", DRAFT,
    zh="会话“{name}”的参与者少于两个", en='Conversation "{name}" has fewer than two participants',
    mend_zh="请连接至少两个参与者", mend_en="Connect at least two participants",
)
def conversation_participants(document: Document) -> Hits:
    for node in document.each(*_NODES_OF_CONVERSATION):
        joined = {document.find(child.text) for child in document.children(node, "participantRef")}
        for link in document.each("conversationLink"):
            ends = [document.find(link.get(end)) for end in ("sourceRef", "targetRef")]
            if node in ends:
                joined.update(_pool(document, end) if document.kind(end) in NODES else end for end in ends if end is not node)
        for reference in document.children(node, "messageFlowRef"):
            flow = document.find(reference.text)
            if flow is not None:
                joined.update(document.find(flow.get(end)) for end in ("sourceRef", "targetRef"))
        if len(joined - {None}) < 2:
            yield hit(node)


def _members(document: Document, holder: Element | None, kind: str) -> list[Element]:
    return [] if holder is None else document.children(holder, kind)


@rule(
    "COLLAB-MAPPING", DRAFT,
    zh="{kind}“{id}”的 {side} 指向“{ref}”，它不属于{where_zh}", en='The {side} of {kind} "{id}" is "{ref}", which does not belong to {where}',
    mend_zh="请选择对应协作中的元素", mend_en="Choose an element of that collaboration",
)
def mapping(document: Document) -> Hits:
    """A participant association maps a participant of what is called to one of the caller; message flows likewise."""
    for association in document.each("participantAssociation"):
        caller = association.getparent()
        called = None
        while caller is not None and document.kind(caller) not in _COLLABORATIONS:
            called = called or caller.get("calledCollaborationRef") or caller.get("calledChoreographyRef")
            caller = caller.getparent()
        outer = document.find(document.text(document.child(association, "outerParticipantRef")))
        inner = document.find(document.text(document.child(association, "innerParticipantRef")))
        callee = document.find(called)
        if outer is not None and caller is not None and outer not in _members(document, caller, "participant"):
            yield hit(association, side="outerParticipantRef", ref=label(outer), where=label(caller), where_zh=label(caller))
        if inner is not None and callee is not None and inner not in _members(document, callee, "participant"):
            yield hit(association, side="innerParticipantRef", ref=label(inner), where=label(callee), where_zh=label(callee))


_COLLABORATIONS = frozenset({"collaboration", "choreography", "globalConversation", "globalChoreographyTask"})


@rule(
    "CORR-MESSAGE", DRAFT,
    zh="关联属性“{name}”没有从消息“{message}”取值的表达式",
    en='Correlation property "{name}" has no expression for the message "{message}", which its key correlates',
    mend_zh="请为每条交换的消息添加 correlationPropertyRetrievalExpression",
    mend_en="Add a correlationPropertyRetrievalExpression for every message that is exchanged",
)
def correlated_messages(document: Document) -> Hits:
    for key in document.each("correlationKey"):
        holder = key.getparent()
        if holder is None:
            continue
        flows = [document.find(child.text) for child in document.children(holder, "messageFlowRef")]
        flows += document.children(holder, "messageFlow")
        messages = dict.fromkeys(document.find(flow.get("messageRef")) for flow in flows if flow is not None)
        for reference in document.children(key, "correlationPropertyRef"):
            found = document.find(reference.text)
            if found is None or document.kind(found) != "correlationProperty":
                continue
            read = {
                document.find(each.get("messageRef")) for each in document.children(found, "correlationPropertyRetrievalExpression")
            }
            for message in messages:
                if message is not None and message not in read:
                    yield hit(found, message=label(message))


@rule(
    "CORR-BINDING", DRAFT,
    zh="关联订阅“{id}”绑定的属性与其关联键不一致", en='The bindings of correlation subscription "{id}" do not fit its key',
    mend_zh="请为关联键的每个属性恰好绑定一次", mend_en="Bind every property of the key exactly once",
)
def correlation_bindings(document: Document) -> Hits:
    for subscription in document.each("correlationSubscription"):
        key = document.find(subscription.get("correlationKeyRef"))
        if key is None or document.kind(key) != "correlationKey":
            continue
        wanted = [document.find(child.text) for child in document.children(key, "correlationPropertyRef")]
        bound = [
            document.find(each.get("correlationPropertyRef"))
            for each in document.children(subscription, "correlationPropertyBinding")
        ]
        if len(set(bound)) < len(bound) or set(bound) != set(wanted):
            yield hit(subscription)


@rule(
    "CHOREO-PARTICIPANTS", DRAFT,
    zh="编排活动“{name}”的参与者不对：{why_zh}", en='The participants of choreography activity "{name}" are wrong: {why}',
    mend_zh="编排任务恰好两个参与者，发起者是其中之一，消息只在他们之间",
    mend_en="A choreography task has two participants, one of them initiates, and its messages pass between them",
)
def choreography_participants(document: Document) -> Hits:
    for node in document.each("choreographyTask", "subChoreography", "callChoreography"):
        references = [document.text(child) for child in document.children(node, "participantRef")]
        members = [document.find(each) for each in references]
        if len(set(references)) < 2 or (document.kind(node) == "choreographyTask" and len(references) != 2):
            yield hit(node, why=f"{len(set(references))}", why_zh=f"{len(set(references))} 个")
        initiator = document.find(node.get("initiatingParticipantRef"))
        if initiator is not None and initiator not in members:
            yield hit(node, why=f"{label(initiator)} initiates", why_zh=f"发起者“{label(initiator)}”不在其中")
        for reference in document.children(node, "messageFlowRef"):
            flow = document.find(reference.text)
            ends = [] if flow is None else [document.find(flow.get(end)) for end in ("sourceRef", "targetRef")]
            if any(document.kind(end) == "participant" and end not in members for end in ends):
                yield hit(node, why=document.text(reference), why_zh=f"消息流“{document.text(reference)}”在别人之间")


_FORBIDDEN_IN_CHOREOGRAPHY = {
    "startEvent": frozenset({"message", "escalation", "error", "compensate", "cancel", "terminate", "link"}),
    "intermediateCatchEvent": frozenset({"message", "escalation", "error", "compensate", "cancel", "terminate"}),
    "intermediateThrowEvent": frozenset({"message", "escalation", "error", "compensate", "cancel", "terminate", "signal"}),
    "endEvent": frozenset({"message", "escalation", "error", "compensate", "cancel", "signal", "link", "timer", "conditional"}),
}


@rule(
    "CHOREO-CONTENT", DRAFT,
    zh="编排中不能有 {kind}“{name}”({what})", en='A choreography cannot contain {kind} "{name}" ({what})',
    mend_zh="编排只含编排活动、网关和不带消息的事件", mend_en="It contains choreography activities, gateways and events without messages",
)
def choreography_content(document: Document) -> Hits:
    forbidden = ACTIVITIES | {"dataObject", "dataObjectReference", "dataStoreReference"}
    for scope in document.each("choreography", "subChoreography"):
        for node in scope:
            kind = document.kind(node)
            events = set(document.events(node)) & _FORBIDDEN_IN_CHOREOGRAPHY.get(kind, frozenset())
            if kind in forbidden or events:
                yield hit(node, what=" ".join(sorted(events)) or kind)


def _before(document: Document, node: Element) -> Iterator[Element]:
    """Yield the choreography activities that come directly before, through gateways and events."""
    todo, seen = [node], set[Element]()
    while todo:
        for flow in document.incoming[todo.pop()]:
            source = document.source[flow]
            if source is None or source in seen:
                continue
            seen.add(source)
            if document.kind(source) in CHOREOGRAPHY:
                yield source
            else:
                todo.append(source)


@rule(
    "CHOREO-ORDER", DRAFT,
    zh="“{name}”的发起者没有参与前一个编排活动“{before}”", en='Who initiates "{name}" takes no part in "{before}" before it',
    mend_zh="请更换发起者，或在中间补一个编排任务", mend_en="Choose another initiator, or draw the task between them",
)
def choreography_order(document: Document) -> Hits:
    for task in document.each("choreographyTask"):
        initiator = document.find(task.get("initiatingParticipantRef"))
        if initiator is None or initiator.getparent() is not document.scope(task):
            continue
        for before in _before(document, task):
            members = [document.find(child.text) for child in document.children(before, "participantRef")]
            if document.kind(before) == "choreographyTask" and initiator not in members:
                yield hit(task, before=label(before))
