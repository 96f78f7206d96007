"""The data of a diagram as variables: what each item is called, and what a data association moves.

An item is a variable of the scope it is declared in. References of a data object, in whatever state, are the same variable. Modelers
draw associations that name one end only; those illustrate and move nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from engine.bpmn.xml import BPMN

#: Kinds of elements that hold a value.
_ITEMS = ("dataInput", "dataOutput", "property", "inputDataItem", "outputDataItem")
STORES = frozenset({"dataStore", "dataStoreReference"})
#: How bpmn-js calls the property that it makes up as the end of an association with a whole activity.
PLACEHOLDER = "__targetRef_placeholder"
_STATE = re.compile(r"\s*\[[^\]]*\]$")


def item_names(root: etree._Element) -> dict[str, str]:
    """Return ``{id: variable}`` of every item: by its name, a data object also by that of a reference, else by its id."""
    references = list(root.iter(BPMN + "dataObjectReference"))
    labels: dict[str, str] = {}
    for reference in references:
        label = _STATE.sub("", _words(reference.get("name")))
        if label:
            labels.setdefault(_local(reference.get("dataObjectRef")), label)
    names: dict[str, str] = {}
    for element in root.iter(BPMN + "dataObject"):
        id = element.get("id", "")
        names[id] = _words(element.get("name")) or labels.get(id) or id
    for reference in references:
        id = reference.get("id", "")
        label = _STATE.sub("", _words(reference.get("name")))
        names[id] = names.get(_local(reference.get("dataObjectRef"))) or label or id
    for kind in _ITEMS:
        for element in root.iter(BPMN + kind):
            if element.get("name") != PLACEHOLDER:
                names[element.get("id", "")] = _words(element.get("name")) or element.get("id", "")
    names.pop("", None)
    return names


def declared(scope: etree._Element, names: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Yield (variable, whether it is a collection) of the properties, data objects, inputs and outputs of a process or sub-process."""
    specification = scope.find(BPMN + "ioSpecification")
    for element in (*scope, *(() if specification is None else specification)):
        if element.tag in (BPMN + "property", BPMN + "dataObject", BPMN + "dataInput", BPMN + "dataOutput"):
            name = names.get(element.get("id", "")) or _words(element.get("name"))
            if name and name != PLACEHOLDER:
                yield name, element.get("isCollection") == "true"


@dataclass(frozen=True, slots=True)
class Association:
    """What is drawn between two items. `sources`, `target`: ids; `assignments`: (from, to) texts."""

    sources: tuple[str, ...]
    target: str
    transformation: str
    assignments: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, element: etree._Element) -> Association:
        def text(holder: etree._Element, tag: str) -> str:
            return (holder.findtext(BPMN + tag) or "").strip()

        return cls(
            sources=tuple(_local(each.text) for each in element.iterchildren(BPMN + "sourceRef")),
            target=_local(text(element, "targetRef")), transformation=text(element, "transformation"),
            assignments=tuple((text(each, "from"), text(each, "to")) for each in element.iterchildren(BPMN + "assignment")))

    def moves(self, elements: Mapping[str, etree._Element]) -> bool:
        """Whether it says what is to be moved where; else it illustrates."""
        target = elements.get(self.target)
        to_something = bool(self.target) and (target is None or target.get("name") != PLACEHOLDER)
        return bool(self.transformation or self.assignments or self.sources) and (to_something or bool(self.assignments))

    def stores(self, elements: Mapping[str, etree._Element]) -> list[str]:
        """Return its ends that are data stores."""
        found = [elements.get(id) for id in (*self.sources, self.target)]
        return [each.get("id", "") for each in found if each is not None and str(each.tag).removeprefix(BPMN) in STORES]


def target_path(text: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variable, and the entries inside it, that the `to` of an assignment names; () when it names none.

    The first part may be an id or a name of an item, or any variable.
    """
    text = _words(text.removeprefix("="))
    known = [name for name in (*names, *names.values()) if text == name or text.startswith(f"{name}.")]
    first = max(known, key=len, default=text.split(".")[0])
    rest = text[len(first) + 1:].split(".") if len(text) > len(first) else []
    if (not known and not first.isidentifier()) or not all(part.isidentifier() for part in rest):
        return ()
    return names.get(first, first), *rest


def _words(text: str | None) -> str:
    return " ".join((text or "").split())


def _local(reference: str | None) -> str:
    """An id without the prefix of a QName."""
    return (reference or "").strip().split(":")[-1]
