"""Every setting, event, handler and command is documented."""

import dataclasses
import re
from pathlib import Path

import pytest

import handlers  # noqa: F401  registers
from engine.access import GROUPS
from engine.handler import REGISTRY
from engine.service.people import DEMO_TEAM
from engine.settings import Settings
from tests.tender import EN, ZH

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


def test_both_languages_of_the_tender_page_have_the_same_steps() -> None:
    def steps(file: Path) -> list[list[str]]:
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in file.read_text("utf-8").splitlines() if line.startswith("| ")]
        return [row[:4] for row in rows if len(row) == 5 and row[0][:1].isdigit()]

    assert steps(ZH) == steps(EN)
    assert len(steps(ZH)) > 110
    for readme, page in (("README.md", "docs/tender.md"), ("README.zh-CN.md", "docs/tender.zh-CN.md")):
        assert f"]({page})" in (EN.parents[1] / readme).read_text("utf-8")


def test_the_tender_page_names_the_five_as_the_demo_has_them() -> None:
    people = [f"| {name} | `{id}` | {'、'.join(g.zh for g in GROUPS.values() if g.id in roles)} |" for id, name, roles in DEMO_TEAM]

    assert [line for line in ZH.read_text("utf-8").splitlines() if re.match(r"\| \w+ \| `\w+\.\w+`", line)] == people
