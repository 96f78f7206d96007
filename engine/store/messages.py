"""Who waits for which message or signal, and messages that wait for somebody."""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.model import Subscription, SubscriptionKind, TokenId
from engine.store.database import Session

_COLUMNS = "token, kind, name, correlation_key, process, element, form, candidate_groups"


def _subscription(row: Sequence[Any]) -> Subscription:
    token, kind, name, key, process, element, form, groups = row
    return Subscription(
        token=TokenId(token), kind=SubscriptionKind(kind), name=name, correlation_key=key, process=process, element=element, form=form,
        candidate_groups=frozenset(groups.split(",")) if groups else frozenset(),
    )  # fmt: skip


def replace(tx: Session, instance_id: int, subscriptions: Sequence[Subscription], ids: Sequence[int]) -> None:
    """Make the subscription rows of an instance equal to `subscriptions`; `ids`: as many new ids as there are subscriptions."""
    tx.run("delete from subscription where instance_id = ?", (instance_id,))
    tx.run_many(
        f"insert into subscription (id, instance_id, {_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                id, instance_id, s.token, s.kind.value, s.name, s.correlation_key, s.process, s.element, s.form,
                ",".join(sorted(s.candidate_groups)),
            )
            for s, id in zip(subscriptions, ids, strict=True)
        ],
    )  # fmt: skip


def of_instance(tx: Session, instance_id: int) -> list[Subscription]:
    sql = f"select {_COLUMNS} from subscription where instance_id = ? order by token, name"
    return [_subscription(row) for row in tx.rows(sql, (instance_id,))]


def receivers(
    tx: Session, kind: SubscriptionKind, name: str, *, correlation_key: str | None = None, instance_id: int | None = None
) -> list[tuple[int, int]]:
    """Return ``[(instance, token)]`` of who waits, of running instances alone (`ix_subscription_match`)."""
    where, values = "s.kind = ? and s.name = ?", list[Any]([kind.value, name])
    if correlation_key is not None:
        where += " and s.correlation_key = ?"
        values.append(correlation_key)
    if instance_id is not None:
        where += " and s.instance_id = ?"
        values.append(instance_id)
    return [
        (instance, token)
        for instance, token in tx.rows(
            "select s.instance_id, s.token from subscription s join instance i on i.id = s.instance_id"
            f" where {where} and i.status = 'active' order by s.instance_id, s.token",
            values,
        )
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """`body`: the payload as JSON."""

    id: int
    name: str
    correlation_key: str
    body: bytes
    at: int
    by: str
    expires_at: int


def keep(tx: Session, m: KeptMessage) -> None:
    tx.run(
        'insert into message (id, name, correlation_key, body, at, "by", expires_at) values (?, ?, ?, ?, ?, ?, ?)',
        (m.id, m.name, m.correlation_key, m.body, m.at, m.by, m.expires_at),
    )


def kept(tx: Session, name: str, correlation_key: str, now: int, *, after: int = 0) -> KeptMessage | None:
    """Return the oldest message kept for this name and key that is younger than the one with the id `after`, or None.

    Served by `ix_message_match`.
    """
    return _kept(
        tx.row(
            f"{_KEPT} where name = ? and correlation_key = ? and expires_at > ? and id > ? order by id limit 1",
            (name, correlation_key, now, after),
        )
    )


def get(tx: Session, message_id: int) -> KeptMessage | None:
    return _kept(tx.row(_KEPT + " where id = ?", (message_id,)))


_KEPT = 'select id, name, correlation_key, body, at, "by", expires_at from message'


def _kept(row: Sequence[Any] | None) -> KeptMessage | None:
    if row is None:
        return None
    id, name, key, body, at, by, expires = row
    return KeptMessage(id=id, name=name, correlation_key=key, body=body, at=at, by=by, expires_at=expires)


def take(tx: Session, message_id: int) -> bool:
    """Delete a kept message that is being delivered. False: somebody else took it."""
    return bool(tx.run("delete from message where id = ?", (message_id,)))


def any_expired(tx: Session, now: int) -> bool:
    """True if the time of a kept message is over (`ix_message_expires`)."""
    return tx.value("select 1 from message where expires_at <= ? limit 1", (now,)) is not None


def expire(tx: Session, now: int) -> int:
    """Delete kept messages whose time is over; return how many."""
    return tx.run("delete from message where expires_at <= ?", (now,))


def deliverable(tx: Session, now: int) -> list[tuple[int, int]]:
    """Return ``[(message, instance)]`` of kept messages that somebody waits for after all."""
    return [
        (message, instance)
        for message, instance in tx.rows(
            "select m.id, min(s.instance_id) from message m join subscription s on s.kind = 'message' and s.name = m.name"
            " and s.correlation_key = m.correlation_key join instance i on i.id = s.instance_id"
            " where m.expires_at > ? and i.status = 'active' group by m.id",
            (now,),
        )
    ]
