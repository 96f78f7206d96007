"""Processes with several beginnings, and those that begin by themselves."""

from __future__ import annotations

from datetime import timedelta

from engine import SYSTEM
from tests.bpmn.build import diagram, end, process, start, timer, user
from tests.web.house import MONDAY, House
from tests.web.test_api import call

TWO_WAYS = diagram(process(
    start("s1", name="客户来电"), start("s2", name="展会线索"), user("a"), user("b"), end(), end("e2"), "s1>a", "s2>b", "a>e", "b>e2",
    id="lead", camunda_candidateStarterGroups="bid_manager"))
WEEKLY = diagram(process(
    start("tick", timer("timeCycle", "R/P7D"), name="每周一次"), user("a"), end(), "tick>a", "a>e", id="weekly"))


def deploy(house: House, *bodies: bytes) -> None:
    house.engine.deployments.deploy(SYSTEM, {f"{n}.bpmn": body for n, body in enumerate(bodies)}, "more")


def test_a_process_with_several_none_start_events_asks_which_one(house: House) -> None:
    deploy(house, TWO_WAYS)
    browser = house.browser("wang")
    page = browser.get("/start/lead").text
    assert "客户来电" in page
    assert "展会线索" in page

    refused = browser.post("/start/lead", browser.fields("/start/lead"))
    assert refused.status_code == 422
    assert "请选择从哪里开始。" in refused.text
    assert 'href="#f-_start_event"' in refused.text
    done = browser.post("/start/lead", {**browser.fields("/start/lead"), "_start_event": "s2"})

    assert done.status_code == 303
    (instance,) = house.engine.instances.list(SYSTEM, key="lead").items
    (task,) = house.engine.tasks.of_instance(SYSTEM, instance.id)
    assert task.element == "b"


def test_a_process_with_one_beginning_does_not_ask(house: House) -> None:
    assert "_start_event" not in house.browser("wang").get("/start/bid").text


def test_a_start_event_that_the_page_did_not_offer_is_not_taken(house: House) -> None:
    deploy(house, TWO_WAYS)
    browser = house.browser("wang")

    refused = browser.post("/start/lead", {**browser.fields("/start/lead"), "_start_event": "a"})

    assert refused.status_code == 422
    assert house.engine.instances.list(SYSTEM, key="lead").items == ()


def test_programs_learn_the_choices_and_choose(house: House) -> None:
    deploy(house, TWO_WAYS)

    choices = call(house, "wang", "GET", "/definitions/lead/start-events").get_json()["items"]
    refused = call(house, "wang", "POST", "/definitions/lead/start", {})
    started = call(house, "wang", "POST", "/definitions/lead/start", {"start_event": "s1"})

    assert choices == [{"id": "s1", "name": "客户来电"}, {"id": "s2", "name": "展会线索"}]
    assert (refused.status_code, refused.get_json()["code"]) == (409, "ambiguous_start")
    assert "s1, s2" in refused.get_json()["message"]
    assert started.status_code == 201


def test_what_starts_by_itself_is_shown_with_its_next_time(house: House) -> None:
    deploy(house, WEEKLY)
    due = MONDAY + timedelta(days=7)
    owner = house.browser("owner")

    for path in ("/definitions/weekly", "/definitions", "/incidents"):
        assert "2026-11-23 09:00" in owner.get(path).text, path
    assert "每周一次" in owner.get("/definitions/weekly").text
    assert "每周一次" in owner.get("/incidents").text
    assert "自动发起" not in owner.get("/definitions/bid").text
    assert call(house, "li", "GET", "/start-timers").get_json()["items"] == [
        {"key": "weekly", "version": 1, "name": "weekly", "element": "tick", "due_at": due.isoformat()}]
