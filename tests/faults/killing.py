"""kill -9 at random moments: what was acknowledged is there, once and only once, everything agrees, and all of it can be brought to its end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from engine.clock import MovableClock, SystemClock
from engine.history import fold
from engine.model import SYSTEM, InstanceId
from tests import postgres
from tests.faults.work import DIAGRAM, REGISTRY, begin, complete, send
from tests.service.house import House

ROOT = Path(__file__).parents[2]
#: So many faults befall one installation before it is brought to its end and a new one is made.
FAULTS_EACH = 5
_PATIENCE = 120.0


@dataclass(slots=True)
class Tally:
    """What was counted. Everything from `lost` on has to be 0."""

    kills: int = 0
    acknowledged: int = 0
    unknown: int = 0  #: the connection broke during the commit; the repetition was harmless
    repeated: int = 0  #: commands given again under their keys at the end
    finished: int = 0  #: instances brought to their end
    lost: int = 0
    doubled: int = 0
    broken: int = 0  #: chains
    disagreements: int = 0
    stuck: int = 0  #: instances that could not be brought to their end, and incidents
    notes: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.broken or self.disagreements or self.stuck)


class Ledger:
    """What clients said, kept outside of what may be killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.tried: dict[tuple[str, str], int] = {}  #: ``{(what, key): target}``
        self.done: dict[tuple[str, str], int] = {}
        self.lines = self.unknown = 0
        self.broken: list[str] = []
        self.changed = threading.Condition(self._lock)

    def hear(self, line: str) -> None:
        verb, *words = line.split()
        with self.changed:
            if verb == "trying":
                self.tried[words[0], words[1]] = int(words[2])
            elif verb == "done":
                self.done[words[0], words[1]] = int(words[2])
            elif verb == "unknown":
                self.unknown += 1
            elif verb == "broken":
                self.broken.append(line)
            self.lines += verb in ("done", "ran", "broken")
            self.changed.notify_all()

    def wait(self, more: int, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Wait until so many more commands were acknowledged, or runs told.

        Raises:
            AssertionError: nothing comes any more.
        """
        with self.changed:
            until = self.lines + more
            for _ in range(int(_PATIENCE)):
                if self.changed.wait_for(lambda: self.lines >= until, timeout=1) or not goes_on():
                    break
            assert self.lines >= until, f"nothing comes any more: {self.broken}"
            assert not self.broken, self.broken

    def acknowledged(self) -> dict[tuple[str, str], int]:
        with self._lock:
            return dict(self.done)


class Victim:
    """A process of `tests.faults.work`, whose lines go into a ledger."""

    def __init__(self, role: str, folder: Path, url: str, seed: int, ledger: Ledger) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  closed in `kill`
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.work", role, str(folder), str(seed), url], cwd=ROOT, stdout=subprocess.PIPE,
            stderr=self._complaints, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(ledger,))
        self._reader.start()

    def _read(self, ledger: Ledger) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            ledger.hear(line)

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._complaints.seek(0)
        complaints = self._complaints.read().decode()
        self._complaints.close()
        assert not complaints, complaints


class Installation:
    """A scratch installation on which victims work."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.ledger = Ledger()
        self._is_finished = False
        with self._house() as house:
            house.add_people()
            house.deploy(DIAGRAM)

    @contextmanager
    def _house(self, ahead: timedelta | None = None) -> Iterator[House]:
        clock = SystemClock() if ahead is None else MovableClock(datetime.now(UTC) + ahead)
        house = House(self.folder, clock, handlers=REGISTRY, synchronous="FULL", database_url=self.url)
        try:
            yield house
        finally:
            house.close()

    def victim(self, role: str, seed: int) -> Victim:
        return Victim(role, self.folder, self.url, seed, self.ledger)

    def begin(self, count: int, kill: int) -> None:
        """Start instances for workers to bring on, and offer again what killed ones had leased, as if a minute had gone by."""
        with self._house() as house:
            house.change("update job set lease_until = 0 where state = 'running'")
            for n in range(count):
                key = f"parent.{kill}.{n}"
                self.ledger.hear(f"trying start {key} 0")
                self.ledger.hear(f"done start {key} {begin(house.engine, self.folder, key)}")

    def check(self) -> Tally:
        """Compare what clients were told with what is there; they may go on meanwhile."""
        with self._house() as house:
            return self._checked(house)

    def _checked(self, house: House) -> Tally:
        found, told = Tally(), self.ledger.acknowledged()
        note = found.notes.append
        breaks, disagreements = house.engine.audit.verify(), house.engine.audit.cross_check()
        found.broken, found.disagreements = len(breaks), len(disagreements)
        found.notes += [f"{each.kind} of {each.instance_id}: {each.en}" for each in (*breaks, *disagreements)]
        keys = Counter[str]()
        heard, booked, finished = Counter[int](), set[int](), dict[int, str]()
        for (id,) in house.rows("select id from instance"):
            history = house.history(InstanceId(id))
            facts = Counter((type(r.event).__name__, getattr(r.event, "token", 0)) for r in history)
            for name in ("UserTaskCompleted", "TimerFired", "JobCompleted", "MessageCorrelated"):
                for (kind, token), times in facts.items():
                    if kind == name and times > 1:
                        found.doubled += 1
                        note(f"{name} {times} times at {token} of {id}")
            heard[id] = sum(times for (kind, _), times in facts.items() if kind == "MessageCorrelated")
            variables = fold(history).variables[None]
            keys[str(variables["key"])] += 1
            booked.add(id)
            if "worked" in variables:
                finished[id] = str(variables["worked"])
        done = {task for (task,) in house.rows("select id from user_task where state = 'completed'")}
        notices = Counter({int(subject): times for subject, times in house.rows("select subject, count(*) from notice group by subject")})
        effects: dict[int, set[str]] = {}
        for line in (self.folder / "effects").read_text().splitlines() if (self.folder / "effects").exists() else ():
            instance, key, _ = line.split()
            effects.setdefault(int(instance), set()).add(key)

        there = {"start": lambda key, _: keys[key], "complete": lambda _, task: task in done, "message": lambda _, id: heard[id]}
        for (what, key), answer in told.items():
            if not there[what](key, answer):
                found.lost += 1
                note(f"lost: {what} {key} {answer}")
        doubled = [key for key, times in keys.items() if times > 1] + [id for id in booked if notices[id] > 1]
        doubled += [id for id, given in effects.items() if len(given) > 1]  # another key is another effect
        lost = [id for id in booked if not notices[id]] + [id for id, key in finished.items() if key not in effects.get(id, ())]
        found.doubled += len(doubled)
        found.lost += len(lost)
        found.notes += [f"doubled: {each}" for each in doubled] + [f"lost: {each}" for each in lost]
        return found

    def finish(self) -> Tally:
        """Bring every instance to its end, an hour later; repeat what was tried, under its keys; then compare again."""
        found = Tally()
        with self._house(timedelta(hours=1)) as house:
            tried, told = self.ledger.tried, self.ledger.acknowledged()
            again = {"start": lambda key, _: begin(house.engine, self.folder, key), "complete": lambda _, id: complete(house.engine, id),
                     "message": lambda _, id: send(house.engine, id)}  # fmt: skip
            for n, ((what, key), target) in enumerate(tried.items()):
                if (what, key) in told and n % 10:
                    continue
                answer = again[what](key, target)
                found.repeated += 1
                if told.get((what, key), answer) != answer:
                    found.doubled += 1
                    found.notes.append(f"another answer: {what} {key} {answer}")
                self.ledger.hear(f"done {what} {key} {answer}")
            for _ in range(4):
                while house.engine.jobs.run_due():
                    pass
                house.moved.advance(seconds=1)
                for (task,) in house.rows("select id from user_task where state = 'open'"):
                    complete(house.engine, task)
                for (id,) in house.rows("select instance_id from subscription where name = 'mA'"):
                    send(house.engine, id)
            ended = dict(house.rows("select status, count(*) from instance group by status"))
            found.finished = ended.pop("completed", 0)
            found.stuck = sum(ended.values()) + len(house.engine.jobs.incidents(SYSTEM)) + house.rows("select count(*) from job")[0][0]
            if found.stuck:
                found.notes.append(f"{ended}, {house.rows('select kind, state, count(*) from job group by kind, state')}")
            found.add(self._checked(house))
        found.acknowledged, found.unknown = len(self.ledger.acknowledged()), self.ledger.unknown
        return found


# ------------------------------------------------------------------------------------------------------------------------ the faults
class Fault:
    """Kills something on an installation, again and again. `KINDS` names what."""

    def __init__(self, place: Installation, chance: random.Random, server: postgres.Server | None) -> None:
        self.place = place
        self.chance = chance
        self.server = server
        self._kill = 0

    def strike(self) -> int:
        """Let victims work, then kill at a random moment; return how often."""
        raise NotImplementedError

    def end(self) -> None:
        """Nothing of ours runs any more afterwards."""

    def _a_moment(self) -> None:
        time.sleep(self.chance.uniform(0, 0.02))

    def _seed(self) -> int:
        return self.chance.randrange(1 << 30)


class KillServers(Fault):
    """Two processes that serve commands, as two servers on one database."""

    def strike(self) -> int:
        victims = [self.place.victim("server", self._seed()) for _ in range(2)]
        for victim in victims:
            self.place.ledger.wait(self.chance.randint(5, 80), lambda victim=victim: victim.is_alive)
            self._a_moment()
            victim.kill()
        return len(victims)


class KillWorkers(Fault):
    """A process that runs handlers and timers alone."""

    def strike(self) -> int:
        self._kill += 1
        self.place.begin(25, self._kill)
        victim = self.place.victim("worker", self._seed())
        self.place.ledger.wait(self.chance.randint(1, 20), lambda: victim.is_alive)
        self._a_moment()
        victim.kill()
        return 1


class _WhileServing(Fault):
    """A server goes on while its database does not."""

    _victim: Victim | None = None

    def strike(self) -> int:
        victim = self._victim
        if victim is None:
            victim = self._victim = self.place.victim("server", self._seed())
        self.place.ledger.wait(self.chance.randint(20, 80), lambda: victim.is_alive)
        self._a_moment()
        self._hit()
        self.place.ledger.wait(20, lambda: victim.is_alive)
        return 1

    def _hit(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        if self._victim is not None:
            self._victim.kill()
            self._victim = None


class KillPostmaster(_WhileServing):
    """PostgreSQL as a whole; it is started again and recovers from its log."""

    def _hit(self) -> None:
        assert self.server is not None
        self.server.stop(signal.SIGKILL)
        for _ in range(600):  # the last of its children keeps the shared memory for a moment
            try:
                self.server.start(fsync=True)
                return
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        raise AssertionError("PostgreSQL does not start again")


class KillBackend(_WhileServing):
    """One process of PostgreSQL that serves a connection of ours; all others are thrown out with it."""

    def _hit(self) -> None:
        with psycopg.connect(self.place.url, autocommit=True) as admin:
            pids = [
                pid for (pid,) in admin.execute(
                    "select pid from pg_stat_activity where datname = current_database() and application_name = 'psmflow'"
                ).fetchall()
            ]  # fmt: skip
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(pids), signal.SIGKILL)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        for _ in range(600):
            with suppress(psycopg.Error), psycopg.connect(self.place.url) as connection:
                connection.execute("select 1")
                return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL does not answer again")


KINDS: dict[str, tuple[bool, type[Fault]]] = {
    "servers, SQLite": (False, KillServers),
    "worker, SQLite": (False, KillWorkers),
    "servers, PostgreSQL": (True, KillServers),
    "worker, PostgreSQL": (True, KillWorkers),
    "PostgreSQL itself": (True, KillPostmaster),
    "a backend of PostgreSQL": (True, KillBackend),
}


def campaign(kind: str, kills: int, seed: int, folder: Path, told: Callable[[str], object] = lambda line: None) -> Tally:
    """Let faults of one kind befall installations, and count what became of it."""
    on_server, fault = KINDS[kind]
    total, chance = Tally(), random.Random(seed)
    with postgres.durable() if on_server else _nothing() as server:
        while total.kills < kills:
            place = Installation(folder / f"{kind.replace(' ', '-')}-{total.kills}", "" if server is None else postgres.make_database(on=server))
            at_work = fault(place, chance, server)
            try:
                last = min(kills, total.kills + FAULTS_EACH)
                while total.kills < last:
                    total.kills += at_work.strike()
                    total.add(place.check())
            finally:
                at_work.end()
            total.add(place.finish())
            told(f"{kind}: {total.kills} of {kills}, {total.acknowledged} acknowledged; {total.notes[:3] or 'all well'}")
    return total


@contextmanager
def _nothing() -> Iterator[None]:
    yield None
