"""What the product reads beyond BPMN: who, by which form, which handler; and names in the file that nobody reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches

from lxml import etree

from engine.bpmn import timers
from engine.bpmn.check.document import Document, Element
from engine.bpmn.check.expressions import ZONE
from engine.bpmn.check.rule import DRAFT, WARNING, Hits, hit, label, rule
from engine.bpmn.fields import CHILDREN, FIELDS, FOREIGN_CODE, WITHOUT_EFFECT, Form
from engine.bpmn.reader import is_expression
from engine.bpmn.xml import CAMUNDA

_RELATED = ("{http://activiti.org/bpmn}", "{http://flowable.org/bpmn}", "{http://camunda.org/schema/zeebe/1.0}")


def nearest(name: str, known: Iterable[str]) -> tuple[str, str]:
    """Return advice (zh, en) that names the nearest known name."""
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return (f";是否想写“{near[0]}”?", f'; did you mean "{near[0]}"?') if near else ("", "")


def words(text: str) -> list[str]:
    """Return the ids of a comma list; none for an expression."""
    if text.startswith("=") or "${" in text or "#{" in text:
        return []
    return [word.strip() for word in text.split(",") if word.strip()]


# ---------------------------------------------------------------------------------------------------- people and forms
@rule(
    "USER-ASSIGN", WARNING,
    zh="用户任务“{name}”没有办理人或候选人/角色，只有流程负责人看得到",
    en='User task "{name}" has neither assignee nor candidates',
    mend_zh="请填写 camunda:candidateGroups 或 camunda:assignee", mend_en="Write camunda:candidateGroups or camunda:assignee",
)
def assigned(document: Document) -> Hits:
    for task in document.each("userTask"):
        if not any(document.camunda(task, name) for name in ("assignee", "candidateUsers", "candidateGroups")):
            yield hit(task)


@rule(
    "USER-FORM", WARNING,
    zh="用户任务“{name}”没有表单", en='User task "{name}" has no form',
    mend_zh="请选择表单(camunda:formKey)", mend_en="Choose a form (camunda:formKey)",
)
def no_form(document: Document) -> Hits:
    yield from (hit(task) for task in document.each("userTask") if not document.camunda(task, "formKey"))


@rule(
    "FORM-UNKNOWN", DRAFT,
    zh="“{name}”的表单“{form}”不存在{near_zh}", en='The form "{form}" of "{name}" does not exist{near}',
    mend_zh="请把表单放进同一次部署，或改正标识", mend_en="Put the form into the deployment, or correct its id",
)
def form_unknown(document: Document) -> Hits:
    forms = document.context.forms
    if forms is None:
        return
    for node in document.each("userTask", "startEvent", "intermediateCatchEvent", "boundaryEvent", "receiveTask"):
        key = document.camunda(node, "formKey") if document.kind(node) in ("userTask", "startEvent") else ""
        for form in (key, document.property(node, "form")):
            if form and form not in forms and not form.startswith("=") and "${" not in form:
                zh, en = nearest(form, forms)
                yield hit(node, form=form, near_zh=zh, near=en)


@rule(
    "FORM-FILE", DRAFT,
    zh="“{name}”的表单“{form}”有文件字段，但发起和登记事件时没有任务可以保存文件",
    en='The form "{form}" of "{name}" has a file field, but there is no task yet that could keep the file',
    mend_zh="请从该表单删去文件字段，改放在后面的用户任务上", mend_en="Take the file field out of this form; ask for the file in a user task that follows",
)
def file_before_task(document: Document) -> Hits:
    yield from _outside_tasks(document, document.context.takes_files)


@rule(
    "FORM-SEALED", DRAFT,
    zh="“{name}”的表单“{form}”有密封字段（sealed），但发起和登记事件时不能密封", en='The form "{form}" of "{name}" has a sealed field, but nothing is sealed before a task',
    mend_zh="请从该表单删去密封字段，改放在后面的用户任务上", mend_en="Take the sealed field out of this form; ask for it in a user task that follows",
)
def sealed_before_task(document: Document) -> Hits:
    yield from _outside_tasks(document, document.context.seals)


def _outside_tasks(document: Document, has_such: Callable[[str], bool] | None) -> Hits:
    if has_such is None:
        return
    for node in document.each("startEvent", "intermediateCatchEvent", "boundaryEvent", "receiveTask"):
        for form in (document.camunda(node, "formKey") if document.kind(node) == "startEvent" else "", document.property(node, "form")):
            if form and has_such(form):
                yield hit(node, form=form)


@rule(
    "GROUP-UNKNOWN", DRAFT,
    zh="“{name}”的角色“{group}”不存在{near_zh}", en='The group "{group}" of "{name}" does not exist{near}',
    mend_zh="请改正角色标识，或先由管理员建立该角色", mend_en="Correct the id of the group, or let an administrator create it",
)
def group_unknown(document: Document) -> Hits:
    groups = document.context.groups
    if groups is None:
        return
    for element in document.each("process", "userTask", "intermediateCatchEvent", "boundaryEvent", "startEvent", "receiveTask"):
        kind = document.kind(element)
        text = {"process": "candidateStarterGroups", "userTask": "candidateGroups"}.get(kind)
        given = document.camunda(element, text) if text else document.property(element, "candidateGroups")
        for group in words(given):
            if group not in groups:
                zh, en = nearest(group, groups)
                yield hit(element, group=group, near_zh=zh, near=en)


@rule(
    "NODE-NAME", WARNING,
    zh="{kind}“{id}”没有名称", en='{kind} "{id}" has no name',
    mend_zh="请命名，办理人会看到它", mend_en="Name it; people will see it",
)
def named(document: Document) -> Hits:
    yield from (hit(task) for task in document.each("userTask", "manualTask") if not (task.get("name") or "").strip())


# --------------------------------------------------------------------------------------------- handlers, decisions, calls
@rule(
    "SERVICE-HANDLER", DRAFT,
    zh="{kind}“{name}”没有处理程序", en='{kind} "{name}" has no handler',
    mend_zh='请填写 camunda:type="external" 和 camunda:topic;发送任务也可选择消息',
    mend_en='Write camunda:type="external" and camunda:topic; a send task may have a message instead',
)
def no_handler(document: Document) -> Hits:
    for task in document.each("serviceTask", "sendTask"):
        topic = document.camunda(task, "topic")
        sends = document.kind(task) == "sendTask" and (document.message_names(task) or task.get("operationRef"))
        if not topic and not sends:
            yield hit(task)


@rule(
    "SERVICE-TYPE", DRAFT,
    zh='“{name}”的 camunda:type 是“{type}”，只能是 external', en='camunda:type of "{name}" is "{type}"; only external is run',
    mend_zh='请写 camunda:type="external",用 camunda:topic 选择处理程序',
    mend_en='Write camunda:type="external" and choose the handler by camunda:topic',
)
def handler_type(document: Document) -> Hits:
    for task in document.each("serviceTask", "sendTask", "businessRuleTask"):
        type = document.camunda(task, "type")
        if type and type != "external":
            yield hit(task, type=type)


@rule(
    "JOB-TYPE-UNKNOWN", DRAFT,
    zh="“{name}”的作业类型“{topic}”没有登记处理程序{near_zh}",
    en='No handler is registered for the job type "{topic}" of "{name}"{near}',
    mend_zh="请改正 camunda:topic,或在 handlers/ 中登记该处理程序",
    mend_en="Correct camunda:topic, or register the handler in handlers/",
)
def job_type_unknown(document: Document) -> Hits:
    known = document.context.job_types
    if known is None:
        return
    for task in document.each("serviceTask", "sendTask", "businessRuleTask"):
        topic = document.camunda(task, "topic")
        if topic and topic not in known and not topic.startswith("=") and "${" not in topic:
            zh, en = nearest(topic, known)
            yield hit(task, topic=topic, near_zh=zh, near=en)


@rule(
    "DECISION-MISSING", DRAFT,
    zh="业务规则任务“{name}”没有选择决策", en='Business rule task "{name}" names no decision',
    mend_zh="请填写 camunda:decisionRef", mend_en="Write camunda:decisionRef",
)
def no_decision(document: Document) -> Hits:
    for task in document.each("businessRuleTask"):
        if not document.camunda(task, "decisionRef") and not document.camunda(task, "topic"):
            yield hit(task)


@rule(
    "DECISION-UNKNOWN", DRAFT,
    zh="“{name}”的决策“{decision}”不存在{near_zh}", en='The decision "{decision}" of "{name}" does not exist{near}',
    mend_zh="请把 DMN 文件放进同一次部署，或改正标识", mend_en="Put the DMN file into the deployment, or correct the id",
)
def decision_unknown(document: Document) -> Hits:
    known = document.context.decisions
    if known is None:
        return
    for task in document.each("businessRuleTask"):
        decision = document.camunda(task, "decisionRef")
        if decision and decision not in known:
            zh, en = nearest(decision, known)
            yield hit(task, decision=decision, near_zh=zh, near=en)


@rule(
    "CALL-UNKNOWN", DRAFT,
    zh="“{name}”调用的流程“{process}”不存在{near_zh}", en='"{name}" calls the process "{process}", which does not exist{near}',
    mend_zh="请把它放进同一次部署，或改正 calledElement", mend_en="Put it into the deployment, or correct calledElement",
)
def call_unknown(document: Document) -> Hits:
    known = document.context.processes
    if known is None:
        return
    here = {
        element.get("id") or ""
        for other in document.together.values()
        for element in other.each("process", "globalTask", "globalUserTask", "globalScriptTask", "globalManualTask",
                                  "globalBusinessRuleTask")
    }
    for activity in document.each("callActivity"):
        key = (activity.get("calledElement") or "").strip()
        if is_expression(key):
            for choice in words(document.property(activity, "choices")):
                if choice not in known and choice not in here:
                    zh, en = nearest(choice, known | here)
                    yield hit(activity, process=choice, near_zh=zh, near=en)
            continue
        if not key or key in known or key in here or document.find(key) is not None:
            continue
        zh, en = nearest(key, known | here)
        yield hit(activity, process=key, near_zh=zh, near=en)


# --------------------------------------------------------------------------------------------- values of single fields
@rule(
    "FIELD-VALUE", DRAFT,
    zh="“{name}”的 {field} 不能是“{value}”", en='{field} of "{name}" cannot be "{value}"',
    mend_zh="{advice_zh}", mend_en="{advice}",
)
def values(document: Document) -> Hits:
    for element in document.all:
        kind = document.kind(element)
        for name, entry in document.properties(element).items():
            value = (entry.get("value") or "").strip()
            if name == "workingDue" and kind == "userTask" and not value.startswith("=") and not value.isdecimal():
                yield hit(element, field=name, value=value, advice_zh="请写 0、1、2……或以 = 开头的 FEEL",
                          advice="Write 0, 1, 2, … or FEEL that begins with =")
            if name == "suspends" and kind == "subProcess" and value not in ("true", "false"):
                yield hit(element, field=name, value=value, advice_zh="请写 true 或 false", advice="Write true or false")
        priority = document.camunda(element, "priority")
        if kind == "userTask" and priority.isdecimal() and int(priority) > 100:
            yield hit(element, field="camunda:priority", value=priority, advice_zh="请写 0 到 100", advice="Write 0 to 100")
        shape = document.camunda(element, "mapDecisionResult")
        shapes = next(field.choices for field in FIELDS if field.name == "mapDecisionResult")
        if shape and shape not in shapes:
            yield hit(element, field="camunda:mapDecisionResult", value=shape, advice_zh=f"请选择 {'、'.join(shapes)}",
                      advice=f"Choose one of {', '.join(shapes)}")
        for entry in document.extensions(element):
            text = (entry.text or "").strip()
            if entry.tag == f"{CAMUNDA}failedJobRetryTimeCycle" and text and not _is_retries(text):
                yield hit(element, field="camunda:failedJobRetryTimeCycle", value=text, advice_zh="例：R5/PT10M",
                          advice="E.g. R5/PT10M")


def _is_retries(text: str) -> bool:
    try:
        timers.check_bare("timeCycle", text, ZONE)
    except (timers.BadTime, OverflowError, ValueError):
        return False
    return text.upper().startswith("R")


@rule(
    "FIELD-SEPARATION", DRAFT,
    zh="“{name}”的 separateFrom 指向“{other}”，{why_zh}", en='separateFrom of "{name}" points at "{other}", which {why}',
    mend_zh="请填写本文件中用户任务的标识，或 流程.元素，逗号分隔", mend_en="Write ids of user tasks of this file, or process.element, comma separated",
)
def separation(document: Document) -> Hits:
    for task in document.each("userTask"):
        for other in words(document.property(task, "separateFrom")):
            if re.fullmatch(r"[\w-]+\.[\w-]+", other):
                continue  # a user task of another process of the same case, maybe of one that is not deployed yet
            target = document.find(other)
            if target is None:
                yield hit(task, other=other, why="does not exist", why_zh="它不存在")
            elif document.kind(target) != "userTask":
                yield hit(task, other=other, why=f"is a {document.kind(target)}", why_zh=f"它是 {document.kind(target)}")


@rule(
    "FIELD-BLIND", DRAFT,
    zh="“{name}”的 blindUntil 指向“{other}”，{why_zh}", en='blindUntil of "{name}" points at "{other}", {why}',
    mend_zh="{advice_zh}", mend_en="{advice}",
)
def blind(document: Document) -> Hits:
    for task in document.each("userTask"):
        text = document.property(task, "blindUntil")
        if text and not words(text):
            yield hit(task, other=text, why="which are no ids", why_zh="不是标识", advice_zh=_IDS_ZH, advice=_IDS)
        for other in words(text):
            target = document.find(other)
            if target is None or document.kind(target) != "userTask":
                yield hit(task, other=other, why="which is no user task of this file", why_zh="它不是本文件的用户任务", advice_zh=_IDS_ZH, advice=_IDS)
                continue
            if document.scope(target) is not document.scope(task):
                yield hit(task, other=other, why="which is in another process or sub-process", why_zh="它在另一个流程或子流程中",
                          advice_zh="请把两个任务画在同一个流程或子流程中", advice="Draw both in the same process or sub-process")
            elif any(_is_in_turns(document, each) for each in (task, target)):
                yield hit(task, other=other, why="but one of them runs several times in turn, so that the later one sees the earlier",
                          why_zh="但其中有循环或顺序多实例，后做的人会先看到前面的结果",
                          advice_zh="请改为并行多实例，或画成两个并行的任务", advice="Make it a parallel multi-instance task, or draw two parallel tasks")
            elif target is task and document.child(task, "multiInstanceLoopCharacteristics") is None:
                yield hit(task, other=other, why="which is itself", why_zh="它就是自己",
                          advice_zh="请填写另一个任务；只有并行多实例任务可填自身", advice="Name the other task; only a parallel multi-instance task may name itself")
            elif target is not task and not _are_parallel(document, task, target):
                yield hit(task, WARNING, other=other, why="but they are not parallel: one is done before the other or instead of it",
                          why_zh="但两者不是并行的：先后完成，或只走其一",
                          advice_zh="请用并行网关分出两个任务", advice="Let a parallel gateway lead to both")
            elif target is not task and (same := _written(document, task) & _written(document, target)):
                names = ", ".join(sorted(same))
                yield hit(task, WARNING, other=other, why=f"and both write {names}: the second takes the place of the first",
                          why_zh=f"但两者都写变量 {names},后完成的会覆盖先完成的",
                          advice_zh="请给两个表单的字段取不同的标识", advice="Give the fields of the two forms different keys")


_IDS_ZH, _IDS = "请填写同一流程中用户任务的标识，逗号分隔", "Write ids of user tasks of the same process, comma separated"


def _is_in_turns(document: Document, task: Element) -> bool:
    many = document.child(task, "multiInstanceLoopCharacteristics")
    return document.child(task, "standardLoopCharacteristics") is not None or (many is not None and many.get("isSequential") == "true")


def _written(document: Document, task: Element) -> frozenset[str]:
    if document.child(task, "multiInstanceLoopCharacteristics") is not None or any(e.tag == f"{CAMUNDA}inputOutput" for e in document.extensions(task)):
        return frozenset()  # into the scope of each instance; or by outputs, which have names of their own
    form = (document.context.form_names or {}).get(document.camunda(task, "formKey"))
    return frozenset() if form is None else form.writes


def _are_parallel(document: Document, one: Element, other: Element) -> bool:
    """True if a split sends tokens to both at once, and none reaches one of them from the other but through that split again."""
    splits = [
        node for node in document.each("parallelGateway", "inclusiveGateway", "complexGateway")
        if document.scope(node) is document.scope(one)
        and any(
            a is not b and one in _reached(document, [a], node) and other in _reached(document, [b], node)
            for a in document.successors(node) for b in document.successors(node)
        )
    ]
    return bool(splits) and not (
        other in _reached(document, document.successors(one), *splits) or one in _reached(document, document.successors(other), *splits)
    )


def _reached(document: Document, begin: list[Element], *without: Element) -> set[Element]:
    found: set[Element] = set()
    waiting = [node for node in begin if node not in without]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [after for after in document.successors(node) if after not in without]
    return found


@rule(
    "FIELD-PAIR", DRAFT,
    zh="“{name}”的 {given} 必须与 {missing} 同时填写", en='{given} of "{name}" needs {missing} as well',
    mend_zh="请补上 {missing}", mend_en="Add {missing}",
)
def pairs(document: Document) -> Hits:
    for loop in document.each("multiInstanceLoopCharacteristics"):
        activity = loop.getparent()
        if activity is None:
            continue
        given = {**document.properties(activity), **document.properties(loop)}
        collection = "outputCollection" in given or document.child(loop, "loopDataOutputRef") is not None
        element = "outputElement" in given or document.child(loop, "outputDataItem") is not None
        if collection and not element:
            yield hit(activity, given="outputCollection", missing="outputElement")
        if element and not collection:
            yield hit(activity, given="outputElement", missing="outputCollection")


@rule(
    "FIELD-MAPPING", DRAFT,
    zh="“{name}”的映射不完整：{why_zh}", en='A mapping of "{name}" is incomplete: {why}',
    mend_zh="请补全来源与目标，值写成一个 FEEL 表达式", mend_en="Give source and target, the value as one FEEL expression",
)
def mappings(document: Document) -> Hits:
    for element in document.all:
        for entry in document.extensions(element):
            if entry.tag in (f"{CAMUNDA}in", f"{CAMUNDA}out") and not entry.get("businessKey"):
                if entry.get("variables") == "all":
                    continue
                if not (entry.get("source") or entry.get("sourceExpression")):
                    yield hit(element, why="no source", why_zh="没有来源")
                elif not entry.get("target"):
                    yield hit(element, why="no target", why_zh="没有目标")
            if entry.tag != f"{CAMUNDA}inputOutput":
                continue
            for parameter in entry.iterfind("*"):
                if not (parameter.get("name") or "").strip():
                    yield hit(element, why="a parameter without a name", why_zh="参数没有名称")
                elif len(parameter):
                    yield hit(element, why="a value that is no FEEL text", why_zh="值不是 FEEL 文本")


# ------------------------------------------------------------------------------------------------ names nobody reads
def _names_of(element: Element) -> Iterator[str]:
    for key in element.attrib:
        yield str(key)


_ATTRIBUTES = {field.name for field in FIELDS if field.form is Form.ATTRIBUTE}
_ELEMENTS = {field.name for field in FIELDS if field.form is Form.ELEMENT}
_PROPERTIES = {field.name for field in FIELDS if field.form is Form.PROPERTY}


def _camunda_names(document: Document) -> Iterator[tuple[Element, str, bool]]:
    """Yield (BPMN element, name, whether it is an attribute) of everything in Camunda's namespace."""
    for element in document.all:
        for key in _names_of(element):
            if key.startswith(CAMUNDA):
                yield element, key[len(CAMUNDA):], True
        for entry in document.extensions(element):
            tag = str(entry.tag)
            if tag.startswith(CAMUNDA):
                yield element, tag[len(CAMUNDA):], False


@rule(
    "CAMUNDA-CODE", DRAFT,
    zh="“{name}”的 camunda:{field} 引用程序代码，不会执行",
    en='camunda:{field} of "{name}" refers to program code, which is not run',
    mend_zh='请在 handlers/ 中登记处理程序，并用 camunda:type="external" 和 camunda:topic 引用',
    mend_en='Register a handler in handlers/ and refer to it by camunda:type="external" and camunda:topic',
)
def code(document: Document) -> Hits:
    for element, name, _ in _camunda_names(document):
        if name in FOREIGN_CODE:
            yield hit(element, field=name)
    for element in document.all:
        for key in _names_of(element):
            if key.startswith(_RELATED) and key.rsplit("}", 1)[1] in FOREIGN_CODE:
                yield hit(element, field=key.rsplit("}", 1)[1])


@rule(
    "CAMUNDA-NO-EFFECT", WARNING,
    zh="“{name}”的 camunda:{field} 在这里没有作用", en='camunda:{field} of "{name}" has no effect here',
    mend_zh="可以删除", mend_en="It may be removed",
)
def without_effect(document: Document) -> Hits:
    for element, name, _ in _camunda_names(document):
        if name in WITHOUT_EFFECT:
            yield hit(element, field=name)


@rule(
    "CAMUNDA-UNKNOWN", WARNING,
    zh="“{name}”的 camunda:{field} 没有人读取{near_zh}", en='Nobody reads camunda:{field} of "{name}"{near}',
    mend_zh="请对照 docs/diagrams.md 改正名称，或删除", mend_en="Correct the name (docs/diagrams.md), or remove it",
)
def unknown_name(document: Document) -> Hits:
    for element, name, is_attribute in _camunda_names(document):
        known = _ATTRIBUTES if is_attribute else _ELEMENTS | CHILDREN.keys()
        if name not in known | WITHOUT_EFFECT | FOREIGN_CODE:
            zh, en = nearest(name, known)
            yield hit(element, field=name, near_zh=zh, near=en)


@rule(
    "FIELD-UNKNOWN", WARNING,
    zh="“{name}”的属性“{field}”没有人读取{near_zh}", en='Nobody reads the property "{field}" of "{name}"{near}',
    mend_zh="请对照 docs/diagrams.md 改正名称，或删除", mend_en="Correct the name (docs/diagrams.md), or remove it",
)
def unknown_property(document: Document) -> Hits:
    for element in document.all:
        for name in document.properties(element):
            if name in _PROPERTIES or document.camunda(element, "topic"):  # a handler is given every property
                continue
            zh, en = nearest(name, _PROPERTIES)
            yield hit(element, field=name, near_zh=zh, near=en)


@rule(
    "FIELD-PLACE", WARNING,
    zh="{field} 在 {kind}“{name}”上没有意义", en='{field} means nothing at {kind} "{name}"',
    mend_zh="请移到这类元素上：{places}", mend_en="Move it to one of these: {places}",
)
def out_of_place(document: Document) -> Hits:
    for element in document.all:
        kinds = [document.kind(element)]
        if document.child(element, "multiInstanceLoopCharacteristics") is not None:
            kinds.append("multiInstanceLoopCharacteristics")
        events = frozenset(document.events(element))
        given = [(name, Form.ATTRIBUTE) for key in _names_of(element) if key.startswith(CAMUNDA) for name in [key[len(CAMUNDA):]]]
        if not document.camunda(element, "topic"):
            given += [(name, Form.PROPERTY) for name in document.properties(element)]
        given += [
            (str(entry.tag)[len(CAMUNDA):], Form.ELEMENT)
            for entry in document.extensions(element)
            if str(entry.tag).startswith(CAMUNDA)
        ]
        for name, form in given:
            fields = [field for field in FIELDS if field.name == name and field.form is form]
            if fields and not any(field.applies_to(kind, events) for field in fields for kind in kinds):
                places = sorted({place.kind for field in fields for place in field.places})
                yield hit(element, field=fields[0].written, places=", ".join(places))


@rule(
    "VENDOR", WARNING,
    zh="“{name}”上有其他厂商的扩展({namespace}),不会读取",
    en='"{name}" carries extensions of another vendor ({namespace}), which are not read',
    mend_zh="请改用 camunda: 的同名字段", mend_en="Use the camunda: field of the same meaning",
)
def other_vendor(document: Document) -> Hits:
    for element in document.all:
        found = {
            etree.QName(str(name)).namespace or ""
            for name in (*_names_of(element), *(entry.tag for entry in document.extensions(element)))
            if str(name).startswith(_RELATED)
        }
        for namespace in sorted(found):
            yield hit(element, namespace=namespace, name=label(element))


@rule(
    "FIELD-SUSPENDS", WARNING,
    zh="“{name}”不是事件子流程，suspends 没有作用", en='"{name}" is no event sub-process, so suspends has no effect',
    mend_zh="请改为事件子流程，或删除该属性", mend_en="Make it an event sub-process, or remove the property",
)
def suspends(document: Document) -> Hits:
    for scope in document.each("subProcess"):
        if document.property(scope, "suspends") == "true" and not document.is_event_sub_process(scope):
            yield hit(scope)
