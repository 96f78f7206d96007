"""One pass over a diagram; every rule reads from here. Nothing is repaired or left out: the file is judged as it was drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lxml import etree

from engine.bpmn import elements
from engine.bpmn.collaboration import MessageFlows
from engine.bpmn.elements import Group
from engine.bpmn.xml import BPMN, CAMUNDA, MODEL, source_line
from engine.model import Severity

if TYPE_CHECKING:
    from engine.bpmn.check.names import World
    from engine.bpmn.check.soundness import Game

TASKS = elements.tags(Group.TASK)
SUB_PROCESSES = elements.tags(Group.SUB_PROCESS)
ACTIVITIES = elements.ACTIVITIES
GATEWAYS = elements.tags(Group.GATEWAY)
EVENTS = elements.EVENTS | {"implicitThrowEvent", "event"}
CHOREOGRAPHY = elements.tags(Group.CHOREOGRAPHY_NODE)
NODES = ACTIVITIES | GATEWAYS | EVENTS | CHOREOGRAPHY
GLOBAL_TASKS = elements.tags(Group.GLOBAL_TASK)
ITEMS = frozenset({
    "dataObject", "dataObjectReference", "dataStoreReference", "dataInput", "dataOutput", "property", "inputDataItem",
    "outputDataItem", "dataStore",
})

Element = etree._Element


@dataclass(frozen=True, slots=True, kw_only=True)
class FormNames:
    """What a form does with variables.

    Attributes:
        writes: keys of the fields that a person fills in.
        reads: ``((field, FEEL, names that the row around it has), …)`` of rules and of what is only shown.
        types: ``{key: type}`` of fields whose type is known, as `engine.feel.infer` has types.
    """

    writes: frozenset[str] = frozenset()
    reads: tuple[tuple[str, str, frozenset[str]], ...] = ()
    types: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionNames:
    """What a decision does with variables. `writes`: entries of the context it gives; None when they cannot be told.

    `types`: ``{entry: type}`` of those whose type is known.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] | None = None
    types: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What a diagram may refer to, of this deployment and of what is deployed already. None: do not check.

    Attributes:
        forms: form ids. job_types: registered handlers. decisions: DMN decision ids. groups: role ids.
        takes_files: True for the id of a form that has a file field. seals: of one whose values are sealed.
        processes: keys of processes; those of the files that are checked together are known anyway.
        form_names, decision_names: ``{id: what it does with variables}``. job_outputs: ``{job type: {variable it gives: type}}``.
            Where one of the three is None, no name is reported as unknown.
        deployed: ``{process key: diagram}`` as deployed already; read for the variables that they write, not checked. The files
            that are checked together come before them.
        policy: ``{rule: severity}`` in place of the rule's own; None silences the rule.
        limit: bytes of one file.
    """

    forms: frozenset[str] | None = None
    job_types: frozenset[str] | None = None
    decisions: frozenset[str] | None = None
    processes: frozenset[str] | None = None
    takes_files: Callable[[str], bool] | None = None
    seals: Callable[[str], bool] | None = None
    groups: frozenset[str] | None = None
    form_names: Mapping[str, FormNames] | None = None
    decision_names: Mapping[str, DecisionNames] | None = None
    job_outputs: Mapping[str, Mapping[str, Any]] | None = None
    deployed: Mapping[str, bytes] = field(default_factory=dict)
    policy: Mapping[str, Severity | None] = field(default_factory=dict)
    limit: int = 4 * 1024 * 1024


class Document:
    """A diagram with its indexes. Elements are kept alive here, so that lxml hands out the same objects again and again.

    Attributes:
        together: every document that is checked in the same call, by file; this one is among them.
        world: the variables of all of them, once a rule has asked. games: its scopes played through, once a rule has asked.
        pausing: ``{sub-process: whether a run stops inside for somebody}``, as far as asked.
        duplicates: elements whose id was seen before.
        incoming, outgoing: ``{node: its sequence flows}``, by sourceRef and targetRef alone.
        definitions: ``{event: its event definitions}``, own and referred ones.
        boundaries: ``{activity: boundary events on it}``.
        content: ``{process or sub-process: nodes directly in it}``.
        associated: ``{element: elements joined to it by an association}``.
        flows_between: the message flows.
    """

    def __init__(self, root: Element, file: str, context: CheckContext) -> None:
        self.root = root
        self.file = file
        self.context = context
        self.together: dict[str, Document] = {file: self}
        self.world: World | None = None
        self.games: list[Game] | None = None
        self.pausing: dict[Element, bool] = {}
        self.all: list[Element] = []
        self.duplicates: list[Element] = []
        self._kind: dict[Element, str] = {}
        self._of_kind: dict[str, list[Element]] = defaultdict(list)
        self._by_id: dict[str, Element] = {}
        self.foreign_ids: set[str] = set()
        self.foreign: list[Element] = []
        for element in root.iter("*"):
            tag = str(element.tag)
            id = element.get("id")
            if not tag.startswith(BPMN):
                self.foreign.append(element)
                if id is not None:
                    self.foreign_ids.add(id)
                continue
            kind = tag[len(BPMN):]
            self._kind[element] = kind
            self._of_kind[kind].append(element)
            self.all.append(element)
            if id is None:
                continue
            if id in self._by_id:
                self.duplicates.append(element)
            else:
                self._by_id[id] = element
        self.flows_between = MessageFlows(root)
        self._connect()

    def _connect(self) -> None:
        self._extensions: dict[Element, list[Element]] = {}
        for holder in self.each("extensionElements"):
            around = holder.getparent()
            if around is not None:
                self._extensions.setdefault(around, [child for child in holder if isinstance(child.tag, str)])
        self.incoming: dict[Element, list[Element]] = defaultdict(list)
        self.outgoing: dict[Element, list[Element]] = defaultdict(list)
        self.source: dict[Element, Element | None] = {}
        self.target: dict[Element, Element | None] = {}
        for flow in self.each("sequenceFlow"):
            source, target = self.find(flow.get("sourceRef")), self.find(flow.get("targetRef"))
            self.source[flow], self.target[flow] = source, target
            if source is not None:
                self.outgoing[source].append(flow)
            if target is not None:
                self.incoming[target].append(flow)
        self.definitions: dict[Element, list[Element]] = {}
        self.boundaries: dict[Element, list[Element]] = defaultdict(list)
        for event in self.each(*EVENTS):
            own = [child for child in event if self.kind(child).endswith("EventDefinition")]
            for reference in self.children(event, "eventDefinitionRef"):
                referred = self.find(reference.text)
                if referred is not None and self.kind(referred).endswith("EventDefinition"):
                    own.append(referred)
            self.definitions[event] = own
        for boundary in self.each("boundaryEvent"):
            host = self.find(boundary.get("attachedToRef"))
            if host is not None:
                self.boundaries[host].append(boundary)
        self.nodes = list(self.each(*NODES))
        self.scopes = list(self.each("process", *SUB_PROCESSES))
        self.content = {scope: [node for node in scope if self.kind(node) in NODES] for scope in self.scopes}
        self.associated: dict[Element, list[Element]] = defaultdict(list)
        for association in self.each("association"):
            source, target = self.find(association.get("sourceRef")), self.find(association.get("targetRef"))
            if source is not None and target is not None:
                self.associated[source].append(target)
                self.associated[target].append(source)

    # -------------------------------------------------------------------------------------------------- the document itself
    def kind(self, element: Element | None) -> str:
        """Return the BPMN element name (``userTask``), or ``""`` for anything that is not BPMN."""
        return "" if element is None else self._kind.get(element, "")

    def each(self, *kinds: str) -> Iterator[Element]:
        """Yield the elements of these kinds, kind by kind in the order of their names."""
        for kind in sorted(kinds):
            yield from self._of_kind.get(kind, ())

    def find(self, reference: str | None) -> Element | None:
        """Return the element that an IDREF or QName means."""
        if reference is None:
            return None
        reference = reference.strip()
        element = self._by_id.get(reference)
        if element is None and ":" in reference:
            element = self._by_id.get(reference.split(":", 1)[1])
        return element

    def is_external(self, element: Element, reference: str | None) -> bool:
        """Whether a QName's prefix is bound to the namespace of another model, so that its target lives in another file."""
        if not reference or ":" not in reference:
            return False
        namespace = element.nsmap.get(reference.split(":", 1)[0])
        return namespace is not None and namespace not in (self.root.get("targetNamespace"), MODEL)

    def child(self, element: Element, kind: str) -> Element | None:
        return element.find(BPMN + kind)

    def children(self, element: Element, kind: str) -> list[Element]:
        return element.findall(BPMN + kind)

    def text(self, element: Element | None) -> str:
        return "" if element is None else (element.text or "").strip()

    # ---------------------------------------------------------------------------------------------------- what nodes mean
    def events(self, event: Element | None) -> list[str]:
        """Return what an event waits for or throws: ``["message"]``; empty for a none event."""
        return [] if event is None else [self.kind(each)[:-15] for each in self.definitions.get(event, ())]

    def message_names(self, holder: Element) -> set[str]:
        """Return the message that a message event definition, or a sending or receiving task, is about: its own, else those that
        its message flows bring it."""
        own = self.flows_between.message(holder.get("messageRef"))
        if own is not None:
            return {own}
        return next((names for _, found, names in self.flows_between.unnamed() if found is holder), set())

    def scope(self, element: Element | None) -> Element | None:
        """Return the process or sub-process that directly holds the element."""
        around = None if element is None else element.getparent()
        scopes = SUB_PROCESSES | {"process", "subChoreography", "choreography"}
        while around is not None and self.kind(around) not in scopes:
            around = around.getparent()
        return around

    def process(self, element: Element | None) -> Element | None:
        while element is not None and self.kind(element) != "process":
            element = element.getparent()
        return element

    def is_event_sub_process(self, node: Element) -> bool:
        return self.kind(node) in SUB_PROCESSES and node.get("triggeredByEvent") == "true"

    def is_compensation(self, node: Element) -> bool:
        return node.get("isForCompensation") == "true"

    def is_executable(self, element: Element) -> bool:
        process = self.process(element)
        return process is not None and process.get("isExecutable") == "true"

    def condition(self, flow: Element) -> Element | None:
        return self.child(flow, "conditionExpression")

    def is_default(self, flow: Element) -> bool:
        source = self.source.get(flow)
        return source is not None and bool(flow.get("id")) and source.get("default") == flow.get("id")

    def successors(self, node: Element) -> list[Element]:
        """Return the nodes that a token at `node` may come to next, boundary events among them."""
        targets = [target for flow in self.outgoing[node] if (target := self.target[flow]) is not None]
        return targets + self.boundaries.get(node, [])

    # ---------------------------------------------------------------------------------------------------------- extensions
    def extensions(self, element: Element) -> list[Element]:
        """Return the children of its extension elements."""
        return self._extensions.get(element, [])

    def camunda(self, element: Element, name: str) -> str:
        """Return the attribute `camunda:<name>`, stripped; ``""`` when it is missing."""
        return (element.get(CAMUNDA + name) or "").strip()

    def properties(self, element: Element) -> dict[str, Element]:
        """Return ``{name: camunda:property element}``."""
        found: dict[str, Element] = {}
        for container in self.extensions(element):
            if container.tag == f"{CAMUNDA}properties":
                for entry in container.iterfind(f"{CAMUNDA}property"):
                    found.setdefault((entry.get("name") or "").strip(), entry)
        return found

    def property(self, element: Element, name: str) -> str:
        """Return the value of a `camunda:property`, stripped; ``""`` when it is missing."""
        entry = self.properties(element).get(name)
        return "" if entry is None else (entry.get("value") or entry.text or "").strip()

    def line(self, element: Element) -> int:
        return source_line(element)
