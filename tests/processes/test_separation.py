"""Who decides on compliance and who prices are different people (SOD-15), in whichever order the work comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import handlers  # noqa: F401  registers
from engine import SYSTEM, Engine, MovableClock, open_engine, read_settings
from engine.model import InstanceId
from engine.rehearsal import read_library
from engine.service.tasks import SeparationOfDuties
from tests.bpmn.build import call, diagram, end, parallel, process, start
from tests.processes.test_contacts import complete, role

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
MAPPED = "<extensionElements>" + "".join(
    f'<camunda:in source="{name}" target="{name}"/>' for name in ("gate_stage", "tender_no", "buyer", "submission_deadline", "access_list")
) + "</extensionElements>"
#: A tender in which the gate and the pricing are open together, so that either may come first.
TENDER = diagram(
    process(
        start(), parallel("fork"), call("gate", "bid_compliance_gate", MAPPED), call("pricing", "bid_pricing", MAPPED), parallel("join"), end(),
        "s>fork", "fork>gate", "fork>pricing", "gate>join", "pricing>join", "join>e", id="tender",
    )
)  # fmt: skip
SEATS = ("bid_manager", "bid_commercial_lead", "bid_technical_lead", "pricing_officer", "pricing_approver")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with open_engine(read_settings({}, data=tmp_path, demo=True, synchronous="NORMAL"), MovableClock(MONDAY)) as engine:
        files = read_library(Path(__file__).parents[2] / "processes")
        engine.deployments.deploy(SYSTEM, {**files, "tender.bpmn": TENDER}, "library")
        engine.people.add_user(SYSTEM, "both", "钱双职", "a long password", ["compliance_officer", "pricing_approver"])
        yield engine


def begun(house: Engine) -> InstanceId:
    """Return a tender in which everybody declared their interests and the price is to be set."""
    started = house.instances.start(SYSTEM, "tender", {
        "gate_stage": "start", "tender_no": "ZB-1", "buyer": "江南园区集团", "submission_deadline": MONDAY + timedelta(days=10),
        "access_list": ["pricing_officer", "pricing_approver", "company_leader"],
    })  # fmt: skip
    for seat in SEATS:
        complete(house, started.id, "declare_interest", seat, has_relation=False, received_restricted_info=False, signed=True)
    complete(house, started.id, "list_affiliates", "legal_counsel", same_lot=False)
    return started.id


def price(house: Engine, id: InstanceId, by: str = "pricing_approver") -> None:
    complete(house, id, "price_meeting", by, **{
        "final_price": 100, "subtotals": [{"item": "软件", "amount": 100}], "base": 90, "strategy": "按成本加成", "upper_lower_same": True,
        "attendees": [{"user": "pricing_approver"}, {"user": "pricing_officer"}],
    })  # fmt: skip


def denied(house: Engine, id: InstanceId) -> list[str]:
    return [r.event.rule for r in house.instances.history(SYSTEM, id) if type(r.event).__name__ == "SeparationOfDutiesDenied"]


def test_who_decided_the_gate_takes_no_part_in_pricing(house: Engine) -> None:
    id = begun(house)
    complete(house, id, "decide_compliance", "both", decision="clear")

    with pytest.raises(SeparationOfDuties) as refused:
        price(house, id, by="both")

    assert "SOD-15" in refused.value.text("zh")
    assert "作合规结论" in refused.value.text("zh")
    assert denied(house, id) == ["SOD-15"]
    price(house, id)


def test_who_took_part_in_pricing_does_not_decide_the_gate(house: Engine) -> None:
    id = begun(house)
    price(house, id)
    (task,) = (t for t in house.tasks.of_instance(SYSTEM, id) if t.ended_at is None and t.element == "approve_price")
    house.people.set_groups(SYSTEM, "both", ["compliance_officer", "company_leader"])
    house.tasks.claim(role(house, "both"), task.id)  # to hold the task is to take part

    with pytest.raises(SeparationOfDuties, match="SOD-15"):
        complete(house, id, "decide_compliance", "both", decision="clear")

    house.tasks.release(role(house, "both"), task.id)
    complete(house, id, "decide_compliance", "both", decision="clear")
    with pytest.raises(SeparationOfDuties, match="SOD-15"):
        house.tasks.claim(role(house, "both"), task.id)
