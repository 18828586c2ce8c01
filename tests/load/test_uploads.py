"""Memory of large uploads and downloads: they pass through in chunks, one or many at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server
from tests.http.uploads import FILES, FORM, body, part
from tests.load.crowd import workers_of

MIB = 2**20
CONTENT = bytes(range(256)) * (MIB // 256)
SIZE_MIB = 25
ONE_MIB = 5
"""Memory that one file of 25 MiB may need; measured: below 1, because buffers are used again."""
MANY = 32
MANY_MIB = 128
"""Memory that 32 files at the same time may need, of 800 MiB that are sent; measured: 62."""
P99_S = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one worker."""
    with Server(tmp_path_factory.mktemp("uploads") / "data", settings={**CHEAP_PASSWORDS, **PATIENT}) as running:
        yield running


@pytest.fixture(scope="module")
def user(server: Server, http: httpx.Client) -> Client:
    """A user of an application with the largest limit of a file, after one upload and download."""
    application: dict[str, Any] = {"Name": "Large", "MaxAllowedFileSizeInKB": 25_600}
    user = Client(http, server.url, server.apply({**FILES, "Application": application})).signed_in("large")
    for _ in range(3):
        id = user.send("POST", "/api/Files/Post", whole(1), FORM).json()
        assert user.send("GET", f"/api/Files/Download?fileID={id}").status_code == 200
    return user


def whole(size_mib: int) -> bytes:
    """A body with a file of that size."""
    return body(part(CONTENT * size_mib, "large.bin"))


class Peak:
    """The highest resident memory of the worker since the start of the block, above that at its start, in MiB."""

    def __init__(self, server: Server) -> None:
        assert server._process is not None
        (worker,) = [each for each in workers_of(server._process.pid) if _mib(each, "VmRSS") > 20]
        self._worker = worker

    def __enter__(self) -> Peak:
        Path(f"/proc/{self._worker}/clear_refs").write_text("5")  # resets the peak
        self._before = _mib(self._worker, "VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.mib = _mib(self._worker, "VmHWM") - self._before


def _mib(process: int, field: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0)


def test_one_large_file(server: Server, user: Client) -> None:
    """A file of 25 MiB needs less than 5 MiB of memory on its way in and out."""
    content = whole(SIZE_MIB)
    with Peak(server) as up:
        response = user.send("POST", "/api/Files/Post", content, FORM)
    assert response.status_code == 200, response.text
    with (
        Peak(server) as down,
        user.http.stream(
            "GET", f"{user.url}/api/Files/Download?fileID={response.json()}", headers=user.headers()
        ) as answer,
    ):
        received = sum(len(chunk) for chunk in answer.iter_bytes())
    assert received == SIZE_MIB * MIB
    assert up.mib < ONE_MIB, up.mib
    assert down.mib < ONE_MIB, down.mib


async def _pieces(content: memoryview) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 65_536):
        yield bytes(content[start : start + 65_536])
        await asyncio.sleep(0)


async def _many(user: Client) -> list[float]:
    """Upload and download 32 files at the same time; the seconds of calls that another caller makes meanwhile."""
    content = memoryview(whole(SIZE_MIB))
    times: list[float] = []
    limits = httpx.Limits(max_connections=MANY + 1)
    async with httpx.AsyncClient(base_url=user.url, headers=user.headers(), timeout=300, limits=limits) as http:

        async def one() -> None:
            response = await http.post("/api/Files/Post", content=_pieces(content), headers=FORM)
            assert response.status_code == 200, response.text
            async with http.stream("GET", f"/api/Files/Download?fileID={response.json()}") as answer:
                assert sum([len(chunk) async for chunk in answer.aiter_raw()]) == SIZE_MIB * MIB

        async def watch() -> None:
            while True:
                begun = time.monotonic()
                assert (await http.get("/api/Files/Get?pageSize=1")).status_code == 200
                times.append(time.monotonic() - begun)
                await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        await asyncio.gather(*(one() for _ in range(MANY)))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return sorted(times)


def test_many_large_files_at_the_same_time(server: Server, user: Client) -> None:
    """32 files of 25 MiB at the same time need little memory, and another caller is served meanwhile."""
    with Peak(server) as peak:
        times = asyncio.run(_many(user))
    p99_s = times[int(len(times) * 0.99) - 1]
    assert peak.mib < MANY_MIB, peak.mib
    assert p99_s < P99_S, times[-20:]
