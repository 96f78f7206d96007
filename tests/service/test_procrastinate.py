"""Jobs by way of procrastinate's workers: told in the transaction that makes them, done once whatever becomes of the telling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.assembly import Engine, open_engine
from engine.clock import SystemClock
from engine.errors import SettingsError
from engine.handler import Job
from engine.model import SYSTEM, InstanceId
from engine.service.turn import Turn
from engine.settings import read_settings
from tests.bpmn.build import boundary, catch, diagram, end, event, process, service, start, throw, timer, user
from tests.competing.test_competing import together
from tests.service.house import MONDAY, OWNER, House

pytestmark = pytest.mark.only_on("postgresql")
WORK = diagram(process(start(), service("w", "work"), user("after"), end(), "s>w", "w>after", "after>e"))
LATE = diagram(
    process(start(), user("a"), boundary("late", "a", timer("timeDuration", "PT2H")), user("chase"), end(), "s>a", "a>e", "late>chase", "chase>e", id="q")
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Its jobs are told of to workers that are not there."""
    made = House(tmp_path / "data", dispatch="procrastinate")
    made.add_people()
    yield made
    made.close()


def deliveries(house: House) -> list[tuple[Any, ...]]:
    return house.rows("select queue_name, cast(args ->> 'job_id' as bigint) from procrastinate_jobs where status = 'todo' order by id")


def job_ids(house: House) -> list[int]:
    return [id for (id,) in house.rows("select id from job order by id")]


def wait(so: Callable[[], object]) -> None:
    """Workers run in real time; three minutes are never needed."""
    for _ in range(18_000):
        if so():
            return
        time.sleep(0.01)
    pytest.fail("it never came to be")


def test_work_that_is_due_at_once_is_told_in_the_transaction_that_makes_it(house: House) -> None:
    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""

    house.deploy(WORK)
    house.start()

    [id] = job_ids(house)
    assert deliveries(house) == [("psmflow.work", id)]
    assert house.engine.jobs.promote() == 0  # nobody is told twice


def test_a_transaction_that_is_given_up_tells_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""

    house.deploy(WORK)
    write = Turn.write

    def failing(turn: Turn, tx: Any) -> None:
        write(turn, tx)
        raise RuntimeError("halfway")

    monkeypatch.setattr(Turn, "write", failing)
    with pytest.raises(RuntimeError):
        house.start()

    assert deliveries(house) == []
    assert job_ids(house) == []


def test_timers_are_handed_over_when_they_are_due_and_not_before(house: House) -> None:
    house.deploy(LATE)
    for _ in range(60):
        house.start("q")
    assert house.engine.jobs.promote() == 0
    assert deliveries(house) == []

    house.moved.advance(hours=2)
    assert house.engine.jobs.promote() == 60
    assert house.engine.jobs.promote() == 0

    assert [queue for queue, _ in deliveries(house)] == ["psmflow.quick"] * 2  # who comes for one takes fifty
    house.engine.jobs.run_due_timers()
    assert house.rows("select count(*) from user_task where element = 'chase'") == [(60,)]


def test_a_delivery_that_is_lost_is_made_again_a_minute_later(house: House) -> None:
    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""

    house.deploy(WORK)
    house.start()
    house.change("delete from procrastinate_jobs")
    house.moved.advance(seconds=59)
    assert house.engine.jobs.promote() == 0

    house.moved.advance(seconds=2)
    assert house.engine.jobs.promote() == 1
    assert [id for _, id in deliveries(house)] == job_ids(house)


def test_what_failed_or_was_given_back_is_told_again(house: House) -> None:
    @house.handler("work", backoff=timedelta(minutes=10))
    def work(job: Job) -> None:
        """Work."""
        raise OSError("down")

    house.deploy(WORK)
    house.start()
    house.change("delete from procrastinate_jobs")
    [taken] = house.engine.jobs.take_work(1)
    house.engine.jobs.give_back([taken])
    assert house.engine.jobs.promote() == 1
    house.engine.jobs.run_slow()
    assert house.engine.jobs.promote() == 0

    house.moved.advance(minutes=12)
    assert house.engine.jobs.promote() == 1


def test_deliveries_that_a_dead_worker_had_are_swept_away(house: House) -> None:
    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""

    house.deploy(WORK)
    house.start()
    house.change("update procrastinate_jobs set status = 'doing'")  # and its worker was pruned

    house.engine.jobs.keep_up()

    assert house.rows("select count(*) from procrastinate_jobs") == [(0,)]


def test_procrastinate_needs_postgresql(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PSMFLOW_DISPATCH"):
        read_settings({"PSMFLOW_DISPATCH": "procrastinate"}, data=tmp_path)
    with pytest.raises(SettingsError, match="local"):
        read_settings({"PSMFLOW_DISPATCH": "celery"}, data=tmp_path)


# ------------------------------------------------------------------------------------------------------------------ with real workers
@pytest.fixture
def engines(tmp_path: Path) -> Iterator[tuple[House, list[Engine]]]:
    """Two processes, as far as the engine can tell, whose workers are told by the database."""
    house = House(tmp_path / "data", SystemClock(), dispatch="procrastinate")
    made: list[Engine] = []
    yield house, made
    for engine in made:
        engine.close()
    house.close()


def begin(house: House, made: list[Engine], count: int = 2, **settings: Any) -> None:
    for _ in range(count):
        given = {"database_url": house.settings.database_url, "dispatch": "procrastinate", "synchronous": "NORMAL", **settings}
        made.append(open_engine(read_settings({}, data=house.folder, **given), SystemClock(), house.handlers, dispatching=True))


def test_two_workers_do_every_job_once_whatever_its_kind(engines: tuple[House, list[Engine]]) -> None:
    house, made = engines
    ran: list[str] = []

    @house.handler("work")
    def work(job: Job) -> dict[str, Any]:
        """Work."""
        ran.append(job.key)
        return {"worked": True}

    soon = catch("c", timer("timeDuration", "PT0.2S"))
    house.deploy(
        diagram(process(start(), service("w", "work"), soon, throw("t", event("message", "mA")), user("after"), end(), "s>w", "w>c", "c>t", "t>after", "after>e")),
        diagram(process(start("s", event("message", "mA")), end(), "s>e", id="other")),
    )
    begin(house, made)

    ids = [house.start().id for _ in range(20)]

    wait(lambda: all(set(house.open_tasks(id)) == {"after"} for id in ids))
    wait(lambda: house.rows("select count(*) from instance where key = 'other' and status = 'completed'") == [(20,)])
    wait(lambda: house.rows("select count(*) from job") == [(0,)])
    assert len(ran) == len(set(ran)) == 20
    wait(lambda: house.rows("select count(*) from procrastinate_jobs") == [(0,)])
    assert house.engine.audit.cross_check() == ()


def test_an_administrator_sees_whose_connections_there_are(engines: tuple[House, list[Engine]]) -> None:
    house, made = engines
    begin(house, made, 1)
    listening = "select count(*) from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
    wait(lambda: house.rows(listening) != [(0,)])

    names = house.rows("select distinct application_name from pg_stat_activity where datname = current_database()")
    assert {name for (name,) in names} == {"psmflow"}


def test_workers_that_stop_give_back_what_does_not_end(engines: tuple[House, list[Engine]]) -> None:
    house, made = engines
    began, enough = threading.Event(), threading.Event()

    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""
        began.set()
        enough.wait(180)

    house.deploy(WORK)
    begin(house, made, 1, stop_seconds=0)
    id: InstanceId = house.start().id
    assert began.wait(180)

    made.pop().close()
    assert house.rows("select state, attempts, handed_off from job") == [("waiting", 0, None)]
    enough.set()
    begin(house, made, 1)

    wait(lambda: house.open_tasks(id))
    assert len(house.events(id, "JobCompleted")) == 1


def test_the_limit_of_a_type_holds_over_all_workers(engines: tuple[House, list[Engine]]) -> None:
    house, made = engines
    lock, now, most = threading.Lock(), [0], [0]

    @house.handler("work", concurrency=2)
    def work(job: Job) -> None:
        """Work."""
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        house.rows("select pg_sleep(0.02)")
        with lock:
            now[0] -= 1

    house.deploy(WORK)
    ids = [house.start().id for _ in range(30)]
    begin(house, made)

    wait(lambda: all(house.open_tasks(id) for id in ids))
    assert most[0] == 2


def test_processes_that_start_together_make_its_tables_once(tmp_path: Path) -> None:
    first = House(tmp_path / "data")
    url = first.settings.database_url

    def opened() -> None:
        open_engine(read_settings({}, data=tmp_path / "data", database_url=url, dispatch="procrastinate"), first.clock, first.handlers).close()

    assert together(*[opened] * 4) == [None] * 4
    assert first.rows("select count(*) from procrastinate_jobs") == [(0,)]
    first.close()


def test_local_processes_do_what_is_told_to_workers_that_are_not_there(house: House) -> None:
    @house.handler("work")
    def work(job: Job) -> None:
        """Work."""

    house.deploy(WORK)
    id = house.start().id
    assert house.engine.jobs.next_due_at() == MONDAY

    house.engine.jobs.run_due()

    assert set(house.open_tasks(id)) == {"after"}
    assert house.engine.instances.work(SYSTEM, id) == ()
    assert house.engine.jobs.incidents(OWNER) == ()
