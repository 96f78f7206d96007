"""The resident memory of one arm in a process of its own; imports no other.

    python -m bench.memory ARM FOLDER INSTANCES
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench import workloads
from bench.arms import sqlite_arms
from bench.measure import resident_bytes, run_instances


def resident_after(name: str, folder: Path, count: int) -> int:
    """Return the resident bytes of this process after so many instances of W1."""
    (arm,) = sqlite_arms(folder, "NORMAL", (name,))
    run_instances(arm, "w1", count, workloads.START)
    resident = resident_bytes()
    arm.close()
    return resident


if __name__ == "__main__":
    print(resident_after(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
