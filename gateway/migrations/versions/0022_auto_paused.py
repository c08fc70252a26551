"""which campaigns have paused themselves, an end for those that had nothing left at their time, and who may have got what"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


UNCONFIRMED = sa.text("state = 'unconfirmed'")


def upgrade() -> None:
    """Have campaigns keep that they have paused themselves; have those looked at that have nothing left, and are open.

    Find unconfirmed messages by the number: these people may have got them.
    """
    op.add_column("campaign", sa.Column("auto_paused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE campaign SET auto_paused = true WHERE auto_pause AND reason LIKE 'paused by itself:%'")
    op.execute(
        "UPDATE campaign SET alarm_at = 0 WHERE state IN ('queued', 'running', 'paused')"
        " AND n_queued = 0 AND n_sending = 0 AND NOT unfilled"
    )

    op.create_index(
        "ix_message_unconfirmed", "message", ["phone"], sqlite_where=UNCONFIRMED, postgresql_where=UNCONFIRMED
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_index("ix_message_unconfirmed", table_name="message")
    op.drop_column("campaign", "auto_paused")
