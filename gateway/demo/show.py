"""How the demo talks to whoever watches: live in a terminal, one line after the other elsewhere (CI, a pipe)."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gateway.cli.console import tell
from gateway.cli.numbers import spaced
from gateway.demo import views
from gateway.demo.audit import Audit
from gateway.demo.qr import Modules
from gateway.demo.views import Snapshot

_STEPS_TOLD = 10


class Show:
    """One performance on one console."""

    def __init__(self, console: Console) -> None:
        self.in_terminal = console.is_terminal and not console.is_dumb_terminal
        self._console = console
        self._live: Live | None = None
        self._told = -1

    def heading(self, text: str) -> None:
        """A new act begins."""
        self._console.print()
        tell(self._console, Text(text, style="bold"))

    def line(self, text: str, *, style: str = "", mark: str = "") -> None:
        """A sentence; `style` is for its `mark`, or for all of it where there is none."""
        sentence = Text.assemble((f"{mark} ", style), text) if mark else Text(text, style=style)
        tell(self._console, sentence, indent=views.INDENT)

    def address(self, label: str, place: str) -> None:
        """Where something is; never wrapped, so that it can be clicked or copied."""
        self._console.print(Text.assemble(" " * views.INDENT, (f"{label:<13}", "dim"), place), soft_wrap=True)

    def verdict(self, audit: Audit) -> None:
        """The sentences that everything was for, each at the beginning of its line, to be found by programs."""
        for sentence in views.verdict(audit):
            tell(self._console, Text(sentence, style="bold green" if audit.passed else "bold red"))

    @contextmanager
    def pairing(self, number: str, place: str, modules: Modules) -> Iterator[None]:
        """Show a code for as long as the block takes."""
        if self.in_terminal:
            with Live(
                views.pairing(number, place, modules, self._console.height),
                console=self._console,
                transient=True,
                auto_refresh=False,
            ):
                yield
        else:
            self.line(f"{spaced(number)} shows a QR code ({len(modules)} x {len(modules)})")
            yield

    @contextmanager
    def live(self) -> Iterator[None]:
        """A place on the terminal that `sending` and `funnel` write anew each time."""
        if not self.in_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False) as self._live:
            yield
        self._live = None

    def sending(self, snapshot: Snapshot) -> None:
        """How far the campaign is now; without a terminal only each tenth is told."""
        if self._live is not None:
            self._live.update(views.sending(snapshot), refresh=True)
            return
        step = snapshot.done * _STEPS_TOLD // max(1, snapshot.total)
        if step > self._told:
            self._told = step
            self.line(f"{snapshot.done:,} of {snapshot.total:,} sent after {snapshot.seconds:.1f} s")

    def funnel(self, snapshot: Snapshot, *, last: bool) -> None:
        """From submitted to read; without a terminal only the last one is told."""
        if self._live is not None:
            self._live.update(views.funnel(snapshot), refresh=True)
        elif last:
            counts = snapshot.counts
            self.line(", ".join(f"{name} {counts[name]:,}" for name in ("sent", "delivered", "read")))
