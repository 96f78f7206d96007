"""The clock of a demo is put forward on its pages, and the countdowns in the browser go by it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from engine import SYSTEM, MovableClock
from engine.clock import DEMO_CLOCK, DemoClock
from engine.layout import lay_out
from tests.browser.conftest import Desk, serving
from tests.web.test_calendar import TENDER

pytestmark = pytest.mark.browser

MONDAY = datetime(2026, 11, 16, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize("width", [1280, 320])
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
def test_a_newcomer_puts_the_clock_forward(tmp_path: Path, chromium: Browser, width: int, script: bool) -> None:
    clock = DemoClock(tmp_path / DEMO_CLOCK, MovableClock(MONDAY))
    with serving(tmp_path, clock, library={"psm050_bidding.bpmn": lay_out(TENDER)}) as house:
        id = house.engine.instances.start(SYSTEM, "psm050_bidding", title="医院集成").id
        context = chromium.new_context(viewport={"width": width, "height": 800}, locale="zh-CN", timezone_id="Asia/Shanghai", java_script_enabled=script)
        desk = Desk(house, context.new_page())
        page = desk.page
        desk.log_in("zhou.nan")
        desk.open(f"/instance/{id}")
        left = page.locator("time.countdown.big").first
        assert left.inner_text() == ("剩 24 天" if script else "还剩 24 天")

        page.locator("#demo-clock summary").click()
        page.get_by_role("button", name="+1 天").click()
        page.get_by_text("演示时钟已拨到 2026-11-17 09:00").wait_for()
        assert left.inner_text() == ("剩 23 天" if script else "还剩 23 天")
        page.locator("#demo-clock summary").click()
        page.get_by_label("拨到", exact=True).fill("2026-11-20T09:00")
        page.get_by_role("button", name="拨到这一刻").click()
        page.get_by_text("演示时钟 2026-11-20 09:00（比实际快 4 天）").wait_for()
        page.get_by_role("button", name="拨到递交截止").click()
        page.get_by_text("演示时钟已拨到 2026-12-10 09:30").wait_for()

        assert page.url == f"{house.url}/instance/{id}"
        assert page.get_by_role("button", name="拨到递交截止").count() == 0
        page.locator("#demo-clock summary").click()
        if script:
            assert page.evaluate("document.documentElement.scrollWidth") == width
        assert desk.complaints == []
        context.close()
