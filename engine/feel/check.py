"""What can be said of expressions and decision tables before anything runs: syntax, unknown names, gaps, overlaps, dead rules.

Tables: the axis of each input column is cut at every boundary that a cell names, so that every cell is constant on each piece;
a sample of each piece then decides. What is reported is certain as far as the columns vary independently; what cannot be cut (a
cell that computes) is reported as not analysed, and counts as matching where a gap is sought, as not matching otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from engine.feel.builtins import BUILTINS
from engine.feel.compiler import EPOCH, CompiledTests, compile_text, constant_value, is_constant
from engine.feel.dmn import DecisionModel
from engine.feel.errors import FeelSyntaxError
from engine.feel.infer import Type, infer
from engine.feel.parser import is_plain
from engine.feel.run import Run, Scope, Value
from engine.feel.syntax import Call, Interval, ListOf, Literal, Name, Node, UnaryTest
from engine.feel.tables import Input, Rule, Table
from engine.feel.temporal import Date, DateTime, DaysTime, Time, YearsMonths
from engine.feel.types import ItemType
from engine.feel.values import EqualityTest, Range, feel_text, order, to_native


# ------------------------------------------------------------------------------------------------------------ expressions
@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionProblem:
    """`rule`: ``syntax``, ``unknown_function``, ``unknown_name``, ``type``; `line` and `column` count from 1.

    `name`: the unknown one. A ``type`` problem is a part that is null whatever the values, as far as the types are known.
    """

    rule: str
    line: int
    column: int
    en: str
    zh: str
    name: str = ""


def expression_problems(
    text: str, declared: Iterable[str] | None = None, types: Mapping[str, Type] | None = None
) -> list[ExpressionProblem]:
    """Return what is wrong with an expression, in the order of the text.

    Args:
        declared: every variable that will exist; None: names are not checked. A name within a filter is never reported, for it
            may be an entry of the list's items.
        types: ``{variable: type}`` of those whose type is known, see `engine.feel.infer`.
    """
    names = frozenset(declared or ())
    try:
        compiled = compile_text(text, frozenset(name for name in names if not is_plain(name)))
    except FeelSyntaxError as error:
        return [ExpressionProblem(rule="syntax", line=error.line, column=error.column, en=error.message, zh=error.zh)]
    found = []
    for name, start in compiled.free.called.items():
        if name not in BUILTINS and name not in names:
            found.append((start, "unknown_function", name, f"there is no function `{name}`", f"没有名为“{name}”的函数"))
    for name, start in compiled.free.certain.items():
        if declared is not None and name not in names and name not in BUILTINS:
            found.append((start, "unknown_name", name, f"no variable is named `{name}`", f"没有名为“{name}”的变量"))
    with contextlib.suppress(RecursionError):  # nested deeper than is followed: nothing is said
        found += [(mistake.start, "type", "", mistake.en, mistake.zh) for mistake in infer(compiled.tree, types or {})[1]]
    return [
        ExpressionProblem(
            rule=rule, line=text.count("\n", 0, start) + 1, column=start - text.rfind("\n", 0, start), en=en, zh=zh, name=name
        )
        for start, rule, name, en, zh in sorted(found)
    ]


# ----------------------------------------------------------------------------------------------------------------- tables
@dataclass(frozen=True, slots=True, kw_only=True)
class TableProblem:
    """What is wrong with a table.

    Attributes:
        rule: ``gap`` (no row matches), ``overlap`` (rows match together where the hit policy allows one, or disagree under
            ANY), ``masked`` (a row that never decides under FIRST), ``not_analysed``.
        decision: id of the decision the table stands in.
        rows: numbers of the rows, from 1.
        example: ``{input column: value}`` that shows it; a column that may hold anything is left out.
        line: of the file.
    """

    rule: str
    decision: str
    rows: tuple[int, ...]
    example: Mapping[str, Any]
    line: int
    en: str
    zh: str


def table_problems(model: DecisionModel) -> list[TableProblem]:
    """Return the problems of every decision table of the model's file. At most 20 of each kind and table are named."""
    return [problem for table in model.tables for problem in _Analysis(table).problems()]


_MOST: Final = 20
_MOST_CELLS: Final = 200_000
_MOST_ROWS: Final = 1000
_ORDERED: Final = (Decimal, Date, DateTime, Time, DaysTime, YearsMonths)


@dataclass(slots=True)
class _Axis:
    """One input column, cut up.

    Attributes:
        samples: a value of each piece; empty when the column cannot be cut.
        surely: for each piece, the rows (bits) that match it for certain; `perhaps`: those that may.
        odd: whether the piece is null or of another type, which no table is asked to cover.
        skipped: rows whose cell is not analysed.
    """

    label: str
    samples: list[Value] = field(default_factory=list)
    surely: list[int] = field(default_factory=list)
    perhaps: list[int] = field(default_factory=list)
    odd: list[bool] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)


class _TooMany(Exception):
    """The table has too many combinations to look at."""


class _Analysis:
    def __init__(self, table: Table) -> None:
        self.table = table
        self.run = Run(EPOCH)
        self.everyone = (1 << len(table.rules)) - 1
        self.axes: list[_Axis] = []

    def problems(self) -> list[TableProblem]:
        table = self.table
        if not table.rules or not table.inputs or any(len(rule.tests) != len(table.inputs) for rule in table.rules):
            return []
        labels = [column.label for column in table.inputs]
        if len(table.rules) > _MOST_ROWS or len(set(labels)) < len(labels):
            why = ("too large", "过大") if len(table.rules) > _MOST_ROWS else ("two columns of one input", "有两列输入相同")
            return [self._problem("not_analysed", (), {}, f"the table is not analysed: {why[0]}", f"决策表未做分析:{why[1]}")]
        self.axes = [self._axis(column, place) for place, column in enumerate(table.inputs)]
        found = self._not_analysed()
        if table.policy in ("UNIQUE", "ANY"):
            found += self._overlaps()
        try:
            if table.policy == "FIRST":
                found += self._masked()
            if table.policy in ("UNIQUE", "ANY", "FIRST", "PRIORITY") and not any(o.default for o in table.outputs):
                found += self._gaps()
        except _TooMany:
            found.append(self._problem("not_analysed", (), {}, "the table has too many combinations to be looked through",
                                       "决策表组合过多,未能全部检查"))  # fmt: skip
        return found

    # ----------------------------------------------------------------------------------------------------------- axes
    def _axis(self, column: Input, place: int) -> _Axis:
        axis = _Axis(column.label)
        cells = [rule.tests[place] if place < len(rule.tests) else None for rule in self.table.rules]
        constants: list[Value] = []
        skipped: set[int] = set()
        for number, cell in enumerate(cells):
            values = _constants(cell)
            if values is None:
                skipped.add(number)
            else:
                constants += values
        domain = _domain(column)
        if domain is not None:
            constants += domain[1]
        kinds = {type(value) for value in constants}
        samples = _samples(column, constants, kinds)
        if samples == [] and any(cell is not None for cell in cells):  # cells that ask for null alone
            samples = _ONE_OF_TYPE.get(_base(column))
        if samples is None:
            skipped = {number for number, cell in enumerate(cells) if cell is not None}
            samples = []
        axis.skipped = sorted(skipped)
        if samples and domain is not None:
            samples = [value for value in samples if domain[0](value)]
        odd = [None, *([] if column.type else [True if bool not in kinds else Decimal(1)])] if samples else []
        perhaps = sum(1 << number for number in skipped)
        always, alike = 0, dict[CompiledTests, int]()  # cells of one text are compiled once, and so asked once
        for number, cell in enumerate(cells):
            if cell is None:
                always |= 1 << number
            elif number not in skipped:
                alike[cell] = alike.get(cell, 0) | 1 << number
        for value in [*samples, *odd]:
            scope: Scope = {None: self.run, "?": value}
            surely = always
            for cell, rows in alike.items():
                if cell.closure(scope) is True:
                    surely |= rows
            axis.samples.append(value)
            axis.odd.append(len(axis.samples) > len(samples))
            axis.surely.append(surely)
            axis.perhaps.append(surely | perhaps)
        if not axis.samples:  # nothing is said of it, or nothing can be
            left_out = sum(1 << number for number in skipped)
            axis.samples, axis.odd = [_ANYTHING], [False]
            axis.surely, axis.perhaps = [self.everyone & ~left_out], [self.everyone]
        return axis

    # -------------------------------------------------------------------------------------------------------- findings
    def _problem(self, rule: str, rows: tuple[int, ...], example: Mapping[str, Value], en: str, zh: str) -> TableProblem:
        lines = [self.table.rules[row - 1].line for row in rows]
        return TableProblem(
            rule=rule, decision=self.table.decision, rows=rows, line=lines[-1] if lines else self.table.line, en=en, zh=zh,
            example={label: to_native(value, self.run) for label, value in example.items() if value is not _ANYTHING},
        )  # fmt: skip

    def _not_analysed(self) -> list[TableProblem]:
        found = []
        for axis in self.axes:
            if axis.skipped:
                rows = tuple(number + 1 for number in axis.skipped)
                listed = ", ".join(map(str, rows))
                found.append(self._problem("not_analysed", rows, {}, f"`{axis.label}` in rows {listed} is not analysed",
                                           f"“{axis.label}”列第 {listed} 行的单元格未做分析"))  # fmt: skip
        return found

    def _overlaps(self) -> list[TableProblem]:
        found: list[TableProblem] = []
        rules = self.table.rules
        # for each row and column, the pieces (bits) that the row matches
        pieces = [[_column_of(axis, number) for axis in self.axes] for number in range(len(rules))]
        for second in range(len(rules)):
            for first in range(second):
                shared = []
                for a, b in zip(pieces[first], pieces[second], strict=True):
                    if not a & b:
                        break
                    shared.append(a & b)
                if len(shared) < len(self.axes) or (self.table.policy == "ANY" and _same_outputs(rules[first], rules[second])):
                    continue
                example = {
                    axis.label: axis.samples[(bits & -bits).bit_length() - 1]
                    for axis, bits in zip(self.axes, shared, strict=True)
                }
                rows, shown = (first + 1, second + 1), _shown(example)
                found.append(self._problem("overlap", rows, example, f"rows {rows[0]} and {rows[1]} both match{shown[0]}",
                                           f"第 {rows[0]} 行与第 {rows[1]} 行同时匹配{shown[1]}"))  # fmt: skip
                if len(found) == _MOST:
                    return found
        return found

    def _gaps(self) -> list[TableProblem]:
        found: list[TableProblem] = []
        for example in self._unmatched(self.everyone, [axis.perhaps for axis in self.axes], None):
            shown = _shown(example)
            found.append(self._problem("gap", (), example, f"no row matches{shown[0]}", f"没有任何一行匹配{shown[1]}"))
            if len(found) == _MOST:
                break
        return found

    def _masked(self) -> list[TableProblem]:
        found: list[TableProblem] = []
        masks = [axis.surely for axis in self.axes]
        skipped = {number for axis in self.axes for number in axis.skipped}
        budget = [_MOST_CELLS]  # of all rows together
        for number, rule in enumerate(self.table.rules):
            if number in skipped or number == 0:
                continue
            earlier = (1 << number) - 1
            if next(iter(self._unmatched(earlier, masks, number, budget)), None) is not None:
                continue
            example, deciding = self._decided_earlier(number)
            if example is None:
                shown = (": nothing fits it", ":没有符合它的取值")
            else:
                facts = _shown(example)
                shown = (f": row {deciding} decides{facts[0]}", f":{facts[1].lstrip(',')}由第 {deciding} 行决定")
            found.append(self._problem("masked", (rule.number,), example or {}, f"row {rule.number} never decides{shown[0]}",
                                       f"第 {rule.number} 行永远不会生效{shown[1]}"))  # fmt: skip
            if len(found) == _MOST:
                break
        return found

    def _decided_earlier(self, number: int) -> tuple[dict[str, Value] | None, int]:
        """Return an input that the row matches and the number of the earlier row that decides it; None when it matches nothing."""
        example: dict[str, Value] = {}
        matching = self.everyone
        for axis in self.axes:
            places = [place for place, mask in enumerate(axis.surely) if mask >> number & 1]
            if not places:
                return None, 0
            place = next((place for place in places if not axis.odd[place]), places[0])
            example[axis.label] = axis.samples[place]
            matching &= axis.surely[place]
        return example, (matching & -matching).bit_length()

    def _unmatched(
        self, rows: int, masks: list[list[int]], within: int | None, budget: list[int] | None = None
    ) -> Iterable[dict[str, Value]]:
        """Yield examples that none of `rows` (bits) matches, among those that the row `within` matches (None: all)."""
        budget = [_MOST_CELLS] if budget is None else budget
        dead: set[tuple[int, int]] = set()

        def search(depth: int, left: int, example: dict[str, Value]) -> Iterable[dict[str, Value]]:
            if depth == len(self.axes) or (within is None and not left):
                if not left:
                    yield dict(example)
                return
            if (depth, left) in dead:
                return
            any_found = False
            axis = self.axes[depth]
            tried: set[int] = set()
            for value, mask, sure, odd in zip(axis.samples, masks[depth], axis.surely, axis.odd, strict=True):
                if odd if within is None else not sure >> within & 1:
                    continue
                budget[0] -= 1
                if budget[0] < 0:
                    raise _TooMany
                remaining = left & mask
                if remaining in tried:  # another piece that the same rows match says nothing new
                    continue
                tried.add(remaining)
                for found in search(depth + 1, remaining, {**example, axis.label: value}):
                    any_found = True
                    yield found
            if not any_found:
                dead.add((depth, left))

        return search(0, rows, {})


class _Anything:
    """The sample of a column of which nothing is said."""


_ANYTHING: Final = _Anything()


def _shown(example: Mapping[str, Value]) -> tuple[str, str]:
    facts = ", ".join(f"{label} = {feel_text(value)}" for label, value in example.items() if value is not _ANYTHING)
    return (f" when {facts}", f",例如 {facts}") if facts else ("", "")


def _column_of(axis: _Axis, number: int) -> int:
    return sum(1 << place for place, (mask, odd) in enumerate(zip(axis.surely, axis.odd, strict=True))
               if mask >> number & 1 and not odd)  # fmt: skip


def _same_outputs(first: Rule, second: Rule) -> bool:
    return first.output_texts == second.output_texts


# ---------------------------------------------------------------------------------------------------------- cutting an axis
def _constants(tests: CompiledTests | None) -> list[Value] | None:
    """Return the boundaries and values that a cell names; None when it computes."""
    found: list[Value] = []
    if tests is None:
        return found
    for node in tests.tree.tests:
        value = _constant(node)
        if value is _ANYTHING:
            return None
        for part in value if type(value) is list else [value]:
            if type(part) is Range:
                if str in (type(part.start), type(part.end)):
                    return None  # texts have no neighbours to take samples from
                found += [end for end in (part.start, part.end) if end is not None]
            elif type(part) is EqualityTest:
                found.append(part.value)
            else:
                found.append(part)
    return [value for value in found if value is not None]


def _constant(node: Node) -> Value:
    if is_constant(node):
        return constant_value(node)
    if isinstance(node, ListOf):
        values = [_constant(item) for item in node.items]
        return _ANYTHING if any(value is _ANYTHING or type(value) is list for value in values) else values
    if _is_temporal_call(node) or _has_temporal_calls(node):
        return constant_value(node)
    return _ANYTHING


def _is_temporal_call(node: Node) -> bool:
    """Return whether the node is ``date("…")`` or the like of literals, the same at any time."""
    return (
        isinstance(node, Call)
        and isinstance(node.function, Name)
        and node.function.name in ("date", "time", "date and time", "duration")
        and all(isinstance(argument, Literal) for argument in node.arguments)
    )


def _has_temporal_calls(node: Node) -> bool:
    if isinstance(node, UnaryTest):
        return _is_temporal_call(node.operand)
    if isinstance(node, Interval):
        return all(is_constant(end) or _is_temporal_call(end) for end in (node.low, node.high))
    return False


def _domain(column: Input) -> tuple[Callable[[Value], bool], list[Value]] | None:
    """Return what the column's values are limited to, by its input values or its type, with the boundaries that this names."""
    tests = column.allowed
    if tests is None and isinstance(column.type, ItemType) and not column.type.is_list:
        tests = column.type.allowed_tests
    if tests is None:
        return None
    constants = _constants(tests)
    if constants is None:
        return None
    closure = tests.closure

    def is_allowed(value: Value) -> bool:
        scope: Scope = {None: Run(EPOCH), "?": value}
        return closure(scope) is True

    return is_allowed, constants


def _base(column: Input) -> Any:
    type_ = column.type
    while isinstance(type_, ItemType):
        if type_.is_list:
            return "list"
        type_ = type_.base
    return type_


def _samples(column: Input, constants: list[Value], kinds: set[type]) -> list[Value] | None:
    """Return a value of each piece of the axis; empty when no cell says anything, None when it cannot be cut."""
    if kinds == {bool} or (not kinds and _base(column) == "boolean"):
        return [True, False]
    if not kinds:
        return []
    if len(kinds) > 1:
        return None
    kind = next(iter(kinds))
    if kind is str:
        return [*dict.fromkeys(constants), _other_text(constants)]
    if kind not in _ORDERED or any(order(constants[0], value) is None for value in constants):
        return None
    return _pieces(constants)


#: A value of a type of which no cell names one.
_ONE_OF_TYPE: Final[dict[Any, list[Value]]] = {
    "number": [Decimal(0)], "string": ["其他"], "date": [Date(2026, 1, 1)], "time": [Time(0)],
    "date and time": [DateTime(Date(2026, 1, 1), Time(0))], "dateTime": [DateTime(Date(2026, 1, 1), Time(0))],
}  # fmt: skip


def _other_text(constants: list[Value]) -> str:
    other = "其他"
    while other in constants:
        other += "…"
    return other


def _pieces(constants: list[Value]) -> list[Value]:
    """Return the boundaries and a value before, between and after them."""
    ordered: list[Value] = []
    for value in sorted(constants, key=_key):
        if not ordered or order(ordered[-1], value) != 0:
            ordered.append(value)
    samples: list[Value] = []
    before = _shifted(ordered[0], -1)
    samples += [before] if before is not None else []
    for place, value in enumerate(ordered):
        samples.append(value)
        between = _between(value, ordered[place + 1]) if place + 1 < len(ordered) else _shifted(value, 1)
        samples += [between] if between is not None else []
    return samples


def _key(value: Value) -> Any:
    if type(value) is Date:
        return value.key
    if type(value) in (DateTime, Time):
        return value.instant()
    if type(value) is DaysTime:
        return value.ns
    return value.months if type(value) is YearsMonths else value


_DAY_NS: Final = 86_400_000_000_000


def _shifted(value: Value, by: int) -> Value:
    """Return a value a little beyond; None when there is none (the calendar and a day have ends)."""
    try:
        return _beyond(value, by)
    except ValueError:
        return None


def _beyond(value: Value, by: int) -> Value:
    if type(value) is Decimal:
        return value + by
    if type(value) is Date:
        return value.plus_days(by)
    if type(value) is DateTime:
        return value.plus_ns(by * _DAY_NS)
    if type(value) is DaysTime:
        return DaysTime(value.ns + by * _DAY_NS)
    if type(value) is YearsMonths:
        return YearsMonths(value.months + by)
    ns = 0 if by < 0 else _DAY_NS - 1_000_000_000
    return Time(ns, value.zone) if (ns - value.ns) * by > 0 else None


def _between(low: Value, high: Value) -> Value:
    """Return a value strictly between; None when there is none (two days in a row)."""
    if type(low) is Decimal:
        middle = low + 1 if low + 1 < high else (low + high) / 2
        return middle if low < middle < high else None
    if type(low) is Date:
        return low.plus_days(1) if low.ordinal + 1 < high.ordinal else None
    if type(low) is DateTime:
        gap = high.instant() - low.instant()
        return low.plus_ns(gap // 2) if gap > 1 else None
    if type(low) is DaysTime:
        return DaysTime((low.ns + high.ns) // 2) if high.ns - low.ns > 1 else None
    if type(low) is YearsMonths:
        return YearsMonths(low.months + 1) if low.months + 1 < high.months else None
    gap = high.instant() - low.instant()
    ns = low.ns + gap // 2
    return Time(ns, low.zone) if gap > 1 and ns < _DAY_NS else None
