"""Translates the server's error numbers to Apilane's errors. The caller sets the original error as the cause."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from typing import Any, Final

import asyncmy.errors

from apilane.plugin.storage import (
    HIDDEN_COLUMNS,
    ConnectionLost,
    ConnectionRefused,
    Deadlock,
    ForeignKeyViolation,
    MissingObject,
    NotNullViolation,
    NumberOutOfRange,
    Raised,
    ServerAddress,
    Statement,
    StatementTimeout,
    StorageError,
    Unavailable,
    UniqueViolation,
    Value,
    ValueTooLong,
)

__all__ = [
    "DUPLICATE_NUMBERS",
    "connect_failure",
    "duplicate_key",
    "is_lost",
    "is_packet_refused",
    "packet_too_large",
    "translate",
]

PACKET_HEAD_BYTES: Final = 4096
"""More than a statement has beside its text and its values."""

DUPLICATE_NUMBERS: Final = frozenset({1062, 1169, 1586})
_LOST: Final = frozenset({0, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055, 4031})
_NOT_NULL: Final = frozenset({1048, 1138, 1263, 1364, 1566})
_PARENT: Final = frozenset({1217, 1451})
_CHILD: Final = frozenset({1216, 1452, 1761, 1762})
_RANGE: Final = frozenset({1264, 1366, 1367, 1690, 1916, 1292})
_MISSING: Final = frozenset({1051, 1054, 1146, 1109})
_TIMEOUT: Final = frozenset({1969, 3024, 1317})
_FULL: Final = frozenset({1021, 1026, 1114, 1030, 1037, 1038, 1041, 3675})
_READ_ONLY: Final = frozenset({1290, 1792, 1836, 1223})
_LIMIT: Final = frozenset({1040, 1203, 1226, 1461})
_FORBIDDEN: Final = frozenset({1044, 1142, 1143, 1227, 1370, 1410})

_DUPLICATE: Final = re.compile(r"for key '(?:(?P<table>[^'.]+)\.)?(?P<key>[^']+)'\s*$")
_QUOTED_COLUMN: Final = re.compile(
    r"(?:[Cc]olumn|[Ff]ield) '(?:[^'.]+\.)*(?P<column>[^'.]+)'|[Ff]ield '(?P<field>[^']+)'"
)
_CHILD_COLUMN: Final = re.compile(
    r"\(`(?:[^`]|``)+`\.`(?P<table>(?:[^`]|``)+)`, CONSTRAINT .*? FOREIGN KEY \(`(?P<column>[^`]+)`\)"
)
_VISIBLE: Final = {
    (entity.lower(), column.name.lower()): column.shows
    for entity, columns in HIDDEN_COLUMNS.items()
    for column in columns
}
_TABLES_OF_HIDDEN: Final = {column.name: column.shows for columns in HIDDEN_COLUMNS.values() for column in columns}


def _number(error: BaseException) -> int | None:
    number = error.args[0] if error.args else None
    return number if isinstance(number, int) else None


def _text(error: BaseException) -> str:
    return str(error.args[1]) if len(error.args) > 1 else str(error)


def is_lost(error: BaseException) -> bool:
    """Whether the connection cannot be used any more."""
    if isinstance(error, (OSError, EOFError)) or _number(error) in _LOST:
        return True
    return isinstance(error, asyncmy.errors.InternalError) and _number(error) is None  # an answer that makes no sense


def is_packet_refused(error: BaseException) -> bool:
    """Whether the server refused a statement as too large. It then ends the connection."""
    return _number(error) == 1153


def packet_too_large(statement: Statement, parameters: Sequence[Value], packet_max_bytes: int) -> ValueTooLong | None:
    """The error for a statement that is larger than the server accepts; None when it is not.

    The server ends the connection of such a statement, often before the client can read why.
    """
    sizes = [len(value.encode()) if isinstance(value, str) else 0 for value in parameters]
    if sum(sizes) + len(statement.text) + PACKET_HEAD_BYTES <= packet_max_bytes:
        return None
    columns: tuple[str, ...] = ()
    at = max(range(len(sizes)), key=sizes.__getitem__, default=0)
    if statement.writes and at < len(statement.order):
        columns = (visible(None, statement.order[at].removeprefix("new_")),)
    return ValueTooLong(
        f"The values are larger than max_allowed_packet of the server, {packet_max_bytes} bytes.", columns=columns
    )


def duplicate_key(error: BaseException) -> tuple[str | None, str]:
    """The table, if the message names it, and the name of the violated unique key."""
    found = _DUPLICATE.search(_text(error))
    return (found["table"], found["key"]) if found else (None, "")


def visible(table: str | None, column: str) -> str:
    """The property of a hidden column (B-D17)."""
    if table is None:
        return _TABLES_OF_HIDDEN.get(column, column)
    return _VISIBLE.get((table.lower(), column.lower()), column)


def translate(
    error: BaseException, place: str, keys: dict[str, tuple[str, tuple[str, ...]]] | None = None
) -> StorageError:
    """Apilane's error for what the client raised at ``place``. ``keys``: tables and columns by unique key."""
    if isinstance(error, StorageError):
        return error
    number, text = _number(error), _text(error)
    if isinstance(error, UnicodeDecodeError):
        return StorageError(
            "A column has a type that the client library cannot read, such as VECTOR. Convert it, for example by "
            "VECTOR_TO_STRING or HEX."
        )
    if isinstance(error, UnicodeError):
        return StorageError("The text contains half of a surrogate pair, which is not a character.")
    if isinstance(error, OverflowError) or (number is None and isinstance(error, (ValueError, TypeError))):
        return NumberOutOfRange("The number does not fit into 64 bits.") if _is_range(error) else StorageError(text)
    if is_lost(error):
        return ConnectionLost(f"The connection to {place} was lost: {text}")
    if number is None:
        return StorageError(f"MySQL: {text}")
    return _of_number(number, text, error, place, keys or {})


def _is_range(error: BaseException) -> bool:
    return isinstance(error, OverflowError) or "int too" in str(error) or "out of range" in str(error)


def _of_number(
    number: int, text: str, error: BaseException, place: str, keys: dict[str, tuple[str, tuple[str, ...]]]
) -> StorageError:
    if number in DUPLICATE_NUMBERS:
        return _unique(error, keys)
    if number in _NOT_NULL:
        return _of_column(NotNullViolation, "Required", text)
    if number in _PARENT or number in _CHILD:
        return _foreign_key(text)
    if number == 1406 or (number == 1265 and "too long" in text):
        return _of_column(ValueTooLong, "Too long", text)
    if number == 1265:  # data truncated: nulls in a column that becomes required, or a number cut short
        return _of_column(NotNullViolation, "Required", text)
    if number == 1366 and "string value" in text:
        return StorageError("The text holds bytes that are not a character.")
    if number in _RANGE:
        return _of_column(NumberOutOfRange, "Out of range", text)
    if number in _MISSING:
        return MissingObject(text)
    if number in {1213, 1020}:
        return Deadlock(text)
    if number == 1205:
        return Unavailable(f"A row of {place} was locked by another transaction for too long: {text}")
    if number in _TIMEOUT:
        return StatementTimeout("The statement took longer than its time limit.")
    if number == 1153:
        return ValueTooLong(f"The value is larger than the server's max_allowed_packet: {text}")
    if number in _FULL:
        return Unavailable(f"The server of {place} cannot store more: {text}; look at its disk and its log.")
    if number in _READ_ONLY:
        return Unavailable(f"The server of {place} is read-only: {text}; name the primary server in ConnectionString.")
    if number in _LIMIT:
        return _limit(text, place)
    if number in _FORBIDDEN:
        return ConnectionRefused(
            f"The user of {place} may not do this: {text}. Grant it all privileges on its own database, or name "
            "another user in ConnectionString."
        )
    if getattr(error, "sqlstate", None) == "45000" or number == 1644:
        return Raised(text)
    return StorageError(f"MySQL ({number}): {text}")


def _unique(error: BaseException, keys: dict[str, tuple[str, tuple[str, ...]]]) -> StorageError:
    table, key = duplicate_key(error)
    if key == "PRIMARY":
        return UniqueViolation("Value already exists: ID", table=table, columns=("ID",))
    owner, columns = keys.get(f"{table or ''}.{key}", keys.get(key, (table, ())))
    shown = tuple(visible(owner, column) for column in columns)
    return UniqueViolation(f"Value already exists: {', '.join(shown) or key}", table=owner, columns=shown)


def _of_column(kind: type[StorageError], text: str, message: str) -> StorageError:
    found = _QUOTED_COLUMN.search(message)
    if found is None:
        return kind(f"{text} ({message})")
    column = visible(None, found["column"] or found["field"])
    return kind(f"{text}: {column}", columns=(column,))


def _foreign_key(message: str) -> StorageError:
    found = _CHILD_COLUMN.search(message)
    if found is None:
        return ForeignKeyViolation("Foreign key constraint violation")
    table = None if found["table"].startswith("#sql") else found["table"]  # a temporary name during a rebuild
    text = f"Foreign key constraint violation: {found['column']}"
    return ForeignKeyViolation(text, table=table, columns=(found["column"],))


def _limit(text: str, place: str, connections: int | None = None) -> Unavailable:
    ours = "" if connections is None else f" (each process of this server opens up to {connections})"
    return Unavailable(
        f"The server of {place} allows no more connections: {text}. Raise its max_connections or the user's limit, or "
        f"lower database_connections{ours}."
    )


def connect_failure(error: BaseException, address: ServerAddress, timeout_s: float, connections: int) -> StorageError:
    """The error for a connection that could not be opened; it names the part of the connection string to check."""
    if isinstance(error, StorageError):
        return error
    number, text = _number(error), _text(error)
    place = f"{address.host}:{address.port}"
    if number in _LIMIT:
        return _limit(text, address.place, connections)
    if number in {1045, 1698, 1820, 1862, 3118, 4151}:
        return ConnectionRefused(
            f"The server {place} refused user {address.user!r} or its password. Correct user and password in the "
            "ConnectionString, or the account's host on the server."
        )
    if number in {1044, 1049, 1102}:
        return ConnectionRefused(
            f"The server {place} has no database {address.database!r} that user {address.user!r} may use. Create it, "
            "grant it, or correct the database in the ConnectionString."
        )
    if number in {1129, 1130}:
        return ConnectionRefused(f"The server {place} accepts no connections from this machine: {text}.")
    if number in {2059, 1251}:
        return ConnectionRefused(
            f"User {address.user!r} at {place} signs in by a method that is not supported: {text}."
        )
    if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
        return ConnectionRefused(
            f"The server {place} did not answer within {timeout_s:.0f} s. Check host and port in the ConnectionString."
        )
    cause: Any = error.__cause__ or error
    if isinstance(cause, ssl.SSLError):
        return ConnectionRefused(
            f"The server {place} and this client do not agree on TLS: {cause}. Check ssl-mode, ssl-ca and the "
            "host's name in the ConnectionString."
        )
    if number in {2002, 2003, 2005} or isinstance(error, OSError):
        why = getattr(cause, "strerror", None) or str(cause) or text
        return ConnectionRefused(
            f"The server {place} cannot be reached: {why}. Check host and port in the ConnectionString, and that the "
            "server runs."
        )
    return ConnectionRefused(f"The server {place} cannot be used by {address.place}: {text}.")
