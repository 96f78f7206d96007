"""Machine work of the bidding processes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from engine.handler import BpmnError, Job, Variables, fingerprint, handler

_SCANNED = {
    "toc_match": "目录与招标要求不一致",
    "names_match": "公司名、项目名或编号不一致",
    "numbers_match": "数字大小写不一致",
    "other_project_residue": "留有其他项目的内容",
}


@handler("bid.scan_consistency", effect="none", gives={"scan": "context<error_count: number, problems: list<string>>"})
def scan_consistency(job: Job) -> Variables:
    """合稿扫描：目录、名称、数字、应答矩阵覆盖率与他项目残留

    The form's confirmations all read “true is good”. Gives ``scan = {error_count, problems}``.
    """
    problems = [text for name, text in _SCANNED.items() if job.values.get(name) is not True]
    coverage = job.values.get("matrix_coverage")
    if not isinstance(coverage, (int, Decimal)) or coverage < 100:
        problems.append(f"应答矩阵覆盖率 {coverage if coverage is not None else '未填'},须为 100")
    return {"scan": {"error_count": len(problems), "problems": problems}}


#: Roles that price a bid; the list of a project for which nobody decided otherwise.
_PRICING = ("pricing_officer", "pricing_approver", "company_leader")
#: Never on a list: they watch over the price, or over the machine. Rules SOD-15 and SOD-16.
_APART = frozenset({"compliance_officer", "system_admin"})
_LIST = 5


@handler("price.open_room", effect="database", gives={"access_list": "list<string>", "price_room": "context<count: number, opened_at: date and time, opens_at: Any>"})
def open_price_room(job: Job) -> Variables:
    """建立报价保密空间：核对访问名单（1 至 5 人），没有名单时取报价岗位的人

    Takes `access_list`, or none; `opening_time` and `submission_deadline`, the later of which is `price_room.opens_at`, before which
    nothing is unsealed unless the buyer moves them. Raises the error `access_list` when it is of more than five people, names somebody who is not
    there or who must not see prices, or when the pricing roles together are more than five. Who prices and watches as well (SOD-15,
    SOD-16) is on no list.
    """
    named = job.values.get("access_list")
    wanted = [str(user) for user in named] if isinstance(named, (list, tuple)) else []
    people = job.outside.people(users=wanted) if wanted else tuple(p for p in job.outside.people(groups=_PRICING) if not p.groups & _APART)
    if unknown := sorted(set(wanted) - {person.id for person in people}):
        raise BpmnError("access_list", f"访问名单上没有这些用户：{'、'.join(unknown)}")
    if barred := [person.name for person in people if person.groups & _APART]:
        raise BpmnError("access_list", f"合规专员与系统管理员不得参与报价：{'、'.join(barred)}")
    if not 1 <= len(people) <= _LIST:
        raise BpmnError("access_list", f"访问名单须为 1 至 {_LIST} 人，现有 {len(people)} 人")
    users = [person.id for person in people]
    instants = [at for at in map(job.values.get, ("opening_time", "submission_deadline")) if isinstance(at, datetime) and at.tzinfo is not None]
    return {"access_list": users, "price_room": {"count": len(users), "opened_at": job.at, "opens_at": max(instants, default=None)}}


@handler("price.unseal", retries=0, gives={"price_check": "context<count: number, matches: boolean, at: date and time>"})
def unseal_price(job: Job) -> Variables:
    """开封密封报价：与历史中的指纹核对，一致才还原为报价变量

    Gives every sealed field its value back and ``price_check = {count, matches, at}``; `count` is 0 where nothing was sealed. An
    envelope that does not match its fingerprint opens nothing: an incident says so, and the result stands in the history. Before the
    opening of the bids by the server's clock nothing is opened either.
    """
    values = job.outside.unseal()
    return {**values, "price_check": {"count": len(values), "matches": True, "at": job.at}}


@handler("quotation.lock", effect="none", gives={"quote_lock": "context<version: number, fingerprint: string, locked_at: date and time>"})
def lock_quotation(job: Job) -> Variables:
    """锁定报价：版本号加一，并留下内容指纹

    Gives ``quote_lock = {version, fingerprint, locked_at}``; the amounts themselves stay where they are.
    """
    before = job.values.get("quote_lock")
    version = int(before["version"]) + 1 if isinstance(before, dict) and "version" in before else 1
    content = {name: value for name, value in job.values.items() if name != "quote_lock"}
    return {"quote_lock": {"version": version, "fingerprint": fingerprint(content), "locked_at": job.at}}
