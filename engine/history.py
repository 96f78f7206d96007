"""History: what a command adds, as canonical text, chained by SHA-256 within its process instance; verified, exported, folded.

One command adds one `Entry`. What an event's class lists in `payload` is kept apart: the entry's text holds a commitment alone,
so that salts and payloads may be erased, each by itself, while the chain still verifies, and nobody can guess what stood there.

    body   = JSON: at, actor, acting_for, events
    digest = SHA-256(salt ‖ payload), of each payload          commitment = SHA-256(first digest ‖ second ‖ …), none: 32 zero bytes
    hash   = SHA-256(hash of the entry before ‖ commitment ‖ body)    before the first: SHA-256("psmflow process instance <id>")

So the hash also says of which instance an entry is, and the how-manieth. An event names its type, and of its fields what nobody
could tell from its class's defaults and the events before it in the entry (`_Said`): most happen where and to whom the one before
did. ``payload`` is the place of its payload among those of the entry, from 0; events that follow each other with the same values
(a form's, then the variables') have one together.

Whoever can write the whole database can also compute a whole new chain: only heads kept elsewhere (`export`) show that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime, timedelta
from hashlib import sha256, shake_128
from itertools import compress, repeat
from operator import is_not
from typing import Any, get_origin, get_type_hints

import orjson

from engine import clock
from engine import events as e
from engine.errors import EngineError
from engine.events import EVENT_TYPES, Event, Recorded
from engine.feel import codec
from engine.model import Actor, Break, InstanceId, InstanceStatus, TokenId, maker


class UnreadableEvent(EngineError):
    """The log holds a type or version that this release does not know."""

    code = "unreadable_event"
    status = 500
    zh = "历史记录中有本版本不认识的事件 {type}(版本 {version})。请升级程序后再读取。"
    en = "The history holds an event {type} (version {version}) unknown to this release. Upgrade before reading it."


_SALT = 16  #: bytes
_GONE = b"-"  #: begins the line of a payload that is not there, before its digest in hex


@dataclass(frozen=True, slots=True)
class Entry:
    """What one command added to a history.

    Attributes:
        seq: number of its last event.
        body: the text that `hash` covers together with the commitment and the hash before it.
        commitment: to the payloads, 32 bytes; None when there never were any.
        salt: 16 bytes of which the payloads' salts are made, or, once one was erased, those of all payloads one after the
            other (of a single payload: its own and 16 bytes of zeros); None when there are no payloads, or none any more.
        payloads: a line for each; that of an erased one is ``-`` and its digest.
    """

    seq: int
    body: bytes
    hash: bytes
    commitment: bytes | None
    salt: bytes | None
    payloads: bytes | None


_make_entry = maker(Entry)


@dataclass(slots=True)
class _Said:
    """What the events before one in its entry have said: a field that says it again is left out.

    Attributes:
        process, element, job_type: of the last event that names one; `cause` of `VariablesChanged` is looked for in `element`.
        token: of the last event that names one, or the one that a `FlowTaken` or `TokenJoined` led to.
        highest: the highest number of a token: the engine counts them up, so a flow or a join mostly leads to the one after it.
    """

    process: str | None = None
    element: str | None = None
    token: int | None = None
    job_type: str | None = None
    highest: int = 0


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a class of events is written: names of its open and its payload fields, those that hold tuples, empty payloads."""

    type: str
    version: int
    open: tuple[str, ...]
    write: Callable[[Event, _Said], dict[str, Any]]  #: given an event: its line
    read: Callable[[dict[str, Any], _Said], None]  #: given a line: writes into it what was left out
    payload: tuple[str, ...]
    contents: Callable[[Event], bytes | None]  #: the payload of an event as text; None: there is nothing in it
    tuples: frozenset[str]
    instants: tuple[str, ...]
    empty: Mapping[str, Any]


class _Shapes(dict[type[Event], _Shape]):
    def __missing__(self, cls: type[Event]) -> _Shape:
        found = self[cls] = _find_shape(cls)
        return found


_shapes = _Shapes()


class _Writers(dict[type[Event], Callable[[Event, _Said], dict[str, Any]]]):
    """`_Shape.write` of each class."""

    def __missing__(self, cls: type[Event]) -> Callable[[Event, _Said], dict[str, Any]]:
        found = self[cls] = _shapes[cls].write
        return found


_writers = _Writers()


def _find_shape(cls: type[Event]) -> _Shape:
    hints = get_type_hints(cls)
    names = tuple(f.name for f in fields(cls) if f.name not in cls.payload)
    empty: dict[str, Any] = {}
    for name in cls.payload:
        origin = get_origin(hints[name]) or hints[name]
        empty[name] = "" if origin is str else () if origin is tuple else None if origin is object else {}
    write, read = _compiled(cls, names, hints)
    return _Shape(
        type=cls.__name__,
        version=cls.version,
        open=names,
        write=write,
        read=read,
        payload=cls.payload,
        contents=_contents(cls.payload, empty),
        tuples=frozenset(name for name in hints if get_origin(hints[name]) is tuple),
        instants=tuple(name for name in names if "datetime" in str(hints[name])),
        empty=empty,
    )


def _compiled(
    cls: type[Event], names: tuple[str, ...], hints: Mapping[str, Any]
) -> tuple[Callable[[Event, _Said], dict[str, Any]], Callable[[dict[str, Any], _Said], None]]:
    """Return the functions that write and read the line of an event, compiled once: some twenty events a command pass here.

    Both are made of the same rule for each field, so that what one leaves out the other puts back.
    """
    defaults = {f.name: f.default for f in fields(cls) if f.default is not MISSING}
    always, write, read = [f'"type": {cls.__name__!r}'], list[str](), list[str]()
    places: dict[str, Any] = {"to_json": codec.to_json}
    if cls.version != 1:
        always.append(f'"version": {cls.version}')
    for name in sorted(names, key=_AFTER_OTHERS.__contains__):
        value = f"event.{name}"
        if name in ("process", "element", "token", "job_type"):
            write += [f"if {value} != said.{name}:", f'    line["{name}"] = said.{name} = {value}']
            read.append(f'said.{name} = line.setdefault("{name}", said.{name})')
            if name == "token":
                write.append("    if said.token > said.highest: said.highest = said.token")
                read.append("if said.token > said.highest: said.highest = said.token")
        elif name in ("to_token", "into"):
            write += [
                f"said.token = {value}",
                f'if said.token != said.highest + 1: line["{name}"] = said.token',
                "if said.token > said.highest: said.highest = said.token",
            ]
            read += [
                f'said.token = line.setdefault("{name}", said.highest + 1)',
                "if said.token > said.highest: said.highest = said.token",
            ]
        elif name == "cause":
            write.append('if event.cause != said.element: line["cause"] = event.cause')
            read.append('line.setdefault("cause", said.element)')
        elif name in defaults:  # the class puts it back
            places[f"default_{name}"] = defaults[name]
            write.append(f'if {value} != default_{name}: line["{name}"] = {value}')
        else:
            always.append(f'"{name}": ' + (f"to_json({value})" if "Mapping" in str(hints[name]) else value))  # data of FEEL
    first = f"line = {{{', '.join(always)}}}"
    text = "\n    ".join(["def write(event, said):", first, *write, "return line"])
    text += "\n" + "\n    ".join(["def read(line, said):", "pass", *read])
    exec(text, places)  # noqa: S102  made of the names of our own classes alone, as dataclasses do
    return places["write"], places["read"]


#: Fields whose rule looks at what the event itself says of element and token.
_AFTER_OTHERS = frozenset({"to_token", "into", "cause"})


def _contents(names: tuple[str, ...], empty: Mapping[str, Any]) -> Callable[[Event], bytes | None]:
    if len(names) == 1:
        name, nothing = names[0], empty[names[0]]
        before = b'{"%s":' % name.encode()

        def text_of(event: Event) -> bytes | None:
            value = getattr(event, name)
            return None if value == nothing else before + codec.dump(value) + b"}"

        return text_of

    def text_of_all(event: Event) -> bytes | None:
        values = {name: getattr(event, name) for name in names}
        return None if values == empty else codec.dump(values)

    return text_of_all


#: ``{(type, version): function}`` that turns the fields of an older version into those of the next one.
UPGRADES: Mapping[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}


def genesis(instance_id: int) -> bytes:
    """Return what the first entry of an instance is chained to."""
    return sha256(b"psmflow process instance %d" % instance_id).digest()


def seal(events: Sequence[tuple[Event, Actor]], *, seq: int, at: datetime, head: bytes, salt: bytes | None = None) -> Entry:
    """Return what a command added, as it is stored after the entry whose hash is `head` and whose last event is `seq`.

    Args:
        events: at least one, each with whose deed it is.
        salt: 16 random bytes; made here unless given.
    """
    facts, actors = zip(*events, strict=True)
    kinds, said = tuple(map(type, facts)), _Said()
    written = [write(event, said) for write, event in zip(map(_writers.__getitem__, kinds), facts, strict=True)]
    chief: Actor = actors[0]
    if len(set(map(id, actors))) > 1:
        for line, actor in compress(zip(written, actors, strict=True), map(is_not, actors, repeat(chief))):
            if (actor.id, actor.acting_for) != (chief.id, chief.acting_for):
                line["actor"] = actor.id
                if actor.acting_for is not None:
                    line["acting_for"] = actor.acting_for
    payloads: list[bytes] = []
    for line, event in compress(zip(written, facts, strict=True), map(_WITH_PAYLOADS.__contains__, kinds)):
        shape = _shapes[type(event)]
        payload = shape.contents(event)
        if payload is not None:
            if not payloads or payload != payloads[-1] or shape.payload != _VALUES:
                payloads.append(payload)
            line["payload"] = len(payloads) - 1
    body: dict[str, Any] = {"at": at.isoformat(), "actor": chief.id}
    if chief.acting_for is not None:
        body["acting_for"] = chief.acting_for
    body["events"] = written
    text = orjson.dumps(body, default=_plain)
    if not payloads:
        return _make_entry(
            seq=seq + len(written), body=text, hash=_hash(head, None, text), commitment=None, salt=None, payloads=None
        )
    salt = salt or clock.salt()
    commitment = sha256(b"".join(map(_digest, _salts(salt, len(payloads)), payloads))).digest()
    return _make_entry(
        seq=seq + len(written), body=text, hash=_hash(head, commitment, text), commitment=commitment, salt=salt,
        payloads=b"\n".join(payloads),
    )  # fmt: skip


_WITH_PAYLOADS = frozenset(cls for cls in EVENT_TYPES.values() if cls.payload)
#: Events with this payload alone may share it: their values are erased together, as the same names are in them.
_VALUES = ("values",)
_NOTHING = bytes(32)


def _hash(head: bytes, commitment: bytes | None, body: bytes) -> bytes:
    return sha256(head + (_NOTHING if commitment is None else commitment) + body).digest()


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"an event holds a {type(value).__name__}")


def _salts(salt: bytes, count: int) -> list[bytes]:
    """Return the salt of each payload: made of the entry's own, or, once a payload was erased, those that are left."""
    if len(salt) == _SALT:
        salt = shake_128(salt).digest(count * _SALT)
    return [salt[n * _SALT : (n + 1) * _SALT] for n in range(count)]


def _digest(salt: bytes, payload: bytes) -> bytes:
    return sha256(salt + payload).digest()


def unseal(instance_id: int, entry: Entry) -> list[Recorded]:
    """Return the events that `seal` stored; an erased payload leaves its fields empty.

    Raises:
        UnreadableEvent: written by a later release.
    """
    body: dict[str, Any] = orjson.loads(entry.body)
    has_tags = b'{"#":' in entry.body or b'{"@":' in entry.body or b'{"=":' in entry.body
    payloads = [] if entry.payloads is None else entry.payloads.split(b"\n")
    at, seq, said = datetime.fromisoformat(body["at"]), entry.seq - len(body["events"]), _Said()
    found = []
    for line in body["events"]:
        seq += 1
        type_name, version = line.pop("type"), line.pop("version", 1)
        cls = EVENT_TYPES.get(type_name)
        if cls is None or version > cls.version:
            raise UnreadableEvent(type=type_name, version=version)
        shape = _shapes[cls]
        actor, acting_for = line.pop("actor", None), line.pop("acting_for", None)
        if actor is None:
            actor, acting_for = body["actor"], body.get("acting_for")
        place = line.pop("payload", None)
        values = codec.from_json(line) if has_tags else line
        shape.read(values, said)
        text = b"" if place is None else payloads[place] if payloads else _GONE
        erased = text.startswith(_GONE)
        if text and not erased:
            values.update(codec.load(text))
        for name in shape.instants:
            if values.get(name) is not None:
                values[name] = datetime.fromisoformat(values[name])
        while version < cls.version:
            values = UPGRADES[type_name, version](values)
            version += 1
        if not text or erased:
            values.update(shape.empty)
        known = {
            name: tuple(values[name]) if name in shape.tuples else values[name]
            for name in shape.open + shape.payload
            if name in values
        }
        found.append(Recorded(
            instance_id=InstanceId(instance_id), seq=seq, at=at, actor=actor, acting_for=acting_for, event=cls(**known), erased=erased,
        ))  # fmt: skip
    return found


def payloads(entry: Entry) -> dict[int, bytes]:
    """Return ``{number of the event: its payload}`` of those payloads of an entry that are there."""
    if entry.payloads is None:
        return {}
    lines = entry.payloads.split(b"\n")
    return {seq: lines[n] for seq, n in _places(entry.seq, json.loads(entry.body)).items() if not lines[n].startswith(_GONE)}


def _places(seq: int, body: Mapping[str, Any]) -> dict[int, int]:
    """Return ``{number of the event: place of its payload}``."""
    first = seq - len(body["events"]) + 1
    return {first + n: line["payload"] for n, line in enumerate(body["events"]) if "payload" in line}


def without(entry: Entry, seqs: Collection[int]) -> Entry:
    """Return an entry without the payloads of these events: their salts and texts are gone, their digests stay.

    Events that share a payload lose it together.
    """
    gone = payloads(entry).keys() & set(seqs)
    if not gone or entry.payloads is None or entry.salt is None:
        return entry
    lines = entry.payloads.split(b"\n")
    salts = _salts(entry.salt, len(lines))
    for seq, n in _places(entry.seq, json.loads(entry.body)).items():
        if seq in gone and not lines[n].startswith(_GONE):
            lines[n] = _GONE + _digest(salts[n], lines[n]).hex().encode()
            salts[n] = bytes(_SALT)
    if all(line.startswith(_GONE) for line in lines):
        return replace(entry, salt=None, payloads=None)
    # a single payload that is left had a salt made of the entry's: with others gone, each salt stands by itself
    return replace(entry, salt=b"".join(salts), payloads=b"\n".join(lines))


# ---------------------------------------------------------------------------------------------------------------- verifying
def verify(instance_id: int, chain: Iterable[Entry], seq: int, head: bytes) -> tuple[Break, ...]:
    """Return every place where a chain is not what was written; empty when it is intact.

    Args:
        chain: the stored entries by `seq`.
        seq, head: number of the last event and hash of the last entry, as the instance remembers them.
    """
    breaks: list[Break] = []

    def found(at: int, kind: str, zh: str, en: str) -> None:
        breaks.append(Break(instance_id=InstanceId(instance_id), seq=at, kind=kind, zh=zh, en=en))

    last, before = genesis(instance_id), 0
    missing, erased = list[int](), set[int]()
    for entry in chain:
        number: object = entry.seq  # a database that was tampered with may hold anything
        if not isinstance(number, int):
            found(before + 1, "gap", f"第 {before + 1} 条记录缺失或重复。", f"Event {before + 1} is missing or doubled.")
            continue
        is_whole = len(entry.commitment or _NOTHING) == 32 and _hash(last, entry.commitment, entry.body) == entry.hash
        last = entry.hash
        try:
            body = json.loads(entry.body)
            count, places = len(body["events"]), _places(number, body)
            payload_count = len(set(places.values()))
            for line in body["events"]:
                if line["type"] == e.PayloadsErased.__name__:
                    erased.update(line["seqs"])
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            count, places, payload_count = number - before, {}, 0
            is_whole = False
        first = number - count + 1
        if first != before + 1:
            found(before + 1, "gap", f"第 {before + 1} 条记录缺失或重复。", f"Event {before + 1} is missing or doubled.")
        before = number
        if not is_whole:
            found(first, "event", f"第 {_span(first, number)} 条记录被改动。", f"Event {_span(first, number)} was changed.")
        if entry.payloads is None:
            missing += places
        elif not is_committed(entry, payload_count):
            if is_whole or places:
                found(
                    min(places, default=first),
                    "payload",
                    f"第 {_span(first, number)} 条记录的内容被改动。",
                    f"The payload of event {_span(first, number)} was changed.",
                )
        else:
            lines = entry.payloads.split(b"\n")
            # a text that was changed may name any place; that it was changed is found above
            missing += [at for at, n in places.items() if isinstance(n, int) and 0 <= n < len(lines) and lines[n].startswith(_GONE)]
    for gone in missing:
        if gone not in erased:
            found(gone, "payload", f"第 {gone} 条记录的内容被移除。", f"The payload of event {gone} was taken away.")
    if before != seq or last != head:
        found(
            0,
            "tail",
            f"链尾不符：应有 {seq} 条，实有 {before} 条。",
            f"The end does not fit: {seq} expected, {before} there.",
        )
    return tuple(breaks)


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"


def is_committed(entry: Entry, count: int) -> bool:
    """True if an entry's payloads are the `count` that were committed to.

    The salts' length counts: they could swallow a payload's beginning.
    """
    if entry.payloads is None or entry.salt is None or entry.commitment is None:
        return False
    lines, salt = entry.payloads.split(b"\n"), entry.salt
    if len(lines) != count or len(salt) not in (_SALT, max(2, count) * _SALT):
        return False
    if count == 1 and any(salt[_SALT:]):
        return False
    try:
        digests = [
            bytes.fromhex(line[1:].decode()) if line.startswith(_GONE) else _digest(own, line)
            for own, line in zip(_salts(salt, count), lines, strict=True)
        ]
    except ValueError:
        return False
    # what was erased leaves nothing of its salt
    return sha256(b"".join(digests)).digest() == entry.commitment and all(len(digest) == 32 for digest in digests)


def export(instance_id: int, chain: Iterable[Entry], seq: int, head: bytes) -> Iterator[bytes]:
    """Give an instance's history as JSON lines, which `docs/verify_export.py` checks with Python's standard library alone.

    The first line names the instance and its head; each further line is an entry: ``seq``, ``body`` (the very text that the
    hash covers), ``hash``, ``commitment`` (null: there never were payloads) and ``payloads``, each ``{"salt", "text"}`` or, when it was erased or is kept back, ``{"digest"}``;
    null when none is there.
    """
    first = {"psmflow_history": 3, "instance": str(instance_id), "seq": seq, "head": head.hex()}
    yield json.dumps(first, ensure_ascii=False).encode() + b"\n"
    for entry in chain:
        line = {
            "seq": entry.seq,
            "hash": entry.hash.hex(),
            "commitment": None if entry.commitment is None else entry.commitment.hex(),
            "body": entry.body.decode(),
            "payloads": None if entry.payloads is None else [
                {"digest": text[1:].decode()} if text.startswith(_GONE) else {"salt": salt.hex(), "text": text.decode()}
                for salt, text in zip(
                    _salts(entry.salt or b"", entry.payloads.count(b"\n") + 1), entry.payloads.split(b"\n"), strict=True
                )
            ],
        }  # fmt: skip
        yield json.dumps(line, ensure_ascii=False).encode() + b"\n"


class UnreadableExport(EngineError):
    """A text is not what `export` wrote."""

    code = "unreadable_export"
    status = 422
    zh = "不是可读的历史导出：{reason}"
    en = "This is no export of a history that can be read: {reason}"


def read_export(lines: Iterable[bytes]) -> tuple[int, int, bytes, tuple[Entry, ...]]:
    """Return ``(instance, seq, head, entries)`` of what `export` gave; whether it is intact, `verify` tells.

    Raises:
        UnreadableExport
    """
    given = iter(lines)
    try:
        first = orjson.loads(next(given, b"null"))
        if first["psmflow_history"] != 3:
            raise ValueError("version")
        return int(first["instance"]), int(first["seq"]), bytes.fromhex(first["head"]), tuple(_read_entry(orjson.loads(line)) for line in given)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableExport(reason=str(error)) from error


def _read_entry(line: Mapping[str, Any]) -> Entry:
    salt: bytes | None = None
    payloads: bytes | None = None
    if line["payloads"] is not None:
        parts = [(bytes(_SALT), _GONE + p["digest"].encode()) if "digest" in p else (bytes.fromhex(p["salt"]), p["text"].encode())
                 for p in line["payloads"]]  # fmt: skip
        if any(len(own) != _SALT for own, _ in parts):
            raise ValueError("salt")
        salt, payloads = b"".join(own for own, _ in parts), b"\n".join(text for _, text in parts)
        if len(parts) == 1:
            salt += bytes(_SALT)  # or it would pass for the one that salts are made of
    commitment = None if line["commitment"] is None else bytes.fromhex(line["commitment"])
    return Entry(int(line["seq"]), line["body"].encode(), bytes.fromhex(line["hash"]), commitment, salt, payloads)


def restored(history: Iterable[Recorded]) -> tuple[Recorded, ...]:
    """Return all events of an instance with what lawful erasures left of their payloads."""
    found = list(history)
    left: dict[int, Mapping[str, Any]] = {}
    for n in range(len(found) - 1, -1, -1):
        recorded = found[n]
        if recorded.erased and recorded.seq in left:
            known = {name: value for name, value in left[recorded.seq].items() if name in recorded.event.payload}
            found[n] = recorded = replace(recorded, event=replace(recorded.event, **known))
        if isinstance(recorded.event, e.PayloadsErased):
            for seq, contents in recorded.event.kept.items():
                left.setdefault(int(seq), contents)  # a later erasure left less
    return tuple(found)


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
