"""The pages: Flask on the façade `engine`. A view reads the request, makes its façade calls, renders."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, request, url_for

from engine import Actor, Engine, Settings, access
from engine.access import GROUPS
from engine.errors import SettingsError
from engine.settings import kept_secret
from web import api, calendars, clock, context, diagrams, entry, inbox, instances, operations, registers
from web.guard import may_ask, protect
from web.language import add_language, gettext, group_name
from web.trace import add_trace

__all__ = ["create_app"]

_DIST = Path(__file__).parent / "static" / "dist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An entry of the main menu."""

    label: str
    url: str
    current: bool


def create_app(engine: Engine, settings: Settings) -> Flask:
    """Return the application over an open engine.

    Raises:
        SettingsError: the built scripts and styles are not there.
    """
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=settings.secret_key or kept_secret(settings.data),
        SESSION_COOKIE_NAME="psmflow", SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https://"), PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["psmflow"] = context.Web(engine=engine, settings=settings)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    built = _built()
    app.jinja_env.globals.update(
        asset=lambda name: url_for("static", filename=f"dist/{built[name]}"), places=_places, here=_here, now=context.now, ahead=context.ahead,
        unread=_unread, person=context.person, group_name=group_name, access=access, status_name=status_name,
    )
    app.jinja_env.filters.update(
        group_name=group_name, by_role=by_role, person=context.person, outcome=diagrams.outcome, stage_name=diagrams.stage_name, incident_words=incident_words,
    )
    add_trace(app)
    protect(app)
    add_language(app)
    app.context_processor(lambda: {"me": _me(), "zone": settings.time_zone})
    for module in (entry, inbox, calendars, instances, diagrams, registers, operations, api):
        app.register_blueprint(module.bp)
    if engine.ahead is not None:
        app.register_blueprint(clock.bp)
    return app


@cache
def _built() -> dict[str, str]:
    """Return ``{source name: file in static/dist}``; the files' names carry their hashes."""
    manifest = _DIST / "manifest.json"
    if not manifest.is_file():
        raise SettingsError(name="web/static/dist", reason="manifest.json: npm ci && npm run build")
    found: dict[str, str] = json.loads(manifest.read_text("utf-8"))
    return found


def _me() -> Actor | None:
    """Return who is logged in; None also where that cannot be known because the machine failed."""
    return may_ask()


def _here() -> str:
    """Return where the language switch leads back to."""
    return request.full_path.rstrip("?") if request.method == "GET" else request.path if request.url_rule and "GET" in (request.url_rule.methods or ()) else "/"


def _unread() -> int:
    who = may_ask()
    return context.engine().people.unread_count(who) if who else 0


def by_role(groups: Iterable[str]) -> list[str]:
    """Return roles in the order in which the house knows them."""
    wanted = set(groups)
    return [g for g in GROUPS if g in wanted]


def status_name(status: Any) -> str:
    """Return the state of an instance, a task or a severity in words."""
    return {
        "active": gettext("进行中"), "suspended": gettext("已挂起"), "completed": gettext("已完成"), "cancelled": gettext("已取消"),
        "open": gettext("待办理"), "archived": gettext("已归档"),
    }.get(str(status), str(status))


def incident_words(kind: str) -> str:
    """Say what an incident of this kind is and what to do."""
    return {
        "handler": gettext("系统任务多次失败。排除原因后重试。"),
        "expression": gettext("图中的表达式算不出结果，多半是缺少变量。补上变量后重试。"),
        "null_condition": gettext("判断条件缺少变量，不知道该走哪条路。补上变量后重试。"),
        "no_flow": gettext("没有一条路的条件成立。更正变量后重试。"),
        "bpmn_error": gettext("出现了图中没有安排处理的业务错误。更正变量后重试，或取消流程。"),
        "element": gettext("这一步执行出错。更正变量后重试。"),
        "stuck": gettext("汇合处再也等不齐，流程停在那里。更正流程图，或重试并以已到达的分支继续。"),
        "timer": gettext("定时的时间算不出来。更正变量后重试。"),
        "message": gettext("消息无法送达。查明原因后重试。"),
        "notification": gettext("通知多次发送失败。排除原因后重试。"),
        "endless": gettext("流程在原地循环，已停下。请流程负责人检查流程图。"),
    }.get(kind, gettext("系统无法自行继续。查明原因后重试。"))


def _places() -> list[Place]:
    who = may_ask()
    if who is None:
        return []
    places = [
        ("inbox.inbox", gettext("待办"), ("inbox.task", "inbox.assign")),
        ("inbox.start_list", gettext("发起"), ("inbox.start",)),
        ("calendars.calendar", gettext("日历"), ()),
        ("instances.instances", gettext("实例"), ("instances.",)),
        ("registers.registers", gettext("台账"), ("registers.",)),
        ("diagrams.definitions", gettext("流程"), ("diagrams.",)),
    ]
    if access.may(who, "see incidents"):
        places.append(("operations.incidents", gettext("异常"), ()))
    if access.may(who, "administer people"):
        places.append(("operations.people", gettext("用户与组"), ("operations.person",)))
    asked = request.endpoint or ""
    return [
        Place(label=label, url=url_for(endpoint), current=asked == endpoint or any(asked.startswith(p) for p in below))
        for endpoint, label, below in places
    ]
