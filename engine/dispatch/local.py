"""Runs due jobs in this process: looks at the job table every second, and at once after a commit of its own that made work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from engine.dispatch.loops import Loops
from engine.dispatch.pool import HandlerPool


class LocalDispatcher:
    """Two loops: what is quick (timers, messages, reminders), and the pool of handlers.

    Args:
        quick: runs some of what is quick and returns how many jobs those were.
    """

    def __init__(self, quick: Callable[[], int], pool: HandlerPool) -> None:
        self._pool = pool
        self._loops = Loops({"quick": quick, "handlers": pool.fill, "leases": pool.beat})
        pool.on_free = lambda: self._loops.wake("handlers")

    def start(self) -> None:
        self._loops.start()

    def wake(self) -> None:
        """Look at the job table now; called after a commit that made work. Returns at once."""
        self._loops.wake("quick")
        self._loops.wake("handlers")

    def stop(self, grace: timedelta) -> None:
        """Claim nothing new, let what runs come to its end; handlers that have not after `grace` are given back."""
        self._loops.stop()
        self._pool.stop(grace)
