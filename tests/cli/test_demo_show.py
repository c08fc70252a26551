"""What the demo shows, in terminals of several sizes and without one."""

import io

import pytest
from rich.console import Console

from gateway.demo.audit import Audit
from gateway.demo.show import Show
from gateway.demo.views import SenderView, Snapshot, sending
from tests.cli.test_demo_qr import modules_of

MODULES = modules_of("2@" + "A" * 235)
COUNTS = {"total": 30, "pending": 13, "sent": 17, "delivered": 9, "read": 2}
SENDERS = [
    SenderView("+447700900001", "CONNECTED", 9, "+33639980007", "Hello Hana, your order A-008 is on its way. " * 5),
    SenderView("+447700900002", "FAILED", 8),
]


def console(width: int, height: int, *, terminal: bool = True) -> Console:
    """A console that remembers."""
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=terminal, highlight=False, color_system=None
    )


def shown(on: Console) -> str:
    """Everything that was written."""
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_a_code_that_fits_is_drawn_for_a_phone_and_else_small() -> None:
    high, low = console(120, 40), console(80, 24)
    for one in (high, low):
        with Show(one).pairing("+447700900001", "1 of 3", MODULES):
            pass

    assert "▀▀▀" in shown(high)
    assert "▀▀▀" not in shown(low)
    assert "Drawn small" in shown(low)
    assert "+44 7700 900001" in shown(low)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_senders_keeps_to_the_terminal_one_line_for_each(width: int) -> None:
    terminal = console(width, 24)
    terminal.print(sending(Snapshot(COUNTS, 4.0, SENDERS)))

    lines = [line.strip() for line in shown(terminal).splitlines()]
    first, second = (next(line for line in lines if line.startswith(f"+44 7700 90000{n}")) for n in (1, 2))
    assert "+33 6 39 98 00 07  Hello Hana" in first
    assert first.endswith("…")
    assert "FAILED" in second
    assert lines[-1].endswith("17 of 30  4.2 a second  0:04")
    assert len(lines) == 7
    assert max(map(len, shown(terminal).splitlines())) <= width


def test_without_a_terminal_each_tenth_is_told_once() -> None:
    pipe = console(80, 24, terminal=False)
    show = Show(pipe)
    with show.live():
        for pending in (30, 30, 29, 27, 27, 0):
            show.sending(Snapshot(COUNTS | {"pending": pending}, 1.0, SENDERS))

    assert [line.strip().split(" sent")[0] for line in shown(pipe).splitlines()] == ["0 of 30", "3 of 30", "30 of 30"]


def test_the_verdict_is_at_the_beginning_of_its_lines() -> None:
    pipe = console(80, 24, terminal=False)
    Show(pipe).verdict(Audit(accepted=28, lost=2, duplicated=1, unasked=3, gaps=27, early=4, shortest_excess=-0.5))

    assert shown(pipe).splitlines() == [
        "accepted 28, lost 2, duplicated 1",
        "gaps shorter than told: 4",
        "numbers written to that nobody asked for: 3",
    ]
