"""Who waits for which message or signal, and messages that wait for somebody."""

# ruff: noqa: S608  statements are put together from constants alone; every value is a parameter

from __future__ import annotations

from collections.abc import Collection, Sequence
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
    tx.put("delete from subscription where instance_id = ?", (instance_id,))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A token that waits for a message. `keys`: by any of these correlation keys."""

    instance_id: int
    token: int
    process: str
    element: str
    keys: frozenset[str]


def receivers(
    tx: Session, kind: SubscriptionKind, name: str, *, keys: Collection[str] | None = None, instance_id: int | None = None,
    process: str | None = None,
) -> list[Waiting]:  # fmt: skip
    """Return who waits, of running instances alone (`ix_subscription_match`).

    Args:
        keys: only by one of these correlation keys; None: by any.
        process: only at elements of this process.
    """
    where, values = "s.kind = ? and s.name = ?", list[Any]([kind.value, name])
    if keys is not None:
        where += f" and s.correlation_key in ({', '.join('?' * len(keys))})"
        values += sorted(keys)
    if instance_id is not None:
        where += " and s.instance_id = ?"
        values.append(instance_id)
    if process is not None:
        where += " and s.process = ?"
        values.append(process)
    rows = tx.rows(
        "select s.instance_id, s.token, s.process, s.element, s.correlation_key from subscription s"
        f" join instance i on i.id = s.instance_id where {where} and i.status = 'active' order by s.instance_id, s.token",
        values,
    )
    found: dict[tuple[int, int], Waiting] = {}
    for instance, token, its_process, element, key in rows:
        known = found.get((instance, token))
        found[instance, token] = Waiting(
            instance_id=instance, token=token, process=its_process, element=element,
            keys=frozenset({key}) if known is None else known.keys | {key},
        )  # fmt: skip
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """`body`: the payload as JSON; `process`, `element`: the only process that may receive it, and where its message flow ends.

    `leaves`: it is for a pool without a process. `thrower`: the instance that threw it. `keys`: BPMN correlation keys as texts.
    """

    id: int
    name: str
    correlation_key: str
    body: bytes
    at: int
    by: str
    expires_at: int
    process: str | None = None
    element: str | None = None
    leaves: bool = False
    thrower: int | None = None
    keys: frozenset[str] = frozenset()


def alone(tx: Session, name: str) -> None:
    """Let nobody else, until this transaction ends, keep messages of this name, or begin to wait for one that is not kept."""
    tx.alone(f"message {name}")


def keep(tx: Session, m: KeptMessage) -> None:
    tx.put(
        'insert into message (id, name, correlation_key, body, at, "by", expires_at, process, element, leaves, thrower)'
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (m.id, m.name, m.correlation_key, m.body, m.at, m.by, m.expires_at, m.process, m.element, int(m.leaves), m.thrower),
    )
    tx.run_many("insert into message_key (message_id, correlation_key) values (?, ?)", [(m.id, key) for key in sorted(m.keys)])


def kept(tx: Session, s: Subscription, now: int, *, keyed: bool, after: int = 0) -> KeptMessage | None:
    """Return the oldest message kept for a subscription that is younger than the one with the id `after`, or None.

    Served by `ix_message_match` or `ix_message_key_match`.

    Args:
        keyed: its correlation key is one of BPMN's.
    """
    return _kept(tx, tx.row(
        f"{_KEPT} where m.name = ? and {_KEYED if keyed else _PLAIN} and (m.process is null or m.process = ?)"
        " and m.expires_at > ? and m.id > ? order by m.id limit 1",
        (s.name, s.correlation_key, s.process, now, after),
    ))  # fmt: skip


def get(tx: Session, message_id: int) -> KeptMessage | None:
    return _kept(tx, tx.row(_KEPT + " where m.id = ?", (message_id,)))


_KEPT = (
    'select m.id, m.name, m.correlation_key, m.body, m.at, m."by", m.expires_at, m.process, m.element, m.leaves, m.thrower'
    " from message m"
)
_PLAIN = "m.correlation_key = ?"
_KEYED = "m.id in (select k.message_id from message_key k where k.correlation_key = ?)"


def _kept(tx: Session, row: Sequence[Any] | None) -> KeptMessage | None:
    if row is None:
        return None
    id, name, key, body, at, by, expires, process, element, leaves, thrower = row
    keys = frozenset(text for (text,) in tx.rows("select correlation_key from message_key where message_id = ?", (id,)))
    return KeptMessage(
        id=id, name=name, correlation_key=key, body=body, at=at, by=by, expires_at=expires, process=process, element=element,
        leaves=bool(leaves), thrower=thrower, keys=keys,
    )  # fmt: skip


def take(tx: Session, message_id: int) -> bool:
    """Delete a kept message that is being delivered, or whose time is over. False: somebody else took it."""
    tx.put("delete from message_key where message_id = ?", (message_id,))
    return bool(tx.run("delete from message where id = ?", (message_id,)))


def expired(tx: Session, now: int) -> list[KeptMessage]:
    """Return the kept messages whose time is over (`ix_message_expires`)."""
    found = [_kept(tx, row) for row in tx.rows(_KEPT + " where m.expires_at <= ? order by m.id", (now,))]
    return [message for message in found if message is not None]


def deliverable(tx: Session, now: int) -> list[tuple[int, int]]:
    """Return ``[(message, instance)]`` of kept messages that somebody may wait for after all, each with all who may."""
    wait = (
        " join instance i on i.id = s.instance_id where s.kind = 'message' and (m.process is null or m.process = s.process)"
        " and m.expires_at > ? and i.status = 'active'"
    )
    return [
        (message, instance)
        for message, instance in tx.rows(
            "select m.id, s.instance_id from message m join subscription s on s.name = m.name"
            f" and s.correlation_key = m.correlation_key{wait}"
            " union select m.id, s.instance_id from message_key k join message m on m.id = k.message_id"
            f" join subscription s on s.name = m.name and s.correlation_key = k.correlation_key{wait} order by 1, 2",
            (now, now),
        )
    ]
