"""The inbox and the page of a task."""

from __future__ import annotations

from tests.web.house import GOOD, House, upload


def test_the_inbox_shows_what_is_offered_with_time_left_in_words(house: House) -> None:
    house.task("市政务云")

    page = house.browser("li").get("/").text

    assert "编制标书" in page
    assert "市政务云 投标" in page
    assert "还剩 2 天" in page
    assert ">领取<" in page


def test_completing_a_task_leads_back_to_the_inbox(house: House) -> None:
    task = house.task()
    browser = house.browser("li")

    answer = browser.post(f"/task/{task.id}", {**GOOD, **browser.fields(f"/task/{task.id}")}, from_page=f"/task/{task.id}")

    assert (answer.status_code, answer.location) == (303, "/")
    assert "已提交" in browser.get("/").text
    done = house.engine.tasks.get(house.actor("li"), task.id)
    assert (done.state, done.ended_by) == ("completed", "li")
