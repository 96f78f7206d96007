"""Jobs: timers, service work, thrown events, notifications; and incidents.

A worker claims due rows, many at once, with a lease and a new fence; what it finishes later counts only if the fence still is
its own. Rows that were claimed together are finished together, by the name of their lease: no two claims ever have the same, so it
guards as the fence does. `JOB_MOVES` in `engine.model` are the moves between states that there are.
"""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.model import Incident, IncidentId, InstanceId, JobId, JobKind, JobState, OpenTimer, TokenId, WaitingJob
from engine.store import deliveries
from engine.store.database import END_OF_TIME, Session, instant, instant_or_none

#: Rows that one statement names; each list is filled up to it, so that the text of the statement stays the same.
_TOGETHER = 500

class JobRow(NamedTuple):
    """A job as the tables hold it; instants and `backoff` in microseconds, `body` is the kind's own JSON."""

    id: int
    kind: str
    instance_id: int | None
    token: int | None
    process: str
    element: str
    type: str
    due_at: int
    attempts: int
    retries: int
    backoff: int
    fence: int
    body: bytes | None


_COLUMNS = "id, kind, instance_id, token, process, element, type, due_at, attempts, retries, backoff, fence, body"
_INSERT = (
    "insert into job (id, kind, state, held, instance_id, token, process, element, type, due_at, attempts, retries, backoff, fence, body,"
    " error) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)"
)


def _job(row: Sequence[Any]) -> JobRow:
    id, kind, instance, token, process, element, type, due, attempts, retries, backoff, fence, body = row
    return JobRow(
        id=id, kind=kind, instance_id=instance, token=token, process=process, element=element, type=type, due_at=due, attempts=attempts,
        retries=retries, backoff=backoff, fence=fence, body=body,
    )  # fmt: skip


def insert(
    tx: Session, jobs: Iterable[JobRow], *, held: bool, state: JobState = JobState.WAITING, error: str | None = None
) -> None:
    """Write new jobs. `held`: the instance is suspended; its handlers wait, what it threw or tells people goes out."""
    for j in jobs:
        tx.put(_INSERT, (
            j.id, j.kind, state.value, int(held and j.kind == JobKind.SERVICE.value), j.instance_id, j.token, j.process, j.element, j.type, j.due_at, j.attempts, j.retries,
            j.backoff, j.body, error,
        ))  # fmt: skip


def offer(tx: Session, jobs: Iterable[JobRow]) -> None:
    """Tell procrastinate's workers, once this transaction is committed, of new jobs that are due at once."""
    of_queue: dict[str, list[int]] = {}
    for j in jobs:
        tx.put("update job set handed_off = ? where id = ?", (j.due_at, j.id))
        of_queue.setdefault(deliveries.queue_of(j.kind), []).append(j.id)
    for queue, ids in of_queue.items():
        deliveries.defer(tx, queue, ids)


def get(tx: Session, job_id: int) -> JobRow | None:
    row = tx.row(f"select {_COLUMNS} from job where id = ?", (job_id,))
    return None if row is None else _job(row)


def claim(tx: Session, kinds: Sequence[str], *, now: int, lease_until: int, lease: str, limit: int) -> list[JobRow]:
    """Lease due jobs (`ix_job_due`), the oldest first; nobody else gets them until the lease is over.

    Args:
        lease: its name, new with each claim.
    """
    marks = ", ".join("?" * len(kinds))
    where = f"state = 'waiting' and held = 0 and due_at <= ? and kind in ({marks})"
    return _lease(tx, where, (now, *kinds), lease_until, lease, limit)


def _lease(tx: Session, where: str, values: Sequence[Any], lease_until: int, lease: str, limit: int) -> list[JobRow]:
    rows = tx.rows(
        # the rows are chosen once, as a join could choose others each time it looks
        f"with due as materialized (select id from job where {where} order by due_at, id limit ?{tx.skip_locked})"
        " update job set state = 'running', lease_until = ?, worker = ?, fence = fence + 1, attempts = attempts + 1"
        f" where id in (select id from due) returning {_COLUMNS}",
        (*values, limit, lease_until, lease),
    )
    return sorted((_job(row) for row in rows), key=lambda j: (j.due_at, j.id))


#: As the indexes `ix_job_type` and `ix_job_running` have it, to the letter.
_SLOW = "kind in ('service', 'notification')"
_WAITING = f"state = 'waiting' and held = 0 and {_SLOW}"


def due_types(tx: Session, now: int) -> list[str]:
    """Return the types of which work is due, each once, without walking through all there is of one (`ix_job_type`)."""
    sql = (
        f"with recursive kinds(type) as (select min(type) from job where {_WAITING} union all"
        f" select (select min(j.type) from job j where {_WAITING} and j.type > kinds.type) from kinds where kinds.type is not null)"
        f" select type from kinds where exists (select 1 from job j where {_WAITING} and j.type = kinds.type and j.due_at <= ?)"
    )
    return [type for (type,) in tx.rows(sql, (now,))]


def running_count(tx: Session, type: str) -> int:
    """Return how many jobs of a type are leased in the whole installation (`ix_job_running`)."""
    found: int = tx.value(f"select count(*) from job where state = 'running' and {_SLOW} and type = ?", (type,))
    return found


def claim_type(tx: Session, type: str, *, now: int, lease_until: int, lease: str, limit: int) -> list[JobRow]:
    """Lease due work of one type (`ix_job_type`), as `claim` does."""
    return _lease(tx, f"{_WAITING} and type = ? and due_at <= ?", (type, now), lease_until, lease, limit)


def renew(tx: Session, job_id: int, fence: int, lease_until: int) -> bool:
    """Prolong the lease of a job whose run goes on. False: as in `finish`."""
    sql = "update job set lease_until = ? where id = ? and fence = ? and state = 'running'"
    return bool(tx.run(sql, (lease_until, job_id, fence)))


def any_due(tx: Session, kinds: Sequence[str], now: int) -> bool:
    """True if there is something to claim; asked first, so that an idle dispatcher writes nothing."""
    marks = ", ".join("?" * len(kinds))
    sql = f"select 1 from job where state = 'waiting' and held = 0 and due_at <= ? and kind in ({marks}) limit 1"
    return tx.value(sql, (now, *kinds)) is not None


def any_expired(tx: Session, now: int, longest: int) -> bool:
    """True if `reap` has something to do (`ix_job_lease`)."""
    sql = "select 1 from job where state = 'running' and (lease_until < ? or lease_until > ?) limit 1"
    return tx.value(sql, (now, longest)) is not None


def held(tx: Session, job_id: int, fence: int) -> bool:
    """True if the job is leased under this fence."""
    return tx.value("select 1 from job where id = ? and fence = ? and state = 'running'", (job_id, fence)) is not None


def reap(tx: Session, now: int, longest: int = END_OF_TIME) -> int:
    """Offer again what workers that died had leased (`ix_job_lease`); return how many.

    Args:
        longest: no lease that is given now goes on until then: one that does was given by a clock that had run ahead.
    """
    sql = (
        "update job set state = 'waiting', lease_until = null, handed_off = null"
        " where state = 'running' and (lease_until < ? or lease_until > ?)"
    )
    return tx.run(sql, (now, longest))


# The rows of one claim. They are found by their ids alone: the planner must not walk through everything that is leased.
_LEASED = f"lease_until is not null and worker = ? and id in ({', '.join('?' * _TOGETHER)})"


def _parts(ids: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _TOGETHER):
        part = list(ids[start : start + _TOGETHER])
        yield part + part[-1:] * (_TOGETHER - len(part))


def finish_all(tx: Session, ids: Sequence[int], lease: str) -> None:
    """Delete jobs of one claim that are done, as far as they still are its own."""
    for part in _parts(ids):
        tx.put(f"delete from job where {_LEASED}", (lease, *part))


def put_off(tx: Session, ids: Sequence[int], lease: str, *, due_at: int) -> None:
    """Give back jobs of one claim of which there was nothing to do yet; not before `due_at`, so that nothing turns in circles."""
    sql = f"update job set state = 'waiting', lease_until = null, due_at = case when due_at > ? then due_at else ? end where {_LEASED}"
    for part in _parts(ids):
        tx.put(sql, (due_at, due_at, lease, *part))


def finish(tx: Session, job_id: int, fence: int) -> bool:
    """Delete a job that is done. False: the lease was over and somebody else has it, or it was cancelled."""
    return bool(tx.run("delete from job where id = ? and fence = ? and state = 'running'", (job_id, fence)))


def retry_at(tx: Session, job_id: int, fence: int, *, due_at: int, error: str) -> bool:
    """Give a failed job back for a later attempt. False: as in `finish`."""
    return bool(tx.run(
        "update job set state = 'waiting', lease_until = null, due_at = ?, error = ? where id = ? and fence = ? and state = 'running'",
        (due_at, error, job_id, fence),
    ))  # fmt: skip


def give_back(tx: Session, job_id: int, fence: int) -> bool:
    """Return a job as if it had not been claimed: this attempt does not count. False: as in `finish`."""
    return bool(tx.run(
        "update job set state = 'waiting', lease_until = null, handed_off = null, attempts = attempts - 1 where id = ? and fence = ? and state = 'running'",
        (job_id, fence),
    ))  # fmt: skip


def fail(tx: Session, job_id: int, fence: int, error: str) -> bool:
    """No attempts are left: a person has to look. False: as in `finish`."""
    return bool(tx.run(
        "update job set state = 'failed', lease_until = null, error = ? where id = ? and fence = ? and state = 'running'",
        (error, job_id, fence),
    ))  # fmt: skip


def has_failed(tx: Session, job_id: int) -> bool:
    """True if the job waits for a person."""
    return tx.value("select 1 from job where id = ? and state = 'failed'", (job_id,)) is not None


def make_due(tx: Session, job_id: int, now: int) -> bool:
    """Give a failed job all its attempts again, from now."""
    return bool(
        tx.run("update job set state = 'waiting', attempts = 0, due_at = ? where id = ? and state = 'failed'", (now, job_id))
    )


def cancel(tx: Session, instance_id: int, token: int) -> None:
    """Delete the service work of a token that was cancelled; a worker that is at it is refused by the missing row."""
    tx.put("delete from job where instance_id = ? and token = ? and kind = 'service'", (instance_id, token))


def cancel_all(tx: Session, instance_id: int) -> None:
    """The instance has ended: nothing of it is left to do, except telling others."""
    tx.put("delete from job where instance_id = ? and kind in ('timer', 'service')", (instance_id,))


def hold(tx: Session, instance_id: int, held: bool) -> None:
    tx.put("update job set held = ? where instance_id = ? and kind in ('timer', 'service')", (int(held), instance_id))


_SET_TIMER = (
    f"{_INSERT} on conflict (instance_id, token, kind) where token is not null do update set process = excluded.process,"
    " element = excluded.element, due_at = excluded.due_at, state = 'waiting', attempts = 0, lease_until = null, error = null"
    " where job.due_at <> excluded.due_at or job.element <> excluded.element or job.state = 'failed'"
)


def set_timer(
    tx: Session, new_id: int, instance_id: int, token: int, process: str, element: str, due_at: int, *, held: bool
) -> None:
    """Let the timer of a token be due at this instant (`ix_job_token`); whoever holds it holds it no more.

    Args:
        new_id: of its row, if it has none yet.
    """
    tx.put(_SET_TIMER, (
        new_id, JobKind.TIMER.value, JobState.WAITING.value, int(held), instance_id, token, process, element, "", due_at, 0, 0, 0, None, None,
    ))  # fmt: skip


def replace_timers(tx: Session, instance_id: int, timers: Sequence[tuple[int, str, str, int, int]], *, held: bool) -> None:
    """Make the timer rows of an instance equal to `timers`, whatever they are: ``(token, process, element, due_at, new id)``."""
    tokens = {timer[0] for timer in timers}
    for (token,) in tx.rows("select token from job where instance_id = ? and kind = 'timer'", (instance_id,)):
        if token not in tokens:
            drop_timer(tx, instance_id, token)
    for token, process, element, due_at, new_id in timers:
        set_timer(tx, new_id, instance_id, token, process, element, due_at, held=held)


def drop_timer(tx: Session, instance_id: int, token: int) -> None:
    """A token waits for no time any more (`ix_job_token`)."""
    tx.put("delete from job where instance_id = ? and token = ? and kind = 'timer'", (instance_id, token))


def replace_start_timers(tx: Session, process: str, timers: Sequence[tuple[int, str, int, bytes]]) -> None:
    """Let a process be started by these timers and no others: ``(id, start event, due_at, body)``; those of older versions go."""
    kind = JobKind.TIMER.value
    tx.put("delete from job where instance_id is null and kind = ? and process = ?", (kind, process))
    for id, element, due_at, body in timers:
        tx.put(_INSERT, (id, kind, JobState.WAITING.value, 0, None, None, process, element, "", due_at, 0, 0, 0, body, None))


def set_start_timer(tx: Session, job_id: int, fence: int, *, due_at: int, body: bytes) -> bool:
    """A timer that starts instances waits for its next turn. False: as in `finish`."""
    return bool(tx.run(
        "update job set state = 'waiting', lease_until = null, attempts = 0, error = null, due_at = ?, body = ?"
        " where id = ? and fence = ? and state = 'running'", (due_at, body, job_id, fence),
    ))  # fmt: skip


def start_timers(tx: Session) -> list[tuple[str, str, int]]:
    """Return ``[(process, start event, due_at)]`` of all timers that start instances, soonest first (`ix_job_instance`)."""
    return list(tx.rows(
        "select process, element, due_at from job where instance_id is null and kind = ? order by due_at, process, element",
        (JobKind.TIMER.value,),
    ))  # fmt: skip


def next_due(tx: Session) -> int | None:
    found: int | None = tx.value("select due_at from job where state = 'waiting' and held = 0 order by due_at limit 1")
    return found


def timers(tx: Session, instance_id: int) -> list[OpenTimer]:
    return [
        OpenTimer(token=TokenId(token), process=process, element=element, due_at=instant(due))
        for token, process, element, due in tx.rows(
            "select token, process, element, due_at from job where instance_id = ? and kind = 'timer' order by due_at",
            (instance_id,),
        )
    ]


def waiting(tx: Session, instance_id: int) -> list[WaitingJob]:
    """Return the machine work of an instance that is not done, timers left out."""
    return [
        WaitingJob(
            id=JobId(id), kind=JobKind(kind), state=JobState(state), type=type, process=process, element=element, due_at=instant(due),
            attempt_count=attempts, error=error,
        )
        for id, kind, state, type, process, element, due, attempts, error in tx.rows(
            "select id, kind, state, type, process, element, due_at, attempts, error from job where instance_id = ? and kind != 'timer'"
            " order by id",
            (instance_id,),
        )
    ]  # fmt: skip


def lags(tx: Session, now: int) -> tuple[int, int, int, int]:
    """Return the wait of the oldest due timer and of the oldest other due job, how many jobs wait, how many failed."""
    oldest: dict[int, int] = dict(tx.rows(
        "select kind = 'timer', min(due_at) from job where state = 'waiting' and held = 0 and due_at <= ? group by kind = 'timer'", (now,)
    ))  # fmt: skip
    waiting_count, failed_count = tx.row(
        "select coalesce(sum(case when state in ('waiting', 'running') then 1 else 0 end), 0),"
        " coalesce(sum(case when state = 'failed' then 1 else 0 end), 0) from job"
    ) or (0, 0)
    return max(0, now - oldest.get(1, now)), max(0, now - oldest.get(0, now)), waiting_count, failed_count


# ------------------------------------------------------------------------------------------------------------------------ incidents
@dataclass(frozen=True, slots=True, kw_only=True)
class NewIncident:
    id: int
    instance_id: int
    token: int | None
    job_id: int | None
    process: str
    element: str
    element_name: str
    kind: str
    message: str
    opened_at: int


_INCIDENT = (
    "select c.id, c.instance_id, i.title, c.token, c.job_id, c.process, c.element, c.element_name, c.kind, c.message, c.opened_at,"
    " c.resolved_at, c.resolved_by from incident c join instance i on i.id = c.instance_id"
)


def _incident(row: Sequence[Any]) -> Incident:
    id, instance, title, token, job, process, element, element_name, kind, message, opened, resolved, by = row
    return Incident(
        id=IncidentId(id), instance_id=InstanceId(instance), title=title, token=None if token is None else TokenId(token),
        job_id=None if job is None else JobId(job), process=process, element=element, element_name=element_name, kind=kind, message=message,
        opened_at=instant(opened), resolved_at=instant_or_none(resolved), resolved_by=by,
    )  # fmt: skip


def open_incident(tx: Session, n: NewIncident) -> None:
    tx.put(
        "insert into incident (id, instance_id, token, job_id, process, element, element_name, kind, message, opened_at, resolved_at,"
        " resolved_by) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null, null)",
        (n.id, n.instance_id, n.token, n.job_id, n.process, n.element, n.element_name, n.kind, n.message, n.opened_at),
    )


def resolve_incident(tx: Session, incident_id: int, *, at: int, by: str) -> None:
    tx.put("update incident set resolved_at = ?, resolved_by = ? where id = ? and resolved_at is null", (at, by, incident_id))


def resolve_incidents(tx: Session, instance_id: int, token: int | None, *, at: int, by: str) -> None:
    """Resolve the open incidents of a token (`ix_incident_open`), or, with None, of all tokens of the instance."""
    if token is None:
        sql, values = "where instance_id = ? and token is not null and resolved_at is null", [instance_id]
    else:
        sql, values = "where instance_id = ? and token = ? and resolved_at is null", [instance_id, token]
    tx.put(f"update incident set resolved_at = ?, resolved_by = ? {sql}", (at, by, *values))


def has_incident(tx: Session, instance_id: int, token: int) -> bool:
    """True if an incident is open at `token` (`ix_incident_open`)."""
    sql = "select 1 from incident where instance_id = ? and token = ? and resolved_at is null"
    return tx.value(sql, (instance_id, token)) is not None


def incident(tx: Session, incident_id: int) -> Incident | None:
    row = tx.row(_INCIDENT + " where c.id = ?", (incident_id,))
    return None if row is None else _incident(row)


def incidents(tx: Session, *, only_open: bool, instance_id: int | None, limit: int) -> list[Incident]:
    """Return incidents, newest first."""
    where, values = ["1 = 1"], list[Any]()
    if only_open:
        where.append("c.resolved_at is null")
    if instance_id is not None:
        where.append("c.instance_id = ?")
        values.append(instance_id)
    return [
        _incident(row)
        for row in tx.rows(f"{_INCIDENT} where {' and '.join(where)} order by c.id desc limit ?", (*values, limit))
    ]


def open_incident_count(tx: Session) -> int:
    found: int = tx.value("select count(*) from incident where resolved_at is null")
    return found
