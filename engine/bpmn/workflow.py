"""The running process instance: tokens, scopes, the step loop, dispatch of events, cancellation, compensation.

A token is a SpiffWorkflow task, and its state is a task state. `tasks` of a scope holds the live ones only:

    WAITING  at a join or for an event      READY    may run, or waits for a person
    STARTED  has work inside or elsewhere (sub-process, job, compensation), or is parked with an incident

A token that ends leaves `tasks` at once; what compensation may still need goes to `kept`. Nothing ever walks a tree, and the
cost of a step grows neither with what happened before nor with what else is open: tokens and scopes are woken from the stored
state when somebody asks for them, and what is asked of many is kept by indexes (`engine.bpmn.index`).
"""
from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from engine import events as log
from engine.bpmn import compensation, timers
from engine.bpmn.collaboration import Address, shown_key
from engine.bpmn.data import Scope
from engine.bpmn.index import AT_JOIN, DORMANT, OPEN, STUCK, Facts, Lazy, Place, ScopeIndex, Waits, facts
from engine.bpmn.spiff import (
    CANCELLED,
    COMPLETED,
    FINISHED,
    FUTURE,
    READY,
    STARTED,
    WAITING,
    BpmnSubWorkflow,
    BpmnWorkflow,
    Task,
    state_name,
)
from engine.feel import FeelLimit, codec, in_both
from engine.model import InstanceStatus, NewJob, SubscriptionKind, ThrownEvent, TokenId, Value, Values

if TYPE_CHECKING:
    from engine.bpmn.definition import Definition
    from engine.bpmn.event_definitions import Message
    from engine.bpmn.specs import Catching, Flow, Formula, Node, ProcessSpec

#: Elements that one command may run; more is an endless loop of the diagram.
STEP_LIMIT = 200_000

#: Where an element stood when it failed: as its token arrived, as it ran, as its scope was complete, as its token was to leave.
ARRIVING, RUNNING, CLOSING, LEAVING = "arriving", "running", "closing", "leaving"


#: What a token holds that is behind a fork, or is one of several instances.
_BRANCHING = frozenset({"trail", "owner"})


class ElementFailed(Exception):
    """An element cannot go on; its token is parked with an incident of this `kind`."""

    def __init__(self, token: Token, phase: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.token, self.phase, self.kind, self.message = token, phase, kind, message


class UncaughtError(Exception):
    """An error that an element throws and nobody catches."""

    def __str__(self) -> str:
        return f"错误 {self.args[0]} 没有被捕获 (nobody catches the error {self.args[0]})"


class Token(Task):  # type: ignore[misc]
    """One token at one node. `id` counts from 1 within the instance; `data` is the `Scope` it runs in.

    `internal_data` is stored as it is, so it holds plain JSON values only:

        flow      id of the sequence flow it came over
        owner     token of the loop or multi-instance activity it is an instance of, or of the thrower of a compensation
        host      token of the activity whose boundary event this subscription is
        instances the live instances of a loop or multi-instance activity, oldest first
        guards    subscriptions of its boundary events, oldest first; gone ones are dropped with the next
        race      [first, last] of the tokens behind an event gateway: the others go when this one happens
        waits     what a catching event waits for, one entry for each event definition
        done      order of completion, of a kept activity
        trail     [[fork, {name: digest}], …]: what its branch wrote since each fork that is still open
        incident  [kind, phase]
        stuck     True: an incident says that the join where it waits can never fire
        finished  it ended its work; only the leaving is left
        terminated  True: the sub-process of this instance came to a terminate end event
        over      True: an ad-hoc sub-process begins nothing new
        turn      of an activity in a sequential ad-hoc sub-process: it "waits" for its turn, or "has" it
        standing  True: a subscription of an ad-hoc sub-process
        wrote     {name: digest}: what the instances of a multi-instance activity wrote so far
        result    canonical JSON of what a person, a handler or a message gave to a task that is parked before it could take that over
    """

    id: TokenId
    taken: list[Flow]
    facts: Facts | None = None  #: what the indexes know of it
    born: Sequence[Token] = ()  #: the tokens that it became

    _parent: int | None = None  # what the library would give to each
    triggered = False
    thread_id = 0
    last_state_change = 0.0

    def __init__(
        self, workflow: AnyWorkflow, task_spec: Node, state: int = FUTURE, id: int | None = None, data: dict[str, Any] | None = None
    ) -> None:
        self.top = top = workflow.top_workflow
        self.workflow = workflow
        self.task_spec = task_spec
        self._standing = state
        self.internal_data = {} if data is None else data
        self.data: Scope = workflow.scope
        if id is None:
            top.last_token = id = top.last_token + 1
            workflow.tasks[id] = top.dirty[id] = self
            if workflow is not top:
                top.located[id] = workflow
        self.id = id  # type: ignore[assignment]

    @property
    def _state(self) -> int:
        return self._standing

    @_state.setter
    def _state(self, value: int) -> None:
        self._standing = value
        self.top.dirty[self.id] = self

    def touch(self) -> None:
        """What it waits for, or the forks behind it, have changed: the indexes look at it again."""
        self.top.dirty[self.id] = self

    def _set_state(self, value: int) -> None:
        self._state = value

    def _ready(self) -> None:
        """It may run: at once, unless a person has to do it."""
        if not self._standing & FINISHED:
            self._standing = READY
            self.top.dirty[self.id] = self
            if not self.task_spec.manual:
                self.top.agenda.append(self)

    def cancel(self) -> None:
        self._state = CANCELLED
        self.task_spec._on_cancel(self)

    @property
    def is_parked(self) -> bool:
        return "incident" in self.internal_data

    @property
    def is_at_join(self) -> bool:
        """True if it waits for other tokens."""
        return facts(self).kind in (AT_JOIN, STUCK)

    def complete(self) -> None:
        """End the work, choose the way out, go. Without a way out the work stays done and only the leaving is parked."""
        spec, data, top = self.task_spec, self.internal_data, self.top
        if "finished" not in data:
            spec.finish(self)
            if self._standing & FINISHED:
                return
        if top.parked and (self.id, LEAVING) in top.parked:
            top.park(self, LEAVING)
            return
        try:
            self.taken = spec.choose(self)
        except Exception as exc:  # noqa: BLE001 - choosing changes nothing, so it is parked as it stands
            data["finished"] = True
            top.park(self, LEAVING, exc if isinstance(exc, ElementFailed) else failed(self, LEAVING, exc))
            return
        self._standing = COMPLETED
        spec._on_complete_hook(self)
        for child in self.born:
            if not child._standing & FINISHED:
                child.task_spec._update(child)

    def __repr__(self) -> str:
        return f"<token {self.id} at {self.task_spec.name}, {state_name(self._state)}>"


class ScopeMixin:
    """What the process instance and every sub-process instance have in common.

    The constructor of the library's workflows is not run: the tree of tasks, the script engine and the signals that it makes are not
    used here.

    Attributes:
        scope: its variables.
        kept: ``{token: completed activity}`` that a compensation may still undo.
        wrote: variables outside this scope that it has written; only where a compensation event sub-process needs them.
        past: ``{name: value}`` of these when the scope completed.
        gateways: ``{complex gateway: flows it was reached over since it fired}``.
        suspenders: ``{token of a running event sub-process that suspends the rest: since}``.
    """

    __slots__ = (  # a dict of so many attributes would cost more than all the rest of loading
        "business_key", "completed", "gateways", "host", "index", "kept", "parent_task_id", "past", "scope", "spec", "start_event",
        "suspenders", "tasks", "timer", "top_workflow", "trigger", "wrote",
    )

    spec: ProcessSpec
    host: Token  #: of a sub-process instance: the token that runs it
    parent_workflow: Any
    success = True
    top_workflow: Workflow
    parent_task_id: TokenId | None

    def _open(self, scope: Scope, business_key: str) -> None:
        self.completed = False
        self.scope = scope
        self.business_key = business_key
        self.tasks: Lazy[Token] = Lazy(self._wake)
        self.kept: Lazy[Token] = Lazy(self._wake_kept)
        self.index = ScopeIndex()
        self.wrote: set[str] = set()
        self.past: dict[str, Value] = {}
        self.gateways: dict[str, list[str]] = {}
        self.suspenders: dict[int, str] = {}
        self.start_event: str | None = None
        self.trigger: str | None = None
        self.timer: tuple[datetime, int] | None = None

    # ------------------------------------------------------------------------------------------------------------- tokens
    def _wake(self, id: int, place: int) -> Token:
        token = self.top_workflow.stored.token(self, id, place)
        token.facts = facts(token)
        return token

    def _wake_kept(self, id: int, place: int) -> Token:
        return self.top_workflow.stored.kept_token(self, id, place)

    def begin(self) -> None:
        """Subscribe the event sub-processes, then put a token on the start event (or on every node without incoming flow)."""
        top = self.top_workflow
        for spec in self.spec.event_subprocesses:
            if not spec.on_compensation:
                self.subscribe(spec)
        if self.start_event is not None:
            names = [self.spec.starters[self.start_event]]
        else:
            names = [name for name in self.spec.starts if not self.spec.task_specs[name].is_event] or self.spec.starts
        race = len(names) > 1 and all(self.spec.task_specs[name].is_event for name in names)
        born = [Token(self, self.spec.task_specs[name]) for name in names]
        for token in born:
            if self.start_event is not None:
                token.internal_data["given"] = [self.start_event, self.trigger]
            if self.timer is not None:
                due, skipped = self.timer
                spec = token.task_spec
                top.emit(log.TimerScheduled(process=spec.process, element=spec.bpmn_id, token=TokenId(token.id), due_at=due))
                top.emit(log.TimerFired(
                    process=spec.process, element=spec.bpmn_id, token=TokenId(token.id), due_at=due,
                    late=(top.at - due).total_seconds() > 60, skipped=skipped))
            if race:
                token.internal_data["race"] = [born[0].id, born[-1].id]
        for token in born:
            if token._state == FUTURE:
                token.task_spec._update(token)
        top.touched[id(self)] = self

    def note(self, token: Token) -> None:
        """Let the indexes know what is true of a token now."""
        top, number = self.top_workflow, token.id
        old, new = token.facts, None
        if dict.get(self.tasks, number) is token:
            new = facts(token)
            top.recent[number] = token
        if old is new or old == new:
            return
        token.facts = new
        if old is not None:
            self.index.remove(number, token.task_spec.name, old)
        if new is not None:
            self.index.add(number, token.task_spec.name, new)
        if (old is not None and old.waits) or (new is not None and new.waits):
            top.waits.change(number, old, new)
        place = self.parent_task_id or 0
        top.moved[place] = top.restless[place] = self

    def flows_at(self, spec: Node, besides: Token | None = None) -> dict[str, list[int]]:
        """``{flow: tokens that came over it}`` of those that wait at a join, oldest first; not to be changed.

        Args:
            besides: a token that has just come, and need not be known yet.
        """
        if besides is None:
            self.top_workflow.refresh()
        else:
            self.top_workflow.refresh_besides(besides)
        return self.index.joins.get(spec.name, {})

    def tokens_at(self, spec: Node, besides: Token | None = None) -> list[Token]:
        """Tokens that wait at a join, oldest first."""
        found = sorted(id for waiting in self.flows_at(spec).values() for id in waiting)
        return [self.tasks[id] for id in found if besides is None or id != besides.id]

    def tokens_by_node(self) -> dict[str, dict[int, int]]:
        """``{element: {token: kind}}`` of all live tokens; not to be changed."""
        top = self.top_workflow
        top.refresh()
        if self.index.at is None:
            self.index.at = top.stored.by_node(self)
        return self.index.at

    def leave(self, token: Token) -> None:
        top, tasks, number = self.top_workflow, self.tasks, token.id
        if number in tasks:
            del tasks[number]
            if not tasks or not top.definition.tokens_keep_open:
                top.touched[id(self)] = self
            if token.facts is None:
                top.dirty.pop(number, None)  # come and gone since the indexes were last asked
            else:
                top.dirty[number] = token
                top.recent.pop(number, None)
            if self is not top:
                top.located.pop(number, None)

    def absorb(self, token: Token, into: Token) -> None:
        """A join consumed this token."""
        top = self.top_workflow
        top.emit(log.token_joined(
            process=self.spec.process, element=token.task_spec.bpmn_id, token=TokenId(token.id), into=TokenId(into.id)))
        top.merge_trails(token, into)
        token._state = COMPLETED
        self.leave(token)

    @staticmethod
    def is_subscription(token: Token) -> bool:
        data = token.internal_data
        return token._state == WAITING and ("host" in data or "standing" in data or token.task_spec.is_event_subprocess)

    def is_alive(self) -> bool:
        """True while a token is there that is no mere subscription."""
        top = self.top_workflow
        if not top.definition.has_subscriptions:
            return len(self.tasks) > 0
        if top.agenda:
            next_ = top.agenda[-1]
            if next_.workflow is self and next_._state == READY and next_.id in self.tasks:
                return True
        top.refresh()
        return len(self.tasks) > self.index.count[DORMANT]

    @staticmethod
    def is_dormant(token: Token) -> bool:
        """A subscription, or one that could not even be made: it does not hold its scope open."""
        return facts(token).kind == DORMANT

    # ---------------------------------------------------------------------------------------------------------- relations
    def owner(self, token: Token) -> Token | None:
        """The token that waits for this one: host of a loop instance, thrower of a compensation (maybe in another scope)."""
        owner = token.internal_data.get("owner")
        return None if owner is None else self.top_workflow.find(owner)

    def subscribe(self, spec: Catching, **data: Any) -> Token:
        token = Token(self, spec)
        token.triggered = True
        token.internal_data.update(data)
        if "host" in data:
            host = self.tasks[data["host"]]
            host.internal_data["guards"] = [*(t.id for t in self.subscriptions(host)), token.id]
            if "trail" in host.internal_data:
                token.internal_data["trail"] = copy_trail(host.internal_data["trail"])
        spec._update(token)
        return token

    def subscriptions(self, host: Token) -> list[Token]:
        found = [self.tasks[id] for id in host.internal_data.get("guards", ()) if id in self.tasks]
        return [t for t in found if t.internal_data.get("host") == host.id and t._state != READY]

    # -------------------------------------------------------------------------------------------------------- cancellation
    def drop_subscriptions(self, host: Token, keep: Token | None = None, by: str | None = None) -> None:
        for token in self.subscriptions(host):
            if token is not keep:
                self.kill(token, by=by)

    def kill_instances(self, host: Token, by: str | None = None) -> None:
        for id in host.internal_data.pop("instances", ()):
            if id in self.tasks:
                self.kill(self.tasks[id], by=by)

    def kill_tokens(self, keep: Token | None = None, by: str | None = None) -> None:
        for id in list(self.tasks):
            if id in self.tasks and (keep is None or id != keep.id):
                self.kill(self.tasks[id], by=by)

    def kill(self, token: Token, keep: Token | None = None, by: str | None = None) -> None:
        """Interrupt a token, all that runs inside it and all that waits for it."""
        if token.task_spec.boundary:
            self.drop_subscriptions(token, keep, by)
        if token._state & FINISHED:
            return
        top = self.top_workflow
        if token._state == STARTED:
            if token.task_spec.is_host:
                self.kill_instances(token, by)
            for undo in token.internal_data.get("running", ()):
                handler = top.find(undo)
                if handler is not None:
                    handler.workflow.kill(handler, by=by)
                    compensation.forget(handler)
        inner = top.subprocesses.get(token.id)
        if inner is not None and not inner.completed:
            inner.kill_tokens(by=by)
            inner.completed, inner.success = True, False
        token.task_spec.cancelled(token, by)
        token.cancel()
        compensation.killed(token)


class SubWorkflow(ScopeMixin, BpmnSubWorkflow):  # type: ignore[misc]
    """A sub-process or called process: a scope of the instance."""

    def __init__(self, spec: ProcessSpec, host: Token, top: Workflow, scope: Scope, business_key: str) -> None:
        self.parent_task_id = host.id
        self.top_workflow = top
        self.parent_workflow = host.workflow
        self.host = host
        self.spec = spec
        self._open(scope, business_key)

    __slots__ = ()

    parent_workflow: Any = None  # the library looks it up each time

    def is_completed(self) -> bool:
        return self.completed


class Stored(Protocol):
    """The stored state that tokens and scopes are woken from."""

    def token(self, scope: AnyWorkflow, id: int, place: int) -> Token: ...
    def kept_token(self, scope: AnyWorkflow, id: int, place: int) -> Token: ...
    def scope(self, id: int, place: int) -> SubWorkflow: ...
    def scope_of(self, token: int) -> int | None: ...
    def name_of(self, token: int) -> str: ...
    def by_node(self, scope: AnyWorkflow) -> dict[str, dict[int, int]]: ...
    def among(self, names: Iterable[str]) -> list[int]: ...


class Workflow(ScopeMixin, BpmnWorkflow):  # type: ignore[misc]
    """One process instance while it is awake. Gathers what follows from a command: events, jobs, thrown events.

    Attributes:
        at: the instant of its commands, in UTC; there is no other clock.
        told: which of the events came with what became of jobs.
        parked: ``{(token, phase): failure}`` that earlier attempts at this command met: these tokens are parked on arrival there.
        changed: variables that were written since timers, dates and conditions were last looked at; "": look at everything.
        stored: the state it was loaded from.
        fresh: ``{id: scope}`` of the scopes that are not in it.
        located: ``{token: scope}`` of the tokens that are not in it, those of the instance's own scope left out.
        dirty: tokens that the indexes have to look at before they are asked again.
        recent: live tokens that they looked at in this command.
        moved: ``{id: scope}`` of the scopes whose tokens changed in this command; restless: since their joins were last tried.
        conversations: ``{scope: {BPMN correlation key: its text}}`` as the first message of each conversation gave them; the scope
            is the one that a new variable goes to, so each instance of a multi-instance activity may have its own partner.
    """

    __slots__ = (
        "_now", "agenda", "at", "changed", "conversations", "definition", "dirty", "emit", "events", "fresh", "jobs", "last_end",
        "last_token", "located", "moved", "nesting", "parked", "recent", "restless", "sequence", "status", "steps", "stored",
        "subprocess_specs", "subprocesses", "suspended_since", "thrown", "told", "touched", "waits", "zone",
    )

    def __init__(self, definition: Definition, at: datetime, stored: Stored) -> None:
        self.definition, self.at, self.stored = definition, at, stored
        self._now: str | None = None
        self.parked: Mapping[tuple[int, str], ElementFailed] = {}
        self.zone = definition.zone.key
        self.agenda: deque[Token] = deque()
        self.touched: dict[int, AnyWorkflow] = {}
        self.events: list[log.Event] = []
        self.emit: Callable[[log.Event], None] = self.events.append
        self.jobs: list[NewJob] = []
        self.thrown: list[ThrownEvent] = []
        self.told: list[int] = []
        self.status = InstanceStatus.ACTIVE
        self.suspended_since: str | None = None
        self.last_end: str | None = None
        self.last_token = self.sequence = self.nesting = self.steps = 0
        self.changed: set[str] = set()
        self.fresh: dict[int, SubWorkflow] = {}
        self.located: dict[int, AnyWorkflow] = {}
        self.dirty: dict[int, Token] = {}
        self.recent: dict[int, Token] = {}
        self.moved: dict[int, AnyWorkflow] = {}
        self.restless: dict[int, AnyWorkflow] = {}
        self.waits = Waits()
        self.conversations: dict[int, dict[str, str]] = {}
        self.top_workflow, self.parent_task_id = self, None
        self.spec, self.subprocess_specs = definition.root, definition.specs
        self.subprocesses: Lazy[SubWorkflow] = Lazy(stored.scope)
        self._open(Scope(0, None, keeps_new=True), "")

    def begin_again(self, at: datetime) -> None:
        """Be as one that was just loaded, at this instant, but awake."""
        self.at, self._now = at, None
        self.waits.changed = {}

    @property
    def now(self) -> str:
        """`at` as text, in UTC; made when somebody asks."""
        if self._now is None:
            self._now = self.at.isoformat()
        return self._now

    def next_command(self, parked: Mapping[tuple[int, str], ElementFailed]) -> None:
        """Begin a command: what the one before it led to is forgotten, the instance stays as it is."""
        self.parked = parked
        self.events, self.told, self.jobs, self.thrown, self.steps = [], [], [], [], 0
        self.emit = self.events.append
        self.recent.clear()
        self.moved.clear()
        self.restless.clear()

    def let_go(self) -> None:
        """Cut what refers to each other: nobody needs the instance any more, and it goes at once, not when Python collects garbage."""
        for scope in self.subprocesses.entries():
            if isinstance(scope, SubWorkflow):
                del scope.tasks, scope.kept, scope.host, scope.top_workflow, scope.parent_workflow
        del self.tasks, self.kept, self.top_workflow, self.stored, self.subprocesses, self.fresh, self.located
        del self.agenda, self.touched, self.dirty, self.recent, self.moved, self.restless

    def refresh(self) -> None:
        """Bring the indexes up to date."""
        while self.dirty:
            dirty, self.dirty = self.dirty, {}
            for token in dirty.values():
                token.workflow.note(token)

    def refresh_besides(self, token: Token) -> None:
        """Bring the indexes up to date, but for a token that is just coming or going: what they know of it stays."""
        if self.dirty.pop(token.id, None) is None:
            self.refresh()
        else:
            self.refresh()
            self.dirty[token.id] = token

    def find(self, token: int) -> Token | None:
        found: Token | None = self.tasks.get(token)
        if found is None:
            scope = self.located.get(token)
            if scope is None:
                place = self.stored.scope_of(token)
                scope = None if place is None else self.subprocesses.get(place)
            if scope is not None:
                found = scope.tasks.get(token)
        return found

    def is_open(self, token: int) -> bool:
        """True if there is such a live token; it stays asleep."""
        scope: AnyWorkflow | None = self if token in self.tasks else self.located.get(token)
        if scope is None:
            place = self.stored.scope_of(token)
            if place is None or (place and place not in self.subprocesses):
                return False
            scope = self.subprocesses[place] if place else self
        return token in scope.tasks

    def node_of(self, token: int) -> Any:
        """The spec of a live token's node; the token stays asleep."""
        scope: AnyWorkflow | None = self if token in self.tasks else self.located.get(token)
        if scope is None:
            place = self.stored.scope_of(token)
            assert place is not None
            scope = self.subprocesses[place]
        found = scope.tasks.awake(token)
        return found.task_spec if found is not None else scope.spec.task_specs[self.stored.name_of(token)]

    def get_task_from_id(self, task_id: int) -> Token | None:
        return self.find(task_id)

    def scopes(self) -> list[AnyWorkflow]:
        """Every scope, woken.

        Not for what happens at each step: that is what `moved` is for.
        """
        return [self, *self.subprocesses.values()]

    def tokens(self) -> Iterable[Token]:
        yield from self.tasks.values()
        for inner in self.subprocesses.values():
            yield from inner.tasks.values()

    def tokens_among(self, names: set[str]) -> list[Token]:
        """Live tokens at elements of these names, oldest first."""
        ids = set(self.stored.among(names))
        woken = [scope for scope in self.subprocesses.entries() if isinstance(scope, SubWorkflow)]
        for scope in (self, *woken):
            at = scope.tokens_by_node()
            for name in names & at.keys():
                ids.update(at[name])
        found = [self.find(id) for id in sorted(ids)]
        return [token for token in found if token is not None]

    def create_subprocess(self, my_task: Token, spec_name: str) -> SubWorkflow:
        spec = self.subprocess_specs[spec_name]
        scope, key = my_task.task_spec.open_scope(my_task)
        inner = self.subprocesses[my_task.id] = self.fresh[my_task.id] = SubWorkflow(spec, my_task, self, scope, key)
        if spec.properties:  # what came in by then stays, also into a property of the sub-process
            given = my_task.data.values if my_task.data.id == my_task.id else {}
            scope.put({
                name: given.get(name, value) for name, value in spec.initial().items() if name not in scope.values})
        return inner

    new_token = Token  #: for modules that this one imports

    def tick(self) -> int:
        self.sequence += 1
        return self.sequence

    # ------------------------------------------------------------------------------------------------------- expressions
    def compute(self, token: Token, formula: Formula, scope: Scope | None = None) -> Value:
        """Return the value of an expression whose being null means nothing special."""
        return formula.evaluate(token.data if scope is None else scope, self).value

    def evaluate(self, token: Token, formula: Formula, scope: Scope | None = None) -> Value:
        """Return the value of an expression that decides something; that it is null is recorded."""
        result = formula.evaluate(token.data if scope is None else scope, self)
        if result.value is None:
            self.emit(log.ExpressionWasNull(
                process=token.workflow.spec.process, element=token.task_spec.bpmn_id, token=TokenId(token.id),
                text=formula.text, reason=in_both(result.reasons)))
        return result.value

    def holds(self, token: Token, formula: Formula, scope: Scope | None = None) -> bool:
        """A condition: only true is true."""
        return self.evaluate(token, formula, scope) is True

    # ----------------------------------------------------------------------------------------------------------- variables
    def write(
        self, token: Token | None, values: Values, *, scope: Scope | None = None, here: bool = False, cause: str | None = None
    ) -> None:
        """Set variables where they live; a name that is new goes to the process, called process or loop instance around.

        Args:
            scope: where the search begins, by default the token's scope.
            here: set them in that very scope.
        """
        if not values:
            return
        start = scope if scope is not None else token.data if token is not None else self.scope
        targets: Iterable[tuple[Scope, Values]]
        if here or start.parent is None:
            targets = ((start, values),)
        else:
            groups: dict[int, tuple[Scope, dict[str, Value]]] = {}
            for name, value in values.items():
                target = start.holder(name)
                groups.setdefault(id(target), (target, {}))[1][name] = value
            targets = groups.values()
        for target, group in targets:
            if target is not start:
                start.forget_past(group, target)
            news = target.put(group)
            if not news:
                continue
            if self.definition.watches:
                self.changed.update(news)
            if cause is None and token is not None:
                cause = token.task_spec.bpmn_id
            self.emit(log.variables_changed(
                scope=TokenId(target.id) if target.id else None, names=tuple(news), cause=cause, values=news))
            if token is not None and target.id != token.id:  # its own inputs are nobody else's
                if token.workflow is not self or not _BRANCHING.isdisjoint(token.internal_data):
                    self._note_writes(token, target, news)
                if self.definition.compensates:
                    self._note_for_compensation(token.workflow, target, news)

    def _note_for_compensation(self, scope: AnyWorkflow, target: Scope, values: Values) -> None:
        """Remember what a scope with a compensation event sub-process writes outside itself: its handler sees it as it left it."""
        while scope is not self and not scope.completed and target.id != scope.parent_task_id:
            if scope.spec.undoes_itself:
                scope.wrote.update(values)
            scope = scope.host.workflow

    def _note_writes(self, token: Token, target: Scope, values: Values) -> None:
        """Remember what each branch wrote since its fork, in every branch around the token up to where the variable lives."""
        digests: dict[str, str] | None = None
        at: Token | None = token
        while at is not None:
            trail = at.internal_data.get("trail")
            if trail:
                if digests is None:
                    digests = {
                        name: hashlib.blake2s(codec.dump(value), digest_size=6).hexdigest() for name, value in values.items()
                    }
                trail[-1][1].update(digests)
            owner = at.workflow.owner(at)
            if owner is not None:
                at = owner
            else:
                inner = at.workflow
                if inner.scope is target or inner is self:
                    return
                at = inner.host
            if at is not None and target.id == at.id:
                return

    def fork(self, token: Token, children: list[Token]) -> None:
        """Hand the trail of a token to those that follow it."""
        trail = token.internal_data.get("trail")
        if len(children) == 1:
            if trail:
                children[0].internal_data["trail"] = trail
                children[0].touch()
            return
        trail = self._closed_forks_folded(token, trail) if trail else []
        for child in children:
            child.internal_data["trail"] = [*copy_trail(trail), [token.id, {}]] if trail else [[token.id, {}]]
            child.touch()

    def _closed_forks_folded(self, token: Token, trail: list[list[Any]]) -> list[list[Any]]:
        """Drop levels whose other branches are all gone, so that a trail is never longer than the tokens abreast."""
        self.refresh_besides(token)
        forks = token.workflow.index.forks
        mine = token.facts.forks if token.facts is not None else ()  # it may be on its way out
        folded: list[list[Any]] = []
        for fork, writes in trail:
            if forks.get(fork, 0) > (fork in mine):
                folded.append([fork, writes])
            elif folded:
                folded[-1][1].update(writes)
        return folded

    def merge_trails(self, token: Token, into: Token) -> None:
        """Compare what two branches wrote since the last fork they share, and go on with both trails as one."""
        mine, other = into.internal_data.get("trail"), token.internal_data.get("trail")
        if not mine or not other:
            return
        common = 0
        for ours, theirs in zip(mine, other, strict=False):
            if ours[0] != theirs[0]:
                break
            common += 1
        if not common:
            return
        left, right = mine[common - 1][1], other[common - 1][1]
        for level in mine[common:]:
            left = {**left, **level[1]}
        for level in other[common:]:
            right = {**right, **level[1]}
        for name in sorted(left.keys() & right.keys()):
            if left[name] != right[name]:
                self.emit(log.WriteConflicted(
                    process=into.workflow.spec.process, element=into.task_spec.bpmn_id, token=TokenId(token.id), name=name))
        into.internal_data["trail"] = [*mine[: common - 1], [mine[common - 1][0], {**left, **right}]]
        into.touch()

    def joined(self, token: Token) -> None:
        """A join is through: a fork whose branches have all come in is closed."""
        trail = token.internal_data.get("trail")
        if trail:
            folded = self._closed_forks_folded(token, trail)
            if folded:
                token.internal_data["trail"] = folded
            else:
                del token.internal_data["trail"]
            token.touch()

    # ----------------------------------------------------------------------------------------------------------- step loop
    def settle(self) -> None:
        """Run everything that can run, one step at a time, until the instance is quiet."""
        agenda = self.agenda
        while True:
            while agenda:
                token = agenda.popleft()
                if token._standing == READY and token.id in token.workflow.tasks:
                    self.step(token)
                if self.changed:
                    self.look_again()
            if self.touched:
                self.close_scopes()
                if agenda:
                    continue
            if self.changed:
                self.look_again()
                continue
            if not self.definition.has_late_joins or not self.release_joins():
                return

    def step(self, token: Token) -> None:
        """Run one token and everything that it ends at once."""
        if self.parked and (token.id, RUNNING) in self.parked:
            self.park(token, RUNNING)
            self.close_scopes()
            return
        self.steps += 1
        if self.steps > STEP_LIMIT:  # nothing was done with the token yet, so it is parked as it stands; so are all that follow
            self.park(token, RUNNING, ElementFailed(
                token, RUNNING, "endless",
                f"连续执行了 {STEP_LIMIT:,} 多个元素而没有停顿 (more than {STEP_LIMIT:,} elements ran without a pause)"))
            self.close_scopes()
            return
        self.nesting += 1
        try:
            spec = token.task_spec
            if spec._run_hook(token) is not None:
                token.complete()
            else:
                token._standing = STARTED
                self.dirty[token.id] = token
            if token._standing == STARTED:
                spec.started(token)
        except ElementFailed:
            raise
        except Exception as exc:
            raise failed(token, RUNNING, exc) from exc
        finally:
            self.nesting -= 1
        if self.touched and not self.nesting:
            self.close_scopes()

    def park(self, token: Token, phase: str, failure: ElementFailed | None = None) -> None:
        """Leave a token where it failed, with an incident that says why."""
        failure = failure or self.parked[token.id, phase]
        token.internal_data["incident"] = [failure.kind, phase]
        if phase == RUNNING:
            token.task_spec.parked(token)
        token._state = STARTED
        self.emit(log.IncidentOpened(
            process=token.workflow.spec.process, element=token.task_spec.bpmn_id, token=TokenId(token.id),
            kind=failure.kind, message=failure.message))

    def look_for_stuck_joins(self) -> None:
        """Open an incident at every join that can never fire, and resolve those of joins that tokens may reach again.

        Nothing can reach a join when every live token of its scope waits at one: tokens never come into a scope from outside.
        """
        self.refresh()
        for place in sorted(self.moved):
            scope = self.moved[place]
            count = scope.index.count
            if not (count[AT_JOIN] or count[STUCK]) or scope.completed or not scope.spec.has_joins:
                continue
            waiting = [scope.tasks[id] for id in sorted(
                id for flows in scope.index.joins.values() for found in flows.values() for id in found)] if (
                count[STUCK] or count[AT_JOIN] + count[DORMANT] + count[STUCK] == len(scope.tasks)) else []
            if count[OPEN]:
                for token in waiting:
                    self.unstick(token)
                continue
            if count[AT_JOIN] + count[DORMANT] + count[STUCK] < len(scope.tasks):
                # an event sub-process that runs, or what it undoes, leads to no join here, but it may end it all
                continue
            known = {token.task_spec for token in waiting if "stuck" in token.internal_data}
            for token in waiting:
                if token.task_spec not in known:
                    known.add(token.task_spec)
                    token.internal_data["stuck"] = True
                    token.touch()
                    self.emit(log.IncidentOpened(
                        process=scope.spec.process, element=token.task_spec.bpmn_id, token=TokenId(token.id), kind="stuck",
                        message=token.task_spec.why_stuck(token)))

    def unstick(self, token: Token, reason: str = "") -> None:
        """What was said of the join where the token waits holds no longer."""
        if token.internal_data.pop("stuck", False):
            token.touch()
            self.emit(log.IncidentResolved(
                process=token.workflow.spec.process, element=token.task_spec.bpmn_id, token=TokenId(token.id), kind="stuck",
                reason=reason))

    def retry(self, token: Token) -> None:
        if "stuck" in token.internal_data:
            token.task_spec.go_on(token)
            return
        kind, phase = token.internal_data.pop("incident")
        self.emit(log.IncidentResolved(
            process=token.workflow.spec.process, element=token.task_spec.bpmn_id, token=TokenId(token.id), kind=kind))
        if phase == LEAVING:
            token.complete()
        elif phase == ARRIVING:
            token._state = FUTURE
            token.task_spec.begin(token)
        elif phase == CLOSING:
            scope = self.subprocesses[token.id]
            if scope.completed:
                self.scope_completed(token, scope)
            else:
                self.touched[id(scope)] = scope
        elif "result" in token.internal_data:
            self._take_result(token)
        else:
            token._state = READY
            if not token.task_spec.manual:
                self.agenda.append(token)

    def _take_result(self, token: Token) -> None:
        """Complete a task with what was given before its output mapping failed."""
        if (token.id, RUNNING) in self.parked:
            self.park(token, RUNNING)
            return
        self.nesting += 1
        try:
            token.task_spec.give_out(token, codec.load(token.internal_data["result"].encode()))
            del token.internal_data["result"]
            token.complete()
        except ElementFailed:
            raise
        except Exception as exc:
            raise failed(token, RUNNING, exc) from exc
        finally:
            self.nesting -= 1
        self.close_scopes()

    def close_scopes(self) -> None:
        """Complete every scope that lost its last token."""
        while self.touched:
            _, scope = self.touched.popitem()
            if scope.completed or scope.is_alive() or (scope is not self and self.goes_on(scope)):
                continue
            scope.kill_tokens()  # open subscriptions
            self.touched.pop(id(scope), None)
            scope.completed = True
            if scope is self:
                self.status = InstanceStatus.COMPLETED
                outcome = self.outcome()
                self.emit(log.InstanceCompleted(outcome=outcome))
            else:
                self.scope_completed(scope.host, scope)

    def goes_on(self, scope: ScopeMixin) -> bool:
        """True when the activity whose scope lost its last token goes on with it, or is parked because that cannot be told."""
        host = scope.host
        if host._state != STARTED or host.id not in host.workflow.tasks:
            return False
        if (host.id, CLOSING) in self.parked and host.task_spec.decides_end:
            self.park(host, CLOSING)
            return True
        try:
            return bool(host.task_spec.goes_on(host, scope))
        except ElementFailed:
            raise
        except Exception as exc:
            raise failed(host, CLOSING, exc) from exc

    def scope_completed(self, host: Token, scope: ScopeMixin) -> None:
        if host._state == STARTED and host.id in host.workflow.tasks:
            if (host.id, CLOSING) in self.parked:
                self.park(host, CLOSING)
                return
            try:
                host.task_spec.scope_completed(host, scope)
            except ElementFailed:
                raise
            except Exception as exc:
                raise failed(host, CLOSING, exc) from exc
        if not host.task_spec.keeps(host, scope):
            self.discard(scope)

    def discard(self, scope: ScopeMixin) -> None:
        """Forget a scope and those inside it."""
        place = scope.parent_task_id or 0
        if place not in self.subprocesses:
            return
        for host in (*scope.tasks, *scope.kept):
            if host in self.subprocesses:
                self.discard(self.subprocesses[host])
        del self.subprocesses[place]
        self.fresh.pop(place, None)
        self.moved.pop(place, None)
        self.restless.pop(place, None)

    def outcome(self) -> str | None:
        value = self.scope.values.get("outcome")
        return str(value) if value is not None else self.last_end

    def release_joins(self) -> bool:
        """Let a join that was decided late go on; False when there is none: only where tokens moved can there be one."""
        self.refresh()
        for place in sorted(self.restless):
            scope = self.restless[place]
            if scope.spec.late_joins and not scope.completed:
                for spec in scope.spec.late_joins:
                    if spec.try_release(scope):
                        return True
            self.restless.pop(place, None)
        return False

    # -------------------------------------------------------------------------------------------------------------- events
    def fire(self, token: Token) -> None:
        """What a waiting token waited for has happened: let it go on, with all consequences, now."""
        if token._state == WAITING:
            token.task_spec.stop_waiting(token)
            token._ready()
            if token._state == READY:
                self.step(token)

    def waiting(self) -> list[Token]:
        """Tokens that wait for an event, oldest first.

        Not for what happens at each step: it wakes all.
        """
        return sorted(
            (t for t in self.tokens() if t._state == WAITING and "waits" in t.internal_data), key=lambda t: t.id)

    def send_message(self, token: Token, message: Message, name: str, values: Values) -> None:
        """Give a message to the one token of this instance that waits for it, else out of the house's door.

        Each message flow that leaves the element has a message of its own; without one it is for whoever waits for it.
        """
        key = message.correlation_key(token, self)
        if message.keys:
            carried = message.carries(values, self)
            if not carried:
                keys = ", ".join(key.name.rpartition("/")[2] for key in message.keys)
                raise timers.BadTime(f"the message {name} has no value for the correlation key {keys}")
            wrong = self.contradicts(token.data, message, carried)
            if wrong is not None:
                raise timers.BadTime(f"the message {name} has another correlation key than its conversation: {wrong}")
            self.converse(token.data, message, carried)
        for address in message.to or (None,):
            self._send(token, name, key, values, address)

    def _send(self, token: Token, name: str, key: str | None, values: Values, to: Address | None) -> None:
        self.refresh()
        for place in self.waits.for_message(name, key):
            receiver, n = self.at_place(place), place[1]
            if to is not None and to.process is not None and receiver.task_spec.process != to.process:
                continue
            if receiver.task_spec.definitions[n].takes(receiver, receiver.internal_data["waits"][n], self, key, values):
                self._thrown_message(token, name, key, values, inside=True)
                self.correlate(receiver, n, values)
                return
        self._thrown_message(token, name, key, values, inside=False)
        self.thrown.append(ThrownEvent(
            kind=SubscriptionKind.MESSAGE, name=name, correlation_key=key or "", payload=values,
            process=None if to is None else to.process, element=None if to is None else to.element,
            leaves=to is not None and to.process is None))

    def at_place(self, place: Place) -> Token:
        """The token that waits there."""
        token = self.find(place[0])
        assert token is not None
        return token

    def _thrown_message(self, token: Token, name: str, key: str | None, values: Values, inside: bool) -> None:
        self.emit(log.MessageThrown(
            process=token.workflow.spec.process, element=token.task_spec.bpmn_id, token=TokenId(token.id), name=name,
            correlation_key=key or "", inside=inside, values=values))

    def correlate(self, receiver: Token, n: int, values: Values) -> None:
        wait, message = receiver.internal_data["waits"][n], receiver.task_spec.definitions[n]
        key = wait.get("key") or ""
        if message.keys:
            key = ", ".join(shown_key(text) for text in message.waits_for(receiver, wait, self))
            self.converse(receiver.data, message, message.carries(values, self))
        self.emit(log.MessageCorrelated(
            process=receiver.workflow.spec.process, element=receiver.task_spec.event_id, token=TokenId(receiver.id),
            name=wait["message"], correlation_key=key, values=values))
        receiver.task_spec.happened(receiver, n, values)

    def conversation(self, scope: Scope | None, key: str) -> str | None:
        """Return the value, as text, that a BPMN correlation key has for what runs in a scope; None: no message gave it one yet."""
        while scope is not None:
            found = self.conversations.get(scope.id, {}).get(key)
            if found is not None:
                return found
            scope = scope.parent
        return None

    def contradicts(self, scope: Scope, message: Message, carried: Mapping[str, str]) -> str | None:
        """Return the correlation key of a message that has another value than in its conversation, as people read it, or None."""
        for key in message.keys:
            known = None if key.context is not None else self.conversation(scope, key.name)
            if known is not None and carried.get(key.name, known) != known:
                return f"{shown_key(carried[key.name])} / {shown_key(known)}"
        return None

    def converse(self, scope: Scope, message: Message, carried: Mapping[str, str]) -> None:
        """The first message of a conversation gives its correlation keys their values."""
        while not scope.keeps_new and scope.parent is not None:
            scope = scope.parent
        for key in message.keys:
            if key.context is None and key.name in carried and self.conversation(scope, key.name) is None:
                self.conversations.setdefault(scope.id, {})[key.name] = carried[key.name]

    def send_signal(self, name: str, values: Values) -> int:
        """Give a signal to all who wait for it now; return how many did."""
        self.refresh()
        count = 0
        for place in self.waits.for_signal(name):
            receiver, n = self.find(place[0]), place[1]
            if receiver is not None and receiver._state == WAITING and "seen" not in receiver.internal_data["waits"][n]:
                self.emit(log.SignalCaught(
                    process=receiver.workflow.spec.process, element=receiver.task_spec.event_id, token=TokenId(receiver.id),
                    name=name))
                receiver.task_spec.happened(receiver, n, values)
                count += 1
        return count

    def throw_code(self, thrower: Token, kind: str, code: str, message: str = "", *, own_boundary: bool) -> bool:
        """Error or escalation: to the innermost catcher, from the inside out; False when nobody catches it.

        Args:
            own_boundary: the thrower is an activity whose own boundary events may catch.
        """
        found = self._catcher(thrower, kind, code, own_boundary)
        event = log.ErrorThrown if kind == "error" else log.EscalationThrown
        self.emit(event(
            process=thrower.workflow.spec.process, element=thrower.task_spec.bpmn_id, token=TokenId(thrower.id), code=code,
            caught_by=None if found is None else found[0].task_spec.event_id))
        if found is None:
            return False
        receiver, n = found
        receiver.task_spec.happened(receiver, n, receiver.task_spec.definitions[n].caught(code, message))
        return True

    def _catcher(self, thrower: Token, kind: str, code: str, own_boundary: bool) -> tuple[Token, int] | None:
        scope: AnyWorkflow = thrower.workflow
        at = thrower if own_boundary else scope.owner(thrower)
        own: Node | None = None
        while True:
            while at is not None:
                found = self._waiting_for(at.workflow.subscriptions(at), kind, code)
                if found is not None:
                    return found
                scope = at.workflow
                own = at.task_spec
                at = scope.owner(at)  # of an instance its loop; of a handler who undoes: an error goes out where that stands
            found = self._waiting_for(
                [scope.tasks[id] for id in sorted(
                    id for spec in scope.spec.event_subprocesses if spec is not own
                    for id in scope.tokens_by_node().get(spec.name, ()))], kind, code)
            if found is not None or scope is self:
                return found
            at = scope.host

    @staticmethod
    def _waiting_for(tokens: list[Token], kind: str, code: str | None) -> tuple[Token, int] | None:
        """The subscription for this very code is preferred to one for all codes."""
        general: tuple[Token, int] | None = None
        for token in tokens:
            if token._state != WAITING:
                continue
            for n, wait in enumerate(token.internal_data["waits"]):
                if kind in wait and "seen" not in wait:
                    if wait[kind] == code:
                        return token, n
                    if wait[kind] is None and general is None:
                        general = token, n
        return general

    def leave_by_cancel(self, transaction: Token) -> bool:
        """A transaction that was cancelled is undone: its cancel boundary event happens. False when it has none."""
        found = self._waiting_for(transaction.workflow.subscriptions(transaction), "cancel", None)
        if found is not None:
            found[0].task_spec.happened(*found, {})
        return found is not None

    def look_again(self) -> None:
        """Variables changed: conditions may have become true, timers and dates that read them may have moved; so may what is passed live."""
        changed, self.changed = self.changed, set()
        if not self.definition.watches or ("" not in changed and changed.isdisjoint(self.definition.reads)):
            return
        readers = {name for name, reads in self.definition.readers.items() if not changed.isdisjoint(reads)}
        for token in self.tokens_among(readers | self.definition.watching if "" in changed else readers):
            spec = token.task_spec
            if not spec.watches or token._state != WAITING or "waits" not in token.internal_data:
                continue
            if "" in changed or not changed.isdisjoint(spec.reads):
                spec.look_again(token)
                token.touch()
        for token in self.tokens_among(readers):
            spec = token.task_spec
            if changed.isdisjoint(spec.reads):
                continue
            if (spec.has_moving_dates and token._state == READY) or (spec.follows_variables and token._state == STARTED):
                spec.look_again(token)
            elif token.is_parked and token.workflow.is_dormant(token) and spec.can_wait(token):
                self.retry(token)  # a subscription that lacked its data: nobody has to mend more than that

    # -------------------------------------------------------------------------------------------------------------- timers
    def meet_deadlines(self) -> None:
        """Tell user tasks when the timer on their boundary will stop them: their deadline, unless the diagram names one.

        A task made in this step is born with it; a timer that moves takes the deadline along.
        """
        self.refresh()
        hosts: dict[int, Token] = {}
        for token in list(self.recent.values()):
            data = token.internal_data
            if "host" in data:
                host = token.workflow.tasks[data["host"]]
                hosts[host.id] = host
            elif token.task_spec.has_deadline_of_timer:
                host = token.workflow.tasks.get(data.get("owner", token.id))
                if host is not None:
                    hosts[host.id] = host
        for id in sorted(hosts):
            host = hosts[id]
            deadline = min((
                timers.due_at(wait["timer"]) for guard in host.workflow.subscriptions(host)
                if guard.task_spec.interrupting and guard._state == WAITING
                for wait in guard.internal_data["waits"] if wait.get("timer") and "seen" not in wait), default=None)
            if deadline is None:
                continue
            tasks = host.workflow.tasks
            for task in (host, *(tasks[n] for n in host.internal_data.get("instances", ()) if n in tasks)):
                if task._state == READY and task.task_spec.has_deadline_of_timer:
                    task.task_spec.stopped_at(task, deadline)

    def fire_due(self, *, on_time: bool) -> bool:
        """Fire every timer that is due, soonest first, each with its consequences; return True when one did.

        Timers that come to be meanwhile are for the next command, so a diagram cannot keep one busy for ever.

        Args:
            on_time: fire also what is due at this very instant, else only what is overdue.
        """
        fired, known = False, self.last_token
        while not self.completed:
            self.refresh()
            place = self.waits.first_due(self.now, on_time, known)
            if place is None:
                break
            fired = True
            token = self.at_place(place)
            token.task_spec.timer_due(token, place[1])
            self.settle()
        return fired

    # ---------------------------------------------------------------------------------------------------------- suspension
    def is_suspended(self, token: Token) -> bool:
        return self.suspended_since is not None or (self.definition.suspends and self.is_suspended_by_scope(token))

    def is_suspended_by_scope(self, token: Token) -> bool:
        """True if an event sub-process suspends a scope around the token, and the token is not inside it."""
        at = token
        while True:
            scope = at.workflow
            if scope.suspenders and at.id not in scope.suspenders:  # two that suspend do not suspend each other
                return True
            if scope is self:
                return False
            at = scope.host

    def freeze(self) -> None:
        """Durations and cycles of what is suspended stand still; those of what is resumed move on by the time they stood."""
        for token in self.tokens():
            if token._state == READY and token.task_spec.has_dates:
                token.task_spec.freeze(token, self.is_suspended(token))
        for token in self.waiting():
            for n, wait in enumerate(token.internal_data["waits"]):
                plan = wait.get("timer")
                if plan is None or "seen" in wait or token.task_spec.definitions[n].kind == "timeDate":
                    continue
                suspended = self.is_suspended(token)
                token.touch()
                if suspended and "frozen" not in wait:
                    wait["frozen"] = self.now
                elif not suspended and "frozen" in wait:
                    stood = self.at - datetime.fromisoformat(wait.pop("frozen"))
                    was = timers.due_at(plan)
                    plan["due"] = (was + stood).isoformat()
                    if "from" in plan:
                        plan["from"] = (datetime.fromisoformat(plan["from"]) + stood).isoformat()
                    if stood:
                        self.emit(log.TimerMoved(
                            process=token.workflow.spec.process, element=token.task_spec.event_id, token=TokenId(token.id),
                            was=was, due_at=was + stood))

    # ---------------------------------------------------------------------------------------------------- library callbacks
    def is_completed(self) -> bool:
        return self.completed


AnyWorkflow = ScopeMixin


def failed(token: Token, phase: str, exc: Exception) -> ElementFailed:
    """What an exception inside an element comes to: an incident at that element."""
    if isinstance(exc, UncaughtError):
        return ElementFailed(token, phase, "bpmn_error", str(exc))
    if isinstance(exc, FeelLimit):
        return ElementFailed(token, phase, "element", f"{exc.zh} ({exc})")
    kind = "expression" if isinstance(exc, timers.BadTime) else "element"
    return ElementFailed(token, phase, kind, str(exc) if kind == "expression" else f"{type(exc).__name__}: {exc}")


def copy_trail(trail: list[list[Any]]) -> list[list[Any]]:
    return [[fork, dict(writes)] for fork, writes in trail]
