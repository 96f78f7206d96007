"""Compensation and transactions: what is undone, in which order, with which data, and what happens when undoing goes wrong."""

from __future__ import annotations

import pytest

from engine.bpmn import compile_definition
from engine.bpmn.reader import DiagramCannotRun
from engine.model import Source, StartInstance
from tests.bpmn.build import (
    CANCEL,
    COMPENSATE,
    TERMINATE,
    boundary,
    call,
    diagram,
    end,
    event,
    event_sub,
    exclusive,
    loop,
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
    throw,
    undone_by,
    user,
)
from tests.bpmn.play import MONDAY, Instance, Play

UNDO = {"isForCompensation": "true"}


def play(*processes: str, start: str | None = "p", **variables: object) -> Play:
    return Play(diagram(*processes), start, variables)


def compensate(activity: str = "", wait: bool = True) -> str:
    words = (f' activityRef="{activity}"' if activity else "") + ("" if wait else ' waitForCompletion="false"')
    return f"<compensateEventDefinition{words}/>"


def own_undo(id: str, *parts: str) -> str:
    """A compensation event sub-process."""
    return event_sub(id, start(f"s_{id}", COMPENSATE), *parts)


# --------------------------------------------------------------------------------------------------------------------- data
def test_a_compensation_event_sub_process_sees_what_its_sub_process_had_written_when_it_completed() -> None:
    booked = sub(
        "sp", start("s1"), script("book", '{hotel: "hotel " + string(n)}'), "s1>book",
        own_undo("q", user("u"), script("note", "{log: append(log, hotel)}"), "s_q>u", "u>note"))
    p = play(
        process(
            start(), exclusive("m"), booked, script("next", "{n: n + 1}"), exclusive("g"), throw("t", COMPENSATE), user("z"),
            "s>m", "m>sp", "sp>next", "next>g", "g>m: n < 3", "g>t: n >= 3", "t>z"),
        n=0, log=[], hotel="none")

    p.check("u").set(hotel="another")
    p.do("u").do("u").do("u")

    p.check("z", log=["hotel 2", "hotel 1", "hotel 0"], hotel="another")


def test_what_a_compensation_event_sub_process_writes_goes_to_the_live_variables_and_is_seen_by_it() -> None:
    p = play(
        process(
            start(),
            sub("sp", start("s1"), script("a", "{paid: 100}"), "s1>a",
                own_undo("q", script("u", "{paid: paid - 100}"), script("w", "{seen: paid}"), "s_q>u", "u>w")),
            script("later", "{paid: 777}"), throw("t", COMPENSATE), user("z"), "s>sp", "sp>later", "later>t", "t>z"),
        paid=0)

    p.check("z", paid=0, seen=0)


def test_what_the_sub_process_did_not_write_its_handler_sees_as_it_is_now() -> None:
    p = play(
        process(
            start(), sub("sp", start("s1"), script("a"), "s1>a", own_undo("q", script("u", "{seen: rate}"), "s_q>u")),
            script("later", "{rate: 2}"), throw("t", COMPENSATE), user("z"), "s>sp", "sp>later", "later>t", "t>z"),
        rate=1)

    p.check("z", seen=2)


def test_what_a_sub_process_inside_had_written_is_seen_by_the_handler_of_the_one_around_it() -> None:
    inside = sub("inner", start("s2"), script("a", "{paid: 100}"), "s2>a", own_undo("q2", script("u2"), "s_q2>u2"))
    p = play(
        process(
            start(), sub("sp", start("s1"), inside, "s1>inner", own_undo("q", script("u", "{seen: paid}"), "s_q>u")),
            script("later", "{paid: 777}"), throw("t", COMPENSATE), user("z"), "s>sp", "sp>later", "later>t", "t>z"),
        paid=0)

    p.check("z", seen=100)


def test_what_a_compensation_event_sub_process_writes_after_a_wait_goes_to_the_live_variables() -> None:
    p = play(
        process(
            start(),
            sub("sp", start("s1"), script("a", "{paid: 100}"), "s1>a",
                own_undo("q", user("u"), script("w", "{paid: paid - 100}"), "s_q>u", "u>w")),
            script("later", "{paid: 777}"), throw("t", COMPENSATE), user("z"), "s>sp", "sp>later", "later>t", "t>z"),
        paid=0)

    p.do("u").check("z", paid=0)


def test_what_a_sub_process_had_written_before_a_wait_is_seen_by_its_handler() -> None:
    p = play(
        process(
            start(),
            sub("sp", start("s1"), script("a", "{paid: 100}"), user("w"), "s1>a", "a>w", own_undo("q", script("u", "{seen: paid}"), "s_q>u")),
            script("later", "{paid: 777}"), throw("t", COMPENSATE), user("z"), "s>sp", "sp>later", "later>t", "t>z"),
        paid=0)

    p.do("w").check("z", seen=100)


def test_each_activity_keeps_its_own_handler_however_often_the_instance_is_stored_before_it_is_undone() -> None:
    p = play(process(
        start(), script("a"), undone_by("a", "ua"), script("ua", "{log: append(log, \"a\")}", **UNDO), script("b"), undone_by("b", "ub"),
        script("ub", "{log: append(log, \"b\")}", **UNDO), user("w"), user("x"), throw("t", COMPENSATE), user("z"),
        "s>a", "a>b", "b>w", "w>x", "x>t", "t>z"), log=[])

    p.do("w", "x").check("z", log=["b", "a"])


def test_the_handler_of_a_task_sees_the_inputs_the_task_had_and_the_process_as_it_is() -> None:
    p = play(
        process(
            start(), service("a", inner=mapping({"amount": "price"})),
            script("ua", "{refund: amount, at: price}", **UNDO), undone_by("a", "ua"), user("w"), throw("t", COMPENSATE), user("z"),
            "s>a", "a>w", "w>t", "t>z"),
        price=10)

    p.work("a").set(price=12).do("w")

    p.check("z", refund=10, at=12)


def test_each_instance_is_undone_with_the_data_of_that_instance() -> None:
    p = play(
        process(
            start(),
            sub("sp", start("s1"), script("a", "{room: 10 * n}"), "s1>a",
                own_undo("q", script("u", "{log: append(log, [n, room])}"), "s_q>u"),
                inner=many(collection="[1, 2, 3]", item="n", one_by_one=True)),
            user("w"), throw("t", COMPENSATE), user("z"), "s>sp", "sp>w", "w>t", "t>z"),
        log=[])

    p.do("w").check("z", log=[[3, 30], [2, 20], [1, 10]], room=None)


def test_a_called_process_undoes_itself_with_its_own_variables() -> None:
    callee = process(
        start("s2"), script("a", "{room: guest + 1}"), "s2>a", own_undo("q", user("u"), "s_q>u"), id="hotel")
    caller = process(
        start(),
        call("k", "hotel", '<extensionElements><camunda:in source="guest" target="guest"/></extensionElements>'),
        script("later", "{guest: 99}"), throw("t", COMPENSATE), user("z"), "s>k", "k>later", "later>t", "t>z")
    p = play(callee, caller, guest=1)

    p.check("u")
    token = p.first.user_tasks()[0][1]
    assert p.variables(token) == {"guest": 1, "room": 2}
    p.do("u").check("z")


def test_snapshots_are_stored_only_where_a_compensation_event_sub_process_may_read_them() -> None:
    def state(*parts: str) -> bytes:
        xml = diagram(process(
            start(), sub("sp", start("s1"), script("a", '{secret: "written inside"}'), "s1>a", *parts), user("w"),
            throw("t", COMPENSATE), "s>sp", "sp>w", "w>t"))
        instance = Instance(compile_definition("p", [Source(key="p", version=1, xml=xml)]))
        instance.advance(StartInstance(), MONDAY)
        assert instance.state is not None
        return instance.state

    assert state(script("ua", **UNDO), undone_by("a", "ua")).count(b"written inside") == 1
    assert state(own_undo("q", script("u"), "s_q>u")).count(b"written inside") == 2


def test_undone_things_leave_the_state() -> None:
    xml = diagram(process(
        start(),
        sub("sp", start("s1"), script("a", "{v: 1}"), script("ua", **UNDO), undone_by("a", "ua"), "s1>a", inner=many("3")),
        sub("sq", start("s2"), script("b", "{v: 2}"), "s2>b", own_undo("q", script("u"), "s_q>u"), inner=loop(maximum="2")),
        script("c", "{}", many("2")), script("uc", **UNDO), undone_by("c", "uc"),
        throw("t", COMPENSATE), user("z"), "s>sp", "sp>sq", "sq>c", "c>t", "t>z"))
    instance = Instance(compile_definition("p", [Source(key="p", version=1, xml=xml)]))

    instance.advance(StartInstance(), MONDAY)

    assert instance.state is not None
    left = {name for name in ("sp", "sq", "a", "b", "c", "ua", "uc", "q", "t")
            if f'"{name}"'.encode() in instance.state or f'"{name} ['.encode() in instance.state}
    assert left == set()


# ------------------------------------------------------------------------------------------------------------------- errors
def test_a_sub_process_whose_parts_were_undone_over_several_commands_leaves_the_state() -> None:
    p = play(process(
        start(), sub("booked", start("s1"), script("a"), undone_by("a", "ua"), user("ua", **UNDO), "s1>a"), user("w"), throw("t", COMPENSATE),
        user("z"), "s>booked", "booked>w", "w>t", "t>z"))

    assert b"booked" in (p.do("w").first.state or b"")
    assert b"booked" not in (p.do("ua").check("z").first.state or b"")


def test_the_handler_of_a_sub_process_undoes_it_as_a_whole_also_after_a_wait() -> None:
    p = play(process(
        start(), sub("booked", start("s1"), script("a"), undone_by("a", "ua"), script("ua", "{log: append(log, \"ua\")}", **UNDO), "s1>a"),
        undone_by("booked", "whole"), script("whole", "{log: append(log, \"whole\")}", **UNDO), user("w"), throw("t", COMPENSATE), user("z"),
        "s>booked", "booked>w", "w>t", "t>z"), log=[])

    p.do("w").check("z", log=["whole"])
    assert b"ua" not in (p.first.state or b"")


def test_an_error_of_a_handler_goes_out_of_the_scope_of_who_threw_the_compensation() -> None:
    p = play(process(
        start(),
        sub("outer", start("s0"), script("a"), user("ua", **UNDO), undone_by("a", "ua"),
            script("b"), service("ub", "error.eA", **UNDO), undone_by("b", "ub"),
            throw("t", COMPENSATE), user("z"), "s0>a", "a>b", "b>t", "t>z"),
        boundary("caught", "outer", event("error", "eA")), user("y"), "s>outer", "caught>y"))

    p.check("y", trace="a b")


def test_an_error_inside_a_compensation_event_sub_process_goes_out_of_the_thrower_not_of_what_is_undone() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), script("a"), "s1>a", own_undo("q", end("eq", event("error", "eA")), "s_q>eq")),
        boundary("wrong", "sp", event("error", "eA")), user("x"),
        sub("undo", start("s2"), throw("t", COMPENSATE + ""), "s2>t"),
        script("again"), throw("t2", COMPENSATE), user("z"),
        sub("wrap", start("s3"), throw("t3", compensate("sp")), user("never"), "s3>t3", "t3>never"),
        boundary("right", "wrap", event("error", "eA")), user("y"),
        "s>sp", "wrong>x", "sp>wrap", "right>y", "wrap>undo", "undo>again", "again>t2", "t2>z"))

    p.check("y")


def test_an_error_of_a_handler_is_caught_on_the_boundary_of_the_handler_first() -> None:
    p = play(process(
        start(), script("a"),
        sub("ua", start("s1"), service("x", "error.eA"), boundary("b", "x", event("error", "eA")), script("mended"), "s1>x", "b>mended",
            **UNDO),
        undone_by("a", "ua"), throw("t", COMPENSATE), user("z"), "s>a", "a>t", "t>z"))

    p.check("z", trace="a mended")


def test_after_an_error_of_a_handler_the_rest_is_not_undone_and_a_later_compensation_finds_it() -> None:
    p = play(process(
        start(), script("a"), script("ua", **UNDO), undone_by("a", "ua"), script("b"),
        service("ub", "error.eA", **UNDO), undone_by("b", "ub"),
        sub("wrap", start("s1"), throw("t", compensate("b")), "s1>t"), boundary("c", "wrap", event("error", "eA")),
        user("y"), throw("t2", COMPENSATE), user("z"), "s>a", "a>b", "b>wrap", "c>y", "y>t2", "t2>z"))

    p.check("y", trace="a b").do("y")

    p.check("z", trace="a b ua")


def test_an_error_of_a_handler_that_nobody_catches_is_an_incident_and_the_rest_waits_for_its_retry() -> None:
    p = play(process(
        start(), script("a"), script("ua", **UNDO), undone_by("a", "ua"), script("b"), service("ub", **UNDO), undone_by("b", "ub"),
        throw("t", COMPENSATE), user("z"), "s>a", "a>b", "b>t", "t>z"))

    p.fail("ub", "eA")
    assert p.incidents == [("ub", "bpmn_error")]
    p.retry("ub").work("ub")

    p.check("z", trace="a b ua")


def test_an_error_of_a_handler_nobody_waits_for_goes_the_same_way() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), script("a"), service("ua", **UNDO), undone_by("a", "ua"), throw("t", compensate(wait=False)),
            user("w"), "s1>a", "a>t", "t>w"),
        boundary("c", "sp", event("error", "eA")), user("y"), "s>sp", "c>y"))

    p.check("w").fail("ua", "eA").check("y")


# -------------------------------------------------------------------------------------------------------------------- order
def test_nested_sub_processes_are_undone_from_the_inside_in_reverse_order() -> None:
    def undoable(name: str) -> tuple[str, ...]:
        return script(name), script(f"u{name}", **UNDO), undone_by(name, f"u{name}")

    p = play(process(
        start(), *undoable("a"),
        sub("sp", start("s1"), *undoable("b"), sub("sq", start("s2"), *undoable("c"), *undoable("d"), "s2>c", "c>d"), *undoable("e1"),
            "s1>b", "b>sq", "sq>e1"),
        *undoable("f"), throw("t", COMPENSATE), end(), "s>a", "a>sp", "sp>f", "f>t", "t>e"))

    p.check("", True, "a b c d e1 f uf ue1 ud uc ub ua")


def test_turns_of_a_loop_are_undone_last_turn_first() -> None:
    p = play(
        process(
            start(),
            sub("sp", start("s1"), user("a"), user("ua", **UNDO), undone_by("a", "ua"), script("b"), user("ub", **UNDO),
                undone_by("b", "ub"), "s1>a", "a>b", inner=loop(maximum="2")),
            throw("t", COMPENSATE), user("z"), "s>sp", "sp>t", "t>z"))

    p.do("a", "a")

    p.check("ub").do("ub").check("ua").do("ua").check("ub").do("ub").check("ua").do("ua").check("z")


def test_instances_side_by_side_are_undone_side_by_side() -> None:
    p = play(process(
        start(), user("a", many("3")), user("ua", **UNDO), undone_by("a", "ua"), throw("t", COMPENSATE), user("z"),
        "s>a", "a>t", "t>z"))

    p.do("a", "a", "a").check("ua ua ua").do("ua", "ua", "ua").check("z")


def test_instances_one_after_the_other_are_undone_one_after_the_other() -> None:
    p = play(process(
        start(), user("a", many("3", one_by_one=True)), user("ua", **UNDO), undone_by("a", "ua"), throw("t", COMPENSATE), user("z"),
        "s>a", "a>t", "t>z"))

    p.do("a", "a", "a").check("ua").do("ua").check("ua").do("ua").check("ua").do("ua").check("z")


def test_no_instance_means_nothing_to_undo() -> None:
    p = play(process(
        start(), script("a", "{}", many("0")), script("ua", **UNDO), undone_by("a", "ua"), throw("t", COMPENSATE), user("z"),
        "s>a", "a>t", "t>z"))

    p.check("z", trace="a")  # the activity ran, without an instance


def test_what_a_called_process_completed_is_undone_in_the_order_of_the_whole() -> None:
    callee = process(
        start("s2"), script("c"), script("uc", **UNDO), undone_by("c", "uc"), script("d"), script("ud", **UNDO), undone_by("d", "ud"),
        "s2>c", "c>d", id="q")
    p = play(callee, process(
        start(), script("a"), script("ua", **UNDO), undone_by("a", "ua"), call("k", "q"), script("b"), script("ub", **UNDO),
        undone_by("b", "ub"), throw("t", COMPENSATE), end(), "s>a", "a>k", "k>b", "b>t", "t>e"))

    p.check("", True, "a c d b ub ud uc ua")


def test_a_completed_event_sub_process_is_part_of_what_its_scope_completed() -> None:
    p = play(process(
        start(), user("w"), throw("t", COMPENSATE), user("z"), "s>w", "w>t", "t>z",
        event_sub("q", start("s1", event("message", "mA"), isInterrupting="false"), script("a"), script("ua", **UNDO),
                  undone_by("a", "ua"), "s1>a")))

    p.message("mA").message("mA").do("w")

    p.check("z", trace="a a ua ua")


# --------------------------------------------------------------------------------------------------------------- what is meant
def test_an_activity_is_undone_once_however_often_compensation_is_thrown() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), script("a"), "s1>a", own_undo("q", script("u"), "s_q>u")),
        script("b", "{}", many("2")), script("ub", **UNDO), undone_by("b", "ub"),
        throw("t1", compensate("b")), throw("t2", compensate("sp")), throw("t3", COMPENSATE), throw("t4", compensate("b")), user("z"),
        "s>sp", "sp>b", "b>t1", "t1>t2", "t2>t3", "t3>t4", "t4>z"))

    p.check("z", trace="a b b ub ub u")


def test_two_compensations_at_the_same_time_undo_each_activity_once() -> None:
    p = play(process(
        start(), script("a"), user("ua", **UNDO), undone_by("a", "ua"), script("b"), user("ub", **UNDO), undone_by("b", "ub"),
        parallel("f"), throw("t1", COMPENSATE), throw("t2", COMPENSATE), parallel("j"), user("z"),
        "s>a", "a>b", "b>f", "f>t1", "f>t2", "t1>j", "t2>j", "j>z"))

    p.check("ua ub").do("ub", "ua").check("z")


def test_an_interrupted_activity_is_not_undone_nor_are_the_instances_that_it_had_completed() -> None:
    p = play(process(
        start(), user("a", many("3")), script("ua", **UNDO), undone_by("a", "ua"), boundary("b", "a", event("message", "mA")),
        throw("t", COMPENSATE), user("z"), "s>a", "b>t", "t>z"))

    p.do("a", "a").message("mA").check("z", trace="")


def test_a_named_sub_process_without_a_handler_is_undone_by_what_it_holds() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), script("a"), script("ua", **UNDO), undone_by("a", "ua"), "s1>a"), script("b"),
        script("ub", **UNDO), undone_by("b", "ub"), throw("t", compensate("sp")), user("z"), "s>sp", "sp>b", "b>t", "t>z"))

    p.check("z", trace="a b ua")


def test_a_name_means_the_activity_of_this_very_call_not_of_the_one_that_called() -> None:
    callee = process(
        start(), exclusive("g"), script("a", "{n: n + 1}"), script("ua", "{undone: append(undone, n)}", **UNDO), undone_by("a", "ua"),
        call("k", "p"), throw("t", compensate("a")), throw("t2", compensate("a")), user("w"), end(), "s>g", "g>a: n < 2", "g>e!", "a>k",
        "k>t", "t>t2", "t2>w", "w>e")

    p = play(callee, n=0, undone=[])

    p.check("w", trace="a a ua").do("w").check("w", trace="a a ua ua")


def test_without_waiting_the_flow_goes_on_and_the_scope_stays_open_until_all_is_undone() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), script("a"), user("ua", **UNDO), undone_by("a", "ua"), script("b"), user("ub", **UNDO),
                     undone_by("b", "ub"), "s1>a", "a>b"),
        throw("t", compensate(wait=False)), user("w"), end(), "s>sp", "sp>t", "t>w", "w>e"))

    p.check("ub w").do("w").check("ub", False).do("ub").check("ua", False).do("ua").check("", True)


def test_a_compensation_end_event_undoes_before_its_scope_is_left() -> None:
    p = play(process(
        start(), sub("sp", start("s1"), script("a"), user("ua", **UNDO), undone_by("a", "ua"), end("e1", COMPENSATE), "s1>a", "a>e1"),
        user("z"), "s>sp", "sp>z"))

    p.check("ua").do("ua").check("z").do("z").check("", True)


def test_terminating_the_scope_ends_its_compensation_too() -> None:
    p = play(process(
        start(), script("a"), user("ua", **UNDO), undone_by("a", "ua"), parallel("f"), throw("t", COMPENSATE), user("w"),
        end("x", TERMINATE), user("z"), "s>a", "a>f", "f>t", "f>w", "w>x", "t>z"))

    p.check("ua w").do("w").check("", True)


def test_compensation_thrown_inside_an_event_sub_process_undoes_its_own_work_then_that_of_its_scope() -> None:
    p = play(process(
        start(), script("a"), script("ua", **UNDO), undone_by("a", "ua"), end("e1", event("error", "eA")), "s>a", "a>e1",
        event_sub("q", start("s1", event("error", "eA")), script("b"), script("ub", **UNDO), undone_by("b", "ub"),
                  throw("t", COMPENSATE), "s1>b", "b>t")))

    p.check("", True, "a b ub ua")


def test_a_compensation_event_sub_process_may_undo_the_parts_itself() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), script("a"), script("ua", **UNDO), undone_by("a", "ua"), script("b"), script("ub", **UNDO),
            undone_by("b", "ub"), "s1>a", "a>b",
            own_undo("q", script("first"), throw("t1", compensate("a")), script("then"), throw("t2", COMPENSATE), "s_q>first",
                     "first>t1", "t1>then", "then>t2")),
        throw("t", COMPENSATE), user("z"), "s>sp", "sp>t", "t>z"))

    p.check("z", trace="a b first ua then ub")


def test_a_compensation_event_sub_process_that_undoes_nothing_inside_leaves_it_as_it_is() -> None:
    p = play(process(
        start(),
        sub("sp", start("s1"), script("a"), script("ua", **UNDO), undone_by("a", "ua"), "s1>a", own_undo("q", script("u"), "s_q>u")),
        throw("t", COMPENSATE), throw("t2", COMPENSATE), user("z"), "s>sp", "sp>t", "t>t2", "t2>z"))

    p.check("z", trace="a u")


def test_a_handler_that_is_a_sub_process_may_undo_its_own_work() -> None:
    p = play(process(
        start(), script("a"),
        sub("ua", start("s1"), script("b"), script("ub", **UNDO), undone_by("b", "ub"), throw("t1", COMPENSATE), "s1>b", "b>t1", **UNDO),
        undone_by("a", "ua"), throw("t", COMPENSATE), user("z"), "s>a", "a>t", "t>z"))

    p.check("z", trace="a b ub")


def test_an_event_that_throws_several_things_undoes_first_and_throws_the_rest_then() -> None:
    p = play(process(
        start(), script("a"), user("ua", **UNDO), undone_by("a", "ua"), parallel("f"),
        throw("t", event("signal", "sA") + COMPENSATE), receive("r", "mA"), boundary("b", "r", event("signal", "sA")), user("y"),
        user("z"), "s>a", "a>f", "f>t", "f>r", "t>z", "b>y"))

    p.check("r ua").do("ua").check("y z")


# ------------------------------------------------------------------------------------------------------------- transactions
def test_a_cancelled_transaction_is_left_when_all_is_undone_and_never_by_its_normal_way() -> None:
    p = play(process(
        start(),
        sub("tx", start("s1"), script("a"), user("ua", **UNDO), undone_by("a", "ua"), parallel("f"), user("w"), user("x"),
            end("e1", CANCEL), "s1>a", "a>f", "f>w", "f>x", "w>e1", tag="transaction"),
        boundary("bc", "tx", CANCEL), user("y"), user("z"), "s>tx", "tx>z", "bc>y"))

    p.check("w x").do("w").check("ua").do("ua").check("y").do("y").check("", True)


def test_a_cancel_end_event_inside_a_sub_process_cancels_the_transaction_around_it() -> None:
    p = play(process(
        start(),
        sub("tx", start("s1"), script("a"), script("ua", **UNDO), undone_by("a", "ua"),
            sub("sp", start("s2"), script("b"), script("ub", **UNDO), undone_by("b", "ub"), user("w"), end("e1", CANCEL), "s2>b",
                "b>w", "w>e1"),
            user("never"), "s1>a", "a>sp", "sp>never", tag="transaction"),
        boundary("bc", "tx", CANCEL), user("y"), "s>tx", "bc>y"))

    p.do("w").check("y", trace="a b ub ua")


def test_what_a_sub_process_at_work_had_completed_is_undone_when_its_transaction_is_cancelled() -> None:
    p = play(process(
        start(),
        sub("tx", start("s1"), parallel("f"), user("w"), end("e1", CANCEL),
            sub("sp", start("s2"), script("b"), script("ub", **UNDO), undone_by("b", "ub"), user("x"), "s2>b", "b>x",
                own_undo("q", script("whole"), "s_q>whole"), inner=many("2")),
            user("c", many("2")), script("uc", **UNDO), undone_by("c", "uc"),
            "s1>f", "f>w", "f>sp", "f>c", "w>e1", tag="transaction"),
        boundary("bc", "tx", CANCEL), user("y"), "s>tx", "bc>y"))

    p.do("x", "c", "w")

    assert sorted(p.trace.split()) == ["b", "b", "ub", "uc", "whole"]
    p.check("y")


def test_an_event_sub_process_may_cancel_its_transaction() -> None:
    p = play(process(
        start(),
        sub("tx", start("s1"), script("a"), script("ua", **UNDO), undone_by("a", "ua"), user("w"), "s1>a", "a>w",
            event_sub("q", start("s2", event("message", "mA"), isInterrupting="false"), end("e1", CANCEL), "s2>e1"), tag="transaction"),
        boundary("bc", "tx", CANCEL), user("y"), "s>tx", "bc>y"))

    p.message("mA").check("y", trace="a ua")


def test_a_hazard_leaves_the_transaction_by_its_error_boundary_without_compensation() -> None:
    p = play(process(
        start(),
        sub("tx", start("s1"), script("a"), script("ua", **UNDO), undone_by("a", "ua"), end("e1", event("error", "eA")), "s1>a", "a>e1",
            tag="transaction"),
        boundary("bc", "tx", CANCEL), boundary("be", "tx", event("error", "eA")), user("y"), user("h"), throw("t", COMPENSATE),
        user("z"), "s>tx", "bc>y", "be>h", "h>t", "t>z"))

    p.check("h", trace="a").do("h").check("z", trace="a")


def test_an_error_while_a_cancelled_transaction_is_undone_is_a_hazard() -> None:
    p = play(process(
        start(),
        sub("tx", start("s1"), script("a"), script("ua", **UNDO), undone_by("a", "ua"), script("b"), service("ub", "error.eA", **UNDO),
            undone_by("b", "ub"), end("e1", CANCEL), "s1>a", "a>b", "b>e1", tag="transaction"),
        boundary("bc", "tx", CANCEL), boundary("be", "tx", event("error", "eA")), user("y"), user("h"), "s>tx", "bc>y", "be>h"))

    p.check("h", trace="a b")


def test_a_cancelled_transaction_without_cancel_boundary_waits_for_a_person() -> None:
    p = play(process(
        start(),
        sub("tx", start("s1"), script("a"), user("ua", **UNDO), undone_by("a", "ua"), end("e1", CANCEL), "s1>a", "a>e1",
            tag="transaction"),
        user("z"), "s>tx", "tx>z"))

    p.do("ua")
    assert p.incidents == [("tx", "no_flow")]
    p.retry("tx").check("z")


def test_one_instance_of_a_transaction_is_cancelled_with_all_of_them_when_the_boundary_interrupts() -> None:
    p = play(process(
        start(),
        sub("tx", start("s1"), script("a"), script("ua", **UNDO), undone_by("a", "ua"), user("w"), exclusive("g"),
            end("e1", CANCEL), end("e2"), "s1>a", "a>w", "w>g", "g>e1: bad", "g>e2!", tag="transaction", inner=many("2")),
        boundary("bc", "tx", CANCEL), user("y"), user("z"), "s>tx", "tx>z", "bc>y"), bad=True)

    p.do("w").check("y", trace="a a ua ua")


def test_a_cancelled_transaction_is_not_undone_again_and_a_completed_one_is() -> None:
    xml = process(
        start(),
        sub("tx", start("s1"), script("a"), script("ua", **UNDO), undone_by("a", "ua"), exclusive("g"), end("e1", CANCEL), end("e2"),
            "s1>a", "a>g", "g>e1: bad", "g>e2!", tag="transaction"),
        boundary("bc", "tx", CANCEL), throw("t", COMPENSATE), user("z"), exclusive("m"), "s>tx", "tx>m", "bc>m", "m>t", "t>z")

    play(xml, bad=True).check("z", trace="a ua")
    play(xml, bad=False).check("z", trace="a ua")


def test_a_cancel_end_event_outside_a_transaction_is_refused() -> None:
    xml = diagram(process(start(), sub("sp", start("s1"), end("e1", CANCEL), "s1>e1"), end(), "s>sp", "sp>e"))

    with pytest.raises(DiagramCannotRun) as refused:
        compile_definition("p", [Source(key="p", version=1, xml=xml)])

    assert refused.value.findings[0].element == "e1"


def test_declared_data_of_a_sub_process_is_its_own_and_undone_with_it() -> None:
    p = play(
        process(
            start(),
            sub("sp", '<property id="room" name="room"/>', start("s1"), script("a", "{room: n}"), "s1>a",
                own_undo("q", script("u", "{log: append(log, room)}"), "s_q>u"), inner=properties() + loop("n < 2", maximum="3")),
            throw("t", COMPENSATE), user("z"), "s>sp", "sp>t", "t>z"),
        n=1, log=[])

    p.check("z", log=[1, 1, 1])
