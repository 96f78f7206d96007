"""Machine work about contacts with buyers: the contact register, and the periods in which nobody calls on them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from engine.handler import Job, RegisterEntry, Variables, handler

#: Contacts of so long ago are looked at when nobody says when the tender was announced.
_BEFORE = timedelta(days=60)
#: A bid is valid for so long when the tender documents do not say.
_VALIDITY = timedelta(days=90)
#: Why a silence period ends before its last day.
_ENDS = {
    "award": "中标公告已发布", "lost": "结果已公布，我方未中标", "cancelled": "招标终止或流标", "withdrawn": "我方放弃或撤回投标", "missed": "我方未递交投标文件",
}  # fmt: skip
#: Who is told of its end, as of its beginning.
_SILENCED = (
    "account_manager", "presale_engineer", "presale_manager", "sales_manager", "bid_manager", "authorized_representative", "company_leader",
)  # fmt: skip
_WAYS = {"visit": "现场拜访", "meeting": "会议交流", "call": "电话", "message": "邮件或即时消息", "written": "书面渠道", "other": "其他"}
_MATCHES = (
    "list<context<met_at: date and time, person: string, matter: string, way: string, present: string, corrected: boolean,"
    " written: boolean, after_notice: boolean>>"
)


@handler("contact.log", effect="database", gives={"contact_log": "context<organisation: string, met_at: date and time>"})
def log_contact(job: Job) -> Variables:
    """写入客户接触台账：时间、对象、事由、方式、在场人

    One entry for each visit; an approval that is given anew for the same visit adds none. Gives ``contact_log = {organisation, met_at}``.
    """
    values = job.values
    planned = values.get("met_at")
    met_at = min(planned, job.at) if isinstance(planned, datetime) and planned.tzinfo is not None else job.at
    organisation = _text(values, "organisation")
    added = {
        "met_at": met_at, "organisation": organisation, "person": _people(values.get("attendees")), "matter": _text(values, "matter"),
        "way": values.get("way") or "visit", "present": _text(values, "present"), "tender_no": _text(values, "tender_no"),
    }  # fmt: skip
    once = f"contact {job.instance_id} {planned.isoformat() if isinstance(planned, datetime) else job.key}"
    job.outside.register_add("contact_log", {name: value for name, value in added.items() if value not in (None, "")}, once=once)
    return {"contact_log": {"organisation": organisation, "met_at": met_at}}


@handler("bid.register_notice", effect="database", gives={"notice_at": "date and time"})
def register_notice(job: Job) -> Variables:
    """登记招标公告：此后与招标方的接触在台账标红

    Takes `buyer`, `tender_no`, `notice_at`; without the last the notice that was registered before counts. Gives `notice_at`, None
    when nobody ever said.
    """
    buyer, tender_no, notice_at = _text(job.values, "buyer"), _text(job.values, "tender_no"), _instant(job.values.get("notice_at"), job.at)
    if not buyer or not tender_no:
        return {"notice_at": notice_at}
    if notice_at is None:
        known = job.outside.register("tender_notices", {"buyer": buyer, "tender_no": tender_no})
        return {"notice_at": known[0].values["notice_at"] if known else None}
    notice_at = min(notice_at, job.at)
    job.outside.register_add(
        "tender_notices", {"buyer": buyer, "tender_no": tender_no, "notice_at": notice_at}, once=f"notice {tender_no} {notice_at.isoformat()}"
    )
    return {"notice_at": notice_at}


@handler("bid.match_contacts", effect="database", gives={"contact_matches": _MATCHES, "contact_count": "number"})
def match_contacts(job: Job) -> Variables:
    """比对接触台账：招标公告以来与招标方的接触，以及指明本标的接触

    Takes `buyer`, `tender_no`, `notice_at`. A contact by the written channel counts as well and is marked; one that was corrected, and
    one after the notice, too.
    """
    notice_at = _instant(job.values.get("notice_at"), job.at)
    since = notice_at or job.at - _BEFORE
    found: dict[int, RegisterEntry] = {}
    if buyer := _text(job.values, "buyer"):
        found |= {e.id: e for e in job.outside.register("contact_log", {"organisation": buyer}) if _at(e, "met_at", since) >= since}
    if tender_no := _text(job.values, "tender_no"):
        found |= {e.id: e for e in job.outside.register("contact_log", {"tender_no": tender_no})}
    matches = [
        {
            "met_at": e.values["met_at"], "person": e.values["person"], "matter": e.values["matter"], "present": e.values["present"],
            "way": _WAYS.get(str(e.values["way"]), str(e.values["way"])), "corrected": e.version > 1, "written": e.values["way"] == "written",
            "after_notice": notice_at is not None and _at(e, "met_at", since) >= notice_at,
        }
        for e in sorted(found.values(), key=lambda e: (_at(e, "met_at", since), e.id))
    ]  # fmt: skip
    return {"contact_matches": matches, "contact_count": len(matches)}


@handler("bid.open_silence", effect="database", gives={"silence": "context<since: date and time, until: date and time>"})
def open_silence(job: Job) -> Variables:
    """开启静默期：自递交截止起，至中标公告，最迟到投标有效期届满

    Takes `buyer`, `tender_no`, `submission_deadline`, `bid_validity_days`. One period for each tender and deadline.
    """
    deadline, days = job.values.get("submission_deadline"), job.values.get("bid_validity_days")
    since = deadline if isinstance(deadline, datetime) and deadline.tzinfo is not None else job.at
    until = since + (timedelta(days=int(days)) if isinstance(days, int) and days > 0 else _VALIDITY)
    buyer, tender_no = _text(job.values, "buyer"), _text(job.values, "tender_no")
    job.outside.register_add("silence_periods", {
        "buyer": buyer, "tender_no": tender_no, "since": since, "until": until,
        "notice": f"自递交截止至中标公告，不与{buyer}接触；只可按招标文件指定渠道书面答复澄清。",
    }, once=f"silence {tender_no} {since.isoformat()}")  # fmt: skip
    return {"silence": {"since": since, "until": until}}


@handler("bid.end_silence", effect="database", gives={"silence_ended": "number"})
def end_silence(job: Job) -> Variables:
    """结束静默期：中标公告、招标终止或我方退出时，登记台账的实际结束与原因

    Takes `tender_no`, `buyer` and `why`, a key of `_ENDS`, or none: nothing ends then. Ends every period of the tender that is open
    and tells those who were told of its beginning; contacts are marked no more from then on. Gives `silence_ended`, how many it ended.
    """
    why, tender_no, buyer = job.values.get("why"), _text(job.values, "tender_no"), _text(job.values, "buyer")
    if why is None or not tender_no:
        return {"silence_ended": 0}
    if why not in _ENDS:
        raise ValueError(f"{job.element}: why must be one of {', '.join(_ENDS)}, not {why!r}")
    where = {"tender_no": tender_no, **({"buyer": buyer} if buyer else {})}
    ended = [p for p in job.outside.register("silence_periods", where) if "ended_at" not in p.values and _at(p, "until", job.at) >= job.at]
    notices = [n for n in job.outside.register("tender_notices", where) if "ended_at" not in n.values]
    for register, entries in (("silence_periods", ended), ("tender_notices", notices)):
        for entry in entries:
            job.outside.register_amend(register, entry, {"ended_at": job.at, "ended_why": why}, f"{_ENDS[why]}（由流程登记）")
    if ended:
        people = job.outside.people(groups=_SILENCED)
        subject = f"静默期结束：{ended[0].values['buyer']}"
        body = f"{tender_no}：{_ENDS[why]}，静默期结束，可以恢复与招标方的正常往来。"
        for person in people:
            job.outside.notice(person, subject, body, job.outside.link())
        job.outside.mail(people, subject, f"{body}\n\n{job.outside.link()}")
    return {"silence_ended": len(ended)}


@handler("contact.check_silence", effect="database", gives={"buyer_silence": "boolean"})
def check_silence(job: Job) -> Variables:
    """查静默期台账：接触时对方是否处于静默期

    Takes `buyer`, `contact_at` and what the person said, `told`. An open period of the register counts, whatever the person said.
    """
    at = job.values.get("contact_at")
    at = at if isinstance(at, datetime) and at.tzinfo is not None else job.at
    buyer = _text(job.values, "buyer")
    periods = job.outside.register("silence_periods", {"buyer": buyer}) if buyer else ()
    is_open = any(_at(p, "since", at) <= at < _at(p, "until", at) and "ended_at" not in p.values for p in periods)
    return {"buyer_silence": is_open or job.values.get("told") is True}


def _instant(value: Any, at: datetime) -> datetime | None:
    """Return an instant, of a day its first; None: it is none."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=at.tzinfo)
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


def _at(entry: RegisterEntry, field: str, otherwise: datetime) -> datetime:
    found = entry.values.get(field)
    return found if isinstance(found, datetime) else otherwise


def _text(values: Variables, name: str) -> str:
    return str(values.get(name) or "").strip()


def _people(attendees: Any) -> str:
    """Return the people met, each with the position: 王工（信息中心主任）、…"""
    if not isinstance(attendees, list):
        return str(attendees or "")
    names = [f"{a.get('name', '')}（{a['position']}）" if a.get("position") else str(a.get("name", "")) for a in attendees if isinstance(a, dict)]
    return "、".join(name for name in names if name)[:500]
