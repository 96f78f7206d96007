"""The database of an installation, whichever it is: sessions, instants as the tables hold them, ids, forked processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.clock import Clock, IdIssuer, token
from engine.errors import Busy, Conflict, StorageFailed
from engine.settings import Settings
from engine.store.copies import CopyFacts
from engine.store.session import Hold as Hold
from engine.store.session import Missed as Missed
from engine.store.session import Row as Row
from engine.store.session import Server, Work
from engine.store.session import Session as Session
from engine.store.session import Write as Write
from engine.store.sqlite import SQLite

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: `sort_at` of what has no due date.
END_OF_TIME = 1 << 62
_LEASE = timedelta(days=1)
_NODES = 1024
_generation = 0  #: how many forks lie between this process and the one that Python was started in: counted, as to ask the system takes longer


def _forked() -> None:
    global _generation
    _generation += 1


os.register_at_fork(after_in_child=_forked)


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


def _server(settings: Settings) -> Server:
    if not settings.database_url:
        return SQLite(settings)
    from engine.store.postgres import PostgreSQL  # the driver takes 5 MB, which an installation on SQLite does not give

    return PostgreSQL(settings)


class Database:
    """The SQLite file or PostgreSQL database of an installation, migrated to the newest schema."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clock = clock
        self._server = _server(settings)
        #: Everything by which the database says that it does not work.
        self.failures: tuple[type[Exception], ...] = (StorageFailed, Conflict, self._server.error)
        self._server.tend(clock.now())
        self._patience = settings.busy_seconds
        self._leasing = threading.Lock()
        self._owner = token()
        self._generation = _generation
        self._forking = threading.Lock()
        self._renew_at = _UNIX
        self._ids: IdIssuer | None = None

    def reading(self) -> AbstractContextManager[Session]:
        """Give a session for queries; each statement sees what is committed when it begins.

        Raises:
            StorageFailed: the database cannot be read.
        """
        self._after_fork()
        return self._server.reading()

    def snapshot(self) -> AbstractContextManager[Session]:
        """Give a session in which every query sees the same moment.

        Raises:
            StorageFailed: the database cannot be read.
        """
        self._after_fork()
        return self._server.snapshot()

    def writing(self) -> AbstractContextManager[Session]:
        """Give a session whose statements are committed together at the end, or not at all when the block raises.

        Raises:
            Missed: a `must` changed nothing, or another transaction was in the way; begin again.
            Conflict: others held what is written for as long as `Settings.busy_seconds` says.
            StorageFailed: the disk is full, the server is away, the database is read-only or damaged; nothing was written.
        """
        self._ready_to_write()
        return self._server.transaction()

    def carry_out(self, work: Work) -> None:
        """Carry out a command: `work` reads and computes, what it returns writes in one transaction. Returns once it is committed.

        On SQLite commands that come at once share a thread and a commit. So `work` may run in another thread, in the context of this
        one; it must not wait for anybody, and runs again when nothing of it could be written.

        Raises:
            What `reading` and `writing` do, and what `work` and its write do; then nothing was written.
        """
        self._ready_to_write()
        self._server.carry_out(work)

    def _ready_to_write(self) -> None:
        self._after_fork()
        if self._ids is None or self._clock.now() >= self._renew_at:
            self._lease()

    def new_id(self, at: datetime | None = None) -> int:
        """Return a new 63-bit id; its node part is leased by this process alone, and renewed before transactions.

        Args:
            at: what the clock has just said; None: it is asked.
        """
        return self.ids().next(at)

    def ids(self) -> IdIssuer:
        """Return what issues ids in this process; for who needs several at once."""
        self._after_fork()
        ids = self._ids
        if ids is None:
            self._lease()
            ids = self._ids
            assert ids is not None
        return ids

    def _lease(self) -> None:
        """Lease a node number: the lowest never used, else the one whose lease ran out longest ago.

        A number is not used again as long as there are fresh ones, so that a restart at the same instant repeats no id.
        """
        if not self._leasing.acquire(timeout=self._patience):
            raise Busy(seconds=self._patience)
        try:
            self._lease_alone()
        finally:
            self._leasing.release()

    def _lease_alone(self) -> None:
        now = self._clock.now()
        if self._ids is not None and now < self._renew_at:
            return
        if self._ids is not None:
            self._server.tend(now)
        until, expired = (
            micros(now + _LEASE),
            "select node from node_lease where leased_until < ? order by leased_until limit 1",
        )
        node: int | None = None
        with self._server.transaction() as tx:
            tx.alone("node_lease")
            if self._ids is None or not tx.run(
                "update node_lease set leased_until = ? where owner = ?", (until, self._owner)
            ):
                node = tx.value("select coalesce(max(node) + 1, 0) from node_lease")
                if node >= _NODES:
                    node = tx.value(expired, (micros(now),))
                    if node is None:
                        raise Conflict()
                    tx.put("delete from node_lease where node = ?", (node,))
                tx.put("insert into node_lease (node, owner, leased_until) values (?, ?, ?)", (node, self._owner, until))
        if node is not None:
            self._ids = IdIssuer(self._clock, node)
        self._renew_at = now + _LEASE / 2

    def _after_fork(self) -> None:
        """A forked process inherits neither connections nor its parent's node number."""
        if self._generation == _generation:
            return
        with self._forking:  # several threads of the child may be here at once
            if self._generation == _generation:
                return
            self._server.after_fork()
            self._leasing = threading.Lock()
            self._ids, self._owner = None, token()
            self._generation = _generation

    def tell_commits(self, told: Callable[[int], object]) -> None:
        """Call `told` after each commit that commands may share with how many did; PostgreSQL has one for each."""
        self._server.tell_commits(told)

    def backup(self, path: Path) -> CopyFacts:
        """Write a consistent copy to `path` while others go on working, and return what that very copy holds.

        Raises:
            StorageFailed: it is damaged, or cannot be copied; says why.
        """
        self._after_fork()
        return self._server.backup(path)

    def close(self) -> None:
        """Give up the node number and close every connection."""
        try:
            if self._ids is not None and self._generation == _generation:
                with self.writing() as tx:
                    tx.put("update node_lease set leased_until = 0 where owner = ?", (self._owner,))
        except (StorageFailed, Conflict):
            pass  # a number that is not given up runs out by itself
        finally:
            self._server.close()
