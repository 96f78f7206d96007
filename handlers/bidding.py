"""Machine work of the bidding processes."""

from __future__ import annotations

from decimal import Decimal

from engine.handler import Job, Variables, fingerprint, handler

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


@handler("price.unseal", retries=0, gives={"price_check": "context<count: number, matches: boolean, at: date and time>"})
def unseal_price(job: Job) -> Variables:
    """开封密封报价：与历史中的指纹核对，一致才还原为报价变量

    Gives every sealed field its value back and ``price_check = {count, matches, at}``; `count` is 0 where nothing was sealed. An
    envelope that does not match its fingerprint opens nothing: an incident says so, and the result stands in the history.
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
