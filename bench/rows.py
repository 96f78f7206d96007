"""What no Python above the driver could beat: the statements that psmflow executed, once more, and nothing else (`Rows`); the same with
the calls that make its history and state of values that are ready (`Sealed`); and with the core's steps too (`Stepped`).

`record` lets an engine of its own run instances and notes each command: its statements with their values, what its entry of the history
was sealed of, the parts of its state, what it gave the core to do. An arm goes through the commands in that order, each as fast as a loop can, on a copy of the
database as it was before the first of them. Whether a command changed as many rows as it had is seen outside of what is timed;
`Rows.differences` compares every row at the end.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from bench import workloads
from bench.arms import sqlite
from bench.measure import opened_connections, run_instances
from bench.psmflow import Psmflow
from engine import Actor, history
from engine.bpmn import Answer, Definition, Run, Serve
from engine.events import Event
from engine.feel import codec
from engine.model import Command as CoreCommand
from engine.model import InstanceStatus, NewJob, Step
from engine.store import chain


class Sealing(NamedTuple):
    """What the entry of a command is made of: arguments of `engine.history.seal`."""

    events: list[tuple[Event, Actor]]
    seq: int
    at: datetime
    head: bytes


@dataclass(slots=True, kw_only=True)
class Command:
    """A start or a completion.

    Attributes:
        statements: ``[(SQL, values, whether it reads)]``.
        changed: how many rows each of them changed.
        sealing: None only until it is noted.
        texts: ``[(place in _ENCODERS, value)]``: written and joined they are the state after it; none when the instance has ended.
        core: what the core had to do, one after the other, and what became of the jobs of each, as handlers say that run within it.
        waiting: elements that wait for a person after it.
    """

    instance: int = 0
    statements: list[tuple[str, Sequence[Any], bool]] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    sealing: Sealing | None = None
    texts: list[tuple[int, Any]] = field(default_factory=list)
    core: list[tuple[CoreCommand, list[Answer | None]]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Commands on instances of one workload, each instance to its end before the next.

    Attributes:
        before, after: the database without and with them.
        commands: pickled, as Python's collector does not go through bytes while others are timed.
        strings: every one in them, once: those of SQL, diagrams and variables are the same objects in every command of psmflow too.
        definition: what the instances were started with.
    """

    key: str
    definition: Definition
    before: Path
    after: Path
    commands: list[bytes]
    strings: list[str]

    def __iter__(self) -> Iterator[Command]:
        for stored in self.commands:
            unpickler = pickle.Unpickler(BytesIO(stored))
            unpickler.persistent_load = self.strings.__getitem__  # type: ignore[method-assign]
            yield unpickler.load()


# ---------------------------------------------------------------------------------------------------------------------------- recording
def record(folder: Path, key: str, count: int) -> Recording:
    """Run so many instances of a workload in an engine of its own and return what it executed."""
    notes = _Notes()
    with opened_connections(notes.open), notes.of_seals(), notes.of_steps():
        arm = Psmflow(folder, synchronous="NORMAL")
        assert arm.file is not None
        run_instances(arm, key, 1, workloads.START)  # opens the connections and finds out which definitions belong together
        before = folder / "before.db"
        _copy(arm.file, before)
        recorder = _Recorder(arm, notes)
        try:
            run_instances(recorder, key, count, workloads.START)
        finally:
            arm.close()
    assert notes.definition is not None
    return Recording(key=key, definition=notes.definition, before=before, after=arm.file, commands=recorder.commands, strings=list(recorder.strings))


class _Notes:
    """Writes into `command`, while there is one, what the engine does."""

    def __init__(self) -> None:
        self.command: Command | None = None
        self.definition: Definition | None = None

    def open(self, connect: Callable[..., sqlite3.Connection], *args: Any, **options: Any) -> sqlite3.Connection:
        """Open a connection whose statements are noted."""
        connection = connect(*args, **options, factory=_Connection)
        assert isinstance(connection, _Connection)
        connection.notes = self
        return connection

    @contextmanager
    def of_seals(self) -> Iterator[None]:
        """Note what is sealed meanwhile."""
        real = history.seal

        def seal(events: Sequence[tuple[Event, Actor]], *, seq: int, at: datetime, head: bytes) -> history.Entry:
            if self.command is not None:
                assert self.command.sealing is None, "two entries of one command"
                self.command.sealing = Sealing(list(events), seq, at, head)
            return real(events, seq=seq, at=at, head=head)

        history.seal = seal  # type: ignore[assignment]
        try:
            yield
        finally:
            history.seal = real


    @contextmanager
    def of_steps(self) -> Iterator[None]:
        """Note what the core is given to do meanwhile."""
        real = Run.do

        def do(run: Run, command: CoreCommand, serve: Serve | None = None) -> Step:
            if self.command is None or serve is None:
                return real(run, command, serve)
            answers: list[Answer | None] = []
            self.command.core.append((command, answers))
            self.definition = run._definition

            def noted(job: NewJob) -> Answer | None:
                answers.append(serve(job))
                return answers[-1]

            return real(run, command, noted)

        Run.do = do  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            Run.do = real  # type: ignore[method-assign]


class _Connection(sqlite3.Connection):
    """Notes what is executed. psmflow executes on the connection itself."""

    notes: _Notes

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        before = self.total_changes
        cursor = super().execute(sql, values)
        command = self.notes.command
        if command is not None:
            assert not sql.startswith("pragma"), f"no part of a command: {sql}"
            command.statements.append((sql, tuple(values), cursor.description is not None))
            command.changed.append(self.total_changes - before)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        assert self.notes.command is None, f"not noted: {sql}"
        return super().executemany(sql, rows)


class _Recorder:
    """An arm that makes commands of what psmflow does."""

    name = "recorder"

    def __init__(self, arm: Psmflow, notes: _Notes) -> None:
        self._arm, self._notes = arm, notes
        self._state: bytes | None = None
        self.file = arm.file
        self.commands: list[bytes] = []
        self.strings: dict[str, int] = {}

    def start(self, key: str, variables: Mapping[str, Any]) -> int:
        self._state = None
        return self._noted(lambda: self._arm.start(key, variables))

    def open_tasks(self, instance: int) -> list[tuple[str, Any]]:
        return [(element, (instance, task)) for element, task in self._arm.open_tasks(instance)]

    def complete(self, task: Any, values: Mapping[str, Any]) -> None:
        instance, id = task

        def complete() -> int:
            self._arm.complete(id, values)
            return int(instance)

        self._noted(complete)

    def _noted(self, do: Callable[[], int]) -> int:
        command = self._notes.command = Command()
        try:
            command.instance = do()
        finally:
            self._notes.command = None
        command.waiting = [element for element, _ in self._arm.open_tasks(command.instance)]
        with self._arm.engine._database.reading() as session:
            state = session.value("select body from instance_state where instance_id = ?", (command.instance,))
        if state is not None:
            command.texts = _texts(state, self._state or b"")
        self._state = state
        self.commands.append(self._pickled(command))
        return command.instance

    def _pickled(self, command: Command) -> bytes:
        strings, written = self.strings, BytesIO()
        pickler = pickle.Pickler(written)
        pickler.persistent_id = lambda part: strings.setdefault(part, len(strings)) if type(part) is str else None  # type: ignore[method-assign]
        pickler.dump(command)
        return written.getvalue()

    def is_finished(self, instance: int) -> bool:
        return self._arm.is_finished(instance)

    def close(self) -> None:
        self._arm.close()


def _line(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


#: Bytes as they are, the line of a scope or token, a variable.
_ENCODERS: tuple[Callable[[Any], bytes], ...] = (bytes, _line, codec.dump)
_AS_IT_IS, _LINE, _VARIABLE = range(3)


def _texts(state: bytes, before: bytes) -> list[tuple[int, Any]]:
    """Cut a state into its texts; see `engine.bpmn.state`. What stood in the one before goes back as it came, all else is written."""
    known = {part for line in before.split(b"\n") for part in line.split(b"\x1e")}
    made: list[tuple[int, Any]] = []
    for n, line in enumerate(state.split(b"\n")):
        for m, part in enumerate(line.split(b"\x1e")):
            if n or m:
                made.append((_AS_IT_IS, b"\x1e" if m else b"\n"))
            if part in known:
                made.append((_AS_IT_IS, part))
            else:
                made.append((_VARIABLE, codec.load(part)) if m else (_LINE, orjson.loads(part)))
    joined = list[tuple[int, Any]]()
    for kind, value in made:
        if kind == _AS_IT_IS and joined and joined[-1][0] == _AS_IT_IS:
            joined[-1] = _AS_IT_IS, joined[-1][1] + value
        else:
            joined.append((kind, value))
    assert _joined(joined) == state
    return joined


def _joined(texts: Iterable[tuple[int, Any]]) -> bytes:
    return b"".join([_ENCODERS[kind](value) for kind, value in texts])


def _copy(source: Path, target: Path) -> None:
    """Copy a database, page by page."""
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)


# ------------------------------------------------------------------------------------------------------------------------------- replay
class Rows:
    """The statements alone: no lock but SQLite's, no other thread, no Python but the loop.

    The command that comes next is at hand before it is asked for. A task is that command, so only the one that was completed is one.
    """

    name = "rows"

    def __init__(self, recording: Recording, file: Path, synchronous: str) -> None:
        self.file: Path | None = file
        self._recording, self._commands = recording, iter(recording)
        _copy(recording.before, file)
        self._connection = sqlite(file, synchronous)
        self._connection.execute("pragma foreign_keys=on")
        cursor = self._connection.cursor()
        self._execute, self._fetch = cursor.execute, cursor.fetchall
        self._next: Command | None = next(self._commands)
        self._done: Command | None = None
        self._changed = self._connection.total_changes

    def start(self, key: str, variables: Mapping[str, Any]) -> int:
        assert key == self._recording.key
        command = self._next
        assert command is not None
        self._carry_out(command)
        self._done = command
        return command.instance

    def open_tasks(self, instance: int) -> list[tuple[str, Any]]:
        done = self._seen()
        assert done.instance == instance
        return [(element, None if n else self._next) for n, element in enumerate(done.waiting)]

    def complete(self, task: Any, values: Mapping[str, Any]) -> None:
        self._carry_out(task)
        self._done = task

    def _carry_out(self, command: Command) -> None:
        execute, fetch = self._execute, self._fetch
        for sql, values, reads in command.statements:
            execute(sql, values)
            if reads:
                fetch()

    def _seen(self) -> Command:
        """See that the last command changed what it had; return it."""
        done = self._done
        assert done is not None
        if done is self._next:
            changed = self._connection.total_changes
            assert changed - self._changed == sum(done.changed), f"{done.instance}: {changed - self._changed} rows, not {sum(done.changed)}"
            self._changed, self._next = changed, next(self._commands, None)
        return done

    def is_finished(self, instance: int) -> bool:
        status: str = self._connection.execute("select status from instance where id = ?", (instance,)).fetchone()[0]
        return status == "completed"

    def differences(self) -> list[str]:
        """Return the tables whose rows are not those that psmflow wrote; its lease of ids, which it gave back, is not looked at."""
        db = self._connection
        db.execute("attach ? as recorded", (str(self._recording.after),))
        try:
            tables = [name for (name,) in db.execute("select name from recorded.sqlite_schema where type = 'table'")]
            return [
                name for name in tables
                if name != "node_lease" and any(
                    db.execute(f'select * from {one}."{name}" except select * from {other}."{name}" limit 1').fetchone()
                    for one, other in (("main", "recorded"), ("recorded", "main"))
                )
            ]  # fmt: skip
        finally:
            db.execute("detach recorded")

    def close(self) -> None:
        self._connection.close()


class Sealed(Rows):
    """The same, and before the statements of a command what makes its entry of the history and the text of its state."""

    name = "sealed"

    def _carry_out(self, command: Command) -> None:
        sealing = command.sealing
        assert sealing is not None
        entry = history.seal(sealing.events, seq=sealing.seq, at=sealing.at, head=sealing.head)
        chain.prepared(command.instance, entry.seq, entry.body, entry.hash, entry.commitment, entry.salt, entry.payloads)
        self._text(command)
        Rows._carry_out(self, command)

    def _text(self, command: Command) -> None:
        """Make the state's text."""
        if command.texts:
            _joined(command.texts)


def _in_turn(answers: Iterator[Answer | None]) -> Serve:
    return lambda job: next(answers)


class Stepped(Sealed):
    """The same, and the core's steps in place of the finished text of the state: what psmflow does but for its service.

    An instance stays awake from one command to the next, as it does in psmflow.
    """

    name = "stepped"

    def __init__(self, recording: Recording, file: Path, synchronous: str) -> None:
        super().__init__(recording, file, synchronous)
        self._run: Run | None = None
        self.state: bytes | None = None  #: of the instance whose commands are carried out, after the last of them

    def _text(self, command: Command) -> None:
        assert command.sealing is not None
        at = command.sealing.at
        if self._run is None or self.state is None:
            self._run = Run(self._recording.definition, None, at)
        else:
            self._run.go_on(self.state, at)
        for each, answers in command.core:
            step = self._run.do(each, _in_turn(iter(answers)))
        goes_on = step.status is InstanceStatus.ACTIVE
        self.state = step.state if goes_on else None
        if not goes_on:
            self._run = None
