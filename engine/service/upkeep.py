"""What the dispatcher does beside running jobs: says that it is alive, and once a day throws away what nobody needs."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from engine.clock import EPOCH
from engine.logs import tell
from engine.service.runtime import Runtime
from engine.store import upkeep
from engine.store.database import micros

#: So often a dispatcher says that it is alive.
BEAT = timedelta(seconds=30)
#: A dispatcher that has said nothing for so long is silent.
SILENT = timedelta(minutes=2)
_DAY = timedelta(days=1)
_BATCH = 500
_log = logging.getLogger("psmflow.upkeep")


class Upkeep:
    """Called by the dispatcher at every look at the job table; does something now and then."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._beat_at: datetime | None = None
        self._pruned_at: datetime | None = None

    def look(self) -> None:
        """Say that a dispatcher is alive, and do the daily work when a day has gone by."""
        now = self._runtime.clock.now()
        if _is_over(self._beat_at, now, BEAT):
            with self._database.writing() as tx:
                upkeep.saw_dispatcher(tx, micros(now))
            self._beat_at = now
        if _is_over(self._pruned_at, now, _DAY):
            self.daily()
            self._pruned_at = now

    def daily(self) -> int:
        """Forget idempotency keys that are older than the setting; return how many.

        Keys by which work that failed knows what it has done already stay as long as that work may be tried again.
        """
        before = micros(self._runtime.clock.now() - timedelta(days=self._runtime.settings.keys_kept_days))
        with self._database.reading() as session:
            job = upkeep.oldest_unfinished_work(session)
        if job is not None:
            before = min(before, micros(EPOCH + timedelta(milliseconds=job >> 22)))
        count = 0
        while True:
            with self._database.reading() as session:
                keys = upkeep.old_keys(session, before, _BATCH)
            if keys:
                with self._database.writing() as tx:
                    upkeep.forget_keys(tx, keys)
            count += len(keys)
            if len(keys) < _BATCH:
                break
        if count:
            tell(_log, logging.INFO, "keys_forgotten", count=count)
        return count


def _is_over(last: datetime | None, now: datetime, every: timedelta) -> bool:
    """True when it is time again; also when the clock was put back."""
    return last is None or not timedelta() <= now - last < every
