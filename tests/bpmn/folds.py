"""The log folded into where the tokens are: what a replay page does. Tests compare it with the live state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine import events as log
from engine.bpmn import Definition, open_elements


@dataclass
class Folded:
    """`at`: ``{token: element}`` of tokens that are somewhere; `on_flow`: those that left a node and have not begun the next."""

    at: dict[int, str] = field(default_factory=dict)
    on_flow: dict[int, str] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    tasks: dict[int, str] = field(default_factory=dict)
    jobs: dict[int, str] = field(default_factory=dict)
    timers: dict[int, list[object]] = field(default_factory=dict)
    incidents: dict[int, str] = field(default_factory=dict)
    suspenders: dict[int, int | None] = field(default_factory=dict)
    variables: dict[int | None, dict[str, object]] = field(default_factory=dict)

    def apply(self, event: log.Event) -> None:
        match event:
            case log.InstanceStarted():
                self.variables[None] = dict(event.variables)
            case log.ActivityStarted():
                assert event.token not in self.at, f"{event.element} begins twice"
                assert event.token not in self.ended, f"{event.element} begins after its end"
                self.on_flow.pop(event.token, None)
                self.at[event.token] = event.element
            case log.ActivityCompleted() | log.ActivityCancelled():
                assert event.token in self.at or event.token in self.on_flow, f"{event.element} ends without having begun"
                self.at.pop(event.token, None)
                self.on_flow.pop(event.token, None)
                self.ended.add(event.token)
            case log.FlowTaken():
                assert event.token in self.ended, f"{event.flow} is taken before {event.element} is completed"
                assert event.to_token not in self.at
                self.on_flow[event.to_token] = event.flow
            case log.TokenJoined():
                assert event.token in self.on_flow, f"{event.element} joins a token that did not arrive"
                del self.on_flow[event.token]
                self.ended.add(event.token)
            case log.UserTaskCreated():
                self.tasks[event.token] = event.element
            case log.UserTaskCompleted() | log.UserTaskCancelled():
                del self.tasks[event.token]
            case log.JobCreated():
                self.jobs[event.token] = event.element
            case log.JobCancelled() | log.JobCompleted():
                self.jobs.pop(event.token, None)
            case log.TimerScheduled():
                self.timers.setdefault(event.token, []).append(event.due_at)
            case log.TimerMoved():
                self.timers[event.token].remove(event.was)
                self.timers[event.token].append(event.due_at)
            case log.TimerFired() | log.TimerCancelled():
                self.timers[event.token].remove(event.due_at)
                if not self.timers[event.token]:
                    del self.timers[event.token]
            case log.IncidentOpened():
                assert event.token not in self.incidents
                self.incidents[event.token] = event.kind
            case log.IncidentResolved():
                del self.incidents[event.token]
            case log.ScopeSuspended():
                assert self.at[event.token] == event.element
                assert event.token not in self.suspenders
                self.suspenders[event.token] = event.scope
            case log.ScopeResumed():
                assert self.suspenders.pop(event.token) == event.scope
            case log.VariablesChanged():
                self.variables.setdefault(event.scope, {}).update(event.values)


def fold(events: Iterable[log.Event]) -> Folded:
    folded = Folded()
    for event in events:
        folded.apply(event)
    return folded


def check_against(folded: Folded, definition: Definition, state: bytes) -> None:
    """The log says where every live token is, and of no other."""
    live = open_elements(definition, state)
    tokens = {e.token: e.element for e in live if not e.is_subscription and e.state != "parked"}
    parked = {e.token for e in live if e.state == "parked"}
    known = {**folded.at, **{token: tokens.get(token, "?") for token in folded.on_flow}}
    assert {t: e for t, e in known.items() if t not in parked} == tokens
    assert folded.tasks == {e.token: e.element for e in live if e.kind == "userTask" and e.state == "ready"}
    assert set(folded.incidents) == parked | {e.token for e in live if e.state == "stuck"}
