"""What every view needs of the request: the engine, the settings, who asks, in which language, and at which instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app, g
from flask_login import current_user

from engine import Actor, Engine, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What `create_app` was given."""

    engine: Engine
    settings: Settings


def web() -> Web:
    return cast(Web, current_app.extensions["psmflow"])


def engine() -> Engine:
    return web().engine


def settings() -> Settings:
    return web().settings


def now() -> datetime:
    """Return the instant of this request: the same for everything a page says."""
    if "now" not in g:
        g.now = engine().clock.now()
    return cast(datetime, g.now)


def actor() -> Actor:
    """Return who asks. Only views behind the login gate may call it."""
    if "actor" not in g:
        g.actor = current_user.actor
    return cast(Actor, g.actor)
