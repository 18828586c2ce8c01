"""The SQLite driver: sessions by path, their shared threads, and the limit of open databases."""

from __future__ import annotations

import os
import sys
import weakref
from asyncio import Future, get_running_loop
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import apsw

from apilane.plugin.storage import Features, Load, forget_in_children
from apilane_sqlite.address import read_address
from apilane_sqlite.dialect import SQLiteDialect
from apilane_sqlite.session import SQLiteSession

__all__ = ["SQLiteDriver"]

T = TypeVar("T")

READER_THREADS: Final = 4
"""For all databases of the process together."""
SCRIPT_THREADS: Final = 8
SCRIPT_NICENESS: Final = 10

FEATURES: Final = Features(
    embedded=True,
    exact_decimals=False,
    transactional_ddl=True,
    reads_after_failure=True,
    unique_folds_every_letter=False,
    names_foreign_keys=False,
)


class SQLiteDriver:
    """Databases are files; addresses are paths.

    ``open_databases``: how many databases keep connections; beyond it, the least recently used idle one is closed. An
    open database takes 3 file descriptors, and 3 more during writes.
    ``statement_timeout_s``: for each read in the pool and each unit. ``mmap_mib``: per file, for reads on the loop.
    """

    name = "SQLite"
    version = f"apsw {apsw.apsw_version()} (SQLite {apsw.sqlite_lib_version()})"
    features = FEATURES

    def __init__(
        self,
        *,
        open_databases: int = 200,
        statement_timeout_s: float = 20.0,
        mmap_mib: int = 1024,
    ) -> None:
        self.dialect = SQLiteDialect()
        self.statement_timeout_s = statement_timeout_s
        self.mmap_mib = mmap_mib
        self._open_databases = max(open_databases, 1)
        self._sessions: weakref.WeakValueDictionary[str, SQLiteSession] = weakref.WeakValueDictionary()
        self._open: set[SQLiteSession] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._script_threads: ThreadPoolExecutor | None = None
        self._inherited: list[object] = []
        forget_in_children(self)

    def session(self, address: str) -> SQLiteSession:
        """The session of the file at ``address``; there is one for each path."""
        path = read_address(address)
        session = self._sessions.get(path)
        if session is None:
            session = self._sessions[path] = SQLiteSession(self, path)
        return session

    def load(self) -> Load:
        """The open databases, and the units in the queues of their writers."""
        is_idle = sum(not session.busy for session in self._open)
        return Load(len(self._open), is_idle, 0, sum(session.queued_writes for session in self._open))

    async def close(self) -> None:
        """Finish all accepted work, then close all connections and threads. Sessions may open again."""
        for session in list(self._sessions.values()):
            await session.close()
        pools = self._threads, self._script_threads
        self._threads = self._script_threads = None
        for threads in pools:
            if threads is not None:
                threads.shutdown()

    # For sessions.

    def in_thread(self, function: Callable[..., T], *arguments: object) -> Future[T]:
        """Run off the loop, in the threads that all sessions share."""
        return _in_thread(self._pool(), function, arguments)

    def in_script_thread(self, function: Callable[..., T], *arguments: object) -> Future[T]:
        """Run custom SQL off the loop, in separate threads of lower priority, so that it does not delay other reads."""
        if self._script_threads is None:
            self._script_threads = ThreadPoolExecutor(
                SCRIPT_THREADS, thread_name_prefix="sqlite-script", initializer=_yield_processor
            )
        return _in_thread(self._script_threads, function, arguments)

    def opened(self, session: SQLiteSession) -> None:
        """Count an open session, and close the least recently used idle ones beyond the limit."""
        self._open.add(session)
        excess = len(self._open) - self._open_databases
        if excess <= 0:
            return
        idle = sorted((other for other in self._open if not other.busy), key=lambda other: other.last_used)
        for other in idle[:excess]:
            self._open.discard(other)
            self._pool().submit(_close, other.detach())

    async def let_go(self, session: SQLiteSession) -> None:
        """Close an idle session's connections."""
        self._open.discard(session)
        await self.in_thread(_close, session.detach())

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="sqlite-reader")
        return self._threads

    def forget(self) -> None:
        """In a forked child: drop what the parent opened without closing it, which would release the parent's locks."""
        self._inherited += [session.forget() for session in self._sessions.values()]
        self._inherited += [self._threads, self._script_threads]
        self._open.clear()
        self._threads = self._script_threads = None


def _in_thread(threads: ThreadPoolExecutor, function: Callable[..., T], arguments: tuple[object, ...]) -> Future[T]:
    """``loop.run_in_executor`` without its two chained futures, which take 15 % of a call of custom SQL."""
    loop = get_running_loop()
    future: Future[T] = loop.create_future()

    def work() -> None:
        if future.cancelled():
            return
        try:
            result = function(*arguments)
        except BaseException as error:  # every error goes to the waiting caller
            loop.call_soon_threadsafe(_settle, future, None, error)
        else:
            loop.call_soon_threadsafe(_settle, future, result, None)

    threads.submit(work)
    return future


def _settle(future: Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():  # cancelled
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _yield_processor() -> None:
    if sys.platform == "linux":  # on other systems it would apply to the whole process
        os.nice(SCRIPT_NICENESS)


def _close(connections: Iterable[apsw.Connection]) -> None:
    for connection in connections:
        connection.close()
