"""The inbox and the page of a task."""

from __future__ import annotations

import json
import re

import pytest

from engine.model import SYSTEM
from tests.bpmn import build
from tests.web.house import GOOD, Browser, House, upload


def fill(browser: Browser, path: str, **values: object) -> dict[str, object]:
    """Return what a person sends from the page of a task: its hidden fields, good values, and `values` over them."""
    return {**browser.fields(path), **GOOD, **values}


# -------------------------------------------------------------------------------------------------------------------- inbox
def test_the_inbox_shows_what_is_offered_with_time_left_in_words(house: House) -> None:
    house.task("市政务云")

    page = house.browser("li").get("/").text

    assert "编制标书" in page
    assert "市政务云 投标" in page
    assert "还剩 2 天" in page
    assert ">领取<" in page


def test_an_overdue_task_says_so_in_words(house: House) -> None:
    house.task(hours=48)
    house.clock.advance(hours=50)

    page = house.browser("li").get("/?view=overdue").text

    assert "编制标书" in page
    assert "已逾期 2 小时" in page


def test_search_and_tabs_narrow_the_inbox(house: House) -> None:
    house.task("市政务云")
    house.task("轨道交通")
    browser = house.browser("li")

    found = browser.get("/?q=轨道").text

    assert "轨道交通 投标" in found
    assert "市政务云 投标" not in found
    assert "没有待办任务" in browser.get("/?view=mine").text
    assert "没有找到" in browser.get("/?q=火星").text


def test_a_tab_with_more_tasks_than_are_counted_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        house.task(f"项目{n}")
    browser = house.browser("li")
    assert '<span class="count">3</span>' in browser.get("/").text
    monkeypatch.setattr("engine.store.tasks.MOST_COUNTED", 2)
    monkeypatch.setattr("web.inbox.MOST_COUNTED", 2)

    assert '<span class="count">2+</span>' in browser.get("/").text


def test_the_inbox_is_paged_by_a_cursor(house: House) -> None:
    for n in range(35):
        house.task(f"项目{n:02}", hours=48 + n)
    browser = house.browser("li")

    first = browser.get("/").text
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link
    second = browser.get(link[1].replace("&amp;", "&")).text

    seen = re.findall(r"项目\d\d 投标</span>", first) + re.findall(r"项目\d\d 投标</span>", second)
    assert (len(seen), len(set(seen))) == (35, 35)


def test_a_stranger_sees_an_empty_inbox(house: House) -> None:
    house.task()

    assert "没有待办任务" in house.browser("stranger").get("/").text


# ---------------------------------------------------------------------------------------------------------------- one task
def test_claiming_leads_to_the_task_and_giving_back_offers_it_again(house: House) -> None:
    task = house.task()
    browser = house.browser("li")

    claimed = browser.post(f"/task/{task.id}/claim")
    assert claimed.location == f"/task/{task.id}"
    assert "已领取" in browser.get(claimed.location).text
    assert house.engine.tasks.get(house.actor("li"), task.id).assignee == "li"

    browser.post(f"/task/{task.id}/release")
    assert house.engine.tasks.get(house.actor("li"), task.id).assignee is None


def test_completing_a_task_leads_back_to_the_inbox(house: House) -> None:
    task = house.task()
    browser = house.browser("li")

    answer = browser.post(f"/task/{task.id}", fill(browser, f"/task/{task.id}"))

    assert (answer.status_code, answer.location) == (303, "/")
    assert "已提交" in browser.get("/").text
    done = house.engine.tasks.get(house.actor("li"), task.id)
    assert (done.state, done.ended_by) == ("completed", "li")


def test_wrong_values_come_back_with_a_summary_of_links_and_nothing_lost(house: House) -> None:
    task = house.task()
    browser = house.browser("li")
    typed = fill(browser, f"/task/{task.id}", bid_no="错", pages="很多", tax="7", remark="长" * 60, **{"lines.0.qty": "0"})

    answer = browser.post(f"/task/{task.id}", typed)

    assert answer.status_code == 422
    for field in ("bid_no", "pages", "tax", "remark", "lines.0.qty"):
        assert f'href="#f-{field}"' in answer.text, field
        assert f'id="e-{field}"' in answer.text, field
        assert f'id="f-{field}"' in answer.text, field
    assert "格式如 ZFCG-2026" in answer.text
    assert "<title>有错误：" in answer.text
    assert 'value="很多"' in answer.text
    assert "长" * 60 in answer.text
    assert house.engine.tasks.get(house.actor("li"), task.id).state == "open"


def people_task(house: House) -> int:
    """Start a process whose first task asks for people, whose second shows them; return the id of the first."""
    asks = """{"id":"q.a","components":[
     {"type":"textfield","key":"lead","label":"负责人","properties":{"person":"bid_manager"}},
     {"type":"dynamiclist","path":"team","label":"小组","components":[
       {"type":"textfield","key":"who","label":"成员","properties":{"person":"true"}}]}]}"""
    shows = """{"id":"q.b","components":[
     {"type":"textfield","key":"lead","label":"负责人","readonly":true,"properties":{"person":"true"}},
     {"type":"table","dataSource":"=team","columns":[{"key":"who","label":"成员","person":"true"}]}]}"""
    who = {"camunda_candidateGroups": "bid_manager"}
    xml = build.process(
        build.start(), build.user("a", **who, camunda_formKey="q.a"), build.user("b", **who, camunda_formKey="q.b"), build.end(),
        "s>a", "a>b", "b>e", id="q",
    )
    house.engine.deployments.deploy(SYSTEM, {"q.bpmn": build.diagram(xml), "a.form": asks.encode(), "b.form": shows.encode()}, "people")
    started = house.engine.instances.start(SYSTEM, "q", {})
    return house.engine.tasks.of_instance(SYSTEM, started.id)[0].id


def test_a_field_offers_the_people_it_takes_and_names_are_shown_beside_ids(house: House) -> None:
    task = people_task(house)
    house.engine.people.set_active(SYSTEM, "boss", False)
    browser = house.browser("wang")

    page = browser.get(f"/task/{task}").text
    lists = dict(re.findall(r'<datalist id="([^"]+)">(.*?)</datalist>', page))
    assert lists["people-bid_manager"] == '<option value="wang">王磊 · 投标负责人</option>'
    assert '<option value="qian">钱进 · 售前工程师、报价员</option>' in lists["people"]
    assert "周总" not in lists["people"]
    assert re.search(r'name="lead"[^>]* list="people-bid_manager"', page)
    assert len(re.findall(r'name="team\.\d\.who"[^>]* list="people"', page)) == 2  # the row, and the one to copy

    hidden = browser.fields(f"/task/{task}")
    refused = browser.post(f"/task/{task}", {**hidden, "lead": "li", "team.0._row": "1", "team.0.who": "qian"})
    assert refused.status_code == 422
    assert "“li”不担任投标负责人。请填担任此角色的人：王磊（wang）。" in refused.text
    assert "钱进（qian）" in refused.text

    accepted = browser.post(f"/task/{task}", {**hidden, "lead": "王磊", "team.0._row": "1", "team.0.who": "qian"})
    assert accepted.status_code == 303
    (next_task,) = house.engine.tasks.inbox(house.actor("wang")).items
    page = browser.get(f"/task/{next_task.id}").text
    assert '<p class="readonly-value" id="f-lead">王磊（wang）</p>' in page
    assert "<td>钱进（qian）</td>" in page


def test_rows_are_added_and_removed_without_script_and_keep_their_values(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")

    added = browser.post(path, fill(browser, path, _add="lines"))
    assert added.status_code == 200
    assert 'name="lines.1.item"' in added.text
    assert 'value="服务器"' in added.text

    two = {"lines.1._row": "1", "lines.1.item": "存储", "lines.1.qty": "2"}
    removed = browser.post(path, fill(browser, path, _remove="lines.0", **two))
    assert 'value="存储"' in removed.text
    assert 'value="服务器"' not in removed.text


def test_a_row_button_that_names_nothing_changes_nothing(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")

    for button in ({"_add": "nothing"}, {"_remove": "lines.99"}, {"_remove": "lines.x"}, {"_add": "lines.0.item.deeper"}, {"_remove": ""}):
        answer = browser.post(path, fill(browser, path, **button))
        assert answer.status_code == 200
        assert 'value="服务器"' in answer.text


CHECKS = b"""{"type":"default","id":"p.a","components":[{"type":"dynamiclist","path":"checks","label":"x","allowAddRemove":false,"components":[
 {"type":"textfield","key":"what","label":"x","readonly":true},{"type":"textfield","key":"found","label":"x","validate":{"required":true}}]}]}"""


def test_fixed_rows_keep_what_they_show_after_a_refusal_and_in_a_draft(house: House) -> None:
    drawn = build.diagram(build.process(build.start(), build.user("a", camunda_formKey="p.a", camunda_candidateGroups="presale_engineer"), build.end(), "s>a", "a>e"))
    house.engine.deployments.deploy(SYSTEM, {"p.bpmn": drawn, "a.form": CHECKS}, "p")
    started = house.engine.instances.start(SYSTEM, "p", {"checks": [{"what": "骑缝章"}, {"what": "签字页"}]})
    (task,) = house.engine.tasks.of_instance(SYSTEM, started.id)
    path = f"/task/{task.id}"
    browser = house.browser("li")

    for more, status in (({"checks.0.found": "有"}, 422), ({"checks.0.found": "有", "_draft": "1"}, 303)):
        answer = browser.post(path, {**browser.fields(path), **more})
        assert answer.status_code == status
        page = answer.text if status == 422 else browser.get(path).text
        assert "骑缝章" in page
        assert "签字页" in page
        assert 'value="有"' in page
        assert 'name="_add"' not in page
        assert 'name="_remove"' not in page

    assert browser.post(path, {**browser.fields(path), "checks.0.found": "有", "checks.1.found": "无"}).status_code == 303
    assert house.engine.instances.variables(SYSTEM, started.id)["checks"] == [{"found": "有"}, {"found": "无"}]


def test_a_draft_is_kept_for_its_author(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")

    answer = browser.post(path, fill(browser, path, bid_no="半", _draft="1"))

    assert (answer.status_code, answer.location) == (303, path)
    assert 'value="半"' in browser.get(path).text
    assert 'value="半"' not in house.browser("wang").get(path).text


def test_files_are_kept_although_other_values_are_wrong(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")

    answer = browser.post(path, fill(browser, path, bid_no="错", files=upload("应答.pdf")))

    assert answer.status_code == 422
    assert "应答.pdf" in answer.text
    assert browser.post(path, fill(browser, path)).status_code == 303
    (document,) = house.engine.instances.documents(house.actor("li"), task.instance_id)
    assert document.name == "应答.pdf"


def test_a_file_can_be_taken_off_again(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")
    browser.post(path, fill(browser, path, files=upload(), _draft="1"))
    (document,) = house.engine.instances.documents(house.actor("li"), task.instance_id)

    answer = browser.post(path, fill(browser, path, _detach=str(document.id)))

    assert answer.status_code == 200
    assert house.engine.instances.documents(house.actor("li"), task.instance_id) == ()


def test_a_file_of_the_wrong_type_is_refused_at_its_field(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")

    answer = browser.post(path, fill(browser, path, files=upload("virus.exe", b"MZ")))

    assert answer.status_code == 422
    assert 'id="e-files"' in answer.text
    assert "virus.exe" in answer.text
    assert house.engine.tasks.get(house.actor("li"), task.id).state == "open"


def test_a_file_over_the_limit_is_refused_at_its_field(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")

    answer = browser.post(path, fill(browser, path, files=upload("big.pdf", b"%PDF-" + b"x" * 300_000)))

    assert answer.status_code == 422
    assert 'id="e-files"' in answer.text


def test_a_request_larger_than_all_files_together_is_told_so(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")

    answer = browser.client.post(path, data=b"x" * 3_000_000, content_type="multipart/form-data; boundary=x")

    assert answer.status_code == 413
    assert "内容太大" in answer.text


def test_a_document_is_handed_out_as_a_file_and_only_to_those_who_may_see_it(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")
    browser.post(path, fill(browser, path, files=upload("应答.pdf", b"%PDF-1.7 secret"), _draft="1"))
    (document,) = house.engine.instances.documents(house.actor("li"), task.instance_id)

    answer = browser.get(f"/document/{document.id}")

    assert answer.data == b"%PDF-1.7 secret"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.mimetype == "application/octet-stream"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    answer.close()
    assert house.browser("stranger").get(f"/document/{document.id}").status_code == 403


# --------------------------------------------------------------------------------------------- twice, strange, late, stale
def test_the_same_click_twice_is_one_completion(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")
    typed = fill(browser, path)

    assert [browser.post(path, dict(typed)).status_code for _ in range(2)] == [303, 303]


def test_completing_a_task_twice_with_other_values_says_who_was_first_and_keeps_what_was_typed(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("wang")
    typed = fill(browser, path, bid_no="ABCD-1234")
    first = house.browser("li")
    first.post(path, fill(first, path))

    answer = browser.post(path, typed)

    assert answer.status_code == 409
    assert "不再开放" in answer.text
    assert "李娜" in answer.text
    assert "ABCD-1234" in answer.text


def test_a_task_that_is_done_shows_who_did_it(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")
    browser.post(path, fill(browser, path))

    page = browser.get(path)

    assert page.status_code == 200
    assert "已由李娜于" in page.text
    assert "_submit" not in page.text


def test_a_stranger_may_neither_see_nor_complete_and_keeps_what_was_typed(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("stranger")

    assert browser.get(path).status_code == 403
    answer = browser.post(path, {**GOOD, "bid_no": "ABCD-1234"})

    assert answer.status_code == 403
    assert "ABCD-1234" in answer.text
    assert house.engine.tasks.get(house.actor("li"), task.id).state == "open"


def test_somebody_elses_task_can_be_looked_at_by_its_group_but_not_worked_on(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    house.browser("li").post(f"{path}/claim")
    other = house.browser("qian")

    page = other.get(path)
    assert "由李娜办理" in page.text
    assert "_submit" not in page.text
    answer = other.post(path, {**GOOD})
    assert answer.status_code == 403
    assert "已由他人领取" in answer.text


def test_a_completion_after_the_deadline_is_told_it_is_too_late(house: House) -> None:
    task = house.task(hours=5)
    path = f"/task/{task.id}"
    browser = house.browser("li")
    typed = fill(browser, path, bid_no="ABCD-1234")
    house.clock.advance(hours=6)

    answer = browser.post(path, typed)

    assert answer.status_code == 409
    assert "期限已过" in answer.text
    assert "ABCD-1234" in answer.text
    assert house.engine.instances.get(house.actor("wang"), task.instance_id).status == "completed"


def test_a_stale_page_is_shown_again_with_what_was_typed(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")
    typed = fill(browser, path, bid_no="ABCD-1234")
    house.engine.tasks.claim(house.actor("li"), task.id)

    answer = browser.post(path, typed)

    assert answer.status_code == 409
    assert "已被更改" in answer.text
    assert 'value="ABCD-1234"' in answer.text
    again = dict(re.findall(r'<input type="hidden" name="(_version|_once)" value="([^"]*)"', answer.text))
    assert browser.post(path, {**typed, **again}).status_code == 303


def test_a_suspended_task_says_so(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")
    typed = fill(browser, path)
    house.engine.instances.suspend(house.actor("boss"), task.instance_id, "等待客户答复")

    assert "已挂起" in browser.get(path).text
    answer = browser.post(path, typed)
    assert answer.status_code == 409
    assert "已挂起" in answer.text


def test_a_task_that_does_not_exist_is_a_plain_404(house: House) -> None:
    browser = house.browser("li")

    for id in ("1", "9223372036854775807", "9223372036854775808", "0", "abc", "99999999999999999999999"):
        answer = browser.get(f"/task/{id}")
        assert answer.status_code == 404, id
        assert "回到待办" in answer.text


# -------------------------------------------------------------------------------------------------------------- handing on
def test_the_holder_hands_a_task_on_with_a_reason(house: House) -> None:
    task = house.task()
    browser = house.browser("li")
    browser.post(f"/task/{task.id}/claim")

    missing = browser.post(f"/task/{task.id}/assign", {"user": "qian", "reason": " "})
    assert missing.status_code == 422
    assert "请填写理由" in missing.text
    done = browser.post(f"/task/{task.id}/assign", {"user": "qian", "reason": "我出差"})

    assert done.status_code == 303
    assert house.engine.tasks.get(house.actor("qian"), task.id).assignee == "qian"
    assert "我出差" in house.browser("wang").get(f"/instance/{task.instance_id}").text


def test_others_may_not_hand_it_on(house: House) -> None:
    task = house.task()
    house.browser("li").post(f"/task/{task.id}/claim")

    other = house.browser("qian")
    assert other.get(f"/task/{task.id}/assign").status_code == 403
    assert other.post(f"/task/{task.id}/assign", {"user": "qian", "reason": "x"}).status_code == 403


# ------------------------------------------------------------------------------------------------------------------- prices
def test_a_price_field_is_shown_only_to_price_roles(house: House) -> None:
    task = house.task()

    assert 'id="f-price"' in house.browser("qian").get(f"/task/{task.id}").text
    assert 'id="f-price"' not in house.browser("li").get(f"/task/{task.id}").text


def test_a_price_sent_by_somebody_without_a_price_role_is_not_taken(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")

    browser.post(path, fill(browser, path, price="1"))

    assert house.engine.instances.variables(house.actor("owner"), task.instance_id).get("price") is None


def test_a_typed_draft_may_hold_anything_without_breaking_the_page(house: House) -> None:
    task = house.task()
    path = f"/task/{task.id}"
    browser = house.browser("li")
    hostile = {"bid_no": '"><script>alert(1)</script>', "pages": "\x00", "tax": "<b>", "lines.7.item": "x", "unknown": "y", "remark": "</textarea><script>"}

    browser.post(path, {**browser.fields(path), **hostile, "_draft": "1"})
    page = browser.get(path)

    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "</textarea><script>" not in page.text


def test_the_link_of_a_reminder_opens_the_task(house: House) -> None:
    task = house.task(hours=24 * 30)
    house.clock.advance(days=1, hours=6)
    house.run_jobs()
    browser = house.browser("wang")

    (notice,) = {n.link for n in house.engine.people.notices(house.actor("wang"))}

    assert notice == f"/task/{task.id}"
    assert browser.get(notice).status_code == 200


@pytest.mark.parametrize(
    ("kind", "limits", "zh", "en"),
    [
        ("textarea", {"minLength": 10}, "至少 10 个字。", "At least 10 characters."),
        ("number", {"min": 0, "max": 100}, "0 至 100。", "0 to 100."),
        ("number", {"max": 30}, "不大于 30。", "Not above 30."),
        ("number", {"min": 2}, "不小于 2。", "Not below 2."),
        ("textfield", {"minLength": 2}, "", ""),
        ("textfield", {"minLength": 3}, "至少 3 个字。", "At least 3 characters."),
        ("number", {"min": 1}, "", ""),
    ],
)
def test_a_field_says_what_it_accepts_before_somebody_runs_into_it(
    house: House, kind: str, limits: dict[str, int], zh: str, en: str
) -> None:
    form = {"type": "default", "id": "p.form", "components": [{"type": kind, "key": "a", "label": "甲", "validate": limits}]}
    drawn = build.diagram(build.process(
        build.start(), build.user("t", camunda_candidateGroups="bid_manager", camunda_formKey="p.form"), build.end(), "s>t", "t>e"))  # fmt: skip
    house.engine.deployments.deploy(SYSTEM, {"p.bpmn": drawn, "p.form": json.dumps(form).encode()}, "p")
    (task,) = house.engine.tasks.of_instance(SYSTEM, house.engine.instances.start(SYSTEM, "p").id)

    for language, hint in (("zh", zh), ("en", en)):
        page = house.browser("wang", language=language).get(f"/task/{task.id}").text
        assert re.findall(r'<p class="hint" id="h-a">(.*?)</p>', page) == ([hint] if hint else [])
        assert ('aria-describedby="h-a"' in page) == bool(hint)
