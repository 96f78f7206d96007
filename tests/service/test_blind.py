"""Two people check the same thing and neither sees what the other wrote before both are done; nor does anybody else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from engine.access import GROUPS, HIDDEN
from engine.errors import AccessDenied, EngineError
from engine.model import SYSTEM, Actor
from engine.service.tasks import SeparationOfDuties
from tests.bpmn.build import (
    boundary,
    call,
    diagram,
    end,
    exclusive,
    parallel,
    process,
    properties,
    script,
    service,
    start,
    sub,
    timer,
    user,
)
from tests.service.house import ANN, BOB, FOR_ENGINEERS, MANAGER, OWNER, House
from tests.service.laws import require_agreement

SECRET, FILE = "漏盖骑缝章", "证据照片.pdf"
FORM = '{"type":"default","id":"p.%s","components":[{"type":"textfield","key":"%s","label":"x"},{"type":"filepicker","key":"proof","label":"x","accept":".pdf"},{"type":"textfield","key":"note","label":"x"}]}'
#: Shows what either wrote.
BOTH = b"""{"type":"default","id":"p.c","components":[{"type":"textfield","key":"a_found","label":"x","readonly":true},
 {"type":"textfield","key":"b_found","label":"x"},{"type":"textfield","key":"summary","label":"x"},
 {"type":"table","label":"x","dataSource":"=rows","columns":[{"key":"text","label":"x"}]}]}"""


def blind(name: str, until: str, apart: str = "", **attributes: str) -> str:
    inner = properties(blindUntil=until, **({"separateFrom": apart, "separationRule": "SOD-01"} if apart else {}))
    return user(name, inner, camunda_formKey=f"p.{name}", **FOR_ENGINEERS, **attributes)


PAIR = (
    parallel("fork"), blind("a", "b", "b"), blind("b", "a", "a"), script("sum", '{summary: "发现 " + a_found, rows: [{text: a_found}]}'),
    parallel("join"), user("c", camunda_formKey="p.c", **FOR_ENGINEERS), "fork>a", "fork>b", "a>sum", "sum>join", "b>join", "join>c",
)  # fmt: skip
#: Beside it stands a task whose form shows everything.
DIAGRAM = diagram(process(start(), *PAIR, user("watch", camunda_formKey="p.c", **FOR_ENGINEERS), end(), "s>fork", "fork>watch", "watch>join", "c>e"))
FILES = {"a.form": (FORM % ("a", "a_found")).encode(), "b.form": (FORM % ("b", "b_found")).encode(), "c.form": BOTH}


def everything(house: House, actor: Actor, id: Any) -> dict[str, Any]:
    """Return the answer of every query, those that are refused left out."""
    e = house.engine
    of_each: dict[str, Callable[[Any], Any]] = {
        "form": lambda t: e.tasks.form(actor, t)[1], "context": lambda t: e.tasks.context(actor, t), "task": lambda t: e.tasks.get(actor, t),
        "files": lambda t: e.tasks.documents(actor, t),
    }
    queries: dict[str, Callable[[], Any]] = {
        "variables": lambda: e.instances.variables(actor, id), "history": lambda: e.instances.history(actor, id),
        "export": lambda: b"".join(e.instances.export(actor, id)).decode(), "get": lambda: e.instances.get(actor, id),
        "list": lambda: e.instances.list(actor, search=SECRET), "search": lambda: e.tasks.inbox(actor, search=SECRET),
        "work": lambda: e.instances.work(actor, id), "incidents": lambda: e.jobs.incidents(actor, open=False),
        "of_instance": lambda: e.jobs.of_instance(actor, id), "documents": lambda: e.instances.documents(actor, id),
        "inbox": lambda: e.tasks.inbox(actor), "notices": lambda: e.people.notices(actor), "of": lambda: e.tasks.of_instance(actor, id),
        **{f"{name} {t.element}": lambda ask=ask, t=t: ask(t.id) for t in e.tasks.of_instance(SYSTEM, id) for name, ask in of_each.items()},
    }  # fmt: skip
    for recorded in house.history(id):
        queries[f"explain {recorded.seq}"] = lambda seq=recorded.seq: e.instances.explain(actor, id, seq)
    for document in e.instances.documents(SYSTEM, id):
        queries[f"open {document.id}"] = lambda d=document.id: read(e.tasks.open_document(actor, d)[1])
    found: dict[str, Any] = {}
    for name, query in queries.items():
        try:
            found[name] = query()
        except EngineError as error:
            if error.status not in (403, 404):
                raise
    return found


def read(file: BinaryIO) -> bytes:
    with file:
        return file.read()


def told(house: House, actor: Actor, id: Any) -> list[str]:
    """Return the queries that tell the actor the secret, or the file, its bytes included."""
    return [name for name, answer in everything(house, actor, id).items() if SECRET in repr(answer) or FILE in repr(answer) or "%PDF" in repr(answer)]


@pytest.fixture
def half(house: House) -> Any:
    """Ann has checked, with a file; Bob has not."""
    house.deploy(DIAGRAM, files=FILES)
    id = house.start().id
    task = house.task(id, "a")
    house.engine.tasks.attach(ANN, task.id, "proof", FILE, "", b"%PDF")
    assert told(house, BOB, id) == []
    house.engine.tasks.complete(ANN, task.id, {"a_found": SECRET, "note": "x"})
    return id


@pytest.mark.parametrize("role", sorted(GROUPS))
def test_before_both_are_done_nobody_sees_what_one_wrote_nor_what_follows_from_it(house: House, half: Any, role: str) -> None:
    assert told(house, Actor(id=role, groups=frozenset({role})), half) == []


def test_who_wrote_it_sees_it_and_an_auditor_sees_that_there_is_something(house: House, half: Any) -> None:
    auditor = Actor(id="aud", groups=frozenset({"auditor"}))

    assert SECRET in repr(house.engine.instances.history(ANN, half))
    assert FILE in repr(house.engine.instances.documents(ANN, half))
    assert house.engine.instances.variables(auditor, half)["a_found"] == HIDDEN
    (completed,) = (r.event for r in house.engine.instances.history(auditor, half) if type(r.event).__name__ == "UserTaskCompleted")
    assert (completed.element, set(completed.values.values())) == ("a", {HIDDEN})  # type: ignore[attr-defined]


def test_when_both_are_done_it_is_seen_as_anything_else(house: House, half: Any) -> None:
    house.complete(half, "b", by=BOB, b_found="无")

    assert house.engine.instances.variables(OWNER, half)["a_found"] == SECRET
    assert {"history", "documents", "form watch", "context watch"} <= set(told(house, OWNER, half))


def test_the_history_itself_holds_it_and_an_export_without_it_verifies(house: House, half: Any, tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(house.engine.instances.export(OWNER, half)))

    result = subprocess.run([sys.executable, "-I", "-S", "docs/verify_export.py", str(path)], capture_output=True, text=True, cwd=Path(__file__).parents[2])

    assert result.returncode == 0, result.stdout
    assert SECRET not in path.read_text()
    assert house.engine.audit.verify(half) == ()
    assert SECRET in repr(house.history(half))
    require_agreement(house)


def test_the_second_round_is_as_blind_as_the_first(house: House) -> None:
    house.deploy(diagram(process(
        start(), exclusive("again"), *PAIR, exclusive("g"), end(), "s>again", "again>fork", "c>g", "g>again: redo", "g>e: not(redo)")), files=FILES)  # fmt: skip
    id = house.start().id
    for by in (ANN, BOB):
        house.complete(id, "a" if by is ANN else "b", by=by, **{"a_found" if by is ANN else "b_found": "1"})
    house.engine.instances.set_variables(SYSTEM, id, {"redo": True}, "test")
    house.complete(id, "c", by=SYSTEM)

    house.complete(id, "a", by=ANN, a_found=SECRET)

    assert told(house, BOB, id) == []
    assert told(house, OWNER, id) == []
    house.complete(id, "b", by=BOB, b_found="2")
    assert "variables" in told(house, OWNER, id)


def test_a_name_outside_the_scope_is_no_secret(house: House) -> None:
    """The caller's variable of the same name is shown as ever."""
    checking = process(start("s2"), parallel("fork"), blind("a", "b"), blind("b", "a"), parallel("join"), end("e2"), "s2>fork", "fork>a", "fork>b", "a>join", "b>join", "join>e2", id="checking")
    mapped = '<extensionElements><camunda:in source="n" target="n"/></extensionElements>'
    house.deploy(diagram(process(start(), call("c", "checking", mapped), end(), "s>c", "c>e"), checking), files=FILES)
    id = house.start(variables={"a_found": "旧", "n": 1}).id

    house.complete(id, "a", by=ANN, a_found=SECRET)

    assert house.engine.instances.variables(OWNER, id)["a_found"] == "旧"
    (scope,) = (t.scope for t in house.engine.instances.tokens(SYSTEM, id) if t.element == "b")
    assert house.engine.instances.variables(OWNER, id, scope)["a_found"] == HIDDEN


def test_what_was_hidden_is_seen_when_its_scope_has_ended(house: House) -> None:
    """Nothing can be copied any more: the other check will never come."""
    inner = sub("x", start("s2"), parallel("fork"), blind("a", "b"), blind("b", "a"), parallel("join"), end("e2"), "s2>fork", "fork>a", "fork>b", "a>join", "b>join", "join>e2")
    house.deploy(diagram(process(start(), inner, boundary("late", "x", timer("timeDuration", "PT1H")), user("d"), end(), "s>x", "x>e", "late>d", "d>e")), files=FILES)
    id = house.start().id
    house.complete(id, "a", by=ANN, a_found=SECRET)
    assert told(house, OWNER, id) == []

    house.moved.advance(hours=2)
    house.engine.jobs.run_due()

    assert "history" in told(house, OWNER, id)


MANY = "<multiInstanceLoopCharacteristics><extensionElements><camunda:properties>{}</camunda:properties></extensionElements><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>".format(
    '<camunda:property name="outputCollection" value="rows"/><camunda:property name="outputElement" value="{text: a_found}"/>')


def test_the_two_of_a_multi_instance_task_are_blind_to_each_other_and_two(house: House) -> None:
    apart = properties(blindUntil="a", separateFrom="a", separationRule="SOD-01")
    house.deploy(diagram(process(start(), user("a", apart + MANY, camunda_formKey="p.c2", **FOR_ENGINEERS), user("c", camunda_formKey="p.c", **FOR_ENGINEERS), exclusive("g"), exclusive("m"), end(),
                                 "s>m", "m>a", "a>c", "c>g", "g>m: redo", "g>e: not(redo)")), files={
        "c.form": BOTH, "c2.form": BOTH.replace(b'"p.c"', b'"p.c2"').replace(b',"readonly":true', b"")})  # fmt: skip
    id = house.start().id

    for turn in range(2):  # who checked in the first round may check in the second
        first, second = (t for t in house.engine.tasks.of_instance(SYSTEM, id) if t.state == "open")
        house.engine.tasks.complete(ANN, first.id, {"a_found": SECRET})
        if turn == 0:
            assert told(house, BOB, id) == []
        assert SECRET not in repr(house.engine.tasks.form(BOB, second.id)) + repr(house.engine.tasks.context(BOB, second.id))
        with pytest.raises(SeparationOfDuties, match="SOD-01"):
            house.engine.tasks.complete(ANN, second.id, {"a_found": "x"})
        house.engine.tasks.complete(BOB, second.id, {"a_found": "x"})
        assert "history" in told(house, OWNER, id)
        house.engine.instances.set_variables(SYSTEM, id, {"redo": turn == 0}, "test")
        house.complete(id, "c")
    assert house.status(id) == "completed"


def test_a_failure_that_quotes_it_does_not_tell_it(house: House) -> None:
    @house.handler("work", retries=0)
    def work(job: Any) -> dict[str, Any]:
        """Work."""
        raise ValueError(f"not found: {job.values['a_found']}")

    house.deploy(diagram(process(start(), parallel("fork"), blind("a", "b"), service("work"), blind("b", "a"), parallel("join"), end(),
                                 "s>fork", "fork>a", "fork>b", "a>work", "work>join", "b>join", "join>e")), files=FILES)  # fmt: skip
    id = house.start().id
    house.complete(id, "a", by=ANN, a_found=SECRET)
    house.engine.jobs.run_due()

    assert [i.message for i in house.engine.jobs.incidents(OWNER)] == [HIDDEN]
    assert told(house, OWNER, id) == []


def test_a_deputy_or_supervisor_may_not_hand_on_what_only_some_may(house: House) -> None:
    house.deploy(diagram(process(start(), user("a", properties(reassignGroups="bid_manager"), **FOR_ENGINEERS), end(), "s>a", "a>e")))
    task = house.task(house.start().id)
    house.engine.tasks.claim(ANN, task.id)

    for actor in (ANN, MANAGER):
        with pytest.raises(AccessDenied, match="投标负责人"):
            house.engine.tasks.assign(actor, task.id, "bob", "忙")

    house.engine.tasks.assign(Actor(id="bm", groups=frozenset({"bid_manager"})), task.id, "bob", "忙")
    assert house.task(task.instance_id).assignee == "bob"


@pytest.mark.parametrize("how", ["claim", "complete", "assign"])
def test_who_holds_one_of_two_open_checks_is_kept_from_the_other(house: House, how: str) -> None:
    house.deploy(DIAGRAM, files=FILES)
    id = house.start().id
    house.engine.tasks.claim(ANN, house.task(id, "a").id)
    other = house.task(id, "b")

    with pytest.raises(SeparationOfDuties, match="已领取"):
        {
            "claim": lambda: house.engine.tasks.claim(ANN, other.id), "complete": lambda: house.engine.tasks.complete(ANN, other.id, {"b_found": "x"}),
            "assign": lambda: house.engine.tasks.assign(MANAGER, other.id, "ann", "x"),
        }[how]()  # fmt: skip

    house.engine.tasks.release(ANN, house.task(id, "a").id)
    house.complete(id, "b", by=ANN, b_found="x")
