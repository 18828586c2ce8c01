"""Records schema changes that may stop halfway: MySQL commits each schema statement, so finished ones are recorded.

``H_Schema_Progress`` has a row for each statement of an unfinished change. If the same change runs again, it skips the
finished statements and continues. A different change first undoes what can be undone (new tables, columns,
constraints, indexes, names). If the unfinished change has already dropped or altered something, the different change
is refused until the first one is completed. The last transaction of a change stores its version and deletes the rows.

A statement is atomic. If the connection is lost during one, running it again shows whether it took effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from apilane.plugin.storage import ConnectionLost, Result, ScriptStep, Statement, Step, StorageError, Unit, drive_async

if TYPE_CHECKING:
    from apilane_mysql.connection import MySQLConnection

__all__ = ["PROGRESS_TABLE", "SchemaChange"]

T = TypeVar("T")

PROGRESS_TABLE: Final = "H_Schema_Progress"
_CREATE: Final = (
    f"CREATE TABLE IF NOT EXISTS `{PROGRESS_TABLE}` (`ID` BIGINT NOT NULL PRIMARY KEY, "
    "`Statement` LONGTEXT CHARACTER SET utf8mb4 NOT NULL, `Done` BOOL NOT NULL) ENGINE=InnoDB"
)
_READ: Final = Statement(f"SELECT `ID`, `Statement`, `Done` FROM `{PROGRESS_TABLE}` ORDER BY `ID`")  # noqa: S608
_BEGUN: Final = Statement(
    f"INSERT INTO `{PROGRESS_TABLE}` (`ID`, `Statement`, `Done`) VALUES (%s, %s, 0)",  # noqa: S608
    kind="insert",
)
_DONE: Final = Statement(f"UPDATE `{PROGRESS_TABLE}` SET `Done` = 1 WHERE `ID` = %s", kind="update")  # noqa: S608
_REMOVE: Final = Statement(f"DELETE FROM `{PROGRESS_TABLE}` WHERE `ID` = %s", kind="delete")  # noqa: S608
_CLEAR: Final = Statement(f"DELETE FROM `{PROGRESS_TABLE}`", kind="delete")  # noqa: S608

_ALREADY: Final = frozenset({1050, 1051, 1054, 1060, 1061, 1072, 1091, 1146, 1176, 1826, 3822})
"""The server's numbers for "already exists" and "does not exist"."""

_CREATED: Final = re.compile(r"CREATE TABLE (`(?:[^`]|``)+`)")
_ALTERED: Final = re.compile(r"ALTER TABLE (`(?:[^`]|``)+`) ")
_ADDED: Final = re.compile(r"\bADD (COLUMN|UNIQUE INDEX|INDEX|CONSTRAINT) (`(?:[^`]|``)+`)")
_LOSING: Final = re.compile(r"(?:^ALTER TABLE `(?:[^`]|``)+`|,) (?:DROP|MODIFY|CHANGE) |^DROP ")
_RENAMED: Final = re.compile(r"(`(?:[^`]|``)+`) TO (`(?:[^`]|``)+`)")
_DROP: Final = {"COLUMN": "COLUMN", "UNIQUE INDEX": "INDEX", "INDEX": "INDEX", "CONSTRAINT": "FOREIGN KEY"}


class _Row(NamedTuple):
    id: int
    text: str
    done: bool


class SchemaChange:
    """One run of a unit of schema statements on ``connection``."""

    def __init__(self, connection: MySQLConnection) -> None:
        self._connection = connection
        self._rows: list[_Row] | None = None
        """The rows of an earlier run; None: not read yet."""
        self._position = 0
        self._in_transaction = False

    async def run(self, make_unit: Callable[[], Unit[T]]) -> T:
        """The unit's value, after everything is stored."""
        connection = self._connection
        try:
            value = await drive_async(make_unit(), self._execute)
            if self._rows is not None:
                await self._take_back_rest()
                await self._begin()
                await connection.execute(Step(_CLEAR))
            if self._in_transaction:
                await connection.commit()
        except BaseException:
            if self._in_transaction and connection.usable:
                await connection.rollback()
            raise
        return value

    async def _begin(self) -> None:
        if not self._in_transaction:
            await self._connection.begin()
            self._in_transaction = True

    async def _execute(self, step: Step | ScriptStep) -> Result:
        if isinstance(step, Step) and step.statement.kind == "ddl":
            await self._change(step.statement.text)
            return Result()
        await self._begin()
        return await self._connection.execute(step)

    async def _change(self, text: str) -> None:
        if self._in_transaction:  # as the server would do
            await self._connection.commit()
            self._in_transaction = False
        if self._rows is None:
            self._rows = await self._left()
        row = self._rows[self._position] if self._position < len(self._rows) else None
        if row is not None and row.text != text:
            await self._take_back_rest()
            row = None
        number = self._position
        self._position += 1
        if row is not None and row.done:
            return
        if row is None:
            await self._connection.execute(Step(_BEGUN, (number, text)))
        try:
            await self._run(text, again=row is not None)
        except ConnectionLost:
            raise
        except StorageError:
            await self._connection.execute(Step(_REMOVE, (number,)))
            raise
        await self._connection.execute(Step(_DONE, (number,)))

    async def _left(self) -> list[_Row]:
        await self._connection.execute(Step(Statement(_CREATE, kind="ddl")))
        found = await self._connection.fetch(_READ, ())
        return [_Row(int(id), str(text), bool(done)) for id, text, done in found]

    async def _run(self, text: str, *, again: bool) -> None:
        try:
            await self._connection.execute(Step(Statement(text, kind="ddl")))
        except StorageError as error:
            if not again or not _is_already(error):
                raise

    async def _take_back_rest(self) -> None:
        """Undo the statements of an earlier change that this one does not have, the last first."""
        rest = (self._rows or [])[self._position :]
        if any(_LOSING.search(row.text) for row in rest):
            raise StorageError(
                "An earlier change of these tables stopped half-way, after it had dropped or altered something. Apply "
                "that definition again to complete it, then this one."
            )
        for row in reversed(rest):
            for text in _inverse(row.text):
                await self._run(text, again=True)
            await self._connection.execute(Step(_REMOVE, (row.id,)))
        self._rows = (self._rows or [])[: self._position]


def _inverse(text: str) -> list[str]:
    """Statements that undo a statement of ``schema`` that only adds or renames."""
    if created := _CREATED.match(text):
        return [f"DROP TABLE {created[1]}"]
    if altered := _ALTERED.match(text):
        drops = [f"DROP {_DROP[kind]} {name}" for kind, name in reversed(_ADDED.findall(text))]
        return [f"ALTER TABLE {altered[1]} {drop}" for drop in drops]
    renames = [f"{new} TO {old}" for old, new in reversed(_RENAMED.findall(text))]
    return [f"RENAME TABLE {', '.join(renames)}"] if renames else []


def _is_already(error: StorageError) -> bool:
    number, text = getattr(error.__cause__, "args", (None, ""))[:2] or (None, "")
    return number in _ALREADY or (number == 1005 and "errno: 121" in str(text))  # MariaDB: the foreign key exists
