"""The command line. Exit status 0: fine, 1: problems were found or the command was refused, 2: wrong use."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from engine import calendar, rehearsal
from engine.access import GROUPS
from engine.assembly import Engine, open_engine, require_real_time
from engine.assembly import restore as restore_installation
from engine.bpmn.check import counted, line_of
from engine.clock import SystemClock
from engine.errors import EngineError, InvalidDiagram
from engine.feel import (
    DecisionError,
    DecisionModel,
    Explained,
    FeelLimit,
    Reason,
    codec,
    compile_expression,
    expression_problems,
    load_decisions,
)
from engine.feel.run import HOUSE_ZONE
from engine.feel.values import feel_text, to_feel
from engine.layout import faults, lay_out
from engine.logs import configure, tell
from engine.model import SYSTEM, Finding, IncidentId, InstanceId, Severity
from engine.service.backup import Lacking
from engine.service.heads import HeadsChecked
from engine.service.keep import Erased
from engine.service.registers import ErasedEntry
from engine.settings import read_settings

_log = logging.getLogger("psmflow.worker")
F = TypeVar("F", bound=Callable[..., Any])


class _Command(click.Command):
    """A command whose help ends with its example, as typed."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            formatter.write_paragraph()
            formatter.write("Example:\n")
            for line in self.epilog.strip().splitlines():
                formatter.write(f"  {line.strip()}\n")


class _Group(click.Group):
    command_class = _Command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EngineError as error:
            _tell_error(error)
            sys.exit(1)


def _tell_error(error: EngineError) -> None:
    click.echo(f"psmflow: {error.text('zh')}", err=True)
    click.echo(f"         {error.text('en')}", err=True)
    if isinstance(error, InvalidDiagram):
        _tell_findings([f for f in error.findings if isinstance(f, Finding)], err=True)
    for path, texts in (getattr(error, "problems", None) or {}).items() if isinstance(getattr(error, "problems", None), dict) else ():
        click.echo(f"  {path}: {texts[0]} {texts[1]}", err=True)


def _tell_findings(found: list[Finding], err: bool = False) -> None:
    for finding in found:
        click.echo(line_of(finding, "zh"), err=err)
        click.echo(f"    {finding.en} {finding.mend_en}", err=err)


@contextlib.contextmanager
def _engine(**changes: Any) -> Iterator[Engine]:
    import handlers  # noqa: F401  registers the handlers of the house

    dispatching = changes.pop("dispatching", False)
    engine = open_engine(read_settings(**changes), dispatching=dispatching)
    try:
        yield engine
    finally:
        engine.close()


class _Told(SystemExit):
    """The process was told to stop; the server that runs in the main thread ends its loop for it."""


def _raise() -> None:
    raise _Told(0)


@contextlib.contextmanager
def _told_to_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first SIGTERM or SIGINT; at the second, end the process where it stands."""
    told: list[int] = []

    def hear(number: int, _frame: object) -> None:
        told.append(number)
        if len(told) > 1:
            os._exit(128 + number)  # leases run out by themselves; what was committed stands
        click.echo("正在停止，再次发出信号则立即终止 (stopping; a second signal stops it at once)", err=True)
        stop()

    before = {name: signal.signal(name, hear) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _files(paths: tuple[Path, ...]) -> dict[str, bytes]:
    """Return ``{name: bytes}`` of files and folders; a folder gives everything deployable below it."""
    files: dict[str, bytes] = {}
    for path in paths:
        if path.is_dir():
            found = rehearsal.read_library(path)
            if not found:
                raise click.UsageError(f"there is no .bpmn, .form or .dmn file below {path}")
            files.update({f"{path.name}/{name}" if len(paths) > 1 else name: data for name, data in found.items()})
        else:
            files[path.name if path.name not in files else str(path)] = path.read_bytes()
    return files


def _existing(*, folder: bool = True) -> click.Path:
    return click.Path(exists=True, dir_okay=folder, path_type=Path)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="psmflow", prog_name="psmflow")
def main() -> None:
    """psmflow runs the pre-sales and bidding processes (售前与投标流程) from their BPMN diagrams.

    Settings are read from PSMFLOW_* in the environment (see docs/settings.md); data lies in ./var unless PSMFLOW_DATA says
    otherwise.
    """


@main.command(epilog="psmflow serve --demo --port 8000")
@click.option("--demo", is_flag=True, help="With demo users: five for a whole tender, one per role (password “demo”); on loopback alone.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database and files [default: $PSMFLOW_DATA or ./var].")
@click.option("--processes", type=_existing(), help="Deploy this folder first; unchanged diagrams make no new version.")
def serve(demo: bool, host: str, port: int, data: Path | None, processes: Path | None) -> None:
    """Serve the pages and run due jobs in one process.

    Told to stop (SIGTERM, Ctrl-C), it does as `psmflow worker`.
    """
    from web.serve import serve as run  # the engine does not know the web; only this command joins them

    changes: dict[str, Any] = {"demo": demo} if demo else {}
    if data is not None:
        changes["data"] = data
    if "PSMFLOW_BASE_URL" not in os.environ:
        changes["base_url"] = f"http://{host}:{port}"
    settings = read_settings(**changes)
    configure(settings.log)
    require_real_time(settings)  # before anything is deployed
    with contextlib.suppress(_Told), _told_to_stop(_raise):
        # In a process of its own, which gives back the memory (30 MB) that migrating and checking take once.
        preparing = multiprocessing.get_context("fork").Process(target=_prepare, args=(changes, processes), daemon=True)
        preparing.start()
        preparing.join()
        if preparing.exitcode:
            sys.exit(1)
        with _engine(dispatching=True, **changes) as engine:
            run(engine, engine.settings, host, port)


def _prepare(changes: dict[str, Any], processes: Path | None) -> None:
    """Make or migrate the database and deploy `processes`; exit status 1 when it cannot be done."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)  # a deployment is one transaction
    try:
        with _engine(**changes) as engine:
            if processes is not None:
                made = engine.deployments.deploy(SYSTEM, rehearsal.read_library(processes), processes.name)
                click.echo(f"已部署 {len(made.definitions)} 个新版本 ({len(made.definitions)} new versions deployed)")
    except EngineError as error:
        _tell_error(error)
        sys.exit(1)


@main.command(epilog="PSMFLOW_DATA=/srv/psmflow psmflow worker --metrics-port 9101")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Give Prometheus the numbers of this worker here, on loopback.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database and files.")
def worker(metrics_port: int | None, data: Path | None) -> None:
    """Run due jobs (timers, handlers, reminders) until it is told to stop.

    Told once (SIGTERM, Ctrl-C), it lets handlers that run come to their end, and gives back for other workers to do what has not
    ended after PSMFLOW_STOP_SECONDS. Told twice, it stops at once.
    """
    stop = threading.Event()
    configure(read_settings(data=data).log)
    with _told_to_stop(stop.set), _engine(dispatching=True, **({"data": data} if data else {})) as engine:
        if metrics_port is not None:
            try:
                engine.metrics.serve(metrics_port)
            except OSError as error:
                raise click.UsageError(f"端口 {metrics_port} 无法使用 (the port {metrics_port} cannot be used: {error.strerror})") from error
        click.echo("worker 已启动，按 Ctrl-C 停止 (running; Ctrl-C stops it)")
        while not stop.wait(30):
            health = engine.audit.health()
            if not health.ok:
                tell(
                    _log, logging.WARNING, "not_well", database=health.database, schema_current=health.schema,
                    timer_lag=health.timer_lag.total_seconds(), job_lag=health.job_lag.total_seconds(),
                )  # fmt: skip


@main.command(epilog="psmflow deploy processes/\npsmflow deploy bid_bond.bpmn bid_bond.pay.form")
@click.argument("paths", nargs=-1, required=True, type=_existing())
@click.option("--name", default="", help="Name of the deployment [default: the first path].")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database and files.")
def deploy(paths: tuple[Path, ...], name: str, data: Path | None) -> None:
    """Deploy diagrams, forms and decision tables together: all of them or none."""
    with _engine(**({"data": data} if data else {})) as engine:
        made = engine.deployments.deploy(SYSTEM, _files(paths), name or paths[0].name)
    _tell_findings(list(made.findings))
    for definition in made.definitions:
        click.echo(f"{definition.key} 第 {definition.version} 版 {definition.name} (version {definition.version})")
    if not made.definitions:
        click.echo("没有变化，未产生新版本 (nothing changed, no new version)")


@main.command(epilog="psmflow check processes/psm050_bidding/psm050_bidding.bpmn\npsmflow check processes --strict")
@click.argument("files", nargs=-1, required=True, type=_existing())
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--strict", is_flag=True, help="Report conformance by the letter of BPMN 2.0, where deployments are lenient.")
def check(files: tuple[Path, ...], as_json: bool, strict: bool) -> None:
    """Check diagrams as drawn and print every problem; exit status 1 if any keeps them from being deployed (with --strict:
    from conforming).

    Forms, decisions and called processes are looked up among the files given and in the library folder beside them.
    """
    import tempfile

    given = _files(files)
    around = dict(given)
    library = rehearsal.library_of(files[0] if files[0].is_dir() else files[0].parent)
    known = {data for data in given.values()}
    for name, data in rehearsal.read_library(library).items():
        if data not in known:
            around.setdefault(f"../{name}", data)
    with tempfile.TemporaryDirectory(prefix="check-") as scratch, _engine(data=Path(scratch), database=Path(scratch) / "c.db") as engine:
        found = [f for f in engine.deployments.check(around, strict=strict) if f.file in given]
    refused = sum(f.severity in (Severity.ERROR, Severity.DRAFT) for f in found)
    if as_json:
        click.echo(json.dumps([_finding_json(f) for f in found], ensure_ascii=False, indent=1))
    else:
        _tell_findings(found)
        diagrams = sum(name.endswith(".bpmn") for name in given)
        click.echo(f"{diagrams} 个流程图：{refused} 个必须更正的问题，{len(found) - refused} 个提示 "
                   f"({diagrams} diagrams: {refused} problems, {len(found) - refused} hints)")
        if strict:
            zh, en = counted(found)
            click.echo(f"BPMN 2.0 一致性：{zh} (conformance to BPMN 2.0: {en})")
    sys.exit(1 if refused else 0)


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in ("rule", "severity", "file", "element", "line", "zh", "en", "mend_zh", "mend_en")}


@main.command(epilog="psmflow rehearse processes/psm_presale\npsmflow rehearse processes --json")
@click.argument("path", type=_existing())
@click.option("--scenario", "scenario_file", type=_existing(folder=False), help="Run this scenario only.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--timeline/--no-timeline", default=None, help="Print what happened when [default: with one scenario].")
def rehearse(path: Path, scenario_file: Path | None, as_json: bool, timeline: bool | None) -> None:
    """Run the scenarios of a process (or of all) on the real engine with a clock that is moved.

    PATH is a process folder or a folder of process folders. Exit status 1 if a scenario fails.
    """
    import handlers  # noqa: F401

    if not path.is_dir():
        raise click.UsageError(f"{path} is not a folder")
    scenarios = (rehearsal.read_scenario(scenario_file),) if scenario_file else rehearsal.find_scenarios(path)
    if not scenarios:
        raise click.UsageError(f"there are no scenarios/*.json below {path}")
    show = len(scenarios) == 1 if timeline is None else timeline

    def said(run: rehearsal.Run) -> None:
        if as_json:
            click.echo(f"{run.process}/{run.name}: {'passed' if run.passed else 'FAILED'}", err=True)
            return
        if show:
            for line in run.timeline:
                click.echo(f"  {line.at:%m-%d %H:%M}  {line.who:<8} {line.text}")
        click.echo(f"{'通过' if run.passed else '失败'}  {run.process}/{run.name} {run.title}  结果 {run.outcome}  事件 {run.event_count}")
        if run.failure:
            click.echo(f"      {run.failure}")

    report = rehearsal.rehearse(rehearsal.library_of(path), scenarios, said=said, workers=os.cpu_count() or 1)
    if as_json:
        click.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=1))
    else:
        c = report.coverage
        click.echo(f"覆盖：节点 {c.nodes_covered}/{c.nodes},连线 {c.flows_covered}/{c.flows} (coverage of nodes and flows)")
        for name in c.missing:
            click.echo(f"  未覆盖 {name}")
    sys.exit(0 if report.passed else 1)


@main.command(epilog="psmflow layout processes/psm050_bidding/psm050_bidding.bpmn")
@click.argument("files", nargs=-1, required=True, type=_existing(folder=False))
@click.option("--effort", default=40, show_default=True, type=click.IntRange(0, 200), help="How many complete drawings to try.")
@click.option("--check", "only_check", is_flag=True, help="Measure the faults of the drawing as it is; change nothing.")
def layout(files: tuple[Path, ...], effort: int, only_check: bool) -> None:
    """Draw diagrams anew (整理布局), in place: pools, lanes, routes, labels. What they mean stays untouched."""
    count = 0
    for number, file in enumerate(files, 1):
        data = file.read_bytes()
        if not only_check:
            drawn = lay_out(data, effort=effort)
            if drawn != data:
                file.write_bytes(drawn)
            data = drawn
        found = faults(data)
        count += len(found)
        click.echo(f"[{number}/{len(files)}] {file}: {len(found)} 个版面缺陷 ({len(found)} faults)")
        for fault in found:
            click.echo(f"    {fault.zh} {fault.en}")
    sys.exit(1 if count else 0)


@main.command(epilog="psmflow verify\npsmflow verify --instance 123456789\npsmflow verify --archive var/archive/2026-11.jsonl.gz\n"
                     "psmflow verify --heads /mnt/audit/2026-11-22T01-57-05.120Z.json --key psmflow.pub")
@click.option("--instance", type=int, help="One process instance [default: all].")
@click.option("--archive", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="An archive file, against what the database remembers.")
@click.option("--heads", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Compare every instance with a signed head file; the earlier ones of its month lie beside it.")
@click.option("--key", help="Public key that the head file must be signed by, in hex or as a file, kept elsewhere [default: the one in this house].")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def verify(instance: int | None, archive: Path | None, heads: Path | None, key: str | None, data: Path | None) -> None:
    """Verify the chains of history, an archive file, or both against a signed head file; exit status 1 if anything was changed."""
    if sum(each is not None for each in (instance, archive, heads)) > 1:
        raise click.UsageError("--instance、--archive、--heads 只能用一个 (give one of --instance, --archive, --heads)")
    started = time.monotonic()
    with _engine(**({"data": data} if data else {})) as engine:
        if archive is not None:
            found, broken = engine.keep.verify_archive(archive)
            checked_instances, checked_events = len(found.heads), found.events
            click.echo(f"{archive.name} SHA-256 {found.sha256}")
        elif heads is not None:
            told = engine.heads.verify(heads, key)
            broken, checked_instances = told.breaks, told.signing.count
            checked_events = sum(end[0] for end in told.signing.ends.values())
            _tell_heads(told)
            if not told.signature:
                click.echo("签名不符：该文件不是由此密钥签出的 (the signature is not by this key)")
                sys.exit(1)
        else:
            broken = engine.audit.verify(InstanceId(instance) if instance is not None else None)
            checked_instances, checked_events = engine.audit.last_checked.instances, engine.audit.last_checked.events
            if engine.audit.last_checked.registers:
                checked = engine.audit.last_checked
                click.echo(f"另有 {checked.registers} 个台账、{checked.records} 条登记已核对 "
                           f"({checked.registers} registers with {checked.records} records were checked as well)")
            names = engine.keep.archive_names() if instance is None else ()
            if names:
                broken += engine.keep.verify_archives()
                click.echo(f"另有 {len(names)} 个归档文件已核对 ({len(names)} archive files were looked through as well)")
    for b in broken:
        place = f"第 {b.seq} 条：" if b.seq else ""
        whose = f"台账 {b.register} " if b.register else f"实例 {b.instance_id} " if b.instance_id else ""
        click.echo(f"{whose}{place if whose else ''}{b.zh} ({b.en})")
    events = "" if heads is not None else f"、{checked_events} 条记录", "" if heads is not None else f", {checked_events} events"
    click.echo(f"{checked_instances} 个实例{events[0]}，{len(broken)} 处不符，用时 {time.monotonic() - started:.1f} 秒 "
               f"({checked_instances} instances{events[1]}, {len(broken)} breaks)")
    sys.exit(1 if broken else 0)


def _tell_heads(told: HeadsChecked) -> None:
    s = told.signing
    click.echo(f"链头文件 {s.name}：签于 {s.at:%Y-%m-%d %H:%M:%S}Z，{s.count} 个实例，根 {s.root.hex()} (signed heads of that time)")
    if told.signature:
        click.echo(f"签名有效，公钥 {told.key} (the signature is good)")
    if told.key_is_own:
        click.echo("注意：公钥取自本机，内部人员可能连它一起更换；请用 --key 给出另行保存的公钥 "
                   "(the key is the one of this house, which an insider could have replaced; give one kept elsewhere with --key)")


@main.command("archive", epilog="psmflow archive --older-than P2Y --dry-run\npsmflow archive --older-than P2Y")
@click.option("--older-than", help="Only what ended longer ago: P2Y, P18M, P90D [default: $PSMFLOW_KEEP_CLOSED].")
@click.option("--dry-run", is_flag=True, help="Count; change nothing.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def archive_closed(older_than: str | None, dry_run: bool, data: Path | None) -> None:
    """Move instances that ended long ago into verified archive files, one or more for each month.

    They are still found and shown. What a legal hold stands over stays. Exit status 1: something had to stay that should not.
    """
    with _engine(**({"data": data} if data else {})) as engine:
        period = older_than or engine.settings.keep_closed
        if not period:
            raise click.UsageError("请给出 --older-than，或设置 PSMFLOW_KEEP_CLOSED (give --older-than, or set PSMFLOW_KEEP_CLOSED)")
        done = engine.keep.archive(period, dry_run=dry_run)
    for file in done.files:
        click.echo(f"{file.name}  {file.instance_count} 个实例，{file.size:,} 字节  SHA-256 {file.sha256}")
    if dry_run:
        click.echo(f"{done.instance_count} 个流程实例将被归档 ({done.instance_count} instances would be archived)")
    else:
        click.echo(f"已归档 {done.instance_count} 个流程实例，写入 {len(done.files)} 个文件 "
                   f"({done.instance_count} instances archived into {len(done.files)} files)")
    if done.held_count:
        click.echo(f"{done.held_count} 个因法定保全而保留 ({done.held_count} stay: a legal hold stands over them)")
    for id in done.broken:
        click.echo(f"实例 {id} 的历史链不完整，未归档；请运行 psmflow verify --instance {id} (its history is not intact, so it stays)", err=True)
    for name in done.strange:
        click.echo(f"归档文件夹中的 {name} 未登记，且其内容不在数据库中：未作处理，请核对 "
                   "(not known to the database, and what it holds is nowhere else: left alone, look into it)", err=True)
    sys.exit(1 if done.broken or done.strange else 0)


@main.group(cls=_Group)
def hold() -> None:
    """Legal holds: what stands under one is neither archived nor erased."""


@hold.command("place", epilog="psmflow hold place --business-key ZFCG-2026 --reason 投诉处理中")
@click.option("--instance", type=int, help="One process instance.")
@click.option("--business-key", help="Every instance that has or will have this business key.")
@click.option("--reason", required=True, help="Why; kept in the history.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def place_hold(instance: int | None, business_key: str | None, reason: str, data: Path | None) -> None:
    """Place a hold."""
    if (instance is None) == (business_key is None):
        raise click.UsageError("请给出 --instance 或 --business-key 之一 (give either --instance or --business-key)")
    with _engine(**({"data": data} if data else {})) as engine:
        placed = engine.keep.hold(SYSTEM, reason, instance_id=None if instance is None else InstanceId(instance), business_key=business_key)
    click.echo(f"已设置法定保全 {placed.id}；解除：psmflow hold lift {placed.id} --reason … (placed)")


@hold.command("lift", epilog="psmflow hold lift 123456789 --reason 投诉已结案")
@click.argument("id", type=int)
@click.option("--reason", required=True, help="Why; kept in the history.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def lift_hold(id: int, reason: str, data: Path | None) -> None:
    """Lift a hold."""
    with _engine(**({"data": data} if data else {})) as engine:
        engine.keep.lift(SYSTEM, id, reason)
    click.echo("已解除 (lifted)")


@hold.command("list", epilog="psmflow hold list --all")
@click.option("--all", "lifted", is_flag=True, help="Those that were lifted too.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def list_holds(lifted: bool, data: Path | None) -> None:
    """List the holds that stand."""
    with _engine(**({"data": data} if data else {})) as engine:
        found = engine.keep.holds(SYSTEM, lifted=lifted)
    for h in found:
        what = f"实例 {h.instance_id}" if h.instance_id is not None else f"业务编号 {h.business_key}"
        click.echo(f"{h.id}  {h.placed_at:%Y-%m-%d %H:%M}Z  {h.placed_by}  {what}：{h.reason}")
        if h.lifted_at is not None:
            click.echo(f"    {h.lifted_at:%Y-%m-%d %H:%M}Z 由 {h.lifted_by} 解除：{h.lifted_reason} (lifted)")
    click.echo(f"{len(found)} 项法定保全 ({len(found)} legal holds)")


@main.command(epilog="psmflow erase --instance 123456789 --field phone --field id_card --reason 当事人要求删除\n"
                     "psmflow erase --instance 123456789 --document 987654321 --reason 当事人要求删除\n"
                     "psmflow erase --register contact_log --entry 123456789 --field person --field present --reason 当事人要求删除")
@click.option("--instance", "chosen", type=int, multiple=True, help="May be repeated.")
@click.option("--register", "register", help="Name of a register; with --entry.")
@click.option("--entry", "entries", type=int, multiple=True, help="Number of an entry of the register; may be repeated.")
@click.option("--field", "fields", multiple=True, help="Name of a variable or field; may be repeated.")
@click.option("--document", "documents", type=int, multiple=True, help="Number of an uploaded file; may be repeated.")
@click.option("--all-documents", is_flag=True, help="Every uploaded file.")
@click.option("--everything", is_flag=True, help="Everything that people typed.")
@click.option("--titles", is_flag=True, help="Title and business key as lists show them, too.")
@click.option("--reason", required=True, help="Why; kept in the history.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def erase(
    chosen: tuple[int, ...], register: str | None, entries: tuple[int, ...], fields: tuple[str, ...], documents: tuple[int, ...], all_documents: bool, everything: bool, titles: bool,
    reason: str, data: Path | None,
) -> None:  # fmt: skip
    """Erase fields and files of ended instances or of entries of a register, lawfully: the history says who did it and why, and
    still verifies.

    Archived instances too. Of an entry all versions lose them. Exit status 1: something is refused. What stays, and why, is told.
    """
    if bool(chosen) == bool(register) or bool(register) != bool(entries):
        raise click.UsageError("请给出 --instance，或 --register 与 --entry (say which instances, or which entries of which register)")
    if register and titles:
        raise click.UsageError("台账记录没有标题：--titles 只用于实例 (--titles is for instances)")
    if not (fields or documents or all_documents or everything or titles):
        raise click.UsageError("请给出要清除的内容：--field、--document、--all-documents、--everything 或 --titles (say what is to be erased)")
    refused = 0
    files = None if all_documents else documents
    with _engine(**({"data": data} if data else {})) as engine:

        def of_instance(id: int) -> tuple[Erased | ErasedEntry, int]:
            done = engine.keep.erase(SYSTEM, InstanceId(id), reason, fields=fields, documents=files, everything=everything, titles=titles)
            return done, done.document_count

        def of_entry(id: int) -> tuple[Erased | ErasedEntry, int]:
            done = engine.registers.erase(SYSTEM, register or "", id, reason, fields=fields, files=files, everything=everything)
            return done, done.file_count

        for each in chosen or entries:
            try:
                done, file_count = of_entry(each) if register else of_instance(each)
            except EngineError as error:
                _tell_error(error)
                refused += 1
                continue
            click.echo(f"{f'台账 {register} 的记录' if register else '实例'} {each}：清除 {done.payload_count} 条记录中的内容、{file_count} 个文件、{done.row_count} 处副本 "
                       f"({done.payload_count} payloads, {file_count} files, {done.row_count} copies erased)")
            if done.shared_count:
                click.echo(f"  {done.shared_count} 个文件的字节与其他文件相同，予以保留 (the bytes of {done.shared_count} stay: another file has the same)")
            for left in done.left:
                click.echo(f"  保留：{left.zh}\n        {left.en}")
    click.echo("此前的备份和已导出的文件中仍有原内容 (backups and exports made before still hold it)")
    sys.exit(1 if refused else 0)


@main.group(cls=_Group)
def heads() -> None:
    """Signed heads: what tells, kept elsewhere, that the history was changed even by whoever owns the database."""


@heads.command("sign", epilog="psmflow heads sign")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def sign_heads(data: Path | None) -> None:
    """Sign the ends of all chains, and copy the file to $PSMFLOW_HEADS_TO. The server and the worker do it once a day.

    Exit status 1: something is gone that an earlier file has, or the file could not be copied.
    """
    with _engine(**({"data": data} if data else {})) as engine:
        signing, broken = engine.heads.sign()
        places = engine.settings.heads_to
    click.echo(f"{engine.heads.folder / signing.name}")
    click.echo(f"  {signing.count} 个实例，根 {signing.root.hex()} ({signing.count} instances under one root)")
    click.echo(f"  SHA-256 {signing.sha256}")
    click.echo(f"  已送往 {'、'.join(places)} (brought there)" if places else
               "  未送出本机：只有保存在别处的链头文件才能证明内部人员的改动，请设置 PSMFLOW_HEADS_TO "
               "(it lies in this house alone and so proves nothing against an insider; set PSMFLOW_HEADS_TO)")
    for b in broken:
        click.echo(f"实例 {b.instance_id}：{b.zh} ({b.en})", err=True)
    sys.exit(1 if broken else 0)


@heads.command("key", epilog="psmflow heads key > psmflow.pub")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def public_key(data: Path | None) -> None:
    """Print the public key (Ed25519, hex); give it to the auditor."""
    with _engine(**({"data": data} if data else {})) as engine:
        click.echo(engine.heads.public_key())


@heads.command("list", epilog="psmflow heads list")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def list_heads(data: Path | None) -> None:
    """List the head files in this house."""
    with _engine(**({"data": data} if data else {})) as engine:
        for s in engine.heads.files():
            click.echo(f"{s.name}  {s.count} 个实例  根 {s.root.hex()[:16]}…  SHA-256 {s.sha256}")


@main.command(epilog="psmflow export --instance 123456789 --format jsonl > instance.jsonl")
@click.option("--instance", type=int, required=True)
@click.option("--format", "kind", type=click.Choice(["jsonl"]), default="jsonl", show_default=True)
@click.option("--proof", is_flag=True, help="Add the proof that it is in the newest signed head file.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def export(instance: int, kind: str, proof: bool, data: Path | None) -> None:
    """Print the history of one process instance, chain and payload; docs/verify_export.py verifies it offline."""
    with _engine(**({"data": data} if data else {})) as engine:
        for line in engine.instances.export(SYSTEM, InstanceId(instance)):
            sys.stdout.buffer.write(line)
        if proof:
            line = engine.heads.proof(SYSTEM, InstanceId(instance)) or b""
            sys.stdout.buffer.write(line)
            if not line:
                click.echo("还没有包含该实例的签名，先运行 psmflow heads sign (no head file has it yet; run psmflow heads sign first)", err=True)


@main.command(epilog="psmflow incidents")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def incidents(as_json: bool, data: Path | None) -> None:
    """List the open incidents: what failed, where, and why."""
    with _engine(**({"data": data} if data else {})) as engine:
        found = engine.jobs.incidents(SYSTEM)
    if as_json:
        click.echo(json.dumps([
            {"id": str(i.id), "instance": str(i.instance_id), "process": i.process, "element": i.element, "kind": i.kind,
             "message": i.message, "opened_at": i.opened_at.isoformat()} for i in found
        ], ensure_ascii=False, indent=1))
        return
    for i in found:
        click.echo(f"{i.id}  {i.opened_at:%Y-%m-%d %H:%M}Z  {i.process}.{i.element}  {i.title}\n    {i.kind}: {i.message}")
    click.echo(f"{len(found)} 个未处理的异常；修正原因后用 psmflow retry ID 重试 ({len(found)} open incidents)")


@main.command(epilog="psmflow retry 123456789 --reason 邮件服务器已恢复")
@click.argument("incident", type=int)
@click.option("--reason", default="", help="Why it will go well now; kept in the history.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def retry(incident: int, reason: str, data: Path | None) -> None:
    """Retry what failed, once its cause is mended."""
    with _engine(**({"data": data} if data else {})) as engine:
        engine.jobs.retry(SYSTEM, IncidentId(incident), {}, reason)
        engine.jobs.run_due()
    click.echo("已重试 (retried)")


def _variables(file: Path | None) -> dict[str, Any]:
    """Return ``{name: value}`` of a JSON file: numbers are exact, ``{"@": "2026-12-01"}`` is a date, a time or a duration."""
    if file is None:
        return {}
    try:
        document = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise click.UsageError(f"{file} 不是 JSON ({file} is no JSON: {error})") from error
    if not isinstance(document, dict):
        raise click.UsageError(f"{file} 应为 {{名称: 值}} 的 JSON 对象 ({file} must hold one JSON object of names and values)")
    try:
        return dict(codec.from_json(document))
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"{file} 中有无法读取的值 ({file} has a value that cannot be read: {error})") from error


def _moment(text: str | None) -> datetime:
    if text is None:
        return SystemClock().now()
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"--now 应为 2026-12-01T09:30:00+08:00 的形式 (--now is no date and time: {text})") from error
    return at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(HOUSE_ZONE))


def _tell_value(
    value: Any, reasons: tuple[Reason, ...], tree: Explained | None, as_json: bool, rules: tuple[int, ...] | None = None
) -> None:
    if as_json:
        told: dict[str, Any] = {
            "value": codec.to_json(value), "reasons": [{"zh": reason.zh, "en": str(reason)} for reason in reasons]}
        if rules is not None:
            told["rules"] = list(rules)
        if tree is not None:
            told["explained"] = tree.as_json()
        click.echo(json.dumps(told, ensure_ascii=False, indent=1, default=str))
        return
    for line in tree.lines() if tree is not None else (feel_text(to_feel(value)),):
        click.echo(line)
    for reason in reasons:
        click.echo(f"  空值原因：{reason.zh} ({reason})", err=True)


_NOW = click.option("--now", "now_text", help="What now() and today() give, ISO 8601 [default: the machine's clock].")
_EXPLAIN = click.option("--explain", is_flag=True, help="Print every part with the value it had.")
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the value, and why parts were null, as JSON.")


@main.command("feel", epilog="psmflow feel '报价金额 * 毛利率 > 100000' --context quote.json\npsmflow feel 'today() + duration(\"P3D\")'")
@click.argument("expression")
@click.option("--context", type=_existing(folder=False), help="JSON object of the variables.")
@_NOW
@_EXPLAIN
@_AS_JSON
def evaluate_expression(expression: str, context: Path | None, now_text: str | None, explain: bool, as_json: bool) -> None:
    """Evaluate a FEEL expression and print its value as FEEL writes it; why a part was null goes to standard error."""
    variables, now = _variables(context), _moment(now_text)
    for problem in expression_problems(expression, variables):
        click.echo(f"第 {problem.line} 行第 {problem.column} 列：{problem.zh} ({problem.en})", err=True)
        if problem.rule == "syntax":
            sys.exit(1)
    compiled = compile_expression(expression, frozenset(variables))
    try:
        result = compiled.evaluate(variables, now, calendar=calendar)
        _tell_value(result.value, result.reasons, compiled.explain(variables, now, calendar=calendar) if explain else None, as_json)
    except FeelLimit as limit:
        click.echo(f"psmflow: {limit.zh} ({limit})", err=True)
        sys.exit(1)


@main.command(epilog="psmflow decide processes/psm040_quotation/decisions/dmn_quote_approval.dmn --input quote.json --explain")
@click.argument("file", type=_existing(folder=False))
@click.option("--input", "input_file", type=_existing(folder=False), help="JSON object of the inputs.")
@click.option("--decision", help="Id or name [default: the one that no other decision of the file requires].")
@_NOW
@_EXPLAIN
@_AS_JSON
def decide(
    file: Path, input_file: Path | None, decision: str | None, now_text: str | None, explain: bool, as_json: bool
) -> None:
    """Evaluate a decision of a DMN file; files that it imports are looked for beside it."""
    variables, now = _variables(input_file), _moment(now_text)
    beside = {path.name: path.read_bytes() for path in sorted(file.parent.glob("*.dmn")) if path != file}
    try:
        model = load_decisions(file.read_bytes(), beside)
        wanted = decision or _root_decision(model)
        answer = model.decide(wanted, variables, now, calendar=calendar)
        tree = model.explain(wanted, variables, now, calendar=calendar) if explain else None
    except DecisionError as error:
        place = f"第 {error.line} 行：" if error.line else ""
        click.echo(f"psmflow: {file}: {place}{error.zh} ({error})", err=True)
        sys.exit(1)
    except FeelLimit as limit:
        click.echo(f"psmflow: {limit.zh} ({limit})", err=True)
        sys.exit(1)
    if answer.rules and not as_json:
        click.echo(f"匹配的规则：{'、'.join(map(str, answer.rules))} (rules that matched)", err=True)
    _tell_value(answer.value, answer.reasons, tree, as_json, answer.rules)


def _root_decision(model: DecisionModel) -> str:
    roots = model.roots
    if len(roots) == 1:
        return roots[0].id
    names = "、".join(decision.id for decision in roots or model.decisions)
    raise click.UsageError(f"请用 --decision 指明决策：{names} (name one of these with --decision)")


@main.group(cls=_Group)
def user() -> None:
    """People of the house."""


@user.command("add", epilog="psmflow user add wang --name 王磊 --group bid_manager --group account_manager --mail wang@example.com")
@click.argument("user_id")
@click.option("--name", required=True, help="As shown on the pages.")
@click.option("--group", "groups", multiple=True, required=True, type=click.Choice(sorted(GROUPS)), help="Role id; may be repeated.")
@click.option("--mail", default="")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when not given.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database and files.")
def add_user(user_id: str, name: str, groups: tuple[str, ...], mail: str, password: str, data: Path | None) -> None:
    """Add a person with roles."""
    with _engine(**({"data": data} if data else {})) as engine:
        engine.people.add_user(SYSTEM, user_id, name, password, frozenset(groups), mail)
    click.echo(f"已添加 {user_id} {name}：{'、'.join(GROUPS[g].zh for g in groups)} (added)")


@main.command(epilog="psmflow backup /srv/backup/\npsmflow backup /srv/backup/before-upgrade.zip")
@click.argument("file", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path))
@click.option("--with-secret", is_flag=True, help="Put the keys of sessions and sealed prices into the archive too; keep it locked away then.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def backup(file: Path, with_secret: bool, data: Path | None) -> None:
    """Write one archive of the database and the uploaded files, while the server goes on serving.

    A folder gets an archive named after the time. Exit status 1: the archive is written, but it lacks uploaded files.
    """
    try:
        with _engine(**({"data": data} if data else {})) as engine:
            made = engine.audit.backup(file, with_secret=with_secret)
    except FileExistsError as error:
        raise click.UsageError(f"{error} 已存在，请换一个名称 ({error} exists already; name a new file)") from error
    m = made.manifest
    click.echo(f"已备份到 {made.path}，并已读回核对 (backed up and read back)")
    click.echo(f"  流程实例 {m.instance_count}，事件 {m.event_count}，文件 {m.document_count}，{made.size:,} 字节，结构 {m.schema} "
               f"({m.instance_count} instances, {m.event_count} events, {m.document_count} files, {made.size:,} bytes, schema {m.schema})")
    click.echo("  含密钥 secret.key，请妥善保管 (the secret key is in it; keep it locked away)" if m.has_secret else
               "  不含密钥 secret.key (the secret key is not in it)")
    click.echo("  含密封报价的密钥 sealing.key，凭它可打开未开封的报价 (the key of sealed prices is in it: it opens them)" if m.has_sealing_key else
               "  不含密封报价的密钥；请另行保存，丢失后未开封的报价无法恢复"
               " (the key of sealed prices is not in it; keep it elsewhere: without it sealed prices are lost)")
    click.echo(f"  SHA-256 {made.sha256}")
    _tell_lacking(m.lacking, "未能备份", "could not be backed up")
    sys.exit(1 if m.lacking else 0)


def _tell_lacking(lacking: tuple[Lacking, ...], zh: str, en: str) -> None:
    for each in lacking:
        click.echo(f"{zh}：{each.zh}\n    {each.en} {en}", err=True)


@main.command(epilog="psmflow doctor\npsmflow doctor --fix\npsmflow doctor --json")
@click.option("--fix", is_flag=True, help="Put right what needs no decision; it is told, and recorded in the histories concerned.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Folder of the database and files.")
def doctor(fix: bool, as_json: bool, data: Path | None) -> None:
    """Look whether everything agrees, and say what to do about what does not; exit status 1 if something is left to do.

    Reads every history and every uploaded file, while the server goes on serving.
    """
    with _engine(**({"data": data} if data else {})) as engine:
        found = engine.audit.examine(fix=fix)
        checked = engine.audit.last_checked
    left = [a for a in found if not a.fixed]
    if as_json:
        click.echo(json.dumps([
            {"code": a.code, "severity": "error" if a.is_error else "warning", "fixed": a.fixed,
             "instance": None if a.instance_id is None else str(a.instance_id), "zh": a.zh, "en": a.en, "mend_zh": a.mend_zh, "mend_en": a.mend_en}
            for a in found
        ], ensure_ascii=False, indent=1))
    else:
        for a in found:
            mark = ("已修复", "fixed") if a.fixed else ("错误", "error") if a.is_error else ("提示", "warning")
            where = ("", "") if a.instance_id is None else (f"实例 {a.instance_id} ", f"instance {a.instance_id}, ")
            click.echo(f"{mark[0]} [{a.code}] {where[0]}{a.zh}\n    {mark[1]}: {where[1]}{a.en}")
            if not a.fixed:
                click.echo(f"    → {a.mend_zh}\n      {a.mend_en}")
        click.echo(f"检查了 {checked.instances} 个实例、{checked.events} 条事件：{len(left)} 项待处理，{len(found) - len(left)} 项已修复 "
                   f"({checked.instances} instances, {checked.events} events: {len(left)} to do, {len(found) - len(left)} fixed)")
    sys.exit(1 if left else 0)


@main.command(epilog="psmflow restore /srv/backup/psmflow-20261121T020000Z.zip --data /srv/psmflow")
@click.argument("archive", type=_existing(folder=False))
@click.option("--force", is_flag=True, help="Move an installation that is there aside first; nothing is deleted.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database and files [default: $PSMFLOW_DATA or ./var].")
def restore(archive: Path, force: bool, data: Path | None) -> None:
    """Make an installation from an archive of `backup`; stop server and workers first.

    The archive is checked, migrated and verified before anything that is there is touched. Exit status 1: refused and nothing
    changed, or restored with problems that are named.
    """
    import handlers  # noqa: F401  registers the handlers of the house

    settings = read_settings(data=data)
    done = restore_installation(settings, archive, force=force)
    m = done.manifest
    click.echo(f"已恢复到 {settings.data}：{m.made_at:%Y-%m-%d %H:%M}Z 的备份 (restored the backup of that time)")
    click.echo(f"  流程实例 {m.instance_count}，事件 {m.event_count}，文件 {m.document_count} "
               f"({m.instance_count} instances, {m.event_count} events, {m.document_count} files)")
    if done.schema != m.schema:
        click.echo(f"  结构由 {m.schema} 升级到 {done.schema} (schema migrated from {m.schema} to {done.schema})")
    for place in done.aside:
        click.echo(f"  原有数据已移到 {place} (what was there lies there now)")
    _tell_lacking(m.lacking, "备份中缺少", "is not in the backup")
    for found in done.breaks:
        click.echo(f"实例 {found.instance_id}：{found.zh}\n    {found.en}", err=True)
    if not done.breaks:
        click.echo("  历史链与各表核对无误 (every chain verifies and the tables agree)")
    click.echo("到期的定时与任务将在启动后执行；备份之后发出的邮件可能再发一次 "
               "(what is due runs once you start; mails sent since the backup may go out again)")
    sys.exit(1 if done.breaks or m.lacking else 0)


if __name__ == "__main__":
    main()

