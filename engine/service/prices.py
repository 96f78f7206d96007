"""Which values are amounts, and what somebody without a price role gets instead of them.

A field that any deployed form marks as `priceField` is an amount wherever its name comes up: in other forms, in tables, in
variables, in events, in exports.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from engine import access, history
from engine import events as e
from engine.bpmn.data import same
from engine.events import Event
from engine.feel import Explained, codec
from engine.forms import Component, read_form
from engine.model import Actor, Document, Incident, Values
from engine.store import definitions
from engine.store.database import Session

#: Fields of events that hold data of the business.
DATA = ("values", "variables", "inputs", "result")
_QUOTING = frozenset({"message", "result", "name"})
_FIGURE = re.compile(r"\d[\d.,]*")
_LONG_FIGURE = re.compile(r"\d[\d.,]{3,}")


class Prices:
    """The names of amounts, read once for each deployment."""

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

    def hide(self, session: Session, actor: Actor, values: Values) -> Values:
        """Return `values` with a mark in place of every amount, unless the actor may read amounts."""
        if access.may_read_price(actor):
            return values
        return access.without_amounts(values, self.names(session))

    def leave_out(self, session: Session, actor: Actor, values: Values) -> Values:
        """Return `values` as a form may begin with them: amounts are not there for who may not read them."""
        if access.may_read_price(actor):
            return values
        return access.without_amounts(values, self.names(session), mark=None)

    def hide_in_event(self, session: Session, actor: Actor, event: Event) -> Event:
        """Return an event whose data and diagnoses show no amount to who may not read them."""
        if access.may_read_price(actor) or not event.payload:
            return event
        return _event(event, self.names(session))

    def hide_in_explained(self, session: Session, actor: Actor, explained: Explained, variables: Values) -> Explained:
        """Return what led to a value, no amount in it shown to who may not read them.

        Of a computation that reads an amount only truths stay (the history tells them as well), and variables that are none.

        Args:
            variables: what it was computed from.
        """
        if access.may_read_price(actor):
            return explained
        names = self.names(session)
        safe = {name: value for name, value in variables.items() if access.without_amounts({name: value}, names) == {name: value}}
        text = "\n".join(_texts(explained))
        reads = any(name in text for name in (*names, *(variables.keys() - safe.keys())))
        return _explained(explained, names, safe, reads)

    def seal_off(self, session: Session, actor: Actor, chain: Iterable[history.Entry]) -> Iterator[history.Entry]:
        """Give a chain without the payloads that hold amounts; it verifies as if these were erased."""
        names = None if access.may_read_price(actor) else self.names(session)
        for entry in chain:
            yield entry if names is None else history.without(entry, {
                seq for seq, payload in history.payloads(entry).items() if _shows_amount(codec.load(payload), names)
            })  # fmt: skip

    def readable(self, session: Session, actor: Actor, documents: Iterable[Document]) -> list[Document]:
        """Return the files that are not those of a price field, unless the actor may read amounts or brought them."""
        found = list(documents)
        if not found or access.may_read_price(actor):
            return found
        names = self.names(session)
        return [d for d in found if d.uploaded_by == actor.id or not names.intersection(d.field.split("."))]


def _shows_amount(payload: Values, names: frozenset[str]) -> bool:
    # what quotes values (a failure, a decision's result) or names a file may hold one as well
    return payload != access.without_amounts(payload, names) or bool(_QUOTING.intersection(payload))


def hide_in_incidents(actor: Actor, incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """Return incidents whose messages show no amount to who may not read them: an expression's failure quotes its values."""
    if access.may_read_price(actor):
        return tuple(incidents)
    return tuple(replace(i, message=_diagnosis(i.message, i.kind)) for i in incidents)


def hide_in_text(actor: Actor, text: str | None) -> str | None:
    """Return what a machine said of a failure, long figures hidden from who may not read amounts."""
    return text if text is None or access.may_read_price(actor) else _LONG_FIGURE.sub(access.HIDDEN, text)


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
