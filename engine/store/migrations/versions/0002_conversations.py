"""Kept messages know who may receive them, who threw them, and their BPMN correlation keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for column in (
        sa.Column("process", sa.String(length=255), nullable=True),
        sa.Column("element", sa.String(length=255), nullable=True),
        sa.Column("leaves", sa.Integer(), nullable=True),
        sa.Column("thrower", _ID, nullable=True),
    ):
        op.add_column("message", column)
    op.create_table(
        "message_key",
        sa.Column("message_id", _ID, autoincrement=False, nullable=False),
        sa.Column("correlation_key", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_message_key_message_id_message")),
        sa.PrimaryKeyConstraint("message_id", "correlation_key", name=op.f("pk_message_key")),
    )
    op.create_index("ix_message_key_match", "message_key", ["correlation_key", "message_id"], unique=False)
