"""What PostgreSQL alone can do to us: connections that break, sessions that wait for each other, values that it does not take."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from engine.clock import MovableClock, SystemClock, first_id
from engine.errors import Conflict, OutcomeUnknown, StorageFailed, Unstorable
from engine.model import TaskState
from engine.settings import read_settings
from engine.store import postgres as ours
from engine.store import postgres_copies
from engine.store.database import Database, Missed, Session
from engine.store.partitions import months
from tests import databases, postgres
from tests.bpmn.build import diagram, end, process, start, user
from tests.service.house import MONDAY, House
from tests.service.laws import require_agreement

pytestmark = pytest.mark.only_on("postgresql")


def opened(path: Path, **changes: str) -> Database:
    return Database(read_settings({}, data=path, database_url=databases.address(path, {}), **changes), SystemClock())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = opened(tmp_path)
    yield made
    made.close()


@pytest.fixture
def admin(database: Database, tmp_path: Path) -> Iterator[psycopg.Connection]:
    with psycopg.connect(databases.address(tmp_path, {}), autocommit=True) as connection:
        yield connection


def put(tx: Session, name: str, value: str = "1") -> None:
    tx.put("insert into meta (name, value) values (?, ?)", (name, value))


def kept(database: Database) -> dict[str, str]:
    with database.reading() as session:
        return dict(session.rows("select name, value from meta where name like 't%'"))


def terminate(admin: psycopg.Connection) -> int:
    """Let the server end every connection of ours."""
    return admin.execute(
        "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where datname = current_database() and application_name = 'psmflow'"
    ).fetchone()[0]


def test_connections_that_the_server_has_closed_are_replaced_without_anybody_noticing(
    database: Database, admin: psycopg.Connection
) -> None:
    for _ in range(3):
        with database.writing() as tx:
            tx.put("insert into meta (name, value) values ('t', '0') on conflict (name) do update set value = meta.value || '+'")
        assert terminate(admin) >= 1

    assert kept(database) == {"t": "0++"}


def test_a_connection_that_breaks_within_a_transaction_leaves_nothing_and_is_told(
    database: Database, admin: psycopg.Connection
) -> None:
    def broken() -> None:
        with database.writing() as tx:
            put(tx, "t1")
            assert tx.value("select value from meta where name = 't1'") == "1"
            terminate(admin)
            put(tx, "t2")
            tx.value("select 1")

    with pytest.raises(StorageFailed, match="connection broke") as told:
        broken()

    assert not isinstance(told.value, OutcomeUnknown)
    assert kept(database) == {}


def test_a_connection_that_breaks_within_the_commit_leaves_it_open_what_became_of_it(
    database: Database, admin: psycopg.Connection
) -> None:
    def broken() -> None:
        with database.writing() as tx:
            put(tx, "t1")
            terminate(admin)

    with pytest.raises(OutcomeUnknown, match="may be kept or not"):
        broken()


def test_a_server_that_stops_and_starts_again_is_away_and_then_there_again(tmp_path: Path) -> None:
    server = postgres.Server(Path(tempfile.mkdtemp(prefix="psmflow-")))  # not below tmp_path, where nobody else may look
    server.folder.chmod(0o755)
    try:
        server.start()
        settings = read_settings({}, data=tmp_path, database_url=server.url("postgres"))
        database = Database(settings, SystemClock())
        with database.writing() as tx:
            put(tx, "t1")
        server.stop()

        with pytest.raises(StorageFailed, match="does not answer"):
            kept(database)
        with pytest.raises(StorageFailed, match="does not answer"):
            Database(settings, SystemClock())

        server.start()
        assert kept(database) == {"t1": "1"}
        database.close()
    finally:
        server.stop()
        shutil.rmtree(server.folder)


def test_what_an_administrator_can_mend_is_named(database: Database, admin: psycopg.Connection, tmp_path: Path) -> None:
    name, url = admin.info.dbname, databases.address(tmp_path, {})
    admin.execute(f"create role {name}_locked nologin")
    admin.execute(f"create role {name}_one login connection limit 0")
    admin.execute(f"create role {name}_weak login")
    try:
        for changed, said in (
            (url.replace("postgres@", f"{name}_locked@"), "refuses the login"),
            (url.replace("postgres@", f"{name}_nobody@"), "refuses the login"),
            (url.replace("postgres@", f"{name}_one@"), "no connection left"),
            (url.replace("postgres@", f"{name}_weak@"), "lacks a permission"),
            (url.replace(name, f"{name}_gone"), "does not exist"),
        ):
            with pytest.raises(StorageFailed, match=said):
                Database(read_settings({}, data=tmp_path, database_url=changed), SystemClock())

        admin.execute(f"alter database {name} set default_transaction_read_only = on")
        terminate(admin)
        with pytest.raises(StorageFailed, match="read-only"), database.writing() as tx:
            put(tx, "t1")
        assert kept(database) == {}
        admin.execute("set transaction_read_only = off")
        admin.execute("set default_transaction_read_only = off")
        admin.execute(f"alter database {name} reset default_transaction_read_only")
        terminate(admin)
    finally:
        for role in ("locked", "one", "weak"):
            admin.execute(f"drop role {name}_{role}")


def test_a_database_that_keeps_its_texts_otherwise_is_refused(tmp_path: Path) -> None:
    with psycopg.connect(postgres.server().url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database latin_{tmp_path.stat().st_ino} template template0 encoding latin1 locale 'C'")
    url = postgres.server().url(f"latin_{tmp_path.stat().st_ino}")

    with pytest.raises(StorageFailed, match="UTF8"):
        Database(read_settings({}, data=tmp_path, database_url=url), SystemClock())
    postgres.drop_database(url)


def test_two_who_wait_for_each_other_are_not_kept_waiting(database: Database) -> None:
    with database.writing() as tx:
        put(tx, "ta")
        put(tx, "tb")
    both, told = threading.Barrier(2), list[str]()

    def change(first: str, second: str) -> None:
        try:
            with database.writing() as tx:
                tx.run("update meta set value = value || ? where name = ?", (first, first))
                both.wait()
                tx.run("update meta set value = value || ? where name = ?", (first, second))
            told.append("done")
        except Missed:
            told.append("missed")

    threads = [threading.Thread(target=change, args=pair) for pair in (("ta", "tb"), ("tb", "ta"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(told) == ["done", "missed"]
    assert set(kept(database).values()) in ({"1ta"}, {"1tb"})


def test_who_waits_too_long_for_another_is_told_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_SET_UP", "set lock_timeout = '20ms'")
    database = opened(tmp_path)
    with database.writing() as tx:
        put(tx, "t1")

    with database.writing() as holder:
        holder.run("update meta set value = '2' where name = 't1'")
        with pytest.raises(Conflict) as told, database.writing() as tx:
            tx.put("update meta set value = '3' where name = 't1'")
    assert not isinstance(told.value, Missed)
    assert kept(database) == {"t1": "2"}
    database.close()


@pytest.mark.parametrize("value", ["a\0b", "x" * 300])
def test_a_text_that_the_database_does_not_take_is_the_callers_matter(database: Database, value: str) -> None:
    with pytest.raises(Unstorable), database.writing() as tx:
        put(tx, value)
    with pytest.raises(Unstorable), database.reading() as session:
        session.rows("select 1 from instance where id = ?", (1 << 63,))
    assert kept(database) == {}


def test_values_come_back_as_they_were_given(database: Database) -> None:
    with database.reading() as session:
        assert session.row(
            "select cast(? as bigint), cast(? as integer), cast(? as smallint), cast(? as text), cast(? as bytea), cast(? as varchar(9)),"
            " 1 = 1, null",
            (-(1 << 62), -5, 7, "中文?", b"\0\xff", "v"),
        ) == (-(1 << 62), -5, 7, "中文?", b"\0\xff", "v", True, None)
        for n in (0, 1, -1, 9_999, 10_000, 123_456_789_012_345_678, -(1 << 62)):
            assert session.value("select sum(cast(x as bigint)) from (values (cast(? as bigint)), (0)) v(x)", (n,)) == n
        assert session.read(("select 1 where 1 = 2", ()), ("select '?', ?::text", ("b",))) == [[], [("?", "b")]]
        with pytest.raises(TypeError):
            session.value("select now()")
        with pytest.raises(TypeError):
            session.value("select ?", (1.5,))
        assert session.value("select 1") == 1


def test_values_of_other_types_are_a_mistake_of_ours(database: Database) -> None:
    with database.reading() as session:
        assert session.value("select ?::bigint", (True,)) == 1
        assert session.value("select ?::text", (TaskState.OPEN,)) == "open"
        with pytest.raises(TypeError, match="takes no Decimal"):
            session.value("select ?::numeric", (Decimal(1),))
        assert session.value("select 1") == 1


def test_a_must_that_misses_leaves_nothing_and_the_next_transaction_is_whole(database: Database) -> None:
    def miss() -> None:
        with database.writing() as tx:
            put(tx, "t1")
            tx.must("update meta set value = '2' where name = ?", ("nobody",))
            put(tx, "t2")

    for _ in range(2):  # the second time with what the first has prepared, or has not
        with pytest.raises(Missed):
            miss()
        with database.writing() as tx:
            tx.put("delete from meta where name = 't3'")
            tx.must("insert into meta (name, value) values (?, ?) on conflict do nothing", ("t3", "x"))
        assert kept(database) == {"t3": "x"}


def add_apart(database: Database, *names: str, must: str = "") -> None:
    with database.writing() as tx:
        tx.apart()
        for name in names:
            put(tx, name)
        if must:
            tx.must("update meta set value = '2' where name = ?", (must,))


def test_what_is_prepared_while_a_table_is_small_does_not_read_all_of_it(database: Database, admin: psycopg.Connection) -> None:
    put_one = "insert into meta (name, value) values (?, '1')"
    with database.writing() as tx:
        tx.run_many(put_one, [(f"t{n}",) for n in range(3)])
    admin.execute("vacuum full analyze meta")  # now the server knows how small it is

    with database.reading() as session:
        plan = [step for (step,) in session.rows("explain select value from meta where name = 't1'")]

    assert "Index Scan" in plan[0]


def test_writes_that_are_apart_become_one_statement_once_they_come_often(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_USUAL", 2)
    put_one = "insert into meta (name, value) values (?, ?)"
    add_apart(database, "t0")
    sent = databases.Watch(monkeypatch)

    for n in range(4):
        add_apart(database, f"ta{n}", f"tb{n}")

    begin, together = "begin isolation level read committed", f"with s0 as ({put_one}), s1 as ({put_one}) select 1"
    assert sent.seen() == [[begin, put_one, put_one, "commit"]] * 2 + [[together]] * 2
    assert len(kept(database)) == 9


def test_one_of_the_writes_that_are_apart_that_misses_or_fails_leaves_nothing_of_the_others(database: Database) -> None:
    add_apart(database, "t0")
    for must, names, told in (("none", ("t1",), Missed), ("t0", ("t1", "t0"), psycopg.errors.UniqueViolation)):
        with pytest.raises(told):
            add_apart(database, *names, must=must)

    assert kept(database) == {"t0": "1"}
    add_apart(database, "t1", must="t0")
    assert kept(database) == {"t0": "2", "t1": "1"}


def test_who_asks_in_between_sees_what_was_written_apart(database: Database) -> None:
    with database.writing() as tx:
        tx.apart()
        put(tx, "t1")
        assert tx.value("select value from meta where name = 't1'") == "1"
        put(tx, "t2")
        tx.must("update meta set value = '2' where name = 't2'")

    assert kept(database) == {"t1": "1", "t2": "2"}


def test_nothing_is_left_of_writes_apart_that_are_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    add_apart(database, "t0")
    sent = databases.Watch(monkeypatch)

    def given_up() -> None:
        with database.writing() as tx:
            tx.apart()
            put(tx, "t1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        given_up()
    assert sent.seen() == []
    assert kept(database) == {"t0": "1"}


def test_a_connection_that_breaks_within_writes_apart_leaves_it_open_what_became_of_them(
    database: Database, admin: psycopg.Connection
) -> None:
    def broken() -> None:
        with database.writing() as tx:
            tx.apart()
            put(tx, "t1")
            put(tx, "t2")
            terminate(admin)

    with pytest.raises(OutcomeUnknown, match="may be kept or not"):
        broken()


def test_combinations_without_end_fill_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_USUAL", 1)
    monkeypatch.setattr(ours, "_MOST_COUNTED", 5)
    for n in range(12):
        with database.writing() as tx:
            tx.apart()
            for column in "ab":
                tx.put(f"insert into meta (name, value) values (?, '{n}')", (f"t{column}{n}",))

    assert len(kept(database)) == 24
    with database.reading() as session:
        assert len(session._wire._shapes) <= 5


@pytest.mark.parametrize("is_soon", [True, False])
def test_a_lone_thread_waits_awake_for_what_comes_soon_and_sleeps_for_the_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch, is_soon: bool
) -> None:
    asked = list[float]()
    monkeypatch.setattr(ours, "_AWAKE", 10.0 if is_soon else 0.0)
    monkeypatch.setattr(ours.os, "sched_yield", lambda: asked.append(0))

    for _ in range(3):
        with database.reading() as session:
            assert session.value("select 1 from pg_sleep(0.02)") == 1
            assert session._wire._is_soon is is_soon
            with database.reading() as other:  # nobody is alone now
                before = len(asked)
                other.value("select 1 from pg_sleep(0.02)")
                assert len(asked) == before

    assert bool(asked) is is_soon


def test_a_mistake_of_ours_is_raised_as_it_is_and_the_connection_lives(database: Database) -> None:
    def mistaken() -> None:
        with database.writing() as tx:
            put(tx, "t1")
            tx.put("delete from nothing")
            put(tx, "t2")

    for _ in range(2):
        with pytest.raises(psycopg.errors.UndefinedTable):
            mistaken()
        with pytest.raises(psycopg.errors.UndefinedTable), database.reading() as session:
            session.rows("select * from nothing")
    assert kept(database) == {}


def test_an_exception_in_the_block_takes_everything_back(database: Database) -> None:
    def given_up(look: bool) -> None:
        with database.writing() as tx:
            put(tx, "t1")
            if look:
                assert tx.value("select count(*) from meta where name = 't1'") == 1
            raise KeyError

    for look in (False, True):
        with pytest.raises(KeyError):
            given_up(look)
    assert kept(database) == {}


def test_texts_without_end_do_not_fill_the_server(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_MOST_STATEMENTS", 5)
    for n in range(30):
        with database.reading() as session:
            assert session.value(f"select {n}") == n
            assert session.value("select count(*) from pg_prepared_statements") <= 5


def test_much_at_once_goes_through(database: Database) -> None:
    big = "中" * 100_000
    with database.writing() as tx:
        tx.run_many("insert into meta (name, value) values (?, ?)", [(f"t{n}", big) for n in range(200)])
        assert tx.value("select sum(length(value)) from meta where name like 't%'") == 20_000_000
    with database.reading() as session:
        assert len(session.rows("select value from meta where name like 't%'")) == 200


def test_a_snapshot_sees_one_moment(database: Database) -> None:
    with database.snapshot() as session:
        before = session.value("select count(*) from meta")
        with database.writing() as tx:
            put(tx, "t1")
        assert session.value("select count(*) from meta") == before


def test_who_looks_at_the_server_finds_our_connections_by_name(database: Database, admin: psycopg.Connection) -> None:
    with database.reading():
        found = admin.execute("select 1 from pg_stat_activity where application_name = 'psmflow' and datname = current_database()")
        assert found.fetchone() is not None


@pytest.mark.parametrize(("synchronous", "setting"), [("FULL", "on"), ("NORMAL", "off")])
def test_durability_is_the_setting(tmp_path: Path, synchronous: str, setting: str) -> None:
    database = opened(tmp_path, synchronous=synchronous)
    with database.reading() as session:
        assert session.value("select current_setting('synchronous_commit')") == setting
    database.close()


# --------------------------------------------------------------------------------------------------------------------------- copies
def test_a_copy_is_what_pg_dump_writes_and_pg_restore_reads(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    house.deploy(diagram(process(start(), user("a"), end(), "s>a", "a>e")))
    id = house.start(variables={"n": 1}).id
    server = house.engine._database._server
    server._conninfo = ours.make_conninfo(server._conninfo, sslpassword="none is asked for")  # it goes another way than the rest
    found = house.engine._database.backup(tmp_path / "copies" / "psmflow.dump")
    house.complete(id)
    house.close()

    assert (found.database, found.instance_count) == ("postgresql", 1)
    url = postgres.make_database(empty=True)
    copy = tmp_path / "copies" / "psmflow.dump"
    assert copy.stat().st_mode & 0o077 == 0
    subprocess.run(["pg_restore", "--exit-on-error", f"--dbname={url}", copy], check=True)
    house = House(tmp_path / "other", database_url=url)
    assert house.engine.audit.verify() == ()
    house.complete(id)
    assert house.status(id) == "completed"
    require_agreement(house)
    house.close()
    postgres.drop_database(url)


def program(folder: Path, name: str, script: str, version: int = 18) -> None:
    """Put a program into a folder that says it is of a version of PostgreSQL."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) {version}.1 (Debian)" && exit\n{script}\n')
    (folder / name).chmod(0o755)


def test_without_pg_dump_it_is_told_what_to_install(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres_copies, "FOLDERS", ())

    with pytest.raises(StorageFailed, match=r"pg_dump is not installed; install .* postgresql-client-18\)"):
        database.backup(tmp_path / "my.dump")

    assert not (tmp_path / "my.dump").exists()


def test_a_pg_dump_older_than_the_server_is_not_used_where_its_own_is_there(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "old", "pg_dump", "exit 9", version=15)
    monkeypatch.setenv("PATH", str(tmp_path / "old"), prepend=os.pathsep)
    monkeypatch.setattr(postgres_copies, "FOLDERS", ())
    with pytest.raises(StorageFailed, match=r"does not fit the server's version 18 \(.*old/pg_dump: 15\)"):
        database.backup(tmp_path / "my.dump")

    (tmp_path / "18").symlink_to(postgres.programs())
    monkeypatch.setattr(postgres_copies, "FOLDERS", (f"{tmp_path}/{{}}",))
    database.backup(tmp_path / "my.dump")

    assert (tmp_path / "my.dump").read_bytes().startswith(b"PGDMP")


def test_programs_that_restore_what_older_servers_do_not_know_are_not_used_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "path", "pg_restore", "", version=17)
    monkeypatch.setenv("PATH", str(tmp_path / "path"), prepend=os.pathsep)
    monkeypatch.setattr(postgres_copies, "FOLDERS", ())

    assert postgres_copies.require_program("pg_restore", 17, "恢复", "restored") == str(tmp_path / "path" / "pg_restore")
    with pytest.raises(StorageFailed, match="does not fit the server's version 16"):
        postgres_copies.require_program("pg_restore", 16, "恢复", "restored")


def test_the_password_stands_in_no_message_and_on_no_command_line(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = f'echo "$*" > {tmp_path}/words; echo "$PGPASSWORD" > {tmp_path}/secret; stat -c %a "$PGSERVICEFILE" > {tmp_path}/service'
    program(tmp_path / "bin", "pg_dump", f'{keep}; cat "$PGSERVICEFILE" >> {tmp_path}/service; echo no such luck >&2; exit 1')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    url = databases.address(tmp_path, {})
    assert url is not None
    monkeypatch.setattr(database._server, "_conninfo", ours.make_conninfo(url, password="s3cret", sslpassword="s3cret too"))

    with pytest.raises(StorageFailed, match="no such luck") as told:
        database.backup(tmp_path / "my.dump")

    assert (tmp_path / "secret").read_text() == "s3cret\n"
    assert (tmp_path / "service").read_text() == "600\n[psmflow]\nsslpassword=s3cret too\n"
    assert "service=psmflow" in (tmp_path / "words").read_text()
    assert "--snapshot=" in (tmp_path / "words").read_text()
    assert "s3cret" not in (tmp_path / "words").read_text() + told.value.text("zh") + str(told.value)
    assert not (tmp_path / "my.dump").exists()


# ---------------------------------------------------------------------------------------------------------------------- partitions
def entries(database: Database) -> dict[str, int]:
    with database.reading() as session:
        return dict(session.rows("select tableoid::regclass::text, count(*) from event group by 1"))


def test_the_history_of_a_month_lies_in_its_own_partition(tmp_path: Path) -> None:
    url = databases.address(tmp_path, {}, empty=True)
    clock = MovableClock(MONDAY)
    database = Database(read_settings({}, data=tmp_path, database_url=url), clock)
    assert [suffix for suffix, _, _ in months(MONDAY)] == ["2026_03", "2026_04", "2026_05", "2026_06"]

    def write(at: datetime) -> None:
        with database.writing() as tx:
            tx.put("insert into event (instance_id, seq, body, hash) values (?, 1, ?, ?)", (first_id(at) + 1, b"", b""))

    write(MONDAY)
    write(datetime(2026, 3, 31, 23, 59, 59, 999000, tzinfo=UTC))
    write(datetime(2026, 4, 1, tzinfo=UTC))
    write(datetime(2027, 1, 15, tzinfo=UTC))
    assert entries(database) == {"event_2026_03": 2, "event_2026_04": 1, "event_default": 1}

    clock.move_to(datetime(2026, 12, 31, tzinfo=UTC))
    write(MONDAY.replace(day=3))  # the first transaction after twelve hours makes the partitions of the next months
    assert entries(database) == {"event_2026_03": 3, "event_2026_04": 1, "event_2027_01": 1}
    database.close()
