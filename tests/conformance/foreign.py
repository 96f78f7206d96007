"""Diagrams of others, made ready for this engine, and what their runners want to know of a run.

Only the texts of foreign implementations are translated (what they do, never the structure): a script that waits or raises becomes
a job of that work, a service task without a job type one that is done at once, for plain FEEL can do none of these; what names
program code (classes, delegates, listeners, scripts in other languages) is left out, for that code is not there; a message that
code would send goes to nobody; roles of other houses become one of ours. A file that does not say of any process whether it is
executable means that all are.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from engine import events as log

CONFORMANCE = Path(__file__).resolve().parents[3] / "shared" / "conformance"
if str(CONFORMANCE) not in sys.path:
    sys.path.insert(0, str(CONFORMANCE))

_interface = importlib.import_module("adapter")  # the runners' own modules lie outside this repository
Adapter: Any = _interface.Adapter
DeployError: Any = _interface.DeployError
translate: Any = importlib.import_module("translate")

#: How the runners translate scripts and conditions for this engine.
DIALECT = {"quote_timers": False, "script": "feel", "expr": "feel", "juel": True}
#: The role that starts every process and does every task.
ROLE = "presale_engineer"

MODEL = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
#: Where program code is named, as attributes and as extension elements.
_CODE = ("class", "expression", "delegateExpression", "resource")
_HOOKS = frozenset(CAMUNDA + name for name in ("executionListener", "taskListener", "field", "connector", "validation"))
#: Script languages that are read as they are, after the runners' translation.
_READ = frozenset({None, "", "feel", "FEEL"})
#: Script languages in which conditions are written as in JUEL.
_SCRIPTS = frozenset({"groovy", "javascript", "ecmascript"})
_RELATED = ("{http://activiti.org/bpmn}", "{http://flowable.org/bpmn}", "{http://www.omg.org/spec/BPMN/20100524/CAMUNDA}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file made ready. `scripts`: ids of its script tasks, `loops`: of those the looping ones; `topics`: its job types."""

    xml: bytes
    scripts: frozenset[str]
    loops: frozenset[str]
    topics: frozenset[str]


def prepared(xml: bytes) -> Prepared:
    """Return the file with foreign implementations translated."""
    tree = etree.fromstring(xml)
    scripts: set[str] = set()
    loops: set[str] = set()
    processes = list(tree.iter(MODEL + "process"))
    if not any(process.get("isExecutable") for process in processes):
        for process in processes:
            process.set("isExecutable", "true")
    for node in list(tree.iter()):
        if not isinstance(node.tag, str):
            continue
        if node.tag.startswith(_RELATED):  # the vocabularies that Camunda's grew out of
            node.tag = CAMUNDA + node.tag.split("}")[1]
        for attribute in [a for a in node.attrib if a.startswith(_RELATED)]:
            node.set(CAMUNDA + attribute.split("}")[1], node.attrib.pop(attribute))
        name = node.tag.removeprefix(MODEL)
        parent = node.getparent()
        if node.tag in _HOOKS and parent is not None:
            parent.remove(node)
            continue
        is_code = [node.attrib.pop(CAMUNDA + each, None) for each in _CODE]
        if any(is_code) and name == "messageEventDefinition" and not node.get("messageRef"):
            node.set("messageRef", f"_sent{len(tree)}")
            tree.insert(0, etree.Element(MODEL + "message", id=node.get("messageRef"), name=node.get("messageRef")))
        node.attrib.pop(CAMUNDA + "formKey", None)  # a form that is not there
        if name in ("conditionExpression", "condition") and node.attrib.pop("language", "").lower() in _SCRIPTS:
            node.text = "${" + (node.text or "").strip() + "}"  # their operators are Java's, as those of JUEL are
        if name == "process":
            node.set(CAMUNDA + "candidateStarterGroups", ROLE)
        elif name == "userTask":
            node.set(CAMUNDA + "candidateGroups", ROLE)
        elif name == "scriptTask":
            scripts.add(node.get("id"))
            if any(str(child.tag).endswith("LoopCharacteristics") for child in node):
                loops.add(node.get("id"))
            found = node.find(MODEL + "script")
            text = ("" if found is None else found.text or "").strip()
            raised = re.fullmatch(r'raise_bpmn_error\("(.*)"\)', text)
            waited = re.fullmatch(r"wait_seconds\((\d+)\)", text)
            if raised or waited or not text or node.get("scriptFormat") not in _READ:
                node.tag = MODEL + "serviceTask"
                topic = f"error.{raised[1]}" if raised else f"wait.{waited[1]}" if waited else "auto"
                node.set(CAMUNDA + "topic", topic)
                node.attrib.pop("scriptFormat", None)
                if found is not None:
                    node.remove(found)
            elif not node.get("scriptFormat"):
                node.set("scriptFormat", "feel")
        elif name in ("serviceTask", "businessRuleTask") and not node.get(CAMUNDA + "topic"):
            if not node.get(CAMUNDA + "decisionRef"):
                _do_at_once(node)
        elif (name == "sendTask" and not node.get("messageRef") and not node.get(CAMUNDA + "topic")
              and not any(str(child.tag).endswith("EventDefinition") for child in node)):
            _do_at_once(node)
    topics = frozenset(topic for node in tree.iter() if isinstance(node.tag, str) and (topic := node.get(CAMUNDA + "topic")))
    return Prepared(etree.tostring(tree), frozenset(scripts), frozenset(loops), topics)


def _do_at_once(node: Any) -> None:
    for each in ("type", "resultVariable", "resultVariableName"):
        node.attrib.pop(CAMUNDA + each, None)
    node.set(CAMUNDA + "topic", "auto")


@dataclass(slots=True)
class Trace:
    """What the events of all instances tell the runners.

    Attributes:
        scripts, loops: as in `Prepared`, of all files together.
        done: ids of completed script tasks, in order; of a loop one entry for each turn.
        escaped: errors and escalations that nobody caught, ``[(kind, code)]``.
    """

    scripts: frozenset[str] = frozenset()
    loops: frozenset[str] = frozenset()
    done: list[str] = field(default_factory=list)
    escaped: list[tuple[str, str]] = field(default_factory=list)
    _hosts: set[tuple[Hashable, int]] = field(default_factory=set)

    def covers(self, file: Prepared) -> None:
        self.scripts |= file.scripts
        self.loops |= file.loops

    def see(self, instance: Hashable, event: object) -> None:
        """Take in the next event of an instance."""
        match event:
            case log.ActivityStarted() if event.element in self.loops and event.host is None:
                self._hosts.add((instance, event.token))
            case log.ActivityCompleted() if event.element in self.scripts and (instance, event.token) not in self._hosts:
                self.done.append(event.element)
            case log.ErrorThrown(caught_by=None):
                self.escaped.append(("error", event.code))
            case log.EscalationThrown(caught_by=None):
                self.escaped.append(("escalation", event.code))
