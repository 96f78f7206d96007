"""Archived instances keep a row, holds keep others from being archived, uploaded files may be erased."""

import sqlalchemy as sa
from alembic import op

revision = "v2"
down_revision = "v1"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("document", sa.Column("erased_at", _ID, nullable=True))
    op.create_index("ix_document_sha256", "document", ["sha256"], unique=False)
    op.create_table(
        "archive_file",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", _ID, nullable=False),
        sa.Column("instance_count", sa.Integer(), nullable=False),
        sa.Column("made_at", _ID, nullable=False),
        sa.Column("settled", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive_file")),
        sa.UniqueConstraint("name", name=op.f("uq_archive_file_name")),
    )
    op.create_table(
        "archived_instance",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("file_id", _ID, nullable=False),
        sa.Column("definition_id", _ID, nullable=False),
        sa.Column("bundle_id", _ID, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("business_key", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("started_at", _ID, nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("ended_at", _ID, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("participants", sa.Text(), nullable=False),
        sa.Column("candidate_groups", sa.Text(), nullable=False),
        sa.Column("archived_at", _ID, nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundle.id"], name=op.f("fk_archived_instance_bundle_id_bundle")),
        sa.ForeignKeyConstraint(
            ["definition_id"], ["process_definition.id"], name=op.f("fk_archived_instance_definition_id_process_definition")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["archive_file.id"], name=op.f("fk_archived_instance_file_id_archive_file")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archived_instance")),
    )
    op.create_index("ix_archived_instance_business_key", "archived_instance", ["business_key"], unique=False)
    op.create_index("ix_archived_instance_file", "archived_instance", ["file_id"], unique=False)
    op.create_index("ix_archived_instance_key", "archived_instance", ["key", "id"], unique=False)
    op.create_table(
        "archived_document",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("instance_id", _ID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("erased_at", _ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["archived_instance.id"], name=op.f("fk_archived_document_instance_id_archived_instance")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archived_document")),
    )
    op.create_index("ix_archived_document_instance", "archived_document", ["instance_id"], unique=False)
    op.create_index("ix_archived_document_sha256", "archived_document", ["sha256"], unique=False)
    op.create_table(
        "legal_hold",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("instance_id", _ID, nullable=True),
        sa.Column("business_key", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_at", _ID, nullable=False),
        sa.Column("placed_by", sa.String(length=64), nullable=False),
        sa.Column("lifted_at", _ID, nullable=True),
        sa.Column("lifted_by", sa.String(length=64), nullable=True),
        sa.Column("lifted_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
    )
    for column in ("business_key", "instance_id"):
        where = sa.text(f"lifted_at is null and {column} is not null")
        name = f"ix_legal_hold_{column.removesuffix('_id')}"
        op.create_index(name, "legal_hold", [column], unique=False, sqlite_where=where, postgresql_where=where)
