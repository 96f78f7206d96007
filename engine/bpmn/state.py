"""An instance's state as compact bytes: one line of structure, then one line of variables for each scope that has some.

The diagram is not part of it: specs are compiled once for each process version. Finished tokens are not part of it either, but
for what a compensation may still undo, so the size follows what is open, not what has happened. Lines of variables are decoded
only when somebody asks for a value, and go back as they came when nothing was written.
"""
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from engine.bpmn.data import Scope
from engine.bpmn.definition import Definition
from engine.bpmn.workflow import AnyWorkflow, ElementFailed, SubWorkflow, Token, Workflow
from engine.feel import codec
from engine.model import InstanceStatus

FORMAT = 1
_KEEPS_NEW, _PAST = 1, 2


def dump(workflow: Workflow) -> bytes:
    """Return the state between two commands; the same instance gives the same bytes."""
    if workflow.agenda or workflow.touched or workflow.nesting:
        raise RuntimeError("the instance is not quiet")
    lines: list[bytes] = []

    def line(scope: Scope) -> int:
        if scope.is_empty():
            return 0
        lines.append(scope.dump())
        return len(lines)

    def row(token: Token) -> list[Any]:
        own = token.data.id == token.id and token.data is not token.workflow.scope
        made: list[Any] = [token.id, token.task_spec.name, token._state, token.internal_data]
        if own:
            made.append(line(token.data))
            if token.data.keeps_new or token.data.is_past:
                made.append(_PAST if token.data.is_past else _KEEPS_NEW)
        return made

    def scope_rows(scope: AnyWorkflow) -> list[Any]:
        extra: dict[str, Any] = {}
        if scope.kept:
            extra["kept"] = [row(token) for token in scope.kept.values()]
        if scope.wrote:
            extra["wrote"] = sorted(scope.wrote)
        if scope.past:
            lines.append(codec.dump(scope.past))
            extra["past"] = len(lines)
        if scope.gateways:
            extra["gateways"] = scope.gateways
        if scope.suspenders:
            extra["suspenders"] = {str(token): since for token, since in scope.suspenders.items()}
        if scope.completed and scope is not workflow:
            extra["completed"] = True
        if scope is workflow and workflow.conversations:
            held = {0, *workflow.subprocesses, *(token.id for token in workflow.tokens())}
            extra["conversations"] = {str(id): keys for id, keys in workflow.conversations.items() if id in held}
        return [
            scope.parent_task_id or 0, scope.spec.name, scope.business_key, line(scope.scope), scope.scope.keeps_new,
            scope.scope.parent is None, [row(token) for token in scope.tasks.values()], extra,
        ]

    head = [
        FORMAT, workflow.status, workflow.last_token, workflow.sequence, workflow.last_end, workflow.suspended_since,
        [scope_rows(scope) for scope in workflow.scopes()],
    ]
    return b"\n".join([orjson.dumps(head), *lines])


def load(
    definition: Definition, state: bytes, at: datetime, parked: Mapping[tuple[int, str], ElementFailed]
) -> Workflow:
    """Return the running instance that `dump` stored."""
    first, *lines = state.split(b"\n")
    head = orjson.loads(first)
    if head[0] != FORMAT:
        raise ValueError(f"state format {head[0]} is not known")
    workflow = Workflow(definition, at, parked)
    _, status, workflow.last_token, workflow.sequence, workflow.last_end, workflow.suspended_since, scopes = head
    workflow.status = InstanceStatus(status)
    manager = workflow.event_manager
    hosts: dict[int, Token] = {}
    for place, name, key, index, keeps_new, isolated, rows, extra in scopes:
        scope: AnyWorkflow
        if not place:
            scope = workflow
            scope.business_key = key
        else:
            host = hosts[place]
            data = Scope(place, None if isolated else host.data, keeps_new=keeps_new)
            scope = workflow.subprocesses[place] = SubWorkflow(definition.specs[name], host, workflow, data, key)
        if index:
            scope.scope.load(lines[index - 1])
        born: list[tuple[Token, list[Any]]] = []
        if extra:
            scope.gateways = extra.get("gateways", {})
            scope.wrote = set(extra.get("wrote", ()))
            if "past" in extra:
                scope.past = dict(codec.load(lines[extra["past"] - 1]))
            scope.suspenders = {int(token): since for token, since in extra.get("suspenders", {}).items()}
            scope.completed = extra.get("completed", False)
            if scope is workflow:
                workflow.conversations = {int(id): keys for id, keys in extra.get("conversations", {}).items()}
            for saved in extra.get("kept", ()):
                token = _token(scope, saved)
                del scope.tasks[token.id]
                scope.kept[token.id] = token
                born.append((token, saved))
        for saved in rows:
            token = _token(scope, saved)
            born.append((token, saved))
            if "waits" in token.internal_data:
                manager.tasks[token.id] = token
        hosts.update((token.id, token) for token, _ in born)
        if any(len(saved) > 4 or "owner" in saved[3] for _, saved in born):
            for token, saved in sorted(born, key=lambda pair: pair[0].id):
                _bind(token, saved, lines, hosts)
    return workflow


def _token(scope: AnyWorkflow, saved: list[Any]) -> Token:
    token = Token(scope, scope.spec.task_specs[saved[1]], None, saved[2], saved[0])
    token.internal_data = saved[3]
    return token


def _bind(token: Token, saved: list[Any], lines: list[bytes], hosts: Mapping[int, Token]) -> None:
    """Give a token its variables; those that it sees them through have a smaller number and are bound already."""
    internal = token.internal_data
    if "owner" in internal:
        host = hosts.get(internal["owner"])
        if host is not None and host.workflow is token.workflow and host.task_spec.is_host:
            token.data = host.data
    if len(saved) > 4:
        mark = saved[5] if len(saved) > 5 else 0
        token.data = Scope(token.id, token.data, keeps_new=mark == _KEEPS_NEW, is_past=mark == _PAST)
        if saved[4]:
            token.data.load(lines[saved[4] - 1])
