"""What the law forbids and a diagram can be seen to do.

`LAW-NEGOTIATION`: 招标投标法 (Tendering and Bidding Law) art. 43: until the winner is determined, buyer and bidder must not
negotiate price, scheme or other matters of substance. Where one process calls both `psm050_bidding` and `psm060_negotiation`:

1. from a bidding that ended, its boundary events included, negotiation is reached over a gateway's flow alone whose condition
   asks for the answer ``"won"`` (and admits no other), or by way of a new procurement decision;
2. without a bidding before it, negotiation is reached over a procurement decision alone: an exclusive gateway (or an event-based
   one) of which another branch leads to the bidding and this one, the direct purchase, does not;
3. negotiation does not run on into a bidding without a decision between them;
4. neither `psm050_bidding` nor what it calls (as far as the files are checked together) calls the negotiation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from engine.bpmn.check.document import SUB_PROCESSES, Document, Element
from engine.bpmn.check.extensions import words
from engine.bpmn.check.rule import DRAFT, Hits, hit, rule
from engine.bpmn.reader import is_expression

BIDDING = "psm050_bidding"
NEGOTIATION = "psm060_negotiation"

#: A node that is entered, or a sub-process that is left.
State = tuple[Element, bool]
ENTER, LEAVE = False, True


class Paths:
    """Where a token can go in a process, into and out of its sub-processes, over links and boundary events."""

    def __init__(self, document: Document, process: Element) -> None:
        self.document = document
        self.process = process

    def starts(self, scope: Element) -> list[State]:
        """Return where a scope begins: its start events (else what nothing leads to) and its event sub-processes."""
        document = self.document
        content = document.content.get(scope, [])
        starts = [node for node in content if document.kind(node) == "startEvent" or node.get("instantiate") == "true"]
        if not starts:
            starts = [
                node
                for node in content
                if not document.incoming[node]
                and document.kind(node) != "boundaryEvent"
                and not document.is_compensation(node)
                and not document.is_event_sub_process(node)
            ]
        return [(node, ENTER) for node in [*starts, *(node for node in content if document.is_event_sub_process(node))]]

    def steps(self, state: State) -> Iterator[tuple[Element | None, State]]:
        """Yield (flow taken or None, next state)."""
        document, (node, phase) = self.document, state
        if phase is ENTER:
            for boundary in document.boundaries.get(node, ()):
                yield None, (boundary, ENTER)
            if document.kind(node) in SUB_PROCESSES:
                inside = self.starts(node)
                yield from ((None, start) for start in inside)
                if not inside:
                    yield None, (node, LEAVE)
                return
        flows = document.outgoing[node]
        for flow in flows:
            target = document.target[flow]
            if target is not None:
                yield flow, (target, ENTER)
        if document.kind(node) == "intermediateThrowEvent" and "link" in document.events(node):
            yield from ((None, (catch, ENTER)) for catch in self._link_targets(node))
        for target in document.associated.get(node, ()):
            if document.kind(node) == "boundaryEvent" and document.is_compensation(target):
                yield None, (target, ENTER)
        scope = document.scope(node)
        if not flows and scope is not None and document.kind(scope) in SUB_PROCESSES:
            yield None, (scope, LEAVE)

    def _link_targets(self, throw: Element) -> Iterator[Element]:
        document = self.document
        names = {definition.get("name") for definition in document.definitions[throw]}
        for catch in document.each("intermediateCatchEvent"):
            named = {definition.get("name") for definition in document.definitions[catch]}
            if "link" in document.events(catch) and names & named and document.scope(catch) is document.scope(throw):
                yield catch

    def reached(
        self,
        states: Iterable[State],
        stops: Callable[[Element], bool] = lambda node: False,
        cuts: Callable[[Element], bool] = lambda flow: False,
    ) -> set[Element]:
        """Return the nodes that are entered. A token does not go on from a node that `stops`, nor over a flow that is cut."""
        seen: set[State] = set()
        todo = list(states)
        while todo:
            state = todo.pop()
            if state in seen:
                continue
            seen.add(state)
            if stops(state[0]):
                continue
            todo += [following for flow, following in self.steps(state) if flow is None or not cuts(flow)]
        return {node for node, _ in seen}

    def after(self, node: Element) -> list[State]:
        """Return the states that follow a node."""
        return [following for _, following in self.steps((node, ENTER))]


def _calls(document: Document, process: Element, key: str) -> list[Element]:
    return [
        activity
        for activity in document.each("callActivity")
        if document.process(activity) is process and key in _callees(document, activity)
    ]


def _callees(document: Document, activity: Element) -> set[str]:
    """Return the keys that a call activity may call. Where an expression names it, what it is not kept from counts as negotiation."""
    called = (activity.get("calledElement") or "").strip()
    if is_expression(called):
        return set(words(document.property(activity, "choices"))) or {NEGOTIATION}
    return {called.split(":")[-1]}


def asks_for_won(condition: str) -> bool:
    """Whether a condition holds for the answer ``"won"`` and admits no other answer."""
    text = condition.strip()
    if not re.search(r"""(?<![\w-])["']won["']""", text):
        return False
    if re.search(r"\bor\b|\|\||!=|\bnot\b|!\(|\bif\b", text):
        return False
    # A list that holds other answers beside it: in ("won", "lost"), list contains(["won", "missed"], outcome)
    return not re.search(r"""["']won["']\s*,\s*["']|["']\s*,\s*["']won["']""", text)


def _is_guarded(document: Document, flow: Element) -> bool:
    source = document.source[flow]
    gateway = source is not None and document.kind(source) in ("exclusiveGateway", "inclusiveGateway")
    return gateway and not document.is_default(flow) and asks_for_won(document.text(document.condition(flow)))


def _decisions(paths: Paths, bidding: set[Element], negotiation: set[Element]) -> tuple[set[Element], set[Element]]:
    """Return (procurement decisions, their direct-purchase flows)."""
    document = paths.document
    both = bidding | negotiation
    open_to_all = paths.reached(paths.starts(paths.process), stops=both.__contains__)
    decisions: set[Element] = set()
    direct: set[Element] = set()
    for gateway in document.each("exclusiveGateway", "eventBasedGateway"):
        if gateway not in open_to_all or len(document.outgoing[gateway]) < 2:
            continue
        leads: dict[Element, tuple[bool, bool]] = {}
        for flow in document.outgoing[gateway]:
            target = document.target[flow]
            if target is None:
                continue
            seen = paths.reached([(target, ENTER)], stops=(both | {gateway}).__contains__)
            leads[flow] = bool(seen & bidding), bool(seen & negotiation)
        purchases = {flow for flow, (bids, negotiates) in leads.items() if negotiates and not bids}
        if purchases and any(bids for bids, _ in leads.values()):
            decisions.add(gateway)
            direct |= purchases
    return decisions, direct


@rule(
    "LAW-NEGOTIATION", DRAFT,
    zh="“{name}”可能在定标之前谈判({why_zh}),违反《招标投标法》第四十三条",
    en='"{name}" may negotiate before the winner is determined ({why}), against art. 43 of the Tendering and Bidding Law',
    mend_zh='请只在投标之后的网关上，用条件 outcome = "won" 的分支进入谈判；直接采购须在投标之前由排他网关分出，且不经过投标',
    mend_en='Enter negotiation only by a branch with the condition outcome = "won" at a gateway behind the bidding; '
    "a direct purchase branches off at an exclusive gateway before the bidding and bypasses it",
)
def negotiation_before_award(document: Document) -> Hits:
    for process in document.each("process"):
        negotiation = set(_calls(document, process, NEGOTIATION))
        if not negotiation:
            continue
        if process.get("id") in _within_bidding(document):
            for call in sorted(negotiation, key=document.line):
                yield hit(call, why="it is part of the bidding itself", why_zh="它在投标流程之内")
            continue
        bidding = set(_calls(document, process, BIDDING))
        if bidding:
            yield from _judged(document, process, bidding, negotiation)


def _judged(document: Document, process: Element, bidding: set[Element], negotiation: set[Element]) -> Hits:
    paths = Paths(document, process)
    decisions, direct = _decisions(paths, bidding, negotiation)
    after = [state for call in bidding for state in paths.after(call)]
    early = paths.reached(
        after, stops=lambda node: node in decisions or node in negotiation, cuts=lambda flow: _is_guarded(document, flow)
    )
    beside = paths.reached(
        paths.starts(process), stops=lambda node: node in bidding or node in negotiation, cuts=lambda flow: flow in direct
    )
    for call in sorted(negotiation, key=document.line):
        if call in early:
            yield hit(call, why='reached after the bidding without the answer "won"', why_zh="投标之后未经“中标”条件就能到达")
        if call in beside:
            yield hit(call, why="reached beside or before the bidding", why_zh="不经采购方式选择就能与投标并行或先于投标到达")
        on = paths.reached(
            paths.after(call),
            stops=lambda node: document.kind(node) in ("exclusiveGateway", "eventBasedGateway")
            and len(document.outgoing[node]) > 1,
        )
        if on & bidding:
            yield hit(call, why="it runs on into the bidding", why_zh="谈判之后直接进入投标")


def _within_bidding(document: Document) -> set[str]:
    """Return the keys of the bidding and of every process that it calls, as far as the files are here."""
    calls: dict[str, set[str]] = {}
    for other in document.together.values():
        for activity in other.each("callActivity"):
            process = other.process(activity)
            if process is not None:
                calls.setdefault(process.get("id") or "", set()).update(_callees(document, activity))
    within: set[str] = set()
    todo = [BIDDING]
    while todo:
        key = todo.pop()
        if key not in within:
            within.add(key)
            todo += calls.get(key, ())
    return within
