"""Messages reach one, signals all; what is thrown is never lost."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from engine.errors import AccessDenied, AmbiguousReceiver, InvalidValues, NoReceiver, TaskTooLate
from engine.model import SYSTEM, InstanceId
from tests.bpmn.build import (
    boundary,
    catch,
    diagram,
    end,
    event,
    event_sub,
    process,
    properties,
    receive,
    start,
    throw,
    timer,
    user,
)
from tests.service.house import ANN, EVE, FOR_ENGINEERS, OWNER, House

WAITS = diagram(
    process(
        start(), receive("r", "mA", properties(correlationKey="= number")), user("after"), end(), "s>r", "r>after", "after>e"
    )
)
#: Waits only once a task is done.
LATER = diagram(
    process(start(), user("first"), receive("r", "mA", properties(correlationKey="= number")), user("after"), end(), "s>first", "first>r", "r>after", "after>e")
)  # fmt: skip


def arrived(house: House, id: InstanceId) -> bool:
    return set(house.open_tasks(id)) == {"after"}


def test_a_message_reaches_the_one_instance_with_its_key(house: House) -> None:
    house.deploy(WAITS)
    one, two = (house.start(variables={"number": n}) for n in ("N-1", "N-2"))

    reached = house.engine.messages.correlate(SYSTEM, "mA", {"reply": "yes"}, correlation_key="N-2")

    assert reached == two.id
    assert (arrived(house, one.id), arrived(house, two.id)) == (False, True)
    assert house.engine.instances.variables(SYSTEM, two.id)["reply"] == "yes"
    assert house.rows("select count(*) from subscription") == [(1,)]


def test_a_message_for_nobody_or_for_several_is_refused(house: House) -> None:
    house.deploy(WAITS)
    two = [house.start(variables={"number": "same"}) for _ in range(2)]

    with pytest.raises(NoReceiver):
        house.engine.messages.correlate(SYSTEM, "mA", correlation_key="other")
    with pytest.raises(AmbiguousReceiver):
        house.engine.messages.correlate(SYSTEM, "mA", correlation_key="same")

    assert house.engine.messages.correlate(SYSTEM, "mA", instance_id=two[1].id) == two[1].id


def test_a_kept_message_is_delivered_in_the_command_that_begins_to_wait(house: House) -> None:
    house.deploy(LATER)
    assert house.engine.messages.correlate(SYSTEM, "mA", {"n": 1}, correlation_key="N-1", keep_for=timedelta(days=1)) is None
    started = house.start(variables={"number": "N-1"})

    house.complete(started.id, "first", by=SYSTEM)

    assert arrived(house, started.id)
    assert house.engine.instances.variables(SYSTEM, started.id)["n"] == 1
    assert house.rows("select count(*) from message") == [(0,)]


def test_a_kept_message_is_dropped_when_its_time_is_over(house: House) -> None:
    house.deploy(LATER)
    house.engine.messages.correlate(SYSTEM, "mA", correlation_key="N-1", keep_for=timedelta(days=1))
    house.moved.advance(days=2)
    started = house.start(variables={"number": "N-1"})

    house.complete(started.id, "first")
    house.engine.jobs.run_due()

    assert not arrived(house, started.id)
    assert house.rows("select count(*) from message") == [(0,)]


def test_kept_messages_are_delivered_one_to_each(house: House) -> None:
    house.deploy(LATER)
    for n in (1, 2):
        house.engine.messages.correlate(SYSTEM, "mA", {"n": n}, correlation_key="N", keep_for=timedelta(days=1))
    two = [house.start(variables={"number": "N"}) for _ in range(2)]

    for started in two:
        house.complete(started.id, "first")

    assert [house.engine.instances.variables(SYSTEM, i.id)["n"] for i in two] == [1, 2]


#: Waits twice for the same message, one wait after the other.
TWICE = diagram(
    process(
        start(), user("first"), receive("r", "mA", properties(correlationKey="= number")),
        receive("r2", "mA", properties(correlationKey="= number")), user("after"), end(), "s>first", "first>r", "r>r2", "r2>after", "after>e"
    )
)  # fmt: skip


def test_one_command_takes_each_kept_message_once_and_in_order(house: House) -> None:
    """A message taken in a command is deleted when it commits: until then it must not be given again, let alone endlessly."""
    house.deploy(TWICE)
    for n in (1, 2, 3):
        house.engine.messages.correlate(SYSTEM, "mA", {"n": n, f"had_{n}": True}, correlation_key="N", keep_for=timedelta(days=1))
    started = house.start(variables={"number": "N"})

    house.complete(started.id, "first", by=SYSTEM)

    assert arrived(house, started.id)
    found = house.engine.instances.variables(SYSTEM, started.id)
    assert (found["n"], found["had_1"], found["had_2"], "had_3" in found) == (2, True, True, False)
    assert house.rows("select count(*) from message") == [(1,)]


def test_one_kept_message_does_not_serve_two_waits(house: House) -> None:
    house.deploy(TWICE)
    house.engine.messages.correlate(SYSTEM, "mA", {"n": 1}, correlation_key="N", keep_for=timedelta(days=1))
    started = house.start(variables={"number": "N"})

    house.complete(started.id, "first", by=SYSTEM)

    assert not arrived(house, started.id)
    assert house.rows("select count(*) from message") == [(0,)]


def test_the_same_message_sent_twice_is_delivered_once(house: House) -> None:
    house.deploy(WAITS)
    one = house.start(variables={"number": "N"})
    first = house.engine.messages.correlate(SYSTEM, "mA", correlation_key="N", idempotency_key="k")
    house.start(variables={"number": "N"})

    again = house.engine.messages.correlate(SYSTEM, "mA", correlation_key="N", idempotency_key="k")

    assert first == again == one.id


def test_a_message_after_the_deadline_is_told_so(house: House) -> None:
    late = boundary("late", "r", timer("timeDuration", "PT1H"))
    xml = process(start(), receive("r", "mA"), late, user("after"), end(), "s>r", "r>e", "late>after", "after>e")
    house.deploy(diagram(xml))
    started = house.start(business_key="N")
    house.moved.advance(hours=2)

    with pytest.raises(TaskTooLate):
        house.engine.messages.correlate(SYSTEM, "mA", correlation_key="N")

    assert arrived(house, started.id)


def test_a_message_starts_the_process_that_begins_with_it(house: House) -> None:
    house.deploy(diagram(process(start("s", event("message", "mB")), user("after"), end(), "s>after", "after>e")))

    id = house.engine.messages.correlate(SYSTEM, "mB", {"tender": "T"}, correlation_key="B-1", idempotency_key="k")
    again = house.engine.messages.correlate(SYSTEM, "mB", {"tender": "T"}, correlation_key="B-1", idempotency_key="k")

    assert id is not None
    assert id == again
    assert arrived(house, id)
    assert house.engine.instances.get(SYSTEM, id).business_key == "B-1"
    assert house.engine.instances.variables(SYSTEM, id)["tender"] == "T"
    with pytest.raises(AccessDenied):
        house.engine.messages.correlate(EVE, "mB")


# --------------------------------------------------------------------------------------------------------------- thrown by instances
THROWS = diagram(
    process(
        start(),
        throw("t", event("message", "mA", properties(correlationKey="= to", payload="= {n: 7}"))),
        end(),
        "s>t",
        "t>e",
        id="q",
    )
)


def test_a_message_starts_the_process_whose_receive_task_waits_to_begin_it(house: House) -> None:
    house.deploy(diagram(process(receive("order", "mA", instantiate="true"), user("after"), end(), "order>after", "after>e")))

    id = house.engine.messages.correlate(SYSTEM, "mA", {"n": 7})

    assert id is not None
    assert arrived(house, id)
    assert house.engine.instances.variables(SYSTEM, id)["n"] == 7


def test_a_start_event_may_refer_to_what_it_waits_for(house: House) -> None:
    shared = '<signalEventDefinition id="told" signalRef="sA"/>'
    body = process(start("s", "<eventDefinitionRef>told</eventDefinitionRef>"), user("after"), end(), "s>after", "after>e")
    house.deploy(diagram(shared, body))

    assert house.engine.messages.broadcast(SYSTEM, "sA") == 1


def test_a_thrown_message_reaches_another_instance_after_the_commit(house: House) -> None:
    thrower = diagram(
        process(start(), throw("t", event("message", "mA"), ), end(), "s>t", "t>e", id="q")
    )  # fmt: skip
    house.deploy(WAITS, thrower)
    waiting = house.start(variables={"number": "N"})

    house.start("q", business_key="N")
    assert not arrived(house, waiting.id)
    house.engine.jobs.run_due()

    assert arrived(house, waiting.id)
    assert house.rows("select count(*) from job") == [(0,)]


def test_a_thrown_message_that_nobody_waits_for_yet_is_kept(house: House) -> None:
    thrower = diagram(process(start(), throw("t", event("message", "mA")), end(), "s>t", "t>e", id="q"))
    house.deploy(LATER, thrower)
    house.start("q", business_key="N")
    house.engine.jobs.run_due()
    waiting = house.start(variables={"number": "N"})

    house.complete(waiting.id, "first")

    assert arrived(house, waiting.id)


def test_a_thrown_message_that_two_wait_for_is_an_incident_and_delivered_when_retried(house: House) -> None:
    thrower = diagram(process(start(), throw("t", event("message", "mA")), end(), "s>t", "t>e", id="q"))
    house.deploy(WAITS, thrower)
    one, two = (house.start(variables={"number": "N"}) for _ in range(2))
    house.start("q", business_key="N")
    house.engine.jobs.run_due()
    (incident,) = house.engine.jobs.incidents(OWNER)
    assert incident.kind == "message"

    house.engine.instances.cancel(OWNER, one.id, "double")
    house.engine.jobs.retry(OWNER, incident.id)
    house.engine.jobs.run_due()

    assert arrived(house, two.id)


def test_a_signal_reaches_everybody_once_and_starts_what_begins_with_it(house: House) -> None:
    waits = diagram(process(start(), catch("c", event("signal", "sA")), user("after"), end(), "s>c", "c>after", "after>e"))
    begins = diagram(process(start("s", event("signal", "sA")), user("after"), end(), "s>after", "after>e", id="q"))
    house.deploy(waits, begins)
    three = [house.start() for _ in range(3)]

    reached = house.engine.messages.broadcast(OWNER, "sA")

    assert reached == 4
    assert all(arrived(house, i.id) for i in three)
    assert len(house.engine.instances.list(SYSTEM, key="q").items) == 1
    with pytest.raises(AccessDenied):
        house.engine.messages.broadcast(ANN, "sA")


def test_a_signal_may_be_meant_for_one_instance(house: House) -> None:
    house.deploy(
        diagram(process(start(), catch("c", event("signal", "sA")), user("after"), end(), "s>c", "c>after", "after>e")),
        diagram(process(start("s", event("signal", "sA")), user("after"), end(), "s>after", "after>e", id="q")),
    )
    one, two = house.start().id, house.start().id

    assert [(s.kind, s.name, s.element) for s in house.engine.messages.awaited(OWNER, two)] == [("signal", "sA", "c")]
    assert house.engine.messages.broadcast(SYSTEM, "sA", instance_id=two) == 1

    assert (arrived(house, one), arrived(house, two)) == (False, True)
    assert house.engine.instances.list(SYSTEM, key="q").items == ()
    with pytest.raises(AccessDenied):
        house.engine.messages.awaited(EVE, two)


def test_a_signal_whose_delivery_is_repeated_reaches_nobody_twice(house: House) -> None:
    both = process(
        start(),
        catch("c", event("signal", "sA")),
        catch("d", event("signal", "sA")),
        user("after"),
        end(),
        "s>c",
        "c>d",
        "d>after",
        "after>e",
    )
    house.deploy(diagram(both))
    started = house.start()

    first = house.engine.messages.signal(SYSTEM, "sA", {}, key="job 1")
    again = house.engine.messages.signal(SYSTEM, "sA", {}, key="job 1")

    assert (first, again) == (1, 0)
    assert not arrived(house, started.id)
    assert house.engine.messages.signal(SYSTEM, "sA", {}, key="job 2") == 1


def test_a_thrown_signal_reaches_other_instances(house: House) -> None:
    waits = diagram(process(start(), catch("c", event("signal", "sA")), user("after"), end(), "s>c", "c>after", "after>e"))
    house.deploy(waits, diagram(process(start(), throw("t", event("signal", "sA")), end(), "s>t", "t>e", id="q")))
    two = [house.start() for _ in range(2)]

    house.start("q")
    house.engine.jobs.run_due()

    assert all(arrived(house, i.id) for i in two)


# -------------------------------------------------------------------------------------------------------------------- by a person
def test_a_person_of_the_right_role_sends_a_message_by_its_form(house: House) -> None:
    who = properties(candidateGroups="presale_engineer", form="p.reply")
    xml = process(
        start(), user("x", **FOR_ENGINEERS), receive("r", "mA", who), user("after"), end(), "s>x", "x>r", "r>after", "after>e"
    )
    asked = {
        "id": "p.reply",
        "components": [
            {"type": "textfield", "key": "reply", "label": "答复", "validate": {"required": True}},
            {"type": "textfield", "key": "by", "label": "答复人", "properties": {"person": "true"}},
        ],
    }
    house.deploy(diagram(xml), files={"reply.form": json.dumps(asked).encode()})
    started = house.start()
    house.complete(started.id, "x", by=ANN)

    (expected,) = house.engine.messages.expected(ANN, started.id)
    form = house.engine.messages.form(ANN, started.id, expected.token)
    with pytest.raises(InvalidValues):
        house.engine.messages.send(ANN, started.id, expected.token, {"reply": ""})
    with pytest.raises(InvalidValues):
        house.engine.messages.send(ANN, started.id, expected.token, {"reply": "yes", "by": "nobody"})
    with pytest.raises(AccessDenied):
        house.engine.messages.send(EVE, started.id, expected.token, {"reply": "no"})
    house.engine.messages.send(ANN, started.id, expected.token, {"reply": "yes", "by": "伊"})

    assert form is not None
    assert arrived(house, started.id)
    values = house.engine.instances.variables(SYSTEM, started.id)
    assert (values["reply"], values["by"]) == ("yes", "eve")
    assert [r.actor for r in house.history(started.id) if type(r.event).__name__ == "MessageCorrelated"] == ["ann"]
    assert house.engine.messages.expected(ANN, started.id) == ()
    with pytest.raises(NoReceiver):
        house.engine.messages.send(ANN, started.id, expected.token, {"reply": "again"})


def test_what_only_machines_send_is_not_offered_to_people(house: House) -> None:
    house.deploy(WAITS)
    started = house.start(variables={"number": "N"})

    assert house.engine.messages.expected(OWNER, started.id) == ()
    assert [s.name for s in house.engine.messages.expected(SYSTEM, started.id)] == ["mA"]
    with pytest.raises(AccessDenied):
        house.engine.messages.correlate(OWNER, "mA", correlation_key="N")


# ----------------------------------------------------------------------------------------------------------------- from outside, as JSON
ASKED = json.dumps({
    "id": "p.reply",
    "components": [
        {"type": "datetime", "subtype": "datetime", "key": "closes_at", "label": "截标", "validate": {"required": True}},
        {"type": "number", "key": "amount", "label": "金额", "properties": {"rule": "amount > floor", "ruleMessage": "太低", "ruleMessageEn": "too low"}},
        {"type": "textfield", "key": "by", "label": "登记人", "properties": {"person": "true"}},
    ],
}).encode()  # fmt: skip
BY_FORM = properties(form="p.reply", correlationKey='= "K"')


def test_a_raw_payload_passes_the_form_of_the_event_that_catches_it(house: House) -> None:
    house.deploy(diagram(process(start(), receive("r", "mA", BY_FORM), user("after"), "s>r", "r>after")), files={"reply.form": ASKED})
    id = house.start(variables={"floor": 10}).id

    with pytest.raises(InvalidValues) as refused:
        house.engine.messages.correlate(SYSTEM, "mA", {"closes_at": "soon", "amount": 5, "other": 1}, correlation_key="K", raw=True)
    assert set(refused.value.problems) == {"closes_at", "amount", "other"}
    assert not arrived(house, id)

    raw = {"closes_at": "2026-12-01 09:30", "amount": 12.50}
    assert house.engine.messages.correlate(SYSTEM, "mA", raw, correlation_key="K", raw=True, idempotency_key="k") == id
    values = house.engine.instances.variables(SYSTEM, id)
    assert (values["closes_at"].isoformat(), values["amount"]) == ("2026-12-01T09:30:00+08:00", Decimal("12.5"))
    assert house.engine.messages.correlate(SYSTEM, "mA", {"wrong": 1}, correlation_key="K", raw=True, idempotency_key="k") == id


def test_a_typed_payload_stays_as_it_is(house: House) -> None:
    house.deploy(diagram(process(start(), receive("r", "mA", BY_FORM), user("after"), "s>r", "r>after")), files={"reply.form": ASKED})
    id = house.start(variables={"floor": 10}).id

    house.engine.messages.correlate(SYSTEM, "mA", {"closes_at": "soon", "other": 1}, correlation_key="K")

    assert house.engine.instances.variables(SYSTEM, id)["closes_at"] == "soon"


def test_a_raw_payload_that_starts_an_instance_passes_the_form_of_the_start_event(house: House) -> None:
    begins = process(
        start("other", properties(form="p.none") + event("message", "mC")), start("s", properties(form="p.reply") + event("message", "mB")),
        user("after"), end(), "s>after", "other>after", "after>e",
    )  # fmt: skip
    house.deploy(diagram(begins), files={"reply.form": ASKED, "none.form": b'{"id": "p.none", "components": []}'})

    with pytest.raises(InvalidValues) as refused:
        house.engine.messages.correlate(SYSTEM, "mB", {"amount": "x", "by": "nobody"}, raw=True)
    assert set(refused.value.problems) == {"closes_at", "amount", "by"}
    assert house.engine.instances.list(SYSTEM).items == ()

    id = house.engine.messages.correlate(SYSTEM, "mB", {"closes_at": "2026-12-01T01:30:00Z", "by": "ann"}, raw=True)
    assert id is not None
    assert house.engine.instances.variables(SYSTEM, id)["closes_at"] == datetime(2026, 12, 1, 1, 30, tzinfo=UTC)


def test_raw_values_without_a_form_are_exact_and_canonical_or_refused(house: House) -> None:
    house.deploy(WAITS)
    id = house.start(variables={"number": "N"}).id
    with pytest.raises(InvalidValues):
        house.engine.messages.correlate(SYSTEM, "mA", {"n": float("nan")}, correlation_key="N", raw=True)
    with pytest.raises(InvalidValues):
        house.engine.messages.correlate(SYSTEM, "mA", {"n": {"@": "nonsense"}}, correlation_key="N", raw=True)

    house.engine.messages.correlate(SYSTEM, "mA", {"n": 0.1, "at": {"@": "2026-12-01"}}, correlation_key="N", raw=True)

    values = house.engine.instances.variables(SYSTEM, id)
    assert (values["n"], values["at"]) == (Decimal("0.1"), date(2026, 12, 1))


def test_raw_values_have_names_whatever_a_name_looks_like(house: House) -> None:
    house.deploy(WAITS)
    for given in ({"#": "12"}, {"@": {"#": "2.50"}}, {"=": {"x": [1]}}):
        id = house.start(variables={"number": "N"}).id
        house.engine.messages.correlate(SYSTEM, "mA", given, correlation_key="N", raw=True)

        (name,) = given
        expected = {"#": "12", "@": Decimal("2.50"), "=": {"x": [1]}}[name]
        assert house.engine.instances.variables(SYSTEM, id)[name] == expected


def test_a_raw_message_cannot_be_kept(house: House) -> None:
    with pytest.raises(ValueError, match="form"):
        house.engine.messages.correlate(SYSTEM, "mA", {}, correlation_key="N", keep_for=timedelta(days=1), raw=True)


# ------------------------------------------------------------------------------------------------------------------- nothing is lost
def test_the_key_of_a_delivery_that_came_too_late_is_free_for_the_next_try(house: House) -> None:
    late = boundary("late", "r", timer("timeDuration", "PT1H"))
    again = receive("again", "mA")
    house.deploy(diagram(process(start(), receive("r", "mA"), late, again, user("after"), end(), "s>r", "r>e", "late>again", "again>after")))
    id = house.start(business_key="N").id
    house.moved.advance(hours=2)
    with pytest.raises(TaskTooLate):
        house.engine.messages.correlate(SYSTEM, "mA", correlation_key="N", idempotency_key="k")

    assert house.engine.messages.correlate(SYSTEM, "mA", correlation_key="N", idempotency_key="k") == id
    assert arrived(house, id)


def test_a_thrown_message_that_comes_too_late_for_one_reaches_the_next(house: House) -> None:
    late = boundary("late", "r", timer("timeDuration", "PT1H"))
    house.deploy(
        diagram(process(start(), receive("r", "mA"), late, receive("again", "mA"), user("after"), "s>r", "r>after", "late>again", "again>after")),
        diagram(process(start(), throw("t", event("message", "mA")), end(), "s>t", "t>e", id="q")),
    )
    id = house.start(business_key="N").id
    house.start("q", business_key="N")
    house.change("update job set held = 1 where kind = 'timer'")  # the deadline is found by the delivery, not by its own job
    house.moved.advance(hours=2)

    house.engine.jobs.run_due()
    house.moved.advance(minutes=5)
    house.engine.jobs.run_due()

    assert arrived(house, id)
    assert house.rows("select count(*) from job") == [(0,)]


def test_a_kept_message_that_comes_too_late_for_one_stays_for_the_next(house: House) -> None:
    late = boundary("late", "r", timer("timeDuration", "PT1H"))
    house.deploy(diagram(process(start(), receive("r", "mA"), late, user("chase"), end(), "s>r", "r>e", "late>chase")), LATER.replace(b'id="p"', b'id="q"'))
    first = house.start(business_key="N")
    house.change("insert into message (id, name, correlation_key, body, at, \"by\", expires_at) values (1, 'mA', 'N', ?, 0, 'x', ?)", b"{}", 1 << 60)
    house.change("update job set held = 1")
    house.moved.advance(hours=2)

    house.engine.jobs.run_due()

    assert set(house.open_tasks(first.id)) == {"chase"}
    assert house.rows("select count(*) from message") == [(1,)]
    second = house.start("q", variables={"number": "N"})
    house.complete(second.id, "first")
    assert arrived(house, second.id)


def test_a_signal_reaches_the_others_when_one_ends_by_its_overdue_timer(house: House) -> None:
    stop = boundary("stop", "c", timer("timeDuration", "PT1H"))
    waits = process(start(), receive("c", "mC"), stop, end("gone"), "s>c", "stop>gone", event_sub("es", start("on", event("signal", "sA")), user("after"), "on>after"))
    house.deploy(diagram(waits))
    ending = house.start()
    house.moved.advance(hours=2)
    fresh = house.start()

    assert house.engine.messages.broadcast(OWNER, "sA") == 1
    assert house.status(ending.id) == "completed"
    assert arrived(house, fresh.id)


OFFERED = diagram(
    process(
        start(), receive("r", "mA", properties(correlationKey="= number", candidateGroups="warehouse_keeper, shipper")), end(), "s>r",
        "r>e",
    )
)  # fmt: skip


def test_who_may_send_a_message_sees_the_instance_that_waits_for_it(house: House) -> None:
    house.deploy(OFFERED)
    id = house.start(variables={"number": "N-1"}).id

    assert house.engine.instances.get(EVE, id).id == id
    assert [i.id for i in house.engine.instances.list(EVE).items] == [id]
    with pytest.raises(AccessDenied):
        house.engine.instances.get(ANN, id)
    assert house.engine.instances.list(ANN).items == ()
    (expected,) = house.engine.messages.expected(EVE, id)
    house.engine.messages.send(EVE, id, expected.token, {})
    assert house.status(id) == "completed"
