"""Compensation and transactions: what is undone, in which order, from where, once."""

from __future__ import annotations

import pytest

from engine import events as log
from tests.bpmn.build import (
    CANCEL,
    COMPENSATE,
    boundary,
    call,
    diagram,
    end,
    event,
    event_sub,
    exclusive,
    loop,
    many,
    parallel,
    process,
    script,
    service,
    start,
    sub,
    throw,
    undone_by,
    user,
)
from tests.bpmn.watched import KeptPlay as Play


def play(*processes: str, start: str | None = "p", **variables: object) -> Play:
    return Play(diagram(*processes), start, variables)


def undoable(name: str) -> tuple[str, ...]:
    """A script with a script that undoes it."""
    return script(name), script(f"u{name}", isForCompensation="true"), undone_by(name, f"u{name}")


def only(activity: str, wait: bool = True) -> str:
    return f'<compensateEventDefinition activityRef="{activity}" waitForCompletion="{str(wait).lower()}"/>'


# ------------------------------------------------------------------------------------------------------------ from where
@pytest.mark.parametrize("thrower", [throw("t", COMPENSATE), end("t", COMPENSATE)])
def test_a_compensation_event_undoes_its_scope_and_none_around(thrower: str) -> None:
    play(process(
        start(), *undoable("a"), sub("sp", start("s1"), *undoable("b"), *undoable("c"), thrower, "s1>b", "b>c", "c>t"), "s>a", "a>sp",
    )).check("", True, "a b c uc ub")


def test_what_was_not_done_is_not_undone() -> None:
    play(
        process(start(), exclusive("g"), *undoable("a"), *undoable("b"), exclusive("m"), end("t", COMPENSATE), "s>g", "g>a!", "g>b: false",
                "a>m", "b>m", "m>t"),
    ).check("", True, "a ua")
    p = play(process(
        start(), parallel("f"), *undoable("a"), user("b"), user("ub", isForCompensation="true"), undone_by("b", "ub"),
        end("t", COMPENSATE), "s>f", "f>a", "f>b", "a>t"))
    p.check("b", False, "a ua").do("b").check("", True)


def test_compensation_of_a_named_sub_process_undoes_what_is_inside_it() -> None:
    play(process(
        start(), sub("sp", start("s1"), *undoable("a"), *undoable("b"), "s1>a", "a>b"), *undoable("c"), end("t", only("sp")), "s>sp", "sp>c",
        "c>t")).check("", True, "a b c ub ua")


def test_compensation_of_an_activity_inside_a_sub_process_undoes_that_one() -> None:
    play(process(
        start(), sub("sp", start("s1"), *undoable("a"), *undoable("b"), "s1>a", "a>b"), end("t", only("a")), "s>sp", "sp>t",
    )).check("", True, "a b ua")


def test_an_activity_of_the_scope_around_may_be_undone_by_its_name() -> None:
    play(process(
        start(), *undoable("a"), *undoable("b"), sub("sp", start("s1"), throw("t", only("a")), user("z"), "s1>t", "t>z"), "s>a", "a>b", "b>sp",
    )).check("z", trace="a b ua")


def test_a_handler_of_a_sub_process_undoes_it_instead_of_those_inside() -> None:
    play(process(
        start(), sub("sp", start("s1"), *undoable("a"), "s1>a"), script("usp", isForCompensation="true"), undone_by("sp", "usp"),
        *undoable("c"), end("t", COMPENSATE), "s>sp", "sp>c", "c>t")).check("", True, "a c uc usp")


def test_a_compensation_event_sub_process_undoes_its_scope_and_may_undo_what_is_inside() -> None:
    inner = event_sub("q", start("s2", COMPENSATE), script("before"), throw("t2", COMPENSATE), script("after"), "s2>before", "before>t2", "t2>after")
    p = play(process(
        start(), sub("sp", start("s1"), *undoable("a"), "s1>a", inner), user("w"), end("t", COMPENSATE), "s>sp", "sp>w", "w>t"))
    p.check("w", False, "a").do("w").check("", True, "a before ua after")


def test_a_compensation_event_sub_process_waits_for_nothing_and_keeps_nothing_open() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), user("a"), "s1>a", event_sub("q", start("s2", COMPENSATE), user("h"), "s2>h")), user("z"), "s>sp", "sp>z"))
    p.check("a").do("a").check("z").do("z").check("", True)


def test_what_a_called_process_did_is_undone_in_it() -> None:
    play(
        process(start(), *undoable("a"), *undoable("b"), "s>a", "a>b", id="q"),
        process(start(), call("k", "q"), *undoable("c"), end("t", COMPENSATE), "s>k", "k>c", "c>t"),
    ).check("", True, "a b c uc ub ua")
    play(
        process(start(), *undoable("a"), "s>a", id="q"),
        process(start(), call("k", "q"), script("uk", isForCompensation="true"), undone_by("k", "uk"), end("t", COMPENSATE), "s>k", "k>t"),
    ).check("", True, "a uk")


# ------------------------------------------------------------------------------------------------------------------ waiting
def test_the_thrower_waits_until_everything_is_undone() -> None:
    p = play(process(
        start(), script("a"), user("ua", isForCompensation="true"), undone_by("a", "ua"), throw("t", COMPENSATE), user("z"), "s>a", "a>t", "t>z"))
    p.check("ua").do("ua").check("z")


def test_a_thrower_that_shall_not_wait_goes_on_at_once() -> None:
    p = play(process(
        start(), script("a"), user("ua", isForCompensation="true"), undone_by("a", "ua"), throw("t", only("a", wait=False)), user("z"),
        "s>a", "a>t", "t>z"))
    p.check("ua z").do("z").check("ua", False).do("ua").check("", True)


def test_nothing_to_undo_lets_the_thrower_go_on() -> None:
    play(process(start(), throw("t", COMPENSATE), user("z"), "s>t", "t>z")).check("z")


def test_handlers_end_with_the_scope_that_asked_for_them() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), script("a"), user("ua", isForCompensation="true"), undone_by("a", "ua"), throw("t", COMPENSATE), "s1>a", "a>t"),
        boundary("b", "sp", event("message", "mA")), user("y"), "s>sp", "b>y"))
    p.check("ua").message("mA").check("y").do("y").check("", True)


def test_handlers_in_a_scope_that_is_over_end_with_who_asked_for_them() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), script("a"), user("ua", isForCompensation="true"), undone_by("a", "ua"), "s1>a"),
        user("w"), throw("t", COMPENSATE), "s>sp", "sp>w", "w>t",
        event_sub("q", start("s2", event("message", "mA")), user("h"), "s2>h")))
    p.do("w").check("ua").message("mA").check("h").do("h").check("", True)
    assert [e.element for e in p.seen(log.UserTaskCancelled)] == ["ua"]


def test_a_job_may_undo() -> None:
    p = play(process(
        start(), service("a"), service("ua", isForCompensation="true"), undone_by("a", "ua"), end("t", COMPENSATE), "s>a", "a>t"))
    p.work("a").work("ua").check("", True)


# -------------------------------------------------------------------------------------------------------- loops and instances
def test_sequential_instances_are_undone_one_after_the_other_last_first() -> None:
    p = play(
        process(
            start(), user("a", many(collection="lots", item="lot", one_by_one=True)), sub("ua", start("s1"), user("u"), script(
                "note", "{log: append(log, lot)}"), "s1>u", "u>note", isForCompensation="true"),
            undone_by("a", "ua"), end("t", COMPENSATE), "s>a", "a>t"),
        lots=["A", "B", "C"], log=[])
    p.do("a", "a", "a").check("u").do("u").check("u", log=["C"]).do("u").check("u").do("u").check("", True, log=["C", "B", "A"])


def test_parallel_instances_are_undone_side_by_side_each_with_its_variables() -> None:
    p = play(
        process(
            start(), user("a", many(collection="lots", item="lot")), sub("ua", start("s1"), user("u"), "s1>u", isForCompensation="true"),
            undone_by("a", "ua"), end("t", COMPENSATE), "s>a", "a>t"),
        lots=["A", "B"])
    p.do("a", "a").check("u u")
    assert sorted(p.variables(token)["lot"] for _, token in p.first.user_tasks()) == ["A", "B"]
    p.do("u").check("u", False).do("u").check("", True)


def test_instances_of_a_sub_process_are_undone_as_they_ran() -> None:
    def xml(one_by_one: bool) -> str:
        return process(
            start(),
            sub("sp", start("s1"), user("a"), user("ua", isForCompensation="true"), undone_by("a", "ua"), "s1>a",
                inner=many("2", one_by_one=one_by_one)),
            end("t", COMPENSATE), "s>sp", "sp>t")

    play(xml(False)).do("a", "a").check("ua ua").do("ua").check("ua", False).do("ua").check("", True)
    play(xml(True)).do("a", "a").check("ua").do("ua").check("ua", False).do("ua").check("", True)


def test_every_turn_of_a_standard_loop_is_undone_last_first() -> None:
    play(
        process(
            start(), script("a", "{n: n + 1}", loop(maximum="3")), script("ua", "{log: append(log, n), n: n - 1}", isForCompensation="true"),
            undone_by("a", "ua"), end("t", COMPENSATE), "s>a", "a>t"),
        n=0, log=[]).check("", True, "a a a ua ua ua", log=[3, 2, 1])


# ------------------------------------------------------------------------------------------------------------- transactions
def transaction(*parts: str, **attributes: str) -> str:
    return sub("tx", start("s1"), *parts, tag="transaction", **attributes)


def test_a_cancelled_transaction_ends_its_branches_undoes_what_was_done_and_leaves_by_its_cancel_event() -> None:
    p = play(process(
        start(),
        transaction(*undoable("a"), script("b"), user("ub", isForCompensation="true"), undone_by("b", "ub"), parallel("f"), user("c"),
                    user("d"), user("uc", isForCompensation="true"), undone_by("c", "uc"), end("e1", CANCEL), "s1>a", "a>b", "b>f",
                    "f>c", "f>d", "d>e1"),
        boundary("bc", "tx", CANCEL), user("y"), user("z"), end(), "s>tx", "tx>z", "bc>y", "y>e"))
    p.check("c d").do("d").check("ub", False, "a b").do("ub").check("y", False, "a b ua").do("y").check("", True)


def test_an_error_in_a_transaction_undoes_nothing() -> None:
    play(process(
        start(), transaction(*undoable("a"), end("e1", event("error", "eA")), "s1>a", "a>e1"), boundary("b", "tx", event("error", "eA")),
        user("y"), "s>tx", "b>y")).check("y", trace="a")


def test_a_cancelled_transaction_leaves_what_was_done_before_it() -> None:
    play(process(
        start(), *undoable("a"), transaction(*undoable("b"), end("e1", CANCEL), "s1>b", "b>e1"), boundary("bc", "tx", CANCEL), user("y"),
        "s>a", "a>tx", "bc>y")).check("y", trace="a b ub")


def test_a_transaction_that_is_not_cancelled_goes_on() -> None:
    p = play(process(
        start(), transaction(user("a"), user("ua", isForCompensation="true"), undone_by("a", "ua"), exclusive("g"), end("ok"),
                             end("no", CANCEL), "s1>a", "a>g", "g>no: bad", "g>ok!"),
        boundary("bc", "tx", CANCEL), user("y"), user("z"), "s>tx", "tx>z", "bc>y"), bad=False)
    p.do("a").check("z").do("z").check("", True)
