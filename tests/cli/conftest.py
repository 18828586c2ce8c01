"""Real servers: ``serve`` in a process of its own, with a small application in place of the whole."""

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
apilane.server.serve = lambda settings: serve(settings, application="stub_application")
cli.main(["serve", *sys.argv[1:]], prog_name="apilane")
"""


class Served:
    """A running ``apilane serve``; its output is in files, so that nothing blocks."""

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
        """What it printed for the operator."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """What it logged."""
        return (self.folder / "err").read_text()

    def ready(self) -> Served:
        """Wait for the line with the URL."""
        until(lambda: "http://" in self.out or self.process.poll() is not None)
        assert "http://" in self.out, self.err
        return self

    @property
    def url(self) -> str:
        """Where it says that it answers."""
        found = re.search(r"http://\S+", self.out)
        assert found is not None
        return found.group()

    def worker(self, path: str = "/") -> int:
        """Ask over a new connection; the process that answered."""
        return int(httpx.get(self.url + path, timeout=20).text)

    def workers(self) -> set[int]:
        """The processes that its parent has now."""
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return {int(line) for line in listed.stdout.split()}

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=20)


def until(condition: Callable[[], object], *, timeout_s: float = 20) -> None:
    """Wait for a condition; what is asserted afterwards says what was missing."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    """Whether a process runs, zombies not counted."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where a data dir may be made."""
    return tmp_path / "data"


@pytest.fixture
def serve(data_dir: Path) -> Iterator[Callable[..., Served]]:
    """Start servers; whatever still runs at the end of the test is ended, workers too."""
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
