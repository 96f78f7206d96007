"""Pages of process instances: the list, one instance with all that belongs to it, its replay and its printed report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain as joined
from typing import Any

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from engine import access, events
from engine.errors import BadHeads, InvalidValues, NotFound
from engine.events import Event, Recorded
from engine.forms import Form
from engine.model import ARCHIVED, BidCalendar, InstanceId, InstanceStatus, ProcessInstance, TokenId, UserTask
from web import diagrams
from web.context import actor, engine, known_names, now, person
from web.fields import draw, shown
from web.inbox import change_rows, may_do
from web.language import gettext, language
from web.sentences import reseal_reason, sentence, tell

bp = Blueprint("instances", __name__)

_PAGE = 30
#: Lines of the timeline that the page of an instance opens with.
_LINES = 60


@bp.get("/instances")
def instances() -> ResponseReturnValue:
    search, key = request.args.get("q", "").strip(), request.args.get("key") or None
    asked = request.args.get("status", "")
    status = asked if asked in {*InstanceStatus, ARCHIVED} else None
    page = engine().instances.list(actor(), key=key, status=status, search=search, limit=_PAGE, before=request.args.get("before") or None)
    known_names(i.started_by for i in page.items)
    return render_template(
        "instances.html", page=page, search=search, key=key, status=status, statuses=(*InstanceStatus, ARCHIVED),
        definitions=engine().deployments.definitions(actor()),
    )


@bp.get("/instance/<id:id>")
def instance(id: InstanceId) -> ResponseReturnValue:
    who = actor()
    found = engine().instances.get(who, id)
    history = engine().instances.history(who, id)
    definitions = engine().instances.diagrams(who, id)
    tasks = engine().tasks.of_instance(who, id)
    incidents = [i for i in engine().jobs.of_instance(who, id) if i.resolved_at is None]
    open_tasks = [t for t in tasks if t.ended_at is None]
    known_names([found.started_by, *(t.assignee for t in tasks), *(r.actor for r in history)])
    labels = diagrams.names(definitions)
    lines = tell(history, labels, person, newest_first=True, brief=True)
    calendar = engine().instances.bid_calendar(who, id)
    everything = request.args.get("all") == "1"
    return render_template(
        "instance.html", instance=found, tasks=open_tasks, incidents=incidents, documents=engine().instances.documents(who, id),
        expected=engine().messages.expected(who, id), labels=labels, lines=lines if everything else lines[:_LINES],
        hidden_lines=0 if everything else max(0, len(lines) - _LINES), viewer=diagrams.viewer_config(definitions, history, incidents),
        deadline=nearest_deadline(open_tasks), variables=_variables(id), may_change=bool(who.groups & access.CANCELLERS),
        may_mend=access.may(who, "mend incidents"), holds=engine().keep.holds(who, id) if access.may(who, "see holds") else (),
        may_hold=access.may(who, "hold"), may_erase=access.may(who, "erase"), calendar=calendar, submission=_ahead(calendar, "submit"), opening=_ahead(calendar, "opening"), holders=may_do(open_tasks),
        sealed=engine().sealed.of_instance(who, id), reseal_reason=reseal_reason,
    )


def nearest_deadline(tasks: Sequence[UserTask]) -> datetime | None:
    """Return the first instant at which something of the instance is too late, else its first due date."""
    hard = [t.deadline_at for t in tasks if t.deadline_at]
    soft = [t.due_at for t in tasks if t.due_at]
    return min(hard or soft, default=None)


def _ahead(calendar: BidCalendar | None, date: str) -> datetime | None:
    """Return a date of the tender (``submit``: until when the bid may be submitted) when it lies ahead: it counts before any task says so."""
    found = next((d.at for d in calendar.dates if d.id == date), None) if calendar else None
    return found if found is not None and found > now() else None


def _variables(id: InstanceId) -> list[tuple[str, str]] | None:
    """Return the variables for those who may see them, else None."""
    if not access.may(actor(), "see variables"):
        return None
    return [(name, shown(value)) for name, value in sorted(engine().instances.variables(actor(), id).items())]


# ----------------------------------------------------------------------------------------------------------- sealed prices
@bp.post("/instance/<id:id>/sealed/<field>")
def look(id: InstanceId, field: str) -> ResponseReturnValue:
    """Show a sealed price to somebody on the list; the answer of a post is neither kept nor shown again by going back."""
    reason = request.form.get("reason", "").strip()
    if not reason:
        flash(gettext("请填写理由后再提交。"), "bad")
        return redirect(url_for(".instance", id=id), 303)
    number = request.form.get("number", "")
    chosen = int(number) if number.isdecimal() and len(number) < 9 else None
    prices = [p for p in engine().sealed.of_instance(actor(), id) if p.field == field and (p.number == chosen if chosen else p.is_last)]
    if not prices:
        raise NotFound(what=gettext("密封报价"), id=field)
    value = engine().sealed.look(actor(), id, field, reason, number=chosen)
    rows = value if isinstance(value, list) and all(isinstance(row, dict) for row in value) else ()
    known_names([prices[0].sealed_by])
    response = Response(render_template(
        "sealed.html", instance=engine().instances.get(actor(), id), price=prices[0], value=value, rows=rows, shown=shown,
        columns=list(dict.fromkeys(key for row in rows for key in row)), reseal_reason=reseal_reason,
    ))  # fmt: skip
    response.headers["Cache-Control"] = "no-store"
    return response


# ------------------------------------------------------------------------------------------------- commands with a reason
@bp.post("/instance/<id:id>/<any(cancel, suspend):what>")
def stop(id: InstanceId, what: str) -> ResponseReturnValue:
    reason = request.form.get("reason", "").strip()
    if not reason:
        flash(gettext("请填写理由后再提交。"), "bad")
    elif what == "cancel":
        engine().instances.cancel(actor(), id, reason)
        flash(gettext("流程已取消。"))
    else:
        engine().instances.suspend(actor(), id, reason)
        flash(gettext("流程已挂起，恢复前不能办理。"))
    return redirect(url_for(".instance", id=id), 303)


@bp.post("/instance/<id:id>/resume")
def resume(id: InstanceId) -> ResponseReturnValue:
    engine().instances.resume(actor(), id)
    flash(gettext("流程已恢复。"))
    return redirect(url_for(".instance", id=id), 303)


# --------------------------------------------------------------------------------------------------------- what has to stay or go
@bp.post("/instance/<id:id>/hold")
def hold(id: InstanceId) -> ResponseReturnValue:
    reason = request.form.get("reason", "").strip()
    if not reason:
        flash(gettext("请填写理由后再提交。"), "bad")
    elif request.form.get("whole") == "1" and (key := engine().instances.get(actor(), id).business_key):
        engine().keep.hold(actor(), reason, business_key=key)
        flash(gettext("已对业务编号 %(key)s 的全部流程设置法定保全。", key=key))
    else:
        engine().keep.hold(actor(), reason, instance_id=id)
        flash(gettext("已设置法定保全，解除前不会归档或清除。"))
    return redirect(url_for(".instance", id=id), 303)


@bp.post("/instance/<id:id>/hold/<id:hold_id>/lift")
def lift_hold(id: InstanceId, hold_id: int) -> ResponseReturnValue:
    reason = request.form.get("reason", "").strip()
    if not reason:
        flash(gettext("请填写理由后再提交。"), "bad")
    else:
        engine().keep.lift(actor(), hold_id, reason)
        flash(gettext("法定保全已解除。"))
    return redirect(url_for(".instance", id=id), 303)


@bp.post("/instance/<id:id>/erase")
def erase(id: InstanceId) -> ResponseReturnValue:
    """Erase chosen fields and files; the page tells what had to stay."""
    reason = request.form.get("reason", "").strip()
    fields = [word for word in re.split(r"[\s,\uff0c\u3001]+", request.form.get("fields", "")) if word]
    documents = [int(d) for d in request.form.getlist("document") if d.isdecimal() and len(d) < 19]
    titles, everything = request.form.get("titles") == "1", request.form.get("everything") == "1"
    if not reason:
        flash(gettext("请填写理由后再提交。"), "bad")
    elif not (fields or documents or titles or everything):
        flash(gettext("请选择要清除的字段或文件。"), "bad")
    else:
        done = engine().keep.erase(actor(), id, reason, fields=fields, documents=documents, titles=titles, everything=everything)
        flash(gettext(
            "已清除 %(payloads)s 条记录中的内容、%(files)s 个文件、%(copies)s 处副本。此前的备份和导出文件中仍有原内容。",
            payloads=done.payload_count, files=done.document_count, copies=done.row_count,
        ))  # fmt: skip
        for left in done.left:
            flash(left.zh if language() == "zh" else left.en, "warn")
    return redirect(url_for(".instance", id=id), 303)


# -------------------------------------------------------------------------------------------------- events people register
@bp.get("/instance/<id:id>/event/<int:token>")
def event(id: InstanceId, token: TokenId) -> ResponseReturnValue:
    subscription, form = _expected(id, token)
    return _event_page(id, subscription, form, form.initial({}) if form else {})


def _expected(id: InstanceId, token: TokenId) -> tuple[Any, Form | None]:
    found = next((s for s in engine().messages.expected(actor(), id) if s.token == token), None)
    if found is None:
        raise NotFound(what=gettext("可登记的事件"), id=token)
    return found, engine().messages.form(actor(), id, token)


def _event_page(
    id: InstanceId, subscription: Any, form: Form | None, values: Any, problems: dict[str, tuple[str, str]] | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    labels = diagrams.names(engine().instances.diagrams(actor(), id))
    name = labels.get((subscription.process, subscription.element)) or subscription.name
    return render_template(
        "event.html", instance=engine().instances.get(actor(), id), subscription=subscription, name=name,
        drawing=draw(form, values, problems=problems),
    ), status


@bp.post("/instance/<id:id>/event/<int:token>")
def register_event(id: InstanceId, token: TokenId) -> ResponseReturnValue:
    subscription, form = _expected(id, token)
    raw = form.from_flat(request.form.to_dict(flat=False)) if form else {}
    if change_rows(raw):
        return _event_page(id, subscription, form, raw)
    try:
        engine().messages.send(actor(), id, token, raw)
    except InvalidValues as error:
        return _event_page(id, subscription, form, raw, error.problems, error.status)
    flash(gettext("已登记，流程继续。"))
    return redirect(url_for(".instance", id=id), 303)


# -------------------------------------------------------------------------------------------------------------------- why
@bp.get("/instance/<id:id>/why/<int:seq>")
def why(id: InstanceId, seq: int) -> ResponseReturnValue:
    """Tell of which values an event came."""
    tree = engine().instances.explain(actor(), id, seq)
    (recorded,) = engine().instances.history(actor(), id, after=seq - 1, limit=1)
    known_names([recorded.actor])
    labels = diagrams.names(engine().instances.diagrams(actor(), id))
    (line,) = tell([recorded], labels, person)
    return render_template(
        "why.html", instance=engine().instances.get(actor(), id), line=line, tree=tree, shown=shown,
        decision=recorded.event if isinstance(recorded.event, events.DecisionEvaluated) else None,
    )


# ----------------------------------------------------------------------------------------------------------------- replay
@bp.get("/instance/<id:id>/replay")
def replay(id: InstanceId) -> ResponseReturnValue:
    found = engine().instances.get(actor(), id)
    tasks = engine().tasks.of_instance(actor(), id)
    deadline = nearest_deadline(tasks)
    config = {
        "diagrams": diagrams.diagrams_config(engine().instances.diagrams(actor(), id)), "eventsUrl": url_for(".events_json", id=id),
        "deadline": deadline.isoformat() if deadline else None, "title": found.title or found.name, "subtitle": _chain_words(id),
        "back": {"url": url_for(".instance", id=id), "label": gettext("返回实例")},
    }
    return render_template("replay.html", config=config)


def _chain_words(id: InstanceId) -> str:
    """Say in one line whether the history is what was written."""
    breaks = engine().audit.verify(id)
    if breaks:
        return gettext("链校验未通过：第 %(seq)s 条（详见审计报告）", seq=breaks[0].seq)
    head = _head(id)
    return gettext("链校验通过 · 链头 %(head)s", head=str(head)[:16]) if head else gettext("链校验通过")


def _head(id: InstanceId) -> str:
    return engine().audit.head(id)


@bp.get("/api/instance/<id:id>/events")
def events_json(id: InstanceId) -> ResponseReturnValue:
    """Return the history as the replay plays it; what an event means is said here, in the reader's language."""
    history = engine().instances.history(actor(), id)
    known_names(r.actor for r in history)
    labels = diagrams.names(engine().instances.diagrams(actor(), id))
    return jsonify(events=[_event_json(r, labels) for r in history])


def _event_json(recorded: Recorded, labels: Any) -> dict[str, Any]:
    event = recorded.event
    told = sentence(event, labels, person)
    fact: dict[str, Any] = {
        "seq": recorded.seq, "at": recorded.at.isoformat(), "type": type(event).__name__, "actor": person(recorded.actor),
        "text": told.text if told else "", "tone": told.tone if told else "", "said": told.said if told else "",
    }
    for name in ("process", "element", "token", "flow", "to_token", "into", "scope", "host", "kind", "by"):
        value = getattr(event, name, None)
        if value is not None:
            fact[name] = value
    return fact


@bp.get("/instance/<id:id>/export")
def export(id: InstanceId) -> ResponseReturnValue:
    """Hand out the history for checking it elsewhere: one JSON line for each record."""
    lines = engine().instances.export(actor(), id)
    response = Response(joined(lines, (_proof(id),)), mimetype="application/x-ndjson")
    response.headers["Content-Disposition"] = f"attachment; filename=psmflow-{id}.jsonl"
    return response


def _proof(id: InstanceId) -> bytes:
    """Return the line that proves the instance to be in the newest signed head file; nothing when there is none that can be read."""
    try:
        return engine().heads.proof(actor(), id) or b""
    except BadHeads:
        return b""


# ----------------------------------------------------------------------------------------------------------------- report
@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One run of a user task on the report's time line; `left` and `width` in thousandths of it."""

    name: str
    who: str
    started_at: datetime
    ended_at: datetime | None
    left: float
    width: float
    late: bool


@bp.get("/instance/<id:id>/report")
def report(id: InstanceId) -> ResponseReturnValue:
    who = actor()
    found = engine().instances.get(who, id)
    history = engine().instances.history(who, id)
    tasks = engine().tasks.of_instance(who, id)
    known_names([found.started_by, *(t.assignee for t in tasks), *(t.ended_by for t in tasks), *(r.actor for r in history)])
    labels = diagrams.names(engine().instances.diagrams(who, id))
    deadline = nearest_deadline(tasks)
    bars, deadline_at = time_line(found, tasks, deadline, now())
    return render_template(
        "report.html", instance=found, lines=tell(history, labels, person), bars=bars, deadline=deadline, deadline_at=deadline_at,
        documents=engine().instances.documents(who, id), breaks=engine().audit.verify(id), head=_head(id), count=len(history),
        decisions=_told(history, labels, events.DecisionEvaluated),
    )


def _told(history: Sequence[Recorded], labels: Any, kind: type[Event]) -> list[Any]:
    return list(tell([r for r in history if isinstance(r.event, kind)], labels, person))


def time_line(
    found: ProcessInstance, tasks: Sequence[UserTask], deadline: datetime | None, at: datetime,
) -> tuple[list[Bar], float | None]:
    """Return the bars of the report's chart and the place of the deadline on it, in thousandths; open tasks reach to `at`."""
    ends = [t.ended_at or at for t in tasks] + [e for e in (found.ended_at, deadline) if e]
    start, end = found.started_at, max(ends, default=found.started_at)
    span = max((end - start).total_seconds(), 1.0)

    def place(at: datetime) -> float:
        return round((at - start).total_seconds() / span * 1000, 1)

    bars = [
        Bar(
            name=t.name, who=person(t.ended_by or t.assignee), started_at=t.created_at, ended_at=t.ended_at, left=place(t.created_at),
            width=round(max(3.0, place(t.ended_at or at) - place(t.created_at)), 1),
            late=bool(t.due_at and (t.ended_at or at) > t.due_at),
        )
        for t in sorted(tasks, key=lambda t: (t.created_at, t.id))
    ]
    return bars, place(deadline) if deadline else None
