"""Five people carry a whole tender through the pages, to a signed contract and again to a missed deadline, as `docs/tender.zh-CN.md` says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser

from engine import SYSTEM, MovableClock
from engine.clock import DEMO_CLOCK, DemoClock
from engine.forms import Form
from engine.model import InstanceId, TaskId
from engine.service.people import DEMO_TEAM
from tests.browser.conftest import Desk, House, serving
from tests.tender import Answers, Step, answer, read_page

pytestmark = pytest.mark.browser

_SAID = "() => { const page = document.querySelector('main').cloneNode(true); page.querySelectorAll('#viewer, script').forEach(e => e.remove()); return page.textContent; }"
MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@dataclass(slots=True)
class Office:
    """Five people, each at a desk, and the project that they work on."""

    house: House
    clock: DemoClock
    desks: dict[str, Desk]
    project: InstanceId | None = None
    done: list[tuple[str, str]] = field(default_factory=list)  #: ``[(who, task)]``

    def follow(self, step: Step) -> None:
        for _ in range(step.times):
            match step.kind:
                case "start":
                    self.start(step)
                case "task":
                    self.task(step)
                case "event":
                    self.event(step)
                case "clock":
                    self.put_clock(step)
            self.settle()
        self.look(step)

    def settle(self) -> None:
        while self.house.engine.jobs.run_due():
            pass

    def look(self, step: Step) -> None:
        """See on the project's page what the last column says one sees."""
        desk = self.desks[step.who]
        if step.sees:
            desk.open(f"/instance/{self.project}")
            text = desk.page.evaluate(_SAID)  # what is written, not the labels of the diagram
            assert [said for said in step.sees if said not in text] == [], f"{step.number} {step.name}"

    def answer(self, step: Step, desk: Desk, form: Form | None, given: Mapping[str, Any]) -> None:
        answers: Answers = answer(form, given, step.fill, self.clock.now(), step.who)
        files = {path: [f"演示{n + 1}.pdf" for n in range(count)] for path, count in answers.files.items()}
        desk.fill(_new(answers.values, given), files)
        before = desk.page.url
        desk.submit()
        assert desk.page.url != before, f"{step.number} {step.name}: {desk.page.locator('.error-summary, .alert').all_inner_texts()}"

    def start(self, step: Step) -> None:
        desk = self.desks[step.who]
        desk.open("/start")
        desk.page.get_by_role("link", name=re.compile(step.name)).first.click()
        desk.page.locator(".form-actions").wait_for()
        key = desk.page.url.rpartition("/")[2]
        who = self.house.engine.people.actor(step.who)
        assert who is not None
        form, given = self.house.engine.instances.start_form(who, key)
        self.answer(step, desk, form, given)
        found = re.search(r"/instance/(\d+)", desk.page.url)
        assert found
        self.project = InstanceId(int(found[1]))

    def task(self, step: Step) -> None:
        desk, engine = self.desks[step.who], self.house.engine
        desk.open("/")
        link = desk.page.get_by_role("link", name=step.name, exact=True)
        assert link.count(), f"{step.number} {step.who} {step.name}: {desk.page.locator('main').inner_text()[:600]}"
        link.first.click()
        desk.page.wait_for_url(re.compile(r"/task/\d+"))
        id, who = TaskId(int(desk.page.url.rpartition("/")[2])), engine.people.actor(step.who)
        assert who is not None
        form, given = engine.tasks.form(who, id)
        self.answer(step, desk, form, {**engine.tasks.context(who, id), **given})
        assert engine.tasks.get(SYSTEM, id).ended_by == step.who
        self.done.append((step.who, step.name))

    def event(self, step: Step) -> None:
        desk, engine = self.desks[step.who], self.house.engine
        assert self.project is not None
        desk.open(f"/instance/{self.project}")
        desk.page.get_by_role("link", name=step.name, exact=True).click()
        desk.page.wait_for_url(re.compile(r"/event/\d+"))
        who = engine.people.actor(step.who)
        assert who is not None
        token = int(desk.page.url.rpartition("/")[2])
        self.answer(step, desk, engine.messages.form(who, self.project, token), {})  # type: ignore[arg-type]

    def put_clock(self, step: Step) -> None:
        """Press the button on the project's page; a task that somebody has open on the screen meanwhile may come too late."""
        desk, typing, task = self.desks[step.who], self.desks["zhou.nan"], "制定投标计划"
        typing.open("/")
        link = typing.page.get_by_role("link", name=task, exact=True)
        is_typing = link.count() > 0
        if is_typing:
            link.click()
            typing.page.wait_for_url(re.compile(r"/task/\d+"))

        desk.open(f"/instance/{self.project}")
        desk.page.get_by_role("button", name=step.name).click()
        desk.page.get_by_text("演示时钟已拨到").wait_for()
        self.settle()

        if is_typing:
            typing.submit()
            assert f"没有提交：{task}" in typing.page.locator("main").inner_text()
            typing.complaints[:] = [c for c in typing.complaints if "409" not in c and "410" not in c]  # how the refusal is answered


def _new(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what does not stand in the form yet, rows by their places."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        before = given.get(key)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            old = before if isinstance(before, list) else []
            found[key] = [_new(row, old[n] if n < len(old) else {}) for n, row in enumerate(value)]
        elif value not in (None, [], before):
            found[key] = value
    return found


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("tender")
    clock = DemoClock(folder / DEMO_CLOCK, MovableClock(MONDAY))
    with serving(folder, clock) as house:
        contexts = [chromium.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN", timezone_id="Asia/Shanghai") for _ in DEMO_TEAM]
        for context in contexts:  # nothing here looks at the drawn diagram, and drawing it takes most of a page's time
            context.route("**/static/dist/viewer-*.js", lambda route: route.fulfill(content_type="text/javascript", body=""))
        desks = {id: Desk(house, context.new_page()) for (id, _, _), context in zip(DEMO_TEAM, contexts, strict=True)}
        for (id, name, _), desk in zip(DEMO_TEAM, desks.values(), strict=True):
            desk.open("/login")
            desk.page.get_by_role("button", name=f"{name} {id}").click()
            desk.page.wait_for_url(house.url + "/")
        yield Office(house, clock, desks)
        for context in contexts:
            context.close()


def test_five_people_carry_a_tender_to_a_signed_contract_and_another_to_a_missed_deadline(office: Office) -> None:
    outcomes = []
    for run in read_page():
        for step in run:
            office.follow(step)
        assert office.project is not None
        ended = office.house.engine.instances.get(SYSTEM, office.project)
        outcomes.append((str(ended.status), ended.outcome, len(office.done)))
        assert office.house.engine.jobs.of_instance(SYSTEM, office.project) == ()

    assert [o[:2] for o in outcomes] == [("completed", "won"), ("completed", "lost")]
    assert len(office.done) > 150
    assert {who for who, _ in office.done} == {id for id, _, _ in DEMO_TEAM}
    assert [c for desk in office.desks.values() for c in desk.complaints] == []
