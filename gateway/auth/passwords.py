"""Passwords: hashed with argon2id, some at a time and beside the event loop."""

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from gateway.errors import ServiceUnavailable

T = TypeVar("T")

MIN_LENGTH = 8
MAX_LENGTH = 1024
PASSES, KIBIBYTES, THREADS = 1, 47_104, 1
"""OWASP's first recommendation for argon2id: as strong as its others, and none of them keeps a core busy for less time,
which the senders' pacing needs."""
AT_ONCE = 2
"""One hash takes 46 MiB, and one core for some 50 ms; this bounds both."""
MAX_WAITING = 100
"""More do not queue up: the last of so many waits some seconds already."""


class Passwords:
    """Hashes and checks passwords.

    They are NFC-normalised: what looks the same, typed on two keyboards, is the same password. Nothing else is changed.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=KIBIBYTES, parallelism=THREADS)
        salt, digest = (base64.b64encode(secrets.token_bytes(count)).decode().rstrip("=") for count in (16, 32))
        self._nobodys = f"$argon2id$v=19$m={KIBIBYTES},t={PASSES},p={THREADS}${salt}${digest}"
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0

    def close(self) -> None:
        """Hash nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """What is stored of a password.

        Raises:
            ServiceUnavailable: too many wait for their turn already.
        """
        return await self._in_turn(lambda: self._hasher.hash(_bytes(password)))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether `stored` was made of this password. Where there is no `stored` the same work is done, in vain.

        Raises:
            ServiceUnavailable: too many wait for their turn already.
        """
        return await self._in_turn(lambda: self._verify(stored or self._nobodys, password)) and stored is not None

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _bytes(password))
        except VerifyMismatchError:
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise ServiceUnavailable("too many log in at this moment; try again in some seconds")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode()
