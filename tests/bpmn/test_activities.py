"""What each activity says of itself: fields of user tasks, jobs, decisions, messages; what a diagram offers and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import events as log
from engine.bpmn import DiagramCannotRun, compile_definition, describe
from engine.errors import InvalidDiagram, NotFound, TaskNotOpen, WrongState
from engine.model import (
    CancelInstance,
    CompleteJob,
    CompleteUserTask,
    FireTimers,
    InstanceStatus,
    Source,
    StartInstance,
    TokenId,
)
from tests.bpmn.build import (
    boundary,
    call,
    catch,
    diagram,
    element,
    end,
    event,
    event_sub,
    events,
    exclusive,
    many,
    parallel,
    process,
    properties,
    receive,
    service,
    start,
    sub,
    task,
    throw,
    timer,
    user,
)
from tests.bpmn.play import MONDAY
from tests.bpmn.watched import KeptPlay as Play


def play(*processes: str, **variables: object) -> Play:
    return Play(diagram(*processes), "p", variables)


# --------------------------------------------------------------------------------------------------------------- user tasks
def test_a_user_task_carries_all_its_fields() -> None:
    fields = properties(
        workingDue="3", deadline="= closing_at", separateFrom="draft, check", separationRule="SOD-04", hint='= "for " + bidder')
    p = play(
        process(
            start(),
            user("a", fields, name="编制标书", camunda_formKey="bid.a", camunda_assignee="= owner",
                 camunda_candidateGroups="presales, bidding", camunda_candidateUsers="= reviewers", camunda_priority="80",
                 camunda_followUpDate="2026-01-06T09:00:00"),
            "s>a"),
        owner="li", reviewers=["wang", "zhao"], closing_at=MONDAY + timedelta(days=9), bidder="X")

    [created] = p.seen(log.UserTaskCreated)
    assert created.name == "编制标书"
    assert (created.form, created.assignee, created.priority) == ("bid.a", "li", 80)
    assert (created.candidate_groups, created.candidate_users) == (("presales", "bidding"), ("wang", "zhao"))
    assert created.due_at == MONDAY + timedelta(days=3)  # Thursday
    assert created.deadline_at == MONDAY + timedelta(days=9)
    assert created.follow_up_at is not None
    assert created.follow_up_at.isoformat() == "2026-01-06T01:00:00+00:00"
    assert created.properties == {"separateFrom": "draft, check", "separationRule": "SOD-04", "hint": "for X"}


def test_without_a_date_a_user_task_is_due_in_two_working_days() -> None:
    [created] = play(process(start(), user("a"), "s>a")).seen(log.UserTaskCreated)

    assert created.due_at == MONDAY + timedelta(days=2)


def test_a_due_date_may_be_a_duration() -> None:
    [created] = play(process(start(), user("a", camunda_dueDate="PT4H"), "s>a")).seen(log.UserTaskCreated)

    assert created.due_at == MONDAY + timedelta(hours=4)


def test_each_instance_of_a_multi_instance_task_has_its_own_assignee() -> None:
    p = play(
        process(start(), user("a", many(collection="people", item="person"), camunda_assignee="= person"), "s>a"),
        people=["li", "wang"])

    assert [e.assignee for e in p.seen(log.UserTaskCreated)] == ["li", "wang"]
    hosts = {e.host for e in p.seen(log.ActivityStarted) if e.element == "a"}
    assert len(hosts - {None}) == 1


# --------------------------------------------------------------------------------------------------------------------- jobs
def test_a_job_carries_its_input_retries_and_properties() -> None:
    inner = (
        '<extensionElements><camunda:properties><camunda:property name="channel" value="= c"/></camunda:properties>'
        "<camunda:failedJobRetryTimeCycle>R5/PT10M</camunda:failedJobRetryTimeCycle></extensionElements>")
    p = play(process(start(), service("a", "bid.remind", inner), "s>a"), c="mail", n=1)

    [job] = p.first.jobs.values()
    assert (job.type, job.retries, job.values, job.properties) == ("bid.remind", "R5/PT10M", {"c": "mail", "n": 1}, {"channel": "mail"})
    assert [e.job_type for e in p.seen(log.JobCreated)] == ["bid.remind"]


def test_an_interrupted_job_is_cancelled_and_its_late_answer_refused() -> None:
    p = play(process(start(), service("a"), boundary("b", "a", timer("timeDuration", "PT1H")), user("y"), "s>a", "b>y"))
    [job] = p.first.jobs.values()
    p.wait(3601).check("y")

    assert [e.token for e in p.seen(log.JobCancelled)] == [job.token]
    with pytest.raises(NotFound):
        p.send(p.first, CompleteJob(token=job.token))


def test_a_send_task_with_a_topic_is_a_job() -> None:
    p = play(process(start(), element("sendTask", "a", camunda_type="external", camunda_topic="mail.send"), "s>a"))

    assert [job.type for job in p.first.jobs.values()] == ["mail.send"]


# ---------------------------------------------------------------------------------------------------------------- decisions
DMN = b"""<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="t">
<decision id="level" name="level"><variable name="level"/><decisionTable hitPolicy="FIRST">
<input id="i"><inputExpression><text>amount</text></inputExpression></input><output id="o" name="level"/>
<rule id="r1"><inputEntry><text>&gt; 100</text></inputEntry><outputEntry><text>"high"</text></outputEntry></rule>
<rule id="r2"><inputEntry><text>&lt;= 100</text></inputEntry><outputEntry><text>"low"</text></outputEntry></rule>
</decisionTable></decision></definitions>"""


def rule_task(shape: str | None = "singleEntry", variable: str = "level") -> str:
    words = {"camunda_decisionRef": "level", "camunda_resultVariable": variable}
    if shape:
        words["camunda_mapDecisionResult"] = shape
    return element("businessRuleTask", "r", **words)


@pytest.mark.parametrize(
    ("shape", "value"), [("singleEntry", "high"), (None, "high"), ("collectEntries", ["high"]), ("resultList", ["high"])])
def test_a_decision_gives_its_result_in_the_shape_asked_for(shape: str | None, value: object) -> None:
    xml = diagram(process(start(), rule_task(shape), user("z"), "s>r", "r>z"))
    p = Play(xml, "p", {"amount": 500}, decisions={"level.dmn": DMN})

    p.check("z", level=value)
    [evaluated] = p.seen(log.DecisionEvaluated)
    assert (evaluated.decision, evaluated.rules, dict(evaluated.inputs)) == ("level", (1,), {"amount": 500})
    assert len(evaluated.sha256) == 64


def decision(logic: str) -> bytes:
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="m" namespace="urn:m">'
        f'<decision id="level" name="level"><variable name="level"/>{logic}</decision></definitions>').encode()


def cells(policy: str, *outputs: str) -> bytes:
    rules = "".join(f"<rule><outputEntry><text>{text}</text></outputEntry></rule>" for text in outputs)
    return decision(f'<decisionTable hitPolicy="{policy}"><output name="r"/>{rules}</decisionTable>')


@pytest.mark.parametrize(("shape", "dmn", "value"), [
    ("singleEntry", cells("UNIQUE", "[1, 2]"), [1, 2]),
    ("singleResult", cells("FIRST", "[1, 2]", "3"), [1, 2]),
    ("singleEntry", cells("UNIQUE", "[1]"), [1]),
    ("singleEntry", cells("COLLECT", "[1, 2]"), [1, 2]),
    ("singleEntry", cells("RULE ORDER", "1"), 1),
    ("collectEntries", cells("UNIQUE", "[1, 2]"), [[1, 2]]),
    ("resultList", cells("COLLECT", "[1, 2]", "3"), [[1, 2], 3]),
    ("singleEntry", decision("<literalExpression><text>[1, 2]</text></literalExpression>"), [1, 2]),
    ("collectEntries", decision("<literalExpression><text>[1, 2]</text></literalExpression>"), [1, 2]),
])  # fmt: skip
def test_the_hit_policy_tells_a_result_that_is_a_list_from_a_list_of_results(shape: str, dmn: bytes, value: object) -> None:
    p = Play(diagram(process(start(), rule_task(shape), user("z"), "s>r", "r>z")), "p", {}, decisions={"level.dmn": dmn})

    p.check("z", level=value)


def test_several_results_where_one_is_wanted_are_an_incident() -> None:
    xml = diagram(process(start(), rule_task("singleEntry"), user("z"), "s>r", "r>z"))
    p = Play(xml, "p", {}, decisions={"level.dmn": cells("COLLECT", "1", "2")})

    assert [element for element, _ in p.incidents] == ["r"]


def test_a_decision_without_a_match_is_recorded_as_null() -> None:
    p = Play(diagram(process(start(), rule_task(), user("z"), "s>r", "r>z")), "p", {}, decisions={"level.dmn": DMN})

    assert p.variables() == {"level": None}
    assert [e.element for e in p.seen(log.ExpressionWasNull)] == ["r"]


# ----------------------------------------------------------------------------------------------------- messages and the rest
def test_subscriptions_say_who_may_send_and_by_which_form() -> None:
    fields = properties(candidateGroups="presales, bidding", form="p.asked", correlationKey="tender")
    p = play(
        process(
            start(), user("a"), boundary("b", "a", event("message", "mB"), cancelActivity="false"), "s>a", end(), "b>e",
            event_sub("q", start("s1", fields + event("message", "mA"), isInterrupting="false"), user("h"), "s1>h")),
        tender="T-1")
    assert p.first.step

    found = {s.name: s for s in p.first.step.subscriptions}
    asked = found["mA"]
    assert (asked.element, asked.form, asked.candidate_groups) == ("s1", "p.asked", frozenset({"presales", "bidding"}))
    assert asked.correlation_key == "T-1"
    assert found["mB"].element == "b"


def test_a_correlation_key_that_comes_later_opens_the_subscription_then() -> None:
    p = play(process(
        start(), user("a"), "s>a",
        event_sub("q", start("s1", properties(correlationKey="tender") + event("message", "mA")), user("h"), "s1>h")))
    assert p.subscriptions("mA") == []

    p.set(tender=12)
    assert [s.correlation_key for _, s in p.subscriptions("mA")] == ["12"]


def test_subscriptions_are_no_arrivals() -> None:
    p = play(process(
        start(), user("a"), boundary("b", "a", timer("timeDuration", "PT1H")), end(), "s>a", "b>e", "a>e",
        event_sub("q", start("s1", event("message", "mA")), user("h"), "s1>h")))

    assert [e.element for e in p.seen(log.ActivityStarted)] == ["s", "a"]
    p.do("a").check("", True)
    assert not p.seen(log.ActivityCancelled)
    assert len(p.seen(log.TimerCancelled)) == 1


def test_a_message_that_nobody_inside_catches_goes_out() -> None:
    p = play(
        process(start(), throw("t", properties(payload="{n: 1}", correlationKey="key") + event("message", "mA")), end(), "s>t",
                "t>e"),
        key="K")
    assert p.first.step

    [thrown] = p.first.step.thrown
    assert (thrown.name, thrown.correlation_key, thrown.payload) == ("mA", "K", {"n": 1})


def test_an_instance_is_started_by_its_message_start_event() -> None:
    xml = diagram(process(start("s0"), start("s2", event("message", "mA")), user("a"), user("b"), "s0>a", "s2>b"))
    p = Play(xml, None)
    p.start("p", {"offer": 1}, start_event="s2")
    p.check("b", offer=1)

    with pytest.raises(NotFound):
        p.start("p", {}, start_event="nowhere")


def test_the_outcome_is_the_variable_or_the_last_end_event() -> None:
    p = play(process(start(), user("a"), end("done"), "s>a", "a>done")).do("a")
    assert p.first.step
    assert p.first.step.outcome == "done"
    p = play(process(start(), end("e", properties(outcome='= "won by " + who')), "s>e"), who="us")
    assert p.first.step
    assert p.first.step.outcome == "won by us"


def test_cancelling_ends_everything_that_is_open() -> None:
    p = play(process(
        start(), parallel("f"), user("a"), service("b"), catch("c", timer("timeDuration", "PT1H")), call("k", "q"), "s>f",
        "f>a", "f>b", "f>c", "f>k"), process(start(), user("w"), "s>w", id="q"))

    step = p.send(p.first, CancelInstance(reason="withdrawn"))

    assert step.status is InstanceStatus.CANCELLED
    assert not (step.timers)
    assert not (step.subscriptions)
    assert sorted(e.element for e in p.seen(log.UserTaskCancelled)) == ["a", "w"]
    assert isinstance(step.events[-1], log.InstanceCancelled)
    with pytest.raises(WrongState):
        p.send(p.first, FireTimers())
    with pytest.raises(TaskNotOpen):
        p.send(p.first, CompleteUserTask(token=TokenId(3), values={}))


def test_an_instance_is_started_once() -> None:
    p = play(process(start(), user("a"), "s>a"))

    with pytest.raises(WrongState):
        p.send(p.first, StartInstance())


# ------------------------------------------------------------------------------------------------------------------ reading
def test_describe_says_what_deployment_and_start_page_need() -> None:
    xml = diagram(
        process(
            "<documentation>售前立项</documentation>", start("s0", camunda_formKey="p.start"), start("s2", event("message", "mA")),
            user("a", camunda_formKey="p.a", camunda_candidateGroups="presales,bidding"), service("b", "bid.remind"),
            call("k", "q"), element("businessRuleTask", "r", camunda_decisionRef="level"),
            receive("w", "mB", properties(form="p.w", candidateGroups="legal")), "s0>a", "a>b", "b>k", "k>r", "r>w", "s2>b",
            name="立项", camunda_versionTag="1.2", camunda_candidateStarterGroups="presales"),
        process(start("s3", event("signal", "sA")), task("x"), "s3>x", id="q"),
        process(start(), "s>y", task("y"), id="hidden").replace('isExecutable="true"', 'isExecutable="false"'))

    info, other = describe(xml)

    assert (info.key, info.name, info.version_tag, info.documentation) == ("p", "立项", "1.2", "售前立项")
    assert (info.startable, info.start_form, info.start_messages) == (True, "p.start", frozenset({"mA"}))
    assert (info.calls, info.decisions, info.job_types) == (frozenset({"q"}), frozenset({"level"}), frozenset({"bid.remind"}))
    assert info.forms == {"p.start", "p.a", "p.w"}
    assert info.groups == {"presales", "bidding", "legal"}
    assert info.starter_groups == {"presales"}
    assert (other.key, other.startable) == ("q", False)


def test_the_versions_of_all_called_processes_are_pinned() -> None:
    caller = diagram(process(start(), call("k", "q"), "s>k"))
    called = diagram(process(start(), task("x"), "s>x", id="q"))
    other = diagram(process(start(), task("x"), "s>x", id="r"))

    definition = compile_definition(
        "p", [Source(key="p", version=3, xml=caller), Source(key="q", version=7, xml=called), Source(key="r", version=1, xml=other)])

    assert definition.versions == {"p": 3, "q": 7}


REFUSED = {
    "an unknown callee": (call("x", "nowhere"), "nowhere"),
    "a service task without a job type": (element("serviceTask", "x"), "topic"),
    "a script in another language": (element("scriptTask", "x", "<script>1</script>", scriptFormat="groovy"), "groovy"),
    "an expression that is no FEEL": (user("x", camunda_assignee="= a +"), "a +"),
    "a timer without a time": (catch("x", event("timer")), "time"),
    "a bad duration": (catch("x", timer("timeDuration", "P1X")), "P1X"),
    "a message event without a message": (catch("x", event("message")), "message"),
    "a decision that does not exist": (element("businessRuleTask", "x", camunda_decisionRef="none"), "none"),
    "complex multi-instance behaviour without a definition": (
        user("x", '<multiInstanceLoopCharacteristics behavior="Complex"><loopCardinality>2</loopCardinality>'
                  "</multiInstanceLoopCharacteristics>"), "complex"),
    "complex multi-instance behaviour without a condition": (
        user("x", '<multiInstanceLoopCharacteristics behavior="Complex"><loopCardinality>2</loopCardinality>'
                  "<complexBehaviorDefinition/></multiInstanceLoopCharacteristics>"), "condition"),
    "an instance that throws a timer": (
        user("x", '<multiInstanceLoopCharacteristics behavior="Complex"><loopCardinality>2</loopCardinality>'
                  "<complexBehaviorDefinition><condition>true</condition><event>" + timer("timeDuration", "PT1H")
                  + "</event></complexBehaviorDefinition></multiInstanceLoopCharacteristics>"), "timer"),
    "a loop without end": (user("x", "<standardLoopCharacteristics/>"), "condition"),
    "a choreography task": (element("choreographyTask", "x"), "choreographyTask"),
    "an event sub-process without a trigger": (event_sub("x", start("s1"), task("y"), "s1>y"), "start event"),
    "a sub-process with a trigger": (sub("x", start("s1", event("message", "mA")), task("y"), "s1>y"), "trigger"),
    "a link without target": (throw("x", '<linkEventDefinition name="L"/>'), "L"),
    "an event gateway before a task": (events("x") + task("y") + '<sequenceFlow id="f9" sourceRef="x" targetRef="y"/>', "event gateway"),
    "a data association with an unknown item": (
        task("x", "<dataInputAssociation><targetRef>v</targetRef><assignment><from>1</from><to>v</to></assignment>"
                  "</dataInputAssociation>"), "item v"),
    "an assignment to what is no variable": (
        task("x", '<property id="v"/><dataInputAssociation><targetRef>v</targetRef><assignment><from>1</from><to>v + 1</to>'
                  "</assignment></dataInputAssociation>"), "v + 1"),
    "an input association that leads elsewhere": (
        task("x", "<dataInputAssociation><sourceRef>o</sourceRef><targetRef>o</targetRef></dataInputAssociation>")
        + '<dataObject id="o"/>', "property"),
    "an association with a data store": (
        task("x", '<property id="v"/><dataInputAssociation><sourceRef>d</sourceRef><targetRef>v</targetRef></dataInputAssociation>')
        + '<dataStoreReference id="d"/>', "data store"),
    "several sources without a transformation": (
        task("x", '<property id="v"/><dataInputAssociation><sourceRef>o</sourceRef><sourceRef>o2</sourceRef><targetRef>v</targetRef>'
                  "</dataInputAssociation>") + '<dataObject id="o"/><dataObject id="o2"/>', "transformation"),
    "data that go with a timer": (
        catch("x", '<dataOutput id="d"/><dataOutputAssociation><sourceRef>d</sourceRef><targetRef>o</targetRef>'
                   "</dataOutputAssociation>" + timer("timeDuration", "PT1H")) + '<dataObject id="o"/>', "data"),
    "data that go with an escalation": (
        throw("x", '<dataInput id="d"/><dataInputAssociation><sourceRef>o</sourceRef><targetRef>d</targetRef>'
                   "</dataInputAssociation>" + event("escalation", "xA")) + '<dataObject id="o"/>', "data"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_run_is_refused_with_element_and_line(case: str) -> None:
    part, word = REFUSED[case]
    xml = diagram("\n\n" + process(start(), exclusive("g"), "s>g", part))

    with pytest.raises(InvalidDiagram) as refusal:
        compile_definition("p", [Source(key="p", version=1, xml=xml)])

    assert isinstance(refusal.value, DiagramCannotRun)
    [finding] = refusal.value.findings
    assert finding.line == 3  # type: ignore[attr-defined]
    assert finding.element in ("x", "y", "s1")  # type: ignore[attr-defined]
    assert word in str(refusal.value)
    assert finding.zh and finding.mend_zh  # type: ignore[attr-defined] # noqa: PT018


def test_expressions_of_camunda_7_are_translated_where_they_have_a_meaning() -> None:
    p = play(
        process(start(), exclusive("g"), user("y"), user("z"), "s>g", "g>y: ${amount == 5 && !closed}", "g>z!"), amount=5,
        closed=False)
    p.check("y")
    with pytest.raises(DiagramCannotRun):
        play(process(start(), exclusive("g"), user("y"), user("z"), "s>g", "g>y: ${bean.call(x)}", "g>z!"))


def test_a_file_with_an_entity_is_not_read() -> None:
    xml = b'<!DOCTYPE d [<!ENTITY a "b">]>' + diagram(process(start(), task("x"), "s>x"))

    with pytest.raises(InvalidDiagram):
        describe(xml)
