"""`gateway process-queue`: send what is due, and end. For who runs it from cron, where no service runs all the time."""

import asyncio
from typing import Annotated

import typer

from campaigns.sending.due import Due, read_due
from gateway.app import Gateway, build_gateway
from gateway.cli.failures import database_failures
from gateway.cli.options import ConfigOption, read_settings, start_logging
from gateway.db import DatabaseInUse

LOOK_SECONDS = 0.25


def process_queue(
    config: ConfigOption = None,
    idle: Annotated[
        float, typer.Option(help="End when nothing could be sent for so many seconds.", min=1, max=86_400)
    ] = 60.0,
) -> None:
    """Send what is due at the usual pace, and end when all of it was sent. Beside a service that runs it is safe."""
    settings = read_settings(config)
    start_logging(settings.logging)
    with database_failures(settings.database.url):
        try:
            gateway = build_gateway(settings)
        except DatabaseInUse:
            typer.echo("A gateway runs here: it sends what is due by itself.")
            return
        left = asyncio.run(send_due(gateway, idle))
    typer.echo(_told(left))


async def send_due(gateway: Gateway, idle: float) -> Due:
    """Run a replica until nothing is due any more, or nothing has moved for `idle` seconds; what is left then."""
    await gateway.start()
    try:
        return await _watch(gateway, idle)
    finally:
        await gateway.stop()


async def _watch(gateway: Gateway, idle: float) -> Due:
    clock = gateway.clock
    before, moved_at = None, clock.monotonic()
    while True:
        async with gateway.db.read() as connection:
            due = await read_due(connection)
        if not due:
            return due
        if due != before:
            before, moved_at = due, clock.monotonic()
        if clock.monotonic() - moved_at >= idle:
            return due
        await clock.wait(asyncio.Event(), LOOK_SECONDS)


def _told(left: Due) -> str:
    if not left:
        return "All that was due has been sent."
    return (
        f"{left.waiting} messages wait, {left.in_flight} are in flight and {left.starting} schedules are to begin, but "
        "nothing could be sent: GET /api/status/{campaign_id} of a running gateway tells why."
    )
