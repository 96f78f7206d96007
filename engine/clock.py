"""The only place that asks the machine for the time or for randomness.

Everything else gets instants as arguments and ids from an issuer, so that tests move the clock and replay is exact.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

#: Ids count milliseconds from here: 41 bits last until 2090.
EPOCH = datetime(2021, 1, 1, tzinfo=UTC)
#: In the data folder of a demo whose clock was put forward: by how many seconds.
DEMO_CLOCK = "demo-clock"
#: So far ahead of the machine's clock may a demo's be.
FURTHEST = timedelta(days=730)
_SECOND = timedelta(seconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_NODE_BITS, _SEQUENCE_BITS = 10, 12
_SEQUENCE = (1 << _SEQUENCE_BITS) - 1


class Clock(Protocol):
    """Gives the present instant, aware and UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class MovableClock:
    """A clock that stands still until it is moved; for tests and rehearsals."""

    def __init__(self, at: datetime) -> None:
        self._at = _aware(at)

    def now(self) -> datetime:
        return self._at

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """Move on by the given time and return the new instant."""
        return self.move_to(self._at + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))

    def move_to(self, at: datetime) -> datetime:
        """Move to `at`, forward or back, and return it."""
        self._at = _aware(at)
        return self._at


class OutOfReach(ValueError):
    """A demo's clock cannot be put to this instant: it lies before `earliest`, the present one, or after `latest`."""

    def __init__(self, earliest: datetime, latest: datetime) -> None:
        self.earliest, self.latest = earliest, latest
        super().__init__(f"not after {earliest:%Y-%m-%dT%H:%M:%SZ} and up to {latest:%Y-%m-%dT%H:%M:%SZ}")


class DemoClock:
    """The machine's clock, put forward by what a file says, so that a demo goes on with it after a new start. Never goes back.

    Every process on the file sees it put forward within a second.

    Raises:
        ValueError: the file is there and does not hold a number of seconds up to `FURTHEST`.
        OSError: it cannot be read.
    """

    def __init__(self, file: Path, machine: Clock | None = None) -> None:
        self._file = file
        self._machine: Clock = machine or SystemClock()
        self._lock = threading.Lock()
        self._ahead = _kept(file)
        self._look_at = time.monotonic() + 1

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of the machine's clock, in whole seconds."""
        if (seen := time.monotonic()) >= self._look_at:
            self._look_at = seen + 1
            with suppress(OSError, ValueError):  # what it knows already holds until the file can be read
                self._ahead = max(self._ahead, _kept(self._file))
        return self._ahead

    def now(self) -> datetime:
        return self._machine.now() + self.ahead

    def put_forward(self, to: datetime) -> datetime:
        """Put the clock to `to` (to the second, rounded up) and return the new instant.

        Raises:
            OutOfReach: `to` is not ahead, or too far.
            OSError: the file cannot be written; the clock stays as it is.
        """
        with self._lock:
            machine, before = self._machine.now(), max(self._ahead, _kept(self._file))
            ahead = -((machine - _aware(to)) // _SECOND) * _SECOND
            if not before < ahead <= FURTHEST:
                raise OutOfReach(machine + before, machine + FURTHEST)
            _keep(self._file, ahead)
            self._ahead = ahead
        return self.now()


def _kept(file: Path) -> timedelta:
    try:
        text = file.read_text("ascii").strip()
    except FileNotFoundError:
        return timedelta()
    if not text.isdecimal() or len(text) > 9 or timedelta(seconds=int(text)) > FURTHEST:
        raise ValueError(f"{file.name} holds no number of seconds from 0 to {FURTHEST // _SECOND}")
    return timedelta(seconds=int(text))


def _keep(file: Path, ahead: timedelta) -> None:
    """Write the file anew; who reads it meanwhile, or after a power failure, finds the old or the new one, whole."""
    scratch = file.with_name(f"{file.name}.new")
    with scratch.open("w", encoding="ascii") as out:
        out.write(f"{ahead // _SECOND}\n")
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(file)


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return at.astimezone(UTC)


class IdIssuer:
    """Issues 63-bit ids that grow with time and never repeat: 41 bits of milliseconds, 10 of node, 12 of sequence.

    Args:
        node: leased from the database by each process after it forked; two processes never share it. 0 to 1023.
    """

    def __init__(self, clock: Clock, node: int) -> None:
        if not 0 <= node < 1 << _NODE_BITS:
            raise ValueError(f"node {node} is not within 0 to {(1 << _NODE_BITS) - 1}")
        self._clock = clock
        self._low = node << _SEQUENCE_BITS
        self._last = 0  #: milliseconds and sequence of the last id: one number that only grows, so a full millisecond runs into the next
        self._lock = threading.Lock()

    def next(self, at: datetime | None = None) -> int:
        """Return a new id; greater than every id this issuer gave before, even when the clock went back.

        Args:
            at: what the clock has just said; None: it is asked.
        """
        now = ((self._clock.now() if at is None else at) - EPOCH) // _MILLISECOND << _SEQUENCE_BITS
        with self._lock:
            last = self._last + 1
            if now > last:
                last = now
            self._last = last
        return last >> _SEQUENCE_BITS << _NODE_BITS + _SEQUENCE_BITS | self._low | last & _SEQUENCE


def first_id(at: datetime) -> int:
    """Return the least id that is issued at `at` or later: ids sort by time."""
    return (_aware(at) - EPOCH) // _MILLISECOND << (_NODE_BITS + _SEQUENCE_BITS)


def pause(attempt: int) -> None:
    """Wait a short random time before trying again what somebody else was faster at: up to 2 ms at first, 50 ms at most."""
    time.sleep(secrets.randbelow(min(50_000, 2_000 * (attempt + 1))) / 1_000_000)


def stopwatch() -> Callable[[], float]:
    """Return a function that gives the seconds since now, as the machine counts them: nobody puts them back."""
    began = time.perf_counter()
    return lambda: time.perf_counter() - began


def countdown(seconds: float) -> Callable[[], float]:
    """Return a function that gives the seconds left of `seconds` from now, negative once they are over; see `stopwatch`."""
    until = time.monotonic() + seconds
    return lambda: until - time.monotonic()


def salt() -> bytes:
    """Return 16 random bytes for a commitment."""
    return secrets.token_bytes(16)


def token() -> str:
    """Return an unguessable URL-safe word of 256 bits (sessions, CSRF, links)."""
    return secrets.token_urlsafe(32)


_INSTANT = re.compile(
    r"(?<![\w:.-])(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(\.\d+)?(?:(Z|[+-]\d\d:\d\d)(?:@[\w+/-]+)?|@([A-Za-z][\w+/-]+))(?![\w:])"
)


def with_local_times(text: str, zone: str) -> str:
    """Return `text` with every instant in it as the clocks of `zone` show it: ``2026-11-24T09:00:00Z``, ``2026-11-24 17:00``.

    A date and time without offset or zone may be meant otherwise and stays.
    """

    def shown(found: re.Match[str]) -> str:
        stamp, _fraction, offset, name = found.groups()
        try:
            if offset:
                at = datetime.fromisoformat(stamp + offset.replace("Z", "+00:00"))
            else:
                at = datetime.fromisoformat(stamp).replace(tzinfo=ZoneInfo(name))
            return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
        except (ValueError, KeyError, OverflowError, OSError):
            return found[0]

    return _INSTANT.sub(shown, text) if "T" in text else text
