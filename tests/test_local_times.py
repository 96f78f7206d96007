"""Instants in what machines write, as the clocks of the house show them."""

from __future__ import annotations

import pytest

from engine.clock import with_local_times


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("递交截止 2026-11-24T09:00:00Z,请完成合稿。", "递交截止 2026-11-24 17:00,请完成合稿。"),
        ("2026-11-24T17:00:00+08:00", "2026-11-24 17:00"),
        ("at 2026-11-24T17:00:00@Asia/Shanghai.", "at 2026-11-24 17:00."),
        ("2026-11-24T17:00:00.123456+08:00@Asia/Shanghai 与 2026-11-24T23:30Z", "2026-11-24 17:00 与 2026-11-25 07:30"),
        ("T 2026-11-24T17:00:00", "T 2026-11-24T17:00:00"),
        ("2026-13-44T99:00:00Z", "2026-13-44T99:00:00Z"),
        ("x-2026-11-24T09:00:00Z", "x-2026-11-24T09:00:00Z"),
        ("2026-11-24T09:00:00@No/Where", "2026-11-24T09:00:00@No/Where"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("无", "无"),
    ],
)
def test_instants_are_shown_in_the_zone_and_all_else_stays(text: str, shown: str) -> None:
    assert with_local_times(text, "Asia/Shanghai") == shown
