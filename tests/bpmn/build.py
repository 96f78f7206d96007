"""A short way to write diagrams in tests.

    diagram(process(start(), user("prepare"), end(), "start>prepare", "prepare>end"))

Flows are texts: ``"a>b"``, with a condition ``"a>b: amount > 5"``, the default flow ``"a>b!"``. The messages ``mA mB mC``, signals
``sA …``, errors ``eA …`` and escalations ``xA …`` exist in every diagram.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

NAMESPACES = (
    'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn" targetNamespace="t"'
)
DECLARED = "".join(
    f'<message id="m{c}" name="m{c}"/><signal id="s{c}" name="s{c}"/><error id="e{c}" errorCode="e{c}"/>'
    f'<escalation id="x{c}" escalationCode="x{c}"/>'
    for c in "ABC"
)
_FLOW = re.compile(r"(\w+)>(\w+)(!?)(?::(.*))?", re.S)

COMPENSATE = "<compensateEventDefinition/>"
TERMINATE = "<terminateEventDefinition/>"
CANCEL = "<cancelEventDefinition/>"


def diagram(*processes: str) -> bytes:
    return f"<definitions {NAMESPACES}>{DECLARED}{''.join(processes)}</definitions>".encode()


def process(*parts: str, id: str = "p", **attributes: str) -> str:
    return element("process", id, _scope(parts), isExecutable="true", **attributes)


def element(tag: str, id: str, inner: str = "", **attributes: str) -> str:
    """An element; ``camunda_x=`` becomes ``camunda:x``, a trailing underscore is dropped."""
    words = "".join(
        f" {name.rstrip('_').replace('camunda_', 'camunda:')}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{tag} id={quoteattr(id)}{words}>{inner}</{tag}>"


def _scope(parts: tuple[str, ...]) -> str:
    defaults: dict[str, str] = {}
    made: list[str] = []
    count: dict[tuple[str, str], int] = {}
    for part in parts:
        if part.startswith("<"):
            made.append(part)
            continue
        match = _FLOW.fullmatch(part)
        assert match, part
        source, target, default, condition = match.groups()
        count[source, target] = n = count.get((source, target), 0) + 1
        id = f"{source}_{target}" + (f"_{n}" if n > 1 else "")
        if default:
            defaults[source] = id
        text = f"<conditionExpression>{escape(condition.strip())}</conditionExpression>" if condition else ""
        made.append(element("sequenceFlow", id, text, sourceRef=source, targetRef=target))
    for source, flow in defaults.items():
        made = [re.sub(rf'^(<\w+ id="{source}")', rf'\1 default="{flow}"', part) for part in made]
    return "".join(made)


def properties(**values: str) -> str:
    words = "".join(f"<camunda:property name={quoteattr(n)} value={quoteattr(v)}/>" for n, v in values.items())
    return f"<extensionElements><camunda:properties>{words}</camunda:properties></extensionElements>"


def mapping(inputs: dict[str, str] = {}, outputs: dict[str, str] = {}) -> str:  # noqa: B006
    words = "".join(f'<camunda:inputParameter name="{n}">{escape(v)}</camunda:inputParameter>' for n, v in inputs.items())
    words += "".join(f'<camunda:outputParameter name="{n}">{escape(v)}</camunda:outputParameter>' for n, v in outputs.items())
    return f"<extensionElements><camunda:inputOutput>{words}</camunda:inputOutput></extensionElements>"


def start(id: str = "s", inner: str = "", **attributes: str) -> str:
    return element("startEvent", id, inner, **attributes)


def end(id: str = "e", inner: str = "", **attributes: str) -> str:
    return element("endEvent", id, inner, **attributes)


def user(id: str, inner: str = "", **attributes: str) -> str:
    return element("userTask", id, inner, **attributes)


def task(id: str, inner: str = "", **attributes: str) -> str:
    return element("task", id, inner, **attributes)


def script(id: str, feel: str = "{}", inner: str = "", **attributes: str) -> str:
    return element("scriptTask", id, f"{inner}<script>{escape(feel)}</script>", scriptFormat="feel", **attributes)


def service(id: str, topic: str = "work", inner: str = "", **attributes: str) -> str:
    return element("serviceTask", id, inner, camunda_type="external", camunda_topic=topic, **attributes)


def call(id: str, called: str, inner: str = "", **attributes: str) -> str:
    return element("callActivity", id, inner, calledElement=called, **attributes)


def receive(id: str, message: str, inner: str = "", **attributes: str) -> str:
    return element("receiveTask", id, inner, messageRef=message, **attributes)


def exclusive(id: str, **attributes: str) -> str:
    return element("exclusiveGateway", id, **attributes)


def parallel(id: str) -> str:
    return element("parallelGateway", id)


def inclusive(id: str, **attributes: str) -> str:
    return element("inclusiveGateway", id, **attributes)


def events(id: str) -> str:
    return element("eventBasedGateway", id)


def sub(id: str, *parts: str, tag: str = "subProcess", inner: str = "", **attributes: str) -> str:
    return element(tag, id, inner + _scope(parts), **attributes)


def event_sub(id: str, *parts: str, inner: str = "") -> str:
    return sub(id, *parts, inner=inner, triggeredByEvent="true")


def boundary(id: str, host: str, inner: str, **attributes: str) -> str:
    return element("boundaryEvent", id, inner, attachedToRef=host, **attributes)


def catch(id: str, inner: str, **attributes: str) -> str:
    return element("intermediateCatchEvent", id, inner, **attributes)


def throw(id: str, inner: str = "", **attributes: str) -> str:
    return element("intermediateThrowEvent", id, inner, **attributes)


def event(kind: str, ref: str = "", inner: str = "") -> str:
    attribute = {"message": "messageRef", "signal": "signalRef", "error": "errorRef", "escalation": "escalationRef"}.get(kind)
    return f"<{kind}EventDefinition" + (f' {attribute}="{ref}"' if ref else "") + f">{inner}</{kind}EventDefinition>"


def timer(kind: str, value: str) -> str:
    return event("timer", inner=f"<{kind}>{escape(value)}</{kind}>")


def condition(feel: str) -> str:
    return event("conditional", inner=f"<condition>{escape(feel)}</condition>")


def many(
    count: str = "", *, one_by_one: bool = False, until: str = "", collection: str = "", item: str = "", inner: str = ""
) -> str:
    """Multi-instance."""
    words = f' isSequential="{str(one_by_one).lower()}"'
    if collection:
        words += f" camunda:collection={quoteattr(collection)}"
    if item:
        words += f" camunda:elementVariable={quoteattr(item)}"
    return (
        f"<multiInstanceLoopCharacteristics{words}>{inner}"
        + (f"<loopCardinality>{count}</loopCardinality>" if count else "")
        + (f"<completionCondition>{escape(until)}</completionCondition>" if until else "")
        + "</multiInstanceLoopCharacteristics>"
    )


def loop(condition: str = "", *, maximum: str = "", test_before: bool = False) -> str:
    words = (f' loopMaximum="{maximum}"' if maximum else "") + (' testBefore="true"' if test_before else "")
    inner = f"<loopCondition>{escape(condition)}</loopCondition>" if condition else ""
    return f"<standardLoopCharacteristics{words}>{inner}</standardLoopCharacteristics>"


def undone_by(host: str, handler: str) -> str:
    """A compensation boundary event with its handler."""
    return boundary(f"undo_{host}", host, COMPENSATE) + (
        f'<association id="as_{host}" sourceRef="undo_{host}" targetRef="{handler}"/>')


def collaboration(*parts: str) -> str:
    """Pools, message flows (``"a~>b"``, with its message ``"a~>b: mA"``) and correlation keys; flows are called ``a_b``."""
    made = []
    for part in parts:
        match = re.fullmatch(r"(\w+)~>(\w+)(?::\s*(\w+))?", part)
        if match is None:
            made.append(part)
            continue
        source, target, message = match.groups()
        made.append(element("messageFlow", f"{source}_{target}", sourceRef=source, targetRef=target, **({"messageRef": message} if message else {})))
    return element("collaboration", "collaboration", "".join(made))


def pool(id: str, process: str = "", inner: str = "") -> str:
    """A pool; without a process a black box."""
    return element("participant", id, inner, **({"processRef": process} if process else {}))


def correlation_key(id: str, *properties: str) -> str:
    """Belongs into the collaboration."""
    return element("correlationKey", id, "".join(f"<correlationPropertyRef>{each}</correlationPropertyRef>" for each in properties))


def correlation_property(id: str, **paths: str) -> str:
    """Belongs beside the processes; `paths`: FEEL over the payload, by message."""
    return element("correlationProperty", id, "".join(
        f'<correlationPropertyRetrievalExpression messageRef="{message}"><messagePath>{escape(path)}</messagePath>'
        "</correlationPropertyRetrievalExpression>" for message, path in paths.items()))


def correlation_subscription(key: str, **paths: str) -> str:
    """Belongs into the process; `paths`: FEEL over the variables, by property."""
    return element("correlationSubscription", f"by_{key}", "".join(
        f'<correlationPropertyBinding correlationPropertyRef="{property}"><dataPath>{escape(path)}</dataPath>'
        "</correlationPropertyBinding>" for property, path in paths.items()), correlationKeyRef=key)
