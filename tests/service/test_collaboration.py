"""Pools of one file and of several talk to each other: message flows name the receiver, correlation keys its instance."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.errors import AmbiguousReceiver, NoCorrelationKey, NoReceiver, WrongConversation
from engine.model import SYSTEM, InstanceId
from tests.bpmn.build import (
    boundary,
    catch,
    collaboration,
    correlation_key,
    correlation_property,
    correlation_subscription,
    diagram,
    element,
    end,
    event,
    event_sub,
    events,
    many,
    pool,
    process,
    properties,
    receive,
    start,
    sub,
    throw,
    user,
)
from tests.service.house import OWNER, House

MESSAGE = event("message")


def send(id: str, payload: str = "", message: str = "", **attributes: str) -> str:
    inner = properties(payload=payload) if payload else ""
    return element("sendTask", id, inner, **({"messageRef": message} if message else {}), **attributes)


def saying(payload: str, message: str = "") -> str:
    return properties(payload=payload) + event("message", message)


def instances(house: House, key: str) -> list[InstanceId]:
    return sorted(i.id for i in house.engine.instances.list(SYSTEM, key=key).items)


def run(house: House) -> None:
    while house.engine.jobs.run_due():
        pass


# ------------------------------------------------------------------------------------------------------------------ message flows
def test_a_message_flow_without_any_name_starts_the_other_pool_and_its_reply_comes_back(house: House) -> None:
    buyer = process(
        start(), throw("ask", saying("{n: 5}")), receive("answer", ""), user("after"), end(), "s>ask", "ask>answer", "answer>after",
        "after>e", id="buyer",
    ).replace(' messageRef=""', "")  # fmt: skip
    bidder = process(start("asked", MESSAGE), user("think"), end("reply", saying("{m: n + 1}")), "asked>think", "think>reply", id="bidder")
    pools = collaboration(pool("a", "buyer"), pool("b", "bidder"), "ask~>asked", "reply~>answer")
    house.deploy(diagram(buyer, bidder, pools))

    asked = house.start("buyer", business_key="B")
    run(house)
    (bidding,) = instances(house, "bidder")
    house.complete(bidding, "think")
    run(house)

    assert set(house.open_tasks(asked.id)) == {"after"}
    assert house.engine.instances.variables(SYSTEM, asked.id)["m"] == 6
    assert {e.name for e in house.events(asked.id, "MessageCorrelated")} == {"reply_answer"}


@pytest.mark.parametrize("named", ["throw", "catch", "flow"])
def test_the_message_named_at_one_end_or_by_the_flow_is_the_message_of_both_ends(house: House, named: str) -> None:
    a = process(start(), throw("t", event("message", "mA" if named == "throw" else "")), end(), "s>t", "t>e", id="a")
    b = process(start("s", event("message", "mA" if named == "catch" else "")), user("after"), "s>after", id="b")
    b = b.replace('id="s"', 'id="begin"').replace('"s"', '"begin"')
    house.deploy(diagram(a, b, collaboration(pool("pa", "a"), pool("pb", "b"), "t~>begin" + (": mA" if named == "flow" else ""))))

    house.start("a")
    run(house)

    (started,) = instances(house, "b")
    assert house.events(house.start("a").id, "MessageThrown")[0].name == "mA"
    assert set(house.open_tasks(started)) == {"after"}


def test_only_the_pool_at_the_end_of_the_message_flow_may_receive(house: House) -> None:
    sender = process(start(), throw("t", event("message", "mA")), end(), "s>t", "t>e", id="sender")
    right = process(start("s1"), user("wait"), receive("r1", "mA"), user("after1"), "s1>wait", "wait>r1", "r1>after1", id="right")
    wrong = process(start("s2"), receive("r2", "mA"), user("after2"), "s2>r2", "r2>after2", id="wrong")
    house.deploy(diagram(sender, right, collaboration(pool("a", "sender"), pool("b", "right"), "t~>r1")), diagram(wrong))
    other, one = house.start("wrong", business_key="K"), house.start("right", business_key="K")

    house.start("sender", business_key="K")
    run(house)
    assert not house.open_tasks(other.id)  # it waits still
    house.complete(one.id, "wait")

    assert set(house.open_tasks(one.id)) == {"after1"}
    assert not house.open_tasks(other.id)
    assert house.rows("select count(*) from message") == [(0,)]


def test_the_element_at_the_end_of_the_flow_comes_before_others_that_wait_for_the_name(house: House) -> None:
    sender = process(start(), throw("t", event("message", "mA")), end(), "s>t", "t>e", id="sender")
    receiver = process(
        start("s1", event("message", "mA")), receive("r", "mA"), user("after"), "s1>r", "r>after", id="receiver")
    house.deploy(diagram(sender, receiver, collaboration(pool("a", "sender"), pool("b", "receiver"), "t~>s1")))

    for _ in range(3):
        house.start("sender", business_key="K")
        run(house)

    assert len(instances(house, "receiver")) == 3  # drawn to the start event: each starts one, though others wait


def test_each_message_flow_of_an_element_has_a_message_of_its_own(house: House) -> None:
    sender = process(start(), end("t", event("message", "mA")), "s>t", id="sender")
    two = [process(start(f"s{n}", event("message", "mA")), user("after"), f"s{n}>after", id=f"r{n}").replace('"after"', f'"after{n}"') for n in (1, 2)]
    pools = collaboration(pool("a", "sender"), pool("b", "r1"), pool("c", "r2"), "t~>s1", "t~>s2")
    house.deploy(diagram(sender, *two, pools))

    house.start("sender")
    run(house)

    assert [len(instances(house, key)) for key in ("r1", "r2")] == [1, 1]


def test_a_message_to_a_black_box_leaves_the_house_and_disturbs_nobody_when_its_time_is_over(house: House) -> None:
    sender = process(start(), throw("t", MESSAGE), user("after"), "s>t", "t>after", id="sender")
    house.deploy(diagram(sender, collaboration(pool("a", "sender"), pool("authority"), "t~>authority")))
    id = house.start("sender").id
    run(house)
    house.moved.advance(days=31)
    run(house)

    assert [e.name for e in house.events(id, "MessageThrown")] == ["t_authority"]
    assert [e.leaves for e in house.events(id, "MessageExpired")] == [True]
    assert not [n for n in house.engine.people.notices(OWNER) if "t_authority" in n.subject]


def test_a_message_flow_from_a_black_box_is_a_message_from_outside(house: House) -> None:
    receiver = process(start(), catch("c", MESSAGE), user("after"), "s>c", "c>after", id="receiver")
    house.deploy(diagram(receiver, collaboration(pool("world"), pool("a", "receiver"), "world~>c: mB")))
    id = house.start("receiver", business_key="K").id

    house.engine.messages.correlate(SYSTEM, "mB", correlation_key="K")

    assert set(house.open_tasks(id)) == {"after"}


def test_message_flows_reach_inner_elements_event_sub_processes_and_boundary_events(house: House) -> None:
    sender = process(
        start(), throw("t1", saying("{n: 1}")), throw("t2", saying("{n: 2}")), throw("t3", saying("{n: 3}")), end(), "s>t1", "t1>t2",
        "t2>t3", "t3>e", id="sender",
    )  # fmt: skip
    receiver = process(
        start("go"), sub("box", start("is"), catch("inside", MESSAGE), user("work"), end("ie"), "is>inside", "inside>work", "work>ie"),
        boundary("edge", "box", MESSAGE), user("after"), "go>box", "edge>after",
        event_sub("es", start("heard", MESSAGE, isInterrupting="false"), user("note"), "heard>note"), id="receiver",
    )  # fmt: skip
    pools = collaboration(pool("a", "sender"), pool("b", "receiver"), "t1~>inside", "t2~>heard", "t3~>edge")
    house.deploy(diagram(sender, receiver, pools))
    id = house.start("receiver", business_key="K").id

    house.start("sender", business_key="K")
    run(house)

    assert set(house.open_tasks(id)) == {"note", "after"}
    assert [e.element for e in house.events(id, "MessageCorrelated")] == ["inside", "heard", "edge"]


def test_several_message_flows_into_one_catching_event_bring_the_same_message(house: House) -> None:
    def sender(id: str) -> str:
        return process(start(f"s_{id}"), throw(f"t_{id}", MESSAGE), end(f"e_{id}"), f"s_{id}>t_{id}", f"t_{id}>e_{id}", id=id)

    receiver = process(start("go"), receive("r", "mA"), user("after"), "go>r", "r>after", id="receiver")
    pools = collaboration(pool("a", "one"), pool("b", "two"), pool("c", "receiver"), "t_one~>r", "t_two~>r")
    house.deploy(diagram(sender("one"), sender("two"), receiver, pools))

    for key in ("one", "two"):
        id = house.start("receiver", business_key=key).id
        house.start(key, business_key=key)
        run(house)
        assert set(house.open_tasks(id)) == {"after"}


def test_a_pool_with_multiplicity_has_an_instance_for_each_message(house: House) -> None:
    each = many(collection="bidders", item="bidder")
    buyer = process(start(), send("ask", "{bidder: bidder}") .replace("</sendTask>", each + "</sendTask>"), end(), "s>ask", "ask>e", id="buyer")
    bidder = process(start("asked", MESSAGE), user("think"), "asked>think", id="bidder")
    several = '<participantMultiplicity minimum="2" maximum="5"/>'
    house.deploy(diagram(buyer, bidder, collaboration(pool("a", "buyer"), pool("b", "bidder", several), "ask~>asked")))

    house.start("buyer", variables={"bidders": ["x", "y", "z"]})
    run(house)

    assert sorted(house.engine.instances.variables(SYSTEM, id)["bidder"] for id in instances(house, "bidder")) == ["x", "y", "z"]


# --------------------------------------------------------------------------------------------------------------- correlation keys
KEY = correlation_key("tender", "tender_no")
PROPERTY = correlation_property("tender_no", mA="no", mB="ref.no", mC="no")
#: Asks by its own number and waits for the answer; the bidder takes number and answer from messages alone.
BUYER = process(
    start(), throw("ask", saying("{no: number}", "mA")), receive("answer", "mB"), user("after"), "s>ask", "ask>answer", "answer>after",
    id="buyer",
)  # fmt: skip
BIDDER = process(
    start("asked", event("message", "mA")), user("think"), throw("reply", saying("{ref: {no: no}, said: string(no)}", "mB")),
    receive("more", "mC"), user("done"), "asked>think", "think>reply", "reply>more", "more>done", id="bidder",
)  # fmt: skip
PAIR = diagram(
    PROPERTY, BUYER, BIDDER, collaboration(pool("a", "buyer"), pool("b", "bidder"), "ask~>asked", "reply~>answer", KEY))


def test_ten_replies_reach_precisely_the_ten_that_asked(house: House) -> None:
    house.deploy(PAIR)
    asked = {n: house.start("buyer", variables={"number": n}).id for n in range(10)}
    run(house)
    bidding = {house.engine.instances.variables(SYSTEM, id)["no"]: id for id in instances(house, "bidder")}
    assert set(bidding) == set(asked)

    for n in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7):
        house.complete(bidding[n], "think")
    run(house)

    for n, id in asked.items():
        assert house.engine.instances.variables(SYSTEM, id)["said"] == str(n)
        assert set(house.open_tasks(id)) == {"after"}
    assert house.rows("select count(*) from message") == [(0,)]


def test_a_payload_with_another_key_is_not_delivered_and_the_right_one_is(house: House) -> None:
    house.deploy(PAIR)
    id = house.start("buyer", variables={"number": 7}).id
    run(house)

    with pytest.raises(NoReceiver):
        house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 8}})
    with pytest.raises(NoReceiver):
        house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 8}}, instance_id=id)
    with pytest.raises(NoCorrelationKey):
        house.engine.messages.correlate(SYSTEM, "mB", {"said": "nothing"})
    (expected,) = house.engine.messages.expected(SYSTEM, id)
    with pytest.raises(WrongConversation):
        house.engine.messages.send(SYSTEM, id, expected.token, {"ref": {"no": 8}})

    assert house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}}) == id


def test_an_ambiguous_message_says_which_instances_match(house: House) -> None:
    house.deploy(PAIR)
    two = [house.start("buyer", variables={"number": 7}).id for _ in range(2)]

    with pytest.raises(AmbiguousReceiver) as refused:
        house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}})

    assert all(str(id) in refused.value.args[0] for id in two)


def test_a_message_without_a_value_for_its_key_stops_where_it_is_thrown(house: House) -> None:
    house.deploy(PAIR)
    id = house.start("buyer", variables={"number": None}).id

    (incident,) = house.engine.jobs.of_instance(SYSTEM, id)
    assert (incident.element, incident.kind) == ("ask", "expression")
    assert "tender" in incident.message
    house.engine.jobs.retry(OWNER, incident.id, {"number": 7})
    run(house)
    assert len(instances(house, "bidder")) == 1


def test_a_message_with_another_key_than_its_conversation_stops_where_it_is_thrown(house: House) -> None:
    buyer = BUYER.replace("after", "again").replace("</process>", "") + end("ask2", saying("{no: number + 1}", "mC")) + (
        '<sequenceFlow id="f" sourceRef="again" targetRef="ask2"/></process>')
    house.deploy(diagram(PROPERTY, buyer, BIDDER, collaboration(pool("a", "buyer"), pool("b", "bidder"), "ask~>asked", "reply~>answer", "ask2~>more", KEY)))
    id = house.start("buyer", variables={"number": 7}).id
    house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}})

    house.complete(id, "again")

    (incident,) = house.engine.jobs.of_instance(SYSTEM, id)
    assert incident.element == "ask2"


def test_a_reply_that_comes_before_anybody_waits_is_kept_for_the_one_with_its_key(house: House) -> None:
    late = BUYER.replace('sourceRef="ask" targetRef="answer"', 'sourceRef="ask" targetRef="first"').replace(
        "</process>", user("first") + '<sequenceFlow id="f" sourceRef="first" targetRef="answer"/></process>')
    house.deploy(diagram(PROPERTY, late, BIDDER, collaboration(pool("a", "buyer"), pool("b", "bidder"), "ask~>asked", "reply~>answer", KEY)))
    asked = [house.start("buyer", variables={"number": n}).id for n in range(3)]
    run(house)
    for id in reversed(instances(house, "bidder")):
        house.complete(id, "think")
    run(house)
    assert house.rows("select count(*) from message") == [(3,)]

    for id in asked:
        house.complete(id, "first")

    assert [house.engine.instances.variables(SYSTEM, id)["said"] for id in asked] == ["0", "1", "2"]
    assert house.rows("select count(*) from message") == [(0,)]
    assert house.rows("select count(*) from message_key") == [(0,)]


def test_a_key_of_several_properties_matches_only_as_a_whole(house: House) -> None:
    key = correlation_key("lot", "tender_no", "lot_no")
    lot = correlation_property("lot_no", mA="lot", mB="lot")
    buyer = BUYER.replace("{no: number}", "{no: number, lot: lot}")
    house.deploy(diagram(PROPERTY, lot, buyer, collaboration(pool("a", "buyer"), key)))
    one, two = (house.start("buyer", variables={"number": 7, "lot": lot}).id for lot in ("A", "B"))

    assert house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}, "lot": "B"}) == two
    with pytest.raises(NoCorrelationKey):
        house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}})
    assert house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}, "lot": "A"}) == one


def test_of_several_keys_one_is_enough_and_none_may_differ(house: House) -> None:
    keys = correlation_key("tender", "tender_no") + correlation_key("letter", "letter_no")
    letter = correlation_property("letter_no", mA="letter", mB="letter")
    buyer = BUYER.replace("{no: number}", "{no: number, letter: letter}")
    house.deploy(diagram(PROPERTY, letter, buyer, collaboration(pool("a", "buyer"), keys)))
    one, two, three = (house.start("buyer", variables={"number": n, "letter": letter}).id for n, letter in ((7, "x"), (7, "y"), (8, "z")))

    with pytest.raises(AmbiguousReceiver):
        house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}})
    with pytest.raises(NoReceiver):
        house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 8}, "letter": "x"})
    assert house.engine.messages.correlate(SYSTEM, "mB", {"letter": "y"}) == two
    assert house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}, "letter": "x"}) == one
    assert house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 8}}) == three


def test_a_key_from_the_context_follows_the_variables(house: House) -> None:
    waits = process(
        start(), receive("answer", "mB"), user("after"), "s>answer", "answer>after", correlation_subscription("tender", tender_no="number"), id="p")
    house.deploy(diagram(PROPERTY, waits, collaboration(pool("a", "p"), KEY)))
    id = house.start(variables={"number": 7}).id
    house.engine.instances.set_variables(OWNER, id, {"number": 9}, "renumbered")

    with pytest.raises(NoReceiver):
        house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}})
    assert house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 9}}) == id


def test_a_key_from_the_context_that_is_null_is_an_incident_at_the_element_that_waits(house: House) -> None:
    waits = process(
        start(), receive("answer", "mB"), user("after"), "s>answer", "answer>after", correlation_subscription("tender", tender_no="number"), id="p")
    house.deploy(diagram(PROPERTY, waits, collaboration(pool("a", "p"), KEY)))
    id = house.start().id

    (incident,) = house.engine.jobs.of_instance(SYSTEM, id)
    assert (incident.element, incident.kind) == ("answer", "expression")
    house.engine.jobs.retry(OWNER, incident.id, {"number": 7})

    assert house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 7}}) == id


def test_the_first_message_of_a_conversation_gives_the_waiting_instance_its_key(house: House) -> None:
    waits = process(
        start(), receive("first", "mA"), receive("second", "mC"), user("after"), "s>first", "first>second", "second>after", id="p")
    house.deploy(diagram(PROPERTY, waits, collaboration(pool("a", "p"), KEY)))
    id = house.start().id

    assert house.engine.messages.correlate(SYSTEM, "mA", {"no": 7}) == id
    with pytest.raises(NoReceiver):
        house.engine.messages.correlate(SYSTEM, "mC", {"no": 8})
    assert house.engine.messages.correlate(SYSTEM, "mC", {"no": 7}) == id


def test_each_instance_of_a_multi_instance_activity_has_a_conversation_of_its_own(house: House) -> None:
    asks = process(
        start(), sub("each", start("is"), throw("ask", saying("{no: bidder}", "mA")), receive("answer", "mB"), end("ie"), "is>ask",
                     "ask>answer", "answer>ie", inner=many(collection="bidders", item="bidder")),
        user("after"), "s>each", "each>after", id="buyer",
    )  # fmt: skip
    house.deploy(diagram(PROPERTY, asks, BIDDER, collaboration(pool("a", "buyer"), pool("b", "bidder"), "ask~>asked", "reply~>answer", KEY)))
    id = house.start("buyer", variables={"bidders": [1, 2, 3]}).id
    run(house)

    for bidding in reversed(instances(house, "bidder")):
        assert not house.open_tasks(id)
        house.complete(bidding, "think")
        run(house)

    assert set(house.open_tasks(id)) == {"after"}


def test_the_property_of_the_engine_comes_before_the_key_of_bpmn(house: House) -> None:
    own = process(
        start(), receive("answer", "mB", properties(correlationKey='= "mine"')), user("after"), "s>answer", "answer>after", id="p")
    house.deploy(diagram(PROPERTY, own, collaboration(pool("a", "p"), KEY)))
    id = house.start().id

    assert house.engine.messages.correlate(SYSTEM, "mB", {"ref": {"no": 1}}, correlation_key="mine") == id


# ------------------------------------------------------------------------------------------------------------------------ expiry
def test_a_thrown_message_that_nobody_ever_waits_for_is_told_when_its_time_is_over(house: House) -> None:
    house.deploy(diagram(process(start(), throw("t", event("message", "mC")), user("on"), "s>t", "t>on", id="q")))
    id = house.start("q", business_key="K").id
    run(house)
    house.moved.advance(days=31)
    run(house)

    assert [(e.name, e.correlation_key, e.leaves) for e in house.events(id, "MessageExpired")] == [("mC", "K", False)]
    (notice,) = [n for n in house.engine.people.notices(OWNER) if "mC" in n.subject]
    assert notice.instance_id == id
    assert house.rows("select count(*) from message") == [(0,)]
    assert set(house.open_tasks(id)) == {"on"}


def test_a_message_kept_for_a_program_is_told_when_its_time_is_over(house: House) -> None:
    house.engine.messages.correlate(SYSTEM, "mA", {"n": 1}, correlation_key="K", keep_for=timedelta(days=1))
    house.moved.advance(days=2)
    run(house)

    (notice,) = house.engine.people.notices(OWNER)
    assert "mA" in notice.subject


# ----------------------------------------------------------------------------------------------------------------------- signals
def test_one_signal_reaches_every_kind_of_catcher_once_and_starts_what_begins_with_it(house: House) -> None:
    signal = event("signal", "sA")
    catches = [
        process(start(), catch("c", signal), user("after"), "s>c", "c>after", id="k1"),
        process(start(), user("work"), boundary("b", "work", signal), user("after"), "s>work", "b>after", id="k2"),
        process(start(), user("work"), "s>work", event_sub("es", start("on", signal), user("after"), "on>after"), id="k3"),
        process(start(), events("g"), catch("c", signal), catch("d", event("message", "mB")), user("after"), "s>g", "g>c", "g>d", "c>after", "d>after", id="k4"),
    ]  # fmt: skip
    begins = process(start("s", signal), user("after"), "s>after", id="begins")
    thrower = process(start(), throw("t", signal), catch("own", signal), user("after"), "s>t", "t>own", "own>after", id="thrower")
    house.deploy(*(diagram(each) for each in (*catches, begins, thrower)))
    waiting = [house.start(f"k{n}").id for n in (1, 2, 3, 4)]

    id = house.start("thrower").id
    run(house)

    for each in waiting:
        assert set(house.open_tasks(each)) == {"after"}
        assert len(house.events(each, "SignalCaught")) == 1
    assert len(instances(house, "begins")) == 1
    assert not house.open_tasks(id)  # thrown before it waited, and a signal is not kept
    late = house.start("k1").id
    run(house)
    assert not house.open_tasks(late)


def test_a_signal_thrown_inside_reaches_the_thrower_once_and_the_others_once(house: House) -> None:
    signal = event("signal", "sA")
    noisy = process(
        start(), user("shout"), throw("t", signal), user("rest"), "s>shout", "shout>t", "t>rest",
        event_sub("es", start("on", signal, isInterrupting="false"), user("heard"), "on>heard"), id="p",
    )  # fmt: skip
    house.deploy(diagram(noisy))
    one, two = house.start().id, house.start().id

    house.complete(one, "shout")
    run(house)

    assert [len(house.events(id, "SignalCaught")) for id in (one, two)] == [1, 1]
