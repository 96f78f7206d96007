"""Connections and transactions: SQLAlchemy's pool and dialect, statements as text on the driver's connection.

SQLite runs in WAL; a writing transaction begins with BEGIN IMMEDIATE, because one that turns from reading to writing fails at
once with "database is locked" whatever the busy timeout says. Writers of this process queue at a lock, those of other
processes in the kernel (flock), as SQLite's own waiting polls and is unfair.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from engine.clock import Clock, IdIssuer, token
from engine.errors import Conflict, EngineError, StorageFailed
from engine.settings import Settings
from engine.store.migrations import migrate

Row = tuple[Any, ...]
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: `sort_at` of what has no due date.
END_OF_TIME = 1 << 62
_LEASE = timedelta(days=1)
_NODES = 1024


def micros(at: datetime) -> int:
    """Return an aware instant as the tables hold it: microseconds since 1970 UTC."""
    return (at - _UNIX) // _MICROSECOND


def micros_or_none(at: datetime | None) -> int | None:
    return None if at is None else (at - _UNIX) // _MICROSECOND


def instant(value: int) -> datetime:
    """Return the aware UTC instant that a table holds as microseconds."""
    return _UNIX + timedelta(microseconds=value)


def instant_or_none(value: int | None) -> datetime | None:
    return None if value is None else _UNIX + timedelta(microseconds=value)


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


class Session:
    """One connection, for the length of one `Database.reading` or `Database.writing`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement and return how many rows it changed."""
        return self._connection.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement once for each of `rows`."""
        self._connection.executemany(sql, rows)

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

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.row(sql, values)
        return None if row is None else row[0]


def _opened(path: Path, flags: int) -> int:
    """Return a descriptor of a file that its owner alone may read when it is made.

    Raises:
        StorageFailed: the folder does not let us.
    """
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(action_zh="打开", action="opened", reason=f"{path.name} {error.strerror}", reason_en=f"{path.name}: {error.strerror}") from error


class Database:
    """The SQLite file of an installation, migrated to the newest schema."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.database.parent.mkdir(parents=True, exist_ok=True)
        self.path = settings.database
        self._clock = clock
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
        self._queue = _opened(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT)
        self._leasing = threading.Lock()
        self._owner = token()
        self._pid = os.getpid()
        self._forking = threading.Lock()
        self._renew_at = _UNIX
        self._ids: IdIssuer | None = None

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

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session for queries; each statement sees what is committed when it begins.

        Raises:
            StorageFailed: the database cannot be read.
        """
        self._after_fork()
        pooled = self._connection()
        try:
            yield Session(cast(sqlite3.Connection, pooled.driver_connection))
        except sqlite3.DatabaseError as error:
            raise _trouble(error) from error
        finally:
            pooled.close()

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
    def snapshot(self) -> Iterator[Session]:
        """Give a session in which every query sees the same moment.

        Raises:
            StorageFailed: the database cannot be read.
        """
        self._after_fork()
        pooled = self._connection()
        try:
            connection = cast(sqlite3.Connection, pooled.driver_connection)
            connection.execute("begin")
            try:
                yield Session(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("rollback")
        except sqlite3.DatabaseError as error:
            raise _trouble(error) from error
        finally:
            pooled.close()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Give a session whose statements are committed together at the end, or not at all when the block raises.

        Raises:
            Conflict: another process held the database for half a minute.
            StorageFailed: the disk is full, or the database is read-only or damaged; nothing was written.
        """
        self._after_fork()
        if self._ids is None or self._clock.now() >= self._renew_at:
            self._lease()
        with self._transaction() as session:
            yield session

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        pooled = self._connection()
        try:
            connection = cast(sqlite3.Connection, pooled.driver_connection)
            with self._writers:
                fcntl.flock(self._queue, fcntl.LOCK_EX)
                try:
                    connection.execute("begin immediate")
                    yield Session(connection)
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

    def new_id(self) -> int:
        """Return a new 63-bit id; its node part is leased by this process alone, and renewed before transactions."""
        self._after_fork()
        ids = self._ids
        if ids is None:
            self._lease()
            ids = self._ids
            assert ids is not None
        return ids.next()

    def _lease(self) -> None:
        """Lease a node number: the lowest never used, else the one whose lease ran out longest ago.

        A number is not used again as long as there are fresh ones, so that a restart at the same instant repeats no id.
        """
        with self._leasing:
            now = self._clock.now()
            if self._ids is not None and now < self._renew_at:
                return
            until, expired = (
                micros(now + _LEASE),
                "select node from node_lease where leased_until < ? order by leased_until limit 1",
            )
            with self._transaction() as tx:
                if self._ids is None or not tx.run(
                    "update node_lease set leased_until = ? where owner = ?", (until, self._owner)
                ):
                    node = tx.value("select coalesce(max(node) + 1, 0) from node_lease")
                    if node >= _NODES:
                        node = tx.value(expired, (micros(now),))
                        if node is None:
                            raise Conflict()
                        tx.run("delete from node_lease where node = ?", (node,))
                    tx.run("insert into node_lease (node, owner, leased_until) values (?, ?, ?)", (node, self._owner, until))
                    self._ids = IdIssuer(self._clock, node)
            self._renew_at = now + _LEASE / 2

    def _after_fork(self) -> None:
        """A forked process inherits neither connections nor its parent's node number."""
        if self._pid == os.getpid():
            return
        with self._forking:  # several threads of the child may be here at once
            if self._pid == os.getpid():
                return
            self._engine.dispose(close=False)
            self._writers, self._leasing = threading.Lock(), threading.Lock()
            self._queue = _opened(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT)
            self._ids, self._owner = None, token()
            self._pid = os.getpid()

    def backup(self, path: Path) -> None:
        """Write a consistent copy to `path` while others go on working (SQLite's online backup)."""
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
        """Give up the node number and close every connection."""
        try:
            if self._ids is not None and self._pid == os.getpid():
                with self.writing() as tx:
                    tx.run("update node_lease set leased_until = 0 where owner = ?", (self._owner,))
        except (StorageFailed, Conflict):
            pass  # a number that is not given up runs out by itself
        finally:
            self._engine.dispose()
            os.close(self._queue)
