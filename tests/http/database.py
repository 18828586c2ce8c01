"""Direct access to an application's database from the test process, as an operator has it while the server runs.

Rows are written and read as stored, without access rules. Calls of the API are made elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from apilane.instance import Instance
from apilane.model.text import fold
from apilane.runtime.application import ApplicationRuntime
from apilane.services import accounts
from apilane.settings import Settings
from apilane.sql.statement import compile_statement
from apilane.sql.write import insert_row, select_by_ids, select_where, update_where
from apilane.storage.protocol import Result, Step

T = TypeVar("T")
Row = dict[str, Any]


class Database:
    """The database of the application ``token`` on the instance with these settings; it is open inside ``with``."""

    application: ApplicationRuntime

    def __init__(self, settings: Settings, token: str) -> None:
        self._settings = settings
        self._token = token

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._instance = Instance(self._settings)
        self._run(self._instance.open(serve=False))
        application = self._run(self._instance.applications.find(self._token))
        assert application is not None
        self.application = application
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._instance.close())
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _write(self, make_steps: Callable[[], Iterable[Step]]) -> None:
        def unit() -> Generator[Step, Result, None]:
            for step in make_steps():  # noqa: UP028 -- plain iterators cannot be sent the results
                yield step

        self._run(self.application.session.run(unit))

    def insert(self, entity: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows as given, all with the same columns, in one transaction."""
        if not rows:
            return
        runtime = self.application.entities[entity.lower()]
        statement = runtime.statement(insert_row, tuple(rows[0]))
        self._write(lambda: (Step(statement, statement.parameters(row)) for row in rows))

    def insert_users(self, users: Sequence[Mapping[str, Any]]) -> None:
        """Insert users without a usable password; each has at least ``ID``, ``Username`` and the required columns."""
        rows = []
        for user in users:
            email = f"{user['Username']}@example.com"
            secrets = {"Email": email, "Password": "none", "EmailConfirmed": False}
            folds = {"H_Email_Fold": fold(email), "H_Username_Fold": fold(user["Username"])}
            rows.append({**user, **secrets, **folds})
        self.insert("Users", rows)

    def rows(self, entity: str, ids: Sequence[int] | None = None) -> dict[int, Row]:
        """Rows by ID with every visible column as stored; all rows when ``ids`` is None."""
        runtime = self.application.entities[entity.lower()]
        columns = tuple(p.name for p in runtime.entity.properties)
        if ids is None:
            found = self._run(self.application.session.fetch(runtime.statement(select_where, columns, ())))
        else:
            statement = runtime.statement(select_by_ids, columns, len(ids), ())
            found = self._run(self.application.session.fetch(statement, tuple(ids)))
        return {row[0]: dict(zip(columns, row, strict=True)) for row in found}

    def set_roles(self, user_id: int, roles: str | None) -> None:
        """Set the comma-separated roles of a user, as an operator does."""
        assert self._run(accounts.set_roles(self.application, user_id, roles))

    def update(self, entity: str, id: int, **values: Any) -> None:
        """Set columns of one row to the given values."""
        runtime = self.application.entities[entity.lower()]
        statement = runtime.statement(update_where, tuple(values), (("ID", "id"),))
        new = {f"new_{name}": value for name, value in values.items()}
        self._write(lambda: [Step(statement, statement.parameters({**new, "id": id}))])

    def snapshots(self) -> dict[tuple[str, int], int]:
        """The number of snapshots of the change tracking, by entity and record."""
        table = self.application.helpers["H_Entity_Change_Tracking"].table
        entity, record = table.c["Entity"], table.c["RecordID"]
        counted = sa.select(entity, record, sa.func.count()).group_by(entity, record)
        statement = compile_statement(counted, self.application.dialect.sqlalchemy)
        return {(name, id): n for name, id, n in self._run(self.application.session.fetch(statement))}
