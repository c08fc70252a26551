"""The `Authorization` header as a credential, and as the OpenAPI document describes it."""

from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from gateway.errors import Unauthorized


def bearer_of(connection: HTTPConnection) -> str | None:
    """The token of `Authorization: Bearer ...`; None where there is no such header.

    Raises:
        Unauthorized: it is of another kind, or malformed. That is no way to be nobody in particular.
    """
    given = connection.headers.getlist("authorization")
    if not given:
        return None
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("the Authorization header must be given once, as: Bearer and a token")
    return token.strip()


class BearerScheme(SecurityBase):
    """FastAPI's dependency on that token."""

    def __init__(self) -> None:
        self.model = BearerModel(
            bearerFormat="JWT",
            description="The `access_token` that `POST /api/auth/login` answered, or a client's API key (`wgk_...`)",
        )
        self.scheme_name = "bearer"

    async def __call__(self, connection: HTTPConnection) -> str | None:
        """As `bearer_of`."""
        return bearer_of(connection)
