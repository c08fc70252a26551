"""Templates: texts that are saved, found again, changed and removed."""

from typing import Any

import orjson

from campaigns.sending.preparing import read_template
from campaigns.templates import queries
from campaigns.templates.answers import template_out
from campaigns.templates.schemas import SortField
from campaigns.uses import Uses, UsesOf, refuse_in_use
from gateway.auth.access import Caller
from gateway.db import AnyRow, Database, read_now
from gateway.errors import NotFound
from gateway.folding import fold
from gateway.idempotency.keys import Key, claim, keep
from gateway.ids import make_id


class TemplateService:
    """An account's templates; `uses_of` knows who refers to one."""

    def __init__(self, db: Database, uses_of: UsesOf) -> None:
        self._db = db
        self._uses_of = uses_of

    async def create(self, caller: Caller, title: str, content: str, key: Key | None = None) -> dict[str, Any]:
        """Save a text, and give the answer, a `TemplateOut` as JSON; it is kept under the idempotency key.

        Raises `ValidationFailed` where the text cannot be rendered.
        """
        values = _values(title, content)
        async with self._db.write() as tx:
            await claim(tx, key)
            now = await read_now(tx)
            values |= {"id": make_id(now), "account_id": caller.account_id, "created_at": now, "updated_at": now}
            answer = template_out(await queries.insert_template(tx, values)).model_dump(mode="json")
            await keep(tx, key, answer)
        return answer

    async def page(
        self, caller: Caller, *, search: str, sort_by: SortField, descending: bool, offset: int, limit: int
    ) -> tuple[list[AnyRow], int]:
        """Some of the caller's templates, and how many there are. `search` is looked for in title and content."""
        async with self._db.read() as connection:
            rows, total = await queries.list_templates(
                connection,
                caller.account_scope,
                folded_search=fold(search),
                sort_by=sort_by,
                descending=descending,
                offset=offset,
                limit=limit,
            )
        return list(rows), total

    async def get(self, caller: Caller, template_id: str) -> tuple[AnyRow, Uses]:
        """One template and its uses; raises `NotFound`."""
        async with self._db.read() as connection:
            row = await queries.find_template(connection, template_id, caller.account_scope)
            if row is None:
                raise _not_found()
            return row, await self._uses_of(connection, template_id)

    async def change(self, caller: Caller, template_id: str, title: str, content: str) -> AnyRow:
        """Replace a template's texts; raises `NotFound`, and `ValidationFailed` as `create` does."""
        values = _values(title, content)
        async with self._db.write() as tx:
            values["updated_at"] = await read_now(tx)
            row = await queries.update_template(tx, template_id, caller.account_scope, values)
        if row is None:
            raise _not_found()
        return row

    async def delete(self, caller: Caller, template_id: str) -> None:
        """Remove a template.

        Raises:
            NotFound: there is none, or it is another's.
            InUse: naming who uses it.
        """
        async with self._db.write() as tx:
            if await queries.find_template(tx, template_id, caller.account_scope, lock=True) is None:
                raise _not_found()
            refuse_in_use("template", await self._uses_of(tx, template_id))
            await queries.delete_template(tx, template_id)


def _values(title: str, content: str) -> dict[str, Any]:
    return {
        "title": title,
        "content": content,
        "variables": orjson.dumps(read_template(content, "content").variables).decode(),
        "folded_title": fold(title),
        "folded_content": fold(content),
    }


def _not_found() -> NotFound:
    return NotFound("there is no such message template, or it is not yours")
