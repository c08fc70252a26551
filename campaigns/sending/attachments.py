"""The file behind a `media_url`: fetched by us at submit, under our rules, and kept for its campaign."""

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.media import media_kind, sniff_type
from campaigns.sending.tables import media
from gateway.errors import FieldError, ValidationFailed
from gateway.fetch import Fetched, FetchError, fetch
from gateway.ids import make_id
from gateway.settings import MediaSettings


async def fetch_media(url: str, text: str, settings: MediaSettings) -> Fetched:
    """Download and look at the file.

    Raises:
        ValidationFailed: the address or the file cannot be used, or is a voice message with a text.
    """
    try:
        fetched = await fetch(
            url,
            max_bytes=settings.max_bytes,
            timeout_seconds=settings.timeout_seconds,
            allow_private_addresses=settings.allow_private_addresses,
        )
    except FetchError as error:
        raise _refused(error.reason, error.code.lower()) from error
    if not fetched.content:
        raise _refused("there is nothing at this address", "empty_file")
    if text and media_kind(sniff_type(fetched.content, fetched.content_type)) == "voice":
        raise _refused("a voice message cannot carry a text: leave the template empty", "voice_with_text")
    return fetched


def _refused(reason: str, code: str) -> ValidationFailed:
    return ValidationFailed(f"media_url: {reason}", errors=[FieldError("media_url", reason, code)])


async def store_media(tx: AsyncConnection, url: str, fetched: Fetched, now: float) -> str:
    """Keep the file; returns its id."""
    media_id = make_id(now)
    mimetype = sniff_type(fetched.content, fetched.content_type)
    await tx.execute(
        insert(media).values(
            id=media_id,
            url=url,
            mimetype=mimetype,
            filename=fetched.filename,
            size=len(fetched.content),
            content=fetched.content,
            created_at=now,
        )
    )
    return media_id
