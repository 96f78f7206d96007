"""When a failed job is tried again: exponential backoff with jitter, at most an hour apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from engine.handler import Handler

_LONGEST = timedelta(hours=1)
_CYCLE = re.compile(r"R(\d+)/P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


@dataclass(frozen=True, slots=True)
class Retries:
    """`count`: further attempts after the first; `backoff`: wait before the second attempt, doubled each time."""

    count: int
    backoff: timedelta

    def next_at(self, at: datetime, attempt: int, key: str) -> datetime | None:
        """Return when to try again after attempt number `attempt` failed, or None when none is left.

        The jitter (a tenth either way) is drawn from `key`, so that many jobs that failed together do not come back together,
        and the same failure gives the same instant.
        """
        if attempt > self.count:
            return None
        wait = min(self.backoff * 2 ** min(attempt - 1, 30), _LONGEST) if self.backoff < _LONGEST else self.backoff
        share = int.from_bytes(sha256(f"{key}.{attempt}".encode()).digest()[:4], "big") / 0xFFFFFFFF
        return at + wait * (0.9 + 0.2 * share)


def retries_of(cycle: str | None, handler: Handler | None) -> Retries:
    """Return the retries of an element (``R5/PT10M``), else its handler's; without a handler none."""
    found = _CYCLE.fullmatch(cycle.strip()) if cycle else None
    if found is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
        return Retries(int(found[1]), timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))
    if handler is not None:
        return Retries(handler.retries, handler.backoff)
    return Retries(0, timedelta(seconds=30))
