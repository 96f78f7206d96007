"""What is kept and what goes: archive files, legal holds, lawful erasure."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from engine import access, history
from engine.clock import first_id
from engine.errors import Conflict, EngineError, Held, NotFound, WrongState
from engine.events import DocumentAttached, LegalHoldLifted, LegalHoldPlaced, PayloadsErased
from engine.model import ERASED, Actor, Break, InstanceId, InstanceStatus, LegalHold
from engine.service import erasure
from engine.service.archives import Archive, Record, Unreadable, Written, against_stubs, look_through, record_of
from engine.service.calendars import refold
from engine.service.erasure import Erasure, Left, NothingToErase, Wish
from engine.service.forms import given_reason
from engine.service.heads import Heads
from engine.service.instances import require_status
from engine.service.runtime import Runtime
from engine.service.turn import Turn
from engine.service.uploads import Uploads
from engine.store import chain, instances, keep, sealed
from engine.store.database import Session, instant, micros
from engine.store.keep import FileRow, Stub

#: Instances in one file: few enough that it is soon written anew, many enough that files stay few.
_IN_A_FILE = 1000
#: Instances that leave the database in one transaction: other writers wait for it.
_AT_ONCE = 20
#: So often it is looked whether the daily work is done.
_LOOK = timedelta(hours=1)
_ENDED = (InstanceStatus.COMPLETED, InstanceStatus.CANCELLED)


class WrongPeriod(EngineError):
    code = "wrong_period"
    status = 422
    zh = "“{text}”不是时间长度，请写成 P2Y、P18M 或 P90D。"
    en = "“{text}” is no length of time; write P2Y, P18M or P90D."


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """A file that was written. `size`: bytes."""

    name: str
    sha256: str
    size: int
    instance_count: int
    event_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """What a run of `Keep.archive` did.

    Attributes:
        files: those that were written.
        instance_count: instances that left the database, or, of a dry run, would.
        held_count: old enough, but a legal hold stands over them.
        broken: their history is not what was written; they stay where they are until somebody has looked.
        strange: files in the folder that the database does not know and that hold what is nowhere else; they were left alone.
    """

    files: tuple[ArchivedFile, ...] = ()
    instance_count: int = 0
    held_count: int = 0
    broken: tuple[InstanceId, ...] = ()
    strange: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure did in one instance.

    Attributes:
        payload_count: payloads of events that are gone, wholly or but for what did not have to go.
        document_count: uploaded files whose name and bytes were erased.
        shared_count: of those, files whose bytes stay because another file has the same.
        row_count: rows of other tables (notices, incidents, titles) that were cleaned.
        left: what stays, and why.
    """

    instance_id: InstanceId
    payload_count: int
    document_count: int
    shared_count: int
    row_count: int
    left: tuple[Left, ...]


class Keep:
    """Retention: what leaves the database when, what must not, and what has to go before its time."""

    def __init__(self, runtime: Runtime, heads: Heads) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._archives = runtime.archives
        self._uploads = Uploads(runtime.settings)
        self._heads = heads
        self._looked_at: datetime | None = None

    # -- holds
    def hold(self, actor: Actor, reason: str, *, instance_id: InstanceId | None = None, business_key: str | None = None) -> LegalHold:
        """Keep an instance, or all that have or will have a business key, from being archived and erased.

        The history of each instance that is there says so.

        Raises:
            AccessDenied, ReasonMissing
            NotFound: no such instance; neither is given.
        """
        access.require(actor, "hold")
        why, at = given_reason(reason), self._runtime.clock.now()
        placed = LegalHold(
            id=self._database.new_id(), instance_id=instance_id, business_key=None if instance_id is not None else business_key, reason=why,
            placed_at=at, placed_by=actor.id, lifted_at=None, lifted_by=None, lifted_reason=None,
        )  # fmt: skip

        def write(tx: Session) -> None:
            tx.alone(keep.HOLDS)
            keep.place_hold(tx, placed, micros(at))

        if instance_id is not None:
            with self._database.reading() as session:
                archived = keep.stub(session, instance_id)
            if archived is None:

                def do(turn: Turn) -> None:
                    turn.record(LegalHoldPlaced(hold=placed.id, reason=why))
                    turn.also(write)

                self._runtime.command(actor, instance_id, do)
                return placed
        elif not (business_key or "").strip():
            raise NotFound(what="流程实例或业务编号 (process instance or business key)", id="—")
        with self._database.writing() as tx:
            write(tx)
        self._tell_all(actor, placed, LegalHoldPlaced(hold=placed.id, reason=why))
        return placed

    def lift(self, actor: Actor, hold_id: int, reason: str) -> LegalHold:
        """Lift a hold; it may be archived and erased again unless another stands.

        Raises:
            AccessDenied, ReasonMissing
            NotFound: there is no such hold.
            WrongState: it was lifted before.
        """
        access.require(actor, "hold")
        why, at = given_reason(reason), self._runtime.clock.now()
        with self._database.reading() as session:
            found = keep.hold(session, hold_id)
        if found is None:
            raise NotFound(what="法定保全 (legal hold)", id=hold_id)
        if found.lifted_at is None:
            with self._database.writing() as tx:
                if not keep.lift_hold(tx, hold_id, at=micros(at), by=actor.id, reason=why):
                    found = replace(found, lifted_at=at)
        if found.lifted_at is not None:
            raise WrongState(what="法定保全 (legal hold)", id=hold_id, state="已解除 (lifted)", action="再次解除", action_en="lifted again")
        self._tell_all(actor, found, LegalHoldLifted(hold=hold_id, reason=why))
        return replace(found, lifted_at=at, lifted_by=actor.id, lifted_reason=why)

    def _tell_all(self, actor: Actor, hold: LegalHold, event: LegalHoldPlaced | LegalHoldLifted) -> None:
        """Write into the history of every instance that the hold is about; one that is archived has no history to write to."""
        with self._database.reading() as session:
            if hold.instance_id is not None:
                told = [] if keep.is_archived(session, hold.instance_id) else [int(hold.instance_id)]
            else:
                told = keep.of_business_key(session, hold.business_key or "")
        for id in told:
            self._runtime.command(actor, id, lambda turn: turn.record(event))

    def holds(self, actor: Actor, instance_id: InstanceId | None = None, *, lifted: bool = False) -> tuple[LegalHold, ...]:
        """Return the holds that stand over an instance, or all; with `lifted` those that were lifted too.

        Raises:
            AccessDenied, NotFound
        """
        access.require(actor, "see holds")
        with self._database.reading() as session:
            if instance_id is None:
                return tuple(keep.holds(session, lifted=lifted))
            return tuple(keep.holds_of(session, instance_id, self._business_key(session, instance_id)))

    def _business_key(self, session: Session, instance_id: int) -> str:
        found = instances.get(session, instance_id) or keep.get(session, instance_id)
        if found is None:
            raise NotFound(what="流程实例 (process instance)", id=instance_id)
        return found.business_key

    # -- the archive
    def archive(self, older_than: str, *, dry_run: bool = False, whole_months: bool = False) -> Archived:
        """Move instances that ended longer ago than `older_than` into archive files, by the month in which they ended.

        Safe at any moment: an instance leaves the database only after its file was written, read back and found to hold what the
        database has; what a run that was killed left behind is settled first. Instances over which a hold stands, of which
        something is still on its way, or whose history is not intact, stay.

        Args:
            older_than: as ``P2Y``, ``P18M``, ``P90D``.
            whole_months: only months of which every day is that old, so that a daily run writes one file a month.

        Raises:
            WrongPeriod
            StorageFailed: the disk is full, a file cannot be read back; nothing left the database for it.
        """
        at = self._runtime.clock.now()
        before = ago(at, older_than, ZoneInfo(self._runtime.settings.time_zone), whole_months=whole_months)
        with self._database.reading() as session:
            bounds: dict[str, int] = {"ended_before": micros(before), "ids_below": first_id(before)}
            held, due = keep.held_count(session, **bounds), list[tuple[int, int, int]]()
            while page := keep.archivable(session, **bounds, limit=5000, after=due[-1][0] if due else 0):
                due += page
        if dry_run:
            return Archived(instance_count=len(due), held_count=held)
        with self._archives.locked():
            strange = self._settle()
            by_month = dict[str, list[int]]()
            zone = ZoneInfo(self._runtime.settings.time_zone)
            for id, ended_at, _version in due:
                by_month.setdefault(f"{instant(ended_at).astimezone(zone):%Y-%m}", []).append(id)
            files, broken = list[ArchivedFile](), list[InstanceId]()
            for month, ids in sorted(by_month.items()):
                for n in range(0, len(ids), _IN_A_FILE):
                    made = self._archive(month, ids[n : n + _IN_A_FILE], at, broken)
                    files += [] if made is None else [made]
        return Archived(
            files=tuple(files), instance_count=sum(f.instance_count for f in files), held_count=held, broken=tuple(broken), strange=strange
        )

    def _archive(self, month: str, ids: Sequence[int], at: datetime, broken: list[InstanceId]) -> ArchivedFile | None:
        name, stubs = self._archives.free_name(month), dict[int, tuple[Stub, Record]]()

        def records(session: Session) -> Iterable[Record]:
            for id in ids:
                found = record_of(session, id)
                if found is None:
                    continue  # another run has archived it meanwhile
                record, stub = found
                if history.verify(id, record.entries, record.seq, record.head):
                    broken.append(InstanceId(id))
                    continue
                stubs[id] = replace(stub, archived_at=micros(at)), replace(record, entries=())
                yield record

        with self._database.snapshot() as session:
            temporary, written = self._archives.write(records(session), name, at)
        if not stubs:
            temporary.unlink()
            return None
        self._require_sound(temporary, written, {id: (s.seq, s.head) for id, (s, _) in stubs.items()})
        self._archives.publish(temporary, name)
        file = FileRow(
            id=self._database.new_id(), name=name, sha256=written.sha256, size=written.size, instance_count=written.instances,
            made_at=micros(at), settled=False,
        )  # fmt: skip
        waiting = list(stubs.values())
        for n in range(0, len(waiting), _AT_ONCE):
            with self._database.writing() as tx:
                tx.alone(keep.HOLDS)
                if not n:
                    keep.insert_file(tx, file)
                for stub, record in waiting[n : n + _AT_ONCE]:
                    keep.move_out(tx, replace(stub, file_id=file.id), [(d.id, d.sha256) for d in record.documents if d.erased_at is None])
        settled = self._settle_file(file)
        if settled is None:
            return None
        return ArchivedFile(
            name=settled.name, sha256=settled.sha256, size=settled.size, instance_count=settled.instance_count,
            event_count=sum(s.seq for s, _ in stubs.values()) if settled.name == name else 0,
        )  # fmt: skip

    def _require_sound(self, path: Path, written: Written, heads: dict[int, tuple[int, bytes]]) -> None:
        """Read a file back from the disk.

        Raises:
            Unreadable: it is not what was to be written; it is removed.
        """
        found = look_through(path)
        if found.breaks or found.heads != heads or found.sha256 != written.sha256:
            path.unlink(missing_ok=True)
            why = found.breaks[0] if found.breaks else None
            raise Unreadable(file=path.name, reason="回读核对不符 (it was not read back as written)" + (f": {why.zh}" if why else ""))

    def _settle(self) -> tuple[str, ...]:
        """Finish what runs that were killed had begun; return files that nobody knows and that must not be removed."""
        for path in self._archives.broken_off():
            path.unlink()
        with self._database.reading() as session:
            files = keep.files(session)
        for file in files:
            if not file.settled:
                self._settle_file(file)
        with self._database.reading() as session:
            known = {f.name for f in keep.files(session)}
        strange = list[str]()
        for name in self._archives.names():
            if name in known:
                continue
            found = look_through(self._archives.folder / name)
            with self._database.reading() as session:
                elsewhere = not found.breaks and all(keep.is_known(session, id, seq) for id, (seq, _) in found.heads.items())
            if elsewhere:  # nothing ever left the database for it, or another file has come in its place
                self._archives.remove(name)
            else:
                strange.append(name)
        return tuple(strange)

    def _settle_file(self, file: FileRow) -> FileRow | None:
        """Let a file hold exactly the instances that have their stubs; return it, or None when it holds none."""
        with self._database.reading() as session:
            stubs = {s.id for s in keep.stubs(session, file.id)}
        if len(stubs) == file.instance_count:
            with self._database.writing() as tx:
                keep.settle_file(tx, file.id)
            return replace(file, settled=True)
        if not stubs:
            with self._database.writing() as tx:
                keep.delete_file(tx, file.id)
            self._archives.remove(file.name)
            return None
        return self._rewrite(file, lambda record: record if record.id in stubs else None, lambda _: True)

    def _rewrite(self, file: FileRow, change: Callable[[Record], Record | None], write: Callable[[Session], bool]) -> FileRow:
        """Write a file anew, let the new one count in one transaction with `write`, and remove the old one.

        Args:
            change: returns an instance as it will be, or None when it does not belong there.
            write: writes what else changes; False: somebody was faster.

        Raises:
            Conflict: somebody was faster; everything is as it was.
        """
        at = self._runtime.clock.now()
        name, heads = self._archives.free_name(file.name[:7]), dict[int, tuple[int, bytes]]()

        def records() -> Iterable[Record]:
            for record in self._archives.records(file.name):
                changed = change(record)
                if changed is not None:
                    heads[changed.id] = changed.seq, changed.head
                    yield changed

        temporary, written = self._archives.write(records(), name, at, (file.name, file.sha256))
        self._require_sound(temporary, written, heads)
        self._archives.publish(temporary, name)
        new = replace(file, name=name, sha256=written.sha256, size=written.size, instance_count=written.instances, settled=True)
        try:
            with self._database.writing() as tx:
                tx.alone(keep.HOLDS)
                if not keep.replace_file(tx, new, was=file.sha256) or not write(tx):
                    raise Conflict
        except EngineError:
            self._archives.remove(name)
            raise
        self._archives.remove(file.name)
        return new

    def verify_archive(self, path: Path) -> tuple[Archive, tuple[Break, ...]]:
        """Return what is in an archive file, and everything in it that differs from what was written and what the database remembers.

        Raises:
            Unreadable: there is no such file.
        """
        found = look_through(path)
        with self._database.snapshot() as session:
            return found, (*found.breaks, *against_stubs(session, found, path.name))

    def verify_archives(self) -> tuple[Break, ...]:
        """Return everything in which the archive files differ from what the database remembers; one that is gone as well."""
        breaks = list[Break]()
        for name in self.archive_names():
            try:
                breaks += self.verify_archive(self.archive_path(name))[1]
            except Unreadable as error:
                breaks.append(Break(instance_id=InstanceId(0), seq=0, kind="archive", zh=error.text("zh"), en=error.text("en")))
        return tuple(breaks)

    def archive_path(self, name: str) -> Path:
        """Return where an archive file of this name lies."""
        return self._archives.folder / name

    def archive_names(self) -> tuple[str, ...]:
        """Return the archive files that the database knows."""
        with self._database.reading() as session:
            return tuple(f.name for f in keep.files(session))

    def run_due(self) -> int:
        """Do the daily work if an hour went by since the last look: sign heads, archive. The dispatcher calls it all the time.

        Returns:
            0: there is nothing more to do at once.
        """
        now = self._runtime.clock.now()
        if self._looked_at is None or not timedelta() <= now - self._looked_at < _LOOK:
            self._looked_at = now  # what fails is tried again in an hour, not at once
            try:
                self._heads.daily()
            finally:
                self.daily()
        return 0

    def daily(self) -> None:
        """Archive what the setting `keep_closed` says, and remove bytes of erased files that a killed run left."""
        with self._database.reading() as session:
            hashes = keep.erased_hashes(session)
        self._uploads.remove(self._database, hashes)
        if self._runtime.settings.keep_closed:
            self.archive(self._runtime.settings.keep_closed, whole_months=True)

    # -- erasure
    def erase(
        self, actor: Actor, instance_id: InstanceId, reason: str, *, fields: Iterable[str] = (), documents: Iterable[int] | None = (),
        everything: bool = False, titles: bool = False,
    ) -> Erased:  # fmt: skip
        """Erase chosen fields and uploaded files of an ended instance, or everything that people typed, lawfully.

        An event says who did it, why, and what; the chain still verifies. Fields are erased wherever their names come up; sentences
        that quote their values (notices, failures) lose those. In an archive file the same is done, and the file written anew.

        Args:
            fields: names of variables and form fields.
            documents: ids of uploaded files, whose bytes and names go; None: all of the instance.
            everything: every payload.
            titles: its title and business key in the lists too.

        Raises:
            AccessDenied, NotFound, ReasonMissing
            WrongState: it has not ended: the process still needs its data.
            Held: a legal hold stands over it.
            NothingToErase
        """
        access.require(actor, "erase")
        why, names = given_reason(reason), tuple(dict.fromkeys(f.strip() for f in fields if f.strip()))
        with self._database.reading() as session:
            stub = keep.stub(session, instance_id)
        done = partial(self._plan, instance_id, names, documents, everything, titles)
        if stub is not None:
            return self._erase_archived(actor, stub, why, done, names, everything=everything, titles=titles)
        erased: list[Erasure] = []
        row_count: list[int] = []

        def do(turn: Turn) -> None:
            # all that is read here is read again when somebody was faster
            require_status(turn, _ENDED, "清除内容(流程仍需要这些数据，请先办结或取消)", "erased: the process needs its data until it has ended")
            self._require_free(turn.session, instance_id, turn.row.business_key)
            turn.require(partial(self._is_free, instance_id, turn.row.business_key))
            entries = [history.Entry(*row) for row in chain.read(turn.session, instance_id)]
            found = done(entries)
            turn.record(PayloadsErased(seqs=found.seqs, fields=names, documents=tuple(sorted(found.documents)), reason=why, kept=found.kept))
            for entry in found.entries:
                turn.also(partial(
                    chain.rewrite_payloads, instance_id=instance_id, seq=entry.seq, salt=entry.salt, payloads=entry.payloads
                ))  # fmt: skip
            at = micros(turn.at)
            for document in found.documents:
                turn.also(partial(keep.erase_document, document_id=document, at=at, name=ERASED))
            found.left += _on_its_way(turn.session, instance_id)
            erased[:] = [found]
            copies = _Copies(found=found, everything=everything, titles=titles)
            turn.also(lambda tx: row_count.append(copies.rows(tx, instance_id)))
            turn.also(lambda tx: sealed.erase(tx, instance_id, None if everything else names))
            turn.also(lambda tx: refold(tx, instance_id))

        self._runtime.command(actor, instance_id, do)
        return self._finished(instance_id, erased[0], row_count[-1], titles)

    def _plan(
        self, instance_id: InstanceId, names: tuple[str, ...], documents: Iterable[int] | None, everything: bool, titles: bool,
        entries: Sequence[history.Entry],
    ) -> Erasure:  # fmt: skip
        wanted = frozenset(_attached(instance_id, entries) if documents is None else documents)
        found = erasure.plan(instance_id, entries, Wish(fields=frozenset(names), documents=wanted, everything=everything))
        if found.is_empty and not titles:
            what = "、".join((*names, *(str(d) for d in sorted(wanted)))) or "—"
            raise NothingToErase(id=f"流程实例 (process instance) {instance_id}", what=what)
        return found

    def _require_free(self, session: Session, instance_id: int, business_key: str) -> None:
        standing = keep.holds_of(session, instance_id, business_key)
        if standing:
            raise Held(what="流程实例", what_en="process instance", id=instance_id, action="清除内容", action_en="erased", reason=standing[0].reason, by=standing[0].placed_by)

    def _is_free(self, instance_id: int, business_key: str, tx: Session) -> bool:
        tx.alone(keep.HOLDS)
        return not keep.holds_of(tx, instance_id, business_key)

    def _erase_archived(
        self, actor: Actor, stub: Stub, why: str, done: Callable[[Sequence[history.Entry]], Erasure], names: tuple[str, ...], *,
        everything: bool, titles: bool,
    ) -> Erased:  # fmt: skip
        at, id = self._runtime.clock.now(), InstanceId(stub.id)
        with self._archives.locked():
            self._settle()
            with self._database.reading() as session:
                self._require_free(session, id, stub.business_key)
                now, file = keep.stub(session, id), keep.file_named(session, stub.file)
                if now is None or (file := keep.file_named(session, now.file)) is None:
                    raise NotFound(what="归档文件 (archive file)", id=stub.file)
            record = self._archives.record(now)
            found = done(record.entries)
            event = PayloadsErased(seqs=found.seqs, fields=names, documents=tuple(sorted(found.documents)), reason=why, kept=found.kept)
            entry = history.seal([(event, actor)], seq=record.seq, at=at, head=record.head)
            new = {e.seq: e for e in found.entries}
            copies = _Copies(found=found, everything=everything, titles=titles)
            facts = copies.facts(record.facts, at)
            changed = replace(
                record, facts=facts, entries=(*(new.get(e.seq, e) for e in record.entries), entry), seq=entry.seq, head=entry.hash
            )
            after = replace(
                now, seq=entry.seq, head=entry.hash, title=facts["title"], business_key=facts["business_key"], outcome=facts["outcome"]
            )
            rows: list[int] = []

            def write(tx: Session) -> bool:
                if keep.holds_of(tx, id, now.business_key) or not keep.update_stub(tx, after, was=now.seq):
                    return False
                for document in found.documents:
                    keep.erase_document(tx, document, micros(at), ERASED)
                sealed.erase(tx, id, None if everything else names)
                rows.append(copies.notices(tx, id))
                return True

            self._rewrite(file, lambda each: changed if each.id == id else each, write)
        return self._finished(id, found, rows[-1], titles)

    def _finished(self, id: InstanceId, found: Erasure, row_count: int, titles: bool) -> Erased:
        shared = self._uploads.remove(self._database, found.hashes)
        with self._database.reading() as session:
            shown = instances.get(session, id) or keep.get(session, id)
        left = list(found.left)
        if shown is not None and not titles:
            said = [n for n, t in (("标题 (title)", shown.title), ("业务编号 (business key)", shown.business_key)) if any(x in t for x in found.texts)]
            left += [
                Left(zh=f"{n}含有相同文字；如需清除，请一并清除标题。", en=f"The {n} says the same; erase the titles too if it is to go.") for n in said
            ]
        return Erased(
            instance_id=id, payload_count=len(found.seqs), document_count=len(found.documents), shared_count=shared, row_count=row_count,
            left=tuple(left),
        )  # fmt: skip


def _attached(instance_id: InstanceId, entries: Sequence[history.Entry]) -> set[int]:
    events = (r.event for entry in entries for r in history.unseal(instance_id, entry))
    return {event.document for event in events if isinstance(event, DocumentAttached)}


def _on_its_way(session: Session, instance_id: InstanceId) -> list[Left]:
    """Return what of an ended instance cannot be called back."""
    jobs, messages = keep.on_its_way(session, instance_id)
    found = list[Left]()
    if jobs:
        found.append(Left(
            zh=f"还有 {jobs} 项通知或事件在途，其中可能有该内容；待其完成或处理异常后再清除一次。",
            en=f"{jobs} notifications or events are still on their way and may say it; erase again once they are done or mended.",
        ))  # fmt: skip
    if messages:
        found.append(Left(
            zh=f"它发出的 {messages} 条消息还在等待接收者，其中可能有该内容；保存期过后消失。",
            en=f"{messages} messages that it threw still wait for a receiver and may say it; they go when their time is over.",
        ))  # fmt: skip
    return found


# ----------------------------------------------------------------------------------------------------- copies in other places
@dataclass(frozen=True, slots=True, kw_only=True)
class _Copies:
    """Cleans what other tables, and the facts in archive files, say of an instance, as its history was cleaned."""

    found: Erasure
    everything: bool
    titles: bool

    def sentence(self, text: str) -> str:
        return (ERASED if text else text) if self.everything else self.found.cleaned(text)

    def quoted(self, text: str) -> str:
        """What the diagram wrote: it goes only as far as it quotes."""
        return self.found.cleaned(text)

    def title(self, text: str) -> str:
        if not self.titles or not text:
            return text
        return self.found.cleaned(text) if self.found.texts and not self.everything else ERASED

    def outcome(self, status: str, outcome: str | None) -> str | None:
        """The outcome of a cancelled instance is the reason that somebody typed; any other is covered by the chain."""
        if status != InstanceStatus.CANCELLED or outcome is None:
            return outcome
        return "" if self.everything else self.found.cleaned(outcome)

    def rows(self, tx: Session, instance_id: int) -> int:
        """Clean the rows of an instance that is in the tables; return how many changed."""
        count = self.notices(tx, instance_id)
        for id, message in keep.incident_texts(tx, instance_id):
            count += keep.rewrite_incident(tx, id, self.sentence(message)) if self.sentence(message) != message else 0
        for id, name, properties in keep.task_texts(tx, instance_id):
            said = {} if self.everything else {key: self.quoted(str(text)) for key, text in orjson.loads(properties).items()}
            new = self.quoted(name), orjson.dumps(said).decode()
            count += keep.rewrite_task(tx, id, *new) if (new[0], said) != (name, orjson.loads(properties)) else 0
        title, key, status, outcome = keep.titles(tx, instance_id)
        after = self.title(title), self.title(key), self.outcome(status, outcome)
        return count + (keep.retitle(tx, instance_id, *after) if after != (title, key, outcome) else 0)

    def notices(self, tx: Session, instance_id: int) -> int:
        count = 0
        for id, subject, body in keep.notice_texts(tx, instance_id):
            after = self.sentence(subject), self.sentence(body)
            count += keep.rewrite_notice(tx, id, *after) if after != (subject, body) else 0
        return count

    def facts(self, facts: dict[str, Any], at: datetime) -> dict[str, Any]:
        """Return what an archive file says of an instance beside its history, cleaned."""
        erased = {str(d) for d in self.found.documents}
        return {
            **facts, "title": self.title(facts["title"]), "business_key": self.title(facts["business_key"]),
            "outcome": self.outcome(facts["status"], facts["outcome"]),
            "tasks": [{**t, "name": self.quoted(t["name"])} for t in facts["tasks"]],
            "incidents": [{**i, "message": self.sentence(i["message"])} for i in facts["incidents"]],
            "documents": [
                {**d, "name": ERASED, "erased_at": d["erased_at"] or at.isoformat()} if d["id"] in erased else d for d in facts["documents"]
            ],
        }  # fmt: skip


# -------------------------------------------------------------------------------------------------------------------- periods
_PERIOD = re.compile(r"P(?=.)(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?", re.ASCII)


def ago(at: datetime, period: str, zone: ZoneInfo, *, whole_months: bool = False) -> datetime:
    """Return the instant that lies `period` (``P2Y``, ``P18M``, ``P90D``) before `at` by the calendar of `zone`.

    Args:
        whole_months: go back further, to the beginning of that month.

    Raises:
        WrongPeriod
    """
    found = _PERIOD.fullmatch(period.strip().upper())
    if found is None:
        raise WrongPeriod(text=period)
    years, months, weeks, days = (int(part or 0) for part in found.groups())
    local = at.astimezone(zone)
    month = local.year * 12 + local.month - 1 - years * 12 - months
    if month < 12:
        raise WrongPeriod(text=period)
    year, month = divmod(month, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    back = local.replace(year=year, month=month + 1, day=day) - timedelta(weeks=weeks, days=days)
    if whole_months:
        back = back.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return back.astimezone(at.tzinfo)
