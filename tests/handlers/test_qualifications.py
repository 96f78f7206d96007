"""What a bid takes from the qualification ledger, and what is said of certificates that do not last."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import SimpleNamespace

import handlers  # noqa: F401  registers
from engine.handler import REGISTRY, Job
from tests.handlers.test_handlers import Recorder

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DEADLINE = datetime(2026, 3, 20, 1, 0, tzinfo=UTC)
US = "甲科技有限公司"
MATRIX = [
    {"clause_no": "1.4", "requirement": "具备 ISO 9001 认证", "evidence": None, "category": "qualification"},
    {"clause_no": "5.2", "requirement": "支持 CMMI 五级", "evidence": None, "category": "technical"},
]


@dataclass
class Ledger(Recorder):
    held: list = field(default_factory=list)

    def register(self, name, where=None):
        assert (name, where) == ("qualifications", None)
        return tuple(SimpleNamespace(id=i, values=v) for i, v in enumerate(self.held))


def entry(name, expires=None, holder=US, original="in", **more):
    return {"name": name, "holder": holder, "number": "1", "original_status": original, **({"expires_on": expires} if expires else {}), **more}


def pull(*held, **values):
    job = Job(
        key="7:3", type="bid.pull_qualifications", attempt=1, instance_id=7, business_key="ZB-1", title="政务云二期", process="p", element="e",
        element_name="取件", values={"submission_deadline": DEADLINE, "bidder": US, **values}, properties={}, at=AT, outside=Ledger(held=list(held)),
    )
    return REGISTRY["bid.pull_qualifications"].run(job)


def names(rows):
    return [row["name"] for row in rows]


def test_a_certificate_has_to_last_until_the_bid_is_no_longer_valid():
    held = [entry("甲", date(2026, 6, 17)), entry("乙", date(2026, 6, 18)), entry("长期")]

    assert pull(*held)["needed_until"] == date(2026, 6, 18)
    assert names(pull(*held)["expiring"]) == ["甲"]
    assert names(pull(*held, bid_validity_days=120)["expiring"]) == ["甲", "乙"]


def test_only_what_the_clauses_name_is_escalated_and_technical_clauses_do_not_count():
    found = pull(entry("ISO 9001", date(2026, 4, 1)), entry("CMMI", date(2026, 4, 1)), matrix=MATRIX)

    assert names(found["expiring"]) == ["ISO 9001"]
    assert [(r["name"], r["clauses"]) for r in found["ledger"]] == [("ISO 9001", "1.4"), ("CMMI", "")]
    assert names(pull(entry("CMMI", date(2026, 4, 1)), matrix=MATRIX)["expiring"]) == ["CMMI"]


def test_a_renewed_certificate_is_not_named_for_its_old_copy():
    assert pull(entry("甲", date(2026, 4, 1)), entry("甲", date(2029, 4, 1)))["expiring"] == []
    assert pull(entry("甲"), entry("甲", date(2026, 4, 1)))["expiring"] == []


def test_what_was_used_before_is_checked_again_and_the_ledger_knows_better():
    used = [{"name": "甲", "holder": US, "expires": date(2026, 4, 1), "original": "lent"}]

    alone = pull(used=used)
    renewed = pull(entry("甲", date(2029, 4, 1)), used=used)

    assert (names(alone["expiring"]), names(alone["lent_originals"])) == (["甲"], ["甲"])
    assert (renewed["expiring"], renewed["lent_originals"]) == ([], [])


def test_an_original_on_loan_is_named():
    assert names(pull(entry("甲", original="lent"), entry("乙"))["lent_originals"]) == ["甲"]


def test_a_certificate_of_another_legal_person_is_marked():
    (whole, lacking, other) = pull(
        entry("甲", holder="乙公司", borrowed=True, authorization_letter=["x"], legal_checked=True), entry("丙", borrowed=True), entry("丁", holder="乙公司")
    )["ledger"]

    assert whole["finding"] == other["finding"] == "不是投标法人持有，本次投标须授权声明与法务审核"
    assert "台账中缺授权声明或法务审核" in lacking["finding"]
