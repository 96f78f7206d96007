"""An engine on a scratch database, with people and a clock that stands still until it is moved."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from engine import history
from engine.assembly import Engine, open_engine
from engine.clock import Clock, MovableClock, SystemClock
from engine.events import Recorded
from engine.handler import HandlerRegistry
from engine.handler import handler as register
from engine.model import SYSTEM, Actor, Deployment, InstanceId, ProcessInstance, User, UserTask
from engine.settings import read_settings
from engine.store import people as stored_people
from engine.store.database import Database, Hold, Session, Work, Write, micros
from engine.store.schema import METADATA
from tests import databases

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # nine o'clock in Shanghai

OWNER = Actor(id="owner", name="流程负责人", groups=frozenset({"process_owner"}))
MANAGER = Actor(id="manager", name="销售经理", groups=frozenset({"sales_manager", "presale_manager"}))
ANN = Actor(id="ann", name="安", groups=frozenset({"presale_engineer"}))
BOB = Actor(id="bob", name="鲍", groups=frozenset({"presale_engineer"}))
EVE = Actor(id="eve", name="伊", groups=frozenset({"warehouse_keeper"}))
PEOPLE = (OWNER, MANAGER, ANN, BOB, EVE)

#: Attributes of a user task that is offered to Ann and Bob.
FOR_ENGINEERS = {"camunda_candidateGroups": "presale_engineer"}


_scratch = tempfile.TemporaryDirectory(prefix="psmflow-tests-")
atexit.register(_scratch.cleanup)


@cache
def _empty_database() -> Path:
    """Migrate once in this run of the tests; every house begins with a copy."""
    settings = read_settings({}, data=Path(_scratch.name), synchronous="NORMAL")
    Database(settings, SystemClock()).close()
    return settings.database


@cache
def _password() -> str:
    """Hash “long enough” once: a hash is slow on purpose."""
    return PasswordHasher().hash("long enough")


class House:
    """The engine with its clock, and short ways to do what many tests do."""

    def __init__(
        self, folder: Path, clock: Clock | None = None, handlers: HandlerRegistry | None = None, **settings: object
    ) -> None:
        self.folder = folder
        self.clock = clock if clock is not None else MovableClock(MONDAY)
        self.handlers = handlers if handlers is not None else HandlerRegistry()
        if (url := databases.address(folder, settings)) is not None:
            settings["database_url"] = url
        self.settings = read_settings({}, data=folder, **{"synchronous": "NORMAL", **settings})
        if not self.settings.database_url and not self.settings.database.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self.settings.database.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(_empty_database(), self.settings.database)
        self.engine: Engine = open_engine(self.settings, self.clock, self.handlers)

    def beside(self, clock: Clock | None = None, handlers: HandlerRegistry | None = None) -> House:
        """Another process on the same database, as far as the engine can tell."""
        return House(self.folder, clock or self.clock, handlers or self.handlers)

    def close(self) -> None:
        self.engine.close()

    @property
    def moved(self) -> MovableClock:
        assert isinstance(self.clock, MovableClock)
        return self.clock

    def handler(self, type: str, **options: Any) -> Callable[[Any], Any]:
        return register(type, registry=self.handlers, **options)

    def add_people(self, *people: Actor) -> None:
        with self.engine._database.writing() as tx:
            for p in people or PEOPLE:
                added = User(id=p.id, name=p.name, mail=f"{p.id}@example.com", groups=p.groups, active=True)
                assert stored_people.add(tx, added, _password(), micros(self.clock.now()))

    def deploy(self, *diagrams: bytes, files: Mapping[str, bytes] | None = None) -> Deployment:
        given = {f"{n}.bpmn": xml for n, xml in enumerate(diagrams)}
        return self.engine.deployments.deploy(SYSTEM, {**given, **(files or {})}, "test")

    def start(self, key: str = "p", variables: Mapping[str, Any] | None = None, **options: Any) -> ProcessInstance:
        return self.engine.instances.start(SYSTEM, key, variables or {}, **options)

    def open_tasks(self, instance_id: InstanceId) -> dict[str, UserTask]:
        """Return ``{element: open task}``."""
        return {t.element: t for t in self.engine.tasks.of_instance(SYSTEM, instance_id) if t.ended_at is None}

    def task(self, instance_id: InstanceId, element: str | None = None) -> UserTask:
        found = self.open_tasks(instance_id)
        if element is None:
            assert len(found) == 1, found
            return next(iter(found.values()))
        return found[element]

    def complete(self, instance_id: InstanceId, element: str | None = None, by: Actor = SYSTEM, **values: Any) -> None:
        self.engine.tasks.complete(by, self.task(instance_id, element).id, values)

    def status(self, instance_id: InstanceId) -> str:
        return self.engine.instances.get(SYSTEM, instance_id).status.value

    def history(self, instance_id: InstanceId) -> tuple[Recorded, ...]:
        return self.engine.instances.history(SYSTEM, instance_id)

    def events(self, instance_id: InstanceId, kind: str | None = None) -> list[Any]:
        """Return the events of one type, or all, without their envelopes."""
        return [r.event for r in self.history(instance_id) if kind is None or type(r.event).__name__ == kind]

    def view(self, instance_id: InstanceId) -> history.InstanceView:
        return history.fold(self.history(instance_id))

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.engine._database.reading() as session:
            return session.rows(sql, values)

    def stored(self) -> bytes:
        """Return all that the tables hold, one after another."""
        return b"\n".join(repr(row).encode() for table in METADATA.tables for row in self.rows(f"select * from {table}"))

    def change(self, sql: str, *values: Any) -> int:
        """Change the database behind the engine's back."""
        with self.engine._database.writing() as session:
            return session.run(sql, values)


def before_its_commit(monkeypatch: pytest.MonkeyPatch, house: House, act: Callable[[], object]) -> None:
    """Let somebody else act once, after the next command of `house` has read and before it writes."""
    database, done = house.engine._runtime.database, []
    carry_out = database.carry_out

    def late(work: Work) -> None:
        def followed(session: Session, hold: Hold) -> Write | None:
            write = work(session, hold)
            if not done:
                done.append(True)
                act()
            return write

        carry_out(followed)

    monkeypatch.setattr(database, "carry_out", late)
