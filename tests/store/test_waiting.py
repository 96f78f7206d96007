"""A process that is stopped while it writes: others are told after a while instead of waiting for ever, and all go on afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.errors import Busy
from engine.settings import read_settings
from engine.store.database import Database, Hold, Session, Write

pytestmark = pytest.mark.only_on("sqlite")

#: Begins to write, says so, and goes on when it is told to.
WRITER = """
import os, sys
from engine.clock import SystemClock
from engine.settings import read_settings
from engine.store.database import Database
database = Database(read_settings({}, data=sys.argv[1]), SystemClock())
with database.writing() as tx:
    tx.put("insert into meta (name, value) values ('held', 'x')")
    os.write(1, b"inside\\n")
    sys.stdin.readline()
os.write(1, b"done\\n")
sys.stdin.readline()
"""


def opened(folder: Path, **settings: object) -> Database:
    """Return a database that has its node number: it has written before."""
    database = Database(read_settings({}, data=folder, **{"busy_seconds": 1, **settings}), SystemClock())
    database.new_id()
    return database


def put(database: Database, name: str, worked_out: list[str] | None = None) -> None:
    def write(tx: Session) -> None:
        tx.put("insert into meta (name, value) values (?, 'x')", (name,))

    def work(session: Session, hold: Hold) -> Write:
        if worked_out is not None:
            worked_out.append(name)
        return write

    database.carry_out(work)


def names(database: Database) -> set[str]:
    with database.reading() as session:
        return {name for (name,) in session.rows("select name from meta where value = 'x'")}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Database]:
    database = opened(tmp_path)
    yield database
    database.close()


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Database]:
    database = opened(tmp_path, busy_seconds=60)
    yield database
    database.close()


@pytest.fixture
def stopped(tmp_path: Path, one: Database, patient: Database) -> Iterator[subprocess.Popen[bytes]]:
    """Another process in the middle of a transaction, stopped."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"inside\n"
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    yield process
    process.kill()
    process.communicate()


def go_on(stopped: subprocess.Popen[bytes]) -> None:
    assert stopped.stdin is not None
    assert stopped.stdout is not None
    stopped.send_signal(signal.SIGCONT)
    stopped.stdin.write(b"\n")
    assert stopped.stdout.readline() == b"done\n"


def test_who_waits_for_a_stopped_process_is_told_and_goes_on_when_it_does(one: Database, stopped: subprocess.Popen[bytes]) -> None:
    database = one
    refused: list[str] = []

    def wait(name: str) -> None:
        try:
            put(database, name)
        except Busy as error:
            refused.append(error.text("zh"))

    threads = [threading.Thread(target=wait, args=(f"early{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 8
    assert "1 秒" in refused[0]
    with pytest.raises(Busy), database.writing():
        pass
    assert names(database) == set()  # who reads never waits

    go_on(stopped)
    for n in range(8):
        put(database, f"late{n}")
    with database.writing() as tx:
        tx.put("insert into meta (name, value) values ('last', 'x')")
    assert names(database) == {"held", "last", *(f"late{n}" for n in range(8))}


def test_who_still_waits_when_it_goes_on_is_written(patient: Database, stopped: subprocess.Popen[bytes]) -> None:
    database = patient
    worked_out: list[str] = []
    threads = [threading.Thread(target=put, args=(database, f"n{n}", worked_out)) for n in range(8)]
    for thread in threads:
        thread.start()
    while len(database._server._waiting) + len(worked_out) < 8:
        threading.Event().wait(0.001)

    go_on(stopped)
    for thread in threads:
        thread.join(60)

    assert names(database) == {"held", *(f"n{n}" for n in range(8))}
    assert database._server.commit_count <= 2  # all who came meanwhile share one


def test_what_was_asked_for_and_given_up_keeps_nobody_out(one: Database, patient: Database, stopped: subprocess.Popen[bytes]) -> None:
    with pytest.raises(Busy):
        put(one, "refused")

    go_on(stopped)
    put(patient, "written")  # though `one` still stands in the kernel's queue, or has stood there before
    put(one, "again")

    assert names(patient) == {"held", "written", "again"}


def test_a_database_is_closed_while_another_process_writes(tmp_path: Path, patient: Database, stopped: subprocess.Popen[bytes]) -> None:
    database = Database(read_settings({}, data=tmp_path, busy_seconds=1), SystemClock())
    with pytest.raises(Busy):  # not even a node number
        put(database, "refused")

    database.close()
    go_on(stopped)

    put(patient, "written")
    assert names(patient) == {"held", "written"}


def test_a_killed_process_leaves_the_place_to_the_next_though_its_child_lives_on(tmp_path: Path) -> None:
    opened(tmp_path).close()
    script = """
import os, signal, sys, time
from engine.clock import SystemClock
from engine.settings import read_settings
from engine.store.database import Database
database = Database(read_settings({}, data=sys.argv[1]), SystemClock())
with database.writing() as tx:
    if os.fork() == 0:
        with database.reading() as session:
            session.rows("select 1")
        print(os.getpid(), flush=True)
        time.sleep(600)
    signal.pause()
"""
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    database = opened(tmp_path, busy_seconds=60)
    try:
        put(database, "written")
        assert names(database) == {"written"}
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        parent.stdout.close()
        database.close()
