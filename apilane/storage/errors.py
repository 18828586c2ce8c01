"""Errors of storage, the same classes for every driver; ``__cause__`` is the error of the client library.

Drivers choose the class by SQLSTATE or vendor number; ``apilane.services`` turns them into wire errors.
"""

from __future__ import annotations

__all__ = [
    "ConnectionLost",
    "ConnectionRefused",
    "Deadlock",
    "ForeignKeyViolation",
    "MissingObject",
    "NotNullViolation",
    "NumberOutOfRange",
    "OutOfStep",
    "Raised",
    "StatementTimeout",
    "StorageError",
    "Unavailable",
    "UniqueViolation",
    "Unsupported",
    "ValueTooLong",
]


class StorageError(Exception):
    """Any failure in storage. ``columns``: names of the affected columns in the database, if known."""

    def __init__(self, message: str, *, table: str | None = None, columns: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.table = table
        self.columns = columns


class UniqueViolation(StorageError):
    """A value already exists."""


class ForeignKeyViolation(StorageError):
    """A referenced row does not exist, or is still referenced. SQLite does not report which: ``columns`` is empty."""


class NotNullViolation(StorageError):
    """A required column was set to null."""


class ValueTooLong(StorageError):
    """Text is longer than its column."""


class NumberOutOfRange(StorageError):
    """A number does not fit its column."""


class Raised(StorageError):
    """The SQL raised this error on purpose; callers may read its text."""


class Deadlock(StorageError):
    """The database ended the unit as the victim of a deadlock; the unit may be run again."""


class StatementTimeout(StorageError):
    """A statement exceeded its time limit."""


class Unavailable(StorageError):
    """The database is down, full, read-only, or busy for longer than the wait allows."""


class ConnectionRefused(Unavailable):
    """Wrong host, port, credentials or database name; the message names the setting to correct."""


class ConnectionLost(Unavailable):
    """The server ended the connection or is unreachable. The running operation may or may not have been stored."""


class OutOfStep(Unavailable):
    """The tables of an application and its definition are from different moments."""


class MissingObject(StorageError):
    """A table or column is missing: the definition in memory is older or newer than the tables."""


class Unsupported(StorageError):
    """This driver does not support the operation; ``Features`` shows it in advance."""
