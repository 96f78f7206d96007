"""Decision tables: hit policies, aggregation, default outputs, and what matched."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.feel.builtins import BUILTINS
from engine.feel.compiler import CompiledTests, Traced, compile_tests
from engine.feel.definitions import Definitions, XmlNode, line_of, part, parts, text_of
from engine.feel.errors import FeelSyntaxError
from engine.feel.expression import free_names_of_tests
from engine.feel.parser import normal_name
from engine.feel.run import Closure, Run, Scope, Value
from engine.feel.types import ItemType, Type, coerce, conforms, describe
from engine.feel.values import equal, matches_test, short_text, type_words

_LISTS = frozenset(["RULE ORDER", "OUTPUT ORDER"])
_AGGREGATIONS = {"SUM": "sum", "MIN": "min", "MAX": "max"}
_POLICIES = frozenset(["UNIQUE", "FIRST", "ANY", "PRIORITY", "COLLECT", "RULE ORDER", "OUTPUT ORDER"])


def gathers(policy: str, aggregation: str) -> bool:
    """Return whether the value is a list, with a result for each rule that matched."""
    return policy in _LISTS or (policy == "COLLECT" and not aggregation)


_MOST_TOLD = 200  # rules of a table in a trace, besides those that match


@dataclass(frozen=True, slots=True)
class TableHit:
    """One evaluation of a table, with FEEL values. `rules`: numbers of the rules that matched, from 1."""

    decision: str
    inputs: dict[str, Value]
    rules: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """A condition column. `label`: its text, or label when it has none."""

    label: str
    expression: Closure
    type: Type
    allowed: CompiledTests | None


@dataclass(frozen=True, slots=True)
class Output:
    """A conclusion column. `ranking`: its values from the first choice down, for PRIORITY and OUTPUT ORDER."""

    name: str
    ranking: Closure | None
    default: Closure | None
    type: Type


@dataclass(frozen=True, slots=True)
class Rule:
    """A row. A test is None where the cell says nothing (``-``); `cells` are the columns and closures of those that do."""

    number: int
    line: int
    tests: tuple[CompiledTests | None, ...]
    outputs: tuple[Closure, ...]
    output_texts: tuple[str, ...]
    cells: tuple[tuple[int, Closure], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`decision`: id of the element it stands in, empty in an item of its own."""

    decision: str
    name: str
    line: int
    policy: str
    aggregation: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    rules: tuple[Rule, ...]

    # ------------------------------------------------------------------------------------------------------ evaluation
    def __call__(self, scope: Scope) -> Value:
        run: Run = scope[None]
        run.step(len(self.rules))
        values = self._input_values(scope, run)
        if values is None:
            return None
        scopes = [{**scope, "?": value} for value in values]
        hits = self._hits(scopes)
        if run.trace is not None:
            run.trace += self._told(scopes, hits)
        shown = {column.label: value for column, value in zip(self.inputs, values, strict=True)}
        run.tell_table(TableHit(self.decision, shown, tuple(rule.number for rule in hits)))
        if not hits:
            return self._no_hit(scope, run, shown)
        return self._conclude(hits, scope, run)

    def _input_values(self, scope: Scope, run: Run) -> list[Value] | None:
        values = []
        for column in self.inputs:
            raw = column.expression(scope)
            value = checked(raw, column.type, run, column.label)
            if column.allowed is not None and column.allowed.closure({**scope, "?": value}) is not True:
                run.note(f"{column.label} = {short_text(value)} is not among the input values of `{self.name}`",
                         f"“{self.name}”的输入 {column.label} = {short_text(value)} 不在允许的取值内")  # fmt: skip
                return None
            values.append(value)
        return values

    def _hits(self, scopes: list[Scope]) -> list[Rule]:
        hits = []
        is_first = self.policy == "FIRST"
        for rule in self.rules:
            for column, passes in rule.cells:
                if passes(scopes[column]) is not True:
                    break
            else:
                hits.append(rule)
                if is_first:
                    break
        return hits

    def _told(self, scopes: list[Scope], hits: list[Rule]) -> list[Traced]:
        """Return what `explain` shows of the rules: each with the cells that were looked at, up to the one that failed."""
        told: list[Traced] = []
        for rule in self.rules[: hits[-1].number if hits and self.policy == "FIRST" else None]:
            if len(told) >= _MOST_TOLD and rule not in hits:
                continue
            cells = []
            for column, passes in rule.cells:
                was = scopes[column][None]
                run = Run(was.now, zone=was.zone)
                run.calendar = was.calendar
                answer = passes({**scopes[column], None: run})
                test = rule.tests[column]
                cells.append(Traced(f"{self.inputs[column].label}: {test.text if test is not None else '-'}", answer, ()))
                if answer is not True:
                    break
            told.append(Traced(f"{self.name} {rule.number}", rule in hits, tuple(cells)))
        return told

    def _no_hit(self, scope: Scope, run: Run, shown: dict[str, Value]) -> Value:
        is_list = gathers(self.policy, self.aggregation)
        if any(column.default for column in self.outputs):
            value = self._shape([column.default(scope) if column.default else None for column in self.outputs])
            return [value] if is_list else value
        if self.policy == "COLLECT" and self.aggregation == "COUNT":
            return Decimal(0)
        if is_list:
            return []
        facts = ", ".join(f"{label} = {short_text(value)}" for label, value in shown.items())
        run.note(f"no rule of `{self.name}` matches {facts}", f"决策表“{self.name}”没有匹配的规则:{facts}")
        return None

    def _shape(self, values: list[Value]) -> Value:
        if len(self.outputs) == 1:
            return values[0]
        return {column.name: value for column, value in zip(self.outputs, values, strict=False)}

    def _row(self, rule: Rule, scope: Scope, run: Run) -> list[Value]:
        return [
            checked(cell(scope), column.type, run, column.name or self.name)
            for cell, column in zip(rule.outputs, self.outputs, strict=False)
        ]

    def _conclude(self, hits: list[Rule], scope: Scope, run: Run) -> Value:
        policy = self.policy
        if policy == "UNIQUE" and len(hits) > 1:
            return self._refuse(run, hits, "UNIQUE allows one", "UNIQUE 只允许一条")
        rows = [self._row(rule, scope, run) for rule in hits]
        if policy in ("UNIQUE", "FIRST"):
            return self._shape(rows[0])
        for row in rows:
            for value in row:
                run.charge_whole(value)
        if policy == "ANY":
            if all(equal(row, rows[0]) is True for row in rows):
                return self._shape(rows[0])
            return self._refuse(run, hits, "ANY wants the same outputs", "ANY 要求输出相同")
        if policy in ("PRIORITY", "OUTPUT ORDER"):
            rankings = [column.ranking(scope) if column.ranking else None for column in self.outputs]
            rows.sort(key=lambda row: [_rank(value, ranking) for value, ranking in zip(row, rankings, strict=False)])
            return self._shape(rows[0]) if policy == "PRIORITY" else [self._shape(row) for row in rows]
        if policy == "COLLECT" and self.aggregation:
            if self.aggregation == "COUNT":
                return Decimal(len(rows))
            if len(self.outputs) != 1:
                run.note("only one output can be aggregated", "只能汇总单个输出列")
                return None
            return BUILTINS[_AGGREGATIONS[self.aggregation]].call([[row[0] for row in rows]], None, run)
        return [self._shape(row) for row in rows]

    def _refuse(self, run: Run, hits: list[Rule], en: str, zh: str) -> Value:
        numbers = ", ".join(str(rule.number) for rule in hits)
        run.note(f"the rules {numbers} of `{self.name}` match together, but {en}",
                 f"决策表“{self.name}”的规则 {numbers} 同时匹配,而 {zh}")  # fmt: skip
        return None


def _rank(value: Value, ranking: Value) -> int:
    if type(ranking) is not list:
        return 0
    return next((place for place, wanted in enumerate(ranking) if matches_test(value, wanted) is True), len(ranking))


def checked(value: Value, type_: Type, run: Run, what: str) -> Value:
    """Return the value as one of the type; null with a reason when it is none."""
    if value is None or type_ is None:
        return value
    converted = coerce(value, type_, run)
    if converted is None and isinstance(type_, ItemType) and conforms(value, type_, run, allowed_values=False):
        limits = f" ({type_.allowed_tests.text})" if type_.allowed_tests is not None else ""
        run.note(f"{what} = {short_text(value)} is not allowed by {type_.name}{limits}",
                 f"{what} = {short_text(value)} 不在 {type_.name} 允许的取值内{limits}")  # fmt: skip
    elif converted is None:
        run.note(f"{what} must be {describe(type_)}, not {short_text(value)} ({type_words(value)[0]})",
                 f"{what} 应为 {describe(type_)},而不是 {short_text(value)}({type_words(value)[1]})")  # fmt: skip
    return converted


# ---------------------------------------------------------------------------------------------------------------- reading
def _null(scope: Scope) -> Value:
    return None


def _no_match(scope: Scope) -> Value:
    return None


def read_table(node: XmlNode, names: frozenset[str], file: Definitions) -> Table:
    """Return the table of a ``decisionTable`` node; what is wrong with it goes to the file's problems."""
    inputs = tuple(_input(column, names, file) for column in parts(node, "input"))
    outputs = tuple(_output(column, names, file) for column in parts(node, "output"))
    in_tests = names | {"?"}
    rules = []
    for number, row in enumerate(parts(node, "rule"), 1):
        entries, conclusions = parts(row, "inputEntry"), parts(row, "outputEntry")
        if len(entries) != len(inputs) or len(conclusions) != len(outputs):
            file.problem(row, f"rule {number} has not one cell per column", f"规则 {number} 的单元格数与列数不符")
        tests = tuple(_tests(cell, in_tests, file) if text_of(cell) not in ("", "-") else None for cell in entries)
        outcomes = tuple(file.feel(cell, names) or _null for cell in conclusions)
        cells = tuple((column, test.closure) for column, test in enumerate(tests[: len(inputs)]) if test is not None)
        rules.append(Rule(number, line_of(row), tests, outcomes, tuple(map(text_of, conclusions)), cells))
    policy = node.get("hitPolicy", "UNIQUE")
    aggregation = node.get("aggregation") or ""
    if policy not in _POLICIES or aggregation not in {"", "COUNT", *_AGGREGATIONS}:
        file.problem(node, f"there is no hit policy {policy} {aggregation}", f"没有命中策略 {policy} {aggregation}")
    if not outputs:
        file.problem(node, "a decision table needs an output", "决策表至少需要一个输出列")
    owner = file.current
    name = owner.name if owner is not None else ""
    return Table(owner.id if owner is not None else "", name, line_of(node), policy, aggregation, inputs, outputs, tuple(rules))


def _tests(node: XmlNode, names: frozenset[str], file: Definitions) -> CompiledTests | None:
    try:
        tests = compile_tests(text_of(node), names, file.pool)
    except FeelSyntaxError as error:
        file.syntax_problem(node, error)
        return CompiledTests(text_of(node), _no_match, compile_tests("-").tree)
    file.read_names(node, free_names_of_tests(tests.tree), names)
    return tests


def _input(node: XmlNode, names: frozenset[str], file: Definitions) -> Input:
    expression, values = part(node, "inputExpression"), part(node, "inputValues")
    closure = file.feel(expression, names) if expression is not None else None
    if closure is None and text_of(expression) == "":
        file.problem(node, "an input column has no expression", "输入列没有表达式")
    label = text_of(expression) or normal_name(node.get("label")) or "?"
    allowed = _tests(values, names | {"?"}, file) if values is not None and text_of(values) else None
    return Input(" ".join(label.split()), closure or _null, file.type_of(expression), allowed)


def _output(node: XmlNode, names: frozenset[str], file: Definitions) -> Output:
    values, default, type_ = part(node, "outputValues"), part(node, "defaultOutputEntry"), file.type_of(node)
    ranking: Closure | None = None
    if values is not None and text_of(values):
        ranking = file.feel_text(values, f"[{text_of(values)}]", names)
    elif isinstance(type_, ItemType) and type_.name in file.item_nodes:
        allowed = part(file.item_nodes[type_.name], "allowedValues")
        if allowed is not None and text_of(allowed):
            ranking = file.feel_text(allowed, f"[{text_of(allowed)}]", names)
    return Output(normal_name(node.get("name")), ranking, file.feel(default, names) if default is not None else None, type_)
