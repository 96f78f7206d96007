"""Registers (台账): data that outlives a process instance. Nothing in them is overwritten: a correction is a new version with a reason.

A register is described by a form ``registers.<name>``, stored as ``processes/registers/<name>.form``. Properties of the form:

    readers         groups that may read every entry, separated by commas; who wrote an entry always sees it
    writers         groups that may add entries, and correct those that they may see
    columns         fields shown in lists
    titleEn         English title
    ownerField      field that holds the user id of the person an entry is about, who sees it too
    expiryField     field of the day on which an entry runs out
    expiryReaders   groups that are told every day what runs out within `SOON`
    appendOnly      "true": no entry can be withdrawn, only corrected
    flagRegister    another register, of spans of time; an entry that falls into one of them is marked red
    flagMatch       which spans: ``field=field there``, several separated by commas, one of which has to agree
    flagAt          field with the instant of an entry
    flagFrom        field there with the beginning of a span
    flagUntil       field there with its end; blank: it goes on
    flagTitle, flagTitleEn    what such an entry is called

The versions of all entries of a register are one chain, sealed as the history of a process instance is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from engine import access
from engine.forms import Component, Form
from engine.model import Actor, Document, Values

#: What the id of a register's form begins with.
PREFIX = "registers."
#: What runs out within this time is told.
SOON = timedelta(days=60)
_FLAG = ("flagRegister", "flagMatch", "flagAt", "flagFrom", "flagUntil", "flagTitle", "flagTitleEn")
_PROPERTIES = frozenset(
    ("readers", "writers", "columns", "titleEn", "ownerField", "expiryField", "expiryReaders", "appendOnly", *_FLAG)
)
#: A new file of an entry: field, name, media type, bytes.
NewFile = tuple[str, str, str, BinaryIO | bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """What has an entry marked: that it falls into a span of time that another register holds.

    Attributes:
        pairs: ``((field, field of the other register), …)``; one pair has to agree.
        at: field with the instant of an entry.
        begins, ends: fields of the other register.
    """

    register: str
    pairs: tuple[tuple[str, str], ...]
    at: str
    begins: str
    ends: str
    title: str
    title_en: str

    def spans(self, entries: Iterable[Values]) -> Spans:
        """Return the spans that the entries of the other register say."""
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for values in entries:
            begin = sort_key(values.get(self.begins))
            if begin is None:
                continue
            for _, there in self.pairs:
                if (key := sort_key(values.get(there))) is not None:
                    found.setdefault((there, key), []).append((begin, sort_key(values.get(self.ends)) or ""))
        return found

    def marks(self, values: Values, spans: Spans) -> bool:
        """True if an entry falls into one of the spans: their first instant counts, their last does not."""
        at = sort_key(values.get(self.at))
        if at is None:
            return False
        return any(
            begin <= at and (not end or at < end)
            for here, there in self.pairs if (key := sort_key(values.get(here))) is not None
            for begin, end in spans.get((there, key), ())
        )  # fmt: skip


#: ``{(field, sort key): [(sort key of the beginning, of the end or empty)]}``
Spans = Mapping[tuple[str, str], Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """A register as its form describes it. `columns`: the fields shown in lists."""

    name: str
    title: str
    title_en: str
    form: Form
    readers: frozenset[str]
    writers: frozenset[str]
    columns: tuple[Component, ...]
    owner_field: str
    expiry_field: str
    expiry_readers: tuple[str, ...]
    append_only: bool
    flag: Flag | None = None

    def may_read(self, actor: Actor) -> bool:
        """True if the actor may read every entry."""
        return access.is_system(actor) or bool(actor.groups & self.readers)

    def may_write(self, actor: Actor) -> bool:
        return access.is_system(actor) or bool(actor.groups & self.writers)

    def may_open(self, actor: Actor) -> bool:
        """True if the actor may read it, or the entries that are their own."""
        return self.may_read(actor) or self.may_write(actor)


def of_form(form: Form) -> Register:
    """Return the register that a form describes; what `problems` names is left out."""
    given = form.properties
    inputs = {c.key: c for c in form.inputs()}
    columns = tuple(inputs[key] for key in _words(given.get("columns", "")) if key in inputs)
    return Register(
        name=form.id.removeprefix(PREFIX), title=form.title or form.id, title_en=given.get("titleEn", "") or form.title, form=form,
        readers=frozenset(_words(given.get("readers", ""))), writers=frozenset(_words(given.get("writers", ""))),
        columns=columns or tuple(inputs.values())[:5], owner_field=given.get("ownerField", ""),
        expiry_field=given.get("expiryField", ""), expiry_readers=_words(given.get("expiryReaders", "")),
        append_only=given.get("appendOnly") == "true", flag=_flag(given),
    )  # fmt: skip


def _flag(given: Mapping[str, str]) -> Flag | None:
    pairs = tuple((here.strip(), there.strip()) for here, _, there in (word.partition("=") for word in _words(given.get("flagMatch", ""))))
    if not given.get("flagRegister") or not pairs:
        return None
    title = given.get("flagTitle", "")
    return Flag(
        register=given["flagRegister"], pairs=pairs, at=given.get("flagAt", ""), begins=given.get("flagFrom", ""),
        ends=given.get("flagUntil", ""), title=title, title_en=given.get("flagTitleEn", "") or title,
    )  # fmt: skip


def problems(form: Form) -> tuple[tuple[str, str], ...]:
    """Return what is wrong with the form of a register, as ``((zh, en), …)``; of any other form nothing."""
    if not form.id.startswith(PREFIX):
        return ()
    found: list[tuple[str, str]] = []
    if re.fullmatch(r"[a-z][a-z0-9_]{0,60}", form.id.removeprefix(PREFIX), re.ASCII) is None:
        found.append((f"台账编号“{form.id}”应为 registers. 加小写字母、数字和下划线。", f"“{form.id}” is not registers. and small letters, digits, underscores."))
    given, inputs = form.properties, {c.key: c for c in form.inputs()}
    for name in sorted(given.keys() - _PROPERTIES):
        found.append((f"台账表单有未知属性 {name}。", f"unknown property {name} of a register's form."))
    for name in ("readers", "writers"):
        if not _words(given.get(name, "")):
            found.append((f"台账表单缺少属性 {name}（角色，逗号分隔）。", f"the form of a register lacks the property {name} (groups)."))
    for name in ("readers", "writers", "expiryReaders"):
        for group in _words(given.get(name, "")):
            if group not in access.GROUPS:
                found.append((f"属性 {name}：没有角色 {group}。", f"property {name}: there is no group {group}."))
    for name, types in (("columns", ()), ("ownerField", ("textfield",)), ("expiryField", ("datetime",))):
        for key in _words(given.get(name, "")):
            if key not in inputs or (types and inputs[key].type not in types):
                found.append((f"属性 {name}：表单中没有可用的字段 {key}。", f"property {name}: the form has no such field {key}."))
    for component in inputs.values():
        if any(c.person is not None for c in (component, *component.components)):
            found.append((f"字段“{component.key}”：台账的记录比账号存得久，不能用 person。", f"the field {component.key}: entries of a register outlive accounts, so person cannot be used."))
    if any(given.get(name) for name in _FLAG):
        for name in ("flagRegister", "flagMatch", "flagAt", "flagFrom", "flagTitle"):
            if not given.get(name):
                found.append((f"标记规则不完整：缺少属性 {name}。", f"the rule of what is marked lacks the property {name}."))
        for word in (*_words(given.get("flagMatch", "")), *_words(given.get("flagAt", ""))):
            here, _, there = word.partition("=")
            if here.strip() not in inputs or ("=" in word) != bool(there.strip()):
                found.append((f"标记规则：表单中没有可用的字段“{word}”。", f"the rule of what is marked: the form has no such field “{word}”."))
    if any(c.price_field for c in inputs.values()):
        found.append(("台账不能有价格字段。", "a register has no price fields."))
    return tuple(found)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


# ------------------------------------------------------------------------------------------------------- values as sort keys
_LONGEST = 200
_OFFSET = Decimal(10) ** 30
_WIDE = Context(prec=60)


def sort_key(value: Any) -> str | None:
    """Return a text that sorts as a value does and is equal for values that people take for the same; None: it cannot be sorted.

    Texts are compared without regard to width, capitals and blanks.
    """
    match value:
        case bool():
            return "1" if value else "0"
        case int() | Decimal():
            number = Decimal(value)
            return f"{_WIDE.add(_OFFSET, number):045.10f}" if abs(number) < _OFFSET else None
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        case date():
            return value.isoformat()
        case str():
            return plain(value)[:_LONGEST] or None
    return None


def plain(text: str) -> str:
    """Return a text as it is compared: full-width letters narrow, small, each run of blanks one."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def keys(values: Values) -> dict[str, str]:
    return {field: key for field, value in values.items() if (key := sort_key(value)) is not None}


def searchable(form: Form, values: Values) -> str:
    """Return the words of an entry, with the labels of what was chosen."""
    labels = {c.key: {o.value: o.label for o in c.options} for c in form.inputs()}
    found: list[str] = []

    def add(value: Any, named: Mapping[str, str]) -> None:
        match value:
            case str():
                found.append(named.get(value, value))
            case date():
                found.append(value.isoformat()[:10])
            case int() | Decimal() if not isinstance(value, bool):
                found.append(str(value))
            case dict():
                for key, part in value.items():
                    if key not in ("sha256", "size", "id"):
                        add(part, {})
            case list() | tuple():
                for part in value:
                    add(part, named)

    for key, value in values.items():
        add(value, labels.get(key, {}))
    return plain(" ".join(found))


def accepted(
    register: Register, raw: Mapping[str, Any], at: datetime, zone: str, documents: Iterable[Document] = ()
) -> Values:
    """Return the typed values of an entry.

    Raises:
        InvalidValues
    """
    values = register.form.accept(raw, variables={}, now=at, documents=documents, zone=zone)
    return {key: value for key, value in values.items() if value is not None and value != []}


# ------------------------------------------------------------------------------------------------------------- for spreadsheets
def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return "'" + text if text.lstrip()[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠") or text[:1] in ("\t", "\r", "\n") else text


def cell(value: Any, component: Component, zone: ZoneInfo) -> str | int | Decimal:
    labels = {o.value: o.label for o in component.options}

    def said(value: Any) -> str:
        match value:
            case None:
                return ""
            case bool():
                return "是" if value else "否"
            case datetime():
                return value.astimezone(zone).strftime("%Y-%m-%d %H:%M") if value.tzinfo else value.isoformat(" ")
            case str():
                return labels.get(value, value)
            case dict():
                return str(value["name"]) if "sha256" in value and "name" in value else "；".join(said(part) for part in value.values())
            case list() | tuple():
                return "、".join(map(said, value))
        return str(value)

    return value if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else harmless(said(value))
