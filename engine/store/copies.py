"""Copies of an installation's database that lie outside it: what they hold, and the way back from them.

What is done to a file is here, what to a database on a server in `postgres_copies`.
"""

# ruff: noqa: S608  statements are put together from constants alone

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol

from engine.errors import NotRestored
from engine.model import ERASED
from engine.settings import Settings
from engine.store.migrations import HEAD, scripts
from engine.store.session import Row

SQLITE, POSTGRESQL = "sqlite", "postgresql"
#: ``{database: name of its copy in an archive}``
PARTS = {SQLITE: "psmflow.db", POSTGRESQL: "psmflow.dump"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Uploaded bytes that rows of the database refer to. `name`, `instance_id`: of the first of those rows; 0: of a register."""

    sha256: str
    size: int
    name: str
    instance_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFacts:
    """What a copy holds. `database`: whose copy it is, ``sqlite`` or ``postgresql``; `revision`: of its schema."""

    database: str
    revision: str
    instance_count: int
    event_count: int
    documents: tuple[Kept, ...]
    archives: tuple[tuple[str, str], ...]  #: ``(name, SHA-256)`` of the archive files of instances


#: The schema revision that this release works with.
REVISION = HEAD


def is_known(revision: str | None) -> bool:
    """True if this release can migrate a database from `revision`; those of newer releases are unknown to it."""
    return revision is not None and revision in {script.revision for script in scripts().walk_revisions()}


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        yield connection


def problems(path: Path) -> list[str]:
    """Return what SQLite's own check finds wrong with a file nobody writes; empty when it is whole."""
    try:
        with _opened(path) as connection:
            found = [str(row[0]) for row in connection.execute("pragma integrity_check(20)")]
            found += [f"foreign key: {row[0]} {row[1]}" for row in connection.execute("pragma foreign_key_check").fetchmany(20)]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else [line for line in found if line != "ok"]


def facts(rows: Callable[[str], Iterable[Row]], database: str) -> CopyFacts:
    """Return what a copy of this release's schema holds. `rows`: asks the copy, or the very moment that it is made of."""
    ((revision,),) = rows("select version_num from alembic_version")
    ((instances, events),) = rows("select count(*), coalesce(sum(seq), 0) from instance")
    return CopyFacts(
        database=database, revision=revision, instance_count=instances, event_count=events,
        documents=tuple(
            Kept(sha256=digest, size=size, name=name, instance_id=instance)
            for digest, size, name, instance in rows(
                "select sha256, size, name, instance_id from document where id in"
                " (select min(id) from document where erased_at is null group by sha256)"
                " union all select sha256, 0, sha256, instance_id from archived_document where id in"
                " (select min(id) from archived_document where erased_at is null group by sha256)"
                " and sha256 not in (select sha256 from document where erased_at is null)"
                " union all select sha256, size, name, 0 from register_file where id in"
                f" (select min(id) from register_file where name <> '{ERASED}' group by sha256)"
                " and sha256 not in (select sha256 from document where erased_at is null)"
                " and sha256 not in (select sha256 from archived_document where erased_at is null) order by 1"
            )
        ),
        archives=tuple((name, digest) for name, digest in rows("select name, sha256 from archive_file order by name")),
    )  # fmt: skip


def facts_of(path: Path) -> CopyFacts:
    """Return what a copy of a file holds."""
    with _opened(path) as connection:
        return facts(connection.execute, SQLITE)


def free(path: Path) -> bool:
    """Take an installation's file out of WAL, so that it is one file that may be moved. False: a process has it open.

    A file that is damaged is nobody's to work with; it may be moved.
    """
    try:
        with closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as connection:
            mode = connection.execute("pragma journal_mode=delete").fetchone()
            return mode is not None and mode[0] == "delete"
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    except sqlite3.DatabaseError:
        return True


# ------------------------------------------------------------------------------------------------------------- the way back
class Unreadable(Exception):
    """A copy holds no whole database of ours."""

    def __init__(self, reason: str, reason_en: str) -> None:
        super().__init__(reason_en)
        self.reason = reason
        self.reason_en = reason_en


class Site(Protocol):
    """The place of an installation's database. A new one is built beside what is there, and takes its place once it is found good.

    Leaving the context takes away what was built and did not take the place.
    """

    kind: ClassVar[str]
    #: Where the copy is put before `build`.
    landing: Path

    def __enter__(self) -> Site: ...
    def __exit__(self, *_: object) -> None: ...

    def standing(self) -> list[str]:
        """Return the names of what is there of a database."""

    def staged(self, settings: Settings) -> Settings:
        """Return `settings` with the new database."""

    def build(self) -> str:
        """Make the new database of the copy and return its schema revision.

        Raises:
            Unreadable
            NotRestored: the old one is in use, or a right or a program is lacking.
            StorageFailed
        """

    def replacing(self, at: datetime) -> AbstractContextManager[Callable[[], str | None]]:
        """Give what lets the new database take the place for good and returns where the old one is now (None: there was none).

        When the block raises everything is where it was.

        Raises:
            NotRestored: somebody uses the old one.
            StorageFailed
        """


def site(settings: Settings, mark: str) -> Site:
    """Return the place of the database of `settings`. `mark`: for the names of what is built."""
    if not settings.database_url:
        return FileSite(settings, mark)
    from engine.store.postgres_copies import ServerSite  # loads the driver

    return ServerSite(settings, mark)


class FileSite:
    """An SQLite file. The new one is a file in a folder beside it, so that a rename is all that it takes."""

    kind: ClassVar[str] = SQLITE

    def __init__(self, settings: Settings, mark: str) -> None:
        self._settings = settings
        self._path = settings.database
        self.landing = self._path.parent / f".restore-{mark}" / self._path.name

    def __enter__(self) -> FileSite:
        return self

    def __exit__(self, *_: object) -> None:
        """The folder goes with what is in it."""

    def standing(self) -> list[str]:
        return [path.name for path in self._files()]

    def _files(self) -> list[Path]:
        return [path for suffix in ("", "-wal", "-shm") if (path := self._path.with_name(self._path.name + suffix)).exists()]

    def staged(self, settings: Settings) -> Settings:
        return replace(settings, database=self.landing)

    def build(self) -> str:
        try:
            with _opened(self.landing) as connection:
                ((revision,),) = connection.execute("select version_num from alembic_version")
        except (sqlite3.DatabaseError, ValueError) as error:
            raise Unreadable("其中没有可读的数据库", f"it holds no readable database ({error})") from error
        if damage := problems(self.landing):
            raise Unreadable(f"其中的数据库已损坏 {damage[0]}", f"the database in it is damaged: {damage[0]}")
        return str(revision)

    @contextmanager
    def replacing(self, at: datetime) -> Iterator[Callable[[], str | None]]:
        if not free(self.landing):
            raise AssertionError("the check left the staged database open")
        if self._path.exists() and not free(self._path):
            raise NotRestored(
                data=self._settings.data, reason="有服务器或 worker 正在使用它；请先停止", reason_en="a server or worker has it open; stop that first"
            )
        old = [(path, aside(path, at)) for path in self._files()]
        with moved([*old, (self.landing, self._path)]):
            yield lambda: str(old[0][1].parent) if old else None


def aside(path: Path, at: datetime) -> Path:
    """Return the path at which something is kept that a restore at `at` replaces."""
    folder = path.parent / f"before-restore-{at:%Y%m%dT%H%M%SZ}"
    while (folder / path.name).exists():
        folder = folder.with_name(folder.name + "-")
    return folder / path.name


@contextmanager
def moved(pairs: Sequence[tuple[Path, Path]]) -> Iterator[None]:
    """Rename each first path to its second, all of them; back again when one of them fails or the block raises."""
    done: list[tuple[Path, Path]] = []
    made: list[Path] = []
    try:
        for source, target in pairs:
            if not target.parent.exists():
                target.parent.mkdir(mode=0o700)
                made.append(target.parent)
            os.rename(source, target)
            done.append((source, target))
        for folder in {path.parent for pair in pairs for path in pair}:
            sync_folder(folder)
        yield
    except BaseException:
        for source, target in reversed(done):
            os.rename(target, source)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def sync_folder(folder: Path) -> None:
    """Let names that were given or changed in a folder outlast a power failure, as the files' bytes do."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
