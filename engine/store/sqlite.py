"""SQLite: one file in WAL, one writer at a time.

A writing transaction begins with BEGIN IMMEDIATE, because one that turns from reading to writing fails at once with "database is
locked" whatever the busy timeout says. Writers of this process queue at a lock, those of other processes in the kernel (flock), as
SQLite's own waiting polls and is unfair. Nobody waits for ever there: another process may have been stopped, or hang. Commands that
come at once are carried out by one thread and share a commit, which is where a durable write waits for the disk; each is acknowledged
after it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from datetime import datetime
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, cast

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from engine.clock import countdown, stopwatch
from engine.errors import Busy, Conflict, EngineError, StorageFailed
from engine.settings import Settings
from engine.store.connections import AtHand
from engine.store.copies import CopyFacts, facts_of, problems
from engine.store.migrations import migrate
from engine.store.session import Missed, Query, Row, Session, Work, Write

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
_POOL, _OVERFLOW, _PATIENCE = 8, 56, 60
#: So many commands share a commit at most.
_MOST = 64
#: Seconds that one command is worked out before those who wait for its turn to end go alone.
_HELD_UP = 0.05
_LONGEST_LINGER = 0.002
#: Pages of the log at which SQLite works it into the file and begins it anew, and bytes that it has then: a commit's own pages come on top.
_LOG_PAGES = 6000
_LOG_BYTES = (_LOG_PAGES + 256) * (4096 + 24)
#: A process that has written so many commits, and again so many, looks whether the log is as long as that: who writes one goes without.
_FIRST_LOOK, _NEXT_LOOK = 16, 1024
_ZEROS = bytes(1 << 18)

#: The driver asks of each value that is neither number nor text who adapts it, by an error that it drops: a dozen of them a command cost
#: more than some statement does. These adapt nothing.
sqlite3.register_adapter(bytes, bytes.__bytes__)
sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]


def _never() -> float:
    return 1.0


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


def _told(error: sqlite3.DatabaseError) -> Exception:
    try:
        return _trouble(error, writing=True)
    except sqlite3.DatabaseError as mistake:
        return mistake


class _Session(Session):
    """Every statement is executed at once, so to `put` one is what the connection itself does."""

    __slots__ = ("connection", "put")
    put: Callable[..., object]  # type: ignore[assignment]

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.put = connection.execute

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        return self.connection.execute(sql, values).rowcount

    def must(self, sql: str, values: Sequence[Any] = ()) -> None:
        if not self.connection.execute(sql, values).rowcount:
            raise Missed

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self.connection.executemany(sql, rows)

    def read(self, *queries: Query) -> list[list[Row]]:
        return [self.rows(sql, values) for sql, values in queries]

    def alone(self, name: str) -> None:
        """A writer is alone anyway."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "Could not decode" not in str(error):
                raise
        # somebody has made a text of bytes by hand: `verify` has to see what stands there
        self.connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        try:
            return self.connection.execute(sql, values).fetchall()
        finally:
            self.connection.text_factory = str

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        return cast("Row | None", self.connection.execute(sql, values).fetchone())


def _opened(path: Path, flags: int) -> int:
    """Return a descriptor of a file that its owner alone may read when it is made.

    Raises:
        StorageFailed: the folder does not let us.
    """
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(action_zh="打开", action="opened", reason=f"{path.name} {error.strerror}", reason_en=f"{path.name}: {error.strerror}") from error


class _Reading:
    """A session that gives its connection back."""

    __slots__ = ("_pooled", "_server")

    def __init__(self, server: SQLite) -> None:
        self._server = server

    def __enter__(self) -> _Session:
        self._pooled = self._server._at_hand.borrow()
        return _Session(cast(sqlite3.Connection, self._pooled.driver_connection))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server._at_hand.give_back(self._pooled)
        if isinstance(error, sqlite3.DatabaseError):
            raise _trouble(error) from error


class _Later(Exception):
    """A command is about an instance that one before it in the same batch changes: its turn comes when that is written."""


class _Waiting:
    """A command that waits for its turn.

    Attributes:
        left: gives the seconds that it still waits for the place of the writer.
        write: what it has to write, once somebody worked it out.
        is_called: it has to lead.
        context: of its thread, which sleeps: what the command is about is told there.
        woken: released when it is done, or when it has to lead.
    """

    __slots__ = ("context", "error", "is_called", "is_done", "left", "woken", "work", "write")
    context: Context
    woken: threading.Lock

    def __init__(self, work: Work, left: Callable[[], float]) -> None:
        self.work = work
        self.left = left
        self.write: Write = _nothing
        self.is_called = self.is_done = False
        self.error: BaseException | None = None

    def fall_asleep(self) -> None:
        """Let another thread carry it out: from here on this one waits for `woken`."""
        self.context = copy_context()
        self.woken = threading.Lock()
        self.woken.acquire()

    def settle(self, error: BaseException | None = None) -> None:
        self.is_done, self.error = True, error


def _nothing(session: Session) -> None:
    """Write nothing."""


class _FileLock:
    """A lock between processes (flock) that one thread of this one at a time waits for, and not for ever.

    flock itself knows no time limit, and asking again and again is unfair and late. So, when the lock is not free, a thread of ours
    waits for it in the kernel's queue. Who asked gives up when the time is over; that thread goes on waiting, for whoever asks next,
    and lets the lock go at once if nobody does.
    """

    def __init__(self, path: Path) -> None:
        self._file = _opened(path, os.O_RDWR | os.O_CREAT)
        self._mutex = threading.Lock()
        self._asked, self._granted = threading.Lock(), threading.Lock()
        self._asked.acquire()
        self._granted.acquire()
        self._thread: threading.Thread | None = None
        self._is_pending = self._is_awaited = self._is_closed = False

    def acquire(self, left: Callable[[], float]) -> bool:
        """Return True once this process has the lock, False when no time is `left`."""
        with self._mutex:
            if not self._is_pending:
                try:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
                except BlockingIOError:
                    self._is_pending = True
                if self._thread is None:
                    self._thread = threading.Thread(target=self._wait, name="psmflow writer's queue", daemon=True)
                    self._thread.start()
                self._asked.release()
            self._is_awaited = True
        has_it = False
        try:
            has_it = self._granted.acquire(timeout=max(0.0, left()))
        finally:
            with self._mutex:
                has_it = has_it or self._granted.acquire(blocking=False)  # just now
                self._is_awaited = False
                if has_it:
                    self._is_pending = False
        return has_it

    def release(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def _wait(self) -> None:
        while True:
            self._asked.acquire()
            if not self._is_closed:
                fcntl.flock(self._file, fcntl.LOCK_EX)
            with self._mutex:
                if self._is_closed:
                    os.close(self._file)  # which releases it
                    return
                if self._is_awaited:
                    self._granted.release()
                else:
                    self.release()
                    self._is_pending = False

    def close(self) -> None:
        with self._mutex:
            self._is_closed = True
            if self._thread is None:
                os.close(self._file)
            elif not self._is_pending:
                self._asked.release()

    def forget(self) -> None:
        """In a forked process: the lock stays the parent's, and is free when the parent dies."""
        os.close(self._file)


class SQLite:
    """The file of an installation, migrated to the newest schema."""

    error: ClassVar[type[Exception]] = sqlite3.Error

    def __init__(self, settings: Settings) -> None:
        settings.database.parent.mkdir(parents=True, exist_ok=True)
        self.path = settings.database
        self._synchronous = settings.synchronous
        self._patience = settings.busy_seconds
        # before SQLite makes it for everybody to read: passwords and prices stand in it
        os.close(_opened(self.path, os.O_CREAT | os.O_RDONLY))
        self._engine = self._connect()
        try:
            migrate(self._engine)
        except DBAPIError as error:
            if isinstance(error.orig, sqlite3.DatabaseError):
                raise _trouble(error.orig, writing=True) from error
            raise
        self.commit_count = self.command_count = 0  #: commits of `commit`, and how many were written by them
        self._look_at = _FIRST_LOOK if self._synchronous == "FULL" else inf
        self._tell_commit: Callable[[int], object] = lambda count: None
        self._begin()

    def _begin(self) -> None:
        """Make what each process has of its own."""
        self._at_hand = AtHand(self._pooled, most=_POOL + _OVERFLOW)  # all: to open one takes longer than a command
        self._writers = threading.Lock()
        self._gate = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._is_led = False
        self._leader: int | None = None  # the thread that leads
        self._until_slow = _never
        self._expected = self._awaited = 0  # how many clients there seem to be; how many more of them the leader waits for
        self._arrived = threading.Lock()
        self._arrived.acquire()
        self._commit_seconds = 0.0
        self._queue = _FileLock(self._lock_file)

    @property
    def _lock_file(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    def _connect(self) -> Engine:
        engine = create_engine(
            f"sqlite:///{self.path}",
            poolclass=QueuePool,
            pool_size=_POOL,
            max_overflow=_OVERFLOW,
            pool_timeout=_PATIENCE,
            connect_args={"isolation_level": None, "check_same_thread": False, "timeout": self._patience, "cached_statements": 512},
        )

        @event.listens_for(engine, "connect")
        def _set_up(connection: sqlite3.Connection, _: object) -> None:
            for pragma in (
                "journal_mode=wal",
                f"synchronous={self._synchronous}",
                "foreign_keys=on",
                f"busy_timeout={self._patience * 1000}",
                "cache_size=-32768",
                f"wal_autocheckpoint={_LOG_PAGES}",
                "temp_store=memory",
            ):
                connection.execute("pragma " + pragma)

        return engine

    def _pooled(self) -> PoolProxiedConnection:
        try:
            return self._engine.raw_connection()
        except sqlite3.DatabaseError as error:
            raise _trouble(error) from error
        except DBAPIError as error:
            if isinstance(error.orig, sqlite3.DatabaseError):
                raise _trouble(error.orig) from error
            raise

    def drop_idle(self) -> None:
        """Close every connection that nobody uses just now."""
        self._at_hand.drop()
        self._engine.dispose()

    def reading(self) -> _Reading:
        return _Reading(self)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        with self.reading() as session:
            session.put("begin")
            try:
                yield session
            finally:
                if session.connection.in_transaction:
                    session.connection.execute("rollback")

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        pooled = self._at_hand.borrow()
        try:
            connection = cast(sqlite3.Connection, pooled.driver_connection)
            self._keep_out(countdown(self._patience))
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
                    self._let_in()
        finally:
            self._at_hand.give_back(pooled)

    def _keep_out(self, left: Callable[[], float]) -> None:
        """Keep all other writers out, those of this process and those of others, until `_let_in`.

        Raises:
            Busy: no time is `left` and another still writes.
        """
        if not self._writers.acquire(blocking=False) and not self._writers.acquire(timeout=max(0.0, left())):
            raise Busy(seconds=self._patience)
        try:
            if not self._queue.acquire(left):
                raise Busy(seconds=self._patience)
        except BaseException:
            self._writers.release()
            raise

    def _let_in(self) -> None:
        try:
            self._queue.release()
        finally:
            self._writers.release()

    # -- many commands, one thread, one commit
    def carry_out(self, work: Work) -> None:
        """Whoever comes first leads: it works out the commands of all who come meanwhile, one after the other, and writes them together.

        The others sleep. Threads that work at once would not be faster, as Python runs one at a time, and SQLite lets go of Python
        at each statement: they would wake each other a dozen times in every command.
        """
        if self._leader == threading.get_ident():  # what is worked out gives a command of its own
            self._carry_out_alone(work)
            return
        mine = _Waiting(work, countdown(self._patience))
        with self._gate:
            leads = not self._is_led
            if leads:
                self._is_led = True  # nobody waits where nobody leads
            else:
                mine.fall_asleep()
                self._waiting.append(mine)
                if len(self._waiting) == self._awaited:
                    self._awaited = 0
                    self._arrived.release()
        if leads:
            self._lead(mine, mine)
        elif not self._is_called(mine):
            self._carry_out_alone(work)
            return
        elif not mine.is_done:
            self._lead(mine, None)
        if mine.error is not None:
            raise mine.error

    def _is_called(self, mine: _Waiting) -> bool:
        """Sleep until we are done or have to lead; False when the leader is held up by somebody's command, and we had better go alone."""
        while not mine.woken.acquire(timeout=_HELD_UP):
            with self._gate:
                if self._until_slow() < 0 and not mine.is_called and mine in self._waiting:
                    self._waiting.remove(mine)
                    return False
        return True

    def _carry_out_alone(self, work: Work) -> None:
        with self.reading() as session:
            write = work(session, lambda instance_id: True)
        if write is not None:
            with self.transaction() as tx:
                write(tx)
            self._count(1)

    def _lead(self, mine: _Waiting, first: _Waiting | None) -> None:
        """Carry out the commands of all who wait, wake them, and let one of those who came meanwhile lead.

        Args:
            first: `mine`, unless it waits with the others.
        """
        batch: list[_Waiting] = []
        later: list[_Waiting] = []
        try:
            pooled = self._at_hand.borrow()
            try:
                session = _Session(cast(sqlite3.Connection, pooled.driver_connection))
                self._leader = threading.get_ident()
                self._work_out(session, mine, first, batch, later)
                if batch:
                    self._keep_out(batch[0].left)
                    try:
                        self._write_together(session, batch)
                    finally:
                        self._let_in()
            finally:
                self._leader = None
                self._at_hand.give_back(pooled)
        except Exception as error:  # noqa: BLE001  raised where it was asked for
            for each in batch or [mine]:
                if not each.is_done:
                    each.settle(error)
        finally:
            with self._gate:
                # an interrupt ends us alone: what is not written is carried out by the next
                if later or len(batch) != 1 or batch[0] is not mine:
                    left = (each for each in (*reversed(later), *reversed(batch)) if not each.is_done and each is not mine)
                    self._waiting.extendleft(left)
                if first is None and mine in self._waiting:
                    self._waiting.remove(mine)
                self._expected = len(batch) + len(self._waiting)
                if self._waiting:
                    self._waiting[0].is_called = True
                    self._waiting[0].woken.release()
                else:
                    self._is_led = False
            for each in batch:
                if each.is_done and each is not mine:
                    each.woken.release()

    def _work_out(
        self, session: _Session, mine: _Waiting, first: _Waiting | None, batch: list[_Waiting], later: list[_Waiting]
    ) -> None:
        """Let each who waits read and compute; who has something to write joins `batch`, who comes too early `later`."""
        changed = set[int]()

        def hold(instance_id: int) -> bool:
            if instance_id in changed:
                raise _Later
            changed.add(instance_id)
            return True

        while len(batch) < _MOST:
            if first is not None:
                each, first = first, None
            else:
                try:
                    each = self._waiting.popleft()
                except IndexError:
                    if self._linger(len(batch) + len(later)):
                        continue
                    return
            self._until_slow = countdown(_HELD_UP)
            try:
                write = each.work(session, hold) if each is mine else each.context.run(each.work, session, hold)
            except _Later:
                later.append(each)
                continue
            except BaseException as error:
                if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                    later.append(each)  # a signal: it is meant for us
                    raise
                each.settle(_trouble(error) if isinstance(error, sqlite3.DatabaseError) else error)
            else:
                if write is not None:
                    each.write = write
                    batch.append(each)
                    continue
                each.settle()
            finally:
                self._until_slow = _never
            if each is not mine:
                each.woken.release()

    def _linger(self, count: int) -> bool:
        """Wait for those who were just answered and may come again, at most half as long as a commit takes; True if somebody came."""
        if self._expected <= count and not self._waiting:
            return False
        with self._gate:
            if self._waiting:
                return True
            self._awaited = max(0, self._expected - count)
            if not self._awaited:
                return False
        self._arrived.acquire(timeout=min(_LONGEST_LINGER, self._commit_seconds / 2))
        with self._gate:
            if self._awaited:
                self._awaited = 0
            else:
                self._arrived.acquire(blocking=False)
            return bool(self._waiting)

    def _write_together(self, session: _Session, batch: list[_Waiting]) -> None:
        """Write each of `batch`, all with one commit; one that fails fails alone."""
        if not self._is_written(session, batch):
            for each in batch:  # a commit that failed tells nobody whose fault it was
                self._is_written(session, [each])

    def _is_written(self, session: _Session, batch: list[_Waiting]) -> bool:
        """Write `batch` by one transaction and tell each how it went; False, and nothing is told, when several failed together."""
        single, connection = len(batch) == 1, session.connection
        refused: dict[_Waiting, BaseException] = {}
        try:
            connection.execute("begin immediate")
            if self.commit_count >= self._look_at:
                self._look_at = self.commit_count + _NEXT_LOOK
                self._lengthen_log()
            for each in batch:
                if single:
                    each.write(session)
                    continue
                connection.execute("savepoint one")
                try:
                    each.write(session)
                except Exception as error:  # noqa: BLE001  raised where it was asked for
                    if not connection.in_transaction:
                        return False  # a full disk takes everything back
                    connection.execute("rollback to one")
                    refused[each] = error
                connection.execute("release one")
            elapsed = stopwatch()
            connection.execute("commit")
            self._commit_seconds += (elapsed() - self._commit_seconds) / 8
        except Exception as error:  # noqa: BLE001  raised where it was asked for
            if not single:
                return False
            refused[batch[0]] = error
        finally:
            if connection.in_transaction:
                connection.execute("rollback")
        for each in batch:
            found = refused.get(each)
            each.settle(_told(found) if isinstance(found, sqlite3.DatabaseError) else found)
        self._count(len(batch))
        return True

    def _lengthen_log(self) -> None:
        """Give the log the length that it will have anyway.

        A durable commit that makes a file longer waits nearly twice as long for the disk as one that overwrites, since length and blocks
        are noted too; and SQLite deletes the log whenever nobody has the database open. What lies behind its last page it does not look
        at, and nobody else appends while our transaction has begun.
        """
        try:
            log = os.open(f"{self.path}-wal", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return  # then commits wait longer, no more
        try:
            was = length = os.fstat(log).st_size
            try:
                while length < _LOG_BYTES:
                    length += os.pwrite(log, _ZEROS, length)
            except OSError:  # no room, which commits need more
                os.ftruncate(log, was)
        finally:
            os.close(log)

    def _count(self, command_count: int) -> None:
        self.commit_count += 1
        self.command_count += command_count
        self._tell_commit(command_count)

    def tell_commits(self, told: Callable[[int], object]) -> None:
        self._tell_commit = told

    def tend(self, at: datetime) -> None:
        """A file needs nothing."""

    def after_fork(self) -> None:
        # While one of the parent's is open here SQLite counts on locks that the parent alone has, and takes none of its own: the
        # parent would close as the last and delete the log that this process writes to.
        self.drop_idle()
        self._queue.forget()
        self._begin()

    def backup(self, path: Path) -> CopyFacts:
        """Copy while others go on working (SQLite's online backup)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(_opened(path, os.O_CREAT | os.O_RDWR))
        try:
            target = sqlite3.connect(path)
            try:
                with self.reading() as session:
                    session.connection.backup(target)
            finally:
                target.close()
        except sqlite3.DatabaseError as error:
            raise _trouble(error, writing=True) from error
        path.chmod(0o600)
        if damage := problems(path):
            raise StorageFailed(
                action_zh="备份", action="backed up", reason=f"数据库已损坏 {damage[0]}", reason_en=f"the database is damaged: {damage[0]}"
            )
        return facts_of(path)

    def close(self) -> None:
        self.drop_idle()
        self._queue.close()
