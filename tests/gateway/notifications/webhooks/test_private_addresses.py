"""Nobody reaches through a webhook what only we can reach: not by its address, by a redirect, or by its name server."""

import socket
from ipaddress import ip_address, ip_network
from socket import AF_INET, AddressFamily
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.clock import Clock
from gateway.errors import ValidationFailed
from gateway.guarded import Rules
from gateway.notifications.webhooks.posting import PORTS, PORTS_TOLD, Post, Poster
from gateway.notifications.webhooks.retrying import Answer
from gateway.notifications.webhooks.signing import sign
from tests.gateway.notifications.webhooks.conftest import MakeStage
from tests.harness.receiver import SECRET, Receiver, status

PUBLIC = ip_network("127.0.0.2/32")
"""Stands in for the public internet."""
STRICT = Rules(False, PORTS, PORTS_TOLD, (PUBLIC,))
EVENT = "01a1fb76-b031-7b43-9d8e-a57d616216a1"


class LoopbackSocket(socket.socket):
    """A socket that connects to this machine only."""

    def connect(self, address: Any) -> None:
        assert ip_address(address[0]).is_loopback, f"a test was about to call {address[0]}"
        super().connect(address)


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that is broken must turn a test red, not call somebody's network."""
    monkeypatch.setattr("gateway.guarded.socket", LoopbackSocket)


class Dns(AbstractResolver):
    """Answers each question with the next address, then with the last one for ever."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return [ResolveResult(hostname=host, host=address, port=port, family=AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        return None


async def send(url: str, dns: AbstractResolver | None = None) -> Answer:
    """What comes of a post under the rules for strangers' addresses."""
    clock = Clock()
    poster = Poster(clock, STRICT, resolver_of=None if dns is None else lambda: dns)
    body = b'{"id": "%s"}' % EVENT.encode()
    answer = await poster.send(Post(url, body, sign(body, EVENT, clock.now(), SECRET)))
    poster.close()
    return answer


async def test_a_public_receiver_is_called_with_what_we_say_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Receiver().listening("127.0.0.2") as receiver:
        answer = await send(f"http://hook.example:{receiver.port}/a", Dns("127.0.0.2"))
        assert (answer.status, answer.text) == (200, "OK")
        headers = receiver.requests[0].headers
        assert headers["host"] == f"hook.example:{receiver.port}"
        assert not {"cookie", "authorization"} & set(headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "hook.example", "localhost", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_a_private_receiver_is_never_called_whatever_leads_there(host: str) -> None:
    async with Receiver().listening() as receiver:
        dns = Dns("127.0.0.1") if host == "hook.example" else None
        answer = await send(f"http://{host}:{receiver.port}/", dns)
        assert answer.status is None
        assert answer.error.startswith("ADDRESS_FORBIDDEN")
        assert receiver.requests == []


@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_a_redirect_to_a_private_address_is_not_followed(code: int) -> None:
    async with Receiver().listening() as private, Receiver().listening("127.0.0.2") as public:
        public.says = lambda _: status(code, f"Location: {private.url}")
        answer = await send(f"http://127.0.0.2:{public.port}/")
        assert answer.error.startswith("ADDRESS_FORBIDDEN")
        assert (len(public.requests), private.requests) == (1, [])


async def test_the_address_that_was_checked_is_the_one_that_is_called() -> None:
    """DNS rebinding: the first answer may be called, the next one is ours; the name is asked once for each hop."""
    async with Receiver().listening() as private:
        answer = await send(f"http://hook.example:{private.port}/", Dns("127.0.0.2", "127.0.0.1"))
        assert answer.error == "UNREACHABLE: no connection can be made"
        assert private.requests == []


async def test_a_name_that_turns_to_us_between_two_hops_is_not_called_again() -> None:
    async with Receiver().listening("127.0.0.2") as public:
        public.says = lambda _: status(307, "Location: /again")
        answer = await send(f"http://hook.example:{public.port}/", Dns("127.0.0.2", "127.0.0.1"))
        assert answer.error.startswith("ADDRESS_FORBIDDEN")
        assert len(public.requests) == 1


async def test_redirects_end() -> None:
    async with Receiver().listening("127.0.0.2") as public:
        public.says = lambda _: status(307, "Location: /again")
        answer = await send(f"http://127.0.0.2:{public.port}/")
        assert answer.error == "it redirects more than 3 times"
        assert len(public.requests) == 4


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/", "http://ana:secret@example.com/", "http://127.0.0.1/", "http://[::1]/",
        "http://169.254.169.254/latest", "http://100.64.0.1/", "http://2130706433/", "http://localhost:8000/",
        "https://example.com:25/", "https://example.com:22/", "nonsense", "http://exa mple.com/",
    ],
)  # fmt: skip
async def test_what_can_be_told_at_sight_is_refused_when_it_is_given(make_stage: MakeStage, url: str) -> None:
    stage = await make_stage()
    await stage.replica(running=False, rules=STRICT)
    with pytest.raises(ValidationFailed) as refused:
        await stage.endpoint(url)
    assert [error.field for error in refused.value.errors] == ["url"]


@pytest.mark.virtual_time
async def test_a_name_that_leads_to_us_is_told_as_the_reason_of_a_delivery(make_stage: MakeStage) -> None:
    stage = await make_stage()
    await stage.replica(rules=STRICT, resolver=Dns("127.0.0.1"))
    receiver = await stage.receiver()
    hook = await stage.endpoint(f"http://hook.example:{receiver.port}/")
    await stage.tell(1)
    row = (await stage.settled(hook))[0]
    assert (row.state, row.status) == ("retrying", None)
    assert row.error == "ADDRESS_FORBIDDEN: the address leads into a private or reserved network"
    assert receiver.requests == []
