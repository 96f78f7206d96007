"""The form that a task, a start or a message asks for, as the person may see it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine import access
from engine.errors import EngineError, InvalidValues
from engine.feel import codec
from engine.forms import UNREADABLE, Form, is_readable
from engine.model import Actor, Values


def shown_to(actor: Actor, form: Form | None, *, own: bool = True) -> Form | None:
    """Return the form without the fields that the person may not see; what they send for those counts for nothing.

    Args:
        own: the person fills it in, or its process instance is theirs.
    """
    return form if form is None or access.may_read_price(actor, own=own) else form.without_prices()


def unsealed(form: Form | None) -> Form | None:
    """Return a form that no task asks for: nothing can be sealed there, so its sealed fields are not taken at all."""
    return None if form is None else form.without_sealed()


class ReasonMissing(EngineError):
    """A command that is written into the history needs a reason."""

    code = "reason_missing"
    status = 422
    zh = "请填写原因，它会记入历史。"
    en = "Give a reason; it is written into the history."


def given_reason(reason: str) -> str:
    """Return the reason, which must not be blank.

    Raises:
        ReasonMissing
    """
    if not reason.strip():
        raise ReasonMissing()
    return reason.strip()


_LINE = 200


def line(field: str, text: str) -> str:
    """Return what somebody called a thing, in one line.

    Raises:
        InvalidValues: longer than 200 characters, or no readable text.
    """
    found = " ".join(text.split())
    if len(found) > _LINE:
        raise InvalidValues({field: (f"最多 {_LINE} 个字，现有 {len(found)} 个。", f"At most {_LINE} characters; there are {len(found)}.")})
    if not is_readable(found):
        raise InvalidValues({field: UNREADABLE})
    return found


def storable(values: Mapping[str, Any]) -> Values:
    """Return values that no form has looked at: numbers exact, no float, and what is written canonically is what it stands for.

    Raises:
        InvalidValues: one of them is none of FEEL's data, is no readable text, or a tag that says nothing.
    """
    try:
        found = {name: part if type(part) in codec.PLAIN else codec.from_json(_exact(part)) for name, part in values.items()}
        codec.dump(found)
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidValues({"": ("填写的内容含有无法保存的值。", f"a value cannot be stored: {error}")}) from error
    return found


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: _exact(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(part) for part in value]
    return value
