"""Opens all connections in the same way. The owner of a connection decides which thread uses it."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from time import monotonic, thread_time
from typing import Final

import apsw

from apilane.plugin.storage import fold
from apilane_sqlite.dialect import FOLD_FUNCTION

__all__ = ["PAGE_CACHE_BYTES", "Deadline", "FileLock", "open_connection", "read_in_place"]

LOOP_PROGRESS_STEPS: Final = 1000
"""SQLite instructions between two reads of the clock: about 15 us."""

PROGRESS_STEPS: Final = 100_000
"""The same for limits of seconds: each read of the clock needs the GIL, which a busy loop releases late."""

LEAST_WORK_S: Final = 0.001
"""Processor time of a statement that is too long for the event loop."""
LATEST_S: Final = 0.02
"""Such a statement may wait this long for the disk or for a processor."""

OPENING_TIMEOUT_MS: Final = 10_000
STATEMENTS_KEPT: Final = 64
"""Cached statements per connection. apsw searches through half of them for each statement: with 512, reading one row
takes 0.4 us more, and another 0.4 us if a hundred applications are used in turn."""
PAGE_CACHE_BYTES: Final = 2_000_000
"""The page cache of a connection; SQLite's default."""

OPEN_FLAGS: Final = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_NOMUTEX
"""No mutexes: every connection has one user at a time. They took 4 of the 23 us of a page of 20, two per value."""


class Deadline:
    """When a statement must end, by ``time.monotonic``; SQLite checks it at intervals.

    A statement is interrupted at its ``patience``-th check or later. With a patience it must also have used
    ``LEAST_WORK_S`` of processor time, or be ``LATEST_S`` late. So a short statement is not taken for a long one
    because the machine ran another process meanwhile: on a busy machine an aggregate of 0.3 ms was.
    """

    __slots__ = ("_asked", "_asked_for", "_worked", "at", "cancelled", "patience")

    def __init__(self, at: float = float("inf"), *, patience: int = 1) -> None:
        self.at = at
        self.cancelled = False
        self.patience = patience
        self._asked = 0
        self._asked_for = at
        self._worked = 0.0

    def passed(self) -> bool:
        if self._asked_for != self.at:  # another statement
            self._asked_for = self.at
            self._asked = 0
        self._asked += 1
        if self._asked == 2 and self.patience > 1:  # not at the first check, which most reads reach: it takes 2 us
            self._worked = thread_time()
        if self.cancelled:
            return True
        if self._asked < self.patience or (late_s := monotonic() - self.at) <= 0:
            return False
        return self.patience == 1 or late_s > LATEST_S or thread_time() - self._worked > LEAST_WORK_S


class FileLock:
    """An exclusive lock among processes, on a file beside the database. Waiters are served in order (``flock``)."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> None:
        """Wait without a limit; the thread releases the GIL meanwhile."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)


def open_connection(
    path: str,
    *,
    busy_timeout_ms: int,
    deadline: Deadline,
    progress_steps: int = PROGRESS_STEPS,
    plans_once: bool = False,
    writes: bool = False,
) -> apsw.Connection:
    """A connection to the database at ``path``, which is created when missing (its folder is not).

    A new file is readable by its owner only; the files that SQLite makes beside it get the same mode.

    Raises apsw.Error or OSError. Statements past ``deadline`` are interrupted. ``plans_once``: query plans do not
    depend on values.
    """
    with suppress(OSError):  # it exists already, or opening reports what is wrong
        os.mknod(path, 0o600 | stat.S_IFREG)  # open() and close would drop this process's locks on the file
    connection = apsw.Connection(path, flags=OPEN_FLAGS, statementcachesize=STATEMENTS_KEPT)
    try:
        connection.set_busy_timeout(OPENING_TIMEOUT_MS)
        # An unknown "name" is an error, not a text.
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
        # Otherwise SQLite plans statements again for each value: 8 of the 23 us of a page. Not for custom SQL, where an
        # index can serve LIKE only if the value is known when the plan is made.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, int(plans_once))
        connection.create_scalar_function(FOLD_FUNCTION, _fold, 1, deterministic=True)
        _ensure_wal(connection, path)
        connection.execute("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;")
        if not writes:
            connection.execute("PRAGMA query_only = ON")
        connection.set_busy_timeout(busy_timeout_ms)
        connection.set_progress_handler(deadline.passed, progress_steps)
    except BaseException:
        connection.close()
        raise
    return connection


def read_in_place(connection: apsw.Connection, path: str, mmap_mib: int) -> None:
    """Read up to ``mmap_mib`` of a large file from the system's memory, without copies. Repeat it as the file grows.

    Copied pages displace other data from the processor's cache: a request for one of five million rows took 1.1 to
    1.25 times as long as for one of a thousand, and 0.95 to 1.05 times without copies. Small files are not mapped:
    their pages are copied once and stay in the page cache, and a mapped read would cost some 5 % of a request.
    """
    with suppress(OSError, apsw.Error):  # then pages are copied
        if mmap_mib and Path(path).stat().st_size > PAGE_CACHE_BYTES:
            connection.pragma("mmap_size", mmap_mib * 2**20)


def _ensure_wal(connection: apsw.Connection, path: str) -> None:
    """Turn write-ahead logging on, once for each file; processes that open a new file together do it in turn."""
    if connection.pragma("journal_mode") == "wal":
        return
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire()
        mode = connection.pragma("journal_mode", "wal")
    finally:
        lock.close()
    if mode != "wal":
        raise apsw.CantOpenError(f"journal mode is {mode}, not wal")


def _fold(*values: apsw.SQLiteValue) -> apsw.SQLiteValue:
    (value,) = values
    return fold(value) if isinstance(value, str) else value
