"""Bytes nobody vouches for: refused with advice, or read; nothing is resolved, expanded or fetched."""

import pytest
from lxml import etree

from engine.bpmn.xml import LIMIT, UnreadableDiagram, read_diagram
from engine.errors import EngineError, InvalidDiagram
from tests.bpmn.build import diagram, end, process, start

GOOD = diagram(process(start(), end(), "s>e"))
LAUGHS = (
    b'<!DOCTYPE lolz [<!ENTITY a "ha">' + b"".join(
        b'<!ENTITY %c "%s">' % (97 + n, b"&%c;" % (96 + n) * 10) for n in range(1, 10)) + b"]><x>&j;</x>"
)

REFUSED = {
    "billion laughs": (LAUGHS, "XML-DOCTYPE"),
    "external entity": (b'<?xml version="1.0"?>\n<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]><d>&x;</d>', "XML-DOCTYPE"),
    "DOCTYPE behind a comment": (b"<!-- a --><?pi b?>\n<!doctype html><html/>", "XML-DOCTYPE"),
    "DOCTYPE in UTF-16": ('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE d><d/>'.encode("utf-16"), "XML-DOCTYPE"),
    "DOCTYPE in UTF-16 without mark": ("<?xml version='1.0'?><!DOCTYPE d><d/>".encode("utf-16-be"), "XML-DOCTYPE"),
    "DOCTYPE in EBCDIC": ('<?xml version="1.0" encoding="cp037"?><!DOCTYPE d><d/>'.encode("cp037"), "XML-ENCODING"),
    "DOCTYPE in UTF-7": (b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE d+AD4-<d/>', "XML-ENCODING"),
    "deep nesting": (b"<a>" * 5000 + b"</a>" * 5000, "XML-DEPTH"),
    "nesting that the parser would take": (b"<a>" * 220 + b"</a>" * 220, "XML-DEPTH"),
    "9 MB": (b" " * 9_000_000, "XML-SIZE"),
    "truncated": (GOOD[: len(GOOD) // 2], "XML-SYNTAX"),
    "wrong root": (b"<process/>", "XML-NAMESPACE"),
    "BPMN 1": (b'<definitions xmlns="http://schema.omg.org/spec/BPMN/2.0"/>', "XML-NAMESPACE"),
    "HTML": (b"<html><body><p>404</body></html>", "XML-SYNTAX"),
    "HTML with DOCTYPE": (b"<!DOCTYPE html><html></html>", "XML-DOCTYPE"),
    "JSON": (b'{"a": 1}', "XML-SYNTAX"),
    "empty": (b"", "XML-EMPTY"),
    "blank": (b" \n\t", "XML-EMPTY"),
    "broken UTF-8": (GOOD.replace(b'id="p"', b'id="p\xff"'), "XML-ENCODING"),
    "NUL": (GOOD.replace(b'id="p"', b'id="p\0"'), "XML-SYNTAX"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_file_is_refused_with_advice(name):
    data, rule = REFUSED[name]

    with pytest.raises(UnreadableDiagram) as caught:
        read_diagram(data)

    (finding,) = caught.value.findings
    assert finding.rule == rule
    assert finding.mend_zh in caught.value.text("zh")
    assert finding.mend_en in caught.value.text("en")


def test_refusal_is_an_engine_error():
    assert issubclass(UnreadableDiagram, InvalidDiagram)
    assert issubclass(UnreadableDiagram, EngineError)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_diagram_is_read_in_the_encodings_that_tools_write(encoding):
    text = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>\n' + GOOD.decode().replace('id="p"', 'id="p" name="投标"')

    root = read_diagram(text.encode(encoding))

    assert root.find("{*}process").get("name") == "投标"


def test_lines_are_those_of_the_file():
    data = b'<?xml version="1.0"\n  encoding="UTF-8"?>\n<!-- a\nb -->\n' + GOOD.replace(b"<process", b"\n\n<process")

    assert read_diagram(data).find("{*}process").sourceline == 7


def test_doctype_inside_cdata_is_text():
    root = read_diagram(GOOD.replace(b"</process>", b"<documentation><![CDATA[<!DOCTYPE x>]]></documentation></process>"))

    assert "<!DOCTYPE x>" in etree.tostring(root, method="text").decode()


def test_include_and_stylesheet_are_inert():
    data = b'<?xml-stylesheet href="file:///etc/hostname"?>' + GOOD.replace(
        b"</process>", b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/hostname" parse="text"/></process>')

    assert not etree.tostring(read_diagram(data), method="text").strip()


def test_thousands_of_comments_are_read_in_linear_time():
    with pytest.raises(UnreadableDiagram):
        read_diagram(b"<!---->" * (LIMIT // 7 - 10) + b"<!DOCTYPE x><x/>")
    with pytest.raises(UnreadableDiagram):
        read_diagram(b"<!--" * (LIMIT // 4))


def test_limit_is_the_callers():
    with pytest.raises(UnreadableDiagram, match="too large"):
        read_diagram(GOOD, limit=100)
