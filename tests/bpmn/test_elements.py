"""The table of what BPMN has: each row is compiled and played, or refused, as it says; and it names every element of the schema."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path

import pytest
from lxml import etree

from engine.bpmn import DiagramCannotRun, compile_definition, elements
from engine.bpmn.check import check
from engine.bpmn.elements import ROWS, Group, Position, Row, Status
from engine.model import Severity, Source
from tests.bpmn.build import (
    CANCEL,
    TERMINATE,
    boundary,
    call,
    catch,
    condition,
    diagram,
    element,
    end,
    event,
    event_sub,
    events,
    exclusive,
    inclusive,
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
    undone_by,
    user,
)
from tests.bpmn.play import Play

ROOT = Path(__file__).parents[2]
BY_KEY = {row.key: row for row in ROWS}


def line(*parts: str, id: str = "x", top: str = "") -> bytes:
    """start > x > z (a script) > end around the given parts."""
    return diagram(top, process(start(), *parts, script("z"), end(), f"s>{id}", f"{id}>z", "z>e"))


def fork(gateway: str, *flows: str, join: str = "") -> bytes:
    return diagram(process(
        start(), gateway, join or exclusive("j"), script("a"), script("b"), script("z"), end(), "s>g", *(flows or ("g>a", "g>b")),
        "a>j", "b>j", "j>z", "z>e"))


COMPENSATED = (script("x"), undone_by("x", "u"), script("u", isForCompensation="true"))
ASSIGNED = '<dataInputAssociation id="da"><targetRef>di</targetRef>{}</dataInputAssociation>'
THROWS = '<multiInstanceLoopCharacteristics {}="ev" behavior="{}" isSequential="true"><loopCardinality>2</loopCardinality>' + (
    "</multiInstanceLoopCharacteristics>")
EV = '<escalationEventDefinition id="ev" escalationRef="xA"/>'
HEARD = (boundary("b", "x", event("escalation", "xA"), cancelActivity="false"), script("h"), "b>h")

#: ``{row: (diagram, scripts that run one after the other, what is waited for then)}``
SAMPLES: dict[str, tuple[bytes, str, str]] = {
    "task": (line(task("x")), "z", ""),
    "manualTask": (line(element("manualTask", "x")), "z", ""),
    "userTask": (line(user("x")), "", "x"),
    "serviceTask": (line(service("x")), "", ""),
    "sendTask": (line(element("sendTask", "x", messageRef="mA")), "z", ""),
    "receiveTask": (line(receive("x", "mA")), "", "x"),
    "receiveTask instantiate": (diagram(process(receive("x", "mA", instantiate="true"), script("z"), "x>z")), "", "x"),
    "scriptTask": (line(script("x")), "x z", ""),
    "businessRuleTask": (line(element("businessRuleTask", "x", camunda_type="external", camunda_topic="t")), "", ""),
    "subProcess": (line(sub("x", start("s1"), script("a"), "s1>a")), "a z", ""),
    "subProcess triggeredByEvent": (line(user("x"), event_sub("q", start("qs", event("message", "mA")), script("h"), "qs>h")), "", "x"),
    "transaction": (line(sub("x", start("s1"), script("a"), "s1>a", tag="transaction")), "a z", ""),
    "adHocSubProcess": (line(sub("x", user("a"), user("b"), tag="adHocSubProcess")), "", "a b"),
    "callActivity": (
        diagram(process(start(), call("x", "q"), script("z"), "s>x", "x>z"), process(start(), script("y"), "s>y", id="q")), "y z", ""),
    "standardLoopCharacteristics": (line(script("x", inner=loop(maximum="2"))), "x x z", ""),
    "multiInstanceLoopCharacteristics parallel": (line(script("x", inner=many("3"))), "x x x z", ""),
    "multiInstanceLoopCharacteristics sequential": (line(user("x", many("3", one_by_one=True))), "", "x"),
    "multiInstanceLoopCharacteristics None": (
        line(script("x", inner=THROWS.format("noneBehaviorEventRef", "None")), *HEARD, top=EV), "x h x h z", ""),
    "multiInstanceLoopCharacteristics One": (
        line(script("x", inner=THROWS.format("oneBehaviorEventRef", "One")), *HEARD, top=EV), "x h x z", ""),
    "isForCompensation": (line(*COMPENSATED), "x z", ""),
    "multiInstanceLoopCharacteristics Complex": (
        line(task("x", '<multiInstanceLoopCharacteristics behavior="Complex"><loopCardinality>2</loopCardinality>'
                       "<complexBehaviorDefinition><condition>nrOfCompletedInstances = 2</condition><event>"
                       + event("signal", "sA") + "</event></complexBehaviorDefinition></multiInstanceLoopCharacteristics>"),
             boundary("b", "x", event("signal", "sA"), cancelActivity="false"), script("y"), "b>y"), "y z", ""),
    "startQuantity": (diagram(process(
        start(), parallel("g"), script("x", startQuantity="2"), script("z"), "s>g", "g>x", "g>x", "x>z")), "x z", ""),
    "completionQuantity": (line(script("x", completionQuantity="2")), "x z z", ""),
    "exclusiveGateway": (fork(exclusive("g"), "g>a: 1 = 2", "g>b!"), "b z", ""),
    "parallelGateway": (fork(parallel("g"), join=parallel("j")), "a b z", ""),
    "inclusiveGateway": (fork(inclusive("g"), "g>a: 1 = 1", "g>b: 1 = 2", join=inclusive("j")), "a z", ""),
    "complexGateway": (fork(parallel("g"), join=element(
        "complexGateway", "j", "<activationCondition>activationCount &gt;= 1</activationCondition>")), "a b z", ""),
    "eventBasedGateway": (fork(
        events("g"), "g>m", "g>n", catch("m", event("message", "mA")), catch("n", event("signal", "sA")), "m>a", "n>b"), "", "m n"),
    "eventBasedGateway instantiate": (diagram(process(
        element("eventBasedGateway", "g", instantiate="true"), receive("m", "mA"), receive("n", "mB"), script("z"), "g>m", "g>n", "m>z",
        "n>z")), "", "m n"),
    "sequenceFlow": (line(task("x")), "z", ""),
    "sequenceFlow condition": (fork(task("g"), "g>a: 1 = 1", "g>b: 1 = 2"), "a z", ""),
    "sequenceFlow default": (fork(task("g"), "g>a: 1 = 2", "g>b!"), "b z", ""),
    "property": (line(script("x"), '<property id="v" name="v"/>'), "x z", ""),
    "association": (line(*COMPENSATED), "x z", ""),
    "extensionElements": (line(user("x", "<extensionElements/>")), "", "x"),
    "process": (line(task("x")), "z", ""),
    "message": (line(receive("x", "mA")), "", "x"),
    "signal": (line(catch("x", event("signal", "sA"))), "", "x"),
    "error": (line(user("x"), boundary("b", "x", event("error", "eA")), task("y"), "b>y"), "", "x"),
    "escalation": (line(throw("x", event("escalation", "xA"))), "z", ""),
    **{f"{kind}EventDefinition": (line(sub("x", start("s1"), end("e1", event(kind, ref)), "s1>e1")), "z", "") for kind, ref in (
        ("message", "mA"), ("signal", "sA"), ("escalation", "xA"), ("terminate", ""), ("compensate", ""))},
    "timerEventDefinition": (line(catch("x", timer("timeDuration", "PT1H"))), "", "x"),
    "conditionalEventDefinition": (line(catch("x", condition("n = 1"))), "", "x"),
    "errorEventDefinition": (
        line(sub("x", start("s1"), end("e1", event("error", "eA")), "s1>e1"), boundary("b", "x", event("error", "eA")), script("y"),
             "b>y"), "y", ""),
    "cancelEventDefinition": (
        line(sub("x", start("s1"), end("e1", CANCEL), "s1>e1", tag="transaction"), boundary("b", "x", CANCEL), script("y"), "b>y"),
        "y", ""),
    "linkEventDefinition": (
        line(task("x"), throw("t", '<linkEventDefinition name="L"/>'), catch("c", '<linkEventDefinition name="L"/>'), script("y"),
             "x>t", "c>y"), "z y", ""),
    **{tag: (diagram(process(start(), call("x", "t1"), script("z"), "s>x", "x>z"), element(tag, "t1", inner, **words)), ran, waits)
       for tag, inner, words, ran, waits in (
           ("globalTask", "", {}, "z", ""), ("globalManualTask", "", {}, "z", ""), ("globalUserTask", "", {}, "", "t1"),
           ("globalScriptTask", "<script>{a: 1}</script>", {"scriptFormat": "feel"}, "t1 z", ""),
           ("globalBusinessRuleTask", "", {"camunda_type": "external", "camunda_topic": "t"}, "", ""))},
}
#: ``{row: (diagram, id of the element that is refused)}``
REFUSED: dict[str, tuple[bytes, str]] = {
    "adHocSubProcess ordering": (line(sub("x", task("y"), tag="adHocSubProcess", ordering="Sequential")), "x"),
    "adHocSubProcess completionCondition": (
        line(sub("x", task("y"), tag="adHocSubProcess", inner="<completionCondition>done</completionCondition>")), "x"),
    "implicitThrowEvent": (line(element("implicitThrowEvent", "x")), "x"),
    "dataAssociation assignment": (line(task("x", ASSIGNED.format("<assignment><from>1</from><to>a</to></assignment>"))), "da"),
    "dataAssociation transformation": (line(task("x", ASSIGNED.format("<transformation>1</transformation>"))), "da"),
    **{tag: (line(element(tag, "x")), "x") for tag in ("choreographyTask", "subChoreography", "callChoreography")},
}

# ----------------------------------------------------------------------------------------------------------------- events
TRIGGERS = {
    "message": event("message", "mA"), "timer": timer("timeDuration", "PT1H"), "conditional": condition("n = 1"),
    "signal": event("signal", "sA"), "error": event("error", "eA"), "escalation": event("escalation", "xA"), "cancel": CANCEL,
    "compensate": event("compensate"), "terminate": TERMINATE, "link": '<linkEventDefinition name="L"/>', "none": "",
    "multiple": event("message", "mA") + event("signal", "sA"), "parallelMultiple": event("message", "mA") + event("signal", "sA"),
}


def words(row: Row) -> dict[str, str]:
    return {"parallelMultiple": "true"} if row.event == "parallelMultiple" else {}


def happen(p: Play, kind: str) -> None:
    """Make it happen from outside."""
    match kind:
        case "message" | "multiple":
            p.message("mA")
        case "timer":
            p.wait(4000)
        case "conditional":
            p.set(n=1)
        case "signal":
            p.signal("sA")
        case "parallelMultiple":
            p.message("mA")
            assert "happened" not in p.trace
            p.signal("sA")
        case "error":
            p.fail("job", "eA")
        case _:
            p.do("a")


def drawn(row: Row) -> bytes:
    """A diagram in which the script `happened` runs when the event of the row did what it does, and nothing else lets it run."""
    inner, extra, kind = TRIGGERS[row.event], words(row), row.event
    after = (script("happened"),)
    match row.position:
        case Position.START:
            return diagram(process(start("s", inner, **extra), *after, "s>happened"))
        case Position.SUB_START:
            return line(sub("x", start("s1"), *after, "s1>happened"))
        case Position.CATCH:
            if kind == "link":
                return diagram(process(start(), throw("t", inner), catch("c", inner), *after, "s>t", "c>happened"))
            return line(catch("x", inner, **extra), *after).replace(b'targetRef="z"', b'targetRef="happened"')
        case Position.INTERRUPTING_BOUNDARY | Position.REPEATED_BOUNDARY:
            interrupts = "true" if row.position is Position.INTERRUPTING_BOUNDARY else "false"
            if kind == "compensate":
                return line(script("x"), boundary("b", "x", inner), script("happened", isForCompensation="true"), throw("t", inner),
                            '<association id="as" sourceRef="b" targetRef="happened"/>', "x>t")
            attached = boundary("b", "x", inner, cancelActivity=interrupts, **extra)
            thrown = end("e1", inner) if kind in ("escalation", "cancel") else end("e1")
            tag = "transaction" if kind == "cancel" else "subProcess"
            body = (start("s1"), service("job"), user("a"), thrown, "s1>job", "s1>a", "a>e1")
            return line(sub("x", *body, tag=tag), attached, *after, "b>happened")
        case Position.INTERRUPTING_START | Position.REPEATED_START:
            interrupts = "true" if row.position is Position.INTERRUPTING_START else "false"
            begin = start("qs", inner, isInterrupting=interrupts, **extra)
            own = event_sub("q", begin, *after, "qs>happened")
            if kind == "compensate":
                return line(sub("x", start("s1"), script("y"), own, "s1>y"), throw("t", inner), "x>t")
            thrown = end("e1", inner) if kind == "escalation" else end("e1")
            return line(sub("x", start("s1"), service("job"), user("a"), thrown, own, "s1>job", "s1>a", "a>e1"))
        case _:
            return thrown_by(row, inner)


def thrown_by(row: Row, inner: str) -> bytes:
    """Throwing events: `happened` stands behind one that catches it."""
    kind = row.event
    leaves = throw("t", inner) if row.position is Position.THROW else end("t", inner)
    if kind == "none":
        goes = ("t>happened",) if row.position is Position.THROW else ()
        inside = sub("x", start("s1"), leaves, *((script("happened"), *goes) if goes else ()), "s1>t")
        return line(inside, *(() if goes else (script("happened"), "x>happened")))
    if kind == "link":
        return diagram(process(start(), leaves, catch("c", inner), script("happened"), "s>t", "c>happened"))
    if kind == "compensate":
        return diagram(process(
            start(), script("y"), undone_by("y", "happened"), script("happened", isForCompensation="true"), leaves, "s>y", "y>t"))
    if kind == "terminate":
        return line(sub("x", start("s1"), user("other"), leaves, "s1>other", "s1>t"), script("happened"), "x>happened")
    if kind in ("error", "cancel"):
        tag = "transaction" if kind == "cancel" else "subProcess"
        return line(sub("x", start("s1"), leaves, "s1>t", tag=tag), boundary("b", "x", inner), script("happened"), "b>happened")
    caught = event("message", "mA") if kind == "multiple" else inner
    own = event_sub("q", start("qs", caught, isInterrupting="false"), script("happened"), "qs>happened")
    return line(sub("x", start("s1"), leaves, own, "s1>t"))


EVENT_ROWS = [row for row in ROWS if row.group is Group.EVENT]


@pytest.mark.parametrize("row", EVENT_ROWS, ids=lambda row: row.key)
def test_an_event_of_the_table_happens_where_it_stands(row: Row) -> None:
    p = Play(drawn(row), None, {})
    begins = row.position is Position.START and row.event in ("message", "signal", "multiple")
    if not begins:
        p.start("p", {"n": 0})
    by_itself = row.position in (Position.SUB_START, Position.THROW, Position.END) or row.event in ("link", "compensate", "none")

    if not by_itself:
        assert not p.trace
        happen(p, row.event)

    assert "happened" in p.trace.split()
    assert not p.incidents
    if row.position in (Position.INTERRUPTING_BOUNDARY, Position.INTERRUPTING_START) and row.event != "compensate":
        assert "a" not in p.open.split()
    if row.position in (Position.REPEATED_BOUNDARY, Position.REPEATED_START) and row.event in ("message", "signal"):
        happen(p, row.event)
        assert p.trace.split().count("happened") == 2
        assert "a" in p.open.split()
    if row.event == "terminate":
        assert "other" not in p.open.split()


# -------------------------------------------------------------------------------------------------------------- other rows
RUNNING = [row for row in ROWS if row.status is Status.EXECUTED and row.group is not Group.EVENT]


def blocked(xml: bytes) -> set[tuple[str, str | None]]:
    return {(each.rule, each.element) for each in check({"a.bpmn": xml}) if each.severity is not Severity.WARNING}


@pytest.mark.parametrize("row", RUNNING, ids=lambda row: row.key)
def test_what_the_table_calls_executed_runs(row: Row) -> None:
    xml, ran, waits = SAMPLES[row.key]

    p = Play(xml, "p", {"n": 0})

    p.check(waits, trace=ran)


@pytest.mark.parametrize("row", [row for row in ROWS if row.status is Status.REFUSED], ids=lambda row: row.key)
def test_what_the_table_calls_refused_is_refused_with_its_element(row: Row) -> None:
    xml, id = REFUSED[row.key]

    assert ("NOT-RUN", id) in blocked(xml)
    with pytest.raises(DiagramCannotRun) as told:
        compile_definition("p", [Source(key="p", version=1, xml=xml)])
    assert told.value.findings[0].element == id


def test_what_the_table_calls_executed_is_not_refused() -> None:
    told = {row.key: found for row in ROWS if row.status is Status.EXECUTED
            if (found := {each for each in blocked(drawn(row) if row.group is Group.EVENT else SAMPLES[row.key][0]) if each[0] == "NOT-RUN"})}

    assert told == {}


def test_an_element_that_the_table_does_not_know_is_refused() -> None:
    xml = line(task("x"), '<hyperTask id="h"/>')

    assert ("NOT-RUN", "h") in blocked(xml)
    with pytest.raises(DiagramCannotRun):
        compile_definition("p", [Source(key="p", version=1, xml=xml)])


def test_an_instantiating_receive_task_gets_the_first_token() -> None:
    Play(SAMPLES["receiveTask instantiate"][0]).check("x").message("mA").check("", trace="z")


def test_an_instantiating_event_gateway_gets_the_first_token() -> None:
    Play(SAMPLES["eventBasedGateway instantiate"][0]).check("m n").message("mB").check("", trace="z")


@pytest.mark.parametrize("row", [row for row in ROWS if row.group is Group.GLOBAL_TASK], ids=lambda row: row.key)
def test_a_call_activity_calls_a_global_task(row: Row) -> None:
    xml, ran, waits = SAMPLES[row.key]

    p = Play(xml).check(waits, trace=ran)

    if waits:
        p.do("t1").check("", True, trace="z")


# ------------------------------------------------------------------------------------------------------------ the table
def test_every_executed_row_names_a_test_that_exists() -> None:
    named = {proof for row in ROWS for proof in row.proofs}
    exist = {
        f"{file.relative_to(ROOT).as_posix()}::{node.name}"
        for file in (ROOT / "tests").rglob("test_*.py") for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)}

    assert named <= exist, sorted(named - exist)
    assert [row.key for row in ROWS if row.status is Status.EXECUTED and not row.proofs] == []


def test_every_element_of_the_schema_has_a_row() -> None:
    folder = files("SpiffWorkflow.bpmn.parser") / "schema"
    trees = [etree.fromstring((folder / name).read_bytes()) for name in ("BPMN20.xsd", "Semantic.xsd")]
    every = [each for tree in trees for each in tree.iter("{*}element") if each.get("name")]
    general = {  # heads of groups, of which files hold the members only
        "activity", "baseElement", "baseElementWithMixedContent", "callableElement", "catchEvent", "choreographyActivity",
        "dataAssociation", "eventDefinition", "flowElement", "flowNode", "gateway", "loopCharacteristics", "rootElement", "throwEvent",
    }
    names = {each.get("name") for each in every} - general

    assert names - elements.KNOWN == set()
    assert elements.KNOWN - names == set()


def test_rows_are_told_apart_and_have_texts() -> None:
    assert len(BY_KEY) == len(ROWS)
    for row in ROWS:
        assert all((row.zh, row.en, row.does_zh, row.does_en, row.section)), row.key


def test_the_page_is_in_step() -> None:
    assert elements.as_markdown() in (ROOT / "docs/bpmn.md").read_text("utf-8")
