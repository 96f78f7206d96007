"""Reads a diagram from bytes nobody vouches for: no entities, no DOCTYPE, no network, bounded size and depth.

The bytes are decoded here, strictly and by a short list of encodings, before any parser sees them: what is looked for in the
text (a DOCTYPE, say) cannot hide in an encoding that only the parser knows.
"""

from __future__ import annotations

import codecs
import re
from typing import cast

from lxml import etree

from engine.errors import InvalidDiagram
from engine.model import Finding, Severity

MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"  #: namespace of BPMN 2.0's semantic elements
BPMN = f"{{{MODEL}}}"
CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"

LIMIT = 4 * 1024 * 1024  #: bytes of one diagram, by default
DEPTH = 200  #: elements within elements

_ENCODINGS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "latin-1", "windows-1252": "cp1252",
    "gbk": "gbk", "gb2312": "gb18030", "gb18030": "gb18030", "utf-16": "utf-16", "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
_DECLARATION = re.compile(r"<\?xml\s[^>]*?\?>")
_ENCODING_NAME = re.compile(r"""\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
# A DOCTYPE can stand before the root only. Atomic groups: no backtracking over thousands of comments.
_DOCTYPE = re.compile(r"[^<]*+(?>(?><\?.*?\?>|<!--.*?-->)[^<]*+)*+<!DOCTYPE", re.S | re.I)


class UnreadableDiagram(InvalidDiagram):
    """The bytes are no BPMN diagram that can be read. `findings`: one `model.Finding`."""

    zh = "文件无法作为 BPMN 图读取：{first}"
    en = "The file cannot be read as a BPMN diagram: {first_en}"


def read_diagram(data: bytes, limit: int = LIMIT) -> etree._Element:
    """Return the root element (`definitions`) of a diagram; comments and processing instructions are left out.

    Args:
        limit: bytes; more are refused unread.

    Raises:
        UnreadableDiagram: too large, of an unknown encoding, with a DOCTYPE, not well-formed, nested too deep, or not BPMN 2.0.
            Its text says what to do.
    """
    result = read_or_say_why(data, limit)
    if isinstance(result, Finding):
        raise UnreadableDiagram(
            (result,), count=1, first=f"{result.zh}。{result.mend_zh}。", first_en=f"{result.en}. {result.mend_en}."
        )
    return result


def read_or_say_why(data: bytes, limit: int = LIMIT, file: str = "") -> etree._Element | Finding:
    """Return the root element, or the one finding that stands for everything else; never raises for any bytes."""

    def refuse(rule: str, line: int, zh: str, en: str, mend_zh: str, mend_en: str) -> Finding:
        return Finding(
            rule=rule, severity=Severity.ERROR, file=file, element=None, line=line,
            zh=zh, en=en, mend_zh=mend_zh, mend_en=mend_en,
        )

    def too_deep(line: int) -> Finding:
        return refuse(
            "XML-DEPTH", line,
            f"元素嵌套超过 {DEPTH} 层", f"Elements are nested more than {DEPTH} deep",
            "请减少嵌套，或用调用活动代替内嵌子流程", "Nest less, or call a process instead of embedding it",
        )

    if len(data) > limit:
        return refuse(
            "XML-SIZE", 0,
            f"文件过大({len(data)} 字节，上限 {limit} 字节)", f"The file is too large ({len(data)} bytes, limit {limit})",
            "请拆分为多个流程，用调用活动连接", "Split it into several processes joined by call activities",
        )
    if not data.strip():
        return refuse(
            "XML-EMPTY", 0, "文件是空的", "The file is empty", "请用建模器重新导出", "Export it again from the modeller",
        )
    text, why, line = _decode(data)
    if text is None:
        return refuse(
            "XML-ENCODING", line,
            f"文件的字符编码无法读取：{why}", f"The encoding of the file cannot be read: {why}",
            "请另存为 UTF-8", "Save it as UTF-8",
        )
    doctype = _DOCTYPE.match(text)
    if doctype:
        return refuse(
            "XML-DOCTYPE", doctype[0].count("\n") + 1,
            "不允许 DOCTYPE 或实体声明", "DOCTYPE and entity declarations are not allowed",
            "请删除 DOCTYPE 声明后重新上传", "Remove the DOCTYPE declaration and upload the file again",
        )
    try:
        root = _parse(text)
    except etree.XMLSyntaxError as error:
        if "Excessive depth" in str(error.msg):
            return too_deep(error.lineno or 0)
        return refuse(
            "XML-SYNTAX", error.lineno or 0,
            f"不是有效的 XML:{error.msg}", f"Not well-formed XML: {error.msg}",
            "文件可能不完整或不是 BPMN 文件，请用建模器重新导出",
            "The file may be cut off or no BPMN at all; export it again from the modeller",
        )
    deep = _line_deeper_than(DEPTH, root)
    if deep:
        return too_deep(deep)
    if root.tag != f"{BPMN}definitions":
        return refuse(
            "XML-NAMESPACE", source_line(root),
            f"根元素不是 BPMN 2.0 的 definitions(是 {root.tag})",
            f"The root element is {root.tag}, not definitions of BPMN 2.0",
            "请从建模器以 BPMN 2.0 XML 格式导出", "Export it from the modeller as BPMN 2.0 XML",
        )
    return root


def source_line(element: etree._Element) -> int:
    """Return the line of the element's start tag, from 1; 0 when the parser does not know it."""
    line: int | None = cast("int | None", element.sourceline)
    return line or 0


def _decode(data: bytes) -> tuple[str | None, str, int]:
    """Return (text without XML declaration, "", 0) or (None, why, line)."""
    if data.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        if data[:4] == b"<\0?\0":
            encoding = "utf-16-le"
        elif data[:4] == b"\0<\0?":
            encoding = "utf-16-be"
        else:
            head = _DECLARATION.match(data[:200].decode("latin-1"))
            named = _ENCODING_NAME.search(head[0]) if head else None
            encoding = _ENCODINGS.get(named[1].lower(), "") if named else "utf-8"
            if not encoding:
                return None, named[1] if named else "", 1
            if encoding.startswith("utf-16"):  # the declaration could be read byte by byte, so it is not
                return None, "UTF-16", 1
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        return None, f"{encoding}, 0x{data[error.start]:02X}", data.count(b"\n", 0, error.start) + 1
    head = _DECLARATION.match(text)
    if head:  # it speaks of bytes that are no more; its line ends stay, so that lines keep their numbers
        text = re.sub(r"[^\n]", " ", head[0]) + text[head.end():]
    return text, "", 0


def _line_deeper_than(depth: int, root: etree._Element) -> int:
    """Return the line of the first element nested deeper, 0 when there is none. The parser bounds its own depth before that."""
    level = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        level += 1 if event == "start" else -1
        if level > depth:
            return max(source_line(element), 1)
    return 0


def _parser(recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True, recover=recover,
    )


def _parse(text: str) -> etree._Element:
    data = text.encode("utf-8", "surrogatepass")
    parser = _parser(recover=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        # An odd namespace URI or an undeclared prefix leaves the document readable; the checker reports the prefix.
        if not len(parser.error_log) or any(entry.domain_name != "NAMESPACE" for entry in parser.error_log):
            raise
        root = etree.fromstring(data, _parser(recover=True))
        if root is None:
            raise
        return root
