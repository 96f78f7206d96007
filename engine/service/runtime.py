"""What every command shares: database, clock, handlers, compiled definitions; and the way one command becomes one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from engine import clock as house_clock
from engine.bpmn import Definition, compile_definition
from engine.bpmn.xml import MODEL, read_diagram
from engine.clock import Clock
from engine.errors import Conflict, EngineError, InstanceArchived, NotFound, StorageFailed
from engine.forms import Form, read_form
from engine.handler import HandlerRegistry
from engine.metrics import Metrics
from engine.model import ANY_CALL, Actor, ProcessDefinition, ProcessInfo, Source, TokenId
from engine.service.archives import Archives
from engine.service.envelopes import Sealing
from engine.service.lately import Known, Lately
from engine.service.observed import touched, written
from engine.service.sight import Sights
from engine.service.turn import Turn
from engine.settings import Settings
from engine.store import definitions, instances, keep, tasks
from engine.store.database import Database, Hold, Missed, Session, Write
from engine.store.tasks import Found

Answer = TypeVar("Answer")
Target = TypeVar("Target")
#: The instance, what a command on it is about, and whether that was known `Lately`.
Sought = tuple[Known, Target, bool]
_ATTEMPTS = 40
#: So many runs of handlers may hang in a process for each of its threads before it takes no more.
_HANGING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A run's pinned definitions, ready to step. `processes`: ``{key: definition}`` of the root and everything it calls."""

    bundle_id: int
    root: ProcessDefinition
    definition: Definition
    processes: dict[str, ProcessDefinition]
    names: dict[tuple[str, str], str]  #: ``{(process, element): label}``


class Definitions:
    """Compiles bundles of pinned versions, each once in this process; definitions never change once deployed."""

    def __init__(self, database: Database, zone: str) -> None:
        self._database = database
        self._zone = zone
        self._lock = threading.Lock()
        self._compiled: dict[int, Compiled] = {}
        self._generation = -1
        self._correlating: tuple[ProcessInfo, ...] | None = None
        self._current: dict[tuple[str, int | None], int] = {}
        self._processes: dict[str, ProcessDefinition] = {}
        self._forms: dict[tuple[str, int], Form] = {}  # as of a deployment a form never changes

    def process(self, session: Session, key: str) -> ProcessDefinition | None:
        """Return the newest version of a process, or None."""
        generation = self._refresh(session)
        found = self._processes.get(key)
        if found is None:
            found = definitions.by_key(session, key)
            with self._lock:
                if found is not None and generation == self._generation:
                    self._processes[key] = found
        return found

    def current(self, session: Session, key: str, version: int | None = None) -> Compiled:
        """Return what a new instance of `key` runs: the version asked for (default: the newest), calling the newest of each.

        Raises:
            NotFound: no such process or version, or one that it calls is not deployed.
        """
        generation = self._refresh(session)
        with self._lock:
            known = self._current.get((key, version))
        if known is not None:
            return self.compiled(session, known)
        root = definitions.by_key(session, key, version)
        if root is None:
            raise NotFound(what="流程 (process)", id=key if version is None else f"{key} v{version}")
        processes, wanted = {key: root}, _callable(session, root)
        while wanted:
            called = wanted.pop()
            if called not in processes:
                found = definitions.by_key(session, called)
                if found is None:
                    raise NotFound(what="流程 (process)", id=called)
                processes[called] = found
                wanted += _callable(session, found)
        pinned = {k: d.version for k, d in processes.items()}
        bundle_id = definitions.find_bundle(session, root.id, pinned)
        if bundle_id is None:
            new = self._database.new_id()
            with self._database.writing() as tx:
                definitions.insert_bundle(tx, new, root.id, pinned)
                bundle_id = definitions.find_bundle(tx, root.id, pinned)
            assert bundle_id is not None
        with self._lock:
            if generation == self._generation:
                self._current[key, version] = bundle_id
        return self.compiled(session, bundle_id)

    def _refresh(self, session: Session) -> int:
        """Forget what a deployment may have changed; return the number of the last one."""
        generation = definitions.generation(session)
        with self._lock:
            if generation != self._generation:
                self._current.clear()
                self._processes.clear()
                self._correlating = None
                self._generation = generation
        return generation

    def correlating(self, session: Session) -> tuple[ProcessInfo, ...]:
        """Return every version of every process that has BPMN correlation keys: older ones may have instances that wait."""
        generation = self._refresh(session)
        found = self._correlating
        if found is None:
            found = tuple(info for info in definitions.infos(session) if info.correlations)
            with self._lock:
                if generation == self._generation:
                    self._correlating = found
        return found

    def form(self, session: Session, form_id: str | None, deployment_id: int) -> Form | None:
        """Return a form as of a deployment, or of the newest before it that has one; None when no such form was deployed."""
        if form_id is None:
            return None
        found = self._forms.get((form_id, deployment_id))
        if found is None:
            body = definitions.artifact(session, "form", form_id, deployment_id)
            if body is None:
                return None
            found = self._forms[form_id, deployment_id] = read_form(body, form_id)
        return found

    def compiled(self, session: Session, bundle_id: int) -> Compiled:
        """Return a bundle ready to step."""
        found = self._compiled.get(bundle_id)
        if found is None:
            with self._lock:
                found = self._compiled.get(bundle_id)
                if found is None:
                    found = self._compiled[bundle_id] = self._compile(session, bundle_id)
        return found

    def _compile(self, session: Session, bundle_id: int) -> Compiled:
        row = definitions.bundle(session, bundle_id)
        if row is None:
            raise NotFound(what="流程版本组合 (bundle)", id=bundle_id)
        root_id, pinned = row
        root = definitions.get(session, root_id)
        assert root is not None
        processes: dict[str, ProcessDefinition] = {}
        sources: list[Source] = []
        decisions: dict[str, bytes] = {}
        for key, version in pinned.items():
            found = definitions.by_key(session, key, version)
            assert found is not None
            processes[key] = found
            xml = definitions.xml(session, found.id)
            assert xml is not None
            sources.append(Source(key=key, version=version, xml=xml))
            for decision in found.info.decisions:
                body = definitions.artifact(session, "decision", decision, found.deployment_id)
                if body is not None:
                    decisions[decision] = body
        made = _made(root.key, tuple(sources), tuple(sorted(decisions.items())), self._zone)
        return Compiled(
            bundle_id=bundle_id,
            root=root,
            definition=made[0],
            processes=processes,
            names=made[1],
        )


@lru_cache(4)
def _made(
    root: str, sources: tuple[Source, ...], decisions: tuple[tuple[str, bytes], ...], zone: str
) -> tuple[Definition, dict[tuple[str, str], str]]:
    """Compile; engines that run the same diagrams one after the other, as rehearsals do, share what came of it."""
    names = {(source.key, id): name for source in sources for id, name in _names(source)}
    return compile_definition(root, sources, dict(decisions), zone), names


def _callable(session: Session, definition: ProcessDefinition) -> list[str]:
    """Return the keys of what a process may call; where an expression names it, of everything that is deployed."""
    calls = definition.info.calls
    if ANY_CALL in calls:
        calls = calls - {ANY_CALL} | {each.key for each in definitions.newest(session)}
    return sorted(calls - {definition.key})


def _names(source: Source) -> Iterator[tuple[str, str]]:
    """Give ``(id, label)`` of every flow element of a process as drawn."""
    for process in read_diagram(source.xml, limit=len(source.xml)).iter(f"{{{MODEL}}}process"):
        if process.get("id") == source.key:
            for node in process.iter():
                if node.get("id") and node.get("name"):
                    yield node.get("id", ""), " ".join(node.get("name", "").split())


class Runtime:
    """Carries commands out. Every command on an instance goes through `command` or `create`."""

    def __init__(self, settings: Settings, clock: Clock, handlers: HandlerRegistry, database: Database) -> None:
        self.settings = settings
        self.clock = clock
        self.handlers = handlers
        self.database = database
        self.definitions = Definitions(database, settings.time_zone)
        self.sights = Sights()
        self.sealing = Sealing(self)
        self.metrics = Metrics()
        self.lately = Lately(settings.known_instances)
        database.tell_commits(self.metrics.commit_batch.add)
        self.archives = Archives(settings.data / "archive")
        self.wake: Callable[[], None] = lambda: None  #: called after a commit that made work due at once; set by the dispatcher
        self.hanging = set[object]()  #: runs of handlers in this process that were given up and have not come to an end

    @property
    def takes_handlers(self) -> bool:
        """False when so many runs of handlers hang in this process that only a new start helps."""
        return len(self.hanging) < _HANGING * self.settings.worker_threads

    def command(self, actor: Actor, instance_id: int, do: Callable[[Turn], Answer]) -> Answer:
        """Let `do` work on an instance in memory, then write all that followed in one transaction.

        When somebody else changed the instance meanwhile, everything is thrown away and done again on the new state; so `do`
        may run several times and must touch nothing but its turn.

        Raises:
            NotFound: no such instance.
            InstanceArchived
            Conflict: somebody was faster again and again.
        """

        def find(session: Session) -> Sought[None]:
            row = instances.load(session, instance_id)
            if row is None:
                raise missing(session, instance_id)
            return Known(row, {}), None, False

        return self._carry_out(actor, find, lambda turn, _: do(turn))

    def command_on_task(self, actor: Actor, task_id: int, do: Callable[[Turn, Found], Answer]) -> Answer:
        """Do the same on the instance of a user task; `do` gets the task as well.

        Raises:
            NotFound: no such task.
            Conflict: somebody was faster again and again.
            Busy: the database could not be written for as long as a setting says.
        """

        def find(session: Session) -> Sought[Found]:
            taken = self.lately.take(task_id)
            if taken is not None:
                return *taken, True
            read = tasks.with_instance(session, task_id)
            if read is None:
                raise NotFound(what="任务 (task)", id=task_id)
            row, found = read
            return Known(row, {found.task.token: found}), found, False

        return self._carry_out(actor, find, do)

    def _carry_out(
        self, actor: Actor, find: Callable[[Session], Sought[Target]], do: Callable[[Turn, Target], Answer]
    ) -> Answer:
        done: tuple[Turn, Answer] | None = None
        before: Mapping[TokenId, Found] = {}
        was_known = False

        def work(session: Session, hold: Hold) -> Write | None:
            nonlocal done, before, was_known
            (row, before, run, is_plain), target, was_known = find(session)
            if not hold(row.id):
                (row, before, run, is_plain), target, was_known = find(session)
            if not was_known:  # else it was taken away
                self.lately.forget([row.id])
            touched(row.id)
            compiled = self.definitions.compiled(session, row.bundle_id)
            turn = Turn(self, session, compiled, row, actor, self.clock.now(), run, is_plain=is_plain)
            try:
                answer = do(turn, target)
            except EngineError as error:
                # refused by what is no longer so? then the new state has to refuse it too
                if instances.version(session, row.id) == row.version:
                    raise
                raise Missed from error
            turn.prepare()
            done = turn, answer
            return None if turn.is_empty else turn.write_alone

        for attempt in range(_ATTEMPTS):
            try:
                self.database.carry_out(work)
            except Missed:
                self.metrics.conflicts.inc()
                if was_known:
                    self.lately.was_old()  # and is read at once
                else:
                    house_clock.pause(attempt)
                continue
            assert done is not None
            done[0].remember(self.lately, before)
            return self._answer(*done)
        raise Conflict()

    def together(
        self, actor: Actor, wanted: Mapping[int, Callable[[Turn], object]], also: Callable[[Session, Iterable[int]], object]
    ) -> dict[int, Exception]:
        """Carry out commands that nobody waits for, each on an instance of its own, in one transaction.

        One that fails is taken out and carried out alone. When one cannot be written, because somebody else was faster, say, all of
        them are carried out alone: that is rare, and no command pays for it with a savepoint.

        Args:
            wanted: ``{instance: do}``, each as for `command`.
            also: writes something more in the same transaction, about the instances that are named.

        Returns:
            ``{instance: what its command raised}``; what did not raise is written.

        Raises:
            StorageFailed: the database does not take anything now.
        """
        turns: list[Turn] = []
        alone: list[int] = []
        self.lately.forget(wanted)
        with self.database.reading() as session:
            ids = sorted(wanted)  # everybody goes through them in the same order: nobody waits in a circle
            try:
                rows = instances.load_all(session, ids)
            except StorageFailed:
                raise
            except Exception:  # noqa: BLE001  a state that cannot be read: the others can
                rows, alone, ids = {}, ids, []
            for instance_id in ids:
                try:
                    row = rows.get(instance_id)
                    if row is None:
                        raise NotFound(what="流程实例 (process instance)", id=instance_id)
                    compiled = self.definitions.compiled(session, row.bundle_id)
                    turn = Turn(self, session, compiled, row, actor, self.clock.now())
                    wanted[instance_id](turn)
                    turn.prepare()
                except Exception:  # noqa: BLE001  it fails again, alone, and is told then
                    alone.append(instance_id)
                else:
                    turns.append(turn)
        if turns:
            try:
                with self.database.writing() as tx:
                    for turn in turns:
                        if not turn.is_empty:
                            turn.write(tx)
                    also(tx, [turn.row.id for turn in turns])
            except StorageFailed:
                raise
            except Exception:  # noqa: BLE001  whichever it was, it is met again
                alone = sorted(wanted)
            else:
                for turn in turns:
                    written(self.metrics, turn.row.id, turn.facts, turn.at)
                if any(turn.made_work for turn in turns):
                    self.wake()
        failed: dict[int, Exception] = {}

        def by_itself(turn: Turn) -> None:
            wanted[turn.row.id](turn)
            turn.also(lambda tx: also(tx, [turn.row.id]))

        for instance_id in alone:
            try:
                self.command(actor, instance_id, by_itself)
            except Exception as error:  # noqa: BLE001  the caller decides what becomes of it
                failed[instance_id] = error
        return failed

    def create(self, make: Callable[[Session], tuple[Turn | None, Answer]]) -> Answer:
        """Write a new instance that `make` started in memory, unless it gives none: then its answer alone."""
        done: tuple[Turn | None, Answer] | None = None

        def work(session: Session, hold: Hold) -> Write | None:
            nonlocal done
            done = turn, _ = make(session)
            if turn is None:
                return None
            touched(turn.row.id)
            turn.prepare()
            return None if turn.is_empty else turn.write_alone

        for attempt in range(_ATTEMPTS):
            try:
                self.database.carry_out(work)
            except Missed:
                self.metrics.conflicts.inc()
                house_clock.pause(attempt)
                continue
            assert done is not None
            turn, answer = done
            if turn is None:
                return answer
            turn.remember(self.lately, {})
            return self._answer(turn, answer)
        raise Conflict()

    def _answer(self, turn: Turn, answer: Answer) -> Answer:
        written(self.metrics, turn.row.id, turn.facts, turn.at)
        if turn.made_work:
            self.wake()
        if turn.refused is not None:
            raise turn.refused
        return answer


def missing(session: Session, instance_id: int) -> NotFound:
    """Return what to tell of an instance that is not in the tables: archived, or never there."""
    stub = keep.stub(session, instance_id)
    if stub is not None:
        return InstanceArchived(id=instance_id, file=stub.file)
    return NotFound(what="流程实例 (process instance)", id=instance_id)
