"""The card 「密封报价」: everybody reads the versions, the people on the list look with a reason."""

from __future__ import annotations

import pytest

from engine.model import SYSTEM, InstanceId
from tests.bpmn.build import diagram, end, process, start, user
from tests.web.house import PASSWORD, House

FORM = """{"type":"default","id":"p.price","components":[
 {"type":"number","key":"final_price","label":"投标总价","validate":{"required":true},"properties":{"sealed":"true","labelEn":"Bid price"}},
 {"type":"dynamiclist","path":"subtotals","label":"分项报价","properties":{"sealed":"true"},"components":[
   {"type":"textfield","key":"item","label":"名称"},{"type":"number","key":"amount","label":"金额"}]}]}""".encode()
VIEW = """{"type":"default","id":"p.view","components":[
 {"type":"number","key":"final_price","label":"投标总价","readonly":true,"properties":{"sealed":"true"}},{"type":"textfield","key":"opinion","label":"意见"}]}""".encode()
DIAGRAM = diagram(process(
    start(), user("price", camunda_candidateGroups="pricing_officer", camunda_formKey="p.price"),
    user("view", camunda_candidateGroups="pricing_officer,process_owner", camunda_formKey="p.view"), end(), "s>price", "price>view", "view>e",
))  # fmt: skip
PRICE, PART = "7,654,321", "7,654,320"


@pytest.fixture
def bid(house: House) -> InstanceId:
    people = house.engine.people
    people.add_user(SYSTEM, "jia", "贾报价", PASSWORD, ["pricing_officer"])
    people.add_user(SYSTEM, "yi", "易报价", PASSWORD, ["pricing_officer"])
    house.engine.deployments.deploy(SYSTEM, {"p.bpmn": DIAGRAM, "price.form": FORM, "view.form": VIEW}, "p")
    id = house.engine.instances.start(SYSTEM, "p", {"access_list": ["jia", "owner"]}).id
    (task,) = house.engine.tasks.of_instance(SYSTEM, id)
    browser = house.browser("jia")
    page = f"/task/{task.id}"
    assert "提交后即密封" in browser.get(page).text
    browser.post(page, {**browser.fields(page), "final_price": "7654321", "subtotals.0.item": "软件", "subtotals.0.amount": "7654320"})
    return id


def test_the_card_tells_versions_and_no_value(house: House, bid: InstanceId) -> None:
    for who in ("jia", "owner", "boss"):
        page = house.browser(who).get(f"/instance/{bid}").text
        assert "密封报价" in page
        assert "投标总价" in page
        assert "第 1 版已密封" in page
        assert "2 人可查看" in page
        assert "贾报价" in page
        assert ("查看并记入历史" in page) is (who != "boss")
        for secret in (PRICE, "7654321", PART, "7654320"):
            assert secret not in page
    assert "Bid price" in house.browser("boss", language="en").get(f"/instance/{bid}").text


def test_a_later_form_tells_that_it_is_sealed(house: House, bid: InstanceId) -> None:
    task = next(t for t in house.engine.tasks.of_instance(SYSTEM, bid) if t.ended_at is None)

    page = house.browser("jia").get(f"/task/{task.id}").text
    assert "第 1 版已密封" in page
    assert "fingerprint" not in page


def test_who_is_on_the_list_looks_with_a_reason(house: House, bid: InstanceId) -> None:
    browser = house.browser("jia")

    assert "请填写理由" in browser.post(f"/instance/{bid}/sealed/final_price", {"reason": " "}, follow_redirects=True).text
    answer = browser.post(f"/instance/{bid}/sealed/final_price", {"reason": "开标前核对"})
    assert PRICE in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    rows = browser.post(f"/instance/{bid}/sealed/subtotals", {"reason": "核对", "number": "1"}).text
    assert "软件" in rows
    assert PART in rows
    assert "<th scope=\"col\">金额</th>" in rows
    page = browser.get(f"/instance/{bid}").text
    assert "查看密封报价 final_price 第 1 版" in page
    assert "开标前核对" in page


@pytest.mark.parametrize("who", ["yi", "boss"])
def test_nobody_else_looks(house: House, bid: InstanceId, who: str) -> None:
    answer = house.browser(who).post(f"/instance/{bid}/sealed/final_price", {"reason": "好奇"})

    assert answer.status_code == 403
    assert PRICE not in answer.text
    assert "不在访问名单上" in house.browser("owner").get(f"/instance/{bid}").text


def test_a_price_that_is_not_there_is_not_found(house: House, bid: InstanceId) -> None:
    assert house.browser("jia").post(f"/instance/{bid}/sealed/nothing", {"reason": "x"}).status_code == 404
    assert house.browser("jia").post(f"/instance/{bid}/sealed/final_price", {"reason": "x", "number": "7"}).status_code == 404
