"""`gateway create-user`: somebody who may log in; through the running service, or in the database where none runs."""

import asyncio
import getpass
import re
import sys
from typing import Annotated, Any

import typer

from admin.login_schemas import ACCOUNT
from gateway import schema
from gateway.auth.emails import fold
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.auth.passwords import MAX_LENGTH, MIN_LENGTH, Passwords
from gateway.auth.users import Users
from gateway.cli.api import Api, GatewayUnreachable
from gateway.cli.failures import CommandFailed, database_failures
from gateway.cli.options import ConfigOption, base_url, own_admin_token, read_settings, start_logging
from gateway.db import Database
from gateway.errors import GatewayError
from gateway.settings import Settings


def create_user(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="What they log in with.")],
    account: Annotated[
        str, typer.Option(help="Whose data and senders they see; the account is made if it is new.")
    ] = LOCAL_ACCOUNT,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(help="The running gateway; where the settings say if not said.", envvar="WAHA_GATEWAY_URL"),
    ] = None,
    admin_token: Annotated[
        str,
        typer.Option(
            help="The operator's token; of the settings or the data folder if not said.",
            envvar="WAHA_GATEWAY_ADMIN_TOKEN",
            show_envvar=True,
        ),
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Make a user who logs in with email and password. The password is asked for, and never shown."""
    settings = read_settings(config)
    try:
        folded = fold(email)
    except ValueError as error:
        raise CommandFailed(f"EMAIL {error}") from None
    if not re.fullmatch(ACCOUNT, account):
        raise CommandFailed("--account takes up to 36 small letters, digits, dots, dashes and underscores")
    user = {"email": folded, "password": _read_password(from_stdin=password_stdin), "account": account}
    address = url or base_url(settings.server.host, settings.server.port)
    token = admin_token or own_admin_token(settings)
    try:
        asyncio.run(_ask(Api(address, {"X-Admin-Token": token} if token else None), user))
    except GatewayUnreachable:
        if url is not None:
            raise
        start_logging(settings.logging)
        with database_failures(settings.database.url):
            asyncio.run(_store(settings, user))
    typer.echo(f"{folded} can log in now, to the account {account}")


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("The same again: ") != password:
            raise CommandFailed("the two passwords are not the same")
    else:
        raise CommandFailed("there is no terminal to ask for the password: give it with --password-stdin")
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise CommandFailed(f"a password has {MIN_LENGTH} to {MAX_LENGTH:,} characters")
    if any("\ud800" <= sign <= "\udfff" for sign in password):  # how Python keeps bytes that it cannot read
        raise CommandFailed("the password is not in the encoding of this terminal")
    return password


async def _ask(api: Api, user: dict[str, Any]) -> None:
    async with api:
        await api.post("/api/admin/logins", user)


async def _store(settings: Settings, user: dict[str, Any]) -> None:
    """Make the user in the database, which no running service has."""
    db, passwords = Database(settings.database.url), Passwords()
    try:
        db.claim_file()
        await schema.prepare(db)
        await Users(db, passwords).create(user["email"], user["password"], user["account"])
    except GatewayError as error:
        raise CommandFailed(error.detail) from error
    finally:
        passwords.close()
        await db.close()
