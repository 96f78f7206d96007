"""The workloads on SQLite: rates, latencies, processor time, bytes, statements, loops, durable commits, many clients."""

from __future__ import annotations

import gc
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench import workloads
from bench.arms import Arm, Bare, lengthen_log, sqlite_arms
from bench.measure import (
    Plan,
    Results,
    Turn,
    bare_seconds,
    counted_statements,
    file_bytes,
    in_turn,
    middle,
    percentile,
    ratio,
    run_instances,
    tell_beside,
)
from bench.psmflow import ANNA, Psmflow
from bench.rows import Rows, Sealed, Stepped, record
from engine import SYSTEM

_TARGETS = {"w1": 8.0, "w2": 12.0, "w3": 6.0}
_WARM = 20  #: instances of each arm before anything is timed
_WARM_AGAIN = {"w1": 5, "w2": 1, "w3": 5, "full": 3}  #: and before each of its turns


def _variables(key: str, turns: int = 0) -> Mapping[str, Any]:
    return {**workloads.START, "limit": turns} if key == "w4" else workloads.START


def _closed(arms: Sequence[Arm]) -> None:
    for arm in arms:
        arm.close()


def _bounds(folder: Path, key: str, count: int, synchronous: str) -> list[Rows]:
    """Return the arms that psmflow cannot beat, for so many instances."""
    recording = record(folder / "recorded", key, count)
    return [arm(recording, folder / f"{arm.name}.db", synchronous) for arm in (Rows, Sealed, Stepped)]


# ------------------------------------------------------------------------------------------------------------------------ w1, w2, w3
def workload(plan: Plan, results: Results, key: str) -> None:
    """Run a workload on SQLite NORMAL in every arm and compare."""
    count = {"w1": plan.size(200, 40), "w2": plan.size(25, 4), "w3": plan.size(200, 40)}[key]
    warm = _WARM_AGAIN[key]
    folder = plan.made(key)
    bounds = _bounds(folder, key, _WARM + plan.rounds * (warm + count), "NORMAL")
    arms = sqlite_arms(folder, "NORMAL")
    beside: list[Arm] = [*([] if key == "w3" else [Psmflow.cold(folder / "cold", synchronous="NORMAL")]), *bounds]
    try:
        for arm in (*arms, *beside):
            run_instances(arm, key, _WARM, workloads.START)
        before = {arm.name: _bytes(arm) for arm in arms}
        taken = in_turn([*arms, *beside], plan.rounds, lambda arm: run_instances(arm, key, count, workloads.START, warm=warm))
        for bound in bounds:
            assert not bound.differences()
        for arm in beside:
            tell_beside(results, f"{key}.normal", arm.name, taken.pop(arm.name), taken["plain"])
        tell_turns(results, f"{key}.normal", taken)
        ours, plain = taken["psmflow"], taken["plain"]
        if key == "w3":
            found = ratio([t.starts_per_second for t in ours], [t.starts_per_second for t in plain])
            results.add("w3.normal.instances_ratio", found, "×", target=("≥", _TARGETS[key]), ratio_to="plain")
        else:
            found = ratio([t.completions_per_second for t in ours], [t.completions_per_second for t in plain])
            results.add(f"{key}.normal.completions_ratio", found, "×", target=("≥", _TARGETS[key]), ratio_to="plain")
        results.add(f"{key}.normal.cpu_ratio", ratio([t.cpu for t in plain], [t.cpu for t in ours]), "×", ratio_to="plain")
        for arm in arms:
            grown = (_bytes(arm) - before[arm.name]) / ((warm + count) * plan.rounds)
            target = ("≤", 2500) if (key, arm.name) == ("w1", "psmflow") else None
            results.add(f"{key}.bytes_per_instance.{arm.name}", grown, "bytes", target=target)  # type: ignore[arg-type]
        if key == "w1":
            p99 = [percentile(t.completions, 0.99) for t in ours], [percentile(t.completions, 0.99) for t in plain]
            results.add("w1.normal.p99_ratio", ratio(*p99), "×", target=("≤", 0.25), ratio_to="plain")
            _verification(results, arms[0])
    finally:
        _closed([*arms, *beside])


def _bytes(arm: Arm) -> int:
    assert arm.file is not None
    return file_bytes(arm.file)


def tell_turns(results: Results, prefix: str, taken: Mapping[str, Sequence[Turn]]) -> None:
    """Add rates, latencies and processor time of every arm: medians over its turns."""
    for name, turns in taken.items():
        results.add(f"{prefix}.starts_per_second.{name}", middle(t.starts_per_second for t in turns), "/s")
        if turns[0].completions:
            results.add(f"{prefix}.completions_per_second.{name}", middle(t.completions_per_second for t in turns), "/s")
        if turns[0].completions:
            for part, word in ((0.5, "p50"), (0.99, "p99")):
                found = middle(percentile(t.completions, part) for t in turns)
                results.add(f"{prefix}.completion_{word}.{name}", found * 1e3, "ms")
        else:
            for part, word in ((0.5, "p50"), (0.99, "p99")):
                results.add(f"{prefix}.start_{word}.{name}", middle(percentile(t.starts, part) for t in turns) * 1e3, "ms")
        results.add(f"{prefix}.cpu_per_instance.{name}", middle(t.cpu for t in turns) * 1e3, "ms")


def _verification(results: Results, arm: Arm) -> None:
    assert isinstance(arm, Psmflow)
    rates, cpu = [], []
    for _ in range(3):
        began, used = time.perf_counter(), time.process_time()
        assert arm.engine.audit.verify() == ()
        events = arm.engine.audit.last_checked.events
        rates.append(events / (time.perf_counter() - began))
        cpu.append((time.process_time() - used) / events)
    results.add("history.verified_per_second", middle(rates), "events/s")
    results.add("history.verify_cpu_per_event", middle(cpu) * 1e6, "µs")


# -------------------------------------------------------------------------------------------------------------------------------- w4
def loop(plan: Plan, results: Results) -> None:
    """One instance with many turns of a user task: 200 in every arm, 2,000 and 10,000 in ours."""
    arms = sqlite_arms(plan.made("w4"), "NORMAL")
    try:
        for arm in arms:
            run_instances(arm, "w4", 1, _variables("w4", 20))
        taken = in_turn(arms, 2 if plan.quick else plan.rounds, lambda arm: run_instances(arm, "w4", 1, _variables("w4", 200)))
        for name, turns in taken.items():
            results.add(f"w4.200_turns.{name}", middle(sum(t.completions) for t in turns), "s")
            results.add(f"w4.200_turns.cpu.{name}", middle(t.completion_cpu for t in turns), "s")
            growth = middle(middle(t.completions[-20:]) / middle(t.completions[5:25]) for t in turns)
            results.add(f"w4.growth_200.{name}", growth, "×", ratio_to="turns 5 to 25")
        found = ratio([sum(t.completions) for t in taken["plain"]], [sum(t.completions) for t in taken["psmflow"]])
        results.add("w4.200_turns_ratio", found, "×", ratio_to="plain")
        if plan.full:
            for arm in arms:
                turn = run_instances(arm, "w4", 1, _variables("w4", 2000))
                results.add(f"w4.2000_turns.{arm.name}", sum(turn.completions), "s")
        assert isinstance(arms[0], Psmflow)
        _deep(plan, results, arms[0])
    finally:
        _closed(arms)


def _deep(plan: Plan, results: Results, arm: Psmflow) -> None:
    """An old and a young instance take turns, so that what the machine does meanwhile falls on both."""
    old = arm.start("w4", _variables("w4", 1 << 30))
    done = 0
    for size in (2_000,) if plan.quick else (2_000, 10_000):
        while done < size:
            done += 1
            _turn(arm, old, done)
        wall, cpu = [], []
        for _ in range(plan.rounds):
            young = arm.start("w4", _variables("w4", 1 << 30))
            for n in range(10):
                _turn(arm, young, n)
            gc.collect()
            pairs = [(_turn(arm, young, 10 + n), _turn(arm, old, size + n)) for n in range(60)]
            wall.append(middle(late[0] for _, late in pairs) / middle(early[0] for early, _ in pairs))
            cpu.append(middle(late[1] for _, late in pairs) / middle(early[1] for early, _ in pairs))
            done += 60
            arm.engine.instances.cancel(SYSTEM, young, "measured")  # type: ignore[arg-type]
        results.add(f"w4.growth_{size}.wall", middle(wall), "×", ratio_to="step 10")
        target = ("≤", 1.1) if size == 10_000 else None
        results.add(f"w4.growth_{size}", middle(cpu), "×", target=target, ratio_to="step 10")  # type: ignore[arg-type]
        with arm.engine._database.reading() as session:
            stored = session.value("select length(body) from instance_state where instance_id = ?", (old,))
        results.add(f"w4.state_bytes_{size}", stored, "bytes", target=("≤", 2048) if size == 10_000 else None)


def _turn(arm: Psmflow, instance: int, number: int) -> tuple[float, float]:
    """Complete the one task of a looping instance; return wall and processor seconds. The inbox is asked, as the instance is long."""
    (task,) = (t.id for t in arm.engine.tasks.inbox(ANNA, limit=10).items if t.instance_id == instance)
    values = workloads.answer(number)
    used, began = time.process_time(), time.perf_counter()
    arm.complete(task, values)
    return time.perf_counter() - began, time.process_time() - used


# ----------------------------------------------------------------------------------------------------------------- durable commits
def durable(plan: Plan, results: Results) -> None:
    """W1 on SQLite FULL, one client, in short laps with bare commits before and after: the disk changes by itself."""
    folder = plan.made("full")
    laps, count = plan.rounds * plan.size(4, 2), plan.size(12, 8)
    warm = _WARM_AGAIN["full"]
    bounds = _bounds(folder, "w1", 5 + laps * (warm + count), "FULL")
    arms = [*sqlite_arms(folder, "FULL"), *bounds]
    bare, again = Bare(folder / "bare.db", "FULL"), Bare(folder / "again.db", "FULL")
    try:
        for arm in arms:
            run_instances(arm, "w1", 5, workloads.START)
        bare_seconds(bare, 20)
        bare_seconds(again, 20)
        lengthen_log(again.file)
        beside: dict[str, list[float]] = {arm.name: [] for arm in arms}
        overwriting: dict[str, list[float]] = {arm.name: [] for arm in arms}

        def lap(arm: Arm) -> Turn:
            seconds, seconds_again = bare_seconds(bare, count), bare_seconds(again, count)
            turn = run_instances(arm, "w1", count, workloads.START, warm=warm)
            beside[arm.name].append(2 * count / (seconds + bare_seconds(bare, count)))
            overwriting[arm.name].append(2 * count / (seconds_again + bare_seconds(again, count)))
            return turn

        taken = in_turn(arms, laps, lap)
        for bound in bounds:
            assert not bound.differences()
    finally:
        _closed(arms)
        bare.close()
        again.close()

    def tell_overwriting(name: str, turns: Sequence[Turn]) -> None:
        found = ratio([t.completions_per_second for t in turns], overwriting[name])
        results.add(f"w1.full.{name}, to bare that overwrite their log", found, "×", ratio_to="bare commits")

    for bound in bounds:
        turns = taken.pop(bound.name)
        tell_beside(results, "w1.full", bound.name, turns, taken["plain"])
        found = ratio([t.completions_per_second for t in turns], beside[bound.name])
        results.add(f"w1.full.{bound.name}, to bare", found, "×", ratio_to="bare commits")
        tell_overwriting(bound.name, turns)
    tell_turns(results, "w1.full", taken)
    for name, turns in taken.items():
        results.add(f"w1.full.bare_commits_beside.{name}", middle(beside[name]), "/s")
        found = ratio([t.completions_per_second for t in turns], beside[name])
        target = ("≥", 0.45) if name == "psmflow" else None
        results.add(f"w1.full.to_bare.{name}", found, "×", target=target, ratio_to="bare commits")  # type: ignore[arg-type]
        tell_overwriting(name, turns)
    found = ratio([t.completions_per_second for t in taken["psmflow"]], [t.completions_per_second for t in taken["plain"]])
    results.add("w1.full.completions_ratio", found, "×", ratio_to="plain")


def clients(plan: Plan, results: Results, threads: int = 8) -> None:
    """W1 completed by many clients at once on SQLite FULL, each on instances of its own: by one process, then by two."""
    folder = plan.made("clients")
    arm = Psmflow(folder / "psmflow", synchronous="FULL")
    bare = Bare(folder / "bare.db", "FULL")
    each = plan.size(12, 6)
    one, cpu = list[float](), list[float]()
    rates: dict[str, list[float]] = {"": [], ".two_processes": []}
    bares: dict[str, list[float]] = {name: [] for name in rates}
    try:
        run_instances(arm, "w1", 5, workloads.START)
        with _crew(folder / "psmflow", 2) as crew:
            for _ in range(plan.rounds * 2):
                gc.collect()
                one.append(run_instances(arm, "w1", each, workloads.START).completions_per_second)
                for name in rates:
                    instances = [arm.start("w1", workloads.START) for _ in range(threads * each)]
                    seconds, used = 0.0, 0.0
                    waited = bare_seconds(bare, 2 * each)
                    for turn in (1, 2):
                        tasks = [arm.open_tasks(instance)[0][1] for instance in instances]
                        shares, values = [tasks[n::threads] for n in range(threads)], workloads.answer(turn)
                        began, ended, processor = _together(arm, shares, values) if not name else _spread(crew, shares, values)
                        seconds, used = seconds + ended - began, used + processor
                        waited += bare_seconds(bare, 2 * each)
                    assert all(arm.is_finished(instance) for instance in instances)
                    rates[name].append(2 * len(instances) / seconds)
                    bares[name].append(6 * each / waited)
                    if not name:
                        cpu.append(used / (2 * len(instances)))
    finally:
        arm.close()
        bare.close()
    results.add(f"w1.full.clients_{threads}.cpu_per_completion", middle(cpu) * 1e3, "ms")
    for name, found in rates.items():
        row = f"w1.full.clients_{threads}{name}"
        results.add(f"{row}.completions_per_second", middle(found), "/s")
        results.add(f"{row}.bare_commits_beside", middle(bares[name]), "/s")
        results.add(f"{row}.to_one_client", ratio(found, one), "×", ratio_to="one client")
        results.add(f"{row}.to_bare", ratio(found, bares[name]), "×", target=None if name else ("≥", 0.9), ratio_to="bare commits")


def _together(arm: Arm, shares: Sequence[Sequence[Any]], values: Mapping[str, Any]) -> tuple[float, float, float]:
    """Let a thread complete each share; return when the first began and the last ended, and the processor's seconds."""
    gate = threading.Barrier(len(shares) + 1)
    failed: list[BaseException] = []

    def work(share: Sequence[Any]) -> None:
        gate.wait()
        try:
            for task in share:
                arm.complete(task, values)
        except BaseException as error:
            failed.append(error)
            raise

    running = [threading.Thread(target=work, args=(share,)) for share in shares]
    for thread in running:
        thread.start()
    gate.wait()
    began, used = time.perf_counter(), time.process_time()
    for thread in running:
        thread.join()
    taken = began, time.perf_counter(), time.process_time() - used
    if failed:
        raise failed[0]
    return taken


# ----------------------------------------------------------------------------------------------------------------- several processes
@contextmanager
def _crew(folder: Path, count: int) -> Iterator[list[Connection]]:
    """Give a pipe to each of some processes that serve the same installation; see `_serve`."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(count)]
    processes = [context.Process(target=_serve, args=(folder, theirs), daemon=True) for _, theirs in pipes]
    for process in processes:
        process.start()
    try:
        for mine, _ in pipes:
            mine.recv()
        yield [mine for mine, _ in pipes]
    finally:
        for mine, _ in pipes:
            with suppress(OSError):  # it has died, and said why
                mine.send(None)
        for process in processes:
            process.join()


def _serve(folder: Path, pipe: Connection) -> None:
    """Complete what the pipe brings, ``(shares, values)``, and answer as `_together` does; None: end."""
    arm = Psmflow(folder, synchronous="FULL")
    pipe.send("ready")
    while (given := pipe.recv()) is not None:
        pipe.send(_together(arm, *given))
    arm.close()


def _spread(crew: Sequence[Connection], shares: Sequence[Sequence[Any]], values: Mapping[str, Any]) -> tuple[float, float, float]:
    """Do what `_together` does by several processes; their clock is one (CLOCK_MONOTONIC)."""
    for n, pipe in enumerate(crew):
        pipe.send((shares[n :: len(crew)], values))
    taken = [pipe.recv() for pipe in crew]
    return min(began for began, _, _ in taken), max(ended for _, ended, _ in taken), sum(used for _, _, used in taken)


# -------------------------------------------------------------------------------------------------------------- what does not vary
def statements(plan: Plan, results: Results) -> None:
    """Statements and commits of a completion of W1, BEGIN and COMMIT included."""
    with counted_statements() as counts:
        arms = sqlite_arms(plan.made("statements"), "NORMAL")
        try:
            for arm in arms:
                run_instances(arm, "w1", 3, workloads.START)
                seen, completions = dict.fromkeys(("statements", "commits"), 0), 0
                for _ in range(5):
                    instance = arm.start("w1", workloads.START)
                    for _ in range(2):
                        task = arm.open_tasks(instance)[0][1]
                        before = dict(counts)
                        arm.complete(task, workloads.answer(1))
                        completions += 1
                        for word in seen:
                            seen[word] += counts[word] - before.get(word, 0)
                results.add(f"w1.statements_per_completion.{arm.name}", seen["statements"] / completions, "statements")
                results.add(f"w1.commits_per_completion.{arm.name}", seen["commits"] / completions, "commits")
        finally:
            _closed(arms)


def memory(plan: Plan, results: Results) -> None:
    """Resident memory of a process of its own for each arm, after W1."""
    folder = plan.made("memory")
    for name in ("psmflow", "plain", "floor"):
        command = [sys.executable, "-m", "bench.memory", name, str(folder), str(plan.size(200, 40))]
        found = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        results.add(f"w1.resident.{name}", found / 1e6, "MB")


#: ``{what --only takes: (title, measure)}``.
BENCHES: Mapping[str, tuple[str, Callable[[Plan, Results], None]]] = {
    "w1": ("approval, psmflow, plain and floor on SQLite NORMAL", partial(workload, key="w1")),
    "w2": ("bid, likewise", partial(workload, key="w2")),
    "w3": ("ten services in one command, likewise", partial(workload, key="w3")),
    "w4": ("a user task in a loop", loop),
    "full": ("w1 on SQLite FULL beside bare commits", durable),
    "clients": ("w1 by eight clients on SQLite FULL", clients),
    "statements": ("statements and commits, counted by SQLite's trace", statements),
    "memory": ("a process for each arm", memory),
}
