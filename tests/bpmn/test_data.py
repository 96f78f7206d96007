"""Where variables live, who sees them, and what a write leaves in the log."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine import events as log
from engine.bpmn.data import Scope
from engine.model import CompleteJob, SetVariables, TokenId
from tests.bpmn.build import (
    boundary,
    call,
    diagram,
    end,
    event,
    event_sub,
    exclusive,
    inclusive,
    loop,
    many,
    mapping,
    parallel,
    process,
    properties,
    script,
    service,
    start,
    sub,
    throw,
    user,
)
from tests.bpmn.watched import KeptPlay as Play


def play(*processes: str, **variables: object) -> Play:
    return Play(diagram(*processes), "p", variables)


def mapped(*entries: str) -> str:
    return f"<extensionElements>{''.join(entries)}</extensionElements>"


def test_a_called_process_sees_only_what_is_mapped_and_gives_only_what_is_mapped() -> None:
    inner = mapped(
        '<camunda:in source="amount" target="value"/>', '<camunda:in sourceExpression="amount * 2" target="double"/>',
        '<camunda:out source="verdict" target="review"/>')
    p = play(
        process(start(), script("look", "{verdict: \"ok\", saw: secret}"), user("w"), "s>look", "look>w", id="q"),
        process(start(), call("k", "q", inner), user("z"), "s>k", "k>z"), amount=21, secret="x")

    [(_, token)] = p.first.user_tasks()
    assert p.variables(token) == {"value": 21, "double": 42, "verdict": "ok", "saw": None}
    p.do("w", local=1).check("z", review="ok", verdict=None, local=None, value=None)


def test_a_call_that_maps_in_alone_gives_nothing_out() -> None:
    p = play(
        process(start(), script("a", "{v: 5}"), "s>a", id="q"),
        process(start(), call("k", "q", mapped('<camunda:in source="v" target="v"/>')), user("z"), "s>k", "k>z"), v=1)
    p.check("z", v=1)


def test_the_outcome_of_a_called_process_reaches_its_caller() -> None:
    p = play(
        process(start(), end("won", properties(outcome="awarded")), "s>won", id="q"),
        process(start(), call("k", "q"), exclusive("g"), user("y"), user("z"), "s>k", "k>g", 'g>y: outcome = "awarded"', "g>z!"))
    p.check("y", outcome="awarded")


def test_loop_counters_do_not_leak() -> None:
    p = play(
        process(start(), script("d", "{seen: loopCounter}"), "s>d", id="q"),
        process(start(), call("k", "q", many("2")), script("l", "{turns: loopCounter}", loop(maximum="2")), user("z"), "s>k",
                "k>l", "l>z"))
    values = p.check("z").variables()
    assert values == {"turns": 2}


def test_instances_do_not_share_new_variables() -> None:
    p = play(
        process(start(), sub("lot", start("s1"), user("price"), user("check"), "s1>price", "price>check",
                             inner=many(collection="lots", item="lot_no")), user("z"), "s>lot", "lot>z"),
        lots=["A", "B"])
    p.do("price", price=1).do("price", price=2)
    tokens = [token for name, token in p.first.user_tasks() if name == "check"]
    assert [(p.variables(t)["lot_no"], p.variables(t)["price"]) for t in tokens] == [("A", 1), ("B", 2)]
    p.do("check", "check").check("z", price=None)


def test_a_variable_of_the_process_is_written_from_inside_an_instance() -> None:
    p = play(process(start(), user("a", many("2")), user("z"), "s>a", "a>z"), total=0)
    p.do("a", total=5).do("a", total=7).check("z", total=7)


def test_inputs_of_a_task_are_local_and_outputs_are_mapped() -> None:
    p = play(
        process(start(), service("a", "work", mapping({"q": "amount + 1"}, {"found": "answer.value", "fixed": '"x"'})), user("z"),
                "s>a", "a>z"),
        amount=4)
    [job] = p.first.jobs.values()
    assert job.values == {"q": 5}

    p.work("a", answer={"value": 9}).check("z", found=9, fixed="x", answer=None, q=None)


def test_a_user_task_sees_its_inputs_and_its_values_go_out() -> None:
    p = play(process(start(), user("a", mapping({"limit": "amount * 2"})), user("z"), "s>a", "a>z"), amount=4)
    [(_, token)] = p.first.user_tasks()
    assert p.variables(token) == {"amount": 4, "limit": 8}

    p.do("a", limit=1, ok=True).check("z", limit=1, ok=True)


def test_values_keep_their_kinds_over_save_and_reload() -> None:
    values = {"price": Decimal("12.50"), "count": 3, "ok": True, "list": [1, {"a": None}], "text": "标书\n二"}
    p = play(process(start(), user("a"), user("b"), "s>a", "a>b"), **values).do("a")

    assert p.variables() == values
    assert isinstance(p.variables()["price"], Decimal)


def test_each_batch_is_recorded_once_with_what_changed() -> None:
    p = play(process(start(), user("a"), user("b"), "s>a", "a>b"), x=1, y=1).do("a", x=1, y=2, z=3)

    [change] = p.seen(log.VariablesChanged)
    assert (change.names, dict(change.values), change.scope, change.cause) == (("y", "z"), {"y": 2, "z": 3}, None, "a")


def test_branches_that_wrote_different_values_conflict_at_their_join() -> None:
    xml = process(
        start(), parallel("f"), user("a"), user("b"), parallel("j"), user("z"), "s>f", "f>a", "f>b", "a>j", "b>j", "j>z")
    p = play(xml).do("a", price=1, same=5).do("b", price=2, same=5)

    assert [(e.element, e.name) for e in p.seen(log.WriteConflicted)] == [("j", "price")]
    assert p.check("z").variables()["price"] == 2


def test_writes_before_a_fork_or_after_its_join_do_not_conflict() -> None:
    p = play(process(
        start(), user("before"), parallel("f"), user("a"), user("b"), parallel("j"), user("after"), parallel("f2"), user("c"),
        user("d"), parallel("j2"), user("z"), "s>before", "before>f", "f>a", "f>b", "a>j", "b>j", "j>after", "after>f2", "f2>c",
        "f2>d", "c>j2", "d>j2", "j2>z"))
    p.do("before", x=0).do("a", x=1).do("b").do("after", x=2).do("c").do("d", x=3).check("z")

    assert not p.seen(log.WriteConflicted)


def test_a_write_in_a_nested_fork_conflicts_at_the_outer_join() -> None:
    p = play(process(
        start(), parallel("f"), parallel("f2"), user("a1"), user("a2"), parallel("j2"), sub("b", start("s1"), user("b1"), "s1>b1"),
        parallel("j"), user("z"), "s>f", "f>f2", "f2>a1", "f2>a2", "a1>j2", "a2>j2", "j2>j", "f>b", "b>j", "j>z"))
    p.do("a1", x=1).do("a2").do("b1", x=2).check("z")

    assert [(e.element, e.name) for e in p.seen(log.WriteConflicted)] == [("j", "x")]


@pytest.mark.parametrize("last", ["inner", "outer"])
def test_a_write_behind_an_inner_fork_that_is_still_open_conflicts_at_the_outer_join(last: str) -> None:
    p = play(process(
        start(), parallel("f"), parallel("f2"), user("a1"), user("a2"), user("b"), parallel("j"), user("z"), "s>f", "f>f2", "f2>a1",
        "f2>a2", "f>b", "a1>j", "a2>j", "b>j", "j>z"))
    if last == "outer":
        p.do("a1", x=1).do("a2").do("b", x=2)
    else:
        p.do("b", x=2).do("a2").do("a1", x=1)
    p.check("z")

    assert [(e.element, e.name) for e in p.seen(log.WriteConflicted)] == [("j", "x")]


def test_branches_that_end_with_the_same_value_do_not_conflict() -> None:
    p = play(process(
        start(), parallel("f"), user("a"), user("b"), user("b2"), parallel("j"), user("z"), "s>f", "f>a", "f>b", "b>b2", "a>j",
        "b2>j", "j>z"))
    p.do("a", x=1).do("b", x=2).do("b2", x=1).check("z", x=1)

    assert not p.seen(log.WriteConflicted)


def test_an_inclusive_join_reports_conflicts_too() -> None:
    p = play(process(
        start(), inclusive("f"), user("a"), user("b"), inclusive("j"), user("z"), "s>f", "f>a: true", "f>b: true", "a>j", "b>j",
        "j>z"))
    p.do("a", x=1).do("b", x=2).check("z")

    assert [e.name for e in p.seen(log.WriteConflicted)] == ["x"]


def test_a_payload_becomes_variables_of_the_run_that_catches_it() -> None:
    xml = process(
        start(), user("a"), "s>a",
        event_sub("q", start("s1", event("message", "mA"), isInterrupting="false"), user("h"), "s1>h"))
    p = play(xml, deadline="old").message("mA", question="q1", deadline="new").message("mA", question="q2")

    tokens = [token for name, token in p.first.user_tasks() if name == "h"]
    assert [p.variables(t)["question"] for t in tokens] == ["q1", "q2"]
    assert p.variables() == {"deadline": "new"}


def test_a_thrown_message_carries_its_payload_to_a_catcher_inside() -> None:
    p = play(process(
        start(), parallel("f"), element_catch("c"), user("y"), throw("t", properties(payload="{offer: 7}") + event("message", "mA")),
        "s>f", "f>c", "c>y", "f>w", user("w"), "w>t"))
    p.do("w").check("y", offer=7)

    [thrown] = p.seen(log.MessageThrown)
    assert thrown.inside
    assert dict(thrown.values) == {"offer": 7}
    assert p.first.step
    assert not p.first.step.thrown


def element_catch(id: str, inner: str = "") -> str:
    from tests.bpmn.build import catch

    return catch(id, inner + event("message", "mA"))


def test_correlation_keys_choose_among_catchers_inside() -> None:
    p = play(
        process(
            start(), parallel("f"), element_catch("c1", properties(correlationKey='"A"')),
            element_catch("c2", properties(correlationKey='"B"')), user("y1"), user("y2"), user("w"),
            throw("t", properties(correlationKey="lot") + event("message", "mA")), "s>f", "f>c1", "f>c2", "f>w", "c1>y1",
            "c2>y2", "w>t"),
        lot="B").do("w")

    assert p.open == "c1 y2"
    assert p.first.step
    assert [s.correlation_key for s in p.first.step.subscriptions] == ["A"]


def test_without_a_key_the_business_key_correlates() -> None:
    p = Play(diagram(process(start(), element_catch("c"), "s>c")), business_key="PSM-7")

    assert p.first.step
    assert [(s.name, s.correlation_key) for s in p.first.step.subscriptions] == [("mA", "PSM-7")]


def test_a_person_mends_data_in_one_scope() -> None:
    p = play(
        process(start(), user("w"), "s>w", id="q"),
        process(start(), call("k", "q", mapped('<camunda:in source="a" target="b"/>')), "s>k"), a=1)
    scope = next(e.token for e in p.seen(log.ActivityStarted) if e.element == "k")

    p.send(p.first, SetVariables(values={"b": 5}, scope=TokenId(scope)))
    assert p.variables(scope) == {"b": 5}
    assert p.variables() == {"a": 1}


def test_errors_give_their_code_and_message_to_variables() -> None:
    caught = '<errorEventDefinition errorRef="eA" camunda:errorCodeVariable="code" camunda:errorMessageVariable="text"/>'
    p = play(process(start(), service("a"), boundary("b", "a", caught), user("y"), "s>a", "b>y"))
    p.fail("a", "eA").check("y", code="eA", text=None)


def test_a_handlers_values_become_variables_without_a_mapping() -> None:
    p = play(process(start(), service("a"), user("z"), "s>a", "a>z"))
    [job] = p.first.jobs.values()
    p.send(p.first, CompleteJob(token=job.token, values={"number": "T-1"}))

    p.check("z", number="T-1")


def stored(scope: Scope) -> Scope:
    """The same variables, saved and loaded."""
    loaded = Scope(scope.id, None, keeps_new=True)
    loaded.load(*scope.dump())
    return loaded


def test_a_list_of_single_items_that_is_written_as_a_whole_is_stored_as_it_was_written() -> None:
    scope = Scope(0, None, keeps_new=True)
    scope.put_items("results", [None, None, None])
    scope.put({"results": ["x", "y"]})

    assert stored(scope)["results"] == ["x", "y"]


def test_a_list_of_single_items_that_was_read_is_stored_as_it_was_written_as_a_whole() -> None:
    scope = Scope(0, None, keeps_new=True)
    scope.put_items("results", [None, None, None])
    assert scope["results"] == [None, None, None]
    scope.put({"results": ["x", "y"]})

    assert stored(scope)["results"] == ["x", "y"]


def test_an_item_that_is_set_is_seen_at_once_and_after_a_reload() -> None:
    scope = Scope(0, None, keeps_new=True)
    scope.put_items("results", [None, None])
    assert scope["results"] == [None, None]
    scope.put_item("results", 1, "y")

    assert scope["results"] == stored(scope)["results"] == [None, "y"]
