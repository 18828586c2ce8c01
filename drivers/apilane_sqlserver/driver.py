"""The SQL Server driver: sessions by address, their shared connection limit and their shared threads.

pyodbc blocks, so every connection in use needs a thread. There are as many threads as connections, and a few more for
opening, closing and locks.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, TypeVar

from apilane.plugin.storage import Features, Load, PoolGroup, TimeLimits, forget_in_children, share_of
from apilane_sqlserver.address import ACCESS_TOKEN, SQLServerAddress, read_address
from apilane_sqlserver.odbc import (
    choose_driver,
    client_version,
    load_pyodbc,
    packaged_library,
    token_source,
)

if TYPE_CHECKING:
    from apilane_sqlserver.connection import Connection
    from apilane_sqlserver.dialect import SQLServerDialect
    from apilane_sqlserver.session import SQLServerSession

__all__ = ["SQLServerDriver"]

T = TypeVar("T")

WAIT_LIMIT_S: Final = 20.0
MORE_THREADS: Final = 4

FEATURES: Final = Features(
    exact_decimals=True,
    transactional_ddl=True,
    reads_after_failure=False,
    names_foreign_keys=True,
)


class SQLServerDriver:
    """Addresses are connection strings (``apilane_sqlserver.address``).

    ``connections``: the most open connections to all databases together. ``idle_s``: how long an unused one stays open.
    ``statement_timeout_s``: for each statement. Tokens of Microsoft Entra, for connection strings with
    ``Authentication=AccessToken``, come from an installed package (``odbc.TOKEN_GROUP``).
    """

    name = "SQLServer"
    features = FEATURES

    def __init__(
        self,
        *,
        connections: int = 10,
        idle_s: float = 60.0,
        statement_timeout_s: float = 20.0,
    ) -> None:
        self.version = client_version()
        self.limits = TimeLimits.of(statement_timeout_s)
        limit = max(connections, 1)
        self._make_group = partial(PoolGroup, limit, share=share_of(limit), wait_s=WAIT_LIMIT_S, idle_s=idle_s)
        self.group = self._make_group()
        self._sessions: weakref.WeakValueDictionary[str, SQLServerSession] = weakref.WeakValueDictionary()
        self._threads: ThreadPoolExecutor | None = None
        self._inherited: list[object] = []
        forget_in_children(self)

    @cached_property
    def dialect(self) -> SQLServerDialect:
        """Made on first use, because SQLAlchemy's dialect for SQL Server is slow to import."""
        from apilane_sqlserver.dialect import SQLServerDialect

        return SQLServerDialect()

    def session(self, address: str) -> SQLServerSession:
        """The session of a connection string; there is one per string."""
        session = self._sessions.get(address)
        if session is None:
            from apilane_sqlserver.session import SQLServerSession

            session = self._sessions[address] = SQLServerSession(self, read_address(address))
        return session

    def load(self) -> Load:
        """The connections of all sessions."""
        return self.group.load()

    async def close(self) -> None:
        """Finish all accepted work, then close all connections and threads. Sessions may open again."""
        for session in list(self._sessions.values()):
            await session.close()
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)

    # For sessions.

    def in_thread(self, function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Run off the loop."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.group.limit + MORE_THREADS, thread_name_prefix="sqlserver")
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def open(self, address: SQLServerAddress) -> Connection:
        """A new connection. If the caller leaves meanwhile, it is closed."""
        opening = self.in_thread(self._open, address)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._close_unwanted)
            raise

    def _open(self, address: SQLServerAddress) -> Connection:
        from apilane_sqlserver.connection import open_connection

        driver = choose_driver(address.driver, load_pyodbc().drivers(), packaged_library())
        token = None
        if address.authentication == ACCESS_TOKEN:
            token = token_source()
        return open_connection(address, driver, token, limits=self.limits)

    def _close_unwanted(self, opening: asyncio.Future[Connection]) -> None:
        with contextlib.suppress(Exception):
            self._closing = self.in_thread(opening.result().close)

    def forget(self) -> None:
        """In a forked child: drop what the parent opened without closing it, which would end its connections."""
        self._inherited += [self.group, self._threads]
        self.group, self._threads = self._make_group(), None
        self._inherited += [session.forget() for session in self._sessions.values()]
