"""Processes that begin at a time: the timers of their start events, from one deployment to the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.bpmn import StartTimer, following_turn, start_timers, start_times
from engine.feel import codec
from engine.model import SYSTEM, JobKind, ScheduledStart
from engine.service.instances import Instances
from engine.service.runtime import Runtime
from engine.store import jobs
from engine.store.database import Session, instant, micros
from engine.store.jobs import JobRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a deployment does to the timers that start a process."""

    key: str
    gone: frozenset[str]  #: start events that have no timer any more, or another one
    new: tuple[StartTimer, ...]


def change(key: str, xml: bytes, before: bytes | None, at: datetime, zone: str) -> Change:
    """Return what is to be done when a process is deployed. A timer that stays as it was goes on as it was.

    Args:
        xml, before: the diagrams of the new and of the last version.

    Raises:
        DiagramCannotRun: a time cannot be computed.
    """
    old = {} if before is None else start_times(before, key)
    drawn = start_times(xml, key)
    new = [element for element, times in drawn.items() if old.get(element) != times]
    return Change(
        key=key, gone=frozenset(element for element, times in old.items() if drawn.get(element) != times),
        new=start_timers(xml, key, new, at, ZoneInfo(zone)),
    )  # fmt: skip


def write(runtime: Runtime, tx: Session, change: Change) -> None:
    """Write what `change` found, in the transaction of the deployment."""
    for element in change.gone:
        jobs.unschedule(tx, change.key, element)
    for timer in change.new:
        row = JobRow(
            id=runtime.database.new_id(), kind=JobKind.START.value, instance_id=None, token=None, process=change.key,
            element=timer.element, type="", due_at=micros(timer.due_at), attempts=0, retries=8, backoff=30_000_000, fence=0,
            body=codec.dump(timer.plan),
        )  # fmt: skip
        jobs.insert(tx, [row], held=False)


def begin(runtime: Runtime, of_instances: Instances, job: JobRow) -> None:
    """Start the process whose time has come, and set the timer to its next turn. Repeated, it starts nothing twice."""
    assert job.body is not None
    of_instances.begin(
        SYSTEM, job.process, {}, start_event=job.element, idempotency_key=f"{job.id}.{job.due_at}", scope="scheduled start"
    )
    following = following_turn(job.element, codec.load(job.body), runtime.clock.now(), ZoneInfo(runtime.settings.time_zone))
    with runtime.database.writing() as tx:
        if following is None:
            jobs.finish(tx, job.id, job.fence)
        else:
            jobs.reschedule(tx, job.id, job.fence, due_at=micros(following.due_at), body=codec.dump(following.plan))


def scheduled(session: Session) -> tuple[ScheduledStart, ...]:
    """Return the starts that will come by themselves, the next first."""
    return tuple(ScheduledStart(key=key, element=element, due_at=instant(due)) for key, element, due in jobs.scheduled(session))
