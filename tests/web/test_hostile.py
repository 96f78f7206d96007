"""Whatever is sent to the JSON API and the forms gets a clear answer, and what is refused changes nothing."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.model import SYSTEM
from tests.web.house import GOOD, House

texts = st.one_of(
    st.text(max_size=8), st.sampled_from(["\x00", "\ud800", "a\x00b", "‮", "../../x", "9" * 400, "1e999", "-0", "NaN", "<svg/onload=x>", "=1+1", "x" * 3000])
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**40), 10**40), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
fields = st.sampled_from(["bid_no", "pages", "price", "tax", "copy", "lines", "files", "checks", "sealed", "remark", "project", "nothing"])
posts = st.dictionaries(fields, values, max_size=6)
KEPT = "select (select count(*) from event), (select count(*) from instance), (select count(*) from user_task), (select count(*) from document)"
HOSTILE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def kept(house: House) -> Any:
    with house.engine._database.reading() as session:
        return session.row(KEPT)


@HOSTILE
@given(values=posts, extra=st.dictionaries(st.sampled_from(["version", "values", "x"]), values, max_size=1))
def test_any_json_for_a_task_is_taken_or_refused_clearly(house: House, values: dict[str, Any], extra: dict[str, Any]) -> None:
    task, browser = house.task(), house.browser("li")
    before = kept(house)

    answer = browser.send("POST", f"/api/v1/tasks/{task.id}/complete", json.dumps({"values": values, **extra}), Content_Type="application/json")

    assert answer.status_code in (200, 400, 409, 422), answer.text
    if answer.status_code != 200:
        assert {"code", "message", "message_en"} <= set(answer.json)
        assert kept(house) == before


@HOSTILE
@given(body=st.one_of(st.dictionaries(st.sampled_from(["variables", "business_key", "title", "version"]), values, max_size=4), values))
def test_any_json_starts_a_process_or_is_refused_clearly(house: House, body: Any) -> None:
    browser, before = house.browser("wang"), kept(house)

    answer = browser.send("POST", "/api/v1/definitions/bid/start", json.dumps(body), Content_Type="application/json")

    assert answer.status_code in (201, 400, 404, 422), answer.text
    assert answer.status_code == 201 or kept(house) == before


@HOSTILE
@given(posted=st.dictionaries(st.one_of(fields, texts.map("lines.{}.qty".format), st.sampled_from(["_add", "_remove", "_detach", "_version", "_draft"])), texts, max_size=6))
def test_any_post_of_a_form_is_answered_with_a_page(house: House, posted: dict[str, str]) -> None:
    task, browser = house.task(), house.browser("li")

    clean = {k.encode("utf-8", "replace").decode(): v.encode("utf-8", "replace").decode() for k, v in posted.items()}
    answer = browser.post(f"/task/{task.id}", {**GOOD, **clean})

    assert answer.status_code in (200, 303, 404, 409, 422)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000 + "]" * 100_000, '{"values":' + '{"a":' * 900 + "1" + "}" * 901, '{"version":' + "9" * 30 + "}", '{"values":{"pages":' + "9" * 5000 + "}}",
        "nul\x00", "", "null", '{"values":{"pages":NaN}}', '{"values":{"remark":"' + "x" * 900_000 + '"}}', "\ufeff{}",
    ],
)  # fmt: skip
def test_json_bombs_are_refused_and_change_nothing(house: House, body: str) -> None:
    task = house.task()
    before = kept(house)

    answer = house.browser("li").send("POST", f"/api/v1/tasks/{task.id}/complete", body, Content_Type="application/json")

    assert answer.status_code in (400, 409, 422)
    assert kept(house) == before


def test_ten_megabytes_are_refused_unread(house: House) -> None:
    task, before = house.task(), kept(house)
    browser = house.browser("li")
    big = "x" * (10 << 20)

    assert browser.send("POST", f"/api/v1/tasks/{task.id}/complete", json.dumps({"values": {"remark": big}}), Content_Type="application/json").status_code == 413
    assert browser.client.post(f"/task/{task.id}", data={"remark": big}).status_code == 413
    assert browser.send("POST", "/api/check", big).status_code == 413
    assert kept(house)[1:] == (before[1] + 0, *before[2:])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ""])
def test_json_under_another_content_type_is_refused(house: House, kind: str) -> None:
    task = house.task()

    answer = house.browser("li").send("POST", f"/api/v1/tasks/{task.id}/complete", '{"values":{}}', Content_Type=kind)

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "page",
    [
        "/instances?before=" + "9" * 40, "/?after=" + "9" * 40 + ".1", "/?after=1." + "9" * 40, "/?q=" + "a" * 60_000, "/instances?q=" + "%25_" * 20_000, "/?q=%00%ff",
        "/api/v1/instances?before=" + "9" * 40, "/api/v1/tasks?after=" + "9" * 40 + "." + "9" * 40, "/api/v1/tasks?search=" + "%5c" * 20_000, "/?view=nothing",
        "/definitions/bid/" + "9" * 40, "/task/" + "9" * 18, "/start/%00",
    ],
)  # fmt: skip
def test_no_address_ends_in_a_failure_of_the_machine(house: House, page: str) -> None:
    assert house.browser("wang").get(page).status_code in (200, 400, 404)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"), ("..\\..\\x.pdf", "x.pdf"), ("a\x00b\r\nX-Y: z.pdf", "abX-Y: z.pdf"), ("\u202efdp.exe.pdf", "fdp.exe.pdf"),
        ("标" * 500 + ".pdf", "标" * 196 + ".pdf"),
    ],
)  # fmt: skip
def test_an_uploaded_file_keeps_a_harmless_name_and_is_served_as_a_download(house: House, name: str, shown: str) -> None:
    task = house.task()

    document = house.engine.tasks.attach(house.actor("li"), task.id, "files", name, "text/html", b"<script>alert(1)</script>")
    answer = house.browser("li").get(f"/document/{document.id}")

    assert document.name == shown
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.mimetype == "application/octet-stream"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    answer.close()


@pytest.mark.parametrize(("field", "name"), [("files", "a.svg"), ("files", "a.pdf.html"), ("xfiles", "a.pdf"), ("lines.0.files", "a.pdf"), ("files.0", "a.pdf"), ("", "a.pdf")])
def test_what_no_field_of_the_form_takes_is_not_kept(house: House, field: str, name: str) -> None:
    task = house.task()

    answer = house.browser("li").post(f"/task/{task.id}", {"_draft": "1", field: (BytesIO(b"<svg/>"), name)})

    assert answer.status_code in (303, 422)
    assert house.engine.instances.documents(SYSTEM, task.instance_id) == ()


def test_a_message_sent_by_a_program_passes_the_form_that_a_person_fills_in(house: House) -> None:
    task = house.task()
    house.browser("wang").post(f"/task/{task.id}", GOOD)
    house.run_jobs()
    browser = house.browser("wang")

    for payload in ({}, {"answer": "好", "approved": True}, {"answer": 5}):
        refused = browser.send("POST", "/api/v1/messages/bid.clarified", json.dumps({"payload": payload}), Content_Type="application/json")
        assert (refused.status_code, refused.json["code"]) == (422, "invalid_values")
    taken = browser.send("POST", "/api/v1/messages/bid.clarified", json.dumps({"payload": {"answer": "好"}}), Content_Type="application/json")

    assert taken.status_code == 200
    assert house.engine.instances.get(SYSTEM, task.instance_id).status == "completed"


def test_an_idempotency_key_is_for_one_command_on_one_thing_by_one_person(house: House) -> None:
    first, second = house.task("甲"), house.task("乙")
    json_good = {"values": {"bid_no": "ZFCG-2026", "pages": 12, "lines": [{"item": "服务器", "qty": 3}]}}
    li = house.browser("li")

    def complete(task: Any, who: Any = li) -> Any:
        return who.send("POST", f"/api/v1/tasks/{task.id}/complete", json.dumps(json_good), Content_Type="application/json", Idempotency_Key="k-1")

    assert complete(first).status_code == 200
    assert complete(first).status_code == 200
    assert house.engine.tasks.get(SYSTEM, second.id).state == "open"
    assert complete(second).status_code == 200
    assert house.engine.tasks.get(SYSTEM, second.id).state == "completed"
    assert complete(first, house.browser("qian")).status_code == 409
    assert complete(first, house.browser("stranger")).status_code in (403, 409)


@pytest.mark.parametrize("key", ["x" * 300, "\x01", "é"])
def test_a_key_that_no_table_could_hold_is_refused(house: House, key: str) -> None:
    task = house.task()

    answer = house.browser("li").send("POST", f"/api/v1/tasks/{task.id}/complete", "{}", Content_Type="application/json", Idempotency_Key=key)

    assert answer.status_code == 400
