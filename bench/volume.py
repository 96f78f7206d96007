"""Much at once: an inbox of a million open tasks, a hundred thousand timers due in one second.

The rows are made in the database itself, as copies of an instance that was started through the façade: every table that has rows
of the instance, every column as it stands, with other ids, groups and dates. The history of a copy is the original's and does not
verify; nothing here reads it.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty
from typing import Any, TypeAlias

from bench import workloads
from bench.measure import Plan, Results, middle, percentile, say
from bench.psmflow import Psmflow, registry
from engine import Actor, open_engine
from engine.access import GROUPS
from engine.clock import SystemClock
from engine.settings import Settings
from engine.store import jobs
from engine.store.database import Database, Session, micros
from engine.store.schema import METADATA
from engine.store.tasks import principals

#: Ids of a copy lie so far from those of the copy before: 64 ms of ids, longer than the command took that made the original.
_STEP = 1 << 28
_DAY = 86_400_000_000
_WORKERS = 2


# ---------------------------------------------------------------------------------------------------------------------- copies in SQL
def copy_instances(arm: Psmflow, original: int, count: int, changes: Mapping[str, Mapping[str, str]], chunk: int = 10_000) -> None:
    """Make so many copies of an instance and everything that belongs to it.

    Args:
        changes: ``{table: {column: SQL}}``; in it ``x`` is the original's row and ``n.i`` the number of the copy, from 1.
    """
    of = {
        table.name: "x.instance_id" for table in METADATA.sorted_tables if "instance_id" in table.columns and table.name != "notice"
    }
    for first in range(1, count + 1, chunk):
        last = min(count, first + chunk - 1)
        with arm.engine._database.writing() as session:
            for table, key in {"instance": "x.id", **of}.items():
                _copy(session, table, f"{key} = {original}", first, last, changes.get(table, {}))


def _copy(session: Session, table: str, where: str, first: int, last: int, changes: Mapping[str, str]) -> None:
    columns = [column.name for column in METADATA.tables[table].columns]
    given = {
        name: f"x.{name} + n.i * {_STEP}" if name in ("id", "instance_id", "task_id", "job_id") else f'x."{name}"' for name in columns
    }
    given |= changes
    names = ", ".join(f'"{name}"' for name in columns)
    session.run(
        f"insert into {table} ({names})"
        f" with recursive n(i) as (select cast({first} as bigint) union all select i + 1 from n where i < {last})"
        f" select {', '.join(given[name] for name in columns)} from n cross join {table} x where {where} order by n.i"
    )


def _picked(names: Sequence[str], number: str) -> str:
    """Return SQL that gives one of `names` by a number."""
    cases = " ".join(f"when {n} then '{name}'" for n, name in enumerate(names))
    return f"case ({number}) % {len(names)} {cases} end"


# ------------------------------------------------------------------------------------------------------------------------- the inbox
def fill_inbox(arm: Psmflow, instances: int) -> None:
    """Make ten open tasks in each of so many instances: a tenth claimed, the others offered to one of all groups."""
    original = arm.start("wi", workloads.START)
    number = "(n.i * 10 + x.token)"
    # every task has a due date of its own within forty days, ten of them past
    due = f"{micros(datetime.now(UTC)) - 10 * _DAY} + ({number} * 2654435761) % {40 * _DAY}"
    claimed = f"case when ({number} * 7919) % 10 = 0 then 'person' || (({number} * 31) % 2000) end"
    copy_instances(
        arm, original, instances,
        {
            "instance": {"title": "'智慧车站综合管理平台建设项目 ' || n.i", "business_key": "'PSM-2026-' || n.i"},
            "user_task": {
                "candidate_groups": _picked(tuple(GROUPS), f"{number} * 17"), "assignee": claimed, "due_at": due, "sort_at": due,
                "remind_at": "null",
            },
        },
    )  # fmt: skip
    with arm.engine._database.writing() as session:
        session.run(
            "insert into user_task_candidate (principal, sort_at, task_id) select 'g:' || candidate_groups, sort_at, id from user_task"
            " where state = 'open' and assignee is null order by 1, 2, 3 on conflict do nothing"
        )
    with arm.engine._database.writing() as session:
        session.run("analyze")


def inbox(plan: Plan, results: Results, name: str = "sqlite", **settings: object) -> None:
    """The first page, a page further on and the counts of persons in five groups each."""
    instances = plan.size(100_000, 10_000)
    arm = Psmflow(plan.made(f"inbox_{name}"), None, **settings)
    try:
        began = time.perf_counter()
        fill_inbox(arm, instances)
        with arm.engine._database.reading() as session:
            count = session.value("select count(*) from user_task where state = 'open'")
        say(f"{count:,} open tasks made in {time.perf_counter() - began:.0f} s")
        groups, people = tuple(GROUPS), 40
        who = [
            Actor(id=f"person{n * 31}", groups=frozenset(groups[(n + 9 * k) % len(groups)] for k in range(5))) for n in range(people)
        ]
        with arm.engine._database.reading() as session:
            groups_of_one = principals(who[-1])
            offered = session.value(
                f"select count(distinct task_id) from user_task_candidate where principal in ({', '.join('?' * len(groups_of_one))})",
                groups_of_one,
            )
        tasks = arm.engine.tasks
        taken: dict[str, list[float]] = {"page": [], "tenth_page": [], "search": [], "counts": []}
        used = dict.fromkeys(taken, 0.0)

        def timed(what: str, call: Callable[[], Any]) -> Any:
            cpu, at = time.process_time(), time.perf_counter()
            answer = call()
            taken[what].append(time.perf_counter() - at)
            used[what] += time.process_time() - cpu
            return answer

        for actor in who[:5]:
            assert len(tasks.inbox(actor).items) == 50
        for _ in range(plan.rounds):
            gc.collect()
            for actor in who:
                timed("page", partial(tasks.inbox, actor))
                page = tasks.inbox(actor, limit=450)
                assert len(timed("tenth_page", partial(tasks.inbox, actor, after=page.next)).items) == 50
                timed("counts", partial(tasks.counts, actor))
        results.add(f"inbox.{name}.open_tasks", count, "tasks")
        results.add(f"inbox.{name}.offered_to_a_person", offered, "tasks")
        for what, seconds in taken.items():
            if seconds:
                results.add(f"inbox.{name}.{what}_p50", middle(seconds) * 1e3, "ms")
                target = ("≤", 20) if what == "page" and not plan.quick else None
                results.add(f"inbox.{name}.{what}_p99", percentile(seconds, 0.99) * 1e3, "ms", target=target)  # type: ignore[arg-type]
                results.add(f"inbox.{name}.{what}_cpu", used[what] / len(seconds) * 1e3, "ms")
    finally:
        arm.close()


# ----------------------------------------------------------------------------------------------------------------------------- timers
class Ahead:
    """A clock some time ahead of the machine's: what is due then is due now."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return datetime.now(UTC) + self._by


#: Jobs done and processor seconds of each worker.
Answers: TypeAlias = "Queue[tuple[int, float]]"
Worker = Callable[[Settings, str, Barrier, Answers], None]


def claim_and_finish(settings: Settings, name: str, gate: Barrier, answers: Answers) -> None:
    """Claim due timers and finish them, with the functions of the store alone."""
    database, count, done = Database(settings, SystemClock()), 0, 0
    gate.wait()
    began = time.process_time()
    while True:
        count += 1
        lease, now = f"{name}.{count}", micros(datetime.now(UTC))
        with database.writing() as tx:
            got = jobs.claim(tx, ["timer"], now=now, lease_until=now + 60_000_000, lease=lease, limit=500)
        if not got:
            break
        with database.writing() as tx:
            jobs.finish_all(tx, [job.id for job in got], lease)
        done += len(got)
    answers.put((done, time.process_time() - began))
    database.close()


def fire(settings: Settings, name: str, gate: Barrier, answers: Answers) -> None:
    """Fire due timers as the dispatcher does: each cancels a user task and makes another, with its history."""
    engine, done = open_engine(settings, Ahead(timedelta(days=2)), registry()), 0
    gate.wait()
    began = time.process_time()
    while count := engine.jobs.run_quick(1000):
        done += count
    answers.put((done, time.process_time() - began))
    engine.close()


def together(work: Worker, settings: Settings) -> tuple[int, float, float]:
    """Let two processes work; return jobs done, seconds from the first to the last, processor seconds of both."""
    context = multiprocessing.get_context("spawn")
    answers: Answers = context.Queue()
    gate = context.Barrier(_WORKERS + 1)
    running = [context.Process(target=work, args=(settings, f"w{n}", gate, answers), daemon=True) for n in range(_WORKERS)]
    for process in running:
        process.start()
    gate.wait(timeout=120)
    began = time.perf_counter()
    given = list[tuple[int, float]]()
    while len(given) < _WORKERS:
        try:
            given.append(answers.get(timeout=1))
        except Empty:
            if any(process.exitcode for process in running):
                raise RuntimeError("a worker died; what it said stands above") from None
    wall = time.perf_counter() - began
    for process in running:
        process.join()
    return sum(done for done, _ in given), wall, sum(cpu for _, cpu in given)


def timers(plan: Plan, results: Results) -> None:
    """Timers due in one second: the store's part alone, and with a real step each."""
    count = plan.size(100_000, 10_000)
    settings = _with_timers(plan.made("claims"), 1, count)
    done, wall, cpu = together(claim_and_finish, settings)
    assert (done, _due(settings)) == (count, 0), f"{done} of {count} timers were claimed, {_due(settings)} not finished"
    target: Any = ("≤", 5) if count == 100_000 else None
    results.add("timers.claimed_and_finished", wall, f"s for {count:,}", target=target)
    results.add("timers.claimed_and_finished_cpu", cpu / done * 1e6, "µs each")
    count = 100_000 if plan.full else plan.size(10_000, 1_000)
    settings = _with_timers(plan.made("firings"), count, 1)
    done, wall, cpu = together(fire, settings)
    assert done >= count, f"{done} of {count} timers fired"
    _all_fired(settings, count)
    results.add("timers.fired_count", done, "timers")
    results.add("timers.fired_per_second", done / wall, "/s")
    results.add("timers.fired_cpu", cpu / done * 1e3, "ms each")
    scaled = "" if count == 100_000 else f", from {count:,}"
    results.add("timers.fired_100000", wall * 100_000 / count, f"s{scaled}", target=("≤", 180))


def _with_timers(folder: Path, instances: int, each: int) -> Settings:
    """Return the settings of an installation with so many instances, each with one real timer or with so many rows of timers."""
    arm = Psmflow(folder)
    try:
        original = arm.start("wt", workloads.START)
        if each > 1:
            with arm.engine._database.writing() as session:
                due = f"{micros(datetime.now(UTC)) - 2_000_000} + n.i % 1000000"  # within one second
                changes = {"id": "x.id + n.i", "instance_id": "x.instance_id", "token": "x.token + n.i", "due_at": due}
                _copy(session, "job", f"x.instance_id = {original} and x.kind = 'timer'", 1, each, changes)
        else:
            copy_instances(arm, original, instances - 1, {})
            with arm.engine._database.writing() as session:
                session.run(
                    "insert into user_task_candidate (principal, sort_at, task_id) select 'g:' || candidate_groups, sort_at, id"
                    " from user_task where state = 'open' on conflict do nothing"
                )
                session.run("update user_task set remind_at = null")
        with arm.engine._database.writing() as session:
            session.run("analyze")
        return arm.settings
    finally:
        arm.close()


def _due(settings: Settings) -> int:
    with open_engine(settings, SystemClock(), registry()) as engine, engine._database.reading() as session:
        found: int = session.value("select count(*) from job where kind = 'timer' and due_at <= ?", (micros(datetime.now(UTC)),))
    return found


def _all_fired(settings: Settings, count: int) -> None:
    with open_engine(settings, SystemClock(), registry()) as engine, engine._database.reading() as session:
        chased = session.value("select count(*) from user_task where element = 'chase' and state = 'open'")
        cancelled = session.value("select count(*) from user_task where element = 'a' and state = 'cancelled'")
    assert (chased, cancelled) == (count, count), f"{chased} of {count} timers led on, {cancelled} tasks were cancelled"


#: ``{what --only takes: (title, measure)}``.
BENCHES: Mapping[str, tuple[str, Callable[[Plan, Results], None]]] = {
    "inbox": ("a million open tasks on SQLite", inbox),
    "timers": ("100,000 timers due in one second", timers),
}
