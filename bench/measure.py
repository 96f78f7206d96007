"""How it is measured: arms take turns in every round, ratios are taken inside a round, and the medians over the rounds count.

Another load on the machine then falls on all arms alike; wall time stands beside processor time, and beside a figure that waits
for the disk stands what bare commits cost in the same seconds.
"""

from __future__ import annotations

import gc
import sqlite3
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bench import workloads
from bench.arms import Arm, Commits

Figure = int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the results. `target`: as text, ``≥ 8``; `ratio_to`: what the figure is divided by, for a ratio."""

    id: str
    figure: Figure
    unit: str = ""
    target: str | None = None
    met: bool | None = None
    ratio_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the caller asked for. `folder`: scratch, on the disk where data would lie."""

    folder: Path
    rounds: int = 5
    quick: bool = False
    full: bool = False
    database_url: str = ""

    def size(self, usual: int, quick: int) -> int:
        return quick if self.quick else usual

    def made(self, name: str) -> Path:
        """Return a new folder in the scratch folder."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        return folder


class Results(list[Result]):
    """Results in the order in which they were found."""

    def add(
        self, id: str, figure: Figure, unit: str = "", *, target: tuple[Literal["≥", "≤", "="], float] | None = None,
        ratio_to: str | None = None,
    ) -> None:  # fmt: skip
        """Keep a figure; with a target, whether it is met."""
        rounded = shortened(figure)
        if target is None:
            self.append(Result(id=id, figure=rounded, unit=unit, ratio_to=ratio_to))
            return
        assert not isinstance(figure, str)
        sign, wanted = target
        met = {"≥": figure >= wanted, "≤": figure <= wanted, "=": figure == wanted}[sign]
        self.append(Result(id=id, figure=rounded, unit=unit, target=f"{sign} {wanted:,}", met=met, ratio_to=ratio_to))


def shortened(figure: Figure) -> Figure:
    """Return a number with three significant digits, whole from a hundred on."""
    if not isinstance(figure, float):
        return figure
    return round(figure) if abs(figure) >= 100 else float(f"{figure:.3g}")


def say(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(f"  {text}", file=sys.stderr, flush=True)


def middle(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of the ratios of each round."""
    return middle(a / b for a, b in zip(above, below, strict=True))


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


# ------------------------------------------------------------------------------------------------------------ one arm's turn in a round
@dataclass(slots=True)
class Turn:
    """Seconds of each start and each completion, and the processor seconds of all of them."""

    starts: list[float] = field(default_factory=list)
    completions: list[float] = field(default_factory=list)
    start_cpu: float = 0.0
    completion_cpu: float = 0.0

    @property
    def starts_per_second(self) -> float:
        return len(self.starts) / sum(self.starts)

    @property
    def completions_per_second(self) -> float:
        return len(self.completions) / sum(self.completions)

    @property
    def cpu(self) -> float:
        """Processor seconds of one instance."""
        return (self.start_cpu + self.completion_cpu) / len(self.starts)


def run_instances(arm: Arm, key: str, count: int, variables: Mapping[str, Any], *, warm: int = 0) -> Turn:
    """Run so many instances to their end, one after the other; what waits is asked outside of what is timed.

    Args:
        warm: instances before those, of which nothing is told: the arm before has left the processor's caches full of its own.
    """
    if warm:
        run_instances(arm, key, warm, variables)
    turn = Turn()
    wall, cpu = time.perf_counter, time.process_time
    for _ in range(count):
        used, began = cpu(), wall()
        instance = arm.start(key, variables)
        turn.starts.append(wall() - began)
        turn.start_cpu += cpu() - used
        done = 0
        while waiting := arm.open_tasks(instance):
            done += 1
            values = workloads.answer(done)
            used, began = cpu(), wall()
            arm.complete(waiting[0][1], values)
            turn.completions.append(wall() - began)
            turn.completion_cpu += cpu() - used
        assert arm.is_finished(instance), f"{arm.name} {key}: instance {instance} has not ended"
    return turn


def in_turn(arms: Sequence[Arm], rounds: int, run: Callable[[Arm], Turn]) -> dict[str, list[Turn]]:
    """Return ``{arm: its turns}``; every round begins with another arm, and Python's collector runs in between."""
    taken: dict[str, list[Turn]] = {arm.name: [] for arm in arms}
    for n in range(rounds):
        for arm in (*arms[n % len(arms):], *arms[: n % len(arms)]):
            gc.collect()
            taken[arm.name].append(run(arm))
    return taken


def tell_beside(results: Results, prefix: str, name: str, turns: Sequence[Turn], plain: Sequence[Turn]) -> None:
    """Add how fast an arm is that stands in no table beside the others: completions, or starts where nothing is completed."""
    if turns[0].completions:
        found = ratio([t.completions_per_second for t in turns], [t.completions_per_second for t in plain])
        results.add(f"{prefix}.{name}, completions ratio", found, "×", ratio_to="plain")
        results.add(f"{prefix}.{name}, completion p50", middle(percentile(t.completions, 0.5) for t in turns) * 1e3, "ms")
    else:
        found = ratio([t.starts_per_second for t in turns], [t.starts_per_second for t in plain])
        results.add(f"{prefix}.{name}, instances ratio", found, "×", ratio_to="plain")
        results.add(f"{prefix}.{name}, start p50", middle(percentile(t.starts, 0.5) for t in turns) * 1e3, "ms")


def bare_seconds(bare: Commits, count: int) -> float:
    """Return the seconds of so many one-insert commits."""
    began = time.perf_counter()
    for _ in range(count):
        bare.commit()
    return time.perf_counter() - began


# ---------------------------------------------------------------------------------------------------------------------- sizes and counts
def file_bytes(file: Path) -> int:
    """Return the bytes of a SQLite database once its log is worked in."""
    connection = sqlite3.connect(file, timeout=30)
    try:
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    finally:
        connection.close()
    return sum(f.stat().st_size for f in file.parent.glob(f"{file.name}*") if not f.name.endswith(".lock"))


@contextmanager
def opened_connections(opened: Callable[..., sqlite3.Connection]) -> Iterator[None]:
    """Let `opened` open every SQLite connection meanwhile: it is given what opens one, and its arguments."""
    real = sqlite3.dbapi2.connect
    sqlite3.connect = sqlite3.dbapi2.connect = partial(opened, real)  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite3.connect = sqlite3.dbapi2.connect = real


@contextmanager
def counted_statements() -> Iterator[Counter[str]]:
    """Count what every SQLite connection opened meanwhile executes: ``{"statements": …, "commits": …}``."""
    counts: Counter[str] = Counter()

    def note(sql: str) -> None:
        counts["statements"] += 1
        if sql.lstrip()[:6].lower() in ("commit", "end"):
            counts["commits"] += 1

    def opened(connect: Callable[..., sqlite3.Connection], *args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(note)
        return connection

    with opened_connections(opened):
        yield counts


def resident_bytes(pid: int | Literal["self"] = "self") -> int:
    """Return the resident memory of a process (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"process {pid} tells no VmRSS")
