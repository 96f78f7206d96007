"""Runs due jobs in threads of this process: every second, and at once after a commit that made work.

APScheduler serves as an alarm clock alone. Its own job store ran jobs twice and lost its thread with two processes; ours claims
with lease and fence, so any number of these dispatchers may run beside each other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from engine.logs import tell

_log = logging.getLogger(__name__)


class LocalDispatcher:
    """Wakes two loops: what is quick (timers, messages, reminders), and handlers, which may take their time.

    Args:
        loops: ``{name: run}``; each returns how many jobs it ran, and is never run twice at once by this dispatcher.
        every: seconds between looks at the job table.
        calm: loops that no commit wakes; looked at once a minute.
    """

    def __init__(self, loops: dict[str, Callable[[], int]], every: float = 1.0, *, calm: Mapping[str, Callable[[], int]] = {}) -> None:
        self._woken = tuple(loops)
        self._loops = loops = {**loops, **calm}
        self._running = {name: threading.Lock() for name in loops}
        self._again = {name: threading.Event() for name in loops}
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(2 * len(loops))}, timezone="UTC")
        for name in loops:
            self._scheduler.add_job(
                self._turn,
                "interval",
                args=[name],
                seconds=60 if name in calm else every,
                id=name,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
            )

    def start(self) -> None:
        self._scheduler.start()

    def wake(self) -> None:
        """Look at the job table now; called after a commit that made work. Returns at once."""
        if self._stopping.is_set() or not self._scheduler.running:
            return
        for name in self._woken:
            if not self._again[name].is_set():
                self._again[name].set()
                self._scheduler.add_job(self._turn, args=[name], misfire_grace_time=None)

    def stop(self) -> None:
        """Let what runs come to its end, begin nothing new."""
        self._stopping.set()
        if self._scheduler.running:
            # a scheduler that is stopped while it takes out a job that ran once raises in its thread
            self._scheduler.pause()
            self._scheduler.remove_all_jobs()
            self._scheduler.shutdown(wait=True)

    def _turn(self, name: str) -> None:
        again, running = self._again[name], self._running[name]
        while not self._stopping.is_set():
            if not running.acquire(blocking=False):
                return  # whoever runs looks at `again` before it stops
            try:
                again.clear()
                count = self._loops[name]()
            except Exception as error:  # noqa: BLE001  the database may be away for a moment; the next look is a second off
                tell(_log, logging.ERROR, "dispatcher_failed", error, loop=name)
                return
            finally:
                running.release()
            if not count and not again.is_set():
                return
