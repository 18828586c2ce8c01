"""A SQLite database with the suite's tables, for tests of features that only SQLite has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apilane.testing.conformance import Database, DriverCase
from apilane.testing.conformance.case import open_database
from apilane_sqlite import SQLiteDriver

MakeDatabase = Callable[..., Database]


@pytest.fixture
def make_db(tmp_path: Path) -> Iterator[MakeDatabase]:
    """Databases with separate drivers; keyword arguments go to the driver."""
    made: list[Database] = []
    with asyncio.Runner() as runner:

        def make(**options: object) -> Database:
            case = DriverCase(
                make_driver=lambda: SQLiteDriver(**options),  # type: ignore[arg-type]
                fresh_address=lambda: str(tmp_path / f"{len(made)}.db"),
            )
            made.append(open_database(case, runner))
            return made[-1]

        yield make
        for database in made:
            database.close()


@pytest.fixture
def db(make_db: MakeDatabase) -> Database:
    """One such database with the driver's default settings."""
    return make_db()
