"""Numbers and fingerprints of documents."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from engine.handler import Job, Variables, fingerprint, handler


@handler("document.freeze", effect="none", gives={"frozen": "context<fingerprint: string, frozen_at: date and time, version: number>"})
def freeze(job: Job) -> Variables:
    """定稿：对输入内容与文件写指纹并计版本

    Gives ``frozen = {fingerprint, frozen_at, version}``. Files among the values count by their SHA-256.
    """
    before = job.values.get("frozen")
    version = int(before["version"]) + 1 if isinstance(before, dict) and "version" in before else 1
    content = {name: value for name, value in job.values.items() if name != "frozen"}
    return {"frozen": {"fingerprint": fingerprint(content), "frozen_at": job.at, "version": version}}


@handler("document.number", effect="none", gives={"document_no": "string"})
def number(job: Job) -> Variables:
    """编号：前缀、年份与实例号组成的文件编号

    Gives ``document_no``, e.g. ``FA-2026-118-01``: unique because the instance number is; the last part counts within it.
    """
    prefix = str(job.values.get("prefix") or job.properties.get("prefix") or "DOC")
    before = str(job.values.get("document_no") or "")
    turn = int(before.rsplit("-", 1)[1]) + 1 if before.startswith(prefix + "-") and before.rsplit("-", 1)[1].isdecimal() else 1
    year = job.at.astimezone(ZoneInfo("Asia/Shanghai")).year
    return {"document_no": f"{prefix}-{year}-{job.instance_id}-{turn:02d}"}
