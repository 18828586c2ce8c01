"""A clock that a test can set, for the processes of one server: an offset in a file that is added to ``time``.

Only the wall clock moves, as on a machine whose time is corrected; ``time.monotonic`` is unchanged.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import pytest

__all__ = ["DAY_S", "Clock"]

DAY_S = 86_400
FILE_VARIABLE = "TEST_CLOCK_FILE"
SITE = f"""
import mmap, os, struct, time
with open(os.environ["{FILE_VARIABLE}"], "rb") as file:
    offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
real_ns = time.time_ns
time.time_ns = lambda: real_ns() + struct.unpack("q", offset)[0]
time.time = lambda: time.time_ns() / 1e9
"""


class Clock:
    """Make it before the server: every process started with the environment of this process uses this clock."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = folder / "offset"
        self._path.write_bytes(bytes(8))
        (folder / "sitecustomize.py").write_text(SITE)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        monkeypatch.setenv(FILE_VARIABLE, str(self._path))

    def set(self, offset_s: float) -> None:
        """Set the clock to this many seconds before or after the real time."""
        with self._path.open("r+b") as file:
            file.write(struct.pack("q", int(offset_s * 1e9)))

    def now_ms(self) -> int:
        """The server's current time, in unix milliseconds."""
        (offset,) = struct.unpack("q", self._path.read_bytes())
        return int(time.time_ns() + offset) // 1_000_000
