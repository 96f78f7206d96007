"""Expressions of a diagram, and how their values are read where an element wants text, a list or variables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine import calendar
from engine.bpmn import timers
from engine.bpmn.data import Scope
from engine.bpmn.workflow import (
    AnyWorkflow,
    Token,
    Workflow,
)
from engine.feel import Expression, Result
from engine.model import TokenId, Value, Values


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression of the diagram, compiled."""

    text: str
    compiled: Expression

    def evaluate(self, variables: Values, top: Workflow) -> Result:
        return self.compiled.evaluate(variables, top.at, zone=top.zone, calendar=calendar)


Text = str | Formula  #: plain text, or the expression that gives it


def place(workflow: AnyWorkflow) -> TokenId | None:
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
    if scope.id != token.id:
        return scope
    is_instance = "owner" in token.internal_data and "undoes" not in token.internal_data
    if not is_instance and scope.parent is not None:
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
