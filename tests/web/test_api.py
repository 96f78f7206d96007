"""The JSON API."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from engine.model import SYSTEM
from tests.web.house import PASSWORD, House

GOOD = {"bid_no": "ZFCG-2026", "pages": 12, "lines": [{"item": "服务器", "qty": 3}]}


def call(house: House, user: str, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
    """Call the API as a program does: HTTP Basic, JSON."""
    credentials = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    named = {"Authorization": f"Basic {credentials}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    data = None if body is None else json.dumps(body)
    return house.app.test_client().open(f"/api/v1{path}", method=method, data=data, content_type="application/json" if data else None, headers=named)


def start(house: House, **more: Any) -> TestResponse:
    variables = {"project": "市政务云", "closes_at": "2026-11-20T17:00:00+08:00"}
    return call(house, "wang", "POST", "/definitions/bid/start", {"variables": variables, "title": "市政务云 投标"}, **more)


def test_a_program_starts_works_and_reads(house: House) -> None:
    started = start(house)
    assert started.status_code == 201
    id = started.get_json()["id"]
    (task,) = call(house, "li", "GET", "/tasks").get_json()["items"]

    assert call(house, "li", "POST", f"/tasks/{task['id']}/claim").get_json()["assignee"] == "li"
    done = call(house, "li", "POST", f"/tasks/{task['id']}/complete", {"values": GOOD})
    house.run_jobs()
    sent = call(house, "owner", "POST", "/messages/bid.clarified", {"payload": {"answer": "可以"}, "instance_id": id})

    assert done.get_json() == {"id": task["id"], "state": "completed"}
    assert sent.get_json() == {"instance_id": id}
    assert call(house, "wang", "GET", f"/instances/{id}").get_json()["status"] == "completed"
    assert call(house, "owner", "GET", f"/instances/{id}/variables").get_json()["variables"]["pages"] == 12
    types = [e["type"] for e in call(house, "wang", "GET", f"/instances/{id}/history?limit=200").get_json()["items"]]
    assert types[0] == "InstanceStarted"
    assert types[-1] == "InstanceCompleted"


def test_errors_have_code_both_messages_and_facts(house: House) -> None:
    answer = call(house, "li", "GET", "/tasks/12345")

    assert answer.status_code == 404
    error = answer.get_json()
    assert error["code"] == "not_found"
    assert "12345" in error["message"]
    assert "12345" in error["message_en"]
    assert error["facts"]["id"] == 12345


def test_refused_values_are_named(house: House) -> None:
    task = house.task()

    answer = call(house, "li", "POST", f"/tasks/{task.id}/complete", {"values": {"bid_no": 5, "pages": "many", "lines": "none", "checks": {"a": 1}, "zzz": 1}})

    assert answer.status_code == 422
    assert {"bid_no", "pages", "lines", "checks", "zzz"} <= answer.get_json()["problems"].keys()


def test_nobody_comes_in_without_a_password(house: House) -> None:
    answer = house.app.test_client().get("/api/v1/tasks")
    wrong = house.app.test_client().get("/api/v1/tasks", auth=("li", "wrong"))

    assert (answer.status_code, answer.get_json()["code"]) == (401, "not_logged_in")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert wrong.status_code == 401


def test_a_session_needs_the_token_and_basic_does_not(house: House) -> None:
    task = house.task()
    browser = house.browser("li")

    assert browser.client.post(f"/api/v1/tasks/{task.id}/claim").status_code == 400
    assert browser.send("POST", f"/api/v1/tasks/{task.id}/claim", b"").status_code == 200
    assert call(house, "li", "POST", f"/tasks/{task.id}/release").status_code == 200


def test_guessing_by_basic_is_slowed_down_too(house: House) -> None:
    answers = [house.app.test_client().get("/api/v1/tasks", auth=("li", f"guess {n}")) for n in range(9)]

    assert answers[-1].status_code == 429
    assert answers[-1].get_json()["code"] == "http_429"


def test_the_same_idempotency_key_starts_once(house: House) -> None:
    first, second = start(house, Idempotency_Key="k1"), start(house, Idempotency_Key="k1")

    assert first.get_json()["id"] == second.get_json()["id"]


@pytest.mark.parametrize("body", ["[]", "5", "null", '"x"', "{", "", '{"variables": 5}', '{"variables": {}, "nonsense": 1}', '{"version": true}', "\x00"])
def test_a_body_that_is_not_what_the_api_takes_is_a_400_or_422(house: House, body: str) -> None:
    answer = house.app.test_client().post("/api/v1/definitions/bid/start", data=body, content_type="application/json", auth=("wang", PASSWORD))

    assert answer.status_code in (400, 422)
    assert answer.get_json()["message"]


@pytest.mark.parametrize("path", ["/tasks?limit=0", "/tasks?limit=x", "/tasks?limit=99999999999", "/tasks?view=nonsense", "/instances?status=nonsense"])
def test_a_parameter_that_is_not_known_is_a_400(house: House, path: str) -> None:
    assert call(house, "li", "GET", path).status_code == 400


@pytest.mark.parametrize("path", ["/tasks?after=x", "/tasks?after=1.2.3", "/instances?before=x", "/instances?before=-1"])
def test_a_cursor_of_nonsense_never_breaks(house: House, path: str) -> None:
    assert call(house, "li", "GET", path).status_code in (200, 400)


def test_a_message_nobody_waits_for_says_so(house: House) -> None:
    answer = call(house, "owner", "POST", "/messages/bid.clarified", {"correlation_key": "nobody"})

    assert answer.status_code == 404
    assert answer.get_json()["code"] == "no_receiver"
    assert "bid.clarified" in answer.get_json()["message"]


def test_cancelling_needs_a_reason(house: House) -> None:
    id = start(house).get_json()["id"]

    assert call(house, "boss", "POST", f"/instances/{id}/cancel", {}).status_code == 400
    assert call(house, "li", "POST", f"/instances/{id}/cancel", {"reason": "x"}).status_code == 403
    assert call(house, "boss", "POST", f"/instances/{id}/cancel", {"reason": "客户取消"}).get_json()["status"] == "cancelled"


def test_completing_twice_is_a_409(house: House) -> None:
    task = house.task()

    assert call(house, "li", "POST", f"/tasks/{task.id}/complete", {"values": GOOD}).status_code == 200
    answer = call(house, "wang", "POST", f"/tasks/{task.id}/complete", {"values": GOOD})

    assert (answer.status_code, answer.get_json()["code"]) == (409, "task_not_open")


def test_an_unknown_address_is_told_in_json(house: House) -> None:
    answer = house.app.test_client().get("/api/v1/nothing", auth=("li", PASSWORD))

    assert (answer.status_code, answer.get_json()["code"]) == (404, "http_404")


def test_the_payload_of_a_message_passes_the_form_of_the_event_that_catches_it(house: House) -> None:
    task = house.task()
    assert call(house, "li", "POST", f"/tasks/{task.id}/complete", {"values": GOOD}).status_code == 200
    house.run_jobs()
    target = {"instance_id": str(task.instance_id)}

    refused = call(house, "owner", "POST", "/messages/bid.clarified", {**target, "payload": {"answer": "", "other": 1}})
    taken = call(house, "owner", "POST", "/messages/bid.clarified", {**target, "payload": {"answer": "  同意  "}})

    assert (refused.status_code, refused.get_json()["code"]) == (422, "invalid_values")
    assert taken.get_json() == target
    assert house.engine.instances.variables(SYSTEM, task.instance_id)["answer"] == "同意"
