"""What is asked of the live tokens without walking them: how many hold a scope open, who waits at a join, who waits for what.

Every answer follows from `facts` of the single tokens and from nothing else. A token that was touched is looked at again before
the next question, so the indexes equal a full scan at any time, and a step costs what it touches, not what is open.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import orjson

from engine.bpmn.spiff import WAITING

if TYPE_CHECKING:
    from engine.bpmn.workflow import Token

#: What a token means to its scope: it runs or waits for something; it is a subscription and holds nothing open; it waits at a join;
#: the same, and an incident says so; it belongs to an event sub-process or undoes something, so it leads to no join.
OPEN, DORMANT, AT_JOIN, STUCK, ASIDE = range(5)

#: What is stored when nobody waits for anything.
_NOBODY = orjson.dumps([[]] * 12)

Item = TypeVar("Item")
Place = tuple[int, int]  #: (token, number of its event definition)


class Lazy(dict[int, Any], Generic[Item]):
    """A dict whose stored entries are places in the stored state (ints) until somebody asks for them."""

    __slots__ = ("wake", "woken")

    def __init__(self, wake: Callable[[int, int], Item]) -> None:
        self.wake = wake
        self.woken: list[int] = []  #: places of those that were asked for, whatever became of them

    def __getitem__(self, id: int) -> Item:
        found = dict.__getitem__(self, id)
        if type(found) is int:
            self.woken.append(found)
            found = self.wake(id, found)
            dict.__setitem__(self, id, found)
        return found  # type: ignore[no-any-return]

    def get(self, id: int, default: Any = None) -> Any:
        found = dict.get(self, id, default)
        return self[id] if type(found) is int else found

    def pop(self, id: int, *default: Any) -> Any:
        if id in self:
            found = self[id]
            dict.__delitem__(self, id)
            return found
        return dict.pop(self, id, *default)

    def values(self) -> list[Item]:  # type: ignore[override]
        """All of them, woken, in the order in which they came."""
        return [self[id] for id in self]

    def awake(self, id: int) -> Item | None:
        """The entry if it was asked for before."""
        found = dict.get(self, id)
        return None if type(found) is int else found

    def sleep(self, ids: Iterable[int], places: Iterable[int]) -> None:
        """Take entries that are stored."""
        dict.update(self, zip(ids, places, strict=True))

    def entries(self) -> list[Any]:
        """What is there: entries that are awake, and the places of those that sleep."""
        return list(dict.values(self))


class Facts(NamedTuple):
    """What the indexes know of one token.

    Attributes:
        kind: ``OPEN`` and so on.
        join: (element, flow) where it waits for others.
        forks: the forks that its branch lies behind.
        timers: (number of the event definition, due, host or 0); messages: (number, name, key); signals: (number, name).
        waits: whether it waits for a time, a message or a signal.
    """

    kind: int
    join: tuple[str, str] | None = None
    forks: tuple[int, ...] = ()
    timers: tuple[tuple[int, str, int], ...] = ()
    messages: tuple[tuple[int, str, str | None], ...] = ()
    signals: tuple[tuple[int, str], ...] = ()
    waits: bool = False


#: Of a token that runs or waits for a person, behind no fork: most are.
PLAIN = Facts(OPEN)


def facts(token: Token) -> Facts:
    """Return what the indexes have to know of a live token."""
    data, spec = token.internal_data, token.task_spec
    waiting = token._standing == WAITING
    if not waiting and not spec.is_event_subprocess and _TOLD.isdisjoint(data):
        return Facts(OPEN, None, forks_of(data)) if "trail" in data else PLAIN
    subscribed = "host" in data or "standing" in data or spec.is_event_subprocess
    join: tuple[str, str] | None = None
    timers: tuple[Any, ...] = ()
    messages: tuple[Any, ...] = ()
    signals: tuple[Any, ...] = ()
    if subscribed and (waiting or ("incident" in data and data["incident"][1] == "arriving")):
        kind = DORMANT
    elif waiting and "waits" not in data:
        kind = STUCK if "stuck" in data else AT_JOIN
        join = spec.name, data.get("flow") or ""
    elif spec.is_event_subprocess or "undoes" in data:
        kind = ASIDE
    else:
        kind = OPEN
    if waiting and "waits" in data:
        waits = [(n, wait) for n, wait in enumerate(data["waits"]) if "seen" not in wait]
        timers = tuple(
            (n, wait["timer"]["due"], data.get("host", 0)) for n, wait in waits if wait.get("timer") and "frozen" not in wait)
        messages = tuple((n, wait["message"], wait["key"]) for n, wait in waits if wait.get("message") is not None)
        signals = tuple((n, wait["signal"]) for n, wait in waits if "signal" in wait)
    return Facts(kind, join, forks_of(data), timers, messages, signals, bool(timers or messages or signals))


def forks_of(data: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the forks behind which a token with this data lies."""
    return tuple(map(_FORK, data["trail"])) if "trail" in data else ()


_FORK = itemgetter(0)  #: of a level of a trail


#: What of a token's data its facts depend on while it does not wait, but for the forks.
_TOLD = frozenset({"host", "standing", "undoes"})


class ScopeIndex:
    """Of one scope.

    Attributes:
        count: how many tokens there are of each kind.
        joins: ``{element: {flow: [token, …]}}`` of those that wait for others, oldest first.
        forks: ``{fork: tokens behind it}``.
        at: ``{element: {token: kind}}``; None until somebody asks.
    """

    __slots__ = ("at", "count", "forks", "joins")

    def __init__(self) -> None:
        self.count = [0, 0, 0, 0, 0]
        self.joins: dict[str, dict[str, list[int]]] = {}
        self.forks: dict[int, int] = {}
        self.at: dict[str, dict[int, int]] | None = None

    def add(self, id: int, name: str, fact: Facts) -> None:
        self.count[fact.kind] += 1
        if fact.join is not None:
            gateway, flow = fact.join
            insort(self.joins.setdefault(gateway, {}).setdefault(flow, []), id)
        for fork in fact.forks:
            self.forks[fork] = self.forks.get(fork, 0) + 1
        if self.at is not None:
            self.at.setdefault(name, {})[id] = fact.kind

    def remove(self, id: int, name: str, fact: Facts) -> None:
        self.count[fact.kind] -= 1
        if fact.join is not None:
            gateway, flow = fact.join
            flows = self.joins[gateway]
            flows[flow].remove(id)
            if not flows[flow]:
                del flows[flow]
                if not flows:
                    del self.joins[gateway]
        for fork in fact.forks:
            if self.forks[fork] == 1:
                del self.forks[fork]
            else:
                self.forks[fork] -= 1
        if self.at is not None:
            del self.at[name][id]
            if not self.at[name]:
                del self.at[name]


class Waits:
    """Who waits for which time, message and signal, in the whole instance. Stored bytes are read when somebody asks.

    Attributes:
        next_due: the soonest timer, as it was stored; see `first_due`.
        changed: ``{token: (facts when the instance was loaded, facts now)}`` of those that waited for something before or after.
    """

    next_due: str | None = None
    _stored: bytes | None = None
    _by_name: dict[Any, dict[Place, None]] | None = None
    _queue: list[tuple[str, int, int]] | None = None

    def __init__(self) -> None:
        self.changed: dict[int, tuple[Facts | None, Facts | None]] = {}
        self._timers: dict[Place, tuple[str, int]] = {}
        self._messages: dict[Place, tuple[str, str | None]] = {}
        self._signals: dict[Place, tuple[str, None]] = {}

    # ------------------------------------------------------------------------------------------------------------ storing
    def dump(self) -> tuple[str | None, bytes]:
        """Return the soonest due and the bytes of all."""
        if self._stored is not None:
            return self.next_due, self._stored
        if not (self._timers or self._messages or self._signals):
            return None, _NOBODY
        columns: list[list[Any]] = []
        found: dict[Place, Any]
        for found in (self._timers, self._messages, self._signals):
            places = sorted(found)
            columns += [[token for token, _ in places], [n for _, n in places]]
            columns += [[found[place][0] for place in places], [found[place][1] for place in places]]
        soonest = min([due for due, _ in self._timers.values()], default=None)
        return soonest, orjson.dumps(columns)

    def load(self, next_due: str | None, stored: bytes) -> None:
        self.next_due, self._stored = next_due, None if stored == _NOBODY else stored

    def _read(self) -> None:
        if self._stored is not None:
            columns = orjson.loads(self._stored)
            self._timers, self._messages, self._signals = (
                dict(zip(zip(*columns[n: n + 2], strict=True), zip(*columns[n + 2: n + 4], strict=True), strict=True))
                for n in (0, 4, 8))
            self._stored = None

    # ---------------------------------------------------------------------------------------------------------- following
    def change(self, id: int, old: Facts | None, new: Facts | None) -> None:
        """A token waits for something else now, or begins, or ends."""
        self._read()
        self.changed[id] = self.changed[id][0] if id in self.changed else old, new
        if old is not None:
            for n, _, _ in old.timers:
                del self._timers[id, n]
            for n, name, key in old.messages:
                del self._messages[id, n]
                self._forget(("message", name, key), (id, n))
            for n, name in old.signals:
                del self._signals[id, n]
                self._forget(("signal", name), (id, n))
        if new is not None:
            for n, due, host in new.timers:
                self._timers[id, n] = due, host
                if self._queue is not None:
                    heapq.heappush(self._queue, (due, id, n))
            for n, name, key in new.messages:
                self._messages[id, n] = name, key
                if self._by_name is not None:
                    self._by_name.setdefault(("message", name, key), {})[id, n] = None
            for n, name in new.signals:
                self._signals[id, n] = name, None
                if self._by_name is not None:
                    self._by_name.setdefault(("signal", name), {})[id, n] = None

    def _forget(self, name: Any, place: Place) -> None:
        if self._by_name is not None:
            del self._by_name[name][place]
            if not self._by_name[name]:
                del self._by_name[name]

    # ------------------------------------------------------------------------------------------------------------- asking
    def timers(self) -> list[tuple[str, int, int, int]]:
        """(due, token, number, host or 0) of every timer that runs, in firing order."""
        self._read()
        return sorted([(due, token, n, host) for (token, n), (due, host) in self._timers.items()])

    def subscriptions(self) -> list[Place]:
        """Every wait for a message or a signal, oldest first."""
        self._read()
        return sorted([*self._messages, *self._signals])

    def message(self, place: Place) -> tuple[str, str | None] | None:
        return self._messages.get(place)

    def signal(self, place: Place) -> str:
        return self._signals[place][0]

    def for_message(self, name: str, key: str | None) -> list[Place]:
        """All that may wait for this message, oldest first: with this key, and with none, as their conversation has it."""
        named = self._named()
        found = list(named.get(("message", name, key), ()))
        if key is not None:
            found += named.get(("message", name, None), ())
        return sorted(found)

    def for_signal(self, name: str) -> list[Place]:
        """All that wait for this signal, oldest first."""
        return sorted(self._named().get(("signal", name), ()))

    def _named(self) -> dict[Any, dict[Place, None]]:
        self._read()
        if self._by_name is None:
            self._by_name = {}
            for place, (name, key) in self._messages.items():
                self._by_name.setdefault(("message", name, key), {})[place] = None
            for place, (name, _) in self._signals.items():
                self._by_name.setdefault(("signal", name), {})[place] = None
        return self._by_name

    def first_due(self, until: str, inclusive: bool, newest: int) -> Place | None:
        """The soonest timer that is due, of tokens up to `newest`; ISO 8601 in UTC sorts as text."""
        if self._stored is not None and (self.next_due is None or self.next_due > until):
            return None
        self._read()
        if self._queue is None:
            self._queue = [(due, token, n) for (token, n), (due, _) in self._timers.items()]
            heapq.heapify(self._queue)
        queue, later, found = self._queue, [], None
        while queue and (queue[0][0] < until or (inclusive and queue[0][0] == until)):
            due, token, n = queue[0]
            if self._timers.get((token, n), ("", 0))[0] != due:
                heapq.heappop(queue)
            elif token > newest:
                later.append(heapq.heappop(queue))
            else:
                found = token, n
                break
        for entry in later:
            heapq.heappush(queue, entry)
        return found
