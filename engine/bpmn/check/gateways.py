"""Gateways: direction, conditions, what an event-based gateway may wait for."""

from __future__ import annotations

from engine.bpmn.check.document import GATEWAYS, Document
from engine.bpmn.check.rule import DRAFT, ERROR, WARNING, Hits, hit, label, rule
from engine.bpmn.reader import translated
from engine.feel import compile_expression


@rule(
    "GW-DIRECTION", DRAFT,
    zh="网关“{name}”的方向标为 {dir}，与连线（{n} 入 {m} 出）不符",
    en='Gateway "{name}" is marked {dir} but has {n} incoming and {m} outgoing flows',
    mend_zh="请更正连线或方向", mend_en="Correct the flows or the direction",
)
def direction(document: Document) -> Hits:
    for gateway in document.each(*GATEWAYS):
        marked, n, m = gateway.get("gatewayDirection"), len(document.incoming[gateway]), len(document.outgoing[gateway])
        wrong = {"Converging": m > 1 or n < 2, "Diverging": n > 1 or m < 2, "Mixed": n < 2 or m < 2}
        if wrong.get(marked or "", False):
            yield hit(gateway, dir=marked, n=n, m=m)


@rule(
    "GW-USELESS", WARNING,
    zh="网关“{name}”既不分支也不汇聚", en='Gateway "{name}" neither splits nor joins',
    mend_zh="请补画分支或删除网关", mend_en="Draw the branches or delete the gateway",
)
def useless(document: Document) -> Hits:
    for gateway in document.each(*GATEWAYS):
        n, m = len(document.incoming[gateway]), len(document.outgoing[gateway])
        if n < 2 and m < 2:
            yield hit(gateway, DRAFT if n + m == 0 else None)


@rule(
    "GW-CONDITION", DRAFT,
    zh="网关“{name}”的流出线“{flow}”没有条件，也不是默认流",
    en='Flow "{flow}" of gateway "{name}" has neither a condition nor the default mark',
    mend_zh="请填写条件或设为默认流；包容网关的无条件分支总会走", mend_en="Give it a condition or make it the default; "
    "without either, an inclusive gateway always takes it",
)
def unconditional(document: Document) -> Hits:
    for gateway in document.each("exclusiveGateway", "inclusiveGateway"):
        if len(document.outgoing[gateway]) < 2:
            continue
        inclusive = document.kind(gateway) == "inclusiveGateway"
        for flow in document.outgoing[gateway]:
            if document.condition(flow) is None and not document.is_default(flow):
                yield hit(gateway, WARNING if inclusive else None, flow=label(flow))


@rule(
    "GW-NODEFAULT", WARNING,
    zh="网关“{name}”的各条件看的不是同一件事，也没有默认流；条件都不成立时会停下报错",
    en='The conditions of gateway "{name}" look at different things and there is no default flow; it stops when none holds',
    mend_zh="请指定默认流，或让每个条件都回答同一个问题", mend_en="Choose a default flow, or let every condition answer one question",
)
def no_default(document: Document) -> Hits:
    """Answers of one question need no default: an answer that nobody foresaw stops there and is mended, not sent on blindly."""
    for gateway in document.each("exclusiveGateway", "inclusiveGateway"):
        flows = document.outgoing[gateway]
        conditions = [document.text(document.condition(flow)) for flow in flows]
        if len(flows) > 1 and not gateway.get("default") and all(conditions) and not _one_question(conditions):
            yield hit(gateway)


def _one_question(conditions: list[str]) -> bool:
    """Whether all conditions read a common variable, or one of them always holds."""
    names: list[frozenset[str]] = []
    for condition in conditions:
        try:
            feel = translated(condition)
            names.append(compile_expression(feel, frozenset()).names)
        except ValueError:
            return True  # no FEEL: other rules tell it, and what it reads is not known
        if feel == "true":
            return True
    return bool(frozenset.intersection(*names))


@rule(
    "GW-COMPLEX", DRAFT,
    zh="复杂网关“{name}”没有激活条件", en='Complex gateway "{name}" has no activation condition',
    mend_zh="请填写激活条件，如 = activationCount >= 2",
    mend_en="Give it an activation condition, such as = activationCount >= 2",
)
def complex_gateway(document: Document) -> Hits:
    for gateway in document.each("complexGateway"):
        if len(document.incoming[gateway]) > 1 and not document.text(document.child(gateway, "activationCondition")):
            yield hit(gateway)


@rule(
    "GW-EVENT-COUNT", DRAFT,
    zh="事件网关“{name}”至少需要两条流出线", en='Event-based gateway "{name}" needs at least two outgoing flows',
    mend_zh="请画出各个等待的事件", mend_en="Draw the events it waits for",
)
def event_count(document: Document) -> Hits:
    for gateway in document.each("eventBasedGateway"):
        if len(document.outgoing[gateway]) < 2:
            yield hit(gateway)


@rule(
    "GW-EVENT-TARGET", ERROR,
    zh="事件网关后不能接“{target}”({what})", en='An event-based gateway cannot lead to "{target}" ({what})',
    mend_zh="只能接消息、定时、信号、条件捕获事件或接收任务",
    mend_en="Only message, timer, signal, conditional catch events or receive tasks",
)
def event_target(document: Document) -> Hits:
    waits = {"message", "timer", "signal", "conditional"}
    for gateway in document.each("eventBasedGateway"):
        for flow in document.outgoing[gateway]:
            target = document.target[flow]
            if target is None or document.kind(target) == "receiveTask":
                continue
            if document.kind(target) == "intermediateCatchEvent" and set(document.events(target)) <= waits:
                continue
            yield hit(gateway, target=label(target), what=" ".join([document.kind(target), *document.events(target)]))


@rule(
    "GW-EVENT-IN", DRAFT,
    zh="事件网关的目标“{name}”还有其他流入线", en='"{name}" follows an event-based gateway and has other incoming flows',
    mend_zh="请去掉其他流入线", mend_en="Remove the other incoming flows",
)
def event_with_others(document: Document) -> Hits:
    for gateway in document.each("eventBasedGateway"):
        for target in dict.fromkeys(document.target[flow] for flow in document.outgoing[gateway]):
            if target is not None and len(document.incoming[target]) > 1:
                yield hit(target)


@rule(
    "GW-EVENT-MIX", DRAFT,
    zh="事件网关“{name}”后不能同时用消息事件和接收任务",
    en='Event-based gateway "{name}" mixes message events and receive tasks',
    mend_zh="请只用其中一种", mend_en="Use only one of the two",
)
def event_mix(document: Document) -> Hits:
    for gateway in document.each("eventBasedGateway"):
        targets = [document.target[flow] for flow in document.outgoing[gateway]]
        receives = any(document.kind(target) == "receiveTask" for target in targets)
        if receives and any("message" in document.events(target) for target in targets):
            yield hit(gateway)


@rule(
    "GW-EVENT-BOUNDARY", ERROR,
    zh="事件网关后的接收任务“{name}”不能有边界事件",
    en='Receive task "{name}" behind an event-based gateway cannot have boundary events',
    mend_zh="请删除边界事件", mend_en="Delete the boundary event",
)
def event_boundary(document: Document) -> Hits:
    for gateway in document.each("eventBasedGateway"):
        for flow in document.outgoing[gateway]:
            target = document.target[flow]
            if target is not None and document.boundaries.get(target):
                yield hit(target)


@rule(
    "GW-EVENT-START", ERROR,
    zh="启动流程的事件网关“{name}”设置不正确：{why_zh}", en='Instantiating event-based gateway "{name}": {why}',
    mend_zh="启动网关不能有流入线；并行类型必须是启动网关，只接消息",
    mend_en="It has no incoming flow; the parallel type must instantiate and wait for messages only",
)
def event_start(document: Document) -> Hits:
    for gateway in document.each("eventBasedGateway"):
        starts, parallel = gateway.get("instantiate") == "true", gateway.get("eventGatewayType") == "Parallel"
        if parallel and not starts:
            yield hit(gateway, why="parallel, not instantiating", why_zh="并行类型却不启动流程")
        if not starts:
            continue
        if document.kind(document.scope(gateway)) != "process":
            yield hit(gateway, why="inside a sub-process", why_zh="放在子流程内")
        sources = [document.source[flow] for flow in document.incoming[gateway]]
        if any(source is not None and (document.kind(source) != "startEvent" or document.events(source)) for source in sources):
            yield hit(gateway, why="incoming flow", why_zh="有流入线")
        waits = {kind for flow in document.outgoing[gateway] for kind in document.events(document.target[flow])}
        if waits & {"timer", "conditional"}:
            yield hit(gateway, why="timer or condition", why_zh="接了定时或条件")
        elif parallel and waits - {"message"}:
            yield hit(gateway, why="parallel, and not for messages only", why_zh="并行类型接的不只是消息")
