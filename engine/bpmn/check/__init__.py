"""Tells every problem of diagrams as they were drawn: element, line, what is wrong and how to mend it, in both languages.

The checker is the gate: the parser behind it is tolerant, so what cannot run right has to be refused here. A rule is a few lines
in one of the modules below, with its texts beside it; rules register themselves by import.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from engine.bpmn.check import (
    activities,
    collaboration,
    data,
    events,
    expressions,
    extensions,
    flows,
    gateways,
    kinds,
    law,
    names,
    references,
    schema,
    soundness,
    support,
)
from engine.bpmn.check.decisions import check_decisions
from engine.bpmn.check.document import CheckContext, DecisionNames, Document, FormNames
from engine.bpmn.check.rule import RULES, Rule
from engine.bpmn.xml import read_or_say_why
from engine.model import Finding, Severity

__all__ = [
    "LENIENT", "RULES", "STRICT", "CheckContext", "DecisionNames", "FormNames", "Rule", "as_markdown", "check",
    "check_decisions", "counted", "is_diagram", "line_of",
]

#: The modules whose rules are registered.
MODULES = (
    schema, references, flows, soundness, events, gateways, activities, collaboration, data, expressions, extensions, names, kinds, support,
    law,
)

#: Where the policy without which nothing is ordered differs from the rules' own severities. Formalities on which nothing depends
#: are not told. A join that waits for ever is a mistake, but valid BPMN that runs as drawn: the run opens an incident `stuck` there.
LENIENT: Mapping[str, Severity | None] = {
    "DATA-OPERATION-IO": None, "EV-OPERATION": None, "EXPR-FORMAL": None,
    "FLOW-DEADLOCK": Severity.WARNING, "FLOW-STARVED": Severity.WARNING,
}  # fmt: skip

#: A policy: the letter of the standard, where real tools and engines are lenient. For a conformance report, not for deployments.
STRICT: Mapping[str, Severity | None] = dict.fromkeys(
    (
        "ACT-ADHOC-CONDITION", "BPMN-ID-FORM", "BPMN-REF-CODE", "BPMN-REF-FLOWLIST", "BPMN-REF-LOOSE", "BPMN-REF-TWICE",
        "BPMN-REF-TYPE", "DATA-OPERATION-IO", "DI-REF", "EV-BOUNDARY-ESP", "EV-NO-END", "EV-OPERATION", "EXPR-FORMAL", "FLOW-COND-PLACE",
        "FLOW-DEFAULT-COND", "FLOW-OUT-MISSING", "GW-USELESS", "MSG-MANY", "XML-SCHEMA",
    ),
    Severity.DRAFT,
)

_ORDER = {Severity.ERROR: 0, Severity.DRAFT: 1, Severity.WARNING: 2}
_NO_CONTEXT = CheckContext()


def is_diagram(name: str) -> bool:
    """Whether a file of a deployment is a BPMN diagram, by its name."""
    return name.lower().endswith((".bpmn", ".bpmn20.xml", ".bpmn.xml"))


def check(files: Mapping[str, bytes], context: CheckContext = _NO_CONTEXT) -> tuple[Finding, ...]:
    """Return every problem of all diagrams at once, by file, then line; never raises for what is in them.

    Args:
        files: ``{relative path: bytes}`` of one deployment; what is no diagram by its name is passed over. A single file is
            always taken for a diagram.
    """
    found: list[Finding] = []
    documents: dict[str, Document] = {}
    for name, content in files.items():
        if len(files) > 1 and not is_diagram(name):
            continue
        root = read_or_say_why(content, context.limit, name)
        if isinstance(root, Finding):
            found.append(root)
        else:
            documents[name] = Document(root, name, context)
    for document in documents.values():
        document.together = documents
        for rule in RULES.values():
            policy = context.policy if rule.id in context.policy else LENIENT
            override = policy.get(rule.id)
            if override is None and rule.id in policy:
                continue
            found += [rule.finding(document, hit, override) for hit in rule.run(document)]
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda each: (each.file, each.line, _ORDER[each.severity], each.rule, each.element or "")))


_WORDS = {
    Severity.ERROR: ("错误", "error"), Severity.DRAFT: ("须更正", "must be mended"), Severity.WARNING: ("提醒", "warning"),
}


def counted(findings: Iterable[Finding]) -> tuple[str, str]:
    """Return how many findings of each severity there are, in Chinese and English; "符合" and "conforms" without any."""
    numbers = Counter(each.severity for each in findings)
    if not numbers:
        return "符合", "conforms"
    return (
        "，".join(f"{_WORDS[each][0]} {numbers[each]} 个" for each in _ORDER if numbers[each]),
        ", ".join(f"{numbers[each]} × {_WORDS[each][1]}" for each in _ORDER if numbers[each]),
    )


def line_of(finding: Finding, language: Literal["zh", "en"] = "zh") -> str:
    """Return a finding as one line: file, line, severity, element, what is wrong, how to mend it, rule."""
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    what, mend = (finding.zh, finding.mend_zh) if language == "zh" else (finding.en, finding.mend_en)
    severity = _WORDS[finding.severity][0 if language == "zh" else 1]
    element = f" [{finding.element}]" if finding.element else ""
    stop = "。" if language == "zh" else ". "
    text = f"{where}: {severity}{element} {what}{stop}{mend}{stop.strip()} ({finding.rule})"
    return " ".join(text.split())


def as_markdown() -> str:
    """Return the table of `docs/checks.md`: every rule with its severity, what it tells and how to mend it."""
    lines = ["| rule | severity | what | how to mend it |", "|---|---|---|---|"]
    for rule in sorted(RULES.values(), key=lambda each: each.id):
        severity = LENIENT.get(rule.id, rule.severity) or "strict only"
        lines.append(f"| `{rule.id}` | {severity} | {rule.zh}<br>{rule.en} | {rule.mend_zh}<br>{rule.mend_en} |")
    return "\n".join(lines) + "\n"
