"""Drivers with pooled sessions: one session for each connection string, version and options."""

from __future__ import annotations

import pytest

from apilane.storage.connection_strings import ServerAddress, connect_timeout_s
from apilane.storage.errors import ConnectionRefused
from apilane.storage.protocol import Driver
from apilane_mysql import MySQLDriver
from apilane_postgresql import PostgreSQLDriver

DRIVERS = [(MySQLDriver, "mysql://u:p@h/d"), (PostgreSQLDriver, "postgresql://u:p@h/d")]


@pytest.mark.parametrize(("make", "address"), DRIVERS)
def test_one_session_for_each_connection_string(make: type[MySQLDriver | PostgreSQLDriver], address: str) -> None:
    """The same connection string gives the same session while it is in use."""
    driver = make(connections=3)
    assert isinstance(driver, Driver)
    session = driver.session(address)
    assert driver.session(address) is session
    assert driver.session(f"{address}e") is not session


def test_missing_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its client library the version names the package to install."""
    monkeypatch.setattr(MySQLDriver, "client", "no-such-distribution")
    assert MySQLDriver().version == "needs apilane[mysql]"


@pytest.mark.parametrize(("make", "address"), DRIVERS)
def test_after_a_fork_nothing_is_shared(make: type[MySQLDriver | PostgreSQLDriver], address: str) -> None:
    """After a fork sessions have pools of a new group; the old pools are kept and not used."""
    driver = make(connections=3)
    session = driver.session(address)
    group, pool = driver.group, session.pool
    driver.forget()
    assert driver.session(address) is session
    assert driver.group is not group
    assert driver.group.limit == 3
    assert session.pool is not pool


@pytest.mark.parametrize(("option", "seconds"), [({}, 10), ({"connecttimeout": "3"}, 3), ({"timeout": "3600"}, 3600)])
def test_connect_timeout(option: dict[str, str], seconds: int) -> None:
    """The timeout is read in every form; the default is ten seconds."""
    address = ServerAddress(host="h", port=1, database="d", user="u", password="p", options=option)
    assert connect_timeout_s(address) == seconds


@pytest.mark.parametrize("text", ["0", "3601", "x", "-1", "1.5", "٣"])
def test_connect_timeout_that_is_no_number(text: str) -> None:
    """A timeout that is not a number of seconds is refused."""
    address = ServerAddress(host="h", port=1, database="d", user="u", password="p", options={"connectiontimeout": text})
    with pytest.raises(ConnectionRefused, match="connect timeout"):
        connect_timeout_s(address)
