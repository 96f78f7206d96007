"""The spec of one process or sub-process: its nodes and what can be reached from where."""

from __future__ import annotations

from functools import cached_property

from engine.bpmn.specs.events import EventSubProcess
from engine.bpmn.specs.gateways import InclusiveGateway, Join
from engine.bpmn.specs.node import Node
from engine.bpmn.spiff import BpmnProcessSpec


class ProcessSpec(BpmnProcessSpec):  # type: ignore[misc]
    """One process or sub-process.

    Attributes:
        process: key of the process it is drawn in.
        starts: names of the nodes that get a token when the scope starts.
        properties: data declared in the scope.
        event_subprocesses: their specs.
        late_joins: gateways that are decided when nothing else can run.
    """

    def __init__(self, name: str, process: str, label: str | None) -> None:
        super().__init__(name=name, description=label)
        self.task_specs.clear()  # the library's Start, EndJoin and End could clash with ids
        self.start = self.end = None
        self.process = process
        self.starts: list[str] = []
        self.properties: list[str] = []
        self.event_subprocesses: list[EventSubProcess] = []
        self.late_joins: list[InclusiveGateway] = []
        self._reach: dict[tuple[str, str], frozenset[str]] = {}

    @cached_property
    def undoes_itself(self) -> bool:
        """Whether it has a compensation event sub-process."""
        return any(spec.on_compensation for spec in self.event_subprocesses)

    @cached_property
    def has_joins(self) -> bool:
        """Whether a token may have to wait for others."""
        return any(
            (isinstance(node, Join) and len(node.incoming) > 1) or node.start_quantity > 1 for node in self.task_specs.values())

    def reachable(self, spec: Node, stop: Node) -> frozenset[str]:
        """Ids of all flows on paths from a token at `spec` (over boundary events too) that do not pass through `stop`."""
        key = spec.name, stop.name
        found = self._reach.get(key)
        if found is None:
            seen: set[str] = set()
            flows: set[str] = set()
            todo: list[Node] = [spec]
            if spec is stop:  # parked there, on its way out
                todo = [self.task_specs[flow.target] for flow in spec.flows]
                flows.update(flow.id for flow in spec.flows)
            while todo:
                node = todo.pop()
                if node.name in seen or node is stop:
                    continue
                seen.add(node.name)
                flows.update(flow.id for flow in node.flows)
                todo += [self.task_specs[flow.target] for flow in node.flows]
                todo += node.boundary
            found = self._reach[key] = frozenset(flows)
        return found
