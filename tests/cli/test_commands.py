"""The command line as a whole, and `gateway simulate`."""

import signal
import socket
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Run
from tests.cli.processes import gateway

COMMANDS = ("serve", "demo", "send", "simulate", "check", "migrate")


def test_the_help_names_every_command(run: Run) -> None:
    ended = run("--help")

    assert ended.status == 0
    assert [command for command in COMMANDS if f" {command} " not in ended.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(run: Run, command: str) -> None:
    ended = run(command, "--help")

    assert ended.status == 0
    assert f"gateway {command}" in ended.out


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").out == f"waha-gateway {version('waha-gateway')}\n"


def test_an_unknown_command_is_refused(run: Run) -> None:
    ended = run("dance")

    assert ended.status == 2
    assert "dance" in ended.err


@pytest.mark.slow
def test_the_simulator_is_a_waha_server_until_it_is_told_to_end(tmp_path: Path) -> None:
    arguments = ("--port", "0", "--engine", "noweb", "--auto-scan", "0", "--latency", "0", "--api-key", "k")
    with gateway("simulate", *arguments, folder=tmp_path) as process:
        address = process.line_with(r"listens on (http://127\.0\.0\.1:\d+)")[1]
        with httpx.Client(base_url=address, trust_env=False) as client:
            refused = client.get("/api/sessions")
            answer = client.get("/api/server/version", headers={"X-Api-Key": "k"})
        process.signal(signal.SIGTERM)
        process.end(seconds=10)

    assert refused.status_code == 401
    assert answer.json()["engine"] == "NOWEB"
    assert len(process.seen) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_one_line_of_the_simulator_too(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("simulate", "--port", str(taken.getsockname()[1]))

    assert ended.status == 1
    assert ended.failure.startswith("gateway: cannot listen on http://127.0.0.1:")
