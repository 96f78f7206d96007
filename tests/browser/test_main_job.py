"""The main job in a real browser: start, work, redraw, deploy, replay."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from engine import SYSTEM
from engine.rehearsal import read_scenario
from tests.browser.conftest import PROCESSES, Desk

pytestmark = pytest.mark.browser

WON = json.loads((PROCESSES / "psm_presale" / "scenarios" / "won.json").read_text("utf-8"))
QUOTED = json.loads((PROCESSES / "psm040_quotation" / "scenarios" / "declined.json").read_text("utf-8"))


def start(desk: Desk, key: str, title: str, values: dict[str, Any]) -> int:
    desk.open(f"/start/{key}")
    desk.fill({**values, "_title": title})
    desk.submit()
    found = re.search(r"/instance/(\d+)", desk.page.url)
    assert found, desk.page.locator("main").inner_text()
    return int(found.group(1))


def standing(desk: Desk) -> set[str]:
    """``process.element`` of every token that the instance page shows."""
    tokens = desk.config()["tokens"]
    return {f"{process}.{element}" for process, elements in tokens.items() for element, count in elements.items() if count}


def test_a_project_is_started_worked_on_redrawn_and_replayed(desk: Desk) -> None:
    # Start.
    desk.log_in("account_manager")
    old = start(desk, "psm040_quotation", "市政务云二期", {})
    before = standing(desk)
    desk.page.locator(".djs-container").first.wait_for()

    # Three people complete tasks; the token moves each time.
    steps = [step for step in QUOTED["steps"] if "complete" in step][:3]
    assert len({step["by"] for step in steps}) == 3
    for step in steps:
        desk.log_in(step["by"])
        process, element = step["complete"].split(".")
        (task,) = [t for t in desk.house.engine.tasks.of_instance(SYSTEM, old) if (t.process, t.element, t.state) == (process, element, "open")]
        desk.page.get_by_role("link", name=task.name, exact=True).first.click()
        desk.page.wait_for_url(re.compile(r"/task/\d+"))
        desk.open(f"/task/{task.id}")
        desk.fill(step["values"], step.get("files"))
        desk.submit()
        assert "/task/" not in desk.page.url, desk.page.locator(".error-summary, .alert").all_inner_texts()
        desk.open(f"/instance/{old}")
        after = standing(desk)
        assert after != before
        before = after

    # The process owner changes a label and deploys.
    desk.log_in("process_owner")
    desk.open("/modeler/psm040_quotation")
    desk.page.locator(".djs-container").first.wait_for()
    desk.page.locator("#tab-elements").click()
    desk.page.locator("#side-elements").get_by_text("collect_cost", exact=False).first.click()
    name = desk.page.get_by_label("名称", exact=True)
    name.fill("提交配置与人天")
    name.press("Tab")
    desk.page.get_by_role("button", name="部署新版本").click()
    desk.page.get_by_role("dialog").get_by_role("button", name="部署", exact=True).click()
    desk.page.get_by_text(re.compile("第 2 版")).first.wait_for()
    versions = desk.house.engine.deployments.versions(SYSTEM, "psm040_quotation")
    assert max(v.version for v in versions) == 2

    # A new instance runs on the new version, the old one on its own.
    desk.log_in("account_manager")
    new = start(desk, "psm040_quotation", "二号项目", {})
    versions_of = lambda: {d["key"]: d["version"] for d in desk.config()["diagrams"]}
    assert versions_of()["psm040_quotation"] == 2
    assert desk.page.get_by_text("提交配置与人天").first.is_visible()
    desk.open(f"/instance/{old}")
    assert versions_of()["psm040_quotation"] == 1

    # The auditor replays the old one to its end.
    desk.log_in("auditor")
    desk.open(f"/instance/{old}/replay")
    slider = desk.page.get_by_role("slider")
    slider.wait_for()
    desk.page.locator(".djs-container").first.wait_for()
    last = int(slider.get_attribute("max") or 0)
    assert last > 20
    slider.focus()
    desk.page.keyboard.press("End")
    desk.page.wait_for_function("() => { const s = document.querySelector('input[type=range]'); return s.value === s.max; }")
    assert desk.page.locator(".steps-list [aria-current]").count() == 1
    desk.open(f"/instance/{new}/replay")
    desk.page.get_by_role("button", name=re.compile("播放")).click()
    desk.page.wait_for_function("() => Number(document.querySelector('input[type=range]').value) > 2")

    assert desk.complaints == []


PAGES = [
    ("account_manager", "/"), ("account_manager", "/start"), ("account_manager", "/start/psm_presale"), ("account_manager", "/instances"),
    ("auditor", "/definitions"), ("process_owner", "/definitions/psm050_bidding/1"), ("process_owner", "/modeler/psm050_bidding"),
    ("process_owner", "/incidents"), ("system_admin", "/people"), ("account_manager", "/notices"), ("account_manager", "/nowhere"),
]


@pytest.mark.parametrize(("who", "path"), PAGES, ids=[p for _, p in PAGES])
@pytest.mark.parametrize("width", [1280, 320])
def test_a_page_fits_its_window_and_calls_nobody_else(desk: Desk, who: str, path: str, width: int) -> None:
    desk.page.set_viewport_size({"width": width, "height": 800})
    desk.log_in(who)

    desk.open(path)
    desk.page.wait_for_load_state("networkidle")

    desk.page.locator("h1:visible").first.wait_for()
    too_wide = desk.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert too_wide <= 0
    assert desk.page.locator("h1:visible").count() == 1
    assert [c for c in desk.complaints if "404" not in c] == []


@pytest.mark.parametrize("path", ["/definitions/psm_presale/1", "/modeler/psm_presale"])
def test_the_mark_of_bpmn_io_stays_visible_and_free(desk: Desk, path: str) -> None:
    desk.log_in("process_owner")
    desk.open(path)
    mark = desk.page.locator(".bjs-powered-by").first
    mark.wait_for()

    on_top = mark.evaluate("e => { const r = e.getBoundingClientRect(); return e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2)); }")

    assert mark.is_visible()
    assert on_top


def test_a_task_is_done_without_javascript(house, chromium) -> None:
    context = chromium.new_context(java_script_enabled=False, locale="zh-CN")
    desk = Desk(house, context.new_page())
    step = next(s for s in read_scenario(PROCESSES / "psm_presale" / "scenarios" / "won.json").steps if "complete" in s)
    desk.log_in(WON["start"]["by"])
    soon = (house.engine.clock.now() + timedelta(days=90)).date().isoformat()
    instance = start(desk, "psm_presale", "无脚本", {**WON["start"]["values"], "expected_sign_date": soon})
    desk.log_in(step["by"])
    (task,) = [t for t in house.engine.tasks.of_instance(SYSTEM, instance) if t.state == "open"]

    desk.open(f"/task/{task.id}")
    desk.fill({k: v for k, v in step.get("values", {}).items() if not isinstance(v, list)}, step.get("files"))
    desk.submit()

    assert house.engine.tasks.get(SYSTEM, task.id).state == "completed", desk.page.locator("main").inner_text()
    context.close()
