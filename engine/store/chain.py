"""The rows of history: events and their payloads, appended once and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.store.database import Row, Session

_EVENT = "insert into event (instance_id, seq, body, hash) values (?, ?, ?, ?)"
_PAYLOAD = "insert into event_payload (instance_id, seq, salt, body) values (?, ?, ?, ?)"
_READ = (
    "select e.seq, e.body, e.hash, p.salt, p.body from event e left join event_payload p on p.instance_id = e.instance_id"
    " and p.seq = e.seq where e.instance_id = ? and e.seq > ? order by e.seq limit ?"
)


def append(tx: Session, events: Sequence[Row], payloads: Sequence[Row]) -> None:
    """Write ``(instance, seq, body, hash)`` and ``(instance, seq, salt, payload)``."""
    tx.run_many(_EVENT, events)
    if payloads:
        tx.run_many(_PAYLOAD, payloads)


def read(tx: Session, instance_id: int, *, after: int = 0, limit: int | None = None) -> Iterator[Row]:
    """Give ``(seq, body, hash, salt, payload)`` in order, a thousand at a time."""
    left = limit
    while left is None or left > 0:
        size = 1000 if left is None else min(1000, left)
        rows = tx.rows(_READ, (instance_id, after, size))
        yield from ((row[0], *(_bytes(part) for part in row[1:])) for row in rows)
        if len(rows) < size or not isinstance(rows[-1][0], int):
            return
        after = rows[-1][0]
        left = None if left is None else left - size


def _bytes(part: object) -> object:
    """What somebody changed by hand may have become a text or a number; it must be read to be found."""
    return part if part is None or isinstance(part, bytes) else str(part).encode("utf-8", "replace")


def erase(tx: Session, instance_id: int, seqs: Sequence[int]) -> None:
    """Erase the payloads of these events and their salts: nobody can guess any more what stood there."""
    tx.run_many("delete from event_payload where instance_id = ? and seq = ?", [(instance_id, seq) for seq in seqs])


def payloads(tx: Session, instance_id: int) -> list[int]:
    """Return the numbers of the events that still have a payload."""
    return [seq for (seq,) in tx.rows("select seq from event_payload where instance_id = ? order by seq", (instance_id,))]


def heads(tx: Session, instance_id: int | None) -> Iterable[Row]:
    """Return ``(instance, seq, head)`` of one or of all instances."""
    if instance_id is not None:
        return tx.rows("select id, seq, head from instance where id = ?", (instance_id,))
    return tx.rows("select id, seq, head from instance order by id")


def strays(tx: Session) -> list[int]:
    """Return instances that events belong to but that are not there."""
    sql = "select distinct instance_id from event where instance_id not in (select id from instance)"
    return [row[0] for row in tx.rows(sql)]
