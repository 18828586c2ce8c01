"""Files when the disk is full and when processes are killed: no record without content, and no content for ever."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from apilane.testing.client import Client, error_of
from tests.faults.mounts import ballast, small_disk
from tests.faults.victim import SETTINGS, Victim, wait_until
from tests.http.uploads import FILES, body, download, part, upload

SMALL = {"counter_file_size_mib": 1}
UNAVAILABLE = ("SERVICE_UNAVAILABLE", "Service unavailable", None, None)
EAGER = {
    "files_upload_timeout_s": 0.4,
    "files_orphans_after_s": 1,
    "files_orphans_every_s": 0.2,
    "background_poll_s": 0.1,
}
"""Contents without a record are found within seconds."""
UPLOADERS = 4


def stored(server: Victim, user: Client) -> set[str]:
    """The names in the folder of the contents."""
    folder = server.data_dir / "apps" / user.token / "files"
    return {path.name for path in folder.iterdir()}


def uids(user: Client) -> dict[int, str]:
    """The UID of every record."""
    found: dict[int, str] = {}
    while True:
        page = user.get("Files/Get", pageSize=1000, pageIndex=len(found) // 1000 + 1).json()["Data"]
        found |= {each["ID"]: each["UID"] for each in page}
        if len(page) < 1000:
            return found


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system for this test."""
    with small_disk(tmp_path / "disk", 16) as path:
        yield path


def test_full_disk(disk: Path, http: httpx.Client) -> None:
    """On a full disk an upload is refused and leaves nothing; files are read, and with space uploads work again."""
    server = Victim(disk / "data", settings=SETTINGS | SMALL)
    server.log = disk.with_name("server.log")
    with server:
        user = Client(http, server.url, server.apply(FILES)).signed_in("keeper")
        content = os.urandom(90_000)
        first = upload(user, content).json()
        with ballast(disk):
            for _ in range(5):
                assert error_of(upload(user, content)) == UNAVAILABLE
                assert download(user, first).content == content
            assert stored(server, user) == set(uids(user).values())
        wait_until(lambda: upload(user, content).status_code == 200, "uploads work again", 5)
        assert stored(server, user) == set(uids(user).values())
        assert "Traceback" not in server.output(), server.output()[-3000:]
        assert "free some space" in server.output()


def test_a_disk_that_fills_up_during_an_upload(disk: Path, http: httpx.Client) -> None:
    """An upload for which the space ends half-way is refused and leaves nothing."""
    large = {**FILES, "Application": {"Name": "Large", "MaxAllowedFileSizeInKB": 25_600}}
    server = Victim(disk / "data", settings=SETTINGS | SMALL)
    server.log = disk.with_name("server.log")
    with server:
        user = Client(http, server.url, server.apply(large)).signed_in("keeper")
        assert error_of(upload(user, b"x" * 20_000_000)) == UNAVAILABLE
        assert stored(server, user) == set()
        assert uids(user) == {}
        assert upload(user, b"x" * 100_000).status_code == 200


class Uploader:
    """Uploads small files until it is stopped, and keeps those that the server acknowledged."""

    def __init__(self, user: Client, seed: int) -> None:
        self._user = user
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.known: dict[int, bytes] = {}

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            content = self._chance.randbytes(self._chance.randint(1, 90_000))
            try:
                response = upload(self._user, self._pieces(content))
            except httpx.HTTPError:
                time.sleep(0.02)
                continue
            if response.status_code == 200:
                self.known[response.json()] = content

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        whole = body(part(content))
        for start in range(0, len(whole), 20_000):
            yield whole[start : start + 20_000]
            time.sleep(self._chance.random() * 0.005)


@pytest.mark.parametrize("rounds", [pytest.param(4, id="4"), pytest.param(100, marks=pytest.mark.slow, id="many")])
def test_kill_during_uploads(rounds: int, tmp_path: Path, http: httpx.Client) -> None:
    """After ``kill -9`` every acknowledged file is whole, every record has content, and other contents are deleted."""
    seed = int(os.environ.get("APILANE_TEST_SEED", random.randrange(2**32)))
    chance = random.Random(seed)
    with Victim(tmp_path / "data", workers=2, settings=SETTINGS | SMALL | EAGER) as server:
        client = Client(http, server.url, server.apply(FILES))
        uploaders = [Uploader(client.signed_in(f"user{number}"), seed + number) for number in range(UPLOADERS)]
        for _ in range(rounds):
            for each in uploaders:
                each.start()
            time.sleep(chance.uniform(0.2, 0.7))
            server.kill(server.pid, *server.workers())
            for each in uploaders:
                each.stop()
            server.start()
            folder = server.data_dir / "apps" / client.token / "files"
            for each in uploaders:
                records = uids(each._user)
                assert each.known.keys() <= records.keys(), f"seed {seed}"
                assert all((folder / uid).exists() for uid in records.values()), f"seed {seed}"
        for each in uploaders:
            for id, content in each.known.items():
                assert download(each._user, id).content == content, f"seed {seed}"

        def settled() -> bool:
            download(uploaders[0]._user, 1)  # the search runs for applications in use
            return stored(server, client) == {uid for each in uploaders for uid in uids(each._user).values()}

        wait_until(settled, f"contents without a record are deleted (seed {seed})", 15)


def test_orphans_are_deleted_and_other_things_are_not(tmp_path: Path, http: httpx.Client) -> None:
    """Old contents without a record are deleted; new ones, those with a record and foreign files stay."""
    with Victim(tmp_path / "data", settings=SETTINGS | SMALL) as server:
        user = Client(http, server.url, server.apply(FILES)).signed_in("keeper")
        folder = server.data_dir / "apps" / user.token / "files"
        old, unfinished, new, foreign = str(uuid4()), f"{uuid4()}.part", str(uuid4()), "README"
        for name in (old, unfinished, new, foreign):
            (folder / name).write_text("x")
        known = upload(user).json()
        uid = uids(user)[known]
        yesterday = time.time() - 86_400
        for name in (old, unfinished, foreign, uid):
            os.utime(folder / name, (yesterday, yesterday))
        assert stored(server, user) == {old, unfinished, new, foreign, uid}
    often = {"files_orphans_every_s": 0.5, "background_poll_s": 0.1}
    with Victim(tmp_path / "data", settings=SETTINGS | SMALL | often) as again:
        assert download(Client(http, again.url, user.token, user.user), known).content == b"hello"
        wait_until(lambda: stored(again, user) == {new, foreign, uid}, "orphans are deleted", 10)
