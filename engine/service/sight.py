"""What of an instance's data a person sees: amounts by their role and part in it, results of blind tasks once all who are blind are done.

A field that any deployed form marks as `priceField` is an amount wherever its name comes up: in other forms, in tables, in
variables, in events, in exports. What a user task with the property `blindUntil` wrote is seen by who wrote it alone until every
element named has completed in the same scope; so is what machines computed in that scope meanwhile, for it may tell.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain as joined
from typing import Any

from engine import access, history
from engine import events as e
from engine.bpmn import PLACE, Definition, scopes_of_visible
from engine.bpmn.data import LOOP_NAMES, same
from engine.events import Event, Recorded
from engine.feel import Explained, codec
from engine.forms import Component, read_form
from engine.model import Actor, Document, Incident, TaskState, TokenId, Values, WaitingJob
from engine.store import chain, definitions, instances, tasks
from engine.store.database import Session
from engine.store.tasks import Part

#: Fields of events that hold data of the business.
DATA = ("values", "variables", "inputs", "result")
_QUOTING = frozenset({"message", "result", "name"})
_FIGURE = re.compile(r"\d[\d.,]*")
_LONG_FIGURE = re.compile(r"\d[\d.,]{3,}")


@dataclass(frozen=True, slots=True)
class Blind:
    """What blind tasks keep from one person for now.

    Attributes:
        tasks: ``{id: who holds or completed it}``; their files.
        seqs: events whose payload is kept back.
        places: variables that were written last by what is kept back.
        troubles: ``(process, element)`` whose failures may quote it.
    """

    tasks: Mapping[int, str | None]
    seqs: frozenset[int]
    places: frozenset[tuple[TokenId | None, str]]
    troubles: frozenset[tuple[str, str]]


_NOTHING = Blind({}, frozenset(), frozenset(), frozenset())


class Sights:
    """What each person sees; the names of amounts are read once for each deployment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[int, frozenset[str]] = (-1, frozenset())

    def names(self, session: Session) -> frozenset[str]:
        """Return the keys that some deployed form marks as amounts."""
        generation = definitions.generation(session)
        with self._lock:
            if self._known[0] != generation:
                found = {key for body in definitions.form_bodies(session) for key in _marked(read_form(body).components)}
                self._known = generation, frozenset(found)
            return self._known[1]

    def of(self, session: Session, actor: Actor, instance_id: int, *, works_on: bool = False) -> Sight:
        """Return what the actor sees of an instance, as of this session.

        Args:
            works_on: the actor may do the task that this is about, so the instance is theirs.
        """
        own = works_on or (_asks_whose(actor) and instance_id in instances.own(session, actor.id, [instance_id]))
        amounts = None if access.may_read_price(actor, own=own) else self.names(session)
        return Sight(actor, amounts, _NOTHING if access.is_system(actor) else _blind(session, actor, instance_id))

    def of_all(self, session: Session, actor: Actor, instance_ids: Collection[int]) -> dict[int, Sight]:
        """Return ``{instance: what the actor sees of it}``, without a query for each of those that hide nothing."""
        own = instances.own(session, actor.id, instance_ids) if _asks_whose(actor) else set()
        names = None if access.may_read_price(actor, own=False) else self.names(session)
        placed = set[int]() if access.is_system(actor) else tasks.with_places(session, instance_ids)
        return {
            id: Sight(actor, None if id in own else names, _blind(session, actor, id) if id in placed else _NOTHING) for id in instance_ids
        }


@dataclass(frozen=True, slots=True)
class Sight:
    """What one person sees of one instance. `amounts`: names of what is hidden by role; None: the person may read amounts."""

    actor: Actor
    amounts: frozenset[str] | None
    blind: Blind

    def blind_names(self, definition: Definition, state: bytes, scope: TokenId | None) -> frozenset[str]:
        """Return which of the variables visible in a scope are kept back for now."""
        if not self.blind.places:
            return frozenset()
        held = scopes_of_visible(definition, state, scope)
        hosts = {place for place, name in self.blind.places if name == _EVERYTHING}
        return frozenset(
            name for name, at in held.items()
            if (at, name) in self.blind.places or (at in hosts and name not in LOOP_NAMES)
        )

    def hide(self, values: Values, blind: frozenset[str] = frozenset()) -> Values:
        """Return `values` with a mark in place of every amount that the actor may not read, and of every name in `blind`."""
        found = values if self.amounts is None else access.without_amounts(values, self.amounts)
        return {name: access.HIDDEN if name in blind else value for name, value in found.items()} if blind else found

    def leave_out(self, values: Values) -> Values:
        """Return `values` as a form may begin with them: amounts are not there for who may not read them."""
        return values if self.amounts is None else access.without_amounts(values, self.amounts, mark=None)

    def recorded(self, recorded: Recorded) -> Recorded:
        """Return an event whose data and diagnoses show nothing that the actor may not see."""
        event = recorded.event
        if not event.payload:
            return recorded
        if recorded.seq in self.blind.seqs:
            event = _masked(event)
        if self.amounts is not None:
            event = _event(event, self.amounts)
        return recorded if event is recorded.event else replace(recorded, event=event)

    def explained(self, explained: Explained, variables: Values) -> Explained:
        """Return what led to a value, nothing in it shown that the actor may not see.

        Of a computation that reads such a thing only truths stay (the history tells them as well), and variables that are none.

        Args:
            variables: what it was computed from.
        """
        if self.amounts is None and not self.blind.places:
            return explained
        amounts, blind = self.amounts or frozenset(), {name for _, name in self.blind.places}

        def is_safe(name: str, value: object) -> bool:
            shown = {name: value} if self.amounts is None else access.without_amounts({name: value}, amounts)
            return name not in blind and shown == {name: value}

        names = amounts | blind
        safe = {name: value for name, value in variables.items() if is_safe(name, value)}
        text = "\n".join(_texts(explained))
        reads = any(name in text for name in (*names, *(variables.keys() - safe.keys())))
        return _explained(explained, names, safe, reads)

    def seal_off(self, chain: Iterable[history.Entry]) -> Iterator[history.Entry]:
        """Give a chain without the payloads that hold what the actor may not see; it verifies as if these were erased."""
        names, blind = self.amounts, self.blind.seqs
        for entry in chain:
            if names is None and not blind:
                yield entry
            else:
                yield history.without(entry, {
                    seq for seq, payload in history.payloads(entry).items()
                    if seq in blind or (names is not None and _shows_amount(codec.load(payload), names))
                })  # fmt: skip

    def readable(self, documents: Iterable[Document]) -> list[Document]:
        """Return the files that the actor may read: their own, and those of no price field and no blind task."""
        return [d for d in documents if d.uploaded_by == self.actor.id or not (self._is_amount(d) or self._is_blind(d))]

    def why_not(self, document: Document) -> str:
        """Return the reason, for the person, why a file is not `readable`."""
        return "它含有价格，只有报价相关角色可以打开。" if self._is_amount(document) else "它属于尚未完成的独立核查，完成后才能打开。"

    def _is_amount(self, document: Document) -> bool:
        return self.amounts is not None and bool(self.amounts.intersection(document.field.split(".")))

    def _is_blind(self, document: Document) -> bool:
        return self.blind.tasks.get(document.task_id or 0, self.actor.id) != self.actor.id

    def incident(self, incident: Incident) -> Incident:
        """Return an incident whose message shows nothing that the actor may not see: an expression's failure quotes its values."""
        if (incident.process, incident.element) in self.blind.troubles:
            return replace(incident, message=access.HIDDEN)
        return incident if self.amounts is None else replace(incident, message=_diagnosis(incident.message, incident.kind))

    def job(self, job: WaitingJob) -> WaitingJob:
        """Return a job that waits, what a machine said of its failure likewise."""
        if job.error is None:
            return job
        if (job.process, job.element) in self.blind.troubles:
            return replace(job, error=access.HIDDEN)
        return job if self.amounts is None else replace(job, error=_LONG_FIGURE.sub(access.HIDDEN, job.error))


def _asks_whose(actor: Actor) -> bool:
    """True if what the actor may read depends on whose the instance is."""
    return access.may_read_price(actor, own=True) and not access.may_read_price(actor, own=False)


#: In `Blind.places`: every variable of the scope. A multi-instance activity collects the results of its instances there.
_EVERYTHING = "*"


def _blind(session: Session, actor: Actor, instance_id: int) -> Blind:
    hidden = _waiting([_placed(part) for part in tasks.parts(session, instance_id, placed=True)])
    if not hidden:
        return _NOTHING
    recorded = joined.from_iterable(history.unseal(instance_id, history.Entry(*row)) for row in chain.read(session, instance_id))
    return _kept_back(actor, hidden, recorded)


@dataclass(frozen=True, slots=True)
class _Placed:
    part: Part
    scope: int
    host: int  #: the multi-instance activity it is an instance of; 0: none


def _placed(part: Part) -> _Placed:
    scope, _, host = part.properties[PLACE].partition(".")
    return _Placed(part, int(scope), int(host))


def _waiting(placed: list[_Placed]) -> dict[int, _Placed]:
    """Return ``{token: task}`` of the blind tasks whose results wait for others.

    An element may run several times in a scope. Its n-th run is seen when every element named has come through its n-th run
    and stands open nowhere in the scope; the instances of a multi-instance activity are one run.
    """
    runs: dict[tuple[str, str, int], dict[int, list[Part]]] = {}
    for p in placed:
        runs.setdefault((p.part.process, p.part.element, p.scope), {}).setdefault(p.host or p.part.token, []).append(p.part)
    found = {}
    for p in placed:
        names = [word.strip() for word in p.part.properties.get("blindUntil", "").split(",") if word.strip()]
        if not names:
            continue
        number = list(runs[p.part.process, p.part.element, p.scope]).index(p.host or p.part.token)
        for name in names:
            others = list(runs.get((p.part.process, name, p.scope), {}).values())
            is_open = any(part.state is not TaskState.COMPLETED for run in others for part in run)
            if is_open or len(others) <= number or p.part.state is not TaskState.COMPLETED:
                found[p.part.token] = p
                break
    return found


_BY_PEOPLE = (e.UserTaskCompleted, e.MessageCorrelated, e.DataMended, e.InstanceStarted)


def _kept_back(actor: Actor, hidden: Mapping[int, _Placed], log: Iterable[Recorded]) -> Blind:
    scopes: dict[int, int] = {}  #: ``{token: scope it runs in}``
    seqs: dict[int, int] = {}  #: ``{seq: scope}`` of what is kept back
    places: dict[tuple[TokenId | None, str], int] = {}
    troubles: dict[tuple[str, str], int] = {}
    written: set[int] = set()  #: scopes in which something is kept back
    over: set[int] = set()
    last: Event | None = None
    for recorded in log:
        event, is_own = recorded.event, recorded.actor == actor.id
        match event:
            case e.ActivityStarted():
                scopes[event.token] = event.scope or 0
            case e.ActivityCompleted() | e.ActivityCancelled():
                over.add(event.token)
            case e.InstanceCompleted() | e.InstanceCancelled():
                return _NOTHING
            case e.VariablesChanged():
                by = hidden.get(last.token) if isinstance(last, e.UserTaskCompleted) else None
                near = (scopes.get(getattr(last, "token", 0)), event.scope or 0, scopes.get(event.scope or 0))
                machine = None if isinstance(last, _BY_PEOPLE) else next((scope for scope in near if scope in written), None)
                scope = machine if by is None else by.scope
                for name in event.names:
                    places.pop((event.scope, name), None)
                    if scope is not None and not is_own:
                        places[event.scope, name] = scope
                if scope is not None and not is_own:
                    seqs[recorded.seq] = scope
                continue
            case e.UserTaskCompleted() | e.DocumentAttached() if event.token in hidden:
                written.add(hidden[event.token].scope)
                if not is_own:
                    seqs[recorded.seq] = hidden[event.token].scope
            case e.DecisionEvaluated() if scopes.get(event.token) in written and not is_own:
                seqs[recorded.seq] = scopes[event.token]
            case e.IncidentOpened() | e.JobFailed() | e.ExpressionWasNull() if not is_own:
                if (scope := scopes.get(event.token or 0)) in written and scope is not None:
                    seqs[recorded.seq] = troubles[event.process, event.element or ""] = scope
        last = event
    for place in hidden.values():
        if place.host and place.scope not in over:
            places[TokenId(place.host), _EVERYTHING] = place.scope
    return Blind(
        tasks={p.part.id: p.part.person for p in hidden.values() if p.scope not in over},
        seqs=frozenset(seq for seq, scope in seqs.items() if scope not in over),
        places=frozenset(place for place, scope in places.items() if scope not in over),
        troubles=frozenset(element for element, scope in troubles.items() if scope not in over),
    )


def _masked(event: Event) -> Event:
    found: dict[str, Any] = {}
    for name in event.payload:
        value = getattr(event, name)
        found[name] = dict.fromkeys(value, access.HIDDEN) if isinstance(value, Mapping) else value if value is None else access.HIDDEN
    return replace(event, **found)


def _shows_amount(payload: Values, names: frozenset[str]) -> bool:
    # what quotes values (a failure, a decision's result) or names a file may hold one as well
    return payload != access.without_amounts(payload, names) or bool(_QUOTING.intersection(payload))


def _diagnosis(message: str, kind: str) -> str:
    return (_LONG_FIGURE if kind in ("handler", "notification", "message", "timer", "stuck") else _FIGURE).sub(access.HIDDEN, message)


def _event(event: Event, names: frozenset[str]) -> Event:
    changes: dict[str, Any] = {}
    for name in DATA:
        if name in event.payload:
            value = getattr(event, name)
            changes[name] = access.without_amounts({"": value}, names)[""]
    match event:
        case e.DecisionEvaluated() if changes["inputs"] != event.inputs:
            changes["result"] = access.HIDDEN
        case e.DocumentAttached() if names.intersection(event.field.split(".")):
            changes["name"] = access.HIDDEN
        case e.ExpressionWasNull():
            changes["reason"] = _FIGURE.sub(access.HIDDEN, event.reason)
        case e.IncidentOpened():
            changes["message"] = _diagnosis(event.message, event.kind)
        case e.JobFailed() | e.NotificationFailed():
            changes["message"] = _LONG_FIGURE.sub(access.HIDDEN, event.message)
    return replace(event, **changes) if changes else event


def _texts(explained: Explained) -> Iterator[str]:
    yield explained.text
    for child in explained.children:
        yield from _texts(child)


def _explained(part: Explained, names: frozenset[str], safe: Values, reads: bool) -> Explained:
    value = access.without_amounts({"": part.value}, names)[""]
    is_truth = value is None or isinstance(value, bool)
    is_variable = part.text in safe and same(part.value, safe[part.text])
    if reads and not is_truth and not is_variable:
        value = access.HIDDEN
    return replace(part, value=value, children=tuple(_explained(child, names, safe, reads) for child in part.children))


def _marked(components: Iterable[Component]) -> Iterator[str]:
    for component in components:
        if component.price_field and component.key:
            yield component.key
        if component.price_field and component.source:
            yield component.source
        yield from _marked(component.components)
