"""Fixtures of the page tests."""

from __future__ import annotations

from tests.web.house import furnished, house

__all__ = ["furnished", "house"]
