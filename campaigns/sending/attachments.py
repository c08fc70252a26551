"""The file behind a `media_url`: one that was uploaded, or fetched by us at submit, under our rules, and kept."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.media import media_kind, sniff_type
from campaigns.sending.tables import media
from gateway.auth.access import Caller
from gateway.auth.owned import owned
from gateway.db import Database
from gateway.errors import FieldError, ValidationFailed
from gateway.fetch import Fetched, fetch
from gateway.guarded import CallError
from gateway.ids import make_id
from gateway.settings import MediaSettings

UPLOAD = "upload:"
"""How the `media_url` of an uploaded file begins; its id follows."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An uploaded file, and whose uploads may be taken (None: everybody's)."""

    media_id: str
    account_id: str | None


async def find_media(db: Database, caller: Caller, url: str, text: str, settings: MediaSettings) -> Fetched | Uploaded:
    """The file of a campaign with this text.

    Raises:
        ValidationFailed: the address or the file cannot be used, or is a voice message with a text.
    """
    if not url.startswith(UPLOAD):
        return await fetch_media(url, text, settings)
    uploaded = Uploaded(url.removeprefix(UPLOAD), caller.account_scope)
    async with db.read() as connection:
        mimetype = (await connection.execute(select(media.c.mimetype).where(*_is(uploaded)))).scalar()
    if mimetype is None:
        raise _gone()
    _check_text(text, mimetype)
    return uploaded


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
    except CallError as error:
        raise _refused(error.reason, error.code.lower()) from error
    if not fetched.content:
        raise _refused("there is nothing at this address", "empty_file")
    _check_text(text, sniff_type(fetched.content, fetched.content_type))
    return fetched


def _check_text(text: str, mimetype: str) -> None:
    if text and media_kind(mimetype) == "voice":
        raise _refused("a voice message cannot carry a text: leave the template empty", "voice_with_text")


def _is(uploaded: Uploaded) -> tuple[ColumnElement[bool], ...]:
    return media.c.id == uploaded.media_id, media.c.account_id.is_not(None), owned(media, uploaded.account_id)


def _gone() -> ValidationFailed:
    return _refused("there is no such upload, or not any more", "not_found")


def _refused(reason: str, code: str) -> ValidationFailed:
    return ValidationFailed(f"media_url: {reason}", errors=[FieldError("media_url", reason, code)])


async def store_media(tx: AsyncConnection, url: str, found: Fetched | Uploaded, now: float) -> str:
    """Keep the file for a campaign; returns its id.

    Raises:
        ValidationFailed: it was uploaded, and has been removed since.
    """
    if isinstance(found, Uploaded):
        kept = await tx.execute(update(media).where(*_is(found)).values(created_at=now))
        if kept.rowcount != 1:
            raise _gone()
        return found.media_id
    return await _store_fetched(tx, url, found, now)


async def _store_fetched(tx: AsyncConnection, url: str, fetched: Fetched, now: float) -> str:
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
