"""Writes small BPMN files without a diagram: what stands where is what the tests are about, so nothing here says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

_SPECIALS = {
    "user": "userTask",
    "service": "serviceTask",
    "script": "scriptTask",
    "rule": "businessRuleTask",
    "send": "sendTask",
    "receive": "receiveTask",
    "call": "callActivity",
    "start": "startEvent",
    "end": "endEvent",
    "catch": "intermediateCatchEvent",
    "throw": "intermediateThrowEvent",
    "boundary": "boundaryEvent",
    "xor": "exclusiveGateway",
    "and": "parallelGateway",
    "or": "inclusiveGateway",
    "sub": "subProcess",
}


@dataclass
class _Element:
    tag: str
    id: str
    name: str
    lane: str
    attributes: dict[str, str]
    inner: str
    children: Sketch | None = None


@dataclass
class Sketch:
    """A process or sub-process. Nodes stand in the lane given, or else in that of the node before."""

    name: str = ""
    lanes: list[str] = field(default_factory=list)
    _elements: list[_Element] = field(default_factory=list)
    _flows: list[str] = field(default_factory=list)
    _count: int = 0

    def nodes(self, text: str) -> Sketch:
        """Add a node a line: ``kind id name @lane``; ``kind!definition`` for events, ``boundary!timer?host`` (``~`` before the
        host: not interrupting), ``start~!timer`` likewise. Underscores in names stand for spaces."""
        for line in filter(None, map(str.strip, text.splitlines())):
            words = line.split()
            lane = words.pop()[1:] if words[-1].startswith("@") else self._elements[-1].lane if self._elements else ""
            kind, id_, *rest = words
            kind, _, host = kind.partition("?")
            kind, _, definition = kind.partition("!")
            attributes: dict[str, str] = {}
            if kind.endswith("~"):
                kind, attributes = kind[:-1], {"isInterrupting": "false"}
            if host:
                attributes = {"attachedToRef": host.strip("~")} | ({"cancelActivity": "false"} if "~" in host else {})
            inner = f'<{definition}EventDefinition id="{id_}_definition"/>' if definition else ""
            if kind == "call":
                attributes["calledElement"] = "other"
            tag = _SPECIALS.get(kind, kind)
            self._elements.append(_Element(tag, id_, " ".join(rest).replace("_", " "), lane, attributes, inner))
        return self

    def sub(self, id_: str, name: str, inside: Sketch, lane: str = "", event: bool = False) -> Sketch:
        """Add an expanded sub-process; `event`: one that an event starts."""
        attributes = {"triggeredByEvent": "true"} if event else {}
        lane = lane or (self._elements[-1].lane if self._elements else "")
        self._elements.append(_Element("subProcess", id_, name, lane, attributes, "", inside))
        return self

    def flows(self, text: str) -> Sketch:
        """Add flows, a chain a line: ``a > b > c : label``."""
        self._flows += [line for line in map(str.strip, text.splitlines()) if line]
        return self

    def raw(self, text: str) -> Sketch:
        """Add XML of the process as it is."""
        self._elements.append(_Element("", "", "", "", {}, text))
        return self

    def body(self, prefix: str = "") -> str:
        """Return what is inside the process element."""
        lines = []
        if self.lanes:
            lines.append(f'<laneSet id="{prefix}lanes">')
            for lane in self.lanes:
                refs = "".join(f"<flowNodeRef>{e.id}</flowNodeRef>" for e in self._elements if e.lane == lane and e.id)
                lines.append(f'<lane id="lane_{lane}" name="{lane}">{refs}</lane>')
            lines.append("</laneSet>")
        for e in self._elements:
            if not e.tag:
                lines.append(e.inner)
                continue
            more = "".join(f' {key}="{value}"' for key, value in e.attributes.items())
            name = f' name="{escape(e.name)}"' if e.name else ""
            inner = e.inner + (e.children.body(f"{e.id}_") if e.children else "")
            lines.append(f'<{e.tag} id="{e.id}"{name}{more}>{inner}</{e.tag}>')
        count = 0
        for line in self._flows:
            chain, _, label = line.partition(" : ")
            ends = [one.strip() for one in chain.split(" > ")]
            for k, (a, b) in enumerate(pairwise(ends)):
                count += 1
                name = f' name="{escape(label.strip())}"' if label and k == len(ends) - 2 else ""
                lines.append(f'<sequenceFlow id="{prefix}flow_{count}"{name} sourceRef="{a}" targetRef="{b}"/>')
        return "\n    ".join(lines)

    def xml(self, after: str = "") -> bytes:
        """Return the file: the process, in a pool if it has lanes; `after`: XML of more root elements."""
        participant = f'<participant id="pool" name="{self.name}" processRef="process"/>'
        pool = f'<collaboration id="collaboration">{participant}</collaboration>'
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="definitions" targetNamespace="t">\n'
            f"  {pool if self.lanes else ''}\n"
            f'  <process id="process" name="{self.name}" isExecutable="true">\n    {self.body()}\n  </process>{after}\n'
            "</definitions>\n"
        ).encode()
