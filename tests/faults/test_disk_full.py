"""A disk that is really full: told in plain words, nothing lost, nothing half written, and everything goes on once there is room."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest

from engine import open_engine, read_settings
from engine.clock import MovableClock
from engine.errors import StorageFailed
from engine.model import SYSTEM
from tests import postgres
from tests.bpmn.build import diagram, end, process, start, user
from tests.service.house import MONDAY, House
from tests.service.laws import require_agreement

DIAGRAM = diagram(process(start(), user("a"), user("b"), end(), "s>a", "a>b", "b>e"))
#: Not to be packed to less.
NOISE = random.Random(1).randbytes(3_000_000)

Full = Callable[[], AbstractContextManager[None]]


@cache
def may_mount() -> bool:
    """True if this process may mount a file system of its own."""
    with tempfile.TemporaryDirectory() as place:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", place], check=True)
        return True


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes: each write past it fails, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small(folder: Path, megabytes: int = 48) -> Iterator[Path]:
    """Let `folder` be a small file system of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no room on the file system of `folder`."""
    blocker = folder / "blocker"
    handle = os.open(blocker, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (65536, 4096, 1):
            while True:
                try:
                    os.write(handle, b"x" * size)
                except OSError:
                    break
        yield
    finally:
        os.close(handle)
        blocker.unlink()


@pytest.fixture(params=["a file system", "a limit of the process"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Full]]:
    """A folder, and what takes away its room. Who may not mount anything gets the limit in both cases."""
    if request.param == "a file system" and may_mount():
        (tmp_path / "small").mkdir()
        with small(tmp_path / "small", 24) as folder:
            yield folder, lambda: filled(folder)
    else:
        yield tmp_path, lambda: file_limit(100_000)


def test_a_command_that_finds_no_room_is_refused_and_can_be_given_again(place: tuple[Path, Full]) -> None:
    folder, full = place
    house = House(folder / "data", synchronous="FULL")
    house.deploy(DIAGRAM)
    id = house.start(variables={"n": 1}).id
    task = house.task(id, "a")
    big = {"text": NOISE[:200_000].hex()}

    with full():
        for _ in range(3):
            with pytest.raises(StorageFailed):
                house.engine.tasks.complete(SYSTEM, task.id, big, idempotency_key="k")
            with pytest.raises(StorageFailed):
                house.start(variables=big, idempotency_key="s")
        assert house.task(id, "a").version == task.version
        assert house.engine.audit.verify() == ()

    require_agreement(house)
    house.engine.tasks.complete(SYSTEM, task.id, big, idempotency_key="k")
    house.complete(id, "b")
    again = house.start(variables=big, idempotency_key="s").id
    assert house.rows("select count(*) from instance") == [(2,)]
    assert house.start(variables=big, idempotency_key="s").id == again
    assert house.status(id) == "completed"
    require_agreement(house)
    assert house.rows("pragma integrity_check") == [("ok",)]
    house.close()


def test_a_file_that_finds_no_room_is_refused_and_leaves_nothing(place: tuple[Path, Full]) -> None:
    folder, full = place
    house = House(folder / "data", synchronous="FULL")
    house.deploy(DIAGRAM)
    id = house.start().id
    task = house.task(id, "a").id

    with full(), pytest.raises(StorageFailed):
        house.engine.tasks.attach(SYSTEM, task, "f", "paper.pdf", "application/pdf", b"%PDF-" + NOISE)
    assert house.engine.tasks.documents(SYSTEM, task) == ()
    assert [path for path in (folder / "data" / "documents").rglob("*") if path.is_file()] == []

    kept = house.engine.tasks.attach(SYSTEM, task, "f", "paper.pdf", "application/pdf", b"%PDF-" + NOISE)
    with house.engine.tasks.open_document(SYSTEM, kept.id)[1] as stream:
        assert stream.read() == b"%PDF-" + NOISE
    require_agreement(house)
    house.close()


def test_a_backup_that_finds_no_room_leaves_nothing_and_hurts_nobody(place: tuple[Path, Full]) -> None:
    folder, full = place
    house = House(folder / "data", synchronous="FULL")
    house.deploy(DIAGRAM)
    id = house.start().id
    (folder / "kept").mkdir()

    with full(), pytest.raises(StorageFailed):
        house.engine.audit.backup(folder / "kept" / "copy.zip")
    assert [*(folder / "kept").iterdir()] == []

    house.complete(id, "a")
    house.engine.audit.backup(folder / "kept" / "copy.zip")
    require_agreement(house)
    house.close()


def test_an_installation_that_finds_no_room_at_first_is_made_later(place: tuple[Path, Full]) -> None:
    folder, full = place
    settings = read_settings({}, data=folder / "data")
    with full(), pytest.raises(StorageFailed):
        open_engine(settings, MovableClock(MONDAY)).close()

    open_engine(settings, MovableClock(MONDAY)).close()
    house = House(folder / "data")
    house.deploy(DIAGRAM)
    house.complete(house.start().id, "a")
    require_agreement(house)
    house.close()


def test_a_postgresql_that_finds_no_room_refuses_and_goes_on(tmp_path: Path) -> None:
    """A tablespace on a small file system: its disk is full, that of the server's log is not."""
    if not may_mount() or not postgres.is_installed():
        # there is no other way to fill a server's disk without filling ours
        pytest.skip("no file system may be mounted here, or there is no PostgreSQL")
    server = postgres.server()
    with tempfile.TemporaryDirectory(prefix="psmflow-small-") as mounted, small(Path(mounted)) as folder:
        place = folder / "space"
        place.mkdir()
        postgres.give(place)
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute(f"create tablespace small location '{place}'")
        url = postgres.make_database()
        name = url.split("@/")[1].split("?")[0]
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute(f"alter database {name} set tablespace small")
        house = House(tmp_path, database_url=url)
        try:
            house.deploy(DIAGRAM)
            id = house.start(variables={"n": 1}).id
            task = house.task(id, "a")
            big = {"text": NOISE.hex()}
            with filled(folder):
                for _ in range(3):
                    with pytest.raises(StorageFailed) as refused:
                        house.engine.tasks.complete(SYSTEM, task.id, big, idempotency_key="k")
                    assert "磁盘已满" in refused.value.text("zh")
                assert house.task(id, "a").version == task.version
            require_agreement(house)
            house.engine.tasks.complete(SYSTEM, task.id, {"text": "small"}, idempotency_key="k")
            house.complete(id, "b")
            assert house.status(id) == "completed"
            require_agreement(house)
        finally:
            house.close()
            postgres.drop_database(url)
            with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
                admin.execute("drop tablespace small")
