"""The writing connection of a database: runs groups of units, each group as one transaction on disk.

Runs only in the writer's thread. The writer chooses the units and answers their callers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol

import apsw

from apilane.plugin.storage import (
    ForeignKeyViolation,
    Result,
    ScriptStep,
    Step,
    StorageError,
    Unavailable,
    UnitWithScripts,
)
from apilane_sqlite.connection import Deadline, FileLock, open_connection
from apilane_sqlite.errors import FAILURES, translate
from apilane_sqlite.script import run_script
from apilane_sqlite.unreadable import readable_rows

__all__ = ["Outcome", "Writing", "WritingConnection"]

GROUP_UNITS: Final = 64
GROUP_WORK_S: Final = 0.005
BUSY_TIMEOUT_MS: Final = 1000
"""Waits for a program that writes to the file without Apilane's lock; the writer retries afterwards."""


class Writing(Protocol):
    """The part of a write request that is used here."""

    make_unit: Callable[[], UnitWithScripts[Any]]
    single: bool

    def begin(self) -> bool:
        """Claim the request; False when its caller no longer waits for it."""
        ...


class Outcome(NamedTuple):
    """The result of a request: a value, or the error to raise."""

    request: Any
    value: object = None
    error: BaseException | None = None


class _TransactionLostError(Exception):
    """SQLite undid the whole transaction, not only the step that failed."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class WritingConnection:
    """Opened on first use, and again after a failure."""

    def __init__(self, path: str, statement_timeout_s: float) -> None:
        self._path = path
        self._statement_timeout_s = statement_timeout_s
        self._deadline = Deadline()
        self._lock: FileLock | None = None
        self._connection: apsw.Connection | None = None

    def commit(self, take: Callable[[], Writing | None]) -> list[Outcome]:
        """Run the requests that ``take`` returns, until it returns None or the group is full, and commit them.

        One fsync for all; outcomes are valid only after this returns. Raises Unavailable when the database cannot be
        opened or locked, usually before anything was taken (``__cause__`` is a busy error: a retry may succeed).
        """
        with self._locked() as connection:
            self._begin(connection)
            outcomes: list[Outcome] = []
            closes_at = monotonic() + GROUP_WORK_S
            while len(outcomes) < GROUP_UNITS and monotonic() < closes_at and (request := take()) is not None:
                outcomes.append(self._run(connection, request))
                if not connection.in_transaction:
                    return self._one_by_one(outcomes)
            return self._finish(connection, outcomes)

    def run_alone(self, request: Writing) -> Outcome:
        """Run a request that has not begun in a separate transaction."""
        with self._locked() as connection:
            self._begin(connection)
            if not request.begin():
                connection.execute("ROLLBACK")
                return Outcome(request)
            outcome = self._run(connection, request)
            if outcome.error is None:
                return self._finish(connection, [outcome])[0]
            self._deadline.at = float("inf")
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return outcome

    def alter(self, request: Writing) -> Outcome:
        """Run a request that changes tables, alone and without a time limit; foreign keys are checked at the end."""
        with self._locked() as connection:
            connection.execute("PRAGMA foreign_keys = OFF")  # does nothing inside a transaction
            try:
                self._begin(connection)
                if not request.begin():
                    connection.execute("ROLLBACK")
                    return Outcome(request)
                self._deadline.at = float("inf")
                outcome = self._drive_alone(connection, request)
                if outcome.error is None:
                    return self._finish(connection, [outcome])[0]
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                return outcome
            finally:
                if self._connection is not None:
                    connection.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        self._drop_connection()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _locked(self) -> Iterator[apsw.Connection]:
        """The connection while this process holds the write lock. Failures outside units become Unavailable."""
        try:
            if self._lock is None:
                self._lock = FileLock(f"{self._path}.lock")
            self._lock.acquire()
            try:
                yield self._opened()
            finally:
                self._lock.release()
        except BaseException as error:
            self._drop_connection()
            if not isinstance(error, (apsw.Error, OSError)):
                raise
            failure = translate(error, self._path)
            raise failure if isinstance(failure, Unavailable) else Unavailable(str(failure)) from error

    def _opened(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = open_connection(
                self._path, busy_timeout_ms=BUSY_TIMEOUT_MS, deadline=self._deadline, writes=True
            )
        return self._connection

    def _begin(self, connection: apsw.Connection) -> None:
        self._deadline.at = monotonic() + self._statement_timeout_s
        connection.execute("BEGIN IMMEDIATE")

    def _finish(self, connection: apsw.Connection, outcomes: list[Outcome]) -> list[Outcome]:
        """COMMIT; if that fails, every unit has failed."""
        self._deadline.at = float("inf")
        try:
            connection.execute("COMMIT")
        except apsw.Error as error:
            # The state of the file is unknown until it is opened again.
            self._drop_connection()
            return [Outcome(outcome.request, error=translate(error, self._path)) for outcome in outcomes]
        return outcomes

    def _one_by_one(self, outcomes: list[Outcome]) -> list[Outcome]:
        """The last unit undid the whole transaction: run the others again, each in a separate transaction."""
        *others, culprit = outcomes
        return [*(self._alone(outcome.request) for outcome in others), culprit]

    def _alone(self, request: Writing) -> Outcome:
        try:
            connection = self._opened()
            self._begin(connection)
            outcome = self._run(connection, request)
            return self._finish(connection, [outcome])[0] if connection.in_transaction else outcome
        except (apsw.Error, OSError) as error:
            self._drop_connection()
            return Outcome(request, error=translate(error, self._path))

    def _drive_alone(self, connection: apsw.Connection, request: Writing) -> Outcome:
        try:
            value = self._drive(connection, request.make_unit())
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        except _TransactionLostError as lost:
            return Outcome(request, error=lost.error)
        except BaseException as error:  # the caller raises it
            return Outcome(request, error=translate(error, self._path) if isinstance(error, apsw.Error) else error)
        if broken is None:
            return Outcome(request, value)
        table, row, target, _ = broken
        text = f"Row {row} of {table} refers to a row of {target} that does not exist."
        return Outcome(request, error=ForeignKeyViolation(text, table=str(table)))

    def _run(self, connection: apsw.Connection, request: Writing) -> Outcome:
        """One unit inside the transaction. If it raises, its changes are undone, and perhaps the whole transaction."""
        self._deadline.at = monotonic() + self._statement_timeout_s
        changes = connection.total_changes()
        try:
            if not request.single:
                connection.execute("SAVEPOINT unit")
            value = self._drive(connection, request.make_unit())
            if not request.single:
                connection.execute("RELEASE unit")
        except _TransactionLostError as lost:
            return Outcome(request, error=lost.error)
        except BaseException as error:  # the caller raises it
            self._undo(connection, request, changed=connection.total_changes() != changes)
            return Outcome(request, error=translate(error, self._path) if isinstance(error, apsw.Error) else error)
        return Outcome(request, value)

    def _undo(self, connection: apsw.Connection, request: Writing, *, changed: bool) -> None:
        self._deadline.at = float("inf")
        if not connection.in_transaction:
            return
        if not request.single:
            connection.execute("ROLLBACK TO unit; RELEASE unit")
        elif changed:  # without a savepoint the whole group is undone, and the other units run again
            connection.execute("ROLLBACK")

    def _drive(self, connection: apsw.Connection, unit: UnitWithScripts[Any]) -> object:
        """Run the unit's steps to its value; failures are raised inside the unit."""
        try:
            step = unit.send(None)  # type: ignore[arg-type]  # how a generator starts
            while True:
                try:
                    result = _execute(connection, step)
                except (*FAILURES, StorageError) as error:
                    failure = translate(error, self._path)
                    if failure is not error:
                        failure.__cause__ = error
                    if not connection.in_transaction:
                        raise _TransactionLostError(_last_words(unit, failure)) from error
                    step = unit.throw(failure)
                else:
                    step = unit.send(result)
        except StopIteration as end:
            return end.value


def _execute(connection: apsw.Connection, step: Step | ScriptStep) -> Result:
    if isinstance(step, ScriptStep):
        return run_script(connection, step)
    statement, parameters = step.statement, step.parameters
    if not statement.writes:
        try:
            return Result(connection.execute(statement.text, parameters).fetchall())
        except UnicodeDecodeError:
            return Result(list(readable_rows(connection, statement.text, parameters)))
    rows = connection.execute(statement.text, parameters).fetchall()
    inserted = connection.last_insert_rowid() if statement.kind == "insert" else None
    return Result(rows, connection.changes(), inserted)


def _last_words(unit: UnitWithScripts[Any], failure: StorageError) -> BaseException:
    """The error that a unit raises for ``failure``, after which it cannot continue."""
    try:
        unit.throw(failure)
    except StopIteration:
        return failure
    except BaseException as error:  # the caller raises it
        return error
    unit.close()
    return failure
