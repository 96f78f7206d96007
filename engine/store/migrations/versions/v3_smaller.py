"""An entry of history and its payloads in one row; no index over instances that are completed.

Histories of before have other texts, which cannot be rewritten, as the chains cover them: a database that holds some is refused.
"""

import sqlalchemy as sa
from alembic import op

from engine.errors import UnknownSchema

revision = "v3"
down_revision = "v2"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    bind = op.get_bind()
    if bind.execute(sa.text("select 1 from event limit 1")).first() is not None:
        raise UnknownSchema(revision=down_revision)
    for column in ("commitment", "salt", "payloads"):
        op.add_column("event", sa.Column(column, sa.LargeBinary(), nullable=True))
    if bind.dialect.name == "sqlite":  # with rowid now
        op.drop_table("event_payload")
        op.create_table(
            "event_payload",
            sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
            sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
            sa.Column("salt", sa.LargeBinary(), nullable=False),
            sa.Column("body", sa.LargeBinary(), nullable=False),
            sa.PrimaryKeyConstraint("instance_id", "seq", name=op.f("pk_event_payload")),
        )
    op.drop_index("ix_instance_status", table_name="instance")
    where = sa.text("status != 'completed'")
    op.create_index("ix_instance_status", "instance", ["status", "id"], unique=False, sqlite_where=where, postgresql_where=where)
