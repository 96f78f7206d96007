"""Catching and throwing events, boundary events, event sub-processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine import events as log
from engine.bpmn import compensation, timers
from engine.bpmn.data import Scope, without_loop_names
from engine.bpmn.event_definitions import (
    Cancel,
    Code,
    Compensation,
    Definition,
    Message,
    Signal,
    Terminate,
    Timer,
)
from engine.bpmn.specs.node import Activity, Flow, Node
from engine.bpmn.specs.subprocesses import SubProcess, Transaction
from engine.bpmn.specs.values import Text, outer_scope, place, text_of
from engine.bpmn.spiff import FUTURE, STARTED, WAITING
from engine.bpmn.workflow import (
    ARRIVING,
    RUNNING,
    ElementFailed,
    Token,
    UncaughtError,
)
from engine.model import SubscriptionKind, ThrownEvent, TokenId, Value, Values

if TYPE_CHECKING:
    from engine.bpmn.specs.process import ProcessSpec


class Catching(Activity):
    """An element that waits for events. `definitions`: what for; `parallel`: for all of them, else for the first."""

    is_activity = False
    interrupting = True

    def __init__(
        self, wf_spec: ProcessSpec, element: str, definitions: tuple[Any, ...], parallel: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.definitions, self.parallel = definitions, parallel
        self.is_event = bool(definitions)
        self.reads = frozenset[str]().union(*(definition.reads for definition in definitions))
        self.watches = any(definition.watches for definition in definitions)

    @property
    def event_definition(self) -> Any:
        """The library's name for what is waited for."""
        return self.definitions[0] if len(self.definitions) == 1 else None

    def entered(self, token: Token) -> bool:
        super().entered(token)
        return not self.wait(token)

    def wait(self, token: Token) -> bool:
        given = token.internal_data.pop("given", None)
        if not self.definitions or (given is not None and not self.parallel):
            return False
        top = token.workflow.top_workflow
        token.internal_data["waits"] = waits = []
        carried = token.internal_data.pop("carried", {})
        for n, definition in enumerate(self.definitions):
            token.internal_data.update(carried.get(str(n), {}))
            waits.append(definition.begin(token, top))
        if given is not None:  # one of several things that it waits for has happened: it started the instance
            for wait, definition in zip(waits, self.definitions, strict=True):
                if given[1] in (None, definition.trigger):
                    wait["seen"] = True
                    break
        token._state = WAITING
        return True

    def look_again(self, token: Token) -> None:
        top = token.workflow.top_workflow
        for n, definition in enumerate(self.definitions):
            if definition.watches and token._state == WAITING and "waits" in token.internal_data:
                definition.look_again(token, n, top)

    def can_wait(self, token: Token) -> bool:
        """Whether all that the token would wait for can be computed now."""
        return all(definition.is_known(token, token.workflow.top_workflow) for definition in self.definitions)

    def happened(self, token: Token, n: int, values: Values) -> None:
        """What definition `n` waits for has happened."""
        waits = token.internal_data["waits"]
        waits[n]["seen"] = True
        token.touch()
        if self.parallel and not all("seen" in wait for wait in waits):
            self.receive(token, values)
            return
        token.payload = values
        token.workflow.top_workflow.fire(token)

    def timer_due(self, token: Token, n: int) -> None:
        top = token.workflow.top_workflow
        wait, definition = token.internal_data["waits"][n], self.definitions[n]
        plan = wait["timer"]
        due = timers.due_at(plan)
        skipped, following = 0, None
        if definition.kind == "timeCycle":
            skipped, following = timers.turn(plan, top.at, definition.zone)
        wait["following"] = following
        top.emit(log.TimerFired(
            process=self.process, element=self.event_id, token=TokenId(token.id), due_at=due,
            late=(top.at - due).total_seconds() > 60, skipped=skipped))
        self.happened(token, n, {})

    def stop_waiting(self, token: Token) -> None:
        """The token waits no longer: other timers of it are cancelled."""
        top = token.workflow.top_workflow
        waits = token.internal_data.pop("waits", ())
        token.touch()
        for wait in waits:
            if wait.get("timer") and "seen" not in wait:
                top.emit(log.TimerCancelled(
                    process=self.process, element=self.event_id, token=TokenId(token.id), due_at=timers.due_at(wait["timer"])))
        token.waited = waits

    def receive(self, token: Token, values: Values) -> None:
        """The payload becomes variables of the scope that catches it, or goes where data outputs of the event lead."""
        rest = self.put_out(token, self.items(token, values))
        token.workflow.top_workflow.write(token, without_loop_names(rest), scope=outer_scope(token), cause=self.event_id)

    def items(self, token: Token, values: Values) -> Values:
        """Return a payload by the names of the data outputs: an entry of that name, else the only entry, else all of it."""
        names = self.data.consumed
        if not names or not values or not names.isdisjoint(values):
            return values
        whole: Value = next(iter(values.values())) if len(values) == 1 else dict(values)
        return dict.fromkeys(names, whole)

    def _run_hook(self, my_task: Token) -> bool | None:
        self.receive(my_task, getattr(my_task, "payload", {}))
        race = my_task.internal_data.get("race")
        if race is not None:
            workflow = my_task.workflow
            for id in range(race[0], race[1] + 1):
                other = workflow.tasks.get(id)
                if other is not None and other is not my_task:
                    workflow.kill(other, by=self.bpmn_id)
        return True

    def parked(self, token: Token) -> None:
        self.receive(token, getattr(token, "payload", {}))

    def cancelled(self, token: Token, by: str | None) -> None:
        if token._state == WAITING and "waits" in token.internal_data:
            self.stop_waiting(token)
        super().cancelled(token, by)

    def repeat(self, token: Token) -> None:
        """A non-interrupting event can happen again: subscribe anew."""
        data: dict[str, Any] = {key: token.internal_data[key] for key in ("host", "standing") if key in token.internal_data}
        carried: dict[str, Any] = {}
        over = 0
        for n, (definition, wait) in enumerate(zip(self.definitions, getattr(token, "waited", ()), strict=False)):
            if definition.kind == "condition" and wait["condition"]:
                carried[str(n)] = {"was": True}
            elif isinstance(definition, Timer) and "seen" in wait and (wait.get("following") or not self.parallel):
                carried[str(n)] = {"plan": wait.get("following")}  # None: dates and durations, and cycles that are used up
                over += wait.get("following") is None
            elif isinstance(definition, Timer) and "seen" not in wait and wait["timer"] is not None:
                carried[str(n)] = {"plan": wait["timer"], **({"frozen": wait["frozen"]} if "frozen" in wait else {})}
        if over == len(self.definitions):
            return
        if carried:
            data["carried"] = carried
        token.workflow.subscribe(self, **data)


class StartEvent(Catching):
    def items(self, token: Token, values: Values) -> Values:
        """What starts a process or an event sub-process has become variables already."""
        came = {name: value for name, value in token.data.visible().items() if name in self.data.consumed}
        return {**came, **super().items(token, values)}


class IntermediateCatchEvent(Catching):
    """In an ad-hoc sub-process and without incoming flow it is ``standing``: a subscription that may happen again and again."""

    is_catch = True

    def announce(self, token: Token) -> None:
        if token._state != FUTURE or "standing" not in token.internal_data:
            super().announce(token)

    def cancelled(self, token: Token, by: str | None) -> None:
        if "standing" in token.internal_data:
            cancel_subscription(self, token, by)
        else:
            super().cancelled(token, by)

    def _run_hook(self, my_task: Token) -> bool | None:
        data = my_task.internal_data
        if "standing" in data:
            self.announce(my_task)
            self.repeat(my_task)
            del data["standing"]
            return super()._run_hook(my_task)
        following = next((wait["following"] for wait in getattr(my_task, "waited", ()) if wait.get("following")), None)
        if following is not None and "left" in following and "race" not in data and len(self.definitions) == 1:
            # R4/…: four tokens, one at each turn; a cycle without end happens once here
            again = Token(my_task.workflow, self)
            again.internal_data.update(carried={"0": {"plan": following}}, **{k: data[k] for k in ("flow",) if k in data})
            self._update(again)
        return super()._run_hook(my_task)


class ReceiveTask(Catching):
    is_activity = True

    def prepare(self, token: Token) -> None:
        self.bind_inputs(token)

    def receive(self, token: Token, values: Values) -> None:
        self.give_out(token, self.items(token, values))

    def parked(self, token: Token) -> None:
        self.keep_result(token, getattr(token, "payload", {}))


class BoundaryEvent(Catching):
    """Its token is a subscription of the host until it happens; then it is a token like any other."""

    def __init__(self, wf_spec: ProcessSpec, element: str, interrupting: bool, **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        self.interrupting = self.cancel_activity = interrupting

    def announce(self, token: Token) -> None:
        if token._state != FUTURE:
            super().announce(token)

    def _run_hook(self, my_task: Token) -> bool | None:
        workflow = my_task.workflow
        host = workflow.tasks[my_task.internal_data.pop("host")]
        self.announce(my_task)
        super()._run_hook(my_task)
        if self.interrupting and "notice" not in my_task.internal_data:
            workflow.kill(host, keep=my_task, by=self.bpmn_id)
        else:
            my_task.internal_data.pop("notice", None)
            my_task.internal_data["host"] = host.id
            self.repeat(my_task)
            del my_task.internal_data["host"]
        return True

    def cancelled(self, token: Token, by: str | None) -> None:
        cancel_subscription(self, token, by)


class EventSubProcess(Catching, SubProcess):
    """While it waits it is the subscription of its start event; once that happens it is a sub-process of the scope."""

    is_event_subprocess = is_activity = True

    def __init__(
        self, wf_spec: ProcessSpec, element: str, inner: str, start: str, interrupting: bool, suspends: bool, **kwargs: Any
    ) -> None:
        super().__init__(wf_spec, element, inner=inner, **kwargs)
        self.event_id, self.interrupting, self.suspends = start, interrupting, suspends
        self.on_compensation = any(isinstance(d, Compensation) for d in self.definitions)

    def announce(self, token: Token) -> None:
        if token._state != FUTURE:
            super().announce(token)

    def undo(self, token: Token) -> None:
        token._state = WAITING
        token._ready()

    def _run_hook(self, my_task: Token) -> bool | None:
        workflow = my_task.workflow
        self.announce(my_task)
        if self.on_compensation:
            return None
        if self.interrupting:
            workflow.kill_tokens(keep=my_task, by=self.bpmn_id)
            if workflow.spec.ad_hoc is not None:
                workflow.host.internal_data["over"] = True
        else:
            self.repeat(my_task)
        if self.suspends:
            top = workflow.top_workflow
            workflow.suspenders[my_task.id] = top.now
            top.emit(log.ScopeSuspended(
                process=self.process, element=self.bpmn_id, token=TokenId(my_task.id), scope=place(workflow)))
            top.freeze()
        return None

    def open_scope(self, token: Token) -> tuple[Scope, str]:
        scope, key = super().open_scope(token)
        payload = getattr(token, "payload", {})
        if self.interrupting:
            token.workflow.top_workflow.write(token, payload, cause=self.event_id)
        else:  # runs may overlap: what the scopes around do not know stays with this run
            top = token.workflow.top_workflow
            known = {name: value for name, value in payload.items() if name in token.data}
            top.write(token, known, cause=self.event_id)
            top.write(token, {n: v for n, v in payload.items() if n not in known}, scope=scope, here=True, cause=self.event_id)
        return scope, key

    def parked(self, token: Token) -> None:
        """Nothing was received yet."""

    def finish(self, token: Token) -> None:
        SubProcess.finish(self, token)
        self._resume(token)

    def _resume(self, token: Token) -> None:
        if token.workflow.suspenders.pop(token.id, None) is not None:
            top = token.workflow.top_workflow
            top.emit(log.ScopeResumed(
                process=self.process, element=self.bpmn_id, token=TokenId(token.id), scope=place(token.workflow)))
            top.freeze()

    def cancelled(self, token: Token, by: str | None) -> None:
        cancel_subscription(self, token, by)
        self._resume(token)


class Throwing(Activity):
    """The effect of a thrown event may cancel the thrower: it comes after `_run_hook`, while the token is STARTED."""

    is_activity = False

    def __init__(self, wf_spec: ProcessSpec, element: str, definitions: tuple[Any, ...], **kwargs: Any) -> None:
        super().__init__(wf_spec, element, **kwargs)
        # what is undone comes first, for it may have to wait; what ends the scope, and this with it, comes last
        ranks = {"compensation": 0, "error": 2, "cancel": 2, "terminate": 2}
        self.definitions = tuple(sorted(definitions, key=lambda definition: ranks.get(definition.kind, 1)))

    @property
    def event_definition(self) -> Any:
        return self.definitions[0] if len(self.definitions) == 1 else None

    def _run_hook(self, my_task: Token) -> bool | None:
        return None if self.definitions else True

    def started(self, token: Token) -> None:
        self._throw_from(token, 0)

    def _throw_from(self, token: Token, first: int) -> None:
        for n, definition in enumerate(self.definitions[first:], first):
            if token._state != STARTED:
                return
            if not isinstance(definition, Compensation):
                self.throw(token, definition)
            elif definition.wait:
                token.internal_data["next"] = n + 1
                compensation.compensate(token, definition.activity)
                return
        if token._state == STARTED and not token.is_parked:
            token.complete()
            for definition in self.definitions:
                if isinstance(definition, Compensation) and not definition.wait:
                    compensation.compensate_beside(token, definition.activity)

    def in_background(self, token: Token) -> Token:
        """A token that stands here while the compensation that this one began, and does not wait for, goes on."""
        other = Token(token.workflow, self)
        other.internal_data["background"] = True
        self.announce(other)
        other._state = STARTED
        return other

    def choose(self, token: Token) -> list[Flow]:
        return [] if "background" in token.internal_data else super().choose(token)

    def undone(self, token: Token) -> None:
        if "background" in token.internal_data:
            token.complete()
        else:
            self._throw_from(token, token.internal_data.pop("next"))

    def throw(self, token: Token, definition: Definition) -> None:
        workflow = token.workflow
        top = workflow.top_workflow
        if isinstance(definition, Terminate):
            workflow.kill_tokens(keep=token, by=self.bpmn_id)
            if workflow is not top and "owner" in workflow.host.internal_data:
                workflow.host.internal_data["terminated"] = True
        else:
            visible = token.data.visible()
            throw_event(token, definition, {name: visible.get(name) for name in self.data.carried})


class IntermediateThrowEvent(Throwing):
    pass


class SendTask(Throwing):
    is_activity = True


class EndEvent(Throwing):
    """`outcome`: sets the variable `outcome` of its process."""

    outcome: Text | None = None

    def _run_hook(self, my_task: Token) -> bool | None:
        workflow = my_task.workflow
        top = workflow.top_workflow
        if self.outcome is not None:
            scope: Scope = workflow.scope
            while not scope.keeps_new and scope.parent is not None:
                scope = scope.parent
            top.write(my_task, {"outcome": text_of(self.outcome, my_task, top)}, scope=scope, here=True)
        if workflow is top:
            top.last_end = self.bpmn_id
        return super()._run_hook(my_task)

    def throw(self, token: Token, definition: Definition) -> None:
        if isinstance(definition, Cancel):
            scope = token.workflow
            while not isinstance(scope.host.task_spec, Transaction):
                scope = scope.host.workflow
            compensation.cancel(scope.host, token)
        else:
            super().throw(token, definition)


def thrown_name(definition: Definition, token: Token) -> str:
    """The name or code by which an event that is thrown finds those who wait for it."""
    top = token.workflow.top_workflow
    if isinstance(definition, Message):
        return definition.message_name(token, top)
    if isinstance(definition, Signal):
        return definition.signal_name(token, top)
    assert isinstance(definition, Code)
    return definition.code or ""


def throw_event(token: Token, definition: Definition, values: Values) -> None:
    """Throw a message, signal, error or escalation from an element. `values`: what goes with a message or signal.

    An activity throws what its own boundary may catch; of an implicit event only an error does (see `MultiInstance.notify`).
    """
    top, spec = token.workflow.top_workflow, token.task_spec
    name = thrown_name(definition, token)
    if isinstance(definition, Code):
        is_error = definition.kind == "error"
        if not top.throw_code(token, definition.kind, name, own_boundary=is_error and spec.is_host) and is_error:
            if spec.is_host:
                raise UncaughtError(name)
            top.park(token, RUNNING, ElementFailed(token, RUNNING, "bpmn_error", str(UncaughtError(name))))
    elif isinstance(definition, Message):
        top.send_message(token, definition, name, {**definition.content(token, top), **values})
    elif isinstance(definition, Signal):
        sent = {**definition.content(token, top), **values}
        top.emit(log.SignalThrown(process=spec.process, element=spec.bpmn_id, token=TokenId(token.id), name=name, values=sent))
        top.thrown.append(ThrownEvent(kind=SubscriptionKind.SIGNAL, name=name, correlation_key="", payload=sent))
        top.send_signal(name, sent)


def cancel_subscription(spec: Catching, token: Token, by: str | None) -> None:
    """A subscription goes quietly (its timers are recorded); a token that is on its way is cancelled like any other."""
    data = token.internal_data
    if token._state == WAITING:
        if "waits" in data:
            spec.stop_waiting(token)
    elif token.is_parked and data["incident"][1] == ARRIVING:
        token.workflow.top_workflow.emit(log.IncidentResolved(
            process=spec.process, element=spec.bpmn_id, token=TokenId(token.id), kind=data["incident"][0], reason="cancelled"))
    else:
        Node.cancelled(spec, token, by)
