"""Data as the standard draws it (sections 10.4 and 13): data objects, properties, inputs, outputs and what associations move."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from engine import events as log
from engine.bpmn.check import CheckContext, check
from tests.bpmn.build import (
    boundary,
    call,
    catch,
    diagram,
    element,
    end,
    event,
    event_sub,
    loop,
    many,
    parallel,
    process,
    receive,
    script,
    service,
    start,
    sub,
    task,
    throw,
    timer,
    user,
)
from tests.bpmn.play import Play


def play(*processes: str, **variables: object) -> Play:
    return Play(diagram(*processes), "p", variables)


def line(*parts: str, beside: str = "", **variables: object) -> Play:
    """start > a > z, with `beside` in the process."""
    return play(process(start(), *((beside,) if beside else ()), *parts, user("z"), "s>a", "a>z"), **variables)


def obj(id: str, name: str = "", *, many: bool = False) -> str:
    return f'<dataObject id="{id}"' + (f' name="{name}"' if name else "") + (' isCollection="true"' if many else "") + "/>"


def io(inputs: str = "", outputs: str = "") -> str:
    """`inputs`, `outputs`: names, separated by blanks; the id of a data input ``x`` is ``in_x``, of an output ``out_x``."""
    def made(kind: str, word: str, names: str) -> str:
        items = "".join(f'<data{kind} id="{word}_{name}" name="{name}"/>' for name in names.split())
        refs = "".join(f"<data{kind}Refs>{word}_{name}</data{kind}Refs>" for name in names.split())
        return items, f"<{kind.lower()}Set>{refs}</{kind.lower()}Set>"

    (a, b), (c, d) = made("Input", "in", inputs), made("Output", "out", outputs)
    return f"<ioSpecification>{a}{c}{b}{d}</ioSpecification>"


def _association(kind: str, sources: str, target: str, transformation: str, assignments: dict[str, str]) -> str:
    words = "".join(f"<sourceRef>{each}</sourceRef>" for each in sources.split()) + f"<targetRef>{target}</targetRef>"
    if transformation:
        words += f"<transformation>{escape(transformation)}</transformation>"
    words += "".join(
        f"<assignment><from>{escape(value)}</from><to>{escape(to)}</to></assignment>" for to, value in assignments.items())
    return f"<data{kind}Association>{words}</data{kind}Association>"


def goes_in(sources: str, target: str, transformation: str = "", **assignments: str) -> str:
    return _association("Input", sources, target, transformation, assignments)


def goes_out(sources: str, target: str, transformation: str = "", **assignments: str) -> str:
    return _association("Output", sources, target, transformation, assignments)


# ------------------------------------------------------------------------------------------------------------ data objects
def test_a_data_object_is_a_variable_of_the_process_null_at_first() -> None:
    p = line(user("a"), beside=obj("o1", "bid") + obj("o2") + obj("o3", "lots", many=True))
    assert p.variables() == {"bid": None, "o2": None, "lots": []}

    p.do("a", bid=5).check("z", bid=5)
    assert line(user("a"), beside=obj("o1", "bid"), bid=7).variables() == {"bid": 7}


def test_references_in_whatever_state_are_the_same_variable() -> None:
    references = (
        '<dataObjectReference id="r1" name="标书 [草稿]" dataObjectRef="o"/>'
        '<dataObjectReference id="r2" name="标书 [已提交]" dataObjectRef="o"/>')
    p = line(
        script("a", "{out: 3}", io("", "out") + goes_out("out_out", "r1")), script("b", "{seen: n * 2}", io("n") + goes_in("r2", "in_n")),
        "a>b", beside=obj("o") + references)

    assert p.variables() == {"标书": 3, "seen": 6}


def test_a_data_object_of_a_sub_process_is_local_to_it_and_new_each_time() -> None:
    p = line(
        sub("a", obj("o", "bid"), start("s1"), script("t", "{before: append(before, bid), bid: loopCounter}"), user("u"), "s1>t",
            "t>u", inner=loop(maximum="2")), bid="outer", before=[])
    [(_, token)] = p.first.user_tasks()
    assert p.variables(token)["bid"] == 1

    p.do("u", "u").check("z", bid="outer", before=[None, None])


def test_each_instance_in_an_instance_has_its_own_data_object() -> None:
    p = line(sub(
        "a", start("s1"),
        sub("inner", obj("o", "bid"), start("s2"), user("u"), user("v"), "s2>u", "u>v", inner=many("2")), "s1>inner",
        inner=many("2")), bid=0)
    p.do("u", bid=1).do("u", bid=2).do("u", bid=3).do("u", bid=4)

    assert sorted(p.variables(token)["bid"] for _, token in p.first.user_tasks()) == [1, 2, 3, 4]
    p.do("v", "v", "v", "v").check("z", bid=0)
    assert not p.seen(log.WriteConflicted)


def test_branches_that_write_one_data_object_differently_conflict() -> None:
    out = io("", "r") + goes_out("out_r", "o")
    p = play(process(
        start(), obj("o", "bid"), parallel("f"), user("a", out), user("b", out), parallel("j"), user("z"), "s>f", "f>a", "f>b",
        "a>j", "b>j", "j>z"))
    p.do("a", r=1).do("b", r=2).check("z", bid=2, r=None)

    assert [(e.element, e.name) for e in p.seen(log.WriteConflicted)] == [("j", "bid")]


def test_instances_that_write_one_data_object_differently_conflict() -> None:
    p = line(user("a", io("", "r") + goes_out("out_r", "o") + many("2")), beside=obj("o", "bid"))
    p.do("a", r=1).do("a", r=2).check("z", bid=2)

    assert [(e.element, e.name) for e in p.seen(log.WriteConflicted)] == [("a", "bid")]


# ------------------------------------------------------------------------------------------------------------ associations
def test_an_input_is_local_and_an_output_goes_where_its_association_leads() -> None:
    p = line(
        script("a", "{double: n * 2, note: n}", io("n", "double") + goes_in("o1", "in_n") + goes_out("out_double", "o2")),
        beside=obj("o1", "amount") + obj("o2", "total"), amount=4)

    assert p.variables() == {"amount": 4, "total": 8, "note": 4}


def test_a_transformation_computes_what_is_moved_from_several_sources() -> None:
    p = line(
        script("a", "{r: sum}", io("sum", "r") + goes_in("o1 o2", "in_sum", "a + b") + goes_out("out_r", "o3", "r * 10")),
        beside=obj("o1", "a") + obj("o2", "b") + obj("o3", "c"), a=1, b=2)

    p.check("z", c=30)


def test_assignments_write_entries_and_leave_the_rest() -> None:
    p = line(
        script("a", "{price: offer.price + 1}", io("offer", "price")
               + goes_in("o1", "in_offer", **{"in_offer.price": "limit * 2", "offer.kind": '"x"'})
               + goes_out("out_price", "o1", **{"o1.price": "price", "o1.log.by": "offer.kind"})),
        beside=obj("o1", "bid"), bid={"name": "T-1", "price": 0}, limit=5)

    p.check("z", bid={"name": "T-1", "price": 11, "log": {"by": "x"}}, offer=None)


def test_an_assignment_into_what_is_no_context_is_an_incident() -> None:
    p = line(user("a", io("", "r") + goes_out("out_r", "o1", **{"bid.price": "r"})), beside=obj("o1", "bid"), bid=5)
    p.do("a", r=1)
    assert p.incidents == [("a", "expression")]

    p.set(bid={}).retry("a").check("z", bid={"price": 1})


def test_an_output_that_was_not_given_moves_nothing() -> None:
    line(user("a", io("", "r") + goes_out("out_r", "o")), beside=obj("o", "bid"), bid=5, r=9).do("a", other=1).check("z", bid=5)


def test_a_property_of_a_task_is_its_own() -> None:
    p = line(
        user("a", '<property id="p1" name="draft"/>' + goes_in("o", "p1", "amount + 1") + goes_out("p1", "o")),
        beside=obj("o", "amount"), amount=1)
    [(_, token)] = p.first.user_tasks()
    assert p.variables(token) == {"amount": 1, "draft": 2}

    p.do("a", draft=7).check("z", amount=7, draft=None)


def test_a_property_of_a_sub_process_takes_an_input_and_gives_an_output() -> None:
    p = line(
        sub("a", start("s1"), user("u"), "s1>u",
            inner='<property id="p1" name="draft"/>' + goes_in("o", "p1") + goes_out("p1", "o", "draft * 2")),
        beside=obj("o", "amount"), amount=3)
    [(_, token)] = p.first.user_tasks()
    assert p.variables(token)["draft"] == 3

    p.do("u", draft=5).check("z", amount=10, draft=None)


def test_a_job_is_given_its_data_inputs() -> None:
    p = line(
        service("a", "work", io("n", "r") + goes_in("o", "in_n") + goes_out("out_r", "o")), beside=obj("o", "amount"), amount=3)
    [job] = p.first.jobs.values()
    assert job.values == {"n": 3}

    p.work("a", r=4, more=1).check("z", amount=4, more=1, r=None)


def test_a_task_without_work_moves_what_is_assigned() -> None:
    line(task("a", io("n") + goes_in("o", "in_n") + goes_out("", "o", "n + 1").replace("<sourceRef></sourceRef>", "")),
         beside=obj("o", "amount"), amount=3).check("z", amount=4)


def test_an_interrupted_activity_moves_nothing_out() -> None:
    p = play(process(
        start(), obj("o", "amount"), user("a", io("", "r") + goes_out("out_r", "o", "99")),
        boundary("b", "a", timer("timeDuration", "PT1H")), user("y"), "s>a", "b>y"), amount=3)

    p.wait(3601).check("y", amount=3)


def test_each_turn_of_a_loop_reads_and_writes_anew() -> None:
    line(
        script("a", "{r: n + 1}", io("n", "r") + goes_in("o", "in_n") + goes_out("out_r", "o") + loop(maximum="3")),
        beside=obj("o", "amount"), amount=0).check("z", amount=3)


def test_an_association_that_only_illustrates_moves_nothing() -> None:
    drawn = (
        '<property id="pl" name="__targetRef_placeholder"/>' + goes_in("r", "pl") + goes_in("d", "pl")
        + "<dataOutputAssociation><targetRef>r</targetRef></dataOutputAssociation>")
    p = line(
        user("a", drawn), beside='<dataObjectReference id="r" name="bid" dataObjectRef="o"/><dataStoreReference id="d"/>' + obj("o"))

    p.do("a", bid=1).check("z", bid=1)
    assert p.variables() == {"bid": 1}


# ------------------------------------------------------------------------------------------------------------------ events
def test_data_go_with_a_message_and_are_taken_from_it() -> None:
    sent = '<dataInput id="di" name="offer"/>' + goes_in("o", "di", "amount + 1")
    taken = '<dataOutput id="do" name="answer"/>' + goes_out("do", "o2")
    p = play(process(
        start(), obj("o", "amount"), obj("o2", "got"), parallel("f"), catch("c", taken + event("message", "mA")), user("y"), user("w"),
        throw("t", sent + event("message", "mA")), "s>f", "f>c", "c>y", "f>w", "w>t"), amount=1)

    p.do("w").check("y", got=2)
    assert p.variables() == {"amount": 1, "got": 2}
    [thrown] = p.seen(log.MessageThrown)
    assert dict(thrown.values) == {"offer": 2}


def test_data_go_with_a_signal_to_other_instances() -> None:
    sent = '<dataInput id="di" name="offer"/>' + goes_in("o", "di")
    p = play(process(start(), obj("o", "amount"), end("e", sent + event("signal", "sA")), "s>e"), amount=4)

    assert p.first.step
    assert [dict(thrown.payload) for thrown in p.first.step.thrown] == [{"offer": 4}]


@pytest.mark.parametrize(("payload", "got"), [
    ({"answer": 1, "more": 2}, {"got": 1, "more": 2}), ({"x": 1}, {"got": 1}), ({"x": 1, "y": 2}, {"got": {"x": 1, "y": 2}}),
    ({}, {"got": None})])
def test_a_data_output_takes_its_entry_the_only_entry_or_the_whole_payload(payload: dict[str, int], got: dict[str, object]) -> None:
    taken = io("", "answer") + goes_out("out_answer", "o")
    p = line(receive("a", "mA", taken), beside=obj("o", "got"))

    assert p.message("mA", **payload).variables() == got


def test_a_boundary_event_and_an_event_sub_process_take_data() -> None:
    p = play(process(
        start(), obj("o", "got"), user("a"),
        boundary("b", "a", '<dataOutput id="d1" name="n"/>' + goes_out("d1", "o", "n * 2") + event("message", "mA"),
                 cancelActivity="false"), user("y"), "s>a", "b>y",
        event_sub("q", start("s1", '<dataOutput id="d2" name="m"/>' + goes_out("d2", "o") + event("message", "mB"),
                             isInterrupting="false"), user("h"), "s1>h")))

    p.message("mA", n=4).check("a y", got=8).message("mB", m=5).check("a h y", got=5)


def test_a_start_event_moves_what_started_the_process() -> None:
    p = Play(diagram(process(
        start("s", '<dataOutput id="d" name="offer"/>' + goes_out("d", "o") + event("message", "mA")), obj("o", "got"), user("z"),
        "s>z")), None)
    p.start("p", {"offer": 3}, start_event="s")

    p.check("z", got=3)


def test_start_events_that_wait_in_a_running_process_take_the_payload() -> None:
    taken = '<dataOutput id="d" name="offer"/>' + goes_out("d", "o")
    p = play(process(
        start("s1", taken + event("message", "mA")), start("s2", event("message", "mB")), obj("o", "got"), user("y"), user("z"), "s1>y",
        "s2>z"))
    p.message("mA", offer=3, more=4).check("y", got=3, more=4, offer=None)

    play(process(start("s1", event("message", "mA")), start("s2", event("message", "mB")), user("y"), user("z"), "s1>y", "s2>z")).message(
        "mB", more=4).check("z", more=4)


def test_what_runs_passes_the_checker() -> None:
    carried = '<dataInput id="di" name="offer"/>' + goes_in("o1", "di") + "<inputSet><dataInputRefs>di</dataInputRefs></inputSet>"
    taken = '<dataOutput id="do" name="answer"/>' + goes_out("do", "o2") + "<outputSet><dataOutputRefs>do</dataOutputRefs></outputSet>"
    xml = diagram(process(
        start(), obj("o1", "amount"), obj("o2", "total"),
        script("a", "{double: n * 2}", io("n", "double") + goes_in("o1", "in_n") + goes_out("out_double", "o2", "double + total")),
        throw("t", carried + event("signal", "sA")), catch("c", taken + event("message", "mA")), end(), "s>a", "a>t", "t>c", "c>e"))

    assert check({"a.bpmn": xml}, CheckContext(form_names={}, decision_names={}, job_outputs={})) == ()


def test_a_signal_of_a_multi_instance_activity_carries_its_counters() -> None:
    loops = (
        '<multiInstanceLoopCharacteristics behavior="None" noneBehaviorEventRef="done"><loopCardinality>2</loopCardinality>'
        "</multiInstanceLoopCharacteristics>")
    taken = '<dataOutput id="d" name="nrOfCompletedInstances"/>' + goes_out("d", "o")
    p = Play(diagram('<signalEventDefinition id="done" signalRef="sA"/>', process(
        start(), obj("o", "count"), user("a", loops), boundary("b", "a", taken + event("signal", "sA")), user("z"), "s>a", "a>z",
        end(), "b>e")))

    p.do("a").check("a", count=1).do("a").check("z", count=2)
    assert p.variables() == {"count": 2}


# --------------------------------------------------------------------------------------------------------- called processes
def test_a_call_activity_maps_its_data_by_name_or_by_position() -> None:
    callee = process(start(), io("price vat", "gross"), script("t", "{gross: price + vat, secret: amount}"), user("u"), "s>t", "t>u", id="q")
    for inputs, outputs in (("vat price", "gross"), ("first second", "result")):
        first, second = inputs.split()
        xml = diagram(callee.replace("in_", "qin_").replace("out_", "qout_"), process(
            start(), obj("o1", "amount"), obj("o2", "total"),
            call("a", "q", io(inputs, outputs) + goes_in("o1", f"in_{first}") + goes_in("o1", f"in_{second}", "amount * 10")
                 + goes_out(f"out_{outputs}", "o2")),
            user("z"), "s>a", "a>z"))
        p = Play(xml, "p", {"amount": 1})
        [(_, token)] = p.first.user_tasks()
        expected = {"vat": 1, "price": 10} if first == "vat" else {"price": 1, "vat": 10}
        assert p.variables(token) == {**expected, "gross": 11, "secret": None}

        p.do("u").check("z", total=11)
        assert p.variables() == {"amount": 1, "total": 11}


def test_inputs_and_outputs_of_a_process_are_its_variables() -> None:
    p = play(process(start(), io("price", "gross"), user("a"), "s>a"), price=5)

    assert p.variables() == {"price": 5, "gross": None}


def test_a_global_task_takes_and_gives_data() -> None:
    callee = element(
        "globalScriptTask", "q", "<ioSpecification>" + '<dataInput id="qi" name="n"/><dataOutput id="qo" name="r"/>'
        "<inputSet><dataInputRefs>qi</dataInputRefs></inputSet><outputSet><dataOutputRefs>qo</dataOutputRefs></outputSet>"
        "</ioSpecification><script>{r: n * 2}</script>", scriptFormat="feel")
    p = play(callee, process(
        start(), obj("o", "amount"), call("a", "q", io("n", "r") + goes_in("o", "in_n") + goes_out("out_r", "o")), user("z"), "s>a",
        "a>z"), amount=4)

    p.check("z", amount=8)


# ----------------------------------------------------------------------------------------------------------- multi-instance
LOOP = (
    '<multiInstanceLoopCharacteristics isSequential="{}"><loopDataInputRef>in_rows</loopDataInputRef>'
    "<loopDataOutputRef>out_sums</loopDataOutputRef>"
    '<inputDataItem id="item" name="row"/><outputDataItem id="result" name="sum"/></multiInstanceLoopCharacteristics>')


@pytest.mark.parametrize("one_by_one", ["true", "false"])
def test_instances_take_items_of_a_data_input_and_fill_a_data_output(one_by_one: str) -> None:
    inner = (
        io("rows n", "sums r") + goes_in("o1", "in_rows") + goes_in("item", "in_n", "row + 1") + goes_out("out_sums", "o2")
        + goes_out("out_r", "result"))
    p = line(
        user("a", inner + LOOP.format(one_by_one)), beside=obj("o1", "lots", many=True) + obj("o2", "totals", many=True),
        lots=[10, 20], sum="outer")
    tokens = [token for _, token in p.first.user_tasks()]
    assert [p.variables(token)["n"] for token in tokens] == ([11] if one_by_one == "true" else [11, 21])
    assert p.variables(tokens[0])["rows"] == [10, 20]

    p.do("a", r=1).do("a", r=2).check("z", totals=[1, 2], sum="outer", sums=None, rows=None)


def test_instances_of_a_sub_process_take_items_of_a_data_object() -> None:
    loops = (
        "<multiInstanceLoopCharacteristics><loopDataInputRef>o1</loopDataInputRef><loopDataOutputRef>r2</loopDataOutputRef>"
        '<inputDataItem id="item" name="row"/><outputDataItem id="result" name="sum"/></multiInstanceLoopCharacteristics>')
    p = line(
        sub("a", start("s1"), script("t", "{sum: row * 2}"), user("u"), "s1>t", "t>u", inner=loops),
        beside=obj("o1", "lots", many=True) + obj("o2", "totals", many=True) + '<dataObjectReference id="r2" dataObjectRef="o2"/>',
        lots=[1, 2])

    p.do("u").check("u", totals=[]).do("u").check("z", totals=[2, 4])


def test_an_interrupted_multi_instance_activity_moves_no_collection_out() -> None:
    inner = io("rows", "sums") + goes_in("o1", "in_rows") + goes_out("out_sums", "o2") + LOOP.format("false")
    p = play(process(
        start(), obj("o1", "lots"), obj("o2", "totals"), user("a", inner), boundary("b", "a", event("signal", "sA")), user("y"),
        "s>a", "b>y"), lots=[1, 2])

    p.do("a", sum=1).signal("sA").check("y", totals=None)
