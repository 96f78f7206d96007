"""Pages for those who keep the house running: incidents, people, and the machine's own questions (health)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from engine import EngineError, access
from engine.access import GROUPS
from engine.errors import NotFound
from engine.metrics import CONTENT_TYPE
from engine.model import Incident, IncidentId
from web import diagrams
from web.context import actor, engine, known_names, settings
from web.guard import is_loopback, may_ask, open_to_all, problem
from web.language import gettext, language

bp = Blueprint("operations", __name__)

_LIMIT = 200


# ---------------------------------------------------------------------------------------------------------------- incidents
@bp.get("/incidents")
def incidents() -> ResponseReturnValue:
    is_open = request.args.get("view") != "resolved"
    found = engine().jobs.incidents(actor(), open=is_open, limit=_LIMIT)
    known_names(i.resolved_by for i in found)
    return render_template(
        "incidents.html", groups=grouped(found), is_open=is_open, count=len(found), limit=_LIMIT,
        may_mend=access.may(actor(), "mend incidents"), timers=diagrams.timed_starts() if is_open else [],
    )


def grouped(found: Iterable[Incident]) -> list[tuple[Incident, list[Incident]]]:
    """Return ``[(first of the group, all of it), …]``: one group for each element and message, largest first."""
    groups: dict[tuple[str, str, str, str], list[Incident]] = {}
    for incident in found:
        groups.setdefault((incident.process, incident.element, incident.kind, incident.message), []).append(incident)
    return sorted(((g[0], g) for g in groups.values()), key=lambda g: -len(g[1]))


@bp.post("/incidents/<id:id>/retry")
def retry(id: IncidentId) -> ResponseReturnValue:
    reason = request.form.get("reason", "").strip()
    back = redirect(url_for("instances.instance", id=int(request.form["instance"])) if _is_id(request.form.get("instance")) else url_for(".incidents"), 303)
    if not reason:
        flash(gettext("请填写理由后再提交。"), "bad")
        return back
    try:
        values = mended_values(request.form.get("values", ""))
    except ValueError as error:
        flash(str(error), "bad")
        return back
    engine().jobs.retry(actor(), id, values, reason)
    flash(gettext("已重新执行。结果见流程的时间线。"))
    return back


def _is_id(text: str | None) -> bool:
    return bool(text and text.isdecimal() and len(text) < 19)


def mended_values(text: str) -> dict[str, Any]:
    """Return the variables a person corrects: a JSON object, or lines ``name = value`` with JSON values or plain words.

    Raises:
        ValueError: says which line is not understood.
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(gettext("更正的变量不是有效的 JSON：%(error)s", error=error)) from error
        return dict(values)
    found: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name.isidentifier():
            raise ValueError(gettext("更正的变量第 %(number)s 行应写成：变量名 = 值", number=number))
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


# ------------------------------------------------------------------------------------------------------------------- people
@bp.get("/people")
def people() -> ResponseReturnValue:
    return _people_page()


def _people_page(error: str = "", status: int = 200) -> ResponseReturnValue:
    access.require(actor(), "administer people")
    return render_template("people.html", users=engine().people.users(actor()), groups=GROUPS.values(), error=error, typed=request.form), status


@bp.post("/people")
def add_person() -> ResponseReturnValue:
    user_id, name = request.form.get("id", "").strip(), request.form.get("name", "").strip()
    password = request.form.get("password", "")
    if not (user_id and name and password):
        return _people_page(gettext("请填写用户名、姓名和初始密码。"), 422)
    try:
        engine().people.add_user(actor(), user_id, name, password, _groups(), request.form.get("mail", "").strip())
    except EngineError as error:
        if error.status == 403:
            raise
        return _people_page(error.text(language()), error.status)
    flash(gettext("已添加%(name)s。", name=name))
    return redirect(url_for(".person_page", user_id=user_id), 303)


def _groups() -> frozenset[str]:
    return frozenset(g for g in request.form.getlist("groups") if g in GROUPS)


@bp.get("/people/<user_id>")
def person_page(user_id: str) -> ResponseReturnValue:
    access.require(actor(), "administer people")
    user = next((u for u in engine().people.users(actor()) if u.id == user_id), None)
    if user is None:
        raise NotFound(what=gettext("用户"), id=user_id)
    return render_template("person.html", user=user, groups=GROUPS.values())


@bp.post("/people/<user_id>")
def change_person(user_id: str) -> ResponseReturnValue:
    match request.form.get("change"):
        case "groups":
            engine().people.set_groups(actor(), user_id, _groups())
            flash(gettext("角色已更新。"))
        case "password" if request.form.get("password"):
            engine().people.set_password(actor(), user_id, request.form["password"])
            flash(gettext("密码已更改。"))
        case "activate" | "deactivate" as what:
            engine().people.set_active(actor(), user_id, what == "activate")
            flash(gettext("账号状态已更新。"))
        case _:
            flash(gettext("没有可保存的更改。"), "bad")
    return redirect(url_for(".person_page", user_id=user_id), 303)


# ------------------------------------------------------------------------------------------------------------------- health
@bp.get("/health")
@open_to_all
def health() -> ResponseReturnValue:
    """For monitoring: is work being done? 503 when the database or the dispatcher is silent or due work waits for more than a minute."""
    found = engine().audit.health()
    seen = found.dispatcher_seen_at
    facts: dict[str, Any] = {
        "ok": found.ok, "at": found.at.isoformat(), "database": found.database, "schema_current": found.schema,
        "dispatcher": "never seen" if seen is None else "silent" if found.dispatcher_silent else "alive",
        "timer_lag_seconds": found.timer_lag.total_seconds(), "job_lag_seconds": found.job_lag.total_seconds(),
    }
    if may_ask() is not None:
        facts |= {
            "waiting_jobs": found.waiting_job_count, "failed_jobs": found.failed_job_count,
            "open_incidents": found.open_incident_count, "active_instances": found.active_instance_count,
        }
    return jsonify(facts), 200 if found.ok else 503


@bp.get("/ready")
@open_to_all
def ready() -> ResponseReturnValue:
    """For a load balancer: may requests be sent here?"""
    is_ready = engine().audit.health().ready
    return jsonify(ready=is_ready), 200 if is_ready else 503


@bp.get("/metrics")
@open_to_all
def metrics() -> ResponseReturnValue:
    """For Prometheus: to whoever sends the token of the settings; without one, to this machine as long as nothing stands before it."""
    token, given = settings().metrics_token, request.authorization
    if token:
        sent = given.token if given is not None and given.type == "bearer" else None
        may = sent is not None and compare_digest(sent.encode(), token.encode())
    else:
        # a proxy on this machine would make everybody's requests this machine's
        may = is_loopback(request.remote_addr or "") and is_loopback(urlsplit(settings().base_url).hostname or "")
    if not may:
        return problem(
            403, "metrics_closed", "指标只对持有 PSMFLOW_METRICS_TOKEN 的程序开放。", "Send the token of PSMFLOW_METRICS_TOKEN as Authorization: Bearer …",
        )
    return Response(engine().audit.metrics(), content_type=CONTENT_TYPE)
