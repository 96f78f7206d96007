"""Why an event went as it did: computed once more from the history, with the values of then."""

from __future__ import annotations

from typing import Any

import pytest

from engine.access import HIDDEN
from engine.errors import AccessDenied, NotFound
from engine.events import DecisionEvaluated, ExpressionWasNull, FlowTaken
from engine.feel import Explained
from engine.model import SYSTEM, Actor, InstanceId
from tests.bpmn.build import call, diagram, end, exclusive, process, script, start, sub, user
from tests.bpmn.test_activities import DMN, rule_task
from tests.service.house import EVE, OWNER, House

AUDITOR = Actor(id="audit", groups=frozenset({"auditor"}))
FORM = b"""{"type":"default","id":"p.quote","components":[
 {"type":"number","key":"amount","label":"x","properties":{"priceField":"true"}}]}"""


def choice(condition: str, *before: str) -> bytes:
    """`a`, then `yes` when `condition` holds, else `no`; scripts after it change what it read."""
    return diagram(process(
        start(), user("a"), exclusive("g"), script("s1", "{amount: 0}"), user("yes"), user("no"), end(), end("e2"), *before,
        "s>a", "a>g", f"g>s1:{condition}", "s1>yes", "g>no!", "yes>e", "no>e2"))


def seq_of(house: House, id: InstanceId, kind: type, **facts: Any) -> int:
    [found] = [
        r.seq for r in house.history(id) if isinstance(r.event, kind) and all(getattr(r.event, k) == v for k, v in facts.items())]
    return found


def why(house: House, id: InstanceId, kind: type, actor: Actor = AUDITOR, **facts: Any) -> Explained:
    return house.engine.instances.explain(actor, id, seq_of(house, id, kind, **facts))


def values(part: Explained) -> dict[str, Any]:
    return {part.text: part.value} | {t: v for child in part.children for t, v in values(child).items()}


def test_a_flow_is_explained_with_the_values_of_its_instant(house: House) -> None:
    house.deploy(choice("rate * 2 > 10 and kind = \"x\""))
    id = house.start(variables={"rate": 1, "kind": "x"}).id
    house.complete(id, "a", rate=7)
    house.engine.instances.set_variables(SYSTEM, id, {"rate": 0, "kind": "y"}, "later")

    told = why(house, id, FlowTaken, flow="g_s1")

    assert told.value is True
    assert values(told) == {'rate * 2 > 10 and kind = "x"': True, "rate * 2 > 10": True, "rate * 2": 14, "rate": 7, 'kind = "x"': True, "kind": "x"}


def test_a_default_flow_is_explained_by_the_conditions_that_did_not_hold(house: House) -> None:
    house.deploy(choice("rate > 10"))
    id = house.start(variables={"rate": 1}).id
    house.complete(id, "a")

    told = why(house, id, FlowTaken, flow="g_no")

    assert told.value is True
    assert told.text == "not((rate > 10))"
    assert values(told)["rate"] == 1


def test_a_null_condition_is_explained(house: House) -> None:
    house.deploy(choice("missing > 10"))
    id = house.start().id
    house.complete(id, "a")

    told = why(house, id, ExpressionWasNull)

    assert told.value is None
    assert values(told) == {"missing > 10": None, "missing": None}


def test_a_decision_is_explained_by_its_rules_and_the_cell_that_failed(house: House) -> None:
    house.deploy(diagram(process(start(), rule_task(), user("z"), end(), "s>r", "r>z", "z>e")), files={"level.dmn": DMN})
    id = house.start(variables={"amount": 50}).id
    house.engine.instances.set_variables(SYSTEM, id, {"amount": 500}, "later")

    told = why(house, id, DecisionEvaluated, SYSTEM)

    [event] = house.events(id, "DecisionEvaluated")
    assert told.value == event.result == "low"
    assert event.rules == (2,)
    assert list(told.lines()) == [
        'level  =  "low"', "  amount  =  50", "  level 1  =  false", "    amount: > 100  =  false", "  level 2  =  true",
        "    amount: <= 100  =  true"]


def test_inside_a_sub_process_its_variables_are_seen_over_those_around(house: House) -> None:
    mapping = '<extensionElements><camunda:inputOutput><camunda:inputParameter name="rate">= 20</camunda:inputParameter></camunda:inputOutput></extensionElements>'
    inner = sub("sub", start("is"), exclusive("g"), user("yes"), user("no"), "is>g", "g>yes:rate > base", "g>no!", inner=mapping)
    house.deploy(diagram(process(start(), inner, end(), "s>sub", "sub>e")))
    id = house.start(variables={"rate": 1, "base": 10}).id

    told = why(house, id, FlowTaken, flow="g_yes")

    assert values(told) == {"rate > base": True, "rate": 20, "base": 10}


def test_a_called_process_sees_nothing_of_its_caller(house: House) -> None:
    given = '<extensionElements><camunda:in source="rate" target="other"/></extensionElements>'
    called = process(start(), exclusive("g"), user("yes"), user("no"), end(), end("e2"), "s>g", "g>yes:rate = null and other = 1", "g>no!", "yes>e", "no>e2", id="q")
    house.deploy(diagram(called), diagram(process(start(), call("c", "q", given), end(), "s>c", "c>e")))
    id = house.start(variables={"rate": 1}).id

    told = why(house, id, FlowTaken, flow="g_yes")

    assert (values(told)["rate"], values(told)["other"]) == (None, 1)


@pytest.mark.parametrize("condition", ["amount * 2 > 10", "amount + 1 > 3", "some x in [amount] satisfies x > 5", "sum([amount, 3]) > 4"])
def test_amounts_stay_hidden_in_a_flow(house: House, condition: str) -> None:
    house.deploy(choice(condition + ' and kind = "x"'), files={"quote.form": FORM})
    id = house.start(variables={"amount": 7654321, "kind": "x"}).id
    house.complete(id, "a")

    told = why(house, id, FlowTaken, flow="g_s1")

    assert told.value is True
    assert values(told)["amount"] == HIDDEN
    assert values(told)["kind"] == "x"
    assert "76543" not in repr(told)
    assert "15308642" not in repr(told)
    assert "7654321" in repr(why(house, id, FlowTaken, SYSTEM, flow="g_s1"))


def test_amounts_stay_hidden_in_a_decision(house: House) -> None:
    house.deploy(diagram(process(start(), rule_task(), user("z"), end(), "s>r", "r>z", "z>e")), files={"level.dmn": DMN, "quote.form": FORM})
    id = house.start(variables={"amount": 7654321}).id

    told = why(house, id, DecisionEvaluated)

    assert "7654321" not in repr(told)
    assert told.value == HIDDEN


def test_who_sees_no_variables_gets_no_explanation(house: House) -> None:
    house.deploy(choice("rate > 10"))
    id = house.start(variables={"rate": 11}).id
    house.complete(id, "a")
    seq = seq_of(house, id, FlowTaken, flow="g_s1")

    for actor in (EVE, Actor(id="boss", groups=frozenset({"company_leader"}))):
        with pytest.raises(AccessDenied):
            house.engine.instances.explain(actor, id, seq)
    assert house.engine.instances.explain(OWNER, id, seq).value is True


def test_where_nothing_was_computed_there_is_nothing_to_explain(house: House) -> None:
    house.deploy(choice("rate > 10"))
    id = house.start(variables={"rate": 11}).id
    house.complete(id, "a")
    seqs = {r.seq for r in house.history(id)} - {seq_of(house, id, FlowTaken, flow="g_s1")}

    for seq in (*seqs, 0, -1, max(seqs) + 1, 1 << 70):
        with pytest.raises(NotFound):
            house.engine.instances.explain(AUDITOR, id, seq)


def test_the_explanation_never_contradicts_the_record(house: House) -> None:
    """A counter of a loop is in no event: rather than a wrong tree there is none."""
    many = '<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>'
    loop = sub("sub", start("is"), exclusive("g"), end("yes"), end("no"), "is>g", "g>yes:nrOfInstances = 2", "g>no!", inner=many)
    house.deploy(diagram(process(start(), loop, end(), "s>sub", "sub>e")))
    id = house.start().id

    taken = [r.seq for r in house.history(id) if isinstance(r.event, FlowTaken) and r.event.flow == "g_yes"]
    assert len(taken) == 2
    for seq in taken:
        with pytest.raises(NotFound):
            house.engine.instances.explain(AUDITOR, id, seq)
