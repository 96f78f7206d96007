"""What can go wrong, by who can act: the caller (`EngineError`), the business (`BpmnError`), the machine (any other exception).

Every `EngineError` carries a stable `code` (for the API and the catalogue of texts) and the facts that its message names, so
that page, command line and API say the same thing in the reader's language.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class EngineError(Exception):
    """The caller erred and can mend it; nothing was changed.

    Attributes:
        code: stable word for programs and for the text catalogue.
        status: the HTTP status that fits.
        facts: ``{name: value}`` that the texts `zh` and `en` are filled with.
    """

    code: ClassVar[str] = "engine_error"
    status: ClassVar[int] = 400
    zh: ClassVar[str] = "操作无法执行"
    en: ClassVar[str] = "The command cannot be carried out"

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.text("en"))

    def __reduce__(self) -> tuple[object, ...]:
        """Let another process tell it: the constructor takes other arguments than an exception keeps."""
        return _remade, (type(self), self.args, self.__dict__)

    def text(self, language: str = "zh") -> str:
        """Return the message in `language` (``zh`` or ``en``): what is wrong and what to do."""
        return (self.zh if language == "zh" else self.en).format(**self.facts)


def _remade(cls: type[EngineError], args: tuple[object, ...], state: dict[str, object]) -> EngineError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class NotFound(EngineError, LookupError):
    code = "not_found"
    status = 404
    zh = "找不到{what} {id}。请检查编号，或从列表中重新打开。"
    en = "There is no {what} {id}. Check the number, or open it again from the list."


class InstanceArchived(NotFound):
    """The process instance was moved into an archive file; it can be looked at and no longer be changed."""

    code = "instance_archived"
    status = 409
    zh = "流程实例 {id} 已归档(文件 {file})，只能查看，不能再办理或更改。"
    en = "The process instance {id} is archived (file {file}); it can be looked at, but nothing in it changes any more."


class DocumentErased(NotFound):
    code = "document_erased"
    status = 410
    zh = "文件 {id} 已依法清除，历史中留有清除的理由。"
    en = "The file {id} was erased lawfully; the history says why."


class Held(EngineError):
    """A legal hold stands over the process instance, or the entry of a register."""

    code = "held"
    status = 409
    zh = "{what} {id} 处于法定保全之下，不能{action}：{reason}(由 {by} 设置)。请先由审计员或流程负责人说明理由后解除保全。"
    en = "A legal hold stands over the {what_en} {id}, it cannot be {action_en}: {reason} (placed by {by}). An auditor or process owner has to lift it first, with a reason."


class AccessDenied(EngineError, PermissionError):
    code = "access_denied"
    status = 403
    zh = "您没有权限{action}：{reason}"
    en = "You may not {action}: {reason}"


class NotADemo(AccessDenied):
    """The clock of a house in which people work shows the time."""

    code = "not_a_demo"
    zh = "只有演示才能拨快时钟。请用 psmflow serve --demo 和一个新的数据文件夹启动演示。"
    en = "Only the clock of a demo can be put forward. Start one with psmflow serve --demo and a new data folder."


class ClockOutOfReach(EngineError):
    """A demo's clock is only ever put forward, and not too far."""

    code = "clock_out_of_reach"
    status = 422
    zh = "演示时钟只能拨快，最多比实际快两年，不能拨到 {to}。请选择 {earliest} 之后、{latest} 之前的时间。"
    en = "The demo clock is only ever put forward, by two years at most; it cannot be put to {to}. Choose a time after {earliest} and before {latest}."


class ClockPutForward(EngineError):
    """The data folder is of a demo whose clock was put forward; no house to work in."""

    code = "clock_put_forward"
    status = 409
    zh = "数据文件夹 {data} 属于时钟被拨快过的演示，记录的时间不是真实时间，不能用于正式工作。请加 --demo 启动(worker 用 PSMFLOW_DEMO=1)，或用 --data 指定一个新的数据文件夹。"
    en = "The data folder {data} is of a demo whose clock was put forward: its records do not have the real time, so nobody may work in it. Start it with --demo (a worker with PSMFLOW_DEMO=1), or name a new data folder with --data."


class TaskNotOpen(EngineError):
    """The user task is done, cancelled or gone."""

    code = "task_not_open"
    status = 409
    zh = "任务“{name}”已不再开放({state})。请回到待办查看当前任务，您填写的内容没有提交。"
    en = "The task “{name}” is no longer open ({state}). See your inbox for what is open now; your values were not submitted."


class TaskTooLate(TaskNotOpen):
    """A deadline passed before the completion arrived."""

    code = "task_too_late"
    zh = "任务“{name}”的期限已过，系统已按图中的到期路径处理。您填写的内容没有提交；请联系流程负责人。"
    en = "The deadline of “{name}” has passed and the diagram's overdue path was taken. Your values were not submitted; ask the process owner."


class TaskSuspended(TaskNotOpen):
    code = "task_suspended"
    zh = "任务“{name}”所在的流程已挂起，恢复后才能办理。"
    en = "The process of “{name}” is suspended; the task can be completed once it is resumed."


class StalePage(EngineError):
    """The page was loaded before somebody else changed the thing."""

    code = "stale_page"
    status = 409
    zh = "页面打开之后{what}已被更改。请刷新页面核对后再提交；您填写的内容仍保留在此页。"
    en = "{what} was changed after this page was loaded. Reload, compare, and submit again; what you typed is still on this page."


class InvalidValues(EngineError):
    """Form values were refused. `problems`: ``{path of the field: message}``, both languages through `texts`."""

    code = "invalid_values"
    status = 422
    zh = "有 {count} 处填写不符合要求，请按提示更正。"
    en = "{count} values are not acceptable; correct them as marked."

    def __init__(self, problems: dict[str, tuple[str, str]]) -> None:
        self.problems = problems  #: ``{"lines.2.qty": ("须大于 0", "must be above 0")}``
        super().__init__(count=len(problems))


class FileRefused(EngineError):
    code = "file_refused"
    status = 422
    zh = "文件“{name}”未被接受：{reason}"
    en = "The file “{name}” was not accepted: {reason_en}"


class InvalidDiagram(EngineError):
    """A deployment was refused. `findings`: every `model.Finding`, errors first."""

    code = "invalid_diagram"
    status = 422
    zh = "部署被拒绝：发现 {count} 个必须更正的问题。第一个：{first}"
    en = "The deployment was refused: {count} problems must be mended. The first: {first_en}"

    def __init__(self, findings: tuple[object, ...], count: int, first: str, first_en: str) -> None:
        self.findings = findings
        super().__init__(count=count, first=first, first_en=first_en)


class NoReceiver(EngineError):
    """Nobody waits for a message, and it was not to be kept."""

    code = "no_receiver"
    status = 404
    zh = "没有流程实例在等待消息“{name}”(关联键：{key})。请检查消息名和关联键，或等实例到达该步骤后再发。"
    en = "No process instance waits for the message “{name}” (correlation key: {key}). Check both, or send it again once the instance has arrived there."


class AmbiguousReceiver(EngineError):
    """More than one may take a message. `who`: ids of the instances that wait, or processes that begin with it."""

    code = "ambiguous_receiver"
    status = 409
    zh = "有 {count} 个实例在等待消息“{name}”(关联键：{key}),消息只能送达一个。请给出实例编号。相符的有：{who}。"
    en = "{count} instances wait for the message “{name}” (correlation key: {key}); a message reaches exactly one. Name the instance. These match: {who}."


class NoCorrelationKey(EngineError):
    """The payload of a message has no value for the correlation keys by which its receiver is found."""

    code = "no_correlation_key"
    status = 422
    zh = "消息“{name}”的内容中没有关联键 {keys} 的值，无法确定接收者。请在内容中给出。"
    en = "The payload of the message “{name}” has no value for the correlation key {keys}, so its receiver cannot be found. Give it in the payload."


class WrongConversation(EngineError):
    """A message has another correlation key than the conversation of the instance that it was given to."""

    code = "wrong_conversation"
    status = 409
    zh = "消息“{name}”的关联键与该实例的会话不符：{key}。请检查内容，或发给别的实例。"
    en = "The correlation key of the message “{name}” is not that of this instance's conversation: {key}. Check the payload, or send it to another instance."


class AmbiguousStart(EngineError):
    """A process with several none start events was started without naming one: each of them is another beginning."""

    code = "ambiguous_start"
    status = 409
    zh = "流程“{name}”有多个空白开始事件，请指明从哪一个开始：{starts}。"
    en = "The process “{name}” has several none start events; say with which one it begins: {starts}."


class WrongState(EngineError):
    """The thing exists but its state does not allow the command."""

    code = "wrong_state"
    status = 409
    zh = "{what} {id} 当前为“{state}”，不能{action}。"
    en = "{what} {id} is {state}; it cannot be {action_en}."


class Conflict(EngineError):
    """Somebody was faster again and again; trying later is safe."""

    code = "conflict"
    status = 409
    zh = "同时有多人在操作，请稍后重试。"
    en = "Several people are changing this at once; try again in a moment."


class Busy(Conflict):
    """Another process kept the database from being written for so long that it may hang; trying later is safe."""

    code = "busy"
    status = 503
    zh = "数据库一直被另一个操作占用，等了 {seconds} 秒仍未轮到。您的操作没有生效，请稍后重试；若总是如此，请系统管理员查看是否有 psmflow 进程停住。"
    en = "Something else has kept the database busy for {seconds} seconds. Nothing of this command was kept; try again in a moment. If it stays so, let the administrator see whether a psmflow process was stopped or hangs."


class StorageFailed(EngineError):
    """The database did not take or give what was asked: disk full, read-only, damaged. Nothing of the command was kept."""

    code = "storage_failed"
    status = 503
    zh = "数据库无法{action_zh}：{reason}。您的操作没有生效，已保存的数据不受影响；请联系系统管理员。"
    en = "The database cannot be {action}: {reason_en}. Nothing of this command was kept, and nothing saved before is lost; tell the administrator."


@contextmanager
def telling(zh: str, en: str) -> Iterator[None]:
    """Tell what the disk refuses in plain words.

    Args:
        zh, en: what was being done, as `StorageFailed` says it: ``写入``, ``written``.
    """
    try:
        yield
    except (FileExistsError, EngineError):  # access denied is an OSError too
        raise
    except OSError as error:
        place = f"{Path(error.filename).name}: " if error.filename else ""
        raise StorageFailed(action_zh=zh, action=en, reason=f"{place}{error.strerror}", reason_en=f"{place}{error.strerror}") from error


class OutcomeUnknown(StorageFailed):
    """The connection broke while the database was committing: it may have been done, or not."""

    code = "outcome_unknown"
    zh = "提交时与数据库的连接中断，您的操作可能已经生效，也可能没有。请先刷新页面确认，再决定是否重做。"
    en = "The connection to the database broke during the commit: what you did may be kept or not. Look at the page again before you repeat it."


class BadArchive(EngineError):
    """The file is no archive of ours, is cut or was changed, or belongs to a newer release. Nothing was touched."""

    code = "bad_archive"
    zh = "无法恢复 {archive}：{reason}。现有数据没有改动。"
    en = "{archive} cannot be restored: {reason_en}. Nothing was changed."


class NotRestored(EngineError):
    """There is an installation that the restore would take the place of, or that is in use. Nothing was touched."""

    code = "not_restored"
    status = 409
    zh = "没有恢复到 {data}：{reason}。现有数据没有改动。"
    en = "Nothing was restored to {data}: {reason_en}. Nothing was changed."


class Unstorable(EngineError):
    """A text or number is not one that the database can hold."""

    code = "unstorable"
    status = 422
    zh = "内容无法保存或查找：{reason}。请修改后重试。"
    en = "This can be neither kept nor looked for: {reason_en}. Change it and try again."


class UnknownSchema(EngineError):
    """The database was made by another version of psmflow."""

    code = "unknown_schema"
    status = 503
    zh = "数据库的结构版本“{revision}”不是本版 psmflow 所知的。请换用建立它的版本或更新的版本；若其中数据不必保留，请换一个空数据库（PSMFLOW_DATABASE、PSMFLOW_DATABASE_URL）。"
    en = "The database stands at the schema “{revision}”, which this version of psmflow does not know. Use the version that made it, or a newer one; if its data are not needed, give an empty database (PSMFLOW_DATABASE, PSMFLOW_DATABASE_URL)."


class BadHeads(EngineError):
    """A head file, or one before it, is not there or is none."""

    code = "bad_heads"
    status = 422
    zh = "链头文件 {file} 无法使用：{reason}。请把它和同一文件夹中本月更早的链头文件放在一起。"
    en = "The head file {file} cannot be used: {reason}. Put it together with the earlier head files of its month, as they lay in one folder."


class SettingsError(EngineError):
    code = "settings"
    zh = "配置 {name} 不正确：{reason}"
    en = "The setting {name} is wrong: {reason}"


class BpmnError(Exception):
    """The business took its other path: an error boundary event or event sub-process of the diagram catches `code`.

    Raised by handlers; uncaught, it becomes an incident.
    """

    def __init__(self, code: str, message: str = "") -> None:
        self.code = code
        self.message = message or code
        super().__init__(self.message)
