"""An instance that is watched at every command: kept in memory as well as reloaded, its indexes scanned, its log folded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine import events as log
from engine.bpmn import Definition, Run, open_elements
from engine.bpmn import state as states
from engine.bpmn.data import Scope
from engine.bpmn.index import ScopeIndex, facts
from engine.bpmn.spiff import WAITING
from engine.bpmn.workflow import Workflow
from engine.errors import EngineError
from engine.model import Command, InstanceStatus, Step, Subscription, Timer, TokenId
from tests.bpmn.folds import Folded, check_against
from tests.bpmn.play import Instance, Play


class Kept(Instance):
    """Kept awake by a run beside the one that is loaded for each command: both must be the same, their indexes equal a full scan."""

    def __init__(self, definition: Definition) -> None:
        super().__init__(definition)
        self._run: tuple[datetime, Run] | None = None  #: stays awake from command to command
        self._moves = 0  #: of the clock
        self._loaded: tuple[tuple[Timer, ...], tuple[Subscription, ...]] = ((), ())  #: as that run found them

    def advance(self, command: Command, at: datetime) -> Step:
        warm, refused = self._in_the_run(command, at)
        if refused is not None:
            with pytest.raises(type(refused)) as found:
                super().advance(command, at)
            assert str(found.value) == str(refused)
            raise found.value
        step = super().advance(command, at)
        assert self.state is not None
        assert self._run is not None
        assert warm is not None
        self._same(warm, step)
        self._changes_lead_here(warm)
        for workflow in (self._run[1].awake(), states.load(self.definition, self.state, at.astimezone(UTC))):
            check_indexes(workflow)
        return step

    def _in_the_run(self, command: Command, at: datetime) -> tuple[Step | None, EngineError | None]:
        """Give the command to the run that the commands before it went to; after a move of the clock it goes on there, or begins anew."""
        if self._run is None or self._run[0] != at:
            if self._run is None or self.state is None or self._moves % 4 == 3:
                self._run = at, Run(self.definition, self.state, at)
            else:
                self._run[1].go_on(self.state, at)
                self._run = at, self._run[1]
            self._moves += 1
            self._loaded = (self.step.timers, self.step.subscriptions) if self.step is not None else ((), ())
        try:
            return self._run[1].do(command), None
        except EngineError as error:
            return None, error

    @staticmethod
    def _same(warm: Step, cold: Step) -> None:
        """Saving and reloading changes nothing."""
        assert warm.state == cold.state
        assert list(warm.events) == list(cold.events)
        assert (warm.jobs, warm.thrown, warm.status, warm.outcome, warm.suspended) == (
            cold.jobs, cold.thrown, cold.status, cold.outcome, cold.suspended)
        assert (warm.timers, warm.subscriptions) == (cold.timers, cold.subscriptions)

    def _changes_lead_here(self, step: Step) -> None:
        """What a step says of timers and subscriptions that changed, put in place of what there was, gives those that are there."""
        loaded: tuple[Any, ...]
        changes: dict[Any, Any]
        now: tuple[Any, ...]
        for loaded, changes, now in zip(  # type: ignore[assignment]
            self._loaded, (step.timer_changes, step.subscription_changes), (step.timers, step.subscriptions), strict=True
        ):
            kept: dict[TokenId, tuple[Any, ...]] = {}
            for each in (*loaded, *now):
                kept.setdefault(each.token, ())
            for each in loaded:
                kept[each.token] += (each,)
            kept |= changes
            assert kept == {token: tuple(each for each in now if each.token == token) for token in kept}
        assert all(
            token not in {timer.token for timer in self._loaded[0]} or
            timers != tuple(timer for timer in self._loaded[0] if timer.token == token) for token, timers in step.timer_changes.items())


class Watched(Kept):
    """Checks the laws of the log as well."""

    def __init__(self, definition: Definition) -> None:
        super().__init__(definition)
        self.folded = Folded()
        self.made: set[int] = set()
        self.ended: list[int] = []

    def advance(self, command: Command, at: datetime) -> Step:
        step = super().advance(command, at)
        for event in step.events:
            assert isinstance(event, log.Event)
            self.folded.apply(event)
        if self.status in (InstanceStatus.ACTIVE, InstanceStatus.SUSPENDED):
            self._log_is_live()
        return step

    def _log_is_live(self) -> None:
        """Replaying the events gives the live state; no token is lost or doubled."""
        assert self.state is not None
        assert self.step is not None
        check_against(self.folded, self.definition, self.state)
        dues = sorted((token, due) for token, found in self.folded.timers.items() for due in found)  # type: ignore[type-var]
        assert dues == sorted((timer.token, timer.due_at) for timer in self.step.timers)
        for event in self.step.events:
            if isinstance(event, log.FlowTaken):
                self.made.add(event.to_token)
            elif isinstance(event, log.ActivityStarted):
                self.made.add(event.token)
            elif isinstance(event, log.ActivityCompleted | log.ActivityCancelled | log.TokenJoined):
                self.ended.append(event.token)
        assert len(self.ended) == len(set(self.ended))
        live = {e.token for e in open_elements(self.definition, self.state) if not e.is_subscription}
        assert self.made - set(self.ended) == live
        workflow = states.load(self.definition, self.state, datetime(2026, 1, 1, tzinfo=UTC))
        for id, values in self.folded.variables.items():
            scopes = scopes_of(workflow, id)
            for name, value in values.items() if scopes else ():
                assert next(scope.own(name) for scope in scopes if scope.has(name)) == value


class KeptPlay(Play):
    kind = Kept


class WatchedPlay(Play):
    kind = Watched

    @property
    def first(self) -> Watched:
        instance = self.instances[0]
        assert isinstance(instance, Watched)
        return instance


def scopes_of(workflow: Workflow, id: int | None) -> list[Scope]:
    """The live variables that the log names by this token: of the sub-process and of the loop instance that runs it."""
    if id is None:
        return [workflow.scope]
    found = [workflow.subprocesses[id].scope] if id in workflow.subprocesses else []
    token = workflow.find(id)
    if token is not None and token.data.id == id:
        found.append(token.data)
    return found if token is not None else []


def check_indexes(workflow: Workflow) -> None:
    """The indexes equal a full scan. Wakes nothing that a later command could notice."""
    workflow.refresh()
    timers: list[Any] = []
    messages: dict[Any, Any] = {}
    signals: dict[Any, str] = {}
    for scope in workflow.scopes():
        scanned = ScopeIndex()
        scanned.at = {}
        hosts: dict[int, list[int]] = {}
        owners: dict[int, list[int]] = {}
        assert list(scope.tasks) == sorted(scope.tasks)
        for token in scope.tasks.values():
            fact = facts(token)
            assert token.facts == fact
            assert workflow.find(token.id) is token
            scanned.add(token.id, token.task_spec.name, fact)
            timers += [(due, token.id, n, host) for n, due, host in fact.timers]
            messages.update({(token.id, n): (name, key) for n, name, key in fact.messages})
            signals.update({(token.id, n): name for n, name in fact.signals})
            if "host" in token.internal_data:
                hosts.setdefault(token.internal_data["host"], []).append(token.id)
            if "owner" in token.internal_data:
                owners.setdefault(token.internal_data["owner"], []).append(token.id)
            assert (token._state == WAITING and "waits" in token.internal_data) == ("waits" in token.internal_data)
        assert scope.index.count == scanned.count
        assert scope.index.joins == scanned.joins
        assert scope.index.forks == scanned.forks
        assert scope.tokens_by_node() == scanned.at
        assert scope.is_alive() == any(not scope.is_dormant(token) for token in scope.tasks.values())
        for token in scope.tasks.values():
            assert [t.id for t in scope.subscriptions(token)] == hosts.get(token.id, [])
            if token.task_spec.is_host:
                assert token.internal_data.get("instances", []) == owners.get(token.id, [])
        if scope is not workflow:
            assert scope.host.id in scope.host.workflow.tasks or scope.host.id in scope.host.workflow.kept
    assert workflow.waits.timers() == sorted(timers)
    assert workflow.waits.subscriptions() == sorted([*messages, *signals])
    assert all(workflow.waits.message(place) == found for place, found in messages.items())
    assert all(workflow.waits.signal(place) == found for place, found in signals.items())
    for name, key in set(messages.values()):
        assert workflow.waits.for_message(name, key) == sorted(
            p for p, found in messages.items() if found in ((name, key), (name, None)))
    for name in set(signals.values()):
        assert workflow.waits.for_signal(name) == sorted(p for p, found in signals.items() if found == name)
