"""The file as bytes: read safely, and its diagrams exchanged without touching any other byte.

Positions are found on a UTF-8 copy of the text, so that comments, formatting, encoding and line ends of the semantic part stay
as the author wrote them.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar
from xml.parsers import expat

from lxml import etree

from engine.errors import EngineError

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
BPMNDI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
DI = "http://www.omg.org/spec/DD/20100524/DI"

_DI_TAGS = tuple(f"{{{uri}}}" for uri in (BPMNDI, DC, DI))
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class UnreadableDiagram(EngineError):
    """The bytes are no BPMN file that may be read: not XML, not BPMN, or with a document type declaration."""

    code: ClassVar[str] = "unreadable_diagram"
    status: ClassVar[int] = 422
    zh: ClassVar[str] = "无法读取流程图文件：{reason}"
    en: ClassVar[str] = "The diagram file cannot be read: {reason_en}"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A BPMN file. `text` is UTF-8; `diagrams` are byte ranges in it, `closing` is where the root's end tag begins."""

    root: etree._Element
    text: bytes
    encoding: str
    mark: bytes
    diagrams: tuple[tuple[int, int], ...]
    closing: int

    @property
    def line_end(self) -> str:
        """What ends the lines of the file."""
        return "\r\n" if b"\r\n" in self.text else "\n"

    def with_diagram(self, diagram: str) -> bytes:
        """Return the file with `diagram` in the place of the diagrams it has, or else as the last thing in it."""
        text = self.text
        if self.diagrams:
            first, *others = self.diagrams
            for start, end in reversed(others):
                text = text[:start].rstrip(b" \t\r\n") + text[end:]
            text = text[: first[0]] + diagram.encode() + text[first[1] :]
        elif self.closing:
            before, after = text[: self.closing], text[self.closing :]
            line_end = self.line_end.encode()
            lead = b"" if before.endswith(b"\n") else line_end
            text = before + lead + b"  " + diagram.encode() + line_end + after
        return self.mark + text.decode().encode(self.encoding)


def read_source(xml: bytes) -> Source:
    """Return the BPMN file `xml`, parsed without entities and without network.

    Raises:
        UnreadableDiagram: not well-formed, not BPMN 2.0, or it has a DOCTYPE.
    """
    mark, encoding, text = _as_utf8(xml)
    found = _Positions(text)
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, encoding="utf-8")
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableDiagram(
            reason=f"不是有效的 XML({error.msg})", reason_en=f"it is not well-formed XML ({error.msg})"
        ) from error
    if root.tag != f"{{{BPMN}}}definitions":
        raise UnreadableDiagram(
            reason="根元素不是 BPMN 2.0 的 definitions,请选择由建模器保存的 .bpmn 文件",
            reason_en="its root is not the definitions of BPMN 2.0; choose a .bpmn file as a modeler saves it",
        )
    ids = Counter(id_ for el in root.iter(etree.Element) if (id_ := el.get("id")) and not str(el.tag).startswith(_DI_TAGS))
    for id_, count in ids.items():
        if count > 1:
            raise UnreadableDiagram(reason=f"有 {count} 个元素的编号都是 {id_}", reason_en=f"{count} elements have id {id_}")
    return Source(root=root, text=text, encoding=encoding, mark=mark, diagrams=tuple(found.diagrams), closing=found.closing)


def _as_utf8(xml: bytes) -> tuple[bytes, str, bytes]:
    mark, encoding = next(((m, e) for m, e in _MARKS if xml.startswith(m)), (b"", ""))
    body = xml[len(mark) :]
    if not encoding:
        declared = _DECLARED.match(body)
        encoding = declared[1].decode() if declared else "utf-8"
    try:
        return mark, encoding, body.decode(encoding).encode()
    except (LookupError, UnicodeError) as error:
        raise UnreadableDiagram(
            reason=f"文字编码 {encoding} 不正确，请另存为 UTF-8", reason_en=f"its text is not {encoding}; save it as UTF-8"
        ) from error


class _Positions:
    """Where the diagrams and the root's end tag stand in the text; refuses document types while it looks."""

    def __init__(self, text: bytes) -> None:
        self.diagrams: list[tuple[int, int]] = []
        self.closing = 0
        self._text = text
        self._depth = 0
        self._start = 0
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._close
        try:
            self._parser.Parse(text, True)
        except expat.ExpatError as error:
            raise UnreadableDiagram(
                reason=f"第 {error.lineno} 行不是有效的 XML({error})", reason_en=f"it is not well-formed XML ({error})"
            ) from error

    def _refuse(self, *_: object) -> None:
        raise UnreadableDiagram(
            reason="含有 DOCTYPE 声明，出于安全考虑不予接受，请删除后重试",
            reason_en="it has a DOCTYPE, which is refused for safety; delete it and try again",
        )

    def _open(self, name: str, _: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 2 and name == f"{BPMNDI} BPMNDiagram":
            self._start = self._parser.CurrentByteIndex

    def _close(self, name: str) -> None:
        at = self._parser.CurrentByteIndex
        if self._depth == 2 and name == f"{BPMNDI} BPMNDiagram":
            opening, closing = _TAG.match(self._text, self._start), _TAG.match(self._text, at)
            if opening and opening[0].endswith(b"/>"):
                self.diagrams.append(opening.span())
            elif closing:
                self.diagrams.append((self._start, closing.end()))
        elif self._depth == 1 and self._text[at : at + 2] == b"</":
            self.closing = at
        self._depth -= 1


def local(el: etree._Element) -> str:
    """Return the element's name without namespace; empty for comments and processing instructions."""
    return etree.QName(el).localname if isinstance(el.tag, str) else ""


def children(el: etree._Element, *names: str) -> Iterator[etree._Element]:
    """Yield the child elements with one of the local `names`."""
    return (c for c in el if local(c) in names)


def reference(text: str | None) -> str:
    """Return the id that a QName refers to."""
    return (text or "").strip().split(":")[-1]
