"""The facts of a process instance: frozen, past tense, versioned. They are written once; every view is a fold of them.

`Recorded` is the envelope that the service adds (place in the log, instant, actor). What a record's class lists in `payload`
is kept apart behind a salted commitment, so that it can be erased lawfully while the chain still verifies: form values,
variables, free text. All other fields are open and chained as they are. A changed record gets a new `version`; readers keep
understanding the old ones. A field that has its default is not written (`engine.history`): a default stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from engine.model import InstanceId, TokenId, Values, maker


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact. The class name is its type in the log."""

    version: ClassVar[int] = 1
    payload: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event in the log of its instance. `seq` counts from 1 without gaps."""

    instance_id: InstanceId
    seq: int
    at: datetime
    actor: str
    acting_for: str | None
    event: Event
    erased: bool = False  #: its payload was erased lawfully; the payload's fields are empty


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementEvent(Event):
    """Something at an element of a diagram. `process`: key of the definition the element is drawn in."""

    process: str
    element: str
    token: TokenId


# ------------------------------------------------------------------------------------------------------- process instance
@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStarted(Event):
    """`definitions`: ``{process key: version}`` pinned for the whole run, called processes included."""

    payload: ClassVar[tuple[str, ...]] = ("variables",)
    process: str
    definitions: Mapping[str, int]
    business_key: str = ""
    variables: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceCompleted(Event):
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceCancelled(Event):
    payload: ClassVar[tuple[str, ...]] = ("reason",)
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSuspended(Event):
    payload: ClassVar[tuple[str, ...]] = ("reason",)
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceResumed(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeSuspended(ElementEvent):
    """An event sub-process with the property `suspends` began: the rest of its scope stands still until it ends.

    `token`: of the event sub-process; `scope`: as in `ActivityStarted`, None for the process instance. What runs inside the
    event sub-process goes on; everything else in the scope, sub-processes and called processes included, is suspended.
    """

    scope: TokenId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeResumed(ElementEvent):
    """It ended. The scope goes on unless another event sub-process suspends it still."""

    scope: TokenId | None


# ------------------------------------------------------------------------------------------------------------ token movement
@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityStarted(ElementEvent):
    """A token arrived and the node began (any flow node). `scope`: token of the enclosing sub-process or call activity."""

    kind: str  #: BPMN local name, e.g. ``userTask``
    scope: TokenId | None = None
    host: TokenId | None = None  #: of a multi-instance or loop instance: the activity's own token


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCompleted(ElementEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCancelled(ElementEvent):
    """Interrupted; `by`: the element that did it, where one did."""

    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowTaken(ElementEvent):
    """A token left `element` over the sequence flow `flow`. `to_token`: the token it became."""

    flow: str
    to_token: TokenId
    condition: str | None = None  #: its text, when one decided
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenJoined(ElementEvent):
    """A join took this token in; `into` goes on."""

    into: TokenId


# ------------------------------------------------------------------------------------------------------------------ data
@dataclass(frozen=True, slots=True, kw_only=True)
class VariablesChanged(Event):
    """Written together. `scope`: as in `ActivityStarted`, None for the process instance; `cause`: element that wrote."""

    payload: ClassVar[tuple[str, ...]] = ("values",)
    scope: TokenId | None = None
    names: tuple[str, ...]
    cause: str | None
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class DataMended(Event):
    """A person changed variables by hand; what they wrote follows in `VariablesChanged`."""

    payload: ClassVar[tuple[str, ...]] = ("reason",)
    scope: TokenId | None
    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteConflicted(ElementEvent):
    """Two branches wrote different values to `name` before their join; the later write stands."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionWasNull(ElementEvent):
    """An expression that decides something gave null; `reason` says which part and why."""

    payload: ClassVar[tuple[str, ...]] = ("reason",)
    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionEvaluated(ElementEvent):
    """`sha256`: of the decision model; `rules`: numbers of the rows that matched, from 1."""

    payload: ClassVar[tuple[str, ...]] = ("inputs", "result")
    decision: str
    sha256: str
    rules: tuple[int, ...]
    inputs: Values
    result: object


# ------------------------------------------------------------------------------------------------------------- user tasks
@dataclass(frozen=True, slots=True, kw_only=True)
class UserTaskCreated(ElementEvent):
    """`properties` may quote variables and stand behind the commitment; logs of before have them in the open part."""

    payload: ClassVar[tuple[str, ...]] = ("properties",)
    name: str
    form: str | None = None
    assignee: str | None = None
    candidate_groups: tuple[str, ...] = ()
    candidate_users: tuple[str, ...] = ()
    priority: int = 50
    due_at: datetime | None  #: `camunda:dueDate`, property `workingDue`, else two working days
    deadline_at: datetime | None = None  #: property `deadline`: too late after this
    follow_up_at: datetime | None = None
    properties: Mapping[str, str] = field(default_factory=dict)  #: `camunda:properties`, those in FEEL evaluated


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTaskRescheduled(ElementEvent):
    """A variable that its dates read has changed, or it was suspended and what was counted as a duration stood still."""

    due_at: datetime | None
    deadline_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTaskClaimed(ElementEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTaskReleased(ElementEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTaskAssigned(ElementEvent):
    payload: ClassVar[tuple[str, ...]] = ("reason",)
    assignee: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTaskCompleted(ElementEvent):
    """`due_at`: as it stood."""

    payload: ClassVar[tuple[str, ...]] = ("values",)
    values: Values
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTaskCancelled(ElementEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTaskReminded(ElementEvent):
    """`stage`: ``half``, ``due_soon``, ``overdue``, ``overdue_owner``; `late`: more than a minute after its time."""

    stage: str
    recipients: tuple[str, ...]
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentAttached(ElementEvent):
    payload: ClassVar[tuple[str, ...]] = ("name",)
    document: int
    field: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDetached(ElementEvent):
    """Taken off again before the completion; the file itself stays, as the history names it."""

    document: int
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparationOfDutiesDenied(ElementEvent):
    """A two-person rule refused this actor."""

    rule: str


# ------------------------------------------------------------------------------------------------------------------- jobs
@dataclass(frozen=True, slots=True, kw_only=True)
class JobCreated(ElementEvent):
    job_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCompleted(ElementEvent):
    payload: ClassVar[tuple[str, ...]] = ("values",)
    job_type: str
    attempt: int = 1
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(ElementEvent):
    """`retry_at` is None when no retries are left."""

    payload: ClassVar[tuple[str, ...]] = ("message",)
    job_type: str
    attempt: int
    message: str
    retry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCancelled(ElementEvent):
    job_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSent(Event):
    payload: ClassVar[tuple[str, ...]] = ("subject",)
    process: str
    element: str | None
    channel: str  #: ``notice``, ``mail``, ``robot``
    recipients: tuple[str, ...]
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFailed(Event):
    payload: ClassVar[tuple[str, ...]] = ("message",)
    process: str
    element: str | None
    channel: str
    recipients: tuple[str, ...]
    message: str


# -------------------------------------------------------------------------------------------------------- timers and events
@dataclass(frozen=True, slots=True, kw_only=True)
class TimerScheduled(ElementEvent):
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerMoved(ElementEvent):
    """A variable it reads changed; `was` is the due date as it stood."""

    was: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(ElementEvent):
    """`late`: fired more than a minute after `due_at`; `skipped`: missed turns of a cycle that were folded into this one."""

    due_at: datetime
    late: bool = False
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerCancelled(ElementEvent):
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCorrelated(ElementEvent):
    payload: ClassVar[tuple[str, ...]] = ("values",)
    name: str
    correlation_key: str
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageThrown(ElementEvent):
    """`inside`: somebody in this instance caught it."""

    payload: ClassVar[tuple[str, ...]] = ("values",)
    name: str
    correlation_key: str
    inside: bool
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageExpired(Event):
    """A thrown message was kept and nobody came to wait for it. `leaves`: it was for a pool without a process."""

    process: str
    name: str
    correlation_key: str
    leaves: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalCaught(ElementEvent):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalThrown(ElementEvent):
    name: str
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorThrown(ElementEvent):
    """`caught_by`: element, None when nobody did (an incident follows)."""

    code: str
    caught_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationThrown(ElementEvent):
    code: str
    caught_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionBecameTrue(ElementEvent):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadsErased(Event):
    """The payloads of the events `seqs` were erased lawfully; a payload that is missing otherwise was taken away.

    `fields`: names that were erased, empty: everything; `documents`: uploaded files whose bytes and names were; `kept`: ``{seq:
    what is left of its payload}``, as a commitment covers a payload as a whole.
    """

    payload: ClassVar[tuple[str, ...]] = ("reason", "kept")
    seqs: tuple[int, ...]
    fields: tuple[str, ...] = ()
    documents: tuple[int, ...] = ()
    reason: str
    kept: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHoldPlaced(Event):
    """From now on the instance is neither archived nor erased. `hold`: its number."""

    payload: ClassVar[tuple[str, ...]] = ("reason",)
    hold: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHoldLifted(Event):
    payload: ClassVar[tuple[str, ...]] = ("reason",)
    hold: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterEntryWritten(Event):
    """A version of an entry of a register; in the chain of the register itself with its values.

    In the history of a process instance it says that the element's handler added or corrected the entry; its values stand in the
    register alone.
    `change`: ``added``, ``amended`` or ``withdrawn``.
    """

    payload: ClassVar[tuple[str, ...]] = ("values", "reason")
    register: str
    entry: int
    entry_version: int
    change: str
    process: str | None = None
    element: str | None = None
    values: Values = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRewritten(Event):
    """Rows that did not agree with the state were written anew from it. `differences`: what had differed, in words."""

    differences: tuple[str, ...]


# ---------------------------------------------------------------------------------------------------------- sealed prices
@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSealed(ElementEvent):
    """A new version of a sealed field. `fingerprint`: salted, of its value; `reason`: why there is one after the first, a word of
    `model.RESEAL_REASONS`; `reader_count`: how many people were on the list; `opens_at`: when the bids were to be opened, as known then."""

    field: str
    number: int
    fingerprint: str
    reason: str
    reader_count: int
    opens_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOpened(Event):
    """Somebody on the list looked at a sealed value; written before it was shown. `number`: of the version, from 1."""

    payload: ClassVar[tuple[str, ...]] = ("reason",)
    field: str
    number: int
    reader: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUnsealed(Event):
    """At the opening: the last version of a field against the fingerprint that stands in this history. `matches` False: nothing
    was unsealed, an incident says so."""

    process: str
    element: str | None
    field: str
    number: int
    fingerprint: str
    matches: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRefused(Event):
    """`what`: ``open``, somebody who is not on the list wanted to look; ``seal``, a new version for a reason that is none."""

    payload: ClassVar[tuple[str, ...]] = ("reason",)
    field: str
    what: str
    reason: str


# -------------------------------------------------------------------------------------------------------------- incidents
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened(ElementEvent):
    """The token stays at its element until a person retries it. `kind`: as in `model.Incident`."""

    payload: ClassVar[tuple[str, ...]] = ("message",)
    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentResolved(ElementEvent):
    payload: ClassVar[tuple[str, ...]] = ("reason",)
    kind: str
    reason: str = ""


#: ``{type name in the log: class}``
EVENT_TYPES: Mapping[str, type[Event]] = {
    cls.__name__: cls
    for cls in list(globals().values())
    if isinstance(cls, type) and issubclass(cls, Event) and cls not in (Event, ElementEvent)
}

#: What makes the events that a command has most of, as their constructors do; see `maker`.
activity_started = maker(ActivityStarted)
activity_completed = maker(ActivityCompleted)
flow_taken = maker(FlowTaken)
token_joined = maker(TokenJoined)
variables_changed = maker(VariablesChanged)
user_task_created = maker(UserTaskCreated)
user_task_claimed = maker(UserTaskClaimed)
user_task_completed = maker(UserTaskCompleted)
job_created = maker(JobCreated)
job_completed = maker(JobCompleted)
