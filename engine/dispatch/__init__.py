"""Who runs due jobs. The job table is the truth; a dispatcher only says when to look at it."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol


class Dispatcher(Protocol):
    """Runs due jobs from `start` to `stop`, in threads of this process."""

    def start(self) -> None: ...

    def wake(self) -> None:
        """Something of this process has become due just now. Returns at once."""

    def stop(self, grace: timedelta) -> None:
        """Claim nothing new, let what runs come to its end; handlers that have not after `grace` are given back."""
