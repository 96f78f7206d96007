"""Backup and restore: consistent while others write, whole or not at all, nothing lost by a bad archive."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine.assembly import restore
from engine.clock import MovableClock
from engine.errors import BadArchive, NotRestored, StorageFailed
from engine.model import SYSTEM
from engine.service.backup import Restored, read_manifest, stored_at
from engine.service.vault import Vault
from engine.settings import Settings, kept_secret, read_settings
from engine.store import copies
from engine.store.migrations import scripts
from tests import databases, postgres
from tests.bpmn.build import boundary, diagram, end, process, start, timer, user
from tests.databases import kind
from tests.databases import on_each as on_each
from tests.service.house import MONDAY, House

DIAGRAM = diagram(process(
    start(), user("a"), boundary("late", "a", timer("timeDuration", "P9D")), end(), end("e2"), "s>a", "a>e", "late>e2",
))


def furnished(folder: Path) -> House:
    """A house with an ended and an open case, an uploaded file and a secret key."""
    house = House(folder, MovableClock(MONDAY))
    house.deploy(DIAGRAM)
    house.complete(house.start().id)
    task = house.task(house.start().id)
    house.engine.tasks.attach(SYSTEM, task.id, "files", "标书.pdf", "application/pdf", BytesIO(b"%PDF-1.7 sealed"))
    kept_secret(folder)
    return house


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    house = furnished(tmp_path / "old")
    made = house.engine.audit.backup(tmp_path / "one.zip")
    house.close()
    return made.path


def to(folder: Path) -> Settings:
    """Return the settings of the installation in `folder`; on PostgreSQL its database is there, and empty if it is a new one."""
    url = databases.address(folder, {}, empty=True)
    return read_settings({}, data=folder, synchronous="NORMAL", **({} if url is None else {"database_url": url}))


def put_back(archive: Path, folder: Path, **options: Any) -> Restored:
    return restore(to(folder), archive, clock=MovableClock(MONDAY), **options)


def everything(folder: Path) -> dict[str, bytes]:
    """Return ``{path: bytes}`` of all that lies in a folder, and the databases of its installation with what they hold."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    url = to(folder).database_url
    for name, number in postgres.databases_like(url).items() if url else ():
        with psycopg.connect(beside(url, name)) as connection:
            tables = [t for (t,) in connection.execute("select tablename from pg_tables where schemaname = 'public' order by 1")]
            rows = {t: connection.execute(f"select * from {t} order by 1").fetchall() for t in tables if t not in ("event", "event_payload")}
        found[name] = repr((number, rows)).encode()
    return found


def beside(url: str, name: str) -> str:
    """Return the address of another database on the server."""
    return url.replace(f"/{postgres.name_of(url)}?", f"/{name}?")


def test_a_backup_holds_database_files_and_manifest_but_no_secret(archive: Path) -> None:
    manifest = read_manifest(archive)

    assert (manifest.instance_count, manifest.document_count, manifest.lacking) == (2, 1, ())
    assert not manifest.has_secret
    with zipfile.ZipFile(archive) as opened:
        assert set(opened.namelist()) == {*manifest.parts, "manifest.json"}
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert [p.name for p in archive.parent.iterdir() if p.name.startswith(".")] == []


def test_a_folder_gets_an_archive_named_after_the_time(tmp_path: Path) -> None:
    house = furnished(tmp_path / "data")

    assert house.engine.audit.backup(tmp_path).path == tmp_path / "psmflow-20260302T010000Z.zip"
    with pytest.raises(FileExistsError):
        house.engine.audit.backup(tmp_path)
    house.close()


def test_the_secret_key_travels_only_when_asked(tmp_path: Path) -> None:
    house = furnished(tmp_path / "old")
    house.engine.audit.backup(tmp_path / "with.zip", with_secret=True)
    house.close()

    put_back(tmp_path / "with.zip", tmp_path / "new")

    assert kept_secret(tmp_path / "new") == kept_secret(tmp_path / "old")
    assert stat.S_IMODE((tmp_path / "new" / "secret.key").stat().st_mode) == 0o600


def test_the_key_of_sealed_prices_travels_only_when_asked_and_never_from_elsewhere(tmp_path: Path) -> None:
    house = furnished(tmp_path / "old")
    _, made = house.engine._runtime.sealing.vault.key(None)
    assert not house.engine.audit.backup(tmp_path / "without.zip").manifest.has_sealing_key
    assert house.engine.audit.backup(tmp_path / "with.zip", with_secret=True).manifest.has_sealing_key
    house.close()

    put_back(tmp_path / "with.zip", tmp_path / "new")
    key = tmp_path / "new" / "sealing.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert Vault(key).key(made)[1] == made
    put_back(tmp_path / "without.zip", tmp_path / "new", force=True)
    assert key.exists(), "the key that is not in the archive stays"

    apart = House(tmp_path / "apart", MovableClock(MONDAY), sealing_key_file=str(tmp_path / "safe.key"))
    apart.engine._runtime.sealing.vault.key(None)
    assert not apart.engine.audit.backup(tmp_path / "apart.zip", with_secret=True).manifest.has_sealing_key
    apart.close()


def test_a_restored_house_goes_on_as_if_nothing_had_happened(archive: Path, tmp_path: Path) -> None:
    done = put_back(archive, tmp_path / "new" / "data")

    assert done.breaks == ()
    assert (done.aside == ()) is (kind() == "sqlite"), "the empty database is moved aside"
    house = House(tmp_path / "new" / "data", MovableClock(MONDAY))
    ((document,),) = house.rows("select id from document")
    _, file = house.engine.tasks.open_document(SYSTEM, document)
    with file:
        assert file.read() == b"%PDF-1.7 sealed"
    ((open_id,),) = house.rows("select id from instance where status = 'active'")
    house.complete(open_id)
    assert house.status(open_id) == "completed"
    assert house.engine.audit.verify() == house.engine.audit.cross_check() == ()
    if kind() == "sqlite":
        assert stat.S_IMODE(house.settings.database.stat().st_mode) & 0o077 == 0
    assert {p.name for p in house.folder.iterdir()} <= {"psmflow.db", "psmflow.db-wal", "psmflow.db-shm", "psmflow.db.lock", "documents"}
    house.close()


def test_a_backup_taken_while_threads_write_restores_to_a_house_that_agrees(tmp_path: Path) -> None:
    house = House(tmp_path / "data", MovableClock(MONDAY))
    house.deploy(DIAGRAM)
    stop, problems, counts = threading.Event(), list[BaseException](), [0, 0, 0]

    def work(n: int) -> None:
        try:
            while not stop.is_set():
                id = house.start(variables={"n": n}).id
                task = house.task(id)
                body = f"%PDF-1.7 {n} {counts[n]}".encode()
                house.engine.tasks.attach(SYSTEM, task.id, "files", "标书.pdf", "application/pdf", BytesIO(body))
                if counts[n] % 3:
                    house.complete(id)
                counts[n] += 1
        except BaseException as error:
            problems.append(error)
            raise

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        for n in range(3):
            while min(counts) < 3 * n + 2:
                assert not problems
            house.engine.audit.backup(tmp_path / f"{n}.zip")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    house.close()

    assert not problems
    for n in range(3):
        manifest = read_manifest(tmp_path / f"{n}.zip")
        assert manifest.lacking == ()
        assert manifest.document_count >= 3 * (3 * n + 2)
        assert put_back(tmp_path / f"{n}.zip", tmp_path / f"new{n}").breaks == ()
        house = House(tmp_path / f"new{n}", MovableClock(MONDAY))
        assert house.rows("select count(*), sum(seq) from instance") == [(manifest.instance_count, manifest.event_count)]
        assert house.engine.audit.verify() == house.engine.audit.cross_check() == ()
        house.close()


# ------------------------------------------------------------------------------------------------------------- bad archives
def _cut(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-400])


def _flip(archive: Path) -> None:
    """Change a byte of the stored file within the archive, its checksum too, as somebody would who knows ZIP files."""
    _rewrite(archive, lambda parts: {n: b.replace(b"sealed", b"opened") for n, b in parts.items()})


def _edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(archive: Path) -> None:
        def changed(parts: dict[str, bytes]) -> dict[str, bytes]:
            manifest = json.loads(parts["manifest.json"])
            change(manifest)
            return {**parts, "manifest.json": json.dumps(manifest).encode()}

        _rewrite(archive, changed)

    return edit


def _rewrite(archive: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    with zipfile.ZipFile(archive) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    with zipfile.ZipFile(archive, "w") as opened:
        for name, body in change(parts).items():
            opened.writestr(name, body)


def _with_database(archive: Path, body: bytes) -> None:
    """Another copy of a database, with a manifest that fits it."""
    part = copies.PARTS[kind()]

    def changed(parts: dict[str, bytes]) -> dict[str, bytes]:
        manifest = json.loads(parts["manifest.json"])
        manifest["parts"][part] = {"size": len(body), "sha256": sha256(body).hexdigest()}
        return {**parts, part: body, "manifest.json": json.dumps(manifest).encode()}

    _rewrite(archive, changed)


def _other_database(archive: Path) -> None:
    """A database of somebody else's."""
    other = archive.with_name("other.db")
    if kind() == "sqlite":
        with sqlite3.connect(other) as db:
            db.execute("create table a (b)")
        db.close()
    else:
        url = postgres.make_database(empty=True)
        with psycopg.connect(url) as connection:
            connection.execute("create table a (b int)")
        subprocess.run(["pg_dump", "--format=custom", f"--file={other}", url], check=True)
        postgres.drop_database(url)
    _with_database(archive, other.read_bytes())


def _of(change: Callable[[dict[str, Any], str], Any]) -> Callable[[Path], None]:
    return _edit(lambda manifest: change(manifest, copies.PARTS[kind()]))


@pytest.mark.parametrize(("spoil", "said"), [
    (_cut, "cut short"),
    (lambda a: a.write_bytes(b""), "cut short"),
    (lambda a: a.write_bytes(b"nothing" * 99), "no archive"),
    (_flip, "not what the manifest says"),
    (_edit(lambda m: m.update(schema="9999")), "a newer release"),
    (_edit(lambda m: m.update(version=2)), "a newer release"),
    (_edit(lambda m: m.update(instances="many")), "no readable manifest"),
    (_edit(lambda m: m.update(format="other")), "no backup of psmflow"),
    (_edit(lambda m: m.pop("parts")), "no readable manifest"),
    (_of(lambda m, copy: m["parts"].pop(copy)), "names parts"),
    (_edit(lambda m: m.update(database="db2")), "names parts"),
    (_edit(lambda m: m["parts"].update({"../../etc/passwd": {"size": 1, "sha256": "0" * 64}})), "names parts"),
    (_of(lambda m, copy: m["parts"][copy].update(size=10)), "not what the manifest says"),
    (lambda a: _rewrite(a, lambda p: {n: b for n, b in p.items() if not n.startswith("documents")}), "other parts"),
    (lambda a: _rewrite(a, lambda p: {**p, "documents/../../evil": b"x"}), "other parts"),
    (lambda a: _rewrite(a, lambda p: {n: b for n, b in p.items() if n != "manifest.json"}), "no readable manifest"),
    (_other_database, "no readable database"),
    (lambda a: _with_database(a, b"no copy at all" * 999), "no readable database|cannot read the database"),
])  # fmt: skip
def test_a_bad_archive_is_refused_and_nothing_is_touched(
    archive: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(archive)
    before, empty = everything(tmp_path / "old"), everything(tmp_path / "new")

    with pytest.raises(BadArchive, match=said):
        put_back(archive, tmp_path / "old", force=True)
    with pytest.raises(BadArchive, match=said):
        put_back(archive, tmp_path / "new")

    assert everything(tmp_path / "old") == before
    assert everything(tmp_path / "new") == empty
    assert not [p for p in (tmp_path / "new").glob("*")]


def test_what_is_there_is_moved_aside_only_when_forced(archive: Path, tmp_path: Path) -> None:
    house = furnished(tmp_path / "new")
    kept = house.start().id
    house.close()
    before = everything(tmp_path / "new")

    with pytest.raises(NotRestored, match="--force"):
        put_back(archive, tmp_path / "new")
    assert everything(tmp_path / "new") == before
    done = put_back(archive, tmp_path / "new", force=True)

    assert done.breaks == ()
    shutil.copytree(done.aside[-1], tmp_path / "aside")
    url = to(tmp_path / "new").database_url
    aside = House(tmp_path / "aside", MovableClock(MONDAY), **({"database_url": beside(url, done.aside[0].split()[-1])} if url else {}))
    assert aside.status(kept) == "active"
    assert aside.engine.audit.verify() == ()
    aside.close()
    assert (tmp_path / "new" / "secret.key").read_bytes() == before["secret.key"], "the key that is not in the archive stays"


def test_a_house_that_is_open_is_not_replaced(archive: Path, tmp_path: Path) -> None:
    house = furnished(tmp_path / "new")
    id = house.start().id

    before = everything(tmp_path / "new") if kind() == "postgresql" else {}

    with pytest.raises(NotRestored, match=r"has it open|is connected to it \(psmflow × \d"):
        put_back(archive, tmp_path / "new", force=True)

    assert not before or everything(tmp_path / "new") == before
    house.complete(id)
    assert house.engine.audit.verify() == ()
    assert not list((tmp_path / "new").glob("*restore*"))
    house.close()


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, at: int) -> Iterator[None]:
    """The disk refuses the rename number `at` of those that move things to their place."""
    real, count = os.rename, 0

    def rename(source: Any, target: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        yield


def require_unharmed(folder: Path, kept: int) -> None:
    """Fail unless the installation in `folder` is the one of before, all of it."""
    house = House(folder, MovableClock(MONDAY))
    assert house.status(kept) == "active"  # type: ignore[arg-type]
    assert house.engine.audit.verify() == house.engine.audit.cross_check() == ()
    ((digest,),) = house.rows("select distinct sha256 from document")
    assert stored_at(house.folder, digest).read_bytes() == b"%PDF-1.7 sealed"
    assert not list(folder.glob("*restore*"))
    url = house.settings.database_url
    assert not url or set(postgres.databases_like(url)) == {postgres.name_of(url)}
    house.close()


@pytest.fixture
def kept(tmp_path: Path) -> int:
    """The id of a case in the installation `new`."""
    house = furnished(tmp_path / "new")
    id = house.start().id
    house.close()
    return id


@pytest.mark.parametrize("at", [1, 2])
def test_a_restore_that_fails_half_way_leaves_the_old_house(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, at: int
) -> None:
    with failing(monkeypatch, at), pytest.raises(StorageFailed, match="No space left"):
        put_back(archive, tmp_path / "new", force=True)

    require_unharmed(tmp_path / "new", kept)


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("at", [3, 4])
def test_a_file_that_cannot_be_moved_leaves_the_old_file(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, at: int
) -> None:
    test_a_restore_that_fails_half_way_leaves_the_old_house(archive, tmp_path, monkeypatch, kept, at)


def test_a_database_of_another_schema_than_the_manifest_says_is_refused(tmp_path: Path) -> None:
    house = furnished(tmp_path / "old")
    house.change("update alembic_version set version_num = 'v0'")
    made = house.engine.audit.backup(tmp_path / "one.zip")
    house.close()
    with pytest.raises(BadArchive, match="a newer release"):
        put_back(made.path, tmp_path / "new")

    _edit(lambda m: m.update(schema=copies.REVISION))(made.path)

    with pytest.raises(BadArchive, match="has the schema v0"):
        put_back(made.path, tmp_path / "new")


def test_every_schema_that_this_release_migrates_from_is_known() -> None:
    known = [script.revision for script in scripts().walk_revisions()]

    assert copies.REVISION in known
    assert all(copies.is_known(revision) for revision in known)
    assert not copies.is_known(None)


def test_files_that_are_gone_or_damaged_are_named(tmp_path: Path) -> None:
    house = furnished(tmp_path / "data")
    task = house.task(house.start().id)
    house.engine.tasks.attach(SYSTEM, task.id, "files", "报价.pdf", "application/pdf", BytesIO(b"%PDF-1.7 price"))
    stored = {name: stored_at(house.folder, digest) for name, digest in house.rows("select name, sha256 from document")}
    stored["标书.pdf"].unlink()
    stored["报价.pdf"].write_bytes(b"%PDF-1.7 prise")

    made = house.engine.audit.backup(tmp_path / "one.zip")
    house.close()

    assert {(each.name, each.problem) for each in made.manifest.lacking} == {("标书.pdf", "missing"), ("报价.pdf", "damaged")}
    assert put_back(made.path, tmp_path / "new").manifest.lacking == made.manifest.lacking


def test_a_changed_history_is_restored_and_told(tmp_path: Path) -> None:
    house = furnished(tmp_path / "data")
    id = house.start(variables={"x": 1}).id
    house.change("update instance set title = 'x', head = ? where id = ?", b"\0" * 32, id)
    made = house.engine.audit.backup(tmp_path / "one.zip")
    house.close()

    assert {found.instance_id for found in put_back(made.path, tmp_path / "new").breaks} == {id}


@pytest.mark.only_on("sqlite")
def test_a_damaged_database_is_no_backup(tmp_path: Path) -> None:
    house = furnished(tmp_path / "data")
    ((page,),), ((size,),) = house.rows("select rootpage from sqlite_master where name = 'ix_instance_status'"), house.rows("pragma page_size")
    house.close()
    with (tmp_path / "data" / "psmflow.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    house = House(tmp_path / "data", MovableClock(MONDAY))

    with pytest.raises(StorageFailed, match="damaged"):
        house.engine.audit.backup(tmp_path / "one.zip")

    assert not [p for p in tmp_path.iterdir() if p.name != "data"]
    house.close()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    house = furnished(tmp_path / "data")
    (tmp_path / "file").write_text("x")

    with pytest.raises((StorageFailed, FileExistsError)):
        house.engine.audit.backup(tmp_path / "file" / "one.zip")
    house.close()
