"""Deliveries of procrastinate: who waits in its queue is told of a job. The job table stays the truth.

A delivery that comes twice finds nothing to do, and one that is lost is made again (`hand_over`). Written through procrastinate's own
SQL function, on the connection of the transaction that makes the job due: both are committed, or neither.
"""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

from collections.abc import Sequence

from engine.model import JobKind
from engine.store.session import Session

TASK = "psmflow.run_job"
#: The queues of what is quick (timers, thrown events) and of handlers: neither waits for the other.
QUICK, WORK = "psmflow.quick", "psmflow.work"

_DEFER = (
    "select procrastinate_defer_jobs_v1(array_agg(row(cast(? as text), cast(? as text), 0, null, null,"
    " jsonb_build_object('job_id', each.id), null)::procrastinate_job_to_defer_v1))"
    " from unnest(cast(string_to_array(cast(? as text), ',') as bigint[])) as each(id)"
)


def is_installed(tx: Session) -> bool:
    """True if procrastinate's tables are there."""
    found: bool = tx.value("select to_regclass('procrastinate_jobs') is not null")
    return found


def queue_of(kind: str) -> str:
    return QUICK if kind in (JobKind.TIMER.value, JobKind.EVENT.value) else WORK


def defer(tx: Session, queue: str, job_ids: Sequence[int]) -> None:
    """Make a delivery for each of these jobs."""
    if job_ids:
        tx.put(_DEFER, (queue, TASK, ",".join(map(str, job_ids))))


def hand_over(tx: Session, *, now: int, lost_before: int, limit: int) -> list[tuple[int, str]]:
    """Mark due jobs of which nobody was told since they became due as handed over (`ix_job_due`); return ``[(id, kind)]``.

    Args:
        lost_before: a delivery made earlier than this, to which nothing was done, is lost.
    """
    return list(tx.rows(
        "with due as materialized (select id from job where state = 'waiting' and held = 0 and due_at <= ?"
        " and (handed_off is null or handed_off < due_at or handed_off < ?)"
        f" order by due_at, id limit ?{tx.skip_locked})"
        " update job set handed_off = ? where id in (select id from due) returning id, kind",
        (now, lost_before, limit, now),
    ))  # fmt: skip


def sweep(tx: Session) -> None:
    """Delete the deliveries that a worker had which died: what they told of is handed over again."""
    tx.put(
        "delete from procrastinate_jobs where status = 'doing' and worker_id is null and queue_name in (?, ?)", (QUICK, WORK)
    )
