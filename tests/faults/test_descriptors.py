"""No file descriptors left: connections wait or are refused, calls get errors, and closed connections end the fault."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from apilane.testing.client import Client, error_of
from tests.faults.model import MANIFEST
from tests.faults.victim import SETTINGS, Victim, wait_until

LEFT = 8
"""Descriptors that the worker may still open."""
CONNECTIONS = 60
WRITER_IDLE_S = 1.5
RECOVERY_S = 5.0
UNAVAILABLE = ("SERVICE_UNAVAILABLE", "Service unavailable", None, None)


def _open_files(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


@contextmanager
def _many_connections(server: Victim) -> Iterator[list[socket.socket]]:
    """Open connections that send nothing, more than the worker has descriptors for."""
    with ExitStack() as stack:
        held = []
        for _ in range(CONNECTIONS):
            with contextlib.suppress(OSError):
                held.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=2)))
        yield held


def _ask(server: Victim) -> str:
    """The answer on a new connection within half a second."""
    request = b"GET /health/liveness HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as connection:
        connection.sendall(request)
        return connection.recv(100).decode()
    return ""


def test_no_descriptors_left(tmp_path: Path, http: httpx.Client) -> None:
    """Connected callers can still read, and failed writes get an error; with free descriptors all calls succeed."""
    with Victim(tmp_path / "data", settings=SETTINGS) as server:
        user = Client(http, server.url, server.apply(MANIFEST)).signed_in("keeper")
        other = {**MANIFEST, "Application": {**MANIFEST["Application"], "Name": "Other"}}
        asleep = Client(http, server.url, server.apply(other, settle=False))
        (group,) = user.add("Groups", {"Name": "before"})
        time.sleep(WRITER_IDLE_S)
        user.record("Groups", group)  # on the connection that is kept open
        (worker,) = server.workers()
        with server.limited(resource.RLIMIT_NOFILE, _open_files(worker) + LEFT), _many_connections(server):
            wait_until(lambda: _open_files(worker) >= resource.prlimit(worker, resource.RLIMIT_NOFILE)[0], "used up")
            for number in range(5):
                assert user.record("Groups", group)["Name"] == "before"
                response = user.post("Data/Post", {"Name": f"meanwhile {number}"}, entity="Groups")
                assert error_of(response) == UNAVAILABLE
            assert error_of(asleep.post("Account/Login", {"Username": "x", "Password": "y"})) == UNAVAILABLE
            assert not user.is_anonymous()
            assert "HTTP" not in _ask(server)
        wait_until(server.answers, "new connections are answered", RECOVERY_S)
        (last,) = user.add("Groups", {"Name": "after"})
        assert user.record("Groups", last)["Name"] == "after"
        assert asleep.signed_in("late")
        stored = {name for (name,) in server.sql(user.token, 'SELECT "Name" FROM "Groups"')}
        assert stored == {"before", "after"}
        assert server.workers() == [worker]
        assert "Traceback" not in server.output(), server.output()[-3000:]
