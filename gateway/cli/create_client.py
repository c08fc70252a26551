"""`gateway create-client`: another system with an API key; through the running service, or in the database."""

import asyncio
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from admin.clients.schemas import ClientIn
from admin.clients.service import ClientService
from campaigns.sending.steering import Steering
from gateway import schema
from gateway.auth.access import PhoneReader
from gateway.cli.api import Api, GatewayUnreachable
from gateway.cli.failures import CommandFailed, database_failures
from gateway.cli.options import ConfigOption, base_url, own_admin_token, read_settings, start_logging
from gateway.db import Database
from gateway.errors import GatewayError
from gateway.events import EventBus
from gateway.settings import Settings


def create_client(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the client is called; one of each name.")],
    sender: Annotated[
        list[str] | None, typer.Option(help="A number that becomes its own; may be given more than once.")
    ] = None,
    daily_limit: Annotated[int | None, typer.Option(help="Messages a day; any number if not said.")] = None,
    balance: Annotated[str, typer.Option(help="What it has to spend, such as 100.00.")] = "0",
    price: Annotated[str, typer.Option(help="What one message costs that was sent, such as 0.05.")] = "0",
    currency: Annotated[str, typer.Option(help="Of balance and price: three letters of ISO 4217.")] = "USD",
    timezone: Annotated[str, typer.Option(help="Where its day ends at midnight, such as Europe/London.")] = "UTC",
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
    """Make a client: another system with an account of its own. Its API key is printed, this once."""
    settings = read_settings(config)
    body = _read(
        name=name,
        senders=sender or [],
        daily_limit=daily_limit,
        balance=balance,
        price=price,
        currency=currency,
        timezone=timezone,
    )
    address = url or base_url(settings.server.host, settings.server.port)
    token = admin_token or own_admin_token(settings)
    try:
        key = asyncio.run(_ask(Api(address, {"X-Admin-Token": token} if token else None), body))
    except GatewayUnreachable:
        if url is not None:
            raise
        start_logging(settings.logging)
        with database_failures(settings.database.url):
            key = asyncio.run(_store(settings, body))
    typer.echo(f"{body.name} may call now; its API key, which is shown this once:", err=True)
    typer.echo(key)


def _read(**values: Any) -> ClientIn:
    try:
        return ClientIn.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        option = "NAME" if first["loc"][0] == "name" else f"--{str(first['loc'][0]).replace('_', '-').rstrip('s')}"
        raise CommandFailed(f"{option}: {first['msg']}") from None


async def _ask(api: Api, body: ClientIn) -> str:
    async with api:
        made = await api.post("/api/admin/clients", body.model_dump(mode="json"))
    return str(made["api_key"])


async def _store(settings: Settings, body: ClientIn) -> str:
    """Make the client in the database, which no running service has."""
    db, bus, phones = Database(settings.database.url), EventBus(), PhoneReader(settings.phone)
    try:
        db.claim_file()
        await schema.prepare(db)
        numbers = [phones.digits(text, "--sender") for text in body.senders]
        _, key = await ClientService(db, bus, Steering(db, bus)).create(body, numbers)
    except GatewayError as error:
        raise CommandFailed(error.detail) from error
    finally:
        await db.close()
    return key.token
