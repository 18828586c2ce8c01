"""``apilane serve`` with the Portal's process, and commands on a remote instance."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from apilane.testing.server import CHEAP_PASSWORDS, free_port
from tests.manage.world import API, PASSWORD, shop

APILANE = str(Path(sys.executable).with_name("apilane"))
START_S = 30.0


class Running:
    """``apilane serve`` on a new data folder; ``out`` is what it printed."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.portal = free_port()
        self._log = folder / "log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("APILANE_")}
        cheap = {f"APILANE_{name.upper()}": str(value) for name, value in CHEAP_PASSWORDS.items()}
        ports = ["--port", str(self.port), "--portal-port", str(self.portal)]
        command = [APILANE, "serve", "--data-dir", str(folder / "data"), *ports, *options]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**environ, **cheap}, cwd=folder)

    @property
    def out(self) -> str:
        return self._log.read_text()

    def until(self, text: str) -> None:
        """Wait until a text is printed."""
        deadline = time.monotonic() + START_S
        while text not in self.out:
            assert time.monotonic() < deadline, self.out
            assert self.process.poll() is None, self.out
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop the server; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A server with Portal."""
    server = Running(tmp_path)
    try:
        server.until("Apilane Portal: ")
        server.until("Apilane API: ")
        yield server
    finally:
        server.stop()


def first_start(server: Running) -> httpx.Client:
    """Use the printed link, and sign in as the instance admin."""
    found = re.search(r"/start#([0-9a-f-]{36})", server.out)
    assert found is not None, server.out
    client = httpx.Client(base_url=f"http://127.0.0.1:{server.portal}{API}", trust_env=False, timeout=30)
    body = {"Code": found[1], "Email": "boss@example.com", "Password": PASSWORD}
    answer = client.post("/link", json=body)
    assert answer.status_code == 200, answer.text
    client.headers["x-csrf-token"] = answer.json()["Csrf"]
    return client


@pytest.mark.better("B-P1")
def test_first_start_and_remote_commands(running: Running, tmp_path: Path) -> None:
    """The printed link sets the admin's password; apply and export work with a token; the API serves the change."""
    with closing(first_start(running)) as client:
        token = client.post("/tokens", json={"Name": "ci"}).json()["Token"]
    manifest = tmp_path / "shop.json"
    text = json.dumps({**shop("Remote shop"), "Application": {"Name": "${SHOP_NAME}"}})
    manifest.write_text(text)
    environ = {**os.environ, "APILANE_OPERATOR_TOKEN": token, "SHOP_NAME": "Remote shop"}
    remote = ["--server", f"http://127.0.0.1:{running.portal}"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([APILANE, *arguments, *remote], capture_output=True, text=True, env=environ, check=False)

    planned = run("apply", str(manifest), "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "+ Entities[Products]: Title" in planned.stderr
    assert planned.stdout == ""
    applied = run("apply", str(manifest))
    assert applied.returncode == 0, applied.stderr
    application = applied.stdout.split()[-1]
    answer = httpx.get(
        f"http://127.0.0.1:{running.port}/api/Data/Get?entity=Products",
        headers={"x-application-token": application},
        trust_env=False,
    )
    assert answer.json() == {"Data": []}
    exported = run("export", "Remote shop")
    assert exported.returncode == 0, exported.stderr
    assert f"Token: {application}" in exported.stdout
    again = run("apply", str(manifest))
    assert "nothing to change" in again.stderr
    wrong = subprocess.run(
        [APILANE, "export", "Remote shop", *remote, "--token", "wrong"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1
    assert "Unauthorized" in wrong.stderr


def test_link_ends_with_a_password(tmp_path: Path) -> None:
    """As long as no admin has a password, each start prints a link; afterwards none."""
    for expected in (True, True):
        server = Running(tmp_path, "--role", "portal")
        server.until("Apilane Portal: ")
        assert ("/start#" in server.out) is expected
        last = server.out
        if server.stop():
            pytest.fail(last)
    server = Running(tmp_path)
    server.until("Apilane Portal: ")
    first_start(server).close()
    server.stop()
    server = Running(tmp_path)
    server.until("Apilane Portal: ")
    assert "/start#" not in server.out
    server.stop()


def test_portal_starts_again(running: Running) -> None:
    """A killed process of the Portal is started again, and the API answers meanwhile."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,ppid=", "--ppid", str(running.process.pid)], capture_output=True, text=True, check=True
    )
    children = [int(line.split()[0]) for line in listed.stdout.splitlines()]
    supervisors = [
        child
        for child in children
        if subprocess.run(["ps", "-o", "pid=", "--ppid", str(child)], capture_output=True, check=False).stdout
    ]
    assert len(supervisors) == 1
    os.kill(supervisors[0], signal.SIGKILL)
    assert httpx.get(f"http://127.0.0.1:{running.port}/health/liveness", trust_env=False).status_code == 200
    running.until("starting it again")
    deadline = time.monotonic() + START_S
    while running.out.count("Apilane Portal: ") < 2:
        assert time.monotonic() < deadline, running.out
        time.sleep(0.1)


def test_role_api_starts_no_portal(tmp_path: Path) -> None:
    """``--role api`` switches the Portal off."""
    server = Running(tmp_path, "--role", "api")
    server.until("Apilane API: ")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{server.portal}/", trust_env=False)
    assert server.stop() == 0
