"""Pages of the registers: lists, entries with their versions, adding, correcting, withdrawing, export."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, BinaryIO, cast

from flask import Blueprint, Response, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue

from engine import access
from engine.clock import token
from engine.errors import FileRefused, InvalidValues, StalePage
from engine.forms import Component
from engine.model import ERASED, RegisterVersion, Values
from engine.registers import SOON, NewFile, Register
from web.context import actor, engine, known_names, now
from web.fields import Problems, draw, label_of, shown
from web.guard import takes_files
from web.inbox import change_rows, page_key
from web.language import gettext, language, local

bp = Blueprint("registers", __name__, url_prefix="/registers")

_PAGE = 30


@bp.app_template_filter()
def register_title(register: Register) -> str:
    """Return the title in the reader's language."""
    return register.title_en if language() == "en" and register.title_en else register.title


@bp.app_template_filter()
def flag_title(register: Register) -> str:
    """Return what an entry that is marked is called, in the reader's language."""
    flag = register.flag
    return "" if flag is None else flag.title_en if language() == "en" else flag.title


@bp.get("")
def registers() -> ResponseReturnValue:
    return render_template("registers.html", registers=engine().registers.all(actor()), me=actor())


def asked() -> dict[str, Any]:
    """Return what of a list was asked for, as `engine.registers.list` takes it; a day that is none is left out."""
    day = request.args.get("expiring", "")
    try:
        by = date.fromisoformat(day) if day else None
    except ValueError:
        by = None
    return {
        "search": request.args.get("q", request.args.get("search", "")).strip(), "sort": request.args.get("sort") or None,
        "descending": request.args.get("descending") == "1", "expiring_by": by, "withdrawn": request.args.get("withdrawn") == "1",
    }


def _link(wanted: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the query of a link to the same list, with `more` in place of what differs."""
    query = {
        "q": wanted["search"] or None, "sort": wanted["sort"], "descending": "1" if wanted["descending"] else None,
        "expiring": wanted["expiring_by"].isoformat() if wanted["expiring_by"] else None, "withdrawn": "1" if wanted["withdrawn"] else None,
    }
    return {**query, **more}


@bp.get("/<name>")
def register(name: str) -> ResponseReturnValue:
    found, wanted = engine().registers.register(actor(), name), asked()
    page = engine().registers.list(actor(), name, **wanted, limit=_PAGE, after=request.args.get("after") or None)
    known_names(e.added_by for e in page.items)
    today = local(now()).date()
    columns = [(c, label_of(c), _sorting(c, wanted)) for c in found.columns]
    return render_template(
        "register.html", register=found, page=page, wanted=wanted, columns=columns, link=lambda **more: _link(wanted, **more),
        may_write=found.may_write(actor()), reads_all=found.may_read(actor()), shown=shown, soon=(today + SOON).isoformat(),
        lateness=lambda entry: _lateness(found, entry.values, today),
    )


def _sorting(column: Component, wanted: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return how a list stands to a column (``aria-sort``), and the query of the link that turns it."""
    is_sorted = wanted["sort"] == column.key
    state = "none" if not is_sorted else "descending" if wanted["descending"] else "ascending"
    return state, _link(wanted, sort=column.key, descending="1" if state == "ascending" else None)


def _lateness(register: Register, values: Values, today: date) -> str:
    """Return ``late`` of what has run out, ``soon`` of what will before long, else nothing."""
    day = values.get(register.expiry_field)
    if not isinstance(day, date):
        return ""
    return "late" if day < today else "soon" if day <= today + SOON else ""


@bp.get("/<name>/export.csv")
def export(name: str) -> ResponseReturnValue:
    body = engine().registers.export(actor(), name, **asked(), english=language() == "en")
    response = Response(body, mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{local(now()):%Y%m%d}.csv"'
    return response


@bp.get("/<name>/<id:entry>")
def entry(name: str, entry: int) -> ResponseReturnValue:
    found = engine().registers.register(actor(), name)
    now_, versions = engine().registers.get(actor(), name, entry)
    known_names(v.by for v in versions)
    return render_template(
        "register_entry.html", register=found, entry=now_, versions=[(v, _changes(found, v, before)) for v, before in _pairs(versions)],
        fields=[(c, label_of(c), now_.values.get(c.key)) for c in found.form.inputs()], shown=shown, may_write=found.may_write(actor()),
        may_erase=access.may(actor(), "erase"), erased=ERASED, names=_names(found),
        files=[f for v in versions[:1] for c in found.form.inputs() if c.type == "filepicker" for f in v.values.get(c.key) or () if f["name"] != ERASED],
    )


def _names(register: Register) -> dict[str, str]:
    return {c.key: label_of(c) for c in register.form.inputs()}


def _pairs(versions: tuple[RegisterVersion, ...]) -> list[tuple[RegisterVersion, RegisterVersion | None]]:
    return list(zip(versions, (*versions[1:], None), strict=True))


def _changes(register: Register, version: RegisterVersion, before: RegisterVersion | None) -> list[tuple[str, str, str]]:
    """Return ``[(label, what stood before, what stands now)]``."""
    if before is None:
        return []
    labels = {c.key: (label_of(c), c) for c in register.form.inputs()}
    found = []
    for key in dict.fromkeys((*labels, *before.values, *version.values)):
        old, new = before.values.get(key), version.values.get(key)
        if old != new:
            label, component = labels.get(key, (key, None))
            found.append((label, shown(old, component), shown(new, component)))
    return found


@bp.get("/<name>/<id:entry>/file/<id:file>")
def file(name: str, entry: int, file: int) -> ResponseReturnValue:
    called, stream = engine().registers.open_file(actor(), name, entry, file)
    # Never shown inside the page: a file somebody uploaded must not run with our origin.
    response = send_file(stream, mimetype="application/octet-stream", as_attachment=True, download_name=called)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


# ------------------------------------------------------------------------------------------------------------------- writing
def _files() -> list[NewFile]:
    return [
        (field, file.filename, file.mimetype, cast(BinaryIO, file.stream))
        for field, file in request.files.items(multi=True) if file.filename
    ]


def _form_page(
    found: Register, values: Values, *, entry: int | None = None, version: int = 0, problems: Problems | None = None, alert: str = "",
    reason: str = "", status: int = 200,
) -> ResponseReturnValue:
    kept = [(label_of(c), f) for c in found.form.inputs() if c.type == "filepicker" for f in values.get(c.key) or () if isinstance(f, dict)]
    drawing = draw(found.form, {k: v for k, v in values.items() if not isinstance(v, list) or not any("sha256" in f for f in v if isinstance(f, dict))},
                   problems=problems)  # fmt: skip
    return render_template(
        "register_form.html", register=found, drawing=drawing, entry=entry, version=version, alert=alert, reason=reason, kept=kept,
        once=request.form.get("_once") or token(), lost=bool(problems) and drawing.takes_files,
    ), status


@bp.get("/<name>/add")
def add(name: str) -> ResponseReturnValue:
    return _form_page(engine().registers.register(actor(), name), {})


@bp.post("/<name>/add")
@takes_files
def add_now(name: str) -> ResponseReturnValue:
    found = engine().registers.register(actor(), name)
    raw = found.form.from_flat(request.form.to_dict(flat=False))
    if change_rows(raw):
        return _form_page(found, raw)
    try:
        made = engine().registers.add(actor(), name, raw, files=_files(), once=page_key(actor().id))
    except InvalidValues as error:
        return _form_page(found, raw, problems=error.problems, status=error.status)
    except FileRefused as error:
        return _form_page(found, raw, alert=error.text(language()), status=error.status)
    flash(gettext("已登记。"))
    return redirect(url_for(".entry", name=name, entry=made), 303)


@bp.get("/<name>/<id:entry>/amend")
def amend(name: str, entry: int) -> ResponseReturnValue:
    found = engine().registers.register(actor(), name)
    stands, _versions = engine().registers.get(actor(), name, entry)
    return _form_page(found, stands.values, entry=entry, version=stands.version)


@bp.post("/<name>/<id:entry>/amend")
@takes_files
def amend_now(name: str, entry: int) -> ResponseReturnValue:
    found = engine().registers.register(actor(), name)
    stands, _versions = engine().registers.get(actor(), name, entry)
    raw, reason = found.form.from_flat(request.form.to_dict(flat=False)), request.form.get("_reason", "").strip()
    files = {c.key: stands.values[c.key] for c in found.form.inputs() if c.type == "filepicker" and c.key in stands.values}
    typed: Values = {**raw, **files}
    version = int(text) if (text := request.form.get("_version", "")).isdecimal() and len(text) < 10 else 0
    if change_rows(raw):
        return _form_page(found, {**raw, **files}, entry=entry, version=version, reason=reason)
    if not reason:
        return _form_page(found, typed, entry=entry, version=version, alert=gettext("请填写理由后再提交。"), status=422)
    try:
        engine().registers.amend(actor(), name, entry, raw, reason, version=version, files=_files())
    except InvalidValues as error:
        return _form_page(found, typed, entry=entry, version=version, problems=error.problems, reason=reason, status=error.status)
    except FileRefused as error:
        return _form_page(found, typed, entry=entry, version=version, alert=error.text(language()), reason=reason, status=error.status)
    except StalePage as error:
        return _form_page(found, typed, entry=entry, version=stands.version, alert=error.text(language()), reason=reason, status=error.status)
    flash(gettext("已更正，原来的版本仍可查看。"))
    return redirect(url_for(".entry", name=name, entry=entry), 303)


@bp.post("/<name>/<id:entry>/withdraw")
def withdraw(name: str, entry: int) -> ResponseReturnValue:
    reason, version = request.form.get("reason", "").strip(), request.form.get("_version", "")
    if not reason:
        flash(gettext("请填写理由后再提交。"), "bad")
    else:
        engine().registers.withdraw(actor(), name, entry, reason, version=int(version) if version.isdecimal() and len(version) < 10 else 0)
        flash(gettext("已作废，仍可查看。"))
    return redirect(url_for(".entry", name=name, entry=entry), 303)



@bp.post("/<name>/<id:entry>/erase")
def erase(name: str, entry: int) -> ResponseReturnValue:
    """Erase chosen fields and files out of every version; the page tells what had to stay."""
    reason, everything = request.form.get("reason", "").strip(), request.form.get("everything") == "1"
    fields, files = request.form.getlist("field"), [int(f) for f in request.form.getlist("file") if f.isdecimal() and len(f) < 20]
    if not reason:
        flash(gettext("请填写理由后再提交。"), "bad")
    elif not (fields or files or everything):
        flash(gettext("请选择要清除的字段或文件。"), "bad")
    else:
        done = engine().registers.erase(actor(), name, entry, reason, fields=fields, files=files, everything=everything)
        flash(gettext(
            "已清除 %(payloads)s 条记录中的内容、%(files)s 个文件、%(copies)s 处副本。此前的备份和导出文件中仍有原内容。",
            payloads=done.payload_count, files=done.file_count, copies=done.row_count,
        ))  # fmt: skip
        for left in done.left:
            flash(left.zh if language() == "zh" else left.en, "warn")
    return redirect(url_for(".entry", name=name, entry=entry), 303)
