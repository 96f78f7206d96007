"""What every view needs of the request: the engine, the settings, who asks, in which language, and at which instant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app, g
from flask_babel import gettext
from flask_login import current_user

from engine import SYSTEM, Actor, Engine, Settings


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


def known_names(ids: Iterable[str | None]) -> None:
    """Read the names of these people at once, so that `person` asks the database no more on this page."""
    names = _names()
    wanted = {i for i in ids if i} - names.keys()
    if wanted:
        names.update({i: i for i in wanted})
        names.update(engine().people.names(wanted))


def person(user_id: str | None) -> str:
    """Return the name of a user id."""
    if not user_id:
        return ""
    if user_id not in _names():
        known_names([user_id])
    return _names()[user_id]


def _names() -> dict[str, str]:
    if "names" not in g:
        g.names = {SYSTEM.id: gettext("系统")}
    return cast(dict[str, str], g.names)
