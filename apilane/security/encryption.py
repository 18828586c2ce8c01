"""Encryption at rest: AES-256-GCM with a key of 32 bytes, and the instance's master key.

The master key encrypts each application's secrets. One of them is the application's own key, which encrypts property
values. If the master key is lost, all of these are lost; they cannot be recovered.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apilane.errors import ConfigurationError

if TYPE_CHECKING:
    from apilane.settings import Settings

__all__ = ["Cipher", "load_master_key", "new_key"]

_PREFIX = "v1:"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_OTHERS = 0o077
"""Permission bits of group and world."""


def new_key() -> bytes:
    """A random key for ``Cipher``."""
    return secrets.token_bytes(_KEY_BYTES)


class Cipher:
    """Encrypts text with one key. ``key``: 32 bytes.

    ``context`` is bound to the ciphertext without being part of it: text encrypted for one context does not decrypt in
    another.
    """

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def encrypt(self, text: str, context: str = "") -> str:
        """``v1:`` and base64url (no padding) of nonce, ciphertext and tag; each call returns a different text."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._aead.encrypt(nonce, text.encode(), context.encode())
        return _PREFIX + urlsafe_b64encode(sealed).decode().rstrip("=")

    def decrypt(self, stored: object, context: str = "") -> str | None:
        """The text; None when ``stored`` was not made by ``encrypt`` with this key and context.

        Other programs can store numbers and bytes in an encrypted column of SQLite.
        """
        if not isinstance(stored, str) or not stored.startswith(_PREFIX) or not stored.isascii():
            return None
        try:
            sealed = urlsafe_b64decode(stored[len(_PREFIX) :] + "=" * (-(len(stored) - len(_PREFIX)) % 4))
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, ValueError):
            return None


def load_master_key(settings: Settings, *, create: bool) -> bytes:
    """The master key of the instance, 32 bytes, from ``APILANE_MASTER_KEY`` or ``{data_dir}/master.key``.

    ``create``: make the file if it is missing; use this only for an instance without encrypted data. Raises
    ConfigurationError when there is no key, or when users other than the owner may read the file.
    """
    if settings.master_key is not None:
        return _decode(settings.master_key, "The setting master_key (APILANE_MASTER_KEY)")
    path = settings.data_dir / "master.key"
    try:
        if create and not path.exists():
            _create(path)
        return _read(path)
    except FileNotFoundError:
        raise ConfigurationError(
            f"The master key {path} is missing, but this instance already has applications or users encrypted with "
            "it. Restore the file from your backup, or give the key in APILANE_MASTER_KEY. A new key would not open "
            "them, so none was made."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"The master key {path} cannot be used: {error.strerror}. The folder must be writable at the first start "
            "and the file readable by the user that runs apilane."
        ) from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and mode & _OTHERS:
            raise ConfigurationError(
                f"The master key {path} may be read or written by others (mode {mode & 0o777:04o}). "
                f"Run: chmod 600 {path}"
            )
        return _decode(file.read(1024).decode("ascii", "replace"), f"The master key {path}")


def _decode(text: str, what: str) -> bytes:
    try:
        key = b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(
            f"{what} is not the base64 text of {_KEY_BYTES} bytes (44 characters). Restore it from your backup."
        )
    return key


def _create(path: Path) -> None:
    """Create the complete file atomically. If another process creates it first, the key of that process is used."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(b64encode(new_key()) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
