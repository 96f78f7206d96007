"""What the process catalogue asks of each process of the library, and what of it a process lacks.

``python -m tests.processes.catalogue bid_pricing …`` lists it (all core processes without names). The catalogue lies beside the
repository, in ``../shared/domain/processes.json``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

from engine.forms import Component, read_form

PROCESSES = Path(__file__).parents[2] / "processes"
CATALOGUE = Path(__file__).parents[3] / "shared" / "domain" / "processes.json"
_BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
_CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
_CATCHES = frozenset(["intermediateCatchEvent", "boundaryEvent", "startEvent", "receiveTask"])
_WORK = frozenset(["serviceTask", "sendTask", "scriptTask", "businessRuleTask", "intermediateThrowEvent", "endEvent"])
#: ``{element as the catalogue names it: what may stand for it in a diagram}``. Machine work may be done by any kind of machine task.
#: What a person does in the world, or in a system that nothing connects to this one (a letter, a buyer's platform, a bank), may be
#: a user task that asks for the evidence.
_STANDS_FOR = {
    "userTask": {"userTask"},
    "callActivity": {"callActivity"},
    "businessRuleTask": _WORK,
    "serviceTask": _WORK | {"userTask"},
    "scriptTask": _WORK,
    "sendTask": _WORK | {"userTask"},
    "manualTask": {"manualTask", "userTask"},
    "receiveTask": _CATCHES,
    "messageEvent": _CATCHES,
    "interruptingBoundaryMessage": _CATCHES,
    "intermediateTimerCatchEvent": _CATCHES,
    "startEvent": {"startEvent"},
    "endEvent": {"endEvent"},
    "exclusiveGateway": {"exclusiveGateway", "inclusiveGateway"},
    "parallelGateway": {"parallelGateway", "inclusiveGateway"},
    "eventBasedGateway": {"eventBasedGateway"},
}


#: Where the catalogue has a machine compare, and a second person does it: not the role whose work is compared.
_BY_ANOTHER = {("psm070_contract_text", "consistency_check"): "presale_coordinator"}


@cache
def core() -> dict[str, dict[str, Any]]:
    """Return ``{process id: its entry}`` of the catalogue's core processes."""
    return {p["id"]: p for p in json.loads(CATALOGUE.read_text("utf-8")) if p["priority"] == "core"}


def lacking(key: str) -> list[str]:
    """Return what a process of the library lacks, a line each; empty when it is as the catalogue says."""
    return list(_lacking(core()[key]))


def _lacking(entry: dict[str, Any]) -> Iterator[str]:
    key, folder = entry["id"], PROCESSES / entry["id"]
    diagram = folder / f"{key}.bpmn"
    if not diagram.exists():
        yield f"{diagram.name} is not there"
        return
    root = etree.fromstring(diagram.read_bytes())
    process = root.find(f"{_BPMN}process[@id='{key}']")
    if process is None:
        yield f"no process with the id {key}"
        return
    if "占位" in etree.tostring(process, encoding="unicode"):
        yield "it is a stub"
    if (name := entry["name"].partition("(")[0]) not in process.get("name", ""):
        yield f"its name is {process.get('name')}, not {name}"
    nodes = {e.get("id"): e for e in process.iter() if isinstance(e.tag, str) and e.get("id")}
    lanes = {(ref.text or "").strip(): lane.get("id", "") for lane in process.iter(f"{_BPMN}lane") for ref in lane.findall(f"{_BPMN}flowNodeRef")}
    for step in entry["steps"]:
        node = nodes.get(step["id"])
        if node is None:
            yield f"{step['id']} ({step['element']} {step['label']}) is not there"
            continue
        kind = etree.QName(node).localname
        if kind not in _STANDS_FOR[step["element"]]:
            yield f"{step['id']} is a {kind}, not a {step['element']}"
        if step["lane"] is not None:
            yield from _not_in_its_lane({**step, "lane": _BY_ANOTHER.get((key, step["id"]), step["lane"])}, node, lanes)
        if step["form"]:
            yield from _form_lacks(key, step, node)
    for decision in entry["decisions"]:
        yield from _decision_lacks(folder, decision["head"])
    if entry["timers"] and not (list(process.iter(f"{_BPMN}timerEventDefinition")) or _is_due(process)):
        yield "it has no timer, deadline or due date"


def _is_due(process: etree._Element) -> bool:
    named = {p.get("name") for p in process.iter(f"{_CAMUNDA}property")}
    return bool({"workingDue", "deadline"} & named) or any(t.get(f"{_CAMUNDA}dueDate") for t in process.iter(f"{_BPMN}userTask"))


def _not_in_its_lane(step: dict[str, Any], node: etree._Element, lanes: dict[str, str]) -> Iterator[str]:
    """A node inside a sub-process lies where the sub-process does; a user task there is at least offered to the role."""
    here: etree._Element | None = node
    while here is not None and here.get("id") not in lanes:
        here = here.getparent()
    lane = lanes.get(here.get("id", ""), "") if here is not None else ""
    if lane == f"lane_{step['lane']}":
        return
    offered = {g.strip() for g in node.get(f"{_CAMUNDA}candidateGroups", "").split(",")}
    if here is not node and (step["lane"] in offered or etree.QName(node).localname != "userTask"):
        return
    yield f"{step['id']} lies in {lane or 'no lane'}, not in lane_{step['lane']}"


def _form_lacks(key: str, step: dict[str, Any], node: etree._Element) -> Iterator[str]:
    form_id = node.get(f"{_CAMUNDA}formKey") or next((p.get("value", "") for p in node.iter(f"{_CAMUNDA}property") if p.get("name") == "form"), "")
    file = PROCESSES / form_id.partition(".")[0] / "forms" / f"{form_id.partition('.')[2]}.form"
    if not form_id or not file.exists():
        yield f"{step['id']} has no form"
        return
    inputs = {c.key: c for c in _inputs(read_form(file.read_bytes(), file.name).components)}
    for field in step["form"]:
        ends = {f"{field['field']}_min", f"{field['field']}_max"}  # of a range
        if field["field"] not in inputs and not (field["type"] == "range" and ends <= inputs.keys()):
            yield f"{step['id']}: the form has no field {field['field']} ({field['label']}, {field['type']})"


def _inputs(components: tuple[Component, ...]) -> Iterator[Component]:
    for component in components:
        yield component
        if component.type == "group":
            yield from _inputs(component.components)


def _decision_lacks(folder: Path, head: str) -> Iterator[str]:
    """`head`: ``dmn_id|HIT POLICY|inputs=>outputs``."""
    name = head.partition("|")[0].strip()
    file = next(iter(PROCESSES.glob(f"*/decisions/{name}.dmn")), None)
    if file is None:
        yield f"the decision {name} is not there"
    elif not re.search(rf'<decision [^>]*id="{name}"|<[a-z]+:decision [^>]*id="{name}"', file.read_text("utf-8")):
        yield f"{file.name} has no decision {name}"


def main(keys: list[str]) -> int:
    found = {key: lacking(key) for key in keys or sorted(core())}
    for key, lines in found.items():
        print(f"{key}: {'as the catalogue says' if not lines else ''}")
        for line in lines:
            print(f"  {line}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
