"""What people write first: SpiffWorkflow as its documentation shows it, a row of JSON for each instance, a table of open tasks.

Diagrams are parsed once. An operation begins a transaction, reads the row, restores the workflow with Spiff's serializer, steps,
serialises, writes the row and the open tasks, commits. No history.
"""

# mypy: disable-error-code="attr-defined, no-untyped-call, union-attr"
from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from lxml import etree
from SpiffWorkflow import TaskState
from SpiffWorkflow.bpmn import BpmnWorkflow
from SpiffWorkflow.bpmn.parser import BpmnParser
from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine, TaskDataEnvironment
from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer
from SpiffWorkflow.bpmn.serializer.config import DEFAULT_CONFIG
from SpiffWorkflow.bpmn.serializer.default import BpmnWorkflowConverter
from SpiffWorkflow.bpmn.specs.mixins import UserTaskMixin

from bench import workloads
from bench.arms import Connection

_SCHEMA = (
    "create table if not exists instance (id bigint primary key, process text not null, status text not null, state text not null)",
    "create table if not exists inbox (id bigint primary key, instance_id bigint not null, task text not null, element text not null,"
    " name text not null, group_id text not null, created_at double precision not null)",
    "create index if not exists inbox_instance on inbox (instance_id)",
    "create index if not exists inbox_group on inbox (group_id, created_at)",
)


class _Workflow(BpmnWorkflow):
    """As it comes, a loop of more than some 330 turns ends silently: Spiff looks no deeper than 1,000 tasks."""

    def get_tasks_iterator(self, first_task: Any = None, **kwargs: Any) -> Any:
        return super().get_tasks_iterator(first_task, **{"max_depth": 10**9, **kwargs})


class Plain:
    """SpiffWorkflow, used the obvious way.

    Args:
        connection: without a transaction of its own; parameters are ``?``.
    """

    name = "plain"

    def __init__(self, connection: Connection, file: Path | None = None) -> None:
        self._db = connection
        self.file = file
        for statement in _SCHEMA:
            connection.execute(statement)
        self._ids = iter(range(1, 1 << 60))
        parser = BpmnParser()
        for process in workloads.PROCESSES.values():
            parser.add_bpmn_xml(etree.parse(io.BytesIO(workloads.xml(process, "spiff"))), filename=f"{process.id}.bpmn")
        self._specs = {key: (parser.get_spec(key), parser.get_subprocess_specs(key)) for key in workloads.PROCESSES}
        self._scripts = PythonScriptEngine(TaskDataEnvironment({"work": lambda: 1}))
        config = {kind: made for kind, made in DEFAULT_CONFIG.items() if kind is not BpmnWorkflow}
        self._serializer = BpmnWorkflowSerializer(
            BpmnWorkflowSerializer.configure({**config, _Workflow: BpmnWorkflowConverter}))

    def start(self, key: str, variables: Mapping[str, Any]) -> int:
        db, id = self._db, next(self._ids)
        spec, called = self._specs[key]
        db.execute("begin immediate")
        workflow = _Workflow(spec, called, script_engine=self._scripts)
        workflow.task_tree.data.update(variables)
        workflow.do_engine_steps()
        db.execute(
            "insert into instance (id, process, status, state) values (?, ?, ?, ?)",
            (id, key, _status(workflow), self._serializer.serialize_json(workflow)),
        )
        self._offer(id, workflow, set())
        db.execute("commit")
        return id

    def open_tasks(self, instance: int) -> list[tuple[str, Any]]:
        rows = self._db.execute("select element, id from inbox where instance_id = ? order by element", (instance,)).fetchall()
        return [(element, id) for element, id in rows]

    def complete(self, task: Any, values: Mapping[str, Any]) -> None:
        db = self._db
        db.execute("begin immediate")
        instance, spiff_id, state = db.execute(
            "select i.id, x.task, i.state from inbox x join instance i on i.id = x.instance_id where x.id = ?", (task,)
        ).fetchone()
        workflow = self._serializer.deserialize_json(state)
        workflow.script_engine = self._scripts
        done = workflow.get_task_from_id(UUID(spiff_id))
        done.data.update(values)
        done.run()
        workflow.do_engine_steps()
        db.execute(
            "update instance set status = ?, state = ? where id = ?",
            (_status(workflow), self._serializer.serialize_json(workflow), instance),
        )
        known = {row[0] for row in db.execute("select task from inbox where instance_id = ?", (instance,)).fetchall()}
        self._offer(instance, workflow, known)
        db.execute("commit")

    def _offer(self, instance: int, workflow: BpmnWorkflow, known: set[str]) -> None:
        """Make the inbox rows of an instance equal to its open user tasks."""
        db, now = self._db, time.time()
        ready = {
            str(task.id): task.task_spec for task in workflow.get_tasks(state=TaskState.READY, spec_class=UserTaskMixin)
        }
        for gone in known - ready.keys():
            db.execute("delete from inbox where instance_id = ? and task = ?", (instance, gone))
        for task, spec in ready.items():
            if task not in known:
                db.execute(
                    "insert into inbox (id, instance_id, task, element, name, group_id, created_at) values (?, ?, ?, ?, ?, ?, ?)",
                    (next(self._ids), instance, task, spec.bpmn_id, spec.bpmn_name or spec.bpmn_id, workloads.GROUP, now),
                )

    def is_finished(self, instance: int) -> bool:
        status: str = self._db.execute("select status from instance where id = ?", (instance,)).fetchone()[0]
        return status == "completed"

    def close(self) -> None:
        self._db.close()


def _status(workflow: BpmnWorkflow) -> str:
    return "completed" if workflow.completed else "active"
