"""how late messages with times of their own may be"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have each campaign in local time keep it; those that were begun before go by what their schedules say."""
    op.add_column("campaign", sa.Column("max_lateness", sa.Float(), nullable=True))
    op.execute(
        "UPDATE campaign SET max_lateness = (SELECT schedule.max_lateness FROM schedule"
        " WHERE schedule.campaign_id = campaign.id) WHERE next_at IS NOT NULL"
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_column("campaign", "max_lateness")
