"""Logging in and out, and the language switch."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import refresh
from flask_login import current_user, login_user, logout_user

from engine import SYSTEM, EngineError
from engine.access import GROUPS
from engine.model import User
from web.context import engine, settings
from web.guard import Person, authenticate, forget_session, open_to_all, safe_next
from web.language import LANGUAGES, gettext, language

bp = Blueprint("entry", __name__)

#: Of every demo user; demo mode is served to this machine alone.
_DEMO_PASSWORD = "demo"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoGroup:
    """Demo users under one heading. `named`: people with names of their own, several roles each. `folded`: shown on demand."""

    title: str
    users: list[User]
    named: bool = False
    folded: bool = False


@bp.get("/login")
@open_to_all
def login() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(safe_next(request.args.get("next")), 303)
    return _login_page("")


def _login_page(user_id: str, error: str = "", status: int = 200) -> ResponseReturnValue:
    return render_template(
        "login.html", user_id=user_id, error=error, demo=_demo_groups() if settings().demo else [], demo_password=_DEMO_PASSWORD,
        next=request.values.get("next", ""),
    ), status


def _demo_groups() -> list[DemoGroup]:
    """Return the five who carry a whole tender, then users of one role, in the order of the roles.

    Those whom the deployed processes need stand before those of the platform; where there are the five, folded after them.
    """
    team = list(engine().people.demo_team())
    users = sorted((u for u in engine().people.users(SYSTEM) if u.active and u not in team), key=_by_role)
    needed = {group for d in engine().deployments.definitions(SYSTEM) for group in d.info.groups | d.info.starter_groups}
    platform = [u for u in users if any(g in GROUPS and GROUPS[g].platform for g in u.groups)]
    busy = [u for u in users if u not in platform and u.groups & needed]
    work = DemoGroup(title=gettext("只有一个角色的用户") if team else gettext("业务"), users=busy, folded=bool(team))
    run = DemoGroup(title=gettext("平台"), users=platform)
    groups = [
        DemoGroup(title=gettext("一次完整投标的五个人"), users=team, named=True), *([run, work] if team else [work, run]),
        DemoGroup(title=gettext("暂时没有任务的角色"), users=[u for u in users if u not in platform and u not in busy], folded=True),
    ]
    return [g for g in groups if g.users]


def _by_role(user: User) -> tuple[int, str]:
    """Put people in the order in which the house knows its roles."""
    order = list(GROUPS)
    return min((order.index(g) for g in user.groups if g in GROUPS), default=len(order)), user.id


@bp.post("/login")
@open_to_all
def log_in() -> ResponseReturnValue:
    user_id = request.form.get("user", "").strip()
    try:
        who = authenticate(user_id, request.form.get("password", ""))
    except EngineError as error:
        return _login_page(user_id, error.text(language()), error.status if error.status >= 400 else 401)
    forget_session()
    login_user(Person(who, engine().people.stamp(who.id)))
    session.permanent = True
    return redirect(safe_next(request.form.get("next")), 303)


@bp.post("/logout")
def log_out() -> ResponseReturnValue:
    logout_user()
    forget_session()
    flash(gettext("您已退出。"))
    return redirect(url_for("entry.login"), 303)


@bp.post("/language")
@open_to_all
def choose_language() -> ResponseReturnValue:
    chosen = request.form.get("language", "")
    if chosen in LANGUAGES:
        session["language"] = chosen
        refresh()
    return redirect(safe_next(request.form.get("next")), 303)
