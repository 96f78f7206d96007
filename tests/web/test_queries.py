"""Lists ask the database as often for many rows as for few."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.web.house import House


@contextmanager
def counted(house: House) -> Iterator[list[str]]:
    """Collect every statement that this thread runs on SQLite; dispatchers of other engines may be at work beside it."""
    statements: list[str] = []
    here = threading.get_ident()
    at_hand = house.engine._database._server._at_hand
    borrow = at_hand.borrow

    def note(statement: str) -> None:
        if threading.get_ident() == here:
            statements.append(statement)

    def listen() -> Any:
        pooled = borrow()
        pooled.driver_connection.set_trace_callback(note)
        return pooled

    at_hand.borrow = listen
    try:
        yield statements
    finally:
        at_hand.borrow = borrow


def queries(house: House, user: str, path: str) -> int:
    browser = house.browser(user)
    browser.get(path)  # what is read once in the life of the process
    with counted(house) as statements:
        assert browser.get(path).status_code == 200
    reading = [s for s in statements if s.lstrip().lower().startswith(("select", "with"))]
    assert reading, "nothing was counted"
    return len(reading)


@pytest.mark.parametrize("path", ["/", "/?view=claimable", "/instances", "/definitions", "/notices", "/start"])
def test_a_list_of_many_costs_no_more_queries_than_a_list_of_two(house: House, path: str) -> None:
    for n in range(2):
        house.task(f"项目{n}")
    few = queries(house, "wang", path)
    for n in range(20):
        house.task(f"更多{n}")

    assert queries(house, "wang", path) == few
    assert few <= 8


def test_a_long_history_costs_no_more_queries(house: House) -> None:
    task = house.task()
    few = queries(house, "owner", f"/instance/{task.instance_id}")
    for _ in range(10):
        house.engine.tasks.claim(house.actor("li"), task.id)
        house.engine.tasks.release(house.actor("li"), task.id)

    assert queries(house, "owner", f"/instance/{task.instance_id}") == few


def test_incidents_cost_no_more_queries_when_there_are_many(house: House) -> None:
    def stuck() -> None:
        task = house.task()
        house.engine.tasks.complete(house.actor("li"), task.id, {"bid_no": "ZFCG-2026", "pages": 1, "remark": "boom", "lines": []})

    def fail() -> None:
        house.run_jobs()
        while (due := house.engine.jobs.next_due_at()) is not None and due <= house.clock.now().replace(hour=23):
            house.clock.move_to(max(due, house.clock.now()))
            if not house.engine.jobs.run_due():
                break

    stuck()
    fail()
    few = queries(house, "owner", "/incidents")
    for _ in range(5):
        stuck()
    fail()

    assert len(house.engine.jobs.incidents(house.actor("owner"))) == 6
    assert queries(house, "owner", "/incidents") == few
