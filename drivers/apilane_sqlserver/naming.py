"""Names and texts in T-SQL syntax. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["NAME_MAX", "literal", "quoted"]

NAME_MAX: Final = 128
"""Maximum length of an identifier in characters."""


def quoted(name: str) -> str:
    """``[name]``."""
    return f"[{name.replace(']', ']]')}]"


def literal(text: str) -> str:
    """``N'text'``; only for names, which contain no backslash."""
    return "N'" + text.replace("'", "''") + "'"
