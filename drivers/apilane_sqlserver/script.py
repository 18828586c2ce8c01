"""Custom SQL on a connection with other uses: it runs as the user ``apilane_script``.

It runs inside a transaction that the caller began and will end. ``sp_executesql`` gives the script a separate scope:
its settings, variables and temporary tables end with it, and REVERT has no effect outside; values are passed as its
parameters. A cookie for REVERT works only in ad hoc batches (error 15590), not in calls with parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Timer
from time import monotonic
from typing import Any, Final, Protocol

from apilane.plugin.storage import (
    Result,
    ResultBudget,
    ResultSet,
    Row,
    Script,
    ScriptNotes,
    ScriptStep,
    StatementTimeout,
    StorageError,
    Value,
)
from apilane_sqlserver.binding import type_of
from apilane_sqlserver.guard import placeholder, problems_of, writes
from apilane_sqlserver.privileges import SCRIPT_USER
from apilane_sqlserver.values import plain

__all__ = ["batch", "run_script"]

ROWS_AT_ONCE: Final = 2000

_NULL_TYPE: Final = "NVARCHAR(4000)"
"""Converts to the type it is compared with; a number would make the other side convert."""
BECOME: Final = f"EXECUTE AS USER = N'{SCRIPT_USER}'"
WHO: Final = "SELECT USER_NAME()"


class ScriptConnection(Protocol):
    """The part of the connection that a script uses."""

    usable: bool

    def run(self, cursor: Any, text: str, parameters: Sequence[Value]) -> None:
        """Execute a text with typed parameters."""
        ...

    def stop(self) -> None:
        """Cancel the current statement."""
        ...


class _Notes(ScriptNotes):
    __slots__ = ("refusals",)

    def __init__(self, script: Script) -> None:
        super().__init__(writes=writes(script))
        self.refusals = problems_of(script)


def batch(step: ScriptStep) -> tuple[str, tuple[Value, ...]]:
    """The batch to execute and the values of its marks; ``binding`` handles nulls."""
    names = sorted(step.script.names)
    text = step.script.text(step.values, placeholder)
    declared = ", ".join(f"@v_{name} {_declared(step.values[name])}" for name in names)
    assigned = "".join(f", @v_{name} = ?" for name in names)
    call = f"EXECUTE sys.sp_executesql ?, ?{assigned}" if names else "EXECUTE sys.sp_executesql ?"
    return (
        f"{BECOME}; {call}; REVERT",
        (text, declared, *(step.values[name] for name in names)) if names else (text,),
    )


def _declared(value: Value) -> str:
    return _NULL_TYPE if value is None else type_of(value).sql


def run_script(cursor: Any, connection: ScriptConnection, step: ScriptStep, timeout_s: float) -> Result:
    """Every result of a script. Raises StorageError for a refusal or a timeout, and pyodbc's errors.

    After a failure the connection stays ``usable`` only if its original user is restored.
    """
    notes = step.script.notes
    if not isinstance(notes, _Notes):
        notes = step.script.notes = _Notes(step.script)
    if notes.refusals:
        raise StorageError(notes.refusals[0])
    text, values = batch(step)
    deadline = monotonic() + timeout_s
    watch = Timer(timeout_s, connection.stop)
    watch.daemon = True
    watch.start()
    try:
        connection.run(cursor, text, values)
        sets, counted = _results(cursor, deadline)
    except BaseException as error:
        watch.cancel()
        connection.usable = connection.usable and _is_own_again(cursor)
        if monotonic() >= deadline and not isinstance(error, StorageError):
            raise StatementTimeout("The statement took longer than its time limit.") from error
        raise
    finally:
        watch.cancel()
    return Result(matched=counted or int(notes.writes), sets=sets)


def _results(cursor: Any, deadline: float) -> tuple[list[ResultSet], int]:
    """Results up to the limits, and the number of rows changed by statements without results."""
    sets: list[ResultSet] = []
    budget = ResultBudget()
    counted = 0
    while True:
        if cursor.description is None:
            counted += max(cursor.rowcount, 0)
        else:
            rows: list[Row] = []
            while some := cursor.fetchmany(ROWS_AT_ONCE):
                if monotonic() > deadline:
                    raise StatementTimeout("The statement took longer than its time limit.")
                rows += budget.take(tuple(map(plain, row)) for row in some)
            sets.append(ResultSet(_names(cursor.description), _booleans(cursor.description), rows))
        if not cursor.nextset():
            return sets, counted


def _names(description: Any) -> tuple[str, ...]:
    """Columns without a name become Column1, Column2 ... in their order."""
    names: list[str] = []
    unnamed = 0
    for column in description:
        if not column[0]:
            unnamed += 1
        names.append(column[0] or f"Column{unnamed}")
    return tuple(names)


def _booleans(description: Any) -> tuple[int, ...]:
    return tuple(position for position, column in enumerate(description) if column[1] is bool)


def _is_own_again(cursor: Any) -> bool:
    """Whether the connection has its original user: a failed batch should restore it, and this checks it."""
    try:
        cursor.execute(WHO)
        return bool(cursor.fetchone()[0] != SCRIPT_USER)
    except Exception:  # the connection is unusable
        return False
