"""Rows of sealed prices: envelopes, and the wrapped keys of their fields. Nothing here can open one."""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from engine.store.database import Session

_KEY_ID = "sealing_key"


class Envelope(NamedTuple):
    """A version of a sealed field. Instants are microseconds; `matches`: 0 or 1, None before the opening."""

    field: str
    number: int
    fingerprint: str
    envelope: bytes
    readers: str
    reason: str
    at: int
    by: str
    unsealed_at: int | None
    matches: int | None


_ENVELOPE = 'select field, number, fingerprint, envelope, readers, reason, at, "by", unsealed_at, matches from sealed_price where instance_id = ?'


def envelopes(tx: Session, instance_id: int) -> list[Envelope]:
    """Return every version of every sealed field of an instance, by field and number."""
    return [Envelope(*row)._replace(envelope=bytes(row[3])) for row in tx.rows(_ENVELOPE + " order by field, number", (instance_id,))]


def instances(tx: Session) -> list[int]:
    """Return the instances that have sealed prices, oldest first."""
    return [id for (id,) in tx.rows("select distinct instance_id from sealed_price order by instance_id")]


def wrapped_key(tx: Session, instance_id: int, field: str) -> bytes | None:
    found = tx.value("select wrapped from sealed_key where instance_id = ? and field = ?", (instance_id, field))
    return None if found is None else bytes(found)


def insert_key(tx: Session, instance_id: int, field: str, wrapped: bytes) -> None:
    tx.run("insert into sealed_key (instance_id, field, wrapped) values (?, ?, ?)", (instance_id, field, wrapped))


def insert(tx: Session, instance_id: int, e: Envelope) -> None:
    tx.run(
        'insert into sealed_price (instance_id, field, number, fingerprint, envelope, readers, reason, at, "by") values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
        (instance_id, e.field, e.number, e.fingerprint, e.envelope, e.readers, e.reason, e.at, e.by),
    )


def checked(tx: Session, instance_id: int, field: str, number: int, *, at: int, matches: bool) -> None:
    """Remember what the check at the opening found."""
    tx.run(
        "update sealed_price set unsealed_at = ?, matches = ? where instance_id = ? and field = ? and number = ?",
        (at, int(matches), instance_id, field, number),
    )


def erase(tx: Session, instance_id: int, fields: Iterable[str] | None) -> None:
    """Delete envelopes and keys of some fields of an instance, or of all; without its key a copy in a backup stays closed too."""
    for table in ("sealed_price", "sealed_key"):
        if fields is None:
            tx.run(f"delete from {table} where instance_id = ?", (instance_id,))
        else:
            tx.run_many(f"delete from {table} where instance_id = ? and field = ?", [(instance_id, field) for field in fields])


def key_id(tx: Session) -> str | None:
    """Return which installation key the prices are sealed with; None: none was sealed yet."""
    found = tx.value("select value from meta where name = ?", (_KEY_ID,))
    return None if found is None else str(found)


def use_key(tx: Session, key_id: str) -> None:
    """Remember the installation key with the first price that is sealed."""
    tx.run("insert into meta (name, value) values (?, ?) on conflict (name) do nothing", (_KEY_ID, key_id))
