"""Definitions, differences, and what the modeler sends."""

from __future__ import annotations

import hashlib
import html

import pytest

from engine import SYSTEM
from engine.events import ActivityCompleted, ActivityStarted, Event, Recorded
from engine.model import InstanceId, TokenId
from tests.web.house import MONDAY, Browser, House, config, diagram
from web.diagrams import Standing, standing

XML = "application/xml; charset=utf-8"


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def put(browser: Browser, body: bytes, base: str | None) -> object:
    more = {"If_Match": f'"{base}"'} if base is not None else {}
    return browser.send("PUT", "/api/draft/bid", body, Content_Type=XML, **more)


def test_definitions_are_listed_with_their_counts(house: House) -> None:
    house.start()
    house.start()

    page = house.browser("li").get("/definitions").text

    assert "投标" in page
    assert "进行中 2 个" in page
    assert "编辑" not in page


def test_a_version_shows_its_diagram_and_the_others(house: House) -> None:
    house.engine.deployments.deploy(SYSTEM, {"bid/bid.bpmn": diagram("准备标书")}, "second")
    browser = house.browser("owner")

    assert config(browser.get("/definitions/bid").text)["diagrams"][0]["version"] == 2
    assert config(browser.get("/definitions/bid/1").text)["diagrams"][0]["version"] == 1
    assert browser.get("/definitions/bid/9").status_code == 404
    assert browser.get("/definitions/nothing").status_code == 404


def test_two_versions_are_compared_in_words(house: House) -> None:
    house.engine.deployments.deploy(SYSTEM, {"bid/bid.bpmn": diagram("准备标书")}, "second")

    page = house.browser("owner").get("/diff/bid").text

    (change,) = config(page)["changes"]
    assert (change["kind"], change["id"]) == ("changed", "prepare")
    assert change["attrs"] == [{"key": "name", "old": "编制标书", "new": "准备标书"}]
    assert "<del>编制标书</del>" in page


@pytest.mark.parametrize("query", ["a=9&b=1", "a=x&b=y", "a=1&b=99999999999999999999", "a=-1"])
def test_comparing_with_a_version_that_does_not_exist_is_a_404(house: House, query: str) -> None:
    assert house.browser("owner").get(f"/diff/bid?{query}").status_code == 404


def test_the_modeler_gets_fields_catalogue_and_the_draft_hash(house: House) -> None:
    browser = house.browser("owner")

    given = config(browser.get("/modeler/bid").text)

    assert given["sha256"] == sha(browser.get(given["draftUrl"]).data)
    assert {"id": "bid.notify", "zh": "Tell the leader; the remark “boom” makes the outside world fail.", "en": "bid.notify"} in given["catalogue"]["jobTypes"]
    assert given["fields"]
    assert given["csrf"]


def test_a_new_process_begins_with_its_key(house: House) -> None:
    browser = house.browser("owner")

    assert browser.post("/modeler/new", {"key": "Bad Key!"}, from_page="/modeler/new").status_code == 422
    answer = browser.post("/modeler/new", {"key": "bid_review"}, from_page="/modeler/new")

    assert answer.location == "/modeler/bid_review"
    given = config(browser.get("/modeler/bid_review").text)
    assert given["sha256"] is None
    assert browser.get(given["draftUrl"]).status_code == 404
    saved = browser.send("PUT", given["draftUrl"], diagram().replace(b'"bid"', b'"bid_review"'), Content_Type=XML, If_Match='""')
    assert saved.status_code == 200
    assert browser.get("/modeler/BAD").status_code == 404


def test_only_owners_draw_and_deploy(house: House) -> None:
    browser = house.browser("li")

    assert browser.get("/modeler/bid").status_code == 403
    assert browser.get("/modeler/new").status_code == 403
    assert browser.get("/api/draft/bid").status_code == 403
    for path in ("/api/check", "/api/layout", "/api/deploy/bid"):
        assert browser.send("POST", path, diagram(), Content_Type=XML).status_code == 403, path


def test_a_draft_is_saved_over_what_was_opened_and_over_nothing_else(house: House) -> None:
    one, two = house.browser("owner"), house.browser("owner")
    base = sha(one.get("/api/draft/bid").data)

    first = put(one, diagram("甲"), base)
    second = put(two, diagram("乙"), base)
    third = put(two, diagram("乙"), None)

    assert first.status_code == 200
    assert first.headers["ETag"] == f'"{sha(diagram("甲"))}"'
    assert first.get_json()["sha256"] == sha(diagram("甲"))
    assert (second.status_code, third.status_code) == (412, 412)
    assert second.get_json()["code"] == "stale_page"
    assert one.get("/api/draft/bid").data == diagram("甲")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"not xml", b"<definitions>", b"\x00\x01", b"<a/>", diagram()[:300], "<?xml version='1.0'?><x>中".encode(),
        b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///nowhere">]><definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL">&x;</definitions>',
        b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL">&b;</definitions>',
        b"<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL'>" + b"<process>" * 5000,
    ],
    ids=["empty", "words", "open tag", "binary", "other xml", "cut off", "wrong end", "entity", "laughs", "deep"],
)
def test_what_is_no_diagram_is_refused_with_reasons_and_changes_nothing(house: House, body: bytes) -> None:
    browser = house.browser("owner")
    before = browser.get("/api/draft/bid").data

    saved = put(browser, body, sha(before))
    checked = browser.send("POST", "/api/check", body, Content_Type=XML)
    laid_out = browser.send("POST", "/api/layout", body, Content_Type=XML)
    deployed = browser.send("POST", "/api/deploy/bid", body, Content_Type=XML)

    assert saved.status_code == 422, saved.text
    assert saved.get_json()["message"]
    assert (checked.status_code == 200 and checked.get_json()["findings"]) or checked.status_code == 422
    assert laid_out.status_code == 422
    assert deployed.status_code == 422
    assert browser.get("/api/draft/bid").data == before
    assert len(house.engine.deployments.versions(SYSTEM, "bid")) == 1


def test_an_oversized_diagram_is_refused(house: House) -> None:
    body = diagram().replace(b"<process", b"<!--" + b"x" * 500_000 + b"--><process")
    browser = house.browser("owner")

    for method, path in (("PUT", "/api/draft/bid"), ("POST", "/api/check"), ("POST", "/api/layout"), ("POST", "/api/deploy/bid")):
        answer = browser.send(method, path, body, Content_Type=XML)
        assert answer.status_code == 413, path
        assert answer.get_json()["code"] == "http_413"


def test_an_unfinished_diagram_is_saved_with_findings_but_not_deployed(house: House) -> None:
    browser = house.browser("owner")
    unfinished = diagram().replace(b'camunda:topic="bid.notify"', b'camunda:topic="nobody.knows"')

    saved = put(browser, unfinished, sha(browser.get("/api/draft/bid").data))
    deployed = browser.send("POST", "/api/deploy/bid", unfinished, Content_Type=XML)

    assert saved.status_code == 200
    assert any(f["element"] == "notify" for f in saved.get_json()["findings"])
    assert deployed.status_code == 422
    assert any(f["element"] == "notify" and f["mendZh"] for f in deployed.get_json()["findings"])


def test_the_strict_report_is_graver_than_what_a_deployment_is_held_to(house: House) -> None:
    browser = house.browser("owner")
    xml = diagram().replace(b'<timeDate xsi:type="tFormalExpression">', b"<timeDate>")

    lenient, strict = (browser.send("POST", f"/api/check{query}", xml, Content_Type=XML).json for query in ("", "?strict=1"))

    assert lenient["counts"]["draft"] == 0
    assert strict["counts"]["draft"] > 0
    assert "EXPR-FORMAL" in {each["rule"] for each in strict["findings"] if each["severity"] == "draft"}


def test_deploying_makes_a_new_version(house: House) -> None:
    browser = house.browser("owner")

    answer = browser.send("POST", "/api/deploy/bid", diagram("准备标书"), Content_Type=XML)

    assert answer.get_json()["version"] == 2
    assert browser.send("POST", "/api/deploy/bid", diagram("准备标书"), Content_Type=XML).get_json()["version"] is None


def test_a_diagram_is_laid_out(house: House) -> None:
    answer = house.browser("owner").send("POST", "/api/layout", diagram(), Content_Type=XML)

    assert answer.status_code == 200
    assert b"BPMNShape" in answer.data
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_script_without_the_token_is_refused(house: House) -> None:
    answer = house.browser("owner").client.post("/api/check", data=diagram(), content_type=XML)

    assert answer.status_code == 400
    assert answer.get_json()["code"] == "csrf"


def _at(element: str, token: int, host: int | None = None) -> ActivityStarted:
    return ActivityStarted(process="p", element=element, token=TokenId(token), kind="userTask", host=None if host is None else TokenId(host))


def test_several_instances_are_counted_without_the_token_that_holds_them() -> None:
    started = [_at("review", 2), _at("review", 3, 2), _at("review", 4, 2), _at("other", 5)]
    one_done = ActivityCompleted(process="p", element="review", token=TokenId(3))
    all_done = [one_done, *(ActivityCompleted(process="p", element="review", token=TokenId(n)) for n in (4, 2))]

    def stands(*happened: Event) -> Standing:
        return standing(Recorded(instance_id=InstanceId(1), seq=n, at=MONDAY, actor="x", acting_for=None, event=e) for n, e in enumerate(happened, 1))

    assert stands(*started).tokens == {("p", "review"): 2, ("p", "other"): 1}
    assert stands(*started, one_done).tokens == {("p", "review"): 1, ("p", "other"): 1}
    assert stands(*started, *all_done).tokens == {("p", "other"): 1}
    assert stands(*started, *all_done).done == {("p", "review"): 2}


def test_deploying_over_what_somebody_else_saved_is_refused_as_stale(house: House) -> None:
    browser = house.browser("owner")
    base = sha(browser.get("/api/draft/bid").data)
    put(browser, diagram("甲"), base)

    answer = browser.send("POST", "/api/deploy/bid", diagram("乙"), Content_Type=XML, If_Match=f'"{base}"')

    assert answer.status_code == 412
    assert answer.get_json()["code"] == "stale_page"
    assert len(house.engine.deployments.versions(SYSTEM, "bid")) == 1
    assert browser.send("POST", "/api/deploy/bid", diagram("乙"), Content_Type=XML, If_Match=f'"{sha(diagram("甲"))}"').get_json()["version"] == 2


def loose() -> bytes:
    """Return the process “bid” with what tools write and the letter of the standard does not allow."""
    return (
        diagram("松散").replace(b'id="f1"', b'id="1f"')
        .replace(b'<timeDate xsi:type="tFormalExpression">', b'<timeDate>')
    )


def test_the_report_of_conformance_counts_by_severity_and_groups_by_element_with_line_and_mend(house: House) -> None:
    house.engine.deployments.deploy(SYSTEM, {"bid/bid.bpmn": loose()}, "loose")
    found = house.engine.deployments.check({"bid.bpmn": loose()}, strict=True)
    assert len(found) > len(house.engine.deployments.check({"bid.bpmn": loose()}))
    browser = house.browser("li")

    assert 'href="/definitions/bid/2/conformance"' in browser.get("/definitions/bid/2").text
    page = html.unescape(browser.get("/definitions/bid/2/conformance").text)

    assert "须更正" in page
    for finding in found:
        assert finding.zh in page
        assert finding.mend_zh in page
        assert not finding.line or f"第 {finding.line} 行" in page
    assert page.count("<section class=\"card section\"") == len({f.element for f in found})


def test_the_report_of_conformance_speaks_english_to_who_reads_english(house: House) -> None:
    house.engine.deployments.deploy(SYSTEM, {"bid/bid.bpmn": loose()}, "loose")
    (first, *_) = house.engine.deployments.check({"bid.bpmn": loose()}, strict=True)

    page = html.unescape(house.browser("li", language="en").get("/definitions/bid/2/conformance").text)

    assert first.en in page
    assert first.mend_en in page
    assert first.zh not in page


def test_the_report_of_a_draft_is_for_who_draws(house: House) -> None:
    owner = house.browser("owner")

    given = config(owner.get("/modeler/bid").text)

    assert owner.get(given["conformanceUrl"]).status_code == 200
    assert house.browser("li").get(given["conformanceUrl"]).status_code == 403
    assert owner.get("/definitions/bid/9/conformance").status_code == 404
