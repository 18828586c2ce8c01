"""Custom SQL on a connection: checked, then run statement by statement within a transaction that the caller began.

The time limit applies to the whole script; a statement beyond it is ended together with its connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from apilane.plugin.storage import (
    Result,
    ResultBudget,
    ResultSet,
    Row,
    ScriptNotes,
    ScriptStep,
    Statement,
    StorageError,
    Value,
    named_placeholder,
)
from apilane_mysql.guard import LIMIT, SECRET_TABLES, Columns, Judged, judge, mentions_secrets
from apilane_mysql.values import plain_rows

__all__ = ["read_script", "run_script"]

_TINY: Final = 1
_ALIKE: Final = frozenset({1, 2, 3, 6, 8, 9, 15, 246, 249, 250, 251, 252, 253, 254})
"""Types whose values are the same from prepared statements and from text: whole numbers, decimals, texts, bytes, null.
A FLOAT has fewer digits as text."""
READ_ROWS_MAX: Final = 500
"""Most rows of a script that runs in one trip, because they are in memory together."""

_COLUMNS: Final = Statement(
    "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() "  # noqa: S608
    f"AND LOWER(TABLE_NAME) IN ({', '.join(repr(name) for name in sorted(SECRET_TABLES))}) ORDER BY ORDINAL_POSITION"
)


_BOUND_ALIKE: Final = frozenset({int, str, type(None)})
"""Types of values that prepared statements and texts pass alike."""

_SESSION_READS: Final = re.compile(r"\b(?:last_insert_id|found_rows|row_count)\b", re.IGNORECASE)
_FORGET: Final = Statement("SELECT LAST_INSERT_ID(0)")
"""These functions tell about earlier statements of the connection, which may be another caller's. After this statement
they tell nothing of them.
"""


class ScriptConnection(Protocol):
    """The part of the connection that a script uses."""

    def script_deadline(self) -> float:
        """When a script that begins now must have ended."""
        ...

    async def fetch(self, statement: Statement, parameters: Sequence[Value]) -> Sequence[Row]:
        """Rows of a read."""
        ...

    async def described_rows(self, text: str, parameters: Sequence[Value]) -> tuple[Sequence[Any], Sequence[Row]]:
        """The description of the columns, and all rows."""
        ...

    async def rows_of(
        self, text: str, parameters: Sequence[Value], take: Callable[[Sequence[Row]], bool], until: float
    ) -> Any:
        """Run a statement, give its rows in batches to ``take`` until that returns False, and return the cursor."""
        ...


class _Notes(ScriptNotes):
    """``statements``: the statements that passed the guard, in the form that runs. ``may_read``: it is one SELECT whose
    result does not depend on the connection."""

    __slots__ = ("may_read", "statements")

    def __init__(self, statements: list[Judged], names: frozenset[str]) -> None:
        first = statements[0] if len(statements) == 1 else None
        super().__init__(
            writes=any(statement.writes for statement in statements),
        )
        self.statements = statements
        self.may_read = (
            first is not None
            and first.only_reads
            and _asked(first) <= {f"v_{name}" for name in names}
            and not _SESSION_READS.search(first.text)
        )


async def run_script(connection: ScriptConnection, step: ScriptStep) -> Result:
    """Run every statement of a script in order; returns their results. Raises StorageError."""
    until = connection.script_deadline()
    statements = await _judged(connection, step)
    values = {f"v_{name}": value for name, value in step.values.items()}
    if any(_SESSION_READS.search(statement.text) for statement in statements):
        await connection.fetch(_FORGET, ())
    budget = ResultBudget()
    sets: list[ResultSet] = []
    matched = 0
    for statement in statements:
        if not values.keys() >= _asked(statement):
            raise StorageError("Callers' parameters are written {Name}, not :Name.")
        parameters = [_limit(statement, values, budget) if name == LIMIT else values[name] for name in statement.names]
        rows: list[Row] = []
        take = partial(_take, rows, budget)
        cursor = await connection.rows_of(statement.text, parameters, take, until)
        if cursor.description:
            sets.append(_result(cursor.description, rows))
            if isinstance(notes := step.script.notes, _Notes) and notes.may_read:
                notes.one_read = _are_alike(cursor.description)
        else:
            matched += cursor.rowcount
    return Result(matched=matched, sets=sets)


async def read_script(connection: ScriptConnection, step: ScriptStep) -> Result | None:
    """Run a script of one SELECT as a prepared statement, with the result of ``run_script``.

    None: it must run as text, because of its values or columns, or has more rows than fit into one trip.
    """
    notes = step.script.notes
    if not isinstance(notes, _Notes) or not all(type(value) in _BOUND_ALIKE for value in step.values.values()):
        return None
    (statement,) = notes.statements
    values = {f"v_{name}": value for name, value in step.values.items()}
    budget = ResultBudget()
    limit = _limit(statement, values, budget)
    some = min(limit, READ_ROWS_MAX)
    parameters = [some if name == LIMIT else values[name] for name in statement.names]
    description, rows = await connection.described_rows(statement.text, parameters)
    if len(rows) == READ_ROWS_MAX < limit:
        notes.may_read = False  # the same script will have as many rows again
        return None
    if not _are_alike(description):
        return None
    return Result(sets=[_result(description, budget.take(rows))])


def _are_alike(description: Sequence[Any]) -> bool:
    return all(column[1] in _ALIKE for column in description)


def _asked(statement: Judged) -> set[str]:
    """The parameters that callers give."""
    return {*statement.names, statement.limit if isinstance(statement.limit, str) else LIMIT} - {LIMIT}


def _take(taken: list[Row], budget: ResultBudget, rows: Sequence[Row]) -> bool:
    """Keep the rows within the budget; whether all were kept."""
    kept = budget.take(rows)
    taken += kept
    return len(kept) == len(rows)


async def _judged(connection: ScriptConnection, step: ScriptStep) -> list[Judged]:
    script = step.script
    if isinstance(script.notes, _Notes):
        return script.notes.statements
    text = script.text(step.values, named_placeholder)
    secrets = mentions_secrets(text)
    found = judge(text, await _secret_columns(connection) if secrets else {})
    if not secrets and not any(mark.quoted for mark in script.marks):  # columns and quoted values may change
        script.notes = _Notes(found, script.names)
    return found


async def _secret_columns(connection: ScriptConnection) -> Columns:
    columns: dict[str, list[str]] = {}
    for table, column in await connection.fetch(_COLUMNS, ()):
        columns.setdefault(str(table).lower(), []).append(str(column))
    return columns


def _limit(statement: Judged, values: Mapping[str, Value], budget: ResultBudget) -> int:
    own: Any = values[statement.limit] if isinstance(statement.limit, str) else statement.limit
    return budget.rows if not isinstance(own, int) or isinstance(own, bool) else max(min(own, budget.rows), 0)


def _result(description: Sequence[Any], rows: list[Row]) -> ResultSet:
    booleans = tuple(at for at, column in enumerate(description) if column[1] == _TINY and column[3] == 1)
    columns = tuple(str(column[0]) for column in description)
    return ResultSet(columns, booleans, plain_rows(description, rows))
