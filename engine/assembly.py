"""Puts the parts of the engine together."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from engine.clock import DEMO_CLOCK, Clock, DemoClock, OutOfReach, SystemClock, with_local_times
from engine.dispatch import Dispatcher
from engine.dispatch.local import LocalDispatcher
from engine.dispatch.loops import Loops
from engine.dispatch.pool import HandlerPool
from engine.errors import ClockOutOfReach, ClockPutForward, NotADemo, SettingsError, telling
from engine.handler import REGISTRY, HandlerRegistry
from engine.logs import tell
from engine.model import Actor, Break
from engine.service import backup
from engine.service.audit import Audit
from engine.service.calendars import fold_older
from engine.service.deployments import Deployments
from engine.service.heads import Heads
from engine.service.instances import Instances
from engine.service.jobs import Jobs
from engine.service.keep import Keep
from engine.service.messages import Messages
from engine.service.people import People
from engine.service.registers import Registers
from engine.service.runtime import Runtime
from engine.service.sealed import Sealed
from engine.service.tasks import Tasks
from engine.service.upkeep import Upkeep
from engine.settings import Settings
from engine.store.database import Database

_log = logging.getLogger("psmflow.clock")
_QUICK_AT_ONCE = 500  # between looks at whether to stop


class Engine:
    """The engine, open. Its parts hold the commands; every one may be called from any thread.

    Attributes:
        instances: start, cancel, suspend, resume, mend; lists, variables, history.
        tasks: inbox, claim, complete, files.
        sealed: versions of sealed prices; looking at one.
        messages: correlate, broadcast, send by form.
        jobs: run what is due, incidents.
        deployments: check, deploy, drafts of the modeler.
        people: users, groups, notices.
        registers: data that outlives process instances.
        audit: verify, backup, health.
        metrics: counters of this process, to which the web adds its own.
        keep: archive files, legal holds, lawful erasure.
        heads: signed ends of all chains, for whoever keeps them elsewhere.
    """

    def __init__(self, settings: Settings, clock: Clock, handlers: HandlerRegistry) -> None:
        self.settings = settings
        self.clock = clock
        self._database = Database(settings, clock)
        self._runtime = Runtime(settings, clock, handlers, self._database)
        self.instances = Instances(self._runtime)
        self.tasks = Tasks(self._runtime, self.instances)
        self.sealed = Sealed(self._runtime, self.instances)
        self.messages = Messages(self._runtime, self.instances)
        self.jobs = Jobs(self._runtime, self.instances, self.messages)
        self.deployments = Deployments(self._runtime)
        self.people = People(self._runtime)
        self.registers = Registers(self._runtime)
        self.audit = Audit(self._runtime)
        self.metrics = self._runtime.metrics
        self._upkeep = Upkeep(self._runtime)
        self.heads = Heads(self._runtime)
        self.keep = Keep(self._runtime, self.heads)
        self._dispatcher: Dispatcher | None = None
        if settings.dispatch == "procrastinate":
            from engine.dispatch import procrastinate  # its library is loaded only where it is asked for

            procrastinate.install(self._database, settings.database_url)
        fold_older(self._runtime)
        self.people.make_demo_users()

    def dispatch(self) -> None:
        """Run due jobs in threads of this process from now on."""
        if self._dispatcher is None:
            pool = HandlerPool(self.jobs, self.clock, self.settings.worker_threads)
            self._dispatcher = self._make_dispatcher(pool)
            self._runtime.wake = self._dispatcher.wake
            self._daily = Loops({"daily": self.keep.run_due, "registers": self.registers.run_due}, every=60)
            self._dispatcher.start()
            self._daily.start()

    @property
    def ahead(self) -> timedelta | None:
        """How far the clock of a demo is ahead of the machine's; None outside demo mode, where nobody can put it forward."""
        return self.clock.ahead if self.settings.demo and isinstance(self.clock, DemoClock) else None

    def put_clock_forward(self, actor: Actor, to: datetime) -> datetime:
        """Put the clock of a demo to `to`, run at once what that makes due, and return the new instant.

        Anybody may: a demo's people are nobody, and everybody knows their passwords.

        Raises:
            NotADemo: people work in this house.
            ClockOutOfReach: `to` is not ahead, or more than `engine.clock.FURTHEST` ahead of the machine's clock.
        """
        if self.ahead is None or not isinstance(self.clock, DemoClock):
            raise NotADemo()
        try:
            with telling("写入", "written"):
                now = self.clock.put_forward(to)
        except OutOfReach as error:
            raise ClockOutOfReach(**{n: self._local(at) for n, at in {"to": to, "earliest": error.earliest, "latest": error.latest}.items()}) from error
        tell(_log, logging.INFO, "clock_put_forward", actor=actor.id, now=now.isoformat(timespec="seconds"), ahead=str(self.ahead))
        self._runtime.wake()
        if self._dispatcher is not None:
            self._daily.wake("daily")
            self._daily.wake("registers")
        return now

    def _local(self, at: datetime) -> str:
        return with_local_times(at.isoformat(timespec="seconds"), self.settings.time_zone)

    def _make_dispatcher(self, pool: HandlerPool) -> Dispatcher:
        if self.settings.dispatch == "local":
            return LocalDispatcher(self._run_quick, pool)
        from engine.dispatch.procrastinate import ProcrastinateDispatcher

        return ProcrastinateDispatcher(self.jobs, pool, self._keep_up, self.settings.database_url, self.settings.worker_threads)

    def _run_quick(self) -> int:
        self._upkeep.look()
        return self.jobs.run_quick(_QUICK_AT_ONCE)

    def _keep_up(self) -> int:
        self._upkeep.look()
        return self.jobs.keep_up()

    def close(self) -> None:
        """Let running jobs end, or give them back when they take too long, then close the database.

        Nothing may be called afterwards.
        """
        if self._dispatcher is not None:
            self._daily.stop()
            self._dispatcher.stop(timedelta(seconds=self.settings.stop_seconds))
            self._dispatcher = None
        self._database.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_engine(
    settings: Settings, clock: Clock | None = None, handlers: HandlerRegistry = REGISTRY, *, dispatching: bool = False
) -> Engine:
    """Open the installation that `settings` describe, making or migrating its database.

    Args:
        clock: the machine's unless given; in a demo, and where one was put forward, the demo's.
        handlers: by default those that importing the package `handlers` registers.
        dispatching: run due jobs in threads of this process; else somebody calls ``engine.jobs.run_due()``.

    Raises:
        ClockPutForward: jobs are to run, outside demo mode, in the data folder of a demo whose clock was put forward.
    """
    if dispatching:
        require_real_time(settings)
    engine = Engine(settings, clock or _clock_of(settings), handlers)
    if dispatching:
        engine.dispatch()
    return engine


def require_real_time(settings: Settings) -> None:
    """Refuse to work in the data folder of a demo whose clock was put forward.

    Raises:
        ClockPutForward
    """
    if not settings.demo and (settings.data / DEMO_CLOCK).exists():
        raise ClockPutForward(data=settings.data)


def _clock_of(settings: Settings) -> Clock:
    """Return the clock by which the records of this data folder were written."""
    file = settings.data / DEMO_CLOCK
    try:
        return DemoClock(file) if settings.demo or file.exists() else SystemClock()
    except (ValueError, OSError) as error:
        raise SettingsError(name=str(file), reason=f"演示时钟的文件无法读取，请换一个新的数据文件夹 (it cannot be read; use a new data folder: {error})") from error


def restore(
    settings: Settings, archive: Path, *, force: bool = False, clock: Clock | None = None, handlers: HandlerRegistry = REGISTRY
) -> backup.Restored:
    """Make the installation that `settings` name from an archive that `engine.audit.backup` wrote; see `engine.service.backup`.

    Raises:
        BadArchive, NotRestored, StorageFailed: nothing was changed.
    """
    present = clock or SystemClock()

    def check(staged: Settings) -> tuple[Break, ...]:
        with Engine(staged, clock or _clock_of(staged), handlers) as engine:
            return (*engine.audit.verify(), *engine.audit.cross_check())

    return backup.restore(settings, present, archive, check, force=force)
