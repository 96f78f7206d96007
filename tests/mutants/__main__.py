"""Applies every fault, one at a time, and looks for the test that notices it.

    python -m tests.mutants [words …]    only the faults whose names hold all these words

The test that noticed a fault last time (`killers.json`) is tried first. When it does not, tests whose names sound alike follow, then
all of tests/bpmn, and the finding is written down. Ends with 1 when a fault is not noticed. tests/conformance, the cases of others,
is never asked. Each run is a fork of this process, which has imported everything but the core; as many run as there are cores.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path

import hypothesis
import pytest

from tests.mutants.faults import FAULTS, KILLERS, ROOT, Fault, killers, names_of_tests
from tests.mutants.inject import inject

#: Seconds that one run may take; a fault that hangs is of no use, as it has no test that says what is wrong.
LIMIT = 240
#: Random walks and counts, which say least about what is wrong, are asked last.
LAST = ("test_time.py", "test_stuck.py", "test_walks.py", "test_growth.py")
#: What the core stands on.
BELOW = ("engine.calendar", "engine.events", "engine.feel.dmn", "lxml.etree", "orjson", "SpiffWorkflow.bpmn.workflow")
FORKS = multiprocessing.get_context("fork")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?::\w+)", re.M)


# ------------------------------------------------------------------------------------------------------------ which tests
@cache
def searched() -> list[str]:
    found = sorted((ROOT / "tests" / "bpmn").glob("test_*.py"), key=lambda path: (path.name in LAST, path.name))
    return [str(path.relative_to(ROOT)) for path in found]


def stems(name: str) -> frozenset[str]:
    return frozenset(word[:5].lower() for word in re.findall(r"[A-Z]?[a-z]{2,}", name))


@cache
def sentences() -> dict[str, frozenset[str]]:
    """``{test: words of its name and of its file's}``"""
    return {f"{file}::{test}": stems(f"{file} {test}") for file in searched() for test in sorted(names_of_tests(file))}


def likely(fault: Fault) -> list[str]:
    """Tests whose names share the rarest words with that of the fault."""
    known = sentences()
    spread = Counter(word for words in known.values() for word in words)
    wanted = stems(f"{fault.file} {fault.name}")
    return sorted(known, key=lambda test: -sum(1 / spread[word] for word in known[test] & wanted))[:40]


# ---------------------------------------------------------------------------------------------------------------- running
def _child(fault: Fault | None, tests: Sequence[str], output: str) -> None:
    made = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(made, 1)
    os.dup2(made, 2)
    if fault is not None:
        inject(fault)
    code = pytest.main(["-x", "-q", "--tb=line", "--noconftest", "-p", "no:cacheprovider", *tests])
    sys.stdout.flush()
    os._exit(int(code))


@dataclass(eq=False)
class Trial:
    """One fault, or None for the core as it is, on its way through the tests that are left to ask."""

    fault: Fault | None
    left: Iterator[Sequence[str]]
    output: Path
    began: float = field(default_factory=time.monotonic)
    killer: str | None = None
    trouble: str = ""
    process: multiprocessing.process.BaseProcess | None = None
    deadline: float = 0.0

    def go_on(self) -> bool:
        """Ask the next tests; False when there are none."""
        tests = next(self.left, None)
        if tests is None:
            self.trouble = "survives"
            return False
        self.deadline = time.monotonic() + LIMIT
        self.process = FORKS.Process(target=_child, args=(self.fault, tests, str(self.output)))  # type: ignore[assignment]
        assert self.process is not None
        self.process.start()
        return True

    def ended(self) -> bool:
        """True when the verdict is there: look at the run that is over, or that has taken too long."""
        assert self.process is not None
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            self.trouble = f"no end within {LIMIT} seconds"
            return True
        code, said = self.process.exitcode, self.output.read_text(encoding="utf-8")
        found = _FAILED.search(said)
        if code == pytest.ExitCode.TESTS_FAILED and found:
            self.killer = found[1]
            return True
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.USAGE_ERROR):  # the second: the test is gone
            self.trouble = " ".join(said.split()[-30:])
            return True
        return False


def run(trials: Sequence[Trial]) -> Iterator[Trial]:
    """Yield each trial when its verdict is there."""
    todo, running = deque(trials), set[Trial]()
    while todo or running:
        while todo and len(running) < (os.cpu_count() or 1):
            trial = todo.popleft()
            trial.began = time.monotonic()
            if trial.go_on():
                running.add(trial)
            else:
                yield trial
        now = time.monotonic()
        ready = wait([t.process.sentinel for t in running if t.process], timeout=max(0.1, min(t.deadline for t in running) - now))
        for trial in list(running):
            assert trial.process is not None
            if trial.process.sentinel in ready:
                trial.process.join()
            elif time.monotonic() < trial.deadline:
                continue
            if trial.ended() or not trial.go_on():
                running.remove(trial)
                yield trial


def remember(known: Mapping[str, str]) -> None:
    kept = {fault.name: known[fault.name] for fault in FAULTS if fault.name in known}
    KILLERS.write_text(json.dumps(kept, ensure_ascii=False, indent=0, sort_keys=True) + "\n", encoding="utf-8")


def main(words: Sequence[str]) -> int:
    began = time.monotonic()
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    hypothesis.settings.register_profile("faults", deadline=None, derandomize=True)
    hypothesis.settings.load_profile("faults")
    for name in BELOW:
        import_module(name)
    known = killers()
    chosen = [fault for fault in FAULTS if all(word in fault.name for word in words)]
    with tempfile.TemporaryDirectory() as place:
        plain = Trial(None, iter([sorted({known[f.name] for f in chosen if f.name in known}) or searched()]), Path(place, "plain"))
        list(run([plain]))
        if plain.trouble != "survives":
            print(f"The tests do not pass as they are ({plain.killer or plain.trouble}): nothing can be said of faults.")
            return 1
        trials = [
            Trial(fault, (tests for tests in ([known[fault.name]] if fault.name in known else [], likely(fault), searched()) if tests),
                  Path(place, str(n)))
            for n, fault in enumerate(chosen)]
        missed = 0
        for trial in run(trials):
            assert trial.fault is not None
            told = trial.killer.removeprefix("tests/bpmn/") if trial.killer else f"NOT CAUGHT: {trial.trouble}"
            print(f"{trial.fault.name:80} {time.monotonic() - trial.began:5.1f} s  {told}", flush=True)
            if trial.killer is None:
                missed += 1
            elif known.get(trial.fault.name) != trial.killer:
                known[trial.fault.name] = trial.killer
                remember(known)
    print(f"\n{len(chosen)} faults, {missed} not caught, {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
