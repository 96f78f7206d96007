"""Drawing diagrams in a real browser: what is changed, what is kept, and what the server is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.frontend.conftest import Desk, diagram, is_ready

pytestmark = pytest.mark.browser

CAMUNDA = "http://camunda.org/schema/1.0/bpmn"


def _field(name: str, form: str, places: list[str], value: str, group: str, zh: str, **more: Any) -> dict[str, Any]:
    kinds = [dict(zip(("kind", "event"), (*p.split("/"), ""), strict=False)) for p in places]
    return {
        "name": name,
        "form": form,
        "places": kinds,
        "value": value,
        "group": group,
        "label": {"zh": zh, "en": name},
        "help": {"zh": "", "en": ""},
        "choices": more.get("choices", []),
        "parts": more.get("parts", []),
    }


#: A table in the shape that `engine.bpmn.fields.as_json` gives.
FIELDS = {
    "namespace": CAMUNDA,
    "groups": [
        {"id": g, "zh": g, "en": g}
        for g in ("general", "assignment", "due", "separation", "form", "job", "mapping", "loop", "message")
    ],
    "fields": [
        _field("versionTag", "attribute", ["process"], "text", "general", "版本标签"),
        _field("assignee", "attribute", ["userTask"], "user", "assignment", "办理人"),
        _field("candidateGroups", "attribute", ["userTask"], "groups", "assignment", "候选角色"),
        _field("dueDate", "attribute", ["userTask"], "feel", "due", "到期时间"),
        _field("workingDue", "property", ["userTask"], "integer", "due", "工作日期限"),
        _field("separateFrom", "property", ["userTask"], "elements", "separation", "须与这些任务不同人"),
        _field("formKey", "attribute", ["userTask", "startEvent/none"], "form", "form", "表单"),
        _field("type", "attribute", ["serviceTask"], "choice", "job", "实现方式", choices=["external"]),
        _field("topic", "attribute", ["serviceTask"], "job type", "job", "作业类型"),
        _field("failedJobRetryTimeCycle", "element", ["serviceTask"], "duration", "job", "失败重试"),
        _field("inputOutput", "element", ["serviceTask", "userTask"], "mapping", "mapping", "输入与输出", parts=["name"]),
        _field("calledElement", "bpmn", ["callActivity"], "process", "call", "被调用流程"),
        _field(
            "in",
            "element",
            ["callActivity"],
            "mapping",
            "call",
            "传入",
            parts=["source", "sourceExpression", "target", "variables"],
        ),
        _field("collection", "attribute", ["multiInstanceLoopCharacteristics"], "feel", "loop", "集合"),
        _field("completionCondition", "bpmn", ["multiInstanceLoopCharacteristics"], "feel", "loop", "提前完成条件"),
        _field("outputCollection", "property", ["multiInstanceLoopCharacteristics"], "variable", "loop", "结果列表"),
        _field("correlationKey", "property", ["boundaryEvent/message"], "feel", "message", "关联键"),
    ],
}
CATALOGUE = {
    "forms": [{"id": "bid.write", "zh": "标书表单", "en": "bid"}],
    "groups": [{"id": "bid_manager", "zh": "投标负责人", "en": ""}, {"id": "reviewer", "zh": "评审人", "en": ""}],
    "jobTypes": [{"id": "bid.scan", "zh": "扫描", "en": ""}, {"id": "bid.remind", "zh": "提醒", "en": ""}],
    "processes": [{"id": "pricing", "zh": "投标报价", "en": ""}],
    "users": [],
    "decisions": [],
}


def finding(element: str, zh: str, severity: str = "error", **more: Any) -> dict[str, Any]:
    return {
        "rule": "some-rule",
        "severity": severity,
        "element": element,
        "line": 7,
        "zh": zh,
        "en": "",
        "mendZh": "这样改。",
        "mendEn": "",
        **more,
    }


def open_modeler(page: Page, desk: Desk, lang: str = "zh-CN", **more: Any) -> None:
    config = {
        "key": "bid",
        "name": "投标",
        "version": 3,
        "sha256": "",
        "draftUrl": "/draft",
        "checkUrl": "/check",
        "layoutUrl": "/layout",
        "deployUrl": "/deploy",
        "diffUrl": "/diff",
        "csrf": "token",
        "fields": FIELDS,
        "catalogue": CATALOGUE,
        "findings": desk.findings,
        **more,
    }
    page.goto(
        desk.page(
            "/modeler",
            '<main id="main"><div id="modeler"></div></main>',
            tool="modeler",
            config=config,
            lang=lang,
            kind="workbench",
        )
    )
    is_ready(page)


def js(page: Page, code: str) -> Any:
    """Run `code` with bpmn-js at hand: G(service), E(element id)."""
    at_hand = "const { modeler } = document.getElementById('modeler');"
    at_hand += "const G = name => modeler.get(name); const E = id => G('elementRegistry').get(id);"
    return page.evaluate(f"async () => {{ {at_hand} {code} }}")


def xml(page: Page) -> str:
    """The file as it would be saved, without the empty label that bpmn-js gives to what was renamed."""
    return re.sub(r"\n *<bpmndi:BPMNLabel />", "", str(js(page, "return (await modeler.saveXML({ format: true })).xml;")))


def select(page: Page, element: str) -> None:
    js(page, f"G('selection').select(E('{element}'));")
    page.click("#tab-properties")


def fill(page: Page, control: str, text: str) -> None:
    page.fill(f"#p-{control}", text)
    page.keyboard.press("Tab")


def part(text: str, element: str) -> str:
    """The element of that id, as the file has it."""
    found = re.search(rf'<bpmn:(\w+) id="{element}".*?(?:</bpmn:\1>)', text, re.DOTALL)
    assert found is not None, element
    return found[0]


# ----------------------------------------------------------------------------------------------------------- nothing is lost
def test_what_nobody_here_knows_is_written_back_as_it_was(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)

    written = part(xml(page), "write")

    assert 'camunda:someday="kept" house:colour="green"' in written
    assert '<camunda:script scriptFormat="x">kept as it is</camunda:script>' in written
    assert '<house:note by="王磊">不可丢失</house:note>' in written


def test_a_changed_property_leaves_its_neighbours_alone(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    select(page, "write")

    fill(page, "userTask-workingDue", "5")

    written = part(xml(page), "write")
    assert '<camunda:property name="workingDue" value="5" />' in written
    assert "不可丢失" in written
    assert "kept as it is" in written


def test_a_copy_takes_its_extension_fields_along(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)

    copied = js(
        page,
        """
        G('copyPaste').copy([E('write')]);
        const made = G('copyPaste').paste({ element: G('canvas').getRootElement(), point: { x: 500, y: 500 } });
        return made.find(e => e.type === 'bpmn:UserTask').id;""",
    )

    written = part(xml(page), copied)
    assert 'camunda:candidateGroups="bid_manager"' in written
    assert 'camunda:formKey="bid.write"' in written
    assert '<camunda:property name="workingDue" value="3" />' in written
    assert "不可丢失" in written


def test_a_change_of_type_drops_what_has_no_meaning_there(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)

    js(page, "G('bpmnReplace').replaceElement(E('write'), { type: 'bpmn:ServiceTask' });")

    written = part(xml(page), "write")
    assert written.startswith("<bpmn:serviceTask")
    assert "formKey" not in written
    assert 'camunda:someday="kept"' in written


# ----------------------------------------------------------------------------------------------------------------- the panel
def test_each_change_in_the_panel_is_one_step_back(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    before = xml(page)
    select(page, "write")

    fill(page, "name", "编制投标文件")
    fill(page, "userTask-dueDate", 'deadline - duration("P1D")')
    page.select_option("#p-userTask-candidateGroups", "reviewer")
    page.select_option("#p-loopKind", "parallel")
    fill(page, "multiInstanceLoopCharacteristics-collection", "reviewers")
    changed = part(xml(page), "write")
    for _ in range(5):
        page.click("button[aria-label=撤销]")

    assert 'camunda:candidateGroups="bid_manager,reviewer"' in changed
    assert 'camunda:collection="reviewers"' in changed
    assert xml(page) == before
    expect(page.locator("button[aria-label=撤销]")).to_be_disabled()


def test_the_focus_goes_on_to_the_next_field_after_a_change(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    select(page, "write")

    fill(page, "userTask-dueDate", "deadline")

    assert page.evaluate("document.activeElement.id") == "p-userTask-workingDue"


def test_a_value_that_cannot_be_is_refused_where_it_is_typed(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    before = xml(page)

    select(page, "write")
    fill(page, "userTask-workingDue", "bald")
    fill(page, "id", "1 2")
    told = [page.inner_text(f"#p-{name}-problem") for name in ("userTask-workingDue", "id")]
    select(page, "late")
    fill(page, "timerValue", "PT24")

    assert told == ["须为整数，或以 = 开头的 FEEL", "须以字母或下划线开头，只含字母、数字、_ - ."]
    assert "ISO 8601" in page.inner_text("#p-timerValue-problem")
    assert page.get_attribute("#p-timerValue", "aria-invalid") == "true"
    assert xml(page) == before


def test_choosing_a_job_type_says_that_a_handler_does_it(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    select(page, "write")
    js(page, "G('selection').select(G('bpmnReplace').replaceElement(E('write'), { type: 'bpmn:ServiceTask' }));")

    page.select_option("#p-serviceTask-topic", "bid.remind")
    fill(page, "serviceTask-failedJobRetryTimeCycle", "R5/PT10M")

    written = part(xml(page), "write")
    assert 'camunda:topic="bid.remind"' in written
    assert 'camunda:type="external"' in written
    assert "<camunda:failedJobRetryTimeCycle>R5/PT10M</camunda:failedJobRetryTimeCycle>" in written


def test_mappings_and_properties_are_written_in_rows(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    select(page, "scan")

    for button, words in (("添加输入", ("total", "sum(items)")), ("添加属性", ("template", "bid"))):
        page.click(f"text={button}")
        for text in words:
            page.keyboard.type(text)
            page.keyboard.press("Tab")
    select(page, "price")
    page.click("text=添加传入")
    for text in ("= amount * 2", "doubled"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")

    text = xml(page)
    assert '<camunda:inputParameter name="total">sum(items)</camunda:inputParameter>' in part(text, "scan")
    assert '<camunda:property name="template" value="bid" />' in part(text, "scan")
    assert '<camunda:in sourceExpression="amount * 2" target="doubled" />' in part(text, "price")


def test_a_mapping_that_the_rows_cannot_say_is_kept(page: Page, desk: Desk) -> None:
    desk.draft = (
        diagram("bid")
        .replace(
            'calledElement="pricing">',
            'calledElement="pricing"><bpmn:extensionElements><camunda:in businessKey="#{key}" /></bpmn:extensionElements>',
        )
        .encode()
    )
    open_modeler(page, desk)
    select(page, "price")

    page.click("text=添加传入")
    page.keyboard.type("amount")
    page.keyboard.press("Tab")

    written = part(xml(page), "price")
    assert '<camunda:in businessKey="#{key}" />' in written
    assert '<camunda:in source="amount" target="" />' in written


def test_a_message_of_that_name_is_used_again(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    for x in (270, 330):
        js(
            page,
            f"""
            const event = {{ type: 'bpmn:BoundaryEvent', eventDefinitionType: 'bpmn:MessageEventDefinition' }};
            G('selection').select(G('modeling').createShape(event, {{ x: {x}, y: 160 }}, E('write'), {{ attach: true }}));""",
        )
        fill(page, "message", "tender_amended")
    fill(page, "boundaryEvent-correlationKey", "tender_no")

    text = xml(page)
    assert len(re.findall(r"<bpmn:message ", text)) == 1
    assert len(re.findall(r"messageRef=", text)) == 2
    assert '<camunda:property name="correlationKey" value="tender_no" />' in text


def test_what_is_being_typed_stays_when_the_panel_is_refreshed(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    select(page, "write")

    page.fill("#p-name", "编写技术标")
    js(page, "G('eventBus').fire('commandStack.changed', {});")  # as when the answer of a check comes
    page.keyboard.press("Tab")

    assert 'name="编写技术标"' in xml(page)


def test_a_default_flow_needs_no_condition(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)

    select(page, "accepted__scan")
    page.check("#p-default")

    expect(page.locator("#p-condition")).to_have_count(0)
    assert 'default="accepted__scan"' in part(xml(page), "accepted")
    page.click("button[aria-label=撤销]")
    expect(page.locator("#p-condition")).to_have_value("approved = true")


def test_what_is_not_in_the_catalogue_is_marked_and_kept(page: Page, desk: Desk) -> None:
    open_modeler(page, desk, catalogue={**CATALOGUE, "forms": [], "groups": []})
    select(page, "write")

    assert "bid.write（未登记）" in page.inner_text("#p-userTask-formKey")
    assert "bid_manager（未登记）" in page.inner_text(".chosen")
    assert 'camunda:formKey="bid.write"' in part(xml(page), "write")


def test_only_what_the_engine_runs_is_offered(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)

    offered = js(
        page,
        """
        const menu = G('popupMenu');
        const entries = id => Object.keys(menu._getEntries(E('write'), menu._getProviders(id)));
        return ['bpmn-create', 'bpmn-append', 'bpmn-replace'].flatMap(entries);""",
    )

    assert len(offered) > 60
    assert [i for i in offered if re.search(r"complex|ad-?hoc|transaction|cancel", i)] == []


# ----------------------------------------------------------------------------------------------------------------- findings
def test_findings_stand_on_the_canvas_in_the_panel_and_in_the_list(page: Page, desk: Desk) -> None:
    desk.findings = [
        finding("write", "表单没有登记（camunda:formKey）"),
        finding("scan", "没有人知道这个作业", "warning"),
        finding("bid", "流程太短", "draft"),
    ]
    open_modeler(page, desk)

    page.click("#tab-findings")
    listed = page.locator(".findings > li")
    expect(listed).to_have_count(3)
    expect(page.locator(".on-diagram.mark")).to_have_count(2)
    listed.nth(0).locator("button").click()

    expect(page.locator(".panel-head h2")).to_have_text("编制标书")
    assert "表单没有登记" in page.inner_text("#p-userTask-formKey-problem")
    assert "这样改。" in page.inner_text("#p-userTask-formKey-problem")
    select(page, "scan")
    expect(page.locator(".panel-problems")).to_contain_text("没有人知道这个作业")


def test_the_quick_look_cries_wolf_neither_once_nor_twice(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    select(page, "write")
    page.evaluate("""() => {
        const marks = document.getElementsByClassName('mark');
        window.most = 0;
        const count = () => { window.most = Math.max(window.most, marks.length); };
        new MutationObserver(count).observe(document.body, { subtree: true, childList: true });
    }""")

    for name in ("一", "二", "三"):
        fill(page, "name", name)
        page.wait_for_timeout(600)

    assert page.evaluate("window.most") == 0


def test_the_quick_look_sees_an_element_without_flows_before_the_server_does(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)

    js(page, "G('modeling').createShape({ type: 'bpmn:UserTask' }, { x: 500, y: 420 }, G('canvas').getRootElement());")

    expect(page.locator(".on-diagram.mark.quick")).to_have_count(1)


def test_the_element_list_reaches_every_element_by_keyboard(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)

    page.click("#tab-elements")
    page.fill("#element-filter", "定时")
    page.focus(".element-list button")
    page.keyboard.press("Enter")

    expect(page.locator(".panel-head h2")).to_have_text("计划到期")
    expect(page.locator("#p-timerValue")).to_have_value("PT24H")


# ---------------------------------------------------------------------------------------------------------------- the server
def test_a_saved_draft_is_what_the_next_save_is_made_from(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    select(page, "write")

    for name in ("甲", "乙"):
        fill(page, "name", name)
        page.click("text=保存草稿")
        expect(page.locator(".modeler-status")).to_contain_text("草稿已保存")
        assert f'name="{name}"' in desk.draft.decode()


def test_somebody_elses_draft_is_not_overwritten_unasked(page: Page, desk: Desk) -> None:
    desk.data["expected in the console"] = "412"
    open_modeler(page, desk)
    select(page, "write")
    fill(page, "name", "我的")
    desk.draft = diagram("bid").replace("编制标书", "别人的").encode()

    page.click("text=保存草稿")
    expect(page.locator(".modeler-notice")).to_contain_text("别人保存了这份草稿")
    kept = desk.draft.decode()
    page.on("dialog", lambda d: d.accept())
    page.click("text=用我的覆盖")
    expect(page.locator(".modeler-status")).to_contain_text("草稿已保存")

    assert 'name="别人的"' in kept
    assert 'name="我的"' in desk.draft.decode()


def test_a_change_undone_and_another_made_is_still_unsaved(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    select(page, "write")
    fill(page, "name", "甲")
    page.click("text=保存草稿")
    expect(page.locator(".modeler-status")).to_contain_text("草稿已保存")

    page.click("button[aria-label=撤销]")
    fill(page, "name", "乙")

    expect(page.locator(".modeler-status")).to_have_text("有未保存的修改")


def test_a_tidied_layout_is_a_step_back_to_the_same_file(page: Page, desk: Desk) -> None:
    def moved(text: str) -> str:
        return re.sub(r'(<(?:dc:Bounds|di:waypoint) x=")(\d+)', lambda m: m[1] + str(int(m[2]) + 40), text)

    desk.lay_out = moved
    open_modeler(page, desk)
    before = xml(page)

    page.click("text=整理布局")
    expect(page.locator(".modeler-status")).to_have_text("已整理布局，可撤销")
    after = xml(page)
    page.click("button[aria-label=撤销]")

    assert after == moved(before)
    assert xml(page) == before


def test_nothing_with_errors_is_deployed(page: Page, desk: Desk) -> None:
    desk.findings = [finding("scan", "没有处理程序")]
    open_modeler(page, desk)

    page.click("text=部署新版本")
    expect(page.locator(".modeler-status")).to_have_text("有 1 个问题，不能部署")

    assert ("POST", "/deploy") not in desk.asked


def test_a_deployment_is_asked_for_once_more_and_saves_first(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    select(page, "write")
    fill(page, "name", "编制投标文件")

    page.click("text=部署新版本")
    page.click("dialog >> text=部署 >> nth=-1")
    expect(page.locator(".modeler-status")).to_have_text("已部署第 4 版")

    posted = [a for a in desk.asked if a in {("PUT", "/draft"), ("POST", "/deploy")}]
    assert posted == [("PUT", "/draft"), ("POST", "/deploy")]
    assert "编制投标文件" in desk.draft.decode()


def test_what_is_asked_while_the_server_still_checks_is_done_after_it(page: Page, desk: Desk) -> None:
    held: list[Route] = []
    open_modeler(page, desk)
    page.route("**/check*", lambda route: held.append(route) if not held else route.continue_())
    page.get_by_role("button", name="检查", exact=True).click()
    expect(page.locator("#modeler")).to_have_attribute("aria-busy", "true")

    page.click("text=部署新版本")
    page.click("text=部署新版本")
    expect(page.locator("dialog")).to_have_count(0)
    held[0].continue_()

    expect(page.locator("dialog")).to_be_visible()


# ----------------------------------------------------------------------------------------------------------------- the words
def test_everything_is_said_in_chinese(page: Page, desk: Desk) -> None:
    open_modeler(page, desk)
    for element in ("write", "price", "late", "accepted__write", "scan"):
        select(page, element)
    for menu in ("bpmn-create", "bpmn-append", "bpmn-replace"):
        js(page, f"G('popupMenu').open(E('write'), '{menu}', {{ x: 300, y: 200 }}, {{ search: true }});")
    js(page, "G('popupMenu').close();")
    page.click("text=模拟运行")
    page.click(".bts-context-pad[title=触发]:not(.hidden)")
    page.wait_for_timeout(300)

    assert js(page, "return [...document.getElementById('modeler').untranslated];") == []
    assert page.locator(".bts-palette [title=重新开始]").count() == 1


def test_an_english_page_speaks_english(page: Page, desk: Desk) -> None:
    open_modeler(page, desk, lang="en")
    select(page, "write")

    assert "Save draft" in page.inner_text(".workbench-bar")
    assert page.inner_text(".panel-head p") == "User task"
    assert not re.search(r"[\u4e00-\u9fff]", page.inner_text(".workbench-bar").replace("投标", ""))


def test_a_small_screen_is_told_so(page: Page, desk: Desk) -> None:
    page.set_viewport_size({"width": 600, "height": 700})
    open_modeler(page, desk)

    expect(page.locator(".too-small")).to_be_visible()
    expect(page.locator(".workbench-bar")).to_be_hidden()
