"""Tells the history of a process instance in sentences: one line for each fact that means something to a person.

Token movement and data writes are left to the replay; what a person wrote (a reason) is quoted, form values never are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from engine import events
from engine.events import Event, Recorded
from engine.model import RESEAL_REASONS
from web.language import gettext, language, local_times, when

#: ``{(process key, element id): name}``, and ``{("", outcome): what the end event of that outcome is called}``
Names = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry of a timeline. `tone`: ``ok``, ``warn``, ``bad``, ``muted`` or empty; `said`: a person's own words."""

    seq: int
    at: datetime
    text: str
    who: str = ""
    said: str = ""
    tone: str = ""
    element: str = ""
    computed: bool = False  #: came of a condition, an expression or a decision, which can be explained


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an event says: text, tone, and the words of a person."""

    text: str
    tone: str = ""
    said: str = ""


def tell(
    history: Iterable[Recorded], names: Names, person: Callable[[str], str], *, newest_first: bool = False, brief: bool = False,
) -> tuple[Line, ...]:
    """Return the lines of a timeline.

    Args:
        person: gives the name of a user id.
        brief: one line for what people take for one thing (taking and completing a task at once, one notice to many).
    """
    lines = []
    for recorded in _brief(history) if brief else history:
        told = sentence(recorded.event, names, person)
        if told is not None:
            who = person(recorded.actor)
            if recorded.acting_for:
                who = gettext("%(who)s（代%(whom)s）", who=who, whom=person(recorded.acting_for))
            lines.append(Line(seq=recorded.seq, at=recorded.at, text=told.text, tone=told.tone, said=told.said, who=who,
                              element=getattr(recorded.event, "element", None) or "",
                              computed=is_computed(recorded.event)))
    return tuple(reversed(lines)) if newest_first else tuple(lines)


def is_computed(event: Event) -> bool:
    """True if `engine.instances.explain` may have something to tell of the event."""
    match event:
        case events.FlowTaken(condition=condition, is_default=is_default):
            return is_default or condition is not None
        case events.ExpressionWasNull() | events.DecisionEvaluated():
            return True
    return False


def _brief(history: Iterable[Recorded]) -> list[Recorded]:
    kept: list[Recorded] = []
    for recorded in history:
        event, before = recorded.event, kept[-1] if kept else None
        if before is not None and before.at == recorded.at:
            was = before.event
            if isinstance(event, events.UserTaskCompleted) and isinstance(was, events.UserTaskClaimed) and was.token == event.token:
                kept.pop()
            elif isinstance(event, events.NotificationSent) and isinstance(was, events.NotificationSent) and was.subject == event.subject:
                kept.pop()
                recorded = replace(recorded, event=replace(event, recipients=(*was.recipients, *event.recipients)))
        kept.append(recorded)
    return kept


def element_name(event: Event, names: Names) -> str:
    """Return the label of the element an event is about, else its id."""
    element = getattr(event, "element", None) or ""
    return names.get((getattr(event, "process", ""), element)) or element


_REMINDERS = {
    "half": lambda: gettext("时限过半"),
    "due_soon": lambda: gettext("即将到期"),
    "overdue": lambda: gettext("已逾期"),
    "overdue_owner": lambda: gettext("逾期上报"),
}


def sentence(event: Event, names: Names, person: Callable[[str], str]) -> Told | None:
    """Return what an event says to a person, None if nothing."""
    name = element_name(event, names)
    told = _sentence(event, names, person, name)
    # What a person wrote stays as it is; machines write instants in their own way.
    return told if told is None or not told.said or not isinstance(event, _BY_MACHINE) else replace(told, said=local_times(told.said))


def reseal_reason(word: str) -> str:
    """Return why a sealed price got a new version, in the reader's language."""
    zh, en = RESEAL_REASONS.get(word, (word, word))
    return zh if language() == "zh" else en


_BY_MACHINE = (events.JobFailed, events.NotificationFailed, events.ExpressionWasNull, events.IncidentOpened)


def _sentence(event: Event, names: Names, person: Callable[[str], str], name: str) -> Told | None:
    match event:
        case events.InstanceStarted():
            return Told(text=gettext("发起流程"), tone="ok")
        case events.InstanceCompleted(outcome=outcome):
            outcome = names.get(("", outcome or "")) or outcome
            return Told(text=gettext("流程结束：%(outcome)s", outcome=outcome) if outcome else gettext("流程结束"), tone="ok")
        case events.InstanceCancelled(reason=reason):
            return Told(text=gettext("取消流程"), tone="bad", said=reason)
        case events.InstanceSuspended(reason=reason):
            return Told(text=gettext("挂起流程"), tone="warn", said=reason)
        case events.InstanceResumed():
            return Told(text=gettext("恢复流程"), tone="ok")
        case events.RegisterEntryWritten(register=register, change="amended", reason=reason):
            return Told(text=gettext("“%(name)s”更正了台账 %(register)s", name=name, register=register), tone="ok", said=reason)
        case events.RegisterEntryWritten(register=register):
            return Told(text=gettext("“%(name)s”登记了台账 %(register)s", name=name, register=register), tone="ok")
        case events.ScopeSuspended():
            return Told(text=gettext("“%(name)s”开始，其余部分挂起", name=name), tone="warn")
        case events.ScopeResumed():
            return Told(text=gettext("“%(name)s”结束，不再挂起其余部分", name=name), tone="ok")
        case events.UserTaskCreated(due_at=due):
            text = gettext("“%(name)s”待办理，到期 %(due)s", name=event.name, due=when(due)) if due else gettext("“%(name)s”待办理", name=event.name)
            return Told(text=text, tone="muted")
        case events.UserTaskRescheduled(due_at=due, deadline_at=deadline):
            return Told(text=gettext("“%(name)s”的期限改为 %(due)s", name=name, due=when(deadline or due) or gettext("无")), tone="warn")
        case events.UserTaskClaimed():
            return Told(text=gettext("领取“%(name)s”", name=name))
        case events.UserTaskReleased():
            return Told(text=gettext("退回“%(name)s”", name=name), tone="muted")
        case events.UserTaskAssigned(assignee=assignee, reason=reason):
            return Told(text=gettext("把“%(name)s”转派给%(whom)s", name=name, whom=person(assignee)), said=reason)
        case events.UserTaskCompleted():
            return Told(text=gettext("完成“%(name)s”", name=name), tone="ok")
        case events.UserTaskCancelled():
            return Told(text=gettext("“%(name)s”不再需要办理", name=name), tone="muted")
        case events.UserTaskReminded(stage=stage, recipients=recipients):
            whom = "、".join(person(r) for r in recipients)
            what = _REMINDERS[stage]() if stage in _REMINDERS else stage
            return Told(text=gettext("提醒“%(name)s”%(stage)s：%(whom)s", name=name, stage=what, whom=whom), tone="warn")
        case events.DocumentAttached():
            return Told(text=gettext("在“%(name)s”上传文件 %(file)s", name=name, file=event.name), tone="muted")
        case events.DocumentDetached():
            return Told(text=gettext("在“%(name)s”移除文件", name=name), tone="muted")
        case events.SeparationOfDutiesDenied(rule=rule):
            return Told(text=gettext("办理“%(name)s”被拒绝：职责分离规则 %(rule)s", name=name, rule=rule), tone="bad")
        case events.JobCompleted():
            return Told(text=gettext("系统完成“%(name)s”", name=name), tone="ok")
        case events.JobFailed(message=message, retry_at=retry_at, attempt=attempt):
            if retry_at:
                return Told(text=gettext("“%(name)s”第 %(attempt)s 次失败，将于 %(at)s 重试", name=name, attempt=attempt, at=when(retry_at)),
                            tone="warn", said=message)
            return Told(text=gettext("“%(name)s”失败，不再自动重试", name=name), tone="bad", said=message)
        case events.NotificationSent(recipients=recipients, subject=subject):
            return Told(text=gettext("通知%(whom)s：%(subject)s", whom="、".join(person(r) for r in recipients), subject=local_times(subject)), tone="muted")
        case events.NotificationFailed(recipients=recipients, message=message):
            return Told(text=gettext("通知%(whom)s未送达", whom="、".join(person(r) for r in recipients)), tone="warn", said=message)
        case events.TimerFired(due_at=due, late=late):
            text = gettext("定时“%(name)s”触发（原定 %(due)s，迟到）", name=name, due=when(due)) if late else gettext("定时“%(name)s”触发", name=name)
            return Told(text=text, tone="warn")
        case events.TimerMoved(was=was, due_at=due):
            return Told(text=gettext("“%(name)s”的时间由 %(was)s 改为 %(due)s", name=name, was=when(was), due=when(due)), tone="warn")
        case events.MessageCorrelated():
            return Told(text=gettext("收到“%(name)s”（%(message)s）", name=name, message=event.name))
        case events.MessageThrown():
            return Told(text=gettext("发出“%(name)s”（%(message)s）", name=name, message=event.name), tone="muted")
        case events.MessageExpired(leaves=leaves):
            return Told(text=gettext("消息“%(message)s”无人接收，保存期已过", message=event.name), tone="muted" if leaves else "warn")
        case events.SignalCaught() | events.SignalThrown():
            return Told(text=gettext("信号“%(signal)s”：%(name)s", signal=event.name, name=name), tone="muted")
        case events.ErrorThrown(code=code, caught_by=caught):
            return Told(text=gettext("“%(name)s”出现业务错误 %(code)s", name=name, code=code), tone="warn" if caught else "bad")
        case events.EscalationThrown(code=code):
            return Told(text=gettext("“%(name)s”升级 %(code)s", name=name, code=code), tone="warn")
        case events.RowsRewritten():
            return Told(text=gettext("系统检查发现数据表与执行状态不符，已按状态重写"), tone="warn")
        case events.ConditionBecameTrue():
            return Told(text=gettext("“%(name)s”的条件已满足", name=name))
        case events.DecisionEvaluated(decision=decision, rules=rules):
            matched = "、".join(map(str, rules)) or gettext("无")
            return Told(text=gettext("“%(name)s”按决策表 %(decision)s 判断，命中规则 %(rules)s", name=name, decision=decision, rules=matched))
        case events.FlowTaken(flow=flow, condition=condition, is_default=is_default) if condition or is_default:
            label = names.get((event.process, flow)) or condition or gettext("默认分支")
            return Told(text=gettext("“%(name)s”走向“%(flow)s”", name=name, flow=label), tone="muted")
        case events.WriteConflicted():
            return Told(text=gettext("并行分支写入了不同的“%(variable)s”，以后写入的为准", variable=event.name), tone="warn")
        case events.ExpressionWasNull(text=text, reason=reason):
            return Told(text=gettext("“%(name)s”的表达式 %(text)s 没有结果", name=name, text=text), tone="warn", said=reason)
        case events.PayloadsErased(reason=reason, seqs=seqs, fields=fields, documents=documents):
            what = "、".join(fields) or (gettext("全部内容") if seqs else gettext("文件"))
            return Told(text=gettext("依法清除：%(what)s（%(count)s 条记录，%(files)s 个文件）", what=what, count=len(seqs), files=len(documents)),
                        tone="warn", said=reason)
        case events.LegalHoldPlaced(reason=reason):
            return Told(text=gettext("设置法定保全：不得归档或清除"), tone="warn", said=reason)
        case events.LegalHoldLifted(reason=reason):
            return Told(text=gettext("解除法定保全"), tone="ok", said=reason)
        case events.PriceSealed(field=field, number=number, reason=reason):
            text = gettext("密封报价 %(field)s 第 %(number)s 版", field=field, number=number)
            return Told(text=text if not reason else gettext("%(text)s：%(reason)s", text=text, reason=reseal_reason(reason)), tone="ok" if number == 1 else "warn")
        case events.PriceOpened(field=field, number=number, reader=reader, reason=reason):
            return Told(text=gettext("%(who)s查看密封报价 %(field)s 第 %(number)s 版", who=person(reader), field=field, number=number), tone="warn", said=reason)
        case events.PriceUnsealed(field=field, number=number, matches=True):
            return Told(text=gettext("开封报价 %(field)s 第 %(number)s 版：与指纹一致", field=field, number=number), tone="ok")
        case events.PriceUnsealed(field=field, number=number):
            return Told(text=gettext("开封报价 %(field)s 第 %(number)s 版：与指纹不符，没有开封", field=field, number=number), tone="bad")
        case events.PriceRefused(field=field, what="open", reason=reason):
            return Told(text=gettext("查看密封报价 %(field)s 被拒绝：不在访问名单上", field=field), tone="bad", said=reason)
        case events.PriceRefused(field=field):
            return Told(text=gettext("重新报价 %(field)s 被拒绝：理由是获知竞争对手报价，已报告合规专员", field=field), tone="bad")
        case events.IncidentOpened(message=message):
            return Told(text=gettext("“%(name)s”出现异常，等待处理", name=name), tone="bad", said=message)
        case events.IncidentResolved(reason=reason):
            return Told(text=gettext("“%(name)s”的异常已处理", name=name), tone="ok", said=reason)
    return None
