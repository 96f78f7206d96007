"""What is old leaves the database for a file that was read back, and is still found; whatever breaks off, nothing is lost or doubled."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from engine import SYSTEM, MovableClock
from engine.cli import main
from engine.errors import AccessDenied, InstanceArchived, NotFound
from engine.model import InstanceId
from engine.service import archives
from engine.service import keep as service
from engine.service.keep import WrongPeriod, ago
from engine.store.database import Database
from tests.databases import on_each as on_each
from tests.history.house import cancelled, ended, export, house_at, running
from tests.service.house import ANN, BOB, EVE, MANAGER, OWNER, House

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_export.py"
TABLES = ("instance", "event", "event_payload", "user_task", "document", "incident", "instance_state", "bid_calendar")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = house_at(tmp_path / "data")
    yield made
    made.close()


def rows_of(house: House, id: int) -> int:
    found = 0
    for table in TABLES:
        column = "id" if table == "instance" else "instance_id"
        found += house.rows(f"select count(*) from {table} where {column} = ?", id)[0][0]
    return found


def intact(house: House) -> None:
    assert house.engine.audit.verify() == ()
    assert house.engine.audit.cross_check() == ()
    for name in house.engine.keep.archive_names():
        assert house.engine.keep.verify_archive(house.engine.keep.archive_path(name))[1] == ()


def test_what_ended_long_ago_moves_into_a_file_and_is_still_found(house: House) -> None:
    old = [ended(house, 1), cancelled(house, 2, "客户取消")]
    waiting = running(house, 3)
    before = {id: (export(house, id), house.history(id), house.engine.tasks.of_instance(SYSTEM, id)) for id in old}
    house.moved.advance(days=400)
    young = ended(house, 4)

    done = house.engine.keep.archive("P1Y")

    (file,) = done.files
    assert (file.name, file.instance_count, done.instance_count, done.held_count) == ("2026-03.jsonl.gz", 2, 2, 0)
    path = house.folder / "archive" / file.name
    assert sha256(path.read_bytes()).hexdigest() == file.sha256
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    for id in old:
        assert rows_of(house, id) == 0
        shown = house.engine.instances.get(MANAGER, id)
        assert (shown.archived_in, shown.business_key[:2]) == (file.name, "B-")
        assert (export(house, id), house.history(id), house.engine.tasks.of_instance(SYSTEM, id)) == before[id]
        assert [d.name for d in house.engine.instances.documents(SYSTEM, id)] == [f"报价{shown.title[-1]}.pdf"]
        _document, stream = house.engine.tasks.open_document(SYSTEM, house.engine.instances.documents(SYSTEM, id)[0].id)
        with stream:
            assert stream.read().startswith(b"%PDF")
        assert house.engine.audit.verify(id) == ()
    assert house.engine.instances.variables(OWNER, old[0])["contact"] == "王小明"
    assert [d.key for d in house.engine.instances.diagrams(SYSTEM, old[0])] == ["p"]
    assert house.engine.instances.get(SYSTEM, waiting).archived_in is None
    assert house.engine.instances.get(SYSTEM, young).archived_in is None
    listed = house.engine.instances.list(OWNER)
    assert {i.id for i in listed.items} == {waiting, young}
    assert [i.id for i in house.engine.instances.list(OWNER, status="archived").items] == sorted(old, reverse=True)
    assert [i.id for i in house.engine.instances.list(OWNER, status="archived", search="b-2").items] == [old[1]]
    intact(house)


def test_only_those_who_took_part_see_what_is_archived(house: House) -> None:
    id = ended(house)
    house.moved.advance(days=400)
    house.engine.keep.archive("P1Y")

    assert house.engine.instances.get(BOB, id).archived_in  # a candidate of its task
    assert [i.id for i in house.engine.instances.list(ANN, status="archived").items] == [id]
    with pytest.raises(AccessDenied):
        house.engine.instances.get(EVE, id)
    assert house.engine.instances.list(EVE, status="archived").items == ()
    with pytest.raises(AccessDenied):
        house.engine.tasks.open_document(EVE, house.engine.instances.documents(SYSTEM, id)[0].id)


def test_nothing_in_an_archived_instance_changes_any_more(house: House) -> None:
    id = ended(house)
    house.moved.advance(days=400)
    house.engine.keep.archive("P1Y")

    with pytest.raises(InstanceArchived) as refused:
        house.engine.instances.cancel(OWNER, id, "no")
    assert "2026-03.jsonl.gz" in refused.value.text("zh")
    with pytest.raises(NotFound):
        house.engine.instances.get(SYSTEM, InstanceId(5))


def test_a_second_run_writes_only_what_is_new_and_never_into_an_old_file(house: House) -> None:
    ended(house, 1)
    hold = house.engine.keep.hold(OWNER, "审计", instance_id=ended(house, 2))
    house.moved.advance(days=400)
    first = house.engine.keep.archive("P1Y").files[0]
    house.engine.keep.lift(OWNER, hold.id, "审计结束")

    second = house.engine.keep.archive("P1Y").files
    again = house.engine.keep.archive("P1Y")

    assert [f.name for f in second] == ["2026-03-2.jsonl.gz"]
    assert (again.files, again.instance_count) == ((), 0)
    assert house.engine.keep.archive_names() == ("2026-03-2.jsonl.gz", first.name)
    intact(house)


def test_a_dry_run_counts_and_changes_nothing(house: House) -> None:
    id = ended(house)
    house.moved.advance(days=400)

    done = house.engine.keep.archive("P1Y", dry_run=True)

    assert (done.instance_count, done.files) == (1, ())
    assert not (house.folder / "archive").exists()
    assert house.engine.instances.get(SYSTEM, id).archived_in is None


def test_whole_months_wait_until_their_last_day_is_old_enough(house: House) -> None:
    ended(house)  # on 2 March

    house.moved.move_to(datetime(2027, 3, 20, tzinfo=UTC))
    assert house.engine.keep.archive("P1Y", whole_months=True).instance_count == 0
    house.moved.move_to(datetime(2027, 3, 31, 16, 30, tzinfo=UTC))  # the first of April in Shanghai

    assert house.engine.keep.archive("P1Y", whole_months=True).instance_count == 1


def test_what_is_on_its_way_or_broken_stays(house: House) -> None:
    sending, broken, well = ended(house, 1), ended(house, 2), ended(house, 3)
    house.change(
        "insert into job (id, kind, state, held, instance_id, process, element, type, due_at, attempts, retries, backoff, fence)"
        " values (7, 'notification', 'failed', 0, ?, 'p', '', 'mail', 0, 8, 8, 0, 0)", sending,
    )  # fmt: skip
    house.change("update event set hash = ? where instance_id = ? and seq = (select min(seq) from event where instance_id = ?)", bytes(32), broken, broken)
    house.moved.advance(days=400)

    done = house.engine.keep.archive("P1Y")

    assert (done.broken, done.instance_count) == ((broken,), 1)
    assert house.engine.instances.get(SYSTEM, sending).archived_in is None
    assert house.engine.instances.get(SYSTEM, broken).archived_in is None
    assert house.engine.instances.get(SYSTEM, well).archived_in == done.files[0].name


def test_the_daily_run_archives_what_the_setting_says(tmp_path: Path) -> None:
    house = house_at(tmp_path / "data", keep_closed="P1M")
    id = ended(house)
    house.moved.advance(days=70)

    house.engine.keep.daily()

    assert house.engine.instances.get(SYSTEM, id).archived_in == "2026-03.jsonl.gz"
    house.close()


def test_several_hundred_instances_of_several_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_IN_A_FILE", 70)
    house = house_at(tmp_path / "data")
    ids = list[InstanceId]()
    for n in range(300):
        ids.append(ended(house, n))
        house.moved.advance(hours=5)
    heads = {id: house.engine.audit.head(id) for id in ids}
    house.moved.advance(days=800)

    done = house.engine.keep.archive("P2Y")

    assert done.instance_count == 300
    assert max(f.instance_count for f in done.files) == 70
    assert {f.name[:7] for f in done.files} == {"2026-03", "2026-04", "2026-05"}
    assert {id: house.engine.audit.head(id) for id in ids} == heads
    assert house.rows("select count(*) from instance") == [(0,)]
    assert len(house.engine.instances.list(OWNER, status="archived", limit=500).items) == 300
    intact(house)
    house.close()


# --------------------------------------------------------------------------------------------------------------- broken off
def _effects(counted: Callable[[str], None], patch: Any) -> None:
    """Call `counted` before and after everything that a run does to disk or database."""

    def around(where: Any, name: str) -> None:
        real = getattr(where, name)

        def watched(*args: Any, **options: Any) -> Any:
            counted(f"before {name}")
            answer = real(*args, **options)
            counted(f"after {name}")
            return answer

        patch(where, name, watched)

    around(archives.os, "fsync")
    around(archives.os, "link")
    around(Path, "unlink")
    around(archives, "look_through")
    around(service, "look_through")
    real_writing = Database.writing

    class Watched:
        def __init__(self, database: Database) -> None:
            self._inner = real_writing(database)

        def __enter__(self) -> Any:
            counted("before transaction")
            return self._inner.__enter__()

        def __exit__(self, *error: Any) -> Any:
            counted("before commit")
            found = self._inner.__exit__(*error)
            counted("after commit")
            return found

    patch(Database, "writing", lambda database: Watched(database))


def _killed(folder: Path, at: int, act: Callable[[House], object]) -> None:
    house = house_at(folder, clock=MovableClock(datetime(2027, 6, 1, tzinfo=UTC)))
    count = 0

    def counted(_: str) -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    _effects(counted, setattr)
    act(house)
    os._exit(0)


def archive(house: House) -> object:
    return house.engine.keep.archive("P1Y")


def erase(house: House) -> object:
    (id,) = house.rows("select min(id) from archived_instance")[0]
    return house.engine.keep.erase(OWNER, id, "请求", fields=["phone"], documents=None)


@pytest.mark.slow
@pytest.mark.only_on("sqlite")  # its database is copied for each moment
@pytest.mark.parametrize("act", [archive, erase])
def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[House], object]) -> None:
    monkeypatch.setattr(service, "_AT_ONCE", 2)
    house = house_at(tmp_path / "data")
    ids = [ended(house, n) for n in range(5)]
    if act is erase:
        house.moved.move_to(datetime(2027, 6, 1, tzinfo=UTC))
        archive(house)
    exports = {id: export(house, id) for id in ids}
    house.close()
    context, stage, ended_by_itself = multiprocessing.get_context("fork"), 0, False

    while not ended_by_itself:
        stage += 1
        folder = tmp_path / f"stage{stage}"
        subprocess.run(["cp", "-r", str(tmp_path / "data"), str(folder)], check=True)
        child = context.Process(target=_killed, args=(folder, stage, act))
        child.start()
        child.join(120)
        ended_by_itself = child.exitcode == 0
        assert ended_by_itself or child.exitcode == -signal.SIGKILL

        house = house_at(folder, clock=MovableClock(datetime(2027, 6, 1, tzinfo=UTC)))
        for id in ids:  # all are there at once, whatever the next run will do
            assert (rows_of(house, id) > 0) + len(house.rows("select 1 from archived_instance where id = ?", id)) == 1, (stage, id)
            if act is archive:
                assert export(house, id) == exports[id], (stage, id)
        assert house.engine.audit.verify() == ()
        if act is erase and house.history(ids[0])[-1].event.__class__.__name__ != "PayloadsErased":
            erase(house)
        house.engine.keep.archive("P1Y")
        house.engine.keep.daily()
        assert house.rows("select count(*) from archived_instance") == [(5,)]
        intact(house)
        on_disk = sorted(p.name for p in (folder / "archive").iterdir() if p.name != ".lock")
        assert on_disk == sorted(house.engine.keep.archive_names())
        held = [id for name in on_disk for id in ids_in(folder / "archive" / name)]
        assert sorted(held) == sorted(ids), stage
        if act is erase:
            assert "13800138000" not in everything(folder / "archive", ids[0])
            assert house.engine.audit.verify(ids[0]) == ()
        house.close()

    assert stage > 15


def ids_in(path: Path) -> list[int]:
    with gzip.open(path) as file:
        return [int(json.loads(line)["psmflow_instance"]["id"]) for line in file if line.startswith(b'{"psmflow_instance"')]


def everything(folder: Path, id: int) -> str:
    return "".join(
        line for path in folder.glob("*.gz") for part in gzip.open(path, "rt", encoding="utf-8").read().split('{"psmflow_instance"')
        if f'"{id}"' in part for line in part
    )  # fmt: skip


def test_a_file_that_nobody_knows_is_left_alone_when_it_holds_what_is_nowhere_else(house: House) -> None:
    id = ended(house)
    house.moved.advance(days=400)
    (file,) = house.engine.keep.archive("P1Y").files
    for sql in ("delete from archived_document", "delete from archived_instance", "delete from archive_file"):
        house.change(sql)

    done = house.engine.keep.archive("P1Y")

    assert done.strange == (file.name,)
    assert ids_in(house.folder / "archive" / file.name) == [id]


# --------------------------------------------------------------------------------------------------------------- verifying
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "another value": lambda text: text.replace(b"12346", b"99999"),
    "another fact": lambda text: text.replace("投标 1".encode(), "投标 7".encode()),
    "cut": lambda text: b"\n".join(text.split(b"\n")[:-3]) + b"\n",
    "an instance left out": lambda text: text.split(b'{"psmflow_instance"')[0] + b'{"psmflow_instance"' + text.split(b'{"psmflow_instance"')[2],
    "an entry left out": lambda text: b"\n".join(line for n, line in enumerate(text.split(b"\n")) if n != 4),
    "something behind the end": lambda text: text + b"{}\n",
}


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_is_found(house: House, change: str) -> None:
    for n in (1, 2):
        ended(house, n)
    house.moved.advance(days=400)
    (file,) = house.engine.keep.archive("P1Y").files
    path = house.folder / "archive" / file.name
    text = gzip.decompress(path.read_bytes())
    assert CHANGES[change](text) != text
    path.write_bytes(gzip.compress(CHANGES[change](text)))

    result = CliRunner().invoke(main, ["verify", "--archive", str(path), "--data", str(house.folder)])
    script = subprocess.run([sys.executable, "-I", "-S", str(SCRIPT), str(path)], capture_output=True, text=True, check=False)

    assert result.exit_code == 1, result.output
    assert (script.returncode, "CHANGED" in script.stdout) == (1, True), script.stdout + script.stderr


def test_the_auditors_script_reads_an_archive_file(house: House) -> None:
    ids = [ended(house, n) for n in (1, 2)]
    house.moved.advance(days=400)
    (file,) = house.engine.keep.archive("P1Y").files

    found = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), str(house.folder / "archive" / file.name)], capture_output=True, text=True, check=False
    )

    assert found.returncode == 0, found.stdout + found.stderr
    for id in ids:
        assert f"instance {id}, " in found.stdout
    assert found.stdout.count("INTACT") == 3
    assert file.sha256 in found.stdout


# ----------------------------------------------------------------------------------------------------------- the command line
@pytest.mark.only_on("sqlite")
def test_the_command_line_archives_and_verifies(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.assembly.SystemClock", lambda: house.clock)
    ended(house, 1)
    ended(house, 2)
    house.moved.advance(days=400)

    def run(*words: str) -> Any:
        return CliRunner().invoke(main, [*words, "--data", str(house.folder)])

    assert "2 个流程实例将被归档" in run("archive", "--older-than", "P1Y", "--dry-run").output
    done = run("archive", "--older-than", "P1Y")
    assert (done.exit_code, "2026-03.jsonl.gz" in done.output) == (0, True), done.output
    verified = run("verify", "--archive", str(house.folder / "archive" / "2026-03.jsonl.gz"))
    assert (verified.exit_code, "2 个实例" in verified.output) == (0, True), verified.output
    refused = run("archive")
    assert (refused.exit_code, "PSMFLOW_KEEP_CLOSED" in refused.output) == (2, True)
    wrong = run("archive", "--older-than", "2 years")
    assert (wrong.exit_code, "P2Y" in wrong.output) == (1, True)


@pytest.mark.parametrize(
    ("period", "at", "before"),
    [
        ("P2Y", "2026-11-22T10:00", "2024-11-22T10:00"), ("P1Y", "2024-02-29T00:30", "2023-02-28T00:30"), ("P18M", "2026-03-31T12:00", "2024-09-30T12:00"),
        ("P90D", "2026-03-02T09:00", "2025-12-02T09:00"), ("P1Y2M1W1D", "2026-12-31T00:00", "2025-10-23T00:00"),
    ],
)  # fmt: skip
def test_periods_go_back_by_the_houses_calendar(period: str, at: str, before: str) -> None:
    zone = ZoneInfo("Asia/Shanghai")

    assert ago(datetime.fromisoformat(at).replace(tzinfo=zone), period, zone) == datetime.fromisoformat(before).replace(tzinfo=zone)


@pytest.mark.parametrize("period", ["", "P", "2Y", "P-1Y", "PT1H", "P9999Y"])
def test_what_is_no_period_is_refused(period: str) -> None:
    with pytest.raises(WrongPeriod):
        ago(datetime(2026, 1, 1, tzinfo=UTC), period, ZoneInfo("UTC"))
