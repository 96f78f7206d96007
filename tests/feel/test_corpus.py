"""Every text that the fuzzer kept, for its coverage or for a fault it once found, still keeps the promises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feel.fuzz import target

TEXTS: list[str] = json.loads((Path(__file__).parent / "fuzz" / "corpus.json").read_text("utf-8"))


@pytest.mark.parametrize("part", range(20))
def test_a_text_of_the_corpus_is_refused_or_has_a_value(part: int) -> None:
    for text in TEXTS[part::20]:
        target.run(text)


@given(st.lists(st.sampled_from(TEXTS), min_size=2, max_size=4), st.sampled_from([" ", "+", " and ", ",", "[", "(", ".", " in "]))
def test_pieces_of_the_corpus_put_together_are_refused_or_have_a_value(texts: list[str], between: str) -> None:
    target.run(between.join(texts))


def test_the_watch_sees_what_no_expression_may_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opens(text: str, names: frozenset[str]) -> None:
        (tmp_path / "x").write_text(text)

    monkeypatch.setattr(target, "expression_problems", opens)

    with pytest.raises(target.Escape, match="open"):
        target.run("1")
