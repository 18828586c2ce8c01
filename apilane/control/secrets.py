"""An application's secrets: their structure, their encryption with the master key, and masking them in printed texts.

The ciphertext is bound to the application's token, so a row copied to another application does not decrypt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from apilane.errors import ConfigurationError
from apilane.security.encryption import Cipher, new_key
from apilane.security.tokens import token_hash

__all__ = ["MASK", "Secrets", "SecretsBox", "masked"]

MASK = "***"
SHORT = 8
"""Secrets below this length are masked only as whole words: masking every ``a`` would hide half the text."""


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one application that must not be readable in the store."""

    encryption_key: bytes
    """32 bytes; encrypts property values."""
    token_key: bytes
    """32 bytes; the key of the hashes used to look up tokens."""
    connection_string: str | None = None
    mail_password: str | None = None
    plugins: dict[str, str] = {}
    """Secrets of plugins, by key path in manifests, such as ``Plugins.mail.Password``."""

    @classmethod
    def new(cls) -> Secrets:
        """The secrets of a new application: two random keys."""
        return cls(encryption_key=new_key(), token_key=new_key())

    def changed(self, changes: Mapping[str, str | None]) -> Secrets:
        """These secrets with the changes of a plan; the value None removes a secret."""
        own = {name: text for name, text in changes.items() if not name.startswith("Plugins.")}
        plugins = {**self.plugins, **{name: text for name, text in changes.items() if name not in own}}
        kept = {name: text for name, text in plugins.items() if text is not None}
        return msgspec.structs.replace(self, plugins=kept, **own)

    def texts(self) -> Iterator[str]:
        """The secrets that operators configure; they may also occur in a manifest."""
        yield from (text for text in (self.connection_string, self.mail_password, *self.plugins.values()) if text)

    def __repr__(self) -> str:
        return f"Secrets({MASK})"


class SecretsBox:
    """Encrypts and decrypts secrets with the master key."""

    __slots__ = ("_cipher", "_owner_token_key")

    _CHECK = "apilane control store"

    def __init__(self, master_key: bytes) -> None:
        self._cipher = Cipher(master_key)
        self._owner_token_key = token_hash(master_key, "owner tokens").encode()

    def check_value(self) -> str:
        """A text that ``knows`` accepts only with the same key."""
        return self._cipher.encrypt(self._CHECK, "instance")

    def knows(self, check_value: str) -> bool:
        """Whether ``check_value`` was made with this key."""
        return self._cipher.decrypt(check_value, "instance") == self._CHECK

    def operator_token_hash(self, token: str) -> str:
        """The hash used to look up an operator token; it reveals nothing without the master key."""
        return token_hash(self._owner_token_key, token)

    def wrap(self, secrets: Secrets, token: str) -> str:
        """The encrypted text to store for the application with that token."""
        return self._cipher.encrypt(msgspec.json.encode(secrets).decode(), f"application:{token}")

    def unwrap(self, stored: str, token: str) -> Secrets:
        """The decrypted secrets. Raises ConfigurationError when the text was changed or is of another application."""
        text = self._cipher.decrypt(stored, f"application:{token}")
        if text is None:
            raise ConfigurationError(
                f"The secrets of application {token} in the control store cannot be decrypted, although the master "
                "key is right: the row was changed outside apilane. Restore the control store from a backup."
            )
        return msgspec.json.decode(text, type=Secrets)


def masked(value: Any, secrets: Iterable[str]) -> Any:
    """``value`` (decoded JSON) with ``secrets`` masked wherever they occur in its texts; keys are unchanged."""
    # Longest first: otherwise masking a short secret inside a longer one leaves the rest of the longer one readable.
    ordered = sorted(set(secrets), key=len, reverse=True)
    if not ordered:
        return value
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(t)}(?!\w)" if len(t) < SHORT else re.escape(t) for t in ordered))

    def clean(item: Any) -> Any:
        if isinstance(item, str):
            return pattern.sub(MASK, item)
        if isinstance(item, dict):
            return {key: clean(each) for key, each in item.items()}
        if isinstance(item, list | tuple):
            return [clean(each) for each in item]
        return item

    return clean(value)
