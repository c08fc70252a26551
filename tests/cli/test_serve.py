"""`gateway serve`: the real process, and what it says when it cannot start."""

import asyncio
import os
import signal
import socket
import sqlite3
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from gateway.cli.server import GatewayServer
from gateway.db import Database
from tests.cli.conftest import Run
from tests.cli.processes import gateway


@pytest.mark.slow
def test_serve_answers_until_sigterm_and_ends_in_order_within_ten_seconds(tmp_path: Path) -> None:
    with gateway("serve", "--port", "0", folder=tmp_path) as process:
        greeting = process.line_with(r"listens on (http://127\.0\.0\.1:\d+)")
        with httpx.Client(base_url=greeting[1], trust_env=False) as client:
            health = client.get("/health")
            docs = client.get("/docs")
            process.signal(signal.SIGTERM)  # while a connection is open
            status = process.end(seconds=10)

    assert (health.status_code, health.json()["status"]) == (200, "healthy")
    assert docs.status_code == 200
    assert "server" not in health.headers
    assert status == 0
    assert len(process.seen) == 1
    # where the admin token is, and never the token
    file = tmp_path / "data" / "admin.token"
    token = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(Path("data/admin.token")) in process.seen[0]
    assert token
    assert token not in process.seen[0] + (tmp_path / "logs" / "whatsapp_backend.log").read_text()


@pytest.mark.slow
def test_a_fault_that_the_user_can_mend_is_one_line_of_the_real_process(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[dispatch]\nmesage_delay = 2\n")
    with gateway("serve", folder=tmp_path) as process:
        status = process.end()

    assert status == 2
    assert process.seen == ["gateway: dispatch.mesage_delay: there is no such setting"]


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ('[server]\nport = "many"\n', "server.port"),
        ("[dispatch]\nmessage_delay = -1\n", "dispatch.message_delay"),
        ("[dispatch]\nmessage_delay = nan\n", "dispatch.message_delay"),
        ("[surver]\nport = 1\n", "surver"),
        ("[[waha.servers]]\nname = 'a'\n", "waha.servers.0.url"),
        ("[server\n", "config.toml"),
    ],
)
def test_a_wrong_config_file_is_one_line_naming_the_key_and_status_2(
    run: Run, folder: Path, config: str, key: str
) -> None:
    (folder / "config.toml").write_text(config)

    ended = run("serve")

    assert ended.status == 2
    assert ended.failure.startswith(f"gateway: {key}")
    assert not (folder / "data").exists()


def test_a_config_file_that_does_not_exist_is_one_line_and_status_2(run: Run) -> None:
    ended = run("serve", "--config", "elsewhere.toml")

    assert ended.status == 2
    assert ended.failure == "gateway: elsewhere.toml: cannot be read (No such file or directory)"


def test_open_mode_on_a_network_address_is_refused_with_what_to_set(run: Run) -> None:
    ended = run("serve", "--host", "0.0.0.0")

    assert ended.status == 2
    assert 'auth.user_access = "token"' in ended.failure


def test_a_port_that_is_taken_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--port", str(port))

    assert ended.status == 1
    assert ended.failure.startswith(f"gateway: cannot listen on http://127.0.0.1:{port} (Address already in use)")


def test_a_database_whose_folder_cannot_be_made_is_one_line(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("GATEWAY_DATABASE__URL", "sqlite:///file/gateway.db")

    ended = run("serve", "--port", "0")

    assert ended.status == 1
    assert ended.failure.startswith("gateway: file/gateway.db cannot be written")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permission bits do not bind this user")
def test_a_database_in_a_read_only_folder_is_one_line(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "locked").mkdir(mode=0o500)
    monkeypatch.setenv("GATEWAY_DATABASE__URL", "sqlite:///locked/gateway.db")

    ended = run("serve", "--port", "0")

    assert ended.status == 1
    assert "cannot be written" in ended.failure


def test_a_file_that_is_no_database_is_one_line(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "notes.txt").write_text("this is not a database, but long enough to look like one" * 40)
    monkeypatch.setenv("GATEWAY_DATABASE__URL", "sqlite:///notes.txt")

    ended = run("serve", "--port", "0")

    assert ended.status == 1
    assert ended.failure == "gateway: sqlite:///notes.txt: cannot be used (file is not a database)"


def test_a_database_of_another_version_is_one_line(run: Run, folder: Path) -> None:
    (folder / "data").mkdir()
    with sqlite3.connect(folder / "data" / "gateway.db") as db:
        db.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        db.execute("INSERT INTO alembic_version VALUES ('9999')")
    db.close()

    ended = run("serve", "--port", "0")

    assert ended.status == 1
    assert "its schema is of another version of the gateway" in ended.failure


def test_a_database_in_use_by_another_gateway_is_one_line(run: Run) -> None:
    other = Database("sqlite:///./data/gateway.db")
    other.claim_file()
    try:
        ended = run("serve", "--port", "0")
    finally:
        asyncio.run(other.close())

    assert ended.status == 1
    assert "is in use by another gateway" in ended.failure


def test_a_database_server_that_does_not_answer_is_one_line_without_the_password(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("GATEWAY_DATABASE__URL", f"postgresql://user:secret@127.0.0.1:{port}/gateway")

    ended = run("serve", "--port", "0")

    assert ended.status == 1
    assert f"postgresql://user:***@127.0.0.1:{port}/gateway: cannot be used" in ended.failure
    assert "secret" not in ended.failure


def test_a_data_folder_that_cannot_be_used_is_one_line(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("GATEWAY_DATABASE__DATA_FOLDER", "file/below")

    ended = run("serve", "--port", "0")

    assert ended.status == 1
    assert ended.failure.startswith("gateway: file/below/secret.key: cannot be used")


def test_a_log_file_that_cannot_be_written_is_one_line(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("GATEWAY_LOGGING__FILE", "file/below.log")

    ended = run("serve", "--port", "0")

    assert ended.status == 1
    assert ended.failure.startswith("gateway: logging.file: file/below.log cannot be written")


def test_the_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    server = GatewayServer(cast("Any", SimpleNamespace()), FastAPI(), lambda: None)

    server.handle_exit(signal.SIGTERM, None)
    first = (server.should_exit, list(statuses))
    server.handle_exit(signal.SIGTERM, None)

    assert first == (True, [])
    assert statuses == [128 + signal.SIGTERM]
