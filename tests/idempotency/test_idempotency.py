"""The same key with the same request: the same answer, and nothing done again, whatever comes between."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import func, insert, select

from gateway.auth.access import Caller
from gateway.auth.models import LOCAL_ACCOUNT, Account
from gateway.db import Database, read_now, table_of
from gateway.errors import Conflict
from gateway.http.problems import install_error_handlers
from gateway.idempotency.header import Idempotency, Once
from gateway.idempotency.keys import KEY_SECONDS, Key, claim, forget_old, idempotency_key, keep, once

account = table_of(Account)


class Thing(BaseModel):
    """What is made: an account, because such a table is there."""

    id: str
    name: str = "thing"


class Maker:
    """A service as any other. `pause` holds up whoever is in its transaction; `fault` makes it fail at its end."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.made = 0
        self.pause: asyncio.Event | None = None
        self.inside = asyncio.Event()
        self.fault: Exception | None = None
        self.status_code: int | None = None

    async def create(self, thing: Thing, key: Key | None) -> dict[str, Any]:
        """Make one; a second one of its id would be refused by the database."""
        self.made += 1
        answer = {"id": thing.id, "name": thing.name, "number": self.made}
        async with self.db.write() as tx:
            await claim(tx, key)
            await tx.execute(insert(account).values(id=thing.id, name=thing.name, created_at=1.0))
            self.inside.set()
            if self.pause is not None:
                await self.pause.wait()
            await keep(tx, key, answer, self.status_code)
            if self.fault is not None:
                raise self.fault
        return answer


@pytest.fixture
async def maker(database_url: str) -> AsyncIterator[Maker]:
    """The service on each kind of database."""
    db = Database(database_url)
    yield Maker(db)
    await db.close()


@pytest.fixture
async def client(maker: Maker) -> AsyncIterator[httpx.AsyncClient]:
    """The two lines of a route around it; the caller is whom `number` names."""

    def caller(number: str | None = None, admin: bool = False) -> Caller:
        return Caller(account_id=LOCAL_ACCOUNT, number=number, is_admin=admin)

    app = FastAPI()
    install_error_handlers(app)
    idempotency = Idempotency(maker.db, b"secret")

    @app.post("/things", status_code=201)
    @app.post("/others", status_code=201)
    async def create(
        who: Annotated[Caller, Depends(caller)], body: Thing, once: Annotated[Once, Depends(idempotency)]
    ) -> dict[str, Any]:
        return await once.answer(who, lambda key: maker.create(body, key))

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def post(
    client: httpx.AsyncClient, id_: str = "one", *, key: str | None = "k", path: str = "/things", name: str = "thing"
) -> httpx.Response:
    """One request."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post(path, json={"id": id_, "name": name}, headers=headers)


async def count(maker: Maker) -> int:
    """How many were made, beside the account that is always there."""
    async with maker.db.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(account))).scalar_one()) - 1


async def test_the_same_request_with_the_same_key_is_answered_the_same_and_does_nothing(
    maker: Maker, client: httpx.AsyncClient
) -> None:
    first, second = await post(client), await post(client)
    assert (first.status_code, first.json()["number"]) == (201, 1)
    assert (second.status_code, second.json()) == (201, first.json())
    assert (maker.made, await count(maker)) == (1, 1)


async def test_without_a_key_or_with_another_one_it_is_done_again(maker: Maker, client: httpx.AsyncClient) -> None:
    for number, key in enumerate((None, None, "", "k", "l")):
        assert (await post(client, f"thing {number}", key=key)).json()["number"] == number + 1
    assert await count(maker) == 5


@pytest.mark.parametrize("other", [{"id_": "two"}, {"name": "another"}, {"path": "/others"}, {"path": "/things?a=1"}])
async def test_a_key_that_was_used_for_another_request_is_422(
    maker: Maker, client: httpx.AsyncClient, other: dict[str, Any]
) -> None:
    await post(client)
    refused = await post(client, **other)
    assert refused.status_code == 422
    assert [(error["field"], error["code"]) for error in refused.json()["errors"]] == [
        ("Idempotency-Key", "key_reused")
    ]
    assert maker.made == 1


async def test_nobody_gets_anothers_answer(maker: Maker, client: httpx.AsyncClient) -> None:
    callers = ("/things", "/things?number=447700900001", "/things?number=447700900002", "/things?admin=true")
    answers = [await post(client, f"thing {number}", path=path) for number, path in enumerate(callers)]
    assert [answer.json().get("number") for answer in answers] == [1, 2, 3, 4]


async def test_of_two_at_the_same_moment_one_does_it_and_the_other_gets_its_answer(
    maker: Maker, client: httpx.AsyncClient
) -> None:
    maker.pause = asyncio.Event()
    first = asyncio.create_task(post(client))
    await maker.inside.wait()
    second = asyncio.create_task(post(client))
    asyncio.get_running_loop().call_later(0.3, maker.pause.set)  # by then the second waits for the first
    answers = [(await first), (await second)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert (maker.made, await count(maker)) == (2, 1)  # the second one began, and was rolled back


async def test_many_at_the_same_moment_make_one(maker: Maker, client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(post(client) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert await count(maker) == 1


async def test_what_ended_in_an_error_is_not_kept_and_may_be_tried_again(
    maker: Maker, client: httpx.AsyncClient
) -> None:
    maker.fault = Conflict("not now")
    assert (await post(client)).status_code == 409
    assert await count(maker) == 0
    maker.fault = None
    assert (await post(client)).status_code == 201
    assert await count(maker) == 1


async def test_the_status_code_is_given_again_too(maker: Maker, client: httpx.AsyncClient) -> None:
    maker.status_code = 202
    await post(client)
    assert (await post(client)).status_code == 202


async def test_a_key_is_too_long_beyond_255_characters(maker: Maker, client: httpx.AsyncClient) -> None:
    assert (await post(client, key="k" * 256)).status_code == 422
    assert (await post(client, key="k" * 255)).status_code == 201
    assert maker.made == 1


async def test_without_the_claim_a_second_one_fails_on_what_the_first_has_made(maker: Maker) -> None:
    """The control: why a transaction begins with `claim`."""
    key = Key("scope", "k", "digest")

    async def refused(_: Key | None) -> dict[str, Any]:
        async with maker.db.write() as tx:
            ids = (await tx.execute(select(account.c.id))).scalars().all()
            if "one" in ids:
                raise Conflict("it is there already")
            await tx.execute(insert(account).values(id="one", name="", created_at=1.0))
            await keep(tx, key, {})
        return {}

    await refused(key)
    with pytest.raises(Conflict):
        await refused(key)
    assert (await once(maker.db, key, lambda: refused(key))).body == {}


async def test_a_key_is_forgotten_after_a_week(maker: Maker, client: httpx.AsyncClient) -> None:
    await post(client)
    async with maker.db.read() as connection:
        now = await read_now(connection)
    for later, left in ((KEY_SECONDS - 60, 1), (KEY_SECONDS + 60, 0)):
        await forget_old(maker.db, now + later)
        async with maker.db.read() as connection:
            rows = (await connection.execute(select(idempotency_key.c.key))).all()
        assert len(rows) == left
