"""Connections: wrong addresses, lost servers, closed sessions, and the findings for ``doctor``."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Generator, Mapping
from time import monotonic
from urllib.parse import urlsplit, urlunsplit

import pytest

from apilane.storage.errors import ConnectionRefused, Unavailable
from apilane.storage.protocol import Result, Step
from apilane.testing.conformance.case import Database

__all__ = ["Connections"]

PATIENCE_S = 15
SECRET = "wr0ng-secret"  # noqa: S105 -- the password of an account that does not exist


def _broken(db: Database) -> Mapping[str, str]:
    """Broken addresses by what a message must name."""
    if db.case.broken_addresses is not None:
        return db.case.broken_addresses(db.address)
    if db.driver.features.embedded:
        pytest.skip("an embedded database has no server")
    url = urlsplit(db.address)
    account = url.netloc.rpartition("@")[0]  # unchanged, because some accounts have no password
    with socket.socket() as probe:  # bound but not listening, so no server answers there
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def changed(place: str, path: str = url.path) -> str:
        return urlunsplit((url.scheme, place, path, url.query, ""))

    return {
        str(port): changed(f"{account}@127.0.0.1:{port}"),
        "no-such-host.invalid": changed(f"{account}@no-such-host.invalid:{url.port}"),
        f"{url.username}": changed(f"{url.username}:{SECRET}@{url.hostname}:{url.port}"),
        "no_such_account": changed(f"no_such_account:{SECRET}@{url.hostname}:{url.port}"),
        "no_such_database": changed(f"{account}@{url.hostname}:{url.port}", "/no_such_database"),
    }


class Connections:
    """The tests that the module docstring describes."""

    def test_wrong_addresses(self, db: Database) -> None:
        """Reads, units and doctor refuse a wrong address soon. The message names the error and contains no secret."""
        password = urlsplit(db.address).password or SECRET
        for named, address in _broken(db).items():
            session = db.driver.session(address)
            begun = monotonic()
            calls = (
                session.fetch(db.reading("ID").statement),
                session.run(lambda: _insert(db)),
                session.diagnose(),
            )
            for call in calls:
                with pytest.raises(ConnectionRefused) as caught:
                    db.wait(_await(call))
                assert named in str(caught.value)
                assert password not in str(caught.value)
                assert SECRET not in str(caught.value)
            assert monotonic() - begun < PATIENCE_S
            db.wait(session.close())
        db.insert(Name="still here")

    @pytest.mark.parametrize(
        "address", ["", "nonsense", "ftp://u:s3cr3t@h/d", "Server=h;Pasword=s3cr3t", "://:s3cr3t@"]
    )
    def test_unreadable_addresses(self, db: Database, address: str) -> None:
        """An invalid connection string is refused before anything is opened, and the message shows no secret."""
        if db.driver.features.embedded:
            pytest.skip("every text may be a path")
        with pytest.raises(ConnectionRefused) as caught:
            db.driver.session(address)
        assert "s3cr3t" not in str(caught.value)

    def test_lost_connections(self, db: Database) -> None:
        """After the server ended every connection the next call of any kind works."""
        if db.case.end_connections is None:
            pytest.skip("the case cannot end connections")
        calls = (
            lambda: db.rows("ID"),
            lambda: db.write(db.reading("ID"), db.inserting(Name="unit")),
            lambda: db.run_script("SELECT [ID] FROM [Things]"),
            lambda: db.wait(db.session.change_mark()),
            lambda: db.wait(db.session.diagnose()),
        )
        for call in calls:
            db.rows("ID")  # so that there is a connection to lose
            db.case.end_connections(db.address)
            call()
        assert db.rows("Name") == [("unit",)]

    def test_many_lost_at_once(self, db: Database) -> None:
        """When a busy pool loses all connections at the same time, all later reads work."""
        if db.case.end_connections is None:
            pytest.skip("the case cannot end connections")
        read = db.reading("ID").statement

        async def reads() -> None:
            await asyncio.gather(*(db.session.fetch(read) for _ in range(30)))

        db.wait(reads())
        db.case.end_connections(db.address)
        db.wait(reads())

    def test_closed_twice(self, db: Database) -> None:
        """Closing a session or a driver a second time does nothing. Closing one that was never used does nothing."""
        other = db.driver.session(db.case.fresh_address())
        db.wait(other.close())
        db.wait(other.close())
        db.wait(db.driver.close())
        db.wait(db.driver.close())

    def test_diagnosis(self, db: Database, record_property: Callable[[str, object], None]) -> None:
        """A database in order has findings, none of them serious, in the first and in the second call."""
        first, findings = (db.wait(db.session.diagnose()) for _ in range(2))
        assert first
        assert all(finding.text for finding in findings)
        assert [finding for finding in (*first, *findings) if finding.serious] == []
        record_property("server", [finding.text for finding in findings])

    def test_change_mark_tells_commits_of_others(self, db: Database) -> None:
        """The mark is equal without a commit and different after a commit of any session."""
        other = db.case.make_driver()
        session = other.session(db.address)
        before = db.wait(db.session.change_mark())
        if before is None:
            pytest.skip("this driver has no change mark")
        assert db.wait(db.session.change_mark()) == before
        db.insert()
        after = db.wait(db.session.change_mark())
        assert after != before
        db.wait(session.run(lambda: _insert(db), single=True))
        assert db.wait(db.session.change_mark()) != after
        db.wait(other.close())

    def test_mark_of_a_missing_server(self, db: Database) -> None:
        """Without a server the mark raises Unavailable, or is None when the driver has no marks."""
        session = db.driver.session(next(iter(_broken(db).values())))
        with contextlib.suppress(Unavailable):
            assert db.wait(session.change_mark()) is None


async def _await(call: Awaitable[object]) -> None:
    await call


def _insert(db: Database) -> Generator[Step, Result, None]:
    yield db.inserting()
