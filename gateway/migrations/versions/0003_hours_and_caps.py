"""sending hours, start and expiry of campaigns, caps of senders"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ZERO, IDLE = sa.text("0"), sa.text("1000000000000")
HAS_ALARM = sa.text("alarm_at IS NOT NULL")


def campaign_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("starts_at", sa.Float(), nullable=True),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=False, server_default=sa.text("'UTC'")),
        sa.Column("quiet_from", sa.Integer(), nullable=True),
        sa.Column("quiet_to", sa.Integer(), nullable=True),
        sa.Column("weekdays", sa.Integer(), nullable=False, server_default=sa.text("127")),
        sa.Column("opens_at", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("closes_at", sa.Float(), nullable=False, server_default=IDLE),
        sa.Column("alarm_at", sa.Float(), nullable=True),
        sa.Column("auto_pause", sa.Boolean(), nullable=False, server_default=sa.true()),
    )


def lane_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("timezone", sa.String(length=64), nullable=False, server_default=sa.text("''")),
        sa.Column("daily_cap", sa.Integer(), nullable=True),
        sa.Column("day_ends_at", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("slice_at", sa.Float(), nullable=False, server_default=ZERO),
        sa.Column("slice_sent", sa.Integer(), nullable=False, server_default=ZERO),
        sa.Column("slices", sa.String(), nullable=False, server_default=sa.text("'[]'")),
    )


HOT = {"fillfactor": "50", "autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "2000"}
"""Lanes and campaigns are few, and changed twice for each message: PostgreSQL has room on the page for the next version,
and clears the old ones away after some thousand changes instead of after a share of the table."""


def tune_hot_tables() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    options = ", ".join(f"{name} = {value}" for name, value in HOT.items())
    for table in ("lane", "campaign", "campaign_sender"):
        op.execute(f"ALTER TABLE {table} SET ({options}, autovacuum_vacuum_cost_delay = 0)")


def untune_hot_tables() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("lane", "campaign", "campaign_sender"):
        op.execute(f"ALTER TABLE {table} RESET ({', '.join(HOT)}, autovacuum_vacuum_cost_delay)")


def upgrade() -> None:
    """Give campaigns their hours and senders their caps."""
    tune_hot_tables()
    for column in campaign_columns():
        op.add_column("campaign", column)
    op.create_index(
        "ix_campaign_alarm_at",
        "campaign",
        ["alarm_at"],
        unique=False,
        sqlite_where=HAS_ALARM,
        postgresql_where=HAS_ALARM,
    )
    for column in lane_columns():
        op.add_column("lane", column)
    op.drop_column("lane", "day")


def downgrade() -> None:
    """Take them away again."""
    untune_hot_tables()
    op.add_column("lane", sa.Column("day", sa.Integer(), nullable=False, server_default=ZERO))
    for column in lane_columns():
        op.drop_column("lane", column.name)
    op.drop_index("ix_campaign_alarm_at", table_name="campaign")
    for column in campaign_columns():
        op.drop_column("campaign", column.name)
