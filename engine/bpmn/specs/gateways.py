"""Gateways: which flows are taken, and which tokens a join waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.bpmn.data import Scope
from engine.bpmn.index import AT_JOIN, DORMANT, STUCK
from engine.bpmn.specs.node import Flow, Node
from engine.bpmn.specs.values import Formula
from engine.bpmn.spiff import FUTURE
from engine.bpmn.workflow import (
    AnyWorkflow,
    Token,
)

if TYPE_CHECKING:
    from engine.bpmn.specs.process import ProcessSpec


class ExclusiveGateway(Node):
    def choose(self, token: Token) -> list[Flow]:
        if len(self.flows) == 1 and self.flows[0].condition is None:
            return self.flows
        return self.select(token, first=True)


class Join(Node):
    """What gateways have in common that wait for tokens over several flows."""

    is_join = True

    def lacks(self, token: Token) -> tuple[str, str]:
        arrived = token.workflow.flows_at(self)
        missing = [flow for flow in self.incoming if flow not in arrived]
        sources = {flow.id: node.label for node in token.workflow.spec.task_specs.values() for flow in node.flows}
        zh = "、".join(f"“{sources.get(flow, flow)}”({flow})" for flow in missing)
        en = ", ".join(f"“{sources.get(flow, flow)}” ({flow})" for flow in missing)
        return f"缺少来自{zh}的分支", f"nothing comes from {en}"

    def together(self, token: Token) -> list[Token]:
        """One token of each other flow."""
        own, tasks = token.internal_data["flow"], token.workflow.tasks
        return [tasks[id] for id in sorted(
            [found[0] for flow, found in token.workflow.flows_at(self, token).items() if flow != own])]


class ParallelGateway(Join):
    """Takes exactly one token from every incoming flow; more tokens of a flow stay for the next time."""

    def choose(self, token: Token) -> list[Flow]:
        return self.flows

    def arrive(self, token: Token) -> bool:
        if len(self.incoming) < 2:
            return True
        waiting = token.workflow.flows_at(self, token)
        enough = len(waiting) + (token.internal_data["flow"] not in waiting) >= len(self.incoming)
        return self.consume(token, self.together(token) if enough else (), enough)


class InclusiveGateway(Join):
    """Waits while a token elsewhere in the scope can still reach an incoming flow that has none (and none that has one).

    Decided by `try_release` when nothing else can run, on the diagram, not on a task tree.
    """

    def arrive(self, token: Token) -> bool:
        return len(self.incoming) < 2 or self.consume(token, [], False)

    def expected(self, workflow: AnyWorkflow, flows: set[str]) -> bool:
        """True when a further token may come over an incoming flow that is not in `flows`."""
        empty = set(self.incoming) - flows
        for name, found in workflow.tokens_by_node().items():
            here = (AT_JOIN, STUCK, DORMANT) if name == self.name else (DORMANT,)
            if all(kind in here for kind in found.values()):
                continue
            reach = workflow.spec.reachable(workflow.spec.task_specs[name], self)
            if not reach.isdisjoint(empty) and reach.isdisjoint(flows):
                return True
        return False

    def try_release(self, workflow: AnyWorkflow) -> bool:
        flows = workflow.flows_at(self)
        if not flows or self.expected(workflow, set(flows)):
            return False
        first, *others = [workflow.tasks[id] for id in sorted(found[0] for found in flows.values())]
        self.consume(first, others)
        self.release(first)
        return True

    def release(self, token: Token) -> None:
        if self.enter(token):
            token._ready()


class ComplexGateway(InclusiveGateway):
    """Fires when its activation condition holds, with one token of each flow that has one; then swallows the tokens that are still
    expected over the other flows; then is ready again, for the tokens that have waited meanwhile.
    """

    def __init__(self, wf_spec: ProcessSpec, element: str, condition: Formula | None, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.condition = condition

    def arrive(self, token: Token) -> bool:
        workflow, flow = token.workflow, str(token.internal_data.get("flow", ""))
        state = workflow.gateways.get(self.name, [])
        if len(self.incoming) < 2:
            return True
        if state and flow not in state:  # after the activation
            workflow.gateways[self.name] = [*state, flow]
            token.internal_data["swallow"] = True
            return True
        if self.condition is None or state:  # second case: a token of the next turn
            return self.consume(token, [], False)
        count, others = len(workflow.tokens_at(self, token)) + 1, self.together(token)
        local = Scope(token.id, token.data, keeps_new=False, values={"activationCount": count}, written=[])
        go = self.consume(token, others, workflow.top_workflow.holds(token, self.condition, local))
        if go:
            workflow.gateways[self.name] = [t.internal_data["flow"] for t in (token, *others)]
        return go

    def lacks(self, token: Token) -> tuple[str, str]:
        if self.condition is None:
            return super().lacks(token)
        return f"激活条件 {self.condition.text} 不成立", f"its activation condition {self.condition.text} does not hold"

    def go_on(self, token: Token) -> None:
        if self.condition is not None:
            waiting = [token, *self.together(token)]
            state = token.workflow.gateways.get(self.name, [])
            token.workflow.gateways[self.name] = [*state, *(t.internal_data["flow"] for t in waiting)]
        super().go_on(token)

    def choose(self, token: Token) -> list[Flow]:
        return [] if "swallow" in token.internal_data else super().choose(token)

    def try_release(self, workflow: AnyWorkflow) -> bool:
        if self.condition is None:
            return super().try_release(workflow)
        state = workflow.gateways.get(self.name)
        if state and (len(set(state)) >= len(self.incoming) or not self.expected(workflow, set(state))):
            del workflow.gateways[self.name]
            for token in workflow.tokens_at(self):
                token._state = FUTURE
                if self.arrive(token):
                    self.release(token)
                    return True
        return False


class EventBasedGateway(Node):
    """Puts a token on every event behind it; the first event to happen removes the others.

    `parallel`: it begins an instance, and all the events have to happen. When one of them started the instance, its token goes on at
    once; the others are waited for by a parallel gateway only.
    """

    parallel = False

    def choose(self, token: Token) -> list[Flow]:
        given = token.internal_data.get("given")
        if given is None or self.parallel:
            return self.flows
        return [flow for flow in self.flows if flow.target == given[0]]

    def _on_complete_hook(self, my_task: Token) -> None:
        super()._on_complete_hook(my_task)
        given, born = my_task.internal_data.get("given"), my_task.born
        for child in born:
            if given is not None and child.task_spec.name == given[0]:
                child.internal_data["given"] = given
            elif not self.parallel:
                child.internal_data["race"] = [born[0].id, born[-1].id]
