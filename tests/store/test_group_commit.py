"""Commands that come to SQLite at once share a thread and a commit: each is written whole or not at all, whatever becomes of others."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.errors import StorageFailed
from engine.settings import read_settings
from engine.store.database import Database, Hold, Missed, Session, Work, Write
from engine.store.sqlite import SQLite

pytestmark = pytest.mark.only_on("sqlite")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(read_settings({}, data=tmp_path), SystemClock())
    yield database
    database.close()


def names(database: Database) -> list[str]:
    with database.reading() as session:
        return [name for (name,) in session.rows("select name from meta where value = 'x' order by name")]


def commit(database: Database, write: Callable[[Session], None]) -> None:
    database.carry_out(written(write))


def written(write: Callable[[Session], None]) -> Work:
    return lambda session, hold: write


def adding(name: str) -> Callable[[Session], None]:
    return lambda tx: tx.put("insert into meta (name, value) values (?, 'x')", (name,))


class Crowd:
    """Threads that all have a command while another one is being written."""

    def __init__(
        self, database: Database, writes: dict[str, Callable[[Session], None]] | None = None, works: dict[str, Work] | None = None
    ) -> None:
        works = {**{name: written(write) for name, write in (writes or {}).items()}, **(works or {})}
        self.errors: dict[str, Exception] = {}
        server = database._server
        before = server.command_count, server.commit_count
        inside, go = threading.Event(), threading.Event()

        def first(tx: Session) -> None:
            inside.set()
            assert go.wait(20)
            adding("z")(tx)

        threads = [threading.Thread(target=self._run, args=("z", database, written(first)))]
        threads[0].start()
        assert inside.wait(20)
        for name, work in works.items():
            threads.append(threading.Thread(target=self._run, args=(name, database, work)))
            threads[-1].start()
        while len(server._waiting) < len(works):
            threading.Event().wait(0.001)
        go.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        self.commands, self.commits = server.command_count - before[0], server.commit_count - before[1]

    def _run(self, name: str, database: Database, work: Work) -> None:
        try:
            database.carry_out(work)
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
                    commit(database, lambda tx: tx.must("delete from meta where name = 'nobody'"))
            commit(database, adding(f"{who}.{n}"))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(names(database)) == 320


def test_one_that_cannot_be_worked_out_fails_alone(database: Database) -> None:
    def refused(session: Session, hold: Hold) -> Write:
        raise ValueError("refused")

    def nothing_to_do(session: Session, hold: Hold) -> None:
        return None

    crowd = Crowd(database, {"a": adding("a"), "b": adding("b")}, {"no": refused, "nothing": nothing_to_do})

    assert names(database) == ["a", "b", "z"]
    assert [(name, str(error)) for name, error in crowd.errors.items()] == [("no", "refused")]
    assert (crowd.commands, crowd.commits) == (3, 2)


def test_of_two_on_one_instance_the_second_is_worked_out_when_the_first_is_written(database: Database) -> None:
    seen: dict[str, list[str]] = {}

    def about(instance_id: int, name: str) -> Work:
        def work(session: Session, hold: Hold) -> Write:
            assert hold(instance_id)
            seen[name] = [found for (found,) in session.rows("select name from meta where value = 'x' order by name")]
            return adding(name)

        return work

    crowd = Crowd(database, works={"a": about(1, "a"), "b": about(1, "b"), "c": about(1, "c"), "d": about(2, "d")})

    assert (crowd.commands, crowd.commits, crowd.errors) == (5, 4, {})
    first, second, third = sorted("abc", key=lambda name: len(seen[name]))
    assert first in seen[second]
    assert {first, second} <= {*seen[third]}
    assert seen["d"] == ["z"]  # nobody keeps it waiting


def test_a_leader_that_is_interrupted_leaves_the_others_to_the_next(database: Database) -> None:
    """As by Ctrl+C, which comes in the main thread: whatever was not written is carried out all the same."""
    server, threads = database._server, list[threading.Thread]()

    def interrupted(session: Session, hold: Hold) -> Write:
        threads.extend(threading.Thread(target=commit, args=(database, adding(name))) for name in "abc")
        for thread in threads:
            thread.start()
        while len(server._waiting) < 3:
            threading.Event().wait(0.001)

        def write(tx: Session) -> None:
            adding("half")(tx)
            raise KeyboardInterrupt

        return write

    with pytest.raises(KeyboardInterrupt):
        database.carry_out(interrupted)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()

    assert names(database) == ["a", "b", "c"]
    commit(database, adding("d"))
    assert names(database) == ["a", "b", "c", "d"]


def test_an_interrupt_while_somebody_elses_command_is_worked_out_does_not_lose_it(database: Database) -> None:
    """The main thread leads when the interrupt comes."""
    server, main, threads = database._server, threading.main_thread(), list[threading.Thread]()

    def other(session: Session, hold: Hold) -> Write:
        if threading.current_thread() is main:
            raise KeyboardInterrupt
        return adding("other")

    def mine(session: Session, hold: Hold) -> Write:
        threads.append(threading.Thread(target=database.carry_out, args=(other,)))
        threads[0].start()
        while not server._waiting:
            threading.Event().wait(0.001)
        return adding("mine")

    with pytest.raises(KeyboardInterrupt):
        database.carry_out(mine)
    threads[0].join(20)

    assert not threads[0].is_alive()
    assert names(database) == ["other"]


def test_an_interrupt_while_somebody_elses_command_is_written_does_not_lose_it(database: Database) -> None:
    """The main thread has nothing to write itself."""
    server, main, threads = database._server, threading.main_thread(), list[threading.Thread]()

    def other(tx: Session) -> None:
        adding("other")(tx)
        if threading.current_thread() is main:
            raise KeyboardInterrupt

    def mine(session: Session, hold: Hold) -> None:
        threads.append(threading.Thread(target=commit, args=(database, other)))
        threads[0].start()
        while not server._waiting:
            threading.Event().wait(0.001)

    with pytest.raises(KeyboardInterrupt):
        database.carry_out(mine)
    threads[0].join(20)

    assert not threads[0].is_alive()
    assert names(database) == ["other"]


def test_a_leader_that_cannot_have_a_connection_hangs_nobody(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    server = database._server
    borrow, refusals = server._at_hand.borrow, [OSError("no more files"), OSError("no more files")]

    def borrowed() -> object:
        if refusals and server._is_led:
            raise refusals.pop()
        return borrow()

    monkeypatch.setattr(server._at_hand, "borrow", borrowed)
    failed: list[OSError] = []

    def run(name: str) -> None:
        try:
            commit(database, adding(name))
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcde"]
    database.new_id()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()

    assert (len(failed), len(names(database))) == (2, 3)


def test_a_command_within_a_command_is_carried_out(database: Database) -> None:
    def work(session: Session, hold: Hold) -> Write:
        commit(database, adding("inner"))
        return adding("outer")

    database.carry_out(work)

    assert names(database) == ["inner", "outer"]


def test_nobody_waits_for_a_command_that_takes_long(database: Database) -> None:
    """An author's handler that waits, within a command: the others go on without the one who leads."""
    inside, go = threading.Event(), threading.Event()

    def slow(session: Session, hold: Hold) -> Write:
        inside.set()
        assert go.wait(20)
        return adding("slow")

    leader = threading.Thread(target=database.carry_out, args=(slow,))
    leader.start()
    assert inside.wait(20)
    threads = [threading.Thread(target=commit, args=(database, adding(name))) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert names(database) == ["a", "b", "c"]

    go.set()
    leader.join(20)
    assert names(database) == ["a", "b", "c", "slow"]


def test_a_command_is_worked_out_in_the_context_of_who_gave_it(database: Database) -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    found: dict[str, tuple[str, int]] = {}
    inside, go = threading.Event(), threading.Event()

    def first(tx: Session) -> None:
        inside.set()
        assert go.wait(20)

    def give(name: str) -> None:
        def work(session: Session, hold: Hold) -> None:
            found[name] = who.get(), threading.get_ident()

        who.set(name)
        database.carry_out(work)

    threads = [threading.Thread(target=commit, args=(database, first))]
    threads[0].start()
    assert inside.wait(20)
    threads += [threading.Thread(target=give, args=(name,)) for name in "abc"]
    for thread in threads[1:]:
        thread.start()
    while len(database._server._waiting) < 3:
        threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join(20)

    assert {name: by for name, (by, _) in found.items()} == {name: name for name in "abc"}
    assert len({thread for _, thread in found.values()}) == 1  # of one of them, for all


class Arrivals:
    """Stands for the lock at which a leader lingers; notes for how many commits it would, and lets somebody come meanwhile."""

    def __init__(self, server: SQLite) -> None:
        self.server = server
        self.lingered: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if blocking:
            self.lingered.append(timeout / self.server._commit_seconds)
            self.meanwhile()
        return False

    def release(self) -> None:
        pass


def test_a_lone_client_is_never_kept_for_others(database: Database) -> None:
    arrivals = database._server._arrived = Arrivals(database._server)

    for n in range(20):
        commit(database, adding(str(n)))

    assert arrivals.lingered == []


def test_a_leader_lingers_for_those_just_answered_once_and_shortly(database: Database) -> None:
    server = database._server
    Crowd(database, {name: adding(name) for name in "abcdefg"})
    arrivals = server._arrived = Arrivals(server)

    for n in range(20):
        commit(database, adding(str(n)))

    assert len(arrivals.lingered) == 1  # nobody came: it is alone
    assert 0 <= arrivals.lingered[0] <= 0.5
    assert server.commit_count == server.command_count - 6


def test_who_comes_while_the_leader_lingers_shares_its_commit(database: Database) -> None:
    server, threads = database._server, list[threading.Thread]()
    Crowd(database, {"a": adding("a"), "b": adding("b")})
    arrivals = server._arrived = Arrivals(server)

    def come() -> None:
        if not threads:
            threads.append(threading.Thread(target=commit, args=(database, adding("late"))))
            threads[0].start()
            while not server._waiting:
                threading.Event().wait(0.001)

    arrivals.meanwhile = come
    before = server.commit_count
    commit(database, adding("first"))
    threads[0].join(20)

    assert names(database) == ["a", "b", "first", "late", "z"]
    assert server.commit_count == before + 1
