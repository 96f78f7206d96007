"""The decision hidden here: how the runs of a scope are gone through without running it, and when that is given up.

A scope is a net of places and steps. A place is a node that every single token sets going, or one incoming flow of a parallel or
inclusive join. A step takes its tokens and chooses what to put where; data is not known, so every choice is possible. No two steps
want the same token, so what can go on can go on later as well: in each marking it is enough to follow one step (with all of its
choices), and every final marking is still found. Before that, what is drawn in blocks is folded away, which leaves nothing of most
diagrams. What is left is explored up to a budget of states and of work; beyond it nothing is said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

Place = str  #: the id of a node, or of an incoming flow of a join
Marking = tuple[tuple[Place, int], ...]  #: sorted; how many tokens where

STATES = 20_000
WORK = 1_200_000  #: tokens and choices looked at
MANY = 3  #: tokens on one place: more are not followed


class Takes(Enum):
    """When a step goes on."""

    EACH = "each"  #: with every token of its one place
    ALL = "all"  #: with one token of each of its places
    EXPECTED = "expected"  #: with one token of each place, once no more can come (13.4.3)


@dataclass(slots=True)
class Choice:
    """One thing that a step may do. `made`: the decisions it stands for; `works`: whether it does something on the way."""

    puts: dict[Place, int]
    made: tuple[str, ...] = ()
    works: bool = False
    kills: bool = False  #: ends every token of the scope


@dataclass(slots=True)
class Node:
    """`name`: id of the element; `places`: what it takes tokens from."""

    name: str
    takes: Takes
    places: tuple[Place, ...]
    choices: list[Choice]
    works: bool = False
    fixed: bool = False  #: not to be folded away


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Tokens that wait at a join for ever. `missing`: its places that nothing comes to; `made`: the decisions that lead there."""

    join: str
    missing: tuple[Place, ...]
    made: tuple[str, ...]
    always: bool  #: whether the join never goes on in any run


@dataclass(slots=True)
class Result:
    """`stuck`: one for each join; `twice`: ``{node: decisions}`` that several tokens come to at once; `given_up`: nothing is known."""

    stuck: list[Stuck] = field(default_factory=list)
    twice: dict[str, tuple[str, ...]] = field(default_factory=dict)
    given_up: bool = False
    ends: bool = False  #: some run ends with no token left
    states: int = 0


class Net:
    """Build it with `add`, then `fold`, then `play`. `work`: what was looked at, counted up to `WORK`."""

    def __init__(self, work: int = 0) -> None:
        self.nodes: dict[str, Node] = {}
        self.taken_by: dict[Place, Node] = {}
        self.partial = False  #: not every choice is in it: nothing is certain
        self.work = work
        self._twice: dict[str, tuple[str, ...]] = {}

    def add(self, node: Node) -> None:
        self.nodes[node.name] = node
        for place in node.places:
            self.taken_by[place] = node

    # ---------------------------------------------------------------------------------------------------------------- folding
    def fold(self) -> None:
        """Replace what is drawn in blocks by a single step; decisions that come to the same are one."""
        givers: dict[Place, dict[str, int]] = {}
        for node in self.nodes.values():
            for choice in node.choices:
                for place in choice.puts:
                    counted = givers.setdefault(place, {})
                    counted[node.name] = counted.get(node.name, 0) + 1
        todo = deque(self.nodes)
        waiting = set(todo)
        while todo and self.work < WORK:
            name = todo.popleft()
            waiting.discard(name)
            if name not in self.nodes:
                continue
            node = self.nodes[name]
            self._unite(node, givers)
            changed = self._fold_node(node, givers)
            for each in changed:
                if each in self.nodes and each not in waiting:
                    waiting.add(each)
                    todo.append(each)
        if self.work >= WORK:
            self.partial = True

    def _unite(self, node: Node, givers: dict[Place, dict[str, int]]) -> None:
        """Drop choices that do what another does, and those that lead back to the very same place."""
        if len(node.choices) < 2:
            return
        seen: dict[frozenset[tuple[Place, int]], Choice] = {}
        kept: list[Choice] = []
        for choice in node.choices:
            self.work += 1 + len(choice.puts)
            key = frozenset(choice.puts.items()) if not choice.kills else frozenset({("", -1)})
            again = node.takes is Takes.EACH and choice.puts == {node.places[0]: 1} and not choice.kills
            if key in seen or again:
                if key in seen:
                    seen[key].works |= choice.works
                for place in choice.puts:
                    _less(givers, place, node.name)
                continue
            seen[key] = choice
            kept.append(choice)
        if kept:
            node.choices = kept
        else:  # it only leads back to itself
            node.choices = node.choices[:1]
            for place in node.choices[0].puts:
                counted = givers.setdefault(place, {})
                counted[node.name] = counted.get(node.name, 0) + 1

    def _fold_node(self, node: Node, givers: dict[Place, dict[str, int]]) -> Iterable[str]:
        if node.fixed or len(node.choices) != 1 or node.choices[0].kills:
            return ()
        after = node.choices[0]
        if any(place in after.puts for place in node.places):
            return ()
        sources = {name for place in node.places for name in givers.get(place, ())}
        if not sources or any(source not in self.nodes for source in sources):
            return ()
        works = node.works or after.works
        if node.takes is Takes.EACH:
            harmless = not after.puts and not works
            if not harmless and (len(sources) > 1 or any(
                    choice.puts.get(node.places[0], 0) > 1 for name in sources for choice in self.nodes[name].choices)):
                return ()
        elif node.takes is Takes.EXPECTED and len(sources) > 1:
            return ()
        places = set(node.places)
        hits = [(name, choice, places & choice.puts.keys()) for name in sources for choice in self.nodes[name].choices
                if not places.isdisjoint(choice.puts)]
        self.work += sum(1 + len(inside) for _, _, inside in hits)
        if node.takes is not Takes.EACH:
            for _, choice, inside in hits:
                if (node.takes is Takes.ALL and len(inside) < len(places)) or any(choice.puts[place] != 1 for place in inside):
                    return ()
        for name, choice, inside in hits:
            times = max(choice.puts[place] for place in inside)
            for place in inside:
                del choice.puts[place]
            choice.works |= works
            choice.made += after.made
            for place, count in after.puts.items():
                self.work += 1
                if place not in choice.puts:
                    counted = givers.setdefault(place, {})
                    counted[name] = counted.get(name, 0) + 1
                choice.puts[place] = choice.puts.get(place, 0) + count * times
        for place in places:
            givers.pop(place, None)
            self.taken_by.pop(place, None)
        touched = set(sources)
        for place in after.puts:
            _less(givers, place, node.name)
            touched.add(self.taken_by[place].name)
        del self.nodes[node.name]
        return touched

    # ---------------------------------------------------------------------------------------------------------------- playing
    def play(self, begins: Sequence[Mapping[Place, int]], states: int = STATES) -> Result:
        """Go through all that may happen from each of the beginnings."""
        result = Result()
        order = self._order(begins)
        reaches: dict[str, dict[Place, frozenset[Place]]] = {}
        goes_on: set[str] = set()
        came: dict[Marking, tuple[Marking | None, tuple[str, ...]]] = {}
        todo: deque[Marking] = deque()
        ends: list[Marking] = []
        for begin in begins:
            marking = tuple(sorted(begin.items()))
            if marking not in came:
                came[marking] = None, ()
                todo.append(marking)
        while todo:
            marking = todo.popleft()
            self.work += len(marking)
            if len(came) > states or self.work > WORK:
                return Result(given_up=True, states=len(came))
            tokens = dict(marking)
            ready = self._ready(tokens)
            goes_on.update(node.name for node in ready)
            for node in ready:
                self._look_twice(node, tokens, marking, came)
            late = [
                node for node in {self.taken_by[place].name: self.taken_by[place] for place in tokens}.values()
                if node.takes is Takes.EXPECTED and not self._expects(node, tokens, reaches)]
            goes_on.update(node.name for node in late)
            firing = ([min(ready, key=lambda node: order.get(node.name, 0))] if ready else []) + late
            if not firing:
                ends.append(marking)
                continue
            for node in firing:
                for choice in node.choices:
                    self.work += 1 + len(choice.puts)
                    after = self._after(tokens, node, choice)
                    if after is None:
                        self.partial = True
                    elif after not in came:
                        came[after] = marking, choice.made
                        todo.append(after)
            if any(choice.kills for node in ready for choice in node.choices):
                came.setdefault((), (marking, ()))
                ends.append(())
        result.states = len(came)
        result.ends = () in came
        result.twice = self._twice
        told: set[str] = set()
        for marking in ends:
            tokens = dict(marking)
            waits = {self.taken_by[place].name: self.taken_by[place] for place in tokens}
            roots = [node for node in waits.values() if not self._follows_from(node, waits, tokens, reaches)] or list(waits.values())
            for node in roots:
                if node.name not in told and node.takes is not Takes.EACH:
                    told.add(node.name)
                    result.stuck.append(Stuck(
                        join=node.name, missing=tuple(place for place in node.places if place not in tokens),
                        made=_decisions(came, marking), always=node.name not in goes_on and not self.partial))
        return result

    def _ready(self, tokens: Mapping[Place, int]) -> list[Node]:
        found: dict[str, Node] = {}
        for place in tokens:
            node = self.taken_by[place]
            if node.name in found or node.takes is Takes.EXPECTED:
                continue
            if node.takes is Takes.EACH or all(each in tokens for each in node.places):
                found[node.name] = node
            self.work += len(node.places)
        return list(found.values())

    def _look_twice(
        self, node: Node, tokens: Mapping[Place, int], marking: Marking,
        came: Mapping[Marking, tuple[Marking | None, tuple[str, ...]]],
    ) -> None:
        if node.takes is not Takes.EACH or tokens[node.places[0]] < 2 or node.name in self._twice:
            return
        if node.works or any(choice.works or choice.puts for choice in node.choices):
            self._twice[node.name] = _decisions(came, marking)

    def _after(self, tokens: Mapping[Place, int], node: Node, choice: Choice) -> Marking | None:
        """Return the marking after a step; None when it would hold more tokens than are followed."""
        if choice.kills:
            return ()
        made = dict(tokens)
        for place in node.places:
            if place in made:
                if made[place] == 1:
                    del made[place]
                else:
                    made[place] -= 1
        for place, count in choice.puts.items():
            made[place] = made.get(place, 0) + count
            if made[place] > MANY:
                return None
        return tuple(sorted(made.items()))

    def _reach(self, node: Node, place: Place, reaches: dict[str, dict[Place, frozenset[Place]]]) -> frozenset[Place]:
        """Return the places of a join that a token may come to without passing through it."""
        known = reaches.setdefault(node.name, {})
        if place not in known:
            seen: set[Place] = set()
            todo = [place]
            while todo:
                each = todo.pop()
                taken = self.taken_by[each]
                if taken is node or each in seen:
                    continue
                seen.add(each)
                for choice in taken.choices:
                    self.work += len(choice.puts)
                    for put in choice.puts:
                        if put not in seen:
                            todo.append(put)
                            if self.taken_by[put] is node:
                                seen.add(put)
            known[place] = frozenset(seen & set(node.places))
        return known[place]

    def _expects(self, node: Node, tokens: Mapping[Place, int], reaches: dict[str, dict[Place, frozenset[Place]]]) -> bool:
        full = {place for place in node.places if place in tokens}
        if len(full) == len(node.places):
            return False
        for place in tokens:
            if self.taken_by[place] is node:
                continue
            reach = self._reach(node, place, reaches)
            if reach - full and not reach & full:
                return True
        return False

    def _follows_from(
        self, node: Node, waits: Mapping[str, Node], tokens: Mapping[Place, int],
        reaches: dict[str, dict[Place, frozenset[Place]]],
    ) -> bool:
        """Whether a join waits for a token that itself waits at another one, and not the other way round."""
        def waits_for(one: Node, other: Node) -> bool:
            missing = {place for place in one.places if place not in tokens}
            return any(self._reach(one, place, reaches) & missing for place in other.places if place in tokens)

        return any(waits_for(node, other) and not waits_for(other, node) for other in waits.values() if other is not node)

    def _order(self, begins: Sequence[Mapping[Place, int]]) -> dict[str, int]:
        """Number the nodes so that what comes earlier goes first: tokens gather where branches meet."""
        order: dict[str, int] = {}
        done: list[str] = []
        seen: set[str] = set()
        todo: list[tuple[str, bool]] = [(self.taken_by[place].name, False) for begin in begins for place in begin]
        while todo:
            name, left = todo.pop()
            if left:
                done.append(name)
                continue
            if name in seen:
                continue
            seen.add(name)
            todo.append((name, True))
            todo += [(self.taken_by[place].name, False) for choice in self.nodes[name].choices for place in choice.puts]
        for n, name in enumerate(reversed(done)):
            order[name] = n
        return order


def _less(givers: dict[Place, dict[str, int]], place: Place, name: str) -> None:
    counted = givers.get(place)
    if counted is not None and name in counted:
        counted[name] -= 1
        if not counted[name]:
            del counted[name]


def _decisions(came: Mapping[Marking, tuple[Marking | None, tuple[str, ...]]], marking: Marking) -> tuple[str, ...]:
    made: list[str] = []
    at: Marking | None = marking
    while at is not None:
        at, how = came[at]
        made += reversed(how)
    return tuple(reversed(made))
