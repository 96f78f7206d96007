"""An instance's state as compact bytes: a head of columns, then a line for each scope, each token, each kept activity.

The diagram is not part of it: specs are compiled once for each process version. Finished tokens are not part of it either, but
for what a compensation may still undo, so the size follows what is open, not what has happened. A command wakes the scopes and
tokens that it touches; the lines of all others go back as they came, unread.

Head: ``[format, status, last token, sequence, last end, suspended since, next due, places, parents, sizes, kept sizes, tokens,
names, kinds, kept, kept names]``. `places`: the tokens that the scopes belong to, 0 for the process instance; `sizes`: how many of
`tokens` each scope has; `kinds`: see `engine.bpmn.index`. Then follow who waits for what (`Waits`), the scopes, the tokens, the kept
activities. The line of a scope or token is a JSON list, then, behind ``\\x1e``, its variables.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

import orjson

from engine.bpmn.data import Scope
from engine.bpmn.definition import Definition
from engine.bpmn.workflow import AnyWorkflow, SubWorkflow, Token, Workflow
from engine.feel import codec
from engine.model import InstanceStatus

FORMAT = 2

_LIVE = (InstanceStatus.ACTIVE, InstanceStatus.SUSPENDED)
_SORTED = orjson.OPT_SORT_KEYS
_KEEPS_NEW, _PAST = 1, 2


class _Columns:
    """What a state is written in: the columns of its head, and its lines."""

    __slots__ = (
        "kept", "kept_names", "kept_rows", "kept_sizes", "kinds", "names", "parents", "places", "rows", "scopes", "sizes", "tokens",
    )

    def __init__(self) -> None:
        self.places: list[int] = []
        self.parents: list[int] = []
        self.sizes: list[int] = []
        self.kept_sizes: list[int] = []
        self.tokens: list[int] = []
        self.names: list[str] = []
        self.kinds: list[int] = []
        self.kept: list[int] = []
        self.kept_names: list[str] = []
        self.scopes: list[bytes] = []
        self.rows: list[bytes] = []
        self.kept_rows: list[bytes] = []


class StoredState(_Columns):
    """The bytes that an instance was loaded from, cut into lines. Place: position in a column.

    Attributes:
        woken: places of the scopes that somebody asked for.
    """

    __slots__ = ("_ends", "_hosts", "_kept_ends", "_place", "woken", "workflow")

    workflow: Workflow

    def __init__(self, columns: Sequence[Any], lines: list[bytes]) -> None:
        """Take the columns of the head, and all lines."""
        (self.places, self.parents, self.sizes, self.kept_sizes, self.tokens, self.names, self.kinds, self.kept,
         self.kept_names) = columns
        rows = 2 + len(self.places)
        kept = rows + len(self.tokens)
        self.scopes, self.rows, self.kept_rows = lines[2:rows], lines[rows:kept], lines[kept:]
        self.woken: set[int] = set()
        self._place: dict[int, int] | None = None  #: of each token
        self._hosts: dict[int, Token] = {}  #: woken tokens that scopes belong to: one may go before its scope is asked for
        self._ends, self._kept_ends = _sums(self.sizes), _sums(self.kept_sizes)

    @classmethod
    def empty(cls) -> StoredState:
        return cls(([], [], [], [], [], [], [], [], []), [])

    # ------------------------------------------------------------------------------------------------------------- waking
    def scope_of(self, token: int) -> int | None:
        """Return the token of the scope that a token was in, 0 for the process instance, None if there was no such token."""
        at = self._places.get(token)
        return None if at is None else self.places[bisect_right(self._ends, at)]

    def name_of(self, token: int) -> str:
        """Return the name of the element that a token was at."""
        return self.names[self._places[token]]

    @property
    def _places(self) -> dict[int, int]:
        if self._place is None:
            self._place = dict(zip(self.tokens, range(len(self.tokens)), strict=True))
        return self._place

    def among(self, names: Iterable[str]) -> list[int]:
        """Tokens that were at elements of these names."""
        wanted = set(names)
        if wanted.isdisjoint(self.names):
            return []
        return [token for token, name in zip(self.tokens, self.names, strict=True) if name in wanted]

    def by_node(self, scope: AnyWorkflow) -> dict[str, dict[int, int]]:
        """``{element: {token: kind}}`` of all live tokens of a scope."""
        found: dict[str, dict[int, int]] = {}
        for id, entry in zip(scope.tasks, scope.tasks.entries(), strict=True):
            if isinstance(entry, int):
                found.setdefault(self.names[entry], {})[id] = self.kinds[entry]
            elif entry.facts is not None:
                found.setdefault(entry.task_spec.name, {})[id] = entry.facts.kind
        return found

    def scope(self, id: int, place: int) -> SubWorkflow:
        """Wake a scope, and those around it."""
        workflow = self.workflow
        around: AnyWorkflow = workflow.subprocesses[self.parents[place]] if self.parents[place] else workflow
        host = self._hosts.get(id) or (around.tasks[id] if id in around.tasks else around.kept[id])
        line, _, variables = self.scopes[place].partition(b"\x1e")
        name, key, keeps_new, isolated, names, *more = orjson.loads(line)
        data = Scope(id, None if isolated else host.data, keeps_new=keeps_new, written=workflow.scope.written)
        scope = SubWorkflow(workflow.definition.specs[name], host, workflow, data, key)
        self.fill(scope, place, names, variables, more[0] if more else {})
        return scope

    def fill(self, scope: AnyWorkflow, place: int, names: list[str], variables: bytes, extra: dict[str, Any]) -> None:
        """Give a woken scope what is its own; its tokens stay asleep."""
        self.woken.add(place)
        if names:
            scope.scope.load(names, variables)
        begin, end = self._ends[place] - self.sizes[place], self._ends[place]
        scope.tasks.sleep(self.tokens[begin:end], range(begin, end))
        if self.kept_sizes[place]:
            first, last = self._kept_ends[place] - self.kept_sizes[place], self._kept_ends[place]
            scope.kept.sleep(self.kept[first:last], range(first, last))
        kinds = self.kinds[begin:end]
        if any(kinds):
            scope.index.count = [kinds.count(kind) for kind in range(5)]
        else:
            scope.index.count[0] = len(kinds)
        if extra:
            scope.gateways = extra.get("gateways", {})
            scope.wrote = set(extra.get("wrote", ()))
            scope.past = dict(codec.load(extra["past"].encode())) if "past" in extra else {}
            if place == 0:
                self.workflow.conversations = {int(id): keys for id, keys in extra.get("conversations", {}).items()}
            scope.suspenders = {int(token): since for token, since in extra.get("suspenders", {}).items()}
            scope.completed = extra.get("completed", False)
            scope.index.joins = extra.get("joins", {})
            scope.index.forks = dict(extra.get("forks", ()))

    def token(self, scope: AnyWorkflow, id: int, place: int) -> Token:
        """Wake a live token."""
        return self._token(scope, id, self.names[place], self.rows[place])

    def kept_token(self, scope: AnyWorkflow, id: int, place: int) -> Token:
        """Wake an activity that a compensation may undo."""
        return self._token(scope, id, self.kept_names[place], self.kept_rows[place])

    def _token(self, scope: AnyWorkflow, id: int, name: str, row: bytes) -> Token:
        line, _, variables = row.partition(b"\x1e")
        state, internal, *own = orjson.loads(line)
        token = Token(scope, scope.spec.task_specs[name], state, id, internal)
        if id in self.workflow.subprocesses:
            self._hosts[id] = token
        owner = internal.get("owner")
        if owner is not None and (owner in scope.tasks or owner in scope.kept):
            host = scope.tasks[owner] if owner in scope.tasks else scope.kept[owner]
            if host.task_spec.is_host:
                token.data = host.data
        if own:
            names, mark = own
            token.data = Scope(id, token.data, keeps_new=mark == _KEEPS_NEW, is_past=mark == _PAST)
            if names:
                token.data.load(names, variables)
        return token


def load(definition: Definition, state: bytes | None, at: datetime) -> Workflow:
    """Return the running instance that `dump` stored; None: one that begins."""
    if state is None:
        stored = StoredState.empty()
        stored.workflow = Workflow(definition, at, stored)
        return stored.workflow
    lines = state.split(b"\n")
    head = orjson.loads(lines[0])
    if head[0] != FORMAT:
        raise ValueError(f"state format {head[0]} is not known")
    stored = StoredState(head[7:], lines)
    stored.workflow = workflow = Workflow(definition, at, stored)
    _, status, workflow.last_token, workflow.sequence, workflow.last_end, workflow.suspended_since, next_due = head[:7]
    workflow.status = InstanceStatus(status)
    workflow.completed = workflow.status not in _LIVE
    workflow.waits.load(next_due, lines[1])
    line, _, variables = stored.scopes[0].partition(b"\x1e")
    _, workflow.business_key, _, _, names, *more = orjson.loads(line)
    stored.fill(workflow, 0, names, variables, more[0] if more else {})
    if len(stored.places) > 1:
        workflow.subprocesses.sleep(stored.places[1:], range(1, len(stored.places)))
    return workflow


def _sums(sizes: list[int]) -> list[int]:
    """Return where each ends."""
    return list(accumulate(sizes)) if len(sizes) > 1 else sizes


def dump(workflow: Workflow) -> bytes:
    """Return the state between two commands; the same instance gives the same bytes."""
    if workflow.agenda or workflow.touched or workflow.nesting:
        raise RuntimeError("the instance is not quiet")
    workflow.refresh()
    old = workflow.stored
    assert isinstance(old, StoredState)
    new = _Columns()
    done = token = kept = 0
    for place in sorted(old.woken):
        if place > done:
            upto, kept_upto = old._ends[place] - old.sizes[place], old._kept_ends[place] - old.kept_sizes[place]
            _copy(old, new, slice(done, place), slice(token, upto), slice(kept, kept_upto))
        done, token, kept = place + 1, old._ends[place], old._kept_ends[place]
        id = old.places[place]
        scope: AnyWorkflow | None = workflow.subprocesses.awake(id) if place else workflow
        if scope is not None:
            _write(scope, old, new, place)
    if done < len(old.places):
        _copy(old, new, slice(done, len(old.places)), slice(token, len(old.tokens)), slice(kept, len(old.kept)))
    if not old.places:
        _write(workflow, old, new, None)
    for scope in workflow.fresh.values():
        _write(scope, old, new, None)
    next_due, waits = workflow.waits.dump()
    head = [
        FORMAT, workflow.status, workflow.last_token, workflow.sequence, workflow.last_end, workflow.suspended_since, next_due,
        new.places, new.parents, new.sizes, new.kept_sizes, new.tokens, new.names, new.kinds, new.kept, new.kept_names,
    ]
    return b"\n".join([orjson.dumps(head), waits, *new.scopes, *new.rows, *new.kept_rows])


def _copy(old: StoredState, new: _Columns, scopes: slice, tokens: slice, kept: slice) -> None:
    """Take over scopes that nobody asked for."""
    new.places += old.places[scopes]
    new.parents += old.parents[scopes]
    new.sizes += old.sizes[scopes]
    new.kept_sizes += old.kept_sizes[scopes]
    new.scopes += old.scopes[scopes]
    _copy_rows(old, new, tokens)
    new.kept += old.kept[kept]
    new.kept_names += old.kept_names[kept]
    new.kept_rows += old.kept_rows[kept]


def _write(scope: AnyWorkflow, old: StoredState, new: _Columns, at: int | None) -> None:
    """Write a scope that was asked for; of its tokens and kept activities those that nobody asked for go back as they came.

    Args:
        at: its place in the old state; None: it has none.
    """
    place = scope.parent_task_id or 0
    extra: dict[str, Any] = {}
    if scope.gateways:
        extra["gateways"] = scope.gateways
    if scope.wrote:
        extra["wrote"] = sorted(scope.wrote)
    if scope.past:
        extra["past"] = codec.dump(scope.past).decode()
    if scope is scope.top_workflow and scope.top_workflow.conversations:
        top = scope.top_workflow
        extra["conversations"] = {
            str(id): keys for id, keys in top.conversations.items() if id == 0 or id in top.subprocesses or top.is_open(id)}
    if scope.suspenders:
        extra["suspenders"] = {str(token): since for token, since in scope.suspenders.items()}
    if scope.completed and place:
        extra["completed"] = True
    if scope.index.joins:
        extra["joins"] = scope.index.joins
    if scope.index.forks:
        extra["forks"] = sorted(scope.index.forks.items())
    names, variables = scope.scope.dump()
    line = [scope.spec.name, scope.business_key, scope.scope.keeps_new, scope.scope.parent is None, names]
    new.places.append(place)
    new.parents.append((scope.host.workflow.parent_task_id or 0) if place else 0)
    new.scopes.append(_line([*line, extra] if extra else line, names, variables))
    new.sizes.append(len(scope.tasks))
    newest = 0
    if at is not None:
        begin, end = old._ends[at] - old.sizes[at], old._ends[at]
        for row in sorted(scope.tasks.woken):
            if row > begin:
                _copy_rows(old, new, slice(begin, row))
            begin = row + 1
            token = scope.tasks.awake(old.tokens[row])
            if token is not None:
                _write_row(token, new)
        if end > begin:
            _copy_rows(old, new, slice(begin, end))
        newest = old.tokens[end - 1] if old.sizes[at] else 0
    later = []
    for id in reversed(scope.tasks):  # the later, the bigger the number
        if id <= newest:
            break
        later.append(id)
    for id in reversed(later):
        _write_row(scope.tasks[id], new)
    entries = scope.kept.entries()
    new.kept_sizes.append(len(entries))
    if entries:
        new.kept += scope.kept
        new.kept_names += [old.kept_names[entry] if type(entry) is int else entry.task_spec.name for entry in entries]
        new.kept_rows += [old.kept_rows[entry] if type(entry) is int else _row(entry) for entry in entries]


def _copy_rows(old: StoredState, new: _Columns, rows: slice) -> None:
    """Take over tokens that nobody asked for."""
    new.tokens += old.tokens[rows]
    new.names += old.names[rows]
    new.kinds += old.kinds[rows]
    new.rows += old.rows[rows]


def _write_row(token: Token, new: _Columns) -> None:
    assert token.facts is not None
    new.tokens.append(token.id)
    new.names.append(token.task_spec.name)
    new.kinds.append(token.facts.kind)
    new.rows.append(_row(token))


def _row(token: Token) -> bytes:
    data = token.data
    if data.id != token.id or data is token.workflow.scope:
        return orjson.dumps([token._state, token.internal_data], option=_SORTED)
    names, variables = data.dump()
    mark = _PAST if data.is_past else _KEEPS_NEW if data.keeps_new else 0
    return _line([token._state, token.internal_data, names, mark], names, variables)


def _line(line: list[Any], names: list[str], variables: bytes) -> bytes:
    made = orjson.dumps(line, option=_SORTED)
    return made + b"\x1e" + variables if names else made
