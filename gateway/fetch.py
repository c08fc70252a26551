"""Downloading a file from an address that a user gave us, under the rules of `guarded.py`.

CallError                  what went wrong: see there
  TooLarge                 more bytes than allowed, announced or really sent
  BadStatus                answered with another status than 200; too many redirects
  BadAnswer                compressed, although we asked for plain bytes
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import unquote

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

from gateway.guarded import CallError, Rules, guarded_session, redirect_target

MAX_REDIRECTS = 3
PORTS = frozenset({80, 443})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 64 * 1024


class TooLarge(CallError):
    """More bytes than allowed."""

    code = "TOO_LARGE"


class BadStatus(CallError):
    """An answer, but not the content."""

    code = "BAD_STATUS"


class BadAnswer(CallError):
    """An answer that we do not take apart."""

    code = "BAD_ANSWER"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: `content_type` as the server declares it (no parameters), `url` where it finally was."""

    content: bytes
    content_type: str
    filename: str
    url: str


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
    `CallError`.
    """
    ports = PORTS | set(extra_ports)
    rules = Rules(allow_private_addresses, ports, ", ".join(map(str, sorted(ports))), tuple(allowed_networks))
    here = rules.check_url(url)
    async with guarded_session(rules, resolver or ThreadedResolver(), timeout_seconds) as session:
        for _ in range(MAX_REDIRECTS + 1):
            async with session.get(here, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    return await read_content(response, max_bytes)
                here = rules.check_url(redirect_target(response))
        raise BadStatus(f"it redirects more than {MAX_REDIRECTS} times")


async def read_content(response: aiohttp.ClientResponse, max_bytes: int) -> Fetched:
    """What an answer holds; raises `BadStatus`, `BadAnswer` and `TooLarge`."""
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
