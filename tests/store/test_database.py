"""The database: migrations, ids, transactions, forked processes."""

from __future__ import annotations

import multiprocessing
import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from engine.clock import MovableClock, SystemClock
from engine.errors import UnknownSchema
from engine.settings import Settings, read_settings
from engine.store.database import Database, instant, micros
from engine.store.migrations import HEAD, _config, current, migrate, scripts
from engine.store.partitions import make_partitions
from engine.store.schema import METADATA
from tests import databases, postgres
from tests.service.house import MONDAY


def settings(path: Path, **changes: object) -> Settings:
    url = databases.address(path, changes)
    return read_settings({}, data=path, **changes, **({} if url is None else {"database_url": url}))


@pytest.fixture
def empty(tmp_path: Path, on_each: str) -> Iterator[Engine]:
    """An engine on a database without tables."""
    if on_each == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
        yield engine
        engine.dispose()
    else:
        url = postgres.make_database(empty=True)
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
        yield engine
        postgres.drop_database(url)


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    return kind != "table" or name is None or not re.fullmatch(r"event(_payload)?_(default|\d{4}_\d\d)", name)


def test_the_migrations_make_the_schema_as_written(empty: Engine) -> None:
    engine = empty
    migrate(engine)
    migrate(engine)
    if engine.dialect.name == "postgresql":
        make_partitions(engine, MONDAY)
        make_partitions(engine, MONDAY)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _is_ours})
        assert compare_metadata(context, METADATA) == []
        if engine.dialect.name == "sqlite":  # PostgreSQL tells constraints in words of its own
            checks = {(t, c["name"], c["sqltext"]) for t in METADATA.tables for c in inspect(connection).get_check_constraints(t)}
            assert checks == {
                (t.name, str(c.name), str(c.sqltext)) for t in METADATA.tables.values() for c in t.constraints if isinstance(c, CheckConstraint)
            }
            assert connection.execute(text("pragma integrity_check")).scalar() == "ok"
    indexes = {i["name"] for t in METADATA.tables for i in inspect(engine).get_indexes(t) if "duplicates_constraint" not in i}
    assert indexes == {i.name for t in METADATA.tables.values() for i in t.indexes}
    assert scripts().get_heads() == [HEAD]


def test_a_database_of_a_version_that_nobody_knows_is_left_alone_with_a_word_on_what_to_do(empty: Engine) -> None:
    migrate(empty)
    with empty.begin() as connection:
        connection.execute(text("update alembic_version set version_num = 'v99'"))

    with pytest.raises(UnknownSchema, match=r"v99.*PSMFLOW_DATABASE_URL"):
        migrate(empty)


def test_a_database_with_histories_of_an_older_form_is_refused_and_left_as_it_is(empty: Engine) -> None:
    with empty.begin() as connection:
        command.upgrade(_config(connection), "v2")
        connection.execute(text("insert into event (instance_id, seq, body, hash) values (1, 1, :body, :body)"), {"body": b"{}"})

    with pytest.raises(UnknownSchema, match=r"v2.*PSMFLOW_DATABASE_URL"):
        migrate(empty)

    with empty.connect() as connection:
        assert current(connection) == "v2"
        assert connection.execute(text("select count(*) from event_payload")).scalar() == 0


def test_rows_of_before_stay_and_may_be_deleted_without_a_foreign_key(empty: Engine) -> None:
    with empty.begin() as connection:
        command.upgrade(_config(connection), "v6")
        if empty.dialect.name == "sqlite":
            connection.execute(text("pragma foreign_keys = off"))
        else:
            connection.execute(text("alter table user_task drop constraint fk_user_task_instance_id_instance"))
        connection.execute(text(
            "insert into user_task (id, instance_id, token, process, process_name, element, name, state, candidate_groups, candidate_users,"
            " properties, priority, created_at, sort_at, version) values (7, 1, 1, 'p', 'p', 'a', 'a', 'open', 'g', '', '{}', 50, 1, 1, 1)"
        ))
        connection.execute(text("insert into user_task_candidate (principal, sort_at, task_id) values ('g:g', 1, 7)"))
        connection.execute(text("insert into draft (task_id, user_id, body, saved_at) values (7, 'ann', :body, 1)"), {"body": b"{}"})

    migrate(empty)

    with empty.begin() as connection:
        assert connection.execute(text("select task_id from user_task_candidate union all select task_id from draft")).scalars().all() == [7, 7]
        for table in ("user_task_candidate", "draft"):
            assert inspect(connection).get_foreign_keys(table) == []
        connection.execute(text("delete from user_task"))
        assert connection.execute(text("select count(*) from draft")).scalar() == 1


@pytest.mark.only_on("sqlite")
def test_a_table_that_no_release_has_made_is_left_alone_with_a_word_on_what_it_is(empty: Engine) -> None:
    with empty.begin() as connection:
        command.upgrade(_config(connection), "v6")
        connection.execute(text("drop table draft"))
        connection.execute(text("create table draft (task_id integer primary key)"))

    with pytest.raises(UnknownSchema, match=r"v6 \(draft: .* FOREIGN KEY"):
        migrate(empty)

    with empty.connect() as connection:
        assert connection.execute(text("pragma writable_schema")).scalar() == 0
        assert current(connection) == "v6"
        assert "state in (" in str(connection.execute(text("select sql from sqlite_master where name = 'job'")).scalar())


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    databases.address(tmp_path, {}, empty=True)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_open_and_close, args=(tmp_path,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert [w.exitcode for w in workers] == [0, 0, 0, 0]
    database = Database(settings(tmp_path), SystemClock())
    with database.reading() as session:
        assert session.value("select count(*) from node_lease") == 4
    database.close()


def _open_and_close(path: Path) -> None:
    database = Database(settings(path), SystemClock())
    database.new_id()
    database.close()


@pytest.mark.only_on("sqlite")
def test_sqlite_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    for given, number in (("FULL", 2), ("NORMAL", 1)):
        database = Database(settings(tmp_path / given, synchronous=given), SystemClock())
        with database.reading() as session:
            assert session.value("pragma journal_mode") == "wal"
            assert session.value("pragma synchronous") == number
            assert session.value("pragma foreign_keys") == 1
        database.close()
        assert (tmp_path / given).stat().st_mode & 0o077 == 0


def test_a_transaction_that_raises_leaves_nothing(tmp_path: Path) -> None:
    database = Database(settings(tmp_path), SystemClock())

    def half() -> None:
        with database.writing() as tx:
            tx.run("insert into meta (name, value) values ('a', '1')")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    with database.writing() as tx:
        assert tx.value("select count(*) from meta") == 0

    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
        nobody(database)
    database.close()


def nobody(database: Database) -> None:
    with database.writing() as tx:
        tx.put("insert into membership (user_id, group_id) values ('nobody', 'x')")


def test_ids_never_meet_even_when_a_restart_finds_the_clock_where_it_was(tmp_path: Path) -> None:
    clock = MovableClock(MONDAY)
    seen: list[int] = []
    for _ in range(3):
        database = Database(settings(tmp_path), clock)
        other = Database(settings(tmp_path), clock)
        seen += [database.new_id() for _ in range(50)] + [other.new_id() for _ in range(50)]
        database.close()
        other.close()

    assert len(set(seen)) == len(seen)
    assert all(0 < id < 1 << 63 for id in seen)


def test_a_long_running_process_renews_its_number(tmp_path: Path) -> None:
    clock = MovableClock(MONDAY)
    database = Database(settings(tmp_path), clock)
    database.new_id()
    for _ in range(5):
        clock.advance(hours=20)
        with database.writing():
            pass

    with database.reading() as session:
        ((node, until),) = session.rows("select node, leased_until from node_lease")
    assert node == 0
    assert instant(until) > clock.now()
    database.close()


def test_when_every_number_was_used_the_one_given_up_longest_ago_is_used_again(tmp_path: Path) -> None:
    clock = MovableClock(MONDAY)
    database = Database(settings(tmp_path), clock)
    with database.writing() as tx:
        tx.run("delete from node_lease")
        tx.run_many(
            "insert into node_lease (node, owner, leased_until) values (?, ?, ?)",
            [(n, f"o{n}", micros(MONDAY) - (5 if n == 77 else 1)) for n in range(1024)],
        )
    other = Database(settings(tmp_path), clock)

    assert other.new_id() >> 12 & 1023 == 77
    other.close()
    database.close()


def test_a_forked_process_has_its_own_connections_and_its_own_ids(tmp_path: Path) -> None:
    database = Database(settings(tmp_path), MovableClock(MONDAY))
    mine = [database.new_id() for _ in range(20)]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            theirs = [database.new_id() for _ in range(20)]
            with database.writing() as tx:
                tx.run("insert into meta (name, value) values ('child', 'was here')")
            os.write(writer, " ".join(map(str, theirs)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        theirs = [int(word) for word in pipe.read().split()]
    mine += [database.new_id() for _ in range(20)]

    assert len(theirs) == 20
    assert not set(mine) & set(theirs)
    with database.reading() as session:
        assert session.value("select value from meta where name = 'child'") == "was here"
    database.close()


def test_what_a_forked_process_writes_stays_when_the_parent_closes_the_database(tmp_path: Path) -> None:
    """Who closes SQLite's file as the last puts the log into it and deletes it."""
    database, context = Database(settings(tmp_path), SystemClock()), multiprocessing.get_context("fork")
    is_open, is_closed = context.Event(), context.Event()

    def write() -> None:
        database.new_id()
        is_open.set()
        assert is_closed.wait(20)
        with database.writing() as tx:
            tx.put("insert into meta (name, value) values ('child', 'was here')")

    database.new_id()
    child = context.Process(target=write)
    child.start()
    assert is_open.wait(20)
    database.close()
    is_closed.set()
    child.join(20)
    assert child.exitcode == 0

    database = Database(settings(tmp_path), SystemClock())
    with database.reading() as session:
        assert session.value("select value from meta where name = 'child'") == "was here"
    database.close()


def test_threads_that_begin_together_get_different_ids(tmp_path: Path) -> None:
    for n in range(20):
        database = Database(settings(tmp_path / str(n)), SystemClock())
        together, ids = threading.Barrier(8), list[int]()

        def take(database: Database = database, together: threading.Barrier = together, ids: list[int] = ids) -> None:
            together.wait()
            ids.append(database.new_id())

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(ids)) == 8
        with database.reading() as session:
            assert session.value("select count(*) from node_lease") == 1
        database.close()
