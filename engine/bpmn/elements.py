"""The decision hidden here: what of BPMN 2.0 is run, what is only drawn, and what is refused. One row for each element and variant.

Reader and checker take their lists of kinds from this table; `docs/bpmn.md` is written from it by `python -m tests.check.write_docs`.
An element that no row knows is refused where it stands in an executable process. Sections are those of BPMN 2.0.2 (ISO/IEC 19510).
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from engine.bpmn.xml import BPMN

When = Callable[[etree._Element], bool]


class Status(StrEnum):
    EXECUTED = "executed"  #: moves tokens, or changes what those do
    DRAWN = "drawn"  #: may stand in an executable diagram and moves no token
    REFUSED = "refused"  #: the rule NOT-RUN stops it in an executable process


class Group(StrEnum):
    """What kind of thing a row is. The lists of kinds that reader and checker use are groups."""

    TASK = "task"
    SUB_PROCESS = "sub-process"
    CALL = "call"
    GATEWAY = "gateway"
    EVENT = "event"
    MARKER = "marker"  #: changes how an activity runs
    FLOW = "flow"
    DATA = "data"
    PEOPLE = "people"
    ARTIFACT = "artifact"
    COMMON = "common"  #: stands in any scope
    PROCESS = "process"
    GLOBAL_TASK = "global task"
    ROOT = "root"  #: stands beside processes
    COLLABORATION = "collaboration"
    CONVERSATION = "conversation"
    CHOREOGRAPHY = "choreography"  #: whole diagrams
    CHOREOGRAPHY_NODE = "choreography node"  #: node of a choreography; may not stand in a process


class Position(StrEnum):
    """Where an event stands."""

    START = "start"
    SUB_START = "embedded start"
    INTERRUPTING_START = "interrupting start"
    REPEATED_START = "non-interrupting start"
    CATCH = "catch"
    INTERRUPTING_BOUNDARY = "interrupting boundary"
    REPEATED_BOUNDARY = "non-interrupting boundary"
    THROW = "throw"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One element or variant.

    Attributes:
        key: names the row; of an event ``"<position>: <event>"``.
        tags: XML names that it is written with. parts: names that stand inside only and are told with it.
        when: of an element with one of the tags, whether it is this variant; None: always.
        does_zh, does_en: what it does here, one sentence.
        section: of the standard.
        proofs: tests, as ``tests/bpmn/test_x.py::test_y``; an executed row names one at least.
        position, event: of an event: ``none``, the name of its definition without ``EventDefinition``, ``multiple`` or
            ``parallelMultiple``.
    """

    key: str
    group: Group
    tags: tuple[str, ...]
    parts: tuple[str, ...] = ()
    when: When | None = None
    zh: str
    en: str
    status: Status
    does_zh: str
    does_en: str
    section: str
    proofs: tuple[str, ...] = ()
    position: Position | None = None
    event: str = ""


# --------------------------------------------------------------------------------------------------------- what a variant is
def _is(attribute: str, value: str) -> When:
    return lambda element: element.get(attribute) == value


def _has(attribute: str) -> When:
    return lambda element: element.get(attribute) is not None


def _holds(child: str) -> When:
    return lambda element: element.find(BPMN + child) is not None


def _stands_outside(parent: str) -> When:
    def when(element: etree._Element) -> bool:
        around = element.getparent()
        return around is None or around.tag != BPMN + parent

    return when


def _says(child: str, but: tuple[str, ...]) -> When:
    """It has a child with a text other than those given."""

    def when(element: etree._Element) -> bool:
        found = element.find(BPMN + child)
        return found is not None and (found.text or "").strip() not in ("", *but)

    return when


# ----------------------------------------------------------------------------------------------------- everything but events
_RUNS = "tests/bpmn/test_elements.py::test_what_the_table_calls_executed_runs"
_EVENTS = "tests/bpmn/test_elements.py::test_an_event_of_the_table_happens_where_it_stands"
_ACT, _DATA, _MULTI = "tests/bpmn/test_activities.py::", "tests/bpmn/test_data.py::", "tests/bpmn/test_multi_instance.py::"
_SEM, _JOINS, _STUCK, _TIME = (
    "tests/bpmn/test_semantics.py::", "tests/bpmn/test_joins.py::", "tests/bpmn/test_stuck.py::", "tests/bpmn/test_time.py::")


def _row(
    group: Group, key: str, zh: str, en: str, section: str, does_zh: str, does_en: str, *proofs: str,
    tags: Iterable[str] = (), parts: str = "", when: When | None = None, status: Status = Status.EXECUTED,
) -> Row:
    return Row(
        key=key, group=group, tags=tuple(tags) or (key.split(" ")[0],), parts=tuple(parts.split()), when=when, zh=zh, en=en,
        status=status, does_zh=does_zh, does_en=does_en, section=section, proofs=proofs)


_TASKS = (
    _row(Group.TASK, "task", "任务", "Task", "13.3.3", "令牌直接通过", "The token passes at once", _RUNS),
    _row(Group.TASK, "manualTask", "手工任务", "Manual Task", "13.3.3", "令牌直接通过：引擎不知道它何时完成",
         "The token passes at once: the engine cannot know when it is done", _RUNS),
    _row(Group.TASK, "userTask", "用户任务", "User Task", "13.3.3, 10.3.4", "进入办理人的待办，完成后继续",
         "Goes to the inbox of those who may do it and waits until one completes it",
         _ACT + "test_a_user_task_carries_all_its_fields", _RUNS, parts="rendering"),
    _row(Group.TASK, "serviceTask", "服务任务", "Service Task", "13.3.3", "由登记的处理程序作为作业执行（camunda:topic）",
         "A registered handler does it as a job (camunda:topic)",
         _ACT + "test_a_job_carries_its_input_retries_and_properties", _RUNS),
    _row(Group.TASK, "sendTask", "发送任务", "Send Task", "13.3.3", "发出消息，或作为作业交给处理程序（camunda:topic）",
         "Sends its message, or is a job for a handler (camunda:topic)", _ACT + "test_a_send_task_with_a_topic_is_a_job", _RUNS),
    _row(Group.TASK, "receiveTask", "接收任务", "Receive Task", "13.3.3", "等待名称与关联键相符的消息",
         "Waits for the message of its name and correlation key", _ACT + "test_subscriptions_say_who_may_send_and_by_which_form",
         _RUNS),
    _row(Group.TASK, "receiveTask instantiate", "启动实例的接收任务", "Instantiating Receive Task", "13.2",
         "没有空白开始事件时，由它的消息启动实例", "Its message starts an instance",
         "tests/bpmn/test_elements.py::test_an_instantiating_receive_task_gets_the_first_token", when=_is("instantiate", "true")),
    _row(Group.TASK, "scriptTask", "脚本任务", "Script Task", "13.3.3", "求值 FEEL 脚本并写入变量", "Evaluates FEEL into variables",
         _ACT + "test_expressions_of_camunda_7_are_translated_where_they_have_a_meaning", _RUNS, parts="script"),
    _row(Group.TASK, "businessRuleTask", "业务规则任务", "Business Rule Task", "13.3.3",
         "求 DMN 决策，或作为作业交给处理程序", "Asks a DMN decision, or is a job for a handler",
         _ACT + "test_a_decision_gives_its_result_in_the_shape_asked_for"),
)
_SCOPES = (
    _row(Group.SUB_PROCESS, "subProcess", "子流程", "Sub-Process", "13.3.4", "内部所有令牌结束后继续",
         "Goes on when no token is left inside", _SEM + "test_terminate_ends_its_scope_only", _RUNS),
    _row(Group.SUB_PROCESS, "subProcess triggeredByEvent", "事件子流程", "Event Sub-Process", "13.5.4",
         "所在作用域活动期间等待自己的开始事件，不参与顺序流", "Waits for its start event while its scope is active; no flow leads to it",
         _SEM + "test_event_sub_process_runs_again_and_has_its_own",
         _SEM + "test_interrupting_event_sub_process_ends_the_rest_of_its_scope", when=_is("triggeredByEvent", "true")),
    _row(Group.SUB_PROCESS, "transaction", "事务", "Transaction", "10.3.5, 13.5.5",
         "取消时补偿已完成的活动，再走取消边界事件", "When cancelled, what completed is compensated, then the cancel event follows",
         _SEM + "test_cancelled_transaction_undoes_every_instance", _SEM + "test_a_completed_transaction_can_be_undone_later", _RUNS),
    _row(Group.SUB_PROCESS, "adHocSubProcess", "即席子流程", "Ad-Hoc Sub-Process", "13.3.5",
         "没有流入线的活动同时开始，全部结束后继续", "Everything without an incoming flow begins at once; goes on when all have ended", _RUNS, parts="completionCondition"),
    _row(Group.SUB_PROCESS, "adHocSubProcess ordering", "顺序的即席子流程", "Ad-Hoc Sub-Process, sequential ordering", "13.3.5",
         "尚不支持即席子流程的顺序执行", "Sequential ordering of an ad-hoc sub-process is not run",
         when=_is("ordering", "Sequential"), status=Status.REFUSED),
    _row(Group.SUB_PROCESS, "adHocSubProcess completionCondition", "即席子流程的完成条件", "Ad-Hoc Sub-Process, completion condition",
         "13.3.5", "尚不支持即席子流程的完成条件", "The completion condition of an ad-hoc sub-process is not run",
         when=_says("completionCondition", ("true", "=true", "= true")), status=Status.REFUSED),
    _row(Group.CALL, "callActivity", "调用活动", "Call Activity", "13.3.4",
         "在同一实例内运行被调用的流程或全局任务，变量按映射传递",
         "Runs the called process or global task within the instance; mappings say what goes in and out",
         _DATA + "test_a_called_process_sees_only_what_is_mapped_and_gives_only_what_is_mapped",
         _SEM + "test_recursive_calls_and_an_error_through_all_of_them", _RUNS),
)
_ACTIVITY_TAGS = tuple(row.tags[0] for row in (*_TASKS, *_SCOPES) if " " not in row.key)
_MARKERS = (
    _row(Group.MARKER, "standardLoopCharacteristics", "标准循环", "Standard Loop", "13.3.6",
         "条件成立时重复，条件可先于或后于活动判断，次数可设上限", "Repeats while its condition holds, tested before or after, up to a maximum",
         _SEM + "test_standard_loops_with_boundary_and_condition_first", _RUNS, parts="loopCondition"),
    _row(Group.MARKER, "multiInstanceLoopCharacteristics parallel", "并行多实例", "Multi-Instance, parallel", "13.3.7",
         "按次数或集合同时运行，完成条件成立时取消其余", "Runs as often as cardinality or collection say, side by side; a completion "
         "condition cancels the rest", _SEM + "test_multi_instance_quorum_cancels_the_rest",
         _SEM + "test_multi_instance_items_and_nesting", _RUNS, when=lambda element: element.get("isSequential") != "true",
         parts="loopCardinality completionCondition inputDataItem outputDataItem loopDataInputRef loopDataOutputRef"),
    _row(Group.MARKER, "multiInstanceLoopCharacteristics sequential", "顺序多实例", "Multi-Instance, sequential", "13.3.7",
         "按次数或集合逐个运行", "Runs as often as cardinality or collection say, one after the other",
         _SEM + "test_multi_instance_gathers_results", _RUNS, when=_is("isSequential", "true")),
    _row(Group.MARKER, "multiInstanceLoopCharacteristics None", "多实例：每个完成都抛出事件", "Multi-Instance, behaviour None", "13.3.7",
         "每个实例完成时向边界事件抛出给定事件", "Throws its event to its boundary events whenever an instance completes", _RUNS, when=_is("behavior", "None")),
    _row(Group.MARKER, "multiInstanceLoopCharacteristics One", "多实例：首个完成抛出事件", "Multi-Instance, behaviour One", "13.3.7",
         "首个实例完成时向边界事件抛出给定事件", "Throws its event to its boundary events when the first instance completes", _RUNS, when=_is("behavior", "One")),
    _row(Group.MARKER, "multiInstanceLoopCharacteristics Complex", "多实例：复杂行为", "Multi-Instance, behaviour Complex", "13.3.7",
         "每个实例完成时，条件成立的定义抛出其事件并结束整个活动",
         "Whenever an instance completes, each definition whose condition holds throws its event and ends the activity",
         _MULTI + "test_a_complex_behaviour_throws_its_event_and_ends_the_activity_once_its_condition_holds",
         _MULTI + "test_every_complex_definition_whose_condition_holds_throws_its_event",
         when=_is("behavior", "Complex"), parts="complexBehaviorDefinition"),
    _row(Group.MARKER, "implicitThrowEvent", "隐式抛出事件", "Implicit Throw Event", "10.3.8",
         "只能写在多实例的 Complex 行为中", "Stands within the complex behaviour of a multi-instance activity only",
         tags=("implicitThrowEvent", "event"), status=Status.REFUSED,
         when=_stands_outside("complexBehaviorDefinition")),
    _row(Group.MARKER, "isForCompensation", "补偿活动", "Compensation Activity", "13.5.5",
         "只由补偿运行，不参与顺序流", "Runs by compensation only; no flow leads to it",
         _SEM + "test_compensation_runs_in_reverse_order_and_once", tags=_ACTIVITY_TAGS, when=_is("isForCompensation", "true")),
    _row(Group.MARKER, "startQuantity", "启动令牌数", "Start Quantity", "13.3.2",
         "集齐这么多令牌才开始一次", "Begins once for each so many tokens that came", _RUNS, tags=_ACTIVITY_TAGS,
         when=_has("startQuantity")),
    _row(Group.MARKER, "completionQuantity", "完成令牌数", "Completion Quantity", "13.3.2",
         "完成时在每条流出线上放出这么多令牌", "Puts so many tokens on each outgoing flow", _RUNS, tags=_ACTIVITY_TAGS,
         when=_has("completionQuantity")),
)
_GATEWAYS = (
    _row(Group.GATEWAY, "exclusiveGateway", "排他网关", "Exclusive Gateway", "13.4.2",
         "走第一条条件成立的流出线，都不成立走默认流；汇聚时逐个通过",
         "Takes the first flow whose condition holds, else the default one; lets every token pass when merging",
         "tests/bpmn/test_incidents.py::test_no_flow_to_take_is_an_incident", _RUNS),
    _row(Group.GATEWAY, "parallelGateway", "并行网关", "Parallel Gateway", "13.4.1",
         "每条流入线各取一个令牌，再放到每条流出线", "Takes one token from every incoming flow, puts one on every outgoing flow",
         _SEM + "test_parallel_join_in_a_loop_joins_every_turn", _SEM + "test_parallel_join_keeps_excess_tokens_for_the_next_time", _RUNS),
    _row(Group.GATEWAY, "inclusiveGateway", "包容网关", "Inclusive Gateway", "13.4.3",
         "走所有条件成立的流出线；汇聚时等待仍可能到达的令牌",
         "Takes every flow whose condition holds; as a join waits for tokens that can still come",
         _SEM + "test_inclusive_join_waits_only_for_what_can_reach_it",
         _JOINS + "test_an_inclusive_join_behind_a_rework_loop_waits_for_the_rework", _RUNS),
    _row(Group.GATEWAY, "complexGateway", "复杂网关", "Complex Gateway", "13.4.5",
         "激活条件成立时通过，吸收其余令牌后复位", "Fires when its activation condition holds, swallows the rest, then is ready again",
         _SEM + "test_two_of_three_complex_join_in_a_loop", _RUNS, parts="activationCondition"),
    _row(Group.GATEWAY, "eventBasedGateway", "事件网关", "Event-Based Gateway", "13.4.4",
         "同时等待其后各事件，先发生者胜出", "Waits for the events behind it; the first to happen wins",
         _SEM + "test_event_gateway_with_two_timers_and_a_message", _RUNS),
    _row(Group.GATEWAY, "eventBasedGateway instantiate", "启动实例的事件网关", "Instantiating Event-Based Gateway", "13.2, 13.4.4",
         "实例从这里开始，等待其后各事件", "An instance begins here and waits for the events behind it",
         "tests/bpmn/test_elements.py::test_an_instantiating_event_gateway_gets_the_first_token", when=_is("instantiate", "true")),
)
_FLOWS = (
    _row(Group.FLOW, "sequenceFlow", "顺序流", "Sequence Flow", "13.3.1", "把令牌带到下一个元素", "Carries tokens to the next element", _RUNS,
         parts="incoming outgoing"),
    _row(Group.FLOW, "sequenceFlow condition", "条件流", "Conditional Sequence Flow", "13.3.1",
         "条件成立才走；空值不算成立，不会悄悄走默认流", "Taken when its condition holds; null stops with an incident",
         "tests/bpmn/test_incidents.py::test_a_null_condition_does_not_slide_down_the_default_flow", _RUNS,
         when=_holds("conditionExpression"), parts="conditionExpression"),
    _row(Group.FLOW, "sequenceFlow default", "默认流", "Default Sequence Flow", "13.3.1",
         "其他条件都不成立时走", "Taken when no condition holds", _RUNS, tags=(
             *_ACTIVITY_TAGS, "exclusiveGateway", "inclusiveGateway", "complexGateway"), when=_has("default")),
)
_D, _R = Status.DRAWN, Status.REFUSED
_STATIC = (
    _row(Group.DATA, "dataObject", "数据对象", "Data Object", "10.4.1", "说明用；变量对流程内所有步骤可见",
         "Illustrates; every step sees the variables", tags=("dataObject", "dataObjectReference"), parts="dataState", status=_D),
    _row(Group.DATA, "dataStore", "数据存储", "Data Store", "10.4.1", "说明用，引擎不读写", "Illustrates; nothing is read or written",
         tags=("dataStoreReference",), parts="dataStore", status=_D),
    _row(Group.DATA, "property", "流程属性", "Property", "10.4.1", "声明作用域内的局部变量", "Declares a variable local to its scope", _RUNS),
    _row(Group.DATA, "ioSpecification", "输入输出规格", "Input/Output Specification", "10.4.2", "说明用，不搬运数据",
         "Illustrates; moves no data", status=_D, parts=(
             "dataInput dataOutput inputSet outputSet dataInputRefs dataOutputRefs optionalInputRefs optionalOutputRefs "
             "whileExecutingInputRefs whileExecutingOutputRefs inputSetRefs outputSetRefs")),
    _row(Group.DATA, "dataAssociation", "数据关联", "Data Association", "10.4.2", "说明用，不搬运数据", "Illustrates; moves no data",
         tags=("dataInputAssociation", "dataOutputAssociation"), parts="sourceRef targetRef", status=_D),
    _row(Group.DATA, "dataAssociation assignment", "带赋值的数据关联", "Data Association with assignment", "10.4.2",
         "尚不支持数据关联中的赋值", "Data associations with assignments are not run",
         tags=("dataInputAssociation", "dataOutputAssociation"), when=_holds("assignment"), parts="assignment from to", status=_R),
    _row(Group.DATA, "dataAssociation transformation", "带转换的数据关联", "Data Association with transformation", "10.4.2",
         "尚不支持数据关联中的转换", "Data associations with transformations are not run",
         tags=("dataInputAssociation", "dataOutputAssociation"), when=_holds("transformation"), parts="transformation", status=_R),
    _row(Group.DATA, "ioBinding", "输入输出绑定", "Input/Output Binding", "10.4.2", "说明用", "Illustrates",
         tags=("ioBinding", "supportedInterfaceRef"), status=_D),
    _row(Group.PEOPLE, "resourceRole", "资源角色", "Resource Role", "10.3.1, 8.4.12", "说明用；办理人由 camunda 字段给出",
         "Illustrates; camunda fields say who does it", tags=("resourceRole", "performer", "humanPerformer", "potentialOwner"),
         parts="resourceRef resourceAssignmentExpression resourceParameterBinding formalExpression expression", status=_D),
    _row(Group.PEOPLE, "laneSet", "泳道", "Lane", "10.8", "说明用：谁办理由任务的字段决定", "Illustrates: fields of the tasks say who does them",
         parts="lane childLaneSet partitionElement flowNodeRef", status=_D),
    _row(Group.ARTIFACT, "association", "关联", "Association", "8.4.1", "说明用；与补偿边界事件相连时指明补偿活动",
         "Illustrates; at a compensation event it names the handler", _SEM + "test_compensation_runs_in_reverse_order_and_once"),
    _row(Group.ARTIFACT, "group", "分组", "Group", "8.4.1", "说明用", "Illustrates",
         tags=("group", "artifact", "category"), parts="categoryValue categoryValueRef", status=_D),
    _row(Group.ARTIFACT, "textAnnotation", "文本注释", "Text Annotation", "8.4.1", "说明用", "Illustrates", parts="text", status=_D),
    _row(Group.COMMON, "documentation", "文档", "Documentation", "8.3.2", "说明用", "Illustrates", status=_D),
    _row(Group.COMMON, "extensionElements", "扩展元素", "Extension Elements", "8.3.3", "承载 docs/diagrams.md 所列字段",
         "Hold the fields of docs/diagrams.md", _ACT + "test_a_user_task_carries_all_its_fields", parts="extension"),
    _row(Group.COMMON, "auditing", "审计", "Auditing", "10.10", "说明用；一切都有历史记录", "Illustrates; everything has its history",
         status=_D),
    _row(Group.COMMON, "monitoring", "监控", "Monitoring", "10.11", "说明用", "Illustrates", status=_D),
    _row(Group.COMMON, "correlationSubscription", "关联订阅", "Correlation Subscription", "8.4.2",
         "说明用；关联键由 correlationKey 字段给出", "Illustrates; the field correlationKey says what correlates", status=_D,
         parts="correlationPropertyBinding dataPath"),
    _row(Group.PROCESS, "process", "流程", "Process", "13.2", "isExecutable=\"true\" 的流程可以部署和启动",
         "Can be deployed and started when isExecutable is true", _RUNS, parts="supports"),
    *(_row(Group.GLOBAL_TASK, tag, zh, en, "10.3.7", "由调用活动调用，如同只有一个任务的流程",
           "Called by a call activity, like a process of one task",
           "tests/bpmn/test_elements.py::test_a_call_activity_calls_a_global_task")
      for tag, zh, en in (
          ("globalTask", "全局任务", "Global Task"), ("globalUserTask", "全局用户任务", "Global User Task"),
          ("globalScriptTask", "全局脚本任务", "Global Script Task"), ("globalManualTask", "全局手工任务", "Global Manual Task"),
          ("globalBusinessRuleTask", "全局业务规则任务", "Global Business Rule Task"))),
    _row(Group.ROOT, "definitions", "定义", "Definitions", "8.2.1", "文件的根", "Root of the file", status=_D),
    _row(Group.ROOT, "import", "导入", "Import", "8.2.2", "不读取外部文件，会提醒", "The file is not read; a warning says so",
         parts="relationship source target", status=_D),
    _row(Group.ROOT, "message", "消息", "Message", "8.4.11", "事件和任务按名称引用", "Events and tasks refer to it; its name counts",
         _SEM + "test_message_goes_to_one_catcher", parts="messagePath"),
    _row(Group.ROOT, "signal", "信号", "Signal", "8.4.5", "事件按名称引用", "Events refer to it; its name counts",
         _SEM + "test_signal_reaches_other_instances_and_start_events"),
    _row(Group.ROOT, "error", "错误", "Error", "8.4.3", "按代码捕获", "Caught by its code",
         _SEM + "test_the_exact_error_code_is_preferred_at_each_level", parts="errorRef"),
    _row(Group.ROOT, "escalation", "升级", "Escalation", "8.4.4", "按代码捕获", "Caught by its code",
         _SEM + "test_escalations_from_instances_do_not_interrupt"),
    _row(Group.ROOT, "itemDefinition", "数据类型", "Item Definition", "8.4.10", "说明用：值的种类由 FEEL 决定", "Illustrates: values are FEEL's",
         status=_D),
    _row(Group.ROOT, "resource", "资源", "Resource", "8.4.12", "说明用", "Illustrates", parts="resourceParameter", status=_D),
    _row(Group.ROOT, "interface", "服务接口", "Interface and Operation", "8.5", "说明用；消息由事件直接引用",
         "Illustrates; events refer to messages themselves",
         parts="operation operationRef inMessageRef outMessageRef interfaceRef endPoint endPointRef", status=_D),
    _row(Group.ROOT, "correlationProperty", "关联属性", "Correlation Property and Key", "8.4.2",
         "说明用；关联键由 correlationKey 字段给出", "Illustrates; the field correlationKey says what correlates",
         parts="correlationKey correlationPropertyRef correlationPropertyRetrievalExpression", status=_D),
    _row(Group.ROOT, "partnerEntity", "合作方", "Partner Entity and Role", "9.3", "说明用", "Illustrates",
         tags=("partnerEntity", "partnerRole"), parts="participantRef", status=_D),
    _row(Group.COLLABORATION, "collaboration", "协作", "Collaboration", "9", "说明用：各池内的流程各自运行",
         "Illustrates: the processes of its pools run on their own", status=_D),
    _row(Group.COLLABORATION, "participant", "泳池", "Pool (Participant)", "9.3", "说明用", "Illustrates",
         parts="participantMultiplicity participantAssociation innerParticipantRef outerParticipantRef", status=_D),
    _row(Group.COLLABORATION, "messageFlow", "消息流", "Message Flow", "9.4", "说明用：消息按名称与关联键送达",
         "Illustrates: messages find their receiver by name and correlation key", parts="messageFlowAssociation messageFlowRef", status=_D),
    _row(Group.CONVERSATION, "conversation", "会话", "Conversation", "9.5", "说明用", "Illustrates", status=_D,
         tags=("conversation", "subConversation", "callConversation", "globalConversation"),
         parts="conversationLink conversationAssociation conversationNode"),
    _row(Group.CHOREOGRAPHY, "choreography", "编排", "Choreography", "11", "说明用", "Illustrates",
         tags=("choreography", "globalChoreographyTask"), parts="choreographyRef", status=_D),
    *(_row(Group.CHOREOGRAPHY_NODE, tag, zh, en, "11.5", "编排元素不能在流程中执行", "Elements of choreographies are not run in a process",
           status=_R)
      for tag, zh, en in (
          ("choreographyTask", "编排任务", "Choreography Task"), ("subChoreography", "子编排", "Sub-Choreography"),
          ("callChoreography", "调用编排", "Call Choreography"))),
)


# -------------------------------------------------------------------------------------------------------------------- events
@dataclass(frozen=True, slots=True)
class _Place:
    tag: str
    zh: str
    en: str
    section: str
    then_zh: str
    then_en: str
    kinds: str


_FREE = "message timer conditional signal"
_PLACES = {
    Position.START: _Place(
        "startEvent", "开始事件", "Start Event", "13.5.1", "由此启动实例", "an instance begins here", f"none {_FREE} multiple parallelMultiple"),
    Position.SUB_START: _Place(
        "startEvent", "子流程开始事件", "Start Event of a Sub-Process", "13.5.1", "子流程从这里开始", "the sub-process begins here", "none"),
    Position.INTERRUPTING_START: _Place(
        "startEvent", "事件子流程开始（中断）", "Event Sub-Process Start, interrupting", "13.5.4", "结束所在作用域的其余部分，再运行事件子流程",
        "the rest of the scope ends and the event sub-process runs", f"{_FREE} error escalation compensate multiple parallelMultiple"),
    Position.REPEATED_START: _Place(
        "startEvent", "事件子流程开始（非中断）", "Event Sub-Process Start, non-interrupting", "13.5.4", "另外运行事件子流程，可多次",
        "the event sub-process runs beside the rest, each time", f"{_FREE} escalation multiple parallelMultiple"),
    Position.CATCH: _Place(
        "intermediateCatchEvent", "中间捕获事件", "Intermediate Catch Event", "13.5.2", "令牌等到它发生才继续", "the token waits until it happens",
        f"{_FREE} link multiple parallelMultiple"),
    Position.INTERRUPTING_BOUNDARY: _Place(
        "boundaryEvent", "边界事件（中断）", "Boundary Event, interrupting", "13.5.3", "取消所附活动，走它的流出线",
        "its activity is cancelled and its own flow taken", f"{_FREE} error escalation cancel compensate multiple parallelMultiple"),
    Position.REPEATED_BOUNDARY: _Place(
        "boundaryEvent", "边界事件（非中断）", "Boundary Event, non-interrupting", "13.5.3", "活动继续，另走它的流出线，可多次",
        "its activity goes on and its own flow is taken besides, each time", f"{_FREE} escalation multiple parallelMultiple"),
    Position.THROW: _Place(
        "intermediateThrowEvent", "中间抛出事件", "Intermediate Throw Event", "13.5.2", "然后令牌继续", "then the token goes on",
        "none message signal escalation compensate link multiple"),
    Position.END: _Place(
        "endEvent", "结束事件", "End Event", "13.5.6", "然后令牌结束", "then the token ends",
        "none message error escalation cancel compensate signal terminate multiple"),
}
_CATCHES = {
    "none": ("空白", "None", "没有触发条件", "Waits for nothing"),
    "message": ("消息", "Message", "等待名称与关联键相符的消息", "Waits for the message of its name and correlation key"),
    "timer": ("定时", "Timer", "等到日期、时长或周期", "Waits for a date, a duration or each turn of a cycle"),
    "conditional": ("条件", "Conditional", "等到条件由假变真", "Waits until its condition becomes true"),
    "signal": ("信号", "Signal", "等待同名信号，不论谁广播", "Waits for the signal of its name, whoever broadcasts it"),
    "error": ("错误", "Error", "捕获里面抛出的错误，代码相同者优先", "Catches an error from within; the exact code is preferred"),
    "escalation": ("升级", "Escalation", "捕获里面抛出的升级，代码相同者优先", "Catches an escalation from within; the exact code is preferred"),
    "cancel": ("取消", "Cancel", "捕获事务的取消，补偿之后", "Catches the cancellation of its transaction, after the compensation"),
    "compensate": ("补偿", "Compensation", "登记已完成的活动，待补偿时撤销", "What completed is undone here when compensation is asked for"),
    "link": ("链接", "Link", "接收同名链接抛出的令牌", "Takes the tokens of the throwing links of its name"),
    "multiple": ("多重", "Multiple", "所列事件任一发生即可", "Waits for any one of its events"),
    "parallelMultiple": ("并行多重", "Parallel Multiple", "所列事件须全部发生", "Waits for all of its events"),
}
_THROWS = {
    "none": ("空白", "None", "什么也不抛出", "Throws nothing"),
    "message": ("消息", "Message", "发出消息，先找本实例内的接收者，再找其他实例", "Sends its message, to a receiver inside first, else to another instance"),
    "signal": ("信号", "Signal", "广播信号", "Broadcasts its signal"),
    "error": ("错误", "Error", "抛出错误，由最近的捕获者处理，无人捕获则为异常事项", "Throws its error to the nearest catcher; without one it is an incident"),
    "escalation": ("升级", "Escalation", "抛出升级，由最近的捕获者处理", "Throws its escalation to the nearest catcher"),
    "cancel": ("取消", "Cancel", "取消所在事务并补偿", "Cancels its transaction and compensates"),
    "compensate": ("补偿", "Compensation", "按完成的逆序补偿一个活动或整个作用域", "Undoes one activity or all of the scope, last completed first"),
    "terminate": ("终止", "Terminate", "结束所在作用域的一切令牌", "Ends every token of its scope"),
    "link": ("链接", "Link", "把令牌送到同名的链接捕获处", "Sends the token to the catching link of its name"),
    "multiple": ("多重", "Multiple", "抛出所列的全部事件", "Throws all of its events"),
}
_THROWING = (Position.THROW, Position.END)


def _event_rows() -> Iterator[Row]:
    for position, place in _PLACES.items():
        texts = _THROWS if position in _THROWING else _CATCHES
        for kind in place.kinds.split():
            zh, en, does_zh, does_en = texts[kind]
            # the handler of a compensation event waits for nothing and interrupts nothing
            undoes = kind == "compensate" and position is Position.INTERRUPTING_BOUNDARY
            yield Row(
                key=f"{position}: {kind}", group=Group.EVENT, tags=(place.tag,), zh=f"{zh}{place.zh}", en=f"{en} {place.en}",
                status=Status.EXECUTED, section=place.section, proofs=(_EVENTS,), position=position, event=kind,
                does_zh=does_zh if undoes else f"{does_zh}；{place.then_zh}", does_en=does_en if undoes else f"{does_en}; {place.then_en}")


_DEFINITIONS = tuple(
    _row(Group.ROOT, f"{kind}EventDefinition", f"{zh}事件定义", f"{en} Event Definition", "10.5.5", "说明事件等待或抛出什么；也可共用于多个事件",
         "Says what an event waits for or throws; several events may share one", _EVENTS, parts=parts)
    for kind, zh, en, parts in (
        ("message", "消息", "Message", ""), ("timer", "定时", "Timer", "timeDate timeDuration timeCycle"),
        ("conditional", "条件", "Conditional", "condition"), ("signal", "信号", "Signal", "eventDefinitionRef"), ("error", "错误", "Error", ""),
        ("escalation", "升级", "Escalation", ""), ("cancel", "取消", "Cancel", ""), ("compensate", "补偿", "Compensation", ""),
        ("link", "链接", "Link", ""), ("terminate", "终止", "Terminate", "")))

ROWS: tuple[Row, ...] = (
    *_TASKS, *_SCOPES, *_MARKERS, *_GATEWAYS, *_event_rows(), *_DEFINITIONS, *_FLOWS, *_STATIC)

_BY_TAG: dict[str, tuple[Row, ...]] = {}
for _each in ROWS:
    for _tag in _each.tags:
        _BY_TAG[_tag] = (*_BY_TAG.get(_tag, ()), _each)

#: Every XML name that the table knows.
KNOWN = frozenset(name for row in ROWS for name in (*row.tags, *row.parts))


def tags(*groups: Group) -> frozenset[str]:
    """Return the XML names of the rows of these groups, refused ones too."""
    return frozenset(tag for row in ROWS if row.group in groups for tag in row.tags)


EVENTS = tags(Group.EVENT)
ACTIVITIES = tags(Group.TASK, Group.SUB_PROCESS, Group.CALL)
NODES = ACTIVITIES | EVENTS | tags(Group.GATEWAY)

#: What may stand in a scope beside its nodes.
BESIDE_NODES = (
    tags(Group.DATA, Group.PEOPLE, Group.ARTIFACT, Group.COMMON)
    | frozenset(tag for row in ROWS if row.group in (Group.FLOW, Group.MARKER) and row.status is not Status.REFUSED for tag in row.tags)
    | frozenset(part for row in ROWS if row.key in ("sequenceFlow", "adHocSubProcess") for part in row.parts)
) - NODES


def refused(element: etree._Element, tag: str) -> Iterator[Row]:
    """Yield the rows that say an element is not run; `tag`: its name without the namespace."""
    for row in _BY_TAG.get(tag, ()):
        if row.status is Status.REFUSED and (row.when is None or row.when(element)):
            yield row


def events_at(*positions: Position) -> frozenset[str]:
    """Return the event definitions that may stand at any of these positions, as ``message``, ``timer``, …."""
    no_definition = {"none", "multiple", "parallelMultiple"}
    return frozenset(row.event for row in ROWS if row.position in positions and row.event not in no_definition)


def positions_of(tag: str) -> tuple[Position, ...]:
    """Return where an event of this XML name may stand."""
    return tuple(position for position, place in _PLACES.items() if place.tag == tag)


def as_markdown() -> str:
    """Return the table of `docs/bpmn.md`."""
    words = {Status.EXECUTED: "执行 executed", Status.DRAWN: "仅绘图 drawn", Status.REFUSED: "拒绝 refused"}
    lines = ["| element | name | here | what it does | BPMN 2.0.2 | tests |", "|---|---|---|---|---|---|"]
    for row in ROWS:
        proofs = "<br>".join(f"`{proof.rsplit('::', 1)[1]}`" for proof in row.proofs) or "-"
        lines.append(
            f"| `{row.key}` | {row.zh} / {row.en} | {words[row.status]} | {row.does_zh}。 {row.does_en}. | {row.section} | {proofs} |")
    return "\n".join(lines) + "\n"
