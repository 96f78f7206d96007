"""The single table of what psmflow reads beyond plain BPMN: parser, checker, properties panel and `docs/diagrams.md` follow it.

Names are Camunda 7's (namespace `http://camunda.org/schema/1.0/bpmn`), so that Camunda Modeler and bpmn-js edit the files; what
Camunda lacks is a `camunda:property` with a name of this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from engine.bpmn.xml import CAMUNDA


class Form(StrEnum):
    """Where a field stands in the file."""

    ATTRIBUTE = "attribute"  #: `camunda:<name>` of the element
    PROPERTY = "property"  #: `camunda:property name="<name>"` in its `camunda:properties`
    ELEMENT = "element"  #: `camunda:<name>` in its extension elements
    BPMN = "bpmn"  #: BPMN's own attribute or child element


class ValueKind(StrEnum):
    """What a value is. Where plain text is usual, FEEL begins with `=`."""

    TEXT = "text"
    FEEL = "feel"  #: always FEEL; a leading `=` is accepted
    GROUPS = "groups"  #: role ids, comma separated, or `=` FEEL that gives a text or a list
    USERS = "users"  #: user ids, likewise
    USER = "user"
    FORM = "form"
    JOB_TYPE = "job type"
    DECISION = "decision"
    PROCESS = "process"
    BOOLEAN = "boolean"
    INTEGER = "integer"  #: 0, 1, 2, … or `=` FEEL
    DURATION = "duration"  #: ISO 8601, or `R<count>/<duration>` for retries
    VARIABLE = "variable"
    ELEMENTS = "elements"  #: ids of user tasks of the same process, comma separated
    CHOICE = "choice"
    MAPPING = "mapping"  #: child elements; see `parts`


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An element kind that a field applies to. `event`: its event definition (``message``, ``none``); ``""``: any."""

    kind: str
    event: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A heading of the properties panel."""

    id: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing a diagram may say. `name`: as written in the file, without prefix; `parts`: attributes of its children."""

    name: str
    form: Form
    places: tuple[Place, ...]
    value: ValueKind
    group: str
    zh: str
    en: str
    help_zh: str
    help_en: str
    choices: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def written(self) -> str:
        """The name as the file has it: ``camunda:assignee``, ``workingDue``, ``calledElement``."""
        return f"camunda:{self.name}" if self.form in (Form.ATTRIBUTE, Form.ELEMENT) else self.name

    def applies_to(self, kind: str, events: frozenset[str] = frozenset()) -> bool:
        """Whether the field has a meaning at an element of this kind with these event definitions (none: ``none``)."""
        found = events or frozenset({"none"})
        return any(place.kind == kind and (not place.event or place.event in found) for place in self.places)


GROUPS = (
    Group(id="general", zh="常规", en="General"),
    Group(id="assignment", zh="办理人", en="Who does it"),
    Group(id="due", zh="期限", en="Due dates"),
    Group(id="separation", zh="职责分离", en="Separation of duties"),
    Group(id="form", zh="表单", en="Form"),
    Group(id="job", zh="处理程序", en="Handler"),
    Group(id="mapping", zh="输入与输出", en="Inputs and outputs"),
    Group(id="script", zh="脚本", en="Script"),
    Group(id="decision", zh="决策", en="Decision"),
    Group(id="call", zh="被调用流程", en="Called process"),
    Group(id="loop", zh="多实例", en="Multi-instance"),
    Group(id="adhoc", zh="即席子流程", en="Ad-hoc sub-process"),
    Group(id="message", zh="消息", en="Message"),
    Group(id="event", zh="事件", en="Event"),
)

_PROCESS = (Place(kind="process"),)
_USER = (Place(kind="userTask"), Place(kind="globalUserTask"))
_JOB = (
    Place(kind="serviceTask"), Place(kind="sendTask"), Place(kind="businessRuleTask"), Place(kind="globalBusinessRuleTask"))
_SCRIPT = (Place(kind="scriptTask"), Place(kind="globalScriptTask"))
_RULE = (Place(kind="businessRuleTask"), Place(kind="globalBusinessRuleTask"))
_CALL = (Place(kind="callActivity"),)
_LOOP = (Place(kind="multiInstanceLoopCharacteristics"),)
_AD_HOC = (Place(kind="adHocSubProcess"),)
_CATCH = (
    Place(kind="intermediateCatchEvent", event="message"),
    Place(kind="receiveTask"),
    Place(kind="startEvent", event="message"),
    Place(kind="boundaryEvent", event="message"),
)
_THROW = (
    Place(kind="intermediateThrowEvent", event="message"),
    Place(kind="endEvent", event="message"),
    Place(kind="sendTask"),
)

FIELDS: tuple[Field, ...] = (
    Field(
        name="versionTag", form=Form.ATTRIBUTE, places=_PROCESS, value=ValueKind.TEXT, group="general",
        zh="版本标签", en="Version tag",
        help_zh="给人看的版本号，如 1.2;每次部署另有自动编号。",
        help_en="The version as people call it; every deployment is numbered besides.",
    ),
    Field(
        name="candidateStarterGroups", form=Form.ATTRIBUTE, places=_PROCESS, value=ValueKind.GROUPS, group="assignment",
        zh="可启动的角色", en="Who may start it",
        help_zh="角色标识，逗号分隔；不填则只有流程负责人可启动。",
        help_en="Role ids, comma separated; without any, process owners only.",
    ),
    Field(
        name="inputs", form=Form.PROPERTY, places=_PROCESS, value=ValueKind.TEXT, group="general",
        zh="外部输入", en="Inputs",
        help_zh="启动接口或外部消息传入的变量名，逗号分隔；检查器据此认得它们。",
        help_en="Variables that come in by API, at the start or with a message, comma separated; so the checker knows them.",
    ),
    Field(
        name="assignee", form=Form.ATTRIBUTE, places=_USER, value=ValueKind.USER, group="assignment",
        zh="办理人", en="Assignee",
        help_zh="用户标识，或以 = 开头的 FEEL,如 = bid_owner。",
        help_en="A user id, or FEEL that begins with =, such as = bid_owner.",
    ),
    Field(
        name="candidateGroups", form=Form.ATTRIBUTE, places=_USER, value=ValueKind.GROUPS, group="assignment",
        zh="候选角色", en="Candidate groups",
        help_zh="角色标识，逗号分隔；其中任何人都可领取。",
        help_en="Role ids, comma separated; anybody in them may claim the task.",
    ),
    Field(
        name="candidateUsers", form=Form.ATTRIBUTE, places=_USER, value=ValueKind.USERS, group="assignment",
        zh="候选人", en="Candidate users",
        help_zh="用户标识，逗号分隔，或以 = 开头的 FEEL。", help_en="User ids, comma separated, or FEEL that begins with =.",
    ),
    Field(
        name="dueDate", form=Form.ATTRIBUTE, places=_USER, value=ValueKind.FEEL, group="due",
        zh="到期时间", en="Due date",
        help_zh="FEEL:时刻或时长，如 submission_deadline - duration(\"P2D\")。",
        help_en="FEEL: an instant or a duration, such as submission_deadline - duration(\"P2D\").",
    ),
    Field(
        name="followUpDate", form=Form.ATTRIBUTE, places=_USER, value=ValueKind.FEEL, group="due",
        zh="跟进时间", en="Follow-up date",
        help_zh="FEEL:在此之前待办中不突出显示。", help_en="FEEL: until then the inbox does not press for it.",
    ),
    Field(
        name="priority", form=Form.ATTRIBUTE, places=_USER, value=ValueKind.FEEL, group="due",
        zh="优先级", en="Priority",
        help_zh="0 到 100,默认 50。", help_en="0 to 100, by default 50.",
    ),
    Field(
        name="workingDue", form=Form.PROPERTY, places=_USER, value=ValueKind.INTEGER, group="due",
        zh="工作日期限", en="Working days until due",
        help_zh="几个工作日内完成；此项与到期时间都不填时为 2。", help_en="Without it and without a due date: 2.",
    ),
    Field(
        name="deadline", form=Form.PROPERTY, places=_USER, value=ValueKind.FEEL, group="due",
        zh="硬截止", en="Deadline",
        help_zh="FEEL 时刻，过后即为太晚；页面显示倒计时。",
        help_en="FEEL instant after which it is too late; shown as a countdown.",
    ),
    Field(
        name="separateFrom", form=Form.PROPERTY, places=_USER, value=ValueKind.ELEMENTS, group="separation",
        zh="须与这些任务不同人", en="Not by who did",
        help_zh="任务标识，逗号分隔，其他流程的写 流程.元素；完成过或正领取其中任一任务的人不能办理本任务。",
        help_en="Element ids, comma separated, of other processes as process.element: who completed or holds one may not do this one.",
    ),
    Field(
        name="separationRule", form=Form.PROPERTY, places=_USER, value=ValueKind.TEXT, group="separation",
        zh="规则编号", en="Rule number",
        help_zh="如 SOD-04,写入拒绝提示与历史。", help_en="Such as SOD-04, for the refusal and the history.",
    ),
    Field(
        name="blindUntil", form=Form.PROPERTY, places=_USER, value=ValueKind.ELEMENTS, group="separation",
        zh="结果保密至这些任务完成", en="Hidden until these are done",
        help_zh="本流程用户任务的标识，逗号分隔；在同一作用域内它们都完成之前，本任务填写的内容只有填写人看得到。并行多实例可填自身标识。",
        help_en="Ids of user tasks of the same scope, comma separated: until all are done, only who filled this task in sees what was "
        "written. A parallel multi-instance task may name itself.",
    ),
    Field(
        name="reassignGroups", form=Form.PROPERTY, places=_USER, value=ValueKind.GROUPS, group="separation",
        zh="只能由这些角色转派", en="Handed on only by",
        help_zh="角色标识，逗号分隔；填写后持有人和其他主管不能转派本任务。",
        help_en="Role ids, comma separated: then neither its holder nor other supervisors may hand the task on.",
    ),
    Field(
        name="formKey", form=Form.ATTRIBUTE, places=(*_USER, Place(kind="startEvent", event="none")), value=ValueKind.FORM,
        group="form", zh="表单", en="Form",
        help_zh="表单标识，如 <流程>.<元素>。", help_en="Id of a form, such as <process>.<element>.",
    ),
    Field(
        name="type", form=Form.ATTRIBUTE, places=_JOB, value=ValueKind.CHOICE, choices=("external",), group="job",
        zh="实现方式", en="Implementation",
        help_zh="填 external:由登记的处理程序执行。", help_en="Write external: a registered handler does the work.",
    ),
    Field(
        name="topic", form=Form.ATTRIBUTE, places=_JOB, value=ValueKind.JOB_TYPE, group="job",
        zh="作业类型", en="Job type",
        help_zh="处理程序的键，如 bid.remind。", help_en="The handler's key, such as bid.remind.",
    ),
    Field(
        name="failedJobRetryTimeCycle", form=Form.ELEMENT, places=_JOB, value=ValueKind.DURATION, group="job",
        zh="失败重试", en="Retries",
        help_zh="如 R5/PT10M:再试 5 次，每次间隔 10 分钟。", help_en="Such as R5/PT10M: five more attempts, ten minutes apart.",
    ),
    Field(
        name="inputOutput", form=Form.ELEMENT, places=(*_JOB, *_USER), value=ValueKind.MAPPING, parts=("name",),
        group="mapping", zh="输入与输出", en="Inputs and outputs",
        help_zh="inputParameter:变量名与 FEEL;outputParameter:对结果求值的 FEEL,写入变量。",
        help_en="inputParameter: FEEL per name; outputParameter: FEEL over the result, into a variable.",
    ),
    Field(
        name="scriptFormat", form=Form.BPMN, places=_SCRIPT, value=ValueKind.CHOICE, choices=("feel",), group="script",
        zh="脚本语言", en="Script language",
        help_zh="只能是 feel。", help_en="Only feel.",
    ),
    Field(
        name="resultVariable", form=Form.ATTRIBUTE, places=(*_SCRIPT, *_RULE), value=ValueKind.VARIABLE, group="script",
        zh="结果变量", en="Result variable",
        help_zh="值写入此变量；脚本不填时，结果上下文的各项成为变量。",
        help_en="Takes the value; without it the entries of a script's context become variables.",
    ),
    Field(
        name="decisionRef", form=Form.ATTRIBUTE, places=_RULE, value=ValueKind.DECISION, group="decision",
        zh="决策", en="Decision",
        help_zh="DMN 决策的标识。", help_en="Id of a DMN decision.",
    ),
    Field(
        name="mapDecisionResult", form=Form.ATTRIBUTE, places=_RULE, value=ValueKind.CHOICE, group="decision",
        choices=("singleEntry", "singleResult", "collectEntries", "resultList"),
        zh="结果形式", en="Shape of the result",
        help_zh="单值、单行、一列或多行。", help_en="One value, one row, one column or all rows.",
    ),
    Field(
        name="calledElement", form=Form.BPMN, places=_CALL, value=ValueKind.PROCESS, group="call",
        zh="被调用流程", en="Called process",
        help_zh="流程标识，或以 = 开头的表达式。", help_en="Id of a process, or an expression that begins with =.",
    ),
    Field(
        name="choices", form=Form.PROPERTY, places=_CALL, value=ValueKind.TEXT, group="call",
        zh="可选流程", en="Choices",
        help_zh="由表达式决定被调用流程时，可调用的流程标识，用逗号分隔；不写则为全部已部署流程。",
        help_en="Where an expression names the called process: ids of those it may name, comma separated; without it all that are deployed.",
    ),
    Field(
        name="in", form=Form.ELEMENT, places=_CALL, value=ValueKind.MAPPING, group="call",
        parts=("source", "sourceExpression", "target", "variables", "businessKey"),
        zh="传入", en="Passed in",
        help_zh="source 或 sourceExpression 到 target,或 variables=\"all\";都不写则全部传入。",
        help_en="source or sourceExpression to target, or variables=\"all\"; without any mapping everything.",
    ),
    Field(
        name="live", form=Form.PROPERTY, places=_CALL, value=ValueKind.TEXT, group="call",
        zh="随动变量", en="Live",
        help_zh="传入的变量名，用逗号分隔：调用方改变它们时，被调用流程里的同时改变，其计时器与到期日随之移动。",
        help_en="Names that are passed in, comma separated: they follow the caller's variables while the called process runs, and its timers and due dates with them.",
    ),
    Field(
        name="out", form=Form.ELEMENT, places=_CALL, value=ValueKind.MAPPING, group="call",
        parts=("source", "sourceExpression", "target", "variables"),
        zh="传出", en="Passed out",
        help_zh="同上，方向相反。", help_en="Likewise, the other way.",
    ),
    Field(
        name="collection", form=Form.ATTRIBUTE, places=_LOOP, value=ValueKind.FEEL, group="loop",
        zh="集合", en="Collection",
        help_zh="FEEL 列表，每项一个实例。", help_en="FEEL list, an instance for each item.",
    ),
    Field(
        name="elementVariable", form=Form.ATTRIBUTE, places=_LOOP, value=ValueKind.VARIABLE, group="loop",
        zh="单项变量", en="Variable of the item",
        help_zh="在每个实例中保存集合的一项。", help_en="Holds the item within each instance.",
    ),
    Field(
        name="loopCardinality", form=Form.BPMN, places=_LOOP, value=ValueKind.FEEL, group="loop",
        zh="次数", en="Number of instances",
        help_zh="FEEL 整数；与集合二者取一。", help_en="FEEL whole number; this or a collection.",
    ),
    Field(
        name="completionCondition", form=Form.BPMN, places=_LOOP, value=ValueKind.FEEL, group="loop",
        zh="提前完成条件", en="Completion condition",
        help_zh="FEEL;为真时其余实例取消。可用 nrOfInstances、nrOfActiveInstances、nrOfCompletedInstances、nrOfTerminatedInstances。",
        help_en="FEEL; once true the others are cancelled. nrOfInstances, nrOfActiveInstances, nrOfCompletedInstances, nrOfTerminatedInstances.",
    ),
    Field(
        name="outputCollection", form=Form.PROPERTY, places=_LOOP, value=ValueKind.VARIABLE, group="loop",
        zh="结果列表", en="Output collection",
        help_zh="收集各实例结果的列表变量。", help_en="List variable that collects the results.",
    ),
    Field(
        name="outputElement", form=Form.PROPERTY, places=_LOOP, value=ValueKind.FEEL, group="loop",
        zh="单项结果", en="Output element",
        help_zh="在每个实例结束时求值的 FEEL。", help_en="FEEL evaluated in each instance when it ends.",
    ),
    Field(
        name="activeElements", form=Form.PROPERTY, places=_AD_HOC, value=ValueKind.FEEL, group="adhoc",
        zh="启用的活动", en="Activities to enable",
        help_zh="FEEL 列表：要启用的活动标识；不填则启用全部没有流入线的活动。每一轮重新求值。",
        help_en="FEEL list of the ids to enable; without it all without incoming flow. Asked anew in each round.",
    ),
    Field(
        name="correlationKey", form=Form.PROPERTY, places=(*_CATCH, *_THROW), value=ValueKind.FEEL, group="message",
        zh="关联键", en="Correlation key",
        help_zh="FEEL;不填则用 BPMN 的关联键，没有关联键则用实例的业务编号。",
        help_en="FEEL; without it BPMN's correlation keys, else the business key of the instance.",
    ),
    Field(
        name="candidateGroups", form=Form.PROPERTY, places=_CATCH, value=ValueKind.GROUPS, group="message",
        zh="可代发的角色", en="Who may send it",
        help_zh="这些角色的人可在实例页面发出此消息。", help_en="People of these groups may send it from the instance page.",
    ),
    Field(
        name="form", form=Form.PROPERTY, places=_CATCH, value=ValueKind.FORM, group="message",
        zh="代发表单", en="Form of the message",
        help_zh="代发时填写的表单。", help_en="What they fill in.",
    ),
    Field(
        name="payload", form=Form.PROPERTY,
        places=(*_THROW, Place(kind="intermediateThrowEvent", event="signal"), Place(kind="endEvent", event="signal")),
        value=ValueKind.FEEL, group="message", zh="内容", en="Payload",
        help_zh="FEEL 上下文，随消息或信号发出。", help_en="FEEL context that goes with the message or signal.",
    ),
    Field(
        name="errorCodeVariable", form=Form.ATTRIBUTE, places=(Place(kind="errorEventDefinition"),), value=ValueKind.VARIABLE,
        group="event", zh="错误代码变量", en="Variable of the error code",
        help_zh="捕获时存放错误代码。", help_en="Takes the code of the error that was caught.",
    ),
    Field(
        name="errorMessageVariable", form=Form.ATTRIBUTE, places=(Place(kind="errorEventDefinition"),), value=ValueKind.VARIABLE,
        group="event", zh="错误说明变量", en="Variable of the error message",
        help_zh="捕获时存放错误说明。", help_en="Takes the message of the error that was caught.",
    ),
    Field(
        name="escalationCodeVariable", form=Form.ATTRIBUTE, places=(Place(kind="escalationEventDefinition"),),
        value=ValueKind.VARIABLE, group="event", zh="升级代码变量", en="Variable of the escalation code",
        help_zh="捕获时存放升级代码。", help_en="Takes the code of the escalation that was caught.",
    ),
    Field(
        name="suspends", form=Form.PROPERTY, places=(Place(kind="subProcess"),), value=ValueKind.BOOLEAN, group="event",
        zh="运行时挂起其余部分", en="Suspends the rest",
        help_zh="仅事件子流程：运行期间同层其余部分挂起，时长停走，日期不停。",
        help_en="Event sub-process only: while it runs, the rest of its scope is suspended; only dates go on.",
    ),
    Field(
        name="outcome", form=Form.PROPERTY, places=(Place(kind="endEvent"),), value=ValueKind.TEXT, group="event",
        zh="结局", en="Outcome",
        help_zh="文字或以 = 开头的 FEEL;写入变量 outcome。",
        help_en="Text, or FEEL that begins with =; sets the variable outcome.",
    ),
)

#: Children of `camunda:inputOutput` and `camunda:properties`, and those containers: ``{element: attributes}``.
CHILDREN: dict[str, frozenset[str]] = {
    "properties": frozenset(),
    "property": frozenset({"id", "name", "value"}),
    "inputParameter": frozenset({"name"}),
    "outputParameter": frozenset({"name"}),
}

#: Camunda names that its tools write and that change nothing here.
WITHOUT_EFFECT = frozenset({
    "asyncBefore", "asyncAfter", "async", "exclusive", "jobPriority", "taskPriority", "historyTimeToLive",
    "isStartableInTasklist", "initiator", "formRefBinding", "modelerTemplate", "modelerTemplateVersion",
    "modelerTemplateIcon", "diagramRelationId", "decisionRefBinding", "calledElementBinding",
    "potentialStarter", "variableName", "variableEvents",
})

#: Camunda names that carry code or reach outside the handlers: refused, for nobody would run them.
FOREIGN_CODE = frozenset({
    "class", "delegateExpression", "expression", "executionListener", "taskListener", "script", "connector",
    "formHandlerClass", "resource", "variableMappingClass", "variableMappingDelegateExpression",
    "errorEventDefinition", "list", "map",
})


def fields_of(kind: str, events: frozenset[str] = frozenset()) -> Iterator[Field]:
    """Yield the fields that mean something at an element of this kind; `events`: its event definitions (``message``)."""
    return (field for field in FIELDS if field.applies_to(kind, events))


def as_json() -> dict[str, object]:
    """Return the table for the properties panel.

    ``{"namespace": uri, "groups": [{"id", "zh", "en"}], "fields": [{"name", "form", "places": [{"kind", "event"}], "value",
    "group", "label": {"zh", "en"}, "help": {"zh", "en"}, "choices", "parts"}]}``, in the order in which it is shown.
    """
    return {
        "namespace": CAMUNDA[1:-1],
        "groups": [{"id": group.id, "zh": group.zh, "en": group.en} for group in GROUPS],
        "fields": [
            {
                "name": field.name,
                "form": field.form.value,
                "places": [{"kind": place.kind, "event": place.event} for place in field.places],
                "value": field.value.value,
                "group": field.group,
                "label": {"zh": field.zh, "en": field.en},
                "help": {"zh": field.help_zh, "en": field.help_en},
                "choices": list(field.choices),
                "parts": list(field.parts),
            }
            for field in FIELDS
        ],
    }


def as_markdown() -> str:
    """Return the section of `docs/diagrams.md` that lists every field with its place, kind of value and help."""
    lines = ["| field | form | at | value | label | help |", "|---|---|---|---|---|---|"]
    for field in FIELDS:
        places = ", ".join(f"{place.kind} ({place.event})" if place.event else place.kind for place in field.places)
        value = " / ".join(field.choices) if field.choices else field.value.value
        texts = f"{field.zh} / {field.en} | {field.help_zh} {field.help_en}"
        lines.append(f"| `{field.written}` | {field.form} | {places} | {value} | {texts} |")
    return "\n".join(lines) + "\n"
