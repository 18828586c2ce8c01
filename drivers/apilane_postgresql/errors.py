"""Translates PostgreSQL's errors to Apilane's. The caller sets the original error as the cause.

The connection looks up the columns of a violated constraint, because the constraint's name may be cut or hashed.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import asyncpg

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

__all__ = ["FAILURES", "connect_failure", "is_lost", "translate", "visible"]

FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""The errors that running a statement can raise; TimeoutError: the server did not answer at all."""

_VISIBLE: Final = {
    (entity, column.name): column.shows for entity, columns in HIDDEN_COLUMNS.items() for column in columns
}

_argument = re.compile(r"query argument \$(\d+)")
_length = re.compile(r"character varying\((\d+)\)")
_precision = re.compile(r"precision (\d+), scale (\d+)|(\d+)[^\d]+(\d+)[^\d]+10\^")
_waited_for_row = re.compile(r"\(\d+,\d+\)").search
"""The context of a wait for another transaction, in any language: ``while updating tuple (0,1) in relation "Rows"``."""
_detail = re.compile(r'\(("?\w+"?(?:, "?\w+"?)*)\)=\(')


def visible(table: str | None, columns: Sequence[str]) -> tuple[str, ...]:
    """Columns as the schema names them: a hidden column is shown as the property it belongs to."""
    return tuple(_VISIBLE.get((table or "", column), column) for column in columns)


def is_lost(error: BaseException) -> bool:
    """Whether the connection is lost."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] == "08" or error.sqlstate in {"57P01", "57P02", "57P03"}
    if isinstance(error, asyncpg.InterfaceError):
        return "is closed" in str(error) or "was closed" in str(error)
    return isinstance(error, (OSError, asyncpg.InternalClientError))


def translate(  # one line for each kind of failure
    error: BaseException,
    *,
    statement: Statement | None = None,
    parameters: Sequence[Value] = (),
    columns: Sequence[str] = (),
) -> StorageError:
    """Apilane's error for an error of asyncpg; ``columns``: those of the violated constraint, if known."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, asyncpg.DataError) and not getattr(error, "severity", None):
        return _refused_by_client(error, statement)
    if isinstance(error, TimeoutError):
        return Unavailable("PostgreSQL did not answer in time.")  # not run again: the next try would time out too
    if is_lost(error):
        return ConnectionLost("PostgreSQL ended the connection.")
    if not isinstance(error, asyncpg.PostgresError):
        return StorageError(f"PostgreSQL: {error}")
    state = error.sqlstate or ""
    table: str | None = getattr(error, "table_name", None)
    match state:
        case "23505":
            return _violated(UniqueViolation, "Value already exists", table, columns or _of_detail(error))
        case "23503" | "23001":
            return _violated(ForeignKeyViolation, "Foreign key constraint violation", table, columns)
        case "23502":
            return _violated(NotNullViolation, "Required", table, (error.column_name or "",))
        case "22001":
            return ValueTooLong("The value is longer than its column.", columns=_too_long(error, statement, parameters))
        case "22003":
            return NumberOutOfRange(
                "The number does not fit its column.", columns=_too_large(error, statement, parameters)
            )
        case "54000":
            return ValueTooLong("The value is too long for an index of its column.", table=table)
        case "P0001":
            return Raised(str(error.args[0]))
        case "40P01" | "40001":
            return Deadlock("The unit was chosen as the victim of a deadlock.")
        case "55P03":
            return Unavailable("A row or table was locked by another transaction for too long.")
        case "57014" if _waited_for_row(getattr(error, "context", None) or ""):
            return Unavailable("Rows were locked by other transactions for too long.")
        case "57014" | "25P03" | "25P04":
            return StatementTimeout("The statement took longer than its time limit.")
        case "42P01" | "42703" | "3F000":
            return MissingObject(str(error))
        case "42501":
            return Unavailable(f"The database user lacks a right: {error}. Grant it, or use another user.")
        case "25006":
            return Unavailable("The database is read-only: is the server a standby?")
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Deadlock("The tables changed while the unit ran.")
    if state[:2] in {"53", "58", "XX"}:
        return Unavailable(f"PostgreSQL reports a server error: {error}.")
    return StorageError(f"PostgreSQL: {error}")


def _violated(kind: type[StorageError], text: str, table: str | None, columns: Sequence[str]) -> StorageError:
    shown = visible(table, [column for column in columns if column])
    return kind(f"{text}: {', '.join(shown)}" if shown else text, table=table, columns=shown)


def _of_detail(error: asyncpg.PostgresError) -> list[str]:
    """Columns from ``("A", "B")=(1, 2)``, which does not depend on the server's language."""
    found = _detail.search(getattr(error, "detail", None) or "")
    return [name.strip('"') for name in found[1].split(", ")] if found else []


def _refused_by_client(error: asyncpg.DataError, statement: Statement | None) -> StorageError:
    """The error for a value that does not fit the type of its parameter; nothing was sent."""
    found = _argument.search(str(error))
    columns = _columns(statement, [int(found[1]) - 1]) if found else ()
    if isinstance(error.__cause__, OverflowError) or "out of int" in str(error):
        return NumberOutOfRange("The number does not fit into 64 bits.", columns=columns)
    return StorageError(f"PostgreSQL: the value of {', '.join(columns) or 'a parameter'} has the wrong type or form.")


def _columns(statement: Statement | None, positions: Sequence[int]) -> tuple[str, ...]:
    if statement is None or not statement.writes:
        return ()
    names = (statement.order[position] for position in positions if position < len(statement.order))
    return tuple(name.removeprefix("new_") for name in names)


def _too_long(
    error: asyncpg.PostgresError, statement: Statement | None, parameters: Sequence[Value]
) -> tuple[str, ...]:
    """The column of the only text that exceeds the length in the message; empty if several texts do."""
    found = _length.search(str(error))
    if not found:
        return ()
    longer = [at for at, value in enumerate(parameters) if isinstance(value, str) and len(value) > int(found[1])]
    return _columns(statement, longer) if len(longer) == 1 else ()


def _too_large(
    error: asyncpg.PostgresError, statement: Statement | None, parameters: Sequence[Value]
) -> tuple[str, ...]:
    found = _precision.search(getattr(error, "detail", None) or "")
    if not found:
        return ()
    precision, scale = (int(digits) for digits in found.groups() if digits is not None)
    limit = 10 ** (precision - scale)
    larger = [
        at for at, value in enumerate(parameters) if isinstance(value, Decimal) and abs(round(value, scale)) >= limit
    ]
    return _columns(statement, larger) if len(larger) == 1 else ()


def connect_failure(error: BaseException, address: ServerAddress, timeout_s: float, limit: int) -> StorageError:
    """Why connecting failed, and which setting to check. Never contains the password."""
    server = f"PostgreSQL at {address.host}:{address.port}"
    if isinstance(error, TimeoutError):
        return ConnectionRefused(f"{server} did not answer within {timeout_s:.0f} s; look at Host and Port.")
    if isinstance(error, ssl.SSLError) or "SSL" in str(error):
        return ConnectionRefused(
            f"{server} and this client do not agree on TLS: {error}; look at sslmode, sslrootcert and Host."
        )
    if isinstance(error, (FileNotFoundError, asyncpg.ClientConfigurationError)):
        return ConnectionRefused(
            "A file named by sslrootcert, sslcert or sslkey cannot be read; verify-ca and verify-full need sslrootcert."
        )
    if isinstance(error, asyncpg.PostgresError):
        return _refused_by_server(error, server, address, limit)
    if isinstance(error, (OSError, asyncpg.InterfaceError)):
        reason = getattr(error, "strerror", None) or str(error)
        return ConnectionRefused(f"{server} cannot be reached: {reason}; look at Host and Port.")
    return ConnectionRefused(f"{server}: {type(error).__name__}; look at the connection string.")


def _refused_by_server(
    error: asyncpg.PostgresError, server: str, address: ServerAddress, limit: int
) -> ConnectionRefused | Unavailable:
    match error.sqlstate:
        case "28P01" | "28000":
            text = f"{server} refused the user {address.user!r}: {error}. Look at User and Password"
            return ConnectionRefused(f"{text} (and pg_hba.conf).")
        case "3D000":
            return ConnectionRefused(f"{server} has no database {address.database!r}; create it, or look at Database.")
        case "42501":
            return ConnectionRefused(
                f"{server}: the user {address.user!r} may not connect to the database {address.database!r}; "
                "grant CONNECT, or look at User and Database."
            )
        case "53300":
            return Unavailable(
                f"{server} has no connection left: {error}. Lower database_connections (this process opens up to "
                f"{limit}), or raise max_connections of the server."
            )
        case "57P03":
            return Unavailable(f"{server} is starting or stopping: {error}.")
    return ConnectionRefused(f"{server}: {error}.")
