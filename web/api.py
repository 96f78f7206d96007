"""The JSON API: the essential commands with the same rules as the pages, under ``/api/v1/``.

Who asks logs in by the session of the pages (then a CSRF token is needed) or by HTTP Basic. Ids are decimal text, instants
ISO 8601 in UTC, values canonical JSON (`engine.feel.codec`). Errors: ``{"code", "message", "message_en", "facts"}``.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from engine import EngineError
from engine.events import Recorded
from engine.feel.codec import dump
from engine.forms import is_readable
from engine.model import (
    ARCHIVED,
    InstanceId,
    InstanceStatus,
    ProcessDefinition,
    ProcessInstance,
    RegisterEntry,
    TaskId,
    UserTask,
)
from web.context import actor, engine
from web.inbox import VIEWS
from web.registers import asked

bp = Blueprint("api", __name__, url_prefix="/api/v1")

_LIMIT = 200
_DEPTH = 64  #: values within values


class BadRequest(EngineError):
    """The body or a parameter is not what the API takes."""

    code = "bad_request"
    zh = "请求不正确：{problem}"
    en = "The request is not right: {problem_en}"


def _json(value: Any, status: int = 200) -> ResponseReturnValue:
    return Response(dump(value), status=status, mimetype="application/json")


def _body() -> dict[str, Any]:
    """Return the posted JSON object.

    Raises:
        BadRequest: not JSON, or not an object.
    """
    if not request.is_json:
        raise BadRequest(problem="Content-Type 须为 application/json", problem_en="Content-Type must be application/json")
    try:
        body = request.get_json(cache=False)
    except HTTPException as error:
        if error.code == 413:
            raise
        raise BadRequest(problem="正文不是有效的 JSON", problem_en="the body is not valid JSON") from error
    except RecursionError:
        raise BadRequest(problem="正文嵌套过深", problem_en="the body is nested too deep") from None
    _require_readable(body)
    if not isinstance(body, dict):
        raise BadRequest(problem="正文须为 JSON 对象", problem_en="the body must be a JSON object")
    return body


def _require_readable(value: Any) -> None:
    """Refuse what no column, page or file could hold: control characters, broken letters, endless nesting.

    Raises:
        BadRequest
    """
    level = [value]
    for _ in range(_DEPTH):
        inner: list[Any] = []
        for part in level:
            if isinstance(part, str) and not is_readable(part):
                raise BadRequest(problem="文本含有控制字符或无效字符", problem_en="a text holds control characters or broken letters")
            if isinstance(part, dict):
                inner += [*part, *part.values()]
            elif isinstance(part, list):
                inner += part
        if not inner:
            return
        level = inner
    raise BadRequest(problem="正文嵌套过深", problem_en="the body is nested too deep")


def _take(body: dict[str, Any], **kinds: type) -> dict[str, Any]:
    """Return the fields of `kinds` that the body has, each of its type; others are refused.

    Raises:
        BadRequest: an unknown field, or one of the wrong type.
    """
    for name, value in body.items():
        if name not in kinds:
            known = ", ".join(sorted(kinds))
            raise BadRequest(problem=f"未知字段 {name}；可用：{known}", problem_en=f"unknown field {name}; known: {known}")
        if value is not None and (not isinstance(value, kinds[name]) or (kinds[name] is int and isinstance(value, bool))):
            kind = kinds[name].__name__
            raise BadRequest(problem=f"字段 {name} 的类型须为 {kind}", problem_en=f"the field {name} must be a {kind}")
    return {name: value for name, value in body.items() if value is not None}


def _limit() -> int:
    asked = request.args.get("limit", "50")
    if not asked.isdecimal() or not 1 <= int(asked[:6]) <= _LIMIT:
        raise BadRequest(problem=f"limit 须为 1 到 {_LIMIT}", problem_en=f"limit must be 1 to {_LIMIT}")
    return int(asked)


def _key() -> str | None:
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > 200 or not key.isascii() or not is_readable(key):
        raise BadRequest(problem="Idempotency-Key 须为 200 字以内的 ASCII 文本", problem_en="Idempotency-Key must be at most 200 ASCII characters")
    return key or None


# ---------------------------------------------------------------------------------------------------------------- answers
def instance_json(found: ProcessInstance) -> dict[str, Any]:
    return {
        "id": str(found.id), "key": found.key, "definition_version": found.definition_version, "name": found.name, "title": found.title,
        "business_key": found.business_key, "status": found.status.value, "version": found.version,
        "started_at": found.started_at.isoformat(), "started_by": found.started_by,
        "ended_at": found.ended_at.isoformat() if found.ended_at else None, "outcome": found.outcome,
        "open_incident_count": found.open_incident_count, "url": url_for("instances.instance", id=found.id),
    }


def task_json(task: UserTask) -> dict[str, Any]:
    return {
        "id": str(task.id), "instance_id": str(task.instance_id), "process": task.process, "element": task.element, "name": task.name,
        "title": task.title, "business_key": task.business_key, "form": task.form, "state": task.state.value, "assignee": task.assignee,
        "candidate_groups": sorted(task.candidate_groups), "candidate_users": sorted(task.candidate_users), "priority": task.priority,
        "created_at": task.created_at.isoformat(), "due_at": task.due_at.isoformat() if task.due_at else None,
        "deadline_at": task.deadline_at.isoformat() if task.deadline_at else None, "version": task.version,
        "url": url_for("inbox.task", id=task.id),
    }


def definition_json(found: ProcessDefinition) -> dict[str, Any]:
    return {
        "id": str(found.id), "key": found.key, "version": found.version, "name": found.name, "version_tag": found.version_tag,
        "sha256": found.sha256, "deployed_at": found.deployed_at.isoformat(), "deployed_by": found.deployed_by,
        "startable": found.info.startable,
    }


def recorded_json(recorded: Recorded) -> dict[str, Any]:
    event = recorded.event
    return {
        "seq": recorded.seq, "at": recorded.at.isoformat(), "actor": recorded.actor, "acting_for": recorded.acting_for,
        "type": type(event).__name__, "version": event.version,
        # The payload holds what people typed, prices among it: the pages' forms decide who sees that, the log does not tell it.
        "facts": {n: _plain(getattr(event, n)) for n in event.__dataclass_fields__ if n not in event.payload},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    return list(value) if isinstance(value, tuple) else dict(value) if hasattr(value, "items") else value


# ------------------------------------------------------------------------------------------------------------- definitions
@bp.get("/definitions")
def definitions() -> ResponseReturnValue:
    return _json({"items": [definition_json(d) for d in engine().deployments.definitions(actor())]})


@bp.get("/definitions/<key>/start-events")
def start_events(key: str) -> ResponseReturnValue:
    return _json({"items": [{"id": e.id, "name": e.name} for e in engine().instances.start_events(actor(), key)]})


@bp.get("/start-timers")
def start_timers() -> ResponseReturnValue:
    return _json({"items": [
        {"key": t.process, "version": t.version, "name": t.name, "element": t.element, "due_at": t.due_at.isoformat()}
        for t in engine().deployments.start_timers(actor())
    ]})


# --------------------------------------------------------------------------------------------------------------- instances
@bp.post("/definitions/<key>/start")
def start(key: str) -> ResponseReturnValue:
    body = _take(_body(), variables=dict, business_key=str, title=str, version=int, start_event=str)
    found = engine().instances.start(actor(), key, body.pop("variables", {}), idempotency_key=_key(), **body)
    return _json(instance_json(found), 201)


@bp.get("/instances")
def instances() -> ResponseReturnValue:
    status = request.args.get("status")
    if status is not None and status not in {*InstanceStatus, ARCHIVED}:
        known = ", ".join((*InstanceStatus, ARCHIVED))
        raise BadRequest(problem=f"status 须为：{known}", problem_en=f"status must be one of {known}")
    page = engine().instances.list(
        actor(), key=request.args.get("key"), status=status or None, search=request.args.get("search", ""),
        limit=_limit(), before=request.args.get("before"),
    )
    return _json({"items": [instance_json(i) for i in page.items], "next": page.next})


@bp.get("/instances/<id:id>")
def instance(id: InstanceId) -> ResponseReturnValue:
    return _json(instance_json(engine().instances.get(actor(), id)))


@bp.get("/instances/<id:id>/tasks")
def instance_tasks(id: InstanceId) -> ResponseReturnValue:
    return _json({"items": [task_json(t) for t in engine().tasks.of_instance(actor(), id)]})


@bp.get("/instances/<id:id>/variables")
def variables(id: InstanceId) -> ResponseReturnValue:
    return _json({"variables": dict(engine().instances.variables(actor(), id))})


@bp.get("/instances/<id:id>/history")
def history(id: InstanceId) -> ResponseReturnValue:
    after = request.args.get("after", "0")
    if not after.isdecimal() or len(after) > 18:
        raise BadRequest(problem="after 须为整数", problem_en="after must be a whole number")
    found = engine().instances.history(actor(), id, after=int(after), limit=_limit())
    return _json({"items": [recorded_json(r) for r in found]})


@bp.get("/instances/<id:id>/history/<int:seq>/explanation")
def explanation(id: InstanceId, seq: int) -> ResponseReturnValue:
    return _json(engine().instances.explain(actor(), id, seq).as_json())


@bp.post("/instances/<id:id>/<any(cancel, suspend, resume):what>")
def change_instance(id: InstanceId, what: str) -> ResponseReturnValue:
    body = _take(_body(), reason=str)
    if what == "resume":
        engine().instances.resume(actor(), id)
    elif not body.get("reason", "").strip():
        raise BadRequest(problem="请给出 reason", problem_en="give a reason")
    elif what == "cancel":
        engine().instances.cancel(actor(), id, body["reason"])
    else:
        engine().instances.suspend(actor(), id, body["reason"])
    return _json(instance_json(engine().instances.get(actor(), id)))


# ------------------------------------------------------------------------------------------------------------------- tasks
@bp.get("/tasks")
def tasks() -> ResponseReturnValue:
    asked = request.args.get("view", "all")
    view = next((v for v in VIEWS if v == asked), None)
    if view is None:
        known = ", ".join(VIEWS)
        raise BadRequest(problem=f"view 须为：{known}", problem_en=f"view must be one of {known}")
    page = engine().tasks.inbox(actor(), view, search=request.args.get("search", ""), limit=_limit(), after=request.args.get("after"))
    return _json({"items": [task_json(t) for t in page.items], "next": page.next})


@bp.get("/tasks/<id:id>")
def task(id: TaskId) -> ResponseReturnValue:
    return _json(task_json(engine().tasks.get(actor(), id)))


@bp.post("/tasks/<id:id>/<any(claim, release):what>")
def claim_or_release(id: TaskId, what: str) -> ResponseReturnValue:
    if what == "claim":
        engine().tasks.claim(actor(), id)
    else:
        engine().tasks.release(actor(), id)
    return _json(task_json(engine().tasks.get(actor(), id)))


@bp.post("/tasks/<id:id>/complete")
def complete(id: TaskId) -> ResponseReturnValue:
    body = _take(_body(), values=dict, version=int)
    engine().tasks.complete(actor(), id, body.get("values", {}), version=body.get("version"), idempotency_key=_key())
    return _json({"id": str(id), "state": "completed"})


# --------------------------------------------------------------------------------------------------------------- registers
def entry_json(name: str, found: RegisterEntry) -> dict[str, Any]:
    return {
        "id": str(found.id), "version": found.version, "withdrawn": found.withdrawn, "added_at": found.added_at.isoformat(),
        "added_by": found.added_by, "changed_at": found.changed_at.isoformat(), "changed_by": found.changed_by,
        "flagged": found.flagged, "values": dict(found.values), "url": url_for("registers.entry", name=name, entry=found.id),
    }


@bp.get("/registers")
def registers() -> ResponseReturnValue:
    return _json({"items": [
        {"name": r.name, "title": r.title, "columns": [c.key for c in r.columns], "may_write": r.may_write(actor())}
        for r in engine().registers.all(actor())
    ]})


@bp.get("/registers/<name>")
def register(name: str) -> ResponseReturnValue:
    page = engine().registers.list(actor(), name, **asked(), limit=_limit(), after=request.args.get("after"))
    return _json({"items": [entry_json(name, e) for e in page.items], "next": page.next})


@bp.post("/registers/<name>")
def add_entry(name: str) -> ResponseReturnValue:
    body, key = _take(_body(), values=dict), _key()
    made = engine().registers.add(actor(), name, body.get("values", {}), once=None if key is None else f"{actor().id} {key}")
    return _json(entry_json(name, engine().registers.get(actor(), name, made)[0]), 201)


@bp.get("/registers/<name>/<id:entry>")
def register_entry(name: str, entry: int) -> ResponseReturnValue:
    found, versions = engine().registers.get(actor(), name, entry)
    return _json({**entry_json(name, found), "versions": [
        {"version": v.version, "seq": v.seq, "change": v.change, "at": v.at.isoformat(), "by": v.by, "reason": v.reason, "erased": list(v.erased),
         "values": dict(v.values)}
        for v in versions
    ]})


@bp.post("/registers/<name>/<id:entry>/<any(amend, withdraw):what>")
def change_entry(name: str, entry: int, what: str) -> ResponseReturnValue:
    body = _take(_body(), values=dict, reason=str, version=int)
    if "version" not in body:
        raise BadRequest(problem="请给出 version", problem_en="give the version that you looked at")
    if what == "amend":
        engine().registers.amend(actor(), name, entry, body.get("values", {}), body.get("reason", ""), version=body["version"])
    else:
        engine().registers.withdraw(actor(), name, entry, body.get("reason", ""), version=body["version"])
    return _json(entry_json(name, engine().registers.get(actor(), name, entry)[0]))


# ---------------------------------------------------------------------------------------------------------------- messages
@bp.post("/messages/<name>")
def message(name: str) -> ResponseReturnValue:
    body = _take(_body(), payload=dict, correlation_key=str, instance_id=str)
    target = body.pop("instance_id", None)
    if target is not None and not (target.isdecimal() and len(target) < 19):
        raise BadRequest(problem="instance_id 须为数字文本", problem_en="instance_id must be digits")
    reached = engine().messages.correlate(
        actor(), name, body.pop("payload", {}), instance_id=InstanceId(int(target)) if target else None, idempotency_key=_key(), raw=True,
        **body,
    )
    return _json({"instance_id": str(reached)})
