"""Mistakes of types that can be seen before anything runs: in the expressions of a diagram, and of the forms that it uses.

Types come from the fields of forms and the outputs of decisions, as far as all that writes a variable agrees on one.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.bpmn.check.document import Document, Element
from engine.bpmn.check.expressions import Written, compiled, short
from engine.bpmn.check.names import Sight, World, world_of
from engine.bpmn.check.rule import WARNING, Hit, Hits, rule
from engine.feel import Expression, FeelSyntaxError, compile_expression
from engine.feel.infer import BOOLEAN, DATE, DATE_TIME, DAYS, MONTHS, NUMBER, STRING, Type, kind, words

_CONDITIONS = frozenset({"conditionExpression", "condition", "completionCondition", "loopCondition", "activationCondition"})
#: ``{element: kinds of values that may stand there}``; a text may say a time.
_WANTED: dict[str, frozenset[str]] = {
    **dict.fromkeys(_CONDITIONS, frozenset({BOOLEAN})),
    "loopCardinality": frozenset({NUMBER}),
    "multiInstanceLoopCharacteristics": frozenset({"list"}),
    "timeDate": frozenset({DATE, DATE_TIME, STRING}),
    "timeDuration": frozenset({DAYS, MONTHS, STRING}),
    "timeCycle": frozenset({DAYS, MONTHS, STRING}),
}


@rule(
    "EXPR-TYPE", WARNING,
    zh="{where}第 {line} 行第 {column} 列：{why_zh}", en="{where_en}, line {line}, column {column}: {why}",
    mend_zh="请更正；类型来自表单字段和决策的输出", mend_en="Correct it; types are those of form fields and of outputs of decisions",
)
def mistaken(document: Document) -> Hits:
    world = world_of(document)
    types = {} if world is None else world.types
    sight = None if world is None else Sight(document, world)
    for each, expression in compiled(document):
        if isinstance(expression, FeelSyntaxError):
            continue
        visible = None if sight is None else sight.of(each)
        known = {name: types[name] for name in visible or () if name in types}
        text = short(each.text)
        yield from _hits(each.element, each.line, expression, known, (f"表达式“{text}”", f'The expression "{text}"'), _wanted(document, each))
    if world is not None and sight is not None:
        yield from _of_forms(document, world, sight)


def _wanted(document: Document, written: Written) -> frozenset[str]:
    return _WANTED.get(document.kind(written.element), frozenset())


def _hits(
    element: Element, line: int, expression: Expression, types: dict[str, Type], where: tuple[str, str], wanted: frozenset[str]
) -> Iterator[Hit]:
    text = expression.text
    try:
        found, mistakes = expression.infer(types)
    except RecursionError:
        return  # nested deeper than is followed: nothing is said
    told = [(mistake.start, mistake.en, mistake.zh) for mistake in mistakes]
    if not told and wanted and kind(found) is not None and kind(found) not in wanted:
        (en, zh), names = words(found), [words(each) for each in sorted(wanted)]
        told.append((0, f"it gives a {en} where a {' or '.join(name for name, _ in names)} is needed",
                     f"结果是{zh}，而这里需要{'或'.join(name for _, name in names)}"))
    for start, why, why_zh in told:
        above = text.count("\n", 0, start)
        facts = {
            "where": where[0], "where_en": where[1], "line": above + 1, "column": start - text.rfind("\n", 0, start), "why": why,
            "why_zh": why_zh,
        }
        yield Hit(element, None, facts, line + above)


def _of_forms(document: Document, world: World, sight: Sight) -> Iterator[Hit]:
    for node in document.each("userTask", "globalUserTask", "startEvent", "intermediateCatchEvent", "boundaryEvent", "receiveTask"):
        id = document.camunda(node, "formKey") or document.property(node, "form")
        form = world.forms.get(id)
        visible = sight.at(node)
        if form is None or visible is None:
            continue
        around = {name: world.types[name] for name in visible if name in world.types}
        for field, text, row in form.reads:
            try:
                expression = compile_expression(text)
            except FeelSyntaxError:
                continue  # the form itself is refused
            types = {name: type_ for name, type_ in {**around, **form.types}.items() if name not in row}
            where = f"表单“{id}”的字段“{field}”（{short(text)}）", f'The field "{field}" of the form "{id}" ({short(text)})'
            yield from _hits(node, 0, expression, types, where, frozenset())
