"""The faults: each a sentence about BPMN that is made false by replacing one piece of the core's text.

The old text occurs exactly once in its file, or nothing runs: so the list stays true of the code. Choose short pieces that live
long, and faults that a user would see; what no test could tell apart has no place here.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parents[2]
CORE = "engine.bpmn"
KILLERS = Path(__file__).with_name("killers.json")


@dataclass(frozen=True, slots=True)
class Fault:
    """`file`: below engine/bpmn."""

    name: str
    file: str
    old: str
    new: str

    @property
    def path(self) -> Path:
        return ROOT.joinpath(*CORE.split("."), self.file)

    def source(self) -> str:
        """Return the text of the module with the fault in it.

        Raises:
            ValueError: the code has changed: the old text is not there exactly once.
        """
        text = self.path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: {self.old!r} occurs {count} times in {self.file}, not once; bring the list up to date")
        return text.replace(self.old, self.new)

    def compiled(self) -> CodeType:
        return compile(self.source(), str(self.path), "exec", dont_inherit=True)


def killers() -> dict[str, str]:
    """``{name of a fault: the test that notices it}``, as found last time."""
    found: dict[str, str] = json.loads(KILLERS.read_text(encoding="utf-8")) if KILLERS.exists() else {}
    return found


@cache
def names_of_tests(file: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def _in(file: str, *faults: tuple[str, str, str]) -> list[Fault]:
    return [Fault(name, file, old, new) for name, old, new in faults]


FAULTS = [
    *_in(
        "specs/gateways.py",
        ("a parallel join counts tokens, not flows", 'len(waiting) + (token.internal_data["flow"] not in waiting)',
         "len(token.workflow.tokens_at(self, token)) + 1"),
        ("a parallel join does not wait", "self.together(token) if enough else (), enough)",
         "self.together(token), True)"),
        ("a parallel join swallows the tokens of the next turn", "self.together(token) if enough else ()",
         "token.workflow.tokens_at(self, token) if enough else ()"),
        ("an inclusive join waits for what may come over a flow that has a token", "if not reach.isdisjoint(empty) and reach.isdisjoint(flows):",
         "if not reach.isdisjoint(empty):"),
        ("an inclusive join never waits", "if not reach.isdisjoint(empty) and reach.isdisjoint(flows):",
         "if False:"),
        ("an inclusive join waits for every flow", "if not flows or self.expected(workflow, set(flows)):",
         "if len(flows) < len(self.incoming):"),
        ("an inclusive join swallows a second token of a flow", "self.consume(first, others)",
         "self.consume(first, workflow.tokens_at(self, first))"),
        ("an inclusive gateway takes the first true flow only", "self.select(token, first=False)", "self.select(token, first=True)"),
        ("an exclusive gateway takes every true flow", "self.select(token, first=True)", "self.select(token, first=False)"),
        ("the activation count of a complex gateway is the number of its flows", '"activationCount": count}',
         '"activationCount": len(self.incoming)}'),
        ("the tokens that come after the activation of a complex gateway go on too", 'token.internal_data["swallow"] = True', "pass"),
        ("a complex gateway is never ready again", "if state and (len(set(state))", "if False and (len(set(state))"),
        ("a complex gateway is ready again while tokens are expected", "or not self.expected(workflow, set(state))):", "or True):"),
        ("a complex gateway forgets the tokens that came early for the next turn", "if self.arrive(token):",
         "if workflow.leave(token) or False:"),
        ("a complex gateway without a condition does not join", "if self.condition is None or state:", "if self.condition is None:\n            return True\n        if state:"),
        ("a complex gateway fires again before it is ready again", "if self.condition is None or state:", "if self.condition is None:"),
        ("a complex gateway takes all tokens of a flow", "+ 1, self.together(token)", "+ 1, workflow.tokens_at(self, token)"),
        ("an event gateway leaves the rivals of the event that happened", 'child.internal_data["race"] = [born[0].id, born[-1].id]',
         "pass"),
        ("the event behind an event gateway ends every token of its scope", "[born[0].id, born[-1].id]",
         "[1, my_task.workflow.top_workflow.last_token]"),
    ),
    *_in(
        "specs/process.py",
        ("reachability forgets the paths over boundary events", "todo += node.boundary", "pass"),
        ("reachability goes through the join itself", "if node.name in seen or node is stop:", "if node.name in seen:"),
    ),
    *_in(
        "specs/node.py",
        ("a cancelled transaction is left by its normal way out", "if top.leave_by_cancel(token):", "if token.complete() or True:"),
        ("one token fewer than startQuantity is enough", "len(others) + 1 >= self.start_quantity)",
         "len(others) + 2 >= self.start_quantity)"),
        ("conditions are tried from the last to the first", "for flow in self.flows:\n            if flow.default:",
         "for flow in reversed(self.flows):\n            if flow.default:"),
        ("the default flow is taken beside true conditions", "if not conditional:", "if True:"),
        ("a flow without condition keeps the default flow from being taken", "if not conditional:", "if not taken:"),
        ("a null condition slides down the default flow", "if default and nulls:", "if False:"),
        ("a token without a way out is gone", "if not taken and self.flows:", "if False:"),
        ("whatever is not false is true in a condition of a flow", "elif result.value is True:", "elif result.value is not False:"),
        ("an activity takes the first true flow only", "return self.select(token, first=False)", "return self.select(token, first=True)"),
        ("completionQuantity is ignored", "range(self.completion_quantity)", "range(1)"),
        ("startQuantity is ignored", "if self.start_quantity == 1:", "if True:"),
        ("boundary events outlive the completion of their activity", "token.workflow.drop_subscriptions(token)", "pass"),
        ("an output mapping writes into the inputs", "top.write(token, values, scope=outside)", "top.write(token, values)"),
        ("what an output mapping does not name goes out too", "values = {\n                name: text", "values = {**values} | {\n                name: text"),
        ("an output mapping does not see the result", "keeps_new=True, values=dict(values))", "keeps_new=True, values={})"),
        ("inputs of a task are seen by all", "top.write(token, values, scope=own, here=True)", "top.write(token, values, scope=token.workflow.scope)"),
        ("boundary events are not subscribed", "token.workflow.subscribe(spec, host=token.id)", "pass"),
        ("nothing with a compensation handler is kept", "if self.handler is not None:\n            return True", "if False:\n            return True"),
    ),
    *_in(
        "specs/loops.py",
        ("the event of the first instance is thrown after each", 'if fields.behavior == "One" and', "if False and"),
        ("terminated instances count as completed", 'count = "nrOfTerminatedInstances" if terminated else', "count ="),
        ("instances side by side that write differently do not conflict", "if writes[name] != before[name]:", "if False:"),
        ("an implicit message reaches every boundary event that waits for it", 'if event.kind != "signal":', "if False:"),
        ("an implicit error does not interrupt", "if isinstance(event, Error):", "if False:"),
        ("a complex behaviour never ends its activity", "over = over or each.condition is not None", "over = False"),
        ("the completion condition of a multi-instance activity is ignored", "or (fields.condition is not None and top.holds(child, fields.condition))", ""),
        ("a completion condition leaves the other instances open", "token.workflow.kill_instances(token, self.bpmn_id)", "pass"),
        ("a sequential multi-instance activity runs in parallel", "range(1 if fields.sequential else total)", "range(total)"),
        ("variables of a multi-instance instance leak out", "class MultiInstance(Looping):\n    keeps_new = True",
         "class MultiInstance(Looping):\n    keeps_new = False"),
        ("loopCounter begins with 0", '{"loopCounter": n + 1}', '{"loopCounter": n}'),
        ("nrOfActiveInstances never falls", 'own.own("nrOfActiveInstances") - 1})',
         'own.own("nrOfActiveInstances")})'),
        ("results are gathered in the order of completion", 'child.data.own("loopCounter") - 1, top',
         'own.own("nrOfCompletedInstances") - 1, top'),
        ("an empty collection is never completed", "if total == 0:", "if False:"),
        ("a loop that tests first runs once all the same", "if self.test_before and not self.again(token, 0):", "if False:"),
        ("loopMaximum allows one turn more", "turns >= int(", "turns > int("),
        ("a loop condition says when to stop", "self.condition is None or top.holds", "self.condition is None or not top.holds"),
        ("the event of a multi-instance activity interrupts it", 'receiver.internal_data["notice"] = True', "pass"),
        ("the item of the collection is not handed to its instance", "local[self.fields.item] = item",
         "pass"),
        ("all instances get the first item", "None if items is None else items[n]",
         "None if items is None else items[0]"),
        ("a turn of a standard loop sees the number of the one before", "self.instance(token, loopCounter=turns + 1)", "self.instance(token, loopCounter=turns)"),
    ),
    *_in(
        "specs/subprocesses.py",
        ("a called process sees everything of its caller", "Scope(token.id, None, keeps_new=True)", "Scope(token.id, token.data, keeps_new=True)"),
        ("everything goes into a call with a mapping", "self.copied(self.takes,", "self.copied(None,"),
        ("everything comes out of a call with a mapping", "self.copied(self.gives,", "self.copied(None,"),
        ("loop counters go into a call and out of it", "values.update(without_loop_names(source.visible()))", "values.update(source.visible())"),
        ("a called process has no business key", "key = token.workflow.business_key", 'key = ""'),
        ("the business key that a call gives is ignored", 'key = "" if value is None else str(value)', "pass"),
        ("what was done inside a completed sub-process cannot be undone", "return token.id in token.workflow.kept and", "return False and"),
    ),
    *_in(
        "specs/events.py",
        ("an error that nobody catches ends its token", 'top.park(token, RUNNING, ElementFailed(token, RUNNING, "bpmn_error", str(UncaughtError(name))))', "pass"),
        ("an escalation that nobody catches is an incident", "own_boundary=is_error and spec.is_host) and is_error:", "own_boundary=is_error and spec.is_host):"),
        ("compensation that nobody waits for goes the way of its event a second time",
         'return [] if "background" in token.internal_data else super().choose(token)', "return super().choose(token)"),
        ("a thrown signal goes outside only", "top.send_signal(name, sent)",
         "pass"),
        ("only the first event of a multiple event is thrown", "if not isinstance(definition, Compensation):\n                self.throw(token, definition)",
         "if not isinstance(definition, Compensation):\n                n or self.throw(token, definition)"),
        ("the events of a multiple event are thrown as they are drawn", "ranks.get(definition.kind, 1)", "0"),
        ("a parallel multiple event happens with its first", 'if self.parallel and not all(', "if False and not all("),
        ("a multiple event waits for all", 'if self.parallel and not all(', "if not all("),
        ("the payload of a message is lost", "token.payload = values", "token.payload = {}"),
        ("a parallel multiple event keeps the last payload only", "self.receive(token, values)\n            return", "return"),
        ("events that race do not end each other", "if other is not None and other is not my_task:",
         "if False:"),
        ("a cycle on a catching event gives one token", 'if following is not None and "left" in following and',
         "if False and"),
        ("an interrupting boundary event does not interrupt", 'if self.interrupting and "notice" not in my_task.internal_data:', "if False:"),
        ("a non-interrupting boundary event interrupts", 'if self.interrupting and "notice" not in', 'if "notice" not in'),
        ("a non-interrupting boundary event happens once", 'self.repeat(my_task)\n            del my_task', "del my_task"),
        ("a non-interrupting event sub-process happens once", "            self.repeat(my_task)\n        if self.suspends:",
         "            pass\n        if self.suspends:"),
        ("an interrupting event sub-process leaves the rest of its scope", "workflow.kill_tokens(keep=my_task, by=self.bpmn_id)", "pass"),
        ("the payload of a run of an event sub-process is seen by all runs",
         "if self.interrupting:\n            token.workflow.top_workflow.write(token, payload",
         "if True:\n            token.workflow.top_workflow.write(token, payload"),
        ("a scope stays suspended when what suspended it is interrupted", "cancel_subscription(self, token, by)\n        self._resume(token)",
         "cancel_subscription(self, token, by)"),
        ("terminate in a sub-process ends the whole instance", "if isinstance(definition, Terminate):\n            workflow.kill_tokens(",
         "if isinstance(definition, Terminate):\n            top.kill_tokens("),
        ("terminate ends its own token only", "if isinstance(definition, Terminate):\n            workflow.kill_tokens(keep=token, by=self.bpmn_id)",
         "if isinstance(definition, Terminate):\n            pass"),
        ("a thrown signal stays inside", "top.thrown.append(", "repr("),
        ("the outcome of a called process is the caller's", "scope: Scope = workflow.scope", "scope: Scope = top.scope"),
        ("an end event of a sub-process names the outcome", "if workflow is top:", "if True:"),
        ("the result of a receive task is not mapped", "self.give_out(token, self.items(token, values))",
         "super().receive(token, values)"),
        ("the trigger of a start event is waited for although it started the instance", 'given = token.internal_data.pop("given", None)',
         "given = None"),
    ),
    *_in(
        "specs/tasks.py",
        ("a job sees everything although it has inputs", "values = {name: values.get(name) for name in names}",
         "pass"),
        ("the job of an interrupted task is not cancelled", 'if "job" in token.internal_data:', "if False:"),
        ("due dates stand although their variables change", "self.has_moving_dates = bool(moving)", "self.has_moving_dates = False"),
    ),
    *_in(
        "workflow.py",
        ("an error passes by the event sub-process of its scope", "if spec is not own",
         "if False"),
        ("the boundary of a loop does not see errors of its instances", "at = scope.owner(at)", "at = None"),
        ("all start events start", "if not self.spec.task_specs[name].is_event] or self.spec.starts", "] or self.spec.starts"),
        ("several triggers at the start all happen", "race = len(names) > 1 and", "race = False and"),
        ("event sub-processes are not subscribed", "if not spec.on_compensation:", "if False:"),
        ("boundary events leak after an interruption", "self.drop_subscriptions(token, keep, by)", "pass"),
        ("instances outlive the interruption of their activity", "self.kill_instances(token, by)", "pass"),
        ("a called scope survives the interruption of its call", "inner.kill_tokens(by=by)", "pass"),
        ("compensation handlers outlive who asked for them", "handler.workflow.kill(handler, by=by)", "pass"),
        ("a thrown message reaches all who wait inside", "self.correlate(receiver, n, values)\n                return",
         "self.correlate(receiver, n, values)"),
        ("a thrown message that was caught inside goes outside too", "                return\n        self._thrown_message",
         "                break\n        self._thrown_message"),
        ("a signal reaches only the first who waits", "count += 1", "return 1"),
        ("the general error code is preferred to the exact one", "general = token, n", "return token, n"),
        ("no error is caught without a code", "if wait[kind] is None and general is None:", "if False:"),
        ("an error does not leave a called process", "if found is not None or scope is self:", "if found is not None or scope.scope.parent is None:"),
        ("a write conflict is hidden", "if left[name] != right[name]:", "if False:"),
        ("branches that wrote the same value conflict", "if left[name] != right[name]:", "if True:"),
        ("branches share one record of what they wrote", "[*copy_trail(trail), [token.id, {}]]",
         '[*copy_trail(trail), children[0].internal_data.get("trail", [[token.id, {}]])[-1]]'),
        ("what a sub-process writes is not its branch's", "at = inner.host\n            if at", "return\n            if at"),
        ("what an instance keeps to itself is written by its branch", "if at is not None and target.id == at.id:", "if False:"),
        ("a null condition counts as true", "return self.evaluate(token, formula, scope) is True", "return self.evaluate(token, formula, scope) is not False"),
        ("a subscription keeps its scope open", "return len(self.tasks) > self.index.count[DORMANT]",
         "return bool(self.tasks)"),
        ("a running event sub-process does not keep its scope open", "> self.index.count[DORMANT]\n",
         "> self.index.count[DORMANT] + self.index.count[4]\n"),
        ("conditions are not looked at when variables change", "self.changed.update(news)", "pass"),
        ("suspended timers run on", 'if suspended and "frozen" not in wait:', "if False:"),
        ("a timer does not get back the time that it stood", 'plan["due"] = (was + stood).isoformat()', "pass"),
        ("dates stand still while suspended", 'or token.task_spec.definitions[n].kind == "timeDate":', ":"),
        ("a suspending event sub-process suspends nothing", "or (self.definition.suspends and self.is_suspended_by_scope(token))", ""),
        ("what suspends is suspended itself", "if scope.suspenders and at.id not in scope.suspenders:", "if scope.suspenders:"),
        ("a retry runs the handler again", 'elif "result" in token.internal_data:', "elif False:"),
        ("declared data of a sub-process is that of the process", "if spec.properties:",
         "if False:"),
        ("a join that can never fire says nothing", "if token.task_spec not in known:",
         "if False:"),
    ),
    *_in(
        "compensation.py",
        ("compensation runs forward", 'return -int(token.internal_data["done"])', 'return int(token.internal_data["done"])'),
        ("compensation undoes twice", "undone = scope.kept.pop(unit)", "undone = scope.kept[unit]"),
        ("parallel instances are undone one after the other", "if token.task_spec.sequential:", "if True:"),
        ("sequential instances are undone side by side", "if token.task_spec.sequential:", "if False:"),
        ("compensation does not look into sub-processes", "return compensable(inner, None if named else activity)", "return []"),
        ("a handler of a sub-process is ignored for what is inside it", "if completed and token.task_spec.handler is not None:",
         "if completed and token.task_spec.handler is not None and instance.id not in scope.top_workflow.subprocesses:"),
        ("compensation from an event sub-process stays inside it", "while scope is not top and scope.host.task_spec.is_event_subprocess:", "while False:"),
        ("compensation of one activity undoes all", "activity in (None, token.task_spec.name)", "True"),
        ("a compensation event sub-process is not the handler of its scope", "if completed and own is not None:", "if False:"),
        ("a handler sees the variables of now, not those of its activity", "if past:", "if False:"),
        ("a compensation event sub-process sees the variables of now", "if inner is not None and inner.wrote:", "if False:"),
        ("compensation does not wait for the handlers of one group before the next", "while not data[\"running\"] and data[\"compensation\"]:", "while data[\"compensation\"]:"),
        ("compensation goes on while handlers are at work", 'if owner._state == STARTED and not data["running"]:', "if owner._state == STARTED:"),
        ("a cancelled transaction undoes nothing", "undo(whole, compensable(workflow.top_workflow.subprocesses[whole.id]))", "undo(whole, [])"),
        ("a cancel end event leaves the other branches of its transaction", "scope.kill_tokens(keep=end, by=by)", "pass"),
        ("what completed in a sub-process that its transaction stops is not undone", "            salvage(scope)\n            scope.kill_tokens", "            scope.kill_tokens"),
        ("an activity named for compensation is looked for in its own scope only", "while activity not in at.spec.task_specs and at.scope.parent is not None:", "while False:"),
        ("a cancelled instance cancels no other instance of its transaction", "workflow.kill_instances(whole, by)", "pass"),
    ),
    *_in(
        "event_definitions.py",
        ("a conditional event fires while its condition stays true", 'if wait["condition"] and not before:',
         'if wait["condition"] and not (before and wait.setdefault("at", top.at.isoformat()) == top.at.isoformat()):'),
        ("a conditional event fires when its condition ceases to hold", 'if wait["condition"] and not before:', 'if before and not wait["condition"]:'),
        ("a condition that is true already is not noticed", 'top.changed.add("")', "pass"),
        ("a timer stands although its variable changes", "if made != plan:", "if False:"),
        ("a duration counts anew when its variable changes", 'datetime.fromisoformat(plan["from"])', "top.at"),
        ("a boundary timer without a time yet is an incident", "if value is None and token.triggered:", "if False:"),
        ("a correlation key stands although its variable changes", 'token.internal_data["waits"][n]["key"] = key', "pass"),
        ("the business key does not correlate", "return str(token.workflow.business_key)", 'return ""'),
        ("a message is sent without its payload", "if payload is None or value is None:",
         "if True:"),
        ("the code of a caught error is not told", "found = {self.code_variable: code,", "found = {self.code_variable: None,"),
        ("a catching event takes any code", "return {self.kind: self.code}", "return {self.kind: None}"),
    ),
    *_in(
        "timers.py",
        ("missed turns of a cycle fire one by one", "skipped = missed if limit is None else min(missed, limit)", "skipped = 0"),
        ("missed turns are not counted among the turns of a cycle", "left -= 1 + skipped", "left -= 1"),
        ("a cycle fires once more than it says", 'made["left"] = count',
         'made["left"] = count + 1'),
        ("months are counted in UTC", "local = at.astimezone(zone)", "local = at.astimezone(UTC)"),
        ("the first turn of a cycle ignores its start", "every, due = second, instant(first, zone)", "every, due = second, add_duration(at, second, zone)"),
        ("a local date and time of a diagram is UTC", "value = value.replace(tzinfo=zone)", "value = value.replace(tzinfo=UTC)"),
    ),
    *_in(
        "step.py",
        ("an overdue timer does not beat a late completion", "workflow.fire_due(on_time=isinstance(command, FireTimers))",
         "isinstance(command, FireTimers) and workflow.fire_due(on_time=True)"),
        ("what comes at the very deadline is too late", "on_time=isinstance(command, FireTimers)", "on_time=True"),
        ("a suspended task can be completed", "_require_running(workflow, token)\n", "pass\n"),
        ("the error of a job passes by its own boundary", "own_boundary=True", "own_boundary=False"),
        ("declared data of a process is not there at its start", "{**spec.initial(), **command.variables}",
         "dict(command.variables)"),
        ("a cancelled instance leaves its tokens", "case CancelInstance():\n            workflow.kill_tokens()", "case CancelInstance():\n            pass"),
    ),
    *_in(
        "data.py",
        ("a write does not find the variable of a scope around", "if scope.has(name) and not scope.is_past:",
         "if scope is self and scope.has(name) and not scope.is_past:"),
        ("a new variable stays in the scope where it was written", "while not scope.keeps_new and scope.parent is not None:", "while False:"),
        ("variables around hide those inside", "{**outer, **own}", "{**own, **outer}"),
        ("true and 1 are the same value", "if type(a) is not type(b):", "if False:"),
    ),
    *_in(
        "state.py",
        ("a complex gateway forgets over a reload that it fired", 'extra["gateways"] = scope.gateways', "pass"),
        ("what may be undone is forgotten over a reload", "entries = scope.kept.entries()",
         "entries: list[Any] = scope.kept.clear() or []"),
        ("instances lose their variables over a reload", "token.data = host.data", "pass"),
        ("a called process sees its caller after a reload", "None if isolated else host.data", "host.data"),
    ),
    *_in(
        "index.py",
        ("a timer that was overdue together with others fires in the order of its making", "found = token, n\n",
         "found = min(place for place, (due, _) in self._timers.items() if due <= until)\n"),
        ("timers that come to be meanwhile fire at once", "elif token > newest:", "elif False:"),
        ("a join is called stuck while an event is waited for", 'elif waiting and "waits" not in data:', "elif waiting:"),
    ),
    *_in(
        "cron.py",
        ("cron expressions are in UTC", "at.replace(tzinfo=zone).astimezone(UTC)", "at.replace(tzinfo=UTC)"),
    ),
    *_in(
        "reader.py",
        ("compensation does not wait for its handlers", 'node.get("waitForCompletion") != "false"', "False"),
        ("a link goes nowhere", 'self.flow(spec, node.get("id", ""), catches[label(node)], f"(link) {node.get(\'id\')}")', "pass"),
        ("isInterrupting is ignored", 'start.interrupting = node.get("isInterrupting") != "false"', "start.interrupting = True"),
        ("an event sub-process for errors may be told not to interrupt", 'interrupting=interrupting or bool(kinds & {"error", "compensation"})', "interrupting=interrupting"),
        ("a boundary event for errors may be told not to interrupt", 'bool(kinds & {"error", "cancel"}) or node.get("cancelActivity"', 'node.get("cancelActivity"'),
        ("compensation handlers start with their scope", 'or node.get("isForCompensation") == "true"', ""),
        ("without start events one node starts", "for node in starts or heads]", "for node in starts or heads[:1]]"),
        ("waitForCompletion is ignored", 'node.get("waitForCompletion") != "false"', "True"),
        ("testBefore is ignored", 'loop.get("testBefore") == "true"', "False"),
        ("shared event definitions are not found", "parent.replace(node, deepcopy(found))", "pass"),
        ("a global task cannot be called", "if _name(node) in _GLOBAL:", "if False:"),
        ("an escalation is caught by its id, not by its code", 'code = self._code(node, "escalationRef", "escalationCode")',
         'code = node.get("escalationRef")'),
    ),
]
BY_NAME = {fault.name: fault for fault in FAULTS}
