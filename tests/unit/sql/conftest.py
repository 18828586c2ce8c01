"""A small entity, its table, and an in-memory SQLite database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apsw
import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from apilane.model.definition import Entity, Property, PropertyType
from apilane.model.system import custom_entity
from apilane.model.text import fold
from apilane.sql.statement import Statement
from apilane.sql.tables import table_of
from apilane_sqlite.dialect import FOLD_FUNCTION, SQLiteDialect

Fetch = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def dialect() -> SQLiteDialect:
    """SQLite's dialect."""
    return SQLiteDialect()


@pytest.fixture(scope="session")
def things() -> Entity:
    """An entity with a property of each type, and names that need quotes in SQL."""
    return custom_entity(
        "Things",
        (
            Property(name="Order"),
            Property(name="Count", type=PropertyType.Number, decimal_places=0),
            Property(name="Price", type=PropertyType.Number, decimal_places=2),
            Property(name="Flag", type=PropertyType.Boolean),
            Property(name="When", type=PropertyType.Date),
            Property(name="Secret", encrypted=True),
        ),
    )


@pytest.fixture(scope="session")
def table(things: Entity, dialect: SQLiteDialect) -> sa.Table:
    """The table of the entity."""
    return table_of(things, dialect)


@pytest.fixture(scope="session")
def connection(table: sa.Table, dialect: SQLiteDialect) -> Iterator[apsw.Connection]:
    """An in-memory database with the empty table."""
    connection = apsw.Connection(":memory:")
    connection.create_scalar_function(FOLD_FUNCTION, fold_or_none, 1, deterministic=True)
    connection.execute(str(CreateTable(table).compile(dialect=dialect.sqlalchemy)))
    yield connection
    connection.close()


def fold_or_none(text: str | None) -> str | None:
    """``fold`` as an SQL function: null stays null."""
    return None if text is None else fold(text)


@pytest.fixture
def fetch(connection: apsw.Connection) -> Iterator[Fetch]:
    """Run a statement with its values by name; inserts of a test are rolled back afterwards."""

    def fetch(statement: Statement | str, values: dict[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if isinstance(statement, Statement):
            return list(connection.execute(statement.text, statement.parameters(dict(values))))
        return list(connection.execute(statement, tuple(values)))

    connection.execute("BEGIN")
    yield fetch
    connection.execute("ROLLBACK")
