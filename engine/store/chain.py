"""The rows of history: entries and their payloads, appended once and never changed; packed, as their texts repeat themselves.

Packed is a byte 2 and the raw deflate stream, begun with `_FAMILIAR`, of the text in GBK, where Chinese takes two bytes for three;
a byte 3 and that of the text as it is, if GBK lacks one of its characters; a byte 4 and the text in GBK, of payloads so short that
deflating them takes longer than it is worth; or, when nothing is shorter, the text itself. What is hashed, exported and verified is
the text.

Payloads stand in the entry's own row as long as it fits a leaf of SQLite's tree; larger ones in `event_payload`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from engine.store.database import Row, Session

_ENTRY = "insert into event (instance_id, seq, body, hash, commitment, salt, payloads) values (?, ?, ?, ?, ?, ?, ?)"
_PAYLOADS = "insert into event_payload (instance_id, seq, salt, body) values (?, ?, ?, ?)"
_READ = (
    "select e.seq, e.body, e.hash, e.commitment, coalesce(e.salt, p.salt), coalesce(e.payloads, p.body) from event e"
    " left join event_payload p on p.instance_id = e.instance_id and p.seq = e.seq where e.instance_id = ? and e.seq > ?"
    " order by e.seq limit ?"
)
#: Bytes of body and payloads: of a row of a table without rowid SQLite keeps 1,002 together (pages of 4 KB, hashes and salt take 110
#: of them) and gives what is longer a page of its own.
_TOGETHER = 880
_PAGE = 200
#: What entries usually say, the most frequent last. Part of the stored format: another one needs another first byte.
_FAMILIAR = (
    b'"reason":"","message":"","subject":"","properties":{"inputs":{"result":{"variables":{"values":{"approved":true,"comment":"","i":'
    b'","due_at":"2026-"type":"NotificationSent","channel":"notice","recipients":["'
    b'"type":"TimerFired","type":"TimerCancelled","type":"TimerScheduled","due_at":"202"retry_at":"202"type":"JobFailed","attempt":2,'
    b'"type":"MessageThrown","name":"","correlation_key":"","inside":false,"type":"MessageCorrelated","type":"DecisionEvaluated",'
    b'"rules":[1],"decision":"","sha256":"","type":"IncidentOpened","kind":"expression","type":"IncidentResolved",'
    b'"form":"","assignee":"","candidate_users":["","priority":,"type":"UserTaskCancelled"},{"type":"ActivityCancelled","by":"'
    b'"kind":"intermediateCatchEvent","kind":"subProcess","kind":"callActivity","scope":1,"is_default":true,"condition":"result = \\"'
    b'approved = true"},{"type":"TokenJoined","element":"join"token":1},{"type":"ActivityStarted","kind":"parallelGateway"},'
    b'{"type":"FlowTaken","flow":"","kind":"exclusiveGateway","element":"","kind":"endEvent","element":"end"},{"type":"ActivityCompleted"},'
    b'{"type":"InstanceCompleted","outcome":"end"}]}'
    b'00:00","actor":"system","events":[{"type":"InstanceStarted","definitions":{"psm":1},"process":"psm","business_key":"","payload":0},'
    b'{"type":"ActivityStarted","kind":"startEvent","element":"start","token":1},{"type":"ActivityCompleted"},{"type":"FlowTaken","flow":"'
    b'start_to_"},{"type":"ActivityStarted","kind":"serviceTask","element":""},{"type":"JobCreated","job_type":"","token":2},'
    b'{"type":"JobCompleted","actor":"system","payload":2},{"type":"VariablesChanged","names":["","payload":1},{"type":"ActivityCompleted"},'
    b'{"at":"2026-12-T:.+00:00","actor":"anna","events":[{"type":"UserTaskClaimed","process":"psm","element":"","token":3},'
    b'{"type":"UserTaskCompleted","due_at":"2026-11-T:.+00:00","payload":0},{"type":"VariablesChanged","names":["approved","comment"],"payload":0},'
    b'{"type":"ActivityCompleted"},{"type":"FlowTaken","flow":""},{"type":"ActivityStarted","kind":"userTask","element":""},'
    b'{"type":"UserTaskCreated","name":"","due_at":"2026-12-T:.+00:00","candidate_groups":["bid_manager"]}]}'
)


#: Copied for each text: reading `_FAMILIAR` anew costs as much as the text. Entries are small, so a window of 4 KB is enough; searching longer
#: (level 5) would save a twentieth of the bytes and take a fifth longer.
_DEFLATE = zlib.compressobj(3, zlib.DEFLATED, -12, 4, zlib.Z_DEFAULT_STRATEGY, _FAMILIAR)


def pack(text: bytes) -> bytes:
    """Return a text as it is stored: that of an entry, whose words are the same again and again."""
    kind, plain = _GBK, text
    if not text.isascii():
        try:
            plain = text.decode().encode("gbk")
        except UnicodeError:
            kind = _AS_IT_IS
    deflate = _DEFLATE.copy()
    packed = kind + deflate.compress(plain) + deflate.flush()
    return packed if len(packed) <= len(text) else text


def pack_payloads(text: bytes) -> bytes:
    """Return the payloads of an entry as they are stored. What a person types is short and mostly said once."""
    if len(text) >= _WORTH_DEFLATING:
        return pack(text)
    if text.isascii():
        return text
    try:
        return _SHORT + text.decode().encode("gbk")
    except UnicodeError:
        return text


_GBK, _AS_IT_IS, _SHORT = b"\x02", b"\x03", b"\x04"
_WORTH_DEFLATING = 256  #: bytes: a form's few answers are less, and would be a fifth shorter


def unpack(stored: object) -> bytes:
    """Return the text; what somebody changed by hand, and cannot be unpacked, comes back as it is, to be found by its hash."""
    if not isinstance(stored, bytes):
        return str(stored).encode("utf-8", "replace")
    kind = stored[:1]
    if kind not in (_GBK, _AS_IT_IS, _SHORT):
        return stored
    try:
        if kind == _SHORT:
            return stored[1:].decode("gbk").encode()
        inflate = zlib.decompressobj(-12, _FAMILIAR)
        text = inflate.decompress(stored[1:], _MOST)
        if not inflate.eof or inflate.unused_data:
            return stored
        return text if kind == _AS_IT_IS or text.isascii() else text.decode("gbk").encode()
    except (zlib.error, UnicodeError):
        return stored


_MOST = 1 << 30  #: bytes; an entry is far smaller, a bomb is bigger


def prepared(
    instance_id: int, seq: int, body: bytes, hash: bytes, commitment: bytes | None, salt: bytes | None, payloads: bytes | None
) -> Row:
    """Return an entry as `append` writes it; the work that needs no transaction."""
    return instance_id, seq, pack(body), hash, commitment, salt, None if payloads is None else pack_payloads(payloads)


def append(tx: Session, row: Row) -> None:
    """Write what a command added: what `prepared` returned."""
    instance_id, seq, body, hash, commitment, salt, payloads = row
    if payloads is None or len(body) + len(payloads) <= _TOGETHER:
        tx.put(_ENTRY, row)
    else:
        tx.put(_ENTRY, (instance_id, seq, body, hash, commitment, None, None))
        tx.put(_PAYLOADS, (instance_id, seq, salt, payloads))


def read(tx: Session, instance_id: int, *, after: int = 0) -> Iterator[Row]:
    """Give ``(seq, body, hash, commitment, salt, payloads)`` of entries that hold events after the `after`-th, in order, some at a time."""
    while True:
        rows = tx.rows(_READ, (instance_id, after, _PAGE))
        for seq, body, hash, commitment, salt, payloads in rows:
            yield (
                seq, unpack(body), _bytes(hash), commitment if commitment is None else _bytes(commitment),
                salt if salt is None else _bytes(salt), payloads if payloads is None else unpack(payloads),
            )  # fmt: skip
        if len(rows) < _PAGE or not isinstance(rows[-1][0], int):
            return
        after = rows[-1][0]


def _bytes(part: object) -> bytes:
    """What somebody changed by hand may have become a text or a number; it must be read to be found."""
    return part if isinstance(part, bytes) else str(part).encode("utf-8", "replace")


def rewrite_payloads(tx: Session, instance_id: int, seq: int, salt: bytes | None, payloads: bytes | None) -> None:
    """Write the payloads that are left of an entry, and the salts: nobody can guess any more what stood in the others."""
    own = (instance_id, seq)
    if payloads is None:
        tx.put("update event set salt = null, payloads = null where instance_id = ? and seq = ?", own)
        tx.put("delete from event_payload where instance_id = ? and seq = ?", own)
    else:
        packed = pack_payloads(payloads)
        tx.put("update event set salt = ?, payloads = ? where instance_id = ? and seq = ? and payloads is not null", (salt, packed, *own))
        tx.put("update event_payload set salt = ?, body = ? where instance_id = ? and seq = ?", (salt, packed, *own))


def heads(tx: Session, instance_id: int | None) -> Iterable[Row]:
    """Return ``(instance, seq, head)`` of one or of all instances."""
    if instance_id is not None:
        return tx.rows("select id, seq, head from instance where id = ?", (instance_id,))
    return tx.rows("select id, seq, head from instance order by id")


def strays(tx: Session) -> list[int]:
    """Return instances that events belong to but that are not there."""
    sql = "select distinct instance_id from event where instance_id not in (select id from instance)"
    return [row[0] for row in tx.rows(sql)]
