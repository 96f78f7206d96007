"""What happens when an element of the diagram fails: its token is parked, the rest of the command stands, a person retries."""

from __future__ import annotations

import pytest

from engine import events as log
from engine.errors import NotFound
from engine.model import InstanceStatus, RetryElement, TokenId
from tests.bpmn.build import (
    boundary,
    catch,
    diagram,
    end,
    event,
    exclusive,
    inclusive,
    many,
    mapping,
    parallel,
    process,
    properties,
    receive,
    script,
    service,
    start,
    sub,
    timer,
    user,
)
from tests.bpmn.folds import fold
from tests.bpmn.watched import KeptPlay as Play


def play(*processes: str, **variables: object) -> Play:
    return Play(diagram(*processes), "p", variables)


GATE = process(
    start(), user("a"), exclusive("g"), end("low"), end("high"), "s>a", "a>g", "g>high: amount > 100", "g>low!")


def test_a_null_condition_does_not_slide_down_the_default_flow() -> None:
    p = play(GATE).do("a")

    assert p.incidents == [("g", "null_condition")]
    assert "amount > 100" in p.seen(log.IncidentOpened)[0].message
    assert p.seen(log.ExpressionWasNull)[0].element == "g"
    assert not [e for e in p.seen(log.FlowTaken) if e.element == "g"]

    p.set(amount=500)
    assert p.incidents == [("g", "null_condition")]
    p.retry("g")
    assert p.incidents == []
    assert p.first.status is InstanceStatus.COMPLETED
    assert p.first.step
    assert p.first.step.outcome == "high"


def test_a_retry_that_fails_again_opens_a_new_incident() -> None:
    p = play(GATE).do("a").retry("g")

    assert p.incidents == [("g", "null_condition")]
    assert len(p.seen(log.IncidentOpened)) == 2
    assert len(p.seen(log.IncidentResolved)) == 1


def test_no_flow_to_take_is_an_incident() -> None:
    p = play(process(start(), user("a"), exclusive("g"), end(), "s>a", "a>g", "g>e: ok"), ok=False).do("a")

    assert p.incidents == [("g", "no_flow")]
    assert not p.set(ok=True).retry("g").incidents
    p.check("", True)


def test_an_inclusive_gateway_with_a_null_condition_waits_for_a_person() -> None:
    p = play(process(start(), inclusive("g"), user("a"), user("b"), "s>g", "g>a: x > 1", "g>b!"))

    assert p.incidents == [("g", "null_condition")]
    p.set(x=2).retry("g")
    assert p.open == "a"


def test_an_activity_whose_way_out_fails_stays_completed() -> None:
    p = play(process(
        start(), user("a"), boundary("b", "a", timer("timeDuration", "PT1H")), end("e1"), end("e2"), "s>a", "a>e1: x = 1",
        "a>e2: x > 1", "b>e2")).do("a")

    assert p.incidents == [("a", "no_flow")]
    assert [e.element for e in p.seen(log.ActivityCompleted)] == ["s", "a"]
    assert p.seen(log.TimerCancelled)
    assert p.first.step
    assert not p.first.step.timers
    p.set(x=2).retry("a").check("", True)
    assert [e.element for e in p.seen(log.ActivityCompleted)].count("a") == 1


def test_what_fails_in_one_branch_does_not_lose_the_other() -> None:
    p = play(
        process(
            start(), parallel("f"), script("good", "{n: n + 1}"), user("bad", many(collection="bidders")), user("z"), "s>f",
            "f>bad", "f>good", "good>z"),
        n=1,
    )

    assert p.incidents == [("bad", "expression")]
    assert "bidders" in p.seen(log.IncidentOpened)[0].message
    assert p.open == "z"
    assert p.variables()["n"] == 2
    p.set(bidders=["x", "y"]).retry("bad")
    assert p.open == "bad bad z"
    assert [e.element for e in p.seen(log.ActivityStarted)].count("bad") == 3


def test_a_timer_with_a_bad_time_parks_its_event_and_nothing_else() -> None:
    p = play(
        process(start(), user("a"), boundary("b", "a", timer("timeDate", "= closing_at")), user("late"), end(), "s>a", "a>e",
                "b>late"),
        closing_at="soon")

    assert p.incidents == [("b", "expression")]
    assert p.open == "a"
    token = next(e.token for e in p.seen(log.IncidentOpened))
    p.set(closing_at=None)
    assert p.incidents == [("b", "expression")]
    p.set(closing_at="2026-01-05T12:00:00+08:00")
    assert not p.incidents
    p.send(p.first, RetryElement(token=token))
    assert len(p.seen(log.TimerScheduled)) == 1
    p.wait(3 * 3600 + 1).check("late")


def test_a_catching_timer_without_a_time_is_an_incident() -> None:
    p = play(process(start(), catch("c", timer("timeDate", "= closing_at")), user("z"), "s>c", "c>z"))

    assert p.incidents == [("c", "expression")]
    p.set(closing_at="2026-01-05T12:00:00+08:00").retry("c").wait(3 * 3600).check("z")


def test_an_activity_that_is_cancelled_resolves_its_incident() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), exclusive("g"), end("e1"), "s1>g", "g>e1: x > 1"),
        boundary("b", "sp", event("message", "mA")), end(), "s>sp", "sp>e", "b>e"))

    assert p.incidents == [("g", "no_flow")]
    p.message("mA").check("", True)
    assert p.seen(log.IncidentResolved)[0].reason == "cancelled"
    assert [e.element for e in p.seen(log.ActivityCancelled)] == ["g", "sp"]


def test_an_uncaught_error_is_an_incident() -> None:
    p = play(process(start(), user("a"), end("e", event("error", "eA")), "s>a", "a>e")).do("a")

    assert p.incidents == [("e", "bpmn_error")]
    assert p.seen(log.ErrorThrown)[0].caught_by is None
    assert p.first.status is InstanceStatus.ACTIVE


def test_an_uncaught_error_of_a_handler_is_an_incident_and_its_retry_a_new_job() -> None:
    p = play(process(start(), service("a"), end(), "s>a", "a>e")).fail("a", "NO_SUCH_TENDER")

    assert p.incidents == [("a", "bpmn_error")]
    p.retry("a")
    assert [job.type for job in p.first.jobs.values()] == ["work"]
    p.work("a").check("", True)


def test_a_result_that_is_no_context_and_has_no_name_is_an_incident() -> None:
    p = play(process(start(), script("a", "1 + 1"), user("z"), "s>a", "a>z"))

    assert p.incidents == [("a", "expression")]


def test_an_endless_loop_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.bpmn.workflow.STEP_LIMIT", 500)
    p = play(process(start(), exclusive("m"), script("a"), "s>m", "m>a", "a>m"))

    assert [kind for _, kind in p.incidents] == ["endless"]


def test_a_retry_of_something_that_is_not_parked_is_refused() -> None:
    p = play(GATE)

    with pytest.raises(NotFound):
        p.send(p.first, RetryElement(token=TokenId(1)))


def test_a_condition_that_cannot_be_computed_parks_the_leaving_only() -> None:
    p = play(process(
        start(), user("a"), exclusive("g"), user("y"), user("z"), "s>a", "a>g", "g>y: count(for i in 1..1000000 return i) > 5", "g>z!"))
    p.do("a", kept=1)

    assert p.incidents == [("g", "element")]
    assert p.variables() == {"kept": 1}
    p = play(process(
        start(), user("a"), user("y"), user("z"), "s>a", "a>y: count(for i in 1..1000000 return i) > 5", "a>z!"))
    p.do("a", kept=1)
    assert p.incidents == [("a", "element")]
    assert p.variables() == {"kept": 1}
    assert len(p.seen(log.UserTaskCompleted)) == 1


def test_several_failures_of_one_command_are_all_parked() -> None:
    p = play(process(
        start(), parallel("f"), user("a", many(collection="x")), user("b", many(collection="y")),
        catch("c", timer("timeDate", "= z")), user("d", properties(deadline="= no_date")), "s>f", "f>a", "f>b", "f>c", "f>d"))

    assert sorted(p.incidents) == [("a", "expression"), ("b", "expression"), ("c", "expression")]
    assert p.open == "d"


#: An output mapping that cannot be computed until `limit` is small.
BAD_OUTPUT = mapping(outputs={"n": "count(for i in 1..limit return i) + given"})


def test_values_of_a_completion_whose_output_mapping_fails_are_kept_and_used_by_the_retry() -> None:
    p = play(process(start(), user("a", BAD_OUTPUT), user("z"), "s>a", "a>z"), limit=1_000_000).do("a", given=5)

    [(element, _)] = p.incidents
    assert element == "a"
    assert [e.values for e in p.seen(log.UserTaskCompleted)] == [{"given": 5}]
    assert p.open == ""
    p.retry("a")
    assert len(p.incidents) == 1
    p.set(limit=10).retry("a").check("z", n=15)
    assert len(p.seen(log.UserTaskCompleted)) == 1
    assert [e.element for e in p.seen(log.ActivityCompleted)] == ["s", "a"]
    fold(p.first.events)


def test_a_completed_task_that_is_parked_and_interrupted_is_not_cancelled_as_a_task() -> None:
    p = play(
        process(start(), user("a", BAD_OUTPUT), boundary("b", "a", event("message", "mA")), end(), "s>a", "a>e", "b>e"), limit=1_000_000)
    p.do("a", given=5).message("mA").check("", True)

    assert not p.seen(log.UserTaskCancelled)


def test_a_handlers_result_whose_output_mapping_fails_is_kept_and_the_handler_does_not_run_again() -> None:
    p = play(process(start(), service("a", inner=BAD_OUTPUT), user("z"), "s>a", "a>z"), limit=1_000_000).work("a", given=5)

    assert [element for element, _ in p.incidents] == ["a"]
    p.set(limit=1).retry("a").check("z", n=6)
    assert not p.first.jobs
    assert len(p.seen(log.JobCreated)) == 1


def test_a_message_whose_output_mapping_fails_is_kept() -> None:
    p = play(process(start(), receive("a", "mA", BAD_OUTPUT), user("z"), "s>a", "a>z"), limit=1_000_000).message("mA", given=5)

    assert [element for element, _ in p.incidents] == ["a"]
    p.set(limit=1).retry("a").check("z", n=6)


def test_a_loop_whose_instance_cannot_take_over_its_result_goes_on_after_the_retry() -> None:
    p = play(process(start(), sub("sp", start("s2"), user("a", BAD_OUTPUT + many("2")), "s2>a"), user("z"), "s>sp", "sp>z"), limit=1_000_000)

    p.do("a", given=5).do("a", given=6)
    assert [element for element, _ in p.incidents] == ["a", "a"]
    p.set(limit=1).retry("a").retry("a").check("z")
