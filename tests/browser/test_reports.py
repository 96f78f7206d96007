"""What an auditor and an operator read, in a real browser: the report of conformance, why, several beginnings, timed starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from engine import SYSTEM
from engine.events import DecisionEvaluated, FlowTaken
from tests.bpmn.build import diagram, end, exclusive, process, start, timer, user
from tests.bpmn.test_activities import DMN, rule_task
from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser

GRADED = diagram(process(
    start("s1", name="客户来电"), start("s2", name="展会上收集到的线索"), rule_task(), exclusive("g", name="分级"), user("a"), user("b"), end(),
    end("e2"), "s1>r", "s2>r", 'r>g', 'g>a:level = "high" and count([1, 2, 3][item > 1]) = 2', "g>b!", "a>e", "b>e2", id="graded",
    camunda_candidateStarterGroups="account_manager"))
WEEKLY = diagram(process(
    start("tick", timer("timeCycle", "R/P7D"), name="每周一次的例行检查"), user("a"), end(), "tick>a", "a>e", id="weekly"))


@pytest.fixture
def pages(desk: Desk) -> dict[str, str]:
    """Return the addresses of the pages, ``{name: path}``."""
    engine = desk.house.engine
    drawn = {name: engine.deployments.lay_out(xml) for name, xml in {"graded.bpmn": GRADED, "weekly.bpmn": WEEKLY}.items()}
    engine.deployments.deploy(SYSTEM, {**drawn, "level.dmn": DMN}, "reports")
    id = engine.instances.start(SYSTEM, "graded", {"amount": 500}, start_event="s2").id
    history = engine.instances.history(SYSTEM, id)
    taken = next(r.seq for r in history if isinstance(r.event, FlowTaken) and r.event.condition)
    decided = next(r.seq for r in history if isinstance(r.event, DecisionEvaluated))
    return {
        "conformance": "/definitions/graded/1/conformance", "why flow": f"/instance/{id}/why/{taken}",
        "why decision": f"/instance/{id}/why/{decided}", "instance": f"/instance/{id}", "weekly": "/definitions/weekly",
        "definitions": "/definitions", "incidents": "/incidents",
    }


@pytest.mark.parametrize("width", [1280, 320])
def test_the_reports_fit_the_screen(desk: Desk, pages: dict[str, str], width: int, tmp_path: Path) -> None:
    desk.page.set_viewport_size({"width": width, "height": 800})

    for who, names in {"process_owner": list(pages), "account_manager": ["start"]}.items():
        desk.log_in(who)
        for name in names:
            desk.open(pages.get(name, "/start/graded"))
            desk.page.screenshot(path=tmp_path / f"{name} {width}.png", full_page=True)
            assert desk.page.locator("h1").count() == 1, name
            assert desk.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, name
    assert desk.complaints == []


def test_from_the_timeline_to_the_reason_with_the_keyboard(desk: Desk, pages: dict[str, str]) -> None:
    desk.log_in("process_owner")
    desk.open(pages["instance"])

    link = desk.page.get_by_role("link", name=re.compile("^为什么：“分级”走向"))
    link.focus()
    desk.page.keyboard.press("Enter")

    expect(desk.page).to_have_url(re.compile("/why/"))
    expect(desk.page.locator(".tree > li > strong").first).to_have_text("是")
    expect(desk.page.locator(".tree")).to_contain_text('level = "high"')


def test_the_beginning_is_chosen_before_the_process_starts(desk: Desk, pages: dict[str, str]) -> None:
    desk.log_in("account_manager")
    desk.open("/start/graded")

    desk.submit()
    expect(desk.page.get_by_role("alert")).to_contain_text("请选择从哪里开始。")
    desk.page.get_by_label("客户来电").check()
    desk.submit()

    expect(desk.page).to_have_url(re.compile(r"/instance/\d+"))


def test_the_modeler_saves_and_opens_the_report_of_the_draft(desk: Desk, pages: dict[str, str]) -> None:
    desk.log_in("process_owner")
    desk.open("/modeler/graded")
    desk.page.locator(".djs-container").first.wait_for()

    with desk.page.context.expect_page() as opened:
        desk.page.get_by_role("button", name="一致性报告").click()

    expect(opened.value.locator("h1")).to_have_text("一致性报告")
    expect(opened.value.locator("main")).to_contain_text("草稿")
