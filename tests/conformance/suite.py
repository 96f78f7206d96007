"""Runs the cases of others and writes what came of it into `docs/conformance.md`: ``python -m tests.conformance.suite``.

The page is the one place that lists what fails: the test compares it with what does.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONFORMANCE = ROOT.parent / "shared" / "conformance"
PAGE = ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- generated: figures -->", "<!-- end -->"

#: ``{suite: (runner, adapter, what groups its cases)}``
SUITES = {
    "betsy": ("run_betsy.py", "ProductAdapter", "category"),
    "Camunda": ("run_cases.py", "ProductAdapter", "feature"),
    "DMN TCK": ("run_dmn.py", "DecisionAdapter", "level"),
}
_ROW = re.compile(r"^\| `(\w+)` \| (refused|not refused|case) \| (.+) \|$", re.M)


@dataclass(frozen=True, slots=True)
class Known:
    """A case that is not right. `kind`: the diagram is ``refused``; ``not refused`` though it should be; or the ``case`` is wrong."""

    kind: str
    reason: str


@cache
def results(suite: str) -> tuple[Mapping[str, Any], ...]:
    """Return what the runner of a suite wrote, one record for each case."""
    runner, adapter, _ = SUITES[suite]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results.json"
        done = subprocess.run(
            [sys.executable, str(CONFORMANCE / runner), "--adapter", f"tests.conformance.adapter:{adapter}", "--out", str(out)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(CONFORMANCE)]), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{runner}: {done.stderr}")
        return tuple(json.loads(out.read_text()))


def known() -> dict[str, Known]:
    """Return ``{case: why}`` of what the page lists as not right."""
    return {id: Known(kind, reason) for id, kind, reason in _ROW.findall(PAGE.read_text("utf-8"))}


def failing(found: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the ids of diagrams of which a case is not right."""
    return {each.get("id") or f"{each['folder']}/{each['case']}" for each in found if not each["ok"]}


def figures() -> str:
    """Return the table of the page."""
    lines = ["| suite | what | cases | right |", "|---|---|---:|---:|"]
    for suite, (_, _, group) in SUITES.items():
        groups: dict[str, list[bool]] = {}
        for each in results(suite):
            groups.setdefault(each[group], []).append(each["ok"])
        lines += [f"| {suite} | {name} | {len(oks)} | {sum(oks)} |" for name, oks in groups.items()]
        if suite == "betsy":
            oks = [each["ok"] for each in results(suite) if each["category"] != "constraints"]
            lines.append(f"| {suite} | **all but constraints** | {len(oks)} | {sum(oks)} |")
        elif len(groups) > 1:
            oks = [ok for each in groups.values() for ok in each]
            lines.append(f"| {suite} | **all** | {len(oks)} | {sum(oks)} |")
    return "\n".join(lines)


def main() -> None:
    text = PAGE.read_text("utf-8")
    section = f"{BEGIN}\n{figures()}\n{END}"
    PAGE.write_text(re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: section, text, flags=re.S), "utf-8")


if __name__ == "__main__":
    main()
