"""What we know of the people we write to: whether a number is on WhatsApp, and who has written to us."""

from sqlmodel import Field, SQLModel


class NumberCheck(SQLModel, table=True):
    """WhatsApp's answer on a number (digits), at `checked_at`: whether it has an account, and under which chat id."""

    __tablename__ = "number_check"

    phone: str = Field(primary_key=True, max_length=15)
    exists: bool
    chat_id: str | None = Field(default=None, max_length=64)
    checked_at: float = Field(index=True)


class Correspondent(SQLModel, table=True):
    """Somebody (digits) who has written to a sender of ours, last at `wrote_at`."""

    sender_id: int = Field(primary_key=True, foreign_key="sender.id")
    phone: str = Field(primary_key=True, max_length=15)
    wrote_at: float
