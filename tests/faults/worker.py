"""A worker as `psmflow worker` (or `serve`) is, with a handler that takes as long as a file says. The other side of `test_stop`.

python -m tests.faults.worker worker --data FOLDER        writes what its handlers begin and end into FOLDER/ran
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from engine.cli import main
from engine.handler import Job, handler


@handler("slow", retries=0)
def slow(job: Job) -> dict[str, int]:
    """Work until the file says that it is enough."""
    folder = Path(job.values["folder"])
    _say(folder, f"began {job.attempt} {os.getpid()}")
    while not (folder / "enough").exists():
        time.sleep(0.01)
    _say(folder, f"ended {job.attempt} {os.getpid()}")
    return {"attempt": job.attempt}


def _say(folder: Path, line: str) -> None:
    with (folder / "ran").open("a") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
