"""DMN decisions (1.1 to 1.5): tables, boxed expressions, business knowledge, services, requirement graphs, imports.

A file is compiled whole when it is loaded and holds nothing of an evaluation, so threads may share a model. A decision sees
what it requires; in a file that declares no input data (as modelers often leave it) it reads the variables directly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from engine.feel.boxed import compile_boxed, compile_function
from engine.feel.compiler import Traced
from engine.feel.definitions import Definitions, Element, Problem, expression_in, iter_files, part, parts
from engine.feel.errors import DecisionError, FeelLimit, Reason
from engine.feel.expression import Explained, explained, finish
from engine.feel.infer import declared
from engine.feel.parser import normal_name
from engine.feel.run import HOUSE_ZONE, ExternalFunctions, Run, Scope, Trace, Value, WorkingDays
from engine.feel.tables import Table, TableHit, checked, gathers
from engine.feel.types import ItemType, is_function
from engine.feel.values import Function, to_feel, to_native

_STEPS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A decision of a model.

    Attributes:
        inputs: names of the input data it needs, directly or through others.
        reads: variables that it certainly reads, directly or through others: `inputs`, or what the expressions name in a file
            that declares no input data.
        entries: of the context it gives; empty when it gives a single value, None when they cannot be told.
        types: ``{entry: type}`` of those entries whose type the table names, as `engine.feel.infer` has types.
    """

    id: str
    name: str
    inputs: tuple[str, ...]
    is_table: bool
    reads: frozenset[str] = frozenset()
    entries: frozenset[str] | None = None
    types: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableResult:
    """One table that was evaluated: its decision's id, ``{input column: value}``, and the numbers of the matching rules."""

    decision: str
    inputs: Mapping[str, Any]
    rules: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionResult:
    """What a decision gave, with all that an audit needs.

    Attributes:
        value: as `engine.feel.Result.value`.
        rules: numbers (from 1) of the rules of its own table that matched; empty when its logic is no table.
        inputs: ``{name: value}``, the variables that were read, by this decision and those it requires.
        reasons: why a part was null; empty when nothing was.
        tables: every table evaluated on the way, in order.
        gathers: is the value a list of results, one for each rule that matched, as the table's hit policy says? None when the
            decision's logic is no table.
    """

    value: Any
    rules: tuple[int, ...]
    inputs: Mapping[str, Any]
    reasons: tuple[Reason, ...]
    tables: tuple[TableResult, ...]
    gathers: bool | None = None


class DecisionModel:
    """A loaded DMN file with its imports; see `load_decisions`.

    Attributes:
        decisions: of the file itself.
        problems: what is wrong; empty when loaded strictly.
        warnings: names that are read and that nothing gives; they are null.
        tables: every decision table of the file, for `engine.feel.check`.
        roots: the decisions that no other of the file requires.
    """

    def __init__(
        self, files: list[Definitions], problems: list[Problem], external: ExternalFunctions | None,
        source: tuple[bytes, Mapping[str, bytes]],
    ) -> None:
        self._files, self._main, self._external, self._source = files, files[0], external, source
        self.problems = tuple(problems)
        self.warnings: tuple[Problem, ...] = tuple(self._main.warnings)
        self.tables: tuple[Table, ...] = tuple(self._main.tables)
        self.decisions: tuple[Decision, ...] = tuple(
            Decision(
                id=element.id,
                name=element.name,
                inputs=tuple(dict.fromkeys(_inputs_of(element, set()))),
                is_table=part(element.node, "decisionTable") is not None,
                reads=frozenset(_reads_of(element, set())),
                entries=_entries_of(element),
                types=_entry_types(element),
            )
            for element in self._main.elements
            if element.kind == "decision"
        )

    @property
    def roots(self) -> tuple[Decision, ...]:
        required = {href.rpartition("#")[2] for element in self._main.elements for href in element.requires}
        return tuple(decision for decision in self.decisions if decision.id not in required)

    def decide(
        self,
        id_or_name: str,
        variables: Mapping[str, Any],
        now: datetime,
        *,
        steps: int = _STEPS,
        zone: str = HOUSE_ZONE,
        calendar: WorkingDays | None = None,
    ) -> DecisionResult:
        """Return the decision's (or decision service's) value over `variables` ``{name: Python value}`` at `now` (aware).

        Raises:
            DecisionError: there is no such decision, or decisions require each other in a circle.
            FeelLimit: the budget, the depth or the size was passed.
            TypeError, ValueError: a variable that is read is no FEEL value.
        """
        element = self._find(id_or_name, is_service=None)
        run = self._run(now, steps, zone)
        run.calendar = calendar
        inputs = _Inputs(variables, self._main)
        value = self._evaluate(element, inputs, run)
        result = finish(value, run)
        hits = [hit for hit in run.tables if isinstance(hit, TableHit)]
        own = [hit.rules for hit in hits if hit.decision == element.id]
        tables = tuple(
            TableResult(decision=hit.decision, inputs={k: to_native(v, run) for k, v in hit.inputs.items()}, rules=hit.rules)
            for hit in hits
        )
        return DecisionResult(
            value=result.value, rules=own[-1] if own else (), inputs=inputs.read, reasons=tuple(run.reasons), tables=tables,
            gathers=_gathers(element),
        )

    def explain(
        self, id_or_name: str, variables: Mapping[str, Any], now: datetime, *, steps: int = _STEPS, zone: str = HOUSE_ZONE,
        calendar: WorkingDays | None = None,
    ) -> Explained:  # fmt: skip
        """Return the decision with its value and everything that led to it, as `decide` computes it.

        A decision's children are the decisions it required and the parts of its logic; a table's are its rules
        (``table 3``: did it match) with the cells that were looked at, up to the first that failed.

        Raises:
            DecisionError, FeelLimit, TypeError, ValueError: as `decide`.
        """
        model = self._tracing
        run = model._run(now, steps, zone)
        run.calendar = calendar
        run.trace = trace = Trace()
        model._evaluate(model._find(id_or_name, is_service=None), _Inputs(variables, model._main), run)
        try:
            return explained(trace[-1], run)
        except RecursionError:
            raise FeelLimit("the value or the calls are nested too deep", "取值或函数调用嵌套过深") from None

    @cached_property
    def _tracing(self) -> DecisionModel:
        """The same model, compiled so that it tells what it computes."""
        return _load(*self._source, strict=False, external=self._external, is_tracing=True)

    def decide_in_feel(
        self, name: str, inputs: Mapping[str, Value], now: datetime, *, is_service: bool = False, steps: int = _STEPS,
        zone: str = HOUSE_ZONE,
    ) -> Value:
        """Return the FEEL value of a decision or service over FEEL values: years beyond 9999 and nanoseconds stay.

        Raises:
            DecisionError, FeelLimit: as `decide`.
        """
        return self._evaluate(self._find(name, is_service=is_service), _Inputs(inputs, self._main), self._run(now, steps, zone))

    def _run(self, now: datetime, steps: int, zone: str) -> Run:
        run = Run(now, steps, zone)
        run.resolve, run.external = self._main.resolve, self._external
        return run

    def _find(self, name: str, *, is_service: bool | None) -> Element:
        wanted = normal_name(name)
        able = [e for e in self._main.elements if e.kind in ("decision", "decisionService")]
        able.sort(key=lambda e: is_service is not None and (e.kind == "decisionService") is not is_service)
        for element in able:
            if element.id == name:
                return element
        for element in able:
            if element.name == wanted:
                return element
        raise DecisionError(f"there is no decision `{name}`", zh=f"没有决策“{name}”")

    def _evaluate(self, element: Element, inputs: _Inputs, run: Run) -> Value:
        session = _Session(inputs, run, is_open=self._main.is_open)
        try:
            if element.kind != "decisionService":
                return session.value(element)
            return session.told(element, lambda: session.run_service(
                element, {name: inputs.get(name) for name in session.service(element).params}))
        except RecursionError:
            raise FeelLimit("the value or the calls are nested too deep", "取值或函数调用嵌套过深") from None


def load_decisions(
    xml: bytes,
    imports: Mapping[str, bytes] | None = None,
    *,
    strict: bool = True,
    external: ExternalFunctions | None = None,
) -> DecisionModel:
    """Return the compiled model of a DMN file.

    Args:
        imports: ``{file name: xml}`` of the files it may import, found by their namespace.
        strict: refuse a file with problems; else they are listed in `DecisionModel.problems`, and what is wrong is null.
        external: ``{"java class.method(types)": function}`` for external functions; by default there are none.

    Raises:
        DecisionError: with the line of the first problem.
    """
    return _load(xml, imports or {}, strict=strict, external=external, is_tracing=False)


def _load(
    xml: bytes, imports: Mapping[str, bytes], *, strict: bool, external: ExternalFunctions | None, is_tracing: bool
) -> DecisionModel:
    files: list[Definitions] = []
    problems: list[Problem] = []
    try:
        for root in iter_files(xml, imports):
            files.append(Definitions(root, files, problems, is_tracing=is_tracing))
        for file in files:
            file.link()
        for file in files:
            for other in list(file.imports.values()):
                file.members |= other.members
        for file in files:
            file.read_elements()
        for file in files:
            for element in file.elements:
                _compile(element)
    except RecursionError:
        raise DecisionError("the file is nested too deep", zh="文件嵌套过深") from None
    if strict and problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        more_zh = f"(另有 {len(problems) - 1} 处)" if len(problems) > 1 else ""
        raise DecisionError(first.en + more, first.line, zh=first.zh + more_zh)
    return DecisionModel(files, problems, external, (xml, imports))


def _compile(element: Element) -> None:
    file = element.file
    file.current = element
    names = {name for name in file.imports if name}
    for href in element.requires:
        required = file.find(href)
        if required is None:
            file.problem(element.node, f"`{element.name}` requires {href}, which is not there",
                         f"“{element.name}”所需的 {href} 不存在")  # fmt: skip
            continue
        names.add(file.import_name(required) or required.variable)
        if required.kind == "decisionService":
            names.add(required.name)
    if element.kind == "decision":
        closure, type_ = compile_boxed(expression_in(element.node), frozenset(names), file), element.type
        element.logic = closure if type_ is None else _typed(closure, type_, element.name)
    elif element.kind == "businessKnowledgeModel":
        logic = part(element.node, "encapsulatedLogic")
        if logic is not None:
            element.logic = compile_function(logic, frozenset(names | {element.variable}), file, _result_type(element.type))
    file.current = None
    if element.kind == "decision" and _requires_itself(element):
        file.problem(element.node, f"`{element.name}` requires itself", f"“{element.name}”循环依赖自身")


def _typed(closure: Callable[[Scope], Value], type_: Any, name: str) -> Callable[[Scope], Value]:
    return lambda scope: checked(closure(scope), type_, scope[None], name)


def _result_type(type_: Any) -> Any:
    """Return the result type of a business knowledge model; its variable has the function's type or (1.1) the result's."""
    if isinstance(type_, ItemType) and _is_function_type(type_):
        type_ = type_.base
    if isinstance(type_, tuple) and type_[0] == "function":
        type_ = type_[2]
    return None if type_ in ("Any", "function") else type_


def _is_function_type(type_: Any) -> bool:
    return isinstance(type_, ItemType) and isinstance(type_.base, tuple) and type_.base[0] == "function"


def _required(element: Element) -> list[Element]:
    found = [element.file.find(href) for href in element.requires]
    if element.kind == "decisionService":
        found += [element.file.find(node.get("href")) for node in parts(element.node, "outputDecision")]
    return [required for required in found if required is not None and required is not element]


def _requires_itself(element: Element) -> bool:
    if element.id in {href.rpartition("#")[2] for href in element.requires if href.startswith("#")}:
        return True
    seen: set[int] = set()
    stack = _required(element)
    while stack:
        other = stack.pop()
        if other is element:
            return True
        if id(other) not in seen:
            seen.add(id(other))
            stack += _required(other)
    return False


def _inputs_of(element: Element, seen: set[int]) -> list[str]:
    found: list[str] = []
    for required in _required(element):
        if id(required) not in seen:
            seen.add(id(required))
            found += [required.name] if required.kind == "inputData" else _inputs_of(required, seen)
    return found


def _reads_of(element: Element, seen: set[int]) -> set[str]:
    if not element.file.is_open:
        return set(_inputs_of(element, seen))
    found = set(element.certain)
    for required in _required(element):
        if id(required) not in seen:
            seen.add(id(required))
            found |= _reads_of(required, seen)
    return found


def _entries_of(element: Element) -> frozenset[str] | None:
    table = part(element.node, "decisionTable")
    if table is None:
        return None
    names = frozenset(normal_name(output.get("name")) for output in parts(table, "output"))
    return names if len(names) > 1 else frozenset()


def _gathers(element: Element) -> bool | None:
    table = part(element.node, "decisionTable")
    return None if table is None else gathers(table.get("hitPolicy", "UNIQUE"), table.get("aggregation") or "")


def _entry_types(element: Element) -> dict[str, Any]:
    """Return the types of a table's columns; none where rows are gathered to a list."""
    table = part(element.node, "decisionTable")
    if table is None or table.get("hitPolicy", "UNIQUE") not in ("UNIQUE", "FIRST", "ANY", "PRIORITY"):
        return {}
    outputs = parts(table, "output")
    found = {normal_name(output.get("name")): declared(element.file.type_of(output)) for output in outputs}
    return {name: type_ for name, type_ in found.items() if type_ is not None} if len(outputs) > 1 else {}


class _Inputs:
    """The variables an evaluation was given, converted when they are read. `read`: ``{name: value as given}``."""

    def __init__(self, variables: Mapping[str, Any], main: Definitions) -> None:
        self._given = {normal_name(name): value for name, value in variables.items()}
        self._main = main
        self.read: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def get(self, name: str) -> Value:
        value = self._given.get(name)
        if name in self._given:
            self.read[name] = value
        return to_feel(value)

    def of(self, element: Element, run: Run) -> Value:
        """Return what was given for input data; that of an imported file also as ``import.name`` or within a context."""
        if element.name in self._given:
            return self.get(element.name)
        if element.file is not self._main:
            for name, value in self._given.items():
                if name.endswith("." + element.name):
                    return self.get(name)
                if self._main.imports.get(name) is element.file and isinstance(value, Mapping) and element.name in value:
                    return self.get(name)[element.name]
        run.note(f"the input `{element.name}` is not given", f"未提供输入“{element.name}”")
        return None


class _Session:
    """One evaluation: each decision is computed once."""

    __slots__ = ("busy", "inputs", "is_open", "memo", "run")

    def __init__(self, inputs: _Inputs, run: Run, *, is_open: bool) -> None:
        self.inputs, self.run, self.is_open = inputs, run, is_open
        self.memo: dict[int, Value] = {}
        self.busy: set[int] = set()

    def value(self, element: Element) -> Value:
        key = id(element)
        if key in self.memo:
            return self.memo[key]
        value = self._computed(element) if self.run.trace is None else self.told(element, lambda: self._computed(element))
        self.memo[key] = value
        return value

    def told(self, element: Element, compute: Callable[[], Value]) -> Value:
        """Compute the value of an element and tell it to `Run.trace`, with what was computed for it."""
        outer = self.run.trace
        if outer is None:
            return compute()
        self.run.trace = inner = Trace()
        try:
            value = compute()
        finally:
            self.run.trace = outer
        if not is_function(value):
            outer.append(Traced(element.name, value, tuple(inner)))
        return value

    def _computed(self, element: Element) -> Value:
        if element.kind == "inputData":
            return checked(self.inputs.of(element, self.run), element.type, self.run, element.name)
        if element.kind == "decisionService":
            return self.service(element)
        key = id(element)
        if key in self.busy:
            raise DecisionError(f"`{element.name}` requires itself", zh=f"“{element.name}”循环依赖自身")
        self.busy.add(key)
        scope = self.scope(element)
        value = element.logic(scope)
        if element.kind == "businessKnowledgeModel":
            scope[element.variable] = value  # it may call itself
        self.busy.discard(key)
        return value

    def scope(self, element: Element) -> Scope:
        scope: Scope = {None: self.run}
        if self.is_open:
            scope.update({name: self.inputs.get(name) for name in element.reads if name in self.inputs})
        for href in element.requires:
            required = element.file.find(href)
            if required is None or (required is element and element.kind == "businessKnowledgeModel"):
                continue
            prefix = element.file.import_name(required)
            if prefix:
                scope.setdefault(prefix, {})[required.variable] = self.value(required)
            else:
                scope[required.variable] = self.value(required)
        return scope

    def service(self, element: Element) -> Function:
        """Return the decision service as a function of its input data and input decisions."""
        found = [element.file.find(n.get("href")) for kind in ("inputData", "inputDecision") for n in parts(element.node, kind)]
        params = [param for param in found if param is not None]
        return Function(
            [p.variable for p in params],
            [p.type for p in params],
            lambda arguments: self.run_service(element, arguments),
            element.name,
        )

    def run_service(self, element: Element, arguments: dict[str, Value]) -> Value:
        file = element.file
        inner = _Session(_Inputs(arguments, file), self.run, is_open=False)
        for node in parts(element.node, "inputDecision"):
            decision = file.find(node.get("href"))
            if decision is not None:
                inner.memo[id(decision)] = checked(
                    arguments.get(decision.variable), decision.type, self.run, decision.variable
                )
        outputs = [d for d in (file.find(n.get("href")) for n in parts(element.node, "outputDecision")) if d is not None]
        value = inner.value(outputs[0]) if len(outputs) == 1 else {d.variable: inner.value(d) for d in outputs}
        return value if _is_function_type(element.type) else checked(value, element.type, self.run, element.name)
