"""A DMN file as read: its elements, names, imports and types. Nothing of XML is known beyond here and `boxed` and `tables`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lxml import etree

from engine.feel import types
from engine.feel.builtins import BUILTINS
from engine.feel.compiler import CompiledTests, compile_tests, compile_text
from engine.feel.errors import DecisionError, FeelSyntaxError
from engine.feel.parser import normal_name
from engine.feel.run import Closure, Run, Scope, Value
from engine.feel.syntax import FreeNames
from engine.feel.types import ItemType, Type

if TYPE_CHECKING:
    from engine.feel.tables import Table

XmlNode = etree._Element
MAX_BYTES = 5_000_000
EXPRESSIONS = frozenset(
    ["literalExpression", "decisionTable", "context", "invocation", "functionDefinition", "relation", "list", "conditional",
     "filter", "for", "some", "every"]
)  # fmt: skip
_NAMED = frozenset(
    ["itemComponent", "variable", "inputData", "decision", "businessKnowledgeModel", "formalParameter", "informationItem",
     "column", "output", "parameter", "import"]
)  # fmt: skip
_ELEMENTS = frozenset(["inputData", "decision", "businessKnowledgeModel", "decisionService"])
_REQUIREMENTS = ("requiredInput", "requiredDecision", "requiredKnowledge")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a DMN file. `element`: id of the decision or other element; `line` counts from 1."""

    element: str
    line: int
    zh: str
    en: str


def read_xml(xml: bytes) -> XmlNode:
    """Return the root of a DMN file; entities and document types are refused, nothing is fetched.

    Raises:
        DecisionError: no XML, a DOCTYPE, too large, or no DMN definitions.
    """
    if len(xml) > MAX_BYTES:
        raise DecisionError("the file is too large", zh="文件过大")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True)
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        raise DecisionError(f"the file is no XML: {error}", line, zh=f"文件不是合法的 XML:{error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise DecisionError("a DOCTYPE is not allowed", 1, zh="不允许 DOCTYPE 声明")
    if tag(root) != "definitions":
        raise DecisionError("the file holds no DMN definitions", 1, zh="文件不含 DMN 定义")
    return root


def tag(node: XmlNode) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else ""


def parts(node: XmlNode | None, *names: str) -> list[XmlNode]:
    return [part for part in node if tag(part) in names] if node is not None else []


def part(node: XmlNode | None, name: str) -> XmlNode | None:
    return next(iter(parts(node, name)), None)


def expression_in(node: XmlNode | None) -> XmlNode | None:
    return next((inner for inner in node if tag(inner) in EXPRESSIONS), None) if node is not None else None


def text_of(node: XmlNode | None) -> str:
    text = part(node, "text")
    return (text.text or "").strip() if text is not None else ""


def _text_line(node: XmlNode) -> int:
    text = part(node, "text")
    return line_of(text if text is not None else node)


def line_of(node: XmlNode) -> int:
    line: Any = node.sourceline  # the stubs are wrong about it
    return int(line or 0)


@dataclass(eq=False, slots=True)
class Element:
    """Input data, a decision, a business knowledge model or a decision service.

    Attributes:
        variable: the name under which its value is seen.
        requires: hrefs of what it needs.
        logic: closure of a decision, or of a business knowledge model (which gives its function).
        reads: free names of its expressions; `certain`: those that are read whatever the data and that nothing around gives.
    """

    kind: str
    node: XmlNode
    file: Definitions
    id: str
    name: str
    variable: str
    type: Type
    requires: list[str]
    logic: Closure = field(default=lambda scope: None)
    reads: set[str] = field(default_factory=set)
    certain: set[str] = field(default_factory=set)


class Definitions:
    """One DMN file.

    Attributes:
        others: every file of the model, this one included.
        is_open: it declares no input data, so its decisions read variables directly.
        is_tracing: what it compiles tells `Run.trace` its values.
        warnings: names that nothing gives.
    """

    def __init__(self, root: XmlNode, others: list[Definitions], problems: list[Problem], *, is_tracing: bool = False) -> None:
        self.root, self.others, self.problems, self.is_tracing = root, others, problems, is_tracing
        self.namespace, self.name = root.get("namespace") or "", root.get("name") or ""
        self.imports: dict[str, Definitions] = {}
        self.members = {normal_name(n.get("name")) for n in root.iter() if tag(n) in _NAMED and n.get("name")}
        self.item_nodes = {normal_name(n.get("name")): n for n in parts(root, "itemDefinition")}
        self._items: dict[str, ItemType] = {}
        self.elements: list[Element] = []
        self._by_id: dict[str, Element] = {}
        self.current: Element | None = None
        self.tables: list[Table] = []
        self.warnings: list[Problem] = []
        self.is_open = not parts(root, "inputData")

    # ------------------------------------------------------------------------------------------------ putting together
    def link(self) -> None:
        """Find the imported files; then types and elements can be read."""
        for node in parts(self.root, "import"):
            found = next((other for other in self.others if other.namespace == node.get("namespace")), None)
            name = normal_name(node.get("name"))
            if found is not None:
                self.imports[name] = found
            elif "DMN" in (node.get("importType") or "DMN").upper():
                self.problem(node, f"the import `{name}` was not given", f"缺少导入的文件“{name}”")

    def read_elements(self) -> None:
        for node in self.root:
            if tag(node) in _ELEMENTS:
                element = self._element(node)
                self.elements.append(element)
                self._by_id[element.id] = element

    def _element(self, node: XmlNode) -> Element:
        name, variable = normal_name(node.get("name")), part(node, "variable")
        own_name = normal_name(variable.get("name")) if variable is not None else ""
        requires = [
            required.get("href") or ""
            for requirement in parts(node, "informationRequirement", "knowledgeRequirement")
            for required in parts(requirement, *_REQUIREMENTS)
        ]
        return Element(
            tag(node), node, self, node.get("id") or name, name, own_name or name, self.type_of(variable), requires
        )

    def find(self, href: str | None) -> Element | None:
        namespace, _, id_ = (href or "").rpartition("#")
        for other in self.others:
            if other.namespace == (namespace or self.namespace) and id_ in other._by_id:
                return other._by_id[id_]
        return self._by_id.get(id_) if not namespace else None

    def import_name(self, element: Element) -> str:
        """Return the name of the import under which an element of another file is seen here; empty for an own one."""
        if element.file is self:
            return ""
        return next((name for name, file in self.imports.items() if file is element.file), "")

    def problem(self, node: XmlNode, en: str, zh: str) -> None:
        element = self.current.id if self.current is not None else node.get("id") or ""
        self.problems.append(Problem(element, line_of(node), zh, en))

    # ----------------------------------------------------------------------------------------------------------- types
    def type_of(self, node: XmlNode | None, attribute: str = "typeRef") -> Type:
        """Return the type that a node refers to by attribute (or, in DMN 1.1, by a part); None when it does not."""
        if node is None:
            return None
        name = node.get(attribute)
        inner = part(node, attribute)
        if name is None and inner is not None:
            name = (inner.text or "").strip()
        return self._type_named(name, node)

    def _type_named(self, name: str | None, node: XmlNode) -> Type:
        if not name:
            return None
        found = self.find_type(normal_name(name))
        if isinstance(found, str) and found not in types.NAMES:
            aliases = {"integer": "number", "long": "number", "double": "number"}  # Camunda Modeler's
            if found in aliases:
                return aliases[found]
            if all(found not in other.item_nodes for other in self.others):
                self.problem(node, f"there is no type `{name}`", f"没有名为“{name}”的类型")
        return found

    def find_type(self, name: str) -> Type:
        if name in self.item_nodes:
            return self._item(name)
        if "." in name:
            prefix, _, rest = name.partition(".")
            if prefix in self.imports:
                return self.imports[prefix].find_type(rest)
        if ":" in name:
            prefix, _, rest = name.partition(":")
            namespace = self.root.nsmap.get(prefix)
            other = next((file for file in self.others if file.namespace == namespace and file is not self), self)
            return other.find_type(rest)
        return name

    def _item(self, name: str) -> ItemType:
        if name not in self._items:
            self._items[name] = ItemType(name)  # before it is filled: a type may refer to itself
            self._fill(self._items[name], self.item_nodes[name])
        return self._items[name]

    def _fill(self, item: ItemType, node: XmlNode) -> ItemType:
        components, function = parts(node, "itemComponent"), part(node, "functionItem")
        if components:
            entries = {normal_name(c.get("name")): self._fill(ItemType(normal_name(c.get("name"))), c) for c in components}
            item.base = ("context", entries)
        elif function is not None:
            params = [self.type_of(p) or "Any" for p in parts(function, "parameters")]
            item.base = ("function", params, self._type_named(function.get("outputTypeRef"), function) or "Any")
        else:
            item.base = self.type_of(node)
        item.is_list = node.get("isCollection") == "true"
        allowed, constraint = part(node, "allowedValues"), part(node, "typeConstraint")
        if allowed is not None:
            item.allowed_tests = self._tests_of(allowed)
            item.allowed = _passing(item.allowed_tests)
        if constraint is not None and item.is_list:
            item.allowed_list = _passing(self._tests_of(constraint))
        elif constraint is not None:
            item.allowed_tests = self._tests_of(constraint)
            item.allowed = _passing(item.allowed_tests)
        return item

    def _tests_of(self, node: XmlNode) -> CompiledTests | None:
        try:
            return compile_tests(text_of(node), frozenset("?"), frozenset(self.members))
        except FeelSyntaxError as error:
            self.syntax_problem(node, error)
            return None

    def resolve(self, name: str) -> ItemType | None:
        """Return the item definition of this file, an imported one or, failing that, any file's."""
        found = self.find_type(name)
        if isinstance(found, ItemType):
            return found
        return next((other._item(name) for other in self.others if name in other.item_nodes), None)

    # ------------------------------------------------------------------------------------------------------------ FEEL
    @property
    def pool(self) -> frozenset[str]:
        return frozenset(self.members)

    def syntax_problem(self, node: XmlNode, error: FeelSyntaxError) -> None:
        line = _text_line(node) + error.line - 1
        element = self.current.id if self.current is not None else ""
        place = f" (line {error.line}, column {error.column} of the text)"
        self.problems.append(Problem(element, line, f"{error.zh}(文本第 {error.line} 行第 {error.column} 列)",
                                     error.message + place))  # fmt: skip

    def feel(self, node: XmlNode, names: frozenset[str]) -> Closure | None:
        """Return the closure of the FEEL in a node's text; None when there is none or it is no FEEL (a problem is noted)."""
        text = text_of(node)
        if not text:
            return None
        language = node.get("expressionLanguage")
        if language and "FEEL" not in language.upper():
            self.problem(node, f"the expression language {language} is not run here, only FEEL",
                         f"不支持表达式语言 {language},只支持 FEEL")  # fmt: skip
            return None
        return self.feel_text(node, text, names)

    def read_names(self, node: XmlNode, free: FreeNames, names: frozenset[str]) -> None:
        """Remember what an expression reads, and warn of what nothing gives: neither requirements nor the text around it."""
        if self.current is None:
            return
        self.current.reads |= free.certain.keys() | free.members.keys() | free.called.keys()
        self.current.certain |= {name for name in free.certain if name not in names and name not in BUILTINS}
        if self.is_open:
            return
        unknown = [name for name in free.certain | free.called if name not in names and name not in BUILTINS]
        for name in unknown:
            zh = f"“{self.current.name}”读取“{name}”,但既未要求它,也没有这样的函数"
            en = f"`{self.current.name}` reads `{name}`, which it does not require and which is no function"
            self.warnings.append(Problem(self.current.id, _text_line(node), zh, en))

    def feel_text(self, node: XmlNode, text: str, names: frozenset[str]) -> Closure | None:
        try:
            compiled = compile_text(text, names, self.pool, self.is_tracing)
        except FeelSyntaxError as error:
            self.syntax_problem(node, error)
            return None
        self.read_names(node, compiled.free, names)
        return compiled.closure


def _passing(tests: CompiledTests | None) -> Callable[[Value, Run], bool] | None:
    if tests is None:
        return None

    def passes(value: Value, run: Run) -> bool:
        scope: Scope = {None: run, "?": value}
        return tests.closure(scope) is True

    return passes


def iter_files(main: bytes, imports: Mapping[str, bytes]) -> Iterator[XmlNode]:
    yield read_xml(main)
    for xml in imports.values():
        yield read_xml(xml)
