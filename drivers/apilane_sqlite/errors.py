"""Translates apsw's errors to ``apilane.storage.errors``. The caller sets the original error as the cause."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import apsw

from apilane.plugin.storage import (
    BETWEEN,
    HIDDEN_COLUMNS,
    ForeignKeyViolation,
    MissingObject,
    NotNullViolation,
    NumberOutOfRange,
    Raised,
    StatementTimeout,
    StorageError,
    Unavailable,
    UniqueViolation,
    ValueTooLong,
)

__all__ = ["FAILURES", "is_busy", "translate"]

FAILURES: Final = (apsw.Error, OverflowError, UnicodeEncodeError, TypeError)
"""The errors that running a statement can raise; TypeError: a value of a type that SQLite does not support."""

_BUSY: Final = (apsw.BusyError, apsw.LockedError)

_UNAVAILABLE: Final[dict[type[apsw.Error], str]] = {
    apsw.BusyError: "is locked by another program",
    apsw.LockedError: "is locked",
    apsw.FullError: "cannot grow: the disk, or the size allowed for the file, is full; free some space",
    apsw.IOError: "cannot be read or written; is the disk full? See the system's log",
    apsw.ReadOnlyError: "is read-only; let the server's user write the file and its folder",
    apsw.CantOpenError: "cannot be opened",
    apsw.PermissionsError: "cannot be opened: permission denied",
    apsw.CorruptError: "is damaged; restore it from a backup",
    apsw.NotADBError: "is not an SQLite database",
    apsw.NoMemError: "ran out of memory",
    apsw.ConnectionClosedError: "was closed during the call",
}

_RESTRICTED: Final = "FOREIGN KEY constraint failed"
"""SQLite reports a violated ON DELETE RESTRICT as a trigger does; any other trigger text is the application's."""

_SUM_OVERFLOW: Final = "integer overflow"

_COLUMNS: Final = re.compile(r"constraint failed: (?!index ')(.+)")
_MISSING: Final = re.compile(r"no such (?:table|column|index): |has no column named ")

_VISIBLE: Final = {
    (entity, column.name): column.shows for entity, columns in HIDDEN_COLUMNS.items() for column in columns
}


def is_busy(error: BaseException | None) -> bool:
    """Whether a retry may succeed."""
    return isinstance(error, _BUSY)


def translate(error: BaseException, path: str) -> StorageError:
    """Apilane's error for an error of apsw on the database at ``path``."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, apsw.ConstraintError):
        return _constraint(error)
    if isinstance(error, apsw.InterruptError):
        return StatementTimeout("The statement took longer than its time limit.")
    if isinstance(error, OverflowError):
        return NumberOutOfRange("The number does not fit into 64 bits.")
    if isinstance(error, UnicodeEncodeError):
        return StorageError("The text contains half of a surrogate pair, which is not a character.")
    if isinstance(error, apsw.TooBigError):
        return ValueTooLong("The value is longer than SQLite allows.")
    if isinstance(error, apsw.MismatchError):
        return NumberOutOfRange("The value does not fit the type of its column.")
    if isinstance(error, apsw.SQLError) and str(error) == _SUM_OVERFLOW:
        return NumberOutOfRange("The sum does not fit into 64 bits.")
    if isinstance(error, apsw.SQLError) and _MISSING.search(str(error)):
        return MissingObject(str(error))
    if isinstance(error, OSError):
        return Unavailable(f"The database {path} is not available: {error.strerror or error}.")
    for kind, text in _UNAVAILABLE.items():
        if isinstance(error, kind):
            return Unavailable(f"The database {path} {text}{_folder_hint(error, path)}.")
    return StorageError(f"SQLite: {error}")


def _folder_hint(error: BaseException, path: str) -> str:
    if not isinstance(error, apsw.CantOpenError):
        return ""
    folder = Path(path).parent
    if not folder.is_dir():
        return f": the folder {folder} does not exist"
    return ": is it a folder, may the server's user not read and write it and its folder, or are too many files open?"


def _constraint(error: apsw.ConstraintError) -> StorageError:
    match error.extendedresult:  # type: ignore[attr-defined]  # missing in apsw's stubs
        case apsw.SQLITE_CONSTRAINT_UNIQUE | apsw.SQLITE_CONSTRAINT_PRIMARYKEY | apsw.SQLITE_CONSTRAINT_ROWID:
            return _of_columns(UniqueViolation, "Value already exists", error)
        case apsw.SQLITE_CONSTRAINT_NOTNULL:
            return _of_columns(NotNullViolation, "Required", error)
        case apsw.SQLITE_CONSTRAINT_TRIGGER if str(error) != _RESTRICTED:
            return Raised(str(error))
        case apsw.SQLITE_CONSTRAINT_FOREIGNKEY | apsw.SQLITE_CONSTRAINT_TRIGGER:
            return ForeignKeyViolation("Foreign key constraint violation")
        case apsw.SQLITE_CONSTRAINT_DATATYPE:
            return NumberOutOfRange("The value does not fit the type of its column.")
        case _:
            return StorageError(f"SQLite: {error}")


def _of_columns(kind: type[StorageError], text: str, error: apsw.ConstraintError) -> StorageError:
    """Columns from ``UNIQUE constraint failed: T.A, T.B``; the message of an index on expressions names none."""
    found = _COLUMNS.search(str(error))
    if not found:
        return kind(f"{text} ({error})")
    pairs = [name.replace(f"{BETWEEN}.", ".").partition(".")[::2] for name in found[1].split(", ")]
    columns = tuple(_VISIBLE.get((table, column), column) for table, column in pairs)
    return kind(f"{text}: {', '.join(columns)}", table=pairs[0][0], columns=columns)
