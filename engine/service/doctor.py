"""Looks at everything in an installation that must agree, says what does not and what to do, and mends what needs no decision.

Mended is only what is safe by construction: rows that an instance's state determines are written anew from it, leases that are over
are offered again, rests of broken uploads are deleted. What was mended in an instance stands in its history.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from engine import calendar
from engine import events as e
from engine.bpmn import open_elements
from engine.clock import EPOCH
from engine.errors import EngineError, StorageFailed
from engine.history import fold, unseal
from engine.model import ANY_CALL, SYSTEM, Break, InstanceId, InstanceStatus, ProcessInfo
from engine.service.agreement import disagreements, recorded, unlike_state
from engine.service.backup import is_whole, stored_at
from engine.service.calendars import refold
from engine.service.runtime import Runtime
from engine.service.turn import Turn
from engine.service.upkeep import SILENT
from engine.service.vault import SealingKeyWrong
from engine.store import chain, checkup, definitions, jobs, keep, messages, sealed, tasks, upkeep
from engine.store.database import Session, instant, instant_or_none, micros

_LATE = timedelta(minutes=5)
_LEFT = timedelta(days=1)
_BACKUP = timedelta(days=7)
_LEAST_FREE = 1 << 30
_LARGE_WAL = 256 << 20
_SKEW = timedelta(minutes=1)
#: From this month on the holidays of the next year should be known: the State Council announces them in November.
_ANNOUNCED = 12


class Code(StrEnum):
    """What may be wrong. `docs/operations.md` says of each what it means."""

    SCHEMA = "schema"
    INTEGRITY = "integrity"
    HISTORY = "history"
    TABLES = "tables"
    ROWS_LEFT = "rows_left"
    UNREADABLE = "unreadable"
    SEALED_MISSING = "sealed_missing"
    SEALED_EXTRA = "sealed_extra"
    SEALED_ALTERED = "sealed_altered"
    SEALING_KEY = "sealing_key"
    FILE_MISSING = "file_missing"
    FILE_DAMAGED = "file_damaged"
    FILE_ORPHAN = "file_orphan"
    UPLOAD_LEFT = "upload_left"
    WORK_LATE = "work_late"
    LEASE_OVER = "lease_over"
    JOB_UNSEEN = "job_unseen"
    INCIDENTS = "incidents"
    DISPATCHER = "dispatcher"
    NOBODY = "nobody"
    HANDLER_MISSING = "handler_missing"
    FORM_MISSING = "form_missing"
    DECISION_MISSING = "decision_missing"
    PROCESS_MISSING = "process_missing"
    DISK_SPACE = "disk_space"
    WAL_SIZE = "wal_size"
    CLOCK_BACK = "clock_back"
    DEMO_PUBLIC = "demo_public"
    PERMISSIONS = "permissions"
    SYNCHRONOUS = "synchronous"
    MAIL_MISSING = "mail_missing"
    BASE_URL = "base_url"
    CALENDAR = "calendar"
    BACKUP_OLD = "backup_old"


#: ``{code: (is it an error, what to do in Chinese, in English)}``; the others are warnings.
_ADVICE: dict[Code, tuple[bool, str, str]] = {
    Code.SCHEMA: (True, "换用建立它的版本，或升级本程序。", "Use the release that made it, or upgrade this one."),
    Code.INTEGRITY: (True, "停止服务，用 psmflow restore 恢复最近的备份。", "Stop the server and restore the latest backup with psmflow restore."),
    Code.HISTORY: (True, "历史被改动：保全现场，与备份和已导出的链头比对。", "The history was changed: keep everything as it is, compare it with backups and exported heads."),
    Code.TABLES: (True, "运行 psmflow doctor --fix，由执行状态重写这些行。", "Run psmflow doctor --fix: it writes these rows anew from the state."),
    Code.ROWS_LEFT: (False, "运行 psmflow doctor --fix 删除。", "Run psmflow doctor --fix: it deletes them."),
    Code.UNREADABLE: (True, "升级程序后再查；仍不行时从备份恢复该实例的数据。", "Look again after an upgrade; failing that, take the instance from a backup."),
    Code.SEALED_MISSING: (True, "不要开封：保全现场，通知合规专员与审计员；从备份取回该实例的 sealed_price 与 sealed_key 行。", "Let nothing be unsealed: keep everything as it is, call compliance and the auditor; take the rows of the instance in sealed_price and sealed_key from a backup."),
    Code.SEALED_EXTRA: (True, "历史中没有这次封存：保全现场，通知合规专员与审计员，查清后由其决定是否删除该行。", "The history knows of no such sealing: keep everything as it is, call compliance and the auditor; they decide whether the row goes."),
    Code.SEALED_ALTERED: (True, "不要开封：保全现场，通知合规专员与审计员；与备份比对，从备份取回原来的行。", "Let nothing be unsealed: keep everything as it is, call compliance and the auditor; compare with backups and take the row of before from one."),
    Code.SEALING_KEY: (True, "放回封存报价时所用的密钥文件，权限 600；没有它，任何密封报价都不能开封。", "Put the key file that the prices were sealed with back, mode 600; without it no price can be unsealed."),
    Code.FILE_MISSING: (True, "从备份中取出同名（SHA-256）文件放回 documents/。", "Take the file of that SHA-256 from a backup and put it back into documents/."),
    Code.FILE_DAMAGED: (True, "从备份中取出同名（SHA-256）文件替换，并检查磁盘。", "Replace it by the file of that SHA-256 from a backup, and check the disk."),
    Code.FILE_ORPHAN: (False, "确认无用后可手工移走；没有任何历史提到它们。", "Move them away once you know them to be useless; no history names them."),
    Code.UPLOAD_LEFT: (False, "运行 psmflow doctor --fix 删除。", "Run psmflow doctor --fix: it deletes them."),
    Code.WORK_LATE: (True, "确认 psmflow serve 或 worker 在运行且未卡住，查看其日志。", "See that psmflow serve or worker runs and is not stuck; look at its log."),
    Code.LEASE_OVER: (False, "运行 psmflow doctor --fix，或启动 worker：会重新派发。", "Run psmflow doctor --fix or start a worker: they are offered again."),
    Code.JOB_UNSEEN: (True, "在流程页面查看并重试；若无法重试请报告此问题。", "Look at it on the instance's page and retry; report it if that cannot be done."),
    Code.INCIDENTS: (False, "用 psmflow incidents 查看，修正原因后 psmflow retry。", "Look with psmflow incidents, mend the cause, then psmflow retry."),
    Code.DISPATCHER: (True, "启动 psmflow serve 或 psmflow worker。", "Start psmflow serve or psmflow worker."),
    Code.NOBODY: (False, "把人加入该角色，或由流程负责人转办。", "Put somebody into the role, or let a process owner assign the tasks."),
    Code.HANDLER_MISSING: (True, "在 handlers/ 中注册该类型，或部署不用它的新版流程图。", "Register the type in handlers/, or deploy a diagram without it."),
    Code.FORM_MISSING: (True, "部署该表单。", "Deploy the form."),
    Code.DECISION_MISSING: (True, "部署该决策表。", "Deploy the decision."),
    Code.PROCESS_MISSING: (True, "部署被调用的流程。", "Deploy the called process."),
    Code.DISK_SPACE: (True, "清理磁盘或扩容；写满后任何操作都不能保存。", "Free or add space; when it is full nothing can be saved."),
    Code.WAL_SIZE: (False, "多半有长时间不结束的读取；重启服务会收回。", "Something reads for very long; a restart takes it back."),
    Code.CLOCK_BACK: (True, "校准机器时钟（NTP）；之前定时不会触发。", "Set the machine's clock right (NTP); until then timers do not fire."),
    Code.DEMO_PUBLIC: (True, "去掉 PSMFLOW_DEMO：演示用户的密码人人皆知。", "Take PSMFLOW_DEMO away: everybody knows the passwords of demo users."),
    Code.PERMISSIONS: (True, "chmod 600 文件、chmod 700 文件夹，并考虑更换密钥。", "chmod 600 the file, 700 the folder, and think of a new key."),
    Code.SYNCHRONOUS: (False, "不能丢失最后几次提交时设 PSMFLOW_SYNCHRONOUS=FULL（PostgreSQL：在服务器上打开所列设置）。", "Set PSMFLOW_SYNCHRONOUS=FULL unless the last commits may be lost; on PostgreSQL turn on what is named."),
    Code.MAIL_MISSING: (False, "设置 PSMFLOW_SMTP；此前邮件一律不发，历史中有记录。", "Set PSMFLOW_SMTP; until then no mail goes out, and the history says so."),
    Code.BASE_URL: (False, "设置 PSMFLOW_BASE_URL 为大家访问的地址。", "Set PSMFLOW_BASE_URL to the address that people use."),
    Code.CALENDAR: (False, "升级 chinesecalendar 包；此前该年的工作日无法计算。", "Upgrade the package chinesecalendar; until then working days of that year cannot be counted."),
    Code.BACKUP_OLD: (False, "定期运行 psmflow backup，并演练 psmflow restore。", "Run psmflow backup at intervals, and rehearse psmflow restore."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailment:
    """Something that does not agree or will not go well. `zh`, `en`: what was found; `fixed`: it was put right just now."""

    code: Code
    zh: str
    en: str
    instance_id: InstanceId | None = None
    fixed: bool = False

    @property
    def is_error(self) -> bool:
        return _ADVICE[self.code][0]

    @property
    def mend_zh(self) -> str:
        return _ADVICE[self.code][1]

    @property
    def mend_en(self) -> str:
        return _ADVICE[self.code][2]


#: What of a sealed price differs from the history.
_PARTS_ZH = {
    "fingerprint": "指纹", "reason": "理由", "readers": "访问名单", "by": "封存人", "at": "封存时间", "unsealed": "开封记录", "envelope": "密文",
}  # fmt: skip


class Doctor:
    """Examines one installation."""

    def __init__(self, runtime: Runtime, verify: Callable[[], Iterable[Break]]) -> None:
        self._runtime = runtime
        self._verify = verify
        self._database = runtime.database
        self._settings = runtime.settings

    def examine(self, *, fix: bool = False) -> tuple[Ailment, ...]:
        """Return everything that was found, worst first; with `fix`, put right what needs no decision.

        A damaged database or one of another release's is not looked into any further.

        Reads every history and every uploaded file: minutes for a large house, beside which others go on working.
        """
        at = self._runtime.clock.now()
        if damage := self._damage():
            return tuple(_found(Code.INTEGRITY, f"数据库已损坏：{line}", f"the database is damaged: {line}") for line in damage)
        with self._database.reading() as session:
            current = upkeep.schema_is_current(session)
        if not current:
            return (_found(Code.SCHEMA, "数据库的结构不是本版本的", "the database has another schema than this release"),)
        found = [*self._room(), *self._settings_of_house(at), *self._clock(at), *self._work(at, fix=fix), *self._diagrams()]
        found += [*self._histories(fix=fix), *self._strays(fix=fix), *self._sealed(), *self._files(at, fix=fix)]
        return tuple(sorted(found, key=lambda a: (a.fixed, not a.is_error)))

    # -- the machine
    def _damage(self) -> list[str]:
        try:
            with self._database.snapshot() as session:
                return [] if self._settings.database_url else checkup.damage(session)
        except StorageFailed as error:
            return [f"{error.text('zh')} {error.text('en')}"]

    def _room(self) -> Iterator[Ailment]:
        is_file = not self._settings.database_url
        for folder in {self._settings.data, *([self._settings.database.parent] if is_file else [])}:
            usage = shutil.disk_usage(folder)
            if usage.free < max(_LEAST_FREE, usage.total // 50):
                free = usage.free >> 20
                yield _found(Code.DISK_SPACE, f"{folder} 只剩 {free:,} MB", f"{free:,} MB are left on the disk of {folder}")
        wal = self._settings.database.with_name(self._settings.database.name + "-wal")
        if is_file and wal.exists() and (size := wal.stat().st_size) > _LARGE_WAL:
            yield _found(Code.WAL_SIZE, f"预写日志已有 {size >> 20:,} MB", f"the write-ahead log has grown to {size >> 20:,} MB")

    def _settings_of_house(self, at: datetime) -> Iterator[Ailment]:
        settings = self._settings
        is_local = (urlsplit(settings.base_url).hostname or "") in ("127.0.0.1", "localhost", "::1")
        if settings.demo and not is_local:
            yield _found(Code.DEMO_PUBLIC, f"演示模式，而地址是 {settings.base_url}", f"demo mode, and the address is {settings.base_url}")
        if settings.synchronous != "FULL":
            yield _found(Code.SYNCHRONOUS, "断电时可能丢失最后几次提交", "the last commits may be lost on power failure")
        elif settings.database_url:
            with self._database.reading() as session:
                careless = checkup.careless(session)
            if careless:
                names = ", ".join(careless)
                yield _found(Code.SYNCHRONOUS, f"PostgreSQL 关闭了 {names}，断电时可能丢失数据", f"PostgreSQL has {names} off: data may be lost on power failure")
        private = [settings.data, *(() if settings.database_url else (settings.database,)), *(settings.data / name for name in ("secret.key", "documents"))]
        for path in private:
            if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
                yield _found(Code.PERMISSIONS, f"别人也能访问 {path}（{mode:o}）", f"others have access to {path} ({mode:o})")
        with self._database.reading() as session:
            types = {type for info in self._in_use(session) for type in info.job_types}
            addresses, backed_up = checkup.people_with_mail(session), instant_or_none(upkeep.backed_up(session))
            used = checkup.is_used(session)
        if not settings.smtp and any(type.startswith("notify.") for type in types):
            yield _found(Code.MAIL_MISSING, "流程图要发通知，而没有配置邮件服务器", "diagrams notify people, and no mail server is configured")
        if settings.smtp and addresses and is_local:
            yield _found(Code.BASE_URL, f"邮件中的链接指向 {settings.base_url}", f"links in mails lead to {settings.base_url}")
        local = at.astimezone(ZoneInfo(settings.time_zone))
        for year in (local.year, local.year + 1) if local.month >= _ANNOUNCED else (local.year,):
            if not calendar.is_known(year):
                yield _found(Code.CALENDAR, f"没有 {year} 年的节假日数据", f"there are no holidays of {year}")
        if used and (backed_up is None or at - backed_up > _BACKUP):
            told = ("从未备份", "there was never a backup") if backed_up is None else (
                f"上次备份在 {backed_up:%Y-%m-%d}", f"the last backup is of {backed_up:%Y-%m-%d}")
            yield _found(Code.BACKUP_OLD, *told)

    def _clock(self, at: datetime) -> Iterator[Ailment]:
        with self._database.reading() as session:
            newest = EPOCH + timedelta(milliseconds=checkup.newest_id(session) >> 22)
        if newest - at > _SKEW:
            yield _found(
                Code.CLOCK_BACK, f"机器时间 {at:%Y-%m-%d %H:%M}Z 早于最新记录 {newest:%Y-%m-%d %H:%M}Z",
                f"the machine's time {at:%Y-%m-%d %H:%M}Z is before the newest record, {newest:%Y-%m-%d %H:%M}Z",
            )  # fmt: skip

    # -- work
    def _work(self, at: datetime, *, fix: bool) -> Iterator[Ailment]:
        with self._database.snapshot() as session:
            found = checkup.work(session, now=micros(at), late_since=micros(at - _LATE))
            incidents, nobodys = checkup.open_incidents(session), checkup.nobodys_tasks(session)
            seen = instant_or_none(upkeep.dispatcher_seen(session))
            waits = jobs.next_due(session) is not None
        count, oldest = found.late
        if count and oldest is not None:
            minutes = (at - instant(oldest)) // timedelta(minutes=1)
            yield _found(Code.WORK_LATE, f"{count} 项到期的工作没有执行，最久已等 {minutes} 分钟",
                         f"{count} pieces of due work were not done, the oldest has waited for {minutes} minutes")
        if found.expired:
            if fix:
                with self._database.writing() as tx:
                    jobs.reap(tx, micros(at))
            yield _found(Code.LEASE_OVER, f"{found.expired} 项工作的执行者已中断", f"workers died over {found.expired} jobs", fixed=fix)
        for id in found.unseen:
            yield _found(Code.JOB_UNSEEN, f"作业 {id} 已失败，却没有未处理的异常", f"the job {id} has failed and no open incident tells of it")
        for kind, number in incidents:
            yield _found(Code.INCIDENTS, f"{number} 个未处理的异常（{kind}）", f"{number} open incidents ({kind})")
        if (seen is None and waits) or (seen is not None and at - seen > SILENT):
            told = ("没有进程执行到期的工作", "no process runs what is due") if seen is None else (
                f"执行到期工作的进程自 {seen:%Y-%m-%d %H:%M}Z 起没有消息", f"nothing was heard of a process that runs what is due since {seen:%Y-%m-%d %H:%M}Z")
            yield _found(Code.DISPATCHER, *told)
        for groups, number in nobodys:
            whom = groups.replace(",", "、") or "—"
            yield _found(Code.NOBODY, f"{number} 个任务没有人可以办理（{whom}）", f"{number} tasks that no active person may take ({groups or 'no group'})")

    # -- diagrams
    def _in_use(self, session: Session) -> list[ProcessInfo]:
        """Return what the newest version of each process says, and the versions that instances run."""
        found = {(d.key, d.version): d.info for d in definitions.newest(session)}
        for bundle_id in checkup.running_bundles(session):
            pinned = definitions.bundle(session, bundle_id)
            for key, number in () if pinned is None else pinned[1].items():
                if (key, number) not in found and (version := definitions.by_key(session, key, number)) is not None:
                    found[key, number] = version.info
        return list(found.values())

    def _diagrams(self) -> Iterator[Ailment]:
        with self._database.snapshot() as session:
            infos = self._in_use(session)
            forms, decisions = (set(definitions.artifacts(session, kind)) for kind in ("form", "decision"))
            processes = {d.key for d in definitions.newest(session)}
        wanted = (
            (Code.HANDLER_MISSING, "job_types", set(self._runtime.handlers), "处理程序", "handler"),
            (Code.FORM_MISSING, "forms", forms, "表单", "form"),
            (Code.DECISION_MISSING, "decisions", decisions, "决策", "decision"),
            (Code.PROCESS_MISSING, "calls", processes | {ANY_CALL}, "流程", "process"),
        )
        for code, field, there, zh, en in wanted:
            missing: dict[str, set[str]] = {}
            for info in infos:
                for name in getattr(info, field) - there:
                    missing.setdefault(name, set()).add(info.key)
            for name, keys in sorted(missing.items()):
                by = "、".join(sorted(keys))
                yield _found(code, f"{by} 用到的{zh} {name} 不存在", f"{', '.join(sorted(keys))}: there is no {en} {name}")

    # -- instances
    def _histories(self, *, fix: bool) -> Iterator[Ailment]:
        for broken in self._verify():
            place = f"第 {broken.seq} 条" if broken.seq else "整条链"
            if broken.register:
                yield _found(Code.HISTORY, f"台账 {broken.register} {place}：{broken.zh}", f"register {broken.register} {broken.seq}: {broken.en}")
            else:
                yield _found(Code.HISTORY, f"{place}：{broken.zh}", f"event {broken.seq}: {broken.en}", broken.instance_id)
        with self._database.reading() as session:
            ids = [InstanceId(id) for id, _seq, _head in chain.heads(session, None)]
        for id in ids:
            try:
                found = self._differences(id)
                if not found:
                    continue
                if not fix or all(b.kind != "rows" for b in found):
                    yield from (_found(Code.TABLES, b.zh, b.en, id) for b in found)
                    continue
                self._rewrite(id, found)
                left = {b.zh: b for b in self._differences(id)}
                for b in found:
                    yield _found(Code.TABLES, b.zh, b.en, id, fixed=left.pop(b.zh, None) is None)
                yield from (_found(Code.TABLES, b.zh, b.en, id) for b in left.values())
            except Exception as error:  # noqa: BLE001  whatever is wrong with one instance, the others are looked at
                code = f"{error.code}: {error.text('en')}" if isinstance(error, EngineError) else type(error).__name__
                yield _found(Code.UNREADABLE, f"无法检查（{code}）", f"it cannot be examined ({code})", id)

    # -- sealed prices
    def _sealed(self) -> Iterator[Ailment]:
        """Compare the rows of sealed prices with the histories, those in archive files too."""
        with self._database.reading() as session:
            known = {id for id, _seq, _head in chain.heads(session, None)}
            ids = sorted(known.union(sealed.instances(session)))
        for id in ids:
            try:
                with self._database.snapshot() as session:
                    stub = None if id in known else keep.stub(session, id)
                    if stub is None:
                        events = recorded(session, id)
                    else:
                        events = (r for entry in self._runtime.archives.record(stub).entries for r in unseal(id, entry))
                    faults = self._runtime.sealing.faults(session, id, events)
            except SealingKeyWrong as error:
                yield _found(Code.SEALING_KEY, error.text("zh"), error.text("en"))
                return
            except Exception as error:  # noqa: BLE001  a history that cannot be read is told with the others
                said = error.text("en") if isinstance(error, EngineError) else type(error).__name__
                yield _found(Code.UNREADABLE, f"无法核对密封报价（{said}）", f"its sealed prices cannot be compared ({said})", id)
                continue
            for fault in faults:
                name = f"“{fault.field}”"
                parts, parts_en = "、".join(_PARTS_ZH[part] for part in fault.parts), ", ".join(fault.parts)
                yield _found(*{
                    "missing": (Code.SEALED_MISSING, f"密封报价{name}第 {fault.number} 版不见了，历史中有其指纹", f"version {fault.number} of the sealed price {name} is gone; the history has its fingerprint"),
                    "extra": (Code.SEALED_EXTRA, f"密封报价{name}第 {fault.number} 版在历史中没有", f"the history knows no version {fault.number} of the sealed price {name}"),
                    "altered": (Code.SEALED_ALTERED, f"密封报价{name}第 {fault.number} 版被改动（{parts}）", f"version {fault.number} of the sealed price {name} was changed ({parts_en})"),
                }[fault.kind], id)  # fmt: skip

    def _differences(self, id: InstanceId) -> tuple[Break, ...]:
        with self._database.snapshot() as session:
            return (*disagreements(self._runtime, session, id), *unlike_state(self._runtime, session, id))

    def _rewrite(self, id: InstanceId, found: Iterable[Break]) -> None:
        """Write the rows that the state determines anew."""

        def do(turn: Turn) -> None:
            turn.record(e.RowsRewritten(differences=tuple(sorted({b.en.partition(":")[0] for b in found}))))
            turn.also(lambda tx: refold(tx, id))
            if turn.state is None:
                turn.also(lambda tx: _end_rows(tx, id, micros(turn.at)))
                return
            step = turn.look()
            live = open_elements(turn.compiled.definition, turn.state)
            at_tasks = {int(o.token) for o in live if o.kind == "userTask" and o.state == "ready"}
            there = {t.token for t in tasks.of_instance(turn.session, id) if t.ended_at is None}
            missing = list(self._tasks_of_history(turn.session, id, at_tasks - {int(token) for token in there}))

            def write(tx: Session) -> None:
                suspended = turn.status is InstanceStatus.SUSPENDED
                checkup.reap_tasks(tx, id, at_tasks, micros(turn.at))
                for created in missing:
                    turn.write_task(tx, created)
                tasks.set_suspended(tx, id, at_tasks if suspended else set(step.suspended))
                checkup.reap_services(tx, id, {int(o.token) for o in live})
                jobs.hold(tx, id, suspended)
                checkup.offer_anew(tx, id)

            turn.also(write)

        self._runtime.command(SYSTEM, id, do)

    def _tasks_of_history(self, session: Session, id: InstanceId, tokens: set[int]) -> Iterator[e.UserTaskCreated]:
        """Give the tasks at `tokens` as the history knows them now."""
        if not tokens:
            return
        events = list(recorded(session, id))
        view = fold(events)
        for each in events:
            if isinstance(each.event, e.UserTaskCreated) and int(each.event.token) in tokens and each.event.token in view.tasks:
                now = view.tasks[each.event.token]
                yield replace(each.event, assignee=now.assignee, due_at=now.due_at, deadline_at=now.deadline_at)

    def _strays(self, *, fix: bool) -> Iterator[Ailment]:
        with self._database.reading() as session:
            found = checkup.strays(session)
        if found and fix:
            with self._database.writing() as tx:
                checkup.reap_strays(tx)
        for table, count in found.items():
            yield _found(Code.ROWS_LEFT, f"{table} 中有 {count} 行所属的任务已不存在", f"{count} rows of {table} stand for a task that is not there", fixed=fix)

    # -- uploaded files
    def _files(self, at: datetime, *, fix: bool) -> Iterator[Ailment]:
        folder = self._settings.data / "documents"
        with self._database.snapshot() as session:
            known = checkup.documents(session)
        for digest, name, instance in known:
            try:
                if not is_whole(stored_at(self._settings.data, digest), digest):
                    yield _found(Code.FILE_DAMAGED, f"文件“{name}”的内容已变（{digest}）", f"the file “{name}” was changed ({digest})", instance)
            except OSError:
                yield _found(Code.FILE_MISSING, f"文件“{name}”不在磁盘上（{digest}）", f"the file “{name}” is not on the disk ({digest})", instance)
        if not folder.is_dir():
            return
        unknown = {path.name: path for path in folder.glob("??/*")}
        for digest, _name, _instance in known:
            unknown.pop(digest, None)
        if unknown:
            unknown = self._without_detached(unknown)
        if unknown:
            size = sum(path.stat().st_size for path in unknown.values())
            yield _found(Code.FILE_ORPHAN, f"documents/ 中 {len(unknown)} 个文件（{size:,} 字节）无人引用",
                         f"nothing refers to {len(unknown)} files in documents/ ({size:,} bytes)")
        left = [path for path in folder.glob("upload-*") if at.timestamp() - path.stat().st_mtime > _LEFT.total_seconds()]
        for path in left if fix else ():
            path.unlink(missing_ok=True)
        if left:
            yield _found(Code.UPLOAD_LEFT, f"{len(left)} 个中断的上传留下的文件", f"{len(left)} rests of broken uploads", fixed=fix)

    def _without_detached(self, unknown: dict[str, Path]) -> dict[str, Path]:
        """Leave out files that were taken off a task again: no row refers to them, the history does."""
        with self._database.snapshot() as session:
            for id, _seq, _head in chain.heads(session, None):
                try:
                    for each in recorded(session, id):
                        if isinstance(each.event, e.DocumentAttached):
                            unknown.pop(each.event.sha256, None)
                except (EngineError, ValueError, KeyError, TypeError):
                    return {}  # a history that cannot be read may name any of them; it is told elsewhere
                if not unknown:
                    break
        return unknown


def _found(code: Code, zh: str, en: str, instance_id: int | None = None, *, fixed: bool = False) -> Ailment:
    return Ailment(code=code, zh=zh, en=en, instance_id=None if instance_id is None else InstanceId(instance_id), fixed=fixed)


def _end_rows(tx: Session, instance_id: int, at: int) -> None:
    """Nothing of an ended instance waits any more."""
    checkup.reap_tasks(tx, instance_id, (), at)
    checkup.offer_anew(tx, instance_id)
    jobs.cancel_all(tx, instance_id)
    messages.replace(tx, instance_id, (), [])
    jobs.resolve_incidents(tx, instance_id, None, at=at, by=SYSTEM.id)
