"""The victims of `tests.faults.killing`: they work as fast as they can, and say on their output what they try and what was acknowledged.

python -m tests.faults.work server|worker FOLDER SEED [DATABASE_URL]

Lines: ``trying WHAT KEY TARGET``, ``done WHAT KEY ANSWER``, ``unknown WHAT KEY``, ``refused WHAT KEY``, ``ran INSTANCE KEY ATTEMPT``,
``broken WHY``.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine import Engine, open_engine, read_settings
from engine.errors import Conflict, OutcomeUnknown, StorageFailed
from engine.handler import HandlerRegistry, Job, handler
from engine.model import SYSTEM, InstanceId, TaskId
from tests.bpmn.build import boundary, catch, diagram, end, event, parallel, process, script, service, start, timer, user

REGISTRY = HandlerRegistry()
THREADS = 4
#: Tasks beside machine work of both kinds, two timers and a message, then a task: every kind of row is written all the time.
DIAGRAM = diagram(
    process(
        start(), parallel("f"), user("a"), user("b"), service("w", "work"), service("n", "book"), catch("heard", event("message", "mA")),
        catch("wait", timer("timeDuration", "PT0.3S")), parallel("j"), user("last"), end(),
        boundary("tick", "a", timer("timeDuration", "PT0.2S"), cancelActivity="false"), script("t"),
        "s>f", "f>a", "f>b", "f>w", "f>n", "f>heard", "f>wait", "a>j", "b>j", "w>j", "n>j", "heard>j", "wait>j", "j>last", "last>e", "tick>t", "t>e",
    )
)  # fmt: skip


@handler("work", registry=REGISTRY, retries=50)
def work(job: Job) -> dict[str, str]:
    """Do something outside: at least once, under one key."""
    effects = os.open(job.values["effects"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    line = f"{job.instance_id} {job.key} {job.attempt}\n".encode()
    os.write(effects, line)
    os.close(effects)
    if sys.argv[1:2] == ["worker"]:
        os.write(1, b"ran " + line)
    return {"worked": job.key}


@handler("book", registry=REGISTRY, effect="database")
def book(job: Job) -> None:
    """Do something within the command's transaction: exactly once."""
    job.outside.notice(job.outside.people(users=["ann"])[0], str(job.instance_id), "booked")


class Client:
    """Starts instances and brings them on from several threads, the tasks of one instance too; repeats what was not acknowledged.

    Args:
        say: called with each line.
        name: no other client has it.
    """

    def __init__(self, engine: Engine, folder: Path, say: Callable[[str], object], name: str, seed: int) -> None:
        self._engine = engine
        self._folder = folder
        self._say = say
        self._name = name
        self._chance = random.Random(seed)
        self._to_do: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        self._count = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        """Work until `stopping` is set; a thread that meets something unforeseen says so."""
        threads = [threading.Thread(target=self._serve) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _serve(self) -> None:
        try:
            while not self.stopping.is_set():
                with self._lock:
                    self._count += 1
                    count, picked = self._count, self._chance.randrange(max(12, len(self._to_do)))
                    todo = self._to_do.pop(picked) if picked < len(self._to_do) else None
                if todo is not None:
                    self._bring_on(*todo)
                    continue
                key = f"{self._name}.{count}"
                answer = self._insist("start", key, 0, partial(begin, self._engine, self._folder, key))
                if answer is not None:
                    with self._lock:
                        self._to_do += [(what, answer) for what in ("a", "b", "message", "last") if self._chance.random() < 0.9]
        except Exception as error:  # noqa: BLE001  whoever listens has to know
            self._say(f"broken {type(error).__name__}: {error}".replace("\n", " "))

    def _bring_on(self, what: str, id: int) -> None:
        if what == "message":
            self._insist("message", f"m.{id}", id, partial(send, self._engine, id))
            return
        found = self._insist("look", "", id, lambda: next(
            (int(t.id) for t in self._engine.tasks.of_instance(SYSTEM, InstanceId(id)) if t.element == what and t.ended_at is None), None
        ))  # fmt: skip
        if found is not None:
            self._insist("complete", f"c.{found}", found, partial(complete, self._engine, found))

    def _insist(self, what: str, key: str, target: int, call: Callable[[], int | None]) -> int | None:
        if key:
            self._say(f"trying {what} {key} {target}")
        while not self.stopping.is_set():
            try:
                answer = call()
            except OutcomeUnknown:
                self._say(f"unknown {what} {key}")
            except (StorageFailed, Conflict):
                self._say(f"refused {what} {key}")
                time.sleep(0.02)
            else:
                if key:
                    self._say(f"done {what} {key} {answer}")
                return answer
        return None


def begin(engine: Engine, folder: Path, key: str) -> int:
    return int(engine.instances.start(SYSTEM, "p", {"key": key, "effects": str(folder / "effects")}, idempotency_key=key).id)


def complete(engine: Engine, task: int) -> int:
    engine.tasks.complete(SYSTEM, TaskId(task), {f"by{task}": 1}, idempotency_key=f"c.{task}")
    return task


def send(engine: Engine, instance: int) -> int:
    return int(engine.messages.correlate(SYSTEM, "mA", {"heard": 1}, instance_id=InstanceId(instance), idempotency_key=f"m.{instance}"))


def main(role: str, folder: Path, seed: int, url: str) -> None:
    if url:
        logging.disable()  # a server that is killed is told by the dispatcher every second
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it complains of a loop that takes more than a second
    engine = open_engine(read_settings({}, data=folder, database_url=url), handlers=REGISTRY, dispatching=True)
    if role == "worker":
        signal.pause()
    # one write a line: whole lines, also when killed
    Client(engine, folder, lambda line: os.write(1, line.encode() + b"\n"), str(os.getpid()), seed).run()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
