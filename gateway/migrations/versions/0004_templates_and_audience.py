"""templates, recipients and groups"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
FOLDED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
HAS_LEFT = sa.text("sent_at IS NOT NULL")


def create_template() -> None:
    op.create_table(
        "template",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("variables", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("folded_title", FOLDED, nullable=False),
        sa.Column("folded_content", FOLDED, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_template_account_created", "template", ["account_id", "created_at"], unique=False)


def create_recipient() -> None:
    op.create_table(
        "recipient",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("phone", sa.String(length=15), nullable=False),
        sa.Column("grade", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("search_text", FOLDED, nullable=False),
        sa.Column("variables", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_recipient_account_phone", "recipient", ["account_id", "phone"], unique=True)
    op.create_index("ix_recipient_search", "recipient", ["account_id", "id", "search_text"], unique=False)


def create_group() -> None:
    op.create_table(
        "recipient_group",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("folded_name", FOLDED, nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_recipient_group_account_name", "recipient_group", ["account_id", "folded_name"], unique=True)
    op.create_index("ix_recipient_group_account", "recipient_group", ["account_id", "id"], unique=False)
    op.create_table(
        "group_member",
        sa.Column("group_id", ID, nullable=False),
        sa.Column("recipient_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["recipient_group.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["recipient_id"], ["recipient.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "recipient_id"),
    )
    op.create_index("ix_group_member_recipient", "group_member", ["recipient_id", "group_id"], unique=False)


def upgrade() -> None:
    """Make room for what is sent, and for whom."""
    create_template()
    create_recipient()
    create_group()
    op.create_index(
        "ix_message_left",
        "message",
        ["phone", "sent_at"],
        unique=False,
        sqlite_where=HAS_LEFT,
        postgresql_where=HAS_LEFT,
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("ix_message_left", table_name="message")
    for table in ("group_member", "recipient_group", "recipient", "template"):
        op.drop_table(table)
