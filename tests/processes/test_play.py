"""A scenario plays the scenario of a process that it calls."""

from __future__ import annotations

import json

import pytest

from engine.rehearsal import ScenarioError, read_scenario


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
