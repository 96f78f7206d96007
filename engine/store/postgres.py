"""PostgreSQL: prepared statements in libpq's pipeline mode, spoken through psycopg's `pq`.

A transaction whose statements are all `put` or `must` is one round trip: BEGIN, the statements and COMMIT are sent together, and the
server gives up the whole at the first that fails; where they are `apart` and often come so, they are one statement, which needs
neither. Whoever is alone waits awake for an answer that comes soon. psycopg's own adaptation of values is left out, as it is half of what a command
costs the client: values go out as text (numbers) or as they are (texts, bytes), the server infers their types; results come binary.
"""

from __future__ import annotations

import os
import re
import select
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NoReturn, cast

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq.abc import PGresult
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, PoolProxiedConnection, QueuePool

from engine.clock import countdown
from engine.errors import Busy, Conflict, OutcomeUnknown, SettingsError, StorageFailed, Unstorable
from engine.settings import Settings
from engine.store.connections import AtHand
from engine.store.copies import POSTGRESQL, CopyFacts, facts
from engine.store.migrations import migrate
from engine.store.partitions import COPYING, make_partitions
from engine.store.session import Missed, Query, Row, Session, Work

#: What libpq is told unless the address says otherwise. Timeouts: seconds, but `tcp_user_timeout` in milliseconds.
_DEFAULTS: dict[str, str] = {
    "application_name": "psmflow", "connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3",
    "tcp_user_timeout": "60000", "client_encoding": "utf8",
}  # fmt: skip
#: Every question has its index (`tests/store/test_plans.py`). A plan is kept by the connection: made while a table is small it would read
#: all of it, and still do so when the table has grown.
_SET_UP = (
    "set default_transaction_isolation = 'read committed'; set enable_seqscan = off; set jit = off; set statement_timeout = '5min';"
    " set idle_in_transaction_session_timeout = '5min'"
)
_POOL, _OVERFLOW, _PATIENCE = 8, 24, 60
_STRIPES = 256
#: Seconds that a lone thread waits awake for an answer. To fall asleep and be woken costs some 0.1 ms on a virtual machine, twice a
#: command; a command takes less than a millisecond of the server's time, unless its disk is slow.
_AWAKE = 0.001
#: So often have the same texts to be written together before they are prepared as one statement, of so many at most.
_USUAL, _MOST_TOGETHER = 3, 16
#: Combinations of texts that a connection counts.
_MOST_COUNTED = 500
#: A connection that has prepared so many texts is closed and opened anew: searches make texts without end.
_MOST_STATEMENTS = 1000

_Trouble = tuple[str, str]
_AWAY: _Trouble = ("数据库服务器没有回应，或连接中断", "the database server does not answer, or the connection broke")
#: ``{start of an SQLSTATE: (Chinese, English)}``: what an administrator can do something about.
_TROUBLES: dict[str, _Trouble] = {
    "08": _AWAY,
    "57P": ("数据库服务器正在停止或启动", "the database server is stopping or starting"),
    "28": ("数据库拒绝登录，请检查 DATABASE_URL 中的用户和密码", "the database refuses the login; check user and password in DATABASE_URL"),
    "3D000": ("数据库不存在，请先建立", "the database does not exist; make it first"),
    "42501": ("数据库用户的权限不足", "the database user lacks a permission"),
    "53100": ("数据库服务器的磁盘已满", "the disk of the database server is full"),
    "53200": ("数据库服务器的内存不足", "the database server has no memory left"),
    "53300": ("数据库的连接数已满", "the database has no connection left"),
    "25006": ("数据库是只读的", "the database is read-only"),
    "57014": ("数据库用时过长，已中断", "the database took too long and was stopped"),
    "58": ("数据库服务器的磁盘读写出错", "the disk of the database server gives input/output errors"),
    "XX": ("数据库已损坏，请查看服务器日志", "the database is damaged; look into the log of the server"),
}
#: A login that fails has no SQLSTATE in libpq, only words.
_SAID: tuple[tuple[str, str], ...] = (
    ("too many", "53300"),
    ("remaining connection slots", "53300"),
    ("authentication failed", "28"),
    ("no password supplied", "28"),
    ("pg_hba.conf", "28"),
    ("not permitted to log in", "28"),
    ('role "', "28"),
    ("does not exist", "3D000"),
    ("starting up", "57P"),
    ("shutting down", "57P"),
)
#: What another transaction was in the way of: all is well when it is begun again.
_AGAIN = ("40001", "40P01")
_LOCK_TIMEOUT, _DIVISION_BY_ZERO = "55P03", "22012"
_GIVEN: dict[str, _Trouble] = {
    "22001": ("文字过长", "a text is too long"),
    "54000": ("文字过长", "a text is too long"),
    "22021": ("文字中有不能保存的字符", "a text has a character that cannot be kept"),
    "22003": ("数字过大", "a number is too large"),
}


def told(trouble: _Trouble, *, writing: bool) -> StorageFailed:
    return StorageFailed(
        action_zh="写入" if writing else "读取", action="written" if writing else "read", reason=trouble[0], reason_en=trouble[1]
    )


def not_connected(error: psycopg.Error) -> StorageFailed:
    words = str(error)
    code = error.sqlstate or next((code for said, code in _SAID if said in words), "08")
    return told(_trouble(code) or _AWAY, writing=False)


def _trouble(code: str) -> _Trouble | None:
    return _TROUBLES.get(code) or _TROUBLES.get(code[:3]) or _TROUBLES.get(code[:2])


class _Lost(Exception):
    """The connection broke."""


class _Failed(Exception):
    """The server refused a statement. `must`: it is one that had to change a row."""

    def __init__(self, error: psycopg.Error, *, must: bool) -> None:
        super().__init__(error)
        self.error = error
        self.must = must


def _raise(failed: _Failed | _Lost, *, writing: bool) -> NoReturn:
    """Raise what to tell of a failure; a mistake in a statement of ours is raised as it is."""
    if isinstance(failed, _Lost):
        raise told(_AWAY, writing=writing) from failed
    code = failed.error.sqlstate or ""
    if code in _AGAIN or (failed.must and code == _DIVISION_BY_ZERO):
        raise Missed from failed
    if code == _LOCK_TIMEOUT:
        raise Conflict from failed
    if code in _GIVEN:
        raise Unstorable(reason=_GIVEN[code][0], reason_en=_GIVEN[code][1]) from failed
    trouble = _trouble(code)
    if trouble is None:
        raise failed.error
    raise told(trouble, writing=writing) from failed


# ------------------------------------------------------------------------------------------------------------ values and statements
_MARK = re.compile(r"""'[^']*'|"[^"]*"|\?""")


@lru_cache(maxsize=4096)
def _numbered(sql: str) -> bytes:
    """Return a statement with ``$1, $2, …`` for its question marks."""
    count = 0

    def number(found: re.Match[str]) -> str:
        nonlocal count
        if found[0] != "?":
            return found[0]
        count += 1
        return f"${count}"

    return _MARK.sub(number, sql).encode()


@lru_cache(maxsize=512)
def _guarded(sql: str) -> str:
    """Return a write that the server itself refuses when it changes no row."""
    return f"with changed as ({sql} returning 1) select 1 / count(*) from changed"  # noqa: S608


@lru_cache(maxsize=512)
def _together(texts: Sequence[tuple[str, bool]]) -> str:
    """Return one statement for several writes; the server refuses it when one that `must` change a row changes none."""
    parts = [f"s{n} as ({sql} returning 1)" if must else f"s{n} as ({sql})" for n, (sql, must) in enumerate(texts)]
    changed = [f"(select count(*) from s{n})" for n, (_, must) in enumerate(texts) if must]  # noqa: S608
    return f"with {', '.join(parts)} select {' / '.join(['1', *changed])}"


def _encoded(values: Sequence[Any]) -> tuple[list[bytes | None], list[int]]:
    """Return values as they are sent, and for each whether it is binary: a text with a NUL byte would otherwise be cut at it."""
    kinds = [_ENCODERS[type(value)] for value in values]
    return [encode(value) for (encode, _), value in zip(kinds, values, strict=True)], [format for _, format in kinds]


class _Encoders(dict[type[Any], tuple[Callable[[Any], bytes | None], int]]):
    """``{type: (what makes the bytes, whether they are binary)}``; a type is sent as the one that it is a kind of."""

    def __missing__(self, kind: type[Any]) -> tuple[Callable[[Any], bytes | None], int]:
        found = next((self[base] for base in (str, int, bytes) if issubclass(kind, base)), None)
        if found is None:
            raise TypeError(f"the database takes no {kind.__name__}")
        self[kind] = found
        return found


_ENCODERS = _Encoders({type(None): (lambda value: None, 0), str: (str.encode, 1), int: (lambda value: b"%d" % value, 0), bytes: (bytes, 1)})


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _text(data: bytes) -> str:
    return data.decode()


def _numeric(data: bytes) -> int:
    """Return a whole `numeric` (a sum of bigint): digits to the base 10,000, the first worth 10,000 to the power `weight`."""
    count, weight, sign, scale = struct.unpack_from(">HhHH", data)
    if scale or sign not in (0, 0x4000):
        raise TypeError("a numeric that is no whole number")
    value = 0
    for n, digit in enumerate(struct.unpack_from(f">{count}H", data, 8)):
        value += int(digit) * 10_000 ** (weight - n)
    return -value if sign else value


#: ``{type in PostgreSQL's catalogue: what reads its binary form}``
_DECODERS: dict[int, Callable[[bytes], Any]] = {
    16: lambda data: data != b"\0", 17: bytes, 18: _text, 19: _text, 20: _number, 21: _number, 23: _number, 25: _text, 26: _number,
    701: lambda data: struct.unpack(">d", data)[0], 1043: _text, 1700: _numeric, 2278: lambda data: None,
}  # fmt: skip


class _Statement:
    """A text prepared on one connection. `decoders`: of its columns, known after its first rows."""

    __slots__ = ("decoders", "name", "ready")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.ready = False
        self.decoders: tuple[Callable[[bytes], Any], ...] | None = None

    def rows(self, result: PGresult) -> list[Row]:
        decoders = self.decoders
        if decoders is None:
            types = [result.ftype(column) for column in range(result.nfields)]
            unknown = [type for type in types if type not in _DECODERS]
            if unknown:
                raise TypeError(f"no decoder for the types {unknown} of PostgreSQL")
            decoders = self.decoders = tuple(_DECODERS[type] for type in types)
        get = result.get_value
        return [
            tuple([None if (data := get(row, column)) is None else read(data) for column, read in enumerate(decoders)])
            for row in range(result.ntuples)
        ]


_OK, _TUPLES, _SYNC = pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.PIPELINE_SYNC
_ABORTED = pq.ExecStatus.PIPELINE_ABORTED


class Wire:
    """One connection in pipeline mode: statements are sent, then one `trip` to the server brings all their results."""

    def __init__(self, connection: psycopg.Connection[Any], is_alone: Callable[[], bool]) -> None:
        self._connection = connection
        self._is_alone = is_alone
        self._is_soon = True  #: the last answer that we waited for came soon
        self._shapes: dict[tuple[tuple[str, bool], ...], int] = {}
        self._pq = connection.pgconn
        self._pq.nonblocking = 1
        self._pq.enter_pipeline_mode()
        self._poll = select.poll()
        self._poll.register(self._pq.socket, select.POLLIN)
        self._statements: dict[str, _Statement] = {}
        self._count = 0
        self._sent: list[tuple[str | None, _Statement, bool]] = []  # (text if it is a preparation, statement, must)

    # -- what the pool asks of a connection
    def close(self) -> None:
        self._connection.close()

    def rollback(self) -> None:
        """Nothing of a session is left when it gives its connection back."""

    @property
    def is_idle(self) -> bool:
        """True if it can be used again: nothing is under way, no transaction is open, and not too many texts are prepared."""
        return (
            not self._sent
            and self._pq.status == pq.ConnStatus.OK
            and self._pq.transaction_status == pq.TransactionStatus.IDLE
            and len(self._statements) < _MOST_STATEMENTS
        )

    @property
    def has_unanswered(self) -> bool:
        """True if something was sent since the last `trip`."""
        return bool(self._sent)

    @property
    def is_silent(self) -> bool:
        """False if the server has said something unasked: that it goes away, as a rule."""
        return not self._poll.poll(0)

    # -- statements
    def send(self, sql: str, values: Sequence[Any] = (), *, must: bool = False) -> None:
        """Add a statement to what goes to the server with the next `trip`.

        Raises:
            _Lost
        """
        statement = self._statements.get(sql)
        sent, formats = _encoded(values)
        try:
            if statement is None:
                self._count += 1
                statement = self._statements[sql] = _Statement(b"s%d" % self._count)
                self._pq.send_prepare(statement.name, _numbered(sql))
                self._sent.append((sql, statement, False))
            self._pq.send_query_prepared(statement.name, sent, formats, 1)
            self._sent.append((None, statement, must))
        except psycopg.OperationalError as error:
            raise _Lost(str(error)) from error

    def combined(self, writes: Sequence[tuple[str, Sequence[Any], bool]]) -> str | None:
        """Return one statement for writes that come together often, or None. The texts of many combinations are not worth preparing."""
        if not 1 < len(writes) <= _MOST_TOGETHER:
            return None
        shape = tuple([(sql, must) for sql, _, must in writes])
        count = self._shapes.get(shape, 0)
        if count >= _USUAL:
            return _together(shape)
        if len(self._shapes) >= _MOST_COUNTED:
            self._shapes.clear()
        self._shapes[shape] = count + 1
        return None

    def trip(self) -> list[tuple[_Statement, PGresult]]:
        """Return the results of what was sent, in order, preparations left out.

        Raises:
            _Failed: of the first statement that the server refused; it has done none of those after it.
            _Lost
        """
        answers: list[tuple[_Statement, PGresult]] = []
        failed: _Failed | None = None
        try:
            self._pq.pipeline_sync()
            self._flush()
            for prepared, statement, must in self._sent:
                result = self._next()
                if result is None:
                    raise _Lost("no result")
                status = result.status
                while self._next() is not None:
                    pass
                if status in (_TUPLES, _OK):
                    if prepared is None:
                        answers.append((statement, result))
                    else:
                        statement.ready = True
                    continue
                if failed is None and status != _ABORTED:
                    failed = _Failed(psycopg.errors.error_from_result(cast(Any, result), "utf-8"), must=must)
                if prepared is not None:
                    del self._statements[prepared]
            result = self._next()
            if result is None or result.status != _SYNC:
                raise _Lost("no end of the results")
        except psycopg.OperationalError as error:
            raise _Lost(str(error)) from error
        self._sent.clear()
        if failed is not None:
            if self._pq.status != pq.ConnStatus.OK:
                raise _Lost(str(failed.error)) from failed.error
            raise failed
        return answers

    def _flush(self) -> None:
        if not self._pq.flush():
            return
        self._poll.modify(self._pq.socket, select.POLLIN | select.POLLOUT)
        try:
            while self._pq.flush():
                for _, what in self._poll.poll():
                    if what & ~select.POLLOUT:
                        self._pq.consume_input()
        finally:
            self._poll.modify(self._pq.socket, select.POLLIN)

    def _next(self) -> PGresult | None:
        while self._pq.is_busy():
            self._wait()
            self._pq.consume_input()
        return self._pq.get_result()

    def _wait(self) -> None:
        """Let other threads run until the server answers."""
        if self._poll.poll(0):
            return
        left = countdown(_AWAKE)
        if self._is_soon and self._is_alone():
            while left() > 0:
                os.sched_yield()  # whoever else wants the processor has it
                if self._poll.poll(0):
                    return
        self._poll.poll()
        self._is_soon = left() > 0


class _Session(Session):
    """Statements on a wire. `begin`: opens the transaction with the first of them; None: each stands for itself."""

    __slots__ = ("_apart", "_begin", "_begun", "_wire")
    skip_locked = " for update skip locked"
    joins = True

    def __init__(self, wire: Wire, begin: str | None) -> None:
        self._wire = wire
        self._begin = begin
        self._begun = False
        self._apart: list[tuple[str, Sequence[Any], bool]] | None = None  # (statement, values, must) that are kept back

    def _send(self, sql: str, values: Sequence[Any], *, must: bool = False) -> None:
        if self._apart is not None:  # somebody asks for an answer, so each goes by itself
            self._send_kept()
        self._begin_once()
        self._wire.send(sql, values, must=must)

    def _begin_once(self) -> None:
        if self._begin is not None and not self._begun:
            self._begun = True
            self._wire.send(self._begin)

    def _send_kept(self) -> None:
        kept, self._apart = self._apart or (), None
        for sql, values, must in kept:
            self._begin_once()
            self._wire.send(_guarded(sql) if must else sql, values, must=must)

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        self._send(sql, values)
        return self._wire.trip()[-1][1].command_tuples or 0

    def put(self, sql: str, values: Sequence[Any] = ()) -> None:
        if self._apart is not None:
            self._apart.append((sql, values, False))
        elif self._begin is None:
            self.run(sql, values)
        else:
            self._send(sql, values)

    def must(self, sql: str, values: Sequence[Any] = ()) -> None:
        if self._apart is not None:
            self._apart.append((sql, values, True))
            return
        self._send(_guarded(sql), values, must=True)
        if self._begin is None:
            self._wire.trip()

    def apart(self) -> None:
        if self._begin is not None and not self._begun and self._apart is None:
            self._apart = []

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        for values in rows:
            self.put(sql, values)

    def read(self, *queries: Query) -> list[list[Row]]:
        for sql, values in queries:
            self._send(sql, values)
        answers = self._wire.trip()
        return [statement.rows(result) for statement, result in answers[-len(queries) :]]

    def alone(self, name: str) -> None:
        self._send("select pg_advisory_xact_lock(hashtextextended(?, 20261122))", (name,))

    def commit(self) -> None:
        """Send what is left, and COMMIT.

        Raises:
            OutcomeUnknown: the connection broke before the server said what became of it.
        """
        kept = () if self._begun else self._apart or ()
        together = self._wire.combined(kept)
        if together is None:
            self._send_kept()
            if not self._begun:
                return
            self._wire.send("commit")
        else:
            self._apart = None
            self._wire.send(together, [value for _, values, _ in kept for value in values], must=True)
        try:
            self._wire.trip()
        except _Lost as error:
            raise OutcomeUnknown(action_zh="写入", action="written", reason=_AWAY[0], reason_en=_AWAY[1]) from error
        self._begun = False

    def take_back(self) -> None:
        """Give up the transaction, if one was begun and the connection still stands."""
        self._apart = None
        if not self._begun:
            return
        self._begun = False
        with suppress(_Lost):  # then nothing is left to take back
            if self._wire.has_unanswered:
                with suppress(_Failed):  # that is why it is given up
                    self._wire.trip()
            self._wire.send("rollback")
            self._wire.trip()


def conninfo(url: str) -> str:
    """Return what libpq is told of a server: its name, and how soon a connection that broke is noticed, unless `url` says otherwise.

    Raises:
        SettingsError: `url` is no address of a server.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise SettingsError(name="DATABASE_URL", reason="postgresql://user:password@host:port/name") from error
    return make_conninfo(**{**_DEFAULTS, **{name: str(value) for name, value in given.items()}})


class PostgreSQL:
    """A database on a server, migrated to the newest schema."""

    error: ClassVar[type[Exception]] = psycopg.Error

    def __init__(self, settings: Settings) -> None:
        self._conninfo = conninfo(settings.database_url)
        asynchronous = "" if settings.synchronous == "FULL" else "; set synchronous_commit = off"
        self._set_up = f"{_SET_UP}; set lock_timeout = '{settings.busy_seconds}s'{asynchronous}"
        self._patience = settings.busy_seconds
        self._stripes = [threading.Lock() for _ in range(_STRIPES)]
        self._begin_pool()
        self._inherited: list[Any] = []
        with self._administering() as engine:
            with engine.connect() as connection:
                encoding = connection.exec_driver_sql("show server_encoding").scalar_one()
            if encoding != "UTF8":
                raise told((f"数据库的编码是 {encoding}，须为 UTF8", f"its encoding is {encoding}; it has to be UTF8"), writing=True)
            migrate(engine)

    def _begin_pool(self) -> None:
        self._pool = QueuePool(
            self._connect, pool_size=_POOL, max_overflow=_OVERFLOW, timeout=_PATIENCE, reset_on_return=None, use_lifo=True
        )
        self._at_hand = AtHand(self._pooled, most=_POOL)
        self._in_hand: deque[None] = deque()  # as many as there are sessions

    def _open(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self._conninfo, autocommit=True)
        try:
            connection.execute(self._set_up.encode())
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> Any:
        return Wire(self._open(), self._is_alone)

    def _is_alone(self) -> bool:
        """True if no other thread of this process has a connection in its hands."""
        return len(self._in_hand) == 1

    @contextmanager
    def _administering(self) -> Iterator[Engine]:
        """Give an engine for what changes the schema; SQLAlchemy speaks psycopg's own way on it."""
        engine = create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(self._conninfo), poolclass=NullPool, use_native_hstore=False
        )
        try:
            yield engine
        except psycopg.Error as error:
            raise administered(error) from error
        except DBAPIError as error:
            if isinstance(error.orig, psycopg.Error):
                raise administered(error.orig) from error
            raise
        finally:
            engine.dispose()

    def _connection(self) -> PoolProxiedConnection:
        """Return a connection that nobody uses and whose server has not gone away meanwhile."""
        while True:
            pooled = self._at_hand.borrow()
            if cast(Wire, pooled.driver_connection).is_silent:
                return pooled
            self._throw_away(pooled)

    def _pooled(self) -> PoolProxiedConnection:
        try:
            return self._pool.connect()
        except psycopg.Error as error:
            raise not_connected(error) from error

    def _give_back(self, pooled: PoolProxiedConnection) -> None:
        if cast(Wire, pooled.driver_connection).is_idle:
            self._at_hand.give_back(pooled)
        else:
            self._throw_away(pooled)

    @staticmethod
    def _throw_away(pooled: PoolProxiedConnection) -> None:
        pooled.invalidate()
        pooled.close()

    @contextmanager
    def _session(self, begin: str | None, *, writing: bool = False) -> Iterator[Session]:
        pooled = self._connection()
        self._in_hand.append(None)
        try:
            session = _Session(cast(Wire, pooled.driver_connection), begin)
            try:
                yield session
                session.commit()
            except Exception:
                session.take_back()
                raise
        except (_Failed, _Lost) as error:
            _raise(error, writing=writing)
        finally:
            self._in_hand.pop()
            self._give_back(pooled)

    def reading(self) -> Any:
        return self._session(None)

    def snapshot(self) -> Any:
        return self._session("begin isolation level repeatable read read only")

    def transaction(self) -> Any:
        return self._session("begin isolation level read committed", writing=True)

    def carry_out(self, work: Work) -> None:
        held: list[threading.Lock] = []

        def hold(instance_id: int) -> bool:
            # one thread of this process at a time saves most retries; other processes are kept out by the version alone
            lock = self._stripes[(instance_id >> 12 ^ instance_id) % _STRIPES]
            at_once = lock.acquire(blocking=False)
            if not at_once and not lock.acquire(timeout=self._patience):
                raise Busy(seconds=self._patience)
            held.append(lock)
            return at_once

        try:
            with self.reading() as session:
                write = work(session, hold)
            if write is not None:
                with self.transaction() as tx:
                    write(tx)
        finally:
            for lock in held:
                lock.release()

    def tend(self, at: datetime) -> None:
        """Make the partitions of the history for the coming months."""
        with self._administering() as engine:
            make_partitions(engine, at)

    def after_fork(self) -> None:
        self._inherited += [self._pool, self._at_hand]  # these connections are the parent's: neither used nor closed here
        self._begin_pool()

    def tell_commits(self, told: Callable[[int], object]) -> None:
        """Each has a commit of its own."""

    def backup(self, path: Path) -> CopyFacts:
        from engine.store.postgres_copies import dump, require_program  # loaded only where it is asked for

        with self.snapshot() as session:
            # idle for as long as pg_dump takes
            session.put("set local idle_in_transaction_session_timeout = 0")
            session.put(f"select pg_advisory_xact_lock_shared({COPYING})")
            version, snapshot = cast(Row, session.row("select current_setting('server_version_num')::int, pg_export_snapshot()"))
            program = require_program("pg_dump", version // 10_000, "备份", "backed up")
            found = facts(session.rows, POSTGRESQL)
            dump(program, self._conninfo, snapshot, path)
        return found

    def close(self) -> None:
        self._at_hand.drop()
        self._pool.dispose()


def administered(error: psycopg.Error) -> Exception:
    trouble = _trouble(error.sqlstate) if error.sqlstate else None
    if trouble is not None:
        return told(trouble, writing=True)
    return not_connected(error) if isinstance(error, psycopg.OperationalError) else error
