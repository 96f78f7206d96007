"""kill -9 at any moment, a few times each; `python -m tests.faults` does it many times and makes bench/FAULTS.md."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests import postgres
from tests.faults.killing import KINDS, campaign

KILLS = 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, kind: str) -> None:
    if KINDS[kind][0] and not postgres.is_installed():
        assert not os.environ.get("CI"), "CI must have a PostgreSQL: requirements-test.txt brings one"
        pytest.skip("no PostgreSQL here; requirements-test.txt brings one")
    seed = 7 if os.environ.get("CI") else random.randrange(1 << 30)

    found = campaign(kind, KILLS, seed, tmp_path)

    assert found.is_clean, (seed, found)
    assert found.kills == KILLS
    assert found.acknowledged > KILLS
    assert found.finished > KILLS
