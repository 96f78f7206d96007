"""Which database the environment names."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.errors import SettingsError, StorageFailed
from engine.settings import read_settings
from engine.store.database import Database

pytestmark = pytest.mark.only_on("sqlite")


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, ""),
        ({"DATABASE_URL": "postgres://u:p@h/d"}, "postgres://u:p@h/d"),
        ({"DATABASE_URL": "postgres://u:p@h/d", "PSMFLOW_DATABASE_URL": "postgresql://v@h:5433/e?sslmode=require"}, "postgresql://v@h:5433/e?sslmode=require"),
    ],
)
def test_the_environment_names_the_database(tmp_path: Path, environ: dict[str, str], url: str) -> None:
    assert read_settings(environ, data=tmp_path).database_url == url


def test_who_names_a_file_gets_that_file(tmp_path: Path) -> None:
    assert read_settings({"DATABASE_URL": "postgres://u:p@h/d"}, data=tmp_path, database=tmp_path / "x.db").database_url == ""


@pytest.mark.parametrize("url", ["mysql://u:s3cret@h/d", "postgresql://u:s3cret@h", "postgresql://u:s3cret@h:99999/d", "u:s3cret@h"])
def test_an_address_that_is_none_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"DATABASE_URL": url}, data=tmp_path)

    assert "DATABASE_URL" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:s3cret@127.0.0.1:1/d", "does not answer"),
        ("postgresql://u:s3cret@nowhere.invalid/d", "does not answer"),
        ("postgresql://u:s3cret@127.0.0.1/d?nonsense=1", "DATABASE_URL"),
    ],
)
def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path, url: str, said: str) -> None:
    settings = read_settings({"DATABASE_URL": url}, data=tmp_path)

    with pytest.raises((StorageFailed, SettingsError), match=said) as refused:
        Database(settings, SystemClock())

    told = [str(refused.value), repr(settings)]
    cause: BaseException | None = refused.value
    while cause is not None:
        told.append(repr(cause))
        cause = cause.__cause__ or cause.__context__
    assert "s3cret" not in " ".join(told)
