"""What must hold between any two commands: rows, history and the core's state say the same."""

from __future__ import annotations

from engine.bpmn import open_elements
from engine.history import InstanceView, fold
from engine.model import InstanceId
from engine.store import instances, tasks
from engine.store.database import Session, micros_or_none
from tests.service.house import House


def require_agreement(house: House) -> None:
    """Compare every table with the fold of the events and with the state of the core."""
    assert house.engine.audit.verify() == ()
    assert house.engine.audit.cross_check() == ()
    with house.engine._database.reading() as session:
        for (id,) in house.rows("select id from instance"):
            row = instances.load(session, id)
            assert row is not None
            view = fold(house.history(InstanceId(id)))
            definition = house.engine._runtime.definitions.compiled(session, row.bundle_id).definition
            live = open_elements(definition, row.state) if row.state is not None else ()
            assert (view.seq, view.status.value, view.outcome) == (row.seq, row.status, row.outcome)
            assert (row.state is None) == (row.status in ("completed", "cancelled"))
            _tasks_agree(house, id, view, {e.token for e in live if e.kind == "userTask" and e.state == "ready"})
            _work_agrees(house, id, row.status, view)
            assert {e.token for e in live if not e.is_subscription} == set(view.positions) | set(view.arrivals)
            waiting = {t for (t,) in house.rows("select token from subscription where instance_id = ?", id)}
            assert waiting <= {e.token for e in live}
        require_known_rows(house, session)


def require_known_rows(house: House, session: Session) -> int:
    """Compare what is known of the rows without asking with the rows, where they are of the same version; return how many tasks were."""
    count = 0
    for row, known, run, is_plain in house.engine._runtime.lately.entries():
        now = instances.load(session, row.id)
        if now is not None and now.version == row.version:
            assert now == row
            if run is not None:
                assert run.look().state == row.state
            if is_plain:
                jobs = session.rows("select id from job where instance_id = ? and kind in ('timer', 'service')", (row.id,))
                assert (jobs, session.rows("select id from incident where instance_id = ?", (row.id,))) == ([], [])
            for found in known.values():
                count += 1
                assert tasks.with_instance(session, found.task.id) == (row, found)
    return count


def _tasks_agree(house: House, id: int, view: InstanceView, live: set[int]) -> None:
    rows = house.rows(
        "select token, assignee, due_at, state, candidate_groups, candidate_users, id from user_task where instance_id = ? and ended_at is null",
        id,
    )
    assert {r[0] for r in rows} == set(view.tasks) == live
    for token, assignee, due_at, state, groups, users, task in rows:
        known = view.tasks[token]
        assert assignee == known.assignee
        assert due_at == micros_or_none(known.due_at)
        assert state == ("suspended" if view.is_suspended(token) else "open")
        offered = {p for (p,) in house.rows("select principal from user_task_candidate where task_id = ?", task)}
        free = assignee is None and state == "open"
        wanted = {f"g:{g}" for g in groups.split(",") if g} | {f"u:{u}" for u in users.split(",") if u}
        assert offered == (wanted if free else set())
    ended = house.rows(
        "select count(*) from user_task_candidate where task_id in (select id from user_task where ended_at is not null)"
    )
    assert ended == [(0,)]


def _work_agrees(house: House, id: int, status: str, view: InstanceView) -> None:
    timers = dict(house.rows("select token, due_at from job where instance_id = ? and kind = 'timer'", id))
    assert set(timers) <= set(view.timers)
    if status != "suspended" and not view.suspenders:  # durations that stand still have no row
        assert set(timers) == set(view.timers)
    incidents = {
        t for (t,) in house.rows("select coalesce(token, 0) from incident where instance_id = ? and resolved_at is null", id)
    }
    assert incidents == set(view.incidents)
    held = {h for (h,) in house.rows("select held from job where instance_id = ? and kind in ('timer', 'service')", id)}
    assert held <= ({1} if status == "suspended" else {0})
    services = {t for (t,) in house.rows("select token from job where instance_id = ? and kind = 'service'", id)}
    assert services <= set(view.positions)
