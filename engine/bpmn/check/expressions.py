"""Every expression of a diagram: FEEL with line and column, bare ISO 8601 times, `${…}` of Camunda 7."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from zoneinfo import ZoneInfo

from engine.bpmn import timers
from engine.bpmn.check.document import Document, Element
from engine.bpmn.check.rule import DRAFT, WARNING, Hit, Hits, hit, label, rule
from engine.bpmn.items import item_names
from engine.bpmn.juel import OWN_KEY
from engine.bpmn.reader import HOUSE_ZONE, translated
from engine.bpmn.xml import CAMUNDA
from engine.feel import Expression, FeelSyntaxError, compile_expression
from engine.feel.builtins import BUILTINS

ZONE = ZoneInfo(HOUSE_ZONE)
_JUEL = re.compile(r"[$#]\{")


class Reading(Enum):
    """How a text is understood."""

    FEEL = "feel"  #: always an expression; a leading `=` is accepted
    WORD = "word"  #: plain text, an expression when it begins with `=`
    DATE = "date"  #: bare ISO 8601 date or duration, else an expression
    TIME = "time"  #: what the timer's kind says, else an expression


@dataclass(frozen=True, slots=True)
class Written:
    """A text of the diagram that is, or may be, an expression. `line`: lines below the element's start tag."""

    element: Element
    text: str
    reading: Reading
    line: int = 0

    @property
    def is_expression(self) -> bool:
        text = self.text.strip()
        if self.reading is Reading.WORD:
            return text.startswith("=") or _JUEL.search(text) is not None
        if self.reading in (Reading.DATE, Reading.TIME):
            return timers.BARE.match(text) is None
        return True


_TEXTS = (
    "conditionExpression", "condition", "completionCondition", "loopCardinality", "loopCondition", "activationCondition", "from",
    "transformation", "messagePath", "dataPath",
)
_FEEL_PROPERTIES = frozenset({"activeElements", "correlationKey", "payload", "outputElement"})


def written(document: Document) -> Iterator[Written]:
    """Yield every text that is or may be an expression, of the executable processes."""
    for element in document.each(*_TEXTS):
        flow = element.getparent()
        if flow is not None and document.kind(flow) == "sequenceFlow" and document.is_default(flow):
            continue  # nobody looks at it; FLOW-DEFAULT-COND says so
        yield from _child(document, element, Reading.FEEL)
    for task in document.each("scriptTask", "globalScriptTask"):
        script = document.child(task, "script")
        if script is not None and (task.get("scriptFormat") or "feel").strip().lower() == "feel":
            yield from _child(document, script, Reading.FEEL)
    for element in document.each("timeDate", "timeDuration", "timeCycle"):
        yield from _child(document, element, Reading.TIME)
    for loop in document.each("multiInstanceLoopCharacteristics"):
        if loop.get(f"{CAMUNDA}collection"):
            yield Written(loop, loop.get(f"{CAMUNDA}collection") or "", Reading.FEEL)
    for node in document.all:
        yield from _of_attributes(document, node)
        for entry in document.extensions(node):
            yield from _of_extension(node, entry)
    for element in document.each("message", "signal"):
        if element.get("name"):
            yield Written(element, element.get("name") or "", Reading.WORD)


def _child(document: Document, element: Element, reading: Reading) -> Iterator[Written]:
    raw = element.text or ""
    if raw.strip():
        yield Written(element, raw.strip(), reading, raw[: len(raw) - len(raw.lstrip())].count("\n"))


_USER = ("assignee", "candidateGroups", "candidateUsers", "formKey")
_WORD_ATTRIBUTES = {"userTask": _USER, "globalUserTask": _USER, "startEvent": ("formKey",)}


def _of_attributes(document: Document, node: Element) -> Iterator[Written]:
    kind = document.kind(node)
    names = _WORD_ATTRIBUTES.get(kind, ())
    if kind in ("serviceTask", "sendTask", "businessRuleTask"):
        names = ("topic",)
    for name in names:
        if document.camunda(node, name):
            yield Written(node, document.camunda(node, name), Reading.WORD)
    if kind in ("userTask", "globalUserTask"):
        for name in ("dueDate", "followUpDate"):
            if document.camunda(node, name):
                yield Written(node, document.camunda(node, name), Reading.DATE)
        priority = document.camunda(node, "priority")
        if priority and not priority.isdecimal():
            yield Written(node, priority, Reading.FEEL)


def _of_extension(node: Element, entry: Element) -> Iterator[Written]:
    if entry.tag == f"{CAMUNDA}inputOutput":
        for parameter in entry.iterfind("*"):
            if parameter.tag in (f"{CAMUNDA}inputParameter", f"{CAMUNDA}outputParameter") and (parameter.text or "").strip():
                raw = parameter.text or ""
                yield Written(parameter, raw.strip(), Reading.FEEL, raw[: len(raw) - len(raw.lstrip())].count("\n"))
    elif entry.tag in (f"{CAMUNDA}in", f"{CAMUNDA}out"):
        for name in ("source", "sourceExpression", "businessKey"):
            if (entry.get(name) or "").strip() and not (name == "businessKey" and OWN_KEY.fullmatch(entry.get(name) or "")):
                yield Written(entry, entry.get(name) or "", Reading.FEEL)
    elif entry.tag == f"{CAMUNDA}properties":
        for one in entry.iterfind(f"{CAMUNDA}property"):
            name, value = one.get("name") or "", (one.get("value") or "").strip()
            if value:
                reading = Reading.FEEL if name in _FEEL_PROPERTIES else Reading.DATE if name == "deadline" else Reading.WORD
                yield Written(one, value, reading)


def _variables(document: Document) -> frozenset[str]:
    """Names that the diagram itself gives to variables: those with blanks change how an expression is read."""
    found: set[str] = set(item_names(document.root).values())
    for element in document.all:
        for name in ("resultVariable", "elementVariable"):
            found.add(document.camunda(element, name))
        for entry in document.extensions(element):
            for each in (entry, *entry.iterfind("*")):
                found.add((each.get("target") or "").strip())
                if each.tag in (f"{CAMUNDA}inputParameter", f"{CAMUNDA}outputParameter"):
                    found.add((each.get("name") or "").strip())
                if each.get("name") == "outputCollection":
                    found.add((each.get("value") or "").strip())
    return frozenset(found - {""})


def compiled(document: Document) -> Iterator[tuple[Written, Expression | FeelSyntaxError]]:
    names = _variables(document)
    for each in written(document):
        if not each.is_expression:
            continue
        try:
            yield each, compile_expression(translated(each.text), names)
        except FeelSyntaxError as error:
            yield each, error
        except ValueError:
            continue  # no FEEL meaning: EXPR-JUEL tells it


def short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}…"


@rule(
    "EXPR-SYNTAX", DRAFT,
    zh="表达式“{text}”第 {line} 行第 {column} 列：{why_zh}", en='Expression "{text}", line {line}, column {column}: {why}',
    mend_zh="请更正；文字要加双引号，等于用一个 =,且/或写 and/or",
    mend_en="Correct it; texts stand in double quotes, equality is a single =, write and/or",
)
def syntax(document: Document) -> Hits:
    for each, found in compiled(document):
        if isinstance(found, FeelSyntaxError):
            facts = {
                "text": short(each.text), "line": found.line, "column": found.column, "why": found.message, "why_zh": found.zh,
            }
            yield Hit(each.element, None, facts, each.line + found.line - 1)


@rule(
    "EXPR-FUNCTION", WARNING,
    zh="表达式“{text}”用了不存在的函数 {function}，结果会是空值",
    en='Expression "{text}" calls {function}, which does not exist; the value would be null',
    mend_zh="请改用 FEEL 的函数", mend_en="Use a function of FEEL",
)
def unknown_function(document: Document) -> Hits:
    for each, found in compiled(document):
        if isinstance(found, FeelSyntaxError):
            continue
        for name in sorted(found.called_names - BUILTINS.keys()):
            yield Hit(each.element, None, {"text": short(each.text), "function": name}, each.line)


@rule(
    "EXPR-JUEL", DRAFT,
    zh="“{text}”是 Camunda 7 的表达式，{why_zh}", en='"{text}" is an expression of Camunda 7; {why}',
    mend_zh="请写成 FEEL:{feel}", mend_en="Write it in FEEL: {feel}",
)
def juel(document: Document) -> Hits:
    for each in written(document):
        if not each.is_expression or not _JUEL.search(each.text):
            continue
        feel = _feel_of(each.text)
        if feel:
            facts = {"why": "it is translated", "why_zh": "已自动翻译", "feel": f"= {feel}"}
            yield Hit(each.element, WARNING, {"text": short(each.text), **facts}, each.line)
        else:
            facts = {
                "why": "it has no meaning in FEEL, for it calls Java or uses its own operators",
                "why_zh": "在 FEEL 中没有对应（调用 Java 或用了专有运算符）",
                "feel": 'amount > 1000000 and result = "pass"',
            }
            yield Hit(each.element, None, {"text": short(each.text), **facts}, each.line)


def _feel_of(text: str) -> str:
    """Return the FEEL that a Camunda 7 expression is translated to, ``""`` when it has no meaning there."""
    try:
        feel = translated(text)
        compile_expression(feel, frozenset())
    except ValueError:
        return ""
    return feel


@rule(
    "TIMER-VALUE", DRAFT,
    zh="“{text}”不是合法的 {what}(ISO 8601)", en='"{text}" is not a valid {what} (ISO 8601)',
    mend_zh="例：PT2H、P3D、2026-12-01T09:00:00+08:00、R3/PT1H,或 FEEL:= submission_deadline",
    mend_en="E.g. PT2H, P3D, 2026-12-01T09:00:00+08:00, R3/PT1H, or FEEL: = submission_deadline",
)
def timer_value(document: Document) -> Hits:
    for each in written(document):
        if each.reading not in (Reading.TIME, Reading.DATE):
            continue
        # Capitals without a leading = are a mistyped time (T2H, P3X), hardly a variable.
        if each.is_expression and not re.fullmatch(r"[A-Z][A-Z0-9/:.+-]*", each.text.strip()):
            continue
        kind = document.kind(each.element)
        if each.reading is Reading.DATE:
            kind = "timeDuration" if each.text.upper().startswith(("P", "-P")) else "timeDate"
        try:
            timers.check_bare(kind, each.text.strip(), ZONE)
        except (timers.BadTime, OverflowError, ValueError):
            yield hit(each.element, text=short(each.text), what=kind)


@rule(
    "TIMER-NAIVE", WARNING,
    zh="时刻“{text}”没有时区，按公司时区理解", en='The instant "{text}" has no time zone; it is taken as house time',
    mend_zh="请写明时区，如 {text}+08:00", mend_en="Write the zone, such as {text}+08:00",
)
def naive_time(document: Document) -> Hits:
    for each in written(document):
        if each.reading in (Reading.TIME, Reading.DATE) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+", each.text.strip()):
            yield hit(each.element, text=each.text.strip())


#: Names that FEEL's grammar keeps for itself, and those the engine counts loops with.
_RESERVED = frozenset({
    "if", "then", "else", "for", "in", "return", "some", "every", "satisfies", "and", "or", "not", "between", "instance", "of",
    "true", "false", "null", "function", "external", "loopCounter", "nrOfInstances", "nrOfCompletedInstances",
    "nrOfActiveInstances", "nrOfTerminatedInstances",
})


@rule(
    "NAME-RESERVED", DRAFT,
    zh="“{name}”的变量名“{variable}”是保留名", en='The variable "{variable}" of "{name}" has a reserved name',
    mend_zh="请换一个变量名", mend_en="Give the variable another name",
)
def reserved(document: Document) -> Hits:
    for element, variable in _written_variables(document):
        if variable in _RESERVED:
            yield hit(element, variable=variable, name=_owner(document, element))


#: Names that FEEL gives a meaning of its own in filters and in the body of a for; elsewhere they are names as any other.
_SHADOWED = {"item": "[…]", "partial": "for … return"}


@rule(
    "NAME-SHADOWED", WARNING,
    zh="在 FEEL 的 {where} 中，“{variable}”指的不是“{name}”的变量",
    en='Within {where} of FEEL, "{variable}" is not the variable of "{name}"',
    mend_zh="如要在其中读取，请换一个变量名", mend_en="Give the variable another name if it is read there",
)
def shadowed(document: Document) -> Hits:
    for element, variable in _written_variables(document):
        if variable in _SHADOWED:
            yield hit(element, variable=variable, name=_owner(document, element), where=_SHADOWED[variable])


@rule(
    "NAME-FORM", WARNING,
    zh="“{name}”的变量名“{variable}”含有空格或符号，表达式里容易读错",
    en='The variable "{variable}" of "{name}" has blanks or signs in its name, which expressions easily misread',
    mend_zh="请只用字母、数字和下划线", mend_en="Use letters, digits and underscores only",
)
def form_of_names(document: Document) -> Hits:
    for element, variable in _written_variables(document):
        if not variable.isidentifier():
            yield hit(element, variable=variable, name=_owner(document, element))


def _owner(document: Document, element: Element) -> str:
    around: Element | None = element
    while around is not None and not around.get("id"):
        around = around.getparent()
    return "-" if around is None else label(around)


def _written_variables(document: Document) -> Iterator[tuple[Element, str]]:
    """Yield (element, name) of every variable that the diagram writes."""
    for element in document.all:
        for name in ("resultVariable", "elementVariable"):
            if document.camunda(element, name):
                yield element, document.camunda(element, name)
        for entry in document.extensions(element):
            if entry.tag in (f"{CAMUNDA}in", f"{CAMUNDA}out") and (entry.get("target") or "").strip():
                yield element, (entry.get("target") or "").strip()
            for each in entry.iterfind("*"):
                if each.tag in (f"{CAMUNDA}inputParameter", f"{CAMUNDA}outputParameter") and (each.get("name") or "").strip():
                    yield element, (each.get("name") or "").strip()
                if each.get("name") == "outputCollection" and (each.get("value") or "").strip():
                    yield element, (each.get("value") or "").strip()
