"""The PostgreSQL driver under the suite that every driver passes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from apilane.testing.conformance import DriverCase, DriverConformance
from apilane.testing.plugin import ServerUrl
from apilane_postgresql import PostgreSQLDriver
from apilane_postgresql.provision import drop_database, end_connections, execute, fresh_database

RAISE = """
CREATE FUNCTION raise_error(message text) RETURNS void LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '%', message; END $$"""


class TestPostgreSQL(DriverConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def driver_case(cls, server_url: ServerUrl) -> Iterator[DriverCase]:
        server = server_url("postgresql")
        made: list[str] = []

        def fresh() -> str:
            made.append(asyncio.run(fresh_database(server)))
            asyncio.run(execute(made[-1], RAISE))
            return made[-1]

        yield DriverCase(
            make_driver=PostgreSQLDriver,
            fresh_address=fresh,
            make_impatient_driver=lambda: PostgreSQLDriver(statement_timeout_s=1.0),
            end_connections=lambda address: asyncio.run(end_connections(address)),
            raising_sql="SELECT raise_error('Out of stock; sorry')",
        )
        for address in made:
            asyncio.run(drop_database(address, server))
