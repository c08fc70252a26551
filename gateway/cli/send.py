"""`gateway send`: a campaign from the shell, through the HTTP API of a running gateway."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from campaigns.sending.models import Priority
from gateway.cli.api import Api, GatewayRefused, GatewayUnreachable
from gateway.cli.console import make_console, tell
from gateway.cli.contacts import Contacts, name_lines, read_contact_file
from gateway.cli.failures import FAILED, CommandFailed
from gateway.cli.follow import Follower, clock_time
from gateway.cli.numbers import spaced
from gateway.cli.options import ConfigOption, base_url, read_settings

INTERRUPTED = 130
SUBMIT_ATTEMPTS = 3
RETRY_SECONDS = 1.0
FAILED_TOLD = 10
TIMES = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]


def send(
    sender: Annotated[list[str] | None, typer.Option(metavar="NUMBER", help="Who sends; again for a pool.")] = None,
    recipients: Annotated[Path | None, typer.Option(metavar="FILE", help="The contact list, as CSV.")] = None,
    template: Annotated[
        str, typer.Option(metavar="TEXT", help="The text, with {{column}} and {{ column | fallback }}.")
    ] = "",
    variables: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A value for all recipients; again for more.")
    ] = None,
    name: Annotated[str, typer.Option(help="What to call the campaign.")] = "",
    priority: Annotated[Priority, typer.Option(help="Among campaigns that share a sender.")] = Priority.NORMAL,
    start_at: Annotated[
        datetime | None,
        typer.Option(formats=TIMES, help="Send nothing before; local time, unless it names a zone."),
    ] = None,
    expires_at: Annotated[
        datetime | None, typer.Option(formats=TIMES, help="What is not sent by then is skipped.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="FR", help="Where numbers without a country code are from; phone.default_region else."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending.")] = False,
    resume: Annotated[
        str | None, typer.Option(metavar="CAMPAIGN_ID", help="Go on with a paused campaign instead.")
    ] = None,
    idempotency_key: Annotated[
        str,
        typer.Option(metavar="KEY", help="The same key never sends a second time; a new one for each run if empty."),
    ] = "",
    url: Annotated[
        str | None,
        typer.Option(help="The running gateway; where the settings say if not said.", envvar="WAHA_GATEWAY_URL"),
    ] = None,
    admin_token: Annotated[
        str, typer.Option(help="The operator's token.", envvar="WAHA_GATEWAY_ADMIN_TOKEN", show_envvar=True)
    ] = "",
    sender_token: Annotated[
        str, typer.Option(help="A paired number's token.", envvar="WAHA_GATEWAY_SENDER_TOKEN", show_envvar=True)
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Send a text to a contact list. Ctrl-C pauses the campaign. Ends with 0 only if all was sent."""
    settings = read_settings(config)
    address = url or base_url(settings.server.host, settings.server.port)
    tokens = {"X-Admin-Token": admin_token, "X-Sender-Token": sender_token}
    headers = {key: value for key, value in tokens.items() if value}
    console = make_console()
    if resume is not None:
        status = asyncio.run(_resume(Api(address, headers), resume, console))
    elif sender and recipients:
        known = settings.phone.default_region if region is None else region
        contacts = read_contact_file(recipients, template, region=known, strict=settings.phone.strict)
        order = Order(
            contacts,
            {
                "sender_number": sender[0],
                "sender_numbers": sender[1:],
                "template": template,
                "variables": _read_variables(variables or []),
                "recipients": contacts.body(),
                "name": name or recipients.stem,
                "priority": priority.value,
                "start_at": _moment(start_at),
                "expires_at": _moment(expires_at),
            },
            idempotency_key or uuid.uuid4().hex,
        )
        _tell_contacts(console, recipients, contacts)
        status = asyncio.run(_send(Api(address, headers), order, console, ask=not yes))
    else:
        raise CommandFailed("say who sends to whom: --sender and --recipients (or --resume CAMPAIGN_ID)")
    raise typer.Exit(status)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent: the request's body, and the rows of the file that it was made from."""

    contacts: Contacts
    body: Mapping[str, Any]
    key: str


def _moment(time: datetime | None) -> str | None:
    """A time as the API takes it; one without a zone is meant as the clock here shows it."""
    return None if time is None else time.astimezone().isoformat()


def _read_variables(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, _) in zip(texts, pairs, strict=True):
        if not name.strip() or not equals:
            raise CommandFailed(f"--variables {text}: write it as NAME=VALUE")
    return {name.strip(): value for name, _, value in pairs}


async def _send(api: Api, order: Order, console: Console, *, ask: bool) -> int:
    async with api:
        preview = await api.post("/api/send/preview", order.body)
        _refuse_missing_variables(order.contacts, preview)
        _tell_preview(console, preview)
        if ask and not await asyncio.to_thread(typer.confirm, "Send it?"):
            console.print("Nothing was sent")
            return FAILED
        campaign = await _submit(api, order)
        if campaign["status"] == "scheduled":
            console.print(
                f"Campaign {campaign['campaign_id']} begins {clock_time(campaign['start_at'])}", soft_wrap=True
            )
            return 0
        console.print(f"Campaign {campaign['campaign_id']}; Ctrl-C pauses it", style="dim", soft_wrap=True)
        return await _follow(api, str(campaign["campaign_id"]), console)


async def _submit(api: Api, order: Order) -> dict[str, Any]:
    """Queue the campaign; asked again with the same key where the answer was lost, it is not queued twice."""
    for attempt in range(1, SUBMIT_ATTEMPTS + 1):
        try:
            answer: dict[str, Any] = await api.post("/api/send", order.body, headers={"Idempotency-Key": order.key})
        except GatewayUnreachable:
            if attempt == SUBMIT_ATTEMPTS:
                raise
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return answer
    raise AssertionError("the last attempt returns or raises")


async def _resume(api: Api, campaign_id: str, console: Console) -> int:
    async with api:
        status = await api.get(f"/api/status/{campaign_id}")
        if status["status"] == "paused":
            await api.post(f"/api/campaigns/{campaign_id}/resume")
        return await _follow(api, campaign_id, console)


async def _follow(api: Api, campaign_id: str, console: Console) -> int:
    """Show it until it ends or pauses; Ctrl-C pauses it. The exit status."""
    try:
        status = await Follower(api, campaign_id, console).follow()
    except asyncio.CancelledError:
        await _pause(api, campaign_id, console)
        return INTERRUPTED
    if status["status"] == "paused":
        console.print(f"It was paused ({status['reason']}); {_how_to_resume(campaign_id)}", soft_wrap=True)
        return FAILED
    return await _tell_end(api, status, console)


async def _pause(api: Api, campaign_id: str, console: Console) -> None:
    try:
        status = await api.post(f"/api/campaigns/{campaign_id}/pause")
    except GatewayRefused as refusal:
        console.print(f"It was not paused: {refusal}", soft_wrap=True)
        return
    done = status["total"] - status["pending"]
    console.print(f"Paused at {done:,} of {status['total']:,}; {_how_to_resume(campaign_id)}", soft_wrap=True)


def _how_to_resume(campaign_id: str) -> str:
    return f"go on with: gateway send --resume {campaign_id}"


async def _tell_end(api: Api, status: Mapping[str, Any], console: Console) -> int:
    counts = {key: status[key] for key in ("failed", "unconfirmed", "skipped", "cancelled") if status[key]}
    rest = "".join(f", {count:,} {key}" for key, count in counts.items())
    style = "bold yellow" if counts else "bold green"
    console.print(f"{status['sent']:,} of {status['total']:,} sent{rest}", style=style)
    if not counts:
        return 0
    page = await api.get(f"/api/campaigns/{status['campaign_id']}/failed", {"limit": FAILED_TOLD})
    for item in page["items"]:
        tell(console, Text(f"{spaced(item['recipient'])}  {item['status']}: {item['error']}"), indent=2)
    if page["total"] > FAILED_TOLD:
        tell(console, Text(f"and {page['total'] - FAILED_TOLD:,} more"), indent=2)
    return FAILED


def _tell_contacts(console: Console, path: Path, contacts: Contacts) -> None:
    tell(console, Text(f"{path.name}: {contacts.summary()}", style="bold"))
    for line in contacts.lines_left_out():
        tell(console, Text(line, style="dim"), indent=2)
    if not contacts.people:
        raise CommandFailed(f"{path}: there is nobody in it to write to")


def _tell_preview(console: Console, preview: Mapping[str, Any]) -> None:
    for sample in preview["samples"]:
        tell(console, Text.assemble((spaced(sample["recipient"]), "cyan"), "  ", sample["text"]), indent=2)
    for number, count in preview["shares"].items():
        tell(console, Text.assemble((spaced(number), "bold"), f" sends {count:,}"), indent=2)
    for number in preview["not_connected"]:
        tell(console, Text.assemble((spaced(number), "bold"), (" is not connected", "red")), indent=2)
    takes = timedelta(seconds=round(preview["duration_seconds"]))
    tell(console, Text(f"takes about {takes}, until {clock_time(preview['finish_time'])}"), indent=2)
    if preview["note"]:
        tell(console, Text(preview["note"], style="yellow"), indent=2)


def _refuse_missing_variables(contacts: Contacts, preview: Mapping[str, Any]) -> None:
    missing = preview["missing_variables"]
    if not missing:
        return
    lines = name_lines([contacts.people[row["index"]].line for row in missing])
    more = preview["missing_variables_count"] - len(missing)
    raise CommandFailed(
        f"{missing[0]['reason']} in {lines}{f' and {more:,} more' if more else ''}: give a fallback, as in "
        "{{ name | friend }}, or a value for all with --variables NAME=VALUE"
    )
