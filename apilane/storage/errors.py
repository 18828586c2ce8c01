"""What can go wrong in storage, the same family for every driver; the database's own error is the cause.

``apilane.services`` turns these into wire errors; drivers make them from SQLSTATE or vendor numbers.
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
    "Raised",
    "StatementTimeout",
    "StorageError",
    "Unavailable",
    "UniqueViolation",
    "Unsupported",
    "ValueTooLong",
]


class StorageError(Exception):
    """Any failure in storage. ``columns``: the columns concerned as named in the database, where known."""

    def __init__(self, message: str, *, table: str | None = None, columns: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.table = table
        self.columns = columns


class UniqueViolation(StorageError):
    """A value is there already."""


class ForeignKeyViolation(StorageError):
    """A reference leads nowhere, or a referenced row would go. SQLite cannot say which: ``columns`` is empty."""


class NotNullViolation(StorageError):
    """A required column got null."""


class ValueTooLong(StorageError):
    """Text is longer than its column."""


class NumberOutOfRange(StorageError):
    """A number does not fit its column."""


class Raised(StorageError):
    """The author of the SQL raised it on purpose; its text is meant for callers."""


class Deadlock(StorageError):
    """Chosen as a victim; the unit may be run again."""


class StatementTimeout(StorageError):
    """Over the time limit."""


class Unavailable(StorageError):
    """The database is down, full, read-only, or busy for longer than the wait allows."""


class ConnectionRefused(Unavailable):
    """Wrong host, port, credentials or database name; the message names the setting."""


class ConnectionLost(Unavailable):
    """The server ended the connection or is out of reach; what was under way may or may not have happened."""


class MissingObject(StorageError):
    """No such table or column: the definition in memory is older or newer than the tables."""


class Unsupported(StorageError):
    """This driver cannot do that; ``Features`` says so beforehand."""
