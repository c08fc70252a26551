"""Downloading from an address that a user gave us, without letting that user reach what only we can reach.

    FetchError                 what a user may be told: `code` for programs, `reason` in words
      BadUrl                   not an address that we would ever call
      AddressForbidden         leads into a private, local or reserved network
      Unreachable              no such host, refused, broken off, certificate not valid
      TooSlow                  not complete within the time
      TooLarge                 more bytes than allowed, announced or really sent
      BadStatus                answered with another status than 200; too many redirects
      BadAnswer                compressed, although we asked for plain bytes

An address is checked where it is used. The resolver refuses a name if *any* of its answers is forbidden, and the
socket factory, through which every connection goes, refuses the very address it is about to connect to. So nothing
lies between checking and calling: a name that changes its answer (DNS rebinding), an IP in an odd spelling, which
no resolver ever sees, and each hop of a redirect all meet the same check.
"""

import asyncio
import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AddressFamily, socket
from urllib.parse import unquote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from gateway.addresses import is_public

MAX_REDIRECTS = 3
MAX_URL = 2_048
PORTS = frozenset({80, 443})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 64 * 1024
_AddrInfo = tuple[int | AddressFamily, int, int, str, tuple[object, ...]]


class FetchError(Exception):
    """The download failed."""

    code = "FETCH_FAILED"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadUrl(FetchError):
    """Not an address that we would ever call."""

    code = "BAD_URL"


class AddressForbidden(FetchError):
    """It leads into a private, local or reserved network."""

    code = "ADDRESS_FORBIDDEN"


class Unreachable(FetchError):
    """No answer could be had."""

    code = "UNREACHABLE"


class TooSlow(FetchError):
    """Not complete within the time allowed."""

    code = "TOO_SLOW"


class TooLarge(FetchError):
    """More bytes than allowed."""

    code = "TOO_LARGE"


class BadStatus(FetchError):
    """An answer, but not the content."""

    code = "BAD_STATUS"


class BadAnswer(FetchError):
    """An answer that we do not take apart."""

    code = "BAD_ANSWER"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: `content_type` as the server declares it (no parameters), `url` where it finally was."""

    content: bytes
    content_type: str
    filename: str
    url: str


@dataclass(frozen=True, slots=True)
class _Rules:
    allow_private: bool
    ports: frozenset[int]
    networks: tuple[IPv4Network | IPv6Network, ...]

    def check_address(self, address: str) -> None:
        if not self.allow_private and not is_public(address, except_in=self.networks):
            raise AddressForbidden("the address leads into a private or reserved network")

    def check_url(self, text: str) -> URL:
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
            raise BadUrl(f"port {port} is not called, only {', '.join(map(str, sorted(self.ports)))}")
        return url


async def fetch(
    url: str,
    *,
    max_bytes: int,
    timeout_seconds: float,
    allow_private_addresses: bool = False,
    extra_ports: Collection[int] = (),
    allowed_networks: Sequence[IPv4Network | IPv6Network] = (),
    resolver: AbstractResolver | None = None,
) -> Fetched:
    """Download `url`, following up to three redirects; the limits hold for all hops together.

    `allowed_networks` are those of the operator's own that may be called although they are private, on the usual
    ports and `extra_ports`; `allow_private_addresses` lifts the rules about addresses and ports altogether. Raises
    `FetchError`.
    """
    rules = _Rules(allow_private_addresses, PORTS | set(extra_ports), tuple(allowed_networks))
    here = rules.check_url(url)
    guard = _Guard(rules, resolver or ThreadedResolver())
    try:
        async with asyncio.timeout(timeout_seconds), _session(guard) as session:
            for _ in range(MAX_REDIRECTS + 1):
                async with session.get(here, allow_redirects=False) as response:
                    if response.status not in _REDIRECTS:
                        return await _content(response, max_bytes)
                    here = rules.check_url(_target(response))
            raise BadStatus(f"it redirects more than {MAX_REDIRECTS} times")
    except TimeoutError as error:
        raise TooSlow(f"it was not complete within {timeout_seconds:g} seconds") from error
    except aiohttp.InvalidURL as error:  # an IP address written in an odd manner
        raise BadUrl("this is not a web address") from error
    except (aiohttp.ClientError, OSError) as error:
        if guard.refusal is not None:
            raise guard.refusal from error
        raise Unreachable(_why_unreachable(error)) from error


class _Guard(AbstractResolver):
    """The two places at which an address is looked at before it is called."""

    def __init__(self, rules: _Rules, resolver: AbstractResolver) -> None:
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


def _session(guard: _Guard) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=guard, socket_factory=guard.make_socket, use_dns_cache=False, force_close=True
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # one clock for all hops, in `fetch`
        trust_env=False,  # a proxy would call the address for us, unchecked
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "waha-gateway"},
    )


def _target(response: aiohttp.ClientResponse) -> str:
    location = response.headers.get("Location", "")
    try:
        return str(response.url.join(URL(location)))
    except ValueError as error:
        raise BadUrl("it redirects to something that is not a web address") from error


async def _content(response: aiohttp.ClientResponse, max_bytes: int) -> Fetched:
    if response.status != 200:
        raise BadStatus(f"it answered with status {response.status}")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise BadAnswer("it answered with compressed content, although plain content was asked for")
    if (response.content_length or 0) > max_bytes:
        raise TooLarge(f"it has {response.content_length} bytes, at most {max_bytes} are taken")
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > max_bytes:
            raise TooLarge(f"it has more than {max_bytes} bytes")
    declared = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Fetched(bytes(content), declared or "application/octet-stream", _filename(response), str(response.url))


def _filename(response: aiohttp.ClientResponse) -> str:
    """The name the server gives, else the last part of the address: a name only, never a path."""
    disposition = response.content_disposition
    name = (disposition.filename if disposition else None) or unquote(response.url.raw_name)
    name = "".join(char for char in name.replace("\\", "/").rpartition("/")[2] if char.isprintable())
    return name.strip(" .")[:120] or "file"


def _why_unreachable(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "there is no such host"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError | aiohttp.ClientSSLError):
        return "its certificate is not valid, or it does not speak TLS"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection can be made"
    return "the connection broke off"
