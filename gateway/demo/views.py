"""What the demo shows while it runs, as rich renderables. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway.cli.numbers import spaced
from gateway.demo.audit import Audit
from gateway.demo.qr import Modules, draw, draw_small

INDENT = 3
BAR_WIDTH = 36
_CAPTION_LINES = 3


@dataclass(frozen=True, slots=True)
class SenderView:
    """One sender as the table shows it; `recipient` and `text` are of its latest message."""

    number: str
    session: str
    sent: int
    recipient: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A campaign at one moment: the API's counts, and its senders. `seconds` since it was submitted."""

    counts: Mapping[str, Any]
    seconds: float
    senders: Sequence[SenderView] = field(default=())

    @property
    def total(self) -> int:
        """How many recipients there are."""
        return int(self.counts["total"])

    @property
    def done(self) -> int:
        """How many of them have been dealt with."""
        return self.total - int(self.counts["pending"])


def pairing(number: str, place: str, modules: Modules, height: int) -> RenderableType:
    """A code to scan and whose it is; small in a terminal that is too low for it."""
    who = Text.assemble((spaced(number), "bold"), f"  sender {place}\n")
    how = Text("WhatsApp > Linked devices > Link a device", style="dim")
    code = draw(modules)
    if len(modules) // 2 + _CAPTION_LINES < height:
        return Padding(Group(Text.assemble(who, how), code), (0, 0, 0, INDENT))
    beside = Table.grid(padding=(0, 2))
    note = Text("\n\nDrawn small: this window is too low for one that a phone could read.", style="dim")
    beside.add_row(draw_small(modules), Text.assemble("\n", who, how, note))
    return Padding(beside, (0, 0, 0, INDENT))


def sending(snapshot: Snapshot) -> RenderableType:
    """The senders and how far the campaign is."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True, header_style="dim")
    table.add_column("sender", no_wrap=True)
    table.add_column("session", no_wrap=True)
    table.add_column("sent", justify="right", no_wrap=True)
    table.add_column("latest message", no_wrap=True, overflow="ellipsis", ratio=1)
    for sender in snapshot.senders:
        style = "green" if sender.session == "CONNECTED" else "yellow"
        latest = Text.assemble((spaced(sender.recipient), "cyan"), "  ", (sender.text, "dim"))
        table.add_row(spaced(sender.number), Text(sender.session, style=style), f"{sender.sent:,}", latest)
    return Padding(Group(table, "", progress(snapshot)), (1, 0, 0, INDENT))


def progress(snapshot: Snapshot) -> RenderableType:
    """A bar, the count, and the rate."""
    rate = snapshot.done / snapshot.seconds if snapshot.seconds else 0.0
    minutes, seconds = divmod(int(snapshot.seconds), 60)
    line = Table.grid(padding=(0, 2))
    line.add_row(
        ProgressBar(snapshot.total, snapshot.done, width=BAR_WIDTH, finished_style="green"),
        Text(f"{snapshot.done:,} of {snapshot.total:,}", style="bold"),
        Text(f"{rate:.1f} a second", style="dim"),
        Text(f"{minutes}:{seconds:02}", style="dim"),
    )
    return line


def funnel(snapshot: Snapshot) -> RenderableType:
    """From submitted to read."""
    table = Table.grid(padding=(0, 2))
    for name in ("total", "sent", "delivered", "read"):
        count = int(snapshot.counts[name])
        width = round(BAR_WIDTH * count / max(1, snapshot.total))
        table.add_row(
            "submitted" if name == "total" else name,
            Text(f"{count:,}", justify="right"),
            Text("█" * width, style="green"),
        )
    return Padding(table, (0, 0, 0, INDENT))


def verdict(audit: Audit) -> list[str]:
    """What the ledger says, one sentence a line."""
    lines = [
        f"accepted {audit.accepted}, lost {audit.lost}, duplicated {audit.duplicated}",
        f"gaps shorter than told: {audit.early}",
    ]
    if audit.unasked:
        lines.append(f"numbers written to that nobody asked for: {audit.unasked}")
    return lines
