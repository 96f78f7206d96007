"""The bid calendar: every legal and internal date of a tender, from what its notice says and from a table of rules.

The rules are a decision table (`dmn_bid_dates`), versioned as every table is; here is only the arithmetic. Periods count as
民法典 art. 201 and 203 have it: the first day does not count, and where a period runs forward and its last day is not worked, it ends
with the next day that is. What is counted back from a deadline ("at least 10 days before") is never moved towards the deadline.
A year whose holidays are not announced gives no date: it is never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from engine.calendar import CalendarTooShort, add_working_days, is_working_day
from engine.handler import Job, Variables, handler

_ZONE = ZoneInfo("Asia/Shanghai")
_LAST_MOMENT = time(23, 59, 59)
_BASES = {
    "issued_on": "招标文件发出",
    "sale_until": "发售截止",
    "clarify_deadline": "提问截止",
    "submission_deadline": "递交截止",
    "opening_time": "开标",
    "bond_deadline": "保证金到账截止",
    "candidates_published_on": "中标候选人公示",
    "award_notice_on": "中标通知书发出",
    "contract_signed_on": "合同签订",
    "now": "现在",
}
_ENTRY = "context<id: string, name: string, article: string, kind: string, at: date and time, whole_day: boolean, state: string, counting: string>"


@dataclass(frozen=True, slots=True)
class _Due:
    """When something is due. `at`: None while the base is not known yet, or a year's holidays are not announced."""

    at: datetime | None
    whole_day: bool
    state: str  #: ``ok``, ``waiting`` for its base, ``unknown_year``
    counting: str  #: how it was counted, for people


@handler(
    "bid.calendar",
    effect="none",
    gives={
        "bid_calendar": f"context<entries: list<{_ENTRY}>, warnings: list<string>, unknown_years: list<number>,"
        " changes: list<context<id: string, name: string, was: date and time, became: date and time>>>"
    },
)
def bid_calendar(job: Job) -> Variables:
    """投标日历：由招标信息算出全部法定与内部日期，指出公告本身的违法之处

    Takes `rules` (rows of `dmn_bid_dates`), the facts that rows name as their base (`issued_on`, `submission_deadline`, …), `budget`,
    `bond_amount`, and `before`, the calendar of the time before. Gives ``bid_calendar = {entries, warnings, unknown_years, changes}``,
    the entries by time; what has no date yet comes last.
    """
    facts = dict(job.values)
    facts["now"] = job.at
    entries: list[dict[str, Any]] = []
    warnings: list[str] = []
    years: set[int] = set()
    for rule in _rows(facts.get("rules")):
        if rule["kind"] == "amount":
            warnings += _too_much(rule, facts)
            continue
        try:
            due = _due(rule, facts)
        except CalendarTooShort as error:
            year = int(str(error.facts["year"]))
            years.add(year)
            due = _Due(None, True, "unknown_year", f"{year} 年节假日安排尚未公布，公布并更新后自动算出")
        warnings += _broken(rule, due, facts)
        entries.append(
            {
                "id": rule["id"], "name": rule["name"], "article": rule["article"], "kind": rule["kind"], "at": due.at,
                "whole_day": due.whole_day, "state": due.state, "counting": due.counting,
            }
        )  # fmt: skip
    entries.sort(key=lambda entry: (entry["at"] is None, entry["at"] or job.at, entry["id"]))
    return {
        "bid_calendar": {
            "entries": entries, "warnings": warnings, "unknown_years": sorted(years), "changes": _changes(facts.get("before"), entries),
        }
    }  # fmt: skip


def _rows(rules: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(rules, list) or not rules:
        raise ValueError("“rules” must be the rows of dmn_bid_dates; no row fits the kind of procurement")
    return rules


def _local(value: Any) -> datetime | date | None:
    if isinstance(value, datetime):
        return value.astimezone(_ZONE)
    return value if isinstance(value, date) else None


def _due(rule: Mapping[str, Any], facts: Mapping[str, Any]) -> _Due:
    """Return when a rule's date is.

    Raises:
        CalendarTooShort: it needs the holidays of a year that are not announced.
    """
    base_name = str(rule["base"])
    base, amount, unit = _local(facts.get(base_name)), rule["amount"], rule["unit"]
    if isinstance(amount, str):  # a number that the tender itself sets, e.g. the days of the bid's validity
        amount = facts.get(amount)
    label = _BASES.get(base_name, base_name)
    if base is None or amount is None:
        return _Due(None, True, "waiting", f"待{label}后算出")
    whole_day = not isinstance(base, datetime)
    direction = "前" if amount < 0 else "后"
    shown = abs(amount)
    if unit == "share":  # of the time from now on to the base
        now = facts["now"].astimezone(_ZONE)
        start = _local(facts.get("started_at")) or now
        assert isinstance(start, datetime)
        end = base if isinstance(base, datetime) else datetime.combine(base, _LAST_MOMENT, _ZONE)
        at = start + (end - start) * float(amount) / 100
        return _Due(at.astimezone(UTC), False, "ok", f"可用时间的 {amount}%")
    if unit == "hours":
        if not isinstance(base, datetime):
            base = datetime.combine(base, time(), _ZONE)
        return _Due((base + timedelta(hours=float(amount))).astimezone(UTC), False, "ok", f"{label}{direction} {shown} 小时" if shown else label)
    days = int(amount)
    if unit == "working_days":
        at = add_working_days(base if isinstance(base, datetime) else datetime.combine(base, _LAST_MOMENT, _ZONE), days, _ZONE.key, assume=False)
        return _Due(at, whole_day, "ok", f"{label}{direction} {shown} 个工作日，首日不计")
    local = base + timedelta(days=days)
    rolled = ""
    if rule["roll"] is True and days > 0:
        day = local.date() if isinstance(local, datetime) else local
        moved = day
        while not is_working_day(moved):
            moved += timedelta(days=1)
        if moved != day:
            local, rolled = local + (moved - day), f"；{day:%Y-%m-%d} 非工作日，顺延"
    moment = local if isinstance(local, datetime) else datetime.combine(local, _LAST_MOMENT, _ZONE)
    return _Due(moment.astimezone(UTC), whole_day, "ok", (f"{label}{direction} {shown} 日，首日不计{rolled}" if shown else label))


def _broken(rule: Mapping[str, Any], due: _Due, facts: Mapping[str, Any]) -> list[str]:
    """Return a warning when what the notice says comes before the earliest date that the law allows for it."""
    against = rule.get("against")
    if not against or due.at is None:
        return []
    set_at = _local(facts.get(str(against)))
    if set_at is None:
        return []
    earliest = due.at.astimezone(_ZONE)
    too_early = set_at.date() < earliest.date() if isinstance(set_at, datetime) else set_at < earliest.date()
    if not too_early:
        return []
    shown = set_at.strftime("%Y-%m-%d %H:%M") if isinstance(set_at, datetime) else set_at.isoformat()
    return [f"{rule['name']}：{_BASES.get(str(against), str(against))}定为 {shown}，早于法定最早 {earliest:%Y-%m-%d}（{rule['article']}），可依法提出异议"]


def _too_much(rule: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Return a warning when an amount is above a share of another; the amounts themselves are not told."""
    whole, part = facts.get(str(rule["base"])), facts.get(str(rule["against"]))
    if not isinstance(whole, (int, Decimal)) or not isinstance(part, (int, Decimal)) or part * 100 <= whole * rule["amount"]:
        return []
    return [f"{rule['name']}：超过 {rule['amount']}%（{rule['article']}），可依法提出异议"]


def _changes(before: Any, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not isinstance(before, dict):
        return []
    was = {entry["id"]: entry["at"] for entry in before.get("entries") or ()}
    return [
        {"id": entry["id"], "name": entry["name"], "was": was[entry["id"]], "became": entry["at"]}
        for entry in entries
        if entry["id"] in was and was[entry["id"]] != entry["at"] and (was[entry["id"]] is not None or entry["at"] is not None)
    ]
