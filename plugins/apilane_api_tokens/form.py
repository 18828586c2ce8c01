"""The form of a token: ``apl_<kind>_<random>_<checksum>``. Pure, and without secrets: it works offline.

The checksum is a CRC-32 of the text before it. A program can therefore tell a token from other texts without asking a
server, and the server refuses a misspelt one before any look-up. The checksum protects nothing; 190 random bits do.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Literal, NamedTuple
from zlib import crc32

__all__ = ["Kind", "Sent", "checksum", "find_tokens", "is_token", "new_token", "secret_hash", "sent_in", "shown"]

Kind = Literal["usr", "app"]
"""``usr``: of a user. ``app``: of the application itself."""

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_LENGTH: Final = 32
CHECKSUM_LENGTH: Final = 6
PREFIX: Final = "apl_"
HEADER_MAX: Final = 128
"""Longer than any scheme word with a token."""
_form = re.compile(rf"apl_(?:usr|app)_[0-9A-Za-z]{{{RANDOM_LENGTH}}}_[0-9A-Za-z]{{{CHECKSUM_LENGTH}}}")
_alone = re.compile(rf"(?<![0-9A-Za-z_]){_form.pattern}(?![0-9A-Za-z_])")


def checksum(text: str) -> str:
    """Six digits of base 62 for a text."""
    number, found = crc32(text.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        found = DIGITS[digit] + found
    return found


def new_token(kind: Kind) -> str:
    """A new token."""
    text = f"{PREFIX}{kind}_" + "".join(secrets.choice(DIGITS) for _ in range(RANDOM_LENGTH))
    return f"{text}_{checksum(text)}"


def is_token(text: str) -> bool:
    """Whether a text has the form of a token and the right checksum."""
    return _form.fullmatch(text) is not None and checksum(text[: -CHECKSUM_LENGTH - 1]) == text[-CHECKSUM_LENGTH:]


def find_tokens(text: str) -> Iterator[re.Match[str]]:
    """The tokens with the right checksum in a longer text."""
    return (found for found in _alone.finditer(text) if is_token(found[0]))


def shown(token: str) -> str:
    """The part of a token that may be shown: ``apl_usr_Ab3d...``. It identifies the token for its owner."""
    return f"{token[:12]}..."


def secret_hash(key: bytes, token: str) -> str:
    """The stored hash of a token: 64 hexadecimal digits that reveal nothing without ``key`` (32 bytes)."""
    return blake2b(token.encode(), digest_size=32, key=key).hexdigest()


class Sent(NamedTuple):
    """A token in a header. ``is_well_formed``: form and checksum are right."""

    token: str
    is_well_formed: bool


@lru_cache(4096)  # programs send the same header again
def sent_in(header: bytes) -> Sent | None:
    """The token of an ``Authorization`` header, its last word; None when it begins with another text than ``apl_``."""
    if len(header) > HEADER_MAX:
        return None
    word = header.rpartition(b" ")[2].decode("latin-1")
    return Sent(word, is_token(word)) if word.startswith(PREFIX) else None
