"""Plays process instances on the core alone: every command starts from the stored bytes, so each wait is a save and a reload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine import events as log
from engine.bpmn import (
    KEYED,
    Definition,
    advance,
    compile_definition,
    describe,
    keys_carried,
    open_elements,
    visible_variables,
)
from engine.model import (
    BroadcastSignal,
    Command,
    CompleteJob,
    CompleteUserTask,
    CorrelateMessage,
    FireTimers,
    InstanceStatus,
    NewJob,
    RetryElement,
    SetVariables,
    Source,
    StartInstance,
    Step,
    Subscription,
    SubscriptionKind,
    ThrowBpmnError,
    TokenId,
)

MONDAY = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)  # nine o'clock in Shanghai


class Instance:
    """One process instance: its state, its log, its open jobs."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.state: bytes | None = None
        self.events: list[log.Event] = []
        self.jobs: dict[int, NewJob] = {}
        self.step: Step | None = None

    @property
    def status(self) -> InstanceStatus:
        assert self.step is not None
        return self.step.status

    def advance(self, command: Command, at: datetime) -> Step:
        step = advance(self.definition, self.state, command, at)
        again = advance(self.definition, self.state, command, at)
        assert replace(again, refused=None) == replace(step, refused=None), "the same input gives the same step"
        self.step, self.state = step, step.state
        self.events += step.events
        for job in step.jobs:
            self.jobs[job.token] = job
        for event in step.events:
            if isinstance(event, log.JobCancelled):
                self.jobs.pop(event.token, None)
        return step

    def user_tasks(self) -> list[tuple[str, TokenId]]:
        assert self.state is not None
        return sorted(
            (e.element, e.token) for e in open_elements(self.definition, self.state) if e.kind == "userTask" and e.state == "ready")

    def waits(self) -> list[str]:
        """Elements where a person, a message, a signal or a timer is waited for, subscriptions excluded."""
        assert self.state is not None
        kinds = ("userTask", "receiveTask", "intermediateCatchEvent")
        return sorted(
            e.element for e in open_elements(self.definition, self.state)
            if e.kind in kinds and e.state in ("ready", "waiting") and not e.is_subscription
            and (e.kind, e.state) != ("userTask", "waiting"))  # for other tokens, or its turn


class Play:
    """Several instances of the processes of one file, with a clock and the post between them."""

    kind: type[Instance] = Instance

    def __init__(
        self, xml: bytes, start: str | None = "p", variables: dict[str, Any] | None = None, decisions: dict[str, bytes] | None = None,
        business_key: str = "",
    ) -> None:
        self.at = MONDAY
        self.infos = describe(xml)
        self.sources = [Source(key=info.key, version=1, xml=xml) for info in self.infos]
        self.decisions = decisions or {}
        self.instances: list[Instance] = []
        self.definitions: dict[str, Definition] = {}
        if start is not None:
            self.start(start, variables or {}, business_key=business_key)

    def definition(self, key: str) -> Definition:
        if key not in self.definitions:
            self.definitions[key] = compile_definition(key, self.sources, self.decisions)
        return self.definitions[key]

    def start(self, key: str, variables: dict[str, Any], start_event: str | None = None, business_key: str = "") -> Instance:
        instance = self.kind(self.definition(key))
        self.instances.append(instance)
        self.send(instance, StartInstance(variables=variables, start_event=start_event, business_key=business_key))
        return instance

    @property
    def first(self) -> Instance:
        return self.instances[0]

    def send(self, instance: Instance, command: Command) -> Step:
        step = instance.advance(command, self.at)
        self.after(instance, step)
        return step

    def after(self, instance: Instance, step: Step) -> None:
        """The post: jobs of type ``error.<code>`` raise it, thrown messages and signals reach the other instances."""
        for job in step.jobs:
            if job.type.startswith("error."):
                del instance.jobs[job.token]
                self.send(instance, ThrowBpmnError(token=job.token, code=job.type[6:]))
        for thrown in step.thrown:
            if thrown.kind is SubscriptionKind.MESSAGE:
                self.message(thrown.name, besides=instance, key=thrown.correlation_key, to=thrown.process, **thrown.payload)
            else:
                self.signal(thrown.name, besides=instance)

    def active(self) -> Sequence[Instance]:
        return [i for i in self.instances if i.status in (InstanceStatus.ACTIVE, InstanceStatus.SUSPENDED)]

    # ---------------------------------------------------------------------------------------------------------- doing things
    def do(self, *elements: str, **values: Any) -> Play:
        for element in elements:
            found = [(i, token) for i in self.active() for name, token in i.user_tasks() if name == element]
            assert found, f"no open {element}: {self.open}"
            instance, token = found[0]
            step = self.send(instance, CompleteUserTask(token=token, values=values))
            assert step.refused is None, step.refused
        return self

    def work(self, element: str, **values: Any) -> Play:
        """The handler of a job is done."""
        instance, job = next((i, j) for i in self.active() for j in i.jobs.values() if j.element == element)
        del instance.jobs[job.token]
        self.send(instance, CompleteJob(token=job.token, values=values))
        return self

    def fail(self, element: str, code: str) -> Play:
        """The handler of a job raises a BPMN error."""
        instance, job = next((i, j) for i in self.active() for j in i.jobs.values() if j.element == element)
        del instance.jobs[job.token]
        self.send(instance, ThrowBpmnError(token=job.token, code=code))
        return self

    def subscriptions(self, name: str) -> list[tuple[Instance, Subscription]]:
        return [(i, s) for i in self.active() if i.step for s in i.step.subscriptions if s.name == name]

    def message(self, name: str, besides: Instance | None = None, key: str | None = None, to: str | None = None, **payload: Any) -> Play:
        carried = keys_carried(self.infos, name, payload, self.at, "Asia/Shanghai")
        for instance, found in self.subscriptions(name):
            keyed = found.correlation_key.startswith(KEYED)
            wanted = found.correlation_key in carried if keyed else key in (None, found.correlation_key)
            if instance is not besides and wanted and to in (None, found.process):
                self.send(instance, CorrelateMessage(name=name, token=found.token, payload=payload))
                return self
        self._start_by("message", name, payload, to)
        return self

    def signal(self, name: str, besides: Instance | None = None) -> Play:
        for instance in list(self.active()):
            if instance is not besides:
                self.send(instance, BroadcastSignal(name=name))
        self._start_by("signal", name, {})
        return self

    def _start_by(self, kind: str, name: str, payload: dict[str, Any], to: str | None = None) -> None:
        for info in self.infos:
            if to not in (None, info.key):
                continue
            spec = self.definition(info.key).root
            for node in spec.starts:
                if any(d.kind == kind and d.wanted == name for d in getattr(spec.task_specs[node], "definitions", ())):
                    self.start(info.key, payload, start_event=node)
                    if kind == "message":
                        return

    def wait(self, seconds: float) -> Play:
        """Let time pass; each timer fires at its own time."""
        end = self.at + timedelta(seconds=seconds)
        while True:
            due = min((t.due_at for i in self.active() if i.step for t in i.step.timers), default=None)
            if due is None or due > end:
                break
            self.at = max(self.at, due)
            for instance in self.active():
                if instance.step and any(t.due_at <= self.at for t in instance.step.timers):
                    self.send(instance, FireTimers())
        self.at = end
        return self

    def sleep(self, seconds: float) -> Play:
        """Nobody looks at the clock for a while; then all that is due fires."""
        self.at += timedelta(seconds=seconds)
        for instance in self.active():
            self.send(instance, FireTimers())
        return self

    def set(self, **values: Any) -> Play:
        self.send(self.first, SetVariables(values=values))
        return self

    def retry(self, element: str) -> Play:
        instance, found = next(
            (i, e) for i in self.active() for e in open_elements(i.definition, i.state or b"")
            if e.element == element and e.state in ("parked", "stuck"))
        self.send(instance, RetryElement(token=found.token))
        return self

    # ------------------------------------------------------------------------------------------------------------ looking
    @property
    def open(self) -> str:
        """Element ids of what is waited for, sorted within each instance, separated by blanks."""
        return " ".join(name for instance in self.instances for name in instance.waits())

    @property
    def trace(self) -> str:
        """Ids of the script tasks that completed, in order; of loops the instances."""
        return " ".join(name for instance in self.instances for name in ran(instance.events))

    def seen(self, kind: type[log.Event]) -> list[Any]:
        return [event for instance in self.instances for event in instance.events if isinstance(event, kind)]

    @property
    def incidents(self) -> list[tuple[str, str]]:
        found: dict[int, tuple[str, str]] = {}
        for event in self.first.events:
            if isinstance(event, log.IncidentOpened):
                found[event.token] = event.element, event.kind
            elif isinstance(event, log.IncidentResolved):
                del found[event.token]
        return list(found.values())

    def variables(self, scope: int | None = None) -> dict[str, Any]:
        assert self.first.state is not None
        return dict(visible_variables(self.first.definition, self.first.state, None if scope is None else TokenId(scope)))

    def check(self, open: str | None = None, ended: bool | None = None, trace: str | None = None, **variables: Any) -> Play:
        assert not self.incidents, [e for e in self.first.events if isinstance(e, log.IncidentOpened)]
        if open is not None:
            assert self.open == open, f"open: {self.open!r}, expected {open!r}"
        if ended is not None:
            assert all(i.status is InstanceStatus.COMPLETED for i in self.instances) == ended
        if trace is not None:
            assert self.trace == trace, f"trace: {self.trace!r}, expected {trace!r}"
        values = self.variables()
        for name, value in variables.items():
            assert values.get(name) == value, (name, values.get(name), value)
        return self


def ran(events: Sequence[log.Event]) -> list[str]:
    hosts = {e.host for e in events if isinstance(e, log.ActivityStarted)}
    scripts = {e.token for e in events if isinstance(e, log.ActivityStarted) and e.kind == "scriptTask"} - hosts
    return [e.element for e in events if isinstance(e, log.ActivityCompleted) and e.token in scripts]
