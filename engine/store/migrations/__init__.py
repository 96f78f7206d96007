"""Bring a database to the newest schema. Migrations only add; removing comes a release later."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from engine.errors import UnknownSchema

#: The newest migration; a database that is there already needs no look at the scripts.
HEAD = "v2"
_LOCK = 20261121


def migrate(engine: Engine) -> None:
    """Run the migrations that `engine`'s database lacks, all in one transaction; processes that start together take turns.

    Raises:
        UnknownSchema: the database was made by a version that this one does not know.
    """
    with engine.connect() as connection:
        if current(connection) == HEAD:
            return
        if connection.dialect.name == "sqlite":
            connection.rollback()
            connection.execute(text("begin immediate"))
        else:
            connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
        revision = current(connection)
        if revision != HEAD:
            if revision is not None and revision not in {script.revision for script in scripts().walk_revisions()}:
                raise UnknownSchema(revision=revision)
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
