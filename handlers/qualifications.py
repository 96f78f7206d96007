"""Machine work on certificates: what the qualification ledger holds for a bid, and whether it lasts long enough."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from engine.handler import Job, Variables, handler

#: A bid is valid for so many days when the tender documents do not say.
_VALIDITY = 90
_ROW = "context<name: string, holder: string, number: string, expires: date, original: string, clauses: string, finding: string>"


@handler(
    "bid.pull_qualifications", effect="database",
    gives={"ledger": f"list<{_ROW}>", "expiring": f"list<{_ROW}>", "lent_originals": f"list<{_ROW}>", "needed_until": "date"},
)  # fmt: skip
def pull_qualifications(job: Job) -> Variables:
    """从资质台账取件，校验有效期与原件

    Takes `matrix`, `submission_deadline`, `bid_validity_days` (90), `bidder`, and `used`: certificates of the round before,
    ``{name, holder, number, expires, original}``, which are checked too; what the ledger says of one counts. Of a renewed certificate
    (same name and holder) the one that lasts longest counts. Findings are of those that a clause names or that were used; of all
    when no clause names any. ``expires`` is missing of one that never does.
    """
    deadline, days = job.values.get("submission_deadline"), job.values.get("bid_validity_days")
    start = deadline if isinstance(deadline, datetime) else job.at
    needed = (start + timedelta(days=int(days) if isinstance(days, int | float) and days > 0 else _VALIDITY)).date()
    held: list[dict[str, Any]] = [
        {
            "name": _text(e.values.get("name")), "holder": _text(e.values.get("holder")), "number": _text(e.values.get("number")),
            "expires": _day(e.values.get("expires_on")), "original": _text(e.values.get("original_status")),
            "borrowed": e.values.get("borrowed") is True,
            "lacking": e.values.get("borrowed") is True and not (e.values.get("authorization_letter") and e.values.get("legal_checked") is True),
        }
        for e in job.outside.register("qualifications")
    ]  # fmt: skip
    used = {(_text(u.get("name")), _text(u.get("holder"))) for u in _rows(job.values.get("used"))}
    known = {(h["name"], h["holder"]) for h in held}
    held += [
        {"name": _text(u.get("name")), "holder": _text(u.get("holder")), "number": _text(u.get("number")),
         "expires": _day(u.get("expires")), "original": _text(u.get("original")), "borrowed": False, "lacking": False}
        for u in _rows(job.values.get("used")) if (_text(u.get("name")), _text(u.get("holder"))) not in known
    ]  # fmt: skip
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for one in held:
        key = (one["name"], one["holder"])
        if key not in newest or (one["expires"] or date.max) > (newest[key]["expires"] or date.max):
            newest[key] = one
    clauses = [m for m in _rows(job.values.get("matrix")) if m.get("category") != "technical"]
    naming = {key: [_text(m.get("clause_no")) for m in clauses if key[0] and key[0] in f"{m.get('requirement')}\n{m.get('evidence')}"] for key in newest}
    asked = {key for key in newest if naming[key] or key in used} or set(newest)
    bidder = _text(job.values.get("bidder"))
    ledger, expiring, lent = [], [], []
    for key, one in newest.items():
        short = one["expires"] is not None and one["expires"] < needed
        says = ["到期早于投标有效期届满"] if short else []
        says += ["原件借出未还"] if one["original"] == "lent" else []
        says += ["不是投标法人持有，本次投标须授权声明与法务审核"] if one["borrowed"] or (bidder and one["holder"] != bidder) else []
        says += ["台账中缺授权声明或法务审核"] if one["lacking"] else []
        row = {name: one[name] for name in ("name", "holder", "number", "expires", "original")}
        row |= {"clauses": "、".join(naming[key]), "finding": "；".join(says)}
        ledger.append(row)
        if key in asked and short:
            expiring.append(row)
        if key in asked and one["original"] == "lent":
            lent.append(row)
    return {"ledger": ledger, "expiring": expiring, "lent_originals": lent, "needed_until": needed}


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return str(value or "").strip()


def _day(value: Any) -> date | None:
    """Return a date that may have been written as a text in a scenario or by an API."""
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(value) if isinstance(value, str) and value else None
