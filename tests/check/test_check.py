"""The checker as a whole: places, order, other people's files, damaged files, and that it is the gate of the reader."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from engine.bpmn import DiagramCannotRun, compile_definition
from engine.bpmn.check import STRICT, CheckContext, check, line_of
from engine.bpmn.check.document import Document
from engine.bpmn.check.soundness import games
from engine.bpmn.check.token_game import WORK
from engine.bpmn.xml import BPMN, read_diagram
from engine.model import Finding, Severity, Source
from tests.bpmn.build import (
    COMPENSATE,
    boundary,
    catch,
    collaboration,
    diagram,
    end,
    event,
    exclusive,
    mapping,
    pool,
    process,
    properties,
    receive,
    script,
    service,
    start,
    task,
    throw,
    timer,
    user,
)

SHARED = Path(__file__).parents[3] / "shared"
CONFORMANCE = SHARED / "conformance"


def findings(*parts: str, **context: object) -> tuple[Finding, ...]:
    return check({"a.bpmn": diagram(process(*parts))}, CheckContext(**context))


def only(rule: str, *parts: str, **context: object) -> list[Finding]:
    return [each for each in findings(*parts, **context) if each.rule == rule]


def blocked(found: tuple[Finding, ...]) -> set[str]:
    return {each.rule for each in found if each.severity is not Severity.WARNING}


# ------------------------------------------------------------------------------------------------------------ one by one
def test_a_sound_diagram_has_nothing_to_mend():
    found = findings(
        start(), user("prepare", name="编制标书", camunda_candidateGroups="bid_manager", camunda_formKey="p.prepare"),
        service("send"), end(), "s>prepare", "prepare>send", "send>e",
        forms=frozenset({"p.prepare"}), groups=frozenset({"bid_manager"}), job_types=frozenset({"work"}))

    assert found == ()


def test_every_place_of_an_expression_is_compiled():
    broken = "a = ("
    places = {
        "condition": (exclusive("x"), f"x>e: {broken}"),
        "timer": (catch("x", timer("timeDate", f"= {broken}")),),
        "script": (script("x", broken),),
        "input": (service("x", inner=mapping({"n": broken})),),
        "output": (service("x", inner=mapping({}, {"n": broken})),),
        "assignee": (user("x", camunda_assignee=f"= {broken}"),),
        "due": (user("x", camunda_dueDate=broken),),
        "priority": (user("x", camunda_priority=broken),),
        "deadline": (user("x", properties(deadline=broken)),),
        "correlation": (receive("x", "mA", properties(correlationKey=broken)),),
        "outcome": (task("x"), end("f", properties(outcome=f"= {broken}")), "x>f"),
    }
    for place, parts in places.items():
        assert only("EXPR-SYNTAX", start(), *parts, end(), "s>x", "x>e"), place


def test_text_that_is_no_expression_is_left_alone():
    assert not only("EXPR-SYNTAX", start(), user("x", properties(note="a = (", outcome="won ("), camunda_assignee="li ("), end(),
                    "s>x", "x>e")


def test_expression_is_told_with_line_and_column():
    data = diagram(process(start(), script("x", "\n\n{a: 1,\n b: )}"), end(), "s>x", "x>e"))

    (found,) = [each for each in check({"a.bpmn": data}) if each.rule == "EXPR-SYNTAX"]

    assert "line 2, column 5" in found.en
    assert "第 2 行第 5 列" in found.zh
    assert found.line == 4
    assert found.element == "x"


def test_camunda_expression_is_translated_where_feel_has_a_meaning():
    (mild,) = only("EXPR-JUEL", start(), task("x"), end(), exclusive("g"), "s>g", "g>x: ${a == 1}", "g>e!", "x>e")
    (hard,) = only("EXPR-JUEL", start(), task("x"), end(), exclusive("g"), "s>g", "g>x: ${bean.ask(1)}", "g>e!", "x>e")

    assert (mild.severity, hard.severity) == (Severity.WARNING, Severity.DRAFT)
    assert "= a = 1" in mild.mend_en


def test_the_order_of_the_parts_of_a_scope_changes_nothing():
    handler = user("u", isForCompensation="true", camunda_candidateGroups="g")
    link = '<association id="l" sourceRef="b" targetRef="u" associationDirection="One"/>'
    undone = (boundary("b", "x", COMPENSATE), link, handler)

    found = findings(start(), task("x"), *undone, end(), "s>x", "x>e")

    assert not blocked(found)
    assert [each.element for each in found if each.rule == "XML-SCHEMA"] == ["p"]


def test_what_breaks_the_schema_is_told_whatever_the_order():
    link = '<textAnnotation id="l"><text>a</text></textAnnotation>'

    found = [each for each in findings(start(), link, task("x", "<nonsense/>"), end(), "s>x", "x>e") if each.rule == "XML-SCHEMA"]

    assert {(each.element, each.severity is Severity.WARNING) for each in found} >= {("p", True), ("x", False)}


@pytest.mark.parametrize("text", ["PT24H", "= submission_deadline", "R/P7D", "R3/PT1H", "0 0 9 ? * 1-5"])
def test_time_is_taken_bare_or_as_feel(text):
    kind = "timeCycle" if text.startswith(("R", "0")) else "timeDate" if text.startswith("=") else "timeDuration"

    assert not blocked(findings(start(), catch("x", timer(kind, text)), end(), "s>x", "x>e"))


@pytest.mark.parametrize(("kind", "text"), [
    ("timeDuration", "PT"), ("timeDuration", "2026-12-01"), ("timeDate", "PT24H"), ("timeDate", "2026-13-01"),
    ("timeCycle", "0 0 9 ? * MON-XYZ"), ("timeCycle", "R/"), ("timeDuration", "T2H"),
])
def test_time_that_is_none_is_refused(kind, text):
    assert "TIMER-VALUE" in blocked(findings(start(), catch("x", timer(kind, text)), end(), "s>x", "x>e"))


def test_nearest_name_is_offered():
    (found,) = only("JOB-TYPE-UNKNOWN", start(), service("x", "bid.remnd"), end(), "s>x", "x>e",
                    job_types=frozenset({"bid.remind", "bid.lock"}))

    assert "bid.remind" in found.en
    assert "bid.remind" in found.zh


def test_without_context_nothing_is_said_of_what_else_exists():
    rules = {each.rule for each in findings(start(), service("x", "nobody"), end(), "s>x", "x>e")}

    assert not {rule for rule in rules if rule.endswith("-UNKNOWN")}


def test_processes_of_the_same_files_are_known():
    a = diagram(process(start(), '<callActivity id="x" calledElement="q"/>', end(), "s>x", "x>e"))
    b = diagram(process(start(), end(), "s>e", id="q"))

    found = check({"a.bpmn": a, "b.bpmn": b, "form.json": b"{}"}, CheckContext(processes=frozenset()))

    assert found == ()


# --------------------------------------------------------------------------------------------------------------- all at once
def test_problems_of_all_files_are_told_at_once_by_file_and_line():
    bad = diagram(process(start(), user("x"), service("y", "t"), end(), "s>x", "y>e")).replace(b"<userTask", b"\n\n<userTask")

    found = check({"b.bpmn": bad, "a.bpmn": b"<html>", "c.bpmn": b""})

    assert {each.file for each in found} == {"a.bpmn", "b.bpmn", "c.bpmn"}
    assert [(each.file, each.line) for each in found] == sorted((each.file, each.line) for each in found)
    assert len(found) == len(set(found))


def test_a_finding_is_one_line_in_either_language():
    (found,) = only("FLOW-IN-MISSING", start(), task("x"), end(), "x>e", "s>e")

    assert line_of(found, "zh") == "a.bpmn:1: 须更正 [x] “x”没有流入线，永远不会执行。请从前一步连线到它，或删除它。 (FLOW-IN-MISSING)"
    assert line_of(found, "en").startswith('a.bpmn:1: must be mended [x] "x" has no incoming flow')


def test_lines_are_those_of_the_original_file():
    data = b'<?xml version="1.0"?>\n<!-- made by hand -->\n' + diagram(process(start(), "\n<task id='x'/>\n".strip(), end(), "s>e"))

    (found,) = [each for each in check({"a.bpmn": data}) if each.rule == "FLOW-IN-MISSING"]

    assert found.line == 3


def test_of_many_findings_of_a_rule_the_first_hundred_are_told_and_the_rest_is_counted():
    lonely = [user(f"u{n}") for n in range(250)]

    found = only("FLOW-IN-MISSING", start(), *lonely, end(), "s>e")

    assert len(found) == 101
    (rest,) = [each for each in found if each.element is None]
    assert "150" in rest.zh
    assert "150" in rest.en
    assert rest.severity is Severity.DRAFT


def test_what_is_counted_only_is_as_grave_as_the_gravest_of_it():
    lonely = [f'<exclusiveGateway id="g{n}"/>' for n in range(120)]

    found = only("GW-USELESS", start(), *(part for n in range(120) for part in (exclusive(f"x{n}"), f"s>x{n}")), *lonely, end(), "s>e")

    (rest,) = [each for each in found if each.element is None]
    assert rest.severity is Severity.DRAFT


@pytest.mark.parametrize("gateway", ["exclusiveGateway", "parallelGateway", "inclusiveGateway", "eventBasedGateway"])
def test_a_fan_of_thousands_of_branches_costs_a_bounded_amount_of_work(gateway):
    parts = [f'<{gateway} id="g"/>', '<parallelGateway id="j"/>', "s>g", "j>e"]
    for n in range(3000):
        parts += [task(f"t{n}"), f"g>t{n}", f"t{n}>j"]
    document = Document(read_diagram(diagram(process(start(), *parts, end()))), "a.bpmn", CheckContext())

    (game,) = games(document)

    assert game.net.work <= 2 * WORK


# ---------------------------------------------------------------------------------------------------------- other people's
def betsy(group: str) -> list[tuple[str, bytes]]:
    cases = json.loads((CONFORMANCE / "betsy.json").read_text("utf-8"))[group]
    return [(each["file"], (CONFORMANCE / "files/betsy" / each["file"]).read_bytes()) for each in cases]


#: Scripts and conditions of these files are in no language of ours; the runner translates them before the engine sees them.
FOREIGN = dict.fromkeys(("EXPR-SYNTAX", "SCRIPT-FORMAT", "SCRIPT-LANGUAGE", "SCRIPT-EMPTY", "EXPR-JUEL", "SERVICE-HANDLER"))


def test_models_that_must_be_refused_are_refused():
    default = [name for name, data in betsy("constraints") if not blocked(check({name: data}, CheckContext(policy=FOREIGN)))]
    strict = [name for name, data in betsy("constraints") if not blocked(check({name: data}, CheckContext(policy={**STRICT, **FOREIGN})))]

    assert len(betsy("constraints")) == 146
    assert len(default) <= 8, default
    assert not strict


def test_models_that_must_run_are_not_refused():
    told = {
        name.rsplit("/", 1)[1]: blocked(check({name: data}, CheckContext(policy=FOREIGN))) for name, data in betsy("tests")
    }

    assert {name: rules for name, rules in told.items() if rules} == {
        "LoopTask_NegativeLoopMaximum.bpmn": {"ACT-LOOP-MAX"},  # the suite wants it refused
        "Token_CompletionQuantity_Zero.bpmn": {"ACT-QUANTITY"},  # likewise
        "Token_StartQuantity_Zero.bpmn": {"ACT-QUANTITY"},
    }


def camunda() -> list[Path]:
    return sorted((CONFORMANCE / "files/camunda").rglob("*.bpmn*"))


def test_diagrams_of_another_engine_that_run_there_are_not_refused():
    told = {path.name: rules for path in camunda() if (rules := blocked(check({path.name: path.read_bytes()})))}

    assert told == {}


@pytest.mark.parametrize("name", ["psm_presale", "bid_preparation", "bid_deadline_watch"])
def test_diagrams_drawn_by_hand_are_accepted(name):
    drawn = (SHARED / f"prototypes/layout/{name}.bpmn").read_bytes()

    assert blocked(check({f"{name}.bpmn": drawn})) == set()


def slipped(data: bytes) -> list[str]:
    """Return what stops the reader although the checker would let the file pass. Other files are not at hand here."""
    if blocked(check({"a.bpmn": data})):
        return []
    document = Document(read_diagram(data), "a.bpmn", CheckContext())
    sources = [Source(key=each.get("id") or "", version=1, xml=data) for each in document.each("process")]
    stopped = []
    for element in document.each("process"):
        if element.get("isExecutable") != "true":
            continue
        try:
            compile_definition(element.get("id") or "", sources)
        except DiagramCannotRun as error:
            if "没有被调用的流程" not in error.text("zh") and "没有决策" not in error.text("zh"):
                stopped.append(error.text("en"))
    return stopped


def test_what_the_reader_cannot_run_the_checker_has_refused():
    """The reader stops at the first fault; the checker, which tells all of them, must have told one where the reader stops."""
    files = [*camunda(), *sorted((CONFORMANCE / "files/betsy").rglob("*.bpmn")), *drawn()]

    assert {path.name: found for path in files if (found := slipped(path.read_bytes()))} == {}


def drawn() -> list[Path]:
    return sorted((SHARED / "prototypes/layout").glob("*.bpmn"))


KINDS = ["startEvent", "endEvent", "task", "userTask", "receiveTask", "serviceTask", "scriptTask", "callActivity", "subProcess", "transaction", "adHocSubProcess", "exclusiveGateway", "parallelGateway", "inclusiveGateway", "eventBasedGateway", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent", "messageEventDefinition", "timerEventDefinition", "signalEventDefinition", "errorEventDefinition", "linkEventDefinition", "cancelEventDefinition", "terminateEventDefinition", "compensateEventDefinition", "timeDuration", "multiInstanceLoopCharacteristics"]


def redrawn(data: bytes, chance: random.Random) -> bytes:
    """Change one element as a careless hand would: delete, move, turn it into another kind, point it elsewhere."""
    root = etree.fromstring(data)
    elements = [each for each in root.iter("*") if str(each.tag).startswith(BPMN) and each is not root]
    one, other = chance.choice(elements), chance.choice(elements)
    match chance.randint(0, 4):
        case 0:
            one.getparent().remove(one)
        case 1 if one.attrib:
            del one.attrib[chance.choice(sorted(one.attrib))]
        case 2 if one.attrib:
            values = [*sorted({each.get("id") for each in elements if each.get("id")}), "", "true", "false", "0", "= x"]
            one.set(chance.choice(sorted(one.attrib)), chance.choice(values))
        case 3 if other is not one and one not in other.iterancestors():
            other.append(one)
        case _:
            one.tag = BPMN + chance.choice(KINDS)
    return etree.tostring(root)


@pytest.mark.parametrize("path", [*camunda()[::3], *drawn()], ids=lambda path: path.name)
def test_carelessly_redrawn_files_do_not_slip_through_to_the_reader(path):
    chance = random.Random(path.name)

    for _ in range(12):
        assert slipped(redrawn(path.read_bytes(), chance)) == []


def test_threads_share_the_schema():
    names = ["psm_presale", "bid_preparation"]
    bad = [(SHARED / f"prototypes/layout/{name}.bpmn").read_bytes().replace(b"<bpmn:endEvent", b"<bpmn:oddEvent") for name in names]
    alone = [check({"a.bpmn": each}) for each in bad]

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda n: check({"a.bpmn": bad[n % 2]}), range(16)))

    assert together == [alone[n % 2] for n in range(16)]


# ---------------------------------------------------------------------------------------------------------------- damaged
def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut, swap, repeat or overwrite pieces of a file, mostly at the borders of words."""
    for _ in range(chance.randint(1, 4)):
        cuts = [n for n, byte in enumerate(data) if byte in b'<> "=/'] or [0]
        a, b = sorted((chance.choice(cuts), chance.choice(cuts)))
        piece = data[a : min(b, a + 400)]
        match chance.randint(0, 4):
            case 0:
                data = data[:a] + data[a + len(piece):]
            case 1:
                data = data[:b] + piece + data[b:]
            case 2:
                data = data[:a] + bytes([chance.randrange(256)]) + data[a + 1 :]
            case 3:
                words = sorted({word for word in data.replace(b'"', b" ").split() if word.isalnum()}) or [b"x"]
                data = data.replace(chance.choice(words), chance.choice(words), chance.randint(1, 3))
            case _:
                data = data[: max(a, 1)]
    return data


FILES = [*camunda()[::6], *(SHARED / "prototypes/layout").glob("*.bpmn")]


@given(st.sampled_from(FILES), st.integers(0, 2**32))
def test_damaged_files_give_findings_and_never_an_exception(path, seed):
    data = damaged(path.read_bytes(), random.Random(seed))

    for finding in check({"a.bpmn": data}):
        assert isinstance(finding, Finding)
        assert line_of(finding, "zh")


@given(st.binary(max_size=300))
def test_any_bytes_give_findings(data):
    assert check({"a.bpmn": data})


@given(st.text(max_size=60))
def test_any_text_as_a_condition_gives_findings(text):
    data = diagram(process(start(), exclusive("g"), task("x"), end(), "s>g", "g>x: 1 = 1", "g>e!", "x>e"))

    check({"a.bpmn": data.replace(b"1 = 1", text.replace("<", "").replace("&", "").encode("utf-8", "ignore"))})


def test_a_message_that_nobody_takes_is_reported_at_the_border_of_a_pool_and_refused_at_a_catching_element():
    sender = process(start(), throw("t", event("message", "mA")), end(), "s>t", "t>e")
    receiver = process(start("s2"), receive("b", "mB"), end("e2"), "s2>b", "b>e2", id="q")

    def told(flow):
        xml = diagram(sender, receiver, collaboration(pool("P", "p"), pool("Q", "q"), flow))
        return {f.severity for f in check({"a.bpmn": xml}) if f.rule == "MSG-UNHEARD"}

    assert told("t~>Q") == {Severity.WARNING}
    assert told("t~>b") == {Severity.DRAFT}


def test_a_message_that_an_event_refers_to_is_known_to_be_waited_for():
    sender = process(start(), throw("t", event("message", "mA")), end(), "s>t", "t>e")
    receiver = process(start("s2"), catch("b", "<eventDefinitionRef>shared</eventDefinitionRef>"), end("e2"), "s2>b", "b>e2", id="q")
    shared = '<messageEventDefinition id="shared" messageRef="mA"/>'
    xml = diagram(shared, sender, receiver, collaboration(pool("P", "p"), pool("Q", "q"), "t~>b"))

    assert [f for f in check({"a.bpmn": xml}) if f.severity is not Severity.WARNING] == []
    assert compile_definition("p", [Source(key="p", version=1, xml=xml)]).key == "p"
