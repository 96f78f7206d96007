"""A scenario plays the scenario of a process that it calls."""

from __future__ import annotations

import json

import pytest

from engine.rehearsal import ScenarioError, read_scenario, rehearse
from tests.bpmn.build import diagram, end, parallel, process, properties, start, user


def written(library, process, name, steps):
    file = library / process / "scenarios" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"clock": "2026-03-02T09:00:00+08:00", "start": {"process": process}, "steps": steps, "expect": {}}), "utf-8")
    return file


def test_a_played_scenario_stands_for_its_steps_and_plays_others_itself(tmp_path):
    written(tmp_path, "inner", "usual", [{"complete": "inner.c"}])
    written(tmp_path, "middle", "usual", [{"complete": "middle.b"}, {"play": "inner.usual"}])
    outer = written(tmp_path, "outer", "whole", [{"complete": "outer.a"}, {"play": "middle.usual"}, {"advance": "P1D"}, {"play": "inner.usual"}])

    steps = read_scenario(outer).steps

    assert [step.get("complete", step.get("advance")) for step in steps] == ["outer.a", "middle.b", "inner.c", "P1D", "inner.c"]


def test_a_scenario_that_plays_itself_is_refused(tmp_path):
    written(tmp_path, "b", "two", [{"play": "a.one"}])
    file = written(tmp_path, "a", "one", [{"play": "b.two"}])

    with pytest.raises(ScenarioError, match=r"a\.one"):
        read_scenario(file)


def test_a_scenario_that_is_not_there_is_named(tmp_path):
    file = written(tmp_path, "a", "one", [{"play": "nobody.usual"}])

    with pytest.raises(ScenarioError, match=r"nobody\.usual"):
        read_scenario(file)


def pair(tmp_path, steps):
    """Rehearse two checks that one person may not both do."""
    offered = {"camunda_candidateGroups": "qualification_checker"}
    tasks = [user(a, properties(separateFrom=b), name=a, **offered) for a, b in (("a", "b"), ("b", "a"))]
    drawn = diagram(process(start(), parallel("f"), *tasks, parallel("j"), end(), "s>f", "f>a", "f>b", "a>j", "b>j", "j>e", id="inner"))
    file = written(tmp_path, "inner", "usual", steps)
    file.parent.parent.joinpath("inner.bpmn").write_bytes(drawn)
    text = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**text, "start": {"process": "inner", "by": "process_owner"}, "expect": {"status": "completed"}}), "utf-8")
    [run] = rehearse(tmp_path, (read_scenario(file),)).runs
    return run


def test_a_role_with_a_number_is_another_person_of_the_role(tmp_path):
    run = pair(tmp_path, [
        {"complete": "inner.a", "by": "qualification_checker"},
        {"complete": "inner.b", "by": "qualification_checker", "refused": "separation_of_duties"},
        {"complete": "inner.b", "by": "qualification_checker/2"}])  # fmt: skip

    assert run.passed, run.failure
    assert [line.who for line in run.timeline if line.text.startswith("完成")] == ["资质核查人", "资质核查人2"]


@pytest.mark.parametrize("by", ["nobody/2", "qualification_checker/", "qualification_checker/1", "qualification_checker/x"])
def test_a_person_who_is_none_is_refused(tmp_path, by):
    run = pair(tmp_path, [{"complete": "inner.a", "by": by}])

    assert "must be a role id" in run.failure
