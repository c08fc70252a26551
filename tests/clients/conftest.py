"""A gateway in open mode, in a process of its own, for clients that know it by its address only."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.processes import Command

CONFIG = """
[server]
port = 0
[database]
url = "sqlite:///{folder}/gateway.db"
data_folder = "{folder}/data"
[logging]
level = "WARNING"
file = ""
"""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Command]:
    """`gateway serve`, without any WAHA server."""
    (tmp_path / "config.toml").write_text(CONFIG.format(folder=tmp_path))
    command = await Command.start(tmp_path, "serve")
    yield command
    await command.end()
