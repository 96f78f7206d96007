"""Bid calendars: a table of the latest of each instance, folded from the histories that have them all.

A calendar is whatever `handlers.bid_calendar` gave, once a variable of that name holds it, in whichever scope. One of which something
was erased beyond reading is none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine import history
from engine.errors import EngineError
from engine.events import Recorded, VariablesChanged
from engine.feel import codec
from engine.history import Entry
from engine.logs import tell
from engine.model import BidCalendar, CalendarDate, InstanceId
from engine.store import calendars, chain, definitions
from engine.store.calendars import CalendarRow
from engine.store.database import Session, instant, micros

if TYPE_CHECKING:
    from engine.service.runtime import Runtime

_log = logging.getLogger(__name__)
#: The variable that holds what the handler gives, and its job type.
CALENDAR, HANDLER = "bid_calendar", "bid.calendar"
_PARTS = ("entries", "warnings", "unknown_years", "changes")
_DATE = ("id", "name", "article", "kind", "at", "whole_day", "state", "counting")


def in_values(values: Mapping[str, Any]) -> bytes | None:
    """Return the calendar among variables as its row holds it, or None."""
    found = values.get(CALENDAR)
    if not isinstance(found, dict) or not all(isinstance(found.get(part), list) for part in _PARTS):
        return None
    dates = all(isinstance(each, dict) and all(key in each for key in _DATE) for each in found["entries"])
    moved = all(isinstance(each, dict) and "id" in each and "was" in each for each in found["changes"])
    return codec.dump(found) if dates and moved else None


def latest(recorded: Iterable[Recorded]) -> tuple[datetime, bytes] | None:
    """Return when the last calendar of a history was computed, and the calendar as its row holds it."""
    last = None
    for each in recorded:
        if isinstance(each.event, VariablesChanged) and CALENDAR in each.event.values:
            body = in_values(each.event.values)
            last = last if body is None else (each.at, body)
    return last


def of_history(session: Session, id: int) -> tuple[datetime, bytes] | None:
    """Return the same of an instance that is in the tables."""
    return latest(history.restored(r for row in chain.read(session, id) for r in history.unseal(id, Entry(*row))))


def refold(tx: Session, id: int) -> None:
    """Write the row anew from the history."""
    found = of_history(tx, id)
    if found is None:
        calendars.drop(tx, id)
    else:
        calendars.put(tx, id, micros(found[0]), found[1])


def fold_older(runtime: Runtime) -> None:
    """Fold the histories of instances that were there before the table; does nothing but ask once that is done.

    Reads the histories of those whose diagrams compute calendars. One that breaks off begins again.
    """
    with runtime.database.reading() as session:
        if not calendars.to_fold(session):
            return
        ids = [id for bundle in calendars.bundles(session) if _computes(session, bundle) for id in calendars.of_bundle(session, bundle)]
    for id in ids:
        try:
            with runtime.database.writing() as tx:
                found = of_history(tx, id)
                if found is not None:
                    calendars.put_if_none(tx, id, micros(found[0]), found[1])
        except (EngineError, ValueError, KeyError, TypeError) as error:  # of a damaged history the doctor tells
            tell(_log, logging.WARNING, "calendar.unreadable", error, instance=id)
    with runtime.database.writing() as tx:
        calendars.folded(tx)
    tell(_log, logging.INFO, "calendars.folded", instances=len(ids))


def _computes(session: Session, bundle_id: int) -> bool:
    pinned = definitions.bundle(session, bundle_id)
    versions = (definitions.by_key(session, key, number) for key, number in ({} if pinned is None else pinned[1]).items())
    return any(version is not None and HANDLER in version.info.job_types for version in versions)


def of_row(row: CalendarRow) -> BidCalendar:
    return read(InstanceId(row.instance_id), row.title, instant(row.computed_at), row.body)


def read(id: InstanceId, title: str, at: datetime, body: bytes) -> BidCalendar:
    given = codec.load(body)
    return BidCalendar(
        instance_id=id,
        title=title,
        computed_at=at,
        dates=tuple(CalendarDate(**{key: each[key] for key in _DATE}) for each in given["entries"]),
        warnings=tuple(given["warnings"]),
        unknown_years=tuple(int(year) for year in given["unknown_years"]),
        moved={each["id"]: each["was"] for each in given["changes"]},
    )
