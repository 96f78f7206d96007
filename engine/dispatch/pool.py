"""Runs handlers in threads of this process, at most so many at once; one that takes too long gives up its place.

A thread cannot be stopped. So a run that is given up goes on in its thread until it ends by itself (its finish is refused then),
while another run has its place. A process in which too many hang takes no more: only a new start frees their threads.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from engine.clock import Clock
from engine.service.jobs import LEASE, Jobs, Work

_log = logging.getLogger(__name__)


class HandlerPool:
    """The handlers that run in this process.

    Args:
        threads: so many run at once.
        on_free: called when a place has become free; returns at once.
    """

    def __init__(self, jobs: Jobs, clock: Clock, threads: int, on_free: Callable[[], None] = lambda: None) -> None:
        self.on_free = on_free
        self._jobs = jobs
        self._clock = clock
        self._threads = threads
        self._running: set[Work] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._renew_at: datetime | None = None
        self._was_told = False

    def fill(self) -> int:
        """Claim work for the places that are free and begin it; return how many runs began. For one thread at a time."""
        with self._changed:
            if self._stopping:
                return 0
            free, running = self._threads - len(self._running), Counter(work.job.type for work in self._running)
        if free < 1 or not self._may_take():
            return 0
        taken = self._jobs.take_work(free, running, lease=LEASE)
        for work in taken:
            self._begin(work)
        return len(taken)

    def run_one(self) -> None:
        """Claim and run one piece of work after the other until none is due that may run; for as many threads as there are places."""
        while True:
            with self._changed:
                if self._stopping or len(self._running) >= self._threads:
                    return
                running = Counter(work.job.type for work in self._running)
            taken = self._jobs.take_work(1, running, lease=LEASE) if self._may_take() else []
            if not taken:
                return
            self._begin(taken[0])
            with self._changed:
                self._changed.wait_for(lambda work=taken[0]: work not in self._running)  # type: ignore[misc]

    def _begin(self, work: Work) -> None:
        with self._changed:
            self._running.add(work)
        # a daemon: one that hangs does not keep the process from ending
        threading.Thread(target=self._run, args=[work], name=f"handler {work.job.type}", daemon=True).start()

    def _may_take(self) -> bool:
        if self._jobs.takes_handlers:
            self._was_told = False
        elif not self._was_told:
            self._was_told = True
            _log.critical(
                "%d 个处理程序超时后仍未结束，本进程不再执行处理程序，请重新启动 (%d handlers hang in this process after their timeouts; it"
                " runs no more of them until some end: start it again)", self._jobs.hanging_count, self._jobs.hanging_count,
            )  # fmt: skip
        return self._jobs.takes_handlers

    def _run(self, work: Work) -> None:
        try:
            self._jobs.do_work(work)
        except Exception:  # noqa: BLE001  the database may be away; the lease runs out and the job is offered again
            _log.exception("the job %s of the type %s could not be settled", work.job.id, work.job.type)
        finally:
            self._leave(work)

    def _leave(self, work: Work) -> None:
        with self._changed:
            was_running = work in self._running
            self._running.discard(work)
            self._changed.notify_all()
            stopping = self._stopping
        if was_running and not stopping:
            self.on_free()

    def beat(self) -> int:
        """Give up what has run too long, prolong the leases of the others; called about every second.

        Returns:
            0: there is no more of it to do at once.
        """
        now = self._clock.now()
        with self._changed:
            late = [work for work in self._running if now >= work.until]
            others = [work for work in self._running if now < work.until and not work.is_lost]
        for work in late:
            _log.error(
                "处理程序 %s（作业 %s）超过时限，已放弃，其线程仍在运行 (the handler of job %s ran into its timeout and was given up; its"
                " thread goes on)", work.job.type, work.job.id, work.job.id,
            )  # fmt: skip
            try:
                self._jobs.give_up(work)
            finally:
                self._leave(work)
        if others and (self._renew_at is None or not self._renew_at - LEASE < now < self._renew_at):
            self._renew_at = now + LEASE / 3
            self._jobs.renew(others)
        return 0

    def stop(self, grace: timedelta) -> None:
        """Begin nothing new, let what runs come to its end for so long, then give its jobs back for others to do."""
        with self._changed:
            self._stopping = True
        left = grace.total_seconds()
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: not self._running, timeout=max(0.0, min(left, 1.0))):
                    return
            left -= 1.0
            if left <= 0:
                break
            self.beat()
        with self._changed:
            unfinished = list(self._running)
        _log.warning(
            "停止前未能完成的 %d 个作业已交回 (%d jobs that did not end in time were given back)", len(unfinished), len(unfinished)
        )
        try:
            self._jobs.give_back(unfinished)
        finally:
            with self._changed:
                self._running.clear()
                self._changed.notify_all()
