"""Telling people: in the application, by mail, and through the house's chat robots.

The element's properties say whom and what (text, or FEEL when it begins with ``=``):

    groups, users     role ids and user names, separated by commas
    subject, body     text; amounts never stand in a notification
    channels          ``notice``, ``mail``, ``robot``, separated by commas; default ``notice,mail``
    milestone, due_at for `notify.remind`
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from engine.handler import Job, Person, Variables, handler

_CHANNELS = ("notice", "mail", "robot")
_SHANGHAI = ZoneInfo("Asia/Shanghai")


def _words(text: str) -> tuple[str, ...]:
    return tuple(w for w in (part.strip() for part in text.replace("、", ",").replace(",", ",").split(",")) if w)


def _recipients(job: Job) -> tuple[Person, ...]:
    groups, users = _words(job.properties.get("groups", "")), _words(job.properties.get("users", ""))
    if not groups and not users:
        raise ValueError(f"{job.element}: the property groups or users must say whom to tell")
    return job.outside.people(groups=groups, users=users)


def _tell(job: Job, subject: str, body: str, always: tuple[str, ...] = ()) -> Variables:
    """Send by every channel; a channel that fails does not keep the others from being tried, and is tried again."""
    channels = _words(job.properties.get("channels", "notice,mail"))
    if unknown := [c for c in channels if c not in _CHANNELS]:
        raise ValueError(f"{job.element}: unknown channel {unknown[0]}; use {', '.join(_CHANNELS)}")
    people, link = _recipients(job), job.outside.link()

    def notice() -> None:
        for person in people:
            job.outside.notice(person, subject, body, link)

    send: dict[str, Callable[[], None]] = {
        "notice": notice,
        "mail": lambda: job.outside.mail(people, subject, f"{body}\n\n{link}"),
        "robot": lambda: job.outside.robot(subject, f"{body}\n{link}"),
    }
    failures: list[Exception] = []
    for channel in dict.fromkeys((*channels, *always)):
        try:
            send[channel]()
        except OSError as error:  # the network's or the mail server's refusal; anything else is a mistake of ours
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"{job.element}: {len(failures)} channels failed", failures)
    return {}


def _when(due: datetime) -> str:
    return due.astimezone(_SHANGHAI).strftime("%Y年%m月%d日 %H:%M")


def _left(job: Job, due: datetime) -> str:
    left = due - job.at
    if left <= timedelta(0):
        return "已到期"
    hours = int(left / timedelta(hours=1))
    return f"还剩 {hours // 24} 天 {hours % 24} 小时" if hours >= 24 else f"还剩 {hours} 小时 {int(left / timedelta(minutes=1)) % 60} 分钟"


def _title(job: Job) -> str:
    return job.title or job.business_key or str(job.instance_id)


@handler("notify.send", retries=3)
def send(job: Job) -> Variables:
    """通知：按设定的对象与渠道发送一条消息"""
    subject = job.properties.get("subject") or job.element_name
    return _tell(job, f"【{_title(job)}】{subject}", job.properties.get("body") or subject)


@handler("notify.remind", retries=3)
def remind(job: Job) -> Variables:
    """提醒：某个期限临近（里程碑、到期时间、剩余时间）"""
    milestone = job.properties.get("milestone") or job.element_name
    due = job.values.get("due_at") or job.properties.get("due_at")
    if isinstance(due, str):
        due = datetime.fromisoformat(due)
    if not isinstance(due, datetime):
        raise ValueError(f"{job.element}: due_at must be an instant, not {due!r}")
    if due.tzinfo is None:
        due = due.replace(tzinfo=_SHANGHAI)
    subject = f"【{_title(job)}】{milestone}：{_left(job, due)}"
    body = job.properties.get("body") or f"{milestone}的期限为 {_when(due)}(北京时间),{_left(job, due)}。请确认进度。"
    return _tell(job, subject, body)


@handler("notify.escalate", retries=5)
def escalate(job: Job) -> Variables:
    """升级：把逾期或有风险的事项报告上级"""
    subject = job.properties.get("subject") or job.element_name
    return _tell(job, f"【升级】【{_title(job)}】{subject}", job.properties.get("body") or subject, always=("notice", "mail"))
