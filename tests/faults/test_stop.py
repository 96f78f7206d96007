"""SIGTERM to real processes, on SQLite and, told by procrastinate, on PostgreSQL: what runs ends or is given back, nothing is lost, and a second signal does not wait."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.model import SYSTEM, ProcessInstance
from tests import databases
from tests.bpmn.build import diagram, end, process, service, start, user
from tests.databases import on_each as on_each
from tests.service.house import House

WORK = diagram(process(start(), service("w", "slow"), user("after"), end(), "s>w", "w>after", "after>e"))
ROOT = Path(__file__).parents[2]


class Workers:
    """Processes on one database, and what their handlers wrote of themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        on_server = {"dispatch": "procrastinate"} if databases.kind() == "postgresql" else {}
        self.house = House(folder / "data", SystemClock(), **on_server)
        self.house.handler("slow")(lambda job: None)  # so that the diagram is accepted; never run here
        self.house.deploy(WORK)
        self.processes: list[subprocess.Popen[str]] = []
        given = self.house.settings
        self.environment = {
            "PSMFLOW_SYNCHRONOUS": "NORMAL", "PSMFLOW_DATABASE_URL": given.database_url, "PSMFLOW_DISPATCH": given.dispatch,
        }  # fmt: skip

    def begin(self, command: str = "worker", *options: str, **settings: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker", command, "--data", str(self.folder / "data"), *options],
            cwd=ROOT, env={**os.environ, **self.environment, **settings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def start(self) -> ProcessInstance:
        return self.house.start(variables={"folder": str(self.folder)})

    def ran(self) -> list[list[str]]:
        file = self.folder / "ran"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def until(self, so: Callable[[], object]) -> None:
        """Wait until something is so; three minutes are never needed."""
        for _ in range(18_000):
            if so():
                return
            time.sleep(0.01)
        pytest.fail(f"it never came to be: {self.ran()}")

    def tell(self, process: subprocess.Popen[str]) -> None:
        """Tell a process to stop, and wait until it has heard it."""
        process.send_signal(signal.SIGTERM)
        stdout = process.stdout
        assert stdout is not None
        self.until(lambda: "stopping" in stdout.readline())

    def enough(self) -> None:
        (self.folder / "enough").touch()

    def close(self) -> None:
        for each in self.processes:
            each.kill()
            each.communicate()
        self.house.close()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_a_process_that_is_told_to_stop_lets_its_handler_end(workers: Workers, command: str) -> None:
    started = workers.start()
    process = workers.begin(command, *(["--port", str(free_port())] if command == "serve" else []))
    workers.until(workers.ran)

    workers.tell(process)
    assert process.poll() is None
    workers.enough()

    assert process.wait(180) == 0
    assert [line[:2] for line in workers.ran()] == [["began", "1"], ["ended", "1"]]
    assert set(workers.house.open_tasks(started.id)) == {"after"}
    assert workers.house.engine.instances.variables(SYSTEM, started.id)["attempt"] == 1


def test_what_does_not_end_in_time_is_given_back_and_another_worker_takes_it_at_once(workers: Workers) -> None:
    started = workers.start()
    one = workers.begin(PSMFLOW_STOP_SECONDS="0")
    workers.until(workers.ran)
    first = workers.ran()[0]

    one.send_signal(signal.SIGTERM)
    assert one.wait(180) == 0
    assert workers.house.rows("select state, attempts, lease_until from job") == [("waiting", 0, None)]

    other = workers.begin()
    workers.until(lambda: len(workers.ran()) == 2)
    workers.enough()
    workers.until(lambda: workers.house.open_tasks(started.id))
    other.send_signal(signal.SIGTERM)
    assert other.wait(180) == 0
    began = workers.ran()[1]
    assert (first[0], began[0], began[1]) == ("began", "began", "1")  # the attempt that was given back does not count
    assert began[2] != first[2]
    assert len(workers.house.events(started.id, "JobCompleted")) == 1
    assert workers.house.engine.audit.cross_check() == ()


def test_a_process_that_stops_claims_nothing_new(workers: Workers) -> None:
    workers.start()
    process = workers.begin(PSMFLOW_WORKER_THREADS="1")
    workers.until(workers.ran)
    workers.tell(process)
    workers.start()
    workers.enough()

    assert process.wait(180) == 0

    assert [line[0] for line in workers.ran()] == ["began", "ended"]
    assert workers.house.rows("select state, attempts from job") == [("waiting", 0)]


def test_a_second_signal_does_not_wait(workers: Workers) -> None:
    workers.start()
    process = workers.begin()
    workers.until(workers.ran)

    workers.tell(process)
    process.send_signal(signal.SIGTERM)

    assert process.wait(180) == 128 + signal.SIGTERM
    assert workers.house.rows("select state from job") == [("running",)]  # its lease runs out by itself


def test_what_a_killed_worker_had_is_done_by_another_once_its_lease_is_over(workers: Workers) -> None:
    started = workers.start()
    one = workers.begin()
    workers.until(workers.ran)

    one.kill()
    one.wait(180)
    other = workers.begin()
    workers.house.change("update job set lease_until = 0")  # a minute goes by
    workers.until(lambda: len(workers.ran()) == 2)
    workers.enough()
    workers.until(lambda: workers.house.open_tasks(started.id))

    workers.tell(other)
    assert other.wait(180) == 0
    assert [line[:2] for line in workers.ran()] == [["began", "1"], ["began", "2"], ["ended", "2"]]
    assert len(workers.house.events(started.id, "JobCompleted")) == 1
    assert workers.house.engine.audit.cross_check() == ()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
