"""The least that could do it: tokens over a graph, written by hand, with the same kind of rows in one transaction.

An instance row with its state, inbox rows, event rows. No chain of hashes, no timers, no permissions, no checks, no incidents.
"""

from __future__ import annotations

import json
import operator
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import workloads
from bench.arms import Connection
from bench.workloads import Condition

_SCHEMA = (
    "create table if not exists instance (id integer primary key, process text not null, status text not null, seq integer not null,"
    " state text)",
    "create table if not exists inbox (id integer primary key, instance_id integer not null, token integer not null,"
    " element text not null, name text not null, group_id text not null, created_at real not null)",
    "create index if not exists inbox_instance on inbox (instance_id)",
    "create index if not exists inbox_group on inbox (group_id, created_at)",
    "create table if not exists event (instance_id integer, seq integer, at real, kind text, element text, body text,"
    " primary key (instance_id, seq)) without rowid",
)
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {"=": operator.eq, "<": operator.lt}

#: ``[number of the token, process, element, token of the call activity that it runs in or 0]``
Token = list[Any]


def _holds(condition: Condition, data: Mapping[str, Any]) -> bool:
    name, comparison, right = condition
    return _COMPARED[comparison](data.get(name), data[right] if right in data else json.loads(right))


class _Process:
    """A graph ready to walk: flows by their source, and how many flows lead to a node."""

    def __init__(self, process: workloads.Process) -> None:
        self.nodes = process.nodes
        self.out = {
            id: [(flow.target, flow.condition) for flow in process.out_of(id)] for id in process.nodes
        }
        self.into = {id: sum(flow.target == id for flow in process.flows) for id in process.nodes}


class _Run:
    """One command on one instance. `made` and `gone`: inbox rows to write and delete; `events` to append."""

    def __init__(self, graphs: Mapping[str, _Process], state: dict[str, Any]) -> None:
        self._graphs = graphs
        self.state = state
        self.events: list[tuple[str, str, str | None]] = []
        self.made: list[Token] = []

    def enter(self, process: str, node: str, caller: int) -> None:
        """Let a token arrive at `node` and go on as far as it can."""
        state, graphs = self.state, self._graphs
        todo = [(process, node, caller)]
        while todo:
            process, node, caller = todo.pop()
            graph = graphs[process]
            kind = graph.nodes[node].kind
            if kind == "parallel" and graph.into[node] > 1:
                key = f"{caller}.{node}"
                arrived = state["joins"].get(key, 0) + 1
                if arrived < graph.into[node]:
                    state["joins"][key] = arrived
                    continue
                state["joins"].pop(key, None)
            self.events.append(("entered", node, None))
            if kind in ("user", "call"):
                state["last"] += 1
                token: Token = [state["last"], process, node, caller]
                state["tokens"].append(token)
                if kind == "user":
                    self.made.append(token)
                else:
                    todo.append((graph.nodes[node].called, "start", token[0]))
                continue
            if kind == "service":
                state["data"].update({"svc_done": 1})
                self.events.append(("done", node, '{"svc_done": 1}'))
            if kind == "end":
                if caller:
                    (call,) = (t for t in state["tokens"] if t[0] == caller)
                    state["tokens"].remove(call)
                    todo += [(call[1], target, call[3]) for target, _ in graphs[call[1]].out[call[2]]]
                continue
            todo += self._onwards(graph, process, node, caller)

    def leave(self, token: Token) -> None:
        """The user task of `token` is done."""
        self.state["tokens"].remove(token)
        _, process, node, caller = token
        for target in self._onwards(self._graphs[process], process, node, caller):
            self.enter(*target)

    def _onwards(self, graph: _Process, process: str, node: str, caller: int) -> list[tuple[str, str, int]]:
        out = graph.out[node]
        if graph.nodes[node].kind == "exclusive":
            data = self.state["data"]
            taken = next((t for t, condition in out if condition is not None and _holds(condition, data)), None)
            if taken is None:
                taken = next(t for t, condition in out if condition is None)
            return [(process, taken, caller)]
        return [(process, target, caller) for target, _ in reversed(out)]


class Floor:
    """A token interpreter by hand on SQLite."""

    name = "floor"

    def __init__(self, connection: Connection, file: Path | None = None) -> None:
        self._db = connection
        self.file = file
        for statement in _SCHEMA:
            connection.execute(statement)
        self._ids = iter(range(1, 1 << 60))
        self._graphs = {id: _Process(process) for id, process in workloads.PROCESSES.items()}

    def start(self, key: str, variables: Mapping[str, Any]) -> int:
        db, id = self._db, next(self._ids)
        run = _Run(self._graphs, {"data": dict(variables), "tokens": [], "joins": {}, "last": 0})
        run.events.append(("started", "start", json.dumps(dict(variables), ensure_ascii=False)))
        run.enter(key, "start", 0)
        status, state = _packed(run)
        db.execute("begin immediate")
        db.execute("insert into instance (id, process, status, seq, state) values (?, ?, ?, ?, ?)", (id, key, status, len(run.events), state))
        self._write(id, run, 0)
        db.execute("commit")
        return id

    def open_tasks(self, instance: int) -> list[tuple[str, Any]]:
        rows = self._db.execute("select element, id from inbox where instance_id = ? order by element", (instance,)).fetchall()
        return [(element, id) for element, id in rows]

    def complete(self, task: Any, values: Mapping[str, Any]) -> None:
        db = self._db
        db.execute("begin immediate")
        instance, number, seq, state = db.execute(
            "select i.id, x.token, i.seq, i.state from inbox x join instance i on i.id = x.instance_id where x.id = ?", (task,)
        ).fetchone()
        run = _Run(self._graphs, json.loads(state))
        token = next(t for t in run.state["tokens"] if t[0] == number)
        run.state["data"].update(values)
        run.events.append(("completed", token[2], json.dumps(dict(values), ensure_ascii=False)))
        run.leave(token)
        status, state = _packed(run)
        db.execute("delete from inbox where id = ?", (task,))
        db.execute("update instance set status = ?, seq = ?, state = ? where id = ?", (status, seq + len(run.events), state, instance))
        self._write(instance, run, seq)
        db.execute("commit")

    def _write(self, instance: int, run: _Run, seq: int) -> None:
        db, now = self._db, time.time()
        for number, process, element, _ in run.made:
            db.execute(
                "insert into inbox (id, instance_id, token, element, name, group_id, created_at) values (?, ?, ?, ?, ?, ?, ?)",
                (next(self._ids), instance, number, element, workloads.PROCESSES[process].nodes[element].name, workloads.GROUP, now),
            )
        for n, (kind, element, body) in enumerate(run.events, seq + 1):
            db.execute(
                "insert into event (instance_id, seq, at, kind, element, body) values (?, ?, ?, ?, ?, ?)",
                (instance, n, now, kind, element, body),
            )

    def is_finished(self, instance: int) -> bool:
        status: str = self._db.execute("select status from instance where id = ?", (instance,)).fetchone()[0]
        return status == "completed"

    def close(self) -> None:
        self._db.close()


def _packed(run: _Run) -> tuple[str, str | None]:
    if run.state["tokens"]:
        return "active", json.dumps(run.state, ensure_ascii=False, separators=(",", ":"))
    return "completed", None
