"""Handlers in threads: how many at once, of which type, for how long; and what becomes of one that hangs."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from engine.dispatch.pool import HandlerPool
from engine.handler import HandlerRegistry, Job, handler
from engine.model import SYSTEM, InstanceId, ProcessInstance
from tests.bpmn.build import boundary, diagram, end, process, service, start, timer, user
from tests.service.house import OWNER, House


def work_of(*types: str) -> list[bytes]:
    """A process for each type, with its name, that does one job of it."""
    return [diagram(process(start(), service("w", t), user("after"), end(), "s>w", "w>after", "after>e", id=t)) for t in types]


class Stage:
    """Handlers that begin, and go on until they are let go."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.began: list[Job] = []
        self.most = Counter[str]()
        self._now = Counter[str]()
        self._changed = threading.Condition()
        self._free: set[tuple[str, int]] = set()
        self._all = False
        self.pools: list[HandlerPool] = []

    def play(self, type: str, **options: Any) -> None:
        @handler(type, registry=self.house.handlers, **options)
        def act(job: Job) -> dict[str, Any]:
            """Act."""
            with self._changed:
                self.began.append(job)
                self._now[type] += 1
                self.most[type] = max(self.most[type], self._now[type])
                self._changed.notify_all()
                assert self._changed.wait_for(lambda: self._all or (job.key, job.attempt) in self._free, 60)
                self._now[type] -= 1
            return {"attempt": job.attempt}

    def pool(self, threads: int, house: House | None = None) -> HandlerPool:
        of = house or self.house
        made = HandlerPool(of.engine.jobs, of.clock, threads)
        self.pools.append(made)
        return made

    def let_go(self, job: Job) -> None:
        with self._changed:
            self._free.add((job.key, job.attempt))
            self._changed.notify_all()

    def let_all_go(self) -> None:
        with self._changed:
            self._all = True
            self._changed.notify_all()

    def until(self, so: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(so, 60)

    def until_free(self, pool: HandlerPool, running: int = 0) -> None:
        with pool._changed:
            assert pool._changed.wait_for(lambda: len(pool._running) == running, 60)


@pytest.fixture
def stage(house: House) -> Iterator[Stage]:
    made = Stage(house)
    yield made
    made.let_all_go()
    for pool in made.pools:
        pool.stop(timedelta(minutes=1))


def job_rows(house: House) -> list[tuple[Any, ...]]:
    return house.rows("select state, attempts from job order by id")


def started(house: House, type: str, count: int = 1) -> list[ProcessInstance]:
    return [house.start(type) for _ in range(count)]


# ------------------------------------------------------------------------------------------------------------------ how many at once
def test_as_many_run_at_once_as_there_are_threads_and_the_next_when_one_ends(house: House, stage: Stage) -> None:
    stage.play("a")
    house.deploy(*work_of("a"))
    started(house, "a", 5)
    pool = stage.pool(3)

    assert pool.fill() == 3
    stage.until(lambda: len(stage.began) == 3)
    assert pool.fill() == 0
    stage.let_go(stage.began[0])
    stage.until_free(pool, 2)
    assert pool.fill() == 1
    stage.until(lambda: len(stage.began) == 4)

    assert stage.most["a"] == 3


def test_a_place_that_becomes_free_is_told(house: House, stage: Stage) -> None:
    stage.play("a")
    house.deploy(*work_of("a"))
    started(house, "a")
    pool, told = stage.pool(1), threading.Event()
    pool.on_free = told.set

    pool.fill()
    stage.until(lambda: len(stage.began) == 1)
    assert not told.is_set()
    stage.let_all_go()

    assert told.wait(60)


def test_no_more_of_a_type_run_at_once_in_the_whole_installation_than_its_limit(house: House, stage: Stage) -> None:
    stage.play("a", concurrency=2)
    house.deploy(*work_of("a"))
    ids = [p.id for p in started(house, "a", 5)]
    other = house.beside()
    pools = [stage.pool(4), stage.pool(4, other)]

    assert [pool.fill() for pool in pools] == [2, 0]
    stage.until(lambda: len(stage.began) == 2)
    stage.let_go(stage.began[0])
    stage.until_free(pools[0], 1)
    assert pools[1].fill() == 1  # the place is anybody's
    stage.until(lambda: len(stage.began) == 3)
    assert [pool.fill() for pool in pools] == [0, 0]
    stage.let_all_go()
    while not all(house.open_tasks(id) for id in ids):
        for pool in pools:
            stage.until_free(pool)
            pool.fill()

    assert stage.most["a"] == 2
    for pool in pools:
        pool.stop(timedelta(minutes=1))
    other.close()


def test_the_limit_holds_when_handlers_run_one_after_the_other_as_well(house: House, stage: Stage) -> None:
    stage.play("a", concurrency=1)
    house.deploy(*work_of("a"))
    started(house, "a", 2)
    pool = stage.pool(1)
    pool.fill()
    stage.until(lambda: len(stage.began) == 1)

    assert house.engine.jobs.run_slow() == 0

    stage.let_all_go()


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"concurrency": 2, "effect": "none"}])
def test_a_limit_that_means_nothing_is_refused(options: Any) -> None:
    with pytest.raises(ValueError, match="concurrency"):
        handler("a", registry=HandlerRegistry(), **options)(lambda job: None)


# -------------------------------------------------------------------------------------------------------------------------- fairness
def test_a_flood_of_one_type_keeps_no_other_waiting(house: House, stage: Stage) -> None:
    for type in ("a", "b", "c"):
        stage.play(type)
    house.deploy(*work_of("a", "b", "c"))
    started(house, "a", 20)
    started(house, "b", 2)
    started(house, "c", 1)
    pool = stage.pool(4)

    assert pool.fill() == 4
    stage.until(lambda: len(stage.began) == 4)

    assert Counter(job.type for job in stage.began) == {"a": 2, "b": 1, "c": 1}
    for type in ("b", "c"):
        stage.let_go(next(job for job in stage.began if job.type == type))
    stage.until_free(pool, 2)
    pool.fill()
    stage.until(lambda: len(stage.began) == 6)
    assert Counter(job.type for job in stage.began) == {"a": 3, "b": 2, "c": 1}


def test_one_thread_goes_from_type_to_type_and_takes_the_oldest_of_each(house: House) -> None:
    ran: list[tuple[str, int]] = []
    for type in ("a", "b"):

        @house.handler(type)
        def work(job: Job) -> None:
            """Work."""
            ran.append((job.type, job.instance_id))

    house.deploy(*work_of("a", "b"))
    of_a, of_b = started(house, "a", 3), started(house, "b", 2)

    house.engine.jobs.run_slow()

    assert ran == [
        ("a", of_a[0].id), ("b", of_b[0].id), ("a", of_a[1].id), ("b", of_b[1].id), ("a", of_a[2].id),
    ]  # fmt: skip


def test_a_type_whose_work_is_put_off_is_not_looked_at(house: House) -> None:
    @house.handler("a", backoff=timedelta(hours=1))
    def fail(job: Job) -> None:
        """Fail."""
        raise OSError("down")

    house.deploy(*work_of("a"))
    started(house, "a", 3)
    assert house.engine.jobs.run_slow() == 3

    assert house.engine.jobs.take_work(3) == []


# ---------------------------------------------------------------------------------------------------------- how long, and what hangs
def test_a_run_that_takes_too_long_has_failed_and_its_late_finish_does_not_count(
    house: House, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.play("a", timeout=timedelta(minutes=5), retries=1)
    house.deploy(*work_of("a"))
    (instance,) = started(house, "a")
    pool = stage.pool(1)
    pool.fill()
    stage.until(lambda: len(stage.began) == 1)
    house.moved.advance(minutes=4)
    pool.beat()
    assert house.events(instance.id, "JobFailed") == []

    house.moved.advance(minutes=1)
    pool.beat()

    (failure,) = house.events(instance.id, "JobFailed")
    assert (failure.attempt, failure.retry_at is not None) == (1, True)
    assert "timeout" in failure.message
    assert "超过时限" in caplog.text
    assert house.engine.audit.health().hanging_handler_count == 1
    house.moved.advance(minutes=1)
    assert pool.fill() == 1  # the hanging one has no place any more
    stage.until(lambda: len(stage.began) == 2)
    stage.let_go(stage.began[1])
    stage.until_free(pool)
    stage.let_go(stage.began[0])
    while house.engine.audit.health().hanging_handler_count:
        pass
    assert house.engine.instances.variables(SYSTEM, instance.id)["attempt"] == 2
    assert len(house.events(instance.id, "JobCompleted")) == 1
    assert len({job.key for job in stage.began}) == 1


def test_a_hanging_handler_is_an_incident_after_its_last_attempt(house: House, stage: Stage) -> None:
    stage.play("a", timeout=timedelta(minutes=5), retries=0)
    house.deploy(*work_of("a"))
    (instance,) = started(house, "a")
    pool = stage.pool(1)
    pool.fill()
    house.moved.advance(minutes=5)

    pool.beat()

    (incident,) = house.engine.jobs.incidents(OWNER)
    assert (incident.instance_id, incident.kind) == (instance.id, "handler")
    assert house.engine.audit.cross_check() == ()


def test_a_lease_is_renewed_as_long_as_its_handler_runs(house: House, stage: Stage) -> None:
    stage.play("a", timeout=timedelta(hours=1))
    house.deploy(*work_of("a"))
    started(house, "a")
    pool = stage.pool(1)
    pool.fill()
    stage.until(lambda: len(stage.began) == 1)

    for _ in range(20):
        house.moved.advance(seconds=40)
        pool.beat()
        assert house.engine.jobs.run_due() == 0

    assert job_rows(house) == [("running", 1)]
    house.moved.advance(seconds=61)  # the process has died, or the database was away
    house.engine.jobs.run_quick()
    assert job_rows(house) == [("waiting", 1)]


def test_a_run_whose_instance_was_cancelled_keeps_its_place_until_it_ends_and_counts_for_nothing(house: House, stage: Stage) -> None:
    stage.play("a")
    house.deploy(*work_of("a"))
    (instance,) = started(house, "a")
    pool = stage.pool(1)
    pool.fill()
    stage.until(lambda: len(stage.began) == 1)

    house.engine.instances.cancel(OWNER, instance.id, "no bid")
    house.moved.advance(seconds=30)
    pool.beat()
    pool.beat()
    stage.let_all_go()
    stage.until_free(pool)

    assert house.status(instance.id) == "cancelled"
    assert house.events(instance.id, "JobCompleted") == []


def test_a_process_in_which_too_many_hang_takes_no_more_and_says_so(
    house: House, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.play("a", timeout=timedelta(minutes=1), retries=0)
    house.deploy(*work_of("a"))
    count = 4 * house.settings.worker_threads
    started(house, "a", count + 1)
    pool = stage.pool(house.settings.worker_threads)
    for n in range(4):
        assert pool.fill() == house.settings.worker_threads
        stage.until(lambda n=n: len(stage.began) == (n + 1) * house.settings.worker_threads)
        house.moved.advance(minutes=1)
        pool.beat()

    assert pool.fill() == 0

    assert [r.levelname for r in caplog.records].count("CRITICAL") == 1
    health = house.engine.audit.health()
    assert (health.hanging_handler_count, health.takes_handlers, health.ok) == (count, False, False)
    assert house.engine.jobs.run_quick() == 0  # what is quick goes on
    stage.let_all_go()
    while house.engine.jobs.hanging_count:
        pass
    assert house.engine.audit.health().takes_handlers
    assert pool.fill() == 1


def test_timers_fire_while_every_thread_is_taken(house: House, stage: Stage) -> None:
    stage.play("a")
    late = diagram(
        process(start(), user("t"), boundary("late", "t", timer("timeDuration", "PT30S")), user("chase"), end(), "s>t", "t>e", "late>chase", "chase>e")
    )
    house.deploy(*work_of("a"), late)
    started(house, "a", 3)
    id: InstanceId = house.start("p").id
    pool = stage.pool(1)
    pool.fill()
    stage.until(lambda: len(stage.began) == 1)
    house.moved.advance(seconds=31)

    house.engine.jobs.run_quick()

    assert set(house.open_tasks(id)) == {"chase"}


# -------------------------------------------------------------------------------------------------------------------------- stopping
def test_a_pool_that_stops_waits_for_what_runs(house: House, stage: Stage) -> None:
    stage.play("a")
    house.deploy(*work_of("a"))
    (instance,) = started(house, "a")
    pool = stage.pool(1)
    pool.fill()
    stage.until(lambda: len(stage.began) == 1)
    stopping = threading.Thread(target=pool.stop, args=[timedelta(minutes=1)])
    stopping.start()

    stage.let_all_go()
    stopping.join(60)

    assert set(house.open_tasks(instance.id)) == {"after"}
    assert pool.fill() == 0


def test_what_does_not_end_in_time_is_given_back_and_its_attempt_does_not_count(
    house: House, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.play("a", retries=0)
    house.deploy(*work_of("a"))
    (instance,) = started(house, "a")
    pool = stage.pool(1)
    pool.fill()
    stage.until(lambda: len(stage.began) == 1)

    with caplog.at_level(logging.WARNING):
        pool.stop(timedelta())

    assert job_rows(house) == [("waiting", 0)]
    assert "given back" in caplog.text
    other = stage.pool(1)
    assert other.fill() == 1
    stage.let_all_go()
    stage.until_free(other)
    assert len(house.events(instance.id, "JobCompleted")) == 1
    assert stage.began[1].attempt == 1
