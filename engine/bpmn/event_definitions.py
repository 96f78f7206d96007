"""What events wait for or throw: SpiffWorkflow's event definitions with the behaviour that this engine gives them.

A token that waits keeps one plain record for each definition (`waits` in its internal data)::

    {"timer": plan or None}  {"message": name, "key": correlation key}  {"signal": name}  {"error": code or None}
    {"escalation": code or None}  {"condition": was it true}  {"cancel": None}

with ``"seen": True`` once it happened (parallel multiple events wait for all) and ``"frozen": instant`` while suspended.
"""
from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from engine import events as log
from engine.bpmn import timers
from engine.bpmn.collaboration import Address, CorrelationKey, first_text, fits, key_text
from engine.bpmn.collaboration import carried as texts_carried
from engine.bpmn.spiff import (
    CancelEventDefinition,
    ConditionalEventDefinition,
    ErrorEventDefinition,
    EscalationEventDefinition,
    EventDefinition,
    MessageEventDefinition,
    SignalEventDefinition,
    TerminateEventDefinition,
    TimerEventDefinition,
)
from engine.bpmn.workflow import ARRIVING, ElementFailed, Token, Workflow
from engine.model import TokenId, Value, Values

if TYPE_CHECKING:
    from engine.bpmn.specs import Formula

Wait = dict[str, Any]
_NO_PLAN: Any = object()


class Definition:
    """In front of a library event definition. `kind`: BPMN local name without ``EventDefinition``, of a timer its time element."""

    kind = ""
    reads: frozenset[str] = frozenset()  #: variables that it depends on

    @property
    def trigger(self) -> str:
        """What a process that begins with it is started by: the name of the message or signal, or ``timer``."""
        wanted = getattr(self, "wanted", None)
        return wanted if isinstance(wanted, str) else self.kind

    @property
    def watches(self) -> bool:
        """Whether `look_again` has something to do when variables changed."""
        return bool(self.reads)

    def begin(self, token: Token, top: Workflow) -> Wait:
        """The token starts to wait: return the record of what it waits for."""
        return {self.kind: None}

    def look_again(self, token: Token, n: int, top: Workflow) -> None:
        """Variables changed."""

    def is_known(self, token: Token, top: Workflow) -> bool:
        """Whether what is waited for can be computed with the variables as they are."""
        return True

    def caught(self, code: str, message: str) -> Values:
        return {}


class Timer(Definition, TimerEventDefinition):  # type: ignore[misc]
    """`value`: the bare text, or the expression that gives the time."""

    trigger = "timer"

    def __init__(self, kind: str, value: str | Formula, zone: ZoneInfo) -> None:
        super().__init__(None, value if isinstance(value, str) else value.text)
        self.kind, self.value, self.zone = kind, value, zone
        self.reads = frozenset() if isinstance(value, str) else value.compiled.names

    def begin(self, token: Token, top: Workflow) -> Wait:
        following = token.internal_data.pop("plan", _NO_PLAN)
        if following is None:  # it has fired for the last time
            return {"timer": None, "seen": True}
        if following is _NO_PLAN:
            value = self.value if isinstance(self.value, str) else top.evaluate(token, self.value)
            if value is None and token.triggered:  # a subscription whose time is not known yet, or does not apply: no timer runs
                return {"timer": None, "since": top.now}
            try:
                following = timers.plan(self.kind, value, top.at, self.zone)
            except timers.BadTime as exc:
                raise ElementFailed(token, ARRIVING, "expression", f"{self.expression}: {exc}") from exc
        wait: Wait = {}
        self._schedule(token, wait, following, top)
        return wait

    def _schedule(self, token: Token, wait: Wait, plan: timers.Plan, top: Workflow) -> None:
        wait["timer"] = plan
        if self.kind != "timeDate" and top.is_suspended(token):
            wait["frozen"] = token.internal_data.pop("frozen", top.now)
        top.emit(log.TimerScheduled(
            process=token.workflow.spec.process, element=token.task_spec.event_id, token=TokenId(token.id),
            due_at=timers.due_at(plan)))

    def is_known(self, token: Token, top: Workflow) -> bool:
        return isinstance(self.value, str) or top.compute(token, self.value) is not None

    def look_again(self, token: Token, n: int, top: Workflow) -> None:
        wait = token.internal_data["waits"][n]
        plan = wait["timer"]
        if plan is None:
            value = None if isinstance(self.value, str) else top.compute(token, self.value)
            if value is not None:
                since = datetime.fromisoformat(wait["since"])
                try:
                    self._schedule(token, wait, timers.plan(self.kind, value, since, self.zone), top)
                except timers.BadTime as exc:  # no time yet; the record says why
                    top.emit(log.ExpressionWasNull(
                        process=token.workflow.spec.process, element=token.task_spec.event_id, token=TokenId(token.id),
                        text=self.expression, reason=str(exc)))
            return
        was = timers.due_at(plan)
        value = self.value if isinstance(self.value, str) else top.compute(token, self.value)
        try:
            if self.kind == "timeDate":
                made = timers.plan(self.kind, value, top.at, self.zone)
            elif self.kind == "timeDuration":
                made = timers.plan(self.kind, value, datetime.fromisoformat(plan["from"]), self.zone)
            else:
                made = timers.plan(self.kind, value, top.at, self.zone)
                if made["text"] == plan["text"]:
                    return
        except timers.BadTime:
            return  # the value is gone or wrong for now: the time that was agreed stands; that it was null is recorded
        if made != plan:
            wait["timer"] = made
            due = timers.due_at(made)
            if due != was:
                top.emit(log.TimerMoved(
                    process=token.workflow.spec.process, element=token.task_spec.event_id, token=TokenId(token.id),
                    was=was, due_at=due))


class Message(Definition, MessageEventDefinition):  # type: ignore[misc]
    """`key` and `payload`: expressions; without a key the business key correlates. `form`, `groups`: a person may send it.

    Attributes:
        to: receivers that message flows name, one message for each; empty: whoever waits for it.
        keys: BPMN's correlation keys that a value can be taken for from this message; they correlate where there is no `key`.
    """

    kind = "message"
    to: tuple[Address, ...] = ()
    keys: tuple[CorrelationKey, ...] = ()

    def __init__(
        self, name: str | Formula | None, key: Formula | None, payload: Formula | None, form: str | None, groups: frozenset[str]
    ) -> None:
        super().__init__(name if isinstance(name, str) else None)
        self.wanted, self.key, self.payload, self.form, self.groups = name, key, payload, form, groups
        self.reads = frozenset() if key is None else key.compiled.names

    def correlate_by(self, keys: tuple[CorrelationKey, ...]) -> None:
        if self.key is None:
            self.keys = tuple(key for key in keys if self.wanted in key.paths)
            self.reads = frozenset[str]().union(*(path.names for key in self.keys for path in key.context or ()))

    def message_name(self, token: Token, top: Workflow) -> str:
        return name_of(self.wanted, token, top, "message")

    def correlation_key(self, token: Token, top: Workflow) -> str | None:
        if self.key is None:
            return str(token.workflow.business_key)
        value = top.compute(token, self.key)
        return None if value is None else key_text(value)

    def waits_for(self, token: Token, wait: Wait, top: Workflow) -> tuple[str, ...]:
        """Return the correlation keys, as texts, of which a message must have one; empty: not known yet."""
        if not self.keys:
            return () if wait["key"] is None else (wait["key"],)
        found = []
        for key in self.keys:
            if key.context is not None:
                text = key.of_context(token.data.visible(), top.at, top.zone)
            else:
                text = top.conversation(token.data, key.name)
            if text is not None:
                found.append(text)
        if not found and any(key.context is None for key in self.keys):
            found.append(first_text(token.workflow.spec.process))
        return tuple(found)

    def carries(self, payload: Values, top: Workflow) -> dict[str, str]:
        """Return ``{correlation key: its text}`` of what a message with this payload has a value for."""
        assert isinstance(self.wanted, str) or not self.keys
        found = {key.name: key.of_message(str(self.wanted), payload, top.at, top.zone) for key in self.keys}
        return {name: text for name, text in found.items() if text is not None}

    def takes(self, token: Token, wait: Wait, top: Workflow, key: str | None, payload: Values) -> bool:
        """Whether a message of this name is for the token that waits."""
        if not self.keys:
            return bool(wait["key"] == key)
        return fits(self.waits_for(token, wait, top), texts_carried(self.carries(payload, top).values()))

    def begin(self, token: Token, top: Workflow) -> Wait:
        wait: Wait = {
            "message": self.message_name(token, top) if self.wanted is not None else None,
            "key": None if self.keys else self.correlation_key(token, top)}
        if not token.triggered and not self.waits_for(token, wait, top):
            what = ", ".join(key.name.rpartition("/")[2] for key in self.keys) if self.key is None else self.key.text
            raise ElementFailed(token, ARRIVING, "expression", f"关联键 {what} 为 null (the correlation key {what} is null)")
        return wait

    def look_again(self, token: Token, n: int, top: Workflow) -> None:
        if self.keys:
            return  # looked up whenever somebody asks
        key = self.correlation_key(token, top)
        if key is not None:
            token.internal_data["waits"][n]["key"] = key

    def content(self, token: Token, top: Workflow) -> dict[str, Value]:
        return content_of(self.payload, token, top)


class Signal(Definition, SignalEventDefinition):  # type: ignore[misc]
    kind = "signal"

    def __init__(self, name: str | Formula | None, payload: Formula | None = None) -> None:
        super().__init__(name if isinstance(name, str) else None)
        self.wanted, self.payload = name, payload

    def signal_name(self, token: Token, top: Workflow) -> str:
        return name_of(self.wanted, token, top, "signal")

    def begin(self, token: Token, top: Workflow) -> Wait:
        return {"signal": self.signal_name(token, top)}

    def content(self, token: Token, top: Workflow) -> dict[str, Value]:
        return content_of(self.payload, token, top)


class Code(Definition):
    """Error or escalation. `code` None catches every one; the variables take what was caught."""

    code: str | None
    code_variable: str | None = None
    message_variable: str | None = None

    def begin(self, token: Token, top: Workflow) -> Wait:
        return {self.kind: self.code}

    def caught(self, code: str, message: str) -> Values:
        found = {self.code_variable: code, self.message_variable: message or None}
        return {name: value for name, value in found.items() if name is not None}


class Error(Code, ErrorEventDefinition):  # type: ignore[misc]
    kind = "error"


class Escalation(Code, EscalationEventDefinition):  # type: ignore[misc]
    kind = "escalation"


class Condition(Definition, ConditionalEventDefinition):  # type: ignore[misc]
    """Happens when the condition becomes true, or is true when the token arrives."""

    kind = "condition"
    watches = True

    def __init__(self, formula: Formula) -> None:
        super().__init__(formula.text)
        self.formula = formula
        self.reads = formula.compiled.names

    def begin(self, token: Token, top: Workflow) -> Wait:
        top.changed.add("")  # it may be true already: looked at before anything else runs
        return {"condition": bool(token.internal_data.pop("was", False))}

    def look_again(self, token: Token, n: int, top: Workflow) -> None:
        wait = token.internal_data["waits"][n]
        if "seen" in wait:
            return
        before, wait["condition"] = wait["condition"], top.compute(token, self.formula) is True
        if wait["condition"] and not before:
            top.emit(log.ConditionBecameTrue(
                process=token.workflow.spec.process, element=token.task_spec.event_id, token=TokenId(token.id)))
            token.task_spec.happened(token, n, {})


class Cancel(Definition, CancelEventDefinition):  # type: ignore[misc]
    kind = "cancel"


class Terminate(Definition, TerminateEventDefinition):  # type: ignore[misc]
    kind = "terminate"


class Compensation(Definition, EventDefinition):  # type: ignore[misc]
    """`activity`: the only one to undo; None: all of the scope."""

    kind = "compensation"

    def __init__(self, activity: str | None = None, wait: bool = True) -> None:
        super().__init__()
        self.activity, self.wait = activity, wait


def content_of(payload: Formula | None, token: Token, top: Workflow) -> dict[str, Value]:
    """What goes with a message or signal that is thrown."""
    value = None if payload is None else top.evaluate(token, payload)
    if payload is None or value is None:
        return {}
    if not isinstance(value, dict):
        raise timers.BadTime(f"the payload {payload.text} is not a context")
    return value


def name_of(name: str | Formula | None, token: Token, top: Workflow, what: str) -> str:
    if isinstance(name, str):
        return name
    value = None if name is None else top.evaluate(token, name)
    if not isinstance(value, str) or not value:
        raise timers.BadTime(f"the name of the {what} is null" + ("" if name is None else f": {name.text}"))
    return value

