"""What this process has written last, as the next command on one of those user tasks would read it.

Most completions follow another command on the same instance in the same process within the hour: its rows need not be asked for
again, nor its state be read. Nothing here is believed: what follows is written only if the instance still has the version and head
that it was worked out from, and a refusal is looked up before it is told (`Runtime`). Others who change an instance, another process
or a person with a database tool, make what is here old, never wrong.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from engine import events as e
from engine.bpmn import Run
from engine.events import Event
from engine.model import InstanceStatus, TokenId
from engine.store.instances import InstanceRow
from engine.store.tasks import Found

#: Facts after which rows of user tasks are known: they say of these rows all there is, or nothing.
_KNOWN = frozenset([
    e.InstanceStarted, e.ActivityStarted, e.ActivityCompleted, e.ActivityCancelled, e.FlowTaken, e.TokenJoined, e.VariablesChanged,
    e.UserTaskCreated, e.UserTaskClaimed, e.UserTaskAssigned, e.UserTaskReleased, e.UserTaskCompleted, e.UserTaskCancelled,
    e.JobCreated, e.JobCompleted, e.TimerScheduled, e.TimerCancelled, e.TimerFired, e.DecisionEvaluated, e.ExpressionWasNull,
    e.WriteConflicted, e.MessageCorrelated, e.MessageThrown, e.SignalCaught, e.SignalThrown, e.ErrorThrown, e.EscalationThrown,
    e.ConditionBecameTrue,
])  # fmt: skip
#: Bytes of a state that is kept, and of one that is kept awake; commands after which that is loaded anew, as it gathers what nobody needs.
_LARGEST, _LARGEST_AWAKE, _LONGEST_AWAKE = 16_384, 4096, 64
#: Commands for which nothing is kept after something old was met: at first, at most; and after how many that were not old the first again.
_PAUSE, _LONGEST, _GOOD = 16, 4096, 256
_ACTIVE = InstanceStatus.ACTIVE.value


class Known(NamedTuple):
    """An instance as it was written last.

    Attributes:
        tasks: open ones, not all of them perhaps.
        run: the same instance, awake; None: its state has to be read.
        is_plain: no job, timer or incident of it was ever written.
    """

    row: InstanceRow
    tasks: Mapping[TokenId, Found]
    run: Run | None = None
    is_plain: bool = False


class Lately:
    """Rows of so many instances and of their open user tasks, each until the next command on the instance begins."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Known] = OrderedDict()
        self._instance_of: dict[int, tuple[int, TokenId]] = {}  #: ``{user task: (instance, token)}``
        self._pause, self._left, self._good = _PAUSE, 0, 0

    def take(self, task_id: int) -> tuple[Known, Found] | None:
        """Return an instance and its task, if both are known here; from now on they are not."""
        place = self._instance_of.get(task_id)
        if place is None:
            return None
        with self._lock:
            kept = self._drop(place[0])
        found = None if kept is None else kept.tasks.get(place[1])
        if kept is None or found is None or found.task.id != task_id:
            return None
        return kept, found

    def forget(self, instance_ids: Iterable[int]) -> None:
        """A command on these instances begins: what it leads to is not known yet."""
        with self._lock:
            for id in instance_ids:
                self._drop(id)

    def was_old(self) -> None:
        """Somebody else had changed an instance that was taken from here: for a while nothing is kept, the longer the oftener."""
        with self._lock:
            self._kept.clear()
            self._instance_of.clear()
            self._left, self._good = self._pause, 0
            self._pause = min(2 * self._pause, _LONGEST)

    def keep(
        self, row: InstanceRow, run: Run, is_plain: bool, kinds: Iterable[type[Event]],
        tasks_of: Callable[[], Mapping[TokenId, Found]],
    ) -> None:  # fmt: skip
        """Remember an instance that was just written.

        Args:
            row: as it stands now. run: the same, awake. is_plain: see `Known`.
            kinds: of what the command added.
            tasks_of: gives its open user tasks, as far as they are known.
        """
        if self._left:
            with self._lock:
                self._left = max(0, self._left - 1)
            return
        if not self._most or row.status != _ACTIVE or row.state is None or len(row.state) > _LARGEST or not _KNOWN.issuperset(kinds):
            return
        tasks = tasks_of()
        with self._lock:
            there = self._kept.get(row.id)
            if there is not None:
                if there.row.version > row.version:
                    return  # one that came after it is known already
                self._drop(row.id)
            stays_awake = len(row.state) <= _LARGEST_AWAKE and run.count < _LONGEST_AWAKE
            self._kept[row.id] = Known(row, tasks, run if stays_awake else None, is_plain)
            for token, found in tasks.items():
                self._instance_of[found.task.id] = row.id, token
            while len(self._kept) > self._most:
                self._drop(next(iter(self._kept)))
            self._good += 1
            if self._good >= _GOOD:
                self._pause = _PAUSE

    def entries(self) -> list[Known]:
        """Return what is known, for those who compare it with the tables."""
        with self._lock:
            return list(self._kept.values())

    def _drop(self, instance_id: int) -> Known | None:
        kept = self._kept.pop(instance_id, None)
        if kept is not None:
            for found in kept.tasks.values():
                self._instance_of.pop(found.task.id, None)
        return kept
