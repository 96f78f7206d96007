"""Every public command is counted, timed and told on standard error; what it wrote is counted once it is committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from engine import events as e
from engine.clock import stopwatch
from engine.errors import EngineError
from engine.events import Event
from engine.logs import tell
from engine.metrics import Metrics
from engine.model import Actor

if TYPE_CHECKING:
    from engine.service.runtime import Runtime

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger("psmflow.commands")


class _Part(Protocol):
    @property
    def _runtime(self) -> Runtime: ...


S = TypeVar("S", bound=_Part)


@dataclass(slots=True)
class _Running:
    """The command that this thread carries out. `instance`: the last one that it changed."""

    instance: int | None = None


_running: ContextVar[_Running | None] = ContextVar("running", default=None)


def observed(command: str) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Count, time and tell a public command; one that it gives in turn is a part of it."""

    def wrap(call: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        @wraps(call)
        def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if _running.get() is not None:
                return call(self, *args, **kwargs)
            running, elapsed = _Running(), stopwatch()
            before = _running.set(running)
            outcome = "done"
            problem: Exception | None = None
            try:
                return call(self, *args, **kwargs)
            except EngineError as error:
                outcome, problem = error.code, error if error.status >= 500 else None
                raise
            except Exception as error:
                outcome, problem = "failed", error
                raise
            finally:
                _running.reset(before)
                seconds = elapsed()
                self._runtime.metrics.commands.add(command, outcome, seconds)
                level = logging.INFO if problem is None else logging.ERROR
                if _log.isEnabledFor(level):
                    actor = next((a for a in (*args, *kwargs.values()) if isinstance(a, Actor)), None)
                    tell(
                        _log, level, "command", problem, command=command, outcome=outcome,
                        actor=None if actor is None else actor.id, instance=None if running.instance is None else str(running.instance),
                        ms=round(seconds * 1000, 2),
                    )  # fmt: skip

        return run

    return wrap


#: Facts that count or tell more than their own number.
_LOOKED_AT = frozenset([
    e.TimerFired, e.JobFailed, e.JobCancelled, e.NotificationSent, e.NotificationFailed, e.IncidentOpened,
])  # fmt: skip


def touched(instance_id: int) -> None:
    """The command that this thread carries out is about this instance."""
    running = _running.get()
    if running is not None:
        running.instance = instance_id


def written(metrics: Metrics, instance_id: int, events: Collection[Event], at: datetime) -> None:
    """Count what one turn wrote, and tell what somebody has to look at. Called after the commit."""
    metrics.events.add(events)
    kinds = list(map(type, events))
    if done := kinds.count(e.JobCompleted):
        metrics.jobs_completed.inc(done)
    looked_at = () if _LOOKED_AT.isdisjoint(kinds) else [event for event in events if type(event) in _LOOKED_AT]
    for event in looked_at:
        match event:
            case e.TimerFired():
                metrics.jobs.labels("timer", "completed").inc()
                metrics.timer_late.observe(max(0.0, (at - event.due_at).total_seconds()))
            case e.JobFailed():
                again = event.retry_at is not None
                metrics.jobs.labels("service", "retried" if again else "failed").inc()
                tell(
                    _log, logging.WARNING, "job_failed", instance=str(instance_id), process=event.process, element=event.element,
                    job_type=event.job_type, attempt=event.attempt, retry_at=event.retry_at,
                )  # fmt: skip
            case e.JobCancelled():
                metrics.jobs.labels("service", "cancelled").inc()
            case e.NotificationSent():
                metrics.notifications.labels(event.channel, "sent").inc()
            case e.NotificationFailed():
                metrics.notifications.labels(event.channel, "failed").inc()
            case e.IncidentOpened():
                tell(
                    _log, logging.WARNING, "incident", instance=str(instance_id), process=event.process, element=event.element,
                    kind=event.kind,
                )  # fmt: skip
