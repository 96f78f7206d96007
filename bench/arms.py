"""What is compared: psmflow through its façade, beside what people write first (`plain`), the least that could do it (`floor`), and what
it executes itself with nothing around it (`rows`).

An arm starts instances and completes user tasks; both return after the commit. Every arm is given the id of the task to complete,
which is asked outside of what is timed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Arm(Protocol):
    """`name`: ``psmflow``, ``plain``, ``floor``, ``cold``, ``rows`` or ``sealed``; `file`: its SQLite database, None on PostgreSQL."""

    name: str
    file: Path | None

    def start(self, key: str, variables: Mapping[str, Any]) -> int:
        """Start an instance and return its id."""

    def open_tasks(self, instance: int) -> list[tuple[str, Any]]:
        """Return ``[(element, task)]`` of what waits for a person, by element; `task` is what `complete` takes."""

    def complete(self, task: Any, values: Mapping[str, Any]) -> None:
        """Complete a user task."""

    def is_finished(self, instance: int) -> bool: ...

    def close(self) -> None: ...


class Connection(Protocol):
    """What `plain` and `floor` need of a driver: sqlite3's or psycopg's connection, parameters as ``?``."""

    def execute(self, sql: str, values: tuple[Any, ...] = ..., /) -> Any: ...

    def close(self) -> None: ...


class Commits(Protocol):
    """Makes one bare commit at a time."""

    def commit(self) -> None: ...


def sqlite(file: Path, synchronous: str) -> sqlite3.Connection:
    """Return a connection with the settings of the product; statements are prepared once and kept by the driver."""
    connection = sqlite3.connect(file, isolation_level=None, cached_statements=512, check_same_thread=False)
    for pragma in (
        "journal_mode=wal", f"synchronous={synchronous}", "cache_size=-32768", "wal_autocheckpoint=6000", "temp_store=memory",
        "busy_timeout=30000",
    ):  # fmt: skip
        connection.execute("pragma " + pragma)
    return connection


def lengthen_log(file: Path) -> None:
    """Make SQLite's log as long as it becomes before it begins again from its start: where there is nothing yet to overwrite, a durable
    commit waits nearly twice as long for the disk. What lies behind the last frame SQLite does not look at."""
    log = file.with_name(f"{file.name}-wal")
    with log.open("ab") as written:
        written.write(bytes(max(0, _LOG_BYTES - log.stat().st_size)))
        written.flush()
        os.fsync(written.fileno())


_LOG_BYTES = 27 << 20  #: 6,000 pages and what one commit adds to them


class Bare:
    """One insert and one commit at a time: what the disk gives just now."""

    def __init__(self, file: Path, synchronous: str) -> None:
        self.file = file
        self._connection = sqlite(file, synchronous)
        self._connection.execute("create table if not exists t (x)")

    def commit(self) -> None:
        self._connection.execute("begin immediate")
        self._connection.execute("insert into t values (1)")
        self._connection.execute("commit")

    def close(self) -> None:
        self._connection.close()


def sqlite_arms(folder: Path, synchronous: str, names: tuple[str, ...] = ("psmflow", "plain", "floor")) -> list[Arm]:
    """Return fresh arms, each with a database of its own in `folder`."""
    return [_arm(name, folder, synchronous) for name in names]


def _arm(name: str, folder: Path, synchronous: str) -> Arm:
    # each is imported when it is asked for: a process that runs one arm alone shows what that one needs
    if name == "psmflow":
        from bench.psmflow import Psmflow

        return Psmflow(folder / "psmflow", synchronous=synchronous)
    connection = sqlite(folder / f"{name}.db", synchronous)
    if name == "plain":
        from bench.plain import Plain

        return Plain(connection, folder / "plain.db")
    from bench.floor import Floor

    return Floor(connection, folder / "floor.db")
