"""A process definition, compiled: everything that a running instance needs of its diagrams. Immutable, shared by threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from engine.bpmn.specs import ProcessSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What `compile_definition` gives.

    Attributes:
        key: of the root process.
        versions: ``{process key: version}`` of the root and of every called process.
        specs: ``{name: spec}`` of every process and sub-process; a sub-process is named ``process/sub_process``.
        zone: what a local date and time of the diagram means.
        compensates: something in it throws compensation, so completed activities must be kept.
        watches: something in it must be looked at again when variables change; `reads`: these variables.
        watching: names of the elements that must; readers: ``{element: variables}`` of those and of tasks whose dates move.
        suspends: an event sub-process suspends its scope.
        has_joins: a token may have to wait for others somewhere; has_late_joins: and that is decided when nothing else can run.
        has_timers: something in it waits for a time; bounds_time: a boundary event does.
        has_subscriptions: an event may happen there that no token waits for: at a boundary, at the start of an event sub-process.
        tokens_keep_open: there is one scope only, and it is over when it has no token.
        keyed: something in it waits for a message by BPMN's correlation keys.
    """

    key: str
    versions: Mapping[str, int]
    root: ProcessSpec
    specs: Mapping[str, ProcessSpec]
    zone: ZoneInfo
    compensates: bool
    watches: bool
    reads: frozenset[str]
    watching: frozenset[str]
    readers: Mapping[str, frozenset[str]]
    suspends: bool
    has_joins: bool
    has_late_joins: bool
    has_timers: bool
    bounds_time: bool
    has_subscriptions: bool
    tokens_keep_open: bool
    keyed: bool
