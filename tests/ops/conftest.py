"""Fixtures of those who watch and keep the house."""

from tests.web.house import furnished, house

__all__ = ["furnished", "house"]
