"""Runs due jobs as procrastinate's workers tell of them: any number of processes on any number of hosts, one PostgreSQL.

The job table is the truth. What is due at once is deferred in the transaction that makes it; a promoter hands over timers and
retries when their time has come. A delivery is a knock at the door: its worker claims with lease and fence what is due, in the order
and within the limits that hold for everybody, so one that is lost, late or repeated does no harm. Of procrastinate there is used the
queue and its notification alone: its locks block for days with a timer, its schedules slow down its queue, and what a killed worker
had stays with it (`docs/decisions/0008-procrastinate-knocks.md`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import procrastinate

from engine.dispatch.loops import Loops
from engine.dispatch.pool import HandlerPool
from engine.service.jobs import Jobs
from engine.store import deliveries
from engine.store.database import Database
from engine.store.postgres import conninfo

_log = logging.getLogger(__name__)
logging.getLogger("procrastinate").setLevel(logging.WARNING)  # else a line for each delivery
_AGAIN = 5.0  #: seconds until a worker that failed begins again
_POLL = 5.0  #: seconds between looks at the queue, should a notification be lost


def install(database: Database, url: str) -> None:
    """Make procrastinate's tables by its own SQL, once; processes that start together take turns."""
    with database.writing() as tx:
        tx.alone("procrastinate")
        if deliveries.is_installed(tx):
            return
        app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=conninfo(url), min_size=1, max_size=1))
        with app.open():
            app.schema_manager.apply_schema()


class ProcrastinateDispatcher:
    """Two workers of procrastinate in a thread of their own, one for what is quick, one for handlers; and the promoter.

    Args:
        keep_up: what no delivery tells of; returns how much of it was done.
        threads: so many handlers run at once.
    """

    def __init__(self, jobs: Jobs, pool: HandlerPool, keep_up: Callable[[], int], url: str, threads: int) -> None:
        self._jobs = jobs
        self._pool = pool
        self._threads = threads
        self._loops = Loops({"promote": jobs.promote, "upkeep": keep_up, "leases": pool.beat})
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo(url), min_size=1, max_size=threads + 4))
        self._app.task(name=deliveries.TASK, pass_context=True)(self._run_job)
        self._thread = threading.Thread(target=self._serve, name="procrastinate", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    def start(self) -> None:
        self._thread.start()
        self._loops.start()

    def wake(self) -> None:
        """Nothing to do: what was committed has told the workers itself."""

    def stop(self, grace: timedelta) -> None:
        """As the local dispatcher's."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._loops.stop()
        self._pool.stop(grace)
        self._thread.join()

    async def _run_job(self, context: procrastinate.JobContext, job_id: int) -> None:
        """Do what is due. The job that the delivery tells of is among it, unless somebody has it already."""
        work = self._jobs.run_due_timers if context.job.queue == deliveries.QUICK else self._pool.run_one
        try:
            await asyncio.to_thread(work)
        except Exception:  # noqa: BLE001  the database may be away; the promoter hands over again what was not done
            _log.exception("the delivery of job %s failed", job_id)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        executor = ThreadPoolExecutor(self._threads + 2, "delivery")
        self._loop.set_default_executor(executor)
        try:
            self._loop.run_until_complete(self._work())
        finally:
            executor.shutdown()
            self._loop.close()

    async def _work(self) -> None:
        while not self._stop.is_set():
            try:
                async with self._app.open_async():
                    await self._until_stopped()
            except Exception:  # noqa: BLE001  the database may be away for a while
                _log.exception("procrastinate's workers failed; they begin again in %s seconds", _AGAIN)
                await self._nap()

    async def _until_stopped(self) -> None:
        workers = [
            asyncio.create_task(self._app.run_worker_async(
                queues=[queue], concurrency=concurrency, fetch_job_polling_interval=_POLL, delete_jobs="always",
                install_signal_handlers=False,
            ))
            for queue, concurrency in ((deliveries.QUICK, 1), (deliveries.WORK, self._threads))
        ]  # fmt: skip
        stopped = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([*workers, stopped], return_when=asyncio.FIRST_COMPLETED)
            for worker in done - {stopped}:
                worker.result()
        finally:
            for each in (*workers, stopped):
                each.cancel()
            await asyncio.gather(*workers, stopped, return_exceptions=True)

    async def _nap(self) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), _AGAIN)
        except TimeoutError:
            return
