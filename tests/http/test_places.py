"""A data folder that vanishes, is exchanged or comes back while the server runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.faults.mounts import ballast, small_disk

pytestmark = pytest.mark.sqlite_only("it moves the folder with the files of the databases")

UNAVAILABLE = WireError("SERVICE_UNAVAILABLE", "Service unavailable")
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Notes"},
    "Entities": [{"Name": "Notes", "Properties": [{"Name": "Text", "Type": "String"}]}],
    "Security": [
        {"Entity": "Notes", "Role": "ANONYMOUS", "Action": "post", "Properties": ["Text"]},
        {"Entity": "Notes", "Role": "ANONYMOUS", "Action": "get", "Properties": ["ID", "Text"]},
    ],
}


def until(condition: Callable[[], bool], *, timeout_s: float = 20) -> None:
    """Wait for a condition; AssertionError after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.05)


def readiness(server: Server) -> int:
    """Status of the readiness, over a new connection; 0 when nothing answers."""
    try:
        return httpx.get(f"{server.url}/health/readiness", timeout=20).status_code
    except httpx.TransportError:
        return 0


def kill_worker(server: Server) -> None:
    """Kill the only worker, and wait until its replacement answers."""
    process = server._process
    assert process is not None

    def workers() -> set[int]:
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
        )
        return {int(line) for line in listed.stdout.split()}

    before = workers()
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    until(lambda: bool(workers() - before))
    until(lambda: readiness(server) != 0)


def files(folder: Path) -> set[str]:
    """The names in a folder that is there or not."""
    return {file.name for file in folder.iterdir()} if folder.is_dir() else set()


def test_a_replaced_worker_founds_no_instance(tmp_path: Path, http: httpx.Client) -> None:
    """A worker that is replaced while the data folder is gone creates nothing, answers 503, and continues when the
    folder is back; another instance in its place is refused.
    """
    with Server(tmp_path / "data", settings=CHEAP_PASSWORDS) as server:
        token = server.apply(MANIFEST)
        client = Client(http, server.url, token)
        assert client.post("Data/Post", {"Text": "kept"}, entity="Notes").status_code == 200
        aside = tmp_path / "aside"
        server.data_dir.rename(aside)
        kill_worker(server)
        assert readiness(server) == 503
        assert httpx.get(f"{server.url}/health/liveness").status_code == 200
        assert error_of(client.get("Data/Get", entity="Notes")) == UNAVAILABLE
        assert not server.data_dir.exists()
        assert server.output().count("the instance cannot be opened") == 1
        server.data_dir.mkdir(mode=0o700)
        assert readiness(server) == 503
        assert not files(server.data_dir) & {"control.db", "master.key"}
        server.data_dir.rmdir()

        with Server(tmp_path / "other", settings=CHEAP_PASSWORDS):
            pass
        (tmp_path / "other").rename(server.data_dir)
        time.sleep(0.6)
        assert readiness(server) == 503
        kill_worker(server)
        assert readiness(server) == 503
        assert "belongs to another instance" in server.output()
        shutil.copy(aside / "control.db", server.data_dir / "control.db")  # the right store, another master key
        for log in server.data_dir.glob("control.db-*"):
            log.unlink()
        until(lambda: "The master key does not belong to this control store" in (readiness(server), server.output())[1])
        assert readiness(server) == 503

        shutil.rmtree(server.data_dir)
        aside.rename(server.data_dir)
        until(lambda: readiness(server) == 200)
        assert [each["Text"] for each in client.get("Data/Get", entity="Notes").json()["Data"]] == ["kept"]
        assert "Instance admin" not in server.output()


def test_a_folder_that_goes_and_comes_back(tmp_path: Path, http: httpx.Client) -> None:
    """Without its folder a running server is not ready and confirms no write; it continues with the same folder, and
    with one restored from a backup.
    """
    with Server(tmp_path / "data", settings=CHEAP_PASSWORDS) as server:
        token = server.apply(MANIFEST)
        client = Client(http, server.url, token)

        def post(text: str) -> httpx.Response:
            return client.post("Data/Post", {"Text": text}, entity="Notes")

        def texts() -> list[str]:
            return [each["Text"] for each in client.get("Data/Get", entity="Notes").json()["Data"]]

        assert post("first").status_code == 200
        aside = tmp_path / "aside"
        server.data_dir.rename(aside)
        assert readiness(server) == 503
        assert error_of(post("nowhere")) == UNAVAILABLE
        assert not server.data_dir.exists()
        aside.rename(server.data_dir)
        until(lambda: readiness(server) == 200)
        assert post("second").status_code == 200
        assert sorted(texts()) == ["first", "second"]

        time.sleep(4)  # the writer lets its file go, so that the copy is complete
        shutil.copytree(server.data_dir, tmp_path / "backup")
        assert post("after the backup").status_code == 200
        shutil.rmtree(server.data_dir)
        until(lambda: readiness(server) == 503)
        (tmp_path / "backup").rename(server.data_dir)
        until(lambda: readiness(server) == 200)
        assert sorted(texts()) == ["first", "second"]
        assert post("third").status_code == 200
        assert sorted(texts()) == ["first", "second", "third"]
        assert server.sql(token, 'SELECT COUNT(*) FROM "Notes"') == [(3,)]


def test_a_database_that_is_deleted_and_restored(tmp_path: Path, http: httpx.Client) -> None:
    """An application whose file was deleted while it was open answers SERVICE_UNAVAILABLE until the file is back."""
    with Server(tmp_path / "data", settings=CHEAP_PASSWORDS) as server:
        token = server.apply(MANIFEST)
        client = Client(http, server.url, token)
        assert client.post("Data/Post", {"Text": "kept"}, entity="Notes").status_code == 200
        path, backup = server.database(token), tmp_path / "backup.db"
        server.sql(token, f"VACUUM INTO '{backup}'")
        for file in path.parent.glob("data.db*"):
            if file.is_file():
                file.unlink()
        until(lambda: client.get("Data/Get", entity="Notes").status_code != 200)
        assert error_of(client.get("Data/Get", entity="Notes")) == UNAVAILABLE
        assert error_of(client.post("Data/Post", {"Text": "lost"}, entity="Notes")) == UNAVAILABLE
        assert not path.exists()
        shutil.copy(backup, path)
        until(lambda: client.get("Data/Get", entity="Notes").status_code == 200)
        assert [each["Text"] for each in client.get("Data/Get", entity="Notes").json()["Data"]] == ["kept"]


def test_a_full_disk_is_not_ready(tmp_path: Path) -> None:
    """A server whose data folder is full is alive and not ready, and ready again when there is space."""
    with (
        small_disk(tmp_path / "disk", 16) as disk,
        Server(disk / "data", settings={**CHEAP_PASSWORDS, "counter_file_size_mib": 1}) as server,
    ):
        assert readiness(server) == 200
        with ballast(disk):
            answer = httpx.get(f"{server.url}/health/readiness")
            assert answer.status_code == 503
            entries = {entry["key"]: entry for entry in answer.json()["Entries"]}
            assert entries["Portal"]["value"] == "Healthy"
            assert entries["DataFolder"]["value"] == "Unhealthy"
            assert "No space left on device" in entries["DataFolder"]["details"]
            assert httpx.get(f"{server.url}/health/liveness").status_code == 200
        assert readiness(server) == 200
