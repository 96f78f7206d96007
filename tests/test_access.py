import dataclasses
from datetime import UTC, datetime

import pytest

from engine import access
from engine.errors import AccessDenied
from engine.model import SYSTEM, Actor, InstanceId, Subscription, SubscriptionKind, TaskId, TaskState, TokenId, UserTask

AT = datetime(2026, 3, 2, tzinfo=UTC)


def person(id, *groups, **more):
    return Actor(id=id, groups=frozenset(groups), **more)


def user_task(**changes):
    task = UserTask(
        id=TaskId(1), instance_id=InstanceId(1), token=TokenId(1), process="p", process_name="P", element="e", name="编制标书", title="",
        business_key="", form=None, state=TaskState.OPEN, assignee=None, candidate_groups=frozenset({"bid_manager"}),
        candidate_users=frozenset({"li"}), priority=50, created_at=AT, due_at=None, deadline_at=None, ended_at=None, ended_by=None, version=1,
    )
    return dataclasses.replace(task, **changes)


def test_a_candidate_works_on_a_free_task_by_group_or_by_name():
    assert access.may_work_on(person("wang", "bid_manager"), user_task())
    assert access.may_work_on(person("li"), user_task())
    assert not access.may_work_on(person("zhao", "finance_officer"), user_task())


def test_a_claimed_task_belongs_to_its_assignee():
    claimed = user_task(assignee="wang")

    assert access.may_work_on(person("wang"), claimed)
    with pytest.raises(AccessDenied, match="他人领取"):
        access.require_work_on(person("li", "bid_manager"), claimed)


def test_a_stranger_is_told_whose_task_it_is():
    with pytest.raises(AccessDenied, match="投标负责人"):
        access.require_work_on(person("zhao"), user_task())


def test_only_the_holder_or_a_supervisor_hands_a_task_on():
    claimed = user_task(assignee="wang")

    access.require_assign(person("wang"), claimed)
    access.require_assign(person("boss", "sales_manager"), claimed)
    with pytest.raises(AccessDenied):
        access.require_assign(person("li", "bid_technical_lead"), claimed)
    with pytest.raises(AccessDenied):
        access.require_release(person("li", "bid_technical_lead"), claimed)


def test_who_wrote_a_part_may_not_check_it():
    performers = {"psm040_quotation.draft_quote": {"wang", "zhao"}}

    assert access.separated_from(person("wang"), performers, ["psm040_quotation.draft_quote"]) == "psm040_quotation.draft_quote"
    assert access.separated_from(person("li"), performers, ["psm040_quotation.draft_quote"]) is None


def test_a_deputy_is_barred_like_the_person_stood_in_for():
    assert access.separated_from(person("li", acting_for="wang"), {"p.e": ["wang"]}, ["p.e"]) == "p.e"


def test_a_system_administrator_neither_reads_prices_nor_sees_instances():
    admin = person("root", "system_admin")

    assert not access.may_read_price(admin, own=True)
    assert not access.may_see_instance(admin, started_by="wang", participants=["wang"], groups=["bid_manager"])
    with pytest.raises(AccessDenied, match="流程负责人"):
        access.require(admin, "deploy")


def test_an_instance_is_seen_by_its_people_and_its_overseers():
    seen = dict(started_by="wang", participants=["li"], groups=["finance_officer"])

    for who in (person("wang"), person("li"), person("x", "finance_officer"), person("x", "auditor")):
        assert access.may_see_instance(who, **seen)
    assert not access.may_see_instance(person("x", "shipper"), **seen)


def test_a_process_without_starter_groups_is_started_by_its_owners():
    assert access.may_start(person("po", "process_owner"), ())
    with pytest.raises(AccessDenied, match="客户经理"):
        access.require_start(person("x", "shipper"), "售前管理流程", ["account_manager"])


def test_only_named_groups_send_an_event_to_an_instance():
    event = Subscription(
        token=TokenId(1), kind=SubscriptionKind.MESSAGE, name="tender_amended", correlation_key="", process="p", element="e",
        candidate_groups=frozenset({"account_manager"}),
    )

    assert access.may_send(person("wang", "account_manager"), event)
    assert access.may_send(SYSTEM, event)
    assert not access.may_send(person("x", "shipper"), event)
    assert not access.may_send(person("x", "process_owner"), dataclasses.replace(event, candidate_groups=frozenset()))


def test_only_those_named_cancel_a_process():
    access.require_cancel(person("boss", "sales_manager"))
    with pytest.raises(AccessDenied):
        access.require_cancel(person("wang", "account_manager"))


def test_auditors_and_administrators_see_incidents_that_only_their_owners_mend():
    for role in ("auditor", "system_admin"):
        access.require(person("x", role), "see incidents")
        with pytest.raises(AccessDenied, match="处理异常"):
            access.require(person("x", role), "mend incidents")
    for role in ("process_owner", "presale_manager"):
        access.require(person("x", role), "see incidents")
        access.require(person("x", role), "mend incidents")
    with pytest.raises(AccessDenied, match="查看异常"):
        access.require(person("x", "account_manager"), "see incidents")
