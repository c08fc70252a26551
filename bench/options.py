"""Options of the command line that more than one benchmark has, and what they mean."""

import argparse
import math

from bench.databases import DATABASES
from bench.numbers import RECIPIENTS, SENDERS
from bench.stage import SHAPES, Load


class BadOption(Exception):
    """What was asked for cannot be done; the message names the option and says why."""


def add_database(parser: argparse.ArgumentParser) -> None:
    """`--database`."""
    parser.add_argument("--database", choices=DATABASES, default="sqlite", help="postgresql starts one of its own")


def add_load(parser: argparse.ArgumentParser, *, messages: int = 20_000, shape: str = "pool") -> None:
    """`--messages`, `--senders`, `--shape` and `--database`."""
    parser.add_argument("--messages", type=int, default=messages, help="how many are sent")
    add_senders(parser, 200, shape)
    add_database(parser)


def add_senders(parser: argparse.ArgumentParser, senders: int, shape: str) -> None:
    """`--senders` and `--shape`."""
    parser.add_argument("--senders", type=int, default=senders, help="how many numbers send side by side")
    parser.add_argument("--shape", choices=SHAPES, default=shape, help="one campaign, or one for each sender")


def read_load(options: argparse.Namespace) -> Load:
    """The load of `add_load`, without delays.

    Raises:
        BadOption: it cannot be made.
    """
    return checked(Load(options.messages, options.senders, 0.0, options.shape))


def checked(load: Load) -> Load:
    """The same load.

    Raises:
        BadOption: there are not enough reserved numbers for it.
    """
    require("--senders", load.senders, 1, SENDERS)
    each = load.messages if load.shape == "pool" else math.ceil(load.messages / load.senders)
    if load.messages < 1 or each > RECIPIENTS:
        raise BadOption(f"a campaign has 1 to {RECIPIENTS} recipients here; asked for were {each}")
    return load


def require(option: str, value: float, least: float, most: float = math.inf) -> None:
    """Refuse a value out of range.

    Raises:
        BadOption: it is out of range, or no number.
    """
    if not least <= value <= most:
        bounds = f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"
        raise BadOption(f"{option}: {bounds}")
