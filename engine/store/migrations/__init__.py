"""Bring a database to the newest schema. Migrations only add; removing comes a release later.

Alembic, which brings a template engine and a highlighter along (11 MB), is loaded only where there is something to migrate.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from engine.errors import UnknownSchema

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

#: The newest migration; a database that is there already needs no look at the scripts.
HEAD = "v7"
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
            from alembic import command

            command.upgrade(_config(connection), "head")
        connection.commit()


def current(connection: Connection) -> str | None:
    """Return the revision that the database is at; None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("select version_num from alembic_version")).scalar()
    return found


def scripts() -> ScriptDirectory:
    """Return the migrations, for tests that they fit the schema."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
