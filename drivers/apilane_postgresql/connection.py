"""One connection to PostgreSQL: opens it, runs statements, and tells whether it may be reused.

asyncpg and not psycopg 3: 60 against 101 to 150 us of processor time for a point read, 100 against 150 to 210 us for a
page of 20 (asyncpg 0.32; psycopg 3.3 with C, raw and binary cursors; 32 tasks, 10 connections, uvloop, PostgreSQL 15).
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from time import monotonic
from typing import Any, Final

import asyncpg

from apilane.plugin.storage import (
    Deadlock,
    Patience,
    Result,
    Row,
    ScriptStep,
    ServerAddress,
    Statement,
    StatementTimeout,
    Step,
    StorageError,
    TimeLimits,
    Unavailable,
    Value,
    connect_timeout_s,
    in_transaction,
)
from apilane_postgresql.address import search_path, tls_url
from apilane_postgresql.errors import FAILURES, connect_failure, is_lost, translate
from apilane_postgresql.script import calls_own_functions, note_writes, read_script, run_script, writes
from apilane_postgresql.values import read_every_value

__all__ = ["Constraints", "PostgreSQLConnection", "connect"]

Constraints = MutableMapping[tuple[str, str], tuple[str, ...]]
"""Columns by table and constraint, shared by the connections of a database."""

STATEMENTS_KEPT: Final = 256
BATCH_ROWS: Final = 500
SILENCE_S: Final = 5.0
"""How much longer than the server's time limit a caller waits before it treats the server as dead."""
STARTING_S: Final = 5.0
"""How long connecting to a starting server is retried."""
CLOSING_S: Final = 2.0
SCRIPT_GRACE_S: Final = 0.5
"""The server ends a single long statement within this time, which keeps the connection usable."""

_parameter = re.compile(r"\$(\d+)")

_COLUMNS_OF_CONSTRAINT: Final = """
SELECT name FROM (SELECT a.attname AS name, k.place FROM pg_catalog.pg_constraint c
JOIN pg_catalog.pg_class t ON t.oid = c.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY k (number, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number
WHERE n.nspname = $1 AND t.relname = $2 AND c.conname = $3
UNION
SELECT a.attname, a.attnum FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
  AND d.refclassid = d.classid AND d.refobjid = i.indrelid
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid AND a.attnum > 0
WHERE n.nspname = $1 AND t.relname = $2 AND x.relname = $3 AND i.indisunique) AS found ORDER BY place"""
"""A unique index on expressions is no constraint; it depends on its columns."""


async def connect(
    address: ServerAddress,
    *,
    limits: TimeLimits,
    limit: int,
    constraints: Constraints,
    only_reads: bool = False,
) -> PostgreSQLConnection:
    """Open a connection: UTC, READ COMMITTED, a time limit for each statement, and a shorter one for its locks.

    ``limit``: how many connections this process may open, for the message. ``only_reads``: for ``read_script``; the
    server refuses writes. Raises ConnectionRefused and Unavailable.
    """
    timeout_s = connect_timeout_s(address)
    until = monotonic() + STARTING_S
    while True:
        try:
            raw = await asyncpg.connect(
                tls_url(address),
                host=address.host,
                port=address.port,
                user=address.user,
                password=address.password or None,
                database=address.database,
                timeout=timeout_s,
                statement_cache_size=STATEMENTS_KEPT,
                max_cached_statement_lifetime=0,
                server_settings=_session_settings(address, limits, only_reads=only_reads),
            )
        except asyncpg.CannotConnectNowError as error:
            if monotonic() > until:
                raise connect_failure(error, address, timeout_s, limit) from error
            await asyncio.sleep(0.1)
        except (*FAILURES, ValueError) as error:
            raise connect_failure(error, address, timeout_s, limit) from error
        else:
            return PostgreSQLConnection(raw, limits.statement_s, constraints)


def _session_settings(address: ServerAddress, limits: TimeLimits, *, only_reads: bool) -> dict[str, str]:
    settings = {
        "application_name": "apilane",
        "timezone": "UTC",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "on" if only_reads else "off",
        "standard_conforming_strings": "on",
        "bytea_output": "hex",
        "statement_timeout": str(int(limits.statement_s * 1000)),
        "lock_timeout": str(int(limits.lock_s * 1000)),
        "idle_in_transaction_session_timeout": "60000",  # if this process hangs within a unit
        "tcp_keepalives_idle": "30",  # if this machine fails, its locks are released with the connection
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "jit": "off",  # compiling takes longer than any statement of Apilane
    }
    path = search_path(address)
    return settings | {"search_path": path} if path else settings


class PostgreSQLConnection:
    """See ``apilane.storage.pooled.ServerConnection``."""

    __slots__ = (
        "_constraints",
        "_in_transaction",
        "_patience",
        "_reads_every_value",
        "_statement_timeout_s",
        "_undone",
        "raw",
        "usable",
    )

    def __init__(self, raw: asyncpg.Connection[Any], statement_timeout_s: float, constraints: Constraints) -> None:
        self.raw = raw
        self.usable = True
        self._statement_timeout_s = statement_timeout_s
        self._patience = Patience(statement_timeout_s + SILENCE_S)  # asyncpg would set a timer for each statement
        self._constraints = constraints
        self._in_transaction = False
        self._undone = False
        self._reads_every_value = False
        raw.add_termination_listener(self._ended)

    def _ended(self, _raw: object) -> None:
        self.usable = False

    async def fetch(self, statement: Statement, parameters: Sequence[Value]) -> Sequence[Row]:
        text = statement.text
        if Decimal in map(type, parameters):
            text = _with_fractions(text, parameters)
        try:
            with self._patience:
                return await self.raw.fetch(text, *parameters)  # type: ignore[no-any-return]
        except BaseException as error:  # after any error the state of the connection must be known
            raise await self._failure(error, statement, parameters) from error

    async def fetch_each(self, statement: Statement, callers: Sequence[Sequence[Value]]) -> Sequence[Row]:
        """One implicit transaction for all statements."""
        try:
            with self._patience:
                return await self.raw.fetchmany(statement.text, callers)  # type: ignore[no-any-return]
        except BaseException as error:
            raise await self._failure(error, statement, ()) from error

    async def insert_each(self, statement: Statement, callers: Sequence[Sequence[Value]]) -> Sequence[int]:
        return [row[0] for row in await self.fetch_each(statement, callers)]

    async def stream(self, statement: Statement, parameters: Sequence[Value]) -> AsyncIterator[Sequence[Row]]:
        """Rows in batches, all from one snapshot."""
        await self.begin()
        try:
            with self._patience:
                cursor = await self.raw.cursor(statement.text, *parameters)
                rows = await cursor.fetch(BATCH_ROWS)
            while rows:
                yield rows
                with self._patience:
                    rows = await cursor.fetch(BATCH_ROWS)
        except BaseException as error:
            raise await self._failure(error, statement, parameters) from error
        finally:
            if self.usable:
                await self.rollback()

    async def execute(self, step: Step | ScriptStep) -> Result:
        if self._undone:
            raise StorageError("The unit failed before and was undone.")
        try:
            if isinstance(step, ScriptStep):
                return await self._run_script_in_time(step)
            statement, parameters = step.statement, step.parameters
            if not statement.writes:
                return Result(await self.fetch(statement, parameters))
            with self._patience:
                if statement.kind == "insert":
                    rows = await self.raw.fetch(statement.text, *parameters)
                    return Result((), len(rows), rows[0][0] if rows else None)
                return Result((), _count(await self.raw.execute(statement.text, *parameters)))
        except BaseException as error:
            if isinstance(step, ScriptStep):
                raise await self._failure(error, None, ()) from error
            raise await self._failure(error, step.statement, step.parameters) from error

    async def _run_script_in_time(self, step: ScriptStep) -> Result:
        """The server limits the time of each statement; this limits the whole script."""
        try:
            async with asyncio.timeout(self._statement_timeout_s + SCRIPT_GRACE_S):
                await self._prepare_for_scripts()
                return await run_script(self.raw, step)
        except TimeoutError as error:
            self.usable = False
            raise StatementTimeout("The script took longer than its time limit.") from error
        except BaseException:
            if calls_own_functions(step.script):
                self.usable = False  # what they left on the connection is not known
            raise

    async def _prepare_for_scripts(self) -> None:
        if not self._reads_every_value:
            await read_every_value(self.raw)
            self._reads_every_value = True

    async def run_script(self, step: ScriptStep) -> Result:
        """Run a script; the transaction is READ ONLY if no statement of the script is known to write.

        If a view or a function writes after all, the server refuses, and the script runs again in one that may write.
        """
        if writes(step.script):
            return await self._run_script(step, "BEGIN")
        try:
            return await self._run_script(step, "BEGIN READ ONLY")
        except Unavailable as error:
            if not isinstance(error.__cause__, asyncpg.ReadOnlySQLTransactionError):
                raise
        result = await self._run_script(step, "BEGIN")
        note_writes(step.script)
        return result

    async def _run_script(self, step: ScriptStep, begin: str) -> Result:
        return await in_transaction(self, lambda: self._begin(begin), lambda: self.execute(step))

    async def read_script(self, step: ScriptStep) -> Result | None:
        """See ``apilane.storage.pooled.ReadsScripts``. The session limits the time, and cancels this."""
        try:
            await self._prepare_for_scripts()
            return await read_script(self.raw, step)
        except asyncpg.ReadOnlySQLTransactionError:  # a view or a function writes after all
            return None
        except BaseException as error:
            raise await self._failure(error, None, ()) from error

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Statements run without a time limit, as changes of large tables need."""
        patience, self._patience = self._patience, Patience(math.inf)
        try:
            yield
        finally:
            self._patience = patience

    async def begin(self) -> None:
        await self._begin("BEGIN")

    async def _begin(self, text: str) -> None:
        await self._control(text)
        self._in_transaction, self._undone = True, False

    async def commit(self) -> None:
        if self._undone:
            self._undone = False
            raise StorageError("The unit failed before and was undone.")
        self._in_transaction = False
        status = await self._control("COMMIT")
        if status != "COMMIT":  # the server answers COMMIT of a failed transaction with ROLLBACK
            raise StorageError("The unit failed and was undone.")

    async def rollback(self) -> None:
        if self._in_transaction:
            self._in_transaction = False
            await self._control("ROLLBACK")
        self._undone = False

    async def close(self) -> None:
        """Close the connection. It first waits for a pending cancellation, so that the server stops working."""
        try:
            await self.raw.close(timeout=CLOSING_S)
        except Exception:  # the server is gone or too slow
            self.raw.terminate()

    async def _control(self, text: str) -> str:
        try:
            with self._patience:
                return str(await self.raw.execute(text))
        except BaseException as error:
            raise await self._failure(error, None, ()) from error

    async def _failure(
        self, error: BaseException, statement: Statement | None, parameters: Sequence[Value]
    ) -> BaseException:
        """The error to raise; afterwards ``usable`` says whether the connection may be reused."""
        if isinstance(error, StorageError):
            return error
        if not isinstance(error, FAILURES) or is_lost(error) or isinstance(error, TimeoutError):
            self.usable = False  # cancelled within a statement, or lost
        if not isinstance(error, FAILURES):
            return error
        columns = await self._columns_of(error) if isinstance(error, asyncpg.PostgresError) and self.usable else ()
        if columns == ("ID",) and statement is not None and statement.of_one_row and statement.kind == "insert":
            # Another row was stored with this ID, and the sequence has not moved past it yet: the next ID is free.
            return Deadlock("The ID that the sequence gave was taken meanwhile.")
        return translate(error, statement=statement, parameters=parameters, columns=columns)

    async def _columns_of(self, error: asyncpg.PostgresError) -> tuple[str, ...]:
        """The columns of the violated constraint, looked up once. The lookup ends the failed transaction."""
        name = getattr(error, "constraint_name", None)
        if not name or (error.sqlstate or "")[:2] != "23":
            return ()
        schema, table = str(getattr(error, "schema_name", "")), str(getattr(error, "table_name", ""))
        known = self._constraints.get((table, name))
        if known is None:
            try:
                with self._patience:
                    if self._in_transaction:
                        self._in_transaction, self._undone = False, True
                        await self.raw.execute("ROLLBACK")
                    rows = await self.raw.fetch(_COLUMNS_OF_CONSTRAINT, schema, table, name)
            except BaseException as second:
                self.usable = False
                if not isinstance(second, FAILURES):
                    raise
                return ()
            known = tuple(row[0] for row in rows)
            if known:
                self._constraints[table, name] = known
        return known


def _with_fractions(text: str, parameters: Sequence[Value]) -> str:
    """Cast fractions to numeric: PostgreSQL infers BIGINT for a value compared with one, and asyncpg would cut it."""

    def declared(found: re.Match[str]) -> str:
        return f"CAST({found[0]} AS numeric)" if type(parameters[int(found[1]) - 1]) is Decimal else found[0]

    return _parameter.sub(declared, text)


def _count(status: str) -> int:
    """The number of rows in a status such as ``UPDATE 3``."""
    number = status.rpartition(" ")[2]
    return int(number) if number.isdecimal() else 0
