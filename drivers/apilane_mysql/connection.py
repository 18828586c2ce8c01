"""One connection to MySQL: opens it, runs statements, tells whether it may be reused. Only this file uses asyncmy.

asyncmy with prepared statements: 6,700 point reads/s (70 us of processor time each) and 3,800 pages of 20 (108 us);
without them 3,500 and 2,700, aiomysql 1,700 and 1,600, PyMySQL in threads 1,150 and 550 (asyncmy 0.2.18, PyMySQL 1.2.4,
32 tasks, 8 connections, uvloop, MariaDB 10.11, one process and the server on 2 cores).

Values travel beside prepared statements. A statement that the server cannot prepare gets its values written into its
text by the client. The session's character set (utf8mb4) and modes (no NO_BACKSLASH_ESCAPES) make that safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import asyncmy
from asyncmy.constants import CLIENT
from asyncmy.cursors import SSCursor

from apilane.plugin.storage import (
    ConnectionLost,
    ConnectionRefused,
    Deadlock,
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
    Unsupported,
    Value,
    connect_timeout_s,
    in_transaction,
)
from apilane_mysql.address import tls_context, tls_mode
from apilane_mysql.errors import (
    DUPLICATE_NUMBERS,
    connect_failure,
    duplicate_key,
    is_lost,
    is_packet_refused,
    packet_too_large,
    translate,
)
from apilane_mysql.insert_row import InsertRow

__all__ = ["Keys", "MySQLConnection", "connect"]

Keys = dict[str, tuple[str, tuple[str, ...]]]
"""Table and columns by the name of a unique key, shared by the connections of a database."""

STATEMENTS_KEPT: Final = 100
"""Prepared statements of one connection. A server holds 16,382 for all its clients."""
BATCH_ROWS: Final = 500
LOOK_S: Final = 0.4
NEVER: Final = float("inf")
CLOSING_S: Final = 2.0
_COM_SET_OPTION: Final = 0x1B
_MULTI_STATEMENTS_OFF: Final = b"\x01\x00"

SQL_MODE: Final = (
    "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"
)
"""The complete mode, so that the server's setting has no effect. NO_AUTO_VALUE_ON_ZERO: a row may have the ID 0."""

_SESSION: Final = (
    (
        f"SET SESSION sql_mode = '{SQL_MODE}', character_set_client = utf8mb4, character_set_results = utf8mb4, "
        "character_set_connection = utf8mb4, time_zone = '+00:00', foreign_key_checks = 1, unique_checks = 1, "
        "sql_auto_is_null = 0, sql_safe_updates = 0, wait_timeout = 28800"
    ),
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
_ONLY_READS: Final = "SET SESSION TRANSACTION READ ONLY"
_KEYS: Final = (
    "SELECT INDEX_NAME, TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS "
    "WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0 ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
)


logging.getLogger("asyncmy").setLevel(logging.ERROR)  # it would log the server's notes


async def connect(
    address: ServerAddress, *, limits: TimeLimits, limit: int, keys: Keys, only_reads: bool = False
) -> MySQLConnection:
    """Open a connection: strict, UTC, READ COMMITTED, one statement at a time.

    ``limit``: how many connections this process may open, for the message. ``only_reads``: for ``read_script``; the
    server refuses writes. Raises ConnectionRefused and Unavailable.
    """
    timeout_s = connect_timeout_s(address)
    context = tls_context(address)
    make: Any = asyncmy.connection.Connection
    raw: Any = make(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password.encode(),
        database=address.database,
        charset="utf8mb4",
        client_flag=CLIENT.FOUND_ROWS,
        connect_timeout=timeout_s,
        autocommit=True,
        local_infile=False,
        program_name="apilane",
        ssl=context,
        stmt_cache_size=STATEMENTS_KEPT,
    )
    if context is not None:
        _follow_greeting(raw, mandatory=tls_mode(address) != "preferred")
    try:
        async with asyncio.timeout(timeout_s):
            await raw.connect()
            for text in (*_SESSION, _lock_waits(limits), *((_ONLY_READS,) if only_reads else ())):
                await raw.query(text)
            await raw._execute_command(_COM_SET_OPTION, _MULTI_STATEMENTS_OFF)  # noqa: SLF001  # has no other name
            await raw.read_packet()
            properties = await _properties(raw)
    except Exception as error:  # asyncmy, the system and ssl raise different classes
        raw.close()
        raise connect_failure(error, address, timeout_s, limit) from error
    except BaseException:
        raw.close()
        raise
    return MySQLConnection(raw, address, limits.statement_s, keys, properties)


def _lock_waits(limits: TimeLimits) -> str:
    """The waits for locks of rows and of tables, in whole seconds. InnoDB notices their end up to a second later."""
    seconds = max(int(limits.lock_s), 1)
    return f"SET SESSION innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}"


class _Properties(NamedTuple):
    """Properties of the server that a connection must know."""

    id_step: int | None
    """The distance between the IDs that one INSERT gives its rows. None: the statement can return them (MariaDB). 0: a
    Galera cluster, where the distance changes when servers join and leave."""
    packet_max_bytes: int
    """The server ends a connection that sends more in one statement."""


async def _properties(raw: Any) -> _Properties:
    cursor = raw.cursor()
    await cursor.execute(
        "SHOW SESSION VARIABLES WHERE Variable_name IN ('auto_increment_increment', 'wsrep_on', 'max_allowed_packet')"
    )
    found = dict(await cursor.fetchall())
    if "mariadb" in raw.server_version.lower():
        id_step = None
    else:
        id_step = 0 if found.get("wsrep_on") == "ON" else int(found["auto_increment_increment"])
    return _Properties(id_step, int(found["max_allowed_packet"]))


def _follow_greeting(raw: Any, *, mandatory: bool) -> None:
    """Use TLS only if the server's greeting offers it: the client would ask for TLS in any case."""
    read_greeting: Callable[[], Any] = raw._get_server_information  # noqa: SLF001  # there is no hook

    async def read() -> None:
        await read_greeting()
        if raw.server_capabilities & CLIENT.SSL:
            return
        if mandatory:
            raise ConnectionRefused(
                f"The server {raw._host}:{raw._port} offers no TLS, which ssl-mode in the ConnectionString asks for."  # noqa: SLF001
            )
        raw._ssl_context = None  # noqa: SLF001
        raw._client_flag &= ~CLIENT.SSL  # noqa: SLF001

    raw._get_server_information = read  # noqa: SLF001


class MySQLConnection:
    """See ``apilane.storage.pooled.ServerConnection``."""

    __slots__ = (
        "_expired",
        "_expires_at",
        "_id_step",
        "_in_transaction",
        "_keys",
        "_loop",
        "_packet_max_bytes",
        "_sound",
        "_timeout_s",
        "_transport",
        "_undone",
        "_watch",
        "address",
        "raw",
    )

    def __init__(
        self, raw: Any, address: ServerAddress, statement_timeout_s: float, keys: Keys, properties: _Properties
    ) -> None:
        self.raw = raw
        self._transport: asyncio.Transport = raw._transport  # noqa: SLF001  # the client forgets it when it fails
        self._id_step = properties.id_step
        self._packet_max_bytes = properties.packet_max_bytes
        self.address = address
        self._keys = keys
        self._timeout_s = statement_timeout_s
        self._sound = True
        self._in_transaction = False
        self._undone = False
        self._expired = False
        self._expires_at = NEVER
        """When the current statement must have ended; NEVER: there is none, or it has no time limit."""
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self._look()

    @property
    def usable(self) -> bool:
        return self._sound and not self.raw._stream_broken  # noqa: SLF001  # true if the server closed the connection

    @property
    def busy(self) -> bool:
        """Whether the server has not yet answered a statement."""
        return self._expires_at != NEVER

    def let_take_long(self, *, yes: bool) -> None:
        """Whether statements run without a time limit, as changes of large tables need."""
        if yes:
            self._stop_looking()
        else:
            self._look()

    def _look(self) -> None:
        """Check at intervals whether the statement takes too long. A statement only sets a number, no timer."""
        if self._loop.time() > self._expires_at:
            self._expired = True
            self._abort()
            return
        self._watch = self._loop.call_later(min(LOOK_S, max(self._timeout_s / 8, 0.02)), self._look)

    def _stop_looking(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _abort(self) -> None:
        self._sound = False
        self._transport.abort()  # close() would wait for a hanging server

    async def fetch(self, statement: Statement, parameters: Sequence[Value]) -> Sequence[Row]:
        self._expires_at = self._loop.time() + self._timeout_s
        try:
            cursor = self.raw.cursor()
            await cursor.execute(statement.text, parameters or None)
            rows: Sequence[Row] = await cursor.fetchall()
        except Exception as error:
            raise await self.failure(error, statement, parameters) from error
        except BaseException:
            self._sound = False
            raise
        self._expires_at = NEVER
        return rows

    async def stream(self, statement: Statement, parameters: Sequence[Value]) -> AsyncIterator[Sequence[Row]]:
        """Rows in batches of 500; closing it early closes the connection."""
        sound, self._sound = self._sound, False
        self._expires_at = self._loop.time() + self._timeout_s
        try:
            cursor = self.raw.cursor(SSCursor)
            await cursor.execute(statement.text, parameters or None)
            while rows := await cursor.fetchmany(BATCH_ROWS):
                self._expires_at = self._loop.time() + self._timeout_s
                yield rows
        except Exception as error:
            raise await self.failure(error, statement, parameters) from error
        self._expires_at = NEVER
        self._sound = sound

    async def execute(self, step: Step | ScriptStep) -> Result:
        if self._undone:
            raise Deadlock("The transaction was undone.")
        if isinstance(step, ScriptStep):
            from apilane_mysql.script import run_script  # importing the parser is slow

            return await run_script(self, step)
        statement, parameters = step.statement, step.parameters
        self._expires_at = self._loop.time() + self._timeout_s
        try:
            cursor = self.raw.cursor()
            await cursor.execute(statement.text, parameters or None)
            rows: Sequence[Row] = () if statement.writes else await cursor.fetchall()
        except Exception as error:
            raise await self.failure(error, statement, parameters) from error
        except BaseException:
            self._sound = False
            raise
        self._expires_at = NEVER
        if not statement.writes:
            return Result(rows)
        inserted = _signed(cursor.lastrowid) if statement.kind == "insert" else None
        return Result((), cursor.rowcount, inserted)

    async def insert_each(self, statement: Statement, callers: Sequence[Sequence[Value]]) -> Sequence[int]:
        """One statement with a row for each caller; the server numbers the rows in their order."""
        values = [value for parameters in callers for value in parameters]
        if not isinstance(statement, InsertRow):
            raise Unsupported("Only what the dialect's insert_row made takes several rows.")
        insert = statement.of_rows(len(callers), returning=self._id_step is None)
        if self._id_step is None:
            return sorted([row[0] for row in await self.fetch(insert, values)])
        if self._id_step == 0:
            raise Unsupported("Only the cluster knows how far apart IDs are.")
        result = await self.execute(Step(insert, values))
        first, step = result.new_id, self._id_step
        return range(first, first + result.matched * step, step)

    async def run_script(self, step: ScriptStep) -> Result:
        return await in_transaction(self, self.begin, lambda: self.execute(step))

    async def read_script(self, step: ScriptStep) -> Result | None:
        """See ``apilane.storage.pooled.ReadsScripts``."""
        from apilane_mysql.script import read_script  # importing the parser is slow

        return await read_script(self, step)

    async def described_rows(self, text: str, parameters: Sequence[Value]) -> tuple[Sequence[Any], Sequence[Row]]:
        """The description of the columns, and all rows."""
        self._expires_at = self._loop.time() + self._timeout_s
        try:
            cursor = self.raw.cursor()
            await cursor.execute(text, tuple(parameters))
            rows: Sequence[Row] = await cursor.fetchall()
        except Exception as error:
            raise await self.failure(error, Statement(text), parameters) from error
        except BaseException:
            self._sound = False
            raise
        self._expires_at = NEVER
        return cursor.description, rows

    def script_deadline(self) -> float:
        """When a script that begins now must have ended."""
        return self._loop.time() + self._timeout_s

    async def rows_of(
        self, text: str, parameters: Sequence[Value], take: Callable[[Sequence[Row]], bool], until: float
    ) -> Any:
        """Run a statement, give its rows in batches to ``take`` until that returns False, and return the cursor.

        If it stops early, the remaining rows are not read and the connection cannot be used again.
        """
        self._expires_at = until
        try:
            cursor = self.raw.cursor(SSCursor)
            await cursor.execute(text, tuple(parameters))
            while cursor.description and (rows := await cursor.fetchmany(BATCH_ROWS)):
                if not take(rows):
                    self._sound = False
                    return cursor
        except StorageError:
            self._sound = False
            raise
        except Exception as error:
            raise await self.failure(error, Statement(text), parameters) from error
        except BaseException:
            self._sound = False
            raise
        self._expires_at = NEVER
        return cursor

    async def begin(self) -> None:
        self._in_transaction, self._undone = True, False
        await self._command(self.raw.begin)

    async def commit(self) -> None:
        self._in_transaction = False
        if self._undone:
            self._undone = False
            raise Deadlock("The transaction was undone.")
        try:
            await self._command(self.raw.commit)
        except BaseException:
            self._sound = False  # it is unknown whether the transaction has ended
            raise

    async def rollback(self) -> None:
        self._undone = False
        await self._command(self.raw.rollback)
        self._in_transaction = False

    async def _command(self, command: Callable[[], Any]) -> None:
        self._expires_at = self._loop.time() + self._timeout_s
        try:
            await command()
        except Exception as error:
            raise await self.failure(error) from error
        except BaseException:
            self._sound = False
            raise
        self._expires_at = NEVER

    async def failure(
        self, error: Exception, statement: Statement | None = None, parameters: Sequence[Value] = ()
    ) -> StorageError:
        """The error to raise for an error of the client library; ``statement`` is the one that was sent."""
        if self._expired:
            return await self._too_late()
        if isinstance(error, UnicodeDecodeError):  # the rest of the result was not read
            self._expires_at = NEVER
            self._abort()
            return translate(error, self.address.place, self._keys)
        refused = is_packet_refused(error)
        if statement is not None and (refused or is_lost(error) or self.raw._stream_broken):  # noqa: SLF001
            too_long = packet_too_large(statement, parameters, self._packet_max_bytes)
            if too_long is not None:
                self._expires_at = NEVER
                self._abort()
                return too_long
        if refused:
            self._abort()  # the server hangs up
        if not is_lost(error) and not self.raw._stream_broken:  # noqa: SLF001
            self._expires_at = NEVER  # the server has answered
        else:
            self._sound = False
            if not is_lost(error):
                return ConnectionLost(f"The connection to {self.address.place} was lost: {error}")
        if error.args and error.args[0] in DUPLICATE_NUMBERS and self.usable:
            await self._learn_keys(error)
        failure = translate(error, self.address.place, self._keys)
        self._undone = self._in_transaction and isinstance(failure, Deadlock)
        return failure

    async def _too_late(self) -> StorageError:
        """Tell a slow statement from a server that does not answer: only a server that answers can end a statement."""
        too_long = StatementTimeout(f"The statement took longer than its time limit of {self._timeout_s:g} s.")
        try:
            await self._end_at_server()
        except (TimeoutError, ConnectionRefused):
            return Unavailable(f"The server of {self.address.place} did not answer within {self._timeout_s:g} s.")
        except Exception:  # the server answered, for example because the statement has just ended
            return too_long
        self._expires_at = NEVER
        return too_long

    async def _learn_keys(self, error: Exception) -> None:
        _, key = duplicate_key(error)
        if key == "PRIMARY" or key in self._keys:
            return
        cursor = self.raw.cursor()
        await cursor.execute(_KEYS)
        for name, table, column in await cursor.fetchall():
            columns = self._keys.get(f"{table}.{name}", ("", ()))[1]
            self._keys[f"{table}.{name}"] = self._keys[name] = (
                table,
                columns if column in columns else (*columns, column),
            )

    async def close(self) -> None:
        """Close the connection; a running statement is ended at the server first."""
        self._stop_looking()
        with suppress(Exception):
            if self.usable and not self.busy:
                async with asyncio.timeout(CLOSING_S):
                    await self.raw.ensure_closed()
            elif self.busy:
                self._abort()
                await self._end_at_server()
        self.raw.close()

    async def _end_at_server(self) -> None:
        """The server notices a closed connection only when it next sends to it, so the statement is killed."""
        async with asyncio.timeout(CLOSING_S):
            other = await connect(self.address, limits=TimeLimits.of(CLOSING_S), limit=1, keys={})
            try:
                await other.raw.query(f"KILL {self.raw.thread_id()}")
            finally:
                await other.close()


def _signed(number: int) -> int:
    """IDs given by callers may be negative; the client reads them as unsigned."""
    return number - 2**64 if number >= 2**63 else number
