"""schedules: campaigns with a start time, whose recipients are read when it has come"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
HAS_ALARM = sa.text("alarm_at IS NOT NULL")
HAS_ALARM_FILLED = sa.text("alarm_at IS NOT NULL AND NOT unfilled")
HAS_ALARM_UNFILLED = sa.text("alarm_at IS NOT NULL AND unfilled")
IS_PENDING = sa.text("status = 'pending'")
IS_FILLING = sa.text("filling")
STATUS = "status IN ('pending', 'processing', 'sent', 'failed', 'cancelled', 'archived')"
BY_STATUS = ["status", "scheduled_time", "campaign_id"]
TIMES = ["scheduled_time", "campaign_id", "status"]


def create_schedule() -> None:
    op.create_table(
        "schedule",
        sa.Column("campaign_id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("template_id", ID, nullable=True),
        sa.Column("group_id", ID, nullable=True),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("group_name", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("scheduled_time", sa.Float(), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("max_lateness", sa.Float(), nullable=False),
        sa.Column("any_sender", sa.Boolean(), nullable=False),
        sa.Column("recipient_count", sa.Integer(), nullable=False),
        sa.Column("filling", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(length=254), nullable=False),
        sa.Column("processing_at", sa.Float(), nullable=True),
        sa.Column("content_read_at", sa.Float(), nullable=True),
        sa.Column("cancelled_at", sa.Float(), nullable=True),
        sa.Column("cancelled_by", sa.String(length=254), nullable=True),
        sa.Column("archived_at", sa.Float(), nullable=True),
        sa.CheckConstraint(STATUS, name="status"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["template_id"], ["template.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["group_id"], ["recipient_group.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("campaign_id"),
    )
    op.create_index("ix_schedule_time", "schedule", TIMES)
    op.create_index("ix_schedule_account_time", "schedule", ["account_id", *TIMES])
    op.create_index("ix_schedule_template_time", "schedule", ["template_id", *TIMES])
    op.create_index("ix_schedule_group_time", "schedule", ["group_id", *TIMES])
    op.create_index("ix_schedule_both_time", "schedule", ["template_id", "group_id", *TIMES])
    op.create_index("ix_schedule_account_status", "schedule", ["account_id", *BY_STATUS])
    op.create_index("ix_schedule_template_status", "schedule", ["template_id", *BY_STATUS])
    op.create_index("ix_schedule_group_status", "schedule", ["group_id", *BY_STATUS])
    op.create_index("ix_schedule_account_count", "schedule", ["account_id", "status"])
    op.create_index("ix_schedule_both_count", "schedule", ["template_id", "group_id", "status"])
    op.create_index("ix_schedule_group_count", "schedule", ["group_id", "status"])
    op.create_index(
        "uq_schedule_minute",
        "schedule",
        ["template_id", "group_id", "minute"],
        unique=True,
        sqlite_where=IS_PENDING,
        postgresql_where=IS_PENDING,
    )
    op.create_index(
        "ix_schedule_filling", "schedule", ["campaign_id"], sqlite_where=IS_FILLING, postgresql_where=IS_FILLING
    )


def index_alarms(name: str, where: sa.TextClause) -> None:
    op.create_index(name, "campaign", ["alarm_at"], unique=False, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    """Make room for schedules, and tell the alarms of campaigns without messages from those of others."""
    op.add_column("campaign", sa.Column("unfilled", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_index("ix_campaign_alarm_at", table_name="campaign")
    index_alarms("ix_campaign_alarm_at", HAS_ALARM_FILLED)
    index_alarms("ix_campaign_unfilled", HAS_ALARM_UNFILLED)
    create_schedule()


def downgrade() -> None:
    """Take it away again. Schedules that have not begun end as cancelled campaigns."""
    op.execute(
        "UPDATE campaign SET state = 'cancelled', alarm_at = NULL, finished_at = created_at, "
        "reason = 'schedules were taken away' WHERE unfilled"
    )
    op.drop_table("schedule")
    op.drop_index("ix_campaign_unfilled", table_name="campaign")
    op.drop_index("ix_campaign_alarm_at", table_name="campaign")
    index_alarms("ix_campaign_alarm_at", HAS_ALARM)
    op.drop_column("campaign", "unfilled")
