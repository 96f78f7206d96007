"""Runs due jobs in threads of this process: every second, and at once after a commit that made work.

APScheduler serves as an alarm clock alone. Its own job store ran jobs twice and lost its thread with two processes; ours claims
with lease and fence, so any number of these dispatchers may run beside each other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from engine.dispatch.pool import HandlerPool

_log = logging.getLogger(__name__)


class LocalDispatcher:
    """Wakes two loops that never wait for each other: what is quick (timers, messages, reminders), and the pool of handlers.

    Args:
        quick: runs some of what is quick and returns how many jobs those were; never run twice at once by this dispatcher.
        every: seconds between looks at the job table.
    """

    def __init__(self, quick: Callable[[], int], pool: HandlerPool, every: float = 1.0) -> None:
        self._pool = pool
        self._loops = {"quick": quick, "handlers": pool.fill, "leases": pool.beat}
        self._running = {name: threading.Lock() for name in self._loops}
        self._again = {name: threading.Event() for name in self._loops}
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(2 * len(self._loops))}, timezone="UTC")
        pool.on_free = lambda: self._wake("handlers")
        for name in self._loops:
            self._scheduler.add_job(
                self._turn,
                "interval",
                args=[name],
                seconds=every,
                id=name,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
            )

    def start(self) -> None:
        self._scheduler.start()

    def wake(self) -> None:
        """Look at the job table now; called after a commit that made work. Returns at once."""
        self._wake("quick")
        self._wake("handlers")

    def _wake(self, name: str) -> None:
        if not self._stopping.is_set() and self._scheduler.running and not self._again[name].is_set():
            self._again[name].set()
            self._scheduler.add_job(self._turn, args=[name], misfire_grace_time=None)

    def stop(self, grace: timedelta) -> None:
        """Claim nothing new, let what runs come to its end; handlers that have not after `grace` are given back."""
        self._stopping.set()
        if self._scheduler.running:
            # a scheduler that is stopped while it takes out a job that ran once raises in its thread
            self._scheduler.pause()
            self._scheduler.remove_all_jobs()
            self._scheduler.shutdown(wait=True)
        self._pool.stop(grace)

    def _turn(self, name: str) -> None:
        again, running = self._again[name], self._running[name]
        while not self._stopping.is_set():
            if not running.acquire(blocking=False):
                return  # whoever runs looks at `again` before it stops
            try:
                again.clear()
                count = self._loops[name]()
            except Exception:  # noqa: BLE001  the database may be away for a moment; the next look is a second off
                _log.exception("the dispatcher's loop %s failed", name)
                return
            finally:
                running.release()
            if not count and not again.is_set():
                return
