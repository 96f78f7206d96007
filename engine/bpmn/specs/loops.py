"""Standard loops and multi-instance activities: a host token and the instances it owns."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.bpmn import timers
from engine.bpmn.data import Scope
from engine.bpmn.event_definitions import (
    Code,
    Definition,
)
from engine.bpmn.specs.node import Activity
from engine.bpmn.specs.values import Formula, Text, shown_value, text_of
from engine.bpmn.spiff import STARTED
from engine.bpmn.workflow import (
    Token,
)
from engine.model import Value

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
        token.data.put({"nrOfActiveInstances": token.data.own("nrOfActiveInstances") + 1})
        self.instance(token, **local)

    def child_completed(self, token: Token, child: Token) -> None:
        top, fields, own = token.workflow.top_workflow, self.fields, token.data
        done = own.own("nrOfCompletedInstances") + 1
        own.put({"nrOfCompletedInstances": done, "nrOfActiveInstances": own.own("nrOfActiveInstances") - 1})
        if fields.output and fields.output_element is not None:
            own.put_item(fields.output, child.data.own("loopCounter") - 1, top.compute(child, fields.output_element))
        if fields.event is not None and (fields.behavior == "None" or done == 1):
            self.notify(token, fields.event)
        if token._state != STARTED:
            return
        if done == own.own("nrOfInstances") or (fields.condition is not None and top.holds(child, fields.condition)):
            token.workflow.kill_instances(token, self.bpmn_id)
            self.end(token)
        elif fields.sequential:
            self.next(token, done, own.item("(items)", done) if fields.collection is not None else None)

    def end(self, token: Token) -> None:
        if self.fields.output:
            outside = token.data.parent
            assert outside is not None
            token.workflow.top_workflow.write(
                token, {self.fields.output: token.data.own(self.fields.output)}, scope=outside)
        token.complete()

    def notify(self, token: Token, event: Definition) -> None:
        """Implicit event of a multi-instance activity: reaches its boundary events, which do not interrupt it."""
        for receiver in token.workflow.subscriptions(token):
            for n, wait in enumerate(receiver.internal_data.get("waits", ())):
                name = event.code if isinstance(event, Code) else getattr(event, "wanted", None)
                if event.kind in wait and wait[event.kind] in (name, None):
                    receiver.internal_data["notice"] = True
                    receiver.task_spec.happened(receiver, n, {})
