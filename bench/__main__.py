"""Measures psmflow beside plain SpiffWorkflow and beside a token interpreter written by hand.

    python -m bench [--only w1,w3] [--rounds 5] [--quick] [--full]

Writes bench/results.json and bench/RESULTS.md; with --only or --quick, prints alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import feel, flows, growth, postgres, report, serving, volume
from bench.measure import Plan, Results, say


def _growth(plan: Plan, results: Results) -> None:
    for found in growth.figures(1 if plan.quick else plan.rounds):
        name, (small, large) = _id(found["curve"]), found["sizes"]
        results.add(f"growth.{name}", found["ratio"], "×", ratio_to=f"{large:,} against {small:,}")
        results.add(f"growth.{name}.microseconds", found["microseconds"][1], f"µs at {large:,}")


def _feel(plan: Plan, results: Results) -> None:
    for name, figure in feel.measure(2 if plan.quick else plan.rounds).items():
        what, divided, by = name.partition(" / ")
        if divided:
            results.add(f"feel.{_id(what)}.ratio", figure, "×", ratio_to=by)
        else:
            results.add(f"feel.{_id(what.removesuffix(', us'))}", figure, "µs")


def _id(words: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in words.lower()).split())


#: ``{what --only takes: (title, measure)}``, in the order in which they run.
BENCHES: Mapping[str, tuple[str, Callable[[Plan, Results], None]]] = {
    **flows.BENCHES, **volume.BENCHES, **serving.BENCHES, **postgres.BENCHES,
    "growth": ("a step as an instance grows: the core alone", _growth), "feel": ("FEEL beside Python", _feel),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for; return 0, or 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help=f"some of: {', '.join(BENCHES)}; nothing is written then")
    parser.add_argument("--rounds", type=int, default=0, help="default 5, with --quick 3")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, some two minutes; nothing is written then")
    parser.add_argument("--full", action="store_true", help="also what takes long: 2,000 turns in every arm, 100,000 real timer steps")
    options = parser.parse_args(arguments)
    wanted = [word.strip() for word in options.only.split(",") if word.strip()] or list(BENCHES)
    if unknown := set(wanted) - set(BENCHES):
        parser.error(f"--only {', '.join(sorted(unknown))}: choose from {', '.join(BENCHES)}")
    scratch, began = Path("var"), time.monotonic()
    scratch.mkdir(exist_ok=True)
    results, failed = Results(), list[str]()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch) as folder:
        plan = Plan(
            folder=Path(folder).absolute(), rounds=options.rounds or (3 if options.quick else 5), quick=options.quick, full=options.full,
            database_url=os.environ.get("DATABASE_URL", ""),
        )  # fmt: skip
        report.machine(plan, results)
        for name in BENCHES:
            if name in wanted:
                title, measure = BENCHES[name]
                at = time.monotonic()
                say(f"{name}: {title}")
                try:
                    measure(plan, results)
                except Exception:  # noqa: BLE001  the figures of the others are worth having; the status tells
                    traceback.print_exc()
                    failed.append(name)
                say(f"{name}: {time.monotonic() - at:.0f} s")
        report.commits(plan, results, "at the end")
    results.sort(key=report.place)
    print(report.text(results))
    if not options.only and not options.quick:
        report.write(results)
    say(f"{time.monotonic() - began:.0f} s{'; not measured: ' + ', '.join(failed) if failed else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
