"""The numbers that we hold ourselves to: `python -m bench dispatch`, `pacing`, `receipts`."""

import argparse
import math
import sys
from collections.abc import Sequence

import orjson
import uvloop

from bench import dispatch, pacing, receipts
from bench.numbers import RECIPIENTS, SENDERS
from bench.report import Report
from bench.stage import DATABASES, SHAPES, Load
from gateway.log import configure_logging
from gateway.settings import LoggingSettings


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    shared.add_argument("--check", action="store_true", help="exit with 1 if a goal of this version is missed")
    shared.add_argument("--database", choices=DATABASES, default="sqlite", help="postgresql starts one of its own")
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    fast = names.add_parser("dispatch", parents=[shared], help="durable messages a second, against bare calls")
    fast.add_argument("--messages", type=int, default=20_000)
    fast.add_argument("--senders", type=int, default=200)
    fast.add_argument("--shape", choices=SHAPES, default="pool", help="one campaign, or one for each sender")
    heard = names.add_parser("receipts", parents=[shared], help="WAHA's events taken in a second, against dispatching")
    heard.add_argument("--messages", type=int, default=20_000)
    heard.add_argument("--senders", type=int, default=200)
    heard.add_argument("--shape", choices=SHAPES, default="pool", help="one campaign, or one for each sender")
    heard.add_argument("--connections", type=int, default=64, help="webhooks that are under way at once")
    paced = names.add_parser("pacing", parents=[shared], help="gaps between a sender's messages, at WAHA's door")
    paced.add_argument("--senders", type=int, default=1000)
    paced.add_argument("--message-delay", type=float, default=1.0, help="seconds")
    paced.add_argument("--seconds", type=float, default=60.0, help="how long, about")
    paced.add_argument("--latency", type=float, default=0.0, help="seconds until the sink answers")
    paced.add_argument("--shape", choices=SHAPES, default="lanes", help="one campaign, or one for each sender")
    return parser


def read_load(options: argparse.Namespace) -> Load:
    """The load that was asked for.

    Raises:
        ValueError: it cannot be made; the message says why.
    """
    if not 1 <= options.senders <= SENDERS:
        raise ValueError(f"--senders: 1 to {SENDERS}")
    if options.name in ("dispatch", "receipts"):
        load = Load(options.messages, options.senders, 0.0, options.shape)
    else:
        if not (0 < options.message_delay < math.inf and 0 < options.seconds < math.inf):
            raise ValueError("--message-delay and --seconds: more than 0")
        rounds = 1 + int(options.seconds / (options.message_delay + options.latency))
        load = Load(rounds * options.senders, options.senders, options.message_delay, options.shape)
    each = load.messages if load.shape == "pool" else math.ceil(load.messages / load.senders)
    if load.messages < 1 or each > RECIPIENTS:
        raise ValueError(f"a campaign has 1 to {RECIPIENTS} recipients here; asked for were {each}")
    return load


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        load = read_load(options)
    except ValueError as error:
        parser.error(str(error))
    configure_logging(LoggingSettings(level="WARNING", file="", format="text"))
    if options.name == "dispatch":
        report: Report = uvloop.run(dispatch.measure(load, options.database))
    elif options.name == "receipts":
        report = uvloop.run(receipts.measure(load, options.database, options.connections))
    else:
        report = uvloop.run(pacing.measure(load, options.database, options.latency))
    print(orjson.dumps(report.as_json()).decode() if options.json else report.as_text())
    return 1 if options.check and not report.met else 0


if __name__ == "__main__":
    sys.exit(main())
