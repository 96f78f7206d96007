"""Data as BPMN describes it: sets, associations, item definitions. psmflow does not execute them, but refuses contradictions."""

from __future__ import annotations

from collections.abc import Iterator

from engine.bpmn.check.document import GLOBAL_TASKS, SUB_PROCESSES, Document, Element
from engine.bpmn.check.rule import DRAFT, WARNING, Hits, hit, label, rule
from engine.bpmn.xml import XSI_TYPE


def _item(document: Document, element: Element) -> tuple[Element | None, bool]:
    """Return (item definition, whether it is a collection) behind an item-aware element."""
    aware = element
    if document.kind(element) == "dataObjectReference":
        referred = document.find(element.get("dataObjectRef"))
        aware = element if referred is None else referred
    return document.find(aware.get("itemSubjectRef")), aware.get("isCollection") == "true"


def _type(definition: Element | None) -> str | None:
    return None if definition is None else definition.get("structureRef") or definition.get("id")


def _named(document: Document, element: Element, kind: str) -> Element | None:
    """Return the element that a child with an id as its text means."""
    child = document.child(element, kind)
    return None if child is None else document.find(document.text(child))


def _associations(document: Document) -> Iterator[Element]:
    return document.each("dataInputAssociation", "dataOutputAssociation")


@rule(
    "DATA-COLLECTION", DRAFT,
    zh="“{name}”的集合标记与数据项定义不一致", en='The collection mark of "{name}" differs from its item definition',
    mend_zh="请使二者一致", mend_en="Make them agree",
)
def collection(document: Document) -> Hits:
    for element in document.each("dataInput", "dataOutput", "dataObject", "inputDataItem", "outputDataItem"):
        definition = document.find(element.get("itemSubjectRef"))
        if definition is not None and (definition.get("isCollection") == "true") != (element.get("isCollection") == "true"):
            yield hit(element)


@rule(
    "DATA-SET", DRAFT,
    zh="“{name}”不属于任何输入/输出集合", en='"{name}" belongs to no input or output set',
    mend_zh="请加入集合", mend_en="Put it into a set",
)
def in_set(document: Document) -> Hits:
    referred = {document.text(child) for child in document.each("dataInputRefs", "dataOutputRefs")}
    yield from (hit(item) for item in document.each("dataInput", "dataOutput") if item.get("id") not in referred)


@rule(
    "DATA-OPTIONAL", DRAFT,
    zh="“{ref}”在集合中只作可选/执行中数据，却不在该集合内",
    en='"{ref}" is optional or while-executing in a set that does not contain it',
    mend_zh="请把它加入同一集合", mend_en="Add it to the same set",
)
def optional(document: Document) -> Hits:
    for kind, members in (("inputSet", "dataInputRefs"), ("outputSet", "dataOutputRefs")):
        for each in document.each(kind):
            mine = {document.text(child) for child in document.children(each, members)}
            for child in each:
                if document.kind(child).startswith(("optional", "whileExecuting")) and document.text(child) not in mine:
                    yield hit(each, ref=document.text(child))


@rule(
    "DATA-SETS-PAIR", DRAFT,
    zh="输入集合与输出集合没有互相引用", en="Input set and output set do not refer to each other",
    mend_zh="请在两边都引用", mend_en="Refer from both sides",
)
def sets_pair(document: Document) -> Hits:
    for kind, forth, back in (("inputSet", "outputSetRefs", "inputSetRefs"), ("outputSet", "inputSetRefs", "outputSetRefs")):
        for each in document.each(kind):
            for reference in document.children(each, forth):
                other = document.find(reference.text)
                if other is None:
                    continue
                if each.get("id") not in [document.text(child) for child in document.children(other, back)]:
                    yield hit(each)


@rule(
    "DATA-SOURCE", DRAFT,
    zh="数据关联方向不对：{why}", en="Data association the wrong way round: {why}",
    mend_zh="输出不能作为来源，输入不能作为目标", mend_en="A data output is no source, a data input no target",
)
def direction(document: Document) -> Hits:
    for association in document.each("dataInputAssociation"):
        for child in document.children(association, "sourceRef"):
            if document.kind(document.find(child.text)) == "dataOutput":
                yield hit(association, why=document.text(child))
        target = _named(document, association, "targetRef")
        if target is not None and document.kind(target) not in ("dataInput", "property"):
            yield hit(association, why=target.get("id"))
    for association in document.each("dataOutputAssociation"):
        target = _named(document, association, "targetRef")
        if target is not None and document.kind(target) == "dataInput":
            yield hit(association, why=target.get("id"))
        for child in document.children(association, "sourceRef"):
            source = document.find(child.text)
            if source is not None and document.kind(source) not in ("dataOutput", "property"):
                yield hit(association, why=document.text(child))


@rule(
    "DATA-TYPE", DRAFT,
    zh="数据关联两端的类型不同({a} / {b})", en="The ends of the data association have different types ({a} / {b})",
    mend_zh="请统一类型或加转换", mend_en="Make the types agree or add a transformation",
)
def types(document: Document) -> Hits:
    for association in _associations(document):
        if any(document.child(association, kind) is not None for kind in ("transformation", "assignment")):
            continue
        sources = [document.find(child.text) for child in document.children(association, "sourceRef")]
        target = _named(document, association, "targetRef")
        if len(sources) != 1 or sources[0] is None or target is None:
            continue
        a, b = _item(document, sources[0])[0], _item(document, target)[0]
        if a is not None and b is not None and _type(a) != _type(b):
            yield hit(association, a=_type(a), b=_type(b))


@rule(
    "DATA-TWO-SOURCES", DRAFT,
    zh="数据关联有多个来源，却没有转换", en="A data association with several sources needs a transformation",
    mend_zh="请加转换或拆成多条", mend_en="Add a transformation or split it",
)
def two_sources(document: Document) -> Hits:
    for association in _associations(document):
        several = len(document.children(association, "sourceRef")) > 1
        if several and document.child(association, "transformation") is None:
            yield hit(association)


def _within(element: Element, holder: Element | None) -> bool:
    return holder is not None and holder in element.iterancestors()


def _owner(document: Document, item: Element) -> Element | None:
    """Return the process, activity or event whose data it is."""
    holder = item.getparent()
    return holder.getparent() if holder is not None and document.kind(holder) == "ioSpecification" else holder


def _loops(document: Document) -> Iterator[tuple[Element, Element]]:
    for loop in document.each("multiInstanceLoopCharacteristics"):
        activity = loop.getparent()
        if activity is not None:
            yield loop, activity


@rule(
    "DATA-MI-TYPE", DRAFT,
    zh="多实例“{name}”的集合与单项类型不同", en='Collection and item of multi-instance "{name}" have different types',
    mend_zh="请统一类型", mend_en="Make them agree",
)
def instance_types(document: Document) -> Hits:
    for loop, activity in _loops(document):
        for reference, kind in (("loopDataInputRef", "inputDataItem"), ("loopDataOutputRef", "outputDataItem")):
            whole, item = _named(document, loop, reference), document.child(loop, kind)
            if whole is None or item is None:
                continue
            a, b = _item(document, whole)[0], document.find(item.get("itemSubjectRef"))
            if a is not None and b is not None and a.get("structureRef") != b.get("structureRef"):
                yield hit(activity)


@rule(
    "DATA-MI-ITEM", DRAFT,
    zh="多实例“{name}”的单项不能是集合", en='The item of multi-instance "{name}" cannot itself be the collection',
    mend_zh="请选择单项类型", mend_en="Choose the type of one item",
)
def instance_item(document: Document) -> Hits:
    for item in document.each("inputDataItem", "outputDataItem"):
        definition, loop = document.find(item.get("itemSubjectRef")), item.getparent()
        activity = None if loop is None else loop.getparent()
        if definition is not None and definition.get("isCollection") == "true" and activity is not None:
            yield hit(activity)


@rule(
    "DATA-MI-SOURCE", DRAFT,
    zh="多实例“{name}”的集合“{ref}”{why_zh}", en='Collection "{ref}" of multi-instance "{name}" {why}',
    mend_zh="请选择本活动的集合型数据，或用 camunda:collection",
    mend_en="Choose a collection of this activity, or use camunda:collection",
)
def instance_source(document: Document) -> Hits:
    for loop, activity in _loops(document):
        for reference, kind in (("loopDataInputRef", "dataInput"), ("loopDataOutputRef", "dataOutput")):
            whole = _named(document, loop, reference)
            if whole is None:
                continue
            definition, marked = _item(document, whole)
            own = document.kind(whole) == kind and activity in list(whole.iterancestors())
            if not marked and not (definition is not None and definition.get("isCollection") == "true"):
                yield hit(activity, ref=whole.get("id"), why="is no collection", why_zh="不是集合")
            elif document.kind(activity) not in SUB_PROCESSES and not own:
                yield hit(activity, ref=whole.get("id"), why="does not belong to the activity", why_zh="不属于本活动")
            elif document.kind(activity) in SUB_PROCESSES and not _within(loop, _owner(document, whole)):
                yield hit(activity, ref=whole.get("id"), why="is not visible there", why_zh="在那里不可见")


def _payload(document: Document, definition: Element) -> Element | None:
    """Return the item definition of what an event carries."""
    kind = document.kind(definition)[:-15]
    if kind == "message":
        message = document.find(definition.get("messageRef"))
        return None if message is None else document.find(message.get("itemRef"))
    if kind in ("signal", "error", "escalation"):
        thrown = document.find(definition.get(f"{kind}Ref"))
        return None if thrown is None else document.find(thrown.get("structureRef"))
    return None


@rule(
    "DATA-EVENT", DRAFT,
    zh="事件“{name}”的数据与其消息/信号不匹配", en='The data of event "{name}" do not match its message or signal',
    mend_zh="每个事件定义对应一个数据项，类型一致", mend_en="One data item per event definition, of the same type",
)
def event_data(document: Document) -> Hits:
    for event, definitions in document.definitions.items():
        items = [child for child in event if document.kind(child) in ("dataInput", "dataOutput")]
        payloads = [found for each in definitions if (found := _payload(document, each)) is not None]
        if items and len(definitions) > 1 and len(items) != len(definitions):
            yield hit(event)
            continue
        if not items or not payloads:
            continue
        typed = [document.find(item.get("itemSubjectRef")) for item in items]
        known = [each for each in typed if each is not None]
        differ = sorted(_type(each) or "" for each in payloads) != sorted(_type(each) or "" for each in known)
        if len(items) != len(payloads) or (differ and len(known) == len(typed)):
            yield hit(event)


def _interface(document: Document, element: Element) -> tuple[list[str], list[str]]:
    """Return the types of the inputs and of the outputs."""
    specification = document.child(element, "ioSpecification")
    if specification is None:
        return [], []
    inputs, outputs = (
        sorted(_type(document.find(item.get("itemSubjectRef"))) or "" for item in document.children(specification, kind))
        for kind in ("dataInput", "dataOutput")
    )
    return inputs, outputs


@rule(
    "DATA-CALL", DRAFT,
    zh="调用活动“{name}”的输入输出与被调用流程不一致",
    en='Inputs/outputs of call activity "{name}" differ from those of the called element',
    mend_zh="请使二者一致", mend_en="Make them agree",
)
def call_data(document: Document) -> Hits:
    for activity in document.each("callActivity"):
        target = document.find(activity.get("calledElement"))
        if target is None:
            continue
        described = any(document.child(each, "ioSpecification") is not None for each in (target, activity))
        if described and _interface(document, activity) != _interface(document, target):
            yield hit(activity)


@rule(
    "DATA-BINDING", DRAFT,
    zh="ioBinding 的数据类型与操作的消息不一致", en="The data of the ioBinding differ from the messages of its operation",
    mend_zh="请统一类型", mend_en="Make the types agree",
)
def binding(document: Document) -> Hits:
    for each in document.each("ioBinding"):
        operation = document.find(each.get("operationRef"))
        if operation is None:
            continue
        for reference, kind in (("inputDataRef", "inMessageRef"), ("outputDataRef", "outMessageRef")):
            data, message = document.find(each.get(reference)), _named(document, operation, kind)
            a = None if data is None else document.find(data.get("itemSubjectRef"))
            b = None if message is None else document.find(message.get("itemRef"))
            if a is not None and b is not None and _type(a) != _type(b):
                yield hit(each)


@rule(
    "DATA-NO-BINDING", DRAFT,
    zh="“{name}”支持接口，却没有 ioBinding", en='"{name}" supports an interface but has no ioBinding',
    mend_zh="请补充绑定", mend_en="Add the binding",
)
def no_binding(document: Document) -> Hits:
    for element in document.each("process", *GLOBAL_TASKS):
        supports = document.child(element, "supportedInterfaceRef") is not None
        specified = document.child(element, "ioSpecification") is not None
        if supports and specified and document.child(element, "ioBinding") is None:
            yield hit(element)


_SETS = {"serviceTask": (1, 1), "sendTask": (1, 0), "receiveTask": (0, 1)}


@rule(
    "DATA-IO-SETS", DRAFT,
    zh="{kind}“{name}”的数据输入/输出集合数量不对：{why}", en='Input/output sets of {kind} "{name}": {why}',
    mend_zh="请更正 ioSpecification", mend_en="Correct the ioSpecification",
)
def sets(document: Document) -> Hits:
    for kind, (inputs, outputs) in _SETS.items():
        for task in document.each(kind):
            specification = document.child(task, "ioSpecification")
            if specification is None:
                continue
            unbound = kind == "serviceTask" and not task.get("operationRef")
            count = {
                name: len(document.children(specification, name))
                for name in ("inputSet", "outputSet", "dataInput", "dataOutput")
            }
            several = count["inputSet"] > 1 or count["outputSet"] > 1
            if several or (not unbound and (count["dataInput"] > inputs or count["dataOutput"] > outputs)):
                yield hit(task, why=", ".join(f"{name} {n}" for name, n in count.items()))


def _messages(document: Document, operation: Element) -> tuple[Element | None, Element | None]:
    return _named(document, operation, "inMessageRef"), _named(document, operation, "outMessageRef")


@rule(
    "DATA-OPERATION", DRAFT,
    zh="“{name}”的消息或数据类型与操作不一致", en='Message or data type of "{name}" differ from its operation',
    mend_zh="请选择操作所用的消息", mend_en="Choose the message of the operation",
)
def operation(document: Document) -> Hits:
    for task in document.each("serviceTask", "sendTask", "receiveTask", "businessRuleTask"):
        if _differs_from_operation(document, task):
            yield hit(task)
    for definition in document.each("messageEventDefinition"):
        called, message = _named(document, definition, "operationRef"), document.find(definition.get("messageRef"))
        event = definition.getparent()
        if called is None or message is None or event is None or document.kind(called) != "operation":
            continue
        if all(message is not each for each in _messages(document, called)):
            yield hit(event)


def _differs_from_operation(document: Document, task: Element) -> bool:
    called, message = document.find(task.get("operationRef")), document.find(task.get("messageRef"))
    kind = document.kind(task)
    if called is not None and document.kind(called) == "operation":
        goes_in, comes_out = _messages(document, called)
    else:
        goes_in = message if kind == "sendTask" else None
        comes_out = message if kind == "receiveTask" else None
    if called is not None and message is not None and goes_in is not None and message is not goes_in:
        return True
    if kind == "receiveTask" and called is not None:
        goes_in, comes_out = None, goes_in
    specification = document.child(task, "ioSpecification")
    if specification is None:
        return False
    for expected, data in ((goes_in, "dataInput"), (comes_out, "dataOutput")):
        wanted = None if expected is None else document.find(expected.get("itemRef"))
        if wanted is None:
            continue
        given = [document.find(each.get("itemSubjectRef")) for each in document.children(specification, data)]
        if any(each is not None and _type(each) != _type(wanted) for each in given):
            return True
        if not given and kind == "serviceTask":
            return True
    return False


@rule(
    "DATA-OPERATION-IO", WARNING,
    zh="服务任务“{name}”引用了操作却没有数据输入", en='Service task "{name}" names an operation but has no data input',
    mend_zh="仅在使用接口定义时需要，可不理会", mend_en="Only needed with interface definitions; nothing depends on it",
)
def operation_data(document: Document) -> Hits:
    for task in document.each("serviceTask"):
        if task.get("operationRef") and document.child(task, "ioSpecification") is None:
            yield hit(task)


@rule(
    "DATA-UNTYPED", DRAFT,
    zh="“{name}”的数据没有类型，而其消息有类型", en='The data of "{name}" have no type, its message has one',
    mend_zh="请选择消息的数据项定义", mend_en="Choose the item definition of the message",
)
def untyped(document: Document) -> Hits:
    for task in document.each("sendTask", "receiveTask"):
        message, specification = document.find(task.get("messageRef")), document.child(task, "ioSpecification")
        if message is None or specification is None or document.find(message.get("itemRef")) is None:
            continue
        items = [*document.children(specification, "dataInput"), *document.children(specification, "dataOutput")]
        if any(not item.get("itemSubjectRef") for item in items):
            yield hit(task)
    for event, definitions in document.definitions.items():
        items = [child for child in event if document.kind(child) in ("dataInput", "dataOutput")]
        typed = all(_payload(document, each) is not None for each in definitions)
        if items and definitions and typed and any(not item.get("itemSubjectRef") for item in items):
            yield hit(event)


@rule(
    "DATA-STATE-NAME", DRAFT,
    zh="数据对象引用“{name}”的名称应为“名称 [状态]”", en='Name of data reference "{name}" should be "name [state]"',
    mend_zh="例：标书 [已提交]", mend_en="E.g. bid [submitted]",
)
def state_name(document: Document) -> Hits:
    for reference in document.each("dataObjectReference"):
        state, referred = document.child(reference, "dataState"), document.find(reference.get("dataObjectRef"))
        name = reference.get("name") or ""
        if state is None or referred is None or not name or not state.get("name"):
            continue
        if not (name.startswith(referred.get("name") or "") and name.rstrip().endswith(f"[{state.get('name')}]")):
            yield hit(reference)


@rule(
    "DATA-NOT-RUN", WARNING,
    zh="{kind}“{name}”仅作说明，不会搬运数据", en='{kind} "{name}" illustrates; it moves no data',
    mend_zh="变量对流程内所有步骤可见；要改名或换算请用输入输出映射",
    mend_en="Every step sees the variables; to rename or convert use an input/output mapping",
)
def not_run(document: Document) -> Hits:
    for association in _associations(document):
        if document.is_executable(association):
            holder = association.getparent()
            yield hit(association, name=label(association if holder is None else holder))


_FORMAL = (
    "timeDate", "timeDuration", "timeCycle", "conditionExpression", "condition", "activationCondition", "completionCondition",
    "loopCardinality", "loopCondition", "from", "to",
)


@rule(
    "EXPR-FORMAL", WARNING,
    zh="{kind} 没有标为 tFormalExpression", en="{kind} is not typed tFormalExpression",
    mend_zh="建模器会自动写入；不影响执行", mend_en="Modellers write it; execution does not depend on it",
)
def formal(document: Document) -> Hits:
    for expression in document.each(*_FORMAL):
        if XSI_TYPE not in expression.attrib and document.is_executable(expression):
            yield hit(expression)


@rule(
    "EXPR-EMPTY", DRAFT,
    zh="{kind} 的表达式为空", en="The expression of {kind} is empty",
    mend_zh="请填写，或删除该元素", mend_en="Fill it in, or remove the element",
)
def empty(document: Document) -> Hits:
    for expression in document.each(
        "activationCondition", "completionCondition", "loopCardinality", "loopCondition", "from", "to", "messagePath",
        "dataPath", "formalExpression", "transformation",
    ):
        runs = document.process(expression) is None or document.is_executable(expression)
        if not document.text(expression) and not len(expression) and runs:
            yield hit(expression, WARNING if document.kind(expression) == "loopCardinality" else None)


@rule(
    "CORR-KEY", DRAFT,
    zh="关联键“{name}”没有属性", en='Correlation key "{name}" has no property',
    mend_zh="请添加关联属性", mend_en="Add a correlation property",
)
def correlation_key(document: Document) -> Hits:
    for key in document.each("correlationKey"):
        if document.child(key, "correlationPropertyRef") is None:
            yield hit(key)


@rule(
    "DATA-OBJECT", DRAFT,
    zh="数据对象引用“{name}”{why_zh}", en='Data object reference "{name}" {why}',
    mend_zh="请引用一个数据对象；类型写在数据对象上，状态写在引用上",
    mend_en="Refer to a data object; its type stands at the object, its state at the reference",
)
def object_reference(document: Document) -> Hits:
    for reference in document.each("dataObjectReference"):
        if not (reference.get("dataObjectRef") or "").strip():
            yield hit(reference, why="refers to no data object", why_zh="没有引用数据对象")
        if reference.get("itemSubjectRef"):
            yield hit(reference, why="has a type of its own", why_zh="自带类型")
    for element in document.each("dataObject"):
        if document.child(element, "dataState") is not None:
            yield hit(element, why="is an object with a state", why_zh="是带状态的数据对象")


@rule(
    "DATA-SCOPE", DRAFT,
    zh="{kind}“{name}”用到的“{ref}”在这里不可见", en='"{ref}", which {kind} "{name}" uses, is not visible there',
    mend_zh="请把数据画在同一层或外层", mend_en="Draw the data in the same scope or in one around it",
)
def data_scope(document: Document) -> Hits:
    for reference in document.each("dataObjectReference"):
        target = document.find(reference.get("dataObjectRef"))
        if target is not None and document.kind(target) == "dataObject" and not _within(reference, target.getparent()):
            yield hit(reference, ref=label(target))
    for association in _associations(document):
        for child in association:
            if document.kind(child) not in ("sourceRef", "targetRef"):
                continue
            target = document.find(child.text)
            holder = None if target is None else target.getparent()
            if target is None or document.kind(target) not in ("dataObject", "dataObjectReference", "property"):
                continue
            if not _within(association, holder):
                yield hit(association, ref=label(target))


@rule(
    "DATA-OWN", DRAFT,
    zh="“{name}”的数据关联用了别处的“{ref}”", en='A data association of "{name}" uses "{ref}" of another element',
    mend_zh="流入数据的目标、流出数据的来源必须是该元素自己的数据",
    mend_en="Data that comes in goes to an input of the element itself, data that goes out comes from its own output",
)
def own_data(document: Document) -> Hits:
    for kind, end, own in (
        ("dataInputAssociation", "targetRef", ("dataInput", "inputDataItem")),
        ("dataOutputAssociation", "sourceRef", ("dataOutput", "outputDataItem")),
    ):
        for association in document.each(kind):
            holder = association.getparent()
            for child in document.children(association, end):
                target = document.find(child.text)
                if target is None or holder is None or document.kind(target) not in own:
                    continue
                if holder not in target.iterancestors():
                    yield hit(holder, ref=label(target))


@rule(
    "DATA-SET-FOREIGN", DRAFT,
    zh="“{name}”的数据集合包含别处的“{ref}”", en='A data set of "{name}" contains "{ref}" of another element',
    mend_zh="集合只能包含同一元素的数据", mend_en="A set contains data of the same element only",
)
def foreign_member(document: Document) -> Hits:
    for each in document.each("inputSet", "outputSet"):
        holder = each.getparent()
        for child in each:
            if not document.kind(child).endswith("Refs"):
                continue
            target = document.find(child.text)
            if target is not None and holder is not None and target.getparent() is not holder:
                yield hit(holder if holder.get("id") else each, ref=label(target))


@rule(
    "DATA-BINDING-OF", DRAFT,
    zh="“{name}”的 ioBinding 用了它不支持的操作“{ref}”", en='The ioBinding of "{name}" uses the operation "{ref}", which it does not support',
    mend_zh="请引用 supportedInterfaceRef 中的操作", mend_en="Use an operation of its supportedInterfaceRef",
)
def bound_operation(document: Document) -> Hits:
    for each in document.each("ioBinding"):
        element, operation_bound = each.getparent(), document.find(each.get("operationRef"))
        if element is None or operation_bound is None or document.kind(operation_bound) != "operation":
            continue
        supported = [document.find(child.text) for child in document.children(element, "supportedInterfaceRef")]
        if document.kind(element) in GLOBAL_TASKS | {"process"} and operation_bound.getparent() not in supported:
            yield hit(element, ref=label(operation_bound))


@rule(
    "EXPR-INFORMAL", DRAFT,
    zh="{kind} 标为普通文字(tExpression),不能执行", en="{kind} is marked as mere text (tExpression), which is not run",
    mend_zh="请改为 tFormalExpression", mend_en="Mark it as tFormalExpression",
)
def informal(document: Document) -> Hits:
    for expression in document.each(*_FORMAL, "expression"):
        marked = (expression.get(XSI_TYPE) or "").rsplit(":", 1)[-1]
        if document.is_executable(expression) and (marked == "tExpression" or document.kind(expression) == "expression"):
            yield hit(expression)


_LANGUAGES = ("feel", "juel", "xpath")  # the last is the standard's default, which tools write unasked


@rule(
    "EXPR-LANGUAGE", DRAFT,
    zh="{kind} 写明的表达式语言是“{language}”，只能执行 FEEL", en='{kind} is written in "{language}"; only FEEL is run',
    mend_zh="请改写为 FEEL，并删除 language", mend_en="Rewrite it in FEEL and remove language",
)
def expression_language(document: Document) -> Hits:
    for expression in document.each(*_FORMAL, "formalExpression", "messagePath", "dataPath", "transformation"):
        language = (expression.get("language") or "").strip()
        if language and not any(each in language.lower() for each in _LANGUAGES) and document.is_executable(expression):
            yield hit(expression, language=language)
