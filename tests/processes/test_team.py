"""Five people carry a whole tender: by the page that tells them how, and by the rules of separation of duties in the diagrams."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from lxml import etree

import handlers  # noqa: F401  registers
from engine import SYSTEM, Engine, MovableClock, open_engine, read_settings
from engine.errors import EngineError
from engine.model import Actor, InstanceId, UserTask
from engine.rehearsal import BPMN, read_library
from engine.service.people import DEMO_TEAM
from tests.tender import Step, answer, read_page

PROCESSES = Path(__file__).parents[2] / "processes"
CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@dataclass(slots=True)
class Walk:
    """Does what the page says, each step as the person whom it names."""

    engine: Engine
    clock: MovableClock
    instance: InstanceId | None = None
    done: int = 0
    pick: int = -1  #: see `tests.tender.answer`

    def settle(self) -> None:
        while self.engine.jobs.run_due():
            pass

    def actor(self, step: Step) -> Actor:
        found = self.engine.people.actor(step.who)
        assert found is not None, step
        return found

    def run(self, step: Step) -> None:
        try:
            for _ in range(step.times):
                {"start": self.start, "task": self.task, "event": self.event, "clock": self.clock_to}[step.kind](step)
        except (EngineError, KeyError) as error:
            detail = getattr(error, "problems", "")
            raise AssertionError(f"{step.number} {step.who} {step.name}: {error} {detail}") from error
        self.settle()

    def start(self, step: Step) -> None:
        actor = self.actor(step)
        (found,) = [d for d in self.engine.instances.startable(actor) if d.name == step.name]
        form, values = self.engine.instances.start_form(actor, found.key)
        answers = answer(form, values, step.fill, self.clock.now(), actor.name, pick=self.pick)
        self.instance = self.engine.instances.start(actor, found.key, answers.values, title=step.name).id

    def task(self, step: Step) -> None:
        actor = self.actor(step)
        open_now = self.open()
        found = [t for t in self.engine.tasks.inbox(actor, limit=200).items if t.instance_id == self.instance and t.name == step.name]
        assert found, f"{step.number} {step.who} {step.name}; open are {[(t.name, sorted(t.candidate_groups)) for t in open_now]}"
        task = min(found, key=lambda t: t.id)
        form, values = self.engine.tasks.form(actor, task.id)
        answers = answer(form, {**self.engine.tasks.context(actor, task.id), **values}, step.fill, self.clock.now(), actor.name, pick=self.pick)
        for path, count in answers.files.items():
            for number in range(count):
                self.engine.tasks.attach(actor, task.id, path, f"演示{number + 1}.pdf", "application/pdf", io.BytesIO(b"%PDF-1.4\n"))
        self.engine.tasks.complete(actor, task.id, answers.values)
        self.done += 1

    def event(self, step: Step) -> None:
        assert self.instance is not None
        actor = self.actor(step)
        names = {(d.key, e): n for d in self.engine.instances.diagrams(SYSTEM, self.instance) for e, n in _names(self.engine, d.id).items()}
        found = [s for s in self.engine.messages.expected(actor, self.instance) if names.get((s.process, s.element)) == step.name]
        assert found, f"{step.number} {step.name}; expected: {[names.get((s.process, s.element)) for s in self.engine.messages.expected(SYSTEM, self.instance)]}, open: {[t.name for t in self.open()]}"
        form = self.engine.messages.form(actor, self.instance, found[0].token)
        answers = answer(form, {}, step.fill, self.clock.now(), actor.name, pick=self.pick)
        self.engine.messages.send(actor, self.instance, found[0].token, answers.values)

    def clock_to(self, step: Step) -> None:
        assert self.instance is not None
        assert step.name == "拨到递交截止"
        calendar = self.engine.instances.bid_calendar(self.actor(step), self.instance)
        assert calendar is not None
        self.clock.move_to(next(d.at for d in calendar.dates if d.id == "submit"))

    def open(self) -> list[UserTask]:
        assert self.instance is not None
        return [t for t in self.engine.tasks.of_instance(SYSTEM, self.instance) if t.state == "open"]


def _names(engine: Engine, definition: object) -> dict[str, str]:
    root = etree.fromstring(engine.deployments.diagram(SYSTEM, definition))  # type: ignore[arg-type]
    return {el.get("id"): el.get("name", "") for el in root.iter() if isinstance(el.tag, str) and el.get("id")}


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    clock = MovableClock(MONDAY)
    engine = open_engine(read_settings({}, data=tmp_path, demo=True, synchronous="NORMAL"), clock=clock, dispatching=False)
    engine.deployments.deploy(SYSTEM, read_library(PROCESSES), "processes")
    yield Walk(engine, clock)
    engine.close()


@pytest.mark.parametrize("pick", [-1, 0], ids=["the last choice", "the first choice"])
def test_the_page_names_every_choice_that_matters_on_the_way_to_a_contract_and_to_a_missed_deadline(walk: Walk, pick: int) -> None:
    first, second = read_page()
    walk.pick = pick

    for step in first:
        walk.run(step)
    assert walk.instance is not None
    won = walk.engine.instances.get(SYSTEM, walk.instance)
    assert (won.status, won.outcome) == ("completed", "won"), [(t.name, sorted(t.candidate_groups)) for t in walk.open()]
    for step in second:
        walk.run(step)
    lost = walk.engine.instances.get(SYSTEM, walk.instance)
    assert (lost.status, lost.outcome) == ("completed", "lost"), [(t.name, sorted(t.candidate_groups)) for t in walk.open()]
    assert walk.done > 150


def test_a_deadline_that_passes_before_the_decision_stops_the_bid_with_the_decision(walk: Walk) -> None:
    _, second = read_page()
    decision = next(n for n, step in enumerate(second) if step.name == "审批投标")

    for step in second[:decision]:
        walk.run(step)
    walk.clock.advance(minutes=40)
    walk.settle()
    walk.run(second[decision])

    assert [t.name for t in walk.open()] == ["复盘会"]


# ----------------------------------------------------------------------------------------------- separation of duties on paper
@dataclass(frozen=True, kw_only=True)
class Work:
    """A user task as drawn. `everybody`: all of `roles` do it, one instance for each; else one of them does."""

    roles: frozenset[str]
    apart: tuple[str, ...]
    everybody: bool

    @property
    def people(self) -> frozenset[str]:
        return frozenset(id for id, _, roles in DEMO_TEAM if self.roles & set(roles))


#: Whom a decision table calls: each of them alone.
CALLED = {"bid_withdrawal.approve_withdraw": ("sales_manager", "company_leader")}


def drawn() -> dict[str, Work]:
    """Return ``{"process.element": what is drawn}`` of every user task in the library."""
    found = {}
    for file in sorted(PROCESSES.glob("*/*.bpmn")):
        for process in etree.parse(file).iter(f"{BPMN}process"):
            for task in process.iter(f"{BPMN}userTask"):
                id, loop = f"{process.get('id')}.{task.get('id')}", task.find(f"{BPMN}multiInstanceLoopCharacteristics")
                groups, apart = task.get(f"{CAMUNDA}candidateGroups", ""), ""
                for each in task.iter(f"{CAMUNDA}property"):
                    apart = each.get("value", "") if each.get("name") == "separateFrom" else apart
                seats = [] if loop is None else re.findall(r'(?:group|role): "(\w+)"', loop.get(f"{CAMUNDA}collection", ""))
                roles = frozenset(seats if groups.startswith("=") else re.split(r"\s*,\s*", groups))
                found[id] = Work(
                    roles=roles, apart=tuple(e if "." in e else f"{process.get('id')}.{e}" for e in re.split(r"\s*,\s*", apart) if e), everybody=bool(seats),
                )
    return found


def test_no_task_is_left_without_somebody_who_may_do_it_whoever_of_the_five_did_the_others() -> None:
    works, stuck = drawn(), []
    apart = {id: work for id, work in works.items() if work.apart}
    assert len(apart) > 30
    for id, work in apart.items():
        candidates = [frozenset(p for p, _, roles in DEMO_TEAM if role in roles) for role in CALLED.get(id, ())] or [work.people]
        others = [e for e in work.apart if e != id]
        needed = 2 if id in work.apart else 1
        for did in product(*([works[e].people] if works[e].everybody else [{p} for p in works[e].people] for e in others)):
            done = dict(zip(others, did, strict=True))
            if any(done[e] & done[o] for e in others for o in works[e].apart if o in done and o != e):
                continue  # they could not have done so themselves
            for able in candidates:
                if len(able - set().union(*did)) < needed:
                    stuck.append((id, done))

    assert stuck == []


def test_every_role_of_a_tender_is_held_and_the_compliance_officer_has_no_part_in_the_price() -> None:
    held = {role: {id for id, _, roles in DEMO_TEAM if role in roles} for _, _, roles in DEMO_TEAM for role in roles}
    missing = {role for work in drawn().values() for role in work.roles if role and role not in held}
    assert missing <= {"system_admin"}

    (officer,) = held["compliance_officer"]

    pricing = {id for id, work in drawn().items() if id.startswith(("bid_pricing.", "quotation_approval.", "psm040_quotation."))}
    assert {id for id in pricing if officer in drawn()[id].people} == {"bid_pricing.assess_leak"}
    assert officer not in set().union(*(held[role] for role in ("pricing_officer", "pricing_approver", "company_leader", "account_manager")))
