"""Secrets at rest."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from gateway.vault import (
    Vault,
    VaultError,
    admin_token_file,
    hash_token,
    make_token,
    read_or_create_admin_token,
    same,
)


def test_what_was_encrypted_is_read_again_by_a_later_process(tmp_path: Path) -> None:
    stored = Vault(tmp_path).encrypt("the key of a WAHA")
    assert "WAHA" not in stored
    assert Vault(tmp_path).decrypt(stored) == "the key of a WAHA"


def test_nothing_stays_nothing(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    assert vault.decrypt(vault.encrypt("")) == vault.encrypt("") == ""


def test_another_key_file_is_told(tmp_path: Path) -> None:
    stored = Vault(tmp_path / "one").encrypt("secret")
    with pytest.raises(VaultError, match=r"secret\.key"):
        Vault(tmp_path / "two").decrypt(stored)


def test_secrets_are_files_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    Vault(folder)
    token = read_or_create_admin_token(folder)
    assert read_or_create_admin_token(folder) == token
    for path in (folder / "secret.key", admin_token_file(folder)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_data_folder_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VaultError, match=r"database\.data_folder"):
        Vault(tmp_path / "file")


def test_tokens_are_random_and_stored_as_hashes() -> None:
    tokens = {make_token("wga_") for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("wga_") and len(token) >= 47 for token in tokens)
    token = tokens.pop()
    assert token not in hash_token(token)
    assert hash_token(token) == hash_token(token)
    assert len(hash_token(token)) == 64


def test_secrets_are_compared_whole_whatever_they_are_made_of() -> None:
    assert same("héllo", "héllo")
    assert not same("hello", "hello ")
    assert not same("", "a")


def test_two_that_make_the_key_at_the_same_moment_have_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replicas that share a data folder start at once: the second must never see half a file."""
    generate, others = Fernet.generate_key, []

    def generate_slowly() -> bytes:
        monkeypatch.setattr(Fernet, "generate_key", generate)
        others.append(Vault(tmp_path))  # it starts while the first one is still making its key
        return generate()

    monkeypatch.setattr(Fernet, "generate_key", generate_slowly)
    first = Vault(tmp_path)
    assert others[0].decrypt(first.encrypt("secret")) == "secret"
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_a_derived_key_is_the_same_for_its_purpose_and_key_file_and_for_nothing_else(tmp_path: Path) -> None:
    key = Vault(tmp_path / "one").derive("pair links")
    assert len(key) == 32
    assert Vault(tmp_path / "one").derive("pair links") == key
    assert Vault(tmp_path / "one").derive("other links") != key
    assert Vault(tmp_path / "two").derive("pair links") != key
    assert key not in (tmp_path / "one" / "secret.key").read_bytes()
