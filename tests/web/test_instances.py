"""Pages of process instances: start, list, one, events, replay, report, incidents."""

from __future__ import annotations

import json
import re

from engine import SYSTEM
from tests.web.house import _NAMESPACES, GOOD, PASSWORD, House, config, diagram

TWO = f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions {_NAMESPACES} id="d"><process id="two" name="两步" isExecutable="true" camunda:candidateStarterGroups="bid_manager">
 <startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="first"/><userTask id="first" name="填写" camunda:candidateGroups="bid_manager"/>
 <sequenceFlow id="f2" sourceRef="first" targetRef="second"/><userTask id="second" name="复核" camunda:candidateGroups="presale_engineer"/>
 <sequenceFlow id="f3" sourceRef="second" targetRef="e"/><endEvent id="e"/></process></definitions>""".encode()


def finish(house: House, **values: object) -> int:
    """Start “bid” and complete its task; return the instance."""
    task = house.task()
    raw = {"bid_no": "ZFCG-2026", "pages": "12", "lines": [{"item": "a", "qty": "1"}], **values}
    house.engine.tasks.complete(house.actor("li"), task.id, raw)
    house.run_jobs()
    return task.instance_id


def test_only_what_may_be_started_is_offered(house: House) -> None:
    assert "投标" in house.browser("wang").get("/start").text
    assert "没有可以发起的流程" in house.browser("stranger").get("/start").text
    assert house.browser("stranger").get("/start/bid").status_code == 403
    assert house.browser("wang").get("/start/nothing").status_code == 404


def test_starting_by_the_form_leads_to_the_instance(house: House) -> None:
    browser = house.browser("wang")
    page = browser.get("/start/bid").text
    assert "从准备到澄清的小流程" in page

    answer = browser.post("/start/bid", {**browser.fields("/start/bid"), "project": "医院", "closes_at": "2026-11-20T17:00", "_title": "医院集成", "_business_key": "H-1"})

    assert answer.status_code == 303
    shown = browser.get(answer.location).text
    assert "医院集成" in shown
    assert "H-1" in shown
    variables = house.engine.instances.variables(house.actor("owner"), int(answer.location.rsplit("/", 1)[1]))
    assert variables["closes_at"].isoformat() in ("2026-11-20T17:00:00+08:00", "2026-11-20T09:00:00+00:00")


def test_a_start_form_comes_back_with_its_problems(house: House) -> None:
    browser = house.browser("wang")

    answer = browser.post("/start/bid", {**browser.fields("/start/bid"), "project": "", "closes_at": "morgen", "_title": "医院集成"})

    assert answer.status_code == 422
    assert 'href="#f-project"' in answer.text
    assert 'href="#f-closes_at"' in answer.text
    assert 'value="医院集成"' in answer.text


def test_a_double_click_starts_one_instance(house: House) -> None:
    browser = house.browser("wang")
    typed = {**browser.fields("/start/bid"), "project": "医院", "closes_at": "2026-11-20T17:00"}

    places = {browser.post("/start/bid", dict(typed)).location for _ in range(2)}

    assert len(places) == 1


def test_the_list_is_searched_and_filtered(house: House) -> None:
    house.start("市政务云")
    house.start("轨道交通")
    browser = house.browser("boss")

    assert "市政务云" not in browser.get("/instances?q=轨道").text
    assert "轨道交通" in browser.get("/instances?q=轨道").text
    assert "没有符合条件的流程" in browser.get("/instances?status=cancelled").text
    assert "轨道交通" in browser.get("/instances?status=nonsense&key=bid").text


def test_a_stranger_sees_no_instance(house: House) -> None:
    instance = house.start()
    browser = house.browser("stranger")

    assert "没有符合条件的流程" in browser.get("/instances").text
    for path in ("", "/replay", "/report", "/export"):
        assert browser.get(f"/instance/{instance.id}{path}").status_code == 403, path
    assert browser.get(f"/api/instance/{instance.id}/events").status_code == 403


def test_the_page_of_an_instance_tells_its_story(house: House) -> None:
    id = finish(house)

    page = house.browser("owner").get(f"/instance/{id}").text

    assert "发起流程" in page
    assert "完成“编制标书”" in page
    assert "系统完成“通知领导”" in page
    assert "bid_no" in page  # variables, for owners
    assert "流程变量" not in house.browser("li").get(f"/instance/{id}").text


def test_the_diagram_is_given_its_tokens(house: House) -> None:
    task = house.task()

    page = house.browser("li").get(f"/instance/{task.instance_id}").text
    given = config(page)

    assert given["tokens"]["bid"]["prepare"] == 1
    assert given["diagrams"][0]["key"] == "bid"
    diagram = house.browser("li").get(given["diagrams"][0]["xmlUrl"])
    assert diagram.mimetype == "application/xml"
    assert b"<userTask" in diagram.data


def test_an_expected_message_is_registered_by_its_form(house: House) -> None:
    id = finish(house)
    browser = house.browser("wang")
    page = browser.get(f"/instance/{id}")
    link = re.search(rf'href="(/instance/{id}/event/\d+)"', page.text)
    assert link, "the event is not offered"

    empty = browser.post(link[1], {"answer": ""}, from_page=link[1])
    assert empty.status_code == 422
    assert 'href="#f-answer"' in empty.text
    sent = browser.post(link[1], {"answer": "可以"}, from_page=link[1])

    assert sent.status_code == 303
    assert house.engine.instances.get(house.actor("wang"), id).status == "completed"
    again = browser.get(link[1])
    assert again.status_code == 404
    assert house.browser("li").get(link[1]).status_code in (403, 404)


def test_an_event_is_offered_only_to_its_group(house: House) -> None:
    id = finish(house)

    assert "可登记的外部事件" not in house.browser("li").get(f"/instance/{id}").text


def test_a_handler_that_raises_becomes_an_incident_that_a_person_mends(house: House) -> None:
    id = finish(house, remark="boom")
    while (due := house.engine.jobs.next_due_at()) is not None and due > house.clock.now() and not house.engine.jobs.of_instance(SYSTEM, id):
        house.clock.move_to(due)
        house.run_jobs()
    owner = house.browser("owner")

    page = owner.get("/incidents").text
    assert "通知领导" in page
    assert "SMTP refused the mail" in page
    assert "1 个异常" in owner.get(f"/instance/{id}").text
    (incident,) = house.engine.jobs.of_instance(SYSTEM, id)
    assert owner.post(f"/incidents/{incident.id}/retry", {"reason": "", "values": ""}).status_code == 303
    assert "请填写理由" in owner.get("/incidents").text
    owner.post(f"/incidents/{incident.id}/retry", {"reason": "x", "values": "no equals sign"})
    assert "更正的变量第 1 行" in owner.get("/incidents").text
    mended = owner.post(f"/incidents/{incident.id}/retry", {"reason": "邮件服务器已恢复", "values": "remark = 好了", "instance": str(id)})
    house.run_jobs()

    assert mended.location == f"/instance/{id}"
    assert "没有待处理的异常" in owner.get("/incidents").text
    assert "邮件服务器已恢复" in owner.get(f"/instance/{id}").text
    assert house.engine.instances.variables(house.actor("owner"), id)["remark"] == "好了"


def test_incidents_are_for_those_who_mend_them(house: House) -> None:
    assert house.browser("li").get("/incidents").status_code == 403
    assert ">异常<" not in house.browser("li").get("/").text


def test_cancel_suspend_and_resume_need_a_reason_and_a_role(house: House) -> None:
    instance = house.start()
    path = f"/instance/{instance.id}"
    boss = house.browser("boss")

    assert house.browser("li").post(f"{path}/cancel", {"reason": "x"}).status_code == 403
    boss.post(f"{path}/suspend", {"reason": ""})
    assert "请填写理由" in boss.get(path).text
    boss.post(f"{path}/suspend", {"reason": "等待客户"})
    assert "已挂起" in boss.get(path).text
    boss.post(f"{path}/resume")
    boss.post(f"{path}/cancel", {"reason": "客户取消招标"})

    page = boss.get(path).text
    assert "已取消" in page
    assert "客户取消招标" in page
    again = boss.post(f"{path}/cancel", {"reason": "x"})
    assert again.status_code == 409
    assert boss.post(f"{path}/explode", {"reason": "x"}).status_code == 404


def test_the_replay_gets_every_event_with_its_sentence(house: House) -> None:
    id = finish(house)
    browser = house.browser("owner")

    page = browser.get(f"/instance/{id}/replay")
    events = browser.get(f"/api/instance/{id}/events").get_json()["events"]

    assert "链校验通过" in config(page.text)["subtitle"]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert any(e["type"] == "FlowTaken" and e["flow"] == "f2" for e in events)
    assert any(e["text"] == "完成“编制标书”" and e["actor"] == "李娜" for e in events)


def test_the_report_names_the_chain_head_and_every_deed(house: House) -> None:
    id = finish(house)

    page = house.browser("owner").get(f"/instance/{id}/report").text

    assert house.engine.audit.head(id) in page
    assert "任务明细" in page
    assert "完成“编制标书”" in page


def test_a_tampered_history_is_told_on_report_and_replay(house: House) -> None:
    id = finish(house)
    with house.engine._database.writing() as tx:
        tx.run("update event set hash = zeroblob(32) where instance_id = ?", (id,))
    browser = house.browser("owner")

    assert "链校验未通过" in browser.get(f"/instance/{id}/report").text
    assert "链校验未通过" in config(browser.get(f"/instance/{id}/replay").text)["subtitle"]


def test_the_history_is_exported_as_lines(house: House) -> None:
    id = finish(house)

    with house.browser("owner").get(f"/instance/{id}/export") as answer:
        lines = answer.data.splitlines()

    assert answer.mimetype == "application/x-ndjson"
    assert all(json.loads(line) for line in lines)


def test_a_price_in_a_history_is_not_told_in_the_timeline(house: House) -> None:
    task = house.task()
    house.engine.tasks.complete(house.actor("qian"), task.id, {"bid_no": "ZFCG-2026", "pages": "12", "price": "987654", "lines": [{"item": "a", "qty": "1"}]})
    browser = house.browser("li")

    for path in (f"/instance/{task.instance_id}", f"/instance/{task.instance_id}/report", f"/api/instance/{task.instance_id}/events",
                 f"/api/v1/instances/{task.instance_id}/history?limit=200", f"/task/{task.id}", "/instances"):
        text = browser.get(path).text
        assert "987654" not in text, path
        assert "987,654" not in text, path


def _process(key: str, name: str) -> bytes:
    """Return a process that ends at once, with the outcome ``won``, and that “wang” may start."""
    return diagram().replace(b'<process id="bid" name="\xe6\x8a\x95\xe6\xa0\x87"', f'<process id="{key}" name="{name}"'.encode()).replace(
        b'<endEvent id="done"', f'<endEvent id="won_{key}"'.encode()
    ).replace(b'targetRef="done"', f'targetRef="won_{key}"'.encode())


def test_the_stages_of_presales_stand_in_their_order_with_their_codes(house: House) -> None:
    keys = {"psm050_bidding": "商务招投标", "psm_presale": "售前管理流程", "psm010_onsite": "PSM010 现场交流", "other": "别的"}
    house.engine.deployments.deploy(SYSTEM, {f"{key}.bpmn": _process(key, name) for key, name in keys.items()}, "stages")

    page = house.browser("wang").get("/start").text

    names = re.findall(r"<h3>(.*?)</h3>", page)
    assert names == ["售前管理流程", "PSM010 现场交流", "PSM050 商务招投标", "投标", "别的"]
    listed = re.findall(r'<a href="/definitions/(\w+)">', house.browser("wang").get("/definitions").text)
    assert listed == ["psm_presale", "psm010_onsite", "psm050_bidding", "bid", "other"]


def test_without_a_title_the_first_line_that_must_be_filled_in_names_the_instance(house: House) -> None:
    wang = house.browser("wang")
    assert "不填就用“项目名称”" in wang.get("/start/bid").text

    wang.post("/start/bid", {**wang.fields("/start/bid"), "project": "江北大桥", "closes_at": "2026-12-01T09:30"}, from_page="/start/bid")

    assert [i.title for i in house.engine.instances.list(SYSTEM).items] == ["江北大桥"]


def test_how_an_instance_ended_is_told_by_the_label_of_its_end(house: House) -> None:
    ended = diagram().replace(
        b'<endEvent id="too_late" name="\xe9\x94\x99\xe8\xbf\x87\xe6\x88\xaa\xe6\xa0\x87"/>',
        '<endEvent id="too_late" name="错过截标"><extensionElements><camunda:properties><camunda:property name="outcome" value="missed"/>'
        "</camunda:properties></extensionElements></endEvent>".encode(),
    )
    house.engine.deployments.deploy(SYSTEM, {"bid/bid.bpmn": ended}, "outcomes")
    id = house.start(hours=1).id
    house.clock.advance(hours=2)
    house.run_jobs()
    assert house.engine.instances.get(SYSTEM, id).outcome == "missed"

    boss = house.browser("boss")

    for path in ("/instances", f"/instance/{id}", f"/instance/{id}/report"):
        page = boss.get(path).text
        assert "错过截标" in page, path
        assert "missed" not in page, path
    assert "流程结束：错过截标" in boss.get(f"/instance/{id}").text


def test_taking_and_completing_at_once_is_one_line_of_the_timeline_and_two_of_the_report(house: House) -> None:
    task = house.task()
    li = house.browser("li")
    li.post(f"/task/{task.id}", {**li.fields(f"/task/{task.id}"), **GOOD})

    page, report = (house.browser("owner").get(f"/instance/{task.instance_id}{more}").text for more in ("", "/report"))

    assert "完成“编制标书”" in page
    assert "领取“编制标书”" not in page
    assert "领取“编制标书”" in report


def test_the_page_of_an_instance_says_whose_turn_it_is_and_leads_there(house: House) -> None:
    task = house.task()

    mine, theirs = (house.browser(who).get(f"/instance/{task.instance_id}").text for who in ("wang", "boss"))

    assert "现在该谁办" in mine
    assert 'aria-label="办理 编制标书"' in mine
    assert 'aria-label="办理' not in theirs


def test_a_task_that_nobody_claimed_names_the_few_who_may_do_it(house: House) -> None:
    task = house.task()
    assert "<strong>王磊、李娜、钱进</strong>" in house.browser("wang").get(f"/instance/{task.instance_id}").text
    house.engine.people.add_user(SYSTEM, "plain", "售前工程师", PASSWORD, {"presale_engineer"})
    assert "<strong>王磊、李娜、钱进</strong>" in house.browser("wang").get(f"/instance/{task.instance_id}").text

    for n in range(4):
        house.engine.people.add_user(SYSTEM, f"more{n}", f"第{n}人", PASSWORD, {"presale_engineer"})

    assert "李娜、" not in house.browser("wang").get(f"/instance/{task.instance_id}").text


def test_after_a_task_the_page_says_whose_turn_it_is(house: House) -> None:
    house.engine.deployments.deploy(SYSTEM, {"two.bpmn": TWO}, "two")
    task = house.engine.tasks.of_instance(SYSTEM, house.engine.instances.start(house.actor("wang"), "two", {}, title="接力").id)[0]
    browser = house.browser("wang")

    browser.post(f"/task/{task.id}", {**browser.fields(f"/task/{task.id}"), "_submit": "1"})

    assert "“接力”接下来：“复核”（李娜、钱进）" in browser.get("/").text


def test_an_incident_is_told_in_words_to_those_who_may_only_look(house: House) -> None:
    id = finish(house, remark="boom")
    while not house.engine.jobs.of_instance(SYSTEM, id):
        house.clock.advance(minutes=2)
        house.run_jobs()
    house.engine.people.add_user(SYSTEM, "auditor", "审计员", PASSWORD, {"auditor"})

    auditor, admin = house.browser("auditor").get("/incidents"), house.browser("admin").get("/incidents")

    for page in (auditor, admin):
        assert page.status_code == 200
        assert "系统任务多次失败。排除原因后重试。" in page.text
        assert "更正并重试" not in page.text
    assert f"/instance/{id}" in auditor.text
    assert f"/instance/{id}" not in admin.text  # who may not open it is not led there
