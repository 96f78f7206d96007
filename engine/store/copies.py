"""Copies of the SQLite file that lie outside the installation: what they hold, and whether they are whole."""

# ruff: noqa: S608  statements are put together from constants alone

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.model import ERASED
from engine.store.migrations import HEAD, scripts


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Uploaded bytes that rows of the database refer to. `name`, `instance_id`: of the first of those rows; 0: of a register."""

    sha256: str
    size: int
    name: str
    instance_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFacts:
    """What a copy holds. `revision`: of its schema, None when it is none of ours."""

    revision: str | None
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


def facts(path: Path) -> CopyFacts:
    """Return what a copy holds.

    Raises:
        sqlite3.DatabaseError: it is no database of ours.
    """
    with _opened(path) as connection:
        revision = connection.execute("select version_num from alembic_version").fetchone()
        # a copy of a release that knew no archive files is asked for its revision alone
        keeps = connection.execute("select 1 from sqlite_master where name = 'archive_file'").fetchone() is not None
        registers = connection.execute("select 1 from sqlite_master where name = 'register_file'").fetchone() is not None
        of_registers = (
            " union all select sha256, size, name, 0 from register_file where id in"
            f" (select min(id) from register_file where name <> '{ERASED}' group by sha256)"
            " and sha256 not in (select sha256 from document where erased_at is null)"
            " and sha256 not in (select sha256 from archived_document where erased_at is null)"
        ) if registers else ""  # fmt: skip
        instances, events = connection.execute("select count(*), coalesce(sum(seq), 0) from instance").fetchone()
        return CopyFacts(
            revision=None if revision is None else str(revision[0]), instance_count=instances, event_count=events,
            documents=tuple(
                Kept(sha256=digest, size=size, name=name, instance_id=instance)
                for digest, size, name, instance in connection.execute(
                    "select sha256, size, name, instance_id from document where id in"
                    " (select min(id) from document where erased_at is null group by sha256)"
                    " union all select sha256, 0, sha256, instance_id from archived_document where id in"
                    " (select min(id) from archived_document where erased_at is null group by sha256)"
                    f" and sha256 not in (select sha256 from document where erased_at is null){of_registers} order by 1"
                )
            ) if keeps else (),
            archives=tuple(connection.execute("select name, sha256 from archive_file order by name")) if keeps else (),
        )  # fmt: skip


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
