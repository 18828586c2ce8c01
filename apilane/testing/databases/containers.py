"""Database servers in containers, by testcontainers, where a Docker engine answers. Needs ``testcontainers``."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from apilane.testing.databases import NoServerError

__all__ = ["Container"]

PASSWORD: Final = "Passw0rd-of-tests"  # noqa: S105 -- the servers run only during a test run
START_TIMEOUT_S: Final = 120.0


class _Image(NamedTuple):
    name: str
    port: int
    environment: dict[str, str]
    command: str
    ready: str
    times: int
    url: str
    database: str


_MYSQL_FLAGS: Final = "--max-connections=400 --innodb-flush-log-at-trx-commit=0 --default-time-zone=+05:45"
_IMAGES: Final = {
    "mysql": _Image(
        "mysql:9",
        3306,
        {"MYSQL_ROOT_PASSWORD": PASSWORD},
        _MYSQL_FLAGS,
        "ready for connections",
        2,
        "mysql://root",
        "mysql",
    ),
    "mariadb": _Image(
        "mariadb:11.4",
        3306,
        {"MARIADB_ROOT_PASSWORD": PASSWORD},
        _MYSQL_FLAGS,
        "ready for connections",
        2,
        "mariadb://root",
        "mysql",
    ),
    "postgresql": _Image(
        "postgres:17",
        5432,
        {"POSTGRES_PASSWORD": PASSWORD},
        "postgres -c fsync=off -c max_connections=400 -c deadlock_timeout=50ms -c timezone=Asia/Kathmandu",
        "ready to accept connections",
        2,
        "postgresql://postgres",
        "postgres",
    ),
    "sqlserver": _Image(
        "mcr.microsoft.com/mssql/server:2022-latest",
        1433,
        {"ACCEPT_EULA": "Y", "MSSQL_SA_PASSWORD": PASSWORD},
        "",
        "Recovery is complete",
        1,
        "sqlserver://sa",
        "master",
    ),
}
"""``ready`` and ``times``: the log line of a ready server, and its number, because some images start twice."""


class Container:
    """A server of ``kind`` in a new container, running inside ``with``. Entering raises NoServerError."""

    def __init__(self, kind: str) -> None:
        self._image = _IMAGES[kind]
        self._container: Any = None
        self.url = ""

    def __enter__(self) -> Self:
        try:
            from testcontainers.core.container import DockerContainer
            from testcontainers.core.docker_client import DockerClient
        except ImportError:
            raise NoServerError("testcontainers is not installed (pip install testcontainers)") from None
        try:
            DockerClient(timeout=5).client.ping()
        except Exception:  # noqa: BLE001, RUF100 -- many types, all of them mean that no engine answers
            raise NoServerError("no Docker engine answers") from None
        image = self._image
        container = DockerContainer(image.name).with_exposed_ports(image.port)
        for name, value in image.environment.items():
            container.with_env(name, value)
        if image.command:
            container.with_command(image.command)
        try:
            self._container = container.start()
            self._wait()
        except Exception as error:
            self._stop()
            raise NoServerError(f"the container {image.name} did not start ({error})") from error
        host, port = self._container.get_container_host_ip(), self._container.get_exposed_port(image.port)
        self.url = f"{image.url}:{PASSWORD}@{host}:{port}/{image.database}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while b"".join(self._container.get_logs()).count(self._image.ready.encode()) < self._image.times:
            if time.monotonic() > deadline:
                raise NoServerError(f"it was not ready within {START_TIMEOUT_S:.0f} s")
            time.sleep(0.2)

    def _stop(self) -> None:
        if self._container is not None:
            self._container.stop()
            self._container = None
