"""Machine work: timers fire, handlers run, thrown events and notifications go out, people are reminded, incidents are mended."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from engine import access
from engine import events as e
from engine.bpmn.timers import due_at
from engine.bpmn.timers import turn as turn_of
from engine.clock import token
from engine.errors import AmbiguousReceiver, BpmnError, EngineError, NotFound, WrongState
from engine.feel import codec
from engine.model import (
    SYSTEM,
    Actor,
    FireTimers,
    Incident,
    IncidentId,
    InstanceId,
    InstanceStatus,
    JobKind,
    RetryElement,
    SetVariables,
    TaskId,
    TaskState,
    TokenId,
    UserTask,
    Values,
)
from engine.service import outside, reminders
from engine.service.forms import storable
from engine.service.instances import Instances, require_status
from engine.service.messages import Messages
from engine.service.observed import observed
from engine.service.outside import Errands
from engine.service.retries import Retries
from engine.service.runtime import Runtime
from engine.service.turn import Turn
from engine.store import deliveries, instances, jobs, people, tasks
from engine.store.database import Session, instant, micros
from engine.store.jobs import JobRow
from engine.store.people import NewNotice

#: A message that was thrown and that nobody waits for yet is kept this long.
KEEP_THROWN = timedelta(days=30)
#: Who runs handlers for longer renews it.
LEASE = timedelta(minutes=1)
_LATE = timedelta(minutes=1)
#: So long may a mail or a message to a robot take.
_NOTIFYING = timedelta(minutes=2)
#: So many jobs are claimed in one go, and as many timers fire in one transaction.
_AT_ONCE = 50
#: A timer that a step did not fire though it was due is looked at again after this.
_UNFIRED = timedelta(seconds=30)
#: So often a worker may die over a job, beyond the attempts that the job has anyway, before a person has to look.
_DEATHS = 5
#: The clocks of two workers may differ by so much before one takes the other's leases for those of a clock that was set back.
_AHEAD = timedelta(hours=1)
#: A delivery to which nothing was done for so long is lost.
_LOST = timedelta(minutes=1)
#: A reminder that could not be told is tried again after this.
_AGAIN = timedelta(minutes=5)
_QUICK = (JobKind.TIMER.value, JobKind.EVENT.value)


Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False, kw_only=True)
class Work:
    """One run of a handler, or one notification, that this process has claimed.

    Attributes:
        until: it is given up then.
        is_over: it was given up or given back; what comes of it does not count.
        has_ended: its thread is through with it.
        is_lost: the job is somebody else's or was cancelled.
    """

    job: JobRow
    until: datetime
    errands: Errands
    is_over: bool = False
    has_ended: bool = False
    is_lost: bool = False


class _Stale(Exception):
    """The lease was over and the job is somebody else's now, or it was cancelled: what was done does not count."""


class Jobs:
    """Runs what is due, and lets people mend what failed."""

    def __init__(self, runtime: Runtime, of_instances: Instances, of_messages: Messages) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._instances = of_instances
        self._messages = of_messages
        self._worker = token()[:12]
        self._turns = itertools.count(1)
        self._served: dict[str, int] = {}  #: ``{type: when it last had a turn}``, counted by `_turns`

    # -- the dispatcher's
    def run_due(self, limit: int = 100) -> int:
        """Run what is due now: timers and thrown events first, then handlers and notifications, then reminders.

        Safe in any number of threads and processes at once. A failing job is tried again later; nothing is raised for it.

        Returns:
            How many jobs and reminders ran.
        """
        return self.run_quick(limit) + self.run_slow(limit)

    def run_quick(self, limit: int = 100, *, timers: bool = True) -> int:
        """Run what touches nothing outside: timers, thrown events, kept messages, reminders.

        Args:
            timers: False lets due timers wait for the next call, for whoever wants to see what happens before they fire.
        """
        kinds = _QUICK if timers else (JobKind.EVENT.value,)
        problems: list[Exception] = []
        _try(problems, self._reap)
        count = _try(problems, partial(self._run_claimed, kinds, limit)) or 0
        count += (_try(problems, self._messages.deliver_kept) or 0) + (_try(problems, partial(self._remind, limit)) or 0)
        if problems:  # one that cannot be done keeps no other waiting, and is told all the same
            raise problems[0]
        return count

    def run_due_timers(self) -> None:
        """Run timers and thrown events until none is due."""
        while self._run_claimed(_QUICK, 500):
            pass

    def keep_up(self) -> int:
        """Do what no delivery tells of: offer again what was lost, deliver kept messages, remind people; return how many."""
        problems: list[Exception] = []
        _try(problems, self._reap)
        _try(problems, self._sweep)
        count = (_try(problems, self._messages.deliver_kept) or 0) + (_try(problems, partial(self._remind, 500)) or 0)
        if problems:
            raise problems[0]
        return count

    def _sweep(self) -> None:
        with self._database.writing() as tx:
            deliveries.sweep(tx)

    def promote(self) -> int:
        """Tell procrastinate's workers of jobs whose time has come, a thousand at most; return how many those were."""
        now = self._runtime.clock.now()
        with self._database.writing() as tx:
            handed = deliveries.hand_over(tx, now=micros(now), lost_before=micros(now - _LOST), limit=1000)
            for queue in (deliveries.QUICK, deliveries.WORK):
                ids = [id for id, kind in handed if deliveries.queue_of(kind) == queue]
                # who comes for one timer takes all that are due
                deliveries.defer(tx, queue, ids[::_AT_ONCE] if queue == deliveries.QUICK else ids)
        return len(handed)

    def _run_claimed(self, kinds: tuple[str, ...], limit: int) -> int:
        count, problems = 0, list[Exception]()
        while count < limit:
            lease, claimed = self._claim(kinds, min(limit - count, _AT_ONCE))
            if not claimed:
                break
            count += len(claimed)
            firing: dict[int, list[JobRow]] = {}
            for job in claimed:
                if job.kind == JobKind.TIMER.value and job.instance_id is not None:
                    firing.setdefault(job.instance_id, []).append(job)
            if firing:
                _try(problems, partial(self._fire, firing, lease))
            routed: list[int] = []
            for job in claimed:
                if job.kind == JobKind.EVENT.value:
                    _try(problems, partial(self._attempt, job, partial(self._route, routed)))
                elif job.instance_id is None:
                    _try(problems, partial(self._attempt, job, self._start_on_time))
            if routed:
                with self._database.writing() as tx:  # dying before this delivers nothing twice: a job's id is the key
                    jobs.finish_all(tx, routed, lease)
        if problems:
            raise problems[0]
        return count

    def run_slow(self, limit: int = 100) -> int:
        """Run handlers and notifications, one after the other; each is claimed just before it runs."""
        count = 0
        while count < limit:
            taken = self.take_work(1)
            if not taken:
                break
            count += 1
            self.do_work(taken[0])
        return count

    # -- the pool's
    def take_work(self, slots: int, running: Mapping[str, int] = MappingProxyType({}), *, lease: timedelta | None = None) -> list[Work]:
        """Claim work for so many free threads, spread over the types that are due: no type keeps another waiting.

        Args:
            running: ``{type: runs}`` of the caller's own; the fewest of them come first, then who has waited longest for a turn.
            lease: at first, for who renews it; by default as long as a run may take.
        """
        now, handlers = self._runtime.clock.now(), self._runtime.handlers
        limits = {type: h.concurrency for type, h in handlers.items() if h.concurrency is not None}
        with self._database.reading() as session:
            types = [
                type for type in jobs.due_types(session, micros(now))
                if type not in limits or jobs.running_count(session, type) < limits[type]
            ]  # fmt: skip
        if not types or slots < 1:
            return []
        types.sort(key=lambda type: (running.get(type, 0), self._served.get(type, 0)))
        taken: list[Work] = []
        with self._database.writing() as tx:
            for type in sorted(limits.keys() & set(types)):  # in one order: nobody waits in a circle
                tx.alone(f"job type {type}")
            for n, type in enumerate(types):
                share = -(-(slots - len(taken)) // (len(types) - n))
                if type in limits:
                    share = min(share, limits[type] - jobs.running_count(tx, type))
                if share > 0:
                    longest = handlers[type].timeout if type in handlers else _NOTIFYING
                    claimed = jobs.claim_type(
                        tx, type, now=micros(now), lease_until=micros(now + (lease or max(LEASE, longest))), lease=self._new_lease(),
                        limit=share,
                    )  # fmt: skip
                    taken += [self._taken(job, now + longest) for job in claimed]
                    self._served[type] = next(self._turns)
        return taken

    def _taken(self, job: JobRow, until: datetime) -> Work:
        errands = Errands(
            self._runtime, None, key=str(job.id), instance_id=job.instance_id, at=self._runtime.clock.now(), inside=False
        )
        return Work(job=job, until=until, errands=errands)

    def do_work(self, work: Work) -> None:
        """Run a handler or send a notification; nothing is raised for a failure. Called in a thread of its own, if it may hang."""
        try:
            if work.job.kind == JobKind.SERVICE.value:
                self._work(work)
            else:
                self._attempt(work.job, self._notify)
        finally:
            work.has_ended = True
            self._runtime.hanging.discard(work)

    def renew(self, works: Iterable[Work]) -> None:
        """Prolong the leases of runs that go on, by a minute; one that was lost (cancelled, say) comes to nothing."""
        until = micros(self._runtime.clock.now() + LEASE)
        with self._database.writing() as tx:
            for work in works:
                if not jobs.renew(tx, work.job.id, work.job.fence, until):
                    work.is_lost = True

    def give_up(self, work: Work) -> None:
        """A run has taken longer than it may: it has failed. Its thread cannot be stopped; what it gives later does not count."""
        work.is_over = True
        self._runtime.hanging.add(work)
        if work.has_ended:  # just now
            self._runtime.hanging.discard(work)
        error = TimedOut(work)
        if work.job.kind == JobKind.SERVICE.value:
            retries = Retries(work.job.retries, timedelta(microseconds=work.job.backoff))
            self._settle(work.job, lambda turn: turn.job_failed(work.job, str(error), retries, work.errands), work.errands)
        else:
            self._failed(work.job, error)

    @property
    def hanging_count(self) -> int:
        """Runs in this process that were given up and have not come to an end."""
        return len(self._runtime.hanging)

    @property
    def takes_handlers(self) -> bool:
        """False when so many runs hang in this process that it had better be started again."""
        return self._runtime.takes_handlers

    def give_back(self, works: Iterable[Work]) -> None:
        """This process stops: let others do at once what it does not bring to an end. The attempt does not count."""
        with self._database.writing() as tx:
            for work in works:
                work.is_over = True
                jobs.give_back(tx, work.job.id, work.job.fence)

    def next_due_at(self) -> datetime | None:
        """Return when the next job or reminder becomes due; None when nothing waits."""
        with self._database.reading() as session:
            due = [at for at in (jobs.next_due(session), tasks.next_reminder(session)) if at is not None]
        return instant(min(due)) if due else None

    def _reap(self) -> None:
        at = self._runtime.clock.now()
        now, longest = micros(at), micros(at + _AHEAD + max([LEASE, *(h.timeout for h in self._runtime.handlers.values())]))
        with self._database.reading() as session:
            late = jobs.any_expired(session, now, longest)
        if late:
            with self._database.writing() as tx:
                jobs.reap(tx, now, longest)

    def _claim(self, kinds: tuple[str, ...], limit: int) -> tuple[str, list[JobRow]]:
        """Return the name of a new lease and the quick jobs that are under it."""
        now, lease = self._runtime.clock.now(), self._new_lease()
        with self._database.reading() as session:
            if not jobs.any_due(session, kinds, micros(now)):
                return lease, []
        with self._database.writing() as tx:
            return lease, jobs.claim(tx, kinds, now=micros(now), lease_until=micros(now + LEASE), lease=lease, limit=limit)

    def _new_lease(self) -> str:
        return f"{self._worker}.{next(self._turns)}"

    # -- timers
    def _fire(self, firing: Mapping[int, Sequence[JobRow]], lease: str) -> None:
        """Fire the timers of ``{instance: its timers that are due}``, in one transaction; who fails is tried again, or told."""
        due: dict[int, list[JobRow]] = {}
        problems: list[Exception] = []
        for instance_id, claimed in firing.items():
            for job in claimed:
                if _is_worn_out(job):
                    _try(problems, partial(self._failed, job, WorkerDied(job)))
                else:
                    due.setdefault(instance_id, []).append(job)

        def fire(turn: Turn) -> None:
            if turn.status is InstanceStatus.ACTIVE:
                turn.step(FireTimers())

        def put_off(tx: Session, of: Iterable[int]) -> None:
            ids = [job.id for instance_id in of for job in due[instance_id]]  # those that fired are gone or wait for their next turn
            jobs.put_off(tx, ids, lease, due_at=micros(self._runtime.clock.now() + _UNFIRED))

        failed = self._runtime.together(SYSTEM, dict.fromkeys(due, fire), put_off)
        for instance_id, error in failed.items():
            for job in due[instance_id]:
                _try(problems, partial(self._failed, job, error))
        if problems:
            raise problems[0]

    def _start_on_time(self, job: JobRow) -> None:
        """A timer start event is due: start an instance, once however many turns were missed, and set the next turn."""
        assert job.body is not None
        given, zone = codec.load(job.body), ZoneInfo(self._runtime.settings.time_zone)
        is_cycle = "every" in given["plan"] or "cron" in given["plan"]
        skipped, following = turn_of(given["plan"], self._runtime.clock.now(), zone) if is_cycle else (0, None)
        self._instances.begin(
            SYSTEM, job.process, {}, version=given["version"], start_event=job.element, trigger="timer", due_at=instant(job.due_at),
            skipped=skipped, idempotency_key=f"{job.id}.{job.due_at}", scope="timer",
        )  # fmt: skip
        with self._database.writing() as tx:  # dying before this starts nothing twice: job and turn are the key
            if following is None:
                jobs.finish(tx, job.id, job.fence)
            else:
                body = codec.dump({**given, "plan": following})
                jobs.set_start_timer(tx, job.id, job.fence, due_at=micros(due_at(following)), body=body)

    # -- handlers
    def _work(self, work: Work) -> None:
        """Run a handler outside every transaction, then let the token go on; the fence keeps a late finish out."""
        job, errands = work.job, work.errands
        assert job.instance_id is not None
        assert job.body is not None
        retries = Retries(job.retries, timedelta(microseconds=job.backoff))
        handler = self._runtime.handlers.get(job.type)
        if handler is None:
            message = f"没有注册处理程序 (no handler is registered): {job.type}"
            self._settle(job, lambda turn: turn.job_failed(job, message, Retries(0, retries.backoff)), errands)
            return
        if _is_worn_out(job):
            message = str(WorkerDied(job))
            self._settle(job, lambda turn: turn.job_failed(job, message, Retries(0, retries.backoff)), errands)
            return
        given = codec.load(job.body)
        with self._database.reading() as session:
            row = instances.load(session, job.instance_id)
            assert row is not None
            compiled = self._runtime.definitions.compiled(session, row.bundle_id)
            turn = Turn(self._runtime, session, compiled, row, SYSTEM, self._runtime.clock.now())
        seen = turn.job_for(job, given["values"], given["properties"], attempt=job.attempts, errands=errands)
        do: Callable[[Turn], None]
        try:
            values = dict(handler.run(seen) or {})
            codec.dump(values)
        except BpmnError as error:
            do = partial(_threw, job, error, errands)
        except Exception as error:  # noqa: BLE001  a handler's author may raise anything; it is tried again, then a person looks
            do = partial(_failed, job, _said(error), retries, errands)
        else:
            do = partial(_done, job, values, errands)
        if not work.is_over:
            self._settle(job, do, errands)

    def _settle(self, job: JobRow, do: Callable[[Turn], None], errands: Errands) -> None:
        """Write how a handler's run ended, if the job still is this worker's."""

        def within(turn: Turn) -> None:
            now = jobs.held(turn.session, job.id, job.fence)
            if not now:
                raise _Stale
            if turn.status is not InstanceStatus.ACTIVE:
                # done or not, the token cannot go on now; the job is offered again, under the same key, on resuming
                turn.require(lambda tx: jobs.give_back(tx, job.id, job.fence))
                turn.take_errands(errands, job)
                return
            do(turn)

        assert job.instance_id is not None
        try:
            self._runtime.command(SYSTEM, job.instance_id, within)
        except _Stale:
            return  # the fence has refused a late finish; whoever holds the job now settles it
        except Exception as error:  # noqa: BLE001  the diagram cannot go on with what the handler gave: tried again, then a person looks
            self._failed(job, error, errands)

    # -- thrown events and notifications: jobs that no token waits for
    def _attempt(self, job: JobRow, run: Callable[[JobRow], None]) -> None:
        try:
            if _is_worn_out(job):
                raise WorkerDied(job)
            run(job)
        except _Stale:
            return
        except Exception as error:  # noqa: BLE001  the next attempt comes later; after the last one a person looks
            self._failed(job, error)

    def _route(self, routed: list[int], job: JobRow) -> None:
        assert job.body is not None
        self._messages.thrown(job.body, job_id=job.id, thrower=job.instance_id, keep_for=KEEP_THROWN)
        routed.append(job.id)

    def _notify(self, job: JobRow) -> None:
        assert job.body is not None
        message = codec.load(job.body)
        channel, recipients = message["channel"], tuple(message["recipients"])
        place: dict[str, Any] = {"process": job.process, "element": job.element or None, "channel": channel}
        try:
            refused = outside.deliver(self._runtime.settings, channel, message, f"{job.id}.{message['once']}", instant(job.due_at))
        except OSError as error:
            self._note(job, [e.NotificationFailed(**place, recipients=recipients, message=str(error))])
            raise
        told = tuple(r for r in recipients if r not in refused)
        facts: list[e.Event] = [e.NotificationFailed(**place, recipients=(r,), message=why) for r, why in refused.items()]
        if told or not recipients:
            facts.insert(0, e.NotificationSent(**place, recipients=told, subject=message["subject"]))
        self._note(job, facts, done=True)

    def _note(self, job: JobRow, facts: list[e.Event], *, done: bool = False) -> None:
        """Write into the history what became of a notification, and, when it is done, that its job is."""
        if job.instance_id is None:
            if done:
                with self._database.writing() as tx:
                    jobs.finish(tx, job.id, job.fence)
            return

        def do(turn: Turn) -> None:
            if done:
                if not jobs.held(turn.session, job.id, job.fence):
                    raise _Stale
                turn.require(lambda tx: jobs.finish(tx, job.id, job.fence))
            for fact in facts:
                turn.record(fact)

        self._runtime.command(SYSTEM, job.instance_id, do)

    def _failed(self, job: JobRow, error: Exception, errands: Errands | None = None) -> None:
        """Try again later, or, after the last attempt, open an incident."""
        message = f"{type(error).__name__}: {error}"
        patience = Retries(max(job.retries, 8), timedelta(microseconds=job.backoff or 5_000_000))
        fatal = isinstance(error, AmbiguousReceiver)
        again = None if fatal else patience.next_at(self._runtime.clock.now(), job.attempts, str(job.id))
        if again is not None:
            with self._database.writing() as tx:
                jobs.retry_at(tx, job.id, job.fence, due_at=micros(again), error=message)
                for write in () if errands is None else errands.writes():
                    write(tx)
            return
        if job.instance_id is None:
            with self._database.writing() as tx:
                jobs.fail(tx, job.id, job.fence, message)
            return

        def do(turn: Turn) -> None:
            if not jobs.held(turn.session, job.id, job.fence):
                raise _Stale
            turn.require(lambda tx: jobs.fail(tx, job.id, job.fence, message))
            at = TokenId(job.token or 0)
            turn.link_incident(at, job.id)
            kind = "message" if job.kind == JobKind.EVENT.value else job.kind
            turn.record(e.IncidentOpened(process=job.process, element=job.element, token=at, kind=kind, message=message))
            if errands is not None:
                turn.take_errands(errands, job)

        with suppress(_Stale):  # somebody else's by now, who settles it
            self._runtime.command(SYSTEM, job.instance_id, do)

    # -- reminders
    def _remind(self, limit: int) -> int:
        """Tell people of tasks that are half-way, due soon or overdue; of several missed reminders only the latest."""
        now = self._runtime.clock.now()
        with self._database.reading() as session:
            due = tasks.due_reminders(session, micros(now), limit)
        of_instance: dict[int, list[tuple[TaskId, int]]] = {}
        for task, at in due:
            of_instance.setdefault(task.instance_id, []).append((task.id, at))

        def remind(turn: Turn) -> None:
            for task_id, at in of_instance[turn.row.id]:
                self._remind_of(task_id, at, turn)

        failed: dict[int, Exception] = {}
        for part in _parts(list(of_instance)):
            failed |= self._runtime.together(SYSTEM, dict.fromkeys(part, remind), lambda tx, of: None)
        if failed:
            with self._database.writing() as tx:
                for instance_id in failed:
                    for task_id, at in of_instance[instance_id]:
                        tasks.postpone_reminder(tx, task_id, until=micros(now + _AGAIN), was=at)
            raise next(iter(failed.values()))
        return len(due)

    def _remind_of(self, task_id: TaskId, was: int, turn: Turn) -> None:
        task = tasks.get(turn.session, task_id)
        if task is None or task.state is not TaskState.OPEN or tasks.remind_at(turn.session, task_id) != was:
            return  # done, or told by another process meanwhile
        zone = self._runtime.settings.time_zone
        told = reminders.latest(turn.at, task.created_at, task.due_at, zone)
        following = reminders.after(turn.at, task.created_at, task.due_at, zone)
        remind_at = None if following is None else micros(following.at)
        remind_stage = None if following is None else following.stage
        turn.require(lambda tx: tasks.set_reminder(tx, task.id, remind_at=remind_at, remind_stage=remind_stage, was=was))
        if told is None:
            return
        recipients = self._recipients(turn.session, task, told.stage)
        turn.record(
            e.UserTaskReminded(
                process=task.process, element=task.element, token=task.token, stage=told.stage,
                recipients=tuple(sorted(recipients)), late=turn.at - told.at > _LATE,
            )
        )  # fmt: skip
        subject, body = _words(task, told.stage, zone)
        for user_id in sorted(recipients):
            notice = NewNotice(
                id=self._database.new_id(), user_id=user_id, at=micros(turn.at), subject=subject, body=body,
                link=_page(task), instance_id=task.instance_id, once=f"{task.id}.{told.stage}.{was}",
            )  # fmt: skip
            turn.also(partial(_tell, notice))
        addresses = {u.id: u.mail for u in people.find(turn.session, users=recipients) if u.mail}
        if self._runtime.settings.smtp and addresses:
            link = f"{self._runtime.settings.base_url}{_page(task)}"
            turn.outbox(
                JobKind.NOTIFICATION, "mail",
                codec.dump({
                    "channel": "mail", "recipients": sorted(addresses), "once": f"{task.id}.{told.stage}.{was}", "to": addresses,
                    "subject": subject, "body": f"{body}\n\n{link}",
                }),
            )  # fmt: skip

    def _recipients(self, session: Session, task: UserTask, stage: str) -> set[str]:
        if stage == "overdue_owner":
            return {u.id for u in people.find(session, groups=[reminders.OWNERS])}
        groups = [] if task.assignee is not None else list(task.candidate_groups)
        users = [task.assignee] if task.assignee is not None else list(task.candidate_users)
        if stage == "overdue":
            groups.append(reminders.SUPERVISORS)
        return {u.id for u in people.find(session, groups=groups, users=users)}

    # -- incidents
    def incidents(self, actor: Actor, *, open: bool = True, limit: int = 100) -> tuple[Incident, ...]:
        """Return failures that wait for a person (or all), newest first.

        Raises:
            AccessDenied
        """
        access.require(actor, "see incidents")
        with self._database.reading() as session:
            return self._shown(session, actor, jobs.incidents(session, only_open=open, instance_id=None, limit=limit))

    def of_instance(self, actor: Actor, id: InstanceId) -> tuple[Incident, ...]:
        """Return the incidents of an instance, newest first.

        Raises:
            AccessDenied, NotFound
        """
        record = None if self._instances.get(actor, id).archived_in is None else self._instances.archived(id)
        with self._database.reading() as session:
            found = jobs.incidents(session, only_open=False, instance_id=id, limit=500) if record is None else record.incidents
            return self._shown(session, actor, found)

    def _shown(self, session: Session, actor: Actor, found: Iterable[Incident]) -> tuple[Incident, ...]:
        given = tuple(found)
        sights = self._runtime.sights.of_all(session, actor, sorted({i.instance_id for i in given}))
        return tuple(sights[i.instance_id].incident(i) for i in given)

    @observed("incident.retry")
    def retry(self, actor: Actor, incident_id: IncidentId, values: Values | None = None, reason: str = "") -> None:
        """Try again what failed: a handler's job becomes due now, an element of the diagram runs again.

        Args:
            values: mend data of the instance first.

        Raises:
            AccessDenied, NotFound
            WrongState: resolved already, or the instance is not active.
        """
        access.require(actor, "mend incidents")
        values = storable(values or {})
        with self._database.reading() as session:
            found = jobs.incident(session, incident_id)
        if found is None:
            raise NotFound(what="异常 (incident)", id=incident_id)

        def do(turn: Turn) -> None:
            incident = jobs.incident(turn.session, incident_id)
            if incident is None or incident.resolved_at is not None:
                raise WrongState(what="异常", id=incident_id, state="resolved", action="重试", action_en="retried")
            job = None if incident.job_id is None else jobs.get(turn.session, incident.job_id)
            if job is None or job.token is not None:  # what was thrown goes out although its thrower has ended
                require_status(turn, (InstanceStatus.ACTIVE,), "重试", "retried")
            if values:
                turn.record(e.DataMended(scope=None, names=tuple(sorted(values)), reason=reason.strip()))
                turn.step(SetVariables(values=values))
            if incident.job_id is not None:
                now, job_id = micros(turn.at), incident.job_id
                if jobs.has_failed(turn.session, job_id):  # else it is tried again already, or is not needed any more
                    turn.require(lambda tx: jobs.make_due(tx, job_id, now))
                    turn.made_work = True
                turn.also(partial(_resolved, incident_id, now, actor.id))
                turn.record(
                    e.IncidentResolved(
                        process=incident.process, element=incident.element, token=incident.token or TokenId(0), kind=incident.kind,
                        reason=reason.strip(),
                    )
                )  # fmt: skip
            else:
                assert incident.token is not None
                turn.step(RetryElement(token=incident.token))
                turn.say_why(incident.token, reason.strip())

        self._runtime.command(actor, found.instance_id, do)


def _done(job: JobRow, values: Values, errands: Errands, turn: Turn) -> None:
    turn.job_done(job, dict(values), errands)


def _threw(job: JobRow, error: BpmnError, errands: Errands, turn: Turn) -> None:
    turn.job_threw(job, error, errands)


def _failed(job: JobRow, message: str, retries: Retries, errands: Errands, turn: Turn) -> None:
    turn.job_failed(job, message, retries, errands)


class TimedOut(RuntimeError):
    """A run that took longer than its handler allows."""

    def __init__(self, work: Work) -> None:
        super().__init__(
            f"处理程序 {work.job.type} 超过时限，已放弃本次执行 (the handler took longer than its timeout; this run was given up)"
        )


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


class WorkerDied(RuntimeError):
    """A job that was claimed again and again and never came to an end."""

    def __init__(self, job: JobRow) -> None:
        super().__init__(f"执行者在此作业上中断了 {job.attempts - 1} 次 (workers died over this job {job.attempts - 1} times)")


def _is_worn_out(job: JobRow) -> bool:
    """True if more workers died over the job than chance explains: claimed far more often than it has attempts."""
    allowed = job.retries if job.kind == JobKind.SERVICE.value else max(job.retries, 8)
    return job.attempts > allowed + 1 + _DEATHS


def _try(problems: list[Exception], call: Callable[[], Answer]) -> Answer | None:
    """Do something; what it raises is noted, so that what comes after is done too."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001  raised by the caller once everything was tried
        problems.append(error)
        return None
def _said(error: BaseException) -> str:
    """Return what an exception says, ours in both languages, a group's parts one by one: “3 sub-exceptions” helps nobody."""
    if isinstance(error, EngineError):
        return f"{type(error).__name__}: {error.text('zh')} {error.text('en')}"
    if isinstance(error, BaseExceptionGroup):
        return "\n".join([f"{error.message}:", *(_said(part) for part in error.exceptions)])
    return "".join(traceback.format_exception_only(error)).strip()


def _resolved(incident_id: int, at: int, by: str, tx: Session) -> None:
    jobs.resolve_incident(tx, incident_id, at=at, by=by)


def _tell(notice: NewNotice, tx: Session) -> None:
    people.tell(tx, notice)


def _page(task: UserTask) -> str:
    return f"/task/{task.id}"


_STAGES = {
    "half": ("任务时间已过半", "Half of the time is gone"),
    "due_soon": ("任务即将到期", "A task is due soon"),
    "overdue": ("任务已逾期", "A task is overdue"),
    "overdue_owner": ("任务逾期超过一个工作日", "A task is overdue by a working day"),
}


def _words(task: UserTask, stage: str, zone: str) -> tuple[str, str]:
    """Return subject and body of a reminder, Chinese first."""
    zh, en = _STAGES[stage]
    due = task.due_at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") if task.due_at is not None else "-"
    subject = f"【{task.title}】{zh}：{task.name}"
    return subject, f"{zh}：{task.name}（{task.process_name}），到期时间 {due}。\n{en}: {task.name}, due {due}."
