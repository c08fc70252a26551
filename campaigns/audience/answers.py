"""What is told of recipients and groups."""

from collections.abc import Sequence
from typing import Any

import orjson

from campaigns.audience.group_schemas import GroupCreated
from campaigns.audience.schemas import GroupName, RecipientOut
from gateway.db import AnyRow
from sessions.schemas import in_utc


def recipient_fields(row: AnyRow) -> dict[str, Any]:
    """A recipient's row as the API tells it, without its groups."""
    return {
        "id": row.id,
        "name": row.name,
        "phone_number": f"+{row.phone}",
        "grade": row.grade,
        "variables": orjson.loads(row.variables),
        "created_at": in_utc(row.created_at),
        "updated_at": in_utc(row.updated_at),
    }


def recipient_out(row: AnyRow, groups: Sequence[AnyRow]) -> RecipientOut:
    """A recipient with its groups (columns: id, name)."""
    labels = [GroupName(id=group.id, name=group.name) for group in groups]
    return RecipientOut.model_validate({**recipient_fields(row), "groups": labels})


def group_fields(row: AnyRow, count: int) -> dict[str, Any]:
    """A group's row as the API tells it, with the number of its members."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "created_at": in_utc(row.created_at),
        "updated_at": in_utc(row.updated_at),
        "recipient_count": count,
    }


def group_created(row: AnyRow, count: int) -> GroupCreated:
    """A group without its members."""
    return GroupCreated.model_validate(group_fields(row, count))
