"""The form that a task, a start or a message asks for, as the person may see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from engine import access
from engine.errors import InvalidValues
from engine.feel import codec
from engine.forms import Form, read_form
from engine.model import Actor, Values
from engine.store import definitions
from engine.store.database import Session

_parsed = lru_cache(512)(read_form)  # a form file never changes


def form_of(session: Session, form_id: str | None, deployment_id: int) -> Form | None:
    """Return a form as of a deployment, or of the newest before it that has one; None when no such form was deployed."""
    if form_id is None:
        return None
    body = definitions.artifact(session, "form", form_id, deployment_id)
    return None if body is None else _parsed(body, form_id)


def shown_to(actor: Actor, form: Form | None) -> Form | None:
    """Return the form without the fields that the person may not see; what they send for those counts for nothing."""
    return form if form is None or access.may_read_price(actor) else form.without_prices()


def typed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that plain JSON from outside says: no float, and what is written canonically is what it stands for.

    Raises:
        InvalidValues: a value that no variable can hold, or a tag that says nothing.
    """
    try:
        values: dict[str, Any] = codec.from_json(_exact(dict(raw)))
        codec.dump(values)
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidValues({"": ("填写的内容含有无法保存的值。", f"a value cannot be stored: {error}")}) from error
    return values


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: _exact(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(part) for part in value]
    return value


def accepted(form: Form | None, raw: Mapping[str, Any], *, variables: Values, now: datetime, zone: str) -> dict[str, Any]:
    """Return the typed values of what came from outside; without a form anything that a variable can hold.

    Raises:
        InvalidValues: names every value that is refused.
    """
    values = typed(raw)
    return values if form is None else form.accept(values, variables=variables, now=now, zone=zone)
