"""psmflow's engine: what `web`, tests and users import.

    with open_engine(read_settings()) as engine:
        instance = engine.instances.start(actor, "psm_presale", {"customer": "…"})

The parts are loaded when they are first asked for: a handler or an auditor's script that imports one record does not wait for
the whole engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.assembly import Engine, open_engine
    from engine.clock import MovableClock, SystemClock
    from engine.errors import BpmnError, EngineError
    from engine.model import SYSTEM, Actor
    from engine.settings import Settings, read_settings

__all__ = [
    "SYSTEM",
    "Actor",
    "BpmnError",
    "Engine",
    "EngineError",
    "MovableClock",
    "Settings",
    "SystemClock",
    "open_engine",
    "read_settings",
]

_WHERE = {
    "SYSTEM": "engine.model",
    "Actor": "engine.model",
    "BpmnError": "engine.errors",
    "Engine": "engine.assembly",
    "EngineError": "engine.errors",
    "MovableClock": "engine.clock",
    "Settings": "engine.settings",
    "SystemClock": "engine.clock",
    "open_engine": "engine.assembly",
    "read_settings": "engine.settings",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
