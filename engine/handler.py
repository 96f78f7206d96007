"""What a handler's author sees: a job comes in, variables go out. `handlers/` imports only this module of the engine.

    @handler("bid.remind", retries=5)
    def remind_bid_owner(job: Job) -> Variables:
        '''Tell the bid owner that the submission deadline is near.'''

A handler may run more than once (a worker can die after the effect and before the answer is stored): key every outside effect
by `job.key`, which stays the same over retries. It may raise `BpmnError(code)` for the business's other path; any other
exception is a failure that is retried with backoff and then becomes an incident.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, Protocol

from engine.errors import BpmnError
from engine.model import RegisterEntry, Values, maker

__all__ = ["BpmnError", "Handler", "HandlerRegistry", "Job", "Outside", "Person", "RegisterEntry", "Variables", "fingerprint", "handler"]

Variables = Values
Effect = Literal["outside", "none", "database"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    id: str
    name: str
    mail: str
    groups: frozenset[str]


class Outside(Protocol):
    """What a handler may reach. Implementations record what was sent in the instance's history."""

    def people(self, *, groups: Iterable[str] = (), users: Iterable[str] = ()) -> tuple[Person, ...]:
        """Return the active people who are in one of `groups` or named in `users`, each once, by id."""

    def unseal(self) -> Values:
        """Open the sealed prices of the instance and return ``{field: value}``: each is compared with its fingerprint in the history,
        and the result is recorded. For the moment at which the bids are opened in public, and no earlier.

        Raises:
            OpeningNotReached: the bids are not opened yet by the server's clock; nothing was opened.
            SealBroken: one is not what was sealed; none is opened.
            SealingKeyWrong
        """

    def notice(self, person: Person, subject: str, body: str, link: str = "") -> None:
        """Put a notice into the person's list in the application; once per job and person."""

    def mail(self, people: Iterable[Person], subject: str, body: str) -> None:
        """Send a mail by SMTP; without a mail server configured this is recorded as not sent, not an error."""

    def robot(self, subject: str, body: str) -> None:
        """Tell the configured DingTalk, WeCom and Feishu robots."""

    def register(self, name: str, where: Mapping[str, Any] | None = None) -> tuple[RegisterEntry, ...]:
        """Return the entries of a register whose values equal those of `where`, the last added first; none that was withdrawn.

        Texts are compared without regard to width, capitals and blanks.
        """

    def register_add(self, name: str, values: Mapping[str, Any], *, once: str) -> None:
        """Add an entry to a register when the job is done, checked by the register's form; but once for each key `once`."""

    def register_amend(self, name: str, entry: RegisterEntry, values: Mapping[str, Any], reason: str) -> None:
        """Give an entry a new version: its values with `values` in place of what stood there, and why.

        For handlers with ``effect="database"`` alone. Where somebody changed the entry meanwhile, the handler is run again.
        """

    def link(self, path: str = "") -> str:
        """Return the address of a page, by default of the job's process instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of machine work. `values`: the input mapping, or all variables the element sees."""

    key: str  #: idempotency key, the same over retries
    type: str
    attempt: int  #: from 1
    instance_id: int
    business_key: str
    title: str  #: of the process instance
    process: str
    element: str
    element_name: str
    values: Values
    properties: Mapping[str, str]
    at: datetime  #: the instant of this run
    outside: Outside


make_job = maker(Job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A registered function. `effect`: ``outside`` runs as a job after the commit; ``none`` and ``database`` run within the
    command's transaction, exactly once. `gives`: ``{variable it may return: FEEL type}``; the checker knows no others."""

    type: str
    run: Callable[[Job], Variables | None]
    retries: int
    backoff: timedelta
    timeout: timedelta
    effect: Effect
    title: str  #: first line of its docstring, for the modeler's list
    concurrency: int | None = None  #: so many runs at once over the whole installation; None: as many as there are threads
    gives: Mapping[str, str] = field(default_factory=dict)


class HandlerRegistry(Mapping[str, Handler]):
    """``{job type: handler}``; a type is registered once."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(self, entry: Handler) -> None:
        if entry.type in self._handlers:
            raise ValueError(f"the job type {entry.type} has a handler already")
        self._handlers[entry.type] = entry

    def __getitem__(self, type: str) -> Handler:
        return self._handlers[type]

    def named(self, type: str) -> Handler | None:
        """Return the handler of a job type, or None; every job asks."""
        return self._handlers.get(type)

    def __iter__(self) -> Iterator[str]:
        return iter(self._handlers)

    def __len__(self) -> int:
        return len(self._handlers)


#: Filled by importing the package `handlers`.
REGISTRY = HandlerRegistry()


def handler(
    type: str,
    *,
    retries: int = 3,
    backoff: timedelta = timedelta(seconds=30),
    timeout: timedelta = timedelta(minutes=2),
    concurrency: int | None = None,
    effect: Effect = "outside",
    gives: Mapping[str, str] = MappingProxyType({}),
    registry: HandlerRegistry = REGISTRY,
) -> Callable[[Callable[[Job], Variables | None]], Callable[[Job], Variables | None]]:
    """Register the decorated function for the job type (`camunda:topic`).

    Args:
        retries: further attempts after the first failure; `camunda:failedJobRetryTimeCycle` of an element overrides it.
        backoff: wait before the first retry; doubles each time, up to an hour, with jitter.
        timeout: a run that takes longer has failed, and what it gives later does not count. Its thread cannot be stopped: let what
            it calls have timeouts of their own, shorter than this.
        concurrency: at most so many runs of this type at once over the whole installation, e.g. what a server outside can bear.
        gives: ``{variable that it returns: FEEL type}``, e.g. ``"list<string>"`` or ``"Any"``; the checker of diagrams reports
            the reading of any other variable, and mistakes with the types.

    Raises:
        ValueError: a limit of runs at once that is none.
    """
    if concurrency is not None and (concurrency < 1 or effect != "outside"):
        raise ValueError(f"{type}: concurrency is 1 or more, and for handlers that run as jobs (effect=\"outside\")")

    def register(function: Callable[[Job], Variables | None]) -> Callable[[Job], Variables | None]:
        title = (function.__doc__ or type).strip().splitlines()[0]
        registry.add(
            Handler(
                type=type, run=function, retries=retries, backoff=backoff, timeout=timeout, effect=effect, title=title, gives=gives,
                concurrency=concurrency,
            )
        )
        return function

    return register


def fingerprint(values: Values) -> str:
    """Return the SHA-256 of `values` in hex: equal values give equal fingerprints, in whatever order they stand."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
