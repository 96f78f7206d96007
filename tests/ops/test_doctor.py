"""The doctor: nothing is found in a sound house, everything that is broken is named, and what needs no decision is put right."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.clock import MovableClock
from engine.handler import HandlerRegistry, Job, handler
from engine.model import SYSTEM
from engine.service.backup import stored_at
from engine.service.doctor import Ailment, Code
from engine.service.upkeep import Upkeep
from tests.bpmn.build import boundary, diagram, end, event, process, service, start, timer, user
from tests.bpmn.build import catch as catching
from tests.service.house import ANN, FOR_ENGINEERS, MONDAY, House

WORK = diagram(process(
    start(), user("a", **FOR_ENGINEERS), boundary("late", "a", timer("timeDuration", "P9D")), service("w", "work"),
    catching("m", event("message", "mA")), end(), end("e2"), "s>a", "a>w", "w>m", "m>e", "late>e2",
))


@pytest.fixture
def sound(tmp_path: Path) -> Iterator[House]:
    """A house in good order, with an instance at each kind of place."""
    house = House(tmp_path / "data", MovableClock(MONDAY), synchronous="FULL", smtp="smtp://mail.example.com", base_url="https://psm.example.com")

    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""

    house.folder.chmod(0o700)
    house.add_people()
    house.deploy(WORK)
    at_work, at_message, ended = (house.start().id for _ in range(3))
    house.start()
    suspended = house.start().id
    for id in (at_message, ended):
        house.complete(id, "a", note="x")
    house.engine.jobs.run_due()
    house.engine.messages.correlate(SYSTEM, "mA", instance_id=ended)
    house.complete(at_work, "a")
    house.engine.instances.suspend(SYSTEM, suspended, "wait")
    Upkeep(house.engine._runtime).look()
    house.engine.audit.backup(tmp_path / "backup.zip")
    yield house
    house.close()


def codes(found: tuple[Ailment, ...]) -> set[Code]:
    return {a.code for a in found}


def open_id(house: House) -> int:
    ((id,),) = house.rows("select min(instance_id) from user_task where state = 'open'")
    return int(id)


def test_nothing_is_found_in_a_sound_house(sound: House) -> None:
    assert sound.engine.audit.examine() == ()
    assert sound.engine.audit.examine(fix=True) == ()


# ------------------------------------------------------------------------------------------------- rows that disagree
BREAKS: dict[str, Callable[[House], Any]] = {
    "a timer that is gone": lambda h: h.change("delete from job where kind = 'timer' and instance_id = ?", open_id(h)),
    "a timer put off for years": lambda h: h.change("update job set due_at = due_at + 100000000000000 where kind = 'timer' and instance_id = ?", open_id(h)),
    "a candidate that is gone": lambda h: h.change("delete from user_task_candidate"),
    "a candidate too many": lambda h: h.change(
        "insert into user_task_candidate select 'g:warehouse_keeper', sort_at, id from user_task where state = 'open'"),
    "a task that is gone": lambda h: [h.change(f"delete from {t} where {c} in (select id from user_task where state = 'open')") for t, c in
                                      (("user_task_candidate", "task_id"), ("user_task", "id"))],
    "a task too many": lambda h: h.change("update user_task set ended_at = null, state = 'open' where state = 'completed'"),
    "a suspended task that is open": lambda h: h.change("update user_task set state = 'open' where state = 'suspended'"),
    "a subscription that is gone": lambda h: h.change("delete from subscription"),
    "a subscription of another name": lambda h: h.change("update subscription set name = 'other'"),
    "work nobody waits for": lambda h: h.change(
        "insert into job (id, kind, state, held, instance_id, token, process, element, type, due_at, attempts, retries, backoff, fence)"
        " select id + 1, 'service', 'waiting', 0, id, 99, 'p', 'w', 'work', started_at, 0, 0, 0, 0 from instance where status = 'active'"),
    "work held though active": lambda h: h.change("update job set held = 1 where kind = 'timer'"),
    "a draft of an ended task": lambda h: h.change(
        "insert into draft (task_id, user_id, body, saved_at) select id, 'ann', x'7b7d', created_at from user_task where ended_at is not null"),
}  # fmt: skip


@pytest.mark.parametrize("break_it", BREAKS.values(), ids=BREAKS)
def test_rows_that_disagree_are_named_and_written_anew_from_the_state(sound: House, break_it: Callable[[House], Any]) -> None:
    break_it(sound)

    assert codes(sound.engine.audit.examine()) >= {Code.TABLES}
    fixed = sound.engine.audit.examine(fix=True)

    told = [a for a in fixed if a.code is Code.TABLES]
    assert told
    assert all(a.fixed for a in told)
    assert codes(sound.engine.audit.examine()) <= {Code.WORK_LATE}
    assert sound.engine.audit.verify() == ()
    for id in {a.instance_id for a in told}:
        assert id is not None
        (rewritten,) = sound.events(id, "RowsRewritten")
        assert rewritten.differences
    for (id,) in sound.rows("select id from instance where status = 'active'"):
        if "a" in sound.open_tasks(id):
            sound.complete(id, "a", by=ANN)
    sound.engine.jobs.run_due()
    for (id,) in sound.rows("select id from instance where status = 'active'"):
        sound.engine.messages.correlate(SYSTEM, "mA", instance_id=id)
    assert sound.rows("select count(*) from instance where status = 'active'") == [(0,)]
    assert sound.engine.audit.cross_check() == ()


def test_a_task_is_put_back_as_it_was_claimed_and_is_due(sound: House) -> None:
    id = open_id(sound)
    task = sound.task(id, "a")  # type: ignore[arg-type]
    sound.engine.tasks.claim(ANN, task.id)
    sound.change("delete from user_task_candidate where task_id = ?", task.id)
    sound.change("delete from user_task where id = ?", task.id)

    sound.engine.audit.examine(fix=True)

    again = sound.task(id, "a")  # type: ignore[arg-type]
    assert (again.assignee, again.due_at, again.deadline_at) == ("ann", task.due_at, task.deadline_at)


def test_what_needs_a_decision_is_named_and_left(sound: House) -> None:
    id = open_id(sound)
    sound.change("update instance set outcome = 'won' where id = ?", id)
    before = len(sound.history(id))  # type: ignore[arg-type]

    found = sound.engine.audit.examine(fix=True)

    assert [(a.code, a.instance_id, a.fixed) for a in found] == [(Code.TABLES, id, False)]
    assert len(sound.history(id)) == before  # type: ignore[arg-type]


def test_a_changed_history_is_named(sound: House) -> None:
    id = open_id(sound)
    sound.change("update event set hash = x'00' where instance_id = ?", id)

    assert (Code.HISTORY, id) in {(a.code, a.instance_id) for a in sound.engine.audit.examine()}


def test_one_instance_that_cannot_be_read_hides_no_other(sound: House) -> None:
    id = open_id(sound)
    sound.change("update instance_state set body = x'00' where instance_id = ?", id)
    sound.change("delete from subscription")

    found = sound.engine.audit.examine(fix=True)

    assert {(a.code, a.fixed) for a in found} == {(Code.UNREADABLE, False), (Code.TABLES, True)}
    assert [a.instance_id for a in found if a.code is Code.UNREADABLE] == [id]


# --------------------------------------------------------------------------------------------------------------- files
def with_file(house: House, body: bytes = b"%PDF-1.7 x") -> Path:
    task = house.task(open_id(house), "a")  # type: ignore[arg-type]
    document = house.engine.tasks.attach(SYSTEM, task.id, "files", "标书.pdf", "application/pdf", BytesIO(body))
    return stored_at(house.folder, document.sha256)


def test_files_that_are_gone_changed_or_nobodys_are_named(sound: House) -> None:
    gone, changed = with_file(sound, b"%PDF-1.7 a"), with_file(sound, b"%PDF-1.7 b")
    gone.unlink()
    changed.write_bytes(b"%PDF-1.7 c")
    (gone.parent / ("0" * 64)).write_bytes(b"?")

    found = sound.engine.audit.examine()

    assert codes(found) == {Code.FILE_MISSING, Code.FILE_DAMAGED, Code.FILE_ORPHAN}
    assert all("标书.pdf" in a.zh for a in found if a.code is not Code.FILE_ORPHAN)


def test_a_file_that_was_taken_off_again_is_the_historys(sound: House) -> None:
    with_file(sound)
    ((task, document),) = sound.rows("select task_id, id from document")
    sound.engine.tasks.detach(SYSTEM, task, document)

    assert sound.engine.audit.examine() == ()


def test_rests_of_broken_uploads_are_deleted_once_they_are_old(sound: House) -> None:
    with_file(sound)
    rest = sound.folder / "documents" / "upload-x"
    rest.write_bytes(b"half")
    yesterday = (sound.clock.now() - timedelta(days=2)).timestamp()

    os.utime(rest, (sound.clock.now().timestamp(),) * 2)
    assert sound.engine.audit.examine() == ()
    os.utime(rest, (yesterday, yesterday))
    assert codes(sound.engine.audit.examine()) == {Code.UPLOAD_LEFT}
    assert all(a.fixed for a in sound.engine.audit.examine(fix=True))
    assert not rest.exists()


# ---------------------------------------------------------------------------------------------------------------- work
def test_work_that_waits_and_a_silent_dispatcher_are_named(sound: House) -> None:
    sound.moved.advance(minutes=10)

    assert codes(sound.engine.audit.examine()) == {Code.WORK_LATE, Code.DISPATCHER}


def test_a_lease_that_is_over_is_offered_again(sound: House) -> None:
    sound.change("update job set state = 'running', lease_until = 1 where kind = 'service'")

    assert codes(sound.engine.audit.examine()) == {Code.LEASE_OVER}
    sound.engine.audit.examine(fix=True)

    assert sound.rows("select distinct state from job where kind = 'service'") == [("waiting",)]


def test_incidents_and_failed_jobs_without_one_are_named(sound: House) -> None:
    sound.change("update job set state = 'failed' where kind = 'service'")

    assert codes(sound.engine.audit.examine()) == {Code.JOB_UNSEEN}


def test_tasks_that_nobody_may_take_are_named(sound: House) -> None:
    sound.change("update person set active = 0 where id in ('ann', 'bob')")

    (found,) = sound.engine.audit.examine()

    assert found.code is Code.NOBODY
    assert "presale_engineer" in found.en


def test_what_diagrams_name_and_nobody_has_is_named(sound: House) -> None:
    others = HandlerRegistry()
    handler("other", registry=others)(lambda job: None)
    other = sound.beside(handlers=others)

    assert codes(other.engine.audit.examine()) >= {Code.HANDLER_MISSING}
    assert "work" in next(a.zh for a in other.engine.audit.examine() if a.code is Code.HANDLER_MISSING)
    other.close()


def test_forms_decisions_and_processes_that_are_gone_are_named(sound: House) -> None:
    ((info,),) = sound.rows("select info from process_definition")
    says = json.loads(info) | {"forms": ["f"], "decisions": ["d"], "calls": ["c"]}
    sound.change("update process_definition set info = ?", json.dumps(says).encode())

    assert codes(sound.engine.audit.examine()) == {Code.FORM_MISSING, Code.DECISION_MISSING, Code.PROCESS_MISSING}


# ---------------------------------------------------------------------------------------------- the machine and settings
def test_a_clock_that_went_back_is_named(sound: House) -> None:
    sound.moved.advance(hours=-2)

    assert codes(sound.engine.audit.examine()) == {Code.CLOCK_BACK}


def test_a_year_without_holidays_is_named(sound: House) -> None:
    sound.moved.move_to(datetime(2003, 5, 5, tzinfo=UTC))

    assert Code.CALENDAR in codes(sound.engine.audit.examine())


def test_a_foreign_schema_is_named_and_nothing_else_is_looked_at(sound: House) -> None:
    sound.change("update alembic_version set version_num = '9999'")

    assert codes(sound.engine.audit.examine(fix=True)) == {Code.SCHEMA}


@pytest.mark.parametrize("row", [
    "user_task_candidate (principal, sort_at, task_id) values ('g:g', 1, 7)", "draft (task_id, user_id, body, saved_at) values (7, 'ann', '{}', 1)",
])  # fmt: skip
def test_rows_of_a_task_that_is_not_there_are_named_and_deleted(sound: House, row: str) -> None:
    table = row.split()[0]
    before = sound.rows(f"select * from {table}")
    sound.change(f"insert into {row}")

    found, fixed = sound.engine.audit.examine(), sound.engine.audit.examine(fix=True)

    assert [(a.code, f"1 rows of {table}" in a.en, a.fixed) for a in (*found, *fixed)] == [
        (Code.ROWS_LEFT, True, False), (Code.ROWS_LEFT, True, True)]  # fmt: skip
    assert sound.rows(f"select * from {table}") == before
    assert sound.engine.audit.examine() == ()


def test_a_damaged_file_of_the_database_is_named(sound: House) -> None:
    ((page,),) = sound.rows("select rootpage from sqlite_master where name = 'ix_instance_status'")
    ((size,),) = sound.rows("pragma page_size")
    sound.close()
    sound.settings.database.with_name("psmflow.db-wal").unlink(missing_ok=True)
    with sound.settings.database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    again = sound.beside()

    assert Code.INTEGRITY in codes(again.engine.audit.examine())
    again.close()
    sound.engine = sound.beside().engine


def test_files_that_others_may_read_are_named(sound: House) -> None:
    sound.settings.database.chmod(0o644)

    assert codes(sound.engine.audit.examine()) == {Code.PERMISSIONS}


@pytest.mark.parametrize(("settings", "code"), [
    ({"synchronous": "NORMAL"}, Code.SYNCHRONOUS), ({"base_url": "http://127.0.0.1:8000"}, Code.BASE_URL), ({"demo": True}, Code.DEMO_PUBLIC),
])  # fmt: skip
def test_risky_settings_are_named(sound: House, settings: dict[str, Any], code: Code) -> None:
    given = {"smtp": "smtp://mail.example.com", "base_url": "https://psm.example.com", "synchronous": "FULL", **settings}
    other = House(sound.folder, sound.clock, sound.handlers, **given)

    assert codes(other.engine.audit.examine()) == {code}
    other.close()


def test_diagrams_that_notify_need_a_mail_server(sound: House) -> None:
    sound.handler("notify.send")(lambda job: None)
    sound.deploy(diagram(process(start(), service("n", "notify.send"), end(), "s>n", "n>e")))
    other = House(sound.folder, sound.clock, sound.handlers, synchronous="FULL", base_url="https://psm.example.com")

    assert codes(other.engine.audit.examine()) == {Code.MAIL_MISSING}
    other.close()


def test_an_old_backup_is_named(sound: House) -> None:
    sound.moved.advance(days=8)
    sound.engine.jobs.run_due()
    Upkeep(sound.engine._runtime).look()

    assert codes(sound.engine.audit.examine()) == {Code.BACKUP_OLD}


@pytest.mark.parametrize(("what", "value", "code"), [("free", 1 << 20, Code.DISK_SPACE)])
def test_a_disk_that_is_nearly_full_is_named(
    sound: House, monkeypatch: pytest.MonkeyPatch, what: str, value: int, code: Code
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 1 << 40, value))

    assert codes(sound.engine.audit.examine()) == {code}


# ------------------------------------------------------------------------------------------------------ on the command line
def test_the_command_says_what_to_do_and_its_status_says_whether_anything_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PSMFLOW_SYNCHRONOUS", "NORMAL")
    words = ["doctor", "--data", str(tmp_path)]

    told = CliRunner().invoke(main, words)
    assert told.exit_code == 1
    assert "[synchronous]" in told.output
    assert "→ 不能丢失" in told.output
    found = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    assert [(a["code"], a["severity"], a["fixed"]) for a in found if a["code"] == "synchronous"] == [("synchronous", "warning", False)]

    monkeypatch.setenv("PSMFLOW_SYNCHRONOUS", "FULL")
    clean = CliRunner().invoke(main, words)
    assert "0 项待处理" in clean.output or "[calendar]" in clean.output, clean.output


def test_every_finding_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")

    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) >= set(Code)
