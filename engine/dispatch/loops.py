"""Wakes loops in threads of this process: every second, and at once when somebody says that there is something to do.

APScheduler serves as an alarm clock alone. Its own job store ran jobs twice and lost its thread with two processes; ours claims
with lease and fence, so any number of processes may run beside each other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from engine.logs import tell

_log = logging.getLogger(__name__)


class Loops:
    """Loops that never wait for each other.

    Args:
        loops: ``{name: run}``; each returns how many jobs it did, is called again at once unless that was none, and is never run
            twice at once.
        every: seconds between looks.
    """

    def __init__(self, loops: Mapping[str, Callable[[], int]], every: float = 1.0) -> None:
        self._loops = dict(loops)
        self._running = {name: threading.Lock() for name in self._loops}
        self._again = {name: threading.Event() for name in self._loops}
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(2 * len(self._loops))}, timezone="UTC")
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

    def wake(self, name: str) -> None:
        """Let a loop look now. Returns at once."""
        if not self._stopping.is_set() and self._scheduler.running and not self._again[name].is_set():
            self._again[name].set()
            self._scheduler.add_job(self._turn, args=[name], misfire_grace_time=None)

    def stop(self) -> None:
        """Let each loop come to the end of what it does, begin nothing new."""
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
