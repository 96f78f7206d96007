"""Looking at sealed prices: who may, why, and that it is written before; `engine.service.envelopes` closes and opens them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

from engine import events as e
from engine.bpmn import values_named
from engine.errors import AccessDenied, NotFound
from engine.forms import Component, Form, read_form
from engine.model import Actor, InstanceId, SealedPrice, Value
from engine.service.envelopes import LIST, MOST, latest
from engine.service.forms import given_reason
from engine.service.instances import Instances
from engine.service.observed import observed
from engine.service.runtime import Runtime
from engine.service.turn import Turn
from engine.store import definitions, instances, sealed
from engine.store.database import Session, instant, instant_or_none
from engine.store.sealed import Envelope


class Sealed:
    """Commands and queries on sealed prices."""

    def __init__(self, runtime: Runtime, of_instances: Instances) -> None:
        self._runtime = runtime
        self._instances = of_instances
        self._lock = Lock()
        self._labels: tuple[int, Mapping[str, Component]] = (-1, {})

    def of_instance(self, actor: Actor, instance_id: InstanceId) -> tuple[SealedPrice, ...]:
        """Return every version of every sealed field of an instance, by field, the newest first; no value is among it.

        Raises:
            AccessDenied, NotFound
        """
        self._instances.get(actor, instance_id)
        with self._runtime.database.reading() as session:
            rows = sealed.envelopes(session, instance_id)
            if not rows:
                return ()
            lists = self._lists(session, instance_id)
            fields = self._fields(session)
        last = latest(rows)
        return tuple(
            SealedPrice(
                field=row.field, label=field.label or row.field, label_en=field.label_en,
                columns={c.key: c.label for c in Form(id="", components=field.components).inputs()}, number=row.number,
                sealed_at=instant(row.at), sealed_by=row.by, fingerprint=row.fingerprint, reason=row.reason,
                reader_count=len(row.readers.split(",")), is_last=last[row.field] is row, unsealed_at=instant_or_none(row.unsealed_at),
                matches=None if row.matches is None else bool(row.matches), may_look=_is_on(actor, lists, row),
            )
            for row in sorted(rows, key=lambda row: (row.field, -row.number))
            for field in (fields.get(row.field) or Component(type=""),)
        )  # fmt: skip

    @observed("price.look")
    def look(self, actor: Actor, instance_id: InstanceId, field: str, reason: str, *, number: int | None = None) -> Value:
        """Return a sealed value to somebody on the list; that it was looked at, and why, is written before.

        Args:
            number: of the version; the last one by default.

        Raises:
            ReasonMissing
            NotFound: no such sealed price.
            AccessDenied: the actor is not on the list; the attempt is in the history.
            SealBroken, SealingKeyWrong
        """
        why = given_reason(reason)

        def do(turn: Turn) -> Envelope:
            rows = [r for r in sealed.envelopes(turn.session, instance_id) if r.field == field and number in (None, r.number)]
            if not rows:
                raise NotFound(what="密封报价 (sealed price)", id=field)
            row = rows[-1]
            if _is_on(actor, self._lists(turn.session, instance_id), row):
                turn.record(e.PriceOpened(field=field, number=row.number, reader=actor.id, reason=why))
            else:
                turn.record(e.PriceRefused(field=field, what="open", reason=why))
                turn.refused = AccessDenied(action="查看密封报价", reason="您不在报价访问名单上；本次尝试已记入历史。")
            return row

        row = self._runtime.command(actor, instance_id, do)
        with self._runtime.database.reading() as session:
            return self._runtime.sealing.opened(session, instance_id, row)

    def _lists(self, session: Session, instance_id: int) -> list[Any]:
        """Return the access lists that the instance holds now; none once it has ended."""
        row = instances.load(session, instance_id)
        if row is None or row.state is None:
            return []
        found = values_named(self._runtime.definitions.compiled(session, row.bundle_id).definition, row.state, LIST)
        return [each for each in found if each is not None]

    def _fields(self, session: Session) -> Mapping[str, Component]:
        generation = definitions.generation(session)
        with self._lock:
            if self._labels[0] != generation:
                forms = (read_form(body) for body in definitions.form_bodies(session))
                self._labels = generation, {c.key: c for form in forms for c in form.sealed() if c.is_input}
            return self._labels[1]


def _is_on(actor: Actor, lists: Iterable[Any], row: Envelope) -> bool:
    """True if the actor is on every list that the instance holds, in an ended one on the list of when it was sealed.

    Called processes hold copies: who was taken off one of them may not look, whatever the others say.
    """
    standing = [each if isinstance(each, (list, tuple)) else () for each in lists] or [row.readers.split(",")]
    return all(actor.id in each and len(each) <= MOST for each in standing)
