"""Settings: every key from the file, the environment wins, and a typo is named."""

from pathlib import Path
from typing import Any

import pytest

from gateway.settings import DispatchSettings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)


def write(tmp_path: Path, text: str) -> Path:
    """A settings file."""
    path = tmp_path / "other.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_defaults_hold() -> None:
    dispatch = load_settings().dispatch
    assert (dispatch.message_delay, dispatch.sender_switch_delay, dispatch.jitter) == (2, 5, 0)


def test_config_toml_of_the_working_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[dispatch]\nmessage_delay = 0.5\n")
    assert load_settings().dispatch.message_delay == 0.5


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "[dispatch]\nmessage_delay = 3\njitter = 1\n")
    monkeypatch.setenv("GATEWAY_DISPATCH__MESSAGE_DELAY", "0.25")
    dispatch = load_settings(path).dispatch
    assert (dispatch.message_delay, dispatch.jitter) == (0.25, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[dispatch]\nmesage_delay = 1\n", "dispatch.mesage_delay: there is no such setting"),
        ("[dipatch]\nmessage_delay = 1\n", "dipatch: there is no such setting"),
        ("[dispatch]\nmessage_delay = 'soon'\n", "dispatch.message_delay: "),
        ("[dispatch]\nmessage_delay = -1\n", "dispatch.message_delay: "),
        ("[dispatch]\nmessage_delay = nan\n", "dispatch.message_delay: "),
        ("[dispatch]\nmessage_delay = inf\n", "dispatch.message_delay: "),
        ("[dispatch]\nmessage_delay = 86401\n", "dispatch.message_delay: "),
        ("[server]\nport = 65536\n", "server.port: "),
        ("[auth]\nadmin_token = 'changeme-changeme'\n", "auth.admin_token: "),
        ("[auth]\nadmin_token = 'short'\n", "auth.admin_token: "),
        ("[[waha.servers]]\nname = 'a'\nurl = 'localhost:3000'\n", "waha.servers.0.url: "),
        ("[[waha.servers]]\nname = 'a'\nurl = 'http://me:key@localhost:3000'\n", "waha.servers.0.url: "),
        ("[dispatch\n", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_key(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(write(tmp_path, text))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_two_servers_of_one_name_are_refused(tmp_path: Path) -> None:
    server = "[[waha.servers]]\nname = 'a'\nurl = 'http://localhost:3000'\n"
    with pytest.raises(SettingsError, match="the same name"):
        load_settings(write(tmp_path, server * 2))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("name", ["GATEWAY_DISPACH__MESSAGE_DELAY", "GATEWAY_DISPATCH__MESAGE_DELAY"])
def test_a_typo_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=r"(?i)dispach|mesage_delay"):
        load_settings()


@pytest.mark.parametrize("name", ["GATEWAY_WAHA__SERVERS", "GATEWAY_WAHA"])
def test_json_of_the_environment_that_cannot_be_read_is_told_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "[{name: 'waha1', api_key: 'a-long-random-secret'}]")
    with pytest.raises(SettingsError, match=f"^{name}: is not valid JSON") as error:
        load_settings()
    assert "secret" not in str(error.value)
    assert error.value.__suppress_context__


def test_secrets_do_not_show(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "[auth]\nadmin_token = 'a-long-random-secret'\n"))
    assert "a-long-random-secret" not in repr(settings)
    assert settings.auth.admin_token.get_secret_value() == "a-long-random-secret"


def test_settings_do_not_change() -> None:
    dispatch: Any = DispatchSettings()
    with pytest.raises(ValueError, match="frozen"):
        dispatch.message_delay = 1
