"""Which index serves what reads instances by their status, of which nearly all are completed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.store import checkup, instances, keep, upkeep
from engine.store.database import Database, Session
from tests.store.test_database import settings


class Asked:
    """Stands for a session and remembers what was asked."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, tuple[Any, ...]]] = []

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        self.queries.append((sql, tuple(values)))
        return []

    def value(self, sql: str, values: tuple[Any, ...] = ()) -> int:
        self.rows(sql, values)
        return 0


def _listed(status: str) -> Callable[[Any], object]:
    return lambda tx: instances.find(tx, key=None, status=status, search="", before=None, limit=50, only=None)


@pytest.mark.parametrize(
    "read",
    [
        _listed("active"), _listed("suspended"), _listed("cancelled"), instances.active_count, checkup.running_bundles,
        lambda tx: upkeep.census(tx, 0), lambda tx: keep.archivable(tx, ended_before=9, ids_below=9, limit=9),
        lambda tx: keep.held_count(tx, ended_before=9, ids_below=9),
    ],
)  # fmt: skip
def test_what_is_not_completed_is_found_by_the_index_of_the_status(tmp_path: Path, on_each: str, read: Callable[[Any], object]) -> None:
    asked = Asked()
    read(asked)
    queries = [(sql, values) for sql, values in asked.queries if "i.status" in sql and values[:1] != ("completed",)]
    assert queries

    database = Database(settings(tmp_path), SystemClock())
    with database.writing() as tx:
        for sql, values in queries:
            assert "ix_instance_status" in _plan(tx, on_each, sql, values), sql
    database.close()


def test_what_is_completed_is_listed_by_the_primary_key(tmp_path: Path, on_each: str) -> None:
    asked = Asked()
    _listed("completed")(asked)

    database = Database(settings(tmp_path), SystemClock())
    with database.writing() as tx:
        plan = _plan(tx, on_each, *asked.queries[0])
    database.close()

    # newest first, until the page is full: nothing is sorted
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def _plan(tx: Session, on_each: str, sql: str, values: tuple[Any, ...]) -> str:
    if on_each == "sqlite":
        return "\n".join(str(row[3]) for row in tx.rows("explain query plan " + sql, values))
    return "\n".join(step for (step,) in tx.rows("explain " + sql, values))
