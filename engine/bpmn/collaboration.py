"""What pools tell each other, read from a diagram: message flows say who receives, correlation keys which of its instances.

Key-based correlation: the first message of a conversation that an instance sends or receives gives the key its value, later ones
must have the same. Context-based correlation (`correlationSubscription`): the value is what the data path gives over the
variables, at any time. A key as text names its process and itself, so that keys of one kind never meet keys of another::

    <KEYED>process/key=["T-1","7"]      <KEYED>process/      waits for a first message that gives one of its keys a value
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import orjson
from lxml import etree

from engine.bpmn.xml import BPMN, CAMUNDA
from engine.feel import Expression, compile_expression
from engine.model import ProcessInfo, Value, Values

#: Begins the text of a BPMN correlation key; no business key and no property `correlationKey` has it.
KEYED = "\x1f"
_LONGEST = 200
_SCALAR = (str, int, Decimal, date, time, timedelta)  # true is an int, an instant a date

_THROWING = frozenset({"intermediateThrowEvent", "endEvent", "sendTask"})
_CATCHING = frozenset({"startEvent", "intermediateCatchEvent", "boundaryEvent", "receiveTask"})


@dataclass(frozen=True, slots=True)
class Address:
    """Who is to receive a message. `process` None: a pool without a process of this house; `element` None: the pool as a whole."""

    process: str | None
    element: str | None


@dataclass(frozen=True, slots=True)
class CorrelationKey:
    """A correlation key as one process has it.

    Attributes:
        name: beginning of its texts, `<KEYED>process/key`.
        paths: ``{message: an expression over the payload for each property}``; of messages that have one for every property.
        context: an expression over the variables for each property; None: the first message decides.
    """

    name: str
    properties: tuple[str, ...]
    paths: Mapping[str, tuple[Expression, ...]]
    context: tuple[Expression, ...] | None

    def of_message(self, message: str, payload: Values, at: datetime, zone: str) -> str | None:
        """Return the text that a message has for the key, None when it has no value for a property."""
        return keyed_text(self.name, (path.evaluate(payload, at, zone=zone).value for path in self.paths[message]))

    def of_context(self, variables: Values, at: datetime, zone: str) -> str | None:
        """Return the text that the variables give, None when a property has no value."""
        return keyed_text(self.name, (path.evaluate(variables, at, zone=zone).value for path in self.context or ()))


def key_text(value: Value) -> str:
    """A correlation key as text: keys of different kinds that look alike are the same (12 and "12")."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def keyed_text(name: str, values: Iterable[Value]) -> str | None:
    """Return the text of a BPMN correlation key; None when a property of it has no value, or none that can be compared."""
    given = list(values)
    if not all(isinstance(value, _SCALAR) for value in given):
        return None
    text = orjson.dumps([key_text(value) for value in given]).decode()
    if len(text) > _LONGEST:
        text = hashlib.blake2s(text.encode()).hexdigest()
    return f"{name}={text}"


def first_text(process: str) -> str:
    """Return the text of a wait of an instance that takes part in no conversation yet."""
    return f"{KEYED}{process}/"


def carried(texts: Iterable[str]) -> frozenset[str]:
    """Return the texts by which a message that has these keys can be waited for."""
    found = frozenset(texts)
    return found | {f"{text.partition('/')[0]}/" for text in found}


def fits(waits: Iterable[str], message: Iterable[str]) -> bool:
    """Whether a wait takes a message: one of its keys is the message's, and none of them is there with another value.

    Args:
        waits: texts of all keys of one wait.
        message: what `carried` gave.
    """
    wanted, given = set(waits), set(message)
    if not wanted & given:
        return False
    has = {text.partition("=")[0] for text in given}
    return all(text in given for text in wanted if text.partition("=")[0] in has)


def keys_carried(infos: Iterable[ProcessInfo], message: str, payload: Values, at: datetime, zone: str) -> frozenset[str]:
    """Return every text by which somebody may wait for a message with this payload, as these processes extract keys from it."""
    found = set()
    for info in infos:
        for name, paths in info.correlations.get(message, {}).items():
            text = keyed_text(name, (compile_expression(path).evaluate(payload, at, zone=zone).value for path in paths))
            if text is not None:
                found.add(text)
    return carried(found)


def shown_key(text: str) -> str:
    """Return a correlation key as people read it."""
    return text.removeprefix(KEYED) if text.startswith(KEYED) else text


# ------------------------------------------------------------------------------------------------------------ message flows
def local(node: etree._Element) -> str:
    """Return the BPMN element name, or ``""``."""
    return node.tag[len(BPMN):] if isinstance(node.tag, str) and node.tag.startswith(BPMN) else ""


def reference(value: str | None) -> str:
    return (value or "").strip().rpartition(":")[2]


def is_dynamic(name: str) -> bool:
    """Whether an expression gives the name of a message."""
    return name.strip().startswith("=") or "${" in name or "#{" in name


def process_of(node: etree._Element | None) -> etree._Element | None:
    """Return the process around an element."""
    while node is not None and local(node) != "process":
        node = node.getparent()
    return node


def holders(node: etree._Element) -> list[etree._Element]:
    """Return what of an element names a message: the task itself, or the message event definitions in it."""
    definitions = [child for child in node if local(child) == "messageEventDefinition"]
    if local(node) in ("sendTask", "receiveTask") and not definitions:
        return [node]
    return definitions


class MessageFlows:
    """The message flows of a diagram. `out`, `into`: ``{element or pool: its message flows}``."""

    def __init__(self, tree: etree._Element) -> None:
        self.tree = tree
        self.by_id = {node.get("id", ""): node for node in tree.iter() if isinstance(node.tag, str) and node.get("id")}
        self.all = [flow for flow in tree.iter(BPMN + "messageFlow") if self.end(flow, "sourceRef") is not None
                    and self.end(flow, "targetRef") is not None]
        self.out: dict[etree._Element, list[etree._Element]] = {}
        self.into: dict[etree._Element, list[etree._Element]] = {}
        for flow in self.all:
            for side, found in (("sourceRef", self.out), ("targetRef", self.into)):
                node = self.end(flow, side)
                if node is not None:
                    found.setdefault(node, []).append(flow)

    def end(self, flow: etree._Element, side: str) -> etree._Element | None:
        return self.by_id.get(reference(flow.get(side)))

    def process(self, node: etree._Element | None) -> etree._Element | None:
        """Return the executable process that an end of a flow belongs to; None for a black box."""
        if node is not None and local(node) == "participant":
            node = self.by_id.get(reference(node.get("processRef")))
        process = process_of(node)
        return process if process is not None and process.get("isExecutable") == "true" else None

    def message(self, reference_text: str | None) -> str | None:
        """Return the name of the message that a messageRef means."""
        if not reference_text:
            return None
        found = self.by_id.get(reference(reference_text))
        return reference_text if found is None else found.get("name") or found.get("id")

    def given_names(self, node: etree._Element | None) -> set[str]:
        """Return the messages that an element names itself."""
        if node is None:
            return set()
        return {name for holder in holders(node) if (name := self.message(holder.get("messageRef")))}

    def name(self, flow: etree._Element) -> str:
        """Return the message that a flow carries: its own, else that of the one end that names one, else its id."""
        own = self.message(flow.get("messageRef"))
        if own is not None:
            return own
        for side in ("sourceRef", "targetRef"):
            names = self.given_names(self.end(flow, side))
            if len(names) == 1:
                return names.pop()
        return flow.get("id", "")

    def unnamed(self) -> Iterator[tuple[etree._Element, etree._Element, set[str]]]:
        """Yield (element, what of it lacks a message, names that its message flows give it)."""
        for node in [*self.out, *self.into]:
            kind = local(node)
            flows = self.out.get(node, ()) if kind in _THROWING else self.into.get(node, ()) if kind in _CATCHING else ()
            lacking = [holder for holder in holders(node) if not holder.get("messageRef")]
            if lacking and flows:
                yield node, lacking[0], {self.name(flow) for flow in flows}

    def receives(self, node: etree._Element | None) -> bool:
        """Whether an element waits for a message."""
        return node is not None and local(node) in _CATCHING and bool(holders(node))

    def caught(self, process: etree._Element) -> set[str]:
        """Return the messages that elements of a process wait for."""
        found = set()
        for node in process.iter():
            if self.receives(node):
                found |= self.given_names(node) or {name for each, _, names in self.unnamed() if each is node for name in names}
                if local(node) == "receiveTask" and not node.get("messageRef"):
                    found.add(node.get("id", ""))
        return found

    def unheard(self, flow: etree._Element) -> tuple[str, set[str]] | None:
        """Return (message, what is waited for) of a flow by which something is sent that nobody at its end waits for, or None."""
        source, process = self.end(flow, "sourceRef"), self.process(self.end(flow, "targetRef"))
        if source is None or process is None or self.process(source) in (None, process) or local(source) not in _THROWING:
            return None
        if not holders(source) or (local(source) == "sendTask" and source.get(CAMUNDA + "topic")):
            return None
        names, caught = self.given_names(source) or {self.name(flow)}, self.caught(process)
        if names & caught or any(is_dynamic(name) for name in names | caught):
            return None
        return self.name(flow) if self.name(flow) in names or len(names) > 1 else names.pop(), caught

    def addresses(self, node: etree._Element, message: str) -> tuple[Address, ...]:
        """Return the receivers of a message that an element throws, one for each message flow; empty: whoever waits for it."""
        flows = self.out.get(node, ())
        if len(holders(node)) > 1:
            flows = [flow for flow in flows if self.name(flow) == message]
        made = []
        for flow in flows:
            target = self.end(flow, "targetRef")
            process = self.process(target)
            is_element = target is not None and local(target) in _CATCHING
            made.append(Address(
                None if process is None else process.get("id"),
                target.get("id") if process is not None and target is not None and is_element else None))
        return tuple(made)


def name_by_flows(tree: etree._Element) -> None:
    """Give the message of its message flow to every sending and receiving element that names none itself."""
    flows = MessageFlows(tree)
    if not flows.all:
        return
    found = [(holder, names) for node, holder, names in flows.unnamed()
             if len(names) == 1 and not (local(node) == "sendTask" and node.get(CAMUNDA + "topic"))]
    for holder, names in found:
        (name,) = names
        id = f"(message) {name}"
        if id not in flows.by_id:
            flows.by_id[id] = etree.SubElement(tree, BPMN + "message", {"id": id, "name": name})
        holder.set("messageRef", id)


# --------------------------------------------------------------------------------------------------------- correlation keys
@dataclass(frozen=True, slots=True)
class DrawnKey:
    """A correlation key as drawn. `paths`: ``{message: [messagePath element]}``; `context`: ``[dataPath element]`` or None.

    `missing`: properties that the subscription does not bind.
    """

    id: str
    properties: tuple[str, ...]
    paths: Mapping[str, list[etree._Element]]
    context: list[etree._Element] | None
    missing: tuple[str, ...] = ()


def drawn_keys(tree: etree._Element, process: etree._Element, flows: MessageFlows) -> list[DrawnKey]:
    """Return the correlation keys of a diagram, as they are for one of its processes."""
    subscriptions = {
        reference(each.get("correlationKeyRef")): each for each in process.iterchildren(BPMN + "correlationSubscription")}
    made = []
    for key in tree.iter(BPMN + "correlationKey"):
        properties = [reference(each.text) for each in key.iterchildren(BPMN + "correlationPropertyRef")]
        per_property: list[dict[str, etree._Element]] = []
        for property in properties:
            paths: dict[str, etree._Element] = {}
            drawn = flows.by_id.get(property)
            for retrieval in () if drawn is None else drawn.iterchildren(BPMN + "correlationPropertyRetrievalExpression"):
                name, path = flows.message(retrieval.get("messageRef")), retrieval.find(BPMN + "messagePath")
                if name and path is not None:
                    paths[name] = path
            per_property.append(paths)
        messages = sorted(set[str]().union(*per_property)) if per_property else []
        context = subscriptions.get(key.get("id", ""))
        bound = {} if context is None else {
            reference(each.get("correlationPropertyRef")): path
            for each in context.iterchildren(BPMN + "correlationPropertyBinding") if (path := each.find(BPMN + "dataPath")) is not None}
        made.append(DrawnKey(
            key.get("id", ""), tuple(properties),
            {name: [paths[name] for paths in per_property] for name in messages if all(name in paths for paths in per_property)},
            None if context is None else [bound[each] for each in properties if each in bound],
            () if context is None else tuple(each for each in properties if each not in bound)))
    return made


def key_name(process: str, key: str) -> str:
    return f"{KEYED}{process}/{key}"
