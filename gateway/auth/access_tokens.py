"""Access tokens: short-lived JWTs that name a user and the login that they come from.

They are signed with one secret for all replicas: `auth.jwt_secret`, or one of our own that is kept in the database,
encrypted with the data folder's key file (see docs/decisions/who-logs-in.md). A signature alone opens nothing: the
login must still be there.
"""

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth.models import KeptSecret
from gateway.db import Database, DatabaseError, table_of
from gateway.errors import Unauthorized
from gateway.patience import write_patiently
from gateway.vault import Vault, VaultError, make_token

log = structlog.get_logger()
kept_secret = table_of(KeptSecret)

ALGORITHM = "HS256"
ISSUER = AUDIENCE = "waha-gateway"
_NAME = "access_tokens"
_CLAIMS = ["iss", "aud", "sub", "sid", "jti", "iat", "exp"]


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a token with a good signature says: whose it is, from which login, and until when (epoch seconds)."""

    user_id: str
    login_id: str
    expires_at: float


class AccessTokens:
    """Makes access tokens and reads them. `configured` is the secret of the settings, if any."""

    def __init__(self, db: Database, vault: Vault, configured: str, *, seconds: int) -> None:
        self._db = db
        self._vault = vault
        self._secret = configured
        self.seconds = seconds

    async def start(self) -> None:
        """Find the secret that all replicas share.

        Raises:
            DatabaseError: another replica keeps it with another key file.
        """
        if not self._secret:
            self._secret = await write_patiently(self._db, self._find, "finding the secret of access tokens")

    async def _find(self, tx: AsyncConnection) -> str:
        kept = await self._keep(tx)
        try:
            return self._vault.decrypt(kept)
        except VaultError:
            if not self._db.is_sqlite:
                raise DatabaseError(
                    "the secret of access tokens was stored with another secret.key: give every replica the same "
                    "secret.key in database.data_folder, or the same auth.jwt_secret"
                ) from None
            # one process owns the file, so the old key is gone for good; logins live on, by their refresh tokens
            log.warning("access_token_secret_replaced", reason="secret.key is not the one it was stored with")
            await tx.execute(delete(kept_secret).where(kept_secret.c.name == _NAME))
            return self._vault.decrypt(await self._keep(tx))

    async def _keep(self, tx: AsyncConnection) -> str:
        """The stored secret, made if it was not there; of two replicas that make one the first one's counts."""
        upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
        values = {"name": _NAME, "value_encrypted": self._vault.encrypt(make_token())}
        await tx.execute(upsert(kept_secret).values(**values).on_conflict_do_nothing(index_elements=["name"]))
        return str(
            (await tx.execute(select(kept_secret.c.value_encrypted).where(kept_secret.c.name == _NAME))).scalar_one()
        )

    def make(self, user_id: str, login_id: str, now: float) -> str:
        """A token of this login that holds from `now` on."""
        issued_at = int(now)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": login_id,
            "jti": secrets.token_hex(16),
            "iat": issued_at,
            "exp": issued_at + self.seconds,
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM, sort_headers=False)

    def read(self, token: str) -> AccessToken:
        """What a token says. Whether its time is over is for the database's clock to say.

        Raises:
            Unauthorized: it is not one of ours.
        """
        # the library would compare times with this process's clock
        options: Any = {"require": _CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=[ALGORITHM], issuer=ISSUER, audience=AUDIENCE, options=options
            )
            return AccessToken(str(UUID(claims["sub"])), str(UUID(claims["sid"])), float(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
            raise Unauthorized("the Bearer token is not valid") from None
