"""Records that the parts of the engine hand each other: frozen, typed, without behaviour that needs a clock or a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, NewType, ParamSpec, Protocol, TypeVar

#: A variable's value: None, bool, int, Decimal, str, date, time, datetime (aware), timedelta, a list or a dict of these.
#: Whole numbers are `int`, others `Decimal`, never `float`. `Any`, for this is JSON's edge; the codec refuses what is not listed.
#: Written to JSON by `engine.feel.codec` (temporals as ``{"@": "2026-12-01T09:30:00+08:00"}``, decimals as ``{"#": "12.50"}``).
Value = Any
Values = Mapping[str, Value]  #: ``{variable name: value}``

InstanceId = NewType("InstanceId", int)  #: a process instance
TaskId = NewType("TaskId", int)  #: a user task
JobId = NewType("JobId", int)
IncidentId = NewType("IncidentId", int)
DefinitionId = NewType("DefinitionId", int)  #: one version of a deployed process
DeploymentId = NewType("DeploymentId", int)
DocumentId = NewType("DocumentId", int)  #: an uploaded file
TokenId = NewType("TokenId", int)  #: counts from 1 within its process instance

#: The tasks of an inbox are counted so far; a number above says "more than so many". Else counting costs more than the page.
MOST_COUNTED = 999


Arguments = ParamSpec("Arguments")
Record = TypeVar("Record")


def maker(record: Callable[Arguments, Record]) -> Callable[Arguments, Record]:
    """Return what makes records of a frozen, slotted, keyword-only dataclass as its constructor does, at a fifth of the cost.

    The constructor of a frozen dataclass sets every field through ``object.__setattr__``. Here an object of a twin that is not
    frozen is filled, then told its class. For records that a command makes by the dozen.
    """
    assert isinstance(record, type)
    own = {"__slots__": record.__slots__, "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}  # type: ignore[attr-defined]
    known: dict[str, Any] = {"_new": object.__new__, "_twin": type(record.__name__, record.__bases__, own), "_record": record}
    arguments, lines = [], ["self = _new(_twin)"]
    for n, each in enumerate(fields(record)):
        value = each.name
        if each.default is not MISSING:
            known[f"_default{n}"] = each.default
            arguments.append(f"{each.name}=_default{n}")
        elif each.default_factory is not MISSING:
            known[f"_factory{n}"], known["_missing"] = each.default_factory, MISSING
            arguments.append(f"{each.name}=_missing")
            value = f"_factory{n}() if {each.name} is _missing else {each.name}"
        else:
            arguments.append(each.name)
        lines.append(f"self.{each.name} = {value}")
    lines += ["self.__class__ = _record", "return self"]
    exec(f"def make(*, {', '.join(arguments)}):\n    " + "\n    ".join(lines), known)  # noqa: S102 - as dataclasses does
    return known["make"]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who gives a command. `groups`: role ids (`domain` roles); the engine itself acts as `SYSTEM`."""

    id: str
    name: str = ""
    groups: frozenset[str] = frozenset()
    acting_for: str | None = None  #: id of the person a deputy stands in for


SYSTEM = Actor(id="system", name="系统")


# ------------------------------------------------------------------------------------------------ diagrams and their checks
class Severity(StrEnum):
    ERROR = "error"  #: cannot be saved or deployed: not the language
    DRAFT = "draft"  #: may be saved as a draft, not deployed
    WARNING = "warning"  #: may be deployed


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem of a diagram as drawn. `element`: id of something the modeler can select; `line`: counts from 1, 0 unknown."""

    rule: str
    severity: Severity
    file: str
    element: str | None
    line: int
    zh: str
    en: str
    mend_zh: str
    mend_en: str


#: Stands among the called processes where an expression names one.
ANY_CALL = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInfo:
    """What a diagram says of one executable process, for deployment, start page and checks."""

    key: str
    name: str
    version_tag: str | None
    documentation: str
    starter_groups: frozenset[str]  #: `camunda:candidateStarterGroups`; empty: process owners only
    startable: bool  #: has a none start event (a person may start it)
    start_form: str | None  #: form id of the none start event
    start_messages: frozenset[str]
    calls: frozenset[str]  #: keys of called processes; `ANY_CALL`: an expression names any that is deployed
    forms: frozenset[str]
    decisions: frozenset[str]
    job_types: frozenset[str]
    groups: frozenset[str]
    #: ``{message: {BPMN correlation key: FEEL over the payload for each of its properties}}``
    correlations: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessDefinition:
    id: DefinitionId
    key: str
    version: int
    name: str
    version_tag: str | None
    deployment_id: DeploymentId
    sha256: str
    deployed_at: datetime
    deployed_by: str
    info: ProcessInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    id: DeploymentId
    name: str
    at: datetime
    by: str
    definitions: tuple[ProcessDefinition, ...]  #: new versions only; an unchanged diagram makes none
    findings: tuple[Finding, ...]  #: warnings


# ------------------------------------------------------------------------------------------------------- process instances
class InstanceStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


#: What lists are asked for beside a status: instances that were moved into archive files.
ARCHIVED = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInstance:
    id: InstanceId
    definition_id: DefinitionId
    key: str
    definition_version: int
    name: str  #: of the process
    title: str
    business_key: str
    status: InstanceStatus
    version: int  #: grows with every command; a page sends it back to notice that it is stale
    started_at: datetime
    started_by: str
    ended_at: datetime | None
    outcome: str | None  #: variable `outcome` when it ended, else the id of the last end event, or the cancel reason
    open_incident_count: int
    archived_in: str | None = None  #: name of the archive file that it was moved into


make_process_instance = maker(ProcessInstance)


class TaskState(StrEnum):
    OPEN = "open"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTask:
    id: TaskId
    instance_id: InstanceId
    token: TokenId
    process: str  #: key of the process the element belongs to (the called one)
    process_name: str
    element: str
    name: str
    title: str  #: of the process instance
    business_key: str
    form: str | None
    state: TaskState
    assignee: str | None
    candidate_groups: frozenset[str]
    candidate_users: frozenset[str]
    priority: int
    created_at: datetime
    due_at: datetime | None  #: informs a person
    deadline_at: datetime | None  #: something fires by itself then (interrupting boundary timer, hard stop)
    ended_at: datetime | None
    ended_by: str | None
    version: int


class JobKind(StrEnum):
    SERVICE = "service"  #: a handler's work for a token
    TIMER = "timer"  #: a due timer of a process instance
    NOTIFICATION = "notification"  #: told to a person; no token waits for it
    EVENT = "event"  #: a message or signal on its way to other process instances


class JobState(StrEnum):
    WAITING = "waiting"  #: no worker has it yet
    RUNNING = "running"  #: leased to a worker until lease_until
    FAILED = "failed"  #: no retries left; an incident is open
    DONE = "done"  #: its row is deleted
    CANCELLED = "cancelled"  #: likewise; what it was for is over


#: Every move that there is. Claimed; done, given back, tried again later, put off or reaped, failed for good; retried by a person.
#: A timer whose time changes waits again, whatever it was. A worker's move counts only under its own lease and fence.
JOB_MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.WAITING, JobState.FAILED, JobState.DONE, JobState.CANCELLED}),
    JobState.FAILED: frozenset({JobState.WAITING, JobState.CANCELLED}),
    JobState.DONE: frozenset(),
    JobState.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A failure that a person must mend. `job_id` is set when a handler failed, else an element of the diagram did."""

    id: IncidentId
    instance_id: InstanceId
    title: str
    token: TokenId | None
    job_id: JobId | None
    process: str
    element: str
    element_name: str
    kind: str  #: ``handler``, ``expression``, ``no_flow``, ``bpmn_error``, ``stuck``, …
    message: str
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An uploaded file; its bytes lie outside the database under their hash."""

    id: DocumentId
    instance_id: InstanceId
    task_id: TaskId | None
    field: str
    name: str
    media_type: str
    size: int  #: bytes
    sha256: str
    uploaded_at: datetime
    uploaded_by: str
    erased_at: datetime | None = None  #: its name and its bytes were erased lawfully


# ------------------------------------------------------------------------------------------------------ the core's in and out
@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One version of a process definition, as deployed. `xml` is the original file."""

    key: str
    version: int
    xml: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInstance:
    """`start_event`: element that starts the process, when it is not its only none start event; `trigger`: what happened there.

    It is a start event, an instantiating receive task, or an event behind an instantiating event-based gateway. `trigger` is the name
    of the message or signal, or ``timer``; an event that waits for several things goes on waiting for the others.
    """

    variables: Values = field(default_factory=dict)
    business_key: str = ""
    start_event: str | None = None
    trigger: str | None = None
    due_at: datetime | None = None  #: of the timer that starts it
    skipped: int = 0  #: turns of that timer that were missed before this one


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteUserTask:
    token: TokenId
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteJob:
    """A handler is done. `values` pass through the element's output mapping."""

    token: TokenId
    values: Values = field(default_factory=dict)


complete_user_task, complete_job = maker(CompleteUserTask), maker(CompleteJob)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrowBpmnError:
    """A handler raised `BpmnError`."""

    token: TokenId
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FireTimers:
    """Fire every timer that is due at the step's instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelateMessage:
    """`token`: the waiting token the service chose; its payload becomes variables of the scope that catches it."""

    name: str
    token: TokenId
    payload: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastSignal:
    name: str
    payload: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVariables:
    """A person mends data; `scope`: token of the sub-process or call activity, None: the process instance."""

    values: Values
    scope: TokenId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryElement:
    """Run an element again whose expression or flow choice failed (its token is parked with an incident)."""

    token: TokenId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelInstance:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendInstance:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeInstance:
    """Durations and cycles move on by the time of the suspension; dates (the buyer's, the law's) do not."""


Command = (
    StartInstance
    | CompleteUserTask
    | CompleteJob
    | ThrowBpmnError
    | FireTimers
    | CorrelateMessage
    | BroadcastSignal
    | SetVariables
    | RetryElement
    | CancelInstance
    | SuspendInstance
    | ResumeInstance
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A service task's (or send task's) work. `values`: its input mapping, or all variables it can see."""

    token: TokenId
    type: str  #: `camunda:topic`
    process: str
    element: str
    values: Values
    retries: str | None  #: `camunda:failedJobRetryTimeCycle`, e.g. ``R5/PT10M``
    properties: Mapping[str, str]  #: `camunda:properties` of the element


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    token: TokenId
    process: str
    element: str
    due_at: datetime
    host: TokenId | None = None  #: the activity whose boundary it sits on
    interrupting: bool = True


class SubscriptionKind(StrEnum):
    MESSAGE = "message"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A token waits for a message or signal.

    `correlation_key`: property `correlationKey` (FEEL), else a BPMN correlation key as text (`engine.bpmn.collaboration`; one
    subscription for each), else the business key.
    """

    token: TokenId
    kind: SubscriptionKind
    name: str
    correlation_key: str
    process: str
    element: str
    form: str | None = None  #: property `form`: a person may send it by this form
    candidate_groups: frozenset[str] = frozenset()  #: property `candidateGroups`: who may


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrownEvent:
    """A message or signal that nobody inside the instance caught (a signal: also what others may catch).

    `process`, `element`: the only process that may receive it, and where its message flow ends. `leaves`: it goes to a pool
    without a process, and nobody here need wait for it.
    """

    kind: SubscriptionKind
    name: str
    correlation_key: str
    payload: Values
    process: str | None = None
    element: str | None = None
    leaves: bool = False


class Standing(Protocol):
    """Where an instance stands after a step, worked out when somebody asks. After the next command of the same run it is too late.

    Attributes:
        state: compact bytes without the specification; opaque outside `engine.bpmn`.
        timers: every timer that is open, soonest first.
        subscriptions: every wait for a message or a signal, oldest first.
        timer_changes: ``{token: its timers now}`` of the tokens whose timers are not those that they had when the run loaded the
            instance; likewise `subscription_changes`, in which a token that waits by BPMN's correlation keys always is.
    """

    @property
    def state(self) -> bytes: ...
    @property
    def timers(self) -> tuple[Timer, ...]: ...
    @property
    def subscriptions(self) -> tuple[Subscription, ...]: ...
    @property
    def timer_changes(self) -> Mapping[TokenId, tuple[Timer, ...]]: ...
    @property
    def subscription_changes(self) -> Mapping[TokenId, tuple[Subscription, ...]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows from a command: everything the service writes in its one transaction.

    Attributes:
        events: `engine.events`, in the order in which they happened.
        told: which of them came with what became of jobs, by number.
        suspended: tokens of the user tasks that an event sub-process suspends now (the whole list), in order.
        refused: the command's target was gone once overdue timers had fired; the rest of the step is valid and is written,
            then the service raises it.
        standing: the rest, read through properties of the step.
    """

    events: Sequence[object]
    jobs: Sequence[NewJob]
    thrown: Sequence[ThrownEvent]
    status: InstanceStatus
    outcome: str | None
    told: Sequence[int] = ()
    suspended: Sequence[TokenId] = ()
    refused: Exception | None = None
    standing: Standing

    @property
    def state(self) -> bytes:
        return self.standing.state

    @property
    def timers(self) -> tuple[Timer, ...]:
        return self.standing.timers

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        return self.standing.subscriptions

    @property
    def timer_changes(self) -> Mapping[TokenId, tuple[Timer, ...]]:
        return self.standing.timer_changes

    @property
    def subscription_changes(self) -> Mapping[TokenId, tuple[Subscription, ...]]:
        return self.standing.subscription_changes


# ------------------------------------------------------------------------------------------------- what the façade hands out
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """A piece of a list. `next`: give it back as `after` (inbox) or `before` (instances) for the next piece; None: the end."""

    items: tuple[Item, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who may log in. `groups`: role ids."""

    id: str
    name: str
    mail: str
    groups: frozenset[str]
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something told to a person in the application. `link`: path within the pages, or empty."""

    id: int
    user: str
    at: datetime
    subject: str
    body: str
    link: str
    instance_id: InstanceId | None
    read_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A diagram as the modeler last saved it. `based_on`: version it was drawn from, None for a new process."""

    key: str
    xml: bytes
    sha256: str
    based_on: int | None
    saved_at: datetime
    saved_by: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One entry of a list that the modeler offers."""

    id: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What a diagram may name."""

    forms: tuple[Choice, ...]
    groups: tuple[Choice, ...]
    job_types: tuple[Choice, ...]
    decisions: tuple[Choice, ...]
    processes: tuple[Choice, ...]
    users: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessCounts:
    """Process instances of one process, all versions. `incidents`: how many of them wait for a person to mend something."""

    running: int
    finished: int
    incidents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenElement:
    """A live token: where a process instance stands.

    Attributes:
        kind: BPMN local name of the element, e.g. ``userTask``.
        state: ``ready`` (for a person), ``waiting`` (for an event, or at a join), ``started`` (something runs inside it or for
            it), ``parked`` (it failed; an incident says why), ``stuck`` (at a join that can never fire).
        scope: token of the sub-process or call activity around, None: the process instance.
        host: of a boundary event's subscription the activity, of a loop instance the activity's own token.
        is_subscription: a boundary event or event sub-process that may happen; it does not keep the instance going.
    """

    token: TokenId
    process: str
    element: str
    kind: str
    state: str
    scope: TokenId | None
    host: TokenId | None
    is_subscription: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StartEvent:
    """A none start event of a process: where a person may let it begin. `name`: its label, else its id."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """A timer start event of the newest version of a process, and when it will start an instance."""

    process: str
    version: int
    name: str  #: of the process
    element: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTimer:
    """A timer of a process instance that will fire by itself, for its page."""

    token: TokenId
    process: str
    element: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """Machine work of a process instance that is not done yet."""

    id: JobId
    kind: JobKind
    state: JobState
    type: str
    process: str
    element: str
    due_at: datetime
    attempt_count: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A place where the history is not what was written. `seq`: 0 when the chain as a whole does not fit its instance.

    `kind`: ``event``, ``payload``, ``gap``, ``tail``; ``agreement`` (tables and history differ); compared with a signed head file
    ``changed``, ``cut``, ``recomputed``, ``removed``, ``inserted``; of an archive file ``archive``.
    """

    instance_id: InstanceId
    seq: int
    kind: str
    zh: str
    en: str
    register: str = ""  #: name of the register whose chain it is; `instance_id` is its number then


#: Stands where something was erased lawfully. No file that anybody uploads is called so: it would have no accepted ending.
ERASED = "•••"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterEntry:
    """What the newest version of an entry of a register says. `owner`: the person it is about, or empty; `flagged`: it is marked
    red, because of what another register says."""

    id: int
    version: int
    withdrawn: bool
    added_at: datetime
    added_by: str
    changed_at: datetime
    changed_by: str
    owner: str
    values: Values
    flagged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterVersion:
    """One version of an entry as it was written, without what was erased since.

    `change`: ``added``, ``amended``, ``withdrawn``; or ``erased``: no version of its own, but fields (`erased`; none: everything)
    or files of all versions before it went lawfully. `seq`: its place in the chain.
    """

    version: int
    seq: int
    change: str
    at: datetime
    by: str
    reason: str
    values: Values
    erased: tuple[str, ...] = ()


#: Why a sealed price may get a new version, and what each is called. Rule R-A08.
RESEAL_REASONS: Mapping[str, tuple[str, str]] = {
    "buyer_clarification": ("招标方澄清", "clarification by the buyer"),
    "own_cost_change": ("自身成本变化", "own costs changed"),
    "arithmetic_error": ("算术更正", "arithmetic error"),
    "authorised_strategy_change": ("经批准的策略调整", "authorised change of strategy"),
}
#: Said as the reason for a new version, it is refused and reported to compliance.
BARRED_REASON = "competitor_price_learned"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPrice:
    """One version of a sealed field: everything but its value.

    Attributes:
        label, label_en: of the field, as a deployed form calls it; `columns`: ``{key: label}`` of what its rows hold.
        number: of the version, from 1.
        reason: why there is one after the first, a word of `RESEAL_REASONS`; empty for the first.
        reader_count: how many people were on the list when it was sealed.
        is_last: no later one of the field.
        matches: result of the check against the fingerprint at the opening; None before it.
        may_look: whoever asked is on the list.
    """

    field: str
    label: str
    label_en: str
    columns: Mapping[str, str]
    number: int
    sealed_at: datetime
    sealed_by: str
    fingerprint: str
    reason: str
    reader_count: int
    is_last: bool
    unsealed_at: datetime | None
    matches: bool | None
    may_look: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDate:
    """One date of a tender, see `handlers.bid_calendar`. `at`: None while nobody can know it."""

    id: str
    name: str
    article: str  #: of the law, or what else it follows from
    kind: str  #: ``law``, ``notice`` (what the notice must allow), ``ours``, ``start`` (latest start of work)
    at: datetime | None
    whole_day: bool
    state: str  #: ``ok``, ``waiting`` for what it counts from, ``unknown_year``: holidays not announced yet
    counting: str  #: how it was counted


@dataclass(frozen=True, slots=True, kw_only=True)
class BidCalendar:
    """The dates of a tender as last computed. `moved`: ``{id: instant before}`` of what the last computation moved; `title`: of the
    instance."""

    instance_id: InstanceId
    title: str
    computed_at: datetime
    dates: tuple[CalendarDate, ...]
    warnings: tuple[str, ...]
    unknown_years: tuple[int, ...]
    moved: Mapping[str, datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHold:
    """Keeps one instance, or every one of a business key, from being archived and erased until somebody lifts it."""

    id: int
    instance_id: InstanceId | None
    business_key: str | None
    reason: str
    placed_at: datetime
    placed_by: str
    lifted_at: datetime | None
    lifted_by: str | None
    lifted_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the engine is, for those who watch it.

    Attributes:
        database: it answers.
        schema: the database has the schema of this release.
        timer_lag: how long the oldest due timer has waited; zero when none is due.
        job_lag: the same of other due work.
        dispatcher_seen_at: when a process that runs due jobs was last alive; None: none ever was.
        dispatcher_silent: it has said nothing for too long.
    """

    database: bool
    schema: bool
    dispatcher_seen_at: datetime | None = None
    dispatcher_silent: bool = False
    at: datetime
    timer_lag: timedelta
    job_lag: timedelta
    waiting_job_count: int
    failed_job_count: int
    open_incident_count: int
    active_instance_count: int
    hanging_handler_count: int = 0  #: runs in this process that took too long and have not come to an end
    takes_handlers: bool = True  #: False: so many hang in this process that it has to be started again

    @property
    def ok(self) -> bool:
        """True when requests can be served, somebody runs what is due, nothing due has waited for more than a minute, and
        handlers do not pile up."""
        return self.ready and not self.dispatcher_silent and max(self.timer_lag, self.job_lag) <= timedelta(minutes=1) and self.takes_handlers

    @property
    def ready(self) -> bool:
        """True when requests can be served: the database answers, and has the schema that this release works with."""
        return self.database and self.schema
