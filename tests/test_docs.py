"""What the documents say is so: settings, dependencies, states, commands, and every line of the README's API."""

import json
import os
import re
import shlex
import tomllib
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import httpx
import pytest
from pydantic import BaseModel, SecretStr
from starlette.routing import Route
from typer.models import OptionInfo

from campaigns.sending.models import CAMPAIGN_TRANSITIONS, MESSAGE_TRANSITIONS
from gateway.app import Gateway, build_gateway
from gateway.commands import load_commands
from gateway.settings import ENV_PREFIX, Settings, SettingsError, load_settings
from gateway.simulator.app import create_app as create_simulator
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.event_faults import EventFaults
from gateway.simulator.faults import Faults
from gateway.simulator.webhooks import WebhookFaults
from gateway.web import create_app

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config.toml"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SIMULATOR = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(autouse=True)
def no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that is set or lies about on this machine has a say."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


# --- config.toml ------------------------------------------------------------------------------------------------------


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key that can be set, as `section.key`; those of a list's items as `section.list.key`."""
    for name, field in model.model_fields.items():
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        section = next((kind for kind in inner if issubclass(kind, BaseModel)), None)
        if section is None:
            yield f"{prefix}{name}"
        else:
            yield from keys_of(section, f"{prefix}{name}.")


def sentences() -> dict[str, str]:
    """Every key that stands in config.toml, with the comment right above it."""
    found: dict[str, str] = {}
    section, comment = "", ""
    for line in CONFIG.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\[+([a-z_.]+)\]+", line):
            section, comment = heading[1], ""
        elif line.startswith("# "):
            comment = f"{comment} {line[2:]}".strip()
        elif key := re.match(r"([a-z_]+) = ", line):
            found[f"{section}.{key[1]}"], comment = comment, ""
        else:
            comment = ""
    return found


KEYS = sorted(keys_of(Settings))
ENVIRONMENT: dict[str, tuple[str, Any]] = {
    "server.host": ("::1", "::1"),
    "server.port": ("8080", 8080),
    "server.allowed_hosts": ('["gateway.example.org"]', ["gateway.example.org"]),
    "server.allowed_origins": ('["https://app.example.org"]', ["https://app.example.org"]),
    "server.max_body_bytes": ("2048", 2048),
    "server.public_url": ("https://gateway.example.org", "https://gateway.example.org"),
    "database.url": ("postgresql://me@db.example.org/gateway", "postgresql://me@db.example.org/gateway"),
    "database.data_folder": ("/srv/gateway", Path("/srv/gateway")),
    "database.notify": ("false", False),
    "auth.admin_token": ("0123456789abcdef", SecretStr("0123456789abcdef")),
    "auth.user_access": ("token", "token"),
    "auth.allow_open_on_network": ("true", True),
    "auth.jwt_secret": ("0123456789abcdef" * 2, SecretStr("0123456789abcdef" * 2)),
    "auth.access_token_seconds": ("600", 600),
    "auth.refresh_token_days": ("7", 7.0),
    "waha.timeout_seconds": ("200", 200.0),
    "waha.sweep_seconds": ("2.5", 2.5),
    "waha.events": ("webhook", "webhook"),
    "waha.webhook_url": ("http://gateway.example.org/api/webhook/waha", "http://gateway.example.org/api/webhook/waha"),
    "waha.webhook_secret": ("0123456789abcdef", SecretStr("0123456789abcdef")),
    "sessions.keepalive_days": ("7", 7.0),
    "sessions.expiry_days": ("30", 30.0),
    "sessions.warn_days": ("1", 1.0),
    "sessions.pair_link_hours": ("2", 2.0),
    "dispatch.message_delay": ("0.5", 0.5),
    "dispatch.sender_switch_delay": ("0", 0.0),
    "dispatch.jitter": ("1", 1.0),
    "dispatch.max_attempts": ("3", 3),
    "dispatch.hold_seconds": ("3", 3.0),
    "dispatch.lease_seconds": ("10", 10.0),
    "dispatch.daily_cap": ("200", 200),
    "dispatch.check_numbers": ("all", "all"),
    "phone.default_region": ("FR", "FR"),
    "phone.strict": ("true", True),
    "media.max_bytes": ("1000000", 1_000_000),
    "media.upload_max_bytes": ("1000000", 1_000_000),
    "media.timeout_seconds": ("5", 5.0),
    "media.allow_private_addresses": ("true", True),
    "webhooks.allow_private_addresses": ("true", True),
    "schedules.max_lateness": ("600", 600.0),
    "inbox.reply_days": ("3", 3.0),
    "console.idle_minutes": ("90", 90.0),
    "console.longest_hours": ("8", 8.0),
    "opt_out.stop_words": ('["GENUG"]', ["GENUG"]),
    "opt_out.start_words": ('["WIEDER"]', ["WIEDER"]),
    "opt_out.confirmation": ("Bye.", "Bye."),
    "personalization.url": ("http://127.0.0.1:9000/write", "http://127.0.0.1:9000/write"),
    "personalization.api_key": ("0123456789abcdef", SecretStr("0123456789abcdef")),
    "personalization.send_numbers": ("true", True),
    "personalization.timeout_seconds": ("5", 5.0),
    "personalization.total_seconds": ("30", 30.0),
    "personalization.at_once": ("2", 2),
    "personalization.max_characters": ("500", 500),
    "personalization.max_recipients": ("50", 50),
    "limits.schedules_per_minute": ("10", 10),
    "limits.reads_per_minute": ("0", 0),
    "limits.writes_per_minute": ("0", 0),
    "limits.storage_url": ("redis://cache.example.org:6379/0", "redis://cache.example.org:6379/0"),
    "limits.pairings_per_minute": ("5", 5),
    "limits.pair_page_per_minute": ("5", 5),
    "limits.logins_per_minute": ("5", 5),
    "limits.logins_per_minute_per_address": ("0", 0),
    "limits.sends_per_hour": ("0", 0),
    "limits.messages_per_minute": ("5", 5),
    "limits.messages_per_bulk": ("5", 5),
    "limits.recipients_per_campaign": ("10", 10),
    "limits.recipients_per_import": ("10", 10),
    "limits.sockets": ("5", 5),
    "logging.level": ("DEBUG", "DEBUG"),
    "logging.file": ("", ""),
    "logging.format": ("text", "text"),
}


def variable(key: str) -> str:
    return ENV_PREFIX + key.upper().replace(".", "__")


def test_config_toml_has_every_key_and_no_other() -> None:
    assert sorted(sentences()) == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_a_sentence_stands_above_the_key(key: str) -> None:
    sentence = sentences()[key]
    assert re.match(r"[A-Z].*\.$", sentence), f"{key}: {sentence!r}"
    assert len(sentence.split()) >= 4


def test_config_toml_loads_and_says_the_defaults() -> None:
    shipped, built_in = load_settings(CONFIG).model_dump(), Settings().model_dump()
    servers = shipped["waha"].pop("servers")
    assert built_in["waha"].pop("servers") == []
    assert shipped == built_in
    assert [(server["name"], server["url"]) for server in servers] == [("waha1", "http://localhost:3000")]


def test_config_toml_holds_no_secret() -> None:
    shipped = load_settings(CONFIG)
    secrets = [
        shipped.auth.admin_token,
        shipped.auth.jwt_secret,
        shipped.personalization.api_key,
        shipped.waha.webhook_secret,
        *(server.api_key for server in shipped.waha.servers),
    ]
    assert [secret.get_secret_value() for secret in secrets] == [""] * 5


def test_every_key_has_an_environment_form_here() -> None:
    assert sorted(ENVIRONMENT) == [key for key in KEYS if not key.startswith("waha.servers.")]


@pytest.mark.parametrize("key", ENVIRONMENT)
def test_the_environment_wins_over_config_toml(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, value = ENVIRONMENT[key]
    section, name = key.split(".")
    assert getattr(getattr(load_settings(CONFIG), section), name) != value
    if key == "waha.events":  # webhooks need an address and a secret beside it
        monkeypatch.setenv("GATEWAY_WAHA__WEBHOOK_URL", "http://gateway.example.org/api/webhook/waha")
        monkeypatch.setenv("GATEWAY_WAHA__WEBHOOK_SECRET", "0123456789abcdef")
    monkeypatch.setenv(variable(key), text)
    assert getattr(getattr(load_settings(CONFIG), section), name) == value


def test_servers_can_be_given_by_environment_as_in_the_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = re.search(r"^export (GATEWAY_\w+)=(.*)$", README, re.MULTILINE)
    assert exported is not None
    name, value = exported[1], shlex.split(exported[2])[0].replace("$KEY", "0123456789abcdef")
    monkeypatch.setenv(name, value)
    (server,) = load_settings(CONFIG).waha.servers
    assert (server.name, server.url) == ("waha1", "http://localhost:3000")
    assert server.api_key.get_secret_value() == "0123456789abcdef"


def test_the_settings_that_the_readme_names_exist() -> None:
    dotted = re.findall(r"`([a-z]+)\.([a-z_]+)(?: = [^`]*)?`", README)
    named = {f"{section}.{name}" for section, name in dotted if section in Settings.model_fields}
    assert len(named) > 5
    assert named <= set(KEYS)


def test_a_key_that_is_not_there_is_refused_in_both_forms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "typo.toml"
    file.write_text("[dispatch]\nmesage_delay = 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"dispatch\.mesage_delay"):
        load_settings(file)
    monkeypatch.setenv("GATEWAY_DISPATCH__MESAGE_DELAY", "1")
    with pytest.raises(SettingsError, match=r"dispatch\.mesage_delay"):
        load_settings(CONFIG)


# --- dependencies, versions, pages ------------------------------------------------------------------------------------


def names_of(requirements: list[str]) -> list[str]:
    names = [re.split(r"[\[<>=;! ]", requirement, maxsplit=1)[0] for requirement in requirements]
    return sorted(name for name in names if name != PROJECT["name"])


def test_every_dependency_has_its_line_with_a_reason_and_a_licence() -> None:
    text = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    tables = [
        re.findall(r"^\| ([a-z][a-z0-9-]+) \| (.+) \| (.+) \|$", part, re.MULTILINE) for part in text.split("\n## ")
    ]
    rows = [[row for row in table if row[0] != "package"] for table in tables[1:]]
    listed = [sorted(name for name, _, _ in table) for table in rows]
    extras = PROJECT["optional-dependencies"]
    assert listed == [
        names_of(PROJECT["dependencies"]),
        *(names_of(extras[key]) for key in ("postgres", "redis", "compare", "dev")),
    ]
    assert [row for table in rows for row in table if len(row[1].split()) < 3 or not row[2].strip()] == []


def test_every_dependency_has_a_lower_bound() -> None:
    extras = PROJECT["optional-dependencies"]
    requirements = [*PROJECT["dependencies"], *extras["postgres"], *extras["redis"], *extras["compare"], *extras["dev"]]
    assert [one for one in requirements if ">=" not in one and not one.startswith(PROJECT["name"])] == []


def test_the_newest_version_of_the_changelog_is_that_of_the_package() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([0-9.]+)\] - \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert versions[0] == PROJECT["version"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_page_of_the_simulator_names_every_route_and_no_other() -> None:
    routes = {
        f"{method} {route.path}"
        for route in create_simulator().routes
        if isinstance(route, Route) and route.path.startswith("/sim/")
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert set(re.findall(r"^\| `([A-Z]+ /sim/[^`]+)`", SIMULATOR, re.MULTILINE)) == routes


@pytest.mark.parametrize(
    "fault", [field.name for kind in (Faults, EventFaults, WebhookFaults) for field in fields(kind)]
)
def test_the_page_of_the_simulator_names_the_fault(fault: str) -> None:
    assert f"`{fault}`" in SIMULATOR


def test_the_index_of_decisions_is_complete() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[[a-z-]+\]\(([a-z-]+\.md)\)", index, re.MULTILINE)
    assert sorted(listed) == [page.name for page in DECISIONS if page.name != "README.md"]


@pytest.mark.parametrize(
    "page", [p for p in DECISIONS if p.name not in ("README.md", "dependencies.md")], ids=lambda page: page.stem
)
def test_a_decision_says_what_was_decided_and_what_else_was_looked_at(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Considered"]
    assert len(text.splitlines()) <= 50


@pytest.mark.parametrize(("diagram", "transitions"), [(0, MESSAGE_TRANSITIONS), (1, CAMPAIGN_TRANSITIONS)])
def test_a_diagram_of_states_shows_the_transitions_of_the_code(diagram: int, transitions: dict[str, Any]) -> None:
    drawn = re.findall(r"```mermaid\n(.*?)```", ARCHITECTURE, re.DOTALL)[diagram]
    arrows = set(re.findall(r"^ +(\w+) --> (\w+)", drawn, re.MULTILINE))
    assert arrows == {(str(before), str(after)) for before, states in transitions.items() for after in states}


# --- commands ---------------------------------------------------------------------------------------------------------


def options_of(command: str) -> set[str]:
    """The long options of a command, as its function declares them."""
    options = {"--help"}
    for name, hint in get_type_hints(load_commands([command])[command], include_extras=True).items():
        for info in getattr(hint, "__metadata__", ()):
            if isinstance(info, OptionInfo):
                declared = [part for decl in info.param_decls or () for part in decl.split("/")]
                long = {decl for decl in declared if decl.startswith("--")}
                options |= long or {"--" + name.replace("_", "-")}
    return options


def test_the_readme_names_every_command_and_no_other() -> None:
    code = re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", README, re.DOTALL)
    named = set(re.findall(r"(?:^|&& )gateway ([a-z-]+)", "\n".join("\n".join(pair) for pair in code), re.MULTILINE))
    assert named == set(load_commands([]))


@pytest.mark.parametrize("line", sorted(set(re.findall(r"(?:^|&& )(gateway [a-z]+ -.*)$", README, re.MULTILINE))))
def test_the_options_of_the_readme_exist(line: str) -> None:
    command = line.split()[1]
    assert {word for word in shlex.split(line) if word.startswith("--")} <= options_of(command)


def test_the_readme_names_measurements_that_exist() -> None:
    names = re.findall(r"^python -m bench ([a-z]+)", README, re.MULTILINE)
    assert names
    assert [name for name in names if not (ROOT / "bench" / f"{name}.py").exists()] == []


@pytest.mark.parametrize("folder", sorted(set(re.findall(r"^ *((?:[a-z]+/ +)+)", README, re.MULTILINE))))
def test_a_folder_of_the_readme_exists(folder: str) -> None:
    parents = [ROOT, ROOT / "gateway", ROOT / "campaigns"]
    made_at_run_time = {"data/"}
    for name in set(folder.split()) - made_at_run_time:
        assert any((parent / name).is_dir() for parent in parents), name


# --- the API in ten lines ---------------------------------------------------------------------------------------------


def curls(text: str) -> list[list[str]]:
    """The words of each curl line."""
    return [shlex.split(line) for line in re.findall(r"^curl (.*?)(?: \| tee \S+)?$", text, re.MULTILINE)]


CURL = curls(README)
TEN = curls(README.split("\n## The API in ten lines")[1].split("\n## ")[0])


def curl(words: list[str], **values: str) -> httpx.Request:
    """The request that `curl WORDS` makes, with the shell's expressions replaced by `values`."""
    method, url, body = "", "", None
    headers: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, value = next(rest).split(": ", 1)
            headers[name] = value.replace("$(cat data/admin.token)", values.get("token", ""))
        elif word == "-d":
            body = next(rest)
            json.loads(body)
        elif word != "-s":
            url = "http://" + word.replace("$ID", values.get("id", "$ID"))
    return httpx.Request(method or ("GET" if body is None else "POST"), url, headers=headers, content=body)


@pytest.fixture
async def gateway(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """The gateway of the shipped config.toml, with a simulated WAHA behind its server's address."""
    monkeypatch.setenv("GATEWAY_LIMITS__READS_PER_MINUTE", "0")  # who tests asks faster than a person
    simulator = create_simulator(SimulatorConfig(auto_scan_seconds=0.1, start_seconds=0.01, latency_seconds=0))
    built = build_gateway(load_settings(CONFIG), transports=lambda _url: httpx.ASGITransport(app=simulator))
    try:
        yield built
    finally:
        await built.db.close()
        await simulator.state.waha.aclose()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(gateway)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client,
    ):
        yield client


@pytest.fixture
def token(gateway: Gateway) -> str:
    """The operator's token, from where the README looks for it."""
    assert gateway.settings.database.data_folder == Path("data")
    return Path("data/admin.token").read_text(encoding="utf-8")


def test_there_are_ten_lines() -> None:
    assert len(TEN) == 10


@pytest.mark.parametrize("words", CURL, ids=" ".join)
def test_a_route_of_the_readme_exists(words: list[str], gateway: Gateway) -> None:
    request = curl(words, id="01a1fb78-4e97-7695-9563-e25d987bfd99")
    paths = create_app(gateway).openapi()["paths"]
    matching = [path for path in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path)]
    assert any(request.method.lower() in paths[path] for path in matching), f"{request.method} {request.url.path}"


async def test_the_ten_lines_work_one_after_the_other(client: httpx.AsyncClient, token: str) -> None:
    campaign_id, answers = "", []
    for words in TEN:
        answer = await client.send(curl(words, token=token, id=campaign_id))
        while (
            answer.is_success and answer.json().get("status") in ("STARTING", "WAITING_FOR_SCAN") and "qr" in words[1]
        ):
            answer = await client.send(curl(words, token=token))
        assert answer.is_success, f"{answer.request.url}: {answer.text}"
        answers.append(answer.json())
        campaign_id = campaign_id or answers[-1].get("campaign_id", "")
    created, paired, slow, preview, sent, status, paused, resumed, fast, details = answers
    assert created["sender_token"]
    assert paired == {"status": "CONNECTED"}
    assert (slow["MESSAGE_DELAY"], fast["MESSAGE_DELAY"]) == (20, 0.5)
    assert (preview["valid"], preview["duplicates"]) == (2, 1)
    assert [sample["text"] for sample in preview["samples"]] == ["Hello there", "Hello Ada"]
    assert (sent["status"], sent["total"]) == ("queued", 3)
    assert status["pending"] > 0
    assert (paused["status"], resumed["status"]) == ("paused", "running")
    assert [item["recipient"] for item in details["messages"]["items"]] == [f"+44770090010{n}" for n in (1, 2, 3)]
