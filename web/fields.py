"""Draws a form: turns the engine's components, values and problems into what the templates print, with nothing left to decide.

What a form accepts is the engine's business (`engine.forms`); here a value only becomes text, in the reader's language, and
every input gets its id, its label, and the ids of its hint and its error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from engine.forms import MOST_ROWS, Column, Component, Form, is_envelope
from engine.model import Document
from web.context import active_people, person_with_id
from web.language import gettext, group_name, language, local, when

#: ``{path of the field: (Chinese, English)}``
Problems = Mapping[str, tuple[str, str]]
_KINDS = {"textfield": "text", "number": "text", "textarea": "textarea", "select": "select", "filepicker": "file"}
#: Inputs of a row that a cell of a spreadsheet can fill.
_CELLS = {
    "textfield": "text", "textarea": "text", "number": "number", "checkbox": "checkbox", "select": "choice", "radio": "choice",
    "checklist": "choices",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    id: str
    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """One thing on the page. `kind` picks the macro; `name` is the path that the post carries."""

    kind: str
    id: str = ""
    name: str = ""
    label: str = ""
    hint: str = ""
    error: str = ""
    text: str = ""  #: the value as it stands in the input, or the words of a text
    required: bool = False
    checked: bool = False
    input_type: str = "text"
    input_mode: str = ""
    max_length: int | None = None
    offers: str = ""  #: id of the list of people it offers, of `Drawing.people`
    named: str = ""  #: whom the id in it names
    choices: tuple[Choice, ...] = ()
    accept: str = ""
    multiple: bool = False
    documents: tuple[Document, ...] = ()
    columns: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ()
    rows: tuple[tuple[Widget, ...], ...] = ()
    blank_row: tuple[Widget, ...] = ()
    sheet: str = ""  #: of rows: their columns as JSON for the script that fills them from a spreadsheet; empty when it cannot
    most_rows: int = MOST_ROWS
    is_fixed: bool = False  #: of rows: none is added or taken away
    children: tuple[Widget, ...] = ()

    @property
    def described_by(self) -> str:
        """Ids of what explains this input, for ``aria-describedby``."""
        return " ".join(filter(None, (f"h-{self.name}" if self.hint else "", f"e-{self.name}" if self.error else "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A form ready to print. `problems`: ``((anchor, label, message), …)`` for the summary, in the order of the page."""

    widgets: tuple[Widget, ...] = ()
    problems: tuple[tuple[str, str, str], ...] = ()
    takes_files: bool = False
    takes_sheets: bool = False
    people: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)  #: ``{id of a list: ((user id, name and roles), …)}``


@dataclass(slots=True)
class _Pen:
    problems: Problems
    documents: tuple[Document, ...]
    values: Mapping[str, Any]
    people: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    told: list[tuple[str, str, str]] = field(default_factory=list)
    has_files: bool = False
    has_sheets: bool = False


def draw(
    form: Form | None, values: Mapping[str, Any], *, problems: Problems | None = None, documents: Iterable[Document] = (),
) -> Drawing:
    """Return the form as the templates print it.

    Args:
        values: what stands in it: typed values of the engine, or texts as a person typed them.
        problems: as `InvalidValues.problems`; one that fits no field of the form is told in the summary alone.
        documents: the files attached so far.
    """
    if form is None:
        return Drawing()
    pen = _Pen(problems or {}, tuple(documents), values)
    widgets = tuple(_widget(pen, c, values, "") for c in form.components)
    drawn = {anchor[2:] for anchor, _label, _text in pen.told}
    stray = tuple(("main", path, _words(text)) for path, text in pen.problems.items() if path not in drawn)
    return Drawing(widgets=widgets, problems=(*pen.told, *stray), takes_files=pen.has_files, takes_sheets=pen.has_sheets, people=pen.people)


def _words(problem: tuple[str, str]) -> str:
    return problem[0] if language() == "zh" else problem[1]


def label_of(component: Component) -> str:
    """Return the label in the reader's language."""
    return component.label_en if language() == "en" and component.label_en else component.label


def _widget(pen: _Pen, component: Component, values: Mapping[str, Any], prefix: str, *, where: str = "") -> Widget:
    """Draw one component of the scope `values`; `where` names its row for the error summary."""
    name, label, value = prefix + component.key, label_of(component), values.get(component.key)
    match component.type:
        case "group":
            children = tuple(_widget(pen, c, values, prefix, where=where) for c in component.components)
            return Widget(kind="group", label=label, children=children)
        case "text":
            return Widget(kind="text", text=component.text)
        case "table":
            return _table(component, label, pen.values)
        case "separator" | "spacer":
            return Widget(kind=component.type)
    if component.stamp:
        return Widget(kind="readonly", id=f"f-{name}", name=name, label=label, text=gettext("提交时由系统填写办理人"), hint=component.description)
    if component.readonly:
        return Widget(kind="readonly", id=f"f-{name}", name=name, label=label, text=shown(value, component), hint=component.description)
    if component.type == "dynamiclist":
        return _rows(pen, component, label, value, name)
    error = _words(pen.problems[name]) if name in pen.problems else ""
    if error:
        pen.told.append((f"f-{name}", where + label, error))
    common: dict[str, Any] = {
        "id": f"f-{name}", "name": name, "label": label, "hint": _hint(component), "error": error, "required": component.required,
    }
    match component.type:
        case "checkbox":
            return Widget(kind="checkbox", checked=value in (True, "on", "true", "1"), **common)
        case "radio" | "checklist" | "select":
            chosen = {_text(v, component) for v in (value if isinstance(value, (list, tuple)) else [value]) if v is not None}
            choices = tuple(
                Choice(id=f"f-{name}-{n}", value=o.value, label=o.label, chosen=o.value in chosen) for n, o in enumerate(component.options)
            )
            return Widget(kind="select" if component.type == "select" else component.type, choices=choices, **common)
        case "filepicker":
            pen.has_files = True
            attached = tuple(d for d in pen.documents if d.field == name)
            return Widget(kind="file", documents=attached, accept=",".join(component.accept), multiple=component.multiple, **common)
        case "datetime":
            kind = {"date": "date", "time": "time", "datetime": "datetime-local"}[component.subtype]
            return Widget(kind="input", input_type=kind, text=_text(value, component), **common)
        case "textarea":
            return Widget(kind="textarea", text=_text(value, component), max_length=component.max_length, **common)
        case "number":
            return Widget(kind="input", input_mode="decimal", text=_text(value, component), **common)
    if component.person is not None:
        typed = _text(value, component)
        named = person_with_id(typed)
        return Widget(
            kind="input", text=typed, named="" if named == typed else named, offers=_offered(pen, component.person),
            max_length=component.max_length, **common,
        )
    return Widget(kind="input", text=_text(value, component), max_length=component.max_length, **common)


def _offered(pen: _Pen, roles: tuple[str, ...]) -> str:
    """Return the id of the list of the people who hold one of these roles, of everybody when there are none."""
    id = "-".join(("people", *roles))
    if id not in pen.people:
        pen.people[id] = tuple(
            (u.id, " · ".join(filter(None, (u.name, gettext("、").join(sorted(map(group_name, u.groups)))))))
            for u in active_people() if not roles or not u.groups.isdisjoint(roles)
        )
    return id


def _hint(component: Component) -> str:
    """Say what is accepted before a person runs into it."""
    parts = [component.description]
    if component.required_if is not None and not component.required:
        parts.append(gettext("视情况必填。"))
    if component.sealed:
        parts.append(gettext("提交后即密封：开标前只有报价访问名单上的人说明理由后能查看。"))
    if component.accept:
        parts.append(gettext("可上传：%(types)s", types=" ".join(component.accept)))
    return " ".join(filter(None, (*parts, _limits(component))))


def _limits(component: Component) -> str:
    """Say how much is wanted, where a usual answer may fall short of it: nobody need be told that an amount is not below 0."""
    least, most, few = component.minimum, component.maximum, component.min_length
    if few is not None and few > _SHORT:
        return gettext("至少 %(count)s 个字。", count=few)
    if least is not None and most is not None:
        return gettext("%(least)s 至 %(most)s。", least=least, most=most)
    if most is not None:
        return gettext("不大于 %(most)s。", most=most)
    return gettext("不小于 %(least)s。", least=least) if least is not None and least > 1 else ""


_SHORT = 2  #: characters: a name has so many


def _rows(pen: _Pen, component: Component, label: str, value: Any, name: str) -> Widget:
    rows: Sequence[Any] = value if isinstance(value, (list, tuple)) else ()
    if not rows:
        rows = ({},)
    drawn = []
    for n, row in enumerate(rows):
        where = gettext("%(list)s第 %(number)s 行 ", list=label, number=n + 1)
        scope = row if isinstance(row, Mapping) else {}
        drawn.append(tuple(_widget(pen, c, scope, f"{name}.{n}.", where=where) for c in component.components))
    error = _words(pen.problems[name]) if name in pen.problems else ""
    if error:
        pen.told.append((f"f-{name}", label, error))
    quiet = _Pen({}, (), {}, pen.people)
    # A row to copy carries a place that no real row has, so that no id stands twice on the page.
    blank = tuple(_widget(quiet, c, {}, f"{name}.{len(drawn)}.") for c in component.components)
    sheet = _sheet(component)
    pen.has_sheets = pen.has_sheets or bool(sheet)
    return Widget(
        kind="rows", id=f"f-{name}", name=name, label=label, hint=_hint(component), error=error, required=component.required,
        rows=tuple(drawn), blank_row=blank, sheet="" if component.fixed_rows else sheet, is_fixed=component.fixed_rows,
    )


def _sheet(component: Component) -> str:
    """Return the columns that a spreadsheet may fill, ``[{key, labels, kind, …}]`` as `src/sheet.js` reads them."""
    columns: list[dict[str, Any]] = []
    for each in Form(id="", components=component.components).inputs():
        kind = each.subtype if each.type == "datetime" else _CELLS.get(each.type)
        if kind is None or not each.is_input or each.stamp:
            continue
        column: dict[str, Any] = {"key": each.key, "labels": [each.label, each.label_en], "kind": kind}
        if each.options:
            column["options"] = [{"value": o.value, "label": o.label} for o in each.options]
        if each.max_length:
            column["longest"] = each.max_length
        columns.append(column)
    return json.dumps(columns, ensure_ascii=False) if columns else ""


def _table(component: Component, label: str, values: Mapping[str, Any]) -> Widget:
    source = values.get(component.source)
    rows = [r for r in source if isinstance(r, Mapping)] if isinstance(source, (list, tuple)) else []
    cells = tuple(tuple(shown(row.get(c.key), c) for c in component.columns) for row in rows)
    return Widget(kind="table", label=label, columns=tuple(c.label or c.key for c in component.columns), cells=cells)


def _text(value: Any, component: Component) -> str:
    """Return the value as its input takes it; what a person typed stays as typed."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            at = local(value) if value.tzinfo else value
            return at.strftime("%Y-%m-%d" if component.type == "datetime" and component.subtype == "date" else "%Y-%m-%dT%H:%M")
        case date():
            return value.isoformat()
        case time():
            return value.strftime("%H:%M")
        case Decimal():
            return format(value, "f")
    return str(value)


def _figure(value: int | Decimal) -> str:
    """Return a figure with its thousands grouped, from ten thousand on: a year stays a year."""
    number = Decimal(value)
    return format(number, "f" if abs(number) < Decimal(10_000) else ",f")


def shown(value: Any, component: Component | Column | None = None) -> str:
    """Return a value in words a person reads: figures grouped, instants in the house's zone, choices by their labels."""
    labels = {o.value: o.label for o in component.options} if component else {}
    match value:
        case None | "":
            return "—"
        case bool():
            return gettext("是") if value else gettext("否")
        case str() if component and component.person is not None:
            return person_with_id(value)
        case str():
            return labels.get(value, value)
        case int() | Decimal():
            return labels.get(str(value)) or _figure(value)
        case datetime():
            return when(value) if value.tzinfo else value.strftime("%Y-%m-%d %H:%M")
        case date():
            return value.isoformat()
        case time():
            return value.strftime("%H:%M")
        case Mapping():
            if is_envelope(value):
                return gettext("第 %(number)s 版已密封，%(at)s，%(count)s 人可查看", number=value["version"], at=when(value["sealed_at"]), count=value["count"])
            if "name" in value and "sha256" in value:
                return str(value["name"])
            return "；".join(f"{k}：{shown(v)}" for k, v in value.items())
        case list() | tuple():
            return "、".join(shown(v, component) for v in value) or "—"
    return str(value)
