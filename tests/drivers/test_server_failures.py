"""Servers that are killed or hang during reads and writes, and servers with certificates, each started by the test.

The drivers make the same promises, so the tests are the same.
"""

from __future__ import annotations

import asyncio
import datetime
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import apilane_mysql.provision
import apilane_postgresql.provision
from apilane.sql.statement import Statement
from apilane.storage.errors import ConnectionRefused, StatementTimeout, Unavailable
from apilane.storage.protocol import Driver, Result, Session, Step
from apilane.testing.databases import NoServerError
from apilane.testing.databases.local import LocalServer
from apilane_mysql import MySQLDriver
from apilane_postgresql import PostgreSQLDriver

LOAD_S = 0.6
LIMIT_S = 1.0
LOCKED_S = 2.5
"""MySQL waits for locks in whole seconds."""
GRACE_S = 8.0
"""The time of a call beyond a statement's time limit: the server is asked once more before it counts as dead."""


async def _durable_mariadb(url: str) -> None:
    apilane_mysql.provision.administer(url, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")


async def _durable_postgresql(url: str) -> None:
    await apilane_postgresql.provision.execute(url, "ALTER ROLE apilane SET synchronous_commit = on")


async def _fresh_mariadb(url: str) -> str:
    return apilane_mysql.provision.fresh_database(url)


class Kind(NamedTuple):
    """How to use a server, and the names of its TLS options."""

    driver: Callable[..., Driver]
    fresh_database: Callable[[str], Awaitable[str]]
    make_durable: Callable[[str], Awaitable[None]]
    """The servers of tests do not wait for their logs."""
    parameter: str
    tls: Callable[[Path], list[str]]
    mode: str
    authority: str
    verified: str


KINDS = {
    "mariadb": Kind(
        MySQLDriver,
        _fresh_mariadb,
        _durable_mariadb,
        "%s",
        lambda folder: [f"--ssl-cert={folder}/cert", f"--ssl-key={folder}/key"],
        "ssl-mode",
        "ssl-ca",
        "verify-identity",
    ),
    "postgresql": Kind(
        PostgreSQLDriver,
        apilane_postgresql.provision.fresh_database,
        _durable_postgresql,
        "$1",
        lambda folder: ["-c", "ssl=on", "-c", f"ssl_cert_file={folder}/cert", "-c", f"ssl_key_file={folder}/key"],
        "sslmode",
        "sslrootcert",
        "verify-full",
    ),
}

Started = Callable[..., LocalServer]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Every kind of server in turn."""
    return KINDS[request.param]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="apilane-server-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def started(kind: Kind, folder: Path) -> Iterator[Started]:
    """Starts a server of the kind; skips if this machine has none."""
    name = next(name for name, each in KINDS.items() if each is kind)
    with ExitStack() as running:

        def start(**arguments: Any) -> LocalServer:
            place = folder / "server"
            place.mkdir()
            try:
                return running.enter_context(LocalServer(name, place, **arguments))
            except NoServerError as error:
                pytest.skip(str(error))

        yield start


class Load:
    """Reads and writes on a session until they are stopped, with their outcomes."""

    def __init__(self, session: Session, kind: Kind) -> None:
        self.session = session
        self._insert = Statement(f"INSERT INTO load_rows (n) VALUES ({kind.parameter})", kind="insert")
        self._count = Statement("SELECT count(*) FROM load_rows")
        self._numbers = iter(range(1_000_000))
        self.acknowledged: list[int] = []
        self.answered = 0
        self.failures: list[tuple[float, Exception]] = []
        """The start time of the call, and its outcome."""
        self.longest_s = 0.0
        self._stopped = False

    def _unit(self, number: int) -> Generator[Step, Result, None]:
        yield Step(self._insert, (number,))

    async def _write(self, *, single: bool) -> None:
        number = next(self._numbers)
        await self.session.run(lambda: self._unit(number), single=single)
        self.acknowledged.append(number)

    async def _read(self) -> None:
        await self.session.fetch(self._count)

    async def _stream(self) -> None:
        async for _ in self.session.stream(self._count):
            pass

    async def _again(self, call: Callable[[], Awaitable[None]]) -> None:
        while not self._stopped:
            begun = monotonic()
            try:
                await call()
                self.answered += 1
            except (Unavailable, StatementTimeout) as error:  # other errors end the test
                self.failures.append((begun, error))
                await asyncio.sleep(0.02)
            self.longest_s = max(self.longest_s, monotonic() - begun)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        calls = [self._read, self._read, self._stream, lambda: self._write(single=True)]
        calls += [lambda: self._write(single=False), lambda: self._write(single=True)]
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(self._again(call))
            yield
            self._stopped = True

    async def rows(self) -> list[int]:
        return [int(row[0]) for row in await self.session.fetch(Statement("SELECT n FROM load_rows"))]


async def _prepared(kind: Kind, server: LocalServer, limit_s: float = LIMIT_S) -> tuple[Driver, Load]:
    await kind.make_durable(server.url)
    driver = kind.driver(connections=4, statement_timeout_s=limit_s)
    session = driver.session(f"{await kind.fresh_database(server.url)}?connect_timeout=2")

    def table() -> Generator[Step, Result, None]:
        yield Step(Statement("CREATE TABLE load_rows (n BIGINT NOT NULL)", kind="ddl"))

    await session.alter(table)
    return driver, Load(session, kind)


def test_server_killed_under_load(kind: Kind, started: Started) -> None:
    """Nothing acknowledged is lost or stored twice, and no call fails that begins after the server's return."""
    server = started()

    async def scenario() -> None:
        driver, load = await _prepared(kind, server)
        async with load.going_on():
            await asyncio.sleep(LOAD_S)
            server.kill()
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.start)
            await kind.make_durable(server.url)
            back, before = monotonic(), load.answered
            await asyncio.sleep(LOAD_S)
        rows = await load.rows()
        assert load.failures
        assert [error for begun, error in load.failures if begun > back] == []
        assert load.answered > before
        assert set(load.acknowledged) - set(rows) == set()
        assert len(rows) == len(set(rows))
        await driver.close()

    asyncio.run(scenario())


def test_server_hangs_under_load(kind: Kind, started: Started) -> None:
    """Callers get Unavailable in bounded time, also those that wait for a connection; later calls work again."""
    server = started()

    async def scenario() -> None:
        driver, load = await _prepared(kind, server)
        async with load.going_on():
            await asyncio.sleep(LOAD_S)
            server.freeze()
            await asyncio.sleep(LIMIT_S + GRACE_S)
            server.thaw()
            await asyncio.sleep(LOAD_S)  # callers that are still connecting
            back, before = monotonic(), load.answered
            await asyncio.sleep(LOAD_S)
        assert load.failures
        assert [error for begun, error in load.failures if begun > back or type(error) is StatementTimeout] == []
        assert load.answered > before
        assert load.longest_s < LIMIT_S + GRACE_S
        assert set(load.acknowledged) <= set(await load.rows())
        await driver.close()

    asyncio.run(scenario())


def test_a_locked_row_is_unavailable(kind: Kind, started: Started) -> None:
    """A write that waits for a row of another transaction ends with Unavailable within the time limit of a call."""
    server = started()

    async def scenario() -> None:
        driver, load = await _prepared(kind, server, LOCKED_S)
        session: Any = load.session
        change = Step(Statement("UPDATE load_rows SET n = n + 1", kind="update"))

        def unit(step: Step) -> Generator[Step, Result, None]:
            yield step

        await session.run(lambda: unit(Step(Statement("INSERT INTO load_rows (n) VALUES (1)", kind="insert"))))
        holder = await session._connect()
        await holder.begin()
        await holder.execute(change)
        for single in (True, False):
            begun = monotonic()
            with pytest.raises(Unavailable, match="locked"):
                await session.run(lambda: unit(change), single=single)
            assert monotonic() - begun < LOCKED_S + 1.5
        await holder.rollback()
        await holder.close()
        await session.run(lambda: unit(change))
        await driver.close()

    asyncio.run(scenario())


def test_certificates(kind: Kind, started: Started, folder: Path) -> None:
    """The full mode accepts the authority's certificate for the host's name, and refuses another host or authority."""
    ours, certificate, key = _authority_and_certificate()
    other, _, _ = _authority_and_certificate()
    for name, text in (("ours.pem", ours), ("other.pem", other)):
        (folder / name).write_text(text)
    server = started(options=kind.tls(folder / "server"), files={"cert": certificate, "key": key})

    async def scenario() -> None:
        driver = kind.driver()
        by_number = await kind.fresh_database(server.url)
        url = urlsplit(by_number)
        by_name = urlunsplit(url._replace(netloc=url.netloc.replace("127.0.0.1", "localhost")))

        async def look(address: str, mode: str, authority: str) -> str:
            options = f"?{kind.mode}={mode}&{kind.authority}={folder}/{authority}"
            return " ".join(finding.text for finding in await driver.session(address + options).diagnose())

        assert "not encrypted" not in await look(by_name, kind.verified, "ours.pem")
        assert "not encrypted" not in await look(by_number, "verify-ca", "ours.pem")
        for wrong in ((by_number, kind.verified, "ours.pem"), (by_name, "verify-ca", "other.pem")):
            with pytest.raises(ConnectionRefused, match=f"{kind.mode}, {kind.authority}") as caught:
                await look(*wrong)
            assert "Passw0rd" not in str(caught.value)
        await driver.close()

    asyncio.run(scenario())


def _authority_and_certificate() -> tuple[str, str, str]:
    """An authority's certificate, one that it signed for localhost, and the latter's key, as PEM."""
    signer, holder = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Authority", "localhost")]
    made = [
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(names[0])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC))
        .add_extension(x509.BasicConstraints(ca=key is signer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(signer, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
        for name, key in zip(names, (signer, holder), strict=True)
    ]
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made[0], made[1], holder.private_bytes(*form).decode()
