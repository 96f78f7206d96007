"""A PostgreSQL that is killed at any moment: what was acknowledged is there, once, and the engine goes on by itself."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from engine.clock import pause
from engine.errors import EngineError, StorageFailed
from engine.model import SYSTEM, InstanceId
from tests import postgres
from tests.bpmn.build import diagram, end, parallel, process, service, start, user
from tests.faults.work import REGISTRY
from tests.service.house import House

DIAGRAM = diagram(process(
    start(), parallel("f"), user("a"), service("w"), parallel("j"), user("b"), end(), "s>f", "f>a", "f>w", "a>j", "w>j", "j>b", "b>e"
))  # fmt: skip
KILLS, THREADS, BETWEEN = 4, 4, 25

Answer = TypeVar("Answer")


@pytest.fixture
def server() -> Iterator[postgres.Server]:
    if not postgres.is_installed():
        if os.environ.get("CI"):
            pytest.fail("CI must have a PostgreSQL: requirements-test.txt brings one")
        pytest.skip("no PostgreSQL here; requirements-test.txt brings one")
    made = postgres.Server(Path(tempfile.mkdtemp(prefix="psmflow-")))
    made.folder.chmod(0o755)
    try:
        made.start(fsync=True)
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed(server: postgres.Server, tmp_path: Path) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("create database psmflow template template0")
    house = House(tmp_path / "data", handlers=REGISTRY, synchronous="FULL", database_url=server.url("psmflow"))
    house.deploy(DIAGRAM)
    stop, acknowledged, strange = threading.Event(), threading.Semaphore(0), list[BaseException]()
    started, completed, refused = dict[str, int](), list[tuple[int, int]](), list[str]()

    def surely(do: Callable[[], Answer]) -> Answer:
        """Try the same again, under the same key, until the database takes it."""
        attempt = 0
        while True:
            try:
                return do()
            except StorageFailed as error:
                refused.append(error.code)
                attempt += 1
                pause(attempt)

    def serve(n: int) -> None:
        try:
            count = 0
            while not stop.is_set():
                count += 1
                key = f"{n}.{count}"
                id = surely(lambda key=key: house.start("p", {"key": key}, idempotency_key=key).id)  # type: ignore[misc]
                started[key] = id
                for task in surely(lambda id=id: house.engine.tasks.of_instance(SYSTEM, id)):  # type: ignore[misc]
                    surely(lambda task=task: house.engine.tasks.complete(SYSTEM, task.id, idempotency_key="k"))  # type: ignore[misc]
                    completed.append((task.id, id))
                surely(house.engine.jobs.run_due)
                acknowledged.release()
        except (EngineError, psycopg.Error, AssertionError) as error:
            strange.append(error)
            acknowledged.release(10_000)

    threads = [threading.Thread(target=serve, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for _ in range(KILLS):
        for _ in range(BETWEEN):
            acknowledged.acquire()
        server.stop(signal.SIGQUIT)
        server.start(fsync=True)
    stop.set()
    for thread in threads:
        thread.join()

    assert strange == []
    assert refused
    assert house.engine.audit.verify() == ()
    assert house.engine.audit.cross_check() == ()
    assert {id: house.view(InstanceId(id)).variables[None]["key"] for id in started.values()} == {id: key for key, id in started.items()}
    assert house.rows("select count(*) from instance") == [(len(started),)]
    done = dict(house.rows("select id, state from user_task"))
    assert all(done[task] == "completed" for task, _ in completed)
    for id in started.values():
        ends = [e.token for e in house.events(InstanceId(id), "UserTaskCompleted")]
        assert len(ends) == len(set(ends))
    house.moved.advance(hours=1)
    while house.engine.jobs.run_due():
        pass
    assert house.rows("select count(*) from job") == [(0,)]
    assert house.engine.jobs.incidents(SYSTEM) == ()
    assert house.engine.audit.cross_check() == ()
    house.close()
