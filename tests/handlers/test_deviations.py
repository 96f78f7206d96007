"""The table of requirement, response and deviation: no clause of the tender gets lost, no ★ either."""

from datetime import UTC, datetime

import handlers  # noqa: F401  registers
from engine.handler import REGISTRY, Job
from tests.handlers.test_handlers import Recorder

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
MATRIX = [
    {"clause_no": "3.1", "requirement": "工期不超过 180 天", "category": "business"},
    {"clause_no": "4.2", "requirement": "双机热备", "category": "star"},
    {"clause_no": "4.3", "requirement": "响应时间 2 小时", "category": "technical"},
]


def run(type, **values):
    job = Job(
        key="7:3", type=type, attempt=1, instance_id=7, business_key="ZB-1", title="政务云二期", process="p", element="e",
        element_name="差异", values=values, properties={}, at=AT, outside=Recorder(),
    )
    return REGISTRY[type].run(job)


def row(number, direction=None, **more):
    return {"clause_no": number, "requirement": None, "response": "应答", "page": "1", "direction": direction, "is_star": False, **more}


def test_every_clause_is_a_row_with_what_the_chapters_answer():
    (first, star, third) = run(
        "bid.collect_deviations", matrix=MATRIX, items=None, candidates=[{"clause_no": "4.3", "response": "4 小时", "direction": "negative"}],
        responses=[{"clause_no": " 3.1 ", "response": "170 天", "page": "9"}],
    )["items"]

    assert (first["response"], first["page"], first["direction"]) == ("170 天", "9", None)
    assert star["is_star"] is True
    assert (third["requirement"], third["response"], third["direction"]) == ("响应时间 2 小时", "4 小时", "negative")


def test_a_clause_that_a_clarification_changed_has_to_be_judged_anew():
    changed = {"clause_no": "3.1", "requirement": "工期不超过 120 天", "response": None, "direction": None}

    (first, *_rest) = run("bid.collect_deviations", matrix=MATRIX, items=[row("3.1", "none")], candidates=[changed], responses=None)["items"]

    assert (first["requirement"], first["response"], first["direction"]) == ("工期不超过 120 天", "应答", None)


def test_a_star_of_the_tender_cannot_be_ticked_away():
    judged = run("bid.judge_deviations", matrix=MATRIX, items=[row("4.2", "negative")], candidates=None, rest_conforms=True, disposition=None)

    assert judged["star_clauses"] == ["4.2"]
    assert [d["clause_no"] for d in judged["deviations"]] == ["4.2"]
    assert judged["coverage"] == 100


def test_a_clause_left_out_is_undecided_unless_the_rest_conforms():
    judged = run("bid.judge_deviations", matrix=MATRIX, items=[row("3.1", "none")], candidates=None, rest_conforms=False, disposition=None)

    assert judged["undecided"] == ["4.2", "4.3"]
    assert judged["coverage"] == 33


def test_what_was_reported_is_not_swept_up_with_the_rest():
    reported = [{"clause_no": "4.3", "direction": "negative"}, {"clause_no": "3.1", "direction": None}]

    judged = run("bid.judge_deviations", matrix=MATRIX, items=[], candidates=reported, rest_conforms=True, disposition=None)

    assert judged["undecided"] == ["3.1"]
    assert {d["clause_no"]: d["direction"] for d in judged["deviations"]} == {"3.1": None, "4.3": "negative"}


def test_the_disposition_of_the_round_before_is_offered_again():
    before = [{"clause_no": "4.3", "disposition": "disclose", "reason": "见说明"}]

    judged = run("bid.judge_deviations", matrix=None, items=[row("4.3", "negative")], candidates=None, rest_conforms=None, disposition=before)

    assert judged["disposition"] == before


def test_the_buyer_sees_what_is_disclosed_and_the_house_sees_all():
    decided = {"reason": "见说明", "decided_by": "李静", "decided_at": AT}
    items = [row("1", "none"), row("2", "positive"), row("3", "negative"), row("4", "negative")]
    deviations = [
        {**items[1], "disposition": "comply", **decided}, {**items[2], "disposition": "disclose", **decided},
        {**items[3], "disposition": "minor_no_disclose", **decided},
    ]

    exported = run("bid.export_deviations", items=items, deviations=deviations)

    assert [r["clause_no"] for r in exported["deviation_table"]] == ["2", "3"]
    assert all("reason" not in r and "decided_by" not in r for r in exported["deviation_table"])
    assert [(r["clause_no"], r["decided_by"]) for r in exported["response_table"]] == [("1", None), ("2", "李静"), ("3", "李静"), ("4", "李静")]


def test_rows_without_a_clause_and_no_rows_at_all_do_no_harm():
    assert run("bid.collect_deviations", matrix=None, items=[{"clause_no": " "}, "x"], candidates=None, responses=None) == {"items": []}
    assert run("bid.judge_deviations", matrix=None, items=None, candidates=None, rest_conforms=None, disposition=None)["coverage"] == 0
