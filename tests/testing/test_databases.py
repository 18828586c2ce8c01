"""Database servers for tests: found, shared by the processes of a run, and stopped with the last of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from apilane.testing.databases import NoServerError, SharedServers
from apilane.testing.databases.local import LocalServer

KIND = "postgresql"
"""The kind with the shortest start."""

ASK = """
import sys
from pathlib import Path
from apilane.testing.databases import SharedServers
servers = SharedServers(Path(sys.argv[1]), {})
print(servers.url(sys.argv[2]), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _installed(server_url: Callable[[str], str]) -> None:
    """Skip the test where no such server is available."""
    server_url(KIND)


def asking(folder: Path) -> subprocess.Popen[str]:
    """Start a process that requests a server and uses it until its input ends."""
    command = [sys.executable, "-c", ASK, str(folder), KIND]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answers(url: str) -> bool:
    """Whether a server accepts connections at the address."""
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname or "", place.port or 0), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def ends(url: str) -> bool:
    """Whether the server stops accepting connections within 20 seconds."""
    deadline = time.monotonic() + 20
    while answers(url) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not answers(url)


def test_one_server_for_all_processes_of_a_run(tmp_path: Path) -> None:
    """Processes of one run share one server, which ends with the last of them, also when processes are killed."""
    first, second = asking(tmp_path), asking(tmp_path)
    assert first.stdout is not None
    assert second.stdout is not None
    url = first.stdout.readline()
    assert url.startswith("postgresql://")
    assert second.stdout.readline() == url
    first.communicate("")
    time.sleep(0.3)
    assert answers(url)
    second.send_signal(signal.SIGKILL)
    second.communicate()
    assert ends(url)
    with SharedServers(tmp_path, {}) as servers:
        assert answers(servers.url(KIND))  # a later process starts another server


def test_named_servers_come_first(tmp_path: Path) -> None:
    """With APILANE_TEST_<KIND>_URL that address is used, and no server is started."""
    url = "postgresql://someone:secret@db.example:5432/"
    with SharedServers(tmp_path, {"APILANE_TEST_POSTGRESQL_URL": url}) as servers:
        assert servers.url(KIND) == url
    assert list(tmp_path.iterdir()) == []


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server the reason names each way that was tried."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with SharedServers(tmp_path, {}) as servers, pytest.raises(NoServerError) as caught:
        servers.url("sqlserver")
    assert str(caught.value) == (
        "no sqlserver server: APILANE_TEST_SQLSERVER_URL is not set; no Docker engine answers; "
        "SQL Server is not started from binaries"
    )


@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_local_servers(kind: str) -> None:
    """A local server never runs as root, and can be stopped, started, suspended and resumed."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            running = LocalServer(kind, Path(folder))
        except NoServerError as error:
            pytest.skip(str(error))
        with running as server:
            assert answers(server.url)
            assert Path(folder, "data").stat().st_uid != 0
            server.freeze()
            server.thaw()
            for end in (server.stop, server.kill):
                end()
                assert not answers(server.url)
                server.start()
                assert answers(server.url)
        assert not answers(server.url)


def test_required_drivers(tmp_path: Path) -> None:
    """A test without its server is skipped with the reason, and fails where the driver is required."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["apilane.testing.plugin"]')
    (tmp_path / "test_it.py").write_text("def test_it(server_url):\n    server_url('sqlserver')\n")
    environ = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:1"}
    environ.pop("APILANE_TEST_SQLSERVER_URL", None)

    def run(*options: str) -> str:
        command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *options, str(tmp_path)]
        return subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False).stdout

    assert "1 skipped" in run()
    assert "1 skipped" in run("--require-drivers=sqlite,mysql")
    assert "1 failed" in run("--require-drivers=sqlite,sqlserver")
    assert "APILANE_TEST_SQLSERVER_URL is not set" in run("--require-drivers=sqlserver")
