"""Every setting, event, handler and command is documented."""

import dataclasses
import re
from pathlib import Path

import pytest

import handlers  # noqa: F401  registers
from engine.handler import REGISTRY
from engine.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Settings)])
def test_every_setting_is_documented(field):
    assert f"`PSMFLOW_{field.upper()}`" in (DOCS / "settings.md").read_text("utf-8")


@pytest.mark.parametrize("type", sorted(REGISTRY))
def test_every_handler_is_documented(type):
    assert f"`{type}`" in (DOCS / "handlers.md").read_text("utf-8")


def test_no_documented_handler_is_gone():
    documented = re.findall(r"^\| `(\w+\.\w+)` \|", (DOCS / "handlers.md").read_text("utf-8"), re.M)

    assert set(documented) == set(REGISTRY)
