"""One request to somebody's webhook: signed by others, sent here, under the rules of `gateway/guarded.py`.

Redirects are followed by the same POST, up to three, each hop checked as the first address was. A 303 is none: it says
that the answer is elsewhere, not that the event is wanted there. Nor is one from https to http, which would lay the
event open.

As soon as the status is there the receiver has answered. Of its text a little is read, if it comes soon.

Nobody may be held up by somebody else's receiver: not by its slowness, and not by the slowness of its name server,
which is asked in threads, of which there are few. So both have two lots: one for those that answer, and a smaller one
for those whose last answer was a failure or took long (`Lot`).
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from socket import AF_INET, AI_ADDRCONFIG, SOCK_STREAM, AddressFamily, getaddrinfo

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.clock import Clock
from gateway.guarded import CallError, Rules, TooSlow, guarded_session, redirect_target
from gateway.notifications.webhooks.retrying import Answer

MAX_REDIRECTS = 3
PORTS = frozenset({80, 443, *range(1_024, 65_536)})
"""Not those of mail, shells and other services that were never meant to hear HTTP."""
PORTS_TOLD = "80, 443 and those from 1024"
TIMEOUT_SECONDS = 15.0
"""For all of it: name, connection, redirects, answer."""
SLOW_SECONDS = 3.0
"""Who takes longer to answer shares the smaller lot with those that fail."""
KEPT_CHARACTERS = 500
_READ_BYTES = 4_096
_READ_SECONDS = 1.0
_FOLLOWED = frozenset({301, 302, 307, 308})


class Lot:
    """So many sockets, and so many threads that ask for names."""

    def __init__(self, name: str, sockets: int, threads: int) -> None:
        self.sockets = asyncio.Semaphore(sockets)
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix=f"webhook names {name}")

    def close(self) -> None:
        """Ask for no more names; one that is being asked for is not waited for."""
        self.threads.shutdown(wait=False, cancel_futures=True)


class _Names(AbstractResolver):
    """The system's own resolver, in threads of a lot: those of everybody else are not to wait behind it."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        """All addresses of a name."""
        ask = partial(getaddrinfo, host, port, family=family, type=SOCK_STREAM, flags=AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=0)
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """The threads stay."""


@dataclass(frozen=True, slots=True)
class Post:
    """What is sent where. `careful` is to whom the smaller lot is to be used."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    careful: bool = False


class Poster:
    """Sends posts, within the rules about addresses. `resolver_of` replaces the asking for names (tests)."""

    def __init__(
        self,
        clock: Clock,
        rules: Rules,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        sockets: int = 400,
        careful_sockets: int = 100,
        resolver_of: Callable[[], AbstractResolver] | None = None,
    ) -> None:
        self._clock = clock
        self._rules = rules
        self._timeout_seconds = timeout_seconds
        self._usual = Lot("usual", sockets, 8)
        self._careful = Lot("careful", careful_sockets, 8)
        self._resolver_of = resolver_of

    async def send(self, post: Post) -> Answer:
        """Send it; whatever goes wrong is in the answer."""
        lot = self._careful if post.careful else self._usual
        async with lot.sockets:
            began = self._clock.monotonic()
            try:
                answer = await self._send(post, lot)
            except TooSlow as error:
                answer = Answer(None, error=error.reason)
            except CallError as error:
                answer = Answer(None, error=f"{error.code}: {error.reason}")
            seconds = self._clock.monotonic() - began
        return Answer(answer.status, answer.text, answer.error, seconds, answer.retry_after)

    def close(self) -> None:
        """Let go of the threads."""
        self._usual.close()
        self._careful.close()

    async def _send(self, post: Post, lot: Lot) -> Answer:
        here = self._rules.check_url(post.url)
        resolver = self._resolver_of() if self._resolver_of else _Names(lot.threads)
        async with guarded_session(self._rules, resolver, self._timeout_seconds) as session:
            for _ in range(MAX_REDIRECTS + 1):
                headers = {"Content-Type": "application/json", **post.headers}
                async with session.post(here, data=post.body, headers=headers, allow_redirects=False) as response:
                    if response.status not in _FOLLOWED:
                        return await self._read(response)
                    there = self._rules.check_url(redirect_target(response))
                    if here.scheme == "https" and there.scheme != "https":
                        return Answer(response.status, error="it redirects from https to http, which is not followed")
                    here = there
        return Answer(None, error=f"it redirects more than {MAX_REDIRECTS} times")

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        content = bytearray()
        try:
            async with asyncio.timeout(_READ_SECONDS):
                while len(content) < _READ_BYTES and (chunk := await response.content.read(_READ_BYTES)):
                    content += chunk
        except (TimeoutError, aiohttp.ClientError):
            content += b" [it broke off]"  # the status is there, and it is what counts
        text = content[:_READ_BYTES].decode(errors="replace").strip()
        error = "" if 200 <= response.status < 300 else f"it answered with status {response.status}"
        return Answer(response.status, _printable(text), error, 0.0, self._retry_after(response))

    def _retry_after(self, response: aiohttp.ClientResponse) -> float | None:
        """How many seconds the receiver asks us to wait; None where it does not, or nobody can read it."""
        return read_retry_after(response.headers.get("Retry-After", ""), self._clock.now())


def read_retry_after(text: str, now: float) -> float | None:
    """The seconds in a `Retry-After`, a number or a date; None where it is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        seconds = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _printable(text: str) -> str:
    """The beginning of an answer, as it may stand in a database and on a screen."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)[
        :KEPT_CHARACTERS
    ]
