"""Every arm does the same work: else no figure says anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import workloads
from bench.arms import Arm, sqlite_arms
from bench.measure import counted_statements, file_bytes, in_turn, run_instances

VARIABLES = {key: {**workloads.START, "limit": 4} if key == "w4" else workloads.START for key in workloads.PROCESSES}


def walked(arm: Arm, key: str) -> list[list[str]]:
    """Run an instance to its end; return which user tasks were open before each completion."""
    instance, path = arm.start(key, VARIABLES[key]), []
    while waiting := arm.open_tasks(instance):
        path.append([element for element, _ in waiting])
        arm.complete(waiting[0][1], workloads.answer(len(path)))
    assert arm.is_finished(instance)
    return path


@pytest.mark.parametrize(("key", "completions"), [("w1", 2), ("w2", 12), ("w3", 0), ("w4", 4), ("wt", 1), ("wi", 10)])
def test_every_arm_walks_the_same_way_to_the_end(tmp_path: Path, key: str, completions: int) -> None:
    arms = sqlite_arms(tmp_path, "NORMAL")

    paths = {arm.name: walked(arm, key) for arm in arms}
    for arm in arms:
        arm.close()

    assert paths["psmflow"] == paths["plain"] == paths["floor"]
    assert len(paths["floor"]) == completions


def test_an_instance_waits_until_its_tasks_are_done(tmp_path: Path) -> None:
    for arm in sqlite_arms(tmp_path, "NORMAL"):
        instance = arm.start("w1", workloads.START)

        assert not arm.is_finished(instance)
        assert [element for element, _ in arm.open_tasks(instance)] == ["a"]
        arm.close()


def test_rounds_time_every_start_and_completion(tmp_path: Path) -> None:
    arms = sqlite_arms(tmp_path, "NORMAL", ("plain", "floor"))

    taken = in_turn(arms, 2, lambda arm: run_instances(arm, "w1", 3, workloads.START))
    for arm in arms:
        arm.close()

    assert {name: [(len(t.starts), len(t.completions)) for t in turns] for name, turns in taken.items()} == {
        "plain": [(3, 6)] * 2,
        "floor": [(3, 6)] * 2,
    }


def test_every_completion_is_one_commit_and_grows_the_file(tmp_path: Path) -> None:
    with counted_statements() as counts:
        for arm in sqlite_arms(tmp_path, "NORMAL"):
            assert arm.file is not None
            (_, task), *_ = arm.open_tasks(arm.start("w1", workloads.START))
            before = counts["commits"], counts["statements"], file_bytes(arm.file)

            arm.complete(task, workloads.answer(1))

            assert counts["commits"] == before[0] + 1
            assert counts["statements"] > before[1] + 3
            run_instances(arm, "w1", 30, workloads.START)
            assert file_bytes(arm.file) > before[2]
            arm.close()


def test_the_data_is_of_the_size_that_is_told() -> None:
    import json

    start, answer = (len(json.dumps(values, ensure_ascii=False).encode()) for values in (workloads.START, workloads.answer(1)))

    assert len(workloads.START) == 8
    assert 650 < start < 780
    assert 130 < answer < 190
