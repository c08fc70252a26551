"""A client with a queue of its own, on both databases."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from admin.clients.schemas import ClientChangeIn, ClientIn
from admin.clients.service import ClientService
from campaigns.metering.tables import client
from campaigns.sending.outcomes import Claim, Result
from campaigns.sending.tables import campaign
from gateway.auth.access import Caller
from gateway.auth.clients.keys import KeyHolder
from gateway.auth.clients.scopes import ALL_SCOPES
from gateway.db import AnyRow
from gateway.money import to_millionths
from tests.harness.books import Books


class Shop:
    """A client whose senders are all those of the books."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.service = ClientService(books.db, books.bus, books.steering)
        self.caller = Caller(account_id="")
        self.client_id = ""
        self.paid_in = 0

    async def open(self, **fields: Any) -> None:
        """Make the client."""
        body = ClientIn.model_validate({"name": "infinity", **fields})
        told, _ = await self.service.create(body, self.books.senders)
        self.client_id = told.row.id
        self.paid_in = told.row.balance
        holder = KeyHolder(told.row.id, told.row.name, told.row.account_id, ALL_SCOPES)
        self.caller = Caller(account_id=holder.account_id, client=holder)

    async def submit(self, recipients: int | Sequence[str], **fields: Any) -> str:
        """Submit a campaign of the client's; its id."""
        request = self.books.request(recipients, **fields)
        return str((await self.books.campaigns.submit(self.caller, request))["campaign"]["id"])

    async def change(self, **fields: Any) -> None:
        """Change the client."""
        await self.service.change(self.client_id, ClientChangeIn.model_validate(fields), None)

    async def row(self) -> AnyRow:
        """The client's row."""
        async with self.books.db.read() as connection:
            return (await connection.execute(select(client).where(client.c.id == self.client_id))).one()

    async def claims(self) -> list[Claim]:
        """What one turn claims."""
        return (await self.books.turn()).claims

    async def send_all(self, most: int = 1000) -> int:
        """Claim and send until nothing more is to be had now; how many were sent."""
        sent = 0
        while claims := await self.claims():
            await self.books.turn([(one, self.books.outcome(Result.SENT)) for one in claims], claiming=False)
            sent += len(claims)
            assert sent <= most
        return sent

    async def check(self) -> None:
        """The balance is what was paid in, less what was sent, to the millionth; and nothing else is wrong."""
        await self.books.check()
        arrived = campaign.c.n_sent + campaign.c.n_delivered + campaign.c.n_read
        cost = func.coalesce(func.sum(arrived * campaign.c.price), 0)
        async with self.books.db.read() as connection:
            owed = int((await connection.execute(select(cost))).scalar_one())
        assert (await self.row()).balance == self.paid_in - owed

    async def spent(self) -> Decimal:
        """What was charged so far."""
        await self.check()
        return Decimal(self.paid_in - (await self.row()).balance) / to_millionths(Decimal(1))


OpenShop = Callable[..., Awaitable[Shop]]


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    """Books that are not open yet; the test is marked `virtual_time`."""
    made = Books(database_url)
    yield made
    await made.db.close()


@pytest.fixture
async def open_shop(books: Books) -> OpenShop:
    """Open a `Shop` with so many senders."""

    async def make(senders: int = 1, **fields: Any) -> Shop:
        await books.open(senders)
        shop = Shop(books)
        await shop.open(**fields)
        return shop

    return make
