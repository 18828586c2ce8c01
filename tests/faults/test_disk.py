"""A disk that is full, a quota that is used up, a file system that became read-only: told clearly, and got over."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import PASSWORD, Client, error_of
from tests.faults.model import MANIFEST
from tests.faults.mounts import ballast, read_only, small_disk
from tests.faults.victim import SETTINGS, Victim, wait_until

DISK_MIB = 16
QUOTA_BYTES = 400_000
SMALL_COUNTERS = {"counter_file_size_mib": 1}
WRITER_IDLE_S = 1.5
"""Longer than a writer keeps its files open."""
UNAVAILABLE = ("SERVICE_UNAVAILABLE", "Service unavailable", None, None)
UNIT = 20
RECOVERY_S = 5.0

Trouble = Callable[[], AbstractContextManager[None]]


class Shelf:
    """Items of one user, with those the server has acknowledged."""

    def __init__(self, user: Client) -> None:
        self.user = user
        self.known: dict[str, int] = {}
        self._units = 0

    def add(self) -> bool:
        """Post a unit of items; False when it was refused because storage is in trouble, as callers must be told."""
        self._units += 1
        items = [self._item(f"{self._units}.{number}") for number in range(UNIT)]
        response = self.user.post("Data/Post", items, entity="Items")
        if response.status_code != 200:
            assert error_of(response) == UNAVAILABLE
            return False
        self.known |= {item["Name"]: item["Amount"] for item in items}
        return True

    def _item(self, name: str) -> dict[str, Any]:
        return {"Name": f"item {name}".ljust(90, "x"), "Unit": str(self._units).ljust(90, "x"), "Amount": self._units}

    def check(self, server: Victim) -> None:
        """All of what was acknowledged is read back, and nothing else."""
        total = self.user.get("Data/Get", entity="Items", pageSize=1, getTotal="true").json()["Total"]
        assert total == len(self.known)
        stored = server.sql(self.user.token, 'SELECT "Name", "Amount" FROM "Items"')
        assert dict(stored) == self.known

    def read(self) -> None:
        """Records are read, by page and one by one."""
        page = self.user.records("Items", pageSize=100)
        assert {item["Name"]: item["Amount"] for item in page}.items() <= self.known.items()
        assert self.user.record("Items", page[0]["ID"]) == page[0]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of the test's own."""
    with small_disk(tmp_path / "disk", DISK_MIB) as path:
        yield path


def _endure(server: Victim, http: httpx.Client, trouble: Trouble) -> None:
    """Work, get into trouble, be told so, read on, and work again once it is over."""
    user = Client(http, server.url, server.apply(MANIFEST)).signed_in("keeper")
    shelf = Shelf(user)
    for _ in range(5):
        assert shelf.add()
    with trouble():
        # What fits into the files as they are is still written; sooner or later nothing is.
        assert sum(shelf.add() for _ in range(300)) < 300
        for _ in range(20):
            assert not shelf.add()
            shelf.read()
        assert error_of(user.post("Account/Login", {"Username": "keeper", "Password": PASSWORD})) == (UNAVAILABLE)
        shelf.read()
        assert not user.is_anonymous()
        assert server.answers()
    wait_until(shelf.add, "writing works again", RECOVERY_S)
    assert user.login("keeper")
    shelf.check(server)
    assert server.sql(user.token, "PRAGMA integrity_check") == [("ok",)]
    assert "Traceback" not in server.output(), server.output()[-3000:]
    assert "unexpected" not in server.output().lower(), server.output()[-3000:]


def test_full_disk(disk: Path, http: httpx.Client) -> None:
    """On a full disk writes are refused and reads go on; with room again all is well, without a restart."""
    with Victim(disk / "data", workers=2, settings=SETTINGS | SMALL_COUNTERS) as server:
        _endure(server, http, lambda: ballast(disk))
        assert "free some space" in server.output()


def test_used_up_quota(tmp_path: Path, http: httpx.Client) -> None:
    """A file that may not grow any further is like a full disk."""
    with Victim(tmp_path / "data", workers=2, settings=SETTINGS | SMALL_COUNTERS) as server:
        _endure(server, http, lambda: server.limited(resource.RLIMIT_FSIZE, QUOTA_BYTES))


@pytest.mark.parametrize("is_first", [True, False])
def test_start_on_a_full_disk(disk: Path, is_first: bool) -> None:
    """On a full disk the server ends with one sentence that names the folder and why; afterwards it starts."""
    server = Victim(disk / "data", settings=SETTINGS | SMALL_COUNTERS)
    server.log = disk.with_name("server.log")
    if not is_first:
        with server:
            pass
    with ballast(disk), pytest.raises(RuntimeError) as refused:
        server.start()
    assert str(server.data_dir) in str(refused.value)
    assert any(text in str(refused.value) for text in ("is the disk full?", "is full;", "No space left"))
    assert "Traceback" not in server.output(), server.output()
    with server:
        assert server.answers()


def test_file_system_turned_read_only(disk: Path, http: httpx.Client) -> None:
    """On a file system that became read-only writes are refused, reads go on, and writing comes back by itself."""
    server = Victim(disk / "data", workers=2, settings=SETTINGS | SMALL_COUNTERS)
    server.log = disk.with_name("server.log")
    with server:
        user = Client(http, server.url, server.apply(MANIFEST)).signed_in("keeper")
        shelf = Shelf(user)
        assert shelf.add()
        shelf.read()
        with read_only(server.data_dir):
            time.sleep(WRITER_IDLE_S)
            for _ in range(5):
                assert not shelf.add()
                shelf.read()
            assert not user.is_anonymous()
            assert server.answers()
        wait_until(shelf.add, "writing works again", RECOVERY_S)
        shelf.check(server)
        assert "Traceback" not in server.output(), server.output()[-3000:]


def test_start_on_a_read_only_file_system(disk: Path) -> None:
    """On a read-only file system the server ends with one sentence that names the folder."""
    server = Victim(disk / "data", settings=SETTINGS | SMALL_COUNTERS)
    server.log = disk.with_name("server.log")
    with server:
        pass
    with read_only(server.data_dir), pytest.raises(RuntimeError) as refused:
        server.start()
    assert str(server.data_dir) in str(refused.value)
    assert "Read-only file system" in str(refused.value)
    assert "Traceback" not in server.output(), server.output()
