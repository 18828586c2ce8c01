"""Names and texts as T-SQL writes them. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["NAME_MAX", "literal", "quoted"]

NAME_MAX: Final = 128
"""Characters of an identifier."""


def quoted(name: str) -> str:
    """``[name]``."""
    return f"[{name.replace(']', ']]')}]"


def literal(text: str) -> str:
    """``N'text'``; only for names, which hold no backslash."""
    return "N'" + text.replace("'", "''") + "'"
