"""Many connections from one process: idle, with slow heads, with slow bodies, and ordinary callers.

Supports only the HTTP that it needs; the tests judge the figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Connection", "Crowd", "Served", "descriptors", "resident_mib", "workers_of"]


@contextmanager
def descriptors(wanted: int) -> Iterator[None]:
    """Raise the limit of open files of this process to the wanted number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        wanted = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def workers_of(parent: int) -> list[int]:
    """The processes of a server below its first one."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(status.parent.name))
    return found


def resident_mib(process: int) -> float:
    """Resident memory of a process now."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Served(NamedTuple):
    """The answers to ordinary callers: status and seconds of each."""

    statuses: list[int]
    times_s: list[float]

    def p99_s(self) -> float:
        """The 99th percentile of the seconds."""
        return sorted(self.times_s)[int(len(self.times_s) * 0.99) - 1]


class Connection:
    """One connection with its streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.opened_at = time.monotonic()
        self.closed_after_s: float | None = None
        self.received = b""

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and read its answer; the connection stays open."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        return int(head[9:12]), await self.reader.readexactly(length)

    async def drip(self, text: bytes, pause_s: float) -> None:
        """Send byte by byte until the server closes the connection or the text ends, then read the answer."""
        answer = asyncio.create_task(self._receive())
        for place in range(len(text)):
            if answer.done():
                break
            self.writer.write(text[place : place + 1])
            await asyncio.wait({answer}, timeout=pause_s)
        await answer

    async def _receive(self) -> None:
        with suppress(OSError):
            while part := await self.reader.read(65536):
                self.received += part
        self.closed_after_s = time.monotonic() - self.opened_at


class Crowd:
    """Connections to ``port``; all are closed at the end of ``async with``."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._all: list[Connection] = []

    async def __aenter__(self) -> Crowd:
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._all:
            each.writer.transport.abort()
        await asyncio.sleep(0)

    async def connect(self, count: int, at_once: int = 50) -> list[Connection]:
        """Open new connections, up to ``at_once`` at a time."""
        gate = asyncio.Semaphore(at_once)

        async def one() -> Connection:
            async with gate:
                return Connection(*await asyncio.open_connection("127.0.0.1", self._port))

        made = await asyncio.gather(*(one() for _ in range(count)))
        self._all += made
        return list(made)

    async def callers(self, request: bytes, *, count: int, until: float, pause_s: float = 0.01) -> Served:
        """``count`` ordinary callers that repeat the request until ``until`` (``time.monotonic``)."""
        served = Served([], [])

        async def one(connection: Connection) -> None:
            while time.monotonic() < until:
                began = time.monotonic()
                status, body = await connection.exchange(request)
                served.times_s.append(time.monotonic() - began)
                served.statuses.append(status)
                json.loads(body)
                await asyncio.sleep(pause_s)

        await asyncio.gather(*(one(each) for each in await self.connect(count)))
        return served
