"""the hours that an account's campaigns keep to where they name none"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A row for each account that has such hours."""
    op.create_table(
        "usual_hours",
        sa.Column("account_id", sa.String(length=36), sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("quiet_from", sa.Integer(), nullable=True),
        sa.Column("quiet_to", sa.Integer(), nullable=True),
        sa.Column("weekdays", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    """Without them."""
    op.drop_table("usual_hours")
