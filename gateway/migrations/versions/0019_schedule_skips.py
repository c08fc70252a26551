"""from where on those are to be told of whom a schedule could not write to"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

IS_UNTOLD = sa.text("untold_from IS NOT NULL")


def upgrade() -> None:
    """A schedule that has begun keeps its place in the telling; None: all is told."""
    op.add_column("schedule", sa.Column("untold_from", sa.Integer(), nullable=True))
    op.create_index(
        "ix_schedule_untold", "schedule", ["campaign_id"], sqlite_where=IS_UNTOLD, postgresql_where=IS_UNTOLD
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_index("ix_schedule_untold", table_name="schedule")
    op.drop_column("schedule", "untold_from")
