"""Bid calendars: the latest of each instance, which so far had to be looked for in its whole history."""

import sqlalchemy as sa
from alembic import op

revision = "v6"
down_revision = "v5"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "bid_calendar",
        sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
        sa.Column("computed_at", _ID, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name=op.f("fk_bid_calendar_instance_id_instance")),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_bid_calendar")),
    )
    # histories are read by the service: the engine does so when it next opens
    op.execute("insert into meta (name, value) select 'calendars_to_fold', '1' where exists (select 1 from instance)")
