"""The processes that are measured: drawn once, given to each arm in its own language.

W1 approval: start, service, user task A, exclusive gateway, user task B, two services in parallel, join, end; three durable
operations. W2 bid: 11 user tasks and 4 services, a called process with one of each, an interrupting boundary timer of seven days,
two decisions of which one may loop back, three branches in parallel; 13 durable operations. W3: ten services in the command that
starts it. W4: a user task in a loop. WT: a user task with a boundary timer that leads to another, for firing many.
WI: ten user tasks in parallel, for filling an inbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

Kind = Literal["start", "end", "user", "service", "exclusive", "parallel", "call", "timer"]
#: ``(variable, comparison of FEEL, literal or variable as FEEL writes it)``
Condition = tuple[str, str, str]

GROUP = "bid_manager"
#: The job type of every service; its handler gives ``{"svc_done": 1}``.
SERVICE = "bench.work"

#: Eight fields, some 700 bytes as JSON.
START: Mapping[str, Any] = {
    "customer": "华东某某市轨道交通集团有限公司（信息化建设管理办公室）",
    "project": "智慧车站综合管理平台建设项目（二期）公开招标",
    "summary": (
        "本项目包括综合管理平台软件开发、服务器及网络设备采购、系统集成、培训与三年运行维护服务；"
        "投标人须具备电子与智能化工程专业承包资质及信息安全服务资质，不接受联合体投标。"
    ),
    "amount": 12_860_000,
    "region": "华东",
    "deadline_text": "2026-12-28 09:30 北京时间",
    "contact": {"name": "张伟", "phone": "021-5555-0123", "mail": "zhang.wei@example.com"},
    "files": ["招标公告.pdf", "技术规范书.docx", "工程量清单.xlsx", "合同条款（专用部分）.docx"],
}


def answer(turn: int) -> dict[str, Any]:
    """Return what a person submits with every completion: some 150 bytes."""
    return {"approved": True, "comment": "材料齐全，报价依据充分，同意按会议纪要的意见进入下一环节，请继续办理并留存附件。", "i": turn}


@dataclass(frozen=True, slots=True)
class Node:
    """`at`: the user task that a timer is attached to; `called`: the process of a call activity."""

    kind: Kind
    name: str = ""
    at: str = ""
    called: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """`condition` None on the flow out of an exclusive gateway: the default flow."""

    source: str
    target: str
    condition: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One diagram. `inputs`: variables that the start gives."""

    id: str
    nodes: Mapping[str, Node]
    flows: tuple[Flow, ...]
    inputs: tuple[str, ...] = ()

    def out_of(self, node: str) -> list[Flow]:
        return [flow for flow in self.flows if flow.source == node]


def _process(id: str, nodes: Mapping[str, Node], *paths: str, inputs: tuple[str, ...] = (), **conditions: Condition) -> Process:
    """`paths`: ``"a b c"`` draws a flow from each to the next. `conditions`: ``gateway__target=(…)``."""
    flows = list[Flow]()
    for path in paths:
        words = path.split()
        flows += [Flow(a, b, conditions.get(f"{a}__{b}")) for a, b in pairwise(words)]
    return Process(id=id, nodes=nodes, flows=tuple(flows), inputs=inputs)


_ENDS = {"start": Node("start"), "end": Node("end")}
_AGREED: Condition = ("approved", "=", "true")

W1 = _process(
    "w1",
    {
        **_ENDS, "declined": Node("end"), "register": Node("service", "登记"), "a": Node("user", "初审"), "agreed": Node("exclusive"),
        "b": Node("user", "复审"), "fork": Node("parallel"), "archive": Node("service", "归档"), "notify": Node("service", "通知"),
        "join": Node("parallel"),
    },
    "start register a agreed b fork archive join end", "fork notify join", "agreed declined", agreed__b=_AGREED,
)  # fmt: skip
LEGAL = _process(
    "legal", {**_ENDS, "assess": Node("user", "法务审查"), "file": Node("service", "法务归档")}, "start assess file end"
)
W2 = _process(
    "w2",
    {
        **_ENDS, "declined": Node("end"), "too_late": Node("end"), "register": Node("service", "登记"), "screen": Node("user", "筛选"),
        "pursue": Node("exclusive"), "plan": Node("user", "制定投标计划"), "overdue": Node("timer", at="plan", after="P7D"),
        "tell": Node("service", "通知"), "fork": Node("parallel"), "commercial": Node("user", "编制商务标"),
        "check": Node("user", "核对商务标"), "technical": Node("user", "编制技术标"), "calculate": Node("service", "成本测算"),
        "lawyers": Node("call", "法务审查", called="legal"), "join": Node("parallel"), "again": Node("exclusive"),
        "compile": Node("user", "汇总标书"), "review": Node("user", "评审"), "passed": Node("exclusive"), "price": Node("user", "报价"),
        "seal": Node("user", "用印"), "archive": Node("service", "归档"), "submit": Node("user", "递交"), "debrief": Node("user", "复盘"),
    },
    "start register screen pursue plan tell fork commercial check join again compile review passed price seal archive submit debrief end",
    "pursue declined", "overdue too_late", "fork technical calculate join", "fork lawyers join", "passed again",
    pursue__plan=_AGREED, passed__price=_AGREED,
)  # fmt: skip
W3 = _process("w3", {**_ENDS, **{f"s{n}": Node("service", f"第{n}步") for n in range(10)}},
              "start " + " ".join(f"s{n}" for n in range(10)) + " end")  # fmt: skip
W4 = _process(
    "w4", {**_ENDS, "again": Node("exclusive"), "a": Node("user", "修改"), "more": Node("exclusive")},
    "start again a more end", "more again", inputs=("limit",), more__again=("i", "<", "limit"),
)  # fmt: skip
WT = _process(
    "wt", {**_ENDS, "a": Node("user", "确认"), "overdue": Node("timer", at="a", after="P1D"), "chase": Node("user", "催办")},
    "start a end", "overdue chase end",
)  # fmt: skip
WI = _process(
    "wi", {**_ENDS, "fork": Node("parallel"), "join": Node("parallel"), **{f"u{n}": Node("user", f"第{n}份材料") for n in range(10)}},
    "start fork", *(f"fork u{n} join" for n in range(10)), "join end",
)  # fmt: skip
#: ``{id: process}``; a called one stands before its caller.
PROCESSES = {process.id: process for process in (W1, LEGAL, W2, W3, W4, WT, WI)}

_NAMESPACES = (
    'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xmlns:camunda="http://camunda.org/schema/1.0/bpmn" targetNamespace="urn:psmflow:bench"'
)
_TAGS = {
    "start": "startEvent", "end": "endEvent", "user": "userTask", "exclusive": "exclusiveGateway", "parallel": "parallelGateway",
    "call": "callActivity", "timer": "boundaryEvent",
}  # fmt: skip
_PYTHON = {"=": "==", "true": "True", "false": "False"}


def xml(process: Process, dialect: Literal["psmflow", "spiff"]) -> bytes:
    """Return the diagram: with service tasks and FEEL for psmflow, with script tasks and Python for plain SpiffWorkflow."""
    parts = list[str]()
    defaults = {
        id: _flow_id(flow) for id, node in process.nodes.items() if node.kind == "exclusive" for flow in process.out_of(id)
        if flow.condition is None
    }  # fmt: skip
    for id, node in process.nodes.items():
        inner = "".join(f"<incoming>{_flow_id(f)}</incoming>" for f in process.flows if f.target == id)
        inner += "".join(f"<outgoing>{_flow_id(f)}</outgoing>" for f in process.out_of(id))
        attributes = {"id": id, "name": node.name}
        tag = _TAGS.get(node.kind, "")
        if node.kind == "service" and dialect == "psmflow":
            tag, attributes = "serviceTask", {**attributes, "camunda:type": "external", "camunda:topic": SERVICE}
        elif node.kind == "service":
            tag, inner = "scriptTask", inner + "<script>svc_done = work()</script>"
        elif node.kind == "user" and dialect == "psmflow":
            attributes["camunda:candidateGroups"] = GROUP
        elif node.kind == "timer":
            attributes["attachedToRef"] = node.at
            inner += (
                '<timerEventDefinition><timeDuration xsi:type="tFormalExpression">'
                f"{node.after if dialect == 'psmflow' else repr(node.after)}</timeDuration></timerEventDefinition>"
            )
        elif node.kind == "call":
            attributes["calledElement"] = node.called
        elif node.kind == "exclusive" and id in defaults and len(process.out_of(id)) > 1:
            attributes["default"] = defaults[id]
        words = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items() if value)
        parts.append(f"<{tag}{words}>{inner}</{tag}>")
    for flow in process.flows:
        condition = ""
        if flow.condition is not None:
            words_of = flow.condition if dialect == "psmflow" else tuple(_PYTHON.get(word, word) for word in flow.condition)
            condition = f'<conditionExpression xsi:type="tFormalExpression">{escape(" ".join(words_of))}</conditionExpression>'
        parts.append(
            f'<sequenceFlow id="{_flow_id(flow)}" sourceRef="{flow.source}" targetRef="{flow.target}">{condition}</sequenceFlow>'
        )
    inputs = starters = ""
    if dialect == "psmflow":
        starters = f' camunda:candidateStarterGroups="{GROUP}"'
    if process.inputs and dialect == "psmflow":
        inputs = (
            '<extensionElements><camunda:properties><camunda:property name="inputs" value='
            f"{quoteattr(', '.join(process.inputs))}/></camunda:properties></extensionElements>"
        )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><definitions id="d_{process.id}" {_NAMESPACES}>'
        f'<process id="{process.id}" name="{process.id.upper()}" isExecutable="true"{starters}>{inputs}{"".join(parts)}</process></definitions>'
    ).encode()


def _flow_id(flow: Flow) -> str:
    return f"{flow.source}_to_{flow.target}"
