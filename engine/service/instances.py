"""Start, cancel, suspend, resume and mend process instances; what pages show of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain as joined
from itertools import islice
from typing import Any

from engine import access, history
from engine.bpmn import explain, open_elements, visible_variables
from engine.errors import AccessDenied, NotFound, WrongState
from engine.events import DataMended, DecisionEvaluated, Event, ExpressionWasNull, FlowTaken, Recorded
from engine.feel import Explained, FeelLimit
from engine.forms import Form
from engine.model import (
    ARCHIVED,
    Actor,
    BidCalendar,
    CancelInstance,
    Command,
    DefinitionId,
    Document,
    InstanceId,
    InstanceStatus,
    OpenElement,
    OpenTimer,
    Page,
    ProcessDefinition,
    ProcessInstance,
    ResumeInstance,
    SetVariables,
    StartEvent,
    StartInstance,
    SuspendInstance,
    TokenId,
    Values,
    WaitingJob,
    make_process_instance,
)
from engine.service.archives import Record
from engine.service.calendars import latest, of_row, read
from engine.service.forms import given_reason, line, shown_to, storable, unsealed
from engine.service.observed import observed
from engine.service.runtime import Compiled, Runtime
from engine.service.sight import DATA
from engine.service.turn import Turn
from engine.store import calendars, chain, definitions, instances, jobs, keep, people, tasks
from engine.store.database import Session, instant, instant_or_none, micros
from engine.store.instances import InstanceRow

_SEARCH = 200  #: characters; SQLite refuses patterns beyond some size


class Instances:
    """Commands and queries on process instances."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database

    # -- starting
    def startable(self, actor: Actor) -> tuple[ProcessDefinition, ...]:
        """Return the newest version of every process that the actor may start, by name."""
        with self._database.reading() as session:
            found = [
                d for d in definitions.newest(session) if d.info.startable and access.may_start(actor, d.info.starter_groups)
            ]
        return tuple(sorted(found, key=lambda d: (d.name, d.key)))

    def start_form(self, actor: Actor, key: str) -> tuple[Form | None, Values]:
        """Return the form that starting a process asks for, and the values it begins with.

        Raises:
            NotFound: no such process.
            AccessDenied: the actor may not start it.
        """
        with self._database.reading() as session:
            definition = self._startable(session, actor, key)
            form = self._runtime.definitions.form(session, definition.info.start_form, definition.deployment_id)
        form = unsealed(shown_to(actor, form))
        return form, form.initial({}) if form is not None else {}

    def start_events(self, actor: Actor, key: str) -> tuple[StartEvent, ...]:
        """Return the none start events of a process; of several, `start` has to be told which.

        Raises:
            NotFound: no such process.
            AccessDenied: the actor may not start it.
        """
        with self._database.reading() as session:
            self._startable(session, actor, key)
            compiled = self._runtime.definitions.current(session, key, None)
        return tuple(StartEvent(id=id, name=compiled.names.get((key, id), id)) for id in compiled.definition.root.none_starts)

    @observed("instance.start")
    def start(
        self, actor: Actor, key: str, variables: Values | None = None, *, business_key: str = "", title: str = "",
        version: int | None = None, idempotency_key: str | None = None, start_event: str | None = None,
    ) -> ProcessInstance:  # fmt: skip
        """Start an instance of a process at its none start event.

        Args:
            variables: what the start form takes, checked by it; without a start form anything.
            title: for lists; by default the business key, else the name of the process.
            version: of the process; by default the newest.
            idempotency_key: a second call with the same key gives the first call's instance and starts nothing.
            start_event: element id of the none start event, where a process has several. Who mends incidents may name any start
                event: the instance begins there as if the event had happened.

        Raises:
            NotFound: no such process, version or start event.
            AccessDenied: the actor may not start it, or not there.
            InvalidValues: the start form refuses `variables`.
            AmbiguousStart: there are several none start events and none was named.
        """
        title, business_key = line("title", title), line("business_key", business_key)

        def given(session: Session, compiled: Compiled) -> Values:
            definition = compiled.root
            access.require_start(actor, definition.name, definition.info.starter_groups)
            if start_event is None and not definition.info.startable:
                raise AccessDenied(action=f"发起“{definition.name}”", reason="该流程只由消息或其他流程启动。")
            if start_event is not None and start_event not in compiled.definition.root.none_starts:
                access.require(actor, "mend incidents")
            return self._accepted(session, actor, definition, variables or {})

        begun = self._begin(
            actor, key, given, business_key=business_key, title=title, version=version, idempotency_key=idempotency_key,
            start_event=start_event,
        )  # fmt: skip
        if isinstance(begun, int):
            return self._get(begun)
        row, root = begun.after, begun.compiled.root
        return make_process_instance(
            id=InstanceId(row.id), definition_id=root.id, key=key, definition_version=root.version, name=root.name,
            title=row.title, business_key=row.business_key, status=InstanceStatus(row.status), version=row.version,
            started_at=instant(row.started_at), started_by=row.started_by, ended_at=instant_or_none(row.ended_at), outcome=row.outcome,
            open_incident_count=begun.opened_incident_count,
        )  # fmt: skip

    def _accepted(self, session: Session, actor: Actor, definition: ProcessDefinition, raw: Values) -> Values:
        """Return what the start form of a process accepts; without one, anything that can be stored.

        Raises:
            InvalidValues
        """
        if definition.info.start_form is None:
            return storable(raw)
        form = self._runtime.definitions.form(session, definition.info.start_form, definition.deployment_id)
        form = unsealed(shown_to(actor, form))
        if form is None:
            return storable(raw)
        return form.accept(
            raw, variables={}, now=self._runtime.clock.now(), zone=self._runtime.settings.time_zone, by=actor.name or actor.id,
            people=partial(people.everybody, session),
        )

    def _startable(self, session: Session, actor: Actor, key: str) -> ProcessDefinition:
        definition = self._runtime.definitions.process(session, key)
        if definition is None:
            raise NotFound(what="流程 (process)", id=key)
        access.require_start(actor, definition.name, definition.info.starter_groups)
        return definition

    def begin(
        self, actor: Actor, key: str, values: Values, *, business_key: str = "", title: str = "", version: int | None = None,
        idempotency_key: str | None = None, start_event: str | None = None, trigger: str | None = None, due_at: datetime | None = None,
        skipped: int = 0, scope: str | None = None,
    ) -> InstanceId:  # fmt: skip
        """Start an instance without asking who may: for `start`, and for messages and signals that start one.

        Args:
            start_event: element that the message, signal or timer starts it at; by default the none start event.
            trigger, due_at, skipped: as in `StartInstance`.
            scope: of the idempotency key; by default the actor's starts.
        """
        begun = self._begin(
            actor, key, lambda session, compiled: values, business_key=business_key, title=title, version=version, idempotency_key=idempotency_key,
            start_event=start_event, trigger=trigger, due_at=due_at, skipped=skipped, scope=scope,
        )  # fmt: skip
        return begun if isinstance(begun, int) else InstanceId(begun.row.id)

    def _begin(
        self, actor: Actor, key: str, given: Callable[[Session, Compiled], Values], *, business_key: str, title: str, version: int | None,
        idempotency_key: str | None, start_event: str | None, trigger: str | None = None, due_at: datetime | None = None,
        skipped: int = 0, scope: str | None = None,
    ) -> Turn | InstanceId:  # fmt: skip
        """Return the turn that started the instance, or the id of the one that was started under this key before.

        Args:
            given: gives the variables it starts with, or refuses.
        """
        scope = scope or f"start:{actor.id}:{key}"

        def make(session: Session) -> tuple[Turn | None, Turn | InstanceId]:
            if version is not None and not 0 < version < 1 << 31:
                raise NotFound(what="流程 (process)", id=f"{key} v{version}")
            compiled = self._runtime.definitions.current(session, key, version)
            values = given(session, compiled)
            if idempotency_key is not None:
                before = instances.idempotent_answer(session, scope, idempotency_key)
                if before is not None and before[0] is not None:
                    return None, InstanceId(before[0])
            at = self._runtime.clock.now()
            row = self._new_row(compiled, actor, business_key, title, micros(at))
            turn = Turn(self._runtime, session, compiled, row, actor, at)
            if idempotency_key is not None:
                turn.use_key(scope, idempotency_key, row.id)
            turn.step(StartInstance(
                variables=values, business_key=business_key, start_event=start_event, trigger=trigger, due_at=due_at, skipped=skipped,
            ))  # fmt: skip
            return turn, turn

        return self._runtime.create(make)

    def _new_row(self, compiled: Compiled, actor: Actor, business_key: str, title: str, at: int) -> InstanceRow:
        id = self._runtime.database.new_id()
        return InstanceRow(
            id=id,
            definition_id=compiled.root.id,
            bundle_id=compiled.bundle_id,
            key=compiled.root.key,
            title=title.strip() or business_key.strip() or compiled.root.name,
            business_key=business_key,
            status=InstanceStatus.ACTIVE.value,
            version=0,
            seq=0,
            head=history.genesis(id),
            subscriptions_mark=None,
            started_at=at,
            started_by=actor.id,
            ended_at=None,
            outcome=None,
            state=None,
        )

    # -- changing
    @observed("instance.cancel")
    def cancel(self, actor: Actor, id: InstanceId, reason: str) -> None:
        """End an instance before its time.

        Raises:
            AccessDenied, NotFound
            WrongState: it has ended already.
        """
        self._command(
            actor,
            id,
            CancelInstance(reason=given_reason(reason)),
            (InstanceStatus.ACTIVE, InstanceStatus.SUSPENDED),
            "取消",
            "cancelled",
        )

    @observed("instance.suspend")
    def suspend(self, actor: Actor, id: InstanceId, reason: str) -> None:
        """Let an instance stand still: tasks leave the inboxes, timers and handlers wait, durations do not run.

        Raises:
            AccessDenied, NotFound
            WrongState: it is not active.
        """
        self._command(actor, id, SuspendInstance(reason=given_reason(reason)), (InstanceStatus.ACTIVE,), "挂起", "suspended")

    @observed("instance.resume")
    def resume(self, actor: Actor, id: InstanceId) -> None:
        """Let a suspended instance go on; what became due meanwhile fires.

        Raises:
            AccessDenied, NotFound
            WrongState: it is not suspended.
        """
        self._command(actor, id, ResumeInstance(), (InstanceStatus.SUSPENDED,), "恢复", "resumed")

    def _command(
        self, actor: Actor, id: InstanceId, command: Command, allowed: tuple[InstanceStatus, ...], zh: str, en: str
    ) -> None:
        access.require_cancel(actor)

        def do(turn: Turn) -> None:
            require_status(turn, allowed, zh, en)
            turn.step(command)

        self._runtime.command(actor, id, do)

    @observed("instance.set_variables")
    def set_variables(self, actor: Actor, id: InstanceId, values: Values, reason: str, scope: TokenId | None = None) -> None:
        """Mend data: write variables of the instance, or of one of its sub-processes or called processes.

        Raises:
            AccessDenied, NotFound
            WrongState: it has ended.
        """
        access.require(actor, "mend incidents")
        values = storable(values)

        def do(turn: Turn) -> None:
            require_status(turn, (InstanceStatus.ACTIVE, InstanceStatus.SUSPENDED), "修改变量", "changed")
            turn.record(DataMended(scope=scope, names=tuple(sorted(values)), reason=given_reason(reason)))
            turn.step(SetVariables(values=values, scope=scope))

        self._runtime.command(actor, id, do)

    # -- looking
    def get(self, actor: Actor, id: InstanceId) -> ProcessInstance:
        """Return an instance.

        Raises:
            NotFound: there is none of this id, or the actor may not see it.
        """
        found = self._get(id)
        self.require_sight(actor, found)
        return found

    def _get(self, id: InstanceId) -> ProcessInstance:
        with self._database.reading() as session:
            found = instances.get(session, id) or keep.get(session, id)
        if found is None:
            raise NotFound(what="流程实例 (process instance)", id=id)
        return found

    def require_sight(self, actor: Actor, instance: ProcessInstance) -> None:
        """Raise `AccessDenied` unless the actor may see the instance."""
        if access.may(actor, "see every instance") or instance.started_by == actor.id:
            return
        with self._database.reading() as session:
            stub = None if instance.archived_in is None else keep.stub(session, instance.id)
            people, groups = instances.participants(session, instance.id) if stub is None else (stub.participants, stub.candidate_groups)
        if not access.may_see_instance(actor, started_by=instance.started_by, participants=people, groups=groups):
            raise AccessDenied(action=f"查看“{instance.title}”", reason="您没有参与该流程实例。")

    def list(
        self, actor: Actor, *, key: str | None = None, status: InstanceStatus | str | None = None, search: str = "", limit: int = 50,
        before: str | None = None,
    ) -> Page[ProcessInstance]:  # fmt: skip
        """Return instances that the actor may see, newest first.

        Args:
            status: ``archived`` gives those that were moved into archive files, and they alone.
            search: anywhere in title or business key, capitals or not.
            before: `Page.next` of the page before.
        """
        limit, search = max(1, min(limit, 500)), search[:_SEARCH]
        only = None if access.may(actor, "see every instance") else (actor.id, tasks.principals(actor))
        with self._database.reading() as session:
            found = keep.find(
                session, key=key, search=search, before=_number(before), limit=limit + 1,
                only=None if only is None else (actor.id, actor.groups),
            ) if status == ARCHIVED else instances.find(
                session,
                key=key,
                status=None if status is None else InstanceStatus(status).value,
                search=search,
                before=_number(before),
                limit=limit + 1,
                only=only,
            )
        return Page(items=tuple(found[:limit]), next=str(found[limit - 1].id) if len(found) > limit else None)

    def variables(self, actor: Actor, id: InstanceId, scope: TokenId | None = None) -> Values:
        """Return what is visible in the instance, or from inside one of its sub-processes or called processes.

        Amounts are hidden from who may not read them, results of blind tasks from everybody else until all who are blind are done.

        Raises:
            AccessDenied, NotFound
        """
        access.require(actor, "see variables")
        with self._database.reading() as session:
            row = instances.load(session, id)
            if row is None and not keep.is_archived(session, id):
                raise NotFound(what="流程实例 (process instance)", id=id)
            sight, blind = self._runtime.sights.of(session, actor, id), frozenset[str]()
            if row is not None and row.state is not None:
                definition = self._runtime.definitions.compiled(session, row.bundle_id).definition
                found = visible_variables(definition, row.state, scope)
                blind = sight.blind_names(definition, row.state, scope)
            else:
                found = history.fold(self._recorded(session, id)).variables.get(scope, {})
            return sight.hide(found, blind)

    def history(self, actor: Actor, id: InstanceId, *, after: int = 0, limit: int | None = None) -> tuple[Recorded, ...]:
        """Return the events of an instance in their order; data of others' deeds is left out for those who may not see variables.

        Amounts are hidden from who may not read them, results of blind tasks from everybody else until all who are blind are done.

        Raises:
            AccessDenied, NotFound
        """
        self.get(actor, id)
        with self._database.reading() as session:
            sight = self._runtime.sights.of(session, actor, id)
            found = tuple(sight.recorded(r) for r in self._recorded(session, id, after=after, limit=limit))
        if access.may(actor, "see variables"):
            return found
        return tuple(r if r.actor == actor.id else replace(r, event=_without_data(r.event)) for r in found)

    def bid_calendar(self, actor: Actor, id: InstanceId) -> BidCalendar | None:
        """Return the dates of the tender that the instance is about, or None. Whoever sees the instance sees them.

        Raises:
            AccessDenied, NotFound
        """
        instance = self.get(actor, id)
        with self._database.reading() as session:
            row, record = calendars.get(session, id), None if instance.archived_in is None else self._archived(session, id)
        if record is None:
            return None if row is None else of_row(row)
        found = latest(history.restored(r for entry in record.entries for r in history.unseal(id, entry)))
        return None if found is None else read(id, instance.title, *found)

    def bid_calendars(self, actor: Actor) -> tuple[BidCalendar, ...]:
        """Return the dates of every active tender that the actor may see, the newest tender first."""
        only = None if access.may(actor, "see every instance") else (actor.id, tasks.principals(actor))
        with self._database.reading() as session:
            return tuple(of_row(row) for row in calendars.active(session, only))

    def explain(self, actor: Actor, id: InstanceId, seq: int) -> Explained:
        """Return why an event went as it did: the parts of its condition, expression or decision with their values of then.

        Amounts are hidden from who may not read them, results of blind tasks from everybody else until all who are blind are done.

        Args:
            seq: of an event that took a flow by a condition (or by default), was null, or evaluated a decision.

        Raises:
            AccessDenied
            NotFound: no such event, nothing was computed there, or what it was computed from is not all in the history (erased;
                counters of loops).
        """
        self.get(actor, id)
        access.require(actor, "see variables")
        nothing = NotFound(what="可以解释的记录 (event that can be explained)", id=seq)
        with self._database.reading() as session:
            bundle_id = self._bundle_id(session, id)
            history_then = list(self._recorded(session, id, limit=seq)) if 0 < seq < 1 << 31 else []
            if bundle_id is None or not history_then or (last := history_then.pop()).seq != seq or last.erased:
                raise nothing
            event = last.event
            if not isinstance(event, FlowTaken | ExpressionWasNull | DecisionEvaluated):
                raise nothing
            variables = event.inputs if isinstance(event, DecisionEvaluated) else history.seen_by(history_then, event.token)
            definition = self._runtime.definitions.compiled(session, bundle_id).definition
            try:
                found = explain(definition, event, variables, last.at)
            except (FeelLimit, TypeError, ValueError):
                raise nothing from None
            if found is None:
                raise nothing
            return self._runtime.sights.of(session, actor, id).explained(found, variables)

    def export(self, actor: Actor, id: InstanceId) -> Iterator[bytes]:
        """Give an instance's history as JSON lines: chain, payload, salts. `docs/verify_export.py` verifies them offline.

        Payloads that hold amounts, or results of blind tasks, are left out, as if erased, for who may not read them (yet).

        Raises:
            AccessDenied, NotFound
        """
        access.require(actor, "see variables")
        self._get(id)

        def lines() -> Iterator[bytes]:
            with self._database.snapshot() as session:
                sight = self._runtime.sights.of(session, actor, id)
                for instance, seq, head in chain.heads(session, id):
                    entries = (history.Entry(*row) for row in chain.read(session, instance))
                    yield from history.export(instance, sight.seal_off(entries), seq, head)
                    return
                record = self._archived(session, id)
                if record is not None:
                    yield from history.export(id, sight.seal_off(record.entries), record.seq, record.head)

        return lines()

    def diagrams(self, actor: Actor, id: InstanceId) -> tuple[ProcessDefinition, ...]:
        """Return the definition of the instance and of the processes that it called, in the order in which they first ran.

        Raises:
            AccessDenied, NotFound
        """
        instance = self.get(actor, id)
        ran: dict[str, None] = {instance.key: None}
        with self._database.reading() as session:
            bundle_id = self._bundle_id(session, id)
            assert bundle_id is not None
            processes = self._runtime.definitions.compiled(session, bundle_id).processes
            if len(processes) > 1:
                for recorded in self._recorded(session, id):
                    process = getattr(recorded.event, "process", None)
                    if process is not None:
                        ran[process] = None
        return tuple(processes[key] for key in ran if key in processes)

    def documents(self, actor: Actor, id: InstanceId) -> tuple[Document, ...]:
        """Return the files of an instance, oldest first.

        Raises:
            AccessDenied, NotFound
        """
        self.get(actor, id)
        with self._database.reading() as session:
            record = self._archived(session, id)
            found = tasks.documents(session, instance_id=id) if record is None else record.documents
            return tuple(self._runtime.sights.of(session, actor, id).readable(found))

    def tokens(self, actor: Actor, id: InstanceId) -> tuple[OpenElement, ...]:
        """Return where the instance stands: every live token, the oldest first; none once it has ended.

        Raises:
            AccessDenied, NotFound
        """
        self.get(actor, id)
        with self._database.reading() as session:
            row = instances.load(session, id)
            if row is None or row.state is None:
                return ()
            return open_elements(self._runtime.definitions.compiled(session, row.bundle_id).definition, row.state)

    def timers(self, actor: Actor, id: InstanceId) -> tuple[OpenTimer, ...]:
        """Return what will fire by itself, the next first.

        Raises:
            AccessDenied, NotFound
        """
        self.get(actor, id)
        with self._database.reading() as session:
            return tuple(jobs.timers(session, id))

    def work(self, actor: Actor, id: InstanceId) -> tuple[WaitingJob, ...]:
        """Return the machine work that is not done: waiting, running, failed.

        Raises:
            AccessDenied, NotFound
        """
        self.get(actor, id)
        with self._database.reading() as session:
            sight = self._runtime.sights.of(session, actor, id)
            return tuple(sight.job(w) for w in jobs.waiting(session, id))

    # -- where the history is
    def _archived(self, session: Session, id: int) -> Record | None:
        stub = keep.stub(session, id)
        return None if stub is None else self._runtime.archives.record(stub)

    def archived(self, id: InstanceId) -> Record | None:
        """Return an instance as its archive file has it; None: it is not archived."""
        with self._database.reading() as session:
            return self._archived(session, id)

    def _bundle_id(self, session: Session, id: int) -> int | None:
        found = instances.load(session, id) or keep.stub(session, id)
        return None if found is None else found.bundle_id

    def _recorded(self, session: Session, id: int, *, after: int = 0, limit: int | None = None) -> tuple[Recorded, ...]:
        """Return the events of an instance, with what erasures left of their payloads."""

        def unsealed(after: int) -> Iterator[Recorded]:
            rows = chain.read(session, id, after=after)
            return joined.from_iterable(history.unseal(id, history.Entry(*row)) for row in rows)

        found = tuple(islice((r for r in unsealed(after) if r.seq > after), limit))
        if found and not any(r.erased for r in found):
            return found
        record = None if found else self._archived(session, id)
        if not found and record is None:
            return ()
        whole = unsealed(0) if record is None else (r for entry in record.entries for r in history.unseal(id, entry))
        return tuple(islice((r for r in history.restored(whole) if r.seq > after), limit))

    def definition(self, actor: Actor, id: InstanceId) -> DefinitionId:
        """Return the id of the definition that the instance is pinned to."""
        return self.get(actor, id).definition_id


def require_status(turn: Turn, allowed: tuple[InstanceStatus, ...], zh: str, en: str) -> None:
    """Raise `WrongState` unless the turn's instance is in one of `allowed`."""
    if turn.status not in allowed:
        raise WrongState(what="流程实例", id=turn.row.id, state=turn.status.value, action=zh, action_en=en)


def _without_data(event: Event) -> Event:
    hidden: dict[str, Any] = {name: None if name == "result" else {} for name in DATA if name in event.payload}
    return replace(event, **hidden) if hidden else event


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 19 else None
