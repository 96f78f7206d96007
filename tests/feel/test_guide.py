"""Every sample of the guide runs as it stands."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine import calendar
from engine.feel import FeelSyntaxError, compile_expression

GUIDE = (Path(__file__).parents[2] / "docs" / "feel.md").read_text("utf-8")
NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.S | re.M)


def samples(kind: str, mark: str) -> list[tuple[str, str]]:
    """Return the lines of the blocks as (text, what is said of it)."""
    lines = [line for block in blocks(kind) for line in block.splitlines()]
    return [(line.partition(mark)[0].rstrip(), line.partition(mark)[2].strip()) for line in lines]


[VARIABLES_TEXT] = blocks("feel-variables")
VARIABLES: dict[str, Any] = compile_expression(VARIABLES_TEXT).evaluate({}, NOW).value
SAMPLES, ERRORS = samples("feel", "// =>"), samples("feel-errors", "//")


@pytest.mark.parametrize(("text", "said"), SAMPLES, ids=[text for text, _ in SAMPLES])
def test_a_sample_gives_what_the_guide_says(text: str, said: str) -> None:
    result = compile_expression(text, frozenset(VARIABLES)).evaluate(VARIABLES, NOW, calendar=calendar)

    if said.startswith("null: "):
        assert result.value is None
        assert list(result.reasons) == [said.removeprefix("null: ")]
    else:
        assert result.value == compile_expression(said).evaluate({}, NOW).value
        assert result.value is not None


@pytest.mark.parametrize(("text", "said"), ERRORS, ids=[text for text, _ in ERRORS])
def test_a_mistake_is_told_as_the_guide_says(text: str, said: str) -> None:
    with pytest.raises(FeelSyntaxError) as refused:
        compile_expression(text, frozenset(VARIABLES))

    assert f"{refused.value.line}:{refused.value.column} {refused.value.zh}" == said


def test_the_guide_has_samples() -> None:
    assert len(SAMPLES) > 45
    assert len(ERRORS) == 4
