"""Pages and JSON API of the registers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from lxml import html
from werkzeug.test import TestResponse

from engine import SYSTEM
from tests.web.house import PASSWORD, House, upload
from tests.web.test_accessibility import (
    _errors,
    _headings_in_order,
    _ids_once,
    _labels,
    _names,
    _one_heading,
    _references,
    _tables,
    _title,
)
from tests.web.test_queries import queries

PAPERS = {
    "id": "registers.papers", "type": "default", "title": "证书台账",
    "properties": {
        "titleEn": "Papers", "readers": "bid_manager,company_leader", "writers": "bid_manager,presale_engineer", "columns": "name,expires",
        "expiryField": "expires",
    },
    "components": [
        {"type": "textfield", "key": "name", "label": "名称", "validate": {"required": True}},
        {"type": "datetime", "subtype": "date", "key": "expires", "label": "有效期至"},
        {"type": "filepicker", "key": "scan", "label": "扫描件", "accept": ".pdf"},
        {"type": "dynamiclist", "path": "people", "label": "人员", "components": [{"type": "textfield", "key": "who", "label": "姓名"}]},
    ],
}  # fmt: skip


@pytest.fixture
def house(house: House) -> House:
    house.engine.deployments.deploy(SYSTEM, {"registers/papers.form": json.dumps(PAPERS).encode()}, "papers")
    return house


def add(house: House, by: str = "wang", **values: Any) -> str:
    return f"/registers/papers/{house.engine.registers.add(house.actor(by), 'papers', {'name': 'ISO 9001', **values})}"


def test_an_entry_is_added_with_its_file_and_read(house: House) -> None:
    wang, page = house.browser("wang"), "/registers/papers/add"
    data = {**wang.fields(page), "name": "ISO 9001", "expires": "2026-12-31", "scan": upload("正本.pdf"), "people.0._row": "1", "people.0.who": "李"}

    answer = wang.client.post(page, data=data, content_type="multipart/form-data")

    assert answer.status_code == 303
    shown = wang.get(answer.location).text
    assert "正本.pdf" in shown
    assert "2026-12-31" in shown
    file = html.document_fromstring(shown).xpath("//a[text()='正本.pdf']/@href")[0]
    with wang.get(file) as opened:
        assert opened.data == b"%PDF-1.7 test"
        assert opened.headers["Content-Disposition"].startswith("attachment")
        assert opened.headers["Content-Security-Policy"].startswith("sandbox")


def test_what_is_marked_is_red_and_says_why(house: House) -> None:
    spans = {"id": "registers.spans", "type": "default", "properties": {"readers": "auditor", "writers": "bid_manager"},
             "components": [{"type": "datetime", "subtype": "date", "key": "since", "label": "起"}, {"type": "textfield", "key": "name", "label": "名"}]}
    rule = {"flagRegister": "spans", "flagMatch": "name=name", "flagAt": "expires", "flagFrom": "since", "flagTitle": "到期以后", "flagTitleEn": "Since then"}
    papers = {**PAPERS, "properties": {**PAPERS["properties"], **rule}}
    files = {f"registers/{name}.form": json.dumps(form).encode() for name, form in (("spans", spans), ("papers", papers))}
    house.engine.deployments.deploy(SYSTEM, files, "marks")
    wang, page = house.browser("wang"), add(house, expires="2026-03-09")
    add(house, expires="2026-03-07")
    house.engine.registers.add(house.actor("wang"), "spans", {"name": "ISO 9001", "since": "2026-03-08"})

    rows = html.document_fromstring(wang.get("/registers/papers").text).xpath("//tbody/tr")
    assert [(row.get("class"), "到期以后" in row.text_content()) for row in rows if row.xpath(".//a")][1] == ("is-late", True)
    assert [bool(row.xpath(".//span[text()='到期以后']")) for row in rows] == [False, True]
    assert "到期以后" in wang.get(page).text
    assert [e["flagged"] for e in json.loads(wang.get("/api/v1/registers/papers").text)["items"]] == [False, True]


def test_fields_are_erased_from_the_page_by_those_who_may(house: House) -> None:
    properties = {**PAPERS["properties"], "readers": "bid_manager,process_owner"}
    house.engine.deployments.deploy(SYSTEM, {"registers/papers.form": json.dumps({**PAPERS, "properties": properties}).encode()}, "papers")
    page = add(house, name="王小明的证书", expires="2026-12-31")
    owner, wang = house.browser("owner"), house.browser("wang")

    assert "依法清除内容" not in wang.get(page).text
    assert wang.post(f"{page}/erase", {"reason": "x", "everything": "1"}).status_code == 403
    assert "依法清除内容" in owner.get(page).text
    assert "请选择要清除" in owner.post(f"{page}/erase", {"reason": "x"}, follow_redirects=True).text
    assert "请填写理由" in owner.post(f"{page}/erase", {"field": "name"}, follow_redirects=True).text
    shown = owner.post(f"{page}/erase", {"reason": "本人要求", "field": "name"}, follow_redirects=True).text

    assert "已清除 1 条记录" in shown
    assert "王小明" not in shown
    assert "本人要求" in shown
    assert "王小明" not in wang.get("/registers/papers").text
    versions = json.loads(wang.get(f"/api/v1{page}").text)["versions"]
    assert [(v["change"], v["erased"]) for v in versions] == [("erased", ["name"]), ("added", [])]


def test_a_double_click_adds_one_entry(house: House) -> None:
    wang, page = house.browser("wang"), "/registers/papers/add"
    data = {**wang.fields(page), "name": "ISO 9001"}

    first, second = (wang.client.post(page, data=data) for _ in range(2))

    assert first.location == second.location


def test_what_does_not_fit_is_told_beside_its_field(house: House) -> None:
    wang, page = house.browser("wang"), "/registers/papers/add"

    answer = wang.client.post(page, data={**wang.fields(page), "expires": "soon"})

    assert answer.status_code == 422
    assert "请填写。" in answer.text
    assert 'value="soon"' in answer.text


def test_a_correction_asks_for_a_reason_and_shows_what_changed(house: House) -> None:
    path, wang = add(house), house.browser("wang")
    fields = wang.fields(f"{path}/amend")
    refused = wang.client.post(f"{path}/amend", data={**fields, "name": "ISO 14001"})
    assert refused.status_code == 422
    assert "ISO 14001" in refused.text

    answer = wang.client.post(f"{path}/amend", data={**fields, "name": "ISO 14001", "_reason": "写错名称"})

    assert answer.status_code == 303
    shown = wang.get(path).text
    assert "写错名称" in shown
    assert "<del>ISO 9001</del> → <ins>ISO 14001</ins>" in shown


def test_whoever_corrects_an_older_version_keeps_what_they_typed(house: House) -> None:
    path, wang = add(house), house.browser("wang")
    fields = wang.fields(f"{path}/amend")
    house.engine.registers.amend(house.actor("wang"), "papers", int(path.rpartition("/")[2]), {"name": "B"}, "先", version=1)

    answer = wang.client.post(f"{path}/amend", data={**fields, "name": "C", "_reason": "后"})

    assert answer.status_code == 409
    assert 'value="C"' in answer.text


def test_an_entry_is_withdrawn_with_a_reason(house: House) -> None:
    path, wang = add(house), house.browser("wang")

    wang.post(f"{path}/withdraw", {"_version": "1", "reason": "已注销"}, from_page=path)

    assert "已注销" in wang.get(path).text
    assert path not in wang.get("/registers/papers").text
    assert path in wang.get("/registers/papers?withdrawn=1").text


def test_the_list_is_searched_sorted_and_asked_what_runs_out(house: House) -> None:
    early, late = add(house, name="早", expires="2026-11-20"), add(house, name="晚", expires="2027-11-20")
    add(house, name="无")
    wang = house.browser("wang")

    def listed(query: str) -> list[str]:
        return html.document_fromstring(wang.get(f"/registers/papers?{query}").text).xpath("//tbody/tr/td[1]/a/text()")

    assert listed("q=早") == ["早"]
    assert listed("sort=expires") == ["早", "晚", "无"]
    assert listed("sort=expires&descending=1")[:2] == ["晚", "早"]
    assert listed("expiring=2026-12-31") == ["早"]
    assert len(listed("expiring=nonsense&after=x&sort=y")) == 3
    assert "60 天内到期" in wang.get("/registers/papers").text
    assert early != late


def test_own_entries_are_listed_for_those_who_do_not_read_all(house: House) -> None:
    mine, other = add(house, "li", name="我的"), add(house, name="他的")
    li = house.browser("li")

    page = li.get("/registers/papers").text

    assert "我的" in page
    assert "他的" not in page
    assert (li.get(mine).status_code, li.get(other).status_code) == (200, 404)
    assert house.browser("stranger").get("/registers/papers").status_code == 403
    assert "证书台账" not in house.browser("stranger").get("/registers").text


def test_the_export_is_a_harmless_file(house: House) -> None:
    add(house, name='=HYPERLINK("http://x")')

    answer = house.browser("wang").get("/registers/papers/export.csv?q=hyperlink")

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "'=HYPERLINK" in answer.data.decode("utf-8-sig")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_pages_keep_the_rules_that_html_shows(house: House, language: str) -> None:
    path = add(house, expires="2026-11-20")
    house.engine.registers.amend(house.actor("wang"), "papers", int(path.rpartition("/")[2]), {"name": "B"}, "更正", version=1)
    wang = house.browser("wang", language=language)
    texts = {p: wang.get(p) for p in ("/registers", "/registers/papers?sort=name", "/registers/papers?q=nothing", "/registers/papers/add", path, f"{path}/amend")}
    texts["errors"] = wang.client.post("/registers/papers/add", data={**wang.fields("/registers/papers/add"), "expires": "x"})

    problems: list[str] = []
    for name, answer in texts.items():
        assert answer.status_code in (200, 422)
        page = html.document_fromstring(answer.text)
        for rule in (_title, _one_heading, _headings_in_order, _ids_once, _references, _labels, _names, _tables, _errors):
            problems += [f"{name}: {p}" for p in rule(name, page)]
    assert problems == []


def test_a_list_of_many_costs_no_more_queries(house: House) -> None:
    for n in range(2):
        add(house, name=f"A{n}")
    few = queries(house, "wang", "/registers/papers")
    for n in range(20):
        add(house, name=f"B{n}")

    assert queries(house, "wang", "/registers/papers") == few


# --------------------------------------------------------------------------------------------------------------------- JSON API
def call(house: House, method: str, path: str, body: Any = None, user: str = "wang", **headers: str) -> TestResponse:
    basic = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    return house.app.test_client().open(
        f"/api/v1/registers{path}", method=method, json=body, headers={"Authorization": f"Basic {basic}", **headers}
    )


def test_a_program_adds_corrects_reads_and_withdraws(house: House) -> None:
    made = call(house, "POST", "/papers", {"values": {"name": "A", "expires": "2026-12-31"}}, **{"Idempotency-Key": "k"})
    again = call(house, "POST", "/papers", {"values": {"name": "A", "expires": "2026-12-31"}}, **{"Idempotency-Key": "k"})
    assert made.status_code == 201
    entry = made.json["id"]
    assert entry == again.json["id"]

    amended = call(house, "POST", f"/papers/{entry}/amend", {"values": {"name": "B"}, "reason": "错", "version": 1})
    stale = call(house, "POST", f"/papers/{entry}/amend", {"values": {"name": "C"}, "reason": "错", "version": 1})
    gone = call(house, "POST", f"/papers/{entry}/withdraw", {"reason": "废", "version": 2})

    assert (amended.json["version"], amended.json["values"]) == (2, {"name": "B"})
    assert (stale.status_code, stale.json["code"]) == (409, "stale_page")
    assert gone.json["withdrawn"] is True
    assert [v["change"] for v in call(house, "GET", f"/papers/{entry}").json["versions"]] == ["withdrawn", "amended", "added"]
    assert call(house, "GET", "/papers").json == {"items": [], "next": None}
    assert len(call(house, "GET", "/papers?withdrawn=1").json["items"]) == 1
    assert call(house, "GET", "").json["items"][0]["name"] == "papers"


def test_a_program_is_told_what_is_wrong(house: House) -> None:
    assert call(house, "POST", "/papers", {"values": {}}).json["code"] == "invalid_values"
    assert call(house, "GET", "/papers", user="stranger").status_code == 403
    assert call(house, "GET", "/nothing").status_code == 404
    assert call(house, "POST", "/papers/1/amend", {"values": {}}).json["code"] == "bad_request"
