"""Calling an address that a user gave us, without letting that user reach what only we can reach.

    CallError                  what a user may be told: `code` for programs, `reason` in words
      BadUrl                   not an address that we would ever call
      AddressForbidden         leads into a private, local or reserved network
      Unreachable              no such host, refused, broken off, certificate not valid
      TooSlow                  not complete within the time

An address is checked where it is used. The resolver refuses a name if *any* of its answers is forbidden, and the
socket factory, through which every connection goes, refuses the very address it is about to connect to. So nothing
lies between checking and calling: a name that changes its answer (DNS rebinding), an IP in an odd spelling, which
no resolver ever sees, and each hop of a redirect all meet the same check.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AddressFamily, inet_aton, inet_ntoa, socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.addresses import is_public

MAX_URL = 2_048
_AddrInfo = tuple[int | AddressFamily, int, int, str, tuple[object, ...]]


class CallError(Exception):
    """The call failed."""

    code = "CALL_FAILED"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadUrl(CallError):
    """Not an address that we would ever call."""

    code = "BAD_URL"


class AddressForbidden(CallError):
    """It leads into a private, local or reserved network."""

    code = "ADDRESS_FORBIDDEN"


class Unreachable(CallError):
    """No answer could be had."""

    code = "UNREACHABLE"


class TooSlow(CallError):
    """Not complete within the time allowed."""

    code = "TOO_SLOW"


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be called: public addresses on `ports`, which an error calls `ports_told`.

    `networks` may be called although they are private; `allow_private` lifts the rules about addresses and ports.
    """

    allow_private: bool
    ports: Collection[int]
    ports_told: str
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def check_address(self, address: str) -> None:
        """Refuse an IP address that may not be called; raises `AddressForbidden`."""
        if not self.allow_private and not is_public(address, except_in=self.networks):
            raise AddressForbidden("the address leads into a private or reserved network")

    def check_url(self, text: str) -> URL:
        """Read what is written, without asking anybody for an address; raises `BadUrl`."""
        if len(text) > MAX_URL:
            raise BadUrl(f"the address is longer than {MAX_URL} characters")
        if any(char.isspace() or not char.isprintable() or char == "\\" for char in text):
            raise BadUrl("there are spaces, backslashes or invisible characters in the address")
        try:
            url = URL(text)
            host, port = url.host, url.port
            (url.raw_host or "").encode("idna")  # as the resolver will
        except ValueError as error:
            raise BadUrl("this is not a web address") from error
        if url.scheme not in ("http", "https") or not host:
            raise BadUrl("only http:// and https:// addresses are called")
        if url.raw_user is not None or url.raw_password is not None:
            raise BadUrl("an address must not contain a user name or password")
        if port not in self.ports and not self.allow_private:
            raise BadUrl(f"port {port} is not called, only {self.ports_told}")
        return url

    def check_beforehand(self, text: str) -> None:
        """As `check_url`, and refuse what is an IP address however it is spelt, or this machine's own name.

        A name proves nothing before it is called, and is checked then. Raises `BadUrl` and `AddressForbidden`.
        """
        host = (self.check_url(text).raw_host or "").rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            self.check_address("127.0.0.1")
        elif ":" in host:
            self.check_address(host)
        else:
            try:
                self.check_address(inet_ntoa(inet_aton(host)))
            except OSError:
                return  # a name


class Guard(AbstractResolver):
    """The two places at which an address is looked at before it is called. One for each call."""

    def __init__(self, rules: Rules, resolver: AbstractResolver) -> None:
        self.refusal: AddressForbidden | None = None
        self._rules = rules
        self._resolver = resolver

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        """All answers, if all of them may be called."""
        answers = await self._resolver.resolve(host, port, family)
        for answer in answers:
            self._check(answer["host"])
        return answers

    def make_socket(self, info: _AddrInfo) -> socket:
        """A socket for exactly this address, the last thing that happens before connecting."""
        family, kind, protocol, _, address = info
        self._check(str(address[0]))
        return socket(family, kind, protocol)

    async def close(self) -> None:
        """Let go of the resolver."""
        await self._resolver.close()

    def _check(self, address: str) -> None:
        try:
            self._rules.check_address(address)
        except AddressForbidden as refusal:
            self.refusal = refusal  # aiohttp may wrap what is raised here
            raise OSError("forbidden address") from refusal


@asynccontextmanager
async def guarded_session(
    rules: Rules, resolver: AbstractResolver, timeout_seconds: float
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session for one call with all its redirects, every connection of which is checked; one clock for all of it.

    Raises:
        CallError: what went wrong inside, in our words.
    """
    guard = Guard(rules, resolver)
    connector = aiohttp.TCPConnector(
        resolver=guard, socket_factory=guard.make_socket, use_dns_cache=False, force_close=True
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,  # a proxy would call the address for us, unchecked
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "waha-gateway"},
    )
    try:
        async with asyncio.timeout(timeout_seconds), session:
            yield session
    except TimeoutError as error:
        raise TooSlow(f"it was not complete within {timeout_seconds:g} seconds") from error
    except aiohttp.InvalidURL as error:  # an IP address written in an odd manner
        raise BadUrl("this is not a web address") from error
    except (aiohttp.ClientError, OSError) as error:
        if guard.refusal is not None:
            raise guard.refusal from error
        raise Unreachable(_why_unreachable(error)) from error


def redirect_target(response: aiohttp.ClientResponse) -> str:
    """Where an answer redirects to; raises `BadUrl`."""
    location = response.headers.get("Location", "")
    try:
        return str(response.url.join(URL(location)))
    except ValueError as error:
        raise BadUrl("it redirects to something that is not a web address") from error


def _why_unreachable(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "there is no such host"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError | aiohttp.ClientSSLError):
        return "its certificate is not valid, or it does not speak TLS"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection can be made"
    return "the connection broke off"
