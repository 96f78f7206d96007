"""Files that are made to hurt: refused in bounded time through every entrance, and nothing is changed."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli import main
from engine.errors import EngineError
from engine.forms import InvalidForm, read_form
from tests.web.house import House

LAUGHS = '<!DOCTYPE d [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{"&a%d;" % (n - 1) * 10}">' for n in range(1, 10)) + "]>"  # noqa: UP031
MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
DMN = "https://www.omg.org/spec/DMN/20191111/MODEL/"
BOMBS = {
    "laughs": f'{LAUGHS}<definitions xmlns="%s">&a9;</definitions>',
    "entity": '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><definitions xmlns="%s">&x;</definitions>',
    "parameter": '<!DOCTYPE d [<!ENTITY %% x SYSTEM "http://127.0.0.1:9/x.dtd"> %%x;]><definitions xmlns="%s"/>',
    "deep": '<definitions xmlns="%s">' + "<x>" * 100_000,
    "attributes": '<definitions xmlns="%s" ' + " ".join(f'a{n}="{n}"' for n in range(2_000)) + "/>",
    "text": '<definitions xmlns="%s">' + "x" * 50_000 + "</definitions>",
    "children": '<definitions xmlns="%s">' + "<y/>" * 3_000 + "</definitions>",
    "include": '<definitions xmlns="%s" xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="/etc/passwd" parse="text"/></definitions>',
}


def _too_late(*_: object) -> None:
    raise TimeoutError("this takes longer than a minute")


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Nothing here may take long; a hang is an answer too late, however fast the machine."""
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(60)
    yield
    signal.alarm(0)


def kept(house: House) -> Any:
    with house.engine._database.reading() as session:
        return session.rows("select count(*) from process_definition union all select count(*) from diagram_draft union all select count(*) from resource")


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_xml_bomb_is_refused_through_every_door(house: House, tmp_path: Path, bomb: str) -> None:
    xml, before = (BOMBS[bomb] % MODEL).encode(), kept(house)
    browser = house.browser("owner")

    for method, path in (("POST", "/api/check"), ("POST", "/api/layout"), ("PUT", "/api/draft/bomb"), ("POST", "/api/deploy/bomb")):
        answer = browser.send(method, path, xml)
        assert answer.status_code in (200, 413, 422), (path, answer.text[:300])
        assert "root:" not in answer.text
        if path == "/api/deploy/bomb":
            assert answer.status_code != 200
    if bomb not in ("attributes", "text", "children", "include"):
        assert kept(house) == before
    file = tmp_path / "bomb.bpmn"
    file.write_bytes(xml)
    for command in ("check", "deploy", "layout"):
        more = ["--data", str(tmp_path / "d")] if command == "deploy" else []
        result = CliRunner().invoke(main, [command, str(file), *more])
        assert result.exception is None or isinstance(result.exception, SystemExit), (command, result.exception)
        assert "root:" not in result.output


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_decision_bomb_is_refused(house: House, bomb: str) -> None:
    before = kept(house)
    dmn = (BOMBS[bomb] % DMN).encode()

    findings = house.engine.deployments.check({"bomb.dmn": dmn})

    assert bomb in ("attributes", "text", "children", "include") or findings
    assert kept(house) == before


def form(**component: Any) -> bytes:
    return json.dumps({"id": "f", "components": [{"type": "textfield", "key": "a", "label": "x", **component}]}).encode()


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){25}", "(" * 5000 + ")" * 5000, "(?:a{1000}){1000}{1000}", "a{999999999}", "(?R)*", "[" * 3000, "(?i)" * 500, "\\" * 1001])
def test_a_regex_bomb_is_refused_or_stopped(pattern: str) -> None:
    try:
        read = read_form(form(validate={"pattern": pattern}), "f")
    except InvalidForm:
        return
    with pytest.raises(EngineError):
            read.accept({"a": "a" * 5000 + "!"}, variables={}, now=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "rule",
    [
        "count(for i in 1..100000000 return i) > 0", "some x in 1..100000, y in 1..100000 satisfies x + y < 0", '"x" = ' + "(" * 3000 + "1" + ")" * 3000,
        "2 ** 999999999 > 0", 'matches(a, "(x+)+$")', 'string length(string join(for i in 1..1000000 return "aaaaaaaaaa")) > 0', "1 + " * 20_000 + "1 > 0",
    ],
)  # fmt: skip
def test_an_expression_bomb_in_a_rule_is_refused_or_stopped(rule: str) -> None:
    try:
        read = read_form(form(properties={"rule": rule}), "f")
    except InvalidForm:
        return
    with pytest.raises(EngineError):
        read.accept({"a": "x" * 3000 + "!"}, variables={}, now=datetime(2026, 1, 1, tzinfo=UTC))


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=5), st.sampled_from(["textfield", "number", "dynamiclist", "select", "group", "datetime", "table"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)
names = st.sampled_from(["type", "key", "path", "label", "validate", "properties", "values", "components", "columns", "dataSource", "accept", "decimalDigits", "defaultValue", "subtype", "conditional", "multiple", "readonly"])
validations = st.dictionaries(st.sampled_from(["required", "min", "max", "minLength", "maxLength", "pattern"]), anything, max_size=4)
components = st.builds(
    lambda base, more, validate: {**base, **more, "validate": validate},
    st.fixed_dictionaries({"type": st.sampled_from(["textfield", "number", "select", "datetime", "checklist", "table", "filepicker"]), "key": st.just("a")}),
    st.dictionaries(names, anything, max_size=4),
    st.one_of(validations, anything),
)
typed = st.one_of(st.none(), st.text(max_size=5), st.integers(), st.sampled_from(["12", "1.25", "9" * 33, "2026-01-01", "1e5", "abc"]), anything)


@settings(max_examples=400, deadline=None)
@given(st.lists(components, max_size=3), typed)
def test_any_form_file_is_read_or_refused_and_what_is_read_takes_or_refuses_any_value(given_components: list[Any], value: Any) -> None:
    try:
        read = read_form(json.dumps({"id": "f", "components": given_components}).encode(), "f")
    except InvalidForm:
        return
    try:
        read.accept({"a": value}, variables={}, now=datetime(2026, 1, 1, tzinfo=UTC))
    except EngineError:
        return


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"components":' + b"[" * 50_000, b"\xff", b"null", b'{"id":"f","components":[' + b'{"type":"group","components":[' * 900 + b"]}" * 900 + b"]}", b'{"id":1e999999,"components":[]}'])
def test_a_file_that_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidForm):
        read_form(body, "f")
