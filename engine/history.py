"""History: events as canonical bytes, chained by SHA-256 within their process instance; verified, exported, folded into views.

What an event's class lists in `payload` is kept apart: the chained body holds SHA-256(salt ‖ payload) alone, so that salt and
payload may be erased while the chain still verifies, and nobody can guess what stood there.

    body  = canonical JSON: at, actor, acting_for, type, version (unless 1), commitment, event (the open fields)
    hash  = SHA-256(hash of the event before ‖ body)          before the first: SHA-256("psmflow process instance <id>")

So the hash also says of which instance an event is, and the how-manieth.

Whoever can write the whole database can also compute a whole new chain: only heads kept elsewhere (`export`) show that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, get_origin, get_type_hints

from engine import clock
from engine import events as e
from engine.errors import EngineError
from engine.events import EVENT_TYPES, Event, Recorded
from engine.feel import codec
from engine.model import Break, InstanceId, InstanceStatus, TokenId


class UnreadableEvent(EngineError):
    """The log holds a type or version that this release does not know."""

    code = "unreadable_event"
    status = 500
    zh = "历史记录中有本版本不认识的事件 {type}(版本 {version})。请升级程序后再读取。"
    en = "The history holds an event {type} (version {version}) unknown to this release. Upgrade before reading it."


_SALT = 16  #: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event as it is stored. `payload` and `salt` are None when it has none, or when it was erased."""

    seq: int
    body: bytes
    hash: bytes
    salt: bytes | None
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a class of events is written: names of its open and its payload fields, those that hold tuples, empty payloads."""

    type: str
    version: int
    open: tuple[str, ...]
    payload: tuple[str, ...]
    tuples: frozenset[str]
    empty: Mapping[str, Any]


def _shape(cls: type[Event]) -> _Shape:
    found = _shapes.get(cls)
    if found is None:
        found = _shapes[cls] = _find_shape(cls)
    return found


_shapes: dict[type[Event], _Shape] = {}


def _find_shape(cls: type[Event]) -> _Shape:
    hints = get_type_hints(cls)
    names = tuple(f.name for f in fields(cls))
    empty: dict[str, Any] = {}
    for name in cls.payload:
        origin = get_origin(hints[name]) or hints[name]
        empty[name] = "" if origin is str else () if origin is tuple else None if origin is object else {}
    return _Shape(
        type=cls.__name__,
        version=cls.version,
        open=tuple(n for n in names if n not in cls.payload),
        payload=cls.payload,
        tuples=frozenset(n for n in names if get_origin(hints[n]) is tuple),
        empty=empty,
    )


#: ``{(type, version): function}`` that turns the fields of an older version into those of the next one.
UPGRADES: Mapping[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}


def genesis(instance_id: int) -> bytes:
    """Return what the first event of an instance is chained to."""
    return sha256(b"psmflow process instance %d" % instance_id).digest()


def seal(
    event: Event,
    *,
    seq: int,
    at: datetime,
    actor: str,
    acting_for: str | None,
    head: bytes,
    salt: bytes | None = None,
) -> Sealed:
    """Return `event` as it is stored after the event whose hash is `head`.

    Args:
        salt: 16 random bytes; made here unless given.
    """
    shape = _shape(type(event))
    payload = commitment = None
    if shape.payload:
        payload = codec.dump({name: getattr(event, name) for name in shape.payload})
        salt = salt or clock.salt()
        commitment = sha256(salt + payload).hexdigest()
    else:
        salt = None
    envelope: dict[str, Any] = {
        "at": at.isoformat(),
        "actor": actor,
        "type": shape.type,
        "event": {name: _plain(getattr(event, name)) for name in shape.open},
    }
    if acting_for is not None:
        envelope["acting_for"] = acting_for
    if commitment is not None:
        envelope["commitment"] = commitment
    if shape.version != 1:
        envelope["version"] = shape.version
    body = codec.dump(envelope)
    return Sealed(seq, body, sha256(head + body).digest(), salt, payload)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, frozenset)) else value


def unseal(instance_id: int, sealed: Sealed) -> Recorded:
    """Return the event that `seal` stored; an erased payload leaves its fields empty.

    Raises:
        UnreadableEvent: written by a later release.
    """
    body: dict[str, Any] = codec.load(sealed.body)
    cls = EVENT_TYPES.get(body["type"])
    version: int = body.get("version", 1)
    if cls is None or version > cls.version:
        raise UnreadableEvent(type=body["type"], version=version)
    shape = _shape(cls)
    values: dict[str, Any] = dict(body["event"])
    erased = "commitment" in body and sealed.payload is None
    if sealed.payload is not None:
        values.update(codec.load(sealed.payload))
    while version < cls.version:
        values = UPGRADES[body["type"], version](values)
        version += 1
    if erased:
        values.update(shape.empty)
    known = {
        name: tuple(values[name]) if name in shape.tuples else values[name]
        for name in shape.open + shape.payload
        if name in values
    }
    return Recorded(
        instance_id=InstanceId(instance_id),
        seq=sealed.seq,
        at=datetime.fromisoformat(body["at"]),
        actor=body["actor"],
        acting_for=body.get("acting_for"),
        event=cls(**known),
        erased=erased,
    )


# ---------------------------------------------------------------------------------------------------------------- verifying
def verify(instance_id: int, chain: Iterable[Sealed], seq: int, head: bytes) -> tuple[Break, ...]:
    """Return every place where a chain is not what was written; empty when it is intact.

    Args:
        chain: the stored events by `seq`.
        seq, head: number and hash of the last event, as the instance remembers them.
    """
    breaks: list[Break] = []

    def found(at: int, kind: str, zh: str, en: str) -> None:
        breaks.append(Break(instance_id=InstanceId(instance_id), seq=at, kind=kind, zh=zh, en=en))

    last, expected = genesis(instance_id), 1
    missing, erased = list[int](), set[int]()
    for sealed in chain:
        if sealed.seq != expected:
            found(expected, "gap", f"第 {expected} 条记录缺失或重复。", f"Event {expected} is missing or doubled.")
            number: object = sealed.seq  # a database that was tampered with may hold anything
            if not isinstance(number, int):
                continue
            expected = sealed.seq
        if sha256(last + sealed.body).digest() != sealed.hash:
            found(sealed.seq, "event", f"第 {sealed.seq} 条记录被改动。", f"Event {sealed.seq} was changed.")
        last = sealed.hash
        expected += 1
        try:
            body = json.loads(sealed.body)
            commitment = body.get("commitment")
            if body.get("type") == e.PayloadsErased.__name__:
                erased.update(body["event"]["seqs"])
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            continue  # the hash has told already
        if sealed.payload is None:
            if commitment is not None:
                missing.append(sealed.seq)
        elif commitment is None or not is_committed(commitment, sealed.salt, sealed.payload):
            found(
                sealed.seq,
                "payload",
                f"第 {sealed.seq} 条记录的内容被改动。",
                f"The payload of event {sealed.seq} was changed.",
            )
    for gone in missing:
        if gone not in erased:
            found(gone, "payload", f"第 {gone} 条记录的内容被移除。", f"The payload of event {gone} was taken away.")
    if expected - 1 != seq or last != head:
        found(
            0,
            "tail",
            f"链尾不符：应有 {seq} 条，实有 {expected - 1} 条。",
            f"The end does not fit: {seq} expected, {expected - 1} there.",
        )
    return tuple(breaks)


def is_committed(commitment: object, salt: bytes | None, payload: bytes) -> bool:
    """True if a payload is the one that was committed to. The salt's length counts: it could swallow the payload's beginning."""
    return salt is not None and len(salt) == _SALT and sha256(salt + payload).hexdigest() == commitment


def export(instance_id: int, chain: Iterable[Sealed], seq: int, head: bytes) -> Iterator[bytes]:
    """Give an instance's history as JSON lines, which `docs/verify_export.py` checks with Python's standard library alone.

    The first line names the instance and its head; each further line is an event: ``seq``, ``body`` (the very text that the
    hash covers), ``hash``, ``salt`` and ``payload`` (null when erased).
    """
    first = {"psmflow_history": 1, "instance": str(instance_id), "seq": seq, "head": head.hex()}
    yield json.dumps(first, ensure_ascii=False).encode() + b"\n"
    for sealed in chain:
        line = {
            "seq": sealed.seq,
            "hash": sealed.hash.hex(),
            "body": sealed.body.decode(),
            "salt": sealed.salt.hex() if sealed.salt is not None else None,
            "payload": sealed.payload.decode() if sealed.payload is not None else None,
        }
        yield json.dumps(line, ensure_ascii=False).encode() + b"\n"


# ------------------------------------------------------------------------------------------------------------------- folding
@dataclass(slots=True, kw_only=True)
class Position:
    """Where a token stands. `scope`, `host`: as in `ActivityStarted`."""

    token: TokenId
    process: str
    element: str
    kind: str
    since: datetime
    scope: TokenId | None
    host: TokenId | None


@dataclass(slots=True, kw_only=True)
class ElementCount:
    """What happened at one element. `took`: sum over what is completed or cancelled."""

    started: int = 0
    completed: int = 0
    cancelled: int = 0
    took: timedelta = timedelta()

    @property
    def open(self) -> int:
        """How many tokens stand here."""
        return self.started - self.completed - self.cancelled


@dataclass(slots=True, kw_only=True)
class TaskView:
    """An open user task, as the events tell."""

    token: TokenId
    process: str
    element: str
    name: str
    assignee: str | None
    candidate_groups: tuple[str, ...]
    due_at: datetime | None
    deadline_at: datetime | None
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class InstanceView:
    """A process instance as its events up to `seq` tell. Keys: ``positions`` by token, ``arrivals`` by token
    (the process and flow at whose end it waits for others to join), ``elements`` by (process, element),
    ``flows`` by (process, flow), ``tasks``, ``timers`` (due dates) and ``incidents`` (kind) by token (0: of an event on its way to others), ``variables`` by scope."""

    seq: int = 0
    at: datetime | None = None
    status: InstanceStatus = InstanceStatus.ACTIVE
    outcome: str | None = None
    definitions: dict[str, int] = field(default_factory=dict)
    positions: dict[TokenId, Position] = field(default_factory=dict)
    arrivals: dict[TokenId, tuple[str, str]] = field(default_factory=dict)
    elements: dict[tuple[str, str], ElementCount] = field(default_factory=dict)
    flows: dict[tuple[str, str], int] = field(default_factory=dict)
    tasks: dict[TokenId, TaskView] = field(default_factory=dict)
    timers: dict[TokenId, list[datetime]] = field(default_factory=dict)
    incidents: dict[TokenId, str] = field(default_factory=dict)
    variables: dict[TokenId | None, dict[str, Any]] = field(default_factory=dict)
    suspenders: dict[TokenId, TokenId | None] = field(default_factory=dict)  #: ``{event sub-process: the scope it suspends}``
    performers: dict[str, str] = field(default_factory=dict)  #: ``{element: who completed its user task last}``


    def is_suspended(self, token: TokenId) -> bool:
        """True if `token` stands still: with its whole instance, or because an event sub-process suspends a scope around it."""
        if self.status is InstanceStatus.SUSPENDED:
            return True
        at: TokenId | None = token
        while at is not None and at in self.positions:
            scope = self.positions[at].scope
            if at not in self.suspenders and scope in self.suspenders.values():
                return True
            at = scope
        return False


def fold(history: Iterable[Recorded]) -> InstanceView:
    """Return the view after all of `history`."""
    view = InstanceView()
    for recorded in history:
        apply(view, recorded)
    return view


def seen_by(history: Iterable[Recorded], token: TokenId) -> dict[str, Any]:
    """Return ``{name: value}`` of what a token saw after all of `history`: its own scope, then those around it.

    What the engine keeps to itself (counters of loops and of gateways) is in no event and missing here.
    """
    variables: dict[TokenId | None, dict[str, Any]] = {None: {}}
    scopes: dict[TokenId, TokenId | None] = {}
    hosts: dict[TokenId, TokenId] = {}
    calls: set[TokenId] = set()
    for recorded in history:
        match recorded.event:
            case e.InstanceStarted(variables=values):
                variables[None] = dict(values)
            case e.VariablesChanged(scope=scope, values=values):
                variables.setdefault(scope, {}).update(values)
            case e.ActivityStarted(token=began, scope=scope, host=host, kind=kind):
                scopes[began] = scope
                if host is not None:
                    hosts[began] = host
                if kind == "callActivity":
                    calls.add(began)
            case e.FlowTaken(token=left, to_token=arrived):
                scopes[arrived] = scopes.get(left)
    found: dict[str, Any] = {}
    inner, at = False, token
    while True:
        found = {**variables.get(at, {}), **found}
        if inner and at in calls:
            return found  # a called process sees nothing of its caller
        if at in hosts:
            inner, at = False, hosts[at]
            continue
        scope = scopes.get(at)
        if scope is None:
            return {**variables[None], **found}
        inner, at = True, scope


def replay(history: Iterable[Recorded]) -> Iterator[tuple[Recorded, InstanceView]]:
    """Give each event with the view after it. The view is one object that goes on changing: read it before the next."""
    view = InstanceView()
    for recorded in history:
        apply(view, recorded)
        yield recorded, view


def apply(view: InstanceView, recorded: Recorded) -> None:
    """Change `view` by one event: the only place where an event's meaning stands."""
    view.seq, view.at = recorded.seq, recorded.at
    event = recorded.event
    match event:
        case e.InstanceStarted():
            view.definitions = dict(event.definitions)
            view.variables[None] = dict(event.variables)
        case e.InstanceCompleted():
            view.status, view.outcome = InstanceStatus.COMPLETED, event.outcome
            _all_gone(view, recorded.at)
        case e.InstanceCancelled():
            view.status, view.outcome = InstanceStatus.CANCELLED, event.reason
            _all_gone(view, recorded.at)
        case e.InstanceSuspended():
            view.status = InstanceStatus.SUSPENDED
        case e.InstanceResumed():
            view.status = InstanceStatus.ACTIVE
        case e.ScopeSuspended():
            view.suspenders[event.token] = event.scope
        case e.ScopeResumed():
            view.suspenders.pop(event.token, None)
        case e.ActivityStarted():
            view.arrivals.pop(event.token, None)
            view.positions[event.token] = Position(
                token=event.token,
                process=event.process,
                element=event.element,
                kind=event.kind,
                since=recorded.at,
                scope=event.scope,
                host=event.host,
            )
            _count(view, event).started += 1
        case e.ActivityCompleted():
            count = _count(view, event)
            count.completed += 1
            count.took += _leave(view, event.token, recorded.at)
        case e.ActivityCancelled():
            if view.arrivals.pop(event.token, None) is None:
                count = _count(view, event)
                count.cancelled += 1
                count.took += _leave(view, event.token, recorded.at)
        case e.TokenJoined():
            view.arrivals.pop(event.token, None)
        case e.FlowTaken():
            key = event.process, event.flow
            view.flows[key] = view.flows.get(key, 0) + 1
            view.arrivals[event.to_token] = key
        case e.VariablesChanged():
            view.variables.setdefault(event.scope, {}).update(event.values)
        case e.UserTaskCreated():
            view.tasks[event.token] = TaskView(
                token=event.token,
                process=event.process,
                element=event.element,
                name=event.name,
                assignee=event.assignee,
                candidate_groups=event.candidate_groups,
                due_at=event.due_at,
                deadline_at=event.deadline_at,
                created_at=recorded.at,
            )
        case e.UserTaskRescheduled():
            if event.token in view.tasks:
                view.tasks[event.token].due_at, view.tasks[event.token].deadline_at = event.due_at, event.deadline_at
        case e.UserTaskClaimed():
            view.tasks[event.token].assignee = recorded.actor
        case e.UserTaskReleased():
            view.tasks[event.token].assignee = None
        case e.UserTaskAssigned():
            view.tasks[event.token].assignee = event.assignee
        case e.UserTaskCompleted():
            view.tasks.pop(event.token, None)
            view.performers[event.element] = recorded.actor
        case e.UserTaskCancelled():
            view.tasks.pop(event.token, None)
        case e.TimerScheduled():
            view.timers.setdefault(event.token, []).append(event.due_at)
        case e.TimerMoved():
            _timer_gone(view, event.token, event.was)
            view.timers.setdefault(event.token, []).append(event.due_at)
        case e.TimerFired() | e.TimerCancelled():
            _timer_gone(view, event.token, event.due_at)
        case e.IncidentOpened():
            view.incidents[event.token] = event.kind
        case e.IncidentResolved():
            view.incidents.pop(event.token, None)
        case _:
            pass  # tells people something, but changes nothing that a view shows


def _count(view: InstanceView, event: e.ElementEvent) -> ElementCount:
    return view.elements.setdefault((event.process, event.element), ElementCount())


def _leave(view: InstanceView, token: TokenId, at: datetime) -> timedelta:
    position = view.positions.pop(token, None)
    return at - position.since if position is not None else timedelta()


def _timer_gone(view: InstanceView, token: TokenId, due_at: datetime) -> None:
    dues = view.timers.get(token, [])
    if due_at in dues:
        dues.remove(due_at)
    if not dues:
        view.timers.pop(token, None)


def _all_gone(view: InstanceView, at: datetime) -> None:
    for position in view.positions.values():
        view.elements[position.process, position.element].took += at - position.since
    view.positions.clear()
    view.arrivals.clear()
    view.tasks.clear()
    view.timers.clear()
    view.suspenders.clear()
    view.incidents = {token: kind for token, kind in view.incidents.items() if not token}  # what it threw is still on its way
