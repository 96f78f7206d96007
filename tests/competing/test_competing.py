"""Contests: whoever is faster wins, the other is told, nothing is lost, nothing is doubled."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.errors import AccessDenied, EngineError, NoReceiver, StalePage, TaskNotOpen, WrongState
from engine.handler import Job
from engine.model import SYSTEM, CorrelateMessage, FireTimers
from engine.service.tasks import SeparationOfDuties
from engine.service.turn import Turn
from engine.store import instances
from engine.store.database import Database, Session
from tests.bpmn.build import boundary, diagram, end, parallel, process, properties, receive, service, start, timer, user
from tests.service.house import ANN, BOB, FOR_ENGINEERS, MANAGER, OWNER, House, before_its_commit
from tests.service.laws import require_agreement

ONE = diagram(process(start(), user("a", **FOR_ENGINEERS), end(), "s>a", "a>e"))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[House, House]]:
    """Two processes on one database."""
    one = House(tmp_path / "data")
    one.add_people()
    other = one.beside()
    yield one, other
    one.close()
    other.close()


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run all at once, each in a thread; return what each gave or raised."""
    barrier, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(n: int) -> None:
        barrier.wait()
        try:
            answers[n] = calls[n]()
        except EngineError as error:
            answers[n] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def intact(house: House) -> None:
    """Every law that holds between commands."""
    assert house.engine.audit.verify() == ()
    assert house.rows("select count(*) from job where state = 'running'") == [(0,)]


def test_of_two_people_who_claim_one_gets_the_task(two: tuple[House, House]) -> None:
    one, other = two
    one.deploy(ONE)
    for _ in range(10):
        task = one.task(one.start().id)

        answers = together(
            lambda id=task.id: one.engine.tasks.claim(ANN, id),
            lambda id=task.id: other.engine.tasks.claim(BOB, id),  # type: ignore[misc]
        )

        assert Counter(type(a) for a in answers) == {type(None): 1, AccessDenied: 1}
        assert one.engine.tasks.get(SYSTEM, task.id).assignee == ("ann" if answers[0] is None else "bob")
        assert len(one.events(task.instance_id, "UserTaskClaimed")) == 1
    intact(one)


CHECKS = diagram(process(
    start(), parallel("fork"), user("a", properties(separateFrom="b", blindUntil="b"), **FOR_ENGINEERS),
    user("b", properties(separateFrom="a", blindUntil="a"), **FOR_ENGINEERS), parallel("join"), end(),
    "s>fork", "fork>a", "fork>b", "a>join", "b>join", "join>e",
))  # fmt: skip


@pytest.mark.parametrize("how", ["claim", "complete"])
def test_one_person_who_takes_both_checks_at_once_gets_one(two: tuple[House, House], how: str) -> None:
    one, other = two
    one.deploy(CHECKS)
    for _ in range(10):
        id = one.start().id
        a, b = one.task(id, "a").id, one.task(id, "b").id

        answers = together(
            lambda a=a: getattr(one.engine.tasks, how)(ANN, a),
            lambda b=b: getattr(other.engine.tasks, how)(ANN, b),  # type: ignore[misc]
        )

        assert Counter(type(answer) for answer in answers) == {type(None): 1, SeparationOfDuties: 1}
        assert [t.assignee or t.ended_by for t in one.engine.tasks.of_instance(SYSTEM, id)].count("ann") == 1
    intact(one)


@pytest.mark.parametrize("how", ["claim", "complete", "assign"])
def test_a_claim_of_the_other_check_between_read_and_write_is_noticed(two: tuple[House, House], monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    one, other = two
    one.deploy(CHECKS)
    id = one.start().id
    a, b = one.task(id, "a").id, one.task(id, "b").id
    before_its_commit(monkeypatch, one, lambda: other.engine.tasks.claim(ANN, b))

    with pytest.raises(SeparationOfDuties):
        {
            "claim": lambda: one.engine.tasks.claim(ANN, a), "complete": lambda: one.engine.tasks.complete(ANN, a),
            "assign": lambda: one.engine.tasks.assign(MANAGER, a, "ann", "x"),
        }[how]()  # fmt: skip

    assert (one.engine.tasks.get(SYSTEM, a).assignee, one.engine.tasks.get(SYSTEM, b).assignee) == (None, "ann")
    one.engine.tasks.complete(BOB, a)
    one.engine.tasks.complete(ANN, b)
    assert one.status(id) == "completed"
    intact(one)


def test_a_claim_between_read_and_write_is_noticed(two: tuple[House, House], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = two
    one.deploy(ONE)
    task = one.task(one.start().id)
    before_its_commit(monkeypatch, one, lambda: other.engine.tasks.claim(BOB, task.id))

    with pytest.raises(AccessDenied):
        one.engine.tasks.claim(ANN, task.id)

    assert one.engine.tasks.get(SYSTEM, task.id).assignee == "bob"
    intact(one)


def test_a_double_completion_counts_once(two: tuple[House, House]) -> None:
    one, other = two
    one.deploy(ONE)
    started = one.start()
    task = one.task(started.id)

    answers = together(
        *[lambda n=n, h=h: h.engine.tasks.complete(ANN, task.id, {"n": n}) for n, h in enumerate([one, other] * 4)]  # type: ignore[misc]
    )

    assert Counter(type(a) for a in answers) == {type(None): 1, TaskNotOpen: 7}
    assert one.engine.instances.variables(SYSTEM, started.id) == {"n": answers.index(None)}
    assert len(one.events(started.id, "UserTaskCompleted")) == 1
    intact(one)


def test_the_same_completion_from_many_threads_is_one_and_everybody_is_told_it_is_done(two: tuple[House, House]) -> None:
    one, other = two
    one.deploy(ONE)
    started = one.start()
    task = one.task(started.id)

    answers = together(
        *[lambda h=h: h.engine.tasks.complete(ANN, task.id, {}, idempotency_key="k") for h in [one, other] * 4]  # type: ignore[misc]
    )

    assert answers == [None] * 8
    assert len(one.events(started.id, "UserTaskCompleted")) == 1
    intact(one)


def test_a_start_sent_by_many_threads_with_one_key_starts_one(two: tuple[House, House]) -> None:
    one, other = two
    one.deploy(ONE)

    answers = together(*[lambda h=h: h.start(idempotency_key="k").id for h in [one, other] * 4])  # type: ignore[misc]

    assert len(set(answers)) == 1
    assert one.rows("select count(*) from instance") == [(1,)]
    intact(one)


@pytest.mark.parametrize("first", ["completion", "timer"])
def test_a_completion_races_the_timer_at_its_boundary(
    two: tuple[House, House], monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    one, other = two
    late = boundary("late", "a", timer("timeDuration", "PT1H"))
    one.deploy(
        diagram(process(start(), user("a", **FOR_ENGINEERS), late, user("chase"), end(), "s>a", "a>e", "late>chase", "chase>e"))
    )
    started = one.start()
    task = one.task(started.id)
    if first == "timer":

        def expire() -> None:
            one.moved.advance(hours=2)
            other.engine.jobs.run_due()

        before_its_commit(monkeypatch, one, expire)
        with pytest.raises(TaskNotOpen):
            one.engine.tasks.complete(ANN, task.id)
        assert set(one.open_tasks(started.id)) == {"chase"}
    else:
        before_its_commit(monkeypatch, other, lambda: one.engine.tasks.complete(ANN, task.id))
        # the worker's clock is ahead, so it has read the timer as due when the completion comes in between
        other.engine._runtime.command(SYSTEM, started.id, lambda turn: turn.step(FireTimers()) if turn.state else None)
        assert one.status(started.id) == "completed"
        assert one.open_tasks(started.id) == {}
    assert one.rows("select count(*) from job") == [(0,)]
    intact(one)


def test_two_workers_run_every_job_once(two: tuple[House, House]) -> None:
    one, other = two
    ran: list[str] = []

    @one.handler("work")
    def work(job: Job) -> None:
        """Work."""
        ran.append(job.key)

    one.deploy(diagram(process(start(), service("w"), end(), "s>w", "w>e")))
    ids = [one.start().id for _ in range(40)]

    counts = together(*[h.engine.jobs.run_due for h in [one, other] * 2])

    assert sum(counts) == 40
    assert len(set(ran)) == len(ran) == 40
    assert {one.status(id) for id in ids} == {"completed"}
    intact(one)


def test_two_workers_fire_every_timer_once(two: tuple[House, House]) -> None:
    one, other = two
    tick = boundary("tick", "a", timer("timeDuration", "PT1H"), cancelActivity="false")
    one.deploy(diagram(process(start(), user("a"), tick, user("t"), end(), "s>a", "a>e", "tick>t", "t>e")))
    ids = [one.start().id for _ in range(30)]
    one.moved.advance(hours=2)

    together(*[h.engine.jobs.run_quick for h in [one, other] * 2])

    assert [len(one.events(id, "TimerFired")) for id in ids] == [1] * 30
    assert one.rows("select count(*) from user_task where element = 't'") == [(30,)]
    intact(one)


@pytest.mark.parametrize("first", ["message", "cancel"])
def test_a_message_races_a_cancel(two: tuple[House, House], monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    one, other = two
    one.deploy(
        diagram(
            process(
                start(),
                receive("r", "mA", properties(correlationKey='= "N"')),
                user("after"),
                end(),
                "s>r",
                "r>after",
                "after>e",
            )
        )
    )
    started = one.start()

    def send() -> None:
        one.engine.messages.correlate(SYSTEM, "mA", correlation_key="N")

    def cancel() -> None:
        other.engine.instances.cancel(OWNER, started.id, "no bid")

    if first == "cancel":
        before_its_commit(monkeypatch, one, cancel)
        with pytest.raises(NoReceiver):
            send()
    else:
        before_its_commit(monkeypatch, other, send)
        cancel()
        assert len(one.events(started.id, "MessageCorrelated")) == 1

    assert one.status(started.id) == "cancelled"
    assert one.open_tasks(started.id) == {}
    assert one.rows("select count(*) from subscription") == [(0,)]
    intact(one)


def test_a_refusal_by_a_state_that_is_old_by_now_is_looked_at_again(
    two: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    one.deploy(diagram(process(start(), user("a"), receive("r", "mA"), end(), "s>a", "a>r", "r>e")))
    twin, started = one.start(), one.start()
    one.complete(twin.id, "a")
    ((token,),) = one.rows("select token from subscription where instance_id = ?", twin.id)
    load, done = instances.load, []

    def let_the_other_go_on(session: Session, id: int) -> instances.InstanceRow | None:
        row = load(session, id)
        if not done:
            done.append(True)
            other.complete(started.id, "a")
        return row

    monkeypatch.setattr(instances, "load", let_the_other_go_on)
    one.engine._runtime.command(SYSTEM, started.id, lambda turn: turn.step(CorrelateMessage(name="mA", token=token)))

    assert one.status(started.id) == "completed"
    intact(one)


def test_a_message_that_arrives_while_somebody_begins_to_wait_is_not_lost(
    two: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    one.deploy(
        diagram(process(start(), user("a"), receive("r", "mA", properties(correlationKey='= "N"')), user("after"), end(), "s>a", "a>r", "r>after", "after>e"))
    )  # fmt: skip
    started = one.start()
    before_its_commit(
        monkeypatch, one, lambda: other.engine.messages.correlate(SYSTEM, "mA", correlation_key="N", keep_for=timedelta(days=1))
    )

    one.complete(started.id, "a")

    assert set(one.open_tasks(started.id)) == {"after"}
    assert one.rows("select count(*) from message") == [(0,)]
    intact(one)


def test_starts_during_deployments_each_run_one_whole_version(two: tuple[House, House]) -> None:
    one, other = two
    versions = [ONE.replace(b'<userTask id="a"', b'<userTask id="a" name="v%d"' % n) for n in range(1, 6)]
    one.deploy(versions[0])

    def deploy() -> None:
        for version in versions[1:]:
            other.deploy(version)

    answers = together(deploy, *[lambda: [one.start().id for _ in range(15)] for _ in range(3)])

    ids = [id for ids in answers[1:] for id in ids]
    assert len(ids) == 45
    for id in ids:
        assert one.task(id).name == f"v{one.engine.instances.get(SYSTEM, id).definition_version}"
    assert one.engine.instances.get(SYSTEM, one.start().id).definition_version == 5
    intact(one)


def test_parallel_tasks_completed_at_once_all_count(tmp_path: Path) -> None:
    house = House(tmp_path / "data", SystemClock())
    other = house.beside()
    names = [f"t{n}" for n in range(8)]
    parts = [part for n in names for part in (user(n), f"f>{n}", f"{n}>j")]
    house.deploy(diagram(process(start(), parallel("f"), parallel("j"), end(), "s>f", "j>e", *parts)))
    started = house.start()
    tasks = house.open_tasks(started.id)

    answers = together(
        *[
            lambda h=h, n=n: h.engine.tasks.complete(SYSTEM, tasks[n].id, {n: 1})  # type: ignore[misc]
            for n, h in zip(names, [house, other] * 4, strict=True)
        ]
    )

    assert answers == [None] * 8
    assert house.status(started.id) == "completed"
    assert house.engine.instances.variables(SYSTEM, started.id) == dict.fromkeys(names, 1)
    intact(house)
    other.close()
    house.close()


def test_suspending_while_somebody_completes_leaves_one_of_both_orders(two: tuple[House, House]) -> None:
    one, other = two
    one.deploy(diagram(process(start(), user("a", **FOR_ENGINEERS), user("b", **FOR_ENGINEERS), end(), "s>a", "a>b", "b>e")))
    for _ in range(8):
        started = one.start()
        task = one.task(started.id)

        answers = together(
            lambda id=task.id: one.engine.tasks.complete(ANN, id),  # type: ignore[misc]
            lambda id=started.id: other.engine.instances.suspend(OWNER, id, "wait"),  # type: ignore[misc]
        )

        assert answers[1] is None
        (left,) = one.open_tasks(started.id).values()
        assert left.state.value == "suspended"
        assert (left.element == "b") == (answers[0] is None)
        one.engine.instances.resume(OWNER, started.id)
        assert [t.id for t in one.engine.tasks.inbox(ANN).items if t.instance_id == started.id] == [left.id]
        with pytest.raises(WrongState):
            one.engine.instances.resume(OWNER, started.id)
    intact(one)


def _complete_all(folder: Path, tasks: list[tuple[str, int]], told: Any) -> None:
    house = House(folder, SystemClock())
    answers = together(*[lambda n=n, id=id: house.engine.tasks.complete(SYSTEM, id, {n: 1}) for n, id in tasks])  # type: ignore[misc]
    told.put([str(answer) for answer in answers if answer is not None])
    house.close()


def test_two_processes_with_eight_threads_each_complete_the_parallel_tasks_of_one_instance(tmp_path: Path) -> None:
    house = House(tmp_path / "data", SystemClock())
    names = [f"t{n}" for n in range(16)]
    parts = [part for n in names for part in (user(n), f"f>{n}", f"{n}>j")]
    house.deploy(diagram(process(start(), parallel("f"), parallel("j"), user("last"), end(), "s>f", "j>last", "last>e", *parts)))
    started = house.start()
    tasks = [(n, house.task(started.id, n).id) for n in names]

    context = multiprocessing.get_context("fork")
    told = context.Queue()
    workers = [context.Process(target=_complete_all, args=(tmp_path / "data", half, told)) for half in (tasks[::2], tasks[1::2])]
    for worker in workers:
        worker.start()
    refused = [told.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(60)

    assert refused == [[], []]
    assert set(house.open_tasks(started.id)) == {"last"}
    assert house.engine.instances.variables(SYSTEM, started.id) == dict.fromkeys(names, 1)
    assert Counter(e.element for e in house.events(started.id, "UserTaskCompleted")) == dict.fromkeys(names, 1)
    assert len(house.events(started.id, "UserTaskCreated")) == 17
    require_agreement(house)
    intact(house)
    house.close()


def test_deployments_at_once_make_one_version_each(two: tuple[House, House]) -> None:
    one, other = two
    versions = [ONE.replace(b'<userTask id="a"', b'<userTask id="a" name="v%d"' % n) for n in range(8)]

    answers = together(*[lambda h=h, v=v: h.deploy(v) for h, v in zip([one, other] * 4, versions, strict=True)])  # type: ignore[misc]

    assert sorted(d.version for a in answers for d in a.definitions) == list(range(1, 9))
    assert [d.version for d in one.engine.deployments.versions(OWNER, "p")] == list(range(8, 0, -1))
    assert one.engine.instances.get(SYSTEM, one.start().id).definition_version == 8


def test_the_same_deployment_at_once_makes_one_version(two: tuple[House, House]) -> None:
    one, other = two

    answers = together(*[lambda h=h: h.deploy(ONE) for h in [one, other] * 4])  # type: ignore[misc]

    assert sum(len(a.definitions) for a in answers) == 1
    assert [d.version for d in one.engine.deployments.versions(OWNER, "p")] == [1]


def test_of_two_who_save_the_same_drawing_one_is_told_that_it_is_stale(two: tuple[House, House]) -> None:
    one, _ = two
    one.deploy(ONE)
    for n in range(6):
        base = one.engine.deployments.draft(OWNER, "p").sha256
        drawn = [ONE.replace(b'<userTask id="a"', b'<userTask id="a" name="%d by %d"' % (n, who)) for who in range(2)]

        answers = together(
            *[lambda h=h, xml=xml, base=base: h.engine.deployments.save_draft(OWNER, "p", xml, base) for h, xml in zip(two, drawn, strict=True)]  # type: ignore[misc]
        )

        assert sum(isinstance(a, StalePage) for a in answers) == 1
        (saved,) = (a for a in answers if not isinstance(a, EngineError))
        assert one.engine.deployments.draft(OWNER, "p").sha256 == saved.sha256


def test_a_message_and_one_who_begins_to_wait_always_meet(two: tuple[House, House]) -> None:
    one, other = two
    wait = receive("r", "mA", properties(correlationKey="= key"))
    one.deploy(diagram(process(start(), user("a"), wait, user("after"), end(), "s>a", "a>r", "r>after", "after>e")))
    ids = {f"N{n}": one.start(variables={"key": f"N{n}"}).id for n in range(12)}

    for key, id in ids.items():
        task = one.task(id, "a").id
        answers = together(
            lambda task=task: one.engine.tasks.complete(SYSTEM, task),  # type: ignore[misc]
            lambda key=key: other.engine.messages.correlate(SYSTEM, "mA", correlation_key=key, keep_for=timedelta(days=1)),  # type: ignore[misc]
        )
        assert not any(isinstance(a, EngineError) for a in answers), answers
        assert set(one.open_tasks(id)) == {"after"}
    assert one.rows("select count(*) from message") == [(0,)]
    intact(one)


def test_one_job_goes_to_one_worker_however_many_ask(two: tuple[House, House]) -> None:
    one, other = two
    ran: list[str] = []

    @one.handler("work")
    def work(job: Job) -> None:
        """Work."""
        ran.append(job.key)

    one.deploy(diagram(process(start(), service("w"), end(), "s>w", "w>e")))
    for n in range(10):
        id = one.start().id
        counts = together(*[h.engine.jobs.run_slow for h in [one, other] * 3])
        assert sum(counts) == 1
        assert len(ran) == n + 1
        assert one.status(id) == "completed"
    intact(one)


def test_roles_given_at_once_are_those_of_one_of_both(two: tuple[House, House]) -> None:
    one, other = two
    for _ in range(6):
        together(
            lambda: one.engine.people.set_groups(SYSTEM, "ann", ("presale_engineer", "bid_manager")),
            lambda: other.engine.people.set_groups(SYSTEM, "ann", ("presale_engineer", "warehouse_keeper")),
        )
        actor = one.engine.people.actor("ann")
        assert actor is not None
        assert len(actor.groups) == 2


def many_due(one: House, count: int) -> list[Any]:
    """Start instances whose timers are all due; return their ids."""
    late = boundary("late", "a", timer("timeDuration", "PT1H"))
    one.deploy(diagram(process(start(), user("a"), late, user("chase"), end(), "s>a", "a>e", "late>chase", "chase>e")))
    ids = [one.start().id for _ in range(count)]
    one.moved.advance(hours=2)
    return ids


def test_timers_that_fire_together_are_one_transaction(two: tuple[House, House], monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = two
    ids = many_due(one, 30)
    begun: list[None] = []
    writing = Database.writing

    def counted(database: Database) -> Any:
        begun.append(None)
        return writing(database)

    monkeypatch.setattr(Database, "writing", counted)

    assert one.engine.jobs.run_quick() == 30

    assert len(begun) == 2  # one claims, one fires
    assert all(set(one.open_tasks(id)) == {"chase"} for id in ids)
    intact(one)


def test_when_somebody_changes_an_instance_between_read_and_write_each_fires_by_itself(
    two: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    ids = many_due(one, 5)
    prepare, done = Turn.prepare, []

    def late(turn: Turn) -> None:
        prepare(turn)
        if not done:
            done.append(True)
            other.engine.instances.set_variables(OWNER, ids[2], {"n": 1}, "a word")  # fires the overdue timer itself

    monkeypatch.setattr(Turn, "prepare", late)

    assert one.engine.jobs.run_quick() == 5

    assert all(set(one.open_tasks(id)) == {"chase"} for id in ids)
    assert one.rows("select count(*) from job") == [(0,)]
    assert [len(one.events(id, "TimerFired")) for id in ids] == [1] * 5
    intact(one)


def test_an_instance_that_fails_while_it_is_written_takes_no_other_with_it(
    two: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = two
    ids = many_due(one, 5)
    write = Turn.write

    def failing(turn: Turn, tx: Session) -> None:
        write(turn, tx)
        if turn.row.id == ids[2]:
            raise RuntimeError("halfway")

    monkeypatch.setattr(Turn, "write", failing)

    assert one.engine.jobs.run_quick() == 5

    assert [sorted(one.open_tasks(id)) for id in ids] == [["chase"], ["chase"], ["a"], ["chase"], ["chase"]]
    assert one.rows("select instance_id, state, attempts, error from job") == [(ids[2], "waiting", 1, "RuntimeError: halfway")]
    monkeypatch.undo()
    one.moved.advance(minutes=1)
    assert one.engine.jobs.run_quick() == 1
    intact(one)


def test_a_completion_that_comes_before_a_batch_of_timers_reads_wins_and_no_timer_is_left(two: tuple[House, House]) -> None:
    one, other = two
    ids = many_due(one, 20)
    tasks = [one.task(id).id for id in ids]

    def complete() -> None:
        for task in tasks:
            with suppress(EngineError):  # too late
                other.engine.tasks.complete(ANN, task)

    together(complete, one.engine.jobs.run_quick)
    one.moved.advance(minutes=1)
    one.engine.jobs.run_quick()

    assert [len(one.events(id, "TimerFired")) for id in ids] == [1] * 20  # a completion that is too late fires it itself
    assert all(set(one.open_tasks(id)) == {"chase"} for id in ids)
    assert one.rows("select count(*) from job") == [(0,)]
    intact(one)
