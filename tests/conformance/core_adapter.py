"""Drives the pure core through cases that others wrote: no database, a second for all of them. For work on `engine.bpmn`.

Every command starts from the stored bytes, so each instance is saved and reloaded at every wait state.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
from tests.conformance.foreign import DIALECT, Adapter, DeployError, Trace, prepared

_START = datetime(2026, 1, 1, tzinfo=UTC)


class Instance:
    def __init__(self, definition: Definition, number: int) -> None:
        self.definition, self.number = definition, number
        self.state: bytes = b""
        self.status = InstanceStatus.ACTIVE
        self.step: Step | None = None
        self.jobs: dict[int, tuple[datetime, NewJob]] = {}
        self.incidents: dict[int, log.IncidentOpened] = {}

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
    dialect: ClassVar = DIALECT

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.now = _START
        self.definitions: dict[str, Definition] = {}
        self.found: list[Instance] = []
        self._trace = Trace()
        self._intervals: dict[str, list[tuple[datetime, datetime]]] = {}

    def load(self, xml: bytes, name: str = "x.bpmn", extra: tuple[bytes, ...] = ()) -> None:
        self._reset()
        sources: list[Source] = []
        files = [prepared(document) for document in (xml, *extra)]
        refused = [f for f in check({f"{n}-{name}": file.xml for n, file in enumerate(files)}) if f.severity is not Severity.WARNING]
        if refused:
            raise DeployError("; ".join(f"{f.rule} {f.element} (line {f.line}): {f.en}" for f in refused))
        try:
            for file in files:
                self._trace.covers(file)
                sources += [Source(key=info.key, version=1, xml=file.xml) for info in describe(file.xml)]
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
        for job in step.jobs:  # one of them may be cancelled in the same step
            seconds = int(job.type[5:]) if job.type.startswith("wait.") else 0
            instance.jobs[job.token] = self.now + timedelta(seconds=seconds), job
        for event in step.events:
            self._trace.see(instance.number, event)
            match event:
                case log.IncidentOpened():
                    instance.incidents[event.token] = event
                case log.IncidentResolved():
                    instance.incidents.pop(event.token, None)
                case log.JobCancelled():
                    instance.jobs.pop(event.token, None)
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
        return list(self._trace.done)

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
        return list(self._trace.escaped)
