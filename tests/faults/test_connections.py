"""Connections to PostgreSQL that break at random: before a request, after it and before the answer, in the middle of the answer."""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from engine.clock import SystemClock
from tests import databases
from tests.databases import on_each as on_each
from tests.faults.killing import Installation, Tally
from tests.faults.work import REGISTRY, Client
from tests.service.house import House

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.slow]


class Proxy:
    """Listens on this machine, passes everything on to a server's socket, and breaks connections by chance while `rate` is above 0.

    Attributes:
        rate: chance that a request, or an answer, is the last thing on its connection.
        broken: ``{"request": times, "answer": times, "half": times}``.
    """

    def __init__(self, upstream: Path, seed: int) -> None:
        self._upstream = upstream
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self.rate = 0.0
        self.broken = {"request": 0, "answer": 0, "half": 0}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._pass_on, args=(client,)))
                self._threads[-1].start()

    def _breaks(self, what: str) -> str | None:
        with self._lock:
            if self._chance.random() >= self.rate:
                return None
            how = "half" if what == "answer" and self._chance.random() < 0.3 else what
            self.broken[how] += 1
            return how

    def _pass_on(self, client: socket.socket) -> None:
        """Pass on what comes; a request that is broken never arrives, an answer that is broken was given in vain."""
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(str(self._upstream))
            while True:
                for source in select.select([client, server], [], [])[0]:
                    target, what = (server, "request") if source is client else (client, "answer")
                    data = source.recv(65536)
                    how = self._breaks(what) if data else ""
                    if how == "half":
                        target.sendall(data[: len(data) // 2])
                    if how is not None:
                        if self._chance.random() < 0.5:  # reset rather than closed
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    target.sendall(data)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


def test_each_command_is_acknowledged_once_whatever_becomes_of_its_connection(tmp_path: Path) -> None:
    url = databases.address(tmp_path, {})
    assert url is not None
    folder = Path(url.split("host=")[1])
    name = url.split("@/")[1].split("?")[0]
    seed = 7 if os.environ.get("CI") else random.randrange(1 << 30)
    place = Installation(tmp_path, url)
    proxy = Proxy(folder / ".s.PGSQL.5432", seed)
    house = House(
        tmp_path, SystemClock(), REGISTRY, synchronous="FULL", database_url=f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}?sslmode=disable"
    )
    client = Client(house.engine, tmp_path, place.ledger.hear, "here", seed)
    serving = threading.Thread(target=client.run)
    house.engine.dispatch()
    serving.start()
    found = Tally()
    try:
        for rate in (0.02, 0.1, 0.0):
            proxy.rate = rate
            place.ledger.wait(120, serving.is_alive)
            found.add(place.check())
    finally:
        proxy.rate = 0.0
        client.stopping.set()
        serving.join()
        house.close()
        proxy.close()
    assert not place.ledger.broken, place.ledger.broken
    found.add(place.finish())

    assert found.is_clean, (seed, found)
    assert min(proxy.broken.values()) > 0
    assert place.ledger.unknown > 0, proxy.broken
