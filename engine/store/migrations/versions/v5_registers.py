"""Registers: data that outlives a process instance, in versions that are chained by hash."""

import sqlalchemy as sa
from alembic import op

revision = "v5"
down_revision = "v4"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "register",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register")),
        sa.UniqueConstraint("name", name=op.f("uq_register_name")),
    )
    op.create_table(
        "register_record",
        sa.Column("register_id", _ID, autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("payloads", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["register_id"], ["register.id"], name=op.f("fk_register_record_register_id_register")),
        sa.PrimaryKeyConstraint("register_id", "seq", name=op.f("pk_register_record")),
    )
    op.create_index("ix_register_record_entry", "register_record", ["entry_id", "seq"], unique=False)
    op.create_table(
        "register_entry",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("register_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("withdrawn", sa.SmallInteger(), nullable=False),
        sa.Column("added_at", _ID, nullable=False),
        sa.Column("added_by", sa.String(length=64), nullable=False),
        sa.Column("changed_at", _ID, nullable=False),
        sa.Column("changed_by", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("once", sa.String(length=255), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["register_id"], ["register.id"], name=op.f("fk_register_entry_register_id_register")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_entry")),
    )
    op.create_index("ix_register_entry_register", "register_entry", ["register_id", "id"], unique=False)
    where = sa.text("once is not null")
    op.create_index(
        "ix_register_entry_once", "register_entry", ["register_id", "once"], unique=True, sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        "register_field",
        sa.Column("entry_id", _ID, autoincrement=False, nullable=False),
        sa.Column("field", sa.String(length=255), nullable=False),
        sa.Column("register_id", _ID, nullable=False),
        sa.Column("sort_key", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["register_entry.id"], name=op.f("fk_register_field_entry_id_register_entry")),
        sa.PrimaryKeyConstraint("entry_id", "field", name=op.f("pk_register_field")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_register_field_key", "register_field", ["register_id", "field", "sort_key"], unique=False)
    op.create_table(
        "register_file",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("register_id", _ID, nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.Column("field", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(length=255), nullable=False),
        sa.Column("size", _ID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("uploaded_at", _ID, nullable=False),
        sa.Column("uploaded_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["register_id"], ["register.id"], name=op.f("fk_register_file_register_id_register")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_file")),
    )
    op.create_index("ix_register_file_entry", "register_file", ["entry_id"], unique=False)
    op.create_index("ix_register_file_sha256", "register_file", ["sha256"], unique=False)
