"""Do the tables, the history and the core's state say the same? Whatever differs was not written by a command of ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from engine.bpmn import Run, open_elements, visible_variables
from engine.events import Recorded
from engine.history import Entry, InstanceView, fold, restored, unseal
from engine.model import Break, InstanceId, InstanceStatus
from engine.service.calendars import latest
from engine.service.runtime import Runtime
from engine.service.turn import mark_of
from engine.store import calendars, chain, instances, messages
from engine.store.database import END_OF_TIME, Session, micros, micros_or_none


def disagreements(runtime: Runtime, session: Session, instance_id: int) -> tuple[Break, ...]:
    """Return everything in which an instance's rows, its folded history and its state differ; empty when they agree."""
    row = instances.load(session, instance_id)
    if row is None:
        return ()
    events = restored(recorded(session, instance_id))
    view = fold(events)
    definition = runtime.definitions.compiled(session, row.bundle_id).definition
    live = {} if row.state is None else {int(e.token): e for e in open_elements(definition, row.state)}
    ended = row.status in (InstanceStatus.COMPLETED, InstanceStatus.CANCELLED)
    suspended = row.status == InstanceStatus.SUSPENDED
    found: list[tuple[str, Any, Any]] = [
        ("状态 status", row.status, view.status.value),
        ("结果 outcome", row.outcome, view.outcome),
        ("有无执行状态 state present", row.state is not None, not ended),
        ("停留位置 positions", {t for t, e in live.items() if not e.is_subscription}, {*view.positions, *view.arrivals}),
        ("待办任务 open tasks of the state", {t for t, e in live.items() if e.kind == "userTask" and e.state == "ready"}, set(view.tasks)),
        *_tasks(session, instance_id, view),
        *_work(session, instance_id, view, set(live), suspended=suspended),
    ]
    subscriptions = mark_of(messages.of_instance(session, instance_id))
    found.append(("订阅 subscriptions", subscriptions, row.subscriptions_mark))
    dates, folded = calendars.get(session, instance_id), latest(events)
    found.append((
        "投标日历 bid_calendar", None if dates is None else (dates.computed_at, sha256(bytes(dates.body)).hexdigest()),
        None if folded is None else (micros(folded[0]), sha256(folded[1]).hexdigest()),
    ))  # fmt: skip
    if row.state is not None and None in view.variables:
        found.append(("变量 variables", visible_variables(definition, row.state), view.variables[None]))
    # amounts must not stand in a report: of variables only the names are told
    return tuple(_break(instance_id, what, one, other) for what, one, other in found if one != other)


def recorded(session: Session, instance_id: int) -> Iterator[Recorded]:
    """Give the history of an instance, oldest first."""
    for row in chain.read(session, instance_id):
        yield from unseal(instance_id, Entry(*row))


def unlike_state(runtime: Runtime, session: Session, instance_id: int) -> tuple[Break, ...]:
    """Return in what the rows of timers, subscriptions and machine work differ from what the state itself says it waits for."""
    row = instances.load(session, instance_id)
    if row is None or row.state is None:
        return ()
    definition = runtime.definitions.compiled(session, row.bundle_id).definition
    at = runtime.clock.now()
    standing = Run(definition, row.state, at).look().standing
    due: dict[int, int] = {}
    for timer in standing.timers:
        due[timer.token] = min(micros(timer.due_at), due.get(timer.token, END_OF_TIME))
    rows: dict[int, tuple[int, str]] = {token: (due_at, state) for token, due_at, state in session.rows(
        "select token, due_at, state from job where instance_id = ? and kind = 'timer'", (instance_id,)
    )}  # fmt: skip
    # a timer that failed is tried again later, but within an hour
    late = {token for token, (due_at, _) in rows.items() if due_at > max(due.get(token, due_at), micros(at)) + _PATIENCE}
    found: list[tuple[str, Any, Any]] = [
        ("状态中的定时 timers of the state", set(rows), set(due)),
        ("推迟过久的定时 timers put off too long", late, set()),
        ("状态中的订阅 subscriptions of the state", mark_of(messages.of_instance(session, instance_id)), mark_of(standing.subscriptions)),
    ]
    return tuple(_break(instance_id, what, one, other, by="状态 state") for what, one, other in found if one != other)


def _tasks(session: Session, instance_id: int, view: InstanceView) -> Iterator[tuple[str, Any, Any]]:
    rows = session.rows(
        "select id, token, element, name, assignee, due_at, deadline_at, state, candidate_groups, candidate_users from user_task"
        " where instance_id = ? and ended_at is null",
        (instance_id,),
    )
    yield (
        "任务表 user_task",
        {r[1]: tuple(r[2:7]) for r in rows},
        {
            int(t.token): (t.element, t.name, t.assignee, micros_or_none(t.due_at), micros_or_none(t.deadline_at))
            for t in view.tasks.values()
        },
    )
    states = {r[1]: "suspended" if view.is_suspended(r[1]) else "open" for r in rows}
    yield "任务状态 state of user_task", {r[1]: r[7] for r in rows}, states
    for id, token, _element, _name, assignee, _due, _deadline, _state, groups, users in rows:
        offered = {p for (p,) in session.rows("select principal from user_task_candidate where task_id = ?", (id,))}
        free = assignee is None and states[token] == "open"
        wanted = {f"g:{g}" for g in groups.split(",") if g} | {f"u:{u}" for u in users.split(",") if u}
        yield f"任务 {token} 的候选 user_task_candidate", offered, wanted if free else set()
    ended = session.value(
        "select count(*) from user_task_candidate c join user_task t on t.id = c.task_id where t.instance_id = ?"
        " and t.ended_at is not null",
        (instance_id,),
    )
    yield "已结束任务的候选 candidates of ended tasks", ended, 0
    drafts = "select count(*) from draft d join user_task t on t.id = d.task_id where t.instance_id = ? and t.ended_at is not null"
    yield "已结束任务的草稿 drafts of ended tasks", session.value(drafts, (instance_id,)), 0


def _work(session: Session, instance_id: int, view: InstanceView, live: set[int], *, suspended: bool) -> Iterator[tuple[str, Any, Any]]:
    timers = {t: due for t, due in session.rows("select token, due_at from job where instance_id = ? and kind = 'timer'", (instance_id,))}
    known = set(map(int, view.timers))
    # durations that stand still have no row
    yield "定时 timers", set(timers), known & set(timers) if suspended or view.suspenders else known
    services = {t for (t,) in session.rows("select token from job where instance_id = ? and kind = 'service'", (instance_id,))}
    yield "没有位置的机器任务 jobs without a position", services - set(map(int, view.positions)), set()
    held = {bool(h) for (h,) in session.rows("select distinct held from job where instance_id = ? and kind in ('timer', 'service')", (instance_id,))}
    yield "挂起标记 held jobs", held - {suspended}, set()
    waiting = messages.of_instance(session, instance_id)
    yield "没有位置的订阅 subscriptions without a token", {int(s.token) for s in waiting} - live, set()
    incidents = session.rows("select coalesce(token, 0) from incident where instance_id = ? and resolved_at is null", (instance_id,))
    yield "异常 incidents", {t for (t,) in incidents}, set(map(int, view.incidents))


#: What no row of a table can put right.
_BEYOND_ROWS = {"status", "outcome", "state present", "positions", "open tasks of the state", "variables", "incidents"}
#: Microseconds that a timer which failed may wait beyond its due date.
_PATIENCE = 2 * 3600 * 1_000_000


def _break(instance_id: int, what: str, one: Any, other: Any, *, by: str = "历史 history") -> Break:
    zh, _, en = what.partition(" ")
    if en == "variables":
        names = _differing(one, other)
        one, other = names, "—"
    return Break(
        instance_id=InstanceId(instance_id), seq=0, kind="agreement" if en in _BEYOND_ROWS else "rows",
        zh=f"{zh}不符：{_told(one)}；按{by.split()[0]}为 {_told(other)}。", en=f"{en}: {_told(one)}, but by the {by.split()[1]} {_told(other)}.",
    )  # fmt: skip


def _differing(one: Any, other: Any) -> Iterable[str]:
    return sorted(n for n in {*one, *other} if one.get(n) != other.get(n) or (n in one) != (n in other))


def _told(value: Any) -> str:
    shown = sorted(value) if isinstance(value, set) else value
    return str(shown)[:200]
