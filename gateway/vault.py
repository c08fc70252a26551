"""Secrets at rest: what must be readable is encrypted, what must only be recognised is hashed.

The key and the generated admin token are files of their own in the data folder, readable by their owner only.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class VaultError(Exception):
    """A secret cannot be read or stored; the message is one line saying why."""


def make_token(prefix: str = "") -> str:
    """A new credential of 32 random bytes."""
    return f"{prefix}{secrets.token_urlsafe(32)}"


def hash_token(token: str) -> str:
    """How a credential is stored. Random 32 bytes need no slow hash: there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())


class Vault:
    """Encrypts and decrypts with the key file of one data folder."""

    def __init__(self, folder: Path) -> None:
        self._key = _read_or_create(key_file(folder), lambda: Fernet.generate_key().decode()).encode()
        self._fernet = Fernet(self._key)

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose: it tells nothing of the key file, nor of the keys for other purposes."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"waha-gateway {purpose}".encode()).derive(self._key)

    def encrypt(self, secret: str) -> str:
        """`secret` as it may stand in a table; empty stays empty."""
        return self._fernet.encrypt(secret.encode()).decode() if secret else ""

    def decrypt(self, stored: str) -> str:
        """What `encrypt` was given.

        Raises:
            VaultError: the key file is not the one that it was encrypted with.
        """
        if not stored:
            return ""
        try:
            return self._fernet.decrypt(stored.encode()).decode()
        except InvalidToken:
            raise VaultError("a stored key cannot be decrypted: secret.key is not the one it was stored with") from None


def key_file(folder: Path) -> Path:
    """Where the key is kept that encrypts stored secrets."""
    return folder / "secret.key"


def admin_token_file(folder: Path) -> Path:
    """Where the generated admin token is kept."""
    return folder / "admin.token"


def read_or_create_admin_token(folder: Path) -> str:
    """The generated admin token, made at first start."""
    return _read_or_create(admin_token_file(folder), lambda: make_token("wga_"))


def _read_or_create(path: Path, make: Callable[[], str]) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create(path, make())
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise VaultError(f"{path}: cannot be used ({error.strerror}); see database.data_folder") from None


def _create(path: Path, content: str) -> None:
    """Make the file, whole or not at all: where another process was first, its file stays."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # for its owner only
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
