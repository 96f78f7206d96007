"""Rows of what is kept and what goes: holds, archived instances, their files, and copies of erased texts."""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.model import ERASED, InstanceId, LegalHold, ProcessInstance
from engine.store.database import Session, instant, instant_or_none
from engine.store.instances import LISTED, like, listed

#: What `tx.alone` waits for. `HOLDS`: a hold is placed, or something is done that one would forbid; `BYTES`: bytes of uploaded files
#: come to be used, or are removed.
HOLDS, BYTES = "legal holds", "uploaded bytes"


# -------------------------------------------------------------------------------------------------------------------- holds
_HOLD = "select id, instance_id, business_key, reason, placed_at, placed_by, lifted_at, lifted_by, lifted_reason from legal_hold"


def _hold(row: Sequence[Any]) -> LegalHold:
    id, instance, key, reason, at, by, lifted_at, lifted_by, why = row
    return LegalHold(
        id=id, instance_id=None if instance is None else InstanceId(instance), business_key=key, reason=reason, placed_at=instant(at),
        placed_by=by, lifted_at=instant_or_none(lifted_at), lifted_by=lifted_by, lifted_reason=why,
    )  # fmt: skip


def holds_of(tx: Session, instance_id: int, business_key: str) -> list[LegalHold]:
    """Return the holds that stand over an instance (`ix_legal_hold_instance`, `ix_legal_hold_business_key`)."""
    standing = " where lifted_at is null and "
    rows = tx.rows(_HOLD + standing + "instance_id = ?", (instance_id,))
    if business_key:
        rows += tx.rows(_HOLD + standing + "business_key = ?", (business_key,))
    return [_hold(row) for row in rows]


def holds(tx: Session, *, lifted: bool) -> list[LegalHold]:
    """Return the holds that stand, or all of them, the newest first."""
    return [_hold(row) for row in tx.rows(f"{_HOLD}{'' if lifted else ' where lifted_at is null'} order by id desc")]


def hold(tx: Session, hold_id: int) -> LegalHold | None:
    row = tx.row(_HOLD + " where id = ?", (hold_id,))
    return None if row is None else _hold(row)


def place_hold(tx: Session, h: LegalHold, at: int) -> None:
    tx.run(
        "insert into legal_hold (id, instance_id, business_key, reason, placed_at, placed_by) values (?, ?, ?, ?, ?, ?)",
        (h.id, h.instance_id, h.business_key, h.reason, at, h.placed_by),
    )


def lift_hold(tx: Session, hold_id: int, *, at: int, by: str, reason: str) -> bool:
    """False: it was lifted before."""
    sql = "update legal_hold set lifted_at = ?, lifted_by = ?, lifted_reason = ? where id = ? and lifted_at is null"
    return bool(tx.run(sql, (at, by, reason, hold_id)))


def of_business_key(tx: Session, business_key: str) -> list[int]:
    """Return the instances of a business key that are not archived (`ix_instance_business_key`)."""
    return [id for (id,) in tx.rows("select id from instance where business_key = ? order by id", (business_key,))]


# ---------------------------------------------------------------------------------------------------------- archived instances
@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """What stays of an archived instance. Instants are microseconds; `file`: name of its archive file, `sha256` of that."""

    id: int
    file_id: int
    file: str
    sha256: str
    definition_id: int
    bundle_id: int
    key: str
    title: str
    business_key: str
    status: str
    version: int
    seq: int
    head: bytes
    started_at: int
    started_by: str
    ended_at: int
    outcome: str | None
    participants: frozenset[str]
    candidate_groups: frozenset[str]
    archived_at: int


_STUB = (
    "select a.id, a.file_id, f.name, f.sha256, a.definition_id, a.bundle_id, a.key, a.title, a.business_key, a.status, a.version, a.seq,"
    " a.head, a.started_at, a.started_by, a.ended_at, a.outcome, a.participants, a.candidate_groups, a.archived_at"
    " from archived_instance a join archive_file f on f.id = a.file_id"
)


def _stub(row: Sequence[Any]) -> Stub:
    (id, file_id, file, sha256, definition, bundle, key, title, business_key, status, version, seq, head, at, by, ended, outcome, people,
     groups, archived) = row  # fmt: skip
    return Stub(
        id=id, file_id=file_id, file=file, sha256=sha256, definition_id=definition, bundle_id=bundle, key=key, title=title,
        business_key=business_key, status=status, version=version, seq=seq, head=head, started_at=at, started_by=by, ended_at=ended,
        outcome=outcome, participants=_words(people), candidate_groups=_words(groups), archived_at=archived,
    )  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in text.split(",") if word)


def _text(words: Iterable[str]) -> str:
    return "".join(f",{word}" for word in sorted(words)) + ","


def stub(tx: Session, instance_id: int) -> Stub | None:
    row = tx.row(_STUB + " where a.id = ?", (instance_id,))
    return None if row is None else _stub(row)


def stubs(tx: Session, file_id: int) -> list[Stub]:
    """Return the instances of an archive file (`ix_archived_instance_file`)."""
    return [_stub(row) for row in tx.rows(_STUB + " where a.file_id = ? order by a.id", (file_id,))]


def is_archived(tx: Session, instance_id: int) -> bool:
    return tx.value("select 1 from archived_instance where id = ?", (instance_id,)) is not None


def heads(tx: Session) -> list[tuple[int, int, bytes]]:
    """Return ``[(instance, seq, head)]`` of every instance, running, ended and archived, and of every register, by number."""
    rows = tx.rows(
        "select id, seq, head from instance union all select id, seq, head from archived_instance"
        " union all select id, seq, head from register where seq > 0 order by 1"
    )
    return [(id, seq, head) for id, seq, head in rows]


def head_at(tx: Session, instance_id: int, seq: int) -> bytes | None:
    """Return the hash of the entry whose last event is `seq`, or None."""
    found: bytes | None = tx.value("select hash from event where instance_id = ? and seq = ?", (instance_id, seq))
    return found


_LIST = (
    "select a.id, a.definition_id, a.key, d.version, d.name, a.title, a.business_key, a.status, a.version, a.started_at, a.started_by,"
    " a.ended_at, a.outcome, 0, f.name from archived_instance a join process_definition d on d.id = a.definition_id"
    " join archive_file f on f.id = a.file_id"
)


def _instance(row: Sequence[Any]) -> ProcessInstance:
    return replace(listed(row[:-1]), archived_in=row[-1])


def get(tx: Session, instance_id: int) -> ProcessInstance | None:
    """Return an archived instance as pages show it, or None."""
    row = tx.row(_LIST + " where a.id = ?", (instance_id,))
    return None if row is None else _instance(row)


def find(
    tx: Session, *, key: str | None, search: str, before: int | None, limit: int, only: tuple[str, Iterable[str]] | None
) -> list[ProcessInstance]:
    """Return archived instances, newest first.

    Args:
        only: ``(user id, groups)``: those that this person started or took part in, or whose candidate they were.
    """
    where, values = ["1 = 1"], list[Any]()
    for column, value in (("a.key = ?", key), ("a.id < ?", before)):
        if value is not None:
            where.append(column)
            values.append(value)
    if search:
        where.append("(lower(a.title) like ? escape '\\' or lower(a.business_key) like ? escape '\\')")
        values += [like(search)] * 2
    if only is not None:
        user, groups = only
        arms = ["a.started_by = ?", "lower(a.participants) like ? escape '\\'"]
        values += [user, like(f",{user},")]
        for group in groups:
            arms.append("lower(a.candidate_groups) like ? escape '\\'")
            values.append(like(f",{group},"))
        where.append(f"({' or '.join(arms)})")
    return [_instance(row) for row in tx.rows(f"{_LIST} where {' and '.join(where)} order by a.id desc limit ?", (*values, limit))]


# ------------------------------------------------------------------------------------------------------------- archive files
@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """An archive file that counts. `settled`: every instance in it has its stub."""

    id: int
    name: str
    sha256: str
    size: int
    instance_count: int
    made_at: int
    settled: bool


_FILE = "select id, name, sha256, size, instance_count, made_at, settled from archive_file"


def _file(row: Sequence[Any]) -> FileRow:
    id, name, sha256, size, count, at, settled = row
    return FileRow(id=id, name=name, sha256=sha256, size=size, instance_count=count, made_at=at, settled=bool(settled))


def files(tx: Session) -> list[FileRow]:
    return [_file(row) for row in tx.rows(_FILE + " order by name")]


def file_named(tx: Session, name: str) -> FileRow | None:
    row = tx.row(_FILE + " where name = ?", (name,))
    return None if row is None else _file(row)


def insert_file(tx: Session, f: FileRow) -> None:
    tx.run(
        "insert into archive_file (id, name, sha256, size, instance_count, made_at, settled) values (?, ?, ?, ?, ?, ?, ?)"
        " on conflict do nothing",
        (f.id, f.name, f.sha256, f.size, f.instance_count, f.made_at, int(f.settled)),
    )


def replace_file(tx: Session, f: FileRow, *, was: str) -> bool:
    """Let another file on the disk stand for the row `f.id`. False: somebody was faster."""
    return bool(tx.run(
        "update archive_file set name = ?, sha256 = ?, size = ?, instance_count = ?, settled = ? where id = ? and sha256 = ?",
        (f.name, f.sha256, f.size, f.instance_count, int(f.settled), f.id, was),
    ))  # fmt: skip


def settle_file(tx: Session, file_id: int) -> None:
    tx.run("update archive_file set settled = 1 where id = ?", (file_id,))


def delete_file(tx: Session, file_id: int) -> None:
    tx.run("delete from archive_file where id = ?", (file_id,))


# ------------------------------------------------------------------------------------------------------- out of the database
#: An instance that anything is still on its way from, or of which a failure waits for a person, is not at rest.
_AT_REST = (
    " and not exists (select 1 from job j where j.instance_id = i.id)"
    " and not exists (select 1 from incident c where c.instance_id = i.id and c.resolved_at is null)"
    " and not exists (select 1 from message m where m.thrower = i.id)"
)
_FREE = (
    " and not exists (select 1 from legal_hold h where h.lifted_at is null and h.instance_id = i.id)"
    " and not exists (select 1 from legal_hold h where h.lifted_at is null and h.business_key = i.business_key)"
)


#: With what lets `ix_instance_status` serve; of what is completed, which nearly all is, the primary key is the way.
_ENDED = (("completed", "1 = 1"), ("cancelled", LISTED))


def archivable(tx: Session, *, ended_before: int, ids_below: int, limit: int, after: int = 0) -> list[tuple[int, int, int]]:
    """Return ``[(instance, ended_at, version)]`` of what ended before an instant, is at rest and not held.

    Args:
        ids_below: the first id of that instant: what ended before it also began before it.
        after: only instances with greater numbers.
    """
    found = list[tuple[int, int, int]]()
    for status, served in _ENDED:
        rows = tx.rows(
            f"select i.id, i.ended_at, i.version from instance i where i.status = ? and {served} and i.id > ? and i.id < ? and i.ended_at < ?"
            + _AT_REST + _FREE + " order by i.id limit ?",
            (status, after, ids_below, ended_before, limit),
        )  # fmt: skip
        found += [(id, at, version) for id, at, version in rows]
    return sorted(found)[:limit]


def held_count(tx: Session, *, ended_before: int, ids_below: int) -> int:
    """Return how many instances would be archived if no hold stood over them."""
    rows = [
        tx.value(
            f"select count(*) from instance i where i.status = ? and {served} and i.id < ? and i.ended_at < ? and ("
            " exists (select 1 from legal_hold h where h.lifted_at is null and h.instance_id = i.id)"
            " or exists (select 1 from legal_hold h where h.lifted_at is null and h.business_key = i.business_key))",
            (status, ids_below, ended_before),
        )
        for status, served in _ENDED
    ]
    return sum(rows)


def move_out(tx: Session, s: Stub, documents: Iterable[tuple[int, str]]) -> bool:
    """Delete every row of an instance and leave its stub, if it is as it was archived, at rest and not held. False: it is not.

    Args:
        documents: ``(id, sha256)`` of its uploaded files.
    """
    if tx.value(
        "select 1 from instance i where i.id = ? and i.version = ? and i.seq = ?" + _AT_REST + _FREE, (s.id, s.version, s.seq)
    ) is None:  # fmt: skip
        return False
    if not tx.run("update instance set version = version + 1 where id = ? and version = ?", (s.id, s.version)):
        return False  # a command was faster
    own = " where instance_id = ?"
    tx.run("delete from user_task_candidate where task_id in (select id from user_task where instance_id = ?)", (s.id,))
    tx.run("delete from draft where task_id in (select id from user_task where instance_id = ?)", (s.id,))
    for table in ("document", "user_task", "incident", "subscription", "instance_state", "bid_calendar", "event_payload", "event"):
        tx.run(f"delete from {table}{own}", (s.id,))
    tx.run("delete from instance where id = ?", (s.id,))
    tx.run(
        "insert into archived_instance (id, file_id, definition_id, bundle_id, key, title, business_key, status, version, seq, head,"
        " started_at, started_by, ended_at, outcome, participants, candidate_groups, archived_at)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            s.id, s.file_id, s.definition_id, s.bundle_id, s.key, s.title, s.business_key, s.status, s.version, s.seq, s.head,
            s.started_at, s.started_by, s.ended_at, s.outcome, _text(s.participants), _text(s.candidate_groups), s.archived_at,
        ),
    )  # fmt: skip
    tx.run_many("insert into archived_document (id, instance_id, sha256) values (?, ?, ?)", [(id, s.id, sha) for id, sha in documents])
    return True


def update_stub(tx: Session, s: Stub, *, was: int) -> bool:
    """Write what an erasure changed. False: somebody was faster."""
    return bool(tx.run(
        "update archived_instance set seq = ?, head = ?, title = ?, business_key = ?, outcome = ? where id = ? and seq = ?",
        (s.seq, s.head, s.title, s.business_key, s.outcome, s.id, was),
    ))  # fmt: skip


def is_known(tx: Session, instance_id: int, seq: int) -> bool:
    """True if an instance is in the tables, or archived in a file that counts, with at least so many events."""
    return tx.value(
        "select 1 from instance where id = ? and seq >= ? union all select 1 from archived_instance where id = ? and seq >= ?",
        (instance_id, seq, instance_id, seq),
    ) is not None  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ uploaded files
def archived_document(tx: Session, document_id: int) -> int | None:
    """Return the archived instance that a file belongs to, or None."""
    found: int | None = tx.value("select instance_id from archived_document where id = ?", (document_id,))
    return found


def erase_document(tx: Session, document_id: int, at: int, name: str) -> None:
    """Let a file have been erased; `name` stands for what it was called."""
    tx.run("update document set name = ?, erased_at = coalesce(erased_at, ?) where id = ?", (name, at, document_id))
    tx.run("update archived_document set erased_at = coalesce(erased_at, ?) where id = ?", (at, document_id))


def bytes_are_used(tx: Session, sha256: str) -> bool:
    """True if the bytes of this hash belong to a file that was not erased."""
    return tx.value(
        "select 1 from document where sha256 = ? and erased_at is null union all"
        " select 1 from archived_document where sha256 = ? and erased_at is null union all"
        " select 1 from register_file where sha256 = ? and name <> ?",
        (sha256, sha256, sha256, ERASED),
    ) is not None  # fmt: skip


def erased_hashes(tx: Session) -> list[str]:
    """Return the hashes of erased files whose bytes nobody uses any more."""
    return [sha for (sha,) in tx.rows(
        "select d.sha256 from (select sha256 from document where erased_at is not null"
        " union select sha256 from archived_document where erased_at is not null"
        " union select sha256 from register_file where name = ?) d"
        " where not exists (select 1 from document o where o.sha256 = d.sha256 and o.erased_at is null)"
        " and not exists (select 1 from archived_document a where a.sha256 = d.sha256 and a.erased_at is null)"
        " and not exists (select 1 from register_file r where r.sha256 = d.sha256 and r.name <> ?)",
        (ERASED, ERASED),
    )]  # fmt: skip


# ------------------------------------------------------------------------------------------- copies of what people typed
def on_its_way(tx: Session, instance_id: int) -> tuple[int, int]:
    """Return how many jobs with a content an instance still has, and how many messages that it threw wait for a receiver."""
    jobs: int = tx.value("select count(*) from job where instance_id = ? and body is not null", (instance_id,))
    messages: int = tx.value("select count(*) from message where thrower = ?", (instance_id,))
    return jobs, messages


def notice_texts(tx: Session, instance_id: int) -> list[tuple[int, str, str]]:
    """Return ``[(notice, subject, body)]`` of what people were told about an instance."""
    return [(id, subject, body) for id, subject, body in tx.rows("select id, subject, body from notice where instance_id = ?", (instance_id,))]


def rewrite_notice(tx: Session, notice_id: int, subject: str, body: str) -> int:
    return tx.run("update notice set subject = ?, body = ? where id = ?", (subject, body, notice_id))


def incident_texts(tx: Session, instance_id: int) -> list[tuple[int, str]]:
    return [(id, text) for id, text in tx.rows("select id, message from incident where instance_id = ?", (instance_id,))]


def rewrite_incident(tx: Session, incident_id: int, message: str) -> int:
    return tx.run("update incident set message = ? where id = ?", (message, incident_id))


def task_texts(tx: Session, instance_id: int) -> list[tuple[int, str, str]]:
    """Return ``[(user task, name, properties as JSON)]``."""
    return [(id, name, text) for id, name, text in tx.rows("select id, name, properties from user_task where instance_id = ?", (instance_id,))]


def rewrite_task(tx: Session, task_id: int, name: str, properties: str) -> int:
    return tx.run("update user_task set name = ?, properties = ? where id = ?", (name, properties, task_id))


def titles(tx: Session, instance_id: int) -> tuple[str, str, str, str | None]:
    """Return title, business key, status and outcome."""
    row = tx.row("select title, business_key, status, outcome from instance where id = ?", (instance_id,))
    assert row is not None
    return row[0], row[1], row[2], row[3]


def retitle(tx: Session, instance_id: int, title: str, business_key: str, outcome: str | None) -> int:
    sql = "update instance set title = ?, business_key = ?, outcome = ? where id = ?"
    return tx.run(sql, (title, business_key, outcome, instance_id))
