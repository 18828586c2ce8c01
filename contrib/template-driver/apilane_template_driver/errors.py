"""Translates errors of ``sqlite3`` into Apilane's, by their code if they have one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from apilane.plugin.storage import (
    HIDDEN_COLUMNS,
    ForeignKeyViolation,
    MissingObject,
    NotNullViolation,
    NumberOutOfRange,
    StatementTimeout,
    StorageError,
    Unavailable,
    UniqueViolation,
)

__all__ = ["columns_of_index", "translate"]

_UNAVAILABLE = {"BUSY", "CANTOPEN", "CORRUPT", "FULL", "IOERR", "LOCKED", "NOTADB", "PERM", "READONLY"}
_shown = {(table, column.name): column.shows for table, columns in HIDDEN_COLUMNS.items() for column in columns}
_named = re.compile(r"constraint failed: (?!index ')(.+)")


def columns_of_index(error: BaseException, connection: sqlite3.Connection) -> list[str]:
    """Table and columns of the violated index on expressions, whose message names only the index; [] for others."""
    found = re.search(r"UNIQUE constraint failed: index '(.+)'", str(error))
    if found is None:
        return []
    row = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?", (found[1],)).fetchone()
    return re.findall(r'"((?:[^"]|"")+)"', row[0])[1:] if row else []  # the first name is that of the index


def translate(error: BaseException, path: str, names: Sequence[str] = ()) -> StorageError:
    """The error to raise; the caller keeps the original as its cause. ``names``: ``columns_of_index``."""
    if names:
        return UniqueViolation(str(error), table=names[0], columns=tuple(names[1:]))
    if isinstance(error, OverflowError):
        return NumberOutOfRange("The number does not fit into 64 bits.")
    if isinstance(error, UnicodeEncodeError):
        return StorageError("The text contains half of a surrogate pair, which is not a character.")
    code = str(getattr(error, "sqlite_errorname", "")).removeprefix("SQLITE_")
    if code.startswith(("CONSTRAINT_UNIQUE", "CONSTRAINT_PRIMARYKEY", "CONSTRAINT_ROWID")):
        return _of_columns(UniqueViolation, error)
    if code == "CONSTRAINT_NOTNULL":
        return _of_columns(NotNullViolation, error)
    if code in {"CONSTRAINT_FOREIGNKEY", "CONSTRAINT_TRIGGER"}:
        return ForeignKeyViolation("Foreign key constraint violation")
    if code == "INTERRUPT":
        return StatementTimeout("The statement took longer than its time limit.")
    if code.split("_")[0] in _UNAVAILABLE:
        folder = Path(path).parent
        hint = "" if folder.is_dir() else f"; the folder {folder} does not exist"
        return Unavailable(f"The database {path} cannot be used: {error}{hint}.")
    if isinstance(error, sqlite3.OperationalError) and re.match("no such (table|column)|table .* has no", str(error)):
        return MissingObject(str(error))
    return StorageError(f"SQLite: {error}")


def _of_columns(kind: type[StorageError], error: BaseException) -> StorageError:
    """The error with the columns that the message names. A hidden column is replaced by its property."""
    found = _named.search(str(error))
    pairs = [name.partition(".")[::2] for name in found[1].split(", ")] if found else []
    columns = tuple(_shown.get((table, column), column) for table, column in pairs)
    return kind(str(error), table=pairs[0][0] if pairs else None, columns=columns)
