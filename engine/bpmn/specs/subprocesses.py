"""Activities with a scope of their own: embedded, called, ad-hoc sub-processes and transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.bpmn import compensation
from engine.bpmn.data import Scope, without_loop_names
from engine.bpmn.specs.node import Activity
from engine.bpmn.specs.values import Formula
from engine.bpmn.workflow import (
    AnyWorkflow,
    Token,
)
from engine.model import Value

if TYPE_CHECKING:
    from engine.bpmn.specs.process import ProcessSpec


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
