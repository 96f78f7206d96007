"""Why a token went where it went: the condition or decision of a recorded event computed once more, part by part.

The history says what came out; the definition says of what. Both stand still, so the computation is the same one, provided that
the variables are those of the instant: `engine.history.seen_by` folds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from engine import calendar
from engine import events as e
from engine.bpmn.definition import Definition
from engine.bpmn.specs.node import Node
from engine.bpmn.specs.tasks import BusinessRuleTask
from engine.events import ElementEvent, Event
from engine.feel import Explained, compile_expression
from engine.model import Values


def explain(definition: Definition, event: Event, variables: Values, at: datetime) -> Explained | None:
    """Return what an event came of, None when nothing was computed or the values that were recorded do not give what was.

    Args:
        event: a `FlowTaken`, `ExpressionWasNull` or `DecisionEvaluated`; of others there is nothing to tell.
        variables: what its token saw then. A decision is computed from the inputs that it recorded.
        at: the event's instant, which the computation takes for now.
    """
    zone = definition.zone.key
    match event:
        case e.FlowTaken(condition=str()):
            flow = next((f for n in _nodes(definition, event) for f in n.flows if f.id == event.flow), None)
            if flow is None or flow.condition is None:
                return None
            found = flow.condition.compiled.explain(variables, at, zone=zone, calendar=calendar)
            return found if found.value is True else None
        case e.FlowTaken(is_default=True):
            return _no_other(definition, event, variables, at, zone)
        case e.ExpressionWasNull():
            for rule in _decisions(definition, event):
                if rule.decision == event.text:
                    found = rule.model.explain(rule.decision, variables, at, zone=zone, calendar=calendar)
                    return found if rule.shaped(found.value) is None else None
            drawn = (f.condition.compiled for n in _nodes(definition, event) for f in n.flows if f.condition and f.condition.text == event.text)
            expression = next(drawn, None) or compile_expression(event.text, frozenset(variables))
            found = expression.explain(variables, at, zone=zone, calendar=calendar)
            return found if found.value is None else None
        case e.DecisionEvaluated():
            for rule in _decisions(definition, event):
                if (rule.decision, rule.sha256) == (event.decision, event.sha256):
                    if tuple(rule.model.decide(rule.decision, event.inputs, at, zone=zone, calendar=calendar).rules) != event.rules:
                        return None
                    return rule.model.explain(rule.decision, event.inputs, at, zone=zone, calendar=calendar)
    return None


def _no_other(definition: Definition, event: e.FlowTaken, variables: Values, at: datetime, zone: str) -> Explained | None:
    """A default flow is taken because none of the other conditions held."""
    formulas = [
        f.condition for n in _nodes(definition, event) if any(f.id == event.flow for f in n.flows) for f in n.flows
        if f.condition is not None and f.id != event.flow
    ]  # fmt: skip
    parts = tuple(formula.compiled.explain(variables, at, zone=zone, calendar=calendar) for formula in formulas)
    if not parts or any(part.value is True or part.value is None for part in parts):
        return None
    return Explained(f"not({' or '.join(f'({part.text})' for part in parts)})", True, parts)


def _nodes(definition: Definition, event: ElementEvent) -> Iterator[Node]:
    for spec in definition.specs.values():
        if spec.process == event.process:
            for node in spec.task_specs.values():
                if isinstance(node, Node) and node.bpmn_id == event.element:
                    yield node


def _decisions(definition: Definition, event: ElementEvent) -> Iterator[BusinessRuleTask]:
    return (node for node in _nodes(definition, event) if isinstance(node, BusinessRuleTask))
