"""What is told of opt-outs and their history."""

from campaigns.audience.optouts.models import EVERY_ACCOUNT
from campaigns.audience.optouts.schemas import StepOut, SuppressionOut
from gateway.db import AnyRow
from sessions.schemas import in_utc


def suppression_out(row: AnyRow) -> SuppressionOut:
    """A row of the suppression list."""
    return SuppressionOut(
        phone_number=f"+{row.phone}",
        all_accounts=row.account_id == EVERY_ACCOUNT,
        account=None if row.account_id == EVERY_ACCOUNT else row.account_id,
        reason=row.reason,
        source=row.source,
        said=row.said,
        sender_number=_shown(row.sender_number),
        created_at=in_utc(row.created_at),
    )


def step_out(row: AnyRow) -> StepOut:
    """A row of the history."""
    return StepOut(
        phone_number=f"+{row.phone}",
        all_accounts=row.account_id == EVERY_ACCOUNT,
        account=None if row.account_id == EVERY_ACCOUNT else row.account_id,
        action=row.action,
        reason=row.reason,
        source=row.source,
        by=row.by,
        said=row.said,
        sender_number=_shown(row.sender_number),
        at=in_utc(row.at),
    )


def _shown(digits: str | None) -> str | None:
    return None if digits is None else f"+{digits}"
