from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import on_each as on_each
from tests.service.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "data")
    made.add_people()
    yield made
    made.close()
