"""One archive that holds a whole installation, and the way back from it.

The archive is a ZIP file: ``psmflow.db`` or, of PostgreSQL, ``psmflow.dump`` (a consistent copy, made while others go on working),
``documents/ab/<sha256>`` (the bytes of every file that a row of that copy refers to), ``archive/`` and ``heads/``, ``secret.key`` and
``sealing.key`` when asked for, ``demo-clock`` of a demo, and ``manifest.json``, which names every part with its size and SHA-256. What
is written is read again before it gets its name, so a file with the name of an archive is one.

A restore builds the installation beside the old one, brings it to the newest schema and verifies it there. Only then does it move
the old one aside, and it moves it back when anything fails. Nothing is ever deleted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

from engine.clock import DEMO_CLOCK, Clock, token
from engine.errors import BadArchive, NotRestored, StorageFailed, telling
from engine.model import Break
from engine.settings import Settings, kept_secret
from engine.store import copies
from engine.store.database import Database

_FORMAT, _VERSION = "psmflow-backup", 1
_SECRET, _SEALING, _MANIFEST = "secret.key", "sealing.key", "manifest.json"
_NAMED = {copies.SQLITE: "SQLite", copies.POSTGRESQL: "PostgreSQL"}
#: Archive files of instances, and signed heads.
_KEPT = re.compile(r"archive/\d{4}-\d\d(-\d+)?\.jsonl\.gz|heads/\d{4}-\d\d-\d\dT[\d.-]+Z\.json", re.ASCII)
_FOLDERS = ("documents", "archive", "heads")
_CHUNK = 1 << 20
_MANIFEST_LIMIT = 256 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """An uploaded file that a row refers to and whose bytes are not as they were. `problem`: ``missing`` or ``damaged``."""

    sha256: str
    name: str
    instance_id: int
    problem: str

    @property
    def zh(self) -> str:
        return f"文件“{self.name}”{'不在磁盘上' if self.problem == 'missing' else '的内容已损坏'}（实例 {self.instance_id}，{self.sha256[:12]}…）"

    @property
    def en(self) -> str:
        what = "is not on the disk" if self.problem == "missing" else "is damaged"
        return f"the file “{self.name}” {what} (instance {self.instance_id}, {self.sha256[:12]}…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive holds. `parts`: ``{name in the archive: (bytes, SHA-256 in hex)}``; `schema`: revision of the database;
    `database`: ``sqlite`` or ``postgresql``."""

    psmflow: str
    made_at: datetime
    database: str
    schema: str
    instance_count: int
    event_count: int
    parts: Mapping[str, tuple[int, str]]
    lacking: tuple[Lacking, ...]

    @property
    def document_count(self) -> int:
        return sum(name.startswith("documents/") for name in self.parts)

    @property
    def has_secret(self) -> bool:
        return _SECRET in self.parts

    @property
    def has_sealing_key(self) -> bool:
        return _SEALING in self.parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A finished archive. `sha256`: of the whole file; whoever keeps it elsewhere can tell later that nobody changed it."""

    path: Path
    size: int
    sha256: str
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did. `aside`: where the installation of before lies now, a database on a server by its name, folders by their
    paths; `breaks`: what the history's check found."""

    manifest: Manifest
    schema: str
    aside: tuple[str, ...]
    breaks: tuple[Break, ...]


# --------------------------------------------------------------------------------------------------------------------- backup
def back_up(database: Database, settings: Settings, at: datetime, target: Path, *, with_secret: bool = False) -> Backup:
    """Write an archive to `target`, or into it under a name that tells the time when it is a folder, while others go on working.

    Raises:
        FileExistsError: there is such a file already.
        StorageFailed: the disk or the database does not let us, or pg_dump is lacking; nothing is left behind.
    """
    path = target / f"psmflow-{at:%Y%m%dT%H%M%SZ}.zip" if target.is_dir() else target
    if path.exists():
        raise FileExistsError(str(path))
    with telling("备份", "backed up"), ExitStack() as clean:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.parent / f".{path.name}.{token()[:8]}.part"
        copy = scratch.with_name(scratch.name + ".db")
        for temporary in (scratch, copy):
            clean.callback(temporary.unlink, missing_ok=True)
        found = database.backup(copy)
        made = _write(scratch, copy, found, settings, at, with_secret=with_secret)
        digest = _verified(scratch, made)
        os.replace(scratch, path)
        copies.sync_folder(path.parent)
        return Backup(path=path, size=path.stat().st_size, sha256=digest, manifest=made)


def _write(scratch: Path, copy: Path, found: copies.CopyFacts, settings: Settings, at: datetime, *, with_secret: bool) -> Manifest:
    parts: dict[str, tuple[int, str]] = {}
    lacking: list[Lacking] = []
    handle = os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    with os.fdopen(handle, "w+b") as file:
        with zipfile.ZipFile(file, "w", compresslevel=1) as archive:
            with copy.open("rb") as source:
                name = copies.PARTS[found.database]
                is_packed = found.database == copies.POSTGRESQL  # pg_dump has done so
                parts[name] = _add(archive, name, source, at, zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED)
            for kept in found.documents:
                stored, problem = stored_at(settings.data, kept.sha256), ""
                try:
                    problem = "" if is_whole(stored, kept.sha256) else "damaged"
                    if not problem:
                        name = f"documents/{kept.sha256[:2]}/{kept.sha256}"
                        with stored.open("rb") as source:
                            parts[name] = _add(archive, name, source, at, zipfile.ZIP_STORED)
                except FileNotFoundError:
                    problem = "missing"
                if problem:
                    lacking.append(Lacking(sha256=kept.sha256, name=kept.name, instance_id=kept.instance_id, problem=problem))
            for name, digest in found.archives:  # after its rows are gone, such a file is the only copy
                path, problem = settings.data / "archive" / name, ""
                try:
                    with path.open("rb") as source:
                        problem = "" if _digest(source) == digest else "damaged"
                        source.seek(0)
                        if not problem:
                            parts[f"archive/{name}"] = _add(archive, f"archive/{name}", source, at, zipfile.ZIP_STORED)
                except FileNotFoundError:
                    problem = "missing"
                if problem:
                    lacking.append(Lacking(sha256=digest, name=name, instance_id=0, problem=problem))
            for path in sorted((settings.data / "heads").glob("*.json")):
                with path.open("rb") as source:
                    parts[f"heads/{path.name}"] = _add(archive, f"heads/{path.name}", source, at, zipfile.ZIP_DEFLATED)
            if (settings.data / DEMO_CLOCK).exists():  # without it the records of a demo would lie in the future
                with (settings.data / DEMO_CLOCK).open("rb") as source:
                    parts[DEMO_CLOCK] = _add(archive, DEMO_CLOCK, source, at, zipfile.ZIP_STORED)
            if with_secret:
                kept_secret(settings.data)
                with (settings.data / _SECRET).open("rb") as source:
                    parts[_SECRET] = _add(archive, _SECRET, source, at, zipfile.ZIP_STORED)
                # one that lies elsewhere was put there to be apart from the database
                if not settings.sealing_key_file and (settings.data / _SEALING).exists():
                    with (settings.data / _SEALING).open("rb") as source:
                        parts[_SEALING] = _add(archive, _SEALING, source, at, zipfile.ZIP_STORED)
            made = Manifest(
                psmflow=release(), made_at=at, database=found.database, schema=found.revision, instance_count=found.instance_count,
                event_count=found.event_count, parts=parts, lacking=tuple(lacking),
            )  # fmt: skip
            archive.writestr(_entry(_MANIFEST, at, zipfile.ZIP_DEFLATED), _manifest_bytes(made))
        file.flush()
        os.fsync(file.fileno())
    return made


def release() -> str:
    """Return the version of this program; of a source tree that nobody installed it is unknown."""
    try:
        return version("psmflow")
    except PackageNotFoundError:
        return "unknown"


def _add(archive: zipfile.ZipFile, name: str, source: BinaryIO, at: datetime, method: int) -> tuple[int, str]:
    size, digest = 0, sha256()
    with archive.open(_entry(name, at, method), "w", force_zip64=True) as member:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
            member.write(chunk)
    return size, digest.hexdigest()


def _entry(name: str, at: datetime, method: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, at.timetuple()[:6])
    entry.compress_type, entry.external_attr = method, 0o600 << 16
    return entry


def _manifest_bytes(made: Manifest) -> bytes:
    return json.dumps({
        "format": _FORMAT, "version": _VERSION, "psmflow": made.psmflow, "made_at": made.made_at.isoformat(), "database": made.database,
        "schema": made.schema, "instances": made.instance_count, "events": made.event_count,
        "parts": {name: {"size": size, "sha256": digest} for name, (size, digest) in made.parts.items()},
        "lacking": [
            {"sha256": each.sha256, "name": each.name, "instance": str(each.instance_id), "problem": each.problem} for each in made.lacking
        ],
    }, ensure_ascii=False, indent=1).encode()  # fmt: skip


def _verified(scratch: Path, made: Manifest) -> str:
    """Read what was written once more, from the file; return its SHA-256.

    Raises:
        StorageFailed: the disk gives back something else.
    """
    try:
        with zipfile.ZipFile(scratch) as archive:
            for _ in _read_parts(archive, made.parts):
                pass
    except (BadArchive, *_BROKEN) as error:
        raise StorageFailed(
            action_zh="备份", action="backed up", reason="写入后读回的内容不一致，磁盘可能有故障",
            reason_en=f"what was written reads back differently, the disk may be failing ({error})",
        ) from error  # fmt: skip
    with scratch.open("rb") as file:
        return _digest(file)


# -------------------------------------------------------------------------------------------------------------------- restore
def read_manifest(archive: Path) -> Manifest:
    """Return what an archive says it holds; whether it does is not looked at.

    Raises:
        BadArchive: no archive of ours, or made by a newer release.
    """
    with _opened(archive) as opened:
        return _manifest(archive, opened)


def restore(
    settings: Settings, clock: Clock, archive: Path, check: Callable[[Settings], tuple[Break, ...]], *, force: bool = False
) -> Restored:
    """Make the installation that `settings` name from an archive.

    Args:
        check: opens the installation of the settings it gets, which brings it to the newest schema, and returns what is wrong with
            its history and tables.
        force: move an installation that is there already into a folder ``before-restore-…`` beside the new one.

    Raises:
        BadArchive: cut, changed, not ours, or of a newer release.
        NotRestored: something is there and not `force`, or a server or worker has it open, or the archive is of the other database.
        StorageFailed: the disk or the database does not let us, or pg_restore is lacking; the installation of before is where it was.
    """
    mark = token()[:8]
    with telling("恢复", "restored"), ExitStack() as clean:
        site = clean.enter_context(copies.site(settings, mark))
        folders = _standing(settings)
        standing = [*site.standing(), *(path.name for path in folders)]
        if standing and not force:
            names = "、".join(standing)
            raise NotRestored(
                data=settings.data, reason=f"那里已有数据 {names}；加 --force 会先把它移到一边，不会删除",
                reason_en=f"there is an installation already ({names}); with --force it is moved aside first, never deleted",
            )  # fmt: skip
        opened = clean.enter_context(_opened(archive))
        manifest = _manifest(archive, opened)
        _require_same(manifest, site, settings)
        stage = settings.data / f".restore-{mark}"
        made = [path for path in (site.landing.parent.parent, settings.data) if not path.exists()]
        for folder in (stage, site.landing.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            clean.callback(shutil.rmtree, folder, ignore_errors=True)
        for path in made:
            path.chmod(0o700)
        _require_room(manifest, stage)
        staged = site.staged(replace(settings, data=stage, demo=False))
        _extract(opened, manifest, stage, site.landing)
        _build(archive, manifest, site)
        breaks = check(staged)
        # the clock of a demo goes with its records, whether the archive has one or not
        at, keys = clock.now(), (*(name for name in (_SECRET, _SEALING) if name in manifest.parts), DEMO_CLOCK)
        old = [(path, copies.aside(path, at)) for path in (*folders, *(settings.data / name for name in keys)) if path.exists()]
        new = [(stage / name, settings.data / name) for name in (*_FOLDERS, *keys) if (stage / name).exists()]
        with site.replacing(at) as settle, copies.moved([*old, *new]):
            was = settle()
        places = [*([] if was is None else [was]), *(str(path.parent) for _, path in old)]
        aside = tuple(dict.fromkeys(places))
        return Restored(manifest=manifest, schema=copies.REVISION, aside=aside, breaks=breaks)


def _require_same(manifest: Manifest, site: copies.Site, settings: Settings) -> None:
    """
    Raises:
        NotRestored: the archive is of the other database.
    """
    if manifest.database == site.kind:
        return
    theirs, ours = _NAMED[manifest.database], _NAMED[site.kind]
    to_do, to_do_en = (
        ("请把 PSMFLOW_DATABASE_URL 设为一个 PostgreSQL 数据库", "set PSMFLOW_DATABASE_URL to a database on PostgreSQL")
        if manifest.database == copies.POSTGRESQL
        else ("请去掉 PSMFLOW_DATABASE_URL（和 DATABASE_URL）", "unset PSMFLOW_DATABASE_URL (and DATABASE_URL)")
    )
    raise NotRestored(
        data=settings.data, reason=f"这是 {theirs} 的备份，而这里设置的数据库是 {ours}；{to_do}后再恢复",
        reason_en=f"this is a backup of {theirs}, and the settings name {ours}; {to_do_en} to restore it",
    )  # fmt: skip


def _build(archive: Path, manifest: Manifest, site: copies.Site) -> None:
    """
    Raises:
        BadArchive: there is no whole database in it, or not the one that the manifest tells of.
    """
    try:
        revision = site.build()
    except copies.Unreadable as error:
        raise BadArchive(archive=archive.name, reason=error.reason, reason_en=error.reason_en) from error
    if revision != manifest.schema:
        raise BadArchive(
            archive=archive.name, reason=f"数据库结构 {revision} 与清单 {manifest.schema} 不符",
            reason_en=f"its database has the schema {revision}, its manifest says {manifest.schema}",
        )  # fmt: skip


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except _BROKEN as error:
        raise BadArchive(
            archive=archive.name, reason="文件不完整，或不是备份文件", reason_en=f"it is cut short, damaged or no archive ({error})"
        ) from error


def _manifest(archive: Path, opened: zipfile.ZipFile) -> Manifest:
    def bad(zh: str, en: str) -> BadArchive:
        return BadArchive(archive=archive.name, reason=zh, reason_en=en)

    try:
        entry = opened.getinfo(_MANIFEST)
        if entry.file_size > _MANIFEST_LIMIT:
            raise bad("清单过大", "its manifest is too large")
        given: dict[str, Any] = json.loads(opened.read(entry))
        if given["format"] != _FORMAT:
            raise bad("不是 psmflow 的备份", "it is no backup of psmflow")
        if given["version"] > _VERSION or not copies.is_known(given["schema"]):
            newer = f"由 psmflow {given['psmflow']} 制作（结构 {given['schema']}），比本程序新；请先升级程序"
            raise bad(newer, f"psmflow {given['psmflow']} made it (schema {given['schema']}), a newer release than this; upgrade first")
        found = Manifest(
            psmflow=str(given["psmflow"]), made_at=datetime.fromisoformat(given["made_at"]), database=str(given["database"]), schema=str(given["schema"]),
            instance_count=int(given["instances"]), event_count=int(given["events"]),
            parts={str(name): (int(part["size"]), str(part["sha256"])) for name, part in given["parts"].items()},
            lacking=tuple(
                Lacking(sha256=each["sha256"], name=each["name"], instance_id=int(each["instance"]), problem=each["problem"])
                for each in given["lacking"]
            ),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise bad("没有可读的清单 manifest.json", "it has no readable manifest.json") from error
    copy = copies.PARTS.get(found.database)
    if copy not in found.parts or not all(name == copy or _is_ours(name, digest) for name, (_, digest) in found.parts.items()):
        raise bad("清单中有不该有的内容", "its manifest names parts that no backup has")
    if sorted(opened.namelist()) != sorted([*found.parts, _MANIFEST]):
        raise bad("内容与清单不符", "it holds other parts than its manifest names")
    return found


def _is_ours(name: str, digest: str) -> bool:
    """True for the names that a backup has: nothing else may become a path on this machine."""
    if name in (_SECRET, _SEALING, DEMO_CLOCK) or _KEPT.fullmatch(name):
        return True
    return len(digest) == 64 and set(digest) <= set("0123456789abcdef") and name == f"documents/{digest[:2]}/{digest}"


def _read_parts(archive: zipfile.ZipFile, parts: Mapping[str, tuple[int, str]]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Give each part with its bytes in chunks.

    Raises:
        BadArchive: a part is not what the manifest says; told after its last chunk.
    """

    def chunks(name: str, size: int, digest: str) -> Iterator[bytes]:
        read, seen = 0, sha256()
        with archive.open(name) as member:
            while read <= size and (chunk := member.read(_CHUNK)):
                read += len(chunk)
                seen.update(chunk)
                yield chunk
        if read != size or seen.hexdigest() != digest:
            raise BadArchive(
                archive=Path(archive.filename or "").name, reason=f"{name} 与清单不符，备份被改动或已损坏",
                reason_en=f"{name} is not what the manifest says: it was changed or is damaged",
            )  # fmt: skip

    for name, (size, digest) in parts.items():
        told = chunks(name, size, digest)
        yield name, told
        for _ in told:
            pass


def _require_room(manifest: Manifest, folder: Path) -> None:
    needed, free = sum(size for size, _ in manifest.parts.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise NotRestored(
            data=folder.parent, reason=f"磁盘空间不足：需要 {needed:,} 字节，剩余 {free:,}", reason_en=f"it needs {needed:,} bytes and {free:,} are free"
        )


def _extract(opened: zipfile.ZipFile, manifest: Manifest, stage: Path, landing: Path) -> None:
    """Write every part below `stage`, the copy of the database at `landing`."""
    for name, chunks in _read_parts(opened, manifest.parts):
        path = landing if name == copies.PARTS[manifest.database] else stage / name
        if name.startswith(_FOLDERS):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())


def _standing(settings: Settings) -> list[Path]:
    """Return the folders of an installation that are there already and hold something."""
    return [path for name in _FOLDERS if (path := settings.data / name).is_dir() and any(path.iterdir())]


# ------------------------------------------------------------------------------------------------------------ uploaded files
def stored_at(data: Path, digest: str) -> Path:
    """Return where the bytes with this SHA-256 lie."""
    return data / "documents" / digest[:2] / digest


def is_whole(path: Path, digest: str) -> bool:
    """True if a file's bytes have the SHA-256 that it is named after.

    Raises:
        FileNotFoundError
    """
    with path.open("rb") as file:
        return _digest(file) == digest


def _digest(file: BinaryIO) -> str:
    digest = sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()

