"""Endpoints of the kind ``sql``. ``apply`` compiles the SQL on empty tables; a call runs it as one script."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from apilane.plugin import (
    Actor,
    ApilaneError,
    ApplicationDefinition,
    ApplicationView,
    Code,
    Dialect,
    Endpoint,
    EndpointDescription,
    ResultSets,
    StorageError,
    Value,
)
from apilane.plugin.storage import (
    HELPER_TABLES,
    HIDDEN_COLUMNS,
    Deadlock,
    MissingObject,
    Raised,
    Result,
    ResultSet,
    Row,
    Script,
    ScriptStep,
    StatementTimeout,
    Unavailable,
    UnitWithScripts,
    read_script,
)
from apilane_custom_endpoints.parameters import (
    OWNER_DIFFERENTIATION,
    RESERVED,
    Reader,
    described,
    lookalikes,
    readers,
    server_values,
    unreadable,
)

__all__ = ["SqlAction", "SqlKind"]

BUSY = (Unavailable, Deadlock)
"""Failures after which the same call may succeed later."""
ROWS_AT_ONCE = 500
"""Rows converted before the event loop serves other requests; converting them takes less than 1 ms."""


class SqlKind:
    """See ``apilane.plugin.endpoints.EndpointKind``."""

    name = "sql"

    def check(self, endpoint: Endpoint, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
        """Report String parameters inside quotes, types of parameters that the server fills, and database errors."""
        script = read_script(endpoint.query, dialect)
        problems = [
            f"the parameter {name} is filled by the server and has no type"
            for name in RESERVED
            if name in endpoint.parameters
        ]
        quoted = {mark.name for mark in script.marks if mark.quoted}
        problems += [
            f"the String parameter {{{name}}} stands inside quotes; remove the quotes, its value is bound"
            for name, type in endpoint.parameters.items()
            if type == "String" and name in quoted
        ]
        problems += lookalikes(sorted(script.names))
        if not problems:
            problems += dialect.script_problems(script, (*definition.entities, *HELPER_TABLES))
        return problems

    def warnings(self, endpoint: Endpoint, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
        """Warn of marks without a type, and of records of all tenants."""
        script = read_script(endpoint.query, dialect)
        untyped = sorted(script.names.difference(RESERVED, endpoint.parameters))
        found = [
            f"the mark {{{name}}} is not declared, so it takes whole numbers only, and any other value is null; add "
            f"Parameters: {{{name}: Number}}, or another type"
            for name in untyped
        ]
        if OWNER_DIFFERENTIATION not in script.names and (names := _tenants_read(endpoint.query, definition, dialect)):
            found.append(
                f"it uses {', '.join(names)} without {{{OWNER_DIFFERENTIATION}}}; SQL sees the records of all tenants, "
                f"so compare the tenant: WHERE {definition.differentiation_entity}_ID = {{{OWNER_DIFFERENTIATION}}}"
            )
        return found

    def describe(self, endpoint: Endpoint, application: ApplicationView) -> EndpointDescription:
        """The parameters of an endpoint. The columns of its results are known only when it runs."""
        script = read_script(endpoint.query, application.dialect)
        names = dict.fromkeys(mark.name for mark in script.marks if mark.name not in RESERVED)
        return EndpointDescription(parameters=[described(name, endpoint.parameters.get(name, "")) for name in names])

    def compile(self, endpoint: Endpoint, application: ApplicationView) -> SqlAction:
        """Find the marks ``{Name}`` in the query."""
        return SqlAction(endpoint, application)


def _tenants_read(query: str, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
    """The entities with records of tenants whose names are in the SQL, outside of comments and texts."""
    opaque = re.compile(f"(?P<comment>{dialect.comment})|(?P<quoted>{dialect.quoted})", re.DOTALL)
    code = opaque.sub(lambda token: " " if token["comment"] or token[0].startswith("'") else token[0], query)
    words = {word.lower() for word in re.findall("[A-Za-z_]+", code)}
    return [each.name for each in definition.entities if each.tenant is not None and each.name.lower() in words]


class SqlAction:
    """See ``apilane.plugin.endpoints.EndpointAction``."""

    def __init__(self, endpoint: Endpoint, application: ApplicationView) -> None:
        self._endpoint = endpoint
        self._application = application
        self._script: Script = read_script(endpoint.query, application.dialect)
        self._names = self._script.names
        by_type = readers(application.dialect)
        self._readers: dict[str, Reader] = {
            name: by_type[endpoint.parameters.get(name, "")] for name in self._names if name not in RESERVED
        }

    async def run(self, parameters: Mapping[str, str], actor: Actor, *, keep: bool = True) -> ResultSets:
        """Run all statements in one transaction; a failure rolls it back."""
        step = self.step(parameters, actor)
        session = self._application.session
        try:
            result = await (session.run_script(step) if keep else self._rehearse(step))
        except StorageError as error:
            self.refuse(error, actor)
        if result.matched and keep:
            self._application.records_changed()
        return [await _rows(found) for found in result.sets]

    def step(self, parameters: Mapping[str, str], actor: Actor) -> ScriptStep:
        """The script with the values of a call."""
        values: dict[str, Value] = server_values(self._names, actor, self._endpoint.name)
        for name, read in self._readers.items():
            text = parameters.get(name)
            values[name] = value = None if text is None else read(text)
            type = self._endpoint.parameters.get(name)
            if value is None and text and type is not None:
                raise unreadable(name, type, self._endpoint.name)
        return ScriptStep(self._script, values)

    def part(self, parameters: Mapping[str, str], actor: Actor) -> Callable[[], UnitWithScripts[ResultSets]]:
        """The script as a part of a transaction."""
        step = self.step(parameters, actor)

        def steps() -> UnitWithScripts[ResultSets]:
            try:
                result = yield step
            except StatementTimeout:
                raise  # the transaction reports its time limit
            except StorageError as error:
                self.refuse(error, actor)
            return [_objects(found, found.rows) for found in result.sets]

        return steps

    def refuse(self, error: StorageError, actor: Actor) -> NoReturn:
        """Raise the error for the caller (B-E5): the whole text for operators, a text that the script raised for
        others."""
        if isinstance(error, Raised) or (actor.kind == "operator" and not isinstance(error, BUSY)):
            raise ApilaneError(Code.ERROR, str(error)) from error
        if isinstance(error, (*BUSY, MissingObject)):  # the latter: the definition may have changed
            raise error
        raise ApilaneError(Code.ERROR) from error

    async def _rehearse(self, step: ScriptStep) -> Result:
        """Run the script and roll it back."""

        def unit() -> Generator[ScriptStep, Result, None]:
            raise _Undone((yield step))

        try:
            await self._application.session.run(unit, alone=True)
        except _Undone as undone:
            return undone.result
        raise AssertionError("the unit always raises")


class _Undone(Exception):
    def __init__(self, result: Result) -> None:
        self.result = result


async def _rows(found: ResultSet) -> list[dict[str, Any]]:
    """Rows as objects. The event loop serves other requests between groups of rows."""
    made = _objects(found, found.rows[:ROWS_AT_ONCE])
    for start in range(ROWS_AT_ONCE, len(found.rows), ROWS_AT_ONCE):
        await asyncio.sleep(0)
        made += _objects(found, found.rows[start : start + ROWS_AT_ONCE])
    return made


def _objects(found: ResultSet, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Some rows of a result as objects, with JSON booleans."""
    names, booleans, hidden = _layout(found.columns, found.booleans)
    made = [dict(zip(names, row, strict=True)) for row in rows]
    for name in booleans:
        for row in made:
            if isinstance(row[name], int):
                row[name] = bool(row[name])
    for name in hidden:
        for row in made:
            del row[name]
    return made


@lru_cache(1024)
def _layout(columns: tuple[str, ...], booleans: tuple[int, ...]) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """The names of the columns in the answer, those of the booleans, and those that are removed."""
    names = _unique(columns)
    hidden = [name for column, name in zip(columns, names, strict=True) if column.lower() in _HIDDEN]
    return names, [names[position] for position in booleans], hidden


_HIDDEN = {column.name.lower() for columns in HIDDEN_COLUMNS.values() for column in columns}
"""The server's internal columns. ``SELECT *`` returns them, but they are not sent to callers (B-D17)."""


def _unique(columns: Sequence[str]) -> list[str]:
    """Names with a number appended to repeated ones: ``ID``, ``ID1``."""
    names: list[str] = []
    for column in columns:
        name, number = column, 0
        while name in names:
            number += 1
            name = f"{column}{number}"
        names.append(name)
    return names
