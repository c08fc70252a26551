"""`gateway check`: what works, what does not, and what to do."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gateway.cli.console import make_console
from gateway.cli.failures import FAILED
from gateway.cli.findings import Finding, look_at_all
from gateway.cli.options import ConfigOption, read_settings

_MARKS = {"works": ("✓", "green"), "note": ("!", "yellow"), "broken": ("✗", "red")}


def check(config: ConfigOption = None) -> None:
    """Look at the settings, the database and every WAHA server: what works, what does not, and what to do."""
    settings = read_settings(config)
    console = make_console()
    file = config or Path("config.toml")
    source = str(file) if file.exists() else "the defaults and the environment; there is no config.toml here"
    findings = [Finding("settings", "works", source), *asyncio.run(look_at_all(settings))]
    console.print(as_table(findings))
    broken = sum(1 for finding in findings if finding.state == "broken")
    if broken:
        console.print(Text(f"{broken} of {len(findings)} do not work", style="bold red"))
        raise typer.Exit(FAILED)
    console.print(Text("All works", style="bold green"))


def as_table(findings: Sequence[Finding]) -> Table:
    """The findings, each with its mark and, below, what to do."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for finding in findings:
        mark, style = _MARKS[finding.state]
        text = Text(finding.text)
        if finding.advice:
            text.append(f"\n{finding.advice}", style=style)
        table.add_row(Text(mark, style=style), finding.part, text)
    return table
