"""A name that is read and never written is told, wherever it stands; a name that may have been written is not."""

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lxml import etree

import handlers  # noqa: F401  registers
from engine.bpmn.check import CheckContext, DecisionNames, FormNames, check
from engine.bpmn.check.document import Document
from engine.bpmn.check.expressions import Reading, compiled
from engine.bpmn.reader import translated
from engine.bpmn.xml import read_diagram
from engine.feel.builtins import BUILTINS
from engine.feel.check import expression_problems
from engine.handler import REGISTRY
from engine.model import Finding, Severity
from engine.rehearsal import read_library
from tests.bpmn.build import (
    boundary,
    call,
    catch,
    condition,
    diagram,
    element,
    end,
    event,
    event_sub,
    exclusive,
    loop,
    many,
    mapping,
    process,
    properties,
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
from tests.service.house import OWNER, House

PROCESSES = Path(__file__).parents[2] / "processes"
WORLD = CheckContext(
    form_names={"f": FormNames(writes=frozenset({"typed"})), "empty": FormNames()},
    decision_names={
        "d": DecisionNames(reads=frozenset({"asked"}), writes=frozenset({"row"})), "open": DecisionNames(writes=None),
        "free": DecisionNames(writes=frozenset({"row", "column"})),
    },
    job_outputs={"work": {"made": None}, "quiet": {}},
)
EXT = "<extensionElements>{}</extensionElements>"


def told(*diagrams: bytes, context: CheckContext = WORLD) -> list[Finding]:
    found = check({f"{n}.bpmn": each for n, each in enumerate(diagrams)}, context)
    return [each for each in found if each.rule == "NAME-UNKNOWN"]


def unknown(*parts: str, context: CheckContext = WORLD, **attributes: str) -> set[str]:
    """Names that are reported in a single process."""
    return names_of(told(diagram(process(*parts, **attributes)), context=context))


def names_of(found: list[Finding]) -> set[str]:
    return {re.search(r'the variable "([^"]+)"', each.en)[1] for each in found}


def reading(name: str, *parts: str) -> tuple[str, ...]:
    """start, the parts, and a script that reads the name."""
    return start(), *parts, script("reader", name, camunda_resultVariable="seen"), end(), "s>reader", "reader>e"


# -------------------------------------------------------------------------------------------------- where variables come from
WRITERS = {
    "form of a user task": ("typed", user("w", camunda_formKey="f")),
    "form of a start event": ("typed", start("w", camunda_formKey="f")),
    "form of a message": ("typed", receive("w", "mA", properties(form="f"))),
    "output mapping": ("out", service("w", "work", mapping({}, {"out": "made"}))),
    "handler": ("made", service("w", "work")),
    "result variable of a script": ("result", script("w", "1", camunda_resultVariable="result")),
    "entry of a script's context": ("entry", script("w", "if true then {entry: 1} else null")),
    "result variable of a decision": ("result", element("businessRuleTask", "w", camunda_decisionRef="free",
                                                        camunda_resultVariable="result")),
    "column of a decision": ("column", element("businessRuleTask", "w", camunda_decisionRef="free")),
    "collection of a multi-instance": ("gathered", task("w", properties(outputCollection="gathered", outputElement="1") + many("2"))),
    "outcome of an end event": ("outcome", end("w", properties(outcome="won"))),
    "payload of a message": ("sent", receive("w", "mA") + throw("t", properties(payload="{sent: 1}") + event("message", "mA"))),
    "payload for an event sub-process": (
        "sent", event_sub("w", start("i", event("message", "mA"))) + throw("t", properties(payload="{sent: 1}") + event("message", "mA"))),
    "code of an error": ("code", boundary("w", "reader", '<errorEventDefinition errorRef="eA" camunda:errorCodeVariable="code"/>')),
    "message of an error": ("why", boundary("w", "reader", '<errorEventDefinition errorRef="eA" camunda:errorMessageVariable="why"/>')),
    "code of an escalation": ("code", boundary("w", "reader", '<escalationEventDefinition camunda:escalationCodeVariable="code"/>')),
    "data that the process declares": ("declared", '<property id="declared"/>'),
    "task of a sub-process": ("inner", sub("w", start("i"), script("j", "1", camunda_resultVariable="inner"))),
}


@pytest.mark.parametrize("place", WRITERS)
def test_what_a_step_writes_is_known(place):
    name, writer = WRITERS[place]

    assert name not in unknown(*reading(name, writer))
    assert unknown(*reading(name)) == {name}


def test_what_the_process_declares_as_inputs_is_known():
    declared = diagram(process(properties(inputs="given, other"), *reading("given + other + more")))

    assert names_of(told(declared)) == {"more"}


def test_output_mapping_alone_decides_what_a_result_leaves_behind():
    writer = service("w", "work", mapping({}, {"out": "made"}))

    assert unknown(*reading("made", writer)) == {"made"}


def test_a_result_that_cannot_be_told_makes_known_whatever_is_written_anywhere():
    computed = script("w", "context put(base, key, 1)")
    here = diagram(process(*reading("elsewhere + nowhere", computed), properties(inputs="base,key")))
    other = diagram(process(start(), script("x", "1", camunda_resultVariable="elsewhere"), end(), "s>x", "x>e", id="q"))

    assert names_of(told(here, other)) == {"nowhere"}
    assert names_of(told(here)) == {"nowhere", "elsewhere"}


@pytest.mark.parametrize("writer", [
    user("w"), user("w", camunda_formKey="= which"), user("w", camunda_formKey="gone"), service("w", "gone"),
    element("businessRuleTask", "w", camunda_decisionRef="gone"), call("w", "gone"),
])
def test_nothing_is_said_of_names_where_anything_may_be_written(writer):
    assert unknown(*reading("whatever", writer)) == set()


def test_without_knowing_forms_handlers_and_decisions_no_name_is_called_unknown():
    parts = diagram(process(*reading("nowhere")))

    for missing in ("form_names", "decision_names", "job_outputs"):
        assert told(parts, context=replace(WORLD, **{missing: None})) == []


# ------------------------------------------------------------------------------------------------------- where names are read
PLACES = {
    "condition": (exclusive("x"), task("y"), "x>y: nowhere = 1"),
    "timer": (catch("x", timer("timeDate", "= nowhere")),),
    "duration": (catch("x", timer("timeDuration", "= nowhere")),),
    "boundary timer": (boundary("x", "host", timer("timeDate", "= nowhere")), task("host")),
    "conditional event": (catch("x", condition("nowhere > 1")),),
    "script": (script("x", "nowhere", camunda_resultVariable="r"),),
    "input": (service("x", "quiet", mapping({"n": "nowhere"})),),
    "output": (service("x", "quiet", mapping({}, {"n": "nowhere"})),),
    "assignee": (user("x", camunda_assignee="= nowhere", camunda_formKey="f"),),
    "due date": (user("x", camunda_dueDate="nowhere", camunda_formKey="f"),),
    "priority": (user("x", camunda_priority="nowhere", camunda_formKey="f"),),
    "deadline": (user("x", properties(deadline="nowhere"), camunda_formKey="f"),),
    "working due": (user("x", properties(workingDue="= nowhere"), camunda_formKey="f"),),
    "property of a handler": (service("x", "quiet", properties(subject='= "Bid " + nowhere')),),
    "correlation": (receive("x", "mA", properties(correlationKey="nowhere")),),
    "payload": (throw("x", properties(payload="{a: nowhere}") + event("message", "mA")),),
    "outcome": (end("x", properties(outcome="= nowhere")),),
    "collection": (task("x", many(collection="nowhere", item="i")),),
    "number of instances": (task("x", many("nowhere")),),
    "completion": (task("x", many("2", until="nowhere = 1")),),
    "output element": (task("x", properties(outputCollection="all", outputElement="nowhere") + many("2")),),
    "loop": (task("x", loop("nowhere < 3")),),
    "called": (call("x", "p", EXT.format('<camunda:in source="nowhere" target="a"/>')),),
    "given back": (call("x", "p", EXT.format('<camunda:out source="nowhere" target="a"/>')),),
    "business key": (call("x", "p", EXT.format('<camunda:in businessKey="nowhere"/><camunda:in source="1" target="a"/>')),),
}


@pytest.mark.parametrize("place", PLACES)
def test_unknown_name_is_told_wherever_it_is_read(place):
    found = told(diagram(process(start(), *PLACES[place], end())))

    assert [(names_of([each]), each.element) for each in found] == [({"nowhere"}, "x_y" if place == "condition" else "x")]
    blocks = place in ("timer", "duration", "boundary timer", "due date", "deadline")
    assert found[0].severity is (Severity.DRAFT if blocks else Severity.WARNING)


def test_what_a_decision_reads_must_have_been_written():
    rule_task = element("businessRuleTask", "x", camunda_decisionRef="d", camunda_resultVariable="r")
    mapped = element("businessRuleTask", "x", mapping({"asked": "1"}), camunda_decisionRef="d", camunda_resultVariable="r")

    assert unknown(start(), rule_task, end()) == {"asked"}
    assert unknown(start(), mapped, end()) == set()


def test_rules_of_a_form_read_its_own_fields_and_the_variables_of_the_task():
    rules = FormNames(writes=frozenset({"own"}), reads=(
        ("own", "own > earlier + gone", frozenset()), ("row", "cell > local", frozenset({"cell"}))))
    context = replace(WORLD, form_names={**WORLD.form_names, "rules": rules})
    at_task = user("x", mapping({"local": "1"}, {"o": "own"}), camunda_formKey="rules")
    before = script("y", "1", camunda_resultVariable="earlier")

    assert unknown(start(), before, at_task, end(), context=context) == {"gone"}
    assert unknown(start(camunda_formKey="rules"), before, end(), context=context) == {"gone", "earlier", "local"}


def test_nearest_name_that_is_written_is_offered():
    context = replace(WORLD, form_names={"f": FormNames(writes=frozenset({"submission_deadline"}))})
    (found,) = told(diagram(process(start(), user("x", properties(deadline="submision_deadline"), camunda_formKey="f"), end())), context=context)

    assert "是否想写“submission_deadline”" in found.zh
    assert 'did you mean "submission_deadline"' in found.en
    assert found.element == "x"


def test_names_of_filters_and_missing_functions_are_left_to_others():
    assert unknown(*reading("all[score > 3]", script("w", "[]", camunda_resultVariable="all"))) == set()
    assert unknown(*reading("no_such_function(1)")) == set()
    assert unknown(*reading("for x in [1] return x + count([1])")) == set()


# --------------------------------------------------------------------------------------------------------------- what is local
def test_inputs_and_loop_items_are_seen_inside_their_activity_only():
    inside = service("x", "quiet", properties(subject="= item + local + string(loopCounter)").replace(
        "</extensionElements>", '<camunda:inputOutput><camunda:inputParameter name="local">item</camunda:inputParameter>'
        "</camunda:inputOutput></extensionElements>") + many(collection="[1]", item="item", until="nrOfCompletedInstances > 1"))

    assert unknown(start(), inside, end()) == set()
    assert unknown(*reading("item + local + loopCounter", inside)) == {"item", "local", "loopCounter"}


def test_a_boundary_event_does_not_see_the_inputs_of_its_host():
    host = service("x", "quiet", mapping({"local": "now()"}))

    assert unknown(start(), host, boundary("b", "x", timer("timeDate", "= local")), end()) == {"local"}


def test_an_item_is_not_known_where_its_collection_is_asked_for():
    assert unknown(start(), task("x", many(collection="item.parts", item="item")), end()) == {"item"}


def test_everything_inside_a_looped_sub_process_sees_the_item():
    inner = sub("x", start("i"), script("j", "item", camunda_resultVariable="r"), inner=many(collection="[1]", item="item"))

    assert unknown(start(), inner, end()) == set()


def test_result_of_a_job_is_seen_by_its_output_mapping():
    assert unknown(start(), service("x", "work", mapping({"a": "1"}, {"b": "made + a"})), end()) == set()


# ----------------------------------------------------------------------------------------------------------- between processes
CALLED = diagram(process(*reading("given"), id="q"))


def calling(*mappings: str, id: str = "p") -> bytes:
    written = script("w", "1", camunda_resultVariable="given")
    return diagram(process(start(), written, call("c", "q", EXT.format("".join(mappings)) if mappings else ""), end(), id=id))


IN, OTHER = '<camunda:in source="given" target="given"/>', '<camunda:in source="given" target="other"/>'


@pytest.mark.parametrize(("mappings", "expected"), [
    ((), set()), ((IN,), set()), ((OTHER,), {"given"}), (('<camunda:in variables="all"/>',), set()),
    (('<camunda:out source="seen" target="x"/>',), {"given"}),
])
def test_a_called_process_knows_what_its_callers_give_it(mappings, expected):
    assert names_of(told(calling(*mappings), CALLED)) == expected


def test_any_caller_will_do_checked_now_or_deployed_before():
    assert told(calling(OTHER), calling(IN, id="p2"), CALLED) == []
    assert told(CALLED, context=replace(WORLD, deployed={"p": calling(IN), "q": CALLED})) == []
    assert names_of(told(CALLED, context=replace(WORLD, deployed={"p": calling(OTHER)}))) == {"given"}


def test_the_files_at_hand_come_before_what_was_deployed():
    assert names_of(told(calling(OTHER), CALLED, context=replace(WORLD, deployed={"p": calling(IN)}))) == {"given"}


def test_a_caller_that_gives_a_deployed_process_the_wrong_name_is_told_at_its_call():
    waits = diagram(process(start(), catch("t", timer("timeDate", "= given")), end(), id="q"))

    (found,) = told(calling(OTHER), context=replace(WORLD, deployed={"p": calling(IN), "q": waits}))

    assert (found.element, found.severity) == ("c", Severity.DRAFT)
    assert 'In the called process "q"' in found.en
    assert told(calling(IN), context=replace(WORLD, deployed={"p": calling(OTHER), "q": waits})) == []


def test_everything_goes_through_a_chain_of_calls_and_back():
    chain = [diagram(process(start(), call("c", called), end(), id=id)) for id, called in (("a", "b"), ("b", "q"))]
    top = diagram(process(*reading("seen", script("w", "1", camunda_resultVariable="given"), call("x", "a"))))

    assert told(top, *chain, CALLED) == []


def test_a_loop_counter_does_not_enter_a_called_process():
    called = diagram(process(*reading("loopCounter + item"), id="q"))
    caller = diagram(process(start(), call("c", "q", many(collection="[1]", item="item")), end()))

    assert names_of(told(caller, called)) == {"loopCounter"}


def test_mapping_out_is_read_in_the_called_process():
    called = diagram(process(start(), script("x", "1", camunda_resultVariable="inner"), end(), id="q"))
    caller = diagram(process(start(), call("c", "q", EXT.format('<camunda:out sourceExpression="inner + outer" target="t"/>')), end(),
                             script("w", "1", camunda_resultVariable="outer")))

    assert names_of(told(caller, called)) == {"outer"}


def test_payload_of_a_message_reaches_the_process_that_waits_for_it():
    thrower = diagram(process(start(), throw("t", properties(payload="{sent: 1}") + event("message", "mA")), end()))
    catcher = diagram(process(*reading("sent", receive("w", "mA")), id="q"))

    assert told(thrower, catcher) == []
    assert told(catcher, context=replace(WORLD, deployed={"p": thrower})) == []
    assert names_of(told(catcher)) == {"sent"}


# -------------------------------------------------------------------------------------------------------------- the real library
@pytest.fixture(scope="module")
def library():
    return read_library(PROCESSES)


@pytest.fixture(scope="module")
def house(tmp_path_factory, library):
    house = House(tmp_path_factory.mktemp("names"), handlers=REGISTRY)
    house.engine.deployments.deploy(OWNER, library, "library")
    yield house
    house.close()


def test_the_library_reads_no_unknown_name_and_its_decisions_are_clean(house, library):
    found = house.engine.deployments.check(library)

    assert [each for each in found if each.rule == "NAME-UNKNOWN" or each.rule.startswith("DECISION")] == []


def test_a_single_diagram_of_the_library_is_clean_beside_what_is_deployed(house, library):
    for name, body in library.items():
        if name.endswith(".bpmn"):
            assert [each for each in house.engine.deployments.check({name: body}) if each.rule == "NAME-UNKNOWN"] == []


def certain(text: str) -> list[tuple[str, int]]:
    """Return ``[(name, where it is read first)]`` of the variables that an expression certainly reads."""
    found = []
    for problem in expression_problems(text, ()):
        if problem.rule == "unknown_name":
            lines = text.split("\n")
            found.append((problem.name, sum(len(each) + 1 for each in lines[: problem.line - 1]) + problem.column - 1))
    return found


def reads_of_diagrams(library) -> list[tuple[str, str, int, Reading]]:
    """Return ``[(file, name, number of the expression, how it is read)]``."""
    return [
        (file, name, number, written.reading)
        for file, body in library.items() if file.endswith(".bpmn")
        for number, (written, _) in enumerate(compiled(Document(read_diagram(body), file, CheckContext())))
        for name, _ in certain(translated(written.text))
    ]


READS = reads_of_diagrams(read_library(PROCESSES))
WORDS = frozenset(re.findall(r"\w+", " ".join(body.decode() for body in read_library(PROCESSES).values()))) | BUILTINS.keys()


def misspelt(name: str, chance: random.Random) -> str:
    n = chance.randrange(1, len(name)) if len(name) > 1 else 0
    return chance.choice([name[:n] + name[n + 1 :], name[:n] + name[n:][:1] * 2 + name[n + 1 :], name[:n] + "x" + name[n:]])


def replanted(body: bytes, number: int, name: str, wrong: str) -> bytes:
    """Return the diagram with one read of one expression misspelt."""
    document = Document(read_diagram(body), "", CheckContext())
    written = [each for each, _ in compiled(document)][number]
    feel = translated(written.text)
    at = dict(certain(feel))[name]
    text = "= " + feel[:at] + wrong + feel[at + len(name) :]
    element = written.element
    for key, value in element.attrib.items():
        if value == written.text or value.strip() == written.text:
            element.set(key, text)
            break
    else:
        element.text = text
    return etree.tostring(document.root)


@settings(max_examples=120)
@given(st.sampled_from(READS), st.integers(0, 2**32))
def test_any_misspelling_in_any_expression_of_the_library_is_told(house, library, place, seed):
    file, name, number, reading_ = place
    wrong = misspelt(name, random.Random(seed))
    assume(wrong not in WORDS and wrong.isidentifier())

    found = [each for each in house.engine.deployments.check({file: replanted(library[file], number, name, wrong)})
             if each.rule == "NAME-UNKNOWN" and f'"{wrong}"' in each.en]

    assert len(found) == 1
    assert (found[0].severity is Severity.DRAFT) == (reading_ in (Reading.TIME, Reading.DATE))


def form_rules(library) -> list[tuple[str, str]]:
    """Return ``[(form file, FEEL of a rule)]``."""
    found = []

    def look(file, components):
        for component in components:
            found.extend((file, component["properties"][key]) for key in ("rule", "requiredIf") if key in component.get("properties", {}))
            look(file, component.get("components", []))

    for file, body in library.items():
        if file.endswith(".form"):
            look(file, json.loads(body)["components"])
    return found


def test_a_misspelling_in_any_rule_of_a_form_is_told(house, library):
    rules = [
        (file, rule, name, at) for file, rule in form_rules(library) if not file.startswith("registers/") for name, at in certain(rule)
    ]  # a register's form has no process
    assert rules

    for n, (file, rule, name, at) in enumerate(random.Random(1).sample(rules, min(40, len(rules)))):
        wrong = misspelt(name, random.Random(n))
        if wrong in WORDS:
            continue
        planted = library[file].decode().replace(json.dumps(rule, ensure_ascii=False), json.dumps(
            rule[:at] + wrong + rule[at + len(name) :], ensure_ascii=False), 1)
        assert planted.encode() != library[file], rule
        diagram_file = next(each for each in library if each.startswith(file.split("/")[0] + "/") and each.endswith(".bpmn"))
        found = house.engine.deployments.check({file: planted.encode(), diagram_file: library[diagram_file]})
        assert any(each.rule == "NAME-UNKNOWN" and f'"{wrong}"' in each.en for each in found), (file, rule, wrong)


def test_a_misspelling_in_any_decision_is_told(house, library):
    places = [(file, m) for file, body in library.items() if file.endswith(".dmn")
              for m in re.finditer(r"<inputExpression[^>]*>\s*<text>([^<]+)</text>", body.decode())]
    assert len(places) > 5

    for file, match in places:
        name, at = certain(match[1])[0]
        planted = library[file].decode()[: match.start(1) + at] + name + "x" + library[file].decode()[match.start(1) + at + len(name) :]
        diagram_file = next(each for each in library if each.startswith(file.split("/")[0] + "/") and each.endswith(".bpmn"))
        found = house.engine.deployments.check({file: planted.encode(), diagram_file: library[diagram_file]})
        assert any(each.rule == "NAME-UNKNOWN" and f'"{name}x"' in each.en for each in found), (file, match[1])


def test_a_variable_named_like_a_function_is_told_as_any_other():
    """So is one that a call passes in; where a call wants a function, it is the function."""
    assert unknown(*reading("count + 1")) == {"count"}
    assert unknown(*reading("count", script("w", "1", camunda_resultVariable="count"))) == set()
    assert unknown(*reading("count(sort([2, 1], before))")) == set()

    passing = call("c", "q", EXT.format('<camunda:in source="duration" target="given"/>'))
    callee = diagram(process(start(), user("u"), end(), "s>u", "u>e", id="q"))
    assert names_of(told(diagram(process(start(), passing, end(), "s>c", "c>e")), callee)) == {"duration"}
