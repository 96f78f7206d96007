"""The page of an instance: archived, held, erased; each button for those who may."""

from __future__ import annotations

import pytest

from engine import SYSTEM
from engine.model import InstanceId
from tests.web.house import House


def done(house: House) -> InstanceId:
    """A cancelled instance with a file and what people typed."""
    task = house.task()
    house.engine.tasks.attach(SYSTEM, task.id, "files", "王小明.pdf", "application/pdf", b"%PDF secret")
    house.engine.instances.cancel(SYSTEM, task.instance_id, "客户王小明要求")
    return task.instance_id


def test_a_process_owner_places_and_lifts_a_hold(house: House) -> None:
    id = done(house)
    browser = house.browser("owner")

    page = browser.post(f"/instance/{id}/hold", {"reason": "投诉处理中"}, follow_redirects=True).text

    assert "法定保全：不得归档或清除" in page
    assert "投诉处理中" in page
    assert "依法清除内容" not in page
    (hold,) = house.engine.keep.holds(SYSTEM)
    assert "不能清除内容" in browser.post(f"/instance/{id}/erase", {"reason": "x", "everything": "1"}).text
    assert "请填写理由" in browser.post(f"/instance/{id}/hold/{hold.id}/lift", {"reason": " "}, follow_redirects=True).text
    page = browser.post(f"/instance/{id}/hold/{hold.id}/lift", {"reason": "已结案"}, follow_redirects=True).text
    assert "依法清除内容" in page
    assert "解除法定保全" in page
    assert house.engine.keep.holds(SYSTEM) == ()


@pytest.mark.parametrize("who", ["boss", "wang", "li"])
def test_others_see_no_buttons_and_are_refused(house: House, who: str) -> None:
    id = done(house)
    browser = house.browser(who)

    page = browser.get(f"/instance/{id}").text

    assert "保存与清除" not in page
    assert browser.post(f"/instance/{id}/hold", {"reason": "x"}).status_code == 403
    assert browser.post(f"/instance/{id}/erase", {"reason": "x", "everything": "1"}).status_code == 403


def test_fields_are_erased_from_the_page_and_what_stays_is_told(house: House) -> None:
    id = done(house)
    browser = house.browser("owner")

    assert "请选择要清除" in browser.post(f"/instance/{id}/erase", {"reason": "x"}, follow_redirects=True).text
    page = browser.post(f"/instance/{id}/erase", {"reason": "当事人要求", "fields": "project，nothing"}, follow_redirects=True).text

    assert "已清除" in page
    assert "依法清除：project、nothing" in page
    assert "当事人要求" in page
    assert "project" not in house.engine.instances.variables(SYSTEM, id)
    assert house.engine.audit.verify() == ()


def test_an_archived_instance_has_its_page_and_is_in_the_list_when_asked(house: House) -> None:
    id = done(house)
    house.clock.advance(days=400)
    house.engine.keep.archive("P1Y")
    browser = house.browser("owner")

    page = browser.get(f"/instance/{id}").text

    assert "该流程已归档，存于文件 2026-11.jsonl.gz" in page
    assert f"/instance/{id}\"" not in browser.get("/instances").text
    assert f"/instance/{id}\"" in browser.get("/instances?status=archived").text
    assert "已归档" in browser.get("/instances?status=archived").text
    for path in ("/replay", "/report", "/export"):
        with browser.get(f"/instance/{id}{path}") as answer:
            assert answer.status_code == 200, path
    assert browser.get(f"/api/instance/{id}/events").status_code == 200
    files = house.engine.instances.documents(SYSTEM, id)
    with browser.get(f"/document/{files[0].id}") as answer:
        assert answer.data == b"%PDF secret"
    page = browser.post(f"/instance/{id}/erase", {"reason": "当事人要求", "document": str(files[0].id)}, follow_redirects=True).text
    assert "已清除的文件" in page
    assert "王小明.pdf" not in page
    assert browser.get(f"/document/{files[0].id}").status_code == 410


def test_an_export_ends_with_its_proof_once_heads_are_signed(house: House) -> None:
    id = done(house)
    browser = house.browser("owner")
    assert "psmflow_proof" not in browser.get(f"/instance/{id}/export").text

    house.engine.heads.sign()

    assert browser.get(f"/instance/{id}/export").text.splitlines()[-1].startswith('{"psmflow_proof"')
