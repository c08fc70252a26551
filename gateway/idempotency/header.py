"""The `Idempotency-Key` header of a route that makes something.

    @router.post("/things", status_code=201)
    async def create(caller: Account, body: ThingIn, once: Annotated[Once, Depends(idempotency)]) -> ThingOut:
        return ThingOut.model_validate(await once.answer(caller, lambda key: service.create(caller, body, key)))

and in the service, whose answer is a dictionary that JSON can hold:

    async with db.write() as tx:
        await claim(tx, key)
        ...
        await keep(tx, key, answer)

`idempotency` is `Idempotency(db, ...)`. Templates, recipients and groups are made so; `POST /api/send`, which reads its
long body by itself, uses `keys.py` with a digest of its own. Where the status code is not the route's own, give it to
`keep` too.

A POST that only moves a state (pause, drain, add members to a group, ...), or whose body names what it makes (a server,
a session), has the same effect done twice as done once. Its answer is kept by itself, at its end:

    return await once.step(StatusOut, caller, pause)

An answer that holds a secret which is stored as a hash only (a session's token, an API key) is kept without it:
`shown_once` names the field, which is null when the answer is given again.

POSTs without a key at all: what WAHA and others tell us (each message has an id of its own), what changes nothing, and
logging in, whose answers are credentials.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Header, Request, Response
from pydantic import BaseModel

from gateway.auth.access import Caller
from gateway.db import Database
from gateway.idempotency.keys import HEADER, MAX_LENGTH, Key, once
from gateway.idempotency.steps import Steps

LONG_BYTES = 100_000
Model = TypeVar("Model", bound=BaseModel)
KeyHeader = Annotated[
    str | None,
    Header(
        alias=HEADER,
        max_length=MAX_LENGTH,
        description="The same key with the same request gives the same answer, and nothing is done again; for 7 days",
    ),
]


class Once:
    """One request, with a key or without one."""

    def __init__(self, parent: "Idempotency", request: Request, response: Response, key: str | None) -> None:
        self._db = parent.db
        self._steps = parent.steps
        self._secret = parent.secret
        self._request = request
        self._response = response
        self._key = key

    async def answer(
        self, caller: Caller, make: Callable[[Key | None], Awaitable[dict[str, Any]]], *, digest: str = ""
    ) -> dict[str, Any]:
        """What `make` gives, or the earlier answer to the same key of the same caller.

        `digest` stands for a body that is not read as a whole, such as a file.

        Raises:
            ValidationFailed: the key was used for another request.
        """
        key = None
        if self._key:
            key = Key(_scope(caller), self._key, await self._digest(digest))
        answer = await once(self._db, key, lambda: make(key))
        if answer.status_code is not None:
            self._response.status_code = answer.status_code
        return answer.body

    async def step(
        self, model: type[Model], caller: Caller, work: Callable[[], Awaitable[Model]], *, shown_once: str = ""
    ) -> Model:
        """What `work` gives, or the earlier answer to the same key of the same caller, without its secret.

        Raises:
            Conflict: another replica is at it.
            ValidationFailed: the key was used for another request.
        """
        if not self._key:
            return await work()
        fresh: list[Model] = []

        async def told() -> dict[str, Any]:
            fresh.append(await work())
            return fresh[0].model_dump(mode="json") | ({shown_once: None} if shown_once else {})

        key = Key(f"step:{_scope(caller)}", self._key, await self._digest(""))
        answer = await self._steps.once(key, told)
        return fresh[0] if fresh else model.model_validate(answer)

    async def _digest(self, body_digest: str) -> str:
        """What tells this request from every other one of the caller."""
        request = self._request
        line = f"{request.method} {request.url.path}?{request.url.query}\n{body_digest}"
        told = hmac.new(self._secret, line.encode(), hashlib.sha256)
        if not body_digest:
            body = await request.body()
            if len(body) > LONG_BYTES:
                await asyncio.to_thread(told.update, body)
            else:
                told.update(body)
        return told.hexdigest()


class Idempotency:
    """A dependency of routes: the request's `Once`. `secret` is what hashes of requests are keyed with."""

    def __init__(self, db: Database, secret: bytes) -> None:
        self.db = db
        self.steps = Steps(db)
        self.secret = secret

    async def __call__(self, request: Request, response: Response, idempotency_key: KeyHeader = None) -> Once:
        """The request's key, if it has one."""
        return Once(self, request, response, idempotency_key)


def _scope(caller: Caller) -> str:
    """Whose keys these are: nobody comes upon another's answer by chance or by trying."""
    return f"{caller.account_id}:{'operator' if caller.is_admin else caller.number or ''}"
