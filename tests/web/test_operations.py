"""People, notices, health, serving."""

from __future__ import annotations

import pytest

from engine.errors import SettingsError
from tests.web.house import PASSWORD, House
from web.guard import is_loopback
from web.serve import serve


def test_an_administrator_adds_a_person_who_can_then_log_in(house: House) -> None:
    admin = house.browser("admin")

    refused = admin.post("/people", {"id": "", "name": "新人", "password": "x"}, from_page="/people")
    assert refused.status_code == 422
    assert 'value="新人"' in refused.text
    assert admin.post("/people", {"id": "new", "name": "新人", "password": "short"}, from_page="/people").status_code == 422
    added = admin.post("/people", {"id": "new", "name": "新人", "password": PASSWORD, "groups": ["bid_manager", "nonsense"]}, from_page="/people")

    assert added.location == "/people/new"
    assert house.browser().post("/login", {"user": "new", "password": PASSWORD}, from_page="/login").location == "/"
    assert house.actor("new").groups == {"bid_manager"}


def test_roles_password_and_account_are_changed(house: House) -> None:
    admin = house.browser("admin")

    admin.post("/people/li", {"change": "groups", "groups": ["legal_counsel"]}, from_page="/people/li")
    admin.post("/people/li", {"change": "password", "password": "another good one"}, from_page="/people/li")
    assert house.actor("li").groups == {"legal_counsel"}
    assert house.browser().post("/login", {"user": "li", "password": "another good one"}, from_page="/login").status_code == 303

    admin.post("/people/li", {"change": "deactivate"}, from_page="/people/li")
    assert house.engine.people.actor("li") is None
    admin.post("/people/li", {"change": "nonsense"}, from_page="/people/li")
    assert "没有可保存的更改" in admin.get("/people/li").text
    assert admin.get("/people/nobody").status_code == 404


def test_people_are_for_administrators(house: House) -> None:
    browser = house.browser("li")

    assert browser.get("/people").status_code == 403
    assert browser.get("/people/wang").status_code == 403
    assert browser.post("/people", {"id": "x", "name": "x", "password": PASSWORD}).status_code == 403
    assert browser.post("/people/wang", {"change": "groups"}).status_code == 403


def test_a_notice_is_read_once(house: House) -> None:
    house.task(hours=24 * 30)
    house.clock.advance(days=1, hours=2)
    house.run_jobs()
    people = [u for u in ("li", "wang", "qian") if house.engine.people.notices(house.actor(u))]
    assert people, "nobody was reminded"
    browser = house.browser(people[0])
    notices = house.engine.people.notices(house.actor(people[0]), unread=True)

    assert "条未读" in browser.get("/").text
    browser.post(f"/notices/{notices[0].id}/read", from_page="/notices")

    assert len(house.engine.people.notices(house.actor(people[0]), unread=True)) == len(notices) - 1
    assert house.browser("stranger").post(f"/notices/{notices[0].id}/read").status_code == 404


def test_health_tells_the_world_little_and_staff_more(house: House) -> None:
    answer = house.browser().get("/health")
    assert answer.status_code == 200
    assert answer.get_json()["ok"] is True
    assert "active_instances" not in answer.get_json()

    assert house.browser("li").get("/health").get_json()["active_instances"] == 0
    assert house.browser().get("/ready").get_json() == {"ready": True}


def test_health_is_not_well_when_due_work_waits(house: House) -> None:
    house.start(hours=1)
    house.clock.advance(hours=2)

    answer = house.browser().get("/health")

    assert answer.status_code == 503
    assert answer.get_json()["timer_lag_seconds"] == 3600


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_this_machines_own_addresses_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_demo_mode_is_never_served_to_others(house: House, host: str) -> None:
    from dataclasses import replace

    with pytest.raises(SettingsError):
        serve(house.engine, replace(house.engine.settings, demo=True), host, 0)
