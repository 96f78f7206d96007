"""kill -9 at any moment, a few times each; `python -m tests.faults` does it many times and makes bench/FAULTS.md."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests import postgres
from tests.faults.killing import KINDS, Installation, campaign
from tests.service.house import House

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


def test_the_count_notices_what_is_lost_doubled_broken_or_at_odds(tmp_path: Path) -> None:
    place = Installation(tmp_path, "")
    place.begin(3, 1)
    assert place.check().is_clean
    ids = sorted(place.ledger.acknowledged().values())

    place.ledger.hear("done complete c.1 1")
    place.ledger.hear("done start nobody 1")
    house = House(tmp_path)
    house.change("update notice set subject = ? where subject = ?", str(ids[0]), str(ids[1]))
    house.change("update event set hash = randomblob(32) where instance_id = ? and seq = (select max(seq) from event where instance_id = ?)", ids[2], ids[2])
    house.change("update user_task set name = 'another' where instance_id = ? and element = 'a'", ids[0])
    house.close()

    found = place.check()
    assert (found.lost, found.doubled) == (3, 1)
    assert found.broken > 0
    assert found.disagreements > 0
