"""One command on one process instance: the core steps in memory, the service adds its own facts, the rows follow from both.

User tasks, incidents, jobs, timers and subscriptions are written from the same events and lists that the core gave, in the one
transaction whose first statement is the version check. Nothing here asks the clock: a turn has one instant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from itertools import compress, repeat
from typing import TYPE_CHECKING, Any

from engine import events as e
from engine import history
from engine.bpmn import KEYED, Answer, Run, answered, fits
from engine.clock import IdIssuer
from engine.errors import BpmnError
from engine.events import EVENT_TYPES, Event
from engine.feel import codec
from engine.handler import Job, make_job
from engine.model import (
    SYSTEM,
    Actor,
    Command,
    CompleteJob,
    CorrelateMessage,
    InstanceStatus,
    JobKind,
    JobState,
    NewJob,
    Step,
    Subscription,
    SubscriptionKind,
    TaskState,
    ThrowBpmnError,
    ThrownEvent,
    Timer,
    TokenId,
    complete_job,
)
from engine.service import reminders
from engine.service.calendars import CALENDAR, in_values
from engine.service.lately import Lately
from engine.service.outside import Errands
from engine.service.retries import Retries, retries_of
from engine.store import calendars, chain, instances, jobs, messages, tasks
from engine.store.database import Missed, Row, Session, instant_or_none, micros, micros_or_none
from engine.store.instances import InstanceRow
from engine.store.jobs import JobRow, NewIncident
from engine.store.messages import KeptMessage
from engine.store.tasks import Found

if TYPE_CHECKING:
    from engine.service.runtime import Compiled, Runtime

_ENDED = (InstanceStatus.COMPLETED, InstanceStatus.CANCELLED)
_STATUS = {status.value: status for status in InstanceStatus}
_INLINE = ("none", "database")
#: Facts with which the incident of a job or timer ends.
_WITH_INCIDENTS = (e.JobCancelled, e.TimerCancelled, e.TimerFired)
#: Facts by which user tasks come to stand still or go on.
_SUSPENDING = frozenset([e.ScopeSuspended, e.ScopeResumed, e.InstanceResumed])
#: Facts of what is over, with which something of the service's own is over too.
_ENDING = frozenset([*_WITH_INCIDENTS, e.InstanceCancelled])


class Turn:
    """The work of one command on one instance.

    Args:
        run: of the instance as `row` says, awake; None: its state is read.
        is_plain: no job, timer or incident of the instance was ever written.

    Attributes:
        at: the turn's instant.
        refused: what the caller is told although the turn is written (a deadline was faster).
        made_work: jobs are due at once.
        after: the instance's row as it will be; the row as it was until `prepare`.
    """

    __slots__ = (  # a dict of more than thirty attributes is slow to fill, and to read
        "_checks", "_created", "_ended", "_entry", "_events", "_facts", "_failed_jobs", "_given", "_gone", "_ids", "_incident_jobs",
        "_jobs", "_keys", "_kinds", "_micros", "_new", "_outcome", "_rewriting", "_run", "_runtime", "_status", "_step",
        "_task_ids", "_timer_changes", "_waiting", "_was_plain", "_writes", "actor", "after", "at", "compiled", "made_work",
        "refused", "row", "session",
    )  # fmt: skip

    def __init__(
        self, runtime: Runtime, session: Session, compiled: Compiled, row: InstanceRow, actor: Actor, at: datetime,
        run: Run | None = None, *, is_plain: bool = False,
    ) -> None:  # fmt: skip
        self.session = session
        self.compiled = compiled
        self.row = row
        self.actor = actor
        self.at = at
        self._micros = micros(at)
        self.refused: Exception | None = None
        self.made_work = False
        self._runtime = runtime
        self._new = row.version == 0
        self._was_plain = is_plain or self._new
        if run is None or row.state is None:
            self._run = Run(compiled.definition, row.state, at)
        else:
            self._run = run
            run.go_on(row.state, at)
        self._step: Step | None = None
        self._status = _STATUS[row.status]
        self._outcome = row.outcome
        self._events: list[tuple[Event, Actor]] = []
        self._kinds: set[type[Event]] = set()  #: of the core's events
        self._facts: tuple[Event, ...] | None = None  #: once no more are added
        self._jobs: list[JobRow] = []
        self._gone: set[int] = set()  #: tokens of jobs that were cancelled
        self._failed_jobs: list[tuple[JobRow, str]] = []
        self._waiting: set[tuple[int, str, str]] | None = None
        self._checks: list[Callable[[Session], bool]] = []
        self._writes: list[Callable[[Session], object]] = []
        self._keys: list[tuple[str, str, int | None]] = []
        self._timer_changes: Mapping[TokenId, tuple[Timer, ...]] = {}
        self._rewriting = False
        self._incident_jobs: dict[int, int] = {}
        self._task_ids: dict[int, int] = {}
        self._created: dict[TokenId, Found] = {}  #: user tasks that this turn has written, by token; what became of others of them
        self._given: dict[TokenId, str | None] = {}
        self._ended: set[TokenId] = set()
        self._entry: Row | None = None
        self._ids: IdIssuer | None = None
        self.after = row

    # -- what a command does
    @property
    def status(self) -> InstanceStatus:
        return self._status

    @property
    def state(self) -> bytes | None:
        """The core's state as of now; None before the start and after the end."""
        if self._step is None:
            return self.row.state
        return None if self._step.status in _ENDED else self._step.state

    @property
    def _subscriptions(self) -> tuple[Subscription, ...] | None:
        return None if self._step is None else self._step.subscriptions

    @property
    def _suspended(self) -> frozenset[int]:
        return frozenset() if self._step is None or not self._step.suspended else frozenset(self._step.suspended)

    @property
    def opened_incident_count(self) -> int:
        """How many incidents this turn opens and leaves open."""
        kinds = list(map(type, self.facts))
        return kinds.count(e.IncidentOpened) - kinds.count(e.IncidentResolved)

    @property
    def facts(self) -> tuple[Event, ...]:
        """What this turn adds to the history, in order."""
        return self._facts if self._facts is not None else next(zip(*self._events, strict=False), ())

    @property
    def is_empty(self) -> bool:
        """True when nothing would be written."""
        return not (self._events or self._writes or self._keys or self._checks or self.state is not self.row.state)

    def record(self, event: Event, actor: Actor | None = None) -> None:
        """Add a fact of the service's own."""
        self._events.append((event, actor or self.actor))

    def require(self, check: Callable[[Session], bool]) -> None:
        """Let the transaction be given up (and the turn begun again) unless `check` holds within it."""
        self._checks.append(check)

    def also(self, write: Callable[[Session], object]) -> None:
        """Write something more in the same transaction."""
        self._writes.append(write)

    def use_key(self, scope: str, key: str, answer: int | None) -> None:
        """Write that a command is carried out under this key; somebody who used it before is found then, and the turn given up."""
        self._keys.append((scope, key, answer))

    def step(self, command: Command) -> Step:
        """Advance the core, run handlers that belong into the transaction, deliver messages that were kept for it."""
        step = self._advance(command)
        self._deliver_kept()
        return step

    def say_why(self, token: TokenId, reason: str) -> None:
        """Add a person's reason to the incident at `token` that this turn has resolved."""
        for n, (event, actor) in enumerate(self._events):
            if isinstance(event, e.IncidentResolved) and event.token == token:
                self._events[n] = replace(event, reason=reason), actor

    def know_task(self, token: TokenId, task_id: int) -> None:
        """Spare looking up the row of the task that this command is about."""
        self._task_ids[token] = task_id

    def link_incident(self, token: TokenId, job_id: int) -> None:
        """The incident that opens at `token` is about this job."""
        self._incident_jobs[token] = job_id

    def look(self) -> Step:
        """Return what the state says of itself, and let its rows be written anew whatever stands in them."""
        self._step = self._run.look()
        self._rewriting = True
        return self._step

    def _new_id(self) -> int:
        ids = self._ids
        if ids is None:
            ids = self._ids = self._runtime.database.ids()
        return ids.next(self.at)

    # -- the core
    def _advance(self, command: Command) -> Step:
        step = self._step = self._run.do(command, self._serve)
        events: Sequence[Any] = step.events
        actor = SYSTEM if step.refused is not None else self.actor
        if step.told:
            actors = [actor] * len(events)
            for n in step.told:
                actors[n] = SYSTEM
            self._events += zip(events, actors, strict=False)
        else:
            self._events += zip(events, repeat(actor), strict=False)
        self._status, self._outcome = step.status, step.outcome
        kinds = set(map(type, events))
        self._kinds |= kinds
        if not kinds.isdisjoint(_ENDING):
            self._followed(events, kinds, actor)
        self.refused = self.refused or step.refused
        if step.thrown:
            self._throw(step.thrown)
        for new in step.jobs:
            if new.token not in self._gone:
                handler = self._runtime.handlers.named(new.type)
                self._jobs.append(self._job_row(new, self._new_id(), retries_of(new.retries, handler)))
                self.made_work = True
        return step

    def _followed(self, events: Sequence[Any], kinds: set[type[Event]], actor: Actor) -> None:
        """Let what belongs to a job or timer go with it, and know why the instance was cancelled."""
        if not kinds.isdisjoint(_WITH_INCIDENTS):
            for gone in {g.token: g for g in events if isinstance(g, _WITH_INCIDENTS)}.values():
                # the core does not know of the incident of a job: it goes with its job
                if gone.token in self._incident_jobs or jobs.has_incident(self.session, self.row.id, gone.token):
                    place: dict[str, Any] = {"process": gone.process, "element": gone.element, "token": gone.token}
                    kind = "handler" if isinstance(gone, e.JobCancelled) else "timer"
                    self.record(
                        e.IncidentResolved(**place, kind=kind, reason="" if isinstance(gone, e.TimerFired) else "cancelled"), actor
                    )
            self._gone.update(event.token for event in events if isinstance(event, e.JobCancelled))
        if e.InstanceCancelled in kinds:
            self._outcome = next(event.reason for event in events if isinstance(event, e.InstanceCancelled))

    def _throw(self, events: Iterable[ThrownEvent]) -> None:
        """Send on their way the messages and signals that nobody in this instance has caught."""
        for thrown in events:
            body = codec.dump(
                {
                    "kind": thrown.kind.value, "name": thrown.name, "key": thrown.correlation_key, "payload": dict(thrown.payload),
                    "process": thrown.process, "element": thrown.element, "leaves": thrown.leaves,
                }
            )  # fmt: skip
            self.outbox(JobKind.EVENT, thrown.name, body)

    def _job_row(self, new: NewJob, id: int, retries: Retries, attempts: int = 0) -> JobRow:
        return JobRow(
            id=id,
            kind=JobKind.SERVICE.value,
            instance_id=self.row.id,
            token=new.token,
            process=new.process,
            element=new.element,
            type=new.type,
            due_at=self._micros,
            attempts=attempts,
            retries=retries.count,
            backoff=retries.backoff // timedelta(microseconds=1),
            fence=0,
            body=codec.dump({"values": dict(new.values), "properties": dict(new.properties)}),
        )

    def _serve(self, new: NewJob) -> Answer | None:
        """Run a handler whose effect is nothing outside, as a part of this turn: exactly once, as the turn is."""
        runtime = self._runtime
        handler = runtime.handlers.named(new.type)
        if handler is None or handler.effect not in _INLINE:
            return None
        id = self._new_id()
        errands = Errands(runtime, self.session, key=str(id), instance_id=self.row.id, at=self.at, inside=True, actor=self.actor)
        try:
            values = dict(handler.run(self.job_for(new, new.values, new.properties, attempt=1, errands=errands)) or {})
            codec.check(values)
        except BpmnError as error:
            thrown = ThrowBpmnError(token=new.token, code=error.code, message=error.message)
            return answered(command=thrown, facts=self._errands_done(errands, new))
        except Exception as error:  # noqa: BLE001  a handler's author may raise anything; it becomes a job, tried again
            retries = retries_of(new.retries, handler)
            row = self._job_row(new, id, retries, attempts=1)
            return answered(command=None, facts=self._failure(row, f"{type(error).__name__}: {error}", retries))
        completed = e.job_completed(
            process=new.process, element=new.element, token=new.token, job_type=new.type, attempt=1, values=values
        )
        facts = [*self._errands_done(errands, new), completed] if errands.did_something else [completed]
        return answered(command=complete_job(token=new.token, values=values), facts=facts)

    def job_for(self, row: JobRow | NewJob, values: Any, properties: Any, *, attempt: int, errands: Errands) -> Job:
        """Return what a handler sees of a job."""
        return make_job(
            key=errands.key,
            type=row.type,
            attempt=attempt,
            instance_id=self.row.id,
            business_key=self.row.business_key,
            title=self.row.title,
            process=row.process,
            element=row.element,
            element_name=self.element_name(row.process, row.element),
            values=values,
            properties=properties,
            at=self.at,
            outside=errands,
        )

    def element_name(self, process: str, element: str) -> str:
        """Return the label of an element as drawn, or its id."""
        return self.compiled.names.get((process, element)) or element

    def _errands_done(self, errands: Errands, row: JobRow | NewJob) -> list[Event]:
        """Write what a handler sent, whatever becomes of its job: what is remembered is not sent again. Return the facts of it."""
        self._writes += errands.writes()
        return errands.events(row.process, row.element)

    def take_errands(self, errands: Errands, row: JobRow) -> None:
        """Write and record what a handler sent, whatever becomes of its job."""
        for event in self._errands_done(errands, row):
            self.record(event, SYSTEM)

    def job_done(self, row: JobRow, values: dict[str, Any], errands: Errands) -> None:
        """A worker finished a job that it holds: the token goes on, and the row goes."""
        assert row.token is not None
        self.require(lambda tx: jobs.finish(tx, row.id, row.fence))
        self.take_errands(errands, row)
        self.record(
            e.JobCompleted(
                process=row.process,
                element=row.element,
                token=TokenId(row.token),
                job_type=row.type,
                attempt=row.attempts,
                values=values,
            )
        )
        self.step(CompleteJob(token=TokenId(row.token), values=values))

    def job_threw(self, row: JobRow, error: BpmnError, errands: Errands) -> None:
        """A handler raised a BPMN error: the diagram catches it, or an incident opens."""
        assert row.token is not None
        self.require(lambda tx: jobs.finish(tx, row.id, row.fence))
        self.take_errands(errands, row)
        self.step(ThrowBpmnError(token=TokenId(row.token), code=error.code, message=error.message))

    def job_failed(self, row: JobRow, message: str, retries: Retries, errands: Errands | None = None) -> None:
        """A handler raised anything else: it is tried again later, or becomes an incident. `row.attempts` counts this one."""
        if errands is not None:
            self.take_errands(errands, row)
        for event in self._failure(row, message, retries):
            self.record(event, SYSTEM)

    def _failure(self, row: JobRow, message: str, retries: Retries) -> list[Event]:
        """Let a job's row say that it failed; return the facts of it."""
        assert row.token is not None
        again = retries.next_at(self.at, row.attempts, key=str(row.id))
        place: dict[str, Any] = {"process": row.process, "element": row.element, "token": TokenId(row.token)}
        facts: list[Event] = [e.JobFailed(**place, job_type=row.type, attempt=row.attempts, message=message, retry_at=again)]
        if row.fence == 0:  # failed within the turn that made it: the row is written now
            if again is not None:
                self._jobs.append(row._replace(due_at=micros(again)))
            else:
                self._failed_jobs.append((row, message))
        elif again is not None:
            due_at = micros(again)
            self.require(lambda tx: jobs.retry_at(tx, row.id, row.fence, due_at=due_at, error=message))
        else:
            self.require(lambda tx: jobs.fail(tx, row.id, row.fence, message))
        if again is None:
            self.link_incident(TokenId(row.token), row.id)
            facts.append(e.IncidentOpened(**place, kind="handler", message=message))
        return facts

    def outbox(self, kind: JobKind, type: str, body: bytes) -> None:
        """Write a job that no token waits for: an event on its way to others, or something to tell people."""
        self._jobs.append(
            JobRow(
                id=self._new_id(),
                kind=kind.value,
                instance_id=self.row.id,
                token=None,
                process=self.row.key,
                element="",
                type=type,
                due_at=self._micros,
                attempts=0,
                retries=8,
                backoff=30_000_000,
                fence=0,
                body=body,
            )
        )
        self.made_work = True

    def _deliver_kept(self) -> None:
        """Give the tokens that wait for a message since this turn what was kept for them."""
        given: dict[tuple[str, str], int] = {}  # the last one of a name and key; it is deleted only when this turn is written
        while self._subscriptions and self._status is InstanceStatus.ACTIVE:
            if self._waiting is None:
                before = (
                    [] if self._new or self.row.subscriptions_mark is None else messages.of_instance(self.session, self.row.id)
                )
                self._waiting = {(s.token, s.name, s.correlation_key) for s in before}
            fresh = [
                s
                for s in self._subscriptions
                if s.kind is SubscriptionKind.MESSAGE and (s.token, s.name, s.correlation_key) not in self._waiting
            ]
            if not fresh:
                return
            s = fresh[0]
            self._waiting.add((s.token, s.name, s.correlation_key))
            after = max(given.get((s.name, key), 0) for key in keys_of_wait(s, self._subscriptions))
            found = kept_for(self.session, s, self._subscriptions, self._micros, after=after)
            if found is None:
                # one that arrives before this turn is written must not be missed
                self.require(partial(_none_kept, s, self._subscriptions, self._micros, after))
                continue
            for key in {s.correlation_key, *found.keys}:
                given[s.name, key] = found.id
            refused, self.refused = self.refused, None
            self._advance(CorrelateMessage(name=s.name, token=s.token, payload=codec.load(found.body)))
            if self.refused is None:
                self.require(partial(_taken, found.id))
            self.refused = refused  # a message that comes too late is no matter of the caller's, and stays kept

    # -- writing
    def prepare(self) -> None:
        """Seal the events and compute the new row, before the transaction begins."""
        row = self.row
        seq, head = row.seq, row.head
        self._facts = self.facts
        if self._events:
            entry = history.seal(self._events, seq=seq, at=self.at, head=head)
            seq, head = entry.seq, entry.hash
            self._entry = chain.prepared(row.id, seq, entry.body, head, entry.commitment, entry.salt, entry.payloads)
        ended = self._status in _ENDED
        subscriptions_mark = None if ended else row.subscriptions_mark
        if self._step is not None:
            self._timer_changes = self._step.timer_changes
            if not ended:
                subscriptions_mark = mark_of(self._step.subscriptions)
        self.after = row._replace(
            status=self._status.value,
            version=row.version + 1,
            seq=seq,
            head=head,
            subscriptions_mark=subscriptions_mark,
            ended_at=self._micros if ended and row.ended_at is None else row.ended_at,
            outcome=self._outcome if ended else None,
            state=self.state,
        )

    def write_alone(self, tx: Session) -> None:
        """Do `write` in a transaction that nothing else is written in."""
        if tx.joins and self._is_apart():
            tx.apart()
        self.write(tx)

    def write(self, tx: Session) -> None:
        """Write everything that followed.

        Raises:
            Missed: here or at the end of the transaction: the instance, or something that `require` named, has changed.
        """
        row = self.after
        if self._new:
            instances.insert(tx, row)
        else:
            instances.update(tx, row, was=self.row)
            if row.state is not self.row.state:
                instances.update_state(tx, row.id, row.state)
        for check in self._checks:
            if not check(tx):
                raise Missed
        if self._entry is not None:
            chain.append(tx, self._entry)
        suspended = self._status is InstanceStatus.SUSPENDED
        if self._jobs:
            jobs.insert(tx, self._jobs, held=suspended)
            if self._runtime.settings.dispatch == "procrastinate":
                jobs.offer(tx, (j for j in self._jobs if not suspended and j.due_at <= self._micros))
        for failed, message in self._failed_jobs:
            jobs.insert(tx, [failed], held=suspended, state=JobState.FAILED, error=message)
        for event, actor in compress(self._events, map(_APPLIERS.__contains__, map(type, self.facts))):
            _APPLIERS[type(event)](self, tx, event, actor)
        if self._rewriting and self._step is not None:
            jobs.replace_timers(tx, row.id, [
                (t.token, t.process, t.element, micros(t.due_at), self._new_id())
                for t in {t.token: t for t in reversed(self._step.timers)}.values()
            ], held=suspended)  # fmt: skip
        for token, timers in self._timer_changes.items():
            if timers:  # an event may wait for several times: the others come when the soonest has fired
                soonest = timers[0]
                jobs.set_timer(
                    tx, self._new_id(), row.id, token, soonest.process, soonest.element, micros(soonest.due_at), held=suspended
                )
            else:
                jobs.drop_timer(tx, row.id, token)
        if row.subscriptions_mark != self.row.subscriptions_mark or self._rewriting:
            waiting = self._subscriptions or ()
            messages.replace(tx, row.id, waiting, [self._new_id() for _ in waiting])
        if self._status != self.row.status:
            self._status_changed(tx)
        self._suspend_tasks(tx)
        for scope, key, answer in self._keys:
            instances.use_key(tx, scope, key, answer, self._micros)
        for write in self._writes:
            write(tx)

    def _is_apart(self) -> bool:
        """True if no two of the writes touch one row: those of user tasks, each touched once, with entry, timers and subscriptions."""
        if self._checks or self._writes or self._jobs or self._failed_jobs or self._rewriting or self._suspended:
            return False
        if self._status is InstanceStatus.SUSPENDED or (self._status is not InstanceStatus.ACTIVE and self._timer_changes):
            return False
        touched = set[int]()
        for event, _ in self._events:
            if type(event) in _ROWLESS or (isinstance(event, e.UserTaskClaimed) and self._ends(event.token)):
                continue
            if isinstance(event, e.VariablesChanged) and CALENDAR not in event.values:
                continue
            if not isinstance(event, _OF_A_TASK) or event.token in touched:
                return False
            touched.add(event.token)
        return True

    def _status_changed(self, tx: Session) -> None:
        id = self.row.id
        if self._status is InstanceStatus.SUSPENDED:
            tasks.suspend(tx, id)
            jobs.hold(tx, id, True)
        elif self._status is InstanceStatus.ACTIVE:
            tasks.resume(tx, id)
            jobs.hold(tx, id, False)
        elif not self._is_plain:
            # the tasks of its tokens went with the events that say so
            jobs.cancel_all(tx, id)
            jobs.resolve_incidents(tx, id, None, at=self._micros, by=self.actor.id)

    @property
    def _is_plain(self) -> bool:
        """True if no job, timer or incident of the instance was ever written, nor is by this turn."""
        return self._was_plain and not (
            self._jobs or self._failed_jobs or self._timer_changes or e.IncidentOpened in map(type, self.facts)
        )

    def _suspend_tasks(self, tx: Session) -> None:
        """Let the tasks of suspended scopes stand still, those that came to be there in this turn among them."""
        if self._status in _ENDED:
            return
        made = e.UserTaskCreated in self._kinds
        if self._status is InstanceStatus.SUSPENDED:
            if made:
                tasks.suspend(tx, self.row.id)
        elif (made and self._suspended) or not self._kinds.isdisjoint(_SUSPENDING):
            tasks.set_suspended(tx, self.row.id, self._suspended)

    def remember(self, lately: Lately, before: Mapping[TokenId, Found]) -> None:
        """Let the rows be known that were written; see `Lately.keep`."""
        if not (self._writes or self._rewriting or self._suspended or self.is_empty):
            lately.keep(self.after, self._run, self._is_plain, map(type, self.facts), lambda: self._open_tasks(before))

    def _open_tasks(self, before: Mapping[TokenId, Found]) -> dict[TokenId, Found]:
        """Return the user tasks that are open after this turn, of those that were open before it and those that it created."""
        found = {token: each for token, each in before.items() if token not in self._ended}
        for token in self._given.keys() & found.keys():
            each = found[token]
            found[token] = replace(each, task=replace(each.task, assignee=self._given[token], version=each.task.version + 1))
        found.update((token, made) for token, made in self._created.items() if token not in self._ended)
        return found

    def write_task(self, tx: Session, event: e.UserTaskCreated) -> None:
        """Write the row of a task that the history tells of and that is not there."""
        self._task_created(tx, event, self.actor)

    # -- rows that follow from one event
    def _task_created(self, tx: Session, event: e.UserTaskCreated, actor: Actor) -> None:
        zone = self._runtime.settings.time_zone
        first = reminders.first(self.at, event.due_at, zone)
        process = self.compiled.processes.get(event.process)
        groups, users = ",".join(event.candidate_groups), ",".join(event.candidate_users)
        made = self._created[event.token] = tasks.created(
            self._new_id(),
            self.after,
            event.token,
            process=event.process,
            process_name=process.name if process is not None else event.process,
            element=event.element,
            name=event.name,
            form=event.form,
            assignee=event.assignee,
            groups=groups,
            users=users,
            properties=event.properties,
            priority=event.priority,
            at=self.at,
            due_at=event.due_at,
            deadline_at=event.deadline_at,
        )
        tasks.insert(
            tx, made, groups=groups, users=users, remind_at=None if first is None else micros(first.at),
            remind_stage=None if first is None else first.stage,
        )  # fmt: skip

    def _task_rescheduled(self, tx: Session, event: e.UserTaskRescheduled, actor: Actor) -> None:
        task = self._task(tx, event.token)
        if task is not None:
            created = instant_or_none(tasks.created_at(tx, task)) or self.at
            first = reminders.after(self.at, created, event.due_at, self._runtime.settings.time_zone)
            tasks.reschedule(
                tx,
                task,
                due_at=micros_or_none(event.due_at),
                deadline_at=micros_or_none(event.deadline_at),
                remind_at=None if first is None else micros(first.at),
                remind_stage=None if first is None else first.stage,
            )

    def _task_given(
        self, tx: Session, event: e.UserTaskClaimed | e.UserTaskAssigned | e.UserTaskReleased, actor: Actor
    ) -> None:
        task = None if self._ends(event.token) else self._task(tx, event.token)
        if task is not None:
            holder: str | None
            match event:
                case e.UserTaskAssigned():
                    holder = event.assignee
                case e.UserTaskClaimed():
                    holder = actor.id
                case _:
                    holder = None
            self._given[event.token] = holder
            tasks.give(tx, task, holder)

    def _ends(self, token: int) -> bool:
        """True if the task at `token` is completed in this turn: who took it is written with that."""
        return e.UserTaskCompleted in self._kinds and any(
            type(event) is e.UserTaskCompleted and event.token == token for event in self.facts
        )

    def _task_ended(self, tx: Session, event: e.UserTaskCompleted | e.UserTaskCancelled, actor: Actor) -> None:
        task = self._task(tx, event.token)
        if task is not None:
            completed = isinstance(event, e.UserTaskCompleted)
            state = TaskState.COMPLETED if completed else TaskState.CANCELLED
            self._ended.add(event.token)
            tasks.end(tx, task, state=state, at=self._micros, by=actor.id if completed else None)

    def _task(self, tx: Session, token: int) -> int | None:
        return self._task_ids.get(token) or tasks.open_task_id(tx, self.row.id, token)

    def _job_cancelled(self, tx: Session, event: e.JobCancelled, actor: Actor) -> None:
        jobs.cancel(tx, self.row.id, event.token)

    def _incident_opened(self, tx: Session, event: e.IncidentOpened, actor: Actor) -> None:
        jobs.open_incident(
            tx,
            NewIncident(
                id=self._new_id(),
                instance_id=self.row.id,
                token=event.token or None,
                job_id=self._incident_jobs.get(event.token),
                process=event.process,
                element=event.element,
                element_name=self.element_name(event.process, event.element),
                kind=event.kind,
                message=event.message,
                opened_at=self._micros,
            ),
        )

    def _incident_resolved(self, tx: Session, event: e.IncidentResolved, actor: Actor) -> None:
        jobs.resolve_incidents(tx, self.row.id, event.token, at=self._micros, by=actor.id)

    def _variables_changed(self, tx: Session, event: e.VariablesChanged, actor: Actor) -> None:
        if CALENDAR in event.values:
            body = in_values(event.values)
            if body is not None:
                calendars.put(tx, self.row.id, self._micros, body)


#: Which events write rows; the others are history alone.
_APPLIERS: dict[type[Event], Callable[[Turn, Session, Any, Actor], None]] = {
    e.UserTaskCreated: Turn._task_created,
    e.UserTaskRescheduled: Turn._task_rescheduled,
    e.UserTaskClaimed: Turn._task_given,
    e.UserTaskAssigned: Turn._task_given,
    e.UserTaskReleased: Turn._task_given,
    e.UserTaskCompleted: Turn._task_ended,
    e.UserTaskCancelled: Turn._task_ended,
    e.JobCancelled: Turn._job_cancelled,
    e.IncidentOpened: Turn._incident_opened,
    e.IncidentResolved: Turn._incident_resolved,
    e.VariablesChanged: Turn._variables_changed,
}
_OF_A_TASK = (e.UserTaskCreated, e.UserTaskClaimed, e.UserTaskAssigned, e.UserTaskReleased, e.UserTaskCompleted, e.UserTaskCancelled)
_ROWLESS = frozenset(EVENT_TYPES.values()) - _APPLIERS.keys()


def keys_of_wait(s: Subscription, all_of_instance: Iterable[Subscription]) -> frozenset[str]:
    """Return every correlation key by which the token of a subscription waits for its message."""
    return frozenset(
        other.correlation_key
        for other in all_of_instance
        if other.kind is s.kind and (other.token, other.name) == (s.token, s.name)
    )


def kept_for(
    session: Session, s: Subscription, all_of_instance: Sequence[Subscription], now: int, *, after: int = 0
) -> KeptMessage | None:
    """Return the oldest message kept for a subscription that is younger than the one with the id `after`, or None."""
    keyed = s.correlation_key.startswith(KEYED)
    while True:
        found = messages.kept(session, s, now, keyed=keyed, after=after)
        if found is None or not keyed or fits(keys_of_wait(s, all_of_instance), found.keys):
            return found
        after = found.id  # it has another value for one more key


def _none_kept(s: Subscription, all_of_instance: Sequence[Subscription], now: int, after: int, tx: Session) -> bool:
    messages.alone(tx, s.name)  # whoever keeps one now looks for receivers after this turn is written
    return kept_for(tx, s, all_of_instance, now, after=after) is None


def _taken(message_id: int, tx: Session) -> bool:
    return messages.take(tx, message_id)


def mark_of(subscriptions: Collection[Subscription]) -> int | None:
    """Return the digest of an instance's subscriptions that its row keeps, a signed 63-bit number; None for none."""
    if not subscriptions:
        return None
    waiting = [(s.token, s.kind.value, s.name, s.correlation_key, s.form, sorted(s.candidate_groups)) for s in subscriptions]
    return int.from_bytes(blake2b(repr(sorted(waiting, key=repr)).encode(), digest_size=8).digest(), "big") >> 1
