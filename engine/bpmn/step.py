"""One command, one step: overdue timers first, then the command, then everything that follows until the instance is quiet.

An element that fails is parked: the command is given up, the state restored, and the command run again with that element's
token stopped where it failed and an incident in its place. Tokens are numbered in order, so the second run meets the same
token at the same place; the rest of the command stands.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from engine import events as log
from engine.bpmn import state as states
from engine.bpmn.data import Scope, store_written
from engine.bpmn.definition import Definition
from engine.bpmn.event_definitions import Message
from engine.bpmn.index import Facts, Place
from engine.bpmn.specs import JobTask, UserTask
from engine.bpmn.spiff import READY, STARTED
from engine.bpmn.workflow import RUNNING, ElementFailed, SubWorkflow, Token, Workflow, failed
from engine.errors import (
    AmbiguousStart,
    EngineError,
    NotFound,
    TaskNotOpen,
    TaskSuspended,
    TaskTooLate,
    WrongConversation,
    WrongState,
)
from engine.model import (
    BroadcastSignal,
    CancelInstance,
    Command,
    CompleteJob,
    CompleteUserTask,
    CorrelateMessage,
    FireTimers,
    InstanceStatus,
    NewJob,
    OpenElement,
    ResumeInstance,
    RetryElement,
    SetVariables,
    StartInstance,
    Step,
    Subscription,
    SubscriptionKind,
    SuspendInstance,
    ThrowBpmnError,
    Timer,
    TokenId,
    Value,
    Values,
    maker,
)

_made_step = maker(Step)

#: Elements of one command that may fail before the command itself is given up.
_FAILURE_LIMIT = 200
#: The same before jobs that it leads to are left for later: each failure runs the command, and what became of its jobs, once more.
_FAILURES_WITH_JOBS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a job within the command that led to it.

    Attributes:
        command: that the instance goes on with; None: the job is no matter of the step's any more, its token waits on.
        facts: to record before that.
    """

    command: CompleteJob | ThrowBpmnError | None
    facts: Sequence[log.Event] = ()


answered = maker(Answer)

#: Does the work of a job; None: it is for later.
Serve = Callable[[NewJob], Answer | None]
_Answers = dict[TokenId, Answer | None]


def advance(definition: Definition, state: bytes | None, command: Command, at: datetime) -> Step:
    """Return what follows from a command. Pure: the same input gives the same step, byte for byte.

    Args:
        definition: what the instance was started with.
        state: of the previous step; None for `StartInstance`.
        at: the instant of the command, aware.

    Returns:
        The step to store. With `refused` set, overdue timers had fired first and the command's target is gone: the rest of
        the step is valid and is to be stored, the command was not carried out.

    Raises:
        TaskNotOpen, TaskSuspended, NotFound, WrongState: the command does not fit the instance; nothing is to be stored.
    """
    return Run(definition, state, at).do(command)


class Run:
    """An instance that stays awake for several commands at one instant, or at several (`go_on`): loaded once, stored once.

    Each command gives the very step that `advance` would give with the state of the one before. One that does not fit leaves the
    instance as it was.
    """

    def __init__(self, definition: Definition, state: bytes | None, at: datetime) -> None:
        self._definition, self._base, self._at = definition, state, at.astimezone(UTC)
        self._done: list[tuple[Command, _Answers]] = []  #: since `_base`
        self._changed: dict[int, tuple[Facts | None, Facts | None]] = {}  #: up to `_base`
        self._awake: Workflow | None = None  #: as these commands left it
        self.count = 0  #: commands that were carried out

    def __del__(self) -> None:
        if self._awake is not None:
            self._awake.let_go()

    def go_on(self, state: bytes, at: datetime) -> None:
        """Let commands at another instant follow. What a step says has changed counts from here.

        Args:
            state: of the last step.
        """
        self._base, self._at, self._done, self._changed = state, at.astimezone(UTC), [], {}
        if self._awake is not None:
            self._awake.begin_again(self._at)

    def do(self, command: Command, serve: Serve | None = None) -> Step:
        """Carry out a command; see `advance`.

        Args:
            serve: is asked for the work of each job that the command leads to, in the order of their creation, what one leads to
                before the next. None from it, or in its place: the job is one of the step's. It is asked once for each job, also
                when the command is run again because an element fails; what it raises gives up the command.
        """
        if self._base is None and not self._done and not isinstance(command, StartInstance):
            raise WrongState(what="流程实例", id="", state="未启动", action="执行此操作", action_en="changed before it is started")
        parked: dict[tuple[int, str], ElementFailed] = {}
        answers: _Answers = {}
        while True:
            workflow, self._awake = self._awake or self.awake(), None  # what raises leaves it half done
            workflow.next_command(parked)
            try:
                refused = _carry_through(workflow, command, answers, serve)
                break
            except ElementFailed as failure:
                key = failure.token.id, failure.phase
                if key in parked or len(parked) >= _FAILURE_LIMIT:
                    raise RuntimeError(
                        f"{self._definition.key}: {failure.token.task_spec.name} failed while parked: {failure}") from failure
                # Only what an incident says is kept of the failed attempt.
                parked[key] = ElementFailed(failure.token, failure.phase, failure.kind, failure.message)
        if parked:  # the next command starts from the bytes: it must not do without the failure, nor find what that left
            self._base, self._done = states.dump(workflow), []
            self._changed = workflow.waits.changed
        else:
            self._done.append((command, answers))
            self._awake = workflow
        self.count += 1
        return _made_step(
            events=tuple(workflow.events), told=tuple(workflow.told), jobs=tuple(workflow.jobs), thrown=tuple(workflow.thrown),
            status=workflow.status, outcome=workflow.outcome() if workflow.completed else None,
            suspended=_suspended(workflow) if self._definition.suspends else (), refused=refused,
            standing=_Standing(self))

    def look(self) -> Step:
        """Give what stands, as the step of a command that changes nothing."""
        workflow = self.awake()
        return Step(
            events=(), jobs=(), thrown=(), status=workflow.status, outcome=workflow.outcome() if workflow.completed else None,
            suspended=_suspended(workflow), standing=_Standing(self))

    def awake(self) -> Workflow:
        """The instance as the commands so far left it."""
        if self._awake is None:
            self._awake = states.load(self._definition, self._base, self._at)
            self._awake.waits.changed = dict(self._changed)
            for command, answers in self._done:
                self._awake.next_command({})
                _carry_through(self._awake, command, answers)
        return self._awake


def _carry_through(workflow: Workflow, command: Command, answers: _Answers, serve: Serve | None = None) -> EngineError | None:
    """Carry out a command and all that follows; return why it was refused, if it was.

    Args:
        answers: known ones; those that `serve` gives are added.
    """
    refused: EngineError | None = None
    if type(command) is StartInstance:
        if workflow.last_token:
            raise WrongState(what="流程实例", id="", state=workflow.status, action="再次启动", action_en="started again")
        _start(workflow, command)
        workflow.settle()
    else:
        refused = _go_on(workflow, command)
    if workflow.jobs and (serve is not None or answers):
        _take_answers(workflow, answers, serve)
    definition = workflow.definition
    if definition.bounds_time and not workflow.completed:
        workflow.meet_deadlines()
    if definition.has_joins:
        workflow.look_for_stuck_joins()
    if workflow.scope.written:
        store_written(workflow.scope.written)
    return refused


def _go_on(workflow: Workflow, command: Command) -> EngineError | None:
    token = _target(workflow, command)
    is_firing = type(command) is FireTimers
    if workflow.completed:
        raise WrongState(what="流程实例", id="", state=workflow.status, action="更改", action_en="changed")
    if workflow.definition.has_timers and workflow.fire_due(on_time=is_firing):
        if token is not None and not (token.workflow.tasks.awake(token.id) is token and _FITS[type(command)](token, command)):
            return TaskTooLate(name=token.task_spec.label, state="已到期")
        if workflow.status is InstanceStatus.COMPLETED:
            if is_firing:
                return None
            return WrongState(what="流程实例", id="", state=workflow.status, action="更改", action_en="changed")
    try:
        carry_out = _CARRY_OUT[type(command)]
    except KeyError:
        raise TypeError(f"{type(command).__name__} is not a command of a running instance") from None
    carry_out(workflow, command, token)
    workflow.settle()
    return None


def _take_answers(workflow: Workflow, answers: _Answers, serve: Serve | None) -> None:
    """Go on with what became of each new job, if its work is done now."""
    events, written = workflow.events, workflow.scope.written
    left: list[NewJob] = []
    todo = workflow.jobs[::-1]
    while todo:
        job = todo.pop()
        token = workflow.find(job.token)
        if token is None or "job" not in token.internal_data:
            continue  # what came of another one has cancelled it
        if job.token in answers:
            found = answers[job.token]
        elif serve is None or len(workflow.parked) > _FAILURES_WITH_JOBS:
            found = answers[job.token] = None
        else:
            if written:
                store_written(written)
            found = answers[job.token] = serve(job)
        if found is None:
            left.append(job)
            continue
        for fact in found.facts:
            workflow.told.append(len(events))
            events.append(fact)
        if found.command is not None:
            workflow.jobs = []
            _CARRY_OUT[type(found.command)](workflow, found.command, token)
            workflow.settle()
            todo += reversed(workflow.jobs)
    workflow.jobs = left


# --------------------------------------------------------------------------------------------------------------------- targets
def _target(workflow: Workflow, command: Command) -> Token | None:
    """Return the token that a command is for; None: it is for the instance as a whole."""
    number: int | None = getattr(command, "token", None)
    if number is None:
        return None
    token = workflow.find(number)
    if token is not None and _FITS[type(command)](token, command):
        return token
    if isinstance(command, CompleteUserTask):
        raise TaskNotOpen(name=(token.task_spec.label if token is not None else "") or str(number), state="已办结或已取消")
    what = {RetryElement: "异常 / incident", CorrelateMessage: "消息等待 / message subscription"}
    raise NotFound(what=what.get(type(command), "作业 / job"), id=number)


def _is_mendable(token: Token, command: RetryElement) -> bool:
    data = token.internal_data
    return "incident" in data or "stuck" in data or token.workflow.is_subscription(token)


def _is_task(token: Token, command: CompleteUserTask) -> bool:
    return isinstance(token.task_spec, UserTask) and token._state == READY


def _is_job(token: Token, command: CompleteJob | ThrowBpmnError) -> bool:
    return isinstance(token.task_spec, JobTask) and "job" in token.internal_data


def _waits_for(token: Token, command: CorrelateMessage) -> bool:
    return any(wait.get("message") == command.name and "seen" not in wait for wait in token.internal_data.get("waits", ()))


#: Whether a live token is one that a command can be for.
_FITS: Mapping[type[Command], Callable[[Token, Any], bool]] = {
    RetryElement: _is_mendable, CompleteUserTask: _is_task, CompleteJob: _is_job, ThrowBpmnError: _is_job,
    CorrelateMessage: _waits_for,
}


# -------------------------------------------------------------------------------------------------------------------- commands
def _start(workflow: Workflow, command: StartInstance) -> None:
    definition, spec = workflow.definition, workflow.spec
    if command.start_event is not None and command.start_event not in spec.starters:
        raise NotFound(what="开始事件 / start event", id=command.start_event)
    if command.start_event is None and len(spec.none_starts) > 1:
        raise AmbiguousStart(name=spec.description or definition.key, starts=", ".join(spec.none_starts))
    workflow.business_key = command.business_key
    workflow.start_event, workflow.trigger = command.start_event, command.trigger
    if command.due_at is not None:
        workflow.timer = command.due_at, command.skipped
    variables = {**spec.initial(), **command.variables}
    workflow.emit(log.InstanceStarted(
        process=definition.key, definitions=dict(definition.versions), business_key=command.business_key, variables=variables))
    workflow.scope.put(variables)
    if command.start_event is not None:  # the message that starts it is the first of its conversation
        for message in getattr(spec.task_specs[command.start_event], "definitions", ()):
            if isinstance(message, Message):
                workflow.converse(workflow.scope, message, message.carries(command.variables, workflow))
    workflow.begin()


def _fire_timers(workflow: Workflow, command: FireTimers, token: None) -> None:
    """They have fired."""


def _complete_user_task(workflow: Workflow, command: CompleteUserTask, token: Token) -> None:
    if workflow.is_suspended(token):
        raise TaskSuspended(name=token.task_spec.label, state="已挂起")
    _act(workflow, token, token.task_spec.submit, command.values, keep=True)


def _complete_job(workflow: Workflow, command: CompleteJob, token: Token) -> None:
    _act(workflow, token, token.task_spec.job_done, command.values, keep=True)


def _throw_error(workflow: Workflow, command: ThrowBpmnError, token: Token) -> None:
    _act(workflow, token, _throw, command)


def _correlate(workflow: Workflow, command: CorrelateMessage, token: Token) -> None:
    waits = token.internal_data["waits"]
    n = next(n for n, wait in enumerate(waits) if wait.get("message") == command.name and "seen" not in wait)
    message = token.task_spec.definitions[n]
    wrong = workflow.contradicts(token.data, message, message.carries(command.payload, workflow))
    if wrong is not None:
        raise WrongConversation(name=command.name, key=wrong)
    workflow.correlate(token, n, command.payload)


def _broadcast(workflow: Workflow, command: BroadcastSignal, token: None) -> None:
    workflow.send_signal(command.name, command.payload)


def _set_variables(workflow: Workflow, command: SetVariables, token: None) -> None:
    scope = workflow.scope if command.scope is None else _scope(workflow, command.scope)
    workflow.write(None, command.values, scope=scope)


def _retry(workflow: Workflow, command: RetryElement, token: Token) -> None:
    if token.is_parked or "stuck" in token.internal_data:  # a subscription goes on by itself once its data is there
        workflow.retry(token)


def _cancel(workflow: Workflow, command: CancelInstance, token: None) -> None:
    workflow.kill_tokens()
    workflow.touched.clear()
    workflow.completed = True
    workflow.status = InstanceStatus.CANCELLED
    workflow.emit(log.InstanceCancelled(reason=command.reason))


def _suspend(workflow: Workflow, command: SuspendInstance, token: None) -> None:
    if workflow.status is not InstanceStatus.ACTIVE:
        raise WrongState(what="流程实例", id="", state=workflow.status, action="挂起", action_en="suspended")
    workflow.status, workflow.suspended_since = InstanceStatus.SUSPENDED, workflow.now
    workflow.emit(log.InstanceSuspended(reason=command.reason))
    workflow.freeze()


def _resume(workflow: Workflow, command: ResumeInstance, token: None) -> None:
    if workflow.status is not InstanceStatus.SUSPENDED:
        raise WrongState(what="流程实例", id="", state=workflow.status, action="恢复", action_en="resumed")
    workflow.status, workflow.suspended_since = InstanceStatus.ACTIVE, None
    workflow.emit(log.InstanceResumed())
    workflow.freeze()


_CARRY_OUT: Mapping[type[Command], Callable[[Workflow, Any, Any], None]] = {
    FireTimers: _fire_timers, CompleteUserTask: _complete_user_task, CompleteJob: _complete_job, ThrowBpmnError: _throw_error,
    CorrelateMessage: _correlate, BroadcastSignal: _broadcast, SetVariables: _set_variables, RetryElement: _retry,
    CancelInstance: _cancel, SuspendInstance: _suspend, ResumeInstance: _resume,
}


def _act(workflow: Workflow, token: Token, action: Callable[[Token, Any], None], given: Any, *, keep: bool = False) -> None:
    """Do something to a token and everything that it ends at once.

    Args:
        keep: `given` is what a person or a handler gave; when it cannot be taken over, it is kept, so that nobody has to do it again.
    """
    if workflow.parked and (token.id, RUNNING) in workflow.parked:
        if keep:
            token.task_spec.keep_result(token, given)
        workflow.park(token, RUNNING)
        return
    workflow.nesting += 1
    try:
        action(token, given)
    except ElementFailed:
        raise
    except Exception as exc:
        raise failed(token, RUNNING, exc) from exc
    finally:
        workflow.nesting -= 1
    if workflow.touched:
        workflow.close_scopes()


def _throw(token: Token, command: ThrowBpmnError) -> None:
    if not token.top.throw_code(token, "error", command.code, command.message, own_boundary=True):
        message = f"nobody catches the error {command.code}" + (f": {command.message}" if command.message else "")
        token.internal_data.pop("job", None)
        token.top.park(token, RUNNING, ElementFailed(token, RUNNING, "bpmn_error", message))


def _scope(workflow: Workflow, number: int) -> Scope:
    inner: SubWorkflow | None = workflow.subprocesses.get(number)
    if inner is not None:
        return inner.scope
    token = workflow.find(number)
    if token is None:
        raise NotFound(what="作用域 / scope", id=number)
    return token.data


class _Standing:
    """See `engine.model.Standing`."""

    __slots__ = ("_count", "_known", "_run")

    def __init__(self, run: Run) -> None:
        self._run, self._count = run, run.count
        self._known: dict[str, Any] = {}

    def _ask(self, name: str, what: Callable[[Workflow], Any]) -> Any:
        if name not in self._known:
            if self._run.count != self._count:
                raise RuntimeError("the instance has gone on")
            self._known[name] = what(self._run.awake())
        return self._known[name]

    @property
    def state(self) -> bytes:
        return self._ask("state", states.dump)  # type: ignore[no-any-return]

    @property
    def timers(self) -> tuple[Timer, ...]:
        return self._ask("timers", _timers)  # type: ignore[no-any-return]

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        return self._ask("subscriptions", _subscriptions)  # type: ignore[no-any-return]

    @property
    def timer_changes(self) -> dict[TokenId, tuple[Timer, ...]]:
        return self._ask("timer_changes", _timer_changes)  # type: ignore[no-any-return]

    @property
    def subscription_changes(self) -> dict[TokenId, tuple[Subscription, ...]]:
        return self._ask("subscription_changes", _subscription_changes)  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Standing) and (self.state, self.timers, self.subscriptions) == (
            other.state, other.timers, other.subscriptions)

    __hash__ = None  # type: ignore[assignment]


def _timers(workflow: Workflow) -> tuple[Timer, ...]:
    workflow.refresh()
    return tuple([_timer(workflow, token, due, host) for due, token, _, host in workflow.waits.timers()])


def _timer(workflow: Workflow, token: int, due: str, host: int) -> Timer:
    spec = workflow.node_of(token)
    return Timer(
        token=TokenId(token), process=spec.process, element=spec.event_id, due_at=datetime.fromisoformat(due),
        host=TokenId(host) if host else None, interrupting=spec.interrupting)


def _subscriptions(workflow: Workflow) -> tuple[Subscription, ...]:
    workflow.refresh()
    return tuple([s for place in workflow.waits.subscriptions() for s in _subscription(workflow, place)])


def _subscription(workflow: Workflow, place: Place) -> Iterator[Subscription]:
    """What a token waits for by one of its event definitions: once for each correlation key."""
    token, n = place
    spec = workflow.node_of(token)
    message = workflow.waits.message(place)
    if message is None:
        yield Subscription(
            token=TokenId(token), kind=SubscriptionKind.SIGNAL, name=workflow.waits.signal(place), correlation_key="",
            process=spec.process, element=spec.event_id)
        return
    definition = spec.definitions[n]
    keys: Iterable[str] = () if message[1] is None else (message[1],)
    if definition.keys:
        receiver = workflow.at_place(place)
        keys = definition.waits_for(receiver, receiver.internal_data["waits"][n], workflow)
    for key in keys:
        yield Subscription(
            token=TokenId(token), kind=SubscriptionKind.MESSAGE, name=message[0], correlation_key=key,
            process=spec.process, element=spec.event_id, form=definition.form, candidate_groups=definition.groups)


def _timer_changes(workflow: Workflow) -> dict[TokenId, tuple[Timer, ...]]:
    workflow.refresh()
    found: dict[TokenId, tuple[Timer, ...]] = {}
    if not workflow.waits.changed:
        return found
    for token, (old, new) in sorted(workflow.waits.changed.items()):
        was, now = old.timers if old else (), new.timers if new else ()
        if was != now:
            found[TokenId(token)] = tuple(_timer(workflow, token, due, host) for due, _, host in sorted(
                (due, n, host) for n, due, host in now))
    return found


def _subscription_changes(workflow: Workflow) -> dict[TokenId, tuple[Subscription, ...]]:
    workflow.refresh()
    places: dict[int, list[Place]] = {}
    for token, (old, new) in workflow.waits.changed.items():
        was, now = (old.messages, old.signals) if old else ((), ()), (new.messages, new.signals) if new else ((), ())
        if was != now:
            places[token] = sorted((token, entry[0]) for entries in now for entry in entries)
    if workflow.definition.keyed:
        keyed = [
            place for place in workflow.waits.subscriptions()
            if workflow.waits.message(place) and workflow.node_of(place[0]).definitions[place[1]].keys]
        for token in {token for token, _ in keyed} - places.keys():
            places[token] = [place for place in workflow.waits.subscriptions() if place[0] == token]
    return {TokenId(token): tuple(s for place in places[token] for s in _subscription(workflow, place)) for token in sorted(places)}


def _suspended(workflow: Workflow) -> tuple[TokenId, ...]:
    if not any(scope.suspenders for scope in workflow.scopes()):
        return ()
    return tuple(sorted(
        TokenId(token.id) for token in workflow.tokens()
        if isinstance(token.task_spec, UserTask) and token._state == READY and workflow.is_suspended_by_scope(token)))


def visible_variables(definition: Definition, state: bytes, scope: TokenId | None = None) -> Values:
    """Return ``{name: value}`` of what is visible in a scope.

    Args:
        scope: token of a sub-process, call activity or loop instance, or of any live token (a user task with its inputs);
            None: the process instance.

    Raises:
        NotFound: nothing of that number is live.
    """
    workflow = states.load(definition, state, _EPOCH)
    return dict((workflow.scope if scope is None else _scope(workflow, scope)).visible())


def values_named(definition: Definition, state: bytes, name: str) -> list[Value]:
    """Return the value of a variable in every live scope that has one of this name, the process instance first."""
    workflow = states.load(definition, state, _EPOCH)
    return [each.scope.own(name) for each in workflow.scopes() if each.scope.has(name)]


def scopes_of_visible(definition: Definition, state: bytes, scope: TokenId | None = None) -> dict[str, TokenId | None]:
    """Return ``{name: the scope whose variable it is}`` for what `visible_variables` gives; None: the process instance."""
    workflow = states.load(definition, state, _EPOCH)
    found: dict[str, TokenId | None] = {}
    at: Scope | None = workflow.scope if scope is None else _scope(workflow, scope)
    while at is not None:
        found = {**dict.fromkeys(at.values, TokenId(at.id) if at.id else None), **found}
        at = at.parent
    return found


def form_of_start(definition: Definition, start_event: str, message: str) -> str | None:
    """Return the id of the form by which a message that starts an instance is checked (property `form`), or None."""
    spec = definition.root.task_specs[start_event]
    return next((d.form for d in spec.definitions if isinstance(d, Message) and d.wanted == message), None)


def open_elements(definition: Definition, state: bytes) -> tuple[OpenElement, ...]:
    """Return every live token, oldest first; subscriptions of boundary events and event sub-processes are marked as such."""
    workflow = states.load(definition, state, _EPOCH)
    found = []
    for token in sorted(workflow.tokens(), key=lambda t: t.id):
        spec, data = token.task_spec, token.internal_data
        if token.is_parked:
            condition = "parked"
        elif "stuck" in data:
            condition = "stuck"
        else:
            condition = {READY: "ready", STARTED: "started"}.get(token._state, "waiting")
        host = data.get("host") or (data.get("owner") if "owner" in data else None)
        found.append(OpenElement(
            token=TokenId(token.id), process=spec.process, element=spec.bpmn_id, kind=spec.kind, state=condition,
            scope=None if token.workflow.parent_task_id is None else TokenId(token.workflow.parent_task_id),
            host=None if host is None else TokenId(host), is_subscription=token.workflow.is_dormant(token)))
    return tuple(found)


_EPOCH = datetime(2021, 1, 1, tzinfo=UTC)

