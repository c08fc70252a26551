"""files that accounts have uploaded"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A file may be an account's, beside those that were fetched for a campaign."""
    op.add_column("media", sa.Column("account_id", sa.String(length=36), nullable=True))
    op.create_index("ix_media_account_id", "media", ["account_id"])


def downgrade() -> None:
    """Forget whose they are."""
    op.drop_index("ix_media_account_id", table_name="media")
    op.drop_column("media", "account_id")
