"""Drives the engine through cases that others wrote (`../shared/conformance`): the runners' adapter interface on the core.

Every command starts from the stored bytes, so each instance is saved and reloaded at every wait state. The texts of foreign
scripts are translated (what they do, never the structure): a script that waits or raises becomes a job of that work, a service
task without a job type becomes a job that is done at once, for plain FEEL can do none of these.
"""

from __future__ import annotations

import importlib
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from lxml import etree

from engine import events as log
from engine.bpmn import Definition, advance, compile_definition, describe, open_elements, visible_variables
from engine.bpmn.check import check
from engine.errors import EngineError
from engine.model import (
    BroadcastSignal,
    Command,
    CompleteJob,
    CompleteUserTask,
    CorrelateMessage,
    FireTimers,
    InstanceStatus,
    NewJob,
    SetVariables,
    Severity,
    Source,
    StartInstance,
    Step,
    SubscriptionKind,
    ThrowBpmnError,
)

CONFORMANCE = Path(__file__).resolve().parents[3] / "shared" / "conformance"
if str(CONFORMANCE) not in sys.path:
    sys.path.insert(0, str(CONFORMANCE))

_interface = importlib.import_module("adapter")  # the runners': Adapter, DeployError
Adapter: Any = _interface.Adapter
DeployError: Any = _interface.DeployError

MODEL = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
_RELATED = ("{http://activiti.org/bpmn}", "{http://flowable.org/bpmn}", "{http://www.omg.org/spec/BPMN/20100524/CAMUNDA}")
_START = datetime(2026, 1, 1, tzinfo=UTC)


def prepared(xml: bytes) -> tuple[bytes, frozenset[str], frozenset[str]]:
    """Return the file with foreign implementations translated, the ids of its script tasks, and of those the looping ones."""
    tree = etree.fromstring(xml)
    scripts: set[str] = set()
    loops: set[str] = set()
    for node in list(tree.iter()):
        if not isinstance(node.tag, str):
            continue
        for attribute in [a for a in node.attrib if a.startswith(_RELATED)]:  # the vocabularies that Camunda's grew out of
            node.set(CAMUNDA + attribute.split("}")[1], node.attrib[attribute])
        name = node.tag.removeprefix(MODEL)
        if name == "scriptTask":
            scripts.add(node.get("id"))
            if any(str(child.tag).endswith("LoopCharacteristics") for child in node):
                loops.add(node.get("id"))
            found = node.find(MODEL + "script")
            text = ("" if found is None else found.text or "").strip()
            raised = re.fullmatch(r'raise_bpmn_error\("(.*)"\)', text)
            waited = re.fullmatch(r"wait_seconds\((\d+)\)", text)
            if raised or waited or not text:
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
                node.set(CAMUNDA + "topic", "auto")
                node.attrib.pop(CAMUNDA + "type", None)
        elif (name == "sendTask" and not node.get("messageRef") and not node.get(CAMUNDA + "topic")
              and not any(str(child.tag).endswith("EventDefinition") for child in node)):
            node.set(CAMUNDA + "topic", "auto")
            node.attrib.pop(CAMUNDA + "type", None)
    return etree.tostring(tree), frozenset(scripts), frozenset(loops)


class Instance:
    def __init__(self, definition: Definition, number: int) -> None:
        self.definition, self.number = definition, number
        self.state: bytes = b""
        self.status = InstanceStatus.ACTIVE
        self.step: Step | None = None
        self.jobs: dict[int, tuple[datetime, NewJob]] = {}
        self.incidents: dict[int, log.IncidentOpened] = {}
        self.hosts: set[int] = set()

    @property
    def detail(self) -> str | None:
        found = [f"{i.element}: {i.kind}: {i.message}" for i in self.incidents.values() if i.kind not in ("bpmn_error", "stuck")]
        return "; ".join(found) or None

    @property
    def is_live(self) -> bool:
        return self.status in (InstanceStatus.ACTIVE, InstanceStatus.SUSPENDED)


class CoreAdapter(Adapter):  # type: ignore[misc]
    """`--adapter tests.conformance.adapter:CoreAdapter`"""

    name = "psmflow core"
    dialect: ClassVar = {"quote_timers": False, "script": "feel", "expr": "feel", "juel": True}

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.now = _START
        self.definitions: dict[str, Definition] = {}
        self.found: list[Instance] = []
        self._trace: list[str] = []
        self._escaped: list[tuple[str, str]] = []
        self._intervals: dict[str, list[tuple[datetime, datetime]]] = {}
        self.scripts: frozenset[str] = frozenset()
        self.loops: frozenset[str] = frozenset()

    def load(self, xml: bytes, name: str = "x.bpmn", extra: tuple[bytes, ...] = ()) -> None:
        self._reset()
        sources: list[Source] = []
        files = {f"{n}-{name}": prepared(document)[0] for n, document in enumerate((xml, *extra))}
        # A join that can get stuck is no fault of the language: deployments refuse it, the cases want to see it stuck.
        refused = [f for f in check(files) if f.severity is not Severity.WARNING and f.rule != "FLOW-DEADLOCK"]
        if refused:
            raise DeployError("; ".join(f"{f.rule} {f.element} (line {f.line}): {f.en}" for f in refused))
        try:
            for document in (xml, *extra):
                ready, scripts, loops = prepared(document)
                self.scripts |= scripts
                self.loops |= loops
                sources += [Source(key=info.key, version=1, xml=ready) for info in describe(ready)]
            for source in sources:
                self.definitions[source.key] = compile_definition(source.key, sources, zone="UTC")
        except (EngineError, etree.XMLSyntaxError) as exc:
            raise DeployError(str(exc)) from exc
        if not self.definitions:
            raise DeployError("no executable process")

    def process_ids(self) -> list[str]:
        return list(self.definitions)

    # ------------------------------------------------------------------------------------------------------------ commands
    def start(
        self, process_id: str, variables: dict[str, Any] | None = None, start_event: str | None = None
    ) -> Instance:
        if process_id not in self.definitions:
            raise DeployError(f"no process {process_id}")
        instance = Instance(self.definitions[process_id], len(self.found))
        self.found.append(instance)
        self._send(instance, StartInstance(variables=variables or {}, start_event=start_event))
        self._settle()
        return instance

    def _send(self, instance: Instance, command: Command) -> Step:
        step = advance(instance.definition, instance.state or None, command, self.now)
        instance.state, instance.status, instance.step = step.state, step.status, step
        for event in step.events:
            match event:
                case log.ActivityStarted() if event.element in self.loops and event.host is None:
                    instance.hosts.add(event.token)
                case log.ActivityCompleted() if event.element in self.scripts and event.token not in instance.hosts:
                    self._trace.append(event.element)
                case log.ErrorThrown(caught_by=None):
                    self._escaped.append(("error", event.code))
                case log.EscalationThrown(caught_by=None):
                    self._escaped.append(("escalation", event.code))
                case log.IncidentOpened():
                    instance.incidents[event.token] = event
                case log.IncidentResolved():
                    instance.incidents.pop(event.token, None)
                case log.JobCancelled():
                    instance.jobs.pop(event.token, None)
        for job in step.jobs:
            seconds = int(job.type[5:]) if job.type.startswith("wait.") else 0
            instance.jobs[job.token] = self.now + timedelta(seconds=seconds), job
        for thrown in step.thrown:
            self._route(thrown.kind, thrown.name, dict(thrown.payload), besides=instance)
        return step

    def _settle(self) -> None:
        """Do the jobs; one that takes time lets it pass, and timers that are due meanwhile fire first."""
        while True:
            waiting = [(due, i.number, token) for i in self.found for token, (due, _) in i.jobs.items()]
            if not waiting:
                return
            due, number, token = min(waiting)
            timers = [t.due_at for i in self.found if i.is_live and i.step for t in i.step.timers]
            if timers and min(timers) <= due:
                self.now = max(self.now, min(timers))
                self._fire_due()
                continue
            instance = self.found[number]
            began = self.now
            self.now = max(self.now, due)
            _, job = instance.jobs.pop(token)
            if job.type.startswith("error."):
                self._send(instance, ThrowBpmnError(token=job.token, code=job.type[6:]))
            else:
                if job.type.startswith("wait."):
                    began = due - timedelta(seconds=int(job.type[5:]))
                    self._intervals.setdefault(job.element, []).append((began, due))
                self._send(instance, CompleteJob(token=job.token))

    def _fire_due(self) -> None:
        for instance in list(self.found):
            if instance.is_live and instance.step and any(t.due_at <= self.now for t in instance.step.timers):
                self._send(instance, FireTimers())

    def _route(
        self, kind: SubscriptionKind, name: str, payload: dict[str, Any], besides: Instance | None = None
    ) -> int:
        hits = 0
        for instance in list(self.found):
            if instance is besides or not instance.is_live or instance.step is None:
                continue
            waiting = [s for s in instance.step.subscriptions if s.kind is kind and s.name == name]
            if not waiting:
                continue
            hits += 1
            if kind is SubscriptionKind.MESSAGE:
                self._send(instance, CorrelateMessage(name=name, token=waiting[0].token, payload=payload))
                return hits
            self._send(instance, BroadcastSignal(name=name, payload=payload))
        for key, definition in self.definitions.items():
            for start in definition.root.starts:
                events = getattr(definition.root.task_specs[start], "definitions", ())
                if any(event.kind == kind and event.wanted == name for event in events):
                    self.start(key, payload, start)
                    hits += 1
                    if kind is SubscriptionKind.MESSAGE:
                        return hits
        return hits

    def deliver(self, kind: str, name: str, payload: dict[str, Any] | None = None, inst: Instance | None = None) -> int:
        hits = self._route(SubscriptionKind(kind), name, payload or {})
        self._settle()
        return hits

    def run(self, seconds: float = 0) -> None:
        self._settle()
        end = self.now + timedelta(seconds=seconds)
        while seconds:
            timers = [t.due_at for i in self.found if i.is_live and i.step for t in i.step.timers]
            if not timers or min(timers) >= end:
                break
            self.now = max(self.now, min(timers))
            self._fire_due()
            self._settle()
        self.now = max(self.now, end)

    def fire_timer(self) -> bool:
        timers = [t.due_at for i in self.found if i.is_live and i.step for t in i.step.timers]
        if not timers:
            return False
        self.now = max(self.now, min(timers))
        self._fire_due()
        self._settle()
        return True

    def trigger(self, inst: Instance, element_id: str) -> bool:
        if inst.step is None or not inst.is_live:
            return False
        for waiting in inst.step.subscriptions:
            if waiting.element == element_id:
                if waiting.kind is SubscriptionKind.MESSAGE:
                    self._send(inst, CorrelateMessage(name=waiting.name, token=waiting.token))
                else:
                    self._send(inst, BroadcastSignal(name=waiting.name))
                self._settle()
                return True
        for timer in inst.step.timers:
            if timer.element == element_id:
                self.now = max(self.now, timer.due_at)
                self._send(inst, FireTimers())
                self._settle()
                return True
        return False

    def set_variables(self, inst: Instance, variables: dict[str, Any]) -> None:
        self._send(inst, SetVariables(values=variables))
        self._settle()

    def complete(self, inst: Instance, element_id: str, variables: dict[str, Any] | None = None) -> bool:
        if not inst.is_live:
            return False
        for found in open_elements(inst.definition, inst.state):
            if found.element == element_id and found.kind == "userTask" and found.state == "ready":
                self._send(inst, CompleteUserTask(token=found.token, values=variables or {}))
                self._settle()
                return True
        return False

    # ------------------------------------------------------------------------------------------------------------- looking
    def active(self, inst: Instance) -> list[str]:
        kinds = ("userTask", "receiveTask", "intermediateCatchEvent")
        return sorted(
            found.element for found in open_elements(inst.definition, inst.state)
            if found.kind in kinds and found.state in ("ready", "waiting") and not found.is_subscription)

    def instances(self) -> list[Instance]:
        return list(self.found)

    def trace(self) -> list[str]:
        return list(self._trace)

    def intervals(self) -> dict[str, list[tuple[datetime, datetime]]]:
        return dict(self._intervals)

    def variables(self, inst: Instance) -> dict[str, Any]:
        return dict(visible_variables(inst.definition, inst.state))

    def state(self, inst: Instance) -> str:
        if inst.detail is not None:
            return "error"
        if inst.status is InstanceStatus.ACTIVE and inst.incidents:
            rest = [e for e in open_elements(inst.definition, inst.state) if e.state != "parked" and not e.is_subscription]
            return "active" if rest else "completed"
        return "completed" if inst.status is InstanceStatus.COMPLETED else "active"

    def escaped(self) -> list[tuple[str, str]]:
        return list(self._escaped)
