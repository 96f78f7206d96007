"""What a rule is: a generator over a document that yields what is wrong, with its texts in both languages beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lxml import etree

from engine.bpmn.xml import source_line
from engine.model import Finding, Severity

if TYPE_CHECKING:
    from engine.bpmn.check.document import Document

ERROR, DRAFT, WARNING = Severity.ERROR, Severity.DRAFT, Severity.WARNING


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule is broken. `severity`: other than the rule's own; `facts`: fill the texts; `line`: lines below."""

    element: etree._Element
    severity: Severity | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    line: int = 0


Hits = Iterator[Hit]
Run = Callable[["Document"], Hits]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A check. The texts may name ``{id}``, ``{name}``, ``{kind}`` of the element and the facts of a hit."""

    id: str
    severity: Severity
    zh: str
    en: str
    mend_zh: str
    mend_en: str
    run: Run

    def finding(self, document: Document, hit: Hit, severity: Severity | None = None) -> Finding:
        """Return the finding for a hit; `severity`: what a policy orders, before the hit's and the rule's own."""
        element = hit.element
        facts = _Facts(
            {"id": element.get("id") or "-", "name": label(element), "kind": document.kind(element) or "element", **hit.facts}
        )
        return Finding(
            rule=self.id,
            severity=severity or hit.severity or self.severity,
            file=document.file,
            element=_selectable(element),
            line=source_line(element) + hit.line,
            zh=self.zh.format_map(facts),
            en=self.en.format_map(facts),
            mend_zh=self.mend_zh.format_map(facts),
            mend_en=self.mend_en.format_map(facts),
        )


#: Every rule, in the order in which it was written down.
RULES: dict[str, Rule] = {}


def rule(id: str, severity: Severity, *, zh: str, en: str, mend_zh: str, mend_en: str) -> Callable[[Run], Run]:
    """Register the decorated generator as a rule."""

    def register(run: Run) -> Run:
        if id in RULES:
            raise ValueError(f"two rules are called {id}")
        RULES[id] = Rule(id=id, severity=severity, zh=zh, en=en, mend_zh=mend_zh, mend_en=mend_en, run=run)
        return run

    return register


def hit(element: etree._Element, severity: Severity | None = None, **facts: object) -> Hit:
    """Return a hit; the facts fill the rule's texts."""
    return Hit(element, severity, facts)


def label(element: etree._Element) -> str:
    """Return what a person calls the element: its name, or its id."""
    name = " ".join((element.get("name") or "").split())
    return name or element.get("id") or "-"


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"  # shown as it stands: a missing word must not hide a finding


def _selectable(element: etree._Element) -> str | None:
    """Return the id of the element or of the nearest one around it: something the modeler can select."""
    current: etree._Element | None = element
    while current is not None:
        if current.get("id"):
            return current.get("id")
        current = current.getparent()
    return None
