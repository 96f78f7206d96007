"""Contacts with a buyer over several processes: what one registers, others find and obey."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import handlers  # noqa: F401  registers
from engine import SYSTEM, Actor, Engine, MovableClock, open_engine, read_settings
from engine.model import InstanceId
from engine.rehearsal import read_library

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
BUYER = "江南园区集团"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with open_engine(read_settings({}, data=tmp_path, demo=True, synchronous="NORMAL"), MovableClock(MONDAY)) as engine:
        engine.deployments.deploy(SYSTEM, read_library(Path(__file__).parents[2] / "processes"), "library")
        yield engine


def role(house: Engine, group: str) -> Actor:
    found = house.people.actor(group)
    assert found is not None
    return found


def complete(house: Engine, id: InstanceId, element: str, by: str, **values: Any) -> None:
    (task, *_) = (t for t in house.tasks.of_instance(SYSTEM, id) if t.ended_at is None and t.element == element)
    house.tasks.complete(role(house, by), task.id, values)


def settle(house: Engine, to: datetime) -> None:
    clock = house.clock
    assert isinstance(clock, MovableClock)
    while (due := house.jobs.next_due_at()) is not None and due <= to:
        clock.move_to(max(due, clock.now()))
        house.jobs.run_due()
    clock.move_to(to)


def visit(house: Engine, **more: Any) -> InstanceId:
    started = house.instances.start(
        role(house, "account_manager"), "psm010_onsite_communication", {"project_name": "智慧园区", "customer": BUYER}
    )
    plan(house, started.id, **more)
    return started.id


def plan(house: Engine, id: InstanceId, **more: Any) -> None:
    complete(house, id, "plan_visit", "account_manager", **{
        "visit_date": (house.clock.now() + timedelta(days=2)).isoformat(), "place": "客户总部", "objective": "了解园区管理的现状与目标",
        "attendees": [{"name": "王工", "position": "信息中心主任"}], "format": "slides", "need_presale": False,
        "project_phase": "招标公告前", "contact_purpose": "交流", "buyer_silence": False, **more,
    })  # fmt: skip


def is_planning(house: Engine, id: InstanceId) -> bool:
    return any(t.element == "plan_visit" and t.ended_at is None for t in house.tasks.of_instance(SYSTEM, id))


def sign_and_decide(house: Engine, id: InstanceId, decision: str = "clear") -> None:
    for seat in ("bid_manager", "bid_commercial_lead", "bid_technical_lead", "pricing_officer", "pricing_approver"):
        complete(house, id, "declare_interest", seat, has_relation=False, received_restricted_info=False, signed=True)
    complete(house, id, "list_affiliates", "legal_counsel", same_lot=False)
    complete(house, id, "decide_compliance", "compliance_officer", decision=decision)


def test_a_visit_is_in_the_contact_register_and_the_gate_finds_it(house: Engine) -> None:
    id = visit(house)
    settle(house, house.clock.now() + timedelta(days=3))
    complete(house, id, "record_minutes", "account_manager", needs=[{"text": "统一台账"}], decision_chain="分管副总", qualified=True, next_step="survey")
    complete(house, id, "confirm_minutes", "account_manager", decision="approve")

    (entry,) = house.registers.list(role(house, "account_manager"), "contact_log").items
    assert (entry.values["organisation"], entry.values["person"], entry.added_by) == (BUYER, "王工（信息中心主任）", "account_manager")
    assert house.registers.list(role(house, "presale_engineer"), "contact_log").items == ()
    gate = house.instances.start(
        role(house, "bid_manager"), "bid_compliance_gate",
        {"gate_stage": "start", "tender_no": "ZB-1", "buyer": " 江南园区集团", "notice_at": MONDAY.isoformat()},
    )
    sign_and_decide(house, gate.id)

    matches = house.instances.variables(SYSTEM, gate.id)["contact_matches"]
    assert [(m["person"], m["way"], m["corrected"]) for m in matches] == [("王工（信息中心主任）", "现场拜访", False)]
    assert house.audit.verify() == ()


def test_an_open_silence_stops_visits_until_it_is_ended(house: Engine) -> None:
    deadline = house.clock.now() + timedelta(days=1)
    gate = house.instances.start(
        role(house, "bid_manager"), "bid_compliance_gate",
        {"gate_stage": "pre_submit", "tender_no": "ZB-1", "buyer": BUYER, "submission_deadline": deadline},
    )
    sign_and_decide(house, gate.id)
    settle(house, house.clock.now())
    (period,) = house.registers.list(role(house, "account_manager"), "silence_periods").items
    assert (period.values["since"], period.values["until"]) == (deadline, deadline + timedelta(days=90))

    id = visit(house)
    assert is_planning(house, id)
    plan(house, id, project_phase="招标公告后至截止", contact_purpose="澄清")
    assert not is_planning(house, id)

    settle(house, deadline + timedelta(days=30))
    ended = {**period.values, "ended_at": house.clock.now(), "ended_why": "other"}
    house.registers.amend(role(house, "compliance_officer"), "silence_periods", period.id, ended, "中标公告已发布", version=1)
    assert not is_planning(house, visit(house))


def test_a_visit_before_the_deadline_is_not_silenced(house: Engine) -> None:
    house.registers.add(role(house, "compliance_officer"), "silence_periods", {
        "buyer": BUYER, "tender_no": "ZB-1", "notice": "静默", "since": (house.clock.now() + timedelta(days=10)).isoformat(),
        "until": (house.clock.now() + timedelta(days=40)).isoformat(),
    })  # fmt: skip

    assert not is_planning(house, visit(house))


# ------------------------------------------------------------------------------------------------------- the end of a silence
def silence(house: Engine, deadline: datetime, tender_no: str = "ZB-1") -> None:
    """Let the gate before the submission open a silence period."""
    gate = house.instances.start(
        role(house, "bid_manager"), "bid_compliance_gate",
        {"gate_stage": "pre_submit", "tender_no": tender_no, "buyer": BUYER, "submission_deadline": deadline},
    )
    sign_and_decide(house, gate.id)
    settle(house, deadline + timedelta(days=10))


def result(house: Engine, **more: Any) -> InstanceId:
    """Register the result of the tender."""
    started = house.instances.start(role(house, "account_manager"), "bid_result_handling", {"tender_no": "ZB-1", "buyer": BUYER})
    register(house, started.id, **more)
    return started.id


def register(house: Engine, id: InstanceId, **more: Any) -> None:
    (task,) = (t for t in house.tasks.of_instance(SYSTEM, id) if t.ended_at is None and t.element == "register_result")
    house.tasks.attach(role(house, "account_manager"), task.id, "result_notice", "公告.pdf", "application/pdf", io.BytesIO(b"%PDF-"))
    complete(house, id, "register_result", "account_manager", **{"notice_date": house.clock.now().date().isoformat(), **more})


def withdraw(house: Engine) -> None:
    started = house.instances.start(role(house, "bid_manager"), "bid_withdrawal", {
        "tender_no": "ZB-1", "buyer": BUYER, "submission_deadline": (house.clock.now() - timedelta(days=10)).isoformat(),
        "bid_submitted_at": (house.clock.now() - timedelta(days=11)).isoformat(),
    })  # fmt: skip
    complete(house, started.id, "request_withdraw", "bid_manager", reason_code="no_capacity", detail="人员调离", stage="after_deadline", partners="none")
    complete(house, started.id, "approve_withdraw", "company_leader", decision="approve", comment="同意")
    (task,) = (t for t in house.tasks.of_instance(SYSTEM, started.id) if t.ended_at is None)
    house.tasks.attach(role(house, "account_manager"), task.id, "letter", "撤销函.pdf", "application/pdf", io.BytesIO(b"%PDF-"))
    complete(house, started.id, "send_withdraw", "account_manager", sent="sent", sent_at=house.clock.now().isoformat(), channel="letter")
    complete(house, started.id, "close_tasks", "bid_manager", has_materials="no", tasks_stopped=True)
    settle(house, house.clock.now())


@pytest.mark.parametrize(
    ("ends", "why", "said"),
    [
        (lambda house: result(house, result="won"), "award", "中标公告已发布"),
        (lambda house: result(house, result="lost", winner="乙公司", publicity_end="2026-04-30"), "lost", "结果已公布，我方未中标"),
        (lambda house: result(house, result="disqualified", winner="乙公司"), "lost", "结果已公布，我方未中标"),
        (lambda house: result(house, result="failed_tender"), "cancelled", "招标终止或流标"),
        (lambda house: result(house, result="buyer_cancelled"), "cancelled", "招标终止或流标"),
        (withdraw, "withdrawn", "我方放弃或撤回投标"),
    ],
    ids=["won", "lost", "disqualified", "failed_tender", "buyer_cancelled", "withdrawn"],
)
def test_a_silence_ends_with_the_tender_and_says_why(house: Engine, ends: Any, why: str, said: str) -> None:
    silence(house, house.clock.now() + timedelta(days=1))
    assert is_planning(house, visit(house))

    ends(house)

    assert not is_planning(house, visit(house))
    leader = role(house, "compliance_officer")
    (period,) = house.registers.list(leader, "silence_periods").items
    assert (period.values["ended_why"], period.values["ended_at"]) == (why, house.clock.now())
    now, first = house.registers.get(leader, "silence_periods", period.id)[1]
    assert (now.version, now.change, now.reason, first.version) == (2, "amended", f"{said}（由流程登记）", 1)
    assert any("静默期结束" in n.subject for n in house.people.notices(role(house, "account_manager")))
    assert house.audit.verify() == ()


@pytest.mark.parametrize("found", [{"result": "candidate", "publicity_end": "2026-03-20"}, {"result": "disqualified"}], ids=["candidate", "disqualified"])
def test_a_silence_goes_on_until_there_is_an_award(house: Engine, found: dict[str, Any]) -> None:
    silence(house, house.clock.now() + timedelta(days=1))

    id = result(house, **found)

    assert is_planning(house, visit(house))
    if found["result"] == "candidate":
        settle(house, house.clock.now() + timedelta(days=9))
        register(house, id, result="won")
        assert not is_planning(house, visit(house))


# ---------------------------------------------------------------------------------------------------- contacts after the notice
def test_contacts_after_the_notice_are_marked_until_the_tender_is_over(house: Engine) -> None:
    officer = role(house, "compliance_officer")

    def contact(person: str) -> None:
        house.registers.add(role(house, "account_manager"), "contact_log", {
            "met_at": house.clock.now().isoformat(), "organisation": BUYER, "person": person, "matter": "交流", "way": "call", "present": "李静",
        })  # fmt: skip
        settle(house, house.clock.now() + timedelta(days=1))

    contact("公告之前")
    notice_at = house.clock.now()
    contact("合规门之前")
    gate = house.instances.start(
        role(house, "bid_manager"), "bid_compliance_gate", {"gate_stage": "start", "tender_no": "ZB-1", "buyer": BUYER, "notice_at": notice_at}
    )
    sign_and_decide(house, gate.id)
    contact("公告之后")
    silence(house, house.clock.now() + timedelta(days=1))
    result(house, result="lost", winner="乙公司", publicity_end="2026-04-30")
    contact("公布之后")

    found = {e.values["person"]: e.flagged for e in house.registers.list(officer, "contact_log").items}
    assert found == {"公布之后": False, "公告之后": True, "合规门之前": True, "公告之前": False}
    matches = house.instances.variables(SYSTEM, gate.id)["contact_matches"]
    assert [(m["person"], m["after_notice"]) for m in matches] == [("合规门之前", True)]
    rows = house.registers.export(officer, "contact_log").decode("utf-8-sig").splitlines()
    assert "公告后的接触" in rows[0]
    assert [row.split(",")[5] for row in rows[1:]] == ["", "是", "是", ""]
