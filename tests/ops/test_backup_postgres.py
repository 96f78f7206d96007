"""Backup and restore on PostgreSQL: what another database beside the old one asks of the server, and what stands in its way."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine.assembly import restore
from engine.clock import MovableClock
from engine.errors import NotRestored, StorageFailed
from engine.model import SYSTEM, Break
from engine.service import backup
from engine.service.backup import read_manifest
from engine.service.doctor import Code
from engine.settings import Settings, read_settings
from engine.store import postgres_copies
from engine.store.database import Database
from tests import postgres
from tests.bpmn.build import diagram, end, process, service, start, user
from tests.databases import on_each as on_each
from tests.ops.test_backup import DIAGRAM, beside, everything, furnished, put_back, require_unharmed, to
from tests.ops.test_backup import archive as archive
from tests.ops.test_backup import kept as kept
from tests.service.house import MONDAY, House
from tests.store.test_postgres import program

pytestmark = pytest.mark.only_on("postgresql")
WORK = diagram(process(start(), service("w", "work"), user("after"), end(), "s>w", "w>after", "after>e"))


@contextmanager
def maintenance() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.server().url("postgres"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def role() -> Iterator[str]:
    """A role that may log in and nothing else; it goes with its databases."""
    name = f"r{os.getpid()}"
    with maintenance() as server:
        server.execute(f"create role {name} login")
        yield name
        for (database,) in server.execute("select datname from pg_database where datdba = %s::regrole", (name,)).fetchall():
            server.execute(f"drop database {database} with (force)")
        server.execute(f"drop role {name}")


def owned(role: str) -> str:
    """Return the address, for a role, of a new database that it owns."""
    url = postgres.make_database(empty=True)
    with maintenance() as server:
        server.execute(f"alter database {postgres.name_of(url)} owner to {role}")
    return url.replace("postgres@", f"{role}@")


# ------------------------------------------------------------------------------------------------------------------ refusals
def test_an_archive_of_the_other_database_is_refused_and_told_how(archive: Path, tmp_path: Path) -> None:
    manifest = read_manifest(archive)
    assert (manifest.database, "psmflow.dump" in manifest.parts) == ("postgresql", True)
    file = read_settings({}, data=tmp_path / "file")

    with pytest.raises(NotRestored, match=r"a backup of PostgreSQL, and the settings name SQLite; set PSMFLOW_DATABASE_URL"):
        restore(file, archive)

    house = furnished_file(tmp_path / "sqlite")
    made = house.engine.audit.backup(tmp_path / "file.zip")
    house.close()
    before = everything(tmp_path / "new")
    with pytest.raises(NotRestored, match=r"a backup of SQLite, and the settings name PostgreSQL; unset PSMFLOW_DATABASE_URL"):
        put_back(made.path, tmp_path / "new")
    assert everything(tmp_path / "new") == before
    assert not (tmp_path / "file").exists()


def furnished_file(folder: Path) -> House:
    return House(folder, MovableClock(MONDAY), database=folder / "psmflow.db")


def test_a_role_that_makes_no_databases_is_told_what_an_administrator_runs(archive: Path, tmp_path: Path, role: str) -> None:
    mine = owned(role)
    settings = read_settings({}, data=tmp_path / "mine", database_url=mine)
    with pytest.raises(NotRestored, match=rf'run first: alter role "{role}" createdb \(psql') as told:
        restore(settings, archive)
    assert f'alter role "{role}" createdb' in told.value.text("zh")

    others = postgres.make_database(empty=True)
    settings = replace(settings, database_url=others.replace("postgres@", f"{role}@"))
    with pytest.raises(NotRestored, match=rf'createdb; alter database "{postgres.name_of(others)}" owner to "{role}" \(psql'):
        restore(settings, archive)

    assert len(postgres.databases_like(mine)) == len(postgres.databases_like(others)) == 1
    postgres.drop_database(others)


def test_a_role_of_its_own_backs_up_and_restores_and_an_administrators_extension_is_in_nobodys_way(tmp_path: Path, role: str) -> None:
    old, new = owned(role), owned(role)
    with maintenance() as server:
        server.execute(f"alter role {role} createdb")
    with psycopg.connect(old.replace(f"{role}@", "postgres@"), autocommit=True) as administrator:
        administrator.execute("create extension vector")
        administrator.execute("comment on extension plpgsql is 'mine'")
    house = House(tmp_path / "old", MovableClock(MONDAY), database_url=old)
    house.deploy(DIAGRAM)
    house.start()
    made = house.engine.audit.backup(tmp_path / "one.zip")
    house.close()
    with psycopg.connect(old.replace(f"{role}@", "postgres@"), autocommit=True) as administrator:
        administrator.execute(f"grant select on instance to {role}")

    settings = read_settings({}, data=tmp_path / "new", database_url=new)
    assert restore(settings, made.path, clock=MovableClock(MONDAY)).breaks == ()
    house = House(tmp_path / "new", MovableClock(MONDAY), database_url=new)
    assert house.rows("select count(*) from instance") == [(1,)]
    assert house.rows("select distinct tableowner from pg_tables where schemaname = 'public'") == [(role,)]
    house.close()


def test_tables_of_somebody_else_are_moved_aside_only_when_forced(archive: Path, tmp_path: Path) -> None:
    url = to(tmp_path / "new").database_url
    with psycopg.connect(url) as connection:
        connection.execute("create table theirs (n int)")
        connection.execute("insert into theirs values (7)")

    with pytest.raises(NotRestored, match=f"PostgreSQL {postgres.name_of(url)}.*--force"):
        put_back(archive, tmp_path / "new")
    done = put_back(archive, tmp_path / "new", force=True)

    with psycopg.connect(beside(url, done.aside[0].split()[-1])) as connection:
        assert connection.execute("select n from theirs").fetchall() == [(7,)]


def test_a_database_that_is_not_there_is_made(archive: Path, tmp_path: Path) -> None:
    url = to(tmp_path / "new").database_url
    postgres.drop_database(url)

    done = put_back(archive, tmp_path / "new")

    assert (done.breaks, done.aside) == ((), ())
    house = House(tmp_path / "new", MovableClock(MONDAY))
    assert house.rows("select count(*) from instance") == [(2,)]
    house.close()


def test_the_new_database_sorts_as_the_old_one(archive: Path, tmp_path: Path) -> None:
    url = to(tmp_path / "new").database_url
    name = postgres.name_of(url)
    with maintenance() as server:
        server.execute(f"drop database {name}")
        server.execute(f"create database {name} template template0 encoding 'UTF8' locale 'C' locale_provider builtin builtin_locale 'C.UTF-8'")

        put_back(archive, tmp_path / "new")

        row = server.execute("select datcollate, datlocprovider, datlocale from pg_database where datname = %s", (name,)).fetchone()
    assert row == ("C", "b", "C.UTF-8")


def test_a_long_name_leaves_room_for_what_is_added(archive: Path, tmp_path: Path) -> None:
    url = to(tmp_path / "new").database_url
    long = postgres.name_of(url) + "_" + "华" * 17
    with maintenance() as server:
        server.execute(f'create database "{long}" template template0')
    settings = replace(to(tmp_path / "new"), database_url=beside(url, long))

    done = restore(settings, archive, clock=MovableClock(MONDAY))

    (aside,) = [place.removeprefix("PostgreSQL ") for place in done.aside]
    assert len(aside.encode()) <= 63
    assert aside.endswith("_before_restore_20260302_010000")
    assert {long, aside} <= set(postgres.databases_like(url))
    with maintenance() as server:
        for name in (long, aside):
            server.execute(f'drop database "{name}"')


def test_without_pg_restore_nothing_is_touched(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres_copies, "FOLDERS", ())

    with pytest.raises(StorageFailed, match="pg_restore is not installed; install"):
        put_back(archive, tmp_path / "new", force=True)

    require_unharmed(tmp_path / "new", kept)


# ------------------------------------------------------------------------------------------------------------------- half-way
def test_a_pg_restore_that_fails_leaves_the_old_house(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    real = postgres.programs() / "pg_restore"
    program(tmp_path / "bin", "pg_restore", f'[ "$1" = --list ] && exec {real} "$@"\necho the disk is full >&2\nexit 1')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)

    with pytest.raises(StorageFailed, match=r"pg_restore failed \(the disk is full\)"):
        put_back(archive, tmp_path / "new", force=True)

    require_unharmed(tmp_path / "new", kept)


def test_a_database_that_somebody_enters_meanwhile_keeps_its_name(archive: Path, tmp_path: Path, kept: int) -> None:
    settings, entered = to(tmp_path / "new"), []

    def check(staged: Settings) -> tuple[Break, ...]:
        entered.append(psycopg.connect(settings.database_url))
        return ()

    with pytest.raises(NotRestored, match="is connected to it; stop that first"):
        backup.restore(settings, MovableClock(MONDAY), archive, check, force=True)

    entered[0].close()
    require_unharmed(tmp_path / "new", kept)


def test_a_server_that_ends_the_connection_while_names_change_leaves_the_old_house(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    real, calls = os.rename, []

    def rename(source: Any, target: Any) -> None:
        real(source, target)
        if not calls:
            with maintenance() as server:
                server.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where state = 'idle in transaction' and query ~ 'rename to'")
        calls.append(target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(StorageFailed):
        put_back(archive, tmp_path / "new", force=True)
    monkeypatch.undo()

    require_unharmed(tmp_path / "new", kept)


@contextmanager
def answer_lost(monkeypatch: pytest.MonkeyPatch, *, server_away: bool) -> Iterator[None]:
    """The commit is done and nobody hears of it; then the server may be away."""
    execute, connect = psycopg.Connection.execute, psycopg.connect
    away = False

    def executed(self: psycopg.Connection[Any], query: Any, *values: Any, **options: Any) -> Any:
        nonlocal away
        done = execute(self, query, *values, **options)
        if query == "commit":
            self.close()
            away = server_away
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return done

    def connected(*words: Any, **options: Any) -> Any:
        if away:
            raise psycopg.OperationalError("connection refused")
        return connect(*words, **options)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", executed)
        patch.setattr(psycopg, "connect", connected)
        yield


def test_a_commit_whose_answer_is_lost_is_looked_after(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    with answer_lost(monkeypatch, server_away=False):
        done = put_back(archive, tmp_path / "new", force=True)

    assert len(done.aside) == 2
    house = House(tmp_path / "new", MovableClock(MONDAY))
    assert house.rows("select count(*) from instance where id = ?", kept) == [(0,)]
    assert {a.code for a in house.engine.audit.examine()}.isdisjoint({Code.FILE_MISSING, Code.TABLES})
    house.close()


def test_a_server_that_is_away_after_the_commit_leaves_commands_that_lead_back(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    with answer_lost(monkeypatch, server_away=True), pytest.raises(StorageFailed, match="the connection to the server broke") as told:
        put_back(archive, tmp_path / "new", force=True)

    found = re.search(r"If there is a database (\w+) now, .* run: (.*); (.*); then", told.value.text("en"))
    assert found is not None
    assert found[1] in postgres.databases_like(to(tmp_path / "new").database_url)
    with maintenance() as server:
        for command in found.groups()[1:]:
            server.execute(command)
        server.execute("drop database " + found[2].split(" rename to ")[1])
    require_unharmed(tmp_path / "new", kept)


# ------------------------------------------------------------------------------------------------------------------ all of it
@pytest.mark.parametrize("before", ["local", "procrastinate"])
def test_a_restored_house_goes_on_with_procrastinates_workers(tmp_path: Path, before: str) -> None:
    house, done = House(tmp_path / "old", MovableClock(MONDAY), dispatch=before), threading.Event()
    house.handler("work")(lambda job: done.set())
    house.deploy(WORK)
    id = house.start().id
    made = house.engine.audit.backup(tmp_path / "one.zip")
    if before == "procrastinate":
        assert house.rows("select count(*) from procrastinate_jobs") == [(1,)]
    house.close()

    assert restore(replace(to(tmp_path / "new"), dispatch="procrastinate"), made.path, clock=MovableClock(MONDAY)).breaks == ()

    house = House(tmp_path / "new", MovableClock(MONDAY), house.handlers, dispatch="procrastinate")
    house.engine.dispatch()
    assert done.wait(30)
    house.close()
    house = House(tmp_path / "new", MovableClock(MONDAY))
    assert house.task(id).element == "after"
    assert house.engine.audit.cross_check() == ()
    house.close()


def test_what_is_written_before_pg_dump_begins_is_neither_counted_nor_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = furnished(tmp_path / "old")
    real = postgres_copies.dump

    def late(*words: Any) -> None:
        id = house.start().id
        house.engine.tasks.attach(SYSTEM, house.task(id).id, "files", "late.pdf", "application/pdf", BytesIO(b"%PDF-1.7 late"))
        real(*words)

    monkeypatch.setattr(postgres_copies, "dump", late)
    made = house.engine.audit.backup(tmp_path / "one.zip")
    house.close()

    assert (made.manifest.instance_count, made.manifest.document_count) == (2, 1)
    assert put_back(made.path, tmp_path / "new").breaks == ()
    house = House(tmp_path / "new", MovableClock(MONDAY))
    assert house.rows("select count(*), sum(seq) from instance") == [(2, made.manifest.event_count)]
    assert house.rows("select name from document") == [("标书.pdf",)]
    house.close()


def test_the_history_lies_in_its_partitions_again(tmp_path: Path) -> None:
    house = furnished(tmp_path / "old")
    by_partition = house.rows("select tableoid::regclass::text, count(*) from event group by 1 order by 1")
    assert [name for name, _ in by_partition] == ["event_2026_03"]
    made = house.engine.audit.backup(tmp_path / "one.zip")
    house.close()

    put_back(made.path, tmp_path / "new")

    house = House(tmp_path / "new", MovableClock(MONDAY))
    assert house.rows("select tableoid::regclass::text, count(*) from event group by 1 order by 1") == by_partition
    house.close()


def test_new_partitions_wait_while_the_database_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MovableClock(MONDAY)
    house = House(tmp_path / "data", clock)
    clock.advance(days=60)

    def partitions() -> set[str]:
        return {name for (name,) in house.rows("select inhrelid::regclass::text from pg_inherits where inhparent = 'event'::regclass")}

    def dump(*_: Any) -> None:
        Database(house.settings, clock).close()
        assert "event_2026_08" not in partitions()

    monkeypatch.setattr(postgres_copies, "dump", dump)
    house.engine._database.backup(tmp_path / "a")

    Database(house.settings, clock).close()
    assert "event_2026_08" in partitions()
    house.close()
