"""Who may do what: pure rules over an actor and the thing acted on, asked by every command before it changes anything.

Groups are the roles of the house; a role id is also a lane and a candidate group in the diagrams, defined once, in `GROUPS`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from engine.errors import AccessDenied
from engine.model import SYSTEM, Actor, Subscription, TaskState, UserTask, Values


@dataclass(frozen=True, slots=True)
class Group:
    """A role. `platform`: runs the product itself rather than a business."""

    id: str
    zh: str
    en: str
    platform: bool = False


#: ``{role id: Group}``, in the order in which people know them. Source: 角色表.
GROUPS: Mapping[str, Group] = {
    group.id: group
    for group in (
        Group("account_manager", "客户经理", "Account manager"),
        Group("presale_engineer", "售前工程师", "Pre-sales engineer"),
        Group("presale_coordinator", "市场部售前统筹", "Pre-sales coordinator"),
        Group("presale_manager", "售前主管", "Pre-sales manager"),
        Group("review_committee", "评审委员会", "Review committee"),
        Group("sales_manager", "销售部经理", "Sales manager"),
        Group("company_leader", "公司领导", "Company leader"),
        Group("bid_manager", "投标负责人", "Bid manager"),
        Group("authorized_representative", "法人授权代表", "Authorised representative"),
        Group("plan_supervisor", "投标计划监督人", "Bid plan supervisor"),
        Group("bid_commercial_lead", "商务标负责人", "Commercial bid lead"),
        Group("bid_technical_lead", "技术标负责人", "Technical bid lead"),
        Group("pricing_officer", "报价员", "Pricing officer"),
        Group("pricing_approver", "报价审批人", "Pricing approver"),
        Group("qualification_checker", "资质核查人", "Qualification checker"),
        Group("seal_custodian", "印章保管人", "Seal custodian"),
        Group("legal_counsel", "法务", "Legal counsel"),
        Group("finance_officer", "财务", "Finance officer"),
        Group("compliance_officer", "合规专员", "Compliance officer"),
        Group("delivery_manager", "交付/实施负责人", "Delivery manager"),
        Group("knowledge_curator", "知识库管理员", "Knowledge curator"),
        Group("sales_rep", "销售员", "Sales representative"),
        Group("sales_supervisor", "销售主管", "Sales supervisor"),
        Group("marketing_staff", "市场专员", "Marketing specialist"),
        Group("channel_manager", "渠道经理", "Channel manager"),
        Group("customer_service_rep", "客服专员", "Customer service representative"),
        Group("sales_clerk", "销售内勤", "Sales clerk"),
        Group("production", "生产", "Production"),
        Group("purchasing", "采购/外购", "Purchasing"),
        Group("warehouse_keeper", "库管", "Warehouse keeper"),
        Group("shipper", "发运员", "Shipper"),
        Group("quality_or_service", "质量/售后服务人员", "Quality and service staff"),
        Group("responsible_dept", "责任部门经办人", "Responsible department"),
        Group("hr_admin", "行政人事部", "HR and administration"),
        Group("trainer", "培训讲师", "Trainer"),
        Group("project_director", "销售项目 PD", "Sales project director"),
        Group("account_responsible", "客户责任人 AR", "Account responsible"),
        Group("solution_responsible", "解决方案责任人 SR", "Solution responsible"),
        Group("solution_manager", "解决方案经理 SSR", "Solution manager"),
        Group("fulfillment_responsible", "履行责任人 FR", "Fulfilment responsible"),
        Group("sales_project_qa", "销售项目管理员/质量保证 QA", "Sales project QA"),
        Group("decision_team", "立项决策团队(ATI)", "Decision team"),
        Group("process_owner", "流程负责人", "Process owner", platform=True),
        Group("reviewer", "流程文件审核人", "Process reviewer", platform=True),
        Group("auditor", "审计员", "Auditor", platform=True),
        Group("system_admin", "系统管理员", "System administrator", platform=True),
    )
}

#: May see amounts, costs and margins of every project. Source: 数据分级与可见性.
PRICE_READERS = frozenset({"pricing_officer", "pricing_approver", "finance_officer", "company_leader"})
#: May see those of their own projects.
OWN_PRICE_READERS = frozenset({"account_manager"})
#: Oversee every process instance.
OVERSEERS = frozenset({"process_owner", "auditor", "presale_manager", "presale_coordinator", "sales_manager", "company_leader"})
#: May end a top-level process before its time. Source: 任务权限.
CANCELLERS = frozenset({"sales_manager", "company_leader", "process_owner"})
#: A supervisor may hand another's task on.
SUPERVISORS = frozenset({"presale_manager", "sales_manager", "bid_manager", "process_owner"})

Platform = Literal["deploy", "draw", "administer people", "see definitions", "see every instance", "see incidents", "mend incidents", "see variables", "back up", "hold", "see holds", "erase"]
_PLATFORM: Mapping[str, frozenset[str]] = {
    "draw": frozenset({"process_owner", "reviewer"}),
    "deploy": frozenset({"process_owner"}),
    "administer people": frozenset({"system_admin"}),
    "see definitions": frozenset(GROUPS),
    "see every instance": OVERSEERS,
    "see incidents": frozenset({"process_owner", "presale_manager", "auditor", "system_admin"}),
    "mend incidents": frozenset({"process_owner", "presale_manager"}),
    "see variables": frozenset({"process_owner", "auditor"}),
    "back up": frozenset({"system_admin"}),
    "hold": frozenset({"process_owner", "auditor"}),
    "see holds": frozenset({"process_owner", "auditor", "system_admin"}),
    "erase": frozenset({"process_owner"}),
}
_PLATFORM_ZH = {
    "draw": "编辑流程图", "deploy": "部署流程", "administer people": "管理用户与组", "see definitions": "查看流程",
    "see every instance": "查看全部实例", "see incidents": "查看异常", "mend incidents": "处理异常", "see variables": "查看流程变量", "back up": "备份",
    "hold": "设置或解除法定保全", "see holds": "查看法定保全", "erase": "清除内容",
}


def is_system(actor: Actor) -> bool:
    """True for the engine itself: timers, handlers, the command line of whoever owns the files."""
    return actor.id == SYSTEM.id


def may(actor: Actor, action: Platform) -> bool:
    """True if one of the actor's roles carries the platform right `action`."""
    return is_system(actor) or bool(actor.groups & _PLATFORM[action])


def require(actor: Actor, action: Platform) -> None:
    """Raise `AccessDenied` unless `may`."""
    if not may(actor, action):
        allowed = "、".join(sorted(GROUPS[g].zh for g in _PLATFORM[action]))
        raise AccessDenied(action=_PLATFORM_ZH[action], reason=f"需要角色：{allowed}")


def is_candidate(actor: Actor, task: UserTask) -> bool:
    """True if the task is offered to the actor: named, or in a candidate group."""
    return actor.id in task.candidate_users or bool(actor.groups & task.candidate_groups)


def may_see_task(actor: Actor, task: UserTask) -> bool:
    """True for the assignee, the candidates, supervisors and those who oversee every instance."""
    return (
        is_system(actor) or task.assignee == actor.id or is_candidate(actor, task)
        or bool(actor.groups & (OVERSEERS | SUPERVISORS))
    )


def may_work_on(actor: Actor, task: UserTask) -> bool:
    """True if the actor may claim (when free) or complete the task; its state and separation of duties are asked elsewhere."""
    if is_system(actor):
        return True
    return task.assignee == actor.id if task.assignee is not None else is_candidate(actor, task)


def require_work_on(actor: Actor, task: UserTask) -> None:
    """Raise `AccessDenied` with the reason unless `may_work_on`."""
    if may_work_on(actor, task):
        return
    if task.assignee is not None:
        raise AccessDenied(action=f"办理任务“{task.name}”", reason="它已由他人领取。请联系领取人退回，或由主管转派。")
    groups = "、".join(sorted(GROUPS[g].zh if g in GROUPS else g for g in task.candidate_groups)) or "指定人员"
    raise AccessDenied(action=f"办理任务“{task.name}”", reason=f"它分配给：{groups}。")


def require_release(actor: Actor, task: UserTask) -> None:
    """The assignee gives a task back; a supervisor may do it for someone absent."""
    if not (is_system(actor) or task.assignee == actor.id or actor.groups & SUPERVISORS):
        raise AccessDenied(action=f"退回任务“{task.name}”", reason="只有领取人或主管可以退回。")


def require_assign(actor: Actor, task: UserTask, only: Collection[str] = ()) -> None:
    """The holder or a supervisor hands a task on.

    Args:
        only: groups that alone may do it, property `reassignGroups` of the task.
    """
    if only:
        if not (is_system(actor) or actor.groups & frozenset(only)):
            groups = "、".join(sorted(GROUPS[g].zh if g in GROUPS else g for g in only))
            raise AccessDenied(action=f"转派任务“{task.name}”", reason=f"只能由这些角色转派：{groups}。")
        return
    if not (is_system(actor) or (task.assignee == actor.id) or actor.groups & SUPERVISORS):
        raise AccessDenied(action=f"转派任务“{task.name}”", reason="只有任务持有人或主管可以转派。")


def is_open(task: UserTask) -> bool:
    return task.state is TaskState.OPEN


def may_start(actor: Actor, starter_groups: Iterable[str]) -> bool:
    """True if the actor is in a starter group; a process without any is started by process owners."""
    groups = frozenset(starter_groups)
    return is_system(actor) or bool(actor.groups & groups) or "process_owner" in actor.groups


def require_start(actor: Actor, name: str, starter_groups: Iterable[str]) -> None:
    """Raise `AccessDenied` unless `may_start`."""
    groups = tuple(starter_groups)
    if not may_start(actor, groups):
        allowed = "、".join(sorted(GROUPS[g].zh if g in GROUPS else g for g in {*groups, "process_owner"}))
        raise AccessDenied(action=f"发起“{name}”", reason=f"可以发起的角色：{allowed}")


def may_see_instance(actor: Actor, *, started_by: str, participants: Iterable[str], groups: Iterable[str]) -> bool:
    """True for those who oversee, who started it, who took part, and who are candidates in it.

    Args:
        participants: ids of people who acted in the instance.
        groups: candidate groups of its user tasks, open or done, and of the messages it waits for.
    """
    return (
        is_system(actor) or bool(actor.groups & OVERSEERS) or actor.id == started_by or actor.id in set(participants)
        or bool(actor.groups & frozenset(groups))
    )


def require_cancel(actor: Actor) -> None:
    if not (is_system(actor) or actor.groups & CANCELLERS):
        raise AccessDenied(action="取消、挂起或恢复流程", reason="需要角色：" + "、".join(sorted(GROUPS[g].zh for g in CANCELLERS)))


def may_send(actor: Actor, subscription: Subscription) -> bool:
    """True if a person of the event's candidate groups, or a process owner, may send it from the page."""
    if is_system(actor):
        return True
    return bool(subscription.candidate_groups and (actor.groups & subscription.candidate_groups or "process_owner" in actor.groups))


def may_read_price(actor: Actor, *, own: bool) -> bool:
    """True if the actor may see amounts.

    Args:
        own: of a process instance that the actor started, or has or had a user task of.
    """
    return is_system(actor) or bool(actor.groups & PRICE_READERS) or (own and bool(actor.groups & OWN_PRICE_READERS))


#: Stands where an amount is not shown.
HIDDEN = "•••"
#: A number whose name has one of these words is an amount although no form says so: what scripts compute, what tables list.
_AMOUNT_WORDS = frozenset({"price", "prices", "amount", "amounts", "cost", "costs", "margin", "profit", "discount"})


def without_amounts(values: Values, names: frozenset[str], mark: str | None = HIDDEN) -> dict[str, Any]:
    """Return `values` without the amounts in them, however deep.

    Args:
        names: keys that a form marks as amounts.
        mark: stands in their place; with None the keys in `names` are left out and nothing else is.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key in names:
            if mark is not None:
                found[key] = value if value is None else mark
        elif mark is not None and (key == "fingerprint" or (_is_number(value) and _AMOUNT_WORDS.intersection(key.lower().split("_")))):
            found[key] = mark  # a fingerprint of few figures is guessed by trying
        else:
            found[key] = _inside(value, names, mark)
    return found


def _inside(value: Any, names: frozenset[str], mark: str | None) -> Any:
    if isinstance(value, Mapping):
        return without_amounts(value, names, mark)
    if isinstance(value, (list, tuple)):
        return [_inside(part, names, mark) for part in value]
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def separated_from(actor: Actor, performers: Mapping[str, Collection[str]], elements: Iterable[str]) -> str | None:
    """Return the element that bars the actor by separation of duties, or None.

    Args:
        performers: ``{"process.element": ids of everybody who completed it, or holds it}`` within the process instance.
        elements: property `separateFrom` of the user task, each as ``process.element``.
    """
    if is_system(actor):
        return None
    who = {actor.id, actor.acting_for or actor.id}
    return next((element for element in elements if who & set(performers.get(element, ()))), None)
