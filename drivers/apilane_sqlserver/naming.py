"""Names and texts in T-SQL syntax. Pure."""

from __future__ import annotations

import re
from hashlib import blake2s
from typing import Final

__all__ = ["NAME_MAX", "key_column", "literal", "property_of", "quoted"]

NAME_MAX: Final = 128
"""Maximum length of an identifier in characters."""


def quoted(name: str) -> str:
    """``[name]``."""
    return f"[{name.replace(']', ']]')}]"


def literal(text: str) -> str:
    """``N'text'``; only for names, which contain no backslash."""
    return "N'" + text.replace("'", "''") + "'"


_KEY_COLUMN: Final = re.compile(r"H_\d{5}_(.+)")


def key_column(index: str, property: str) -> str:
    """The column that a unique index computes from a property: its longest name has 128 characters."""
    number = int.from_bytes(blake2s(index.encode(), digest_size=4).digest()) % 100_000
    return f"H_{number:05}_{property}"


def property_of(column: str) -> str:
    """The property of a computed column; other columns as they are."""
    found = _KEY_COLUMN.fullmatch(column)
    return found[1] if found else column
