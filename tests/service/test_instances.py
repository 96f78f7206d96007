"""Process instances: start, stop, look, mend."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import AccessDenied, InvalidValues, NotFound, WrongState
from engine.model import SYSTEM, Actor, InstanceId
from engine.service.forms import ReasonMissing
from tests.bpmn.build import boundary, call, catch, diagram, end, event, parallel, process, script, start, timer, user
from tests.service.house import ANN, BOB, EVE, FOR_ENGINEERS, MANAGER, OWNER, House

TWO = diagram(
    process(start(), user("a", **FOR_ENGINEERS), user("b", **FOR_ENGINEERS), end(), "s>a", "a>b", "b>e", camunda_candidateStarterGroups="presale_engineer", name="售前")
)  # fmt: skip


def test_only_starters_and_process_owners_start_a_process(house: House) -> None:
    house.deploy(TWO)

    started = house.engine.instances.start(ANN, "p", title=" 一号 ")

    assert (started.title, started.started_by, started.name, started.version) == ("一号", "ann", "售前", 1)
    house.engine.instances.start(OWNER, "p")
    with pytest.raises(AccessDenied):
        house.engine.instances.start(EVE, "p")
    assert [d.key for d in house.engine.instances.startable(ANN)] == ["p"]
    assert house.engine.instances.startable(EVE) == ()


def test_a_start_with_the_same_key_starts_once(house: House) -> None:
    house.deploy(TWO)

    one = house.engine.instances.start(ANN, "p", idempotency_key="k")
    again = house.engine.instances.start(ANN, "p", idempotency_key="k")
    other = house.engine.instances.start(OWNER, "p", idempotency_key="k")

    assert one.id == again.id != other.id
    assert len(house.engine.instances.list(SYSTEM).items) == 2


def test_an_unknown_process_or_version_is_not_found(house: House) -> None:
    house.deploy(TWO)

    for key, version in (("q", None), ("p", 2)):
        with pytest.raises(NotFound):
            house.start(key, version=version)


def test_a_start_form_decides_what_a_start_takes(house: House) -> None:
    asked = {
        "id": "p.s",
        "components": [
            {"type": "textfield", "key": "customer", "label": "客户", "validate": {"required": True}},
            {"type": "textfield", "key": "seller", "label": "销售", "properties": {"person": "sales_manager"}},
        ],
    }
    house.deploy(
        diagram(process(start("s", camunda_formKey="p.s"), user("a"), end(), "s>a", "a>e")),
        files={"s.form": json.dumps(asked).encode()},
    )

    form, values = house.engine.instances.start_form(OWNER, "p")
    with pytest.raises(InvalidValues):
        house.engine.instances.start(OWNER, "p", {})
    with pytest.raises(InvalidValues):
        house.engine.instances.start(OWNER, "p", {"customer": "电网", "seller": "ann"})
    started = house.engine.instances.start(OWNER, "p", {"customer": " 电网 ", "seller": "销售经理"})

    assert form is not None
    assert values == {"customer": None, "seller": None}
    assert house.engine.instances.variables(OWNER, started.id) == {"customer": "电网", "seller": "manager"}


def test_cancelling_needs_the_right_role_and_a_reason_and_happens_once(house: House) -> None:
    house.deploy(TWO)
    id = house.start().id
    with pytest.raises(AccessDenied):
        house.engine.instances.cancel(ANN, id, "no bid")
    with pytest.raises(ReasonMissing):
        house.engine.instances.cancel(MANAGER, id, " ")

    house.engine.instances.cancel(MANAGER, id, "no bid")

    instance = house.engine.instances.get(SYSTEM, id)
    assert (instance.status.value, instance.ended_at is not None) == ("cancelled", True)
    assert house.engine.tasks.inbox(ANN).items == ()
    for again in (
        lambda: house.engine.instances.cancel(MANAGER, id, "again"),
        lambda: house.engine.instances.suspend(MANAGER, id, "again"),
        lambda: house.engine.instances.resume(MANAGER, id),
        lambda: house.engine.instances.set_variables(OWNER, id, {"x": 1}, "late"),
    ):
        with pytest.raises(WrongState):
            again()
    assert house.engine.audit.verify() == ()


def test_variables_of_an_ended_instance_are_read_from_its_history(house: House) -> None:
    house.deploy(TWO)
    id = house.start(variables={"n": Decimal("1.5"), "m": 1}).id
    house.complete(id, "a", m=2)
    house.complete(id, "b")

    assert house.engine.instances.variables(OWNER, id) == {"n": Decimal("1.5"), "m": 2}
    with pytest.raises(AccessDenied):
        house.engine.instances.variables(ANN, id)


def test_data_of_others_is_left_out_of_the_history_for_those_who_may_not_see_variables(house: House) -> None:
    house.deploy(TWO)
    id = house.start(variables={"margin": 30}).id
    house.complete(id, "a", by=ANN, mine=1)
    house.complete(id, "b", by=BOB, his=2)

    seen = {
        type(r.event).__name__ + ":" + r.actor: getattr(r.event, "values", None)
        for r in house.engine.instances.history(ANN, id)
    }

    assert seen["UserTaskCompleted:ann"] == {"mine": 1}
    assert seen["UserTaskCompleted:bob"] == {}
    assert not [r for r in house.engine.instances.history(ANN, id) if "margin" in repr(r.event)]
    assert [r for r in house.engine.instances.history(OWNER, id) if "margin" in repr(r.event)]
    assert [r.seq for r in house.engine.instances.history(OWNER, id, after=3, limit=2)] == [4, 5]


def test_instances_are_listed_newest_first_in_pages_and_only_to_those_concerned(house: House) -> None:
    house.deploy(TWO)
    made = [house.start(business_key=f"B-{n}", title=f"项目 {n}").id for n in range(5)]
    own = house.engine.instances.start(ANN, "p", title="own").id
    house.complete(made[0], "a", by=BOB)
    house.complete(made[0], "b", by=BOB)

    first = house.engine.instances.list(OWNER, limit=4)
    second = house.engine.instances.list(OWNER, limit=4, before=first.next)

    assert [i.id for i in (*first.items, *second.items)] == [own, *reversed(made)]
    assert second.next is None
    assert [i.id for i in house.engine.instances.list(OWNER, status="completed").items] == [made[0]]
    assert [i.id for i in house.engine.instances.list(OWNER, search="b-3").items] == [made[3]]
    assert [i.id for i in house.engine.instances.list(OWNER, key="q").items] == []
    assert {i.id for i in house.engine.instances.list(ANN).items} == {own, *made[1:]}
    assert {i.id for i in house.engine.instances.list(BOB).items} == {own, *made}
    assert house.engine.instances.list(EVE).items == ()
    assert house.engine.instances.list(Actor(id="nobody")).items == ()


def test_a_called_process_runs_as_it_was_pinned_and_its_diagram_is_listed(house: House) -> None:
    inner = diagram(process(start(), user("i", name="one"), end(), "s>i", "i>e", id="q", name="子流程"))
    outer = diagram(process(start(), user("a"), call("c", "q"), end(), "s>a", "a>c", "c>e"))
    house.deploy(inner, outer)
    old = house.start()
    house.deploy(inner.replace(b'"one"', b'"two"'))
    new = house.start()

    for started in (old, new):
        house.complete(started.id, "a")

    assert [house.task(i.id).name for i in (old, new)] == ["one", "two"]
    assert house.task(old.id).process_name == "子流程"
    assert [(d.key, d.version) for d in house.engine.instances.diagrams(OWNER, old.id)] == [("p", 1), ("q", 1)]
    assert [(d.key, d.version) for d in house.engine.instances.diagrams(OWNER, new.id)] == [("p", 1), ("q", 2)]
    assert house.events(old.id, "InstanceStarted")[0].definitions == {"p": 1, "q": 1}


def test_an_exported_instance_is_verified_offline(house: House, tmp_path: Path) -> None:
    house.deploy(TWO)
    id = house.start(variables={"n": 1}).id
    house.complete(id, "a", by=ANN, 结果="通过")
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(house.engine.instances.export(OWNER, id)))
    script = Path(__file__).parents[2] / "docs" / "verify_export.py"

    assert subprocess.run([sys.executable, "-I", str(script), str(path)], check=False, capture_output=True).returncode == 0
    path.write_bytes(path.read_bytes().replace("通过".encode(), "不过".encode()))
    assert subprocess.run([sys.executable, "-I", str(script), str(path)], check=False, capture_output=True).returncode == 1
    with pytest.raises(AccessDenied):
        house.engine.instances.export(ANN, id)
    with pytest.raises(NotFound):
        house.engine.instances.export(OWNER, InstanceId(1))


def test_an_instance_tells_where_it_stands(house: House) -> None:
    house.deploy(
        diagram(
            process(
                start(), parallel("f"), user("a"), boundary("late", "a", timer("timeDuration", "PT1H")), catch("news", event("signal", "sA")),
                script("broken", "1 + x"), parallel("j"), end(), end("e2"),
                "s>f", "f>a", "f>news", "f>broken", "a>j", "news>j", "broken>j", "j>e", "late>e2",
            )
        )
    )  # fmt: skip
    id = house.start(variables={"x": "text"}).id

    found = {t.element: (t.kind, t.state, t.is_subscription) for t in house.engine.instances.tokens(OWNER, id)}

    assert found["a"] == ("userTask", "ready", False)
    assert found["late"] == ("boundaryEvent", "waiting", True)
    assert found["news"] == ("intermediateCatchEvent", "waiting", False)
    assert {t.element: t.host for t in house.engine.instances.tokens(OWNER, id)}["late"] == house.task(id, "a").token
    house.engine.instances.cancel(OWNER, id, "enough")
    assert house.engine.instances.tokens(OWNER, id) == ()
    with pytest.raises(AccessDenied):
        house.engine.instances.tokens(EVE, id)


def test_every_command_works_on_what_the_database_holds_and_not_on_what_an_engine_remembers(house: House) -> None:
    house.deploy(TWO)
    other = house.beside()
    id = house.start(variables={"n": 1}).id

    other.complete(id, "a", n=2)  # the first engine has not been told
    house.complete(id, "b", by=ANN)

    assert house.status(id) == other.status(id) == "completed"
    assert other.engine.instances.variables(SYSTEM, id)["n"] == 2
    assert house.engine.audit.cross_check(id) == ()
    other.close()


def test_who_mends_incidents_may_let_an_instance_begin_at_a_start_event_that_did_not_happen(house: House) -> None:
    house.deploy(diagram(process(start("night", timer("timeCycle", "R/P1D")), user("a", **FOR_ENGINEERS), end(), "night>a", "a>e")))
    begin = house.engine.instances.start

    started = begin(OWNER, "p", {"n": 1}, start_event="night")

    assert set(house.open_tasks(started.id)) == {"a"}
    with pytest.raises(AccessDenied):
        begin(OWNER, "p")
    with pytest.raises(AccessDenied):
        begin(ANN, "p", start_event="night")
    with pytest.raises(NotFound):
        begin(OWNER, "p", start_event="a")


def test_a_call_that_an_expression_names_pins_what_is_deployed_when_the_instance_begins(house: House) -> None:
    caller = process(start(), call("c", "= which"), end(), "s>c", "c>e")
    house.deploy(diagram(process(start(), user("x"), end(), "s>x", "x>e", id="q")))
    house.deploy(diagram(process(start(), user("y"), end(), "s>y", "y>e", id="r")))
    house.deploy(diagram(caller))

    first = house.start(variables={"which": "r"})
    house.deploy(diagram(process(start(), user("new"), end(), "s>new", "new>e", id="r")))
    second = house.start(variables={"which": "r"})

    assert [*house.open_tasks(first.id)] == ["y"]
    assert [*house.open_tasks(second.id)] == ["new"]
    house.complete(first.id, "y")
    assert house.status(first.id) == "completed"
