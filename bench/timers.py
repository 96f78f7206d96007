"""Many timers due within one second: what claiming and finishing costs, and what a whole firing costs, with several workers.

    python -m bench.timers [--claims 100000] [--firings 4000] [--workers 2] [--url postgresql://…/scratch]

The first figure is the store alone; the second has a boundary timer that cancels a user task and makes another, with its history.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.assembly import open_engine
from engine.clock import MovableClock, SystemClock
from engine.handler import HandlerRegistry
from engine.model import SYSTEM
from engine.settings import Settings, read_settings
from engine.store import jobs
from engine.store.database import Database
from engine.store.jobs import JobRow

AT = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
LATE = (
    b'<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="urn:psmflow:bench">'
    b'<process id="p" isExecutable="true"><startEvent id="s"/><userTask id="a"/><userTask id="chase"/><endEvent id="e"/>'
    b'<boundaryEvent id="late" attachedToRef="a"><timerEventDefinition><timeDuration>PT2H</timeDuration></timerEventDefinition></boundaryEvent>'
    b'<sequenceFlow id="f1" sourceRef="s" targetRef="a"/><sequenceFlow id="f2" sourceRef="a" targetRef="e"/>'
    b'<sequenceFlow id="f3" sourceRef="late" targetRef="chase"/><sequenceFlow id="f4" sourceRef="chase" targetRef="e"/></process></definitions>'
)

#: Of (jobs done, seconds of processor time), and the moment at which all workers begin.
Answers = multiprocessing.Queue
Gate = threading.Barrier


def claim(settings: Settings, name: str, gate: Gate, answers: Answers[tuple[int, float]]) -> None:
    database, count, done = Database(settings, SystemClock()), 0, 0
    gate.wait()
    began = time.process_time()
    while True:
        count += 1
        lease = f"{name}.{count}"
        with database.writing() as tx:
            got = jobs.claim(tx, ["timer"], now=2_000, lease_until=60_000, lease=lease, limit=1000)
        if not got:
            break
        with database.writing() as tx:
            jobs.finish_all(tx, [job.id for job in got], lease)
        done += len(got)
    answers.put((done, time.process_time() - began))
    database.close()


def fire(settings: Settings, name: str, gate: Gate, answers: Answers[tuple[int, float]]) -> None:
    engine, done = open_engine(settings, MovableClock(AT + timedelta(hours=3)), HandlerRegistry()), 0
    gate.wait()
    began = time.process_time()
    while count := engine.jobs.run_quick(1000):
        done += count
    answers.put((done, time.process_time() - began))
    engine.close()


def report(what: str, work: Callable[..., None], settings: Settings, workers: int) -> None:
    context = multiprocessing.get_context("spawn")
    answers: Answers[tuple[int, float]] = context.Queue()
    gate = context.Barrier(workers + 1)
    processes = [context.Process(target=work, args=(settings, f"w{n}", gate, answers)) for n in range(workers)]
    for process in processes:
        process.start()
    gate.wait()
    began = time.perf_counter()
    given = [answers.get() for _ in processes]
    wall = time.perf_counter() - began
    for process in processes:
        process.join()
    done, cpu = sum(d for d, _ in given), sum(c for _, c in given)
    print(f"{what}: {done} by {workers} workers in {wall:.1f} s, {cpu / done * 1e3:.3f} ms of processor each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", type=int, default=100_000)
    parser.add_argument("--firings", type=int, default=4_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--url", default="", help="an empty PostgreSQL database; else SQLite in a scratch folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(data=Path(folder) / "claims", database_url=given.url)
        database = Database(settings, SystemClock())
        with database.writing() as tx:
            jobs.insert(tx, [
                JobRow(id=n + 1, kind="timer", instance_id=None, token=None, process="p", element="t", type="", due_at=n % 1000, attempts=0,
                       retries=0, backoff=0, fence=0, body=None)
                for n in range(given.claims)
            ], held=False)  # fmt: skip
        database.close()
        report("claimed and finished", claim, settings, given.workers)
        settings = read_settings(data=Path(folder) / "firings", database_url=given.url)
        with open_engine(settings, MovableClock(AT), HandlerRegistry()) as engine:
            engine.deployments.deploy(SYSTEM, {"p.bpmn": LATE}, "bench")
            for _ in range(given.firings):
                engine.instances.start(SYSTEM, "p")
        report("fired", fire, settings, given.workers)


if __name__ == "__main__":
    main()
