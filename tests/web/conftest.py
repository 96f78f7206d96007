"""Fixtures of the page tests."""

from __future__ import annotations

from tests.web.house import house

__all__ = ["house"]
