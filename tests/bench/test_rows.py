"""The replay is the work itself: what psmflow executed leaves the rows that psmflow left."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench import workloads
from bench.arms import sqlite
from bench.measure import counted_statements, run_instances
from bench.psmflow import Psmflow
from bench.rows import Recording, Rows, Sealed, Stepped, record
from engine import history
from engine.store import chain

COUNT = 4
ARMS = (Rows, Sealed, Stepped)


@pytest.fixture(scope="module", params=["w1", "w2", "w3"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp(request.param), request.param, COUNT)


def counts_and_heads(file: Path) -> tuple[dict[str, int], list[tuple[int, bytes]]]:
    with closing(sqlite3.connect(file)) as db:
        tables = [name for (name,) in db.execute("select name from sqlite_schema where type = 'table'")]
        counts = {name: db.execute(f'select count(*) from "{name}"').fetchone()[0] for name in tables}
        return counts, db.execute("select id, head from instance order by id").fetchall()


@pytest.mark.parametrize("kind", ARMS)
def test_a_replay_leaves_what_psmflow_left(recording: Recording, kind: type[Rows], tmp_path: Path) -> None:
    arm = kind(recording, tmp_path / "replayed.db", "NORMAL")
    assert {"instance", "event"} <= set(arm.differences())

    turn = run_instances(arm, recording.key, COUNT, workloads.START)

    assert arm.differences() == []
    arm.close()
    replayed, recorded = counts_and_heads(tmp_path / "replayed.db"), counts_and_heads(recording.after)
    assert replayed == recorded
    assert len(recorded[1]) == 1 + COUNT
    assert len(turn.starts) == COUNT
    assert len(turn.completions) == COUNT * {"w1": 2, "w2": 12, "w3": 0}[recording.key]


def test_every_statement_changes_as_many_rows_as_it_had(recording: Recording, tmp_path: Path) -> None:
    Rows(recording, tmp_path / "replayed.db", "NORMAL").close()
    updates = 0

    with closing(sqlite(tmp_path / "replayed.db", "NORMAL")) as db:
        for command in recording:
            for (sql, values, reads), changed in zip(command.statements, command.changed, strict=True):
                cursor = db.execute(sql, values)
                assert max(0, cursor.rowcount) == changed, sql
                assert bool(cursor.fetchall()) <= reads
                updates += sql.startswith("update ") and changed

    # a completion changes its instance and its task, and while the instance goes on its state
    assert updates == COUNT * {"w1": 2 * 3 - 1, "w2": 12 * 3 - 1, "w3": 0}[recording.key]


def test_a_replay_executes_what_psmflow_executes(tmp_path: Path) -> None:
    with counted_statements() as counts:
        recording = record(tmp_path / "recorded", "w1", 2)
        found = []
        for arm in (Psmflow(tmp_path / "psmflow", synchronous="NORMAL"), Rows(recording, tmp_path / "rows.db", "NORMAL")):
            run_instances(arm, "w1", 1, workloads.START)  # opens the connections and finds out which definitions belong together
            before = dict(counts)
            instance = arm.start("w1", workloads.START)
            found.append([counts[word] - before[word] for word in ("statements", "commits")])
            while waiting := arm.open_tasks(instance):
                before = dict(counts)
                arm.complete(waiting[0][1], workloads.answer(1))
                found.append([counts[word] - before[word] for word in ("statements", "commits")])
            arm.close()

    assert len(found) == 2 * 3
    assert found[:3] == found[3:]


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_a_replay_is_set_as_psmflow_is(recording: Recording, synchronous: str, tmp_path: Path) -> None:
    ours, arm = Psmflow(tmp_path / "psmflow", synchronous=synchronous), Rows(recording, tmp_path / "rows.db", synchronous)

    run_instances(arm, recording.key, COUNT, workloads.START)

    names = ("journal_mode", "synchronous", "foreign_keys", "page_size", "cache_size", "wal_autocheckpoint", "temp_store", "busy_timeout")
    with ours.engine._database.reading() as session:
        assert {name: session.value(f"pragma {name}") for name in names} == {
            name: arm._connection.execute(f"pragma {name}").fetchone()[0] for name in names
        }
    ours.close()
    arm.close()


def test_a_replay_whose_rows_are_not_there_is_noticed(tmp_path: Path) -> None:
    recording = record(tmp_path / "recorded", "w1", 1)
    arm = Rows(recording, tmp_path / "rows.db", "NORMAL")
    instance = arm.start("w1", workloads.START)
    (_, task), *_ = arm.open_tasks(instance)
    with closing(sqlite3.connect(tmp_path / "rows.db")) as other:
        other.execute("delete from user_task_candidate")
        other.commit()

    arm.complete(task, workloads.answer(1))

    with pytest.raises(AssertionError, match="rows, not"):
        arm.open_tasks(instance)
    arm.close()


def test_what_is_sealed_of_the_noted_values_is_what_psmflow_stored(recording: Recording) -> None:
    with closing(sqlite3.connect(recording.after)) as db:
        for command in recording:
            sealing = command.sealing
            assert sealing is not None
            of_entry = "from event e left join event_payload p using (instance_id, seq) where e.instance_id = ? and e.seq = ?"
            place = command.instance, sealing.seq + len(sealing.events)
            (salt,) = db.execute(f"select coalesce(e.salt, p.salt) {of_entry}", place).fetchone()

            entry = history.seal(sealing.events, seq=sealing.seq, at=sealing.at, head=sealing.head, salt=salt)
            made = chain.prepared(command.instance, entry.seq, entry.body, entry.hash, entry.commitment, entry.salt, entry.payloads)

            columns = "e.instance_id, e.seq, e.body, e.hash, e.commitment, coalesce(e.salt, p.salt), coalesce(e.payloads, p.body)"
            assert made == db.execute(f"select {columns} {of_entry}", place).fetchone()


def test_the_state_is_written_wherever_an_instance_goes_on(recording: Recording) -> None:
    for command in recording:
        assert bool(command.texts) == bool(command.waiting)
        assert not command.texts or any(not isinstance(value, bytes) for _, value in command.texts)


def test_the_core_steps_to_the_state_that_psmflow_stored(recording: Recording, tmp_path: Path) -> None:
    arm = Stepped(recording, tmp_path / "stepped.db", "NORMAL")
    instance = arm.start(recording.key, workloads.START)
    while True:
        stored = arm._connection.execute("select body from instance_state where instance_id = ?", (instance,)).fetchone()
        assert arm.state == (None if stored is None else stored[0])
        waiting = arm.open_tasks(instance)
        if not waiting:
            break
        arm.complete(waiting[0][1], {})

    assert arm.is_finished(instance)
    arm.close()
