"""Decides what custom SQL may do in SQLite: the authorizer is called for each action while a statement is compiled.

Also finds out why a script would fail, before a definition is applied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

import apsw

from apilane.plugin.storage import (
    Entity,
    Migration,
    Script,
    StorageError,
    is_private,
    may_delete,
    may_insert,
    may_update,
    named_placeholder,
    reads_as_null,
)
from apilane_sqlite import schema

__all__ = ["COMMENT", "QUOTED", "Guard", "guarded", "is_empty", "no_value", "problems_of", "statements_of"]

QUOTED: Final = r"""'(?:[^']|'')*+(?:'|\Z)|"(?:[^"]|"")*+(?:"|\Z)|`(?:[^`]|``)*+(?:`|\Z)|\[[^\]]*+(?:\]|\Z)"""
COMMENT: Final = r"--[^\n]*+|/\*.*?(?:\*/|\Z)"

VALUE_MAX_BYTES: Final = 30_000_000
CHECK_TIMEOUT_S: Final = 2.0
CHECK_PROGRESS_STEPS: Final = 100_000

_token = re.compile(f"{QUOTED}|{COMMENT}|;", re.DOTALL)

_READS: Final = frozenset({apsw.SQLITE_SELECT, apsw.SQLITE_RECURSIVE})
_WRITES: Final = frozenset({apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE})
_TEMPORARY: Final = frozenset(
    number
    for name, number in apsw.mapping_authorizer_function.items()
    if isinstance(name, str) and isinstance(number, int) and "_TEMP_" in name
)
_READING_PRAGMAS: Final = frozenset(
    {
        "data_version",  # full-text search reads it
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
_FORBIDDEN_FUNCTIONS: Final = frozenset({"load_extension", "fts3_tokenizer"})


class Guard:
    """The authorizer for one script."""

    __slots__ = ("changes", "functions", "nulled", "reads_only", "refusal", "special", "tables", "temporary", "writes")

    def __init__(self, *, reads_only: bool) -> None:
        self.reads_only = reads_only
        self.writes = False
        """A statement writes, if only to temporary tables."""
        self.temporary = False
        """A statement makes or drops temporary objects."""
        self.changes = False
        """The current statement writes to the application's tables."""
        self.nulled = ""
        """A secret that the current statement reads as null."""
        self.refusal = ""
        self.tables: set[str] = set()
        """The tables and views that were read, in any letter case."""
        self.functions: set[str] = set()
        """The functions that were called, in lower case; operators such as LIKE are functions too."""
        self.special = False
        """A statement is a PRAGMA, or reads one."""

    def __call__(self, what: int, first: str | None, second: str | None, database: str | None, _by: str | None) -> int:
        if what == apsw.SQLITE_READ:
            self.tables.add(first or "")
            if (first or "").lower() == "dbstat":  # a scan of the whole file
                return self._refuse("reading dbstat")
            if is_private(first or "") and database != "temp":
                return self._refuse(f"reading {first}")
            if not reads_as_null(first or "", second or ""):
                return apsw.SQLITE_OK
            # RETURNING gives the real value unless this denies the read.
            self.nulled = f"reading {first}.{second} in a statement that writes"
            return self._refuse(self.nulled) if self.changes else _IGNORE
        if what in _READS:
            return apsw.SQLITE_OK
        if what == apsw.SQLITE_FUNCTION:
            name = (second or "").lower()
            self.functions.add(name)
            forbidden = name in _FORBIDDEN_FUNCTIONS
            return self._refuse(f"the function {second}") if forbidden else apsw.SQLITE_OK
        if what == apsw.SQLITE_PRAGMA:
            self.special = True
            harmless = (first or "").lower() in _READING_PRAGMAS
            return apsw.SQLITE_OK if harmless else self._refuse(f"PRAGMA {first}")
        if what in _TEMPORARY or (what == apsw.SQLITE_REINDEX and database == "temp"):
            self.temporary = True
            return self._write()
        if what in _WRITES and self._may_write(what, first or "", second or "", database):
            # The order in which SQLite reports the read and the write depends on the statement.
            return self._refuse(self.nulled) if self.nulled and self.changes else self._write()
        return self._refuse(_named(what, first, second))

    def _may_write(self, what: int, table: str, column: str, database: str | None) -> bool:
        if database == "temp" or table.lower() == "sqlite_master":
            return True  # sqlite_master: within schema statements, which are checked too; SQLite refuses others
        if table.lower().startswith("sqlite_"):
            return False
        self.changes = True
        match what:
            case apsw.SQLITE_INSERT:
                return may_insert(table)
            case apsw.SQLITE_UPDATE:
                return may_update(table, column)
            case _:
                return may_delete(table)

    def _write(self) -> int:
        self.writes = True
        return apsw.SQLITE_DENY if self.reads_only else apsw.SQLITE_OK

    def _refuse(self, what: str) -> int:
        self.refusal = f"Custom SQL may not do this: {what}."
        return apsw.SQLITE_DENY


_IGNORE: Final = apsw.SQLITE_IGNORE
"""The authorizer's answer that makes a column null."""


def _named(what: int, first: str | None, second: str | None) -> str:
    name = str(apsw.mapping_authorizer_function[what]).removeprefix("SQLITE_").replace("_", " ")
    return " ".join(part for part in (name, first, second) if part)


@contextmanager
def guarded(connection: apsw.Connection, guard: Guard) -> Iterator[None]:
    """Apply the guard to all statements that are compiled on the connection."""
    longest = connection.limit(apsw.SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES)
    connection.authorizer = guard
    try:
        yield
    finally:
        connection.authorizer = None
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, longest)


def no_value(missing: KeyError) -> str:
    """The message for a parameter without a value."""
    name = missing.args[0]
    return f"The parameter :{name} has no value; callers' parameters are written {{{name}}}."


def statements_of(text: str) -> Iterator[str]:
    """The statements of a script; semicolons within CREATE TRIGGER do not separate them."""
    start = 0
    for token in _token.finditer(text):
        if token[0] == ";" and apsw.complete(text[start : token.end()]):
            yield text[start : token.end()]
            start = token.end()
    yield text[start:]


def is_empty(statement: str) -> bool:
    """Whether a statement consists of comments, blanks and semicolons."""
    return (
        not any(token[0] != ";" and not token[0].startswith(("--", "/*")) for token in _token.finditer(statement))
        and not _token.sub("", statement).strip()
    )


def problems_of(script: Script, entities: Sequence[Entity]) -> list[str]:
    """Why a script would fail on the tables of ``entities``: every statement is compiled under the guard, none runs.

    Only temporary objects are really made, because later statements use them.
    """
    connection = apsw.Connection(":memory:")
    try:
        for statement in schema.migrate(Migration(before=(), after=tuple(entities))):
            connection.execute(statement)
        return list(_problems(connection, script))
    finally:
        connection.close()


def _problems(connection: apsw.Connection, script: Script) -> Iterator[str]:
    values = {f"v_{name}": 1 for name in script.names}
    guard = Guard(reads_only=False)
    ends_at = monotonic() + CHECK_TIMEOUT_S
    connection.set_progress_handler(lambda: monotonic() > ends_at, CHECK_PROGRESS_STEPS)
    with guarded(connection, guard):
        for statement in statements_of(script.text(dict.fromkeys(script.names, 1), named_placeholder)):
            guard.changes = guard.temporary = False
            guard.refusal = guard.nulled = ""
            try:
                _compile(connection, statement, values)
                if guard.temporary:
                    connection.execute(statement, values, can_cache=False).fetchall()
            except KeyError as missing:
                yield no_value(missing)
            except (apsw.Error, StorageError) as error:
                yield guard.refusal or f"{str(error).removesuffix('.')}."


def _compile(connection: apsw.Connection, statement: str, values: dict[str, Any]) -> None:
    cursor = connection.cursor()
    cursor.exec_trace = lambda *_: False
    try:
        cursor.execute(statement, values, can_cache=False)
    except apsw.ExecTraceAbort:
        pass
    finally:
        cursor.close(True)
