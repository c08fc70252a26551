"""whether a service wrote a message's text"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A message tells what became of its personalization; None: nobody asked for it."""
    op.add_column("message", sa.Column("personalization", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("message", "personalization")
