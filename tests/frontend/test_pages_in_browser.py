"""Viewer, replay, comparison and staff pages in a real browser, under the policy that the server sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.frontend.conftest import Desk, is_ready

pytestmark = pytest.mark.browser

DIAGRAMS = [
    {"key": k, "name": n, "version": v, "xmlUrl": f"/xml/{k}"} for k, n, v in (("bid", "投标", 3), ("pricing", "投标报价", 1))
]


def open_tool(
    page: Page, desk: Desk, tool: str, config: Any, *, kind: str = "workbench", body: str = "", lang: str = "zh-CN"
) -> None:
    main = f'<main id="main"><div id="{tool}"></div>{body}</main>'
    page.goto(desk.page(f"/{tool}", main, tool=tool, config=config, kind=kind, lang=lang))
    is_ready(page)


def open_viewer(page: Page, desk: Desk, **more: Any) -> None:
    config = {
        "diagrams": DIAGRAMS,
        "tokens": {"bid": {"write": 2, "price": 1}},
        "incidents": {"bid": {"scan": 1}},
        "done": {"bid": {"invited": 1, "write": 3}},
        **more,
    }
    open_tool(page, desk, "viewer", config, kind="page")


def event(seq: int, type: str, element: str, token: int, text: str = "", **more: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": f"2026-11-{15 + seq:02}T01:00:00Z",
        "type": type,
        "element": element,
        "token": token,
        "process": "bid",
        "actor": "王磊",
        "text": text,
        **more,
    }


HISTORY = [
    event(1, "ActivityStarted", "write", 1, "开始“编制标书”"),
    event(2, "ActivityCompleted", "write", 1, "王磊完成“编制标书”"),
    event(3, "FlowTaken", "write", 1, flow="write__price", to_token=2),
    event(4, "ActivityStarted", "price", 2, "开始“投标报价”", actor="系统"),
    event(5, "ActivityStarted", "quote", 3, "开始“编制报价单”", process="pricing", actor="李静"),
    event(6, "IncidentOpened", "quote", 3, "报价单出错", process="pricing", actor="系统"),
]


def open_replay(page: Page, desk: Desk, **more: Any) -> None:
    desk.data["/events"] = {"events": HISTORY}
    config = {
        "title": "市政务云",
        "diagrams": DIAGRAMS,
        "eventsUrl": "/events",
        "deadline": "2026-12-01T09:30:00+08:00",
        **more,
    }
    open_tool(page, desk, "replay", config)


CHANGES: list[dict[str, Any]] = [
    {"kind": "removed", "id": "late", "name": "计划到期", "type": "boundaryEvent", "attrs": []},
    {"kind": "added", "id": "scan", "name": "自动扫描", "type": "serviceTask", "attrs": []},
    {
        "kind": "changed",
        "id": "write",
        "name": "编制标书",
        "type": "userTask",
        "attrs": [{"key": "camunda:candidateGroups", "old": "sales", "new": "bid_manager"}],
    },
]


def open_diff(page: Page, desk: Desk, **more: Any) -> None:
    config = {"a": {"title": "版本 2", "xmlUrl": "/xml/bid"}, "b": {"title": "草稿", "xmlUrl": "/xml/bid"}, "changes": CHANGES}
    open_tool(page, desk, "diff", config, **more)


# ---------------------------------------------------------------------------------------------------------- the bpmn.io mark
@pytest.mark.parametrize("opened", [open_viewer, open_replay, open_diff], ids=["viewer", "replay", "diff"])
@pytest.mark.parametrize("width", [1280, 320])
def test_the_mark_of_bpmn_io_is_seen_and_nothing_lies_over_it(page: Page, desk: Desk, opened: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 860})
    opened(page, desk)

    marks = page.locator(".bjs-powered-by:visible")
    assert marks.count() >= 1
    for k in range(marks.count()):
        marks.nth(k).scroll_into_view_if_needed()
        assert marks.nth(k).evaluate("""mark => {
            const box = mark.getBoundingClientRect();
            const seen = (x, y) => mark.contains(document.elementFromPoint(box.x + box.width * x, box.y + box.height * y));
            return seen(.5, .5) && seen(.1, .1) && seen(.9, .1) && seen(.1, .9) && seen(.9, .9);
        }""")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# ------------------------------------------------------------------------------------------------------------------- viewer
def test_the_diagram_tells_how_much_stands_where(page: Page, desk: Desk) -> None:
    open_viewer(page, desk)

    assert page.locator(".djs-overlays .on-diagram.token").all_inner_texts() == ["2", "1"]
    assert page.locator(".djs-overlays .on-diagram.incident").get_attribute("title") == "1 个异常"
    assert page.locator(".djs-overlays .on-diagram.done").all_inner_texts() == ["×3"]
    expect(page.locator("#tab-bid .count").first).to_have_text("3")


def test_a_called_diagram_opens_from_its_call_activity(page: Page, desk: Desk) -> None:
    open_viewer(page, desk)

    page.click("[data-element-id=price] .djs-hit >> nth=0")

    expect(page.locator("#tab-pricing")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#diagram-pricing")).to_be_visible()
    expect(page.locator("#diagram-bid")).to_be_hidden()


def test_the_list_says_the_same_for_those_who_cannot_point(page: Page, desk: Desk) -> None:
    open_viewer(page, desk)

    page.click("#diagram-bid summary")
    told = page.locator("#diagram-bid .element-states > li").all_inner_texts()
    page.click("#diagram-bid .element-states >> text=打开流程图“投标报价”")

    assert told[0].startswith("自动扫描 服务任务 · 1 个异常")
    assert any(t.startswith("编制标书 用户任务 · 2 处进行中、完成 3 次") for t in told)
    expect(page.locator("#tab-pricing")).to_have_attribute("aria-selected", "true")


def test_the_wheel_scrolls_the_page_and_not_the_diagram(page: Page, desk: Desk) -> None:
    page.set_viewport_size({"width": 1000, "height": 400})
    open_viewer(page, desk)
    box = page.locator("#diagram-bid .djs-container").bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, 120)

    page.wait_for_timeout(300)
    assert page.evaluate("scrollY") > 0


# ------------------------------------------------------------------------------------------------------------------- replay
def test_slider_list_and_diagram_say_the_same_step(page: Page, desk: Desk) -> None:
    open_replay(page, desk)

    for _ in range(2):
        page.click("button[aria-label=下一步]")
    at_two = page.locator("[aria-current=step]").inner_text()
    page.click("text=开始“投标报价”")

    assert "王磊完成“编制标书”" in at_two
    expect(page.locator("input[type=range]")).to_have_value("3")
    expect(page.locator(".now")).to_have_text("2026/11/19 09:00")
    expect(page.locator(".left")).to_have_text("距截止 12 天")
    assert "第 4 步，共 6 步" in str(page.get_attribute("input[type=range]", "aria-valuetext"))
    assert page.locator("#diagram-bid .on-diagram.token").count() == 1
    assert page.locator("#diagram-bid .is-passed[data-element-id=write__price]").count() == 1


def test_the_replay_follows_the_called_process_until_it_is_pinned(page: Page, desk: Desk) -> None:
    open_replay(page, desk)

    page.click("text=开始“编制报价单”")
    expect(page.locator("#tab-pricing")).to_have_attribute("aria-selected", "true")
    page.click("#tab-bid")
    page.click("text=报价单出错")
    expect(page.locator("#tab-bid")).to_have_attribute("aria-selected", "true")
    page.click("text=固定此图")

    expect(page.locator("#tab-pricing")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#diagram-pricing .on-diagram.incident")).to_have_count(1)


def test_playing_goes_to_the_end_and_rests_there(page: Page, desk: Desk) -> None:
    open_replay(page, desk)

    page.select_option("#speed", "20")
    page.click("text=播放")

    expect(page.locator("input[type=range]")).to_have_value("5")
    expect(page.locator(".play")).to_have_text("播放")


def test_the_keyboard_walks_the_history(page: Page, desk: Desk) -> None:
    open_replay(page, desk)

    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")

    expect(page.locator("input[type=range]")).to_have_value("0")


def test_the_list_can_be_read_for_one_person(page: Page, desk: Desk) -> None:
    open_replay(page, desk)

    page.select_option("#people", "李静")

    assert page.locator(".step:visible").count() == 1


def test_the_heat_map_names_the_time_spent(page: Page, desk: Desk) -> None:
    open_replay(page, desk)

    page.click("button[aria-label=到最后]")
    page.click("#tab-bid")
    page.click("text=耗时热力图")

    assert sorted(page.locator("#diagram-bid .on-diagram.heat").all_inner_texts()) == ["1 天", "2 天"]


def test_a_long_history_is_listed_whole(page: Page, desk: Desk) -> None:
    many = [{**e, "seq": 6 * k + n + 1} for k in range(800) for n, e in enumerate(HISTORY)]
    desk.data["/events"] = {"events": many}
    open_tool(page, desk, "replay", {"title": "", "diagrams": DIAGRAMS, "eventsUrl": "/events"})

    page.click("button[aria-label=到最后]")

    assert page.locator(".step").count() == 4000
    expect(page.locator("input[type=range]")).to_have_value("4799")


# --------------------------------------------------------------------------------------------------------------------- diff
def test_changes_are_marked_on_the_side_they_belong_to(page: Page, desk: Desk) -> None:
    open_diff(page, desk)
    left, right = page.locator(".pane").nth(0), page.locator(".pane").nth(1)

    assert (left.locator(".df-removed").count(), left.locator(".df-added").count()) == (1, 0)
    assert (right.locator(".df-removed").count(), right.locator(".df-added").count()) == (0, 1)
    assert page.locator(".changes tr.change-changed").text_content() == "修改编制标书用户任务候选角色sales bid_manager"


def test_both_sides_move_together(page: Page, desk: Desk) -> None:
    open_diff(page, desk)

    page.click("button[aria-label=放大]")
    page.click("button[aria-label=放大]")
    page.click(".changes >> text=自动扫描")
    page.wait_for_timeout(500)

    first, second = page.locator(".viewport").evaluate_all(
        "all => all.map(v => v.getAttribute('transform').match(/-?[\\d.]+/g).map(n => Math.round(n * 10)))"
    )
    assert first == second


def test_a_kind_of_change_can_be_put_away(page: Page, desk: Desk) -> None:
    open_diff(page, desk)

    page.click("button.kind.removed")
    page.click("button[aria-label=下一处变化]")

    expect(page.locator(".changes tr.change-removed")).to_be_hidden()
    assert page.locator(".df-removed").count() == 0
    expect(page.locator("tr[aria-current]")).to_contain_text("自动扫描")


def test_a_page_that_lists_the_changes_itself_keeps_its_table(page: Page, desk: Desk) -> None:
    rows = "".join(
        f'<tr class="change-{c["kind"]}" data-element="{c["id"]}"><td>x</td>'
        f'<td>{c["name"]}<br><span class="mono">{c["id"]}</span></td><td></td></tr>'
        for c in CHANGES
    )
    open_diff(page, desk, kind="page", body=f'<table class="table"><tbody>{rows}</tbody></table>')

    page.click("tr[data-element=scan] button")

    expect(page.locator("tr[data-element=scan]")).to_have_attribute("aria-current", "true")
    assert page.locator(".changes").count() == 0
    assert page.locator(".pane").first.bounding_box()["height"] > 200  # type: ignore[index]


# -------------------------------------------------------------------------------------------------------------- staff pages
def test_a_countdown_trusts_the_server_and_not_this_clock(page: Page, desk: Desk) -> None:
    page.add_init_script("const real = Date.now; Date.now = () => real() + 123_456_789_000;")  # four years ahead
    times = "".join(f'<time data-deadline="2026-12-{day}T09:30:00+08:00">{day}</time> ' for day in ("01", "03", "05"))

    page.goto(desk.page("/", f"<main>{times}</main>", now="2026-12-03T08:00:00+08:00"))

    told = page.locator("time").all_inner_texts()
    assert [told[0], told[2]] == ["逾期 1 天 22 小时", "剩 2 天 1 小时"]
    assert told[1] in ("剩 1 小时 30 分钟", "剩 1 小时 29 分钟")
    assert [str(c) for c in page.locator("time").evaluate_all("all => all.map(t => t.className)")] == ["is-late", "is-soon", ""]


ROW = """<fieldset class="row-item"><legend>第 {n} 行</legend><input type="hidden" name="items.{i}._row" value="1">
<label for="f-items.{i}.name">品名</label><input id="f-items.{i}.name" name="items.{i}.name" value="{v}">
<button name="_remove" value="items.{i}" data-remove-row aria-label="删除此行：第 {n} 行">删除此行</button></fieldset>"""


def test_rows_are_added_and_taken_away_without_gaps(page: Page, desk: Desk) -> None:
    rows = "".join(ROW.format(i=i, n=i + 1, v=v) for i, v in enumerate(("服务器", "交换机", "机柜")))
    blank = ROW.format(i=3, n=4, v="")
    page.goto(
        desk.page(
            "/",
            f"""<main><form data-many>
        <fieldset class="rows" data-rows="items" data-max="4"><legend>明细</legend>
        <input type="hidden" name="_rows.items" value="3" data-row-count>{rows}<template data-row>{blank}</template>
        <button name="_add" value="items" data-add-row>添加一行</button></fieldset></form></main>""",
        )
    )

    page.click("[value='items.1']")
    page.click("text=添加一行")
    page.keyboard.type("线缆")
    page.click("text=添加一行")

    sent = page.evaluate("[...new FormData(document.forms[0])]")
    assert sent == [
        ["_rows.items", "4"],
        ["items.0._row", "1"],
        ["items.0.name", "服务器"],
        ["items.1._row", "1"],
        ["items.1.name", "机柜"],
        ["items.2._row", "1"],
        ["items.2.name", "线缆"],
        ["items.3._row", "1"],
        ["items.3.name", ""],
    ]
    assert page.locator("legend").all_inner_texts() == ["明细", "第 1 行", "第 2 行", "第 3 行", "第 4 行"]
    assert page.locator("[data-remove-row]").evaluate_all("all => all.map(b => b.value)") == [
        "items.0",
        "items.1",
        "items.2",
        "items.3",
    ]
    expect(page.locator("[data-add-row]")).to_be_disabled()
    assert page.evaluate("[...document.querySelectorAll('label')].every(label => label.control)")


def test_a_form_with_changes_is_not_left_by_accident(page: Page, desk: Desk) -> None:
    desk.page("/next", "<main>到了</main>")
    form = '<form data-warn-unsaved action="/next"><input name="a"><button>提交</button></form>'
    page.goto(desk.page("/", f'<main><a href="/next">走</a>{form}</main>'))
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)

    page.fill("input", "改了")
    page.click("a", no_wait_after=True)
    page.wait_for_timeout(200)
    stayed = page.url
    page.click("button")
    page.wait_for_url("**/next?*")

    assert asked == ["beforeunload"]
    assert stayed.endswith("/")


def test_a_double_click_sends_a_form_once(page: Page, desk: Desk) -> None:
    page.goto(desk.page("/", '<main><form method="post" action="/stay"><button>提交</button></form></main>'))

    page.dblclick("button", no_wait_after=True)
    page.wait_for_timeout(300)

    assert desk.asked.count(("POST", "/stay")) == 1


def test_a_text_is_copied(page: Page, desk: Desk) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(desk.page("/", '<main><code id="hash">3fa9c1</code><button data-copy-from="#hash">复制</button></main>'))

    page.click("button")

    expect(page.locator("button")).to_have_text("已复制")
    assert page.evaluate("navigator.clipboard.readText()") == "3fa9c1"


@pytest.mark.parametrize("width", [320, 1600])
def test_no_page_is_wider_than_the_screen(page: Page, desk: Desk, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    body = (Path(__file__).parent / "pages" / "wide.html").read_text(encoding="utf-8")

    page.goto(desk.page("/", body))

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
