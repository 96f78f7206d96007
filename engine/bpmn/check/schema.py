"""The file as XML: the BPMN 2.0 schema, ids, prefixes, imports, its pictures, and whether there is anything to run."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from copy import deepcopy
from importlib.resources import files
from importlib.util import find_spec
from itertools import islice
from typing import Any, cast

from lxml import etree

from engine.bpmn.check.document import SUB_PROCESSES, Document, Element
from engine.bpmn.check.rule import DRAFT, ERROR, WARNING, Hits, hit, rule
from engine.bpmn.xml import BPMN, CAMUNDA, MODEL
from engine.model import Severity

_DIAGRAM = ("{http://www.omg.org/spec/BPMN/20100524/DI", "{http://www.omg.org/spec/DD/")


class _Schema:
    """The BPMN schema that SpiffWorkflow ships, read on first use. Its error log is one for all threads, hence the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._schema: etree.XMLSchema | None = None
        self.names: frozenset[str] = frozenset()

    def messages(self, root: Element) -> list[tuple[str, str, str]]:
        """Return (XPath of the element, kind of violation, text) for each violation, the first three hundred."""
        with self._lock:
            if self._schema is None:
                self._read()
            if self._schema is None or self._schema.validate(root):
                return []
            log = islice(cast("Iterable[Any]", self._schema.error_log), 300)
            return [(entry.path or "", entry.type_name, entry.message) for entry in log]

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
    root = document.root
    messages = SCHEMA.messages(root)
    if not messages:
        return
    if mixed := [scope for scope in document.all if document.kind(scope) in _SCOPES and _sorted(scope) != list(scope)]:
        for scope in mixed:  # other tools write them so, and it changes nothing
            yield hit(scope, WARNING, why="the schema has the parts of a process or sub-process in another order")
        root = deepcopy(root)
        for scope in [each for each in root.iter("*") if str(each.tag).removeprefix(BPMN) in _SCOPES]:
            scope[:] = _sorted(scope)
        messages = SCHEMA.messages(root)
    prefixes = {prefix: uri for element in root.iter("*") for prefix, uri in element.nsmap.items() if prefix is not None}
    for path, kind, message in messages:
        if "IDC" in kind or "type 'xs:ID'" in message:  # BPMN-ID tells it better
            continue
        element = _at(root, path, prefixes)
        why = message.replace(BPMN, "").replace("{http://www.omg.org/spec/BPMN/20100524/DI}", "")[:200]
        yield hit(element, _schema_severity(kind, message), why=why)


_SCOPES = SUB_PROCESSES | {"process"}
#: Where the schema has the parts of a scope; everything else is a node or a flow and stands in the middle.
_RANKS = {
    name: rank
    for rank, names in enumerate((
        "documentation", "extensionElements", "auditing", "monitoring", "incoming", "outgoing", "ioSpecification", "ioBinding",
        "property", "dataInputAssociation", "dataOutputAssociation", "loop", "laneSet", "sequenceFlow",
        "association textAnnotation group", "completionCondition", "correlationSubscription", "supports",
    ))
    for name in names.split()
}


def _sorted(scope: Element) -> list[Element]:
    """Return the parts of a process or sub-process as the schema orders them: artifacts behind nodes and flows, and so on."""
    def rank(part: Element) -> int:
        name = str(part.tag).removeprefix(BPMN)
        return _RANKS.get("loop" if name.endswith("LoopCharacteristics") else name, _RANKS["sequenceFlow"])

    return sorted(scope, key=rank)


def _at(root: Element, path: str, prefixes: dict[str, str]) -> Element:
    """Return the element at the path that libxml2 gives: steps such as ``/*/*[3]/*``, prefixed where the file has prefixes."""
    try:
        found = root.getroottree().xpath(path, namespaces=prefixes)
    except etree.XPathError:
        return root
    return found[0] if isinstance(found, list) and found and isinstance(found[0], etree._Element) else root


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
    seen: set[str] = set()
    for picture in document.foreign:  # pictures share the ids of the document; what extensions call an id is their own
        id = picture.get("id")
        if id is None or not str(picture.tag).startswith(_DIAGRAM):
            continue
        if id in seen or document.find(id) is not None:
            yield hit(picture, DRAFT)
        seen.add(id)


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


#: Attributes of the type xs:boolean, which may be written 1 or 0 as well.
_BOOLEANS = frozenset({
    "isExecutable", "isClosed", "triggeredByEvent", "isForCompensation", "cancelActivity", "isInterrupting", "parallelMultiple",
    "instantiate", "isSequential", "testBefore", "isCollection", "isUnlimited", "cancelRemainingInstances", "isImmediate",
    "waitForCompletion", "mustUnderstand", "isRequired",
})


@rule(
    "XML-BOOLEAN", DRAFT,
    zh="{kind} 的 {attr} 写的是“{value}”，这里只认 true 和 false", en='{attr} of {kind} says "{value}"; only true and false are read here',
    mend_zh="请写 true 或 false", mend_en="Write true or false",
)
def booleans(document: Document) -> Hits:
    for element in document.all:
        for name in _BOOLEANS.intersection(str(key) for key in element.attrib):
            value = element.get(name) or ""
            if value not in ("true", "false") and value.strip() in ("true", "false", "1", "0"):  # anything else: XML-SCHEMA
                yield hit(element, attr=name, value=value)


_IMPORT_TYPES = {
    ".xsd": "http://www.w3.org/2001/XMLSchema", ".wsdl": "http://www.w3.org/TR/wsdl20/", ".bpmn": MODEL,
}


@rule(
    "IMPORT-TYPE", DRAFT,
    zh="导入“{location}”的类型“{type}”不对", en='The import type "{type}" does not fit "{location}"',
    mend_zh="请写该文件格式的网址：{wanted}", mend_en="Write the address of its format: {wanted}",
)
def import_type(document: Document) -> Hits:
    for element in document.each("import"):
        location, given = (element.get("location") or "").strip(), (element.get("importType") or "").strip()
        wanted = _IMPORT_TYPES.get("." + location.lower().rsplit(".", 1)[-1], "")
        fits = given.rstrip("/").startswith(wanted.rstrip("/")) or (wanted.endswith("wsdl20/") and "wsdl" in given)
        if ":" not in given or not fits:
            yield hit(element, type=given, location=location, wanted=wanted or "http://…")


@rule(
    "EXTENSION-MUST", DRAFT,
    zh="文件声明必须理解扩展“{definition}”，本系统不认识它", en='The file demands that the extension "{definition}" be understood, which is not known here',
    mend_zh="请去掉 mustUnderstand，或改用 camunda: 的字段", mend_en="Remove mustUnderstand, or use fields of camunda:",
)
def must_understand(document: Document) -> Hits:
    for element in document.each("extension"):
        definition = (element.get("definition") or "").strip()
        namespace = element.nsmap.get(definition.split(":", 1)[0]) if ":" in definition else None
        if element.get("mustUnderstand") == "true" and f"{{{namespace}}}" != CAMUNDA:
            yield hit(element, definition=definition or "-")


_DI = "{http://www.omg.org/spec/BPMN/20100524/DI}BPMN"
_PLANES = frozenset({"process", "collaboration", "choreography", "subChoreography", "globalConversation"}) | SUB_PROCESSES
_LINES = frozenset({
    "sequenceFlow", "messageFlow", "association", "dataInputAssociation", "dataOutputAssociation", "conversationLink",
})


@rule(
    "DI-REF", WARNING,
    zh="图形 {shape} 画的是“{ref}”({what})", en="The {shape} depicts {ref} ({what})",
    mend_zh="请用建模器重新保存", mend_en="Save it again with a modeller",
)
def depicted(document: Document) -> Hits:
    for picture in document.foreign:
        shape, reference = str(picture.tag).removeprefix(_DI), picture.get("bpmnElement")
        if shape not in ("Plane", "Shape", "Edge") or not str(picture.tag).startswith(_DI) or reference is None:
            continue
        target = document.find(reference)
        kind = document.kind(target)
        if target is None:
            wrong = not document.is_external(picture, reference)
        elif shape == "Plane":
            wrong = kind not in _PLANES
        else:
            wrong = (kind in _LINES) != (shape == "Edge")
        if wrong:
            yield hit(picture, shape=f"BPMN{shape}", ref=reference, what=kind or "-")
