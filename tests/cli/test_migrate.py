"""`gateway migrate`, on both kinds of database."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from gateway import schema
from gateway.db import Database
from tests.cli.conftest import Run


def test_an_empty_database_is_brought_to_this_version_once(
    run: Run, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE__URL", empty_database_url)
    newest = schema.newest_revision()

    first, second = run("migrate"), run("migrate")

    assert first.out == f"The database is at version {newest} now; it was empty\n"
    assert second.out == f"The database is at version {newest} already: nothing to do\n"
    assert (first.status, second.status) == (0, 0)


def test_a_database_of_a_newer_version_is_left_alone(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE__URL", "sqlite:///newer.db")
    with sqlite3.connect(folder / "newer.db") as db:
        db.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        db.execute("INSERT INTO alembic_version VALUES ('9999')")
    db.close()

    ended = run("migrate")

    assert ended.status == 1
    assert "its schema is of another version of the gateway" in ended.failure


def test_a_database_that_a_gateway_works_with_is_not_migrated_under_it(run: Run) -> None:
    other = Database("sqlite:///./data/gateway.db")
    other.claim_file()
    try:
        ended = run("migrate")
    finally:
        asyncio.run(other.close())

    assert ended.status == 1
    assert "is in use by another gateway" in ended.failure
