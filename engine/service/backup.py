"""One archive that holds a whole installation, and the way back from it.

The archive is a ZIP file: ``psmflow.db`` (a consistent copy, made while others go on working), ``documents/ab/<sha256>`` (the bytes
of every file that a row of that copy refers to), ``secret.key`` and ``sealing.key`` when asked for, and ``manifest.json``, which names every part with
its size and SHA-256. What is written is read again before it gets its name, so a file with the name of an archive is one.

A restore builds the installation beside the old one, brings it to the newest schema and verifies it there. Only then does it move
the old one aside, and it moves it back when anything fails. Nothing is ever deleted.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
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
from urllib.parse import unquote, urlsplit

from engine.clock import Clock, token
from engine.errors import EngineError, StorageFailed, telling
from engine.model import Break
from engine.settings import Settings, kept_secret
from engine.store import copies
from engine.store.database import Database

_FORMAT, _VERSION = "psmflow-backup", 1
_DATABASE, _SECRET, _SEALING, _MANIFEST = "psmflow.db", "secret.key", "sealing.key", "manifest.json"
#: Archive files of instances, and signed heads.
_KEPT = re.compile(r"archive/\d{4}-\d\d(-\d+)?\.jsonl\.gz|heads/\d{4}-\d\d-\d\dT[\d.-]+Z\.json", re.ASCII)
_FOLDERS = ("documents", "archive", "heads")
_CHUNK = 1 << 20
_MANIFEST_LIMIT = 256 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


class BadArchive(EngineError):
    """The file is no archive of ours, is cut or was changed, or belongs to a newer release. Nothing was touched."""

    code = "bad_archive"
    zh = "无法恢复 {archive}：{reason}。现有数据没有改动。"
    en = "{archive} cannot be restored: {reason_en}. Nothing was changed."


class NotRestored(EngineError):
    """There is an installation that the restore would take the place of, or that is in use. Nothing was touched."""

    code = "not_restored"
    status = 409
    zh = "没有恢复到 {data}：{reason}。现有数据没有改动。"
    en = "Nothing was restored to {data}: {reason_en}. Nothing was changed."


class UsePostgres(EngineError):
    """The installation lies in PostgreSQL, whose own tools copy it. Nothing was written."""

    code = "use_postgres"
    zh = "数据在 PostgreSQL 中，请用它自己的工具{action}（密码见 PSMFLOW_DATABASE_URL）：\n{commands}"
    en = "The data lie in PostgreSQL; {action_en} with its own tools (the password stands in PSMFLOW_DATABASE_URL):\n{commands}"


def _refuse_postgres(settings: Settings, *, restoring: bool, archive: str = "") -> None:
    if not settings.database_url:
        return
    parts = urlsplit(settings.database_url)
    host, name = shlex.quote(parts.hostname or "localhost"), shlex.quote(unquote(parts.path[1:]))
    where = f"--host={host} --port={parts.port or 5432} --username={shlex.quote(unquote(parts.username or 'psmflow'))}"
    documents = shlex.quote(str(settings.data / "documents"))
    copy, tar = shlex.quote(archive or "psmflow.dump"), "psmflow-documents.tar"
    commands = [
        f"createdb {where} --encoding=UTF8 --template=template0 psmflow_restored", f"pg_restore {where} --dbname=psmflow_restored --no-owner --exit-on-error {copy}",
        f"tar -xf {tar} -C {shlex.quote(str(settings.data))}", "PSMFLOW_DATABASE_URL=…/psmflow_restored psmflow doctor",
    ] if restoring else [
        # the database first: files that came later are too many, never too few
        f"pg_dump {where} --format=custom --file={copy} {name}", f"tar -cf {tar} -C {documents}/.. documents",
    ]  # fmt: skip
    raise UsePostgres(
        action="恢复" if restoring else "备份", action_en="restore it" if restoring else "back it up", commands="\n".join(f"  {line}" for line in commands)
    )


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
    """What an archive holds. `parts`: ``{name in the archive: (bytes, SHA-256 in hex)}``; `schema`: revision of the database."""

    psmflow: str
    made_at: datetime
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
    """What a restore did. `aside`: where the installation of before lies now; `breaks`: what the history's check found."""

    manifest: Manifest
    schema: str
    aside: Path | None
    breaks: tuple[Break, ...]


# --------------------------------------------------------------------------------------------------------------------- backup
def back_up(database: Database, settings: Settings, at: datetime, target: Path, *, with_secret: bool = False) -> Backup:
    """Write an archive to `target`, or into it under a name that tells the time when it is a folder, while others go on working.

    Raises:
        FileExistsError: there is such a file already.
        UsePostgres: the database is not a file; says how it is done.
        StorageFailed: the disk or the database does not let us; nothing is left behind.
    """
    _refuse_postgres(settings, restoring=False)
    path = target / f"psmflow-{at:%Y%m%dT%H%M%SZ}.zip" if target.is_dir() else target
    if path.exists():
        raise FileExistsError(str(path))
    with telling("备份", "backed up"), ExitStack() as clean:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.parent / f".{path.name}.{token()[:8]}.part"
        copy = scratch.with_name(scratch.name + ".db")
        for temporary in (scratch, copy):
            clean.callback(temporary.unlink, missing_ok=True)
        database.backup(copy)
        found = copies.facts(copy)
        if damage := copies.problems(copy):
            raise StorageFailed(
                action_zh="备份", action="backed up", reason=f"数据库已损坏 {damage[0]}", reason_en=f"the database is damaged: {damage[0]}"
            )
        made = _write(scratch, copy, found, settings, at, with_secret=with_secret)
        digest = _verified(scratch, made)
        os.replace(scratch, path)
        _sync(path.parent)
        return Backup(path=path, size=path.stat().st_size, sha256=digest, manifest=made)


def _write(scratch: Path, copy: Path, found: copies.CopyFacts, settings: Settings, at: datetime, *, with_secret: bool) -> Manifest:
    parts: dict[str, tuple[int, str]] = {}
    lacking: list[Lacking] = []
    handle = os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    with os.fdopen(handle, "w+b") as file:
        with zipfile.ZipFile(file, "w", compresslevel=1) as archive:
            with copy.open("rb") as source:
                parts[_DATABASE] = _add(archive, _DATABASE, source, at, zipfile.ZIP_DEFLATED)
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
            if with_secret:
                kept_secret(settings.data)
                with (settings.data / _SECRET).open("rb") as source:
                    parts[_SECRET] = _add(archive, _SECRET, source, at, zipfile.ZIP_STORED)
                # one that lies elsewhere was put there to be apart from the database
                if not settings.sealing_key_file and (settings.data / _SEALING).exists():
                    with (settings.data / _SEALING).open("rb") as source:
                        parts[_SEALING] = _add(archive, _SEALING, source, at, zipfile.ZIP_STORED)
            made = Manifest(
                psmflow=release(), made_at=at, schema=found.revision or "", instance_count=found.instance_count,
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
        "format": _FORMAT, "version": _VERSION, "psmflow": made.psmflow, "made_at": made.made_at.isoformat(), "database": "sqlite",
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
        UsePostgres: the database is not a file; says how it is done.
        NotRestored: something is there and not `force`, or a server or worker has it open.
        StorageFailed: the disk does not let us; the installation of before is where it was.
    """
    _refuse_postgres(settings, restoring=True)
    with telling("恢复", "restored"), ExitStack() as clean:
        standing = _standing(settings)
        if standing and not force:
            names = "、".join(path.name for path in standing)
            raise NotRestored(
                data=settings.data, reason=f"那里已有数据 {names}；加 --force 会先把它移到一边，不会删除",
                reason_en=f"there is an installation already ({names}); with --force it is moved aside first, never deleted",
            )  # fmt: skip
        opened = clean.enter_context(_opened(archive))
        manifest = _manifest(archive, opened)
        stage = settings.data / f".restore-{token()[:8]}"
        database_stage = settings.database.parent / stage.name
        made = [path for path in (settings.database.parent, settings.data) if not path.exists()]
        for folder in (stage, database_stage):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            clean.callback(shutil.rmtree, folder, ignore_errors=True)
        for path in made:
            path.chmod(0o700)
        _require_room(manifest, stage)
        staged = replace(settings, data=stage, database=database_stage / settings.database.name, demo=False)
        _extract(archive, opened, manifest, staged)
        if damage := copies.problems(staged.database):
            raise BadArchive(
                archive=archive.name, reason=f"其中的数据库已损坏 {damage[0]}", reason_en=f"the database in it is damaged: {damage[0]}"
            )
        breaks = check(staged)
        if not copies.free(staged.database):
            raise AssertionError("the check left the staged database open")
        if settings.database.exists() and not copies.free(settings.database):
            raise NotRestored(
                data=settings.data, reason="有服务器或 worker 正在使用它；请先停止", reason_en="a server or worker has it open; stop that first"
            )
        keys = tuple(name for name in (_SECRET, _SEALING) if name in manifest.parts)
        aside = _swap(settings, staged, clock.now(), keys)
        return Restored(manifest=manifest, schema=copies.REVISION, aside=aside, breaks=breaks)


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
            psmflow=str(given["psmflow"]), made_at=datetime.fromisoformat(given["made_at"]), schema=str(given["schema"]),
            instance_count=int(given["instances"]), event_count=int(given["events"]),
            parts={str(name): (int(part["size"]), str(part["sha256"])) for name, part in given["parts"].items()},
            lacking=tuple(
                Lacking(sha256=each["sha256"], name=each["name"], instance_id=int(each["instance"]), problem=each["problem"])
                for each in given["lacking"]
            ),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise bad("没有可读的清单 manifest.json", "it has no readable manifest.json") from error
    if _DATABASE not in found.parts or not all(_is_ours(name, digest) for name, (_, digest) in found.parts.items()):
        raise bad("清单中有不该有的内容", "its manifest names parts that no backup has")
    if sorted(opened.namelist()) != sorted([*found.parts, _MANIFEST]):
        raise bad("内容与清单不符", "it holds other parts than its manifest names")
    return found


def _is_ours(name: str, digest: str) -> bool:
    """True for the names that a backup has: nothing else may become a path on this machine."""
    if name in (_DATABASE, _SECRET, _SEALING) or _KEPT.fullmatch(name):
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


def _extract(archive: Path, opened: zipfile.ZipFile, manifest: Manifest, staged: Settings) -> None:
    for name, chunks in _read_parts(opened, manifest.parts):
        path = staged.database if name == _DATABASE else staged.data / name
        if name.startswith(_FOLDERS):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    try:
        revision = copies.facts(staged.database).revision
    except sqlite3.DatabaseError as error:
        raise BadArchive(archive=archive.name, reason="其中没有可读的数据库", reason_en=f"it holds no readable database ({error})") from error
    if revision != manifest.schema:
        raise BadArchive(
            archive=archive.name, reason=f"数据库结构 {revision} 与清单 {manifest.schema} 不符",
            reason_en=f"its database has the schema {revision}, its manifest says {manifest.schema}",
        )  # fmt: skip


def _standing(settings: Settings) -> list[Path]:
    """Return what of an installation is there already."""
    database = settings.database
    beside = [database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm")]
    folders = [settings.data / name for name in _FOLDERS]
    return [path for path in beside if path.exists()] + [path for path in folders if path.is_dir() and any(path.iterdir())]


def _swap(settings: Settings, staged: Settings, at: datetime, keys: tuple[str, ...]) -> Path | None:
    """Move the old installation aside and the new one to its place; all the way, or, when a step fails, not at all."""
    aside, stamp = None, f"before-restore-{at:%Y%m%dT%H%M%SZ}"
    old = _standing(settings)
    old += [settings.data / name for name in keys if (settings.data / name).exists()]
    moves: list[tuple[Path, Path]] = []
    for path in old:
        folder = path.parent / stamp
        while folder.exists() and (folder / path.name).exists():
            folder = folder.with_name(folder.name + "-")
        aside = aside or folder
        moves.append((path, folder / path.name))
    moves.append((staged.database, settings.database))
    for name in (*_FOLDERS, *keys):
        if (staged.data / name).exists():
            if name in _FOLDERS and (settings.data / name).is_dir() and (settings.data / name) not in old:
                (settings.data / name).rmdir()  # empty
            moves.append((staged.data / name, settings.data / name))
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(source, target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            os.rename(target, source)
        raise
    for folder in {path.parent for pair in moves for path in pair if path.parent.exists()}:
        _sync(folder)
    return aside


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


def _sync(folder: Path) -> None:
    """Make names durable that were given or changed in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
