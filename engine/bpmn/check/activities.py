"""Activities: loops, multi-instance, sub-processes, call activities, scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.bpmn.check.document import ACTIVITIES, CHOREOGRAPHY, GLOBAL_TASKS, SUB_PROCESSES, Document, Element
from engine.bpmn.check.rule import DRAFT, ERROR, WARNING, Hits, hit, label, rule
from engine.bpmn.xml import CAMUNDA


@rule(
    "ACT-QUANTITY", ERROR,
    zh="“{name}”的数量必须大于 0", en='startQuantity/completionQuantity of "{name}" must be at least 1',
    mend_zh="请更正为 1 或更大的整数", mend_en="Write a whole number of 1 or more",
)
def quantity(document: Document) -> Hits:
    for node in document.each(*ACTIVITIES):
        for name in ("startQuantity", "completionQuantity"):
            value = (node.get(name) or "1").strip()
            if not re.fullmatch(r"\+?0*[1-9]\d*", value):
                yield hit(node, DRAFT if re.fullmatch(r"[+-]?0+", value) else None)


@rule(
    "ACT-LOOPS", ERROR,
    zh="“{name}”同时有循环和多实例标记", en='"{name}" carries both a loop and a multi-instance marker',
    mend_zh="请只保留一个", mend_en="Keep one",
)
def loops(document: Document) -> Hits:
    for node in document.each(*ACTIVITIES):
        if sum(document.kind(child).endswith("LoopCharacteristics") for child in node) > 1:
            yield hit(node)


@rule(
    "ACT-LOOP-MAX", DRAFT,
    zh="“{name}”的最大循环次数必须大于 0", en='loopMaximum of "{name}" must be at least 1',
    mend_zh="请更正为 1 或更大的整数", mend_en="Write a whole number of 1 or more",
)
def loop_maximum(document: Document) -> Hits:
    for loop, activity in _with_parent(document, "standardLoopCharacteristics"):
        value = (loop.get("loopMaximum") or "1").strip()
        if not re.fullmatch(r"\+?0*[1-9]\d*", value):
            yield hit(activity)


def _with_parent(document: Document, *kinds: str) -> Iterator[tuple[Element, Element]]:
    for element in document.each(*kinds):
        parent = element.getparent()
        if parent is not None:
            yield element, parent


@rule(
    "ACT-MI-COUNT", DRAFT,
    zh="多实例“{name}”应填写次数或集合之一", en='Multi-instance "{name}" needs a cardinality or a collection, not both',
    mend_zh="请填写其中一个", mend_en="Give exactly one",
)
def instances_count(document: Document) -> Hits:
    for loop, activity in _with_parent(document, "multiInstanceLoopCharacteristics"):
        given = sum(bool(document.text(document.child(loop, child))) for child in ("loopCardinality", "loopDataInputRef"))
        collection = any(str(name).endswith("}collection") for name in loop.attrib)
        if given + collection > 1:
            yield hit(activity, WARNING if collection else None)
        elif given + collection == 0:
            yield hit(activity)


@rule(
    "ACT-MI-CONDITION", DRAFT,
    zh="条件“{text}”不是布尔表达式", en='The condition "{text}" is not boolean',
    mend_zh="请填写结果为真假的表达式", mend_en="Write an expression that is true or false",
)
def instances_condition(document: Document) -> Hits:
    conditions = list(document.each("completionCondition", "loopCondition", "conditionExpression"))
    for definition in document.each("conditionalEventDefinition"):
        conditions += document.children(definition, "condition")
    for behavior in document.each("complexBehaviorDefinition"):
        conditions += document.children(behavior, "condition")
    for condition in conditions:
        text = document.text(condition)
        if re.fullmatch(r'=?\s*(-?[\d.]+|"[^"]*")', text):
            yield hit(condition, text=text)


@rule(
    "ACT-MI-NUMBER", DRAFT,
    zh="多实例“{name}”的次数“{text}”不是整数", en='The cardinality "{text}" of multi-instance "{name}" is no whole number',
    mend_zh="请填写 0 或更大的整数，或算出整数的表达式", mend_en="Write a whole number of 0 or more, or an expression that gives one",
)
def instances_number(document: Document) -> Hits:
    for cardinality in document.each("loopCardinality"):
        activity = next((each for each in cardinality.iterancestors() if document.kind(each) in ACTIVITIES), cardinality)
        text = document.text(cardinality)
        if re.fullmatch(r'=?\s*(-\s*\d[\d.]*|\d*\.\d*[1-9]\d*|"[^"]*"|true|false)', text):
            yield hit(activity, text=text)


@rule(
    "ACT-MI-BEHAVIOR", DRAFT,
    zh="多实例“{name}”的 behavior={behavior} 缺少对应事件",
    en='Multi-instance "{name}" with behavior={behavior} lacks its event',
    mend_zh="请补充事件引用", mend_en="Add the event reference",
)
def instances_behavior(document: Document) -> Hits:
    for loop, activity in _with_parent(document, "multiInstanceLoopCharacteristics"):
        behavior = loop.get("behavior", "All")
        lacks = {
            "None": not loop.get("noneBehaviorEventRef"),
            "One": not loop.get("oneBehaviorEventRef"),
            "Complex": document.child(loop, "complexBehaviorDefinition") is None,
        }
        thrown = document.find(loop.get({"None": "noneBehaviorEventRef", "One": "oneBehaviorEventRef"}.get(behavior, "id")))
        named = document.kind(thrown).removesuffix("EventDefinition")
        nameless = thrown is not None and named in ("message", "signal") and not thrown.get(f"{named}Ref")
        catches = named in ("timer", "conditional", "link") and behavior in ("None", "One")  # nobody can throw these
        if lacks.get(behavior, False) or catches or (behavior in ("None", "One") and nameless):
            yield hit(activity, behavior=behavior)


@rule(
    "ACT-CHOREO", ERROR,
    zh="流程中不能使用编排元素“{name}”", en='Choreography element "{name}" cannot stand in a process',
    mend_zh="请改用任务", mend_en="Use a task instead",
)
def choreography(document: Document) -> Hits:
    yield from (hit(node) for node in document.each(*CHOREOGRAPHY) if document.process(node) is not None)


@rule(
    "ACT-CONVERSATION", WARNING,
    zh="编排与会话图不会执行", en="Choreographies and conversations are not executed",
    mend_zh="仅作说明，无须处理", mend_en="They illustrate; nothing to do",
)
def conversation(document: Document) -> Hits:
    kinds = ("choreography", "globalConversation", "conversation", "subConversation", "callConversation")
    yield from (hit(element) for element in document.each(*kinds))


@rule(
    "ACT-ADHOC-EMPTY", DRAFT,
    zh="即席子流程“{name}”至少要有一个活动", en='Ad-hoc sub-process "{name}" needs at least one activity',
    mend_zh="请添加活动", mend_en="Add an activity",
)
def ad_hoc_empty(document: Document) -> Hits:
    for scope in document.each("adHocSubProcess"):
        if not any(document.kind(node) in ACTIVITIES for node in document.content[scope]):
            yield hit(scope)


@rule(
    "ACT-ADHOC-EVENT", ERROR,
    zh="即席子流程“{name}”不能有开始或结束事件", en='Ad-hoc sub-process "{name}" cannot contain start or end events',
    mend_zh="请删除这些事件", mend_en="Delete them",
)
def ad_hoc_event(document: Document) -> Hits:
    for scope in document.each("adHocSubProcess"):
        if any(document.kind(node) in CHOREOGRAPHY | {"startEvent", "endEvent"} for node in document.content[scope]):
            yield hit(scope)


@rule(
    "ACT-ADHOC-CONDITION", WARNING,
    zh="即席子流程“{name}”没有完成条件", en='Ad-hoc sub-process "{name}" has no completion condition',
    mend_zh="请填写 completionCondition，写明何时结束", mend_en="Write a completionCondition that says when it ends",
)
def ad_hoc_condition(document: Document) -> Hits:
    for scope in document.each("adHocSubProcess"):
        if not document.text(document.child(scope, "completionCondition")) and document.is_executable(scope):
            yield hit(scope)


@rule(
    "ACT-SUB-IO", DRAFT,
    zh="子流程“{name}”不能有 ioSpecification", en='Sub-process "{name}" cannot have an ioSpecification',
    mend_zh="子流程可直接访问外层数据，请删除", mend_en="It sees the outer data anyway; delete it",
)
def sub_process_data(document: Document) -> Hits:
    for scope in document.each(*SUB_PROCESSES):
        if document.child(scope, "ioSpecification") is not None:
            yield hit(scope)


@rule(
    "ACT-SUB-EMPTY", WARNING,
    zh="子流程“{name}”是空的", en='Sub-process "{name}" is empty',
    mend_zh="请补画内容", mend_en="Draw its content",
)
def sub_process_empty(document: Document) -> Hits:
    yield from (hit(scope) for scope in document.each("subProcess", "transaction") if not document.content[scope])


@rule(
    "ACT-EVENT-DUTY", ERROR,
    zh="即席或事务子流程“{name}”不能同时是事件子流程", en='"{name}" cannot be an event sub-process as well',
    mend_zh="请改为普通子流程", mend_en="Use a plain sub-process",
)
def event_duty(document: Document) -> Hits:
    for scope in document.each("adHocSubProcess", "transaction"):
        if document.is_event_sub_process(scope):
            yield hit(scope)


@rule(
    "ACT-PUBLIC", DRAFT,
    zh="公开流程“{name}”不能执行", en='Public process "{name}" cannot be executable',
    mend_zh="请将类型改为私有", mend_en="Make it private",
)
def public(document: Document) -> Hits:
    for process in document.each("process"):
        if process.get("processType") == "Public" and process.get("isExecutable") == "true":
            yield hit(process)


@rule(
    "ACT-CALL", DRAFT,
    zh="调用活动“{name}”没有指定被调用流程", en='Call activity "{name}" calls nothing',
    mend_zh="请选择被调用的流程", mend_en="Choose the process to call",
)
def call(document: Document) -> Hits:
    for activity in document.each("callActivity"):
        if not (activity.get("calledElement") or "").strip() and not activity.get(f"{CAMUNDA}caseRef"):
            yield hit(activity)


@rule(
    "ACT-CALL-KIND", DRAFT,
    zh="调用活动“{name}”调用的“{target}”不是流程或全局任务",
    en='Call activity "{name}" calls "{target}", which is neither a process nor a global task',
    mend_zh="请选择流程或全局任务", mend_en="Choose a process or a global task",
)
def call_kind(document: Document) -> Hits:
    for activity in document.each("callActivity"):
        target = document.find(activity.get("calledElement"))
        if target is None or target is activity or document.kind(target) in GLOBAL_TASKS | {"process"}:
            continue
        yield hit(activity, target=target.get("id") or "-")


@rule(
    "ACT-CALL-START", DRAFT,
    zh="被调用流程“{target}”没有空白开始事件", en='Called process "{target}" has no none start event',
    mend_zh="请在被调用流程中画一个空白开始事件", mend_en="Draw a none start event there",
)
def call_start(document: Document) -> Hits:
    for activity in document.each("callActivity"):
        for other in document.together.values():
            target = other.find(activity.get("calledElement"))
            if target is None or other.kind(target) != "process":
                continue
            starts = [node for node in other.content[target] if other.kind(node) == "startEvent"]
            if starts and all(other.events(start) for start in starts):
                yield hit(activity, target=target.get("id") or "-")
            break


@rule(
    "ACT-RESOURCE", ERROR,
    zh="“{name}”的资源既有引用又有分配表达式", en='A resource of "{name}" has both a reference and an assignment expression',
    mend_zh="请只保留一个", mend_en="Keep one",
)
def resource(document: Document) -> Hits:
    for role in document.each("performer", "humanPerformer", "potentialOwner", "resourceRole"):
        assigned = document.child(role, "resourceAssignmentExpression") is not None
        if assigned and document.child(role, "resourceRef") is not None:
            yield hit(role)


@rule(
    "RES-BINDING", DRAFT,
    zh="“{name}”的资源参数不对：{why_zh}", en='The resource parameters of "{name}" are wrong: {why}',
    mend_zh="请为资源的每个必填参数恰好绑定一次", mend_en="Bind every required parameter of the resource exactly once, and no other",
)
def resource_parameters(document: Document) -> Hits:
    for role in document.each("performer", "humanPerformer", "potentialOwner", "resourceRole"):
        reference = document.child(role, "resourceRef")
        resource_of_role = None if reference is None else document.find(document.text(reference))
        bound = [document.find(each.get("parameterRef")) for each in document.children(role, "resourceParameterBinding")]
        if reference is None and bound:
            yield hit(role, why="a binding without a resource", why_zh="有绑定却没有资源")
        if resource_of_role is None:
            continue
        parameters = document.children(resource_of_role, "resourceParameter")
        if any(each is not None and each not in parameters for each in bound):
            yield hit(role, why="a parameter of another resource", why_zh="参数属于其他资源")
        if len(set(bound)) < len(bound):
            yield hit(role, why="a parameter is bound twice", why_zh="参数绑定了两次")
        missing = [each for each in parameters if each.get("isRequired") == "true" and each not in bound]
        if missing:
            yield hit(role, why=f"{label(missing[0])} is not bound", why_zh=f"{label(missing[0])} 没有绑定")


@rule(
    "ACT-RECEIVE-START", ERROR,
    zh="启动流程的接收任务“{name}”不能有流入线，也不能在子流程内",
    en='Instantiating receive task "{name}" cannot have incoming flows, nor stand in a sub-process',
    mend_zh="请删除流入线，或去掉 instantiate", mend_en="Delete the incoming flow, or remove instantiate",
)
def receive_start(document: Document) -> Hits:
    for task in document.each("receiveTask"):
        if task.get("instantiate") != "true":
            continue
        if document.incoming[task] or document.kind(document.scope(task)) != "process":
            yield hit(task)


@rule(
    "SCRIPT-FORMAT", DRAFT,
    zh="脚本任务“{name}”没有写脚本语言", en='Script task "{name}" names no language',
    mend_zh="请填写 scriptFormat=\"feel\"", mend_en="Write scriptFormat=\"feel\"",
)
def script_without_format(document: Document) -> Hits:
    for task in document.each("scriptTask"):
        if document.text(document.child(task, "script")) and not task.get("scriptFormat") and document.is_executable(task):
            yield hit(task)


@rule(
    "SCRIPT-LANGUAGE", DRAFT,
    zh="脚本任务“{name}”的语言是“{format}”，只能执行 FEEL", en='Script task "{name}" is written in "{format}"; only FEEL is run',
    mend_zh="请改写为 FEEL(scriptFormat=\"feel\"),或用服务任务调用处理程序",
    mend_en="Rewrite it in FEEL (scriptFormat=\"feel\"), or use a service task with a handler",
)
def script_language(document: Document) -> Hits:
    for task in document.each("scriptTask"):
        language = (task.get("scriptFormat") or "").strip()
        if language and language.lower() != "feel":
            yield hit(task, format=language)


@rule(
    "SCRIPT-EMPTY", DRAFT,
    zh="脚本任务“{name}”没有脚本", en='Script task "{name}" has no script',
    mend_zh="请填写脚本", mend_en="Fill in the script",
)
def script_empty(document: Document) -> Hits:
    for task in document.each("scriptTask"):
        if not document.text(document.child(task, "script")):
            yield hit(task)
