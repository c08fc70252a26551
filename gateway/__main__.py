"""The command line: `gateway COMMAND`, or `python -m gateway COMMAND`."""

import io
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from gateway.cli.failures import FAILED, WRONG_SETTINGS, CommandFailed, one_line
from gateway.commands import load_commands
from gateway.db import DatabaseError
from gateway.settings import SettingsError
from gateway.vault import VaultError


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"waha-gateway {version('waha-gateway')}")
        raise typer.Exit


def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    """Options before the command."""


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """The command line with the command that `arguments` name; with all of them where they name none."""
    app = typer.Typer(
        name="gateway",
        help="Many WhatsApp numbers over many WAHA servers: paired, watched, and sending at the pace you set.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # a fault of ours is a plain traceback, without the values of variables
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, run in load_commands(arguments).items():
        app.command(name)(run)
    return app


def main() -> None:
    """Run the command that the arguments name. What a user can mend is told in one line: 2 for settings, else 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console of few letters gets a ? for those that it lacks
    try:
        make_app(sys.argv[1:])(prog_name="gateway")
    except SettingsError as error:
        _fail(error, WRONG_SETTINGS)
    except (CommandFailed, DatabaseError, VaultError) as error:
        _fail(error, FAILED)


def _fail(error: Exception, status: int) -> NoReturn:
    typer.echo(f"gateway: {one_line(error)}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
