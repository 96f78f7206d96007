"""Writes what was measured: results.json, RESULTS.md that follows from it alone, and a table for the terminal."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.arms import Bare
from bench.measure import Plan, Result, Results, bare_seconds, middle

HERE = Path(__file__).parent
_ARMS = ("psmflow", "plain", "floor")
#: ``{id: what it says to somebody who reads the table of targets}``.
TITLES = {
    "w1.normal.completions_ratio": "W1 completions per second, SQLite NORMAL",
    "w2.normal.completions_ratio": "W2 completions per second, SQLite NORMAL",
    "w3.normal.instances_ratio": "W3 instances per second, SQLite NORMAL",
    "w4.growth_10000": "W4 turn 10,000 against turn 10, processor time",
    "w4.state_bytes_10000": "W4 stored state after 10,000 turns",
    "w1.full.to_bare.psmflow": "W1 completions per second, SQLite FULL, one client",
    "w1.full.clients_8.to_bare": "W1 completions per second, SQLite FULL, eight clients",
    "w1.postgres.completions_ratio": "W1 completions per second, PostgreSQL, one connection",
    "w1.postgres.round_trips_per_completion.psmflow": "Round trips of a W1 completion, PostgreSQL",
    "w1.postgres.commits_per_completion.psmflow": "Commits of a W1 completion, PostgreSQL",
    "w1.bytes_per_instance.psmflow": "Bytes of a finished W1 with its whole history, SQLite",
    "w1.normal.p99_ratio": "99th percentile of a W1 completion, SQLite NORMAL",
    "inbox.sqlite.page_p99": "99th percentile of an inbox page among 1,000,000 open tasks, SQLite",
    "inbox.postgres.page_p99": "99th percentile of an inbox page among 1,000,000 open tasks, PostgreSQL",
    "timers.claimed_and_finished": "100,000 timers due in one second, claimed and finished",
    "timers.fired_100000": "100,000 timers due in one second, a real step each, two workers",
    "serve.resident": "Resident memory of the serving process",
}
_SECTIONS = {
    "w1": "W1: approval", "w2": "W2: bid", "w3": "W3: ten services in one command", "w4": "W4: a user task in a loop",
    "history": "History", "inbox": "Inbox of 1,000,000 open tasks", "timers": "100,000 timers", "serve": "The serving process",
    "growth": "A step as an instance grows (pure core, processor time)", "feel": "FEEL beside Python",
}  # fmt: skip


def machine(plan: Plan, results: Results) -> None:
    """Add what the figures were measured on: no names of hosts or folders."""
    cpu = next((
        line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")
    ), platform.machine())  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    results.add("machine.date", datetime.now(UTC).date().isoformat())
    results.add("machine.revision", _revision())
    results.add("machine.cores", os.cpu_count() or 0)
    results.add("machine.cpu", cpu)
    results.add("machine.memory", memory / 2**30, "GiB")
    results.add("machine.load", os.getloadavg()[0], "at the beginning")
    results.add("machine.python", platform.python_version())
    results.add("machine.sqlite", sqlite3.sqlite_version)
    results.add("machine.rounds", plan.rounds)
    commits(plan, results, "at the beginning")


def commits(plan: Plan, results: Results, when: str) -> None:
    """Add the rate of bare one-insert commits just now: the disk's regime changes by itself."""
    for synchronous, count in (("FULL", 100), ("NORMAL", 1000)):
        bare = Bare(plan.folder / f"bare_{synchronous}.db", synchronous)
        try:
            rates = [count / bare_seconds(bare, count) for _ in range(3)]
        finally:
            bare.close()
        results.add(f"machine.bare_commits_{synchronous.lower()} {when}", middle(rates), "/s")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except OSError:
        return []


def _revision() -> str:
    try:
        found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


# ------------------------------------------------------------------------------------------------------------------------ what is written
def dump(results: Sequence[Result]) -> str:
    """Return results.json: ``[{"id", "figure", "unit", "target", "met", "ratio_to"}]``."""
    return "[\n" + ",\n".join(" " + json.dumps(asdict(result), ensure_ascii=False) for result in results) + "\n]\n"


def load(text: str) -> list[Result]:
    return [Result(**row) for row in json.loads(text)]


def markdown(results: Sequence[Result]) -> str:
    """Return RESULTS.md: the machine, the targets, then every figure with the arms side by side."""
    parts = [
        "# Measured\n",
        "Made by `make bench` from `results.json`; do not edit. What is measured and how: `README.md`. Figures of one run compare with"
        " each other, not with those of another day or machine; ratios are medians of the ratios inside each round.\n",
        "## Machine\n",
        _table(("", ""), [(r.id.removeprefix("machine.").replace("_", " "), _shown(r)) for r in results if _section(r) == "machine"]),
        "## Targets\n",
        _table(("", "figure", "relative to", "target", "met"), _targets(results)),
    ]
    sections = dict.fromkeys(_section(r) for r in results)
    sections.pop("machine", None)
    for section in sections:
        parts.append(f"## {_SECTIONS.get(section, section)}\n")
        side_by_side, others = _pivoted([r for r in results if _section(r) == section])
        if side_by_side:
            parts.append(_table(("", *_ARMS), side_by_side))
        if others:
            parts.append(_table(("", "figure", "relative to"), [(_name(r), _shown(r), r.ratio_to or "") for r in others]))
    return "\n".join(parts)


def text(results: Sequence[Result]) -> str:
    """Return the same for a terminal."""
    lines = list[str]()
    section = ""
    for result in results:
        if _section(result) != section:
            section = _section(result)
            lines += ["", _SECTIONS.get(section, section)]
        relative = f" of {result.ratio_to}" if result.ratio_to else ""
        lines.append(f"  {result.id:<60} {_shown(result)}{relative}")
    lines += ["", "Targets"]
    for title, figure, relative, target, met in _targets(results):
        lines.append(f"  {'met   ' if met == 'yes' else 'MISSED'} {title:<82} {figure:>12} {target:>10} {relative}")
    return "\n".join(lines)


def write(results: Sequence[Result], folder: Path = HERE) -> None:
    """Write results.json and RESULTS.md."""
    (folder / "results.json").write_text(dump(results), "utf-8")
    (folder / "RESULTS.md").write_text(markdown(results), "utf-8")


def place(result: Result) -> int:
    """Return where the section of a result stands: the machine first, then as the sections are listed."""
    section = _section(result)
    return list(_SECTIONS).index(section) if section in _SECTIONS else -1


def _section(result: Result) -> str:
    return result.id.partition(".")[0]


def _name(result: Result) -> str:
    return result.id.partition(".")[2].replace("_", " ").replace(".", ", ")


def _shown(result: Result) -> str:
    figure = f"{result.figure:,}" if isinstance(result.figure, int | float) else result.figure
    return f"{figure} {result.unit}".strip()


def _targets(results: Iterable[Result]) -> list[tuple[str, str, str, str, str]]:
    return [
        (TITLES.get(r.id, r.id), _shown(r), r.ratio_to or "", r.target, "yes" if r.met else "no") for r in results if r.target is not None
    ]


def _pivoted(results: Sequence[Result]) -> tuple[list[tuple[str, ...]], list[Result]]:
    """Return the rows of those that every arm has, and the rest."""
    rows: dict[str, dict[str, Result]] = {}
    others = list[Result]()
    for result in results:
        front, _, arm = result.id.rpartition(".")
        if arm in _ARMS:
            rows.setdefault(front, {})[arm] = result
        else:
            others.append(result)
    shown = [
        (_name(next(iter(of.values()))).rpartition(", ")[0], *(_shown(of[arm]) if arm in of else "" for arm in _ARMS))
        for of in rows.values()
    ]
    return shown, others


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
