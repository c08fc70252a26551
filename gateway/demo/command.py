"""`gateway demo`: the main job on one machine with nothing else installed."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from gateway.cli.api import Api
from gateway.cli.console import make_console
from gateway.cli.contacts import Contacts, read_contact_file
from gateway.cli.failures import FAILED, CommandFailed
from gateway.demo.plan import MAX_MESSAGES, MAX_SENDERS, TEMPLATE, Plan, invent_contacts, make_plan
from gateway.demo.script import Script
from gateway.demo.show import Show
from gateway.demo.stage import Stage, open_stage
from gateway.log import configure_logging
from gateway.settings import LoggingSettings, load_settings

DEFAULT_MESSAGES = 30
LOG_NAME = "demo.log"


def demo(
    exit_: Annotated[
        bool, typer.Option("--exit", help="End after the check: with 0 only if nothing was lost, doubled or early.")
    ] = False,
    recipients: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A contact list to send to, instead of invented numbers.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="FR", help="Where numbers without a country code are from; phone.default_region if not said."
        ),
    ] = None,
    messages: Annotated[
        int, typer.Option(help="How many recipients to invent.", min=1, max=MAX_MESSAGES)
    ] = DEFAULT_MESSAGES,
    senders: Annotated[int, typer.Option(help="How many numbers send.", min=1, max=MAX_SENDERS)] = 3,
) -> None:
    """Play the main job on this machine: a simulated WAHA, a gateway, and a campaign, live in the terminal."""
    show = Show(make_console())
    show.heading("A simulated WAHA and a gateway play the main job; nothing leaves this machine.")
    contacts = _read_contacts(show, recipients, region) if recipients else invent_contacts(messages)
    if not _play(make_plan(senders, contacts), show, stay=not exit_):
        raise typer.Exit(FAILED)


def _play(plan: Plan, show: Show, *, stay: bool) -> bool:
    """Whether all went well; if not, the folder with all that was written is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-demo-"))
    configure_logging(LoggingSettings(file=str(folder / LOG_NAME)), console=False)
    runner = asyncio.Runner(loop_factory=uvicorn.Config("", log_config=None).get_loop_factory())
    passed = interrupted = False
    try:
        with runner:
            passed = runner.run(_run(plan, folder, show, stay=stay))
    except KeyboardInterrupt:
        interrupted = True
        raise
    except asyncio.CancelledError as cancelled:
        interrupted = True
        raise typer.Exit(128 + (cancelled.args[0] if cancelled.args else signal.SIGTERM)) from None
    finally:
        if passed or interrupted:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            show.address("left behind", f"{folder} (its log is {LOG_NAME})")
    return passed


def _read_contacts(show: Show, path: Path, region: str | None) -> Contacts:
    if region is None:
        region = load_settings().phone.default_region
    contacts = read_contact_file(path, TEMPLATE, region=region)
    show.heading(f"Read {path.name}")
    show.line(contacts.summary(), style="green", mark="✓")
    for line in contacts.lines_left_out():
        show.line(line, style="dim")
    if not contacts.people:
        raise CommandFailed(f"{path}: there is nobody in it to write to")
    return contacts


async def _run(plan: Plan, folder: Path, show: Show, *, stay: bool) -> bool:
    """Whether all went well. Ctrl-C and SIGTERM end it in order, at any time."""
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError):  # Windows knows no such handlers
        for sign in (signal.SIGINT, signal.SIGTERM):  # also where a shell in the background has switched Ctrl-C off
            asyncio.get_running_loop().add_signal_handler(sign, task.cancel, sign)
    async with open_stage(folder, plan.pace) as stage:
        token = stage.admin_token_file.read_text(encoding="utf-8")
        async with Api(stage.gateway_url, {"X-Admin-Token": token}) as gateway, Api(stage.simulator_url) as simulator:
            script = Script(plan, gateway, simulator, show)
            verdict = await script.play()
            link = await gateway.post("/api/admin/console-link") if stay else {}
        if stay:
            await _stay(stage, script.campaign_id, link["url"], show)
    return verdict.passed


async def _stay(stage: Stage, campaign_id: str, link: str, show: Show) -> None:
    """Serve until Ctrl-C; `link` opens the console once."""
    show.heading("It goes on running; Ctrl-C ends it")
    show.address("console", f"{stage.gateway_url}/console")
    show.address("log in by", link)
    show.address("API and docs", f"{stage.gateway_url}/docs")
    show.address("campaign", f"{stage.gateway_url}/api/status/{campaign_id}?details=true")
    show.address("ledger", f"{stage.simulator_url}/sim/ledger")
    show.address("admin token", f"in {stage.admin_token_file}")
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
