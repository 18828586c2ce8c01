"""An answered write is on the disk: the settings of the writing connection, and its system calls."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from apilane.sql.statement import Statement
from apilane.storage.protocol import Result, Step
from apilane.testing.client import Client
from apilane_sqlite import SQLiteDriver
from tests.faults.model import MANIFEST
from tests.faults.victim import SETTINGS, Victim, wait_until

FULL = 2
CALLS = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,fsync,fdatasync"
POSTS = 5


def test_the_writer_synchronises_fully(tmp_path: Path) -> None:
    """The writing connection waits for the disk at every commit."""
    pragma = Step(Statement("PRAGMA synchronous"))

    def unit() -> Generator[Step, Result, object]:
        return (yield pragma).rows[0][0]

    async def asked() -> list[object]:
        driver = SQLiteDriver()
        session = driver.session(str(tmp_path / "x.db"))
        found = [await session.run(unit), await session.run(unit, alone=True), await session.alter(unit)]
        await driver.close()
        return found

    assert asyncio.run(asked()) == [FULL, FULL, FULL]


@contextmanager
def _traced(process: int, output: Path) -> Iterator[None]:
    """Trace the system calls of a process and its threads to ``output``; skips the test where that is forbidden."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed (make tools)")
    command = [strace, "-f", "-y", "-s", "200", "-e", CALLS, "-o", str(output), "-p", str(process)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        try:
            said = tracer.stderr.readline()
            if "attached" not in said:
                pytest.skip(f"strace may not trace here: {said.strip()}")
            yield
        finally:
            tracer.send_signal(signal.SIGINT)  # detaches
            try:
                tracer.wait(10)
            except subprocess.TimeoutExpired:
                tracer.kill()


def test_the_disk_has_it_before_the_answer(tmp_path: Path, http: httpx.Client) -> None:
    """Between the arrival of a Post and its answer the worker synchronises the database's log to disk."""
    output = tmp_path / "trace"
    with Victim(tmp_path / "data", settings=SETTINGS) as server:
        user = Client(http, server.url, server.apply(MANIFEST)).signed_in("traced")
        user.add("Groups", {"Name": "before"})
        log = f"{os.path.realpath(server.database(user.token))}-wal"
        (worker,) = server.workers()
        with _traced(worker, output):
            for number in range(POSTS):
                user.add("Groups", {"Name": f"traced {number}"})
            wait_until(lambda: output.read_text().count("HTTP/1.1 200") >= POSTS, "strace has written all")
    assert _order(output.read_text(), log) == ["request", "disk", "answer"] * POSTS


def _order(trace: str, log: str) -> list[str]:
    """The events of a trace in order, without repetitions. A call counts when it has returned."""
    kinds = {
        "request": re.compile(r'"POST /api/Data/Post'),
        "disk": re.compile(rf"(?:fsync|fdatasync)\(\d+<{re.escape(log)}>\) += 0"),
        "answer": re.compile(r'"HTTP/1\.1 200'),
    }
    unfinished: dict[str, str] = {}
    events: list[str] = []
    for line in trace.splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            text = call.removesuffix("<unfinished ...>").rstrip()
            if not kinds["answer"].search(text):  # an answer counts when it begins
                unfinished[thread] = text
                continue
            call = text
        elif call.startswith("<..."):
            call = unfinished.pop(thread, "") + call.partition("resumed>")[2]
        for kind, pattern in kinds.items():
            if pattern.search(call) and (not events or events[-1] != kind):
                events.append(kind)
    return events
