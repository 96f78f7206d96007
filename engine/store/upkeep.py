"""What is asked about the whole installation: how it stands, who was last seen, what may be thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.store.database import Row, Session
from engine.store.instances import LISTED
from engine.store.migrations import HEAD

_SEEN, _BACKUP = "dispatcher_seen", "backed_up"


def schema_is_current(tx: Session) -> bool:
    """True if the database has the schema of this release; a newer release may have migrated it meanwhile."""
    return bool(tx.value("select version_num from alembic_version") == HEAD)


def saw_dispatcher(tx: Session, at: int) -> None:
    """Remember that a process that runs due jobs was alive at `at`."""
    tx.run(
        "insert into meta (name, value) values (?, ?) on conflict (name) do update set value = excluded.value", (_SEEN, str(at))
    )


def dispatcher_seen(tx: Session) -> int | None:
    """Return when such a process was last seen; None: never."""
    found = tx.value("select value from meta where name = ?", (_SEEN,))
    return int(found) if found is not None and str(found).isdecimal() else None


def backed_up(tx: Session) -> int | None:
    """Return when the last backup was finished; None: never."""
    found = tx.value("select value from meta where name = ?", (_BACKUP,))
    return int(found) if found is not None and str(found).isdecimal() else None


def has_backup(tx: Session, at: int) -> None:
    """Remember that a backup was finished at `at`."""
    tx.run(
        "insert into meta (name, value) values (?, ?) on conflict (name) do update set value = excluded.value", (_BACKUP, str(at))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What is open. `jobs`: ``[(kind, state, how many)]``, `instances`: ``[(status, how many)]`` of those that run, `tasks`:
    ``[(state, how many)]`` of those that wait for a person, `incidents`: ``[(kind, how many)]``; `oldest`: ``[(is a timer, due_at)]``
    of what is due and waits."""

    jobs: Sequence[Row]
    instances: Sequence[Row]
    tasks: Sequence[Row]
    overdue_task_count: int
    incidents: Sequence[Row]
    oldest: Sequence[Row]


def census(tx: Session, now: int) -> Census:
    """Count what is open; reads indexes of what is open, never what has ended."""
    return Census(
        jobs=tx.rows("select kind, state, count(*) from job group by kind, state"),
        instances=tx.rows(
            f"select i.status, count(*) from instance i where i.status in ('active', 'suspended') and {LISTED} group by i.status"  # noqa: S608  constants
        ),
        tasks=tx.rows("select state, count(*) from user_task where ended_at is null group by state"),
        overdue_task_count=tx.value("select count(*) from user_task where ended_at is null and state = 'open' and due_at < ?", (now,)),
        incidents=tx.rows("select kind, count(*) from incident where resolved_at is null group by kind"),
        oldest=tx.rows(
            "select kind = 'timer', min(due_at) from job where state = 'waiting' and held = 0 and due_at <= ? group by kind = 'timer'", (now,)
        ),
    )


def oldest_unfinished_work(tx: Session) -> int | None:
    """Return the id of the oldest job that may still be tried again, and so look for keys of its own."""
    found: int | None = tx.value("select min(id) from job where kind <> 'timer' or attempts > 0")
    return found


def old_keys(tx: Session, before: int, limit: int) -> list[Row]:
    """Return ``[(scope, key)]`` of idempotency keys from before an instant."""
    return tx.rows("select scope, key from idempotency_key where at < ? limit ?", (before, limit))


def forget_keys(tx: Session, keys: Sequence[Row]) -> None:
    tx.run_many("delete from idempotency_key where scope = ? and key = ?", keys)
