"""Names that expressions read and nothing writes: a timer that reads such a name would never fire, and nobody would hear of it.

What a process can know is taken too large rather than too small: the order of the steps is left aside, every name that any step
of it writes counts, and so does what may come in by calls and messages from any process, checked now or deployed before. Only what
is local stays local: a called process sees what it is given, inputs of a task and the item of a loop are seen inside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache

from engine.bpmn.check.document import ACTIVITIES, GLOBAL_TASKS, CheckContext, Document, Element, FormNames
from engine.bpmn.check.expressions import Reading, Written, compiled, short
from engine.bpmn.check.extensions import nearest, words
from engine.bpmn.check.rule import DRAFT, WARNING, Hit, Hits, rule
from engine.bpmn.data import LOOP_NAMES
from engine.bpmn.items import item_names, target_path
from engine.bpmn.reader import is_expression, translated
from engine.bpmn.xml import CAMUNDA, read_diagram
from engine.errors import EngineError
from engine.feel import Expression, FeelSyntaxError, compile_expression
from engine.feel.infer import Type

#: Stand among the names where some of them cannot be told: those may be any that is written anywhere; or any whatever.
SOME, ANY = "* some", "* any"
_DYNAMIC = "* dynamic"  # the name of a message that an expression gives


# ---------------------------------------------------------------------------------------------------- what a diagram writes
@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where variables come from: `names` themselves, and ids of forms, job types, decisions and messages that bring some."""

    names: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()
    decisions: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call activity. `takes`, `gives`: targets of its mappings; `all_in`, `all_out`: every variable goes."""

    called: str
    takes: frozenset[str]
    gives: frozenset[str]
    all_in: bool
    all_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What one process does with variables, as far as its own diagram says. `local`: names that are seen inside one activity."""

    key: str
    origin: Origin
    local: frozenset[str]
    calls: tuple[Call, ...]
    thrown: tuple[tuple[str, frozenset[str]], ...]  #: ((message, entries of its payload), …)


def _merged(origins: Iterable[Origin]) -> Origin:
    every = list(origins)
    return Origin(**{
        field.name: frozenset[str]().union(*(getattr(each, field.name) for each in every)) for field in fields(Origin)
    })


def _entries(text: str) -> frozenset[str]:
    """Return the entries of the context that an expression gives."""
    try:
        found = compile_expression(translated(text)).entries
    except ValueError:
        return frozenset({ANY})  # EXPR-SYNTAX and EXPR-JUEL tell it
    return frozenset({SOME}) if found is None else found


def _processes(document: Document) -> list[Element]:
    return [each for each in document.each("process") if each.get("isExecutable") == "true"] + list(document.each(*GLOBAL_TASKS))


def _parameters(document: Document, activity: Element, kind: str) -> frozenset[str]:
    return frozenset(
        name for entry in document.extensions(activity) if entry.tag == f"{CAMUNDA}inputOutput"
        for each in entry.iterfind(f"{CAMUNDA}{kind}") if (name := (each.get("name") or "").strip()))


def _message_names(document: Document, node: Element) -> Iterator[str]:
    """Yield the names of the messages that a node catches or throws, and of the signals, with ``signal `` before."""
    for each in document.definitions.get(node, ()):
        if document.kind(each) == "signalEventDefinition":
            signal = document.find(each.get("signalRef"))
            name = each.get("signalRef") or "" if signal is None else signal.get("name") or signal.get("id") or ""
            yield _DYNAMIC if is_expression(name) else f"signal {name}"
    holders = [node] if document.kind(node) in ("sendTask", "receiveTask") and document.message_names(node) else []
    holders += [each for each in document.definitions.get(node, ()) if document.kind(each) == "messageEventDefinition"]
    holders += [each for each in node if document.kind(each) == "messageEventDefinition" and each not in holders]
    for holder in holders:
        for name in sorted(document.message_names(holder)) or [""]:
            yield _DYNAMIC if is_expression(name) else name
    if not holders and document.kind(node) == "receiveTask":
        yield node.get("id") or ""


def _form(text: str) -> Origin:
    return Origin(names=frozenset({ANY})) if is_expression(text) else Origin(forms=frozenset({text}))


def result(document: Document, node: Element) -> Origin:
    """Return what the node itself brings about, before an output mapping chooses from it."""
    kind = document.kind(node)
    variable = document.camunda(node, "resultVariable")
    if kind in ("userTask", "globalUserTask"):
        form = document.camunda(node, "formKey")
        return _form(form) if form else Origin(names=frozenset({ANY}))  # without a form whatever is sent is taken
    if kind == "startEvent" and document.camunda(node, "formKey"):
        return _form(document.camunda(node, "formKey"))
    if kind in ("scriptTask", "globalScriptTask"):
        return Origin(names=frozenset({variable}) if variable else _entries(document.text(document.child(node, "script"))))
    decision, topic = document.camunda(node, "decisionRef"), document.camunda(node, "topic")
    if kind in ("businessRuleTask", "globalBusinessRuleTask") and decision:
        return Origin(names=frozenset({variable})) if variable else Origin(decisions=frozenset({decision}))
    if kind in ("serviceTask", "sendTask", "businessRuleTask") and topic:
        return Origin(names=frozenset({ANY})) if is_expression(topic) else Origin(jobs=frozenset({topic}))
    if kind in ("startEvent", "intermediateCatchEvent", "boundaryEvent", "receiveTask"):
        form, caught = document.property(node, "form"), frozenset(_message_names(document, node))
        codes = {
            document.camunda(each, name) for each in document.definitions.get(node, ())
            for name in ("errorCodeVariable", "errorMessageVariable", "escalationCodeVariable")
        }
        return _merged((Origin(names=frozenset(codes - {""}), messages=caught), *([_form(form)] if form else [])))
    return Origin()


def _loop_names(document: Document, activity: Element) -> frozenset[str]:
    """Return what the loop of an activity puts into each of its instances."""
    loop = document.child(activity, "multiInstanceLoopCharacteristics")
    if loop is None:
        return frozenset({"loopCounter"}) if document.child(activity, "standardLoopCharacteristics") is not None else frozenset()
    item = document.child(loop, "inputDataItem")
    given = {document.camunda(loop, "elementVariable"), "" if item is None else item.get("name") or item.get("id") or ""}
    return (frozenset(given) | LOOP_NAMES) - {"", "activationCount"}


def _collected(document: Document, activity: Element) -> frozenset[str]:
    loop = document.child(activity, "multiInstanceLoopCharacteristics")
    if loop is None:
        return frozenset()
    into = document.property(loop, "outputCollection") or document.property(activity, "outputCollection")
    return frozenset({into, document.text(document.child(loop, "loopDataOutputRef"))}) - {""}


def _call(document: Document, activity: Element) -> Call:
    mappings: dict[str, list[Element]] = {"in": [], "out": []}
    for entry in document.extensions(activity):
        for tag, found in mappings.items():
            if entry.tag == f"{CAMUNDA}{tag}" and entry.get("businessKey") is None:
                found.append(entry)
    everything = not mappings["in"] and not mappings["out"]
    targets = {tag: frozenset((each.get("target") or "").strip() for each in found) - {""} for tag, found in mappings.items()}
    whole = {tag: everything or any(each.get("variables") == "all" for each in found) for tag, found in mappings.items()}
    called = (activity.get("calledElement") or "").strip()
    known = None if is_expression(called) else document.find(called)
    return Call(
        called=called if known is None else known.get("id") or called, takes=targets["in"], gives=targets["out"],
        all_in=whole["in"], all_out=whole["out"])


def _drawn(document: Document, process: Element) -> Drawn:
    origins: list[Origin] = []
    local: set[str] = set()
    calls: list[Call] = []
    thrown: list[tuple[str, frozenset[str]]] = []
    names = set(words(document.property(process, "inputs")))
    items = item_names(document.root)
    for node in process.iter():
        kind = document.kind(node)
        if not kind:
            continue
        outputs = _parameters(document, node, "outputParameter")
        if outputs:
            names |= outputs
        else:
            origins.append(result(document, node))
        if kind in ACTIVITIES:
            local |= _parameters(document, node, "inputParameter") | _loop_names(document, node)
            names |= _collected(document, node)
        if kind == "callActivity":
            calls.append(_call(document, node))
        elif node.get("id") in items:
            names.add(items[node.get("id") or ""])
        elif kind == "to":
            names |= set(target_path(document.text(node), items)[:1])
        elif kind == "endEvent" and document.property(node, "outcome"):
            names.add("outcome")
        if kind in ("intermediateThrowEvent", "endEvent") or (kind == "sendTask" and not document.camunda(node, "topic")):
            payload = document.property(node, "payload")
            thrown += [(name, _entries(payload) if payload else frozenset()) for name in _message_names(document, node)]
    return Drawn(
        key=process.get("id") or "", origin=_merged((*origins, Origin(names=frozenset(names - {""})))), local=frozenset(local),
        calls=tuple(calls), thrown=tuple(thrown))


def drawn(document: Document) -> tuple[Drawn, ...]:
    """Return what each executable process of the diagram does with variables."""
    return tuple(_drawn(document, process) for process in _processes(document))


@lru_cache(256)
def _deployed(xml: bytes) -> tuple[Document | None, tuple[Drawn, ...]]:
    """Return a diagram that was deployed before; it never changes."""
    try:
        document = Document(read_diagram(xml, len(xml)), "", CheckContext())
    except EngineError:  # deployed under other rules; what it writes cannot be told, and it was told when it was deployed
        return None, ()
    return document, drawn(document)


# ------------------------------------------------------------------------------------------------- what can be known where
class World:
    """The variables of every process, checked now or deployed before."""

    def __init__(self, documents: Iterable[Document], context: CheckContext) -> None:
        assert context.form_names is not None
        assert context.decision_names is not None
        assert context.job_outputs is not None
        self.forms: Mapping[str, FormNames] = context.form_names
        self.decisions, self.jobs = context.decision_names, context.job_outputs
        processes = [each for document in documents for each in drawn(document)]
        here = {each.key for each in processes}
        self.elsewhere: dict[str, Document] = {}  #: ``{process key: its diagram}`` of what was deployed before
        for key, xml in context.deployed.items():
            if key not in here:
                document, found = _deployed(xml)
                processes += [each for each in found if each.key == key]
                if document is not None:
                    self.elsewhere[key] = document
        self.payloads: dict[str, set[str]] = defaultdict(set)
        for process in processes:
            for name, entries in process.thrown:
                self.payloads[name] |= entries
        self.scopes: dict[str, set[str]] = defaultdict(set)
        for process in processes:
            self.scopes[process.key] |= self.resolved(process.origin)
        self._flow(processes)
        self.types = self._types(processes)
        self.everything = frozenset[str]().union(*self.scopes.values(), *(process.local for process in processes))

    def _types(self, processes: list[Drawn]) -> dict[str, Type]:
        """Return ``{name: type}`` of the variables whose every writer, wherever it is, gives one and the same known type.

        Forms, decisions and handlers say the types of what they give; what comes in by mappings, scripts and messages may be
        anything.
        """
        found: dict[str, Type] = {}
        unknown: set[str] = set()
        for process in processes:
            origin = process.origin
            unknown |= origin.names | process.local
            unknown |= {name for call in process.calls for name in call.takes | call.gives}
            unknown |= {name for _, entries in process.thrown for name in entries}
            sources: list[tuple[frozenset[str], Mapping[str, Type]]] = [
                (self.forms[form].writes, self.forms[form].types) for form in origin.forms if form in self.forms]
            sources += [
                (self.decisions[decision].writes or frozenset(), self.decisions[decision].types)
                for decision in origin.decisions if decision in self.decisions]
            sources += [(frozenset(self.jobs[job]), self.jobs[job]) for job in origin.jobs if job in self.jobs]
            for names, types in sources:
                for name in names:
                    type_ = types.get(name)
                    if type_ is None or found.setdefault(name, type_) != type_:
                        unknown.add(name)
        return {name: type_ for name, type_ in found.items() if name not in unknown}

    def _flow(self, processes: list[Drawn]) -> None:
        """Carry variables over calls until no scope grows any more."""
        calls = [(process, call) for process in processes for call in process.calls]
        grown = True
        while grown:
            grown = False
            for process, call in calls:
                around, chosen = self.scopes[process.key], is_expression(call.called)  # then any process may be the called one
                called = None if chosen else self.scopes.get(call.called)
                gives = ({ANY} if called is None else called) if call.all_out else call.gives
                takes = (around | process.local) - LOOP_NAMES if call.all_in else call.takes
                receivers = [*self.scopes.values()] if chosen else [] if called is None else [called]
                before = len(around) + sum(map(len, receivers))
                around |= gives
                for receiver in receivers:
                    receiver |= takes
                grown |= len(around) + sum(map(len, receivers)) > before

    def resolved(self, origin: Origin) -> set[str]:
        """Return the names that an origin brings. What is not known at all brings anything: other rules tell that it is missing."""
        found = set(origin.names)
        for form in origin.forms:
            found |= self.forms[form].writes if form in self.forms else {ANY}
        for job in origin.jobs:
            found |= self.jobs.get(job, {ANY: None}).keys()
        for decision in origin.decisions:
            writes = self.decisions[decision].writes if decision in self.decisions else {ANY}
            found |= {SOME} if writes is None else writes
        for message in origin.messages:
            if message == _DYNAMIC:
                found = found.union(*self.payloads.values())
            else:
                found |= self.payloads.get(message, set()) | self.payloads.get(_DYNAMIC, set())
        return found

    def unknown(self, names: Iterable[str], visible: set[str]) -> list[str]:
        """Return those of `names` that nothing can have written where `visible` is seen."""
        if ANY in visible:
            return []
        missing = sorted(name for name in names if name not in visible)
        return [name for name in missing if name not in self.everything] if SOME in visible else missing


def world_of(document: Document) -> World | None:
    context = document.context
    if context.form_names is None or context.decision_names is None or context.job_outputs is None:
        return None
    if document.world is None:
        document.world = World(document.together.values(), context)
        for other in document.together.values():
            other.world = document.world
    return document.world


class Sight:
    """What is seen at the places of one document."""

    def __init__(self, document: Document, world: World) -> None:
        self.document, self.world = document, world
        self.anywhere = set[str]().union(*(world.scopes[each.get("id") or ""] for each in _processes(document)))

    def at(self, element: Element) -> set[str] | None:
        """Return what an expression below or at `element` sees; None where nothing is run."""
        found: set[str] = set()
        for node in (element, *element.iterancestors()):
            kind = self.document.kind(node)
            if kind in ACTIVITIES:
                found |= self._inside(node)
            elif kind == "sequenceFlow":
                source = self.document.source.get(node)
                found |= set() if source is None else self._inside(source)
            elif kind == "complexGateway":
                found.add("activationCount")
            if kind == "process" and node.get("isExecutable") != "true":
                return None
            if kind == "process" or kind in GLOBAL_TASKS:
                return found | self.world.scopes[node.get("id") or ""]
        return found | self.anywhere  # the name of a message belongs to no process

    def _inside(self, activity: Element) -> set[str]:
        inputs = _parameters(self.document, activity, "inputParameter")
        return {*inputs, *_loop_names(self.document, activity), *_collected(self.document, activity)}

    def of(self, written: Written) -> set[str] | None:
        """Return what an expression of the diagram sees; None where nothing is run."""
        document, element = self.document, written.element
        holder = _holder(document, element)
        kind = document.kind(element)
        around = None if holder is None else holder.getparent()
        if holder is None or around is None or document.kind(holder) not in ACTIVITIES:
            return self.at(element)
        if kind in ("loopCardinality", "multiInstanceLoopCharacteristics"):
            return self.at(around)  # asked before there is an instance
        outside = self.at(around)
        if outside is None:
            return None
        if kind == "loopCondition" or element.tag == f"{CAMUNDA}inputParameter":
            return outside | _loop_names(document, holder)
        inside = outside | self._inside(holder)
        if element.tag == f"{CAMUNDA}outputParameter":
            return inside | self.world.resolved(result(document, holder))
        if element.tag == f"{CAMUNDA}out":
            called = self.world.scopes.get(_call(document, holder).called)
            return {ANY} if called is None else called
        return inside


def _holder(document: Document, element: Element) -> Element | None:
    """Return the node that an extension, a loop or a script belongs to."""
    for node in (element, *element.iterancestors()):
        kind = document.kind(node)
        if kind and kind != "extensionElements" and not kind.endswith("LoopCharacteristics") and kind not in _PARTS:
            return node
    return None


_PARTS = frozenset({"script", "completionCondition", "loopCardinality", "loopCondition"})


def _read(expression: Expression) -> frozenset[str]:
    return expression.certain_names - expression.called_names  # that a function is missing, EXPR-FUNCTION tells


# ------------------------------------------------------------------------------------------------------------------ the rule
@dataclass(frozen=True, slots=True)
class _Unknown:
    """A name that is read at `element` and that nothing writes. `blocks`: what would never come is a point in time."""

    element: Element
    name: str
    where: tuple[str, str]
    near: tuple[str, str]
    blocks: bool = False
    line: int = 0


@rule(
    "NAME-UNKNOWN", WARNING,
    zh="{where}读取变量“{variable}”，但没有任何步骤写入它，结果会是空值{near_zh}",
    en='{where_en} reads the variable "{variable}", which nothing writes; the value would be null{near}',
    mend_zh="请改正变量名，或让某一步写入它；由接口传入的变量请写在流程属性 inputs 中",
    mend_en="Correct the name, or let a step write it; name variables that come in by API in the property inputs of the process",
)
def unknown_name(document: Document) -> Hits:
    world = world_of(document)
    if world is None:
        return
    for each in _unknown(document, world):
        yield _hit(each, each.element, each.line)
    for activity in document.each("callActivity"):
        # A called process that stays as it was deployed is checked again: what this diagram gives it may have changed.
        called = _call(document, activity).called
        if called in world.elsewhere and document.is_executable(activity):
            for each in _unknown(world.elsewhere[called], world):
                if _key(world.elsewhere[called], each.element) == called:
                    yield _hit(each, activity, 0, (f"被调用流程“{called}”中，", f'In the called process "{called}": '))


def _hit(found: _Unknown, element: Element, line: int, before: tuple[str, str] = ("", "")) -> Hit:
    facts = {
        "where": before[0] + found.where[0], "where_en": before[1] + found.where[1], "variable": found.name,
        "near_zh": found.near[0], "near": found.near[1],
    }
    return Hit(element, DRAFT if found.blocks else None, facts, line)


def _key(document: Document, element: Element) -> str:
    process = document.process(element)
    return "" if process is None else process.get("id") or ""


def _unknown(document: Document, world: World) -> Iterator[_Unknown]:
    sight = Sight(document, world)
    for each, expression in compiled(document):
        if isinstance(expression, FeelSyntaxError) or not _read(expression):
            continue
        visible = sight.of(each)
        if visible is not None:
            text = short(each.text)
            where, blocks = (f"表达式“{text}”", f'The expression "{text}"'), each.reading in (Reading.TIME, Reading.DATE)
            for name, near in _missing(world, _read(expression), visible):
                yield _Unknown(each.element, name, where, near, blocks, each.line)
    for task in document.each("businessRuleTask", "globalBusinessRuleTask"):
        id = document.camunda(task, "decisionRef")
        visible = sight.at(task)
        if id in world.decisions and visible is not None:
            for name, near in _missing(world, world.decisions[id].reads, visible):
                yield _Unknown(task, name, (f"决策“{id}”", f'The decision "{id}"'), near)
    yield from _of_forms(document, world, sight)


def _of_forms(document: Document, world: World, sight: Sight) -> Iterator[_Unknown]:
    for node in document.each(
        "userTask", "globalUserTask", "startEvent", "intermediateCatchEvent", "boundaryEvent", "receiveTask"
    ):
        is_start = document.kind(node) == "startEvent" and not document.definitions.get(node)
        id = document.camunda(node, "formKey") or document.property(node, "form")
        form = world.forms.get(id)
        visible = set() if is_start else sight.at(node)  # nothing is known before the start
        if form is None or visible is None:
            continue
        for field, text, row in form.reads:
            try:
                names = _read(compile_expression(text))
            except FeelSyntaxError:
                continue  # the form itself is refused
            where = (
                f"表单“{id}”的字段“{field}”({short(text)})", f'The field "{field}" of the form "{id}" ({short(text)})',
            )
            for name, near in _missing(world, names, visible | form.writes | row):
                yield _Unknown(node, name, where, near)


def _missing(world: World, names: Iterable[str], visible: set[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield (name, advice in Chinese and English) of those that nothing writes."""
    for name in world.unknown(names, visible):
        yield name, nearest(name, (each for each in visible if not each.startswith("*")))
