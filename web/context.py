"""What every view needs of the request: the engine, the settings, who asks, in which language, and at which instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from flask import current_app, g
from flask_babel import gettext
from flask_login import current_user

from engine import SYSTEM, Actor, Engine, Settings
from engine.errors import AccessDenied
from engine.model import DefinitionId, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What `create_app` was given, and what never changes, as far as it was asked for.

    Attributes:
        names: ``{user id: name}``; nobody changes their name.
        labels: of diagrams, see `web.diagrams`.
    """

    engine: Engine
    settings: Settings
    names: dict[str, str] = field(default_factory=dict)
    labels: dict[DefinitionId, Mapping[str, str]] = field(default_factory=dict)


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


def ahead() -> timedelta | None:
    """Return how far the clock of a demo is ahead; None where it cannot be put forward, which is everywhere else."""
    return engine().ahead


def actor() -> Actor:
    """Return who asks. Only views behind the login gate may call it."""
    if "actor" not in g:
        g.actor = current_user.actor
    return cast(Actor, g.actor)


def known_names(ids: Iterable[str | None]) -> None:
    """Read the names of these people at once, so that `person` asks the database no more on this page."""
    if not all(i in web().names for i in ids if i and i != SYSTEM.id) and "names_read" not in g:
        g.names_read = True
        try:
            web().names.update({u.id: u.name for u in engine().people.users(actor())})
        except AccessDenied:
            return  # somebody without any role sees ids


def active_people() -> tuple[User, ...]:
    """Return everybody whom a form may name, by id; nobody for somebody without any role."""
    if "people" not in g:
        try:
            g.people = tuple(u for u in engine().people.users(actor()) if u.active)
        except AccessDenied:
            g.people = ()
    return cast(tuple[User, ...], g.people)


def person(user_id: str | None) -> str:
    """Return the name of a user id."""
    if not user_id:
        return ""
    if user_id == SYSTEM.id:
        return str(gettext("系统"))
    known_names([user_id])
    return web().names.get(user_id, user_id)


def person_with_id(user_id: str) -> str:
    """Return a person as ``name（id）``; an id that nobody bears stays as it is."""
    name = person(user_id)
    return user_id if name == user_id else str(gettext("%(name)s（%(id)s）", name=name, id=user_id))
