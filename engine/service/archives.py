"""Archive files: instances that were moved out of the database, as JSON lines that need nothing of ours to be read.

    {"psmflow_archive": 1, "name": …, "made_at": …, "replaces": {"name", "sha256"} or null}
    {"psmflow_instance": {…}}      its row, user tasks, files, incidents; then its history, as `engine.history.export` writes it
    {"psmflow_history": 3, …}
    {"seq": …, "body": …, "hash": …, "payloads": …}
    …
    {"psmflow_archive_end": 1, "instances": n, "events": m, "sha256": of every byte before this line}

The database says which files count (`archive_file`). A file is written whole under another name, read back, and renamed; so any
other file in the folder is left over from a run that was broken off.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from engine import history
from engine.errors import StorageFailed
from engine.model import (
    Break,
    Document,
    DocumentId,
    Incident,
    IncidentId,
    InstanceId,
    JobId,
    TaskId,
    TaskState,
    TokenId,
    UserTask,
)
from engine.store import chain, definitions, instances, jobs, keep, tasks
from engine.store.copies import sync_folder
from engine.store.database import Session
from engine.store.keep import Stub

SUFFIX = ".jsonl.gz"
_WRITING = ".writing-"
_INSTANCE = b'{"psmflow_instance":'
_HISTORY = b'{"psmflow_history":'
_END = b'{"psmflow_archive_end":'
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An instance as an archive file has it. `facts`: its row, its user tasks, files and incidents, as JSON."""

    facts: dict[str, Any]
    entries: tuple[history.Entry, ...]
    seq: int
    head: bytes

    @property
    def id(self) -> InstanceId:
        return InstanceId(int(self.facts["id"]))

    @property
    def tasks(self) -> tuple[UserTask, ...]:
        return tuple(_task(self.facts, t) for t in self.facts["tasks"])

    @property
    def documents(self) -> tuple[Document, ...]:
        return tuple(_document(self.facts, d) for d in self.facts["documents"])

    @property
    def incidents(self) -> tuple[Incident, ...]:
        return tuple(_incident(self.facts, i) for i in self.facts["incidents"])

    def lines(self) -> Iterator[bytes]:
        """Give the lines of this instance."""
        yield orjson.dumps({"psmflow_instance": self.facts}) + b"\n"
        yield from history.export(self.id, self.entries, self.seq, self.head)


class Written(NamedTuple):
    """What was written: SHA-256 and bytes of the file, how many instances and events are in it."""

    sha256: str
    size: int
    instances: int
    events: int


class Unreadable(StorageFailed):
    """An archive file is not there, or is none."""

    code = "unreadable_archive"
    zh = "归档文件 {file} 无法读取：{reason}。请从备份或异地副本中恢复该文件。"
    en = "The archive file {file} cannot be read: {reason}. Bring it back from a backup or a copy kept elsewhere."


# ------------------------------------------------------------------------------------------------- from the database and back
def record_of(session: Session, instance_id: int) -> tuple[Record, Stub] | None:
    """Return an instance as it will be archived, and the stub that stays (its file not yet known); None if it is not there."""
    row, shown = instances.load(session, instance_id), instances.get(session, instance_id)
    if row is None or shown is None or row.ended_at is None:
        return None
    of_tasks = tasks.of_instance(session, instance_id)
    participants, groups = instances.participants(session, instance_id)
    facts: dict[str, Any] = {
        "id": str(row.id), "process": row.key, "name": shown.name, "definitions": _definitions(session, row.bundle_id, row.key),
        "title": row.title, "business_key": row.business_key, "status": row.status, "started_at": _text(shown.started_at),
        "started_by": row.started_by, "ended_at": _text(shown.ended_at), "outcome": row.outcome,
        "tasks": [_task_facts(t) for t in of_tasks],
        "documents": [_document_facts(d) for d in tasks.documents(session, instance_id=instance_id)],
        "incidents": [_incident_facts(i) for i in jobs.incidents(session, only_open=False, instance_id=instance_id, limit=1 << 30)],
    }  # fmt: skip
    entries = tuple(history.Entry(*r) for r in chain.read(session, instance_id))
    stub = Stub(
        id=row.id, file_id=0, file="", sha256="", definition_id=row.definition_id, bundle_id=row.bundle_id, key=row.key, title=row.title,
        business_key=row.business_key, status=row.status, version=row.version, seq=row.seq, head=bytes(row.head), started_at=row.started_at,
        started_by=row.started_by, ended_at=row.ended_at, outcome=row.outcome, participants=frozenset(participants),
        candidate_groups=frozenset(groups), archived_at=0,
    )  # fmt: skip
    return Record(facts=facts, entries=entries, seq=row.seq, head=bytes(row.head)), stub


def _definitions(session: Session, bundle_id: int, root: str) -> list[dict[str, Any]]:
    """Return the versions that the instance ran, its own first, each with the hash of its diagram."""
    pinned = definitions.bundle(session, bundle_id)
    assert pinned is not None
    found = []
    for key, version in sorted(pinned[1].items(), key=lambda item: (item[0] != root, item)):
        definition = definitions.by_key(session, key, version)
        found.append({"key": key, "version": version, "sha256": None if definition is None else definition.sha256})
    return found


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _at(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _task_facts(t: UserTask) -> dict[str, Any]:
    return {
        "id": str(t.id), "token": t.token, "process": t.process, "process_name": t.process_name, "element": t.element, "name": t.name,
        "form": t.form, "state": t.state.value, "assignee": t.assignee, "candidate_groups": sorted(t.candidate_groups),
        "candidate_users": sorted(t.candidate_users), "priority": t.priority, "created_at": _text(t.created_at), "due_at": _text(t.due_at),
        "deadline_at": _text(t.deadline_at), "ended_at": _text(t.ended_at), "ended_by": t.ended_by, "version": t.version,
    }  # fmt: skip


def _task(facts: dict[str, Any], t: dict[str, Any]) -> UserTask:
    return UserTask(
        id=TaskId(int(t["id"])), instance_id=InstanceId(int(facts["id"])), token=TokenId(t["token"]), process=t["process"],
        process_name=t["process_name"], element=t["element"], name=t["name"], title=facts["title"], business_key=facts["business_key"],
        form=t["form"], state=TaskState(t["state"]), assignee=t["assignee"], candidate_groups=frozenset(t["candidate_groups"]),
        candidate_users=frozenset(t["candidate_users"]), priority=t["priority"], created_at=datetime.fromisoformat(t["created_at"]),
        due_at=_at(t["due_at"]), deadline_at=_at(t["deadline_at"]), ended_at=_at(t["ended_at"]), ended_by=t["ended_by"],
        version=t["version"],
    )  # fmt: skip


def _document_facts(d: Document) -> dict[str, Any]:
    return {
        "id": str(d.id), "task": None if d.task_id is None else str(d.task_id), "field": d.field, "name": d.name,
        "media_type": d.media_type, "size": d.size, "sha256": d.sha256, "uploaded_at": _text(d.uploaded_at), "uploaded_by": d.uploaded_by,
        "erased_at": _text(d.erased_at),
    }  # fmt: skip


def _document(facts: dict[str, Any], d: dict[str, Any]) -> Document:
    return Document(
        id=DocumentId(int(d["id"])), instance_id=InstanceId(int(facts["id"])), task_id=None if d["task"] is None else TaskId(int(d["task"])),
        field=d["field"], name=d["name"], media_type=d["media_type"], size=d["size"], sha256=d["sha256"],
        uploaded_at=datetime.fromisoformat(d["uploaded_at"]), uploaded_by=d["uploaded_by"], erased_at=_at(d["erased_at"]),
    )  # fmt: skip


def _incident_facts(i: Incident) -> dict[str, Any]:
    return {
        "id": str(i.id), "token": i.token, "job": None if i.job_id is None else str(i.job_id), "process": i.process, "element": i.element,
        "element_name": i.element_name, "kind": i.kind, "message": i.message, "opened_at": _text(i.opened_at),
        "resolved_at": _text(i.resolved_at), "resolved_by": i.resolved_by,
    }  # fmt: skip


def _incident(facts: dict[str, Any], i: dict[str, Any]) -> Incident:
    return Incident(
        id=IncidentId(int(i["id"])), instance_id=InstanceId(int(facts["id"])), title=facts["title"],
        token=None if i["token"] is None else TokenId(i["token"]), job_id=None if i["job"] is None else JobId(int(i["job"])),
        process=i["process"], element=i["element"], element_name=i["element_name"], kind=i["kind"], message=i["message"],
        opened_at=datetime.fromisoformat(i["opened_at"]), resolved_at=_at(i["resolved_at"]), resolved_by=i["resolved_by"],
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- the files
class Archives:
    """The folder of archive files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read = lru_cache(maxsize=16)(self._find)  # a page asks for one instance several times

    def record(self, stub: Stub) -> Record:
        """Return an archived instance.

        Raises:
            Unreadable: its file is gone or damaged.
        """
        try:
            on_disk = (self.folder / stub.file).stat()
        except OSError as error:
            raise Unreadable(file=stub.file, reason=error.strerror or str(error)) from error
        found = self._read(stub.file, (on_disk.st_ino, on_disk.st_mtime_ns, on_disk.st_size), stub.id)
        if found is None:
            raise Unreadable(file=stub.file, reason=f"实例 {stub.id} 不在其中 (instance {stub.id} is not in it)")
        return found

    def _find(self, name: str, _on_disk: tuple[int, int, int], instance_id: int) -> Record | None:
        return next((r for r in self.records(name, only=instance_id)), None)

    def records(self, name: str, *, only: int | None = None) -> Iterator[Record]:
        """Give the instances in a file, or just one, in their order.

        Raises:
            Unreadable
        """
        wanted = None if only is None else b'%s{"id":"%d",' % (_INSTANCE, only)
        facts: dict[str, Any] | None = None
        lines = list[bytes]()
        try:
            with gzip.open(self.folder / name) as file:
                for line in file:
                    if line.startswith((_INSTANCE, _END)):
                        if facts is not None:
                            yield _record(facts, lines)
                            if only is not None:
                                return
                        facts, lines = None, []
                        if line.startswith(_INSTANCE) and (wanted is None or line.startswith(wanted)):
                            facts = orjson.loads(line)["psmflow_instance"]
                    elif facts is not None:
                        lines.append(line)
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, history.UnreadableExport) as error:
            raise Unreadable(file=name, reason=str(error)) from error

    def write(self, records: Iterable[Record], name: str, made_at: datetime, replaces: tuple[str, str] | None = None) -> tuple[Path, Written]:
        """Write a new file under a name of its own, on the disk when this returns; `publish` gives it its name.

        Args:
            replaces: ``(name, sha256)`` of the file in whose place it comes.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=_WRITING)
        digest, instance_count, event_count = sha256(), 0, 0
        try:
            with os.fdopen(handle, "wb") as raw:
                with gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as packed:

                    def put(line: bytes) -> None:
                        digest.update(line)
                        packed.write(line)

                    was = None if replaces is None else {"name": replaces[0], "sha256": replaces[1]}
                    put(orjson.dumps({"psmflow_archive": 1, "name": name, "made_at": made_at.isoformat(), "replaces": was}) + b"\n")
                    for record in records:
                        instance_count, event_count = instance_count + 1, event_count + record.seq
                        for line in record.lines():
                            put(line)
                    end = {"psmflow_archive_end": 1, "instances": instance_count, "events": event_count, "sha256": digest.hexdigest()}
                    packed.write(orjson.dumps(end) + b"\n")
                raw.flush()
                os.fsync(raw.fileno())
            whole, size = file_sha256(Path(temporary))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return Path(temporary), Written(whole, size, instance_count, event_count)

    def publish(self, temporary: Path, name: str) -> None:
        """Give a file its name, which must be free, so that it outlasts a power failure."""
        os.link(temporary, self.folder / name)
        temporary.unlink()
        sync_folder(self.folder)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        sync_folder(self.folder)

    def free_name(self, month: str) -> str:
        """Return the name of the next file of a month, as ``2026-11.jsonl.gz``, ``2026-11-2.jsonl.gz``."""
        number, name = 1, month + SUFFIX
        while (self.folder / name).exists():
            number += 1
            name = f"{month}-{number}{SUFFIX}"
        return name

    def names(self) -> list[str]:
        """Return the files in the folder that have a name."""
        return sorted(p.name for p in self.folder.glob("*" + SUFFIX) if not p.name.startswith("."))

    def broken_off(self) -> list[Path]:
        """Return what a run that was broken off had not finished writing."""
        return sorted(self.folder.glob(_WRITING + "*"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One run at a time works in the folder; others wait."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opened_lock(self.folder / ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _opened_lock(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _record(facts: dict[str, Any], lines: list[bytes]) -> Record:
    instance, seq, head, entries = history.read_export(lines)
    if instance != int(facts["id"]):
        raise ValueError(f"the history of {instance} follows the instance {facts['id']}")
    return Record(facts=facts, entries=entries, seq=seq, head=head)


def file_sha256(path: Path) -> tuple[str, int]:
    """Return ``(SHA-256, bytes)`` of a file."""
    digest, size = sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


# ----------------------------------------------------------------------------------------------------------------- verifying
@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What a look through a file found. `heads`: ``{instance: (seq, head)}`` as the file has them."""

    sha256: str
    size: int
    heads: dict[int, tuple[int, bytes]]
    breaks: tuple[Break, ...]

    @property
    def events(self) -> int:
        return sum(seq for seq, _ in self.heads.values())


def look_through(path: Path, each: Callable[[Record], None] = lambda _: None) -> Archive:
    """Read a whole file and return everything in it that is not as it was written; `each` is given every instance.

    Raises:
        Unreadable: it is not there.
    """
    breaks, heads = list[Break](), dict[int, tuple[int, bytes]]()

    def found(zh: str, en: str, instance: int = 0) -> None:
        breaks.append(Break(instance_id=InstanceId(instance), seq=0, kind="archive", zh=zh, en=en))

    def take(facts: dict[str, Any], lines: list[bytes]) -> None:
        record = _record(facts, lines)
        breaks.extend(history.verify(record.id, record.entries, record.seq, record.head))
        if record.id in heads:
            found("实例在文件中出现两次。", "The instance is in the file twice.", record.id)
        heads[record.id] = record.seq, record.head
        each(record)

    if not path.is_file():
        raise Unreadable(file=path.name, reason="文件不存在 (there is no such file)")
    digest, number, end = sha256(), 0, None
    facts: dict[str, Any] | None = None
    lines = list[bytes]()
    try:
        with gzip.open(path) as file:
            for number, line in enumerate(file, 1):
                if end is not None:
                    raise ValueError("there is something after the end")
                is_end = line.startswith(_END)
                if is_end or line.startswith(_INSTANCE):
                    if facts is not None:
                        take(facts, lines)
                    facts, lines = (None if is_end else orjson.loads(line)["psmflow_instance"]), []
                    if is_end:
                        end = orjson.loads(line)
                        continue
                elif number == 1:
                    if orjson.loads(line)["psmflow_archive"] != 1:
                        raise ValueError("version")
                elif facts is None:
                    raise ValueError("a line that belongs to no instance")
                else:
                    lines.append(line)
                digest.update(line)
        if end is None:
            found("文件没有写完，结尾缺失。", "The file was cut: its last line is missing.")
        elif (end["instances"], end["events"], end["sha256"]) != (len(heads), sum(seq for seq, _ in heads.values()), digest.hexdigest()):
            found("文件内容与其结尾行不符。", "The file is not what its last line says.")
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, history.UnreadableExport) as error:
        found(f"第 {number} 行附近无法读取：{error}", f"It cannot be read near line {number}: {error}")
    whole, size = file_sha256(path)
    return Archive(sha256=whole, size=size, heads=heads, breaks=tuple(breaks))


def against_stubs(session: Session, archive: Archive, name: str) -> tuple[Break, ...]:
    """Return everything in which a file differs from what the database remembers of it."""
    row = keep.file_named(session, name)
    if row is None:
        return (_differs(0, f"数据库中没有归档文件 {name} 的登记。", f"The database knows of no archive file {name}."),)
    breaks = list[Break]()
    if row.sha256 != archive.sha256:
        breaks.append(_differs(0, f"文件被改动：登记的 SHA-256 为 {row.sha256}。", f"The file was changed: its SHA-256 was {row.sha256}."))
    stubs = {s.id: s for s in keep.stubs(session, row.id)}
    for id, (seq, head) in archive.heads.items():
        stub = stubs.pop(id, None)
        if stub is None and row.settled:
            breaks.append(_differs(id, "数据库中没有该实例的归档登记。", "The database does not remember that this instance was archived."))
        elif stub is not None and (stub.seq, bytes(stub.head)) != (seq, head):
            breaks.append(_differs(id, f"链尾与登记不符：登记 {stub.seq} 条。", f"The end does not fit: {stub.seq} events are remembered."))
    breaks += [_differs(id, "实例不在归档文件中。", "The instance is not in the archive file.") for id in stubs]
    return tuple(breaks)


def _differs(instance: int, zh: str, en: str) -> Break:
    return Break(instance_id=InstanceId(instance), seq=0, kind="archive", zh=zh, en=en)
