"""One connection: opened, set up, used by one thread at a time. The session chooses the thread.

Works in autocommit; a unit of several steps begins and ends its transaction explicitly. ``XACT_ABORT`` makes every
error undo the transaction, so that a unit cannot continue after an error.
"""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Final

from apilane.plugin.storage import (
    ConnectionLost,
    ConnectionRefused,
    Result,
    Row,
    ScriptStep,
    Statement,
    Step,
    StorageError,
    TimeLimits,
    Value,
)
from apilane_sqlserver.address import SQLServerAddress
from apilane_sqlserver.binding import bind
from apilane_sqlserver.errors import Constraint, constraint_of, read_failure, refused, shown, translate
from apilane_sqlserver.odbc import AccessToken, connection_string, is_freetds, load_pyodbc, token_attributes
from apilane_sqlserver.script import run_script
from apilane_sqlserver.values import convert_results

__all__ = ["CancelledError", "Connection", "open_connection"]

SETTINGS: Final = "; ".join(
    (
        "SET ANSI_NULLS ON",
        "SET ANSI_PADDING ON",
        "SET ANSI_WARNINGS ON",
        "SET ARITHABORT ON",
        "SET CONCAT_NULL_YIELDS_NULL ON",
        "SET QUOTED_IDENTIFIER ON",
        "SET NUMERIC_ROUNDABORT OFF",
        "SET XACT_ABORT ON",
        "SET IMPLICIT_TRANSACTIONS OFF",
        "SET LANGUAGE us_english",
        "SET TEXTSIZE 2147483647",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    )
)
"""Filtered indexes need the first seven settings. Error texts are parsed, so they must be English."""

BEGIN: Final = "BEGIN TRANSACTION"
COMMIT: Final = "COMMIT TRANSACTION"
ROLLBACK: Final = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"

COLUMNS_OF_INDEX: Final = (
    "SELECT OBJECT_NAME(i.object_id), c.name FROM sys.indexes AS i "
    "JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id "
    "JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id "
    "WHERE i.object_id = OBJECT_ID(?) AND i.name = ? AND k.is_included_column = 0 ORDER BY k.key_ordinal"
)
COLUMNS_OF_REFERENCE: Final = (
    "SELECT OBJECT_NAME(k.parent_object_id), c.name FROM sys.foreign_keys AS f "
    "JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id "
    "JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id "
    "WHERE f.name = ? ORDER BY k.constraint_column_id"
)


class CancelledError(Exception):
    """The caller left; its work is undone."""


def open_connection(
    address: SQLServerAddress, driver: str, token: AccessToken | None, *, limits: TimeLimits
) -> Connection:
    """Raises ConnectionRefused, which says what to look at. ``token``: with ``Authentication=AccessToken``."""
    pyodbc = load_pyodbc()
    if not is_freetds(driver):
        _reach(address)
    attributes: dict[int, Any] = {} if token is None else dict(token_attributes(token(address)))
    try:
        odbc = pyodbc.connect(
            connection_string(address, driver),
            autocommit=True,
            timeout=address.connect_timeout_s,
            attrs_before=attributes,
        )
    except pyodbc.Error as error:
        raise refused(error, address.place) from error
    try:
        convert_results(odbc)
        odbc.timeout = max(round(limits.statement_s), 1)
        odbc.execute(f"{SETTINGS}; SET LOCK_TIMEOUT {int(limits.lock_s * 1000)}").close()
    except pyodbc.Error as error:
        odbc.close()
        raise refused(error, address.place) from error
    return Connection(odbc, pyodbc.Error, address.place, limits.statement_s, freetds=is_freetds(driver))


def _reach(address: SQLServerAddress) -> None:
    """Raises ConnectionRefused if no server listens.

    Microsoft's driver would retry until the connect timeout: 15.0 s for a closed port on this machine.
    """
    server = address.server
    if "\\" in server.host or address.multi_subnet:  # the port is unknown, or several hosts are tried in parallel
        return
    try:
        socket.create_connection((server.host, server.port), address.connect_timeout_s).close()
    except OSError as error:
        raise ConnectionRefused(
            f"No connection to {address.place}: {error.strerror or error}. Look at server, port and firewall."
        ) from error


class Connection:
    """``usable``: False once it is lost or in an unknown state; it is then closed instead of kept."""

    def __init__(
        self, odbc: Any, failure: type[Exception], place: str, statement_timeout_s: float, *, freetds: bool
    ) -> None:
        self._odbc = odbc
        self._failures = (failure, OverflowError, UnicodeEncodeError)
        self._place = place
        self._freetds = freetds
        self._statement_timeout_s = statement_timeout_s
        self._lock = Lock()
        self._running: Any = None
        self._caller = 0
        self._cancelled = False
        self.usable = True

    # Called while another thread may use the connection. A handle must not be freed during its cancellation, so both
    # take the lock.

    def prepare(self) -> int:
        """A new caller begins; returns the caller's number."""
        with self._lock:
            self._caller += 1
            self._cancelled = False
            return self._caller

    def abandon(self) -> None:
        """The caller left: no more statements begin for it."""
        self._cancelled = True

    def stop(self, caller: int | None = None) -> None:
        """Cancel the current statement if it belongs to ``caller``; blocks. A commit is not cancelled."""
        with self._lock:
            if self._running is not None and caller in {None, self._caller}:
                with suppress(*self._failures):
                    self._running.cancel()

    # Called in a thread of the driver.

    def fetch(self, statement: Statement, parameters: Sequence[Value]) -> list[Row]:
        """Rows of a read."""
        with self._cursor() as cursor:
            self.run(cursor, statement.text, parameters)
            return _last_rows(cursor)

    def batches(self, statement: Statement, parameters: Sequence[Value], size: int) -> Generator[list[Row], None, None]:
        """Rows of a read in batches; each ``next`` may run in another thread."""
        with self._cursor() as cursor:
            self.run(cursor, statement.text, parameters)
            while rows := cursor.fetchmany(size):
                yield list(map(tuple, rows))

    def execute(self, step: Step | ScriptStep) -> Result:
        """One step of a unit."""
        if isinstance(step, ScriptStep):
            with self._cursor(is_script=True) as cursor:
                return run_script(cursor, self, step, self._statement_timeout_s)
        statement, parameters = step.statement, step.parameters
        with self._cursor() as cursor:
            self.run(cursor, statement.text, parameters)
            rows = _last_rows(cursor)
        if not statement.writes:
            return Result(rows=rows)
        number = rows[0][0] if rows else 0
        return Result(inserted_id=number) if statement.kind == "insert" else Result(matched=number)

    def query(self, text: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Rows of one of the driver's own queries."""
        with self._cursor() as cursor:
            self.run(cursor, text, parameters)
            return _last_rows(cursor)

    def command(self, text: str) -> None:
        """Run a text without results."""
        with self._cursor() as cursor:
            cursor.execute(text)
            while cursor.nextset():
                pass

    def begin(self) -> None:
        self.command(BEGIN)

    def commit(self) -> None:
        """Commit. If the connection is lost here, it is unknown whether the commit happened."""
        if self._cancelled:
            raise CancelledError
        try:
            cursor = self._odbc.cursor()  # not the running one, which can be cancelled
            cursor.execute(COMMIT)
            cursor.close()
        except self._failures as error:
            raise self._failed(error) from error

    def rollback(self) -> None:
        """Never raises; a connection on which it fails is not used again."""
        self._cancelled = False
        try:
            self.command(ROLLBACK)
        except StorageError:
            self.usable = False

    @contextmanager
    def unlimited(self) -> Iterator[None]:
        """Statements run without a time limit, as building an index needs."""
        limit, self._odbc.timeout = self._odbc.timeout, 0
        try:
            yield
        finally:
            if self.usable:
                self._odbc.timeout = limit

    def close(self) -> None:
        """Never raises."""
        self.usable = False
        try:
            self._odbc.close()
        except self._failures:
            return

    @contextmanager
    def _cursor(self, *, is_script: bool = False) -> Iterator[Any]:
        """A statement handle that ``stop`` can cancel; raises Apilane's errors for those of the library."""
        try:
            cursor = self._odbc.cursor()
        except self._failures as error:
            raise self._failed(error) from error
        try:
            with self._lock:
                if self._cancelled:
                    raise CancelledError
                self._running = cursor
            yield cursor
        except self._failures as error:
            if self._cancelled and self.usable:
                raise CancelledError from error
            self._release(cursor)
            raise self._failed(error, is_script=is_script) from error
        finally:
            self._release(cursor)

    def _release(self, cursor: Any) -> None:
        with self._lock:
            self._running = None
        _close(cursor)

    def run(self, cursor: Any, text: str, parameters: Sequence[Value]) -> None:
        """Execute a text with typed parameters. Raises the library's errors."""
        if not parameters:
            cursor.execute(text)
            return
        bound = bind(text, parameters)
        if bound.values:
            cursor.setinputsizes(bound.sizes(freetds=self._freetds))
            cursor.execute(bound.text, bound.values)
        else:
            cursor.execute(bound.text)

    def _failed(self, error: Exception, *, is_script: bool = False) -> StorageError:
        """Apilane's error, with the columns of a violated constraint from the catalog."""
        table = ""
        columns: tuple[str, ...] = ()
        constraint = constraint_of(read_failure(error))
        if constraint is not None:
            table, columns = self._columns(constraint)
        translated = translate(error, self._place, table=table, columns=columns, is_script=is_script)
        if isinstance(translated, ConnectionLost):
            self.usable = False
        return translated

    def _columns(self, constraint: Constraint) -> tuple[str, tuple[str, ...]]:
        """Table and columns; empty if the catalog cannot be read. The transaction has already ended."""
        cursor = self._odbc.cursor()
        try:
            if constraint.is_reference:
                self.run(cursor, COLUMNS_OF_REFERENCE, (constraint.name,))
            else:
                schema, _, table = constraint.table.rpartition(".")
                object = f"[{schema}].[{table}]" if schema else f"[{table}]"
                self.run(cursor, COLUMNS_OF_INDEX, (object, constraint.name))
            rows = cursor.fetchall()
        except self._failures:
            return "", ()
        finally:
            _close(cursor)
        if not rows:
            return "", ()
        table = rows[0][0]
        return table, shown(table, tuple(row[1] for row in rows))


def _last_rows(cursor: Any) -> list[Row]:
    """Rows of the last result: triggers may send others before it, and an error appears at its place in the order."""
    rows: list[Row] = []
    while True:
        if cursor.description is not None:
            rows = list(map(tuple, cursor.fetchall()))
        if not cursor.nextset():
            return rows


def _close(cursor: Any) -> None:
    with suppress(Exception):  # an error here does not change the outcome
        cursor.close()
