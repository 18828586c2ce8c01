"""Reads that are too long for the event loop or hold a snapshot: in threads, on separate connections.

The session decides which reads come here.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import islice
from threading import Lock
from time import monotonic
from typing import Any, Final

import apsw

from apilane.plugin.storage import Result, Row, ScriptStep, Value
from apilane_sqlite.connection import PROGRESS_STEPS, Deadline, open_connection
from apilane_sqlite.errors import FAILURES, translate
from apilane_sqlite.script import run_script
from apilane_sqlite.unreadable import readable_rows

__all__ = ["Batches", "Readers"]

IDLE_KEPT: Final = 2
BUSY_TIMEOUT_MS: Final = 20_000


class Readers:
    """The reading connections of one database. Its methods run in worker threads, except ``detach_idle``."""

    def __init__(self, path: str, statement_timeout_s: float) -> None:
        self.path = path
        self._statement_timeout_s = statement_timeout_s
        self._idle: list[apsw.Connection] = []
        self._lock = Lock()
        self._keep = True
        self.busy = 0
        """The number of connections in use."""

    def read(self, text: str, parameters: Sequence[Value], ticket: Deadline) -> Sequence[Row]:
        """Rows of one statement. The caller cancels by ``ticket``; its time limit begins when the statement begins."""
        connection = self.take()
        try:
            self.limit(connection, ticket)
            try:
                return connection.execute(text, parameters).fetchall()
            except UnicodeDecodeError:
                return list(readable_rows(connection, text, parameters))
        except FAILURES as error:
            raise translate(error, self.path) from error
        finally:
            self.give(connection)

    def run(self, step: ScriptStep, ticket: Deadline) -> Result:
        """Run a read-only script, all of it on one snapshot of the database. Raises WritesError if it writes."""
        connection = self.take()
        try:
            self.limit(connection, ticket)
            connection.execute("BEGIN")
            try:
                return run_script(connection, step, reads_only=True)
            finally:
                ticket.at = float("inf")
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except FAILURES as error:
            raise translate(error, self.path) from error
        finally:
            self.give(connection)

    def limit(self, connection: apsw.Connection, ticket: Deadline) -> None:
        """Start the time limit of a statement."""
        ticket.at = monotonic() + self._statement_timeout_s
        connection.set_progress_handler(ticket.passed, PROGRESS_STEPS)

    def take(self) -> apsw.Connection:
        """A connection for this thread alone, until it is returned with ``give``."""
        with self._lock:
            self.busy += 1
            self._keep = True
            if self._idle:
                return self._idle.pop()
        try:
            return open_connection(self.path, busy_timeout_ms=BUSY_TIMEOUT_MS, deadline=Deadline())
        except (apsw.Error, OSError) as error:
            with self._lock:
                self.busy -= 1
            raise translate(error, self.path) from error

    def give(self, connection: apsw.Connection) -> None:
        with self._lock:
            self.busy -= 1
            if self._keep and len(self._idle) < IDLE_KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def detach_idle(self) -> list[apsw.Connection]:
        """Idle connections, for the caller to close; those in use close when their work ends."""
        with self._lock:
            idle, self._idle, self._keep = self._idle, [], False
        return idle


class Batches:
    """Rows of one read in batches; used by one thread at a time. Holds a snapshot and a connection until closed."""

    def __init__(self, readers: Readers, text: str, parameters: Sequence[Value], size: int) -> None:
        self._readers = readers
        self._text = text
        self._parameters = parameters
        self._size = size
        self._ticket = Deadline()
        self._connection: apsw.Connection | None = None
        self._cursor: Any = None
        self._readable: Generator[Row, None, None] | None = None
        """Set after a text was found that is not UTF-8."""
        self._given = 0
        self._closed = False
        self._lock = Lock()

    def next(self) -> Sequence[Row]:
        """The next rows; empty at the end. Each batch has the time limit of a statement."""
        with self._lock:
            if self._closed:  # by a reader that left before this thread began
                return ()
            try:
                if self._connection is None:
                    self._connection = self._readers.take()
                    self._readers.limit(self._connection, self._ticket)
                    self._cursor = self._connection.execute(self._text, self._parameters)
                else:
                    self._readers.limit(self._connection, self._ticket)
                rows = self._next()
            except FAILURES as error:
                raise translate(error, self._readers.path) from error
            self._given += len(rows)
            return rows

    def _next(self) -> Sequence[Row]:
        if self._readable is not None:
            return list(islice(self._readable, self._size))
        try:
            return list(islice(self._cursor, self._size))
        except UnicodeDecodeError:
            assert self._connection is not None  # noqa: S101 - the cursor belongs to it
            self._readable = readable_rows(self._connection, self._text, self._parameters)
        return list(islice(self._readable, self._given, self._given + self._size))

    def cancel(self) -> None:
        """Interrupt the current batch."""
        self._ticket.cancelled = True

    def close(self) -> None:
        """Wait for the current batch, then return the connection."""
        with self._lock:
            self._closed = True
            if self._cursor is not None:
                self._cursor.close(True)
            if self._readable is not None:
                self._readable.close()
            connection, self._connection = self._connection, None
            if connection is not None:
                self._readers.give(connection)
