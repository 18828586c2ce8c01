"""Custom SQL on a connection: judged, then run statement by statement within a transaction that the caller began.

The time limit counts for the script as a whole; a statement over it is ended with its connection.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from apilane.model.privileges import ROWS_MAX
from apilane.sql.script import Script
from apilane.sql.statement import Statement, Value
from apilane.storage.errors import StorageError, ValueTooLong
from apilane.storage.protocol import Result, ResultSet, Row, ScriptStep
from apilane_mysql.guard import LIMIT, SECRET_TABLES, Columns, Judged, judge, mentions_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apilane_mysql.connection import MySQLConnection

__all__ = ["problems_of", "run_script"]

RESULT_MAX_BYTES: Final = 100_000_000
"""In memory, so that a script cannot take the process with it."""
_TINY: Final = 1

_COLUMNS: Final = Statement(
    "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() "  # noqa: S608
    f"AND LOWER(TABLE_NAME) IN ({', '.join(repr(name) for name in sorted(SECRET_TABLES))}) ORDER BY ORDINAL_POSITION"
)


async def run_script(connection: MySQLConnection, step: ScriptStep) -> Result:
    """Every statement of a script in turn, and what they returned. Raises StorageError."""
    until = connection.script_deadline()
    statements = await _judged(connection, step)
    values = {f"v_{name}": value for name, value in step.values.items()}
    budget = _Budget()
    sets: list[ResultSet] = []
    matched = 0
    for statement in statements:
        asked = {*statement.names, statement.limit if isinstance(statement.limit, str) else LIMIT}
        if not values.keys() >= asked - {LIMIT}:
            raise StorageError("Callers' parameters are written {Name}, not :Name.")
        parameters = [budget.limit(statement, values) if name == LIMIT else values[name] for name in statement.names]
        budget.rows = []
        cursor = await connection.rows_of(statement.text, parameters, budget.take, until)
        if cursor.description:
            sets.append(_result(cursor.description, budget.rows))
        else:
            matched += cursor.rowcount
    return Result(matched=matched, sets=sets)


async def _judged(connection: MySQLConnection, step: ScriptStep) -> list[Judged]:
    script = step.script
    kept = script.notes
    if isinstance(kept, list):
        return kept
    text = script.text(step.values, _placeholder)
    secrets = mentions_secrets(text)
    found = judge(text, await _secret_columns(connection) if secrets else {})
    if not secrets and not any(mark.quoted for mark in script.marks):  # columns may change, quoted values do
        script.notes = found
    return found


async def _secret_columns(connection: MySQLConnection) -> Columns:
    columns: dict[str, list[str]] = {}
    for table, column in await connection.fetch(_COLUMNS, ()):
        columns.setdefault(str(table).lower(), []).append(str(column))
    return columns


def _placeholder(name: str) -> str:
    return f" :v_{name} "


class _Budget:
    """What may still be returned, and the rows of the statement that runs."""

    __slots__ = ("_left", "_size", "rows")

    def __init__(self) -> None:
        self._left = ROWS_MAX
        self._size = RESULT_MAX_BYTES
        self.rows: list[Row] = []

    def limit(self, statement: Judged, values: Mapping[str, Value]) -> int:
        own: Any = values[statement.limit] if isinstance(statement.limit, str) else statement.limit
        return self._left if not isinstance(own, int) or isinstance(own, bool) else max(min(own, self._left), 0)

    def take(self, rows: Sequence[Row]) -> bool:
        for row in rows:
            self._size -= sum(map(getsizeof, row))
        if self._size < 0:
            raise ValueTooLong(f"The results are larger than {RESULT_MAX_BYTES} bytes.")
        taken = rows[: self._left]
        self._left -= len(taken)
        self.rows += taken
        return len(taken) == len(rows)


def _result(description: Sequence[Any], rows: list[Row]) -> ResultSet:
    booleans = tuple(at for at, column in enumerate(description) if column[1] == _TINY and column[3] == 1)
    columns = tuple(str(column[0]) for column in description)
    return ResultSet(columns, booleans, [tuple(map(_plain, row)) for row in rows])


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        whole = int(value)
        return whole if whole == value else value.normalize()
    return str(value) if isinstance(value, timedelta) else value


def problems_of(script: Script) -> list[str]:
    """Why a script would be refused."""
    try:
        judge(script.text(dict.fromkeys(script.names, 1), _placeholder), {})
    except StorageError as error:
        return [str(error)]
    return []
