"""The victim of `test_kill`: starts and completes as fast as it can, and says on its output what was acknowledged.

python -m tests.faults.work <folder> <threads>
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from engine import open_engine, read_settings
from engine.handler import HandlerRegistry, Job, handler
from engine.model import SYSTEM, InstanceId

REGISTRY = HandlerRegistry()


@handler("work", registry=REGISTRY)
def work(job: Job) -> dict[str, str]:
    """Work."""
    return {"worked": job.key}


def main(folder: Path, threads: int) -> None:
    named = {"PSMFLOW_DATABASE_URL": os.environ.get("PSMFLOW_DATABASE_URL", "")}
    engine = open_engine(read_settings(named, data=folder), handlers=REGISTRY, dispatching=True)

    def say(*words: object) -> None:
        os.write(1, (" ".join(map(str, words)) + "\n").encode())  # one write: whole lines, also when killed

    def serve(n: int) -> None:
        count = 0
        while True:
            count += 1
            key = f"{os.getpid()}.{n}.{count}"
            instance = engine.instances.start(SYSTEM, "p", {"key": key}, idempotency_key=key)
            say("started", key, instance.id)
            complete(instance.id)
            engine.messages.correlate(SYSTEM, "mA", {"heard": 1}, instance_id=instance.id, idempotency_key=f"go.{key}")
            say("correlated", instance.id, 0)
            if count % 3:
                complete(instance.id)  # the others go on waiting, so that every kind of row is there when it ends

    def complete(id: InstanceId) -> None:
        for task in engine.tasks.of_instance(SYSTEM, id):
            if task.state == "open":
                engine.tasks.complete(SYSTEM, task.id, {task.element: 1})
                say("completed", task.id, id)

    serving = [threading.Thread(target=serve, args=(n,)) for n in range(threads)]
    for thread in serving:
        thread.start()
    for thread in serving:  # without its main thread, Python takes no more work for the dispatcher
        thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
