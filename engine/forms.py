"""Forms: a checked subset of form-js JSON, and what values a form accepts. Pages only draw what stands here.

A form is one JSON file (``<process>.<element>``, stored as ``processes/<process>/forms/<element>.form``). Component types not
in `TYPES` and form-js's client-side conditions are refused at deployment rather than dropped. Rules beyond form-js stand in a
component's ``properties``, in FEEL over the process variables and the form's own values:

    rule, ruleMessage, ruleMessageEn   must be true, else the message
    requiredIf                         required when true
    priceField                         "true": only roles that may read prices see it
    sealed                             "true": a price field of a user task whose value is sealed until the opening (`engine.service.sealed`)
    labelEn                            English label
    stamp                              "actor": filled in by the server with who completes the task or sends the message
    person                             names an active person by user id: "true", or roles ("a,b") of which they hold one
A column of a `table` may have ``values``, as a `select` has, which say what its values are called, or ``person``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Context, Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

import regex

from engine import calendar
from engine.access import GROUPS
from engine.errors import EngineError, InvalidValues
from engine.feel import Expression, FeelLimit, FeelSyntaxError, compile_expression
from engine.feel.infer import BOOLEAN, DATE, DATE_TIME, NUMBER, STRING, TIME, Type
from engine.model import Document, User, Values

#: Component types that carry a value, and those that only show something.
INPUTS = frozenset({"textfield", "textarea", "number", "select", "radio", "checklist", "checkbox", "datetime", "filepicker", "dynamiclist"})
SHOWN = frozenset({"text", "group", "table", "separator", "spacer"})
TYPES = INPUTS | SHOWN
_PATTERN_SECONDS = 0.2
#: A list takes no more rows.
MOST_ROWS = 500
_LIMIT_TEXT = 20_000
#: Who was meant is guessed for a few names, among so many people: what costs time costs it once.
_MOST_GUESSES, _MOST_PEOPLE = 5, 1000
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_FAR = (f"请填写 {_FIRST_YEAR} 至 {_LAST_YEAR} 年之间的日期。", f"Give a date from {_FIRST_YEAR} to {_LAST_YEAR}.")
_WIDE = Context(prec=40)


#: Said of a text that cannot be shown, searched or stored everywhere.
UNREADABLE = ("含有不可见的控制字符或无效字符，请删除后重填。", "It holds control characters or broken letters; remove them.")


def is_readable(text: str) -> bool:
    """True unless a text holds control characters (line ends and tabs are none) or halves of surrogate pairs."""
    return _UNREADABLE.search(text) is None


_UNREADABLE = regex.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def is_envelope(value: Any) -> bool:
    """True for what a process holds of a sealed field: everything but its value."""
    return isinstance(value, Mapping) and value.keys() == {"version", "sealed_at", "by", "fingerprint", "count"}


class InvalidForm(EngineError):
    """A form file that cannot be used. `problems`: ``((zh, en), …)``."""

    code = "invalid_form"
    status = 422
    zh = "表单 {name} 有 {count} 个问题：{first}"
    en = "The form {name} has {count} problems: {first_en}"

    def __init__(self, name: str, problems: tuple[tuple[str, str], ...]) -> None:
        self.problems = problems
        super().__init__(name=name, count=len(problems), first=problems[0][0], first_en=problems[0][1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Of a `table`. `key`: the entry of a row that it shows; `options`: what its values are called, as of a `select`;
    `person`: its values are ids of people."""

    key: str
    label: str
    options: tuple[Option, ...] = ()
    person: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One row of a form. `key` names the variable; a `dynamiclist` holds rows of `components`, a `group` only frames them."""

    type: str
    key: str = ""
    label: str = ""
    label_en: str = ""
    description: str = ""
    text: str = ""  #: of a `text` component, plain with ``###`` headings
    required: bool = False
    required_if: Expression | None = None
    readonly: bool = False
    default: Any = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    pattern_message: str = ""
    decimal_digits: int | None = None
    subtype: str = "date"  #: of a `datetime`: ``date``, ``time``, ``datetime``
    options: tuple[Option, ...] = ()
    multiple: bool = True  #: of a `filepicker`
    accept: tuple[str, ...] = ()  #: of a `filepicker`: ``(".pdf", …)``
    rule: Expression | None = None
    rule_message: str = ""
    rule_message_en: str = ""
    price_field: bool = False
    sealed: bool = False  #: implies `price_field`
    stamp: bool = False  #: takes the name of who answers the form, never what was sent
    person: tuple[str, ...] | None = None  #: of a `textfield` that names a person by id: roles of which they hold one, () for any
    fixed_rows: bool = False  #: of a `dynamiclist`: its rows are those of the variable, each is answered, none comes or goes
    source: str = ""  #: of a `table`: name of the list variable
    columns: tuple[Column, ...] = ()  #: of a `table`
    components: tuple[Component, ...] = ()

    @property
    def is_input(self) -> bool:
        """True if a person fills it in."""
        return self.type in INPUTS and not self.readonly

    @property
    def value_type(self) -> Type:
        """The type of its value, as `engine.feel.infer` has types; None when it may be several things."""
        if self.sealed:
            return None  # what is told of the envelope, later the value itself
        if self.type == "dynamiclist":
            return "list", ("context", {each.key: each.value_type for each in Form(id="", components=self.components).inputs()})
        if self.type == "datetime":
            return {"date": DATE, "time": TIME, "datetime": DATE_TIME}[self.subtype]
        return {
            "number": NUMBER, "textfield": STRING, "textarea": STRING, "select": STRING, "radio": STRING, "checkbox": BOOLEAN,
            "checklist": ("list", STRING),
        }.get(self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    id: str
    title: str = ""
    components: tuple[Component, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)  #: of the form as a whole: what makes it a register's

    def inputs(self) -> Iterator[Component]:
        """Give every component with a key that is not inside a list, groups opened."""
        yield from _inputs(self.components)

    @property
    def takes_files(self) -> bool:
        """True if a component is a file field, in a list or group too."""
        return any(_takes_files(c) for c in self.components)

    @property
    def seals(self) -> bool:
        """True if what is typed into a field is sealed."""
        return any(c.is_input for c in self.sealed())

    def find(self, key: str) -> Component | None:
        """Return the input named `key`, or None."""
        return next((c for c in self.inputs() if c.key == key), None)

    def initial(self, variables: Values) -> dict[str, Any]:
        """Return ``{key: value}`` to show at first: the process variables that the form names, else the defaults."""
        return {c.key: variables[c.key] if variables.get(c.key) is not None else c.default for c in self.inputs()}

    def on_given_rows(self, typed: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was typed, with what `given` has for the fixed rows of lists and nobody types: rows and their readonly fields."""
        found = dict(typed)
        for component in self.inputs():
            rows = given.get(component.key)
            if component.fixed_rows and component.key in typed and isinstance(rows, list):
                old = typed[component.key] if isinstance(typed[component.key], list) else []
                names = [c.key for c in _inputs(component.components) if c.readonly]
                found[component.key] = [
                    {**(old[n] if n < len(old) and isinstance(old[n], dict) else {}), **{k: row.get(k) for k in names if isinstance(row, dict)}}
                    for n, row in enumerate(rows)
                ]
        return found

    def without_prices(self) -> Form:
        """Return the form as people without a price role see it."""
        return replace(self, components=_without(self.components, lambda c: c.price_field))

    def without_sealed(self) -> Form:
        """Return the form without the fields that only a user task can seal."""
        return replace(self, components=_without(self.components, lambda c: c.sealed)) if self.seals else self

    def sealed(self) -> Iterator[Component]:
        """Give every component whose value is sealed, those that only show one too."""
        return (c for c in self.inputs() if c.sealed)

    def from_flat(self, flat: Mapping[str, list[str]]) -> dict[str, Any]:
        """Return the raw values of an HTML form post: ``{"lines.0.qty": ["3"]}`` becomes ``{"lines": [{"qty": "3"}]}``."""
        return _from_flat(tuple(self.inputs()), flat, "")

    def read(
        self, raw: Mapping[str, Any], *, variables: Values, now: datetime, documents: Iterable[Document] = (),
        zone: str = "Asia/Shanghai", by: str = "", people: Callable[[], Iterable[User]] = tuple,
    ) -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
        """Return the typed values and the problems, ``{path: (zh, en)}``; a value with a problem is left out."""
        return _Reading(self, variables, now, tuple(documents), ZoneInfo(zone), by, people).read(raw)

    def accept(
        self, raw: Mapping[str, Any], *, variables: Values, now: datetime, documents: Iterable[Document] = (),
        zone: str = "Asia/Shanghai", by: str = "", people: Callable[[], Iterable[User]] = tuple,
    ) -> dict[str, Any]:
        """Return the typed values of what a person (or program) entered.

        Args:
            raw: ``{key: text, number, boolean, list or dict}``; texts as typed are understood (``"1,200.50"``, ISO dates).
            variables: what the element sees; rules may read it.
            documents: files attached to the task; they are the values of the file fields.
            by: who answers, as people read it; the value of the fields with the property ``stamp``.
            people: gives everybody; asked once, and only when a field with the property ``person`` was filled in.

        Raises:
            InvalidValues: at least one value is refused; names every one.
        """
        values, problems = self.read(raw, variables=variables, now=now, documents=documents, zone=zone, by=by, people=people)
        if problems:
            raise InvalidValues(problems)
        return values


def _inputs(components: Iterable[Component]) -> Iterator[Component]:
    for component in components:
        if component.type == "group":
            yield from _inputs(component.components)
        elif component.type in INPUTS:
            yield component


def _takes_files(component: Component) -> bool:
    return component.type == "filepicker" or any(_takes_files(c) for c in component.components)


def _without(components: tuple[Component, ...], is_hidden: Callable[[Component], bool]) -> tuple[Component, ...]:
    return tuple(replace(c, components=_without(c.components, is_hidden)) for c in components if not is_hidden(c))


def _from_flat(inputs: tuple[Component, ...], flat: Mapping[str, list[str]], prefix: str) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    for component in inputs:
        name = prefix + component.key
        if not component.is_input or component.type == "filepicker":
            continue
        if component.type == "dynamiclist":
            rows = {
                n for key in flat
                if key.startswith(name + ".") and (n := key[len(name) + 1 :].split(".")[0]).isdecimal() and len(n) < 10
            }
            children = tuple(_inputs(component.components))
            # one more than is accepted: enough to be refused
            raw[component.key] = [_from_flat(children, flat, f"{name}.{n}.") for n in sorted(rows, key=int)[: MOST_ROWS + 1]]
        elif component.type == "checklist":
            raw[component.key] = [v for v in flat.get(name, []) if v]
        elif component.type == "checkbox":
            raw[component.key] = any(v in ("on", "true", "1") for v in flat.get(name, []))
        elif name in flat:
            raw[component.key] = flat[name][-1]
    return raw


# ----------------------------------------------------------------------------------------------------------------- reading
class _Reading:
    """One pass over raw values."""

    def __init__(
        self, form: Form, variables: Values, now: datetime, documents: tuple[Document, ...], zone: ZoneInfo, by: str,
        people: Callable[[], Iterable[User]],
    ) -> None:
        self.form, self.variables, self.now, self.documents, self.zone, self.by, self.people = form, variables, now, documents, zone, by, people
        self.active: list[User] | None = None
        self.problems: dict[str, tuple[str, str]] = {}

    def read(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
        values = self.scope(tuple(self.form.inputs()), raw, "", dict(self.variables))
        return values, self.problems

    def problem(self, path: str, zh: str, en: str) -> Any:
        """Note a problem; gives None, what stands for a value that was refused."""
        self.problems.setdefault(path, (zh, en))
        return None

    def scope(self, inputs: tuple[Component, ...], raw: Mapping[str, Any], prefix: str, around: dict[str, Any]) -> dict[str, Any]:
        known = {c.key for c in inputs}
        for key in raw:
            if key not in known:
                self.problem(prefix + _shown(key), "表单中没有这个字段。", "The form has no such field.")
        values: dict[str, Any] = {}
        for component in inputs:
            if component.is_input:
                values[component.key] = self.value(component, raw.get(component.key), prefix + component.key, around)
        seen = {**around, **values}
        for component in inputs:
            if component.is_input:
                self.rules(component, values[component.key], prefix + component.key, seen)
        return values

    def rules(self, component: Component, value: Any, path: str, seen: dict[str, Any]) -> None:
        if path in self.problems:
            return
        blank = value is None or value == [] or (component.type == "checkbox" and value is False)
        required = component.required or (component.required_if is not None and self.holds(component.required_if, seen))
        if blank:
            if required and component.type == "checkbox":
                self.problem(path, "请勾选确认。", "Tick this to confirm.")
            elif required and component.type == "filepicker":
                self.problem(path, "请上传文件。", "Upload a file.")
            elif required and component.type in ("select", "radio", "checklist"):
                self.problem(path, "请选择。", "Choose one.")
            elif required:
                self.problem(path, "请填写。", "Fill this in.")
        if component.rule is not None and not (blank and component.type != "checkbox") and not self.holds(component.rule, seen):
            self.problem(path, component.rule_message or f"不符合规则：{component.rule.text}",
                         component.rule_message_en or f"Breaks the rule: {component.rule.text}")

    def holds(self, rule: Expression, seen: dict[str, Any]) -> bool:
        try:
            return rule.evaluate(seen, self.now, calendar=calendar).value is True
        except FeelLimit:
            return False

    def value(self, component: Component, raw: Any, path: str, around: dict[str, Any]) -> Any:
        if component.stamp:
            return self.by or None
        if component.type == "dynamiclist":
            return self.rows(component, raw, path, around)
        if component.type == "filepicker":
            return [
                {"id": str(d.id), "name": d.name, "sha256": d.sha256, "size": d.size} for d in self.documents if d.field == path
            ]
        if component.type == "checkbox":
            if raw is None or isinstance(raw, bool):
                return bool(raw)
            if isinstance(raw, str) and raw.lower() in ("on", "true", "1", "false", "0", ""):
                return raw.lower() in ("on", "true", "1")
            return self.problem(path, "请填写是或否。", "Give true or false.")
        if component.type == "checklist":
            return self.choices(component, raw, path)
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return None
        match component.type:
            case "number":
                return self.number(component, raw, path)
            case "datetime":
                return self.instant(component, raw, path)
            case "select" | "radio":
                return self.choices(component, [raw], path, one=True)
        text = self.text(component, raw, path)
        return text if text is None or component.person is None else self.person(component.person, text, path)

    def text(self, component: Component, raw: Any, path: str) -> Any:
        if not isinstance(raw, str):
            return self.problem(path, "请填写文字。", "Give a text.")
        text = raw.replace("\r\n", "\n").strip()
        if not is_readable(text):
            return self.problem(path, *UNREADABLE)
        longest = component.max_length or _LIMIT_TEXT
        if len(text) > longest:
            return self.problem(path, f"最多 {longest} 个字，现有 {len(text)} 个。", f"At most {longest} characters; there are {len(text)}.")
        if component.min_length and len(text) < component.min_length:
            return self.problem(path, f"至少 {component.min_length} 个字。", f"At least {component.min_length} characters.")
        if component.pattern is not None and not _matches(component.pattern, text):
            return self.problem(path, component.pattern_message or "格式不正确。", component.pattern_message or "The format is not right.")
        return text

    def person(self, roles: tuple[str, ...], typed: str, path: str) -> Any:
        """Return the id of the active person whose id, or whose name alone, was typed."""
        if self.active is None:
            self.active = [u for u in self.people() if u.active]
        found = [u for u in self.active if u.id == typed.lower()] or [u for u in self.active if u.name == typed]
        if len(found) == 1 and (not roles or not found[0].groups.isdisjoint(roles)):
            return found[0].id
        fitting = [u for u in self.active if not roles or not u.groups.isdisjoint(roles)]
        said = _shown(typed)
        if len(found) > 1:
            zh, en = _listed(found)
            return self.problem(path, f"“{said}”有 {len(found)} 人，请填其中一人的用户名：{zh}。",
                                f"{len(found)} people are called “{said}”; give the user id of one: {en}.")
        if not found:
            is_cheap = len(self.problems) < _MOST_GUESSES and len(fitting) <= _MOST_PEOPLE
            near = get_close_matches(typed[:60], [w for u in fitting for w in (u.id, u.name)]) if is_cheap else []
            zh, en = _listed([u for u in fitting if u.id in near or u.name in near])
            return self.problem(path, f"没有可用的用户“{said}”。" + (f"是不是：{zh}？请填用户名。" if near else "请从列表中选择，或填在用人员的用户名。"),
                                f"There is no active user “{said}”. " + (f"Did you mean {en}? Give the user id." if near else "Choose from the list, or give the user id of somebody active."))
        zh, en = _listed(fitting)
        return self.problem(
            path,
            f"“{said}”不担任{'、'.join(GROUPS[r].zh for r in roles)}。" + (f"请填担任此角色的人：{zh}。" if zh else "现无人担任，请管理员先授予角色。"),
            f"“{said}” does not hold the role {' or '.join(GROUPS[r].en for r in roles)}. "
            + (f"Name somebody who does: {en}." if en else "Nobody does; let an administrator give it first."),
        )

    def number(self, component: Component, raw: Any, path: str) -> Any:
        try:
            if not isinstance(raw, (str, int, float, Decimal)) or isinstance(raw, bool) or len(typed := _digits(raw)) > 100:
                raise InvalidOperation
            number = Decimal(typed.replace(",", "").replace(",", "").strip())
            if not number.is_finite() or len(number.as_tuple().digits) > 34 or abs(number.adjusted()) > 34:
                raise InvalidOperation
        except InvalidOperation:
            return self.problem(path, "请填写数字，例如 1200 或 12.5。", "Give a number such as 1200 or 12.5.")
        digits = component.decimal_digits
        if digits is not None and -number.normalize(_WIDE).as_tuple().exponent > digits:  # type: ignore[operator]
            return self.problem(path, f"最多 {digits} 位小数。" if digits else "请填写整数。",
                                f"At most {digits} decimals." if digits else "Give a whole number.")
        if component.minimum is not None and number < component.minimum:
            return self.problem(path, f"不得小于 {component.minimum}。", f"Not below {component.minimum}.")
        if component.maximum is not None and number > component.maximum:
            return self.problem(path, f"不得大于 {component.maximum}。", f"Not above {component.maximum}.")
        return int(number) if number == number.to_integral_value() else number

    def instant(self, component: Component, raw: Any, path: str) -> Any:
        example = {"date": "2026-12-01", "time": "09:30", "datetime": "2026-12-01 09:30"}[component.subtype]
        try:
            if component.subtype == "date":
                day = raw if isinstance(raw, date) and not isinstance(raw, datetime) else date.fromisoformat(_text(raw))
                return day if _FIRST_YEAR <= day.year <= _LAST_YEAR else self.problem(path, *_FAR)
            if component.subtype == "time":
                return raw if isinstance(raw, time) else time.fromisoformat(_text(raw))
            at = raw if isinstance(raw, datetime) else datetime.fromisoformat(_text(raw))
        except ValueError:
            return self.problem(path, f"请填写日期时间，例如 {example}。", f"Give it like {example}.")
        at = at if at.tzinfo is not None else at.replace(tzinfo=self.zone)
        # years that no calendar, time zone or timer reaches are slips of the finger
        return at if _FIRST_YEAR <= at.year <= _LAST_YEAR else self.problem(path, *_FAR)

    def choices(self, component: Component, raw: Any, path: str, one: bool = False) -> Any:
        if raw is None:
            return []
        known = {o.value: o.label for o in component.options}
        several = list(raw) if isinstance(raw, (list, tuple)) else [raw]
        if not all(isinstance(r, (str, int, Decimal)) and len(_digits(r)) <= _LIMIT_TEXT for r in several):
            return self.problem(path, "请从可选项中选择。", "Choose from what is offered.")
        chosen = [str(r) for r in several]
        if wrong := [c for c in chosen if c not in known]:
            listed = "、".join(label if label == value else f"{label}({value})" for value, label in known.items())
            said = _shown(wrong[0])
            return self.problem(path, f"“{said}”不是可选项。可选：{listed}。", f"“{said}” is not offered. Choose from: {listed}.")
        return chosen[0] if one else chosen

    def rows(self, component: Component, raw: Any, path: str, around: dict[str, Any]) -> list[Any]:
        if raw is None:
            return []
        if not isinstance(raw, list) or not all(isinstance(r, Mapping) for r in raw):
            self.problem(path, "请按行填写。", "Give a list of rows.")
            return []
        if len(raw) > MOST_ROWS:
            self.problem(path, f"最多 {MOST_ROWS} 行。", f"At most {MOST_ROWS} rows.")
            return []
        inputs = tuple(_inputs(component.components))
        given = self.variables.get(component.key) if component.fixed_rows else None
        if isinstance(given, list) and len(raw) != len(given):
            self.problem(path, f"应有 {len(given)} 行，现有 {len(raw)} 行；请刷新页面重填。", f"There are {len(given)} rows to answer, not {len(raw)}; load the page again.")
            return []
        if isinstance(given, list):
            return [self.scope(inputs, row, f"{path}.{n}.", around) for n, row in enumerate(raw)]
        filled = [(n, row) for n, row in enumerate(raw) if not all(_is_blank(v) for v in row.values())]
        return [self.scope(inputs, row, f"{path}.{n}.", around) for n, row in filled]


def _is_blank(raw: object) -> bool:
    """Nothing was entered. Told without `==`: a signalling NaN answers that with an exception."""
    return raw is None or raw is False or (isinstance(raw, (str, list)) and not raw)


def _digits(raw: object) -> str:
    """Return a number's text; Python refuses to write out an int of thousands of digits."""
    return "9" * 5000 if isinstance(raw, int) and raw.bit_length() > 10_000 else str(raw)


def _shown(word: object) -> str:
    """Return what somebody sent, short and readable enough for a message."""
    return str(_UNREADABLE.sub("�", str(word)[:60]))


def _listed(users: list[User]) -> tuple[str, str]:
    """Return a few people for a message, in Chinese and in English: ``赵海（zhao.hai）、…``."""
    few, more = users[:5], ["…"] if len(users) > 5 else []
    return "、".join([f"{u.name}（{u.id}）" for u in few] + more), ", ".join([f"{u.name} ({u.id})" for u in few] + more)


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError(raw)
    return raw.strip()


def _matches(pattern: str, text: str) -> bool:
    try:
        return regex.fullmatch(pattern, text, timeout=_PATTERN_SECONDS) is not None
    except TimeoutError:
        return False


# --------------------------------------------------------------------------------------------------------- reading the file
@dataclass(slots=True)
class _Problems:
    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, zh: str, en: str) -> None:
        self.found.append((zh, en))


def read_form(data: bytes, name: str = "") -> Form:
    """Return the form in a JSON file.

    Raises:
        InvalidForm: not JSON, or a component that this product does not draw as asked; names every problem.
    """
    problems = _Problems()
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, a number of thousands of digits, endless nesting
        raise InvalidForm(name, ((f"不是有效的 JSON:{error}", f"not valid JSON: {error}"),)) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("components"), list):
        raise InvalidForm(name, (("缺少 components 列表。", "there is no list “components”."),))
    keys: set[str] = set()
    try:
        components = _components(raw["components"], problems, keys, "")
    except RecursionError:
        raise InvalidForm(name, (("组件嵌套过深。", "components are nested too deep."),)) from None
    identifier = raw.get("id")
    if not isinstance(identifier, str) or not identifier:
        problems.add("缺少表单编号 id。", "the form has no id.")
        identifier = name
    if problems.found:
        raise InvalidForm(name or identifier, tuple(problems.found))
    properties = {str(name): str(value) for name, value in _dict(raw.get("properties")).items()}
    return Form(id=identifier, title=str(raw.get("title") or ""), components=components, properties=properties)


def _components(raw: list[Any], problems: _Problems, keys: set[str], prefix: str) -> tuple[Component, ...]:
    return tuple(c for item in raw if (c := _component(item, problems, keys, prefix)) is not None)


def _component(raw: Any, problems: _Problems, keys: set[str], prefix: str) -> Component | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str) or raw["type"] not in TYPES:
        kind = raw.get("type") if isinstance(raw, dict) else raw
        problems.add(f"不支持的组件类型“{kind}”。可用：{'、'.join(sorted(TYPES))}。", f"component type “{kind}” is not supported; use one of {', '.join(sorted(TYPES))}.")
        return None
    kind = str(raw["type"])
    key = str((raw.get("path") if kind in ("dynamiclist",) else raw.get("key")) or "")
    shown = key or str(raw.get("label") or kind)
    if raw.get("conditional"):
        problems.add(f"“{shown}”：不支持 conditional,请用 properties.requiredIf 或拆分任务。",
                     f"“{shown}”: “conditional” is not supported; use properties.requiredIf or split the task.")
    if kind in INPUTS:
        if not key:
            problems.add(f"“{shown}”没有 key。", f"“{shown}” has no key.")
        elif not regex.fullmatch(r"[^\W\d]\w*", key):
            problems.add(f"“{key}”不能作为字段名（字母开头，只含字母、数字、下划线）。", f"“{key}” cannot be a key (letters, digits, underscore, no leading digit).")
        elif prefix + key in keys:
            problems.add(f"字段“{prefix + key}”重复。", f"the key “{prefix + key}” is used twice.")
        keys.add(prefix + key)
    validate, properties = _dict(raw.get("validate")), _dict(raw.get("properties"))
    unknown = set(properties) - {"rule", "ruleMessage", "ruleMessageEn", "requiredIf", "priceField", "sealed", "labelEn", "stamp", "person"}
    for name in sorted(unknown):
        problems.add(f"“{shown}”：未知属性 {name}。", f"“{shown}”: unknown property {name}.")
    sealed = str(properties.get("sealed")).lower() == "true"
    if sealed and (kind not in INPUTS or kind == "filepicker" or "." in prefix):
        problems.add(f"“{shown}”：sealed 只能用于表单本身的填写字段，不能用于文件或明细行内的字段；请密封整个明细。",
                     f"“{shown}”: sealed is for the form's own fields, not for files or fields within rows; seal the whole list.")
    stamp = properties.get("stamp")
    if stamp is not None and (stamp != "actor" or kind != "textfield"):
        problems.add(f"“{shown}”:stamp 只能是 actor,且只用于 textfield。", f"“{shown}”: stamp must be “actor”, of a textfield.")
    if properties.get("person") is not None and kind != "textfield":
        problems.add(f"“{shown}”：person 只用于 textfield。", f"“{shown}”: person is for a textfield.")
    subtype = str(raw.get("subtype") or "date")
    if kind == "datetime" and subtype not in ("date", "time", "datetime"):
        problems.add(f"“{shown}”:subtype 须为 date、time 或 datetime。", f"“{shown}”: subtype must be date, time or datetime.")
    options = _options(raw.get("values"))
    if kind in ("select", "radio", "checklist") and not options:
        problems.add(f"“{shown}”没有可选值 values。", f"“{shown}” has no values to choose from.")
    pattern = validate.get("pattern")
    if pattern is not None and (why := _bad_pattern(str(pattern))) is not None:
        problems.add(f"“{shown}”:pattern 有误：{why}", f"“{shown}”: bad pattern: {why}")
    nested = _components(_list(raw.get("components")), problems, keys, prefix if kind == "group" else f"{prefix}{key}.")
    if kind in ("group", "dynamiclist") and not nested:
        problems.add(f"“{shown}”没有内容。", f"“{shown}” is empty.")
    return Component(
        type=kind, key=key, label=str(raw.get("label") or raw.get("dateLabel") or raw.get("dateTimeLabel") or ""),
        label_en=str(properties.get("labelEn") or ""), description=str(raw.get("description") or ""), text=str(raw.get("text") or ""),
        required=validate.get("required") is True, required_if=_expression(properties.get("requiredIf"), shown, problems),
        readonly=raw.get("readonly") is True or raw.get("disabled") is True, default=raw.get("defaultValue"),
        minimum=_decimal(validate.get("min"), shown, problems), maximum=_decimal(validate.get("max"), shown, problems),
        min_length=_count(validate.get("minLength"), shown, problems), max_length=_count(validate.get("maxLength"), shown, problems),
        pattern=None if pattern is None else str(pattern), pattern_message=str(validate.get("patternErrorMessage") or ""),
        decimal_digits=_count(raw.get("decimalDigits"), shown, problems), subtype=subtype, options=options, multiple=raw.get("multiple", True) is not False,
        accept=tuple(a.strip().lower() for a in str(raw.get("accept") or "").split(",") if a.strip()),
        rule=_expression(properties.get("rule"), shown, problems), rule_message=str(properties.get("ruleMessage") or ""),
        rule_message_en=str(properties.get("ruleMessageEn") or ""),
        price_field=sealed or str(properties.get("priceField")).lower() == "true", sealed=sealed,
        stamp=stamp is not None, person=_person(properties.get("person"), shown, problems),
        fixed_rows=kind == "dynamiclist" and raw.get("allowAddRemove") is False,
        source=str(raw.get("dataSource") or "").removeprefix("=").strip(),
        columns=tuple(
            Column(
                key=str(_dict(c).get("key", "")), label=str(_dict(c).get("label", "")), options=_options(_dict(c).get("values")),
                person=_person(_dict(c).get("person"), shown, problems),
            )
            for c in _list(raw.get("columns"))
        ),
        components=nested,
    )


def _options(raw: Any) -> tuple[Option, ...]:
    return tuple(
        Option(value=str(_dict(v).get("value", "")), label=str(_dict(v).get("label") or _dict(v).get("value", "")))
        for v in _list(raw)
    )


def _person(raw: Any, shown: str, problems: _Problems) -> tuple[str, ...] | None:
    """Return the roles that the property `person` names, () for ``"true"``; None without it."""
    if raw is None or str(raw).lower() in ("true", "false"):
        return None if raw is None or str(raw).lower() == "false" else ()
    roles = tuple(r.strip() for r in str(raw).split(","))
    for role in roles:
        if role not in GROUPS:
            problems.add(f"“{shown}”：person 中没有角色“{_shown(role)}”，请填 true 或角色标识，用逗号分隔。",
                         f"“{shown}”: person names no role “{_shown(role)}”; give “true”, or role ids with commas between.")
    return roles


def _dict(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _count(raw: Any, shown: str, problems: _Problems) -> int | None:
    if raw is None or (isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= _LIMIT_TEXT):
        return raw
    said = _shown(raw)
    problems.add(f"“{shown}”:“{said}”须为 0 至 {_LIMIT_TEXT} 的整数。", f"“{shown}”: “{said}” must be a whole number from 0 to {_LIMIT_TEXT}.")
    return None


def _bad_pattern(pattern: str) -> str | None:
    """Return why a pattern cannot be used, or None. Compiling one with huge counts takes for ever, and no limit of time helps."""
    weight = 1
    for count in _COUNTS.findall(pattern):
        weight *= max(int(count[:9]), 1)
    if len(pattern) > _LIMIT_PATTERN or weight > _LIMIT_COUNTS:
        return f"at most {_LIMIT_PATTERN} characters, and counts such as {{1000}} below {_LIMIT_COUNTS} when multiplied"
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        return str(error)
    return None


_LIMIT_PATTERN, _LIMIT_COUNTS = 500, 100_000
_COUNTS = regex.compile(r"(?<=\{\s*|\{\s*\d*\s*,\s*)\d+")


def _decimal(raw: Any, shown: str, problems: _Problems) -> Decimal | None:
    if raw is None:
        return None
    try:
        bound = Decimal(_digits(raw))
        if not bound.is_finite() or abs(bound.adjusted()) > 34:
            raise InvalidOperation
    except InvalidOperation:
        said = _shown(raw)
        problems.add(f"“{shown}”：界限“{said}”不是数字。", f"“{shown}”: the bound “{said}” is not a number.")
        return None
    return bound


def _expression(text: Any, shown: str, problems: _Problems) -> Expression | None:
    if text is None:
        return None
    try:
        return compile_expression(str(text))
    except FeelSyntaxError as error:
        problems.add(f"“{shown}”：规则“{text}”无法识别：{error}", f"“{shown}”: the rule “{text}” is not understood: {error}")
        return None
