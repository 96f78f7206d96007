"""Is everything as it was written, is a copy kept, is the house in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from engine import access, history
from engine.errors import NotFound
from engine.events import PayloadsErased
from engine.model import Actor, Break, Health, InstanceId, InstanceStatus
from engine.service.agreement import disagreements
from engine.service.instances import given_reason, require_status
from engine.service.runtime import Runtime
from engine.service.turn import Turn
from engine.store import chain, instances, jobs
from engine.store.database import FAILURES, micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How much the last `verify` looked at."""

    instances: int = 0
    events: int = 0


class Audit:
    """Questions about the whole installation."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self.last_checked = Checked()

    def verify(self, instance_id: InstanceId | None = None) -> tuple[Break, ...]:
        """Return every place where the history of one or of all instances is not what was written; empty when it is intact.

        Raises:
            NotFound: no such instance.
        """
        breaks: list[Break] = []
        instance_count = event_count = 0
        with self._database.snapshot() as session:
            heads = list(chain.heads(session, instance_id))
            if instance_id is not None and not heads:
                raise NotFound(what="流程实例 (process instance)", id=instance_id)
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
        self.last_checked = Checked(instances=instance_count, events=event_count)
        return tuple(breaks)

    def erase(self, actor: Actor, instance_id: InstanceId, reason: str) -> int:
        """Erase everything that people typed in an ended instance, lawfully: an event says who did it and why.

        The chain still verifies; the uploaded files are not touched.

        Returns:
            How many payloads were erased.

        Raises:
            AccessDenied, NotFound
            WrongState: the instance has not ended.
            ReasonMissing
        """
        access.require(actor, "deploy")

        def do(turn: Turn) -> int:
            require_status(turn, (InstanceStatus.COMPLETED, InstanceStatus.CANCELLED), "清除内容", "erased")
            entries = [history.Entry(*row) for row in chain.read(turn.session, instance_id)]
            seqs = tuple(seq for entry in entries for seq in history.payloads(entry))
            turn.record(PayloadsErased(seqs=seqs, reason=given_reason(reason)))
            for entry in entries:
                left = history.without(entry, seqs)
                if left is not entry:
                    turn.also(partial(chain.rewrite_payloads, instance_id=instance_id, seq=left.seq, salt=left.salt, payloads=left.payloads))
            return len(seqs)

        return self._runtime.command(actor, instance_id, do)

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
        raise NotFound(what="流程实例 (process instance)", id=instance_id)

    def backup(self, path: Path) -> None:
        """Write a consistent copy of the database to `path` while the engine goes on serving.

        The uploaded files lie in the folder ``documents`` beside the database; they never change and are copied as they are.
        """
        self._database.backup(Path(path))

    def health(self) -> Health:
        """Return how the engine is; never raises for a database that does not answer."""
        at = self._runtime.clock.now()
        try:
            with self._database.reading() as session:
                timer_lag, job_lag, waiting, failed = jobs.lags(session, micros(at))
                incidents, active = jobs.open_incident_count(session), instances.active_count(session)
        except FAILURES:
            zero = timedelta()
            return Health(
                database=False, at=at, timer_lag=zero, job_lag=zero, waiting_job_count=0, failed_job_count=0, open_incident_count=0,
                active_instance_count=0,
            )  # fmt: skip
        return Health(
            database=True, at=at, timer_lag=timedelta(microseconds=timer_lag), job_lag=timedelta(microseconds=job_lag),
            waiting_job_count=waiting, failed_job_count=failed, open_incident_count=incidents, active_instance_count=active,
            hanging_handler_count=len(self._runtime.hanging), takes_handlers=self._runtime.takes_handlers,
        )  # fmt: skip
