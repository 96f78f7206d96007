"""What staff live in: the inbox, the page of a task, starting a process, notices and documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Literal, cast

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue

from engine import EngineError, access
from engine.clock import token
from engine.errors import AmbiguousStart, FileRefused, InvalidValues, NotFound, StalePage
from engine.forms import Component, Form
from engine.model import MOST_COUNTED, DocumentId, ProcessDefinition, StartEvent, TaskId, UserTask, Values
from web import diagrams
from web.context import actor, engine, known_names, person
from web.fields import Choice, Drawing, Problems, Widget, draw, label_of, shown
from web.guard import takes_files
from web.language import gettext, group_name, language
from web.sentences import tell

bp = Blueprint("inbox", __name__)

View = Literal["all", "mine", "claimable", "overdue"]
VIEWS: tuple[View, ...] = ("all", "mine", "claimable", "overdue")
#: A page of the inbox.
_PAGE = 30
_LATEST = 5
#: Tasks that are named as coming next.
_NEXT = 3
#: People that are named as those who may do a task.
_NAMED = 5
#: The field by which a process with several beginnings asks which one.
_START_EVENT = "_start_event"


# -------------------------------------------------------------------------------------------------------------------- inbox
@bp.app_template_filter()
def so_many(count: int) -> str:
    """Return a number of tasks in figures; ``999+`` where no more are counted."""
    return str(count) if count <= MOST_COUNTED else f"{MOST_COUNTED}+"


@bp.get("/")
def inbox() -> ResponseReturnValue:
    view: View = next((v for v in VIEWS if v == request.args.get("view")), "all")
    search = request.args.get("q", "").strip()
    page = engine().tasks.inbox(actor(), view, search=search, limit=_PAGE, after=request.args.get("after") or None)
    known_names(t.assignee for t in page.items)
    return render_template("inbox.html", page=page, view=view, search=search, counts=engine().tasks.counts(actor()))


# --------------------------------------------------------------------------------------------------------------- one task
@dataclass(frozen=True, slots=True, kw_only=True)
class _Typed:
    """What stands in the form of a post, files already attached."""

    raw: dict[str, Any]
    problems: dict[str, tuple[str, str]]
    changed_rows: bool


@bp.get("/task/<id:id>")
def task(id: TaskId) -> ResponseReturnValue:
    shown_task = engine().tasks.get(actor(), id)
    form, values = _form(shown_task)
    return _task_page(shown_task, form, values)


def _form(shown_task: UserTask) -> tuple[Form | None, Values]:
    """Return the form as the actor may see it, and what it starts with: tables and read-only fields, draft, variables."""
    if shown_task.ended_at is not None:
        return None, {}
    form, values = engine().tasks.form(actor(), shown_task.id)
    return form, {**engine().tasks.context(actor(), shown_task.id), **values}


def _task_page(
    shown_task: UserTask, form: Form | None, values: Values, *, problems: Problems | None = None, alert: str = "", status: int = 200,
) -> ResponseReturnValue:
    who = actor()
    documents = engine().instances.documents(who, shown_task.instance_id)
    history = engine().instances.history(who, shown_task.instance_id)
    definitions = engine().instances.diagrams(who, shown_task.instance_id)
    mine = tuple(d for d in documents if d.task_id == shown_task.id)
    known_names((shown_task.assignee, shown_task.ended_by, *(r.actor for r in history[-_LATEST * 4:])))
    timeline = tell(history, diagrams.names(definitions), person, newest_first=True, brief=True)
    working = access.may_work_on(who, shown_task) and access.is_open(shown_task)
    return render_template(
        "task.html", task=shown_task, drawing=draw(form, values, problems=problems, documents=mine), has_form=form is not None,
        documents=documents, timeline=timeline[:_LATEST], alert=alert, working=working, once=_once(),
        may_claim=working and shown_task.assignee is None,
        may_release=shown_task.assignee is not None and access.is_open(shown_task) and _allowed(access.require_release, shown_task),
        may_assign=access.is_open(shown_task) and _allowed(access.require_assign, shown_task),
        viewer=diagrams.viewer_config(definitions, history, show=shown_task.process),
    ), status


def _allowed(rule: Any, shown_task: UserTask) -> bool:
    try:
        rule(actor(), shown_task)
    except EngineError:
        return False
    return True


@bp.post("/task/<id:id>")
@takes_files
def work_on(id: TaskId) -> ResponseReturnValue:
    """Take what was typed: files first, for a browser never fills a file field again; then the button that was pressed."""
    form: Form | None = None
    try:
        shown_task = engine().tasks.get(actor(), id)
        form, values = _form(shown_task)
        typed = _read(form, id)
        values = {**values, **(typed.raw if form is None else form.on_given_rows(typed.raw, values))}
        if typed.changed_rows:
            return _task_page(shown_task, form, values, problems=typed.problems)
        if "_draft" in request.form:
            engine().tasks.save_draft(actor(), id, typed.raw)
            flash(gettext("草稿已保存。"))
            if not typed.problems:
                return redirect(url_for(".task", id=id), 303)
        if typed.problems:
            raise InvalidValues(typed.problems)
        engine().tasks.complete(
            actor(), id, typed.raw, version=_whole(request.form.get("_version")), idempotency_key=page_key(),
        )
    except InvalidValues as error:
        return _task_page(shown_task, form, values, problems=error.problems, status=error.status)
    except StalePage as error:
        fresh = engine().tasks.get(actor(), id)
        return _task_page(fresh, form, values, alert=error.text(language()), status=error.status)
    except EngineError as error:
        return _closed_page(id, form, error)
    flash(gettext("“%(name)s”已提交。", name=shown_task.name))
    if coming := _coming(shown_task):
        flash(coming)
    return redirect(url_for(".inbox"), 303)


def _coming(done: UserTask) -> str:
    """Say whose turn it is in the process now; nothing when nobody's, or when machine work comes first."""
    tasks = [t for t in engine().tasks.of_instance(actor(), done.instance_id) if t.state == "open"][-_NEXT:]
    names = may_do(tasks)
    turns = dict[str, None]()
    for each in tasks:
        who = person(each.assignee) or names.get(each.id) or gettext("、").join(sorted(map(group_name, each.candidate_groups)))
        turns[gettext("“%(name)s”（%(who)s）", name=each.name, who=who)] = None
    return gettext("“%(title)s”接下来：%(tasks)s", title=done.title or done.process_name, tasks=gettext("、").join(turns)) if turns else ""


def may_do(tasks: Sequence[UserTask]) -> dict[TaskId, str]:
    """Say by name who may do each task that nobody has claimed; of more than a handful nothing is said, the role says it."""
    free = [t for t in tasks if t.assignee is None]
    held = engine().people.holders(actor(), {g for t in free for g in t.candidate_groups}) if free else {}
    known_names([*(id for ids in held.values() for id in ids), *(id for t in free for id in t.candidate_users)])
    roles = tuple(group.zh for group in access.GROUPS.values())  # a user named like its role says no more than the role
    found = {}
    for task in free:
        ids = dict.fromkeys((*sorted(task.candidate_users), *(id for g in sorted(task.candidate_groups) for id in held[g])))
        names = [name for name in map(person, ids) if not name.startswith(roles)]
        if 0 < len(names) <= _NAMED:
            found[task.id] = gettext("、").join(names)
    return found


def _closed_page(id: TaskId, form: Form | None, error: EngineError) -> ResponseReturnValue:
    """Say why a task cannot be worked on, what to do, and give back what was typed."""
    try:
        closed: UserTask | None = engine().tasks.get(actor(), id)
    except EngineError:
        closed = None
    labels = {c.key: c.label for c in form.inputs()} if form else {}
    raw = form.from_flat(request.form.to_dict(flat=False)) if form else _plain()
    typed = tuple((labels.get(k) or k, shown(v)) for k, v in raw.items() if v not in (None, "", [], False))
    if closed is not None:
        known_names((closed.ended_by, closed.assignee))
    return render_template("task_closed.html", task=closed, error=error, text=error.text(language()), typed=typed), error.status


def _plain() -> dict[str, Any]:
    return {k: "、".join(v) for k, v in request.form.to_dict(flat=False).items() if not k.startswith("_") and k != "csrf_token"}


def _read(form: Form | None, id: TaskId) -> _Typed:
    """Return the typed values; files are attached and rows added or removed as the pressed button says."""
    problems: dict[str, tuple[str, str]] = {}
    for field, file in request.files.items(multi=True):
        if not file.filename:
            continue
        try:
            engine().tasks.attach(actor(), id, field, file.filename, file.mimetype, cast(BinaryIO, file.stream))
        except FileRefused as error:
            problems[field] = (error.text("zh"), error.text("en"))
    detach = _whole(request.form.get("_detach"))
    if detach is not None:
        engine().tasks.detach(actor(), id, DocumentId(detach))
    raw = form.from_flat(request.form.to_dict(flat=False)) if form else {}
    changed = change_rows(raw)
    return _Typed(raw=raw, problems=problems, changed_rows=changed or detach is not None)


def change_rows(raw: dict[str, Any]) -> bool:
    """Add or remove the row that a button of the form names; False if none was pressed."""
    path, number = request.form.get("_add"), None
    if path is None and "_remove" in request.form:
        path, _, last = request.form["_remove"].rpartition(".")
        number = _whole(last)
    if path is None:
        return False
    *steps, name = path.split(".")
    scope: Any = raw
    for step in steps:
        if isinstance(scope, dict):
            scope = scope.get(step)
        elif isinstance(scope, list) and (place := _whole(step)) is not None and place < len(scope):
            scope = scope[place]
    rows = scope.get(name) if isinstance(scope, dict) else None
    if isinstance(rows, list):
        if number is None:
            rows.append({})
        elif number < len(rows):
            del rows[number]
    return True


def _once() -> str:
    """Return a word that names this copy of a page; a page drawn again keeps its own."""
    return request.form.get("_once") or token()


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 19 else None


def page_key(*more: str) -> str | None:
    """Return a key that a double click repeats and a changed second try does not."""
    if not request.form.get("_once"):
        return None
    typed = sorted((name, values) for name, values in request.form.lists() if name not in ("csrf_token", "_version"))
    return hashlib.sha256(json.dumps([typed, *more]).encode()).hexdigest()


@bp.post("/task/<id:id>/claim")
def claim(id: TaskId) -> ResponseReturnValue:
    engine().tasks.claim(actor(), id)
    flash(gettext("已领取，请办理。"))
    return redirect(url_for(".task", id=id), 303)


@bp.post("/task/<id:id>/release")
def release(id: TaskId) -> ResponseReturnValue:
    engine().tasks.release(actor(), id)
    flash(gettext("已退回，其他人可以领取。"))
    return redirect(url_for(".inbox"), 303)


@bp.route("/task/<id:id>/assign", methods=["GET", "POST"])
def assign(id: TaskId) -> ResponseReturnValue:
    shown_task = engine().tasks.get(actor(), id)
    if request.method == "POST":
        user, reason = request.form.get("user", "").strip(), request.form.get("reason", "").strip()
        if user and reason:
            engine().tasks.assign(actor(), id, user, reason)
            flash(gettext("已转派给%(name)s。", name=person(user)))
            return redirect(url_for(".inbox"), 303)
        return _assign_page(shown_task, missing=(not user, not reason), status=422)
    access.require_assign(actor(), shown_task)
    return _assign_page(shown_task)


def _assign_page(shown_task: UserTask, missing: tuple[bool, bool] = (False, False), status: int = 200) -> ResponseReturnValue:
    people = [u for u in engine().people.users(actor()) if u.active and u.id != shown_task.assignee]
    return render_template("assign.html", task=shown_task, people=people, missing=missing, typed=request.form), status


# -------------------------------------------------------------------------------------------------------------------- start
@bp.get("/start")
def start_list() -> ResponseReturnValue:
    definitions = engine().instances.startable(actor())
    return render_template("start.html", stages=_by_stage(definitions))


def _by_stage(definitions: Iterable[ProcessDefinition]) -> list[tuple[str, list[ProcessDefinition]]]:
    """Return ``[(stage, definitions), …]`` in the order of the work: the pre-sales process, its stages, bidding, the rest."""
    titles = (gettext("售前总流程"), gettext("售前各阶段"), gettext("投标流程"), gettext("其他流程"))
    stages: dict[str, list[ProcessDefinition]] = {}
    for definition in sorted(definitions, key=diagrams.stage):
        stages.setdefault(titles[diagrams.stage(definition)[0]], []).append(definition)
    return list(stages.items())


@bp.get("/start/<key>")
def start(key: str) -> ResponseReturnValue:
    definition, form, values = _start_form(key)
    return _start_page(definition, form, values)


def _start_form(key: str) -> tuple[ProcessDefinition, Form | None, Values]:
    form, values = engine().instances.start_form(actor(), key)
    definition = next((d for d in engine().instances.startable(actor()) if d.key == key), None)
    if definition is None:
        raise NotFound(what=gettext("可发起的流程"), id=key)
    return definition, form, values


def _names_it(form: Form | None) -> Component | None:
    """Return the field whose text names the instance when no title is given: the first line of text that must be filled in."""
    return next((c for c in form.inputs() if c.type == "textfield" and c.required and not c.price_field), None) if form else None


def _title_of(form: Form | None, raw: Mapping[str, Any]) -> str:
    field = _names_it(form)
    return str(raw.get(field.key) or "").strip()[:200] if field else ""


def _start_page(
    definition: ProcessDefinition, form: Form | None, values: Values, problems: Problems | None = None, status: int = 200,
) -> ResponseReturnValue:
    drawing = draw(form, values, problems=problems)
    events = engine().instances.start_events(actor(), definition.key)
    if len(events) > 1:
        drawing = _with_start_events(drawing, events, is_refused=status >= 400)
    return render_template(
        "start_one.html", definition=definition, drawing=drawing, typed=request.form, once=_once(),
        title_from=label_of(field) if (field := _names_it(form)) else "",
    ), status


def _with_start_events(drawing: Drawing, events: Iterable[StartEvent], *, is_refused: bool) -> Drawing:
    """Let a person choose, before the form, with which start event the process begins."""
    chosen, anchor = _start_event(events), f"f-{_START_EVENT}"
    label, error = gettext("从哪里开始"), gettext("请选择从哪里开始。") if is_refused and chosen is None else ""
    asked = Widget(
        kind="radio", id=anchor, name=_START_EVENT, label=label, error=error, required=True,
        choices=tuple(Choice(id=f"{anchor}-{n}", value=e.id, label=e.name, chosen=e.id == chosen) for n, e in enumerate(events)),
    )
    problems = ((anchor, label, error), *drawing.problems) if error else drawing.problems
    return replace(drawing, widgets=(asked, *drawing.widgets), problems=problems)


def _start_event(events: Iterable[StartEvent]) -> str | None:
    """Return the start event that was chosen on the page, None if none was."""
    return next((e.id for e in events if e.id == request.form.get(_START_EVENT)), None)


@bp.post("/start/<key>")
def start_now(key: str) -> ResponseReturnValue:
    definition, form, _ = _start_form(key)
    raw = form.from_flat(request.form.to_dict(flat=False)) if form else {}
    if change_rows(raw):
        return _start_page(definition, form, raw)
    try:
        instance = engine().instances.start(
            actor(), key, raw, title=request.form.get("_title", "").strip() or _title_of(form, raw), business_key=request.form.get("_business_key", "").strip(),
            idempotency_key=page_key(), start_event=_start_event(engine().instances.start_events(actor(), key)),
        )
    except InvalidValues as error:
        return _start_page(definition, form, raw, error.problems, error.status)
    except AmbiguousStart:
        return _start_page(definition, form, raw, status=InvalidValues.status)
    flash(gettext("“%(name)s”已发起。", name=instance.title or instance.name))
    return redirect(url_for("instances.instance", id=instance.id), 303)


# --------------------------------------------------------------------------------------------------- documents and notices
@bp.get("/document/<id:id>")
def document(id: DocumentId) -> ResponseReturnValue:
    found, stream = engine().tasks.open_document(actor(), id)
    # Never shown inside the page: a file somebody uploaded must not run with our origin.
    response = send_file(stream, mimetype="application/octet-stream", as_attachment=True, download_name=found.name)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@bp.get("/notices")
def notices() -> ResponseReturnValue:
    unread = request.args.get("unread") == "1"
    return render_template("notices.html", notices=engine().people.notices(actor(), unread=unread, limit=100), only_unread=unread)


@bp.post("/notices/<id:id>/read")
def read_notice(id: int) -> ResponseReturnValue:
    engine().people.read_notice(actor(), id)
    return redirect(url_for(".notices"), 303)


