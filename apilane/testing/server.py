"""A real server for tests: ``apilane serve`` in a separate process, on a free port.

Applications are applied from the test's process, like with ``apilane apply``, so a running server must notice the
changes. Not for production: nothing restarts the server.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import apsw
import sqlalchemy as sa

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.instance import Instance, open_instance
from apilane.model.plan import ManifestErrors
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement
from apilane.storage.protocol import Result, Row, Step

__all__ = ["CHEAP_PASSWORDS", "PATIENT", "ManifestErrors", "Place", "Server", "free_port"]

T = TypeVar("T")

CHEAP_PASSWORDS = {"argon2_memory_kib": 8, "argon2_time_cost": 1}
"""Settings that make a password hash cost microseconds; for tests only."""
PATIENT = {
    "rate_limit_login_account_failures": 10_000,
    "rate_limit_login_address_failures": 10_000,
    "rate_limit_registrations_per_hour": 100_000,
    "rate_limit_mails_per_hour": 100_000,
}
"""Settings of the plugin ``rate_limit`` that allow many sign-ins and mails from one address, as tests need."""
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0

_open = build_opener(ProxyHandler({})).open


def free_port() -> int:
    """A TCP port on which no process listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Place(Protocol):
    """Databases for the applications and control stores of tests, instead of SQLite files in the data folder."""

    def settings(self, data_dir: Path) -> Mapping[str, object]:
        """Settings for the control store of a data folder; always the same one for the same folder."""
        ...

    def manifest(self, data_dir: Path, manifest: Mapping[str, Any] | str) -> Mapping[str, Any] | str:
        """The manifest with a database for its application; always the same one for the same application."""
        ...


class Server:
    """``apilane serve`` on ``data_dir``, running inside ``with``. ``settings``: by name; those of a plugin begin with
    its name, as in environment variables.

    The output of the server goes to ``log``, a file next to the data folder.
    """

    place: ClassVar[Place | None] = None
    """The databases of every server of a test run; None: SQLite."""

    def __init__(self, data_dir: Path, workers: int = 1, settings: Mapping[str, object] | None = None) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        placed = {} if self.place is None else self.place.settings(data_dir)
        chosen = {
            **placed,
            **(settings or {}),
            "data_dir": data_dir,
            "port": self.port,
            "workers": workers,
            "role": "api",
        }
        chosen.setdefault("admin_email", "admin@example.com")
        chosen.setdefault("admin_password", "Adm1n-password")
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)},
            **{ENVIRONMENT_PREFIX + name.upper(): str(value) for name, value in chosen.items()},
        }
        self.settings: Settings = load_settings(environ=self.environ)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until the server answers. Raises RuntimeError with its output when it does not."""
        command = [str(Path(sys.executable).with_name("apilane")), "serve"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self.environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._status("/health/liveness") != 200:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"apilane serve did not start:\n{self.output()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and wait until it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def output(self) -> str:
        """Everything the server has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _status(self, path: str) -> int:
        try:
            with _open(self.url + path, timeout=5) as answer:
                status: int = answer.status
                return status
        except HTTPError as error:
            error.close()
            return error.code
        except (URLError, OSError):
            return 0

    def _knows(self, token: str) -> bool:
        """Whether the server serves this application."""
        try:
            with _open(f"{self.url}/api/Data/Get?appToken={token}&entity=", timeout=5):
                return True
        except HTTPError as error:
            with error:
                answer = json.loads(error.read())
        # Without an entity a known application answers with Entity "", an unknown one with null.
        return answer["Code"] != "ERROR" or answer["Entity"] is not None

    def apply(self, manifest: Mapping[str, Any] | str, *, settle: bool = True) -> str:
        """Create or change one application, wait until the server serves the change, and return the token.

        Without ``settle`` the server is not asked, so a new application stays unopened.
        """
        manifest = self.placed(manifest)
        if isinstance(manifest, str):
            file = ("manifest.yaml", manifest.encode())
        else:
            file = ("manifest.json", json.dumps(manifest).encode())

        async def work(instance: Instance) -> str:
            (plan,) = await plan_files([file], store=instance.store, capabilities=capabilities_of(instance.hooks))
            return (await instance.changes.apply(plan, actor="tests")).definition.token

        token = self.with_instance(work)
        if settle:
            self.settle(token)
        return token

    def placed(self, manifest: Mapping[str, Any] | str) -> Mapping[str, Any] | str:
        """The manifest with the database of ``place`` for its application."""
        return manifest if self.place is None else self.place.manifest(self.data_dir, manifest)

    def with_instance(self, work: Callable[[Instance], Awaitable[T]]) -> T:
        """Run ``work`` on the instance of the data folder, opened in this process."""

        async def run() -> T:
            async with open_instance(self.settings) as instance:
                return await work(instance)

        return asyncio.run(run())

    def with_store(self, work: Callable[[ControlStore, Hooks], Awaitable[T]]) -> T:
        """Run ``work`` with the control store and the plugins of the instance, opened in this process."""
        return self.with_instance(lambda instance: work(instance.store, instance.hooks))

    def settle(self, token: str) -> None:
        """Wait until the server has noticed a change of an application."""
        deadline = time.monotonic() + 5
        time.sleep(2 * self.settings.definition_poll_s)
        while not self._knows(token):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server does not know application {token}:\n{self.output()}")
            time.sleep(0.02)

    def database(self, token: str) -> Path:
        """The SQLite file of an application."""
        return self.data_dir / "apps" / token / "data.db"

    def sql(self, token: str, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run SQL on an application's database like another program: identifiers in ``"``, parameters ``?``."""
        path = self.database(token)
        if not path.exists():
            return self.with_store(lambda store, hooks: _run_sql(store, hooks, token, statement, parameters))
        return self._sqlite(path, statement, parameters)

    def _sqlite(self, path: Path, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run SQL on a SQLite file, under the lock of the writers."""
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                connection.set_busy_timeout(5000)
                return list(connection.execute(statement, tuple(parameters)))
            finally:
                connection.close()
        finally:
            os.close(descriptor)


async def _run_sql(
    store: ControlStore, hooks: Hooks, token: str, text: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Run SQL with the driver of the application's provider."""
    stored = await store.application(token)
    assert stored is not None, f"there is no application {token}"
    driver = hooks.drivers[stored.definition.storage_provider]
    session = driver.session(stored.secrets.connection_string or "")
    statement = _neutral(text, driver.dialect)
    bound = statement.parameters({f"p{i}": value for i, value in enumerate(parameters)})

    def unit() -> Generator[Step, Result, Sequence[Row]]:
        return (yield Step(statement, bound)).rows

    if not statement.writes:
        rows = await session.fetch(statement, bound)
    else:
        rows = await (session.alter(unit) if text.startswith("ALTER") else session.run(unit, single=True))
    return [tuple(row) for row in rows]


def _t_sql(text: str) -> str:
    """The statement for SQL Server, which has another syntax for explicit IDs and renamed columns."""
    text = re.sub(
        r"^(INSERT INTO (\[\w+\]) \(\[ID\].*)$", r"SET IDENTITY_INSERT \2 ON; \1; SET IDENTITY_INSERT \2 OFF", text
    )
    return re.sub(
        r"^ALTER TABLE (\[\w+\]) RENAME COLUMN (\[\w+\]) TO \[(\w+)\]$",
        r"EXECUTE sys.sp_rename N'\1.\2', N'\3', N'COLUMN'",
        text,
    )


def _neutral(text: str, dialect: Dialect) -> Statement:
    """A statement in the syntax of the dialect; ``text`` as for ``Server.sql``."""
    quote = dialect.sqlalchemy.identifier_preparer.quote_identifier
    pieces = re.sub(r'"(\w+)"', lambda name: quote(name[1]), text).replace(":", r"\:").split("?")
    marked = "".join(f"{piece}:p{i}" for i, piece in enumerate(pieces[:-1])) + pieces[-1]
    if dialect.name == "SQLServer":
        marked = _t_sql(marked)
    reads = text.lstrip().upper().startswith("SELECT")
    return compile_statement(sa.text(marked), dialect.sqlalchemy, kind="read" if reads else "command")
