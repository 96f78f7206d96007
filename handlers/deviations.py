"""The requirement, response and deviation table of a bid: one row for each clause of the tender.

A row is ``{clause_no, requirement, response, page, direction, is_star}``; `direction` is ``negative``, ``positive``, ``none`` or null
while nobody has judged it. What the tender marks with ★ stays a ★ clause, whatever a later table says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.handler import Job, Variables, handler

_ROW = "clause_no: string, requirement: string, response: string, page: string, direction: string, is_star: boolean"
_DECIDED = f"{_ROW}, disposition: string, reason: string, decided_by: string, decided_at: date and time"
_CONFORMS = "完全响应"
_SHOWN_OUTSIDE = ("disclose",)


@handler("bid.collect_deviations", effect="none", gives={"items": f"list<context<{_ROW}>>"})
def collect_deviations(job: Job) -> Variables:
    """汇总差异候选：矩阵的每个条款一行，填上已有的应答、页码与偏离

    Takes ``matrix``, ``items`` (the table of the round before), ``responses`` and ``candidates``. A candidate without a direction is
    a clause that a clarification changed: what was judged of it no longer counts.
    """
    rows = {row["clause_no"]: row for row in _clauses(job.values.get("matrix"))}
    for known in _rows(job.values.get("items")):
        _row(rows, known).update({name: known[name] for name in ("requirement", "response", "page", "direction") if known.get(name)})
    for answer in _rows(job.values.get("responses")):
        row = _row(rows, answer)
        row["response"], row["page"] = row["response"] or answer.get("response"), row["page"] or answer.get("page")
    for candidate in _rows(job.values.get("candidates")):
        row = _row(rows, candidate)
        row["direction"] = candidate.get("direction")
        row.update({name: candidate[name] for name in ("requirement", "response") if candidate.get(name)})
    return {"items": list(rows.values())}


@handler(
    "bid.judge_deviations", effect="none",
    gives={
        "items": f"list<context<{_ROW}>>", "deviations": f"list<context<{_DECIDED}>>",
        "disposition": "list<context<clause_no: string, disposition: string, reason: string>>",
        "undecided": "list<string>", "star_clauses": "list<string>", "coverage": "number",
    },
)  # fmt: skip
def judge_deviations(job: Job) -> Variables:
    """列出偏离条款：补齐漏掉的条款，认定 ★,找出尚未判断的

    Takes ``matrix``, ``items`` as described, ``candidates``, ``rest_conforms`` (all that is not listed conforms) and ``disposition``
    of the round before. Gives ``deviations`` (rows that deviate), ``disposition`` (a line for each of them), ``undecided`` (numbers of clauses
    whose direction nobody gave), ``star_clauses`` (★ with a negative deviation) and ``coverage`` (per cent of clauses answered).
    """
    tender = {row["clause_no"]: row for row in _clauses(job.values.get("matrix"))}
    described: dict[str, dict[str, Any]] = {}
    for given in _rows(job.values.get("items")):
        row = _row(described, given)
        row.update({name: given.get(name) for name in ("requirement", "response", "page", "direction")})
        row["is_star"] = given.get("is_star") is True or tender.get(row["clause_no"], {}).get("is_star") is True
    by_number = {number: described.pop(number, clause) for number, clause in tender.items()} | described
    for candidate in _rows(job.values.get("candidates")):
        row = _row(by_number, candidate)
        row.update({name: row[name] or candidate.get(name) for name in ("requirement", "response", "direction")})
    rows = list(by_number.values())
    if job.values.get("rest_conforms") is True:
        # what somebody reported, or a clarification changed, is not swept up with the rest: a person judges it
        reported = {c["clause_no"] for c in _rows(job.values.get("candidates"))}
        for row in rows:
            if row["clause_no"] not in reported:
                row["direction"] = row["direction"] or "none"
    for row in rows:
        if row["direction"] == "none":
            row["response"] = row["response"] or _CONFORMS
    before = {d["clause_no"]: d for d in _rows(job.values.get("disposition"))}
    deviating = [row for row in rows if row["direction"] != "none"]
    undecided = [row["clause_no"] for row in rows if row["direction"] is None]
    answered = sum(bool(row["response"]) for row in rows)
    return {
        "items": rows,
        "deviations": [{**row, "disposition": None, "reason": None, "decided_by": None, "decided_at": None} for row in deviating],
        "disposition": [
            {"clause_no": row["clause_no"], **{name: before.get(row["clause_no"], {}).get(name) for name in ("disposition", "reason")}}
            for row in deviating
        ],
        "undecided": undecided,
        "star_clauses": [row["clause_no"] for row in deviating if row["is_star"] and row["direction"] == "negative"],
        "coverage": 100 * answered // len(rows) if rows else 0,
    }


@handler(
    "bid.export_deviations", effect="none",
    gives={"deviation_table": f"list<context<{_ROW}>>", "response_table": f"list<context<{_DECIDED}>>"},
)
def export_deviations(job: Job) -> Variables:
    """生成对外差异表与内部台账

    Takes ``items`` and ``deviations`` (with dispositions). Gives ``deviation_table``, what the buyer sees: positive deviations and
    those disclosed; and ``response_table``, every clause with response, page, deviation, disposition, who decided it and when.
    """
    decided = {row["clause_no"]: row for row in _rows(job.values.get("deviations"))}
    blank = {"disposition": None, "reason": None, "decided_by": None, "decided_at": None}
    ledger = [{**row, **blank, **decided.get(row["clause_no"], {})} for row in _rows(job.values.get("items"))]
    shown = [
        {name: row.get(name) for name in ("clause_no", "requirement", "response", "page", "direction", "is_star")}
        for row in ledger
        if row.get("direction") == "positive" or (row.get("direction") == "negative" and row["disposition"] in _SHOWN_OUTSIDE)
    ]
    return {"deviation_table": shown, "response_table": ledger}


def _rows(value: object) -> Iterator[dict[str, Any]]:
    """Give the rows of a list that name a clause."""
    for row in value if isinstance(value, list) else ():
        if isinstance(row, Mapping) and isinstance(row.get("clause_no"), str) and row["clause_no"].strip():
            yield {**row, "clause_no": row["clause_no"].strip()}


def _clauses(matrix: object) -> Iterable[dict[str, Any]]:
    """Give the clauses of the tender as rows that nobody has answered yet."""
    for clause in _rows(matrix):
        yield {
            "clause_no": clause["clause_no"], "requirement": clause.get("requirement"), "response": None, "page": None,
            "direction": None, "is_star": clause.get("is_star") is True or clause.get("category") == "star",
        }


def _row(rows: dict[str, dict[str, Any]], like: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a clause, made when the table lacks it."""
    blank = {
        "clause_no": like["clause_no"], "requirement": like.get("requirement"), "response": None, "page": None, "direction": None,
        "is_star": like.get("is_star") is True,
    }
    return rows.setdefault(like["clause_no"], blank)
