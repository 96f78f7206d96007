"""Commands that meet at SQLite's only writer share a commit: each is written whole or not at all, whatever becomes of the others."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.errors import StorageFailed
from engine.settings import read_settings
from engine.store.database import Database, Missed, Session

pytestmark = pytest.mark.only_on("sqlite")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(read_settings({}, data=tmp_path), SystemClock())
    yield database
    database.close()


def names(database: Database) -> list[str]:
    with database.reading() as session:
        return [name for (name,) in session.rows("select name from meta where value = 'x' order by name")]


def adding(name: str) -> Callable[[Session], None]:
    return lambda tx: tx.put("insert into meta (name, value) values (?, 'x')", (name,))


class Crowd:
    """Threads that all have something to write while the writer's place is taken."""

    def __init__(self, database: Database, writes: dict[str, Callable[[Session], None]]) -> None:
        self.errors: dict[str, Exception] = {}
        server = database._server
        before = server.command_count, server.commit_count
        inside, go = threading.Event(), threading.Event()

        def first(tx: Session) -> None:
            inside.set()
            assert go.wait(20)
            adding("z")(tx)

        threads = [threading.Thread(target=self._run, args=("z", database, first))]
        threads[0].start()
        assert inside.wait(20)
        for name, write in writes.items():
            threads.append(threading.Thread(target=self._run, args=(name, database, write)))
            threads[-1].start()
        while len(server._waiting) < len(writes):
            threading.Event().wait(0.001)
        go.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        self.commands, self.commits = server.command_count - before[0], server.commit_count - before[1]

    def _run(self, name: str, database: Database, write: Callable[[Session], None]) -> None:
        try:
            database.commit(write)
        except Exception as error:  # noqa: BLE001
            self.errors[name] = error


def test_those_who_wait_are_written_by_one_commit(database: Database) -> None:
    crowd = Crowd(database, {name: adding(name) for name in "abcdefg"})

    assert names(database) == [*"abcdefg", "z"]
    assert (crowd.commands, crowd.commits, crowd.errors) == (8, 2, {})


def test_one_that_fails_fails_alone_and_leaves_nothing(database: Database) -> None:
    def missing(tx: Session) -> None:
        adding("half")(tx)
        tx.must("update meta set value = 'x' where name = 'nobody'")

    def mistaken(tx: Session) -> None:
        adding("half")(tx)
        raise ValueError("a mistake")

    crowd = Crowd(database, {"a": adding("a"), "miss": missing, "twice": adding("z"), "wrong": mistaken, "b": adding("b")})

    assert names(database) == ["a", "b", "z"]
    assert {name: type(error) for name, error in crowd.errors.items()} == {
        "miss": Missed, "twice": sqlite3.IntegrityError, "wrong": ValueError,
    }  # fmt: skip
    assert crowd.commits == 2


def test_what_takes_everything_back_is_done_again_one_by_one(database: Database) -> None:
    """A full disk lets SQLite roll back the whole transaction: who fits in is written all the same."""

    def too_big(tx: Session) -> None:
        tx.put("insert into meta (name, value) values ('big', ?)", ("x" * 4_000_000,))

    with database.writing() as tx:
        pages = tx.value("pragma page_count")
    server = database._server

    def limited(tx: Session) -> None:
        tx.put(f"pragma max_page_count = {pages + 30}")
        adding("a")(tx)

    crowd = Crowd(database, {"a": limited, "big": too_big, "b": adding("b")})

    assert names(database) == ["a", "b", "z"]
    assert [*crowd.errors] == ["big"]
    assert isinstance(crowd.errors["big"], StorageFailed)
    server.drop_idle()


def test_many_threads_lose_and_double_nothing(database: Database) -> None:
    def work(who: int) -> None:
        for n in range(40):
            if n % 7 == 3:
                with pytest.raises(Missed):
                    database.commit(lambda tx: tx.must("delete from meta where name = 'nobody'"))
            database.commit(adding(f"{who}.{n}"))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(names(database)) == 320
