"""Completions per second of a process with two user tasks, in rounds that alternate with bare SQLite commits.

    python -m bench.two_tasks [--rounds 5] [--instances 150]
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import handlers  # noqa: F401  registers
from engine import Actor, open_engine, read_settings

DIAGRAM = b"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn"
    id="d" targetNamespace="urn:psmflow:bench">
  <bpmn:process id="two_tasks" name="Two tasks" isExecutable="true" camunda:candidateStarterGroups="bid_manager">
    <bpmn:startEvent id="start"><bpmn:outgoing>f1</bpmn:outgoing></bpmn:startEvent>
    <bpmn:userTask id="first" name="First" camunda:candidateGroups="bid_manager"><bpmn:incoming>f1</bpmn:incoming>
      <bpmn:outgoing>f2</bpmn:outgoing></bpmn:userTask>
    <bpmn:userTask id="second" name="Second" camunda:candidateGroups="bid_manager"><bpmn:incoming>f2</bpmn:incoming>
      <bpmn:outgoing>f3</bpmn:outgoing></bpmn:userTask>
    <bpmn:endEvent id="end"><bpmn:incoming>f3</bpmn:incoming></bpmn:endEvent>
    <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="first"/>
    <bpmn:sequenceFlow id="f2" sourceRef="first" targetRef="second"/>
    <bpmn:sequenceFlow id="f3" sourceRef="second" targetRef="end"/>
  </bpmn:process>
</bpmn:definitions>"""
ANNA = Actor(id="anna", groups=frozenset({"bid_manager", "process_owner"}))


def bare_commits(file: Path, synchronous: str, count: int) -> float:
    """Return one-insert commits per second on a fresh WAL database."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute(f"pragma synchronous={synchronous}")
    connection.execute("create table if not exists t (x)")
    started = time.perf_counter()
    for n in range(count):
        connection.execute("begin immediate")
        connection.execute("insert into t values (?)", (n,))
        connection.execute("commit")
    rate = count / (time.perf_counter() - started)
    connection.close()
    return rate


def completions(synchronous: str, scratch: Path, count: int) -> tuple[float, list[float], int]:
    """Return completions per second, the seconds of each, and the bytes of the database per finished instance."""
    engine = open_engine(read_settings({}, data=scratch, synchronous=synchronous), dispatching=False)
    try:
        engine.deployments.deploy(Actor(id="system"), {"two_tasks.bpmn": DIAGRAM}, "bench")
        each: list[float] = []
        for _ in range(count):
            instance = engine.instances.start(ANNA, "two_tasks", {"amount": 1})
            for _ in range(2):
                (task,) = (t for t in engine.tasks.of_instance(ANNA, instance.id) if t.state == "open")
                started = time.perf_counter()
                engine.tasks.complete(ANNA, task.id, {"note": "done"})
                each.append(time.perf_counter() - started)
    finally:
        engine.close()
    size = sum(f.stat().st_size for f in scratch.glob("psmflow.db*"))
    return len(each) / sum(each), each, size // count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--instances", type=int, default=150)
    options = parser.parse_args()
    for synchronous in ("FULL", "NORMAL"):
        rates, bare, every, sizes = [], [], [], []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as scratch:
                bare.append(bare_commits(Path(scratch) / "bare.db", synchronous, options.instances))
                rate, each, size = completions(synchronous, Path(scratch) / "data", options.instances)
                rates.append(rate)
                every += each
                sizes.append(size)
        every.sort()
        print(json.dumps({
            "synchronous": synchronous, "completions_per_second": round(statistics.median(rates)),
            "p50_ms": round(every[len(every) // 2] * 1e3, 2), "p99_ms": round(every[int(len(every) * 0.99)] * 1e3, 2),
            "bare_commits_per_second": round(statistics.median(bare)),
            "ratio_to_bare": round(statistics.median(r / b for r, b in zip(rates, bare, strict=True)), 3),
            "database_bytes_per_instance": statistics.median(sizes),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }))


if __name__ == "__main__":
    main()
