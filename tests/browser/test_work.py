"""What staff do all day, in a real browser: with the keyboard alone, and with everything that a task's page offers."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from engine import SYSTEM
from engine.model import InstanceId, UserTask
from tests.browser.conftest import Desk, House

pytestmark = pytest.mark.browser

_STEPS = 80


def begun(house: House, title: str) -> InstanceId:
    """Start the pre-sales process as the account manager, whose task comes first."""
    who = house.engine.people.actor("account_manager")
    assert who is not None
    values = {
        "project_name": title, "customer": "江南园区集团", "lead_source": "visit", "lead_summary": "客户要建设覆盖三个园区的管理平台",
        "expected_sign_date": (house.engine.clock.now() + timedelta(days=90)).date().isoformat(),
    }
    return house.engine.instances.start(who, "psm_presale", values, title=title).id


def the_task(house: House, id: InstanceId) -> UserTask:
    (task,) = [t for t in house.engine.tasks.of_instance(SYSTEM, id) if t.ended_at is None]
    return task


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until what `selector` finds has the focus, seen by everybody."""
    for _ in range(_STEPS):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert ring != "none", f"{selector} shows no focus"
            return
    pytest.fail(f"{selector} is not reached with the Tab key on {page.url}")


def test_a_task_is_done_with_the_keyboard_alone(desk: Desk) -> None:
    id = begun(desk.house, "键盘项目")
    task, page = the_task(desk.house, id), desk.page

    # Log in: the first Tab is the way past the menu.
    desk.open("/login")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.classList.contains('skip-link')")
    tab_to(page, "#user")
    page.keyboard.type("account_manager")
    tab_to(page, "#password")
    page.keyboard.type("demo")
    page.keyboard.press("Enter")
    page.wait_for_url(desk.house.url + "/")

    # Inbox to task, past the menu.
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(page, f'a[href="/task/{task.id}"]')
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/task/{task.id}"))

    # A wrong submission: the focus is on the summary, its link leads to the field.
    tab_to(page, ".form-actions button[name=_submit]")
    page.keyboard.press("Enter")
    page.locator("#problems").wait_for()
    assert page.evaluate("document.activeElement.id") == "problems"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.matches('[name=win_prob]')")

    # The right one: a number, a choice by arrow key or space, Enter.
    page.keyboard.type("60")
    tab_to(page, "input[name=decision]")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url(desk.house.url + "/")

    done = desk.house.engine.tasks.get(SYSTEM, task.id)
    assert (done.state, done.ended_by) == ("completed", "account_manager")
    assert [c for c in desk.complaints if "422" not in c] == []


def test_a_task_is_claimed_given_back_kept_as_a_draft_and_corrected(desk: Desk) -> None:
    id = begun(desk.house, "草稿项目")
    task, page = the_task(desk.house, id), desk.page
    desk.open("/login")
    page.get_by_role("button", name="林悦").click()
    page.wait_for_url(desk.house.url + "/")

    # Claim in the inbox, give back on the page: others may claim it again.
    page.get_by_role("button", name=re.compile(f"领取.*{task.name}.*草稿项目")).click()
    page.get_by_text("已领取，请办理。").wait_for()
    assert the_task(desk.house, id).assignee == "lin.yue"
    page.get_by_role("button", name="退回").click()
    page.get_by_text("已退回，其他人可以领取。").wait_for()
    assert the_task(desk.house, id).assignee is None

    # A draft is there again after leaving, and leaving without it asks first.
    desk.open(f"/task/{task.id}")
    page.get_by_role("button", name="领取", exact=True).click()
    page.get_by_text("已领取，请办理。").wait_for()
    page.fill("[name=win_prob]", "55")
    page.get_by_role("button", name="存草稿").click()
    page.get_by_text("草稿已保存。").wait_for()
    desk.open("/")
    desk.open(f"/task/{task.id}")
    expect(page.locator("[name=win_prob]")).to_have_value("55")

    # An error says where and what; corrected, the task is done.
    page.fill("[name=win_prob]", "五十五")
    desk.submit()
    summary = page.locator("#problems")
    expect(summary).to_be_focused()
    assert summary.get_by_role("link").count() == 2
    expect(page.locator("[name=win_prob]")).to_have_value("五十五")
    expect(page.locator("[name=win_prob]")).to_have_attribute("aria-invalid", "true")
    page.fill("[name=win_prob]", "55")
    page.locator("[name=decision][value=go]").check()
    desk.submit()
    page.get_by_text("已提交").wait_for()
    assert desk.house.engine.tasks.get(SYSTEM, task.id).state == "completed"
    assert desk.complaints == []


def test_a_file_is_attached_survives_an_error_and_is_taken_out_again(desk: Desk) -> None:
    engine, page = desk.house.engine, desk.page
    instance = engine.instances.start(SYSTEM, "solution_revision", {}, title="附件项目")
    task = the_task(desk.house, instance.id)
    (who,) = task.candidate_groups
    form, _ = engine.tasks.form(SYSTEM, task.id)
    assert form is not None
    field = next(c.key for c in form.inputs() if c.type == "filepicker")
    pdf = {"name": "修订稿.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4\nrevised"}
    wrong = {"name": "病毒.exe", "mimeType": "application/octet-stream", "buffer": b"MZ"}

    desk.log_in(who)
    desk.open(f"/task/{task.id}")
    page.set_input_files(f"[name={field}]", [wrong])
    page.get_by_role("button", name="存草稿").click()
    page.locator(f"#e-{field}").wait_for()
    page.set_input_files(f"[name={field}]", [pdf])
    page.get_by_role("button", name="存草稿").click()
    page.get_by_text("草稿已保存。").wait_for()
    assert [d.name for d in engine.instances.documents(SYSTEM, instance.id)] == ["修订稿.pdf"]

    with page.expect_download() as download:
        page.get_by_role("link", name="修订稿.pdf").first.click()
    assert download.value.suggested_filename == "修订稿.pdf"
    page.get_by_role("button", name="移除文件 修订稿.pdf").click()
    page.wait_for_load_state()
    expect(page.get_by_role("link", name="修订稿.pdf")).to_have_count(0)
    assert engine.instances.documents(SYSTEM, instance.id) == ()
