"""Standard loops and multi-instance activities: a host token and the instances it owns."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine import events as log
from engine.bpmn import timers
from engine.bpmn.data import LOOP_NAMES, Scope
from engine.bpmn.event_definitions import Definition, Error
from engine.bpmn.specs.associations import Move, moved
from engine.bpmn.specs.events import throw_event, thrown_name
from engine.bpmn.specs.node import Activity
from engine.bpmn.specs.values import Formula, Text, shown_value, text_of
from engine.bpmn.spiff import STARTED
from engine.bpmn.workflow import Token, copy_trail
from engine.model import TokenId, Value

if TYPE_CHECKING:
    from engine.bpmn.specs.process import ProcessSpec


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
        token.internal_data.setdefault("instances", []).append(child.id)
        if not self.sequential:  # like a branch: what two instances write differently is a conflict when the activity ends
            child.internal_data["trail"] = [*copy_trail(token.internal_data.get("trail", [])), [token.id, {}]]
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
        turns = token.data.own("loopCounter") + 1
        token.data.put({"loopCounter": turns})
        if self.again(token, turns):
            self.instance(token, loopCounter=turns + 1)
        else:
            token.complete()


@dataclass(frozen=True, slots=True)
class Implicit:
    """Events that the completion of an instance throws. `condition`: of a complex behaviour; once it holds, the rest is cancelled."""

    events: tuple[Definition, ...]
    condition: Formula | None = None


@dataclass(frozen=True, slots=True)
class MultiInstanceFields:
    """`behavior`: which instances throw what is `implicit`: 'None' each one, 'One' the first, 'Complex' as the conditions say.

    `output_item`: variable of each instance for its result; `inputs`, `outputs`: data associations with the collections.
    """

    sequential: bool
    cardinality: Formula | None = None
    collection: Formula | None = None
    item: str | None = None
    condition: Formula | None = None
    output: str | None = None
    output_element: Formula | None = None
    behavior: str = "All"
    implicit: tuple[Implicit, ...] = ()
    output_item: str | None = None
    inputs: tuple[Move, ...] = ()
    outputs: tuple[Move, ...] = ()


class MultiInstance(Looping):
    keeps_new = True

    def __init__(self, wf_spec: ProcessSpec, element: str, inner: str, fields: MultiInstanceFields, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, inner, **kwargs)
        self.fields, self.sequential = fields, fields.sequential

    def started(self, token: Token) -> None:
        top, fields = token.workflow.top_workflow, self.fields
        items: list[Value] | None = None
        visible = token.data.visible()
        given, _ = moved(fields.inputs, top, visible, visible)
        if fields.collection is not None:
            value = top.evaluate(token, fields.collection, Scope(token.id, token.data, keeps_new=False, values=dict(given), written=[]))
            if not isinstance(value, list):
                raise timers.BadTime(f"the collection {fields.collection.text} is {shown_value(value)}, not a list")
            items, total = value, len(value)
        else:
            assert fields.cardinality is not None
            number = top.evaluate(token, fields.cardinality)
            if isinstance(number, bool) or not isinstance(number, int | Decimal) or number < 0 or number != int(number):
                raise timers.BadTime(f"the number of instances {fields.cardinality.text} is {shown_value(number)}")
            total = int(number)
        local: dict[str, Value] = {
            **given, "nrOfInstances": total, "nrOfActiveInstances": 0, "nrOfCompletedInstances": 0, "nrOfTerminatedInstances": 0}
        token.data = Scope(token.id, token.data, keeps_new=False, values=local)
        if fields.output:
            token.data.put_items(fields.output, [None] * total)
        if total == 0:
            self.end(token)
            return
        if items is not None and fields.sequential:
            token.data.put_items("(items)", items)
        for n in range(1 if fields.sequential else total):
            self.next(token, n, None if items is None else items[n])
            if token._state != STARTED:
                return

    def next(self, token: Token, n: int, item: Value) -> None:
        """Begin instance `n`, counted from 0, with its item of the collection."""
        local: dict[str, Value] = {"loopCounter": n + 1}
        if self.fields.collection is not None and self.fields.item:
            local[self.fields.item] = item
        if self.fields.output_item:
            local[self.fields.output_item] = None
        token.data.put({"nrOfActiveInstances": token.data.own("nrOfActiveInstances") + 1})
        self.instance(token, **local)

    def child_completed(self, token: Token, child: Token) -> None:
        top, fields, own = token.workflow.top_workflow, self.fields, token.data
        terminated = child.internal_data.pop("terminated", False)  # its sub-process came to a terminate end event
        count = "nrOfTerminatedInstances" if terminated else "nrOfCompletedInstances"
        own.put({count: own.own(count) + 1, "nrOfActiveInstances": own.own("nrOfActiveInstances") - 1})
        self.compare_writes(token, child)
        over = False
        if not terminated:
            if fields.output and fields.output_element is not None:
                own.put_item(fields.output, child.data.own("loopCounter") - 1, top.compute(child, fields.output_element))
            over = self.throw_events(token, child)
        if token._state != STARTED:
            return
        ended = own.own("nrOfCompletedInstances") + own.own("nrOfTerminatedInstances")
        if over or ended == own.own("nrOfInstances") or (fields.condition is not None and top.holds(child, fields.condition)):
            own.put({
                "nrOfActiveInstances": 0,
                "nrOfTerminatedInstances": own.own("nrOfTerminatedInstances") + own.own("nrOfActiveInstances")})
            token.workflow.kill_instances(token, self.bpmn_id)
            self.end(token)
        elif fields.sequential:
            self.next(token, ended, own.item("(items)", ended) if fields.collection is not None else None)

    def compare_writes(self, token: Token, child: Token) -> None:
        """Instances side by side that wrote different values to one variable conflict, as branches do at their join."""
        trail = child.internal_data.pop("trail", None)
        if self.sequential or not trail or not trail[-1][1]:
            return
        writes, before = trail[-1][1], token.internal_data.setdefault("wrote", {})
        for name in sorted(writes.keys() & before.keys()):
            if writes[name] != before[name]:
                token.workflow.top_workflow.emit(log.WriteConflicted(
                    process=self.process, element=self.bpmn_id, token=TokenId(child.id), name=name))
        before.update(writes)

    def end(self, token: Token) -> None:
        if self.fields.output:
            top, outside = token.workflow.top_workflow, token.data.parent
            assert outside is not None
            gathered = {self.fields.output: token.data.own(self.fields.output)}
            if self.fields.outputs:
                _, gathered = moved(self.fields.outputs, top, token.data.visible(), gathered)
            top.write(token, gathered, scope=outside)
        token.complete()

    def throw_events(self, token: Token, child: Token) -> bool:
        """Throw what the completion of an instance throws; True when a condition of a complex behaviour says that all is over."""
        fields, over = self.fields, False
        if fields.behavior == "One" and token.data.values["nrOfCompletedInstances"] > 1:
            return False
        top = token.workflow.top_workflow
        holding = [each for each in fields.implicit if each.condition is None or top.holds(child, each.condition)]
        for each in holding:
            over = over or each.condition is not None
            for event in each.events:
                if token._state == STARTED and not self.notify(token, child, event):
                    throw_event(token, event, {})
        return over

    def notify(self, token: Token, child: Token, event: Definition) -> bool:
        """Give an implicit event to the boundary events of the activity, which it does not interrupt; False when none catches it.

        An error always interrupts, so it is thrown like any other. The counters go with the event, for data outputs of the
        boundary event.
        """
        if isinstance(event, Error):
            return False
        name, top = thrown_name(event, child), token.workflow.top_workflow
        found = [
            (receiver, n) for receiver in token.workflow.subscriptions(token)
            for n, wait in enumerate(receiver.internal_data.get("waits", ()))
            if event.kind in wait and wait[event.kind] in (name, None) and "seen" not in wait
        ]
        if event.kind != "signal":  # one catches it, the one for this very code before one for all
            found = sorted(found, key=lambda entry: entry[0].internal_data["waits"][entry[1]][event.kind] is None)[:1]
        if found:
            where: dict[str, Any] = {"process": self.process, "element": self.bpmn_id, "token": TokenId(token.id)}
            if event.kind == "escalation":
                top.emit(log.EscalationThrown(**where, code=name, caught_by=found[0][0].task_spec.event_id))
            elif event.kind == "signal":
                top.emit(log.SignalThrown(**where, name=name))
            else:
                top.emit(log.MessageThrown(**where, name=name, correlation_key="", inside=True, values={}))
        values = {key: value for key, value in token.data.values.items() if key in LOOP_NAMES}
        for receiver, n in found:
            receiver.internal_data["notice"] = True
            receiver.task_spec.happened(receiver, n, {**values, **receiver.task_spec.definitions[n].caught(name, "")})
        return bool(found)
