"""What is asked of many tokens without waking them stays true, command by command; `watched.py` compares it with a full scan."""

from __future__ import annotations

from tests.bpmn.build import (
    boundary,
    catch,
    condition,
    diagram,
    end,
    event,
    event_sub,
    exclusive,
    parallel,
    process,
    receive,
    script,
    start,
    sub,
    timer,
    user,
)
from tests.bpmn.watched import WatchedPlay


def play(*parts: str, **variables: object) -> WatchedPlay:
    return WatchedPlay(diagram(process(*parts)), "p", variables)


def test_branches_that_fork_again_and_join_leave_no_fork_behind() -> None:
    p = play(start(), parallel("f"), user("a"), parallel("g"), user("b"), user("c"), parallel("h"), parallel("j"), user("z"),
             "s>f", "f>a", "f>g", "g>b", "g>c", "b>h", "c>h", "h>j", "a>j", "j>z")

    p.do("b", "a", "c").check("z")
    assert b"forks" not in (p.first.state or b"")


def test_what_waited_for_a_message_a_signal_or_a_time_is_forgotten_when_it_is_over() -> None:
    p = play(start(), parallel("f"), user("a"), boundary("late", "a", timer("timeDuration", "PT1H")), receive("r", "mA"),
             catch("heard", event("signal", "sA")), user("z"), end(), "s>f", "f>a", "f>r", "f>heard", "a>z", "late>z", "r>e", "heard>e")

    assert p.first.step is not None
    p.message("mA").signal("sA").wait(3600).check("z")
    assert (list(p.first.step.timers), list(p.first.step.subscriptions)) == ([], [])


def test_a_branch_that_ended_is_no_part_of_the_record_of_its_fork() -> None:
    p = play(start(), exclusive("m"), parallel("f"), script("note", "{n: n + 1}"), end(), user("u"), exclusive("g"), user("z"),
             "s>m", "m>f", "f>note", "note>e", "f>u", "u>g", "g>m: n < 9", "g>z!", n=0)
    sizes = []
    for _ in range(8):
        p.do("u")
        sizes.append(len(p.first.state or b""))

    assert max(sizes) - min(sizes) < 20


def test_a_token_in_a_sub_process_that_nobody_asked_for_hears_of_a_variable() -> None:
    p = play(start(), parallel("f"), user("a"), sub("inside", start("is"), catch("holds", condition("n > 1")), end("ie"), "is>holds", "holds>ie"),
             user("z"), end(), "s>f", "f>a", "f>inside", "inside>z", "a>e", n=0)

    p.do("a", n=2).check("z")


def test_an_event_sub_process_whose_time_is_wrong_holds_nothing_open() -> None:
    p = play(start(), sub("inside", start("is"), user("u"), end("ie"), "is>u", "u>ie",
                          event_sub("es", start("t", timer("timeDate", "when")), end("te"), "t>te")),
             user("z"), "s>inside", "inside>z", when="some day")

    assert p.incidents == [("es", "expression")]
    p.do("u").check("z")


def test_a_timer_that_another_one_moves_while_both_are_due_fires_at_its_new_time() -> None:
    p = play(start(), parallel("f"), user("a"), boundary("first", "a", timer("timeDuration", "PT1H"), cancelActivity="false"),
             script("sooner", "{hours: 2}"), user("b"), boundary("moved", "b", timer("timeDuration", 'duration("PT" + string(hours) + "H")')),
             user("z"), end(), "s>f", "f>a", "f>b", "first>sooner", "sooner>e", "a>e", "moved>z", "b>e", hours=48)

    p.sleep(3 * 3600).wait(0).check("a z")


def test_a_timer_that_is_moved_away_while_others_are_due_does_not_fire() -> None:
    p = play(start(), parallel("f"), user("a"), boundary("first", "a", timer("timeDuration", "PT1H"), cancelActivity="false"),
             script("later", "{hours: 48}"), user("b"), boundary("moved", "b", timer("timeDuration", 'duration("PT" + string(hours) + "H")')),
             user("z"), end(), "s>f", "f>a", "f>b", "first>later", "later>e", "a>e", "moved>z", "b>e", hours=2)

    p.sleep(3 * 3600).wait(0).check("a b")


def test_a_timer_fires_at_the_very_instant_at_which_it_is_due() -> None:
    p = play(start(), user("a"), boundary("late", "a", timer("timeDuration", "PT1H")), user("z"), "s>a", "a>z", "late>z")

    p.sleep(3600).check("z")
