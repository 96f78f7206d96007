"""Messages reach exactly one process instance, signals all; what nobody waits for yet can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from engine import access
from engine.bpmn import form_of_start, visible_variables
from engine.errors import AccessDenied, AmbiguousReceiver, Conflict, NoReceiver
from engine.feel import codec
from engine.forms import Form
from engine.model import (
    SYSTEM,
    Actor,
    BroadcastSignal,
    CorrelateMessage,
    InstanceId,
    ProcessDefinition,
    Subscription,
    SubscriptionKind,
    TokenId,
    Values,
)
from engine.service.forms import form_of, shown_to, storable
from engine.service.instances import Instances
from engine.service.runtime import Runtime
from engine.service.turn import Turn
from engine.store import definitions, instances, messages
from engine.store.database import Session, micros
from engine.store.messages import KeptMessage

_ATTEMPTS = 20


class _Gone(Exception):
    """The chosen receiver does not wait any more: choose again."""


class Messages:
    """Commands and queries on messages and signals."""

    def __init__(self, runtime: Runtime, of_instances: Instances) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._instances = of_instances

    def correlate(
        self, actor: Actor, name: str, payload: Values | None = None, *, correlation_key: str | None = None,
        instance_id: InstanceId | None = None, keep_for: timedelta | None = None, idempotency_key: str | None = None,
        raw: bool = False,
    ) -> InstanceId | None:  # fmt: skip
        """Deliver a message to the one instance that waits for it, or start the process that begins with it.

        Args:
            correlation_key: of the waiting instance; for a message that starts one, its business key.
            instance_id: of the receiver, where the key is not known or not unique.
            keep_for: how long to keep the message when nobody waits; it is delivered when somebody does.
            idempotency_key: a second call of the same actor with the same key delivers nothing more.
            raw: the payload is plain JSON from outside, as everybody's but the engine's own is: the form of the event that catches
                it (property `form`) gives it types and accepts or refuses it. Without `raw` what the engine itself sends is typed
                already and stays as it is. A raw message is not kept, for nobody knows its form yet.

        Returns:
            The instance that got it; None when it was kept.

        Raises:
            NoReceiver: nobody waits, and it was not to be kept.
            AmbiguousReceiver: more than one instance waits, or more than one process starts with it.
            AccessDenied: the actor may not send it.
            InvalidValues: the form by which people send it refuses `payload`; every problem is named.
        """
        if raw and keep_for is not None:
            raise ValueError("a raw message cannot be kept: its form is not known before somebody waits for it")
        return self._correlate(
            actor, name, dict(payload or {}), correlation_key, instance_id, keep_for, idempotency_key, f"message:{actor.id}:{name}",
            raw or not access.is_system(actor),
        )

    def _correlate(
        self, actor: Actor, name: str, payload: dict[str, Any], correlation_key: str | None, instance_id: InstanceId | None,
        keep_for: timedelta | None, idempotency_key: str | None, scope: str, raw: bool = False,
    ) -> InstanceId | None:  # fmt: skip
        for _ in range(_ATTEMPTS):
            with self._database.reading() as session:
                if idempotency_key is not None:
                    answer = instances.idempotent_answer(session, scope, idempotency_key)
                    if answer is not None:
                        return None if answer[0] is None else InstanceId(answer[0])
                found = messages.receivers(
                    session, SubscriptionKind.MESSAGE, name, correlation_key=correlation_key, instance_id=instance_id
                )
                starts = (
                    []
                    if found or instance_id is not None
                    else definitions.started_by(session, SubscriptionKind.MESSAGE.value, name)
                )
            receivers = {instance for instance, _ in found}
            if len(receivers) > 1 or (not found and len(starts) > 1):
                raise AmbiguousReceiver(name=name, key=correlation_key or "-", count=max(len(receivers), len(starts)))
            if found:
                try:
                    return self._deliver(
                        actor, InstanceId(found[0][0]), TokenId(found[0][1]), name, payload, idempotency_key, scope, raw
                    )
                except _Gone:
                    continue
            if starts:
                return self._start(actor, *starts[0], payload, correlation_key or "", idempotency_key, scope, name if raw else None)
            if keep_for is None:
                raise NoReceiver(name=name, key=correlation_key or "-")
            if not access.is_system(actor):
                raise AccessDenied(action=f"发送消息“{name}”", reason="没有人在等待它；只有系统可以预存消息。")
            if self._keep(actor, name, payload, correlation_key or "", keep_for, idempotency_key, scope):
                return None
        raise Conflict()

    def _deliver(
        self, actor: Actor, instance_id: InstanceId, token: TokenId, name: str, payload: dict[str, Any], idempotency_key: str | None,
        scope: str, raw: bool,
    ) -> InstanceId:  # fmt: skip
        def do(turn: Turn) -> InstanceId:
            subscription = self._waiting(turn.session, instance_id, token, name)
            if subscription is None:
                raise _Gone
            if not access.may_send(actor, subscription):
                raise AccessDenied(action=f"发送消息“{name}”", reason="它只能由图中指定的角色发送。")
            values = self._accepted(turn, actor, subscription, payload) if raw else payload
            turn.step(CorrelateMessage(name=name, token=token, payload=values))
            # a delivery that came too late is written too, but its key must not: the next try would pass for done
            if idempotency_key is not None and turn.refused is None:
                at = micros(turn.at)
                turn.require(lambda tx: instances.keep_key(tx, scope, idempotency_key, instance_id, at))
            return instance_id

        return self._runtime.command(actor, instance_id, do)

    def _waiting(self, session: Session, instance_id: int, token: int, name: str | None = None) -> Subscription | None:
        return next(
            (
                s
                for s in messages.of_instance(session, instance_id)
                if s.kind is SubscriptionKind.MESSAGE and s.token == token and name in (None, s.name)
            ),
            None,
        )

    def _start(
        self,
        actor: Actor,
        definition: ProcessDefinition,
        start_event: str,
        payload: dict[str, Any],
        business_key: str,
        idempotency_key: str | None,
        scope: str,
        raw_message: str | None = None,
    ) -> InstanceId:
        access.require_start(actor, definition.name, definition.info.starter_groups)
        if raw_message is not None:
            payload = self._accepted_at_start(actor, definition, start_event, raw_message, payload)
        return self._instances.begin(
            actor,
            definition.key,
            storable(payload),
            business_key=business_key,
            version=definition.version,
            idempotency_key=idempotency_key,
            start_event=start_event,
            scope=scope,
        )

    def _keep(
        self,
        actor: Actor,
        name: str,
        payload: dict[str, Any],
        key: str,
        keep_for: timedelta,
        idempotency_key: str | None,
        scope: str,
    ) -> bool:
        """Keep a message. False: somebody waits for it by now."""
        now = self._runtime.clock.now()
        body, id = codec.dump(payload), self._database.new_id()
        with self._database.writing() as tx:
            if messages.receivers(tx, SubscriptionKind.MESSAGE, name, correlation_key=key):
                return False
            if idempotency_key is not None and not instances.keep_key(tx, scope, idempotency_key, None, micros(now)):
                return False
            messages.keep(
                tx,
                KeptMessage(
                    id=id,
                    name=name,
                    correlation_key=key,
                    body=body,
                    at=micros(now),
                    by=actor.id,
                    expires_at=micros(now + keep_for),
                ),
            )
        return True

    def broadcast(self, actor: Actor, name: str, payload: Values | None = None, *, instance_id: InstanceId | None = None) -> int:
        """Send a signal to every instance that waits for it, and start every process that begins with it.

        Args:
            instance_id: let nobody but this instance hear it.

        Returns:
            How many instances got it or were started.

        Raises:
            AccessDenied: only process owners and the engine broadcast.
        """
        access.require(actor, "mend incidents")
        return self.signal(actor, name, dict(payload or {}), key=str(self._database.new_id()), only=instance_id)

    def signal(
        self, actor: Actor, name: str, payload: dict[str, Any], *, key: str, but: int | None = None, only: InstanceId | None = None
    ) -> int:
        """Deliver a signal; `key` keeps each receiver from getting it twice when this is repeated. `but`: who threw it."""
        with self._database.reading() as session:
            receivers = {i for i, _ in messages.receivers(session, SubscriptionKind.SIGNAL, name, instance_id=only)} - {but}
            starts = [] if only is not None else definitions.started_by(session, SubscriptionKind.SIGNAL.value, name)
        reached = 0
        for instance_id in sorted(i for i in receivers if i is not None):
            reached += self._runtime.command(actor, instance_id, lambda turn: self._signalled(turn, name, payload, key))
        for definition, element in starts:
            self._start(actor, definition, element, payload, "", f"{key}.{definition.key}", f"signal:{actor.id}")
            reached += 1
        return reached

    def _signalled(self, turn: Turn, name: str, payload: dict[str, Any], key: str) -> int:
        once, scope, at = f"{key}.{turn.row.id}", "signal", micros(turn.at)
        if instances.idempotent_answer(turn.session, scope, once) is not None:
            return 0
        if not any(
            s.kind is SubscriptionKind.SIGNAL and s.name == name for s in messages.of_instance(turn.session, turn.row.id)
        ):
            return 0
        turn.require(lambda tx: instances.keep_key(tx, scope, once, None, at))
        turn.step(BroadcastSignal(name=name, payload=payload))
        if turn.refused is not None:  # a timer that was overdue ended it first; the others must get the signal all the same
            turn.refused = None
            return 0
        return 1

    def awaited(self, actor: Actor, instance_id: InstanceId) -> tuple[Subscription, ...]:
        """Return every message and signal that the instance waits for, whoever may send it.

        Raises:
            AccessDenied, NotFound
        """
        self._instances.get(actor, instance_id)
        with self._database.reading() as session:
            return tuple(messages.of_instance(session, instance_id))

    # -- by a person, from the page of an instance
    def expected(self, actor: Actor, instance_id: InstanceId) -> tuple[Subscription, ...]:
        """Return the messages that the actor may send to the instance now.

        Raises:
            AccessDenied, NotFound
        """
        self._instances.get(actor, instance_id)
        with self._database.reading() as session:
            found = messages.of_instance(session, instance_id)
        return tuple(s for s in found if s.kind is SubscriptionKind.MESSAGE and access.may_send(actor, s))

    def form(self, actor: Actor, instance_id: InstanceId, token: TokenId) -> Form | None:
        """Return the form by which a message is sent; None when it asks for nothing.

        Raises:
            NoReceiver: the token does not wait for a message.
            AccessDenied: the actor may not send it.
        """
        with self._database.reading() as session:
            subscription = self._sendable(session, actor, instance_id, token)
            return self._form(session, actor, instance_id, subscription)

    def send(self, actor: Actor, instance_id: InstanceId, token: TokenId, raw: Mapping[str, Any] | None = None) -> None:
        """Send a message by its form.

        Raises:
            NoReceiver: the token does not wait any more.
            AccessDenied: the actor may not send it.
            InvalidValues: the form refuses `raw`.
        """
        given = dict(raw or {})

        def do(turn: Turn) -> None:
            subscription = self._sendable(turn.session, actor, instance_id, token)
            values = self._accepted(turn, actor, subscription, given)
            turn.step(CorrelateMessage(name=subscription.name, token=token, payload=values))

        self._runtime.command(actor, instance_id, do)

    def _accepted(self, turn: Turn, actor: Actor, subscription: Subscription, raw: Mapping[str, Any]) -> Values:
        """Return what the message's form accepts; what a person may not type into it, no program may send in their name."""
        form = self._form(turn.session, actor, turn.row.id, subscription)
        if form is None:
            return storable(raw)
        assert turn.state is not None
        variables = visible_variables(turn.compiled.definition, turn.state, subscription.token)
        return form.accept(raw, variables=variables, now=turn.at, zone=self._runtime.settings.time_zone)

    def _accepted_at_start(
        self, actor: Actor, definition: ProcessDefinition, start_event: str, name: str, raw: Mapping[str, Any]
    ) -> dict[str, Any]:
        with self._database.reading() as session:
            compiled = self._runtime.definitions.current(session, definition.key, definition.version)
            asked = form_of_start(compiled.definition, start_event, name)
            form = shown_to(actor, form_of(session, asked, definition.deployment_id))
        if form is None:
            return dict(storable(raw))
        return form.accept(raw, variables={}, now=self._runtime.clock.now(), zone=self._runtime.settings.time_zone)

    def _sendable(self, session: Session, actor: Actor, instance_id: int, token: int) -> Subscription:
        subscription = self._waiting(session, instance_id, token)
        if subscription is None:
            raise NoReceiver(name="-", key=f"{instance_id}.{token}")
        if not access.may_send(actor, subscription):
            raise AccessDenied(action=f"发送消息“{subscription.name}”", reason="它只能由图中指定的角色发送。")
        return subscription

    def _form(self, session: Session, actor: Actor, instance_id: int, subscription: Subscription) -> Form | None:
        row = instances.load(session, instance_id)
        assert row is not None
        process = self._runtime.definitions.compiled(session, row.bundle_id).processes[subscription.process]
        return shown_to(actor, form_of(session, subscription.form, process.deployment_id))

    # -- for the dispatcher
    def thrown(self, body: bytes, *, job_id: int, thrower: int | None, keep_for: timedelta) -> None:
        """Deliver what an instance threw to others; repeated, it delivers nothing twice.

        Raises:
            AmbiguousReceiver: more than one instance waits for a message.
        """
        event = codec.load(body)
        if event["kind"] == SubscriptionKind.SIGNAL.value:
            self.signal(SYSTEM, event["name"], event["payload"], key=str(job_id), but=thrower)
        else:
            self._correlate(
                SYSTEM, event["name"], event["payload"], event["key"] or None, None, keep_for, str(job_id), "thrown"
            )

    def deliver_kept(self) -> int:
        """Deliver kept messages that somebody waits for after all, drop those whose time is over; return how many came."""
        now = micros(self._runtime.clock.now())
        with self._database.reading() as session:
            pairs = messages.deliverable(session, now)
            expired = messages.any_expired(session, now)
        if expired:
            with self._database.writing() as tx:
                messages.expire(tx, now)
        return sum(self._runtime.command(SYSTEM, instance, partial(_hand_over, message)) for message, instance in pairs)


def _hand_over(message_id: int, turn: Turn) -> int:
    message = messages.get(turn.session, message_id)
    if message is None:
        return 0
    for s in messages.of_instance(turn.session, turn.row.id):
        if s.kind is SubscriptionKind.MESSAGE and (s.name, s.correlation_key) == (message.name, message.correlation_key):
            turn.step(CorrelateMessage(name=s.name, token=s.token, payload=codec.load(message.body)))
            if turn.refused is not None:  # too late for this one: the message stays for somebody else
                turn.refused = None
                return 0
            turn.require(lambda tx: messages.take(tx, message_id))
            return 1
    return 0
