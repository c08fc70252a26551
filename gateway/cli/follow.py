"""Following a campaign in the shell until it ends: a bar in a terminal, a line for each tenth elsewhere."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway.cli.api import Api, GatewayUnreachable

LOOK_SECONDS = 0.5
BAR_WIDTH = 30
_STEPS_TOLD = 10
_PACING = frozenset({"message_delay", "sender_switch_delay"})  # what is waited for as a matter of course
_UNDER_WAY = frozenset({"scheduled", "queued", "running"})


class Follower:
    """Shows one campaign on one console."""

    def __init__(self, api: Api, campaign_id: str, console: Console) -> None:
        self._api = api
        self._path = f"/api/status/{campaign_id}"
        self._console = console
        self._live: Live | None = None
        self._told = -1

    async def follow(self) -> dict[str, Any]:
        """The campaign's status when it is no longer under way: ended, or paused.

        A gateway that is away meanwhile (a restart) is asked again.
        """
        status: dict[str, Any] | None = None
        with self._place():
            while True:
                try:
                    status = await self._api.get(self._path)
                except GatewayUnreachable:
                    if status is None:
                        raise
                    self._show(status, "the gateway does not answer; asking again")
                else:
                    self._show(status, _remark(status))
                    if status["status"] not in _UNDER_WAY:
                        return status
                await asyncio.sleep(LOOK_SECONDS)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False) as self._live:
            yield

    def _show(self, status: Mapping[str, Any], remark: str) -> None:
        total, done = int(status["total"]), int(status["total"]) - int(status["pending"])
        if self._live is not None:
            line = Table.grid(padding=(0, 2))
            bar = ProgressBar(total, done, width=BAR_WIDTH, finished_style="green")
            line.add_row(bar, Text(f"{done:,} of {total:,}", style="bold"), Text(remark, style="dim"))
            self._live.update(line, refresh=True)
            return
        step = done * _STEPS_TOLD // max(1, total)
        if step > self._told:
            self._told = step
            self._console.print(f"{done:,} of {total:,}  {remark}".rstrip(), soft_wrap=True)


def _remark(status: Mapping[str, Any]) -> str:
    """What it waits for, or when it will be done."""
    if status["status"] not in _UNDER_WAY:
        return str(status["status"]).replace("_", " ")
    kept = [wait for wait in status["waiting"] if wait["reason"] not in _PACING]
    remarks = [str(wait["message"]) for wait in kept[:1]]
    if status["estimated_finish"]:
        remarks.append(f"done at about {clock_time(status['estimated_finish'])}")
    return "; ".join(remarks)


def clock_time(iso: str) -> str:
    """A time of the API as a clock on the wall shows it; with the date where it is another day."""
    local = datetime.fromisoformat(iso).astimezone()
    return local.strftime("%H:%M:%S" if local.date() == datetime.now().astimezone().date() else "%d %b %H:%M")
