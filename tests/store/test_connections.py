"""More threads than connections: whoever waits has what is given back, on either database."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from engine.clock import SystemClock
from engine.errors import StorageFailed
from engine.settings import read_settings
from engine.store.database import Database
from tests import databases

Opened = Callable[..., Database]


@pytest.fixture
def opened(tmp_path: Path, on_each: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Open a database whose pool has few connections; `patience`: seconds that it lets anybody wait for one."""
    made: list[Database] = []

    def open_one(*, pool: int = 1, overflow: int = 0, patience: int = 5) -> Database:
        module = "sqlite" if on_each == "sqlite" else "postgres"
        for name, value in (("_POOL", pool), ("_OVERFLOW", overflow), ("_PATIENCE", patience)):
            monkeypatch.setattr(f"engine.store.{module}.{name}", value)
        url = databases.address(tmp_path, {})
        made.append(Database(read_settings({}, data=tmp_path, **({} if url is None else {"database_url": url})), SystemClock()))
        return made[-1]

    yield open_one
    for database in made:
        database.close()


def ask(database: Database) -> int:
    with database.reading() as session:
        return session.value("select 1")


def test_who_waits_for_the_pool_has_the_next_that_is_given_back(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    database, connect, is_at_the_pool = opened(), QueuePool.connect, threading.Event()

    def connecting(pool: QueuePool) -> PoolProxiedConnection:
        is_at_the_pool.set()
        return connect(pool)

    with ThreadPoolExecutor() as threads:
        with database.reading():
            monkeypatch.setattr(QueuePool, "connect", connecting)
            answer = threads.submit(ask, database)
            assert is_at_the_pool.wait(20)

        assert answer.result() == 1


def test_what_came_back_just_before_somebody_was_seen_to_want_it_is_found(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    database, other = opened(patience=0), ExitStack()

    class Counted(deque[None]):
        def append(self, one: None) -> None:
            other.close()  # gives back
            super().append(one)

    other.enter_context(database.reading())
    monkeypatch.setattr(database._server._at_hand, "_wanting", Counted())

    assert ask(database) == 1


def test_more_threads_than_connections_have_them_in_turn(opened: Opened) -> None:
    database, begin, told = opened(overflow=1, patience=20), threading.Barrier(8), list[int]()

    def ask_often() -> None:
        begin.wait()
        for _ in range(50):
            told.append(ask(database))

    threads = [threading.Thread(target=ask_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told == [1] * 400


def test_who_waits_too_long_is_told_that_too_much_is_being_done(opened: Opened) -> None:
    database = opened(patience=0)

    with database.reading(), pytest.raises(StorageFailed, match="too much is being done at once"):
        ask(database)

    assert ask(database) == 1


def test_what_many_used_at_once_is_kept_on_a_file_and_given_up_on_a_server_but_for_a_few(opened: Opened, on_each: str) -> None:
    database = opened(overflow=3)
    server = database._server
    pool = server._engine.pool if on_each == "sqlite" else server._pool

    with ExitStack() as sessions:
        for _ in range(4):
            sessions.enter_context(database.reading())

    at_hand, in_the_pool = pool.checkedout(), pool.checkedin()
    assert (at_hand, in_the_pool) == ((4, 0) if on_each == "sqlite" else (1, 1))
