"""Says how two versions of a diagram differ in meaning, by element id; what only moved on the canvas is told apart.

Every attribute of any namespace and every nested value counts (timers, conditions, extension fields), addressed by its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
CAMUNDA = "http://camunda.org/schema/1.0/bpmn"
_DI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
#: Elements that a reader sees as things of their own, besides tasks, events, gateways and sub-processes.
_OWNERS = frozenset({
    "process", "collaboration", "participant", "lane", "sequenceFlow", "messageFlow", "association", "textAnnotation", "group",
    "dataObjectReference", "dataStoreReference", "dataObject", "message", "signal", "error", "escalation", "callActivity",
    "subProcess", "adHocSubProcess", "transaction",
})
_OWNER_ENDS = ("Task", "task", "Event", "Gateway")
#: Said by the flows and lanes themselves, or by nothing but the drawing.
_SAID_ELSEWHERE = frozenset({"incoming", "outgoing"})


class Kind(StrEnum):
    """In the order in which they are listed."""

    REMOVED = "removed"
    ADDED = "added"
    CHANGED = "changed"
    LAYOUT = "layout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One value that changed. `path`: ``timerEventDefinition/timeDuration``, ``camunda:assignee``; None: was not there."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    kind: Kind
    id: str
    name: str
    type: str
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class _Element:
    type: str
    name: str
    facts: Mapping[str, str]


def parse(xml: bytes) -> etree._Element:
    """Return the root of a diagram, read without entities and network.

    Raises:
        etree.XMLSyntaxError: not XML.
    """
    return etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False))


def differences(old: bytes, new: bytes) -> tuple[Change, ...]:
    """Return every change from `old` to `new`, those of meaning first."""
    (before, drawn_before), (after, drawn_after) = _index(old), _index(new)
    changes = [Change(kind=Kind.REMOVED, id=i, name=before[i].name, type=before[i].type) for i in before.keys() - after.keys()]
    changes += [Change(kind=Kind.ADDED, id=i, name=after[i].name, type=after[i].type) for i in after.keys() - before.keys()]
    for i in before.keys() & after.keys():
        was, now = {**before[i].facts, "type": before[i].type}, {**after[i].facts, "type": after[i].type}
        changed = tuple(
            Attribute(path=p, old=was.get(p), new=now.get(p)) for p in sorted(was.keys() | now.keys()) if was.get(p) != now.get(p)
        )
        if changed:
            changes.append(Change(kind=Kind.CHANGED, id=i, name=after[i].name, type=after[i].type, attributes=changed))
        elif drawn_before.get(i) != drawn_after.get(i):
            changes.append(Change(kind=Kind.LAYOUT, id=i, name=after[i].name, type=after[i].type))
    order = list(Kind)
    return tuple(sorted(changes, key=lambda c: (order.index(c.kind), c.type, c.id)))


def _is_owner(element: etree._Element) -> bool:
    tag = etree.QName(element)
    if tag.namespace != BPMN or not element.get("id"):
        return False
    return tag.localname in _OWNERS or tag.localname.endswith(_OWNER_ENDS)


def _short(element: etree._Element, name: str) -> str:
    """Return an attribute or tag name with the prefix its author used."""
    tag = etree.QName(name)
    if tag.namespace in (None, BPMN):
        return tag.localname
    prefix = next((p for p, uri in element.nsmap.items() if uri == tag.namespace and p), None)
    return f"{prefix or tag.namespace}:{tag.localname}"


def _index(xml: bytes) -> tuple[dict[str, _Element], dict[str, object]]:
    root = parse(xml)
    elements: dict[str, _Element] = {}
    for element in root.iter("*"):
        if _is_owner(element):
            facts: dict[str, str] = {}
            _collect(element, "", facts)
            identifier, tag = str(element.get("id")), etree.QName(element).localname
            elements[identifier] = _Element(tag, element.get("name") or "", facts)
    drawn: dict[str, object] = {}
    for shape in root.iter(f"{_DI}BPMNShape", f"{_DI}BPMNEdge"):
        places = tuple(tuple(sorted(e.attrib.items())) for e in shape.iter() if str(e.tag).endswith(("}Bounds", "}waypoint")))
        drawn[str(shape.get("bpmnElement"))] = (tuple(sorted((k, v) for k, v in shape.attrib.items() if k != "id")), places)
    return elements, drawn


def _collect(element: etree._Element, path: str, facts: dict[str, str]) -> None:
    """Write ``{path: value}`` for everything that belongs to the element itself into `facts`."""
    for name, value in element.attrib.items():
        if not (path == "" and name == "id"):
            facts[f"{path}/@{_short(element, str(name))}" if path else _short(element, str(name))] = str(value)
    text = " ".join((element.text or "").split())
    if text:
        facts[path or "."] = text
    seen: dict[str, int] = {}
    for child in element.iterchildren("*"):
        if _is_owner(child):
            continue
        tag = _short(child, child.tag)
        if tag in _SAID_ELSEWHERE:
            continue
        # Named things (a property, a lane's node) are addressed by what they are, not by where they stand.
        named = child.get("name") or ((child.text or "").strip() if tag == "flowNodeRef" else None)
        seen[tag] = seen.get(tag, 0) + 1
        step = f"{tag}[{named}]" if named else f"{tag}[{seen[tag]}]" if seen[tag] > 1 else tag
        _collect(child, f"{path}/{step}" if path else step, facts)
