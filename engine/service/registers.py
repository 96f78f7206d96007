"""Commands and queries on registers (台账): every version is written once, chained, and never changed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO
from zoneinfo import ZoneInfo

from engine import access, history
from engine.errors import AccessDenied, Conflict, Held, InvalidValues, NotFound, StalePage, WrongState
from engine.events import PayloadsErased, RegisterEntryWritten
from engine.feel import codec
from engine.forms import read_form
from engine.model import (
    SYSTEM,
    Actor,
    Break,
    Document,
    DocumentId,
    InstanceId,
    Page,
    RegisterEntry,
    RegisterVersion,
    Values,
)
from engine.registers import (
    PREFIX,
    SOON,
    Flag,
    NewFile,
    Register,
    Spans,
    accepted,
    cell,
    harmless,
    keys,
    of_form,
    plain,
    searchable,
    sort_key,
)
from engine.service import erasure
from engine.service.erasure import Erasure, Left, NothingToErase, Wish
from engine.service.forms import given_reason
from engine.service.observed import observed
from engine.service.uploads import Uploads, file_name
from engine.store import definitions, keep, people
from engine.store import registers as store
from engine.store.database import Missed, Session, instant, micros
from engine.store.people import NewNotice
from engine.store.registers import EntryRow, FileRow, Wanted

if TYPE_CHECKING:
    from engine.service.runtime import Runtime

_TOLD_FROM = 8  #: o'clock
_MOST = 200  #: entries in a page


# ---------------------------------------------------------------------------------------------------------- writing a version
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A version to be written. `version`: of the entry before, 0 of a new one; `once`: key under which it is added but once."""

    register: Register
    entry: int
    version: int
    change: str
    values: Values
    reason: str = ""
    once: str | None = None
    files: tuple[FileRow, ...] = ()


def write(tx: Session, new_id: int, change: Change, actor: Actor, at: datetime) -> int:
    """Write a version within a transaction; return its entry: the one added before when `once` was used already.

    Raises:
        StalePage: somebody else changed the entry meanwhile.
    """
    register = change.register
    id, seq, head = store.alone(tx, register.name, new_id, history.genesis(new_id))
    if change.once is not None and (before := store.added_once(tx, id, change.once)) is not None:
        return before
    row = None if change.version == 0 else store.get(tx, id, change.entry)
    if change.version and (row is None or row.version != change.version):
        raise StalePage(what=f"台账“{register.title}”的这条记录 (this entry)")
    event = RegisterEntryWritten(
        register=register.name, entry=change.entry, entry_version=change.version + 1, change=change.change, values=change.values,
        reason=change.reason,
    )  # fmt: skip
    sealed = history.seal([(event, actor)], seq=seq, at=at, head=head)
    store.append(tx, id, change.entry, sealed.seq, sealed.body, sealed.hash, sealed.commitment, sealed.salt, sealed.payloads)
    store.write(tx, id, _row(register, event, row, actor.id, at), words=searchable(register.form, change.values),
                keys=keys(change.values), once=change.once)  # fmt: skip
    store.insert_files(tx, [replace(file, register_id=id) for file in change.files])
    return change.entry


def write_or_miss(tx: Session, new_id: int, change: Change, actor: Actor, at: datetime) -> None:
    """Write a version that follows from what a command read.

    Raises:
        Missed: somebody changed the entry meanwhile; the command reads it again.
    """
    try:
        write(tx, new_id, change, actor, at)
    except StalePage as error:
        raise Missed from error


def _row(register: Register, event: RegisterEntryWritten, before: EntryRow | None, by: str, at: datetime) -> EntryRow:
    owner = event.values.get(register.owner_field) if register.owner_field else None
    return EntryRow(
        id=event.entry, version=event.entry_version, withdrawn=event.change == "withdrawn", changed_at=micros(at), changed_by=by,
        added_at=micros(at) if before is None else before.added_at, added_by=by if before is None else before.added_by,
        owner=owner if isinstance(owner, str) else "", body=codec.dump(dict(event.values)),
    )  # fmt: skip


def _entry(row: EntryRow) -> RegisterEntry:
    return RegisterEntry(
        id=row.id, version=row.version, withdrawn=row.withdrawn, added_at=instant(row.added_at), added_by=row.added_by,
        changed_at=instant(row.changed_at), changed_by=row.changed_by, owner=row.owner, values=codec.load(row.body),
    )  # fmt: skip


def _as_documents(files: Iterable[FileRow]) -> list[Document]:
    return [
        Document(
            id=DocumentId(f.id), instance_id=InstanceId(0), task_id=None, field=f.field, name=f.name, media_type=f.media_type,
            size=f.size, sha256=f.sha256, uploaded_at=instant(f.uploaded_at), uploaded_by=f.uploaded_by,
        )
        for f in files
    ]  # fmt: skip


def _standing(files: Iterable[FileRow], values: Values) -> tuple[FileRow, ...]:
    """Return those of the files that a version of an entry names."""
    named = {str(f["id"]) for value in values.values() if isinstance(value, list) for f in value if isinstance(f, dict) and "sha256" in f}
    return tuple(f for f in files if str(f.id) in named)


def documents_of(session: Session, entry: RegisterEntry) -> list[Document]:
    """Return the files of an entry as forms take them."""
    return _as_documents(_standing(store.files(session, entry.id), entry.values))


@cache
def _read(body: bytes) -> Register:
    return of_form(read_form(body))


def named(session: Session, name: str) -> Register:
    """Return a register as the newest deployment describes it.

    Raises:
        NotFound
    """
    body = definitions.artifact(session, "form", PREFIX + name)
    if body is None:
        raise NotFound(what="台账 (register)", id=name[:60])
    return _read(bytes(body))


def entries(session: Session, name: str, where: Mapping[str, Any]) -> tuple[RegisterEntry, ...]:
    """Return the entries whose values equal those of `where`, the last added first; what is withdrawn is left out.

    Raises:
        NotFound: no such register.
        InvalidValues: a field that it has not, or a value that cannot be looked for.
    """
    register = named(session, name)
    id = store.register_id(session, name)
    equal: dict[str, str] = {}
    for field, value in where.items():
        key = sort_key(value)
        if register.form.find(field) is None or key is None:
            raise InvalidValues({field: ("不能按此字段和值查找台账。", "The register cannot be searched by this field and value.")})
        equal[field] = key
    return () if id is None else tuple(_entry(row) for row in store.find(session, id, Wanted(equal=equal)))


# ------------------------------------------------------------------------------------------------------------------ verifying
def verify(session: Session) -> tuple[list[Break], int, int]:
    """Return what of the registers is not what was written, how many registers there are, and how many records."""
    breaks: list[Break] = []
    count = 0
    known = store.heads(session)
    for id, name, seq, head in known:
        chain = [history.Entry(*row) for row in store.records(session, id)]
        count += seq
        found = list(history.verify(id, chain, seq, head))
        if not found:
            found = [*_disagreeing(session, id, name, chain)]
        breaks += [replace(each, register=name) for each in found]
    return breaks, len(known), count


def _disagreeing(session: Session, id: int, name: str, chain: Iterable[history.Entry]) -> Iterator[Break]:
    """Give the entries whose rows in the lists are not what their newest versions say."""
    newest: dict[int, tuple[int, RegisterEntryWritten, str]] = {}
    for recorded in history.restored(r for sealed in chain for r in history.unseal(id, sealed)):
        if isinstance(recorded.event, RegisterEntryWritten):
            newest[recorded.event.entry] = recorded.seq, recorded.event, recorded.actor
    rows = {row.id: row for row in store.find(session, id, Wanted(withdrawn=True))}
    known = store.keys(session, id)
    for entry, (seq, event, by) in newest.items():
        row = rows.pop(entry, None)
        values = dict(event.values)
        if row is None or (row.version, row.withdrawn, row.changed_by, row.body) != (
            event.entry_version, event.change == "withdrawn", by, codec.dump(values),
        ) or known.get(entry, {}) != keys(values):  # fmt: skip
            yield Break(
                instance_id=InstanceId(id), seq=seq, kind="agreement", zh=f"列表中的记录 {entry} 与其最新版本不符。",
                en=f"What the list says of the entry {entry} is not its newest version.",
            )  # fmt: skip
    for entry in rows:
        yield Break(
            instance_id=InstanceId(id), seq=0, kind="agreement", zh=f"列表中的记录 {entry} 从未登记。",
            en=f"The entry {entry} of the list was never written.",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedEntry:
    """What an erasure did in an entry.

    Attributes:
        payload_count: versions of which something is gone.
        file_count: files whose name and bytes were erased.
        shared_count: of those, files whose bytes stay because another file has the same.
        row_count: notices that were cleaned.
        left: what stays, and why.
    """

    entry: int
    payload_count: int
    file_count: int
    shared_count: int
    row_count: int
    left: tuple[Left, ...]


# ----------------------------------------------------------------------------------------------------------------- the façade
class Registers:
    """Commands and queries on registers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._uploads = Uploads(runtime.settings)
        self._told_on: date | None = None
        self._spans: dict[Flag, tuple[int, Spans]] = {}  #: as they were when their register had so many records

    # -- looking
    def all(self, actor: Actor) -> tuple[Register, ...]:
        """Return the registers that the actor may read, or has entries of their own in, by title."""
        with self._database.reading() as session:
            found = [_read(bytes(body)) for body in definitions.newest_artifacts(session, "form", PREFIX).values()]
        return tuple(sorted((r for r in found if r.may_open(actor)), key=lambda r: r.title))

    def register(self, actor: Actor, name: str) -> Register:
        """Return a register.

        Raises:
            NotFound, AccessDenied
        """
        with self._database.reading() as session:
            return self._opened(session, actor, name)

    def _opened(self, session: Session, actor: Actor, name: str) -> Register:
        register = named(session, name)
        if not register.may_open(actor):
            raise AccessDenied(action=f"查看台账“{register.title}”", reason=_needs(register.readers | register.writers))
        return register

    def list(
        self, actor: Actor, name: str, *, search: str = "", sort: str | None = None, descending: bool = False,
        expiring_by: date | None = None, withdrawn: bool = False, limit: int = 50, after: str | None = None,
    ) -> Page[RegisterEntry]:
        """Return a page of entries, the last added first unless sorted; of those who may not read all, their own.

        Args:
            search: words, each of which an entry has.
            sort: a field.
            expiring_by: only what runs out before the end of this day.
            withdrawn: also what was withdrawn.
            after: `Page.next` of the page before.

        Raises:
            NotFound, AccessDenied
        """
        limit, offset = max(1, min(limit, _MOST)), int(after) if after and after.isdecimal() and len(after) < 10 else 0
        with self._database.reading() as session:
            register = self._opened(session, actor, name)
            id = store.register_id(session, name)
            if id is None:
                return Page(items=())
            found = store.find(
                session, id, self._wanted(register, actor, search, expiring_by, withdrawn), limit=limit + 1, offset=offset,
                sort=sort if sort is not None and register.form.find(sort) is not None else None, descending=descending,
            )  # fmt: skip
            items = self._flagged(session, register, map(_entry, found[:limit]))
        return Page(items=items, next=str(offset + limit) if len(found) > limit else None)

    def _wanted(self, register: Register, actor: Actor, search: str, expiring_by: date | None, withdrawn: bool) -> Wanted:
        below = None
        if expiring_by is not None and register.expiry_field and expiring_by < date.max:
            below = register.expiry_field, (expiring_by + timedelta(days=1)).isoformat()
        own = None if register.may_read(actor) else actor.id
        return Wanted(search=plain(search)[:_MOST], below=below, own=own, withdrawn=withdrawn)

    def _flagged(self, session: Session, register: Register, found: Iterable[RegisterEntry]) -> tuple[RegisterEntry, ...]:
        """Return entries with the mark that the register's rule gives them."""
        flag = register.flag
        id = None if flag is None else store.register_id(session, flag.register)
        if flag is None or id is None:
            return tuple(found)
        seq = store.record_count(session, id)
        known = self._spans.get(flag)
        if known is None or known[0] != seq:
            entries = store.find(session, id, Wanted())
            known = self._spans[flag] = seq, flag.spans(codec.load(row.body) for row in entries)
        return tuple(replace(entry, flagged=flag.marks(entry.values, known[1])) for entry in found)

    def get(self, actor: Actor, name: str, entry: int) -> tuple[RegisterEntry, tuple[RegisterVersion, ...]]:
        """Return an entry and its versions, the newest first.

        Raises:
            NotFound, AccessDenied
        """
        with self._database.reading() as session:
            register = self._opened(session, actor, name)
            id, found = self._found(session, actor, register, entry)
            (stands,) = self._flagged(session, register, (_entry(found),))
            sealed = store.versions(session, entry)
        versions = list[RegisterVersion]()
        for r in history.restored(r for row in sealed for r in history.unseal(id, history.Entry(*row))):
            match r.event:
                case RegisterEntryWritten() as event:
                    versions.append(RegisterVersion(
                        version=event.entry_version, seq=r.seq, change=event.change, at=r.at, by=r.actor, reason=event.reason, values=event.values,
                    ))  # fmt: skip
                case PayloadsErased() as event if versions:
                    versions.append(replace(
                        versions[-1], seq=r.seq, change="erased", at=r.at, by=r.actor, reason=event.reason, erased=event.fields,
                    ))  # fmt: skip
        return stands, tuple(reversed(versions))

    def _found(self, session: Session, actor: Actor, register: Register, entry: int) -> tuple[int, EntryRow]:
        id = store.register_id(session, register.name)
        row = None if id is None else store.get(session, id, entry)
        if id is None or row is None or not (register.may_read(actor) or actor.id in (row.added_by, row.owner)):
            raise NotFound(what=f"“{register.title}”中的记录 (entry)", id=entry)  # that it is there is told to nobody else
        return id, row

    def open_file(self, actor: Actor, name: str, entry: int, file: int) -> tuple[str, BinaryIO]:
        """Return the name of a file of an entry and its bytes, open for reading.

        Raises:
            NotFound, AccessDenied
        """
        with self._database.reading() as session:
            self._found(session, actor, self._opened(session, actor, name), entry)
            found = next((f for f in store.files(session, entry) if f.id == file), None)
        if found is None:
            raise NotFound(what="文件 (file)", id=file)
        try:
            return found.name, self._uploads.path(found.sha256).open("rb")
        except FileNotFoundError as error:
            raise NotFound(what="文件内容 (bytes of file)", id=file) from error

    @observed("register.export")
    def export(
        self, actor: Actor, name: str, *, search: str = "", sort: str | None = None, descending: bool = False,
        expiring_by: date | None = None, withdrawn: bool = False, english: bool = False,
    ) -> bytes:
        """Return the entries of a list as CSV that spreadsheets open: UTF-8 with its mark, no text that one would run as a formula.

        Raises:
            NotFound, AccessDenied
        """
        with self._database.reading() as session:
            register = self._opened(session, actor, name)
            id = store.register_id(session, name)
            rows = [] if id is None else store.find(
                session, id, self._wanted(register, actor, search, expiring_by, withdrawn), descending=descending,
                sort=sort if sort is not None and register.form.find(sort) is not None else None,
            )  # fmt: skip
            entries = self._flagged(session, register, map(_entry, rows))
        fields = tuple(register.form.inputs())
        zone = ZoneInfo(self._runtime.settings.time_zone)
        sheet = io.StringIO()
        lines = csv.writer(sheet, lineterminator="\r\n")
        state = ("No.", "Version", "State", "Changed at", "Changed by") if english else ("编号", "版本", "状态", "最后登记时间", "登记人")
        flag = None if register.flag is None else register.flag.title_en if english else register.flag.title
        lines.writerow([*state, *([] if flag is None else [harmless(flag)]), *(harmless(c.label_en if english and c.label_en else c.label or c.key) for c in fields)])
        yes, no = ("yes", "") if english else ("是", "")
        for entry in entries:
            words = ("withdrawn", "valid") if english else ("已作废", "有效")
            lines.writerow([
                f"{entry.id}", entry.version, words[0] if entry.withdrawn else words[1],
                entry.changed_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"), harmless(entry.changed_by),
                *([] if flag is None else [yes if entry.flagged else no]), *(cell(entry.values.get(c.key), c, zone) for c in fields),
            ])  # fmt: skip
        return b"\xef\xbb\xbf" + sheet.getvalue().encode()

    # -- writing
    @observed("register.add")
    def add(
        self, actor: Actor, name: str, raw: Mapping[str, Any], *, files: Iterable[NewFile] = (), once: str | None = None
    ) -> int:
        """Add an entry; return its id, or that of the entry that was added under the key `once` before.

        Raises:
            NotFound, AccessDenied, InvalidValues, FileRefused, StorageFailed
        """
        at = self._runtime.clock.now()
        with self._database.reading() as session:
            register = self._opened(session, actor, name)
            _require_writer(register, actor)
            id = store.register_id(session, name)
            if once is not None and id is not None and (before := store.added_once(session, id, once)) is not None:
                return before
        entry = self._database.new_id()
        kept = self._keep(register, entry, files, actor, at)
        values = self._accept(register, raw, kept, at)
        return self._write(Change(register=register, entry=entry, version=0, change="added", values=values, once=once, files=kept), actor, at)

    @observed("register.amend")
    def amend(
        self, actor: Actor, name: str, entry: int, raw: Mapping[str, Any], reason: str, *, version: int, files: Iterable[NewFile] = ()
    ) -> None:
        """Correct an entry: a new version says what is right and why; the old ones stay. New files of a field replace its old ones.

        Args:
            version: the one that was looked at.

        Raises:
            NotFound, AccessDenied, InvalidValues, FileRefused, StorageFailed
            ReasonMissing
            WrongState: it was withdrawn.
            StalePage: somebody else changed it meanwhile.
        """
        why, at = given_reason(reason), self._runtime.clock.now()
        with self._database.reading() as session:
            register, row = self._changeable(session, actor, name, entry, "更正", "corrected")
            old = _standing(store.files(session, entry), codec.load(row.body))
        kept = self._keep(register, entry, files, actor, at)
        replaced = {f.field for f in kept}
        values = self._accept(register, raw, (*(f for f in old if f.field not in replaced), *kept), at)
        self._write(
            Change(register=register, entry=entry, version=version, change="amended", values=values, reason=why, files=kept), actor, at
        )

    @observed("register.withdraw")
    def withdraw(self, actor: Actor, name: str, entry: int, reason: str, *, version: int) -> None:
        """Let an entry count no more; it stays readable.

        Raises:
            NotFound, AccessDenied, StalePage, ReasonMissing
            WrongState: it was withdrawn before, or the register lets nothing be withdrawn.
        """
        why, at = given_reason(reason), self._runtime.clock.now()
        with self._database.reading() as session:
            register, row = self._changeable(session, actor, name, entry, "作废", "withdrawn")
        if register.append_only:
            raise WrongState(
                what=f"“{register.title}”中的记录 (entry)", id=entry, state="只可追加更正 (may only be corrected)", action="作废", action_en="withdrawn"
            )
        values = codec.load(row.body)
        self._write(Change(register=register, entry=entry, version=version, change="withdrawn", values=values, reason=why), actor, at)

    @observed("register.erase")
    def erase(
        self, actor: Actor, name: str, entry: int, reason: str, *, fields: Iterable[str] = (), files: Iterable[int] | None = (),
        everything: bool = False,
    ) -> ErasedEntry:  # fmt: skip
        """Erase chosen fields and files of an entry, or everything in it, out of all its versions, lawfully.

        A record of the register's chain says who did it, why, and what; the chain still verifies. Reasons of corrections and
        notices that quote an erased value lose it.

        Args:
            files: their numbers; None: all of the entry.

        Raises:
            AccessDenied, NotFound, ReasonMissing, NothingToErase
            Held: a legal hold stands over a business key that the entry names.
        """
        access.require(actor, "erase")
        why, names, at = given_reason(reason), tuple(dict.fromkeys(f.strip() for f in fields if f.strip())), self._runtime.clock.now()
        wanted = None if files is None else frozenset(files)
        with self._database.writing() as tx:
            register = self._opened(tx, actor, name)
            self._found(tx, actor, register, entry)
            id, seq, head = store.alone(tx, name, 0, b"")  # it is there: the entry was found
            tx.alone(keep.HOLDS)
            there = {f.id: (f.name, f.sha256) for f in store.files(tx, entry)}
            records = [history.Entry(*row) for row in store.versions(tx, entry)]
            self._require_free(tx, register, entry, records, id)
            wish = Wish(fields=frozenset(names), documents=frozenset(there) if wanted is None else wanted, everything=everything)
            found = erasure.plan(id, records, wish, there)
            if everything:
                found.texts = erasure.plan(id, records, replace(wish, fields=_fields(id, records), everything=False), there).texts
            if found.is_empty:
                raise NothingToErase(id=f"“{register.title}” {entry}", what="、".join((*names, *map(str, sorted(wish.documents)))) or "—")
            told = PayloadsErased(seqs=found.seqs, fields=names, documents=tuple(sorted(found.documents)), reason=why, kept=found.kept)
            sealed = history.seal([(told, actor)], seq=seq, at=at, head=head)
            store.append(tx, id, entry, sealed.seq, sealed.body, sealed.hash, sealed.commitment, sealed.salt, sealed.payloads)
            for changed in found.entries:
                store.rewrite_payloads(tx, id, changed.seq, changed.salt, changed.payloads)
            for file in found.documents:
                store.erase_file(tx, file)
            self._rewrite_row(tx, register, id, entry)
            row_count = _clean_notices(tx, name, found)
        left = (*found.left, Left(
            zh="登记或引用它的流程实例中若有相同内容，请对它们另行清除。", en="Process instances that wrote or quoted it may say the same: erase it there too.",
        ))  # fmt: skip
        return ErasedEntry(
            entry=entry, payload_count=len(found.seqs), file_count=len(found.documents),
            shared_count=self._uploads.remove(self._database, found.hashes), row_count=row_count, left=left,
        )  # fmt: skip

    def _require_free(self, tx: Session, register: Register, entry: int, records: Iterable[history.Entry], id: int) -> None:
        """Refuse what a business key under a legal hold is named in, in any version."""
        recorded = history.restored(r for record in records for r in history.unseal(id, record))
        texts = {value for r in recorded if isinstance(r.event, RegisterEntryWritten) for value in r.event.values.values() if isinstance(value, str)}
        for hold in keep.holds(tx, lifted=False):
            if hold.business_key and hold.business_key in texts:
                raise Held(
                    what=f"“{register.title}”中的记录", what_en="entry", id=entry, action="清除内容", action_en="erased", reason=hold.reason,
                    by=hold.placed_by,
                )  # fmt: skip

    def _rewrite_row(self, tx: Session, register: Register, id: int, entry: int) -> None:
        """Let the lists say what is left of the newest version."""
        events = [
            r.event for r in history.restored(r for row in store.versions(tx, entry) for r in history.unseal(id, history.Entry(*row)))
            if isinstance(r.event, RegisterEntryWritten)
        ]  # fmt: skip
        before = store.get(tx, id, entry)
        assert before is not None
        values = dict(events[-1].values)
        owner = values.get(register.owner_field) if register.owner_field else None
        row = replace(before, owner=owner if isinstance(owner, str) else "", body=codec.dump(values))
        store.rewrite(tx, row, words=searchable(register.form, values), keys=keys(values), register=id)

    def _changeable(self, session: Session, actor: Actor, name: str, entry: int, zh: str, en: str) -> tuple[Register, EntryRow]:
        register = self._opened(session, actor, name)
        _, row = self._found(session, actor, register, entry)
        _require_writer(register, actor)
        if row.withdrawn:
            raise WrongState(what=f"“{register.title}”中的记录 (entry)", id=entry, state="已作废 (withdrawn)", action=zh, action_en=en)
        return register, row

    def _keep(self, register: Register, entry: int, files: Iterable[NewFile], actor: Actor, at: datetime) -> tuple[FileRow, ...]:
        kept: list[FileRow] = []
        for field, given, media_type, stream in files:
            name = file_name(given)
            self._uploads.require_accepted(name, field, register.form)
            size, digest = self._uploads.keep(name, stream)
            kept.append(FileRow(
                id=self._database.new_id(), register_id=0, entry_id=entry, field=field, name=name, media_type=media_type[:200], size=size,
                sha256=digest, uploaded_at=micros(at), uploaded_by=actor.id,
            ))  # fmt: skip
        return tuple(kept)

    def _accept(self, register: Register, raw: Mapping[str, Any], files: Iterable[FileRow], at: datetime) -> Values:
        return accepted(register, raw, at, self._runtime.settings.time_zone, _as_documents(files))

    def _write(self, change: Change, actor: Actor, at: datetime) -> int:
        new_id = self._database.new_id()
        with self._database.writing() as tx:
            if change.files:
                tx.alone(keep.BYTES)
                if not all(self._uploads.path(f.sha256).exists() for f in change.files):
                    raise Conflict  # another file of the same bytes was erased just now: whoever uploads it again keeps it
            return write(tx, new_id, change, actor, at)

    # -- what runs out
    def run_due(self) -> int:
        """Once a day, from eight o'clock of the house, tell who is to know what runs out soon. Return how many were told."""
        now = self._runtime.clock.now()
        local = now.astimezone(ZoneInfo(self._runtime.settings.time_zone))
        if local.hour < _TOLD_FROM or self._told_on == local.date():
            return 0
        told = 0
        for register in self.all(SYSTEM):
            if register.expiry_field and register.expiry_readers:
                told += self._tell(register, local.date(), now)
        self._told_on = local.date()
        return told

    def _tell(self, register: Register, today: date, now: datetime) -> int:
        page = self.list(SYSTEM, register.name, sort=register.expiry_field, expiring_by=today + SOON, limit=_MOST)
        if not page.items:
            return 0
        title = register.columns[0].key
        lines = []
        for entry in page.items[:10]:
            day = entry.values.get(register.expiry_field)
            word = "已过期" if isinstance(day, date) and day.isoformat()[:10] < today.isoformat() else "到期"
            lines.append(f"{entry.values.get(title)}：{str(day)[:10]} {word}")
        count = f"{len(page.items)}{' 条以上' if page.next else ' 条'}"
        body = "\n".join(lines) + ("\n…" if len(page.items) > 10 else "")
        told = 0
        with self._database.writing() as tx:
            for person in people.find(tx, groups=register.expiry_readers):
                told += people.tell(tx, NewNotice(
                    id=self._database.new_id(), user_id=person.id, at=micros(now), subject=f"{register.title}：{count}已过期或 60 天内到期",
                    body=body, link=f"/registers/{register.name}?expiring={(today + SOON).isoformat()}", instance_id=None,
                    once=f"register.{register.name}.{today.isoformat()}",
                ))  # fmt: skip
        return told


def _fields(id: int, records: Iterable[history.Entry]) -> frozenset[str]:
    """Return the names of all fields that a version of an entry has or had."""
    recorded = history.restored(r for record in records for r in history.unseal(id, record))
    return frozenset(field for r in recorded if isinstance(r.event, RegisterEntryWritten) for field in r.event.values)


def _clean_notices(tx: Session, name: str, found: Erasure) -> int:
    """Take what was erased out of what people were told about a register; return how many notices changed."""
    count = 0
    for id, subject, body in store.notice_texts(tx, name):
        after = found.cleaned(subject), found.cleaned(body)
        count += keep.rewrite_notice(tx, id, *after) if after != (subject, body) else 0
    return count


def _require_writer(register: Register, actor: Actor) -> None:
    if not register.may_write(actor):
        raise AccessDenied(action=f"登记台账“{register.title}”", reason=_needs(register.writers))


def _needs(groups: Iterable[str]) -> str:
    return "需要角色：" + "、".join(sorted(access.GROUPS[g].zh if g in access.GROUPS else g for g in groups))
