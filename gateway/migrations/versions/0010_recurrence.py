"""series of schedules, and schedules in local time; messages with times of their own: what leaves next, and its index"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
_TIMED = sa.text("state = 'queued' AND not_before > 0")


def upgrade() -> None:
    op.add_column("campaign", sa.Column("next_at", sa.Float(), nullable=True))
    op.create_index(
        "ix_message_timed",
        "message",
        ["campaign_id", "not_before", "seq"],
        sqlite_where=_TIMED,
        postgresql_where=_TIMED,
    )
    op.add_column("schedule", sa.Column("local_wall", sa.String(length=19), nullable=True))
    op.add_column("schedule", sa.Column("at_once", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("schedule", sa.Column("missed", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_table(
        "schedule_series",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("last_wall", sa.String(length=19), nullable=False),
        sa.Column("last_at", sa.Float(precision=53), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "series_occurrence",
        sa.Column("schedule_id", ID, nullable=False),
        sa.Column("series_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("schedule_id"),
    )
    op.create_index("uq_series_occurrence_number", "series_occurrence", ["series_id", "number"], unique=True)


def downgrade() -> None:
    op.drop_table("series_occurrence")
    op.drop_table("schedule_series")
    for name in ("missed", "at_once", "local_wall"):
        op.drop_column("schedule", name)
    op.drop_index("ix_message_timed", table_name="message")
    op.drop_column("campaign", "next_at")
