"""Links to a pairing: they name a number and when they end, and are signed. Whoever has one may watch that pairing.

The signature also covers the account that the number belongs to, though the link does not say it: a number that is
given to another account takes none of its links along. The key is derived from the data folder's key file, so replicas
that share it take each other's links, and a new key file ends all of them.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import urlencode

from gateway.auth.access import Caller
from gateway.db import Database, read_now
from gateway.errors import Forbidden, GatewayError
from gateway.vault import Vault, same
from sessions.queries import accounts_of_senders

PAGE = "/pair"
NO_STORE = {"Cache-Control": "no-store"}
_NUMBER = re.compile(r"[0-9]{7,15}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


class LinkRefused(Forbidden):
    """This link is not valid."""

    error_code = "PAIR_LINK_REFUSED"
    headers = NO_STORE


class LinkOver(GatewayError):
    """This link does not hold any more."""

    status_code = 410
    error_code = "PAIR_LINK_OVER"
    headers = NO_STORE


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says: a number (digits), until when it holds (epoch seconds), and the signature of both."""

    number: str
    expires: str
    signature: str

    @property
    def query(self) -> str:
        """The part of its address that proves it."""
        return urlencode({"expires": self.expires, "signature": self.signature})


class PairLinks:
    """Makes links and checks them. `hours` is how long one holds unless told otherwise."""

    def __init__(self, db: Database, vault: Vault, *, hours: float) -> None:
        self._db = db
        self._key = vault.derive("pair links")
        self._hours = hours

    async def make(self, number: str, account_id: str, hours: float | None = None) -> Link:
        """A link to the pairing of `number`, which belongs to this account."""
        async with self._db.read() as connection:
            now = await read_now(connection)
        expires = str(int(now + (hours or self._hours) * 3600))
        return Link(number, expires, self._sign(number, account_id, expires))

    async def check(self, link: Link) -> Caller:
        """Whoever shows this link: as the owner of its number, for what the page does and nothing else.

        Raises:
            LinkRefused: nobody here has signed it, or its number has gone to another account since.
            LinkOver: its time is over.
        """
        if not _NUMBER.fullmatch(link.number) or not _SECONDS.fullmatch(link.expires):
            raise LinkRefused
        async with self._db.read() as connection:
            accounts = await accounts_of_senders(connection, [link.number])
            now = await read_now(connection)
        for account_id in accounts:
            if same(link.signature, self._sign(link.number, account_id, link.expires)):
                if now >= int(link.expires):
                    raise LinkOver
                return Caller(account_id=account_id, number=link.number)
        raise LinkRefused

    def _sign(self, number: str, account_id: str, expires: str) -> str:
        text = "\n".join((number, account_id, expires))  # none of them has a line break in it
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
