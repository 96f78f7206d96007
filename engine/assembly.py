"""Puts the parts of the engine together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import TracebackType

from engine.clock import Clock, SystemClock
from engine.dispatch import Dispatcher
from engine.dispatch.local import LocalDispatcher
from engine.dispatch.loops import Loops
from engine.dispatch.pool import HandlerPool
from engine.handler import REGISTRY, HandlerRegistry
from engine.model import Break
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
        clock: the machine's unless given.
        handlers: by default those that importing the package `handlers` registers.
        dispatching: run due jobs in threads of this process; else somebody calls ``engine.jobs.run_due()``.
    """
    engine = Engine(settings, clock or SystemClock(), handlers)
    if dispatching:
        engine.dispatch()
    return engine


def restore(
    settings: Settings, archive: Path, *, force: bool = False, clock: Clock | None = None, handlers: HandlerRegistry = REGISTRY
) -> backup.Restored:
    """Make the installation that `settings` name from an archive that `engine.audit.backup` wrote; see `engine.service.backup`.

    Raises:
        BadArchive, NotRestored, StorageFailed: nothing was changed.
    """
    present = clock or SystemClock()

    def check(staged: Settings) -> tuple[Break, ...]:
        with Engine(staged, present, handlers) as engine:
            return (*engine.audit.verify(), *engine.audit.cross_check())

    return backup.restore(settings, present, archive, check, force=force)
