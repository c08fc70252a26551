"""Routes of logging in: with email and password, by refresh token, and out again."""

from typing import Final

from fastapi import APIRouter, Request

from gateway.auth.logins import Logins, Tokens
from gateway.auth.schemas import LoginIn, RefreshIn, TokensOut
from gateway.late_routes import LateRouter

KIND: Final = "bearer"


def build_router(logins: Logins) -> APIRouter:
    """The routes under `/api/auth`."""
    router = LateRouter(prefix="/api/auth", tags=["auth"])

    @router.post("/login", summary="Log in")
    async def login(body: LoginIn, request: Request) -> TokensOut:
        """Tokens for a user's email and password. Users are made by an operator.

        401 for an unknown email and for a wrong password alike; 429 after too many attempts in a minute.
        """
        address = request.client.host if request.client else ""
        return _out(await logins.log_in(body.email, body.password.get_secret_value(), address))

    @router.post("/refresh", summary="Get the next tokens")
    async def refresh(body: RefreshIn) -> TokensOut:
        """A new pair of tokens; the refresh token is used up. A used one ends the login: log in again."""
        return _out(await logins.refresh(body.refresh_token.get_secret_value()))

    @router.post("/logout", status_code=204, summary="Log out")
    async def logout(body: RefreshIn) -> None:
        """End the login: its access tokens stop working at once, too. Also 204 where it has ended before."""
        await logins.log_out(body.refresh_token.get_secret_value())

    return router


def _out(tokens: Tokens) -> TokensOut:
    return TokensOut(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        token_type=KIND,
        expires_in=tokens.expires_in,
    )
