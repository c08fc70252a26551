"""The numbers that we hold ourselves to. `python -m bench NAME --help` tells what each measures."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

import orjson

from bench import all as every
from bench import (
    compare,
    console,
    crash,
    delays,
    dispatch,
    growth,
    inbox,
    pacing,
    receipts,
    replicas,
    scaling,
    schedules,
    status,
    submit,
)
from bench.options import BadOption
from bench.report import Report, Reports
from gateway.log import configure_logging
from gateway.settings import LoggingSettings


class Benchmark(Protocol):
    """A module that measures one thing; its first line says what."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """What can be chosen."""

    def run(self, chosen: argparse.Namespace) -> Report | Reports:
        """Run it as it was chosen; raises `BadOption` for what cannot be done."""


BENCHMARKS: Mapping[str, Benchmark] = {
    "dispatch": dispatch,
    "pacing": pacing,
    "delays": delays,
    "growth": growth,
    "submit": submit,
    "status": status,
    "schedules": schedules,
    "console": console,
    "receipts": receipts,
    "inbox": inbox,
    "crash": crash,
    "replicas": replicas,
    "scaling": scaling,
    "all": every,
    "compare": compare,
}


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Descriptions as they are written, and the default of each option."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    for name, benchmark in BENCHMARKS.items():
        about = (benchmark.__doc__ or "").strip()
        summary = about.partition("\n")[0].partition(": ")[2]
        one = names.add_parser(name, help=summary, description=about, formatter_class=HelpFormatter)
        benchmark.add_options(one)
        one.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        one.add_argument("--check", action="store_true", help="exit with 1 if a goal of this version is missed")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit status."""
    parser = build_parser()
    chosen = parser.parse_args(arguments)
    configure_logging(LoggingSettings(level="WARNING", file="", format="text"))
    try:
        report = BENCHMARKS[chosen.name].run(chosen)
    except BadOption as error:
        parser.error(str(error))
    print(orjson.dumps(report.as_json()).decode() if chosen.json else report.as_text())
    return 1 if chosen.check and not report.met else 0


if __name__ == "__main__":
    sys.exit(main())
