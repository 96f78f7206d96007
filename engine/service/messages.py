"""Messages reach exactly one process instance, signals all; what nobody waits for yet can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from engine import access
from engine.bpmn import KEYED, fits, form_of_start, keys_carried, shown_key, visible_variables
from engine.errors import AccessDenied, AmbiguousReceiver, Conflict, NoCorrelationKey, NoReceiver
from engine.events import MessageExpired
from engine.feel import codec
from engine.forms import Form
from engine.model import (
    SYSTEM,
    Actor,
    BroadcastSignal,
    CorrelateMessage,
    InstanceId,
    ProcessDefinition,
    ProcessInfo,
    Subscription,
    SubscriptionKind,
    TokenId,
    Values,
)
from engine.service import reminders
from engine.service.forms import shown_to, storable, unsealed
from engine.service.instances import Instances
from engine.service.observed import observed
from engine.service.runtime import Runtime
from engine.service.turn import Turn, keys_of_wait
from engine.store import definitions, instances, messages, people
from engine.store.database import Session, micros
from engine.store.messages import KeptMessage, Waiting
from engine.store.people import NewNotice

_ATTEMPTS = 20
#: So many receivers are named when more than one would take a message.
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """A message on its way: what it says and who may have it.

    Attributes:
        key: correlation key of the waiting instance; None: whoever waits for the name.
        keep_for: how long it is kept when nobody waits.
        process, element: the only process that may receive it, and where its message flow ends.
        leaves: it is for a pool without a process.
        thrower: the instance that threw it.
    """

    name: str
    payload: dict[str, Any]
    key: str | None = None
    keep_for: timedelta | None = None
    process: str | None = None
    element: str | None = None
    leaves: bool = False
    thrower: int | None = None


class _Gone(Exception):
    """The chosen receiver does not wait any more: choose again."""


class Messages:
    """Commands and queries on messages and signals."""

    def __init__(self, runtime: Runtime, of_instances: Instances) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._instances = of_instances

    @observed("message.correlate")
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
            AmbiguousReceiver: more than one instance waits, or more than one process starts with it; it names them.
            NoCorrelationKey: its receiver is found by BPMN's correlation keys, and the payload has no value for any.
            AccessDenied: the actor may not send it.
            InvalidValues: the form by which people send it refuses `payload`; every problem is named.
        """
        if raw and keep_for is not None:
            raise ValueError("a raw message cannot be kept: its form is not known before somebody waits for it")
        letter = _Letter(name=name, payload=dict(payload or {}), key=correlation_key, keep_for=keep_for)
        return self._correlate(
            actor, letter, instance_id, idempotency_key, f"message:{actor.id}:{name}", raw or not access.is_system(actor)
        )

    def _correlate(
        self, actor: Actor, letter: _Letter, instance_id: InstanceId | None, idempotency_key: str | None, scope: str, raw: bool = False
    ) -> InstanceId | None:
        name, payload = letter.name, letter.payload
        for _ in range(_ATTEMPTS):
            with self._database.reading() as session:
                if idempotency_key is not None:
                    answer = instances.idempotent_answer(session, scope, idempotency_key)
                    if answer is not None:
                        return None if answer[0] is None else InstanceId(answer[0])
                found, starts = self._receivers(session, letter, instance_id)
            receivers = sorted({each.instance_id for each in found})
            if len(receivers) > 1 or (not found and len(starts) > 1):
                who = [str(id) for id in receivers] or [f"{definition.key}.{element}" for definition, element in starts]
                raise AmbiguousReceiver(name=name, key=letter.key or "-", count=len(who), who=", ".join(who[:_SHOWN]))
            if found:
                try:
                    return self._deliver(
                        actor, InstanceId(found[0].instance_id), TokenId(found[0].token), letter, idempotency_key, scope, raw
                    )
                except _Gone:
                    continue
            if starts:
                return self._start(actor, *starts[0], name, payload, letter.key or "", idempotency_key, scope, raw)
            if letter.keep_for is None:
                raise NoReceiver(name=name, key=letter.key or "-")
            if not access.is_system(actor):
                raise AccessDenied(action=f"发送消息“{name}”", reason="没有人在等待它；只有系统可以预存消息。")
            if self._keep(actor, letter, idempotency_key, scope):
                return None
        raise Conflict()

    def _receivers(
        self, session: Session, letter: _Letter, instance_id: InstanceId | None = None
    ) -> tuple[list[Waiting], list[tuple[ProcessDefinition, str]]]:
        """Return the tokens that wait for a message, or, when none does, the start events that begin with it.

        The element at which its message flow ends comes before all others of the process.

        Raises:
            NoCorrelationKey: who would get it is found by BPMN's correlation keys, and the payload has no value for any.
        """
        carried = self._carried(session, letter)
        found = messages.receivers(
            session, SubscriptionKind.MESSAGE, letter.name, keys=None if letter.key is None else {letter.key, *carried},
            instance_id=instance_id, process=letter.process,
        )  # fmt: skip
        waiting = [each for each in found if _is_for(each, letter.key, carried)]
        starts = [] if instance_id is not None else [
            start for start in definitions.started_by(session, SubscriptionKind.MESSAGE.value, letter.name)
            if letter.process in (None, start[0].key)
        ]  # fmt: skip
        if letter.element is not None:
            at_element = [each for each in waiting if each.element == letter.element]
            begins = [start for start in starts if start[1] == letter.element]
            waiting = at_element or ([] if begins else waiting)
            starts = begins or starts
        if waiting:
            return waiting, []
        if not carried:
            keys = {
                shown_key(key).rpartition("/")[2] for info in (*(start[0].info for start in starts), *self._keyed_infos(session, found))
                for key in info.correlations.get(letter.name, ())
            }  # fmt: skip
            if keys:
                raise NoCorrelationKey(name=letter.name, keys="、".join(sorted(keys)))
        return [], starts

    def _carried(self, session: Session, letter: _Letter) -> frozenset[str]:
        infos = self._runtime.definitions.correlating(session)
        return keys_carried(infos, letter.name, letter.payload, self._runtime.clock.now(), self._runtime.settings.time_zone)

    def _keyed_infos(self, session: Session, found: list[Waiting]) -> list[ProcessInfo]:
        processes = {each.process for each in found if any(key.startswith(KEYED) for key in each.keys)}
        return [info for info in self._runtime.definitions.correlating(session) if info.key in processes]

    def _deliver(
        self, actor: Actor, instance_id: InstanceId, token: TokenId, letter: _Letter, idempotency_key: str | None, scope: str,
        raw: bool,
    ) -> InstanceId:  # fmt: skip
        name, payload = letter.name, letter.payload

        def do(turn: Turn) -> InstanceId:
            subscription = self._waiting(turn.session, instance_id, token, name)
            if subscription is None:
                raise _Gone
            if subscription.correlation_key.startswith(KEYED):
                waits = keys_of_wait(subscription, messages.of_instance(turn.session, instance_id))
                if not fits(waits, self._carried(turn.session, letter)):
                    raise _Gone
            if not access.may_send(actor, subscription):
                raise AccessDenied(action=f"发送消息“{name}”", reason="它只能由图中指定的角色发送。")
            values = self._accepted(turn, actor, subscription, payload) if raw else payload
            turn.step(CorrelateMessage(name=name, token=token, payload=values))
            # a delivery that came too late is written too, but its key must not: the next try would pass for done
            if idempotency_key is not None and turn.refused is None:
                turn.use_key(scope, idempotency_key, instance_id)
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
        name: str,
        payload: dict[str, Any],
        business_key: str,
        idempotency_key: str | None,
        scope: str,
        raw: bool = False,
    ) -> InstanceId:
        access.require_start(actor, definition.name, definition.info.starter_groups)
        if raw:
            payload = self._accepted_at_start(actor, definition, start_event, name, payload)
        return self._instances.begin(
            actor,
            definition.key,
            storable(payload),
            business_key=business_key,
            version=definition.version,
            idempotency_key=idempotency_key,
            start_event=start_event,
            trigger=name,
            scope=scope,
        )

    def _keep(self, actor: Actor, letter: _Letter, idempotency_key: str | None, scope: str) -> bool:
        """Keep a message. False: somebody waits for it by now."""
        assert letter.keep_for is not None
        now = self._runtime.clock.now()
        body, id = codec.dump(letter.payload), self._database.new_id()
        key = letter.key or ""
        with self._database.reading() as session:
            carried = self._carried(session, letter)
        with self._database.writing() as tx:
            messages.alone(tx, letter.name)
            waiting = messages.receivers(tx, SubscriptionKind.MESSAGE, letter.name, keys={key, *carried}, process=letter.process)
            if any(_is_for(each, key, carried) for each in waiting):
                return False
            if idempotency_key is not None and not instances.keep_key(tx, scope, idempotency_key, None, micros(now)):
                return False
            messages.keep(
                tx,
                KeptMessage(
                    id=id, name=letter.name, correlation_key=key, body=body, at=micros(now), by=actor.id,
                    expires_at=micros(now + letter.keep_for), process=letter.process, element=letter.element, leaves=letter.leaves,
                    thrower=letter.thrower, keys=carried,
                ),
            )  # fmt: skip
        return True

    @observed("signal.broadcast")
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
            receivers = {
                each.instance_id for each in messages.receivers(session, SubscriptionKind.SIGNAL, name, instance_id=only)
            } - {but}
            starts = [] if only is not None else definitions.started_by(session, SubscriptionKind.SIGNAL.value, name)
        reached = 0
        for instance_id in sorted(receivers):
            reached += self._runtime.command(actor, instance_id, lambda turn: self._signalled(turn, name, payload, key))
        for definition, element in starts:
            self._start(actor, definition, element, name, payload, "", f"{key}.{definition.key}.{element}", f"signal:{actor.id}")
            reached += 1
        return reached

    def _signalled(self, turn: Turn, name: str, payload: dict[str, Any], key: str) -> int:
        once, scope = f"{key}.{turn.row.id}", "signal"
        if instances.idempotent_answer(turn.session, scope, once) is not None:
            return 0
        if not any(
            s.kind is SubscriptionKind.SIGNAL and s.name == name for s in messages.of_instance(turn.session, turn.row.id)
        ):
            return 0
        turn.use_key(scope, once, None)
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
        waits = {(s.token, s.name): s for s in reversed(found) if s.kind is SubscriptionKind.MESSAGE and access.may_send(actor, s)}
        return tuple(waits[wait] for wait in sorted(waits))

    def form(self, actor: Actor, instance_id: InstanceId, token: TokenId) -> Form | None:
        """Return the form by which a message is sent; None when it asks for nothing.

        Raises:
            NoReceiver: the token does not wait for a message.
            AccessDenied: the actor may not send it.
        """
        with self._database.reading() as session:
            subscription = self._sendable(session, actor, instance_id, token)
            return self._form(session, actor, instance_id, subscription)

    @observed("message.send")
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
        return form.accept(
            raw, variables=variables, now=turn.at, zone=self._runtime.settings.time_zone, by=actor.name or actor.id,
            people=partial(people.everybody, turn.session),
        )

    def _accepted_at_start(
        self, actor: Actor, definition: ProcessDefinition, start_event: str, name: str, raw: Mapping[str, Any]
    ) -> dict[str, Any]:
        with self._database.reading() as session:
            compiled = self._runtime.definitions.current(session, definition.key, definition.version)
            asked = form_of_start(compiled.definition, start_event, name)
            form = unsealed(shown_to(actor, self._runtime.definitions.form(session, asked, definition.deployment_id)))
            if form is None:
                return dict(storable(raw))
            return form.accept(
                raw, variables={}, now=self._runtime.clock.now(), zone=self._runtime.settings.time_zone, by=actor.name or actor.id,
                people=partial(people.everybody, session),
            )

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
        return unsealed(shown_to(actor, self._runtime.definitions.form(session, subscription.form, process.deployment_id)))

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
            letter = _Letter(
                name=event["name"], payload=event["payload"], key=event["key"] or None, keep_for=keep_for, process=event.get("process"),
                element=event.get("element"), leaves=bool(event.get("leaves")), thrower=thrower,
            )  # fmt: skip
            self._correlate(SYSTEM, letter, None, str(job_id), "thrown")

    def deliver_kept(self) -> int:
        """Deliver kept messages that somebody waits for after all, drop those whose time is over; return how many came."""
        now = micros(self._runtime.clock.now())
        with self._database.reading() as session:
            pairs = messages.deliverable(session, now)
            late = messages.expired(session, now)
        for message in late:
            self._expire(message)
        return sum(self._runtime.command(SYSTEM, instance, partial(_hand_over, message)) for message, instance in pairs)

    def _expire(self, message: KeptMessage) -> None:
        """Drop a message that nobody came to wait for in its time: its thrower's history says so, and the process owners are told."""
        link, title = "", ""
        if message.thrower is not None:
            with self._database.reading() as session:
                row = instances.load(session, message.thrower)
            link, title = (f"/instance/{message.thrower}", row.title) if row is not None else ("", "")

        def notices(session: Session) -> list[NewNotice]:
            if message.leaves:
                return []
            zh = f"消息无人接收，已过期：{message.name}"
            body = (
                f"消息“{message.name}”（关联键：{message.correlation_key or '-'}）在保存期内没有流程实例等待，未送达。\n"
                f"No process instance came to wait for the message {message.name} (correlation key: {message.correlation_key or '-'})"
                " while it was kept; it was not delivered."
            )
            owners = people.find(session, groups=[reminders.OWNERS])
            return [
                NewNotice(
                    id=self._database.new_id(), user_id=user.id, at=micros(self._runtime.clock.now()),
                    subject=f"【{title}】{zh}" if title else zh, body=body, link=link,
                    instance_id=message.thrower if link else None, once=f"message.{message.id}",
                )
                for user in owners
            ]  # fmt: skip

        if not link:
            with self._database.writing() as tx:
                if messages.take(tx, message.id):
                    for notice in notices(tx):
                        people.tell(tx, notice)
            return

        def do(turn: Turn) -> None:
            if messages.get(turn.session, message.id) is None:
                return
            turn.require(lambda tx: messages.take(tx, message.id))
            turn.record(
                MessageExpired(process=turn.row.key, name=message.name, correlation_key=message.correlation_key, leaves=message.leaves)
            )
            for notice in notices(turn.session):
                turn.also(partial(_tell, notice))

        assert message.thrower is not None
        self._runtime.command(SYSTEM, message.thrower, do)


def _tell(notice: NewNotice, tx: Session) -> None:
    people.tell(tx, notice)


def _is_for(waiting: Waiting, key: str | None, carried: frozenset[str]) -> bool:
    """Whether a message with this correlation key (None: any) and these BPMN keys is for who waits."""
    if any(text.startswith(KEYED) for text in waiting.keys):
        return fits(waiting.keys, carried)
    return key is None or key in waiting.keys


def _hand_over(message_id: int, turn: Turn) -> int:
    message = messages.get(turn.session, message_id)
    if message is None:
        return 0
    waiting = [s for s in messages.of_instance(turn.session, turn.row.id) if s.kind is SubscriptionKind.MESSAGE and s.name == message.name]
    for s in sorted(waiting, key=lambda s: s.element != message.element):
        if message.process not in (None, s.process):
            continue
        keyed = s.correlation_key.startswith(KEYED)
        if fits(keys_of_wait(s, waiting), message.keys) if keyed else s.correlation_key == message.correlation_key:
            turn.step(CorrelateMessage(name=s.name, token=s.token, payload=codec.load(message.body)))
            if turn.refused is not None:  # too late for this one: the message stays for somebody else
                turn.refused = None
                return 0
            turn.require(lambda tx: messages.take(tx, message_id))
            return 1
    return 0
