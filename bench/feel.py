"""What a condition and a decision table cost, in rounds that alternate with Python's own `eval` of the same condition.

    python -m bench.feel [--rounds 7] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from engine.feel import compile_expression, load_decisions
from engine.feel.compiler import compile_text
from engine.feel.run import Run
from engine.feel.values import to_feel

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)
CONDITION = (
    'amount > 1000 and status = "open" and (region = "north" or region = "south") and score >= 0.5 and count of bids < 10'
)
PYTHON = (
    'amount > thousand and status == "open" and (region == "north" or region == "south") and score >= half '
    "and count_of_bids < ten"
)
VARIABLES: dict[str, Any] = {"amount": 1500, "status": "open", "region": "south", "score": Decimal("0.75"), "count of bids": 3}


def table_of(rows: int) -> bytes:
    """Return a UNIQUE table of three columns whose row `n` matches ``a = 10 n + 5``."""
    rules = "".join(
        "<rule>" + "".join(f"<inputEntry><text>{escape(cell)}</text></inputEntry>"
                           for cell in (f"[{n * 10}..{n * 10 + 10})", f'"g{n % 7}"', f"< {n * 3 + 1}"))
        + f"<outputEntry><text>{n}</text></outputEntry></rule>"
        for n in range(rows))  # fmt: skip
    columns = "".join(f"<input><inputExpression><text>{name}</text></inputExpression></input>" for name in "agn")
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" namespace="urn:bench" name="m">'
        f'<decision id="d1" name="d1"><variable name="d1"/><decisionTable hitPolicy="UNIQUE">{columns}<output/>{rules}'
        "</decisionTable></decision></definitions>"
    ).encode()


def seconds(call: Callable[[], Any], count: int) -> float:
    """Return the seconds of one call."""
    started = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - started) / count


def measure(rounds: int) -> dict[str, float]:
    """Return ``{what: median microseconds}``, and the ratios."""
    names = frozenset(VARIABLES)
    expression = compile_expression(CONDITION, names)
    closure = compile_text(CONDITION, frozenset({"count of bids"})).closure
    scope: dict[Any, Any] = {None: Run(NOW), **{name: to_feel(value) for name, value in VARIABLES.items()}}
    code = compile(PYTHON, "condition", "eval")
    python: dict[str, Any] = {name.replace(" ", "_"): to_feel(value) for name, value in VARIABLES.items()}
    python |= {"thousand": Decimal(1000), "half": Decimal("0.5"), "ten": Decimal(10)}
    bare: dict[str, Any] = {"__builtins__": {}}
    model = load_decisions(table_of(100))
    last = {"a": 995, "g": "g1", "n": 0}
    assert expression.evaluate(VARIABLES, NOW).value is True
    assert closure(scope) is True
    assert eval(code, bare, python) is True
    assert model.decide("d1", last, NOW).value == 99
    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "python eval, decimals": (lambda: eval(code, bare, python), 20_000),
        "condition, compiled": (lambda: closure(scope), 20_000),
        "condition, with its variables": (lambda: expression.evaluate(VARIABLES, NOW), 10_000),
        "table of 100 rows, last row": (lambda: model.decide("d1", last, NOW), 1_000),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, (call, count) in calls.items():
            taken[name].append(seconds(call, count) * 1e6)
    found = {f"{name}, us": statistics.median(times) for name, times in taken.items()}
    base = taken["python eval, decimals"]
    for name in ("condition, compiled", "condition, with its variables"):
        found[f"{name} / python eval"] = statistics.median(a / b for a, b in zip(taken[name], base, strict=True))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rounds)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for name, figure in found.items():
        print(f"{name:<45} {figure:8.2f}")


if __name__ == "__main__":
    main()
