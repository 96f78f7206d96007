"""What is written: results.json and the RESULTS.md that follows from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import __main__ as runner
from bench import report
from bench.__main__ import BENCHES
from bench.measure import Plan, Results, percentile, ratio, shortened

FIELDS = ["id", "figure", "unit", "target", "met", "ratio_to"]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results()
    report.machine(Plan(folder=tmp_path, rounds=1), made)
    for arm, figure in (("psmflow", 6123.4), ("plain", 612.34), ("floor", 12345.6)):
        made.add(f"w1.normal.completions_per_second.{arm}", figure, "/s")
    made.add("w1.normal.completions_ratio", 9.9999, "×", target=("≥", 8.0), ratio_to="plain")
    made.add("w1.bytes_per_instance.psmflow", 2600, "bytes", target=("≤", 2500))
    made.add("w1.postgres.commits_per_completion.psmflow", 1.0, "commits", target=("=", 1))
    return made


def test_each_line_of_the_results_has_the_same_fields(results: Results) -> None:
    rows = json.loads(report.dump(results))

    assert all(list(row) == FIELDS for row in rows)
    assert {row["id"]: row["met"] for row in rows if row["target"] is not None} == {
        "w1.normal.completions_ratio": True,
        "w1.bytes_per_instance.psmflow": False,
        "w1.postgres.commits_per_completion.psmflow": True,
    }
    assert report.load(report.dump(results)) == list(results)


def test_the_page_shows_the_machine_the_targets_and_the_arms_side_by_side(results: Results) -> None:
    page = report.markdown(results)

    assert "| cores |" in page
    assert "| W1 completions per second, SQLite NORMAL | 10.0 × | plain | ≥ 8.0 | yes |" in page
    assert "| Bytes of a finished W1 with its whole history, SQLite | 2,600 bytes |  | ≤ 2,500 | no |" in page
    assert "| normal, completions per second | 6,123 /s | 612 /s | 12,346 /s |" in page
    assert str(Path.cwd()) not in page


def test_the_terminal_says_which_targets_are_missed(results: Results) -> None:
    said = report.text(results)

    assert "MISSED Bytes of a finished W1" in said
    assert "met    W1 completions per second" in said


def test_both_files_are_written(results: Results, tmp_path: Path) -> None:
    report.write(results, tmp_path)

    assert (tmp_path / "RESULTS.md").read_text("utf-8") == report.markdown(report.load((tmp_path / "results.json").read_text("utf-8")))


def test_the_page_that_is_kept_follows_from_the_results_that_are_kept() -> None:
    for file in report.HERE.glob("results.json"):  # none before the first run
        found = report.load(file.read_text("utf-8"))

        assert (report.HERE / "RESULTS.md").read_text("utf-8") == report.markdown(found)


def test_every_target_has_a_title_and_every_title_a_section() -> None:
    assert {title.partition(".")[0] for title in report.TITLES} <= set(report._SECTIONS)
    assert {"w1", "w2", "w3", "w4", "full", "clients", "inbox", "timers", "serve", "postgres", "growth", "feel"} <= set(BENCHES)


def test_ratios_are_taken_within_a_round() -> None:
    assert ratio([10.0, 1.0, 30.0], [5.0, 1.0, 3.0]) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    assert (shortened(1234.56), shortened(0.123456), shortened(12), shortened("x")) == (1235, 0.123, 12, "x")


def test_what_cannot_be_measured_keeps_the_figures_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(plan: Plan, results: Results) -> None:
        raise RuntimeError("no such machine")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "BENCHES", {"broken": ("", breaks), "sound": ("", lambda _, results: results.add("w1.sound", 1))})
    written: list[list[str]] = []
    monkeypatch.setattr(report, "write", lambda results: written.append([r.id for r in results if not r.id.startswith("machine.")]))

    assert runner.main([]) == 1
    assert runner.main(["--only", "sound"]) == 0

    assert written == [["w1.sound"]]
