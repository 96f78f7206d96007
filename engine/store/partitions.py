"""The history on PostgreSQL, a partition for each month in which instances began; what no partition is for lies in the default one.

Ids sort by time, so the month is a range of instance ids. Old months can be detached and kept elsewhere; vacuum and backup of a month
that is over cost nothing.
"""

# ruff: noqa: S608  statements are put together from constants alone

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from sqlalchemy import Connection, Engine, text

from engine.clock import first_id

PARTITIONED = ("event", "event_payload")
#: The present month and so many more.
_AHEAD = 3
_LOCK = 20261123
#: Held shared by whoever copies the database. Attaching a partition would wait for pg_dump, and everybody else for that.
COPYING = 20261124


def months(at: datetime) -> list[tuple[str, int, int]]:
    """Return ``[(suffix, first id, first id after it)]`` of the month of `at` and those to come."""
    year, month = at.astimezone(UTC).year, at.astimezone(UTC).month
    starts = [datetime(year + (month - 1 + n) // 12, (month - 1 + n) % 12 + 1, 1, tzinfo=UTC) for n in range(_AHEAD + 2)]
    return [(f"{a:%Y_%m}", first_id(a), first_id(b)) for a, b in pairwise(starts)]


def make_partitions(engine: Engine, at: datetime) -> None:
    """Make what partitions are lacking; processes that do so together take turns. While the database is copied it is put off: what
    no partition is for lies in the default one until the next time."""
    with engine.connect() as connection:
        if not _lacking(connection, at):
            return
        connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
        if not connection.execute(text(f"select pg_try_advisory_xact_lock({COPYING})")).scalar():
            return
        for table, suffix, first, end in _lacking(connection, at):
            name = f"{table}_{suffix}"
            connection.execute(text(f"create table {name} (like {table} including all)"))
            # an installation that slept for months wrote to the default partition meanwhile, and no two may hold the same range
            connection.execute(text(
                f"with moved as (delete from {table}_default where instance_id >= {first} and instance_id < {end} returning *)"
                f" insert into {name} select * from moved"
            ))  # fmt: skip
            connection.execute(text(f"alter table {table} attach partition {name} for values from ({first}) to ({end})"))
        connection.commit()


def _lacking(connection: Connection, at: datetime) -> list[tuple[str, str, int, int]]:
    found = connection.execute(text(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent in ('event'::regclass, 'event_payload'::regclass)"
    ))  # fmt: skip
    there = {name for (name,) in found}
    return [(table, *month) for table in PARTITIONED for month in months(at) if f"{table}_{month[0]}" not in there]
