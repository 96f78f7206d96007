"""What SQLite does for the statements of a command."""

from __future__ import annotations

import sqlite3

import pytest

from engine.model import TaskId
from tests.bpmn.build import diagram, end, process, service, start, user
from tests.service.house import ANN, FOR_ENGINEERS, House


@pytest.mark.only_on("sqlite")
def test_no_write_of_a_command_makes_a_table_in_memory(house: House) -> None:
    done: list[str] = []

    @house.handler("work", effect="none")
    def work(job: object) -> None:
        """Work."""

    house.deploy(diagram(process(
        start(), user("a", **FOR_ENGINEERS), service("w", "work"), user("b", **FOR_ENGINEERS), end(), "s>a", "a>w", "w>b", "b>e")))  # fmt: skip
    house.start()
    with house.engine._database.reading() as session:
        connection: sqlite3.Connection = session.connection  # type: ignore[attr-defined]
    connection.set_trace_callback(done.append)

    id = house.start().id
    for element in "ab":
        task: TaskId = house.task(id, element).id
        house.engine.tasks.save_draft(ANN, task, {"note": "x"})
        house.engine.tasks.complete(ANN, task, {"note": "x"})
    connection.set_trace_callback(None)
    assert house.status(id) == "completed"
    connection.text_factory = bytes  # the programs hold what was written

    writes = [sql for sql in done if sql.split()[0] in ("insert", "update", "delete")]
    assert {sql.split()[2] for sql in writes if sql.startswith("delete")} == {"user_task_candidate", "draft", "instance_state"}
    for sql in writes:
        assert b"OpenEphemeral" not in {row[1] for row in connection.execute(f"explain {sql}")}, sql


def test_a_state_that_is_none_is_not_written(house: House) -> None:
    @house.handler("later")
    def later(job: object) -> None:
        """Work that a worker does."""

    house.deploy(diagram(process(start(), user("a"), service("w", "later"), end(), "s>a", "a>w", "w>e")))
    first, second = house.start().id, house.start().id
    house.complete(first)

    for table, column in (("instance", "status"), ("user_task", "state"), ("job", "state")):
        with pytest.raises(house.engine._database._server.error), house.engine._database.writing() as tx:
            assert tx.run(f"update {table} set {column} = 'nonsense'")
        assert all(word != "nonsense" for (word,) in house.rows(f"select {column} from {table}"))
    assert house.status(second) == "active"
