"""Rows of bid calendars: the latest of each instance, a fold of its history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from engine.store.database import Session
from engine.store.instances import LISTED, seen_by

_TO_FOLD = "calendars_to_fold"


class CalendarRow(NamedTuple):
    """`computed_at`: microseconds; `body`: what the handler gave, as the codec writes it."""

    instance_id: int
    title: str
    computed_at: int
    body: bytes


_PUT = "insert into bid_calendar (instance_id, computed_at, body) values (?, ?, ?) on conflict (instance_id) do "


def put(tx: Session, instance_id: int, computed_at: int, body: bytes) -> None:
    tx.put(_PUT + "update set computed_at = excluded.computed_at, body = excluded.body", (instance_id, computed_at, body))


def put_if_none(tx: Session, instance_id: int, computed_at: int, body: bytes) -> None:
    """`put`, unless a command that came meanwhile did."""
    tx.put(_PUT + "nothing", (instance_id, computed_at, body))


def drop(tx: Session, instance_id: int) -> None:
    tx.put("delete from bid_calendar where instance_id = ?", (instance_id,))


_GET = "select c.instance_id, i.title, c.computed_at, c.body from bid_calendar c join instance i on i.id = c.instance_id"


def get(tx: Session, instance_id: int) -> CalendarRow | None:
    row = tx.row(_GET + " where c.instance_id = ?", (instance_id,))
    return None if row is None else CalendarRow(*row)


def active(tx: Session, only: tuple[str, Iterable[str]] | None) -> list[CalendarRow]:
    """Return the calendars of active instances, the newest instance first.

    Args:
        only: as in `instances.find`.
    """
    sql, values = f"{_GET} where i.status = 'active' and {LISTED}", list[object]()
    if only is not None:
        seen, values = seen_by(only)
        sql += " and " + seen
    return [CalendarRow(*row) for row in tx.rows(sql + " order by i.id desc", values)]


# -------------------------------------------------------------------------------------------- histories older than the table
def to_fold(tx: Session) -> bool:
    """True from the migration that made the table until `folded`: instances were there before it."""
    return tx.value("select 1 from meta where name = ?", (_TO_FOLD,)) is not None


def folded(tx: Session) -> None:
    tx.put("delete from meta where name = ?", (_TO_FOLD,))


def bundles(tx: Session) -> list[int]:
    """Return the bundles of every instance that is not archived."""
    return [id for (id,) in tx.rows("select distinct bundle_id from instance")]


def of_bundle(tx: Session, bundle_id: int) -> list[int]:
    return [id for (id,) in tx.rows("select id from instance where bundle_id = ? order by id", (bundle_id,))]
