"""What is told of a template."""

import orjson

from campaigns.templates.schemas import TemplateOut
from gateway.db import AnyRow
from sessions.schemas import in_utc


def template_out(row: AnyRow) -> TemplateOut:
    """A template's row as the API tells it."""
    return TemplateOut(
        id=row.id,
        title=row.title,
        content=row.content,
        variables=orjson.loads(row.variables),
        created_at=in_utc(row.created_at),
        updated_at=in_utc(row.updated_at),
    )
