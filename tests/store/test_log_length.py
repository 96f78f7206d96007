"""SQLite's log has its full length before it is needed: durable commits overwrite then, and nothing that stands in it is touched."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.settings import read_settings
from engine.store.database import Database
from engine.store.sqlite import _FIRST_LOOK, _LOG_BYTES, _LOG_PAGES, _NEXT_LOOK
from tests.faults.test_disk_full import file_limit
from tests.store.test_group_commit import adding, commit, names

pytestmark = pytest.mark.only_on("sqlite")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = opened(tmp_path)
    yield database
    database.close()


def opened(folder: Path, synchronous: str = "FULL") -> Database:
    return Database(read_settings({}, data=folder, synchronous=synchronous), SystemClock())


def length(folder: Path) -> int:
    return (folder / "psmflow.db-wal").stat().st_size


def add(database: Database, count: int, after: int = 0) -> list[str]:
    added = [f"{after + n:05}" for n in range(count)]
    for name in added:
        commit(database, adding(name))
    return added


def copied(folder: Path) -> Path:
    """Return the database as a crash leaves it: without what is in memory alone."""
    crashed = folder / "crashed"
    crashed.mkdir()
    for name in ("psmflow.db", "psmflow.db-wal"):
        shutil.copy(folder / name, crashed / name)
    return crashed / "psmflow.db"


def test_who_writes_a_few_commits_leaves_the_log_short_who_serves_makes_it_long_once(database: Database, tmp_path: Path) -> None:
    add(database, _FIRST_LOOK)
    few = length(tmp_path)
    add(database, 1, _FIRST_LOOK)
    many = length(tmp_path)
    add(database, 300, 1000)

    assert few < 1_000_000
    assert _LOG_BYTES <= many < _LOG_BYTES + 1_000_000
    assert length(tmp_path) == many
    with database.reading() as session:
        assert session.value("pragma wal_autocheckpoint") == _LOG_PAGES  # when SQLite begins it anew
        page_bytes = session.value("pragma page_size")
    assert many >= _LOG_PAGES * (page_bytes + 24)


def test_where_commits_do_not_wait_for_the_disk_it_grows_by_itself(tmp_path: Path) -> None:
    with closing(opened(tmp_path, "NORMAL")) as database:
        add(database, _FIRST_LOOK + 5)

        assert length(tmp_path) < 1_000_000


def test_all_that_was_written_stands_after_a_crash(database: Database, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "psmflow.db", isolation_level=None)) as other:
        expected = add(database, _FIRST_LOOK)
        other.execute("insert into meta (name, value) values ('other', 'x')")  # behind what this process knows of
        expected += add(database, 5, _FIRST_LOOK)
        other.execute("insert into meta (name, value) values ('later', 'x')")

        crashed = copied(tmp_path)
    with closing(sqlite3.connect(crashed)) as found:
        assert found.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert {name for (name,) in found.execute("select name from meta where value = 'x'")} == {*expected, "other", "later"}


def test_a_log_without_room_for_it_stays_as_it_is(database: Database, tmp_path: Path) -> None:
    expected = add(database, _FIRST_LOOK)
    with file_limit(_LOG_BYTES // 2):
        expected += add(database, 1, _FIRST_LOOK)
        short = length(tmp_path)
        expected += add(database, 20, 1000)

    assert short < 1_000_000
    assert names(database) == expected


@pytest.mark.parametrize("meanwhile", [_NEXT_LOOK - 1, 7])
def test_a_log_that_somebody_cut_is_long_again_after_a_while(database: Database, tmp_path: Path, meanwhile: int) -> None:
    add(database, _FIRST_LOOK + 1)
    expected = add(database, meanwhile, 1000)
    with closing(sqlite3.connect(tmp_path / "psmflow.db")) as other:
        assert other.execute("pragma wal_checkpoint(truncate)").fetchone()[0] == 0
    assert length(tmp_path) == 0

    expected += add(database, _NEXT_LOOK - meanwhile, 5000)

    assert length(tmp_path) >= _LOG_BYTES
    with closing(sqlite3.connect(copied(tmp_path))) as found:
        assert set(expected) <= {name for (name,) in found.execute("select name from meta where value = 'x'")}
