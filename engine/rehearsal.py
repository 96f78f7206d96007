"""Rehearsal: runs a scenario on the real engine, in a scratch database, with a clock that the scenario moves.

A scenario is a JSON file beside its process, ``processes/<key>/scenarios/<name>.json``:

    {"name": "won", "title": "中标并签约", "clock": "2026-03-02T09:00:00+08:00",
     "start": {"process": "psm_presale", "by": "account_manager", "business_key": "SQ-1", "values": {…}},
     "steps": [
        {"complete": "project_analysis.analyse", "by": "presale_coordinator", "values": {…}, "files": {"field": "名称.pdf"}},
        {"claim": "…", "by": "…"},                     {"advance": "P2D"},
        {"advance_to": "2026-03-20T09:30:00+08:00"},   {"message": "tender_amended", "by": "account_manager", "values": {…}},
        {"set": {…}},                                  {"expect": {"open": […], "not_open": […], "variables": {…}, "status": "active"}},
        {"play": "bid_pricing.usual"},
        {"refused": "task_too_late", "complete": "…", "by": "…"}, {"retry": "process.element", "values": {…}}],
     "expect": {"status": "completed", "outcome": "won", "ends": ["psm_presale.end_won"]}}

With ``"message": "lead_confirmed"`` in `start` a message start event starts it, as another system would.

``{"play": "<process>.<scenario>"}`` stands for the steps of another scenario: how a called process goes is told once, beside it.
Its start and what it expects at its end are left out. Other pools take part as well: a step with ``"in": "bidder"`` is about the newest instance of that process, whoever started it,
``"in": ["bidder", 2]`` about the second one; all other steps are about the instance of `start`. At the end, ``"pools"`` in `expect`
says the same of others: ``{"status": "completed", "pools": {"bidder": {"status": "completed", "ends": […]}}}``.
In `open` and `not_open` a process without an element stands for any of its tasks; `ends` are elements that were reached by then, `not_ends` such that were not. `by` is the user of a role (every role has one, named by its id); ``"by": "qualification_checker/2"`` is a
second person of that role, for what two must do (``/3`` a third; any step that has a `by`). A string that begins with ``=`` in `values` is FEEL over
the variables that the completed task sees, elsewhere over the instance's. Time moves in steps that stop at every due job, so thirty days pass in a second and nothing is skipped.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from lxml import etree

from engine import calendar
from engine.access import GROUPS
from engine.assembly import Engine, open_engine
from engine.clock import MovableClock
from engine.errors import EngineError
from engine.events import (
    ActivityStarted,
    ErrorThrown,
    Event,
    FlowTaken,
    IncidentOpened,
    InstanceCancelled,
    InstanceCompleted,
    InstanceStarted,
    InstanceSuspended,
    MessageCorrelated,
    Recorded,
    ScopeResumed,
    ScopeSuspended,
    TimerFired,
    UserTaskCompleted,
    UserTaskCreated,
)
from engine.feel import compile_expression
from engine.handler import REGISTRY, HandlerRegistry
from engine.model import SYSTEM, Actor, InstanceId, InstanceStatus, TokenId, UserTask, Values
from engine.settings import read_settings

BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
_ZONE = ZoneInfo("Asia/Shanghai")
_FLOW_NODES = frozenset(
    ["startEvent", "endEvent", "boundaryEvent", "intermediateCatchEvent", "intermediateThrowEvent", "task", "userTask", "manualTask", "serviceTask", "sendTask", "receiveTask", "scriptTask", "businessRuleTask", "callActivity", "subProcess", "transaction", "adHocSubProcess", "exclusiveGateway", "inclusiveGateway", "parallelGateway", "complexGateway", "eventBasedGateway"]
)


class ScenarioError(EngineError):
    """A scenario file that cannot be read."""

    code = "scenario"
    zh = "场景文件 {file} 有误：{reason}"
    en = "The scenario {file} is wrong: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    file: Path
    name: str
    title: str
    clock: datetime
    start: Mapping[str, Any]
    steps: tuple[Mapping[str, Any], ...]
    expect: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the timeline."""

    at: datetime
    who: str
    text: str


@dataclass(slots=True, kw_only=True)
class Run:
    """What came of a scenario. `covered`: ``{(process, element or flow id)}``."""

    name: str
    title: str
    process: str
    passed: bool = False
    outcome: str | None = None
    event_count: int = 0
    failure: str = ""
    timeline: list[Line] = field(default_factory=list)
    covered: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of the processes looked at. `missing`: ``process.element``, sorted."""

    nodes: int
    nodes_covered: int
    flows: int
    flows_covered: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    runs: tuple[Run, ...]
    coverage: Coverage

    @property
    def passed(self) -> bool:
        return bool(self.runs) and all(run.passed for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        """Return ``{"scenarios": [{"name", "passed", "outcome", "events"}], "coverage": {"nodes", "flows"}}`` and details."""
        return {
            "scenarios": [
                {"name": r.name, "process": r.process, "passed": r.passed, "outcome": r.outcome, "events": r.event_count, "failure": r.failure}
                for r in self.runs
            ],
            "coverage": {
                "nodes": _share(self.coverage.nodes_covered, self.coverage.nodes),
                "flows": _share(self.coverage.flows_covered, self.coverage.flows),
                "missing": list(self.coverage.missing),
            },
        }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0


def read_scenario(file: Path) -> Scenario:
    """Return the scenario in a file.

    Raises:
        ScenarioError: not JSON, or something required is missing.
    """
    try:
        raw = json.loads(file.read_text("utf-8"))
        return Scenario(
            file=file, name=str(raw.get("name") or file.stem), title=str(raw.get("title") or ""),
            clock=_aware(datetime.fromisoformat(raw["clock"])), start=raw["start"], steps=tuple(_played(raw["steps"], file, (file,))),
            expect=raw["expect"],
        )
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ScenarioError(file=str(file), reason=str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ScenarioError(file=str(file), reason=f"clock, start, steps and expect are required ({error})") from error


def _played(steps: Iterable[Mapping[str, Any]], file: Path, within: tuple[Path, ...]) -> Iterator[Mapping[str, Any]]:
    """Give the steps with every ``play`` replaced by the steps that it stands for."""
    for step in steps:
        if "play" not in step:
            yield step
            continue
        process, _, name = str(step["play"]).partition(".")
        played = file.parents[2] / process / "scenarios" / f"{name}.json"
        if played in within:
            raise ScenarioError(file=str(file), reason=f"“play”: {step['play']} plays itself")
        try:
            found = json.loads(played.read_text("utf-8"))["steps"]
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
            raise ScenarioError(file=str(file), reason=f"“play”: {step['play']} is no scenario of the library ({error})") from error
        yield from _played(found, played, (*within, played))


def find_scenarios(path: Path) -> tuple[Scenario, ...]:
    """Return the scenarios of a process folder, or of every process folder in a library, by path."""
    return tuple(read_scenario(f) for f in sorted(path.glob("scenarios/*.json")) + sorted(path.glob("*/scenarios/*.json")))


def library_of(path: Path) -> Path:
    """Return the folder that holds the process folders, given it or one of them."""
    return path.parent if any(path.glob("*.bpmn")) else path


def read_library(path: Path) -> dict[str, bytes]:
    """Return ``{relative path: bytes}`` of everything deployable below `path`: diagrams, forms, decisions."""
    return {
        str(f.relative_to(path)): f.read_bytes() for f in sorted(path.rglob("*")) if f.suffix in (".bpmn", ".form", ".dmn") and f.is_file()
    }


def rehearse(
    library: Path, scenarios: tuple[Scenario, ...], *, handlers: HandlerRegistry = REGISTRY, said: Callable[[Run], None] = lambda run: None,
    workers: int = 1,
) -> Report:
    """Run the scenarios, each in a scratch database of its own, and say what they covered.

    Args:
        library: folder of process folders; all of it is deployed.
        said: called with each finished run, for progress, in the order of the scenarios.
        workers: processes that share the scenarios out, where processes can be forked.
    """
    files = read_library(library)
    runs = []
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        stages = _Stages(Path(folder), files, handlers)
        for run in _run_all(stages, scenarios, workers):
            runs.append(run)
            said(run)
    return Report(runs=tuple(runs), coverage=coverage_of(files, runs))


def _run_all(stages: _Stages, scenarios: tuple[Scenario, ...], workers: int) -> Iterator[Run]:
    if workers < 2 or len(scenarios) < 2 or "fork" not in multiprocessing.get_all_start_methods():
        for scenario in scenarios:
            yield stages.run(scenario)
        return
    for clock in {scenario.clock for scenario in scenarios}:
        stages.at(clock)  # made here, the processes find them there
    with ProcessPoolExecutor(min(workers, len(scenarios)), multiprocessing.get_context("fork"), _take, (stages,)) as pool:
        yield from pool.map(_run_one, scenarios)


_taken: list[_Stages] = []


def _take(stages: _Stages) -> None:
    """Let a process of the pool know where it runs scenarios: forked, it has them already, nothing is copied."""
    _taken[:] = [stages]


def _run_one(scenario: Scenario) -> Run:
    return _taken[0].run(scenario)


class _Stages:
    """Houses with the library deployed, one for each instant at which scenarios begin; a scenario plays in a copy.

    Checking and deploying a library takes longer than most scenarios.
    """

    def __init__(self, folder: Path, files: Mapping[str, bytes], handlers: HandlerRegistry) -> None:
        self._folder, self._files, self._handlers = folder, files, handlers
        self._made: dict[datetime, Path | EngineError] = {}
        self.names = _names(files)

    def at(self, clock: datetime) -> Path | EngineError:
        """Return the data folder of a house at an instant, or why the library cannot be deployed."""
        if clock not in self._made:
            place = self._folder / str(len(self._made))
            engine = self.open(place, MovableClock(clock))
            try:
                engine.people.make_cast()
                engine.deployments.deploy(SYSTEM, self._files, "rehearsal")
                self._made[clock] = place
            except EngineError as error:
                self._made[clock] = error
            finally:
                engine.close()
        return self._made[clock]

    def open(self, place: Path, clock: MovableClock) -> Engine:
        settings = read_settings({}, data=place, synchronous="NORMAL", database=place / "rehearsal.db")
        return open_engine(settings, clock=clock, handlers=self._handlers, dispatching=False)

    def run(self, scenario: Scenario) -> Run:
        made = self.at(scenario.clock)
        if isinstance(made, EngineError):
            return Run(
                name=scenario.name, title=scenario.title, process=str(scenario.start.get("process", "")),
                failure=f"step 0 {json.dumps({'start': scenario.start}, ensure_ascii=False)[:160]}: {made.text('en')}{_problems(made)}",
            )
        with tempfile.TemporaryDirectory(prefix="rehearsal-") as scratch:
            place = Path(scratch) / "data"
            shutil.copytree(made, place)
            clock = MovableClock(scenario.clock)
            return _Rehearsal(scenario, self.open(place, clock), clock, self.names).run()


def _problems(error: EngineError) -> str:
    problems = getattr(error, "problems", None)
    return " " + "; ".join(f"{path}: {texts[1]}" for path, texts in problems.items()) if isinstance(problems, dict) else ""


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=_ZONE)


class _Failed(Exception):
    """A step did not go as the scenario says."""


class _Rehearsal:
    def __init__(self, scenario: Scenario, engine: Engine, clock: MovableClock, names: Mapping[tuple[str, str], str]) -> None:
        self.scenario = scenario
        self.engine = engine
        self.clock = clock
        self.names = names
        self.result = Run(name=scenario.name, title=scenario.title, process=str(scenario.start.get("process", "")))
        self.id: InstanceId | None = None  #: of the instance that a step is about
        self.watched: list[InstanceId] = []  #: all that the scenario is about, that of `start` first

    def run(self) -> Run:
        step: Mapping[str, Any] = {"start": self.scenario.start}
        number = 0
        try:
            self.start(self.scenario.start)
            for number, step in enumerate(self.scenario.steps, 1):  # noqa: B007  the failure names it
                self.step(step)
            step, number = {"expect": self.scenario.expect}, number + 1
            self.settle()
            self.watch(None)
            self.expect(self.scenario.expect)
            self.result.passed = True
        except (_Failed, EngineError) as error:
            detail = str(error) if not isinstance(error, EngineError) else error.text("en") + _problems(error)
            self.result.failure = f"step {number} {json.dumps(step, ensure_ascii=False)[:160]}: {detail}"
        finally:
            try:
                self.observe()
            finally:
                self.engine.close()
        return self.result

    # -- people
    def actor(self, step: Mapping[str, Any], key: str = "by") -> Actor:
        name = str(step.get(key) or "")
        role, slash, number = name.partition("/")
        if role not in GROUPS or (slash and not (number.isdecimal() and 1 < int(number) < 100)):
            raise _Failed(f"“by” must be a role id, or one and the number of a further person (role/2), not {name!r}")
        return Actor(id=f"{role}_{int(number)}" if slash else role, name=_person(name), groups=frozenset({role}))

    # -- steps
    def start(self, start: Mapping[str, Any]) -> None:
        """Start by hand, or with `message` by a message start event as another system would."""
        business_key = str(start.get("business_key") or f"rehearsal-{self.scenario.name}")
        values = self.values(start.get("values") or {})
        if "message" in start:
            self.id = self.engine.messages.correlate(SYSTEM, str(start["message"]), values, correlation_key=business_key, raw=True)
        else:
            instance = self.engine.instances.start(
                self.actor(start), str(start["process"]), values, business_key=business_key, title=self.scenario.title
            )
            self.id = instance.id
        if self.id is not None:
            self.watched.append(self.id)
        self.settle()

    def watch(self, pool: Any) -> None:
        """Let what follows be about an instance of another process, by its key or ``[key, number]``; None: that of `start`."""
        if pool is None:
            self.id = self.watched[0] if self.watched else None
            return
        key, number = (pool, None) if isinstance(pool, str) else (pool[0], int(pool[1]))
        found = sorted(i.id for i in self.engine.instances.list(SYSTEM, key=str(key), limit=200).items)
        if not found or (number is not None and not 0 < number <= len(found)):
            raise _Failed(f"of the process {key} {len(found)} instances were started, so there is no {pool}")
        self.id = found[-1 if number is None else number - 1]
        if self.id not in self.watched:
            self.watched.append(self.id)

    @property
    def instance(self) -> InstanceId:
        if self.id is None:
            raise _Failed("nothing was started")
        return self.id

    def step(self, step: Mapping[str, Any]) -> None:
        verbs: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "complete": self.complete, "claim": self.claim, "advance": self.advance, "advance_to": self.advance,
            "message": self.message, "set": self.set_variables, "retry": self.retry,
            "expect": lambda s: self.expect(s["expect"]),
            "cancel": lambda s: self.engine.instances.cancel(self.actor(s), self.instance, str(s["cancel"])),
            "suspend": lambda s: self.engine.instances.suspend(self.actor(s), self.instance, str(s["suspend"])),
            "resume": lambda s: self.engine.instances.resume(self.actor(s), self.instance),
        }
        verb = next((v for v in verbs if v in step), None)
        if verb is None:
            raise _Failed(f"unknown step; use one of {', '.join(verbs)}")
        wanted = step.get("refused")
        self.watch(step.get("in"))
        try:
            verbs[verb](step)
        except EngineError as error:
            if wanted != error.code:
                raise
        except _Failed:
            # A task that is gone was closed: nothing can be submitted any more.
            if wanted not in ("task_not_open", "task_too_late") or verb not in ("complete", "claim"):
                raise
        else:
            if wanted is not None:
                raise _Failed(f"should have been refused with {wanted}, but was accepted")
        self.settle()

    def task(self, name: str, token: int | None = None) -> UserTask:
        found = [t for t in self.tasks() if f"{t.process}.{t.element}" == name]
        if not found:
            raise _Failed(f"{name} is not open; open are: {', '.join(sorted(self.open())) or 'none'}")
        return min(found, key=lambda t: t.token)

    def tasks(self) -> tuple[UserTask, ...]:
        return tuple(t for t in self.engine.tasks.of_instance(SYSTEM, self.instance) if t.state == "open")

    def open(self) -> set[str]:
        return {f"{t.process}.{t.element}" for t in self.tasks()}

    def complete(self, step: Mapping[str, Any]) -> None:
        task, actor = self.late_task(step), self.actor(step)
        for path, names in (step.get("files") or {}).items():
            for name in names if isinstance(names, list) else [names]:
                content = io.BytesIO(f"%PDF-1.4\n% rehearsal {name}\n".encode())
                self.engine.tasks.attach(actor, task.id, path, name, "application/pdf", content)
        self.engine.tasks.complete(actor, task.id, self.values(step.get("values") or {}, task.token))

    def late_task(self, step: Mapping[str, Any]) -> UserTask:
        """The task named, open or, for a step that expects a refusal, the last one of that name."""
        name = str(step["complete"])
        if "refused" not in step or name in self.open():
            return self.task(name)
        found = [t for t in self.engine.tasks.of_instance(SYSTEM, self.instance) if f"{t.process}.{t.element}" == name]
        if not found:
            raise _Failed(f"{name} was never created")
        return max(found, key=lambda t: t.token)

    def claim(self, step: Mapping[str, Any]) -> None:
        self.engine.tasks.claim(self.actor(step), self.task(str(step["claim"])).id)

    def advance(self, step: Mapping[str, Any]) -> None:
        """Let time pass, stopping at every due job so that what follows from one is there before the next."""
        if "advance_to" in step:
            end = self.value(step["advance_to"])
            end = _aware(end if isinstance(end, datetime) else datetime.fromisoformat(str(end)))
        else:
            moved = compile_expression(f'now() + duration("{step["advance"]}")').evaluate({}, self.clock.now()).value
            if not isinstance(moved, datetime):
                raise _Failed(f"{step['advance']} is no ISO 8601 duration")
            end = moved
        if end < self.clock.now():
            raise _Failed(f"the clock is at {self.clock.now():%Y-%m-%d %H:%M} already")
        self.engine.jobs.run_due()
        while (due := self.engine.jobs.next_due_at()) is not None and due <= end:
            self.clock.move_to(max(due, self.clock.now()))
            if not self.engine.jobs.run_due():
                self.clock.advance(seconds=1)
        self.clock.move_to(max(end, self.clock.now()))

    def message(self, step: Mapping[str, Any]) -> None:
        name, actor = str(step["message"]), self.actor(step)
        found = [s for s in self.engine.messages.expected(actor, self.instance) if s.name == name]
        if not found:
            everything = {s.name for s in self.engine.messages.expected(SYSTEM, self.instance)}
            raise _Failed(f"{actor.id} cannot send the message {name} now; expected are: {', '.join(sorted(everything)) or 'none'}")
        self.engine.messages.send(actor, self.instance, found[0].token, self.values(step.get("values") or {}))

    def set_variables(self, step: Mapping[str, Any]) -> None:
        self.engine.instances.set_variables(SYSTEM, self.instance, self.values(step["set"]), "rehearsal")

    def retry(self, step: Mapping[str, Any]) -> None:
        found = [i for i in self.engine.jobs.of_instance(SYSTEM, self.instance) if i.resolved_at is None and f"{i.process}.{i.element}" == step["retry"]]
        if not found:
            raise _Failed(f"no open incident at {step['retry']}")
        self.engine.jobs.retry(SYSTEM, found[0].id, self.values(step.get("values") or {}), "rehearsal")

    def settle(self) -> None:
        """Run what is due now, until nothing is."""
        for _ in range(1000):
            if not self.engine.jobs.run_due():
                return
        raise _Failed("jobs follow each other without end")

    # -- values
    def values(self, raw: Mapping[str, Any], seen_from: TokenId | None = None) -> dict[str, Any]:
        """Return what a scenario writes. `seen_from`: the token whose variables expressions see; None: those of the instance."""
        return {key: self.value(value, seen_from) for key, value in raw.items()}

    def value(self, raw: Any, seen_from: TokenId | None = None) -> Any:
        if isinstance(raw, str) and raw.startswith("="):
            variables: Values = self.engine.instances.variables(SYSTEM, self.id, seen_from) if self.id is not None else {}
            result = compile_expression(raw).evaluate(variables, self.clock.now(), calendar=calendar)
            if result.value is None:
                raise _Failed(f"{raw} gives null: {'; '.join(result.reasons)}")
            return result.value
        if isinstance(raw, list):
            return [self.value(item, seen_from) for item in raw]
        if isinstance(raw, dict):
            return self.values(raw, seen_from)
        return raw

    # -- expectations
    def expect(self, wanted: Mapping[str, Any]) -> None:
        instance, opened = self.engine.instances.get(SYSTEM, self.instance), self.open()
        if unknown := set(wanted) - {"pools", "open", "not_open", "only_open", "variables", "status", "outcome", "ends", "not_ends", "incidents", "note"}:
            raise _Failed(f"unknown expectation {', '.join(sorted(unknown))}")
        processes = {name.partition(".")[0] for name in opened}  # a name without an element is any task of a process
        for name in wanted.get("open", ()):
            if name not in opened and name not in processes:
                raise _Failed(f"{name} should be open; open are: {', '.join(sorted(opened)) or 'none'}{self.incident_text()}")
        for name in wanted.get("not_open", ()):
            if name in opened or name in processes:
                raise _Failed(f"{name} should not be open")
        if "only_open" in wanted and set(wanted["only_open"]) != opened:
            raise _Failed(f"open are {', '.join(sorted(opened)) or 'none'}{self.incident_text()}")
        if "status" in wanted and instance.status != wanted["status"]:
            raise _Failed(f"the instance is {instance.status}, open are: {', '.join(sorted(opened)) or 'none'}{self.incident_text()}")
        if "outcome" in wanted and instance.outcome != wanted["outcome"]:
            raise _Failed(f"the outcome is {instance.outcome!r}")
        if "variables" in wanted:
            present = self.engine.instances.variables(SYSTEM, self.instance)
            for name, value in self.values(wanted["variables"]).items():
                if _plain(present.get(name)) != _plain(value):
                    raise _Failed(f"{name} is {present.get(name)!r}")
        if "incidents" in wanted:
            found = sorted(f"{i.process}.{i.element}" for i in self.incidents())
            if found != sorted(wanted["incidents"]):
                raise _Failed(f"open incidents: {', '.join(found) or 'none'}")
        elif wanted.get("status") == InstanceStatus.COMPLETED and self.incidents():
            raise _Failed("it completed with open incidents" + self.incident_text())
        reached = {f"{e.event.process}.{e.event.element}" for e in self.history() if isinstance(e.event, ActivityStarted)}
        for name in wanted.get("ends", ()):
            if name not in reached:
                raise _Failed(f"{name} was not reached")
        for name in wanted.get("not_ends", ()):
            if name in reached:
                raise _Failed(f"{name} was reached")
        for pool, of_it in wanted.get("pools", {}).items():
            self.watch(pool)
            self.expect(of_it)
            self.watch(None)

    def incidents(self) -> list[Any]:
        return [i for i in self.engine.jobs.of_instance(SYSTEM, self.instance) if i.resolved_at is None]

    def incident_text(self) -> str:
        found = self.incidents()
        return "".join(f"; incident at {i.process}.{i.element}: {i.message}" for i in found)

    # -- what happened
    def history(self) -> tuple[Recorded, ...]:
        return self.engine.instances.history(SYSTEM, self.instance)

    def observe(self) -> None:
        if not self.watched:
            return
        self.result.outcome = self.engine.instances.get(SYSTEM, self.watched[0]).outcome
        names = self.names
        history = [record for id in self.watched for record in self.engine.instances.history(SYSTEM, id)]
        self.result.event_count = len(history)
        pools = {id: self.engine.instances.get(SYSTEM, id).name for id in self.watched[1:]}
        for record in sorted(history, key=lambda record: record.at):  # of one instant as they are: stable
            event, pool = record.event, pools.get(record.instance_id)
            if isinstance(event, ActivityStarted):
                self.result.covered.add((event.process, event.element))
            elif isinstance(event, FlowTaken):
                self.result.covered.add((event.process, event.flow))
            if text := _sentence(event, names):
                who = _person(record.actor)
                text = text if pool is None else f"[{pool}] {text}"
                self.result.timeline.append(Line(at=record.at.astimezone(_ZONE), who=who, text=text))


def _person(actor: str) -> str:
    """Return what the timeline calls an actor: the role, with a number from the second person on."""
    found = re.fullmatch(r"(\w+?)(?:[/_]([0-9]+))?", actor)
    role = None if found is None else GROUPS.get(found[1])
    return "系统" if found is None or role is None else role.zh + (found[2] or "")


def _plain(value: Any) -> Any:
    """Instants compare as instants, everything else as its JSON form."""
    if isinstance(value, datetime):
        return _aware(value).astimezone(ZoneInfo("UTC")).isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, str):
        try:
            return _plain(datetime.fromisoformat(value)) if "T" in value else value
        except ValueError:
            return value
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, (bool, int)) else str(value)


def _sentence(event: Event, names: Mapping[tuple[str, str], str]) -> str:
    """Return a Chinese sentence for the timeline, or "" for what would only crowd it."""
    name = names.get((getattr(event, "process", ""), getattr(event, "element", "")), getattr(event, "element", ""))
    match event:
        case InstanceStarted():
            return f"启动流程 {event.process}"
        case InstanceCompleted():
            return f"流程结束：{event.outcome}"
        case InstanceCancelled():
            return f"流程取消：{event.reason}"
        case InstanceSuspended():
            return "流程挂起"
        case ScopeSuspended():
            return f"{name}:其余部分挂起"
        case ScopeResumed():
            return f"{name}结束，不再挂起其余部分"
        case UserTaskCreated():
            return f"  待办：{name}"
        case UserTaskCompleted():
            return f"完成 {name}"
        case TimerFired():
            return f"定时：{name}" + (" (迟到)" if event.late else "")
        case MessageCorrelated():
            return f"收到消息 {event.name}:{name}"
        case IncidentOpened():
            return f"异常 {name}:{event.message}"
        case ErrorThrown():
            return f"业务错误 {event.code}:{name}"
    return ""


# ---------------------------------------------------------------------------------------------------------------- coverage
def _diagrams(files: Mapping[str, bytes]) -> Iterator[tuple[str, etree._Element]]:
    """Give ``(process key, process element)`` of every executable process."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    for name, data in files.items():
        if name.endswith(".bpmn"):
            for process in etree.fromstring(data, parser).iter(f"{BPMN}process"):
                yield process.get("id", ""), process


def _names(files: Mapping[str, bytes]) -> dict[tuple[str, str], str]:
    return {
        (key, el.get("id", "")): el.get("name", "") or el.get("id", "")
        for key, process in _diagrams(files) for el in process.iter() if isinstance(el.tag, str) and el.get("id")
    }


def coverage_of(files: Mapping[str, bytes], runs: list[Run]) -> Coverage:
    """Return what the runs covered of the processes that they entered."""
    covered: set[tuple[str, str]] = set().union(*(run.covered for run in runs)) if runs else set()
    entered = {key for key, _ in covered}
    nodes: set[tuple[str, str]] = set()
    flows: set[tuple[str, str]] = set()
    for key, process in _diagrams(files):
        if key in entered:
            for el in process.iter():
                if isinstance(el.tag, str) and el.tag.startswith(BPMN):
                    kind = el.tag[len(BPMN) :]
                    if kind in _FLOW_NODES:
                        nodes.add((key, el.get("id", "")))
                    elif kind == "sequenceFlow":
                        flows.add((key, el.get("id", "")))
    return Coverage(
        nodes=len(nodes), nodes_covered=len(nodes & covered), flows=len(flows), flows_covered=len(flows & covered),
        missing=tuple(sorted(f"{key}.{element}" for key, element in (nodes | flows) - covered)),
    )
