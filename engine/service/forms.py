"""The form that a task, a start or a message asks for, as the person may see it."""

from __future__ import annotations

from functools import lru_cache

from engine import access
from engine.forms import Form, read_form
from engine.model import Actor
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
