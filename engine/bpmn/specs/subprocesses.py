"""Activities with a scope of their own: embedded, called, ad-hoc sub-processes and transactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from engine.bpmn import compensation, timers
from engine.bpmn.data import Scope, without_loop_names
from engine.bpmn.specs.node import Activity
from engine.bpmn.specs.values import Formula, shown_value
from engine.bpmn.spiff import FUTURE
from engine.bpmn.workflow import (
    AnyWorkflow,
    Token,
)
from engine.feel import codec
from engine.model import Value

if TYPE_CHECKING:
    from engine.bpmn.specs.process import ProcessSpec


class SubProcess(Activity):
    """An embedded sub-process: a scope of its own. `inner`: name of the process spec.

    `decides_end`: `goes_on` may give new tokens to the scope when it has lost its last one.
    """

    decides_end = False

    def __init__(self, wf_spec: ProcessSpec, element: str, inner: str, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.inner = inner

    def _run_hook(self, my_task: Token) -> bool | None:
        return None

    def started(self, token: Token) -> None:
        token.workflow.top_workflow.create_subprocess(token, self.called(token)).begin()

    def called(self, token: Token) -> str:
        """Return the name of the spec that runs."""
        return self.inner

    def open_scope(self, token: Token) -> tuple[Scope, str]:
        """Return the variables and the business key of the new scope."""
        return Scope(token.id, token.data, keeps_new=False), token.workflow.business_key

    def scope_completed(self, token: Token, scope: AnyWorkflow) -> None:
        self.put_out(token, {}, inside=scope.scope)
        token.complete()

    def goes_on(self, token: Token, scope: AnyWorkflow) -> bool:
        """Whether the scope, which has no token left, was given new ones."""
        return False

    def is_kept(self, token: Token) -> bool:
        top = token.workflow.top_workflow
        return super().is_kept(token) or (
            top.definition.compensates and "undoes" not in token.internal_data
            and compensation.has_undoable(top.subprocesses.get(token.id)))

    def keeps(self, token: Token, scope: AnyWorkflow) -> bool:
        """After its completion the scope stays for a compensation."""
        return token.id in token.workflow.kept and compensation.has_undoable(scope)


class Transaction(SubProcess):
    """A sub-process that a cancel end event stops: it undoes what it completed, then leaves by its cancel boundary event."""

    def scope_completed(self, token: Token, scope: AnyWorkflow) -> None:
        if not self._is_cancelled(token):
            token.complete()

    def keeps(self, token: Token, scope: AnyWorkflow) -> bool:
        return self._is_cancelled(token) or super().keeps(token, scope)

    @staticmethod
    def _is_cancelled(token: Token) -> bool:
        return "compensation" in token.internal_data


def _digests(values: Mapping[str, Value]) -> dict[str, str]:
    return {name: blake2b(codec.dump(value), digest_size=8).hexdigest() for name, value in values.items()}


#: `camunda:in` and `camunda:out`: (source, target); source None: all variables.
Pairs = tuple[tuple[Formula | None, str | None], ...]


class CallActivity(SubProcess):
    """A called process: a scope that sees nothing but what is mapped in. None: no mapping, everything goes in and out.

    Its token remembers what was ``passed`` live, as digests. `chosen` names the called process each time; it must be one of `choices`, which were pinned when the instance began. What is
    `live` follows the caller's variables as long as the called process runs; `takes` has it too.
    """

    chosen: Formula | None = None
    choices: tuple[str, ...] = ()
    takes: Pairs | None = None
    gives: Pairs | None = None
    key: Formula | None = None
    live: Pairs = ()

    def follow(self, pairs: Pairs) -> None:
        """Let `pairs` of `takes` be live."""
        self.live = pairs
        self.reads = frozenset[str]().union(*(formula.compiled.names for formula, _ in pairs if formula is not None))
        self.follows_variables = bool(self.reads)

    def look_again(self, token: Token) -> None:
        """Variables that live mappings read have changed. What the called process wrote itself stays until the caller's changes."""
        top = token.workflow.top_workflow
        scope = top.subprocesses.get(token.id)
        if scope is None or scope.completed:
            return
        before = token.internal_data["passed"]
        values = self.copied(self.live, token, token.data)
        passed = _digests(values)
        if passed != before:
            token.internal_data["passed"] = passed
            token.touch()
            top.write(token, {name: value for name, value in values.items() if passed[name] != before[name]}, scope=scope.scope, here=True)

    def open_scope(self, token: Token) -> tuple[Scope, str]:
        top = token.workflow.top_workflow
        key = token.workflow.business_key
        if self.key is not None:
            value = top.evaluate(token, self.key)
            key = "" if value is None else str(value)
        scope = Scope(token.id, None, keeps_new=True, written=top.scope.written)
        values = self.copied(self.takes, token, token.data)
        if self.live:
            token.internal_data["passed"] = _digests({str(name): values[name] for _, name in self.live if name is not None})
        top.write(token, values, scope=scope, here=True)
        return scope, key

    def called(self, token: Token) -> str:
        if self.chosen is None:
            return self.inner
        key = token.workflow.top_workflow.evaluate(token, self.chosen)
        if key not in self.choices:
            raise timers.BadTime(f"{self.chosen.text} gives {shown_value(key)}; what may be called is {', '.join(self.choices)}")
        return str(key)

    def copied(self, pairs: Pairs | None, token: Token, source: Scope) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for formula, target in ((None, None),) if pairs is None else pairs:
            if formula is None or target is None:
                values.update(sorted(without_loop_names(source.visible()).items()))  # whatever was read first
            else:
                values[target] = token.workflow.top_workflow.compute(token, formula, source)
        return values

    def scope_completed(self, token: Token, scope: AnyWorkflow) -> None:
        self.give_out(token, self.copied(self.gives, token, scope.scope))
        token.complete()


@dataclass(frozen=True, slots=True)
class AdHocFields:
    """`active`: FEEL list of the ids to enable; `condition`: ends it; `cancels`: what still runs then is cancelled."""

    sequential: bool = False
    cancels: bool = True
    condition: Formula | None = None
    active: Formula | None = None


class AdHocSubProcess(SubProcess):
    """Activities without incoming flow are enabled together; what follows them over flows follows.

    Each completion of an inner activity asks the completion condition. When all that was enabled is done and it still does not
    hold, all is enabled anew; without a condition that is the end. Its token remembers ``over``: the condition held, or an event
    sub-process took the place of all; and of a sequential one the ``queue`` of those that are enabled. Each activity that runs in it,
    or that a token came to, remembers its ``turn``: it ``has`` it, or ``waits`` for it.
    """

    decides_end = True

    def __init__(self, wf_spec: ProcessSpec, element: str, inner: str, fields: AdHocFields, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, inner, **kwargs)
        self.fields = fields

    def started(self, token: Token) -> None:
        scope = token.workflow.top_workflow.create_subprocess(token, self.inner)
        for spec in scope.spec.event_subprocesses:
            if not spec.on_compensation:
                scope.subscribe(spec)
        for name in scope.spec.starts:
            if scope.spec.task_specs[name].is_catch:
                scope.subscribe(scope.spec.task_specs[name], standing=True)
        self.enable(token, scope)

    def enable(self, token: Token, scope: AnyWorkflow) -> bool:
        """Put a token on each activity that is enabled; False when there is none."""
        top, specs = scope.top_workflow, scope.spec.task_specs
        names = [name for name in scope.spec.starts if not specs[name].is_catch]
        if self.fields.active is not None:
            wanted = top.evaluate(token, self.fields.active, scope.scope)
            if not isinstance(wanted, list):
                raise timers.BadTime(f"activeElements {self.fields.active.text} is {shown_value(wanted)}, not a list")
            wrong = [name for name in wanted if name not in names]
            if wrong:
                raise timers.BadTime(
                    f"activeElements names {shown_value(wrong[0])}; what may be enabled is {', '.join(names)}")
            names = [str(name) for name in wanted]
        if self.fields.sequential:
            token.internal_data["queue"] = names
            return self.try_release(scope)
        for born in [Token(scope, specs[name]) for name in names]:
            if born._state == FUTURE:
                born.task_spec._update(born)
        top.touched[id(scope)] = scope
        return bool(names)

    def goes_on(self, token: Token, scope: AnyWorkflow) -> bool:
        if "over" in token.internal_data:
            return False
        if self.fields.sequential and self.try_release(scope):
            return True
        if self.fields.condition is None:
            return False
        if not self.enable(token, scope):
            raise timers.BadTime(f"the completion condition {self.fields.condition.text} does not hold and nothing is enabled")
        return True

    def is_over(self, token: Token) -> bool:
        """Whether the completion of an inner activity ends it all."""
        scope = token.workflow
        data = scope.host.internal_data
        condition = self.fields.condition
        if "over" not in data and condition is not None and scope.top_workflow.holds(token, condition, scope.scope):
            data["over"] = True
        return "over" in data

    def inner_completed(self, scope: AnyWorkflow) -> None:
        """After the completion condition held, nothing new begins; what runs is cancelled, or may end."""
        if "over" not in scope.host.internal_data:
            return
        for token in list(scope.tasks.values()):
            runs = (token.task_spec.is_activity and not token.is_at_join) or "host" in token.internal_data
            if token.id in scope.tasks and (self.fields.cancels or not runs):
                scope.kill(token, by=self.bpmn_id)

    def try_release(self, scope: AnyWorkflow) -> bool:
        """Of a sequential one: let the next activity have its turn, in the order in which they are drawn."""
        queue, specs = scope.host.internal_data.get("queue", []), scope.spec.task_specs
        if any(t.internal_data.get("turn") == "has" and not t.is_at_join for t in scope.tasks.values()):
            return False
        waiting = {t.task_spec.name: t for t in reversed(scope.tasks.values()) if t.internal_data.get("turn") == "waits"}
        name = next((name for name in specs if name in waiting or name in queue), None)
        if name is None or "over" in scope.host.internal_data:
            return False
        if name in waiting:
            token = waiting[name]
            token._state = FUTURE
        else:
            queue.remove(name)
            token = Token(scope, specs[name])
        token.internal_data["turn"] = "has"
        token.task_spec._update(token)
        scope.top_workflow.touched[id(scope)] = scope
        return True
