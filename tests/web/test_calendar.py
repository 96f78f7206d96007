"""The calendar of a person and of a tender, and its feed for calendar programs."""

from __future__ import annotations

from icalendar import Calendar

from engine import SYSTEM
from tests.web.house import _NAMESPACES, House
from tests.web.test_queries import counted, queries

CALENDAR = """{entries: [
 {id: "submit", name: "递交截止", article: "招标投标法第 28 条", kind: "law", at: date and time("2026-12-10T09:30:00+08:00"), whole_day: false, state: "ok", counting: "递交截止"},
 {id: "final", name: "定稿", article: "公司惯例", kind: "ours", at: date and time("2026-12-09T09:30:00+08:00"), whole_day: false, state: "ok", counting: "前 24 小时"},
 {id: "sign", name: "签订合同", article: "招标投标法第 46 条", kind: "law", at: null, whole_day: true, state: "waiting", counting: "待中标通知书发出后算出"}],
 warnings: ["自招标文件发出至递交截止不少于 20 日：早于法定最早日期"], unknown_years: [2027],
 changes: [{id: "submit", name: "递交截止", was: date and time("2026-12-05T09:30:00+08:00"), became: date and time("2026-12-10T09:30:00+08:00")}]}"""

TENDER = f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions {_NAMESPACES} id="d"><process id="psm050_bidding" name="商务招投标" isExecutable="true" camunda:candidateStarterGroups="bid_manager">
 <startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="calc"/>
 <scriptTask id="calc" name="计算" scriptFormat="feel" camunda:resultVariable="bid_calendar"><script>{CALENDAR}</script></scriptTask>
 <sequenceFlow id="f2" sourceRef="calc" targetRef="work"/>
 <userTask id="work" name="研读" camunda:candidateGroups="bid_manager" camunda:dueDate="= date and time(&quot;2026-11-25T17:00:00+08:00&quot;)"/>
 <sequenceFlow id="f3" sourceRef="work" targetRef="e"/><endEvent id="e"/></process></definitions>""".encode()


def tender(house: House) -> int:
    house.engine.deployments.deploy(SYSTEM, {"psm050_bidding.bpmn": TENDER}, "t")
    return house.engine.instances.start(house.actor("wang"), "psm050_bidding", {}, title="医院集成").id


def test_the_page_of_a_tender_shows_its_dates_with_articles_warnings_and_what_moved(house: House) -> None:
    page = house.browser("wang").get(f"/instance/{tender(house)}").text

    assert "招标投标法第 28 条" in page
    assert "早于法定最早日期" in page
    assert "2027 年的节假日安排尚未公布" in page
    assert "原 2026-12-05 09:30" in page
    assert "待中标通知书发出后算出" in page


def test_the_submission_deadline_counts_down_on_the_page_before_any_task_says_so(house: House) -> None:
    id, heading = tender(house), "<h2>递交截止</h2>"

    page = house.browser("wang").get(f"/instance/{id}").text
    assert 'data-deadline="2026-12-10T09:30:00+08:00"' in page.partition(heading)[2][:300]
    house.clock.advance(days=30)

    assert heading not in house.browser("wang").get(f"/instance/{id}").text


def test_an_instance_without_a_calendar_shows_none(house: House) -> None:
    assert "投标日历" not in house.browser("wang").get(f"/instance/{house.task().instance_id}").text


def test_the_calendar_lists_due_tasks_and_the_dates_of_tenders_by_time(house: House) -> None:
    tender(house)

    page = house.browser("wang").get("/calendar").text

    assert page.index("待办：研读") < page.index("定稿") < page.index("递交截止")


def feed(house: House, user: str) -> str:
    page = house.browser(user).get("/calendar").text
    return page.partition('href="http')[2].partition('"')[0].partition("/calendar/")[2]


def test_the_feed_is_read_without_logging_in_and_moves_with_the_dates(house: House) -> None:
    id = tender(house)

    answer = house.browser().get("/calendar/" + feed(house, "wang"))

    assert answer.mimetype == "text/calendar"
    found = {str(e["uid"]): e for e in Calendar.from_ical(answer.data).walk("VEVENT")}
    assert found[f"{id}-submit@psmflow"].decoded("dtstart").isoformat() == "2026-12-10T01:30:00+00:00"
    assert "医院集成" in str(found[f"{id}-submit@psmflow"]["summary"])
    assert f"{id}-sign@psmflow" not in found


def test_somebody_else_s_feed_shows_nothing_of_the_tender(house: House) -> None:
    tender(house)

    answer = house.browser().get("/calendar/" + feed(house, "stranger"))

    assert list(Calendar.from_ical(answer.data).walk("VEVENT")) == []


def test_a_wrong_address_and_one_of_an_old_password_give_nothing(house: House) -> None:
    old = feed(house, "wang")

    assert house.browser().get("/calendar/" + old[:-6] + "xx.ics").status_code == 404
    house.engine.people.set_password(house.actor("wang"), "wang", "another long password")
    assert house.browser().get("/calendar/" + old).status_code == 404


def test_calendar_feed_and_the_page_of_a_tender_cost_no_more_queries_when_there_are_many(house: House) -> None:
    for _ in range(2):
        id = tender(house)
    paths = ["/calendar", f"/instance/{id}", "/calendar/" + feed(house, "wang")]
    few = [queries(house, "wang", path) for path in paths]

    for n in range(20):
        house.engine.instances.start(house.actor("wang"), "psm050_bidding", {}, title=f"更多{n}")

    assert [queries(house, "wang", path) for path in paths] == few
    assert house.browser().get(paths[2]).text.count("BEGIN:VEVENT") == 22 * 3


def test_only_commands_that_compute_a_calendar_write_one(house: House) -> None:
    house.engine.deployments.deploy(SYSTEM, {"psm050_bidding.bpmn": TENDER}, "t")
    with counted(house) as statements:
        id = house.engine.instances.start(house.actor("wang"), "psm050_bidding", {}).id
    assert len([s for s in statements if "bid_calendar (" in s]) == 1

    task = house.engine.tasks.of_instance(SYSTEM, id)[0]
    with counted(house) as statements:
        house.engine.tasks.complete(SYSTEM, task.id, {"note": "x"})
    assert any("update instance" in s for s in statements)
    assert [s for s in statements if "bid_calendar" in s] == []
