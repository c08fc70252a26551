"""Secrets at rest."""

import stat
from pathlib import Path

import pytest

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
