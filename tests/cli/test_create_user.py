"""`gateway create-user`, with a service that runs and without one."""

import asyncio
import getpass
import io
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from gateway import schema
from gateway.auth.access_tokens import AccessTokens
from gateway.auth.logins import LoginLimits, Logins
from gateway.auth.passwords import Passwords
from gateway.db import Database
from gateway.demo.plan import QUICK
from gateway.demo.stage import Stage, open_stage
from gateway.limits.meter import Meter
from gateway.limits.windows import MemoryWindows
from gateway.vault import Vault
from tests.cli.conftest import Ended, Run

EMAIL, PASSWORD = "user@example.com", "canary secure password"


class Terminal(io.StringIO):
    """A stdin that somebody types at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is typed, prompt by prompt."""
    typed: list[str] = []
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: typed.pop(0))
    yield typed
    assert typed == []


@pytest.fixture
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings name a port at which there is no service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("GATEWAY_SERVER__PORT", str(free.getsockname()[1]))


@pytest.fixture
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """A service that runs."""
    (folder / "stage").mkdir()
    async with open_stage(folder / "stage", QUICK) as stage:
        yield stage


async def logs_in(url: str, password: str = PASSWORD) -> bool:
    """Whether the database takes the password."""
    db, passwords = Database(url), Passwords()
    access_tokens = AccessTokens(db, Vault(Path("vault")), "0123456789abcdef" * 2, seconds=60)
    meter = Meter(MemoryWindows(db.clock), db.clock, {})
    logins = Logins(db, passwords, access_tokens, meter, LoginLimits(0, 0), refresh_days=1)
    try:
        tokens = await logins.log_in(EMAIL, password, "192.0.2.1")
        return (await logins.identify(tokens.access_token)).account_id == "acme"
    finally:
        passwords.close()
        await db.close()


def from_stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What the shell pipes in."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


async def test_a_running_service_makes_the_user(run: Run, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    token = stage.admin_token_file.read_text()
    arguments = ("create-user", " User@Example.com", "--password-stdin", "--url", stage.gateway_url)

    async def create() -> Ended:
        from_stdin(monkeypatch, f"{PASSWORD}\n")
        return await asyncio.to_thread(run, *arguments, "--admin-token", token)

    first, second = await create(), await create()

    told = first.out.splitlines()[-1]  # after what the service logs, in this same process
    assert (first.status, told) == (0, f"{EMAIL} can log in now, to the account local")
    assert (second.status, second.failure) == (1, "gateway: there is a user with this email already")
    async with httpx.AsyncClient(base_url=stage.gateway_url, trust_env=False) as client:
        answer = await client.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 200


async def test_a_service_that_refuses_is_told_in_one_line(
    run: Run, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_stdin(monkeypatch, f"{PASSWORD}\n")
    ended = await asyncio.to_thread(run, "create-user", EMAIL, "--password-stdin", "--url", stage.gateway_url)

    assert (ended.status, ended.failure) == (1, "gateway: send the X-Admin-Token")


@pytest.mark.usefixtures("nobody_listens")
def test_without_a_service_the_user_is_made_in_the_database(
    run: Run, database_url: str, say: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE__URL", database_url)
    say += [PASSWORD, PASSWORD]
    first = run("create-user", EMAIL, "--account", "acme")
    say += [PASSWORD, PASSWORD]
    second = run("create-user", EMAIL, "--account", "acme")

    assert (first.status, first.out) == (0, f"{EMAIL} can log in now, to the account acme\n")
    assert (second.status, second.failure) == (1, "gateway: there is a user with this email already")
    assert asyncio.run(logs_in(database_url))


@pytest.mark.usefixtures("nobody_listens")
def test_the_first_thing_that_is_done_may_be_a_user(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_stdin(monkeypatch, f"{PASSWORD}\r\nwhat follows is not the password\n")
    ended = run("create-user", EMAIL, "--account", "acme", "--password-stdin")

    assert ended.status == 0
    file = folder / "data" / "gateway.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert asyncio.run(logs_in(f"sqlite:///{file}"))
    assert "canary" not in ended.out + ended.err + (folder / "logs" / "whatsapp_backend.log").read_text()


@pytest.mark.usefixtures("nobody_listens")
def test_the_database_of_a_gateway_that_runs_elsewhere_is_left_alone(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Database("sqlite:///./data/gateway.db")
    other.claim_file()
    from_stdin(monkeypatch, f"{PASSWORD}\n")
    try:
        ended = run("create-user", EMAIL, "--password-stdin")
    finally:
        asyncio.run(other.close())

    assert ended.status == 1
    assert "is in use by another gateway" in ended.failure


@pytest.mark.usefixtures("nobody_listens")
def test_a_gateway_that_was_named_is_not_replaced_by_the_database(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_stdin(monkeypatch, f"{PASSWORD}\n")
    ended = run("create-user", EMAIL, "--password-stdin", "--url", "http://127.0.0.1:9")

    assert ended.status == 1
    assert "no gateway answers" in ended.failure
    assert not (folder / "data").exists()


@pytest.mark.usefixtures("nobody_listens")
def test_a_postgresql_that_was_not_migrated_says_so(
    run: Run, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if empty_database_url.startswith("sqlite"):
        pytest.skip("SQLite is brought to this version by itself")
    monkeypatch.setenv("GATEWAY_DATABASE__URL", empty_database_url)
    from_stdin(monkeypatch, f"{PASSWORD}\n")
    ended = run("create-user", EMAIL, "--password-stdin")

    assert ended.status == 1
    assert "gateway migrate" in ended.failure
    assert schema.newest_revision() not in ended.failure


@pytest.mark.parametrize(
    ("email", "text", "reason"),
    [
        ("nobody", PASSWORD, "EMAIL is not an email address"),
        (EMAIL, "canary", "a password has 8 to 1,024 characters"),
        (EMAIL, "", "a password has 8 to 1,024 characters"),
        (EMAIL, "canary" * 200, "a password has 8 to 1,024 characters"),
        (EMAIL, "canary \udcff password", "the password is not in the encoding of this terminal"),
    ],
)
def test_what_cannot_be_is_told_without_repeating_the_password(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, email: str, text: str, reason: str
) -> None:
    from_stdin(monkeypatch, f"{text}\n")
    ended = run("create-user", email, "--password-stdin")

    assert (ended.status, ended.failure) == (1, f"gateway: {reason}")
    assert not (folder / "data").exists()


@pytest.mark.parametrize("account", ["", "Acme Corp", "a" * 37, "../acme"])
def test_an_account_has_a_plain_name(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, account: str) -> None:
    from_stdin(monkeypatch, f"{PASSWORD}\n")
    ended = run("create-user", EMAIL, "--password-stdin", "--account", account)

    assert ended.status == 1
    assert "--account" in ended.failure
    assert not (folder / "data").exists()


def test_two_different_passwords_are_refused(run: Run, say: list[str]) -> None:
    say += [PASSWORD, PASSWORD.upper()]
    assert run("create-user", EMAIL).failure == "gateway: the two passwords are not the same"


def test_without_a_terminal_stdin_must_be_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from_stdin(monkeypatch, f"{PASSWORD}\n")
    assert "--password-stdin" in run("create-user", EMAIL).failure
