"""which campaigns have paused themselves, and an end for those that had nothing left when their time came"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have campaigns keep that they have paused themselves; have those looked at that have nothing left, and are open."""
    op.add_column("campaign", sa.Column("auto_paused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE campaign SET auto_paused = true WHERE auto_pause AND reason LIKE 'paused by itself:%'")
    op.execute(
        "UPDATE campaign SET alarm_at = 0 WHERE state IN ('queued', 'running', 'paused')"
        " AND n_queued = 0 AND n_sending = 0 AND NOT unfilled"
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_column("campaign", "auto_paused")
