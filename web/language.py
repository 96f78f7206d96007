"""The words of the pages: Chinese as written in code and templates, English from the catalogue, times in the house's zone.

The catalogue is read from its text file when the application starts, so that no build step and no binary file lies between
what translators write and what people read. `missing_words` is what its test asks.
"""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, request, session
from flask_babel import Babel, Domain, get_locale
from flask_babel import gettext as _gettext
from flask_babel import ngettext as _ngettext

from engine.access import GROUPS
from engine.clock import with_local_times
from web.context import now, settings

HERE = Path(__file__).parent
LANGUAGES = {"zh": "中文", "en": "English"}
_ENGLISH = HERE / "translations" / "en" / "LC_MESSAGES" / "messages.po"
_METHODS = [("**/frontend/**", "ignore"), ("**/static/**", "ignore"), ("**.py", "python"), ("**/templates/**.*", "jinja2")]
_KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}


class Catalogue(Domain):  # type: ignore[misc]
    """Flask-Babel's source of words, read straight from the text catalogue."""

    def get_translations(self) -> NullTranslations:
        return _english() if language() == "en" else NullTranslations()


@cache
def _english() -> Translations:
    with _ENGLISH.open("rb") as text:
        catalog = read_po(text, locale="en")
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


def missing_words() -> tuple[str, ...]:
    """Return every phrase of code and templates that has no English yet."""
    with _ENGLISH.open("rb") as text:
        catalog = read_po(text, locale="en")
    found: dict[str, None] = {}
    options = {"**/templates/**.*": {"trimmed": "true", "silent": "false"}}
    for _file, _line, message, _comments, _context in extract_from_dir(HERE, _METHODS, options, _KEYWORDS):
        found[message[0] if isinstance(message, tuple) else message] = None
    return tuple(m for m in found if (entry := catalog.get(m)) is None or not any(_as_tuple(entry.string)))


def _as_tuple(text: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (text or "",) if text is None or isinstance(text, str) else tuple(text)


def language() -> str:
    """Return the language of this request, ``zh`` or ``en``: what the reader chose, else Chinese."""
    chosen = session.get("language") if request else None
    return chosen if chosen in LANGUAGES else "zh"


def gettext(text: str, /, **values: object) -> str:
    """Return a phrase in the reader's language, its ``%(name)s`` filled with `values`."""
    return str(_gettext(text, **values))


def ngettext(one: str, many: str, num: int) -> str:
    """Return the phrase that fits a number, its ``%(num)d`` filled."""
    return str(_ngettext(one, many, num))


# -------------------------------------------------------------------------------------------------------------------- times
def local(at: datetime) -> datetime:
    """Return the instant as the house's clocks show it."""
    return at.astimezone(ZoneInfo(settings().time_zone))


def when(at: datetime | None, *, seconds: bool = False) -> str:
    """Return date and time in the house's zone, ``2026-12-01 09:30``; empty for None."""
    return local(at).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M") if at else ""


def local_times(text: str) -> str:
    """Return what a machine wrote with its instants as the house's clocks show them."""
    return with_local_times(text, settings().time_zone)


def duration(length: timedelta) -> str:
    """Return a length of time in its two largest units: ``3 天 4 小时``, ``20 分钟``."""
    minutes = int(abs(length).total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [
        ngettext("%(num)d 天", "%(num)d 天", days) if days else "",
        ngettext("%(num)d 小时", "%(num)d 小时", hours) if hours else "",
        ngettext("%(num)d 分钟", "%(num)d 分钟", minutes) if minutes and not days else "",
    ]
    return " ".join(p for p in parts if p) or gettext("不到 1 分钟")


def time_left(at: datetime) -> str:
    """Return how far a date is from now: ``还剩 3 天 4 小时`` or ``已逾期 2 小时``."""
    left = at - now()
    return gettext("还剩 %(time)s", time=duration(left)) if left >= timedelta(0) else gettext("已逾期 %(time)s", time=duration(left))


def ago(at: datetime) -> str:
    """Return how long ago an instant was: ``5 分钟前``."""
    return gettext("%(time)s前", time=duration(now() - at))


def urgency(at: datetime | None) -> str:
    """Return how pressing a date is: ``late``, ``soon`` (within a day), ``later`` or ``none``."""
    if at is None:
        return "none"
    left = at - now()
    return "late" if left < timedelta(0) else "soon" if left <= timedelta(days=1) else "later"


def size_of(count: int) -> str:
    """Return a number of bytes in a unit people read: ``3.4 MB``."""
    size, units = float(count), iter(("B", "KB", "MB", "GB"))
    unit = next(units)
    while size >= 1000 and (larger := next(units, None)):
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def local_instant(text: str) -> datetime:
    """Return the instant a person typed without a zone, which means the house's.

    Raises:
        ValueError: `text` is not ISO 8601.
    """
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(settings().time_zone))


def add_language(app: Flask) -> None:
    """Give `app` the catalogue and its templates the words for times."""
    babel = Babel(
        app, default_locale="zh", default_translation_directories=str(HERE / "translations"), locale_selector=language,
        timezone_selector=lambda: settings().time_zone,
    )
    babel.domain_instance = Catalogue()
    app.jinja_env.filters.update(when=when, local_times=local_times, duration=duration, time_left=time_left, ago=ago, urgency=urgency, size=size_of)
    app.jinja_env.globals.update(language=language, languages=LANGUAGES, html_language=lambda: _TAGS[str(get_locale())[:2]])


_TAGS = {"zh": "zh-CN", "en": "en"}


def group_name(group: str) -> str:
    """Return a role in the reader's language; a role the house does not know stays as written."""
    found = GROUPS.get(group)
    return group if found is None else found.zh if language() == "zh" else found.en
