"""Expressions as the rest of the engine uses them: compile once, evaluate with Python's values, learn why something is null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from engine.feel import codec
from engine.feel.builtins import BUILTINS
from engine.feel.compiler import Compiled, CompiledTests, Traced, compile_tests, compile_text
from engine.feel.errors import FeelLimit, Reason
from engine.feel.infer import Mistake, Type, infer
from engine.feel.parser import composed, is_plain
from engine.feel.run import HOUSE_ZONE, Run, Scope, Trace, Value, WorkingDays, weigh
from engine.feel.syntax import Call, FreeNames, Name, Node, UnaryTests, entry_names, free_names, walk
from engine.feel.values import feel_text, to_feel, to_native

_STEPS = 200_000
#: Types of values that are the same in FEEL and Python.
_AS_THEY_ARE = frozenset({bool, str, type(None)})


class Result(NamedTuple):
    """What an evaluation gave.

    Attributes:
        value: None, bool, int (whole), Decimal, str, date, time, datetime, timedelta, `YearsMonths`, list, dict; ranges and
            functions as FEEL has them.
        reasons: why a part was null, in order of evaluation, each English with `.zh`; empty when nothing was.
    """

    value: Any
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """A part of an expression or decision with the value it had; `children` are the parts it was computed from."""

    text: str
    value: Any
    children: tuple[Explained, ...]

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield the tree as text, a line a part, indented by two blanks a level: ``a > 1  =  true``."""
        yield f"{'  ' * depth}{self.text}  =  {feel_text(to_feel(self.value))}"
        for child in self.children:
            yield from child.lines(depth + 1)

    def as_json(self) -> dict[str, Any]:
        """Return ``{"text", "value", "children"}``, values as `engine.feel.codec` writes them; what it cannot, as FEEL text."""
        try:
            value = codec.to_json(self.value)
        except (TypeError, ValueError):
            value = feel_text(to_feel(self.value))
        return {"text": self.text, "value": value, "children": [child.as_json() for child in self.children]}


class Expression:
    """A compiled FEEL expression; immutable, may be shared by threads.

    Attributes:
        text: as given.
        names: every variable it may read (its own iterators, entries and parameters excluded).
        certain_names: those it reads whatever the data; the others stand in filters and may be entries of a list's items.
        called_names: functions it calls by name.
        entries: those of the context it gives; None when they cannot be told before it runs, or it gives no context.
    """

    __slots__ = ("_closure", "_is_composed", "_lookups", "_special", "called_names", "certain_names", "entries", "names", "text")

    def __init__(self, text: str, compiled: Compiled, special: frozenset[str]) -> None:
        free = compiled.free
        self.text = text
        self._closure = compiled.closure
        self._is_composed = composed(text) == text
        self._special = special
        functions = BUILTINS.keys() - special
        self.certain_names = (frozenset(free.certain) - functions) | frozenset(n for n in free.called if n not in BUILTINS)
        self.names = self.certain_names | frozenset(free.members)
        self.called_names = frozenset(free.called)
        self.entries = entry_names(compiled.tree)
        self._lookups = tuple(self.names | self.called_names | frozenset(free.certain))

    def evaluate(
        self, variables: Mapping[str, Any], now: datetime, *, steps: int = _STEPS, zone: str = HOUSE_ZONE,
        calendar: WorkingDays | None = None,
    ) -> Result:  # fmt: skip
        """Return the value over `variables` ``{name: Python value}`` at the instant `now` (aware).

        Args:
            steps: budget; a loop pass, an item of a filter and a call cost 1, long lists and texts more.
            zone: whose day today() is, and whose clock now() shows.
            calendar: which days are worked.

        Raises:
            FeelLimit: the budget, the depth, the size or the time for regular expressions was passed.
            TypeError, ValueError: a variable that is read is no FEEL value.
        """
        run = Run(now, steps, zone)
        run.calendar = calendar
        scope: Scope = {None: run}
        if not self._is_composed:
            variables = _composed(variables)
        try:
            for name in self._lookups:
                try:
                    value = variables[name]
                except KeyError:
                    continue
                scope[name] = value if type(value) in _AS_THEY_ARE else to_feel(value)
            value = self._closure(scope)
            return Result(value, tuple(run.reasons)) if type(value) in _AS_THEY_ARE else finish(value, run)
        except RecursionError:
            raise FeelLimit("the value or the calls are nested too deep", "取值或函数调用嵌套过深") from None

    def explain(
        self, variables: Mapping[str, Any], now: datetime, *, steps: int = _STEPS, zone: str = HOUSE_ZONE,
        calendar: WorkingDays | None = None,
    ) -> Explained:  # fmt: skip
        """Return the parts of the expression with their values, as `evaluate` computes them; literals are left out."""
        run = Run(now, steps, zone)
        run.calendar = calendar
        run.trace = trace = Trace()
        if not self._is_composed:
            variables = _composed(variables)
        try:
            scope: Scope = {None: run, **{name: to_feel(variables[name]) for name in self._lookups if name in variables}}
            compiled = compile_text(self.text, self._special, frozenset(), True)
            value = compiled.closure(scope)
            if trace:
                return explained(trace[-1], run)
            return Explained(self.text.strip(), finish(value, run).value, ())
        except RecursionError:
            raise FeelLimit("the value or the calls are nested too deep", "取值或函数调用嵌套过深") from None

    def infer(self, types: Mapping[str, Type]) -> tuple[Type, list[Mistake]]:
        """Return the type that the value will have, and the mistakes of types, as `engine.feel.infer.infer` sees them."""
        return infer(compile_text(self.text, self._special).tree, types)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


class CellTests:
    """Compiled unary tests, as a cell of a decision table has them: ``< 10``, ``"A", "B"``, ``not(> 5)``, ``-``."""

    __slots__ = ("_closure", "_is_composed", "_lookups", "names", "text")

    def __init__(self, text: str, compiled: CompiledTests) -> None:
        free = free_names_of_tests(compiled.tree)
        self.text = text
        self._is_composed = composed(text) == text
        self._closure = compiled.closure
        self.names = frozenset(free.certain) | frozenset(free.members) | frozenset(n for n in free.called if n not in BUILTINS)
        self._lookups = tuple(self.names | frozenset(free.called))

    def evaluate(
        self, value: Any, variables: Mapping[str, Any], now: datetime, *, steps: int = _STEPS, zone: str = HOUSE_ZONE,
        calendar: WorkingDays | None = None,
    ) -> Result:  # fmt: skip
        """Return whether `value` passes: True, False, or None when that cannot be known.

        Raises:
            FeelLimit, TypeError, ValueError: as `Expression.evaluate`.
        """
        run = Run(now, steps, zone)
        run.calendar = calendar
        try:
            scope: Scope = {None: run, "?": to_feel(value)}
            if not self._is_composed:
                variables = _composed(variables)
            for name in self._lookups:
                if name in variables:
                    scope[name] = to_feel(variables[name])
            return finish(self._closure(scope), run)
        except RecursionError:
            raise FeelLimit("the value or the calls are nested too deep", "取值或函数调用嵌套过深") from None


def free_names_of_tests(tree: UnaryTests) -> FreeNames:
    """Return the names that the tests read, the tested value ``?`` excluded."""
    found = FreeNames()
    for test in tree.tests:
        free = free_names(test)
        found.certain.update(free.certain)
        found.members.update(free.members)
        found.called.update(free.called)
    return found


def finish(value: Value, run: Run) -> Result:
    """Return a FEEL value and the run's reasons to Python."""
    if type(value) in (list, dict):
        weigh(value, run.size)
    native = to_native(value, run)
    return Result(native, tuple(run.reasons))


def explained(traced: Traced, run: Run) -> Explained:
    """Return what a trace holds, with Python's values."""
    value = traced.value
    if type(value) in (list, dict):
        weigh(value, run.size)
    return Explained(traced.text, to_native(value, run), tuple(explained(child, run) for child in traced.children))


def _special(names: frozenset[str]) -> frozenset[str]:
    # Only names that are no plain word change the parse, so they alone belong in the cache's key.
    return frozenset(composed(name) for name in names if not is_plain(name))


def _composed(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the variables by their names composed: a text that was not may name variables that are not either."""
    return {composed(name): value for name, value in variables.items()}


#: Built-in functions that take a function.
_OF_FUNCTIONS = frozenset(
    name for name, builtin in BUILTINS.items() if any(p.kind == "function" for overload in builtin.overloads for p in overload.parameters)
)


def _functions_given(tree: Node) -> frozenset[str]:
    """Return the names that stand where a call may want a function: ``sort(list, before)``, arguments of functions that are no built-in."""
    return frozenset(
        argument.name
        for call in walk(tree)
        if isinstance(call, Call) and not (isinstance(call.function, Name) and call.function.name in BUILTINS.keys() - _OF_FUNCTIONS)
        for argument in call.arguments
        if isinstance(argument, Name)
    )


@lru_cache(8192)
def _expression(text: str, special: frozenset[str]) -> Expression:
    compiled = compile_text(text, special)
    if read := compiled.free.certain.keys() & BUILTINS.keys() - _functions_given(compiled.tree):
        # A variable may be named like a function (`count`, `duration`): where it is not there, nobody means the function.
        special |= read
        compiled = compile_text(text, special)
    return Expression(text, compiled, special)


@lru_cache(8192)
def _tests(text: str, special: frozenset[str]) -> CellTests:
    return CellTests(text, compile_tests(text, special))


def compile_expression(text: str, names: frozenset[str] = frozenset()) -> Expression:
    """Return the compiled expression; the same one for the same text.

    Args:
        text: FEEL; a leading ``=`` is accepted.
        names: known variable names; those that are no plain words (``count of bids``, ``毛利率(%)``) are read only if given.

    Raises:
        FeelSyntaxError: with line and column, English and Chinese.
    """
    special = _special(names) if names else names
    return _expression(text, special)


def compile_unary_tests(text: str, names: frozenset[str] = frozenset()) -> CellTests:
    """Return the compiled unary tests; see `compile_expression`."""
    return _tests(text, _special(names) if names else names)
