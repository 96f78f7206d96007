"""What the caller is told."""

from __future__ import annotations

import pickle

import pytest

from engine import errors
from engine.errors import EngineError, InvalidDiagram, InvalidValues, NotFound, TaskNotOpen

TOLD: list[EngineError] = [
    NotFound(what="任务 (task)", id=3), InvalidValues({"amount": ("太大", "too much")}), TaskNotOpen(name="编标", state="已办结"),
    InvalidDiagram((), 2, "甲", "first"), errors.Conflict(),
]  # fmt: skip


@pytest.mark.parametrize("error", TOLD, ids=lambda error: type(error).__name__)
def test_another_process_can_tell_an_error_just_as_well(error: EngineError) -> None:
    other = pickle.loads(pickle.dumps(error))

    assert type(other) is type(error)
    assert (other.args, other.__dict__) == (error.args, error.__dict__)
    assert [other.text(language) for language in ("zh", "en")] == [error.text(language) for language in ("zh", "en")]
