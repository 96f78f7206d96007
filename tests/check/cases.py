"""For each rule the smallest diagram that breaks it and the smallest change that keeps it: ``{rule: (bad, good)}``."""

from dataclasses import dataclass, field

from engine.bpmn.check import CheckContext
from tests.bpmn.build import (
    CANCEL,
    COMPENSATE,
    NAMESPACES,
    TERMINATE,
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
    properties,
    receive,
    script,
    service,
    start,
    sub,
    task,
    throw,
    timer,
    undone_by,
    user,
)

EXT = "<extensionElements>{}</extensionElements>"


@dataclass
class Case:
    """A diagram, with files beside it and the context that the rule needs."""

    xml: bytes
    context: CheckContext = field(default_factory=CheckContext)
    beside: dict[str, bytes] = field(default_factory=dict)


def one(*parts: str, top: str = "", **attributes: str) -> Case:
    """A single executable process: ``s``, the parts, ``e``."""
    return Case(diagram(top, process(*parts, **attributes)))


def line(*parts: str, id: str = "x", top: str = "") -> Case:
    """start > x > end around the given parts."""
    return one(start(), *parts, end(), f"s>{id}", f"{id}>e", top=top)


def checks(*flows: str, a: str = "", b: str = "", **context: object) -> Case:
    """Two parallel user tasks, the first blind until the second."""
    return knowing(one(
        start(), parallel("f"), user("x", properties(blindUntil="y") + a, camunda_formKey="p.x"), user("y", b, camunda_formKey="p.y"),
        parallel("j"), end(), *(flows or ("s>f", "f>x", "f>y", "x>j", "y>j", "j>e"))), **context)


def knowing(case: Case, **context: object) -> Case:
    return Case(case.xml, CheckContext(**context), case.beside)


def closed(case: Case, **context: object) -> Case:
    """A world without forms, decisions and handlers other than those given: all that is written is known."""
    return knowing(case, **{"form_names": {}, "decision_names": {}, "job_outputs": {}, **context})


def raw(text: str) -> Case:
    return Case(text.encode())


def fork(*parts: str, **flows: str) -> Case:
    """start > g (exclusive) > a, b > e; `flows`: texts after ``g>a`` and ``g>b``."""
    a, b = flows.get("a", ": x = 1"), flows.get("b", "!")
    return one(start(), *(parts or (exclusive("g"),)), task("a"), task("b"), end(), "s>g", f"g>a{a}", f"g>b{b}", "a>e", "b>e")


def waits(*targets: str, gateway: str = "", flows: tuple[str, ...] = ()) -> Case:
    """start > event-based gateway > targets ``w0 w1 …`` > end."""
    ids = [f"w{n}" for n in range(len(targets))]
    ties = [tie for id in ids for tie in (f"g>{id}", f"{id}>e")]
    return one(start(), gateway or events("g"), *targets, end(), "s>g", *ties, *flows)


def pools(message_flow: str, *more: str, left: str = "", right: str = "") -> Case:
    """Two pools, ``p`` and ``q``."""
    first = process(*([left] if left else [start(), user("a"), throw("t", event("message", "mA")), end(), "s>a", "a>t", "t>e"]))
    second = process(
        *([right] if right else [start("s2"), receive("b", "mA"), task("k"), end("e2"), "s2>b", "b>k", "k>e2"]), id="q")
    return Case(diagram(
        f'<collaboration id="c"><participant id="P" processRef="p"/><participant id="Q" processRef="q"/>{message_flow}'
        f'{"".join(more)}</collaboration>', first, second))


def message_flow(source: str, target: str, id: str = "m", message: str = "") -> str:
    carried = f' messageRef="{message}"' if message else ""
    return f'<messageFlow id="{id}" sourceRef="{source}" targetRef="{target}"{carried}/>'


def keyed(*paths: str) -> Case:
    """A process with a correlation key of one property."""
    case = pools("", '<correlationKey id="k"><correlationPropertyRef>cp</correlationPropertyRef></correlationKey>', left="".join((
        start(), task("t"), end(), '<sequenceFlow id="f1" sourceRef="s" targetRef="t"/><sequenceFlow id="f2" sourceRef="t" targetRef="e"/>')))
    retrievals = "".join(
        f'<correlationPropertyRetrievalExpression messageRef="mA"><messagePath>{path}</messagePath></correlationPropertyRetrievalExpression>'
        for path in paths)
    return Case(case.xml.replace(b"<collaboration", f'<correlationProperty id="cp">{retrievals}</correlationProperty><collaboration'.encode(), 1))


def typed(first: str, second: str) -> Case:
    """A message of one name, declared twice."""
    case = pools(message_flow("t", "b"), right="".join((
        start("s2"), receive("b", "mA2"), end("e2"), '<sequenceFlow id="g1" sourceRef="s2" targetRef="b"/><sequenceFlow id="g2" sourceRef="b" targetRef="e2"/>')))
    xml = case.xml.replace(b'<message id="mA" name="mA"/>', f'{ITEMS}<message id="mA" name="mA" itemRef="{first}"/><message id="mA2" name="mA" itemRef="{second}"/>'.encode())
    return Case(xml)


def unnamed_between(*messages: str) -> Case:
    """A receive task without a message, with a flow for each of these."""
    flows = [message_flow("t", "b", f"m{n}", message) for n, message in enumerate(messages)]
    case = pools(*flows, left="".join((
        start(), throw("t", event("message")), end(), '<sequenceFlow id="f1" sourceRef="s" targetRef="t"/><sequenceFlow id="f2" sourceRef="t" targetRef="e"/>')),
        right="".join((start("s2"), catch("b", event("message")), end("e2"), '<sequenceFlow id="g1" sourceRef="s2" targetRef="b"/><sequenceFlow id="g2" sourceRef="b" targetRef="e2"/>')))
    return case


ITEMS = '<itemDefinition id="i1" structureRef="A"/><itemDefinition id="i2" structureRef="B"/>' \
        '<itemDefinition id="ic" structureRef="A" isCollection="true"/>'


def io(inner: str) -> str:
    return f"<ioSpecification>{inner}</ioSpecification>"


SETS = "<inputSet/><outputSet/>"


def in_out(item: str = "i1") -> str:
    return io(f'<dataInput id="di" itemSubjectRef="{item}"/><inputSet id="is"><dataInputRefs>di</dataInputRefs></inputSet>'
              '<outputSet id="os"/>')


def data_input(source: str, target: str = "di", more: str = "") -> str:
    sources = "".join(f"<sourceRef>{each}</sourceRef>" for each in source.split())
    return f'<dataInputAssociation id="da">{sources}<targetRef>{target}</targetRef>{more}</dataInputAssociation>'


RESOURCE = '<resource id="r" name="r"><resourceParameter id="rp" name="rp" isRequired="true"/></resource>'
CONVERSATION = '<conversation id="cv"><participantRef>P</participantRef><participantRef>Q</participantRef></conversation>'

FOLLOWED = (
    '<choreographyTask id="ct2" initiatingParticipantRef="{0}"><participantRef>B</participantRef><participantRef>C</participantRef>'
    '<messageFlowRef>cm2</messageFlowRef></choreographyTask><sequenceFlow id="cf" sourceRef="ct" targetRef="ct2"/>'
)


def drawn(shape: str, element: str) -> Case:
    """A diagram with a picture of one element."""
    picture = (
        '<d:BPMNDiagram xmlns:d="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:c="http://www.omg.org/spec/DD/20100524/DC" id="dd">'
        f'<d:BPMNPlane id="dp" bpmnElement="p"><d:{shape} id="ds" bpmnElement="{element}"><c:Bounds x="0" y="0" width="1" '
        f'height="1"/></d:{shape}></d:BPMNPlane></d:BPMNDiagram>')
    return raw(line(task("x")).xml.decode().replace("</definitions>", f"{picture}</definitions>"))


def called_conversation(inner: str, outer: str) -> str:
    return (f'<callConversation id="cc" calledCollaborationRef="gc"><participantRef>P</participantRef><participantRef>Q'
            f'</participantRef><participantAssociation id="pa"><innerParticipantRef>{inner}</innerParticipantRef>'
            f'<outerParticipantRef>{outer}</outerParticipantRef></participantAssociation></callConversation></collaboration>'
            '<globalConversation id="gc"><participant id="gP"/></globalConversation><collaboration id="more">')


def correlated(read: str) -> Case:
    """Two pools that correlate the message mA by a property read from the given message."""
    return pools('<messageFlow id="m" sourceRef="t" targetRef="b" messageRef="mA"/>',
                 '<correlationKey id="k"><correlationPropertyRef>cp</correlationPropertyRef></correlationKey></collaboration>'
                 f'<correlationProperty id="cp"><correlationPropertyRetrievalExpression messageRef="{read}"><messagePath>a'
                 '</messagePath></correlationPropertyRetrievalExpression></correlationProperty><collaboration id="more">')


def subscribed(*bound: str) -> Case:
    bindings = "".join(f'<correlationPropertyBinding correlationPropertyRef="{each}"><dataPath>a</dataPath>'
                       "</correlationPropertyBinding>" for each in bound)
    subscription = f'<correlationSubscription id="cs" correlationKeyRef="k">{bindings}</correlationSubscription></process>'
    return raw(correlated("mA").xml.decode().replace("</process>", subscription, 1))


def choreographed(initiator: str, inner: str = "") -> str:
    return ('<choreography id="ch"><participant id="A"/><participant id="B"/><participant id="C"/>'
            '<messageFlow id="cm" sourceRef="A" targetRef="B"/>'
            f'<choreographyTask id="ct" initiatingParticipantRef="{initiator}"><participantRef>A</participantRef>'
            f"<participantRef>B</participantRef><messageFlowRef>cm</messageFlowRef></choreographyTask>{inner}</choreography>")


TYPED = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="tFormalExpression"'


def assigned(value: str, to: str) -> str:
    return f"<assignment><from {TYPED}>{value}</from><to {TYPED}>{to}</to></assignment>"


OBJECTS = '<dataObject id="o1" itemSubjectRef="i1"/><dataObject id="o2" itemSubjectRef="i2"/>'
OPERATION = (
    '<message id="min" name="in" itemRef="i1"/><message id="mother" name="other" itemRef="i2"/><interface id="if" name="if">'
    '<operation id="op" name="op"><inMessageRef>min</inMessageRef></operation></interface>'
)
LINK = '<linkEventDefinition name="{}"/>'
CALLS_BOTH = (call("bid", "psm050_bidding"), call("talk", "psm060_negotiation"))
COMPENSATED = (task("x"), undone_by("x", "u"), task("u", isForCompensation="true"))


def bid(*parts: str) -> Case:
    return one(start(), *CALLS_BOTH, end(), *parts)


CASES: dict[str, tuple[Case, Case]] = {
    # -------------------------------------------------------------------------------------------------------------- the file
    "XML-SCHEMA": (line(task("x"), "<foo/>"), line(task("x"))),
    "XML-PREFIX": (
        raw(diagram(process(start(), task("x"), end(), "s>x", "x>e")).decode().replace("<task ", '<task other:a="1" ')),
        line(task("x"))),
    "XML-BOOLEAN": (
        line(task("x"), sub("y", start("i"), triggeredByEvent="1")), line(task("x"))),
    "BPMN-ID": (line(task("x"), task("x")), line(task("x"))),
    "BPMN-ID-FORM": (one(start(), task("1x"), end(), "s>1x", "1x>e"), line(task("x"))),
    "BPMN-ID-NONE": (one(start(), "<task/>", end(), "s>e"), line(task("x"))),
    "BPMN-EXECUTABLE": (
        raw(f'<definitions {NAMESPACES}><process id="p"/></definitions>'), line(task("x"))),
    "PROCESS-TWICE": (
        Case(line(task("x")).xml, beside={"b.bpmn": line(task("x")).xml}),
        Case(line(task("x")).xml, beside={"b.bpmn": diagram(process(start(), id="other"))})),
    "PROCESS-EMPTY": (one(), line(task("x"))),
    "IMPORT": (
        line(task("x"), top='<import importType="http://www.w3.org/2001/XMLSchema" location="a.xsd" namespace="n"/>'),
        line(task("x"))),
    "DI-REF": (drawn("BPMNShape", "nobody"), drawn("BPMNShape", "x")),
    "EXTENSION-MUST": (
        line(task("x"), top='<extension xmlns:v="urn:v" definition="v:all" mustUnderstand="true"/>'),
        line(task("x"), top='<extension xmlns:v="urn:v" definition="v:all" mustUnderstand="false"/>')),
    "IMPORT-TYPE": (
        line(task("x"), top='<import importType="http://www.w3.org/TR/wsdl20/" location="a.xsd" namespace="n"/>'),
        line(task("x"), top='<import importType="http://www.w3.org/2001/XMLSchema" location="a.xsd" namespace="n"/>')),
    # ----------------------------------------------------------------------------------------------------------- references
    "BPMN-REF": (
        one(start(), end(), '<sequenceFlow id="f" sourceRef="s" targetRef="nobody"/>'), one(start(), end(), "s>e")),
    "BPMN-REF-CODE": (one(start(), end(inner=event("error", "E42")), "s>e"), one(start(), end(inner=event("error", "eA")), "s>e")),
    "BPMN-REF-LOOSE": (
        one(start(), end(), "s>e", '<laneSet id="l"><lane id="l1"><flowNodeRef>gone</flowNodeRef></lane></laneSet>'),
        one(start(), end(), "s>e", '<laneSet id="l"><lane id="l1"><flowNodeRef>s</flowNodeRef></lane></laneSet>')),
    "BPMN-REF-TWICE": (
        one(start(), end(), "s>e", '<laneSet id="l"><lane id="l1"><flowNodeRef>s</flowNodeRef><flowNodeRef>s</flowNodeRef></lane></laneSet>'),
        one(start(), end(), "s>e", '<laneSet id="l"><lane id="l1"><flowNodeRef>s</flowNodeRef></lane></laneSet>')),
    "BPMN-REF-TYPE": (
        one(start(), end(inner=event("error", "mA")), "s>e"), one(start(), end(inner=event("error", "eA")), "s>e")),
    "BPMN-REF-FLOWLIST": (
        one(start(inner="<outgoing>a_e</outgoing>"), task("a"), end(), "s>a", "a>e"),
        one(start(inner="<outgoing>s_e</outgoing>"), end(inner="<incoming>s_e</incoming>"), "s>e")),
    # ---------------------------------------------------------------------------------------------------------------- flows
    "FLOW-BORDER": (
        one(start(), sub("x", start("i"), end("j"), "i>j"), end(), "s>i", "x>e"),
        line(sub("x", start("i"), end("j"), "i>j"))),
    "FLOW-DEFAULT": (fork(exclusive("g", default="a_e"), b=": y = 1"), fork()),
    "FLOW-DEFAULT-COND": (fork(b="!: x = 2"), fork()),
    "FLOW-DEFAULT-OWNER": (
        one(start(), element("parallelGateway", "g", default="g_a"), task("a"), end(), "s>g", "g>a", "a>e"), fork()),
    "FLOW-COND-LONELY": (one(start(), task("x"), end(), "s>x", "x>e: a = 1"), line(task("x"))),
    "FLOW-COND-PLACE": (waits(catch("w0", event("message", "mA")), flows=("g>w0: a = 1",)),
                        waits(catch("w0", event("message", "mA")))),
    "FLOW-COND-EMPTY": (
        raw(fork().xml.decode().replace("x = 1", " ")), fork()),
    "FLOW-IN-MISSING": (line(task("x"), task("y"), "y>e"), line(task("x"))),
    "FLOW-OUT-MISSING": (line(task("x"), task("y"), "x>y"), line(task("x"))),
    "FLOW-IMMEDIATE": (
        one(start(), end(), '<sequenceFlow id="f" sourceRef="s" targetRef="e" isImmediate="false"/>'),
        one(start(), end(), "s>e")),
    "FLOW-LABEL": (
        fork(),
        raw(fork().xml.decode().replace('id="g_a"', 'id="g_a" name="yes"').replace('id="g_b"', 'id="g_b" name="no"'))),
    "FLOW-DEFAULT-BAD": (
        one(start(), exclusive("g"), end("won"), end("lost", inner=properties(outcome="lost")), "s>g", "g>won: x = 1", "g>lost!"),
        one(start(), exclusive("g"), end("won"), end("lost", inner=properties(outcome="lost")), "s>g", "g>won!", "g>lost: x = 1")),
    "FLOW-UNREACHABLE": (line(task("x"), task("y"), task("z"), "y>z", "z>y"), line(task("x"))),
    "FLOW-NO-EXIT": (
        one(start(), user("x"), task("y"), end(), "s>x", "x>y", "y>x"),
        one(start(), user("x"), exclusive("g"), end(), "s>x", "x>g", "g>x: a = 1", "g>e!")),
    "FLOW-DEADLOCK": (
        one(start(), exclusive("g"), parallel("j"), end(), task("a"), task("b"), "s>g", "g>a: x = 1", "g>b!", "a>j", "b>j", "j>e"),
        one(start(), parallel("g"), parallel("j"), end(), task("a"), task("b"), "s>g", "g>a", "g>b", "a>j", "b>j", "j>e")),
    "FLOW-STARVED": (
        one(start(), parallel("j"), end(), task("a"), exclusive("y"), exclusive("z"), "s>a", "a>j", "y>z", "z>y", "z>j", "j>e"),
        one(start(), parallel("g"), parallel("j"), end(), "s>g", "g>j", "g>j", "j>e")),
    "FLOW-MERGE-TWICE": (
        one(start(), parallel("g"), task("a"), task("b"), task("c"), end(), "s>g", "g>a", "g>b", "a>c", "b>c", "c>e"),
        one(start(), parallel("g"), task("a"), task("b"), parallel("j"), end(), "s>g", "g>a", "g>b", "a>j", "b>j", "j>e")),
    "FLOW-ENDLESS": (
        one(start(), task("a"), task("b"), end(), "s>a", "a>b", "b>a", "a>e"),
        one(start(), task("a"), user("b"), end(), "s>a", "a>b", "b>a", "a>e")),
    # ------------------------------------------------------------------------------------------------------------- gateways
    "GW-DIRECTION": (fork(exclusive("g", gatewayDirection="Converging")), fork(exclusive("g", gatewayDirection="Diverging"))),
    "GW-USELESS": (line(exclusive("x")), fork()),
    "GW-CONDITION": (fork(b=""), fork()),
    "GW-NODEFAULT": (fork(b=": y = 2"), fork(b=": x = 2")),
    "GW-COMPLEX": (
        one(start(), parallel("f"), element("complexGateway", "x"), end(), "s>f", "f>x", "f>x", "x>e"),
        one(start(), parallel("f"),
            element("complexGateway", "x", "<activationCondition>activationCount = 1</activationCondition>"),
            end(), "s>f", "f>x", "f>x", "x>e")),
    "GW-EVENT-COUNT": (
        waits(catch("w0", event("message", "mA"))),
        waits(catch("w0", event("message", "mA")), catch("w1", timer("timeDuration", "P1D")))),
    "GW-EVENT-TARGET": (
        waits(catch("w0", event("message", "mA")), task("w1")),
        waits(catch("w0", event("message", "mA")), catch("w1", timer("timeDuration", "P1D")))),
    "GW-EVENT-IN": (
        waits(catch("w0", event("message", "mA")), task("t"), flows=("t>w0",)), waits(catch("w0", event("message", "mA")))),
    "GW-EVENT-MIX": (
        waits(catch("w0", event("message", "mA")), receive("w1", "mB")),
        waits(receive("w0", "mA"), receive("w1", "mB"))),
    "GW-EVENT-BOUNDARY": (
        waits(receive("w0", "mA"), boundary("b", "w0", timer("timeDuration", "P1D"))), waits(receive("w0", "mA"))),
    "GW-EVENT-START": (
        waits(receive("w0", "mA"), gateway=element("eventBasedGateway", "g", eventGatewayType="Parallel")),
        waits(receive("w0", "mA"))),
    # --------------------------------------------------------------------------------------------------------------- events
    "EV-START-KIND": (one(start(inner=event("error", "eA")), end(), "s>e"), one(start(inner=event("message", "mA")), end(), "s>e")),
    "EV-START-CONDITION": (
        one(start("s", condition("v > 1")), end(), "s>e"),
        one(start(), task("x"), end(), "s>x", "x>e", event_sub("h", start("i", condition("v > 1")), end("j"), "i>j"))),
    "EV-NONE-STARTS": (
        one(start("s"), start("i"), end(), "s>e", "i>e"), one(start("s"), start("i", event("message", "mA")), end(), "s>e", "i>e")),
    "EV-SUB-START": (
        line(sub("x", start("i", event("message", "mA")), end("j"), "i>j")), line(sub("x", start("i"), end("j"), "i>j"))),
    "EV-SUB-STARTS": (
        line(sub("x", start("i"), start("k"), end("j"), "i>j", "k>j")), line(sub("x", start("i"), end("j"), "i>j"))),
    "EV-ESP-START": (
        line(task("x"), event_sub("h", start("i"), end("j"), "i>j")),
        line(task("x"), event_sub("h", start("i", event("error", "eA")), end("j"), "i>j"))),
    "EV-ESP-FLOW": (
        line(task("x"), event_sub("h", start("i", event("error", "eA")), end("j"), "i>j"), "x>h"),
        line(task("x"), event_sub("h", start("i", event("error", "eA")), end("j"), "i>j"))),
    "EV-START-IN": (line(task("x"), "x>s"), line(task("x"))),
    "EV-START-OUT": (one(start(), end()), one(start(), end(), "s>e")),
    "EV-END-OUT": (line(task("x"), "e>x"), line(task("x"))),
    "EV-END-KIND": (
        one(start(), end(inner=timer("timeDuration", "P1D")), "s>e"), one(start(), end(inner=TERMINATE), "s>e")),
    "EV-NO-START": (one(task("x"), end(), "x>e"), line(task("x"))),
    "EV-NO-END": (one(start(), task("x"), "s>x"), line(task("x"))),
    "EV-CANCEL-END": (
        one(start(), end(inner=CANCEL), "s>e"),
        line(sub("x", start("i"), end("j", CANCEL), "i>j", tag="transaction"), boundary("b", "x", CANCEL), "b>e")),
    "EV-CANCEL-BOUNDARY": (
        line(task("x"), boundary("b", "x", CANCEL), "b>e"),
        line(sub("x", start("i"), end("j", CANCEL), "i>j", tag="transaction"), boundary("b", "x", CANCEL), "b>e")),
    "EV-CANCEL-NONE": (
        line(sub("x", start("i"), end("j", CANCEL), "i>j", tag="transaction")),
        line(sub("x", start("i"), end("j", CANCEL), "i>j", tag="transaction"), boundary("b", "x", CANCEL), "b>e")),
    "EV-BOUNDARY-KIND": (
        line(task("x"), boundary("b", "x", TERMINATE), "b>e"), line(task("x"), boundary("b", "x", event("error", "eA")), "b>e")),
    "EV-BOUNDARY-IN": (
        line(task("x"), task("y"), boundary("b", "x", event("error", "eA")), "b>e", "y>b"),
        line(task("x"), boundary("b", "x", event("error", "eA")), "b>e")),
    "EV-BOUNDARY-OUT": (
        line(task("x"), boundary("b", "x", event("error", "eA"))),
        line(task("x"), boundary("b", "x", event("error", "eA")), "b>e")),
    "EV-BOUNDARY-HOST": (
        line(sub("x", start("i"), task("y"), end("j"), "i>y", "y>j"), boundary("b", "y", event("error", "eA")), "b>e"),
        line(task("x"), boundary("b", "x", event("error", "eA")), "b>e")),
    "EV-BOUNDARY-ESP": (
        line(task("x"), event_sub("h", start("i", event("error", "eA")), end("j"), "i>j"),
             boundary("b", "h", event("error", "eA")), "b>e"),
        line(task("x"), boundary("b", "x", event("error", "eA")), "b>e")),
    "EV-COMP-BOUNDARY": (
        line(task("x"), boundary("b", "x", COMPENSATE, cancelActivity="false")), line(*COMPENSATED)),
    "EV-COMP-OUT": (line(task("x"), boundary("b", "x", COMPENSATE), "b>e"), line(*COMPENSATED)),
    "EV-COMP-HANDLER": (line(task("x"), undone_by("x", "u"), task("u")), line(*COMPENSATED)),
    "EV-COMP-NONE": (line(task("x"), boundary("b", "x", COMPENSATE)), line(*COMPENSATED)),
    "EV-COMP-LONELY": (line(task("x"), task("u", isForCompensation="true")), line(*COMPENSATED)),
    "EV-COMP-MANY": (
        line(*COMPENSATED, task("v", isForCompensation="true"), '<association id="as" sourceRef="undo_x" targetRef="v"/>'),
        line(*COMPENSATED)),
    "EV-COMP-FLOW": (line(*COMPENSATED, "u>e"), line(*COMPENSATED)),
    "EV-COMP-TARGET": (
        one(start(), task("x"), end(inner='<compensateEventDefinition activityRef="x"/>'), "s>x", "x>e"),
        one(start(), *COMPENSATED, end(inner='<compensateEventDefinition activityRef="x"/>'), "s>x", "x>e")),
    "EV-CATCH-KIND": (line(catch("x", event("error", "eA"))), line(catch("x", event("message", "mA")))),
    "EV-THROW-KIND": (line(throw("x", TERMINATE)), line(throw("x", event("message", "mA")))),
    "EV-MID-FLOW": (one(start(), catch("x", event("message", "mA")), end(), "s>x"), line(catch("x", event("message", "mA")))),
    "EV-LINK-FLOW": (
        one(start(), throw("t", LINK.format("A")), catch("c", LINK.format("A")), end(), "s>t", "c>e", "t>e"),
        one(start(), throw("t", LINK.format("A")), catch("c", LINK.format("A")), end(), "s>t", "c>e")),
    "EV-LINK-PAIR": (
        one(start(), throw("t", LINK.format("A")), catch("c", LINK.format("B")), end(), "s>t", "c>e"),
        one(start(), throw("t", LINK.format("A")), catch("c", LINK.format("A")), end(), "s>t", "c>e")),
    "EV-DEF-REF": (
        one(start(inner='<messageEventDefinition id="d" messageRef="mA"/>'), task("x"),
            end(inner="<eventDefinitionRef>d</eventDefinitionRef>"), "s>x", "x>e"),
        one(start(inner="<eventDefinitionRef>d</eventDefinitionRef>"), end(), "s>e",
            top='<messageEventDefinition id="d" messageRef="mA"/>')),
    "EV-MESSAGE": (line(catch("x", event("message"))), line(catch("x", event("message", "mA")))),
    "EV-MESSAGE-NAME": (line(task("x"), top='<message id="mx"/>'), line(task("x"), top='<message id="mx" name="mx"/>')),
    "EV-OPERATION": (
        line(catch("x", event("message", "mA"))),
        line(catch("x", event("message", "mA", "<operationRef>op</operationRef>")), top=ITEMS + OPERATION)),
    "EV-REF-MISSING": (line(throw("x", event("signal"))), line(throw("x", event("signal", "sA")))),
    "EV-CODE-MISSING": (
        one(start(), end(inner=event("error", "ex")), "s>e", top='<error id="ex"/>'),
        one(start(), end(inner=event("error", "eA")), "s>e")),
    "EV-CONDITION": (line(catch("x", event("conditional"))), line(catch("x", condition("a > 1")))),
    "TIMER-ONE": (line(catch("x", event("timer"))), line(catch("x", timer("timeDuration", "PT1H")))),
    "TIMER-EMPTY": (line(catch("x", timer("timeDuration", " "))), line(catch("x", timer("timeDuration", "PT1H")))),
    "TIMER-VALUE": (line(catch("x", timer("timeDuration", "P3X"))), line(catch("x", timer("timeDuration", "P3D")))),
    "TIMER-NAIVE": (
        line(catch("x", timer("timeDate", "2026-12-01T09:30:00"))),
        line(catch("x", timer("timeDate", "2026-12-01T09:30:00+08:00")))),
    # ----------------------------------------------------------------------------------------------------------- activities
    "ACT-QUANTITY": (line(task("x", startQuantity="0")), line(task("x", startQuantity="1"))),
    "ACT-LOOPS": (line(task("x", loop(maximum="2") + many("2"))), line(task("x", many("2")))),
    "ACT-LOOP-MAX": (line(task("x", loop(maximum="-1"))), line(task("x", loop(maximum="2")))),
    "ACT-LOOP-BOUND": (line(task("x", loop())), line(task("x", loop(maximum="2")))),
    "ACT-MI-COUNT": (line(task("x", many())), line(task("x", many("2")))),
    "ACT-MI-CONDITION": (line(task("x", many("2", until="5"))), line(task("x", many("2", until="loopCounter > 1")))),
    "ACT-MI-NUMBER": (line(task("x", many("2.5"))), line(task("x", many("2")))),
    "ACT-MI-BEHAVIOR": (
        line(task("x", '<multiInstanceLoopCharacteristics behavior="One"><loopCardinality>2</loopCardinality>'
                       "</multiInstanceLoopCharacteristics>")),
        line(task("x", many("2")))),
    "ACT-CHOREO": (
        line(task("x"), '<choreographyTask id="ct" initiatingParticipantRef="P"><participantRef>P</participantRef>'
                        "</choreographyTask>"),
        line(task("x"))),
    "ACT-CONVERSATION": (line(task("x"), top='<choreography id="ch"/>'), line(task("x"))),
    "ACT-ADHOC-EMPTY": (line(sub("x", tag="adHocSubProcess")), line(sub("x", task("y"), tag="adHocSubProcess"))),
    "ACT-ADHOC-EVENT": (
        line(sub("x", task("y"), end("j"), tag="adHocSubProcess")), line(sub("x", task("y"), tag="adHocSubProcess"))),
    "ACT-ADHOC-CONDITION": (
        line(sub("x", task("y"), tag="adHocSubProcess")),
        line(sub("x", task("y"), "<completionCondition>true</completionCondition>", tag="adHocSubProcess"))),
    "ACT-SUB-IO": (line(sub("x", start("i"), inner=io(SETS))), line(sub("x", start("i")))),
    "ACT-SUB-EMPTY": (line(sub("x")), line(sub("x", start("i")))),
    "ACT-EVENT-DUTY": (
        line(task("x"), sub("h", task("y"), tag="adHocSubProcess", triggeredByEvent="true")),
        line(task("x"), sub("h", task("y"), tag="adHocSubProcess"))),
    "ACT-PUBLIC": (one(start(), end(), "s>e", processType="Public"), one(start(), end(), "s>e", processType="Private")),
    "ACT-CALL": (line(call("x", "")), line(call("x", "other"))),
    "ACT-CALL-KIND": (line(call("x", "y"), task("y")), line(call("x", "other"))),
    "ACT-CALL-START": (
        Case(line(call("x", "q")).xml, beside={"q.bpmn": diagram(process(start(inner=event("message", "mA")), id="q"))}),
        Case(line(call("x", "q")).xml, beside={"q.bpmn": diagram(process(start(), id="q"))})),
    "ACT-RESOURCE": (
        line(user("x", '<potentialOwner id="po"><resourceRef>r</resourceRef><resourceAssignmentExpression><formalExpression>a'
                       "</formalExpression></resourceAssignmentExpression></potentialOwner>"), top='<resource id="r" name="r"/>'),
        line(user("x", '<potentialOwner id="po"><resourceRef>r</resourceRef></potentialOwner>'),
             top='<resource id="r" name="r"/>')),
    "RES-BINDING": (
        line(user("x", '<potentialOwner id="po"><resourceRef>r</resourceRef></potentialOwner>'), top=RESOURCE),
        line(user("x", '<potentialOwner id="po"><resourceRef>r</resourceRef><resourceParameterBinding parameterRef="rp">'
                       "<formalExpression>a</formalExpression></resourceParameterBinding></potentialOwner>"), top=RESOURCE)),
    "ACT-RECEIVE-START": (line(receive("x", "mA", instantiate="true")), line(receive("x", "mA"))),
    "RECEIVE-MESSAGE": (line(element("receiveTask", "x")), line(receive("x", "mA"))),
    "SCRIPT-FORMAT": (line(element("scriptTask", "x", "<script>{}</script>")), line(script("x"))),
    "SCRIPT-LANGUAGE": (line(element("scriptTask", "x", "<script>1</script>", scriptFormat="python")), line(script("x"))),
    "SCRIPT-EMPTY": (line(script("x", "")), line(script("x"))),
    "NOT-RUN": (
        line(task("x"), sub("y", element("choreographyTask", "ct", initiatingParticipantRef="P"))),
        line(task("x"), sub("y", task("ct")))),
    # -------------------------------------------------------------------------------------------------------- collaboration
    "POOL-MULTIPLICITY": (
        raw(pools("").xml.decode().replace(
            'processRef="p"/>', 'processRef="p"><participantMultiplicity minimum="3" maximum="2"/></participant>')),
        raw(pools("").xml.decode().replace(
            'processRef="p"/>', 'processRef="p"><participantMultiplicity minimum="1" maximum="2"/></participant>'))),
    "MSG-SAME-POOL": (pools(message_flow("t", "a")), pools(message_flow("t", "b"))),
    "MSG-SOURCE": (pools(message_flow("s", "b")), pools(message_flow("t", "b"))),
    "MSG-TARGET": (pools(message_flow("t", "e2")), pools(message_flow("t", "b"))),
    "MSG-EVENT": (pools(message_flow("e", "b")), pools(message_flow("t", "b"))),
    "MSG-UNHEARD": (
        Case(pools(message_flow("t", "b")).xml.replace(b'<receiveTask id="b" messageRef="mA"', b'<receiveTask id="b" messageRef="mB"')),
        pools(message_flow("t", "b"))),
    "MSG-NAMES": (unnamed_between("mA", "mB"), unnamed_between("mA", "mA")),
    "MSG-FLOW-NAME": (pools(message_flow("t", "b", message="mB")), pools(message_flow("t", "b", message="mA"))),
    "MSG-IDLE": (pools(message_flow("a", "b")), pools(message_flow("t", "b"))),
    "MSG-TYPE": (typed("i1", "i2"), typed("i1", "i1")),
    "CORR-PATH": (keyed(), keyed("no")),
    "CORR-PATH-EMPTY": (keyed(""), keyed("no")),
    "MSG-MANY": (pools(message_flow("t", "b"), message_flow("t", "k", "m2")), pools(message_flow("t", "b"))),
    "MSG-POOL": (
        raw(pools(message_flow("t", "b")).xml.decode().replace(' processRef="q"', "")), pools(message_flow("t", "b"))),
    "LANE-TWICE": (
        one(start(), end(), "s>e", '<laneSet id="l"><lane id="l1"><flowNodeRef>s</flowNodeRef></lane><lane id="l2">'
                                   "<flowNodeRef>s</flowNodeRef></lane></laneSet>"),
        one(start(), end(), "s>e", '<laneSet id="l"><lane id="l1"><flowNodeRef>s</flowNodeRef></lane><lane id="l2">'
                                   "<flowNodeRef>e</flowNodeRef></lane></laneSet>")),
    "LANE-FOREIGN": (
        one(start(), end(), "s>e", sub("x", task("y")), '<laneSet id="l"><lane id="l1"><flowNodeRef>k</flowNodeRef></lane></laneSet>',
            top='<process id="q"><task id="k"/></process>'),
        one(start(), end(), "s>e", '<laneSet id="l"><lane id="l1"><flowNodeRef>s</flowNodeRef></lane></laneSet>')),
    "ARTIFACT-FORMAT": (
        line(task("x"), '<textAnnotation id="ta" textFormat="plain"/>'),
        line(task("x"), '<textAnnotation id="ta" textFormat="text/plain"/>')),
    "GLOBAL-CONTENT": (
        line(task("x"), top='<globalConversation id="gc"><textAnnotation id="ta"/></globalConversation>'),
        line(task("x"), top='<globalConversation id="gc"/>')),
    "CHOREO-ORDER": (line(task("x"), top=choreographed("A", FOLLOWED.format("C"))),
                     line(task("x"), top=choreographed("A", FOLLOWED.format("B")))),
    "CHOREO-CONTENT": (
        line(task("x"), top=choreographed("A", task("t"))), line(task("x"), top=choreographed("A", parallel("t")))),
    "CHOREO-PARTICIPANTS": (line(task("x"), top=choreographed("C")), line(task("x"), top=choreographed("A"))),
    "COLLAB-MAPPING": (
        pools("", called_conversation("gP", "gP")), pools("", called_conversation("gP", "P"))),
    "CONV-PARTICIPANTS": (
        pools("", '<conversation id="cv"><participantRef>P</participantRef></conversation>'), pools("", CONVERSATION)),
    "CONV-LINK": (
        pools("", CONVERSATION, '<conversationLink id="cl" sourceRef="P" targetRef="Q"/>'),
        pools("", CONVERSATION, '<conversationLink id="cl" sourceRef="P" targetRef="cv"/>')),
    # ----------------------------------------------------------------------------------------------------------------- data
    "DATA-COLLECTION": (
        line(task("x"), '<dataObject id="o" itemSubjectRef="ic"/>', top=ITEMS),
        line(task("x"), '<dataObject id="o" itemSubjectRef="ic" isCollection="true"/>', top=ITEMS)),
    "DATA-SET": (line(task("x", io(f'<dataInput id="di"/>{SETS}'))), line(task("x", in_out()), top=ITEMS)),
    "DATA-OPTIONAL": (
        line(task("x", io('<dataInput id="di"/><inputSet id="is"><optionalInputRefs>di</optionalInputRefs></inputSet>'
                          '<outputSet id="os"/>'))),
        line(task("x", in_out()), top=ITEMS)),
    "DATA-SETS-PAIR": (
        line(task("x", io('<inputSet id="is"><outputSetRefs>os</outputSetRefs></inputSet><outputSet id="os"/>'))),
        line(task("x", io('<inputSet id="is"><outputSetRefs>os</outputSetRefs></inputSet><outputSet id="os">'
                          "<inputSetRefs>is</inputSetRefs></outputSet>")))),
    "DATA-SOURCE": (
        line(task("x", in_out() + data_input("o1", "o2")), OBJECTS, top=ITEMS),
        line(task("x", in_out() + data_input("o1")), OBJECTS, top=ITEMS)),
    "DATA-TYPE": (
        line(task("x", in_out() + data_input("o2")), OBJECTS, top=ITEMS),
        line(task("x", in_out() + data_input("o1")), OBJECTS, top=ITEMS)),
    "DATA-TWO-SOURCES": (
        line(task("x", in_out() + data_input("o1 o2")), OBJECTS, top=ITEMS),
        line(task("x", in_out() + data_input("o1")), OBJECTS, top=ITEMS)),
    "DATA-NOT-RUN": (
        line(task("x", "<dataOutputAssociation><targetRef>o1</targetRef></dataOutputAssociation>"), OBJECTS, top=ITEMS),
        line(task("x", in_out() + data_input("o1")), OBJECTS, top=ITEMS)),
    "DATA-STORE": (
        line(task("x", in_out() + data_input("d")), '<dataStoreReference id="d" itemSubjectRef="i1"/>', top=ITEMS),
        line(task("x", in_out() + data_input("o1")), OBJECTS, top=ITEMS)),
    "DATA-ASSIGNMENT": (
        line(task("x", in_out() + data_input("o1", more=assigned("1", "di + 1"))), OBJECTS, top=ITEMS),
        line(task("x", in_out() + data_input("o1", more=assigned("1", "di.price"))), OBJECTS,
             top=ITEMS)),
    "DATA-FORMAL": (
        line(task("x", in_out() + data_input("o1", more="<assignment><from>1</from><to>di</to></assignment>")), OBJECTS, top=ITEMS),
        line(task("x", in_out() + data_input("o1", more=assigned("1", "di"))), OBJECTS, top=ITEMS)),
    "DATA-NO-CARRIER": (
        line(task("x"), throw("t", '<dataInput id="di" itemSubjectRef="i1"/>' + data_input("o1")
                              + "<inputSet><dataInputRefs>di</dataInputRefs></inputSet>" + event("escalation", "xA")), OBJECTS, top=ITEMS),
        line(task("x"), throw("t", '<dataInput id="di" itemSubjectRef="i1"/>' + data_input("o1")
                              + "<inputSet><dataInputRefs>di</dataInputRefs></inputSet>" + event("signal", "sA")), OBJECTS, top=ITEMS)),
    "DATA-MI-TYPE": (
        line(sub("x", task("y"), inner=many(inner='<loopDataInputRef>oc</loopDataInputRef><inputDataItem id="it" '
                                                  'itemSubjectRef="i2"/>')),
             '<dataObject id="oc" itemSubjectRef="ic" isCollection="true"/>', top=ITEMS),
        line(sub("x", task("y"), inner=many(inner='<loopDataInputRef>oc</loopDataInputRef><inputDataItem id="it" '
                                                  'itemSubjectRef="i1"/>')),
             '<dataObject id="oc" itemSubjectRef="ic" isCollection="true"/>', top=ITEMS)),
    "DATA-MI-ITEM": (
        line(task("x", many("2", inner='<inputDataItem id="it" itemSubjectRef="ic"/>')), top=ITEMS),
        line(task("x", many("2", inner='<inputDataItem id="it" itemSubjectRef="i1"/>')), top=ITEMS)),
    "DATA-MI-SOURCE": (
        line(sub("x", task("y"), inner=many(inner="<loopDataInputRef>o1</loopDataInputRef>")), OBJECTS, top=ITEMS),
        line(sub("x", task("y"), inner=many(inner="<loopDataInputRef>oc</loopDataInputRef>")),
             '<dataObject id="oc" itemSubjectRef="ic" isCollection="true"/>', top=ITEMS)),
    "DATA-EVENT": (
        line(catch("x", '<dataOutput id="do" itemSubjectRef="i2"/>' + event("message", "min")), top=ITEMS + OPERATION),
        line(catch("x", '<dataOutput id="do" itemSubjectRef="i1"/>' + event("message", "min")), top=ITEMS + OPERATION)),
    "DATA-CALL": (
        Case(diagram(ITEMS, process(start(), call("x", "q", in_out()), end(), "s>x", "x>e"), process(start("s2"), id="q"))),
        Case(diagram(ITEMS, process(start(), call("x", "q"), end(), "s>x", "x>e"), process(start("s2"), id="q")))),
    "DATA-BINDING": (
        line(task("x"), in_out("i2") + '<ioBinding operationRef="op" inputDataRef="di" outputDataRef="di"/>', top=ITEMS + OPERATION),
        line(task("x"), in_out("i1") + '<ioBinding operationRef="op" inputDataRef="di" outputDataRef="di"/>', top=ITEMS + OPERATION)),
    "DATA-NO-BINDING": (
        line(task("x"), "<supportedInterfaceRef>if</supportedInterfaceRef>" + in_out(), top=ITEMS + OPERATION),
        line(task("x"), in_out(), top=ITEMS + OPERATION)),
    "DATA-IO-SETS": (
        line(element("receiveTask", "x", in_out(), messageRef="mA"), top=ITEMS),
        line(element("sendTask", "x", in_out(), messageRef="mA"), top=ITEMS)),
    "DATA-OPERATION": (
        line(catch("x", event("message", "mother", "<operationRef>op</operationRef>")), top=ITEMS + OPERATION),
        line(catch("x", event("message", "min", "<operationRef>op</operationRef>")), top=ITEMS + OPERATION)),
    "DATA-OPERATION-IO": (
        line(service("x", operationRef="op"), top=ITEMS + OPERATION), line(service("x"), top=ITEMS + OPERATION)),
    "DATA-UNTYPED": (
        line(element("sendTask", "x", io(f'<dataInput id="di"/>{SETS}'), messageRef="min"), top=ITEMS + OPERATION),
        line(element("sendTask", "x", in_out(), messageRef="min"), top=ITEMS + OPERATION)),
    "DATA-STATE-NAME": (
        line(task("x"), '<dataObject id="o" name="bid"/><dataObjectReference id="r" name="bid" dataObjectRef="o"><dataState id="ds" '
                        'name="submitted"/></dataObjectReference>'),
        line(task("x"), '<dataObject id="o" name="bid"/><dataObjectReference id="r" name="bid [submitted]" dataObjectRef="o">'
                        '<dataState id="ds" name="submitted"/></dataObjectReference>')),
    "DATA-BINDING-OF": (
        line(task("x"), in_out() + '<ioBinding operationRef="op" inputDataRef="di" outputDataRef="di"/>', top=ITEMS + OPERATION),
        line(task("x"), "<supportedInterfaceRef>if</supportedInterfaceRef>" + in_out()
             + '<ioBinding operationRef="op" inputDataRef="di" outputDataRef="di"/>', top=ITEMS + OPERATION)),
    "DATA-SET-FOREIGN": (
        line(task("x", in_out()), task("y", io('<inputSet id="is2"><dataInputRefs>di</dataInputRefs></inputSet><outputSet id="os2"/>')),
             top=ITEMS),
        line(task("x", in_out()), top=ITEMS)),
    "DATA-OWN": (
        line(task("x", in_out()), task("y", data_input("o1")), OBJECTS, top=ITEMS),
        line(task("x", in_out() + data_input("o1")), OBJECTS, top=ITEMS)),
    "DATA-SCOPE": (
        line(task("x"), sub("y", start("i"), '<dataObject id="o"/>'), '<dataObjectReference id="r" dataObjectRef="o"/>'),
        line(task("x"), sub("y", start("i"), '<dataObjectReference id="r" dataObjectRef="o"/>'), '<dataObject id="o"/>')),
    "DATA-OBJECT": (
        line(task("x"), '<dataObjectReference id="r"/>'),
        line(task("x"), '<dataObject id="o"/><dataObjectReference id="r" dataObjectRef="o"/>')),
    "EXPR-FORMAL": (
        fork(),
        raw(fork().xml.decode().replace("<conditionExpression>",
            '<conditionExpression xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="tFormalExpression">'))),
    "EXPR-EMPTY": (line(task("x", many("2", until=" "))), line(task("x", many("2", until="a = 1")))),
    "EXPR-LANGUAGE": (
        raw(fork().xml.decode().replace("<conditionExpression>", '<conditionExpression language="javascript">')),
        raw(fork().xml.decode().replace("<conditionExpression>", '<conditionExpression language="feel">'))),
    "EXPR-INFORMAL": (
        raw(fork().xml.decode().replace("<conditionExpression>",
            '<conditionExpression xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="tExpression">')),
        fork()),
    "CORR-KEY": (
        pools("", '<correlationKey id="k"/>'),
        pools("", '<correlationKey id="k"><correlationPropertyRef>cp</correlationPropertyRef></correlationKey>')),
    "CORR-BINDING": (subscribed("cp", "cp"), subscribed("cp")),
    "CORR-MESSAGE": (correlated("mB"), correlated("mA")),
    # ---------------------------------------------------------------------------------------------------------- expressions
    "EXPR-SYNTAX": (fork(a=": x = ("), fork(a=": x = 1")),
    "EXPR-FUNCTION": (fork(a=": no_such(x)"), fork(a=": contains(x, \"a\")")),
    "EXPR-TYPE": (fork(a=': "a" < 1'), fork(a=': "a" < "b"')),
    "EXPR-JUEL": (fork(a=": ${bean.call(1)}"), fork(a=": x = 1")),
    "NAME-RESERVED": (line(script("x", "1", camunda_resultVariable="then")), line(script("x", "1", camunda_resultVariable="a"))),
    "NAME-SHADOWED": (
        line(script("x", "1", camunda_resultVariable="item")), line(script("x", "1", camunda_resultVariable="piece"))),
    "NAME-FORM": (line(script("x", "1", camunda_resultVariable="a-b")), line(script("x", "1", camunda_resultVariable="a_b"))),
    "NAME-UNKNOWN": (
        closed(line(script("x", "a + 1", camunda_resultVariable="b"))),
        closed(line(script("x", "a + 1", camunda_resultVariable="b"),
                    script("y", "1", camunda_resultVariable="a")))),
    # ----------------------------------------------------------------------------------------------------------- extensions
    "USER-ASSIGN": (line(user("x")), line(user("x", camunda_candidateGroups="g"))),
    "USER-FORM": (line(user("x")), line(user("x", camunda_formKey="f"))),
    "NODE-NAME": (line(user("x")), line(user("x", name="Do it"))),
    "FORM-UNKNOWN": (
        knowing(line(user("x", camunda_formKey="p.y")), forms=frozenset({"p.x"})),
        knowing(line(user("x", camunda_formKey="p.x")), forms=frozenset({"p.x"}))),
    "FORM-FILE": (
        knowing(one(start(camunda_formKey="p.y"), end(), "s>e"), takes_files=lambda form: form == "p.y"),
        knowing(one(start(camunda_formKey="p.x"), user("x", camunda_formKey="p.y"), end(), "s>x", "x>e"), takes_files=lambda form: form == "p.y")),
    "FORM-SEALED": (
        knowing(one(start(camunda_formKey="p.y"), end(), "s>e"), seals=lambda form: form == "p.y"),
        knowing(one(start(camunda_formKey="p.x"), user("x", camunda_formKey="p.y"), end(), "s>x", "x>e"), seals=lambda form: form == "p.y")),
    "GROUP-UNKNOWN": (
        knowing(line(user("x", camunda_candidateGroups="bid_manager, bid_manger")), groups=frozenset({"bid_manager"})),
        knowing(line(user("x", camunda_candidateGroups="bid_manager")), groups=frozenset({"bid_manager"}))),
    "SERVICE-HANDLER": (line(element("serviceTask", "x")), line(service("x"))),
    "SERVICE-TYPE": (
        line(element("serviceTask", "x", camunda_type="mail", camunda_topic="t")), line(service("x"))),
    "JOB-TYPE-UNKNOWN": (
        knowing(line(service("x", "bid.remnd")), job_types=frozenset({"bid.remind"})),
        knowing(line(service("x", "bid.remind")), job_types=frozenset({"bid.remind"}))),
    "DECISION-MISSING": (line(element("businessRuleTask", "x")), line(element("businessRuleTask", "x", camunda_decisionRef="d"))),
    "DECISION-UNKNOWN": (
        knowing(line(element("businessRuleTask", "x", camunda_decisionRef="e")), decisions=frozenset({"d"})),
        knowing(line(element("businessRuleTask", "x", camunda_decisionRef="d")), decisions=frozenset({"d"}))),
    "CALL-UNKNOWN": (
        knowing(line(call("x", "psm05_bidding")), processes=frozenset({"psm050_bidding"})),
        knowing(line(call("x", "psm050_bidding")), processes=frozenset({"psm050_bidding"}))),
    "FIELD-VALUE": (line(user("x", properties(workingDue="soon"))), line(user("x", properties(workingDue="3")))),
    "FIELD-SEPARATION": (
        line(user("x", properties(separateFrom="nobody"))), line(user("x", properties(separateFrom="y")), user("y"))),
    "FIELD-BLIND": (line(user("x", properties(blindUntil="nobody"))), checks()),
    "FIELD-PAIR": (
        line(task("x", properties(outputCollection="all") + many("2"))),
        line(task("x", properties(outputCollection="all", outputElement="a") + many("2")))),
    "FIELD-MAPPING": (
        line(call("x", "q", EXT.format('<camunda:in source="a"/>'))),
        line(call("x", "q", EXT.format('<camunda:in source="a" target="b"/>')))),
    "CAMUNDA-CODE": (line(element("serviceTask", "x", camunda_delegateExpression="${bean}")), line(service("x"))),
    "CAMUNDA-NO-EFFECT": (line(service("x", camunda_asyncBefore="true")), line(service("x"))),
    "CAMUNDA-UNKNOWN": (line(user("x", camunda_asignee="a")), line(user("x", camunda_assignee="a"))),
    "FIELD-UNKNOWN": (line(user("x", properties(workngDue="2"))), line(user("x", properties(workingDue="2")))),
    "FIELD-PLACE": (line(task("x", camunda_formKey="f")), line(user("x", camunda_formKey="f"))),
    "FIELD-SUSPENDS": (
        line(sub("x", start("i"), inner=properties(suspends="true"))),
        line(task("x"), event_sub("h", start("i", event("message", "mA")), inner=properties(suspends="true")))),
    "VENDOR": (
        raw(line(user("x")).xml.decode().replace("<userTask ", '<userTask xmlns:f="http://flowable.org/bpmn" f:assignee="a" ')),
        line(user("x", camunda_assignee="a"))),
    # ------------------------------------------------------------------------------------------------------------------ law
    "LAW-NEGOTIATION": (
        bid("s>bid", "bid>talk", "talk>e"),
        bid(exclusive("g"), "s>bid", "bid>g", 'g>talk: bid.outcome = "won"', "g>e!", "talk>e")),
}

