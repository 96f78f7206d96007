"""What each element of a diagram does: SpiffWorkflow task specs, all behaviour of an element in its class.

SpiffWorkflow predicts the tasks that may follow and prunes them later; joins then reason about the predicted tree. Nothing is
predicted here: a task exists only once its token arrived, so a join counts waiting tokens and reads the diagram.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from engine import events as log
from engine.bpmn import timers
from engine.bpmn.data import Scope, without_loop_names
from engine.bpmn.event_definitions import (
    Cancel,
    Code,
    Compensation,
    Definition,
    Message,
    Signal,
    Terminate,
    Timer,
)
from engine.bpmn.spiff import FUTURE, READY, STARTED, WAITING, BpmnProcessSpec, BpmnSpecMixin, UserTaskMixin
from engine.bpmn.workflow import (
    ARRIVING,
    LEAVING,
    RUNNING,
    AnyWorkflow,
    ElementFailed,
    Token,
    Workflow,
    failed,
)
from engine.feel import Expression, Result, YearsMonths, codec
from engine.feel.dmn import DecisionModel
from engine.model import NewJob, SubscriptionKind, ThrownEvent, TokenId, Value, Values

if TYPE_CHECKING:
    from engine.bpmn.workflow import ScopeMixin
    from engine.feel.dmn import DecisionModel


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression of the diagram, compiled."""

    text: str
    compiled: Expression

    def evaluate(self, variables: Values, top: Workflow) -> Result:
        return self.compiled.evaluate(variables, top.at, zone=top.zone)


Text = str | Formula  #: plain text, or the expression that gives it


@dataclass(frozen=True, slots=True)
class Flow:
    id: str
    target: str
    condition: Formula | None = None
    default: bool = False


class Node(BpmnSpecMixin):  # type: ignore[misc]
    """Any flow node. `flows`: outgoing; `incoming`: ids of the incoming flows; `kind`: BPMN local name."""

    start_quantity = completion_quantity = 1
    is_activity = is_event = is_host = is_event_subprocess = watches = has_dates = has_moving_dates = has_deadline_of_timer = False
    reads: frozenset[str] = frozenset()  #: variables that what it waits for, or its dates, depend on
    ends_before_leaving = False  #: its work is over before a way out is chosen; a gateway's is the choice
    boundary: tuple[BoundaryEvent, ...] = ()
    handler: str | None = None
    sequential = True

    def __init__(self, wf_spec: ProcessSpec, element: str, *, kind: str, label: str | None, name: str | None = None) -> None:
        super().__init__(wf_spec, name or element, bpmn_name=label)
        self.bpmn_id = element
        self.event_id = element
        self.kind, self.process = kind, wf_spec.process
        self.flows: list[Flow] = []
        self.incoming: list[str] = []

    @property
    def label(self) -> str:
        return self.bpmn_name or self.bpmn_id

    # ---------------------------------------------------------------------------------------------------- library's hooks
    def test(self) -> None:
        """Checked once, when the diagram was read."""

    def _predict_hook(self, my_task: Token) -> None:
        """Nothing is predicted."""

    def _update(self, my_task: Token) -> None:
        try:
            if self._update_hook(my_task):
                my_task._ready()
        except ElementFailed:
            raise
        except Exception as exc:
            raise failed(my_task, ARRIVING, exc) from exc

    def _update_hook(self, my_task: Token) -> bool:
        if (my_task.id, ARRIVING) in my_task.workflow.top_workflow.parked:
            return self.enter(my_task)
        return self.arrive(my_task) and self.enter(my_task)

    def _on_ready_hook(self, my_task: Token) -> None:
        if not self.manual:
            my_task.workflow.top_workflow.agenda.append(my_task)

    def _run_hook(self, my_task: Token) -> bool | None:
        return True

    def _on_complete_hook(self, my_task: Token) -> None:
        workflow, token = my_task.workflow, my_task
        if not self.ends_before_leaving:
            self.announce_end(token)
        taken = token.taken
        if taken:
            top, specs = workflow.top_workflow, workflow.spec.task_specs
            born = []
            for flow in taken:
                for _ in range(self.completion_quantity):
                    child = Token(workflow, specs[flow.target], token)
                    child.internal_data["flow"] = flow.id
                    born.append(child)
                    if flow.id is not None:
                        top.emit(log.FlowTaken(
                            process=self.process, element=self.bpmn_id, token=TokenId(token.id), flow=flow.id,
                            to_token=TokenId(child.id), condition=None if flow.condition is None else flow.condition.text,
                            is_default=flow.default))
            top.fork(token, born)
        workflow.leave(token)
        if "owner" in token.internal_data:
            owner = workflow.owner(token)
            if owner is not None:
                owner.task_spec.child_completed(owner, token)

    def _on_error_hook(self, my_task: Token) -> None:
        """The command is given up and begun again without this element."""

    def _on_cancel(self, my_task: Token) -> None:
        my_task.workflow.leave(my_task)

    # ----------------------------------------------------------------------------------------------------- life of a token
    def announce(self, token: Token) -> None:
        """Record that the node begins."""
        owner = token.internal_data.get("owner")
        token.workflow.top_workflow.emit(log.ActivityStarted(
            process=self.process, element=self.bpmn_id, token=TokenId(token.id), kind=self.kind, scope=_place(token.workflow),
            host=None if owner is None else TokenId(owner)))

    def announce_end(self, token: Token) -> None:
        token.workflow.top_workflow.emit(
            log.ActivityCompleted(process=self.process, element=self.bpmn_id, token=TokenId(token.id)))

    def arrive(self, token: Token) -> bool:
        """True when the node may start with this token, else the token waits here."""
        if self.start_quantity == 1:
            return True
        waiting = token.workflow.tokens_at(self, token)
        return self.consume(token, waiting[: self.start_quantity - 1], len(waiting) + 1 >= self.start_quantity)

    def consume(self, token: Token, others: Iterable[Token], enough: bool = True) -> bool:
        top = token.workflow.top_workflow
        if not enough:
            token._state = WAITING
            return False
        top.unstick(token)
        for other in list(others):
            top.unstick(other)
            token.workflow.absorb(other, token)
        top.joined(token)
        return True

    def why_stuck(self, token: Token) -> str:
        """Say what a join lacks that waits in vain, in both languages."""
        zh, en = self.lacks(token)
        return (
            f"“{self.label}”永远等不齐：{zh}，而这里的其他令牌也都停在汇合处。请更正流程图；重试则以已到达的分支继续。"
            f" (“{self.label}” can never fire: {en}, and every other token here waits at a join. Mend the diagram; a retry goes on"
            " with what has arrived.)")

    def lacks(self, token: Token) -> tuple[str, str]:
        """What a join waits for, in Chinese and English."""
        count = len(token.workflow.tokens_at(self))
        return f"需要 {self.start_quantity} 个令牌，只到达 {count} 个", f"it needs {self.start_quantity} tokens and has {count}"

    def together(self, token: Token) -> list[Token]:
        """The other tokens at the join that go on with this one when a person says so."""
        return token.workflow.tokens_at(self, token)[: self.start_quantity - 1]

    def go_on(self, token: Token) -> None:
        """A person lets a join that can never fire go on with what has arrived."""
        self.consume(token, self.together(token))
        try:
            if self.enter(token):
                token._ready()
        except ElementFailed:
            raise
        except Exception as exc:
            raise failed(token, ARRIVING, exc) from exc

    def enter(self, token: Token) -> bool:
        self.announce(token)
        return self._enter(token)

    def _enter(self, token: Token) -> bool:
        top = token.workflow.top_workflow
        if (token.id, ARRIVING) in top.parked:
            top.park(token, ARRIVING)
            return False
        return self.entered(token)

    def begin(self, token: Token) -> None:
        """Start with a token whose beginning is recorded already: a loop instance, or a parked arrival that is tried again."""
        try:
            if self._enter(token):
                token._ready()
        except ElementFailed:
            raise
        except Exception as exc:
            raise failed(token, ARRIVING, exc) from exc

    def entered(self, token: Token) -> bool:
        """The node starts with this token; True when it may run at once."""
        return True

    def started(self, token: Token) -> None:
        """Called when `_run_hook` returned None: the work of the node that may end, or cancel, other tokens."""

    def finish(self, token: Token) -> None:
        """The work is done; leaving comes next."""

    def cancelled(self, token: Token, by: str | None) -> None:
        """The token is interrupted."""
        top = token.workflow.top_workflow
        if token.is_parked:
            top.emit(log.IncidentResolved(
                process=self.process, element=self.bpmn_id, token=TokenId(token.id), kind=token.internal_data["incident"][0],
                reason="cancelled"))
        top.unstick(token, "cancelled")
        if not (self.ends_before_leaving and "finished" in token.internal_data):
            top.emit(log.ActivityCancelled(process=self.process, element=self.bpmn_id, token=TokenId(token.id), by=by))

    def parked(self, token: Token) -> None:
        """The token is about to be parked before its work is done."""

    def child_completed(self, token: Token, child: Token) -> None:
        raise NotImplementedError

    def keeps(self, token: Token, scope: AnyWorkflow) -> bool:
        return False

    # ------------------------------------------------------------------------------------------------------------- leaving
    def choose(self, token: Token) -> list[Flow]:
        """Every flow without condition or whose condition holds; the default flow when no condition holds."""
        if len(self.flows) == 1 and self.flows[0].condition is None:
            return self.flows
        return self.select(token, first=False)

    def select(self, token: Token, first: bool) -> list[Flow]:
        """Return the flows to take.

        Raises:
            ElementFailed: there is none, or a condition was null and the default flow would hide that.
        """
        top = token.workflow.top_workflow
        taken: list[Flow] = []
        nulls: list[str] = []
        conditional = False
        for flow in self.flows:
            if flow.default:
                continue
            if flow.condition is None:
                taken.append(flow)
            else:
                result = flow.condition.evaluate(token.data.visible(), top)
                if result.value is None:
                    reason = "; ".join(result.reasons)
                    nulls.append(f"{flow.id}: {flow.condition.text} is null" + (f" ({reason})" if reason else ""))
                    top.emit(log.ExpressionWasNull(
                        process=self.process, element=self.bpmn_id, token=TokenId(token.id), text=flow.condition.text,
                        reason=reason))
                elif result.value is True:
                    conditional = True
                    taken.append(flow)
            if first and taken:
                return taken
        if not conditional:
            default = [flow for flow in self.flows if flow.default]
            if default and nulls:
                raise ElementFailed(token, LEAVING, "null_condition", "; ".join(nulls))
            taken += default
        if not taken and self.flows:
            raise ElementFailed(token, LEAVING, "no_flow", "; ".join(nulls) or "no condition of an outgoing flow holds")
        return taken


# ------------------------------------------------------------------------------------------------------------- activities
@dataclass(frozen=True, slots=True)
class Mapping:
    """`camunda:inputOutput`: (name, text or expression) pairs."""

    inputs: tuple[tuple[str, Text], ...] = ()
    outputs: tuple[tuple[str, Text], ...] = ()


class Activity(Node):
    """`boundary`: boundary events; `handler`: name of the compensation handler; `mapping`: inputs and outputs."""

    is_activity = ends_before_leaving = True
    mapping = Mapping()
    for_compensation = False

    def entered(self, token: Token) -> bool:
        self.prepare(token)
        for spec in self.boundary:
            token.workflow.subscribe(spec, host=token.id)
        return True

    def prepare(self, token: Token) -> None:
        """Read what the activity needs; may fail."""
        self.bind_inputs(token)

    def bind_inputs(self, token: Token) -> None:
        if not self.mapping.inputs:
            return
        top = token.workflow.top_workflow
        values = {name: text_of(text, token, top) for name, text in self.mapping.inputs}
        own = own_scope(token)
        top.write(token, values, scope=own, here=True)

    def give_out(self, token: Token, values: Values) -> None:
        """Write a result: through the output mapping, or as it is. Inputs are local, so the search begins outside them."""
        top = token.workflow.top_workflow
        outside = outer_scope(token)
        if self.mapping.outputs:
            local = Scope(token.id, token.data, keeps_new=True, values=dict(values))
            values = {
                name: text if isinstance(text, str) else top.compute(token, text, local) for name, text in self.mapping.outputs
            }
        top.write(token, values, scope=outside)

    def keep_result(self, token: Token, values: Values) -> None:
        """The result cannot be taken over for now: keep it for the retry."""
        token.internal_data["result"] = codec.dump(dict(values)).decode()

    def undo(self, token: Token) -> None:
        """The activity is a compensation handler and has to run now."""
        self._update(token)

    def finish(self, token: Token) -> None:
        if self.boundary:
            token.workflow.drop_subscriptions(token)
        self.announce_end(token)
        if self.is_kept(token):
            workflow = token.workflow
            workflow.kept[token.id] = token
            token.internal_data["done"] = workflow.top_workflow.tick()

    def is_kept(self, token: Token) -> bool:
        """A compensation may have to find it."""
        top = token.workflow.top_workflow
        if not top.definition.compensates or self.is_event_subprocess or "undoes" in token.internal_data:
            return False
        if self.handler is not None:
            return True
        owner = token.internal_data.get("owner")
        if owner is not None:
            host = top.find(owner)
            return host is not None and host.task_spec.is_host and host.task_spec.handler is not None
        return False


class Task(Activity):
    """task, manualTask: nothing to do for the engine."""


@dataclass(frozen=True, slots=True)
class UserTaskFields:
    """What a diagram says of a user task; expressions unevaluated."""

    form: Text | None = None
    assignee: Text | None = None
    groups: Text | None = None
    users: Text | None = None
    priority: Text | None = None
    due: Text | None = None
    follow_up: Text | None = None
    working_due: Text | None = None
    deadline: Text | None = None
    properties: tuple[tuple[str, Text], ...] = ()


class UserTask(UserTaskMixin, Activity):  # type: ignore[misc]
    """Work for a person. `working_due`: the rule that counts working days (instant, days, zone) -> instant.

    Its token remembers ``since``, ``due``, ``deadline`` (ISO 8601, UTC), while it is suspended ``frozen`` (since when), and
    ``stood``: seconds that it was suspended before.
    """

    has_dates = True

    def __init__(
        self, wf_spec: ProcessSpec, element: str, fields: UserTaskFields, zone: ZoneInfo,
        working_due: Callable[[datetime, int, str], datetime], **kwargs: Any,
    ) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.manual = True
        self.fields, self.zone, self.working_due = fields, zone, working_due
        moving = [f for f in (fields.due, fields.deadline, fields.working_due) if isinstance(f, Formula)]
        self.has_moving_dates = bool(moving)
        self.has_deadline_of_timer = fields.deadline is None
        self.reads = frozenset[str]().union(*(formula.compiled.names for formula in moving))

    def _run_hook(self, my_task: Token) -> bool | None:
        return True

    def prepare(self, token: Token) -> None:
        self.bind_inputs(token)
        top, fields, data = token.workflow.top_workflow, self.fields, token.internal_data
        data["since"] = top.at.isoformat()
        if top.is_suspended(token):
            data["frozen"] = top.at.isoformat()
        due, deadline = self.dates(token)
        self._remember(token, due, deadline)
        priority = 50 if fields.priority is None else text_of(fields.priority, token, top)
        try:
            priority = max(0, min(100, int(priority)))
        except (TypeError, ValueError) as exc:
            raise timers.BadTime(f"the priority {shown(fields.priority)} is {priority!r}, not a number from 0 to 100") from exc
        follow_up = self._instant(token, fields.follow_up, top.at)
        top.emit(log.UserTaskCreated(
            process=self.process, element=self.bpmn_id, token=TokenId(token.id), name=self.label,
            form=optional_text(fields.form, token, top), assignee=optional_text(fields.assignee, token, top),
            candidate_groups=text_list(fields.groups, token, top), candidate_users=text_list(fields.users, token, top),
            priority=priority, due_at=due, deadline_at=deadline, follow_up_at=follow_up,
            properties={name: plain(text_of(text, token, top)) for name, text in fields.properties}))

    def dates(self, token: Token) -> tuple[datetime | None, datetime | None]:
        """Return (due, deadline): `camunda:dueDate`, property `workingDue`, else two working days.

        What is due some time after the beginning is due later by the time that the task was suspended; a deadline never moves.
        """
        top, fields = token.workflow.top_workflow, self.fields
        since = datetime.fromisoformat(token.internal_data["since"])
        from_ = since + timedelta(seconds=token.internal_data.get("stood", 0))
        due = self._instant(token, fields.due, from_)
        if fields.due is None:
            days = 2 if fields.working_due is None else text_of(fields.working_due, token, top)
            try:
                days = int(days)
            except (TypeError, ValueError) as exc:
                raise timers.BadTime(f"workingDue {shown(fields.working_due)} is {days!r}, not a number of days") from exc
            due = self.working_due(from_, days, self.zone.key).astimezone(UTC)
        if fields.deadline is not None:
            return due, self._instant(token, fields.deadline, since)
        stopped = token.internal_data.get("deadline")
        return due, datetime.fromisoformat(stopped) if stopped else None

    def stopped_at(self, token: Token, deadline: datetime) -> None:
        """A timer on the boundary will interrupt the task at `deadline`."""
        data, top = token.internal_data, token.workflow.top_workflow
        if data["deadline"] == deadline.isoformat():
            return
        data["deadline"] = deadline.isoformat()
        for n, event in enumerate(top.events):
            if isinstance(event, log.UserTaskCreated) and event.token == token.id:
                top.events[n] = replace(event, deadline_at=deadline)
                return
        top.emit(log.UserTaskRescheduled(
            process=self.process, element=self.bpmn_id, token=TokenId(token.id),
            due_at=datetime.fromisoformat(data["due"]) if data["due"] else None, deadline_at=deadline))

    def _instant(self, token: Token, text: Text | None, since: datetime) -> datetime | None:
        if text is None:
            return None
        value = text_of(text, token, token.workflow.top_workflow)
        if value is None:
            return None
        if isinstance(value, timedelta | YearsMonths) or (isinstance(value, str) and value.startswith("P")):
            return timers.add_duration(since, timers.duration_text(value), self.zone)
        return timers.instant(value, self.zone)

    @staticmethod
    def _remember(token: Token, due: datetime | None, deadline: datetime | None) -> None:
        token.internal_data["due"] = due and due.isoformat()
        token.internal_data["deadline"] = deadline and deadline.isoformat()

    def look_again(self, token: Token) -> None:
        """A variable changed that the dates may read, or the task goes on after it was suspended."""
        data = token.internal_data
        try:
            due, deadline = self.dates(token)
        except timers.BadTime:
            return  # wrong for now: the date that was agreed stands
        if (due and due.isoformat(), deadline and deadline.isoformat()) != (data["due"], data["deadline"]):
            self._remember(token, due, deadline)
            token.workflow.top_workflow.emit(log.UserTaskRescheduled(
                process=self.process, element=self.bpmn_id, token=TokenId(token.id), due_at=due, deadline_at=deadline))

    def freeze(self, token: Token, suspended: bool) -> None:
        """Stand still, or go on: then what counts from the beginning moves by the time that it stood."""
        data, top = token.internal_data, token.workflow.top_workflow
        if suspended:
            data.setdefault("frozen", top.at.isoformat())
        elif "frozen" in data:
            data["stood"] = data.get("stood", 0) + (top.at - datetime.fromisoformat(data.pop("frozen"))).total_seconds()
            if data["due"] is not None and self.due_is_relative(token):
                self.look_again(token)

    def due_is_relative(self, token: Token) -> bool:
        """True if the due date is a time after the beginning, not a date of its own."""
        if self.fields.due is None:
            return True
        value = text_of(self.fields.due, token, token.workflow.top_workflow)
        return isinstance(value, timedelta | YearsMonths) or (isinstance(value, str) and value.startswith("P"))

    def submit(self, token: Token, values: Values) -> None:
        """A person completed it."""
        self._announce_completion(token, values)
        self.give_out(token, values)
        token.complete()

    def keep_result(self, token: Token, values: Values) -> None:
        """The person has done it, whatever is wrong with the diagram's mapping."""
        self._announce_completion(token, values)
        super().keep_result(token, values)

    def _announce_completion(self, token: Token, values: Values) -> None:
        due = token.internal_data.get("due")
        token.workflow.top_workflow.emit(log.UserTaskCompleted(
            process=self.process, element=self.bpmn_id, token=TokenId(token.id), values=dict(values),
            due_at=datetime.fromisoformat(due) if due else None))

    def cancelled(self, token: Token, by: str | None) -> None:
        if token._state == READY:
            token.workflow.top_workflow.emit(
                log.UserTaskCancelled(process=self.process, element=self.bpmn_id, token=TokenId(token.id)))
        super().cancelled(token, by)


class ScriptTask(Activity):
    """A FEEL expression: its value goes to `variable`, or, being a context, its entries become variables."""

    def __init__(self, wf_spec: ProcessSpec, element: str, formula: Formula, variable: str | None, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.formula, self.variable = formula, variable

    def _run_hook(self, my_task: Token) -> bool | None:
        value = my_task.workflow.top_workflow.evaluate(my_task, self.formula)
        self.give_out(my_task, as_variables(value, self.variable, self.formula.text))
        return True


class BusinessRuleTask(Activity):
    """A DMN decision. `shape`: `camunda:mapDecisionResult`; None: the value as the decision gives it."""

    def __init__(
        self, wf_spec: ProcessSpec, element: str, decision: str, model: DecisionModel, sha256: str, shape: str | None,
        variable: str | None, **kwargs: Any,
    ) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.decision, self.model, self.sha256, self.shape, self.variable = decision, model, sha256, shape, variable

    def _run_hook(self, my_task: Token) -> bool | None:
        top = my_task.workflow.top_workflow
        answer = self.model.decide(self.decision, my_task.data.visible(), top.at, zone=top.zone)
        value = self.shaped(answer.value)
        top.emit(log.DecisionEvaluated(
            process=self.process, element=self.bpmn_id, token=TokenId(my_task.id), decision=self.decision, sha256=self.sha256,
            rules=tuple(answer.rules), inputs=dict(answer.inputs), result=value))
        if value is None:
            top.emit(log.ExpressionWasNull(
                process=self.process, element=self.bpmn_id, token=TokenId(my_task.id), text=self.decision,
                reason="; ".join(answer.reasons)))
        self.give_out(my_task, as_variables(value, self.variable, f"decision {self.decision}"))
        return True

    def shaped(self, value: Value) -> Value:
        if self.shape is None:
            return value
        rows = value if isinstance(value, list) else [] if value is None else [value]
        if self.shape == "resultList":
            return rows
        if self.shape == "collectEntries":
            return [self._entry(row) for row in rows]
        if len(rows) > 1:
            raise timers.BadTime(f"decision {self.decision} gave {len(rows)} results where {self.shape} wants one")
        if not rows:
            return None
        return rows[0] if self.shape == "singleResult" else self._entry(rows[0])

    def _entry(self, row: Value) -> Value:
        if not isinstance(row, dict):
            return row
        if len(row) != 1:
            raise timers.BadTime(f"decision {self.decision} gave {len(row)} entries where {self.shape} wants one")
        return next(iter(row.values()))


class JobTask(Activity):
    """Service task or send task whose work a handler does later, as a job; the token waits."""

    def __init__(
        self, wf_spec: ProcessSpec, element: str, topic: Text, retries: str | None, properties: tuple[tuple[str, Text], ...],
        **kwargs: Any,
    ) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.topic, self.retries, self.properties = topic, retries, properties

    def _run_hook(self, my_task: Token) -> bool | None:
        return None

    def started(self, token: Token) -> None:
        top = token.workflow.top_workflow
        type_ = text_of(self.topic, token, top)
        if not isinstance(type_, str) or not type_:
            raise timers.BadTime(f"the job type {shown(self.topic)} is null")
        token.internal_data["job"] = type_
        values = own_scope(token).values if self.mapping.inputs else token.data.visible()
        if self.mapping.inputs:
            values = {name: values[name] for name, _ in self.mapping.inputs}
        top.jobs.append(NewJob(
            token=TokenId(token.id), type=type_, process=self.process, element=self.bpmn_id, values=dict(values),
            retries=self.retries, properties={name: plain(text_of(text, token, top)) for name, text in self.properties}))
        top.emit(log.JobCreated(process=self.process, element=self.bpmn_id, token=TokenId(token.id), job_type=type_))

    def job_done(self, token: Token, values: Values) -> None:
        """The handler is done."""
        del token.internal_data["job"]
        self.give_out(token, values)
        token.complete()

    def keep_result(self, token: Token, values: Values) -> None:
        """The handler must not run again for what is wrong with the diagram's mapping."""
        del token.internal_data["job"]
        super().keep_result(token, values)

    def cancelled(self, token: Token, by: str | None) -> None:
        if "job" in token.internal_data:
            token.workflow.top_workflow.emit(log.JobCancelled(
                process=self.process, element=self.bpmn_id, token=TokenId(token.id), job_type=token.internal_data["job"]))
        super().cancelled(token, by)


class SubProcess(Activity):
    """An embedded sub-process: a scope of its own. `inner`: name of the process spec."""

    def __init__(self, wf_spec: ProcessSpec, element: str, inner: str, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.inner = inner

    def _run_hook(self, my_task: Token) -> bool | None:
        return None

    def started(self, token: Token) -> None:
        token.workflow.top_workflow.create_subprocess(token, self.inner).begin()

    def open_scope(self, token: Token) -> tuple[Scope, str]:
        """Return the variables and the business key of the new scope."""
        return Scope(token.id, token.data, keeps_new=False), token.workflow.business_key

    def scope_completed(self, token: Token, scope: AnyWorkflow) -> None:
        token.complete()

    def is_kept(self, token: Token) -> bool:
        top = token.workflow.top_workflow
        return super().is_kept(token) or (
            top.definition.compensates and not self.is_event_subprocess and "undoes" not in token.internal_data
            and self._has_undoable(top.subprocesses.get(token.id)))

    @staticmethod
    def _has_undoable(scope: AnyWorkflow | None) -> bool:
        return scope is not None and (bool(scope.kept) or any(s.on_compensation for s in scope.spec.event_subprocesses))

    def keeps(self, token: Token, scope: AnyWorkflow) -> bool:
        """After its completion the scope stays for a compensation."""
        return token.id in token.workflow.kept and self._has_undoable(scope)


class Transaction(SubProcess):
    pass


#: `camunda:in` and `camunda:out`: (source, target); source None: all variables.
Pairs = tuple[tuple[Formula | None, str | None], ...]


class CallActivity(SubProcess):
    """A called process: a scope that sees nothing but what is mapped in. None: no mapping, everything goes in and out."""

    takes: Pairs | None = None
    gives: Pairs | None = None
    key: Formula | None = None

    def open_scope(self, token: Token) -> tuple[Scope, str]:
        top = token.workflow.top_workflow
        key = token.workflow.business_key
        if self.key is not None:
            value = top.evaluate(token, self.key)
            key = "" if value is None else str(value)
        scope = Scope(token.id, None, keeps_new=True)
        top.write(token, self.copied(self.takes, token, token.data), scope=scope, here=True)
        return scope, key

    def copied(self, pairs: Pairs | None, token: Token, source: Scope) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for formula, target in ((None, None),) if pairs is None else pairs:
            if formula is None or target is None:
                values.update(without_loop_names(source.visible()))
            else:
                values[target] = token.workflow.top_workflow.compute(token, formula, source)
        return values

    def scope_completed(self, token: Token, scope: AnyWorkflow) -> None:
        self.give_out(token, self.copied(self.gives, token, scope.scope))
        token.complete()


class AdHocSubProcess(SubProcess):
    """Every activity without incoming flow runs once, side by side."""


# ------------------------------------------------------------------------------------------------------------------ loops
class Looping(Activity):
    """Host of the instances of a loop or multi-instance activity. `inner`: name of the spec of one instance."""

    is_host = True
    keeps_new = False

    def __init__(self, wf_spec: ProcessSpec, element: str, inner: str, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.inner = inner

    def _run_hook(self, my_task: Token) -> bool | None:
        return None

    def bind_inputs(self, token: Token) -> None:
        """Inputs belong to each instance."""

    def instance(self, token: Token, **local: Value) -> None:
        workflow = token.workflow
        child = Token(workflow, workflow.spec.task_specs[self.inner])
        child.internal_data["owner"] = token.id
        child.data = Scope(child.id, token.data, keeps_new=self.keeps_new, values={})
        child.task_spec.announce(child)
        workflow.top_workflow.write(child, local, scope=child.data, here=True)
        child.task_spec.begin(child)

    def is_kept(self, token: Token) -> bool:
        return super().is_kept(token) or any(t.internal_data.get("owner") == token.id for t in token.workflow.kept.values())


class StandardLoop(Looping):
    def __init__(
        self, wf_spec: ProcessSpec, element: str, inner: str, condition: Formula | None, maximum: Text | None,
        test_before: bool, **kwargs: Any,
    ) -> None:
        super().__init__(wf_spec, element, inner, **kwargs)
        self.condition, self.maximum, self.test_before = condition, maximum, test_before

    def again(self, token: Token, turns: int) -> bool:
        top = token.workflow.top_workflow
        if self.maximum is not None and turns >= int(text_of(self.maximum, token, top)):
            return False
        return self.condition is None or top.holds(token, self.condition)

    def started(self, token: Token) -> None:
        token.data = Scope(token.id, token.data, keeps_new=False, values={"loopCounter": 0})
        if self.test_before and not self.again(token, 0):
            token.complete()
        else:
            self.instance(token, loopCounter=1)

    def child_completed(self, token: Token, child: Token) -> None:
        turns = token.data.values["loopCounter"] + 1
        token.data.put({"loopCounter": turns})
        if self.again(token, turns):
            self.instance(token, loopCounter=turns + 1)
        else:
            token.complete()


@dataclass(frozen=True, slots=True)
class MultiInstanceFields:
    """`behavior`, `event`: the event thrown to the boundary after each ('None') or the first ('One') instance."""

    sequential: bool
    cardinality: Formula | None = None
    collection: Formula | None = None
    item: str | None = None
    condition: Formula | None = None
    output: str | None = None
    output_element: Formula | None = None
    behavior: str = "All"
    event: Definition | None = None


class MultiInstance(Looping):
    keeps_new = True

    def __init__(self, wf_spec: ProcessSpec, element: str, inner: str, fields: MultiInstanceFields, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, inner, **kwargs)
        self.fields, self.sequential = fields, fields.sequential

    def started(self, token: Token) -> None:
        top, fields = token.workflow.top_workflow, self.fields
        items: list[Value] | None = None
        if fields.collection is not None:
            value = top.evaluate(token, fields.collection)
            if not isinstance(value, list):
                raise timers.BadTime(f"the collection {fields.collection.text} is {shown_value(value)}, not a list")
            items, total = value, len(value)
        else:
            assert fields.cardinality is not None
            number = top.evaluate(token, fields.cardinality)
            if isinstance(number, bool) or not isinstance(number, int | Decimal) or number < 0 or number != int(number):
                raise timers.BadTime(f"the number of instances {fields.cardinality.text} is {shown_value(number)}")
            total = int(number)
        local: dict[str, Value] = {"nrOfInstances": total, "nrOfCompletedInstances": 0, "nrOfActiveInstances": 0}
        if fields.output:
            local[fields.output] = [None] * total
        token.data = Scope(token.id, token.data, keeps_new=False, values=local)
        if total == 0:
            self.end(token)
            return
        if items is not None and fields.sequential:
            token.data.put({"(items)": items})
        for n in range(1 if fields.sequential else total):
            self.next(token, n, items)
            if token._state != STARTED:
                return

    def next(self, token: Token, n: int, items: list[Value] | None) -> None:
        local: dict[str, Value] = {"loopCounter": n + 1}
        if items is not None and self.fields.item:
            local[self.fields.item] = items[n]
        token.data.put({"nrOfActiveInstances": token.data.values["nrOfActiveInstances"] + 1})
        self.instance(token, **local)

    def child_completed(self, token: Token, child: Token) -> None:
        top, fields, counters = token.workflow.top_workflow, self.fields, token.data.values
        done = counters["nrOfCompletedInstances"] + 1
        token.data.put({"nrOfCompletedInstances": done, "nrOfActiveInstances": counters["nrOfActiveInstances"] - 1})
        if fields.output and fields.output_element is not None:
            gathered = list(counters[fields.output])
            gathered[child.data.values["loopCounter"] - 1] = top.compute(child, fields.output_element)
            token.data.put({fields.output: gathered})
        if fields.event is not None and (fields.behavior == "None" or done == 1):
            self.notify(token, fields.event)
        if token._state != STARTED:
            return
        if done == counters["nrOfInstances"] or (fields.condition is not None and top.holds(child, fields.condition)):
            token.workflow.kill_instances(token, self.bpmn_id)
            self.end(token)
        elif fields.sequential:
            self.next(token, done, counters.get("(items)"))

    def end(self, token: Token) -> None:
        if self.fields.output:
            outside = token.data.parent
            assert outside is not None
            token.workflow.top_workflow.write(
                token, {self.fields.output: token.data.values[self.fields.output]}, scope=outside)
        token.complete()

    def notify(self, token: Token, event: Definition) -> None:
        """Implicit event of a multi-instance activity: reaches its boundary events, which do not interrupt it."""
        for receiver in token.workflow.subscriptions(token):
            for n, wait in enumerate(receiver.internal_data.get("waits", ())):
                name = event.code if isinstance(event, Code) else getattr(event, "wanted", None)
                if event.kind in wait and wait[event.kind] in (name, None):
                    receiver.internal_data["notice"] = True
                    receiver.task_spec.happened(receiver, n, {})


# --------------------------------------------------------------------------------------------------------------- gateways
class ExclusiveGateway(Node):
    def choose(self, token: Token) -> list[Flow]:
        if len(self.flows) == 1 and self.flows[0].condition is None:
            return self.flows
        return self.select(token, first=True)


class Join(Node):
    """What gateways have in common that wait for tokens over several flows."""

    def lacks(self, token: Token) -> tuple[str, str]:
        arrived = {t.internal_data["flow"] for t in token.workflow.tokens_at(self)}
        missing = [flow for flow in self.incoming if flow not in arrived]
        sources = {flow.id: node.label for node in token.workflow.spec.task_specs.values() for flow in node.flows}
        zh = "、".join(f"“{sources.get(flow, flow)}”({flow})" for flow in missing)
        en = ", ".join(f"“{sources.get(flow, flow)}” ({flow})" for flow in missing)
        return f"缺少来自{zh}的分支", f"nothing comes from {en}"

    def together(self, token: Token) -> list[Token]:
        """One token of each other flow."""
        others: dict[str, Token] = {}
        for waiting in token.workflow.tokens_at(self, token):
            others.setdefault(waiting.internal_data["flow"], waiting)
        others.pop(token.internal_data["flow"], None)
        return list(others.values())


class ParallelGateway(Join):
    """Takes exactly one token from every incoming flow; more tokens of a flow stay for the next time."""

    def choose(self, token: Token) -> list[Flow]:
        return self.flows

    def arrive(self, token: Token) -> bool:
        if len(self.incoming) < 2:
            return True
        others = self.together(token)
        return self.consume(token, others, len(others) + 1 >= len(self.incoming))


class InclusiveGateway(Join):
    """Waits while a token elsewhere in the scope can still reach an incoming flow that has none (and none that has one).

    Decided by `try_release` when nothing else can run, on the diagram, not on a task tree.
    """

    def choose(self, token: Token) -> list[Flow]:
        if len(self.flows) == 1 and self.flows[0].condition is None:
            return self.flows
        return self.select(token, first=False)

    def arrive(self, token: Token) -> bool:
        return len(self.incoming) < 2 or self.consume(token, [], False)

    def expected(self, workflow: AnyWorkflow, flows: set[str]) -> bool:
        """True when a further token may come over an incoming flow that is not in `flows`."""
        empty = set(self.incoming) - flows
        for token in workflow.live_tokens():
            if token.task_spec is self and token._state == WAITING:
                continue
            reach = workflow.spec.reachable(token.task_spec, self)
            if reach & empty and not reach & flows:
                return True
        return False

    def try_release(self, workflow: AnyWorkflow) -> bool:
        tokens: dict[str, Token] = {}
        for token in workflow.tokens_at(self):
            tokens.setdefault(token.internal_data["flow"], token)
        if not tokens or self.expected(workflow, set(tokens)):
            return False
        first, *others = tokens.values()
        self.consume(first, others)
        self.release(first)
        return True

    def release(self, token: Token) -> None:
        if self.enter(token):
            token._ready()


class ComplexGateway(InclusiveGateway):
    """Fires when its activation condition holds, then swallows the tokens that are still expected, then is ready again."""

    def __init__(self, wf_spec: ProcessSpec, element: str, condition: Formula | None, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.condition = condition

    def arrive(self, token: Token) -> bool:
        workflow, flow = token.workflow, str(token.internal_data.get("flow", ""))
        state = workflow.gateways.get(self.name, [])
        if len(self.incoming) < 2 or (state and flow not in state):  # second case: after the activation
            if state:
                workflow.gateways[self.name] = [*state, flow]
                token.internal_data["swallow"] = True
            return True
        waiting = workflow.tokens_at(self, token)
        if self.condition is None:
            return self.consume(token, [], False)
        local = Scope(token.id, token.data, keeps_new=False, values={"activationCount": len(waiting) + 1})
        go = self.consume(token, waiting, workflow.top_workflow.holds(token, self.condition, local))
        if go:
            workflow.gateways[self.name] = [*state, *(t.internal_data["flow"] for t in (token, *waiting))]
        return go

    def lacks(self, token: Token) -> tuple[str, str]:
        if self.condition is None:
            return super().lacks(token)
        return f"激活条件 {self.condition.text} 不成立", f"its activation condition {self.condition.text} does not hold"

    def go_on(self, token: Token) -> None:
        if self.condition is not None:
            waiting = [token, *self.together(token)]
            state = token.workflow.gateways.get(self.name, [])
            token.workflow.gateways[self.name] = [*state, *(t.internal_data["flow"] for t in waiting)]
        super().go_on(token)

    def choose(self, token: Token) -> list[Flow]:
        return [] if "swallow" in token.internal_data else super().choose(token)

    def try_release(self, workflow: AnyWorkflow) -> bool:
        if self.condition is None:
            return super().try_release(workflow)
        state = workflow.gateways.get(self.name)
        if state and (len(set(state)) >= len(self.incoming) or not self.expected(workflow, set(state))):
            del workflow.gateways[self.name]  # reset: tokens that waited count for the next turn
            for token in workflow.tokens_at(self):
                token._state = FUTURE
                if self.arrive(token):
                    self.release(token)
                    return True
        return False


class EventBasedGateway(Node):
    """Puts a token on every event behind it; the first event to happen removes the others."""

    def choose(self, token: Token) -> list[Flow]:
        return self.flows

    def _on_complete_hook(self, my_task: Token) -> None:
        super()._on_complete_hook(my_task)
        for child in my_task.children:
            child.internal_data["race"] = my_task.id


# ----------------------------------------------------------------------------------------------------------------- events
class Catching(Activity):
    """An element that waits for events. `definitions`: what for; `parallel`: for all of them, else for the first."""

    is_activity = False
    interrupting = True

    def __init__(
        self, wf_spec: ProcessSpec, element: str, definitions: tuple[Any, ...], parallel: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.definitions, self.parallel = definitions, parallel
        self.is_event = bool(definitions)
        self.reads = frozenset[str]().union(*(definition.reads for definition in definitions))
        self.watches = any(definition.watches for definition in definitions)

    @property
    def event_definition(self) -> Any:
        """The library's name for what is waited for."""
        return self.definitions[0] if len(self.definitions) == 1 else None

    def entered(self, token: Token) -> bool:
        super().entered(token)
        return not self.wait(token)

    def wait(self, token: Token) -> bool:
        if not self.definitions or token.internal_data.pop("given", False):
            return False
        top = token.workflow.top_workflow
        token.internal_data["waits"] = [definition.begin(token, top) for definition in self.definitions]
        token._state = WAITING
        top.event_manager.add_task(token)
        return True

    def look_again(self, token: Token) -> None:
        top = token.workflow.top_workflow
        for n, definition in enumerate(self.definitions):
            if definition.watches and token._state == WAITING and "waits" in token.internal_data:
                definition.look_again(token, n, top)

    def can_wait(self, token: Token) -> bool:
        """Whether all that the token would wait for can be computed now."""
        return all(definition.is_known(token, token.workflow.top_workflow) for definition in self.definitions)

    def happened(self, token: Token, n: int, values: Values) -> None:
        """What definition `n` waits for has happened."""
        waits = token.internal_data["waits"]
        waits[n]["seen"] = True
        if self.parallel and not all("seen" in wait for wait in waits):
            self.receive(token, values)
            return
        token.payload = values
        token.workflow.top_workflow.fire(token)

    def timer_due(self, token: Token, n: int) -> None:
        top = token.workflow.top_workflow
        wait, definition = token.internal_data["waits"][n], self.definitions[n]
        plan = wait["timer"]
        due = timers.due_at(plan)
        skipped, following = 0, None
        if definition.kind == "timeCycle":
            skipped, following = timers.turn(plan, top.at, definition.zone)
        token.following = following
        top.emit(log.TimerFired(
            process=self.process, element=self.event_id, token=TokenId(token.id), due_at=due,
            late=(top.at - due).total_seconds() > 60, skipped=skipped))
        self.happened(token, n, {})

    def stop_waiting(self, token: Token) -> None:
        """The token waits no longer: other timers of it are cancelled."""
        top = token.workflow.top_workflow
        top.event_manager.remove_task(token)
        waits = token.internal_data.pop("waits", ())
        for wait in waits:
            if wait.get("timer") and "seen" not in wait:
                top.emit(log.TimerCancelled(
                    process=self.process, element=self.event_id, token=TokenId(token.id), due_at=timers.due_at(wait["timer"])))
        token.was_true = next((wait["condition"] for wait in waits if "condition" in wait), False)

    def receive(self, token: Token, values: Values) -> None:
        """The payload becomes variables of the scope that catches it."""
        token.workflow.top_workflow.write(token, values, cause=self.event_id)

    def _run_hook(self, my_task: Token) -> bool | None:
        self.receive(my_task, getattr(my_task, "payload", {}))
        race = my_task.internal_data.get("race")
        if race is not None:
            workflow = my_task.workflow
            for other in list(workflow.tasks.values()):
                if other is not my_task and other.internal_data.get("race") == race:
                    workflow.kill(other, by=self.bpmn_id)
        return True

    def parked(self, token: Token) -> None:
        self.receive(token, getattr(token, "payload", {}))

    def cancelled(self, token: Token, by: str | None) -> None:
        if token._state == WAITING and "waits" in token.internal_data:
            self.stop_waiting(token)
        super().cancelled(token, by)

    def repeat(self, token: Token) -> None:
        """A non-interrupting event can happen again: subscribe anew."""
        data: dict[str, Any] = {}
        if "host" in token.internal_data:
            data["host"] = token.internal_data["host"]
        if any(isinstance(definition, Timer) for definition in self.definitions):
            following = getattr(token, "following", None)
            if following is not None:
                data["plan"] = following
            elif len(self.definitions) == 1:
                return  # dates and durations, and cycles that are used up
        if getattr(token, "was_true", False):
            data["was"] = True
        token.workflow.subscribe(self, **data)


class StartEvent(Catching):
    pass


class IntermediateCatchEvent(Catching):
    def _run_hook(self, my_task: Token) -> bool | None:
        following = getattr(my_task, "following", None)
        if following is not None and "left" in following:  # R4/…: four tokens; a cycle without end happens once here
            again = Token(my_task.workflow, self)
            again.internal_data.update(plan=following, **{k: my_task.internal_data[k] for k in ("flow",) if k in my_task.internal_data})
            self._update(again)
        return super()._run_hook(my_task)


class ReceiveTask(Catching):
    is_activity = True

    def prepare(self, token: Token) -> None:
        self.bind_inputs(token)

    def receive(self, token: Token, values: Values) -> None:
        self.give_out(token, values)

    def parked(self, token: Token) -> None:
        self.keep_result(token, getattr(token, "payload", {}))


class BoundaryEvent(Catching):
    """Its token is a subscription of the host until it happens; then it is a token like any other."""

    def __init__(self, wf_spec: ProcessSpec, element: str, interrupting: bool, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.interrupting = self.cancel_activity = interrupting

    def announce(self, token: Token) -> None:
        if token._state != FUTURE:
            super().announce(token)

    def _run_hook(self, my_task: Token) -> bool | None:
        workflow = my_task.workflow
        host = workflow.tasks[my_task.internal_data.pop("host")]
        self.announce(my_task)
        super()._run_hook(my_task)
        if self.interrupting and "notice" not in my_task.internal_data:
            workflow.kill(host, keep=my_task, by=self.bpmn_id)
        else:
            my_task.internal_data.pop("notice", None)
            my_task.internal_data["host"] = host.id
            self.repeat(my_task)
            del my_task.internal_data["host"]
        return True

    def cancelled(self, token: Token, by: str | None) -> None:
        cancel_subscription(self, token, by)


class EventSubProcess(Catching, SubProcess):
    """While it waits it is the subscription of its start event; once that happens it is a sub-process of the scope."""

    is_event_subprocess = is_activity = True

    def __init__(
        self, wf_spec: ProcessSpec, element: str, inner: str, start: str, interrupting: bool, suspends: bool, **kwargs: Any
    ) -> None:
        super().__init__(wf_spec, element, inner=inner, **kwargs)
        self.event_id, self.interrupting, self.suspends = start, interrupting, suspends
        self.on_compensation = any(isinstance(d, Compensation) for d in self.definitions)

    def announce(self, token: Token) -> None:
        if token._state != FUTURE:
            super().announce(token)

    def undo(self, token: Token) -> None:
        token._state = WAITING
        token._ready()

    def _run_hook(self, my_task: Token) -> bool | None:
        workflow = my_task.workflow
        self.announce(my_task)
        if self.on_compensation:
            return None
        if self.interrupting:
            workflow.kill_tokens(keep=my_task, by=self.bpmn_id)
        else:
            self.repeat(my_task)
        if self.suspends:
            top = workflow.top_workflow
            workflow.suspenders[my_task.id] = top.at.isoformat()
            top.emit(log.ScopeSuspended(
                process=self.process, element=self.bpmn_id, token=TokenId(my_task.id), scope=_place(workflow)))
            top.freeze()
        return None

    def open_scope(self, token: Token) -> tuple[Scope, str]:
        scope, key = super().open_scope(token)
        payload = getattr(token, "payload", {})
        if self.interrupting:
            token.workflow.top_workflow.write(token, payload, cause=self.event_id)
        else:  # runs may overlap: what the scopes around do not know stays with this run
            top = token.workflow.top_workflow
            known = {name: value for name, value in payload.items() if name in token.data.visible()}
            top.write(token, known, cause=self.event_id)
            top.write(token, {n: v for n, v in payload.items() if n not in known}, scope=scope, here=True, cause=self.event_id)
        return scope, key

    def parked(self, token: Token) -> None:
        """Nothing was received yet."""

    def finish(self, token: Token) -> None:
        SubProcess.finish(self, token)
        self._resume(token)

    def _resume(self, token: Token) -> None:
        if token.workflow.suspenders.pop(token.id, None) is not None:
            top = token.workflow.top_workflow
            top.emit(log.ScopeResumed(
                process=self.process, element=self.bpmn_id, token=TokenId(token.id), scope=_place(token.workflow)))
            top.freeze()

    def cancelled(self, token: Token, by: str | None) -> None:
        cancel_subscription(self, token, by)
        self._resume(token)


class Throwing(Activity):
    """The effect of a thrown event may cancel the thrower: it comes after `_run_hook`, while the token is STARTED."""

    is_activity = False

    def __init__(self, wf_spec: ProcessSpec, element: str, definitions: tuple[Any, ...], **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.definitions = definitions

    @property
    def event_definition(self) -> Any:
        return self.definitions[0] if len(self.definitions) == 1 else None

    def _run_hook(self, my_task: Token) -> bool | None:
        return None if self.definitions else True

    def started(self, token: Token) -> None:
        for definition in self.definitions:
            if isinstance(definition, Compensation):
                token.workflow.top_workflow.compensate(token, definition.activity, definition.wait)
                return
            if token._state == STARTED:
                self.throw(token, definition)
        if token._state == STARTED and "compensation" not in token.internal_data and not token.is_parked:
            token.complete()

    def throw(self, token: Token, definition: Definition) -> None:
        workflow = token.workflow
        top = workflow.top_workflow
        if isinstance(definition, Terminate):
            workflow.kill_tokens(keep=token, by=self.bpmn_id)
        elif isinstance(definition, Code):
            code = definition.code or ""
            if not top.throw_code(token, definition.kind, code, own_boundary=False) and definition.kind == "error":
                top.park(token, RUNNING, ElementFailed(token, RUNNING, "bpmn_error", f"nobody catches the error {code}"))
        elif isinstance(definition, Message):
            top.send_message(
                token, definition.message_name(token, top), definition.correlation_key(token, top),
                definition.content(token, top))
        elif isinstance(definition, Signal):
            name = definition.signal_name(token, top)
            top.emit(log.SignalThrown(process=self.process, element=self.bpmn_id, token=TokenId(token.id), name=name))
            top.thrown.append(
                ThrownEvent(kind=SubscriptionKind.SIGNAL, name=name, correlation_key="", payload={}))
            top.send_signal(name, {})

    def child_completed(self, token: Token, child: Token) -> None:
        token.workflow.top_workflow.continue_compensation(token, child)


class IntermediateThrowEvent(Throwing):
    pass


class SendTask(Throwing):
    is_activity = True


class EndEvent(Throwing):
    """`outcome`: sets the variable `outcome` of its process."""

    outcome: Text | None = None

    def _run_hook(self, my_task: Token) -> bool | None:
        workflow = my_task.workflow
        top = workflow.top_workflow
        if self.outcome is not None:
            scope: Scope = workflow.scope
            while not scope.keeps_new and scope.parent is not None:
                scope = scope.parent
            top.write(my_task, {"outcome": text_of(self.outcome, my_task, top)}, scope=scope, here=True)
        if workflow is top:
            top.last_end = self.bpmn_id
        return super()._run_hook(my_task)

    def throw(self, token: Token, definition: Definition) -> None:
        if isinstance(definition, Cancel):  # transaction: stop, compensate, then leave by the cancel event
            token.workflow.kill_tokens(keep=token, by=self.bpmn_id)
            token.workflow.top_workflow.compensate(token, None, wait=True, cancel=True)
        else:
            super().throw(token, definition)


# ---------------------------------------------------------------------------------------------------------------- process
class ProcessSpec(BpmnProcessSpec):  # type: ignore[misc]
    """One process or sub-process.

    Attributes:
        process: key of the process it is drawn in.
        starts: names of the nodes that get a token when the scope starts.
        properties: data declared in the scope.
        event_subprocesses: their specs.
        late_joins: gateways that are decided when nothing else can run.
    """

    def __init__(self, name: str, process: str, label: str | None) -> None:
        super().__init__(name=name, description=label)
        self.task_specs.clear()  # the library's Start, EndJoin and End could clash with ids
        self.start = self.end = None
        self.process = process
        self.starts: list[str] = []
        self.properties: list[str] = []
        self.event_subprocesses: list[EventSubProcess] = []
        self.late_joins: list[InclusiveGateway] = []
        self._reach: dict[tuple[str, str], frozenset[str]] = {}

    @cached_property
    def has_joins(self) -> bool:
        """Whether a token may have to wait for others."""
        return any(
            (isinstance(node, Join) and len(node.incoming) > 1) or node.start_quantity > 1 for node in self.task_specs.values())

    def reachable(self, spec: Node, stop: Node) -> frozenset[str]:
        """Ids of all flows on paths from a token at `spec` (over boundary events too) that do not pass through `stop`."""
        key = spec.name, stop.name
        found = self._reach.get(key)
        if found is None:
            seen: set[str] = set()
            flows: set[str] = set()
            todo: list[Node] = [spec]
            if spec is stop:  # parked there, on its way out
                todo = [self.task_specs[flow.target] for flow in spec.flows]
                flows.update(flow.id for flow in spec.flows)
            while todo:
                node = todo.pop()
                if node.name in seen or node is stop:
                    continue
                seen.add(node.name)
                flows.update(flow.id for flow in node.flows)
                todo += [self.task_specs[flow.target] for flow in node.flows]
                todo += node.boundary
            found = self._reach[key] = frozenset(flows)
        return found


# ------------------------------------------------------------------------------------------------------------------ values
def cancel_subscription(spec: Catching, token: Token, by: str | None) -> None:
    """A subscription goes quietly (its timers are recorded); a token that is on its way is cancelled like any other."""
    data = token.internal_data
    if token._state == WAITING:
        if "waits" in data:
            spec.stop_waiting(token)
    elif token.is_parked and data["incident"][1] == ARRIVING:
        token.workflow.top_workflow.emit(log.IncidentResolved(
            process=spec.process, element=spec.bpmn_id, token=TokenId(token.id), kind=data["incident"][0], reason="cancelled"))
    else:
        Node.cancelled(spec, token, by)


def _place(workflow: AnyWorkflow) -> TokenId | None:
    """The token by which the log names a scope."""
    return None if workflow.parent_task_id is None else TokenId(workflow.parent_task_id)


def own_scope(token: Token) -> Scope:
    """The scope of this very token, made on first use."""
    if token.data.id != token.id:
        token.data = Scope(token.id, token.data, keeps_new=False, values={})
    return token.data


def outer_scope(token: Token) -> Scope:
    """Where results of the token's activity are written: outside its inputs, inside its loop instance."""
    scope = token.data
    if scope.id == token.id and "owner" not in token.internal_data and scope.parent is not None:
        return scope.parent
    return scope


def text_of(text: Text, token: Token, top: Workflow) -> Value:
    return text if isinstance(text, str) else top.compute(token, text)


def optional_text(text: Text | None, token: Token, top: Workflow) -> str | None:
    value = None if text is None else text_of(text, token, top)
    return None if value is None or value == "" else str(value)


def text_list(text: Text | None, token: Token, top: Workflow) -> tuple[str, ...]:
    """Comma separated text, or a list of texts."""
    value = None if text is None else text_of(text, token, top)
    if value is None:
        return ()
    words = value if isinstance(value, list) else str(value).split(",")
    return tuple(word for word in (str(w).strip() for w in words if w is not None) if word)


def plain(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def as_variables(value: Value, variable: str | None, what: str) -> dict[str, Value]:
    if variable:
        return {variable: value}
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    raise timers.BadTime(f"{what} gives {shown_value(value)}: name a result variable, or give a context")


def shown(text: Text | None) -> str:
    return "" if text is None else text if isinstance(text, str) else text.text


def shown_value(value: Value) -> str:
    word = repr(value)
    return word if len(word) <= 60 else word[:57] + "…"


__all__ = ["AnyWorkflow", "Node", "ProcessSpec", "ScopeMixin"]
