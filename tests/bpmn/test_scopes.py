"""What belongs to which scope: variables, declared data, outcome, business key, conflicts; global tasks and nested calls."""

from __future__ import annotations

from engine import events as log
from engine.model import SetVariables, TokenId
from tests.bpmn.build import (
    boundary,
    call,
    diagram,
    element,
    end,
    event,
    event_sub,
    many,
    mapping,
    parallel,
    process,
    properties,
    script,
    service,
    start,
    sub,
    user,
)
from tests.bpmn.watched import KeptPlay as Play


def play(*processes: str, start: str | None = "p", **variables: object) -> Play:
    return Play(diagram(*processes), start, variables)


def passing(*entries: str) -> str:
    return f"<extensionElements>{''.join(entries)}</extensionElements>"


ONLY_IN = passing('<camunda:in source="n" target="n"/>')


def test_the_outcome_of_a_called_process_stays_there_unless_it_is_mapped_out() -> None:
    called = process(start(), end("won", properties(outcome="awarded")), "s>won", id="q")
    play(called, process(start(), call("k", "q", ONLY_IN), user("z"), "s>k", "k>z"), n=1).check("z", outcome=None)
    mapped = passing('<camunda:out source="outcome" target="result"/>')
    play(called, process(start(), call("k", "q", mapped), user("z"), "s>k", "k>z")).check("z", outcome=None, result="awarded")


def test_the_outcome_that_a_sub_process_sets_is_the_process_s_and_that_of_an_instance_is_its_own() -> None:
    won = start("s1"), end("won", properties(outcome="awarded")), "s1>won"
    play(process(start(), sub("sp", *won), user("z"), "s>sp", "sp>z")).check("z", outcome="awarded")
    gathered = properties(outputCollection="outcomes", outputElement="outcome")
    play(process(start(), sub("sp", *won, inner=gathered + many("2")), user("z"), "s>sp", "sp>z")).check(
        "z", outcome=None, outcomes=["awarded", "awarded"])


def test_only_an_end_event_of_the_process_itself_names_its_outcome() -> None:
    p = play(process(start(), sub("sp", start("s1"), end("inner"), "s1>inner"), end("outer"), "s>sp", "sp>outer"))
    assert p.first.step
    assert p.first.step.outcome == "outer"
    p = play(process(start(), end("done"), sub("sp", start("s1"), user("a"), end("inner"), "s1>a", "a>inner"), "s>done", "s>sp")).do("a")
    assert p.first.step
    assert p.first.step.outcome == "done"


def test_declared_data_is_there_from_the_start_and_hides_what_is_around() -> None:
    p = play(
        process(
            '<property id="note" name="note"/>', start(),
            sub("sp", '<property id="n1" name="n"/>', start("s1"), script("a", "{n: 5, note: 6}"), user("in"), "s1>a", "a>in"), user("z"),
            "s>sp", "sp>z"), n=1)
    [(_, token)] = p.first.user_tasks()
    assert p.variables(token) == {"n": 5, "note": 6}
    p.do("in").check("z", n=1, note=6)
    assert "note" in play(process('<property id="note" name="note"/>', start(), user("a"), "s>a")).variables()


def test_each_instance_has_its_own_declared_data() -> None:
    p = play(process(
        start(), sub("sp", '<property id="n1" name="n"/>', start("s1"), user("a"), user("b"), "s1>a", "a>b", inner=many("2")), "s>sp"))
    p.do("a", n=1).do("a", n=2)
    assert [p.variables(token)["n"] for _, token in p.first.user_tasks()] == [1, 2]


def test_branches_of_called_processes_do_not_conflict_over_their_own_variables() -> None:
    called = process(start(), script("x", "{x: n}"), "s>x", id="q")
    give = '<camunda:in sourceExpression="{}" target="n"/>'
    p = play(called, process(
        start(), parallel("f"), call("k1", "q", passing(give.format(1))), call("k2", "q", passing(give.format(2))), parallel("j"), user("z"),
        "s>f", "f>k1", "f>k2", "k1>j", "k2>j", "j>z"))
    p.check("z", x=None)
    assert not p.seen(log.WriteConflicted)


def test_branches_of_called_processes_conflict_over_what_they_give_out() -> None:
    called = process(start(), script("x", "{x: n}"), "s>x", id="q")
    give = '<camunda:in sourceExpression="{}" target="n"/><camunda:out source="x" target="x"/>'
    p = play(called, process(
        start(), parallel("f"), call("k1", "q", passing(give.format(1))), call("k2", "q", passing(give.format(2))), parallel("j"), user("z"),
        "s>f", "f>k1", "f>k2", "k1>j", "k2>j", "j>z"))
    assert [(e.element, e.name) for e in p.check("z").seen(log.WriteConflicted)] == [("j", "x")]


def test_branches_of_instances_do_not_conflict_over_what_the_instances_keep_to_themselves() -> None:
    def lots(id: str, value: str) -> str:
        return sub(id, start(f"s{id}"), script(f"x{id}", f"{{x: {value}}}"), f"s{id}>x{id}", inner=many("1"))

    p = play(process(
        start(), parallel("f"), lots("a", "1"), lots("b", "2"), parallel("j"), user("z"), "s>f", "f>a", "f>b", "a>j", "b>j", "j>z"))
    p.check("z", x=None)
    assert not p.seen(log.WriteConflicted)


def test_inputs_of_the_same_name_in_two_branches_do_not_conflict() -> None:
    p = play(process(
        start(), parallel("f"), user("a", mapping({"limit": "1"})), user("b", mapping({"limit": "2"})), parallel("j"), user("z"), "s>f", "f>a",
        "f>b", "a>j", "b>j", "j>z"))
    p.do("a", "b").check("z")
    assert not p.seen(log.WriteConflicted)


def test_instances_that_write_a_variable_of_the_process_conflict_with_the_branch_beside() -> None:
    p = play(
        process(
            start(), parallel("f"), script("a", "{x: loopCounter}", many("1")), script("b", "{x: 7}"), parallel("j"), user("z"), "s>f",
            "f>a", "f>b", "a>j", "b>j", "j>z"), x=0)
    assert [e.name for e in p.check("z").seen(log.WriteConflicted)] == ["x"]


def test_what_a_boundary_path_wrote_conflicts_as_its_branch_would() -> None:
    p = play(process(
        start(), parallel("f"), user("a"), boundary("b", "a", event("message", "mA")), script("y", "{x: 1}"), script("c", "{x: 2}"),
        parallel("j"), user("z"), "s>f", "f>a", "f>c", "b>y", "y>j", "c>j", "j>z"))
    p.message("mA")
    assert [e.name for e in p.check("z").seen(log.WriteConflicted)] == ["x"]


def test_the_business_key_goes_into_a_call_unless_it_gives_another() -> None:
    called = process(start(), element("receiveTask", "r", messageRef="mA"), "s>r", id="q")

    def keys(inner: str) -> list[str]:
        p = Play(diagram(called, process(start(), call("k", "q", inner), "s>k")), "p", {"lot": 7}, business_key="PSM-7")
        assert p.first.step
        return [s.correlation_key for s in p.first.step.subscriptions]

    assert keys("") == ["PSM-7"]
    assert keys(passing('<camunda:in businessKey="= lot"/>')) == ["7"]
    assert keys(passing('<camunda:in businessKey="= none"/>')) == [""]


def test_a_call_with_a_mapping_takes_in_what_it_says_and_nothing_else() -> None:
    called = process(start(), user("in"), "s>in", id="q")
    p = play(called, process(start(), call("k", "q", ONLY_IN), user("z"), "s>k", "k>z"), n=1, secret=2)
    [(_, token)] = p.first.user_tasks()
    assert p.variables(token) == {"n": 1}
    p.do("in", n=5, found=6).check("z", n=1, found=None)


def test_a_call_that_passes_all_variables_passes_no_loop_counters() -> None:
    every = passing('<camunda:in variables="all"/>', '<camunda:out variables="all"/>')
    called = process(start(), user("in"), "s>in", id="q")
    p = play(called, process(start(), sub("sp", start("s1"), call("k", "q", every), "s1>k", inner=many("1")), user("z"), "s>sp", "sp>z"), n=1)
    [(_, token)] = p.first.user_tasks()
    assert p.variables(token) == {"n": 1}
    p.do("in", n=2).check("z", n=2, loopCounter=None)


def test_a_called_process_sees_nothing_of_its_caller_after_a_reload() -> None:
    called = process(start(), user("in"), user("in2"), "s>in", "in>in2", id="q")
    p = play(called, process(start(), call("k", "q", ONLY_IN), "s>k"), n=1, secret=2).do("in", m=3)
    [(_, token)] = p.first.user_tasks()
    assert p.variables(token) == {"n": 1, "m": 3}


def test_inputs_are_seen_by_the_task_alone() -> None:
    p = play(
        process(start(), parallel("f"), user("a", mapping({"limit": "n * 2"})), user("b"), "s>f", "f>a", "f>b"), n=4)
    a, b = (token for _, token in p.first.user_tasks())
    assert p.variables(a)["limit"] == 8
    assert "limit" not in p.variables(b)
    assert "limit" not in p.variables()


def test_an_output_mapping_gives_out_what_it_names_and_nothing_else() -> None:
    p = play(process(start(), user("a", mapping({"x": "1"}, {"x": "given + x", "y": '"text"'})), user("z"), "s>a", "a>z"))
    p.do("a", given=5, other=6).check("z", x=6, y="text", given=None, other=None)


def test_a_job_with_inputs_sees_those_alone() -> None:
    p = play(process(start(), service("a", "work", mapping({"q": "n + 1"})), "s>a"), n=1, secret=2)
    assert [job.values for job in p.first.jobs.values()] == [{"q": 2}]


def test_a_change_of_kind_is_a_change() -> None:
    p = play(process(start(), user("a"), user("z"), "s>a", "a>z"), x=1, y=[1]).do("a", x=True, y=[True])
    assert p.variables() == {"x": True, "y": [True]}
    assert p.variables()["x"] is True


def test_a_new_variable_of_a_sub_process_is_one_of_the_process() -> None:
    play(process(start(), sub("sp", start("s1"), user("a"), "s1>a"), user("z"), "s>sp", "sp>z")).do("a", found=5).check("z", found=5)


def test_a_write_reaches_the_variable_of_the_nearest_scope_that_has_it() -> None:
    p = play(
        process(
            start(), sub("sp", start("s1"), sub("sq", start("s2"), user("a"), user("b"), "s2>a", "a>b"), "s1>sq",
                         inner=many(collection="lots", item="lot")), user("z"), "s>sp", "sp>z"), lots=["A"], total=0)
    p.do("a", lot="B", total=5)
    [(_, token)] = p.first.user_tasks()
    assert (p.variables(token)["lot"], p.variables()["lots"], p.variables()["total"]) == ("B", ["A"], 5)
    assert "lot" not in p.variables()


def test_a_payload_of_one_run_of_an_event_sub_process_is_not_seen_by_the_next() -> None:
    p = play(process(start(), user("a"), "s>a", event_sub(
        "q", start("s1", event("message", "mA"), isInterrupting="false"), user("h"), "s1>h")))
    p.message("mA", question=1).message("mA", other=2)
    first, second = (token for name, token in p.first.user_tasks() if name == "h")
    assert (p.variables(first).get("question"), p.variables(second).get("question")) == (1, None)
    assert p.variables() == {}


def test_the_payload_of_an_interrupting_event_sub_process_is_the_scope_s() -> None:
    p = play(process(start(), user("a"), "s>a", event_sub("q", start("s1", event("message", "mA")), user("h"), "s1>h")))
    p.message("mA", question=1).check("h", question=1)


def test_a_person_mends_the_variables_of_one_instance() -> None:
    p = play(process(start(), sub("sp", start("s1"), user("a"), "s1>a", inner=many(collection="lots", item="lot")), "s>sp"), lots=["A", "B"])
    first, second = (token for _, token in p.first.user_tasks())
    instance = next(e.scope for e in p.seen(log.ActivityStarted) if e.token == first)
    assert instance is not None
    p.send(p.first, SetVariables(values={"lot": "C"}, scope=TokenId(instance)))
    assert [p.variables(t)["lot"] for t in (first, second)] == ["C", "B"]


def test_a_global_task_is_called_like_a_process() -> None:
    xml = diagram(
        '<globalUserTask id="ask" name="ask"/>', '<globalScriptTask id="sum" scriptFormat="feel"><script>{n: n + 1}</script></globalScriptTask>',
        process(start(), call("k", "ask"), call("m", "sum"), user("z"), "s>k", "k>m", "m>z"))
    p = Play(xml, "p", {"n": 1})
    p.check("ask").do("ask").check("z", n=2)
