"""Every word of the pages has English, and no word of the pages stands outside the catalogue."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import web
from web.language import missing_words

_WEB = Path(web.__file__).parent
_CHINESE = re.compile(r"[\u3400-\u9fff\uff00-\uffef]")
_CATALOGUE = _WEB / "translations" / "en" / "LC_MESSAGES" / "messages.po"


def test_every_phrase_has_english() -> None:
    assert missing_words() == ()


def test_every_translation_fills_in_what_the_phrase_fills_in() -> None:
    with _CATALOGUE.open("rb") as text:
        catalogue = read_po(text, locale="en")

    for message in catalogue:
        keys = message.id if isinstance(message.id, tuple) else (message.id,)
        words = message.string if isinstance(message.string, tuple) else (message.string,)
        wanted = set(re.findall(r"%\((\w+)\)[sd]", keys[0]))
        assert all(set(re.findall(r"%\((\w+)\)[sd]", w)) == wanted for w in words), keys[0]


def test_the_catalogue_has_no_chinese_in_its_english() -> None:
    with _CATALOGUE.open("rb") as text:
        catalogue = read_po(text, locale="en")

    for message in catalogue:
        words = message.string if isinstance(message.string, tuple) else (message.string,)
        assert not any(_CHINESE.search(w) for w in words), message.id


@pytest.mark.parametrize("template", sorted((_WEB / "templates").glob("*.html")), ids=lambda p: p.name)
def test_templates_have_no_words_outside_the_catalogue(template: Path) -> None:
    text = re.sub(r"{#.*?#}|{{.*?}}|{%.*?%}", "", template.read_text("utf-8"), flags=re.S)

    assert not _CHINESE.search(text)


@pytest.mark.parametrize("module", sorted(_WEB.glob("*.py")), ids=lambda p: p.name)
def test_code_has_no_words_outside_the_catalogue(module: Path) -> None:
    """Docstrings may quote Chinese; the JSON API and settings give both languages at once."""
    tree = ast.parse(module.read_text("utf-8"))
    allowed: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            allowed.add(node.value)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("gettext", "ngettext"):
            allowed.update(ast.walk(node))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("BadRequest", "SettingsError", "problem"):
            allowed.update(ast.walk(node))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "echo":  # the terminal is told in both
            allowed.update(ast.walk(node))

    stray = [
        node.value for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in allowed and _CHINESE.search(node.value)
    ]
    assert [s for s in stray if s not in ("中文", "请求不正确：{problem}") and s not in "、：；"] == []
