"""Tasks: work for a person, a handler, a decision table or an expression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from engine import calendar
from engine import events as log
from engine.bpmn import timers
from engine.bpmn.data import own_copy
from engine.bpmn.specs.node import Activity
from engine.bpmn.specs.values import (
    Formula,
    Text,
    as_variables,
    optional_text,
    plain,
    shown,
    text_list,
    text_of,
)
from engine.bpmn.spiff import READY, UserTaskMixin
from engine.bpmn.workflow import (
    Token,
)
from engine.feel import YearsMonths, in_both
from engine.feel.dmn import DecisionModel, DecisionResult
from engine.model import NewJob, TokenId, Value, Values, maker

if TYPE_CHECKING:
    from engine.bpmn.specs.process import ProcessSpec


_new_job = maker(NewJob)


class Task(Activity):
    """task, manualTask: nothing to do for the engine but to move data."""

    def _run_hook(self, my_task: Token) -> bool | None:
        self.put_out(my_task, {})
        return True


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
    tells_place: bool = False  #: its event says where it ran, as property `PLACE`


#: Property of a created user task: ``<scope>.<host>``, tokens as in `ActivityStarted`, 0 for none. Rules that count within one scope
#: or one multi-instance activity read it.
PLACE = "at"


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
        texts = (fields.form, fields.assignee, fields.groups, fields.users, fields.priority, *(text for _, text in fields.properties))
        self._is_the_same_for_all = not any(isinstance(text, Formula) for text in texts)
        self._said: dict[str, Any] | None = None

    def _run_hook(self, my_task: Token) -> bool | None:
        return True

    def prepare(self, token: Token) -> None:
        if self.moves_in:
            self.bind_inputs(token)
        top, data = token.top, token.internal_data
        data["since"] = top.now
        if top.is_suspended(token):
            data["frozen"] = top.now
        due, deadline = self.dates(token, top.at)
        self._remember(token, due, deadline)
        said = self._said
        if said is None:
            said = self._what_is_said(token)
            if self._is_the_same_for_all:
                self._said = said
        if self.fields.tells_place:
            place = f"{token.workflow.parent_task_id or 0}.{data.get('owner', 0)}"
            said = {**said, "properties": {**said["properties"], PLACE: place}}
        top.emit(log.user_task_created(
            process=self.process, element=self.bpmn_id, token=token.id, name=self.label, due_at=due, deadline_at=deadline,
            follow_up_at=self._instant(token, self.fields.follow_up, top.at), **said))

    def _what_is_said(self, token: Token) -> dict[str, Any]:
        """Return those fields of the event of its creation that follow from the diagram, and maybe from variables."""
        top, fields = token.top, self.fields
        priority = 50 if fields.priority is None else text_of(fields.priority, token, top)
        try:
            priority = max(0, min(100, int(priority)))
        except (TypeError, ValueError) as exc:
            raise timers.BadTime(f"the priority {shown(fields.priority)} is {priority!r}, not a number from 0 to 100") from exc
        return {
            "form": optional_text(fields.form, token, top), "assignee": optional_text(fields.assignee, token, top),
            "candidate_groups": text_list(fields.groups, token, top), "candidate_users": text_list(fields.users, token, top),
            "priority": priority, "properties": {name: plain(text_of(text, token, top)) for name, text in fields.properties}}

    def dates(self, token: Token, since: datetime) -> tuple[datetime | None, datetime | None]:
        """Return (due, deadline): `camunda:dueDate`, property `workingDue`, else two working days.

        What is due some time after the beginning is due later by the time that the task was suspended; a deadline never moves.

        Args:
            since: its beginning.
        """
        top, fields = token.top, self.fields
        from_ = since + timedelta(seconds=token.internal_data["stood"]) if "stood" in token.internal_data else since
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
            due, deadline = self.dates(token, datetime.fromisoformat(data["since"]))
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
            data.setdefault("frozen", top.now)
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
        token.top.emit(log.user_task_completed(
            process=self.process, element=self.bpmn_id, token=token.id, values=dict(values),
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
        answer = self.model.decide(self.decision, my_task.data.visible(), top.at, zone=top.zone, calendar=calendar)
        value = self.shaped(answer)
        top.emit(log.DecisionEvaluated(
            process=self.process, element=self.bpmn_id, token=TokenId(my_task.id), decision=self.decision, sha256=self.sha256,
            rules=tuple(answer.rules), inputs=dict(answer.inputs), result=value))
        if value is None:
            top.emit(log.ExpressionWasNull(
                process=self.process, element=self.bpmn_id, token=TokenId(my_task.id), text=self.decision,
                reason=in_both(answer.reasons)))
        self.give_out(my_task, as_variables(value, self.variable, f"decision {self.decision}"))
        return True

    def shaped(self, answer: DecisionResult) -> Value:
        """Return the value in the shape asked for.

        The hit policy says whether a list is one result or a list of results. Logic that is no table gives one result; where
        the shape wants several, a list that it gives is taken for them.
        """
        value = answer.value
        if self.shape is None:
            return value
        wants_one = self.shape in ("singleEntry", "singleResult")
        is_many = answer.gathers if answer.gathers is not None else isinstance(value, list) and not wants_one
        rows = [] if value is None else value if is_many else [value]
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
        self._type = topic if isinstance(topic, str) and topic else None

    def _run_hook(self, my_task: Token) -> bool | None:
        return None

    def started(self, token: Token) -> None:
        top = token.top
        type_ = self._type
        if type_ is None:
            type_ = text_of(self.topic, token, top)
            if not isinstance(type_, str) or not type_:
                raise timers.BadTime(f"the job type {shown(self.topic)} is null")
        token.internal_data["job"] = type_
        values = token.data.visible()
        if self.data.carried or self.mapping.inputs:
            values = {name: values.get(name) for name in (*self.data.carried, *(name for name, _ in self.mapping.inputs))}
        top.jobs.append(_new_job(
            token=token.id, type=type_, process=self.process, element=self.bpmn_id, values=own_copy(values),
            retries=self.retries,
            properties={name: plain(text_of(text, token, top)) for name, text in self.properties} if self.properties else {}))
        top.emit(log.job_created(process=self.process, element=self.bpmn_id, token=token.id, job_type=type_))

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
