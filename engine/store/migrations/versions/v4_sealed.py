"""Sealed prices: envelopes, and the wrapped keys that open them."""

import sqlalchemy as sa
from alembic import op

revision = "v4"
down_revision = "v3"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "sealed_key",
        sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
        sa.Column("field", sa.String(length=255), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", "field", name=op.f("pk_sealed_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sealed_price",
        sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
        sa.Column("field", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("readers", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("at", _ID, nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("unsealed_at", _ID, nullable=True),
        sa.Column("matches", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("instance_id", "field", "number", name=op.f("pk_sealed_price")),
    )
