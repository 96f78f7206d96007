"""Kill everything that can be killed, many times, and write what was counted.

python -m tests.faults --kills 50                       all kinds, two at a time, into bench/FAULTS.md
python -m tests.faults --kills 5 --only PostgreSQL      some kinds, shown only
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import traceback
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from tests.faults.killing import KINDS, Tally, campaign

TABLE = Path(__file__).parents[2] / "bench" / "FAULTS.md"
HEAD = """# Faults

Made by `python -m tests.faults --kills {kills} --seed {seed}`. Processes under load are killed with SIGKILL at random moments; what
clients were told is kept outside of them. *Unknown*: PostgreSQL went away during a commit, and the command was repeated under its
idempotency key. At the end every instance is brought to its end, and commands are given again under their keys. *Lost*: acknowledged
(or an effect of finished machine work) and not there. *Doubled*: there more than once. *Broken*: chains of the history that do not
verify. *Disagreements* between tables, history and state. *Stuck*: instances, jobs and incidents that do not come to their end.

| killed | kills | acknowledged | unknown | given again | finished | lost | doubled | broken | disagreements | stuck |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""


def table(found: Mapping[str, Tally], kills: int, seed: int) -> str:
    rows = [
        f"| {kind} | {t.kills} | {t.acknowledged} | {t.unknown} | {t.repeated} | {t.finished} | {t.lost} | {t.doubled} | {t.broken}"
        f" | {t.disagreements} | {t.stuck} |\n"
        for kind in KINDS if (t := found.get(kind)) is not None
    ]
    return HEAD.format(kills=kills, seed=seed) + "".join(rows)


def _one(kind: str, kills: int, seed: int) -> Tally:
    logging.disable()
    with tempfile.TemporaryDirectory(prefix="psmflow-faults-") as folder:
        return campaign(kind, kills, seed, Path(folder), partial(print, file=sys.stderr, flush=True))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each kind")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--only", default="", help="a part of a kind's name: " + "; ".join(KINDS))
    given = parser.parse_args()
    found: dict[str, Tally] = {}
    broken = 0
    with ProcessPoolExecutor(max_workers=2) as pool:
        running = {pool.submit(_one, kind, given.kills, given.seed): kind for kind in KINDS if given.only in kind}
        for future in as_completed(running):
            kind = running[future]
            try:
                found[kind] = future.result()
            except Exception:  # noqa: BLE001  the other kinds are counted all the same
                broken += 1
                print(f"{kind}: {traceback.format_exc()}", file=sys.stderr)
            if not given.only:
                TABLE.write_text(table(found, given.kills, given.seed), "utf-8")
    text = table(found, given.kills, given.seed)
    print(text[text.index("| killed") :])
    for kind, tally in found.items():
        for note in tally.notes[:20]:
            print(f"{kind}: {note}")
    return 1 if broken or not all(tally.is_clean for tally in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
