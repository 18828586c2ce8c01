"""Short custom SQL on the event loop: one SELECT whose cost the time limit of the loop can bound.

A script runs in a thread first, under the guard. ``judged`` decides there whether later calls may run on the loop. They
use a separate connection whose authorizer is always the guard, so its statements stay compiled: SQLite asks the guard
again whenever it compiles one. Handing a script to a thread and back takes 200 us, running it here 10 us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import apsw

from apilane.plugin.storage import Result, ResultBudget, ResultSet, ScriptNotes, ScriptStep
from apilane_sqlite.connection import LOOP_PROGRESS_STEPS, Deadline, open_connection, read_in_place
from apilane_sqlite.guard import Guard

__all__ = ["BOOLEANS", "ShortRead", "ShortScripts", "judged"]

BOOLEANS: Final = frozenset({"BOOLEAN", "BOOL"})
"""Declared types of boolean columns."""

LENGTH_MAX_BYTES: Final = 1_000_000
"""Longest value on the loop. Scripts with longer ones run in a thread."""

_STEADY: Final = """
abs acos apilane_fold asin atan atan2 avg cast ceil ceiling changes coalesce cos cume_dist current_date current_time
current_timestamp date datetime degrees dense_rank exp first_value floor ifnull iif julianday lag last_insert_rowid
last_value lead length likelihood likely ln log log10 log2 lower ltrim max min mod nth_value ntile nullif
octet_length percent_rank pi pow power radians random rank round row_number rtrim sign sin sqrt strftime substr
substring sum tan time timediff total total_changes trim trunc typeof unicode unixepoch unlikely upper
"""
_STEADY_FUNCTIONS: Final = frozenset(_STEADY.split())
"""Functions that take time in proportion to their arguments. SQLite does not check the time within a function, so
others run in threads: ``like``, ``instr`` and ``replace`` multiply lengths, ``printf`` and ``zeroblob`` make long
values, and ``count`` may count a whole table in one step.
"""

_ORDINARY: Final = (
    "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name = ? COLLATE NOCASE"
)


class ShortRead(ScriptNotes):
    """Notes of a script that may run on the loop. ``text``: its only statement. ``described``: names and declared types
    of its columns, with the parts of a ``ResultSet`` that follow from them."""

    __slots__ = ("booleans", "columns", "described", "names", "text")

    def __init__(self, text: str, described: Any, names: frozenset[str]) -> None:
        super().__init__(writes=False)
        self.text = text
        self.names = tuple((name, f"v_{name}") for name in names)
        self.describe(described)

    def describe(self, described: Any) -> None:
        """Note the columns of the last run."""
        self.described = described
        self.columns = tuple(name for name, _ in described)
        self.booleans = tuple(at for at, (_, type) in enumerate(described) if (type or "").upper() in BOOLEANS)


def judged(
    connection: apsw.Connection, step: ScriptStep, guard: Guard, ran: list[tuple[str, Any]]
) -> ScriptNotes | None:
    """The notes after a run in a thread that wrote nothing. ``ran``: its statements with their columns, if any.

    None: later runs use a thread too.
    """
    if len(ran) != 1 or any(mark.quoted for mark in step.script.marks):
        return None
    if guard.special or not guard.functions <= _STEADY_FUNCTIONS:
        return None
    for table in guard.tables:  # virtual tables run code of their own, which does not check the time
        if connection.execute(_ORDINARY, (table,)).fetchall() != [(1,)]:
            return None
    return ShortRead(*ran[0], step.script.names)


class ShortScripts:
    """The connection of one database for short scripts. All calls come from the event loop, except ``open``."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        self._path = path
        self._deadline = deadline
        self._guard = Guard(reads_only=True)
        self._connection: apsw.Connection | None = None
        self.execute: Callable[..., apsw.Cursor] | None = None
        """None until the connection is open."""

    def open(self, mmap_mib: int) -> apsw.Connection:
        """A new connection for ``use``. Raises apsw.Error or OSError."""
        connection = open_connection(
            self._path,
            busy_timeout_ms=0,
            deadline=self._deadline,
            progress_steps=LOOP_PROGRESS_STEPS,
            plans_once=True,
        )
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, LENGTH_MAX_BYTES)
        read_in_place(connection, self._path, mmap_mib)
        connection.authorizer = self._guard  # for good: a change would make SQLite compile every statement again
        return connection

    def use(self, connection: apsw.Connection) -> None:
        """Run scripts on this connection from now on."""
        self._connection = connection
        self.execute = connection.execute

    def run(self, step: ScriptStep, notes: ShortRead) -> Result:
        """Run the script under the deadline. Raises apsw's errors; a failed script may run again elsewhere."""
        guard, execute = self._guard, self.execute
        assert execute is not None  # noqa: S101  # the caller has checked it
        guard.changes, guard.nulled = False, ""
        values = step.values
        cursor = execute(notes.text, {place: values[name] for name, place in notes.names})
        try:
            described = cursor.get_description()
            if described != notes.described:  # the tables have changed
                notes.describe(described)
            rows = ResultBudget().take(cursor)
        except apsw.ExecutionCompleteError:  # no row, so the names of the columns are not needed
            rows = []
        finally:
            cursor.close(True)
        return Result(sets=[ResultSet(notes.columns, notes.booleans, rows)])

    def detach(self) -> list[apsw.Connection]:
        """The connection, for the caller to close; a later script opens another one."""
        connection, self._connection, self.execute = self._connection, None, None
        return [] if connection is None else [connection]
