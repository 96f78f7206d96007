"""Rows that this process has just written are not read again, and nothing rests on that: what is old is found and looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import StalePage, TaskNotOpen, TaskSuspended
from engine.model import SYSTEM
from engine.service import lately
from engine.store import jobs, tasks
from engine.store.database import Session
from tests.bpmn.build import (
    boundary,
    diagram,
    end,
    event,
    exclusive,
    parallel,
    process,
    properties,
    service,
    start,
    throw,
    timer,
    user,
)
from tests.service.house import ANN, BOB, FOR_ENGINEERS, House, before_its_commit
from tests.service.laws import require_agreement, require_known_rows

THREE = diagram(process(
    start(), user("a", **FOR_ENGINEERS), user("b", camunda_candidateGroups="presale_engineer,bid_manager", camunda_candidateUsers="eve", inner=properties(x="y")),
    user("c", camunda_assignee="ann"), end(), "s>a", "a>b", "b>c", "c>e",
))  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The user tasks whose rows were read for a command."""
    found, real = list[int](), tasks.with_instance

    def noted(tx: Session, task_id: int) -> Any:
        found.append(task_id)
        return real(tx, task_id)

    monkeypatch.setattr(tasks, "with_instance", noted)
    return found


def known(house: House) -> int:
    with house.engine._database.reading() as session:
        return require_known_rows(house, session)


def test_a_task_whose_rows_were_just_written_is_completed_without_reading_them(house: House, asked: list[int]) -> None:
    house.deploy(THREE)
    id = house.start(business_key="B-1", title="智慧园区").id
    for element in "abc":
        assert known(house) == 1
        asked.clear()
        house.engine.tasks.complete(ANN, house.task(id, element).id, {"n": element})
        assert asked == []

    assert house.status(id) == "completed"
    assert known(house) == 0
    require_agreement(house)


def test_every_change_of_hands_is_known_as_the_rows_have_it(house: House, asked: list[int]) -> None:
    house.deploy(THREE)
    task = house.task(house.start().id, "a").id
    for change in (
        lambda: house.engine.tasks.claim(ANN, task), lambda: house.engine.tasks.release(ANN, task),
        lambda: house.engine.tasks.claim(ANN, task), lambda: house.engine.tasks.assign(ANN, task, "bob", "holiday"),
    ):  # fmt: skip
        change()
        assert asked == []
        assert known(house) == 1
        asked.clear()
    with pytest.raises(StalePage):
        house.engine.tasks.complete(BOB, task, version=1)
    house.engine.tasks.complete(BOB, task, version=5)
    require_agreement(house)


def test_what_another_process_changed_is_looked_up_before_it_is_written_or_refused(house: House, asked: list[int]) -> None:
    house.deploy(THREE)
    other = house.beside()
    id = house.start().id
    task = house.task(id, "a").id

    other.engine.tasks.claim(ANN, task)
    asked.clear()
    house.engine.tasks.complete(ANN, task)  # as if it were unclaimed
    assert asked == [task]
    assert [type(r.event).__name__ for r in house.history(id)].count("UserTaskClaimed") == 1

    task = house.task(id, "b").id
    other.engine.tasks.complete(ANN, task)
    with pytest.raises(TaskNotOpen):
        house.engine.tasks.complete(ANN, task)
    require_agreement(house)
    require_agreement(other)
    other.close()


def test_a_refusal_that_no_longer_holds_is_not_told(house: House) -> None:
    house.deploy(THREE)
    other = house.beside()
    task = house.task(house.start().id, "a").id
    house.engine.tasks.claim(BOB, task)
    other.engine.tasks.release(BOB, task)

    house.engine.tasks.complete(ANN, task)  # what is known says: Bob's

    require_agreement(house)
    other.close()


def test_who_is_faster_while_we_write_is_looked_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.deploy(THREE)
    other = house.beside()
    id = house.start().id
    before_its_commit(monkeypatch, house, lambda: other.engine.instances.set_variables(SYSTEM, id, {"y": 1}, "meanwhile"))

    house.engine.tasks.complete(ANN, house.task(id, "a").id, {"x": 2})

    assert dict(house.engine.instances.variables(SYSTEM, id)) == {"x": 2, "y": 1}
    require_agreement(house)
    other.close()


def test_after_something_old_nothing_is_kept_for_a_while_and_longer_each_time(house: House, asked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lately, "_PAUSE", 2)
    kept = house.engine._runtime.lately = lately.Lately(256)
    house.deploy(THREE)
    other = house.beside()
    lasted = []
    for _ in range(3):
        task = house.task(house.start().id, "a").id
        other.engine.tasks.claim(ANN, task)
        house.engine.tasks.complete(ANN, task)
        count = 0
        while not known(house):
            house.start()
            count += 1
        lasted.append(count)
        kept.forget([each.row.id for each in kept.entries()])
    assert lasted == [2, 4, 8]  # the completion itself was the first of them
    other.close()


def test_commands_on_an_instance_as_a_whole_leave_nothing_old(house: House) -> None:
    house.deploy(THREE)
    id = house.start().id
    task = house.task(id, "a").id
    house.engine.instances.suspend(SYSTEM, id, "holiday")
    assert known(house) == 0
    with pytest.raises(TaskSuspended):
        house.engine.tasks.complete(ANN, task)
    house.engine.instances.resume(SYSTEM, id)
    house.engine.tasks.complete(ANN, task)
    house.engine.instances.set_variables(SYSTEM, id, {"x": 1}, "mended")
    house.engine.tasks.complete(ANN, house.task(id, "b").id)
    require_agreement(house)


def test_tasks_that_others_cancel_or_open_beside_are_known(house: House) -> None:
    house.handler("work", effect="none", gives={"z": "number"})(lambda job: {"z": 1})
    house.deploy(diagram(process(
        start(), parallel("fork"), user("a", **FOR_ENGINEERS), user("b", **FOR_ENGINEERS), service("w", "work"),
        user("d"), boundary("late", "b", timer("timeDuration", "P1D")), user("f"), end(),
        "s>fork", "fork>a", "fork>b", "fork>w", "w>d", "late>f", "a>e", "b>e", "d>e", "f>e",
    )))  # fmt: skip
    id = house.start().id
    assert known(house) == 3
    house.engine.tasks.complete(SYSTEM, house.task(id, "d").id)
    assert known(house) == 2
    house.moved.advance(days=2)
    house.engine.tasks.complete(ANN, house.task(id, "a").id)  # the timer of b fires first
    assert set(house.open_tasks(id)) == {"f"}
    assert known(house) == 1
    require_agreement(house)


def test_facts_that_are_no_user_tasks_leave_them_known(house: House) -> None:
    house.deploy(diagram(process(
        start(), parallel("fork"), user("a", **FOR_ENGINEERS), user("b", **FOR_ENGINEERS), parallel("join"),
        throw("tell", event("signal", "sA")), user("c"), end(), "s>fork", "fork>a", "fork>b", "a>join", "b>join", "join>tell", "tell>c", "c>e",
    )))  # fmt: skip
    id = house.start().id
    house.engine.tasks.complete(ANN, house.task(id, "a").id, {"n": 1})
    assert known(house) == 1
    house.engine.tasks.complete(ANN, house.task(id, "b").id, {"n": 2})  # the branches disagree, and a signal goes out
    kinds = {type(recorded.event).__name__ for recorded in house.history(id)}
    assert {"WriteConflicted", "SignalThrown"} <= kinds
    assert known(house) == 1
    require_agreement(house)


def test_an_instance_that_stays_awake_is_loaded_anew_now_and_then(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lately, "_LONGEST_AWAKE", 3)
    house.deploy(diagram(process(start(), user("a"), exclusive("more"), end(), "s>a", "a>more", "more>a: again", "more>e!")))
    id = house.start().id
    awake = []
    for n in range(6):
        awake.append(house.engine._runtime.lately.entries()[0].run)
        house.engine.tasks.complete(SYSTEM, house.task(id, "a").id, {"again": True, "n": n})
        known(house)

    assert [run is not None for run in awake] == [True, True, False, True, True, False]
    assert awake[0] is awake[1] is not awake[3]
    require_agreement(house)


def test_few_instances_and_no_big_ones_are_kept(tmp_path: Path, asked: list[int]) -> None:
    house = House(tmp_path, known_instances=3)
    house.deploy(THREE)
    ids = [house.start().id for _ in range(5)]
    kept = house.engine._runtime.lately
    assert [each.row.id for each in kept.entries()] == ids[2:]
    assert len(kept._instance_of) == 3
    house.start(variables={"text": "长" * 10_000})
    assert len(kept.entries()) == 3
    house.close()

    house = House(tmp_path, known_instances=0)
    house.engine.tasks.complete(ANN, house.task(ids[0], "a").id)
    house.engine.tasks.complete(ANN, house.task(ids[0], "b").id)
    assert len(asked) == 2
    house.close()


def test_nobody_looks_for_jobs_and_incidents_of_an_instance_that_never_had_any(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[int] = []
    for name in ("cancel_all", "resolve_incidents"):
        real = getattr(jobs, name)
        monkeypatch.setattr(jobs, name, lambda tx, id, *args, real=real, **given: (sought.append(id), real(tx, id, *args, **given)))
    house.handler("nobody")(lambda job: None)
    house.deploy(
        THREE,
        diagram(process(
            start(), user("a", **FOR_ENGINEERS), boundary("late", "a", timer("timeDuration", "P1D")), end(), "s>a", "a>e", "late>e", id="timed",
        )),
        diagram(process(start(), parallel("f"), service("w", "nobody"), user("a", **FOR_ENGINEERS), end(), "s>f", "f>w", "f>a", "w>e", "a>e", id="worked")),
    )  # fmt: skip
    plain = house.start().id
    for element in "abc":
        house.engine.tasks.complete(ANN, house.task(plain, element).id)
    assert (house.status(plain), sought) == ("completed", [])

    timed = house.start("timed").id
    house.engine.tasks.complete(ANN, house.task(timed, "a").id)
    assert (house.status(timed), sought) == ("completed", [timed, timed])

    worked = house.start("worked").id
    house.engine.tasks.complete(ANN, house.task(worked, "a").id)
    house.engine.instances.cancel(SYSTEM, worked, "no bid")
    assert sought[2:] == [worked, worked]

    unknown = house.start().id
    house.engine._runtime.lately.forget([unknown])
    for element in "abc":
        house.engine.tasks.complete(ANN, house.task(unknown, element).id)
    assert sought[4:] == [unknown, unknown]
    require_agreement(house)


def test_an_instance_that_ends_as_it_starts_leaves_no_job_behind(house: House) -> None:
    house.handler("nobody")(lambda job: None)
    house.deploy(diagram(process(
        start(), parallel("f"), service("w", "nobody"), end("stop", event("terminate")), user("a"), end(), "s>f", "f>w", "f>stop", "w>a", "a>e",
    )))  # fmt: skip

    id = house.start().id

    assert house.status(id) == "completed"
    assert house.rows("select count(*) from job") == [(0,)]
    require_agreement(house)
