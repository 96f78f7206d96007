"""The specification's text (DMN 1.3 to 1.5, chapter 10), one expression a line in `standard.txt`: ``expression => value``.

The value is FEEL too; ``!`` says that the text is no FEEL. Equal means the same type, and `is` where times are concerned.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.feel.builtins import BUILTINS
from engine.feel.compiler import compile_text
from engine.feel.errors import FeelSyntaxError
from engine.feel.run import Run, Value

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)
PAIRS = [
    tuple(line.rsplit(" => ", 1))
    for line in (Path(__file__).parent / "standard.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def value_of(text: str) -> Value:
    return compile_text(text).closure({None: Run(NOW)})


@pytest.mark.parametrize(("text", "wanted"), PAIRS)
def test_an_expression_has_the_value_that_the_standard_gives_it(text: str, wanted: str) -> None:
    if wanted == "!":
        with pytest.raises(FeelSyntaxError):
            compile_text(text)
        return

    value, expected = value_of(text), value_of(wanted)

    assert BUILTINS["is"].call([value, expected], None, Run(NOW)) is True, f"{value!r} instead of {expected!r}"
