"""The MySQL driver under the suite that every driver passes, on MySQL or MariaDB, depending on the installed server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from apilane.testing.conformance import DriverCase, DriverConformance
from apilane.testing.plugin import ServerUrl
from apilane_mysql import MySQLDriver
from apilane_mysql.provision import drop_database, end_connections, fresh_database


@pytest.fixture(scope="class")
def fresh_address(server_url: ServerUrl) -> Iterator[Callable[[], str]]:
    """Makes empty databases, which are dropped at the end."""
    made: list[str] = []

    def make() -> str:
        made.append(fresh_database(server_url("mysql")))
        return made[-1]

    yield make
    for address in made:
        drop_database(address)


class TestMySQL(DriverConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def driver_case(cls, fresh_address: Callable[[], str]) -> DriverCase:
        return DriverCase(
            make_driver=MySQLDriver,
            fresh_address=fresh_address,
            make_impatient_driver=lambda: MySQLDriver(statement_timeout_s=1),
            end_connections=end_connections,
            raising_sql="SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Out of stock; sorry'",
        )
