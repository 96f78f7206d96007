"""The arms on PostgreSQL do the same work, and what is counted there is what happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bench import volume, workloads
from bench.arms import Arm
from bench.measure import Plan, run_instances
from bench.plain import Plain
from bench.postgres import Connection, Proxy, database, server, transactions
from bench.psmflow import Psmflow
from engine import Actor
from engine.access import GROUPS
from tests import postgres

pytestmark = pytest.mark.skipif(
    not postgres.is_installed() and not os.environ.get("CI"), reason="no PostgreSQL here; requirements-test.txt brings one"
)


@pytest.fixture
def address() -> Iterator[str]:
    made = postgres.make_database()
    yield made
    postgres.drop_database(made)


@pytest.mark.parametrize("key", ["w1", "w2", "w3"])
def test_both_arms_walk_the_same_way_to_the_end(tmp_path: Path, address: str, key: str) -> None:
    empty = postgres.make_database(empty=True)
    arms: list[Arm] = [Psmflow(tmp_path, database_url=address), Plain(Connection(empty))]

    done = [len(run_instances(arm, key, 2, workloads.START).completions) for arm in arms]
    for arm in arms:
        arm.close()
    postgres.drop_database(empty)

    assert done[0] == done[1]


def test_round_trips_and_commits_are_counted(address: str) -> None:
    proxy = Proxy(address)
    with psycopg.connect(proxy.address, autocommit=True) as connection, psycopg.connect(address, autocommit=True) as watcher:
        connection.execute("create table counted (x integer)")
        counted = []
        for _ in range(5):
            trips, number = proxy.trips, transactions(watcher)
            connection.execute("insert into counted values (1)")
            connection.execute("update counted set x = 2")
            connection.execute("select x from counted")
            assert proxy.trips - trips == 3
            counted.append(transactions(watcher) - number)
        assert min(counted) == 2  # autovacuum takes numbers too
    proxy.close()


def test_an_inbox_is_filled_on_postgresql_too(tmp_path: Path, address: str) -> None:
    arm = Psmflow(tmp_path, database_url=address)

    volume.fill_inbox(arm, 20)

    counts = arm.engine.tasks.counts(Actor(id="nobody_special", groups=frozenset(GROUPS)))
    assert 150 < counts["claimable"] < 220
    arm.close()


def test_a_named_server_is_used_as_it_is(tmp_path: Path, address: str) -> None:
    with server(Plan(folder=tmp_path, database_url=address)) as found, database(address, "made") as made:
        assert found == address
        with psycopg.connect(made) as connection:
            assert connection.info.dbname.startswith("bench_made_")
