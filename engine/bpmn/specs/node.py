"""What every flow node does with a token, and what every activity adds: mappings, boundary events, compensation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine import events as log
from engine.bpmn import compensation
from engine.bpmn.data import Scope
from engine.bpmn.specs.associations import Data, moved
from engine.bpmn.specs.values import Formula, Text, outer_scope, own_scope, text_of
from engine.bpmn.spiff import FUTURE, WAITING, BpmnSpecMixin
from engine.bpmn.workflow import (
    ARRIVING,
    LEAVING,
    AnyWorkflow,
    ElementFailed,
    Token,
    failed,
)
from engine.feel import codec, in_both
from engine.model import TokenId, Values

if TYPE_CHECKING:
    from engine.bpmn.specs.events import BoundaryEvent
    from engine.bpmn.specs.process import ProcessSpec
    from engine.bpmn.specs.subprocesses import AdHocSubProcess


@dataclass(frozen=True, slots=True)
class Flow:
    id: str
    target: str
    condition: Formula | None = None
    default: bool = False


class Node(BpmnSpecMixin):  # type: ignore[misc]
    """Any flow node. `flows`: outgoing; `incoming`: ids of the incoming flows; `kind`: BPMN local name."""

    start_quantity = completion_quantity = 1
    is_join = False  #: `arrive` is to be asked
    is_activity = is_event = is_catch = is_host = is_event_subprocess = watches = has_dates = has_moving_dates = has_deadline_of_timer = follows_variables = False
    reads: frozenset[str] = frozenset()  #: variables that what it waits for, or its dates, depend on
    ends_before_leaving = False  #: its work is over before a way out is chosen; a gateway's is the choice
    boundary: tuple[BoundaryEvent, ...] = ()
    handler: str | None = None
    sequential = True

    def __init__(self, wf_spec: ProcessSpec, element: str, *, kind: str, label: str | None, name: str | None = None) -> None:
        super().__init__(wf_spec, name or element, bpmn_name=label)
        self.bpmn_id = element
        self.event_id = element
        self.kind, self.process = kind, wf_spec.process
        self.flows: list[Flow] = []
        self.incoming: list[str] = []

    @property
    def label(self) -> str:
        return self.bpmn_name or self.bpmn_id

    # ---------------------------------------------------------------------------------------------------- library's hooks
    def test(self) -> None:
        """Checked once, when the diagram was read."""

    def _predict_hook(self, my_task: Token) -> None:
        """Nothing is predicted."""

    def _update(self, my_task: Token) -> None:
        """A token has come, or is tried again."""
        try:
            if my_task.workflow.spec.ad_hoc is not None and not self.may_come(my_task):
                return
            parked = my_task.top.parked
            counts = (self.is_join or self.start_quantity != 1) and (my_task.id, ARRIVING) not in parked
            if counts and not self.arrive(my_task):
                return
            self.announce(my_task)
            if self._enter(my_task) if parked else self.entered(my_task):
                my_task._ready()
        except ElementFailed:
            raise
        except Exception as exc:
            raise failed(my_task, ARRIVING, exc) from exc

    def _run_hook(self, my_task: Token) -> bool | None:
        return True

    def _on_complete_hook(self, my_task: Token) -> None:
        token, workflow, top, taken = my_task, my_task.workflow, my_task.top, my_task.taken
        if not self.ends_before_leaving:
            top.emit(log.activity_completed(process=self.process, element=self.bpmn_id, token=token.id))
        if taken:
            specs = workflow.spec.task_specs
            token.born = born = []
            if self.completion_quantity != 1:
                taken = [flow for flow in taken for _ in range(self.completion_quantity)]
            for flow in taken:
                child = Token(workflow, specs[flow.target], FUTURE, None, {"flow": flow.id})
                born.append(child)
                if flow.id is not None:
                    top.emit(log.flow_taken(
                        process=self.process, element=self.bpmn_id, token=token.id, flow=flow.id, to_token=child.id,
                        condition=None if flow.condition is None else flow.condition.text, is_default=flow.default))
            if len(born) > 1 or "trail" in token.internal_data:
                top.fork(token, born)
        workflow.leave(token)
        if workflow.spec.ad_hoc is not None or "owner" in token.internal_data:
            self.gone(token)

    def gone(self, token: Token) -> None:
        """Tell those around: the owner of an instance or compensation handler, the ad-hoc sub-process."""
        workflow = token.workflow
        if "owner" in token.internal_data:
            owner = workflow.owner(token)
            if owner is not None and "undoes" in token.internal_data:
                compensation.go_on(owner, token)
            elif owner is not None:
                instances = owner.internal_data.get("instances", [])
                if token.id in instances:
                    instances.remove(token.id)
                owner.task_spec.child_completed(owner, token)

    def _on_error_hook(self, my_task: Token) -> None:
        """The command is given up and begun again without this element."""

    def _on_cancel(self, my_task: Token) -> None:
        my_task.workflow.leave(my_task)

    # ----------------------------------------------------------------------------------------------------- life of a token
    def may_come(self, token: Token) -> bool:
        """Whether the ad-hoc sub-process around lets the token begin here now."""
        return True

    def announce(self, token: Token) -> None:
        """Record that the node begins."""
        token.top.emit(log.activity_started(
            process=self.process, element=self.bpmn_id, token=token.id, kind=self.kind, scope=token.workflow.parent_task_id,
            host=token.internal_data.get("owner")))

    def arrive(self, token: Token) -> bool:
        """True when the node may start with this token, else the token waits here."""
        if self.start_quantity == 1:
            return True
        others = self.together(token)
        return self.consume(token, others, len(others) + 1 >= self.start_quantity)

    def consume(self, token: Token, others: Iterable[Token], enough: bool = True) -> bool:
        top = token.workflow.top_workflow
        if not enough:
            token._state = WAITING
            return False
        top.unstick(token)
        for other in list(others):
            top.unstick(other)
            token.workflow.absorb(other, token)
        top.joined(token)
        return True

    def why_stuck(self, token: Token) -> str:
        """Say what a join lacks that waits in vain, in both languages."""
        zh, en = self.lacks(token)
        return (
            f"“{self.label}”永远等不齐：{zh}，而这里的其他令牌也都停在汇合处。请更正流程图；重试则以已到达的分支继续。"
            f" (“{self.label}” can never fire: {en}, and every other token here waits at a join. Mend the diagram; a retry goes on"
            " with what has arrived.)")

    def lacks(self, token: Token) -> tuple[str, str]:
        """What a join waits for, in Chinese and English."""
        count = len(self._at_start(token)) + 1
        return f"需要 {self.start_quantity} 个令牌，只到达 {count} 个", f"it needs {self.start_quantity} tokens and has {count}"

    def together(self, token: Token) -> list[Token]:
        """The other tokens at the join that go on with this one when a person says so."""
        return self._at_start(token)[: self.start_quantity - 1]

    def _at_start(self, token: Token) -> list[Token]:
        """The other tokens that are here and have not begun: they wait for enough of them, not for an event or their turn."""
        return [t for t in token.workflow.tokens_at(self, token) if t.is_at_join and t.internal_data.get("turn") != "waits"]

    def go_on(self, token: Token) -> None:
        """A person lets a join that can never fire go on with what has arrived."""
        self.consume(token, self.together(token))
        try:
            if self.enter(token):
                token._ready()
        except ElementFailed:
            raise
        except Exception as exc:
            raise failed(token, ARRIVING, exc) from exc

    def enter(self, token: Token) -> bool:
        self.announce(token)
        return self._enter(token) if token.top.parked else self.entered(token)

    def _enter(self, token: Token) -> bool:
        top = token.top
        if top.parked and (token.id, ARRIVING) in top.parked:
            top.park(token, ARRIVING)
            return False
        return self.entered(token)

    def begin(self, token: Token) -> None:
        """Start with a token whose beginning is recorded already: a loop instance, or a parked arrival that is tried again."""
        try:
            if self._enter(token):
                token._ready()
        except ElementFailed:
            raise
        except Exception as exc:
            raise failed(token, ARRIVING, exc) from exc

    def entered(self, token: Token) -> bool:
        """The node starts with this token; True when it may run at once."""
        return True

    def started(self, token: Token) -> None:
        """Called when `_run_hook` returned None: the work of the node that may end, or cancel, other tokens."""

    def finish(self, token: Token) -> None:
        """The work is done; leaving comes next."""

    def cancelled(self, token: Token, by: str | None) -> None:
        """The token is interrupted."""
        top = token.workflow.top_workflow
        if token.is_parked:
            top.emit(log.IncidentResolved(
                process=self.process, element=self.bpmn_id, token=TokenId(token.id), kind=token.internal_data["incident"][0],
                reason="cancelled"))
        top.unstick(token, "cancelled")
        if not (self.ends_before_leaving and "finished" in token.internal_data):
            top.emit(log.ActivityCancelled(process=self.process, element=self.bpmn_id, token=TokenId(token.id), by=by))

    def parked(self, token: Token) -> None:
        """The token is about to be parked before its work is done."""

    def child_completed(self, token: Token, child: Token) -> None:
        raise NotImplementedError

    def undone(self, token: Token) -> None:
        """All that the token had to undo is undone. A throw event goes on; a cancelled transaction leaves by its cancel boundary."""
        top = token.workflow.top_workflow
        if top.leave_by_cancel(token):
            return
        inner = top.subprocesses.get(token.id)
        if inner is not None:
            inner.kill_tokens()
            inner.completed = True
            top.discard(inner)
        top.park(token, LEAVING, ElementFailed(
            token, LEAVING, "no_flow",
            f"事务“{self.label}”已取消并已补偿，但没有取消边界事件。请补画该事件；重试则从事务的正常出口继续。"
            f" (The transaction “{self.label}” was cancelled and undone, but has no cancel boundary event. Draw one; a retry goes on by"
            " its normal way out.)"))

    def keeps(self, token: Token, scope: AnyWorkflow) -> bool:
        return False

    # ------------------------------------------------------------------------------------------------------------- leaving
    def choose(self, token: Token) -> list[Flow]:
        """Every flow without condition or whose condition holds; the default flow when no condition holds."""
        if len(self.flows) == 1 and self.flows[0].condition is None:
            return self.flows
        return self.select(token, first=False)

    def select(self, token: Token, first: bool) -> list[Flow]:
        """Return the flows to take.

        Raises:
            ElementFailed: there is none, or a condition was null and the default flow would hide that.
        """
        top = token.workflow.top_workflow
        taken: list[Flow] = []
        nulls: list[str] = []
        conditional = False
        for flow in self.flows:
            if flow.default:
                continue
            if flow.condition is None:
                taken.append(flow)
            else:
                result = flow.condition.evaluate(token.data, top)
                if result.value is None:
                    reason = in_both(result.reasons)
                    nulls.append(f"{flow.id}: {flow.condition.text} = null" + (f"，{reason}" if reason else ""))
                    top.emit(log.ExpressionWasNull(
                        process=self.process, element=self.bpmn_id, token=TokenId(token.id), text=flow.condition.text,
                        reason=reason))
                elif result.value is True:
                    conditional = True
                    taken.append(flow)
            if first and taken:
                return taken
        if not conditional:
            default = [flow for flow in self.flows if flow.default]
            if default and nulls:
                raise ElementFailed(token, LEAVING, "null_condition", "；".join(nulls))
            taken += default
        if not taken and self.flows:
            raise ElementFailed(token, LEAVING, "no_flow", "；".join(nulls) or "没有一条出口的条件成立 (no condition of an outgoing flow holds)")
        return taken


@dataclass(frozen=True, slots=True)
class Mapping:
    """`camunda:inputOutput`: (name, text or expression) pairs."""

    inputs: tuple[tuple[str, Text], ...] = ()
    outputs: tuple[tuple[str, Text], ...] = ()


class Activity(Node):
    """`boundary`: boundary events; `handler`: name of the compensation handler; `mapping`, `data`: inputs and outputs."""

    is_activity = ends_before_leaving = True
    mapping = Mapping()
    data = Data()
    moves_in = moves_out = False  #: whether they say anything
    for_compensation = False

    def moves(self, mapping: Mapping, data: Data) -> None:
        """Take what the diagram says of its inputs and outputs."""
        self.mapping, self.data = mapping, data
        self.moves_in = bool(data.properties or data.inputs or mapping.inputs)
        self.moves_out = bool(data.properties or data.outputs or mapping.outputs)

    def ad_hoc(self, token: Token) -> AdHocSubProcess | None:
        """The ad-hoc sub-process of which this is an inner activity."""
        around = token.workflow.spec.ad_hoc
        return around if self.is_activity and not self.is_event_subprocess and "owner" not in token.internal_data else None

    def may_come(self, token: Token) -> bool:
        around = self.ad_hoc(token)
        if around is not None:
            if "over" in token.workflow.host.internal_data:
                token.workflow.kill(token, by=around.bpmn_id)
                return False
            if around.fields.sequential and "turn" not in token.internal_data:
                token.internal_data["turn"] = "waits"
                token._state = WAITING
                return False
        return True

    def choose(self, token: Token) -> list[Flow]:
        if token.workflow.spec.ad_hoc is not None:
            around = self.ad_hoc(token)
            if around is not None and around.is_over(token):
                return []
        flows = self.flows
        return flows if len(flows) == 1 and flows[0].condition is None else self.select(token, first=False)

    def gone(self, token: Token) -> None:
        super().gone(token)
        around = self.ad_hoc(token)
        if around is not None:
            around.inner_completed(token.workflow)

    def entered(self, token: Token) -> bool:
        self.prepare(token)
        if self.boundary:
            for spec in self.boundary:
                token.workflow.subscribe(spec, host=token.id)
        return True

    def prepare(self, token: Token) -> None:
        """Read what the activity needs; may fail."""
        if self.moves_in:
            self.bind_inputs(token)

    def bind_inputs(self, token: Token) -> None:
        data, mapping, top = self.data, self.mapping, token.top
        if data.properties or data.inputs:
            visible = {**token.data.visible(), **dict.fromkeys(data.properties)}
            local, outer = moved(data.inputs, top, visible, visible)
            own = own_scope(token)
            top.write(token, {**dict.fromkeys(data.properties), **local}, scope=own, here=True)
            top.write(token, outer, scope=own.parent)
        if not mapping.inputs:
            return
        values = {name: text_of(text, token, top) for name, text in mapping.inputs}
        own = own_scope(token)
        top.write(token, values, scope=own, here=True)

    def give_out(self, token: Token, values: Values) -> None:
        """Write a result: through the output mapping, or as it is. Inputs are local, so the search begins outside them."""
        top, outside = token.top, outer_scope(token)
        if self.moves_out:
            rest = self.put_out(token, values)
            if not self.mapping.outputs:
                values = rest
            else:
                local = Scope(token.id, token.data, keeps_new=True, values=dict(values), written=[])
                values = {
                    name: text if isinstance(text, str) else top.compute(token, text, local) for name, text in self.mapping.outputs
                }
        top.write(token, values, scope=outside)

    def put_out(self, token: Token, values: Values, *, inside: Scope | None = None) -> Values:
        """Move what the activity gives to where its data output associations lead; return what they leave to become variables.

        Args:
            inside: the scope of a sub-process, whose own variables may move out.
        """
        data = self.data
        if not data.outputs:
            return {name: value for name, value in values.items() if name not in data.properties} if data.properties else values
        top, own = token.workflow.top_workflow, token.data.id == token.id
        scope = inside or token.data
        items = {**(token.data.values if own else {}), **(inside.values if inside else {}), **values}
        _, outer = moved(data.outputs, top, {**scope.visible(), **values}, items)
        outside = outer_scope(token)
        for name, value in outer.items():  # an instance of a loop may have an input of the same name
            is_own = own and name in (*data.carried, *data.properties)
            top.write(token, {name: value}, scope=token.data.parent if is_own else outside)
        return {n: v for n, v in values.items() if n not in data.consumed and n not in data.properties}

    def keep_result(self, token: Token, values: Values) -> None:
        """The result cannot be taken over for now: keep it for the retry."""
        token.internal_data["result"] = codec.dump(dict(values)).decode()

    def undo(self, token: Token) -> None:
        """The activity is a compensation handler and has to run now."""
        self._update(token)

    def finish(self, token: Token) -> None:
        if self.boundary:
            token.workflow.drop_subscriptions(token)
        top = token.top
        top.emit(log.activity_completed(process=self.process, element=self.bpmn_id, token=token.id))
        if top.definition.compensates and self.is_kept(token):
            compensation.keep(token)

    def is_kept(self, token: Token) -> bool:
        """A compensation may have to find it."""
        top = token.workflow.top_workflow
        if not top.definition.compensates or "undoes" in token.internal_data:
            return False
        if self.handler is not None:
            return True
        owner = token.internal_data.get("owner")
        if owner is not None:
            host = top.find(owner)
            return host is not None and host.task_spec.is_host and host.task_spec.handler is not None
        return False
