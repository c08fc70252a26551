"""Many clients who send at once, while an operator's campaigns run through the same senders; and what came of it.

`Crowd` makes the clients, has all of them ask at the same moment, waits until nothing more may leave, and asks each of
them what it sees. The judge is `crowd_judge.faults`.

There are five kinds of clients in turn: one that may send all it asks for, one with a daily limit, one with little
money, one whose limit the operator lowered while more than that was waiting already, and one with a limit and less
money than that.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gateway.simulator.ledger import Ledger
from tests.api.test_clients import CLIENTS, bearer, client_of, make_client
from tests.api.world import ADMIN_TOKEN, World, until
from tests.harness.crowd_judge import Client, Message, Seen
from tests.harness.world import recipient_numbers, sender_number

Body = dict[str, Any]

OPERATOR = {"X-Admin-Token": ADMIN_TOKEN}
SENDERS_EACH = 2
SINGLES, BULK, CAMPAIGN, BACKLOG = 3, 6, 5, 12
ASKED = 2 * SINGLES + BULK + CAMPAIGN
PRICES = ("0.07", "0.10", "0.000333", "1.10", "0.29")
DELAY = 0.05
REFUSALS = ("INSUFFICIENT_BALANCE", "DAILY_LIMIT_REACHED")
A_LONG_TIME = 3600
PATIENCE_SECONDS = 90.0


@dataclass(slots=True)
class Crowd:
    """Some clients, each with senders of its own, in a world that has a server for all of them."""

    world: World
    size: int
    clients: list[Client] = field(default_factory=list)
    operators: set[Message] = field(default_factory=set)

    @property
    def senders(self) -> list[str]:
        """All senders, with a plus."""
        return [f"+{sender_number(index)}" for index in range(self.size * SENDERS_EACH)]

    @property
    def ledger(self) -> Ledger:
        """What WhatsApp took."""
        return self.world.waha.server.ledger

    # --- before -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect all senders, and make the clients. Nothing leaves quickly yet."""
        await self._pace(A_LONG_TIME)
        await self.world.pair(*self.senders)
        for index in range(self.size):
            self.clients.append(await self._make(index))

    async def _make(self, index: int) -> Client:
        price = Decimal(PRICES[index // 5 % len(PRICES)])
        most, limit, worth = (
            (ASKED, None, Decimal(1000)),
            (9, 9, Decimal(1000)),
            (8, None, Decimal("8.5")),
            (7, None, Decimal(1000)),  # its limit comes later
            (10, 11, Decimal(10)),
        )[index % 5]
        paid_in = (price * worth).quantize(Decimal("0.000001"))
        senders = tuple(self.senders[index * SENDERS_EACH : (index + 1) * SENDERS_EACH])
        fields: Body = {"balance": str(paid_in), "price": str(price), "timezone": _noon(), "daily_limit": limit}
        fields |= {"currency": "EUR", "messages_per_minute": 1000}
        made = await make_client(self.world, f"client-{index:02d}", senders=list(senders), **fields)
        client = Client(made, senders, price, paid_in, most)
        if most == 7:
            await self._campaign(client, "backlog", BACKLOG)
            await self.world.admin("PATCH", f"{CLIENTS}/{made['id']}", {"daily_limit": most}, status=200)
        return client

    # --- the rush -----------------------------------------------------------------------------------------------

    async def rush(self) -> None:
        """All clients ask for all that they want at the same moment, while the operator's campaigns run."""
        await self._until_settled()  # so that every lane waits, and hears of the other delay
        await self._pace(DELAY)
        await self._operate("operator one", 3 * self.size)
        await self._operate("operator two", 2 * self.size)
        await asyncio.gather(*(ask for client in self.clients for ask in self._asks(client)))

    def _asks(self, client: Client) -> list[Any]:
        return [
            *(self._queue(client, place) for place in range(SINGLES)),
            *(self._single(client, place) for place in range(SINGLES)),
            self._bulk(client),
            self._campaign(client, "campaign", CAMPAIGN),
        ]

    async def _queue(self, client: Client, place: int) -> None:
        message = self._message(client, "queue", place)
        known = {"client_name": client.name, "api_key": client.body["api_key"], "name": f"{client.name} {place}"}
        body = known | {"phone": f"+{message[1]}", "text": message[0]}
        told = await self._ask("/send-message/", body, {}, message[0])
        if told is not None:
            client.accepted.append(message)
            client.paths.append(f"/send-message/{told['id']}")

    async def _single(self, client: Client, place: int) -> None:
        message = self._message(client, "single", place)
        body = {"phone_number": f"+{message[1]}", "message": message[0], "priority": "urgent"}
        told = await self._ask("/api/messaging/send-message/", body, bearer(client.body), message[0])
        if told is not None:
            self._note(client, message, told)

    async def _bulk(self, client: Client) -> None:
        messages = [self._message(client, "bulk", place) for place in range(BULK)]
        given = [{"phone_number": f"+{phone}", "message": text} for text, phone in messages]
        told = await self._ask("/api/messaging/send-bulk/", {"messages": given}, bearer(client.body), "bulk")
        assert told is not None, "a bulk is answered message by message"
        for message, result in zip(messages, told["results"], strict=True):
            if result["success"]:
                self._note(client, message, result)
            else:
                assert result["error_code"] in REFUSALS, result

    async def _campaign(self, client: Client, word: str, count: int) -> None:
        messages = [(f"{client.name} {word}", self._message(client, word, place)[1]) for place in range(count)]
        body = {
            "campaign_name": f"{client.name} {word}",
            "message_template": f"{client.name} {word}",
            "phone_numbers": [f"+{phone}" for _, phone in messages],
        }
        told = await self._ask("/api/messaging/create-campaign-send/", body, bearer(client.body), word)
        if told is not None:
            client.accepted += messages
            client.campaigns.add(f"{client.name} {word}")
            client.paths.append(f"/api/status/{told['campaign_id']}")
            client.paths.append(f"/api/campaigns/{told['campaign_id']}/report")

    async def _ask(self, path: str, body: Body, headers: dict[str, str], key: str) -> Body | None:
        """Ask until there is an answer, as a client does that is told to try again; None where it was refused."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                answer = await self.world.call("POST", path, body, headers=headers | {"Idempotency-Key": key})
                if answer.status_code != 503:
                    break
        told: Body = answer.json()
        if answer.status_code in (200, 201):
            return told
        assert told["error_code"] in REFUSALS, answer.text
        return None

    def _message(self, client: Client, word: str, place: int) -> Message:
        first = (self.clients.index(client) if client in self.clients else len(self.clients)) * BACKLOG
        return f"{client.name} {word} {place}", recipient_numbers(1, first=first + place)[0]

    def _note(self, client: Client, message: Message, told: Body) -> None:
        client.accepted.append(message)
        client.paths.append(f"/api/messaging/message/{told['message_id']}/status/")

    async def _operate(self, text: str, count: int, **fields: Any) -> Body:
        """A campaign of the operator's through all senders."""
        phones = recipient_numbers(count)
        self.operators |= {(text, phone) for phone in phones}
        first, *others = self.senders
        body = {"sender_number": first, "sender_numbers": others, "template": text, **fields}
        recipients = [f"+{phone}" for phone in phones]
        told: Body = (await self.world.admin("POST", "/api/send", body | {"recipients": recipients}, status=201)).json()
        return told

    async def _pace(self, seconds: float) -> None:
        body = {"MESSAGE_DELAY": seconds, "SENDER_SWITCH_DELAY": 0}
        await self.world.admin("POST", "/api/admin/delays", body, status=200)

    # --- after --------------------------------------------------------------------------------------------------

    async def settle(self, seconds: float) -> None:
        """Wait until all that may leave has left, and every lane has had time for whatever may not."""
        due = len(self.operators) + sum(min(client.most, len(client.accepted)) for client in self.clients)
        await self._until_taken(due, seconds)
        await self._operate("last", 2 * len(self.senders), priority="low")
        await self._until_taken(due + 2 * len(self.senders), seconds)
        await self._until_settled()

    async def _until_settled(self) -> None:
        """Wait until all that has left is written down."""

        async def all_is_settled() -> bool:
            told = [await client_of(self.world, client.body) for client in self.clients]
            left = Counter(one.text.partition(" ")[0] for one in self.ledger.transmissions)
            return all(one["sent_today"] == left[one["name"]] for one in told)

        await until(all_is_settled)

    async def _until_taken(self, count: int, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while len(self.ledger.transmissions) < count:
                await self.world.gateway.clock.sleep(0.02)

    async def look(self) -> list[Seen]:
        """What each client sees of its own, and of what is the next one's."""
        others = [*self.clients[1:], self.clients[0]]
        pairs = zip(self.clients, others, strict=True)
        return [await self._look(client, other) for client, other in pairs]

    async def _look(self, client: Client, other: Client) -> Seen:
        headers = bearer(client.body)
        balance = await self.world.call("GET", "/api/messaging/account/balance/", headers=headers, status=200)
        told = json.loads(balance.text, parse_float=Decimal)
        stats = await self.world.call("GET", "/api/messaging/stats/", headers=headers, status=200)
        for path in client.paths:
            await self.world.call("GET", path, headers=headers, status=200)
        opened = [
            path for path in other.paths if (await self.world.call("GET", path, headers=headers)).status_code != 404
        ]
        campaigns = await self._list("/api/campaigns", headers)
        return Seen(
            client,
            balance=Decimal(told["balance"]),
            sent_today=told["messages_sent_today"],
            counted_sent=stats.json()["totals"]["sent"],
            campaigns=frozenset(one["name"] for one in campaigns if one["name"]),
            contacts=frozenset(one["name"] for one in await self._list("/api/recipients", headers)),
            sessions=frozenset(one["phone_number"] for one in await self._list("/api/sessions", headers)),
            opened=tuple(opened),
        )

    async def _list(self, path: str, headers: dict[str, str]) -> list[Body]:
        found: list[Body] = []
        while True:
            page = await self.world.call(
                "GET", path, headers=headers, params={"skip": len(found), "limit": 100}, status=200
            )
            found += page.json()["items"]
            if len(found) >= page.json()["total"]:
                return found


def _noon() -> str:
    """A time zone in which it is about noon now, so that no day ends meanwhile."""
    ahead = (12 - datetime.now(UTC).hour) % 24
    ahead = ahead - 24 if ahead > 12 else ahead
    return f"Etc/GMT{-ahead:+d}"
