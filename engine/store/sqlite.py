"""SQLite: one file in WAL, one writer at a time.

A writing transaction begins with BEGIN IMMEDIATE, because one that turns from reading to writing fails at once with "database is
locked" whatever the busy timeout says. Writers of this process queue at a lock, those of other processes in the kernel (flock), as
SQLite's own waiting polls and is unfair.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from engine.errors import Conflict, EngineError, StorageFailed
from engine.settings import Settings
from engine.store.migrations import migrate
from engine.store.session import Missed, Query, Row, Session

ERROR = sqlite3.Error
#: ``{SQLite's primary error code: (Chinese, English)}``: what an administrator can do something about.
_TROUBLES = {
    sqlite3.SQLITE_FULL: ("磁盘已满", "the disk is full"),
    sqlite3.SQLITE_READONLY: ("数据库文件是只读的", "the database is read-only"),
    sqlite3.SQLITE_CANTOPEN: ("数据库文件无法打开", "the database file cannot be opened"),
    sqlite3.SQLITE_IOERR: ("磁盘读写出错", "the disk gives input/output errors"),
    sqlite3.SQLITE_NOMEM: ("内存不足", "there is no memory left"),
    sqlite3.SQLITE_CORRUPT: ("数据库文件已损坏，请用备份恢复", "the database file is damaged; restore a backup"),
    sqlite3.SQLITE_NOTADB: ("该文件不是数据库", "the file is no database"),
    sqlite3.SQLITE_PERM: ("没有访问数据库文件的权限", "access to the database file is not permitted"),
}


def _trouble(error: sqlite3.DatabaseError, *, writing: bool = False) -> EngineError:
    """Return what to tell of a failure of the database; a mistake in a statement of ours is raised as it is."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Conflict()
    if code not in _TROUBLES:
        raise error
    zh, en = _TROUBLES[code]
    return StorageFailed(
        action_zh="写入" if writing else "读取", action="written" if writing else "read", reason=zh, reason_en=en
    )


class _Session(Session):
    """Every statement is executed at once."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, values).rowcount

    def put(self, sql: str, values: Sequence[Any] = ()) -> None:
        self._connection.execute(sql, values)

    def must(self, sql: str, values: Sequence[Any] = ()) -> None:
        if not self._connection.execute(sql, values).rowcount:
            raise Missed

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(sql, rows)

    def read(self, *queries: Query) -> list[list[Row]]:
        return [self.rows(sql, values) for sql, values in queries]

    def alone(self, name: str) -> None:
        """A writer is alone anyway."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "Could not decode" not in str(error):
                raise
        # somebody has made a text of bytes by hand: `verify` has to see what stands there
        self._connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        try:
            return self._connection.execute(sql, values).fetchall()
        finally:
            self._connection.text_factory = str

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        return cast("Row | None", self._connection.execute(sql, values).fetchone())


def _opened(path: Path, flags: int) -> int:
    """Return a descriptor of a file that its owner alone may read when it is made.

    Raises:
        StorageFailed: the folder does not let us.
    """
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(action_zh="打开", action="opened", reason=f"{path.name} {error.strerror}", reason_en=f"{path.name}: {error.strerror}") from error


class SQLite:
    """The file of an installation, migrated to the newest schema."""

    def __init__(self, settings: Settings) -> None:
        settings.database.parent.mkdir(parents=True, exist_ok=True)
        self.path = settings.database
        self._synchronous = settings.synchronous
        # before SQLite makes it for everybody to read: passwords and prices stand in it
        os.close(_opened(self.path, os.O_CREAT | os.O_RDONLY))
        self._engine = self._connect()
        try:
            migrate(self._engine)
        except DBAPIError as error:
            if isinstance(error.orig, sqlite3.DatabaseError):
                raise _trouble(error.orig, writing=True) from error
            raise
        self._writers = threading.Lock()
        self._queue = _opened(self._lock_file, os.O_RDWR | os.O_CREAT)

    @property
    def _lock_file(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    def _connect(self) -> Engine:
        engine = create_engine(
            f"sqlite:///{self.path}",
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=56,
            pool_timeout=60,
            connect_args={"isolation_level": None, "check_same_thread": False, "timeout": 30.0, "cached_statements": 512},
        )

        @event.listens_for(engine, "connect")
        def _set_up(connection: sqlite3.Connection, _: object) -> None:
            for pragma in (
                "journal_mode=wal",
                f"synchronous={self._synchronous}",
                "foreign_keys=on",
                "busy_timeout=30000",
                "cache_size=-32768",
                "wal_autocheckpoint=4000",
                "temp_store=memory",
            ):
                connection.execute("pragma " + pragma)

        return engine

    def _connection(self) -> Any:
        try:
            return self._engine.raw_connection()
        except sqlite3.DatabaseError as error:
            raise _trouble(error) from error
        except DBAPIError as error:
            if isinstance(error.orig, sqlite3.DatabaseError):
                raise _trouble(error.orig) from error
            raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        pooled = self._connection()
        try:
            yield _Session(cast(sqlite3.Connection, pooled.driver_connection))
        except sqlite3.DatabaseError as error:
            raise _trouble(error) from error
        finally:
            pooled.close()

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        pooled = self._connection()
        try:
            connection = cast(sqlite3.Connection, pooled.driver_connection)
            connection.execute("begin")
            try:
                yield _Session(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("rollback")
        except sqlite3.DatabaseError as error:
            raise _trouble(error) from error
        finally:
            pooled.close()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        pooled = self._connection()
        try:
            connection = cast(sqlite3.Connection, pooled.driver_connection)
            with self._writers:
                fcntl.flock(self._queue, fcntl.LOCK_EX)
                try:
                    connection.execute("begin immediate")
                    yield _Session(connection)
                    connection.execute("commit")
                except sqlite3.DatabaseError as error:
                    raise _trouble(error, writing=True) from error
                finally:
                    try:
                        # after a full disk SQLite has taken everything back itself; a commit that failed leaves it to us
                        if connection.in_transaction:
                            connection.execute("rollback")
                    finally:
                        fcntl.flock(self._queue, fcntl.LOCK_UN)
        finally:
            pooled.close()

    def tend(self, at: datetime) -> None:
        """A file needs nothing."""

    def after_fork(self) -> None:
        self._engine.dispose(close=False)
        self._writers = threading.Lock()
        self._queue = _opened(self._lock_file, os.O_RDWR | os.O_CREAT)

    def backup(self, path: Path) -> None:
        """Copy while others go on working (SQLite's online backup)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(_opened(path, os.O_CREAT | os.O_RDWR))
        try:
            target = sqlite3.connect(path)
            try:
                pooled = self._connection()
                try:
                    cast(sqlite3.Connection, pooled.driver_connection).backup(target)
                finally:
                    pooled.close()
            finally:
                target.close()
        except sqlite3.DatabaseError as error:
            raise _trouble(error, writing=True) from error
        path.chmod(0o600)

    def close(self) -> None:
        self._engine.dispose()
        os.close(self._queue)
