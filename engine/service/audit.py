"""Is everything as it was written, is a copy kept, is the house in order."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from engine import history
from engine.errors import NotFound
from engine.metrics import Gauge
from engine.model import Break, Health, InstanceId
from engine.service import registers
from engine.service.agreement import disagreements
from engine.service.backup import Backup, back_up
from engine.service.doctor import Ailment, Doctor
from engine.service.runtime import Runtime
from engine.service.upkeep import SILENT
from engine.store import chain, instances, jobs, keep, upkeep
from engine.store.database import instant, instant_or_none, micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How much the last `verify` looked at."""

    instances: int = 0
    events: int = 0
    registers: int = 0
    records: int = 0


class Audit:
    """Questions about the whole installation."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self.last_checked = Checked()

    def verify(self, instance_id: InstanceId | None = None) -> tuple[Break, ...]:
        """Return every place where the history of one or of all instances is not what was written; empty when it is intact.

        Without `instance_id` the registers are looked at as well.

        Raises:
            NotFound: no such instance.
        """
        breaks: list[Break] = []
        instance_count = event_count = register_count = record_count = 0
        with self._database.snapshot() as session:
            heads = list(chain.heads(session, instance_id))
            if instance_id is not None and not heads:
                stub = keep.stub(session, instance_id)
                if stub is None:
                    raise NotFound(what="流程实例 (process instance)", id=instance_id)
                self.last_checked = Checked(instances=1, events=stub.seq)
                return history.verify(instance_id, self._runtime.archives.record(stub).entries, stub.seq, bytes(stub.head))
            for instance, seq, head in heads:
                breaks += history.verify(instance, (history.Entry(*row) for row in chain.read(session, instance)), seq, head)
                instance_count, event_count = instance_count + 1, event_count + seq
            if instance_id is None:
                breaks += [
                    Break(
                        instance_id=InstanceId(stray), seq=0, kind="tail", zh="实例已被删除，历史仍在。",
                        en="The instance was deleted, its history is there.",
                    )
                    for stray in chain.strays(session)
                ]  # fmt: skip
                of_registers, register_count, record_count = registers.verify(session)
                breaks += of_registers
        self.last_checked = Checked(instances=instance_count, events=event_count, registers=register_count, records=record_count)
        return tuple(breaks)

    def cross_check(self, instance_id: InstanceId | None = None) -> tuple[Break, ...]:
        """Return everything in which tables, history and state of one or of all instances differ; empty when they agree.

        `verify` tells whether the history is what was written; this tells whether what people see and what runs is what the
        history says. Slower: every state is opened and every history folded.

        Raises:
            NotFound: no such instance.
        """
        found: list[Break] = []
        with self._database.snapshot() as session:
            ids = [id for id, _seq, _head in chain.heads(session, instance_id)]
            if instance_id is not None and not ids:
                raise NotFound(what="流程实例 (process instance)", id=instance_id)
            for id in ids:
                found += disagreements(self._runtime, session, id)
        return tuple(found)

    def head(self, instance_id: InstanceId) -> str:
        """Return the hash at the head of an instance's chain, in hex: whoever keeps it can tell later that nothing was changed.

        Raises:
            NotFound
        """
        with self._database.reading() as session:
            for _id, _seq, head in chain.heads(session, instance_id):
                return bytes(head).hex()
            stub = keep.stub(session, instance_id)
            if stub is not None:
                return bytes(stub.head).hex()
        raise NotFound(what="流程实例 (process instance)", id=instance_id)

    def backup(self, path: Path, *, with_secret: bool = False) -> Backup:
        """Write one archive with the database, the uploaded files and a manifest, while the engine goes on serving.

        Args:
            path: the archive, or a folder, which gets one that is named after the time.
            with_secret: put the key that signs sessions into it as well.

        Raises:
            FileExistsError: there is such a file already.
            StorageFailed: nothing is left behind.
        """
        at = self._runtime.clock.now()
        made = back_up(self._database, self._runtime.settings, at, Path(path), with_secret=with_secret)
        with suppress(*self._database.failures), self._database.writing() as tx:  # a full disk takes nothing from the archive
            upkeep.has_backup(tx, micros(at))
        return made

    def examine(self, *, fix: bool = False) -> tuple[Ailment, ...]:
        """Return everything that does not agree or will not go well, worst first; with `fix`, put right what needs no decision."""
        return Doctor(self._runtime, self.verify).examine(fix=fix)

    def health(self) -> Health:
        """Return how the engine is; never raises for a database that does not answer."""
        at = self._runtime.clock.now()
        try:
            with self._database.reading() as session:
                current = upkeep.schema_is_current(session)
                timer_lag, job_lag, waiting, failed = jobs.lags(session, micros(at))
                incidents, active = jobs.open_incident_count(session), instances.active_count(session)
                seen = instant_or_none(upkeep.dispatcher_seen(session))
        except self._database.failures:
            zero = timedelta()
            return Health(
                database=False, schema=False, at=at, timer_lag=zero, job_lag=zero, waiting_job_count=0, failed_job_count=0,
                open_incident_count=0, active_instance_count=0,
            )  # fmt: skip
        return Health(
            database=True, schema=current, at=at, timer_lag=timedelta(microseconds=timer_lag), job_lag=timedelta(microseconds=job_lag),
            waiting_job_count=waiting, failed_job_count=failed, open_incident_count=incidents, active_instance_count=active,
            hanging_handler_count=len(self._runtime.hanging), takes_handlers=self._runtime.takes_handlers,
            dispatcher_seen_at=seen, dispatcher_silent=seen is not None and at - seen > SILENT,
        )  # fmt: skip

    def metrics(self) -> bytes:
        """Return the numbers of this process and of what is open, in Prometheus's text format."""
        return self._runtime.metrics.text(self._gauges())

    def _gauges(self) -> list[Gauge]:
        at = self._runtime.clock.now()
        try:
            with self._database.reading() as session:
                found, seen = upkeep.census(session, micros(at)), instant_or_none(upkeep.dispatcher_seen(session))
        except self._database.failures:
            return [Gauge("psmflow_database_up", "1 when the database answers.", {(): 0})]
        oldest = {bool(is_timer): instant(due) for is_timer, due in found.oldest}
        lag = {kind: max(0.0, (at - oldest.get(kind == "timer", at)).total_seconds()) for kind in ("timer", "job")}
        return [
            Gauge("psmflow_database_up", "1 when the database answers.", {(): 1}),
            Gauge("psmflow_lag_seconds", "How long the oldest due work has waited.", {(k,): v for k, v in lag.items()}, ("kind",)),
            Gauge(
                "psmflow_oldest_due_timestamp_seconds", "When the oldest waiting work became due.",
                {("timer" if kind else "job",): due.timestamp() for kind, due in oldest.items()}, ("kind",),
            ),
            Gauge("psmflow_jobs_open", "Machine work not done.", {(k, s): n for k, s, n in found.jobs}, ("kind", "state")),
            Gauge("psmflow_instances_open", "Process instances that run.", {(s,): n for s, n in found.instances}, ("status",)),
            Gauge("psmflow_tasks_open", "User tasks that wait for a person.", {(s,): n for s, n in found.tasks}, ("state",)),
            Gauge("psmflow_tasks_overdue", "Open user tasks past their due date.", {(): found.overdue_task_count}),
            Gauge("psmflow_handlers_hanging", "Runs in this process past their timeouts.", {(): len(self._runtime.hanging)}),
            Gauge("psmflow_incidents_open", "Failures that wait for a person.", {(k,): n for k, n in found.incidents}, ("kind",)),
            Gauge(
                "psmflow_dispatcher_seen_timestamp_seconds", "When a process that runs due jobs was last alive.",
                {} if seen is None else {(): seen.timestamp()},
            ),
        ]  # fmt: skip
