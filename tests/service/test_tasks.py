"""User tasks: who finds, takes, hands on and completes them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import pytest

from engine.errors import (
    AccessDenied,
    FileRefused,
    InvalidValues,
    NotFound,
    StalePage,
    TaskNotOpen,
    TaskSuspended,
    TaskTooLate,
)
from engine.model import SYSTEM, Actor, TaskId
from engine.service.tasks import SeparationOfDuties
from tests.bpmn.build import boundary, call, diagram, end, event, mapping, parallel, process, properties, start, timer, user
from tests.service.house import ANN, BOB, EVE, FOR_ENGINEERS, MANAGER, OWNER, House
from tests.service.laws import require_agreement

TWO = diagram(process(start(), user("a", **FOR_ENGINEERS), user("b", **FOR_ENGINEERS), end(), "s>a", "a>b", "b>e"))


def form(*components: dict[str, Any], id: str = "p.a") -> bytes:
    return json.dumps({"id": id, "type": "default", "components": list(components)}).encode()


def test_an_offered_task_is_in_the_inbox_of_its_candidates_alone(house: House) -> None:
    house.deploy(TWO)

    started = house.start(business_key="B-1", title="投标一号")

    (task,) = house.engine.tasks.inbox(ANN).items
    assert (task.element, task.title, task.business_key, task.instance_id) == ("a", "投标一号", "B-1", started.id)
    assert house.engine.tasks.inbox(BOB, "claimable").items == (task,)
    assert house.engine.tasks.inbox(BOB, "mine").items == ()
    assert house.engine.tasks.inbox(EVE).items == ()


def test_a_claimed_task_leaves_the_other_inboxes_and_comes_back_when_released(house: House) -> None:
    house.deploy(TWO)
    task = house.task(house.start().id)

    house.engine.tasks.claim(ANN, task.id)

    assert [t.assignee for t in house.engine.tasks.inbox(ANN, "mine").items] == ["ann"]
    assert house.engine.tasks.inbox(BOB).items == ()
    house.engine.tasks.release(ANN, task.id)
    assert [t.id for t in house.engine.tasks.inbox(BOB).items] == [task.id]


def test_a_second_person_cannot_claim(house: House) -> None:
    house.deploy(TWO)
    task = house.task(house.start().id)
    house.engine.tasks.claim(ANN, task.id)
    house.engine.tasks.claim(ANN, task.id)

    with pytest.raises(AccessDenied):
        house.engine.tasks.claim(BOB, task.id)


def test_a_stranger_neither_claims_nor_completes_nor_sees(house: House) -> None:
    house.deploy(TWO)
    task = house.task(house.start().id)

    for attempt in (
        lambda: house.engine.tasks.claim(EVE, task.id),
        lambda: house.engine.tasks.complete(EVE, task.id),
        lambda: house.engine.tasks.get(EVE, task.id),
        lambda: house.engine.tasks.form(EVE, task.id),
        lambda: house.engine.tasks.save_draft(EVE, task.id, {}),
        lambda: house.engine.instances.get(EVE, task.instance_id),
        lambda: house.engine.instances.history(EVE, task.instance_id),
    ):
        with pytest.raises(AccessDenied):
            attempt()


def test_completing_an_offered_task_claims_it(house: House) -> None:
    house.deploy(TWO)
    started = house.start()

    house.complete(started.id, "a", by=ANN, result="ok")

    assert [type(x).__name__ for x in house.events(started.id) if "UserTask" in type(x).__name__] == [
        "UserTaskCreated", "UserTaskClaimed", "UserTaskCompleted", "UserTaskCreated",
    ]  # fmt: skip
    done = next(t for t in house.engine.tasks.of_instance(ANN, started.id) if t.element == "a")
    assert (done.ended_by, done.state.value) == ("ann", "completed")
    assert house.engine.instances.variables(SYSTEM, started.id)["result"] == "ok"


def test_a_task_is_completed_once(house: House) -> None:
    house.deploy(TWO)
    started = house.start()
    task = house.task(started.id)
    house.engine.tasks.complete(ANN, task.id, {"n": 1})

    with pytest.raises(TaskNotOpen):
        house.engine.tasks.complete(ANN, task.id, {"n": 2})

    assert house.engine.instances.variables(SYSTEM, started.id)["n"] == 1


def test_the_same_completion_sent_twice_counts_once_and_is_answered_alike(house: House) -> None:
    house.deploy(TWO)
    started = house.start()
    task = house.task(started.id)

    house.engine.tasks.complete(ANN, task.id, {"n": 1}, idempotency_key="k")
    house.engine.tasks.complete(ANN, task.id, {"n": 2}, idempotency_key="k")

    assert house.engine.instances.variables(SYSTEM, started.id)["n"] == 1
    with pytest.raises(TaskNotOpen):
        house.engine.tasks.complete(BOB, task.id, {}, idempotency_key="k")


def test_a_page_that_is_stale_is_told_so(house: House) -> None:
    house.deploy(TWO)
    task = house.task(house.start().id)
    house.engine.tasks.assign(MANAGER, task.id, "bob", "away")
    house.engine.tasks.assign(MANAGER, task.id, "ann", "back")

    with pytest.raises(StalePage):
        house.engine.tasks.complete(ANN, task.id, {}, version=task.version)
    house.engine.tasks.complete(ANN, task.id, {}, version=house.engine.tasks.get(ANN, task.id).version)


def test_only_holder_and_supervisors_hand_a_task_on(house: House) -> None:
    house.deploy(TWO)
    task = house.task(house.start().id)
    house.engine.tasks.claim(ANN, task.id)

    with pytest.raises(AccessDenied):
        house.engine.tasks.assign(BOB, task.id, "bob", "")
    with pytest.raises(NotFound):
        house.engine.tasks.assign(ANN, task.id, "nobody", "")
    house.engine.tasks.assign(ANN, task.id, "bob", "holiday")

    assert [t.id for t in house.engine.tasks.inbox(BOB, "mine").items] == [task.id]
    assert house.events(task.instance_id, "UserTaskAssigned")[0].reason == "holiday"


def test_a_task_that_nobody_else_may_do_is_not_released_into_nothing(house: House) -> None:
    house.deploy(diagram(process(start(), user("a", camunda_assignee="ann"), end(), "s>a", "a>e")))
    task = house.task(house.start().id)

    with pytest.raises(AccessDenied):
        house.engine.tasks.release(ANN, task.id)


def test_an_unknown_task_is_not_found(house: House) -> None:
    with pytest.raises(NotFound):
        house.engine.tasks.complete(ANN, TaskId(1))


# ------------------------------------------------------------------------------------------------------------- separation of duties
def separated(rule: str = "SOD-04") -> bytes:
    apart = properties(separateFrom="a", separationRule=rule)
    return diagram(
        process(
            start(),
            user("a", name="填价", **FOR_ENGINEERS),
            user("b", apart, name="复核", **FOR_ENGINEERS),
            end(),
            "s>a",
            "a>b",
            "b>e",
        )
    )


@pytest.mark.parametrize("how", ["claim", "complete", "assign"])
def test_who_did_one_half_is_kept_from_the_other_and_the_attempt_is_recorded(house: House, how: str) -> None:
    house.deploy(separated())
    started = house.start()
    house.complete(started.id, "a", by=ANN)
    task = house.task(started.id, "b")

    attempt = {
        "claim": lambda: house.engine.tasks.claim(ANN, task.id),
        "complete": lambda: house.engine.tasks.complete(ANN, task.id),
        "assign": lambda: house.engine.tasks.assign(MANAGER, task.id, "ann", "please"),
    }[how]

    with pytest.raises(SeparationOfDuties, match="SOD-04"):
        attempt()

    (denied,) = house.events(started.id, "SeparationOfDutiesDenied")
    assert (denied.element, denied.rule) == ("b", "SOD-04")
    assert house.task(started.id, "b").assignee is None
    house.complete(started.id, "b", by=BOB)
    assert house.status(started.id) == "completed"


def test_who_did_one_half_is_kept_from_the_other_in_a_called_process(house: House) -> None:
    apart = properties(separateFrom="p.a", separationRule="SOD-07")
    checking = process(start("s2"), user("a2", **FOR_ENGINEERS), user("check", apart, **FOR_ENGINEERS), end("e2"), "s2>a2", "a2>check", "check>e2", id="checking")
    house.deploy(diagram(process(start(), user("a", **FOR_ENGINEERS), call("c", "checking"), end(), "s>a", "a>c", "c>e"), checking))
    started = house.start()
    house.complete(started.id, "a", by=ANN)
    house.complete(started.id, "a2", by=ANN)

    with pytest.raises(SeparationOfDuties, match="SOD-07"):
        house.engine.tasks.complete(ANN, house.task(started.id, "check").id)

    house.complete(started.id, "check", by=BOB)
    assert house.status(started.id) == "completed"


def test_an_element_of_the_same_name_in_another_process_bars_nobody(house: House) -> None:
    apart = properties(separateFrom="a")
    checking = process(start("s2"), user("a", **FOR_ENGINEERS), user("check", apart, **FOR_ENGINEERS), end("e2"), "s2>a", "a>check", "check>e2", id="checking")
    first = process(start(), user("a", **FOR_ENGINEERS), call("c", "checking"), end(), "s>a", "a>c", "c>e")
    house.engine.deployments.deploy(SYSTEM, {"p.bpmn": diagram(first), "c.bpmn": diagram(checking)}, "two")
    started = house.start()
    house.complete(started.id, "a", by=ANN)
    house.complete(started.id, "a", by=BOB)

    house.complete(started.id, "check", by=ANN)

    assert house.status(started.id) == "completed"


def test_a_deputy_is_bound_by_what_they_did_and_by_whom_they_stand_for(house: House) -> None:
    house.deploy(separated())
    started = house.start()
    house.complete(started.id, "a", by=ANN)
    deputy = Actor(id="bob", groups=BOB.groups, acting_for="ann")

    with pytest.raises(SeparationOfDuties):
        house.engine.tasks.complete(deputy, house.task(started.id, "b").id)


# ----------------------------------------------------------------------------------------------------------------------- deadlines
def test_a_completion_after_the_deadline_is_told_too_late_and_the_overdue_path_is_taken(house: House) -> None:
    late = boundary("late", "a", timer("timeDuration", "PT2H"))
    house.deploy(
        diagram(process(start(), user("a", **FOR_ENGINEERS), late, user("chase"), end(), "s>a", "a>e", "late>chase", "chase>e"))
    )
    started = house.start()
    task = house.task(started.id)
    house.moved.advance(hours=3)

    with pytest.raises(TaskTooLate):
        house.engine.tasks.complete(ANN, task.id, {"n": 1})

    assert set(house.open_tasks(started.id)) == {"chase"}
    assert "n" not in house.engine.instances.variables(SYSTEM, started.id)
    fired = next(r for r in house.history(started.id) if type(r.event).__name__ == "TimerFired")
    assert fired.actor == "system"
    assert house.rows("select count(*) from job") == [(0,)]


def test_a_suspended_task_leaves_the_inbox_and_cannot_be_completed_until_it_is_resumed(house: House) -> None:
    house.deploy(TWO)
    started = house.start()
    task = house.task(started.id)
    house.engine.instances.suspend(OWNER, started.id, "buyer asked to wait")

    with pytest.raises(TaskSuspended):
        house.engine.tasks.complete(ANN, task.id)
    assert house.engine.tasks.inbox(ANN).items == ()

    house.engine.instances.resume(OWNER, started.id)
    assert [t.id for t in house.engine.tasks.inbox(ANN).items] == [task.id]
    house.complete(started.id, "a", by=ANN)


# --------------------------------------------------------------------------------------------------------------- inbox: order, pages
def test_the_inbox_is_ordered_by_due_date_and_paged_without_gaps_or_repeats(house: House) -> None:
    both = {"camunda_candidateGroups": "presale_engineer,warehouse_keeper", "camunda_candidateUsers": "ann"}
    xml = process(start(), user("a", camunda_dueDate="= due", **both), end(), "s>a", "a>e")
    house.deploy(diagram(xml))
    many = Actor(id="ann", groups=ANN.groups | EVE.groups)
    started = [house.start(variables={"due": house.clock.now() + timedelta(days=n * 7 % 5 + 1)}) for n in range(23)]
    for n in (3, 9):
        house.engine.tasks.claim(ANN, house.task(started[n].id).id)

    seen, after = [], None
    while True:
        page = house.engine.tasks.inbox(many, limit=5, after=after)
        seen += page.items
        after = page.next
        if after is None:
            break

    assert len({t.id for t in seen}) == len(seen) == 23
    assert [t.due_at for t in seen] == sorted(t.due_at for t in seen if t.due_at is not None)
    assert house.engine.tasks.counts(many) == {"all": 23, "mine": 2, "claimable": 21, "overdue": 0}
    house.moved.advance(days=3)
    overdue = house.engine.tasks.inbox(many, "overdue", limit=100).items
    assert len(overdue) == house.engine.tasks.counts(many)["overdue"] > 0
    assert all(t.due_at is not None and t.due_at < house.clock.now() for t in overdue)


def test_tasks_are_counted_up_to_a_number_and_beyond_it_said_to_be_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"camunda_candidateGroups": "presale_engineer,warehouse_keeper", "camunda_candidateUsers": "ann"}
    house.deploy(diagram(process(start(), user("a", camunda_dueDate="= due", **both), end(), "s>a", "a>e")))
    started = [house.start(variables={"due": house.clock.now() + timedelta(days=n % 4 + 1)}) for n in range(12)]
    for n in range(5):
        house.engine.tasks.claim(ANN, house.task(started[n].id).id)
    many = Actor(id="ann", groups=ANN.groups | EVE.groups)
    house.moved.advance(days=2, hours=1)
    exact = {view: len(house.engine.tasks.inbox(many, view, limit=100).items) for view in ("all", "mine", "claimable", "overdue")}
    assert exact == {"all": 12, "mine": 5, "claimable": 7, "overdue": 6}

    for most in range(1, 14):
        monkeypatch.setattr("engine.store.tasks.MOST_COUNTED", most)
        assert house.engine.tasks.counts(many) == {view: min(count, most + 1) for view, count in exact.items()}


@pytest.mark.parametrize(("search", "found"), [("一号", 1), ("b-", 2), ("B-2", 1), ("%", 0), ("_", 0), ("准备", 2)])
def test_the_inbox_is_searched_by_task_title_and_business_key(house: House, search: str, found: int) -> None:
    house.deploy(diagram(process(start(), user("a", name="准备标书", **FOR_ENGINEERS), end(), "s>a", "a>e")))
    house.start(business_key="B-1", title="投标一号")
    house.start(business_key="B-2", title="投标二号")

    assert len(house.engine.tasks.inbox(ANN, search=search).items) == found


@pytest.mark.parametrize("sql", ["inbox", "count"])
def test_the_inbox_is_answered_from_indexes(house: House, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with house.engine._database.reading() as session:
        kind = type(session)
    asked: list[tuple[str, Any]] = []
    rows, row, read = kind.rows, kind.row, kind.read
    monkeypatch.setattr(kind, "read", lambda s, *queries: asked.extend(queries) or read(s, *queries))
    monkeypatch.setattr(kind, "rows", lambda s, q, v=(): asked.append((q, v)) or rows(s, q, v))
    monkeypatch.setattr(kind, "row", lambda s, q, v=(): asked.append((q, v)) or row(s, q, v))
    if sql == "inbox":
        house.engine.tasks.inbox(ANN)
    else:
        house.engine.tasks.counts(ANN)
    monkeypatch.undo()

    assert asked
    for query, values in asked:
        if not house.settings.database_url:
            plan = [str(r[3]) for r in house.rows("explain query plan " + query, *values)]
            scanned = {step.split()[1] for step in plan if step.startswith("SCAN ")} - {"own", "offered", "a", "p"}  # limited arms, merged
        else:
            with house.engine._database.reading() as tx:
                plan = [step for (step,) in tx.rows("explain " + query, values)]
            scanned = [step for step in plan if "Seq Scan" in step]
        assert not scanned, plan
        assert not any("instance_state" in step for step in plan)


# ------------------------------------------------------------------------------------------------------------------ forms and drafts
FORMED = diagram(process(start(), user("a", camunda_formKey="p.a", **FOR_ENGINEERS), user("b"), end(), "s>a", "a>b", "b>e"))
AMOUNT = {"type": "number", "key": "amount", "label": "金额", "validate": {"required": True, "min": 1}}
PRICE = {"type": "number", "key": "price", "label": "报价", "properties": {"priceField": "true"}}
NOTE = {"type": "textfield", "key": "note", "label": "备注"}
FILES = {"type": "filepicker", "key": "files", "label": "附件", "multiple": True, "accept": ".pdf"}


def test_a_form_decides_what_a_task_takes(house: House) -> None:
    house.deploy(FORMED, files={"a.form": form(AMOUNT, NOTE)})
    started = house.start()
    task = house.task(started.id)

    with pytest.raises(InvalidValues) as refused:
        house.engine.tasks.complete(ANN, task.id, {"amount": "0", "smuggled": 1})
    house.engine.tasks.complete(ANN, task.id, {"amount": "1200"})

    assert set(refused.value.problems) == {"amount", "smuggled"}
    assert house.engine.instances.variables(SYSTEM, started.id)["amount"] == 1200


def person(key: str, roles: str = "true") -> dict[str, Any]:
    return {"type": "textfield", "key": key, "label": key, "properties": {"person": roles}}


def test_a_form_takes_people_who_may_work_and_the_task_goes_to_them(house: House) -> None:
    xml = process(
        start(), user("a", **FOR_ENGINEERS, camunda_formKey="p.a"), user("b", camunda_candidateUsers="= who"), end(), "s>a", "a>b", "b>e"
    )
    house.deploy(diagram(xml), files={"a.form": form(person("who"), person("boss", "sales_manager"))})
    started = house.start()
    task = house.task(started.id)
    house.engine.people.set_active(SYSTEM, "bob", False)

    with pytest.raises(InvalidValues) as refused:
        house.engine.tasks.complete(ANN, task.id, {"who": "bob", "boss": "ann"})
    assert refused.value.problems.keys() == {"who", "boss"}
    assert "销售经理（manager）" in refused.value.problems["boss"][0]
    with pytest.raises(InvalidValues):
        house.engine.tasks.complete(ANN, task.id, {"who": "anne"})
    house.engine.tasks.complete(ANN, task.id, {"who": "伊", "boss": "manager"})

    values = house.engine.instances.variables(SYSTEM, started.id)
    assert (values["who"], values["boss"]) == ("eve", "manager")
    assert [t.element for t in house.engine.tasks.inbox(EVE).items] == ["b"]


def test_people_are_read_only_for_a_form_that_names_some(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(session: Any) -> Any:
        raise AssertionError("people were read")

    monkeypatch.setattr("engine.store.people.everybody", read)
    house.deploy(FORMED, files={"a.form": form(AMOUNT, NOTE)})

    house.engine.tasks.complete(ANN, house.task(house.start().id).id, {"amount": 5, "note": "x"})


def test_a_price_field_is_neither_shown_to_nor_taken_from_those_who_may_not_see_prices(house: House) -> None:
    house.deploy(FORMED, files={"a.form": form(AMOUNT, PRICE)})
    started = house.start(variables={"price": 100})
    task = house.task(started.id)

    shown, values = house.engine.tasks.form(ANN, task.id)
    with pytest.raises(InvalidValues):
        house.engine.tasks.complete(ANN, task.id, {"amount": 5, "price": 1})
    house.engine.tasks.complete(ANN, task.id, {"amount": 5})

    assert shown is not None
    assert shown.find("price") is None
    assert "price" not in values
    assert house.engine.instances.variables(SYSTEM, started.id)["price"] == 100


def test_a_draft_is_its_writers_own_and_goes_with_the_task(house: House) -> None:
    house.deploy(FORMED, files={"a.form": form(AMOUNT, NOTE)})
    task = house.task(house.start(variables={"note": "from before"}).id)

    house.engine.tasks.save_draft(ANN, task.id, {"amount": "not yet"})
    house.engine.tasks.save_draft(ANN, task.id, {"amount": "7"})

    assert house.engine.tasks.form(ANN, task.id)[1] == {"amount": "7", "note": "from before"}
    assert house.engine.tasks.form(BOB, task.id)[1] == {"amount": None, "note": "from before"}
    house.engine.tasks.complete(ANN, task.id, {"amount": 7})
    assert house.rows("select count(*) from draft") == [(0,)]


def test_a_running_instance_keeps_the_form_it_was_started_with(house: House) -> None:
    house.deploy(FORMED, files={"a.form": form(NOTE)})
    old = house.start()
    made = house.deploy(FORMED, files={"a.form": form(AMOUNT)})
    new = house.start()

    def keys(instance: Any) -> list[str]:
        shown = house.engine.tasks.form(ANN, house.task(instance.id).id)[0]
        assert shown is not None
        return [c.key for c in shown.inputs()]

    assert [d.version for d in made.definitions] == [2]
    assert (keys(old), keys(new)) == (["note"], ["amount"])


# ------------------------------------------------------------------------------------------------------------------------- documents
def test_files_attached_to_a_task_become_the_value_of_their_field(house: House) -> None:
    house.deploy(FORMED, files={"a.form": form(FILES)})
    started = house.start()
    task = house.task(started.id)
    kept = house.engine.tasks.attach(ANN, task.id, "files", "C:\\bids\\标书.pdf", "application/pdf", BytesIO(b"one"))
    gone = house.engine.tasks.attach(ANN, task.id, "files", "draft.pdf", "application/pdf", b"two")
    house.engine.tasks.detach(ANN, task.id, gone.id)

    house.engine.tasks.complete(ANN, task.id, {"files": [{"id": "1", "name": "forged.pdf"}]})

    (value,) = house.engine.instances.variables(SYSTEM, started.id)["files"]
    assert value == {"id": str(kept.id), "name": "标书.pdf", "sha256": kept.sha256, "size": 3}
    document, stream = house.engine.tasks.open_document(BOB, kept.id)
    with stream:
        assert stream.read() == b"one"
    assert house.engine.instances.documents(ANN, started.id) == (document,)
    assert (house.folder / "documents" / kept.sha256[:2] / kept.sha256).read_bytes() == b"one"
    with pytest.raises(AccessDenied):
        house.engine.tasks.open_document(EVE, kept.id)
    assert [type(x).__name__ for x in house.events(started.id) if "Document" in type(x).__name__] == [
        "DocumentAttached", "DocumentAttached", "DocumentDetached",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size", "field"),
    [("x.exe", 3, "files"), ("x.pdf", 0, "files"), ("x.pdf", 99, "files"), ("x.png", 3, "files"), ("x.pdf", 3, "other")],
)
def test_a_file_that_is_not_wanted_is_refused_and_leaves_nothing(house: House, name: str, size: int, field: str) -> None:
    small = House(house.folder, house.clock, upload_limit=50)
    house.deploy(FORMED, files={"a.form": form(FILES)})
    task = house.task(house.start().id)

    with pytest.raises(FileRefused):
        small.engine.tasks.attach(ANN, task.id, field, name, "application/octet-stream", b"x" * size)

    small.close()
    assert not [p for p in (house.folder / "documents").rglob("*") if p.is_file()]
    assert house.engine.instances.documents(ANN, task.instance_id) == ()


def test_the_last_of_parallel_tasks_ends_the_instance_and_every_row_with_it(house: House) -> None:
    xml = process(start(), parallel("f"), user("a"), user("b"), parallel("j"), end(), "s>f", "f>a", "f>b", "a>j", "b>j", "j>e")
    house.deploy(diagram(xml))
    started = house.start()

    house.complete(started.id, "a")
    house.complete(started.id, "b")

    assert house.status(started.id) == "completed"
    assert house.rows("select count(*) from instance_state") == [(0,)]
    assert house.rows("select count(*) from user_task where ended_at is null") == [(0,)]


def test_terminating_cancels_the_tasks_of_the_other_branches(house: House) -> None:
    stop = end("stop", event("terminate"))
    house.deploy(
        diagram(process(start(), parallel("f"), user("a"), user("b"), stop, end(), "s>f", "f>a", "f>b", "a>stop", "b>e"))
    )
    started = house.start()
    other = house.task(started.id, "b")

    house.complete(started.id, "a")

    assert house.engine.tasks.get(SYSTEM, other.id).state.value == "cancelled"
    with pytest.raises(TaskNotOpen):
        house.engine.tasks.complete(SYSTEM, other.id)
    assert isinstance(house.engine.tasks.get(SYSTEM, other.id).ended_at, datetime)


def test_a_completion_whose_output_mapping_fails_counts_and_its_values_are_used_by_the_retry(house: House) -> None:
    bad = mapping(outputs={"n": "count(for i in 1..limit return i) + given"})
    house.deploy(diagram(process(start(), user("a", bad, **FOR_ENGINEERS), user("after"), end(), "s>a", "a>after", "after>e")))
    id = house.start(variables={"limit": 1_000_000}).id
    task = house.task(id).id
    house.engine.tasks.complete(ANN, task, {"given": 5})

    assert (house.engine.tasks.get(ANN, task).state.value, house.engine.tasks.get(ANN, task).ended_by) == ("completed", "ann")
    (incident,) = house.engine.jobs.incidents(OWNER)
    require_agreement(house)
    house.engine.jobs.retry(OWNER, incident.id, {"limit": 1}, "typo in the diagram's data")

    assert set(house.open_tasks(id)) == {"after"}
    assert house.engine.instances.variables(SYSTEM, id)["n"] == 6
    require_agreement(house)
