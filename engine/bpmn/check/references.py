"""Every reference of the document: what it may point at, and whether that exists."""

from __future__ import annotations

from collections.abc import Iterator

from engine.bpmn.check.document import (
    ACTIVITIES,
    CHOREOGRAPHY,
    EVENTS,
    ITEMS,
    NODES,
    Document,
    Element,
)
from engine.bpmn.check.rule import DRAFT, ERROR, WARNING, Hits, hit, rule

_DEFINITIONS = frozenset(
    f"{kind}EventDefinition"
    for kind in (
        "message", "timer", "signal", "error", "escalation", "conditional", "link", "compensate", "cancel", "terminate",
    )
)
_PARTNERS = ACTIVITIES | EVENTS | {"participant"}
_COLLABORATIONS = frozenset({"collaboration", "choreography", "globalConversation", "globalChoreographyTask"})
_CONVERSATIONS = frozenset({"conversation", "subConversation", "callConversation"})

Kinds = frozenset[str] | None  #: None: anything


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


#: ``{(element, attribute): kinds it may point at}``; ``*``: any element.
_ATTRIBUTES: dict[tuple[str, str], Kinds] = {
    ("sequenceFlow", "sourceRef"): NODES, ("sequenceFlow", "targetRef"): NODES,
    ("messageFlow", "sourceRef"): _PARTNERS, ("messageFlow", "targetRef"): _PARTNERS,
    ("association", "sourceRef"): None, ("association", "targetRef"): None,
    ("conversationLink", "sourceRef"): _CONVERSATIONS | _PARTNERS, ("conversationLink", "targetRef"): _CONVERSATIONS | _PARTNERS,
    ("*", "messageRef"): _kinds("message"), ("*", "itemRef"): _kinds("itemDefinition"),
    ("*", "itemSubjectRef"): _kinds("itemDefinition"), ("signal", "structureRef"): _kinds("itemDefinition"),
    ("error", "structureRef"): _kinds("itemDefinition"), ("escalation", "structureRef"): _kinds("itemDefinition"),
    ("*", "signalRef"): _kinds("signal"), ("*", "errorRef"): _kinds("error"), ("*", "escalationRef"): _kinds("escalation"),
    ("*", "operationRef"): _kinds("operation"), ("boundaryEvent", "attachedToRef"): ACTIVITIES,
    ("*", "default"): _kinds("sequenceFlow"), ("participant", "processRef"): _kinds("process"),
    ("*", "dataObjectRef"): _kinds("dataObject"), ("*", "dataStoreRef"): _kinds("dataStore"),
    ("group", "categoryValueRef"): _kinds("categoryValue"), ("process", "definitionalCollaborationRef"): _COLLABORATIONS,
    ("*", "initiatingParticipantRef"): _kinds("participant"), ("compensateEventDefinition",
    "activityRef"): ACTIVITIES | CHOREOGRAPHY,
    ("*", "correlationKeyRef"): _kinds("correlationKey"), ("ioBinding", "inputDataRef"): _kinds("dataInput", "inputSet"),
    ("ioBinding", "outputDataRef"): _kinds("dataOutput", "outputSet"),
    ("resourceParameterBinding", "parameterRef"): _kinds("resourceParameter"),
    ("*", "noneBehaviorEventRef"): _DEFINITIONS, ("*", "oneBehaviorEventRef"): _DEFINITIONS,
    ("participantAssociation", "innerParticipantRef"): _kinds("participant"),
    ("callConversation", "calledCollaborationRef"): _kinds("collaboration", "globalConversation"),
    ("callChoreography", "calledChoreographyRef"): _kinds("choreography", "globalChoreographyTask"),
    ("messageFlowAssociation", "innerMessageFlowRef"): _kinds("messageFlow"),
    ("messageFlowAssociation", "outerMessageFlowRef"): _kinds("messageFlow"),
    ("conversationAssociation", "innerConversationNodeRef"): _CONVERSATIONS,
    ("conversationAssociation", "outerConversationNodeRef"): _CONVERSATIONS,
    ("correlationPropertyBinding", "correlationPropertyRef"): _kinds("correlationProperty"),
    ("*", "evaluatesToTypeRef"): _kinds("itemDefinition"), ("lane", "partitionElementRef"): None,
}
_BY_ATTRIBUTE: dict[str, dict[str, Kinds]] = {}
for (_element, _attribute), _allowed in _ATTRIBUTES.items():
    _BY_ATTRIBUTE.setdefault(_attribute, {})[_element] = _allowed

#: ``{child element with an id as its text: kinds}``
_CHILDREN: dict[str, Kinds] = {
    "incoming": _kinds("sequenceFlow"), "outgoing": _kinds("sequenceFlow"),
    "flowNodeRef": NODES | {"dataObjectReference", "dataStoreReference", "dataObject"},
    "dataInputRefs": _kinds("dataInput"), "dataOutputRefs": _kinds("dataOutput"), "optionalInputRefs": _kinds("dataInput"),
    "optionalOutputRefs": _kinds("dataOutput"), "whileExecutingInputRefs": _kinds("dataInput"),
    "whileExecutingOutputRefs": _kinds("dataOutput"), "inputSetRefs": _kinds("inputSet"), "outputSetRefs": _kinds("outputSet"),
    "loopDataInputRef": ITEMS, "loopDataOutputRef": ITEMS, "eventDefinitionRef": _DEFINITIONS,
    "supportedInterfaceRef": _kinds("interface"), "inMessageRef": _kinds("message"), "outMessageRef": _kinds("message"),
    "errorRef": _kinds("error"), "operationRef": _kinds("operation"), "correlationPropertyRef": _kinds("correlationProperty"),
    "participantRef": _kinds("participant"), "resourceRef": _kinds("resource"), "messageFlowRef": _kinds("messageFlow"),
    "categoryValueRef": _kinds("categoryValue"), "choreographyRef": _kinds("choreography"), "supports": _kinds("process"),
    "innerParticipantRef": _kinds("participant"), "outerParticipantRef": _kinds("participant"),
    "interfaceRef": _kinds("interface"), "endPointRef": _kinds("endPoint"),
}
#: Engines, ours among them, take a code or the name of a variable here.
_CODES = frozenset({"errorRef", "loopDataInputRef", "loopDataOutputRef"})
_UNFINISHED = frozenset({"signalRef", "messageRef", "escalationRef", "processRef", "categoryValueRef", "dataStoreRef"})
_ILLUSTRATIONS = frozenset({"association", "conversationLink"})
_DRAFTS = frozenset({"structureRef", "itemSubjectRef", "evaluatesToTypeRef", "incoming", "outgoing"})
#: Redundant, or nothing that runs depends on it.
_LOOSE = frozenset({
    "flowNodeRef", "incoming", "outgoing", "structureRef", "itemSubjectRef", "interfaceRef", "endPointRef", "evaluatesToTypeRef",
    "partitionElementRef",
})


def _references(document: Document) -> Iterator[tuple[Element, str, str, Kinds]]:
    """Yield (holder, attribute or child, id, kinds it may point at)."""
    for element in document.all:
        kind = document.kind(element)
        parent = element.getparent()
        if kind in _CHILDREN and not len(element) and parent is not None:
            yield parent, kind, document.text(element), _CHILDREN[kind]
            continue
        for name, value in element.attrib.items():
            allowed = _BY_ATTRIBUTE.get(str(name))
            if allowed is not None and (kind in allowed or "*" in allowed):
                yield element, str(name), str(value), allowed[kind] if kind in allowed else allowed["*"]
    for association in document.each("dataInputAssociation", "dataOutputAssociation"):
        for child in association:
            if document.kind(child) in ("sourceRef", "targetRef"):
                yield association, document.kind(child), document.text(child), ITEMS
    for link in document.each("linkEventDefinition"):
        for child in link:
            if document.kind(child) in ("source", "target"):
                yield link, document.kind(child), document.text(child), _kinds("linkEventDefinition")


def _imported(document: Document, element: Element, reference: str) -> bool:
    """Whether a model of the namespace that a QName means is imported."""
    namespace = element.nsmap.get(reference.split(":", 1)[0])
    return any((each.get("namespace") or "") == namespace for each in document.each("import"))


def _unresolved(document: Document) -> Iterator[tuple[Element, str, str, bool]]:
    """Yield (holder, attribute, id, whether nothing that runs depends on it)."""
    for element, name, value, kinds in _references(document):
        known = document.find(value) is not None or (
            document.is_external(element, value) and (name in _LOOSE or _imported(document, element, value))
        )
        if known or (kinds is None and value in document.foreign_ids):
            continue
        yield element, name, value, name in _LOOSE or not value


@rule(
    "BPMN-REF", ERROR,
    zh="{kind} 的 {attr} 指向不存在的“{ref}”", en='{attr} of {kind} points at "{ref}", which does not exist',
    mend_zh="请重新连线或选择目标", mend_en="Draw the connection again or choose a target",
)
def dangling(document: Document) -> Hits:
    for element, name, value, loose in _unresolved(document):
        if loose or name in _CODES:
            continue
        mendable = name in _UNFINISHED or document.kind(element) in _ILLUSTRATIONS
        yield hit(element, DRAFT if mendable else None, attr=name, ref=value)


@rule(
    "BPMN-REF-CODE", WARNING,
    zh="{kind} 的 {attr} 写的是“{ref}”而不是元素标识，按错误代码或变量名理解",
    en='{attr} of {kind} says "{ref}", which is no element; it is taken as an error code or a variable',
    mend_zh="请定义该错误并引用其标识；集合请用 camunda:collection",
    mend_en="Define the error and refer to its id; for a collection use camunda:collection",
)
def codes(document: Document) -> Hits:
    for element, name, value, loose in _unresolved(document):
        if not loose and name in _CODES:
            yield hit(element, attr=name, ref=value)


@rule(
    "BPMN-REF-LOOSE", WARNING,
    zh="{kind} 的 {attr} 指向不存在的“{ref}”(不影响执行)",
    en='{attr} of {kind} points at "{ref}", which does not exist (nothing that runs depends on it)',
    mend_zh="请用建模器重新保存", mend_en="Save again with a modeller",
)
def loose_references(document: Document) -> Hits:
    for element, name, value, loose in _unresolved(document):
        if loose:
            yield hit(element, attr=name, ref=value)


@rule(
    "BPMN-REF-TYPE", ERROR,
    zh="{kind} 的 {attr} 指向“{ref}”，但它是 {got}", en='{attr} of {kind} points at "{ref}", which is a {got}',
    mend_zh="请选择正确类型的目标", mend_en="Choose a target of the right kind",
)
def wrong_kind(document: Document) -> Hits:
    for element, name, value, kinds in _references(document):
        target = document.find(value)
        if target is None or kinds is None or document.kind(target) in kinds:
            continue
        severity = None
        if name == "flowNodeRef" or (name in ("incoming", "outgoing") and document.kind(target) == "messageFlow"):
            severity = WARNING  # some tools write more into lanes and lists than belongs there
        elif name in _DRAFTS or document.kind(element).startswith("data"):
            severity = DRAFT
        yield hit(element, severity, attr=name, ref=value, got=document.kind(target))


@rule(
    "BPMN-REF-FLOWLIST", WARNING,
    zh="{kind} 的 incoming/outgoing 与顺序流“{ref}”不一致",
    en='The incoming/outgoing list of {kind} disagrees with flow "{ref}"',
    mend_zh="请用建模器重新保存；执行只看顺序流的两端", mend_en="Save again with a modeller; only the ends of the flow count",
)
def flow_lists(document: Document) -> Hits:
    listed = any(True for _ in document.each("incoming", "outgoing"))
    for tag, end, flows_of in (
        ("incoming", document.target, document.incoming), ("outgoing", document.source, document.outgoing),
    ):
        for child in document.each(tag):
            flow, holder = document.find(child.text), child.getparent()
            if flow is None or holder is None or document.kind(flow) != "sequenceFlow":
                continue
            if end[flow] is not None and end[flow] is not holder:
                yield hit(holder, ref=document.text(child))
        if not listed:
            continue
        for node in document.nodes:  # a list that is kept elsewhere, but not here
            flows = flows_of[node]
            if flows and document.child(node, tag) is None:
                yield hit(node, ref=flows[0].get("id") or "-")


@rule(
    "BPMN-REF-TWICE", WARNING,
    zh="{kind}“{name}”的 {attr} 两次写了“{ref}”", en='{attr} of {kind} "{name}" names "{ref}" twice',
    mend_zh="请删除一个", mend_en="Remove one of them",
)
def named_twice(document: Document) -> Hits:
    seen: set[tuple[Element, str, str]] = set()
    for child in document.each(*_CHILDREN):
        holder, reference = child.getparent(), document.text(child)
        if holder is None or len(child) or not reference:
            continue
        each = (holder, document.kind(child), reference)
        if each in seen:
            yield hit(holder, attr=each[1], ref=reference)
        seen.add(each)
