"""A full disk, a read-only or damaged file: told clearly, nothing lost, and everything goes on once it is mended."""

from __future__ import annotations

import random
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from engine.errors import Conflict, StorageFailed
from engine.model import SYSTEM
from tests.bpmn.build import diagram, end, process, start, user
from tests.service.house import House
from tests.service.laws import require_agreement

DIAGRAM = diagram(process(start(), user("a"), user("b"), end(), "s>a", "a>b", "b>e"))


@contextmanager
def suffering(house: House, pragma: str) -> Iterator[None]:
    """Let every connection of the engine have this pragma."""
    server = house.engine._database._server
    pool = server._engine

    def set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(pragma)

    server.drop_idle()
    event.listen(pool, "connect", set_up)
    try:
        yield
    finally:
        event.remove(pool, "connect", set_up)
        server.drop_idle()


@pytest.mark.parametrize(
    ("pragma", "said"), [("pragma max_page_count = 1", "磁盘已满"), ("pragma query_only = on", "只读")]
)
def test_a_database_that_takes_nothing_is_told_clearly_and_loses_nothing(tmp_path: Path, pragma: str, said: str) -> None:
    house = House(tmp_path / "data", synchronous="FULL")
    house.deploy(DIAGRAM)
    id = house.start(variables={"n": 1}).id
    task = house.task(id, "a")
    big = {"text": random.Random(1).randbytes(100_000).hex()}  # more than the free pages take, and not to be packed to less

    with suffering(house, pragma):
        for _ in range(3):
            with pytest.raises(StorageFailed) as refused:
                house.engine.tasks.complete(SYSTEM, task.id, big)
            assert said in refused.value.text("zh")
        with pytest.raises(StorageFailed):
            house.start(variables=big)
        house.engine.jobs.run_due()
        assert house.task(id, "a").version == task.version

    require_agreement(house)
    house.engine.tasks.complete(SYSTEM, task.id, big)
    house.complete(id, "b")
    assert house.status(id) == "completed"
    require_agreement(house)
    house.close()


def test_a_writer_outside_our_queue_is_a_conflict_not_a_locked_database(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    house.deploy(DIAGRAM)
    id = house.start().id
    other = sqlite3.connect(house.settings.database, isolation_level=None)
    other.execute("begin immediate")

    with suffering(house, "pragma busy_timeout = 1"), pytest.raises(Conflict):
        house.complete(id, "a")
    other.execute("rollback")
    other.close()

    house.complete(id, "a")
    require_agreement(house)
    house.close()


def test_a_file_that_is_no_database_is_refused_in_plain_words(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "psmflow.db").write_bytes(b"not a database at all" * 500)

    with pytest.raises(StorageFailed, match="no database"):
        House(data)


def test_nobody_else_may_read_the_database_wherever_it_lies(tmp_path: Path) -> None:
    elsewhere = tmp_path / "shared" / "psm.db"
    house = House(tmp_path / "data", database=elsewhere)
    house.engine.audit.backup(tmp_path / "copy.db")
    house.close()

    for path in (elsewhere, tmp_path / "copy.db"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
