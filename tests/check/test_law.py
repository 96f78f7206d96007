"""招标投标法 art. 43 as a rule on diagrams: no negotiation between submission and award."""

from pathlib import Path

import pytest

from engine.bpmn.check import check
from engine.bpmn.check.law import asks_for_won
from engine.model import Severity
from tests.bpmn.build import (
    boundary,
    call,
    catch,
    diagram,
    end,
    event,
    event_sub,
    events,
    exclusive,
    inclusive,
    parallel,
    process,
    properties,
    start,
    sub,
    timer,
)

SHARED = Path(__file__).parents[3] / "shared"
BID, TALK = call("bid", "psm050_bidding"), call("talk", "psm060_negotiation")
WON = 'g>talk: bid.outcome = "won"'


def broken(*parts: str, beside: bytes | None = None) -> list[str]:
    files = {"a.bpmn": diagram(process(start(), end(), *parts))}
    if beside:
        files["b.bpmn"] = beside
    found = [each for each in check(files) if each.rule == "LAW-NEGOTIATION"]
    assert all(each.severity is Severity.DRAFT for each in found)
    return [each.en for each in found]


def test_negotiation_behind_the_answer_won_is_lawful():
    assert not broken(BID, TALK, exclusive("g"), "s>bid", "bid>g", WON, "g>e!", "talk>e")


def test_direct_purchase_that_bypasses_the_bidding_is_lawful():
    assert not broken(
        BID, TALK, exclusive("how"), exclusive("g"), "s>how", 'how>bid: method = "tender"', "how>talk!", "bid>g", WON, "g>e!", "talk>e")


def test_choosing_again_after_a_failed_tender_or_a_broken_negotiation_is_lawful():
    assert not broken(
        BID, TALK, exclusive("how"), exclusive("g"), exclusive("n"), "s>how", 'how>bid: method = "tender"', "how>talk!", "bid>g", WON,
        'g>how: outcome = "failed_tender"', "g>e!", "talk>n", "n>how: again", "n>e!")


@pytest.mark.parametrize(("choices", "is_lawful"), [
    ("", False), ("psm070_visit, psm060_negotiation", False), ("psm070_visit", True),
])
def test_a_call_that_an_expression_names_may_be_the_negotiation_unless_its_choices_keep_it_from_that(choices, is_lawful):
    named = call("any", "= next", properties(choices=choices))

    assert bool(broken(BID, named, "s>bid", "bid>any", "any>e")) is not is_lawful


def test_a_process_that_only_negotiates_is_not_judged():
    assert not broken(TALK, "s>talk", "talk>e")


@pytest.mark.parametrize("flow", [
    "g>talk!", 'g>talk: bid.outcome = "won" or bid.outcome = "lost"', 'g>talk: bid.outcome != "won"',
    'g>talk: not(bid.outcome = "won")', 'g>talk: bid.outcome in ("won", "lost")', "g>talk: won", "g>talk: true",
])
def test_branch_that_does_not_ask_for_won_alone_is_refused(flow):
    assert broken(BID, TALK, exclusive("g"), "s>bid", "bid>g", flow, "g>e: x = 1", "talk>e")


def test_negotiation_straight_after_the_bidding_is_refused():
    assert broken(BID, TALK, "s>bid", "bid>talk", "talk>e")


def test_negotiation_beside_the_bidding_is_refused():
    assert broken(BID, TALK, parallel("f"), "s>f", "f>bid", "f>talk", "talk>e", "bid>e")
    assert broken(BID, TALK, inclusive("f"), "s>f", "f>bid: a", "f>talk: b", "talk>e", "bid>e")


def test_negotiation_that_runs_on_into_the_bidding_is_refused():
    assert broken(BID, TALK, "s>talk", "talk>bid", "bid>e")


def test_direct_branch_that_joins_the_bidding_is_refused():
    assert broken(BID, TALK, exclusive("how"), "s>how", "how>bid: a", "how>talk!", "talk>bid", "bid>e")


def test_negotiation_from_a_boundary_event_of_the_bidding_is_refused():
    watch = boundary("b", "bid", timer("timeDuration", "P1D"), cancelActivity="false")

    assert broken(BID, TALK, watch, "s>bid", "bid>e", "b>talk", "talk>e")


def test_negotiation_from_an_event_sub_process_is_refused():
    assert broken(
        BID, "s>bid", "bid>e", event_sub("h", start("i", event("message", "mA")), TALK, end("j"), "i>talk", "talk>j"))


def test_negotiation_behind_a_wrapped_bidding_is_seen_through_the_sub_process():
    wrapped = sub("w", start("i"), BID, end("j"), "i>bid", "bid>j")

    assert broken(wrapped, TALK, "s>w", "w>talk", "talk>e")
    assert not broken(wrapped, TALK, exclusive("g"), "s>w", "w>g", WON, "g>e!", "talk>e")


def test_negotiation_by_a_message_instead_of_the_answer_is_refused():
    assert broken(
        BID, TALK, events("g"), catch("m", event("message", "mA")), catch("t", timer("timeDuration", "P1D")),
        "s>bid", "bid>g", "g>m", "g>t", "m>talk", "t>e", "talk>e")


def test_won_asked_before_the_bidding_does_not_count():
    assert broken(BID, TALK, exclusive("g"), "s>g", WON, "g>e!", "talk>bid", "bid>e")


def test_bidding_and_what_it_calls_must_not_negotiate():
    inner = diagram(process(start(), TALK, end(), "s>talk", "talk>e", id="bid_preparation"))
    bidding = diagram(process(start(), call("c", "bid_preparation"), end(), "s>c", "c>e", id="psm050_bidding"))

    found = check({"inner.bpmn": inner, "bidding.bpmn": bidding})

    assert [(each.file, each.element) for each in found if each.rule == "LAW-NEGOTIATION"] == [("inner.bpmn", "talk")]


def test_the_whole_sale_as_drawn_by_hand_is_lawful():
    drawn = (SHARED / "prototypes/layout/psm_presale.bpmn").read_bytes()

    assert not [each for each in check({"psm_presale.bpmn": drawn}) if each.rule == "LAW-NEGOTIATION"]


def test_the_whole_sale_without_its_condition_is_not():
    drawn = (SHARED / "prototypes/layout/psm_presale.bpmn").read_bytes()
    changed = drawn.replace(b'bid.outcome = "won"', b'bid.outcome = "lost"')

    (found,) = [each for each in check({"psm_presale.bpmn": changed}) if each.rule == "LAW-NEGOTIATION"]

    assert found.element == "call_psm060"
    assert "第四十三条" in found.zh


@pytest.mark.parametrize(("condition", "holds"), [
    ('outcome = "won"', True), ('= bid.outcome = "won" and amount > 5', True), ('"won" = outcome', True),
    ('outcome = "won" or true', False), ('outcome = "unwon"', False), ('outcome in ("lost", "won")', False), ("", False),
])
def test_a_condition_asks_for_won(condition, holds):
    assert asks_for_won(condition) is holds
