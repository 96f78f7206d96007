"""Two hundred clauses come from a spreadsheet into a task, and go out again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from engine import SYSTEM
from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser


def test_a_list_is_filled_from_a_spreadsheet_and_written_to_one(desk: Desk) -> None:
    engine, page = desk.house.engine, desk.page
    deadline = engine.clock.now() + timedelta(days=20)
    id = engine.instances.start(SYSTEM, "bid_deviation_table", {"tender_no": "ZB-1", "submission_deadline": deadline}, title="粘贴").id
    engine.jobs.run_due()
    (task,) = [t for t in engine.tasks.of_instance(SYSTEM, id) if t.ended_at is None]
    desk.log_in("bid_technical_lead")
    desk.open(f"/task/{task.id}")
    rows = page.locator('[data-rows="items"] > .row-item')
    expect(rows).to_have_count(1)

    # A paste: two columns by their names, one that the form has not, one cell that is not offered.
    page.get_by_role("button", name="从表格粘贴 / 导入 CSV").click()
    lines = "".join(f"4.{n}\t{'负偏离' if n == 7 else '大概' if n == 9 else '无偏离'}\t=1+{n}\tx\n" for n in range(200))
    page.get_by_label("粘贴表格内容").fill("条款\t偏离\tOur response\t备注\n" + lines)
    told = page.locator(".sheet-problems > li")
    expect(told).to_have_count(2)
    expect(told.nth(0)).to_contain_text("备注")
    expect(told.nth(1)).to_have_text("第 11 行“偏离”：“大概”不是可选项。可选：无偏离、正偏离、负偏离。")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="取消").click()
    expect(rows).to_have_count(1)
    assert page.input_value('[name="items.0.clause_no"]') == ""

    # Confirmed: the rows are there, numbered, without a reload.
    page.get_by_role("button", name="从表格粘贴 / 导入 CSV").click()
    page.get_by_label("粘贴表格内容").fill("条款\t偏离\tOur response\n" + lines.replace("\tx\n", "\n"))
    page.get_by_role("button", name="填入 200 行").click()
    expect(rows).to_have_count(200)
    assert page.input_value('[name="items.7.clause_no"]') == "4.7"
    assert page.input_value('[name="items.7.direction"]') == "negative"
    assert page.input_value('[name="items.9.direction"]') == ""
    assert page.input_value('[name="items.199.response"]') == "=1+199"

    # A file of Excel in China is added to them.
    page.get_by_role("button", name="从表格粘贴 / 导入 CSV").click()
    content = "条款,招标要求,★ 条款\r\n5.1,\"双机,热备\",是\r\n".encode("gb18030")
    page.get_by_label("或选择 CSV 文件").set_input_files([{"name": "条款.csv", "mimeType": "text/csv", "buffer": content}])
    page.get_by_role("button", name="填入 1 行").click()
    expect(rows).to_have_count(201)
    assert page.input_value('[name="items.200.requirement"]') == "双机,热备"
    assert page.is_checked('[name="items.200.is_star"]')

    # And out again: no cell begins like a formula.
    with page.expect_download() as download:
        page.get_by_role("button", name="导出 CSV").click()
    text = download.value.path().read_text("utf-8-sig")
    assert text.splitlines()[0] == "条款,招标要求,我方应答,页码,偏离,★ 条款"
    assert text.splitlines()[8] == "4.7,,'=1+7,,负偏离,否"
    assert len(text.splitlines()) == 202

    # The server judges what was filled in as it does what was typed.
    page.select_option('[name="items.9.direction"]', "none")
    page.check('[name="rest_conforms"]')
    desk.submit()
    page.wait_for_url(lambda url: f"/task/{task.id}" not in url)
    variables = engine.instances.variables(SYSTEM, id)
    assert len(variables["items"]) == 201
    assert [d["clause_no"] for d in variables["deviations"]] == ["4.7"]
    assert desk.complaints == []
