"""The rows of history: entries and their payloads, appended once and never changed; packed, as their texts repeat themselves.

Packed is a byte 1 and the raw deflate stream of the text, begun with `_FAMILIAR`, when that is shorter; else the text itself.
What is hashed, exported and verified is the text.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from engine.store.database import Row, Session

_ENTRY = "insert into event (instance_id, seq, body, hash) values (?, ?, ?, ?)"
_PAYLOADS = "insert into event_payload (instance_id, seq, salt, body) values (?, ?, ?, ?)"
_READ = (
    "select e.seq, e.body, e.hash, p.salt, p.body from event e left join event_payload p on p.instance_id = e.instance_id"
    " and p.seq = e.seq where e.instance_id = ? and e.seq > ? order by e.seq limit ?"
)
_PAGE = 200
#: What entries usually say, the most frequent last. Part of the stored format: another one needs another first byte.
_FAMILIAR = (
    b'"properties":{"values":{"variables":{"subject":"","message":"","reason":""}{"values":{"approved":true,"comment":"","result":"'
    b'"type":"InstanceCompleted","outcome":""}]}"type":"InstanceStarted","definitions":{"psm"business_key":"","payload":0},'
    b'"type":"JobFailed","job_type":"","attempt":1,"retry_at":"202"type":"TimerScheduled","due_at":"202'
    b'"type":"TimerFired","type":"TimerCancelled","type":"NotificationSent","channel":"notice","recipients":["'
    b'"type":"MessageThrown","name":"","correlation_key":"","inside":false,"type":"MessageCorrelated","type":"DecisionEvaluated",'
    b'"decision":"","sha256":"","rules":[1],"type":"IncidentOpened","kind":"expression","type":"IncidentResolved",'
    b'"type":"ActivityCancelled","by":"","type":"UserTaskCancelled","token":{"type":"TokenJoined","element":"","token":1,"into":1},'
    b'{"type":"JobCompleted","element":"","token":1,"job_type":"","attempt":1,"actor":"system","acting_for":null,"payload":1},'
    b'{"type":"VariablesChanged","scope":null,"names":["approved","comment"],"cause":"","payload":2},'
    b'{"type":"JobCreated","element":"","token":1,"job_type":""},"kind":"parallelGateway"},"kind":"exclusiveGateway"},'
    b'"kind":"startEvent"},"kind":"endEvent"},"kind":"serviceTask"},"kind":"subProcess","kind":"callActivity","scope":1,'
    b'"condition":"result = \\"","is_default":true,{"at":"2026-12-T:.+00:00","actor":"anna","process":"","commitment":"'
    b'","events":[{"type":"UserTaskClaimed","element":"","token":3},{"type":"UserTaskCompleted","element":"","token":3,"due_at":'
    b'"2026-11-T:.+00:00","payload":0},{"type":"ActivityCompleted","element":"","token":3},{"type":"FlowTaken","element":"",'
    b'"token":3,"flow":"","to_token":4},{"type":"ActivityStarted","element":"","token":4,"kind":"userTask"},{"type":'
    b'"UserTaskCreated","element":"","token":4,"name":"","form":"","assignee":null,"candidate_groups":["bid_manager"],'
    b'"candidate_users":[],"priority":50,"due_at":"2026-12-T:.+00:00"}]}'
)


#: Copied for each text: reading `_FAMILIAR` anew costs as much as the text. Entries are small, so a window of 4 KB is enough.
_DEFLATE = zlib.compressobj(6, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, _FAMILIAR)


def pack(text: bytes) -> bytes:
    """Return a text as it is stored."""
    deflate = _DEFLATE.copy()
    packed = deflate.compress(text) + deflate.flush()
    return b"\x01" + packed if len(packed) < len(text) else text


def unpack(stored: object) -> bytes:
    """Return the text; what somebody changed by hand, and cannot be unpacked, comes back as it is, to be found by its hash."""
    if not isinstance(stored, bytes):
        return str(stored).encode("utf-8", "replace")
    if stored[:1] != b"\x01":
        return stored
    try:
        inflate = zlib.decompressobj(-12, _FAMILIAR)
        text = inflate.decompress(stored[1:], _MOST)
        return text if inflate.eof and not inflate.unused_data else stored
    except zlib.error:
        return stored


_MOST = 1 << 30  #: bytes; an entry is far smaller, a bomb is bigger


def prepared(instance_id: int, seq: int, body: bytes, hash: bytes, salt: bytes | None, payloads: bytes | None) -> Row:
    """Return an entry as `append` writes it; the work that needs no transaction."""
    return instance_id, seq, pack(body), hash, salt, None if payloads is None else pack(payloads)


def append(tx: Session, row: Row) -> None:
    """Write what a command added: what `prepared` returned."""
    instance_id, seq, body, hash, salt, payloads = row
    tx.put(_ENTRY, (instance_id, seq, body, hash))
    if payloads is not None:
        tx.put(_PAYLOADS, (instance_id, seq, salt, payloads))


def read(tx: Session, instance_id: int, *, after: int = 0) -> Iterator[Row]:
    """Give ``(seq, body, hash, salt, payloads)`` of entries that hold events after the `after`-th, in order, some at a time."""
    while True:
        rows = tx.rows(_READ, (instance_id, after, _PAGE))
        for seq, body, hash, salt, payloads in rows:
            yield seq, unpack(body), _bytes(hash), salt if salt is None else _bytes(salt), payloads if payloads is None else unpack(payloads)
        if len(rows) < _PAGE or not isinstance(rows[-1][0], int):
            return
        after = rows[-1][0]


def _bytes(part: object) -> bytes:
    """What somebody changed by hand may have become a text or a number; it must be read to be found."""
    return part if isinstance(part, bytes) else str(part).encode("utf-8", "replace")


def rewrite_payloads(tx: Session, instance_id: int, seq: int, salt: bytes | None, payloads: bytes | None) -> None:
    """Write the payloads that are left of an entry, and the salts: nobody can guess any more what stood in the others."""
    if payloads is None:
        tx.put("delete from event_payload where instance_id = ? and seq = ?", (instance_id, seq))
    else:
        sql = "update event_payload set salt = ?, body = ? where instance_id = ? and seq = ?"
        tx.put(sql, (salt, pack(payloads), instance_id, seq))


def heads(tx: Session, instance_id: int | None) -> Iterable[Row]:
    """Return ``(instance, seq, head)`` of one or of all instances."""
    if instance_id is not None:
        return tx.rows("select id, seq, head from instance where id = ?", (instance_id,))
    return tx.rows("select id, seq, head from instance order by id")


def strays(tx: Session) -> list[int]:
    """Return instances that events belong to but that are not there."""
    sql = "select distinct instance_id from event where instance_id not in (select id from instance)"
    return [row[0] for row in tx.rows(sql)]
