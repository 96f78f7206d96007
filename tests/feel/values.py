"""Strategies for everything that FEEL's data holds, as Python has it."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from engine.feel import YearsMonths

ZONES = st.sampled_from(
    [None, UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-3, minutes=-30)), ZoneInfo("Asia/Shanghai"),
     ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York")]
)  # fmt: skip
NUMBERS = st.one_of(st.integers(-(10**40), 10**40), st.decimals(allow_nan=False, allow_infinity=False, places=None))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    TEXTS,
    st.dates(),
    st.times(timezones=ZONES),
    st.datetimes(timezones=ZONES, allow_imaginary=False),
    st.timedeltas(),
    st.builds(YearsMonths, st.integers(-100_000, 100_000)),
)
KEYS = st.one_of(TEXTS, st.sampled_from(["#", "@", "=", "a", "b"]))


def values() -> st.SearchStrategy[Any]:
    return st.recursive(
        SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)), max_leaves=12
    )
