"""The rows of process instances: the ten or so statements of a command, and what pages list."""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from engine.model import DefinitionId, InstanceId, InstanceStatus, ProcessInstance
from engine.store.database import Session, instant, instant_or_none


class InstanceRow(NamedTuple):
    """An instance as a command reads it, in the order of `COLUMNS`. Instants are microseconds; `state` is None once it has ended."""

    id: int
    definition_id: int
    bundle_id: int
    key: str
    title: str
    business_key: str
    status: str
    version: int
    seq: int
    head: bytes
    subscriptions_mark: int | None
    started_at: int
    started_by: str
    ended_at: int | None
    outcome: str | None
    state: bytes | None


COLUMNS = (
    "i.id, i.definition_id, i.bundle_id, i.key, i.title, i.business_key, i.status, i.version, i.seq, i.head,"
    " i.subscriptions_mark, i.started_at, i.started_by, i.ended_at, i.outcome"
)
_LOAD = f"select {COLUMNS}, s.body from instance i left join instance_state s on s.instance_id = i.id where i.id = ?"


def load(tx: Session, instance_id: int) -> InstanceRow | None:
    """Return the instance with its state, or None."""
    row = tx.row(_LOAD, (instance_id,))
    if row is None:
        return None
    return row_of(row)


def load_all(tx: Session, instance_ids: Sequence[int]) -> dict[int, InstanceRow]:
    """Return those of the instances that there are, with their states."""
    found = tx.read(*[(_LOAD, (id,)) for id in instance_ids])
    return {id: row_of(rows[0]) for id, rows in zip(instance_ids, found, strict=True) if rows}


def version(tx: Session, instance_id: int) -> int | None:
    found: int | None = tx.value("select version from instance where id = ?", (instance_id,))
    return found


def row_of(row: Sequence[Any]) -> InstanceRow:
    """Return what `COLUMNS` and the state's body say."""
    body = row[-1]
    return InstanceRow._make((*row[:-1], zlib.decompress(body) if body is not None and body[:1] == _ZLIB else body))


#: States are lines of JSON; those that are worth packing begin with zlib's own first byte.
_ZLIB = b"x"
_WORTH_PACKING = 4096  #: bytes: packing less takes longer than writing it


def _packed(state: bytes) -> bytes:
    return state if len(state) < _WORTH_PACKING else zlib.compress(state, 1)


_INSERT = (
    "insert into instance (id, definition_id, bundle_id, key, title, business_key, status, version, seq, head,"
    " subscriptions_mark, started_at, started_by, ended_at, outcome) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "update instance set status = ?, version = ?, seq = ?, head = ?, subscriptions_mark = ?, ended_at = ?, outcome = ?"
    " where id = ? and version = ? and head = ?"
)


def insert(tx: Session, row: InstanceRow) -> None:
    """Write a new instance and its state."""
    tx.put(_INSERT, row[:-1])
    if row.state is not None:
        tx.put("insert into instance_state (instance_id, body) values (?, ?)", (row.id, _packed(row.state)))


#: While the status stays: naming it would have its index written anew.
_GO_ON = "update instance set version = ?, seq = ?, head = ?, subscriptions_mark = ? where id = ? and version = ? and head = ?"


def update(tx: Session, row: InstanceRow, *, was: InstanceRow) -> None:
    """Write an instance if its version is still what it `was`: the first statement of every command.

    The head of its history says the same more strictly: where a backup was restored, a version may come again, a head does not.

    Raises:
        Missed: here or at the end of the transaction: somebody was faster.
    """
    if (row.status, row.outcome) == (was.status, was.outcome):
        tx.must(_GO_ON, (row.version, row.seq, row.head, row.subscriptions_mark, row.id, was.version, was.head))
    else:
        tx.must(_UPDATE, (
            row.status, row.version, row.seq, row.head, row.subscriptions_mark, row.ended_at, row.outcome, row.id,
            was.version, was.head,
        ))  # fmt: skip


def update_state(tx: Session, instance_id: int, state: bytes | None) -> None:
    """Write the new state; None: the instance has ended."""
    if state is None:
        tx.put("delete from instance_state where instance_id = ?", (instance_id,))
    else:
        tx.put("update instance_state set body = ? where instance_id = ?", (_packed(state), instance_id))


# ---------------------------------------------------------------------------------------------------------------- what pages list
_LIST = (
    "select i.id, i.definition_id, i.key, d.version, d.name, i.title, i.business_key, i.status, i.version, i.started_at, i.started_by,"
    " i.ended_at, i.outcome, (select count(*) from incident c where c.instance_id = i.id and c.resolved_at is null)"
    " from instance i join process_definition d on d.id = i.definition_id"
)


def listed(row: Sequence[Any]) -> ProcessInstance:
    """Return an instance as pages show it, of the columns of `_LIST`."""
    (id, definition, key, number, name, title, business_key, status, version, at, by, ended, outcome, incidents) = row
    return ProcessInstance(
        id=InstanceId(id), definition_id=DefinitionId(definition), key=key, definition_version=number, name=name, title=title,
        business_key=business_key, status=InstanceStatus(status), version=version, started_at=instant(at), started_by=by,
        ended_at=instant_or_none(ended), outcome=outcome, open_incident_count=incidents,
    )  # fmt: skip


def get(tx: Session, instance_id: int) -> ProcessInstance | None:
    row = tx.row(_LIST + " where i.id = ?", (instance_id,))
    return None if row is None else listed(row)


#: What SQLite has to read to use `ix_instance_status`.
LISTED = "i.status != 'completed'"


def find(
    tx: Session,
    *,
    key: str | None,
    status: str | None,
    search: str,
    before: int | None,
    limit: int,
    only: tuple[str, Iterable[str]] | None,
) -> list[ProcessInstance]:
    """Return instances, newest first; served by the primary key (completed ones too), `ix_instance_key`, `ix_instance_status`.

    Args:
        only: ``(user id, principals)``: instances that this person started, worked in, or is a candidate in.
    """
    where, values = ["1 = 1"], list[Any]()
    for column, value in (("i.key = ?", key), ("i.status = ?", status), ("i.id < ?", before)):
        if value is not None:
            where.append(column)
            values.append(value)
    if status is not None and status != "completed":
        where.append(LISTED)
    if search:
        where.append("(lower(i.title) like ? escape '\\' or lower(i.business_key) like ? escape '\\')")
        values += [like(search)] * 2
    if only is not None:
        seen, seers = seen_by(only)
        where.append(seen)
        values += seers
    sql = f"{_LIST} where {' and '.join(where)} order by i.id desc limit ?"
    return [listed(row) for row in tx.rows(sql, (*values, limit))]


def seen_by(only: tuple[str, Iterable[str]]) -> tuple[str, list[Any]]:
    """Return the condition on `i`, with its values, that somebody started an instance, worked in it, or is a candidate in it.

    Args:
        only: ``(user id, principals)``
    """
    user, principals = only[0], list(only[1])
    marks = ", ".join("?" * len(principals)) or "''"
    where = (
        "(i.started_by = ? or i.id in (select instance_id from user_task where ended_by = ?)"
        " or i.id in (select instance_id from user_task where assignee = ? and state = 'open')"
        f" or i.id in (select t.instance_id from user_task_candidate c join user_task t on t.id = c.task_id where c.principal in ({marks}))"
    )
    values = [user, user, user, *principals]
    groups = [p.removeprefix("g:") for p in principals if p.startswith("g:")]
    if groups:
        # what waits for a message is a small table; only these people's list reads it
        offered = " or ".join(["',' || s.candidate_groups || ',' like ? escape '\\'"] * len(groups))
        where += f" or i.id in (select s.instance_id from subscription s where {offered})"
        values += [like(f",{group},") for group in groups]
    return where + ")", values


def like(search: str) -> str:
    """Return the LIKE pattern (escape ``\\``) that finds `search` anywhere, in small letters."""
    escaped = search.strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def own(tx: Session, user_id: str, instance_ids: Collection[int]) -> set[int]:
    """Return which of the instances a person started, or has or had a user task of; archived ones too. One statement."""
    marks = ", ".join("?" * len(instance_ids)) or "null"
    sql = (
        f"select id from instance where started_by = ? and id in ({marks})"
        f" union select instance_id from user_task where (assignee = ? or ended_by = ?) and instance_id in ({marks})"
        f" union select id from archived_instance where (started_by = ? or ',' || lower(participants) || ',' like ? escape '\\') and id in ({marks})"
    )
    ids = tuple(instance_ids)
    return {id for (id,) in tx.rows(sql, (user_id, *ids, user_id, user_id, *ids, user_id, like(f",{user_id},"), *ids))}


def participants(tx: Session, instance_id: int) -> tuple[set[str], set[str]]:
    """Return who worked in the instance, and the candidate groups of its user tasks and of the messages it waits for."""
    people, groups = set[str](), set[str]()
    for assignee, ended_by, offered in tx.rows(
        "select assignee, ended_by, candidate_groups from user_task where instance_id = ?", (instance_id,)
    ):
        people.update(p for p in (assignee, ended_by) if p)
        groups.update(g for g in offered.split(",") if g)
    for (offered,) in tx.rows("select candidate_groups from subscription where instance_id = ?", (instance_id,)):
        groups.update(g for g in offered.split(",") if g)
    return people, groups


def idempotent_answer(tx: Session, scope: str, key: str) -> tuple[int | None] | None:
    """Return ``(answer,)`` of the command that used this key before, or None."""
    row = tx.row("select answer from idempotency_key where scope = ? and key = ?", (scope, key))
    return None if row is None else (row[0],)


_KEEP_KEY = "insert into idempotency_key (scope, key, answer, at) values (?, ?, ?, ?) on conflict do nothing"


def keep_key(tx: Session, scope: str, key: str, answer: int | None, at: int) -> bool:
    """Remember that a command was carried out under this key. False: it was before."""
    return bool(tx.run(_KEEP_KEY, (scope, key, answer, at)))


def use_key(tx: Session, scope: str, key: str, answer: int | None, at: int) -> None:
    """Remember that a command is carried out under this key.

    Raises:
        Missed: here or at the end of the transaction: it was before.
    """
    tx.must(_KEEP_KEY, (scope, key, answer, at))


def active_count(tx: Session) -> int:
    found: int = tx.value(f"select count(*) from instance i where i.status = 'active' and {LISTED}")
    return found


def counts(tx: Session) -> list[tuple[str, int, int, int]]:
    """Return ``(process key, running, ended, with open incidents)`` of every process that was ever started."""
    sql = (
        "select i.\"key\", sum(case when i.status in ('active', 'suspended') then 1 else 0 end), "
        "sum(case when i.status in ('completed', 'cancelled') then 1 else 0 end), "
        "(select count(distinct c.instance_id) from incident c join instance o on o.id = c.instance_id "
        'where c.resolved_at is null and o."key" = i."key") from instance i group by i."key"'
    )
    return [(key, running, ended, stuck) for key, running, ended, stuck in tx.rows(sql)]
