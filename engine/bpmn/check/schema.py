"""The file as XML: the BPMN 2.0 schema, ids, prefixes, and whether there is anything to run."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from importlib.resources import files
from importlib.util import find_spec
from itertools import islice
from typing import Any, cast

from lxml import etree

from engine.bpmn.check.document import Document, Element
from engine.bpmn.check.rule import DRAFT, ERROR, WARNING, Hits, hit, rule
from engine.bpmn.xml import BPMN
from engine.model import Severity

_DIAGRAM = ("{http://www.omg.org/spec/BPMN/20100524/DI", "{http://www.omg.org/spec/DD/")


class _Schema:
    """The BPMN schema that SpiffWorkflow ships, read on first use. Its error log is one for all threads, hence the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._schema: etree.XMLSchema | None = None
        self.names: frozenset[str] = frozenset()

    def messages(self, root: Element) -> list[tuple[int, str, str]]:
        """Return (line, kind of violation, text) for each violation, the first thirty."""
        with self._lock:
            if self._schema is None:
                self._read()
            if self._schema is None or self._schema.validate(root):
                return []
            log = islice(cast("Iterable[Any]", self._schema.error_log), 30)
            return [(entry.line, entry.type_name, entry.message) for entry in log]

    def _read(self) -> None:
        if find_spec("SpiffWorkflow") is None:
            return
        folder = files("SpiffWorkflow.bpmn.parser") / "schema"
        if not (folder / "BPMN20.xsd").is_file():
            return
        self._schema = etree.XMLSchema(etree.parse(str(folder / "BPMN20.xsd")))
        self.names = frozenset(
            name
            for file in ("BPMN20.xsd", "Semantic.xsd")
            for element in etree.parse(str(folder / file)).iter("{*}element")
            if (name := element.get("name"))
        )


SCHEMA = _Schema()


@rule(
    "XML-SCHEMA", ERROR,
    zh="不符合 BPMN 2.0 模式：{why}", en="Violates the BPMN 2.0 schema: {why}",
    mend_zh="请按提示更正该元素，或用建模器重新保存", mend_en="Correct the element, or save it again with a modeller",
)
def schema(document: Document) -> Hits:
    messages = SCHEMA.messages(document.root)
    if not messages:
        return
    at_line: dict[int, list[Element]] = {}
    for element in document.root.iter("*"):
        at_line.setdefault(document.line(element), []).append(element)
    for line, kind, message in messages:
        if "IDC" in kind or "type 'xs:ID'" in message:  # BPMN-ID tells it better
            continue
        name = _named(message)
        there = at_line.get(line) or [document.root]
        element = next((each for each in there if str(each.tag).rsplit("}", 1)[-1] == name), there[-1])
        why = message.replace(BPMN, "").replace("{http://www.omg.org/spec/BPMN/20100524/DI}", "")[:200]
        yield hit(element, _schema_severity(kind, message), why=why)


def _named(message: str) -> str:
    return message.split("'")[1].rsplit("}", 1)[-1] if message.count("'") > 1 else ""


def _schema_severity(kind: str, message: str) -> Severity | None:
    """Exports of real tools break the schema in ways that change nothing; those are told, not refused."""
    ours = message.startswith(f"Element '{BPMN}")
    if "calledElement" in message and ("{" in message.replace(BPMN, "") or "''" in message):
        return WARNING  # expression or empty: ACT-CALL decides
    if ("##other*" in message and not ours) or "strict wildcard" in message or "type 'xs:NCName'" in message:
        return WARNING  # an extension without a namespace of its own
    if message.startswith("Element '{") and not ours:
        return WARNING  # a picture, or an element of another vendor
    if message.startswith(tuple(f"Element '{prefix}" for prefix in _DIAGRAM)):
        return WARNING
    if "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1" in kind and "}" in message.split("attribute '", 1)[-1][:60]:
        return WARNING  # an attribute of another vendor
    return DRAFT if _named(message) in SCHEMA.names else None  # order, missing child: mendable by saving again


@rule(
    "XML-PREFIX", DRAFT,
    zh="命名空间前缀“{prefix}”没有声明，“{what}”不会被读取", en='The prefix "{prefix}" is not declared, so "{what}" is not read',
    mend_zh='请在 definitions 上加 xmlns:{prefix}="…"(camunda 为 http://camunda.org/schema/1.0/bpmn)',
    mend_en='Declare xmlns:{prefix}="…" on definitions (camunda: http://camunda.org/schema/1.0/bpmn)',
)
def prefix(document: Document) -> Hits:
    for element in document.root.iter("*"):
        for name in (str(element.tag), *(str(key) for key in element.attrib)):
            if ":" in name and not name.startswith("{"):
                yield hit(element, prefix=name.split(":", 1)[0], what=name)


@rule(
    "BPMN-ID", ERROR,
    zh="标识“{id}”重复", en='The id "{id}" is used more than once',
    mend_zh="请给其中一个元素换一个标识", mend_en="Give one of the elements another id",
)
def unique_ids(document: Document) -> Hits:
    yield from (hit(element) for element in document.duplicates)


@rule(
    "BPMN-ID-FORM", WARNING,
    zh="标识“{id}”不是合法名称", en='The id "{id}" is not a valid name',
    mend_zh="标识以字母或下划线开头，不含空格和冒号", mend_en="Begin with a letter or underscore; no blanks, no colons",
)
def form_of_ids(document: Document) -> Hits:
    for element in document.all:
        id = element.get("id")
        if id is not None and (not id.strip() or id[0].isdigit() or " " in id.strip() or ":" in id):
            yield hit(element)


@rule(
    "BPMN-ID-NONE", WARNING,
    zh="{kind}“{name}”没有标识", en='{kind} "{name}" has no id',
    mend_zh="请用建模器重新保存", mend_en="Save it with a modeller",
)
def missing_ids(document: Document) -> Hits:
    yield from (hit(node) for node in document.nodes if not node.get("id"))
    for process in document.each("process"):
        if not process.get("id"):  # nobody could start it
            yield hit(process, DRAFT if process.get("isExecutable") == "true" else None)


@rule(
    "BPMN-EXECUTABLE", DRAFT,
    zh="没有可执行的流程", en="There is no executable process",
    mend_zh="请在流程属性中勾选“可执行”", mend_en='Tick "executable" in the properties of the process',
)
def executable(document: Document) -> Hits:
    processes = list(document.each("process"))
    if not any(process.get("isExecutable") == "true" for process in processes):
        yield hit((processes or [document.root])[0])


@rule(
    "PROCESS-TWICE", DRAFT,
    zh="流程标识“{id}”在文件“{other}”中也有", en='The process id "{id}" stands in the file "{other}" too',
    mend_zh="请给其中一个流程换一个标识，或只部署一个文件",
    mend_en="Give one process another id, or deploy one of the files only",
)
def process_twice(document: Document) -> Hits:
    for process in document.each("process"):
        for file, other in document.together.items():
            if other is not document and any(each.get("id") == process.get("id") for each in other.each("process")):
                yield hit(process, other=file)
                break
