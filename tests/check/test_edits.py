"""Edits that make a valid diagram invalid by the standard: each is refused, and the finding names what was edited."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from engine.bpmn.check import CheckContext, check
from engine.bpmn.check.document import ACTIVITIES, EVENTS, GATEWAYS, TASKS
from engine.bpmn.xml import BPMN, read_diagram
from engine.model import Severity
from tests.bpmn.build import (
    CANCEL,
    COMPENSATE,
    boundary,
    call,
    catch,
    condition,
    diagram,
    element,
    end,
    event,
    event_sub,
    events,
    exclusive,
    loop,
    many,
    parallel,
    process,
    receive,
    script,
    service,
    start,
    sub,
    task,
    throw,
    timer,
    user,
)

ROOT = Path(__file__).parents[2]
CONFORMANCE = ROOT.parent / "shared/conformance"
#: Scripts and conditions of these files are in no language of ours.
FOREIGN = dict.fromkeys(("EXPR-SYNTAX", "SCRIPT-FORMAT", "SCRIPT-LANGUAGE", "SCRIPT-EMPTY", "EXPR-JUEL", "SERVICE-HANDLER"))

Element = etree._Element


# ------------------------------------------------------------------------------------------------------------- valid diagrams
def io(item: str) -> str:
    return (
        f'<ioSpecification><dataInput id="in_{item}" itemSubjectRef="text"/><dataOutput id="out_{item}" itemSubjectRef="text"/>'
        f'<inputSet id="ins_{item}"><dataInputRefs>in_{item}</dataInputRefs></inputSet><outputSet id="outs_{item}">'
        f"<dataOutputRefs>out_{item}</dataOutputRefs></outputSet></ioSpecification>"
    )


DATA = (
    f'{io("x")}<dataInputAssociation id="dia"><sourceRef>objref</sourceRef><targetRef>in_x</targetRef></dataInputAssociation>'
    '<dataOutputAssociation id="doa"><sourceRef>out_x</sourceRef><targetRef>objref</targetRef></dataOutputAssociation>'
)
OWNER = (
    '<potentialOwner id="owner"><resourceRef>people</resourceRef><resourceParameterBinding id="rpb" parameterRef="level">'
    "<formalExpression>1</formalExpression></resourceParameterBinding></potentialOwner>"
)
TOP = (
    '<itemDefinition id="text" structureRef="string"/><itemDefinition id="texts" structureRef="string" isCollection="true"/>'
    '<message id="order" name="order" itemRef="text"/><message id="answer" name="answer" itemRef="text"/>'
    '<interface id="if" name="if"><operation id="op" name="op"><inMessageRef>order</inMessageRef>'
    '<outMessageRef>answer</outMessageRef></operation></interface>'
    '<resource id="people" name="people"><resourceParameter id="level" name="level" isRequired="true"/></resource>'
    '<category id="cat"><categoryValue id="cv" value="v"/></category><dataStore id="store" name="store"/>'
    '<messageEventDefinition id="shared" messageRef="mA"/>'
    '<correlationProperty id="number"><correlationPropertyRetrievalExpression id="cpre" messageRef="order"><messagePath>n'
    '</messagePath></correlationPropertyRetrievalExpression></correlationProperty>'
    '<collaboration id="collab"><participant id="P" processRef="p"><participantMultiplicity minimum="1" maximum="2"/></participant>'
    '<participant id="Q" processRef="q"/><participant id="box"/>'
    '<messageFlow id="mf" sourceRef="ask" targetRef="told" messageRef="order"/><messageFlow id="mf2" sourceRef="box" targetRef="P"/>'
    '<textAnnotation id="note" textFormat="text/plain"><text>n</text></textAnnotation>'
    '<conversation id="talk"><participantRef>P</participantRef><participantRef>Q</participantRef><messageFlowRef>mf'
    '</messageFlowRef><correlationKey id="key"><correlationPropertyRef>number</correlationPropertyRef></correlationKey>'
    '</conversation><callConversation id="cc" calledCollaborationRef="gc"><participantRef>P</participantRef><participantRef>Q'
    '</participantRef><participantAssociation id="pa"><innerParticipantRef>gP</innerParticipantRef><outerParticipantRef>P'
    '</outerParticipantRef></participantAssociation></callConversation>'
    '<conversationLink id="cl" sourceRef="box" targetRef="talk"/></collaboration>'
    '<globalConversation id="gc"><participant id="gP"/></globalConversation>'
    '<choreography id="dance"><participant id="A"/><participant id="B"/><participant id="C"/><messageFlow id="cm" sourceRef="A" '
    'targetRef="B"/><startEvent id="cs"/><choreographyTask id="ct" initiatingParticipantRef="A"><participantRef>A</participantRef>'
    '<participantRef>B</participantRef><messageFlowRef>cm</messageFlowRef></choreographyTask><endEvent id="ce"/>'
    '<sequenceFlow id="cf1" sourceRef="cs" targetRef="ct"/><sequenceFlow id="cf2" sourceRef="ct" targetRef="ce"/></choreography>'
)
STEPS = process(
    '<laneSet id="lanes"><lane id="lane1"><flowNodeRef>s</flowNodeRef><flowNodeRef>x</flowNodeRef></lane>'
    '<lane id="lane2"><flowNodeRef>e</flowNodeRef></lane></laneSet>',
    '<dataObject id="obj" itemSubjectRef="text"/><dataObject id="objs" itemSubjectRef="texts" isCollection="true"/>',
    '<dataObjectReference id="objref" dataObjectRef="obj"/><dataStoreReference id="storeref" dataStoreRef="store"/>',
    start(), task("x", DATA), user("u", OWNER, default="u_v"), script("v", "1"), service("w", operationRef="op", inner=io("w")),
    element("sendTask", "ask", messageRef="order", camunda_type="external", camunda_topic="t"), receive("got", "mA"),
    task("each", many("3")), task("again", loop("a = 1", maximum="3")),
    sub("all", start("as"), task("at"), end("ae"), "as>at", "at>ae",
        inner=many(inner='<loopDataInputRef>objs</loopDataInputRef><inputDataItem id="one" itemSubjectRef="text"/>')),
    exclusive("g"), parallel("fork"), parallel("join"), events("wait"), catch("c1", event("message", "mA")),
    catch("c2", timer("timeDuration", "PT1H")), exclusive("merge"), element("inclusiveGateway", "inc"), exclusive("incm"),
    throw("sig", event("signal", "sA")), throw("esc", event("escalation", "xA")), catch("cond", condition("a > 1")),
    throw("lt", '<linkEventDefinition id="ltd" name="L"/>'), catch("lc", '<linkEventDefinition id="lcd" name="L"/>'),
    sub("deal", start("ds"), task("dt"), end("de"), end("dc", CANCEL), exclusive("dg"), "ds>dt", "dt>dg", "dg>de: a = 1",
        "dg>dc!", tag="transaction"),
    boundary("cancelled", "deal", CANCEL), boundary("late", "u", timer("timeDuration", "P1D")),
    boundary("failed", "w", event("error", "eA")), task("booked"), boundary("undo", "booked", COMPENSATE),
    task("unbook", isForCompensation="true"), call("sub2", "called"),
    sub("free", task("f1"), task("f2"), "<completionCondition>true</completionCondition>", tag="adHocSubProcess"),
    event_sub("handler", start("hs", event("error", "eA")), end("he"), "hs>he"),
    sub("plain", start("ps"), task("pt"), end("pe"), "ps>pt", "pt>pe"),
    end(), end("bad", event("error", "eB")), end("msg", event("message", "mB")), end("stop", "<terminateEventDefinition/>"),
    end("said", '<eventDefinitionRef>shared</eventDefinitionRef>'),
    "s>x", "x>u", "u>v", "u>bad: a = 2", "v>w", "w>ask", "ask>got", "got>each", "each>again", "again>all", "all>g",
    "g>fork: a = 1", "g>stop!", "fork>sig", "fork>esc", "sig>join", "esc>join", "join>wait", "wait>c1", "wait>c2", "c1>merge",
    "c2>merge", "merge>inc", "inc>cond: a = 1", "inc>booked: b = 1", "cond>incm", "booked>incm", "incm>lt", "lc>deal", "deal>sub2",
    "sub2>free", "free>plain", "plain>e", "cancelled>msg", "late>said", "failed>bad",
    '<textAnnotation id="why"><text>w</text></textAnnotation><association id="because" sourceRef="x" targetRef="why"/>',
    '<association id="undoes" sourceRef="undo" targetRef="unbook"/><group id="grp" categoryValueRef="cv"/>',
    '<correlationSubscription id="cs1" correlationKeyRef="key"><correlationPropertyBinding id="cpb" correlationPropertyRef="number">'
    "<dataPath>n</dataPath></correlationPropertyBinding></correlationSubscription>",
)
PARTNER = process(start("qs"), receive("told", "order"), end("qe"), "qs>told", "told>qe", id="q")
CALLED = process(start("rs"), end("re"), "rs>re", id="called")
PICTURE = (
    '<d:BPMNDiagram xmlns:d="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:c="http://www.omg.org/spec/DD/20100524/DC" id="dd">'
    '<d:BPMNPlane id="dp" bpmnElement="p"><d:BPMNShape id="shape_x" bpmnElement="x"><c:Bounds x="0" y="0" width="1" height="1"/>'
    "</d:BPMNShape></d:BPMNPlane></d:BPMNDiagram>"
)
EVERYTHING = diagram(TOP, STEPS, PARTNER, CALLED).decode().replace("</definitions>", PICTURE + "</definitions>").encode()


# ---------------------------------------------------------------------------------------------------------------------- edits
class Page:
    """A diagram in the hands of somebody who edits it."""

    def __init__(self, data: bytes, chance: random.Random) -> None:
        self.root = read_diagram(data)
        self.chance = chance

    def all(self, kinds: str, where: Callable[[Element], object] = lambda _: True) -> list[Element]:
        """Return the elements of these kinds for which the condition holds."""
        names = {BPMN + kind for kind in kinds.split()}
        return [each for each in self.root.iter("*") if each.tag in names and where(each)]

    def one(self, kinds: str, where: Callable[[Element], object] = lambda _: True) -> Element:
        found = self.all(kinds, where)
        if not found:
            raise LookupError(kinds)
        return self.chance.choice(found)

    def target(self, to: str, other: Element | None = None) -> str:
        """Return an id: the one behind #, which has to be there unless it is nobody's, or that of any element of these kinds."""
        if to == "#nobody":
            return "nobody"
        if to.startswith("#"):
            found = [each for each in self.root.iter("*") if each.get("id") == to[1:]]
        else:
            found = self.all(to, lambda each: each.get("id") and each is not other)
        if not found:
            raise LookupError(to)
        return self.chance.choice(found).get("id") or ""

    def scope(self, node: Element) -> Element:
        """Return what directly holds the node: a process, a sub-process, a choreography."""
        return next(each for each in node.iterancestors() if kind(each) in SCOPES)

    def flows(self, node: Element, end: str) -> list[Element]:
        return self.all("sequenceFlow", lambda each: each.get(end) == node.get("id"))


def kind(each: Element) -> str:
    return str(each.tag).removeprefix(BPMN)


def named(*elements: Element) -> set[str]:
    """Return the ids by which a finding may name these elements: their own, or of what holds them; "" for the file."""
    return {next((x.get("id") for x in (each, *each.iterancestors()) if x.get("id")), "") for each in elements}


def made(text: str) -> Element:
    return etree.fromstring(f'<r xmlns="{BPMN[1:-1]}">{text}</r>')[0]


Edit = Callable[[Page], set[str]]
EDITS: dict[str, Edit] = {}
SCOPES = {"process", "subProcess", "transaction", "adHocSubProcess", "choreography", "subChoreography"}
HAS_EVENTS = " ".join(sorted(EVENTS - {"event", "implicitThrowEvent"}))
NODES_OF_FLOW = " ".join(sorted(ACTIVITIES | GATEWAYS))


def edit(change: Edit) -> Edit:
    EDITS[change.__name__] = change
    return change


def without(kinds: str, attribute: str, where: Callable[[Element], object] = lambda _: True) -> None:
    """Take a required attribute away."""

    def change(page: Page) -> set[str]:
        found = page.one(kinds, lambda each: each.get(attribute) and where(each))
        names = named(found, *found.iterancestors())
        del found.attrib[attribute]
        return names

    EDITS[f"no {attribute} of {kinds}"] = change


def pointing(kinds: str, attribute: str, to: str) -> None:
    """Let a reference point at an element of the wrong kind; ``to`` is an id when it begins with #."""

    def change(page: Page) -> set[str]:
        found = page.one(kinds, lambda each: each.get(attribute))
        target = page.target(to, found)
        found.set(attribute, target)
        return named(found) | {target}

    EDITS[f"{attribute} of {kinds} points at {to}"] = change


def naming(holder: str, child: str, to: str) -> None:
    """Let a reference that is a child element name an element of the wrong kind."""

    def change(page: Page) -> set[str]:
        found = page.one(child, lambda each: kind(each.getparent()) in holder.split())
        found.text = page.target(to)
        return named(found, *list(found.iterancestors())[:3]) | {found.text}

    EDITS[f"{child} of {holder} names {to}"] = change


def dropping(holder: str, child: str) -> None:
    """Take a required child away."""

    def change(page: Page) -> set[str]:
        found = page.one(child, lambda each: kind(each.getparent()) in holder.split())
        parent = found.getparent()
        names = named(parent, parent.getparent(), *parent.iter("*")) | {found.get("id") or found.text}
        parent.remove(found)
        return names

    EDITS[f"no {child} in {holder}"] = change


def adding(kinds: str, text: str, first: bool = False, where: Callable[[Element], object] = lambda _: True) -> None:
    """Add a child that may not stand there."""

    def change(page: Page) -> set[str]:
        found, child = page.one(kinds, where), made(text)
        found.insert(0, child) if first else found.append(child)
        return named(found, child)

    EDITS[f"{text} in {kinds}"] = change


def setting(kinds: str, attribute: str, value: str, where: Callable[[Element], object] = lambda _: True) -> None:
    """Write a value that the attribute cannot have."""

    def change(page: Page) -> set[str]:
        found = page.one(kinds, where)
        found.set(attribute, value)
        return named(found, found.getparent()) if kind(found.getparent()) != "process" else named(found)

    EDITS[f"{attribute}={value} of {kinds}"] = change


def trigger(events: str, *forbidden: str, where: Callable[[Page, Element], object]) -> None:
    """Give an event a kind that may not stand there."""
    for what in forbidden:

        def change(page: Page, what: str = what) -> set[str]:
            found = page.one(events, lambda each: where(page, each))
            for child in [each for each in found if kind(each).endswith(("EventDefinition", "eventDefinitionRef"))]:
                found.remove(child)
            found.append(made(event(what, {"message": "order", "signal": "sA", "error": "eA", "escalation": "xA"}.get(what, ""))))
            return named(found)

        EDITS[f"{what} {events} {len(EDITS)}"] = change


def empty(kinds: str) -> None:
    """Empty an expression."""

    def change(page: Page) -> set[str]:
        found = page.one(kinds)
        found.text = ""
        return named(found)

    EDITS[f"empty {kinds}"] = change


def standing(kinds: str, scope: str, text: str) -> None:
    """Let something stand in a scope where it may not."""

    def change(page: Page) -> set[str]:
        found, child = page.one(scope), made(text)
        last = [n for n, each in enumerate(found) if kind(each) == "sequenceFlow"]
        found.insert(last[-1] if last else len(found), child)
        return named(found, child)

    EDITS[f"{kinds} in {scope}"] = change


def joining(source: str, target: str, *, flow: str = "sequenceFlow") -> None:
    """Draw a flow where none may be."""

    def change(page: Page) -> set[str]:
        a = page.one(source)
        same = page.scope(a)
        b = page.one(target, lambda each: each is not a and page.scope(each) is same)
        child = made(f'<sequenceFlow id="drawn" sourceRef="{a.get("id")}" targetRef="{b.get("id")}"/>')
        same.insert(max(n for n, each in enumerate(same) if kind(each) == "sequenceFlow"), child)
        return named(a, b) | {"drawn"}

    EDITS[f"{flow} from {source} to {target}"] = change


# ---- required attributes and references
for _kinds, _attribute in (
    ("sequenceFlow", "sourceRef"), ("sequenceFlow", "targetRef"), ("messageFlow", "sourceRef"), ("messageFlow", "targetRef"),
    ("boundaryEvent", "attachedToRef"), ("association", "targetRef"), ("association", "sourceRef"), ("resource", "name"),
    ("interface", "name"), ("operation", "name"), ("linkEventDefinition", "name"), ("definitions", "targetNamespace"),
    ("choreographyTask", "initiatingParticipantRef"), ("correlationSubscription", "correlationKeyRef"),
    ("correlationPropertyBinding", "correlationPropertyRef"), ("correlationPropertyRetrievalExpression", "messageRef"),
    ("resourceParameterBinding", "parameterRef"), ("conversationLink", "targetRef"),
    ("signalEventDefinition", "signalRef"), ("callActivity", "calledElement"), ("dataObjectReference", "dataObjectRef"),
):
    without(_kinds, _attribute, lambda each: not kind(each).endswith("EventDefinition") or kind(each.getparent()) != "definitions")
without(  # a message flow would name the message
    "messageEventDefinition", "messageRef", lambda each: kind(each.getparent()) != "definitions" and not any(
        each.getparent().get("id") in (flow.get("sourceRef"), flow.get("targetRef")) for flow in each.getroottree().iter(BPMN + "messageFlow")))
for _kinds, _attribute, _to in (
    ("sequenceFlow", "sourceRef", "#nobody"), ("sequenceFlow", "targetRef", "#nobody"), ("sequenceFlow", "targetRef", "lane"),
    ("sequenceFlow", "sourceRef", "dataObjectReference"), ("sequenceFlow", "targetRef", "textAnnotation"),
    ("sequenceFlow", "targetRef", "participant"), ("sequenceFlow", "sourceRef", "group"), ("sequenceFlow", "sourceRef", "sequenceFlow"),
    ("messageFlow", "sourceRef", "exclusiveGateway"), ("messageFlow", "targetRef", "parallelGateway"),
    ("messageFlow", "targetRef", "textAnnotation"), ("messageFlow", "sourceRef", "dataObject"), ("messageFlow", "targetRef", "lane"),
    ("messageFlow", "sourceRef", "#nobody"), ("messageFlow", "messageRef", "signal"), ("boundaryEvent", "attachedToRef", "startEvent"),
    ("boundaryEvent", "attachedToRef", "exclusiveGateway"), ("boundaryEvent", "attachedToRef", "#nobody"),
    ("boundaryEvent", "attachedToRef", "endEvent"), ("participant", "processRef", "startEvent"), ("participant", "processRef", "#nobody"),
    ("messageEventDefinition", "messageRef", "signal"), ("signalEventDefinition", "signalRef", "message"),
    ("errorEventDefinition", "errorRef", "escalation"), ("escalationEventDefinition", "escalationRef", "error"),
    ("receiveTask sendTask", "messageRef", "signal"), ("receiveTask sendTask", "messageRef", "#nobody"),
    ("serviceTask", "operationRef", "interface"), ("serviceTask", "operationRef", "message"), ("message", "itemRef", "message"),
    ("dataInput dataOutput", "itemSubjectRef", "message"), ("dataObject", "itemSubjectRef", "dataStore"),
    ("dataObjectReference", "dataObjectRef", "dataStore"), ("dataStoreReference", "dataStoreRef", "dataObject"),
    ("callActivity", "calledElement", "userTask"), ("correlationSubscription", "correlationKeyRef", "message"),
    ("correlationPropertyBinding", "correlationPropertyRef", "correlationKey"), ("group", "categoryValueRef", "category"),
    ("callConversation", "calledCollaborationRef", "choreography"), ("conversationLink", "sourceRef", "conversation"),
    ("conversationLink", "targetRef", "participant"), ("resourceParameterBinding", "parameterRef", "resource"),
    ("choreographyTask", "initiatingParticipantRef", "#C"), ("exclusiveGateway userTask", "default", "exclusiveGateway"),
    ("exclusiveGateway userTask", "default", "#nobody"),
):
    pointing(_kinds, _attribute, _to)
for _holder, _child, _to in (
    ("inputSet", "dataInputRefs", "dataOutput"), ("outputSet", "dataOutputRefs", "dataInput"), ("inputSet", "dataInputRefs", "#nobody"),
    ("operation", "inMessageRef", "signal"), ("operation", "outMessageRef", "itemDefinition"), ("conversation", "participantRef", "process"),
    ("conversation", "messageFlowRef", "message"), ("choreographyTask", "participantRef", "#nobody"),
    ("correlationKey", "correlationPropertyRef", "message"), ("dataInputAssociation", "targetRef", "dataOutput"),
    ("dataOutputAssociation", "sourceRef", "dataInput"), ("dataInputAssociation", "sourceRef", "message"),
    ("dataInputAssociation", "targetRef", "#in_w"), ("dataOutputAssociation", "sourceRef", "#out_w"),
    ("potentialOwner", "resourceRef", "message"), ("endEvent", "eventDefinitionRef", "message"),
    ("endEvent", "eventDefinitionRef", "#nobody"), ("multiInstanceLoopCharacteristics", "loopDataInputRef", "message"),
    ("multiInstanceLoopCharacteristics", "loopDataInputRef", "#obj"), ("participantAssociation", "outerParticipantRef", "#gP"),
    ("participantAssociation", "innerParticipantRef", "#P"), ("lane", "flowNodeRef", "#told"),
):
    naming(_holder, _child, _to)
for _holder, _child in (
    ("interface", "operation"), ("operation", "inMessageRef"), ("ioSpecification", "inputSet"), ("ioSpecification", "outputSet"),
    ("inputSet", "dataInputRefs"), ("outputSet", "dataOutputRefs"), ("dataInputAssociation", "targetRef"),
    ("correlationProperty", "correlationPropertyRetrievalExpression"), ("correlationPropertyRetrievalExpression", "messagePath"),
    ("correlationPropertyBinding", "dataPath"), ("correlationKey", "correlationPropertyRef"), ("potentialOwner", "resourceParameterBinding"),
    ("choreographyTask", "participantRef"), ("choreographyTask", "messageFlowRef"),
    ("timerEventDefinition", "timeDuration"), ("conditionalEventDefinition", "condition"), ("intermediateCatchEvent", "timerEventDefinition"),
    ("intermediateCatchEvent", "messageEventDefinition"), ("boundaryEvent", "errorEventDefinition"),
    ("task", "ioSpecification"), ("multiInstanceLoopCharacteristics", "loopCardinality"),
    ("multiInstanceLoopCharacteristics", "loopDataInputRef"),
):
    dropping(_holder, _child)

# ---- values
for _kinds, _attribute, _value in (
    ("userTask task", "startQuantity", "0"), ("userTask task", "completionQuantity", "-1"), ("task", "isForCompensation", "perhaps"),
    ("standardLoopCharacteristics", "loopMaximum", "0"), ("standardLoopCharacteristics", "loopMaximum", "many"),
    ("multiInstanceLoopCharacteristics", "behavior", "Some"),
    ("exclusiveGateway", "gatewayDirection", "Sideways"), ("parallelGateway", "gatewayDirection", "Mixed"),
    ("participantMultiplicity", "minimum", "3"), ("participantMultiplicity", "maximum", "0"), ("participantMultiplicity", "minimum", "-1"),
    ("process", "processType", "Secret"), ("process", "isExecutable", "perhaps"), ("process", "processType", "Public"),
    ("eventBasedGateway", "eventGatewayType", "Parallel"), ("eventBasedGateway", "eventGatewayType", "Both"),
    ("eventBasedGateway", "instantiate", "true"), ("association", "associationDirection", "Up"), ("dataObject", "isCollection", "perhaps"),
    ("itemDefinition", "itemKind", "Odd"), ("textAnnotation", "textFormat", "plain"), ("adHocSubProcess", "ordering", "Random"),
    ("sequenceFlow", "isImmediate", "false"), ("userTask", "colour", "red"), ("startEvent", "cancelActivity", "true"),
    ("receiveTask", "instantiate", "true"), ("dataObjectReference", "itemSubjectRef", "text"), ("transaction", "triggeredByEvent", "true"),
    ("callActivity", "triggeredByEvent", "true"), ("choreographyTask", "loopType", "Twice"), ("userTask", "triggeredByEvent", "1"),
):
    setting(_kinds, _attribute, _value)
setting("boundaryEvent", "cancelActivity", "false", lambda each: each.find(BPMN + "errorEventDefinition") is not None)
setting("boundaryEvent", "cancelActivity", "false", lambda each: each.find(BPMN + "compensateEventDefinition") is not None)
EDITS["cancelActivity=false of cancel"] = lambda page: _not_interrupting(page)
setting("multiInstanceLoopCharacteristics", "behavior", "One", lambda each: each.get("oneBehaviorEventRef") is None)
setting("subProcess", "triggeredByEvent", "false", lambda each: each.get("triggeredByEvent") == "true")


def _not_interrupting(page: Page) -> set[str]:
    found = page.one("boundaryEvent", lambda each: each.find(BPMN + "cancelEventDefinition") is not None)
    found.set("cancelActivity", "false")
    return named(found)


# ---- events where they may not be
def _in(scope: str, event_sub: bool = False) -> Callable[[Page, Element], bool]:
    def where(page: Page, each: Element) -> bool:
        around = page.scope(each)
        return kind(around) in scope.split() and (around.get("triggeredByEvent") == "true") == event_sub

    return where


trigger("startEvent", "error", "escalation", "compensate", "cancel", "terminate", "link", where=_in("process"))
trigger("startEvent", "message", "timer", "signal", "conditional", "error", where=_in("subProcess transaction"))
trigger("startEvent", "cancel", "terminate", "link", where=_in("subProcess", event_sub=True))
trigger("endEvent", "timer", "conditional", "link", where=_in("process"))
trigger("endEvent", "cancel", where=_in("process subProcess"))
trigger("intermediateCatchEvent", "error", "escalation", "compensate", "cancel", "terminate", where=_in("process"))
trigger("intermediateThrowEvent", "error", "timer", "conditional", "cancel", "terminate", where=_in("process"))
trigger("boundaryEvent", "terminate", "link", where=_in("process"))
EDITS["cancel boundary of a task"] = lambda page: _cancel_on_task(page)


def _cancel_on_task(page: Page) -> set[str]:
    found = page.one("boundaryEvent", lambda each: each.find(BPMN + "errorEventDefinition") is not None)
    found.replace(found.find(BPMN + "errorEventDefinition"), made("<cancelEventDefinition/>"))
    return named(found)


# ---- what may not stand there
standing("start", "adHocSubProcess", '<startEvent id="added"/>')
standing("end", "adHocSubProcess", '<endEvent id="added"/>')
standing("choreography", "process", '<choreographyTask id="added" initiatingParticipantRef="P"><participantRef>P</participantRef>'
         '<participantRef>Q</participantRef><messageFlowRef>mf</messageFlowRef></choreographyTask>')
standing("task", "choreography", '<task id="added"/>')
standing("message start", "choreography", '<startEvent id="added"><messageEventDefinition/></startEvent>')
standing("a lonely node", "process subProcess", '<task id="added"/>')
standing("an unknown element", "process", '<robotTask id="added"/>')
standing("an end without a way to it", "process", '<endEvent id="added"/>')
standing("a compensation activity for nothing", "process", '<task id="added" isForCompensation="true"/>')
standing("an ad-hoc sub-process without content", "process", '<adHocSubProcess id="added"/>')
standing("an event gateway with nothing to wait for", "process", '<eventBasedGateway id="added"/>')
standing("a participant", "process", '<participant id="added"/>')
standing("an event sub-process without start", "process", '<subProcess id="added" triggeredByEvent="true"><task id="t0"/></subProcess>')
adding("userTask task serviceTask", "<standardLoopCharacteristics/>", where=lambda each: each.find(BPMN + "multiInstanceLoopCharacteristics") is not None)
adding("task", '<multiInstanceLoopCharacteristics/>', where=lambda each: not any(kind(c).endswith("LoopCharacteristics") for c in each))
adding("task", '<standardLoopCharacteristics><loopCondition>5</loopCondition></standardLoopCharacteristics>',
       where=lambda each: not any(kind(c).endswith("LoopCharacteristics") for c in each))
adding("timerEventDefinition", "<timeDate>2026-12-01T00:00:00Z</timeDate>")
adding("globalConversation", '<conversation id="added"/>')
adding("globalConversation", '<textAnnotation id="added"/>')
adding("startEvent", "<incoming>x</incoming>", first=True)
adding("endEvent", "<outgoing>x</outgoing>", first=True)
adding("subProcess transaction", io("sp"), first=True)
adding("parallelGateway", '<script>1</script>')
adding("dataObject", '<dataState id="added" name="new"/>')
adding("potentialOwner", '<resourceAssignmentExpression><formalExpression>a</formalExpression></resourceAssignmentExpression>')
adding("definitions", '<task id="added"/>', first=True)
adding("definitions", '<import importType="word" location="a.doc" namespace="n"/>', first=True)
empty("conditionExpression")
empty("timeDuration")
empty("completionCondition")
joining("endEvent", NODES_OF_FLOW)
joining(NODES_OF_FLOW, "startEvent")
joining(NODES_OF_FLOW, "boundaryEvent")
joining("eventBasedGateway", "userTask task")


@edit
def conversation_of_nobody(page: Page) -> set[str]:
    found = page.one("conversation")
    for each in list(found):
        if kind(each) in ("participantRef", "messageFlowRef"):
            found.remove(each)
    return named(found)


@edit
def ad_hoc_sub_process_without_activities(page: Page) -> set[str]:
    found = page.one("adHocSubProcess")
    for each in list(found):
        if kind(each) in ACTIVITIES | {"sequenceFlow"}:
            found.remove(each)
    return named(found)


@edit
def another_way_to_what_an_event_gateway_waits_for(page: Page) -> set[str]:
    gateway = page.one("eventBasedGateway")
    waited = {flow.get("targetRef") for flow in page.flows(gateway, "sourceRef")}
    flow = page.one("sequenceFlow", lambda each: page.scope(each) is page.scope(gateway) and each.get("sourceRef") != gateway.get("id"))
    flow.set("targetRef", sorted(waited)[0])
    return waited


@edit
def duplicate_id(page: Page) -> set[str]:
    one = page.one(NODES_OF_FLOW)
    other = page.one(HAS_EVENTS)
    other.set("id", one.get("id"))
    return named(one)


@edit
def flow_into_a_sub_process(page: Page) -> set[str]:
    inner = page.one(" ".join(TASKS), lambda each: kind(page.scope(each)) in ("subProcess", "transaction"))
    flow = page.one("sequenceFlow", lambda each: page.scope(each) is page.scope(page.scope(inner)))
    flow.set("targetRef", inner.get("id"))
    return named(flow)


@edit
def flow_between_pools(page: Page) -> set[str]:
    flow = page.one("sequenceFlow", lambda each: kind(page.scope(each)) == "process")
    other = page.one(" ".join(TASKS), lambda each: kind(page.scope(each)) == "process" and page.scope(each) is not page.scope(flow))
    flow.set("targetRef", other.get("id"))
    return named(flow)


@edit
def message_flow_within_a_pool(page: Page) -> set[str]:
    flow = page.one("messageFlow", lambda each: each.getparent().tag == BPMN + "collaboration")
    own = page.one(" ".join(TASKS), lambda each: kind(page.scope(each)) == "process")
    other = page.one(" ".join(TASKS), lambda each: each is not own and page.scope(each) is page.scope(own))
    flow.set("sourceRef", own.get("id"))
    flow.set("targetRef", other.get("id"))
    return named(flow)


@edit
def message_flow_to_what_sends(page: Page) -> set[str]:
    flow, target = page.one("messageFlow"), page.one("endEvent intermediateThrowEvent", lambda each: kind(page.scope(each)) == "process")
    flow.set("targetRef", target.get("id"))
    return named(flow)


@edit
def message_flow_from_what_receives(page: Page) -> set[str]:
    flow, source = page.one("messageFlow"), page.one("startEvent receiveTask", lambda each: kind(page.scope(each)) == "process")
    flow.set("sourceRef", source.get("id"))
    return named(flow)


@edit
def node_without_a_way_to_it(page: Page) -> set[str]:
    node = page.one(" ".join(TASKS), lambda each: len(page.flows(each, "targetRef")) == 1 and kind(page.scope(each)) == "process")
    flow = page.flows(node, "targetRef")[0]
    names = named(node) | {flow.get("sourceRef")}
    flow.getparent().remove(flow)
    return names


@edit
def start_that_leads_nowhere(page: Page) -> set[str]:
    node = page.one("startEvent", lambda each: len(page.flows(each, "sourceRef")) == 1)
    flow = page.flows(node, "sourceRef")[0]
    names = named(node) | {flow.get("targetRef")}
    flow.getparent().remove(flow)
    return names


@edit
def boundary_event_that_leads_nowhere(page: Page) -> set[str]:
    node = page.one("boundaryEvent", lambda each: page.flows(each, "sourceRef"))
    for flow in page.flows(node, "sourceRef"):
        flow.getparent().remove(flow)
    return named(node)


@edit
def boundary_event_in_another_scope(page: Page) -> set[str]:
    found = page.one("boundaryEvent", lambda each: kind(page.scope(each)) == "process")
    page.one("subProcess transaction").insert(0, found)
    return named(found)


@edit
def process_without_a_start(page: Page) -> set[str]:
    found = page.one("startEvent", lambda each: kind(page.scope(each)) == "process")
    scope = page.scope(found)
    for each in [*page.all("startEvent", lambda each: page.scope(each) is scope)]:
        for flow in page.flows(each, "sourceRef"):
            flow.getparent().remove(flow)
        each.getparent().remove(each)
    return named(scope)


@edit
def condition_behind_an_event_gateway(page: Page) -> set[str]:
    gateway = page.one("eventBasedGateway")
    page.flows(gateway, "sourceRef")[0].append(made("<conditionExpression>true</conditionExpression>"))
    return named(gateway)


@edit
def event_gateway_with_one_way(page: Page) -> set[str]:
    gateway = page.one("eventBasedGateway")
    for flow in page.flows(gateway, "sourceRef")[1:]:
        flow.getparent().remove(flow)
    return named(gateway)


@edit
def boundary_event_behind_an_event_gateway(page: Page) -> set[str]:
    gateway = page.one("eventBasedGateway")
    target = page.one("intermediateCatchEvent", lambda each: each.get("id") == page.flows(gateway, "sourceRef")[0].get("targetRef"))
    target.tag = BPMN + "receiveTask"
    for child in list(target):
        if kind(child).endswith("EventDefinition"):
            target.remove(child)
    other = page.scope(gateway)
    other.insert(0, made(f'<boundaryEvent id="added" attachedToRef="{target.get("id")}"><timerEventDefinition><timeDuration>P1D'
                         "</timeDuration></timerEventDefinition></boundaryEvent>"))
    return named(target) | {"added"}


@edit
def default_flow_of_another(page: Page) -> set[str]:
    node = page.one("exclusiveGateway inclusiveGateway userTask task", lambda each: page.flows(each, "sourceRef"))
    node.set("default", page.one("sequenceFlow", lambda each: each.get("id") and each.get("sourceRef") != node.get("id")).get("id"))
    return named(node)


@edit
def default_flow_of_a_parallel_gateway(page: Page) -> set[str]:
    node = page.one(
        "parallelGateway eventBasedGateway startEvent", lambda each: any(flow.get("id") for flow in page.flows(each, "sourceRef")))
    node.set("default", page.flows(node, "sourceRef")[0].get("id"))
    return named(node)


@edit
def branch_without_condition(page: Page) -> set[str]:
    found = page.one("conditionExpression", lambda each: True)
    flow = found.getparent()
    source = page.one("exclusiveGateway", lambda each: each.get("id") == flow.get("sourceRef"))
    flow.remove(found)
    return named(source, flow)


@edit
def lonely_conditional_flow(page: Page) -> set[str]:
    node = page.one(" ".join(TASKS), lambda each: len(page.flows(each, "sourceRef")) == 1)
    flow = page.flows(node, "sourceRef")[0]
    flow.append(made("<conditionExpression>1 = 1</conditionExpression>"))
    return named(node, flow)


@edit
def link_without_its_other_end(page: Page) -> set[str]:
    found = page.one("linkEventDefinition")
    found.set("name", "elsewhere")
    return named(*page.all("intermediateThrowEvent intermediateCatchEvent", lambda each: each.find(BPMN + "linkEventDefinition") is not None))


@edit
def link_with_a_flow_on_the_wrong_side(page: Page) -> set[str]:
    thrown = page.one("intermediateThrowEvent", lambda each: each.find(BPMN + "linkEventDefinition") is not None)
    flow = page.flows(thrown, "targetRef")[0]
    flow.set("targetRef", page.one("intermediateCatchEvent", lambda each: each.find(BPMN + "linkEventDefinition") is not None).get("id"))
    return named(thrown) | {flow.get("targetRef")}


@edit
def compensation_with_a_flow(page: Page) -> set[str]:
    handler = page.one("task", lambda each: each.get("isForCompensation") == "true")
    page.one("sequenceFlow", lambda each: page.scope(each) is page.scope(handler)).set("targetRef", handler.get("id"))
    return named(handler)


@edit
def compensation_without_a_handler(page: Page) -> set[str]:
    undo = page.one("boundaryEvent", lambda each: each.find(BPMN + "compensateEventDefinition") is not None)
    ends = ("sourceRef", "targetRef")
    for each in page.all("association", lambda each: undo.get("id") in [each.get(side) for side in ends]):
        each.getparent().remove(each)
    return named(undo)


@edit
def compensation_handler_without_its_mark(page: Page) -> set[str]:
    handler = page.one("task", lambda each: each.get("isForCompensation") == "true")
    del handler.attrib["isForCompensation"]
    return named(handler, *page.all("boundaryEvent", lambda each: each.find(BPMN + "compensateEventDefinition") is not None))


@edit
def event_sub_process_with_a_flow(page: Page) -> set[str]:
    handler = page.one("subProcess", lambda each: each.get("triggeredByEvent") == "true")
    page.one("sequenceFlow", lambda each: page.scope(each) is page.scope(handler)).set("targetRef", handler.get("id"))
    return named(handler)


@edit
def event_sub_process_with_two_starts(page: Page) -> set[str]:
    handler = page.one("subProcess", lambda each: each.get("triggeredByEvent") == "true")
    again = made('<startEvent id="added"><messageEventDefinition messageRef="order"/></startEvent>')
    handler.insert(0, again)
    return named(handler, again)


@edit
def called_process_without_a_plain_start(page: Page) -> set[str]:
    activity = page.one("callActivity")
    called = page.one("process", lambda each: each.get("id") == activity.get("calledElement"))
    for found in called.findall(BPMN + "startEvent"):
        found.append(made("<signalEventDefinition/>"))
    return named(activity)


@edit
def gateway_marked_the_wrong_way(page: Page) -> set[str]:
    gateway = page.one(" ".join(GATEWAYS), lambda each: len(page.flows(each, "sourceRef")) > 1)
    gateway.set("gatewayDirection", "Converging")
    return named(gateway)


@edit
def children_in_the_wrong_order(page: Page) -> set[str]:
    flow = page.one(HAS_EVENTS, lambda each: any(kind(child).endswith("EventDefinition") for child in each))
    flow.append(made("<documentation>late</documentation>"))
    return named(flow)


@edit
def item_of_another_type(page: Page) -> set[str]:
    found = page.one("dataObject", lambda each: each.get("itemSubjectRef"))
    found.set("isCollection", "true" if found.get("isCollection") != "true" else "false")
    return named(found)


# ------------------------------------------------------------------------------------------------------------------ the test
def valid() -> Iterator[tuple[str, bytes]]:
    """Diagrams of this project and of others that are refused for nothing."""
    yield "everything", EVERYTHING
    for path in sorted((ROOT / "processes").rglob("*.bpmn"))[::6]:
        yield path.stem, path.read_bytes()
    for each in json.loads((CONFORMANCE / "betsy.json").read_text("utf-8"))["tests"][::4]:
        yield each["id"], (CONFORMANCE / "files/betsy" / each["file"]).read_bytes()
    for path in sorted((CONFORMANCE / "files/camunda").rglob("*.bpmn*"))[::6]:
        yield path.name, path.read_bytes()


def refused(data: bytes) -> dict[str, set[str]]:
    """Return ``{rule: elements that it names}`` of what forbids deployment."""
    told: dict[str, set[str]] = {}
    for finding in check({"a.bpmn": data}, CheckContext(policy=FOREIGN)):
        if finding.severity is not Severity.WARNING:
            told.setdefault(finding.rule, set()).add(finding.element or "")
    return told


PAGES = [(name, data) for name, data in valid() if not refused(data)]


def test_the_diagrams_to_edit_are_valid():
    assert PAGES[0][0] == "everything"
    assert len(PAGES) > 30


@pytest.mark.parametrize("name", EDITS)
def test_edit_that_the_standard_forbids_is_refused_and_named(name):
    chance, tried = random.Random(name), 0

    for page_name, data in [PAGES[0], *chance.sample(PAGES[1:], len(PAGES) - 1)]:
        if tried == 3:
            break
        page = Page(data, chance)
        try:
            elements = EDITS[name](page)
        except (LookupError, ValueError):
            continue  # there is nothing of that kind to edit
        tried += 1
        told = refused(etree.tostring(page.root))
        assert told, (page_name, elements)
        assert elements & set().union(*told.values()), (page_name, elements, told)

    assert tried
