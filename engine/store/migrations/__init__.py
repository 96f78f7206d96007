"""Bring a database to the newest schema. Migrations only add; removing comes a release later."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

#: The newest migration; a database that is there already needs no look at the scripts.
HEAD = "0002"


def migrate(engine: Engine) -> None:
    """Run the migrations that `engine`'s database lacks, all in one transaction; processes that start together take turns."""
    with engine.connect() as connection:
        if current(connection) == HEAD:
            return
        if connection.dialect.name == "sqlite":
            connection.rollback()
            connection.execute(text("begin immediate"))
        if current(connection) != HEAD:
            command.upgrade(_config(connection), "head")
        connection.commit()


def current(connection: Connection) -> str | None:
    """Return the revision that the database is at; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def scripts() -> ScriptDirectory:
    """Return the migrations, for tests that they fit the schema."""
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
