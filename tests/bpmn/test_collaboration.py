"""Pools and their message flows, and BPMN's correlation keys, on the core alone; every step begins from the stored bytes."""

from __future__ import annotations

import pytest

from engine.bpmn import DiagramCannotRun, describe, fits, keys_carried, starters
from engine.errors import WrongConversation
from engine.model import CorrelateMessage
from tests.bpmn.build import (
    boundary,
    call,
    catch,
    collaboration,
    correlation_key,
    correlation_property,
    correlation_subscription,
    diagram,
    end,
    event,
    many,
    parallel,
    pool,
    process,
    properties,
    receive,
    script,
    start,
    sub,
    throw,
    user,
)
from tests.bpmn.play import MONDAY
from tests.bpmn.watched import KeptPlay as Play


def saying(payload: str, message: str = "") -> str:
    return properties(payload=payload) + event("message", message)


KEY = correlation_key("tender", "tender_no")
PROPERTY = correlation_property("tender_no", mA="no", mB="ref.no", mC="no")
BUYER = process(start(), user("first"), throw("ask", saying("{no: n}", "mA")), receive("answer", "mB"), user("after"), end(), "s>first",
                "first>ask", "ask>answer", "answer>after", "after>e")
BIDDER = process(start("asked", event("message", "mA")), user("think"), end("reply", saying("{ref: {no: no}}", "mB")), "asked>think",
                 "think>reply", id="bidder")
PAIR = diagram(PROPERTY, BUYER, BIDDER, collaboration(pool("a", "p"), pool("b", "bidder"), "ask~>asked", "reply~>answer", KEY))


def test_the_key_that_the_first_message_gave_is_kept_in_the_state_and_waited_for() -> None:
    p = Play(PAIR, variables={"n": 7}).do("first")
    [waiting] = [s for _, s in p.subscriptions("mB")]

    assert waiting.correlation_key in keys_carried(p.infos, "mB", {"ref": {"no": "7"}}, MONDAY, "Asia/Shanghai")
    assert waiting.correlation_key not in keys_carried(p.infos, "mB", {"ref": {"no": 8}}, MONDAY, "Asia/Shanghai")
    p.do("think").check(open="after")


def test_a_message_of_another_conversation_is_refused_by_the_core_and_changes_nothing() -> None:
    p = Play(PAIR, variables={"n": 7}).do("first")
    [(instance, waiting)] = p.subscriptions("mB")
    before = instance.state

    with pytest.raises(WrongConversation):
        p.send(instance, CorrelateMessage(name="mB", token=waiting.token, payload={"ref": {"no": 8}}))

    assert instance.state == before


def test_a_value_that_cannot_be_compared_is_no_key() -> None:
    p = Play(PAIR, variables={"n": [7]}).do("first")

    assert p.incidents == [("ask", "expression")]


def test_conversations_of_instances_that_are_over_leave_the_state() -> None:
    asks = process(
        start(), sub("each", start("is"), throw("ask", saying("{no: bidder}", "mA")), end("ie"), "is>ask", "ask>ie",
                     inner=many(collection="[1, 2, 3]", item="bidder")), user("after"), end(), "s>each", "each>after", "after>e")
    p = Play(diagram(PROPERTY, asks, collaboration(pool("a", "p"), KEY))).check(open="after")

    assert b"tender" not in (p.first.state or b"")


def test_a_called_process_has_conversations_of_its_own() -> None:
    caller = process(start(), call("c", "inner"), user("after"), end(), "s>c", "c>after", "after>e")
    inner = process(start("i"), receive("r1", "mA"), receive("r2", "mC"), end("ie"), "i>r1", "r1>r2", "r2>ie", id="inner")
    p = Play(diagram(PROPERTY, caller, inner, collaboration(pool("a", "p"), pool("b", "inner"), KEY)))

    p.message("mA", no=1)
    assert p.message("mC", no=2).open == "r2"
    assert p.message("mC", no=1).open == "after"


def test_a_conversation_that_began_in_a_sub_process_goes_on_after_it() -> None:
    asks = process(start(), sub("inside", start("is"), receive("r1", "mA"), end("ie"), "is>r1", "r1>ie"), receive("r2", "mC"),
                   user("after"), "s>inside", "inside>r2", "r2>after")
    p = Play(diagram(PROPERTY, asks, collaboration(pool("a", "p"), KEY))).message("mA", no=1)

    assert p.message("mC", no=2).open == "r2"
    assert p.message("mC", no=1).open == "after"


def test_a_thrown_message_goes_to_the_instance_whose_conversation_it_belongs_to() -> None:
    asks = process(
        start(), parallel("f"), user("go"), throw("t", saying("{ref: {no: 2}}", "mB")), end(),
        sub("each", start("is"), throw("ask", saying("{no: bidder}", "mA")), receive("answer", "mB"), script("note", "{heard: bidder}"),
            user("got"), "is>ask", "ask>answer", "answer>note", "note>got", inner=many(collection="[1, 2, 3]", item="bidder")),
        "s>f", "f>go", "go>t", "t>e", "f>each")
    p = Play(diagram(PROPERTY, asks, collaboration(pool("a", "p"), KEY)), variables={"heard": None}).do("go")

    p.check("answer answer got", heard=2)


def test_a_message_that_starts_an_instance_begins_its_conversation() -> None:
    asked = process(start("asked", event("message", "mA")), receive("r", "mC"), user("after"), "asked>r", "r>after")
    p = Play(diagram(PROPERTY, asked, collaboration(pool("a", "p"), KEY)), start=None).message("mA", no=1)

    assert p.message("mC", no=2).open == "r"
    assert p.message("mC", no=1).open == "after"


def test_a_message_with_another_key_than_its_conversation_is_not_thrown_but_an_incident() -> None:
    asked = process(start(), receive("r", "mA"), throw("t", saying("{no: 2}", "mC")), user("after"), "s>r", "r>t", "t>after")
    p = Play(diagram(PROPERTY, asked, collaboration(pool("a", "p"), KEY))).message("mA", no=1)

    assert p.incidents == [("t", "expression")]


def test_a_correlation_subscription_follows_its_variables() -> None:
    waits = process(start(), receive("r", "mA"), user("after"), "s>r", "r>after", correlation_subscription("tender", tender_no="n"))
    p = Play(diagram(PROPERTY, waits, collaboration(pool("a", "p"), KEY)), variables={"n": 7})

    assert p.message("mA", no=8).open == "r"
    assert p.set(n=8).message("mA", no=7).open == "r"
    assert p.message("mA", no=8).open == "after"


def test_a_message_fits_when_it_has_one_key_of_a_wait_and_no_other_value_for_the_rest() -> None:
    waits = {"p/tender=[1]", "p/lot=[1]"}

    assert fits(waits, {"p/tender=[1]"})
    assert fits(waits, {"p/tender=[1]", "p/lot=[1]"})
    assert not fits(waits, {"p/tender=[1]", "p/lot=[2]"})
    assert not fits(waits, {"p/tender=[2]"})


def test_a_thrown_message_passes_by_one_who_does_not_know_its_key_yet() -> None:
    p = Play(diagram(process(
        start(), user("a"), boundary("b", "a", properties(correlationKey="k") + event("message", "mA")), user("go"),
        throw("t", properties(correlationKey='"x"') + event("message", "mA")), user("z"), end(),
        "s>a", "s>go", "go>t", "t>z", "b>e")), variables={"k": None})

    assert p.do("go").open == "a z"


def test_a_message_flow_to_another_pool_passes_by_those_who_wait_in_its_own() -> None:
    own = process(
        start(), user("go"), throw("t", event("message", "mA")), catch("mine", event("message", "mA")), user("after"), end(), "s>go", "s>mine",
        "go>t", "t>e", "mine>after", "after>e")
    other = process(start("begin", event("message", "mA")), user("theirs"), "begin>theirs", id="other")
    p = Play(diagram(own, other, collaboration(pool("a", "p"), pool("b", "other"), "t~>begin"))).do("go")

    assert p.open == "mine theirs"


def test_start_events_that_a_message_flow_names_are_known() -> None:
    sender = process(start(), throw("t", event("message")), end(), "s>t", "t>e")
    other = process(start("begin", event("message")), user("u"), "begin>u", id="other")
    xml = diagram(sender, other, collaboration(pool("a", "p"), pool("b", "other"), "t~>begin"))

    assert starters(xml, "other") == (("begin", "message", "t_begin"),)
    assert describe(xml)[1].start_messages == {"t_begin"}


@pytest.mark.parametrize(("broken", "says"), [
    (diagram(process(start(), throw("t", event("message", "mA")), end(), "s>t", "t>e"), process(start("x"), receive("r", "mB"), end("y"), "x>r", "r>y", id="q"),
             collaboration(pool("a", "p"), pool("b", "q"), "t~>r")), "waits for the message 'mA'"),
    (diagram(process(start(), catch("r", event("message")), end(), "s>r", "r>e"),
             collaboration(pool("a", "p"), pool("x"), "x~>r: mA", "x~>r: mB")), "different messages: mA, mB"),
    (diagram(PROPERTY, process(start(), receive("r", "mA"), end(), "s>r", "r>e", correlation_subscription("tender")), collaboration(pool("a", "p"), KEY)),
     "does not bind the correlation property tender_no"),
    (diagram(correlation_property("tender_no", mA="1 +"), process(start(), receive("r", "mA"), end(), "s>r", "r>e"), collaboration(pool("a", "p"), KEY)),
     "the expression"),
])  # fmt: skip
def test_what_cannot_be_delivered_or_read_is_refused(broken: bytes, says: str) -> None:
    with pytest.raises(DiagramCannotRun) as refused:
        Play(broken)

    assert says in refused.value.text("en")


def test_a_wait_gets_its_key_from_a_message_of_another_branch() -> None:
    asks = process(
        start(), parallel("f"), receive("answer", "mB"), user("first"), throw("ask", saying("{no: n}", "mA")), end(),
        "s>f", "f>answer", "f>first", "first>ask", "ask>e", "answer>e")
    p = Play(diagram(PROPERTY, asks, collaboration(pool("a", "p"), KEY)), variables={"n": 7})
    [(instance, before)] = p.subscriptions("mB")

    p.do("first")

    [(_, after)] = p.subscriptions("mB")
    assert instance.step is not None
    assert instance.step.subscription_changes == {after.token: (after,)}
    assert before.correlation_key != after.correlation_key
