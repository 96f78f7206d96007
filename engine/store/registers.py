"""Registers: their records, appended once and never changed, and what the newest version of each entry says, for lists."""



from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.model import ERASED
from engine.store.chain import pack, pack_payloads, unpack
from engine.store.database import Row, Session
from engine.store.instances import like

_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """The newest version of an entry. `owner`: whom it is about, or empty; `body`: its values, canonical."""

    id: int
    version: int
    withdrawn: bool
    added_at: int
    added_by: str
    changed_at: int
    changed_by: str
    owner: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    id: int
    register_id: int
    entry_id: int
    field: str
    name: str
    media_type: str
    size: int
    sha256: str
    uploaded_at: int
    uploaded_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries. `equal`: ``{field: sort key}``; `below`: ``(field, sort key)``, a smaller value; `own`: a person's alone."""

    search: str = ""
    equal: Mapping[str, str] | None = None
    below: tuple[str, str] | None = None
    own: str | None = None
    withdrawn: bool = False


# ----------------------------------------------------------------------------------------------------------------- the chain
def alone(tx: Session, name: str, new_id: int, genesis: bytes) -> tuple[int, int, bytes]:
    """Return ``(id, seq, head)`` of a register, made if it is not there, and keep others from writing to it until the end."""
    tx.alone(f"register {name}")
    row = tx.row("select id, seq, head from register where name = ?", (name,))
    if row is None:
        tx.run("insert into register (id, name, seq, head) values (?, ?, 0, ?)", (new_id, name, genesis))
        return new_id, 0, genesis
    return row[0], row[1], bytes(row[2])


def register_id(tx: Session, name: str) -> int | None:
    found: int | None = tx.value("select id from register where name = ?", (name,))
    return found


def record_count(tx: Session, register: int) -> int:
    """Return how many records the chain of a register has."""
    found: int = tx.value("select seq from register where id = ?", (register,))
    return found


def append(
    tx: Session, register: int, entry: int, seq: int, body: bytes, hash: bytes, commitment: bytes | None, salt: bytes | None,
    payloads: bytes | None,
) -> None:
    """Write a record after the last one of its register, and let the register end with it."""
    tx.put(
        "insert into register_record (register_id, seq, entry_id, body, hash, commitment, salt, payloads) values (?, ?, ?, ?, ?, ?, ?, ?)",
        (register, seq, entry, pack(body), hash, commitment, salt, None if payloads is None else pack_payloads(payloads)),
    )
    tx.must("update register set seq = ?, head = ? where id = ? and seq = ?", (seq, hash, register, seq - 1))


def heads(tx: Session) -> list[tuple[int, str, int, bytes]]:
    """Return ``[(id, name, seq, head)]`` of every register."""
    return [(id, name, seq, bytes(head)) for id, name, seq, head in tx.rows("select id, name, seq, head from register order by id")]


_RECORD = "select seq, body, hash, commitment, salt, payloads from register_record"


def _record(row: Row) -> Row:
    seq, body, hash, commitment, salt, payloads = row
    return (
        seq, unpack(body), _bytes(hash), None if commitment is None else _bytes(commitment), None if salt is None else _bytes(salt),
        None if payloads is None else unpack(payloads),
    )  # fmt: skip


def _bytes(part: object) -> bytes:
    """What somebody changed by hand may have become a text or a number; it must be read to be found."""
    return part if isinstance(part, bytes) else str(part).encode("utf-8", "replace")


def records(tx: Session, register: int) -> Iterator[Row]:
    """Give ``(seq, body, hash, commitment, salt, payloads)`` of a register, in order, some at a time."""
    after = 0
    while True:
        rows = tx.rows(f"{_RECORD} where register_id = ? and seq > ? order by seq limit ?", (register, after, _PAGE))
        yield from map(_record, rows)
        if len(rows) < _PAGE or not isinstance(rows[-1][0], int):
            return
        after = rows[-1][0]


def versions(tx: Session, entry: int) -> list[Row]:
    """Return ``[(seq, body, hash, commitment, salt, payloads)]`` of an entry, oldest first (`ix_register_record_entry`)."""
    return [_record(row) for row in tx.rows(f"{_RECORD} where entry_id = ? order by seq", (entry,))]


def rewrite_payloads(tx: Session, register: int, seq: int, salt: bytes | None, payloads: bytes | None) -> None:
    """Write the payloads that are left of a record, and the salts: nobody can guess any more what stood in the others."""
    packed = None if payloads is None else pack_payloads(payloads)
    tx.put("update register_record set salt = ?, payloads = ? where register_id = ? and seq = ?", (salt, packed, register, seq))


# --------------------------------------------------------------------------------------------------------------- the entries
_ENTRY = "select e.id, e.version, e.withdrawn, e.added_at, e.added_by, e.changed_at, e.changed_by, e.owner, e.body from register_entry e"


def _entry(row: Sequence[object]) -> EntryRow:
    id, version, withdrawn, added_at, added_by, changed_at, changed_by, owner, body = row
    return EntryRow(
        id=id, version=version, withdrawn=bool(withdrawn), added_at=added_at, added_by=added_by, changed_at=changed_at,  # type: ignore[arg-type]
        changed_by=changed_by, owner=owner, body=unpack(body),  # type: ignore[arg-type]
    )  # fmt: skip


def get(tx: Session, register: int, entry: int) -> EntryRow | None:
    row = tx.row(f"{_ENTRY} where e.register_id = ? and e.id = ?", (register, entry))
    return None if row is None else _entry(row)


def added_once(tx: Session, register: int, once: str) -> int | None:
    """Return the entry that was added under a key (`ix_register_entry_once`), or None."""
    found: int | None = tx.value("select id from register_entry where register_id = ? and once = ?", (register, once))
    return found


def find(
    tx: Session, register: int, wanted: Wanted, *, sort: str | None = None, descending: bool = False, limit: int = -1, offset: int = 0
) -> list[EntryRow]:
    """Return entries, by the value of the field `sort` (those without one last), else the last added first.

    Args:
        limit: -1: all.
    """
    join, where, values = "", ["e.register_id = ?"], list[object]()
    order = "e.id desc"
    if sort is not None:
        join = " left join register_field s on s.entry_id = e.id and s.field = ?"
        values.append(sort)
        order = f"case when s.sort_key is null then 1 else 0 end, s.sort_key {'desc' if descending else 'asc'}, e.id desc"
    values.append(register)
    if not wanted.withdrawn:
        where.append("e.withdrawn = 0")
    if wanted.own is not None:
        where.append("(e.added_by = ? or e.owner = ?)")
        values += [wanted.own, wanted.own]
    for word in wanted.search.split():
        where.append("e.words like ? escape '\\'")
        values.append(like(word))
    of_field = "e.id in (select f.entry_id from register_field f where f.register_id = ? and f.field = ? and f.sort_key"
    for field, key in (wanted.equal or {}).items():
        where.append(f"{of_field} = ?)")
        values += [register, field, key]
    if wanted.below is not None:
        where.append(f"{of_field} < ?)")
        values += [register, *wanted.below]
    page = "" if limit < 0 else " limit ? offset ?"
    values += [] if limit < 0 else [limit, offset]
    return [_entry(row) for row in tx.rows(f"{_ENTRY}{join} where {' and '.join(where)} order by {order}{page}", values)]


def write(tx: Session, register: int, e: EntryRow, *, words: str, keys: Mapping[str, str], once: str | None) -> None:
    """Let the newest version of an entry be this one."""
    if e.version == 1:
        tx.put(
            "insert into register_entry (id, register_id, version, withdrawn, added_at, added_by, changed_at, changed_by, owner, once,"
            " words, body) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (e.id, register, 1, int(e.withdrawn), e.added_at, e.added_by, e.changed_at, e.changed_by, e.owner, once, words, pack(e.body)),
        )
    else:
        tx.must(
            "update register_entry set version = ?, withdrawn = ?, changed_at = ?, changed_by = ?, owner = ?, words = ?, body = ?"
            " where id = ? and version = ?",
            (e.version, int(e.withdrawn), e.changed_at, e.changed_by, e.owner, words, pack(e.body), e.id, e.version - 1),
        )
        tx.put("delete from register_field where entry_id = ?", (e.id,))
    _write_keys(tx, register, e.id, keys)


def rewrite(tx: Session, e: EntryRow, *, words: str, keys: Mapping[str, str], register: int) -> None:
    """Let the lists say of an entry's newest version what an erasure left of it."""
    tx.must("update register_entry set owner = ?, words = ?, body = ? where id = ? and version = ?", (e.owner, words, pack(e.body), e.id, e.version))
    tx.put("delete from register_field where entry_id = ?", (e.id,))
    _write_keys(tx, register, e.id, keys)


def _write_keys(tx: Session, register: int, entry: int, keys: Mapping[str, str]) -> None:
    tx.run_many(
        "insert into register_field (entry_id, field, register_id, sort_key) values (?, ?, ?, ?)",
        [(entry, field, register, key) for field, key in keys.items()],
    )


def keys(tx: Session, register: int) -> dict[int, dict[str, str]]:
    """Return ``{entry: {field: sort key}}`` of a register."""
    found: dict[int, dict[str, str]] = {}
    for entry, field, key in tx.rows("select entry_id, field, sort_key from register_field where register_id = ?", (register,)):
        found.setdefault(entry, {})[field] = key
    return found


# ----------------------------------------------------------------------------------------------------------------- the files
_FILE = "select id, register_id, entry_id, field, name, media_type, size, sha256, uploaded_at, uploaded_by from register_file"


def _file(row: Row) -> FileRow:
    id, register, entry, field, name, media_type, size, sha256, at, by = row
    return FileRow(
        id=id, register_id=register, entry_id=entry, field=field, name=name, media_type=media_type, size=size, sha256=sha256,
        uploaded_at=at, uploaded_by=by,
    )  # fmt: skip


def insert_files(tx: Session, files: Iterable[FileRow]) -> None:
    tx.run_many(
        "insert into register_file (id, register_id, entry_id, field, name, media_type, size, sha256, uploaded_at, uploaded_by)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(f.id, f.register_id, f.entry_id, f.field, f.name, f.media_type, f.size, f.sha256, f.uploaded_at, f.uploaded_by) for f in files],
    )


def files(tx: Session, entry: int) -> list[FileRow]:
    """Return every file that a version of an entry has or had, without those that were erased (`ix_register_file_entry`)."""
    return [_file(row) for row in tx.rows(f"{_FILE} where entry_id = ? and name <> ? order by id", (entry, ERASED))]


def erase_file(tx: Session, file: int) -> None:
    """Let a file have been erased; its row stays until nobody can ask for its bytes any more."""
    tx.put("update register_file set name = ? where id = ?", (ERASED, file))


def notice_texts(tx: Session, name: str) -> list[tuple[int, str, str]]:
    """Return ``[(notice, subject, body)]`` of what people were told about a register."""
    rows = tx.rows("select id, subject, body from notice where instance_id is null and link like ? escape '\\'", (f"/registers/{like(name)[1:-1]}?%",))
    return [(id, subject, body) for id, subject, body in rows]
