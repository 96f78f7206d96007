"""Dates: what is due for a person and in the tenders that they see, as a page and as a feed for calendar programs.

The feed's address is a secret of its person: it names them and their password's stamp, signed; with another password there is another
address, and the old one is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flask import Blueprint, Response, abort, current_app, render_template, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature, URLSafeSerializer

from engine import Actor
from web.context import actor, engine, now, settings
from web.guard import open_to_all
from web.language import gettext, local

bp = Blueprint("calendars", __name__)
#: Tasks that a calendar looks at, the most urgent.
_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Date:
    """One line. `key`: the same each time, so that a calendar program moves what it has."""

    key: str
    at: datetime
    whole_day: bool
    name: str
    about: str
    note: str
    kind: str  #: as in `CalendarDate`, or ``task``
    url: str


@bp.get("/calendar")
def calendar() -> ResponseReturnValue:
    dates = sorted(_dates(actor()), key=lambda date: (date.at, date.key))
    since = now() - timedelta(days=1)
    return render_template("calendar.html", dates=[d for d in dates if d.at >= since], feed=_address(actor()))


@bp.get("/calendar/<token>.ics")
@open_to_all
def feed(token: str) -> ResponseReturnValue:
    """Give the dates of whom the address is of; calendar programs do not log in."""
    try:
        name, stamp = cast(list[str], _signer().loads(token))
    except (BadSignature, ValueError, TypeError):
        abort(404)
    who = engine().people.actor(name)
    if who is None or not stamp or engine().people.stamp(name) != stamp:
        abort(404)
    return Response(_ics(who), mimetype="text/calendar", headers={"Content-Disposition": "inline; filename=psmflow.ics"})


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="calendar")


def _address(who: Actor) -> str:
    token = _signer().dumps([who.id, engine().people.stamp(who.id)])
    return settings().base_url + url_for("calendars.feed", token=token)


def _dates(who: Actor) -> Iterator[Date]:
    for task in engine().tasks.inbox(who, limit=_MOST).items:
        at = task.deadline_at or task.due_at
        if at is not None:
            yield Date(
                key=f"task-{task.id}", at=at, whole_day=False, name=gettext("待办：%(name)s", name=task.name), about=task.title,
                note="", kind="task", url=url_for("inbox.task", id=task.id),
            )
    for tender in engine().instances.bid_calendars(who):
        for date in tender.dates:
            if date.at is not None and date.kind != "notice":
                yield Date(
                    key=f"{tender.instance_id}-{date.id}", at=date.at, whole_day=date.whole_day, name=date.name, about=tender.title,
                    note=date.article, kind=date.kind, url=url_for("instances.instance", id=tender.instance_id),
                )


def _ics(who: Actor) -> bytes:
    from icalendar import Calendar, Event  # 6 MB that only this address needs

    made = Calendar()
    made.add("prodid", "-//psmflow//calendar//ZH")
    made.add("version", "2.0")
    made.add("x-wr-calname", gettext("售前流程"))
    for date in _dates(who):
        event: Any = Event()
        event.add("uid", f"{date.key}@psmflow")
        event.add("dtstamp", now())
        event.add("summary", f"{date.name} · {date.about}")
        if date.whole_day:
            event.add("dtstart", local(date.at).date())
        else:
            event.add("dtstart", date.at.astimezone(UTC))
        event.add("description", date.note)
        event.add("url", settings().base_url + date.url)
        made.add_component(event)
    return cast(bytes, made.to_ical())
