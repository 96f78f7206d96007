"""No amount reaches anybody without a price role, by whatever call, nor leaves in an export."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.access import GROUPS, PRICE_READERS
from engine.errors import EngineError
from engine.model import Actor
from engine.store.chain import unpack
from tests.bpmn.build import diagram, end, process, script, service, start, user
from tests.service.house import OWNER, House

AMOUNT, FLOOR = "7654321", "8123456"
PRICER = Actor(id="pricer", groups=frozenset({"pricing_officer"}))
QUOTE = b"""{"type":"default","id":"p.quote","components":[
 {"type":"number","key":"bid_price","label":"x","properties":{"priceField":"true"}},
 {"type":"dynamiclist","path":"lines","label":"x","components":[{"type":"textfield","key":"item","label":"x"},
   {"type":"number","key":"unit_price","label":"x","properties":{"priceField":"true"}}]},
 {"type":"filepicker","key":"sheet","label":"x","accept":".xlsx","properties":{"priceField":"true"}},
 {"type":"textfield","key":"note","label":"x"}]}"""
#: Shows the same names without saying that they are amounts.
REVIEW = b"""{"type":"default","id":"p.review","components":[
 {"type":"number","key":"bid_price","label":"x","readonly":true},
 {"type":"table","label":"x","dataSource":"=lines","columns":[{"key":"item","label":"x"},{"key":"unit_price","label":"x"}]},
 {"type":"number","key":"total_amount","label":"x","readonly":true},{"type":"textfield","key":"opinion","label":"x"}]}"""
DIAGRAM = diagram(
    process(
        start(), user("quote", camunda_candidateGroups="pricing_officer", camunda_formKey="p.quote"),
        script("sum", "bid_price * 2", camunda_resultVariable="total_amount"),
        script("fail", "string length(bid_price)", camunda_resultVariable="nothing"), service("work"),
        user("review", camunda_candidateGroups="auditor,system_admin,process_owner,presale_engineer", camunda_formKey="p.review"), end(),
        "s>quote", "quote>sum", "sum>fail", "fail>work", "work>review", "review>e",
    )
)  # fmt: skip


@pytest.fixture
def priced(house: House) -> Any:
    """An instance that knows amounts in every way it can, waiting for its review."""

    mended: list[bool] = []

    @house.handler("work", retries=0)
    def work(job: Any) -> dict[str, Any]:
        """Work."""
        if not mended:
            raise ValueError(f"no such price: {job.values['bid_price']}")
        return {"discount": Decimal(FLOOR)}

    house.deploy(DIAGRAM, files={"quote.form": QUOTE, "review.form": REVIEW})
    id = house.start().id
    task = house.task(id)
    house.engine.tasks.save_draft(PRICER, task.id, {"bid_price": AMOUNT})
    house.engine.tasks.attach(PRICER, task.id, "sheet", "报价.xlsx", "", b"x")
    house.engine.tasks.complete(PRICER, task.id, {"bid_price": AMOUNT, "lines": [{"item": "服务器", "unit_price": FLOOR}], "note": "好"})
    house.engine.jobs.run_due()
    (incident,) = house.engine.jobs.incidents(OWNER)
    assert AMOUNT not in incident.message
    mended.append(True)
    house.engine.jobs.retry(OWNER, incident.id, {}, "again")
    house.engine.jobs.run_due()
    return id


def everything(house: House, actor: Actor, id: Any) -> dict[str, Any]:
    """Return the answer of every query, those that are refused left out."""
    task = house.task(id)
    e = house.engine
    queries: dict[str, Callable[[], Any]] = {
        "variables": lambda: e.instances.variables(actor, id), "history": lambda: e.instances.history(actor, id),
        "export": lambda: list(e.instances.export(actor, id)), "form": lambda: e.tasks.form(actor, task.id)[1],
        "context": lambda: e.tasks.context(actor, task.id), "get": lambda: e.instances.get(actor, id), "task": lambda: e.tasks.get(actor, task.id),
        "list": lambda: e.instances.list(actor, search=AMOUNT), "work": lambda: e.instances.work(actor, id),
        "incidents": lambda: e.jobs.incidents(actor, open=False), "of_instance": lambda: e.jobs.of_instance(actor, id),
        "documents": lambda: e.instances.documents(actor, id), "inbox": lambda: e.tasks.inbox(actor), "notices": lambda: e.people.notices(actor),
        "expected": lambda: e.messages.expected(actor, id),
    }  # fmt: skip
    found: dict[str, Any] = {}
    for name, query in queries.items():
        try:
            found[name] = query()
        except EngineError as error:
            if error.status != 403:
                raise
    return found


@pytest.mark.parametrize("role", sorted(GROUPS))
def test_amounts_are_told_to_price_roles_alone(house: House, priced: Any, role: str) -> None:
    told = repr(everything(house, Actor(id=role, groups=frozenset({role})), priced))

    double = str(2 * int(AMOUNT))
    if role in PRICE_READERS and role in ("company_leader",):
        assert AMOUNT in told
    elif role not in PRICE_READERS:
        for secret in (AMOUNT, FLOOR, double, "报价.xlsx"):
            at = told.find(secret)
            assert at < 0, told[max(0, at-300):at+60]


SALES = diagram(
    process(
        start(), user("cost", camunda_candidateGroups="account_manager", camunda_formKey="p.quote"),
        user("hand_over", camunda_candidateGroups="presale_engineer,account_manager"), end(), "s>cost", "cost>hand_over", "hand_over>e", id="sales",
    )
)  # fmt: skip


def test_account_managers_see_the_amounts_of_their_own_projects_alone(house: House) -> None:
    mine, other = (Actor(id=id, groups=frozenset({"account_manager", "process_owner"})) for id in ("mine", "other"))
    house.deploy(SALES, files={"quote.form": QUOTE})
    id = house.start("sales").id
    task = house.task(id)
    form, _ = house.engine.tasks.form(mine, task.id)
    assert form is not None
    assert "bid_price" in {c.key for c in form.inputs()}  # whom a task is offered to can do it
    house.engine.tasks.attach(mine, task.id, "sheet", "报价.xlsx", "", b"x")
    house.engine.tasks.complete(mine, task.id, {"bid_price": AMOUNT, "note": "好"})

    assert AMOUNT in repr(everything(house, mine, id))
    assert "报价.xlsx" in repr(house.engine.instances.documents(mine, id))
    assert house.engine.instances.documents(other, id) == ()
    told = everything(house, other, id)
    assert AMOUNT not in repr({name: answer for name, answer in told.items() if name not in ("form", "context")})

    house.complete(id)
    house.moved.advance(days=400)
    house.engine.keep.archive("P1Y")
    assert AMOUNT in repr(house.engine.instances.history(mine, id))
    assert AMOUNT not in repr(house.engine.instances.history(other, id))

    theirs = house.engine.instances.start(other, "sales").id
    house.engine.instances.set_variables(OWNER, theirs, {"cost_price": Decimal(AMOUNT)}, "known")
    assert AMOUNT in repr(house.engine.instances.variables(other, theirs))
    assert AMOUNT not in repr(house.engine.instances.variables(mine, theirs))


def test_an_export_without_amounts_verifies_like_one_with_erased_payloads(house: House, priced: Any, tmp_path: Path) -> None:
    auditor = Actor(id="aud", groups=frozenset({"auditor"}))
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(house.engine.instances.export(auditor, priced)))

    result = subprocess.run([sys.executable, "-I", "-S", "docs/verify_export.py", str(path)], capture_output=True, text=True, cwd=Path(__file__).parents[2])

    assert result.returncode == 0, result.stdout
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert any("digest" in payload for line in lines for payload in line["payloads"] or ())
    assert any("text" in payload for line in lines for payload in line["payloads"] or ())


def test_amounts_never_stand_in_the_open_part_of_the_history(house: House, priced: Any) -> None:
    for body in (unpack(packed) for (packed,) in house.rows("select body from event")):
        assert AMOUNT.encode() not in body
        assert FLOOR.encode() not in body
        assert "好".encode() not in body
