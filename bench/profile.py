"""Where our time goes: cProfile over `start` and `complete` of the façade, in processor time, by workload.

    python -m bench.profile [w1 w2 w3] [--top 25] [--by tottime]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench import workloads
from bench.measure import run_instances
from bench.psmflow import Psmflow

_COUNTS = {"w1": 200, "w2": 40, "w3": 200}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="w1|w2|w3")
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--by", default="tottime", choices=["tottime", "cumulative"])
    options = parser.parse_args()
    for key in options.workloads or _COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            arm = Psmflow(Path(folder), synchronous="NORMAL")
            run_instances(arm, key, 20, workloads.START)
            profile = cProfile.Profile(time.process_time)
            arm.start, arm.complete = partial(profile.runcall, arm.start), partial(profile.runcall, arm.complete)  # type: ignore[method-assign, call-arg]
            turn = run_instances(arm, key, _COUNTS[key], workloads.START)
            arm.close()
        print(f"{key}: {len(turn.starts)} starts, {len(turn.completions)} completions")
        pstats.Stats(profile, stream=sys.stdout).strip_dirs().sort_stats(options.by).print_stats(options.top)


if __name__ == "__main__":
    main()
