"""The product as an arm: through its façade, with everything that belongs to a command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import workloads
from engine import SYSTEM, Actor, Engine, open_engine, read_settings
from engine.clock import Clock
from engine.handler import HandlerRegistry, handler

ANNA = Actor(id="anna", name="安娜", groups=frozenset({workloads.GROUP}))


def registry() -> HandlerRegistry:
    """Return handlers that do nothing: what is measured is the engine."""
    made = HandlerRegistry()
    handler(workloads.SERVICE, effect="none", gives={"svc_done": "number"}, registry=made)(lambda job: {"svc_done": 1})
    return made


class Psmflow:
    """The product, with history, access checks, due dates and reminders, through `engine`.

    Args:
        settings: as `read_settings` takes them, e.g. `synchronous`, `database`.
    """

    name = "psmflow"

    @classmethod
    def cold(cls, folder: Path, **settings: object) -> Psmflow:
        """Return an arm that reads every instance anew, as a process does whose last command on it was another one's or long ago."""
        arm = cls(folder, known_instances=0, **settings)
        arm.name = "cold"
        return arm

    def __init__(self, folder: Path, clock: Clock | None = None, **settings: object) -> None:
        self.settings = read_settings({}, data=folder, **settings)
        self.engine: Engine = open_engine(self.settings, clock, registry())
        self.file = None if settings.get("database_url") else self.settings.database
        diagrams = {f"{id}.bpmn": workloads.xml(process, "psmflow") for id, process in workloads.PROCESSES.items()}
        self.engine.deployments.deploy(SYSTEM, diagrams, "bench")

    def start(self, key: str, variables: Mapping[str, Any]) -> int:
        return self.engine.instances.start(ANNA, key, variables).id

    def open_tasks(self, instance: int) -> list[tuple[str, Any]]:
        return sorted((t.element, t.id) for t in self.engine.tasks.of_instance(ANNA, instance) if t.ended_at is None)  # type: ignore[arg-type]

    def complete(self, task: Any, values: Mapping[str, Any]) -> None:
        self.engine.tasks.complete(ANNA, task, values)

    def is_finished(self, instance: int) -> bool:
        return self.engine.instances.get(ANNA, instance).status.value == "completed"  # type: ignore[arg-type]

    def close(self) -> None:
        self.engine.close()
