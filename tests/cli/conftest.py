"""Real ``serve`` processes with a small stub application instead of the full one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent

RUN = """
import sys
from apilane.cli.main import cli
import apilane.server
serve = apilane.server.serve
apilane.server.serve = lambda settings: serve(settings, application="stub_application", portal=None)
cli.main(["serve", *sys.argv[1:]], prog_name="apilane")
"""


class Served:
    """A running ``apilane serve``. Its output goes to files, because a full pipe would block it."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self.folder = data_dir.parent / f"run{len(list(data_dir.parent.iterdir()))}"
        self.folder.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(HERE)}
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, "--data-dir", str(data_dir), *options],
                stdout=out,
                stderr=err,
                env=environment,
                cwd=self.folder,
            )

    @property
    def out(self) -> str:
        """The text on stdout, for the operator."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """The log on stderr."""
        return (self.folder / "err").read_text()

    def ready(self) -> Served:
        """Wait until the line with the URL is printed."""
        until(lambda: "http://" in self.out or self.process.poll() is not None)
        assert "http://" in self.out, self.err
        return self

    @property
    def url(self) -> str:
        """The printed URL."""
        found = re.search(r"http://\S+", self.out)
        assert found is not None
        return found.group()

    def worker(self, path: str = "/") -> int:
        """Send a request over a new connection and return the process ID of the worker that answers."""
        return int(httpx.get(self.url + path, timeout=20).text)

    def workers(self) -> set[int]:
        """The child processes at this moment."""
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return {int(line) for line in listed.stdout.split()}

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=20)


def until(condition: Callable[[], object], *, timeout_s: float = 20) -> None:
    """Wait for a condition or the timeout; the assertion that follows reports a timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    """Whether a process runs; zombies do not count."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A path for a new data dir."""
    return tmp_path / "data"


@pytest.fixture
def serve(data_dir: Path) -> Iterator[Callable[..., Served]]:
    """Start servers; at the end of the test all that still run are stopped, with their workers."""
    started: list[Served] = []

    def start(*options: str, data_dir: Path = data_dir) -> Served:
        started.append(Served(data_dir, *options))
        return started[-1]

    yield start
    for served in started:
        with contextlib.suppress(ProcessLookupError):
            served.process.kill()
        served.process.wait()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """``until``, for tests."""
    return until


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """``is_alive``, for tests."""
    return is_alive
