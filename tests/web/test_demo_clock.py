"""The clock of a demo on its pages: shown and put forward there, unknown everywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine import SYSTEM, MovableClock, open_engine
from engine.clock import DEMO_CLOCK, DemoClock
from tests.web.house import MONDAY, Browser, House, handlers
from tests.web.test_accessibility import _headings_in_order, _ids_once, _labels, _names, _references, html
from tests.web.test_calendar import TENDER, tender
from web import create_app

MONTH = timedelta(days=30)


@pytest.fixture
def demo(house: House, tmp_path: Path) -> Iterator[House]:
    """The house, as a demo."""
    settings = replace(house.engine.settings, demo=True)
    with open_engine(settings, DemoClock(tmp_path / DEMO_CLOCK, MovableClock(MONDAY)), handlers()) as engine:
        yield House(engine=engine, clock=house.clock, app=create_app(engine, settings))


def alerts(browser: Browser, path: str = "/") -> list[str]:
    return re.findall(r'class="alert \w+"[^>]*><p>([^<]+)', browser.get(path).text)


def test_every_page_shows_the_clock_and_how_far_it_is_ahead(demo: House) -> None:
    li = demo.browser("li")
    assert "演示时钟 2026-11-16 09:00（与实际一致）" in li.get("/").text

    demo.engine.put_clock_forward(demo.actor("li"), MONDAY + MONTH)

    for path in ("/", "/instances", "/definitions", "/notices", "/nothing"):
        page = li.get(path).text
        assert "演示时钟 2026-12-16 09:00（比实际快 30 天）" in page, path
        assert 'data-now="2026-12-16T01:00:00+00:00"' in page  # what countdowns in the browser are corrected by
    assert "Demo clock 2026-12-16 09:00 (30 days ahead of the real time)" in demo.browser("li", language="en").get("/").text


def test_before_the_login_it_is_shown_and_cannot_be_put_forward(demo: House) -> None:
    browser = demo.browser()

    assert "演示时钟 2026-11-16 09:00" in browser.get("/login").text
    assert "/demo/clock" not in browser.get("/login").text
    assert browser.post("/demo/clock", {"step": "day"}, from_page="/login").status_code == 401
    assert demo.engine.clock.now() == MONDAY


@pytest.mark.parametrize(
    ("typed", "at", "shown"),
    [
        ({"step": "hour"}, MONDAY + timedelta(hours=1), "2026-11-16 10:00"),
        ({"step": "day"}, MONDAY + timedelta(days=1), "2026-11-17 09:00"),
        ({"to": "2026-12-22T09:30"}, MONDAY + timedelta(days=36, minutes=30), "2026-12-22 09:30"),
        ({"to": " 2026-12-22 09:30 "}, MONDAY + timedelta(days=36, minutes=30), "2026-12-22 09:30"),
        ({"to": "2026-12-22T09:30:00+08:00"}, MONDAY + timedelta(days=36, minutes=30), "2026-12-22 09:30"),
    ],
    ids=str,
)
def test_it_is_put_forward_and_one_is_back_where_one_was(demo: House, typed: dict[str, str], at: object, shown: str) -> None:
    li = demo.browser("li")

    answer = li.post("/demo/clock", {**typed, "next": "/instances?q=x"})

    assert (answer.status_code, answer.location) == (303, "/instances?q=x")
    assert demo.engine.clock.now() == at
    (told,) = alerts(li)
    assert f"演示时钟已拨到 {shown}。" in told


@pytest.mark.parametrize("typed", [
    {"to": "2026-11-16T08:59"}, {"to": "2026-11-16T09:00"}, {"to": "2029-01-01T00:00"}, {"to": "9999-12-31T23:59"}, {"to": "0001-01-01T00:00"},
    {"to": "0001-01-01T00:00+14:00"}, {"to": "9999-12-31T23:59-12:00"}, {"to": "next week"}, {"to": ""}, {}, {"step": "year"},
], ids=str)  # fmt: skip
def test_what_cannot_be_is_told_on_the_page_and_changes_nothing(demo: House, typed: dict[str, str]) -> None:
    li = demo.browser("li")

    answer = li.post("/demo/clock", {**typed, "next": "/instances"})

    assert (answer.status_code, answer.location) == (303, "/instances")
    assert demo.engine.clock.now() == MONDAY
    (told,) = alerts(li)
    assert "请选择 2026-11-16 09:00 之后" in told or "看不懂这个时间" in told


def test_nobody_is_led_elsewhere_and_nothing_is_forged(demo: House) -> None:
    li = demo.browser("li")

    assert li.post("/demo/clock", {"step": "day", "next": "https://evil.example/"}).location == "/"
    moved = demo.engine.clock.now()
    assert li.client.post("/demo/clock", data={"step": "day"}).status_code == 400
    assert li.get("/demo/clock").status_code == 405
    assert demo.engine.clock.now() == moved


def test_a_tender_offers_to_put_the_clock_to_its_deadline(demo: House) -> None:
    id, wang = tender(demo), demo.browser("wang")
    page = wang.get(f"/instance/{id}").text
    assert "拨到递交截止" in page
    to = re.search(r'name="to" value="(2026[^"]+)">\s*<button class="button secondary small">拨到递交截止', page)
    assert to

    wang.post("/demo/clock", {"to": to[1], "next": f"/instance/{id}"})

    page = wang.get(f"/instance/{id}").text
    assert "演示时钟 2026-12-10 09:30" in page
    assert "拨到递交截止" not in page


def test_once_the_bid_is_due_it_offers_to_put_the_clock_to_the_opening(demo: House) -> None:
    opening = TENDER.decode().replace('id: "final", name: "定稿"', 'id: "opening", name: "开标"').replace("2026-12-09", "2026-12-11").encode()
    demo.engine.deployments.deploy(SYSTEM, {"psm050_bidding.bpmn": opening}, "t")
    id, wang = demo.engine.instances.start(demo.actor("wang"), "psm050_bidding", title="医院集成").id, demo.browser("wang")
    assert "拨到开标" not in wang.get(f"/instance/{id}").text

    wang.post("/demo/clock", {"to": "2026-12-10T09:30"})

    page = wang.get(f"/instance/{id}").text
    assert re.search(r'name="to" value="2026-12-11T09:30:00\+08:00">\s*<button class="button secondary small">拨到开标', page)


def test_the_forms_keep_the_rules_that_html_shows(demo: House) -> None:
    page = html.document_fromstring(demo.browser("wang").get(f"/instance/{tender(demo)}").text)

    assert [p for rule in (_headings_in_order, _ids_once, _references, _labels, _names) for p in rule("demo", page)] == []


def test_a_house_in_which_people_work_neither_shows_it_nor_has_its_address(house: House) -> None:
    li, id = house.browser("li"), tender(house)

    for path in ("/", "/login", f"/instance/{id}", "/definitions"):
        page = li.get(path).text
        assert "演示时钟" not in page
        assert "/demo/clock" not in page
        assert "拨到" not in page
    assert li.post("/demo/clock", {"step": "day"}).status_code == 404
    assert house.engine.clock.now() == MONDAY
