"""An application's secrets: their shape, their wrapping under the master key, and keeping them out of what people read.

A wrapped secret is bound to its application's token, so a row copied to another application does not open.
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
"""Secrets below this length are masked only as whole words: ``a`` would blot out half the text."""


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one application that must not be readable at rest."""

    encryption_key: bytes
    """32 bytes; encrypts property values."""
    token_key: bytes
    """32 bytes; keys the hashes that tokens are looked up by."""
    connection_string: str | None = None
    mail_password: str | None = None
    plugins: dict[str, str] = {}
    """Of plugins, by key path in manifests, such as ``Plugins.mail.Password``."""

    @classmethod
    def new(cls) -> Secrets:
        """The secrets of a new application: its keys and nothing else."""
        return cls(encryption_key=new_key(), token_key=new_key())

    def changed(self, changes: Mapping[str, str | None]) -> Secrets:
        """These secrets with those that a plan changes; None removes one."""
        own = {name: text for name, text in changes.items() if not name.startswith("Plugins.")}
        plugins = {**self.plugins, **{name: text for name, text in changes.items() if name not in own}}
        kept = {name: text for name, text in plugins.items() if text is not None}
        return msgspec.structs.replace(self, plugins=kept, **own)

    def texts(self) -> Iterator[str]:
        """The secrets given by people, those that may stand in a manifest."""
        yield from (text for text in (self.connection_string, self.mail_password, *self.plugins.values()) if text)

    def __repr__(self) -> str:
        return f"Secrets({MASK})"


class SecretsBox:
    """Wraps and opens secrets under the master key."""

    __slots__ = ("_cipher", "_owner_token_key")

    _CHECK = "apilane control store"

    def __init__(self, master_key: bytes) -> None:
        self._cipher = Cipher(master_key)
        self._owner_token_key = token_hash(master_key, "owner tokens").encode()

    def check_value(self) -> str:
        """What ``knows`` recognises later under the same key only."""
        return self._cipher.encrypt(self._CHECK, "instance")

    def knows(self, check_value: str) -> bool:
        """Whether ``check_value`` was made under this key."""
        return self._cipher.decrypt(check_value, "instance") == self._CHECK

    def operator_token_hash(self, token: str) -> str:
        """What an owner token is looked up by; tells nothing without the master key."""
        return token_hash(self._owner_token_key, token)

    def wrap(self, secrets: Secrets, token: str) -> str:
        """The text to store for the application of that token."""
        return self._cipher.encrypt(msgspec.json.encode(secrets).decode(), f"application:{token}")

    def unwrap(self, stored: str, token: str) -> Secrets:
        """The secrets. Raises ConfigurationError when the text was changed or belongs to another application."""
        text = self._cipher.decrypt(stored, f"application:{token}")
        if text is None:
            raise ConfigurationError(
                f"The secrets of application {token} in the control store cannot be decrypted, though the master key "
                "is right: the row was changed outside apilane. Restore the control store from a backup."
            )
        return msgspec.json.decode(text, type=Secrets)


def masked(value: Any, secrets: Iterable[str]) -> Any:
    """``value`` (decoded JSON) with ``secrets`` masked wherever they stand in its texts; keys are left alone."""
    # Longest first: a secret inside a longer one must not leave the rest of the longer one readable.
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
