"""The command line as a whole, and `gateway simulate`."""

import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from gateway.commands import load_commands
from tests.cli.conftest import Run
from tests.cli.processes import gateway

COMMANDS = ("serve", "demo", "send", "simulate", "check", "migrate", "create-user", "process-queue", "create-client")


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


@pytest.mark.slow
def test_one_command_simulates_a_fleet_and_says_how_to_use_it(tmp_path: Path) -> None:
    arguments = ("--servers", "3", "--engines", "gows,NOWEB", "--port", "0", "--api-key", "k", "--shared-store")
    with gateway("simulate", *arguments, folder=tmp_path) as process:
        addresses = [process.line_with(r"\((\w+)\) listens on (http://127\.0\.0\.1:\d+)") for _ in range(3)]
        process.line_with(r'name = "waha3"')
        url = process.line_with(r'url = "(.*)"')[1]
        engines, workers, seen = [], [], []
        for address in addresses:
            with httpx.Client(base_url=address[2], trust_env=False, headers={"X-Api-Key": "k"}) as client:
                engines.append(client.get("/api/server/version").json()["engine"])
                workers.append(client.get("/api/server/status").json()["worker"]["id"])
                seen.append([one["name"] for one in client.get("/api/sessions?all=true").json()])
                client.post("/api/sessions", json={"name": f"on-{workers[-1]}", "start": False})
        process.signal(signal.SIGINT)
        status = process.end(seconds=10)

    assert engines == [address[1] for address in addresses] == ["GOWS", "NOWEB", "GOWS"]
    assert workers == ["waha1", "waha2", "waha3"]
    assert seen == [[], ["on-waha1"], ["on-waha1", "on-waha2"]], "they share one store"
    assert url == addresses[2][2]
    assert status == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--engines", "GOWS,BAILEYS"), "'BAILEYS' is none of GOWS, NOWEB, WEBJS"),
        (("--engines", "GOWS,NOWEB", "--servers", "1"), "--engines names 2 servers, --servers 1"),
        (("--servers", "3", "--port", "65534"), "no ports above 65535"),
    ],
)
def test_a_fleet_that_cannot_be_is_refused(run: Run, arguments: tuple[str, ...], reason: str) -> None:
    ended = run("simulate", *arguments)

    assert ended.status == 2
    assert reason in " ".join(ended.err.replace("│", " ").split())


def test_one_port_of_a_fleet_that_is_taken_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("simulate", "--servers", "2", "--port", str(taken.getsockname()[1] - 1))

    assert ended.status == 1
    assert ended.failure.startswith("gateway: cannot listen on http://127.0.0.1:")


def test_a_command_loads_nothing_that_only_another_one_needs() -> None:
    code = "import sys; from gateway.__main__ import make_app; make_app(['serve']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "gateway.web" in loaded
    assert [name for name in loaded if name.startswith(("gateway.simulator", "gateway.demo"))] == []


@pytest.mark.parametrize("arguments", [[], ["--help"], ["nonsense"], ["--help", "nonsense"]])
def test_without_a_command_the_help_knows_them_all(arguments: list[str]) -> None:
    assert list(load_commands(arguments))[:2] == ["serve", "demo"]
