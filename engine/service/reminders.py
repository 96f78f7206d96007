"""When people are reminded of a user task: half-way, four hours before it is due, when it is overdue, and a working day later.

A task carries the time of its next reminder; after a standstill only the latest that was missed is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.calendar import add_working_days

SOON = timedelta(hours=4)
#: Told when a task is overdue, beside the people it is for.
SUPERVISORS = "presale_manager"
#: Told a working day after that.
OWNERS = "process_owner"


@dataclass(frozen=True, slots=True)
class Reminder:
    stage: str
    at: datetime


def schedule(created_at: datetime, due_at: datetime | None, zone: str) -> Iterator[Reminder]:
    """Give the reminders of a task in their order; none without a due date.

    Half-way is left out when it would not come before the four hours, those four hours when the task is younger than that.
    """
    if due_at is None:
        return
    soon, half = due_at - SOON, created_at + (due_at - created_at) / 2
    if soon > created_at:
        if half < soon:
            yield Reminder("half", half)
        yield Reminder("due_soon", soon)
    yield Reminder("overdue", due_at)
    yield Reminder("overdue_owner", add_working_days(due_at, 1, zone))


def first(created_at: datetime, due_at: datetime | None, zone: str) -> Reminder | None:
    """Return the first reminder of a new task."""
    return None if due_at is None else next(schedule(created_at, due_at, zone))


def after(now: datetime, created_at: datetime, due_at: datetime | None, zone: str) -> Reminder | None:
    """Return the next reminder whose time has not come yet."""
    return next((r for r in schedule(created_at, due_at, zone) if r.at > now), None)


def latest(now: datetime, created_at: datetime, due_at: datetime | None, zone: str) -> Reminder | None:
    """Return the last reminder whose time has come: the one to tell."""
    return next((r for r in reversed(tuple(schedule(created_at, due_at, zone))) if r.at <= now), None)
