"""Rules for names (docs/reference/protocol/data-model.md sections 1, 2.3, 8 and B-D2, B-D17). Each function returns the
problem of a name, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from apilane.model.system import HELPER_TABLES
from apilane.model.text import utf16_length

__all__ = [
    "ANONYMOUS",
    "AUTHENTICATED",
    "RESERVED_WORDS",
    "application_name_problem",
    "differentiation_name_problem",
    "endpoint_name_problem",
    "entity_name_problem",
    "property_name_problem",
    "role_problem",
]

ANONYMOUS: Final = "ANONYMOUS"
AUTHENTICATED: Final = "AUTHENTICATED"

RESERVED_WORDS: Final = frozenset({"schema", "files", "users", "authtokens"})
_HELPER_NAMES: Final = frozenset(entity.name.lower() for entity in HELPER_TABLES)

_letters: Callable[[str], object] = re.compile(r"[a-zA-Z]+").fullmatch
_letters_and_underscore: Callable[[str], object] = re.compile(r"[a-zA-Z_]+").fullmatch
_custom_role: Callable[[str], object] = re.compile(r"[a-z]{2,}").fullmatch


def _length_problem(name: str, shortest: int, longest: int) -> str | None:
    length = utf16_length(name)
    if shortest <= length <= longest:
        return None
    return f"has {length} characters; {shortest} to {longest} are allowed"


def _reserved_problem(name: str) -> str | None:
    lower = name.lower()
    if lower in _HELPER_NAMES or lower.startswith("h_"):
        return "begins with 'H_', which is reserved for the server's own tables and columns"
    if lower.endswith("__backup__"):
        return "ends in '__backup__', which is reserved for the server's own tables"
    if lower.startswith("sqlite_"):
        return "begins with 'sqlite_', which SQLite reserves"
    if lower in RESERVED_WORDS:
        return f"is one of the reserved words {', '.join(sorted(RESERVED_WORDS))}"
    return None


def application_name_problem(name: str) -> str | None:
    """An application: 4-100 printable characters, no outer blanks. The command line prints it beside the token."""
    if not name.isprintable():
        return "contains a line break or another character that cannot be printed"
    if name != name.strip():
        return "has blanks around it"
    return _length_problem(name, 4, 100)


def entity_name_problem(name: str) -> str | None:
    """A custom entity: letters and ``_``, 4-30 characters, no reserved word or reserved form."""
    if not _letters_and_underscore(name):
        return "may contain only the letters a-z, A-Z and '_'"
    return _length_problem(name, 4, 30) or _reserved_problem(name)


def property_name_problem(name: str) -> str | None:
    """A custom property: letters and ``_``, 4-120 characters, no ``_Data`` at the end, no ``H_`` in front."""
    if not _letters_and_underscore(name):
        return "may contain only the letters a-z, A-Z and '_'"
    if name.endswith("_Data"):
        return "ends in '_Data', which is reserved"
    if name.lower().startswith("h_"):
        return "begins with 'H_', which is reserved for the server's own columns"
    return _length_problem(name, 4, 120)


def endpoint_name_problem(name: str) -> str | None:
    """A custom endpoint: letters only, at most 80, no reserved word."""
    if not _letters(name):
        return "may contain only the letters a-z and A-Z"
    return _length_problem(name, 1, 80) or _reserved_problem(name)


def differentiation_name_problem(name: str) -> str | None:
    """The differentiation entity: letters only, at most 40, no reserved word."""
    if not _letters(name):
        return "may contain only the letters a-z and A-Z"
    return _length_problem(name, 1, 40) or _reserved_problem(name)


def role_problem(role: str) -> str | None:
    """``ANONYMOUS``, ``AUTHENTICATED`` or a custom role of lower-case letters."""
    if role in {ANONYMOUS, AUTHENTICATED} or _custom_role(role):
        return None
    return f"is neither {ANONYMOUS} nor {AUTHENTICATED} nor a custom role of two or more letters a-z"
