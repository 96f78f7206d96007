"""Checks and deletions for which SQLite made a table in memory at every command: without it, see `engine.store.schema`.

SQLite cannot alter a constraint. What it can is to read another text of the same table: for changes that leave the rows as they are, its
documentation (lang_altertable.html, section 7) has just this way, without copying tables that others refer to.
"""

import sqlalchemy as sa
from alembic import op

from engine.errors import UnknownSchema

revision = "v7"
down_revision = "v6"
branch_labels = None
depends_on = None

_CHECKS = {
    "instance": ("status", ("active", "suspended", "completed", "cancelled")),
    "user_task": ("state", ("open", "suspended", "completed", "cancelled")),
    "job": ("state", ("waiting", "running", "failed", "done", "cancelled")),
}
_KEYS = {"user_task_candidate": "fk_user_task_candidate_task_id_user_task", "draft": "fk_draft_task_id_user_task"}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rewrite()
    else:  # it compares with a list as quickly as one by one
        for table, key in _KEYS.items():
            op.drop_constraint(key, table, type_="foreignkey")


def _rewrite() -> None:
    bind = op.get_bind()
    version = bind.execute(sa.text("pragma schema_version")).scalar_one()
    bind.execute(sa.text("pragma writable_schema = on"))
    try:
        for table, (column, words) in _CHECKS.items():
            listed = ", ".join(f"'{word}'" for word in words)
            _replace(table, f"CHECK ({column} in ({listed}))", "CHECK (" + " or ".join(f"{column} = '{word}'" for word in words) + ")")
        for table, key in _KEYS.items():
            _replace(table, f", \n\tCONSTRAINT {key} FOREIGN KEY(task_id) REFERENCES user_task (id)", "")
        bind.execute(sa.text(f"pragma schema_version = {version + 1}"))  # whoever has the old text reads it anew
    finally:
        bind.execute(sa.text("pragma writable_schema = off"))  # no rollback does


def _replace(table: str, old: str, new: str) -> None:
    bind = op.get_bind()
    written = bind.execute(sa.text("select sql from sqlite_master where type = 'table' and name = :name"), {"name": table}).scalar_one()
    if written.count(old) != 1:  # somebody else has made it
        raise UnknownSchema(revision=f"{down_revision} ({table}: {' '.join(old.split()).removeprefix(', ')})")
    bind.execute(
        sa.text("update sqlite_master set sql = :sql where type = 'table' and name = :name"), {"sql": written.replace(old, new), "name": table}
    )
