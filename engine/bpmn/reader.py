"""Reads diagrams into specs. Every node of a scope is read first, then flows, boundary events, links and associations are tied.

What cannot run right is refused here with element and line: nothing is silently ignored. The checker says more, and earlier.
"""
from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from lxml import etree

from engine import calendar
from engine.bpmn import elements, specs, timers
from engine.bpmn import event_definitions as ev
from engine.bpmn.collaboration import CorrelationKey, MessageFlows, drawn_keys, key_name, name_by_flows
from engine.bpmn.definition import Definition
from engine.bpmn.items import Association, declared, item_names, target_path
from engine.bpmn.juel import OWN_KEY, feel_of
from engine.bpmn.xml import BPMN, CAMUNDA, read_diagram, source_line
from engine.errors import InvalidDiagram
from engine.feel import FeelSyntaxError, compile_expression
from engine.feel.dmn import DecisionModel, load_decisions
from engine.model import ANY_CALL, Finding, ProcessInfo, Severity, Source

HOUSE_ZONE = "Asia/Shanghai"

_GATEWAYS = {
    "exclusiveGateway": specs.ExclusiveGateway, "parallelGateway": specs.ParallelGateway,
    "inclusiveGateway": specs.InclusiveGateway, "complexGateway": specs.ComplexGateway,
    "eventBasedGateway": specs.EventBasedGateway,
}
_GLOBAL = {
    "globalTask": "task", "globalUserTask": "userTask", "globalScriptTask": "scriptTask", "globalManualTask": "manualTask",
    "globalBusinessRuleTask": "businessRuleTask",
}
_NODES, _ACTIVITIES, _SUBPROCESSES = elements.NODES, elements.ACTIVITIES, elements.tags(elements.Group.SUB_PROCESS)


class DiagramCannotRun(InvalidDiagram):
    """An element of a diagram cannot be executed. `findings`: one `model.Finding` with its id and line."""

    zh = "图无法执行：{first}"
    en = "The diagram cannot run: {first_en}"

    def __init__(self, key: str, element: str | None, line: int, zh: str, en: str) -> None:
        place_zh = f"{element or key}(第 {line} 行)" if line else (element or key)
        place_en = f"{element or key} (line {line})" if line else (element or key)
        finding = Finding(
            rule="RUN", severity=Severity.ERROR, file=key, element=element, line=line, zh=zh, en=en,
            mend_zh="请在建模器中更正该元素后重新部署", mend_en="Mend the element in the modeller and deploy again")
        super().__init__((finding,), count=1, first=f"{place_zh}:{zh}", first_en=f"{place_en}: {en}")


def compile_definition(
    root: str, sources: Sequence[Source], decisions: Mapping[str, bytes] = {}, zone: str = HOUSE_ZONE
) -> Definition:
    """Return the executable form of a process and of every process that it calls, directly or not.

    Args:
        root: key of the process.
        sources: the versions to run, one for each key; a call activity reaches these and no others.
        decisions: ``{name: DMN file}``; a business rule task finds its decision by id in any of them.
        zone: what a local date and time of the diagram means.

    Raises:
        DiagramCannotRun: an element cannot be run; names it, its line and why.
    """
    reader = _Reader(sources, decisions, ZoneInfo(zone))
    reader.process(root)
    made = reader.specs
    nodes = [node for spec in made.values() for node in spec.task_specs.values()]
    has_subscriptions = any(isinstance(node, specs.BoundaryEvent | specs.EventSubProcess) for node in nodes) or any(
        node.is_catch and spec.ad_hoc is not None for spec in made.values() for node in spec.task_specs.values())
    return Definition(
        key=root,
        versions={key: reader.sources[key].version for key in reader.used},
        root=made[root],
        specs=made,
        zone=reader.zone,
        compensates=any((isinstance(d, ev.Compensation) and isinstance(node, specs.Throwing)) or isinstance(d, ev.Cancel)
                        for node in nodes for d in getattr(node, "definitions", ())),
        watches=any(node.watches or node.has_moving_dates or node.follows_variables for node in nodes),
        reads=frozenset[str]().union(*(node.reads for node in nodes)),
        watching=frozenset(node.name for node in nodes if node.watches),
        readers=_readers(nodes),
        suspends=any(isinstance(node, specs.EventSubProcess) and node.suspends for node in nodes),
        has_joins=any(spec.has_joins for spec in made.values()),
        has_late_joins=any(spec.late_joins for spec in made.values()),
        has_timers=any(isinstance(d, ev.Timer) for node in nodes for d in getattr(node, "definitions", ())),
        bounds_time=any(
            isinstance(d, ev.Timer) for node in nodes if isinstance(node, specs.BoundaryEvent) for d in node.definitions),
        has_subscriptions=has_subscriptions,
        tokens_keep_open=not has_subscriptions and len(made) == 1,
        keyed=any(isinstance(d, ev.Message) and d.keys for node in nodes for d in getattr(node, "definitions", ())),
    )


def _readers(nodes: Iterable[specs.Node]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for node in nodes:
        if node.reads:
            found[node.name] = found.get(node.name, frozenset()) | node.reads
    return found


def describe(xml: bytes) -> tuple[ProcessInfo, ...]:
    """Return what a diagram says of each of its executable processes, in the order of the file.

    Raises:
        InvalidDiagram: the file cannot be read.
    """
    tree = _normalised(read_diagram(xml, len(xml)))
    names, flows = _names(tree), MessageFlows(tree)
    return tuple(_info(node, names, flows) for node in tree if _name(node) == "process" and node.get("isExecutable") == "true")


def _info(process: etree._Element, names: Mapping[str, etree._Element], flows: MessageFlows) -> ProcessInfo:
    every = [node for node in process.iter() if isinstance(node.tag, str)]
    starts = [node for node in process if _name(node) == "startEvent" or node.get("instantiate") == "true"]
    none_starts = [node for node in starts if _name(node) == "startEvent" and not _event_nodes(node)]
    conditional = [node for node in starts if node.find(BPMN + "conditionalEventDefinition") is not None]
    plain = [node for node in process if _name(node) in _NODES]

    def given(attribute: str, *kinds: str) -> frozenset[str]:
        return frozenset(
            value for node in every if not kinds or _name(node) in kinds
            if (value := node.get(CAMUNDA + attribute)) and not value.startswith(("=", "${", "#{")))

    def prop(name: str) -> frozenset[str]:
        return frozenset(
            value for node in every if _name(node) in _NODES
            if (value := _properties(node).get(name)) and not value.startswith("="))

    def words(values: frozenset[str]) -> frozenset[str]:
        return frozenset(word.strip() for value in values for word in value.split(",") if word.strip())

    correlations: dict[str, dict[str, list[str]]] = {}
    for drawn in drawn_keys(flows.tree, process, flows):
        for message, paths in drawn.paths.items():
            texts = [_feel_or_none(path.text) for path in paths]
            correlations.setdefault(message, {})[key_name(process.get("id", ""), drawn.id)] = texts
    return ProcessInfo(
        correlations=correlations,
        key=process.get("id", ""), name=process.get("name", "") or process.get("id", ""),
        version_tag=process.get(CAMUNDA + "versionTag"), documentation=_text(process, "documentation") or "",
        starter_groups=words(frozenset({process.get(CAMUNDA + "candidateStarterGroups") or ""})),
        startable=bool(none_starts or conditional) or (not starts and bool(plain)),
        start_form=next((form for node in none_starts if (form := node.get(CAMUNDA + "formKey"))), None),
        start_messages=frozenset(name for _, kind, name in _starters(process, names) if kind == "message"),
        calls=frozenset(key for node in every if _name(node) == "callActivity" for key in _called(node)),
        forms=given("formKey", "userTask", "startEvent") | prop("form"),
        decisions=given("decisionRef", "businessRuleTask"), job_types=given("topic", *_ACTIVITIES),
        groups=words(given("candidateGroups", "userTask") | prop("candidateGroups")),
    )


def starters(xml: bytes, key: str) -> tuple[tuple[str, str, str], ...]:
    """Return ``((element, kind, name), …)`` of what starts a process by itself.

    The element is a start event, an instantiating receive task, or an event behind an instantiating event gateway; the kind is
    ``message``, ``signal`` or ``timer`` (without a name).
    """
    tree = _normalised(read_diagram(xml, len(xml)))
    process = next(node for node in tree.iter(BPMN + "process") if node.get("id") == key)
    return tuple(_starters(process, _names(tree)))


def start_timers(xml: bytes, key: str, at: datetime, zone: str = HOUSE_ZONE) -> tuple[tuple[str, timers.Plan], ...]:
    """Return ``((start event, plan), …)`` of the timers that begin a process deployed at `at`.

    Durations and cycles without a start of their own count from then; a date, or turns of a cycle, that are over start nothing.

    Raises:
        DiagramCannotRun: a time cannot be known before an instance runs.
    """
    reader = _Reader((), {}, ZoneInfo(zone))
    tree = _normalised(read_diagram(xml, len(xml)))
    file = _File(reader, tree, key)
    process = next(node for node in tree.iter(BPMN + "process") if node.get("id") == key)
    found: list[tuple[str, timers.Plan]] = []
    for node in process.iterchildren(BPMN + "startEvent"):
        for entry in _event_nodes(node):
            if _name(entry) != "timerEventDefinition":
                continue
            timer = file.timer(entry, node)
            text = timer.value if isinstance(timer.value, str) else timer.value.text
            value = text if isinstance(timer.value, str) else timer.value.compiled.evaluate({}, at, zone=zone, calendar=calendar).value
            try:
                plan: timers.Plan | None = timers.plan(timer.kind, value, at, reader.zone)
            except timers.BadTime as exc:
                raise file.refuse(
                    node, f"开始定时“{text}”无法计算：流程启动前没有变量", f"the start timer {text!r} cannot be computed: {exc}") from exc
            if plan is not None and timers.due_at(plan) < at:
                plan = timers.turn(plan, at, reader.zone)[1] if timer.kind == "timeCycle" else None
            if plan is not None:
                found.append((node.get("id", ""), plan))
    return tuple(found)


def _starters(process: etree._Element, names: Mapping[str, etree._Element]) -> Iterator[tuple[str, str, str]]:
    starting = {node.get("id") for node in process if _name(node) == "eventBasedGateway" and node.get("instantiate") == "true"}
    behind = {flow.get("targetRef") for flow in process.iterchildren(BPMN + "sequenceFlow") if flow.get("sourceRef") in starting}
    for node in process:
        kind, id = _name(node), node.get("id", "")
        if kind == "receiveTask" and (node.get("instantiate") == "true" or id in behind):
            yield id, "message", _referenced_name(node, "messageRef", names) or id
        elif kind == "startEvent" or id in behind:
            for event in _event_nodes(node):
                what = _name(event).removesuffix("EventDefinition")
                if what == "timer":
                    yield id, what, ""
                elif what in ("message", "signal") and (name := _referenced_name(event, f"{what}Ref", names)):
                    yield id, what, name


def is_expression(text: str) -> bool:
    """Whether a word of a diagram is an expression: it begins with ``=``, or holds ``${…}``."""
    return text.startswith("=") or "${" in text or "#{" in text


def _choices(call: etree._Element) -> frozenset[str]:
    """Keys of the processes that a call activity may choose from, by its property `choices`."""
    return _words(call, "choices")


def _words(node: etree._Element, name: str) -> frozenset[str]:
    """Return the words of a property, which are separated by commas."""
    return frozenset(word.strip() for word in _properties(node).get(name, "").split(",") if word.strip())


def _called(call: etree._Element) -> frozenset[str]:
    """Keys of the processes that a call activity may call; `ANY_CALL`: whatever is deployed."""
    called = (call.get("calledElement") or "").strip()
    if is_expression(called):
        return _choices(call) or frozenset({ANY_CALL})
    return frozenset({called} if called else ())


# ------------------------------------------------------------------------------------------------------------------ XML
def _normalised(tree: etree._Element) -> etree._Element:
    """Give ids to what has none, resolve prefixed references, and turn global tasks into processes of one task."""
    for n, node in enumerate(tree.iter()):
        if _name(node) in _NODES | {"sequenceFlow", "messageFlow"} and not node.get("id"):
            node.set("id", f"_{_name(node)}_{n}")
    ids = {node.get("id") for node in tree.iter() if isinstance(node.tag, str)}
    references = (
        "messageRef", "signalRef", "errorRef", "escalationRef", "calledElement", "activityRef", "attachedToRef", "sourceRef",
        "targetRef", "noneBehaviorEventRef", "oneBehaviorEventRef", "default",
    )
    for node in tree.iter():
        for attribute in references:
            value = node.get(attribute)
            if value is not None and value not in ids:
                if value.split(":")[-1] in ids:
                    node.set(attribute, value.split(":")[-1])
                elif not value:
                    del node.attrib[attribute]
    shared = {node.get("id"): node for node in tree if _name(node).endswith("EventDefinition")}
    for node in list(tree.iter(BPMN + "eventDefinitionRef")):
        found = shared.get((node.text or "").strip().split(":")[-1])
        parent = node.getparent()
        if found is not None and parent is not None:
            parent.replace(node, deepcopy(found))
    for node in list(tree):
        if _name(node) in _GLOBAL:
            task = deepcopy(node)
            task.tag = BPMN + _GLOBAL[_name(node)]
            process = etree.SubElement(tree, BPMN + "process", {"id": node.get("id", ""), "isExecutable": "true"})
            process.extend(task.findall(BPMN + "ioSpecification"))
            process.append(task)
            tree.remove(node)
    name_by_flows(tree)
    return tree


def _name(node: etree._Element) -> str:
    return node.tag[len(BPMN):] if isinstance(node.tag, str) and node.tag.startswith(BPMN) else ""


def _text(node: etree._Element, tag: str) -> str | None:
    child = node.find(BPMN + tag)
    return None if child is None or not (child.text or "").strip() else (child.text or "").strip()


def _names(tree: etree._Element) -> dict[str, etree._Element]:
    return {node.get("id", ""): node for node in tree.iter() if isinstance(node.tag, str) and node.get("id")}


def _properties(node: etree._Element) -> dict[str, str]:
    return {
        entry.get("name", ""): (entry.get("value") or "").strip()
        for entry in node.iterfind(f"{BPMN}extensionElements/{CAMUNDA}properties/{CAMUNDA}property")
    }


def _event_nodes(node: etree._Element) -> list[etree._Element]:
    return [child for child in node if _name(child).endswith("EventDefinition")]


def _is_in_transaction(node: etree._Element) -> bool:
    """Whether it is drawn in a transaction, or in a sub-process inside one."""
    at = node.getparent()
    while at is not None and _name(at) in ("subProcess", "adHocSubProcess"):
        at = at.getparent()
    return at is not None and _name(at) == "transaction"


def _referenced_name(node: etree._Element, attribute: str, names: Mapping[str, etree._Element]) -> str | None:
    reference = node.get(attribute)
    if not reference:
        return None
    found = names.get(reference)
    return reference if found is None else found.get("name") or found.get("id")


def _interface(node: etree._Element, names: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the variables of the data inputs and of the data outputs that a process or activity declares."""
    specification = node.find(BPMN + "ioSpecification")
    holder = node if specification is None else specification
    inputs, outputs = (
        [names.get(each.get("id", ""), "") for each in holder.iterchildren(BPMN + kind)] for kind in ("dataInput", "dataOutput"))
    return inputs, outputs


# ----------------------------------------------------------------------------------------------------------- expressions
def translated(text: str) -> str:
    """Return FEEL for an expression as drawn: a leading `=` is dropped, `${…}` of Camunda 7 is translated.

    Raises:
        ValueError: the `${…}` has no FEEL meaning.
    """
    text = text.strip()
    if text.startswith("="):
        return text[1:].strip()
    if not re.search(r"[$#]\{", text):
        return text
    pieces = re.split(r"""[$#]\{((?:[^{}'"]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")*)\}""", text, flags=re.S)
    if len(pieces) == 3 and not pieces[0] and not pieces[2]:
        return feel_of(pieces[1])
    made = [f'"{piece}"' if n % 2 == 0 else f"string({feel_of(piece)})" for n, piece in enumerate(pieces) if piece]
    return " + ".join(made)


def _feel_or_none(text: str | None) -> str:
    """Return FEEL for a message path; what cannot be translated is refused where the process is read, here it gives no value."""
    try:
        return translated(text or "null")
    except ValueError:
        return "null"


class _Reader:
    """Compiles the processes it is asked for, and those that they call."""

    def __init__(self, sources: Sequence[Source], decisions: Mapping[str, bytes], zone: ZoneInfo) -> None:
        self.sources = {source.key: source for source in sources}
        self.decisions, self.zone = decisions, zone
        self.specs: dict[str, specs.ProcessSpec] = {}
        self.used: list[str] = []
        self._interfaces: dict[str, tuple[list[str], list[str]]] = {}
        self._models: dict[str, tuple[DecisionModel, str]] | None = None

    def process(self, key: str) -> None:
        if key in self.used:
            return
        source = self.sources.get(key)
        if source is None:
            raise DiagramCannotRun(key, None, 0, "没有这个流程的定义", "there is no definition of this process")
        self.used.append(key)
        tree = _normalised(read_diagram(source.xml, len(source.xml)))
        found = next((node for node in tree.iter(BPMN + "process") if node.get("id") == key), None)
        if found is None:
            raise DiagramCannotRun(key, None, 0, "文件中没有这个流程", "the file has no process of this key")
        if found.get("isExecutable") != "true":
            raise DiagramCannotRun(key, key, source_line(found), "流程未标记为可执行", "the process is not marked executable")
        file = _File(self, tree, key)
        file.keys = file.correlation_keys(found)
        file.scope(found, key)
        for called in file.calls:
            self.process(called)
        for spec in [each for each in self.specs.values() if each.process == key]:
            for node in spec.task_specs.values():
                if isinstance(node, specs.CallActivity) and node.inner and len(self.specs[node.inner].none_starts) > 1:
                    raise DiagramCannotRun(
                        key, node.bpmn_id, 0, f"被调用的流程 {node.inner} 有多个空白开始事件，不知从哪一个开始",
                        f"the called process {node.inner} has several none start events: which one begins cannot be told")

    def interface(self, key: str) -> tuple[list[str], list[str]]:
        """Return the variables of the data inputs and of the data outputs of a process."""
        if key not in self._interfaces:
            xml = self.sources[key].xml
            tree = _normalised(read_diagram(xml, len(xml)))
            found = next((node for node in tree.iter(BPMN + "process") if node.get("id") == key), None)
            self._interfaces[key] = ([], []) if found is None else _interface(found, item_names(tree))
        return self._interfaces[key]

    def decision(self, reference: str) -> tuple[DecisionModel, str] | None:
        if self._models is None:
            self._models = {}
            for name, xml in self.decisions.items():
                try:
                    model = load_decisions(xml)
                except ValueError as exc:
                    raise DiagramCannotRun(name, None, 0, f"决策文件无法读取：{exc}", f"the decisions cannot be read: {exc}") from exc
                found = model, hashlib.sha256(xml).hexdigest()
                self._models.update((decision.id, found) for decision in model.decisions)
        return self._models.get(reference)


class _File:
    """One file's elements, read into specs."""

    def __init__(self, reader: _Reader, tree: etree._Element, key: str) -> None:
        self.reader, self.tree, self.key = reader, tree, key
        self.names, self.flows_between = _names(tree), MessageFlows(tree)
        self.items = item_names(tree)
        self.calls: list[str] = []
        self.keys: tuple[CorrelationKey, ...] = ()
        self.variables = frozenset(
            name for node in tree.iter() if isinstance(node.tag, str)
            for name in (node.get(CAMUNDA + "resultVariable"), node.get(CAMUNDA + "elementVariable"), node.get("target"),
                         node.get("name") if node.tag in (CAMUNDA + "inputParameter", CAMUNDA + "outputParameter") else None,
                         node.get("value") if node.get("name") == "outputCollection" else None)
            if name) | frozenset(self.items.values())
        #: User tasks whose place counts: named by `blindUntil`, or kept apart within one multi-instance activity.
        self.placed = frozenset(
            word.strip() for task in tree.iter(BPMN + "userTask")
            for name, text in _properties(task).items() if name in ("blindUntil", "separateFrom")
            for word in text.split(",") if name == "blindUntil" or word.strip() == task.get("id"))

    def refuse(self, node: etree._Element, zh: str, en: str) -> DiagramCannotRun:
        at: etree._Element | None = node
        while at is not None and not at.get("id"):
            at = at.getparent()
        return DiagramCannotRun(self.key, None if at is None else at.get("id"), source_line(node), zh, en)

    # ------------------------------------------------------------------------------------------------------- expressions
    def formula(self, text: str, node: etree._Element) -> specs.Formula:
        """Return an expression, compiled."""
        try:
            feel = translated(text)
            return specs.Formula(feel, compile_expression(feel, self.variables))
        except FeelSyntaxError as exc:
            raise self.refuse(node, f"表达式“{text}”：{exc.zh}", f"the expression {text!r}: {exc}") from exc
        except ValueError as exc:
            raise self.refuse(node, f"表达式“{text}”无法翻译为 FEEL", f"the expression {text!r}: {exc}") from exc

    def optional(self, text: str | None, node: etree._Element) -> specs.Formula | None:
        return self.formula(text, node) if text and text.strip() else None

    def word(self, text: str | None, node: etree._Element) -> specs.Text | None:
        """Return plain text, or an expression when it begins with ``=`` or holds ``${…}``."""
        if not text or not text.strip():
            return None
        text = text.strip()
        return self.formula(text, node) if is_expression(text) else text

    def time(self, text: str, node: etree._Element) -> specs.Text:
        """Return bare ISO 8601 as text, everything else as an expression."""
        text = text.strip()
        return text if timers.BARE.match(text) else self.formula(text, node)

    # ------------------------------------------------------------------------------------------------------------- scopes
    def scope(self, node: etree._Element, name: str) -> specs.ProcessSpec:
        spec = specs.ProcessSpec(name, self.key, node.get("name"))
        self.reader.specs[name] = spec
        spec.properties = dict(declared(node, self.items))
        nodes = [entry for entry in node if _name(entry) in _NODES]
        for entry in node:
            if _name(entry) and _name(entry) not in _NODES | elements.BESIDE_NODES and not _name(entry).endswith("EventDefinition"):
                raise self.refuse(entry, f"不支持元素 {_name(entry)}", f"the element {_name(entry)} is not supported")
        seen: set[str] = set()
        for entry in nodes:
            if entry.get("id", "") in seen:
                raise self.refuse(entry, "标识重复", "the id is not unique")
            seen.add(entry.get("id", ""))
            self.node(spec, entry, name)
        self.flows(spec, node, {entry.get("id", ""): entry for entry in nodes})
        by_id = {entry.get("id", ""): entry for entry in nodes}
        self.links(spec, nodes, by_id)
        for entry in nodes:
            if _name(entry) == "boundaryEvent":
                self.attach(spec, entry, by_id)
        self.check_gateways(spec, by_id)
        spec.starts = self.starts(spec, nodes)
        spec.late_joins = [s for s in spec.task_specs.values() if isinstance(s, specs.InclusiveGateway) and len(s.incoming) > 1]
        if not spec.starts and _name(node) == "process":
            raise self.refuse(node, "没有开始事件", "there is no start event")
        return spec

    def flows(self, spec: specs.ProcessSpec, scope: etree._Element, by_id: Mapping[str, etree._Element]) -> None:
        for flow in scope.iterchildren(BPMN + "sequenceFlow"):
            source, target = flow.get("sourceRef", ""), flow.get("targetRef", "")
            if source not in by_id or target not in by_id:
                raise self.refuse(
                    flow, "顺序流的源或目标不在同一层", "a sequence flow without source or target in its scope")
            default = by_id[source].get("default") == flow.get("id")
            condition = None if default else self.optional(_text(flow, "conditionExpression"), flow)
            self.flow(spec, source, target, flow.get("id", ""), condition, default)

    @staticmethod
    def flow(
        spec: specs.ProcessSpec, source: str, target: str, id: str, condition: specs.Formula | None = None,
        default: bool = False,
    ) -> None:
        spec.task_specs[source].flows.append(specs.Flow(id, target, condition, default))
        spec.task_specs[source]._outputs.append(target)
        spec.task_specs[target].incoming.append(id)
        spec.task_specs[target]._inputs.append(source)

    def links(
        self, spec: specs.ProcessSpec, nodes: Sequence[etree._Element], by_id: Mapping[str, etree._Element]
    ) -> None:
        def label(node: etree._Element) -> str:
            link = node.find(BPMN + "linkEventDefinition")
            return ("" if link is None else link.get("name") or "") or node.get("name") or ""

        linked = [node for node in nodes if node.find(BPMN + "linkEventDefinition") is not None]
        catches: dict[str, str] = {}
        for node in linked:
            if _name(node) == "intermediateCatchEvent":
                if label(node) in catches:
                    raise self.refuse(node, f"链接“{label(node)}”有两个目标", f"the link {label(node)!r} has two targets")
                catches[label(node)] = node.get("id", "")
        for node in linked:
            if _name(node) == "intermediateThrowEvent":
                if label(node) not in catches:
                    raise self.refuse(node, f"没有链接“{label(node)}”的目标", f"there is no target of the link {label(node)!r}")
                self.flow(spec, node.get("id", ""), catches[label(node)], f"(link) {node.get('id')}")

    def attach(self, spec: specs.ProcessSpec, node: etree._Element, by_id: Mapping[str, etree._Element]) -> None:
        event = spec.task_specs[node.get("id", "")]
        host = spec.task_specs.get(node.get("attachedToRef", ""))
        if host is None or not host.is_activity or host.is_event_subprocess:
            raise self.refuse(node, "边界事件没有附着在活动上", "a boundary event is attached to an activity")
        kinds = {definition.kind for definition in event.definitions}
        if "compensation" in kinds:
            for link in self.tree.iter(BPMN + "association"):
                if link.get("sourceRef") == node.get("id") and link.get("targetRef") in by_id:
                    host.handler = link.get("targetRef")
            if host.handler is None:
                raise self.refuse(node, "补偿边界事件没有关联补偿活动", "no activity is associated with the compensation event")
            return
        if "cancel" in kinds and _name(by_id[host.bpmn_id]) != "transaction":
            raise self.refuse(node, "取消边界事件只能附着在事务上", "a cancel boundary event belongs to a transaction")
        host.boundary = (*host.boundary, event)

    def check_gateways(self, spec: specs.ProcessSpec, by_id: Mapping[str, etree._Element]) -> None:
        for id, node in by_id.items():
            made = spec.task_specs[id]
            kind = _name(node)
            if kind == "eventBasedGateway":
                for flow in made.flows:
                    target = spec.task_specs[flow.target]
                    if not isinstance(target, specs.IntermediateCatchEvent | specs.ReceiveTask) or not target.definitions:
                        raise self.refuse(
                            node, "事件网关之后只能是捕获事件或接收任务", "only catching events and receive tasks follow an event gateway")
                    if target.boundary:
                        raise self.refuse(
                            by_id[flow.target], "事件网关之后的接收任务不能有边界事件",
                            "a receive task behind an event gateway cannot have boundary events")
                    if len(target.incoming) > 1:
                        raise self.refuse(
                            by_id[flow.target], "事件网关之后的事件不能有其他流入线",
                            "an event behind an event gateway cannot have other incoming flows")
            if kind in ("boundaryEvent", "startEvent") and made.incoming:
                raise self.refuse(node, "此事件不能有流入的顺序流", "this event cannot have an incoming flow")
            if kind == "endEvent" and made.flows:
                raise self.refuse(node, "结束事件不能有流出的顺序流", "an end event cannot have an outgoing flow")
            if node.get("default") and not any(flow.default for flow in made.flows):
                raise self.refuse(node, "默认顺序流不是该元素的流出", "the default flow does not leave this element")

    def starts(self, spec: specs.ProcessSpec, nodes: Sequence[etree._Element]) -> list[str]:
        """Names of the nodes that get a token when the scope starts: start events, else all without an incoming flow."""

        def is_passive(node: etree._Element) -> bool:
            return (_name(node) == "boundaryEvent" or node.get("isForCompensation") == "true"
                    or node.get("triggeredByEvent") == "true")

        heads = [
            node for node in nodes
            if not is_passive(node) and not spec.task_specs[node.get("id", "")].incoming and _name(node) != "endEvent"
        ]
        starts = [node for node in heads if _name(node) == "startEvent" or node.get("instantiate") == "true"]
        return [node.get("id", "") for node in starts or heads]

    # -------------------------------------------------------------------------------------------------------------- nodes
    def node(self, spec: specs.ProcessSpec, node: etree._Element, path: str) -> None:
        kind, id = _name(node), node.get("id", "")
        many, loop = node.find(BPMN + "multiInstanceLoopCharacteristics"), node.find(BPMN + "standardLoopCharacteristics")
        is_loop = many is not None or loop is not None
        common: dict[str, Any] = {"kind": kind, "label": node.get("name")}
        if is_loop and kind not in _ACTIVITIES:
            raise self.refuse(node, "只有活动可以循环", "only activities can loop")
        for entry in (node, *node):
            for row in elements.refused(entry, _name(entry)):
                raise self.refuse(entry, row.does_zh, row.does_en)
        made = self.made(spec, node, kind, path, {**common, "name": f"{id} [instance]"} if is_loop else common)
        if isinstance(made, specs.Activity):
            made.moves(self.mapping(node), self.data(
                node, "" if many is None else _text(many, "loopDataInputRef") or "",
                "" if many is None else _text(many, "loopDataOutputRef") or ""))
            kinds = {definition.kind for definition in getattr(made, "definitions", ())}
            if isinstance(made, specs.Throwing) and made.data.inputs and not kinds & {"message", "signal"}:
                raise self.refuse(node, "只有消息和信号能带数据", "only messages and signals carry data")
            if (isinstance(made, specs.Catching) and kinds and not kinds & {"message", "signal", "error", "escalation"}
                    and any(move.formula is None for move in made.data.outputs)):
                raise self.refuse(node, "此触发不带数据，没有可移出的内容", "this trigger brings no data to move")
        whole = made
        if many is not None:
            whole = specs.MultiInstance(spec, id, made.name, self.multi_instance(node, many), **common)
        elif loop is not None:
            maximum = loop.get("loopMaximum")
            condition = self.optional(_text(loop, "loopCondition"), loop)
            if maximum is None and condition is None:
                raise self.refuse(loop, "循环需要条件或最大次数", "a loop needs a condition or a maximum")
            if maximum is not None and not maximum.isdecimal():
                raise self.refuse(loop, "loopMaximum 不是数字", "loopMaximum is not a number")
            whole = specs.StandardLoop(spec, id, made.name, condition, maximum, loop.get("testBefore") == "true", **common)
        for attribute, name in (("startQuantity", "start_quantity"), ("completionQuantity", "completion_quantity")):
            value = node.get(attribute)
            if value is not None:
                if not value.isdecimal() or int(value) < 1:
                    raise self.refuse(node, f"{attribute} 至少为 1", f"{attribute} is at least 1")
                setattr(whole, name, int(value))

    def made(
        self, spec: specs.ProcessSpec, node: etree._Element, kind: str, path: str, common: dict[str, Any]
    ) -> specs.Node:
        id = node.get("id", "")
        if kind in ("task", "manualTask"):
            return specs.Task(spec, id, **common)
        if kind == "userTask":
            return self.user_task(spec, node, common)
        if kind == "scriptTask":
            if (node.get("scriptFormat") or "").strip().lower() != "feel":
                raise self.refuse(
                    node, f"脚本语言“{node.get('scriptFormat') or ''}”不支持，只支持 feel",
                    f"the script language {node.get('scriptFormat') or ''!r} is not supported, only feel is")
            script = _text(node, "script")
            if script is None:
                raise self.refuse(node, "脚本为空", "the script is empty")
            return specs.ScriptTask(
                spec, id, self.formula(script, node), node.get(CAMUNDA + "resultVariable"), **common)
        if kind == "businessRuleTask":
            return self.rule_task(spec, node, common)
        if kind == "serviceTask" or (kind == "sendTask" and node.get(CAMUNDA + "topic")):
            return self.job_task(spec, node, common)
        if kind == "sendTask":
            definitions = self.task_message(node)
            if not definitions:
                raise self.refuse(node, "发送任务需要 camunda:topic 或消息", "a send task needs camunda:topic or a message")
            return specs.SendTask(spec, id, definitions, **common)
        if kind == "receiveTask":
            return specs.ReceiveTask(
                spec, id, self.task_message(node) or (self.own_message(node),), **common)
        if kind == "callActivity":
            return self.call(spec, node, common)
        if kind in _SUBPROCESSES:
            return self.sub_process(spec, node, kind, f"{path}/{id}", common)
        if kind == "complexGateway":
            return specs.ComplexGateway(spec, id, self.optional(_text(node, "activationCondition"), node), **common)
        if kind in _GATEWAYS:
            gateway: specs.Node = _GATEWAYS[kind](spec, id, **common)
            if isinstance(gateway, specs.EventBasedGateway) and node.get("eventGatewayType") == "Parallel":
                if node.get("instantiate") != "true":
                    raise self.refuse(
                        node, "并行事件网关只能用于启动流程", "a parallel event-based gateway begins a process, it cannot stand elsewhere")
                gateway.parallel = True
            return gateway
        return self.event(spec, node, kind, common)

    def mapping(self, node: etree._Element) -> specs.Mapping:
        found = node.find(f"{BPMN}extensionElements/{CAMUNDA}inputOutput")
        if found is None:
            return specs.Mapping()

        def pairs(tag: str) -> tuple[tuple[str, specs.Text], ...]:
            made = []
            for entry in found.iterchildren(CAMUNDA + tag):
                if len(entry):
                    raise self.refuse(entry, "映射只能是 FEEL 文本", "a mapping is FEEL text only")
                name = entry.get("name")
                if not name:
                    raise self.refuse(entry, "映射没有名称", "a mapping without a name")
                text = (entry.text or "").strip()
                made.append((name, self.formula(text or "null", entry)))
            return tuple(made)

        return specs.Mapping(pairs("inputParameter"), pairs("outputParameter"))

    def data(self, node: etree._Element, loop_input: str = "", loop_output: str = "") -> specs.Data:
        """Return what data associations move at each run of a node, those with the collections of its loop left out."""
        inputs = _interface(node, self.items)[0]
        own = tuple(name for entry in node.iterchildren(BPMN + "property") if (name := self.items.get(entry.get("id", ""))))
        ins = self.moves(node, "dataInputAssociation", (*inputs, *own), lambda each: not loop_input or each.target != loop_input)
        outs = self.moves(node, "dataOutputAssociation", own, lambda each: loop_output not in each.sources)
        consumed = {
            name for entry in self.associations(node, "dataOutputAssociation") for source in entry.sources
            for name in (self.items.get(source, source), source)}
        return specs.Data(
            properties=() if _name(node) in _SUBPROCESSES else own,  # its scope declares them
            inputs=ins, outputs=outs, consumed=frozenset(consumed - {loop_output}) if outs else frozenset(),
            carried=tuple(dict.fromkeys(move.name for move in ins if move.name in inputs)))

    def associations(self, node: etree._Element, kind: str) -> list[Association]:
        """Return the data associations of a node that move something; what only illustrates is left out."""
        found = []
        for entry in node.iterchildren(BPMN + kind):
            association = Association.of(entry)
            if not association.moves(self.names):
                continue
            for store in association.stores(self.names):
                raise self.refuse(entry, f"数据存储“{store}”不能读写", f"the data store {store} can neither be read nor written")
            for end in (*association.sources, *((association.target,) if association.target else ())):
                if end not in self.items:
                    raise self.refuse(entry, f"没有数据项 {end}", f"there is no data item {end}")
            found.append(association)
        return found

    def moves(
        self, node: etree._Element, kind: str, own: Sequence[str], wanted: Callable[[Association], bool] = lambda _: True
    ) -> tuple[specs.Move, ...]:
        """Return what the data associations of one kind move. `own`: the node's own variables."""
        made: list[specs.Move] = []
        for association in self.associations(node, kind):
            if not wanted(association):
                continue
            target = self.items.get(association.target, "")
            if kind == "dataInputAssociation" and target and target not in own:
                raise self.refuse(
                    node, f"数据输入关联的目标 {association.target} 不是本元素的数据输入或属性",
                    f"the data input association leads to {association.target}, no data input or property of this element")
            if association.transformation:
                made.append(specs.Move(target, formula=self.formula(association.transformation, node), is_local=target in own))
            for text, to in association.assignments:
                path = target_path(to, self.items)
                if not text or not path:
                    raise self.refuse(
                        node, f"数据关联的赋值“{text} → {to}”缺少来源，或目标不是变量或其条目",
                        f"the assignment {text!r} to {to!r} lacks its source, or its target is no variable or entry of one")
                made.append(specs.Move(path[0], path[1:], self.formula(text, node), is_local=path[0] in own))
            if not association.transformation and not association.assignments:
                if len(association.sources) != 1:
                    raise self.refuse(
                        node, "有多个来源的数据关联需要转换", "a data association with several sources needs a transformation")
                [source] = association.sources
                made.append(specs.Move(target, item=(self.items[source], source), is_local=target in own))
        return tuple(made)

    def user_task(self, spec: specs.ProcessSpec, node: etree._Element, common: dict[str, Any]) -> specs.Node:
        properties = _properties(node)

        def given(name: str) -> str | None:
            return node.get(CAMUNDA + name)

        def moment(text: str | None) -> specs.Text | None:
            return None if not text or not text.strip() else self.time(text, node)

        priority = given("priority")
        fields = specs.UserTaskFields(
            form=self.word(given("formKey"), node), assignee=self.word(given("assignee"), node),
            groups=self.word(given("candidateGroups"), node), users=self.word(given("candidateUsers"), node),
            priority=None if priority is None else priority if priority.strip().isdecimal() else self.optional(priority, node),
            due=moment(given("dueDate")), follow_up=moment(given("followUpDate")),
            working_due=self.word(properties.get("workingDue"), node), deadline=moment(properties.get("deadline")),
            properties=tuple(
                (name, self.word(text, node) or "") for name, text in properties.items() if name not in ("deadline", "workingDue")),
            tells_place=bool(properties.get("blindUntil")) or node.get("id") in self.placed,
        )
        if isinstance(fields.working_due, str) and not fields.working_due.isdecimal():
            raise self.refuse(node, "workingDue 不是天数", "workingDue is not a number of days")
        for text in (fields.due, fields.follow_up, fields.deadline):
            if isinstance(text, str):
                self.checked_time("timeDuration" if text.upper().startswith("P") else "timeDate", text, node)
        return specs.UserTask(spec, node.get("id", ""), fields, self.reader.zone, working_due, **common)

    def job_task(self, spec: specs.ProcessSpec, node: etree._Element, common: dict[str, Any]) -> specs.Node:
        topic = self.word(node.get(CAMUNDA + "topic"), node)
        if topic is None or node.get(CAMUNDA + "type", "external") != "external":
            raise self.refuse(
                node, "服务任务需要 camunda:type=\"external\" 和 camunda:topic",
                "a service task needs camunda:type=\"external\" and camunda:topic")
        retries = node.find(f"{BPMN}extensionElements/{CAMUNDA}failedJobRetryTimeCycle")
        cycle = None if retries is None else (retries.text or "").strip() or None
        if cycle is not None:
            self.checked_time("timeCycle", cycle, node)
        return specs.JobTask(
            spec, node.get("id", ""), topic, cycle,
            tuple((name, self.word(text, node) or "") for name, text in _properties(node).items()), **common)

    def rule_task(self, spec: specs.ProcessSpec, node: etree._Element, common: dict[str, Any]) -> specs.Node:
        reference = node.get(CAMUNDA + "decisionRef")
        if not reference:
            if node.get(CAMUNDA + "topic"):
                return self.job_task(spec, node, common)
            raise self.refuse(node, "业务规则任务没有 camunda:decisionRef", "a business rule task without camunda:decisionRef")
        found = self.reader.decision(reference)
        if found is None:
            raise self.refuse(node, f"没有决策 {reference}", f"there is no decision {reference}")
        shape = node.get(CAMUNDA + "mapDecisionResult")
        if shape not in (None, "singleEntry", "singleResult", "collectEntries", "resultList"):
            raise self.refuse(node, f"mapDecisionResult {shape} 不存在", f"there is no mapDecisionResult {shape}")
        model, sha256 = found
        return specs.BusinessRuleTask(
            spec, node.get("id", ""), reference, model, sha256, shape, node.get(CAMUNDA + "resultVariable"), **common)

    def call(self, spec: specs.ProcessSpec, node: etree._Element, common: dict[str, Any]) -> specs.Node:
        called = (node.get("calledElement") or "").strip()
        if not called:
            raise self.refuse(node, "调用活动没有被调用流程", "a call activity without calledElement")
        if is_expression(called):
            made = specs.CallActivity(spec, node.get("id", ""), "", **common)
            made.chosen = self.formula(called, node)
            made.choices = tuple(sorted(_choices(node) or self.reader.sources.keys() - {self.key}))
            if node.find(BPMN + "ioSpecification") is not None:
                raise self.refuse(
                    node, "由表达式决定被调用流程时，请用 camunda:in/out 映射，不用数据输入输出",
                    "where an expression names the called process, map with camunda:in and out, not with data inputs and outputs")
        else:
            made = specs.CallActivity(spec, node.get("id", ""), called, **common)
            made.choices = (called,)
        for choice in made.choices:
            if choice not in self.reader.sources:
                raise self.refuse(node, f"没有被调用的流程 {choice}", f"there is no called process {choice}")
        self.calls += made.choices
        for tag, attribute in (("in", "takes"), ("out", "gives")):
            entries = list(node.iterfind(f"{BPMN}extensionElements/{CAMUNDA}{tag}"))
            pairs: list[tuple[specs.Formula | None, str | None]] = []
            for entry in entries:
                if entry.get("businessKey") is not None:
                    if not OWN_KEY.fullmatch(entry.get("businessKey", "")):  # which it has anyhow
                        made.key = self.formula(entry.get("businessKey", ""), entry)
                    continue
                if entry.get("variables") == "all":
                    pairs.append((None, None))
                    continue
                source, target = entry.get("source") or entry.get("sourceExpression"), entry.get("target")
                if not source or not target:
                    raise self.refuse(entry, "映射缺少来源或目标", "a mapping without source or target")
                pairs.append((self.formula(source, entry), target))
            if any(entry.get("businessKey") is None for entry in entries):
                setattr(made, attribute, tuple(pairs))
        if node.find(BPMN + "ioSpecification") is not None:
            self.call_data(made, node)
        if (made.takes is None) != (made.gives is None):  # one side is mapped: nothing but what is said goes the other way
            made.takes, made.gives = made.takes or (), made.gives or ()
        live = _words(node, "live")
        if lacking := live - {target for _, target in made.takes or () if target is not None}:
            name = sorted(lacking)[0]
            raise self.refuse(node, f"随动变量“{name}”没有传入", f"the live variable {name} is not passed in by name")
        made.follow(tuple(pair for pair in made.takes or () if pair[1] in live))
        return made

    def call_data(self, made: specs.CallActivity, node: etree._Element) -> None:
        """Data inputs and outputs of a call activity are those of what it calls, by name, else by position."""
        mine, theirs = _interface(node, self.items), self.reader.interface(made.inner)
        pairs = []
        for own, others in zip(mine, theirs, strict=True):
            if others and len(own) != len(others):
                raise self.refuse(
                    node, f"数据输入输出与被调用的 {made.inner} 不一致",
                    f"its data inputs and outputs differ from those of {made.inner}")
            pairs.append([
                (name, name if not others or name in others else others[n]) for n, name in enumerate(own)])
        made.takes = (*(made.takes or ()), *((self.formula(name, node), other) for name, other in pairs[0]))
        made.gives = (*(made.gives or ()), *((self.formula(other, node), name) for name, other in pairs[1]))

    def sub_process(
        self, spec: specs.ProcessSpec, node: etree._Element, kind: str, path: str, common: dict[str, Any]
    ) -> specs.Node:
        inner = self.scope(node, path)
        id = node.get("id", "")
        if node.get("triggeredByEvent") != "true":
            for start in inner.starts:
                if inner.task_specs[start].is_event and isinstance(inner.task_specs[start], specs.StartEvent):
                    raise self.refuse(node, "内嵌子流程的开始事件不能带触发", "the start event of an embedded sub-process has no trigger")
            if kind == "adHocSubProcess":
                return self.ad_hoc(spec, node, inner, path, common)
            return (specs.Transaction if kind == "transaction" else specs.SubProcess)(spec, id, path, **common)
        starts = [made for made in inner.task_specs.values() if isinstance(made, specs.StartEvent)]
        if len(starts) != 1 or not starts[0].definitions:
            raise self.refuse(
                node, "事件子流程恰有一个带触发的开始事件", "an event sub-process has exactly one start event, with an event definition")
        start = starts[0]
        definitions, parallel, interrupting = start.definitions, start.parallel, start.interrupting
        start.definitions, start.is_event, start.watches, start.reads = (), False, False, frozenset()
        kinds = {definition.kind for definition in definitions}
        made = specs.EventSubProcess(
            spec, id, inner=path, start=start.bpmn_id, interrupting=interrupting or bool(kinds & {"error", "compensation"}),
            suspends=_properties(node).get("suspends") == "true", definitions=definitions, parallel=parallel, **common)
        spec.event_subprocesses.append(made)
        return made

    def ad_hoc(
        self, spec: specs.ProcessSpec, node: etree._Element, inner: specs.ProcessSpec, path: str, common: dict[str, Any]
    ) -> specs.Node:
        for entry in node:
            if _name(entry) in ("startEvent", "endEvent"):
                raise self.refuse(entry, "即席子流程中不能有开始或结束事件", "an ad-hoc sub-process has no start or end events")
        ordering = node.get("ordering", "Parallel")
        if ordering not in ("Parallel", "Sequential"):
            raise self.refuse(node, f"没有执行顺序 {ordering}", f"there is no ordering {ordering}")
        fields = specs.AdHocFields(
            sequential=ordering == "Sequential", cancels=node.get("cancelRemainingInstances") != "false",
            condition=self.optional(_text(node, "completionCondition"), node),
            active=self.optional(_properties(node).get("activeElements"), node))
        made = inner.ad_hoc = specs.AdHocSubProcess(spec, node.get("id", ""), path, fields, **common)
        if fields.sequential:
            inner.late_joins.append(made)
        return made

    def multi_instance(self, node: etree._Element, many: etree._Element) -> specs.MultiInstanceFields:
        item, properties = many.find(BPMN + "inputDataItem"), {**_properties(node), **_properties(many)}
        output_item = many.find(BPMN + "outputDataItem")

        def name_of(found: etree._Element | None) -> str | None:
            return None if found is None else found.get("name") or found.get("id")

        loop_input, loop_output = _text(many, "loopDataInputRef"), _text(many, "loopDataOutputRef")
        collection = self.items.get(loop_input or "", loop_input) or many.get(CAMUNDA + "collection")
        cardinality = _text(many, "loopCardinality")
        if collection is None and cardinality is None:
            raise self.refuse(many, "多实例需要集合或次数", "a multi-instance activity needs a collection or a cardinality")
        output = properties.get("outputCollection") or self.items.get(loop_output or "", loop_output)
        element = properties.get("outputElement") or name_of(output_item)
        if (output is None) != (element is None):
            raise self.refuse(many, "outputCollection 与 outputElement 须同时给出", "outputCollection and outputElement go together")
        return specs.MultiInstanceFields(
            sequential=many.get("isSequential") == "true",
            cardinality=None if collection is not None else self.optional(cardinality, many),
            collection=self.optional(collection, many), item=name_of(item) or many.get(CAMUNDA + "elementVariable"),
            condition=self.optional(_text(many, "completionCondition"), many), output=output,
            output_element=self.optional(element, many), behavior=many.get("behavior", "All"), implicit=self.implicit(many),
            output_item=name_of(output_item),
            inputs=self.moves(
                node, "dataInputAssociation", _interface(node, self.items)[0],
                lambda each: loop_input is not None and each.target == loop_input),
            outputs=self.moves(
                node, "dataOutputAssociation", (), lambda each: loop_output is not None and loop_output in each.sources),
        )

    def implicit(self, many: etree._Element) -> tuple[specs.Implicit, ...]:
        """What the completion of an instance throws."""
        behavior = many.get("behavior", "All")
        if behavior == "All":
            return ()
        if behavior == "Complex":
            made = []
            for entry in many.iterchildren(BPMN + "complexBehaviorDefinition"):
                condition, event = self.optional(_text(entry, "condition"), many), entry.find(BPMN + "event")
                if condition is None:
                    raise self.refuse(entry, "复杂行为没有条件", "a complex behaviour without a condition")
                nodes = [] if event is None else _event_nodes(event)
                if event is not None and not nodes:
                    raise self.refuse(entry, "没有给出要抛出的事件", "the event to throw is not given")
                made.append(specs.Implicit(tuple(self.implicit_event(node, many) for node in nodes), condition))
            if not made:
                raise self.refuse(many, "复杂行为没有定义", "complex behaviour without a definition")
            return tuple(made)
        attribute = {"One": "oneBehaviorEventRef", "None": "noneBehaviorEventRef"}.get(behavior)
        if attribute is None:
            raise self.refuse(many, f"没有多实例行为 {behavior}", f"there is no behaviour {behavior}")
        thrown = self.names.get(many.get(attribute, ""))
        if thrown is None:
            raise self.refuse(many, "没有给出要抛出的事件", "the event to throw is not given")
        return (specs.Implicit((self.implicit_event(thrown, many),)),)

    def implicit_event(self, node: etree._Element, many: etree._Element) -> ev.Definition:
        kind = _name(node).removesuffix("EventDefinition")
        if kind not in ("message", "signal", "escalation", "error"):
            raise self.refuse(many, f"多实例不能抛出 {kind} 事件", f"a multi-instance activity cannot throw a {kind} event")
        made: ev.Definition = self.definition(node, many)
        if isinstance(made, ev.Error) and made.code is None:
            raise self.refuse(many, "要抛出的错误没有错误代码", "the error to throw needs an error code")
        return made

    # ------------------------------------------------------------------------------------------------------------- events
    def event(self, spec: specs.ProcessSpec, node: etree._Element, kind: str, common: dict[str, Any]) -> specs.Node:
        id = node.get("id", "")
        definitions = tuple(
            self.definition(entry, node) for entry in _event_nodes(node) if _name(entry) != "linkEventDefinition")
        kinds = {definition.kind for definition in definitions}
        parallel = node.get("parallelMultiple") == "true"
        parent = node.getparent()
        if node.find(BPMN + "eventDefinitionRef") is not None:
            raise self.refuse(node, "引用的事件定义不存在", "the event definition it refers to does not exist")
        allowed = elements.events_at(*elements.positions_of(kind))
        for entry in _event_nodes(node):
            what = _name(entry).removesuffix("EventDefinition")
            if what not in allowed:
                raise self.refuse(node, f"{kind} 不能带 {what} 触发", f"a {kind} cannot have the trigger {what}")
        if kind == "startEvent":
            if kinds & {"error", "escalation", "compensation"} and (parent is None or parent.get("triggeredByEvent") != "true"):
                raise self.refuse(
                    node, "此触发只能用于事件子流程", "a start event with this trigger belongs into an event sub-process")
            start = specs.StartEvent(spec, id, definitions, parallel, **common)
            start.interrupting = node.get("isInterrupting") != "false"
            return start
        if kind == "intermediateCatchEvent":
            if not definitions and node.find(BPMN + "linkEventDefinition") is None:
                raise self.refuse(node, "捕获事件没有触发", "a catching event without event definition")
            return specs.IntermediateCatchEvent(spec, id, definitions, parallel, **common)
        if kind == "boundaryEvent":
            if not definitions:
                raise self.refuse(node, "边界事件没有触发", "a boundary event needs an event definition")
            interrupting = bool(kinds & {"error", "cancel"}) or node.get("cancelActivity", "true") != "false"
            return specs.BoundaryEvent(spec, id, interrupting, definitions=definitions, parallel=parallel, **common)
        if kind == "intermediateThrowEvent":
            return specs.IntermediateThrowEvent(spec, id, definitions, **common)
        if "cancel" in kinds and not _is_in_transaction(node):
            raise self.refuse(node, "取消结束事件只能在事务中", "a cancel end event belongs into a transaction")
        if "error" in kinds and any(definition.code is None for definition in definitions if definition.kind == "error"):
            raise self.refuse(node, "错误结束事件没有错误代码", "an error end event needs an error code")
        end = specs.EndEvent(spec, id, definitions, **common)
        end.outcome = self.word(_properties(node).get("outcome"), node)
        return end

    def definition(self, node: etree._Element, owner: etree._Element) -> Any:
        readers: dict[str, Callable[[etree._Element, etree._Element], Any]] = {
            "timerEventDefinition": self.timer, "messageEventDefinition": self.message, "signalEventDefinition": self.signal,
            "errorEventDefinition": self.error, "escalationEventDefinition": self.escalation,
            "conditionalEventDefinition": self.condition, "compensateEventDefinition": self.compensation,
        }
        kind = _name(node)
        if kind == "cancelEventDefinition":
            return ev.Cancel()
        if kind == "terminateEventDefinition":
            return ev.Terminate()
        if kind not in readers:
            raise self.refuse(node, f"不支持 {kind}", f"{kind} is not supported")
        return readers[kind](node, owner)

    def timer(self, node: etree._Element, owner: etree._Element) -> ev.Timer:
        found = [child for child in node if _name(child) in ("timeDate", "timeDuration", "timeCycle")]
        if len(found) != 1 or not (found[0].text or "").strip():
            raise self.refuse(owner, "定时事件没有时间", "a timer without a time")
        kind, value = _name(found[0]), self.time(found[0].text or "", found[0])
        if isinstance(value, str):
            self.checked_time(kind, value, found[0])
        return ev.Timer(kind, value, self.reader.zone)

    def checked_time(self, kind: str, text: str, node: etree._Element) -> None:
        try:
            timers.check_bare(kind, text, self.reader.zone)
        except (timers.BadTime, OverflowError) as exc:
            raise self.refuse(node, f"时间“{text}”无法读取", str(exc)) from exc

    def message(self, node: etree._Element, owner: etree._Element) -> ev.Message:
        name = self.word(_referenced_name(node, "messageRef", self.names), owner)
        if name is None:
            named = next((names for found, _, names in self.flows_between.unnamed() if found is owner), None)
            if named:
                raise self.refuse(
                    owner, f"多条消息流带来不同的消息：{'、'.join(sorted(named))}",
                    f"its message flows carry different messages: {', '.join(sorted(named))}")
            raise self.refuse(owner, "消息事件没有消息", "a message event without a message")
        properties = _properties(owner)
        groups = properties.get("candidateGroups", "")
        made = ev.Message(
            name, self.optional(properties.get("correlationKey"), owner), self.optional(properties.get("payload"), owner),
            properties.get("form") or None, frozenset(word.strip() for word in groups.split(",") if word.strip()))
        if isinstance(name, str):
            made.to = self.flows_between.addresses(owner, name)
            for flow in self.flows_between.out.get(owner, ()):
                unheard = self.flows_between.unheard(flow)
                if unheard is not None and self.flows_between.is_caught_at_end(flow):
                    raise self.refuse(
                        flow, f"消息流另一端的流程中没有元素等待消息“{unheard[0]}”",
                        f"in the process at the other end of the message flow nothing waits for the message {unheard[0]!r}")
            made.correlate_by(self.keys)
        return made

    def correlation_keys(self, process: etree._Element) -> tuple[CorrelationKey, ...]:
        """Return BPMN's correlation keys of the process, compiled."""
        made = []
        for key in drawn_keys(self.tree, process, self.flows_between):
            if key.missing:
                raise self.refuse(
                    process, f"关联订阅没有绑定关联属性 {'、'.join(key.missing)}",
                    f"the correlation subscription does not bind the correlation property {', '.join(key.missing)}")

            def compiled(paths: Sequence[etree._Element]) -> tuple[Any, ...]:
                for path in paths:
                    if not (path.text or "").strip():
                        raise self.refuse(path, "关联表达式为空", "the expression of a correlation property is empty")
                return tuple(self.formula(path.text or "", path).compiled for path in paths)

            made.append(CorrelationKey(
                key_name(self.key, key.id), key.properties, {name: compiled(paths) for name, paths in key.paths.items()},
                None if key.context is None else compiled(key.context)))
        return tuple(made)

    def task_message(self, node: etree._Element) -> tuple[Any, ...]:
        if node.get("messageRef"):
            return (self.message(node, node),)
        return tuple(self.definition(entry, node) for entry in _event_nodes(node))

    def own_message(self, node: etree._Element) -> ev.Message:
        """A receive task without a message takes one that is called as the task is."""
        properties = _properties(node)
        groups = frozenset(word.strip() for word in properties.get("candidateGroups", "").split(",") if word.strip())
        return ev.Message(
            node.get("id", ""), self.optional(properties.get("correlationKey"), node), None, properties.get("form"), groups)

    def signal(self, node: etree._Element, owner: etree._Element) -> ev.Signal:
        name = self.word(_referenced_name(node, "signalRef", self.names), owner)
        if name is None:
            raise self.refuse(owner, "信号事件没有信号", "a signal event without a signal")
        return ev.Signal(name, self.optional(_properties(owner).get("payload"), owner))

    def _code(self, node: etree._Element, reference: str, attribute: str) -> str | None:
        found = self.names.get(node.get(reference, ""))
        if found is None:
            return node.get(reference) or None
        return found.get(attribute) or found.get("name") or found.get("id")

    def error(self, node: etree._Element, owner: etree._Element) -> ev.Error:
        code = self._code(node, "errorRef", "errorCode")
        made = ev.Error(code, code=code)
        made.code_variable, made.message_variable = node.get(CAMUNDA + "errorCodeVariable"), node.get(CAMUNDA + "errorMessageVariable")
        return made

    def escalation(self, node: etree._Element, owner: etree._Element) -> ev.Escalation:
        code = self._code(node, "escalationRef", "escalationCode")
        made = ev.Escalation(code, code=code)
        made.code_variable = node.get(CAMUNDA + "escalationCodeVariable")
        return made

    def condition(self, node: etree._Element, owner: etree._Element) -> ev.Condition:
        text = _text(node, "condition")
        if text is None:
            raise self.refuse(owner, "条件事件没有条件", "a conditional event needs a condition")
        return ev.Condition(self.formula(text, owner))

    def compensation(self, node: etree._Element, owner: etree._Element) -> ev.Compensation:
        activity = node.get("activityRef") or None
        if activity is not None and activity not in self.names:
            raise self.refuse(owner, f"没有活动 {activity}", f"there is no activity {activity}")
        return ev.Compensation(activity, node.get("waitForCompletion") != "false")


def working_due(at: Any, days: int, zone: str) -> Any:
    """Working days are counted by the house calendar."""
    return calendar.add_working_days(at, days, zone)
