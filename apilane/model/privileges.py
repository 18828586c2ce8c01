"""The privileges of SQL written by an application's developer, the same for every provider. Pure.

It may read everything; secrets read as null. It may write records except where the server maintains them: tokens,
sign-in names and the helper tables have their own calls. Source: ``docs/reference/protocol/query-language.md`` B-Q11,
``docs/reference/protocol/data-model.md`` B-D3, B-D4, B-D12, B-D17.
"""

from __future__ import annotations

from typing import Final

from apilane.model.system import FIRST_HELPER_TABLES, HELPER_TABLES, HIDDEN_COLUMNS

__all__ = ["ROWS_MAX", "is_private", "may_delete", "may_insert", "may_update", "reads_as_null"]

ROWS_MAX: Final = 50_000
"""Rows that one run may return, all its results together."""

_SECRETS: Final = frozenset(
    {
        ("users", "password"),
        ("authtokens", "token"),
        *(("authtokens", column.name.lower()) for column in HIDDEN_COLUMNS["AuthTokens"]),
        *((table.name.lower(), "token") for table in HELPER_TABLES if table.property("Token") is not None),
    }
)

_SIGN_IN: Final = frozenset(
    {"password", "email", "username", *(column.name.lower() for column in HIDDEN_COLUMNS["Users"])}
)
"""Columns of Users that the server keeps consistent with hidden columns, tokens and the confirmed address."""


_VISIBLE: Final = frozenset(table.name.lower() for table in FIRST_HELPER_TABLES)


def is_private(table: str) -> bool:
    """Whether custom SQL must not use the table: all helper tables except the first ones, which custom SQL has always
    seen.
    """
    name = table.lower()
    return name.startswith("h_") and name not in _VISIBLE


def reads_as_null(table: str, column: str) -> bool:
    """Whether custom SQL reads the value as null, in conditions too."""
    return (table.lower(), column.lower()) in _SECRETS


def may_insert(table: str) -> bool:
    """Whether custom SQL may insert rows: not into tables whose rows the server creates."""
    name = table.lower()
    return not name.startswith("h_") and name not in {"authtokens", "users"}


def may_update(table: str, column: str) -> bool:
    """Whether custom SQL may change the column."""
    name = table.lower()
    if name == "users":
        return column.lower() not in _SIGN_IN
    return not name.startswith("h_") and name != "authtokens"


def may_delete(table: str) -> bool:
    """Whether custom SQL may delete rows. Tokens may be deleted, which is a sign-out; cascades from Users delete them
    too.
    """
    name = table.lower()
    return not name.startswith("h_") or (name.startswith("h_auth_") and name in _VISIBLE)
