"""Reads the pages that lead five people through a whole tender (`docs/tender.zh-CN.md`), so that tests do what the page says.

A table of steps has the columns number, who, where, what to fill in, what one sees. ``where`` is the name of a task as it stands in
the inbox, ``发起：`` a process, ``登记：`` an event on the page of the project, ``拨钟：`` a button there that puts the demo's clock forward.
What to fill in:

    标签 = 值；标签 = 值；列表 第 1 行：标签 = 值，标签 = 值；列表 每行：标签 = 值

with the labels and choices of the form. A value may be ``勾选``, ``2 个文件``, ``今天 + 60 天``, ``现在 + 30 分钟``. What the page does not name is
filled with something that fits the field: of choices the last one, so that a choice on which the way depends has to be named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.forms import Component, Form, _inputs
from engine.service.people import DEMO_TEAM

DOCS = Path(__file__).parents[1] / "docs"
ZH, EN = DOCS / "tender.zh-CN.md", DOCS / "tender.md"
_ZONE = ZoneInfo("Asia/Shanghai")
_ROW = re.compile(r"\s*(\d+(?:[–-]\d+)?)\s*")
_WHEN = re.compile(r"(今天|现在)(?:\s*\+\s*(\d+)\s*(天|小时|分钟))?")
_EVERY = "每行"
_IDS = {name: id for id, name, _ in DEMO_TEAM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing to fill in. `row`: of the list `label`: its number from 1, ``每行`` for every one, None for a plain field."""

    label: str
    value: str = ""
    row: int | str | None = None
    cells: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of the page.

    Attributes:
        who: id of the person.
        kind: ``task``, ``start``, ``event``, ``clock``.
        times: how often: ``×2`` behind a task's name.
        sees: what stands in ”quotation marks” in the last column: texts of the project's page after the step.
    """

    number: int
    who: str
    kind: str
    name: str
    times: int
    fill: tuple[Entry, ...]
    sees: tuple[str, ...]


def read_page(file: Path = ZH) -> tuple[tuple[Step, ...], ...]:
    """Return the steps of each run on the page: what stands below the headings ``## 第一遍…`` and ``## 第二遍…``.

    A row ``1–24`` whose third column is ``同第一遍`` stands for those steps of the first run.
    """
    runs: list[list[Step]] = []
    for line in file.read_text("utf-8").splitlines():
        if re.match(r"## 第.遍", line):
            runs.append([])
        cells = [c.strip() for c in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not runs or len(cells) != 5 or not (found := _ROW.fullmatch(cells[0])):
            continue
        first, _, last = found[1].replace("–", "-").partition("-")
        if last:
            runs[-1] += [s for s in runs[0] if int(first) <= s.number <= int(last)]
        else:
            runs[-1].append(_step(int(first), *cells[1:]))
    return tuple(tuple(run) for run in runs)


def _step(number: int, who: str, where: str, fill: str, sees: str) -> Step:
    kinds = {"发起：": "start", "登记：": "event", "拨钟：": "clock"}
    prefix = next((p for p in kinds if where.startswith(p)), "")
    name, _, times = where.removeprefix(prefix).partition(" ×")
    return Step(
        number=number, who=_IDS[who], kind=kinds.get(prefix, "task"), name=name.strip(), times=int(times or 1), fill=_entries(fill),
        sees=tuple(re.findall(r"“([^”]+)”", sees)),
    )


def _entries(text: str) -> tuple[Entry, ...]:
    found = []
    for part in filter(None, (p.strip() for p in re.split(r"；|<br>", text))):
        listed = re.fullmatch(r"(.+?) (?:第 (\d+) 行|每行)：(.+)", part)
        if listed:
            cells = tuple(_entry(c) for c in re.split(r"，(?=[^，]+ = )", listed[3]))
            found.append(Entry(label=listed[1], row=int(listed[2]) if listed[2] else _EVERY, cells=cells))
        elif " = " in part:
            found.append(_entry(part))
        else:
            raise ValueError(f"no label = value: {part}")
    return tuple(found)


def _entry(text: str) -> Entry:
    label, _, value = text.partition(" = ")
    return Entry(label=label.strip(), value=value.strip().strip("`"))


@dataclass(slots=True, kw_only=True)
class Answers:
    """What goes into a form: raw values as a person types them, and the file fields to attach something to."""

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)  #: ``{path: how many}``
    pick: int = -1  #: place of the choice that stands for any


def answer(form: Form | None, given: Mapping[str, Any], entries: Iterable[Entry], now: datetime, who: str, *, pick: int = -1) -> Answers:
    """Return the answers of somebody who follows the page.

    Args:
        given: what stands in the form when it opens.
        pick: which choice to take where the page names none: -1 the last, 0 the first.

    Raises:
        KeyError: the page names a field or a choice that the form does not have.
    """
    found = Answers(pick=pick)
    if form is None:
        return found
    found.values = _scope(tuple(form.inputs()), given, tuple(entries), now.astimezone(_ZONE), "", found)
    for _ in range(3):  # what turns out to be required is filled in as well, as the page of the form asks for it
        _, problems = form.read(found.values, variables=given, now=now, by=who)
        missing = [path for path, (zh, _en) in problems.items() if zh in ("请填写。", "请选择。", "请勾选确认。")]
        for path in missing:
            _put(form, found, path, now.astimezone(_ZONE))
        for path, (zh, _en) in problems.items():
            if zh == "请上传文件。":
                found.files.setdefault(path, 1)
        if not missing:
            break
    return found


def _put(form: Form, found: Answers, path: str, now: datetime) -> None:
    *steps, name = path.split(".")
    scope: Any = found.values
    inputs = tuple(form.inputs())
    for step in steps:
        if step.isdecimal():
            scope = scope[int(step)]
        else:
            inputs = tuple(_inputs(next(c for c in inputs if c.key == step).components))
            scope = scope[step]
    component = next(c for c in inputs if c.key == name)
    scope[name] = _anything(component, now, path, found)


def _scope(inputs: tuple[Component, ...], given: Mapping[str, Any], entries: tuple[Entry, ...], now: datetime, prefix: str, found: Answers) -> dict[str, Any]:
    for entry in entries:
        if not any(_is_called(c, entry.label) for c in inputs):
            raise KeyError(f"no field {entry.label}; there are: {'、'.join(c.label for c in inputs)}")
    values: dict[str, Any] = {}
    for component in inputs:
        if not component.is_input or component.stamp:
            continue
        path, named = prefix + component.key, [e for e in entries if _is_called(component, e.label)]
        if component.type == "dynamiclist":
            values[component.key] = _rows(component, given.get(component.key), named, now, path, found)
        elif named:
            values[component.key] = _typed(component, named[-1].value, now, path, found)
        elif given.get(component.key) is not None:
            values[component.key] = given[component.key]
        elif component.required:
            values[component.key] = _anything(component, now, path, found)
        if component.type == "filepicker":
            values.pop(component.key, None)
    return values


def _instant(text: str, now: datetime) -> datetime:
    """Return the instant that ``现在 + 30 分钟`` names."""
    when = _WHEN.fullmatch(text)
    assert when is not None, text
    unit = {"天": "days", "小时": "hours", "分钟": "minutes", None: "days"}[when[3]]
    return now + timedelta(**{unit: int(when[2] or 0)})


def _at(component: Component, at: datetime) -> str:
    """Return an instant as the field takes it, in the house's zone."""
    return at.date().isoformat() if component.subtype == "date" else at.replace(tzinfo=None).isoformat(timespec="minutes")


def _is_called(component: Component, label: str) -> bool:
    """True for its label, with or without what stands in brackets at its end."""
    return label in (component.label, re.sub(r"\s*[（(][^（(]*[）)]$", "", component.label))


def _rows(component: Component, given: Any, named: list[Entry], now: datetime, path: str, found: Answers) -> list[dict[str, Any]]:
    old = list(given) if isinstance(given, list) else []
    numbers = [e.row for e in named if isinstance(e.row, int)]
    count = len(old) if component.fixed_rows else max([len(old), *numbers, 1 if component.required else 0])
    rows = []
    for number in range(1, count + 1):
        cells = tuple(c for e in named if e.row in (_EVERY, number) for c in e.cells)
        before = old[number - 1] if number <= len(old) and isinstance(old[number - 1], dict) else {}
        rows.append(_scope(tuple(_inputs(component.components)), before, cells, now, f"{path}.{number - 1}.", found))
    return rows


def _typed(component: Component, text: str, now: datetime, path: str, found: Answers) -> Any:
    if component.type == "filepicker":
        found.files[path] = int(text.split(" ")[0])
        return None
    if component.type == "checkbox":
        return text == "勾选"
    if component.options:
        chosen = [o.value for o in component.options if o.label in text.split("、")]
        if not chosen:
            raise KeyError(f"{component.label} has no choice {text}; there are: {'、'.join(o.label for o in component.options)}")
        return chosen if component.type == "checklist" else chosen[0]
    if component.type == "datetime" and _WHEN.fullmatch(text):
        return _at(component, _instant(text, now))
    return text


def _anything(component: Component, now: datetime, path: str, found: Answers) -> Any:
    """Return something that fits the field, as a person would who was told nothing about it."""
    match component.type:
        case "select" | "radio":
            return component.options[found.pick].value
        case "checklist":
            return [component.options[found.pick].value]
        case "checkbox":
            return True
        case "filepicker":
            found.files.setdefault(path, 1)
            return None
        case "number":
            least, most = component.minimum, component.maximum
            return str(least if least is not None and least > 1 else Decimal(1) if most is None or most >= 1 else most)
        case "datetime":
            return _at(component, now + timedelta(days=1))
        case "dynamiclist":
            return [_scope(tuple(_inputs(component.components)), {}, (), now, f"{path}.0.", found)]
    return "按实际情况填写，此处为演示内容"[: component.max_length or 100]


__all__ = ["EN", "ZH", "Answers", "Entry", "Step", "answer", "read_page"]
