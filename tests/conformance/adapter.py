"""Drives the product through cases that others wrote (`../shared/conformance`): the runners' adapter interface on the façade.

Each case gets an installation of its own: a database file, a clock that the adapter moves, handlers for the translated scripts. Two
engines serve it, as two processes would, and take turns at each command, so that what an engine merely remembers cannot help: an
instance is what the database says at every wait state.

A script that waits is a handler that waits. It runs in a thread, as a dispatcher would run it, and sleeps until the adapter has
moved the clock on; all others stand still meanwhile.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from engine import SYSTEM, Actor, BpmnError, Engine, EngineError, MovableClock, open_engine, read_settings
from engine.errors import AmbiguousReceiver, InvalidDiagram, NoReceiver
from engine.handler import HandlerRegistry, Job
from engine.handler import handler as register
from engine.model import Incident, InstanceId, InstanceStatus, OpenElement, ProcessDefinition, Severity, SubscriptionKind
from tests.conformance.core_adapter import CoreAdapter
from tests.conformance.dmn_adapter import DecisionAdapter
from tests.conformance.foreign import DIALECT, ROLE, Adapter, DeployError, Trace, prepared

__all__ = ["CoreAdapter", "DecisionAdapter", "ProductAdapter"]

_START = datetime(2026, 1, 1, tzinfo=UTC)
_PERSON = Actor(id="tester", name="测试", groups=frozenset({ROLE}))
#: Incidents that say what the diagram does, not that something went wrong: an error that nobody catches, a join that waits in vain.
_DRAWN = frozenset({"bpmn_error", "stuck"})
#: Rounds of due work at one instant; more is a diagram that never comes to rest.
_ROUNDS = 2000


@cache
def _empty() -> tempfile.TemporaryDirectory[str]:
    """A migrated database without anything in it, made once."""
    folder = tempfile.TemporaryDirectory(prefix="psmflow-conformance-")
    _opened(Path(folder.name), MovableClock(_START), HandlerRegistry()).close()
    return folder


def _opened(folder: Path, clock: MovableClock, handlers: HandlerRegistry) -> Engine:
    # what a power failure would do to the file is not asked here
    return open_engine(read_settings({}, data=folder, synchronous="OFF", time_zone="UTC"), clock, handlers)


class _Dropped(SystemExit):
    """The case is over while a handler waits: its thread ends without another word."""


class Sleepers:
    """Handlers that let time pass. One thread moves at any moment: the adapter's own, or one of theirs."""

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self._moved = threading.Semaphore(0)  # a thread has fallen asleep or come to its end
        self._asleep: list[tuple[datetime, int, threading.Event]] = []
        self._count = 0
        self._is_over = False
        self.intervals: dict[str, list[tuple[datetime, datetime]]] = {}

    def sleep(self, element: str, seconds: int) -> None:
        """Called by a handler."""
        began = self._clock.now()
        alarm = threading.Event()
        self._count += 1
        self._asleep.append((began + timedelta(seconds=seconds), self._count, alarm))
        self._moved.release()
        alarm.wait()
        if self._is_over:
            raise _Dropped
        self.intervals.setdefault(element, []).append((began, self._clock.now()))

    def run(self, engine: Engine) -> int:
        """Let a worker do the next piece of machine work until it is done or sleeps; return how many pieces there were."""
        found: list[int | Exception] = [1]  # asleep, unless it comes to an end

        def work() -> None:
            try:
                found[0] = engine.jobs.run_slow(1)
            except Exception as error:  # noqa: BLE001  told in the adapter's own thread
                found[0] = error
            finally:
                self._moved.release()

        threading.Thread(target=work, daemon=True).start()
        self._moved.acquire()
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    @property
    def next_at(self) -> datetime | None:
        return min(self._asleep)[0] if self._asleep else None

    def wake(self) -> None:
        """Wake the first of them and wait until it is done or sleeps again."""
        first = min(self._asleep)
        self._asleep.remove(first)
        first[2].set()
        self._moved.acquire()

    def drop(self) -> None:
        self._is_over = True
        for _, _, alarm in self._asleep:
            alarm.set()


class Instance:
    """A process instance as the runners hold it. `id` is None until the event that starts it has happened."""

    def __init__(self, key: str, id: InstanceId | None = None) -> None:
        self.key, self.id = key, id
        self.seen = 0  #: events of its history that the trace knows
        self.refused: str | None = None  #: why it could not be started
        self.detail: str | None = None


class ProductAdapter(Adapter):  # type: ignore[misc]
    """`--adapter tests.conformance.adapter:ProductAdapter`"""

    name = "psmflow"
    dialect: ClassVar = DIALECT

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._engines: list[Engine] = []
        self._open(HandlerRegistry())

    def close(self) -> None:
        if self._folder is not None:
            self.sleepers.drop()
            for engine in self._engines:
                engine.close()
            self._folder.cleanup()
            self._folder = None

    def _open(self, handlers: HandlerRegistry) -> None:
        self.close()
        self.clock = MovableClock(_START)
        self.sleepers = Sleepers(self.clock)
        self._folder = tempfile.TemporaryDirectory(prefix="psmflow-conformance-", ignore_cleanup_errors=True)
        data = Path(self._folder.name) / "data"
        shutil.copytree(_empty().name, data)
        self._engines = [_opened(data, self.clock, handlers) for _ in range(2)]
        self._found: list[Instance] = []
        self._definitions: dict[str, ProcessDefinition] = {}
        self._trace = Trace()

    @property
    def engine(self) -> Engine:
        """The engine whose turn it is."""
        self._engines.reverse()
        return self._engines[0]

    # ------------------------------------------------------------------------------------------------------------ deploying
    def load(self, xml: bytes, name: str = "case", extra: tuple[bytes, ...] = ()) -> None:
        files = [prepared(document) for document in (xml, *extra)]
        handlers = HandlerRegistry()
        for topic in sorted(frozenset[str]().union(*(file.topics for file in files))):
            register(topic, registry=handlers, timeout=timedelta(days=1))(self.work)
        self._open(handlers)
        for file in files:
            self._trace.covers(file)
        name = name.removesuffix(".bpmn")
        try:
            deployed = self.engine.deployments.deploy(SYSTEM, {f"{n}-{name}.bpmn": file.xml for n, file in enumerate(files)}, name)
        except InvalidDiagram as error:
            refused = [f for f in error.findings if f.severity is not Severity.WARNING]
            raise DeployError("; ".join(f"{f.rule} {f.element} (line {f.line}): {f.en}" for f in refused)) from error
        except EngineError as error:
            raise DeployError(str(error)) from error
        self._definitions = {definition.key: definition for definition in deployed.definitions}
        if not self._definitions:
            raise DeployError("no executable process")

    def work(self, job: Job) -> None:
        """Do what a translated script or a foreign service does, in a worker's thread."""
        kind, _, rest = job.type.partition(".")
        if kind == "wait":
            self.sleepers.sleep(job.element, int(rest))
        elif kind == "error":
            raise BpmnError(rest)

    def process_ids(self) -> list[str]:
        return list(self._definitions)

    # ------------------------------------------------------------------------------------------------------------- commands
    def start(self, process_id: str, variables: dict[str, Any] | None = None, start_event: str | None = None) -> Instance:
        """Start an instance by hand; of a process that only events start, return the instance that its event starts or started."""
        if process_id not in self._definitions:
            raise DeployError(f"no process {process_id}")
        instance = Instance(process_id)
        if start_event is None and not self._definitions[process_id].info.startable:
            self._look()
            taken = next((i for i in self._found if i.key == process_id), None)
            if taken is not None:
                return taken
        else:
            try:
                instance.id = self.engine.instances.start(_PERSON, process_id, variables or {}, start_event=start_event).id
            except EngineError as error:
                instance.refused = str(error)
        self._found.append(instance)
        self._settle(does_time_pass=False)  # what is started next starts at the same instant, though a script waits meanwhile
        return instance

    def deliver(self, kind: str, name: str, payload: dict[str, Any] | None = None, inst: Instance | None = None) -> int:
        target = None if inst is None else inst.id
        hits = 0
        if SubscriptionKind(kind) is SubscriptionKind.SIGNAL:
            hits = self.engine.messages.broadcast(SYSTEM, name, payload or {}, instance_id=target)
        else:
            with suppress(NoReceiver):
                try:
                    self.engine.messages.correlate(SYSTEM, name, payload or {}, instance_id=target)
                except AmbiguousReceiver:  # a system that sends a message names the instance; here it means the oldest
                    oldest = next((i.id for i in self._started() if self._waits_for(i.id, name)), None)
                    self.engine.messages.correlate(SYSTEM, name, payload or {}, instance_id=oldest)
                hits = 1
        self._settle()
        return hits

    def _waits_for(self, id: InstanceId, name: str) -> bool:
        return any(s.kind is SubscriptionKind.MESSAGE and s.name == name for s in self.engine.messages.awaited(SYSTEM, id))

    def trigger(self, inst: Instance, element_id: str) -> bool:
        if inst.id is None:
            return False
        for waiting in self.engine.messages.awaited(SYSTEM, inst.id):
            if waiting.element == element_id:
                if waiting.kind is SubscriptionKind.MESSAGE:
                    self.engine.messages.send(SYSTEM, inst.id, waiting.token)
                else:
                    self.engine.messages.broadcast(SYSTEM, waiting.name, instance_id=inst.id)
                self._settle()
                return True
        for timer in self.engine.instances.timers(SYSTEM, inst.id):
            if timer.element == element_id:
                self._pass_to(timer.due_at)
                self._settle()
                return True
        return False

    def set_variables(self, inst: Instance, variables: dict[str, Any]) -> None:
        if inst.id is not None:
            self.engine.instances.set_variables(SYSTEM, inst.id, variables, "conformance")
            self._settle()

    def complete(self, inst: Instance, element_id: str, variables: dict[str, Any] | None = None) -> bool:
        if inst.id is None:
            return False
        tasks = [t for t in self.engine.tasks.of_instance(SYSTEM, inst.id) if t.element == element_id and t.state == "open"]
        if not tasks:
            return False
        task = min(tasks, key=lambda t: t.token)
        person = _PERSON if task.assignee is None else Actor(id=task.assignee, groups=_PERSON.groups)
        self.engine.tasks.complete(person, task.id, variables or {})
        self._settle()
        return True

    # ----------------------------------------------------------------------------------------------------------------- time
    def run(self, seconds: float = 0) -> None:
        self._settle()
        end = self.clock.now() + timedelta(seconds=seconds)
        while seconds and (due := self.engine.jobs.next_due_at()) is not None and due < end:
            self._pass_to(due)
            self._settle()
        self._move_to(end)

    def fire_timer(self) -> bool:
        timers = [timer.due_at for i in self._started() for timer in self.engine.instances.timers(SYSTEM, i.id)]
        timers += [timer.due_at for timer in self.engine.deployments.start_timers(SYSTEM)]
        if not timers:
            return False
        self._pass_to(min(timers))
        self._settle()
        return True

    def _settle(self, *, does_time_pass: bool = True) -> None:
        """Do the work there is, until there is none. Time stands still, so no timer fires; but while a handler sleeps it may pass."""
        for _ in range(_ROUNDS):
            if self.engine.jobs.run_quick(timers=False) + self.sleepers.run(self.engine):
                self._look()
                continue
            alarm = self.sleepers.next_at
            if alarm is None or not does_time_pass:
                self._look()
                return
            due = self.engine.jobs.next_due_at()
            if due is not None and due <= alarm:
                self._pass_to(due)
            else:
                self._move_to(alarm)
                self.sleepers.wake()
            self._look()
        raise RuntimeError(f"work follows on work without end: {_ROUNDS} rounds")

    def _pass_to(self, due: datetime) -> None:
        """Let time pass until something is due, and fire the timers of that instant."""
        self._move_to(due)
        if not self.engine.jobs.run_quick() and self.engine.jobs.next_due_at() == due:
            self.clock.advance(seconds=1)  # it has to be looked at again a little later

    def _move_to(self, at: datetime) -> None:
        self.clock.move_to(max(at, self.clock.now()))

    # -------------------------------------------------------------------------------------------------------------- looking
    def _look(self) -> None:
        """Take in the instances that came to be and what happened since the last look."""
        known = {i.id for i in self._found}
        page = self.engine.instances.list(SYSTEM, limit=500)
        for found in sorted((i for i in page.items if i.id not in known), key=lambda i: (i.started_at, i.id)):
            waiting = next((i for i in self._found if i.id is None and i.refused is None and i.key == found.key), None)
            if waiting is None:
                self._found.append(Instance(found.key, found.id))
            else:
                waiting.id = found.id
        for instance in self._started():
            for recorded in self.engine.instances.history(SYSTEM, instance.id, after=instance.seen):
                self._trace.see(instance.id, recorded.event)
                instance.seen = recorded.seq

    def _started(self) -> Iterator[Any]:
        return (i for i in self._found if i.id is not None)

    def _incidents(self, inst: Instance) -> list[Incident]:
        return [] if inst.id is None else [i for i in self.engine.jobs.of_instance(SYSTEM, inst.id) if i.resolved_at is None]

    def _tokens(self, inst: Instance) -> tuple[OpenElement, ...]:
        return () if inst.id is None else self.engine.instances.tokens(SYSTEM, inst.id)

    def instances(self) -> list[Instance]:
        return list(self._found)

    def active(self, inst: Instance) -> list[str]:
        kinds = ("userTask", "receiveTask", "intermediateCatchEvent")
        return sorted(
            token.element for token in self._tokens(inst)
            if token.kind in kinds and token.state in ("ready", "waiting") and not token.is_subscription)

    def trace(self) -> list[str]:
        return list(self._trace.done)

    def intervals(self) -> dict[str, list[tuple[datetime, datetime]]]:
        return dict(self.sleepers.intervals)

    def variables(self, inst: Instance) -> dict[str, Any]:
        return {} if inst.id is None else dict(self.engine.instances.variables(SYSTEM, inst.id))

    def state(self, inst: Instance) -> str:
        if inst.id is None:
            inst.detail = inst.refused
            return "active" if inst.refused is None else "error"
        incidents = self._incidents(inst)
        inst.detail = "; ".join(f"{i.element}: {i.kind}: {i.message}" for i in incidents if i.kind not in _DRAWN) or None
        if inst.detail is not None:
            return "error"
        status = self.engine.instances.get(SYSTEM, inst.id).status
        if status is InstanceStatus.ACTIVE and incidents:
            return "active" if any(t.state != "parked" and not t.is_subscription for t in self._tokens(inst)) else "completed"
        return "completed" if status is InstanceStatus.COMPLETED else "active"

    def escaped(self) -> list[tuple[str, str]]:
        return list(self._trace.escaped)
