"""What can be seen of a run without running it: steps nothing leads to, loops without a way out, joins that wait for ever."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from engine.bpmn.check.document import ACTIVITIES, GATEWAYS, SUB_PROCESSES, Document, Element
from engine.bpmn.check.rule import DRAFT, WARNING, Hits, hit, label, rule
from engine.bpmn.check.token_game import WORK, Choice, Net, Node, Result, Takes

_ONE_OF = frozenset({"exclusiveGateway", "eventBasedGateway"})
_SUBSETS = 6  #: flows of which every combination is tried; of more, each alone and all together


def reached(document: Document, scope: Element) -> set[Element]:
    """Return the nodes of a scope that a token can come to; links and compensation count."""
    content = document.content[scope]
    todo = [
        node
        for node in content
        if document.kind(node) == "startEvent"
        or node.get("instantiate") == "true"
        or (not document.incoming[node] and document.kind(node) != "boundaryEvent")
    ]
    todo += [target for node in content for target in document.associated[node] if document.is_compensation(target)]
    seen: set[Element] = set()
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += document.successors(node)
    return seen


def _begins(document: Document, scope: Element) -> bool:
    starts = any(document.kind(node) == "startEvent" for node in document.content[scope])
    return starts and document.kind(scope) != "adHocSubProcess"


@rule(
    "FLOW-UNREACHABLE", WARNING,
    zh="从开始事件到不了“{name}”", en='"{name}" cannot be reached from any start',
    mend_zh="请从前面的步骤连线过来，或删除它", mend_en="Connect it from an earlier step, or delete it",
)
def unreachable(document: Document) -> Hits:
    for scope in document.scopes:
        if not _begins(document, scope):
            continue
        seen = reached(document, scope)
        for node in document.content[scope]:
            loose = document.kind(node) == "boundaryEvent" and document.find(node.get("attachedToRef")) is None
            if node not in seen and not loose:
                yield hit(node)


@rule(
    "FLOW-NO-EXIT", WARNING,
    zh="从“{name}”出发到不了任何结束，流程会一直循环",
    en='No end can be reached from "{name}"; the process would go round for ever',
    mend_zh="请在循环中画一条通向结束事件的路径", mend_en="Draw a way out of the loop to an end event",
)
def no_exit(document: Document) -> Hits:
    for scope in document.scopes:
        if not _begins(document, scope):
            continue
        content = document.content[scope]
        backwards: dict[Element, list[Element]] = {}
        for node in content:
            for target in document.successors(node):
                backwards.setdefault(target, []).append(node)
        todo = [node for node in content if not document.successors(node)]
        leaves: set[Element] = set()
        while todo:
            node = todo.pop()
            if node not in leaves:
                leaves.add(node)
                todo += backwards.get(node, [])
        seen = reached(document, scope)
        stuck = [node for node in content if node not in leaves and node in seen]
        interrupted = any(document.is_event_sub_process(node) for node in content)
        told = {loop[0] for loop, kept in _busy_loops(document, scope, seen) if kept}
        if stuck and not interrupted and not told & set(stuck):  # one finding for the loop, at its first node
            yield hit(stuck[0])


@rule(
    "FLOW-STARVED", DRAFT,
    zh="并行汇聚“{name}”等待“{source}”，而那里永远不会走到",
    en='Parallel join "{name}" waits for "{source}", which is never reached',
    mend_zh="请连通该分支，或删除这条线", mend_en="Connect that branch, or delete the flow",
)
def starved(document: Document) -> Hits:
    for scope in document.scopes:
        if not _begins(document, scope):
            continue
        seen: set[Element] | None = None
        for join in document.content[scope]:
            if document.kind(join) != "parallelGateway" or len(document.incoming[join]) < 2:
                continue
            seen = reached(document, scope) if seen is None else seen
            for flow in document.incoming[join]:
                source = document.source[flow]
                if source is not None and source not in seen and join in seen:
                    yield hit(join, source=label(source))


# --------------------------------------------------------------------------------------------------- the tokens of a scope
class Game:
    """A scope as a net, played through. `elements`: ``{name in the net: node or flow}``."""

    def __init__(self, document: Document, scope: Element, work: int) -> None:
        self.document, self.scope = document, scope
        self.elements: dict[str, Element] = {}
        self._names: dict[Element, str] = {}
        self.net = Net(work)
        self.result = Result(given_up=True)
        self._repeats, self._repeated = True, False
        content = document.content[scope]
        nodes = [node for node in content if not self._stands_aside(node)]
        if not all(self._is_known(node) for node in nodes):
            return
        self._links = {
            link_name(document, node): node for node in nodes
            if document.kind(node) == "intermediateCatchEvent" and "link" in document.events(node)}
        seen = reached(document, scope)
        nodes = [node for node in nodes if node in seen]
        begins = self._begins(nodes)
        self._inside = set(nodes)
        self.result = self._play(nodes, begins)
        if self._repeated:  # what comes to one place again and again because a boundary event does is meant so
            self._repeats = False
            self.result.twice = self._play(nodes, begins).twice
        self.result.twice = {name: made for name, made in self.result.twice.items() if not self._goes_round(made)}

    def _play(self, nodes: list[Element], begins: list[dict[str, int]]) -> Result:
        self.net = Net(self.net.work)
        first = {place for begin in begins for place in begin}
        for node in nodes:
            self._add(node, self._name(node) in first)
        self.net.partial |= any(self.document.is_event_sub_process(node) for node in self.document.content[self.scope])
        self.net.fold()
        return self.net.play(begins)

    def _goes_round(self, made: tuple[str, ...]) -> bool:
        """Whether a node decides twice: a loop that sends out a token each turn is meant to."""
        nodes = [node for node, _ in self.decisions(made)]
        return len(set(nodes)) < len(nodes)

    def _stands_aside(self, node: Element) -> bool:
        """Whether no sequence flow leads there: boundary events are told with their hosts."""
        document = self.document
        return document.kind(node) == "boundaryEvent" or document.is_compensation(node) or document.is_event_sub_process(node)

    def _is_known(self, node: Element) -> bool:
        """Whether its tokens can be counted: not those of a complex join, nor of activities that gather or multiply them."""
        document = self.document
        gathers = document.kind(node) == "complexGateway" and len(document.incoming[node]) > 1
        return not gathers and node.get("startQuantity", "1") == "1" and node.get("completionQuantity", "1") == "1"

    def _begins(self, nodes: list[Element]) -> list[dict[str, int]]:
        document = self.document
        heads = [node for node in nodes if not document.incoming[node] and document.kind(node) != "endEvent"
                 and "link" not in document.events(node)]
        starts = [node for node in heads if document.kind(node) == "startEvent" or node.get("instantiate") == "true"] or heads
        waiting = [node for node in starts if document.kind(node) == "startEvent" and document.events(node)]
        together = [node for node in starts if node not in waiting]
        begins = [{self._name(node): 1} for node in waiting]
        return [{self._name(node): 1 for node in together}, *begins] if together else begins

    def _name(self, element: Element) -> str:
        name = self._names.get(element)
        if name is None:
            name = self._names[element] = str(len(self._names))
            self.elements[name] = element
        return name

    def _is_join(self, node: Element) -> bool:
        joins = self.document.kind(node) in ("parallelGateway", "inclusiveGateway")
        return joins and len(self.document.incoming[node]) > 1

    def _add(self, node: Element, fixed: bool) -> None:
        document, kind = self.document, self.document.kind(node)
        events = set(document.events(node))
        works = kind in ACTIVITIES or bool(events - {"link"})
        if kind == "endEvent" and events & {"terminate", "error", "cancel"}:
            choices = [Choice({}, kills=True)]
        else:
            choices = [self._choice(chosen, decided) for chosen, decided in self._leaves(node)]
        takes = Takes.EACH
        places: tuple[str, ...] = (self._name(node),)
        if self._is_join(node):
            takes = Takes.ALL if kind == "parallelGateway" else Takes.EXPECTED
            places = tuple(self._name(flow) for flow in document.incoming[node])
        self.net.add(Node(self._name(node), takes, places, choices or [Choice({})], works, fixed))

    def _choice(self, taken: list[Element], decided: bool) -> Choice:
        """`taken`: flows, or the catching link that a throwing one leads to."""
        puts: dict[str, int] = {}
        for each in taken:
            target = self.document.target[each] if self.document.kind(each) == "sequenceFlow" else each
            if target in self._inside and target is not None:
                place = self._name(each if self._is_join(target) else target)
                puts[place] = puts.get(place, 0) + 1
        return Choice(puts, (" ".join(self._name(each) for each in taken),) if decided and taken else ())

    def _leaves(self, node: Element) -> Iterator[tuple[list[Element], bool]]:
        """Yield what a token may take when it leaves, and whether that was decided."""
        document, kind = self.document, self.document.kind(node)
        flows = [flow for flow in document.outgoing[node] if document.target[flow] is not None]
        if kind == "intermediateThrowEvent" and "link" in document.events(node):
            target = self._links.get(link_name(document, node))
            yield ([] if target is None else [target]), False
            return
        if kind in _ONE_OF:
            yield from (([flow], len(flows) > 1) for flow in flows)
            return
        some = [flow for flow in flows if document.condition(flow) is not None and not document.is_default(flow)]
        if kind == "parallelGateway" or kind.endswith("Event") or (kind in GATEWAYS and len(flows) == 1):
            some = []
        chosen = set(some)
        otherwise = [flow for flow in flows if document.is_default(flow)] if some else []
        always = [flow for flow in flows if flow not in chosen and flow not in otherwise]
        ways = [[*always, *each] for each in self._subsets(some)]
        if always or otherwise or not some:
            ways.insert(0, always or otherwise)
        hosted = [each for each in document.boundaries.get(node, ()) if "compensate" not in document.events(each)]
        beside = [each for each in hosted if each.get("cancelActivity") == "false"]
        self.net.partial |= bool(beside)  # they may happen more often than is followed here
        self._repeated |= bool(beside)
        if not self._repeats:
            hosted, beside = [each for each in hosted if each not in beside], []
        for happened in [(), *self._subsets(beside)]:
            more = [flow for event in happened for flow in document.outgoing[event]]
            for way in ways:
                yield [*way, *more], len(ways) > 1 or bool(hosted)
            for event in hosted:
                if event not in beside:
                    yield [*document.outgoing[event], *more], True

    def _subsets(self, some: list[Element]) -> list[tuple[Element, ...]]:
        """Return what may be chosen of them, at least one; of many each alone and all together."""
        if len(some) <= _SUBSETS:
            return [chosen for size in range(1, len(some) + 1) for chosen in combinations(some, size)]
        self.net.partial = True
        return [*((each,) for each in some), tuple(some)]

    # ------------------------------------------------------------------------------------------------------------- telling
    def decisions(self, made: tuple[str, ...]) -> list[tuple[Element, list[Element]]]:
        """Return (node, flows that were taken) for each decision of a run."""
        told = []
        for names in made:
            flows = [self.elements[name] for name in names.split()]
            source = self.document.source.get(flows[0])
            if source is not None:
                told.append((source, flows))
        return told

    def split_before(self, made: tuple[str, ...], missing: list[Element]) -> Element | None:
        """Return the last node at which a decision kept a token from the flows that are missing."""
        for node, _ in reversed(self.decisions(made)):
            host = self.document.find(node.get("attachedToRef"))
            seen: set[Element] = set()
            todo = [host if host is not None else node]
            while todo:
                each = todo.pop()
                if each not in seen:
                    seen.add(each)
                    todo += self.document.successors(each)
            if any(self.document.source[flow] in seen for flow in missing):
                return node
        return None


def link_name(document: Document, event: Element) -> str:
    """Return the name by which a link event finds its other end."""
    for definition in document.definitions.get(event, ()):
        if document.kind(definition) == "linkEventDefinition":
            return definition.get("name") or event.get("name") or ""
    return ""


def games(document: Document) -> list[Game]:
    """Return each scope, played through; all of them share one budget."""
    if document.games is None:
        document.games = []
        work = 0
        for scope in document.scopes:
            if work < WORK:
                document.games.append(Game(document, scope, work))
                work = document.games[-1].net.work
    return document.games


def _way(game: Game, made: tuple[str, ...]) -> str:
    """Return the decisions of a run as ``node→flow``; the last ones of a long run."""
    told = [f"{node.get('id') or '-'}→{'+'.join(flow.get('id') or '-' for flow in flows)}" for node, flows in game.decisions(made)]
    return ("… " if len(told) > 6 else "") + ", ".join(told[-6:])


@rule(
    "FLOW-DEADLOCK", WARNING,
    zh="汇聚“{name}”{when_zh}等不到 {missing} 上的令牌，流程停在这里{split_zh}{way_zh}",
    en='Join "{name}" {when} waits for ever for a token over {missing}{split_en}{way_en}',
    mend_zh="请让分支与汇聚成对：只走一条的分支用排他网关汇聚，要等齐的用并行网关分支",
    mend_en="Pair splits and joins: join with an exclusive gateway what an exclusive one split, with a parallel what a parallel one split",
)
def deadlock(document: Document) -> Hits:
    for game in games(document):
        seen = reached(document, game.scope)
        for stuck in game.result.stuck:
            join = game.elements[stuck.join]
            missing = [game.elements[place] for place in stuck.missing]
            if any(document.source[flow] not in seen for flow in missing):
                continue  # FLOW-STARVED tells it
            split = game.split_before(stuck.made, missing)
            way = _way(game, stuck.made)
            yield hit(
                join, DRAFT if stuck.always else None, missing=", ".join(flow.get("id") or "-" for flow in missing[:6]),
                when="always" if stuck.always else "may be one that", when_zh="总是" if stuck.always else "可能永远",
                split_zh="" if split is None else f"；原因在“{label(split)}”的分支",
                split_en="" if split is None else f'; the reason is the split at "{label(split)}"',
                way_zh=f"。走法：{way}" if way else "", way_en=f". It happens with: {way}" if way else "")


@rule(
    "FLOW-MERGE-TWICE", WARNING,
    zh="几个令牌会先后到达“{name}”而没有汇聚，它之后的步骤会执行多次{way_zh}",
    en='Several tokens come to "{name}" without being joined; what follows runs once for each{way_en}',
    mend_zh="请在前面加并行汇聚网关", mend_en="Join them with a parallel gateway first",
)
def merged_twice(document: Document) -> Hits:
    for game in games(document):
        for name, made in game.result.twice.items():
            way = _way(game, made)
            yield hit(
                game.elements[name], way_zh=f"。走法：{way}" if way else "", way_en=f". It happens with: {way}" if way else "")


# ------------------------------------------------------------------------------------------------------------------- loops
def _pauses(document: Document, node: Element, depth: int = 0) -> bool:
    """Whether a run stops there for a person, a handler, a message or a time, or may."""
    kind = document.kind(node)
    if kind in SUB_PROCESSES:
        return any(_pauses(document, each, depth + 1) for each in document.content[node])
    if kind in ("sendTask", "businessRuleTask"):
        return bool(document.camunda(node, "topic"))
    if kind == "intermediateCatchEvent":
        return "link" not in document.events(node)
    return kind in ("userTask", "receiveTask", "serviceTask", "callActivity", "eventBasedGateway")


def _writes(document: Document, node: Element) -> bool:
    """Whether it may change data."""
    plain = document.kind(node) in GATEWAYS | {"task", "manualTask", "intermediateThrowEvent", "intermediateCatchEvent"}
    mapped = any(str(each.tag).endswith("}inputOutput") for each in document.extensions(node))
    throws = document.kind(node) == "intermediateThrowEvent" and bool(document.events(node))
    return not plain or mapped or throws


def _busy_loops(document: Document, scope: Element, seen: set[Element]) -> Iterator[tuple[list[Element], bool]]:
    """Yield the loops that go round in one go: (nodes in the order of the file, whether no decision leads out)."""
    nodes = [node for node in document.content[scope] if node in seen and not _pauses(document, node)]
    links = {link_name(document, node): node for node in nodes
             if document.kind(node) == "intermediateCatchEvent" and "link" in document.events(node)}
    inside = set(nodes)
    after = {node: [target for flow in document.outgoing[node] if (target := document.target[flow]) in inside and target is not None]
             for node in nodes}
    for node in nodes:
        if document.kind(node) == "intermediateThrowEvent" and "link" in document.events(node):
            after[node] += [target for name, target in links.items() if name == link_name(document, node)]
    for loop in _circles(nodes, after):
        members = set(loop)
        joins = any(len(document.incoming[node]) > 1 and document.kind(node) in GATEWAYS - _ONE_OF for node in loop)
        if not joins:
            yield sorted(loop, key=nodes.index), not any(_may_leave(document, node, members) for node in loop)


def _may_leave(document: Document, node: Element, members: set[Element]) -> bool:
    """Whether a token of the loop may go out of it here and leave none behind."""
    if document.kind(node) in SUB_PROCESSES or document.boundaries.get(node):
        return True
    flows = document.outgoing[node]
    if document.kind(node) in _ONE_OF:
        return any(document.target[flow] not in members for flow in flows)
    if "link" in document.events(node) and not flows:
        return False
    kept = [flow for flow in flows if document.target[flow] in members]
    sure = [flow for flow in kept if document.condition(flow) is None and not document.is_default(flow)]
    return not sure and len(kept) < len(flows)


def _circles(nodes: list[Element], after: dict[Element, list[Element]]) -> Iterator[list[Element]]:
    """Yield the strongly connected parts that hold a loop (Tarjan, without recursion)."""
    number: dict[Element, int] = {}
    low: dict[Element, int] = {}
    stack: list[Element] = []
    on_stack: set[Element] = set()
    for root in nodes:
        if root in number:
            continue
        todo: list[tuple[Element, int]] = [(root, 0)]
        while todo:
            node, at = todo.pop()
            if node not in number:
                number[node] = low[node] = len(number)
                stack.append(node)
                on_stack.add(node)
            for n in range(at, len(after[node])):
                target = after[node][n]
                if target not in number:
                    todo += [(node, n), (target, 0)]
                    break
                if target in on_stack:
                    low[node] = min(low[node], low[target])
            else:
                if low[node] == number[node]:
                    part: list[Element] = []
                    while not part or part[-1] is not node:
                        part.append(stack.pop())
                        on_stack.discard(part[-1])
                    if len(part) > 1 or node in after[node]:
                        yield part


@rule(
    "FLOW-ENDLESS", DRAFT,
    zh="“{name}”所在的循环里没有人、定时或作业，{why_zh}，引擎会因步数过多而停下",
    en='The loop of "{name}" has no person, timer or job in it and {why}; the engine stops it after too many steps',
    mend_zh="请画一条走得出去的路，或在循环中加入等待、人工任务或改变数据的步骤",
    mend_en="Draw a way that leads out, or put a wait, a user task or a step that changes data into the loop",
)
def endless(document: Document) -> Hits:
    for scope in document.scopes:
        if not _begins(document, scope):
            continue
        for loop, kept in _busy_loops(document, scope, reached(document, scope)):
            if kept:
                yield hit(loop[0], why="nothing leads out of it", why_zh="也没有出口")
            elif not any(_writes(document, node) for node in loop):
                yield hit(loop[0], WARNING, why="nothing in it changes the data that its conditions read",
                          why_zh="也没有步骤改变其条件所看的数据")
