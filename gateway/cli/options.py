"""What several commands have in common: options, settings, logs, and addresses as people type them."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.failures import CommandFailed
from gateway.log import configure_logging
from gateway.settings import LoggingSettings, ServerSettings, Settings, load_settings
from gateway.vault import admin_token_file

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="PATH", help="The settings; config.toml in this folder if not said."),
]


def read_settings(config: Path | None, *, host: str | None = None, port: int | None = None) -> Settings:
    """The settings of the file and the environment, with what the command line says on top.

    Raises:
        SettingsError: one of them is unknown or of the wrong type.
    """
    settings = load_settings(config)
    said = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    if not said:
        return settings
    server = ServerSettings.model_validate(settings.server.model_dump() | said)
    return settings.model_copy(update={"server": server})


def start_logging(settings: LoggingSettings) -> None:
    """Write logs as the settings say.

    Raises:
        CommandFailed: the log file cannot be written.
    """
    try:
        configure_logging(settings)
    except OSError as error:
        raise CommandFailed(f"logging.file: {settings.file} cannot be written ({error.strerror})") from error


def base_url(host: str, port: int) -> str:
    """The address under which a server on this host and port is reached."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def own_admin_token(settings: Settings) -> str:
    """The operator's token as it lies on this machine; empty where it does not."""
    file = admin_token_file(settings.database.data_folder)
    try:
        return settings.auth.admin_token.get_secret_value() or file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
