"""Compensation: which completed activities can still be undone, in which order, by which handler, and with which data.

An activity that completed stays in `kept` of its scope as long as something may undo it; a sub-process stays there with its scope.
Undoing works in groups, the last completed first: what is in one group may be undone side by side. The token that undoes (a throw
event, or a transaction that is cancelled) owns the handlers that run; its internal data holds the groups that are still to come::

    compensation  [[[place of the scope, token of the activity or None, handler], …], …]
    running       tokens of the handlers at work
    background    True: nobody waits for it (`waitForCompletion="false"`), it has no way out

and of a kept token ``partial``: it was cancelled with its transaction, so only what completed inside it is undone; ``undone``: its
own compensation event sub-process is at work.
"""
from __future__ import annotations

from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from engine.bpmn.data import Scope
from engine.bpmn.spiff import STARTED

if TYPE_CHECKING:
    from engine.bpmn.workflow import AnyWorkflow, Token

#: (scope, activity or None for the scope as a whole, name of the handler)
Unit = tuple["AnyWorkflow", "Token | None", str]
Group = list[Unit]


def keep(token: Token) -> None:
    """The activity completed and may be undone later; what a sub-process wrote outside itself is remembered for its own handler."""
    workflow = token.workflow
    top = workflow.top_workflow
    workflow.kept[token.id] = token
    token.internal_data["done"] = top.tick()
    inner = top.subprocesses.get(token.id)
    if inner is not None and inner.wrote:
        seen = inner.scope.visible()
        inner.past = {name: seen[name] for name in sorted(inner.wrote) if name in seen}
        inner.wrote = set()


def has_undoable(scope: AnyWorkflow | None) -> bool:
    return scope is not None and (bool(scope.kept) or _own_handler(scope) is not None)


def _own_handler(scope: AnyWorkflow) -> str | None:
    """Name of the compensation event sub-process of a scope."""
    return next((spec.name for spec in scope.spec.event_subprocesses if spec.on_compensation), None)


# ------------------------------------------------------------------------------------------------------------------- what
def compensable(scope: AnyWorkflow, activity: str | None = None) -> list[Group]:
    """What there is to undo in a scope, last completed first.

    Args:
        activity: the only one to undo, in this scope or inside what it completed; None: all of them.
    """
    groups: list[Group] = []
    whole = [token for token in scope.kept.values() if "owner" not in token.internal_data]  # instances: with their host
    for token in sorted(whole, key=_last_first):
        groups += _of_activity(scope, token, activity)
    return groups


def _of_activity(scope: AnyWorkflow, token: Token, activity: str | None) -> list[Group]:
    instances = [token]
    if token.task_spec.is_host:
        instances = sorted((t for t in scope.kept.values() if t.internal_data.get("owner") == token.id), key=_last_first)
    each = [_of_one(scope, token, instance, activity) for instance in instances]
    if token.task_spec.sequential:
        return list(chain.from_iterable(each))
    # instances ran side by side: so does their compensation
    return [group for turn in zip_longest(*each, fillvalue=[]) if (group := list(chain(*turn)))]


def _last_first(token: Token) -> int:
    return -int(token.internal_data["done"])


def _of_one(scope: AnyWorkflow, token: Token, instance: Token, activity: str | None) -> list[Group]:
    data, named = instance.internal_data, activity in (None, token.task_spec.name)
    if "undone" in data:
        return []
    completed = named and "partial" not in data
    if completed and token.task_spec.handler is not None:
        return [[(scope, instance, token.task_spec.handler)]]
    inner = scope.top_workflow.subprocesses.get(instance.id)
    if inner is None:
        return []
    own = _own_handler(inner)
    if completed and own is not None:
        return [[(inner, None, own)]]
    return compensable(inner, None if named else activity)


def _meant(scope: AnyWorkflow, activity: str | None) -> list[Group]:
    """What a compensation event in `scope` means.

    From an event sub-process: its own work, then that of the scope it belongs to. A named activity is looked for in the nearest scope
    of the same process that draws it.
    """
    top = scope.top_workflow
    if activity is not None:
        at = scope
        while activity not in at.spec.task_specs and at.scope.parent is not None:
            at = at.host.workflow
        return compensable(at if activity in at.spec.task_specs else scope, activity)
    groups = compensable(scope)
    while scope is not top and scope.host.task_spec.is_event_subprocess:
        scope = scope.host.workflow
        groups += compensable(scope)
    return groups


# -------------------------------------------------------------------------------------------------------------------- how
def compensate(thrower: Token, activity: str | None) -> None:
    """Undo what the scope of the thrower (or the activity named) completed; the thrower goes on when all is undone."""
    undo(thrower, _meant(thrower.workflow, activity))


def compensate_beside(thrower: Token, activity: str | None) -> None:
    """Likewise, while what follows the thrower goes on."""
    groups = _meant(thrower.workflow, activity)
    if groups:
        undo(thrower.task_spec.in_background(thrower), groups)


def undo(owner: Token, groups: list[Group]) -> None:
    owner.internal_data["running"] = []
    owner.internal_data["compensation"] = [
        [[scope.parent_task_id or 0, unit and unit.id, handler] for scope, unit, handler in group] for group in groups
    ]
    go_on(owner)


def go_on(owner: Token, handler: Token | None = None) -> None:
    """Begin the next group once the last one is through. `handler`: has just completed."""
    data = owner.internal_data
    if handler is not None:
        data["running"].remove(handler.id)
        forget(handler)
    while not data["running"] and data["compensation"]:
        for place, unit, name in data["compensation"].pop(0):
            _begin(owner, place, unit, name)
    if owner._state == STARTED and not data["running"]:
        del data["compensation"], data["running"]
        owner.task_spec.undone(owner)


def _begin(owner: Token, place: int, unit: int | None, handler: str) -> None:
    top = owner.workflow.top_workflow
    scope: AnyWorkflow | None = top.subprocesses.get(place) if place else top
    if scope is None or (unit is not None and unit not in scope.kept) or (unit is None and "undone" in scope.host.internal_data):
        return  # another compensation was faster
    token = top.new_token(scope, scope.spec.task_specs[handler])
    token.triggered = True
    past = scope.past
    if unit is None:
        scope.host.internal_data["undone"] = True
    else:
        undone = scope.kept.pop(unit)
        _forget_host(undone)
        if undone.id in top.subprocesses:
            top.discard(top.subprocesses[undone.id])  # undone as a whole
        past = undone.data.values if undone.data.id == undone.id else {}
    if past:  # it sees what the activity saw, and what it writes goes where the variables live now
        token.data = Scope(token.id, scope.scope, keeps_new=False, is_past=True, values=dict(past))
    token.internal_data.update(owner=owner.id, undoes=unit or place)
    owner.internal_data["running"].append(token.id)
    token.task_spec.undo(token)


def forget(handler: Token) -> None:
    """The handler is through, or was interrupted: what holds nothing more to undo goes."""
    scope, top = handler.workflow, handler.workflow.top_workflow
    if handler.task_spec.is_event_subprocess:  # undone as a whole, with the sub-processes inside it
        for number in scope.kept:
            if number in top.subprocesses:
                top.discard(top.subprocesses[number])
        scope.kept.clear()
    while scope is not top and scope.completed and not scope.kept and not scope.tasks:
        host: Token = scope.host
        if host.id not in host.workflow.kept or (_own_handler(scope) is not None and "undone" not in host.internal_data
                                                 and "partial" not in host.internal_data):
            return
        del host.workflow.kept[host.id]
        _forget_host(host)
        top.discard(scope)
        scope = host.workflow


def _forget_host(instance: Token) -> None:
    """The last instance of a loop or multi-instance activity is undone: so is the activity."""
    kept, owner = instance.workflow.kept, instance.internal_data.get("owner")
    if owner is not None and owner in kept and not any(t.internal_data.get("owner") == owner for t in kept.values()):
        del kept[owner]


# ------------------------------------------------------------------------------------------------------------ transactions
def cancel(transaction: Token, end: Token) -> None:
    """A cancel end event: what is at work in the transaction stops, what completed in it is undone, then it is left.

    One instance of a multi-instance transaction cancels them all, those that completed too: its boundary is left once.

    Args:
        end: the event; in the scope of the transaction, or in one inside it.
    """
    workflow, by = transaction.workflow, end.task_spec.bpmn_id
    owner = workflow.owner(transaction)
    whole = owner if owner is not None and owner.task_spec.is_host else transaction
    instances = [t for t in workflow.tasks.values() if t.internal_data.get("owner") == owner.id] if owner is whole else [transaction]
    for instance in instances:
        scope: AnyWorkflow | None = workflow.top_workflow.subprocesses.get(instance.id)
        if scope is not None and not scope.completed:
            salvage(scope)
            scope.kill_tokens(keep=end, by=by)
            if end.workflow is scope and end._state == STARTED:
                end.complete()
            if scope.kept:
                instance.internal_data["partial"] = True
    if whole is transaction:
        undo(whole, compensable(workflow.top_workflow.subprocesses[whole.id]))
    else:
        workflow.kill_instances(whole, by)
        undo(whole, _of_activity(workflow, whole, None))


def salvage(scope: AnyWorkflow) -> None:
    """Mark what is at work in a scope and has completed something inside: it is cancelled, but that is still to be undone."""
    top = scope.top_workflow
    marked: set[int] = set()
    owners = {t.internal_data.get("owner") for t in scope.kept.values()}
    for token in sorted(scope.tasks.values(), key=lambda t: -t.id):  # instances have greater numbers than their host
        inner = top.subprocesses.get(token.id)
        if inner is not None and not inner.completed:
            salvage(inner)
        if (inner is not None and (inner.kept or any("partial" in t.internal_data for t in inner.tasks.values()))) or (
            token.task_spec.is_host and (token.id in owners or token.id in marked)
        ):
            token.internal_data["partial"] = True
            marked.add(token.internal_data.get("owner", 0))


def killed(token: Token) -> None:
    """An activity at work was cancelled: with its transaction, it stays for what is to be undone inside it; else nothing does."""
    workflow, top = token.workflow, token.workflow.top_workflow
    inner = top.subprocesses.get(token.id)
    if "partial" in token.internal_data:
        workflow.kept[token.id] = token
        token.internal_data["done"] = top.tick()
        return
    if inner is not None:
        top.discard(inner)
    if token.task_spec.is_host:
        for number in [t.id for t in workflow.kept.values() if t.internal_data.get("owner") == token.id]:
            gone = workflow.kept.pop(number)
            if gone.id in top.subprocesses:
                top.discard(top.subprocesses[gone.id])
