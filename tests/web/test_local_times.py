"""What machines wrote is shown in the house's time, and what they say of a failure in both languages."""

from __future__ import annotations

import html
from datetime import UTC, datetime

from engine import SYSTEM
from tests.bpmn.build import diagram, end, exclusive, process, properties, service, start, user
from tests.web.house import House


def test_a_notice_tells_its_instants_in_the_time_of_the_house(house: House) -> None:
    words = properties(subject='= "截止 " + string(closes)', body='= "请于 " + string(closes) + " 前完成"')
    house.engine.deployments.deploy(SYSTEM, {"p.bpmn": diagram(process(
        start(), service("tell", "house.tell", words), user("a"), end(), "s>tell", "tell>a", "a>e"))}, "told")
    id = house.engine.instances.start(SYSTEM, "p", {"closes": datetime(2026, 12, 1, 9, tzinfo=UTC)}).id
    house.run_jobs()

    (notice,) = house.engine.people.notices(house.actor("owner"))
    page = house.browser("owner").get("/notices").text
    timeline = html.unescape(house.browser("owner").get(f"/instance/{id}").text)

    assert (notice.subject, notice.body) == ("截止 2026-12-01 17:00", "请于 2026-12-01 17:00 前完成")
    assert "截止 2026-12-01 17:00" in page
    assert "截止 2026-12-01 17:00" in timeline
    assert "T09:00:00" not in page + timeline


def test_an_incident_of_the_engine_speaks_both_languages(house: House) -> None:
    house.engine.deployments.deploy(SYSTEM, {"p.bpmn": diagram(process(
        start(), exclusive("g", name="分级"), user("a"), user("b"), end(), end("e2"), "s>g", "g>a:missing > base", "g>b:missing < base", "a>e",
        "b>e2"))}, "stuck")
    id = house.engine.instances.start(SYSTEM, "p", {"base": 1}).id

    page = html.unescape(house.browser("owner").get(f"/instance/{id}").text)

    assert "missing > base = null" in page
    assert "未知的名称“missing” (unknown name `missing`)" in page
