"""Which database a test runs on: `on_each` runs it once on SQLite and once on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine.store.postgres import Wire
from tests import postgres

_kind = "sqlite"
_addresses: dict[Path, str] = {}


def address(folder: Path, settings: Mapping[str, object], *, empty: bool = False) -> str | None:
    """Return the address of the database of the installation in `folder`; None: its SQLite file.

    Args:
        empty: a new one gets no tables.
    """
    if _kind == "sqlite" or "database" in settings or "database_url" in settings:
        return None
    if folder not in _addresses:
        _addresses[folder] = postgres.make_database(empty=empty)
    return _addresses[folder]


def kind() -> str:
    return _kind


BOTH = ("sqlite", "postgresql")


@pytest.fixture(autouse=True)
def on_each(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on each database; a mark ``only_on("sqlite")`` leaves the other out (tests/conftest.py)."""
    global _kind
    if request.param == "postgresql" and not postgres.is_installed():
        if os.environ.get("CI"):
            pytest.fail("CI must have a PostgreSQL: requirements-test.txt brings one")
        pytest.skip("no PostgreSQL here; requirements-test.txt brings one")
    _kind = request.param
    path = os.environ["PATH"]
    monkeypatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setattr("engine.store.postgres._USUAL", 0)  # whatever may go as one statement does, the first time too
    if _kind == "postgresql":
        os.environ["PATH"] = f"{postgres.programs()}{os.pathsep}{path}"  # pg_dump and pg_restore of the server's version
    yield _kind
    _kind = "sqlite"
    os.environ["PATH"] = path
    while _addresses:
        _, url = _addresses.popitem()
        with suppress(Exception):
            postgres.drop_database(url)


class Watch:
    """What went to the server of PostgreSQL. `trips`: the statements of each round trip."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trips: list[list[str]] = []
        self._sent: list[str] = []
        send, trip = Wire.send, Wire.trip

        def sending(wire: Wire, sql: str, values: Sequence[Any] = (), *, must: bool = False) -> None:
            self._sent.append(sql)
            send(wire, sql, values, must=must)

        def travelling(wire: Wire) -> Any:
            self.trips.append(self._sent)
            self._sent = []
            return trip(wire)

        monkeypatch.setattr(Wire, "send", sending)
        monkeypatch.setattr(Wire, "trip", travelling)

    def seen(self) -> list[list[str]]:
        found, self.trips = self.trips, []
        return found
