"""Custom SQL on a connection with other uses: SQLite's authorizer guards it while it runs.

``run_script`` works inside a transaction that its caller began and will end, and leaves no changes on the connection
itself. The session and the writer decide which connection it uses, and when.
"""

from __future__ import annotations

from typing import Any, Final

import apsw

from apilane.plugin.storage import (
    Result,
    ResultBudget,
    ResultSet,
    Row,
    ScriptNotes,
    ScriptStep,
    StorageError,
    named_placeholder,
)
from apilane_sqlite.guard import Guard, guarded, is_empty, no_value, statements_of
from apilane_sqlite.short_script import BOOLEANS, judged

__all__ = ["WritesError", "run_script"]


class WritesError(Exception):
    """A read-only script has a statement that writes; nothing was written."""


def run_script(connection: apsw.Connection, step: ScriptStep, *, reads_only: bool = False) -> Result:
    """Run every statement of a script in order and return the results.

    ``reads_only``: raises ``WritesError`` at the first statement that would write. Otherwise raises StorageError for
    refusals of the guard and for missing parameters, and apsw's errors.
    """
    guard = Guard(reads_only=reads_only)
    values = {f"v_{name}": value for name, value in step.values.items()}
    text = step.script.text(step.values, named_placeholder)
    before = connection.total_changes()
    sets: list[ResultSet] = []
    ran: list[tuple[str, Any]] = []
    budget = ResultBudget()
    with guarded(connection, guard):
        for statement in statements_of(text):
            guard.changes, guard.nulled = False, ""
            description: list[Any] = []
            try:
                rows = _run(connection, statement, values, budget, description)
            except KeyError as missing:
                raise StorageError(no_value(missing)) from missing
            except UnicodeDecodeError as error:
                raise StorageError(_NOT_UTF8) from error
            except apsw.Error as error:
                if guard.refusal:
                    raise StorageError(guard.refusal) from error
                if guard.writes and reads_only:
                    raise WritesError from None
                raise
            if not is_empty(statement):
                ran.append((statement, tuple(description)))
            if description:
                booleans = tuple(at for at, (_, type) in enumerate(description) if (type or "").upper() in BOOLEANS)
                sets.append(ResultSet(tuple(name for name, _ in description), booleans, rows))
    if guard.temporary:
        _drop_temporary(connection)
    if guard.writes:
        step.script.notes = ScriptNotes(writes=True)
    elif reads_only and step.script.notes is None:
        step.script.notes = judged(connection, step, guard, ran) or ScriptNotes(writes=False)
    return Result(matched=connection.total_changes() - before, sets=sets)


def _run(
    connection: apsw.Connection,
    statement: str,
    values: dict[str, Any],
    budget: ResultBudget,
    description: list[Any],
) -> list[Row]:
    """The rows of one statement, whose columns are written to ``description``.

    Not cached: other calls must not reuse what the guard allowed.
    """

    def note(cursor: apsw.Cursor, _text: str, _values: object) -> bool:
        description[:] = cursor.get_description()
        return True

    cursor = connection.cursor()
    cursor.exec_trace = note
    try:
        cursor.execute(statement, values, can_cache=False)
        return budget.take(cursor) if description else []
    finally:
        cursor.close(True)


_NOT_UTF8: Final = (
    "A result has a text that is not UTF-8. Select it as CAST(... AS BLOB), which gives base64, or as hex(...)."
)


def _drop_temporary(connection: apsw.Connection) -> None:
    """Drop a script's temporary objects: they must not hide the application's tables, nor fire on Apilane's writes."""
    for kind in ("trigger", "view", "table"):
        query = "SELECT name FROM sqlite_temp_master WHERE type = ?"
        for (name,) in connection.execute(query, (kind,)).fetchall():
            quoted = str(name).replace('"', '""')
            connection.execute(f'DROP {kind} temp."{quoted}"', can_cache=False)
