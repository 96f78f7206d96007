"""“为什么 · Why”: of which values an event of the timeline came."""

from __future__ import annotations

import datetime
import html
import re

from engine import SYSTEM
from engine.events import DecisionEvaluated, FlowTaken
from engine.model import InstanceId
from tests.bpmn.build import diagram, end, exclusive, process, start, user
from tests.bpmn.test_activities import DMN, rule_task
from tests.web.house import House
from tests.web.test_api import call

GRADED = diagram(process(
    start(), rule_task(), exclusive("g", name="分级"), user("a"), user("b"), end(), end("e2"), "s>r", "r>g",
    'g>a:level = "high" and closes > now()', "g>b!", "a>e", "b>e2", id="graded"))
FILES = {"graded.bpmn": GRADED, "level.dmn": DMN}
#: Marks `amount` as one.
PRICED = b'{"type":"default","id":"x.priced","components":[{"type":"number","key":"amount","label":"x","properties":{"priceField":"true"}}]}'


def begun(house: House, **more: bytes) -> InstanceId:
    house.engine.deployments.deploy(SYSTEM, {**FILES, **{f"{name}.form": body for name, body in more.items()}}, "graded")
    return house.engine.instances.start(SYSTEM, "graded", {"amount": 54321, "closes": datetime.datetime(2026, 12, 1, 1, 30, tzinfo=datetime.UTC)}).id


def seq(house: House, id: InstanceId, kind: type) -> int:
    return next(r.seq for r in house.engine.instances.history(SYSTEM, id) if isinstance(r.event, kind) and getattr(r.event, "condition", "") is not None)


def test_the_timeline_leads_to_the_tree_of_a_flow_with_the_values_of_then(house: House) -> None:
    id = begun(house)
    owner = house.browser("owner")
    path = f"/instance/{id}/why/{seq(house, id, FlowTaken)}"

    assert f'href="{path}"' in owner.get(f"/instance/{id}").text
    page = html.unescape(owner.get(path).text)

    assert re.search(r'level = "high"</span> = <strong>是', page)
    assert re.search(r'closes</span> = <strong>2026-12-01 09:30', page)
    assert "How it came about" in house.browser("owner", language="en").get(path).text


def test_a_decision_shows_the_rule_that_matched_and_the_cell_that_failed(house: House) -> None:
    id = begun(house)

    page = html.unescape(house.browser("owner").get(f"/instance/{id}/why/{seq(house, id, DecisionEvaluated)}").text)

    assert re.search(r"level 1</span> = <strong>是", page)
    assert re.search(r"amount: > 100</span> = <strong>是", page)
    assert "SHA-256" in page


def test_amounts_are_not_on_the_page_of_who_may_not_read_them(house: House) -> None:
    id = begun(house, priced=PRICED)
    path = f"/instance/{id}/why/{seq(house, id, DecisionEvaluated)}"

    page = house.browser("owner").get(path).text

    assert "54,321" not in page
    assert "54321" not in page


def test_who_may_not_see_variables_is_not_led_there_and_refused(house: House) -> None:
    id = begun(house)
    path = f"/instance/{id}/why/{seq(house, id, FlowTaken)}"
    boss = house.browser("boss")

    assert "/why/" not in boss.get(f"/instance/{id}").text
    assert boss.get(path).status_code == 403
    assert house.browser("owner").get(f"/instance/{id}/why/1").status_code == 404


def test_programs_get_the_tree(house: House) -> None:
    id = begun(house)

    tree = call(house, "owner", "GET", f"/instances/{id}/history/{seq(house, id, FlowTaken)}/explanation").get_json()

    assert tree["value"] is True
    assert {"text": "level", "value": "high", "children": []} in tree["children"][0]["children"]
